"""How a row of a tag table is laid out: as the symbols say, else the one known layout that the table itself confirms.

Without symbols the build alone is not believed: a table is read by each layout that its architecture has had, and one
is taken when its keys look like tags and lie where the kernel's hash puts them.
"""

from dataclasses import dataclass

import numpy as np

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.pool.layout import row_dtype
from poolsleuth.kernel.pool.tags import hash_slots, printable, strip_protected
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Structure
from poolsleuth.windows.structure_layouts import known_layouts

COUNTERS = ("NonPagedAllocs", "NonPagedFrees", "NonPagedBytes", "PagedAllocs", "PagedFrees", "PagedBytes")
COLUMNS = ("Key", *COUNTERS)
_NAME = "_POOL_TRACKER_TABLE"

SAMPLE_ROWS = 4096  # rows of a table by which a layout is judged: few tables have more
MIN_KEYS = 4  # tags by which a layout can be judged at all: Windows starts with hundreds
_PRINTABLE = 0.95  # share of keys that must look like tags
_AT_HASH = 0.8  # share of keys at their hash slot or a few rows behind it: 100 % where a layout is right
_PROBES = 32  # rows behind the hash slot in which a key may lie


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a tag table and where it comes from, in a few words for a report."""

    structure: Structure
    dtype: "np.dtype[np.void]"
    source: str

    @property
    def counts_bits(self) -> int:
        """Bits of the counters of allocations and frees."""
        return 8 * (self.structure.fields["NonPagedAllocs"].size or 4)

    @property
    def bytes_bits(self) -> int:
        """Bits of the byte counters."""
        return 8 * (self.structure.fields["NonPagedBytes"].size or 4)


def tracker_layout(kernel: Kernel, memory: Reader, address: int, rows: int) -> Layout | None:
    """The layout of the tag table at ``address``; None when no known one fits it.

    The kernel's own symbols are believed; anything else must be confirmed by the table.
    """
    told = kernel.structure(_NAME)
    if kernel.exact and told is not None and (layout := _usable(told, "symbols")) is not None:
        return layout
    candidates = ([told] if told is not None else []) + [
        known for known in known_layouts(_NAME, kernel.architecture) if told is None or known.size != told.size
    ]
    found: list[tuple[float, int, Layout]] = []
    for candidate in candidates:
        layout = _usable(candidate, f"rows of {candidate.size:#x} bytes, which the table itself confirms")
        if layout is None:
            continue
        score = _score(memory, address, rows, layout, hashed=kernel.build >= 3790)
        if score is not None:
            found.append((score, -candidate.size, layout))
    return max(found, key=lambda each: each[:2])[2] if found else None


def _usable(structure: Structure, source: str) -> Layout | None:
    dtype = row_dtype(structure, COLUMNS)
    if dtype is None or set(COLUMNS) - set(dtype.names or ()) or structure.fields["Key"].size != 4:
        return None
    return Layout(structure, dtype, source)


def _score(memory: Reader, address: int, rows: int, layout: Layout, *, hashed: bool) -> float | None:
    """How well a table agrees with a layout, 0 to 1; None when it contradicts it or has too few tags to tell."""
    sample = min(rows, SAMPLE_ROWS)
    keys, at, balanced = [], [], []
    for part in memory.table(address, layout.dtype, sample):
        used = part.whole & (part.rows["Key"] != 0)
        keys.append(part.rows["Key"][used].astype(np.uint32))
        at.append(np.flatnonzero(used) + part.first)
        balanced.append(part.rows["NonPagedFrees"][used] <= part.rows["NonPagedAllocs"][used])
    tags = strip_protected(np.concatenate(keys)) if keys else np.empty(0, np.uint32)
    if len(tags) < MIN_KEYS or printable(tags).mean() < _PRINTABLE:
        return None
    if not hashed:
        # The hash of earlier systems is not known; they have one table, in which frees never exceed allocations
        share = float(np.concatenate(balanced).mean())
        return share if share >= _PRINTABLE else None
    mask = hash_mask(rows)
    behind = (np.concatenate(at) - hash_slots(tags, mask)) & mask
    share = float((behind < _PROBES).mean())
    return share if share >= _AT_HASH else None


def hash_mask(rows: int) -> int:
    """The mask of a table of ``rows`` rows: a power of two of them is hashed, a last one takes what overflows."""
    return (1 << max((rows - 1).bit_length() - 1, 0)) - 1 if rows > 1 and rows & (rows - 1) else max(rows - 1, 0)
