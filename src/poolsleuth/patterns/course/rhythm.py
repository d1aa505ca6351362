"""The daily rhythm, or another one: its period, and the level in its quiet part, where growth shows first."""

import numpy as np
from numpy.typing import NDArray

from poolsleuth.patterns.course.samples import Samples, blocks

Numbers = NDArray[np.float64]

DAY = 24.0
DAYS_FOR_RHYTHM = 2.6
"""A daily rhythm is looked for in logs of nearly three days and more: two humps are no rhythm yet."""

DAILY_SHARE = 0.35
"""A rhythm explains at least this share of what is left after a smooth trend."""

DAILY_LIKENESS = 0.4
"""The level of a day and of the next one, at the same time of day, correlate at least so much (weekends lower it)."""

GRID = 512
SAMPLES_A_ROUND = 6
"""A rhythm that is sampled more rarely may be another, faster one, seen through the gaps between the samples."""

CYCLES = 3.0
"""Any other rhythm must be seen at least so often."""

LIKENESS = 0.5
"""Autocorrelation at the period of a rhythm that is not daily."""

QUIET_SHARE = 3
"""The quietest third of the phases counts as quiet hours."""

MOST_PHASES = 24


def find_period(samples: Samples) -> float | None:
    """The rhythm's period in hours, None when there is none."""
    span = samples.span
    hours, _low, level = blocks(samples)
    if hours.size < 12 or np.ptp(level) == 0:
        return None
    x = (hours - hours[0]) / span * 2.0 - 1.0
    trend = np.stack([np.ones_like(x), x, x * x], axis=1)
    basis, _ = np.linalg.qr(trend)
    rest = level - level.mean()
    rest = rest - basis @ (basis.T @ rest)
    if span >= DAYS_FOR_RHYTHM * DAY and hours.size >= SAMPLES_A_ROUND * span / DAY and _daily(hours, rest, basis):
        return DAY
    return _other_period(hours, rest, span)


def _daily(hours: Numbers, rest: Numbers, basis: Numbers) -> bool:
    """Whether sines of a day and half a day explain enough of the detrended level."""
    total = float(rest @ rest)
    if total <= 0:
        return False
    angles = 2.0 * np.pi * hours / DAY
    waves = np.stack([np.sin(angles), np.cos(angles), np.sin(2 * angles), np.cos(2 * angles)], axis=1)
    waves -= basis @ (basis.T @ waves)
    own, _ = np.linalg.qr(waves)
    explained = own.T @ rest
    if float(explained @ explained) / total < DAILY_SHARE:
        return False
    # A jump or a hump resembles a sine as well; a day that resembles the next one is a rhythm.
    later = hours + DAY <= hours[-1]
    ahead = np.interp(hours[later] + DAY, hours, rest)
    here = rest[later]
    if here.size < 6 or np.ptp(here) == 0 or np.ptp(ahead) == 0:
        return False
    return float(np.corrcoef(here, ahead)[0, 1]) >= DAILY_LIKENESS


def _other_period(hours: Numbers, rest: Numbers, span: float) -> float | None:
    """The first clear peak of the autocorrelation."""
    even = np.interp(np.linspace(hours[0], hours[-1], GRID), hours, rest)
    even = even - even.mean()
    power = np.abs(np.fft.rfft(even, 2 * GRID)) ** 2
    likeness = np.fft.irfft(power)[:GRID]
    if likeness[0] <= 0:
        return None
    likeness = likeness / likeness[0] * GRID / np.maximum(GRID - np.arange(GRID), 1)
    shortest = max(4, int(SAMPLES_A_ROUND * GRID / hours.size))
    longest = int(GRID / CYCLES)
    negative = np.flatnonzero(likeness[:longest] < 0.1)
    if negative.size == 0 or max(negative[0], shortest) >= longest - 1:
        return None
    begin = max(int(negative[0]), shortest)
    place = begin + int(np.argmax(likeness[begin:longest]))
    if likeness[place] < LIKENESS or place in (begin, longest - 1):
        return None
    return float(place * span / (GRID - 1))


def quiet_levels(samples: Samples, period: float) -> tuple[Numbers, Numbers] | None:
    """Times and levels of the rhythm's quiet phases, each freed from what its phase usually adds.

    The same time of day is compared with itself: a slow leak shows here under a rhythm far larger than itself. None
    when a cycle holds too few samples, or there are fewer than two cycles.
    """
    cycles = samples.span / period
    phases = int(min(MOST_PHASES, samples.hours.size / max(cycles, 1e-9) / 2))
    if phases < 4 or cycles < 1.9:
        return None
    since = (samples.hours - samples.hours[0]) / period
    slots = (since * phases).astype(np.int64)
    order = np.lexsort((samples.values, slots))
    starts = np.concatenate(([0], np.flatnonzero(np.diff(slots)) + 1))
    counts = np.diff(np.append(starts, slots.size))
    ranked = samples.values[order]
    cell = 0.5 * ranked[starts + (counts - 1) // 2] + 0.5 * ranked[starts + counts // 2]
    times = np.add.reduceat(samples.hours, starts) / counts
    slot = slots[starts]
    line = np.full((int(slot[-1]) // phases + 1) * phases, np.nan)
    line[slot] = cell
    table = line.reshape(-1, phases)
    if table.shape[0] < 2:
        return None
    changes = (table[1:] - table[:-1]).ravel()
    changes = changes[np.isfinite(changes)]
    if changes.size == 0:
        return None
    flat = cell - float(np.median(changes)) / period * times
    phase = slot % phases
    usual = np.array([np.median(flat[phase == k]) if (phase == k).any() else np.inf for k in range(phases)])
    quiet = np.argsort(usual)[: max(2, phases // QUIET_SHARE)]
    chosen = np.isin(phase, quiet)
    return times[chosen], cell[chosen] - (usual[phase[chosen]] - usual[quiet].min())
