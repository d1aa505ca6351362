"""Tests of tables of pool tags: how large PoolTrackTable is, and where the tables of the processors are.

The only thing that is known without symbols is the variable PoolTrackTable, from KDBG. A size is believed when it is a
power of two (with or without the one slot for what overflows) and the tags lie where the kernel's hash puts them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.addresses import is_kernel_address
from poolsleuth.kernel.pool.layout import row_dtype
from poolsleuth.kernel.pool.tags import Keys, hash_slots, printable, strip_protected
from poolsleuth.windows.kernel_table import Structure

REACH = 0x5000  # bytes on both sides of PoolTrackTable that are searched: the farthest known variable is 4080 away
MIN_POWER, MAX_POWER = 6, 17  # rows of the table: 2^10 to 2^14 in known kernels
MIN_TAGS = 8  # tags a table must have to be told from chance: a running system has hundreds
MAX_PROBE = 512  # slots a tag may lie behind its own: tables are at most half full
MAX_PROCESSORS = 2048  # slots of ExPoolTagTables in the newest kernels
MAX_ARRAYS = 64  # places nearby with the address of PoolTrackTable: each is tried as ExPoolTagTables
_COMPARED = 1 << 18  # rows of all tables of processors that are compared: 4,096 of each with 64 processors
_LEAST_COMPARED = 256  # of each table, however many there are
_FITTING = 0.9  # of the tags must fit: some rows are being changed while the dump is written
_HASHED_SINCE = 3790  # the hash is known from 5.2 on
_COLUMNS = ("Key", "NonPagedAllocs", "NonPagedFrees", "PagedAllocs", "PagedFrees")

Words = NDArray[np.uint64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The words around the variable PoolTrackTable: ``words[i]`` lies at ``begin`` + i pointers. Unreadable: zero."""

    variable: int
    begin: int
    pointer_size: int
    words: Words

    def at(self, address: int) -> int | None:
        """The word at an address; None outside."""
        index, rest = divmod(address - self.begin, self.pointer_size)
        return None if rest or not 0 <= index < len(self.words) else int(self.words[index])

    def address(self, index: int) -> int:
        """Where a word lies."""
        return self.begin + index * self.pointer_size

    def nearest(self, indices: Iterable[int]) -> list[int]:
        """Addresses of words, the nearest to the variable first."""
        return sorted((self.address(index) for index in indices), key=lambda place: abs(place - self.variable))


def read_surroundings(memory: Reader, variable: int) -> Surroundings:
    """The words ``REACH`` bytes before and behind the variable, as far as they can be read."""
    size = memory.pointer_size
    begin = max(0, variable - REACH) // PAGE
    end = min(variable + REACH, (1 << 8 * size) - 1) // PAGE + 1
    rows, _ = memory.space.gather(np.arange(begin, end, dtype=np.uint64))
    words = rows.reshape(-1).view("<u8" if size == 8 else "<u4").astype(np.uint64)
    return Surroundings(variable, begin * PAGE, size, words)


def lies_as_hashed(keys: Keys, whole: Flags, size: int) -> bool:
    """Whether the tags in the first ``size`` rows (a power of two) lie at their slots, or behind a full stretch.

    ``whole`` tells rows that were read from those that could not be: these may hold anything.
    """
    used = keys[:size] != 0
    slots = np.flatnonzero(used)
    if len(used) < size or len(slots) < MIN_TAGS or printable(keys[slots]).mean() < _FITTING:
        return False
    home = hash_slots(strip_protected(keys[slots]), size - 1)
    behind = (slots - home) % size
    # Between its own slot and the one where it lies there must be no empty one
    free = np.tile(used | ~whole[:size], 2) == 0
    before = np.concatenate(([0], np.cumsum(free)))
    fits = (behind <= MAX_PROBE) & (before[home + behind] == before[home])
    return bool(fits.mean() >= _FITTING)


def _looks_like_tags(rows: NDArray[np.void]) -> bool:
    """A weaker test, for kernels whose hash is not known: printable tags, and no more frees than allocations."""
    used = rows[rows["Key"] != 0]
    if len(used) < MIN_TAGS or printable(used["Key"]).mean() < 0.95:
        return False
    fewer = (used["NonPagedFrees"] <= used["NonPagedAllocs"]) & (used["PagedFrees"] <= used["PagedAllocs"])
    return bool(fewer.mean() >= 0.95)


def read_rows(memory: Reader, table: int, dtype: "np.dtype[np.void]", count: int) -> tuple[NDArray[np.void], Flags]:
    """Rows of a table at once, and which of them were read. The count is bounded by the caller."""
    parts = list(memory.table(table, dtype, count))
    if not parts:
        return np.zeros(0, dtype), np.zeros(0, np.bool_)
    return np.concatenate([part.rows for part in parts]), np.concatenate([part.whole for part in parts])


@dataclass(frozen=True, slots=True)
class TagTable:
    """A table that passed: where its rows lie, how long they are, and the variable that holds its size.

    ``rows`` is that size. ``hashed`` is False when only the weaker test could be made.
    """

    table: int
    layout: Structure
    rows: int
    size_address: int
    hashed: bool


def find_tag_table(
    memory: Reader, around: Surroundings, layouts: Sequence[Structure], distances: Sequence[int], build: int
) -> TagTable | None:
    """The size of PoolTrackTable, found by test. ``layouts`` are tried in order, the one of the build first.

    ``distances`` say how far before PoolTrackTable the variable with its size lies in known kernels, in bytes.
    """
    table = around.at(around.variable)
    if not table or not is_kernel_address(table, memory.pointer_size):
        return None
    places = _size_places(around, distances)
    for layout in layouts:
        dtype = row_dtype(layout, _COLUMNS)
        if dtype is None or not places:
            continue
        rows, whole = read_rows(memory, table, dtype, 1 << max(places))
        keys = np.ascontiguousarray(rows["Key"])
        # A part of a table passes too, a larger one than it is does not: the largest that passes is the true one
        for power in sorted(places, reverse=True):
            if lies_as_hashed(keys, whole, 1 << power):
                address = places[power]
                return TagTable(table, layout, around.at(address) or 0, address, True)
        if build < _HASHED_SINCE and layout is layouts[0]:
            address = around.variable - memory.pointer_size
            size = around.at(address) or 0
            if size.bit_length() - 1 in places and _looks_like_tags(rows[:size]):
                return TagTable(table, layout, size, address, False)
    return None


def _size_places(around: Surroundings, distances: Sequence[int]) -> dict[int, int]:
    """For each power of two that a word nearby holds (or holds one more than): the best place of such a word.

    A place at a known distance goes before the others, and the form with the additional slot before the plain one.
    """
    values = around.words
    known = [around.variable - distance for distance in distances]
    found: dict[int, int] = {}
    for power in range(MIN_POWER, MAX_POWER + 1):
        exact = {1 << power, (1 << power) + 1}
        for place in known:
            if around.at(place) in exact:
                found[power] = place
                break
        else:
            for value in sorted(exact, reverse=True):
                places = around.nearest(np.flatnonzero(values == np.uint64(value)).tolist())
                if places:
                    found[power] = places[0]
                    break
    return found


def find_processor_tables(
    memory: Reader, around: Surroundings, found: TagTable, processors: int | None
) -> tuple[int, int] | None:
    """The address of ExPoolTagTables and the number of tables in it: one for each processor, the first PoolTrackTable.

    Believed when every table has the same tags in the same slots as the first. None when no array passes, or it has
    another number of tables than there are processors.
    """
    size = memory.pointer_size
    dtype = row_dtype(found.layout, ("Key",))
    if dtype is None:
        return None
    places = around.nearest(np.flatnonzero(around.words == np.uint64(found.table)).tolist())
    for place in [place for place in places if place != around.variable][:MAX_ARRAYS]:
        tables = _pointers(memory, place, min(processors or MAX_PROCESSORS, MAX_PROCESSORS), size)
        if len(set(tables)) < len(tables) or len(tables) < (processors or 2):
            continue
        rows = min(found.rows, max(_LEAST_COMPARED, _COMPARED // len(tables)))
        first, _ = read_rows(memory, found.table, dtype, rows)
        if all(_same_tags(memory, table, dtype, first["Key"]) for table in tables[1:]):
            return place, len(tables)
    return None


def _pointers(memory: Reader, address: int, count: int, size: int) -> list[int]:
    """The kernel addresses from ``address`` on, up to the first word that is none."""
    found: list[int] = []
    for index in range(count):
        value = memory.pointer(address + index * size)
        if not value or value % size or not is_kernel_address(value, size):
            break
        found.append(value)
    return found


def _same_tags(memory: Reader, table: int, dtype: "np.dtype[np.void]", first: Keys) -> bool:
    rows, whole = read_rows(memory, table, dtype, len(first))
    if len(rows) < len(first):
        return False
    keys = rows["Key"]
    used = whole & (keys != 0)
    if not used.any():
        return bool(whole.all())  # a processor on which nothing was allocated yet
    return bool((keys[used] == first[used]).mean() >= 0.95)
