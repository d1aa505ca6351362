"""The pool usage of every tag: what all tag tables of a kernel, or of one session, say together."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.pool.tags import Keys, tag_text
from poolsleuth.model.tags import PoolKind

Numbers = NDArray[np.int64]
_MIN_BLOCK = 8  # bytes of the smallest pool block of any Windows


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters of one pool, a number for each tag of ``TagTotals.keys``.

    ``allocs`` and ``frees`` since boot, modulo 2^32 or 2^64 (the width of the kernel's counters); ``outstanding`` is
    their difference, ``bytes`` what is in use, both as signed numbers: a negative one is no figure, it shows that a
    part of the counters is missing or was taken at another moment.
    """

    allocs: NDArray[np.uint64]
    frees: NDArray[np.uint64]
    outstanding: Numbers
    bytes: Numbers


@dataclass(frozen=True, slots=True)
class TagFigures:
    """One tag in one pool. Counts are counts, ``bytes`` is bytes; None is what the tables cannot say.

    ``certain`` is False where a table that belongs to the sum was not read: the figures are then those of some
    processors only, which is neither an upper nor a lower bound.
    """

    key: int
    tag: str
    pool: PoolKind
    allocs: int | None
    frees: int | None
    outstanding: int | None
    bytes: int | None
    certain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TagTotals:
    """The sums of all tag tables.

    ``keys`` are the tags as numbers (bit 31, "protected", left out), ascending, each once; ``certain`` says for which
    of them every table was read. ``tables_read`` of ``tables_expected`` tables gave something (None: how many there are
    is not known); ``expansion_read`` is False where a further table for rare tags exists and was not read whole.
    ``rows`` is the number of rows of each table, None when not known; ``rows_missing`` counts rows of all tables in
    pages that cannot be read. ``complete`` is True only where every tag of the machine is in ``keys`` with certain
    figures: only then does a tag that is missing here not exist. ``says`` are sentences about what is missing.
    ``session`` is the number of the session, None for the system's tables.
    """

    keys: Keys
    nonpaged: Counters
    paged: Counters
    certain: NDArray[np.bool_]
    complete: bool
    tables_read: int
    tables_expected: int | None
    rows: int | None
    rows_missing: int
    expansion_read: bool
    layout: str | None
    says: tuple[str, ...]
    session: int | None = None

    def figures(self, minimum: int = 0) -> Iterator[TagFigures]:
        """The tags as results, one for each pool in which a tag has or had anything, those with most bytes first.

        A negative figure is None; in complete tables it is 0, for then it comes from counters that moved while the
        dump was written. Allocations and frees are None where they wrapped (their difference is still right).
        ``minimum`` leaves out what has fewer bytes in use.
        """
        for pool, counters in ((PoolKind.NONPAGED, self.nonpaged), (PoolKind.PAGED, self.paged)):
            seen = (counters.allocs != 0) | (counters.frees != 0) | (counters.bytes != 0)
            seen &= (counters.bytes >= minimum) | (minimum == 0)
            places = np.flatnonzero(seen)
            places = places[np.argsort(-counters.bytes[places], kind="stable")]
            for place in places.tolist():
                yield self._figures(place, pool, counters)

    def _figures(self, place: int, pool: PoolKind, counters: Counters) -> TagFigures:
        allocs, frees = int(counters.allocs[place]), int(counters.frees[place])
        outstanding, size = int(counters.outstanding[place]), int(counters.bytes[place])
        wrapped = allocs - frees != outstanding
        key = int(self.keys[place])
        return TagFigures(
            key=key,
            tag=tag_text(key),
            pool=pool,
            allocs=None if wrapped else allocs,
            frees=None if wrapped else frees,
            outstanding=self._clamped(outstanding),
            bytes=self._clamped(size),
            certain=bool(self.certain[place]),
        )

    def _clamped(self, figure: int) -> int | None:
        if figure >= 0:
            return figure
        return 0 if self.complete else None


def no_totals(*says: str, expected: int | None = None, session: int | None = None) -> TagTotals:
    """Totals that hold nothing, and why."""
    empty = np.empty(0, np.uint64)
    signed = np.empty(0, np.int64)
    nothing = Counters(empty, empty, signed, signed)
    return TagTotals(
        keys=np.empty(0, np.uint32),
        nonpaged=nothing,
        paged=nothing,
        certain=np.empty(0, np.bool_),
        complete=False,
        tables_read=0,
        tables_expected=expected,
        rows=None,
        rows_missing=0,
        expansion_read=False,
        layout=None,
        says=says,
        session=session,
    )


def signed(values: NDArray[np.uint64], bits: int) -> Numbers:
    """Numbers modulo 2^``bits`` as signed ones."""
    if bits >= 64:
        return values.view(np.int64).copy()
    shift = np.uint64(64 - bits)
    return (values << shift).view(np.int64) >> np.int64(64 - bits)


def counters_of(
    allocs: NDArray[np.uint64],
    frees: NDArray[np.uint64],
    used: NDArray[np.uint64],
    counts_bits: int,
    bytes_bits: int,
) -> Counters:
    """Counters out of sums modulo 2^64 of counters that wrap at ``counts_bits`` and ``bytes_bits``."""
    mask = np.uint64((1 << counts_bits) - 1)
    outstanding = signed(allocs - frees, counts_bits)
    size = signed(used, bytes_bits)
    if counts_bits == 32:
        # More than 2^31 blocks can be outstanding in 64 bits: the bytes in use tell that from a negative number
        many = (outstanding < 0) & (size >= _MIN_BLOCK * (outstanding + (1 << 32)))
        outstanding = np.where(many, outstanding + (1 << 32), outstanding)
    return Counters(allocs & mask, frees & mask, outstanding, size)
