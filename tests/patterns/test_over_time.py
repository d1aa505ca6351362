"""Dates and words of findings that rest on time: when a limit is reached, and when no date may be given."""

from datetime import UTC, datetime

import numpy as np
import pytest

from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Confidence
from poolsleuth.model.tags import PoolKind
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.lines import Line
from poolsleuth.patterns.over_time import doubts, hours_until, limit_reached_at, rate, span
from poolsleuth.patterns.views import PoolState
from poolsleuth.windows.counters import Unit

MB = 1 << 20
END = datetime(2026, 3, 5, tzinfo=UTC)


def line(used: float, *, utc: bool = True) -> Line:
    times = np.array([END.timestamp() - 3600, END.timestamp()])
    return Line(times, np.array([0.0, used]), Unit.BYTES, "a test", Where(0), utc)


def course(slope: float | None, **more: object) -> Course:
    known: dict[str, object] = {"kind": Kind.LEAK, "confidence": Confidence.HIGH, "samples": 50, "hours": 48.0}
    return Course(slope=slope, **(known | more))  # type: ignore[arg-type]


def pool(limit: int | None) -> PoolState:
    return PoolState(kind=PoolKind.NONPAGED, limit=limit)


@pytest.mark.parametrize(
    ("slope", "limit", "pace", "hours"),
    [
        (10.0, 200, 0.0, 10),
        (10.0, 200, 50.0, 2),  # all of the pool grows faster than this one
        (10.0, 50, 0.0, 0),  # it is full already
        (10.0, None, 0.0, None),
        (0.0, 200, 0.0, None),
        (-1.0, 200, 0.0, None),
        (None, 200, 0.0, None),
        (1.0, 100 + 20 * 365 * 24 - 1, 0.0, 20 * 365 * 24 - 1),
        (1.0, 100 + 20 * 365 * 24 + 1, 0.0, None),  # farther than twenty years is no forecast
    ],
)
def test_when_the_limit_is_reached(slope: float | None, limit: int | None, pace: float, hours: float | None) -> None:
    at = limit_reached_at(course(slope), line(100.0), pool(limit), None, pace)

    assert (None if at is None else (at - END).total_seconds() / 3600) == hours
    assert hours_until(at, line(100.0)) == hours


def test_local_times_of_an_unknown_zone_give_no_date() -> None:
    assert limit_reached_at(course(10.0), line(100.0, utc=False), pool(200), None) is None


def test_a_tag_is_measured_against_its_pool() -> None:
    at = limit_reached_at(course(10.0), line(5.0), pool(200), line(100.0))

    assert at is not None
    assert (at - END).total_seconds() == 36_000


def test_a_rate_shows_its_interval_where_one_can_be_seen() -> None:
    assert rate(course(10 * MB, low=9.5 * MB, high=10.5 * MB), Unit.BYTES) == "10.0 MB an hour (9.5 MB to 10.5 MB)"
    assert rate(course(10 * MB, low=10 * MB - 9, high=10 * MB + 9), Unit.BYTES) == "10.0 MB an hour"
    assert rate(course(None), Unit.BYTES) == ""


def test_low_confidence_always_has_something_against_it() -> None:
    assert doubts(course(1.0)) == ()
    assert "too little to be sure" in doubts(course(1.0, confidence=Confidence.LOW))[0].says
    assert [d.says for d in doubts(course(1.0, confidence=Confidence.LOW, against=("why",)))] == ["why"]


@pytest.mark.parametrize(("hours", "text"), [(0.5, "30 minutes"), (26, "26 hours"), (288, "12 days")])
def test_span(hours: float, text: str) -> None:
    assert span(hours) == text
