import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.model.finding import Trend
from poolsleuth.model.report import Report, ReportSeries
from poolsleuth.report.chart_data import (
    CHART_LINES,
    FINE,
    MOST_CHARTS,
    Line,
    charts_of,
    line_of,
    thin,
    value_range,
)

START = datetime(2020, 5, 1, tzinfo=UTC)
EPOCH = START.timestamp()
HOUR = 3600.0


def series(
    values: tuple[float | None, ...], step: float = HOUR, kind: str = "pool", unit: str = "bytes"
) -> ReportSeries:
    return ReportSeries(
        name="x",
        kind=kind,
        unit=unit,
        start=START,
        seconds=tuple(i * step for i in range(len(values))),
        values=values,
        samples=len(values),
    )


def line(values: tuple[float | None, ...], kind: str = "pool", unit: str = "bytes", name: str = "x") -> Line:
    made = line_of(replace(series(values, kind=kind, unit=unit), name=name))
    assert made is not None
    return made


# ---- thinning --------------------------------------------------------------------------------------------------


def test_a_short_line_stays_as_it_is() -> None:
    times, values = tuple(map(float, range(400))), tuple(None if i % 3 else float(i) for i in range(400))
    assert thin(times, values, 400) == (times, values)


def test_one_peak_and_one_floor_among_a_million_samples_stay() -> None:
    values = [50.0] * 1_000_000
    values[123_456], values[777_777] = 99.0, -3.0
    kept = dict(zip(*thin(range(1_000_000), values, 400), strict=True))
    assert len(kept) <= 400
    assert kept[123_456] == 99.0
    assert kept[777_777] == -3.0
    assert min(kept) == 0
    assert max(kept) == 999_999


def test_a_gap_stays_where_it_was_and_only_there() -> None:
    values: list[float | None] = [float(i % 7) for i in range(100_000)]
    values[40_000:52_000] = [None] * 12_000
    values[60_000:60_003] = [None] * 3  # shorter than anybody could see
    times, kept = thin(range(100_000), values, 300)
    gaps = [time for time, value in zip(times, kept, strict=True) if value is None]
    assert gaps == [(40_000 + 51_999) / 2]
    assert not [time for time in times if 40_000 <= time < 52_000 and time not in gaps]


def test_a_line_of_single_values_between_gaps_is_not_lost() -> None:
    values = [float(i) if i % 2 else None for i in range(100_000)]
    _, kept = thin(range(100_000), values, 400)
    assert None not in kept  # each gap is far shorter than a bucket
    assert len(kept) > 200


@given(
    st.lists(
        st.tuples(st.floats(0.001, 1e6), st.one_of(st.none(), st.floats(-1e9, 1e9, allow_nan=False))), max_size=200
    ),
    st.integers(16, 60),
)
def test_thinning_keeps_the_extremes_and_the_order(points: list[tuple[float, float | None]], limit: int) -> None:
    at = 0.0
    times: list[float] = []
    for step, _ in points:
        at += step
        times.append(at)
    values = [value for _, value in points]
    kept_times, kept = thin(times, values, limit)
    assert len(kept_times) == len(kept) <= max(limit, 0)
    assert list(kept_times) == sorted(kept_times)
    known, still = [v for v in values if v is not None], [v for v in kept if v is not None]
    assert bool(known) == bool(still)
    if known:
        assert (min(still), max(still), still[0], still[-1]) == (min(known), max(known), known[0], known[-1])
        assert set(still) <= set(known)


# ---- one line --------------------------------------------------------------------------------------------------


def test_times_are_put_in_order_and_the_last_of_equal_ones_counts() -> None:
    made = line_of(replace(series((1.0, 2.0, 3.0, 4.0)), seconds=(20.0, 10.0, 20.0, 5.0)))
    assert made is not None
    assert made.times == (EPOCH + 5, EPOCH + 10, EPOCH + 20)
    assert made.values == (4.0, 2.0, 3.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e25, 10**400])
def test_a_figure_beyond_belief_is_a_gap(value: float) -> None:
    made = line_of(series((1.0, value, 3.0)))
    assert made is not None
    assert made.values == (1.0, None, 3.0)


def test_nothing_to_draw_is_no_line() -> None:
    assert line_of(series(())) is None
    assert line_of(series((None, None))) is None
    assert line_of(replace(series((1.0,)), start=datetime(3500, 1, 1, tzinfo=UTC))) is None
    assert line_of(replace(series((1.0,)), start=datetime(1, 1, 1, tzinfo=UTC))) is None


def test_a_start_without_a_zone_is_read_as_it_stands() -> None:
    made = line_of(replace(series((1.0,)), start=START.replace(tzinfo=None), utc=False))
    assert made is not None
    assert made.times == (EPOCH,)


def grown(hours_to_limit: float, line: tuple[tuple[float, float], ...] = ()) -> Line:
    """Ten hours from 100 to 190, a limit of 300, reached so long after the last sample."""
    reached = START + timedelta(hours=9 + hours_to_limit)
    trend = Trend(bytes_per_hour=10.0, low=9.0, high=11.0, limit_reached_at=reached)
    values = tuple(100.0 + 10 * i for i in range(10))
    made = line_of(replace(series(values), limit=300.0, trend=trend, line=line))
    assert made is not None
    return made


def test_a_forecast_goes_from_the_fitted_growth_to_the_limit() -> None:
    made = grown(11, ((0.0, 98.0), (9 * HOUR, 188.0)))
    assert made.fit == ((EPOCH, 98.0), (EPOCH + 9 * HOUR, 188.0))
    assert made.forecast == ((EPOCH + 9 * HOUR, 188.0), (EPOCH + 20 * HOUR, 300.0))
    assert grown(11).forecast == ((EPOCH + 9 * HOUR, 190.0), (EPOCH + 20 * HOUR, 300.0))


def test_a_forecast_too_far_ahead_or_in_the_past_is_not_drawn() -> None:
    assert grown(18).forecast
    assert not grown(18.1).forecast  # more than twice the time seen
    assert not grown(-1).forecast
    assert grown(18.1).reached is not None


def test_a_limit_far_above_is_not_near() -> None:
    near, far = (replace(line((100.0, 120.0)), limit=limit) for limit in (300.0, 301.0))
    assert near.limit_near
    assert not far.limit_near
    assert line_of(replace(series((1.0, 2.0)), limit=-1.0)) == line((1.0, 2.0))


# ---- charts ----------------------------------------------------------------------------------------------------


def test_each_kind_unit_and_clock_has_its_own_chart() -> None:
    lines = [
        line((1.0, 2.0), "load", "percent"),
        line((1.0, 2.0), "process", "count"),
        line((1.0, 2.0), "tag"),
        line((1.0, 2.0), "pool"),
        replace(line((1.0, 2.0), "tag"), utc=False),
        line((1.0, 2.0), "load", "per second"),
    ]
    charts, left = charts_of(lines, 99, 400)
    assert left == 0
    assert [chart.title for chart in charts] == [
        "Pools",
        "Tags, 1 of 2",
        "Tags, 2 of 2",
        "Processes: handles",
        "Load: percent",
        "Load: per second",
    ]
    assert [chart.utc for chart in charts] == [True, True, False, True, True, True]


def test_lines_of_very_different_size_stand_in_different_charts() -> None:
    charts, _ = charts_of([line((5e6, 6e6)), line((4e9, 5e9)), line((0.0, 0.0)), line((9e6, 8e6))], 99, 400)
    assert [[known.peak for known in chart.lines] for chart in charts] == [[6e6, 0.0, 9e6], [5e9]]


def test_what_grows_most_stands_first() -> None:
    lines = [
        line((1.0, 9.0), "tag", name="load"),
        line((5.0, 6.0), "tag", name="slow"),
        line((5.0, 7.0), "tag", name="fast"),
    ]
    lines = [replace(one, course="load" if one.name == "load" else "leak") for one in lines]
    (chart,), _ = charts_of(lines, 99, 400)
    assert [one.name for one in chart.lines] == ["fast", "slow", "load"]
    assert chart.title == "Tags that grow"


def test_charts_and_their_lines_are_bounded() -> None:
    alike = [line((1.0, 2.0), "tag") for _ in range(30)]
    charts, left = charts_of(alike, 99, 400)
    assert max(len(chart.lines) for chart in charts) == CHART_LINES
    assert left == 0
    assert charts_of(alike, 5, 400)[1] == 25
    apart = [line((10.0**i, 10.0**i), "tag") for i in range(20)]
    charts, left = charts_of(apart, 99, 400)
    assert len(charts) == MOST_CHARTS
    assert left == 20 - MOST_CHARTS


def test_the_axes_hold_limit_and_forecast() -> None:
    (chart,), _ = charts_of([grown(11)], 9, 400)
    assert chart.x[0] == EPOCH
    assert EPOCH + 20 * HOUR < chart.x[1] < EPOCH + 21 * HOUR
    assert chart.y[0] == 0
    assert 300 < chart.y[1] < 330


def test_a_forecast_beyond_the_chart_waits_for_its_button() -> None:
    for hours, near, far in ((30, True, False), (31, False, True), (110, False, True), (111, False, False)):
        trend = Trend(bytes_per_hour=1.0, low=0.9, high=1.1, limit_reached_at=START + timedelta(hours=hours))
        made = line_of(replace(series(tuple(float(n) for n in range(11))), trend=trend, limit=300.0))
        assert made is not None
        assert (bool(made.forecast), bool(made.far)) == (near, far)
        (chart,), _ = charts_of([made], 9, 400)
        end = EPOCH + hours * HOUR
        if far:
            assert made.far[1] == (end, 300.0)
            assert chart.far is not None
            assert end < chart.far < end + hours * HOUR * 0.04
        else:
            assert chart.far is None
        assert (chart.x[1] > EPOCH + 10 * HOUR) is near
        assert (chart.y[1] > 300) is near


def test_an_axis_begins_at_0_unless_the_values_lie_close_together() -> None:
    assert value_range(20, 100)[0] == 0
    assert 900 < value_range(950, 1000)[0] < 950
    assert value_range(-5, 5) == (-5.8, 5.8)
    assert value_range(0, 0) == (0.0, 1.0)
    assert value_range(-3, -3)[0] < -3


def test_100_000_samples_become_at_most_400(long_series_report: Report) -> None:
    made = line_of(long_series_report.machines[0].series[2])
    assert made is not None
    assert 200 < len(made.times) <= FINE
    assert made.values.count(None) == 19  # a hole in each 5,000; the first has nothing before it
    assert made.peak == max(v for v in long_series_report.machines[0].series[2].values if v is not None)


def test_every_absurd_series_is_a_line_or_none(evil_chart_report: Report) -> None:
    made = [line_of(one) for one in evil_chart_report.machines[0].series]
    drawn = [one for one in made if one is not None]
    assert [one is not None for one in made] == [True] * 2 + [
        False,
        True,
        False,
        True,
        False,
        False,
        False,
        False,
        True,
    ]
    assert all(math.isfinite(value) for one in drawn for value in one.known)
    charts, _ = charts_of(drawn, 99, 400)
    assert all(chart.x[0] < chart.x[1] and chart.y[0] < chart.y[1] for chart in charts)
