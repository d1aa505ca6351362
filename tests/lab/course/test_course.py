"""What a machine's course must be like, whatever happens: figures that can be true, and one truth for every reader."""

from datetime import timedelta
from functools import cache
from itertools import pairwise

import pytest

from poolsleuth.lab.catalogue import CATALOGUE, windows_named
from poolsleuth.lab.course.course import Course, Thinned, make_course
from poolsleuth.lab.course.scenarios import SCENARIOS
from poolsleuth.lab.machine import IN_USE, PAGE, Machine, PoolUse, SimulatedWindows, TagUse
from poolsleuth.lab.stories import Size
from poolsleuth.model.errors import InputError

SIZE = Size(ram_bytes=512 << 20, processors=2, tags=120, big_allocations=40, processes=12)
OLD, NEW = "3790-x86", "19041-x64"
ONLY_OLD = {"system-pte-depletion", "pool-corruption"}
RUNS = [(name, windows) for name in SCENARIOS for windows in (OLD, NEW) if windows == OLD or name not in ONLY_OLD]


@cache
def course(scenario: str, windows: str, hours: float = 12, minutes: int = 15) -> Course:
    every = timedelta(minutes=minutes)
    return make_course(windows_named(windows), scenario, hours=hours, every=every, seed=3, size=SIZE)


def use(machine: Machine, tag: str, pool: str = "nonpaged") -> PoolUse:
    found = next((one for one in machine.tags if one.tag == tag), TagUse(tag))
    return found.paged if pool == "paged" else found.nonpaged


@pytest.mark.parametrize(("scenario", "windows"), RUNS)
def test_figures_can_be_true_at_every_moment(scenario: str, windows: str) -> None:
    moments = list(course(scenario, windows))
    assert len(moments) == 49
    for moment in moments:
        machine, memory = moment.machine, moment.machine.memory
        assert memory.nonpaged_used is not None
        assert memory.nonpaged_max is not None
        assert memory.paged_used is not None
        assert memory.paged_max is not None
        assert memory.committed is not None
        assert memory.commit_limit is not None
        assert memory.available is not None
        assert memory.peak_committed is not None
        assert 0 < memory.available < memory.physical
        assert memory.nonpaged_used <= min(memory.nonpaged_max, memory.physical)
        assert memory.paged_used <= memory.paged_max
        assert memory.nonpaged_used + memory.paged_used <= memory.committed <= memory.commit_limit
        assert memory.committed <= memory.peak_committed <= memory.commit_limit
        assert 0 <= moment.load <= 1
        for paged in (False, True):
            uses = [one.paged if paged else one.nonpaged for one in machine.tags]
            used = memory.paged_used if paged else memory.nonpaged_used
            assert sum(one.bytes for one in uses) < used * PAGE
            assert all(one.outstanding >= 0 and (one.outstanding > 0) == (one.bytes > 0) for one in uses)
            mine = [descriptor for descriptor in machine.descriptors if descriptor.paged == paged]
            assert sum(descriptor.pages + descriptor.big_pages for descriptor in mine) == used
        assert machine.booted_at < moment.at <= machine.crashed_at
        assert memory.pool_failures == sum(sum(row) for row in memory.failures_by_pool or ())
        assert memory.pool_failures == sum((memory.failure_reasons or {}).values())


@pytest.mark.parametrize(("scenario", "windows"), RUNS)
def test_counts_only_go_on(scenario: str, windows: str) -> None:
    """Allocations, frees, contention and failures are counters since the start."""
    for before, after in pairwise(course(scenario, windows)):
        old = {one.tag: one for one in before.machine.tags}
        for now in after.machine.tags:
            was = old.get(now.tag)
            if was is now or was is None:
                continue
            for first, second in ((was.nonpaged, now.nonpaged), (was.paged, now.paged)):
                assert second.allocs >= first.allocs
                assert second.frees >= first.frees
        assert (after.machine.memory.pool_failures or 0) >= (before.machine.memory.pool_failures or 0)
        for first_lock, second_lock in zip(before.machine.resources, after.machine.resources, strict=True):
            assert second_lock.contention >= first_lock.contention


@pytest.mark.parametrize("windows", [OLD, NEW])
def test_what_does_not_change_is_shared(windows: str) -> None:
    first, second, *_ = course("healthy", windows)
    shared = sum(one is other for one, other in zip(first.machine.tags, second.machine.tags, strict=True))
    assert shared > len(first.machine.tags) // 2
    assert first.machine.modules is second.machine.modules or first.machine.modules == second.machine.modules


def test_the_same_again_and_another_for_another_seed() -> None:
    def figures(seed: int) -> list[int | None]:
        made = make_course(windows_named(OLD), "pool-load", hours=4, every=timedelta(minutes=10), seed=seed, size=SIZE)
        once = [moment.machine.memory.nonpaged_used for moment in made]
        assert once == [moment.machine.memory.nonpaged_used for moment in made]
        return once

    assert figures(1) == figures(1)
    assert figures(1) != figures(2)


def test_a_course_that_is_not_kept_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poolsleuth.lab.course.course._MOST_KEPT", 0)
    made = make_course(
        windows_named(OLD), "pool-fragmentation", hours=4, every=timedelta(minutes=10), seed=1, size=SIZE
    )
    first, second = list(made), list(made)
    assert first[5].machine.tags == second[5].machine.tags
    assert first[-1].machine.pool_pages[0].rows.tobytes() == made.last().machine.pool_pages[0].rows.tobytes()


def test_thinned_keeps_the_last() -> None:
    whole = course("healthy", OLD)
    few = Thinned(whole, 10)
    moments = list(few)
    assert len(moments) == len(few) <= 10
    assert moments[-1] is list(whole)[-1]
    distances = {after.at - before.at for before, after in pairwise(moments)}
    assert len(distances) == 1


@pytest.mark.parametrize(("scenario", "pool"), [("nonpaged-pool-depletion", 0), ("paged-pool-depletion", 1)])
@pytest.mark.parametrize("windows", [OLD, NEW])
def test_allocations_fail_from_the_time_when_the_pool_is_full(scenario: str, pool: int, windows: str) -> None:
    made = course(scenario, windows)
    (guilty,) = made.guilty
    assert guilty.tag is not None
    assert guilty.pool is not None
    moments = list(made)
    failed = [sum((moment.machine.memory.failures_by_pool or ())[pool]) for moment in moments]
    held = [use(moment.machine, guilty.tag, guilty.pool).bytes for moment in moments]
    began = next(number for number, count in enumerate(failed) if count)
    assert 0.8 < began / len(moments) < 1
    assert failed[-1] > failed[began]
    # It grows at its rate until then, and not any more after
    rate = guilty.rates[0].bytes_per_hour
    hours = (moments[began - 1].at - moments[0].at) / timedelta(hours=1)
    assert held[began - 1] == pytest.approx(rate * hours, rel=0.1)
    assert held[-1] - held[began] < rate * 0.3


def test_a_leak_goes_at_the_rates_it_is_told() -> None:
    made = course("pool-leak", NEW, hours=20, minutes=6)
    (guilty,) = made.guilty
    assert len(guilty.rates) == 3
    moments = list(made)
    for number, rate in enumerate(guilty.rates):
        end = guilty.rates[number + 1].hours if number < 2 else 20.0
        inside = [m for m in moments if rate.hours < (m.at - moments[0].at) / timedelta(hours=1) <= end]
        first, last = use(inside[0].machine, "Leak"), use(inside[-1].machine, "Leak")
        hours = (inside[-1].at - inside[0].at) / timedelta(hours=1)
        assert (last.bytes - first.bytes) / hours == pytest.approx(rate.bytes_per_hour, rel=0.1)
        each = (last.bytes - first.bytes) / (last.outstanding - first.outstanding)
        assert rate.block_bytes <= each <= rate.block_bytes + 32


def test_whole_pages_of_a_leak_stand_in_the_big_page_table() -> None:
    last = course("pool-leak", NEW, hours=20, minutes=6).last().machine
    rows = last.big_pages.rows
    mine = rows[(rows["tag"] == b"Leak") & (rows["state"] == IN_USE)]
    assert len(mine) > 1000
    assert set(mine["bytes"].tolist()) == {7000}
    assert int(mine["bytes"].sum()) < use(last, "Leak").bytes
    starts = [row for row in rows[(rows["pool_type"] & 1 == 0) & (rows["state"] == IN_USE)]["address"].tolist() if row]
    assert len(set(starts)) == len(starts)


def test_load_comes_down_again_and_again() -> None:
    moments = list(course("pool-load", OLD))
    held = [use(moment.machine, "LSwi").bytes for moment in moments]
    high = max(held)
    peaks = sum(before < high * 0.5 <= after for before, after in pairwise(held))
    assert peaks >= 5
    assert min(held[5:]) < high / 10


def test_a_session_fills_and_its_neighbour_does_not() -> None:
    machine = course("session-pool-depletion", OLD).last().machine
    other, full = machine.sessions
    assert full.used_pages * PAGE > 0.99 * full.limit_bytes
    assert other.used_pages * PAGE < 0.2 * other.limit_bytes
    assert full.failures[0] == (machine.memory.failures_by_pool or ())[2][0] > 0


def test_handles_grow_with_their_objects() -> None:
    moments = list(course("handle-leak", NEW))

    def handles(machine: Machine) -> int:
        return next(process.handles or 0 for process in machine.processes if process.name == "handlehog.exe")

    opened = handles(moments[-1].machine) - handles(moments[0].machine)
    made = use(moments[-1].machine, "Even").outstanding - use(moments[0].machine, "Even").outstanding
    assert opened == pytest.approx(made, rel=0.05)
    assert opened > 100_000


def test_a_driver_comes_and_goes_and_leaves_memory() -> None:
    moments = list(course("unloaded-driver-leak", OLD))
    gone = [sum(one.name == "zipscan.sys" for one in moment.machine.unloaded) for moment in moments]
    held = [use(moment.machine, "Zips").bytes for moment in moments]
    assert gone[0] == 0
    assert gone[-1] == 24
    assert "zipscan.sys" not in {module.name for module in moments[-1].machine.modules}
    for (old_gone, new_gone), (old_held, new_held) in zip(pairwise(gone), pairwise(held), strict=True):
        assert (new_gone > old_gone) == (new_held > old_held)
    times = [one.time for one in moments[-1].machine.unloaded]
    assert times == sorted(times)
    assert times[-1] <= moments[-1].at


def test_the_registry_lock_has_its_longest_queue_at_the_end() -> None:
    moments = list(course("lock-contention", OLD))
    waiting = [moment.machine.resources[0].shared_waiters for moment in moments]
    assert max(waiting[: len(waiting) // 2]) == 0
    assert waiting[-1] == max(waiting) == 718
    threads = [use(moment.machine, "Thre").outstanding for moment in moments]
    assert threads[-1] - threads[0] == pytest.approx(739, abs=40)


def test_ptes_and_commit_run_out() -> None:
    assert course("system-pte-depletion", OLD).last().machine.memory.free_system_ptes == 900
    memory = course("commit-exhaustion", NEW).last().machine.memory
    assert memory.commit_limit is not None
    assert memory.committed == memory.commit_limit - 3
    assert (memory.failure_reasons or {})["PagedNoCommit"] > 0


def test_small_blocks_pin_the_pages_of_the_article() -> None:
    machine = course("pool-fragmentation", OLD).last().machine
    (pages,) = [pages for pages in machine.pool_pages if pages.pool == "nonpaged"]
    held = sum(one.nonpaged.bytes for one in machine.tags)
    assert (machine.memory.nonpaged_used or 0) * PAGE > 1.35 * held
    assert len(pages.addresses) > 1000
    assert use(machine, "MmCm").outstanding > 50


@pytest.mark.parametrize("windows", CATALOGUE, ids=lambda windows: windows.name)
def test_every_windows_has_a_course(windows: SimulatedWindows) -> None:
    made = make_course(windows, "nonpaged-pool-depletion", hours=2, every=timedelta(minutes=10), size=SIZE)
    assert (made.last().machine.memory.pool_failures or 0) > 0


@pytest.mark.parametrize(
    ("scenario", "windows", "says"),
    [
        ("war", OLD, "no scenario called 'war'"),
        ("pool-corruption", NEW, "before 10 1809"),
        ("system-pte-depletion", NEW, "32-bit Windows before Vista"),
        ("pool-fragmentation", "17763-x64", "1809"),
    ],
)
def test_one_sentence_for_what_cannot_be(scenario: str, windows: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make_course(windows_named(windows), scenario, hours=2, size=SIZE)
