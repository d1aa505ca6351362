"""NTFS."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_ntfs = partial(TagNote, component="ntfs.sys, the NTFS file system", binary="ntfs.sys")

NOTES: tuple[TagNote, ...] = (
    _ntfs(
        pattern="Ntff",
        role=Role.CACHE,
        holds=(
            "File control blocks together with their data part: what NTFS keeps for each file that is "
            "open or still cached."
        ),
        growth=(
            "Follows the number of files in use, and goes along with MmSt: file servers, backups, scans. "
            "It falls when the cached files are trimmed."
        ),
        next_step=(
            "`!filecache` and open handles tell which files; treat it like MmSt (KB312362 on 32-bit Windows 2000-2003)."
        ),
    ),
    _ntfs(
        pattern="Ntfr",
        role=Role.CACHE,
        holds="Kernel locks (ERESOURCE) that NTFS attaches to its files and streams.",
        growth=(
            "One or more per open or cached file. Growth with File means files that stay open; without "
            "File, cached ones."
        ),
        next_step="Compare with the count of File; list open files with `openfiles /query` or `net file`.",
    ),
    _ntfs(
        pattern="NtFs",
        role=Role.CACHE,
        holds="Stream and file structures that NTFS builds in its StrucSup module.",
        growth="Follows files and streams in use.",
        next_step="Compare with Ntfr and File; `!filecache` for the files.",
    ),
    _ntfs(
        pattern="NtFC",
        role=Role.IO,
        holds="Working memory of NTFS for opening and creating files.",
        growth="Follows the rate of opens; leftovers mean opens that hang, often in a filter above NTFS.",
        next_step="`!irpfind` for pending creates and `fltmc instances` for the filters.",
    ),
    _ntfs(
        pattern="NtFI",
        role=Role.CACHE,
        holds="Memory of NTFS for directory indexes.",
        growth="Follows listing and searching of large directories.",
        next_step="Process Monitor for the process that lists directories.",
    ),
    _ntfs(
        pattern="NtFA",
        role=Role.IO,
        holds="Memory of NTFS for handling file attributes.",
        growth="Follows file activity.",
        next_step="Process Monitor for the busiest process.",
    ),
    _ntfs(
        pattern="NtFd",
        role=Role.IO,
        holds="Memory of NTFS for directory queries and change notification.",
        growth="Growth can come from programs that watch very many directories.",
        next_step="`!handle 0 3 <process> File` for directories held open.",
    ),
    _ntfs(
        pattern="NtFU",
        role=Role.IO,
        holds="Memory of NTFS for the change journal.",
        growth="Follows readers of the journal, such as indexers, replication and backup.",
        next_step="`fsutil usn queryjournal <drive>:` and the journal's readers.",
    ),
    _ntfs(
        pattern="NtFL",
        role=Role.IO,
        holds="Memory of NTFS for its log file.",
        growth="Follows metadata writes.",
        next_step="Check the disk's response times.",
    ),
    _ntfs(
        pattern="NtFQ",
        role=Role.OTHER,
        holds="Memory of NTFS for disk quotas.",
        growth="Follows the number of users with quota entries.",
        next_step="`fsutil quota query <drive>:`.",
    ),
    _ntfs(
        pattern="NtFS",
        role=Role.CACHE,
        holds="Memory of NTFS for security descriptors of files.",
        growth="Follows the number of different descriptors on the volume in use.",
        next_step="Look for software that writes a unique descriptor to every file.",
    ),
    _ntfs(
        pattern="NtF?",
        role=Role.CACHE,
        holds="Memory of one source module of NTFS; the last letter names the module.",
        growth="Follows files in use and file activity.",
        next_step="Look up the letter in pooltag.txt; compare with File and Ntff.",
    ),
    _ntfs(
        pattern="Ntfs",
        role=Role.CACHE,
        holds="Stream control blocks of NTFS for data streams.",
        growth="One per stream in use; follows Ntff.",
        next_step="`!filecache` for the cached files.",
    ),
    _ntfs(
        pattern="Ntfn",
        role=Role.CACHE,
        holds="The nonpaged part of NTFS stream control blocks.",
        growth="One per stream in use; follows Ntfr.",
        next_step="Compare with File; many more than open files are cached streams.",
    ),
    _ntfs(
        pattern="NtfS",
        role=Role.CACHE,
        holds="Stream control blocks of NTFS for directory indexes.",
        growth="One per directory in use.",
        next_step="Look for programs that walk the whole volume (scans, indexing, backup).",
    ),
    _ntfs(
        pattern="NtfF",
        role=Role.CACHE,
        holds="File control blocks of NTFS for directories.",
        growth="One per directory in use.",
        next_step="Look for programs that walk the whole volume.",
    ),
    _ntfs(
        pattern="Ntfc",
        role=Role.CACHE,
        holds="Per-open context of NTFS for files opened by users.",
        growth="One per open of a file: it must follow File.",
        next_step="Find the process with the open files: `!process 0 0`, `!handle 0 3 <process> File`.",
    ),
    _ntfs(
        pattern="NtfC",
        role=Role.CACHE,
        holds="Per-open context of NTFS in its general form.",
        growth="One per open, following File.",
        next_step=(
            "Compare with the handle counts (`!process 0 0`, `openfiles /query`, `net file`); few "
            "handles but many file objects speak for a kernel reference: `!fileobj <address>` and "
            "`!object <address>`."
        ),
    ),
    _ntfs(
        pattern="Ntfl",
        role=Role.CACHE,
        holds="Link control blocks of NTFS: a name through which a file was opened.",
        growth="Follows files in use.",
        next_step=(
            "`!filecache` and open handles tell which files; treat it like MmSt (KB312362 on 32-bit Windows 2000-2003)."
        ),
    ),
    _ntfs(
        pattern="NtfM",
        role=Role.CACHE,
        holds="Extent map entries of NTFS: where the pieces of files lie on disk.",
        growth="Large for heavily fragmented or sparse files.",
        next_step="`fsutil file queryextents <file>`; defragment or replace the worst files.",
    ),
    _ntfs(
        pattern="Ntfm",
        role=Role.CACHE,
        holds="Extent map arrays of NTFS.",
        growth="Large for heavily fragmented or sparse files, together with NtfM.",
        next_step="`fsutil file queryextents <file>`.",
    ),
    _ntfs(
        pattern="Ntfi",
        role=Role.IO,
        holds="Contexts of requests that NTFS is working on.",
        growth="As many as requests under way; growth means requests that hang below or above NTFS.",
        next_step="`!irpfind` for the IRPs, then the lower device with `!devstack`.",
    ),
    _ntfs(
        pattern="NtfI",
        role=Role.IO,
        holds="Contexts of reads and writes that NTFS has sent to the disk.",
        growth="As many as transfers under way.",
        next_step="Disk queue counters and `!irpfind`.",
    ),
    _ntfs(
        pattern="Ntfk",
        role=Role.CACHE,
        holds="Byte-range lock structures of NTFS files.",
        growth="Follows programs that lock file ranges, such as databases on file shares.",
        next_step="`net file` shows the locks on a server.",
    ),
    _ntfs(
        pattern="Ntfo",
        role=Role.CACHE,
        holds="Full path names that NTFS normalised for open directories.",
        growth="Follows open directories, deep trees most.",
        next_step="Look for software that holds directories open.",
    ),
    _ntfs(
        pattern="Ntf0",
        role=Role.OTHER,
        holds="Allocations of NTFS without a finer tag.",
        growth="Follows file activity.",
        next_step="Compare with the other NTFS tags; record stacks with xperf.",
    ),
    _ntfs(
        pattern="Ntf?",
        role=Role.CACHE,
        holds="Some structure of NTFS. Upper and lower case of the last letter mean different things.",
        growth="Follows files in use.",
        next_step="Look up the exact tag in pooltag.txt and compare with File.",
    ),
)
