"""Rows of tag tables that come in any order, as they do out of a database: by time, by tag, or mixed."""

import math
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from poolsleuth.evidence.dates import DateText, understand
from poolsleuth.evidence.tag_history import Cells, TagCollector
from poolsleuth.model.facts import Fact, Where
from poolsleuth.model.series import TagHistory, TagKey, moment
from poolsleuth.model.tags import Completeness, TagRow, TagTable

MAX_ROWS = 1_000_000  # kept of one input, 40 bytes each
MAX_TABLE = 100_000  # rows of the first and of the last table


Codes = npt.NDArray[np.int64]
Figures = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]
RawRow = tuple[int, Sequence[str], Mapping[str, int]]
Raws = Callable[[int], "RawRow"]
"""A row as read: its line (from 1), its cells, and the places of the columns among them."""


class TagStore:
    """All rows of one machine. When there are too many, every second time is left out, but never first and last."""

    def __init__(self, max_times: int) -> None:
        self._max_times = max_times
        self._limit = MAX_ROWS
        self._stride = 1
        self._numbers: dict[str, int] = {}  # of the times, in the order in which they first appear
        self._tags = TagCollector()
        self._times = array("q")
        self._ids = array("q")
        self._figures = (array("d"), array("d"), array("d"))  # bytes, outstanding, allocations
        self._first: list[tuple[TagKey, RawRow]] = []
        self._last: list[tuple[TagKey, RawRow]] = []
        self.first_line = 0

    @property
    def lost(self) -> int:
        """Rows of tags beyond the bound on tags."""
        return self._tags.lost

    def share(self, parts: int) -> None:
        """The bound is shared by so many stores."""
        self._limit = MAX_ROWS // parts
        self._tags.limit = max(1, TagCollector().limit // parts)

    def add(self, time: str, key: TagKey, figures: tuple[float, float, float], raw: RawRow) -> bool:
        """Keep a row of the table of that time: bytes, outstanding and allocations, NaN where not known.

        False when there are too many times.
        """
        number = self._numbers.get(time)
        latest = len(self._numbers) - 1
        if number is None:
            if len(self._numbers) >= self._max_times:
                return False
            number = latest = self._numbers[time] = len(self._numbers)
            self._last = []
            self.first_line = self.first_line or raw[0]
        if number == 0:
            if len(self._first) < MAX_TABLE:
                self._first.append((key, raw))
        elif number == latest and len(self._last) < MAX_TABLE:
            self._last.append((key, raw))
        if number % self._stride and number != latest:
            return True
        column = self._tags.column(key)
        if column >= 0:
            self._times.append(number)
            self._ids.append(column)
            for values, value in zip(self._figures, figures, strict=True):
                values.append(value)
            if len(self._times) > self._limit and self._stride < len(self._numbers):
                self._thin()
        return True

    def add_many(
        self, times: Codes, texts: Sequence[str], keys: Sequence[TagKey], key_of: Codes, figures: Figures, raw: Raws
    ) -> bool:
        """Keep many rows: of each the number of its time among ``texts`` and of its key among ``keys``.

        ``raw`` gives a row as it was read. False when there are too many times: then nothing is kept.
        """
        fresh = [texts[code] for code in dict.fromkeys(times.tolist()) if texts[code] not in self._numbers]
        if len(self._numbers) + len(fresh) > self._max_times:
            return False
        for text in fresh:
            self._numbers[text] = len(self._numbers)
        if fresh:
            self._last = []
        if not self.first_line:
            self.first_line = raw(0)[0]
        latest = len(self._numbers) - 1
        numbers = np.array([self._numbers.get(text, -1) for text in texts], np.int64)[times]
        for number, table in ((0, self._first), (latest, self._last)):
            if number or table is self._first:
                for row in np.flatnonzero(numbers == number)[: MAX_TABLE - len(table)].tolist():
                    table.append((keys[key_of[row]], raw(row)))
        kept = (numbers % self._stride == 0) | (numbers == latest)
        # Tags are known in the order in which they first appear, as when they are read one by one
        used, firsts = np.unique(key_of, return_index=True)
        ids = np.full(len(keys), -1, np.int64)
        for code in used[np.argsort(firsts)].tolist():
            ids[code] = self._tags.column(keys[code])
        columns = ids[key_of]
        kept &= columns >= 0
        self._times.frombytes(numbers[kept].tobytes())
        self._ids.frombytes(columns[kept].tobytes())
        for values, column in zip(self._figures, figures, strict=True):
            values.frombytes(column[kept].tobytes())
        while len(self._times) > self._limit and self._stride < len(self._numbers):
            self._thin()
        return True

    def _thin(self) -> None:
        self._stride *= 2
        times = np.frombuffer(self._times, np.int64)
        kept = (times % self._stride == 0) | (times == len(self._numbers) - 1)
        self._times = array("q", times[kept].tobytes())
        self._ids = array("q", np.frombuffer(self._ids, np.int64)[kept].tobytes())
        a, b, c = (array("d", np.frombuffer(figure, np.float64)[kept].tobytes()) for figure in self._figures)
        self._figures = (a, b, c)

    def facts(
        self,
        input_index: int,
        dates: Mapping[str, DateText | None],
        modified: datetime | None,
        row: Callable[[TagKey, RawRow], TagRow],
    ) -> tuple[list[Fact], str | None]:
        """First and last table and the history, and why times are unknown (None when they are not).

        ``row`` makes a row of a table out of what was read.
        """
        texts = [dates.get(time) for time in self._numbers]
        written = modified.timestamp() if modified is not None else None
        dated = understand(texts, written)
        times, utc, problem = dated.times, dated.utc, dated.problem
        by = "dates in the file" + (f" ({dated.how})" if dated.how else "")
        if len(times) == 1 and texts[0] is None and written is not None:
            times, utc, by = [written], True, "the file's own time"
        elif all(map(math.isnan, times)):
            by, utc = "", False
            problem = problem or ("they carry no date that can be read" if len(times) > 1 else None)

        def date(number: int) -> datetime | None:
            return moment(times[number]) if utc else None

        last = len(times) - 1
        facts: list[Fact] = list(_tables(self._first, row, date(0)))
        if last > 0:
            facts += _tables(self._last, row, date(last))
        numbers, columns = self._collected(last).columns(
            lambda kept: kept if any(math.isnan(times[n]) for n in kept) else sorted(kept, key=lambda n: times[n])
        )
        facts.append(
            TagHistory(
                where=Where(input_index, self.first_line),
                at=date(0),
                times=array("d", [times[number] for number in numbers]),
                columns=columns,
                snapshots=len(times),
                utc=utc,
                dated_by=by,
            )
        )
        return facts, problem

    def _collected(self, last: int) -> TagCollector:
        """The rows as tables in the order of their numbers."""
        times = np.frombuffer(self._times, np.int64)
        order = np.argsort(times, kind="stable")
        times = times[order]
        ids = np.frombuffer(self._ids, np.int64)[order]
        figures = [np.frombuffer(figure, np.float64)[order] for figure in self._figures]
        self._tags.coarsen(self._stride)
        for number in range(last + 1):
            self._tags.begin()
            if number % self._stride and number != last:
                continue
            start, end = np.searchsorted(times, [number, number + 1])
            part = slice(int(start), int(end))
            self._tags.add(Cells(ids[part], figures[0][part], figures[1][part], figures[2][part]))
        return self._tags


def _tables(
    rows: list[tuple[TagKey, RawRow]], read: Callable[[TagKey, RawRow], TagRow], at: datetime | None
) -> Iterator[TagTable]:
    sessions: dict[int | None, list[TagRow]] = {}
    for key, raw in rows:
        sessions.setdefault(key.session, []).append(read(key, raw))
    for session, found in sessions.items():
        yield TagTable(
            where=found[0].where,
            at=at,
            rows=tuple(found),
            pools=frozenset(row.pool for row in found),
            # A file may hold a selection of the tags, and does not say so
            completeness=Completeness.UNKNOWN,
            session=session,
            source="tag table in CSV",
        )
