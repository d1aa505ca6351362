"""Allocations of a page and more: the kernel keeps a table of them, a row for each with address, tag and size.

A row whose address has bit 0 set is free (it keeps what it held). On large machines the table has millions of rows:
it is read in parts and never held whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import Reader, Rows
from poolsleuth.kernel.addresses import is_kernel_address
from poolsleuth.kernel.pool.big_page_layout import BigLayout, big_page_layout
from poolsleuth.kernel.pool.tags import Keys, strip_protected, tag_text
from poolsleuth.kernel.sessions import Session
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.tags import PoolKind

MAX_ENTRIES = 1 << 24  # rows: other readers of this table take more for an error, too
MAX_SESSION_ENTRIES = 1 << 20  # rows of a session's table: there can be thousands of sessions
MAX_TAGS = 1 << 16  # tags (in each pool) of which totals are kept: Windows has some thousands

_HASH_BITS = 16  # of the table from tags to totals: some thousands of tags rarely share a slot
_NO_CODE = np.uint64(0xFFFFFFFFFFFFFFFF)  # no tag with its pool has more than 34 bits
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)

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
            addresses = part.rows["Va"].astype(np.uint64)
            if not part.whole.all():
                addresses[~part.whole] = 0
            freed = (addresses & np.uint64(1)) != 0
            used = np.flatnonzero((addresses != 0) & ~freed)
            addresses, sizes = addresses[used], self.layout.sizes(part.rows)[used]
            good = self.layout.possible(addresses, sizes)
            strange = len(used) - int(np.count_nonzero(good))
            if strange:
                addresses, sizes, used = addresses[good], sizes[good], used[good]
            yield BigPart(
                addresses=addresses,
                keys=strip_protected(part.rows["Key"].astype(np.uint32)[used]),
                sizes=sizes,
                pools=self._pools(part.rows, used, addresses),
                free=int(np.count_nonzero(freed)),
                strange=strange,
                missing=len(part.whole) - int(np.count_nonzero(part.whole)),
            )
        if seen < self.rows:  # the rest would lie beyond the last address
            none = np.empty(0, np.uint64)
            yield BigPart(none, none.astype(np.uint32), none, none.astype(np.uint8), 0, 0, self.rows - seen)

    def _pools(self, rows: Rows, used: NDArray[np.intp], addresses: NDArray[np.uint64]) -> NDArray[np.uint8]:
        if self.always_paged:
            return np.full(len(used), PAGED, np.uint8)
        if self.layout.typed:
            return self.layout.pool_types(rows).astype(np.uint8)[used] & np.uint8(1)
        if self.paged_range is None:
            return np.full(len(used), UNKNOWN, np.uint8)
        start, last = map(np.uint64, self.paged_range)
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
    if rows > (MAX_ENTRIES if session is None and not always_paged else MAX_SESSION_ENTRIES):
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
    """Counts and bytes by tag and pool, in arrays: ``codes`` are tag * 4 + pool, ascending.

    A hash table in two arrays leads from most codes to their place; sorting every part would take most of the time.
    """

    def __init__(self) -> None:
        self.codes = np.empty(0, np.uint64)
        self.counts = np.empty(0, np.uint64)
        self.sizes = np.empty(0, np.uint64)
        self.dropped = False
        self._code_at = np.full(1 << _HASH_BITS, _NO_CODE, np.uint64)
        self._place_at = np.zeros(1 << _HASH_BITS, np.intp)

    def add(self, part: BigPart) -> None:
        """Add the entries of a part."""
        codes = part.keys.astype(np.uint64) << np.uint64(2) | part.pools
        slots = _slots(codes)
        known = self._code_at[slots] == codes
        places = self._place_at[slots[known]]
        np.add.at(self.counts, places, np.uint64(1))
        np.add.at(self.sizes, places, part.sizes[known])
        if not known.all():
            self._merge(codes[~known], part.sizes[~known])

    def _merge(self, codes: NDArray[np.uint64], sizes: NDArray[np.uint64]) -> None:
        """Add entries by sorting: of new tags, and of those that share a slot of the hash table with another."""
        before = len(self.codes)
        codes = np.concatenate((self.codes, codes))
        counts = np.concatenate((self.counts, np.ones(len(sizes), np.uint64)))
        sizes = np.concatenate((self.sizes, sizes))
        order = np.argsort(codes)
        codes = codes[order]
        first = np.flatnonzero(np.concatenate(([True], codes[1:] != codes[:-1])))
        self.codes = codes[first]
        self.counts = np.add.reduceat(counts[order], first)
        self.sizes = np.add.reduceat(sizes[order], first)
        if len(self.codes) == before:
            return
        if len(self.codes) > MAX_TAGS:
            self.dropped = True
            kept = np.sort(np.argsort(self.sizes, kind="stable")[-MAX_TAGS:])
            self.codes, self.counts, self.sizes = self.codes[kept], self.counts[kept], self.sizes[kept]
        self._code_at[:] = _NO_CODE
        slots = _slots(self.codes)
        self._code_at[slots] = self.codes
        self._place_at[slots] = np.arange(len(self.codes))

    def tags(self) -> tuple[BigTag, ...]:
        """The totals, most bytes first."""
        order = np.argsort(self.sizes, kind="stable")[::-1].tolist()
        codes, counts, sizes = self.codes.tolist(), self.counts.tolist(), self.sizes.tolist()
        return tuple(
            BigTag(codes[i] >> 2, tag_text(codes[i] >> 2), _KINDS[codes[i] & 3], counts[i], sizes[i]) for i in order
        )


def _slots(codes: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Slots of the hash table: the upper bits of the product with 2^64 divided by the golden ratio."""
    return (codes * _GOLDEN >> np.uint64(64 - _HASH_BITS)).astype(np.intp)


def _nothing(says: str, session: int | None = None) -> BigPages:
    return BigPages(
        table=None, tags=(), used=0, free=0, strange=0, missing=0, complete=False, says=(says,), session=session
    )
