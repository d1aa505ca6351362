"""The counters of a log: which of them are wanted, their column numbers, and how many there are."""

from array import array
from collections.abc import Hashable

from poolsleuth.evidence.counters.blg.counter_types import Formula
from poolsleuth.evidence.counters.blg.losses import Loss, Losses
from poolsleuth.evidence.counters.log import MAX_COLUMNS, Wanted
from poolsleuth.model.series import CounterPath

MAX_SEEN_CHARACTERS = 64 << 20  # of names of instances that are remembered so that each is asked for and counted once
_NAME_COST = 64  # what a remembered name costs beside its characters

NO_COLUMN = -1


class Columns:
    """Gives each wanted counter a column. ``series`` counts all counters, ``hosts`` names all machines.

    ``formulas`` and ``time_bases`` are by column.
    """

    def __init__(self, wanted: Wanted, losses: Losses, paths: list[CounterPath]) -> None:
        self._wanted = wanted
        self._losses = losses
        self._numbers: dict[CounterPath, int] = {}
        self._seen: dict[Hashable, int] = {}
        self._cost = 0
        self.paths = paths
        self.formulas = array("b")
        self.time_bases = array("d")
        self.series = 0
        self.hosts: dict[str | None, None] = {}

    def remember(self, name: str) -> bool:
        """Whether there is room to remember one more name of an instance; counts what it costs."""
        if self._cost > MAX_SEEN_CHARACTERS:
            return False
        self._cost += len(name) + _NAME_COST
        return True

    def single(self, path: CounterPath, formula: Formula | None, time_base: float) -> int:
        """The column of a counter; ``NO_COLUMN`` for one that is not wanted or that has no formula."""
        number = self._seen.get(path)
        if number is None:
            if not self.remember(path.text):
                self._losses.add(Loss.COLUMNS)
                return NO_COLUMN
            number = self._seen[path] = self.count(path, formula, time_base)
        return number

    def count(self, path: CounterPath, formula: Formula | None, time_base: float) -> int:
        """As ``single``, for a counter that the caller knows to be new."""
        self.series += 1
        if formula is None or not self._wanted(path):
            return NO_COLUMN
        number = self._numbers.get(path)
        if number is None:
            if len(self.paths) >= MAX_COLUMNS:
                self._losses.add(Loss.COLUMNS)
                return NO_COLUMN
            number = self._numbers[path] = len(self.paths)
            self.paths.append(path)
            self.formulas.append(formula)
            self.time_bases.append(time_base)
        return number


def numbered(names: list[str]) -> list[str]:
    """Names of instances as Windows shows them: a name that comes again gets #1, #2 and so on."""
    if len(set(names)) == len(names):
        return names
    found: dict[str, int] = {}
    result: list[str] = []
    for name in names:
        again = found.get(name, 0)
        found[name] = again + 1
        result.append(f"{name}#{again}" if again else name)
    return result
