"""One line of the table: the figures of a tag in the cells of a layout."""

from collections.abc import Callable

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from poolsleuth.model.tags import PoolKind
from poolsleuth.report.wording import clean, session_text
from poolsleuth.top.screen.colours import CHANGED, CURSOR, GREW, GUESS, PLAIN, SHRANK, Signs
from poolsleuth.top.screen.figures import change, fitted, known, number, scaled, share, spark
from poolsleuth.top.screen.layout import CHANGE, SESSION, Cell, Layout
from poolsleuth.top.view import Column, Row, Total

_CURSOR_CHANGED = CURSOR + CHANGED
_SUM = "Sum"
LATE = "*"  # before a change that is counted from the first sample that shows the tag, later than it should be

Trend = list[float | None]
_Text = Callable[[Row, int], str]

_FIGURES: dict[tuple[Column, bool], _Text] = {
    (Column.ALLOCS, False): lambda row, width: number(row.allocs, width),
    (Column.ALLOCS, True): lambda row, width: change(row.last.allocs, width),
    (Column.FREES, False): lambda row, width: number(row.frees, width),
    (Column.FREES, True): lambda row, width: change(row.last.frees, width),
    (Column.DIFF, False): lambda row, width: number(row.outstanding, width),
    (Column.DIFF, True): lambda row, width: change(row.last.outstanding, width),
    (Column.EACH, True): lambda row, width: change(row.last.each, width, base=1024),
    (Column.BYTES, False): lambda row, width: number(row.bytes, width, base=1024),
    (Column.BYTES, True): lambda row, width: change(row.last.bytes, width, base=1024),
    (Column.EACH, False): lambda row, width: number(row.each, width, base=1024),
    (Column.RATE, False): lambda row, width: scaled(row.rate).rjust(width),
    (Column.STARTED, False): lambda row, width: _since(row.started.bytes, width, late=row.started_late),
    (Column.MARKED, False): lambda row, width: _since(row.marked.bytes, width, late=row.marked_late),
    (Column.SHARE, False): lambda row, width: share(row.share, width),
}
_COLOURED = {
    (Column.BYTES, True): lambda row: row.last.bytes,
    (Column.RATE, False): lambda row: row.rate,
    (Column.STARTED, False): lambda row: row.started.bytes,
    (Column.MARKED, False): lambda row: row.marked.bytes,
}


def _since(value: int | None, width: int, *, late: bool) -> str:
    text = scaled(value)
    return (LATE + text if late and text else text).rjust(width)


def pool_word(row: Row) -> str:
    """As poolmon calls it."""
    return "Paged" if row.paged else "Nonp"


def tag_cells(row: Row) -> int:
    """How wide a tag is, made harmless."""
    return cell_len(clean(row.key.tag))


def line(row: Row, trend: Trend, shown: Layout, signs: Signs, *, cursor: bool, highlight: bool) -> list[Segment]:
    """The line of a tag, exactly as wide as its layout. A line that changed is bold, the cursor's reversed."""
    changed = highlight and row.changed
    base = (_CURSOR_CHANGED if changed else CURSOR) if cursor else (CHANGED if changed else PLAIN)
    pieces: list[tuple[str, Style]] = [(signs.cursor if cursor else " ", base)]
    x = 1
    for cell in shown.cells:
        style = base
        if not cursor:
            if changed and (moved := _COLOURED.get((cell.column, cell.kind == CHANGE))) is not None:
                value = moved(row)
                if value is not None and known(value) and value:
                    style = GREW if value > 0 else SHRANK
            elif cell.column is Column.DRIVER and not row.sure:
                style = base + GUESS
        pieces += [(" " * (cell.x - x), base), (_text(cell, row, trend, signs), style)]
        x = cell.x + cell.width
    pieces.append((" " * (shown.width - x), base))
    return merged(pieces)


def _text(cell: Cell, row: Row, trend: Trend, signs: Signs) -> str:
    figure = _FIGURES.get((cell.column, cell.kind == CHANGE))
    if figure is not None:
        return figure(row, cell.width)
    if cell.kind == SESSION:
        return session_text(row.key.session)[-cell.width :].rjust(cell.width)
    if cell.column is Column.TAG:
        return fitted(row.key.tag, cell.width, signs.cut)
    if cell.column is Column.TYPE:
        return pool_word(row).ljust(cell.width)
    if cell.column is Column.TREND:
        return spark(trend, signs.spark).ljust(cell.width)[: cell.width]
    if cell.column is Column.DRIVER:
        return fitted((row.driver or "") + ("?" if row.driver and not row.sure else ""), cell.width, signs.cut)
    return fitted(row.note or "", cell.width, signs.cut)


def total_line(total: Total, shown: Layout) -> list[Segment]:
    """The sum over the lines of one pool, in the same cells."""
    texts: dict[tuple[Column, str], _Total] = {
        (Column.ALLOCS, "value"): (total.allocs, 1000, False),
        (Column.ALLOCS, CHANGE): (total.last.allocs, 1000, True),
        (Column.FREES, "value"): (total.frees, 1000, False),
        (Column.FREES, CHANGE): (total.last.frees, 1000, True),
        (Column.DIFF, "value"): (total.outstanding, 1000, False),
        (Column.BYTES, "value"): (total.bytes, 1024, False),
        (Column.BYTES, CHANGE): (total.last.bytes, 1024, True),
    }
    text = " "
    for cell in shown.cells:
        text = text.ljust(cell.x)
        if cell.column is Column.TAG:
            text += _SUM
        elif cell.column is Column.TYPE and cell.kind != SESSION:
            text += "Nonp" if total.pool is PoolKind.NONPAGED else "Paged"
        elif (cell.column, cell.kind) in texts:
            value, base, moved = texts[cell.column, cell.kind]
            text += change(value, cell.width, base=base) if moved else number(value, cell.width, base=base)
    return [Segment(text.ljust(shown.width)[: shown.width], CHANGED)]


_Total = tuple[int | None, int, bool]


def merged(pieces: list[tuple[str, Style]]) -> list[Segment]:
    """Stretches of one style as one segment each: the fewer there are, the cheaper a line is to draw."""
    segments: list[Segment] = []
    text, style = "", PLAIN
    for piece, of in pieces:
        if of is style:
            text += piece
            continue
        if text:
            segments.append(Segment(text, style))
        text, style = piece, of
    if text:
        segments.append(Segment(text, style))
    return segments
