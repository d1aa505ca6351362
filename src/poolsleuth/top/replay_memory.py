"""Figures of memory beside the samples of a replay: from poolmon's headers, captures and counter logs, by time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor, isfinite

import numpy as np

from poolsleuth.model.machine import Machine
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.series import CounterSeries, MemoryHistory
from poolsleuth.model.system import TargetInfo
from poolsleuth.model.tags import PoolmonMemory
from poolsleuth.sampling.sample import MEMORY_FIGURES, Floats
from poolsleuth.windows.counters import BYTES_PER, Unit, english_of, unit_of

NEAR = 60.0  # seconds within which a figure is taken for a sample's own, however often it was recorded
_LATEST = 32_503_680_000.0  # the year 3000
_COUNTERS = {
    "pool nonpaged bytes": "nonpaged_used",
    "pool paged bytes": "paged_used",
    "pool paged resident bytes": "paged_resident",
    "available bytes": "available",
    "available kbytes": "available",
    "available mbytes": "available",
    "committed bytes": "committed",
    "commit limit": "commit_limit",
    "free system page table entries": "free_system_ptes",
}
_POOLS = ("nonpaged_used", "paged_used")


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One figure of memory over time, from one source; ``reach`` is how far from its own time a value may be used."""

    figure: str
    times: Floats
    values: Floats
    reach: float
    input: int
    utc: bool


class MemoryTracks:
    """The figures of memory at each sample. Of several sources of a figure, the nearest in time counts."""

    def __init__(self, machine: Machine, times: Floats, inputs: Sequence[int], *, utc: bool) -> None:
        self._columns: dict[str, Floats] = {}
        tracks = [track for track in _tracks(machine) if track.utc == utc]
        for figure in MEMORY_FIGURES:
            mine = [track for track in tracks if track.figure == figure]
            column = _by_time(mine, times) if np.isfinite(times).all() else _by_order(mine, times, inputs)
            if np.isfinite(column).any():
                self._columns[figure] = column
        physical = machine.system.physical_bytes
        if physical is not None:
            known = self._columns.get("physical", np.full(len(times), np.nan))
            self._columns["physical"] = np.where(np.isfinite(known), known, float(physical))

    def at(self, place: int) -> Mapping[str, float]:
        """The figures that are known at a sample."""
        return {figure: value for figure, column in self._columns.items() if isfinite(value := float(column[place]))}


def pool_times(machine: Machine, *, utc: bool) -> tuple[Floats, int]:
    """When the pools' own figures were recorded, and by which input: where no tag table says more."""
    tracks = [track for track in _tracks(machine) if track.utc == utc]
    mine = [t for t in tracks if t.figure in _POOLS and len(t.times)]
    timed = [t for t in mine if np.isfinite(t.times).all()]
    if timed:
        return np.unique(np.concatenate([track.times for track in timed])), timed[-1].input
    if mine:
        return np.full(len({track.input for track in mine}), np.nan), mine[0].input
    return np.empty(0), 0


class Boots:
    """When Windows had been started, at any time: from what says how long it has run."""

    def __init__(self, machine: Machine, *, utc: bool) -> None:
        told: list[tuple[float, float]] = []
        for info in machine.all(TargetInfo):
            if utc and info.captured_at is not None and info.uptime_seconds is not None:
                at = info.captured_at.timestamp()
                told.append((at, at - info.uptime_seconds))
        for series in machine.all(CounterSeries):
            if series.utc == utc and english_of(series.path) == ("system", "system up time"):
                times, values = np.asarray(series.times), np.asarray(series.values)
                good = np.isfinite(times) & np.isfinite(values)
                told += zip(times[good].tolist(), (times - values)[good].tolist(), strict=True)
        told.sort()
        self._times = np.array([at for at, _ in told], np.float64)
        self._boots = np.array([boot for _, boot in told], np.float64)

    def at(self, time: float) -> float | None:
        """The start of the Windows that ran at a time; None when nothing says it.

        Who says later that Windows has been running since before this time speaks for it too.
        """
        if not len(self._times) or not isfinite(time):
            return None
        place = int(np.searchsorted(self._times, time - NEAR))
        if place < len(self._times) and self._boots[place] <= time:
            return float(self._boots[place])
        return None


def _tracks(machine: Machine) -> Iterator[Track]:
    for fact in machine.facts:
        if isinstance(fact, MemoryHistory):
            times = np.asarray(fact.times, np.float64)
            for figure, column in fact.figures.items():
                if figure in MEMORY_FIGURES:
                    values = np.asarray(column, np.float64)
                    yield Track(figure, times, values, _reach(times), fact.where.input, fact.utc)
        elif isinstance(fact, CounterSeries):
            track = _counter(fact)
            if track is not None:
                yield track
        elif isinstance(fact, MemoryCounters | PoolmonMemory):
            yield from _captured(fact)


def _captured(fact: MemoryCounters | PoolmonMemory) -> Iterator[Track]:
    time = np.array([floor(fact.at.timestamp()) if fact.at is not None else np.nan], np.float64)
    for figure in MEMORY_FIGURES:
        told = getattr(fact, figure, None)
        if told is None:
            continue
        value = float(told.value)
        if figure == "nonpaged_used" and isinstance(fact, MemoryCounters) and fact.nonpaged_nx_used is not None:
            value += fact.nonpaged_nx_used.value  # from Windows 8 on counted apart
        yield Track(figure, time, np.array([value]), NEAR, fact.where.input, True)


def _counter(series: CounterSeries) -> Track | None:
    object_, counter = english_of(series.path)
    figure = _COUNTERS.get(counter) if object_ == "memory" else None
    if figure is None:
        return None
    times, values = np.asarray(series.times, np.float64), np.asarray(series.values, np.float64)
    unit = unit_of(object_, counter)
    if unit in BYTES_PER and unit is not Unit.BYTES:
        values = values * BYTES_PER[unit]
    good = (times >= 0) & (times < _LATEST) & np.isfinite(values) & (values >= 0)
    times, values = times[good], values[good]
    order = np.argsort(times, kind="stable")
    return Track(figure, times[order], values[order], _reach(times[order]), series.where.input, series.utc)


def _reach(times: Floats) -> float:
    """Half of the usual distance of two samples, with room for clocks that are not quite regular."""
    known = times[np.isfinite(times)]
    return max(NEAR, 0.75 * float(np.median(np.diff(known)))) if len(known) > 1 else NEAR


def _by_time(tracks: Sequence[Track], times: Floats) -> Floats:
    best = np.full(len(times), np.nan)
    distance = np.full(len(times), np.inf)
    for track in tracks:
        good = np.isfinite(track.times) & np.isfinite(track.values)
        known, values = track.times[good], track.values[good]
        if not len(known):
            continue
        if (np.diff(known) < 0).any():
            order = np.argsort(known, kind="stable")
            known, values = known[order], values[order]
        after = np.minimum(np.searchsorted(known, times), len(known) - 1)
        before = np.maximum(after - 1, 0)
        nearer = np.where(np.abs(known[before] - times) <= np.abs(known[after] - times), before, after)
        apart = np.abs(known[nearer] - times)
        better = (apart <= track.reach) & (apart < distance)
        best[better], distance[better] = values[nearer][better], apart[better]
    return best


def _by_order(tracks: Sequence[Track], times: Floats, inputs: Sequence[int]) -> Floats:
    """Without times: the figures of a sample's own input, one after the other where there are as many as samples."""
    column = np.full(len(times), np.nan)
    places: dict[int, list[int]] = {}
    for place, number in enumerate(inputs):
        places.setdefault(number, []).append(place)
    for number, mine in places.items():
        told = [track for track in tracks if track.input == number]
        histories = [track for track in told if len(track.values) > 1]
        singles = [track.values[0] for track in told if len(track.values)]
        values = histories[0].values if histories else np.array(singles)
        if len(values) == len(mine):
            column[mine] = values
        elif len(values) and len(mine) == 1:
            column[mine[0]] = values[-1]
    return column
