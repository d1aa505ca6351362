"""Which columns a width has room for, and where each of them stands."""

from collections.abc import Sequence
from dataclasses import dataclass

from poolsleuth.top.screen.colours import Signs
from poolsleuth.top.view import Column

TAG_WIDTH = 4
WIDEST_TAG = 16  # cells: four control characters, as they are shown
LEAD = 1  # the cursor's sign, before everything
WIDEST_TREND = 32
WIDEST_DRIVER = 24

SESSION = "session"  # kinds of cells that are no column of the view
CHANGE = "change"
VALUE = "value"

_ORDER = (
    (Column.TAG, VALUE),
    (Column.TYPE, VALUE),
    (Column.TYPE, SESSION),
    (Column.ALLOCS, VALUE),
    (Column.ALLOCS, CHANGE),
    (Column.FREES, VALUE),
    (Column.FREES, CHANGE),
    (Column.DIFF, VALUE),
    (Column.DIFF, CHANGE),
    (Column.BYTES, VALUE),
    (Column.BYTES, CHANGE),
    (Column.EACH, VALUE),
    (Column.EACH, CHANGE),
    (Column.RATE, VALUE),
    (Column.STARTED, VALUE),
    (Column.MARKED, VALUE),
    (Column.SHARE, VALUE),
    (Column.TREND, VALUE),
    (Column.DRIVER, VALUE),
    (Column.NOTE, VALUE),
)
_SIZES = {  # title and width
    (Column.TAG, VALUE): ("Tag", TAG_WIDTH),
    (Column.TYPE, VALUE): ("Type", 5),
    (Column.TYPE, SESSION): ("Sess", 4),
    (Column.ALLOCS, VALUE): ("Allocs", 10),
    (Column.ALLOCS, CHANGE): ("", 9),
    (Column.FREES, VALUE): ("Frees", 10),
    (Column.FREES, CHANGE): ("", 9),
    (Column.DIFF, VALUE): ("Diff", 8),
    (Column.DIFF, CHANGE): ("", 8),
    (Column.BYTES, VALUE): ("Bytes", 11),
    (Column.BYTES, CHANGE): ("", 9),
    (Column.EACH, VALUE): ("PerAlloc", 8),
    (Column.EACH, CHANGE): ("", 8),
    (Column.RATE, VALUE): ("Rate/h", 6),
    (Column.STARTED, VALUE): ("SinceStart", 10),
    (Column.MARKED, VALUE): ("SinceMark", 9),
    (Column.SHARE, VALUE): ("Share", 6),
    (Column.TREND, VALUE): ("Trend", 12),
    (Column.DRIVER, VALUE): ("Driver", 12),
    (Column.NOTE, VALUE): ("Note", 16),
}
_WANTED = (
    (Column.TAG, VALUE),
    (Column.TYPE, VALUE),
    (Column.BYTES, VALUE),
    (Column.TYPE, SESSION),
    (Column.DIFF, VALUE),
    (Column.BYTES, CHANGE),
    (Column.ALLOCS, VALUE),
    (Column.FREES, VALUE),
    (Column.MARKED, VALUE),
    (Column.EACH, VALUE),
    (Column.RATE, VALUE),
    (Column.STARTED, VALUE),
    (Column.DRIVER, VALUE),
    (Column.TREND, VALUE),
    (Column.ALLOCS, CHANGE),
    (Column.FREES, CHANGE),
    (Column.SHARE, VALUE),
    (Column.NOTE, VALUE),
    (Column.DIFF, CHANGE),
)
_TOGETHER = ((Column.ALLOCS, CHANGE), (Column.FREES, CHANGE))
_TEXTS = {Column.TAG, Column.TYPE, Column.TREND, Column.DRIVER, Column.NOTE}  # left-aligned


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of a line: from ``x``, ``width`` cells wide, with a blank before it."""

    column: Column
    kind: str
    title: str
    x: int
    width: int

    @property
    def left(self) -> bool:
        """Whether it holds text, which stands left."""
        return self.column in _TEXTS and self.kind == VALUE


@dataclass(frozen=True, slots=True)
class Layout:
    """The cells of a line from left to right, for a width."""

    cells: tuple[Cell, ...]
    width: int

    def at(self, x: int) -> Cell | None:
        """The cell under a position; the blank before a cell belongs to it."""
        for cell in self.cells:
            if cell.x - 1 <= x < cell.x + cell.width:
                return cell
        return None

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that can be sorted by, from left to right."""
        return tuple(dict.fromkeys(cell.column for cell in self.cells if cell.kind == VALUE))


def layout(
    width: int,
    *,
    sort: Column,
    by_change: bool = False,
    tag_width: int = TAG_WIDTH,
    marked: bool = False,
    sessions: bool = False,
    dated: bool = True,
    owned: bool = True,
    alone: bool = False,
) -> Layout:
    """The columns that ``width`` cells have room for.

    ``marked``: there is a mark; ``sessions``: session pools are shown; ``dated``: the samples have times, so that there
    are rates; ``owned``: drivers are known; ``alone``: there is one sample only, so that nothing changes. The column
    that is sorted by, or its change, is there whenever it can be.
    """
    left_out = set()
    if not marked:
        left_out.add((Column.MARKED, VALUE))
    if not sessions:
        left_out.add((Column.TYPE, SESSION))
    if not dated or alone:
        left_out.add((Column.RATE, VALUE))
    if alone:
        left_out |= {pair for pair in _ORDER if pair[1] == CHANGE}
        left_out |= {(Column.STARTED, VALUE), (Column.MARKED, VALUE), (Column.TREND, VALUE)}
    if not owned:
        left_out |= {(Column.DRIVER, VALUE), (Column.NOTE, VALUE)}
    sizes = {**_SIZES, (Column.TAG, VALUE): ("Tag", min(max(TAG_WIDTH, tag_width), WIDEST_TAG))}
    first = ((sort, VALUE), (sort, CHANGE)) if by_change else ((sort, VALUE),)
    wanted = [pair for pair in (_WANTED[0], *first, *_WANTED[1:]) if pair in sizes and pair not in left_out]
    chosen: dict[tuple[Column, str], int] = {}
    room = width - LEAD
    for pair in dict.fromkeys(wanted):
        # Changes of allocations and of frees say something together only
        group = [one for one in (_TOGETHER if pair in _TOGETHER else (pair,)) if one not in chosen]
        size = sum(sizes[one][1] for one in group) + len(group) - (0 if chosen else 1)
        if group and size <= room:
            chosen |= {one: sizes[one][1] for one in group}
            room -= size
    for pair, widest in (
        ((Column.DRIVER, VALUE), 14),
        ((Column.NOTE, VALUE), width),
        ((Column.TREND, VALUE), WIDEST_TREND),
        ((Column.DRIVER, VALUE), WIDEST_DRIVER),
    ):
        if pair in chosen and chosen[pair] < widest:
            more = min(room, widest - chosen[pair])
            chosen[pair] += more
            room -= more
    return Layout(tuple(_placed([(pair, chosen[pair], sizes[pair][0]) for pair in _ORDER if pair in chosen])), width)


def _placed(chosen: Sequence[tuple[tuple[Column, str], int, str]]) -> list[Cell]:
    cells: list[Cell] = []
    x = LEAD
    for (column, kind), width, title in chosen:
        cells.append(Cell(column, kind, title, x, width))
        x += width + 1
    return cells


def titles(shown: Layout, sort: Column, *, by_change: bool, ascending: bool, signs: Signs) -> list[tuple[str, bool]]:
    """The heading: stretches of text, and whether each is that of the column that is sorted by.

    The sorted column has an arrow at its title, down when the largest stand first. By change, the arrow stands over
    the column's changes; where these have no room, the title stands in parentheses, as changes do.
    """
    arrow = signs.up if ascending else signs.down
    line: list[tuple[str, bool]] = []
    moved = by_change and any(cell.column is sort and cell.kind == CHANGE for cell in shown.cells)
    x = 0
    for cell in shown.cells:
        title, here = cell.title, cell.column is sort and cell.kind == (CHANGE if moved else VALUE)
        if here:
            title = "(change)" if moved else f"({title})" if by_change else title
            title = title + arrow if cell.left else arrow + title
        # A title that is wider than its column takes the blank before it, then loses its beginning
        gap = cell.x - x
        text = title.ljust(cell.width) if cell.left else title.rjust(cell.width)
        if len(text) > cell.width + (0 if cell.left else gap):
            text = text[: cell.width + 1] if cell.left else text[-(cell.width + gap) :]
        if len(text) <= cell.width:
            line.append((" " * gap, False))
        else:
            line.append((" " * max(0, gap - (len(text) - cell.width)), False))
        line.append((text, here))
        x = cell.x + max(cell.width, len(text) if cell.left else 0)
    return [(text, here) for text, here in line if text]
