"""A series as one line of block characters: its floor and its peak fill the height."""

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-=*#"
GAP = " "
_BELOW, _ABOVE = -1e300, 1e300  # a figure beyond is damage, and sums of such overflow
_FLAT = 0.05  # of the level: a smaller movement does not fill the height
_DENSE = 2  # samples per character from which a character without any is a gap


def sparkline(seconds: Sequence[float], values: Sequence[float | None], width: int, blocks: str = BLOCKS) -> str:
    """The series in ``width`` characters, evenly in time; a stretch without a value is blank.

    Each character shows the mean of its stretch, on a scale from the lowest to the highest of them, which is at least a
    twentieth of the level. A series that does not move is a line at the bottom. Where there are fewer samples than
    characters, a value lasts until the next one.
    """
    columns: list[list[float]] = [[] for _ in range(width)]
    sampled = [False] * width
    drawable = [
        (second, None if value is None or not _BELOW < value < _ABOVE else float(value))
        for second, value in zip(seconds, values, strict=True)
        if _BELOW < second < _ABOVE
    ]
    first, last = (drawable[0][0], drawable[-1][0]) if drawable else (0.0, 0.0)
    length = last - first
    for second, value in drawable:
        share = (second - first) / length if length > 0 else 0.0
        place = min(int(min(max(share, 0.0), 1.0) * width), width - 1)
        sampled[place] = True
        if value is not None:
            columns[place].append(value)
    means = [sum(column) / len(column) if column else None for column in columns]
    known = [mean for mean in means if mean is not None]
    if not known:
        return GAP * width
    low, high = min(known), max(known)
    reach = max(high - low, _FLAT * max(abs(low), abs(high)))  # noise on a high level must not look like a swing
    drawn = []
    previous: float | None = None
    sparse = length > 0 and len(drawable) < _DENSE * width
    for mean, seen in zip(means, sampled, strict=True):
        shown = previous if sparse and not seen else mean
        previous = mean if seen else previous
        if shown is None:
            drawn.append(GAP)
            continue
        share = (shown - low) / reach if reach > 0 else 0.0
        drawn.append(blocks[min(int(share * len(blocks)), len(blocks) - 1)])
    return "".join(drawn)
