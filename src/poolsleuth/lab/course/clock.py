"""When a course is looked at."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from poolsleuth.model.errors import InputError

MOST_SAMPLES = 50_000
"""A month of one sample a minute; the counter logs of more would take minutes to write."""
LEAST_SAMPLES = 2
MOST_HOURS = 24 * 366
USUAL_EVERY = timedelta(minutes=1)
_USUALLY_AT_MOST = 1500  # samples when nobody said how many


@dataclass(frozen=True, slots=True)
class Clock:
    """Samples at equal distances: the first at ``began``, the last when the course ends."""

    began: datetime
    every: timedelta
    steps: int

    @property
    def ended(self) -> datetime:
        """The time of the last sample."""
        return self.began + self.every * self.steps

    @property
    def hours(self) -> float:
        """Between the first and the last sample."""
        return self.every * self.steps / timedelta(hours=1)

    def __len__(self) -> int:
        return self.steps + 1

    def times(self) -> Iterator[datetime]:
        """The times of all samples."""
        for step in range(self.steps + 1):
            yield self.began + self.every * step


def clock_of(began: datetime, hours: float, every: timedelta | None) -> Clock:
    """A clock for so many hours, rounded to whole steps. ``every`` None is a minute, or what gives 1,500 samples.

    Raises InputError for a course that is too long or too short, and for too many or too few samples.
    """
    if not 0 < hours <= MOST_HOURS:
        raise InputError(f"a course takes up to {MOST_HOURS:,} hours (a year), not {hours:g}")
    whole = timedelta(hours=hours)
    if every is None:
        every = USUAL_EVERY * max(1, -(-int(whole / USUAL_EVERY) // _USUALLY_AT_MOST))
    if every <= timedelta(0):
        raise InputError("the time between two samples must be more than nothing")
    steps = round(whole / every)
    if steps + 1 > MOST_SAMPLES:
        raise InputError(
            f"{hours:g} hours are {steps + 1:,} samples at that distance, and the lab takes {MOST_SAMPLES:,} at most:"
            " take fewer (--every)"
        )
    if steps + 1 < LEAST_SAMPLES:
        raise InputError(f"{hours:g} hours are too short for two samples at that distance")
    return Clock(began, every, steps)
