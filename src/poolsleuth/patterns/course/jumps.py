"""The floor rose at once: one jump, two, or steps that go on."""

from dataclasses import replace

import numpy as np
from scipy import stats

from poolsleuth.model.finding import Confidence
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.course.evidence import amount_of_evidence, lower
from poolsleuth.patterns.course.fits import Fit, Form
from poolsleuth.patterns.course.ground import Floor
from poolsleuth.patterns.course.rests import Rests, rest_of_work
from poolsleuth.patterns.course.samples import Samples
from poolsleuth.patterns.course.steps import Staircase
from poolsleuth.patterns.course.words import duration, figure, moment, share

MISSED = 1.6
"""After so many times the longest wait between steps the next one is missing."""


def without_jump(samples: Samples, floor: Floor, best: Fit) -> Samples:
    """The samples as if the jump had not been."""
    place = floor.hours[0] + best.begin * (floor.hours[-1] - floor.hours[0])
    return Samples(samples.origin, samples.hours, samples.values - np.where(samples.hours > place, best.rise, 0.0))


def jump(course: Course, samples: Samples, floor: Floor, best: Fit) -> Course:
    """It rose once."""
    place = float(floor.hours[0] + best.begin * (floor.hours[-1] - floor.hours[0]))
    return replace(
        course,
        kind=Kind.JUMP,
        confidence=amount_of_evidence(samples, floor.cycles),
        growth=best.rise,
        starts=samples.seconds(place),
        steps=1,
        because=(f"it rose once, by {figure(best.rise)} at {moment(samples.seconds(place))}, and stays flat besides",),
    )


def steps(course: Course, samples: Samples, floor: Floor, staircase: Staircase, least: float) -> Course | None:
    """The floor is flat between jumps: how many are there?"""
    places, heights = staircase.places, staircase.heights
    rise = float(heights.sum())
    if rise < least:
        return None
    count = int(places.size)
    if count == 1:
        best = Fit(
            Form.JUMP,
            float(places[0] - floor.hours[0]) / float(floor.hours[-1] - floor.hours[0]),
            0.0,
            rise,
            0.0,
            0.0,
            0.0,
        )
        return jump(course, samples, floor, best)
    if count == 2:
        return replace(
            course,
            kind=Kind.UNCLEAR,
            confidence=Confidence.LOW,
            growth=rise,
            steps=2,
            because=(
                f"it rose twice at once, by {figure(float(heights[0]))} and {figure(float(heights[1]))}: "
                "a third time would tell steps from chance",
            ),
        )
    if heights.max() > 0.75 * rise:
        return None
    times = places
    cycle = float(times[-1] - times[0])
    pace = float(heights[1:].sum()) / cycle
    lengths = np.diff(times)
    # A ratio of sums: its error from how far each cycle's height is from the common pace times its length.
    off = heights[1:] - pace * lengths
    error = float(np.sqrt(np.sum(off**2) / max(count - 2, 1) / (count - 1))) / float(lengths.mean())
    reach = error * float(stats.t.ppf(0.975, max(count - 2, 1)))
    # Waiting for the next step is part of the pace: a stop longer than any wait before is an end.
    tail = float(samples.hours[-1] - times[-1])
    stop, wait = float(times[-1]), float(lengths.max())
    rest = rest_of_work(samples, stop, Rests(count - 1, wait)) if tail > MISSED * wait else None
    if rest is not None:
        return replace(
            course,
            kind=Kind.UNCLEAR,
            confidence=Confidence.LOW,
            growth=rise,
            steps=count,
            because=(f"it rose in {count} steps, and has not for the last {duration(tail)}; {rest}",),
        )
    if tail > 2.0 * wait and tail > 0.25 * samples.span:
        return replace(
            course,
            kind=Kind.FILLED,
            confidence=amount_of_evidence(samples, floor.cycles),
            growth=rise,
            steps=count,
            because=(f"it rose in {count} steps, and has not for the last {duration(tail)}",),
        )
    begin = samples.seconds(float(times[0]))
    end = samples.seconds(float(samples.hours[-1]))
    base = float(np.median(samples.values[samples.hours < times[0]])) if (samples.hours < times[0]).any() else 0.0
    against = list(course.against)
    if course.given_back is not None and course.given_back > 0.2:
        against.append(f"it peaks between and gives back up to {share(min(course.given_back, 1.0))} of a rise")
    confidence = lower(amount_of_evidence(samples, floor.cycles), Confidence.HIGH if count >= 4 else Confidence.MEDIUM)
    if pace - reach <= 0:
        confidence = Confidence.LOW
        against.append("the steps are too few and too uneven: the interval of the pace holds 0")
    return replace(
        course,
        kind=Kind.STEPS,
        confidence=confidence,
        slope=pace,
        low=pace - reach,
        high=pace + reach,
        starts=begin,
        growth=rise,
        steps=count,
        line=((begin, base), (end, base + pace * (end - begin) / 3600.0)),
        because=(
            f"the floor rises in {count} steps of about {figure(float(np.median(heights)))} and is flat between them",
            f"nothing of a step is given back; {figure(pace)} an hour over whole cycles",
        ),
        against=tuple(against),
    )
