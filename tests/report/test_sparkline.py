"""A series as one line of characters."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.report.sparkline import ASCII, BLOCKS, sparkline

Values = list[float | None]


def line(
    values: Sequence[float | None], width: int, *, seconds: list[float] | None = None, blocks: str = BLOCKS
) -> str:
    return sparkline(seconds if seconds is not None else [float(i) for i in range(len(values))], values, width, blocks)


def test_a_rise_fills_the_height() -> None:
    assert line([0.0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert line([5.0, 4, 3, 2, 1, 0], 6, blocks=ASCII) == "#*=-._"


def test_each_character_is_the_mean_of_its_stretch() -> None:
    assert line([0.0, 2.0, 8.0, 10.0, 4.0, 6.0], 3) == "▁█▅"


def test_a_series_that_does_not_move_is_a_line_at_the_bottom() -> None:
    assert line([3.0] * 10, 5) == "▁▁▁▁▁"
    assert line([0.0] * 10, 5) == "▁▁▁▁▁"


def test_it_is_even_in_time_not_in_samples() -> None:
    times = [0.0, 1, 2, 3, 4, 5, 6, 7, 8, 100]
    assert line([0.0] * 9 + [7.0], 4, seconds=times) == "▁  █"


def test_a_stretch_without_a_value_is_blank() -> None:
    full: Values = [float(i) for i in range(40)]
    told: Values = [*full[:20], *[None] * 10, *full[30:]]
    assert line(told, 8) == "▁▂▃▄  ▇█"

    # The log stood still: there are no samples at all
    times = [*(float(i) for i in range(20)), *(float(i) for i in range(30, 40))]
    assert line([*full[:20], *full[30:]], 8, seconds=times) == "▁▂▃▄  ▇█"


def test_one_missing_sample_among_others_is_no_gap() -> None:
    assert line([0.0, None, 0.0, 7.0, None, 7.0], 2) == "▁█"


def test_few_samples_are_drawn_through() -> None:
    assert line([1.0, 2.0], 6) == "▁▁▁▁▁█"
    assert line([1.0, None, 2.0], 6) == "▁▁▁  █"


def test_nothing_is_blank() -> None:
    assert line([], 5) == "     "
    assert line([None, None], 5) == "     "
    assert line([math.nan, math.inf, -math.inf], 5) == "     "
    assert line([], 0) == ""


def test_one_sample_and_equal_times() -> None:
    assert line([7.0], 4) == "▁   "
    assert line([7.0, 9.0], 4, seconds=[5.0, 5.0]) == "▁   "


@pytest.mark.parametrize(
    "values", [[1e308, 1e308, -1e308], [1e308, 0.0], [10**400, 1], [5e-324, 0.0], [math.inf, 1.0], [-5e23, 5e23]]
)
def test_absurd_figures_are_drawn_or_left_out(values: Values) -> None:
    assert len(line(values, 6)) == 6


@pytest.mark.parametrize(
    "seconds", [[-1e308, 1e308], [0.0, math.inf], [math.nan, 1.0], [9.0, 3.0], [10**400, 1], [0.0, 5e-324]]
)
def test_absurd_times(seconds: list[float]) -> None:
    assert len(line([1.0, 2.0], 6, seconds=seconds)) == 6


@given(
    st.lists(st.tuples(st.floats(allow_nan=True), st.none() | st.floats(allow_nan=True) | st.integers()), max_size=50),
    st.integers(1, 60),
    st.booleans(),
)
def test_any_series_fits(points: list[tuple[float, float | None]], width: int, plain: bool) -> None:
    blocks = ASCII if plain else BLOCKS
    drawn = sparkline([t for t, _ in points], [v for _, v in points], width, blocks)
    assert len(drawn) == width
    assert set(drawn) <= {*blocks, " "}


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=50), st.integers(1, 60))
def test_known_values_leave_no_hole_and_use_the_whole_height(values: list[float], width: int) -> None:
    drawn = line(list(values), width)
    if len(values) >= 2 * width:
        assert " " not in drawn
        assert BLOCKS[0] in drawn
    if len(values) == width and max(values) - min(values) > 1:
        assert BLOCKS[-1] in drawn


def test_noise_on_a_high_level_is_no_swing() -> None:
    values = [200_000_000.0 + 400_000 * (place % 3) for place in range(60)]

    drawn = sparkline([float(place) for place in range(60)], values, 20)

    assert set(drawn) <= set(BLOCKS[:2])
