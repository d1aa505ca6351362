"""What nobody should be sure of: too short, or true of a leak and of load alike."""

import numpy as np
from numpy.typing import NDArray

from poolsleuth.patterns.course.course import Kind

from .draw import DAY, HOUR, MINUTE, Draw, spread
from .guilty import quiet, share, staircase
from .load import boot, filling, office
from .recording import record, scale
from .scenario import ONLY_HELD_OUT, Scenario, Truth, recipe

Numbers = NDArray[np.float64]
AMBIGUOUS, SHORT = Truth.AMBIGUOUS, Truth.SHORT
ANY = tuple(Kind)


@recipe("two jumps", AMBIGUOUS, Kind.JUMP, Kind.STEPS, Kind.FILLED, Kind.UNCLEAR)
def two_jumps(draw: Draw) -> Scenario:
    times = draw.times(6 * HOUR, 30 * DAY, fewest=100)
    size = scale(draw)
    noise = quiet(draw, times, size)
    up = max(size.base * draw.over(0.05, 1), size.least * 2, spread(noise) * 3)
    x = share(times)
    level = 1.0 * (x > draw.between(0.15, 0.35)) + draw.between(0.7, 1.3) * (x > draw.between(0.5, 0.8))
    return record(draw, times, size.base + noise + up * level, size)


@recipe("three steps", AMBIGUOUS, Kind.JUMP, Kind.STEPS, Kind.LEAK, Kind.UNCLEAR, parts=ONLY_HELD_OUT)
def three_steps(draw: Draw) -> Scenario:
    times = draw.times(2.8 * DAY, 3.2 * DAY, fewest=100)
    size = scale(draw, counts=False)
    noise = quiet(draw, times, size)
    up = max(size.base * draw.over(0.05, 1), size.least * 2, spread(noise) * 3)
    runs = times[0] + DAY * (np.arange(3) + draw.between(0.2, 0.6))
    stairs = staircase(draw, times, runs, up * draw.source.uniform(0.6, 1.4, 3), long=HOUR, peak=0)
    return record(draw, times, size.base + noise + stairs, size)


@recipe("cache still filling", AMBIGUOUS, Kind.LEAK, Kind.UNCLEAR, Kind.FILLED)
def still_filling(draw: Draw) -> Scenario:
    times = draw.times(HOUR, 2 * DAY, fewest=80)
    size = scale(draw)
    constant = float(times[-1] - times[0]) * draw.between(0.4, 0.9)
    noise = quiet(draw, times, size) * 0.5
    up = max(size.base * draw.over(0.3, 5), size.least * 4, spread(noise) * 4)
    return record(draw, times, size.base + up * filling(times, constant) + noise, size)


@recipe("growth that slows and slows", AMBIGUOUS, Kind.LEAK, Kind.UNCLEAR, Kind.FILLED)
def logarithmic(draw: Draw) -> Scenario:
    times = draw.times(HOUR, 10 * DAY, fewest=80)
    size = scale(draw)
    early = draw.over(10, 200)
    noise = quiet(draw, times, size) * 0.5
    up = max(size.base * draw.over(0.3, 5), size.least * 4, spread(noise) * 4)
    return record(draw, times, size.base + up * np.log1p(early * share(times)) / np.log1p(early) + noise, size)


def _one_day(draw: Draw, *, end: float) -> Scenario:
    """A log from the evening or night before to an hour of the next day; growth follows the work, none comes back."""
    step = draw.one_of((MINUTE, 2 * MINUTE, 5 * MINUTE))
    start = np.floor(draw.between(1.05e9, 1.75e9) / DAY) * DAY
    first = draw.between(-4, 5)
    times = start + np.arange(first * HOUR, end * HOUR, step)
    hour = (times - start) / HOUR
    size = scale(draw)
    up = np.clip((hour - draw.between(7, 8.5)) / draw.between(2, 9), 0, 1)
    noise = quiet(draw, times, size)
    grown = max(size.base * draw.over(0.2, 3), size.least * 3, spread(noise) * 3)
    return record(draw, times, size.base + grown * up + noise, size)


@recipe("one day, up in working hours only", AMBIGUOUS, Kind.LEAK, Kind.UNCLEAR, Kind.FILLED, Kind.JUMP, Kind.LOAD)
def one_day(draw: Draw) -> Scenario:
    return _one_day(draw, end=draw.between(19, 24))


@recipe("a log that ends before noon", AMBIGUOUS, Kind.LEAK, Kind.UNCLEAR, Kind.FILLED, Kind.TOO_SHORT, Kind.JUMP)
def morning(draw: Draw) -> Scenario:
    return _one_day(draw, end=draw.between(10, 12.5))


@recipe("reboots nobody knows of", AMBIGUOUS, Kind.LEAK, Kind.LOAD, Kind.UNCLEAR)
def unknown_reboots(draw: Draw) -> Scenario:
    """A leak with reboots and a load that is reset look the same where nothing tells of the reboots."""
    times = draw.times(DAY, 30 * DAY, fewest=200)
    size = scale(draw)
    span = float(times[-1] - times[0])
    count = draw.whole(2, 4)
    cuts = times[0] + span * (np.arange(count) + draw.between(0.7, 1.2)) / (count + 1)
    booted = np.concatenate(([float(times[0]) - draw.between(0, 0.2) * span], cuts))
    since = times - booted[np.searchsorted(booted, times, "right") - 1]
    start = boot(draw, times, float(times[0]))
    for cut in booted:
        start = np.where(times >= cut, boot(draw, times, float(cut)), start)
    grown = max(size.base * draw.over(0.5, 5), size.least * 15)
    return record(draw, times, size.base * (0.8 + 0.2 * start) + grown * since / span + quiet(draw, times, size), size)


@recipe("leak that wraps at 32 bits", AMBIGUOUS, *ANY)
def wraps(draw: Draw) -> Scenario:
    times = draw.times(6 * HOUR, 20 * DAY, fewest=100)
    size = scale(draw, counts=False)
    values = 2.0**32 * (draw.between(0.5, 0.9) + draw.between(0.6, 1.2) * share(times))
    return record(draw, times, np.mod(values, 2.0**32), size)


@recipe("drift that the noise nearly hides", AMBIGUOUS, *ANY)
def weak(draw: Draw) -> Scenario:
    times = draw.times(2 * HOUR, 20 * DAY, fewest=60, most=200)
    size = scale(draw)
    noise = draw.wandering(len(times), size.base * 0.1, len(times) / draw.between(15, 30))
    return record(draw, times, size.base + noise + draw.between(0.3, 0.6) * spread(noise) * share(times), size)


@recipe("level that wanders", AMBIGUOUS, *ANY)
def wanders(draw: Draw) -> Scenario:
    """A random walk: each step is as likely up as down, and its end is anywhere."""
    times = draw.times(2 * HOUR, 30 * DAY, fewest=80)
    size = scale(draw)
    walk = np.cumsum(draw.source.normal(0, 1, len(times)))
    walk *= size.base * draw.over(0.05, 0.4) / max(spread(walk), 1e-9)
    return record(draw, times, size.base + walk, size)


@recipe("growth that has only just begun", AMBIGUOUS, *ANY)
def just_begun(draw: Draw) -> Scenario:
    times = draw.times(6 * HOUR, 20 * DAY, fewest=150)
    size = scale(draw)
    noise = quiet(draw, times, size)
    start = float(times[-1]) - draw.between(0.03, 0.07) * float(times[-1] - times[0])
    up = max(size.base * draw.over(0.05, 0.5), size.least * 1.5, spread(noise) * 2)
    rhythm = size.base * draw.one_of((0.0, 0.1)) * office(draw, times)
    return record(draw, times, size.base + noise + rhythm + up * share(times, start), size)


@recipe("ten dense minutes of growth", AMBIGUOUS, Kind.LEAK, Kind.TOO_SHORT, Kind.UNCLEAR)
def dense(draw: Draw) -> Scenario:
    times = draw.times(8 * MINUTE, 20 * MINUTE, fewest=80)
    size = scale(draw)
    noise = quiet(draw, times, size)
    grown = max(size.base * draw.over(0.1, 2), size.least * 2.5, spread(noise) * 2)
    return record(draw, times, size.base + noise + grown * share(times), size)


@recipe("few samples", SHORT, Kind.TOO_SHORT, Kind.UNCLEAR)
def few_samples(draw: Draw) -> Scenario:
    """Two captures three days apart, or a handful: the published case of the growing thread tag."""
    count = draw.whole(1, 8 if draw.wide else 6)
    times = draw.between(1.05e9, 1.75e9) + np.sort(draw.source.uniform(0, draw.over(HOUR, 10 * DAY), count))
    size = scale(draw)
    rises = draw.one_of((1, 1, 0))
    values = size.base * (1 + rises * draw.over(0.2, 2) * np.linspace(0, 1, count)) + draw.white(
        count, size.base * 0.01
    )
    return record(draw, times, values, size, whole=True)


@recipe("few minutes", SHORT, Kind.TOO_SHORT, Kind.UNCLEAR)
def few_minutes(draw: Draw) -> Scenario:
    times = draw.times(20, 4 * MINUTE, fewest=10)
    size = scale(draw)
    rises = draw.one_of((1, 1, 0))
    values = size.base * (1 + rises * draw.over(0.1, 1) * share(times)) + draw.white(len(times), size.base * 0.005)
    return record(draw, times, values, size)
