"""Ratios of figures that a file may have made as large as it likes: nothing here overflows."""

import math

from poolsleuth.patterns.thresholds import Threshold

_PARTS = 10_000  # thresholds are kept to a hundredth of a percent


def at_least(change: int, whole: int, share: Threshold) -> bool:
    """Whether a change is at least this share of a whole, without leaving whole numbers."""
    return change * _PARTS >= round(share.value * _PARTS) * whole


def ratio(part: float, whole: float) -> float | None:
    """``part / whole``; None when that is no number."""
    try:
        value = part / whole
    except (OverflowError, ZeroDivisionError):
        return None
    return value if math.isfinite(value) else None
