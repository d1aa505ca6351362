"""The kernel's tag tables as tables of tags."""

from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.kernel.pool.tag_totals import TagTotals
from poolsleuth.model.tags import Completeness, PoolKind, TagRow, TagTable

SOURCE = "the kernel's tag tables"


def tag_table(totals: TagTotals, address: int | None, context: DumpContext) -> TagTable | None:
    """The rows whose figures are certain; None when there are none.

    A row to which a table is missing is left out: the figures of some processors alone are neither an upper nor a lower
    bound. The table is then cut, and proves only what it shows.
    """
    what = "tag tables" if totals.session is None else f"tag table of session {totals.session}"
    for sentence in totals.says:
        context.problem(f"{what}: {sentence}", address)
    rows: list[TagRow] = []
    left_out = 0
    where = context.where(address)
    for figures in totals.figures():
        if not figures.certain or (figures.bytes is None and figures.outstanding is None):
            left_out += 1
            continue
        rows.append(
            TagRow(
                tag=figures.tag,
                pool=figures.pool,
                allocs=figures.allocs,
                frees=figures.frees,
                outstanding=figures.outstanding,
                bytes=figures.bytes,
                where=where,
            )
        )
    if left_out:
        context.problem(
            f"{what}: {left_out:,} rows were left out, for a part of what belongs to their sums is not in this dump",
            address,
        )
    if not rows:
        return None
    complete = totals.complete and not left_out
    return TagTable(
        **context.base(address),
        rows=tuple(rows),
        pools=frozenset({PoolKind.NONPAGED, PoolKind.PAGED}),
        completeness=Completeness.COMPLETE if complete else Completeness.CUT,
        session=totals.session,
        source=SOURCE,
    )
