"""A series as one line of block characters: its floor and its peak fill the height."""

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-=*#"
GAP = " "


def sparkline(seconds: Sequence[float], values: Sequence[float | None], width: int, blocks: str = BLOCKS) -> str:
    """The series in ``width`` characters, evenly in time; a stretch without a value is blank.

    Each character shows the mean of its stretch, on a scale from the lowest to the highest of them. A series that does
    not move is a line at the bottom.
    """
    columns: list[list[float]] = [[] for _ in range(width)]
    first, last = (seconds[0], seconds[-1]) if seconds else (0.0, 0.0)
    length = last - first
    for second, value in zip(seconds, values, strict=True):
        if value is not None:
            place = int((second - first) / length * width) if length > 0 else 0
            columns[min(max(place, 0), width - 1)].append(value)
    means = [sum(column) / len(column) if column else None for column in columns]
    known = [mean for mean in means if mean is not None]
    if not known:
        return GAP * width
    low, high = min(known), max(known)
    drawn = []
    previous: float | None = None
    for mean in means:
        shown = previous if mean is None and len(known) < width and length > 0 else mean
        previous = mean if mean is not None else previous
        if shown is None:
            drawn.append(GAP)
            continue
        share = (shown - low) / (high - low) if high > low else 0.0
        drawn.append(blocks[min(int(share * len(blocks)), len(blocks) - 1)])
    return "".join(drawn)
