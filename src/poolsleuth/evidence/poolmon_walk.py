"""Goes through poolmon text block by block, cuts it into snapshots, and gives their rows to their machines."""

import re
from collections import deque
from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np

from poolsleuth.evidence.dates import MAX_LINE as MAX_DATE_LINE
from poolsleuth.evidence.dates import DateText, date_in, joined, unread_date
from poolsleuth.evidence.debugger_log.output import integer
from poolsleuth.evidence.poolmon import HEADER_CHARS, MEMORY_FIELDS, POOLS, session_of
from poolsleuth.evidence.poolmon_blocks import MEMORY, memory_lines
from poolsleuth.evidence.poolmon_part import MAX_SCREEN, Part, Screen
from poolsleuth.evidence.poolmon_rows import RowParser, Rows, believed, whole_lines
from poolsleuth.evidence.snapshots import Snapshot
from poolsleuth.evidence.tag_history import MAX_CELLS, Cells, Ids
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind

MAX_PARTS = 4  # machines told apart in one file, by their physical memory
MAX_DATES = 16  # remembered between two snapshots
_TAIL = 4_000  # characters at the end of a snapshot in which the date of the next one is looked for
_MERGED = 256  # new columns that are looked up one by one before they are sorted in among the others
_WINDOW = 64  # rows looked at for a repeated tag, at least
_TAG_BITS = 33  # of the number that stands for a tag; then one bit for the pool, then the session
_NAMELESS = re.compile(rb" {5,20}(?:Nonp|Paged) +\d")
_DATE_HINT = re.compile(rb"\d[:./-]\d|\d{4}")


class Walk:
    """Goes through the blocks of a file. ``parts`` are its machines: ``finish`` completes them."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.unread: str | None = None  # the first line that looks like a date and cannot be read
        self.nameless = 0  # rows of a tag of four blanks, which has no name to be followed by
        self._by_memory: dict[float | None, Part] = {}
        self._columns: dict[int, _Columns] = {}
        self._parser = RowParser()
        self._part: Part | None = None
        self._screen = Screen(0, 1)
        self._session: int | None = None
        self._filled = False  # whether the open snapshot has rows
        self._skips = False  # whether the rows of the open snapshot are only held back
        self._dated: tuple[Part, tuple[DateText, ...], set[int | None]] | None = None  # a date, and who stood under it
        self._settled = True  # whether the open snapshot has its date, if there is one
        self._gap = _Gap()  # since the last row
        self._seen: Ids = np.zeros(0, np.int64)  # by column: the snapshot that showed it last
        self._first: Ids = np.zeros(0, np.int64)  # by column: its first place in the rows at hand
        self._serial = 0
        self._line = 1  # of the offset ``_known`` in the text at hand
        self._known = 0

    def take(self, block: bytes, *, whole: bool) -> None:
        """The next block of whole lines; ``whole`` is False when its last line was cut off."""
        marks = list(memory_lines(block))
        if not any(part.tags.stride > 1 for part in self.parts):
            self._read(block, marks, whole=whole)
            return
        begins = set(marks)
        for start, end in pairwise([0, *marks, len(block)]):
            text = block[start:end]
            if not text:
                continue
            if start in begins:
                part = self._begin(text, 0, memory=True)
                self._skips = not part.tags.wants(part.tags.tables - 1)
            if self._skips:
                self._hold(text, first=start in begins)
            else:
                self._read(text, (), whole=whole or end < len(block))

    def finish(self) -> None:
        """The file has ended: its last snapshot is kept whatever its number."""
        self._release()
        if self._part is not None and self._part.snapshots.last is not None:
            self._part.snapshots.last.after = tuple(self._gap.dates())
            self.unread = self.unread or self._gap.unread()
            self._part.keep(self._screen)

    def _hold(self, text: bytes, *, first: bool) -> None:
        """Text of a snapshot whose rows are wanted only if it is the last one. ``first``: it begins there."""
        if first and self._part is not None:
            lines = text[:HEADER_CHARS].split(b"\n")
            pools = next(filter(None, map(_pools, lines)), None)
            self._settle_date(self._part, session_of(pools) if pools is not None else None)
        if self._screen.size + len(text) > MAX_SCREEN:
            self._release()  # too long to be held back
            self._read(text, (), whole=True)
            return
        self._screen.add(text)
        self._gap = _gap_at_end(text[-_TAIL:])
        self._count_lines(text, len(text))
        self._known = 0

    def _release(self) -> None:
        """Read the text that was held back."""
        if not self._skips:
            return
        self._skips = False
        text = self._screen.text
        self._screen = Screen(self._screen.number, self._screen.line)
        line = self._line
        self._line = self._screen.line
        self._gap = _Gap()
        self._read(text, (), whole=text.endswith(b"\n"))
        self._line = line

    def _read(self, text: bytes, marks: Iterable[int], *, whole: bool) -> None:
        """Read lines in their order: rows many at a time, and what stands between them."""
        self._known = 0
        rows, others = self._parser.parse(text)
        if not whole:
            rows = whole_lines(rows, text.rfind(b"\n", 0, len(text) - 1) + 1)
        snapshots = set(marks)
        done = kept = 0  # rows, and characters of the open snapshot
        for offset, line in others:
            memory = offset in snapshots
            pools = None if memory else _pools(line)
            if not memory and pools is None and _NAMELESS.match(line):
                self.nameless += 1
                continue
            if not memory and pools is None and not _may_be_date(line):
                continue
            if done < len(rows) and rows.offsets[done] < offset:
                until = int(np.searchsorted(rows.offsets, offset))
                kept = self._take_rows(text, rows.taken(slice(done, until)), kept)
                done = until
            if memory:
                self._screen.add(text[kept:offset])
                kept = offset
                self._begin(text, offset, memory=True)
            elif pools is not None:
                self._session = session_of(pools)
            else:
                self._gap.add(line)
        kept = self._take_rows(text, rows.taken(slice(done, None)), kept)
        self._screen.add(text[kept:])
        self._count_lines(text, len(text))
        self._known = 0

    def _take_rows(self, text: bytes, rows: Rows, kept: int) -> int:
        """Rows between two other lines; a tag that repeats begins a snapshot.

        Returns where the open snapshot begins in the text: from there on its text is not kept yet.
        """
        good, figures = believed(rows)
        rows = rows.taken(good)
        if not len(rows):
            return kept
        dates = self._gap.dates()
        if not dates and self.unread is None:
            self.unread = self._gap.unread()
        part = self._part
        if part is None or (self._filled and dates):
            kept = self._cut(text, int(rows.offsets[0]), kept)
            part = self._part
        elif dates and part.snapshots.last is not None:
            part.snapshots.last.before += tuple(dates)  # between header lines and table
        if part is None:
            return kept
        self._settle_date(part, self._session)
        self._gap = _Gap()
        ids = self._ids(part, rows)
        cells = Cells(ids, figures.bytes, figures.outstanding, figures.allocs)
        done, window = 0, len(ids)
        while done < len(ids):
            fresh = self._fresh(ids[done : done + window])
            part.tags.add(cells.taken(slice(done, done + fresh)))
            self._filled = True
            done += fresh
            if fresh < window and done < len(ids):
                kept = self._cut(text, int(rows.offsets[done]), kept)
                window = max(_WINDOW, 2 * fresh)
        return kept

    def _settle_date(self, part: Part, session: int | None) -> None:
        """A session's screen without a date, right behind the dated screens of others, is of their moment.

        Its header lines count the same memory a second later: they are no sample of their own.
        """
        last = part.snapshots.last
        if self._settled or last is None:
            return
        self._settled = True
        if last.before:
            self._dated = part, last.before, {session}
        elif self._dated is not None and self._dated[0] is part and session not in {None, *self._dated[2]}:
            self._dated[2].add(session)
            last.before, last.figures = self._dated[1], None
        else:
            self._dated = None

    def _fresh(self, run: Ids) -> int:
        """How many of these columns come before one that the open snapshot already shows; marks them as shown."""
        size = int(run.max(initial=0)) + 1
        if size > len(self._seen):
            self._seen = np.concatenate([self._seen, np.zeros(size, np.int64)])
            self._first = np.zeros(len(self._seen), np.int64)
        places = np.arange(len(run))
        self._first[run[::-1]] = places[::-1]  # what is written last, the first place, stays
        repeated = (self._seen[run] == self._serial) | (self._first[run] < places)
        repeated &= run >= 0
        count = int(repeated.argmax()) if repeated.any() else len(run)
        self._seen[run[:count]] = self._serial
        return count

    def _cut(self, text: bytes, offset: int, kept: int) -> int:
        """A snapshot without header lines begins at a row."""
        self._screen.add(text[kept:offset])
        self._begin(text, offset, memory=False)
        return offset

    def _begin(self, text: bytes, offset: int, *, memory: bool) -> Part:
        """A snapshot begins: with its header lines (``memory``), or at a row."""
        self._count_lines(text, offset)
        figures = _figures(text, offset) if memory else {}
        dates = tuple(self._gap.dates())
        if not dates and self.unread is None:
            self.unread = self._gap.unread()
        if self._part is not None and self._part.snapshots.last is not None:
            self._part.snapshots.last.after = dates
            self._part.keep(self._screen)
        part = self._part = self._part_of(figures.get("physical"))
        number = part.tags.begin()
        part.snapshots.add(Snapshot(number, self._line, before=dates, figures=figures or None))
        if part.snapshots.stride > part.tags.stride:
            part.tags.coarsen(part.snapshots.stride)
        self._screen = Screen(number, self._line)
        self._gap = _Gap()
        self._serial += 1
        self._filled = self._skips = self._settled = False
        if memory:
            self._session = None
        return part

    def _part_of(self, physical: float | None) -> Part:
        """The machine with this much memory; without a header line, the one before."""
        if physical is None and self._part is not None:
            return self._part
        part = self._by_memory.get(physical)
        if part is None and self._part is not None and (None in self._by_memory or len(self.parts) >= MAX_PARTS):
            part = self._part  # rows whose header lines are lost, or a machine whose memory is changed again and again
            self._by_memory.pop(None, None)
        if part is None:
            part = Part()
            self.parts.append(part)
            for each in self.parts:
                each.tags.limit = MAX_CELLS // len(self.parts)
        if len(self._by_memory) < MAX_PARTS:
            self._by_memory[physical] = part
        return part

    def _ids(self, part: Part, rows: Rows) -> Ids:
        session = self._session if self._session is not None else -2
        keys = rows.tags | (rows.paged.astype(np.int64) << _TAG_BITS) | ((session + 2) << (_TAG_BITS + 1))
        columns = self._columns.setdefault(self.parts.index(part), _Columns())
        return columns.numbers(keys, lambda key: part.tags.column(self._tag_key(key)))

    def _tag_key(self, key: int) -> TagKey:
        session = (key >> (_TAG_BITS + 1)) - 2
        pool = PoolKind.PAGED if key >> _TAG_BITS & 1 else PoolKind.NONPAGED
        return TagKey(self._parser.name(key & (1 << _TAG_BITS) - 1), pool, None if session == -2 else session)

    def _count_lines(self, text: bytes, offset: int) -> None:
        self._line += text.count(b"\n", self._known, offset)
        self._known = offset


class _Columns:
    """Numbers of the columns of many tags at once."""

    def __init__(self) -> None:
        self._keys: Ids = np.zeros(0, np.int64)  # sorted
        self._numbers: Ids = np.zeros(0, np.int64)
        self._recent: dict[int, int] = {}
        self._last: tuple[Ids, Ids] | None = None

    def numbers(self, keys: Ids, new: Callable[[int], int]) -> Ids:
        """The column of each key; ``new`` gives the number of one that is not known yet."""
        if self._last is not None and np.array_equal(self._last[0], keys):
            return self._last[1]  # a snapshot in the order of its tags
        result = np.full(len(keys), -1, np.int64)
        hit = np.zeros(len(keys), np.bool_)
        if len(self._keys):
            places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            hit = self._keys[places] == keys
            result[hit] = self._numbers[places[hit]]
        for place in np.flatnonzero(~hit).tolist():
            key = int(keys[place])
            number = self._recent.get(key)
            if number is None:
                number = new(key)
                if number >= 0:
                    self._recent[key] = number
            result[place] = number
        if len(self._recent) > _MERGED:
            self._merge()
        self._last = (keys, result)
        return result

    def _merge(self) -> None:
        keys = np.concatenate([self._keys, np.array(list(self._recent), np.int64)])
        numbers = np.concatenate([self._numbers, np.array(list(self._recent.values()), np.int64)])
        order = np.argsort(keys)
        self._keys, self._numbers = keys[order], numbers[order]
        self._recent.clear()


def _figures(text: bytes, offset: int) -> dict[str, float]:
    """The figures of the header lines at an offset, in bytes."""
    header = text[offset : offset + HEADER_CHARS]
    behind = header.find(MEMORY, header.find(MEMORY) + 1)
    printed = header[: behind if behind > 0 else None].decode("ascii", errors="replace")
    found = {name: expression.search(printed) for name, expression in MEMORY_FIELDS.items()}
    return {name: integer(match[1]) * 1024.0 for name, match in found.items() if match is not None}


def _pools(line: bytes) -> re.Match[str] | None:
    return POOLS.match(line.decode("ascii", errors="replace")) if b"ool" in line and len(line) < HEADER_CHARS else None


class _Gap:
    """Lines between two tables that may hold a date: the first and the last ones, for only these can date a table."""

    def __init__(self) -> None:
        self._first: list[bytes] = []
        self._last: deque[bytes] = deque(maxlen=MAX_DATES)

    def add(self, line: bytes) -> None:
        """The next line."""
        (self._first if len(self._first) < MAX_DATES else self._last).append(line)

    def dates(self) -> list[DateText]:
        """The dates of the lines, in their order."""
        found = (date_in(line) for line in (*self._first, *self._last))
        return joined([date for date in found if date is not None])

    def unread(self) -> str | None:
        """The first line that looks like a date and cannot be read; None when there is none."""
        return next(filter(None, map(unread_date, (*self._first, *self._last))), None)


def _may_be_date(line: bytes) -> bool:
    return len(line) <= MAX_DATE_LINE and _DATE_HINT.search(line) is not None


def _gap_at_end(text: bytes) -> _Gap:
    """The lines behind the last row of a snapshot."""
    lines: list[bytes] = []
    for line in reversed(text.split(b"\n")):
        if b" Nonp " in line or b" Paged " in line or len(lines) >= MAX_DATES:
            break
        if _may_be_date(line):
            lines.append(line)
    gap = _Gap()
    for line in reversed(lines):
        gap.add(line)
    return gap
