"""A writer of counter logs in text form, in every dialect, and the reader under test."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from poolsleuth.evidence.counters.log import CounterRow
from poolsleuth.evidence.counters.pdh_text import PdhTextReader
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Problem
from poolsleuth.model.series import CounterPath

Value = float | str | None
START = datetime(2024, 11, 20, 13, 46, 30, 874000, tzinfo=UTC)  # a day above 12: the order of the date shows


@dataclass(frozen=True)
class Dialect:
    """How a program writes a counter log."""

    first: str = "(PDH-CSV 4.0) (Pacific Standard Time)(480)"
    delimiter: str = ","
    quoted: bool = True
    date: str = "%m/%d/%Y %H:%M:%S.%f"
    comma: bool = False
    end: str = "\r\n"
    encoding: str = "utf-8"
    bom: str = ""
    before: str = ""
    after: str = ""
    caption: str | None = None
    missing: str = " "
    bias: int = 480  # minutes: what is taken from UTC for the local time that is written

    def time(self, moment: datetime) -> str:
        """A time as this program writes it."""
        text = (moment - timedelta(minutes=self.bias)).strftime(self.date)
        return text[:-3] if self.date.endswith("%f") else text

    def row(self, cells: Sequence[str]) -> str:
        """One line."""
        if self.quoted:
            cells = [f'"{cell}"' for cell in cells]
        return self.delimiter.join(cells) + self.end

    def value(self, value: Value) -> str:
        """One cell."""
        if value is None:
            return self.missing
        text = value if isinstance(value, str) else repr(value)
        return text.replace(".", ",") if self.comma else text

    def write(
        self, paths: Sequence[str], rows: Sequence[Sequence[Value]], start: datetime = START, step: float = 15.0
    ) -> bytes:
        """A whole log: one row each ``step`` seconds."""
        header = self.row([self.first, *paths, *([] if self.caption is None else [self.caption])])
        lines = [
            self.row([self.time(start + timedelta(seconds=step * number)), *map(self.value, row)])
            for number, row in enumerate(rows)
        ]
        return (self.bom + self.before + header + "".join(lines) + self.after).encode(self.encoding)


@dataclass
class Outcome:
    """What the reader gave; ``error`` is its InputError."""

    rows: list[CounterRow] = field(default_factory=list)
    columns: list[CounterPath] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    utc: bool = True
    series: int = 0
    error: str | None = None

    @property
    def times(self) -> list[float]:
        return [row.time for row in self.rows]

    @property
    def values(self) -> list[dict[str, float]]:
        """By counter path, per row."""
        return [{self.columns[at].text: value for at, value in row.cells.items()} for row in self.rows]

    @property
    def says(self) -> str:
        return "\n".join(problem.says for problem in self.problems)


Read = Callable[..., Outcome]


@pytest.fixture(scope="session")
def dialect() -> type[Dialect]:
    return Dialect


@pytest.fixture(scope="session")
def read() -> Read:
    def run(data: bytes, wanted: Callable[[CounterPath], bool] = lambda _: True) -> Outcome:
        reader = PdhTextReader(io.BytesIO(data), 0, wanted)
        outcome = Outcome()
        try:
            outcome.rows.extend(reader.rows())
        except InputError as error:
            outcome.error = str(error)
        outcome.columns, outcome.problems = reader.columns, reader.problems
        outcome.utc, outcome.series = reader.utc, reader.series
        return outcome

    return run
