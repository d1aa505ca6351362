"""What patterns look at: the pools with their limits, and all tag tables of a machine as one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from poolsleuth.model.facts import Figure, Where
from poolsleuth.model.machine import Machine, System
from poolsleuth.model.memory import MemoryCounters, SessionMemory, SessionUsage
from poolsleuth.model.tags import Completeness, PoolKind, PoolmonMemory, TagRow, TagTable
from poolsleuth.patterns.thresholds import (
    COMMIT_SHARE_CRITICAL,
    COMMIT_SHARE_WARNING,
    POOL_CRITICAL,
    POOL_WARNING,
    RAM_SHARE_CRITICAL,
    RAM_SHARE_WARNING,
)
from poolsleuth.windows.builds import Era
from poolsleuth.windows.pool_limits import effective_limit


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """One system pool. Bytes; None is not known.

    ``limit`` is what usage is judged by and ``limit_source`` says where it comes from; ``limit_is_memory`` when that
    is RAM or the commit limit rather than a maximum of the pool itself. ``failures`` is set only where the failed
    allocations belong to this pool for certain.
    """

    kind: PoolKind
    used: Figure | None = None
    limit: int | None = None
    limit_source: str | None = None
    limit_is_memory: bool = False
    printed_max: Figure | None = None
    failures: Figure | None = None
    warning: Figure | None = None
    impossible: Figure | None = None
    nx_used: Figure | None = None

    @property
    def share(self) -> float | None:
        """Used bytes over the limit, None when either is not known."""
        if self.used is None or not self.limit:
            return None
        return self.used.value / self.limit

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
        """True from the warning threshold on; False also when the share is not known."""
        return self.share is not None and self.share >= self.thresholds[0]

    @property
    def has_room(self) -> bool:
        """True when the share is known and below the warning threshold."""
        return self.share is not None and self.share < self.thresholds[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStates:
    """Both system pools, the sessions, and the failures that ``!vm`` counts over all pools together."""

    nonpaged: PoolState
    paged: PoolState
    failures: Figure | None = None
    physical: int | None = None

    def of(self, kind: PoolKind) -> PoolState:
        """The state of the nonpaged or paged pool."""
        return self.paged if kind is PoolKind.PAGED else self.nonpaged


@dataclass(frozen=True, slots=True)
class SessionStates:
    """The sessions of ``!vm 4`` and their common limit (bytes)."""

    limit: Figure | None
    sessions: tuple[SessionUsage, ...]


@dataclass(frozen=True, slots=True)
class TagView:
    """All tables of tags of one machine: the last row of each (tag, pool, session)."""

    rows: tuple[TagRow, ...]
    session_of: Mapping[tuple[str, PoolKind, int], TagRow] = field(default_factory=dict)
    completeness: Mapping[PoolKind, Completeness] = field(default_factory=dict)
    totals: Mapping[PoolKind, TagRow] = field(default_factory=dict)
    sorted_pools: frozenset[PoolKind] = frozenset()

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
    """Both pools of a machine from its last ``!vm`` (or poolmon header); None without either."""
    counters = machine.latest(MemoryCounters)
    poolmon = machine.latest(PoolmonMemory)
    if counters is None:
        if poolmon is None or (poolmon.nonpaged_used is None and poolmon.paged_used is None):
            return None
        counters = MemoryCounters(
            where=poolmon.where,
            physical=poolmon.physical,
            nonpaged_used=poolmon.nonpaged_used,
            paged_used=poolmon.paged_used,
            committed=poolmon.committed,
            commit_limit=poolmon.commit_limit,
        )
    system = machine.system
    nonpaged = _state(PoolKind.NONPAGED, counters, system)
    paged = _state(PoolKind.PAGED, counters, system)
    failures = counters.pool_failures
    session_failures = any(s.failures for fact in machine.all(SessionMemory) for s in fact.sessions)
    if failures is not None and not session_failures:
        tight = [s for s in (nonpaged, paged) if s.tight]
        known = nonpaged.share is not None and paged.share is not None
        if len(tight) == 1 and known:
            # The only pool that is tight is the one that failed; with two, or none, nobody can tell
            nonpaged = replace(nonpaged, failures=failures if tight[0] is nonpaged else None)
            paged = replace(paged, failures=failures if tight[0] is paged else None)
    return PoolStates(
        nonpaged=nonpaged,
        paged=paged,
        failures=failures,
        physical=system.physical_bytes,
    )


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
    limit, source = effective_limit(
        "nonpaged" if kind is PoolKind.NONPAGED else "paged",
        printed_max_bytes=printed.value if printed else None,
        era=Era(system.era) if system.era is not None else None,
        bits=32 if system.bits == 32 else 64 if system.bits else None,
        ram_bytes=counters.physical.value if counters.physical else system.physical_bytes,
        commit_limit_bytes=counters.commit_limit.value if counters.commit_limit else None,
    )
    return PoolState(
        kind=kind,
        used=used,
        limit=limit,
        limit_source=source if limit is not None else None,
        limit_is_memory=limit is not None and (printed is None or limit != printed.value),
        printed_max=printed,
        warning=warning,
        impossible=impossible,
        nx_used=counters.nonpaged_nx_used if kind is PoolKind.NONPAGED else None,
    )


def session_states(machine: Machine) -> SessionStates | None:
    """The sessions of the last ``!vm 4``, None without one."""
    facts = list(machine.all(SessionMemory))
    if not facts:
        return None
    limit = next((f.paged_limit for f in reversed(facts) if f.paged_limit is not None), None)
    sessions: dict[int, SessionUsage] = {}
    for fact in facts:
        sessions.update({session.id: session for session in fact.sessions})
    return SessionStates(limit, tuple(sessions.values()))


def tag_view(machine: Machine) -> TagView | None:
    """All tag tables of a machine as one; None when there is none."""
    return tag_view_of(machine.all(TagTable))


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
