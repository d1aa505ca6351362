"""What the blocks of a walk hold of each tag, against what the kernel's own tag tables count.

Both should agree. Blocks that wait in lookaside lists are freed as far as the tables are concerned; what lies in pages
that are not there is missing among the blocks; counters and blocks move while a live dump is written; and allocations
of whole pages are counted in bytes or in pages, as the Windows is. What is left is said: more in blocks than counted
(the tables were reset or damaged), or far less (the walk misses a part of the pool).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.pool.big_pages import BigPages
from poolsleuth.kernel.pool.blocks import Blocks, Pool, State
from poolsleuth.kernel.pool.page_census import AbsentPages
from poolsleuth.kernel.pool.tag_totals import TagTotals
from poolsleuth.kernel.pool.tags import tag_text
from poolsleuth.model.tags import PoolKind

MAX_TAGS = 1 << 17  # tags, by pool and session, whose blocks are summed: damaged headers can have any tag
SLACK_SHARE = 0.02  # of what is counted of a tag: blocks that came or went while the dump was written
SLACK_BYTES = 64 << 10  # of a tag: less is no finding on any machine
_POOLS = {
    int(Pool.NONPAGED): PoolKind.NONPAGED,
    int(Pool.NONPAGED_NX): PoolKind.NONPAGED,
    int(Pool.PAGED): PoolKind.PAGED,
    int(Pool.SESSION): PoolKind.PAGED,  # of a session, whose own table counts it as paged
}
Key = tuple[int | None, int, PoolKind | None]
"""Session, tag and pool; None for the pool where blocks do not tell it."""


class Agreement(StrEnum):
    """How what was found of a tag stands to what is counted of it."""

    AGREES = "agrees"
    EXPLAINED = "explained"  # less was found, and at least so much lies in pages that cannot be read
    MORE = "more"
    LESS = "less"


@dataclass(slots=True)
class BlockTotals:
    """Blocks in use by session, tag and pool: add each part of a walk, those of the system with ``session`` None.

    ``complete`` is False once there were more than ``MAX_TAGS``: then nothing can be compared, and no part counts.
    """

    blocks: dict[Key, int] = field(default_factory=dict)
    bytes: dict[Key, int] = field(default_factory=dict)
    waiting: dict[tuple[int | None, PoolKind | None], int] = field(default_factory=dict)
    protected: int = 0
    complete: bool = True

    def add(self, blocks: Blocks, session: int | None = None) -> None:
        """Count a part."""
        if not self.complete:
            return
        pool = blocks["pool"].astype(np.uint64)
        live = blocks["state"] == State.ALLOCATED
        self.protected += int((live & (blocks["protected"] != 0)).sum())
        sizes = blocks["size"].astype(np.float64)
        codes, places, counts = np.unique(
            blocks["tag"][live].astype(np.uint64) << np.uint64(8) | pool[live], return_inverse=True, return_counts=True
        )
        if len(codes) > 4 * MAX_TAGS:  # four pools; of noise each block has a tag of its own
            self.complete = False
            return
        sums = np.bincount(places, weights=sizes[live], minlength=len(codes))
        for code, count, size in zip(codes.tolist(), counts.tolist(), sums.tolist(), strict=True):
            key = (session, code >> 8, _POOLS.get(code & 0xFF))
            if key not in self.blocks and len(self.blocks) >= MAX_TAGS:
                self.complete = False
                continue
            self.blocks[key] = self.blocks.get(key, 0) + count
            self.bytes[key] = self.bytes.get(key, 0) + int(size)
        waits = blocks["state"] == State.IN_LOOKASIDE
        for each in np.unique(pool[waits]).tolist():
            mine = (session, _POOLS.get(each))
            more = int(sizes[waits & (pool == each)].sum())
            self.waiting[mine] = self.waiting.get(mine, 0) + more


@dataclass(frozen=True, slots=True, kw_only=True)
class TagBalance:
    """One tag in one pool. ``counted_*`` is what the tables say (None: nothing certain), ``found_*`` the blocks.

    Allocations of whole pages are in ``found_*``, too; ``big_blocks`` of the blocks are such.
    """

    key: int
    tag: str
    counted_blocks: int | None
    counted_bytes: int | None
    found_blocks: int
    found_bytes: int
    big_blocks: int
    agreement: Agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """One pool (of the system, or of one session). Sizes in bytes.

    ``counted_bytes`` are those of all tags whose figures are certain, ``found_bytes`` what was found of these tags, and
    ``certain`` says whether these are all. ``waiting_bytes`` are in blocks that were freed and wait in lookaside lists:
    they are not in ``found_bytes``. ``unknown_bytes`` are in blocks whose pool is not known. ``rows`` are the
    tags that do not agree, those with the largest difference first; ``agreeing`` counts the others.
    """

    pool: PoolKind
    session: int | None
    counted_bytes: int
    found_bytes: int
    certain: bool
    waiting_bytes: int
    unknown_bytes: int
    absent: AbsentPages | None
    agreeing: int
    rows: tuple[TagBalance, ...]

    @property
    def share(self) -> float | None:
        """What was found, of what is counted; None when nothing is counted."""
        return self.found_bytes / self.counted_bytes if self.counted_bytes else None


def reconcile(
    found: BlockTotals,
    tables: TagTotals,
    big: BigPages | None,
    absent: Mapping[Pool, AbsentPages],
) -> tuple[Reconciliation, ...]:
    """Both pools of ``tables`` (of the system, or of one session) against the blocks.

    ``big`` is the table of big allocations where the walk did not give them (the classic pool), else None.
    """
    session = tables.session
    results: list[Reconciliation] = []
    kinds = (PoolKind.NONPAGED, PoolKind.PAGED) if session is None else (PoolKind.PAGED,)
    for kind in kinds:
        pool = Pool.SESSION if session is not None else Pool.PAGED if kind is PoolKind.PAGED else Pool.NONPAGED
        results.append(_of_pool(kind, found, tables, big, absent.get(pool)))
    return tuple(results)


def _of_pool(
    kind: PoolKind, found: BlockTotals, tables: TagTotals, big: BigPages | None, absent: AbsentPages | None
) -> Reconciliation:
    session = tables.session
    blocks = {key[1]: count for key, count in found.blocks.items() if key[0] == session and key[2] is kind}
    sizes = {key[1]: size for key, size in found.bytes.items() if key[0] == session and key[2] is kind}
    unknown = sum(size for key, size in found.bytes.items() if key[0] == session and key[2] is None)
    whole: dict[int, int] = {}
    for one in big.tags if big is not None else ():
        if one.pool is kind:
            whole[one.key] = whole.get(one.key, 0) + one.count
            blocks[one.key] = blocks.get(one.key, 0) + one.count
            sizes[one.key] = sizes.get(one.key, 0) + one.bytes
        elif one.pool is None:
            unknown += one.bytes
    rows: list[TagBalance] = []
    counted = certain_found = 0
    seen: set[int] = set()
    all_certain = tables.complete
    for figures in tables.figures():
        if figures.pool is not kind:
            continue
        seen.add(figures.key)
        if not figures.certain or figures.bytes is None:
            all_certain = False
            continue
        size = sizes.get(figures.key, 0)
        counted += figures.bytes
        certain_found += size
        rows.append(
            TagBalance(
                key=figures.key,
                tag=figures.tag,
                counted_blocks=figures.outstanding,
                counted_bytes=figures.bytes,
                found_blocks=blocks.get(figures.key, 0),
                found_bytes=size,
                big_blocks=whole.get(figures.key, 0),
                agreement=_agreement(figures.bytes, size, whole.get(figures.key, 0)),
            )
        )
    if tables.complete:
        # A tag that the complete tables do not know has nothing in use
        rows += [_unlisted(key, blocks[key], sizes[key], whole.get(key, 0)) for key in sizes if key not in seen]
    rows = _explained(rows, (absent.may_hold_blocks if absent is not None else 0) * PAGE + unknown)
    odd = [row for row in rows if row.agreement is not Agreement.AGREES]
    odd.sort(key=lambda row: -abs((row.counted_bytes or 0) - row.found_bytes))
    return Reconciliation(
        pool=kind if session is None else PoolKind.SESSION,
        session=session,
        counted_bytes=counted,
        found_bytes=certain_found,
        certain=all_certain,
        waiting_bytes=found.waiting.get((session, kind), 0),
        unknown_bytes=unknown,
        absent=absent,
        agreeing=len(rows) - len(odd),
        rows=tuple(odd),
    )


def _unlisted(key: int, blocks: int, size: int, whole: int) -> TagBalance:
    return TagBalance(
        key=key,
        tag=tag_text(key),
        counted_blocks=0,
        counted_bytes=0,
        found_blocks=blocks,
        found_bytes=size,
        big_blocks=whole,
        agreement=_agreement(0, size, whole),
    )


def _agreement(counted: int, found: int, whole: int) -> Agreement:
    # The tables count an allocation of whole pages as such, or the bytes that were asked for
    slack = max(SLACK_BYTES, int(SLACK_SHARE * counted)) + whole * PAGE
    if found > counted + slack:
        return Agreement.MORE
    return Agreement.LESS if found < counted - slack else Agreement.AGREES


def _explained(rows: Iterable[TagBalance], room: int) -> list[TagBalance]:
    """Where everything that is missing fits into the pages that cannot be read, that is why it is missing."""
    listed = list(rows)
    missing = sum((row.counted_bytes or 0) - row.found_bytes for row in listed if row.agreement is Agreement.LESS)
    if not missing or missing > room:
        return listed
    return [replace(row, agreement=Agreement.EXPLAINED) if row.agreement is Agreement.LESS else row for row in listed]
