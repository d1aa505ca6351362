"""What patterns look at: the pools with their limits, and all tag tables of a machine as one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

from poolsleuth.model.facts import Fact, Figure, Where
from poolsleuth.model.machine import Machine, System
from poolsleuth.model.memory import FailureReason, MemoryCounters, SessionMemory, SessionUsage
from poolsleuth.model.tags import Completeness, PoolKind, PoolmonMemory, TagRow, TagTable
from poolsleuth.patterns.limits import judged_limit
from poolsleuth.patterns.thresholds import (
    COMMIT_SHARE_CRITICAL,
    COMMIT_SHARE_WARNING,
    POOL_CRITICAL,
    POOL_WARNING,
    RAM_SHARE_CRITICAL,
    RAM_SHARE_WARNING,
)
from poolsleuth.windows.pool_failures import failure_note


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """One system pool. Bytes; None is not known.

    ``limit`` is what usage is judged by and ``limit_source`` says where it comes from; ``limit_is_memory`` when that
    is RAM or the commit limit rather than a maximum of the pool itself; ``limit_at_most`` when the true limit may be
    lower. ``failures`` is set only where the failed allocations belong to this pool for certain, ``failures_seen``
    where a counter of this pool's failures rose while a log was recorded; ``failed_for`` holds the reasons for which
    the kernel refused this pool since it started, where it counts them.
    """

    kind: PoolKind
    used: Figure | None = None
    limit: int | None = None
    limit_source: str | None = None
    limit_is_memory: bool = False
    limit_at_most: bool = False
    printed_max: Figure | None = None
    failures: Figure | None = None
    failures_seen: Figure | None = None
    failed_for: tuple[FailureReason, ...] = ()
    warning: Figure | None = None
    impossible: Figure | None = None
    nx_used: Figure | None = None
    physical: int | None = None
    peak: "PoolState | None" = None

    @property
    def share(self) -> float | None:
        """Used bytes over the limit, None when either is not known."""
        if self.used is None or not self.limit:
            return None
        return self.used.value / self.limit

    @property
    def ram_share(self) -> float | None:
        """Nonpaged bytes over the machine's memory: it is always resident, whatever maximum is printed. None for paged
        pool, and when either is not known."""
        if self.kind is not PoolKind.NONPAGED or self.used is None or not self.physical:
            return None
        return self.used.value / self.physical

    @property
    def thresholds(self) -> tuple[float, float]:
        """The shares from which the pool is tight, and full: lower ones where the limit is all of memory."""
        if not self.limit_is_memory:
            return POOL_WARNING.value, POOL_CRITICAL.value
        if self.kind is PoolKind.NONPAGED:
            return RAM_SHARE_WARNING.value, RAM_SHARE_CRITICAL.value
        return COMMIT_SHARE_WARNING.value, COMMIT_SHARE_CRITICAL.value

    @property
    def tight(self) -> bool:
        """True from the warning threshold of the limit, or of memory, on; False also when no share is known."""
        if self.share is not None and self.share >= self.thresholds[0]:
            return True
        return self.ram_share is not None and self.ram_share >= RAM_SHARE_WARNING.value

    @property
    def full(self) -> bool:
        """True from the critical threshold of the limit, or of memory, on; False also when no share is known."""
        if self.share is not None and self.share >= self.thresholds[1]:
            return True
        return self.ram_share is not None and self.ram_share >= RAM_SHARE_CRITICAL.value

    @property
    def has_room(self) -> bool:
        """True when the share of its limit is known, and the pool is not tight. An upper bound proves no room."""
        return self.share is not None and not self.tight and not self.limit_at_most


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStates:
    """Both system pools, the sessions, and the failures that ``!vm`` counts over all pools together.

    ``counted``: the kernel says itself of every refusal which pool it was (the ``failed_for`` of each).
    ``commit_share``: committed memory over its limit, None when either is not known.
    """

    nonpaged: PoolState
    paged: PoolState
    failures: Figure | None = None
    counted: bool = False
    physical: int | None = None
    commit_share: float | None = None

    def of(self, kind: PoolKind) -> PoolState:
        """The state of the nonpaged or paged pool."""
        return self.paged if kind is PoolKind.PAGED else self.nonpaged


@dataclass(frozen=True, slots=True)
class SessionStates:
    """The sessions of ``!vm 4`` and their common limit (bytes); ``complete`` is False where some are missing."""

    limit: Figure | None
    sessions: tuple[SessionUsage, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class TagView:
    """All tables of tags of one machine: the last row of each (tag, pool, session)."""

    rows: tuple[TagRow, ...]
    session_of: Mapping[tuple[str, PoolKind, int], TagRow] = field(default_factory=dict)
    completeness: Mapping[PoolKind, Completeness] = field(default_factory=dict)
    totals: Mapping[PoolKind, TagRow] = field(default_factory=dict)
    sorted_pools: frozenset[PoolKind] = frozenset()
    used_beside: Mapping[PoolKind, Figure | None] = field(default_factory=dict)

    def pool(self, kind: PoolKind) -> list[TagRow]:
        """The rows of one system pool, largest bytes first; unknown bytes go by their outstanding blocks."""
        rows = [row for row in self.rows if row.pool is kind]
        return sorted(rows, key=lambda r: (r.bytes or 0, r.outstanding or 0), reverse=True)

    def row(self, tag: str, kind: PoolKind) -> TagRow | None:
        """The row of one tag in one system pool, None when no table shows it."""
        return next((row for row in self.rows if row.tag == tag and row.pool is kind), None)

    def tagged_bytes(self, kind: PoolKind) -> tuple[int, Where] | None:
        """Bytes that tags account for: the printed TOTAL, or the sum of a complete table. None when not known."""
        total = self.totals.get(kind)
        if total is not None and total.bytes is not None:
            return total.bytes, total.where
        rows = self.pool(kind)
        if self.completeness.get(kind) is Completeness.COMPLETE and rows and all(r.bytes is not None for r in rows):
            return sum(row.bytes or 0 for row in rows), rows[0].where
        return None


def pool_states(machine: Machine) -> PoolStates | None:
    """Both pools of a machine at its last capture with any usage, and their earlier peaks; None without a capture."""
    captures = [fact for fact in machine.facts if isinstance(fact, MemoryCounters)]
    if not captures:
        captures = [_of_poolmon(poolmon) for poolmon in machine.all(PoolmonMemory)]
    usable = [c for c in captures if c.nonpaged_used or c.nonpaged_nx_used or c.paged_used or c.impossible]
    if not usable:
        # A !vm without usage still tells limits and failures; a poolmon header without usage tells nothing of pools
        if machine.latest(MemoryCounters) is None:
            return None
        return _capture(captures[-1], machine.system, session_failures=_sessions_failed(machine))
    session_failures = _sessions_failed(machine)
    states = [_capture(counters, machine.system, session_failures=session_failures) for counters in usable]
    last = states[-1]
    return replace(last, nonpaged=_with_peak(last.nonpaged, states[:-1]), paged=_with_peak(last.paged, states[:-1]))


def _of_poolmon(poolmon: PoolmonMemory) -> MemoryCounters:
    return MemoryCounters(
        where=poolmon.where,
        physical=poolmon.physical,
        nonpaged_used=poolmon.nonpaged_used,
        paged_used=poolmon.paged_used,
        committed=poolmon.committed,
        commit_limit=poolmon.commit_limit,
    )


def _with_peak(state: PoolState, earlier: list[PoolStates]) -> PoolState:
    """The state with its fullest earlier capture, when that was tight and this one is not."""
    tight = [s for states in earlier if (s := states.of(state.kind)).tight]
    if state.tight or not tight:
        return state
    return replace(state, peak=max(tight, key=lambda s: s.share or 0.0))


def _sessions_failed(machine: Machine) -> bool:
    return any(session.failures for fact in machine.all(SessionMemory) for session in fact.sessions)


def _capture(counters: MemoryCounters, system: System, *, session_failures: bool) -> PoolStates:
    nonpaged = _state(PoolKind.NONPAGED, counters, system)
    paged = _state(PoolKind.PAGED, counters, system)
    failures = counters.pool_failures
    notes = [failure_note(reason.name) for reason in counters.failure_reasons]
    counted = bool(notes) and all(note is not None and note.pool is not None for note in notes)
    if notes:
        # The kernel itself says which pool it refused; but for requests of low priority, which may be of any
        nonpaged, paged = _with_counted(nonpaged), _with_counted(paged)
    elif failures is not None and not session_failures:
        tight = [s for s in (nonpaged, paged) if s.tight]
        known = nonpaged.share is not None and paged.share is not None
        # The only pool that is tight is the one that failed; with two, or none, nobody can tell. A pool that is
        # merely large beside RAM has not failed for certain until it is full
        if len(tight) == 1 and known and (tight[0].full or _short_of_its_own_limit(tight[0])):
            nonpaged = replace(nonpaged, failures=failures if tight[0] is nonpaged else None)
            paged = replace(paged, failures=failures if tight[0] is paged else None)
    committed, most = counters.committed, counters.commit_limit
    return PoolStates(
        nonpaged=nonpaged,
        paged=paged,
        failures=failures,
        counted=counted,
        physical=system.physical_bytes,
        commit_share=committed.value / most.value
        if committed is not None and most is not None and most.value
        else None,
    )


def _with_counted(state: PoolState) -> PoolState:
    """The state with its failures, when it is tight: those of a pool that has room lie in the past."""
    if not state.failed_for or not state.tight:
        return state
    return replace(
        state, failures=Figure(sum(r.count.value for r in state.failed_for), state.failed_for[0].count.where)
    )


def _short_of_its_own_limit(state: PoolState) -> bool:
    return not state.limit_is_memory and state.share is not None and state.share >= state.thresholds[0]


def _state(kind: PoolKind, counters: MemoryCounters, system: System) -> PoolState:
    if kind is PoolKind.NONPAGED:
        used, printed, warning = counters.nonpaged_used, counters.nonpaged_max, counters.nonpaged_warning
        if used is not None and counters.nonpaged_nx_used is not None:
            # From Windows 8 on the executable and the no-execute part are counted apart
            used = Figure(used.value + counters.nonpaged_nx_used.value, used.where)
    else:
        used, printed, warning = counters.paged_used, counters.paged_max, counters.paged_warning
    label = "nonpagedpool" if kind is PoolKind.NONPAGED else "pagedpool"
    impossible = next(
        (figure for name, figure in counters.impossible if name.lower().replace(" ", "") == f"{label}usage"), None
    )
    limit, source, at_most = judged_limit(kind, counters, system)
    return PoolState(
        kind=kind,
        used=used,
        limit=limit,
        limit_source=source if limit is not None else None,
        limit_is_memory=limit is not None and limit in _memory_bounds(kind, counters, system, printed),
        limit_at_most=at_most,
        printed_max=printed,
        failures_seen=counters.nonpaged_failures_seen if kind is PoolKind.NONPAGED else counters.paged_failures_seen,
        failed_for=tuple(r for r in counters.failure_reasons if _is_of(r.name, kind)),
        warning=warning,
        impossible=impossible,
        nx_used=counters.nonpaged_nx_used if kind is PoolKind.NONPAGED else None,
        physical=counters.physical.value if counters.physical else system.physical_bytes,
    )


def _is_of(reason: str, kind: PoolKind) -> bool:
    note = failure_note(reason)
    return note is not None and note.pool == str(kind)


def _memory_bounds(
    kind: PoolKind, counters: MemoryCounters, system: System, printed: Figure | None
) -> tuple[int | None, ...]:
    """The figures of memory itself that may bound a pool; none when the printed maximum is that very figure."""
    ram = counters.physical.value if counters.physical else system.physical_bytes
    commit = counters.commit_limit.value if counters.commit_limit else None
    bounds = (ram,) if kind is PoolKind.NONPAGED else (ram, commit)
    return tuple(bound for bound in bounds if printed is None or bound != printed.value)


def session_states(machine: Machine) -> SessionStates | None:
    """The sessions of the last ``!vm 4``, None without one."""
    facts = list(machine.all(SessionMemory))
    if not facts:
        return None
    limit = next((f.paged_limit for f in reversed(facts) if f.paged_limit is not None), None)
    sessions: dict[int, SessionUsage] = {}
    for fact in facts:
        sessions.update({session.id: session for session in fact.sessions})
    return SessionStates(limit, tuple(sessions.values()), facts[-1].complete)


def tag_view(machine: Machine) -> TagView | None:
    """All tag tables of a machine as one; None when there is none."""
    view = tag_view_of(machine.all(TagTable))
    return replace(view, used_beside=_used_beside(machine)) if view is not None else None


def _used_beside(machine: Machine) -> dict[PoolKind, Figure | None]:
    """The usage that was printed next to the last table with a total, per pool: figures of two times do not compare."""
    facts = [f for f in machine.facts if isinstance(f, MemoryCounters | PoolmonMemory | TagTable)]
    last: dict[PoolKind, int] = {}
    for place, table in enumerate(facts):
        if isinstance(table, TagTable) and table.session is None:
            whole = table.completeness is Completeness.COMPLETE
            last.update(dict.fromkeys((kind for kind in table.pools if whole or kind in table.total), place))
    beside: dict[PoolKind, Figure | None] = {}
    for kind, place in last.items():
        capture = _capture_beside(facts, place)
        beside[kind] = _usage(capture, kind) if capture is not None else None
    return beside


def _capture_beside(facts: list[MemoryCounters | PoolmonMemory | TagTable], place: int) -> Fact | None:
    """The capture before a table in its own input, else the one behind it, else the only one there is anywhere."""
    table = facts[place]
    near = chain(reversed(facts[:place]), facts[place:])
    for fact in near:
        if not isinstance(fact, TagTable) and fact.where.input == table.where.input:
            return fact
    captures = [fact for fact in facts if not isinstance(fact, TagTable)]
    return captures[0] if len(captures) == 1 else None


def _usage(fact: Fact, kind: PoolKind) -> Figure | None:
    if isinstance(fact, PoolmonMemory):
        return fact.paged_used if kind is PoolKind.PAGED else fact.nonpaged_used
    return _state(kind, fact, System()).used if isinstance(fact, MemoryCounters) else None


def tag_view_of(tables: Iterable[TagTable]) -> TagView | None:
    """The same over given tables, in time order: later rows replace earlier ones of the same tag and pool."""
    rows: dict[tuple[str, PoolKind], TagRow] = {}
    sessions: dict[tuple[str, PoolKind, int], TagRow] = {}
    completeness: dict[PoolKind, Completeness] = {}
    totals: dict[PoolKind, TagRow] = {}
    sorted_pools: set[PoolKind] = set()
    seen = False
    for table in tables:
        seen = True
        for row in table.rows:
            if table.session is None:
                rows[row.tag, row.pool] = row
            else:
                sessions[row.tag, row.pool, table.session] = row
        if table.session is not None:
            continue
        totals.update(table.total)
        for kind in table.pools:
            if completeness.get(kind) is not Completeness.COMPLETE:
                completeness[kind] = table.completeness
        if table.sorted_by is not None:
            sorted_pools.add(table.sorted_by)
    if not seen:
        return None
    return TagView(tuple(rows.values()), sessions, completeness, totals, frozenset(sorted_pools))
