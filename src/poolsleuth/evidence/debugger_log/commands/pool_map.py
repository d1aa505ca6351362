"""``xpool -map`` (the map of pool pages of an old debugger extension): how many pages are used, and how scattered.

Each row is 64 pages, four groups of 16 characters. Published maps leave out most rows.
"""

import re
from collections.abc import Iterable

from poolsleuth.evidence.debugger_log.output import (
    ELISION,
    NUMBER,
    Block,
    BufferedOutput,
    Context,
    Output,
    address_bits,
    integer,
)
from poolsleuth.model.facts import Fact, Figure, Problem
from poolsleuth.model.pool import PoolMap
from poolsleuth.model.tags import PoolKind

PAGE = 0x1000
ROW_PAGES = 64
AREA_ROWS = 16  # rows kept as one text: each text counts as a row of the log, so that long maps are bounded as well
MAX_AREAS = 16_384  # such texts of one map: 64 GB of pool, or as many single rows
_UNUSED = "."
_UNKNOWN = "?"
_PAGED = PoolKind.PAGED

# Session and unknown pools stand in our own maps only (`poolsleuth map --plain`)
_SUMMARY = re.compile(
    r"(?:(?P<non>Non-?[ ]?)?Paged|(?P<session>Session)|(?P<unknown>Unknown))\s+Pool(?:\s+of\s+Session\s+\d{1,5})?"
    r"\s+Area\s+Summary",
    re.IGNORECASE,
)
_MAXIMUM = re.compile(rf"Maximum\s+Number\s+of\s+Pages\s*=\s*({NUMBER})", re.IGNORECASE)
_IN_USE = re.compile(rf"Number\s+of\s+Pages\s+In\s+Use\s*=\s*({NUMBER})", re.IGNORECASE)
# As the debugger prints them; '?' and '!' are of our own maps (not in the dump; damaged), never of a debugger's
_GROUP = r"[OP<{>}=.\-?!]{16}"
# Groups may be wrapped into the next line; a row that lost one of its groups shows fewer cells
_ROW = re.compile(
    rf"^[ ]*+(?P<address>[0-9a-fA-F]{{16}}|[0-9a-fA-F]{{8}}):(?P<cells>(?:\s{{0,8}}{_GROUP}){{1,4}})", re.MULTILINE
)


class _PoolMap(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """One map for each summary: a run of the command may print both pools."""
        text = block.text
        summaries = list(_SUMMARY.finditer(text))
        stray = _ROW.search(text, 0, summaries[0].start() if summaries else len(text))
        if stray and not summaries:
            self.context.problems.append(
                Problem(
                    "a map of pool pages without the line that names its pool ('Non-Paged Pool Area Summary') is not"
                    " used",
                    block.where(stray.start()),
                )
            )
        for number, summary in enumerate(summaries):
            end = summaries[number + 1].start() if number + 1 < len(summaries) else len(text)
            if not summary.group("unknown"):
                yield _map(block, summary, end)


def _map(block: Block, summary: re.Match[str], end: int) -> PoolMap:
    text = block.text

    def figure(row: re.Pattern[str]) -> Figure | None:
        found = row.search(text, summary.end(), end)
        return Figure(integer(found.group(1)), block.where(found.start())) if found else None

    shown = used = isolated = 0
    elided = False
    following: int | None = None
    bits: int | None = None
    last = summary.end()
    areas: list[tuple[int, list[str]]] = []
    for row in _ROW.finditer(text, summary.end(), end):
        cells = "".join(row.group("cells").split())
        address = int(row.group("address"), 16)
        elided |= len(cells) < ROW_PAGES or (following is not None and address != following)
        whole = bool(areas) and address == following and len(areas[-1][1][-1]) == ROW_PAGES
        if whole and len(areas[-1][1]) < AREA_ROWS:
            areas[-1][1].append(cells)
        elif len(areas) < MAX_AREAS:
            areas.append((address, [cells]))
        else:
            elided = True
        following = address + ROW_PAGES * PAGE
        bits = bits or address_bits(row.group("address"))
        shown += len(cells)
        used += len(cells) - cells.count(_UNUSED) - cells.count(_UNKNOWN)
        isolated += sum(
            here not in (_UNUSED, _UNKNOWN) and before == after == _UNUSED
            for before, here, after in zip(cells, cells[1:], cells[2:], strict=False)
        )
        last = row.end()
    used_pages = figure(_IN_USE)
    elided |= ELISION.search(text, summary.end(), min(end, last + 200)) is not None
    elided |= used_pages is not None and used < used_pages.value
    return PoolMap(
        where=block.where(summary.start()),
        live=block.context.live,
        command=block.context.command,
        address_bits=bits,
        pool=PoolKind.NONPAGED if summary.group("non") else PoolKind.SESSION if summary.group("session") else _PAGED,
        maximum_pages=figure(_MAXIMUM),
        used_pages=used_pages,
        shown_pages=shown,
        shown_used=used,
        isolated=isolated,
        elided=elided,
        rows=tuple((address, "".join(cells)) for address, cells in areas),
    )


class _Reader:
    name = "xpool -map"
    banners = (r"Status\s+Map\s+of\s+Pool\s+Area\s+Pages",)
    rows = (
        r"(?:(?:Non-?)?Paged|Session|Unknown)\s+Pool(?:\s+of\s+Session\s+\d{1,5})?\s+Area\s+Summary",
        rf"(?:[0-9a-fA-F]{{16}}|[0-9a-fA-F]{{8}}):[ ]{{0,8}}{_GROUP}",
    )

    def open(self, context: Context) -> Output:
        """Begin a map."""
        return _PoolMap(context)


READER = _Reader()
