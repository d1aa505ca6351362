"""KDDEBUGGER_DATA64 ("KDBG"): the list of addresses that the kernel keeps for debuggers, found and decoded.

The layout is the same on 32-bit and 64-bit systems (32-bit addresses are sign-extended). Offsets to 338 are those that
volatility and volatility3 agree on, the later ones follow from the field order of the public header wdbgexts.h; all of
them up to 37C were confirmed on the block of a real dump of build 19041, whose addresses are those of its symbols.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.addresses import is_kernel_address

HEADER_SIZE = 0x20  # the list links, the tag, the size and the kernel's base
MIN_SIZE, MAX_SIZE = 0x100, 0x1000  # bytes of the block: 208 in Windows 2000, 380 in 19041, 3A8 in the newest header
MAX_SCAN = 256 << 20  # bytes searched for a block: an image of the kernel has 4 to 20 MB
MAX_CANDIDATES = 256  # places with the tag that are looked at: the tag is also in instructions that compare it
_SCAN_PAGES = 1024  # pages gathered at once: 4 MB
_TAG = 0x4742444B
_MASK_64 = (1 << 64) - 1

# Each is the address of the variable of that name. Three of them have other names in the symbols of late kernels
_ADDRESSES: dict[int, str] = {
    0x020: "BreakpointWithStatus", 0x038: "KiCallUserMode", 0x040: "KeUserCallbackDispatcher",
    0x048: "PsLoadedModuleList", 0x050: "PsActiveProcessHead", 0x058: "PspCidTable",
    0x060: "ExpSystemResourcesList", 0x068: "ExpPagedPoolDescriptor", 0x070: "ExpNumberOfPagedPools",
    0x078: "KeTimeIncrement", 0x080: "KeBugCheckCallbackListHead", 0x088: "KiBugCheckData",
    0x090: "IopErrorLogListHead", 0x098: "ObpRootDirectoryObject", 0x0A0: "ObpTypeObjectType",
    0x0A8: "MmSystemCacheStart", 0x0B0: "MmSystemCacheEnd", 0x0B8: "MmSystemCacheWs", 0x0C0: "MmPfnDatabase",
    0x0C8: "MmSystemPtesStart", 0x0D0: "MmSystemPtesEnd", 0x0D8: "MmSubsectionBase",
    0x0E0: "MmNumberOfPagingFiles", 0x0E8: "MmLowestPhysicalPage", 0x0F0: "MmHighestPhysicalPage",
    0x0F8: "MmNumberOfPhysicalPages", 0x100: "MmMaximumNonPagedPoolInBytes", 0x108: "MmNonPagedSystemStart",
    0x110: "MmNonPagedPoolStart", 0x118: "MmNonPagedPoolEnd", 0x120: "MmPagedPoolStart", 0x128: "MmPagedPoolEnd",
    0x130: "MmPagedPoolInfo", 0x140: "MmSizeOfPagedPoolInBytes", 0x148: "MmTotalCommitLimit",
    0x150: "MmTotalCommittedPages", 0x158: "MmSharedCommit", 0x160: "MmDriverCommit", 0x168: "MmProcessCommit",
    0x170: "MmPagedPoolCommit", 0x178: "MmExtendedCommit", 0x180: "MmZeroedPageListHead",
    0x188: "MmFreePageListHead", 0x190: "MmStandbyPageListHead", 0x198: "MmModifiedPageListHead",
    0x1A0: "MmModifiedNoWritePageListHead", 0x1A8: "MmAvailablePages", 0x1B0: "MmResidentAvailablePages",
    0x1B8: "PoolTrackTable", 0x1C0: "NonPagedPoolDescriptor", 0x1C8: "MmHighestUserAddress",
    0x1D0: "MmSystemRangeStart", 0x1D8: "MmUserProbeAddress", 0x1E0: "KdPrintCircularBuffer",
    0x1E8: "KdPrintCircularBufferEnd", 0x1F0: "KdPrintWritePointer", 0x1F8: "KdPrintRolloverCount",
    0x200: "MmLoadedUserImageList", 0x208: "NtBuildLab", 0x210: "KiNormalSystemCall", 0x218: "KiProcessorBlock",
    0x220: "MmUnloadedDrivers", 0x228: "MmLastUnloadedDriver", 0x230: "MmTriageActionTaken",
    0x238: "MmSpecialPoolTag", 0x240: "KernelVerifier", 0x248: "MmVerifierData", 0x250: "MmAllocatedNonPagedPool",
    0x258: "MmPeakCommitment", 0x260: "MmTotalCommitLimitMaximum", 0x268: "CmNtCSDVersion",
    0x270: "MmPhysicalMemoryBlock", 0x278: "MmSessionBase", 0x280: "MmSessionSize",
    0x288: "MmSystemParentTablePage", 0x2C8: "KdPrintCircularBufferPtr", 0x2D0: "KdPrintBufferSize",
    0x2D8: "KeLoaderBlock", 0x308: "IopNumTriageDumpDataBlocks", 0x310: "IopTriageDumpDataBlocks",
    0x318: "VfCrashDataBlock", 0x320: "MmBadPagesDetected", 0x328: "MmZeroedPageSingleBitErrorsDetected",
    0x330: "EtwpDebuggerData", 0x368: "RetpolineStubFunctionTable",
}  # fmt: skip

# Values: where each lies and how wide it is. Offset... and Size... are those of structures of this very kernel
_VALUES: dict[str, tuple[int, int]] = {
    "SavedContext": (0x028, 8), "ThCallbackStack": (0x030, 2), "NextCallback": (0x032, 2), "FramePointer": (0x034, 2),
    "Flags": (0x036, 2), "MmPageSize": (0x138, 8), "MmVirtualTranslationBase": (0x290, 8),
    "OffsetKThreadNextProcessor": (0x298, 2), "OffsetKThreadTeb": (0x29A, 2), "OffsetKThreadKernelStack": (0x29C, 2),
    "OffsetKThreadInitialStack": (0x29E, 2), "OffsetKThreadApcProcess": (0x2A0, 2), "OffsetKThreadState": (0x2A2, 2),
    "OffsetKThreadBStore": (0x2A4, 2), "OffsetKThreadBStoreLimit": (0x2A6, 2), "SizeEProcess": (0x2A8, 2),
    "OffsetEprocessPeb": (0x2AA, 2), "OffsetEprocessParentCID": (0x2AC, 2),
    "OffsetEprocessDirectoryTableBase": (0x2AE, 2), "SizePrcb": (0x2B0, 2), "OffsetPrcbDpcRoutine": (0x2B2, 2),
    "OffsetPrcbCurrentThread": (0x2B4, 2), "OffsetPrcbMhz": (0x2B6, 2), "OffsetPrcbCpuType": (0x2B8, 2),
    "OffsetPrcbVendorString": (0x2BA, 2), "OffsetPrcbProcStateContext": (0x2BC, 2), "OffsetPrcbNumber": (0x2BE, 2),
    "SizeEThread": (0x2C0, 2), "L1tfHighPhysicalBitIndex": (0x2C2, 1), "L1tfSwizzleBitIndex": (0x2C3, 1),
    "SizePcr": (0x2E0, 2), "OffsetPcrSelfPcr": (0x2E2, 2), "OffsetPcrCurrentPrcb": (0x2E4, 2),
    "OffsetPcrContainedPrcb": (0x2E6, 2), "OffsetPcrInitialBStore": (0x2E8, 2), "OffsetPcrBStoreLimit": (0x2EA, 2),
    "OffsetPcrInitialStack": (0x2EC, 2), "OffsetPcrStackLimit": (0x2EE, 2), "OffsetPrcbPcrPage": (0x2F0, 2),
    "OffsetPrcbProcStateSpecialReg": (0x2F2, 2), "GdtR0Code": (0x2F4, 2), "GdtR0Data": (0x2F6, 2),
    "GdtR0Pcr": (0x2F8, 2), "GdtR3Code": (0x2FA, 2), "GdtR3Data": (0x2FC, 2), "GdtR3Teb": (0x2FE, 2),
    "GdtLdt": (0x300, 2), "GdtTss": (0x302, 2), "Gdt64R3CmCode": (0x304, 2), "Gdt64R3CmTeb": (0x306, 2),
    "OffsetPrcbContext": (0x338, 2), "OffsetPrcbMaxBreakpoints": (0x33A, 2), "OffsetPrcbMaxWatchpoints": (0x33C, 2),
    "OffsetKThreadStackLimit": (0x340, 4), "OffsetKThreadStackBase": (0x344, 4),
    "OffsetKThreadQueueListEntry": (0x348, 4), "OffsetEThreadIrpList": (0x34C, 4), "OffsetPrcbIdleThread": (0x350, 2),
    "OffsetPrcbNormalDpcState": (0x352, 2), "OffsetPrcbDpcStack": (0x354, 2), "OffsetPrcbIsrStack": (0x356, 2),
    "SizeKDPC_STACK_FRAME": (0x358, 2), "OffsetKPriQueueThreadListHead": (0x35A, 2),
    "OffsetKThreadWaitReason": (0x35C, 2), "PteBase": (0x360, 8), "RetpolineStubFunctionTableSize": (0x370, 4),
    "RetpolineStubOffset": (0x374, 4), "RetpolineStubSize": (0x378, 4), "OffsetEProcessMmHotPatchContext": (0x37C, 2),
    "OffsetKThreadShadowStackLimit": (0x380, 4), "OffsetKThreadShadowStackBase": (0x384, 4),
    "ShadowStackEnabled": (0x388, 8), "PointerAuthMask": (0x390, 8), "OffsetPrcbExceptionStack": (0x398, 2),
    "PointerIgnoreBits": (0x3A0, 8),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class KdbgKeys:
    """What the block of a live 64-bit system (Windows 8 and later) is decoded with; all three come from symbols.

    ``wait_never`` and ``wait_always`` are the values of KiWaitNever and KiWaitAlways, ``encoded_flag`` is the address
    of KdpDataBlockEncoded.
    """

    wait_never: int
    wait_always: int
    encoded_flag: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kdbg:
    """The block. ``address`` is None for a copy that lies elsewhere than in memory; ``size`` in bytes, as it says.

    ``variables`` maps names to the addresses of variables (one more read gives the value). Entries that are zero, or
    that are no kernel address, are left out: the kernel no longer has the variable. ``values`` holds the numbers that
    stand in the block itself; those that are zero are left out. ``decoded`` is True when the block was scrambled.
    ``complete`` is False when a part of it could not be read.
    """

    address: int | None
    size: int
    kernel_base: int
    variables: Mapping[str, int]
    values: Mapping[str, int]
    decoded: bool
    complete: bool

    @property
    def pae(self) -> bool:
        """The bit for PAE page tables: means something on x86 only (it is set on x64 as well)."""
        return bool(self.values.get("Flags", 0) & 1)


def parse_kdbg(
    raw: bytes, pointer_size: int, *, address: int | None = None, decoded: bool = False, base: int | None = None
) -> Kdbg | None:
    """The block out of its bytes, which may end early. None when the tag, the size or the base cannot be true.

    ``base`` is the kernel's base where it is known: a block that says another one is refused.
    """
    if len(raw) < HEADER_SIZE or int.from_bytes(raw[0x10:0x14], "little") != _TAG:
        return None
    size = int.from_bytes(raw[0x14:0x18], "little")
    mask = (1 << 8 * pointer_size) - 1
    kernel_base = int.from_bytes(raw[0x18:0x20], "little") & mask
    if not MIN_SIZE <= size <= MAX_SIZE or kernel_base % PAGE or not is_kernel_address(kernel_base, pointer_size):
        return None
    if base is not None and base != kernel_base:
        return None
    held = min(size, len(raw))
    variables: dict[str, int] = {}
    for at, name in _ADDRESSES.items():
        if at + 8 <= held:
            place = int.from_bytes(raw[at : at + 8], "little") & mask
            if is_kernel_address(place, pointer_size):
                variables[name] = place
    values: dict[str, int] = {}
    for name, (at, width) in _VALUES.items():
        number = int.from_bytes(raw[at : at + width], "little")
        if at + width <= held and number:
            values[name] = number
    return Kdbg(
        address=address,
        size=size,
        kernel_base=kernel_base,
        variables=variables,
        values=values,
        decoded=decoded,
        complete=held == size,
    )


def decode_kdbg(raw: bytes, keys: KdbgKeys) -> bytes:
    """The plain bytes of a scrambled block, a multiple of 8 (the rest is dropped).

    Each qword was scrambled with the two wait constants and the address of KdpDataBlockEncoded, as volatility and
    MemProcFS undo it.
    """
    turn = keys.wait_never & 0x3F
    flag = (keys.encoded_flag | 0xFFFF_0000_0000_0000) & _MASK_64
    out = bytearray()
    for at in range(0, len(raw) // 8 * 8, 8):
        word = int.from_bytes(raw[at : at + 8], "little") ^ keys.wait_never
        word = (word << turn | word >> 64 - turn) & _MASK_64 if turn else word
        word = int.from_bytes((word ^ flag).to_bytes(8, "little"), "big") ^ keys.wait_always
        out += word.to_bytes(8, "little")
    return bytes(out)


def read_kdbg(memory: Reader, address: int, *, keys: KdbgKeys | None = None, base: int | None = None) -> Kdbg | None:
    """The block at an address, in clear or (with ``keys``) scrambled. None when there is none.

    Never reads beyond the size that the block gives; a block whose second page cannot be read is read in part.
    """
    if not is_kernel_address(address, memory.pointer_size):
        return None
    head = memory.read(address, HEADER_SIZE)
    if head is None:
        return None
    plain, decoded = head, False
    if int.from_bytes(head[0x10:0x14], "little") != _TAG:
        if keys is None or memory.pointer_size != 8:
            return None
        plain, decoded = decode_kdbg(head, keys), True
        if int.from_bytes(plain[0x10:0x14], "little") != _TAG:
            return None
    size = int.from_bytes(plain[0x14:0x18], "little")
    if not MIN_SIZE <= size <= MAX_SIZE:
        return None
    raw = memory.read(address, size + -size % 8 if decoded else size)
    if raw is None:
        raw = memory.read(address, min(size, PAGE - address % PAGE)) or head
    if decoded and keys is not None:
        raw = decode_kdbg(raw, keys)
    return parse_kdbg(raw[:size], memory.pointer_size, address=address, decoded=decoded, base=base)


def scan_kdbg(memory: Reader, begin: int, size: int, *, base: int | None = None) -> Kdbg | None:
    """The first believable block in a range of virtual memory (``MAX_SCAN`` bytes at most), in clear.

    ``base`` is the kernel's base where it is known. Blocks lie at multiples of 4 bytes.
    """
    seen = 0
    limit = 1 << 8 * memory.pointer_size
    end = min(begin + min(max(size, 0), MAX_SCAN), limit)
    for page in range(begin // PAGE, -(-end // PAGE), _SCAN_PAGES):
        count = min(_SCAN_PAGES, -(-end // PAGE) - page)
        rows, _ = memory.space.gather(np.arange(page, page + count, dtype=np.uint64))
        for found in np.flatnonzero(rows.reshape(-1).view("<u4") == _TAG).tolist():
            seen += 1
            if seen > MAX_CANDIDATES:
                return None
            block = read_kdbg(memory, page * PAGE + 4 * found - 0x10, base=base)
            if block is not None:
                return block
    return None
