"""What is mapped in a range of addresses: page tables level by level, in the order of the addresses."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.paging.walk import Numbers, Walk

MAX_TABLES = 1 << 18  # tables, and pages of prototype entries, read in one walk: 512 GB of small pages; tables can loop
MAX_PAGES = 1 << 34  # pages of 4 KB given in one walk (64 TB): Windows supports 48 TB
TABLES_AT_ONCE = 128  # tables expanded together: a part has 65,536 runs at most (131,072 on x86 without PAE)
_PAGE_BITS = 12
_NOT_MAPPED = int(Absence.NOT_MAPPED)


@dataclass(frozen=True, slots=True)
class MappedRuns:
    """Runs of virtual pages, in the order of their addresses; three parallel arrays.

    ``pages`` are the virtual page numbers that the runs begin with, ``frames`` the physical page of that first page,
    or the ``Absence`` of all pages of the run; ``counts`` are pages of 4 KB. Physical pages of a run lie behind each
    other. Pages that are not mapped are in no run. A run can go on in the next part. ``stopped`` is a sentence in the
    last part of a walk that reached a bound; else None.
    """

    pages: NDArray[np.uint64]
    frames: Numbers
    counts: Numbers
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class _Items:
    """Entries in the order of their addresses. ``starts`` have the translated bits of a page number only."""

    starts: Numbers
    values: Numbers
    counts: Numbers
    tables: NDArray[np.bool_]

    def part(self, at: slice | NDArray[np.intp]) -> "_Items":
        return _Items(self.starts[at], self.values[at], self.counts[at], self.tables[at])


class RangeWalk:
    """One walk over a range. ``first`` and ``last`` are addresses; the last one is within the range."""

    __slots__ = ("_high", "_left_pages", "_left_tables", "_low", "_max_pages", "_max_tables", "_stopped", "_walk")

    def __init__(self, walk: Walk, *, max_tables: int = MAX_TABLES, max_pages: int = MAX_PAGES) -> None:
        self._walk = walk
        self._max_tables, self._max_pages = max_tables, max_pages
        self._left_tables, self._left_pages = max_tables, max_pages
        self._stopped: str | None = None
        self._low = self._high = 0

    @property
    def tables_read(self) -> int:
        """Page tables (and pages of prototype entries) that were read so far."""
        return self._max_tables - self._left_tables

    def runs(self, first: int, last: int) -> Iterator[MappedRuns]:
        """The runs in parts, each of bounded size. Addresses that do not exist are passed over."""
        for items in self._spans(first, last, len(self._walk.levels)):
            yield self._runs(items)
        if self._stopped is not None:
            empty = np.empty(0, np.int64)
            yield MappedRuns(empty.astype(np.uint64), empty, empty, self._stopped)

    def leaf_tables(self, first: int, last: int) -> Iterator[Numbers]:
        """The physical pages of the page tables of the last level, in parts, as far as the bounds allow."""
        for items in self._spans(first, last, len(self._walk.levels) - 1):
            yield items.values[items.tables]

    def _spans(self, first: int, last: int, levels: int) -> Iterator[_Items]:
        """The entries of the last of so many levels. A range of canonical addresses has two halves at most."""
        walk = self._walk
        half = 1 << walk.bits - _PAGE_BITS - 1
        for begin, end in ((0, half - 1), (half, 2 * half - 1)) if walk.form.signed else ((0, 2 * half - 1),):
            shift = walk.outer(begin) - begin
            self._low = max(begin, (max(first, 0) >> _PAGE_BITS) - shift)
            self._high = min(end, (last >> _PAGE_BITS) - shift)
            if self._low <= self._high and self._stopped is None:
                yield from self._expand(self._root(), 0, levels)

    def _root(self) -> _Items:
        begin, root, whole = (np.array([n], np.int64) for n in (0, self._walk.root, 1 << self._walk.bits - _PAGE_BITS))
        return _Items(begin, root, whole, np.ones(1, np.bool_))

    def _expand(self, items: _Items, depth: int, levels: int) -> Iterator[_Items]:
        """Expand the tables among the items, as many at once as are allowed, and what comes out of them."""
        if depth == levels:
            yield items
            return
        order = np.cumsum(items.tables)
        begin = 0
        while begin < len(order) and self._stopped is None:
            done = int(order[begin - 1]) if begin else 0
            end = int(np.searchsorted(order, done + TABLES_AT_ONCE, side="right"))
            part = items.part(slice(begin, end))
            begin = end
            if part.tables.any():
                part = self._level(part, depth)
            if part.tables.any():
                yield from self._expand(part, depth + 1, levels)
            elif len(part.starts):
                yield part

    def _level(self, items: _Items, depth: int) -> _Items:
        """The items, with the entries of the tables among them in place of these tables."""
        at = np.flatnonzero(items.tables)
        if len(at) > self._left_tables:
            left = max(self._left_tables, 0)
            self._stopped = f"{self._max_tables:,} page tables were read, and there are more: the rest was left out"
            items = items.part(slice(0, int(at[left])))
            at = at[:left]
            if not len(at):
                return items
        self._left_tables -= len(at)
        walk = self._walk
        level = walk.levels[depth]
        rows, states = walk.cache.rows(items.values[at])
        kept = items.part(np.flatnonzero(~items.tables))
        lost = np.flatnonzero(states < 0)
        entries = rows[:, walk.entries_of(depth)]
        row, index = np.nonzero(entries)
        starts = items.starts[at][row] + index * level.pages
        inside = (states[row] >= 0) & (starts <= self._high) & (starts + (level.pages - 1) >= self._low)
        row, index, starts = row[inside], index[inside], starts[inside]
        before = walk.prototype_pages
        values, large = walk.decode(depth, entries[row, index], True)
        # Prototype entries of a hostile dump can lead to as many pages as there are entries
        self._left_tables -= walk.prototype_pages - before
        mapped = values != _NOT_MAPPED
        values, large, starts = values[mapped], large[mapped], starts[mapped]
        last = depth == len(walk.levels) - 1
        parts = (
            kept,
            _Items(items.starts[at[lost]], states[lost], items.counts[at[lost]], np.zeros(len(lost), np.bool_)),
            _Items(
                starts,
                values,
                np.full(len(starts), level.pages, np.int64),
                np.zeros(len(starts), np.bool_) if last else (values >= 0) & ~large,
            ),
        )
        joined = _Items(
            np.concatenate([part.starts for part in parts]),
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.counts for part in parts]),
            np.concatenate([part.tables for part in parts]),
        )
        if not len(kept.starts) and not len(lost):
            return joined
        return joined.part(np.argsort(joined.starts, kind="stable"))

    def _runs(self, items: _Items) -> MappedRuns:
        starts, values, counts = items.starts, items.values, items.counts
        before, behind = np.maximum(self._low - starts, 0), np.maximum(starts + counts - 1 - self._high, 0)
        starts, counts = starts + before, counts - before - behind
        values = np.where(values >= 0, values + before, values)
        follows = np.where(values[:-1] >= 0, values[:-1] + counts[:-1], values[:-1]) == values[1:]
        new = np.concatenate(([True], ~(follows & (starts[:-1] + counts[:-1] == starts[1:]))))
        begins = np.flatnonzero(new)
        starts, values, counts = starts[begins], values[begins], np.add.reduceat(counts, begins)
        given = np.cumsum(counts)
        if int(given[-1]) > self._left_pages:
            self._stopped = f"{self._max_pages:,} pages were given, and more are mapped: the rest was left out"
            kept = int(np.searchsorted(given, self._left_pages, side="right"))
            starts, values, counts = starts[:kept], values[:kept], counts[:kept]
        self._left_pages -= int(counts.sum())
        return MappedRuns(self._walk.outer_all(starts.astype(np.uint64)), values, counts)
