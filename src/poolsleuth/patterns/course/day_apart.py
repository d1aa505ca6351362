"""A leak under a daily rhythm in a log of about two days: every hour lies higher than the same hour of the day before.

Two days are too few to find a rhythm, but enough to compare the days. Work that grows lifts the busy hours and leaves
the night where it was; a leak lifts all hours alike.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from poolsleuth.model.finding import Confidence
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.course.rhythm import DAY, DAYS_FOR_RHYTHM
from poolsleuth.patterns.course.samples import Samples
from poolsleuth.patterns.course.words import duration, figure, share

LEAST_OVERLAP = 16.0
"""Hours of the second day that must have a partner in the first: busy ones and quiet ones."""

HOURS_APART = 24
"""Parts of the overlap that are compared."""

ALL_HIGHER = 0.95
"""The share of the hours that must lie higher a day later."""

EVEN = 0.35
"""By how much of the typical rise the hours may differ (median distance from it)."""

STILL = 0.6
"""The rise of the last third of the hours must reach this share of that of the first: what fills up slows down."""


def leak_between_days(course: Course, samples: Samples, least: float) -> Course:
    """The course; a leak of medium confidence where the hours of the second day lie evenly higher than in the first."""
    overlap = samples.span - DAY
    told = course.kind in (Kind.UNCLEAR, Kind.LOAD, Kind.STEADY, Kind.FILLED)
    if not told or not LEAST_OVERLAP <= overlap < (DAYS_FOR_RHYTHM - 1) * DAY or samples.values.size < 2 * HOURS_APART:
        return course
    edges = np.linspace(samples.hours[0], samples.hours[0] + overlap, HOURS_APART + 1)
    rises = np.array([_rise(samples, a, b) for a, b in pairwise(edges)])
    if not np.isfinite(rises).all():
        return course
    rise = float(np.median(rises))
    uneven = float(np.median(np.abs(rises - rise)))
    third = HOURS_APART // 3
    slower = float(np.median(rises[-third:])) < STILL * float(np.median(rises[:third]))
    if rise < least or float((rises > 0).mean()) < ALL_HIGHER or uneven > EVEN * rise or slower:
        return course
    pace = rise / DAY
    half = max(uneven * 1.5 / np.sqrt(HOURS_APART / 4), 0.02 * rise) / DAY
    first, last = samples.hours[0], samples.hours[-1]
    base = float(np.median(samples.values - pace * (samples.hours - first)))
    return replace(
        course,
        kind=Kind.LEAK,
        confidence=Confidence.MEDIUM,
        slope=pace,
        low=pace - half,
        high=pace + half,
        starts=samples.seconds(float(first)),
        growth=pace * float(last - first),
        line=(
            (samples.seconds(float(first)), base),
            (samples.seconds(float(last)), base + pace * float(last - first)),
        ),
        because=(
            f"{share(float((rises > 0).mean()))} of the hours lie higher than the same hour a day before, by"
            f" {figure(rise)} (typically within {figure(uneven)}) over {duration(overlap)}",
        ),
        against=("two days show one night, and hardly two working days",),
    )


def _rise(samples: Samples, begin: float, end: float) -> float:
    """How much higher the samples of an hour lie one day later; NaN when either has none."""
    before = samples.values[(samples.hours >= begin) & (samples.hours < end)]
    after = samples.values[(samples.hours >= begin + DAY) & (samples.hours < end + DAY)]
    return float(np.median(after) - np.median(before)) if before.size and after.size else float("nan")
