"""How a row of the table of big allocations is laid out: as the symbols say, else as the table itself confirms."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE, Reader, Rows
from poolsleuth.kernel.addresses import kernel_start
from poolsleuth.kernel.pool.layout import column, row_dtype
from poolsleuth.kernel.pool.tags import printable, strip_protected
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Structure
from poolsleuth.windows.structure_layouts import known_layouts, layouts_for

COLUMNS = ("Va", "Key", "NumberOfBytes", "NumberOfPages", "PoolType")
SAMPLE_ROWS = 1 << 16  # rows of a table by which a layout is judged
MIN_ENTRIES = 4  # entries by which a layout can be judged at all
_AGREE = 0.95  # share of entries that must be possible
_MAX_BYTES = 1 << 38  # bytes of one allocation: no machine has more pool, and 2^24 of them stay below 2^63
_NAME = "_POOL_TRACKER_BIG_PAGES"


@dataclass(frozen=True, slots=True)
class BigLayout:
    """The layout of a table of big allocations and where it comes from, in a few words for a report."""

    structure: Structure
    dtype: "np.dtype[np.void]"
    source: str

    @property
    def typed(self) -> bool:
        """Whether a row tells its pool (from Windows Vista on)."""
        return "PoolType" in self.structure.fields

    def sizes(self, rows: Rows) -> NDArray[np.uint64]:
        """Bytes of each allocation: as asked for, or whole pages on systems that keep those."""
        if "NumberOfBytes" in self.structure.fields:
            return column(rows, self.structure, "NumberOfBytes")
        return column(rows, self.structure, "NumberOfPages") * np.uint64(PAGE)

    def pool_types(self, rows: Rows) -> NDArray[np.uint64]:
        """The pool type that each allocation was asked for with: bit 0 is set for paged pool."""
        return column(rows, self.structure, "PoolType")

    def possible(self, addresses: NDArray[np.uint64], sizes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which entries can be in use: at a page of the kernel, of a size that an allocation can have."""
        start = np.uint64(kernel_start(int(self.dtype["Va"].itemsize)))
        # A size of 0 becomes the largest number
        fits = (sizes - np.uint64(1)) < np.uint64(_MAX_BYTES)
        return np.asarray(fits & ((addresses & np.uint64(PAGE - 1)) == 0) & (addresses >= start), np.bool_)


def big_page_layout(kernel: Kernel, memory: Reader, address: int, rows: int) -> BigLayout | None:
    """The layout of the table at ``address``; None when no known one fits it.

    The kernel's own symbols are believed. Without them the layout of the build, or else a row of another size, must be
    confirmed by the table's entries.
    """
    told = kernel.structure(_NAME)
    if kernel.exact and told is not None and (layout := _usable(told, "symbols")) is not None:
        return layout
    told = told or layouts_for(kernel.build, kernel.architecture).structures.get(_NAME)
    if told is None:
        return None
    # The columns follow from the version; a servicing update may have changed the row's size at most
    others = [
        other
        for other in known_layouts(_NAME, kernel.architecture)
        if other.size != told.size and all(other.fields.get(name) == told.fields.get(name) for name in COLUMNS)
    ]
    candidates = [told, *others]
    for candidate in candidates:
        layout = _usable(candidate, f"rows of {candidate.size:#x} bytes, which the table itself confirms")
        if layout is not None and _agrees(memory, address, rows, layout):
            return layout
    return None


def _usable(structure: Structure, source: str) -> BigLayout | None:
    dtype = row_dtype(structure, COLUMNS)
    names = dtype.names or () if dtype is not None else ()
    if dtype is None or not {"Va", "Key"} <= set(names) or not {"NumberOfBytes", "NumberOfPages"} & set(names):
        return None
    if dtype["Va"].itemsize not in (4, 8) or dtype["Key"].itemsize != 4:
        return None
    return BigLayout(structure, dtype, source)


def _agrees(memory: Reader, address: int, rows: int, layout: BigLayout) -> bool:
    """Whether the used rows of the table's beginning are possible by this layout, with tags of letters."""
    entries = good = 0
    for part in memory.table(address, layout.dtype, min(rows, SAMPLE_ROWS)):
        used = part.rows[part.whole & (part.rows["Va"] > 1)]
        live = used[(used["Va"] & 1) == 0]
        entries += len(used)
        tags = printable(strip_protected(live["Key"].astype(np.uint32)))
        # A free entry keeps the address it had, with bit 0 set
        freed = used["Va"][(used["Va"] & 1) != 0] & (PAGE - 1)
        good += int((layout.possible(live["Va"].astype(np.uint64), layout.sizes(live)) & tags).sum()) + int(
            (freed == 1).sum()
        )
    return entries >= MIN_ENTRIES and good >= _AGREE * entries
