"""Nights and weekends: a rest of the work that makes something grow is no end of the growth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.patterns.course.rhythm import DAY, DAYS_FOR_RHYTHM
from poolsleuth.patterns.course.samples import SECONDS_PER_HOUR, Samples
from poolsleuth.patterns.course.words import duration

Numbers = NDArray[np.float64]

ONE_DAY = 20.0
"""In less than about a day a rise may be the first half of a daily rhythm."""

A_NIGHT = 20.0
"""Hours that the work of a day may rest until the next morning, with room for a short day."""

A_WEEKEND = 68.0
"""Hours from Friday afternoon to Monday noon."""

SHORTEST_REST = 5.0
"""Hours of a rest at night, at least."""

NIGHTS = 2
"""Growth that rested so often or more before is that of work that rests at night."""

RESTING = 0.25
"""At rest the pace is below this share of the usual one."""

SUNDAY = 3 * DAY
"""Hours from 1970-01-01, a Thursday, to the first Sunday."""

WEEK = 7 * DAY

FEWEST = 6
"""Points of a growth that can show a rest."""


@dataclass(frozen=True, slots=True)
class Rests:
    """How often growth rested for hours and went on, and the longest of these rests in hours."""

    count: int
    longest: float


def rests_of(hours: Numbers, level: Numbers) -> Rests:
    """The rests within growth: times without a new highest value, longer than a short break."""
    if hours.size < FEWEST:
        return Rests(0, 0.0)
    gains = np.diff(np.maximum.accumulate(level))
    slow = gains < RESTING * float(gains.mean())
    edges = np.flatnonzero(np.diff(np.concatenate(([False], slow, [False])).astype(np.int8)))
    lengths = hours[edges[1::2]] - hours[edges[::2]]
    lengths = lengths[(lengths >= SHORTEST_REST) & (edges[1::2] < gains.size)]
    return Rests(int(lengths.size), float(lengths.max()) if lengths.size else 0.0)


def rest_of_work(samples: Samples, stop: float, before: Rests) -> str | None:
    """Why a rest at the end of the samples is no end of growth; None when it is one.

    ``stop`` is when it began (hours of ``samples``), ``before`` the rests within the growth until then.
    """
    tail = float(samples.hours[-1]) - stop
    if before.count and tail <= before.longest:
        return f"it rested for {duration(before.longest)} before, and went on"
    begin = samples.origin / SECONDS_PER_HOUR + stop
    if before.count >= NIGHTS and tail <= A_WEEKEND and over_sunday(begin, begin + tail):
        return "that is a weekend, and it rested before as well"
    if may_be_night(samples, stop):
        return f"in a log of {duration(samples.span)} that may be a night"
    return None


def may_be_night(samples: Samples, stop: float) -> bool:
    """Whether what has rested since ``stop`` (hours) may only wait for the next morning: no earlier night tells."""
    return samples.span < DAYS_FOR_RHYTHM * DAY and float(samples.hours[-1]) - stop < A_NIGHT


def over_sunday(begin: float, end: float) -> bool:
    """Whether the time between two hours since 1970 holds Sunday noon UTC: every time zone's Sunday has some of it."""
    since = (begin - SUNDAY - DAY / 2) % WEEK
    return since + (end - begin) >= WEEK or since == 0.0
