"""The memory manager (nt!mm): sections, mapped files, address descriptors, contiguous memory."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_mm = partial(TagNote, component="nt!mm, the memory manager", binary="nt!mm")

NOTES: tuple[TagNote, ...] = (
    _mm(
        pattern="MmSt",
        role=Role.CACHE,
        holds=(
            "Prototype page table entries of mapped-file segments: one per page of every file that is "
            "mapped or sits in the file cache."
        ),
        growth=(
            "Follows the size and number of files held open or cached: a backup, an antivirus scan, a "
            "search indexer or many big files kept open. It shrinks only when the segments are trimmed, "
            "so a high figure alone is no leak."
        ),
        next_step=(
            "Show which files hold it with `!memusage` and `!filecache`. On 32-bit Windows 2000-2003 "
            "make the trimming start earlier: under HKLM\\SYSTEM\\CurrentControlSet\\Control\\Session "
            "Manager\\Memory Management set PoolUsageMaximum = 60 (decimal) and PagedPoolSize = "
            "0xFFFFFFFF, then restart (KB312362)."
        ),
    ),
    _mm(
        pattern="MmSm",
        role=Role.CACHE,
        holds="Segment structures of data files that are mapped or cached.",
        growth=(
            "One per mapped or cached data file, so it follows MmSt, MmCa and File. Growth that never "
            "comes down means that files stay referenced after they were closed."
        ),
        next_step="List the cached files with `!filecache`, and take the largest control areas from `!memusage`.",
    ),
    _mm(
        pattern="MmCa",
        role=Role.CACHE,
        holds="Control areas of mapped data files: the memory manager's head structure for a file with a data section.",
        growth=(
            "One per file that is or recently was cached; closed files linger on the unused-segment "
            "list. Steep growth together with File points at a program or filter that keeps very many "
            "files open."
        ),
        next_step=(
            "`!memusage` prints the control areas with their file names; `!ca <address>` shows the references of one."
        ),
    ),
    _mm(
        pattern="MmCi",
        role=Role.CACHE,
        holds="Control areas of executable images (programs, DLLs, drivers) that are mapped as image sections.",
        growth=(
            "Follows the number of different images in use. Endless growth means many distinct images "
            "are loaded, for instance unpacked under new names each time."
        ),
        next_step="`!memusage` lists image control areas with names; `!ca <address>` shows one.",
    ),
    _mm(
        pattern="MSeg",
        role=Role.CACHE,
        holds="Segment structures that stand behind image files.",
        growth="Goes together with MmCi: one for each executable image that stays mapped.",
        next_step="`!memusage` and look for images that repeat; `!ca <address>` for their references.",
    ),
    _mm(
        pattern="MmSc",
        role=Role.CACHE,
        holds="Subsections through which data files are mapped.",
        growth="Large files need several of them, so it grows with the volume of mapped data like MmSt.",
        next_step="`!filecache` and `!memusage` name the files behind it.",
    ),
    _mm(
        pattern="MmSd",
        role=Role.CACHE,
        holds="Extended subsections, added when a mapped data file is enlarged.",
        growth="Comes from files that are written and extended while mapped, such as logs and databases.",
        next_step="Find the growing files with `!filecache` or Process Monitor.",
    ),
    _mm(
        pattern="MmSb",
        role=Role.CACHE,
        holds="Subsections of mapped files in the form that older systems use.",
        growth="Follows the number and size of mapped files.",
        next_step="`!memusage` shows which files are mapped.",
    ),
    _mm(
        pattern="MmSg",
        role=Role.CACHE,
        holds="Segment structures of mapped files in the form that older systems use.",
        growth="Follows the number of mapped files and sections.",
        next_step="`!memusage` shows which files are mapped.",
    ),
    _mm(
        pattern="MmSi",
        role=Role.CACHE,
        holds="Stubs that keep the security attributes of an image's control area.",
        growth="Small, and bound to the number of images that were validated.",
        next_step="Nothing by itself; read it beside MmCi.",
    ),
    _mm(
        pattern="MmSa",
        role=Role.CACHE,
        holds="Nodes of the trees in which subsections are kept.",
        growth="Follows mapped files, like MmSc.",
        next_step="Read it beside MmSt; `!memusage` names the files.",
    ),
    _mm(
        pattern="MmCx",
        role=Role.CACHE,
        holds="Bookkeeping for sections that are being enlarged.",
        growth="Short-lived; a growing count means that extensions of mapped files do not finish.",
        next_step=(
            "`!irpfind` for pending writes to the file system, then the stacks of the waiting threads with `!stacks 2`."
        ),
    ),
    _mm(
        pattern="MmCm",
        role=Role.CONTIGUOUS,
        holds="Physically contiguous memory that drivers got from MmAllocateContiguousMemory, mostly DMA buffers.",
        growth=(
            "Should be stable after start-up. A driver that takes and frees it again and again breaks "
            "nonpaged pool into pieces; blocks a little under a page (0xF18) are the known case."
        ),
        next_step=(
            "Look at the sizes with `!poolfind MmCm 0`, stop on the calls with `bp "
            "nt!MmAllocateContiguousMemory` in a live session, and have the driver ask for whole pages "
            "once at start."
        ),
    ),
    _mm(
        pattern="Mmdi",
        role=Role.OTHER,
        holds="Memory descriptor lists made when drivers allocate physical pages directly.",
        growth=(
            "Follows MmAllocatePagesForMdl callers such as memory-balloon, database large-page or "
            "graphics drivers. Growth is a driver that does not give its pages back."
        ),
        next_step=(
            "Compare `!vm` (Driver Commit, Locked IO Pages) over time and trace the caller with `bp "
            "nt!MmAllocatePagesForMdlEx`."
        ),
    ),
    _mm(
        pattern="MmCp",
        role=Role.OTHER,
        holds="Page counts per colour, kept while physical pages are being allocated.",
        growth="Temporary and small.",
        next_step="Nothing by itself.",
    ),
    _mm(
        pattern="Mm",
        role=Role.OTHER,
        holds="Allocations of the memory manager that have no finer tag.",
        growth="Usually small; growth is unusual and worth a trace.",
        next_step="Record allocation stacks with `xperf -on BASE+Pool -stackwalk PoolAlloc+PoolFree`.",
    ),
    _mm(
        pattern="Mm??",
        role=Role.OTHER,
        holds="Some structure of the memory manager for which no finer note exists here.",
        growth=(
            "The memory manager allocates on behalf of others: the cause is nearly always a process or "
            "driver that maps, locks or reserves memory."
        ),
        next_step=(
            "Look the tag up in pooltag.txt, then record stacks with `xperf -on BASE+Pool -stackwalk "
            "PoolAlloc+PoolFree`."
        ),
    ),
    _mm(
        pattern="MmPr",
        role=Role.OTHER,
        holds=(
            "Not published for this spelling; probably a structure of the memory manager, since its tags begin with Mm."
        ),
        growth="Unknown: do not mistake it for Mmpr, whose last letters are written small.",
        next_step="`!poolfind MmPr` and `dps` on a few blocks, then allocation stacks with xperf.",
    ),
    _mm(
        pattern="Mmpr",
        role=Role.OTHER,
        holds="Roots of the per-process trees of address descriptors for physical memory views.",
        growth="One per process that maps physical memory through a driver.",
        next_step="Find the processes that talk to the mapping driver with `!handle 0 3 <process> File`.",
    ),
    _mm(
        pattern="Mmpp",
        role=Role.POOL,
        holds="Prototype page table entries that describe paged pool itself.",
        growth="Sized by the system, not by load.",
        next_step="Nothing by itself.",
    ),
    _mm(
        pattern="Mmdl",
        role=Role.IO,
        holds="Memory descriptor lists with which dirty mapped pages are written out.",
        growth="Rises while much dirty data is flushed; staying high means a disk that does not keep up.",
        next_step="Check the modified page count in `!vm` and the disk queue counters.",
    ),
    _mm(
        pattern="MmRw",
        role=Role.OTHER,
        holds="Buffers for copying memory between processes (ReadProcessMemory and its kin).",
        growth="Temporary: it rises with debuggers, monitors and scanners that read other processes.",
        next_step="Find the reader with Process Monitor or by its call stack in an xperf pool trace.",
    ),
    _mm(
        pattern="MmDT",
        role=Role.OTHER,
        holds="Debug data of the memory manager.",
        growth="Not expected on a production system.",
        next_step="Check that no checked build or special debug setting is in use.",
    ),
    _mm(
        pattern="MmDb",
        role=Role.OTHER,
        holds="Allocations made in the service behind NtMapViewOfSection.",
        growth="Follows the rate at which views are mapped.",
        next_step="Find the mapping process by an xperf pool trace with stacks.",
    ),
    _mm(
        pattern="MmIn",
        role=Role.IO,
        holds="Support structures of reads that bring pages in from disk.",
        growth="As many as page reads under way; many at once mean hard paging or a slow disk.",
        next_step="Look at Memory\\Pages Input/sec and the disk queue, and at `!vm` for available pages.",
    ),
    _mm(
        pattern="MmIo",
        role=Role.OTHER,
        holds="Trackers of device memory that drivers mapped, as with MmMapIoSpace.",
        growth="Growth is a driver that maps device memory and never unmaps it.",
        next_step="Allocation stacks with `xperf -on BASE+Pool -stackwalk PoolAlloc+PoolFree`.",
    ),
    _mm(
        pattern="MmIm",
        role=Role.OTHER,
        holds="Trackers of descriptor lists for mapped device memory.",
        growth="Growth is a driver that maps device memory and never unmaps it.",
        next_step="Allocation stacks with `xperf -on BASE+Pool -stackwalk PoolAlloc+PoolFree`.",
    ),
    _mm(
        pattern="Mmlk",
        role=Role.VERIFIER,
        holds="Trackers of locked pages: one for every MDL that a driver probed and locked.",
        growth="Exists when locked-page tracking is on; endless growth is a driver that never unlocks.",
        next_step="`!lockedpages` names the owner of the locked pages.",
    ),
    _mm(
        pattern="MmVt",
        role=Role.VERIFIER,
        holds="Thunk tables that Driver Verifier lays over the imports of verified drivers.",
        growth="Bound to the number of verified drivers.",
        next_step="`verifier /querysettings`; switch it off with `verifier /reset` when the test is over.",
    ),
    _mm(
        pattern="MmLd",
        role=Role.OTHER,
        holds="Records about loaded drivers (the module list).",
        growth="One per loaded driver: growth means loading and unloading over and over.",
        next_step="`lm` and the unloaded modules at its end (`lmv`).",
    ),
    _mm(
        pattern="MmPb",
        role=Role.OTHER,
        holds="Bitmaps that say which slots of the paging files are in use.",
        growth="Sized by the paging files.",
        next_step="Nothing by itself; judge the paging file size in `!vm`.",
    ),
    _mm(
        pattern="MmWe",
        role=Role.IO,
        holds="Work entries for writing changed file pages to disk.",
        growth="Follows the number of flushes under way.",
        next_step="Check disk queues and the modified page count in `!vm`.",
    ),
    _mm(
        pattern="MmWw",
        role=Role.OTHER,
        holds="Information about address ranges under write watch.",
        growth="Created by processes that reserve memory with MEM_WRITE_WATCH, typically garbage-collected runtimes.",
        next_step="`!vad` in the suspected process.",
    ),
    _mm(
        pattern="MmSe",
        role=Role.OTHER,
        holds="Records of address ranges that a driver secured against unmapping.",
        growth="Growth means MmSecureVirtualMemory without the release.",
        next_step="`!vad` in the process that owns the ranges, and its drivers by handle.",
    ),
    _mm(
        pattern="MmHi",
        role=Role.SESSION,
        holds="Entries for images loaded into session space.",
        growth="One per image and session; follows the number of logged-on sessions.",
        next_step="`!session` for the sessions, `!vm 4` for their memory.",
    ),
)
