"""Files become samples in the order of time, with the figures of memory that belong to them."""

from array import array
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Where
from poolsleuth.model.machine import Machine, System
from poolsleuth.model.series import CounterSeries, TagColumn, TagHistory, TagKey
from poolsleuth.model.tags import Completeness, PoolKind, TagRow, TagTable
from poolsleuth.pipeline import Assumed
from poolsleuth.reading import Selection
from poolsleuth.sampling.recording.reader import Recording
from poolsleuth.sampling.recording.writer import RecordingWriter
from poolsleuth.sampling.sample import ProcessRow, Sample, Series
from poolsleuth.top.replay import Opened, open_series
from poolsleuth.top.replay_recording import RecordedPart
from poolsleuth.top.replay_series import EvidenceSeries
from poolsleuth.windows.builds import parse_os_name

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
NONPAGED, PAGED = PoolKind.NONPAGED, PoolKind.PAGED
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def snapshot(at: datetime | None, tags: dict[str, int], nonpaged_kb: int = 50_000, *, zone: str = "+00:00") -> str:
    """What `Get-Date -Format o` and `poolmon -n` leave: a dated snapshot, all tags nonpaged, blocks of 64 bytes."""
    date = [f"{at:%Y-%m-%dT%H:%M:%S}.0000000{zone}"] if at is not None else []
    rows = [
        f" {tag:<4} Nonp {blocks * 2:>10} {blocks:>10} {blocks:>10} {blocks * 64:>12} {64:>8}"
        for tag, blocks in tags.items()
    ]
    head = [
        " Memory: 2096620K Avail: 1500000K  PageFlts:     1   InRam Krnl: 2000K P:90000K",
        f" Commit: 600000K Limit:4000000K Peak: 700000K            Pool N:{nonpaged_kb}K P:100000K",
        " System pool information",
        " Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc",
        "",
    ]
    return "\r\n".join([*date, *head, *rows, ""])


def log(path: Path, count: int, *, first: int = 0, dated: bool = True, step: int = 15) -> Path:
    parts = [
        snapshot(
            START + timedelta(minutes=step * n) if dated else None,
            {"Leak": 1000 + 100 * n, "Stil": 500},
            50_000 + n,
        )
        for n in range(first, first + count)
    ]
    path.write_text("\r\n".join(parts), newline="")
    return path


def figures(series: Series, sample: Sample) -> dict[str, float]:
    return {series.index.keys[n].tag: size for n, size in zip(sample.tags.ids, sample.tags.bytes, strict=True)}


def all_of(opened: Opened) -> list[Sample]:
    return [opened.series.at(place) for place in range(len(opened.series.times))]


def test_a_poolmon_log(tmp_path: Path) -> None:
    opened = open_series([log(tmp_path / "pool.log", 20)])
    series = opened.series
    assert series.times.tolist() == [(START + timedelta(minutes=15 * n)).timestamp() for n in range(20)]
    sample = series.at(3)
    assert set(figures(series, sample)) == {"Leak", "Stil"}
    assert figures(series, sample)["Leak"] == 1300 * 64
    assert sample.memory["nonpaged_used"] == 50_003 * 1024
    assert sample.memory["physical"] == 2_096_620 * 1024
    assert sample.memory["commit_limit"] == 4_000_000 * 1024
    assert sample.label == ""
    assert opened.title == "pool.log"
    assert series.host.utc
    with pytest.raises(IndexError):
        series.at(20)


def test_many_files_are_one_series(tmp_path: Path) -> None:
    files = [log(tmp_path / f"{n}.log", 1, first=n) for n in range(6)]
    opened = open_series([files[3], files[0], files[5], files[1], files[4], files[2]])
    assert len(opened.series.times) == 6
    assert [figures(opened.series, s)["Leak"] for s in all_of(opened)] == [(1000 + 100 * n) * 64 for n in range(6)]
    assert [s.memory["nonpaged_used"] for s in all_of(opened)] == [(50_000 + n) * 1024 for n in range(6)]


def test_two_logs_that_overlap_show_each_moment_once(tmp_path: Path) -> None:
    opened = open_series([log(tmp_path / "a.log", 10), log(tmp_path / "b.log", 10, first=5)])
    assert len(opened.series.times) == 15
    for sample in all_of(opened):
        assert len(set(sample.tags.ids.tolist())) == len(sample.tags.ids)


def test_snapshots_without_dates_stay_in_their_order(tmp_path: Path) -> None:
    opened = open_series([log(tmp_path / "pool.log", 5, dated=False)])
    samples = all_of(opened)
    assert all(isnan(s.time) for s in samples)
    assert [s.label for s in samples] == [f"snapshot {n} of 5" for n in range(1, 6)]
    assert [figures(opened.series, s)["Leak"] for s in samples] == [(1000 + 100 * n) * 64 for n in range(5)]
    assert not opened.player().dated
    assert opened.problems  # that the times are not known


def test_local_times_are_said_to_be_local(tmp_path: Path) -> None:
    parts = [snapshot(START + timedelta(hours=n), {"Leak": 100}, zone="") for n in range(4)]
    path = tmp_path / "pool.log"
    path.write_text("\r\n".join(parts), newline="")
    opened = open_series([path])
    assert not opened.series.host.utc
    assert any("local" in note for note in opened.series.notes)


def test_time_is_bounded_by_the_selection(tmp_path: Path) -> None:
    path = log(tmp_path / "pool.log", 20)
    since = (START + timedelta(hours=2)).timestamp()
    opened = open_series([path], selection=Selection(since=since))
    assert opened.series.times[0] == since
    assert len(opened.series.times) == 12
    with pytest.raises(InputError, match="nothing in these files"):
        open_series([path], selection=Selection(since=since + 10**6))


def test_counters_beside_a_log_give_the_pools(tmp_path: Path) -> None:
    rows = [
        '"(PDH-CSV 4.0) (UTC)(0)","\\\\HOST\\Memory\\Pool Paged Bytes",'
        '"\\\\HOST\\Memory\\Free System Page Table Entries"'
    ]
    for n in range(40):
        at = START + timedelta(minutes=5 * n, seconds=20)
        rows.append(f'"{at:%m/%d/%Y %H:%M:%S}.000","{1_000_000 + n}","{7_000 + n}"')
    counters = tmp_path / "perf.csv"
    counters.write_text("\r\n".join(rows) + "\r\n", newline="")
    opened = open_series([log(tmp_path / "pool.log", 10), counters])
    assert len(opened.series.times) == 10
    assert opened.series.at(2).memory["free_system_ptes"] == 7_006
    assert opened.series.at(2).memory["paged_used"] == 100_000 * 1024  # poolmon's own, of that very moment
    alone = open_series([counters])
    assert len(alone.series.times) == 40
    assert len(alone.series.at(0).tags) == 0
    assert alone.series.at(5).memory["paged_used"] == 1_000_005
    assert any("no pool tags" in note for note in alone.series.notes)


def test_captures_of_a_machine_in_order(tmp_path: Path) -> None:
    opened = open_series([EXAMPLES / "mmst.log"])
    assert len(opened.series.times) == 1
    assert opened.judge().patient is False
    sizes = figures(opened.series, opened.series.at(0))
    assert sizes["MmSt"] == pytest.approx(140.2 * (1 << 20), rel=0.001)


def test_several_machines_are_listed() -> None:
    path = EXAMPLES / "two-machines.log"
    with pytest.raises(
        InputError, match=r"2 machines; choose one with --machine NUMBER: 1 EXAMPLE-FS03 \(2010"
    ) as told:
        open_series([path])
    assert "2 EXAMPLE-PC21" in str(told.value)
    assert open_series([path], machine=2).title == "EXAMPLE-PC21"
    with pytest.raises(InputError, match="there is no machine 3"):
        open_series([path], machine=3)


def test_nothing_to_play(tmp_path: Path) -> None:
    empty = tmp_path / "empty.log"
    empty.write_bytes(b"")
    for files in ([empty], [tmp_path / "missing.log"], [EXAMPLES / "pooltag-sample.txt"], []):
        with pytest.raises(InputError, match="nothing in these files"):
            open_series(files)


def test_what_the_user_knows_completes_the_system(tmp_path: Path) -> None:
    path = log(tmp_path / "pool.log", 10)
    windows = parse_os_name("Windows Server 2019")
    opened = open_series([path, EXAMPLES / "pooltag-sample.txt"], assumed=Assumed(windows, None))
    assert opened.system.os is not None
    assert "2019" in opened.system.os
    assert opened.descriptions
    assert opened.owners().of(TagKey("Zq9x", NONPAGED)).driver is None


def test_a_thinned_history_says_so() -> None:
    times = array("d", (16.0 * 60 * n for n in range(625)))
    ones = array("d", [1.0]) * 625
    columns = {TagKey("Leak", NONPAGED): TagColumn(ones, ones, ones)}
    history = TagHistory(where=Where(0), times=times, columns=columns, snapshots=10_000, complete=True)
    series = EvidenceSeries(Machine(system=System(), inputs=(0,), facts=(history,)))
    assert series.notes == ("every 16th of 10,000 snapshots is replayed",)
    assert series.at(624).complete


def recorded(folder: Path, opened: Opened) -> Path:
    path = folder / "pool.parquet"
    with RecordingWriter(path, opened.series.host, every=900) as writer:
        for sample in all_of(opened):
            writer.add(sample, opened.series.index)
    return path


def keys_of(series: Series, sample: Sample) -> Sequence[tuple[TagKey, float]]:
    return sorted(
        ((series.index.keys[n], size) for n, size in zip(sample.tags.ids, sample.tags.bytes, strict=True)),
        key=lambda item: (item[0].tag, item[0].pool),
    )


def test_a_recording_is_played_sample_by_sample(tmp_path: Path) -> None:
    source = open_series([log(tmp_path / "pool.log", 30)])
    path = recorded(tmp_path, source)
    opened = open_series([path])
    assert isinstance(opened.series, Recording)
    assert np.array_equal(opened.series.times, source.series.times)
    for place in (0, 7, 29):
        assert keys_of(opened.series, opened.series.at(place)) == keys_of(source.series, source.series.at(place))
    since = float(source.series.times[10])
    part = open_series([path], selection=Selection(since=since)).series
    assert isinstance(part, RecordedPart)
    assert part.times[0] == since
    assert len(part) == 20
    assert keys_of(part, part.at(5)) == keys_of(source.series, source.series.at(15))
    assert [s.time for s in part.samples([0, 3])] == [part.times[0], part.times[3]]
    leak = TagKey("Leak", NONPAGED)
    assert part.tag([leak]).courses[leak].bytes.tolist() == [(1000 + 100 * n) * 64 for n in range(10, 30)]
    with pytest.raises(IndexError):
        part.at(20)


def test_a_recording_of_several_parts_is_opened_without_reading_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_series([log(tmp_path / "pool.log", 30)])
    path = tmp_path / "pool.parquet"
    index, days = source.series.index, 4
    with RecordingWriter(path, source.series.host, every=900) as writer:
        for day in range(days):
            for sample in all_of(source):
                row = ProcessRow(8, "svc.exe", 300, 1000, 1000)
                writer.add(replace(sample, time=sample.time + 86_400 * day, processes=[row]), index)
    parts = sorted(tmp_path.glob("pool*.parquet"))
    assert len(parts) > 1
    looked: list[int] = []
    samples = Recording.samples

    def counted(self: Recording, places: Any) -> Any:
        for sample in samples(self, places):
            looked.append(1)
            yield sample

    whole = open_series([path, tmp_path / "pool.log"])  # with something else: read as the diagnosis does
    monkeypatch.setattr(Recording, "samples", counted)
    monkeypatch.setattr("poolsleuth.top.replay_quick.MOST_LOOKED_AT", 10)
    for given in ([path], parts):
        looked.clear()
        opened = open_series(given)
        assert isinstance(opened.series, Recording)
        assert len(looked) <= 20
        assert len(opened.series.times) == 30 * days
        assert opened.system == whole.system
        assert opened.history
        assert {type(one.fact) for one in opened.known} <= {type(one.fact) for one in whole.known}
        assert any(isinstance(one.fact, CounterSeries) for one in opened.known)
    with pytest.raises(InputError, match="there is no machine 2"):
        open_series([path], machine=2)


def test_a_recording_with_a_log_beside_it(tmp_path: Path) -> None:
    source = open_series([log(tmp_path / "pool.log", 30)])
    opened = open_series([recorded(tmp_path, source), tmp_path / "pool.log"])
    assert isinstance(opened.series, Recording)
    assert any("a recording is played by itself" in problem for problem in opened.problems)


def test_a_moment_keeps_what_each_source_knows_of_a_tag(tmp_path: Path) -> None:
    """A poolmon snapshot has allocations and frees; a debugger's table of the same second has not."""
    at = START + timedelta(minutes=30)
    where = [Where(0), Where(1)]
    full = [TagRow("Leak", NONPAGED, 2400, 1200, 1200, 76_800, where[0])]
    bare = [TagRow(tag, NONPAGED, None, None, held, 64 * held, where[1]) for tag, held in (("Leak", 1201), ("Only", 5))]
    pools, unknown = frozenset({NONPAGED, PAGED}), Completeness.UNKNOWN
    lists = [
        TagTable(where=place, at=at, rows=tuple(rows), pools=pools, completeness=unknown)
        for place, rows in zip(where, (full, bare), strict=True)
    ]
    for tables in (lists, lists[::-1]):
        series = EvidenceSeries(Machine(system=System(), inputs=(0, 1), facts=tuple(tables)))
        assert len(series) == 1
        tags = series.at(0).tags
        found = {series.index.keys[n].tag: place for place, n in enumerate(tags.ids.tolist())}
        assert tags.allocs[found["Leak"]] == 2400
        assert tags.outstanding[found["Leak"]] == 1200  # with its allocations: they are of one count
        assert (tags.outstanding[found["Only"]], isnan(tags.allocs[found["Only"]])) == (5, True)
