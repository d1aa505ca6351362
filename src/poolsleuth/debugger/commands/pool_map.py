"""``!xpool -map`` of an old debugger extension: the pages of the pools, one character for each."""

import re

import numpy as np

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.pool_pages import PoolPages, read_pool_pages
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import missing, printable
from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.memory_counters.figures import KernelFigure
from poolsleuth.kernel.memory_counters.reader import read_memory_counters
from poolsleuth.model.errors import InputError
from poolsleuth.model.pool_picture import MAP_LEGEND, MAP_ROW

MAX_GAP = 64  # rows without any page in use that are printed between two that have some; a longer gap is "..."
_GROUP = 16


def _run(target: Target, _match: re.Match[str], rest: str) -> Lines:
    if rest.lower() not in ("-map", "/map"):
        raise InputError(f"of !xpool only the map is there: !xpool -map, not '{printable(rest, 40)}'")
    return _lines(target)


def _lines(target: Target) -> Lines:
    found = read_pool_pages(target)
    if not len(found.nonpaged.pages) and not len(found.paged.pages):
        yield f"*** {printable('; '.join(found.says) or 'no page of the pools can be seen in this dump')}"
        return
    counters = read_memory_counters(target.kernel, target.physical_pages)
    yield from MAP_LEGEND
    for name, pool, most in (
        ("Non-Paged", found.nonpaged, counters.nonpaged_max),
        ("Paged", found.paged, counters.paged_max),
    ):
        yield ""
        yield from _pool(target, name, pool, most)
    if found.says:
        yield from missing("; ".join(found.says))


def _pool(target: Target, name: str, pool: PoolPages, most: KernelFigure | None) -> Lines:
    title = f"{name} Pool Area Summary"
    yield title
    yield "-" * (len(title) + 1)
    used = len(pool.pages)
    share = ""
    if most is not None and most.value >= PAGE:
        yield f"Maximum Number of Pages  = {most.value // PAGE} pages"
        share = f" ({100 * used / (most.value // PAGE):.1f}%)"
    yield f"Number of Pages In Use   = {used} pages{share}"
    yield ""
    if not used:
        return
    width = 2 * target.kernel.pointer_size
    yield " " * width + "  +00000  +08000   +10000  +18000   +20000  +28000   +30000  +38000"
    rows, starts = np.unique(pool.pages // np.uint64(MAP_ROW), return_index=True)
    ends = np.append(starts[1:], used)
    before: int | None = None
    for row, start, end in zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True):
        gap = 0 if before is None else row - before - 1
        if gap > MAX_GAP:
            yield "..."
        else:
            for empty in range(row - gap, row):
                yield _row(target, empty, bytearray(b"." * MAP_ROW))
        cells = bytearray(b"." * MAP_ROW)
        for page, mark in zip(pool.pages[start:end].tolist(), pool.marks[start:end].tolist(), strict=True):
            cells[page - row * MAP_ROW] = mark
        yield _row(target, row, cells)
        before = row


def _row(target: Target, row: int, cells: bytearray) -> str:
    text = cells.decode("ascii")
    groups = " ".join(text[at : at + _GROUP] for at in range(0, MAP_ROW, _GROUP))
    return f"{target.plain(row * MAP_ROW * PAGE)}: {groups}"


COMMANDS = (
    Command(
        re.compile(r"!xpool\b"),
        ("!xpool -map",),
        "!xpool -map",
        "the pages of nonpaged and paged pool, one character for each (the whole pool is walked)",
        _run,
    ),
)
