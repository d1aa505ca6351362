"""What the machine does between moments: counts that go on, and begin anew when Windows starts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.course.moment import Moment
from poolsleuth.lab.course.writers.load import TICKS, blocks_of, uptime_ticks, with_loads
from poolsleuth.lab.machine import Machine
from poolsleuth.lab.stories import make_machine, small_size

Made = Callable[[str, str], Machine]
HOUR = timedelta(hours=1)
TRUTH = make_machine(windows_named("3790-x86"), size=small_size())


def test_an_idle_hour(machine: Made) -> None:
    truth = machine("3790-x86", "healthy")
    ((_, load),) = with_loads([Moment(truth.booted_at + HOUR, truth)])
    assert load.uptime == 3600 * TICKS
    assert load.system_calls == 1_311 * 3600
    assert load.idle == 3600 * TICKS * 97 // 100
    assert (load.server_sessions, load.open_files) == (0, 0)
    assert load.threads == blocks_of(truth, "Thre") > 0


def test_load_counts_for_the_time_since_the_moment_before(machine: Made) -> None:
    truth = machine("3790-x86", "healthy")
    moments = [Moment(truth.booted_at + HOUR * (n + 1), truth, busy) for n, busy in enumerate((0.0, 1.0, 0.0))]
    counts = [load.page_faults for _, load in with_loads(moments)]
    assert counts == [167 * 3600, (167 + 4_100) * 3600, (167 + 4_100 + 167) * 3600]
    assert [load.server_sessions for _, load in with_loads(moments)] == [0, 400, 0]


def test_a_start_of_windows_begins_anew(machine: Made) -> None:
    truth = machine("3790-x86", "healthy")
    later = replace(truth, booted_at=truth.booted_at + 2 * HOUR)
    moments = [Moment(truth.booted_at + HOUR, truth), Moment(later.booted_at + HOUR, later)]
    first, second = (load for _, load in with_loads(moments))
    assert first == second


def test_failures_of_the_server_are_part_of_those_of_the_kernel(machine: Made) -> None:
    truth = machine("19041-x64", "pool-failures")
    ((_, load),) = with_loads([Moment(truth.booted_at + HOUR, truth)])
    assert truth.memory.failures_by_pool is not None
    nonpaged, paged, _ = (sum(row) for row in truth.memory.failures_by_pool)
    assert (load.server_nonpaged_failures, load.server_paged_failures) == (nonpaged // 4, paged // 4)


@given(steps=st.lists(st.tuples(st.integers(1, 10**7), st.floats(0, 1)), min_size=2, max_size=20))
def test_no_count_falls_and_no_processor_works_more_than_all_the_time(steps: list[tuple[int, float]]) -> None:
    truth = TRUTH
    at, moments = truth.booted_at, []
    for seconds, busy in steps:
        at += timedelta(seconds=seconds)
        moments.append(Moment(at, truth, busy))
    loads = [load for _, load in with_loads(moments)]
    for before, load in pairwise(loads):
        assert before.page_faults <= load.page_faults
        assert 0 <= load.idle - before.idle <= load.uptime - before.uptime
    assert loads[-1].uptime == uptime_ticks(moments[-1])
