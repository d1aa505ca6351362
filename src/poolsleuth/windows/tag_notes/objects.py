"""Kernel objects by type, as the object manager tags their bodies."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_ob = partial(TagNote, component="a kernel object type, allocated by the object manager", binary=None)
_wnt = partial(TagNote, component="nt!io, the I/O manager", binary="nt!io")
_tm = partial(TagNote, component="nt!tm, the kernel transaction manager", binary="nt!tm")
_alpc = partial(TagNote, component="nt!alpc, local procedure calls", binary="nt!alpc")
_lpc = partial(TagNote, component="nt!lpc, local procedure calls before Vista", binary=None)

NOTES: tuple[TagNote, ...] = (
    _ob(
        pattern="Thre",
        role=Role.OBJECT,
        holds="Thread objects (ETHREAD), living and dead.",
        growth=(
            "Dead threads stay as long as somebody holds a handle or a reference; a count far above the "
            "running threads is a handle leak in a process, or a driver that references threads and "
            "never lets go."
        ),
        next_step=(
            "Compare with the thread counter of the system; `!process 0 0` for HandleCount, `!handle 0 3 "
            "<process> Thread` for the holder, `!object <thread>` for handle and pointer counts."
        ),
    ),
    _ob(
        pattern="Proc",
        role=Role.OBJECT,
        holds="Process objects (EPROCESS), including processes that have ended.",
        growth=(
            "A count far above the running processes means zombies: somebody keeps handles or references "
            "to ended processes."
        ),
        next_step=(
            "`!process 0 0` and look for processes without threads or handle table; `!object <process>`; "
            "then the holder with `!handle 0 3 0 Process`."
        ),
    ),
    _ob(
        pattern="Toke",
        role=Role.OBJECT,
        holds="Access tokens: one per process, per logon and per impersonation.",
        growth=(
            "Growth is a token leak: a service or authentication package that opens or duplicates tokens "
            "and never closes them, or references kept by a filter driver."
        ),
        next_step=(
            "`!handle 0 3 0 Token` shows the holder; if few handles exist, the references are in the "
            "kernel: `!object <token>` and object reference tracing (`gflags /ro`)."
        ),
    ),
    _ob(
        pattern="Even",
        role=Role.OBJECT,
        holds="Event objects.",
        growth="Many thousands mean a handle leak: few bytes each, but the count never falls.",
        next_step=(
            "Task Manager's Handles column or `handle -s` for the process, `!handle 0 3 <process> "
            "Event`, then `!htrace -enable` in the process to see who opens them."
        ),
    ),
    _ob(
        pattern="Sema",
        role=Role.OBJECT,
        holds="Semaphore objects.",
        growth="Growth is a handle leak in a process, as with Event.",
        next_step="`!process 0 0` for HandleCount, then `!handle 0 3 <process> Semaphore` and `!htrace`.",
    ),
    _ob(
        pattern="Muta",
        role=Role.OBJECT,
        holds="Mutant objects, the kernel side of user-mode mutexes.",
        growth="Growth is a handle leak in a process.",
        next_step="`!handle 0 3 <process> Mutant`, then `!htrace` in that process.",
    ),
    _ob(
        pattern="Time",
        role=Role.OBJECT,
        holds="Timer objects.",
        growth="Growth is a leak of timer handles, often from waitable timers that a library makes per request.",
        next_step="`!handle 0 3 <process> Timer`, then `!htrace`.",
    ),
    _ob(
        pattern="File",
        role=Role.OBJECT,
        holds="File objects: every open of a file, directory, pipe, socket, volume or device.",
        growth=(
            "Follows open files on a file server; growth that stays is a handle leak, or a filter driver "
            "that keeps references after the close."
        ),
        next_step=(
            "Compare with the handle counts (`!process 0 0`, `openfiles /query`, `net file`); few "
            "handles but many file objects speak for a kernel reference: `!fileobj <address>` and "
            "`!object <address>`."
        ),
    ),
    _ob(
        pattern="Key",
        role=Role.OBJECT,
        holds="Open registry keys, one object per open.",
        growth="Growth is a process or driver that opens keys and does not close them.",
        next_step=(
            "`!handle 0 3 <process> Key`; keys opened by drivers sit in the System process (`!handle 0 3 4 Key`)."
        ),
    ),
    _ob(
        pattern="Port",
        role=Role.OBJECT,
        holds="LPC port objects of systems before Vista.",
        growth="Growth is a client or server that leaves connections open.",
        next_step="`!lpc port <address>` and `!handle 0 3 <process> Port`.",
    ),
    _ob(
        pattern="Sect",
        role=Role.OBJECT,
        holds="Section objects: mappings of files and shared memory.",
        growth="Growth is a leak of section handles or of references by a driver; it drags MmCa and MmSt along.",
        next_step="`!handle 0 3 <process> Section`, and `!ca` on the control area for the file.",
    ),
    _ob(
        pattern="Job",
        role=Role.OBJECT,
        holds="Job objects that group processes.",
        growth="Growth is a launcher, container or scheduler that never closes its jobs.",
        next_step="`!handle 0 3 <process> Job`, then `!job <address>`.",
    ),
    _ob(
        pattern="Symb",
        role=Role.OBJECT,
        holds="Symbolic link objects of the object manager's name space (drive letters, device names).",
        growth=(
            "Grows with logons, mounted volumes and mapped drives; endless growth is a driver or service "
            "that makes links and never deletes them."
        ),
        next_step="`!object \\GLOBAL??` and WinObj show the names.",
    ),
    _ob(
        pattern="Dire",
        role=Role.OBJECT,
        holds="Directory objects of the object manager's name space.",
        growth="Follows logon sessions and sessions; growth means directories that are not deleted at logoff.",
        next_step="`!object \\Sessions` and WinObj show the tree.",
    ),
    _ob(
        pattern="Devi",
        role=Role.OBJECT,
        holds="Device objects with the drivers' device extensions.",
        growth="Grows when devices or volumes come and go and an old device object is still referenced.",
        next_step="`!object \\Device`, `!drvobj <driver> 2` and `!devnode 0 1`.",
    ),
    _ob(
        pattern="Driv",
        role=Role.OBJECT,
        holds="Driver objects.",
        growth="A handful per system; growth means drivers that load again and again.",
        next_step="`!object \\Driver` and the unloaded modules in `lm`.",
    ),
    _ob(
        pattern="Adap",
        role=Role.OBJECT,
        holds="Adapter objects that stand for DMA channels of devices.",
        growth="Follows the hardware; growth is a driver that gets an adapter and never puts it back.",
        next_step="`!dma` lists adapters and their owners.",
    ),
    _ob(
        pattern="Type",
        role=Role.OBJECT,
        holds="Object type objects: one per kind of kernel object.",
        growth="A few dozen, fixed after start.",
        next_step="`!object \\ObjectTypes`.",
    ),
    _ob(
        pattern="Prof",
        role=Role.OBJECT,
        holds="Profile objects of the sampling profiler.",
        growth="Exists while a profiler runs.",
        next_step="Stop the profiler; `!handle 0 3 <process> Profile`.",
    ),
    _ob(
        pattern="Call",
        role=Role.OBJECT,
        holds="Callback objects that drivers use to notify one another.",
        growth="Few; growth is a driver that creates them repeatedly.",
        next_step="`!object \\Callback`.",
    ),
    _ob(
        pattern="Desk",
        role=Role.OBJECT,
        holds="Desktop objects, tagged by the first letters of the type name.",
        growth=(
            "Follows logons and services that make their own desktops; growth means that desktops "
            "outlive their processes."
        ),
        next_step="`!handle 0 3 0 Desktop` for the holders, and `!session` for the sessions.",
    ),
    _ob(
        pattern="Wind",
        role=Role.OBJECT,
        holds="Window station objects, tagged by the first letters of the type name.",
        growth="Growth means services or sessions whose window stations stay referenced.",
        next_step="`!object \\Windows\\WindowStations` and `!handle 0 3 0 WindowStation`.",
    ),
    _ob(
        pattern="IoCo",
        role=Role.OBJECT,
        holds="I/O completion port objects, tagged by the first letters of the type name.",
        growth="Growth is a handle leak in a server program.",
        next_step="`!handle 0 3 <process> IoCompletion`.",
    ),
    _ob(
        pattern="Keye",
        role=Role.OBJECT,
        holds="Keyed event objects, tagged by the first letters of the type name.",
        growth="A few per system; growth is unusual.",
        next_step="`!handle 0 3 0 KeyedEvent`.",
    ),
    _ob(
        pattern="Debu",
        role=Role.OBJECT,
        holds="Debug objects, tagged by the first letters of the type name.",
        growth="One per process under a debugger.",
        next_step="`!handle 0 3 0 DebugObject` for the debugger.",
    ),
    _ob(
        pattern="TpWo",
        role=Role.OBJECT,
        holds="Thread-pool worker factories, tagged by the first letters of the type name.",
        growth="Follows the thread pools of processes; growth is a program that makes pools without end.",
        next_step="`!handle 0 3 <process> TpWorkerFactory`.",
        since="Vista",
    ),
    _wnt(
        pattern="Wait",
        role=Role.OBJECT,
        holds="Wait completion packets: they tie a waitable object to an I/O completion port.",
        growth="Grows with thread-pool waits that are registered and never cancelled.",
        next_step=(
            "Find the process with the most handles: `!process 0 0`, then `!handle 0 3 <process> WaitCompletionPacket`."
        ),
        since="8",
    ),
    _tm(
        pattern="TmTx",
        role=Role.OBJECT,
        holds="Transaction objects of the kernel transaction manager.",
        growth="Growth means transactions that are neither committed nor rolled back.",
        next_step="`ktmutil list transactions`, and `!handle 0 3 0 TmTx` for the holders.",
        since="Vista",
    ),
    _tm(
        pattern="TmRm",
        role=Role.OBJECT,
        holds="Resource manager objects of kernel transactions.",
        growth="One per transactional volume or hive; growth means they are not closed.",
        next_step="`fsutil resource info <drive>:` and `ktmutil list tms`.",
        since="Vista",
    ),
    _tm(
        pattern="TmEn",
        role=Role.OBJECT,
        holds="Enlistments: what ties a resource manager to a transaction.",
        growth="Follows open transactions.",
        next_step="`ktmutil list transactions` for transactions that never end.",
        since="Vista",
    ),
    _tm(
        pattern="TmTm",
        role=Role.OBJECT,
        holds="Transaction manager objects with their logs.",
        growth="Few per system.",
        next_step="`ktmutil list tms`.",
        since="Vista",
    ),
    _tm(
        pattern="Tm??",
        role=Role.OTHER,
        holds="Working memory of the kernel transaction manager.",
        growth="Follows open transactions on files and registry.",
        next_step="`ktmutil list transactions`.",
        since="Vista",
    ),
    _alpc(
        pattern="ALPC",
        role=Role.OBJECT,
        holds="Ports of the advanced local procedure call, which carries local RPC.",
        growth="Growth is a client that connects and never disconnects, or a service that keeps dead connections.",
        next_step="`!alpc /lpp <process>` lists the ports of a process.",
        since="Vista",
    ),
    _alpc(
        pattern="AlMs",
        role=Role.IO,
        holds="Messages in local procedure call queues.",
        growth=(
            "Piles up when a server process hangs or answers too slowly: the victim is the queue, the "
            "cause is the server."
        ),
        next_step="`!alpc /lpp <process>` and `!alpc /m <message>`; then the server's threads.",
        since="Vista",
    ),
    _alpc(
        pattern="AlIn",
        role=Role.OTHER,
        holds="Internal working memory of local procedure calls.",
        growth="Follows ports and messages.",
        next_step="`!alpc /lpp <process>` for the busiest process.",
        since="Vista",
    ),
    _alpc(
        pattern="AlSe",
        role=Role.OTHER,
        holds="Security contexts of local procedure call clients.",
        growth="Follows connections; growth points at connections not closed, with Toke beside it.",
        next_step="`!alpc /lpp <process>`.",
        since="Vista",
    ),
    _lpc(
        pattern="LpcM",
        role=Role.IO,
        holds="Message blocks of local procedure calls on systems before Vista.",
        growth="Piles up when a server such as lsass or the spooler does not answer.",
        next_step="`!lpc message` lists the messages; then the server thread with `!lpc thread`.",
    ),
    _lpc(
        pattern="LpcZ",
        role=Role.IO,
        holds="The message zone of local procedure calls on old systems.",
        growth="Sized by load of local calls.",
        next_step="`!lpc message`.",
    ),
)
