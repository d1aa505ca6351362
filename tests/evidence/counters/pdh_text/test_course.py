"""Clock changes and rows that go back."""

import pytest

from poolsleuth.evidence.counters.log import CounterRow
from poolsleuth.evidence.counters.pdh_text.course import TimeCourse

HOUR = 3600.0
# 2020-10-25 03:00 in Berlin, the hour at which the clock goes back to 02:00; the header's bias is -120 minutes
BACK = 1603587600.0


def run(times: list[float], course: TimeCourse) -> list[float]:
    rows = [course.add(CounterRow(time, {}), line) for line, time in enumerate(times, 2)]
    rows.append(course.finish())
    return [row.time for row in rows if row is not None]


def test_rows_in_order_pass() -> None:
    course = TimeCourse()
    assert run([1, 2, 3, 3, 10], course) == [1, 2, 3, 3, 10]
    assert course.repeated == 1
    assert course.backward == 0


@pytest.mark.parametrize(
    ("jump", "interval"), [(-HOUR, 15.0), (HOUR, 15.0), (-HOUR, 60.0), (HOUR, 1.0), (-HOUR, 1800.0)]
)
def test_the_clock_changes_on_the_hour(jump: float, interval: float) -> None:
    course = TimeCourse(bias=-7200)
    true = [BACK + interval * (n + 0.25) for n in range(-4, 4)]
    written = [time if time < BACK else time + jump for time in true]
    assert run(written, course) == true
    assert len(course.changes) == 1


@pytest.mark.parametrize("offset", [600.0, 1800.0])
def test_an_hour_at_another_minute_is_a_gap(offset: float) -> None:
    course = TimeCourse(bias=-7200)
    times = [BACK + offset + 15 * n for n in range(4)] + [BACK + offset + HOUR + 15 * n for n in range(4, 8)]
    assert run(times, course) == times
    assert course.changes == []


def test_an_hour_without_samples_on_a_weekday_is_a_gap() -> None:
    course = TimeCourse(bias=-7200)
    monday = BACK + 86400 + HOUR  # clocks were changed the night before: now the hour begins here too
    times = [monday + 15 * n - 45 for n in range(4)] + [monday + HOUR + 15 * n for n in range(1, 4)]
    assert run(times, course) == times
    assert course.changes == []


def test_utc_has_no_clock_changes() -> None:
    course = TimeCourse(local=False)
    times = [BACK + 15 * n - 45 for n in range(4)] + [BACK + HOUR + 15]
    assert run(times, course) == times


def test_a_row_ahead_of_its_time_is_left_out() -> None:
    course = TimeCourse()
    assert run([1, 2, 900_000, 3, 4], course) == [1, 2, 3, 4]
    assert (course.backward, course.first_backward) == (1, 5)


def test_rows_that_go_back_are_left_out() -> None:
    course = TimeCourse()
    assert run([100, 101, 102, 50, 51, 103], course) == [100, 101, 102, 103]
    assert (course.backward, course.first_backward) == (2, 5)
