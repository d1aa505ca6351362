"""Whether a figure that wanders without aim could have risen like this: what it does next depends on where it is."""

import numpy as np
from numpy.typing import NDArray

from poolsleuth.model.finding import Confidence
from poolsleuth.patterns.course.fits import Fit
from poolsleuth.patterns.course.ground import Floor

Numbers = NDArray[np.float64]

PERHAPS = 0.5
"""From this correlation of neighbours on, what the fit leaves may be a figure that wanders."""

ALIKE = 0.65
"""From this one on it is one."""

WALK = 3.0
"""A walk without aim rises by this many times its usual way once in some hundred logs."""

CHOSEN_WALK = 5.0
"""The same for a part of the log that was chosen because it rises."""

CHOSEN = 0.08
"""Growth that leaves out more than this share of the time was chosen from the whole."""

CLEAR = 17.5
"""A rise of so many times what the fit leaves (root mean square) is no walk's: walks leave more."""

FEWEST = 4

PARTS = 12
"""Far moves cross one of so many parts of the growth."""

SATURATED = 0.65
"""Far moves that are smaller than this share of a walk's belong to noise around a level."""


def walk(floor: Floor, best: Fit) -> float:
    """The rise of the growing part, in multiples of how far a walk with the same moves usually comes.

    The moves of a walk grow with the distance between two points, those of noise around a level hardly do: where
    they do not, the moves between far points tell how far it comes.
    """
    place = (floor.hours - floor.hours[0]) / (floor.hours[-1] - floor.hours[0])
    low = floor.low[(place >= best.begin - 1e-9) & (place <= best.end + 1e-9)]
    if low.size < FEWEST:
        return np.inf
    usual = _usual(low, 1)
    step = low.size // PARTS
    if step > 1 and _usual(low, step) < SATURATED * usual:
        usual = _usual(low, step)
    return float(low[-1] - low[0]) / usual if usual > 0 else np.inf


def _usual(low: Numbers, step: int) -> float:
    """How far a walk comes whose moves over so many points are these."""
    return float(np.std(low[step:] - low[:-step])) * float(np.sqrt((low.size - 1) / step))


def wanders(floor: Floor, best: Fit) -> Confidence | None:
    """How sure growth can be at best that a walk without aim could have made; None: it is most likely such a walk."""
    if best.alike < PERHAPS or best.rise >= CLEAR * float(np.sqrt(best.rest / floor.low.size)):
        return Confidence.HIGH
    far = walk(floor, best)
    chosen = best.begin > CHOSEN or best.end < 1.0 - CHOSEN
    if far >= (CHOSEN_WALK if chosen else WALK):
        return Confidence.HIGH
    if best.alike < ALIKE:
        return Confidence.MEDIUM
    return None if far < WALK else Confidence.LOW
