"""Kinds that only the held-out part has: rarer work, rarer ways to record."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from poolsleuth.patterns.course.course import Kind

from .draw import DAY, HOUR, Draw, spread
from .guilty import CLEAR, hours, quiet, share, taken
from .load import office, sessions
from .recording import record, scale
from .scenario import ONLY_HELD_OUT, Scenario, Truth, recipe

Numbers = NDArray[np.float64]
GUILTY, INNOCENT = Truth.GUILTY, Truth.INNOCENT
LEAK, STEPS = Kind.LEAK, Kind.STEPS
LOAD, FILLED, JUMP, STEADY, UNCLEAR = Kind.LOAD, Kind.FILLED, Kind.JUMP, Kind.STEADY, Kind.UNCLEAR


@recipe("sessions of which some never end", GUILTY, LEAK, STEPS, parts=ONLY_HELD_OUT)
def never_ending(draw: Draw) -> Scenario:
    """A share of the sessions leaves its memory behind: load and leak come from the same work."""
    times = draw.times(12 * HOUR, 20 * DAY, fewest=250)
    size = scale(draw)
    span = float(times[-1] - times[0])
    stay = span / draw.between(80, 300)
    at_once = draw.over(5, 40)
    open_now = sessions(draw, times, stay=stay, at_once=at_once)
    count = max(int(spread(open_now) * draw.between(1.5, 4)), 25)
    left = np.searchsorted(np.sort(draw.source.uniform(times[0], times[-1], count)), times, "right")
    each = max(size.base * draw.over(0.02, 0.2) / at_once, size.least * CLEAR / count)
    return record(draw, times, size.base + each * (open_now + left), size, rate=each * count / hours(times))


def _thinning(draw: Draw, times: Numbers) -> NDArray[np.bool_]:
    """Which samples a log holds whose interval was made longer twice."""
    keep = np.ones(len(times), dtype=np.bool_)
    third = len(times) // 3
    for first, step in ((third, draw.whole(3, 5)), (2 * third, draw.whole(6, 12))):
        keep[first:] = np.arange(len(times) - first) % step == 0
    return keep


@recipe("leak, sampled more and more rarely", GUILTY, LEAK, parts=ONLY_HELD_OUT)
def leak_thinning(draw: Draw) -> Scenario:
    times = draw.times(12 * HOUR, 20 * DAY, fewest=400)
    size = scale(draw)
    noise = quiet(draw, times, size)
    grown = taken(draw, size, noise)
    keep = _thinning(draw, times)
    values = size.base + noise + grown * share(times)
    return record(draw, times[keep], values[keep], size, rate=grown / hours(times))


@recipe("steady, sampled more and more rarely", INNOCENT, STEADY, LOAD, parts=ONLY_HELD_OUT)
def steady_thinning(draw: Draw) -> Scenario:
    times = draw.times(12 * HOUR, 20 * DAY, fewest=400)
    size = scale(draw)
    keep = _thinning(draw, times)
    values = size.base + draw.noise(len(times), size.base * draw.over(0.001, 0.1))
    return record(draw, times[keep], values[keep], size)


@recipe("leak in two logs with a long pause", GUILTY, LEAK, STEPS, parts=ONLY_HELD_OUT)
def two_logs(draw: Draw) -> Scenario:
    times = draw.times(3 * DAY, 40 * DAY, fewest=300)
    size = scale(draw)
    noise = quiet(draw, times, size)
    grown = taken(draw, size, noise, clear=4)
    x = share(times)
    keep = (x < draw.between(0.25, 0.4)) | (x > draw.between(0.55, 0.7))
    values = size.base + noise + grown * x
    return record(draw, times[keep], values[keep], size, rate=grown / hours(times))


@recipe("two logs, the second at a higher level", INNOCENT, JUMP, FILLED, UNCLEAR, LOAD, parts=ONLY_HELD_OUT)
def two_levels(draw: Draw) -> Scenario:
    """Nobody saw what lay between: one step, and flat on both sides."""
    made = two_logs(draw)
    size = replace(scale(draw), least=made.least)
    times = made.times
    gap = int(np.argmax(np.diff(times)))
    noise = quiet(draw, times, size)
    up = max(size.base * draw.over(0.05, 1), size.least * CLEAR, spread(noise) * 3)
    return record(draw, times, size.base + noise + up * (np.arange(len(times)) > gap), size)


@recipe("piles up over the week, cleared at weekends", INNOCENT, LOAD, UNCLEAR, parts=ONLY_HELD_OUT)
def weekly(draw: Draw) -> Scenario:
    """Disconnected sessions, a cache of jobs: a restart every Sunday night takes all of it away."""
    times = draw.times(22 * DAY, 45 * DAY, fewest=400)
    size = scale(draw)
    zone = draw.between(-11, 12) * HOUR
    work = office(draw, times, zone=zone)
    done = np.concatenate(([0.0], np.cumsum(work[1:] * np.diff(times)))) / DAY
    week = np.floor((times + zone - 4 * DAY + 3 * HOUR) / (7 * DAY))
    first = {float(w): float(done[week == w][0]) for w in np.unique(week)}
    level = done - np.array([first[float(w)] for w in week])
    return record(draw, times, size.base * (1 + draw.over(0.1, 1) * level) + quiet(draw, times, size) * 0.3, size)
