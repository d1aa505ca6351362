"""The map in the characters of ``!xpool -map``: our own log reader reads it back as the same pages."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from poolsleuth.model.pool_picture import MAP_LEGEND, MAP_ROW, PAGE, PageKind, PageMark, PicturedPool, PoolPicture
from poolsleuth.model.tags import PoolKind
from poolsleuth.report.pool_map.classes import Columns
from poolsleuth.report.pool_map.words import address_text, maximum_of

_GROUP = 16
_OURS = ("  '?': not in the dump                              ('!': damaged)",)
_NAMES = {
    PoolKind.NONPAGED: "Non-Paged Pool",
    PoolKind.PAGED: "Paged Pool",
    PoolKind.SESSION: "Session Pool",
    None: "Unknown Pool",
}


def render_plain(picture: PoolPicture) -> Iterator[str]:
    """The lines of the map: every page is one character."""
    yield from MAP_LEGEND
    if any(pool.figures.missing or pool.figures.damaged for pool in picture.pools):
        yield from _OURS
    for pool in picture.pools:
        yield ""
        name = _NAMES[pool.pool] + ("" if pool.session is None else f" of Session {pool.session}")
        yield f"{name} Area Summary"
        yield "-" * 28
        maximum = maximum_of(pool)
        if maximum is not None:
            yield f"Maximum Number of Pages  = {maximum} pages"
        used = pool.figures.in_use
        share = f" ({100 * used / maximum:.1f}%)" if maximum is not None else ""
        yield f"Number of Pages In Use   = {used} pages{share}"
        yield ""
        marks = "".join(f"+{n * 0x10000:05x}  +{n * 0x10000 + 0x8000:05x}   " for n in range(4)).rstrip()
        yield " " * (picture.bits // 4 + 2) + marks
        yield from _rows(pool, picture.bits)


def cells_of(pool: PicturedPool) -> NDArray[np.uint8]:
    """The character of each page, as a number."""
    columns = Columns.of(pool)
    kinds, marks = columns.kinds, columns.marks
    first, last = (marks & int(PageMark.FIRST)) != 0, (marks & int(PageMark.LAST)) != 0
    out = (marks & int(PageMark.OUT)) != 0
    cells = np.full(len(kinds), ord("O"), np.uint8)
    cells[(marks & int(PageMark.INSIDE)) != 0] = ord("=")
    cells[first] = ord("<")
    cells[last] = ord(">")
    for plain, moved in (("O", "P"), ("=", "-"), ("<", "{"), (">", "}")):
        cells[out & (cells == ord(plain))] = ord(moved)
    cells[kinds == PageKind.FREE] = ord(".")
    cells[kinds == PageKind.PAGED_OUT] = ord("P")
    cells[kinds == PageKind.MISSING] = ord("?")
    cells[kinds == PageKind.DAMAGED] = ord("!")
    return cells


def _rows(pool: PicturedPool, bits: int) -> Iterator[str]:
    cells = cells_of(pool)
    following: int | None = None
    row: int | None = None
    line = bytearray()
    for area in pool.areas:
        text = cells[area.first : area.first + area.pages].tobytes()
        page, at = area.address // PAGE, 0
        while at < len(text):
            number = page // MAP_ROW
            if number != row:
                if row is not None:
                    yield _row(row, line, bits)
                    following = row + 1
                if following is not None and number != following:
                    yield "..."
                row, line = number, bytearray(b"." * MAP_ROW)
            begin = page % MAP_ROW
            step = min(MAP_ROW - begin, len(text) - at)
            line[begin : begin + step] = text[at : at + step]
            page, at = page + step, at + step
    if row is not None:
        yield _row(row, line, bits)
    if not pool.complete:
        yield "..."


def _row(number: int, line: bytearray, bits: int) -> str:
    groups = (line[at : at + _GROUP].decode("ascii") for at in range(0, MAP_ROW, _GROUP))
    return f"{address_text(number * MAP_ROW * PAGE, bits)}: {' '.join(groups)}"
