"""The charts of the page: which machine has which, what stands beside them, and their figures for the script."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from poolsleuth.model.report import Report
from poolsleuth.report.chart_data import FINE, MOST_SERIES, Chart, Line, charts_of, line_of
from poolsleuth.report.chart_scale import clock_text, moment_text, value_text
from poolsleuth.report.chart_svg import chart_svg
from poolsleuth.report.wording import clean, plural, short

_LEADING = 4  # charts that stand open; the rest is one click away
_LEAST_POINTS = 16
_STEPS = 10**6  # steps between the smallest and the largest value of a line that the script is told
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029'"}


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One line of a chart: its number from 1 (its colour), its name, and its last value."""

    number: int
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Saying:
    """One sentence about a line."""

    number: int
    name: str
    course: str
    says: str


@dataclass(frozen=True, slots=True)
class ChartView:
    """One chart. ``key`` says what is drawn besides the lines themselves, empty for nothing.

    ``data`` is JSON for the script, None on a page whose charts are pictures only.
    """

    title: str
    clock: str
    key: str
    picture: Markup
    legend: tuple[LegendEntry, ...]
    says: tuple[Saying, ...]
    data: Markup | None


@dataclass(frozen=True, slots=True)
class MachineCharts:
    """The charts of one machine: those of the answer, the rest, and in words how many lines were left out."""

    lead: tuple[ChartView, ...]
    more: tuple[ChartView, ...]
    left: str

    @property
    def any(self) -> bool:
        """True when at least one chart is shown."""
        return bool(self.lead)


class ChartStore:
    """The series of a report, thinned out once however often the page has to be cut."""

    def __init__(self, report: Report) -> None:
        self._machines = report.machines
        self._lines: dict[int, tuple[Line, ...]] = {}

    def charted(self, numbers: Sequence[int]) -> list[int]:
        """Those of these machines (counted from 1) that have series."""
        return [number for number in numbers if self._machines[number - 1].series]

    def views(
        self, numbers: Sequence[int], lines: int, points: int, text: int, *, live: bool
    ) -> dict[int, MachineCharts]:
        """The charts of these machines, of those that have any: at most ``lines`` lines, and about ``points`` points.

        ``text`` is the longest sentence; ``live`` says that a script will draw them.
        """
        charted = self.charted(numbers)
        lines_each = lines // max(1, len(charted))
        wanted = sum(min(lines_each, len(self._of(number))) for number in charted) if lines_each else 0
        points_each = max(_LEAST_POINTS, min(FINE, points // max(1, wanted)))
        made = {number: self._machine(number, lines_each, points_each, text, live=live) for number in charted}
        return {number: charts for number, charts in made.items() if charts.any or charts.left}

    def _of(self, number: int) -> tuple[Line, ...]:
        if number not in self._lines:
            series = self._machines[number - 1].series[:MOST_SERIES]
            self._lines[number] = tuple(line for line in map(line_of, series) if line is not None)
        return self._lines[number]

    def _machine(self, number: int, lines: int, points: int, text: int, *, live: bool) -> MachineCharts:
        charts, left = charts_of(self._of(number), lines, points) if lines else ((), 0)
        if not lines:
            left = len(self._machines[number - 1].series)
        left += max(0, len(self._machines[number - 1].series) - MOST_SERIES) if lines else 0
        leading = [chart for chart in charts if chart.leads][:_LEADING] or list(charts[:1])
        return MachineCharts(
            lead=tuple(_view(chart, text, live=live) for chart in leading),
            more=tuple(_view(chart, text, live=live) for chart in charts if chart not in leading),
            left=f"{plural(left, 'more series', 'more series')} over time" if left else "",
        )


def _view(chart: Chart, text: int, *, live: bool) -> ChartView:
    return ChartView(
        title=chart.title,
        clock=clock_text(chart.utc),
        key=_key(chart.lines, live=live),
        picture=chart_svg(chart),
        legend=tuple(
            LegendEntry(n, line.name, value_text(line.known[-1], line.unit)) for n, line in enumerate(chart.lines, 1)
        ),
        says=tuple(
            Saying(n, line.name, line.course, says)
            for n, line in enumerate(chart.lines, 1)
            if (says := " ".join(filter(None, (short(line.says, text), _about_limit(line, live=live)))))
        ),
        data=chart_json(chart) if live else None,
    )


def _key(lines: Sequence[Line], *, live: bool) -> str:
    far = live and any(line.far for line in lines)  # a button shows it
    drawn = (
        ("long dashes: limit", far or any(line.limit_near for line in lines)),
        ("short dashes: fitted growth", any(line.fit for line in lines)),
        ("dots: where it leads", far or any(line.forecast for line in lines)),
    )
    text = ", ".join(words for words, there in drawn if there)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _about_limit(line: Line, *, live: bool) -> str:
    """What the picture cannot show of the limit, and the forecast's date in words."""
    if line.limit is None:
        return ""
    limit = value_text(line.limit, line.unit)
    if line.reached is not None:
        when = moment_text(line.reached.timestamp(), line.utc)
        if when in clean(line.says):
            return ""
        shown = line.forecast or (live and line.far)  # at once, or by a button
        far = "" if shown else ", later than this chart reaches"
        return f"At the fitted rate the limit of {limit} is reached at {when}{far}."
    return "" if line.limit_near else f"The limit of {limit} lies far above this chart."


# ---- figures for the script ------------------------------------------------------------------------------------


def chart_json(chart: Chart) -> Markup:
    """The chart's figures as JSON that can stand inside a script element.

    ``x``: ends of the time axis in seconds after ``t0`` (seconds since 1970). Of each line: ``t`` its times as steps
    of ``dt`` seconds, each counted from the one before (or the number of an earlier line with the same times), ``v``
    its values in the same way as steps of ``dv``, null for a gap. ``far``: the end of the axis that shows all
    forecasts, and of each line the forecast that lies beyond ``x``.
    """
    begin, end = chart.x
    t0 = math.floor(begin)
    dt = _power((end - begin) / 50_000)
    seen: dict[str, int] = {}
    lines: list[dict[str, object]] = []
    for number, line in enumerate(chart.lines):
        times = _time_steps(line, t0, dt)
        dv = _quantum(line)
        limit = line.limit if line.limit_near else None
        entry: dict[str, object] = {
            "n": line.name,
            "t": times,
            "dv": dv,
            "v": _value_steps(line.values, dv),
        }
        first = seen.setdefault(json.dumps(times), number)
        if first != number:
            entry["t"] = first
        if limit is not None:
            entry["limit"] = limit
        for name, ends in (("fit", line.fit), ("ahead", line.forecast), ("far", line.far if chart.far else ())):
            if ends:
                entry[name] = [[round(t - t0, 3), float(f"{v:.9g}")] for t, v in ends]
        lines.append(entry)
    document: dict[str, object] = {
        "unit": chart.unit,
        "utc": chart.utc,
        "t0": t0,
        "dt": dt,
        "x": [begin - t0, end - t0],
        "lines": lines,
    }
    if chart.far is not None:
        document["far"] = round(chart.far - t0, 3)
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPES))


def _power(size: float) -> float:
    """The next power of ten above, not below a millisecond."""
    return max(0.001, float(f"1e{math.ceil(math.log10(max(size, 1e-3)))}"))


def _time_steps(line: Line, t0: float, dt: float) -> list[int]:
    steps: list[int] = []
    before = last = 0
    for time in line.times:
        at = round((time - t0) / dt)
        at = max(at, last + 1) if steps else at  # two times must not fall together
        steps.append(at - before)
        before = last = at
    return steps


def _quantum(line: Line) -> float:
    known = line.known
    spread = max(known) - min(known)
    least = max(spread / _STEPS, line.peak * 1e-12, 1e-12)
    step = float(f"1e{math.ceil(math.log10(least))}")
    # Whole numbers stay whole.
    return max(step, 1.0) if all(value == round(value) for value in known) else step


def _value_steps(values: Sequence[float | None], dv: float) -> list[int | None]:
    steps: list[int | None] = []
    before = 0
    for value in values:
        if value is None:
            steps.append(None)
            continue
        at = round(value / dv)
        steps.append(at - before)
        before = at
    return steps
