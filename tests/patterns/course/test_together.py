"""Lock-step is more than two lines that rise; load is told from a leak per operation."""

import numpy as np
import pytest
from numpy.typing import NDArray

from poolsleuth.patterns.course.together import lockstep, relation

Numbers = NDArray[np.float64]

HOUR = 3600.0
TIMES: Numbers = np.linspace(0.0, 287 * 900.0, 288)


def events(seed: int, mean: float = 8.0) -> Numbers:
    """Objects created in each interval, none in half of them."""
    source = np.random.default_rng(seed)
    return np.asarray(source.poisson(mean, TIMES.size) * (source.random(TIMES.size) < 0.5), dtype=np.float64)


@pytest.mark.parametrize("ratio", [1.0, 2.0, 0.5])
def test_an_object_and_its_part_go_in_lock_step(ratio: float) -> None:
    objects = 1000 + np.cumsum(events(1))
    found = lockstep(TIMES, objects, 300 + ratio * objects)
    assert found is not None
    assert found.ratio == pytest.approx(ratio)
    assert found.agreement == pytest.approx(1.0)


def test_churn_on_top_does_not_hide_it() -> None:
    source = np.random.default_rng(3)
    objects = 1000 + np.cumsum(events(2, 20.0))
    found = lockstep(TIMES, objects + source.normal(0, 2, TIMES.size), 3 * objects + source.normal(0, 5, TIMES.size))
    assert found is not None
    assert found.ratio == pytest.approx(3.0, rel=0.02)
    assert found.agreement > 0.8


def test_two_leaks_of_their_own_are_not_in_lock_step() -> None:
    for seed in range(10):
        first, second = 1000 + np.cumsum(events(10 + seed)), 1000 + np.cumsum(events(50 + seed))
        assert np.corrcoef(first, second)[0, 1] > 0.99
        assert lockstep(TIMES, first, second) is None


def test_two_straight_lines_prove_nothing_at_even_or_uneven_times() -> None:
    source = np.random.default_rng(4)
    uneven = np.sort(source.uniform(0, 72 * HOUR, 300))
    for times in (TIMES, uneven):
        first = 1000 + times / 100 + source.normal(0, 3, times.size)
        second = 500 + times / 70 + source.normal(0, 3, times.size)
        assert lockstep(times, first, second) is None
    assert lockstep(TIMES, np.floor(1000 + TIMES / 100), np.floor(500 + TIMES / 73)) is None


def test_one_common_jump_is_one_event() -> None:
    source = np.random.default_rng(5)
    later = 500.0 * (TIMES > 100 * 900)
    first, second = later + source.normal(0, 3, TIMES.size), later + source.normal(0, 3, TIMES.size)
    assert lockstep(TIMES, first, second) is None


def test_lock_step_needs_growth_of_both_and_enough_samples() -> None:
    objects = 1000 + np.cumsum(events(6))
    assert lockstep(TIMES, objects, np.full(TIMES.size, 5.0)) is None
    assert lockstep(TIMES, objects[::-1], objects[::-1]) is None
    assert lockstep(TIMES[:6], objects[:6], objects[:6]) is None
    assert lockstep(TIMES, objects, np.full(TIMES.size, np.nan)) is None


def test_missing_values_are_left_out_of_both() -> None:
    objects = 1000 + np.cumsum(events(7))
    second = 2 * objects
    second[::7] = np.nan
    found = lockstep(TIMES, objects, second)
    assert found is not None
    assert found.ratio == pytest.approx(2.0)


def office(times: Numbers) -> Numbers:
    """Operations a second: 100 in working hours, 5 at night."""
    clock = times / HOUR % 24
    return np.where((clock > 8) & (clock < 18), 100.0, 5.0)


def test_a_leak_per_operation_gives_the_amount_of_one() -> None:
    source = np.random.default_rng(8)
    load_times = np.arange(0, 72 * HOUR, 300.0)
    work = np.concatenate(([0.0], np.cumsum(office(load_times)[:-1] * 300)))
    found = relation(
        TIMES,
        1e8 + 48 * np.interp(TIMES, load_times, work) + source.normal(0, 1e6, TIMES.size),
        load_times,
        office(load_times),
    )
    assert found.per_operation is not None
    assert found.per_operation > 0.9
    assert found.amount == pytest.approx(48, rel=0.03)


def test_load_follows_the_level_and_leaves_nothing() -> None:
    load_times = np.arange(0, 72 * HOUR, 300.0)
    load = office(load_times) * np.random.default_rng(9).uniform(0.7, 1.3, load_times.size)
    found = relation(TIMES, 1e8 + 1e6 * np.interp(TIMES, load_times, load), load_times, load)
    assert found.level is not None
    assert found.level > 0.6
    assert found.per_operation is not None
    assert found.per_operation < 0.2


def test_no_common_time_or_no_change_is_unknown() -> None:
    rising = np.arange(288.0)
    assert relation(TIMES, rising, TIMES + 1e9, office(TIMES)).level is None
    assert relation(TIMES, rising, TIMES, np.full(288, 3.0)).per_operation is None
    assert relation(TIMES, np.full(288, 3.0), TIMES, office(TIMES)).level is None
    assert relation(TIMES[:4], rising[:4], TIMES, office(TIMES)).amount is None
