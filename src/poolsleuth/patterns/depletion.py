"""What the two depletion patterns share: a pool's usage against its limit, failures, and what fills it."""

from collections.abc import Iterable

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.machine import System
from poolsleuth.model.system import BugCheck, EventText
from poolsleuth.model.tags import PoolKind
from poolsleuth.patterns.attribution import Attribution
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.patterns.tag_knowledge import sure_note
from poolsleuth.patterns.thresholds import COMMIT_CRITICAL
from poolsleuth.patterns.views import PoolState, PoolStates, SessionStates, TagView
from poolsleuth.patterns.wording import exact, percent, plural, size
from poolsleuth.windows import bugchecks, tag_notes
from poolsleuth.windows.pool_failures import failure_note

TAGS_NAMED = 3  # of the largest tags, as evidence of what fills the pool
_MUST_SUCCEED_POOL_EMPTY = 0x41
TAG_WORTH_NAMING = 0.05  # of the pool: smaller ones explain nothing


def judge_pool(
    pattern: str,
    kind: PoolKind,
    states: PoolStates | None,
    system: System,
    tags: TagView | None,
    sessions: SessionStates | None,
    events: tuple[EventText, ...],
    owners: Attribution,
    remedies: Iterable[str],
) -> Finding:
    """The finding for one pool. Events and bug checks that say it was empty count even without any figure."""
    name = f"{kind} pool"
    told = _told_empty(kind, events, system.bugcheck)
    state = states.of(kind) if states is not None else None
    if states is not None and state is not None and state.failures_seen is not None:
        seen = state.failures_seen
        failed = Reason(f"{plural(seen.value, 'allocation')} of it failed while the counters were recorded", seen.where)
        commit = states.commit_share
        if not told and not state.tight and commit is not None and commit >= COMMIT_CRITICAL.value:
            return _failed_for_commit(pattern, state, failed, commit, remedies)
        told += (failed,)
    if states is None or state is None or state.used is None:
        if told:
            return _found(
                pattern,
                kind,
                f"{name} was empty: the system itself says so",
                told,
                (),
                remedies,
                Severity.CRITICAL,
                Confidence.HIGH,
            )
        if state is not None and state.impossible is not None:
            return not_assessed(
                pattern,
                f"the usage printed for {name} ({exact(state.impossible.value)}) cannot be true",
                "run `!vm` again with a debugger and symbols that fit this kernel, or read \\Memory\\Pool "
                + ("Nonpaged" if kind is PoolKind.NONPAGED else "Paged")
                + " Bytes in Performance Monitor",
                because=(
                    Reason("usage above the machine's memory or above the pool's maximum", state.impossible.where),
                ),
                subject=Subject(pool=str(kind)),
            )
        return not_assessed(
            pattern,
            f"the evidence does not say how much {name} is in use",
            "run `!vm` (or give the crash dump)",
            subject=Subject(pool=str(kind)),
        )
    because = _because(state, system)
    if state.share is None and not state.tight:
        if told:
            return _found(
                pattern,
                kind,
                f"{name} was empty: the system itself says so",
                told + because,
                (),
                remedies,
                Severity.CRITICAL,
                Confidence.HIGH,
            )
        return not_assessed(
            pattern,
            f"{size(state.used.value)} of {name} are in use, its limit is not known",
            "run `!vm` (or give the crash dump)",
            because=because,
            subject=Subject(pool=str(kind)),
        )
    if not state.tight and not told and state.peak is not None:
        return _past_peak(pattern, state, state.peak, remedies)
    if not state.tight and not told and state.limit_at_most:
        return not_assessed(
            pattern,
            f"{size(state.used.value)} of {name} are in use; its limit is not known, only what it cannot exceed",
            "run `!vm`, or say the machine's Windows and memory with --os and --ram",
            because=because,
            subject=Subject(pool=str(kind)),
        )
    if not state.tight and not told:
        return _not_depleted(pattern, state, states, sessions, because)
    failures = state.failures
    hurt = state.full or failures is not None or bool(told)
    by_own_limit = not state.limit_is_memory and state.share is not None and state.share >= state.thresholds[0]
    headline = f"{name} {_how_full(state)}"
    if not state.tight:
        headline = f"{name} was empty according to the system; at this moment it {_how_full(state)}"
    if failures is not None:
        headline += f", {plural(failures.value, 'allocation')} failed"
    filled, steps, largest = _filled_by(kind, state, tags, owners)
    if largest is not None:
        headline += f"; the largest tag is {largest}"
    against: list[Reason] = []
    elsewhere = states.failures is None or states.counted  # none of those that are counted can be this pool's
    if not state.full and failures is None and not told and elsewhere:
        against.append(Reason("no failed allocation is recorded: there is still room"))
    if states.failures is not None and failures is None and not elsewhere:
        against.append(
            Reason(
                f"the {plural(states.failures.value, 'failed allocation')} that the kernel counts cannot be assigned to"
                " this pool",
                states.failures.where,
            )
        )
    return Finding(
        pattern=pattern,
        verdict=Verdict.FOUND if hurt or by_own_limit else Verdict.SUSPECTED,
        severity=Severity.CRITICAL if hurt else Severity.WARNING,
        confidence=Confidence.HIGH if hurt or state.warning is not None else Confidence.MEDIUM,
        headline=headline,
        subject=Subject(pool=str(kind)),
        because=told + because + filled,
        against=tuple(against),
        explains=_explains(state, system),
        next_steps=(*steps, *remedies, *_limit_advice(kind, system)),
    )


def _found(
    pattern: str,
    kind: PoolKind,
    headline: str,
    because: tuple[Reason, ...],
    against: tuple[Reason, ...],
    steps: Iterable[str],
    severity: Severity,
    confidence: Confidence,
) -> Finding:
    return Finding(
        pattern=pattern,
        verdict=Verdict.FOUND,
        severity=severity,
        confidence=confidence,
        headline=headline,
        subject=Subject(pool=str(kind)),
        because=because,
        against=against,
        next_steps=("run `!vm` and `!poolused " + ("2" if kind is PoolKind.NONPAGED else "4") + "`", *steps),
    )


def _failed_for_commit(
    pattern: str, state: PoolState, failed: Reason, commit: float, remedies: Iterable[str]
) -> Finding:
    """Requests failed, but memory to commit was out as well, and a pool that has room is refused then, too."""
    flag = "2" if state.kind is PoolKind.NONPAGED else "4"
    used = (Reason(f"{exact(state.used.value)} in use", state.used.where),) if state.used is not None else ()
    return Finding(
        pattern=pattern,
        verdict=Verdict.SUSPECTED,
        severity=Severity.WARNING,
        confidence=Confidence.LOW,
        headline=f"allocations from {state.kind} pool failed while committed memory was at {percent(commit)} of its"
        " limit",
        subject=Subject(pool=str(state.kind)),
        because=(failed, *used),
        against=(
            Reason("for want of commit a request fails whatever room the pool itself has: see commit-exhaustion"),
        ),
        next_steps=(f"run `!vm` and `!poolused {flag}`: is the pool near a limit of its own?", *remedies),
    )


def _how_full(state: PoolState) -> str:
    """ "is at 98.1 % of its limit: 122.5 MB of 124.9 MB", or the share of memory where that is what counts."""
    used = size(state.used.value) if state.used is not None else "?"
    by_memory = state.share is None or (state.tight and state.share < state.thresholds[0])
    if by_memory and state.ram_share is not None:
        return f"takes {percent(state.ram_share)} of the machine's memory: {used} of {size(state.physical or 0)}"
    return f"is at {percent(state.share or 0)} of its limit: {used} of {size(state.limit or 0)}"


def _because(state: PoolState, system: System) -> tuple[Reason, ...]:
    reasons = []
    if state.used is not None:
        more = f", {size(state.nx_used.value)} of it no-execute (Nx)" if state.nx_used is not None else ""
        reasons.append(Reason(f"{exact(state.used.value)} in use{more}", state.used.where))
    if state.limit is not None:
        where = state.printed_max.where if state.printed_max is not None else None
        reasons.append(Reason(f"limit {exact(state.limit)}: {state.limit_source}", where))
    if state.kind is PoolKind.NONPAGED and system.three_gb:
        reasons.append(Reason("the machine runs with /3GB, which halves nonpaged pool to about 128 MB (inferred)"))
    if state.warning is not None:
        reasons.append(Reason("the debugger prints its 'Excessive' banner for this pool", state.warning.where))
    if state.failures is not None and not state.failed_for:
        reasons.append(
            Reason(
                f"{plural(state.failures.value, 'pool allocation')} failed, and this is the only pool that is tight",
                state.failures.where,
            )
        )
    if state.tight:
        reasons += _refusals(state)
    return tuple(reasons)


def _refusals(state: PoolState) -> list[Reason]:
    """What was missing when the kernel refused this pool, where it counts that."""
    return [
        Reason(
            f"{plural(reason.count.value, 'allocation')} of it refused since the start: {note.says} ({reason.name})",
            reason.count.where,
        )
        for reason in state.failed_for
        if (note := failure_note(reason.name)) is not None
    ]


def _told_empty(kind: PoolKind, events: tuple[EventText, ...], bugcheck: BugCheck | None) -> tuple[Reason, ...]:
    wanted = 2019 if kind is PoolKind.NONPAGED else 2020
    reasons = [
        Reason(f"event {event.event_id}: the server service could not allocate from {kind} pool", event.where)
        for event in events
        if event.event_id == wanted
    ]
    if bugcheck is not None and kind is PoolKind.NONPAGED:
        note = bugchecks.note(bugcheck.code)
        # The other bug checks about depletion (0xAB) speak of a session's pool
        if note is not None and bugcheck.code == _MUST_SUCCEED_POOL_EMPTY:
            reasons.append(Reason(f"bug check 0x{bugcheck.code:X} {note.name}: {note.says}", bugcheck.where))
    return tuple(reasons[:5])


def _past_peak(pattern: str, state: PoolState, peak: PoolState, remedies: Iterable[str]) -> Finding:
    """Full in an earlier capture, not in the last one: the trouble was real, and it went."""
    failed = f", {plural(peak.failures.value, 'allocation')} had failed" if peak.failures is not None else ""
    because = []
    if peak.used is not None:
        because.append(
            Reason(f"{exact(peak.used.value)} in use then, {percent(peak.share or 0)} of the limit", peak.used.where)
        )
    if peak.failures is not None:
        because.append(Reason(f"{plural(peak.failures.value, 'failed allocation')} then", peak.failures.where))
    against = []
    if state.used is not None:
        against.append(
            Reason(
                f"{exact(state.used.value)} in use at the last capture: it came down, or the machine was restarted",
                state.used.where,
            )
        )
    return Finding(
        pattern=pattern,
        verdict=Verdict.FOUND,
        severity=Severity.WARNING,
        confidence=Confidence.HIGH if peak.full or peak.failures is not None else Confidence.MEDIUM,
        headline=f"{state.kind} pool was at {percent(peak.share or 0)} of its limit in an earlier capture{failed}; at"
        f" the last one it is at {percent(state.share or 0)}",
        subject=Subject(pool=str(state.kind)),
        because=tuple(because),
        against=tuple(against),
        next_steps=(
            "find what filled it then: `!poolused` of that time, or watch with poolmon until it comes back",
            *remedies,
        ),
    )


def _not_depleted(
    pattern: str, state: PoolState, states: PoolStates, sessions: SessionStates | None, because: tuple[Reason, ...]
) -> Finding:
    share = state.share or 0.0
    against: list[Reason] = []
    steps: tuple[str, ...] = ()
    if state.failed_for:
        # Reasons that speak for a pool that was short once; now it has room
        against += _refusals(state)
    elif states.failures is not None and state.failures is None and not states.counted:
        failed = plural(states.failures.value, "pool allocation")
        guilty = [s.id for s in sessions.sessions if s.failures is not None] if sessions else []
        if guilty:
            against.append(
                Reason(
                    f"the {failed} that failed belong to session {', '.join(map(str, guilty[:5]))}",
                    states.failures.where,
                )
            )
        elif states.nonpaged.has_room and states.paged.has_room:
            against.append(
                Reason(
                    f"{failed} failed although both system pools have room: a session's pool, a past peak, or a"
                    " request larger than any free run",
                    states.failures.where,
                )
            )
            steps = ("run `!vm 4` to see the sessions' pools",)
    if state.warning is not None:
        against.append(Reason("the debugger prints its 'Excessive' banner all the same", state.warning.where))
    return ruled_out(
        pattern,
        f"{state.kind} pool is not depleted: {percent(share)} of its limit",
        because=because,
        against=tuple(against),
        next_steps=steps,
        subject=Subject(pool=str(state.kind)),
    )


def _filled_by(
    kind: PoolKind, state: PoolState, tags: TagView | None, owners: Attribution
) -> tuple[tuple[Reason, ...], list[str], str | None]:
    """Reasons, next steps and the largest tag with its size: the last is None when no tag is worth naming."""
    flag = "2" if kind is PoolKind.NONPAGED else "4"
    if tags is None or not tags.pool(kind):
        return (), [f"find what fills it: `!poolused /t10 {flag}` (or poolmon, sorted with b)"], None
    reasons: list[Reason] = []
    steps: list[str] = []
    largest: str | None = None
    used = state.used.value if state.used is not None else 0
    for row in tags.pool(kind)[:TAGS_NAMED]:
        if row.bytes is None:
            reasons.append(
                Reason(f"tag {row.tag}: {row.outstanding or 0:,} blocks outstanding, bytes not printed", row.where)
            )
            continue
        if used and row.bytes < TAG_WORTH_NAMING * used:
            continue
        owner = owners.owner(row)
        what = f", {owner.description}" if owner is not None and owner.description else ""
        makers = owners.makers(row)
        if makers is not None and makers.allocated_by:
            what += f", {makers.allocated_by}"
        share = f", {percent(row.bytes / used)} of the pool" if used else ""
        largest = largest or f"{row.tag} ({size(row.bytes)}{what})"
        reasons.append(
            Reason(f"tag {row.tag}{what}: {exact(row.bytes)} in {row.outstanding or 0:,} blocks{share}", row.where)
        )
    first = tags.pool(kind)[0]
    note = sure_note(first)
    if largest is None or note is None:
        steps.append(f"look at the largest tags with `!poolused /t10 {flag}`, then find the driver of the first")
    elif note.role in (tag_notes.Role.UNTAGGED, tag_notes.Role.GENERIC):
        steps.append(f"see the finding about tag {first.tag}")
    else:
        reasons.append(Reason(f"what growth of {first.tag} usually means: {note.growth}"))
        steps.append(note.next_step)
    return tuple(reasons), steps, largest


def _explains(state: PoolState, system: System) -> tuple[str, ...]:
    explained = []
    if state.failures is not None:
        explained.append(f"the {plural(state.failures.value, 'failed allocation')} that the kernel counts")
    if system.bugcheck is None:
        explained.append(f"requests and logons that fail while {state.kind} pool is short")
    return tuple(explained)


def _limit_advice(kind: PoolKind, system: System) -> tuple[str, ...]:
    if kind is PoolKind.NONPAGED and system.three_gb:
        return ("if nothing on this server needs /3GB, remove it from boot.ini: nonpaged pool doubles to about 256 MB",)
    return ()
