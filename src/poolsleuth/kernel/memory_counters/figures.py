"""What is known of memory as a whole: figures with their unit and the place they were read from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from poolsleuth.kernel.page_files import KernelPageFile
from poolsleuth.model.memory import VmFamily

POOL_KINDS = ("nonpaged", "paged", "session")
PRIORITIES = ("low", "normal", "high")


class Unit(StrEnum):
    """What a figure counts."""

    BYTES = "bytes"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class KernelFigure:
    """A number, the virtual address it was read from, and the variable that lies there (``MiState.Vs.BootCommit``).

    A figure that is a sum has the address of its first part.
    """

    value: int
    unit: Unit
    address: int
    name: str


@dataclass(frozen=True, slots=True)
class PoolFailures:
    """How often the memory manager refused pool. ``by_reason`` holds the figures by name, zeros too.

    ``counts`` has a row for each of ``POOL_KINDS`` with a number for each of ``PRIORITIES``: what the indices mean is
    probable, not documented. ``reasons_named`` is True when the symbols name the reasons; else their order is that of
    Windows 10, which is not confirmed for older versions. Either is None when unknown (both are gone from 1903 on).
    """

    counts: tuple[tuple[int, ...], ...] | None
    counts_address: int | None
    by_reason: Mapping[str, KernelFigure] | None
    reasons_named: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelMemoryCounters:
    """The figures of ``!vm``, by the names of ``model.memory.MemoryCounters``. None is what is not known.

    Sizes are bytes; ``free_system_ptes``, ``free_nonpaged_ptes`` and the failures are counts. From Windows 10 on
    ``nonpaged_used`` is all nonpaged pool, executable or not; ``nonpaged_nx_used`` is then None. Where the versions
    before keep a descriptor for each kind, the two stand apart and must be added, as in the debugger's output.
    ``impossible`` are figures that cannot be true, by the label the debugger prints. ``other`` are rows without a name
    of their own, by the debugger's label. ``notes`` say what was used and what could not be known.
    """

    family: VmFamily = VmFamily.UNKNOWN
    physical: KernelFigure | None = None
    available: KernelFigure | None = None
    resident_available: KernelFigure | None = None
    free_system_ptes: KernelFigure | None = None
    free_nonpaged_ptes: KernelFigure | None = None
    modified: KernelFigure | None = None
    nonpaged_used: KernelFigure | None = None
    nonpaged_nx_used: KernelFigure | None = None
    nonpaged_max: KernelFigure | None = None
    nonpaged_nodes: tuple[KernelFigure, ...] = ()
    paged_used: KernelFigure | None = None
    paged_max: KernelFigure | None = None
    paged_pools: tuple[KernelFigure, ...] = ()
    shared_commit: KernelFigure | None = None
    special_pool: KernelFigure | None = None
    shared_process: KernelFigure | None = None
    nonpaged_commit: KernelFigure | None = None
    paged_commit: KernelFigure | None = None
    driver_commit: KernelFigure | None = None
    pages_for_mdls: KernelFigure | None = None
    committed: KernelFigure | None = None
    commit_limit: KernelFigure | None = None
    pool_failures: KernelFigure | None = None
    stack_growth_failures: KernelFigure | None = None
    failures: PoolFailures | None = None
    impossible: tuple[tuple[str, KernelFigure], ...] = ()
    page_files: tuple[KernelPageFile, ...] = ()
    other: Mapping[str, KernelFigure] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
