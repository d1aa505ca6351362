"""Two days of a daily rhythm: a leak lifts every hour, work lifts the busy ones."""

import numpy as np
import pytest
from numpy.typing import NDArray

from poolsleuth.model.finding import Confidence
from poolsleuth.patterns.course.course import Kind
from poolsleuth.patterns.course.shape import judge_course

Numbers = NDArray[np.float64]
MB = float(1 << 20)
MONDAY = 1_772_409_600.0  # 2026-03-02 00:00 UTC


def series(hours: float, level: "list[float]", seed: int = 1) -> tuple[Numbers, Numbers]:
    """``level``: base, growth an hour, height of each day's work, all in MB."""
    times = MONDAY + np.arange(0.0, hours * 3600, 300.0)
    since = (times - times[0]) / 3600
    work = np.maximum(0.0, np.sin((since % 24 - 8) / 10 * np.pi)) * ((since % 24 >= 8) & (since % 24 < 18))
    base, growth, height = level
    values = base + growth * since + height * work + np.random.default_rng(seed).normal(0, 1.0, len(times))
    return times, values * MB


@pytest.mark.parametrize("hours", [44, 48, 56, 60])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_leak_lifts_every_hour(hours: float, seed: int) -> None:
    times, values = series(hours, [220.0, 3.0, 100.0], seed)

    course = judge_course(times, values, least=2 * MB, restarts_known=True)

    assert course.kind is Kind.LEAK
    assert course.confidence is not Confidence.LOW
    assert course.low is not None
    assert course.high is not None
    assert course.low <= 3.0 * MB <= course.high


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_busier_day_lifts_the_busy_hours_only(seed: int) -> None:
    times, values = series(48, [220.0, 0.0, 60.0], seed)
    busier = np.where(times - times[0] >= 86_400, 2.0, 1.0)

    course = judge_course(times, 220 * MB + (values - 220 * MB) * busier, least=2 * MB, restarts_known=True)

    assert not (course.grows and course.confidence is not Confidence.LOW)


@pytest.mark.parametrize("slowness", [4.0, 8.0, 14.0])
def test_a_cache_that_fills_slows_down(slowness: float) -> None:
    times, values = series(48, [220.0, 0.0, 20.0])
    since = (times - times[0]) / 3600

    course = judge_course(times, values + 120 * MB * (1 - np.exp(-since / slowness)), least=2 * MB, restarts_known=True)

    assert not (course.grows and course.confidence is not Confidence.LOW)
