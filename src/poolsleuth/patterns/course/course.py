"""The answer about one series: what it does, how sure that is, how fast, and which test decided."""

from dataclasses import dataclass
from enum import StrEnum

from poolsleuth.model.finding import Confidence


class Kind(StrEnum):
    """What a series does over its time."""

    LEAK = "leak"  # its floor rises and still does: what it takes never comes back
    STEPS = "steps"  # it grows in repeated jumps and gives nothing back between them
    LOAD = "load"  # it rises and comes back down: the floor stays
    FILLED = "filled"  # it grew and has stopped: a cache that filled, or work that settled at a higher level
    JUMP = "jump"  # it rose once, at one moment, and stays there
    STEADY = "steady"  # nothing to speak of happens
    FALLING = "falling"  # it goes down for good
    UNCLEAR = "unclear"  # it rises, but the tests do not agree on what that is
    TOO_SHORT = "too-short"  # too few samples, or too short a time, to tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What one series does. Values in the series' unit, times in seconds since 1970, rates per hour.

    ``slope``, ``low`` and ``high`` are the growth per hour with its 95 % interval, None where no growth was fitted.
    ``starts`` is when the growth that lasts to the end began (the first sample when it always grew). ``growth`` is how
    much the floor rose from there; after restarts both are those of the last stretch that grew. ``peak`` is the largest
    value, ``given_back`` the largest fall as a share of the rise before it (0: never, 1: all of it; None: nothing
    rose). ``line`` are the two ends (time, value) of the fitted growth. ``because`` says which tests decided, with
    their figures, ``against`` what speaks for another answer.
    """

    kind: Kind
    confidence: Confidence
    samples: int
    hours: float
    slope: float | None = None
    low: float | None = None
    high: float | None = None
    starts: float | None = None
    growth: float = 0.0
    first: float | None = None
    last: float | None = None
    floor: float | None = None
    peak: float | None = None
    given_back: float | None = None
    steps: int = 0
    resets: int = 0
    line: tuple[tuple[float, float], ...] = ()
    because: tuple[str, ...] = ()
    against: tuple[str, ...] = ()

    @property
    def grows(self) -> bool:
        """True when it still grows and does not come down: a leak, at once or in steps."""
        return self.kind in (Kind.LEAK, Kind.STEPS)
