"""What a tracker has seen as a machine's facts, so that the patterns of the diagnosis can judge it."""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np

from poolsleuth.evidence.recording_processes import ProcessCounters, process_list
from poolsleuth.model.facts import Fact, Figure, Where
from poolsleuth.model.machine import Machine, System
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.series import (
    CounterPath,
    CounterSeries,
    MemoryHistory,
    TagColumn,
    TagHistory,
    TagKey,
    moment,
)
from poolsleuth.model.system import BugCheck, ProcessList
from poolsleuth.model.tags import Completeness, PoolKind, PoolmonMemory, TagRow, TagTable
from poolsleuth.patterns.thresholds import COURSE_BYTES, COURSE_COUNT
from poolsleuth.sampling.sample import Floats, Host, Ids, Sample
from poolsleuth.top.history import ALLOCS, BYTES, OUTSTANDING
from poolsleuth.top.replay_known import Known, facts_at
from poolsleuth.top.tracker import State, Tracker
from poolsleuth.windows.builds import version_of_build
from poolsleuth.windows.counters import PROCESS_OBJECTS, english_of

FEW_TAGS = 400  # of so many all are judged: leaving some out would gain nothing
WITNESSES = 64  # tags of each pool that are always judged: their counts of allocations tell of restarts
_FIGURES = ("physical", "available", "nonpaged_used", "paged_used", "committed", "commit_limit", "commit_peak")
_POOLS = {PoolKind.NONPAGED: "nonpaged_used", PoolKind.PAGED: "paged_used"}
_SYSTEM_POOLS = frozenset(_POOLS)
_SAME = 1.0  # seconds: a capture so near to a sample is the sample's own

Described = Callable[[TagKey], tuple[str | None, str | None]]
"""Description and binary that the evidence prints behind a tag."""


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """A copy of what a tracker knows, that does not change while it is judged.

    The tables are kept samples x tags. ``count`` is how many samples there were, ``whole`` how long that took (None
    when the times are not known). ``watched`` and ``seconds`` are that from ``start`` on, which is the first sample
    after Windows was started again where ``restarted``; ``begin`` is its place in the tables.
    """

    keys: Sequence[TagKey]
    count: int
    watched: int
    seconds: float | None
    whole: float | None
    restarted: bool
    begin: int
    times: Floats
    boots: Sequence[float | None]
    tables: tuple[Floats, Floats, Floats]
    memory: Mapping[str, Floats]
    now: State
    start: State
    last: Sample
    host: Host
    processes: Sequence[CounterSeries] = ()


def taken_from(tracker: Tracker, processes: ProcessCounters | None = None) -> Taken | None:
    """A copy of what the tracker knows, and of the processes that were seen; None before the first sample.

    For the thread that feeds the tracker.
    """
    if tracker.now is None or tracker.start is None or tracker.last is None:
        return None
    history = tracker.history
    memory = {figure: history.memory(figure) for figure in _FIGURES}
    return Taken(
        keys=tuple(tracker.index.keys[: len(tracker.now.bytes)]),
        count=tracker.count,
        watched=tracker.watched,
        seconds=tracker.seconds,
        whole=_between(history.times) if tracker.restarted else tracker.seconds,
        restarted=tracker.restarted,
        begin=history.begin,
        times=history.times.copy(),
        boots=tuple(history.boots),
        tables=(history.matrix(BYTES), history.matrix(OUTSTANDING), history.matrix(ALLOCS)),
        memory={figure: column for figure, column in memory.items() if np.isfinite(column).any()},
        now=_copied(tracker.now),
        start=_copied(tracker.start),
        last=tracker.last,
        host=tracker.host,
        processes=tuple(_processes_so_far(processes, utc=tracker.host.utc)) if processes is not None else (),
    )


def _between(times: Floats) -> float | None:
    seconds = float(times[-1] - times[0])
    return seconds if isfinite(seconds) else None


def _processes_so_far(processes: ProcessCounters, *, utc: bool) -> Iterator[CounterSeries]:
    for series in processes.series(None, Where(0), utc=utc):
        yield replace(series, times=series.times[:], values=series.values[:])


def _copied(state: State) -> State:
    # Its arrays are replaced, never written to, when tags are added
    return copy(state)


def system_of(host: Host) -> System:
    """The system of a machine whose samples are taken live."""
    bits = {"x86": 32, "x64": 64, "arm64": 64, "ia64": 64}.get(host.architecture or "")
    server = None if host.os is None else "server" in host.os.casefold()
    version = None
    if host.build is not None:
        version = version_of_build(host.build, server=server, bits=32 if bits == 32 else 64 if bits else None)
    return System(
        name=host.computer,
        os=host.os or (version.name if version is not None else None),
        build=host.build,
        era=int(version.era) if version is not None else None,
        architecture=host.architecture,
        physical_bytes=host.physical_bytes,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """How the facts of a machine are made of what its tracker has seen.

    ``known`` is what the evidence says beside the samples, ``end`` the time of the last sample of a replay. ``history``
    is False where the evidence itself has no tags over time, only single tables: then these stand alone.
    ``described`` gives what the evidence prints behind a tag.
    """

    known: Sequence[Known]
    end: float | None
    history: bool
    dated_by: str
    described: Described

    def machine(self, taken: Taken, system: System) -> Machine:
        """The machine as it is known after the last sample."""
        facts = facts_at(self.known, taken.now.time, taken.count, self.end)
        where = Where(facts[0].where.input if facts else 0)
        original = self._originals(taken)
        facts += self._memory(taken, where, original.kinds)
        facts += _processes(taken, where, has_now=ProcessList in original.kinds, has_series=self._knows_processes)
        facts += self._tables(taken, facts, where, original.sessions)
        if self.history:
            facts += _history(taken, where, self.dated_by)
        if any(isinstance(one.fact, BugCheck) for one in self.known) and not _any(facts, BugCheck):
            system = replace(system, bugcheck=None)  # a replay has not come to the crash yet
        inputs = tuple(dict.fromkeys(fact.where.input for fact in facts)) or (0,)
        return Machine(system=system, inputs=inputs, facts=tuple(facts))

    @property
    def _knows_processes(self) -> bool:
        """Whether the evidence has counters of processes."""
        return any(
            isinstance(one.fact, CounterSeries) and english_of(one.fact.path)[0] in PROCESS_OBJECTS
            for one in self.known
        )

    def _originals(self, taken: Taken) -> "_Originals":
        """What the evidence itself prints at this very sample."""
        sessions: set[int | None] = set()
        found: set[type[Fact]] = set()
        kinds = (TagTable, PoolmonMemory, MemoryCounters, ProcessList)
        for one in self.known:
            fact = one.fact
            if not isinstance(fact, kinds) or not one.at(taken.now.time, taken.count):
                continue
            here = one.samples == taken.count if one.samples is not None else _same(one.since, taken.now.time)
            if here:
                found.add(type(fact))
            if here and isinstance(fact, TagTable):
                sessions.add(fact.session)
        return _Originals(frozenset(sessions), frozenset(found))

    # ---- memory ------------------------------------------------------------------------------------------------

    def _memory(self, taken: Taken, where: Where, here: frozenset[type[Fact]]) -> Iterator[Fact]:
        told = [one.fact for one in self.known]
        if not any(isinstance(f, MemoryHistory | CounterSeries | MemoryCounters | PoolmonMemory) for f in told):
            yield from _memory_history(taken, where)
            yield from _up_time(taken, where)
        captured = [fact for fact in told if isinstance(fact, MemoryCounters)]
        if (MemoryCounters if captured else PoolmonMemory) in here:
            return
        figures = {
            name: Figure(round(value), where)
            for name in _FIGURES
            if isfinite(value := taken.now.memory.get(name, float("nan")))
        }
        if not figures.keys() & set(_POOLS.values()):
            return
        at = moment(taken.now.time) if taken.host.utc else None
        if captured:
            figures.pop("commit_peak", None)
            yield MemoryCounters(where=where, at=at, source=captured[-1].source, **figures, **_maxima(captured))  # type: ignore[arg-type]
        else:
            yield PoolmonMemory(where=where, at=at, **{name: figures.get(name) for name in _FIGURES})  # type: ignore[arg-type]

    # ---- tags --------------------------------------------------------------------------------------------------

    def _tables(
        self, taken: Taken, facts: Sequence[Fact], where: Where, here: frozenset[int | None]
    ) -> Iterator[TagTable]:
        printed: dict[int | None, TagTable] = {}
        for one in self.known:
            if isinstance(one.fact, TagTable):
                printed.setdefault(one.fact.session, one.fact)
        shown = {fact.session for fact in facts if isinstance(fact, TagTable)}
        first = self._of_state(taken, taken.start, where, printed) if taken.watched > 1 else {}
        yield from (table for session, table in first.items() if session not in shown)
        now = self._of_state(taken, taken.now, where, printed)
        yield from (table for session, table in now.items() if session not in here)

    def _of_state(
        self, taken: Taken, state: State, where: Where, printed: Mapping[int | None, TagTable]
    ) -> dict[int | None, TagTable]:
        numbers = np.flatnonzero(state.shown & (np.isfinite(state.bytes) | np.isfinite(state.outstanding)))
        columns = [column[numbers].tolist() for column in (state.bytes, state.outstanding, state.allocs)]
        skipped = sums_over_sessions(taken.keys)
        sessions: dict[int | None, list[TagRow]] = {}
        for number, size, count, allocs in zip(numbers.tolist(), *columns, strict=True):
            if number in skipped:
                continue
            key = taken.keys[number]
            description, binary = self.described(key)
            known, held = _whole(allocs), _whole(count)
            frees = known - held if known is not None and held is not None and known >= held else None
            row = TagRow(key.tag, key.pool, known, frees, held, _whole(size), where, description, binary)
            sessions.setdefault(key.session, []).append(row)
        return {
            session: TagTable(
                where=where,
                at=moment(state.time) if taken.host.utc else None,
                rows=tuple(rows),
                pools=_SYSTEM_POOLS if session is None else frozenset(row.pool for row in rows),
                completeness=_completeness(state, printed.get(session)),
                session=session,
                source=printed[session].source if session in printed else "the samples",
            )
            for session, rows in sessions.items()
        }


@dataclass(frozen=True, slots=True)
class _Originals:
    """The sessions whose tables, and the kinds of captures, that the evidence prints at one sample."""

    sessions: frozenset[int | None]
    kinds: frozenset[type[Fact]]


def _any(facts: Sequence[Fact], kind: type[Fact]) -> bool:
    return any(isinstance(fact, kind) for fact in facts)


def _completeness(state: State, printed: TagTable | None) -> Completeness:
    if state.complete:
        return Completeness.COMPLETE
    return printed.completeness if printed is not None else Completeness.UNKNOWN


def _same(since: float | None, time: float) -> bool:
    return since is not None and isfinite(time) and abs(since - time) <= _SAME


def _maxima(captured: Sequence[MemoryCounters]) -> dict[str, Figure]:
    """The pools' maxima, which hold for all of a boot."""
    found: dict[str, Figure] = {}
    for fact in captured:
        for name in ("nonpaged_max", "paged_max"):
            figure = getattr(fact, name)
            if figure is not None:
                found[name] = figure
    return found


def _whole(value: float) -> int | None:
    return round(value) if isfinite(value) else None


def sums_over_sessions(keys: Sequence[TagKey]) -> frozenset[int]:
    """The numbers of tags of all sessions together that stand beside those of single sessions."""
    single = {(key.tag, key.pool) for key in keys if key.session is not None and key.session >= 0}
    if not single:
        return frozenset()
    return frozenset(number for number, key in enumerate(keys) if key.session == -1 and (key.tag, key.pool) in single)


def _column(values: Floats) -> "array[float]":
    column = array("d")
    column.frombytes(np.ascontiguousarray(values, np.float64).tobytes())
    return column


def _memory_history(taken: Taken, where: Where) -> Iterator[MemoryHistory]:
    figures = dict(taken.memory)
    for kind, name in _POOLS.items():
        if name not in figures and taken.now.complete:
            mine = [n for n, key in enumerate(taken.keys) if key.pool is kind and key.session is None]
            figures[name] = np.nansum(taken.tables[BYTES][:, mine], axis=1)
    if figures:
        yield MemoryHistory(
            where=where,
            times=_column(taken.times),
            figures={name: _column(column) for name, column in figures.items()},
            snapshots=taken.count,
            utc=taken.host.utc,
            dated_by="the samples",
        )


def _up_time(taken: Taken, where: Where) -> Iterator[CounterSeries]:
    """How long Windows had been running, as the counter of that name: it tells of restarts."""
    boots = np.array([np.nan if boot is None else boot for boot in taken.boots], np.float64)
    known = np.isfinite(boots) & np.isfinite(taken.times)
    if known.any():
        yield CounterSeries(
            where=where,
            path=CounterPath(None, "System", None, "System Up Time"),
            times=_column(taken.times[known]),
            values=_column((taken.times - boots)[known]),
            samples=int(known.sum()),
            utc=taken.host.utc,
        )


def _processes(taken: Taken, where: Where, *, has_now: bool, has_series: bool) -> Iterator[Fact]:
    told = process_list(taken.last, where)
    if told is not None and not has_now:
        yield replace(told, at=moment(taken.now.time) if taken.host.utc else None)
    if not has_series:
        yield from taken.processes


def _history(taken: Taken, where: Where, dated_by: str) -> Iterator[TagHistory]:
    numbers = chosen_tags(taken)
    if not len(numbers) or not len(taken.times):
        return
    columns = [table[:, numbers].T.copy() for table in taken.tables]
    yield TagHistory(
        where=where,
        times=_column(taken.times),
        columns={
            taken.keys[number]: TagColumn(_column(sizes), _column(counts), _column(allocs))
            for number, sizes, counts, allocs in zip(numbers.tolist(), *columns, strict=True)
        },
        snapshots=taken.count,
        utc=taken.host.utc,
        dated_by=dated_by,
    )


def chosen_tags(taken: Taken) -> Ids:
    """The numbers of the tags that must be judged for the verdict to be that over all tags.

    A tag that never held nor moved by ``COURSE_BYTES`` is at rest by definition, and neither accused nor a part of
    anything. Some of each pool stay all the same: that tags were watched, and restarts, must show.
    """
    sizes, counts, allocs = taken.tables
    skipped = sums_over_sessions(taken.keys)
    with np.errstate(all="ignore"):
        top, low = np.fmax.reduce(sizes, axis=0), np.fmin.reduce(sizes, axis=0)
        blocks = np.fmax.reduce(counts, axis=0) - np.fmin.reduce(counts, axis=0)
        wanted = (top >= COURSE_BYTES.value) | (top - low >= COURSE_BYTES.value)
    unknown = np.isnan(top)
    wanted |= unknown & (blocks >= COURSE_COUNT.value)
    shown = ~unknown | np.isfinite(blocks)
    if shown.sum() <= FEW_TAGS:
        wanted = shown
    else:
        seen = np.isfinite(allocs).sum(axis=0)
        first = np.fmax.reduce(allocs, axis=0)
        for kind in PoolKind:
            mine = np.array([n for n, key in enumerate(taken.keys) if key.pool is kind and shown[n]], np.int64)
            if len(mine):
                order = np.lexsort((-np.nan_to_num(first[mine]), -seen[mine]))
                wanted[mine[order[:WITNESSES]]] = True
    numbers = np.flatnonzero(wanted)
    return np.array([n for n in numbers.tolist() if n not in skipped], np.int64) if skipped else numbers
