"""The floor does not rise: load, steady, falling, or given back at the very end."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from poolsleuth.model.finding import Confidence
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.course.doubt import CLEAR_CHANCE
from poolsleuth.patterns.course.evidence import amount_of_evidence
from poolsleuth.patterns.course.floors import smooth
from poolsleuth.patterns.course.ground import Floor, ends
from poolsleuth.patterns.course.noise import mann_kendall
from poolsleuth.patterns.course.samples import Samples
from poolsleuth.patterns.course.words import duration, figure, moment

Judge = Callable[[Samples, float], Course]
"""Judges the part of a stretch before it was given back."""

FLOOR_FALL = 0.4
"""A floor that falls by more than this share of its rise came down."""

MATTERS = 0.1
"""A swing of load is at least this share of the peak."""


def without_growth(course: Course, samples: Samples, floor: Floor, least: float, judge: Judge) -> Course:
    """The floor does not rise: load, steady, falling, or given back at the very end."""
    freed = _freed_at_end(samples, least, judge)
    if freed is not None:
        return replace(course, kind=Kind.UNCLEAR, confidence=Confidence.LOW, because=(freed,))
    confidence = amount_of_evidence(samples, floor.cycles)
    first, last = ends(smooth(floor.low))
    tau, rising = mann_kendall(floor.low)
    if first - last >= least and 1.0 - rising < CLEAR_CHANCE:
        climb = float(np.max(floor.low - np.minimum.accumulate(floor.low)))
        if climb <= FLOOR_FALL * (first - last):
            return replace(
                course,
                kind=Kind.FALLING,
                confidence=confidence,
                because=(f"the floor falls by {figure(first - last)} (Kendall's tau {tau:.2f})",),
            )
    swing, why = _swing(samples, floor)
    peak = max(abs(float(samples.values.max())), 1e-300)
    if swing >= least and swing >= MATTERS * peak and why:
        return replace(
            course,
            kind=Kind.LOAD,
            confidence=confidence,
            because=(f"it rises by up to {figure(swing)} and comes back down: {why}",),
        )
    return replace(
        course,
        kind=Kind.STEADY,
        confidence=confidence,
        because=(f"no growth: Kendall's tau of the floor is {tau:.2f}; it moves within {figure(swing)}",),
    )


def _swing(samples: Samples, floor: Floor) -> tuple[float, str]:
    """How far it swings without the noise's extremes, and what makes that more than noise; empty: it is noise."""
    low, q10, half, high = np.quantile(samples.values, [0.01, 0.1, 0.5, 0.99])
    swing = float(high - low)
    if floor.period:
        return swing, f"a rhythm of {duration(floor.period)}"
    up, down = float(high - half), float(half - low)
    if up > 2.5 * max(down, 1e-300):
        return swing, "peaks above a flat floor"
    level = smooth(floor.level)
    spread = float(np.std(samples.values))
    if spread > 0:
        flatness = float(np.mean(((samples.values - samples.values.mean()) / spread) ** 4))
        slow = float(np.ptp(level)) > 0.6 * swing
        if slow and flatness < 2.2:
            return swing, "whole stretches are high and come back"
        if slow and up > 1.6 * max(down, 1e-300):
            return swing, "it was higher for a time"
    del q10
    return swing, ""


def _freed_at_end(samples: Samples, least: float, judge: Judge) -> str | None:
    """Whether it grew all the time and gave everything back at once at the very end."""
    values, hours = samples.values, samples.hours
    span = samples.span
    tail = int(np.searchsorted(hours, hours[-1] - 0.15 * span))
    if tail < 6 or values.size - tail < 1:
        return None
    start = max(tail - 1, 1)
    drops = values[start - 1 : -1] - values[start:]
    if drops.size == 0:
        return None
    place = start + int(np.argmax(drops))
    before, after = values[:place], values[place:]
    rise = float(np.median(before[-max(1, place // 20) :]) - np.median(before[: max(1, place // 20)]))
    if rise < least or drops.max() < 0.6 * rise or np.median(after) > np.quantile(before, 0.3):
        return None
    earlier = judge(samples.part(0, place), least)
    if not earlier.grows:
        return None
    return f"it grew by {figure(rise)}, but it was all given back at {moment(samples.seconds(float(hours[place])))}"
