"""The blocks of a pool for the report: the last walk of it, and its free blocks in steps of powers of two."""

from collections.abc import Iterable

from poolsleuth.model.pool import PoolPages, PoolReconciliation
from poolsleuth.model.report_blocks import FreeRuns, PoolBlocks
from poolsleuth.model.tags import PoolKind


def report_blocks(
    kind: PoolKind, summaries: Iterable[PoolPages], balances: Iterable[PoolReconciliation]
) -> PoolBlocks | None:
    """What is told of a system pool's blocks; None where they were not walked."""
    one = next((s for s in reversed(tuple(summaries)) if s.pool is kind and s.session is None), None)
    if one is None:
        return None
    balance = next((b for b in reversed(tuple(balances)) if b.pool is kind and b.session is None), None)
    return PoolBlocks(
        allocator=one.allocator,
        pages=one.pages,
        blocks=one.blocks,
        live_bytes=one.live_bytes,
        free_bytes=one.free_bytes,
        waiting_bytes=one.waiting_bytes,
        largest_free_bytes=one.largest_free,
        pinned_pages=one.pinned,
        packed_pages=one.packed_pages,
        paged_out_pages=one.paged_out,
        not_in_dump_pages=one.not_in_dump,
        counted_bytes=balance.counted if balance is not None else None,
        found_bytes=balance.found if balance is not None else None,
        free_runs=free_runs(one.free_runs),
    )


def free_runs(runs: Iterable[tuple[int, int]]) -> tuple[FreeRuns, ...]:
    """Free blocks (size and count) in steps of powers of two, ascending; steps without any are left out."""
    steps: dict[int, list[int]] = {}
    for size, count in runs:
        if size > 0:
            step = steps.setdefault(1 << size.bit_length() - 1, [0, 0])
            step[0] += count
            step[1] += size * count
    return tuple(FreeRuns(at, *steps[at]) for at in sorted(steps))
