"""The kernel's table of allocations of a page and more."""

from collections.abc import Iterator

from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.kernel.pool.big_pages import read_big_pages
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.facts import Fact
from poolsleuth.model.pool import BigPages, BigPageUse


def big_page_facts(kernel: Kernel, context: DumpContext) -> Iterator[Fact]:
    """What each tag holds in big pages; nothing where the table is not found."""
    found = read_big_pages(kernel)
    for sentence in found.says:
        context.problem(f"big pages: {sentence}")
    if found.table is None:
        return
    yield BigPages(
        **context.base(found.table.address),
        uses=tuple(BigPageUse(one.tag, one.pool, one.count, one.bytes) for one in found.tags),
        slots=found.table.rows,
        freed=found.free,
        complete=found.complete,
    )
