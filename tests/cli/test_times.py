"""Times as they are typed."""

from datetime import UTC, datetime

import click
import pytest

from poolsleuth.cli.times import read_time


def at(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-03-27", at(2026, 3, 27)),
        ("20260327", at(2026, 3, 27)),
        (" 2026-03-27T10:15 ", at(2026, 3, 27, 10, 15)),
        ("2026-03-27 10:15:30", at(2026, 3, 27, 10, 15, 30)),
        ("2026-03-27T10:15Z", at(2026, 3, 27, 10, 15)),
        ("2026-03-27T10:15:00+01:00", at(2026, 3, 27, 9, 15)),
        ("2026-03-27T23:15-02:00", at(2026, 3, 28, 1, 15)),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text: str, seconds: float) -> None:
    assert read_time(text, "--since") == seconds


def test_nothing_is_nothing() -> None:
    assert read_time(None, "--since") is None
    assert read_time(None, "--until", end=True) is None


@pytest.mark.parametrize("day", ["2026-03-27", "20260327", "2026-W13-5", " 2026-03-27 "])
def test_a_day_ends_with_its_last_moment(day: str) -> None:
    end = read_time(day, "--until", end=True)
    assert end is not None
    assert at(2026, 3, 27, 23, 59, 59) < end < at(2026, 3, 28)


@pytest.mark.parametrize("text", ["2026-03-27T00:00", "2026-03-27T00", "2026-03-27 00:00:00Z"])
def test_a_midnight_that_is_written_is_meant(text: str) -> None:
    assert read_time(text, "--until", end=True) == at(2026, 3, 27)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "27.03.2026", "10:15", "1795003200", "0001-01-01x"])
def test_what_is_no_time_is_refused_with_the_option(text: str) -> None:
    with pytest.raises(click.UsageError, match=r"--at .* is no time: write it as 2026-03-27, ") as caught:
        read_time(text, "--at")
    assert repr(text) in str(caught.value)


def test_a_time_beyond_the_calendar_is_refused_and_not_a_traceback() -> None:
    with pytest.raises(click.UsageError, match="is no time"):
        read_time("10000-01-01", "--since")
    assert read_time("9999-12-31T23:59:59Z", "--since") == at(9999, 12, 31, 23, 59, 59)
