"""Series over time as charts: which lines stand together, thinned out so that peaks, floors and gaps stay."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from operator import lt

from poolsleuth.model.report import ReportSeries
from poolsleuth.report.wording import short

FINE = 400  # points that a line has at most: about one for each two pixels of a page
MOST_SERIES = 400  # series of one machine that are looked at
MOST_CHARTS = 12  # charts of one machine
CHART_LINES = 8  # lines in one chart: as many as there are colours to tell apart
NAME = 120  # longest name of a line

_LAST_TIME = 32_503_680_000.0  # the year 3000: later is damage, not a date
_LARGEST = 1e24  # a figure beyond is damage
_SPREAD = 6.0  # largest to smallest peak in one chart: a line lower than that is flat on the ground
_NEAR = 2.5  # a limit further above the peak than this would press the lines to the ground
_HORIZON = 2.0  # a forecast this many times the time seen ahead lies within the chart
_FARTHEST = 10.0  # and one this many times ahead is drawn when it is asked for: what was seen is then an eleventh
_KINDS = ("pool", "tag", "process", "load", "counter")
_GROWING = ("leak", "steps")
_COURSE_ORDER = {"leak": 0, "steps": 0, "unclear": 1, "jump": 2, "filled": 2}

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a chart. Times are seconds since 1970 (local ones where ``utc`` is False), rising; a value that is
    None is a gap, which nothing bridges.

    ``limit`` is in the line's own unit. ``fit`` are the two ends of the fitted growth and ``forecast`` where it goes
    from there until it meets the limit; both empty where there is none. ``far`` is the same for a limit that is met
    beyond the chart, but near enough to be shown on demand. ``reached`` is when that is, even where it lies too far
    away to be drawn.
    """

    name: str
    kind: str
    unit: str
    utc: bool
    times: tuple[float, ...]
    values: tuple[float | None, ...]
    course: str
    says: str
    limit: float | None
    fit: tuple[Point, ...]
    forecast: tuple[Point, ...]
    reached: datetime | None
    far: tuple[Point, ...] = ()

    @property
    def known(self) -> list[float]:
        """The values that are not missing; never empty."""
        return [value for value in self.values if value is not None]

    @property
    def peak(self) -> float:
        """The largest distance from 0."""
        return max(map(abs, self.known))

    @property
    def limit_near(self) -> bool:
        """True when the limit can be drawn without pressing the line to the ground."""
        return self.limit is not None and (bool(self.forecast) or 0 < self.limit <= _NEAR * self.peak)

    @property
    def growing(self) -> bool:
        """True when the line was judged to grow for good."""
        return self.course in _GROWING


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Lines of one kind, one unit and one clock. ``x`` and ``y`` are the ends of the axes.

    ``far`` is the end of the time axis that shows all forecasts, None when ``x`` does.
    """

    title: str
    kind: str
    unit: str
    utc: bool
    lines: tuple[Line, ...]
    x: Point
    y: Point
    far: float | None = None

    @property
    def leads(self) -> bool:
        """True when it belongs to the answer: a pool, or something that grows for good."""
        return self.kind == "pool" or any(line.growing for line in self.lines)


# ---- one line --------------------------------------------------------------------------------------------------


def line_of(series: ReportSeries) -> Line | None:
    """The series as a line of at most ``FINE`` points; None when it holds no figure that can be drawn."""
    start = _epoch(series.start)
    times, values = thin(*_in_order(start, series.seconds, series.values), FINE)
    known = [value for value in values if value is not None]
    if not known:
        return None
    limit = series.limit if series.limit is not None and 0 < series.limit <= _LARGEST else None
    fit = tuple(
        (start + float(t), float(v)) for t, v in series.line if _drawable(t) and _drawable(v) and _dated(start + t)
    )
    fit = fit if len(fit) == 2 and fit[0][0] < fit[1][0] else ()
    reached = series.trend.limit_reached_at if series.trend is not None else None
    line = Line(
        name=short(series.name, NAME) or "(no name)",
        kind=series.kind if series.kind in _KINDS else "counter",
        unit=short(series.unit, 20),
        utc=series.utc,
        times=times,
        values=values,
        course=short(series.course or "", 20).replace("-", " "),
        says=series.says or "",
        limit=float(limit) if limit is not None else None,
        fit=fit,
        forecast=(),
        reached=reached if reached is not None and _dated(_epoch(reached)) else None,
    )
    ahead, distance = _forecast(line)
    return replace(line, forecast=ahead) if distance <= _HORIZON else replace(line, far=ahead)


def _forecast(line: Line) -> tuple[tuple[Point, ...], float]:
    """From the end of the fitted growth (of the line, where nothing was fitted) to the limit; and how far ahead that is
    in times of the time seen. Empty where there is none, or none that can be drawn."""
    if line.limit is None or line.reached is None:
        return (), 0.0
    end = _epoch(line.reached)
    last = next((t, v) for t, v in zip(reversed(line.times), reversed(line.values), strict=True) if v is not None)
    begin = line.fit[1] if line.fit else last
    seen = line.times[-1] - line.times[0]
    if not _dated(end) or not max(begin[0], last[0]) < end <= line.times[-1] + _FARTHEST * seen:
        return (), 0.0
    return (begin, (end, line.limit)), (end - line.times[-1]) / seen


def _epoch(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _drawable(value: float | None) -> bool:
    # Compared and not math.isfinite: a whole number out of a file may be larger than any float.
    return value is not None and -_LARGEST <= value <= _LARGEST


def _dated(time: float) -> bool:
    return 0 <= time < _LAST_TIME


def _in_order(
    start: float, seconds: Sequence[float], values: Sequence[float | None]
) -> tuple[list[float], list[float | None]]:
    """Times since 1970, strictly rising (of equal times the last one counts), and values that can be drawn."""
    sound = [v if v is not None and -_LARGEST <= v <= _LARGEST else None for v in values]
    first, beyond = -start, _LAST_TIME - start
    rising = bool(seconds) and all(map(lt, seconds, islice(seconds, 1, None)))
    if rising and len(seconds) == len(sound) and first <= seconds[0] and seconds[-1] < beyond:
        return [start + t for t in seconds], sound
    points = sorted({start + t: v for t, v in zip(seconds, sound, strict=False) if first <= t < beyond}.items())
    return [t for t, _ in points], [v for _, v in points]


def thin(
    times: Sequence[float], values: Sequence[float | None], limit: int
) -> tuple[tuple[float, ...], tuple[float | None, ...]]:
    """At most ``limit`` points (16 or more) of a line.

    The time is cut into buckets of equal length and each keeps its smallest and its largest value; the first and the
    last value of all stay. A gap stays as one None in its middle when it is about as long as a bucket: a shorter one
    could hardly be seen. ``times`` must rise.
    """
    if len(times) <= limit:
        return tuple(times), tuple(values)
    begin, span = times[0], times[-1] - times[0]
    most = (limit - 2) // 2  # two values of each bucket, and the first and the last of all
    gaps = _gaps(times, values, span / most)
    buckets = (limit - 2 - len(gaps)) // 2
    width = span / buckets
    kept: list[tuple[float, float | None]] = []
    at = 0
    for bucket in range(buckets):
        end = len(times) if bucket == buckets - 1 else bisect_left(times, begin + (bucket + 1) * width, lo=at)
        piece = values[at:end]
        known = [value for value in piece if value is not None]
        if known:
            picked = {at + piece.index(min(known)), at + piece.index(max(known))}
            if not any(value is not None for _, value in kept):
                picked.add(at + next(i for i, value in enumerate(piece) if value is not None))
            kept += ((times[i], values[i]) for i in sorted(picked))
        at = end
    last = next((i for i in range(len(times) - 1, -1, -1) if values[i] is not None), None)
    if last is not None and kept[-1][0] < times[last]:
        kept.append((times[last], values[last]))
    kept += (((before + after) / 2, None) for before, after in gaps)
    kept.sort(key=lambda point: point[0])
    return tuple(t for t, _ in kept), tuple(v for _, v in kept)


def _gaps(times: Sequence[float], values: Sequence[float | None], least: float) -> list[Point]:
    """Where each gap begins and ends (its first and last missing time) that lasts from value to value at least so long.

    No more than one for each such time can be found, so their number is bounded too.
    """
    gaps: list[Point] = []
    at = -1
    while True:
        try:
            begin = values.index(None, at + 1)
        except ValueError:
            return gaps
        end = begin
        while end < len(values) and values[end] is None:
            end += 1
        if begin > 0 and end < len(values) and times[end] - times[begin - 1] >= least:
            gaps.append((times[begin], times[end - 1]))
        at = end


# ---- charts ----------------------------------------------------------------------------------------------------


def charts_of(lines: Sequence[Line], most_lines: int, points: int) -> tuple[tuple[Chart, ...], int]:
    """The charts of a machine, those of its pools first, and how many lines were left out.

    No more than ``most_lines`` lines are drawn, each of at most ``points`` points.
    """
    ordered = sorted(enumerate(lines), key=lambda entry: _order(*entry))
    groups: dict[tuple[str, str, bool], list[list[Line]]] = {}
    count = drawn = 0
    for _, line in ordered[:most_lines]:
        bundles = groups.setdefault((line.kind, line.unit, line.utc), [])
        bundle = next((b for b in bundles if len(b) < CHART_LINES and _alike([*b, line])), None)
        if bundle is None:
            if count == MOST_CHARTS:
                continue
            count += 1
            bundle = []
            bundles.append(bundle)
        bundle.append(_thinned(line, points))
        drawn += 1
    made = [(_title(bundle), bundle) for bundles in groups.values() for bundle in bundles]
    same = Counter(title for title, _ in made)
    seen: Counter[str] = Counter()
    charts: list[Chart] = []
    for title, bundle in made:
        seen[title] += 1
        charts.append(_chart(title if same[title] == 1 else f"{title}, {seen[title]} of {same[title]}", bundle))
    return tuple(charts), len(lines) - drawn


def _order(place: int, line: Line) -> tuple[int, int, float, int]:
    """Tags and processes that grow most come first; the rest stays as the report has it."""
    kind = _KINDS.index(line.kind)
    if line.kind not in ("tag", "process"):
        return kind, 0, 0.0, place
    known = line.known
    return kind, _COURSE_ORDER.get(line.course, 3), known[0] - known[-1], place


def _alike(lines: Sequence[Line]) -> bool:
    peaks = [line.peak for line in lines if line.peak > 0]
    return not peaks or max(peaks) <= _SPREAD * min(peaks)


def _thinned(line: Line, points: int) -> Line:
    times, values = thin(line.times, line.values, points)
    return replace(line, times=times, values=values)


def _title(lines: Sequence[Line]) -> str:
    first = lines[0]
    if first.kind == "pool":
        return "Pools" if first.unit == "bytes" else "Pools, other figures"
    if first.kind == "tag":
        what = "Tags that grow" if any(line.growing for line in lines) else "Tags"
        return f"{what}: allocations" if first.unit == "count" else what
    if first.kind == "process":
        return {"count": "Processes: handles", "bytes": "Processes: memory"}.get(first.unit, "Processes")
    what = "Load" if first.kind == "load" else "Counters"
    return f"{what}: {first.unit}" if first.unit else what


def _chart(title: str, lines: Sequence[Line]) -> Chart:
    first = lines[0]
    times = [line.times[i] for line in lines for i in (0, -1)]
    ahead = [line.forecast[1][0] for line in lines if line.forecast]
    begin, end = min(times), max([*times, *ahead])
    if ahead and end == max(ahead):
        end += (end - begin) * 0.03  # room for the mark where the limit is met
    if end - begin < 1:
        begin, end = begin - 30, end + 30
    known = [value for line in lines for value in line.known]
    known += [value for line in lines for _, value in (*line.fit, *line.forecast)]
    known += [line.limit for line in lines if line.limit is not None and line.limit_near]
    return Chart(
        title=title,
        kind=first.kind,
        unit=first.unit,
        utc=first.utc,
        lines=tuple(lines),
        x=(begin, end),
        y=value_range(min(known), max(known)),
        far=_far_end(begin, end, lines),
    )


def _far_end(begin: float, end: float, lines: Sequence[Line]) -> float | None:
    met = max((line.far[1][0] for line in lines if line.far), default=end)
    return met + (met - begin) * 0.03 if met > end else None


def value_range(low: float, high: float) -> Point:
    """The ends of an axis for these values: from 0 unless they all lie close together far from it."""
    if high <= low:
        room = abs(high) * 0.1 or 1.0
        return (0.0 if low >= 0 else low - room), high + room
    room = (high - low) * 0.08
    if low >= 0 and high - low > 0.15 * high:
        return 0.0, high + room
    return low - room, high + room
