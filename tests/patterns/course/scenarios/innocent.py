"""What is no leak: load, caches, jobs, one-off changes, and what logs do to figures."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from poolsleuth.patterns.course.course import Kind

from .draw import DAY, HOUR, MINUTE, Draw, spread
from .guilty import quiet, share, staircase
from .load import boot, filling, jobs, office, sessions, trimmed
from .recording import record, scale, with_clock_jump, with_outliers
from .scenario import ONLY_HELD_OUT, Scenario, Truth, recipe

Numbers = NDArray[np.float64]
INNOCENT = Truth.INNOCENT
LOAD, FILLED, JUMP, STEADY, FALLING, UNCLEAR = (
    Kind.LOAD,
    Kind.FILLED,
    Kind.JUMP,
    Kind.STEADY,
    Kind.FALLING,
    Kind.UNCLEAR,
)


@recipe("steady", INNOCENT, STEADY, LOAD)
def steady(draw: Draw) -> Scenario:
    times = draw.times(30 * MINUTE, 60 * DAY)
    size = scale(draw)
    return record(draw, times, size.base + draw.noise(len(times), size.base * draw.over(0.0005, 0.1)), size)


@recipe("steady, in proportion to its level", INNOCENT, STEADY, LOAD)
def steady_in_proportion(draw: Draw) -> Scenario:
    times = draw.times(30 * MINUTE, 60 * DAY)
    size = scale(draw)
    slow = draw.wandering(len(times), draw.over(0.005, 0.05), len(times) / draw.between(60, 300))
    return record(draw, times, size.base * np.exp(slow + draw.white(len(times), 0.005)), size)


@recipe("constant", INNOCENT, STEADY)
def constant(draw: Draw) -> Scenario:
    times = draw.times(30 * MINUTE, 60 * DAY)
    size = scale(draw)
    return record(draw, times, np.full(len(times), 0.0 if draw.chance(0.1) else size.base), size)


@recipe("few handles, whole numbers", INNOCENT, STEADY, LOAD)
def few_handles(draw: Draw) -> Scenario:
    times = draw.times(HOUR, 20 * DAY)
    size = scale(draw, counts=True)
    span = float(times[-1] - times[0])
    level = sessions(draw, times, stay=span / draw.between(60, 500), at_once=draw.over(1, 40))
    return record(draw, times, 60 + level * draw.whole(1, 30), replace(size, base=60.0, least=100.0))


@recipe("steady with outliers", INNOCENT, STEADY, LOAD, UNCLEAR)
def steady_with_outliers(draw: Draw) -> Scenario:
    return with_outliers(draw, steady(draw))


@recipe("steady and the clock is set", INNOCENT, STEADY, LOAD)
def steady_with_clock(draw: Draw) -> Scenario:
    return with_clock_jump(draw, steady(draw))


@recipe("single jump", INNOCENT, JUMP, FILLED)
def jump(draw: Draw) -> Scenario:
    times = draw.times(HOUR, 40 * DAY)
    size = scale(draw)
    at = float(times[0]) + draw.between(0.15, 0.75) * float(times[-1] - times[0])
    noise = quiet(draw, times, size)
    up = max(size.base * draw.over(0.05, 2), size.least * 2.5, spread(noise) * 3)
    return record(draw, times, size.base + noise + up * (times >= at), size)


@recipe("sawtooth", INNOCENT, LOAD, UNCLEAR)
def sawtooth(draw: Draw) -> Scenario:
    times = draw.times(2 * HOUR, 30 * DAY, fewest=100)
    size = scale(draw)
    teeth = draw.between(3.1, 25)
    phase = (share(times) * teeth + draw.between(0, 1)) % 1
    high = size.base * draw.over(0.1, 3)
    return record(draw, times, size.base + high * phase + draw.noise(len(times), high * 0.03), size)


@recipe("uneven sawtooth", INNOCENT, LOAD, UNCLEAR, parts=ONLY_HELD_OUT)
def uneven_sawtooth(draw: Draw) -> Scenario:
    times = draw.times(2 * HOUR, 30 * DAY, fewest=150)
    size = scale(draw)
    count = draw.whole(5, 15)
    edges = np.concatenate(([0.0], draw.source.dirichlet(np.full(count, 5.0)).cumsum()[:-1]))
    x = share(times)
    since = x - edges[np.searchsorted(edges, x, "right") - 1]
    high = size.base * draw.over(0.2, 3)
    noise = draw.noise(len(times), high * 0.03)
    return record(draw, times, size.base + high * since * count / 2 + noise, size)


@recipe("file cache, trimmed at odd times", INNOCENT, LOAD, UNCLEAR, STEADY, parts=ONLY_HELD_OUT)
def file_cache(draw: Draw) -> Scenario:
    times = draw.times(12 * HOUR, 30 * DAY, fewest=200)
    size = scale(draw, counts=False)
    return record(draw, times, size.base * (0.3 + draw.over(0.3, 2) * trimmed(draw, times)), size)


@recipe("daily load", INNOCENT, LOAD, STEADY)
def daily(draw: Draw) -> Scenario:
    times = draw.times(2 * DAY, 45 * DAY, fewest=100)
    size = scale(draw)
    rhythm = size.base * draw.over(0.05, 2) * office(draw, times, night=draw.one_of((0.0, 0.05, 0.2)))
    return record(draw, times, size.base + rhythm + quiet(draw, times, size) * 0.3, size)


@recipe("office hours and nightly jobs", INNOCENT, LOAD, parts=ONLY_HELD_OUT)
def days_and_nights(draw: Draw) -> Scenario:
    times = draw.times(3 * DAY, 30 * DAY, fewest=200, coarsest=30 * MINUTE)
    size = scale(draw)
    scan = jobs(draw, times, every=DAY, long=draw.between(1, 3) * HOUR, regular=True)
    rhythm = draw.over(0.1, 1) * office(draw, times) + draw.over(0.1, 1.5) * scan
    return record(draw, times, size.base * (1 + rhythm) + quiet(draw, times, size) * 0.2, size)


@recipe("business grows, nights do not", INNOCENT, LOAD, STEADY, parts=ONLY_HELD_OUT)
def business(draw: Draw) -> Scenario:
    times = draw.times(10 * DAY, 45 * DAY, fewest=300)
    size = scale(draw)
    more = 1 + draw.between(0.2, 0.8) * share(times)
    rhythm = size.base * draw.over(0.1, 1) * office(draw, times) * more
    return record(draw, times, size.base + rhythm + draw.noise(len(times), size.base * 0.005), size)


@recipe("users who disconnect, logged off at night", INNOCENT, LOAD, STEADY, parts=ONLY_HELD_OUT)
def disconnected(draw: Draw) -> Scenario:
    """A terminal server: log-ons pile up over the day, nobody logs off, and a policy ends all sessions at night."""
    times = draw.times(3 * DAY, 30 * DAY, fewest=200, coarsest=30 * MINUTE)
    size = scale(draw)
    zone = draw.between(-11, 12) * HOUR
    work = office(draw, times, zone=zone)
    done = np.concatenate(([0.0], np.cumsum(work[1:] * np.diff(times)))) / DAY
    night = np.floor((times + zone - draw.between(-1, 4) * HOUR) / DAY)  # sessions end between 23 and 4 o'clock
    base_of = {float(n): float(done[night == n][0]) for n in np.unique(night)}
    level = done - np.array([base_of[float(n)] for n in night])
    return record(draw, times, size.base * (1 + draw.over(0.5, 5) * level) + quiet(draw, times, size) * 0.2, size)


@recipe("random bursts", INNOCENT, LOAD, STEADY)
def bursts(draw: Draw) -> Scenario:
    times = draw.times(2 * HOUR, 30 * DAY, fewest=150)
    size = scale(draw)
    span = float(times[-1] - times[0])
    level = sessions(draw, times, stay=span / draw.between(50, 500), at_once=draw.over(0.5, 80))
    return record(draw, times, size.base * (1 + draw.over(0.1, 3) * level / max(float(level.max()), 1.0)), size)


@recipe("random bursts, some very long", INNOCENT, LOAD, STEADY, UNCLEAR, parts=ONLY_HELD_OUT)
def long_bursts(draw: Draw) -> Scenario:
    times = draw.times(6 * HOUR, 30 * DAY, fewest=200)
    size = scale(draw)
    span = float(times[-1] - times[0])
    level = sessions(draw, times, stay=span / draw.between(100, 500), at_once=draw.over(5, 80), heavy=True)
    return record(draw, times, size.base * (1 + draw.over(0.1, 3) * level / max(float(level.max()), 1.0)), size)


@recipe("batch jobs", INNOCENT, LOAD, STEADY)
def batches(draw: Draw) -> Scenario:
    times = draw.times(12 * HOUR, 30 * DAY, fewest=150)
    size = scale(draw)
    span = float(times[-1] - times[0])
    every = span / draw.between(4, 30)
    step = float(np.median(np.diff(times)))
    running = jobs(
        draw, times, every=every, long=max(every * draw.between(0.1, 0.4), 4 * step), regular=draw.chance(0.5)
    )
    idle = int(len(times) * 0.04) + 3  # a log does not end in the middle of the first rise it shows
    running[:2] = 0
    running[-idle:] = 0
    return record(draw, times, size.base * (1 + draw.over(0.1, 5) * running) + quiet(draw, times, size) * 0.3, size)


@recipe("cache that fills", INNOCENT, FILLED, JUMP, STEADY)
def cache(draw: Draw) -> Scenario:
    times = draw.times(2 * HOUR, 40 * DAY, fewest=80)
    size = scale(draw)
    span = float(times[-1] - times[0])
    noise = quiet(draw, times, size) * 0.5
    up = max(size.base * draw.over(0.1, 5), size.least * 2.5, spread(noise) * 3)
    return record(draw, times, size.base + up * filling(times, span / draw.between(5, 50)) + noise, size)


@recipe("cache that fills in two stages", INNOCENT, FILLED, JUMP, UNCLEAR, parts=ONLY_HELD_OUT)
def two_stages(draw: Draw) -> Scenario:
    times = draw.times(6 * HOUR, 40 * DAY, fewest=150)
    size = scale(draw)
    span = float(times[-1] - times[0])
    noise = quiet(draw, times, size) * 0.5
    second = float(times[0]) + span * draw.between(0.25, 0.4)
    fills = filling(times, span / draw.between(20, 50))
    fills += draw.between(0.4, 1.5) * filling(times, span / draw.between(15, 40), second)
    up = max(size.base * draw.over(0.1, 3), size.least * 2.5, spread(noise) * 3)
    return record(draw, times, size.base + up * fills + noise, size)


@recipe("ramp, then a plateau", INNOCENT, FILLED)
def plateau(draw: Draw) -> Scenario:
    times = draw.times(2 * HOUR, 40 * DAY, fewest=80)
    size = scale(draw)
    noise = quiet(draw, times, size)
    up = max(size.base * draw.over(0.1, 3), size.least * 2.5, spread(noise) * 3)
    first, last = draw.between(0, 0.2), draw.between(0.35, 0.65)
    return record(draw, times, size.base + noise + up * np.clip((share(times) - first) / (last - first), 0, 1), size)


@recipe("leak that was fixed", INNOCENT, FILLED, STEADY)
def fixed(draw: Draw) -> Scenario:
    """A rate that stops at once: nothing in the figures tells it from a cache that is full. It no longer grows."""
    times = draw.times(12 * HOUR, 40 * DAY, fewest=100)
    size = scale(draw)
    rhythm = size.base * draw.one_of((0.0, 0.0, 0.05)) * office(draw, times)
    noise = quiet(draw, times, size)
    up = max(size.base * draw.over(0.2, 3), size.least * 2.5, spread(noise + rhythm) * 3)
    stopped = draw.between(0.3, 0.65)
    return record(draw, times, size.base + noise + rhythm + up * np.minimum(share(times) / stopped, 1), size)


@recipe("leak that was freed", INNOCENT, LOAD, FALLING, STEADY, UNCLEAR)
def freed(draw: Draw) -> Scenario:
    """It grew, and when the service was stopped all of it came back: nothing is outstanding."""
    times = draw.times(6 * HOUR, 30 * DAY, fewest=100)
    size = scale(draw)
    noise = quiet(draw, times, size)
    up = max(size.base * draw.over(0.2, 5), size.least * 2.5, spread(noise) * 3)
    end = draw.between(0.8, 0.94)
    x = share(times)
    return record(draw, times, size.base + noise + up * np.where(x < end, x / end, 0.0), size)


@recipe("more work from one day on", INNOCENT, JUMP, FILLED, LOAD, UNCLEAR)
def more_work(draw: Draw) -> Scenario:
    """A department moves to the server: the level and all that goes with it are higher from then on."""
    times = draw.times(6 * DAY, 40 * DAY, fewest=150)
    size = scale(draw)
    at = draw.between(0.25, 0.65)
    more = np.where(share(times) < at, 1.0, draw.between(1.3, 3))
    rhythm = draw.over(0.05, 0.4) * office(draw, times)
    values = size.base * more * (1 + rhythm + draw.noise(len(times), 0.01))
    return record(draw, times, values, size)


@recipe("more work for a time", INNOCENT, LOAD, STEADY, FALLING)
def for_a_time(draw: Draw) -> Scenario:
    times = draw.times(6 * HOUR, 30 * DAY, fewest=100)
    size = scale(draw)
    begin = draw.between(0.1, 0.5)
    end = begin + draw.between(0.1, 0.35)
    x = share(times)
    edge = draw.over(0.002, 0.05)
    level = np.clip((x - begin) / edge, 0, 1) - np.clip((x - end) / edge, 0, 1)
    return record(draw, times, size.base * (1 + draw.over(0.2, 3) * level) + quiet(draw, times, size), size)


@recipe("start of the machine, then steady", INNOCENT, FILLED, STEADY, JUMP, LOAD)
def start_up(draw: Draw) -> Scenario:
    times = draw.times(6 * HOUR, 30 * DAY, fewest=100)
    size = scale(draw)
    span = float(times[-1] - times[0])
    services = 0.5 * boot(draw, times, float(times[0]))
    caches = draw.between(0.2, 1) * filling(times, min(draw.over(20 * MINUTE, 6 * HOUR), span / 8))
    return record(draw, times, size.base * (0.5 + services + caches) + quiet(draw, times, size), size)


@recipe("start of the machine, then office days", INNOCENT, FILLED, LOAD, STEADY, JUMP)
def start_up_and_days(draw: Draw) -> Scenario:
    times = draw.times(4 * DAY, 30 * DAY, fewest=150)
    size = scale(draw)
    span = float(times[-1] - times[0])
    caches = draw.between(0.2, 1) * filling(times, min(draw.over(20 * MINUTE, 12 * HOUR), span / 10))
    rhythm = draw.over(0.05, 1) * office(draw, times)
    return record(draw, times, size.base * (1 + caches + rhythm) + quiet(draw, times, size) * 0.3, size)


@recipe("known reboots, nothing else", INNOCENT, STEADY, FILLED, LOAD, parts=ONLY_HELD_OUT)
def only_reboots(draw: Draw) -> Scenario:
    times = draw.times(2 * DAY, 40 * DAY, fewest=200)
    size = scale(draw)
    span = float(times[-1] - times[0])
    cuts = times[0] + span * np.sort(draw.source.uniform(0.1, 0.8, draw.whole(1, 3)))
    level = np.ones(len(times))
    for cut in cuts:
        level = np.where(times >= cut, boot(draw, times, float(cut)), level)
    values = size.base * (0.4 + 0.6 * level) + quiet(draw, times, size)
    return record(draw, times, values, size, cuts=tuple(cuts.tolist()))


@recipe("falling", INNOCENT, FALLING, STEADY, LOAD)
def falling(draw: Draw) -> Scenario:
    times = draw.times(2 * HOUR, 40 * DAY)
    size = scale(draw)
    shape = share(times) if draw.chance(0.5) else filling(times, float(times[-1] - times[0]) / draw.between(3, 10))
    return record(draw, times, size.base * (1 - draw.between(0.2, 0.8) * shape) + quiet(draw, times, size), size)


@recipe(
    "update, restart of services, lower level", INNOCENT, FALLING, LOAD, STEADY, FILLED, UNCLEAR, parts=ONLY_HELD_OUT
)
def update(draw: Draw) -> Scenario:
    times = draw.times(2 * DAY, 30 * DAY, fewest=150)
    size = scale(draw)
    span = float(times[-1] - times[0])
    at = float(times[0]) + span * draw.between(0.3, 0.6)
    after = draw.between(0.3, 0.6) + draw.between(0.1, 0.3) * filling(times, span / draw.between(15, 40), at)
    return record(draw, times, size.base * np.where(times < at, 1.0, after) + quiet(draw, times, size), size)


@recipe("drift too small to matter", INNOCENT, STEADY, LOAD, parts=ONLY_HELD_OUT)
def drift(draw: Draw) -> Scenario:
    times = draw.times(DAY, 60 * DAY)
    size = scale(draw)
    noise = draw.noise(len(times), size.least * draw.over(0.01, 0.3))
    return record(draw, times, size.base + noise + size.least * draw.between(0.1, 0.5) * share(times), size)


@recipe("a 32-bit figure that flips", INNOCENT, STEADY, LOAD, UNCLEAR)
def flips(draw: Draw) -> Scenario:
    """About 4 GB in a 32-bit column: the figure jumps between nearly 0 and nearly 4 GB."""
    times = draw.times(2 * HOUR, 20 * DAY, fewest=100)
    size = replace(scale(draw, counts=False), base=2.0**32, least=2.0**32 * 0.02)
    values = 2.0**32 + draw.noise(len(times), 2.0**32 * 0.01) - 2.0**32 * 0.002
    return record(draw, times, np.mod(values, 2.0**32), size)


@recipe("backups that give all back", INNOCENT, LOAD, STEADY)
def clean_backups(draw: Draw) -> Scenario:
    count = draw.whole(4, 14)
    times = draw.times(DAY * (count + 0.2), DAY * (count + 0.7), fewest=count * 24, coarsest=30 * MINUTE)
    size = scale(draw, counts=False)
    first = float(times[0]) + DAY * draw.between(0.15, 0.6)
    long = draw.between(1.5, 5) * HOUR
    runs = first + DAY * np.arange(count, dtype=np.float64)
    up = staircase(draw, times, runs, np.ones(count) * size.base * draw.over(0.1, 2), long=long, peak=0)
    back = staircase(draw, times, runs + long, np.ones(count), long=20 * MINUTE, peak=0)
    return record(draw, times, size.base + up - back * up.max() / count + quiet(draw, times, size) * 0.3, size)
