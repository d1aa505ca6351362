"""What else is known of a replayed machine, and from when on: a dump's figures are not known before it was taken."""

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite

import numpy as np

from poolsleuth.fusion.reported import ReportedMachine
from poolsleuth.model.facts import Fact
from poolsleuth.model.machine import Machine
from poolsleuth.model.memory import MemoryCounters, SessionMemory, SystemPtes
from poolsleuth.model.series import CounterSeries, LogSpan, MemoryHistory, TagHistory
from poolsleuth.model.system import ProcessList
from poolsleuth.model.tags import PoolmonMemory, TagTable
from poolsleuth.sampling.sample import Floats
from poolsleuth.top.replay_series import Moment

_A_MOMENT = 1.0  # seconds: what was captured at a sample is known at it
_CAPTURES = (MemoryCounters, SessionMemory, SystemPtes, TagTable, PoolmonMemory, ProcessList)


@dataclass(frozen=True, slots=True)
class Known:
    """A fact, the time (seconds) from which on it is known, and the number of samples; None: from the start."""

    fact: Fact
    since: float | None = None
    samples: int | None = None

    def at(self, time: float, count: int) -> bool:
        """Whether it is known at a time, after so many samples."""
        if self.samples is not None and count < self.samples:
            return False
        return self.since is None or not isfinite(time) or time >= self.since - _A_MOMENT


def known_of(machine: Machine, times: Floats, moments: Sequence[Moment] = ()) -> tuple[Known, ...]:
    """Every fact of a machine but the tags over time, which the samples tell themselves.

    ``times`` are those of the samples, ``moments`` the samples where they were made of this machine's facts.
    """
    facts = [fact for fact in machine.facts if not isinstance(fact, TagHistory | ReportedMachine | LogSpan)]
    is_dated = bool(np.isfinite(times).all())
    last = float(times[-1]) if is_dated and len(times) else None
    histories = {h.where.input: h for h in machine.all(TagHistory)}
    taken: dict[int, float] = {}
    for fact in facts:
        if isinstance(fact, _CAPTURES) and fact.at is not None:
            at = fact.at.timestamp()
            taken[fact.where.input] = min(taken.get(fact.where.input, inf), at)
    first_place: dict[int, int] = {}
    table_place: dict[int, int] = {}
    for place, moment in enumerate(moments):
        first_place.setdefault(moment.input, place)
        table_place.update({id(table): place for table in moment.tables})
    seen: set[tuple[int, type[Fact], int | None]] = set()
    known = []
    for fact in facts:
        since: float | None = None
        samples: int | None = None
        number = fact.where.input
        if isinstance(fact, MemoryHistory | CounterSeries):
            pass  # they are cut at the time of the sample
        elif not is_dated:
            there = table_place.get(id(fact), first_place.get(number))
            samples = there + 1 if there is not None else None
            if number in histories and _again(fact, seen):
                samples = (there or 0) + len(histories[number].times)
        elif fact.at is not None:
            since = fact.at.timestamp()
        elif number in taken and number not in histories:
            since = taken[number]
        elif number in histories and isinstance(fact, TagTable | PoolmonMemory):
            of = histories[number].times  # a log with local times keeps its first and its last table
            since = of[-1] if _again(fact, seen) else of[0]
        if since is not None and last is not None:
            since = min(since, last)
        known.append(Known(fact, since, samples))
    return tuple(known)


def _again(fact: Fact, seen: set[tuple[int, type[Fact], int | None]]) -> bool:
    """Whether a table of this kind was in the input before: then it is the last one that is kept of it."""
    if not isinstance(fact, TagTable | PoolmonMemory):
        return False
    kind = (fact.where.input, type(fact), fact.session if isinstance(fact, TagTable) else None)
    if kind in seen:
        return True
    seen.add(kind)
    return False


def facts_at(known: Sequence[Known], time: float, count: int, end: float | None) -> list[Fact]:
    """The facts that are known at a time (seconds, NaN where not known), after so many samples.

    ``end`` is the time of the last sample: what goes on behind it is known there.
    """
    whole = not isfinite(time) or (end is not None and time >= end)
    facts: list[Fact] = []
    for one in known:
        if not one.at(time, count):
            continue
        fact: Fact | None = one.fact
        if not whole and isinstance(fact, MemoryHistory | CounterSeries):
            fact = _cut(fact, time + _A_MOMENT)
        if fact is not None:
            facts.append(fact)
    return facts


def _cut(fact: MemoryHistory | CounterSeries, time: float) -> MemoryHistory | CounterSeries | None:
    """The samples up to a time; None when there is none yet."""
    count = bisect_right(fact.times, time)
    if count == len(fact.times):
        return fact
    if count == 0:
        return None

    def cut(column: "array[float]") -> "array[float]":
        return column[:count]

    if isinstance(fact, MemoryHistory):
        figures = {name: cut(column) for name, column in fact.figures.items()}
        return replace(fact, times=cut(fact.times), figures=figures, snapshots=count)
    return replace(fact, times=cut(fact.times), values=cut(fact.values), samples=count)
