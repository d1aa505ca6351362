"""What a walk of the pool found, as facts."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.kernel.pool.block_stats import BlockStats, PoolStats
from poolsleuth.kernel.pool.blocks import Blocks, BrokenChain, Pool, Rule, State
from poolsleuth.kernel.pool.free_list_check import FreeListCheck
from poolsleuth.kernel.pool.page_census import AbsentPages
from poolsleuth.kernel.pool.quota import QuotaSums
from poolsleuth.kernel.pool.reconciliation import Agreement, Reconciliation
from poolsleuth.kernel.pool.tags import tag_text
from poolsleuth.kernel.processes import read_processes
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.facts import Fact
from poolsleuth.model.pool import (
    PoolBlock,
    PoolBlockList,
    PoolPage,
    PoolPages,
    PoolReconciliation,
    PoolValidation,
    QuotaCharge,
    QuotaCharges,
    TagDifference,
)
from poolsleuth.model.tags import PoolKind

PAGE = 4096
MAX_KINDS = 5000  # combinations of tag, size and state that are handed on, the most frequent first
MAX_PINNING = 20  # tags named that hold pages
MAX_RUNS = 512  # sizes of free blocks told: classic blocks have no more, of other allocators the largest and usual ones
MAX_DIFFERENCES = 20  # tags told whose blocks do not agree with the tables
MAX_PAYERS = 30  # processes told that pay for blocks
MAX_TAGS_PAID = 5  # tags told of each
MAX_LINKS = 50  # broken links of free blocks told
_KINDS = {Pool.NONPAGED: PoolKind.NONPAGED, Pool.PAGED: PoolKind.PAGED, Pool.SESSION: PoolKind.SESSION}
_RULES = {
    Rule.FREE_LIST: "a link of a free block is wrong (as in 0x19, 3)",
    Rule.PREVIOUS_SIZE: "the previous size in a header is not the size of the block in front of it (as in 0x19, 5)",
    Rule.PREVIOUS_TOO_LARGE: "the previous size in a header leads in front of its page (as in 0x19, 6)",
    Rule.SIZE_WRONG: "the size in a header does not lead to the next block, which the headers behind show (as in 0x19,"
    " 7)",
    Rule.SIZE_ZERO: "the size in a header is zero (as in 0x19, 8)",
    Rule.SIZE_TOO_LARGE: "the size in a header leads behind the end of its page (as in 0x19, 9)",
    Rule.OVERRUN: "a whole header was written over, and those behind it are sound (as in 0x19, 0x20): an overrun of the"
    " block in front",
}


def pool_facts(
    stats: BlockStats,
    absent: Mapping[Pool, AbsentPages] | None,
    unreadable: int,
    context: DumpContext,
    session: int | None,
    told_apart: bool,
) -> Iterator[Fact]:
    """Each pool's pages and blocks. ``told_apart``: blocks that wait in lookaside lists were."""
    for pool, kind in _KINDS.items():
        found = stats.pools.get(pool)
        if found is not None and found.blocks:
            missing = absent.get(pool, AbsentPages()) if absent is not None else None
            yield from _of_pool(found, kind, missing, unreadable, context, session, told_apart)


def _of_pool(
    stats: PoolStats,
    kind: PoolKind,
    absent: AbsentPages | None,
    unreadable: int,
    context: DumpContext,
    session: int | None,
    told_apart: bool,
) -> Iterator[Fact]:
    where = int(stats.examples[0]["address"][0]) if stats.examples else None
    runs = stats.free_runs
    told = sorted(runs.items())[-MAX_RUNS:]
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
        pinned_by=_by_tag(stats.pinned_by),
        pinned_runs=tuple(sorted(stats.pinned_runs.items())),
        unreadable=unreadable,
        waiting_blocks=stats.waiting_blocks if told_apart else None,
        waiting_bytes=stats.waiting_bytes if told_apart else None,
        single=stats.single_pages,
        single_by=_by_tag(stats.single_by),
        free_runs=tuple(told),
        runs_complete=stats.kinds_complete and len(told) == len(runs),
        paged_out=absent.paged_out if absent is not None else None,
        never_touched=absent.never_touched if absent is not None else None,
        not_in_dump=absent.not_in_dump + absent.undecoded if absent is not None else None,
        allocator="classic" if stats.classic else "scan" if stats.heuristic else "segment heap",
        session=session,
        packed_pages=_packed(stats) if stats.kinds_complete else None,
    )
    yield PoolBlockList(
        **context.base(where),
        tag_asked=None,
        pool=kind,
        counts=tuple(
            (tag_text(tag), size, None if state == State.IN_LOOKASIDE else state == State.FREE, count)
            for (tag, size, state), count in stats.kinds.most_common(MAX_KINDS)
        ),
        first=(),
    )
    for blocks in stats.examples:
        yield _page(blocks, kind, context, classic=stats.classic)


def _packed(stats: PoolStats) -> int:
    """Pages that the blocks take at least: those of more than half a page share theirs with smaller ones only."""
    held = [(size, count) for (_tag, size, state), count in stats.kinds.items() if state != State.FREE]
    alone = sum(-(-size // PAGE) * count for size, count in held if size > PAGE // 2)
    return max(-(-sum(size * count for size, count in held) // PAGE), alone)


def _by_tag(counts: Counter[int]) -> tuple[tuple[str, int], ...]:
    return tuple((tag_text(tag), count) for tag, count in counts.most_common(MAX_PINNING))


def _page(blocks: Blocks, kind: PoolKind, context: DumpContext, *, classic: bool) -> PoolPage:
    page = int(blocks["address"][0]) & ~(PAGE - 1)
    found: list[PoolBlock] = []
    before, end = 0, page
    whole = True
    for row in blocks:
        size, address = int(row["size"]), int(row["address"])
        whole = whole and address == end
        end = address + size
        found.append(
            PoolBlock(
                address=address,
                size=size,
                previous_size=before if classic else 0,
                free=bool(row["state"] == State.FREE),
                tag=tag_text(int(row["tag"])),
                protected=bool(row["protected"]),
                where=context.where(address),
            )
        )
        before = size
    return PoolPage(
        **context.base(page),
        page=page,
        region=None,
        pool=kind,
        blocks=tuple(found),
        whole=whole and end == page + PAGE,
    )


def reconciliation_facts(found: Iterable[Reconciliation], context: DumpContext) -> Iterator[Fact]:
    """The blocks against the tables, where there is anything to compare."""
    for one in found:
        if not one.counted_bytes and not one.found_bytes:
            continue
        yield PoolReconciliation(
            **context.base(None),
            pool=one.pool,
            session=one.session,
            counted=one.counted_bytes,
            found=one.found_bytes,
            certain=one.certain,
            waiting=one.waiting_bytes,
            unknown=one.unknown_bytes,
            absent=one.absent.may_hold_blocks * PAGE if one.absent is not None else 0,
            agreeing=one.agreeing,
            different=len(one.rows),
            differences=tuple(
                TagDifference(
                    tag=row.tag,
                    counted=row.counted_bytes or 0,
                    found=row.found_bytes,
                    explained=row.agreement is Agreement.EXPLAINED,
                )
                for row in one.rows[:MAX_DIFFERENCES]
            ),
        )


def charge_facts(kernel: Kernel, sums: QuotaSums, context: DumpContext) -> Iterator[Fact]:
    """The processes that pay for most bytes; nothing where no block names one."""
    if not sums.blocks and not sums.unknown:
        return
    processes = {process.address: process for process in read_processes(kernel).processes}
    by: dict[tuple[int, PoolKind | None], tuple[Counter[int], Counter[int]]] = {}
    for (address, pool, tag), count in sums.blocks.items():
        kind = PoolKind.NONPAGED if pool == Pool.NONPAGED_NX else _KINDS.get(Pool(pool))
        blocks, sizes = by.setdefault((address, kind), (Counter(), Counter()))
        blocks[tag] += count
        sizes[tag] += sums.bytes[address, pool, tag]
    rows: list[QuotaCharge] = []
    for (address, kind), (blocks, sizes) in by.items():
        process = processes.get(address)
        rows.append(
            QuotaCharge(
                process=address,
                pid=process.pid if process is not None else None,
                name=process.image if process is not None else None,
                pool=kind,
                blocks=blocks.total(),
                bytes=sizes.total(),
                tags=tuple((tag_text(tag), size) for tag, size in sizes.most_common(MAX_TAGS_PAID)),
            )
        )
    rows.sort(key=lambda row: (-row.bytes, row.process, str(row.pool)))
    yield QuotaCharges(
        **context.base(None),
        rows=tuple(rows[:MAX_PAYERS]),
        processes=len({address for address, _kind in by}),
        blocks=sums.blocks.total() + sums.unknown,
        bytes=sums.bytes.total() + sums.unknown_bytes,
        unknown_blocks=sums.unknown,
        complete=sums.complete,
    )


def damage_facts(broken: Iterable[BrokenChain], links: FreeListCheck, context: DumpContext) -> Iterator[Fact]:
    """Damaged headers, and free blocks whose links are wrong."""
    for chain in broken:
        page = chain.address & ~(PAGE - 1)
        says = f"0x{chain.address:x}: {_RULES[chain.rule]}; {chain.blocks} sound headers stand in front of it"
        if chain.front is not None and chain.front_tag is not None:
            says += f", the last at 0x{chain.front:x} (tag {tag_text(chain.front_tag)})"
        yield PoolValidation(**context.base(chain.address), page=page, valid=False, errors=(says,))
    for link in links.broken[:MAX_LINKS]:
        page = link.node & ~(PAGE - 1)
        which = "first" if link.ahead else "second"
        says = f"0x{link.node:x}: {_RULES[Rule.FREE_LIST]}: the {which} one leads to 0x{link.leads:x}, {link.why}"
        yield PoolValidation(**context.base(link.node), page=page, valid=False, errors=(says,))
