"""The plan of a collection: what to type on the machine, step by step, why, what to send, and what to do with it."""

from dataclasses import asdict, dataclass

from poolsleuth.collect import counters, trace
from poolsleuth.collect.request import SAMPLE_KB_GUESS, Request, span_text

_BY_HAND = "the counter log"  # named by the person who makes it
_WINDOWS_7 = range(7600, 9200)
_XP = 2600  # XP x64 has the kernel of Server 2003, which always counts tags


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. ``commands`` are for cmd.exe, each on one line; a step without any is done by hand."""

    id: str
    title: str
    commands: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps in order. Times in seconds; ``send`` are the files that result; ``analyse`` is typed afterwards."""

    windows: str
    remote: str | None
    folder: str
    duration_seconds: int
    interval_seconds: int
    max_megabytes: int
    steps: tuple[Step, ...]
    send: tuple[str, ...]
    analyse: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """The plan as a JSON document, with the names of its fields."""
        return asdict(self)


def make_plan(request: Request) -> Plan:
    """The plan for a request that ``request.check`` has let pass."""
    steps = [_prepare(request)]
    send: list[str] = []
    globs: list[str] = []  # of what poolsleuth reads: a trace is read by Windows Performance Analyzer
    if request.counters:
        steps.append(_counters(request))
        send.append(request.counter_log.replace("_pool.blg", "_pool*.blg") if request.has_logman else _BY_HAND)
        globs.append("*.blg")
    if takes_snapshots(request):
        steps.append(_poolmon(request))
        send.append(request.poolmon_log)
        globs.append("*.log")
    elif request.poolmon:
        steps.append(_no_poolmon(request))
    if request.tags:
        steps.append(_trace(request))
        send.append(request.trace_file)
    steps.append(_stop(request))
    return Plan(
        windows=request.windows_name,
        remote=request.remote,
        folder=request.folder,
        duration_seconds=request.duration,
        interval_seconds=request.interval,
        max_megabytes=request.max_mb,
        steps=tuple(steps),
        send=tuple(send),
        analyse=(
            (f"poolsleuth trend {' '.join(globs)}", f"poolsleuth diagnose {' '.join(globs)} --html report.html")
            if globs
            else ()
        ),
    )


def takes_snapshots(request: Request) -> bool:
    """Whether poolmon can be run from here: it cannot reach another machine, and needs Windows XP for its -n."""
    return request.poolmon and request.remote is None and request.has_logman


def _prepare(request: Request) -> Step:
    return Step(
        "prepare",
        "Make the folder",
        (f'mkdir "{request.log_folder}"',),
        ("Type the commands at a command prompt (cmd.exe) that was opened as administrator.",),
    )


def _counters(request: Request) -> Step:
    if not request.has_logman:
        return Step(
            "counters",
            "Log the counters, by hand",
            (),
            (
                "Windows 2000 has no logman. Open Performance, then Performance Logs and Alerts, then Counter Logs.",
                f"New Log Settings: add all counters of {', '.join(counters.objects(request)).replace('(*)', '')}; "
                f"sample every {span_text(request.interval)}; binary circular file, at most {request.max_mb} MB, "
                f"in {request.folder}; stop after {span_text(request.duration)}.",
            ),
        )
    notes = [f"{request.samples} samples, one every {span_text(request.interval)}, for {span_text(request.duration)}."]
    if request.samples * SAMPLE_KB_GUESS > request.max_mb << 10:
        notes.append(
            f"The log may grow beyond {request.max_mb} MB (a guess); it then loses its oldest samples. "
            "A longer --interval or a larger --max-size keeps more."
        )
    if not counters.runs_out(request):
        notes.append("It runs until the stop command below, also when nobody is logged on.")
    if request.is_old:
        notes.append("This Windows wants the interval in square brackets, as it stands here.")
        notes.append(
            "Names of objects are in the language of Windows: elsewhere than on English Windows, replace them by those "
            "that `typeperf -q` lists."
        )
    elif request.remote is not None:
        notes.append("The names are English. If that machine speaks another language, run --script's files on it.")
    else:
        notes.append(
            "The names are English. For a Windows in another language use --script: its create-counters.ps1 looks up "
            "the local names."
        )
    return Step(
        "counters",
        "Log the counters",
        (counters.create_command(request), counters.start_command(request)),
        tuple(notes),
    )


def snapshot_command(program: str, target: str, request: Request) -> str:
    """One snapshot of poolmon into a file that does not exist yet.

    -n is in "PoolMon Startup Command" (Windows Driver Kit); -r, which adds the memory lines, is not, but support
    scripts of Microsoft use -b -r -n together on Windows 7 and later.
    """
    return f"{program} -b{' -r' if request.has_powershell else ''} -n {target}"


def _poolmon(request: Request) -> Step:
    scratch = rf'"{request.folder}\poolmon.tmp"'
    log = f'"{request.poolmon_log}"'
    notes = [
        "poolmon.exe is part of the Windows Driver Kit (WDK), below Tools; copy it from there to a folder of the PATH.",
        "Without it, leave this step out: the counters show which pool grows, but not which tag. "
        "`!poolused` in a kernel debugger or in a memory dump lists tags as well.",
    ]
    if request.build == _XP:
        notes.append("Windows XP counts tags only after `gflags -r +ptg` and a restart.")
    snapshot = snapshot_command("poolmon", scratch, request)
    pause = request.snapshot_interval + 1  # the first of the pings does not wait
    if request.has_powershell:
        now = f'powershell -NoProfile -Command "Get-Date -Format o" >> {log}'
    else:
        # LocalDateTime=20080327101500.000000+060 in every language; find makes plain text of what wmic writes
        now = f'wmic os get LocalDateTime /value | find "=" >> {log}'
        notes.append("The first wmic of a Windows installs itself, which takes a minute. Windows XP Home has none.")
    body = f"{now} & {snapshot} & type {scratch} >> {log} & del {scratch} & ping -n {pause} 127.0.0.1 > nul"
    notes.insert(
        0,
        f"{request.snapshots} snapshots, one every {span_text(request.snapshot_interval)}. The window must stay open; "
        "Ctrl+C ends it.",
    )
    return Step(
        "poolmon",
        "Take snapshots of the tags",
        (f"for /l %i in (1,1,{request.snapshots}) do @({body})",),
        tuple(notes),
    )


def _no_poolmon(request: Request) -> Step:
    if request.remote is not None:
        note = f"poolmon cannot reach another machine: for the tags, run the files of --script on {request.remote}."
    else:
        note = (
            "Windows 2000 counts tags only after `gflags -r +ptg` and a restart. Its Support Tools have a poolmon "
            "that shows them on the screen: copy the window's text, with the time above it."
        )
    return Step("poolmon", "Snapshots of the tags", (), (note,))


def _trace(request: Request) -> Step:
    notes = ["xperf is part of the Windows Performance Toolkit, in the Windows ADK."]
    if request.has_wpr:
        notes.append(
            f"Windows 10 and later have wpr instead: --script writes {trace.PROFILE} for it, then: "
            f"`{trace.wpr_start('')}`, and at the end `{trace.wpr_stop(request)}`."
        )
    if trace.blurred(request):
        notes.append(
            "A ? stands for a character that a filter cannot hold, or for a blank at the end: tags that differ only "
            "there are in the trace too."
        )
    if request.windows is None or request.build in _WINDOWS_7:
        notes.append(
            "On 64-bit Windows 7 and Server 2008 R2 the stacks need `wpr -disablepagingexecutive on` (or the registry "
            "value DisablePagingExecutive = 1) and a restart before."
        )
    notes.append(
        f"The file is circular: its newest {request.max_mb} MB remain, and its buffers take up to {trace.BUFFERS} MB "
        "of nonpaged pool. Stop soon after the tag has grown; other kernel traces must not run at the same time."
    )
    return Step("trace", "Trace who allocates the tag", (trace.xperf_start(request),), tuple(notes))


def _stop(request: Request) -> Step:
    commands: list[str] = []
    if request.tags:
        commands.append(trace.xperf_stop(request))
    if request.counters and request.has_logman:
        commands += counters.stop_commands(request)
    notes = ["Do so while the pool is still large, before a restart: a restart frees everything."]
    if request.counters and not request.has_logman:
        notes.insert(0, "Stop the log where it was started: Performance, Counter Logs.")
    return Step("stop", "Stop", tuple(commands), tuple(notes))
