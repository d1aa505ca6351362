"""Random numbers in the ranges that real machines show: sizes, spans, intervals, noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import lfilter

Numbers = NDArray[np.float64]

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
MB = float(1 << 20)
GB = float(1 << 30)
INTERVALS = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)
FIRST_START, LAST_START = 1.05e9, 1.75e9  # 2003 to 2025
MIN_SAMPLES, MAX_SAMPLES = 60, 2500


@dataclass(frozen=True, slots=True)
class Draw:
    """A source of random numbers; ``wide`` draws from the wider ranges of the part that nobody tunes on."""

    source: Generator
    wide: bool = False

    def between(self, low: float, high: float) -> float:
        """A number from an even distribution."""
        return float(self.source.uniform(low, high))

    def over(self, low: float, high: float) -> float:
        """A number whose logarithm is evenly distributed: every order of magnitude is as likely."""
        return float(np.exp(self.source.uniform(np.log(low), np.log(high))))

    def whole(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self.source.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        """True in that share of cases."""
        return bool(self.source.random() < share)

    def one_of(self, choices: Sequence[float]) -> float:
        """One of the numbers."""
        return float(choices[self.whole(0, len(choices) - 1)])

    def times(
        self,
        shortest: float,
        longest: float,
        *,
        fewest: int = MIN_SAMPLES,
        most: int = MAX_SAMPLES,
        coarsest: float = HOUR,
    ) -> Numbers:
        """Sample times over a span drawn from a range (seconds): an interval people use, jittered in half the cases.

        A poolmon loop sleeps between samples, so that its interval is a little longer than what was asked for.
        """
        span = self.over(shortest, longest)
        allowed = [step for step in INTERVALS if fewest <= span / step <= most and step <= coarsest]
        step = self.one_of(allowed) if allowed else span / fewest
        if self.chance(0.3):
            step *= self.between(1.0, 1.06)
        count = max(int(span / step) + 1, fewest)
        start = self.between(FIRST_START, LAST_START)
        times = start + step * np.arange(count, dtype=np.float64)
        if self.chance(0.5):
            times += self.source.uniform(0, 0.3 * step, count)
        return np.round(times, 3)

    def white(self, count: int, size: float) -> Numbers:
        """Noise without memory."""
        return self.source.normal(0, size, count)

    def wandering(self, count: int, size: float, memory: float) -> Numbers:
        """Noise whose value is forgotten over ``memory`` samples (autoregressive, first order)."""
        keep = float(np.exp(-1 / max(memory, 1e-3)))
        shocks = self.source.normal(0, size * np.sqrt(1 - keep**2), count)
        shocks[0] = self.source.normal(0, size)
        return np.asarray(lfilter([1.0], [1.0, -keep], shocks), dtype=np.float64)

    def spikes(self, count: int, size: float) -> Numbers:
        """Short bursts upwards that die away within a few samples; every one starts by chance."""
        starts = self.source.random(count) < self.over(0.01, 0.08)
        heights = np.where(starts, self.source.exponential(size * 2, count), 0.0)
        return np.asarray(lfilter([1.0], [1.0, -self.between(0.0, 0.7)], heights), dtype=np.float64)

    def noise(self, count: int, size: float) -> Numbers:
        """Noise of one of the sorts that pool figures show; its memory is short beside the whole."""
        sort = self.whole(0, 4)
        if sort == 0:
            return self.white(count, size)
        if sort == 1:
            return self.wandering(count, size, self.between(1, max(2.0, min(count / 60, 30))))
        if sort == 2:
            return self.spikes(count, size)
        if sort == 3:
            return self.white(count, size * 0.3) + self.spikes(count, size)
        return self.white(count, size * 0.02)


def spread(values: Numbers) -> float:
    """The range that nine tenths of the values lie in."""
    low, high = np.percentile(values, [5, 95])
    return float(high - low)
