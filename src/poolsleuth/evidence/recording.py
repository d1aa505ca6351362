"""A recording as evidence: what its samples say, as the facts that counter logs and poolmon logs give.

Figures of memory and of processes become counters under their English names, so that whatever judges a counter log
judges a recording too. Tags become a history in bounded memory: samples spread evenly over the time that is looked at.
Tags that were asked for are given in full, by a second history of the samples that the first leaves out.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import isfinite, nan
from typing import TYPE_CHECKING, Protocol

import numpy as np

from poolsleuth.evidence.counters.capture import captures
from poolsleuth.evidence.recording_processes import ProcessCounters, process_list
from poolsleuth.evidence.tag_history import MAX_CELLS, Cells, TagCollector
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Figure, Where
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.series import CounterPath, CounterSeries, LogSpan, TagColumn, TagHistory, TagKey, moment
from poolsleuth.model.system import TargetInfo
from poolsleuth.model.tags import Completeness, TagRow, TagTable
from poolsleuth.sampling.sample import Floats, Host, Ids, Sample, Series, TagFigures, TagIndex

if TYPE_CHECKING:
    from poolsleuth.sampling.recording.reader import TagCourses  # polars takes its time

MOST_SAMPLES = 20_000  # looked at for the diagnosis, however few tags there are: two weeks, one a minute
FEWEST_SAMPLES = 24  # however many tags there are
MAX_ASKED_CELLS = 4_000_000  # samples x tags that were asked for, 24 bytes each: seven tags for a year, one a minute
MAX_MEMORY_CELLS = 8_000_000  # samples x figures of memory, 16 bytes each: eight figures for two years, one a minute
TOLD_BY = "the recording"

_COUNTERS = {
    "nonpaged_used": ("Memory", "Pool Nonpaged Bytes"),
    "paged_used": ("Memory", "Pool Paged Bytes"),
    "paged_resident": ("Memory", "Pool Paged Resident Bytes"),
    "available": ("Memory", "Available Bytes"),
    "committed": ("Memory", "Committed Bytes"),
    "commit_limit": ("Memory", "Commit Limit"),
    "free_system_ptes": ("Memory", "Free System Page Table Entries"),
    "uptime": ("System", "System Up Time"),
}


class Recorded(Series, Protocol):
    """A recording that is open, as far as it is needed here."""

    @property
    def every(self) -> float | None:
        """Seconds between samples as they were asked for."""

    def samples(self, places: Ids) -> Iterator[Sample]:
        """The samples of ascending places."""

    def evenly(self, most: int, since: float | None = None, until: float | None = None) -> Ids:
        """Places spread evenly over a time, first and last always among them."""

    def memory(self, names: Sequence[str], places: Ids) -> Mapping[str, Floats]:
        """Figures of memory, and the uptime, at some places; NaN where not known."""

    def tag(self, keys: Sequence[TagKey], since: float | None = None, until: float | None = None) -> "TagCourses":
        """Some tags at every sample of a time."""


Asked = Callable[[str], bool]
"""Whether a tag was asked for by name."""


@dataclass(frozen=True, slots=True)
class Window:
    """What of a recording is looked at: bounds in seconds since 1970, None for none, and the tags asked for."""

    since: float | None = None
    until: float | None = None
    asked: Asked | None = None


@dataclass(slots=True)
class _Collected:
    """What is kept of sample after sample."""

    times: list[float] = field(default_factory=list)
    tags: TagCollector = field(default_factory=TagCollector)
    processes: ProcessCounters = field(default_factory=ProcessCounters)
    complete: bool = True
    physical: float | None = None
    first: Sample | None = None
    last: Sample | None = None

    def add(self, sample: Sample, index: TagIndex) -> None:
        """The next sample."""
        for key in index.keys[len(self.tags.keys) :]:
            self.tags.column(key)
        self.tags.begin()
        self.tags.add(_cells(sample.tags, len(self.tags.keys)))
        self.times.append(sample.time)
        self.physical = sample.memory.get("physical", self.physical)
        self.processes.add(sample.time, sample.processes)
        self.complete = self.complete and sample.complete
        self.first = self.first or sample
        self.last = sample


def _cells(tags: TagFigures, width: int) -> Cells:
    # Columns have the numbers of the tags themselves, up to the bound on columns
    return Cells(np.where(tags.ids < width, tags.ids, -1), tags.bytes, tags.outstanding, tags.allocs)


def facts_of(
    recording: Recorded, input_index: int, window: Window, progress: Callable[[int, int], None] | None = None
) -> tuple[list[Fact], list[str]]:
    """The facts of a recording, and sentences about what was left out.

    ``progress`` is told how many samples were read, and of how many. Raises InputError when it has no sample in the
    window.
    """
    inside = _inside(recording.times, window)
    if not len(recording.times):
        raise InputError("; ".join(recording.notes[:-1] or recording.notes) or "the recording has no sample yet")
    if not len(inside):
        raise InputError("it holds no sample in the time that was asked for")
    places = recording.evenly(_most(recording, window), window.since, window.until)
    if np.isfinite(recording.times[places]).any():
        places = places[np.isfinite(recording.times[places])]
    collected = _Collected()
    for done, sample in enumerate(recording.samples(places), 1):
        collected.add(sample, recording.index)
        if progress is not None:
            progress(done, len(places))
    if collected.first is None or collected.last is None:
        raise InputError("none of its samples could be read")
    host, where = recording.host, Where(input_index)
    facts: list[Fact] = [*_machine(recording, collected, where, inside)]
    series = list(_counters(recording, inside, where))
    processes = list(collected.processes.series(host.computer, where, utc=host.utc))
    facts += _captures(series, host, collected, where)
    facts += series
    facts += processes
    told = process_list(collected.last, where)
    facts += [replace(told, at=_at(collected.last, host))] if told is not None else []
    facts += _tables(collected, recording.index, host, where)
    kept, columns = collected.tags.columns(lambda numbers: sorted(numbers, key=lambda number: collected.times[number]))
    facts += _history(collected, kept, columns, host, where, len(inside))
    notes = list(recording.notes)
    if window.asked is not None:
        facts += _asked(recording, window, window.asked, places[kept], where, notes)
    if collected.processes.lost:
        notes.append("it names so many processes that some of their figures were left out")
    return facts, notes


def _most(recording: Recorded, window: Window) -> int:
    """How many samples can be kept of the tags that the window begins and ends with."""
    for _ in recording.samples(recording.evenly(2, window.since, window.until)):
        pass
    return min(MOST_SAMPLES, max(FEWEST_SAMPLES, MAX_CELLS // max(1, len(recording.index))))


def _inside(times: Floats, window: Window) -> Ids:
    good = np.ones(len(times), bool)
    if window.since is not None:
        good &= times >= window.since
    if window.until is not None:
        good &= times <= window.until
    return np.flatnonzero(good)


def _at(sample: Sample, host: Host) -> datetime | None:
    """The time of a sample as a fact's time, which is in UTC: None when only the local time is known."""
    return moment(sample.time) if host.utc else None


def _machine(recording: Recorded, collected: _Collected, where: Where, inside: Ids) -> Iterator[Fact]:
    host, last = recording.host, collected.last
    if last is None:
        return
    first, end = recording.times[inside[0]], recording.times[inside[-1]]
    hosts = (host.computer,) if host.computer is not None else ()
    yield LogSpan(
        where=where,
        hosts=hosts,
        samples=len(inside),
        series=len(recording.index),
        first=float(first),
        last=float(end),
    )
    yield TargetInfo(
        where=where,
        os=host.os,
        build=host.build,
        architecture=host.architecture,
        computer=host.computer,
        server=None if host.os is None else "server" in host.os.casefold(),
        captured_at=_at(last, host),
        uptime_seconds=None if last.booted is None else max(0.0, last.time - last.booted),
        told_by=TOLD_BY,
    )


def _counters(recording: Recorded, inside: Ids, where: Where) -> Iterator[CounterSeries]:
    """The figures of memory as counters under their English names, at every sample as far as memory allows."""
    step = -(-len(inside) * len(_COUNTERS) // MAX_MEMORY_CELLS)
    places = np.unique(np.append(inside[::step], inside[-1]))
    found = recording.memory(list(_COUNTERS), places)
    order = np.argsort(recording.times[places], kind="stable")  # a clock may have been set back
    times = recording.times[places][order]
    for name, unordered in found.items():
        object_, counter = _COUNTERS[name]
        values = unordered[order]
        known = np.isfinite(values) & np.isfinite(times)
        if known.any():
            yield CounterSeries(
                where=where,
                path=CounterPath(recording.host.computer, object_, None, counter),
                times=array("d", times[known].tobytes()),
                values=array("d", values[known].tobytes()),
                samples=len(inside),
                utc=recording.host.utc,
            )


def _captures(series: Sequence[CounterSeries], host: Host, collected: _Collected, where: Where) -> Iterator[Fact]:
    """Memory at the peak of each pool and at the end, as out of a counter log."""
    physical = host.physical_bytes if host.physical_bytes is not None else collected.physical
    known = None if physical is None or not isfinite(physical) else Figure(round(physical), where)
    found = [fact for fact in captures(series, where) if isinstance(fact, MemoryCounters)]
    if not found and known is not None:
        at = _at(collected.last, host) if collected.last is not None else None
        found = [MemoryCounters(where=where, at=at)]
    for fact in found:
        yield replace(fact, source=TOLD_BY, physical=known)


def _tables(collected: _Collected, index: TagIndex, host: Host, where: Where) -> Iterator[TagTable]:
    """The first and the last table, whole."""
    ends = [collected.first, collected.last] if len(collected.times) > 1 else [collected.last]
    for sample in ends:
        if sample is None:
            continue
        sessions: dict[int | None, list[TagRow]] = {}
        tags = sample.tags
        for number, size, count, allocs in zip(tags.ids, tags.bytes, tags.outstanding, tags.allocs, strict=True):
            key = index.keys[int(number)]
            sessions.setdefault(key.session, []).append(_row(key, size, count, allocs, where))
        for session, rows in sessions.items():
            yield TagTable(
                where=where,
                at=_at(sample, host),
                rows=tuple(rows),
                pools=frozenset(row.pool for row in rows),
                completeness=Completeness.COMPLETE if sample.complete else Completeness.UNKNOWN,
                session=session,
                source=TOLD_BY,
            )


def _row(key: TagKey, size: float, count: float, allocs: float, where: Where) -> TagRow:
    frees = allocs - count if allocs >= count else nan  # counts of 32 bits have wrapped
    return TagRow(
        tag=key.tag,
        pool=key.pool,
        allocs=_whole(allocs),
        frees=_whole(frees),
        outstanding=_whole(count),
        bytes=_whole(size),
        where=where,
    )


def _whole(value: float) -> int | None:
    return round(value) if isfinite(value) else None


def _history(
    collected: _Collected,
    numbers: Sequence[int],
    columns: Mapping[TagKey, TagColumn],
    host: Host,
    where: Where,
    samples: int,
) -> Iterator[TagHistory]:
    shown = {key: column for key, column in columns.items() if _known(column)}
    if shown:
        yield TagHistory(
            where=where,
            times=array("d", (collected.times[number] for number in numbers)),
            columns=shown,
            snapshots=samples,
            utc=host.utc,
            dated_by=TOLD_BY,
            complete=collected.complete,
        )


def _known(column: TagColumn) -> bool:
    return bool(np.isfinite(np.frombuffer(column.bytes)).any() or np.isfinite(np.frombuffer(column.outstanding)).any())


def _asked(
    recording: Recorded, window: Window, asked: Asked, told: Ids, where: Where, notes: list[str]
) -> Iterator[TagHistory]:
    """The tags that were asked for, at the samples that the other history leaves out: together they are all."""
    left = len(_inside(recording.times, window)) - len(told)
    keys = [key for key in recording.index.keys if asked(key.tag)]
    if not keys or left <= 0:
        return
    most = max(1, MAX_ASKED_CELLS // left)
    if len(keys) > most:
        notes.append(
            f"{len(keys):,} tags are asked for: the first {most:,} are given at every sample, the others at"
            f" {len(told):,} samples"
        )
    found = recording.tag(keys[:most], window.since, window.until)
    rest = ~np.isin(found.places, told)
    columns = {
        key: TagColumn(*(array("d", values[rest].tobytes()) for values in (one.bytes, one.outstanding, one.allocs)))
        for key, one in found.courses.items()
    }
    yield TagHistory(
        where=where,
        times=array("d", found.times[rest].tobytes()),
        columns=columns,
        snapshots=0,  # the other history counts them
        utc=recording.host.utc,
        dated_by=TOLD_BY,
    )
