"""Drivers that allocate and do not free: Notmyfault's leak, and the one that is loaded, leaks and is unloaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from poolsleuth.lab.course.state import State
from poolsleuth.lab.machine import PAGE, UnloadedModule
from poolsleuth.lab.usual_figures import Pool

_JITTER = 0.25  # from step to step a leak is faster or slower by so much
_RETRIES = 40  # a step: a driver that gets no memory does not ask more often


@dataclass(frozen=True, slots=True)
class Rate:
    """From ``hours`` after the start on: bytes an hour that the tags count, in requests for ``block_bytes``."""

    hours: float
    bytes_per_hour: float
    block_bytes: int


class Leak:
    """A leak whose rate and block size may be changed while it runs, as Notmyfault's can.

    ``busy`` blocks are allocated and freed beside each that stays. ``pairs``: it begins with so many of two pages.
    """

    def __init__(
        self, tag: str, pool: Pool, rates: Sequence[Rate], random: Random, *, busy: float = 0.0, pairs: int = 0
    ) -> None:
        self._tag = tag
        self._pool: Pool = pool
        self._rates, self._random, self._busy = tuple(rates), random, busy
        self._pairs = pairs
        self._left = 0.0

    def step(self, state: State, hours: float, passed: float) -> None:
        """Allocate what the rate says; when the pool is full try a few times and give up."""
        begun = [rate for rate in self._rates if rate.hours < hours]
        if not begun:
            return
        state.allocate(self._tag, self._pool, self._pairs, 2 * PAGE)
        self._pairs = 0
        rate = begun[-1]
        size = state.charge(rate.block_bytes)
        time = min(passed, hours - rate.hours)
        self._left += rate.bytes_per_hour * time * self._random.uniform(1 - _JITTER, 1 + _JITTER)
        blocks = int(self._left / size)
        if blocks <= 0:
            return
        self._left -= blocks * size
        fit = max(0, state.room(self._pool)) // size
        asked = blocks if blocks <= fit else fit + min(blocks - fit, _RETRIES)
        given = state.allocate(self._tag, self._pool, asked, rate.block_bytes)
        if self._busy:
            state.turn_over(self._tag, self._pool, int(given * self._busy))


class ComesAndGoes:
    """A driver that is loaded for a job and unloaded after it, again and again, and each time leaves memory behind."""

    def __init__(self, tag: str, pool: Pool, driver: str, *, times: int, hours: float, left_bytes: int) -> None:
        self._tag, self._driver = tag, driver
        self._pool: Pool = pool
        self._times, self._every, self._left_bytes = times, hours / times, left_bytes
        self._done = 0

    def step(self, state: State, hours: float, _passed: float) -> None:
        """Each job takes half of its turn; the driver is unloaded when it is over."""
        while self._done < self._times and hours >= (self._done + 0.5) * self._every:
            self._done += 1
            blocks = self._left_bytes // state.charge(_JOB_BLOCK)
            given = state.allocate(self._tag, self._pool, blocks, _JOB_BLOCK)
            state.turn_over(self._tag, self._pool, given * 3)
            state.unloaded.append(UnloadedModule(name=self._driver, size=_IMAGE, time=self._time(state, hours)))

    def _time(self, state: State, hours: float) -> datetime:
        late = hours - (self._done - 0.5) * self._every
        return state.at - timedelta(hours=late)


_JOB_BLOCK = 496
_IMAGE = 24 * PAGE
