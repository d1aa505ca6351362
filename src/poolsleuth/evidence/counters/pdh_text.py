"""Reads a counter log in text form (CSV, TSV). Not written yet."""

import re
from collections.abc import Callable, Iterator

from poolsleuth.evidence.counters.log import CounterRow, Wanted
from poolsleuth.evidence.source import Readable
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Problem
from poolsleuth.model.series import CounterPath

_PDH_TEXT = re.compile(r'^\ufeff?"?\((?:PDH-[CT]SV|[^()"\r\n]{0,60}(?:Time|Zeit|Heure)[^()"\r\n]{0,20}\)\(-?\d+\))')


def looks_like_pdh_text(text: str) -> bool:
    """Whether the beginning of a text is that of a counter log."""
    return _PDH_TEXT.match(text.lstrip()) is not None


class PdhTextReader:
    """Reads a counter log in text form."""

    def __init__(
        self, stream: Readable, input_index: int, wanted: Wanted, progress: Callable[[], None] | None = None
    ) -> None:
        self._stream = stream
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
        raise InputError("it is a performance counter log in text form, which is not read yet")
