"""Load that looks like growth, and growth that looks like load: what was seen too shortly is not said for sure."""

import numpy as np
import pytest
from numpy.typing import NDArray

from poolsleuth.model.finding import Confidence
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.course.shape import judge_course

Numbers = NDArray[np.float64]

MB = 2.0**20
MONDAY = 1777853823.0  # 2026-05-04 00:17:03 UTC
MORNING = 6.0  # most logs begin at 06:17


def hours(span: float, count: int) -> Numbers:
    return np.linspace(0.0, span, count)


def noise(t: Numbers, size: float, *, memory: float = 1.0, seed: int = 1) -> Numbers:
    """Noise that is forgotten over so many hours."""
    source = np.random.default_rng(seed)
    keep = float(np.exp(-(t[1] - t[0]) / memory))
    made = np.empty(t.size)
    made[0] = source.normal(0.0, size)
    for k in range(1, t.size):
        made[k] = keep * made[k - 1] + source.normal(0.0, size * np.sqrt(1 - keep**2))
    return made


def office(t: Numbers, begin: float = MORNING) -> Numbers:
    """A hump around 13 o'clock, small at weekends."""
    clock, day = (begin + t) % 24, ((begin + t) // 24) % 7
    hump: Numbers = np.exp(-0.5 * ((clock - 13) / 2.5) ** 2) * np.where(day >= 5, 0.15, 1.0)
    return hump


def judge(
    t: Numbers, values: Numbers, *, begin: float = MORNING, known: bool = False, cuts: tuple[float, ...] = ()
) -> Course:
    start = MONDAY + begin * 3600
    pages = np.floor(values / 4096) * 4096
    least = max(MB, 0.01 * float(np.median(pages)))
    at = [start + cut * 3600 for cut in cuts]
    return judge_course(start + t * 3600, pages, least=least, cuts=at, restarts_known=known)


def sure(course: Course) -> bool:
    return course.confidence is not Confidence.LOW


# ---- falls that are no restarts ----


def by_day(t: Numbers) -> Numbers:
    """4 MB an hour, given back every midnight."""
    return 220 * MB + 4 * MB * ((MORNING + t) % 24) + noise(t, 0.5 * MB)


@pytest.mark.parametrize("span", [46, 60, 72, 96, 140])
def test_what_is_given_back_every_midnight_is_load(span: int) -> None:
    t = hours(span, 12 * span)
    for known in (True, False):
        course = judge(t, by_day(t), known=known)
        assert (course.kind, course.resets) == (Kind.LOAD, 0)


def test_one_midnight_is_load_when_no_restart_is_known_of_and_never_sure_otherwise() -> None:
    t = hours(30, 360)
    assert judge(t, by_day(t), known=True).kind is Kind.LOAD
    course = judge(t, by_day(t))
    assert course.confidence is Confidence.LOW
    assert any("not restarted" in note for note in course.against) or not course.grows


@pytest.mark.parametrize("begin", [0.0, 4.0, 9.0])
def test_a_cache_emptied_whenever_it_is_full_is_load(begin: float) -> None:
    t = hours(30, 360)
    course = judge(t, 100 * MB + 8 * MB * ((t + begin) % 11) + noise(t, 0.3 * MB))
    assert course.resets == 0
    assert not course.grows


def test_restarts_at_odd_times_are_still_seen() -> None:
    t = hours(120, 600)
    since = np.where(t < 31, t, np.where(t < 98, t - 31, t - 98))
    course = judge(t, 100 * MB + 2 * MB * since + noise(t, MB))
    assert course.kind is Kind.LEAK
    assert course.resets == 2


# ---- a leak below one day's load ----


@pytest.mark.parametrize("span", [20, 24, 30, 36, 48, 60])
def test_a_leak_below_the_load_of_a_day_is_not_ruled_out(span: int) -> None:
    """3 MB an hour: the same hour lies 72 MB higher a day later, whatever the hump does."""
    for every in (12, 1):
        t = hours(span, every * span + 1)
        course = judge(t, 220 * MB + 3 * MB * t + 90 * MB * office(t) + noise(t, 0.5 * MB))
        assert course.kind in (Kind.UNCLEAR, Kind.LEAK), (span, every)
        assert course.growth > 10 * MB


@pytest.mark.parametrize("span", [20, 24, 30, 36, 48, 60])
def test_the_load_of_a_day_alone_is_load(span: int) -> None:
    t = hours(span, 12 * span + 1)
    course = judge(t, 220 * MB + 90 * MB * office(t) + noise(t, 0.5 * MB))
    assert course.kind in (Kind.LOAD, Kind.STEADY)


def test_a_flat_floor_of_one_day_is_sure() -> None:
    t = hours(24, 289)
    course = judge(t, 220 * MB + 90 * MB * office(t) + noise(t, 0.5 * MB))
    assert (course.kind, course.confidence) == (Kind.LOAD, Confidence.HIGH)


# ---- rests ----


def per_operation(t: Numbers, begin: float = MORNING) -> Numbers:
    """140 MB in five working days, nothing given back."""
    done = np.cumsum(office(t, begin) * np.where(((begin + t) // 24) % 7 >= 5, 0.0, 1.0))
    grown: Numbers = 28 * MB * max(1.0, float(t[-1]) / 33.6) * done / done[-1]
    return 220 * MB + grown + noise(t, 1.5 * MB)


@pytest.mark.parametrize("seed", range(4))
def test_a_weekend_is_no_end_of_growth_per_operation(seed: int) -> None:
    t = hours(168, 673)
    course = judge(t, per_operation(t) + noise(t, 0.5 * MB, seed=seed))
    assert course.grows or course.kind is Kind.UNCLEAR
    assert course.growth > 80 * MB


@pytest.mark.parametrize("count", [25, 289])
@pytest.mark.parametrize("span", [24, 30, 36])
def test_a_night_is_no_end_of_growth_per_operation(span: int, count: int) -> None:
    t = hours(span, count)
    course = judge(t, per_operation(t))
    assert course.kind in (Kind.UNCLEAR, Kind.LEAK, Kind.STEPS) or not sure(course)


def test_what_stays_full_for_days_has_filled() -> None:
    t = hours(120, 500)
    course = judge(t, 220 * MB + 140 * MB * np.minimum(1.0, t / 36) + noise(t, MB))
    assert (course.kind, course.confidence) == (Kind.FILLED, Confidence.HIGH)


def test_a_jump_within_the_last_day_may_come_again() -> None:
    t = hours(60, 600)
    for at, confidence in ((45, Confidence.MEDIUM), (25, Confidence.HIGH)):
        course = judge(t, 220 * MB + 90 * MB * (t > at) + noise(t, 0.5 * MB))
        assert (course.kind, course.confidence) == (Kind.JUMP, confidence)


# ---- what a few samples, or a part of a week, cannot tell ----


@pytest.mark.parametrize("shift", np.arange(0.0, 0.7, 0.1).tolist())
def test_a_sawtooth_seen_through_its_gaps_is_no_sure_leak(shift: float) -> None:
    """Teeth of 42 minutes, sampled every 15: 13 samples show slow waves that are not there."""
    t = hours(3, 13)
    course = judge(t, 40 * MB + 60 * MB * (((t + shift) / 0.7) % 1))
    assert not (course.grows and sure(course))
    assert course.confidence is not Confidence.HIGH


@pytest.mark.parametrize("minutes", [20, 42, 60])
def test_short_rhythms_say_nothing_about_a_day(minutes: int) -> None:
    t = hours(5, 600)
    course = judge(t, 100 * MB + 60 * MB * ((t * 60 / minutes) % 1))
    assert course.confidence is not Confidence.HIGH


@pytest.mark.parametrize("seed", range(6))
def test_half_a_weekly_swing_is_no_sure_leak(seed: int) -> None:
    t = hours(72, 865)
    week = np.sin(2 * np.pi * ((MORNING + t) / 24 - 1.5) / 7)
    course = judge(t, 220 * MB + 60 * MB * office(t) + 40 * MB * week + noise(t, 1.5 * MB, seed=seed))
    assert not (course.grows and sure(course))


@pytest.mark.parametrize("share", [0.86, 0.9, 0.94, 0.97])
def test_a_job_at_the_end_of_a_week_is_no_sure_leak(share: float) -> None:
    t = hours(168, 673)
    course = judge(t, 220 * MB + 150 * MB * np.clip((t / 168 - share) / (1 - share), 0, 1) + noise(t, 1.5 * MB))
    assert not (course.grows and sure(course))
    assert course.kind is not Kind.LOAD, "it has not come down"


@pytest.mark.parametrize(("span", "count"), [(24, 289), (72, 865), (168, 2017), (48, 2881)])
def test_a_cache_that_fills_ever_more_slowly_is_no_leak(span: int, count: int) -> None:
    t = hours(span, count)
    for seed in range(4):
        values = 220 * MB + 60 * MB * np.log1p(t / (0.01 * span)) / np.log(101) + noise(t, 1.5 * MB, seed=seed)
        assert not judge(t, values).grows


def test_a_figure_that_wanders_is_no_sure_leak() -> None:
    t = hours(72, 865)
    wrong = []
    for seed in range(60):
        moves = np.random.default_rng(seed).normal(size=t.size)
        course = judge(t, 220 * MB + 20 * MB * np.cumsum(moves) / np.sqrt(t.size))
        wrong.append(course.grows and course.confidence is Confidence.HIGH)
    assert sum(wrong) <= 1


@pytest.mark.parametrize(("span", "count"), [(8, 97), (24, 289), (72, 865)])
def test_plain_noise_is_seldom_worth_a_word(span: int, count: int) -> None:
    t = hours(span, count)
    kinds = [judge(t, 250 * MB + noise(t, 3 * MB, seed=seed)).kind for seed in range(50)]
    assert sum(kind in (Kind.LEAK, Kind.STEPS) for kind in kinds) == 0
    assert sum(kind is Kind.UNCLEAR for kind in kinds) <= 3


# ---- after restarts ----


def test_growth_after_restarts_is_that_of_the_last_life() -> None:
    """Three lives of 16 hours: never more than 16 hours' growth was there at once."""
    t = hours(47.75, 574)
    course = judge(t, 220 * MB + 9 * MB * (t % 16) + noise(t, 0.5 * MB), cuts=(15.96, 31.96))
    assert course.kind is Kind.LEAK
    assert course.resets == 2
    assert course.growth == pytest.approx(9 * MB * 16, rel=0.05)
    assert course.starts == pytest.approx(MONDAY + (MORNING + 32) * 3600, abs=600)
    assert any("in all" in reason and "last stretch" in reason for reason in course.because)
