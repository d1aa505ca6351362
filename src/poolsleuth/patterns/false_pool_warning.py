"""A warning that is printed although the figures cannot be true, or do not bear it out."""

from poolsleuth.model.facts import Figure, Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.machine import System
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.patterns.thresholds import FALSE_BANNER, POOL_WARNING
from poolsleuth.patterns.views import PoolState, PoolStates
from poolsleuth.patterns.wording import exact, percent, plural
from poolsleuth.windows.builds import Era

ID = "false-pool-warning"


def judge(counters: MemoryCounters, states: PoolStates, system: System) -> list[Finding]:
    """Found for each warning that is not borne out, and for counters that cannot be true."""
    findings = []
    for state, name in ((states.nonpaged, "NonPaged"), (states.paged, "Paged")):
        finding = _banner(state, name, states, counters)
        if finding is not None:
            findings.append(finding)
    banner_pools = {f.subject.pool for f in findings}
    misread = [
        (label, figure)
        for label, figure in counters.impossible
        if not ("nonpaged" in banner_pools and label.lower().startswith("nonpagedpool usage"))
    ]
    if misread:
        findings.append(_misread(misread, states))
    routine = _routine(counters, system)
    if routine is not None:
        findings.append(routine)
    if findings:
        return findings
    if counters.source != "!vm":
        return [not_assessed(ID, "no warning of the debugger can be in this evidence", "run `!vm`")]
    if states.nonpaged.warning is None and states.paged.warning is None:
        return [ruled_out(ID, "the debugger prints no pool warning")]
    return [ruled_out(ID, "the debugger's warning is borne out by the figures")]


def _banner(state: PoolState, name: str, states: PoolStates, counters: MemoryCounters) -> Finding | None:
    if state.warning is None:
        return None
    if state.impossible is not None:
        because = [
            Reason(f"'Excessive {name} Pool Usage' is printed", state.warning.where),
            Reason(f"the usage behind it, {exact(state.impossible.value)}, cannot be true", state.impossible.where),
        ]
        if counters.physical is not None and state.impossible.value > counters.physical.value:
            because.append(
                Reason(f"the machine has {exact(counters.physical.value)} of memory", counters.physical.where)
            )
        if state.printed_max is not None and state.impossible.value > state.printed_max.value:
            because.append(Reason(f"the pool's maximum is {exact(state.printed_max.value)}", state.printed_max.where))
        if counters.committed is not None and state.impossible.value > counters.committed.value:
            because.append(
                Reason(
                    f"all memory committed together is only {exact(counters.committed.value)}", counters.committed.where
                )
            )
        return _finding(
            f"the warning 'Excessive {name} Pool Usage' is false: its counter was misread",
            Confidence.HIGH,
            tuple(because),
            state,
        )
    share = state.share
    maximum = state.printed_max.value if state.printed_max is not None else 0
    printed = state.used.value / maximum if state.used is not None and maximum else share
    if share is None or printed is None or max(share, printed) >= FALSE_BANNER.value:
        return None
    against: tuple[Reason, ...] = ()
    if states.failures is not None:
        against = (
            Reason(
                f"{plural(states.failures.value, 'pool allocation')} failed, perhaps at an earlier peak",
                states.failures.where,
            ),
        )
    return _finding(
        f"the warning 'Excessive {name} Pool Usage' is not borne out: the pool is at {percent(share)} of its limit",
        Confidence.MEDIUM,
        (
            Reason(f"'Excessive {name} Pool Usage' is printed", state.warning.where),
            Reason(f"{percent(share)} of the limit is in use; a real shortage begins at {percent(POOL_WARNING.value)}"),
        ),
        state,
        against,
    )


def _finding(
    headline: str,
    confidence: Confidence,
    because: tuple[Reason, ...],
    state: PoolState,
    against: tuple[Reason, ...] = (),
) -> Finding:
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND,
        severity=Severity.INFO,
        confidence=confidence,
        headline=headline,
        subject=Subject(pool=str(state.kind)),
        because=because,
        against=against,
        explains=("the warning; it says nothing about the machine's trouble",),
        next_steps=(
            "take the usage from \\Memory\\Pool Nonpaged Bytes and \\Memory\\Pool Paged Bytes, or run `!vm` again with"
            " a debugger and symbols that fit this kernel",
        ),
    )


def _misread(misread: list[tuple[str, Figure]], states: PoolStates) -> Finding:
    del states
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND,
        severity=Severity.INFO,
        confidence=Confidence.HIGH,
        headline="!vm prints counters that cannot be true: " + ", ".join(label for label, _ in misread[:4]),
        because=tuple(
            Reason(f"{label}: {figure.value:,} bytes is above anything this machine can have", figure.where)
            for label, figure in misread[:8]
        ),
        explains=("figures that a debugger misreads on some kernels; they are left out of the judgement",),
        next_steps=("ignore these rows; the others are not affected",),
    )


def _routine(counters: MemoryCounters, system: System) -> Finding | None:
    """Stack messages that healthy Windows 10 and 11 print all the time."""
    if system.era is None or system.era < Era.W81_AND_LATER:
        return None
    rows = [
        (figure, text)
        for figure, text in (
            (counters.kernel_stack_pte_failures, "kernel stack PTE allocations have failed"),
            (counters.stack_growth_failures, "kernel stack growth attempts have failed"),
        )
        if figure is not None
    ]
    if not rows:
        return None
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND,
        severity=Severity.INFO,
        confidence=Confidence.MEDIUM,
        headline="'" + rows[0][1] + "' is routine on this Windows and no failure of a pool",
        because=(
            *(Reason(f"'{figure.value:,} {text}'", figure.where) for figure, text in rows),
            Reason("idle healthy systems of Windows 10 and 11 print the same"),
        ),
        explains=("the message; the pools are judged by their own figures",),
        next_steps=("nothing to do about this message",),
    )
