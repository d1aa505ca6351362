"""Each scenario of the lab, from each kind of evidence alone and from all together: what that kind can know is said.

A dump and a debugger log know no time, counters know no tags, poolmon knows no drivers and no sessions but those it was
asked for. What happened is the lab's truth; nothing but it may be accused.
"""

from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from poolsleuth import diagnose
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.course.course import Course, make_course
from poolsleuth.lab.course.evidence import FILES, write_run
from poolsleuth.lab.course.scenarios import SCENARIOS
from poolsleuth.lab.stories import Size
from poolsleuth.model.finding import Confidence, Verdict
from poolsleuth.model.report import Report, ReportFinding, ReportMachine

SIZE = Size(ram_bytes=1 << 30, processors=2, tags=160, big_allocations=60, processes=12)
OLD, NEW = "3790-x86", "19041-x64"
ONLY_OLD = {"system-pte-depletion", "pool-corruption", "pool-fragmentation"}
MOMENT = ("dump", "log")


class Says(NamedTuple):
    """The patterns of which one is the conclusion (None: nothing is found), and the verdict."""

    patterns: frozenset[str | None]
    verdict: Verdict | None = Verdict.FOUND


def says(*patterns: str | None, verdict: Verdict | None = Verdict.FOUND) -> Says:
    return Says(frozenset(patterns), None if patterns == (None,) else verdict)


NOTHING = says(None)
LEAK = says("pool-leak")
# Scenario: what a moment tells, what poolmon, what counters, what all of it
CONCLUSIONS: dict[str, tuple[Says, Says, Says, Says]] = {
    "healthy": (NOTHING, NOTHING, NOTHING, NOTHING),
    "pool-load": (NOTHING, says("pool-load"), says("pool-load"), says("pool-load")),
    "pool-leak": (says(None, "pool-leak", verdict=Verdict.SUSPECTED), LEAK, LEAK, LEAK),
    "nonpaged-pool-depletion": (says("nonpaged-pool-depletion"), LEAK, LEAK, LEAK),
    "paged-pool-depletion": (says("paged-pool-depletion"), LEAK, LEAK, LEAK),
    "untagged-allocations": (
        says("untagged-allocations"),
        says("untagged-allocations"),
        LEAK,
        says("untagged-allocations"),
    ),
    "generic-tag": (says("generic-tag"), says("generic-tag"), LEAK, says("generic-tag")),
    "unloaded-driver-leak": (
        says("unloaded-driver-leak", verdict=Verdict.SUSPECTED),
        LEAK,
        LEAK,
        says("pool-leak", "unloaded-driver-leak"),
    ),
    "handle-leak": (
        says("handle-leak", None, verdict=None),
        says("handle-leak"),
        says("handle-leak"),
        says("handle-leak"),
    ),
    "tags-growing-together": (
        says(None, "handle-leak", "tags-growing-together", verdict=Verdict.SUSPECTED),
        says("handle-leak", "tags-growing-together"),
        LEAK,
        says("handle-leak", "tags-growing-together"),
    ),
    "session-pool-depletion": (
        says("session-pool-depletion"),
        says("pool-leak", None, verdict=None),  # the tag grew and stopped, and poolmon knows no limit
        NOTHING,
        says("session-pool-depletion"),
    ),
    "lock-contention": (says("lock-contention"), NOTHING, NOTHING, says("lock-contention")),
    "system-pte-depletion": (
        says("system-pte-depletion"),
        NOTHING,
        says("system-pte-depletion"),
        says("system-pte-depletion"),
    ),
    "commit-exhaustion": (says("commit-exhaustion"), NOTHING, says("commit-exhaustion"), says("commit-exhaustion")),
    "pool-fragmentation": (
        says("pool-fragmentation"),
        says(None, "pool-leak", "pool-fragmentation", verdict=None),  # pages in use rise wave by wave
        says(None, "pool-leak", verdict=None),
        says("pool-fragmentation"),
    ),
    "pool-corruption": (says("pool-corruption"), NOTHING, NOTHING, says("pool-corruption")),
}
SURE_FROM_HOURS = 12
# Tags that may be accused beside the guilty one: parts and objects of the same thing
BESIDE = {
    "handle-leak": {"Thre", "Sema", "Toke", "Obtb"},
    "tags-growing-together": {"AcmC"},
}
RUNS = [(name, windows) for name in SCENARIOS for windows in (OLD, NEW) if windows == OLD or name not in ONLY_OLD]


# A log of Windows 8 or later prints no maximum of a session's pool and counts no failures of it. A CSV does not name
# the Windows
LESS: dict[tuple[str, str, str], Says] = {
    ("session-pool-depletion", NEW, "log"): says("session-pool-depletion", verdict=Verdict.SUSPECTED),
    ("system-pte-depletion", OLD, "csv"): says("system-pte-depletion", verdict=Verdict.SUSPECTED),
}


def run(
    scenario: str, windows: str, folder: Path, *, hours: float = 24, seed: int = 0
) -> tuple[Course, dict[str, Path]]:
    every = timedelta(minutes=max(1, hours * 60 // 96))
    course = make_course(windows_named(windows), scenario, hours=hours, every=every, seed=seed, size=SIZE)
    paths = write_run(course, tuple(FILES), folder, whole_objects=windows == NEW)
    return course, {kind: paths[name] for kind, name in FILES.items()}


def only(report: Report) -> ReportMachine:
    (machine,) = report.machines
    return machine


def holding(machine: ReportMachine, *patterns: str) -> list[ReportFinding]:
    return [f for f in machine.findings if f.holds and (f.pattern in patterns or not patterns)]


def wrong(scenario: str, kind: str, machine: ReportMachine, course: Course) -> list[str]:
    """What is wrong with a report; empty when it says what happened, as far as this kind of evidence can know it.

    Two hours are too short to be sure of a leak: then it may be suspected only, and what is full is told first.
    """
    short = course.clock.hours < SURE_FROM_HOURS
    column = 3 if kind == "all" else 0 if kind in MOMENT else 1 if kind == "poolmon" else 2
    expected = LESS.get((scenario, course.machine.windows.name, kind), CONCLUSIONS[scenario][column])
    found = []
    concluded = None if machine.conclusion is None else machine.conclusion.pattern
    if short and kind not in MOMENT:
        expected = Says(expected.patterns | {scenario}, None)
    if concluded not in expected.patterns:
        found.append(f"{kind}: concludes {concluded}, not {sorted(map(str, expected.patterns))}")
    elif machine.conclusion is not None and expected.verdict not in (None, machine.conclusion.verdict):
        found.append(f"{kind}: {concluded} is {machine.conclusion.verdict}, not {expected.verdict}")
    tags = {guilty.tag.strip() for guilty in course.guilty if guilty.tag is not None}
    drivers = {guilty.driver for guilty in course.guilty}
    accused = {f.subject.tag for f in holding(machine, "pool-leak") if f.subject.tag is not None}
    if scenario != "healthy" and not accused <= tags | BESIDE.get(scenario, set()):
        found.append(f"{kind}: accuses {sorted(accused - tags)} of a leak")
    blamed = {f.subject.driver for f in holding(machine) if f.confidence is not Confidence.LOW}
    if not blamed <= drivers | {None}:
        found.append(f"{kind}: blames {sorted(str(one) for one in blamed - drivers)}")
    if (
        concluded == "pool-leak"
        and kind in ("poolmon", "all")
        and tags
        and not tags & accused
        and not short
        and scenario != "pool-fragmentation"
    ):
        found.append(f"{kind}: does not name {sorted(tags)}")
    if scenario in ("healthy", "pool-load") and holding(machine, "pool-leak", "handle-leak", "unloaded-driver-leak"):
        found.append(f"{kind}: calls it a leak")
    return found


@pytest.mark.parametrize(("scenario", "windows"), RUNS)
def test_each_kind_of_evidence_says_what_it_can_know(scenario: str, windows: str, tmp_path: Path) -> None:
    course, paths = run(scenario, windows, tmp_path)
    mistakes = []
    for kind, path in paths.items():
        mistakes += wrong(scenario, kind, only(diagnose([path])), course)
    mistakes += wrong(scenario, "all", only(diagnose(list(paths.values()))), course)
    assert mistakes == []


@pytest.mark.parametrize(
    ("scenario", "hours", "seed"),
    [
        ("healthy", 2, 1),
        ("healthy", 168, 2),
        ("pool-load", 2, 3),
        ("pool-load", 168, 4),
        ("pool-leak", 2, 5),
        ("nonpaged-pool-depletion", 8, 6),
        ("paged-pool-depletion", 168, 7),
        ("handle-leak", 8, 8),
        ("unloaded-driver-leak", 168, 9),
    ],
)
def test_hours_and_weeks_of_other_machines(scenario: str, hours: float, seed: int, tmp_path: Path) -> None:
    course, paths = run(scenario, OLD, tmp_path, hours=hours, seed=seed)
    mistakes = []
    for kind in ("poolmon", "csv"):
        mistakes += wrong(scenario, kind, only(diagnose([paths[kind]])), course)
    mistakes += wrong(scenario, "all", only(diagnose(list(paths.values()))), course)
    assert mistakes == []


@pytest.mark.parametrize("windows", [OLD, NEW])
def test_the_rate_of_a_leak_is_the_truth(windows: str, tmp_path: Path) -> None:
    course, paths = run("generic-tag", windows, tmp_path)
    (guilty,) = course.guilty
    true = guilty.rates[0].bytes_per_hour
    (leak,) = holding(only(diagnose([paths["poolmon"]])), "pool-leak")
    assert leak.trend is not None
    assert leak.trend.low <= true * 1.02
    assert leak.trend.high >= true * 0.98
    assert leak.trend.bytes_per_hour == pytest.approx(true, rel=0.05)


def test_all_evidence_is_of_one_machine_and_one_time(tmp_path: Path) -> None:
    course, paths = run("nonpaged-pool-depletion", NEW, tmp_path)
    last = course.last().machine
    assert len(paths) == 5
    for kind, path in paths.items():
        machine = only(diagnose([path]))
        assert machine.pools.nonpaged.used_bytes == (last.memory.nonpaged_used or 0) * 4096, kind
        assert machine.pools.paged.used_bytes == (last.memory.paged_used or 0) * 4096, kind
        if kind not in ("csv", "blg"):
            held = {(tag.tag, str(tag.pool)): tag.bytes for tag in machine.tags}
            (leak,) = [use.nonpaged.bytes for use in last.tags if use.tag == "Leak"]
            assert held["Leak", "nonpaged"] == leak, kind
