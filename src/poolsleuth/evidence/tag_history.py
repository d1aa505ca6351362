"""Tag tables over time as columns, in bounded memory: every reader of many tables puts them here one by one.

Tables come in the order of the input. When the cells of all kept tables pass a bound, every second table is left out
from then on and of what is kept, so that an input of any length stays evenly covered from its first table to its last.
"""

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from poolsleuth.model.series import TagColumn, TagHistory, TagKey
from poolsleuth.model.tags import PoolKind, TagTable

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

MAX_CELLS = 2_000_000  # tables x columns kept, 24 bytes each: a table of 3,000 tags 666 times
MAX_COLUMNS = 100_000  # different tags of one input: a system has 3,000, a terminal server that for each session
_WRAP = 2.0**32
_HALF = 2.0**31
_RESTART_SHARE = 0.5  # of the counters of a table: when so many fall at once, Windows was started again


@dataclass(frozen=True, slots=True)
class Cells:
    """Some columns of one table: column numbers and their figures, all of equal length. NaN is not known."""

    ids: Ids
    bytes: Floats
    outstanding: Floats
    allocs: Floats

    def taken(self, what: slice) -> "Cells":
        """Some of them."""
        return Cells(self.ids[what], self.bytes[what], self.outstanding[what], self.allocs[what])


class TagCollector:
    """Keeps tables as cells within ``limit`` (tables x columns).

    A table is begun with ``begin``; ``add`` gives it cells. Tables are numbered from 0 in the order of the input.
    ``stride``: only tables whose number it divides are kept, and the last one. ``lost`` counts the tags that came
    after ``MAX_COLUMNS`` others and were left out.
    """

    def __init__(self, limit: int = MAX_CELLS) -> None:
        self.limit = limit
        self.stride = 1
        self.tables = 0
        self.lost = 0
        self._keys: dict[TagKey, int] = {}
        self._kept: dict[int, list[Cells]] = {}
        self._open: list[Cells] = []

    @property
    def keys(self) -> Mapping[TagKey, int]:
        """The columns so far, with their numbers."""
        return self._keys

    def column(self, key: TagKey) -> int:
        """The number of a column, -1 when there are too many."""
        number = self._keys.get(key)
        if number is None:
            if len(self._keys) >= MAX_COLUMNS:
                self.lost += 1
                return -1
            number = self._keys[key] = len(self._keys)
        return number

    def wants(self, number: int) -> bool:
        """Whether the table of this number would be kept were it not the last one."""
        return number % self.stride == 0

    def begin(self) -> int:
        """The next table begins: its number."""
        self._settle()
        self.tables += 1
        return self.tables - 1

    def add(self, cells: Cells) -> None:
        """Cells of the table that was begun last. Column numbers below 0 are left out."""
        known = cells.ids >= 0
        if not known.all():
            cells = Cells(cells.ids[known], cells.bytes[known], cells.outstanding[known], cells.allocs[known])
        self._open.append(cells)

    def _settle(self) -> None:
        """The open table is complete: it is kept or forgotten."""
        if self.tables and self.wants(self.tables - 1):
            self._kept[self.tables - 1] = self._open
            while len(self._kept) > 2 and len(self._kept) * len(self._keys) > self.limit:
                self.coarsen(self.stride * 2)
        self._open = []

    def coarsen(self, stride: int) -> None:
        """Keep only tables whose number ``stride`` divides from now on."""
        self.stride = stride
        self._kept = {number: cells for number, cells in self._kept.items() if number % stride == 0}

    def columns(self, order: Callable[[Sequence[int]], Sequence[int]]) -> tuple[list[int], dict[TagKey, TagColumn]]:
        """The numbers of the kept tables, and each column over them. The collector is empty afterwards.

        ``order`` puts the numbers of the tables into the order of time.
        """
        if self.tables:
            self._kept[self.tables - 1] = self._open
        numbers = list(order(sorted(self._kept)))
        tables = [self._kept[number] for number in numbers]
        self._kept, self._open = {}, []
        sizes = _columns(tables, len(self._keys), lambda cells: cells.bytes)
        counts = _columns(tables, len(self._keys), lambda cells: cells.outstanding)
        allocs = _columns(tables, len(self._keys), lambda cells: cells.allocs, _unwrap)
        return numbers, {
            key: TagColumn(bytes=size, outstanding=count, allocs=alloc)
            for key, size, count, alloc in zip(self._keys, sizes, counts, allocs, strict=True)
        }


def _columns(
    tables: Sequence[Sequence[Cells]],
    width: int,
    figure: Callable[[Cells], Floats],
    change: Callable[[Floats], None] | None = None,
) -> "list[array[float]]":
    matrix = np.full((len(tables), width), np.nan)
    for row, table in zip(matrix, tables, strict=True):
        for cells in table:
            row[cells.ids] = figure(cells)
    if change is not None:
        change(matrix)
    result = []
    for number in range(width):
        column = array("d")
        column.frombytes(matrix[:, number].tobytes())
        result.append(column)
    return result


def _unwrap(allocs: Floats) -> None:
    """Counts of allocations (tables x tags) that passed 2^32 go on rising instead of falling.

    Windows keeps them in 32 bits before it keeps them in 64: a counter in the upper half that falls alone has wrapped.
    When half of all counters fall at once, Windows was started again, and nothing is changed.
    """
    if len(allocs) < 2 or np.nanmax(allocs, initial=0.0) >= _WRAP:
        return  # a figure beyond 32 bits: these counters do not wrap there
    last = allocs[0].copy()
    lifts = np.zeros(allocs.shape[1])
    for number in range(1, len(allocs)):
        row = allocs[number]
        shown = ~np.isnan(row)
        both = shown & ~np.isnan(last)
        fell = both & (row < last)
        if fell.any():
            if fell.sum() > _RESTART_SHARE * both.sum():
                lifts[:] = 0.0
            else:
                lifts[fell & (last >= _HALF)] += _WRAP
        last[shown] = row[shown]
        allocs[number] = row + lifts


POOL_WORDS = {
    "nonp": PoolKind.NONPAGED,
    "nonpaged": PoolKind.NONPAGED,
    "npaged": PoolKind.NONPAGED,
    "nonpagedpool": PoolKind.NONPAGED,
    "nonpagednx": PoolKind.NONPAGED,
    "np": PoolKind.NONPAGED,
    "paged": PoolKind.PAGED,
    "page": PoolKind.PAGED,
    "pagedpool": PoolKind.PAGED,
    "session": PoolKind.SESSION,
}


def pool_of(word: str) -> PoolKind | None:
    """The pool that a column of types names ("Non Paged", "NonPaged", "Nonp", "Paged"); None for another word."""
    return POOL_WORDS.get("".join(character for character in word.lower() if character.isalpha()))


def single(table: TagTable, time: float, *, dated_by: str, complete: bool = False) -> TagHistory:
    """One table as a history of one time: ``time`` in seconds since 1970 UTC, NaN when not known.

    Several inputs of one table each become a course where their facts are joined.
    """

    def one(value: int | None) -> "array[float]":
        return array("d", [math.nan if value is None else value])

    return TagHistory(
        where=table.where,
        at=table.at,
        times=array("d", [time]),
        columns={
            TagKey(row.tag, row.pool, table.session): TagColumn(
                bytes=one(row.bytes), outstanding=one(row.outstanding), allocs=one(row.allocs)
            )
            for row in table.rows
        },
        snapshots=1,
        dated_by=dated_by if not math.isnan(time) else "",
        complete=complete,
    )
