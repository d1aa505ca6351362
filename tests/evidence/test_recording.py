"""A recording as facts: what counter logs and poolmon logs would have said of the same machine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from math import isnan, nan
from typing import TypeVar

import numpy as np
import pytest

from poolsleuth.evidence import recording_processes
from poolsleuth.evidence.recording import TOLD_BY, Window, facts_of
from poolsleuth.evidence.tag_history import MAX_CELLS
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Where
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.series import CounterSeries, LogSpan, TagHistory, TagKey
from poolsleuth.model.system import ProcessList, TargetInfo
from poolsleuth.model.tags import Completeness, PoolKind, TagTable
from poolsleuth.sampling.recording.reader import Course, TagCourses
from poolsleuth.sampling.sample import Floats, Host, Ids, ProcessRow, Sample, TagFigures, TagIndex

START = 1_774_569_600.0  # 2026-03-27 00:00 UTC
_T = TypeVar("_T", bound=Fact)
MINUTE, DAY = 60.0, 86_400.0
MB = float(1 << 20)
HOST = Host("SRV01", "Windows Server 2019", 17763, "x64", 16 << 30)
ALL = Window()
LEAK, STEADY = TagKey("MmSt", PoolKind.PAGED), TagKey("Irp", PoolKind.NONPAGED)


@dataclass
class Recorded:
    """What the reader of recordings gives, out of a list of samples."""

    all: list[Sample]
    index: TagIndex
    host: Host = HOST
    every: float | None = MINUTE
    notes: Sequence[str] = ()
    given: list[int] = field(default_factory=list)

    @property
    def times(self) -> Floats:
        return np.array([sample.time for sample in self.all])

    def at(self, place: int) -> Sample:
        return self.all[place]

    def samples(self, places: Ids) -> Iterator[Sample]:
        assert np.all(np.diff(places) > 0)
        for place in places.tolist():
            self.given.append(place)
            yield self.all[place]

    def evenly(self, most: int, since: float | None = None, until: float | None = None) -> Ids:
        good = np.flatnonzero(~(self.times < (since or 0)) & ~(self.times > (until or 1e12)))
        return good[np.unique(np.linspace(0, len(good) - 1, min(most, len(good))).astype(np.int64))]

    def memory(self, names: Sequence[str], places: Ids) -> dict[str, Floats]:
        chosen = [self.all[place] for place in places.tolist()]
        columns = {name: np.array([sample.memory.get(name, nan) for sample in chosen]) for name in names}
        columns["uptime"] = np.array([nan if s.booted is None else s.time - s.booted for s in chosen])
        return columns

    def tag(self, keys: Sequence[TagKey], since: float | None = None, until: float | None = None) -> TagCourses:
        places = self.evenly(len(self.all), since, until)
        columns = {key: np.full((3, len(places)), np.nan) for key in keys}
        for row, place in enumerate(places.tolist()):
            tags = self.all[place].tags
            for number, *values in zip(tags.ids, tags.bytes, tags.outstanding, tags.allocs, strict=True):
                if (key := self.index.keys[int(number)]) in columns:
                    columns[key][:, row] = values
        return TagCourses(places, self.times[places], {key: Course(*column) for key, column in columns.items()})


def figures(index: TagIndex, *rows: tuple[TagKey, float, float, float]) -> TagFigures:
    ids = np.array([index.number(key) for key, *_ in rows], np.int64)
    columns = np.array([row[1:] for row in rows], np.float64).reshape(len(rows), 3)
    return TagFigures(ids, columns[:, 0], columns[:, 1], columns[:, 2])


def recorded(count: int = 100, **how: object) -> Recorded:
    index = TagIndex()
    samples = [
        Sample(
            START + MINUTE * number,
            figures(
                index,
                (LEAK, 100 * MB + number * MB, 1000.0 + number, 5000.0 + 3 * number),
                (STEADY, 4 * MB, 40_000.0, 1e7 + number),
            ),
            {"nonpaged_used": 200 * MB, "paged_used": 300 * MB + number * MB, "available": 8e9, "page_faults": 1.0},
            (ProcessRow(4, "System", 2000, 100, 200), ProcessRow(812, "svchost.exe", 500 + number, None, 7000, 0)),
            complete=True,
            booted=START - 10 * DAY,
        )
        for number in range(count)
    ]
    return Recorded(samples, index, **how)  # type: ignore[arg-type]


def read(recording: Recorded, window: Window = ALL) -> list[Fact]:
    facts, notes = facts_of(recording, 3, window)
    assert notes == []
    assert all(fact.where.input == 3 for fact in facts)
    return facts


def of(kind: type[_T], facts: list[Fact]) -> list[_T]:
    return [fact for fact in facts if isinstance(fact, kind)]


def test_the_machine() -> None:
    (target,) = of(TargetInfo, read(recorded()))
    assert (target.computer, target.os, target.build, target.architecture) == (
        "SRV01",
        "Windows Server 2019",
        17763,
        "x64",
    )
    assert target.server is True
    assert target.captured_at == datetime(2026, 3, 27, 1, 39, tzinfo=UTC)
    assert target.uptime_seconds == 10 * DAY + 99 * MINUTE
    assert target.told_by == TOLD_BY


def test_how_long_it_is() -> None:
    (span,) = of(LogSpan, read(recorded()))
    assert (span.hosts, span.samples, span.series) == (("SRV01",), 100, 2)
    assert (span.first, span.last) == (START, START + 99 * MINUTE)


def test_tags_over_time() -> None:
    (history,) = of(TagHistory, read(recorded()))
    assert list(history.columns) == [LEAK, STEADY]
    assert history.columns[LEAK].bytes.tolist() == [100 * MB + number * MB for number in range(100)]
    assert history.columns[LEAK].outstanding[5] == 1005.0
    assert history.columns[STEADY].allocs[99] == 1e7 + 99
    assert history.times.tolist() == [START + MINUTE * number for number in range(100)]
    assert (history.snapshots, history.complete, history.utc) == (100, True, True)


def test_first_and_last_table_are_whole() -> None:
    first, last = of(TagTable, read(recorded()))
    assert first.at == datetime(2026, 3, 27, tzinfo=UTC)
    assert last.at == datetime(2026, 3, 27, 1, 39, tzinfo=UTC)
    row = next(row for row in last.rows if row.tag == "MmSt")
    assert (row.bytes, row.outstanding, row.allocs, row.frees) == (199 << 20, 1099, 5297, 4198)
    assert last.completeness is Completeness.COMPLETE
    assert last.pools == {PoolKind.PAGED, PoolKind.NONPAGED}


def test_memory_is_counters_under_their_english_names() -> None:
    series = {one.path.text: one for one in of(CounterSeries, read(recorded()))}
    paged = series[r"\\SRV01\Memory\Pool Paged Bytes"]
    assert paged.values.tolist() == [300 * MB + number * MB for number in range(100)]
    assert paged.times[1] == START + MINUTE
    assert paged.samples == 100
    assert series[r"\\SRV01\System\System Up Time"].values[0] == 10 * DAY
    assert r"\\SRV01\Memory\Available Bytes" in series
    assert not any("Fault" in name or "Commit" in name for name in series)


def test_processes_are_counters_under_a_lasting_name() -> None:
    series = {one.path.text: one for one in of(CounterSeries, read(recorded()))}
    handles = series[r"\\SRV01\Process V2(svchost:812)\Handle Count"]
    assert handles.values.tolist() == [500.0 + number for number in range(100)]
    assert r"\\SRV01\Process V2(svchost:812)\Pool Nonpaged Bytes" not in series  # never known
    assert series[r"\\SRV01\Process V2(System:4)\Pool Paged Bytes"].values[7] == 200.0
    (processes,) = of(ProcessList, read(recorded()))
    assert [(one.name, one.pid, one.handles) for one in processes.processes] == [
        ("System", 4, 2000),
        ("svchost.exe", 812, 599),
    ]


def test_captures_at_the_peak_and_at_the_end() -> None:
    captures = of(MemoryCounters, read(recorded()))
    last = captures[-1]
    assert last.at == datetime(2026, 3, 27, 1, 39, tzinfo=UTC)
    assert last.source == TOLD_BY
    assert last.physical is not None
    assert last.physical.value == 16 << 30
    assert last.paged_used is not None
    assert last.paged_used.value == 399 << 20


def test_a_restart_shows_in_the_uptime() -> None:
    recording = recorded(100)
    recording.all[60:] = [
        Sample(s.time, s.tags, s.memory, s.processes, s.complete, START + 59.5 * MINUTE) for s in recording.all[60:]
    ]
    series = {one.path.text: one for one in of(CounterSeries, read(recording))}
    assert series[r"\\SRV01\System\System Up Time"].values[60] == pytest.approx(30.0)


def test_a_window_is_chosen_before_anything_is_left_out() -> None:
    recording = recorded(2000)
    window = Window(START + 600 * MINUTE, START + 650 * MINUTE)
    facts = read(recording, window)
    (history,) = of(TagHistory, facts)
    assert history.times.tolist() == [START + MINUTE * number for number in range(600, 651)]
    assert history.snapshots == 51
    (target,) = of(TargetInfo, facts)
    assert target.captured_at is not None
    assert target.captured_at.timestamp() == START + 650 * MINUTE
    assert set(recording.given) == set(range(600, 651))


def test_a_window_without_a_sample() -> None:
    with pytest.raises(InputError, match="no sample in the time that was asked for"):
        facts_of(recorded(), 0, Window(since=START + DAY))
    with pytest.raises(InputError, match="has no sample yet"):
        facts_of(Recorded([], TagIndex()), 0, Window())


def test_local_times_are_not_called_utc() -> None:
    facts = read(recorded(host=Host("SRV01", utc=False)))
    assert not any(one.utc for one in of(CounterSeries, facts))
    assert not of(TagHistory, facts)[0].utc
    assert [table.at for table in of(TagTable, facts)] == [None, None]
    assert of(TargetInfo, facts)[0].captured_at is None
    assert all(capture.at is None for capture in of(MemoryCounters, facts))


def test_tables_that_do_not_show_every_tag_say_so() -> None:
    recording = recorded(3)
    recording.all[1] = Sample(recording.all[1].time, recording.all[1].tags)
    facts = read(recording)
    assert not of(TagHistory, facts)[0].complete
    assert [table.completeness for table in of(TagTable, facts)] == [Completeness.COMPLETE, Completeness.COMPLETE]


def test_a_tag_that_comes_and_goes() -> None:
    recording = recorded(3)
    late = TagKey("Late", PoolKind.NONPAGED)
    middle = recording.all[1]
    recording.all[1] = Sample(middle.time, figures(recording.index, (late, 5.0, 1.0, 1.0)), complete=True)
    (history,) = of(TagHistory, read(recording))
    assert [isnan(value) for value in history.columns[late].bytes] == [True, False, True]
    assert [isnan(value) for value in history.columns[LEAK].bytes] == [False, True, False]


def test_tags_that_never_show_in_the_window_are_no_columns() -> None:
    recording = recorded(10)
    late = TagKey("Late", PoolKind.NONPAGED)
    first = recording.all[0]
    recording.all[0] = Sample(first.time, figures(recording.index, (late, 5.0, 1.0, 1.0)))
    (history,) = of(TagHistory, read(recording, Window(since=START + 1)))
    assert late not in history.columns


def test_pools_of_sessions_are_tables_of_their_own() -> None:
    index = TagIndex()
    mine = TagKey("Gh05", PoolKind.PAGED, 2)
    sample = Sample(START, figures(index, (STEADY, 1.0, 1.0, 1.0), (mine, 2.0, 1.0, nan)))
    tables = of(TagTable, read(Recorded([sample], index)))
    assert [(table.session, [row.tag for row in table.rows]) for table in tables] == [(None, ["Irp"]), (2, ["Gh05"])]
    assert (tables[1].rows[0].allocs, tables[1].rows[0].frees) == (None, None)


def test_many_tags_are_bounded_in_memory() -> None:
    index = TagIndex()
    keys = [TagKey(f"{number:04}", PoolKind.PAGED) for number in range(10_000)]
    tags = figures(index, *((key, 1.0, 1.0, 1.0) for key in keys))
    recording = Recorded([Sample(START + number, tags) for number in range(1000)], index)
    (history,) = of(TagHistory, read(recording))
    assert len(set(recording.given)) == len(history.times) == MAX_CELLS // 10_000
    assert (history.times[0], history.times[-1]) == (START, START + 999)
    assert history.snapshots == 1000


def test_one_sample_is_one_table() -> None:
    facts = read(recorded(1))
    assert len(of(TagTable, facts)) == 1
    assert len(of(TagHistory, facts)[0].times) == 1


def test_a_sample_with_nothing_in_it() -> None:
    empty = TagFigures(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0))
    facts = read(Recorded([Sample(START, empty)], TagIndex(), Host()))
    assert not any(isinstance(fact, TagTable | TagHistory | CounterSeries) for fact in facts)


def test_names_of_processes_cannot_break_the_name_of_a_counter() -> None:
    index = TagIndex()
    sample = Sample(START, figures(index), {}, (ProcessRow(7, "a(b)#1\\c/d.EXE", 5, 1, 2),))
    (handles, *_) = of(CounterSeries, read(Recorded([sample], index)))
    assert handles.path.instance == "a[b]_1_c_d:7"


def test_notes_of_the_reader_are_told() -> None:
    _, notes = facts_of(recorded(notes=("a part is missing",)), 0, Window())
    assert notes == ["a part is missing"]


@pytest.fixture(name="long")
def _long(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """2,000 samples, of which 100 are kept of every tag."""
    monkeypatch.setattr("poolsleuth.evidence.recording.MOST_SAMPLES", 100)
    return recorded(2000)


def test_tags_asked_for_are_whole_by_two_histories_that_share_no_sample(long: Recorded) -> None:
    thinned, rest = of(TagHistory, read(long, Window(asked=lambda tag: tag == "MmSt")))
    assert len(thinned.times) == 100
    assert list(rest.columns) == [LEAK]
    assert not set(thinned.times) & set(rest.times)
    both = {**dict(zip(thinned.times, thinned.columns[LEAK].bytes, strict=True))}
    both |= dict(zip(rest.times, rest.columns[LEAK].bytes, strict=True))
    assert [both[time] for time in sorted(both)] == [100 * MB + number * MB for number in range(2000)]
    assert thinned.snapshots + rest.snapshots == 2000
    assert not rest.complete


def test_tags_asked_for_in_a_window_that_is_short_enough_need_no_second_history(long: Recorded) -> None:
    window = Window(START, START + 50 * MINUTE, asked=lambda tag: tag == "MmSt")
    assert len(of(TagHistory, read(long, window))) == 1


def test_tags_that_are_not_there_were_asked_for(long: Recorded) -> None:
    assert len(of(TagHistory, read(long, Window(asked=lambda tag: tag == "None")))) == 1


def test_so_many_tags_asked_for_that_some_are_given_at_fewer_samples(
    long: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poolsleuth.evidence.recording.MAX_ASKED_CELLS", 1900)
    facts, notes = facts_of(long, 0, Window(asked=lambda _: True))
    assert list(of(TagHistory, facts)[1].columns) == [LEAK]
    assert notes == ["2 tags are asked for: the first 1 are given at every sample, the others at 100 samples"]


def test_memory_is_told_at_every_sample_however_few_of_the_tags_are_kept(long: Recorded) -> None:
    series = {one.path.counter: one for one in of(CounterSeries, read(long)) if one.path.object == "Memory"}
    assert len(series["Pool Paged Bytes"].times) == 2000
    assert series["Pool Paged Bytes"].values[1234] == 300 * MB + 1234 * MB


def test_memory_is_bounded_too(long: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poolsleuth.evidence.recording.MAX_MEMORY_CELLS", 1600)
    series = {one.path.counter: one for one in of(CounterSeries, read(long)) if one.path.object == "Memory"}
    paged = series["Pool Paged Bytes"]
    assert len(paged.times) == 201
    assert (paged.times[0], paged.times[-1]) == (START, START + 1999 * MINUTE)
    assert paged.samples == 2000


def test_times_that_go_back_are_put_in_order() -> None:
    recording = recorded(5)
    recording.all.sort(key=lambda sample: sample.time == START + 2 * MINUTE)
    facts = read(recording)
    assert of(TagHistory, facts)[0].times.tolist() == [START + MINUTE * number for number in range(5)]
    assert of(TagHistory, facts)[0].columns[LEAK].bytes.tolist() == [(100 + number) * MB for number in range(5)]
    assert of(CounterSeries, facts)[0].times.tolist() == [START + MINUTE * number for number in range(5)]


def test_samples_without_a_time_are_left_out_where_others_have_one() -> None:
    recording = recorded(5)
    recording.all[2] = Sample(nan, recording.all[2].tags, {"nonpaged_used": 1.0})
    facts = read(recording)
    assert len(of(TagHistory, facts)[0].times) == 4
    assert all(len(one.times) == 4 for one in of(CounterSeries, facts) if one.path.object == "Memory")


def test_processes_are_thinned_out_evenly_and_the_newest_sample_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_processes, "MAX_PROCESS_CELLS", 100)
    counters = recording_processes.ProcessCounters()
    for number in range(1001):
        rows = [ProcessRow(pid, f"p{pid}.exe", number, None, None) for pid in range(4 if number < 1000 else 5)]
        counters.add(60.0 * number, rows)
        found = list(counters.series("SRV01", Where(0), utc=True))
        for one in found:
            assert one.values[-1] == number
            assert list(one.times) == [60.0 * value for value in one.values]
    assert len(found) == 5
    assert sum(len(one.times) for one in found) <= 105
    steps = {int(later - earlier) for earlier, later in pairwise(found[0].values[:-1])}
    assert len(steps) == 1
    assert 16 <= len(found[0].times) <= 26
    assert not counters.lost
