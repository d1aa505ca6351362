"""The debugger data block (KDDEBUGGER_DATA64), in clear or scrambled as it lies in the memory of a running system.

Offsets are those of wdbgexts.h, the same on 32-bit and 64-bit Windows; addresses on 32-bit are sign-extended. Every
entry is the address of a variable, except the kernel's base and the offsets and sizes behind +298.
"""

import struct
from collections.abc import Callable

from poolsleuth.lab.machine import SimulatedWindows
from poolsleuth.lab.structures import Layout

# Offset in the block to the kernel's variable. MmPagedPoolInfo is called MmPagedPoolInformation there
_VARIABLES: dict[int, str] = {
    0x048: "PsLoadedModuleList", 0x050: "PsActiveProcessHead", 0x058: "PspCidTable", 0x060: "ExpSystemResourcesList",
    0x068: "ExpPagedPoolDescriptor", 0x070: "ExpNumberOfPagedPools", 0x088: "KiBugCheckData",
    0x0A0: "ObpTypeObjectType", 0x0C0: "MmPfnDatabase", 0x0E0: "MmNumberOfPagingFiles", 0x0E8: "MmLowestPhysicalPage",
    0x0F0: "MmHighestPhysicalPage", 0x0F8: "MmNumberOfPhysicalPages", 0x100: "MmMaximumNonPagedPoolInBytes",
    0x108: "MmNonPagedSystemStart", 0x110: "MmNonPagedPoolStart", 0x118: "MmNonPagedPoolEnd",
    0x120: "MmPagedPoolStart", 0x128: "MmPagedPoolEnd", 0x130: "MmPagedPoolInfo", 0x140: "MmSizeOfPagedPoolInBytes",
    0x148: "MmTotalCommitLimit", 0x150: "MmTotalCommittedPages", 0x158: "MmSharedCommit", 0x160: "MmDriverCommit",
    0x168: "MmProcessCommit", 0x170: "MmPagedPoolCommit", 0x190: "MmStandbyPageListHead",
    0x198: "MmModifiedPageListHead", 0x1A0: "MmModifiedNoWritePageListHead", 0x1A8: "MmAvailablePages",
    0x1B0: "MmResidentAvailablePages", 0x1B8: "PoolTrackTable", 0x1C0: "NonPagedPoolDescriptor",
    0x1C8: "MmHighestUserAddress", 0x1D0: "MmSystemRangeStart", 0x208: "NtBuildLab", 0x218: "KiProcessorBlock",
    0x220: "MmUnloadedDrivers", 0x228: "MmLastUnloadedDriver", 0x238: "MmSpecialPoolTag", 0x248: "MmVerifierData",
    0x250: "MmAllocatedNonPagedPool", 0x258: "MmPeakCommitment", 0x260: "MmTotalCommitLimitMaximum",
    0x268: "CmNtCSDVersion", 0x270: "MmPhysicalMemoryBlock", 0x278: "MmSessionBase", 0x280: "MmSessionSize",
}  # fmt: skip
_OLD_VARIABLES: dict[int, str] = {  # left empty since the memory manager keeps them in MiState
    0x0A8: "MmSystemCacheStart", 0x0B0: "MmSystemCacheEnd", 0x0C8: "MmSystemPtesStart", 0x0D0: "MmSystemPtesEnd",
    0x178: "MmExtendedCommit", 0x180: "MmZeroedPageListHead", 0x188: "MmFreePageListHead", 0x1D8: "MmUserProbeAddress",
}  # fmt: skip
# Offset of a 16-bit field in the block to the structure field whose offset it holds; size fields have no path
_OFFSETS: dict[int, tuple[str, str]] = {
    0x2A8: ("_EPROCESS", ""), 0x2AC: ("_EPROCESS", "InheritedFromUniqueProcessId"),
    0x2AE: ("_EPROCESS", "Pcb.DirectoryTableBase"),
    0x2B4: ("_KPRCB", "CurrentThread"), 0x2BE: ("_KPRCB", "Number"),
}  # fmt: skip
_MASK = (1 << 64) - 1


def block_size(windows: SimulatedWindows) -> int:
    """Bytes of the block: it grew with almost every Windows."""
    for first, size in ((15063, 0x380), (14393, 0x368), (9200, 0x360), (7600, 0x340), (6000, 0x330), (3790, 0x318)):
        if windows.build >= first:
            return size
    return 0x290


def write_block(layout: Layout, base: int, address: Callable[[str], int | None]) -> bytes:
    """The block in clear. ``base`` is the kernel's, ``address`` gives the virtual address of a variable or None."""
    windows = layout.windows
    size = block_size(windows)
    block = bytearray(size)

    def put(offset: int, value: int) -> None:
        if offset + 8 <= size:
            if layout.pointer == 4 and value >> 31:
                value |= 0xFFFF_FFFF << 32
            struct.pack_into("<Q", block, offset, value & _MASK)

    own = address("KdDebuggerDataBlock") or 0
    put(0x000, own)
    put(0x008, own)
    block[0x010:0x018] = b"KDBG" + size.to_bytes(4, "little")
    put(0x018, base)
    block[0x036] = 1 if windows.mode != "x86" else 0  # a real 64-bit Windows 10 has the PAE bit set, and nothing else
    for offset, name in (_VARIABLES | (_OLD_VARIABLES if windows.build < 9200 else {})).items():
        put(offset, address(name) or 0)
    put(0x138, 4096)
    for offset, (structure, path) in _OFFSETS.items():
        if offset + 2 > size or structure not in layout.structures:
            continue
        place = layout.place(structure, path) if path else None
        value = layout.size(structure) if not path else (place.offset if place else 0)
        struct.pack_into("<H", block, offset, value & 0xFFFF)
    return bytes(block)


def encode_block(block: bytes, never: int, always: int, flag_address: int) -> bytes:
    """Scramble the block with KiWaitNever, KiWaitAlways and the address of KdpDataBlockEncoded.

    Decoding is: rotate (q ^ never) left by never, xor the address, swap the bytes, xor always. This goes backwards.
    """
    turn = never & 0x3F
    out = bytearray()
    for (plain,) in struct.iter_unpack("<Q", block):
        value = int.from_bytes((plain ^ always).to_bytes(8, "little"), "big")
        value ^= flag_address | 0xFFFF << 48
        value = (value >> turn | value << (64 - turn)) & _MASK
        out += (value ^ never).to_bytes(8, "little")
    return bytes(out)
