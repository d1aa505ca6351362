"""The series of a report as one picture (SVG or PNG), drawn by matplotlib: pools, tags, processes, load."""

import io
import warnings
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from poolsleuth.model.errors import PoolsleuthError
from poolsleuth.model.report import Report, ReportMachine, ReportSeries
from poolsleuth.model.series import moment
from poolsleuth.report.arrange import machine_name
from poolsleuth.report.chart_scale import value_text
from poolsleuth.report.wording import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_PANELS = 24  # of one picture: more do not fit a page
MAX_LINES = 8  # of one panel: more cannot be told apart
_NEAR = 3.0  # a limit further above the peak than this would press the lines to the ground
_LOCAL = "local time of the server"
_HIGHEST = 1e30  # a figure beyond is damage
_FARTHEST = 1e11  # seconds from a series' start
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BYTES = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"), (0, "bytes"))
_TITLES = {"pool": "Pools", "tag": "Tags", "process": "Processes", "load": "Load", "counter": "Counters"}


def render_picture(report: Report, kind: str) -> bytes:
    """The picture's bytes; ``kind`` is "svg" or "png".

    Raises PoolsleuthError when matplotlib is not installed, or when the report holds no series.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - an extra, and slow to load
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise PoolsleuthError("pictures need matplotlib: install it with `pip install 'poolsleuth[plot]'`") from None
    panels = [panel for number, machine in enumerate(report.machines, 1) for panel in _panels(machine, number)]
    if not panels:
        raise PoolsleuthError("nothing in this evidence was captured at two known times: there is nothing to draw")
    panels = panels[:MAX_PANELS]
    figure = Figure(figsize=(11, 2.9 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (title, lines) in enumerate(panels, start=1):
        _draw(figure.add_subplot(len(panels), 1, place), title, lines)
    out = io.BytesIO()
    # No date and fixed ids: the same evidence gives the same file
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    import matplotlib as mpl  # noqa: PLC0415

    with mpl.rc_context({"svg.hashsalt": "poolsleuth"}), warnings.catch_warnings():
        # Names may hold characters that the font lacks: they are drawn as boxes, and that is all there is to say
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(out, format=kind, dpi=110, metadata=metadata)
    return out.getvalue()


def _panels(machine: ReportMachine, number: int) -> list[tuple[str, list[ReportSeries]]]:
    """One panel per kind and unit: figures of one unit share an axis."""
    name = short(machine_name(machine, number), 60)
    groups: dict[tuple[str, str], list[ReportSeries]] = {}
    for series in machine.series:
        groups.setdefault((series.kind, series.unit), []).append(series)
    return [
        (f"{name}: {_TITLES.get(kind) or short(kind, 20)}", members[:MAX_LINES])
        for (kind, _), members in groups.items()
    ]


def _draw(axes: "Axes", title: str, lines: Sequence[ReportSeries]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415
    from matplotlib.ticker import EngFormatter  # noqa: PLC0415

    factor, unit = _scale(lines)
    axes.set_title(_literal(f"{title}, {unit}"), loc="left", fontsize=10)
    for place, series in enumerate(lines):
        colour = f"C{place}"
        times, values = _drawable(series, zip(series.seconds, series.values, strict=True))
        top = max((v for v in values if isfinite(v)), default=0.0)
        limit = series.limit if series.limit is not None and 0 < series.limit < _HIGHEST else None
        near = limit is not None and limit <= _NEAR * top
        label = short(series.name, 60)
        if limit is not None and not near:
            label = f"{label}, limit {value_text(limit, series.unit)}"
        axes.plot(times, [v / factor for v in values], color=colour, linewidth=1.2, label=_literal(label))
        ends, fitted = _drawable(series, series.line)
        if len(ends) == 2:
            axes.plot(ends, [v / factor for v in fitted], color=colour, linestyle="--", linewidth=1)
        if limit is not None and near:
            axes.axhline(limit / factor, color=colour, linestyle=":", linewidth=1.2)
    if factor == 1:
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_xlabel(_clock(lines), fontsize=8)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False)


def _clock(lines: Sequence[ReportSeries]) -> str:
    """Whose clock the times of a panel are of."""
    clocks = {series.utc for series in lines}
    return "UTC or local time of the server" if len(clocks) > 1 else "UTC" if True in clocks else _LOCAL


def _scale(lines: Sequence[ReportSeries]) -> tuple[int, str]:
    """By what figures are divided, and the unit they then have: bytes as KB, MB or GB, so that the marks are round."""
    unit = short(lines[0].unit, 20) if lines else ""
    top = max((abs(v) for series in lines for v in series.values if v is not None and abs(v) < _HIGHEST), default=0)
    if unit != "bytes":
        return 1, unit
    size, name = next((size, name) for size, name in _BYTES if top >= size)
    return max(size, 1), name


def _drawable(series: ReportSeries, points: Iterable[tuple[float, float | None]]) -> tuple[Any, list[float]]:
    """Dates and figures that can be drawn: a report that was read back may hold any number."""
    times: list[datetime] = []
    values: list[float] = []
    begin = (series.start - _EPOCH).total_seconds()
    for seconds, value in points:
        at = moment(begin + seconds) if abs(seconds) < _FARTHEST else None
        if at is not None:
            times.append(at)
            values.append(float(value) if value is not None and abs(value) < _HIGHEST else float("nan"))
    return times, values


def _literal(text: str) -> str:
    """Text as it is: a dollar sign would begin a formula, a leading underscore hides a legend's entry."""
    return " " + text.replace("$", r"\$") if text.startswith("_") or not text else text.replace("$", r"\$")
