"""Leaks. What is added to them (load, noise) is smaller than what they take over the whole log, or comes back down."""

import numpy as np
from numpy.typing import NDArray

from poolsleuth.patterns.course.course import Kind

from .draw import DAY, HOUR, MINUTE, Draw, spread
from .load import boot, filling, jobs, office, sessions, trimmed
from .recording import Scale, record, scale, with_clock_jump, with_outliers
from .scenario import ONLY_HELD_OUT, Scenario, Truth, recipe

Numbers = NDArray[np.float64]
GUILTY = Truth.GUILTY
LEAK, STEPS = Kind.LEAK, Kind.STEPS
CLEAR = 2.5  # a leak grows by so many times the least growth that matters


def taken(draw: Draw, size: Scale, beside: Numbers, *, clear: float = 2.0) -> float:
    """How much a leak takes over the log: enough beside noise, load and what matters; more in half the cases."""
    enough = max(size.least * CLEAR, spread(beside) * clear * draw.between(1, 2))
    return max(enough, size.base * draw.over(0.05, 3)) if draw.chance(0.5) else enough


def share(times: Numbers, start: float | None = None) -> Numbers:
    """0 at the start of the leak, 1 at the end of the log."""
    start = float(times[0]) if start is None else start
    return np.asarray(np.clip((times - start) / (times[-1] - start), 0, 1), dtype=np.float64)


def hours(times: Numbers, start: float | None = None) -> float:
    return float(times[-1] - (times[0] if start is None else start)) / HOUR


def quiet(draw: Draw, times: Numbers, size: Scale) -> Numbers:
    """Noise of 0.05 to 5 % of the level."""
    return draw.noise(len(times), size.base * draw.over(0.0005, 0.05))


@recipe("linear leak", GUILTY, LEAK)
def linear(draw: Draw) -> Scenario:
    times = draw.times(HOUR, 60 * DAY)
    size = scale(draw)
    noise = quiet(draw, times, size)
    grown = taken(draw, size, noise)
    return record(draw, times, size.base + noise + grown * share(times), size, rate=grown / hours(times))


@recipe("noise that grows with the leak", GUILTY, LEAK)
def multiplied(draw: Draw) -> Scenario:
    times = draw.times(3 * HOUR, 40 * DAY)
    size = scale(draw)
    grown = max(size.base * draw.over(0.3, 4), size.least * CLEAR)
    clean = size.base + grown * share(times)
    values = clean * (1 + draw.noise(len(times), draw.over(0.002, 0.03)))
    return record(draw, times, values, size, rate=grown / hours(times))


@recipe("slow leak under a daily rhythm", GUILTY, LEAK, STEPS)
def under_days(draw: Draw) -> Scenario:
    times = draw.times((6 if draw.wide else 4) * DAY, 45 * DAY, fewest=150)
    size = scale(draw)
    rhythm = size.base * draw.over(0.1, 1.5) * office(draw, times)
    noise = draw.noise(len(times), size.base * 0.005)
    of_rhythm = draw.over(0.35, 3) if draw.wide else draw.over(0.5, 3)
    grown = max(of_rhythm * float(rhythm.max()), size.least * CLEAR, spread(noise) * 4)
    return record(draw, times, size.base + rhythm + noise + grown * share(times), size, rate=grown / hours(times))


@recipe("leak that starts late", GUILTY, LEAK)
def late(draw: Draw) -> Scenario:
    times = draw.times(12 * HOUR, 30 * DAY, fewest=120)
    size = scale(draw)
    noise = quiet(draw, times, size)
    start = float(times[0]) + draw.between(0.2, 0.72 if draw.wide else 0.6) * float(times[-1] - times[0])
    grown = taken(draw, size, noise, clear=3)
    values = size.base + noise + grown * share(times, start)
    return record(draw, times, values, size, rate=grown / hours(times, start), starts=start)


@recipe("late leak under a daily rhythm", GUILTY, LEAK, STEPS, parts=ONLY_HELD_OUT)
def late_under_days(draw: Draw) -> Scenario:
    times = draw.times(12 * DAY, 40 * DAY, fewest=300)
    size = scale(draw)
    rhythm = size.base * draw.over(0.1, 1) * office(draw, times)
    start = float(times[0]) + draw.between(0.2, 0.45) * float(times[-1] - times[0])
    grown = max(draw.over(1, 4) * float(rhythm.max()), size.least * CLEAR)
    values = size.base + rhythm + draw.noise(len(times), size.base * 0.004) + grown * share(times, start)
    return record(draw, times, values, size, rate=grown / hours(times, start), starts=start)


@recipe("accelerating leak", GUILTY, LEAK)
def accelerating(draw: Draw) -> Scenario:
    times = draw.times(DAY, 40 * DAY)
    size = scale(draw)
    noise = quiet(draw, times, size)
    grown = taken(draw, size, noise, clear=3)
    if draw.chance(0.5):
        power = draw.between(1.4, 2.5)
        curve, last = share(times) ** power, power
    else:
        folds = draw.between(1, 2.5)
        curve, last = np.expm1(folds * share(times)) / np.expm1(folds), folds / -np.expm1(-folds)
    mean = grown / hours(times)
    return record(draw, times, size.base + noise + grown * curve, size, rate=(mean * 0.8, mean * float(last)))


@recipe("leak that speeds up", GUILTY, LEAK, parts=ONLY_HELD_OUT)
def two_rates(draw: Draw) -> Scenario:
    times = draw.times(DAY, 40 * DAY, fewest=120)
    size = scale(draw)
    noise = quiet(draw, times, size)
    turn = draw.between(0.3, 0.7)
    slow = draw.between(0.2, 0.5)  # its rate before the turn, beside that after it
    x = share(times)
    curve = np.where(x < turn, x * slow, turn * slow + (x - turn))
    grown = taken(draw, size, noise, clear=3)
    fast = grown / float(curve[-1]) / hours(times)
    return record(
        draw, times, size.base + noise + grown * curve / curve[-1], size, rate=(grown / hours(times) * 0.8, fast)
    )


@recipe("leak per operation", GUILTY, LEAK, STEPS)
def per_operation(draw: Draw) -> Scenario:
    times = draw.times(6 * DAY, 30 * DAY, fewest=150)
    size = scale(draw)
    work = office(draw, times, night=draw.one_of((0.0, 0.02, 0.1)))
    done = np.concatenate(([0.0], np.cumsum(work[1:] * np.diff(times))))
    lately = done - np.interp(times - 12 * HOUR, times, done)
    kept = times <= times[lately > 0.5 * lately.max()][-1]  # a log that ends with a weekend may as well show a cache
    times, work, done = times[kept], work[kept], done[kept]
    noise = draw.noise(len(times), size.base * draw.over(0.0005, 0.01))
    beside = size.base * draw.one_of((0.0, 0.02, 0.1)) * work + noise
    grown = max(taken(draw, size, noise), 2 * float(beside.max() - beside.min()))
    return record(draw, times, size.base + beside + grown * done / done[-1], size, rate=grown / hours(times))


@recipe("leak that gives part back", GUILTY, LEAK, STEPS)
def part_back(draw: Draw) -> Scenario:
    times = draw.times(6 * HOUR, 30 * DAY, fewest=150)
    size = scale(draw)
    noise = draw.noise(len(times), size.base * draw.over(0.0005, 0.01))
    returns = draw.whole(4, 12)
    back = draw.between(0.15, 0.7 if draw.wide else 0.6)
    x = share(times) * (returns + draw.between(0.2, 0.9))
    curve = x * (1 - back) + (x % 1) * back  # what grew since the last release, less what each release gave back
    grown = taken(draw, size, noise, clear=4)
    net = (1 - back) * float(x[-1])
    return record(
        draw,
        times,
        size.base + noise + grown * curve / net,
        size,
        rate=(grown / hours(times) * 0.95, grown / hours(times) * 1.05),
    )


@recipe("leak hidden in churn", GUILTY, LEAK)
def in_churn(draw: Draw) -> Scenario:
    times = draw.times(6 * HOUR, 20 * DAY, fewest=200)
    size = scale(draw)
    span = float(times[-1] - times[0])
    stay = span / draw.between(80, 400)
    churn = sessions(draw, times, stay=stay, at_once=draw.over(3, 60), heavy=False)
    churn *= size.base * draw.over(0.3, 3) / max(float(churn.max()), 1)
    clear = draw.between(0.7, 2) if draw.wide else draw.between(1, 2.5)
    grown = max(spread(churn) * clear, size.least * CLEAR)
    return record(draw, times, size.base + churn + grown * share(times), size, rate=grown / hours(times))


@recipe("leak below trimmed caches", GUILTY, LEAK, parts=ONLY_HELD_OUT)
def below_trimming(draw: Draw) -> Scenario:
    times = draw.times(2 * DAY, 30 * DAY, fewest=300)
    size = scale(draw, counts=False)
    cache = size.base * draw.over(0.1, 0.6) * trimmed(draw, times)
    grown = max(float(cache.max()) * draw.between(1.5, 4), size.least * CLEAR)
    return record(draw, times, size.base + cache + grown * share(times), size, rate=grown / hours(times))


def staircase(draw: Draw, times: Numbers, runs: Numbers, steps: Numbers, *, long: float, peak: float) -> Numbers:
    """What each run leaves behind: it is taken while the run lasts, with a peak above it where ``peak`` is not 0."""
    values = np.zeros(len(times))
    for begin, step in zip(runs, steps, strict=True):
        running = np.clip((times - begin) / long, 0, 1)
        values += step * (running**2 if peak else running)
        inside = (times > begin) & (times < begin + long)
        values[inside] += peak * step * draw.between(0.8, 1.2) * np.sin(np.pi * running[inside])
    return values


def _backups(draw: Draw, *, peak: float) -> Scenario:
    count = draw.whole(4, 20)
    every = draw.one_of((DAY, DAY, 12 * HOUR, 7 * DAY if draw.wide else DAY, 4 * HOUR))
    count = min(count, max(4, int(60 * DAY / every)))
    times = draw.times(every * (count + 0.2), every * (count + 0.7), fewest=count * 12)
    size = scale(draw, counts=False)
    step = size.base * draw.over(0.08, 1) * np.ones(count)
    step *= max(1.0, CLEAR * size.least / float(step.sum()), 0.7 * size.least / float(step[0]))
    if draw.wide:
        step *= draw.source.normal(1, 0.15, count).clip(0.4, 1.6)
    first = float(times[0]) + every * draw.between(0.15, 0.6)
    runs = first + every * np.arange(count) + draw.source.uniform(0, 0.02 * every, count)
    long = min(draw.over(10 * MINUTE, 2 * HOUR), every / 6)
    stairs = staircase(draw, times, runs, step, long=long, peak=peak)
    noise = draw.noise(len(times), min(size.base * draw.over(0.0005, 0.02), float(step.min()) * 0.12))
    total = float(step.sum())
    even, whole = float(step.mean()) / every * HOUR, total / hours(times)
    return record(
        draw, times, size.base + stairs + noise, size, rate=(min(even, whole), max(even, whole)), starts=first
    )


@recipe("backups that leave a step", GUILTY, STEPS, LEAK)
def backups(draw: Draw) -> Scenario:
    return _backups(draw, peak=0.0)


@recipe("backups with a peak that leave a step", GUILTY, STEPS, LEAK)
def backups_with_peaks(draw: Draw) -> Scenario:
    return _backups(draw, peak=draw.between(0.5, 3))


@recipe("steps at odd times", GUILTY, STEPS, LEAK, parts=ONLY_HELD_OUT)
def odd_steps(draw: Draw) -> Scenario:
    times = draw.times(DAY, 20 * DAY, fewest=200)
    size = scale(draw)
    count = draw.whole(10, 40)
    edges = np.linspace(0.03, 0.97, count + 1)
    at = times[0] + (times[-1] - times[0]) * draw.source.uniform(edges[:-1], edges[1:])
    step = draw.source.uniform(0.5, 1.5, count)
    noise = draw.noise(len(times), size.base * draw.over(0.0005, 0.005))
    grown = max(taken(draw, size, noise), spread(noise) * 8)
    stairs = staircase(draw, times, at, step / step.sum() * grown, long=MINUTE, peak=0)
    return record(draw, times, size.base + stairs + noise, size, rate=grown / hours(times))


@recipe("leak with known reboots", GUILTY, LEAK)
def reboots(draw: Draw) -> Scenario:
    times = draw.times(DAY, 40 * DAY, fewest=200)
    size = scale(draw)
    span = float(times[-1] - times[0])
    count = draw.whole(1, 5 if draw.wide else 3)
    edges = np.sort(draw.source.dirichlet(np.full(count + 1, 6.0)).cumsum())[:-1].clip(0.1, 0.75)
    cuts = np.unique(times[0] + span * edges)
    booted = np.concatenate(([float(times[0]) - draw.between(0, 0.5) * span / (count + 1)], cuts))
    since = times - booted[np.searchsorted(booted, times, "right") - 1]
    noise = draw.noise(len(times), size.base * draw.over(0.0005, 0.01))
    last_piece = float(times[-1] - cuts[-1]) / span
    grown = taken(draw, size, noise, clear=3) / max(last_piece, 0.1)  # over the whole span, were there no reboot
    start = np.zeros(len(times))
    for cut in booted:
        start = np.where(times >= cut, boot(draw, times, cut), start)
    values = size.base * (0.85 + 0.15 * start) + noise + grown * since / span
    gap = np.abs(np.min(np.abs(times[:, None] - cuts[None, :] - 90), axis=1)) > 90  # nothing is logged while it boots
    return record(
        draw,
        times[gap],
        values[gap],
        size,
        cuts=tuple(cuts.tolist()),
        rate=grown / (span / HOUR),
        starts=float(cuts[-1]),
    )


@recipe("caches fill after boot, then a leak", GUILTY, LEAK)
def boot_then_leak(draw: Draw) -> Scenario:
    times = draw.times(12 * HOUR, 30 * DAY, fewest=150)
    size = scale(draw, counts=False)
    span = float(times[-1] - times[0])
    noise = draw.noise(len(times), size.base * draw.over(0.0005, 0.01))
    cache = size.base * draw.between(0.2, 0.8) * filling(times, span / draw.between(12, 40))
    grown = max(taken(draw, size, noise), size.base * draw.between(0.3, 1.5))
    return record(draw, times, size.base + cache + noise + grown * share(times), size, rate=grown / hours(times))


@recipe("start of the machine, office days and a leak", GUILTY, LEAK, STEPS, parts=ONLY_HELD_OUT)
def boot_days_and_leak(draw: Draw) -> Scenario:
    times = draw.times(6 * DAY, 40 * DAY, fewest=250)
    size = scale(draw, counts=False)
    caches = size.base * draw.between(0.2, 0.8) * filling(times, float(times[-1] - times[0]) / draw.between(20, 60))
    rhythm = size.base * draw.over(0.05, 0.6) * office(draw, times)
    noise = draw.noise(len(times), size.base * draw.over(0.0005, 0.01))
    grown = max(float(rhythm.max()) * draw.between(0.6, 3), size.least * CLEAR, spread(noise) * 4)
    values = size.base + caches + rhythm + noise + grown * share(times)
    return record(draw, times, values, size, rate=grown / hours(times))


@recipe("leak with outliers", GUILTY, LEAK)
def outliers(draw: Draw) -> Scenario:
    times = draw.times(2 * HOUR, 30 * DAY, fewest=100)
    size = scale(draw)
    noise = quiet(draw, times, size)
    grown = taken(draw, size, noise)
    made = record(draw, times, size.base + noise + grown * share(times), size, rate=grown / hours(times))
    return with_outliers(draw, made)


@recipe("leak and the clock is set", GUILTY, LEAK)
def clock(draw: Draw) -> Scenario:
    times = draw.times(DAY, 30 * DAY, fewest=100)
    size = scale(draw)
    noise = quiet(draw, times, size)
    grown = taken(draw, size, noise)
    made = record(draw, times, size.base + noise + grown * share(times), size, rate=grown / hours(times))
    return with_clock_jump(draw, made)


@recipe("handles leak one by one", GUILTY, LEAK, STEPS)
def handles(draw: Draw) -> Scenario:
    times = draw.times(6 * HOUR, 20 * DAY, fewest=100)
    size = scale(draw, counts=True)
    busy = size.base * draw.over(0.005, 0.1) * draw.noise(len(times), 1.0)
    grown = taken(draw, size, busy)
    count = max(int(grown), 20)
    at = np.sort(draw.source.uniform(times[0], times[-1], count))
    leaked = np.searchsorted(at, times, "right").astype(np.float64)
    return record(draw, times, size.base + busy + leaked, size, rate=count / hours(times))


@recipe("leak that rests and goes on", GUILTY, LEAK, STEPS, parts=ONLY_HELD_OUT)
def resting(draw: Draw) -> Scenario:
    times = draw.times(12 * HOUR, 30 * DAY, fewest=200)
    size = scale(draw)
    working = 1 - np.minimum(
        jobs(draw, times, every=float(times[-1] - times[0]) / draw.whole(6, 14), long=hours(times) * 60, regular=False),
        1,
    ).astype(np.bool_)
    curve = np.concatenate(([0.0], np.cumsum(working[1:] * np.diff(times))))
    noise = quiet(draw, times, size)
    grown = taken(draw, size, noise)
    return record(draw, times, size.base + noise + grown * curve / curve[-1], size, rate=grown / hours(times))
