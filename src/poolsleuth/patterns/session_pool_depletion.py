"""One session's paged pool is full while the system pools are fine: the failures belong to the session."""

from collections.abc import Iterator

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.machine import System
from poolsleuth.model.memory import SessionUsage
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.patterns.thresholds import SESSION_CRITICAL, SESSION_WARNING
from poolsleuth.patterns.views import PoolStates, SessionStates
from poolsleuth.patterns.wording import exact, percent, plural, size
from poolsleuth.windows.builds import Era

ID = "session-pool-depletion"


# Only these Windows have a limit that can be set
_RELIEF = (
    "raise the limit only as relief (KB840342): HKLM\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\"
    "Memory Management, SessionPoolSize (MB), on 32-bit Windows before Vista",
)


def judge(sessions: SessionStates | None, states: PoolStates | None, system: System) -> Iterator[Finding]:
    """One finding per session that is full or failing; suspected when failures fit no system pool."""
    if sessions is None:
        yield _without_sessions(states, system)
        return
    holding = [
        finding for session in sessions.sessions if (finding := _session(session, sessions, states, system)) is not None
    ]
    if holding:
        yield from holding
        return
    shares = [
        s.used.value / sessions.limit.value
        for s in sessions.sessions
        if s.used is not None and sessions.limit is not None and sessions.limit.value
    ]
    if not shares:
        yield _without_limit(sessions, states)
        return
    fullest = percent(max(shares))
    if not sessions.complete or len(shares) < len(sessions.sessions):
        yield not_assessed(
            ID,
            f"not all sessions could be read: the fullest of those that could is at {fullest} of the limit",
            "run `!vm 4` on the machine itself, or give a dump that holds all of its memory",
        )
        return
    yield ruled_out(ID, f"no session's pool is short: the fullest is at {fullest} of the limit")


def _without_limit(sessions: SessionStates, states: PoolStates | None) -> Finding:
    """From Windows 8 on no maximum is printed, and no failures by session: those of the kernel are then looked at."""
    used = [(s.used.value, s) for s in sessions.sessions if s.used is not None]
    if not used:
        return not_assessed(ID, "the session table has no usage", "run `!vm 4`")
    if states is None or states.failures is None or not _failed_with_room(states):
        return not_assessed(ID, "the session table has no limit", "run `!vm 4` in the debugger of that Windows")
    held, largest = max(used, key=lambda one: one[0])
    failed = plural(states.failures.value, "pool allocation")
    counted = Reason(f"{failed} failed since boot, as the kernel counts them", states.failures.where)
    usage = Reason(f"session {largest.id}: {exact(held)} of paged pool", largest.used.where if largest.used else None)
    steps = (
        f"find what fills it: `!session -s {largest.id}`, then `!poolused 8` (tags of win32k, GDI and display drivers:"
        " Gh??, Us??, Gla?)",
    )
    system_paged = states.paged.used
    if system_paged is None or held <= system_paged.value:
        return not_assessed(
            ID,
            f"{failed} failed although both system pools have room: a session's pool may be why, but no session's limit"
            f" is printed (the largest is session {largest.id} with {size(held)})",
            *steps,
            because=(counted, usage),
        )
    return Finding(
        pattern=ID,
        verdict=Verdict.SUSPECTED,
        severity=Severity.WARNING,
        confidence=Confidence.LOW,
        headline=f"{failed} failed although both system pools have room, and the paged pool of session {largest.id} is"
        f" larger ({size(held)}) than the system's own ({size(system_paged.value)})",
        subject=Subject(pool="session", session=largest.id),
        because=(
            counted,
            usage,
            Reason(f"the system's paged pool: {exact(system_paged.value)}", system_paged.where),
            _room(states),
        ),
        against=(
            Reason("no session's limit is printed, so that it does not show whether this one is full"),
            Reason("a past peak or a request larger than any free run would leave the same failures"),
        ),
        next_steps=steps,
    )


def _failed_with_room(states: PoolStates) -> bool:
    """Whether allocations failed, no system pool is why as far as the figures show, and no reason was counted."""
    failed = states.failures is not None and states.failures.value > 0
    return failed and _both_have_room(states) and not (states.nonpaged.failed_for or states.paged.failed_for)


def _both_have_room(states: PoolStates) -> bool:
    return states.nonpaged.has_room and states.paged.has_room


def _room(states: PoolStates) -> Reason:
    return Reason(
        f"nonpaged pool is at {percent(states.nonpaged.share or 0)}, paged pool at {percent(states.paged.share or 0)}"
        " of its limit"
    )


def _without_sessions(states: PoolStates | None, system: System) -> Finding:
    # From Vista on a session's pool is no longer a small fixed area: there is no reason to look there first
    fixed = system.era is None or system.era <= Era.XP_2003
    if states is not None and states.failures is not None and fixed and _both_have_room(states):
        return Finding(
            pattern=ID,
            verdict=Verdict.SUSPECTED,
            severity=Severity.WARNING,
            confidence=Confidence.LOW,
            headline=f"{plural(states.failures.value, 'pool allocation')} failed although both system pools have"
            " room: why is not shown; a session's pool is the usual place",
            because=(
                Reason(
                    f"{plural(states.failures.value, 'failed allocation')} counted by the kernel",
                    states.failures.where,
                ),
                _room(states),
            ),
            against=(Reason("a past peak or a request larger than any free run would leave the same trace"),),
            next_steps=("run `!vm 4` to see every session's pool and its own failures",),
        )
    return not_assessed(ID, "no session table in the evidence", "run `!vm 4`")


def _session(
    session: SessionUsage, sessions: SessionStates, states: PoolStates | None, system: System
) -> Finding | None:
    limit = sessions.limit
    share = session.used.value / limit.value if session.used is not None and limit is not None and limit.value else None
    failed = session.failures is not None and session.failures.value > 0
    if not failed and (share is None or share < SESSION_WARNING.value):
        return None
    because: list[Reason] = []
    if session.used is not None:
        because.append(Reason(f"{exact(session.used.value)} in use", session.used.where))
    if limit is not None:
        because.append(Reason(f"every session's limit is {exact(limit.value)}", limit.where))
    if session.failures is not None and failed:
        because.append(
            Reason(f"{plural(session.failures.value, 'failed allocation')} in this session", session.failures.where)
        )
    explains = []
    full = share is not None and share >= SESSION_CRITICAL.value
    # A session that counts failures and prints no usage has failed all the same
    tight = share >= SESSION_WARNING.value if share is not None else failed
    system_fine = states is not None and _both_have_room(states)
    if system_fine and states is not None:
        because.append(
            Reason(
                f"the system pools have room: nonpaged {percent(states.nonpaged.share or 0)}, paged"
                f" {percent(states.paged.share or 0)} of their limits"
            )
        )
        if states.failures is not None and failed:
            explains.append(
                f"the {plural(states.failures.value, 'failed allocation')} that the kernel counts for all pools"
            )
    at = (
        f"is at {percent(share)} of its limit"
        if share is not None
        else f"failed {plural(session.failures.value if session.failures is not None else 0, 'allocation')}"
    )
    used = (
        f": {size(session.used.value)} of {size(limit.value)}" if session.used is not None and limit is not None else ""
    )
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND if tight else Verdict.SUSPECTED,
        severity=Severity.CRITICAL if full or (tight and failed) else Severity.WARNING,
        confidence=Confidence.HIGH if full and failed else Confidence.MEDIUM,
        headline=f"the paged pool of session {session.id} {at}{used}"
        + (
            f", {plural(session.failures.value, 'allocation')} failed"
            if session.failures is not None and failed and share is not None
            else ""
        ),
        subject=Subject(pool="session", session=session.id),
        because=tuple(because),
        against=_against(tight=tight, failed=failed),
        explains=tuple(explains),
        next_steps=(
            f"find what fills it: `!session -s {session.id}`, then `!poolused 8` (tags of win32k, GDI and display"
            " drivers: Gh??, Us??, Gla?)",
            "find the process of that session with most GDI and USER objects (Task Manager, columns GDI/USER objects)",
            *_RELIEF[: 1 if system.bits != 64 and (system.era is None or system.era <= Era.XP_2003) else 0],
        ),
    )


def _against(*, tight: bool, failed: bool) -> tuple[Reason, ...]:
    if not failed:
        return (Reason("no failed allocation is recorded in this session: there is still room"),)
    if not tight:
        return (Reason("the session has room now: its failures may be of an earlier peak, or of very large requests"),)
    return ()
