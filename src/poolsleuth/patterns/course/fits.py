"""Which simple shape a floor follows best: straight, late start, fills up, one jump, faster and faster, half a wave.

Every shape is ``a + b * g(time)`` with g rising from 0 to 1, so that one formula fits them all and they can be compared
by what they leave unexplained.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from poolsleuth.patterns.course.noise import correlation, slope_error

Numbers = NDArray[np.float64]


class Form(StrEnum):
    """The shapes that are tried."""

    LINE = "line"
    START = "start"  # flat, then a line to the end
    STOP = "stop"  # a line, then flat
    RAMP = "ramp"  # flat, a line, flat
    FILL = "fill"  # fast first, slower and slower (exponential)
    FASTER = "faster"  # slow first, faster and faster (power of time)
    JUMP = "jump"  # flat, then at once flat at another level
    WAVE = "wave"  # half a wave: flat, rising, flat without corners


PRICE = {
    Form.LINE: 0,
    Form.START: 1,
    Form.STOP: 1,
    Form.FILL: 1,
    Form.FASTER: 1,
    Form.JUMP: 1,
    Form.RAMP: 2,
    Form.WAVE: 2,
}
"""How many figures a shape has more than a line; each must earn its place."""


FEW = 8
"""Fewer points than this carry a line and no more."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The best fit of one shape. ``begin`` and ``end`` are shares of the time; ``rise`` how much the shape rises.

    ``alike`` is the correlation of neighbours in what the shape leaves unexplained.
    """

    form: Form
    begin: float
    end: float
    rise: float
    rest: float
    t: float
    score: float
    alike: float = 0.0


def _shapes(x: Numbers) -> dict[Form, tuple[Numbers, Numbers]]:
    """For each shape the (begin, end) pairs and the curves, one row each. ``x`` runs from 0 to 1."""
    made: dict[Form, tuple[Numbers, Numbers]] = {Form.LINE: (np.array([[0.0, 1.0]]), x[None, :])}
    if x.size < FEW:
        return made
    starts = np.linspace(0.06, 0.9, 29)
    made[Form.START] = _ramps(x, [(float(b), 1.0) for b in starts])
    made[Form.STOP] = _ramps(x, [(0.0, float(e)) for e in np.linspace(0.1, 0.94, 29)])
    grid = np.linspace(0.05, 0.95, 19)
    made[Form.RAMP] = _ramps(x, [(float(b), float(e)) for b in grid for e in grid if e - b > 0.09])
    taus = np.geomspace(0.03, 1.2, 16)
    fills = (1.0 - np.exp(-x[None, :] / taus[:, None])) / (1.0 - np.exp(-1.0 / taus[:, None]))
    made[Form.FILL] = (np.stack([np.zeros_like(taus), 3.0 * taus], axis=1), fills)
    powers = np.array([1.5, 2.0, 3.0, 4.0, 6.0])
    made[Form.FASTER] = (np.tile([0.0, 1.0], (powers.size, 1)), x[None, :] ** powers[:, None])
    places = (x[1:] + x[:-1]) / 2
    inner = places[1:-1] if places.size > 3 else places
    made[Form.JUMP] = (np.stack([inner, inner], axis=1), (x[None, :] > inner[:, None]).astype(np.float64))
    corners = np.array([(b, e) for b in np.linspace(-0.4, 0.6, 11) for e in np.linspace(0.5, 1.6, 12) if e - b > 0.3])
    turned = np.clip((x[None, :] - corners[:, :1]) / (corners[:, 1:] - corners[:, :1]), 0.0, 1.0)
    made[Form.WAVE] = (corners, 0.5 - 0.5 * np.cos(np.pi * turned))
    return made


def _ramps(x: Numbers, corners: list[tuple[float, float]]) -> tuple[Numbers, Numbers]:
    """Curves that are 0 before a corner, 1 after the other, and straight between."""
    pairs = np.array(corners)
    return pairs, np.clip((x[None, :] - pairs[:, :1]) / (pairs[:, 1:] - pairs[:, :1]), 0.0, 1.0)


def fill_then_line(hours: Numbers, values: Numbers) -> tuple[float, float, float] | None:
    """The fit of what fills up after the start and grows straight besides, two curves at once.

    What it leaves unexplained (sum of squares), the share of the time after which the filling is over, and what the
    line gains in the whole time. None when nothing of that kind fits.
    """
    x = (hours - hours[0]) / (hours[-1] - hours[0])
    if x.size < 2 * FEW:
        return None
    line = x - x.mean()
    best: tuple[float, float, float] | None = None
    for tau in np.geomspace(0.005, 0.25, 14):
        fill = 1.0 - np.exp(-x / tau)
        basis = np.stack([fill - fill.mean(), line], axis=1)
        factors, *_ = np.linalg.lstsq(basis, values - values.mean(), rcond=None)
        rest = values - values.mean() - basis @ factors
        unexplained = float(rest @ rest)
        if factors[0] > 0 and factors[1] > 0 and (best is None or unexplained < best[0]):
            best = (unexplained, float(min(3.0 * tau, 0.6)), float(factors[1]))
    return best


def fit_log(hours: Numbers, values: Numbers) -> float:
    """What a logarithm of the time leaves unexplained (sum of squares): ever slower, but never quite full."""
    x = (hours - hours[0]) / (hours[-1] - hours[0])
    middle = values - values.mean()
    curves = np.log1p(x[None, :] / np.geomspace(0.001, 0.3, 14)[:, None])
    curves -= curves.mean(axis=1, keepdims=True)
    along = np.maximum(curves @ middle, 0.0)
    return float(np.min(middle @ middle - along**2 / np.einsum("ij,ij->i", curves, curves)))


def fit_forms(hours: Numbers, values: Numbers) -> dict[Form, Fit]:
    """The best fit of every shape, with scores that can be compared: the smaller the better.

    The score is the Bayesian information criterion with the number of samples reduced by the noise's correlation.
    """
    x = (hours - hours[0]) / (hours[-1] - hours[0])
    middle = values - values.mean()
    total = float(middle @ middle)
    found: dict[Form, tuple[float, Numbers, Numbers, float]] = {}
    for form, (corners, curves) in _shapes(x).items():
        centred = curves - curves.mean(axis=1, keepdims=True)
        power = np.einsum("ij,ij->i", centred, centred)
        along = centred @ middle
        with np.errstate(divide="ignore", invalid="ignore"):
            rise = np.where(power > 1e-9, along / power, 0.0)
        rest = total - rise * along
        best = int(np.argmin(rest))
        residual = middle - rise[best] * centred[best]
        found[form] = (float(residual @ residual), curves[best], corners[best], float(rise[best]))
    count = values.size
    tiny = total * 1e-12 + 1e-300
    smallest = min(found.values(), key=lambda entry: entry[0])
    residual = middle - smallest[3] * (smallest[1] - smallest[1].mean())
    rho = max(correlation(residual)[0], 0.0)
    effective = max(count * (1.0 - rho) / (1.0 + rho), 4.0)
    fits = dict.fromkeys(Form, Fit(Form.LINE, 0.0, 1.0, 0.0, total, 0.0, np.inf))
    for form, (unexplained, curve, corner, height) in found.items():
        left = middle - height * (curve - curve.mean())
        error = slope_error(curve, left)[0]
        # No noise at all is no certainty: the last digit of the figures is the least noise.
        t = height / max(error, abs(height) * 1e-6, 1e-300) if height else 0.0
        score = effective * float(np.log(max(unexplained, tiny) / count)) + PRICE[form] * float(np.log(effective) + 1.0)
        alike = correlation(left)[0]
        fits[form] = Fit(form, float(corner[0]), float(corner[1]), height, unexplained, t, score, alike)
    return fits
