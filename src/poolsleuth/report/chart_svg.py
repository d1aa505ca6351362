"""A chart as a static picture: scalable, without a script, with limits, fitted growth and forecast.

The lines lie in an inner picture that is stretched to the width of the page; texts and marks stand outside it, at
percentages, so that no width makes them small.
"""

from collections.abc import Iterable

from markupsafe import Markup, escape

from poolsleuth.report.chart_data import Chart, Line, Point, thin
from poolsleuth.report.chart_scale import moment_text, time_marks, value_marks, value_text
from poolsleuth.report.wording import clean

PICTURE_POINTS = 200  # points of a line in the picture
_GRID = 1000  # the inner picture's own units on either axis
_NAMED = 4  # lines that the picture's description names


def chart_svg(chart: Chart) -> Markup:
    """The whole picture. Everything in it is a number, our own word, or escaped."""
    place = _Place(chart)
    parts = [f'<svg class="plot" role="img" aria-label="{_words(describe(chart))}">', '<g class="grid">']
    for value, text in value_marks(*chart.y, chart.unit):
        y = place.y_percent(value)
        parts.append(f'<line x2="100%" y1="{y}" y2="{y}"/><text class="at-y" x="-8" y="{y}">{_words(text)}</text>')
    for n, (time, text) in enumerate(time_marks(*chart.x)):
        x = place.x_percent(time)
        lines = text.split("\n")
        parts.append(f'<g class="at-x{" odd" if n % 2 else ""}">')
        parts += (f'<text x="{x}" y="100%" dy="{18 + 15 * i}">{_words(line)}</text>' for i, line in enumerate(lines))
        parts.append("</g>")
    parts.append(f'</g><svg width="100%" height="100%" viewBox="0 0 {_GRID} {_GRID}" preserveAspectRatio="none">')
    for n, line in enumerate(chart.lines, 1):
        parts.append(f'<g class="k{n}">{"".join(_paths(line, place))}</g>')
    parts.append("</svg>")
    for n, line in enumerate(chart.lines, 1):
        parts += _marks(n, line, place)
    parts.append("</svg>")
    return Markup("".join(parts))


def describe(chart: Chart) -> str:
    """What the picture shows, in words, for a reader who cannot see it."""
    begin, end = min(line.times[0] for line in chart.lines), max(line.times[-1] for line in chart.lines)
    said = [
        f"{line.name} from {value_text(line.known[0], line.unit)} to {value_text(line.known[-1], line.unit)}"
        for line in chart.lines[:_NAMED]
    ]
    if len(chart.lines) > _NAMED:
        said.append(f"{len(chart.lines) - _NAMED} more lines")
    return f"{chart.title}, {moment_text(begin, chart.utc)} to {moment_text(end, chart.utc)}: {'; '.join(said)}."


def _words(text: str) -> str:
    return str(escape(clean(text)))


class _Place:
    """Where a time and a value lie in the picture."""

    def __init__(self, chart: Chart) -> None:
        self.x0, self.x1 = chart.x
        self.y0, self.y1 = chart.y

    def x(self, time: float) -> int:
        return round((time - self.x0) / (self.x1 - self.x0) * _GRID)

    def y(self, value: float) -> int:
        return round((self.y1 - value) / (self.y1 - self.y0) * _GRID)

    def x_percent(self, time: float) -> str:
        return f"{self.x(time) * 100 / _GRID:g}%"

    def y_percent(self, value: float) -> str:
        return f"{self.y(value) * 100 / _GRID:g}%"


def _paths(line: Line, place: _Place) -> Iterable[str]:
    times, values = thin(line.times, line.values, PICTURE_POINTS)
    if line.limit is not None and line.limit_near:
        yield f'<path class="limit" d="M0 {place.y(line.limit)}h{_GRID}"/>'
    yield f'<path d="{_course(times, values, place)}"/>'
    for name, ends in (("fit", line.fit), ("forecast", line.forecast)):
        if ends:
            yield f'<path class="{name}" d="{_straight(ends, place)}"/>'


def _course(times: Iterable[float], values: Iterable[float | None], place: _Place) -> str:
    """The line as relative steps; a lone value is a step of no length, which its round end makes a dot."""
    parts: list[str] = []
    x = y = 0
    begun = False  # whether the stretch has a first point
    steps = 0
    for time, value in zip(times, values, strict=True):
        if value is None:
            if begun and not steps:
                parts.append("h0")
            begun = False
            continue
        to_x, to_y = place.x(time), place.y(value)
        if begun:
            if (to_x, to_y) != (x, y):
                dx, dy = to_x - x, to_y - y
                # Steps that follow each other need no letter of their own, and a minus sign no blank before it.
                parts.append(f"{'l' if not steps else ' ' if dx >= 0 else ''}{dx}{' ' if dy >= 0 else ''}{dy}")
                steps += 1
        else:
            parts.append(f"M{to_x} {to_y}")
            begun, steps = True, 0
        x, y = to_x, to_y
    if begun and not steps:
        parts.append("h0")
    return "".join(parts)


def _straight(ends: tuple[Point, ...], place: _Place) -> str:
    (t0, v0), (t1, v1) = ends
    return f"M{place.x(t0)} {place.y(v0)}L{place.x(t1)} {place.y(v1)}"


def _marks(n: int, line: Line, place: _Place) -> Iterable[str]:
    """The limit's words and the point where the forecast meets it."""
    if line.limit is None or not line.limit_near:
        return
    y = place.y_percent(line.limit)
    # Lines take turns at the two sides, so that two limits close together do not write over each other.
    side = 'class="limit-text" x="8"' if n % 2 else 'class="limit-text right" x="100%" dx="-8"'
    yield f'<g class="k{n}"><text {side} y="{y}" dy="-5">limit {_words(value_text(line.limit, line.unit))}</text>'
    if line.forecast:
        yield f'<circle cx="{place.x_percent(line.forecast[1][0])}" cy="{y}" r="4.5"/>'
    yield "</g>"
