"""Which counters are logged, and the logman commands for it.

Syntax: "logman create counter" and "Logman" (Windows Commands, Windows Server 2003 to 2022). Whole objects are
logged, as in the procedure for pool leaks of Microsoft's debugging team: processes that start later are then
in the log too, and the log carries the numbers of objects and counters, which are the same in every language.
"""

from poolsleuth.collect.request import HOUR, MINUTE, Request

COLLECTOR = "poolsleuth-counters"
MOST_HOURS = 99  # of a run time; [[hh:]mm:]ss says two digits

# Object, whether it has instances, first build that has it. An object that a machine lacks is passed over.
_OBJECTS = (
    ("Memory", False, 0),
    ("Process", True, 0),
    ("System", False, 0),
    ("Objects", False, 0),
    ("Processor", True, 0),
    ("Server", False, 0),
    ("Server Work Queues", True, 0),
    ("Network Interface", True, 0),
    ("TCPv4", False, 2600),
    ("LogicalDisk", True, 0),
    ("PhysicalDisk", True, 0),
    ("Terminal Services", False, 0),
    ("NUMA Node Memory", True, 7600),
)


def objects(request: Request) -> tuple[str, ...]:
    """The objects to log on that Windows, as they stand in a path: ``Memory``, ``Process(*)``."""
    return tuple(name + "(*)" * many for name, many, first in _OBJECTS if request.build >= first)


def clock(seconds: int) -> str:
    """Seconds as logman wants them: ``hh:mm:ss``."""
    return f"{seconds // HOUR:02}:{seconds % HOUR // MINUTE:02}:{seconds % MINUTE:02}"


def options(request: Request) -> tuple[str, ...]:
    """Everything of the create command but its counters, each word unquoted.

    No -b and -e: they take a date in the order of the machine's language.
    """
    interval = clock(request.interval)
    words = ["-f", "bincirc", "-v", "mmddhhmm", "-max", str(request.max_mb)]
    # A reader of the procedure found that Server 2003 wants the brackets which its help only prints as a sign
    words += ["-si", f"[{interval}]" if request.is_old else interval]
    if runs_out(request):
        words += ["-rf", clock(request.duration)]
    return tuple(words)


def runs_out(request: Request) -> bool:
    """Whether the collector itself stops after the duration; older Windows and long runs need the stop command."""
    return not request.is_old and request.duration < (MOST_HOURS + 1) * HOUR


def _on(request: Request) -> str:
    return "" if request.remote is None else f" -s {request.remote}"


def create_command(request: Request) -> str:
    """The command that makes the collector, with English names."""
    paths = " ".join(rf'"\{name}\*"' for name in objects(request))
    words = " ".join(options(request))
    return f'logman create counter {COLLECTOR}{_on(request)} -o "{request.counter_log}" {words} -c {paths}'


def start_command(request: Request) -> str:
    """The command that starts the collector."""
    return f"logman start {COLLECTOR}{_on(request)}"


def stop_commands(request: Request) -> tuple[str, str]:
    """The commands that stop the collector and remove its definition; the log stays."""
    return f"logman stop {COLLECTOR}{_on(request)}", f"logman delete {COLLECTOR}{_on(request)}"
