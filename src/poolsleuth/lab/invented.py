"""Addresses for kernels of which the package has no symbols: a data section as it could be.

Only the distances that are known are real: the pool variables stand to PoolTrackTable as they do on that Windows
(the size of the table directly before it), the per-processor tables behind it as 7601 has them.
"""

from poolsleuth.lab.machine import SimulatedWindows

_DATA = 0x81000  # where the data section begins: behind headers and code
# PoolTrackTable minus PoolBigPageTable, minus PoolBigPageTableSize: bytes, by the first build that has them
_BIG_PAGES = {
    ("x86", 2600): (8, 12),
    ("x86", 3790): (24, 28),
    ("x64", 3790): (48, 56),
    ("x86", 6000): (20, 24),
    ("x64", 6000): (40, 48),
}
_POINTERS = (
    "PspCidTable", "KdpDataBlockEncoded", "KiWaitNever", "KiWaitAlways", "NtBuildNumber", "CmNtCSDVersion",
    "MmHighestUserAddress", "MmSystemRangeStart", "MmUserProbeAddress", "KeNumberProcessors", "PsInitialSystemProcess",
    "MmUnloadedDrivers", "MmLastUnloadedDriver", "ExpNumberOfPagedPools", "ExpNumberOfNonPagedPools", "MmPfnDatabase",
    "MmNumberOfPagingFiles", "MmLowestPhysicalPage", "MmHighestPhysicalPage", "MmNumberOfPhysicalPages",
    "MmMaximumNonPagedPoolInBytes", "MmSizeOfNonPagedPoolInBytes", "MmNonPagedSystemStart", "MmNonPagedPoolStart",
    "MmNonPagedPoolEnd", "MmPagedPoolStart", "MmPagedPoolEnd", "MmSizeOfPagedPoolInBytes", "MmTotalCommitLimit",
    "MmTotalCommittedPages", "MmSharedCommit", "MmDriverCommit", "MmProcessCommit", "MmPagedPoolCommit",
    "MmAvailablePages", "MmResidentAvailablePages", "MmAllocatedNonPagedPool", "MmPeakCommitment",
    "MmTotalCommitLimitMaximum", "MmPhysicalMemoryBlock", "MmSessionBase", "MmSessionSize", "MmExtendedCommit",
    "MmSystemCacheStart", "MmSystemCacheEnd", "MmSpecialPoolTag", "MmMdlPagesAllocated",
)  # fmt: skip
_LARGER = {  # in bytes
    "KdVersionBlock": 0x28, "PsLoadedModuleList": 0x10, "PsActiveProcessHead": 0x10, "ExpSystemResourcesList": 0x10,
    "KiBugCheckData": 0x28, "NtBuildLab": 0xE0, "MmPagedPoolInfo": 0x80, "MmPagingFile": 0x80,
    "MmModifiedPageListHead": 0x40, "MmModifiedNoWritePageListHead": 0x40, "MmStandbyPageListHead": 0x40,
    "MmZeroedPageListHead": 0x40, "MmFreePageListHead": 0x40, "MmSystemPtesStart": 0x10, "MmSystemPtesEnd": 0x10,
    "MmTotalFreeSystemPtes": 0x10, "MiSystemPteInfo": 0x80, "MmPoolFailures": 0x30, "MmPoolFailureReasons": 0x30,
    "MmVerifierData": 0x80, "PoolVector": 0x20, "ExpPagedPoolDescriptor": 0x100, "ExpNonPagedPoolDescriptor": 0x100,
    "NonPagedPoolDescriptor": 0x1200, "KiProcessorBlock": 0x200, "CmpRegistryLock": 0x68,
    "PsLoadedModuleResource": 0x68, "IopDatabaseResource": 0x68, "PpRegistryDeviceResource": 0x68,
    "MmSectionExtendResource": 0x68, "SepRmDbLock": 0x68,
}  # fmt: skip
# 47 pointers of eight bytes leave one free before the next multiple of 16: ObpTypeObjectType lies there
_SINCE_VISTA = frozenset({"MiSystemPteInfo", "MmPoolFailures", "MmPoolFailureReasons"})
_BEFORE_VISTA = frozenset({"MmTotalFreeSystemPtes"})


def invented_symbols(windows: SimulatedWindows) -> dict[str, int]:
    """Relative addresses of the variables of such a kernel."""
    pointer = windows.pointer
    vista = windows.build >= 6000
    found: dict[str, int] = {}
    at = _DATA
    for name in _POINTERS:
        found[name] = at
        at += 8
    found["ObpTypeObjectType"] = at  # in the gap before the larger ones
    for name, size in _LARGER.items():
        if name in (_BEFORE_VISTA if vista else _SINCE_VISTA):
            continue
        at = -(-at // 0x10) * 0x10
        found[name] = at
        at += size
    at = -(-at // 0x40) * 0x40
    found["KdDebuggerDataBlock"] = at
    track = -(-(at + 0x340) // 0x100) * 0x100 + 0x88
    first = max(build for machine, build in _BIG_PAGES if machine == windows.architecture and build <= windows.build)
    table, size = _BIG_PAGES[windows.architecture, first]
    found["PoolTrackTable"] = track
    found["PoolTrackTableSize"] = track - pointer
    found["PoolBigPageTable"] = track - table
    found["PoolBigPageTableSize"] = track - size
    found["ExPoolFailures"] = track - 8 * pointer
    found["PoolTrackTableMask"] = track + pointer
    found["PoolTrackTableExpansion"] = track - 3 * pointer if vista else track + 2 * pointer
    found["PoolTrackTableExpansionSize"] = track - 4 * pointer if vista else track + 3 * pointer
    if vista:
        found["ExPoolTagTables"] = track + 3 * pointer
        behind = track + 3 * pointer + 64 * pointer
        for number, name in enumerate(("", "Mask", "Size")):
            found[f"ExpSessionPoolTrackTable{name}"] = behind + number * pointer
    return found
