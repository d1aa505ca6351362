"""The file that PoolMonX saves: a table of all tags at one time, whatever its ending says no CSV.

The layout is read off a published file: 21 bytes that are all 1, then for each cell the mark FF FE FF, a length
in characters, and UTF-16 text; a byte 1 between cells, two between rows. Ten cells make a row: tag, type, allocations,
frees, difference, bytes, size, bytes per allocation, source, description. The length is one byte, or FF and two bytes:
that is how the library it was written with (MFC) stores a string. The file holds no time.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

from poolsleuth.evidence.source import Readable
from poolsleuth.evidence.tag_history import pool_of, single
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Problem, Where
from poolsleuth.model.tags import Completeness, TagRow, TagTable

MAX_BYTES = 64 << 20  # of a file: the real one of 3,050 rows has 0.4 MB
MAX_ROWS = 100_000
MAX_CELL = 4_096  # characters
_MARK = b"\xff\xfe\xff"
_CELLS = 10
_NUL_SIGN = "\u2400"
_GAP = 64  # bytes before the first cell, and between two
_MAX_NUMBER = 20  # digits
_BLOCK = 1 << 20


def looks_like_poolmonx(sample: bytes) -> bool:
    """Whether the beginning of an input is a table of PoolMonX: two cells, of which the second names a pool."""
    cells = [text for *_, text in _cells(sample[: _GAP + 256], limit=2)]
    return len(cells) == 2 and 1 <= len(cells[0]) <= 4 and pool_of(cells[1]) is not None


def read_poolmonx(
    stream: Readable,
    input_index: int,
    modified: datetime | None,
    problems: list[Problem],
    progress: Callable[[], None],
) -> list[Fact]:
    """The table, and the same as a ``TagHistory`` of one time: that of the file, for it holds no other.

    The table is complete, every tag that it does not name does not exist: PoolMonX shows what the kernel gives it, and
    the kernel gives all tags or none. A file that is cut off is not. Raises InputError when no row can be read.
    """
    data = b""
    while len(data) < MAX_BYTES and (block := stream.read(min(_BLOCK, MAX_BYTES - len(data)))):
        data += block
        progress()
    rows: list[TagRow] = []
    line: list[str] = []
    start = end = 0  # of the row, and of what was read
    whole = True
    for offset, behind, text in _cells(data):
        if not line:
            start = offset
        line.append(text)
        end = behind
        if len(line) == _CELLS:
            row = _row(line, Where(input_index, offset=start))
            whole = whole and row is not None
            if row is not None:
                rows.append(row)
            line = []
            if len(rows) >= MAX_ROWS:
                break
    # Behind the last row stand the byte that ends it and the one that would begin another
    whole = whole and not line and len(data) - end >= 2 and not data[end:].strip(b"\1")
    if not rows:
        raise InputError("it begins like a table of PoolMonX, but no row of it can be read; save it again")
    if not whole:
        problems.append(
            Problem(
                f"the table of PoolMonX is damaged or cut off: {len(rows):,} rows of it were read",
                Where(input_index, offset=end),
            )
        )
    rows = _told_apart(rows)
    table = TagTable(
        where=rows[0].where,
        at=modified,
        rows=tuple(rows),
        pools=frozenset(row.pool for row in rows),
        completeness=Completeness.COMPLETE if whole else Completeness.CUT,
        source="PoolMonX",
    )
    time = modified.timestamp() if modified is not None else math.nan
    return [table, single(table, time, dated_by="the file's own time", complete=whole)]


def _cells(data: bytes, limit: int | None = None) -> Iterator[tuple[int, int, str]]:
    """Beginning, end and text of the cells, up to the first that is cut off or out of place."""
    place = 0
    count = 0
    while limit is None or count < limit:
        mark = data.find(_MARK, place, place + _GAP + len(_MARK))
        if mark < 0 or data[place:mark].strip(b"\1"):
            return
        place = mark + len(_MARK)
        length = int.from_bytes(data[place : place + 1], "little")
        place += 1
        if length == 0xFF:
            length = int.from_bytes(data[place : place + 2], "little")
            place += 2
        end = place + 2 * length
        if length > MAX_CELL or end > len(data):
            return
        yield mark, end, data[place:end].decode("utf-16-le", errors="replace")
        place = end
        count += 1


def _told_apart(rows: list[TagRow]) -> list[TagRow]:
    """The rows with blanks behind their tags stripped.

    A tag may be filled up with blanks or with NULs, and both may exist ("Io" twice, in the real file). Then the one
    with NULs shows them as the sign for NUL.
    """
    filled = {(row.tag.rstrip(" "), row.pool) for row in rows if row.tag.endswith(" ")}
    return [
        replace(row, tag=row.tag.ljust(4, _NUL_SIGN) if (row.tag, row.pool) in filled else row.tag.rstrip(" "))
        for row in rows
    ]


def _row(cells: list[str], where: Where) -> TagRow | None:
    """One row; None when its cells are not those of a table of tags."""
    tag, pool = cells[0].rstrip("\0"), pool_of(cells[1])
    numbers = [int(cell) for cell in cells[2:6] if cell.isdecimal() and cell.isascii() and len(cell) <= _MAX_NUMBER]
    if not 1 <= len(tag) <= 4 or not tag.strip() or pool is None or len(numbers) != 4:
        return None
    allocs, frees, outstanding, size = numbers
    told = allocs - frees == outstanding  # counters of 32 bits that wrapped give no totals
    return TagRow(
        tag=tag,
        pool=pool,
        allocs=allocs if told else None,
        frees=frees if told else None,
        outstanding=outstanding,
        bytes=size,
        where=where,
        description=cells[9].strip() or None,
        binary=cells[8].strip() or None,
    )
