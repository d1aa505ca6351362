"""Names and meanings of bug check codes. Companion of ``bugchecks``, which is the way to ask."""

from typing import Literal

About = Literal[
    "pool-corruption",
    "pool-depletion",
    "pte-depletion",
    "verifier",
    "commit",
    "special-pool",
    "resource-lock",
    "not-pool",
]

_BAD_POINTER = "Pool is only a suspect when the pointer came from freed memory or from an allocation that failed."
_UNHANDLED = "Code that does not check a failed allocation ends here, as does damaged memory; it proves neither."
_NO_CRASH = "Nothing crashed: what the pools hold is the state of a running machine."
_HARDWARE = "Hardware, firmware or overheating; pool usage does not cause it."
_INSUFFICIENT = "With status 0xC000009A in parameter 2, nonpaged pool ran out."

# Codes that a minidump may carry instead of the base code, where Microsoft documents a name of its own.
SAME_BUT_MINIDUMP_NAMES = {
    0x1000007E: "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED_M",
    0x1000007F: "UNEXPECTED_KERNEL_MODE_TRAP_M",
    0x1000008E: "KERNEL_MODE_EXCEPTION_NOT_HANDLED_M",
    0x100000EA: "THREAD_STUCK_IN_DEVICE_DRIVER_M",
}

ROWS: tuple[tuple[int, str, About, str], ...] = (
    (
        0x19,
        "BAD_POOL_HEADER",
        "pool-corruption",
        "A pool header was found damaged. The code that noticed it is often not the one that did it: look at the "
        "block before, then use special pool.",
    ),
    (
        0xC2,
        "BAD_POOL_CALLER",
        "pool-corruption",
        "The running thread made a bad pool request: freed twice, freed what is no pool, or asked at a bad IRQL.",
    ),
    (
        0xC5,
        "DRIVER_CORRUPTED_EXPOOL",
        "pool-corruption",
        "The pool manager touched invalid memory at a high IRQL: a driver has damaged small blocks (under a page).",
    ),
    (
        0xC6,
        "DRIVER_CAUGHT_MODIFYING_FREED_POOL",
        "pool-corruption",
        "A driver touched pool that was already freed; it stands on the current stack.",
    ),
    (
        0xD0,
        "DRIVER_CORRUPTED_MMPOOL",
        "pool-corruption",
        "The memory manager touched invalid memory at a high IRQL: a driver has damaged large blocks (a page or more).",
    ),
    (
        0xDE,
        "POOL_CORRUPTION_IN_FILE_AREA",
        "pool-corruption",
        "Pool that describes file pages on their way to disk was found damaged by a driver.",
    ),
    (
        0x13A,
        "KERNEL_MODE_HEAP_CORRUPTION",
        "pool-corruption",
        "The kernel's heap, which holds the pools since Windows 10 1903, found itself damaged.",
    ),
    (
        0x126,
        "NETIO_INVALID_POOL_CALLER",
        "pool-corruption",
        "A bad request to the memory pools that the network stack manages itself.",
    ),
    (
        0x189,
        "BAD_OBJECT_HEADER",
        "pool-corruption",
        "The header of a kernel object was found damaged; objects lie in pool.",
    ),
    (
        0x41,
        "MUST_SUCCEED_POOL_EMPTY",
        "pool-depletion",
        "A request that must not fail found no pool left (old Windows only). The tag that uses most is the "
        "first suspect, not the caller.",
    ),
    (
        0xAB,
        "SESSION_HAS_VALID_POOL_ON_EXIT",
        "pool-depletion",
        "A session ended and its drivers had not freed their pool (live dumps only): a leak of "
        "parameter 2 paged and parameter 3 nonpaged bytes, which need not have filled any pool.",
    ),
    (
        0x3F,
        "NO_MORE_SYSTEM_PTES",
        "pte-depletion",
        "No run of system PTEs long enough was free; often they are in pieces, not used up.",
    ),
    (
        0xD8,
        "DRIVER_USED_EXCESSIVE_PTES",
        "pte-depletion",
        "System PTEs ran out and tracking (TrackPtes) names the driver that holds most.",
    ),
    (
        0xC4,
        "DRIVER_VERIFIER_DETECTED_VIOLATION",
        "verifier",
        "Driver Verifier stopped the machine on purpose because a driver broke a rule; parameter 1 says which.",
    ),
    (
        0xC9,
        "DRIVER_VERIFIER_IOMANAGER_VIOLATION",
        "verifier",
        "Driver Verifier's I/O verification caught a driver; not a matter of pool usage.",
    ),
    (0xE6, "DRIVER_VERIFIER_DMA_VIOLATION", "verifier", "Driver Verifier caught a driver misusing DMA."),
    (0xF1, "SCSI_VERIFIER_DETECTED_VIOLATION", "verifier", "Driver Verifier caught a storage miniport driver."),
    (
        0x1C4,
        "DRIVER_VERIFIER_DETECTED_VIOLATION_LIVEDUMP",
        "verifier",
        f"Driver Verifier saw a driver break a rule and wrote a live dump. {_NO_CRASH}",
    ),
    (
        0xC1,
        "SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION",
        "special-pool",
        "Special pool caught a driver that wrote outside its block or freed a bad address; parameter 4 says how: "
        "0x23 and 0x24 overrun, 0x32 a single wrong bit (memory hardware).",
    ),
    (
        0xCC,
        "PAGE_FAULT_IN_FREED_SPECIAL_POOL",
        "special-pool",
        "Special pool caught the system touching memory that a driver had freed.",
    ),
    (
        0xCD,
        "PAGE_FAULT_BEYOND_END_OF_ALLOCATION",
        "special-pool",
        "Special pool caught an access beyond the end of a driver's block.",
    ),
    (
        0xD5,
        "DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL",
        "special-pool",
        "Special pool caught a driver touching memory that it had freed.",
    ),
    (
        0xD6,
        "DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION",
        "special-pool",
        "Special pool caught a driver beyond the end of its block.",
    ),
    (
        0xEC,
        "SESSION_HAS_VALID_SPECIAL_POOL_ON_EXIT",
        "special-pool",
        "A session ended and a driver had not freed its special pool.",
    ),
    (0x4D, "NO_PAGES_AVAILABLE", "commit", "No free page was left and none could be written out."),
    (
        0xEB,
        "DIRTY_MAPPED_PAGES_CONGESTION",
        "commit",
        "No free page was left: pages of mapped files wait to be written.",
    ),
    (0xFD, "DIRTY_NOWRITE_PAGES_CONGESTION", "commit", "No free page was left: modified pages may not be written."),
    (0xE3, "RESOURCE_NOT_OWNED", "resource-lock", "A thread released a resource (ERESOURCE) that it does not own."),
    (
        0x132,
        "RESOURCE_OWNER_POINTER_INVALID",
        "resource-lock",
        "A resource (ERESOURCE) was released with a bad owner pointer.",
    ),
    (0x16E, "ERESOURCE_INVALID_RELEASE", "resource-lock", "A resource (ERESOURCE) was released in a wrong way."),
    (
        0x1CC,
        "EXRESOURCE_TIMEOUT_LIVEDUMP",
        "resource-lock",
        f"A thread waited too long for a resource (ERESOURCE); a live dump was written. {_NO_CRASH}",
    ),
    (0xA, "IRQL_NOT_LESS_OR_EQUAL", "not-pool", f"Bad memory was touched at a high IRQL. {_BAD_POINTER}"),
    (
        0xD1,
        "DRIVER_IRQL_NOT_LESS_OR_EQUAL",
        "not-pool",
        f"A driver touched bad or pageable memory at a high IRQL. {_BAD_POINTER}",
    ),
    (0x50, "PAGE_FAULT_IN_NONPAGED_AREA", "not-pool", f"Memory that does not exist was referenced. {_BAD_POINTER}"),
    (0x1E, "KMODE_EXCEPTION_NOT_HANDLED", "not-pool", f"A kernel exception nobody handled. {_UNHANDLED}"),
    (0x3B, "SYSTEM_SERVICE_EXCEPTION", "not-pool", f"An exception in a system call. {_UNHANDLED}"),
    (0x7E, "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED", "not-pool", f"An exception in a system thread. {_UNHANDLED}"),
    (0x8E, "KERNEL_MODE_EXCEPTION_NOT_HANDLED", "not-pool", f"A kernel exception nobody handled. {_UNHANDLED}"),
    (0x7F, "UNEXPECTED_KERNEL_MODE_TRAP", "not-pool", "A processor trap in the kernel: often a stack overflow."),
    (0x1A, "MEMORY_MANAGEMENT", "not-pool", "The memory manager's tables are damaged, by a driver or by hardware."),
    (0x4E, "PFN_LIST_CORRUPT", "not-pool", "The page frame lists are damaged, usually by a bad MDL of a driver."),
    (
        0xDA,
        "SYSTEM_PTE_MISUSE",
        "not-pool",
        "A driver mapped or unmapped memory wrongly: system PTEs were misused, not used up.",
    ),
    (0xDB, "DRIVER_CORRUPTED_SYSPTES", "not-pool", "A driver damaged system PTEs: damaged, not used up."),
    (0xD7, "DRIVER_UNMAPPING_INVALID_VIEW", "not-pool", "A driver unmapped a view that was not mapped."),
    (
        0xCE,
        "DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS",
        "not-pool",
        "Code of an unloaded driver was called: it left timers, DPCs or work behind, and perhaps pool too.",
    ),
    (
        0x139,
        "KERNEL_SECURITY_CHECK_FAILURE",
        "not-pool",
        "The kernel found one of its structures damaged; with parameter 1 = 3 a list, often in memory freed too soon.",
    ),
    (0x24, "NTFS_FILE_SYSTEM", "not-pool", "An error in NTFS: a damaged disk, or nonpaged pool that ran out."),
    (0x51, "REGISTRY_ERROR", "not-pool", "The registry could not be read or is damaged."),
    (0x77, "KERNEL_STACK_INPAGE_ERROR", "not-pool", f"A kernel stack could not be read back. {_INSUFFICIENT}"),
    (0x7A, "KERNEL_DATA_INPAGE_ERROR", "not-pool", f"Kernel data could not be read back. {_INSUFFICIENT}"),
    (0x2D, "SCSI_DISK_DRIVER_INTERNAL", "not-pool", "An error inside the SCSI disk driver."),
    (0x7B, "INACCESSIBLE_BOOT_DEVICE", "not-pool", "The boot disk could not be reached."),
    (0x9C, "MACHINE_CHECK_EXCEPTION", "not-pool", _HARDWARE),
    (0x124, "WHEA_UNCORRECTABLE_ERROR", "not-pool", _HARDWARE),
    (0x101, "CLOCK_WATCHDOG_TIMEOUT", "not-pool", "A processor no longer takes clock interrupts: it hangs."),
    (0x133, "DPC_WATCHDOG_VIOLATION", "not-pool", "A DPC or interrupt routine ran too long."),
    (0x9F, "DRIVER_POWER_STATE_FAILURE", "not-pool", "A driver is stuck in a power transition."),
    (0xEA, "THREAD_STUCK_IN_DEVICE_DRIVER", "not-pool", "A display driver's thread is stuck in an endless loop."),
    (0x116, "VIDEO_TDR_FAILURE", "not-pool", "The display driver did not answer and could not be reset."),
    (0xBE, "ATTEMPTED_WRITE_TO_READONLY_MEMORY", "not-pool", "A driver wrote to read-only memory."),
    (0xFC, "ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY", "not-pool", "Memory that is no code was to be executed."),
    (0xF7, "DRIVER_OVERRAN_STACK_BUFFER", "not-pool", "A driver overran a buffer on the stack, not in pool."),
    (
        0x109,
        "CRITICAL_STRUCTURE_CORRUPTION",
        "not-pool",
        "Kernel code or a guarded table was changed: a driver that patches the kernel, or hardware.",
    ),
    (
        0xEF,
        "CRITICAL_PROCESS_DIED",
        "not-pool",
        "A process that Windows cannot do without ended; exhausted memory can be behind it.",
    ),
    (
        0xF4,
        "CRITICAL_OBJECT_TERMINATION",
        "not-pool",
        "A process or thread that Windows cannot do without ended; exhausted memory can be behind it.",
    ),
    (
        0xC000021A,
        "STATUS_SYSTEM_PROCESS_TERMINATED",
        "not-pool",
        "Winlogon or another user-mode process that Windows cannot do without ended.",
    ),
    (0x13C, "INVALID_IO_BOOST_STATE", "not-pool", "A thread ended in an invalid I/O boost state."),
    (0x1AA, "EXCEPTION_ON_INVALID_STACK", "not-pool", "An exception happened on what is no valid stack of the thread."),
    (0xE2, "MANUALLY_INITIATED_CRASH", "not-pool", f"Somebody forced the dump from the keyboard. {_NO_CRASH}"),
    (0xDEADDEAD, "MANUALLY_INITIATED_CRASH1", "not-pool", f"Somebody forced the dump. {_NO_CRASH}"),
    (0x1C8, "MANUALLY_INITIATED_POWER_BUTTON_HOLD", "not-pool", f"The power button was held. {_NO_CRASH}"),
    (0x161, "LIVE_SYSTEM_DUMP", "not-pool", f"A dump of the running system was taken. {_NO_CRASH}"),
    (
        0x15F,
        "CONNECTED_STANDBY_WATCHDOG_TIMEOUT_LIVEDUMP",
        "not-pool",
        f"Connected standby did not get where it should; a live dump was written. {_NO_CRASH}",
    ),
)
