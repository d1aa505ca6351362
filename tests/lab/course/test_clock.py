"""Samples of a course."""

from datetime import UTC, datetime, timedelta

import pytest

from poolsleuth.lab.course.clock import MOST_HOURS, MOST_SAMPLES, clock_of
from poolsleuth.model.errors import InputError

BEGAN = datetime(2021, 1, 5, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_a_day_is_a_sample_a_minute() -> None:
    clock = clock_of(BEGAN, 24, None)
    times = list(clock.times())
    assert len(clock) == len(times) == 1441
    assert times[0] == BEGAN
    assert times[-1] == clock.ended == BEGAN + timedelta(days=1)
    assert clock.hours == 24


def test_a_week_has_no_more_samples_than_a_day() -> None:
    clock = clock_of(BEGAN, 168, None)
    assert clock.every == 7 * MINUTE
    assert len(clock) == 1441


def test_hours_are_rounded_to_whole_steps() -> None:
    assert len(clock_of(BEGAN, 1.01, 30 * MINUTE)) == 3


@pytest.mark.parametrize(
    ("hours", "every", "says"),
    [
        (0.0, None, "a course takes up to"),
        (float("nan"), None, "a course takes up to"),
        (MOST_HOURS + 1.0, None, "a course takes up to"),
        (1.0, timedelta(0), "more than nothing"),
        (1.0, timedelta(hours=9), "too short for two samples"),
        (MOST_SAMPLES / 60 + 1, MINUTE, "take fewer"),
    ],
)
def test_one_sentence_for_what_cannot_be(hours: float, every: timedelta | None, says: str) -> None:
    with pytest.raises(InputError, match=says):
        clock_of(BEGAN, hours, every)
