"""The chart: exact size whatever comes, time to scale, peaks kept, gaps left open, hostile figures harmless."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment

from poolsleuth.top.screen.chart import LIMIT, LINE, MARK, draw, text_of

NOON = 1_795_003_200.0  # 2026-11-18 12:00 UTC
MINUTES = (NOON + np.arange(120) * 60.0).astype(np.float64)


def lines(*arguments: object, **options: object) -> list[str]:
    return text_of(draw(*arguments, **options)).split("\n")  # type: ignore[arg-type]


def of_style(rows: list[list[Segment]], style: object) -> str:
    return "".join(segment.text for row in rows for segment in row if segment.style is style)


def curve(rows: list[str]) -> list[str]:
    """The plot without axes and labels."""
    edges = {place for row in rows for place, c in enumerate(row) if c in "│┤"}
    return [row[min(edges) + 1 :] for row in rows[:-2]]


@given(
    st.lists(st.tuples(st.floats(), st.floats()), max_size=60),
    st.integers(0, 90),
    st.integers(0, 30),
    st.booleans(),
    st.sampled_from(["bytes", "count", "per second"]),
    st.none() | st.floats(),
    st.none() | st.floats(),
)
@settings(deadline=None, max_examples=300)
def test_any_figures_fill_exactly_the_room_there_is(
    points: list[tuple[float, float]],
    width: int,
    height: int,
    plain: bool,
    unit: str,
    limit: float | None,
    mark: float | None,
) -> None:
    times = np.array([time for time, _ in points])
    values = np.array([value for _, value in points])
    rows = draw(times, values, width, height, plain=plain, unit=unit, limit=limit, mark=mark)
    assert len(rows) == height
    for row in rows:
        assert sum(cell_len(segment.text) for segment in row) == width
        assert not any(segment.control for segment in row)
        if plain:
            assert all(segment.text.isascii() for segment in row)


@given(
    st.lists(st.floats(1e3, 1e12) | st.just(math.nan), min_size=1, max_size=200),
    st.integers(30, 90),
    st.integers(5, 30),
    st.integers(0, 3_000_000_000),
)
@settings(deadline=None, max_examples=200)
def test_times_that_are_dates_are_drawn_as_well(values: list[float], width: int, height: int, begin: int) -> None:
    times = begin + np.cumsum(np.arange(len(values)) % 7 * 61.0)
    rows = draw(times, np.array(values), width, height)
    assert [sum(cell_len(segment.text) for segment in row) for row in rows] == [width] * height


def test_growth_goes_from_the_corner_below_to_the_corner_above() -> None:
    rows = curve(lines(MINUTES, np.linspace(0, 1e6, 120), 60, 14))
    assert rows[0].strip()
    assert rows[0][-1] != " "
    assert rows[-1][0] != " "
    assert not rows[0][:40].strip()
    assert not rows[-1][20:].strip()


@pytest.mark.parametrize("plain", [False, True])
def test_a_spike_of_one_sample_among_thousands_is_seen(plain: bool) -> None:
    values = np.full(5_000, 1e6)
    values[3_210] = 9e6
    values[1_000] = 0.0
    times = (NOON + np.arange(5_000) * 60.0).astype(np.float64)
    rows = draw(times, values, 40, 4, plain=plain)
    drawn = ["".join(s.text for s in row) for row in rows]
    assert drawn[0].strip()
    assert drawn[0].index(drawn[0].strip()[0]) == pytest.approx(3_210 / 5_000 * 40, abs=1)
    assert drawn[3].strip()


def test_samples_stand_where_their_time_is() -> None:
    # Two samples in the first minute, the third an hour later: the step is at the left
    times = np.array([0.0, 60.0, 3_660.0]) + NOON
    rows = curve(lines(times, np.array([0.0, 1e6, 1e6]), 70, 12))
    assert len(rows[0].strip()) > 55


def test_what_is_not_known_is_a_gap() -> None:
    values = np.full(120, 1e6)
    values[40:80] = math.nan
    drawn = next(row for row in curve(lines(MINUTES, values, 68, 12)) if row.strip())
    gap = drawn.strip().split(" ")
    assert len(gap[0]) == pytest.approx(20, abs=2)
    assert sum(not part for part in gap) == pytest.approx(19, abs=3)


def test_a_night_without_samples_is_not_bridged() -> None:
    times = np.concatenate((NOON + np.arange(60) * 60.0, NOON + 86_400 + np.arange(60) * 60.0))
    drawn = next(row for row in curve(lines(times, np.full(120, 1e6), 68, 12)) if row.strip())
    assert drawn.count(" ") > 50


def test_times_that_are_not_known_count_samples() -> None:
    drawn = lines(np.full(5, math.nan), np.array([1.0, 2.0, 3.0, 2.0, 5.0]), 50, 10, unit="count")
    assert "first sample" in drawn[-1]
    assert drawn[-1].endswith("now")


def test_one_sample() -> None:
    drawn = lines(MINUTES[:1], np.array([5e6]), 50, 10)
    assert sum(c != " " for row in curve(drawn) for c in row) == 1
    assert drawn[-1].rstrip().endswith("now 12:00:00 UTC")
    assert "start" not in drawn[-1]


def test_no_figure_at_all_says_so() -> None:
    for values in (np.full(120, math.nan), np.full(120, math.inf)):
        drawn = lines(MINUTES, values, 40, 9)
        assert "no figures yet" in drawn[4]
    assert lines(np.empty(0), np.empty(0), 3, 2) == ["no ", "   "]


def test_a_flat_course_stands_in_the_middle_and_does_not_swing() -> None:
    values = 1e8 + np.resize([0.0, 4096.0], 120)
    drawn = [number for number, row in enumerate(curve(lines(MINUTES, values, 60, 15))) if row.strip()]
    assert len(drawn) == 1
    assert 4 <= drawn[0] <= 8


def test_the_axis_names_round_figures_in_the_right_unit() -> None:
    drawn = lines(MINUTES, np.linspace(0, 100 << 20, 120), 60, 14)
    assert [row[:6].strip() for row in drawn if "┤" in row] == ["100 MB", "50 MB", "0"]
    drawn = lines(MINUTES, np.linspace(0, 5e6, 120), 60, 14, unit="count")
    assert any(row.startswith("4 M") for row in drawn)


def test_the_clock_is_named() -> None:
    assert lines(MINUTES, MINUTES, 70, 10)[-1].rstrip().endswith("now 13:59 UTC")
    assert lines(MINUTES, MINUTES, 70, 10, utc=False)[-1].rstrip().endswith("now 13:59 local")
    assert "start 2026-11-18 12:00" in lines(MINUTES, MINUTES, 90, 10)[-1]
    over_midnight = (NOON + np.arange(20) * 3_600.0).astype(np.float64)
    assert lines(over_midnight, over_midnight, 70, 10)[-1].rstrip().endswith("now 11-19 07:00 UTC")


def test_the_mark_stands_at_its_time() -> None:
    rows = draw(MINUTES, np.linspace(0, 1e6, 120), 67, 12, mark=float(MINUTES[60]))
    axis = "".join(segment.text for segment in rows[-2])
    left = axis.index("└")
    assert axis.index("M") - left == pytest.approx((67 - left) / 2, abs=1)
    assert "mark 13:00" in "".join(segment.text for segment in rows[-1])
    assert set(of_style(rows, MARK)) == {"┊", "M"}
    assert not of_style(draw(MINUTES, MINUTES, 67, 12, mark=NOON - 5), MARK)


def test_the_limit_is_drawn_when_it_is_near_and_never_over_the_course() -> None:
    values = np.linspace(0, 1e6, 120)
    near = draw(MINUTES, values, 60, 12, limit=1.5e6)
    assert set(of_style(near, LIMIT)) == {"╌"}
    assert "╌" not in of_style(near, LINE)
    assert not of_style(draw(MINUTES, values, 60, 12, limit=1e9), LIMIT)
    assert "=" in of_style(draw(MINUTES, values, 60, 12, limit=1.5e6, plain=True), LIMIT)


def test_clocks_that_go_back_are_put_in_order() -> None:
    shuffled = np.array([60.0, 0.0, 120.0]) + NOON
    assert lines(shuffled, np.array([2.0, 1.0, 3.0]), 50, 10) == lines(
        np.sort(shuffled), np.array([1.0, 2.0, 3.0]), 50, 10
    )


def test_damaged_figures_do_not_spoil_the_scale() -> None:
    values = np.linspace(0, 1e6, 120)
    values[50] = 1.7e308
    assert any(row.startswith("0.5 MB") for row in lines(MINUTES, values, 60, 14))
