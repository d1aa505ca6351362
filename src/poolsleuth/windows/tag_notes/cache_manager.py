"""The cache manager, the prefetcher and the compressed store."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_cc = partial(TagNote, component="nt!cc, the cache manager", binary="nt!cc")
_pf = partial(TagNote, component="nt!ccpf, the prefetcher", binary="nt!ccpf")
_store = partial(TagNote, component="nt!store and rdyboost.sys, ReadyBoost and the compressed store", binary=None)

NOTES: tuple[TagNote, ...] = (
    _cc(
        pattern="CcSc",
        role=Role.CACHE,
        holds="Shared cache maps: one for each file whose data is in the file cache.",
        growth="Follows cached files; stays while dirty data waits or somebody holds the file.",
        next_step="`!filecache` lists the files with their views.",
    ),
    _cc(
        pattern="CcPc",
        role=Role.CACHE,
        holds="Private cache maps: the read-ahead state of an open file.",
        growth="One per file object with caching.",
        next_step="Compare with File.",
    ),
    _cc(
        pattern="CcVa",
        role=Role.CACHE,
        holds="The first table of view blocks, through which cached files are mapped.",
        growth="Sized by the system.",
        next_step="Nothing by itself.",
    ),
    _cc(
        pattern="CcVp",
        role=Role.CACHE,
        holds="Per-file tables of cache views.",
        growth="Follows the size and number of cached files; big files need more.",
        next_step="`!filecache` for the biggest files.",
    ),
    _cc(
        pattern="CcVl",
        role=Role.CACHE,
        holds="Further levels of the view tables for very large files.",
        growth="Follows very large cached files, such as virtual disks and backups.",
        next_step="`!filecache` for the biggest files.",
    ),
    _cc(
        pattern="CcBc",
        role=Role.CACHE,
        holds="Buffer control blocks: pieces of file system metadata pinned in the cache.",
        growth="Follows metadata work; blocks never unpinned are a file system fault.",
        next_step="`!filecache` for the metadata streams ($Mft and others).",
    ),
    _cc(
        pattern="CcBm",
        role=Role.CACHE,
        holds="Bitmaps of dirty pages per cached file.",
        growth="Follows writing to large files.",
        next_step="`!defwrites` for the dirty page state.",
    ),
    _cc(
        pattern="CcBr",
        role=Role.CACHE,
        holds="Ranges of the dirty page bitmaps.",
        growth="Follows writing to large files.",
        next_step="`!defwrites` for the dirty page state.",
    ),
    _cc(
        pattern="CcMb",
        role=Role.CACHE,
        holds="Masks that record which pages of a cached file are dirty.",
        growth="Follows writing to cached files.",
        next_step="`!defwrites` for the dirty page state.",
    ),
    _cc(
        pattern="CcOb",
        role=Role.CACHE,
        holds="Control blocks that join overlapping pinned ranges.",
        growth="Follows metadata work.",
        next_step="Read it beside CcBc.",
    ),
    _cc(
        pattern="CcDw",
        role=Role.IO,
        holds="Writes that the cache has put off because too much dirty data waits.",
        growth="Any lasting number means that disks cannot keep up with the writers.",
        next_step="`!defwrites` tells whether writes are throttled; then the disk counters.",
    ),
    _cc(
        pattern="CcWq",
        role=Role.IO,
        holds="Work queue entries for read-ahead and lazy writing.",
        growth="Follows cache activity; piles up behind a slow disk.",
        next_step="`!exqueue f` and the disk counters.",
    ),
    _cc(
        pattern="CcWk",
        role=Role.IO,
        holds="Work entries of the cache manager from a lookaside list.",
        growth="Follows cache activity.",
        next_step="`!exqueue f` and the disk counters.",
    ),
    _cc(
        pattern="CcFn",
        role=Role.CACHE,
        holds="File names for the warning about lost delayed writes.",
        growth="Appears when writing to a file failed, often to a lost network share.",
        next_step="Look for event 50 in the system log.",
    ),
    _cc(
        pattern="CcZe",
        role=Role.CACHE,
        holds="The cache manager's page of zeros.",
        growth="Fixed.",
        next_step="Nothing by itself.",
    ),
    _cc(
        pattern="CcAs",
        role=Role.IO,
        holds="State of asynchronous cached reads.",
        growth="As many as such reads under way.",
        next_step="Disk queue counters.",
    ),
    _cc(
        pattern="Cc",
        role=Role.CACHE,
        holds="Memory of the cache manager without a finer tag.",
        growth="Small.",
        next_step="Read it beside the other cache tags.",
    ),
    _cc(
        pattern="Cc??",
        role=Role.CACHE,
        holds="Some structure of the cache manager or of the prefetcher.",
        growth="Follows the amount of cached file data.",
        next_step="`!filecache` and `!defwrites`.",
    ),
    _pf(
        pattern="CcPf",
        role=Role.CACHE,
        holds="Memory of the prefetcher, which records what programs read at start.",
        growth="Rises while programs start, then falls.",
        next_step="Test with the SysMain or Superfetch service stopped.",
    ),
    _pf(
        pattern="CcPB",
        role=Role.CACHE,
        holds="Trace buffers of the prefetcher.",
        growth="Rises while programs start.",
        next_step="Test with the SysMain or Superfetch service stopped.",
    ),
    _pf(
        pattern="CcPL",
        role=Role.CACHE,
        holds="Lists of what the prefetcher is to read.",
        growth="Temporary at program start.",
        next_step="Test with the SysMain or Superfetch service stopped.",
    ),
    _store(
        pattern="smNp",
        role=Role.OTHER,
        holds=(
            "Node pools of the page store: on Windows 10 and later mostly the index of compressed "
            "memory, earlier ReadyBoost."
        ),
        growth="Follows the amount of compressed memory, so it is an answer to memory pressure and not its cause.",
        next_step="`Get-MMAgent` and the Memory Compression process; look for what uses the RAM.",
    ),
    _store(
        pattern="smSt",
        role=Role.OTHER,
        holds="Stores of the page store with their tables.",
        growth="Follows compressed memory or ReadyBoost devices.",
        next_step="`Get-MMAgent` and the Memory Compression process; look for what uses the RAM.",
    ),
    _store(
        pattern="smBt",
        role=Role.OTHER,
        holds="Search trees of the page store.",
        growth="Follows the number of pages in the store.",
        next_step="`Get-MMAgent` and the Memory Compression process; look for what uses the RAM.",
    ),
    _store(
        pattern="smCa",
        role=Role.OTHER,
        holds="Cache descriptions of ReadyBoost.",
        growth="One per cache device.",
        next_step="Remove the ReadyBoost device to test.",
    ),
    _store(
        pattern="sm??",
        role=Role.OTHER,
        holds=(
            "Some structure of the page store (compressed memory, ReadyBoost). Written with small sm; Sm "
            "with a capital is the SMB client."
        ),
        growth="Follows compressed memory or ReadyBoost devices.",
        next_step="`Get-MMAgent` and the Memory Compression process; look for what uses the RAM.",
    ),
)
