"""``!poolused`` with flags 0-5, 8 and ``/tN``: the meaning of the numbers comes from the column header alone."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from poolsleuth.evidence.debugger_log.output import ELISION, NUMBER, Block, BufferedOutput, Context, Output
from poolsleuth.evidence.debugger_log.tag_rows import (
    COLUMNS,
    MIN_BLOCK,
    Columns,
    RawRow,
    is_impossible,
    lost_row,
    read_row,
    split_description,
)
from poolsleuth.model.facts import Fact, Problem
from poolsleuth.model.tags import Completeness, PoolKind, TagRow, TagTable

MAX_LOST_SAID = 3  # rows of one table that get a problem of their own; further ones are counted

_SORT = re.compile(r"Sorting\s+by\s+(?P<session>Session\s+)?(?P<key>NonPaged|Paged|Tag)", re.IGNORECASE)
_HEADER = re.compile(r"^[ #*]*Tag\s+Allocs(?:\s+(?:Allocs|Frees|Diff|Used|Bytes))*", re.MULTILINE | re.IGNORECASE)
_POOLS = re.compile(
    r"^[ #*]*(?:Non-?Paged(?:[ ]+Paged)?|Paged)(?:[ ]+(?:Session|Pool))*[ \x1f]*$", re.MULTILINE | re.IGNORECASE
)
_TOP = re.compile(r"/t\s*(\d+)", re.IGNORECASE)
_FLAGS = re.compile(r"poolused\s+(?:0x)?([0-9a-f]{1,2})(?!\S)", re.IGNORECASE)
_NONPAGED_FLAG, _PAGED_FLAG, _SESSION_FLAG = 2, 4, 8
_CONTINUED = re.compile(r"\s*\n\s*(?P<more>(?:pooltag\s+'|,?\s*Binary:|please\s+update)[^\n]*)")
_NUMBERS_LOST = re.compile(
    rf"^[ ]*(?P<tag>\S[^\n]{{0,3}}?)[ ]+(?P<numbers>{NUMBER}(?:[ ]+{NUMBER}){{3,7}})[^\n]*(?:Binary:|UNKNOWN pooltag)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class _Layout:
    """The column groups of a table: which pool each group speaks of."""

    pools: tuple[PoolKind, ...]
    columns: Columns

    @cached_property
    def places(self) -> tuple[int, int, int, int]:
        """Where allocations, frees, outstanding and used stand in a group; -1 for a column that is not there."""
        diff = "diff" if "diff" in self.columns else "outstanding"
        allocs, frees, outstanding, used = (
            self.columns.index(name) if name in self.columns else -1 for name in ("allocs", "frees", diff, "used")
        )
        return allocs, frees, outstanding, used


class _PoolUsed(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """One table for each column header in the block."""
        headers = list(_HEADER.finditer(block.text))
        if not headers:
            self._without_header(block)
            return
        for number, header in enumerate(headers):
            end = headers[number + 1].start() if number + 1 < len(headers) else len(block.text)
            before = block.text[headers[number - 1].end() if number else 0 : header.start()]
            table = self._table(block, header, end, before)
            if table is not None:
                yield table

    def _without_header(self, block: Block) -> None:
        lost = _NUMBERS_LOST.search(block.text)
        if lost:
            self.context.problems.append(
                Problem(
                    "a !poolused table without its column header: what its numbers mean is not certain, so it is not"
                    " used; paste it again with the line that begins with 'Tag'",
                    block.where(lost.start()),
                )
            )

    def _table(self, block: Block, header: re.Match[str], end: int, before: str) -> TagTable | None:
        sort = None
        for sort in _SORT.finditer(before):  # noqa: B007 - the last one before the header counts
            pass
        layout = _layout(header.group(), before, sort, self.context.command)
        if layout is None:
            self.context.problems.append(
                Problem(
                    "a !poolused table whose header does not say which pool its numbers belong to is not used",
                    block.where(header.start()),
                )
            )
            return None
        rows: list[TagRow] = []
        total: dict[PoolKind, TagRow] = {}
        position = header.end()
        count = len(layout.columns) * len(layout.pools)
        described = cut = False
        lost: list[tuple[int, str]] = []  # offset, reason
        while position < end:
            raw = read_row(block.text, position, end, count, layout.columns)
            why = lost_row(block.text, position, end, count) if raw is None else None
            if raw is not None and not raw.agrees and is_impossible(raw.numbers, layout.columns):
                why = f"has fewer than {MIN_BLOCK} bytes for each allocation"
            if why is not None:
                lost.append((position, why))
            if raw is None or why is not None:
                line_end = block.text.find("\n", raw.end if raw else position, end)
                position = line_end + 1 if line_end >= 0 else end
                continue
            if _is_cut(raw, block, described=described or not rows):
                self.context.problems.append(
                    Problem("the last row of a !poolused table is cut and not used", block.where(raw.start))
                )
                cut = True
                break
            described = described or bool(raw.description)
            position = raw.end
            continued = _CONTINUED.match(block.text, position, end)
            description = raw.description
            if continued:
                description = f"{description} {continued.group('more')}"
                position = continued.end()
            position += 1  # behind the line feed
            for row in _tag_rows(raw, layout, block, description):
                if raw.tag == "TOTAL":
                    total[row.pool] = row
                else:
                    rows.append(row)
        self._report_lost(lost, block)
        if not rows and not total:
            return None
        context = self.context
        session = bool(sort and sort.group("session")) or bool(_flags(context.command) & _SESSION_FLAG)
        key = sort.group("key").lower() if sort else None
        return TagTable(
            where=block.where(header.start()),
            live=context.live,
            command=context.command,
            rows=tuple(rows),
            pools=frozenset(layout.pools),
            completeness=Completeness.CUT
            if cut
            else _completeness(rows, total, layout, block.text[header.end() : end], context.command),
            total=total,
            sorted_by={"nonpaged": PoolKind.NONPAGED, "paged": PoolKind.PAGED}.get(key or ""),
            session=-1 if session else None,
        )

    def _report_lost(self, lost: list[tuple[int, str]], block: Block) -> None:
        for offset, why in lost[:MAX_LOST_SAID]:
            line = block.text[offset : offset + 60].lstrip("\n").split("\n")[0]
            self.context.problems.append(
                Problem(f"the !poolused row '{' '.join(line.split())}' {why} and is not used", block.where(offset))
            )
        if len(lost) > MAX_LOST_SAID:
            more = len(lost) - MAX_LOST_SAID
            says = f"{more} more rows of the same !poolused table cannot be right and are not used"
            self.context.problems.append(Problem(says, block.where(lost[MAX_LOST_SAID][0])))


def _layout(header: str, before: str, sort: re.Match[str] | None, command: str | None) -> _Layout | None:
    words = header.replace("#", " ").replace("*", " ").split()[1:]
    names = tuple(word.lower() for word in words)
    half = names[: len(names) // 2]
    if len(names) % 2 == 0 and names[len(names) // 2 :] == half and half in COLUMNS:
        return _Layout((PoolKind.NONPAGED, PoolKind.PAGED), COLUMNS[half])
    if names not in COLUMNS:
        return None
    # One group of columns: the line above names its pool, else what the table is sorted by
    above = _POOLS.findall(before)
    pool_words = above[-1].lower().replace("-", "") if above else ""
    if pool_words.split()[:1] == ["nonpaged"]:
        return _Layout((PoolKind.NONPAGED,), COLUMNS[names])
    if pool_words.split()[:1] == ["paged"]:
        return _Layout((PoolKind.PAGED,), COLUMNS[names])
    key = sort.group("key").lower() if sort else ""
    if key == "nonpaged":
        return _Layout((PoolKind.NONPAGED,), COLUMNS[names])
    if key == "paged":
        return _Layout((PoolKind.PAGED,), COLUMNS[names])
    flags = _flags(command)
    if flags & _NONPAGED_FLAG:
        return _Layout((PoolKind.NONPAGED,), COLUMNS[names])
    if flags & _PAGED_FLAG:
        return _Layout((PoolKind.PAGED,), COLUMNS[names])
    return None


def _flags(command: str | None) -> int:
    found = _FLAGS.search(_TOP.sub("", command or ""))
    return int(found.group(1), 16) if found else 0


def _tag_rows(raw: RawRow, layout: _Layout, block: Block, description: str) -> list[TagRow]:
    text, binary = split_description(description)
    where = block.where(raw.start)
    width = len(layout.columns)
    allocs_at, frees_at, outstanding_at, used_at = layout.places
    rows: list[TagRow] = []
    for index, pool in enumerate(layout.pools):
        # One None behind the numbers stands for each column that the table does not have
        values = (*raw.numbers[index * width : (index + 1) * width], None)
        allocs, used, outstanding = values[allocs_at], values[used_at], values[outstanding_at]
        # A tag that has nothing in a pool is no row of that pool; one with nothing at all keeps its first
        if outstanding or allocs or used or (index == 0 and _is_empty(raw, layout)):
            rows.append(TagRow(raw.tag, pool, allocs, values[frees_at], outstanding, used, where, text, binary))
    return rows


def _is_cut(raw: RawRow, block: Block, *, described: bool) -> bool:
    """Whether the input ends inside the row, so that its last number may be one of fewer digits.

    A row without text behind its numbers is believed at the very end only where no other row has any.
    """
    return raw.end == len(block.text) and not raw.description and described and raw.numbers[-1] != 0


def _is_empty(raw: RawRow, layout: _Layout) -> bool:
    columns = layout.columns * len(layout.pools)
    return not any(number for column, number in zip(columns, raw.numbers, strict=True) if column != "frees")


def _completeness(
    rows: list[TagRow], total: dict[PoolKind, TagRow], layout: _Layout, body: str, command: str | None
) -> Completeness:
    if ELISION.search(body) or (command and "poolused" in command and _TOP.search(command)):
        return Completeness.CUT
    if not total:
        return Completeness.UNKNOWN
    for pool in layout.pools:
        printed = total.get(pool)
        mine = [row for row in rows if row.pool is pool]
        if printed is not None and sum(row.outstanding or 0 for row in mine) != printed.outstanding:
            return Completeness.CUT
    return Completeness.COMPLETE


class _Reader:
    name = "!poolused"
    banners = (r"Sorting\s+by\s+(?:Session\s+)?(?:NonPaged|Paged|Tag)\b",)
    rows = (
        r"Pool\s+Used\s*:",
        r"(?:Non)?Paged(?:[ ]+Paged)?[ ]*$",
        r"(?:#+ *)?Tag\s+Allocs\s+(?:Used|Frees|Diff)",
        r"\S[^\n]{0,3}?[ ]+\d+(?:[ ]+\d+){3,7}[^\n]*(?:Binary:|UNKNOWN pooltag)",
    )

    def open(self, context: Context) -> Output:
        """Begin a tag table."""
        return _PoolUsed(context)


READER = _Reader()
