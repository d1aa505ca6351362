"""The memory counters of a dump: what ``!vm`` prints, and why pool was refused."""

from collections.abc import Iterator

from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.memory_counters.figures import KernelFigure, KernelMemoryCounters
from poolsleuth.kernel.memory_counters.reader import read_memory_counters
from poolsleuth.kernel.target import Kernel
from poolsleuth.kernel.verifier import read_verifier
from poolsleuth.model.facts import Fact, Figure
from poolsleuth.model.memory import FailureReason, MemoryCounters, PageFile
from poolsleuth.model.system import VerifierState

SOURCE = "the kernel's own counters"
# Bits of Driver Verifier's options, as Microsoft documents them for `verifier /flags`
_VERIFIER_OPTIONS = {
    0x1: "special pool",
    0x2: "force IRQL checking",
    0x4: "low resources simulation",
    0x8: "pool tracking",
    0x10: "I/O verification",
    0x20: "deadlock detection",
    0x80: "DMA checking",
    0x100: "security checks",
    0x200: "force pending I/O requests",
    0x400: "IRP logging",
    0x800: "miscellaneous checks",
}


def memory_facts(kernel: Kernel, physical_pages: int | None, context: DumpContext) -> Iterator[Fact]:
    """The counters. ``physical_pages`` is the machine's memory as the dump's header says it; None when it does not."""
    read = read_memory_counters(kernel, physical_pages)
    for note in read.notes:
        context.problem(f"memory counters: {note}")
    counters = _counters(read, physical_pages, context)
    if _says_anything(counters):
        yield counters
    yield from _verifier(kernel, context)


def _counters(read: KernelMemoryCounters, physical_pages: int | None, context: DumpContext) -> MemoryCounters:
    def figure(found: KernelFigure | None) -> Figure | None:
        return None if found is None else context.figure(found.value, found.address)

    physical = figure(read.physical)
    if physical is None and physical_pages:
        physical = Figure(physical_pages * PAGE, context.where(offset=0))
    first = next((f for f in (read.nonpaged_used, read.paged_used, read.committed) if f is not None), None)
    refused = read.failures.by_reason if read.failures is not None and read.failures.reasons_named else None
    return MemoryCounters(
        **context.base(first.address if first is not None else None),
        source=SOURCE,
        physical=physical,
        available=figure(read.available),
        resident_available=figure(read.resident_available),
        free_system_ptes=figure(read.free_system_ptes),
        free_nonpaged_ptes=figure(read.free_nonpaged_ptes),
        modified=figure(read.modified),
        nonpaged_used=figure(read.nonpaged_used),
        nonpaged_nx_used=figure(read.nonpaged_nx_used),
        nonpaged_max=figure(read.nonpaged_max),
        nonpaged_nodes=_all(read.nonpaged_nodes, context),
        paged_used=figure(read.paged_used),
        paged_max=figure(read.paged_max),
        paged_pools=_all(read.paged_pools, context),
        shared_commit=figure(read.shared_commit),
        special_pool=figure(read.special_pool),
        shared_process=figure(read.shared_process),
        nonpaged_commit=figure(read.nonpaged_commit),
        paged_commit=figure(read.paged_commit),
        driver_commit=figure(read.driver_commit),
        pages_for_mdls=figure(read.pages_for_mdls),
        committed=figure(read.committed),
        commit_limit=figure(read.commit_limit),
        pool_failures=_some(read.pool_failures, context),
        stack_growth_failures=_some(read.stack_growth_failures, context),
        failure_reasons=tuple(
            FailureReason(name, Figure(reason.value, context.where(reason.address)))
            for name, reason in (refused or {}).items()
            if reason.value
        ),
        impossible=tuple(
            (label, Figure(found.value, context.where(found.address))) for label, found in read.impossible
        ),
        page_files=tuple(
            PageFile(
                file.name or "(no name)",  # that of compressed memory, called as in a log
                file.current_bytes,
                file.free_bytes,
                file.minimum_bytes,
                file.maximum_bytes,
            )
            for file in read.page_files
        ),
        other={label: Figure(found.value, context.where(found.address)) for label, found in read.other.items()},
    )


def _all(figures: tuple[KernelFigure, ...], context: DumpContext) -> tuple[Figure, ...]:
    return tuple(Figure(figure.value, context.where(figure.address)) for figure in figures)


def _some(figure: KernelFigure | None, context: DumpContext) -> Figure | None:
    """A count of failures. None for 0, as in the debugger's output, which prints no line then."""
    return context.figure(figure.value, figure.address) if figure is not None and figure.value else None


def _says_anything(counters: MemoryCounters) -> bool:
    return any(
        figure is not None
        for figure in (
            counters.physical,
            counters.nonpaged_used,
            counters.paged_used,
            counters.committed,
            counters.available,
        )
    ) or bool(counters.impossible)


def _verifier(kernel: Kernel, context: DumpContext) -> Iterator[Fact]:
    state = read_verifier(kernel)
    if state.level is None:
        return
    yield VerifierState(
        **context.base(state.address),
        level=state.level,
        options=tuple(name for bit, name in _VERIFIER_OPTIONS.items() if state.level & bit),
        special_pool=bool(state.level & 1) or bool(state.special_pool_bytes),
        injected_failures=context.figure(state.counters.get("AllocationsFailedDeliberately"), state.address),
        failed=context.figure(state.counters.get("AllocationsFailed"), state.address),
        untagged=context.figure(state.counters.get("AllocationsWithNoTag"), state.address),
    )
