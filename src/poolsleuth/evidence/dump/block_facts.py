"""The blocks of the pool, where they are worth the time: pages in pieces, and headers that are damaged."""

from collections.abc import Callable, Iterator

from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.kernel.pool.block_stats import BlockStats, PoolStats
from poolsleuth.kernel.pool.blocks import Blocks, BrokenChain, Pool, Rule, State
from poolsleuth.kernel.pool.classic_walk import has_classic_pool, walk_classic_pool
from poolsleuth.kernel.pool.tags import tag_text
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.facts import Fact
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.pool import PoolBlock, PoolBlockList, PoolPage, PoolPages, PoolValidation
from poolsleuth.model.system import BugCheck
from poolsleuth.model.tags import Completeness, PoolKind, TagTable

PAGE = 4096
WORTH_LOOKING = 0.25  # of a pool's pages in no tag: from here on the blocks are looked at (10 to 15 % are normal)
WORTH_BYTES = 4 << 20  # of a pool: below it nobody looks for fragments
MAX_KINDS = 5000  # combinations of tag, size and state that are handed on, the most frequent first
MAX_PINNING = 20  # tags named that hold pages
_POOL_BUG_CHECKS = frozenset({0x19, 0xC2, 0xC5, 0xD0, 0x13A})
_KINDS = {
    Pool.NONPAGED: PoolKind.NONPAGED,
    Pool.NONPAGED_NX: PoolKind.NONPAGED,
    Pool.PAGED: PoolKind.PAGED,
    Pool.SESSION: PoolKind.SESSION,
}
_RULES = {
    Rule.PREVIOUS_SIZE: "the previous size in a header is not the size of the block in front of it (as in 0x19, 5)",
    Rule.SIZE_ZERO: "the size in a header is zero (as in 0x19, 8)",
    Rule.SIZE_TOO_LARGE: "the size in a header leads behind the end of its page (as in 0x19, 9)",
}


def block_facts(
    kernel: Kernel, told: list[Fact], context: DumpContext, progress: Callable[[int], None] | None = None
) -> Iterator[Fact]:
    """Walk all blocks, if what is ``told`` already makes it worth the time. Nothing for a kernel with segment heaps."""
    if not has_classic_pool(kernel) or not _worth_it(told):
        return
    stats = BlockStats()
    unreadable = 0
    for part in walk_classic_pool(kernel, progress):
        if len(part.blocks) or part.broken:
            stats.add(part.blocks, part.broken)
        unreadable += part.unreadable
        if part.stopped is not None:
            context.problem(f"pool pages: {part.stopped}")
    for pool, kind in _KINDS.items():
        found = stats.pools.get(pool)
        if found is not None:
            yield from _of_pool(found, kind, unreadable, context)
    for chain in stats.broken:
        yield _damaged(chain, context)


def _worth_it(told: list[Fact]) -> bool:
    if any(isinstance(fact, BugCheck) and fact.code in _POOL_BUG_CHECKS for fact in told):
        return True
    counters = next((fact for fact in told if isinstance(fact, MemoryCounters)), None)
    table = next((fact for fact in told if isinstance(fact, TagTable) and fact.session is None), None)
    if counters is None or table is None or table.completeness is not Completeness.COMPLETE:
        return False
    nonpaged = sum(f.value for f in (counters.nonpaged_used, counters.nonpaged_nx_used) if f is not None)
    paged = counters.paged_used.value if counters.paged_used is not None else 0
    for kind, used in ((PoolKind.NONPAGED, nonpaged), (PoolKind.PAGED, paged)):
        tagged = sum(row.bytes or 0 for row in table.rows if row.pool is kind)
        if used >= WORTH_BYTES and tagged < (1 - WORTH_LOOKING) * used:
            return True
    return False


def _of_pool(stats: PoolStats, kind: PoolKind, unreadable: int, context: DumpContext) -> Iterator[Fact]:
    where = int(stats.examples[0]["address"][0]) if stats.examples else None
    runs = stats.free_runs
    yield PoolPages(
        **context.base(where),
        pool=kind,
        pages=stats.pages,
        blocks=stats.blocks,
        live_bytes=stats.live_bytes,
        free_bytes=stats.free_bytes,
        largest_free=max(runs, default=None),
        pinned=stats.pinned_pages,
        pinned_bytes=stats.pinned_bytes,
        pinned_by=tuple((tag_text(tag), count) for tag, count in stats.pinned_by.most_common(MAX_PINNING)),
        pinned_runs=tuple(sorted(stats.pinned_runs.items())),
        unreadable=unreadable,
    )
    yield PoolBlockList(
        **context.base(where),
        tag_asked=None,
        pool=kind,
        counts=tuple(
            (tag_text(tag), size, state == State.FREE, count)
            for (tag, size, state), count in stats.kinds.most_common(MAX_KINDS)
        ),
        first=(),
    )
    for blocks in stats.examples:
        yield _page(blocks, kind, context)


def _page(blocks: Blocks, kind: PoolKind, context: DumpContext) -> PoolPage:
    page = int(blocks["address"][0]) & ~(PAGE - 1)
    found: list[PoolBlock] = []
    before = 0
    for row in blocks:
        size, address = int(row["size"]), int(row["address"])
        found.append(
            PoolBlock(
                address=address,
                size=size,
                previous_size=before,
                free=bool(row["state"] == State.FREE),
                tag=tag_text(int(row["tag"])),
                protected=bool(row["protected"]),
                where=context.where(address),
            )
        )
        before = size
    return PoolPage(**context.base(page), page=page, region=None, pool=kind, blocks=tuple(found), whole=True)


def _damaged(chain: BrokenChain, context: DumpContext) -> PoolValidation:
    page = chain.address & ~(PAGE - 1)
    says = f"0x{chain.address:x}: {_RULES[chain.rule]}; {chain.blocks} sound headers stand in front of it"
    return PoolValidation(**context.base(chain.address), page=page, valid=False, errors=(says,))
