"""The truth about a simulated machine: everything that its dump must say, before a byte of it is written.

Sizes that are named ``pages`` count pages of 4,096 bytes, those named ``bytes`` bytes; times are UTC. Addresses are
None until the machine is simulated: ``simulate`` gives the same machine back with every address filled in. None in any
other place means that this Windows has no such figure, or that the lab does not know where it keeps it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poolsleuth.lab.contents import BlockContents
from poolsleuth.lab.segment_heap.contents import HeapContents
from poolsleuth.windows.kernel_table import PdbId

PAGE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedWindows:
    """A Windows kernel that the lab can play.

    ``pae`` is None except on x86. ``symbols`` tells whether addresses and layouts are those of a real kernel (then its
    PDB is named in the image); without them the lab invents addresses, and only the layouts are real ones.
    """

    name: str
    title: str
    build: int
    revision: int
    major: int
    minor: int
    architecture: Literal["x86", "x64"]
    pae: bool | None
    server: bool
    service_pack: int
    lab: str
    symbols: bool

    @property
    def pointer(self) -> int:
        """Bytes of a pointer."""
        return 8 if self.architecture == "x64" else 4

    @property
    def mode(self) -> Literal["x86", "pae", "x64"]:
        """How its page tables are built."""
        return "x64" if self.architecture == "x64" else ("pae" if self.pae else "x86")


@dataclass(frozen=True, slots=True)
class BugCheck:
    """Code and the four parameters of the crash."""

    code: int
    parameters: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class PoolUse:
    """What one tag did in one pool since the machine started: counts of blocks, and the bytes that are out now."""

    allocs: int = 0
    frees: int = 0
    bytes: int = 0

    @property
    def outstanding(self) -> int:
        """Blocks that were never freed."""
        return self.allocs - self.frees


@dataclass(frozen=True, slots=True)
class TagUse:
    """One tag. ``tag`` is its four bytes as characters (latin-1), padded with blanks.

    ``expansion``: the row stands in the expansion table, as the rows of tags that came after the table was full.
    """

    tag: str
    nonpaged: PoolUse = PoolUse()
    paged: PoolUse = PoolUse()
    expansion: bool = False


BIG_PAGE_ROW = np.dtype(
    [("address", "<u8"), ("tag", "S4"), ("bytes", "<u8"), ("pool_type", "<u4"), ("state", "<u1")],
)
"""A slot of the big-page table: ``state`` 0 never used, 1 in use, 2 freed (the address is stale, bit 0 is not in it).

``pool_type`` is the request's type: bit 0 paged, 0x200 nonpaged without execution.
"""
NEVER_USED, IN_USE, FREED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class BigPages:
    """The table of allocations of a page and more (BIG_PAGE_ROW).

    Once simulated it is the table slot by slot, empty slots too. Before, ``rows`` are the allocations in any order, and
    their addresses are offsets from the start of their pool.
    """

    rows: "NDArray[np.void]"

    @property
    def in_use(self) -> int:
        """Slots that stand for a living allocation."""
        return int(np.count_nonzero(self.rows["state"] == IN_USE))


POOL_BLOCK = np.dtype(
    [
        ("address", "<u8"),
        ("size", "<u8"),
        ("tag", "<u4"),
        ("state", "u1"),
        ("protected", "?"),
        ("process", "<u8"),
    ],
)
"""A block in a pool page: address of its header, bytes with the header, the tag as in memory without the protected bit.

``state`` is one of the three below; ``process`` the one that pays for it, 0 for none.
"""
ALLOCATED, FREE, IN_LOOKASIDE = 0, 1, 2

BlockLists = tuple[tuple[int, tuple[int, ...]], ...]
"""Lists of blocks: their size in units, and the addresses of the headers from the head of the list on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPages:
    """Pages of a pool that are really there, cut into blocks: a part of what the tags of the machine hold.

    ``addresses`` are those of the pages, in rising order, and ``rows`` their bytes (pages, 4096). Before the machine is
    simulated all addresses are offsets, and nothing in the bytes depends on one. ``index`` is the pool's among those of
    its kind (PoolDescriptor.index).
    """

    pool: Literal["nonpaged", "paged", "session"]
    index: int
    addresses: "NDArray[np.uint64]"
    rows: "NDArray[np.uint8]"
    blocks: "NDArray[np.void]"
    free_lists: BlockLists
    lookaside: BlockLists


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolDescriptor:
    """The counters of one pool (before 1903). Index 0 of several paged pools is the one for whole pages."""

    paged: bool
    index: int
    running_allocs: int
    running_frees: int
    pages: int
    big_pages: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFile:
    """A page file; sizes in pages. The virtual one of compressed memory has no name."""

    name: str
    pages: int
    minimum_pages: int
    maximum_pages: int
    free_pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What ``!vm`` prints, in pages unless the name says otherwise.

    ``pool_failures`` counts allocations that failed. ``failures_by_pool`` has three rows (nonpaged, paged, session) of
    three priorities; ``failure_reasons`` goes by the names of the kernel's own structure.
    """

    physical: int
    available: int | None
    resident_available: int | None
    nonpaged_used: int | None
    nonpaged_max: int | None
    paged_used: int | None
    paged_max: int | None
    paged_commit: int | None
    nonpaged_commit: int | None
    free_system_ptes: int | None
    total_system_ptes: int | None
    committed: int | None
    commit_limit: int | None
    peak_committed: int | None
    shared_commit: int | None
    driver_commit: int | None
    process_commit: int | None
    modified: int | None
    modified_no_write: int | None
    mdl: int | None
    pool_failures: int | None = 0
    failures_by_pool: tuple[tuple[int, int, int], ...] | None = None
    failure_reasons: Mapping[str, int] | None = None
    page_files: tuple[PageFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModule:
    """A loaded image. ``tags`` are those that its code allocates with, ``letters`` other tags that stand in its data.

    ``present``: its PE headers are in memory. ``pdb`` is what they name as its symbols.

    ``version`` are the strings of its version resource, empty when it has none. ``imports`` are the names that its
    import table takes from ntoskrnl.exe.
    """

    name: str
    path: str
    size: int
    timestamp: int
    checksum: int
    pdb: PdbId | None = None
    version: Mapping[str, str] = field(default_factory=dict)
    imports: tuple[str, ...] = ()
    present: bool = True
    tags: tuple[str, ...] = ()
    letters: tuple[str, ...] = ()
    base: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnloadedModule:
    """A driver that was unloaded at ``time``."""

    name: str
    size: int
    time: datetime
    start: int | None = None


@dataclass(frozen=True, slots=True)
class LockOwner:
    """A thread that holds a resource, ``count`` times: its address, its id and that of its process."""

    count: int
    thread: int | None = None
    thread_id: int | None = None
    process_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """An ERESOURCE. ``symbol`` is the kernel's variable that it is (nt!CmpRegistryLock), None for one in pool.

    ``table_size`` is the number of slots of its owner table; 0 when it has none.
    """

    symbol: str | None
    exclusive: bool
    owners: tuple[LockOwner, ...]
    contention: int
    shared_waiters: int
    exclusive_waiters: int
    table_size: int = 0
    address: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process. ``session`` is None for those that belong to none (System, smss)."""

    pid: int
    parent: int
    name: str
    session: int | None
    handles: int | None
    address: int | None = None
    directory_table_base: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session and its paged pool. ``failures`` are by reason, four of them; empty where Windows has no such field."""

    id: int
    used_pages: int
    limit_bytes: int
    committed_pages: int
    failures: tuple[int, ...]
    tags: tuple[TagUse, ...]
    address: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """What the dump does not hold of the structures in paged pool, as fractions of their pages."""

    transition: float = 0.0
    paged_out: float = 0.0
    left_out: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine at the moment of its crash: everything that a dump of it must say.

    ``pool_pages`` are the pool pages that are in memory, ``heaps`` the segment heaps (1903 and later) that are; the
    tags count what lies in them and more.

    ``kdbg_encoded``: the debugger data block is scrambled, as in memory that an imaging tool took. ``table_size`` is
    the number of slots of the tag tables (a power of two and one for the overflow); ``places`` are the addresses of
    the kernel's variables, by name, and ``layout`` says where they and the structures come from.
    """

    windows: SimulatedWindows
    story: str
    seed: int
    processors: int
    physical_bytes: int
    booted_at: datetime
    crashed_at: datetime
    bug_check: BugCheck
    tags: tuple[TagUse, ...]
    table_size: int
    big_pages: BigPages
    pool_pages: tuple[PoolPages, ...] = ()
    contents: tuple[BlockContents, ...] = ()
    heaps: tuple[HeapContents, ...] = ()
    descriptors: tuple[PoolDescriptor, ...]
    memory: Memory
    modules: tuple[LoadedModule, ...]
    unloaded: tuple[UnloadedModule, ...]
    resources: tuple[Resource, ...]
    processes: tuple[Process, ...]
    sessions: tuple[Session, ...]
    kdbg_encoded: bool = False
    hidden: Hidden = Hidden()
    layout: str = ""
    places: Mapping[str, int] = field(default_factory=dict)
    absent_pages: tuple[int, ...] = ()

    @property
    def pages(self) -> int:
        """Physical pages."""
        return self.physical_bytes // PAGE
