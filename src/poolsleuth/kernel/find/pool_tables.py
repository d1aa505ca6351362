"""PoolTrackTableSize, PoolBigPageTable and ExPoolTagTables without symbols: near PoolTrackTable, by tests.

The distances are tried first: those of volatility's readers for older kernels, those of eight real symbol tables for
later ones. Nothing is believed for its distance: only the content of a table decides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.addresses import is_kernel_address, kernel_start
from poolsleuth.kernel.find.tag_table import (
    Flags,
    Surroundings,
    find_processor_tables,
    find_tag_table,
    read_rows,
    read_surroundings,
)
from poolsleuth.kernel.pool.layout import row_dtype
from poolsleuth.kernel.pool.tags import printable
from poolsleuth.windows.kernel_table import Structure
from poolsleuth.windows.structure_layouts import known_layouts

MAX_TABLES = 256  # words nearby that are tested as addresses of the big-page table: a few look like one
MIN_BIG_ENTRIES = 4  # of the table that must be in use to tell it from chance
MIN_ROWS, MAX_ROWS = 0x100, 1 << 24  # rows of the big-page table: 1000 at the start, 100,000 in long-running systems
MAX_SIZES = 8  # words near such an address that are tried as the size of the table, the nearest first
_SAMPLE = 1024  # rows read at a place of the table
_MANY = 1 << 16  # rows read where the variables are at a known distance: such a table may be nearly empty
_SIZE_REACH = 0x40  # bytes between the two variables: 24 at most in known kernels
_FITTING = 0.9
_FIRST_WITH_PROCESSOR_TABLES = 6000

# How far before PoolTrackTable (in bytes) PoolTrackTableSize lies, by the size of a pointer
_SIZE_DISTANCES = {4: (4,), 8: (8, -5368, 5240, -10368, 16512)}
# The same of PoolBigPageTable and of PoolBigPageTableSize
_BIG_DISTANCES = {
    4: ((8, 12), (24, 28), (20, 24), (92, 88), (116, 120)),
    8: (
        (40, 48), (48, 56), (48, 40), (-5200, -5224), (-5200, -5176), (-5224, -5232), (-5192, -5200), (-5192, -5216),
        (24, 48), (-10336, -10312), (-10328, -10336), (16456, 16464), (-48, -40),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PoolTables:
    """What was found: addresses of variables, the layouts that passed, and sentences for a report."""

    addresses: dict[str, int]
    layouts: dict[str, Structure]
    notes: tuple[str, ...]


def find_pool_tables(
    memory: Reader,
    variable: int,
    *,
    build: int,
    architecture: str,
    processors: int | None,
    layouts: dict[str, Structure],
) -> PoolTables:
    """Search around the variable PoolTrackTable. What was not found is said in the notes."""
    around = read_surroundings(memory, variable)
    addresses: dict[str, int] = {}
    passed: dict[str, Structure] = {}
    notes: list[str] = []
    tags = find_tag_table(
        memory,
        around,
        _in_order("_POOL_TRACKER_TABLE", architecture, layouts),
        _SIZE_DISTANCES[memory.pointer_size],
        build,
    )
    if tags is None:
        notes.append(_no_table(around, memory))
    else:
        addresses["PoolTrackTableSize"] = tags.size_address
        passed["_POOL_TRACKER_TABLE"] = tags.layout
        how = "its tags lie where the kernel's hash puts them" if tags.hashed else "its rows look like tags"
        notes.append(f"the table of pool tags was found by test: {tags.rows:,} rows of {tags.layout.size} bytes, {how}")
        if build >= _FIRST_WITH_PROCESSOR_TABLES:
            found = find_processor_tables(memory, around, tags, processors)
            if found is not None:
                addresses["ExPoolTagTables"] = found[0]
                many = f"{found[1]:,} processor{'' if found[1] == 1 else 's'}"
                notes.append(f"the tag tables of {many} were found by test: they hold the same tags in the same slots")
            else:
                notes.append(
                    "the tag tables of the other processors (ExPoolTagTables) could not be found without symbols: "
                    "they could not be summed, and the figures of a tag are those of the first processor only"
                )
    big = _find_big_pages(memory, around, _in_order("_POOL_TRACKER_BIG_PAGES", architecture, layouts))
    if big is None:
        notes.append("the table of big pool allocations could not be found without symbols")
    else:
        addresses["PoolBigPageTable"], addresses["PoolBigPageTableSize"], passed["_POOL_TRACKER_BIG_PAGES"] = big
        rows = around.at(addresses["PoolBigPageTableSize"]) or 0
        notes.append(f"the table of big pool allocations was found by test: {rows:,} rows")
    return PoolTables(addresses, passed, tuple(notes))


def _no_table(around: Surroundings, memory: Reader) -> str:
    table = memory.pointer(around.variable)
    if table is None:
        return "the variable PoolTrackTable is not in the dump: there are no figures of pool tags"
    if not table:
        return "PoolTrackTable is empty: pool tagging was off on that system"
    return "the size of the table of pool tags could not be found without symbols: it was not read"


def _in_order(name: str, architecture: str, layouts: dict[str, Structure]) -> list[Structure]:
    """The layout of the build first, then all others that ever were (of another size: nothing else can be told)."""
    chosen = [layouts[name]] if name in layouts else []
    for other in known_layouts(name, architecture):
        if all(other.size != known.size for known in chosen):
            chosen.append(other)
    return chosen


def _find_big_pages(
    memory: Reader, around: Surroundings, layouts: Sequence[Structure]
) -> tuple[int, int, Structure] | None:
    for place, sizes, sample in _candidates(around):
        table = around.at(place) or 0
        for layout in layouts:
            rows = _rows_of(memory, table, layout, sizes, sample)
            if rows:
                return place, next(at for at, value in sizes.items() if value == rows), layout
    return None


def _candidates(around: Surroundings) -> Iterator[tuple[int, dict[int, int], int]]:
    """Places of a pointer to a table, each with places and values that can be its size; known distances first.

    The last is how many rows are to be looked at together.
    """
    tried = 0
    pointer = around.pointer_size
    for table_distance, size_distance in _BIG_DISTANCES[pointer]:
        place, at = around.variable - table_distance, around.variable - size_distance
        value, size = around.at(place), around.at(at)
        if value and size and _may_be_table(value, pointer) and _may_be_size(size):
            yield place, {at: size}, _MANY
    tag_table = around.at(around.variable)
    words = around.words
    for place in around.nearest(np.flatnonzero((words != 0) & (words % np.uint64(PAGE) == 0)).tolist()):
        value = around.at(place) or 0
        if value == tag_table or not _may_be_table(value, pointer):
            continue
        sizes: dict[int, int] = {}
        for at in range(place - _SIZE_REACH, place + _SIZE_REACH + 1, pointer):
            size = around.at(at)
            if size and _may_be_size(size):
                sizes[at] = size
        if sizes:
            tried += 1
            nearest = sorted(sizes.items(), key=lambda item: abs(item[0] - place))
            yield place, dict(nearest[:MAX_SIZES]), _SAMPLE
        if tried >= MAX_TABLES:
            return


def _may_be_table(address: int, pointer: int) -> bool:
    return address % PAGE == 0 and is_kernel_address(address, pointer)


def _may_be_size(rows: int) -> bool:
    return MIN_ROWS <= rows <= MAX_ROWS and rows & rows - 1 == 0


def _rows_of(memory: Reader, table: int, layout: Structure, sizes: dict[int, int], sample: int) -> int | None:
    """Which of the sizes a table has; None when it is no such table.

    Every part of it that is looked at must hold true entries. Of several sizes the largest is true whose second half
    holds some: entries are spread over the whole table.
    """
    dtype = row_dtype(layout, ("Va", "Key", "NumberOfBytes", "NumberOfPages"))
    if dtype is None:
        return None
    smallest = min(sizes.values())
    used, fits = _sample(memory, table, dtype, 0, min(sample, smallest))
    if used < MIN_BIG_ENTRIES or fits < _FITTING * used:
        return None
    for rows in sorted(set(sizes.values()), reverse=True):
        counts = [
            _sample(memory, table, dtype, first, min(sample, rows // 4)) for first in (rows // 2, rows - rows // 4)
        ]
        used, fits = (sum(column) for column in zip(*counts, strict=True))
        if used and fits >= _FITTING * used:
            return rows
    return smallest if len(set(sizes.values())) == 1 and not used else None


def _sample(memory: Reader, table: int, dtype: "np.dtype[np.void]", first: int, count: int) -> tuple[int, int]:
    """How many entries are in use in a part of a table, and how many of them can be true."""
    rows, whole = read_rows(memory, table + first * dtype.itemsize, dtype, count)
    return _count_entries(rows, whole, memory.pointer_size)


def _count_entries(rows: NDArray[np.void], whole: Flags, pointer: int) -> tuple[int, int]:
    addresses = rows["Va"].astype(np.uint64)
    # Bit 0 marks a free entry, whose address is an old one
    used = whole & (addresses > 1) & (addresses & np.uint64(1) == 0)
    taken = rows[used]
    if not len(taken):
        return 0, 0
    addresses = addresses[used]
    sizes = taken["NumberOfBytes"] if "NumberOfBytes" in (taken.dtype.names or ()) else taken["NumberOfPages"]
    true = (addresses % np.uint64(PAGE) == 0) & (addresses >= np.uint64(kernel_start(pointer))) & (sizes > 0)
    true &= printable(taken["Key"])
    return len(taken), int(true.sum())
