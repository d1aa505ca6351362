"""A course over time drawn with characters: braille dots, or plain ASCII, at any size."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style

from poolsleuth.report.chart_scale import time_marks, value_marks

Floats = NDArray[np.float64]
Canvas = NDArray[np.bool_]

FEWEST_COLUMNS = 30  # a narrower chart has no axes: their words would take most of it
FEWEST_ROWS = 5
WIDEST_LABEL = 12  # characters of a figure at the left axis
_LAST_TIME = 32_503_680_000.0  # the year 3000: later is damage, not a date
_BEYOND = 1e300  # a figure beyond is damage, and sums of such overflow
_FLAT = 0.05  # of the level: a smaller movement does not fill the height
_GAP = 8.0  # times the usual distance of two samples: from there on nobody watched, and no line is drawn
_FEW = 8  # samples from which there is a usual distance
_DETAILED_HEIGHT = 2.0  # a limit up to so many times the highest value is drawn to scale
_DAY = 86_400.0

# Dots of a braille character by row and column, as Unicode numbers them
_BRAILLE = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_ASCII = (" ", "'", ".", ":")

LINE = Style(color="cyan", bold=True)
AXIS = Style(dim=True)
LIMIT = Style(color="red")
MARK = Style(color="yellow", bold=True)
_NONE = Style.null()


@dataclass(frozen=True, slots=True)
class Scale:
    """What the edges of the plot stand for: ``low`` and ``high`` of the figures, ``begin`` and ``end`` of the times.

    ``dated`` is False when the samples are only numbered: then times count samples from 0.
    """

    low: float
    high: float
    begin: float
    end: float
    dated: bool

    def row(self, value: float, rows: int) -> int:
        """The row from the top, of so many, that a value falls into."""
        share = (value - self.low) / (self.high - self.low)
        return rows - 1 - min(rows - 1, max(0, round(share * (rows - 1))))

    def column(self, time: float, columns: int) -> int:
        """The column that a time falls into; the last one when all times are one."""
        if self.end <= self.begin:
            return columns - 1
        share = (time - self.begin) / (self.end - self.begin)
        return min(columns - 1, max(0, round(share * (columns - 1))))


def draw(
    times: Floats,
    values: Floats,
    width: int,
    height: int,
    *,
    plain: bool = False,
    unit: str = "bytes",
    utc: bool = True,
    limit: float | None = None,
    mark: float | None = None,
) -> list[list[Segment]]:
    """``height`` rows of exactly ``width`` characters.

    ``times`` are seconds since 1970, ascending, or NaN where samples have only their order; ``values`` are NaN where
    not known, which is a gap. ``unit`` is "bytes", "count" or "per second". ``plain`` uses ASCII only. ``limit`` is
    drawn where the scale reaches it, ``mark`` is a time. Whatever falls into one column of dots is drawn from its least
    to its greatest value, so that no peak is lost.
    """
    if width <= 0 or height <= 0:
        return [[] for _ in range(max(0, height))]
    count = min(len(times), len(values))
    known = np.where(np.abs(values[:count]) < _BEYOND, values[:count], np.nan)
    if not np.isfinite(known).any():
        return _nothing(width, height)
    times, known, dated = _placed(times[:count], known)
    low, high = _reach(known, limit)
    scale = Scale(low, high, float(times[0]), float(times[-1]), dated)
    axes = width >= FEWEST_COLUMNS and height >= FEWEST_ROWS
    rows = height - 2 if axes else height
    labels = _labels(scale, rows, unit) if axes else {}
    left = max((len(label) for label in labels.values()), default=0) + 2 if axes else 0
    columns = width - left
    dots = (2, 1) if plain else (4, 2)
    canvas = _canvas(times, known, scale, rows * dots[0], columns * dots[1])
    cells = _ascii(canvas) if plain else _braille(canvas)
    plot = _Plot(cells, plain)
    if limit is not None and scale.low <= limit <= scale.high:
        plot.across(scale.row(limit, rows))
    marked = None
    if mark is not None and dated and scale.begin <= mark <= scale.end:
        marked = scale.column(mark, columns)
        plot.down(marked)
    if not axes:
        return [list(row) for row in plot.rows()]
    drawn = []
    for number, row in enumerate(plot.rows()):
        label = labels.get(number, "")
        edge = ("+" if plain else "┤") if label else ("|" if plain else "│")
        drawn.append([Segment(label.rjust(left - 2) + " " + edge, AXIS), *row])
    drawn.extend(_foot(scale, left, columns, marked=marked, mark=mark, utc=utc, plain=plain))
    return drawn


def _nothing(width: int, height: int) -> list[list[Segment]]:
    says = "no figures yet"[:width]
    middle = (height - 1) // 2
    return [[Segment(says.center(width) if row == middle else " " * width, AXIS)] for row in range(height)]


def _placed(times: Floats, values: Floats) -> tuple[Floats, Floats, bool]:
    """Both in the order of time; by their numbers where a time is not known or can be none."""
    with np.errstate(invalid="ignore"):
        dated = bool(((times >= 0) & (times < _LAST_TIME)).all())
    if not dated:
        return np.arange(len(values), dtype=np.float64), values, False
    order = np.argsort(times, kind="stable")
    return times[order], values[order], True


def _reach(values: Floats, limit: float | None) -> tuple[float, float]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if limit is not None and high <= limit <= _DETAILED_HEIGHT * high:
        high = limit
    if 0 <= low <= high / 2:
        low = 0.0
    least = _FLAT * max(abs(low), abs(high))
    if high - low < least:  # noise on a high level must not look like a swing
        middle = low + (high - low) / 2
        low, high = middle - least / 2, middle + least / 2
    return (low, high) if high > low else (low, low + 1.0)


def _labels(scale: Scale, rows: int, unit: str) -> dict[int, str]:
    """What stands at the left axis, by row."""
    labels: dict[int, str] = {}
    for value, text in value_marks(scale.low, scale.high, unit, max(3, rows // 3)):
        labels.setdefault(scale.row(value, rows), text[:WIDEST_LABEL])
    return labels


def _canvas(times: Floats, values: Floats, scale: Scale, rows: int, columns: int) -> Canvas:
    canvas = np.zeros((rows, columns), np.bool_)
    steps = np.diff(times)
    usual = float(np.median(steps)) * _GAP if len(times) >= _FEW and scale.dated else math.inf
    before: tuple[int, int] | None = None
    for number, value in enumerate(values.tolist()):
        if math.isnan(value):
            before = None
            continue
        here = (scale.column(float(times[number]), columns), scale.row(value, rows))
        if before is None or 0 < usual < float(steps[number - 1]):
            canvas[here[1], here[0]] = True
        else:
            _join(canvas, before, here)
        before = here
    return canvas


def _join(canvas: Canvas, first: tuple[int, int], last: tuple[int, int]) -> None:
    """A line of dots; both ends are in it."""
    (x, y), (end_x, end_y) = first, last
    if x == end_x:
        canvas[min(y, end_y) : max(y, end_y) + 1, x] = True
        return
    canvas[y, x] = canvas[end_y, end_x] = True
    length = end_x - x
    for step in range(1, length + 1):
        # Each column gets its half of the way to the one before, so that a steep line has no holes
        begin = y + round((end_y - y) * (step - 1) / length)
        end = y + round((end_y - y) * step / length)
        middle = (begin + end) // 2
        canvas[min(begin, middle) : max(begin, middle) + 1, x + step - 1] = True
        canvas[min(end, middle) : max(end, middle) + 1, x + step] = True


def _braille(canvas: Canvas) -> list[list[str]]:
    rows, columns = canvas.shape
    blocks = canvas.reshape(rows // 4, 4, columns // 2, 2).transpose(0, 2, 1, 3)
    codes = (blocks * _BRAILLE).sum(axis=(2, 3))
    return [["\u2800" if not code else chr(0x2800 + code) for code in row] for row in codes.tolist()]


def _ascii(canvas: Canvas) -> list[list[str]]:
    codes = canvas[0::2].astype(np.int64) + 2 * canvas[1::2]
    return [[_ASCII[code] for code in row] for row in codes.tolist()]


class _Plot:
    """Cells with their styles; lines that are no figures go only where no figure is."""

    def __init__(self, cells: list[list[str]], plain: bool) -> None:
        empty = " " if plain else "\u2800"
        self._cells = [[" " if cell == empty else cell for cell in row] for row in cells]
        self._styles = [[_NONE if cell == " " else LINE for cell in row] for row in self._cells]
        self._plain = plain

    def across(self, row: int) -> None:
        """The limit."""
        for column, cell in enumerate(self._cells[row]):
            if cell == " ":
                self._cells[row][column] = "=" if self._plain else "╌"
                self._styles[row][column] = LIMIT

    def down(self, column: int) -> None:
        """The mark."""
        for cells, styles in zip(self._cells, self._styles, strict=True):
            if cells[column] == " ":
                cells[column] = "|" if self._plain else "┊"
                styles[column] = MARK

    def rows(self) -> Iterable[list[Segment]]:
        """Segments, one for each run of one style."""
        for cells, styles in zip(self._cells, self._styles, strict=True):
            row: list[Segment] = []
            begin = 0
            for place in range(1, len(cells) + 1):
                if place == len(cells) or styles[place] is not styles[begin]:
                    row.append(Segment("".join(cells[begin:place]), styles[begin]))
                    begin = place
            yield row


# ---- the time axis ----


def _foot(
    scale: Scale, left: int, columns: int, *, marked: int | None, mark: float | None, utc: bool, plain: bool
) -> tuple[list[Segment], list[Segment]]:
    words = _Words(left + columns)
    first, last = _ends(scale, columns, utc=utc)
    if not words.put(left + columns - len(last), last):
        words.put(left + columns - len(last.split(" ")[0]), last.split(" ")[0])
    if scale.end > scale.begin or not scale.dated:
        words.put(max(0, left - 1), first)
    ticks = []
    if marked is not None and mark is not None:
        text = f"mark {_clock(mark, scale)}"
        words.put(min(max(0, left + marked - len(text) // 2), left + columns - len(text)), text)
    if scale.dated and scale.end > scale.begin:
        for time, text in time_marks(scale.begin, scale.end, max(1, columns // 16)):
            clock, _, date = text.partition("\n")
            said = date[5:] if date and clock.startswith("00:00") else clock
            place = scale.column(time, columns)
            if words.put(left + place - len(said) // 2, said):
                ticks.append(place)
    axis = ["-" if plain else "─"] * columns
    for place in ticks:
        axis[place] = "+" if plain else "┬"
    corner = Segment(" " * (left - 1) + ("+" if plain else "└"), AXIS)
    if marked is None:
        line = [corner, Segment("".join(axis), AXIS)]
    else:
        line = [corner, Segment("".join(axis[:marked]), AXIS), Segment("M", MARK)]
        line.append(Segment("".join(axis[marked + 1 :]), AXIS))
    return [part for part in line if part.text], [Segment(words.text, AXIS)]


class _Words:
    """One line, into which words are put where they do not touch others."""

    def __init__(self, width: int) -> None:
        self._cells = [" "] * width

    @property
    def text(self) -> str:
        return "".join(self._cells)

    def put(self, place: int, text: str) -> bool:
        end = place + len(text)
        around = self._cells[max(0, place - 2) : end + 2]
        if place < 0 or end > len(self._cells) or any(cell != " " for cell in around):
            return False
        self._cells[place:end] = text
        return True


def _ends(scale: Scale, columns: int, *, utc: bool) -> tuple[str, str]:
    if not scale.dated:
        return "first sample", "now"
    first, last = _clock(scale.begin, scale), _clock(scale.end, scale)
    if columns >= 60 and len(first) <= 8:
        first = f"{np.datetime64(int(scale.begin), 's')}"[:10] + " " + first
    return f"start {first}", f"now {last} {'UTC' if utc else 'local'}"


def _clock(time: float, scale: Scale) -> str:
    date, clock = f"{np.datetime64(int(time), 's')}".split("T")
    if int(scale.begin // _DAY) != int(scale.end // _DAY):
        return f"{date[5:]} {clock[:5]}"
    return clock if scale.end - scale.begin < 900 else clock[:5]


def text_of(rows: Sequence[Sequence[Segment]]) -> str:
    """The characters of a chart without their styles, one line for each row."""
    return "\n".join("".join(segment.text for segment in row) for row in rows)
