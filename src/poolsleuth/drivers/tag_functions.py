"""Functions of Windows that take a pool tag: which argument it is. From their public documentation."""

from dataclasses import dataclass
from enum import StrEnum


class Use(StrEnum):
    """What a driver does with a tag at a place."""

    ALLOCATION = "allocation"  # an argument of a function that allocates
    LOOKASIDE = "lookaside"  # an argument of one that sets up a lookaside list
    FREE = "free"
    REFERENCE = "reference"  # a tag of an object reference: no pool tag
    IMMEDIATE = "immediate"  # an operand in code, but at no call that is known
    CODE_BYTES = "code-bytes"  # bytes in a code section that are no operand
    DATA = "data"


@dataclass(frozen=True, slots=True)
class TagFunction:
    """``argument`` counts from 0, ``x86_argument`` in slots of four bytes; ``x86_total`` is how many slots a call pops.

    ``x86_total`` is None for a function whose caller pops them. ``only_code`` is the value that the first argument must
    have (a function that does many things by number); ``registers`` tells an x86 function that takes ecx and edx.
    """

    use: Use
    argument: int
    x86_argument: int
    x86_total: int | None
    only_code: int | None = None
    registers: bool = False


def _f(
    use: Use, argument: int, total: int | None, *, x86: int | None = None, only: int | None = None, fast: bool = False
) -> TagFunction:
    return TagFunction(use, argument, argument if x86 is None else x86, total, only, fast)


TAG_FUNCTIONS: dict[str, TagFunction] = {
    # The executive. The flags of ...Pool2 and ...Pool3 have 64 bits: two slots of the stack on x86
    "ExAllocatePoolWithTag": _f(Use.ALLOCATION, 2, 3),
    "ExAllocatePoolWithQuotaTag": _f(Use.ALLOCATION, 2, 3),
    "ExAllocatePoolWithTagPriority": _f(Use.ALLOCATION, 2, 4),
    "ExAllocatePool2": _f(Use.ALLOCATION, 2, 4, x86=3),
    "ExAllocatePool3": _f(Use.ALLOCATION, 2, 6, x86=3),
    "ExAllocateCacheAwareRundownProtection": _f(Use.ALLOCATION, 1, 2),
    "ExFreePoolWithTag": _f(Use.FREE, 1, 2),
    "ExFreePool2": _f(Use.FREE, 1, 4),
    "ExInitializeNPagedLookasideList": _f(Use.LOOKASIDE, 5, 7),
    "ExInitializePagedLookasideList": _f(Use.LOOKASIDE, 5, 7),
    "ExInitializeLookasideListEx": _f(Use.LOOKASIDE, 6, 8),
    # Network, file system filters, storage, displays
    "NdisAllocateMemoryWithTag": _f(Use.ALLOCATION, 2, 3),
    "NdisAllocateMemoryWithTagPriority": _f(Use.ALLOCATION, 2, 4),
    "NdisFreeMemoryWithTag": _f(Use.FREE, 1, 2),
    "NdisFreeMemoryWithTagPriority": _f(Use.FREE, 2, 3),
    "NdisInitializeNPagedLookasideList": _f(Use.LOOKASIDE, 5, 7),
    "FltAllocatePoolAlignedWithTag": _f(Use.ALLOCATION, 3, 4),
    "FltFreePoolAlignedWithTag": _f(Use.FREE, 2, 3),
    "StorPortExtendedFunction": _f(Use.ALLOCATION, 3, None, only=0),  # StorPortAllocatePool is function 0 of it
    "VideoPortAllocatePool": _f(Use.ALLOCATION, 3, 4),
    "EngAllocMem": _f(Use.ALLOCATION, 2, 3),
    "EngAllocUserMem": _f(Use.ALLOCATION, 1, 2),
    # Tags of object references: they look the same, and speak against a pool tag
    "ObReferenceObjectByHandleWithTag": _f(Use.REFERENCE, 4, 7),
    "ObReferenceObjectByPointerWithTag": _f(Use.REFERENCE, 4, 5),
    "ObOpenObjectByPointerWithTag": _f(Use.REFERENCE, 6, 8),
    "ObDereferenceObjectDeferDeleteWithTag": _f(Use.REFERENCE, 1, 2),
    "ObfReferenceObjectWithTag": _f(Use.REFERENCE, 1, 0, fast=True),
    "ObfDereferenceObjectWithTag": _f(Use.REFERENCE, 1, 0, fast=True),
}
"""By name, without the decoration of 32-bit names."""

UNTAGGED = frozenset({"ExAllocatePool", "ExAllocatePoolWithQuota"})
"""Allocate without a tag: the pool counts it under None."""

CONTIGUOUS = frozenset(
    {
        "MmAllocateContiguousMemory",
        "MmAllocateContiguousMemoryEx",
        "MmAllocateContiguousMemorySpecifyCache",
        "MmAllocateContiguousMemorySpecifyCacheNode",
        "MmAllocateContiguousNodeMemory",
    }
)
"""Allocate physically contiguous memory: the memory manager counts it under MmCm."""

DMA = frozenset({"HalAllocateCommonBuffer", "IoGetDmaAdapter", "HalGetAdapter"})
"""Lead to common buffers of DMA, which come from contiguous memory on the driver's behalf."""

FRAMEWORK = frozenset({"WdfVersionBind", "WdfVersionBindClass"})
"""Imported by every driver of the driver framework (KMDF)."""

# How many slots of four bytes other functions pop on x86, for those often called between pushes
X86_POPS: dict[str, int] = {
    name: function.x86_total for name, function in TAG_FUNCTIONS.items() if function.x86_total is not None
} | {
    "ExAllocatePool": 2,
    "ExAllocatePoolWithQuota": 2,
    "ExFreePool": 1,
    "RtlInitUnicodeString": 2,
    "RtlInitAnsiString": 2,
    "RtlCopyUnicodeString": 2,
    "RtlCompareUnicodeString": 3,
    "RtlEqualUnicodeString": 3,
    "RtlFreeUnicodeString": 1,
    "KeInitializeSpinLock": 1,
    "KeInitializeEvent": 3,
    "KeSetEvent": 3,
    "KeWaitForSingleObject": 5,
    "KeGetCurrentIrql": 0,
    "KeEnterCriticalRegion": 0,
    "KeLeaveCriticalRegion": 0,
    "KeQuerySystemTime": 1,
    "IoGetCurrentProcess": 0,
    "PsGetCurrentProcessId": 0,
    "IoAllocateMdl": 5,
    "IoFreeMdl": 1,
    "IoAllocateIrp": 2,
    "IoFreeIrp": 1,
    "IoDeleteDevice": 1,
    "MmProbeAndLockPages": 3,
    "MmUnlockPages": 1,
    "ZwClose": 1,
    "RtlLengthSid": 1,
    "DbgPrint": 0,  # its caller pops
    "memset": 0,
    "memcpy": 0,
}


def bare_name(name: str) -> str:
    """``_ExFreePoolWithTag@8`` and ``__imp_ExFreePoolWithTag`` are ``ExFreePoolWithTag``."""
    bare = (
        name.removeprefix("__imp_").partition("@")[0] if not name.startswith(("@", "?")) else name[1:].partition("@")[0]
    )
    return bare.removeprefix("_") if bare.removeprefix("_") in TAG_FUNCTIONS else bare
