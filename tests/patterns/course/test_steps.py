"""Steps are flat between; a slope, a sawtooth and a wave are none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from poolsleuth.patterns.course.samples import Samples
from poolsleuth.patterns.course.steps import find_steps, partition, rest_of_two_jumps

HOURS = np.linspace(0.0, 100.0, 400)


def samples(values: NDArray[np.float64]) -> Samples:
    return Samples(0.0, HOURS, values + np.random.default_rng(1).normal(0, 0.3, values.size))


@pytest.mark.parametrize("peak", [0.0, 30.0])
def test_places_and_heights(peak: float) -> None:
    turn = HOURS / 20 + 0.5
    found = find_steps(samples(100 + 20 * np.floor(turn) + peak * (turn % 1 > 0.93)))
    assert found is not None
    assert found.places == pytest.approx([10, 30, 50, 70, 90], abs=1.5)
    assert found.heights == pytest.approx([20] * 5, abs=1.5)


@pytest.mark.parametrize(
    "values",
    [
        HOURS,
        (HOURS / 30) ** 3,
        np.clip(HOURS - 60, 0, None),
        50 * (1 - np.exp(-HOURS / 20)),
        30 * (HOURS / 10 % 1) + HOURS,
        50 * ((HOURS > 30) & (HOURS < 60)),
        np.zeros(400),
    ],
    ids=["line", "cube", "late", "filling", "sawtooth", "returns", "flat"],
)
def test_what_is_no_staircase(values: NDArray[np.float64]) -> None:
    found = find_steps(samples(np.asarray(values, dtype=np.float64)))
    assert found is None or found.places.size < 3


def test_partition_is_exact() -> None:
    assert partition(np.array([1.0, 1, 1, 5, 5, 5, 5, 2, 2]), 0.5) == [0, 3, 7, 9]


def test_two_jumps_leave_nothing_of_two_jumps() -> None:
    assert rest_of_two_jumps(np.array([1.0, 1, 1, 5, 5, 5, 9, 9])) == pytest.approx(0.0, abs=1e-9)
    assert rest_of_two_jumps(np.array([9.0, 9, 5, 5, 1, 1])) == np.inf
