"""The lines of a machine: what is joined, what is never mixed, and where its boots end."""

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.model.facts import Fact, Figure, Where
from poolsleuth.model.machine import Machine, System
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.series import CounterPath, CounterSeries, MemoryHistory, TagColumn, TagHistory, TagKey
from poolsleuth.model.system import TargetInfo
from poolsleuth.model.tags import Completeness, PoolKind, TagRow, TagTable
from poolsleuth.patterns.courses import courses_of
from poolsleuth.patterns.line_sources import lines_of
from poolsleuth.patterns.lines import Line, Lines
from poolsleuth.patterns.report_series import report_series
from poolsleuth.windows.counters import Unit

START = 1_700_000_000.0
NONPAGED, PAGED = r"\Memory\Pool Nonpaged Bytes", r"\Memory\Pool Paged Bytes"
NAN = math.nan
MMST = TagKey("MmSt", PoolKind.PAGED)
Counter = Callable[..., CounterSeries]
History = Callable[..., TagHistory]


def lines(*facts: Fact) -> Lines:
    found = lines_of(Machine(system=System(), inputs=(0,), facts=facts))
    assert found is not None
    return found


def nothing(*facts: Fact) -> bool:
    return lines_of(Machine(system=System(), inputs=(0,), facts=facts)) is None


def points(line: Line) -> list[tuple[float, float | None]]:
    """Hours and values; None for a value that is missing."""
    return [
        (round((t - START) / 3600, 6), None if math.isnan(v) else v)
        for t, v in zip(line.times, line.values, strict=True)
    ]


def vm(hour: float, nonpaged: int, *, place: int = 0, nx: int | None = None) -> MemoryCounters:
    return MemoryCounters(
        where=Where(place, 1),
        at=datetime.fromtimestamp(START + 3600 * hour, UTC),
        nonpaged_used=Figure(nonpaged, Where(place, 2)),
        nonpaged_nx_used=Figure(nx, Where(place, 3)) if nx is not None else None,
    )


def table(hour: float | None, rows: dict[str, int], *, place: int = 0) -> TagTable:
    return TagTable(
        where=Where(place, 1),
        at=None if hour is None else datetime.fromtimestamp(START + 3600 * hour, UTC),
        rows=tuple(TagRow(tag, PoolKind.PAGED, None, None, 7, size, Where(place, 5)) for tag, size in rows.items()),
        pools=frozenset({PoolKind.PAGED}),
        completeness=Completeness.CUT,
    )


# ---- what is a line ----------------------------------------------------------------------------------------------


def test_one_capture_is_no_line(tag_history: History) -> None:
    assert nothing()
    assert nothing(vm(0, 5))
    assert nothing(table(0, {"MmSt": 5}))
    assert nothing(table(None, {"MmSt": 5}), table(None, {"MmSt": 6}, place=1))
    assert nothing(tag_history([0], {"MmSt": [5]}))


def test_a_value_and_a_line_know_their_last(counter: Counter) -> None:
    line = lines(counter(NONPAGED, [0, 1, 2], [5, 6, NAN])).counters[0]
    assert line.last == 6
    assert lines(counter(NONPAGED, [0, 1], [NAN, NAN])).counters[0].last is None
    assert lines(counter(NONPAGED, [], [])).counters[0].last is None


def test_counters_are_sorted_by_their_use(counter: Counter) -> None:
    found = lines(
        counter(NONPAGED, [0, 1], [1, 2]),
        counter(r"\Process(lsass)\Handle Count", [0, 1], [3, 4]),
        counter(r"\Process(lsass)\Pool Paged Bytes", [0, 1], [5, 6]),
        counter(r"\Process(_Total)\Handle Count", [0, 1], [9, 9]),
        counter(r"\Process(Idle)\Handle Count", [0, 1], [9, 9]),
        counter(r"\Process(quiet)\ID Process", [0, 1], [9, 9]),
        counter(r"\Objects\Threads", [0, 1], [7, 8]),
        counter(r"\Server\Bytes Total/sec", [0, 1], [0, 1]),
        counter(r"\Cache\Copy Reads/sec", [0, 1], [0, 1]),
    )

    assert set(found.pools) == {PoolKind.NONPAGED}
    (lsass,) = found.processes
    assert lsass.name == "lsass"
    assert lsass.handles is not None
    assert lsass.paged is not None
    assert lsass.nonpaged is None
    assert points(lsass.handles) == [(0, 3), (1, 4)]
    assert [line.path and line.path.counter for line in found.objects] == ["Threads"]
    assert [line.path and line.path.counter for line in found.loads] == ["Bytes Total/sec"]
    assert len(found.counters) == 9
    assert found.pools[PoolKind.NONPAGED].unit is Unit.BYTES


# ---- order, missing values, duplicates --------------------------------------------------------------------------


def test_times_are_put_in_order_and_those_that_are_none_are_left_out(counter: Counter) -> None:
    line = lines(counter(NONPAGED, [2, NAN, 0, 1, math.inf, -1e9, 1e9], [3, 9, 1, 2, 9, 9, 9])).counters[0]
    assert points(line) == [(0, 1), (1, 2), (2, 3)]


def test_figures_that_cannot_be_are_missing(counter: Counter) -> None:
    line = lines(counter(NONPAGED, [0, 1, 2, 3], [1, 1e308, -1e300, 2])).counters[0]
    assert points(line) == [(0, 1), (1, None), (2, None), (3, 2)]


def test_the_facts_are_left_as_they_are(counter: Counter) -> None:
    series = counter(NONPAGED, [2, 0, 1], [3, 1, 1e308])
    before = (list(series.times), list(series.values))
    lines(series)
    assert (list(series.times), list(series.values)) == before


# ---- several inputs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True])
def test_logs_of_one_machine_continue_each_other(counter: Counter, turned: bool) -> None:
    logs = [
        counter(path, hours, values, input=place)
        for place, hours in enumerate(([0, 1, 2], [5, 6]))
        for path, values in (
            (NONPAGED, [10 + h for h in hours]),
            (r"\Process(lsass)\Handle Count", [100 + h for h in hours]),
            (r"\Objects\Events", [200 + h for h in hours]),
            (r"\System\Processes", [300 + h for h in hours]),
        )
    ]
    found = lines(*(logs[::-1] if turned else logs))

    every = [0, 1, 2, 5, 6]
    (lsass,) = found.processes
    assert lsass.handles is not None
    assert points(found.pools[PoolKind.NONPAGED]) == [(h, 10 + h) for h in every]
    assert points(lsass.handles) == [(h, 100 + h) for h in every]
    assert [points(line) for line in found.objects] == [[(h, 200 + h) for h in every]]
    assert [points(line) for line in found.loads] == [[(h, 300 + h) for h in every]]
    assert len(found.counters) == 4
    pool = found.pools[PoolKind.NONPAGED]
    assert (pool.samples, pool.where) == (5, Where(1))  # the input that holds the last of it


def test_logs_that_overlap_do_not_count_a_sample_twice(counter: Counter) -> None:
    found = lines(
        counter(NONPAGED, [0, 1, 2, 3], [1, 2, 3, 4], input=0),
        counter(NONPAGED.upper(), [2, 3, 4], [3, NAN, 5], input=1, host=None),
    )
    assert points(found.pools[PoolKind.NONPAGED]) == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]
    assert len(found.counters) == 1


def test_local_times_and_utc_are_never_mixed(counter: Counter, tag_history: History) -> None:
    found = lines(
        counter(NONPAGED, [0, 1, 2], [1, 2, 3]),
        counter(NONPAGED, [1.5, 2.5], [99, 99], input=1, utc=False),
        tag_history([0.5, 1.5], {"MmSt": [5, 6]}, input=2, utc=False),
        tag_history([0, 1, 2], {"MmSt": [7, 8, 9]}, input=3),
        table(5, {"MmSt": 10}, place=4),
    )

    pool = found.pools[PoolKind.NONPAGED]
    assert (points(pool), pool.utc) == ([(0, 1), (1, 2), (2, 3)], True)
    assert [(len(line.times), line.utc) for line in found.counters] == [(3, True), (2, False)]
    tag = found.tags[MMST].bytes
    assert (points(tag), tag.utc) == ([(0, 7), (1, 8), (2, 9), (5, 10)], True)


def test_of_local_times_and_utc_the_longer_is_taken(counter: Counter, tag_history: History) -> None:
    found = lines(
        counter(NONPAGED, [0, 1], [1, 2]),
        counter(NONPAGED, [1.5, 2.5, 3], [7, 8, 9], input=1, utc=False),
        tag_history([0, 1, 2], {"MmSt": [5, 6, 7]}, input=2, utc=False),
        table(5, {"MmSt": 10}, place=4),
    )
    assert not found.pools[PoolKind.NONPAGED].utc
    assert points(found.pools[PoolKind.NONPAGED]) == [(1.5, 7), (2.5, 8), (3, 9)]
    assert not found.tags[MMST].bytes.utc
    assert points(found.tags[MMST].bytes) == [(0, 5), (1, 6), (2, 7)]


def test_a_long_source_is_not_mixed_with_figures_counted_in_another_way(counter: Counter) -> None:
    log = counter(NONPAGED, range(6), [1, 2, 3, 4, 5, 6])
    assert points(lines(log, vm(9, 50, place=1)).pools[PoolKind.NONPAGED])[-1] == (5, 6)

    short = counter(NONPAGED, range(3), [1, 2, 3])
    assert points(lines(short, vm(9, 50, place=1)).pools[PoolKind.NONPAGED])[-1] == (9, 50)


def test_captures_of_a_log_that_has_the_counter_are_not_taken_again(counter: Counter) -> None:
    both = [
        fact
        for place, hour in ((0, 0), (1, 2))
        for fact in (
            counter(NONPAGED, [hour, hour + 1], [hour, hour + 1], input=place),
            vm(hour + 0.5, 77, place=place),
        )
    ]
    assert points(lines(*both).pools[PoolKind.NONPAGED]) == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_dated_captures_are_a_line(tag_history: History) -> None:
    found = lines(vm(0, 100, nx=11), vm(3, 200, nx=22, place=1), table(0, {"MmSt": 5}), table(3, {"MmSt": 6}, place=1))
    pool = found.pools[PoolKind.NONPAGED]
    assert points(pool) == [(0, 111), (3, 222)]
    assert (pool.source, pool.samples, pool.where) == ("!vm", 2, Where(1, 2))
    assert points(found.tags[MMST].bytes) == [(0, 5), (3, 6)]
    assert points(found.tags[MMST].outstanding) == [(0, 7), (3, 7)]
    assert points(found.tags[MMST].allocs) == [(0, None), (3, None)]


def test_one_capture_with_and_without_its_fraction_of_a_second_is_one() -> None:
    precise = vm(0, 100)
    assert precise.at is not None
    twin = replace(precise, at=precise.at.replace(microsecond=118_000), where=Where(1, 1))
    assert nothing(precise, twin)


# ---- tags --------------------------------------------------------------------------------------------------------


def test_tag_tables_of_several_inputs_are_joined(tag_history: History) -> None:
    found = lines(
        tag_history([5, 6], {"MmSt": [50, 60], "Late": [1, 2]}, input=1),
        tag_history([0, 1], {"MmSt": [1, 10]}, input=0),
    )
    line = found.tags[MMST]
    assert points(line.bytes) == [(0, 1), (1, 10), (5, 50), (6, 60)]
    assert len(line.bytes.times) == len(line.outstanding.times) == len(line.allocs.times)
    assert line.bytes.samples == 4
    assert points(found.tags[TagKey("Late", PoolKind.PAGED)].bytes) == [(5, 1), (6, 2)]


def test_of_two_tables_of_one_time_the_one_that_shows_the_tag_counts(tag_history: History) -> None:
    for turned in (False, True):
        parts = [
            tag_history([0, 1, 2], {"MmSt": [1, 2, NAN]}, input=0),
            tag_history([1, 2, 3], {"MmSt": [NAN, 3, 4]}, input=1),
        ]
        found = lines(*(parts[::-1] if turned else parts))
        assert points(found.tags[MMST].bytes) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_a_tag_in_two_pools_is_two_lines(tag_history: History) -> None:
    found = lines(
        tag_history([0, 1], {"MmSt": [1, 2]}), tag_history([0, 1], {"MmSt": [3, 4]}, pool="nonpaged", input=1)
    )
    assert set(found.tags) == {MMST, TagKey("MmSt", PoolKind.NONPAGED)}


def test_tables_without_times_are_said_to_be_undated(tag_history: History) -> None:
    found = lines(tag_history([NAN, NAN], {"MmSt": [1, 2]}))
    assert found.undated
    assert found.tags == {}
    assert not lines(tag_history([0, 1], {"MmSt": [1, 2]})).undated


def test_a_pool_is_the_sum_of_its_tags_where_every_tag_is_shown(tag_history: History) -> None:
    columns = {"MmSt": [1, 2, 3], "Late": [NAN, NAN, 10]}
    pool = lines(tag_history([0, 1, 2], columns, complete=True)).pools[PoolKind.PAGED]
    assert (points(pool), pool.source) == ([(0, 1), (1, 2), (2, 13)], "the sum of all tags")
    assert lines(tag_history([0, 1, 2], columns)).pools == {}

    holed = {"MmSt": [1, NAN, 3], "Late": [1e308, NAN, 1e308]}
    pool = lines(tag_history([0, 1, 2], holed, complete=True)).pools[PoolKind.PAGED]
    assert points(pool) == [(0, 1), (1, None), (2, 3)]  # a table that shows nothing is not a pool of 0 bytes


def test_the_header_of_poolmon_is_better_than_a_sum(tag_history: History) -> None:
    header = MemoryHistory(
        where=Where(0),
        times=array("d", [START, START + 3600]),
        figures={"paged_used": array("d", [500, 600])},
        snapshots=2,
    )
    pool = lines(header, tag_history([0, 1], {"MmSt": [1, 2]}, complete=True)).pools[PoolKind.PAGED]
    assert points(pool) == [(0, 500), (1, 600)]


# ---- reboots -----------------------------------------------------------------------------------------------------

UPTIME = r"\System\System Up Time"


def hours_of(found: Lines) -> list[float]:
    return [round((t - START) / 3600, 4) for t in found.reboots]


def test_an_uptime_that_falls_is_a_reboot_at_the_boot(counter: Counter) -> None:
    found = lines(counter(UPTIME, [0, 1, 2, 3], [90_000, 93_600, 1800, 5400]))
    assert hours_of(found) == [1.5]


def test_the_boot_lies_between_the_samples(counter: Counter) -> None:
    (early,) = lines(counter(UPTIME, [0, 1, 2], [90_000, 93_600, 7_000])).reboots  # clocks disagree
    assert START + 3600 < early < START + 7200
    (late,) = lines(counter(UPTIME, [0, 1, 2], [90_000, 93_600, -500])).reboots
    assert START + 3600 < late <= START + 7200


def test_a_corrected_clock_and_a_missing_sample_are_no_reboot(counter: Counter) -> None:
    assert hours_of(lines(counter(UPTIME, [0, 1, 2, 3], [90_000, NAN, 89_950, 93_000]))) == []


def test_a_reboot_between_two_logs(counter: Counter) -> None:
    found = lines(counter(UPTIME, [0, 1], [90_000, 93_600], input=0), counter(UPTIME, [5, 6], [3600, 7200], input=1))
    assert hours_of(found) == [4.0]


def test_a_reboot_between_two_captures() -> None:
    def banner(hour: float, uptime: float, place: int) -> TargetInfo:
        return TargetInfo(
            where=Where(place), captured_at=datetime.fromtimestamp(START + 3600 * hour, UTC), uptime_seconds=uptime
        )

    captures = [vm(0, 5), vm(72, 6, place=1)]
    assert hours_of(lines(*captures, banner(0, 90_000, 0), banner(72, 36_000, 1))) == [62.0]
    assert hours_of(lines(*captures, banner(0, 90_000, 0), banner(72, 90_000 + 72 * 3600, 1))) == []


def test_allocations_since_boot_that_fall_are_a_reboot(tag_history: History) -> None:
    tags = [f"Tag{i}" for i in range(6)]
    size = {tag: [1, 2, 3, 4] for tag in tags}
    fallen = {tag: [1000 + i, 2000 + i, 50, 90] for i, tag in enumerate(tags)}
    assert hours_of(lines(tag_history([0, 1, 2, 3], size, allocs=fallen))) == [1.5]

    # A counter of 32 bits wraps for one busy tag, not for most
    wrapped = {tag: [1000, 2000, 3000, 4000] for tag in tags} | {"Tag0": [4e9, 4.2e9, 5, 1e8]}
    assert hours_of(lines(tag_history([0, 1, 2, 3], size, allocs=wrapped))) == []

    # Few tags prove nothing
    few = {tag: size[tag] for tag in tags[:4]}
    assert hours_of(lines(tag_history([0, 1, 2, 3], few, allocs=fallen))) == []


def test_a_reboot_between_two_poolmon_logs(tag_history: History) -> None:
    tags = [f"Tag{i}" for i in range(6)]
    parts = [
        tag_history(h, {t: [1, 1] for t in tags}, allocs={t: [a, a + 9] for t in tags}, input=place)
        for place, (h, a) in enumerate((([0, 1], 5000), ([4, 5], 100)))
    ]
    assert hours_of(lines(*parts)) == [2.5]


# ---- any input ---------------------------------------------------------------------------------------------------

_NUMBERS = st.floats(allow_nan=True) | st.integers(-5, 5).map(float)
_TIMES = _NUMBERS | st.integers(0, 20).map(lambda h: START + 3600 * h)
_NAMES = st.sampled_from(
    [NONPAGED, PAGED, UPTIME, r"\Process(a)\Handle Count", r"\Process(a)\ID Process", r"\Server\Bytes Total/sec"]
)


@st.composite
def _facts(draw: Any) -> list[Fact]:
    facts: list[Fact] = []
    for place in range(draw(st.integers(0, 4))):
        times: Sequence[float] = draw(st.lists(_TIMES, max_size=12))
        some = st.lists(_NUMBERS, min_size=len(times), max_size=len(times)).map(lambda v: array("d", v))
        if draw(st.booleans()):
            object_, _, name = draw(_NAMES).lstrip("\\").partition("\\")
            object_, bracket, instance = object_.partition("(")
            facts.append(
                CounterSeries(
                    where=Where(place),
                    path=CounterPath(None, object_, instance.rstrip(")") if bracket else None, name),
                    times=array("d", times),
                    values=draw(some),
                    samples=len(times),
                    utc=draw(st.booleans()),
                )
            )
            continue
        facts.append(
            TagHistory(
                where=Where(place),
                times=array("d", times),
                columns={
                    TagKey(tag, PoolKind.PAGED): TagColumn(draw(some), draw(some), draw(some))
                    for tag in draw(st.lists(st.sampled_from("abcdefg"), unique=True))
                },
                snapshots=len(times),
                utc=draw(st.booleans()),
                complete=draw(st.booleans()),
            )
        )
        facts.append(vm(draw(st.integers(0, 9)), draw(st.integers(0, 9)), place=place))
    return facts


@settings(max_examples=60, deadline=None)
@given(_facts())
def test_odd_figures_give_lines_that_keep_their_promises(facts: list[Fact]) -> None:
    machine = Machine(system=System(), inputs=(0,), facts=tuple(facts))
    found = lines_of(machine)
    if found is None:
        return
    tags = [line for tag in found.tags.values() for line in (tag.bytes, tag.outstanding, tag.allocs)]
    for line in (*found.pools.values(), *tags, *found.counters, *found.loads):
        assert len(line.times) == len(line.values)
        assert np.isfinite(line.times).all()
        assert (np.diff(line.times) >= 0).all()
        assert not np.isinf(line.values).any()
    assert list(found.reboots) == sorted(found.reboots)
    courses = courses_of(machine)
    assert courses is not None
    report_series(courses, None, lambda _: True, lambda _: True)
    assert [p for p in courses.processes if len(p.line.times) < 2] == []
