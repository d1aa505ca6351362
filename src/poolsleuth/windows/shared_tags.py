"""Tags that Windows itself puts on memory which drivers ask for, and the routines they ask with.

Such a tag names no driver; who imports one of the routines may be the one. From the public documentation of the
routines, and of the tags in the lists that the Debugging Tools carry.
"""

from collections.abc import Mapping

_CONTIGUOUS = (
    "nt!MmAllocateContiguousMemory",
    "nt!MmAllocateContiguousMemoryEx",
    "nt!MmAllocateContiguousMemorySpecifyCache",
    "nt!MmAllocateContiguousMemorySpecifyCacheNode",
    "nt!MmAllocateContiguousNodeMemory",
)

ROUTINES: Mapping[str, tuple[str, ...]] = {
    "None": ("nt!ExAllocatePool", "nt!ExAllocatePoolWithQuota"),
    "MmCm": _CONTIGUOUS,
    "Cont": (*_CONTIGUOUS, "hal!HalAllocateCommonBuffer"),
    "NDam": ("ndis!NdisAllocateMemory",),
    "VidR": ("videoprt!VideoPortAllocateBuffer",),
}
"""Tag to the routines, as a debugger prints their symbols."""
