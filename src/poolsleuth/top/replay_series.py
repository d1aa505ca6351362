"""Evidence that was read as samples in the order of time: tag histories and single tag tables of one machine."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import floor, isfinite

import numpy as np

from poolsleuth.model.machine import Machine
from poolsleuth.model.series import FILE_TIME, CounterSeries, MemoryHistory, TagHistory, TagKey
from poolsleuth.model.tags import Completeness, PoolKind, TagTable
from poolsleuth.sampling.sample import Floats, Host, Ids, Sample, TagFigures, TagIndex
from poolsleuth.top.replay_memory import Boots, MemoryTracks, pool_times
from poolsleuth.windows.counters import english_of

MAX_SAMPLES = 100_000  # of single tables and counter samples: a counter log of a day with one a second
ONE_MOMENT = 1.0  # seconds: times of captures are whole seconds, those of histories are not
_SYSTEM_POOLS = frozenset({PoolKind.NONPAGED, PoolKind.PAGED})
_NO_TAGS = TagFigures(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0))


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The tables of one history, or one table: tables x tags. ``ids`` are the numbers of the tags."""

    ids: Ids
    bytes: Floats
    outstanding: Floats
    allocs: Floats


@dataclass(slots=True)
class Moment:
    """One sample: its time (NaN where not known), the rows of ``Columns`` that are its tables, and what is complete."""

    time: float
    rows: list[tuple[Columns, int]] = field(default_factory=list)
    complete: set[PoolKind] = field(default_factory=set)
    input: int = 0
    tables: list[TagTable] = field(default_factory=list)


class EvidenceSeries:
    """The samples of one machine out of everything that was read of it."""

    def __init__(self, machine: Machine) -> None:
        self.index = TagIndex()
        self._notes: list[str] = []
        histories = [h for h in machine.all(TagHistory) if len(h.times) and h.columns]
        covered = {h.where.input for h in histories}
        tables = [t for t in machine.all(TagTable) if t.where.input not in covered and t.rows]
        self.utc = _mostly_utc(machine, histories, tables)
        self.moments = self._of_tags(histories, tables) or self._without_tags(machine)
        self.has_history = bool(histories)
        self.dated_by = ", ".join(sorted({h.dated_by for h in histories if h.dated_by}))
        self.has_tags = any(moment.rows for moment in self.moments)
        self.dated = bool(self.moments) and all(isfinite(moment.time) for moment in self.moments)
        system = machine.system
        self.host = Host(
            computer=system.name,
            os=system.os,
            build=system.build,
            architecture=system.architecture,
            physical_bytes=system.physical_bytes,
            utc=self.utc,
        )
        self.times: Floats = np.array([moment.time for moment in self.moments], np.float64)
        self._memory = MemoryTracks(machine, self.times, [moment.input for moment in self.moments], utc=self.utc)
        self._boots = Boots(machine, utc=self.utc)
        self._note_of_histories(histories)
        if self.index.lost:
            self._notes.append(f"{self.index.lost:,} tags beyond the bound of this program are left out")

    @property
    def notes(self) -> Sequence[str]:
        """What was left out, in whole sentences."""
        return tuple(dict.fromkeys(self._notes))

    def note(self, says: str) -> None:
        """Something else that the user must know."""
        self._notes.append(says)

    def __len__(self) -> int:
        return len(self.moments)

    def at(self, place: int) -> Sample:
        """The sample of a place from 0."""
        if not 0 <= place < len(self.moments):
            raise IndexError(f"there are {len(self.moments)} samples, from 0 on: none is {place}")
        moment = self.moments[place]
        return Sample(
            time=moment.time,
            tags=_figures(moment.rows),
            memory=self._memory.at(place),
            complete=moment.complete >= _SYSTEM_POOLS,
            booted=self._boots.at(moment.time),
            label="" if isfinite(moment.time) else f"snapshot {place + 1:,} of {len(self.moments):,}",
        )

    # ---- where the samples come from ---------------------------------------------------------------------------

    def _of_tags(self, histories: Sequence[TagHistory], tables: Sequence[TagTable]) -> list[Moment]:
        timed = [h for h in histories if np.isfinite(_view(h.times)).all()]
        untimed = [h for h in histories if not np.isfinite(_view(h.times)).all()]
        dated = [t for t in tables if t.at is not None] if self.utc else []
        undated = [t for t in tables if t.at is None]
        other_zone = [h for h in timed if h.utc != self.utc]
        timed = [h for h in timed if h.utc == self.utc]
        known = sum(len(h.times) for h in timed) + len(dated)
        unknown = sum(len(h.times) for h in untimed) + len(undated)
        if other_zone or (not self.utc and any(t.at is not None for t in tables)):
            self._notes.append(
                "some tables have local times and others times in UTC, and nothing says the zone: those with fewer"
                " samples are left out"
            )
        if known and (not unknown or any(len(h.times) > 1 for h in timed) or known >= unknown):
            if unknown:
                self._notes.append(f"{unknown:,} tables without a time are left out")
            return self._in_time(timed, dated)
        return self._in_order([*timed, *untimed], [*dated, *undated])

    def _in_time(self, histories: Sequence[TagHistory], tables: Sequence[TagTable]) -> list[Moment]:
        found: dict[float, Moment] = {}
        for history, times in _on_common_times(histories):
            columns = self._columns(history)
            for row, time in enumerate(times.tolist()):
                moment = found.get(time)
                if moment is None:
                    moment = found[time] = Moment(time, input=history.where.input)
                moment.rows.append((columns, row))
                if history.complete:
                    moment.complete |= _SYSTEM_POOLS
        known = sorted(found)
        for table in tables[:MAX_SAMPLES]:
            time = _seconds(table.at)
            # Of a history and a table of one moment, the times may differ by the fraction of a second
            place = bisect_left(known, time)
            key = known[place] if place < len(known) and known[place] < time + ONE_MOMENT else time
            moment = found.setdefault(key, Moment(key, input=table.where.input))
            self._take(moment, table)
        return [found[time] for time in sorted(found)]

    def _in_order(self, histories: Sequence[TagHistory], tables: Sequence[TagTable]) -> list[Moment]:
        """Samples without known times, in the order in which they were given."""
        moments: list[tuple[int, Moment]] = []
        for history in histories:
            columns = self._columns(history)
            for row in range(len(history.times)):
                moment = Moment(float("nan"), [(columns, row)], input=history.where.input)
                moment.complete |= _SYSTEM_POOLS if history.complete else set()
                moments.append((history.where.input, moment))
        current: Moment | None = None
        shown: set[tuple[int | None, PoolKind]] = set()
        for table in tables[:MAX_SAMPLES]:
            pools = {(table.session, kind) for kind in table.pools}
            if current is None or current.input != table.where.input or shown & pools:
                current, shown = Moment(float("nan"), input=table.where.input), set()
                moments.append((table.where.input, current))
            shown |= pools
            self._take(current, table)
        moments.sort(key=lambda item: item[0])
        return [moment for _, moment in moments]

    def _take(self, moment: Moment, table: TagTable) -> None:
        moment.rows.append((self._of_table(table), 0))
        moment.tables.append(table)
        if table.session is None and table.completeness is Completeness.COMPLETE:
            moment.complete |= table.pools

    def _without_tags(self, machine: Machine) -> list[Moment]:
        """Where no table is: the samples of the pools' own figures."""
        times, where = pool_times(machine, utc=self.utc)
        if not len(times):
            return []
        self._notes.append(
            "these files hold no pool tags: only the pools' own figures can be shown (poolmon snapshots or a recording"
            " tell the tags)"
        )
        step = -(-len(times) // MAX_SAMPLES)
        if step > 1:
            self._notes.append(f"every {_nth(step)} of {len(times):,} samples is replayed")
        return [Moment(time, input=where) for time in times[::step].tolist()]

    def _columns(self, history: TagHistory) -> Columns:
        ids = np.array([self.index.number(key) for key in history.columns], np.int64)
        kept = np.flatnonzero(ids >= 0)
        columns = list(history.columns.values())
        shape = (len(history.times), len(kept))
        sizes, counts, allocs = np.empty(shape), np.empty(shape), np.empty(shape)
        for place, number in enumerate(kept.tolist()):
            column = columns[number]
            sizes[:, place] = _view(column.bytes)
            counts[:, place] = _view(column.outstanding)
            allocs[:, place] = _view(column.allocs)
        return Columns(ids[kept], sizes, counts, allocs)

    def _of_table(self, table: TagTable) -> Columns:
        rows = {self.index.number(TagKey(row.tag, row.pool, table.session)): row for row in table.rows}
        rows.pop(-1, None)

        def column(figures: Iterator[int | None]) -> Floats:
            return np.array([[np.nan if value is None else float(value) for value in figures]], np.float64)

        return Columns(
            np.array(list(rows), np.int64),
            column(row.bytes for row in rows.values()),
            column(row.outstanding for row in rows.values()),
            column(row.allocs for row in rows.values()),
        )

    def _note_of_histories(self, histories: Sequence[TagHistory]) -> None:
        kept: dict[int, tuple[int, int]] = {}
        for history in histories:
            if history.snapshots > len(history.times):
                kept[history.where.input] = max(
                    kept.get(history.where.input, (0, 0)), (history.snapshots, len(history.times))
                )
        for snapshots, shown in kept.values():
            step = max(2, round(snapshots / shown))
            self._notes.append(f"every {_nth(step)} of {snapshots:,} snapshots is replayed")
        if any(FILE_TIME in history.dated_by for history in histories):
            self._notes.append("the times are those of the files, which copying may have changed")
        if not self.utc and self.dated:
            self._notes.append("the times are local, and nothing says the zone")


# ---- figures -------------------------------------------------------------------------------------------------------


def _figures(rows: Sequence[tuple[Columns, int]]) -> TagFigures:
    """The tables of one moment as one.

    Of a tag that is in several, what the one says that has most of its figures, of equal ones the first: histories
    stand first, and a change is right only where both moments come from one counter. What that one does not know comes
    from the others.
    """
    if not rows:
        return _NO_TAGS
    ids = np.concatenate([columns.ids for columns, _ in rows])
    sizes = np.concatenate([columns.bytes[row] for columns, row in rows])
    counts = np.concatenate([columns.outstanding[row] for columns, row in rows])
    allocs = np.concatenate([columns.allocs[row] for columns, row in rows])
    keep = np.isfinite(sizes) | np.isfinite(counts) | np.isfinite(allocs)
    if len(rows) == 1:
        return TagFigures(ids[keep], sizes[keep], counts[keep], allocs[keep])
    known = np.isfinite(sizes).astype(np.int8) + np.isfinite(counts) + np.isfinite(allocs)
    order = np.argsort(-known, kind="stable")[::-1]
    order = order[keep[order]]
    numbers, slots = np.unique(ids[order], return_inverse=True)

    def merged(column: Floats) -> Floats:
        values = column[order]
        there = np.isfinite(values)
        best = np.full(len(numbers), np.nan)
        best[slots[there]] = values[there]  # of several, the last one stays
        return best

    return TagFigures(numbers, merged(sizes), merged(counts), merged(allocs))


def _on_common_times(histories: Sequence[TagHistory]) -> Iterator[tuple[TagHistory, Floats]]:
    """Histories with the times of their rows. A report has one of each tag, thinned in different ways: they go by the
    times of the longest, nearest first."""
    by_input: dict[int, list[TagHistory]] = {}
    for history in histories:
        by_input.setdefault(history.where.input, []).append(history)
    for group in by_input.values():
        longest = _view(max(group, key=lambda h: len(h.times)).times)
        single = len(group) > 1 and all(len(history.columns) == 1 for history in group)
        for history in group:
            times = _view(history.times)
            yield history, _nearest(times, longest) if single else times


def _nearest(times: Floats, of: Floats) -> Floats:
    place = np.clip(np.searchsorted(of, times), 1, max(1, len(of) - 1))
    before, after = of[place - 1], of[np.minimum(place, len(of) - 1)]
    return np.where(times - before <= after - times, before, after)


def _mostly_utc(machine: Machine, histories: Sequence[TagHistory], tables: Sequence[TagTable]) -> bool:
    """Whether the samples are in UTC; local times of an unknown zone are not mixed with them."""
    in_utc = sum(len(h.times) for h in histories if h.utc) + len({t.at for t in tables if t.at is not None})
    local = sum(len(h.times) for h in histories if not h.utc and np.isfinite(_view(h.times)).all())
    if in_utc or local:
        return in_utc >= local
    times = [(len(h.times), h.utc) for h in machine.all(MemoryHistory)]
    times += [(len(s.times), s.utc) for s in machine.all(CounterSeries) if english_of(s.path)[0] == "memory"]
    return max(times, key=lambda item: item[0], default=(0, True))[1]


def _view(column: "Sequence[float]") -> Floats:
    return np.asarray(column, np.float64)


def _seconds(at: datetime | None) -> float:
    return float(floor(at.timestamp())) if at is not None else float("nan")


def _nth(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number:,}{ending}"
