"""How far a fitted slope can be trusted when neighbouring samples resemble each other.

Samples of a log are not independent: what is high now is high a minute later. The residuals' own lag-1 correlation says
how much; it is corrected for the bias that fitting a line brings (the residuals of a fit look less alike than the
noise was), by matching the moments that a first-order autoregressive noise would leave in the residuals.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Numbers = NDArray[np.float64]

RHOS: Numbers = np.concatenate((np.linspace(-0.4, 0.9, 27), np.array([0.93, 0.95, 0.97, 0.98, 0.99, 0.995])))
"""The correlations that are tried. 0.995 over 60 windows is a random walk for every purpose."""


CAUTION = 0.7
"""The correlation is taken higher by so many of its own standard errors."""


@dataclass(frozen=True, slots=True)
class Slope:
    """A slope per hour with its standard error, the correlation of neighbours and the degrees of freedom left."""

    slope: float
    error: float
    rho: float
    freedom: float

    @property
    def t(self) -> float:
        """How many standard errors the slope is from 0; infinite when there is no noise at all."""
        if self.error > 0:
            return self.slope / self.error
        return float(np.sign(self.slope)) * np.inf if self.slope else 0.0

    @property
    def reach(self) -> float:
        """Half the width of the 95 % interval."""
        return self.error * float(stats.t.ppf(0.975, self.freedom))


@lru_cache(maxsize=128)
def _expected(count: int) -> tuple[Numbers, Numbers]:
    """For every correlation of ``RHOS``: what lag-1 correlation residuals of a line show, and their share of variance.

    ``count`` even points. The share says how much of the noise's variance the fit leaves in the residuals.
    """
    x = np.linspace(-1.0, 1.0, count)
    basis, _ = np.linalg.qr(np.stack([np.ones(count), x], axis=1))
    keep = np.eye(count) - basis @ basis.T
    shift = np.eye(count, k=1)
    lag = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    shown, share = [], []
    for rho in RHOS:
        left = keep @ np.power(rho, lag) @ keep
        trace = float(np.trace(left))
        shown.append(float(np.sum(left * shift)) / trace)
        share.append(trace / count)
    return np.array(shown), np.array(share)


def correlation(residuals: Numbers) -> tuple[float, float]:
    """The noise's lag-1 correlation, freed from the fit's bias, and its standard deviation."""
    count = residuals.size
    power = float(residuals @ residuals)
    if count < 4 or power <= 0:
        return 0.0, 0.0
    seen = float(residuals[1:] @ residuals[:-1]) / power
    shown, share = _expected(count)
    rho = float(np.interp(seen, shown, RHOS))
    left = float(np.interp(rho, RHOS, share))
    return rho, float(np.sqrt(power / count / left))


def slope_error(regressor: Numbers, residuals: Numbers) -> tuple[float, float, float]:
    """Standard error of the factor of ``regressor`` in a least-squares fit with a constant; correlation; freedom."""
    rho, sigma = correlation(residuals)
    count = regressor.size
    # What few residuals say about their correlation is uncertain itself; too low a guess gives too sure an interval.
    rho = min(max(rho, 0.0) + CAUTION * float(np.sqrt(max(1.0 - rho * rho, 0.0) / count)), float(RHOS[-1]))
    if count >= 4 and sigma > 0:
        seen = float(residuals @ residuals) / count
        sigma = max(sigma, float(np.sqrt(seen / np.interp(rho, RHOS, _expected(count)[1]))))
    centred = regressor - regressor.mean()
    power = float(centred @ centred)
    if power <= 0:
        return np.inf, rho, 1.0
    weights = centred / power
    lag = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    variance = float(weights @ np.power(rho, lag) @ weights)
    alike = max(rho, 0.0)
    freedom = max(3.0, count * (1.0 - alike) / (1.0 + alike) - 2.0)
    return sigma * float(np.sqrt(max(variance, 0.0))), rho, freedom


def robust_slope(hours: Numbers, values: Numbers) -> Slope:
    """Theil-Sen slope with a standard error for autocorrelated noise. At least 3 points."""
    slope, intercept, _low, _high = stats.theilslopes(values, hours)
    residuals = values - (slope * hours + intercept)
    # The usual distance, not the outliers', sets the noise: a burst must not hide a leak.
    scale = 1.4826 * float(np.median(np.abs(residuals - np.median(residuals))))
    if scale > 0:
        residuals = np.clip(residuals, -3.0 * scale, 3.0 * scale)
    error, rho, freedom = slope_error(hours, residuals - residuals.mean())
    return Slope(float(slope), error, rho, freedom)


def mann_kendall(values: Numbers) -> tuple[float, float]:
    """Kendall's tau of the values against their order, and the chance (one-sided) of so much rise without a trend."""
    if values.size < 3 or np.ptp(values) == 0:
        return 0.0, 1.0
    tau, chance = stats.kendalltau(np.arange(values.size), values)
    if not np.isfinite(tau):
        return 0.0, 1.0
    return float(tau), float(chance / 2 if tau > 0 else 1 - chance / 2)


COIN_PARTS = (8, 12, 16, 24)
"""The rise is cut into so many moves; four ways are tried, and the chance is corrected for that."""


def coin_test(level: Numbers, noise: float) -> float:
    """The chance that a level which wanders without aim would rise like this.

    For a random walk the next move of a given size goes up or down like a fair coin. Moves are counted from the last
    one, at most one for each point, so that a jump counts once. Moves within three times the noise are not used: 1.0
    when none are left.
    """
    rise = float(level[-1] - level[0])
    best = 1.0
    for parts in COIN_PARTS:
        size = rise / parts
        if size <= 3.0 * noise or size <= 0:
            continue
        ups = downs = 0
        last = float(level[0])
        for value in level.tolist():
            if value >= last + size:
                ups, last = ups + 1, value
            elif value <= last - size:
                downs, last = downs + 1, value
        if ups:
            best = min(best, float(stats.binom.sf(ups - 1, ups + downs, 0.5)) * len(COIN_PARTS))
    return best
