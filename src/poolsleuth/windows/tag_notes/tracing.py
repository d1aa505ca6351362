"""Event tracing, WMI and performance counters."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_etw = partial(TagNote, component="nt!etw, Event Tracing for Windows", binary="nt!etw")
_wmi = partial(TagNote, component="nt!wmi, the kernel part of Windows management", binary=None)
_pcw = partial(TagNote, component="nt!pcw, performance counters", binary="nt!pcw")

NOTES: tuple[TagNote, ...] = (
    _etw(
        pattern="EtwB",
        role=Role.TRACING,
        holds="Buffers of running trace sessions.",
        growth=(
            "Sized by the sessions: buffer size times number of buffers. Large sessions left running by "
            "a tool or a real-time consumer that is too slow make it large; it is freed when the session "
            "stops."
        ),
        next_step=(
            "`logman query -ets` lists the sessions, `logman query <name> -ets` their buffers, `logman "
            "stop <name> -ets` ends one; `!wmitrace.logger` in a dump."
        ),
        since="Vista",
    ),
    _etw(
        pattern="EtwR",
        role=Role.TRACING,
        holds="Registrations of trace providers.",
        growth=(
            "Follows processes and their providers; growth is a program that registers and never "
            "unregisters, for instance by loading and unloading a library."
        ),
        next_step="`!poolfind EtwR` for the count; `!handle 0 3 <process> EtwRegistration` for the process.",
        since="Vista",
    ),
    _etw(
        pattern="EtwG",
        role=Role.TRACING,
        holds="Identities of trace providers.",
        growth="Follows different providers ever registered.",
        next_step="`logman query providers`.",
        since="Vista",
    ),
    _etw(
        pattern="EtwD",
        role=Role.TRACING,
        holds="Data blocks of event tracing.",
        growth="Follows providers and sessions.",
        next_step="`logman query -ets`.",
        since="Vista",
    ),
    _etw(
        pattern="EtwC",
        role=Role.TRACING,
        holds="Consumers of real-time sessions.",
        growth="Few.",
        next_step="`logman query -ets`.",
        since="Vista",
    ),
    _etw(
        pattern="EtwL",
        role=Role.TRACING,
        holds="Contexts of trace sessions.",
        growth="One per session.",
        next_step="`logman query -ets`.",
        since="Vista",
    ),
    _etw(
        pattern="EtwQ",
        role=Role.TRACING,
        holds="Notification queues of providers.",
        growth="Piles up when a process does not take its notifications.",
        next_step="`logman query -ets`.",
        since="Vista",
    ),
    _etw(
        pattern="EtwP",
        role=Role.TRACING,
        holds="Memory of event tracing without a finer tag.",
        growth="Follows sessions.",
        next_step="`logman query -ets`.",
        since="Vista",
    ),
    _etw(
        pattern="Etw?",
        role=Role.TRACING,
        holds="Some structure of event tracing.",
        growth="Follows trace sessions and providers.",
        next_step="`logman query -ets`.",
        since="Vista",
    ),
    _wmi(
        pattern="Wmip",
        role=Role.TRACING,
        holds="General memory of kernel WMI; before Vista it serves tracing too.",
        growth="Follows drivers that publish data and, on old systems, trace sessions.",
        next_step="`logman query -ets`, or tracelog -l on old systems.",
    ),
    _wmi(
        pattern="WmiG",
        role=Role.TRACING,
        holds="Identities of WMI data blocks.",
        growth=(
            "Follows publishing drivers and programs that open the blocks; growth is a monitor that "
            "opens without closing."
        ),
        next_step="Find the monitor with `!handle 0 3 0 WmiGuid`.",
    ),
    _wmi(
        pattern="WmiR",
        role=Role.TRACING,
        holds="Registration data that drivers hand to WMI.",
        growth="Follows publishing drivers.",
        next_step="Stop the monitoring agents one at a time, or record allocation stacks with xperf.",
    ),
    _wmi(
        pattern="Wmit",
        role=Role.TRACING,
        holds="Tracing part of kernel WMI.",
        growth="Follows trace sessions on old systems.",
        next_step="`tracelog -l` or `logman query -ets`.",
    ),
    _wmi(
        pattern="Wmi?",
        role=Role.TRACING,
        holds="Some structure of kernel WMI.",
        growth="Follows publishing drivers and monitors that query them.",
        next_step="Stop the monitoring agents one at a time.",
    ),
    _pcw(
        pattern="Pcw?",
        role=Role.TRACING,
        holds="Counter sets of providers and queries on them.",
        growth="Follows counter instances and monitors; growth is a query that a monitor leaves open.",
        next_step="Stop the monitoring agents one at a time.",
        since="7",
    ),
)
