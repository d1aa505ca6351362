"""The collector of counter rows: first and last row, its bound, and even coverage."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.evidence.counters.log import CounterRow, SeriesCollector
from poolsleuth.model.facts import Where
from poolsleuth.model.series import CounterPath, CounterSeries

HERE = Where(3)


class Reader:
    """As much of a counter log's reader as a collector asks."""

    def __init__(self, columns: int, *, utc: bool = True) -> None:
        self.columns = [CounterPath("SRV", "Object", None, f"Counter {i}") for i in range(columns)]
        self.utc = utc


def collected(rows: Sequence[CounterRow], limit: int, columns: int, *, utc: bool = True) -> list[CounterSeries]:
    collector = SeriesCollector(limit)
    for row in rows:
        collector.add(row)
    assert collector.rows == len(rows)
    reader = Reader(columns, utc=utc)
    return collector.series(reader, HERE)  # type: ignore[arg-type]


def even(count: int, columns: int = 1) -> list[CounterRow]:
    return [CounterRow(float(i), dict.fromkeys(range(columns), float(10 * i))) for i in range(count)]


def test_nothing_gives_nothing() -> None:
    collector = SeriesCollector()
    assert (collector.first, collector.last, collector.rows) == (None, None, 0)
    assert collected([], 10, 3) == []
    assert collected([CounterRow(1.0, {})], 10, 3) == []


def test_everything_is_kept_below_the_limit() -> None:
    (series,) = collected(even(10), 10, 1, utc=False)
    assert list(series.times) == [float(i) for i in range(10)]
    assert list(series.values) == [10.0 * i for i in range(10)]
    assert (series.samples, series.utc, series.where) == (10, False, HERE)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 7, 10, 16])
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_first_and_last_row_are_kept_for_every_length(limit: int, columns: int) -> None:
    for count in range(1, 60):
        series = collected(even(count, columns), limit, columns)
        assert len(series) == columns
        for one in series:
            assert one.times[0] == 0.0, count
            assert one.times[-1] == count - 1, count
            assert list(one.times) == sorted(set(one.times)), count
            assert list(one.values) == [10 * t for t in one.times]
            assert one.samples == count


@pytest.mark.parametrize(("limit", "columns"), [(100, 1), (101, 1), (100, 7), (1000, 3)])
def test_a_long_log_stays_within_the_limit_and_evenly_covered(limit: int, columns: int) -> None:
    count = 5_000
    series = collected(even(count, columns), limit, columns)

    assert sum(len(one.times) for one in series) <= limit + columns  # and the last row
    for one in series:
        assert len(one.times) >= limit // columns // 2
        steps = [b - a for a, b in zip(one.times, one.times[1:], strict=False)]
        assert len(set(steps[:-1])) == 1  # every n-th row
        assert steps[-1] <= steps[0]


def test_a_counter_born_late_is_covered_from_its_birth() -> None:
    rows = even(400)
    for row in rows[203:]:
        row.cells[1] = row.time
    _, late = collected(rows, 60, 2)

    assert late.samples == 197
    assert 203 <= late.times[0] <= 203 + 32
    assert late.times[-1] == 399.0
    assert len(late.times) >= 6


def test_many_short_lived_instances_do_not_hang_or_break_the_bound() -> None:
    """Each process lives for one row: thinning gains nothing, and must end."""
    rows = [CounterRow(float(i), {0: 1.0, i + 1: 1.0}) for i in range(2_000)]
    series = collected(rows, 100, 2_001)
    assert series[0].times[0] == 0.0
    assert series[0].times[-1] == 1999.0
    assert len(series[0].times) <= 3 + 1


@given(
    st.lists(st.dictionaries(st.integers(0, 4), st.floats(allow_nan=True), max_size=5), max_size=80),
    st.integers(1, 40),
)
def test_any_rows(cells: list[dict[int, float]], limit: int) -> None:
    rows = [CounterRow(float(i), dict(c)) for i, c in enumerate(cells)]
    series = {int(s.path.counter[8:]): s for s in collected(rows, limit, 5)}

    kept = sum(len(s.times) for s in series.values())
    assert kept <= max(limit, 2 * 5) + 5
    if rows:
        for index in rows[-1].cells:
            assert series[index].times[-1] == len(rows) - 1
    for index, one in series.items():
        assert len(one.times) == len(one.values) > 0
        assert list(one.times) == sorted(set(one.times))
        assert one.samples == sum(index in row.cells for row in rows)
        assert all(int(t) < len(rows) and index in rows[int(t)].cells for t in one.times)
