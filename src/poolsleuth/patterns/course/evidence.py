"""How much so many samples over so long a time can prove, and what was measured at all."""

from poolsleuth.model.finding import Confidence
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.course.samples import Samples
from poolsleuth.patterns.course.words import duration

FEWEST_SAMPLES = 6

SHORTEST_HOURS = 0.5

SURE_SAMPLES = 10

SURE_HOURS = 2.0

HIGH_HOURS = 24.0

HIGH_CYCLES = 2.0

SHORT_RHYTHM = 3.0
"""Hours; whole rounds of a shorter rhythm say nothing about what a day brings."""


def basics(samples: Samples, raw: Samples | None = None) -> Course:
    """A course that says only what was measured, not yet what it is."""
    values = (raw or samples).values
    count = int(values.size)
    return Course(
        kind=Kind.TOO_SHORT,
        confidence=Confidence.LOW,
        samples=count,
        hours=samples.span,
        first=float(values[0]) if count else None,
        last=float(values[-1]) if count else None,
        floor=float(values.min()) if count else None,
        peak=float(values.max()) if count else None,
    )


def amount_of_evidence(samples: Samples, cycles: float = 0.0) -> Confidence:
    """How sure an answer about so many samples and so long a time can be at best."""
    if samples.values.size < SURE_SAMPLES or samples.span < SURE_HOURS:
        return Confidence.LOW
    whole_rounds = cycles >= HIGH_CYCLES and samples.span >= SHORT_RHYTHM * cycles
    if samples.span >= HIGH_HOURS or whole_rounds:
        return Confidence.HIGH
    return Confidence.MEDIUM


def lower(one: Confidence, other: Confidence) -> Confidence:
    """The less sure of two."""
    order = (Confidence.LOW, Confidence.MEDIUM, Confidence.HIGH)
    return order[min(order.index(one), order.index(other))]


def too_short(samples: Samples) -> str:
    """Why nothing can be said."""
    count = samples.values.size
    return f"{count} samples over {duration(samples.span)}: at least {FEWEST_SAMPLES} over 30 minutes are needed"
