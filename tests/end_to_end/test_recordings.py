"""Recordings are evidence as good as what they were made of: the same verdict, series and differences.

A simulated machine's poolmon log is made into a recording by the command itself: what the log says, the recording says
too, as a whole, in parts, and packed. What a recorder would have taken on that machine has its processes and memory
as well: then it says what poolmon and counters say together.
"""

import csv
import gzip
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import isnan
from pathlib import Path

import click
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

from poolsleuth import diagnose
from poolsleuth.cli.diff import diff
from poolsleuth.cli.record import record, write_series
from poolsleuth.cli.tags import tags
from poolsleuth.cli.trend import trend
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.course.course import Course, make_course
from poolsleuth.lab.course.evidence import FILES, write_run
from poolsleuth.lab.course.moment import Moment
from poolsleuth.lab.course.writers.load import quota_of
from poolsleuth.lab.machine import PAGE, PoolUse
from poolsleuth.lab.stories import Size
from poolsleuth.model.finding import Verdict
from poolsleuth.model.report import InputKind, Report, ReportMachine
from poolsleuth.model.series import TagHistory, TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.reading import Selection, read_all
from poolsleuth.sampling.recording.layout import journal_of
from poolsleuth.sampling.recording.writer import RecordingWriter
from poolsleuth.sampling.sample import Floats, Host, ProcessRow, Sample, Series, TagFigures, TagIndex
from poolsleuth.top.replay import open_series

SIZE = Size(ram_bytes=1 << 30, processors=2, tags=120, big_allocations=40, processes=10)
HOURS = 30
GUILTY = "Leak"


def course_of(scenario: str, windows: str = "19041-x64", *, hours: float = HOURS, seed: int = 0) -> Course:
    return make_course(
        windows_named(windows),
        scenario,
        hours=hours,
        every=timedelta(minutes=20 if hours > 24 else 30),
        seed=seed,
        size=SIZE,
    )


def run(command: click.Command, *arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@dataclass(frozen=True, slots=True)
class Pair:
    """The poolmon log of a run, and the recording that was made of it."""

    log: Path
    recording: Path


def make_pair(scenario: str, folder: Path) -> Pair:
    log = write_run(course_of(scenario), ("poolmon",), folder)[FILES["poolmon"]]
    recording = folder / "made" / "pool.parquet"
    recording.parent.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        # So that it has several parts, as one of weeks has
        for module in ("store", "writer"):
            patch.setattr(f"poolsleuth.sampling.recording.{module}.PART_SECONDS", 6 * 3600.0)
        result = run(record, recording, "--from", log)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("91 samples in 30 h, ")
    assert result.output.rstrip().endswith(f": poolsleuth diagnose {recording}")
    return Pair(log, recording)


@pytest.fixture(name="leak", scope="module")
def _leak(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair("pool-leak", tmp_path_factory.mktemp("leak"))


@pytest.fixture(name="healthy", scope="module")
def _healthy(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair("healthy", tmp_path_factory.mktemp("healthy"))


def only(report: Report) -> ReportMachine:
    assert [problem.says for problem in report.problems] == []
    (machine,) = report.machines
    return machine


def judged(machine: ReportMachine) -> list[tuple[object, ...]]:
    return [
        (f.pattern, f.verdict, f.confidence, f.headline, f.subject, f.trend)
        for f in machine.findings
        if f.verdict is not Verdict.NOT_ASSESSED
    ]


def parts(recording: Path) -> list[Path]:
    return sorted(recording.parent.iterdir())


def history(path: Path) -> dict[TagKey, list[object]]:
    """The figures of every tag; not known is None, which is equal to itself."""
    read = read_all([path], None)
    assert read.problems == []
    (found,) = [fact for facts in read.facts for fact in facts if isinstance(fact, TagHistory)]
    return {
        key: [
            None if isnan(value) else value
            for values in (column.bytes, column.outstanding, column.allocs)
            for value in values
        ]
        for key, column in found.columns.items()
    }


# ---- made of a poolmon log -------------------------------------------------------------------------------------


def test_a_leak_is_found_as_in_the_log(leak: Pair) -> None:
    machine, expected = only(diagnose(leak.recording)), only(diagnose(leak.log))
    assert expected.conclusion is not None
    assert GUILTY in expected.conclusion.says
    assert machine.conclusion == expected.conclusion
    assert judged(machine) == judged(expected)
    assert machine.pools == expected.pools
    assert (machine.system.os, machine.system.physical_bytes) == (expected.system.os, expected.system.physical_bytes)
    assert machine.system.captured_at == expected.system.captured_at


def test_nothing_is_found_where_the_log_holds_nothing(healthy: Pair) -> None:
    machine, expected = only(diagnose(healthy.recording)), only(diagnose(healthy.log))
    assert machine.conclusion is None
    assert judged(machine) == judged(expected)


def test_the_report_calls_it_a_recording(leak: Pair) -> None:
    (source,) = diagnose(leak.recording).inputs
    assert source.kind is InputKind.RECORDING
    assert source.bytes == leak.recording.stat().st_size


def test_every_figure_of_every_tag_is_that_of_the_log(leak: Pair) -> None:
    assert history(leak.recording) == history(leak.log)


def test_the_table_of_a_tag_is_that_of_the_log(leak: Pair, tmp_path: Path) -> None:
    tables = []
    for path in (leak.log, leak.recording):
        target = tmp_path / f"{path.stem}.csv"
        result = run(trend, path, "--tag", GUILTY, "--csv", target)
        assert result.exit_code == 0, result.output
        tables.append(target.read_text(encoding="utf-8"))
    assert tables[0] == tables[1]
    rows = list(csv.reader(tables[0].splitlines()))
    assert rows[0] == ["time", *(f"\\Pool Tag({GUILTY} nonpaged)\\{what}" for what in ("Bytes", "Outstanding"))]
    assert len(rows) == 92


def test_a_tag_that_is_asked_for_is_whole_where_the_others_are_thinned_out(
    leak: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run(trend, leak.recording, "--tag", GUILTY, "--csv", "-").output
    monkeypatch.setattr("poolsleuth.evidence.recording.MOST_SAMPLES", 20)
    rows = csv.DictReader(run(trend, leak.recording, "--csv", "-").output.splitlines())
    assert sum(1 for row in rows if any(row[name] for name in row if "Pool Tag" in name)) == 20
    assert run(trend, leak.recording, "--tag", GUILTY, "--csv", "-").output == expected
    machine = only(diagnose(leak.recording, selection=Selection(tags=(GUILTY,))))
    (series,) = [one for one in machine.series if one.tag == GUILTY]
    assert len(series.seconds) == series.samples == 91
    assert machine.conclusion == only(diagnose(leak.log)).conclusion


def test_the_list_of_tags_is_that_of_the_log(leak: Pair) -> None:
    assert run(tags, leak.recording, "--csv", "-").output == run(tags, leak.log, "--csv", "-").output


def test_a_window_of_time(leak: Pair, tmp_path: Path) -> None:
    whole = list(csv.DictReader(run(trend, leak.recording, "--tag", GUILTY, "--csv", "-").output.splitlines()))
    since, until = whole[20]["time"], whole[30]["time"]
    result = run(trend, leak.recording, "--tag", GUILTY, "--csv", "-", "--since", since, "--until", until)
    assert list(csv.DictReader(result.output.splitlines())) == whole[20:31]
    result = run(trend, leak.recording, "--since", "2040-01-01", "--csv", "-")
    assert result.exit_code == 2
    assert "it holds no sample in the time that was asked for" in result.output


@dataclass(frozen=True, slots=True)
class Cut:
    """Some samples of a series."""

    whole: Series
    places: range

    @property
    def index(self) -> TagIndex:
        return self.whole.index

    @property
    def host(self) -> Host:
        return self.whole.host

    @property
    def times(self) -> Floats:
        return self.whole.times[self.places]

    @property
    def notes(self) -> Sequence[str]:
        return ()

    def at(self, place: int) -> Sample:
        return self.whole.at(self.places[place])


def test_two_recordings_of_a_machine_are_compared(leak: Pair, tmp_path: Path) -> None:
    whole = open_series([leak.log]).series
    before, after = tmp_path / "before.parquet", tmp_path / "after.parquet"
    assert write_series(Cut(whole, range(30)), before)[0].samples == 30
    assert write_series(Cut(whole, range(60, 91)), after)[0].samples == 31
    result = run(diff, before, after)
    assert result.exit_code == 1, result.output
    assert GUILTY in result.output
    assert run(diff, before, before).exit_code == 0


# ---- files -----------------------------------------------------------------------------------------------------


def test_parts_and_journal_given_together_are_one_machine(leak: Pair) -> None:
    found = parts(leak.recording)
    assert len(found) >= 2  # a day was full
    again = leak.recording.parent / ".." / leak.recording.parent.name / leak.recording.name
    report = diagnose([*found, *found, again])
    assert judged(only(report)) == judged(only(diagnose(leak.log)))
    assert [source.kind for source in report.inputs] == [InputKind.RECORDING] * (len(found) + 1)


def test_an_older_part_stands_for_itself(leak: Pair) -> None:
    older = next(path for path in parts(leak.recording) if path != leak.recording)
    key = TagKey(GUILTY, PoolKind.NONPAGED)
    columns, whole = history(older)[key], history(leak.recording)[key]
    length = len(columns) // 3
    assert 0 < length < 91
    assert columns[:length] == whole[:length]


def test_a_part_in_gzip_and_a_whole_recording_in_a_zip(leak: Pair, tmp_path: Path) -> None:
    older = next(path for path in parts(leak.recording) if path != leak.recording)
    packed = tmp_path / f"{older.name}.gz"
    packed.write_bytes(gzip.compress(older.read_bytes()))
    assert history(packed) == history(older)
    archive = tmp_path / "server.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in parts(leak.recording):
            file.write(path, f"PoolLogs/{path.name}")
        file.writestr("PoolLogs/notes.txt", "Memory: nothing")
    report = diagnose(archive)
    assert judged(next(iter(report.machines))) == judged(only(diagnose(leak.log)))
    assert [problem.says[:30] for problem in report.problems] == [f"{archive}!PoolLogs/notes.txt"[:30]]


def test_recordings_of_two_machines_stay_apart(tmp_path: Path) -> None:
    found = []
    for name, scenario, seed in (("A", "pool-leak", 0), ("B", "healthy", 5)):
        found.append(tmp_path / f"{name}.parquet")
        take(course_of(scenario, hours=24, seed=seed), found[-1], computer=name)
    report = diagnose(found)
    assert [(machine.name, machine.conclusion is None) for machine in report.machines] == [("A", False), ("B", True)]


def test_another_parquet_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    pl.DataFrame({"a": [1, 2]}).write_parquet(other)
    report = diagnose(other)
    (problem,) = report.problems
    assert problem.says == f"{other}: a Parquet file, but not of a recording made by `poolsleuth record`"
    assert report.inputs[0].kind is None
    assert report.machines == ()


def test_a_recording_that_is_cut_off_is_refused_in_one_sentence(leak: Pair, tmp_path: Path) -> None:
    older = next(path for path in parts(leak.recording) if path != leak.recording)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(older.read_bytes()[:-2000])
    (problem,) = diagnose(cut).problems
    assert problem.says.startswith(f"{cut}: ")
    assert problem.says.count(str(cut)) == 1
    report = diagnose([cut, leak.recording])
    assert judged(report.machines[0]) == judged(only(diagnose(leak.log)))


# ---- as a recorder takes it ------------------------------------------------------------------------------------

POOLS = ((PoolKind.NONPAGED, "nonpaged"), (PoolKind.PAGED, "paged"))


def sample_of(moment: Moment, index: TagIndex) -> Sample:
    """What a recorder sees of the machine at a moment."""
    machine = moment.machine
    rows: list[tuple[int, PoolUse]] = []
    tables = [(None, machine.tags), *((session.id, session.tags) for session in machine.sessions)]
    for session, uses in tables:
        for use in uses:
            for kind, name in POOLS:
                pool: PoolUse = getattr(use, name)
                if pool.allocs:
                    rows.append((index.number(TagKey(use.tag.rstrip(), kind, session)), pool))
    figures = {
        "physical": machine.memory.physical,
        "available": machine.memory.available,
        "nonpaged_used": machine.memory.nonpaged_used,
        "paged_used": machine.memory.paged_used,
        "committed": machine.memory.committed,
        "commit_limit": machine.memory.commit_limit,
    }
    memory = {name: float(pages * PAGE) for name, pages in figures.items() if pages is not None}
    if machine.memory.free_system_ptes is not None:
        memory["free_system_ptes"] = float(machine.memory.free_system_ptes)
    return Sample(
        moment.at.timestamp(),
        TagFigures(
            np.array([number for number, _ in rows], np.int64),
            np.array([use.bytes for _, use in rows], np.float64),
            np.array([use.outstanding for _, use in rows], np.float64),
            np.array([use.allocs for _, use in rows], np.float64),
        ),
        memory,
        tuple(
            ProcessRow(one.pid, one.name, one.handles, *quota_of(one.handles or 0), one.session)
            for one in machine.processes
        ),
        complete=True,
        booted=machine.booted_at.timestamp(),
    )


def take(course: Course, path: Path, computer: str = "SRV01") -> None:
    index = TagIndex()
    host: Host | None = None
    writer: RecordingWriter | None = None
    for moment in course:
        if writer is None:
            windows = moment.machine.windows
            host = Host(computer, None, windows.build, windows.architecture, SIZE.ram_bytes)
            writer = RecordingWriter(path, host, every=1200.0)
        writer.add(sample_of(moment, index), index)
    assert writer is not None
    writer.close()


@pytest.mark.parametrize(
    ("scenario", "windows", "pattern"),
    [
        ("healthy", "19041-x64", None),
        ("pool-leak", "19041-x64", "pool-leak"),
        ("pool-load", "19041-x64", "pool-load"),
        ("handle-leak", "19041-x64", "handle-leak"),
        ("commit-exhaustion", "19041-x64", "commit-exhaustion"),
        ("system-pte-depletion", "3790-x86", "system-pte-depletion"),
        ("nonpaged-pool-depletion", "3790-x86", "pool-leak"),
    ],
)
def test_what_a_recorder_takes_tells_what_happened(
    scenario: str, windows: str, pattern: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "pool.parquet"
    course = course_of(scenario, windows, hours=24)
    take(course, path)
    machine = only(diagnose(path))
    assert (None if machine.conclusion is None else machine.conclusion.pattern) == pattern
    assert machine.name == "SRV01"
    assert machine.system.build == course.machine.windows.build
    assert machine.system.architecture == course.machine.windows.architecture
    assert machine.system.physical_bytes == SIZE.ram_bytes
    assert machine.system.uptime_seconds is not None
    accused = {f.subject.tag for f in machine.findings if f.holds and f.pattern == "pool-leak"}
    assert scenario != "healthy" or not accused


def test_recording_and_dump_of_a_machine_are_one_machine(tmp_path: Path) -> None:
    course = course_of("pool-leak", hours=24)
    path = tmp_path / "pool.parquet"
    take(course, path)
    log = write_run(course, ("log",), tmp_path)[FILES["log"]]
    machine = only(diagnose([path, log]))
    assert machine.inputs == (0, 1)
    assert machine.conclusion is not None
    assert GUILTY in machine.conclusion.says


def test_the_journal_alone_brings_its_recording(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    index = TagIndex()
    writer = RecordingWriter(path, Host("SRV01"), every=60.0)
    samples = [sample_of(moment, index) for moment in course_of("healthy", hours=2)]
    for sample in samples:
        writer.add(sample, index)
    journal = journal_of(path)
    assert journal.stat().st_size > 0
    for given in ([journal], [path], [path, journal]):
        read = read_all(given, None)
        assert read.problems == []
        (found,) = [fact for facts in read.facts for fact in facts if isinstance(fact, TagHistory)]
        assert len(found.times) == len(samples)
    alone = tmp_path / "elsewhere" / journal.name
    alone.parent.mkdir()
    alone.write_bytes(journal.read_bytes())
    assert history(alone) == history(path)
    alone.write_bytes(journal.read_bytes()[:40])
    (problem,) = diagnose(alone).problems
    assert problem.says == (
        f"{alone}: it is the journal of a recording, but damaged at its beginning; give the recording beside it"
    )
    writer.close()
