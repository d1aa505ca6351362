"""The series of a report: which ones, how many points, and what survives of a long log."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.model.document import from_json, to_json
from poolsleuth.model.facts import Fact
from poolsleuth.model.machine import Machine
from poolsleuth.model.report import Pools, Report, ReportInput, ReportMachine, ReportSeries, ReportSystem
from poolsleuth.model.series import CounterSeries, TagHistory
from poolsleuth.model.tags import PoolKind
from poolsleuth.patterns import report_series as module
from poolsleuth.patterns.courses import courses_of
from poolsleuth.patterns.report_series import MAX_POINTS, down_sampled, report_series
from poolsleuth.patterns.views import PoolState, PoolStates

NONPAGED = r"\Memory\Pool Nonpaged Bytes"
MB = 1 << 20
HOURS = range(96)
Counter = Callable[..., CounterSeries]
History = Callable[..., TagHistory]
Series = Callable[..., tuple[ReportSeries, ...]]


@pytest.fixture
def series(machine: Callable[..., Machine]) -> Series:
    def build(
        *facts: Fact, states: PoolStates | None = None, counters: str = "", tags: str = ""
    ) -> tuple[ReportSeries, ...]:
        courses = courses_of(machine(*facts))
        assert courses is not None
        found = report_series(
            courses,
            states,
            (lambda path: counters in path.counter) if counters else None,
            (lambda tag: tags in tag) if tags else None,
        )
        for one in found:
            assert len(one.seconds) == len(one.values) <= MAX_POINTS
            assert list(one.seconds) == sorted(one.seconds)
            assert one.samples >= len([v for v in one.values if v is not None])
        return found

    return build


def rising(base: float, per_hour: float, hours: Sequence[int] = HOURS) -> list[float]:
    return [base + per_hour * h for h in hours]


# ---- down-sampling ----------------------------------------------------------------------------------------------


def sampled(values: Sequence[float], most: int) -> tuple[list[float], list[float]]:
    times, kept = down_sampled(np.arange(len(values), dtype=np.float64), np.array(values, dtype=np.float64), most)
    return times.tolist(), kept.tolist()


def test_few_points_stay_as_they_are() -> None:
    assert sampled([3, nan, 1], 3)[0] == [0, 1, 2]
    assert sampled([], 10) == ([], [])


def test_floors_and_peaks_survive() -> None:
    values = np.full(100_000, 50.0)
    values[31_234], values[77_777] = -7.0, 999.0
    times, kept = sampled(values.tolist(), 400)
    points = dict(zip(times, kept, strict=True))
    assert len(times) <= 400
    assert (points[31_234.0], points[77_777.0]) == (-7.0, 999.0)
    assert (times[0], times[-1]) == (0, 99_999)


@pytest.mark.parametrize("most", [4, 10, 400])
def test_restless_figures_give_no_more_points_either(most: int) -> None:
    """Each stretch has a floor and a peak of its own, and the two ends of the log are neither."""
    values = [float((i * 7919) % 1009) for i in range(50_000)]
    assert most - 4 <= len(sampled([500.0, *values, 500.0], most)[0]) <= most


def test_every_stretch_is_covered() -> None:
    times, _ = sampled([float(i % 17) for i in range(50_000)], 400)
    assert max(b - a for a, b in pairwise(times)) < 3 * 50_000 / 199


def test_a_gap_stays_a_gap() -> None:
    values = [1.0] * 1000 + [nan] * 1000 + [2.0] * 1000
    times, kept = sampled(values, 60)
    inside = [v for t, v in zip(times, kept, strict=True) if 1100 < t < 1900]
    assert inside
    assert all(np.isnan(v) for v in inside)
    assert 1.0 in kept
    assert 2.0 in kept


def test_a_lone_missing_sample_is_no_gap() -> None:
    values = [nan if i % 50 == 7 else float(i) for i in range(5000)]
    assert not any(np.isnan(v) for v in sampled(values, 100)[1])


@given(
    st.lists(st.floats(-1e6, 1e6) | st.just(nan), min_size=1, max_size=300),
    st.integers(2, 60),
)
def test_never_more_and_always_the_extremes(values: list[float], most: int) -> None:
    times, kept = sampled(values, most)
    assert len(times) <= max(most, 4)
    assert times == sorted(set(times))
    assert (times[0], times[-1]) == (0, len(values) - 1)
    good, known = [v for v in values if v == v], [v for v in kept if v == v]  # noqa: PLR0124 - NaN
    if good:
        assert (min(known), max(known)) == (min(good), max(good))
    assert all(values[int(t)] == v or v != v for t, v in zip(times, kept, strict=True))  # noqa: PLR0124


# ---- which series, in which order -------------------------------------------------------------------------------


def test_the_order_and_what_each_says(series: Series, counter: Counter, tag_history: History) -> None:
    found = series(
        counter(r"\Server\Bytes Total/sec", HOURS, [float(h % 24) for h in HOURS]),
        counter(r"\Process(lsass)\Handle Count", HOURS, rising(1000, 500)),
        counter(r"\Process(calm)\Handle Count", HOURS, [1000.0] * 96),
        counter(NONPAGED, HOURS, rising(2e8, 4 * MB)),
        counter(r"\Cache\Copy Reads/sec", HOURS, [float(h) for h in HOURS]),
        tag_history(HOURS, {"MmSt": rising(1e7, 2 * MB), "Flat": [5e6] * 96}),
        counters="Copy Reads",
    )

    assert [(s.kind, s.name) for s in found] == [
        ("pool", "nonpaged pool"),
        ("tag", "tag MmSt, paged pool"),
        ("process", "handles of lsass"),
        ("load", r"\Server\Bytes Total/sec"),
        ("counter", r"\Cache\Copy Reads/sec"),
    ]
    pool, tag, process, load, _ = found
    assert (pool.pool, pool.unit, pool.course, pool.path) == ("nonpaged", "bytes", "leak", r"\\SRV" + NONPAGED)
    assert pool.says is not None
    assert "grows and does not come down" in pool.says
    assert pool.trend is not None
    assert pool.trend.bytes_per_hour == pytest.approx(4 * MB, rel=0.05)
    assert len(pool.line) == 2
    assert (tag.tag, tag.pool, tag.session) == ("MmSt", "paged", None)
    assert (process.process, process.unit, process.trend) == ("lsass", "count", None)
    assert (load.course, load.says, load.unit) == (None, None, "per second")


def test_times_are_counted_from_a_whole_second(series: Series, counter: Counter) -> None:
    (pool,) = series(counter(NONPAGED, [0.0001, 1.0001, 2.0001], [1e8, 2e8, 3e8]))
    assert pool.start == datetime.fromtimestamp(1_700_000_000, UTC)
    assert pool.seconds == (0.36, 3600.36, 7200.36)
    assert pool.values == (100_000_000, 200_000_000, 300_000_000)


def test_the_limit_of_the_pool(series: Series, counter: Counter) -> None:
    log = counter(NONPAGED, HOURS, rising(2e8, 4 * MB))
    states = PoolStates(nonpaged=PoolState(kind=PoolKind.NONPAGED, limit=1 << 30), paged=PoolState(kind=PoolKind.PAGED))
    (with_limit,) = series(log, states=states)
    assert with_limit.limit == float(1 << 30)
    assert with_limit.trend is not None
    assert with_limit.trend.limit_reached_at is not None
    (without,) = series(log)
    assert (without.limit, without.trend and without.trend.limit_reached_at) == (None, None)


def test_missing_and_impossible_figures_are_none(series: Series, counter: Counter) -> None:
    (pool,) = series(counter(NONPAGED, range(4), [1.5, nan, inf, 2.0]))
    assert pool.values == (1.5, None, None, 2)
    assert series(counter(NONPAGED, range(3), [nan] * 3)) == ()
    assert series(counter(NONPAGED, [], [])) == ()


def test_bounds(series: Series, counter: Counter, tag_history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = tag_history(range(4), {f"T{i:03}": [1e6, 2e6 + i, 3e6, 1e6] for i in range(80)})
    loads = [counter(rf"\Network Interface({i})\Bytes Total/sec", range(4), [1, 2, 3, 4]) for i in range(30)]
    found = series(tags, *loads, counters="Bytes Total/sec")
    count = {kind: sum(s.kind == kind for s in found) for kind in ("tag", "load", "counter")}
    assert count == {"tag": module.MAX_TAGS, "load": module.MAX_LOADS, "counter": 30}

    monkeypatch.setattr(module, "MAX_ASKED", 5)
    found = series(tags, *loads, counters="Bytes Total/sec", tags="T")
    assert sum(s.kind == "counter" for s in found) == 5
    assert module.MAX_TAGS <= sum(s.kind == "tag" for s in found) <= module.MAX_TAGS + 5


def test_a_tag_that_was_asked_for_is_shown_though_it_stands_still(series: Series, tag_history: History) -> None:
    tags = tag_history(range(4), {"Flat": [5e6] * 4, "Mov1": [1e6, 2e6, 1e6, 2e6]})
    assert [s.tag for s in series(tags)] == ["Mov1"]
    assert [s.tag for s in series(tags, tags="Flat")] == ["Mov1", "Flat"]


def test_a_long_log_keeps_its_count(series: Series, counter: Counter) -> None:
    hours = [h / 60 for h in range(5000)]
    (pool,) = series(counter(NONPAGED, hours, [1e8 + h % 97 * MB for h in range(5000)]))
    assert pool.samples == 5000
    assert len(pool.values) <= MAX_POINTS
    assert max(v for v in pool.values if v is not None) == 1e8 + 96 * MB


def test_local_times_are_marked(series: Series, counter: Counter) -> None:
    (pool,) = series(counter(NONPAGED, HOURS, rising(2e8, 4 * MB), utc=False))
    assert pool.utc is False
    assert pool.trend is None or pool.trend.limit_reached_at is None


def test_written_and_read_back(series: Series, counter: Counter, tag_history: History) -> None:
    found = series(
        counter(NONPAGED, HOURS, [nan if h % 9 == 3 else 2e8 + 4.25 * MB * h for h in HOURS]),
        counter(r"\Processor(_Total)\% Processor Time", HOURS, [h * 0.1 for h in HOURS], utc=False),
        tag_history(HOURS, {"MmSt": rising(1e7, 2 * MB), "<&>\"'\x1b": rising(0, MB)}),
    )
    machine = ReportMachine(
        name=None,
        inputs=(0,),
        system=ReportSystem(),
        pools=Pools(),
        tags=(),
        conclusion=None,
        findings=(),
        series=found,
    )
    report = Report(tool_version="0", inputs=(ReportInput("x", None, None, None),), machines=(machine,), problems=())
    text = to_json(report)
    assert from_json(text) == report

    def refuse(name: str) -> float:
        raise AssertionError(name)

    json.loads(text, parse_constant=refuse)
