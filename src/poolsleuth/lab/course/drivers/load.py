"""Memory that goes with the work: high while there is much of it, and given back when it is done."""

from random import Random

from poolsleuth.lab.course.background import Rhythm
from poolsleuth.lab.course.state import State
from poolsleuth.lab.usual_figures import Pool


class WorkItems:
    """A server's work items: as many as the jobs need, each of ``block_bytes``, up to ``most_bytes`` in all."""

    def __init__(
        self, tag: str, pool: Pool, rhythm: Rhythm, random: Random, *, most_bytes: int, block_bytes: int
    ) -> None:
        self._tag, self._rhythm, self._random = tag, rhythm, random
        self._pool: Pool = pool
        self._most, self._block = most_bytes, block_bytes
        self._held = 0

    def step(self, state: State, hours: float, passed: float) -> None:
        """Allocate or free until there are as many as the work needs now; many come and go in between."""
        part = self._rhythm.job(hours) * self._random.uniform(0.9, 1.0)
        wanted = int(self._most * part) // state.charge(self._block)
        if wanted > self._held:
            self._held += state.allocate(self._tag, self._pool, wanted - self._held, self._block)
        elif wanted < self._held:
            state.free(self._tag, self._pool, self._held - wanted, self._block)
            self._held = wanted
        state.turn_over(self._tag, self._pool, int(wanted * passed * 40))
