"""Where a replay is: its place, its speed, whether it plays. Whoever draws tells it how much time has passed."""

from collections.abc import Sequence
from math import inf, isfinite

import numpy as np

USUAL_SPEED = 60.0  # an hour in a minute
AS_FAST_AS_CAN_BE = inf
SPEEDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 24 * 3600.0, AS_FAST_AS_CAN_BE)
FASTEST = 500.0  # samples in a second of the watcher where the speed has no bound: a machine reads no more
LONGEST_GAP = 3.0  # seconds of the watcher's time that a hole in the recording takes at most: nobody waits for a night


class Player:
    """A place in a series that moves with time. Places count from 0.

    ``count`` samples, taken at ``times`` (seconds, ascending; NaN where not known, None for a series without times).
    ``speed`` is seconds of the recording in a second of the watcher; ``inf``: as fast as can be read. A series
    without times shows ``speed / 60`` samples a second. Raises ValueError when there is no sample, or no such speed.
    """

    def __init__(self, count: int, times: Sequence[float] | None = None, speed: float = USUAL_SPEED) -> None:
        if count < 1:
            raise ValueError("there is no sample to play")
        known = np.asarray(times, np.float64) if times is not None else np.full(count, np.nan)
        if len(known) != count:
            raise ValueError(f"{count} samples and {len(known)} times: there must be one for each")
        self.count = count
        self.dated = bool(np.isfinite(known).all())
        clock = known if self.dated else np.arange(count, dtype=np.float64) * 60.0
        # Times that go back count as no time passed
        self._clock: list[float] = np.maximum.accumulate(clock).tolist()
        self.place = 0
        self.playing = count > 1
        self._speed = USUAL_SPEED
        self.speed = speed
        self._now = self._clock[0]
        self._waited = 0.0

    @property
    def speed(self) -> float:
        """Seconds of the recording in a second of the watcher."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if not speed > 0:
            raise ValueError(f"{speed} is no speed: it must be more than 0")
        self._speed = speed

    @property
    def last(self) -> bool:
        """Whether this is the last sample."""
        return self.place == self.count - 1

    def tick(self, seconds: float) -> int:
        """So many seconds have passed for the watcher: the place to be at."""
        if not self.playing or not isfinite(seconds) or seconds <= 0:
            return self.place
        if self._speed == AS_FAST_AS_CAN_BE:
            self._to(self.place + max(1, int(min(seconds, self.count) * FASTEST)))
        else:
            self._pass(seconds)
        if self.last:
            self.playing = False
        return self.place

    def _pass(self, seconds: float) -> None:
        """Let time go by; a hole without samples takes ``LONGEST_GAP`` seconds at most."""
        while seconds > 0 and not self.last:
            ahead = (self._clock[self.place + 1] - self._now) / self._speed
            wait = min(ahead, max(0.0, LONGEST_GAP - self._waited))
            if seconds < wait:
                self._now += seconds * self._speed
                self._waited += seconds
                return
            seconds -= wait
            self._to(self.place + 1)

    def _to(self, place: int) -> None:
        self.place = min(max(place, 0), self.count - 1)
        self._now = self._clock[self.place]
        self._waited = 0.0

    def step(self, samples: int = 1) -> int:
        """Move by so many samples, backwards when negative; it pauses. The new place."""
        self.playing = False
        self._to(self.place + samples)
        return self.place

    def jump(self, place: int) -> int:
        """Go to a place, the nearest there is; it plays on or not, as before. The new place."""
        self._to(place)
        if self.last:
            self.playing = False
        return self.place

    def toggle(self) -> bool:
        """Pause or play on; at the end it begins again from the first sample. Whether it plays now."""
        if not self.playing and self.last and self.count > 1:
            self._to(0)
        self.playing = not self.playing and self.count > 1
        return self.playing

    def faster(self) -> float:
        """The next higher of the usual speeds. The new speed."""
        self._speed = next((speed for speed in SPEEDS if speed > self._speed), SPEEDS[-1])
        return self._speed

    def slower(self) -> float:
        """The next lower of the usual speeds. The new speed."""
        self._speed = next((speed for speed in reversed(SPEEDS) if speed < self._speed), SPEEDS[0])
        return self._speed
