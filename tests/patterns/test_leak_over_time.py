"""pool-leak, pool-load, handle-leak and tags-growing-together over series whose truth is known."""

from array import array
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from poolsleuth.evidence.counters.capture import captures
from poolsleuth.model.facts import Figure, Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.series import CounterPath, CounterSeries, MemoryHistory, TagColumn, TagHistory, TagKey
from poolsleuth.model.tags import Completeness, PoolKind, TagRow, TagTable

Findings = Callable[..., tuple[Finding, ...]]
Numbers = NDArray[np.float64]

MB = 1 << 20
START = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
DAY = 86_400.0


def clock(days: float = 3.0, every: float = 600.0) -> Numbers:
    return START + np.arange(0.0, days * DAY, every)


def noise(times: Numbers, size: float, seed: int = 1) -> Numbers:
    return np.random.default_rng(seed).normal(0.0, size, len(times))


def counter(path: str, times: Numbers, values: Numbers) -> CounterSeries:
    object_, _, name = path.rpartition("\\")
    object_, parenthesis, instance = object_.lstrip("\\").partition("(")
    return CounterSeries(
        where=Where(0),
        path=CounterPath("SRV1", object_, instance.rstrip(")") if parenthesis else None, name),
        times=array("d", times.tolist()),
        values=array("d", values.tolist()),
        samples=len(times),
    )


def history(times: Numbers, *tags: tuple[str, str, Numbers, int]) -> list[TagHistory | TagTable]:
    """(tag, pool, blocks over time, bytes of a block): the history, and its last table."""
    columns = {}
    rows = []
    for tag, pool, blocks, each in tags:
        live = np.round(np.asarray(blocks))
        columns[TagKey(tag, PoolKind(pool))] = TagColumn(
            array("d", (live * each).tolist()),
            array("d", live.tolist()),
            array("d", (live + np.arange(len(live)) * 1e3).tolist()),
        )
        count = int(live[-1])
        rows.append(TagRow(tag, PoolKind(pool), None, None, count, count * each, Where(0, 5)))
    table = TagTable(
        where=Where(0, 5),
        rows=tuple(rows),
        pools=frozenset(row.pool for row in rows),
        completeness=Completeness.UNKNOWN,
        at=datetime.fromtimestamp(times[-1], UTC),
    )
    return [TagHistory(where=Where(0), times=array("d", times.tolist()), columns=columns, snapshots=len(times)), table]


def hours(times: Numbers) -> Numbers:
    return (times - START) / 3600


def day(times: Numbers) -> Numbers:
    """Work by day, rest by night."""
    return np.maximum(0.0, np.sin(hours(times) / 24 * 2 * np.pi))


def holding(findings: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.holds]


# ---- pools of counter logs ----


def test_a_pool_that_leaks_under_a_daily_rhythm(findings: Findings) -> None:
    times = clock(4)
    leak = counter("\\Memory\\Pool Nonpaged Bytes", times, 200 * MB + 2 * MB * hours(times) + 60 * MB * day(times))

    found = holding(findings("pool-leak", leak))

    assert len(found) == 1
    assert (found[0].verdict, found[0].subject.pool, found[0].subject.tag) == (Verdict.FOUND, "nonpaged", None)
    assert found[0].trend is not None
    assert found[0].trend.low <= 2.02 * MB
    assert found[0].trend.high >= 1.98 * MB
    assert found[0].trend.bytes_per_hour == pytest.approx(2 * MB, rel=0.05)
    assert found[0].trend.limit_reached_at is None, "no limit is known"


def test_load_that_comes_down_is_no_leak(findings: Findings) -> None:
    times = clock(4)
    load = counter("\\Memory\\Pool Paged Bytes", times, 300 * MB + 200 * MB * day(times) + noise(times, MB))
    work = counter("\\Server\\Bytes Total/sec", times, 1e7 * day(times))

    leak = findings("pool-leak", load, work)
    loaded = holding(findings("pool-load", load, work))

    assert [f.verdict for f in leak] == [Verdict.RULED_OUT]
    assert [(f.verdict, f.subject.pool, f.severity) for f in loaded] == [(Verdict.FOUND, "paged", Severity.INFO)]
    assert any("Bytes Total/sec" in reason.says for reason in loaded[0].because)


@pytest.mark.parametrize(
    ("completeness", "verdict"), [(Completeness.COMPLETE, Verdict.SUSPECTED), (Completeness.UNKNOWN, Verdict.FOUND)]
)
def test_pages_that_grow_while_all_tags_stay_are_no_sure_leak(
    findings: Findings, completeness: Completeness, verdict: Verdict
) -> None:
    times = clock()
    pool = counter("\\Memory\\Pool Nonpaged Bytes", times, 200 * MB + 2 * MB * hours(times) + noise(times, MB))
    tables = history(times, ("Irp", "nonpaged", 50_000 + noise(times, 300), 400))
    table = tables.pop()
    assert isinstance(table, TagTable)
    shown = replace(table, completeness=completeness)

    (leak,) = [f for f in holding(findings("pool-leak", pool, *tables, shown)) if f.subject.pool == "nonpaged"]

    assert (leak.verdict, leak.subject.tag) == (verdict, None)
    doubted = any("all tags together did not grow" in reason.says for reason in leak.against)
    assert doubted is (verdict is Verdict.SUSPECTED)


@pytest.mark.parametrize(("samples", "every"), [(3, 3600.0), (11, 60.0), (5, 86_400.0)])
def test_too_little_is_never_found_and_never_ruled_out(findings: Findings, samples: int, every: float) -> None:
    times = START + np.arange(samples, dtype=np.float64) * every
    rising = counter("\\Memory\\Pool Nonpaged Bytes", times, 100 * MB + 40 * MB * np.arange(samples, dtype=np.float64))

    for finding in findings("pool-leak", rising):
        assert finding.verdict in (Verdict.NOT_ASSESSED, Verdict.SUSPECTED)
    for finding in findings("pool-load", rising):
        assert finding.verdict is Verdict.NOT_ASSESSED


def test_the_limit_gives_a_date(findings: Findings) -> None:
    times = clock(3)
    leak = counter("\\Memory\\Pool Nonpaged Bytes", times, 500 * MB + 10 * MB * hours(times) + noise(times, MB))
    memory = counter("\\NUMA Node Memory(0)\\Total MBytes", times, np.full(len(times), 4096.0))
    series = [leak, memory]
    facts = [*captures(series, Where(0)), *series]

    found = holding(findings("pool-leak", *facts, era=5, architecture="x64", physical_bytes=4096 * MB))

    # From 8.1 on RAM is the limit; about 1220 MB are used after three days: 2876 MB at 10 MB an hour are 288 hours
    assert found[0].trend is not None
    at = found[0].trend.limit_reached_at
    assert at is not None
    assert (at.timestamp() - times[-1]) / 3600 == pytest.approx(288, rel=0.05)
    assert any(f"{at:%Y-%m-%d %H:%M}" in step for step in found[0].next_steps)


def test_a_process_that_holds_the_growth_is_named(findings: Findings) -> None:
    times = clock(3)
    pool = counter("\\Memory\\Pool Paged Bytes", times, 400 * MB + 3 * MB * hours(times) + noise(times, MB))
    guilty = counter("\\Process(exagent)\\Pool Paged Bytes", times, 5 * MB + 2.8 * MB * hours(times))
    other = counter("\\Process(lsass)\\Pool Paged Bytes", times, 9 * MB + noise(times, 4096, 2))

    found = holding(findings("pool-leak", pool, guilty, other))

    assert [f.subject.process for f in found] == ["exagent"]
    assert found[0].subject.pool == "paged"


def test_a_leak_per_operation_is_said(findings: Findings) -> None:
    times = clock(4)
    work = day(times)
    grown = np.cumsum(work) * 40_000.0
    pool = counter("\\Memory\\Pool Nonpaged Bytes", times, 200 * MB + grown + noise(times, 2000))
    load = counter("\\Server\\Bytes Total/sec", times, 1e6 * work)

    found = holding(findings("pool-leak", pool, load))

    assert found
    assert any("per operation" in reason.says for reason in found[0].because)


def test_reboots_cut_the_series(findings: Findings) -> None:
    times = clock(4)
    since = (times - START) % (2 * DAY)
    pool = counter("\\Memory\\Pool Nonpaged Bytes", times, 150 * MB + since / 3600 * 4 * MB + noise(times, 0.2 * MB))
    uptime = counter("\\System\\System Up Time", times, since + 60)

    found = holding(findings("pool-leak", pool, uptime))

    assert [f.verdict for f in found] == [Verdict.FOUND]
    assert found[0].trend is not None
    assert found[0].trend.bytes_per_hour == pytest.approx(4 * MB, rel=0.1)


# ---- tags ----


def test_a_leak_hidden_below_a_larger_tag(findings: Findings) -> None:
    times = clock(2, 1800)
    facts = history(
        times,
        ("Leak", "paged", 4000 + 400 * hours(times) + noise(times, 10), 2048),
        ("Big ", "paged", 100_000 + 80_000 * day(times) + noise(times, 500, 2), 4096),
        ("File", "nonpaged", 50_000 + noise(times, 300, 3), 344),
    )

    found = holding(findings("pool-leak", *facts))
    loaded = holding(findings("pool-load", *facts))

    assert [(f.subject.tag, f.verdict) for f in found] == [("Leak", Verdict.FOUND)]
    assert found[0].trend is not None
    assert found[0].trend.bytes_per_hour == pytest.approx(400 * 2048, rel=0.05)
    assert found[0].trend.allocs_per_hour == pytest.approx(400, rel=0.05)
    assert [f.subject.tag for f in loaded] == ["Big "]


def test_steps_that_are_never_given_back(findings: Findings) -> None:
    times = clock(5, 1800)
    steps = np.floor((hours(times) + 2) / 24)
    facts = history(times, ("MmSt", "paged", 20_000 + 70_000 * steps, 10_240))

    found = holding(findings("pool-leak", *facts))

    assert [(f.subject.tag, f.verdict) for f in found] == [("MmSt", Verdict.FOUND)]
    assert "steps" in found[0].headline
    assert any("follows what is in use" in reason.says for reason in found[0].against), "MmSt is a cache"


@pytest.mark.parametrize(
    "course",
    ["filled", "jump", "steady", "falling"],
)
def test_what_does_not_leak_is_not_called_a_leak(findings: Findings, course: str) -> None:
    times = clock(3, 1800)
    since = hours(times)
    blocks = {
        "filled": 10_000 + 90_000 * (1 - np.exp(-since / 6)),
        "jump": np.where(since > 30, 90_000.0, 10_000.0),
        "steady": np.full(len(times), 50_000.0),
        "falling": 90_000 - 1000 * since,
    }[course]
    facts = history(times, ("Abcd", "nonpaged", blocks + noise(times, 100), 1024))

    assert not [f for f in findings("pool-leak", *facts) if f.verdict is Verdict.FOUND]


def test_tags_in_step_accuse_the_object_and_not_its_part(findings: Findings) -> None:
    # The comments of article 001: Thre grew from 110,065 to 137,029 in three days
    times = clock(3, 1800)
    threads = 110_065 + (137_029 - 110_065) * hours(times) / 72 + np.cumsum(noise(times, 30))
    facts = history(
        times,
        ("Thre", "nonpaged", threads, 632),
        ("Toke", "paged", 40_000 + noise(times, 100, 7), 1024),
        ("Zpar", "nonpaged", threads * 2 + 500, 96),
    )

    together = holding(findings("tags-growing-together", *facts))
    leaks = holding(findings("pool-leak", *facts))
    handles = holding(findings("handle-leak", *facts))

    assert [(f.verdict, f.subject.tag) for f in together] == [(Verdict.FOUND, "Thre")]
    assert any("2.00" in reason.says for reason in together[0].because)
    assert any("Zpar" in text for text in together[0].explains)
    assert [f.subject.tag for f in leaks] == ["Thre"], "the part is a victim"
    assert [f.subject.tag for f in handles] == ["Thre"]


def test_tags_that_only_both_grow_are_not_in_step(findings: Findings) -> None:
    times = clock(3, 1800)
    facts = history(
        times,
        ("Aaaa", "nonpaged", 20_000 + 500 * hours(times) + noise(times, 200, 1), 512),
        ("Bbbb", "nonpaged", 30_000 + 900 * hours(times) + noise(times, 300, 2), 512),
    )

    together = findings("tags-growing-together", *facts)
    leaks = holding(findings("pool-leak", *facts))

    assert [f.verdict for f in together] == [Verdict.RULED_OUT]
    assert {f.subject.tag for f in leaks} == {"Aaaa", "Bbbb"}


def test_undated_tables_are_not_judged_per_hour(findings: Findings) -> None:
    times = np.full(30, np.nan)
    blocks = 1000.0 + 500 * np.arange(30)
    columns = {
        TagKey("Leak", PoolKind.PAGED): TagColumn(*(array("d", (blocks * each).tolist()) for each in (4096, 1, 1)))
    }
    undated = TagHistory(where=Where(0), times=array("d", times.tolist()), columns=columns, snapshots=30)

    found = findings("pool-leak", undated)

    assert [f.verdict for f in found] == [Verdict.NOT_ASSESSED]
    assert "nothing says when" in found[0].headline


# ---- handles ----


def test_a_process_that_only_opens_handles(findings: Findings) -> None:
    times = clock(3)
    guilty = counter("\\Process(spool)\\Handle Count", times, np.round(900 + 90 * hours(times) + noise(times, 20)))
    system = counter("\\Process(System)\\Handle Count", times, np.round(1500 + noise(times, 30, 2)))
    events = counter("\\Objects\\Events", times, np.round(9000 + 90 * hours(times) + noise(times, 40, 3)))

    found = holding(findings("handle-leak", guilty, system, events))

    assert [(f.subject.process, f.verdict) for f in found] == [("spool", Verdict.FOUND)]
    assert any("Events" in reason.says for reason in found[0].because)


def test_handles_that_come_and_go(findings: Findings) -> None:
    times = clock(3)
    busy = counter("\\Process(w3wp)\\Handle Count", times, np.round(2000 + 6000 * day(times) + noise(times, 20)))

    found = findings("handle-leak", busy)

    assert [f.verdict for f in found] == [Verdict.RULED_OUT]


def test_a_worker_that_is_restarted_is_cut_by_its_id(findings: Findings) -> None:
    times = clock(3)
    since = (times - START) % DAY
    handles = counter("\\Process(w3wp)\\Handle Count", times, np.round(800 + since / 3600 * 400))
    ident = counter("\\Process(w3wp)\\ID Process", times, 1000 + np.floor((times - START) / DAY))

    found = holding(findings("handle-leak", handles, ident))

    assert [f.subject.process for f in found] == ["w3wp"]


def test_low_confidence_is_only_suspected(findings: Findings) -> None:
    times = START + np.arange(8, dtype=np.float64) * 1800.0
    short = counter("\\Memory\\Pool Nonpaged Bytes", times, 100 * MB + 30 * MB * np.arange(8.0))

    for finding in findings("pool-leak", short):
        assert finding.verdict is not Verdict.FOUND
        assert finding.confidence is Confidence.LOW


# ---- what the tags do not explain, what follows the load ----


def header(times: Numbers, nonpaged: Numbers) -> MemoryHistory:
    return MemoryHistory(
        where=Where(0),
        times=array("d", times.tolist()),
        figures={"nonpaged_used": array("d", nonpaged.tolist())},
        snapshots=len(times),
    )


def test_a_pool_that_its_tags_do_not_explain_stands_before_them(findings: Findings) -> None:
    times = clock(3, 1800)
    tags = history(times, ("Smll", "nonpaged", 4000 + 200 * hours(times) + noise(times, 5), 2048))
    pool = header(times, 300 * MB + 50 * MB * hours(times))

    found = holding(findings("pool-leak", pool, *tags))

    assert [f.subject.tag for f in found] == [None, "Smll"]
    assert not found[1].explains
    assert any("0.8 % of the growth" in reason.says for reason in found[1].because)


def test_the_limit_is_reached_by_all_that_grows_in_a_pool(findings: Findings) -> None:
    times = clock(3, 1800)
    tags = history(
        times,
        ("Aaaa", "nonpaged", 4000 + 512 * hours(times) + noise(times, 5), 10_240),
        ("Bbbb", "nonpaged", 4000 + 512 * hours(times) + noise(times, 5, 2), 10_240),
    )
    pool = header(times, 500 * MB + 10 * MB * hours(times))
    last = MemoryCounters(
        where=Where(0, 1),
        physical=Figure(8192 * MB, Where(0, 1)),
        nonpaged_used=Figure(1219 * MB, Where(0, 1)),
        at=datetime.fromtimestamp(times[-1], UTC),
    )

    found = holding(findings("pool-leak", pool, last, *tags, era=5, architecture="x64"))

    dates = {f.trend.limit_reached_at for f in found if f.trend is not None}
    assert len(dates) == 1, "two tags of 5 MB an hour fill one pool at one time"
    # 8192 - 1219 MB at 10 MB an hour are 697 hours
    at = dates.pop()
    assert at is not None
    assert (at.timestamp() - times[-1]) / 3600 == pytest.approx(697, rel=0.05)
    assert all(f"{at:%Y-%m-%d %H:%M}" in f.headline for f in found)


def test_growth_that_follows_a_growing_load_is_only_suspected(findings: Findings) -> None:
    times = clock(2)
    work = 1e5 * (1 + hours(times) / 8) + noise(times, 2e3)
    pool = counter("\\Memory\\Pool Nonpaged Bytes", times, 200 * MB + 300 * work)
    load = counter("\\Server\\Bytes Total/sec", times, work)

    found = holding(findings("pool-leak", pool, load))

    assert [(f.verdict, f.confidence) for f in found] == [(Verdict.SUSPECTED, Confidence.LOW)]
    assert "Bytes Total/sec" in found[0].against[0].says


def test_tags_that_time_has_judged_are_not_suspected_again_by_two_tables(findings: Findings) -> None:
    times = clock(3, 1800)
    up_and_down = 40_000 + 30_000 * np.sin(hours(times) / 7)
    facts = history(times, ("Work", "nonpaged", up_and_down, 2048))
    first = TagTable(
        where=Where(0, 1),
        rows=(TagRow("Work", PoolKind.NONPAGED, None, None, 1000, 2_048_000, Where(0, 1)),),
        pools=frozenset({PoolKind.NONPAGED}),
        completeness=Completeness.UNKNOWN,
        at=datetime.fromtimestamp(times[0], UTC),
    )

    assert not holding(findings("pool-leak", first, *facts))


def test_a_pool_that_filled_up_is_not_ruled_out(findings: Findings) -> None:
    times = clock(5)
    grown = np.minimum(100 * MB + 2 * MB * hours(times), 250 * MB) + noise(times, 0.1 * MB)
    pool = counter("\\Memory\\Pool Nonpaged Bytes", times, grown)
    failures = counter("\\Server\\Pool Nonpaged Failures", times, np.floor(np.maximum(0.0, hours(times) - 80)))
    facts = [*captures([pool, failures], Where(0)), pool, failures]

    leak = findings("pool-leak", *facts)
    depletion = holding(findings("nonpaged-pool-depletion", *facts))

    assert [(f.verdict, f.severity) for f in leak] == [(Verdict.SUSPECTED, Severity.CRITICAL)]
    assert [f.verdict for f in depletion] == [Verdict.FOUND]
    assert "failed while the counters were recorded" in depletion[0].because[0].says


@pytest.mark.parametrize(("memory", "severity"), [(6000, Severity.WARNING), (2800, Severity.CRITICAL)])
def test_a_limit_within_a_week_is_critical(findings: Findings, memory: int, severity: Severity) -> None:
    times = clock(2)
    leak = counter("\\Memory\\Pool Nonpaged Bytes", times, 130 * MB + 10 * MB * hours(times) + noise(times, MB))
    facts = [*captures([leak], Where(0)), leak]

    # 610 MB are used, less than a quarter of memory: the pool is not short yet. 75 % of 6,000 MB are reached in 389
    # hours, 75 % of 2,800 MB in 149, which is less than a week
    found = holding(findings("pool-leak", *facts, era=3, architecture="x64", physical_bytes=memory * MB))

    assert [f.severity for f in found] == [severity]


def test_a_short_growth_is_worth_a_suspicion_only_when_it_is_large(findings: Findings) -> None:
    times = START + np.arange(8, dtype=np.float64) * 1800
    steady = np.full(8, 9000.0)
    facts = history(
        times,
        ("Morn", "paged", 1000 + 500 * np.arange(8, dtype=np.float64), 1024),
        ("Huge", "paged", 1000 + 9000 * np.arange(8, dtype=np.float64), 1024),
        ("Flat", "paged", steady, 1024),
    )[:1]  # the history alone: the tables of single captures have their own rule

    assert [f.subject.tag for f in holding(findings("pool-leak", *facts))] == ["Huge"]


def test_counts_of_allocations_that_go_on_show_that_nothing_restarted(findings: Findings) -> None:
    # Every midnight a job's memory is given back: the same fall that a reboot makes, but the counts go on
    times = clock(46 / 24, 1800)
    since = hours(times) % 24
    tags = [("Work", "nonpaged", 10_000 + 4_000 * since, 1024)]
    tags += [(f"Tag{n}", "nonpaged", np.full(len(times), 5000.0), 64) for n in range(6)]
    pool = header(times, 200 * MB + 4 * MB * since)

    for finding in findings("pool-leak", pool, *history(times, *tags)):
        assert finding.verdict is not Verdict.FOUND
        assert not any("restart" in reason.says for reason in finding.because)
