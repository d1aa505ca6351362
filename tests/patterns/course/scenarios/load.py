"""What work does to a pool: office days, sessions that come and go, jobs, caches."""

import numpy as np
from numpy.typing import NDArray

from .draw import DAY, HOUR, MINUTE, Draw

Numbers = NDArray[np.float64]
SUNDAY_OFFSET = 4 * DAY  # 1970-01-01 was a Thursday: from here weeks begin on a Monday


def office(draw: Draw, times: Numbers, *, night: float = 0.0, zone: float | None = None) -> Numbers:
    """How busy an office is, 0 to about 1.1: people come between 7 and 9, some eat, all go; weekends are quiet.

    ``night`` is the floor, ``zone`` the seconds that local time is ahead. Every day differs a little, as real ones do.
    """
    zone = draw.between(-11, 12) * HOUR if zone is None else zone
    opens, closes = draw.between(6.5, 9), draw.between(16, 19.5)
    lunch = draw.between(0, 0.35)
    weekend = draw.one_of((0.0, 0.05, 0.15))
    local = times + zone
    hour = (local % DAY) / HOUR
    day = np.floor(local / DAY).astype(np.int64)
    each_day = draw.source.normal(1, 0.07, int(day.max() - day.min()) + 1)
    busy = _rise(hour, opens, draw.between(0.3, 1.0)) * (1 - _rise(hour, closes, draw.between(0.3, 1.0)))
    busy *= 1 - lunch * np.exp(-(((hour - 12.5) / 0.6) ** 2))
    weekday = np.floor(((local - SUNDAY_OFFSET) % (7 * DAY)) / DAY)
    quiet = weekday >= 5
    shape = busy * each_day[day - day.min()] * np.where(quiet, weekend, 1.0)
    return np.asarray(night + (1 - night) * np.clip(shape, 0, None), dtype=np.float64)


def _rise(hour: Numbers, middle: float, width: float) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-(hour - middle) / width * 2)), dtype=np.float64)


def sessions(draw: Draw, times: Numbers, *, stay: float, at_once: float, heavy: bool = False) -> Numbers:
    """How many sessions are open: they begin by chance and stay ``stay`` seconds on average (a queue M/M/infinity).

    ``heavy``: most are short and a few are very long (Pareto), as with disconnected users. The first sample lies in
    the steady state.
    """
    warm = stay * (30 if heavy else 8)
    first, last = float(times[0]) - warm, float(times[-1])
    count = int(draw.source.poisson(at_once / stay * (last - first)))
    begins = draw.source.uniform(first, last, count)
    stays = draw.source.pareto(2.2, count) * stay * 1.2 if heavy else draw.source.exponential(stay, count)
    ends = np.sort(begins + stays)
    begins = np.sort(begins)
    return (np.searchsorted(begins, times, "right") - np.searchsorted(ends, times, "right")).astype(np.float64)


def jobs(draw: Draw, times: Numbers, *, every: float, long: float, regular: bool) -> Numbers:
    """1 while a job runs, else 0; ``every`` and ``long`` in seconds. Runs differ in height by up to a fifth."""
    first, last = float(times[0]), float(times[-1])
    begins = np.arange(first + draw.between(0, every), last, every)
    if not regular:
        begins = np.sort(draw.source.uniform(first, last, max(len(begins), 3)))
    running = np.zeros(len(times))
    for begin in begins:
        end = begin + long * draw.between(0.7, 1.3)
        inside = (times >= begin) & (times < end)
        running[inside] = np.maximum(running[inside], draw.between(0.8, 1.2))
    return running


def filling(times: Numbers, constant: float, start: float | None = None) -> Numbers:
    """A cache that fills from 0 towards 1 with a time constant in seconds."""
    since = np.clip(times - (times[0] if start is None else start), 0, None)
    return np.asarray(1 - np.exp(-since / constant), dtype=np.float64)


def trimmed(draw: Draw, times: Numbers) -> Numbers:
    """File cache structures, 0 to 1: they grow with what is read until the memory manager trims, at odd times."""
    span = float(times[-1] - times[0])
    level, at = draw.between(0, 0.8), 0
    rate = draw.between(8, 25) / span
    out = np.empty(len(times))
    limit = draw.between(0.75, 1.0)
    for at in range(len(times)):
        if at:
            level += rate * float(times[at] - times[at - 1]) * draw.between(0.4, 1.6)
        if level > limit:
            level *= draw.between(0.15, 0.6)
            limit = draw.between(0.75, 1.0)
        out[at] = min(level, 1.0)
    return out


def boot(draw: Draw, times: Numbers, booted: float) -> Numbers:
    """0 to 1 after a boot: services start in the first minutes."""
    return filling(times, draw.over(2 * MINUTE, 10 * MINUTE), booted)
