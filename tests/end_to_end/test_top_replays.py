"""Runs of the lab and example logs played again: the verdict is right at the right time, and names nobody else.

A leak is watched first, and found from some time on; at the end the verdict is that of the whole log.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from poolsleuth import diagnose
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.course.course import make_course
from poolsleuth.lab.course.evidence import FILES, write_run
from poolsleuth.lab.stories import Size
from poolsleuth.model.report import ReportFinding
from poolsleuth.sampling.recording.writer import RecordingWriter
from poolsleuth.top.replay import Opened, open_series
from poolsleuth.top.tracker import Tracker
from poolsleuth.top.verdict import Judge, Verdict

SIZE = Size(ram_bytes=1 << 30, processors=2, tags=160, big_allocations=60, processes=12)
OLD, NEW = "3790-x86", "19041-x64"
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HALF_AN_HOUR = 1800.0
# Tags that may be accused beside the guilty one: parts and objects of the same thing
BESIDE = {"handle-leak": {"Thre", "Sema", "Toke", "Obtb"}, "tags-growing-together": {"AcmC"}}
ACCUSING = {"pool-leak", "handle-leak", "unloaded-driver-leak", "untagged-allocations", "generic-tag"}


class Played(NamedTuple):
    """A replay that was watched to its end, with the verdicts of the places that were judged."""

    opened: Opened
    tracker: Tracker
    judge: Judge
    verdicts: dict[int, Verdict]

    @property
    def end(self) -> Verdict:
        return self.verdicts[max(self.verdicts)]


def play(opened: Opened, every: int = 4, first: int = 8) -> Played:
    """Straight through: the first places are all judged, then each ``every``-th, and the last."""
    tracker, judge = Tracker(opened.series.index, opened.series.host), opened.judge()
    count = len(opened.series.times)
    verdicts = {}
    for place in range(count):
        tracker.feed(opened.series.at(place))
        if place < first or place % every == 0 or place == count - 1:
            verdicts[place] = judge.judge(tracker)
    return Played(opened, tracker, judge, verdicts)


def said(findings: tuple[ReportFinding, ...]) -> set[tuple[str, str | None, str | None, int | None, str]]:
    return {(f.pattern, f.subject.pool, f.subject.tag, f.subject.session, str(f.verdict)) for f in findings}


def accused(verdict: Verdict) -> set[str]:
    """The tags that are called the tags of a leak, by a finding or in a line."""
    names = {f.subject.tag for f in verdict.findings if f.holds and f.pattern in ACCUSING and f.subject.tag is not None}
    calling = [line for line in verdict.lines if line.partition(": leak")[2].startswith(("", " suspected"))]
    return {name for name in names if any(line.startswith(name) and "too early" not in line for line in calling)}


def run(scenario: str, windows: str, folder: Path, *, minutes: float = 30) -> tuple[Path, set[str]]:
    course = make_course(
        windows_named(windows), scenario, hours=24, every=timedelta(minutes=minutes), seed=0, size=SIZE
    )
    write_run(course, ("poolmon",), folder, whole_objects=False)
    return folder / FILES["poolmon"], {guilty.tag.strip() for guilty in course.guilty if guilty.tag is not None}


RUNS = [
    ("nonpaged-pool-depletion", OLD, "found"),
    ("handle-leak", OLD, "found"),
    ("session-pool-depletion", OLD, "found"),
    ("generic-tag", NEW, "found"),
    ("pool-load", OLD, "none"),
    ("healthy", NEW, "none"),
]


@pytest.mark.parametrize(("scenario", "windows", "level"), RUNS)
def test_the_verdict_is_right_at_the_right_time(scenario: str, windows: str, level: str, tmp_path: Path) -> None:
    path, guilty = run(scenario, windows, tmp_path)
    played = play(open_series([path]), every=6)
    innocent = [
        (place, names)
        for place, verdict in played.verdicts.items()
        if (names := accused(verdict) - guilty - BESIDE.get(scenario, set()))
    ]
    assert innocent == []
    start = played.opened.series.times[0]
    for place, verdict in played.verdicts.items():
        if place < 5 or verdict.at - start < HALF_AN_HOUR:
            assert verdict.level == "watching"
            assert verdict.line.startswith("watching for ")
        if level == "none" and place >= 8:
            assert ": leak" not in verdict.line
            assert verdict.level in ("none", "watching")
    assert played.end.level == level
    report = diagnose([path])
    (machine,) = report.machines
    assert said(played.end.findings) == said(machine.findings)
    if level == "found":
        assert machine.conclusion is not None
        assert played.end.findings  # the line tells of the conclusion's own subject
        assert any(name in played.end.line.split(" grows")[0] for name in guilty | BESIDE.get(scenario, set()))
    else:
        assert played.end.line.startswith("no leak found so far (24 h, ")
    for verdict in played.verdicts.values():
        assert len(verdict.fitted(80)) <= 80


def test_a_leak_is_found_within_hours_and_stays_found(tmp_path: Path) -> None:
    path, _ = run("nonpaged-pool-depletion", OLD, tmp_path, minutes=15)
    levels = [verdict.level for verdict in play(open_series([path]), every=4, first=6).verdicts.values()]
    found = levels.index("found")
    assert set(levels[:found]) <= {"watching", "suspected", "none"}
    assert set(levels[found:]) == {"found"}
    assert found <= 8


def test_back_and_forth_says_the_same_as_straight_on(tmp_path: Path) -> None:
    path, _ = run("handle-leak", OLD, tmp_path)
    played = play(open_series([path]), every=8)
    for place in (40, 3, 24, 8, 48):
        played.tracker.rebuild(played.opened.series, place)
        again = played.judge.judge(played.tracker)
        straight = played.verdicts[place]
        assert (again.line, again.level, again.findings) == (straight.line, straight.level, straight.findings)


def test_a_restart_and_a_gap_are_no_load(tmp_path: Path) -> None:
    """Windows was started anew after a day, and leaks on; nobody watched for six hours of the first day."""
    path, guilty = run("nonpaged-pool-depletion", OLD, tmp_path)
    opened = open_series([path])
    times = opened.series.times
    tracker, judge = Tracker(opened.series.index, opened.series.host), Judge(opened.system)
    day = float(times[-1] - times[0]) + 1800.0
    begun = opened.series.at(0).tags
    first = np.zeros(len(opened.series.index))
    first[begun.ids] = begun.allocs
    for lives in (0, 1):
        for place in range(len(times)):
            sample = opened.series.at(place)
            if lives or not times[15] < times[place] < times[27]:
                tags = sample.tags
                if lives:  # Windows counts allocations from its start
                    tags = replace(tags, allocs=np.maximum(tags.allocs - first[tags.ids], tags.outstanding))
                tracker.feed(replace(sample, time=sample.time + lives * day, tags=tags))
    verdict = judge.judge(tracker)
    assert verdict.level == "found"
    assert accused(verdict) == guilty
    assert any("restart" in reason.says for f in verdict.findings for reason in f.because)


def test_the_example_log_names_only_the_leak() -> None:
    path = EXAMPLES / "leak-poolmon.log"
    played = play(open_series([path]), every=4, first=24)
    assert {name for verdict in played.verdicts.values() for name in accused(verdict)} == {"ExLk"}
    assert played.end.line.startswith("ExLk grows 840 KB/h and has not come down for 48 h: leak")
    assert said(played.end.findings) == said(diagnose([path]).machines[0].findings)


@pytest.mark.parametrize(
    "names",
    [
        ["mmst.log"],
        ["handle-leak.log"],
        ["session.log"],
        ["healthy.log"],
        ["untagged.log"],
        ["fragmented.log"],
        ["unloaded.log"],
        ["leak-counters.csv"],
    ],
)
def test_the_end_of_a_replay_says_what_diagnose_says(names: list[str]) -> None:
    paths = [EXAMPLES / name for name in names]
    opened = open_series(paths)
    tracker = Tracker(opened.series.index, opened.series.host)
    for place in range(len(opened.series.times)):
        tracker.feed(opened.series.at(place))
    (machine,) = diagnose(paths).machines
    verdict = opened.judge().judge(tracker)
    assert said(verdict.findings) == said(machine.findings)
    if machine.conclusion is not None and machine.conclusion.verdict == "found":
        assert verdict.level in ("found", "none")
        head = next(f for f in machine.findings if f.pattern == machine.conclusion.pattern and f.holds)
        assert (verdict.level == "none") == (head.severity == "info")


def test_a_dump_beside_a_log_is_known_when_it_was_taken(tmp_path: Path) -> None:
    """The driver's name stands in the dump of the last moment, the pools' maxima hold from the start."""
    course = make_course(
        windows_named(OLD), "nonpaged-pool-depletion", hours=24, every=timedelta(minutes=30), seed=0, size=SIZE
    )
    write_run(course, ("poolmon", "log"), tmp_path, whole_objects=False)
    paths = [tmp_path / FILES["poolmon"], tmp_path / FILES["log"]]
    played = play(open_series(paths), every=12)
    assert all(verdict.limits for verdict in played.verdicts.values())
    limits = {tuple(verdict.limits.values()) for verdict in played.verdicts.values()}
    assert len(limits) == 1
    early = played.verdicts[24]
    assert early.level == "found"
    assert "failed" not in " ".join(early.lines)
    (machine,) = diagnose(paths).machines
    assert said(played.end.findings) == said(machine.findings)


def test_a_recording_is_judged_as_what_was_recorded(tmp_path: Path) -> None:
    path, guilty = run("paged-pool-depletion", NEW, tmp_path)
    source = open_series([path])
    recording = tmp_path / "pool.parquet"
    with RecordingWriter(recording, source.series.host, every=1800) as writer:
        for place in range(len(source.series.times)):
            writer.add(source.series.at(place), source.series.index)
    played = play(open_series([recording]), every=12)
    assert played.end.level == "found"
    assert accused(played.end) == guilty
    (machine,) = diagnose([recording]).machines
    assert said(played.end.findings) == said(machine.findings)
