"""Where each figure lies, in every version: a table of variables and paths.

Before Windows 10 every figure is a variable of its own; from Windows 10 on most lie in MiState (the structure
_MI_SYSTEM_INFORMATION) and MiSystemPartition (_MI_PARTITION), whose layouts differ with every update. Names and paths
are those of the public symbol tables from 7601 to 22000; before, those that the debugger data block (KDBG) points to.
"""

from dataclasses import dataclass

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.target import Kernel

_WIDTHS = frozenset((1, 2, 4, 8))
_ANY = (0, 1 << 32)
_XP_TO_2003 = (2600, 6000)
WINDOWS_8 = 9200
WINDOWS_10 = 10240

_STATE, _PARTITION = "_MI_SYSTEM_INFORMATION", "_MI_PARTITION"


@dataclass(frozen=True, slots=True)
class Source:
    """A variable, or a field of a structure that is a variable.

    ``scale`` makes the figure of the number (a page's bytes, or 1). ``width`` is the number of bytes where the layout
    does not say, None for those of a pointer. ``skip`` is an offset into the variable, in elements of that width.
    ``builds``: the first build that has it, and the first that has it no more.
    """

    symbol: str
    structure: str | None = None
    path: str | None = None
    scale: int = PAGE
    width: int | None = None
    skip: int = 0
    builds: tuple[int, int] = _ANY

    @property
    def name(self) -> str:
        """The variable, and the path in it."""
        return self.symbol if self.path is None else f"{self.symbol}.{self.path}"

    def read(self, kernel: Kernel) -> tuple[int, int] | None:
        """The signed number and its address; None when this kernel has none, or it cannot be read."""
        if not self.builds[0] <= kernel.build < self.builds[1]:
            return None
        address = kernel.address(self.symbol)
        if address is None:
            return None
        width = self.width or kernel.pointer_size
        if self.structure is not None and self.path is not None:
            place = kernel.place(self.structure, self.path)
            if place is None:
                return None
            address, width = address + place.offset, place.size or width
        if width not in _WIDTHS:
            return None
        address += self.skip * width
        number = kernel.memory.signed(address, width)
        return None if number is None else (number, address)


@dataclass(frozen=True, slots=True)
class Row:
    """A figure: its field (None for one of ``other``), the debugger's label, and its sources, the best first.

    ``zero`` tells whether it can truly be 0 on a running system.
    """

    field: str | None
    label: str
    sources: tuple[Source, ...]
    zero: bool = True


def _state(path: str, scale: int = PAGE) -> Source:
    return Source("MiState", _STATE, path, scale)


def _partition(path: str, scale: int = PAGE) -> Source:
    return Source("MiSystemPartition", _PARTITION, path, scale)


def _paged(field: str) -> Source:
    """A field of the paged pool's own structure: a variable before Windows 10."""
    return Source("MmPagedPoolInfo", "_MM_PAGED_POOL_INFO", field, builds=(0, WINDOWS_10))


# Several variables are 32 bits wide on 64-bit systems too: as their neighbours in the symbol tables show
ROWS: tuple[Row, ...] = (
    Row(
        "physical",
        "Physical Memory",
        (_partition("Vp.NumberOfPhysicalPages"), Source("MmNumberOfPhysicalPages")),
        zero=False,
    ),
    Row("available", "Available Pages", (_partition("Vp.AvailablePages"), Source("MmAvailablePages"))),
    Row(
        "resident_available",
        "ResAvail Pages",
        (_partition("Vp.ResidentAvailablePages"), Source("MmResidentAvailablePages")),
    ),
    Row(
        "free_system_ptes",
        "Free System PTEs",
        (
            _state("Vs.SystemPteInfo.TotalFreeSystemPtes", 1),
            Source("MiSystemPteInfo", "_MI_SYSTEM_PTE_TYPE", "TotalFreeSystemPtes", 1),
            Source("MmTotalFreeSystemPtes", scale=1, width=4),
        ),
    ),
    Row(
        "free_nonpaged_ptes",
        "Free NP PTEs",
        # The second number of the array: the PTEs that nonpaged pool grows into
        (Source("MmTotalFreeSystemPtes", scale=1, width=4, skip=1, builds=_XP_TO_2003),),
    ),
    Row(
        "modified",
        "Modified Pages",
        # The list's head begins with the number of its pages
        (_partition("Vp.ModifiedPageListHead.Total"), Source("MmModifiedPageListHead")),
    ),
    Row("shared_commit", "Shared Commit", (
        _partition("Vp.SharedCommit"), _state("Vs.SharedCommit"), Source("MmSharedCommit"),
    )),
    Row("special_pool", "Special Pool", (_state("Vs.SpecialPagesInUse"), Source("MmSpecialPagesInUse"))),
    Row("shared_process", "Shared Process", (_state("Vs.ProcessCommit"), Source("MmProcessCommit"))),
    Row("nonpaged_commit", "NonPagedPool Commit", (_state("Vs.NonPagedPoolCommit"),)),
    Row("paged_commit", "PagedPool Commit", (
        _paged("PagedPoolCommit"), Source("MmPagedPoolCommit", builds=(0, WINDOWS_8)),
    )),
    Row("driver_commit", "Driver Commit", (_state("Vs.DriverCommit"), Source("MmDriverCommit", width=4))),
    Row("pages_for_mdls", "Pages For MDLs", (_state("Vs.MdlPagesAllocated"), Source("MmMdlPagesAllocated"))),
    Row(
        "committed",
        "Committed pages",
        (_partition("Vp.TotalCommittedPages"), Source("MmTotalCommittedPages")),
        zero=False,
    ),
    Row(
        "commit_limit",
        "Commit limit",
        (_partition("Vp.TotalCommitLimit"), Source("MmTotalCommitLimit")),
        zero=False,
    ),
    Row("pool_failures", "pool allocations have failed", (Source("ExPoolFailures", scale=1, width=4),)),
    Row("stack_growth_failures", "kernel stack growth attempts have failed", (
        _state("SystemPtes.StackGrowthFailures", 1), Source("MiStackGrowthFailures", scale=1, width=4),
    )),
    Row(None, "Peak Commitment", (_partition("Commit.PeakCommitment"), Source("MmPeakCommitment"))),
    Row(None, "Commit Limit Maximum", (
        _partition("Commit.TotalCommitLimitMaximum"), Source("MmTotalCommitLimitMaximum"),
    )),
    Row(None, "Modified PF Pages", (
        _partition("Vp.TotalPagesForPagingFile"), Source("MmTotalPagesForPagingFile"),
    )),
    Row(None, "Modified No Write Pages", (
        _partition("Vp.ModifiedNoWritePageListHead.Total"), Source("MmModifiedNoWritePageListHead"),
    )),
    Row(None, "Boot Commit", (_state("Vs.BootCommit"),)),
    Row(None, "System PageTables", (_state("Vs.SystemPageTableCommit"),)),
    Row(None, "PFN Array Commit", (_state("Vs.PfnDatabaseCommit"),)),
    Row(None, "SmallNonPagedPtesCommit", (_state("Vs.SmallNonPagedPtesCommit"),)),
    Row(None, "ContigMem Pages", (_state("Vs.ContiguousPagesAllocated"),)),
    Row(None, "Pagefile Hash Pages", (_state("Vs.PagefileHashPages"),)),
    Row(None, "SlabAllocatorPages", (_partition("Vp.SlabAllocatorPages"),)),
    Row(None, "ProcessLockedFilePages", (_partition("Vp.ProcessLockedFilePages"),)),
    Row(None, "Secure NonPagedPool", (_state("Pools.AllocatedSecureNonPagedPool"),)),
    Row(None, "Total System PTEs", (
        _state("Vs.SystemPteInfo.TotalSystemPtes", 1),
        Source("MiSystemPteInfo", "_MI_SYSTEM_PTE_TYPE", "TotalSystemPtes", 1),
    )),
)  # fmt: skip

# Pool: read apart, for what counts differs between the versions
NONPAGED_ALLOCATED = Row(
    None,
    "NonPagedPool Usage",
    (_state("Pools.AllocatedNonPagedPool"), Source("MmAllocatedNonPagedPool")),
    zero=False,
)
PAGED_ALLOCATED = Row(
    None,
    "PagedPool Usage",
    (_state("Vs.PagedPoolInfo.AllocatedPagedPool"), _paged("AllocatedPagedPool")),
    zero=False,
)
NONPAGED_MAXIMUM = Row(
    None,
    "NonPagedPool Max",
    (
        _state("Vs.MaximumNonPagedPoolInPages"),
        Source("MmMaximumNonPagedPoolInPages", builds=(WINDOWS_8, 1 << 32)),
        Source("MmMaximumNonPagedPoolInBytes", scale=1),
        Source("MmMaximumNonPagedPoolInPages"),
    ),
    zero=False,
)
PAGED_MAXIMUM = Row(
    None,
    "PagedPool Maximum",
    (
        _state("Vs.PagedPoolInfo.MaximumSize"),
        _paged("MaximumSize"),
        Source("MmSizeOfPagedPoolInBytes", scale=1),
        Source("MmSizeOfPagedPoolInPages"),
    ),
    zero=False,
)
