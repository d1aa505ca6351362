"""Allocations of a page and more: the kernel keeps a table of them, a row for each with address, tag and size.

A row whose address has bit 0 set is free (it keeps what it held). On large machines the table has millions of rows:
it is read in parts and never held whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.pool.big_page_layout import BigLayout, big_page_layout
from poolsleuth.kernel.pool.layout import is_kernel_address
from poolsleuth.kernel.pool.tags import Keys, strip_protected, tag_text
from poolsleuth.kernel.sessions import Session
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.tags import PoolKind

MAX_ENTRIES = 1 << 24  # rows: other readers of this table take more for an error, too
MAX_TAGS = 1 << 16  # tags in each pool of which totals are kept: Windows has some thousands

NONPAGED, PAGED, UNKNOWN = 0, 1, 2  # the pool of an entry
_KINDS = {NONPAGED: PoolKind.NONPAGED, PAGED: PoolKind.PAGED, UNKNOWN: None}


@dataclass(frozen=True, slots=True)
class BigPart:
    """Entries in use, from a part of the table.

    ``addresses`` are those of their first page, ``keys`` the tags as numbers (bit 31 left out), ``sizes`` in bytes,
    ``pools`` is ``NONPAGED``, ``PAGED`` or ``UNKNOWN``. ``free`` counts the part's free entries, ``strange`` its rows
    that cannot be entries, ``missing`` those in memory that cannot be read.
    """

    addresses: NDArray[np.uint64]
    keys: Keys
    sizes: NDArray[np.uint64]
    pools: NDArray[np.uint8]
    free: int
    strange: int
    missing: int


@dataclass(frozen=True, slots=True)
class BigTag:
    """All big allocations of one tag in one pool; ``pool`` is None where the table does not tell."""

    key: int
    tag: str
    pool: PoolKind | None
    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class BigTable:
    """Where the table lies and how it is read: ``parts`` reads it, as often as it is called."""

    address: int
    rows: int
    layout: BigLayout
    memory: Reader
    paged_range: tuple[int, int] | None = None
    always_paged: bool = False

    def parts(self) -> Iterator[BigPart]:
        """The entries in use, in parts of some 100,000 rows."""
        seen = 0
        for part in self.memory.table(self.address, self.layout.dtype, self.rows):
            seen += len(part.rows)
            addresses = part.rows["Va"]
            free = int((part.whole & ((addresses & 1) != 0)).sum())
            used = np.flatnonzero(part.whole & (addresses != 0) & ((addresses & 1) == 0))
            rows = part.rows[used]
            good = self.layout.possible(rows)
            strange = len(rows) - int(good.sum())
            rows = rows[good] if strange else rows
            yield BigPart(
                addresses=rows["Va"].astype(np.uint64),
                keys=strip_protected(rows["Key"].astype(np.uint32)),
                sizes=self.layout.sizes(rows),
                pools=self._pools(rows),
                free=free,
                strange=strange,
                missing=len(part.whole) - int(part.whole.sum()),
            )
        if seen < self.rows:  # the rest would lie beyond the last address
            none = np.empty(0, np.uint64)
            yield BigPart(none, none.astype(np.uint32), none, none.astype(np.uint8), 0, 0, self.rows - seen)

    def _pools(self, rows: NDArray[np.void]) -> NDArray[np.uint8]:
        if self.always_paged:
            return np.full(len(rows), PAGED, np.uint8)
        if self.layout.typed:
            return self.layout.pool_types(rows).astype(np.uint8) & np.uint8(1)
        if self.paged_range is None:
            return np.full(len(rows), UNKNOWN, np.uint8)
        start, last = map(np.uint64, self.paged_range)
        addresses = rows["Va"].astype(np.uint64)
        return ((addresses >= start) & (addresses <= last)).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class BigPages:
    """What the table of big allocations says.

    ``tags`` are the totals by tag and pool, most bytes first. ``used``, ``free``, ``strange`` and ``missing`` count
    rows: in use, free again, impossible, and in memory that cannot be read. ``complete`` is True when every row was
    read and makes sense. ``table`` gives the entries themselves; None when there is no table that could be read.
    ``session`` is the number of the session, None for the system's table.
    """

    table: BigTable | None
    tags: tuple[BigTag, ...]
    used: int
    free: int
    strange: int
    missing: int
    complete: bool
    says: tuple[str, ...]
    session: int | None = None


def read_big_pages(kernel: Kernel) -> BigPages:
    """The system's table of big allocations. Nothing raises: what is missing is said in ``says``."""
    address = kernel.variable("PoolBigPageTable")
    rows = kernel.variable("PoolBigPageTableSize")
    if address is None or rows is None:
        return _nothing("where the table of big allocations lies, or how large it is, is not known")
    start, last = kernel.variable("MmPagedPoolStart"), kernel.variable("MmPagedPoolEnd")
    known = start is not None and last is not None and is_kernel_address(start, kernel.pointer_size) and start < last
    paged_range = (start, last) if start is not None and last is not None and known else None
    return _read(kernel, kernel.memory, address, rows, paged_range=paged_range)


def read_session_big_pages(kernel: Kernel, session: Session) -> BigPages:
    """The table of big allocations of a session: paged pool, all of it."""
    if session.memory is None or session.big_pages is None:
        return _nothing("the session has no table of big allocations that can be read", session.id)
    address, rows = session.big_pages
    return _read(kernel, session.memory, address, rows, session=session.id, always_paged=True)


def _read(
    kernel: Kernel,
    memory: Reader,
    address: int,
    rows: int,
    *,
    paged_range: tuple[int, int] | None = None,
    session: int | None = None,
    always_paged: bool = False,
) -> BigPages:
    if not is_kernel_address(address, kernel.pointer_size) or not rows:
        return _nothing("the table of big allocations has an address or a size that cannot be right", session)
    if rows > MAX_ENTRIES:
        return _nothing(
            f"the table of big allocations is said to have {rows:,} rows, more than any Windows has: it is not read",
            session,
        )
    layout = big_page_layout(kernel, memory, address, rows)
    if layout is None:
        return _nothing(
            "no known layout fits the table of big allocations, or it lies in memory that is not in the dump", session
        )
    table = BigTable(address, rows, layout, memory, paged_range, always_paged)
    totals = _Totals()
    used = free = strange = missing = 0
    for part in table.parts():
        totals.add(part)
        used += len(part.keys)
        free += part.free
        strange += part.strange
        missing += part.missing
    says = []
    if missing:
        says.append(f"{missing:,} of the {rows:,} rows of big allocations lie in memory that cannot be read")
    if strange:
        says.append(f"{strange:,} rows of big allocations cannot be right and are left out")
    if totals.dropped:
        says.append(f"big allocations have more than {MAX_TAGS:,} tags: those with least bytes are left out")
    return BigPages(
        table=table,
        tags=totals.tags(),
        used=used,
        free=free,
        strange=strange,
        missing=missing,
        complete=not (missing or strange or totals.dropped),
        says=tuple(says),
        session=session,
    )


class _Totals:
    """Counts and bytes by tag and pool, in arrays: ``codes`` are tag * 4 + pool, ascending."""

    def __init__(self) -> None:
        self.codes = np.empty(0, np.uint64)
        self.counts = np.empty(0, np.uint64)
        self.sizes = np.empty(0, np.uint64)
        self.dropped = False

    def add(self, part: BigPart) -> None:
        """Add the entries of a part."""
        codes = part.keys.astype(np.uint64) << np.uint64(2) | part.pools
        everything = np.concatenate((self.codes, codes))
        counts = np.concatenate((self.counts, np.ones(len(codes), np.uint64)))
        sizes = np.concatenate((self.sizes, part.sizes))
        order = np.argsort(everything, kind="stable")
        everything = everything[order]
        if not len(everything):
            return
        first = np.flatnonzero(np.concatenate(([True], everything[1:] != everything[:-1])))
        self.codes = everything[first]
        self.counts = np.add.reduceat(counts[order], first)
        self.sizes = np.add.reduceat(sizes[order], first)
        if len(self.codes) > MAX_TAGS:
            self.dropped = True
            kept = np.sort(np.argsort(self.sizes, kind="stable")[-MAX_TAGS:])
            self.codes, self.counts, self.sizes = self.codes[kept], self.counts[kept], self.sizes[kept]

    def tags(self) -> tuple[BigTag, ...]:
        """The totals, most bytes first."""
        order = np.argsort(self.sizes, kind="stable")[::-1].tolist()
        codes, counts, sizes = self.codes.tolist(), self.counts.tolist(), self.sizes.tolist()
        return tuple(
            BigTag(codes[i] >> 2, tag_text(codes[i] >> 2), _KINDS[codes[i] & 3], counts[i], sizes[i]) for i in order
        )


def _nothing(says: str, session: int | None = None) -> BigPages:
    return BigPages(
        table=None, tags=(), used=0, free=0, strange=0, missing=0, complete=False, says=(says,), session=session
    )
