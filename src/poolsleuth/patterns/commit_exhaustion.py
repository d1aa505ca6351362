"""The commit limit, RAM plus page files: when it is reached, allocations fail whatever the pools' own limits say."""

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.tags import PoolmonMemory
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.patterns.thresholds import COMMIT_CRITICAL
from poolsleuth.patterns.wording import exact, percent, size

ID = "commit-exhaustion"
_NEARLY_NOTHING_LEFT = 0.97


def judge(counters: MemoryCounters | None, poolmon: PoolmonMemory | None) -> Finding:
    """Found when committed memory is near its limit; a page file that may still grow speaks against it."""
    committed = counters.committed if counters else poolmon.committed if poolmon else None
    limit = counters.commit_limit if counters else poolmon.commit_limit if poolmon else None
    if committed is None or limit is None:
        return not_assessed(ID, "committed memory or its limit is not in the evidence", "run `!vm`")
    if committed.value > limit.value * 2:
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
            f"committed memory is at {percent(share)} of its present limit, but whether the page files may still grow is"
            " not shown",
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
    pools = _pools(counters)
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND,
        severity=Severity.CRITICAL if critical else Severity.WARNING,
        confidence=Confidence.MEDIUM if room else Confidence.HIGH,
        headline=f"committed memory is at {percent(share)} of its limit: {size(committed.value)} of {size(limit.value)}",
        subject=Subject(resource="commit"),
        because=(*because, *pools),
        against=against,
        explains=("allocations and stacks that cannot grow although the pools have room",),
        next_steps=(
            "enlarge the page file, or let Windows manage its size",
            "find the process that commits most: the process table of `!vm`, or \\Process(*)\\Private Bytes",
        ),
    )


def _pools(counters: MemoryCounters) -> tuple[Reason, ...]:
    if counters.nonpaged_used is None or counters.paged_used is None or counters.committed is None:
        return ()
    pools = counters.nonpaged_used.value + counters.paged_used.value
    return (
        Reason(f"both pools together take {size(pools)}, {percent(pools / counters.committed.value)} of all commit"),
    )
