"""Tells what one series does. Not written yet."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poolsleuth.model.finding import Confidence
from poolsleuth.patterns.course.course import Course, Kind

Numbers = NDArray[np.float64]


def judge_course(times: Numbers, values: Numbers, *, least: float, cuts: Sequence[float] = ()) -> Course:
    """What a series does.

    ``times`` are seconds, ascending; ``values`` may hold NaN (missing). ``least`` is the smallest growth that matters,
    in the series' unit. ``cuts`` are times of reboots: what lies on two sides of one is never compared.
    """
    del values, least, cuts
    return Course(kind=Kind.TOO_SHORT, confidence=Confidence.LOW, samples=len(times), hours=0.0)
