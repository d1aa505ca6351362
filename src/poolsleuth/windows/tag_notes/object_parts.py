"""What hangs on kernel objects: names, handle tables, process and thread attachments, security."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_ob = partial(TagNote, component="nt!ob, the object manager", binary="nt!ob")
_ps = partial(TagNote, component="nt!ps, processes and threads", binary="nt!ps")
_ke = partial(TagNote, component="nt!ke and nt!ex, the kernel core and executive", binary=None)

NOTES: tuple[TagNote, ...] = (
    _ob(
        pattern="ObNm",
        role=Role.OBJECT_PART,
        holds="Names of objects.",
        growth=(
            "One per named object, and short-lived during each open by name; growth means named objects "
            "that are never deleted, or links and directories piling up."
        ),
        next_step="`!poolfind ObNm` and `du` on some blocks: the names say whose objects they are.",
    ),
    _ob(
        pattern="ObDi",
        role=Role.OBJECT_PART,
        holds="Entries of object directories: one per name in the name space.",
        growth="Follows the number of named objects.",
        next_step="WinObj or `!object \\` for the directory that keeps filling.",
    ),
    _ob(
        pattern="ObDm",
        role=Role.OBJECT_PART,
        holds="Device maps: the drive letters of a logon session.",
        growth="One per logon session; growth means logon sessions that do not end, mostly leaked tokens.",
        next_step="Count the sessions with `klist sessions` or logonsessions, and look at Toke.",
    ),
    _ob(
        pattern="Obtb",
        role=Role.OBJECT_PART,
        holds="Handle tables of processes: the table grows with the number of handles.",
        growth="High figures mean a process with very many handles. The table never shrinks while its process lives.",
        next_step=(
            "`!process 0 0` and sort by HandleCount; `!handle 0 0 <process>`; on a live system the "
            "Handles column of Task Manager, then `!htrace`."
        ),
    ),
    _ob(
        pattern="ObSq",
        role=Role.OBJECT_PART,
        holds="Copies of object security descriptors made to answer a query.",
        growth="Temporary; growth is a caller that asks for security and does not release the copy.",
        next_step="Allocation stacks with `xperf -on BASE+Pool -stackwalk PoolAlloc+PoolFree`.",
    ),
    _ob(
        pattern="ObCI",
        role=Role.OBJECT_PART,
        holds="Creation records used while an object is being made, from a lookaside list.",
        growth="Follows the rate of object creation; high leftovers mean objects whose creation never completed.",
        next_step="Look at the object tags beside it, and record stacks with xperf.",
    ),
    _ob(
        pattern="ObCi",
        role=Role.OBJECT_PART,
        holds="Attributes captured from the caller who creates an object.",
        growth="Temporary.",
        next_step="Record stacks with xperf if it stays.",
    ),
    _ob(
        pattern="ObHd",
        role=Role.OBJECT_PART,
        holds="Per-process handle counts for objects that several processes have open.",
        growth="Grows with objects shared by many processes.",
        next_step="Look for one object with huge handle counts: `!object <address>`.",
    ),
    _ob(
        pattern="ObSc",
        role=Role.OBJECT_PART,
        holds="The cache of shared security descriptors.",
        growth=(
            "Follows the number of different descriptors on objects; growth means software that sets a "
            "new descriptor each time."
        ),
        next_step="`!poolfind ObSc` and `!sd` on the contents.",
    ),
    _ob(
        pattern="ObRt",
        role=Role.OBJECT_PART,
        holds="Stack traces of object references.",
        growth="Only while object reference tracing is on.",
        next_step="`!obtrace <object>` to use it; `gflags /ro /d` to stop it.",
    ),
    _ob(
        pattern="ObWm",
        role=Role.IO,
        holds="Wait blocks for threads that wait on many objects at once.",
        growth="As many as such waits under way.",
        next_step="`!stacks 2` for the waiting threads.",
    ),
    _ob(
        pattern="ObjT",
        role=Role.OBJECT,
        holds="Bodies of object type descriptions.",
        growth="Fixed after start-up.",
        next_step="Nothing by itself.",
    ),
    _ob(
        pattern="Ob??",
        role=Role.OBJECT_PART,
        holds="Some attachment of objects that the object manager keeps.",
        growth="Follows the number of objects: look for an object tag with a similar count.",
        next_step="`!poolused 3`, find the tag with the same Diff, and treat that one as the cause.",
    ),
    _ob(
        pattern="Symt",
        role=Role.OBJECT_PART,
        holds="Target strings of symbolic link objects.",
        growth="One per Symb: the two grow together.",
        next_step="Treat Symb as the cause; WinObj shows the links.",
    ),
    _ps(
        pattern="PsTp",
        role=Role.OBJECT_PART,
        holds="Blocks that ask for a message on a port when a thread ends.",
        growth="Follows threads that registered such a port.",
        next_step="Read it beside Thre.",
    ),
    _ps(
        pattern="PsIm",
        role=Role.OBJECT_PART,
        holds="Impersonation data of threads, on systems before Vista.",
        growth="One per thread that has ever impersonated a client.",
        next_step="Read it beside Thre and Toke.",
    ),
    _ps(
        pattern="PsQb",
        role=Role.OBJECT_PART,
        holds="Quota blocks, one per user's set of processes.",
        growth="Growth means processes or tokens whose quota block stays referenced.",
        next_step="Read it beside Proc; zombies keep their block.",
    ),
    _ps(
        pattern="Psjb",
        role=Role.OBJECT_PART,
        holds="A list built while jobs are put into a set.",
        growth="Temporary.",
        next_step="Nothing by itself.",
    ),
    _ps(
        pattern="PsJa",
        role=Role.OBJECT_PART,
        holds="Access control state of job objects.",
        growth="Follows Job.",
        next_step="Treat Job as the cause.",
    ),
    _ps(
        pattern="Pstb",
        role=Role.OBJECT_PART,
        holds="Tables that hand out process and thread ids.",
        growth="Follows the number of processes and threads, dead ones included.",
        next_step="Read it beside Proc and Thre.",
    ),
    _ps(
        pattern="Psap",
        role=Role.IO,
        holds="Queued user-mode procedure calls to threads.",
        growth="Piles up when calls are queued to threads that never enter an alertable wait.",
        next_step="`!apc` lists the pending ones by thread.",
    ),
    _ps(
        pattern="PsWs",
        role=Role.OBJECT_PART,
        holds="Records of the working set watch of a process.",
        growth="Exists while a profiler watches page faults.",
        next_step="End the profiling program.",
    ),
    _ps(
        pattern="Ps??",
        role=Role.OBJECT_PART,
        holds="Some attachment of processes, threads or jobs.",
        growth="Mostly temporary copies made while a process starts.",
        next_step="Compare its count with Proc and Thre.",
    ),
    _ps(
        pattern="Ps",
        role=Role.OTHER,
        holds="Memory of the process manager without a finer tag.",
        growth="Small.",
        next_step="Record stacks with xperf if it grows.",
    ),
    _ke(
        pattern="Ke",
        role=Role.OTHER,
        holds="Data structures of the kernel core.",
        growth="Mostly sized by processors.",
        next_step="Nothing by itself.",
    ),
    _ke(
        pattern="Atom",
        role=Role.OTHER,
        holds="Tables of atoms, the registered strings of the window system.",
        growth="Growth means a program that registers window messages or classes under ever new names.",
        next_step="`!gatom` dumps the global table.",
    ),
    _ke(
        pattern="ReEv",
        role=Role.OBJECT_PART,
        holds="Events that a kernel lock (ERESOURCE) makes at the first contended exclusive wait.",
        growth=(
            "One per lock that was ever contended, so it follows the number of locks, such as those of "
            "open files. Small and scattered, it often is the last live block on an otherwise free pool "
            "page."
        ),
        next_step="`!locks` for contention; when pages hold only such blocks, judge fragmentation with `!pool <page>`.",
    ),
    _ke(
        pattern="ReSe",
        role=Role.OBJECT_PART,
        holds="Semaphores that a kernel lock (ERESOURCE) makes when shared waiters queue up.",
        growth="One per lock that was ever contended.",
        next_step="`!locks` for the locks with waiters.",
    ),
    _ke(
        pattern="ReTa",
        role=Role.OBJECT_PART,
        holds="Enlarged owner tables of kernel locks (ERESOURCE) that many threads share.",
        growth="Follows locks with many shared owners.",
        next_step="`!locks` shows the owners.",
    ),
    _ke(
        pattern="Icp",
        role=Role.IO,
        holds="Completion packets that wait in completion ports.",
        growth="Piles up when a program posts more than its threads take out.",
        next_step="Find the port's process with `!handle 0 3 0 IoCompletion`, then look at its worker threads.",
    ),
    _ke(
        pattern="Wnf",
        role=Role.OTHER,
        holds="State data of the Windows Notification Facility.",
        growth="Follows published states and subscriptions.",
        next_step="Record stacks with xperf if it grows.",
        since="8",
    ),
)
