"""Single captures out of counter series: what ``!vm`` would have printed at the end of a log, and at its peaks."""

from array import array
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import isfinite

from poolsleuth.model.facts import Fact, Figure, Where
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.series import CounterSeries, moment
from poolsleuth.model.system import TargetInfo
from poolsleuth.windows.counters import english_of

_MB = 1 << 20
# How far apart two samples may lie that are called one capture: all counters of a row have one time
_SAME_SAMPLE = 1.0  # seconds

# Counter of the object Memory -> field of MemoryCounters and the factor to its unit
_FIELDS = {
    "pool nonpaged bytes": ("nonpaged_used", 1),
    "pool paged bytes": ("paged_used", 1),
    "committed bytes": ("committed", 1),
    "commit limit": ("commit_limit", 1),
    "available bytes": ("available", 1),
    "available kbytes": ("available", 1 << 10),
    "available mbytes": ("available", _MB),
    "free system page table entries": ("free_system_ptes", 1),
}
# Counters of the server service that rise with each failed allocation -> field of MemoryCounters
_FAILURES = {
    "pool nonpaged failures": "nonpaged_failures_seen",
    "pool paged failures": "paged_failures_seen",
}
_MAX_BYTES = 1 << 62  # a figure above it is damage


def captures(series: Sequence[CounterSeries], where: Where) -> list[Fact]:
    """For each host of a log: its system at the last sample, and its memory at the peak of each pool and at the end.

    The time of a log without a known zone is not given on: a capture's time is UTC.
    """
    facts: list[Fact] = []
    hosts = dict.fromkeys(s.path.host for s in series)
    for host in hosts:
        facts += _of_host(host, [s for s in series if s.path.host == host], where)
    return facts


def _of_host(host: str | None, series: Sequence[CounterSeries], where: Where) -> list[Fact]:
    memory: dict[str, tuple[CounterSeries, int]] = {}
    uptime: CounterSeries | None = None
    failed: dict[str, Figure] = {}
    for one in series:
        object_, counter = english_of(one.path)
        if object_ == "memory" and counter in _FIELDS:
            name, factor = _FIELDS[counter]
            memory.setdefault(name, (one, factor))
        elif object_ == "server" and counter in _FAILURES and (rise := _rise(one)):
            failed[_FAILURES[counter]] = Figure(rise, where)
        elif (object_, counter) == ("system", "system up time"):
            uptime = one
    physical = _physical(series)
    last = max((s.times[-1] for s, _ in memory.values() if len(s.times)), default=None)
    if last is None and uptime is not None and len(uptime.times):
        last = uptime.times[-1]
    utc = all(one.utc for one in series)
    facts: list[Fact] = []
    up = _value_at(uptime, last) if uptime is not None and last is not None else None
    if last is not None and (utc or up is not None):
        facts.append(
            TargetInfo(
                where=where,
                computer=host,
                captured_at=moment(last) if utc else None,
                uptime_seconds=up,
            )
        )
    peaks = (_peak(memory[name][0]) for name in ("nonpaged_used", "paged_used") if name in memory)
    moments = sorted({time for time in (*peaks, last) if time is not None})
    for time in moments:
        figures: dict[str, Figure] = {}
        for name, (one, factor) in memory.items():
            value = _value_at(one, time)
            if value is not None and 0 <= value * factor < _MAX_BYTES:
                figures[name] = Figure(round(value * factor), where)
        if time == last:
            figures.update(failed)
        if figures:
            facts.append(
                MemoryCounters(
                    where=where,
                    at=moment(time) if utc else None,
                    source="performance counters",
                    physical=Figure(physical, where) if physical is not None else None,
                    **figures,  # type: ignore[arg-type]
                )
            )
    return facts


def _physical(series: Iterable[CounterSeries]) -> int | None:
    """Bytes of memory: the sum of the NUMA nodes' totals (Windows 7 and later), None when they were not recorded.

    ``_Total`` stands in where no single node was recorded.
    """
    found = [
        s
        for s in series
        if english_of(s.path) == ("numa node memory", "total mbytes") and len(s.values) and isfinite(s.values[-1])
    ]
    nodes = [s for s in found if (s.path.instance or "").casefold() != "_total"]
    total = sum(round(s.values[-1]) for s in nodes or found[:1])
    return total * _MB if 0 < total < _MAX_BYTES // _MB else None


def _rise(series: CounterSeries) -> int:
    """By how much a count rose in all; what it lost at a restart does not count."""
    known = [value for value in series.values if isfinite(value) and 0 <= value < _MAX_BYTES]
    return round(sum(max(0.0, later - earlier) for earlier, later in pairwise(known)))


def _peak(series: CounterSeries) -> float | None:
    best: float | None = None
    time: float | None = None
    for at, value in zip(series.times, series.values, strict=True):
        if isfinite(value) and (best is None or value > best):
            best, time = value, at
    return time


def _value_at(series: CounterSeries, time: float) -> float | None:
    times: array[float] = series.times
    low, high = 0, len(times)
    while low < high:
        middle = (low + high) // 2
        if times[middle] < time - _SAME_SAMPLE:
            low = middle + 1
        else:
            high = middle
    found: float | None = None
    while low < len(times) and times[low] <= time + _SAME_SAMPLE:
        if isfinite(series.values[low]):
            found = series.values[low]
        low += 1
    return found
