"""The commit limit, RAM plus page files: when it is reached, allocations fail whatever the pools' own limits say."""

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.machine import System
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.tags import PoolKind, PoolmonMemory
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.patterns.thresholds import COMMIT_CRITICAL, COMMIT_MOSTLY_POOL
from poolsleuth.patterns.views import PoolStates
from poolsleuth.patterns.wording import exact, percent, size
from poolsleuth.windows import bugchecks

ID = "commit-exhaustion"
_NEARLY_NOTHING_LEFT = 0.97


def judge(
    counters: MemoryCounters | None, poolmon: PoolmonMemory | None, states: PoolStates | None, system: System
) -> Finding:
    """Found when committed memory is near its limit; a page file that may still grow speaks against it."""
    told = _told(system)
    if told is not None:
        return Finding(
            pattern=ID,
            verdict=Verdict.FOUND,
            severity=Severity.CRITICAL,
            confidence=Confidence.HIGH,
            headline=f"the machine ran out of memory to commit or to use: {told.says}",
            subject=Subject(resource="commit"),
            because=(told,),
            explains=("the bug check",),
            next_steps=("run `!vm` in the dump: available pages, page files, and what has committed most",),
        )
    committed = counters.committed if counters else poolmon.committed if poolmon else None
    limit = counters.commit_limit if counters else poolmon.commit_limit if poolmon else None
    if committed is None or limit is None:
        return not_assessed(ID, "committed memory or its limit is not in the evidence", "run `!vm`")
    if not limit.value or committed.value > limit.value * 2:
        return not_assessed(ID, f"the committed memory printed ({exact(committed.value)}) cannot be true", "run `!vm`")
    share = committed.value / limit.value
    because: tuple[Reason, ...] = (
        Reason(f"committed {exact(committed.value)}", committed.where),
        Reason(f"commit limit {exact(limit.value)}", limit.where),
    )
    if share < COMMIT_CRITICAL.value:
        return ruled_out(ID, f"committed memory is at {percent(share)} of its limit", because=because)
    if counters is None:
        return not_assessed(
            ID,
            f"committed memory is at {percent(share)} of its present limit, but whether the page files may still grow"
            " is not shown",
            "run `!vm`: it shows the page files' maximum",
            because=because,
        )
    room = sum(
        (f.maximum_bytes or 0) - (f.current_bytes or 0)
        for f in counters.page_files
        if f.maximum_bytes is not None and f.current_bytes is not None and f.maximum_bytes > f.current_bytes
    )
    against = (Reason(f"the page files may still grow by {size(room)}, which raises the limit"),) if room else ()
    critical = share >= _NEARLY_NOTHING_LEFT and not room
    processes = sorted(counters.processes, key=lambda p: -p.commit_bytes)[:3]
    because += tuple(Reason(f"{p.name} (pid {p.pid}) has committed {size(p.commit_bytes)}") for p in processes)
    pool, taken = _largest_pool(states)
    if pool is not None:
        because += (Reason(f"{pool} pool alone takes {size(taken)}, {percent(taken / committed.value)} of all commit"),)
    cause = pool if taken >= COMMIT_MOSTLY_POOL.value * committed.value else None
    headline = f"committed memory is at {percent(share)} of its limit: {size(committed.value)} of {size(limit.value)}"
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND,
        severity=Severity.CRITICAL if critical else Severity.WARNING,
        confidence=Confidence.MEDIUM if room else Confidence.HIGH,
        headline=headline + (f", most of it {cause} pool" if cause is not None else ""),
        subject=Subject(pool=str(cause) if cause is not None else None, resource="commit"),
        because=because,
        against=against,
        explains=("allocations and stacks that fail whatever room the pools' own limits leave",),
        next_steps=(
            *((f"free the {cause} pool first: see the findings about it",) if cause is not None else ()),
            "enlarge the page file, or let Windows manage its size",
            "find the process that commits most: the process table of `!vm`, or \\Process(*)\\Private Bytes",
        ),
    )


def _told(system: System) -> Reason | None:
    check = system.bugcheck
    note = bugchecks.note(check.code) if check is not None else None
    if check is None or note is None or note.about != "commit":
        return None
    return Reason(f"bug check 0x{check.code:X} {note.name}", check.where)


def _largest_pool(states: PoolStates | None) -> tuple[PoolKind | None, int]:
    """The pool with most bytes in use and its bytes; (None, 0) when no usage is known."""
    if states is None:
        return None, 0
    known = [(s.kind, s.used.value) for s in (states.nonpaged, states.paged) if s.used is not None]
    return max(known, key=lambda item: item[1], default=(None, 0))
