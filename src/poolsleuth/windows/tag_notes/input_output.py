"""IRPs, descriptor lists and the names and parts of I/O objects."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_io = partial(TagNote, component="nt!io, the I/O manager", binary="nt!io")

NOTES: tuple[TagNote, ...] = (
    _io(
        pattern="Irp",
        role=Role.IO,
        holds="I/O request packets.",
        growth=(
            "As many as requests under way, cancelled ones included. Growth means a driver that makes "
            "IRPs and does not free them, or requests that a device never completes."
        ),
        next_step=(
            "`!irpfind` lists them; `!irp <address> 1` shows the driver that has it, then `!devobj` and `!thread`."
        ),
    ),
    _io(
        pattern="Irps",
        role=Role.IO,
        holds=(
            "Small request packets from the system's lookaside list; with Driver Verifier also its "
            "per-IRP session data."
        ),
        growth="Follows requests under way.",
        next_step="`!irpfind` lists the requests; `!verifier` tells whether the second meaning applies.",
    ),
    _io(
        pattern="Irpl",
        role=Role.IO,
        holds="Large request packets from the system's lookaside list.",
        growth="Follows requests under way on deep device stacks.",
        next_step=(
            "`!irpfind` lists them; `!irp <address> 1` shows the driver that has it, then `!devobj` and `!thread`."
        ),
    ),
    _io(
        pattern="IrpX",
        role=Role.IO,
        holds="Extensions of request packets.",
        growth="Follows requests that carry extra data, such as activity ids for tracing.",
        next_step=(
            "`!irpfind` lists them; `!irp <address> 1` shows the driver that has it, then `!devobj` and `!thread`."
        ),
    ),
    _io(
        pattern="Mdl",
        role=Role.IO,
        holds="Memory descriptor lists, which describe buffers locked for I/O.",
        growth=(
            "As many as buffers under way. Growth is a driver that builds lists and does not free them; "
            "locked pages may leak with them."
        ),
        next_step=(
            "`!poolfind Mdl 0`, `!lockedpages`, and `!vm` for Locked IO Pages; Driver Verifier with I/O "
            "checking on the suspect."
        ),
    ),
    _io(
        pattern="Io",
        role=Role.IO,
        holds="Memory of the I/O manager without a finer tag, mostly system buffers of buffered requests.",
        growth="Follows requests under way; growth goes along with Irp.",
        next_step="`!irpfind`, and treat the IRPs as the cause.",
    ),
    _io(
        pattern="IoFc",
        role=Role.IO,
        holds="Buffers in which names are rewritten during an open.",
        growth="Temporary; growth comes with opens that hang, or with a filter that redirects opens.",
        next_step="`!irpfind` for pending creates; `fltmc instances`.",
    ),
    _io(
        pattern="IoNm",
        role=Role.OBJECT_PART,
        holds="Names of file objects.",
        growth="One per open with a name: it follows File.",
        next_step="Treat File as the cause; `!poolfind IoNm` and `du` show the names.",
    ),
    _io(
        pattern="IoEr",
        role=Role.IO,
        holds="Error log packets on their way to the event log.",
        growth="Piles up when drivers log errors faster than the event log takes them.",
        next_step="Look at the system event log for a flood.",
    ),
    _io(
        pattern="IoEa",
        role=Role.IO,
        holds="Extended attributes that travel with an open.",
        growth="Temporary.",
        next_step="`!irpfind` for pending creates; `fltmc instances`.",
    ),
    _io(
        pattern="IoSi",
        role=Role.OBJECT_PART,
        holds="Symbolic link data of the I/O manager.",
        growth="Follows links.",
        next_step="Read it beside Symb.",
    ),
    _io(
        pattern="IoTi",
        role=Role.OTHER,
        holds="Timers of device objects.",
        growth="Follows devices.",
        next_step="Nothing by itself.",
    ),
    _io(
        pattern="IoOp",
        role=Role.IO,
        holds="Open packets: state of an open through the I/O manager.",
        growth="Temporary; many at once mean opens that hang.",
        next_step="`!irpfind` for pending creates.",
    ),
    _io(
        pattern="IoCc",
        role=Role.IO,
        holds="Completion contexts: what ties a file to a completion port.",
        growth="Follows files and sockets bound to completion ports.",
        next_step="Compare with File.",
    ),
    _io(
        pattern="IoUs",
        role=Role.IO,
        holds="Completion contexts of requests made with the extended completion routine.",
        growth="As many as such requests.",
        next_step="`!irpfind`.",
    ),
    _io(
        pattern="IoSn",
        role=Role.OTHER,
        holds="Registrations of drivers for session notifications.",
        growth="Follows drivers and sessions.",
        next_step="`!session`.",
    ),
    _io(
        pattern="Io??",
        role=Role.IO,
        holds="Some structure of the I/O manager.",
        growth="Follows requests and devices.",
        next_step="`!irpfind`.",
    ),
    _io(
        pattern="KAPC",
        role=Role.IO,
        holds="Calls queued to show hard errors.",
        growth="Few; many mean a flood of errors.",
        next_step="System event log.",
    ),
    _io(
        pattern="Vpb",
        role=Role.OTHER,
        holds="Volume parameter blocks.",
        growth="One per mounted volume; growth means mounts that never end.",
        next_step="`mountvol`, `!vpb <address>`.",
    ),
    _io(
        pattern="Ioin",
        role=Role.OTHER,
        holds="Interrupt objects of drivers.",
        growth="Fixed after start.",
        next_step="`!idt -a`.",
    ),
    _io(
        pattern="D2d",
        role=Role.OTHER,
        holds="Buffers for turning a device into its drive letter name.",
        growth="Temporary; growth is a filter that asks for the name and forgets to free it.",
        next_step="`fltmc instances`; allocation stacks with xperf.",
    ),
    _io(
        pattern="MdlP",
        role=Role.IO,
        holds="Lookaside list heads for descriptor lists.",
        growth="Fixed per processor.",
        next_step="Nothing by itself.",
    ),
    _io(
        pattern="IcpP",
        role=Role.IO,
        holds="Lookaside list heads for completion packets.",
        growth="Fixed per processor.",
        next_step="Nothing by itself.",
    ),
)
