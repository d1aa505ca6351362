"""Leak from load on series whose truth is known; every kind the judgement can say, and the hostile ones."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from poolsleuth.model.finding import Confidence
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.course.shape import judge_course

Numbers = NDArray[np.float64]

MB = 2.0**20
START = 1.7e9
LEAST = 4 * MB


def hours(span: float, count: int) -> Numbers:
    return np.linspace(0.0, span, count)


def noise(count: int, size: float, *, alike: float = 0.0, seed: int = 1) -> Numbers:
    """First-order autoregressive noise of this standard deviation."""
    source = np.random.default_rng(seed)
    fresh = source.normal(0.0, size * np.sqrt(1 - alike**2), count)
    made = np.empty(count)
    made[0] = source.normal(0.0, size)
    for k in range(1, count):
        made[k] = alike * made[k - 1] + fresh[k]
    return made


def days(t: Numbers, height: float) -> Numbers:
    """Office hours, up and down over three hours."""
    clock = t % 24
    return height * np.clip(np.minimum((clock - 7) / 3, (20 - clock) / 3), 0, 1)


def judge(t: Numbers, values: Numbers, least: float = LEAST, cuts: tuple[float, ...] = ()) -> Course:
    return judge_course(START + t * 3600, values, least=least, cuts=[START + cut * 3600 for cut in cuts])


def test_white_noise_is_steady() -> None:
    t = hours(72, 500)
    assert judge(t, 100 * MB + noise(500, 3 * MB)).kind is Kind.STEADY


def test_noise_that_wanders_within_bounds_does_not_grow() -> None:
    t = hours(72, 800)
    grown = [judge(t, 100 * MB + noise(800, 8 * MB, alike=0.97, seed=seed)).grows for seed in range(20)]
    assert sum(grown) == 0


def test_a_leak_small_beside_its_noise_is_found_with_its_rate() -> None:
    t = hours(96, 1500)
    course = judge(t, 100 * MB + 0.25 * MB * t + noise(1500, 12 * MB, alike=0.4))
    assert course.kind is Kind.LEAK
    assert course.confidence is Confidence.HIGH
    assert course.slope == pytest.approx(0.25 * MB, rel=0.2)
    assert course.low is not None
    assert course.high is not None
    assert course.low <= 0.25 * MB <= course.high
    assert course.starts == START
    (begin, from_value), (end, to_value) = course.line
    assert (begin, end) == (START, START + 96 * 3600)
    assert to_value - from_value == pytest.approx((course.slope or 0.0) * 96)
    assert any("Theil-Sen" in reason for reason in course.because)


@pytest.mark.parametrize("span", [3, 5, 8, 20])
def test_a_slow_leak_under_a_daily_rhythm_ten_times_larger(span: int) -> None:
    t = hours(24 * span, 96 * span)
    course = judge(t, 200 * MB + days(t, 80 * MB) + 8 * MB * t / 24 + noise(t.size, MB))
    assert course.kind is Kind.LEAK
    assert course.slope == pytest.approx(8 * MB / 24, rel=0.15)


def test_the_same_rhythm_without_a_leak_is_load() -> None:
    for span in (3, 5, 8, 20):
        t = hours(24 * span, 96 * span)
        course = judge(t, 200 * MB + days(t, 80 * MB) + noise(t.size, MB, seed=span))
        assert course.kind is Kind.LOAD, span
        assert course.given_back == pytest.approx(1.0, abs=0.1)


def test_weekends_do_not_hide_a_leak() -> None:
    t = hours(24 * 21, 24 * 21 * 4)
    working = (t // 24) % 7 < 5
    course = judge(t, 200 * MB + days(t, 80 * MB) * np.where(working, 1.0, 0.1) + 4 * MB * t / 24 + noise(t.size, MB))
    assert course.kind is Kind.LEAK
    assert course.slope == pytest.approx(4 * MB / 24, rel=0.15)


@pytest.mark.parametrize("part", [0.5, 0.67])
def test_a_leak_that_starts_late_says_when(part: float) -> None:
    t = hours(200, 800)
    course = judge(t, 100 * MB + 100 * MB * np.clip(t / 200 - part, 0, None) / (1 - part) + noise(800, 2 * MB))
    assert course.kind is Kind.LEAK
    assert course.starts == pytest.approx(START + part * 200 * 3600, abs=10 * 3600)
    assert course.slope == pytest.approx(100 * MB / (1 - part) / 200, rel=0.1)


def test_a_leak_that_grows_faster_and_faster() -> None:
    t = hours(100, 400)
    course = judge(t, 100 * MB + 200 * MB * (t / 100) ** 2 + noise(400, MB))
    assert course.kind is Kind.LEAK
    assert any("faster" in reason for reason in course.because)


def test_a_leak_per_operation_stands_still_at_night() -> None:
    t = hours(24 * 6, 24 * 6 * 4)
    done = np.cumsum(days(t, 1.0))
    course = judge(t, 100 * MB + 200 * MB * done / done[-1] + noise(t.size, 0.5 * MB))
    assert course.grows


@pytest.mark.parametrize("peak", [0.0, 900 * MB])
def test_every_backup_leaves_700_megabytes(peak: float) -> None:
    t = hours(24 * 6, 24 * 6 * 4)
    run = (t + 22) / 24
    course = judge(t, 300 * MB + 700 * MB * np.floor(run) + peak * (run % 1 > 0.94) + noise(t.size, 3 * MB))
    assert course.kind is Kind.STEPS
    assert course.steps == 6
    assert course.slope == pytest.approx(700 * MB / 24, rel=0.05)


def test_one_jump_is_no_leak() -> None:
    t = hours(100, 400)
    course = judge(t, 100 * MB + 50 * MB * (t > 40) + noise(400, MB))
    assert course.kind is Kind.JUMP
    assert course.starts == pytest.approx(START + 40 * 3600, abs=2 * 3600)


def test_two_jumps_are_not_yet_steps() -> None:
    t = hours(100, 400)
    course = judge(t, 100 * MB + 50 * MB * (t > 30) + 40 * MB * (t > 70) + noise(400, MB))
    assert course.kind in (Kind.UNCLEAR, Kind.JUMP)


def test_a_sawtooth_is_load() -> None:
    t = hours(100, 1000)
    assert judge(t, 50 * MB + 60 * MB * (t / 9 % 1) + noise(1000, MB)).kind is Kind.LOAD


def test_bursts_at_random_are_load() -> None:
    t = hours(100, 1000)
    values = 50 * MB + noise(1000, MB)
    for at in (7, 8, 21, 40, 43, 66, 90):
        values[(t > at) & (t < at + 1.5)] += 100 * MB
    assert judge(t, values).kind is Kind.LOAD


def test_one_day_of_work_that_comes_down_in_the_evening_is_load() -> None:
    t = hours(24, 288)
    values = 100 * MB + np.interp(t, [0, 8, 17, 19, 24], [0, 0, 150 * MB, 0, 0]) + noise(288, 2 * MB)
    assert judge(t, values).kind is Kind.LOAD


def test_the_rising_half_of_a_day_is_not_called_a_leak() -> None:
    t = hours(10, 120)
    course = judge(t, 100 * MB + 100 * MB * (0.5 - 0.5 * np.cos(np.pi * t / 10)) + noise(120, MB))
    assert course.kind is Kind.UNCLEAR


def test_a_cache_that_fills_and_stops() -> None:
    t = hours(60, 400)
    course = judge(t, 100 * MB + 200 * MB * (1 - np.exp(-t / 8)) + noise(400, MB))
    assert course.kind is Kind.FILLED


@pytest.mark.parametrize(("begin", "end"), [(0.2, 0.5), (0.0, 0.6)])
def test_more_work_and_a_leak_that_was_fixed_have_stopped(begin: float, end: float) -> None:
    t = hours(100, 500)
    values = 100 * MB + 80 * MB * np.clip((t / 100 - begin) / (end - begin), 0, 1) + noise(500, MB)
    assert judge(t, values).kind is Kind.FILLED


def test_a_cache_that_fills_and_a_leak_besides_is_a_leak() -> None:
    t = hours(100, 600)
    course = judge(t, 100 * MB + 150 * MB * (1 - np.exp(-t / 4)) + MB * t + noise(600, MB))
    assert course.kind is Kind.LEAK
    assert course.slope == pytest.approx(MB, rel=0.1)


def test_a_shift_that_returns_is_load() -> None:
    t = hours(100, 500)
    assert judge(t, 100 * MB + 80 * MB * ((t > 30) & (t < 60)) + noise(500, MB)).kind is Kind.LOAD


def test_what_goes_down_for_good_is_falling() -> None:
    t = hours(100, 500)
    assert judge(t, 300 * MB - MB * t + noise(500, MB)).kind is Kind.FALLING


def test_known_reboots_cut_the_series() -> None:
    t = hours(120, 600)
    since = np.where(t < 50, t, np.where(t < 90, t - 50, t - 90))
    course = judge(t, 100 * MB + 2 * MB * since + noise(600, MB), cuts=(50, 90))
    assert course.kind is Kind.LEAK
    assert course.resets == 2
    assert course.slope == pytest.approx(2 * MB, rel=0.1)


def test_a_reboot_nobody_told_is_seen_and_said() -> None:
    t = hours(120, 600)
    course = judge(t, 100 * MB + 2 * MB * np.where(t < 70, t, t - 70) + noise(600, MB))
    assert course.kind is Kind.LEAK
    assert course.resets == 1
    assert course.confidence is not Confidence.HIGH
    assert course.slope == pytest.approx(2 * MB, rel=0.1)
    assert any("not restarted" in reason for reason in course.against)


def test_half_given_back_each_time_is_still_a_leak() -> None:
    t = hours(200, 1000)
    tooth = t / 10
    course = judge(t, 100 * MB + 40 * MB * (0.5 * np.floor(tooth) + tooth % 1) + noise(1000, 0.5 * MB))
    assert course.kind is Kind.LEAK
    assert course.slope == pytest.approx(2 * MB, rel=0.1)


def test_a_leak_freed_at_the_very_end_is_unclear() -> None:
    t = hours(100, 500)
    course = judge(t, 100 * MB + np.where(t < 95, 2 * MB * t, 0) + noise(500, MB))
    assert course.kind is Kind.UNCLEAR
    assert "given back" in course.because[0]


def test_handles_in_whole_numbers() -> None:
    t = hours(48, 288)
    course = judge(t, np.floor(900 + 1.5 * t), least=20)
    assert course.grows
    assert course.slope == pytest.approx(1.5, rel=0.1)


def test_growth_below_what_matters_is_steady() -> None:
    t = hours(100, 500)
    course = judge(t, 100 * MB + 0.01 * MB * t)
    assert course.kind is Kind.STEADY
    assert course.confidence is Confidence.HIGH


def test_one_huge_value_changes_nothing() -> None:
    t = hours(100, 500)
    steady, leak = 100 * MB + noise(500, MB), 100 * MB + MB * t + noise(500, MB)
    for values in (steady, leak):
        values[250] = 1e15
    assert judge(t, steady).kind is Kind.STEADY
    course = judge(t, leak)
    assert course.kind is Kind.LEAK
    assert course.slope == pytest.approx(MB, rel=0.1)


def test_a_single_reading_of_nothing_is_not_memory_given_back() -> None:
    t = hours(100, 500)
    values = 100 * MB + MB * t + noise(500, MB)
    values[300] = 0.0
    assert judge(t, values).kind is Kind.LEAK


def test_values_near_2_to_53() -> None:
    t = hours(100, 500)
    assert judge(t, 2.0**53 + 2 * np.floor(500 * t), least=1000).kind is Kind.LEAK
    assert judge(t, np.full(500, 2.0**53), least=1000).kind is Kind.STEADY


@pytest.mark.parametrize("count", [0, 1, 5])
def test_too_few_samples(count: int) -> None:
    course = judge(hours(10, count), np.linspace(0, 1e9, count))
    assert course.kind is Kind.TOO_SHORT
    assert course.samples == count


def test_too_short_a_time() -> None:
    t = hours(0.4, 500)
    course = judge(t, 100 * MB + 1000 * MB * t)
    assert course.kind is Kind.TOO_SHORT
    assert course.confidence is Confidence.LOW


def test_few_samples_are_never_sure() -> None:
    for count, span in ((8, 100), (50, 1.5)):
        t = hours(span, count)
        course = judge(t, 100 * MB + 100 * MB * t / span)
        assert course.kind in (Kind.LEAK, Kind.UNCLEAR)
        assert course.confidence is Confidence.LOW


def test_under_a_day_is_not_of_high_confidence() -> None:
    t = hours(8, 200)
    course = judge(t, 100 * MB + 20 * MB * t + noise(200, MB))
    assert course.kind is Kind.LEAK
    assert course.confidence is Confidence.MEDIUM


def test_all_missing_and_constant() -> None:
    t = hours(48, 100)
    assert judge(t, np.full(100, np.nan)).kind is Kind.TOO_SHORT
    course = judge(t, np.full(100, 7.0), least=0.0)
    assert course.kind is Kind.STEADY
    assert course.because == ("it is always 7",)


def test_disorder_gaps_and_missing_values_change_nothing() -> None:
    source = np.random.default_rng(5)
    t = hours(100, 600)
    values = 100 * MB + MB * t + noise(600, MB)
    values[source.random(600) < 0.1] = np.nan
    keep = (t < 40) | (t > 60)
    order = source.permutation(int(keep.sum()))
    doubled_t = np.concatenate((t[keep][order], t[keep][:50]))
    doubled = np.concatenate((values[keep][order], values[keep][:50]))
    assert judge(doubled_t, doubled) == judge(t[keep], values[keep])
    assert judge(doubled_t, doubled).kind is Kind.LEAK


def test_times_and_values_must_match() -> None:
    with pytest.raises(ValueError, match="one time for each value"):
        judge_course(np.arange(5.0), np.arange(6.0), least=1.0)


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.8])
def test_the_interval_holds_the_true_rate_in_nine_of_ten(alike: float) -> None:
    t = hours(72, 300)
    inside = []
    for seed in range(40):
        course = judge(t, 100 * MB + MB * t + noise(300, 4 * MB, alike=alike, seed=seed))
        assert course.low is not None
        assert course.high is not None
        inside.append(course.low <= MB <= course.high)
    assert np.mean(inside) >= 0.9


def test_quiet_tags_cost_next_to_nothing() -> None:
    t = START + np.linspace(0.0, 1999 * 300.0, 2000)
    values = 100 * MB + noise(2000, 0.1 * MB)
    begin = time.process_time()
    for _ in range(100):
        judge_course(t, values, least=LEAST)
    assert time.process_time() - begin < 0.5


figures = st.floats(allow_nan=True, allow_infinity=True, width=64)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(figures, figures), max_size=60), st.floats(0, 1e12), st.lists(figures, max_size=3))
def test_anything_gets_an_answer(pairs: list[tuple[float, float]], least: float, cuts: list[float]) -> None:
    times, values = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    course = judge_course(times, values, least=least, cuts=cuts)
    assert course.because or course.samples == 0
    if course.slope is not None:
        assert course.low is not None
        assert course.high is not None
        assert course.low <= course.slope <= course.high


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=8, max_size=80), st.floats(1, 500))
def test_small_counters_get_an_answer(counts: list[int], span: float) -> None:
    course = judge(hours(span, len(counts)), np.array(counts, dtype=np.float64), least=1.0)
    if course.grows:
        assert course.slope is not None
        assert course.slope > 0
        assert len(course.line) == 2
