"""Filter manager, file system run time, pipes, compression, encryption and the log file system."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_flt = partial(TagNote, component="fltmgr.sys, the filter manager", binary="fltmgr.sys")
_fsrtl = partial(TagNote, component="nt!fsrtl, the file system run time", binary="nt!fsrtl")
_flk = partial(TagNote, component="nt!fsrtl, byte-range locks of files", binary=None)
_tun = partial(TagNote, component="nt!fsrtl, the name tunnel cache", binary=None)
_ifs = partial(TagNote, component="several file system drivers", binary=None)
_finfo = partial(TagNote, component="fileinfo.sys, the file information filter", binary="fileinfo.sys")
_npfs = partial(TagNote, component="npfs.sys, named pipes", binary="npfs.sys")
_msfs = partial(TagNote, component="msfs.sys, mailslots", binary="msfs.sys")
_clfs = partial(TagNote, component="clfs.sys, the common log file system", binary="clfs.sys")
_lfs = partial(TagNote, component="ntfs.sys, the log file service of NTFS", binary=None)
_wof = partial(TagNote, component="wof.sys, the overlay filter for compressed system files", binary="wof.sys")
_fve = partial(TagNote, component="fvevol.sys, BitLocker volume encryption", binary="fvevol.sys")
_efs = partial(TagNote, component="the encrypting file system", binary=None)

NOTES: tuple[TagNote, ...] = (
    _flt(
        pattern="FMfn",
        role=Role.CACHE,
        holds="Cached file names that minifilters asked for.",
        growth=(
            "Follows files that are open and watched by a filter. Endless growth means a filter takes "
            "name references and never releases them: fltmgr.sys owns the tag, a minifilter retains the "
            "memory."
        ),
        next_step=(
            "`fltmc instances` for the minifilters, then disable the suspect; with symbols "
            "`!fltkd.filters` and Driver Verifier on the filter."
        ),
    ),
    _flt(
        pattern="FMsl",
        role=Role.CACHE,
        holds="Per-stream lists in which minifilters hang their contexts.",
        growth=(
            "One per stream in use with a filter attached: it follows Ntfr and File. A context that a "
            "filter never releases keeps it alive."
        ),
        next_step=(
            "`fltmc instances`; compare with the stream count in NtFs and Ntfr; test without the third-party filters."
        ),
    ),
    _flt(
        pattern="FMfc",
        role=Role.CACHE,
        holds="Filter manager's context of a file object.",
        growth="Follows File.",
        next_step="`!process 0 0` and `!handle 0 3 <process> File` for the opens; `fltmc instances` for the filters.",
    ),
    _flt(
        pattern="FMfz",
        role=Role.CACHE,
        holds="Per-file lists in which minifilters hang their file contexts.",
        growth="Follows files in use.",
        next_step=(
            "`fltmc instances`; compare with the stream count in NtFs and Ntfr; test without the third-party filters."
        ),
    ),
    _flt(
        pattern="FMcn",
        role=Role.CACHE,
        holds="Nonpaged part of the contexts of minifilters.",
        growth="Follows streams and files with contexts; a filter that does not release its contexts makes it grow.",
        next_step="Driver Verifier on the minifilter finds the missing release at unload.",
    ),
    _flt(
        pattern="FMic",
        role=Role.IO,
        holds="Control blocks of requests that pass through the filter manager.",
        growth="As many as requests under way; growth means requests held by a filter.",
        next_step="`!fltkd.irpctrl <address>` names the filter that has it.",
    ),
    _flt(
        pattern="FMnc",
        role=Role.IO,
        holds="Working memory of name lookups during an open.",
        growth="Temporary.",
        next_step="`!irpfind` for opens that hang.",
    ),
    _flt(
        pattern="FMos",
        role=Role.IO,
        holds="Status blocks of operations in the filter manager.",
        growth="Temporary.",
        next_step="`!fltkd.irpctrl <address>` names the filter that has it.",
    ),
    _flt(
        pattern="FMwi",
        role=Role.IO,
        holds="Work items that minifilters queue.",
        growth="Piles up when worker threads are blocked.",
        next_step="`!exqueue f` shows the worker queues.",
    ),
    _flt(
        pattern="FMus",
        role=Role.OTHER,
        holds="Strings of the filter manager.",
        growth="Follows filters and volumes.",
        next_step=(
            "`fltmc instances` for the minifilters, then disable the suspect; with symbols "
            "`!fltkd.filters` and Driver Verifier on the filter."
        ),
    ),
    _flt(
        pattern="FM??",
        role=Role.CACHE,
        holds="Some structure of the filter manager.",
        growth="Follows files and requests; the retainer usually is a minifilter, not fltmgr.sys.",
        next_step="`fltmc instances`, then test without the third-party filters one at a time.",
    ),
    _fsrtl(
        pattern="FSfm",
        role=Role.CACHE,
        holds="Fast mutexes for file systems, from a lookaside list.",
        growth="One per file in use on several file systems.",
        next_step="Compare with File and with the file system's own tags.",
    ),
    _fsrtl(
        pattern="FSim",
        role=Role.CACHE,
        holds="First extent maps of files, from a lookaside list.",
        growth="Follows files in use.",
        next_step="Compare with File.",
    ),
    _fsrtl(
        pattern="FSrt",
        role=Role.CACHE,
        holds="Shared run-time memory of file systems: locks, oplocks and maps without a finer tag.",
        growth="Follows files in use, with file locks and oplocks on servers.",
        next_step="Compare with File and the SMB server's tags.",
    ),
    _fsrtl(
        pattern="FSro",
        role=Role.CACHE,
        holds="Run-time memory of file systems, probably for opportunistic locks.",
        growth="Follows files that clients hold open.",
        next_step="Compare with File and the SMB server's tags.",
    ),
    _fsrtl(
        pattern="FSel",
        role=Role.IO,
        holds="Lists of extra create parameters that travel with an open.",
        growth="Temporary; growth is a filter that makes a list and does not free it.",
        next_step="`fltmc instances`; Driver Verifier on the filters.",
        since="Vista",
    ),
    _fsrtl(
        pattern="FSeh",
        role=Role.IO,
        holds="Extra create parameters themselves.",
        growth="Temporary; growth is a filter that does not free them.",
        next_step="`fltmc instances`; Driver Verifier on the filters.",
        since="Vista",
    ),
    _fsrtl(
        pattern="FS??",
        role=Role.CACHE,
        holds="Some structure of the file system run time.",
        growth="Follows files in use.",
        next_step="Compare with File.",
    ),
    _flk(
        pattern="FLsh",
        role=Role.CACHE,
        holds="Shared byte-range locks on files.",
        growth="Follows programs that lock ranges; growth means locks never released.",
        next_step="`net file` on a server; `!fileobj` for the file.",
    ),
    _flk(
        pattern="FLex",
        role=Role.CACHE,
        holds="Exclusive byte-range locks on files.",
        growth="Follows programs that lock ranges, such as file databases.",
        next_step="`net file` on a server; `!fileobj` for the file.",
    ),
    _flk(
        pattern="FLli",
        role=Role.CACHE,
        holds="The lock state of a file on which ranges are or were locked.",
        growth="Follows such files.",
        next_step="`net file` on a server; `!fileobj` for the file.",
    ),
    _tun(
        pattern="Tun?",
        role=Role.CACHE,
        holds=(
            "Names of files just deleted or renamed, kept some seconds so that a new file of that name "
            "inherits its attributes."
        ),
        growth="Rises while very many files are deleted or renamed, then falls.",
        next_step="Find the busy program with Process Monitor.",
    ),
    _ifs(
        pattern="Ifs",
        role=Role.GENERIC,
        holds="The default tag of drivers built with the file system kit that set none of their own.",
        growth="Says little: a third-party file system or filter is likely.",
        next_step="`fltmc instances`; split it like Ddk, with `!poolfind Ifs` and `dps` on the blocks.",
    ),
    _finfo(
        pattern="FIcs",
        role=Role.CACHE,
        holds="Stream contexts of the file information filter, which feeds the prefetcher.",
        growth="One per stream seen; follows files in use.",
        next_step="Compare with FMsl; no third-party filter is to blame for it.",
        since="Vista",
    ),
    _finfo(
        pattern="FI??",
        role=Role.CACHE,
        holds="Some structure of the file information filter.",
        growth="Follows files in use.",
        next_step="Compare with FMsl.",
        since="Vista",
    ),
    _npfs(
        pattern="Npf*",
        role=Role.IO,
        holds="Named pipes with the data queued in them.",
        growth="Growth means a program that writes into a pipe nobody reads, or pipe handles not closed.",
        next_step=(
            "`!handle 0 3 <process> File` and look for \\Device\\NamedPipe; Sysinternals pipelist shows instances."
        ),
    ),
    _msfs(
        pattern="MsF?",
        role=Role.IO,
        holds="Mailslots and messages waiting in them.",
        growth="Growth means a mailslot that nobody reads.",
        next_step="`!handle 0 3 0 File` for \\Device\\Mailslot.",
    ),
    _clfs(
        pattern="Clf?",
        role=Role.IO,
        holds="Memory of the common log file system, which serves transactions and the registry's transaction logs.",
        growth="Follows open logs and pending writes.",
        next_step="`ktmutil list tms`; look for logs that grow without being reset.",
    ),
    _lfs(
        pattern="Lfs",
        role=Role.IO,
        holds="Memory of the log file service under NTFS.",
        growth="Follows metadata writes.",
        next_step="Check the disk's response times.",
    ),
    _wof(
        pattern="Wof?",
        role=Role.CACHE,
        holds="Contexts of files that are stored compressed in an overlay or image.",
        growth="Follows such files in use.",
        next_step="`compact /q` in the Windows folder shows which files are compressed.",
    ),
    _fve(
        pattern="FVE?",
        role=Role.IO,
        holds="Buffers and control blocks of volume encryption.",
        growth="Follows disk traffic on encrypted volumes; growth means transfers that do not finish.",
        next_step="`manage-bde -status`, and disk queue counters.",
        since="Vista",
    ),
    _efs(
        pattern="Efs?",
        role=Role.IO,
        holds="Memory of the encrypting file system.",
        growth="Follows use of encrypted files.",
        next_step="`cipher /u /n` lists the encrypted files of a user.",
    ),
)
