"""Addresses of variables without symbols: out of KDBG, the header of the dump and the kernel's exports."""

from collections.abc import Mapping

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.addresses import is_kernel_address
from poolsleuth.kernel.crash_dump.header import DumpHeader
from poolsleuth.kernel.find.lists import believed
from poolsleuth.kernel.kdbg import Kdbg

MAX_PROCESSORS = {4: 32, 8: 2048}  # slots of KiProcessorBlock, by the size of a pointer
_FIRST_WITH_STATE = 10240
# From Windows 10 on most figures of the memory manager lie in one structure, and what KDBG still gives for them is
# zero or a variable that nobody writes. These entries were seen to be right in the block of build 19041
_STILL_RIGHT = frozenset({
    "PsLoadedModuleList", "PsActiveProcessHead", "PspCidTable", "ExpSystemResourcesList", "KeTimeIncrement",
    "KeBugCheckCallbackListHead", "KiBugCheckData", "IopErrorLogListHead", "ObpRootDirectoryObject",
    "ObpTypeObjectType", "MmPfnDatabase", "MmSizeOfPagedPoolInBytes", "PoolTrackTable", "MmHighestUserAddress",
    "MmSystemRangeStart", "MmUserProbeAddress", "NtBuildLab", "KiProcessorBlock", "MmUnloadedDrivers",
    "MmLastUnloadedDriver", "MmSpecialPoolTag", "KernelVerifier", "MmVerifierData", "CmNtCSDVersion",
    "MmPhysicalMemoryBlock", "EtwpDebuggerData",
})  # fmt: skip
_LISTS = {"PsLoadedModuleList": "loaded modules", "PsActiveProcessHead": "processes", "ExpSystemResourcesList": "locks"}


def variable_addresses(
    memory: Reader, *, build: int, header: DumpHeader | None, kdbg: Kdbg | None, exports: Mapping[str, int]
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Addresses by the names of variables, and sentences on what was refused.

    The head of a list is believed when its neighbours lead back to it, or when nothing of it can be read.
    """
    found = dict(exports)
    if kdbg is not None:
        found |= {
            name: address
            for name, address in kdbg.variables.items()
            if build < _FIRST_WITH_STATE or name in _STILL_RIGHT
        }
        if kdbg.address is not None:
            found["KdDebuggerDataBlock"] = kdbg.address
    heads = header_lists(header)
    if header is not None and header.pfn_database and is_kernel_address(header.pfn_database, memory.pointer_size):
        found.setdefault("MmPfnDatabase", header.pfn_database)
    notes: list[str] = []
    for name, what in _LISTS.items():
        candidates = (heads.get(name), found.get(name), exports.get(name))
        head = believed(memory, candidates)
        if head is not None:
            found[name] = head
        elif any(candidates):
            found.pop(name, None)
            notes.append(f"the address of the list of {what} does not lead to a list: it was not used")
    return found, tuple(notes)


def header_lists(header: DumpHeader | None) -> dict[str, int]:
    """The heads of lists that the header of a dump gives."""
    if header is None:
        return {}
    given = {"PsLoadedModuleList": header.loaded_module_list, "PsActiveProcessHead": header.active_process_head}
    return {name: address for name, address in given.items() if address}


def count_processors(memory: Reader, block: int | None) -> int | None:
    """How many processors KiProcessorBlock has: pointers up to the first that is none. None when it cannot be read."""
    if block is None:
        return None
    size = memory.pointer_size
    raw = memory.read(block, MAX_PROCESSORS[size] * size) or memory.read(block, 32 * size)
    if raw is None:
        return None
    for count, at in enumerate(range(0, len(raw), size)):
        if not is_kernel_address(int.from_bytes(raw[at : at + size], "little"), size):
            return count or None
    return len(raw) // size
