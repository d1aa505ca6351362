"""From the files that engineers record over hours and weeks to the report: the guilty are named, and nobody else."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

from poolsleuth import diagnose
from poolsleuth.model.finding import Trend, Verdict
from poolsleuth.model.report import Report, ReportFinding, ReportMachine

if TYPE_CHECKING:
    from end_to_end.conftest import Clock, Lab, PoolTags

MB = float(1 << 20)
MINUTE, HOUR = 60.0, 3600.0
NONPAGED, PAGED = r"\Memory\Pool Nonpaged Bytes", r"\Memory\Pool Paged Bytes"
DECIDED = {Verdict.FOUND, Verdict.RULED_OUT}


def machine_of(report: Report) -> ReportMachine:
    assert report.problems == ()
    (machine,) = report.machines
    return machine


def of(machine: ReportMachine, pattern: str) -> list[ReportFinding]:
    return [finding for finding in machine.findings if finding.pattern == pattern]


def held(machine: ReportMachine, pattern: str) -> set[tuple[str | None, str | None]]:
    """Pool and tag of what a pattern found or suspects."""
    return {(f.subject.pool, f.subject.tag) for f in of(machine, pattern) if f.holds}


def found(machine: ReportMachine, pattern: str) -> set[tuple[str | None, str | None]]:
    return {(f.subject.pool, f.subject.tag) for f in of(machine, pattern) if f.verdict is Verdict.FOUND}


def one(machine: ReportMachine, pattern: str, pool: str, tag: str | None = None) -> ReportFinding:
    (finding,) = [f for f in of(machine, pattern) if (f.subject.pool, f.subject.tag) == (pool, tag) and f.holds]
    assert finding.because
    return finding


def holds_the_truth(trend: Trend | None, per_hour: float, tolerance: float = 0.1) -> None:
    """The interval holds the true rate (give or take a tenth), and is no wider than the rate itself."""
    assert trend is not None
    assert trend.low <= trend.bytes_per_hour <= trend.high
    assert trend.low - tolerance * per_hour <= per_hour <= trend.high + tolerance * per_hour
    assert trend.bytes_per_hour == pytest.approx(per_hour, rel=0.25)
    assert trend.high - trend.low <= per_hour


# Counter logs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["perf.csv", "perf.tsv"])
def test_a_pool_leaks_in_a_counter_log(lab: "Lab", name: str) -> None:
    clock = lab.clock(672, 15 * MINUTE)  # a week
    columns = lab.server(clock)
    per_hour = 3.1 * MB
    columns[NONPAGED] = columns[NONPAGED] + np.floor(clock.hours * per_hour / 4096) * 4096

    machine = machine_of(diagnose([lab.write_counters(clock, columns, name=name)]))

    assert held(machine, "pool-leak") == {("nonpaged", None)}
    leak = one(machine, "pool-leak", "nonpaged")
    assert leak.verdict is Verdict.FOUND
    holds_the_truth(leak.trend, per_hour)
    assert machine.conclusion is not None
    assert machine.conclusion.pattern == "pool-leak"
    assert not held(machine, "handle-leak")


def test_a_log_in_two_files_is_one_machine(lab: "Lab") -> None:
    clock = lab.clock(672, 15 * MINUTE)
    columns = lab.server(clock)
    columns[PAGED] = columns[PAGED] + np.floor(clock.hours * 5 * MB / 4096) * 4096
    first = lab.write_counters(clock, columns, name="first.csv", rows=slice(0, 330))
    second = lab.write_counters(clock, columns, name="second.csv", rows=slice(336, None))

    machine = machine_of(diagnose([second, first]))

    assert machine.name == "SRV01"
    assert held(machine, "pool-leak") == {("paged", None)}
    holds_the_truth(one(machine, "pool-leak", "paged").trend, 5 * MB)


def test_a_leak_under_a_daily_rhythm(lab: "Lab") -> None:
    clock = lab.clock(14 * 96, 15 * MINUTE)
    columns = lab.server(clock)
    per_hour = 0.5 * MB  # 168 MB in two weeks, below a rhythm of 200 MB
    columns[NONPAGED] = columns[NONPAGED] + 200 * MB * clock.office(lab.source) + clock.hours * per_hour

    machine = machine_of(diagnose([lab.write_counters(clock, columns)]))

    assert held(machine, "pool-leak") == {("nonpaged", None)}
    holds_the_truth(one(machine, "pool-leak", "nonpaged").trend, per_hour)


def test_load_is_no_leak(lab: "Lab") -> None:
    clock = lab.clock(672, 15 * MINUTE)
    columns = lab.server(clock)
    work = clock.office(lab.source)
    columns[NONPAGED] = columns[NONPAGED] + np.floor(work * 25_000) * 4096
    columns[PAGED] = columns[PAGED] + np.floor(work * 60_000) * 4096

    machine = machine_of(diagnose([lab.write_counters(clock, columns)]))

    assert held(machine, "pool-leak") == set()
    assert {("nonpaged", None), ("paged", None)} <= found(machine, "pool-load")
    assert not held(machine, "handle-leak")


def test_a_healthy_server_has_no_finding(lab: "Lab") -> None:
    clock = lab.clock(672, 15 * MINUTE)

    machine = machine_of(diagnose([lab.write_counters(clock, lab.server(clock))]))

    assert [f.headline for f in machine.findings if f.holds and f.pattern != "pool-load"] == []
    assert Verdict.RULED_OUT in {f.verdict for f in of(machine, "pool-leak")}


@pytest.mark.parametrize("samples", [2, 3, 5])
def test_too_few_samples_are_not_judged(lab: "Lab", samples: int) -> None:
    """The published case of a growing tag has two samples, three days apart."""
    clock = lab.clock(samples, 12 * HOUR)
    columns = lab.server(clock)
    columns[NONPAGED] = 200 * MB + np.floor(clock.hours * 20) * 4096 * 64

    machine = machine_of(diagnose([lab.write_counters(clock, columns)]))

    verdicts = {f.verdict for f in of(machine, "pool-leak")}
    assert verdicts
    assert not verdicts & DECIDED
    assert not {f.verdict for f in of(machine, "pool-load")} & DECIDED
    assert not {f.verdict for f in of(machine, "handle-leak")} & DECIDED


def test_backups_that_leave_700_mb_each(lab: "Lab") -> None:
    """What a reader of the article saw: every backup leaves 700 MB of paged pool, with a peak while it runs."""
    clock = lab.clock(8 * 96, 15 * MINUTE)
    columns = lab.server(clock)
    night = clock.hours - 6  # the first backup runs six hours after the start of the log
    runs = np.clip(np.floor(night / 24) + 1, 0, None)
    running = (night >= 0) & (night % 24 < 1)
    columns[PAGED] = columns[PAGED] + runs * 700 * MB + running * 300 * MB
    columns[r"\Memory\Available Bytes"] = np.full(clock.count, 9e9)

    machine = machine_of(diagnose([lab.write_counters(clock, columns)]))

    assert held(machine, "pool-leak") == {("paged", None)}
    leak = one(machine, "pool-leak", "paged")
    assert leak.verdict is Verdict.FOUND
    holds_the_truth(leak.trend, 700 * MB / 24, tolerance=0.15)


def test_a_cache_that_fills_and_a_jump_are_no_leak(lab: "Lab") -> None:
    clock = lab.clock(672, 15 * MINUTE)
    columns = lab.server(clock)
    columns[PAGED] = columns[PAGED] + 900 * MB * (1 - np.exp(-clock.hours / 12))
    columns[NONPAGED] = columns[NONPAGED] + 150 * MB * (clock.hours > 60)

    machine = machine_of(diagnose([lab.write_counters(clock, columns)]))

    assert held(machine, "pool-leak") == set()


def test_growth_that_the_limit_ended_is_not_ruled_out(lab: "Lab") -> None:
    """A 32-bit server whose nonpaged pool is full: the line is flat because nothing more fits, and requests fail."""
    clock = lab.clock(672, 15 * MINUTE)
    columns = lab.server(clock)
    grown = np.minimum(100 * MB + clock.hours * 1.5 * MB, 256 * MB)
    columns[NONPAGED] = np.floor((grown + lab.noise(clock, 0.2 * MB)) / 4096) * 4096
    columns[r"\Server\Pool Nonpaged Failures"] = np.floor(np.clip(clock.hours - 104, 0, None)) * 50

    machine = machine_of(diagnose([lab.write_counters(clock, columns)]))

    leaks = [f for f in of(machine, "pool-leak") if f.subject.pool == "nonpaged"]
    assert leaks
    assert Verdict.RULED_OUT not in {f.verdict for f in leaks}
    assert Verdict.FOUND in {f.verdict for f in of(machine, "nonpaged-pool-depletion")}


def test_a_reboot_cuts_the_series(lab: "Lab") -> None:
    clock = lab.clock(960, 15 * MINUTE)
    columns = lab.server(clock)
    since = np.where(clock.hours < 130, clock.hours + 72, clock.hours - 130)
    columns[r"\System\System Up Time"] = since * HOUR
    columns[NONPAGED] = columns[NONPAGED] + np.floor(since * 2 * MB / 4096) * 4096

    machine = machine_of(diagnose([lab.write_counters(clock, columns)]))

    assert held(machine, "pool-leak") == {("nonpaged", None)}
    holds_the_truth(one(machine, "pool-leak", "nonpaged").trend, 2 * MB)


def test_the_process_that_never_closes_handles_is_named(lab: "Lab") -> None:
    clock = lab.clock(672, 15 * MINUTE)
    columns = lab.server(clock)
    leaked = np.floor(clock.hours * 1200)
    columns[r"\Process(svchost#1)\Handle Count"] = columns[r"\Process(svchost#1)\Handle Count"] + leaked
    columns[r"\Process(svchost#1)\Pool Nonpaged Bytes"] = (
        columns[r"\Process(svchost#1)\Pool Nonpaged Bytes"] + leaked * 100
    )
    columns[NONPAGED] = columns[NONPAGED] + leaked * 160

    machine = machine_of(diagnose([lab.write_counters(clock, columns)]))

    leaks = [f for f in of(machine, "handle-leak") if f.holds]
    assert [(f.subject.process, f.verdict) for f in leaks] == [("svchost#1", Verdict.FOUND)]
    assert leaks[0].because
    assert {f.subject.process for f in of(machine, "pool-leak") if f.holds} <= {None, "svchost#1"}


# poolmon logs ---------------------------------------------------------------------------------------------------------


def half_hours(lab: "Lab", days: int = 4) -> "Clock":
    return lab.clock(days * 48, 30 * MINUTE)


def busy_tags(lab: "Lab", clock: "Clock", count: int = 240) -> "PoolTags":
    """Tags that are large and move, and innocent all of them: churn, a cache, a jump, the work of the day."""
    tags = lab.tags(clock, count)
    work = clock.office(lab.source)
    tags.add("MmSt", "Paged", 1024, 400_000 + lab.noise(clock, 90_000), churn=90_000)
    filled = np.asarray(1 - np.exp(-clock.hours / 8), dtype=np.float64)
    tags.add("Ntff", "Paged", 1312, 60_000 * filled, churn=20_000)
    tags.add("CM31", "Paged", 4096, np.where(clock.hours > 40, 10_000.0, 4_000.0))
    tags.add("LSwi", "Nonp", 3200, 900 + 9_000 * work + lab.noise(clock, 20), churn=300_000)
    tags.add("File", "Nonp", 352, 60_000 + 20_000 * work + lab.noise(clock, 500), churn=900_000)
    tags.add("AfdB", "Nonp", 8192, 3_000 + lab.noise(clock, 900), churn=500_000)
    return tags


def test_a_leak_below_a_larger_tag_that_churns(lab: "Lab") -> None:
    clock = half_hours(lab)
    tags = busy_tags(lab, clock)
    tags.add("Drvx", "Nonp", 512, 8_000 + 1_300 * clock.hours + lab.noise(clock, 60), churn=5_000)

    machine = machine_of(diagnose([lab.write_poolmon(tags)]))

    assert {(p, t) for p, t in held(machine, "pool-leak") if t is not None} == {("nonpaged", "Drvx")}
    leak = one(machine, "pool-leak", "nonpaged", "Drvx")
    assert leak.verdict is Verdict.FOUND
    holds_the_truth(leak.trend, 1_300 * 512)
    assert leak.trend is not None
    assert leak.trend.allocs_per_hour == pytest.approx(1_300, rel=0.25)
    assert leak.subject.driver is None  # nothing in the log says whose tag it is
    assert ("paged", None) not in held(machine, "pool-leak")
    (row,) = [tag for tag in machine.tags if tag.tag == "Drvx"]
    assert row.outstanding is not None
    assert row.bytes == row.outstanding * 512
    assert len(machine.tags) == len(tags.rows)


def test_two_tags_leak_in_two_pools(lab: "Lab") -> None:
    clock = half_hours(lab)
    tags = busy_tags(lab, clock, count=280)
    tags.add("Drvx", "Nonp", 512, 8_000 + 1_300 * clock.hours + lab.noise(clock, 60))
    tags.add("Abc", "Paged", 96, 20_000 + 9_000 * np.clip(clock.hours - 30, 0, None) + lab.noise(clock, 300))

    machine = machine_of(diagnose([lab.write_poolmon(tags)]))

    named = {(p, t) for p, t in held(machine, "pool-leak") if t is not None}
    assert named == {("nonpaged", "Drvx"), ("paged", "Abc")}
    holds_the_truth(one(machine, "pool-leak", "nonpaged", "Drvx").trend, 1_300 * 512)
    holds_the_truth(one(machine, "pool-leak", "paged", "Abc").trend, 9_000 * 96)


def test_an_object_and_its_parts_grow_in_lockstep(lab: "Lab") -> None:
    """Tokens that are never closed: their locks and their variable parts are as many, and are no leak of their own."""
    clock = half_hours(lab)
    tags = busy_tags(lab, clock)
    tokens = np.round(4_000 + 600 * clock.hours + lab.noise(clock, 30))
    tags.add("Toke", "Paged", 1_312, tokens)
    tags.add("SeTd", "Paged", 256, tokens)
    tags.add("SeTl", "Nonp", 112, tokens)

    machine = machine_of(diagnose([lab.write_poolmon(tags)]))

    guilty = {tag for _, tag in held(machine, "pool-leak") if tag is not None}
    assert "Toke" in guilty
    assert guilty <= {"Toke", "SeTd", "SeTl"}
    together = [f for f in of(machine, "tags-growing-together") if f.holds]
    assert len(together) == 1
    said = " ".join([together[0].headline, *(reason.says for reason in together[0].because)])
    assert all(tag in said for tag in ("Toke", "SeTd", "SeTl"))
    assert together[0].subject.tag == "Toke"


def test_steps_of_a_tag(lab: "Lab") -> None:
    clock = half_hours(lab, days=6)
    tags = busy_tags(lab, clock)
    runs = np.clip(np.floor((clock.hours - 6) / 24) + 1, 0, None)
    tags.add("MmSt", "Paged", 2048, 100_000 + runs * 700 * MB / 2048 + lab.noise(clock, 2_000), churn=40_000)

    machine = machine_of(diagnose([lab.write_poolmon(tags)]))

    assert {(p, t) for p, t in held(machine, "pool-leak") if t is not None} == {("paged", "MmSt")}
    leak = one(machine, "pool-leak", "paged", "MmSt")
    assert leak.verdict is Verdict.FOUND
    holds_the_truth(leak.trend, 700 * MB / 24, tolerance=0.15)


@pytest.mark.parametrize("count", [200, 400])
def test_tags_that_only_work_are_no_leak(lab: "Lab", count: int) -> None:
    clock = half_hours(lab)
    tags = busy_tags(lab, clock, count=count)

    machine = machine_of(diagnose([lab.write_poolmon(tags)]))

    assert {(p, t) for p, t in held(machine, "pool-leak") if t is not None} == set()
    assert "nonpaged" in {pool for pool, _ in found(machine, "pool-load")}
    assert Verdict.FOUND not in {f.verdict for f in of(machine, "handle-leak")}


@pytest.mark.parametrize("samples", [47, 49])
def test_a_morning_is_not_found_to_be_a_leak(lab: "Lab", samples: int) -> None:
    """From Sunday noon to Monday noon: all that follows the work has risen, and had no time to come down."""
    tags = busy_tags(lab, lab.clock(samples, 30 * MINUTE))

    machine = machine_of(diagnose([lab.write_poolmon(tags)]))

    assert found(machine, "pool-leak") == set()
    assert all(f.trend is None or f.trend.low > 0 for f in of(machine, "pool-leak") if f.verdict is Verdict.FOUND)


def test_three_tables_of_a_growing_tag_are_a_suspicion_at_most(lab: "Lab") -> None:
    clock = half_hours(lab)
    tags = busy_tags(lab, clock)
    tags.add("Drvx", "Nonp", 512, 8_000 + 1_300 * clock.hours)

    machine = machine_of(diagnose([lab.write_poolmon(tags, only=(0, 90, 180))]))

    verdicts = {f.verdict for f in of(machine, "pool-leak")}
    assert verdicts
    assert not verdicts & DECIDED


def test_the_published_case_of_the_thread_tag(lab: "Lab") -> None:
    """Two captures: "12.12.08 non-paged 166700, Diff110065 ,Bytes 68680560 and 15.12.08- non-paged 183820 ,Diff 137029,
    Bytes 85506096". Who asked was right to suspect it; two captures do not prove it."""
    tags = lab.tags(lab.clock(2, 72 * HOUR), 200)
    tags.add("Thre", "Nonp", 624, np.array([110_065.0, 137_029.0]))

    machine = machine_of(diagnose([lab.write_poolmon(tags)]))

    (row,) = [tag for tag in machine.tags if tag.tag == "Thre"]
    assert (row.outstanding, row.bytes) == (137_029, 85_506_096)
    suspected = [f for f in machine.findings if f.holds and f.subject.tag == "Thre"]
    assert suspected
    assert not {f.verdict for f in of(machine, "pool-leak")} & DECIDED


def test_counters_and_tags_of_one_machine_are_judged_together(lab: "Lab") -> None:
    """The counter log shows which pool grows, the poolmon log which tag: one answer."""
    clock = half_hours(lab)
    tags = busy_tags(lab, clock)
    tags.add("Drvx", "Nonp", 512, 8_000 + 2_600 * clock.hours + lab.noise(clock, 60))
    columns = lab.server(clock)
    columns[NONPAGED] = tags.pool("Nonp") // 4096 * 4096
    columns[PAGED] = tags.pool("Paged") // 4096 * 4096

    report = diagnose([lab.write_counters(clock, columns), lab.write_poolmon(tags)])

    guilty = {
        (f.subject.pool, f.subject.tag)
        for machine in report.machines
        for f in of(machine, "pool-leak")
        if f.holds and f.verdict is Verdict.FOUND
    }
    assert ("nonpaged", "Drvx") in guilty
    assert guilty <= {("nonpaged", "Drvx"), ("nonpaged", None)}
