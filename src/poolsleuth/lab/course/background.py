"""What goes on on any machine: load that comes and goes, and tags that breathe with it. Nothing of it stays."""

from dataclasses import dataclass
from math import cos, pi, sin
from random import Random

from poolsleuth.lab.course.state import POOLS, State
from poolsleuth.lab.machine import TagUse
from poolsleuth.lab.usual_figures import use_of
from poolsleuth.lab.usual_pool import OBJECT_TAGS

_QUIETEST = 4.0  # o'clock
_BUSY = 24  # tags that change with every sample, beside those of objects
_OTHERS = 0.02  # of all other tags so many change from one sample to the next
_MEMORY = 0.8  # of the noise of a sample is that of the one before
_NOISE = 0.004  # of a tag's blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How busy the machine is, from 0 to 1: the day's rhythm, and jobs that run again and again.

    ``day`` and ``jobs`` are their parts of the load; a job comes every ``job_hours`` and takes ``job_share`` of them.
    """

    starts_at: float
    day: float = 0.5
    jobs: float = 0.0
    job_hours: float = 4.0
    job_share: float = 0.5

    def load(self, hours: float) -> float:
        """So many hours after the start."""
        clock = self.starts_at + hours
        daily = 0.5 - 0.5 * cos(2 * pi * (clock - _QUIETEST) / 24)
        return min(1.0, 0.15 + self.day * daily + self.jobs * self.job(hours))

    def job(self, hours: float) -> float:
        """The part of the jobs alone: 0 between two of them, 1 when one is at its height."""
        place = hours / self.job_hours % 1 / self.job_share
        return sin(pi * place) ** 2 if place < 1 else 0.0


@dataclass(slots=True)
class _Breath:
    """One tag of one pool: what it has when the load is even, and how it goes with it."""

    place: int
    pool: int
    blocks: int
    each: int
    swing: float
    per_hour: float
    noise: float = 0.0
    more: int = 0
    seen_at: float = 0.0


class Background:
    """All tags of the usual machine. ``swing``: the part of a tag's blocks that comes and goes with the load.

    The blocks of big allocations and of pages that are really there (all but ``small``) stay as they are.
    """

    def __init__(self, small: dict[str, TagUse], state: State, rhythm: Rhythm, random: Random, *, swing: float) -> None:
        self._rhythm, self._random = rhythm, random
        found = []
        for tag, use in small.items():
            for number, pool in enumerate(POOLS):
                blocks, size = use_of(use, pool).outstanding, use_of(use, pool).bytes
                if blocks < 8:
                    continue
                own = swing * (1 if tag in OBJECT_TAGS else random.choice((0, 0, 0.1, 0.2, 0.5)))
                busy = blocks * 10 ** random.uniform(-2, 1.5)
                found.append(_Breath(state.places[tag], number, blocks, size // blocks, own, busy))
        found.sort(key=lambda breath: -breath.per_hour)
        always = {state.places[tag] for tag in OBJECT_TAGS if tag in state.places}
        self._busy = [b for n, b in enumerate(found) if n < _BUSY or b.place in always]
        self._calm = [b for n, b in enumerate(found) if n >= _BUSY and b.place not in always]
        self._start = rhythm.load(0)

    def step(self, state: State, hours: float, _passed: float) -> None:
        """The next sample."""
        random = self._random
        state.load = min(1.0, max(0.0, self._rhythm.load(hours) * random.uniform(0.93, 1.07)))
        many = int(len(self._calm) * _OTHERS) + 1
        for breath in (*self._busy, *random.sample(self._calm, min(many, len(self._calm)))):
            self._breathe(state, breath, hours)

    def _breathe(self, state: State, breath: _Breath, hours: float) -> None:
        random, pool = self._random, POOLS[breath.pool]
        breath.noise = _MEMORY * breath.noise + random.gauss(0, _NOISE) * breath.blocks
        wanted = breath.blocks * breath.swing * (state.load - self._start) + breath.noise
        more = max(round(wanted) - breath.more, -breath.blocks // 2 - breath.more)
        if more > 0 and state.room(pool) < more * breath.each:
            state.fail(pool, 1, priority=1)
            more = 0
        breath.more += more
        passing = int(breath.per_hour * (hours - breath.seen_at) * state.load * random.uniform(0.5, 1.5))
        breath.seen_at = hours
        state.change(breath.place, pool, more, more * breath.each, passing)
