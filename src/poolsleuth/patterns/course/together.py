"""How two series go together: in lock-step, or one after the other's work."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from poolsleuth.patterns.course.floors import given_back, smooth
from poolsleuth.patterns.course.samples import Samples, clean, windows

Numbers = NDArray[np.float64]

FEWEST = 8
"""So many times must be known in both series."""

FINE = 240
COARSE = 24
"""The growth is compared in at most so many short intervals, and in so many long ones."""

FINE_AGREEMENT = 0.7
COARSE_AGREEMENT = 0.9
"""How well the growth of the intervals must agree. Long intervals are few and share the days' rhythm: more is asked."""

EVENT = 3
"""So many intervals at most belong to one event."""

SURE = 1e-4
"""The chance that growth of two independent series agrees so well must be smaller."""

SAME_RATIO = 0.35
"""The ratio of what both grow in an interval may differ from the ratio of the whole growth by this share."""

SIMPLE = (1.0, 2.0, 3.0, 4.0, 0.5, 1.0 / 3.0, 0.25)
"""Ratios of an object and its parts. Straight lines agree in every interval; only such a ratio is no chance."""

SIMPLE_TOLERANCE = 0.002
EXACT_SHARE = 0.9

LOAD_WINDOWS = 96
LOAD_STEPS = 48


@dataclass(frozen=True, slots=True)
class Lockstep:
    """Two counts that grow together: ``ratio`` of the second to the first, ``agreement`` 0 to 1 (1: exactly)."""

    ratio: float
    agreement: float


@dataclass(frozen=True, slots=True)
class Relation:
    """How a series follows a load counter: the rank correlation of levels, and of the growth with the work done.

    ``level`` near 1: the figure is high when the load is high (load). ``per_operation`` near 1: it grows while work is
    done and stays when it rests (a leak per operation); ``amount`` is then the growth per unit of work (load times
    seconds: the load of a counter per second gives the growth per operation). None when too few samples are common to
    both, or one of them never changes.
    """

    level: float | None
    per_operation: float | None
    amount: float | None


def lockstep(times: Numbers, first: Numbers, second: Numbers) -> Lockstep | None:
    """Whether two series of the same times grow together; None when they do not, or when too little is known.

    Levels prove nothing: any two lines correlate. What each gains in an interval beyond a
    smooth pace must agree, and in the ratio of the whole growth. Raises ValueError when the arrays differ in length.
    """
    both = np.isfinite(np.asarray(first, dtype=np.float64)) & np.isfinite(np.asarray(second, dtype=np.float64))
    one = clean(np.asarray(times)[both], np.asarray(first)[both])
    two = clean(np.asarray(times)[both], np.asarray(second)[both])
    if one.values.size < FEWEST:
        return None
    grown_one, grown_two = _grown(one.values), _grown(two.values)
    if grown_one <= 0 or grown_two <= 0:
        return None
    ratio = grown_two / grown_one
    exact = _exactly(one.values, two.values)
    if exact is not None:
        return exact
    found = [
        _agreement(_gains(one, count), _gains(two, count), ratio, asked)
        for count, asked in ((FINE, FINE_AGREEMENT), (COARSE, COARSE_AGREEMENT))
    ]
    best = max((agreement for agreement in found if agreement is not None), default=None)
    if best is None:
        return None
    return Lockstep(_ratio(one.values, two.values, ratio), best)


def _grown(values: Numbers) -> float:
    """Growth from the typical first to the typical last values."""
    few = max(1, values.size // 16)
    return float(np.median(values[-few:]) - np.median(values[:few]))


def _gains(samples: Samples, count: int) -> Numbers:
    """What it gains from interval to interval, the intervals even: uneven ones make any two leaks alike."""
    count = min(count, samples.values.size - 1)
    each = max(1, samples.values.size // (count + 1))
    even = np.linspace(0.0, samples.span, (count + 1) * each)
    level = np.interp(even, samples.hours, samples.values - samples.values[0]).reshape(count + 1, each).mean(axis=1)
    return np.diff(level)


def _uneven(gains: Numbers) -> Numbers:
    """The gains beyond a pace that changes smoothly (up to a cube of the time): two leaks may both grow faster."""
    place = np.linspace(-1.0, 1.0, gains.size)
    basis, _ = np.linalg.qr(np.stack([np.ones_like(place), place, place**2, place**3], axis=1))
    rest = np.asarray(gains - basis @ (basis.T @ gains), dtype=np.float64)
    return np.where(np.abs(rest) < 1e-9 * float(np.abs(gains).max()), 0.0, rest)


def _exactly(one: Numbers, two: Numbers) -> Lockstep | None:
    """Two counts whose every gain has the same simple ratio, as an object and its part."""
    gains, others = np.diff(one), np.diff(two)
    moved = (gains != 0) | (others != 0)
    if moved.sum() < FEWEST - 1:
        return None
    for ratio in SIMPLE:
        same = np.abs(others[moved] - ratio * gains[moved]) <= SIMPLE_TOLERANCE * np.abs(ratio * gains[moved])
        share = float(same.mean())
        if share >= EXACT_SHARE:
            return Lockstep(ratio, share)
    return None


def _agreement(one: Numbers, two: Numbers, ratio: float, asked: float) -> float | None:
    """How well the gains agree, None when not well enough to be no chance."""
    if one.size < FEWEST + EVENT or np.ptp(one) == 0 or np.ptp(two) == 0:
        return None
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return None
    # A common rest after a common peak would count twice: the ranks must agree as well as the figures.
    # What agrees in a single moment only is one event, no lock-step: the rest must agree without it.
    weight = np.abs((one - np.median(one)) * (two - np.median(two)))
    rest = np.sort(np.argsort(weight, kind="stable")[: one.size - EVENT])
    one, two = _uneven(one[rest]), _uneven(two[rest])
    linear, ranks = _alike(one, two), _alike(stats.rankdata(one), stats.rankdata(two))
    if linear is None or ranks is None:
        return None
    agreement = min(linear, max(ranks, 0.0) + 0.2)
    if agreement < asked:
        return None
    effective = max(one.size / 2.0, 4.0)
    t = agreement * np.sqrt((effective - 2.0) / max(1.0 - agreement**2, 1e-12))
    if float(stats.t.sf(t, effective - 2.0)) > SURE:
        return None
    spread = float(np.std(two) / np.std(one))
    if abs(spread / ratio - 1.0) > SAME_RATIO:
        return None
    return min(agreement, 1.0)


def _alike(one: Numbers, two: Numbers) -> float | None:
    """Pearson's correlation; None when one of them does not change beyond the last digits."""
    first, second = one - one.mean(), two - two.mean()
    sizes = [float(np.sqrt(part @ part)) for part in (first, second)]
    least = [1e-9 * float(np.abs(part).max()) * np.sqrt(part.size) for part in (one, two)]
    if sizes[0] <= least[0] or sizes[1] <= least[1]:
        return None
    return float(np.clip((first / sizes[0]) @ (second / sizes[1]), -1.0, 1.0))


def _calm(gains: Numbers) -> Numbers:
    """The gains with extremes drawn in, so that a single jump of both does not decide."""
    low, high = np.quantile(gains, [0.05, 0.95])
    return np.clip(gains, low, high) if high > low else gains


def _ratio(one: Numbers, two: Numbers, ratio: float) -> float:
    """The median ratio of what both gained between far times (half the series apart)."""
    half = one.size // 2
    gains, others = one[half:] - one[: one.size - half], two[half:] - two[: two.size - half]
    usable = np.abs(gains) > 0.25 * np.median(np.abs(gains))
    return float(np.median(others[usable] / gains[usable])) if usable.any() else ratio


def relation(times: Numbers, values: Numbers, load_times: Numbers, load: Numbers) -> Relation:
    """How a series goes with a load counter whose samples may lie at other times.

    Both are brought to common intervals in the time they share; the load of an interval is its mean, the work its
    integral over the seconds. Raises ValueError when times and values differ in length.
    """
    nothing = Relation(None, None, None)
    figure, work = clean(times, values), clean(load_times, load)
    if figure.values.size < FEWEST or work.values.size < FEWEST:
        return nothing
    begin, end = max(figure.origin, work.origin), min(figure.seconds(figure.span), work.seconds(work.span))
    if end <= begin:
        return nothing
    at, level = _shared(figure, begin, end, LOAD_WINDOWS)
    if at.size < FEWEST:
        return nothing
    done = _integral(work)
    seconds = work.hours * 3600.0 + work.origin
    edges = np.concatenate(([begin], 0.5 * (at[1:] + at[:-1]), [end]))
    total = np.interp(edges, seconds, done)
    width = np.diff(edges)
    mean_load = np.diff(total) / np.where(width > 0, width, np.nan)
    usable = np.isfinite(mean_load)
    if usable.sum() < FEWEST or np.ptp(level[usable]) == 0 or np.ptp(mean_load[usable]) == 0:
        return nothing
    levels = _alike(stats.rankdata(level[usable]), stats.rankdata(mean_load[usable]))
    per_operation, amount = _per_operation(figure, begin, end, seconds, done)
    return Relation(levels, per_operation, amount)


def _shared(samples: Samples, begin: float, end: float, count: int) -> tuple[Numbers, Numbers]:
    """Window times (seconds) and medians between two times."""
    seconds = samples.hours * 3600.0 + samples.origin
    inside = (seconds >= begin) & (seconds <= end)
    if inside.sum() < 2:
        return np.empty(0), np.empty(0)
    hours, _low, level = windows(Samples(samples.origin, samples.hours[inside], samples.values[inside]), count)
    return hours * 3600.0 + samples.origin, level


def _integral(samples: Samples) -> Numbers:
    """Load times seconds, summed up to each sample."""
    steps = 0.5 * (samples.values[1:] + samples.values[:-1]) * np.diff(samples.hours) * 3600.0
    return np.concatenate(([0.0], np.cumsum(steps)))


def _per_operation(
    figure: Samples, begin: float, end: float, seconds: Numbers, done: Numbers
) -> tuple[float | None, float | None]:
    """Correlation of the gains with the work of the interval, less what is given back; and the gain per work."""
    at, level = _shared(figure, begin, end, LOAD_STEPS)
    if at.size < FEWEST:
        return None, None
    work = np.diff(np.interp(at, seconds, done))
    gains = np.diff(level)
    if np.ptp(work) == 0 or np.ptp(gains) == 0:
        return None, None
    together = _alike(_calm(work), _calm(gains))
    if together is None:
        return None, None
    back = given_back(smooth(level), 0.0)
    kept = 1.0 - min(max(back or 0.0, 0.0), 1.0) if level[-1] > level[0] else 0.0
    score = together * kept
    if score <= 0 or work.sum() <= 0:
        return score, None
    return score, float(gains.sum() / work.sum())
