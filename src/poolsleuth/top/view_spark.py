"""Small charts of many tags at once: means over even steps of the time that was watched."""

import numpy as np

from poolsleuth.sampling.sample import Floats, Ids
from poolsleuth.top.history import BYTES, History

_DENSE = 2  # samples per step from which a step without any is a gap, as in report.sparkline
_FLAT = 0.05  # of the level: a smaller movement does not fill the height


def sparks(history: History, numbers: Ids, width: int, what: int = BYTES) -> Floats:
    """Tags x steps: the mean of each step's samples, NaN where there is none.

    Steps are even in time; where times are not known, in samples. Where there are fewer samples than steps, a value
    lasts until the next one.
    """
    times = history.times
    if not len(times) or width < 1:
        return np.full((len(numbers), max(width, 0)), np.nan)
    if not np.isfinite(times).all():
        times = np.arange(len(times), dtype=np.float64)
    times = np.maximum.accumulate(times)  # a clock that was put back
    length = times[-1] - times[0]
    steps = np.minimum(((times - times[0]) / length * width).astype(np.int64), width - 1) if length > 0 else times * 0
    steps = steps.astype(np.int64)
    values = history.matrix(what, numbers)
    known = np.isfinite(values)
    first = np.flatnonzero(np.diff(steps, prepend=-1))  # the first sample of each step that has any
    counts = np.add.reduceat(known, first, axis=0, dtype=np.int64)
    sums = np.add.reduceat(np.where(known, values, 0.0), first, axis=0)
    with np.errstate(invalid="ignore", over="ignore"):
        means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    result = np.full((width, len(numbers)), np.nan)
    result[steps[first]] = means
    if len(times) < _DENSE * width and length > 0:
        lasting = np.full(width, -1)
        lasting[steps[first]] = np.arange(len(first))
        lasting = np.maximum.accumulate(lasting)
        result = np.where((lasting >= 0)[:, None], means[lasting], np.nan)
    return result.T


def heights(values: list[float | None], levels: int) -> list[int | None]:
    """Values as heights from 0 to ``levels`` - 1: their lowest and highest fill them, unless they hardly move."""
    known = [value for value in values if value is not None]
    if not known:
        return [None] * len(values)
    low, high = min(known), max(known)
    reach = max(high - low, _FLAT * max(abs(low), abs(high)))
    return [
        None if value is None else min(int((value - low) / reach * levels), levels - 1) if reach > 0 else 0
        for value in values
    ]


__all__ = ["heights", "sparks"]
