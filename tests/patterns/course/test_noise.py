"""Correlation, intervals and the coin against noise whose figures are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from poolsleuth.patterns.course.noise import coin_test, correlation, mann_kendall, robust_slope

Numbers = NDArray[np.float64]


def wander(count: int, alike: float, seed: int) -> Numbers:
    source = np.random.default_rng(seed)
    made = np.zeros(count)
    made[0] = source.normal()
    for k in range(1, count):
        made[k] = alike * made[k - 1] + source.normal(0, np.sqrt(1 - alike**2))
    return made


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.8])
def test_correlation_is_freed_from_the_bias_of_the_fit(alike: float) -> None:
    found = []
    for seed in range(60):
        noise = wander(60, alike, seed)
        x = np.linspace(-1, 1, 60)
        line = np.polynomial.Polynomial.fit(x, noise, 1)
        found.append(correlation(noise - line(x))[0])
    assert np.mean(found) == pytest.approx(alike, abs=0.07)


def test_the_error_grows_with_correlation() -> None:
    hours = np.linspace(0, 60, 60)
    errors = [
        np.median([robust_slope(hours, hours + wander(60, alike, seed)).error for seed in range(20)])
        for alike in (0.0, 0.5, 0.9)
    ]
    assert errors[0] < errors[1] < errors[2]


def test_a_line_without_noise_has_no_error() -> None:
    hours = np.linspace(0, 10, 20)
    slope = robust_slope(hours, 3 * hours)
    assert slope.slope == pytest.approx(3)
    assert slope.t > 1e6


def test_mann_kendall_knows_order_and_its_absence() -> None:
    assert mann_kendall(np.array([1.0, 2, 3, 4, 5, 6])) == pytest.approx((1.0, 1 / 720))
    assert mann_kendall(np.full(9, 2.0)) == (0.0, 1.0)
    assert mann_kendall(np.array([3.0, 2, 1, 0]))[1] > 0.9


def test_the_coin_tells_a_staircase_from_a_random_walk_and_a_jump() -> None:
    assert coin_test(np.linspace(0, 1, 60), 0.0) < 1e-5
    assert coin_test(np.repeat([0.0, 1.0], 30), 0.0) == 1.0
    clear = [coin_test(np.cumsum(np.random.default_rng(seed).normal(0, 1, 60)), 0.0) < 1e-3 for seed in range(300)]
    assert np.mean(clear) < 0.02
