"""Nights and weekends: a rest of the work that makes something grow is no end of the growth."""

from poolsleuth.patterns.course.rhythm import DAY
from poolsleuth.patterns.course.samples import SECONDS_PER_HOUR, Samples
from poolsleuth.patterns.course.words import duration

ONE_DAY = 20.0
"""In less than about a day a rise may be the first half of a daily rhythm."""

TWO_NIGHTS = 36.0
"""Hours; a shorter log may have seen one night only, so that no earlier rest tells how long a rest lasts."""

A_NIGHT = 16.0
"""Hours that the work of a day may rest until the next morning."""

A_WEEKEND = 68.0
"""Hours from Friday afternoon to Monday noon."""

NIGHTLY = 5.0
"""Hours of the longest rest within the growth, from which on it is one that rests at night."""

SUNDAY = 3 * DAY
"""Hours from 1970-01-01, a Thursday, to the first Sunday."""

WEEK = 7 * DAY


def rest_of_work(samples: Samples, stop: float, pause: float, *, quick: bool = False) -> str | None:
    """Why a rest at the end of the samples is no end of growth; None when it is one.

    ``stop`` is when the rest began (hours of ``samples``), ``pause`` the longest rest within the growth before it.
    ``quick``: it grew for so short a time that one night says nothing against an end.
    """
    tail = float(samples.hours[-1]) - stop
    if samples.span < TWO_NIGHTS and tail < A_NIGHT and not quick:
        return f"in a log of {duration(samples.span)} that may be a night"
    if pause >= NIGHTLY and tail <= pause:
        return f"it rested for {duration(pause)} before, and went on"
    begin = samples.origin / SECONDS_PER_HOUR + stop
    if pause >= NIGHTLY and tail <= A_WEEKEND and over_sunday(begin, begin + tail):
        return "that is a weekend, and before it rested at night"
    return None


def over_sunday(begin: float, end: float) -> bool:
    """Whether the time between two hours since 1970 holds Sunday noon UTC: every time zone's Sunday has some of it."""
    since = (begin - SUNDAY - DAY / 2) % WEEK
    return since + (end - begin) >= WEEK or since == 0.0
