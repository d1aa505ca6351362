"""Reads a binary counter log. Not written yet."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

from poolsleuth.evidence.counters.log import CounterRow, Wanted
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Problem
from poolsleuth.model.series import CounterPath


class BlgReader:
    """Reads a .blg. An .etl without counters raises InputError, naming it an ETW trace."""

    def __init__(
        self, file: BinaryIO, input_index: int, wanted: Wanted, progress: Callable[[int], None] | None = None
    ) -> None:
        self._file = file
        self._input = input_index
        self._wanted = wanted
        self._progress = progress
        self.columns: list[CounterPath] = []
        self.problems: list[Problem] = []
        self.facts: list[Fact] = []
        self.utc = True
        self.series = 0

    def rows(self) -> Iterator[CounterRow]:
        """The samples in the order of time."""
        raise InputError("it is an ETW trace or a binary counter log (.etl, .blg), which is not read yet")
