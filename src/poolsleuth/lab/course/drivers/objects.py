"""Programs and drivers that keep kernel objects: handles never closed, references never given back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from poolsleuth.lab.course.state import State
from poolsleuth.lab.usual_figures import Pool

_JITTER = 0.2
_FIRST_HANDLES = 400
_HANDLES_PER_TABLE = 256


@dataclass(frozen=True, slots=True)
class Part:
    """What belongs to each object: so many blocks of a tag, of so many bytes as asked for."""

    tag: str
    pool: Pool
    each: float
    block_bytes: int


class ObjectLeak:
    """So many objects an hour that stay, each with its parts. ``process`` holds a handle to each; None for a driver's
    reference, which no handle shows."""

    def __init__(self, parts: Sequence[Part], random: Random, *, per_hour: float, process: str | None) -> None:
        self._parts, self._random, self._per_hour, self._process = tuple(parts), random, per_hour, process
        self._left = 0.0
        self._owed = [0.0] * len(self._parts)
        self._handles = _FIRST_HANDLES

    def step(self, state: State, _hours: float, passed: float) -> None:
        """Open what is opened in this time; a request that fails opens nothing."""
        self._left += self._per_hour * passed * self._random.uniform(1 - _JITTER, 1 + _JITTER)
        count = int(self._left)
        self._left -= count
        for number, part in enumerate(self._parts):
            self._owed[number] += count * part.each
            blocks = int(self._owed[number])
            self._owed[number] -= blocks
            given = state.allocate(part.tag, part.pool, blocks, part.block_bytes)
            if number == 0:
                count = given
            state.turn_over(part.tag, part.pool, given // 8)
        if self._process is None:
            return
        tables = (self._handles + count) // _HANDLES_PER_TABLE - self._handles // _HANDLES_PER_TABLE
        state.allocate("Obtb", "paged", tables, 4096)
        self._handles += count
        for place, process in enumerate(state.processes):
            if process.name == self._process:
                state.processes[place] = replace(process, handles=self._handles + self._random.randrange(20))
