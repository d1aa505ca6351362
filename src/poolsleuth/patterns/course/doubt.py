"""The chance that a floor without growth would look like this one."""

from scipy import stats

from poolsleuth.patterns.course.fits import Fit
from poolsleuth.patterns.course.ground import Floor, noise_of
from poolsleuth.patterns.course.noise import coin_test, mann_kendall, robust_slope
from poolsleuth.patterns.course.rhythm import DAY

CLEAR_CHANCE = 1e-3
"""Growth counts when chance alone (for noise as correlated as this one) would show it less often."""

WEAK_CHANCE = 0.01
"""Below this it is worth saying that something may grow."""

FEWEST_FLOORS = 4

FEWEST_NIGHTS = 6

FEW_FLOORS = 8
"""Fewer floors than this are judged by a line alone."""


def doubt_of(floor: Floor, best: Fit, tau: float, by_chance: float, back: float) -> float:
    """The chance that a floor without growth would look like this: the clearest of three tests decides.

    The fitted rise against its error (noise as correlated as the residuals), the moves of the floor against a fair
    coin, and the order of the nights: enough nights, each higher than the one before, need no straight line.
    """
    if floor.low.size < FEWEST_FLOORS:
        return max(by_chance, 2.0 * CLEAR_CHANCE)
    slope = robust_slope(floor.hours, floor.low)
    by_slope = float(stats.t.sf(best.t, min(max(slope.freedom, 6.0), floor.hours.size - 2.0)))
    # Few floors cannot have a small chance by their order alone; all must rise, and as straight as the slope test asks.
    by_slope = max(by_slope, by_chance / 10.0 if floor.low.size >= FEW_FLOORS or tau < 0.99 else 0.0)
    if back > 0.2:
        return by_slope
    by_coin = (
        coin_test(floor.low, noise_of(floor) if not floor.period else 0.0) if floor.low.size >= FEW_FLOORS else 1.0
    )
    nights = 1.0
    if floor.period == DAY and floor.window_low.size >= FEWEST_NIGHTS:
        order, nights = mann_kendall(floor.window_low)
        nights = nights / 2.0 if order > 0.9 else 1.0
    return min(by_slope, by_coin, nights)
