"""Facts about memory as a whole: ``!vm``, its session table, system PTEs, page lists and the file cache."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from poolsleuth.model.facts import Fact, Figure


class VmFamily(StrEnum):
    """Which generation of debugger and Windows printed a ``!vm`` (the layouts differ)."""

    W2K = "windows-2000"  # "2098176Kb Free Space:" glued, no Free NP PTEs
    XP_2003 = "xp-2003"  # Free NP PTEs, per-pool rows
    VISTA_7 = "vista-7"  # old layout, maxima of a dynamic address space
    W8_LATER = "windows-8-or-later"  # page files first, NonPagedPoolNx, commit break-down
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PageFile:
    """One paging file; sizes in bytes, None where the row was cut."""

    name: str
    current_bytes: int | None
    free_bytes: int | None
    minimum_bytes: int | None
    maximum_bytes: int | None


@dataclass(frozen=True, slots=True)
class ProcessCommit:
    """A process row at the end of ``!vm``: pid, image name as printed, commit in bytes."""

    pid: int
    name: str
    commit_bytes: int


@dataclass(frozen=True, slots=True)
class FailureReason:
    """How often the kernel refused pool for one reason since it started; ``name`` is the kernel's own name of it."""

    name: str
    count: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCounters(Fact):
    """What ``!vm`` prints. Figures are bytes, except the ``free_*_ptes`` and failure counts (counts).

    A figure is None when its row is absent, cut, or cannot be true (then its name is in ``impossible``).
    ``other`` keeps rows this project gives no name of its own, by their printed label. ``source`` is "!vm", or what
    else gave the figures.
    """

    source: str = "!vm"
    family: VmFamily = VmFamily.UNKNOWN
    physical: Figure | None = None
    available: Figure | None = None
    resident_available: Figure | None = None
    locked_io: Figure | None = None
    free_system_ptes: Figure | None = None
    free_nonpaged_ptes: Figure | None = None
    free_special_nonpaged: Figure | None = None
    modified: Figure | None = None
    nonpaged_used: Figure | None = None
    nonpaged_nx_used: Figure | None = None
    nonpaged_max: Figure | None = None
    nonpaged_nodes: tuple[Figure, ...] = ()
    paged_used: Figure | None = None
    paged_max: Figure | None = None
    paged_pools: tuple[Figure, ...] = ()
    session_commit: Figure | None = None
    shared_commit: Figure | None = None
    special_pool: Figure | None = None
    shared_process: Figure | None = None
    nonpaged_commit: Figure | None = None
    paged_commit: Figure | None = None
    driver_commit: Figure | None = None
    kernel_stacks: Figure | None = None
    pages_for_mdls: Figure | None = None
    total_private: Figure | None = None
    committed: Figure | None = None
    commit_limit: Figure | None = None
    pool_failures: Figure | None = None
    nonpaged_failures_seen: Figure | None = None  # allocations that failed while a counter log ran
    paged_failures_seen: Figure | None = None
    failure_reasons: tuple[FailureReason, ...] = ()  # those that happened; empty where the kernel does not count them
    kernel_stack_pte_failures: Figure | None = None
    stack_growth_failures: Figure | None = None
    nonpaged_warning: Figure | None = None  # value 1: the "Excessive NonPaged Pool Usage" banner
    paged_warning: Figure | None = None
    impossible: tuple[tuple[str, Figure], ...] = ()  # label as printed, figure that cannot be true
    page_files: tuple[PageFile, ...] = ()
    processes: tuple[ProcessCommit, ...] = ()
    other: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SessionUsage:
    """One session of ``!vm 4``; bytes, None where not printed. ``failures`` counts failed pool allocations."""

    id: int
    used: Figure | None
    nonpaged_used: Figure | None
    commit: Figure | None
    failures: Figure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMemory(Fact):
    """The table of ``!vm 4``: the limit that all sessions share and what each one uses (bytes).

    ``complete`` is False where sessions are known to be missing from the table.
    """

    paged_limit: Figure | None
    view_limit: Figure | None
    sessions: tuple[SessionUsage, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class PteOwner:
    """One row of ``!sysptes 4``: who mapped locked pages. ``pages`` is a count of pages (= PTEs)."""

    caller: str
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPtes(Fact):
    """``!sysptes``: counts of PTEs. ``owners`` are the rows of flag 4, largest first."""

    total: Figure | None = None
    free: Figure | None = None
    largest_free_block: Figure | None = None
    free_blocks: Figure | None = None
    allocated_to_mdls: Figure | None = None
    owners: tuple[PteOwner, ...] = ()


@dataclass(frozen=True, slots=True)
class FileUse:
    """Bytes of memory one file or section holds (``!memusage``, ``!filecache``)."""

    name: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUsage(Fact):
    """``!memusage``: bytes on each page list by its printed name, and the files that hold most."""

    lists: Mapping[str, Figure]
    files: tuple[FileUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCache(Fact):
    """``!filecache``: current and peak size in bytes, and the files that hold most."""

    current: Figure | None
    peak: Figure | None
    files: tuple[FileUse, ...] = ()
