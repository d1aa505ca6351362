"""Judges one stretch without reboots: the floor decides, then its shape says which kind it is."""

from dataclasses import replace

import numpy as np

from poolsleuth.model.finding import Confidence
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.course.doubt import CLEAR_CHANCE, FEW_FLOORS, WEAK_CHANCE, doubt_of
from poolsleuth.patterns.course.evidence import FEWEST_SAMPLES, SHORTEST_HOURS, amount_of_evidence, basics, too_short
from poolsleuth.patterns.course.fits import Form, fit_forms
from poolsleuth.patterns.course.floors import given_back, smooth
from poolsleuth.patterns.course.ground import Floor, below_peaks, ends, floor_of
from poolsleuth.patterns.course.growing import kind_of_growth
from poolsleuth.patterns.course.jumps import jump, steps, without_jump
from poolsleuth.patterns.course.noise import mann_kendall
from poolsleuth.patterns.course.resting import FLOOR_FALL, without_growth
from poolsleuth.patterns.course.rhythm import DAY
from poolsleuth.patterns.course.samples import Samples, lone_outliers, windows
from poolsleuth.patterns.course.steps import find_steps
from poolsleuth.patterns.course.words import chance, figure, moment

LEVEL_WINDOWS = 240
"""What is given back is read from so many windows at most: fine enough for the hours of three weeks."""

FEW_SHARE = 0.15
"""Few teeth of a load end at slightly different levels: their floors must rise by this share of the teeth's height."""

WEAK_ORDER = 0.3
"""Kendall's tau of a floor that may grow, at least: a floor that is merely uneven is not worth a suspicion."""

AT_ONCE = 0.12
"""A rise that takes less than this share of the time is a jump."""


def judge_stretch(raw: Samples, least: float, *, jumps_may_go: bool = True) -> Course:
    """What one stretch without reboots does."""
    course = basics(raw)
    if raw.values.size < FEWEST_SAMPLES or raw.span < SHORTEST_HOURS:
        return replace(course, because=(too_short(raw),))
    if float(np.ptp(raw.values)) < least:
        return replace(
            course,
            kind=Kind.STEADY,
            confidence=amount_of_evidence(raw),
            because=(f"it stays within {figure(float(np.ptp(raw.values)))}, less than {figure(least)}",),
        )
    lone = lone_outliers(raw.values)
    samples = raw
    if lone.any():
        keep = ~lone
        samples = Samples(raw.origin, raw.hours[keep], raw.values[keep])
        where = int(np.argmax(lone))
        note = f"left out: {int(lone.sum())} lone value(s), as {figure(float(raw.values[where]))}"
        course = replace(course, against=(f"{note} at {moment(raw.seconds(float(raw.hours[where])))}",))
        if samples.values.size < FEWEST_SAMPLES or float(np.ptp(samples.values)) < least:
            return replace(
                course,
                kind=Kind.STEADY,
                confidence=amount_of_evidence(samples),
                because=(f"it stays within {figure(float(np.ptp(samples.values)))}, less than {figure(least)}",),
            )
    floor = floor_of(samples)
    _hours, _low, level = windows(samples, int(np.clip(samples.values.size // 3, 24, LEVEL_WINDOWS)))
    course = replace(course, given_back=given_back(smooth(level), least))
    if not _ends_higher(floor, least):
        return without_growth(course, samples, floor, least, _plainly)
    return _growth(course, samples, floor, least, jumps_may_go)


def _plainly(samples: Samples, least: float) -> Course:
    """The judgement of a part, jumps left as they are."""
    return judge_stretch(samples, least, jumps_may_go=False)


def _ends_higher(floor: Floor, least: float) -> bool:
    """Whether the floor's end lies above its beginning by what matters, and rank statistics agree."""
    first, last = ends(floor.low)
    tau, _chance = mann_kendall(floor.low)
    return last - first >= 0.7 * least and tau > 0


def _growth(course: Course, samples: Samples, floor: Floor, least: float, jumps_may_go: bool) -> Course:
    """The floor ends higher than it began: is that growth, and of which kind?"""
    floor, back = below_peaks(floor)
    fits = fit_forms(floor.hours, floor.low)
    best = min(fits.values(), key=lambda fit: fit.score)
    tau, by_chance = mann_kendall(floor.low)
    staircase = find_steps(samples)
    if staircase is not None and staircase.places.size:
        stepped = steps(course, samples, floor, staircase, least)
        if stepped is not None:
            return stepped
    if back > FLOOR_FALL:
        return without_growth(course, samples, floor, least, _plainly)
    doubt = doubt_of(floor, best, tau, by_chance, back)
    if best.form is Form.RAMP and best.end - best.begin < AT_ONCE:
        best = fits[Form.JUMP]
    if best.form is Form.JUMP and best.rise >= max(least, 5.0 * float(np.sqrt(best.rest / floor.low.size))):
        doubt = 0.0
    if floor.period not in (None, DAY) and floor.low.size < FEW_FLOORS and best.rise < FEW_SHARE * np.ptp(floor.level):
        return without_growth(course, samples, floor, least, _plainly)
    clear_rise = 4.0 * float(np.sqrt(best.rest / floor.low.size))
    if best.rise < least or (doubt > WEAK_CHANCE and (tau < 0.45 or best.rise < clear_rise)):
        return without_growth(course, samples, floor, least, _plainly)
    if doubt > CLEAR_CHANCE:
        if best.rise < (clear_rise if tau < WEAK_ORDER else 0.6 * clear_rise):
            return without_growth(course, samples, floor, least, _plainly)
        return replace(
            course,
            kind=Kind.UNCLEAR,
            confidence=Confidence.LOW,
            growth=best.rise,
            because=(
                f"the floor rises by {figure(best.rise)}, but chance alone could do that (chance {chance(doubt)})",
            ),
        )
    if jumps_may_go and best.form is Form.JUMP:
        rest = without_jump(samples, floor, best)
        again = judge_stretch(rest, least, jumps_may_go=False)
        if again.grows and again.growth >= 0.25 * best.rise:
            return replace(
                again,
                first=course.first,
                last=course.last,
                floor=course.floor,
                peak=course.peak,
                confidence=Confidence.LOW,
                against=(*again.against, f"besides it jumped by {figure(best.rise)} at once"),
            )
        if floor.period and (1.0 - best.begin) * floor.cycles < 1.0:
            return without_growth(course, samples, floor, least, _plainly)
        return jump(course, samples, floor, best)
    return kind_of_growth(course, samples, floor, fits, best, (tau, doubt, back, least))
