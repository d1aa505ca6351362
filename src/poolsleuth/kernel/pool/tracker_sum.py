"""Adds up tag tables, row by row: the counters of a tag lie at the same row of every processor's table.

A counter of one processor may be "negative" (what one allocates another frees): all sums are modulo 2^64, and only the
sums are looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.pool.tag_totals import TagTotals, counters_of
from poolsleuth.kernel.pool.tags import Keys, strip_protected
from poolsleuth.kernel.pool.tracker_layout import COUNTERS, Layout

MAX_ROWS = 1 << 18  # rows of one table: kernels have 2,049 to 65,537
MAX_ALL_ROWS = 1 << 25  # rows of all tables together: 2,048 processors with 8,193 rows have half of that
_OVERFLOW = int.from_bytes(b"Ovfl", "little")


@dataclass(slots=True)
class Sum:
    """What the tables read so far say for each row: keys, sums modulo 2^64, and which rows are certain.

    ``strange`` counts rows of a table whose tag is not that of the same row elsewhere: they were not added.
    """

    layout: Layout
    rows: int
    keys: Keys = field(init=False)
    sums: NDArray[np.uint64] = field(init=False)
    certain: NDArray[np.bool_] = field(init=False)
    missing: int = 0
    strange: int = 0

    def __post_init__(self) -> None:
        self.keys = np.zeros(self.rows, np.uint32)
        self.sums = np.zeros((len(COUNTERS), self.rows), np.uint64)
        self.certain = np.ones(self.rows, np.bool_)

    def overflown(self) -> bool:
        """Whether the last row counts what found no row of its own."""
        return self.rows > 1 and int(self.keys[-1]) == _OVERFLOW and bool(self.sums[:, -1].any())

    def has_the_tags_of(self, memory: Reader, address: int) -> bool:
        """Whether a table of some of the same tags, in the same rows, lies at ``address``."""
        same = used = 0
        for part in memory.table(address, self.layout.dtype, self.rows):
            keys = np.where(part.whole, part.rows["Key"], 0).astype(np.uint32)
            mine = self.keys[part.first : part.first + len(keys)]
            used += int(np.count_nonzero(keys))
            same += int(np.count_nonzero((keys == mine) & (keys != 0)))
        return used > 0 and same == used

    def add(self, memory: Reader, address: int) -> bool:
        """Add the table at ``address``. False when nothing of it could be read."""
        read = seen = 0
        for part in memory.table(address, self.layout.dtype, self.rows):
            here = slice(part.first, part.first + len(part.rows))
            seen += len(part.rows)
            good = part.whole
            keys = part.rows["Key"].astype(np.uint32)
            keys[~good] = 0
            mine = self.keys[here]
            odd = (keys != mine) & (keys != 0) & (mine != 0)
            self.strange += int(odd.sum())
            read += int(good.sum())
            # A row without a tag has nothing to add, unless its tag stands in another processor's table only
            usable = good & ~odd
            np.copyto(mine, keys, where=mine == 0)
            self.certain[here] &= usable
            all_usable = bool(usable.all())
            for total, name in zip(self.sums, COUNTERS, strict=True):
                values = part.rows[name]
                total[here] += values if all_usable else np.where(usable, values, 0)
        self.certain[seen:] = False
        self.missing += self.rows - read
        return read > 0


def totals(
    main: Sum,
    expansion: Sum | None,
    *,
    says: Sequence[str],
    complete: bool,
    tables_read: int,
    tables_expected: int | None,
    expansion_read: bool,
    session: int | None = None,
) -> TagTotals:
    """The rows of the tables that hold a tag, those of the same tag merged.

    ``complete`` is what the caller knows about the tables; what these sums lack makes it False.
    """
    parts = [main] if expansion is None else [main, expansion]
    keys = np.concatenate([part.keys for part in parts])
    sums = np.concatenate([part.sums for part in parts], axis=1)
    certain = np.concatenate([part.certain for part in parts])
    whole = bool(certain.all())
    used = np.flatnonzero(keys)
    keys, sums, certain = strip_protected(keys[used]), sums[:, used], certain[used]
    order = np.argsort(keys, kind="stable")
    keys, sums, certain = keys[order], sums[:, order], certain[order]
    if len(keys):
        first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
        keys = keys[first]
        sums = np.add.reduceat(sums, first, axis=1)
        certain = np.logical_and.reduceat(certain, first)
    layout = main.layout
    bits = layout.counts_bits, layout.bytes_bits
    sentences = [*says]
    missing = sum(part.missing for part in parts)
    strange = sum(part.strange for part in parts)
    if missing:
        sentences.append(f"{missing:,} rows of the tag tables lie in memory that cannot be read")
    if strange:
        sentences.append(f"{strange:,} rows of processors' tag tables hold another tag than the same row elsewhere")
    overflown = main.overflown()
    if overflown:
        sentences.append("the tag table is full: some tags are counted under the name Ovfl")
    complete = complete and whole and not overflown
    nonpaged = counters_of(sums[0], sums[1], sums[2], *bits)
    paged = counters_of(sums[3], sums[4], sums[5], *bits)
    negative = sum(int(((pool.bytes < 0) | (pool.outstanding < 0)).sum()) for pool in (nonpaged, paged))
    if negative and complete:
        sentences.append(f"{negative:,} tags have freed more than they allocated: counters moved while they were read")
    return TagTotals(
        keys=keys,
        nonpaged=nonpaged,
        paged=paged,
        # What a table that is missing altogether would add is known for no row
        certain=certain if tables_expected is not None and tables_read >= tables_expected else np.zeros_like(certain),
        complete=complete,
        tables_read=tables_read,
        tables_expected=tables_expected,
        rows=main.rows,
        rows_missing=missing,
        expansion_read=expansion_read,
        layout=layout.source,
        says=tuple(sentences),
        session=session,
    )
