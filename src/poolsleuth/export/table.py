"""All series of some inputs as one table of times and columns, streamed: no more than one row is kept of a counter log.

A counter log is read twice: instances are born while it runs, so that the columns are known only at its end.
"""

import csv
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from math import isfinite
from typing import Protocol

from poolsleuth.evidence.counters.log import CounterRow
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.evidence.recognise import Content, content_of
from poolsleuth.evidence.source import SAMPLE_BYTES, Source, open_source, sources
from poolsleuth.model.errors import InputError
from poolsleuth.model.report import InputKind
from poolsleuth.model.series import CounterPath, CounterSeries, TagHistory, moment
from poolsleuth.reading import EVERYTHING, Progress, Selection, open_counter_log, read_all

COUNTERS = (Content.COUNTER_LOG, Content.TRACE_OR_BLG)
TAG_OBJECT = "Pool Tag"  # our own object name for the columns of tag tables, which are no performance counters
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TextWriter(Protocol):
    """Where text goes."""

    def write(self, text: str, /) -> object:
        """Write text."""
        ...


@dataclass(slots=True)
class Table:
    """What was written: columns, rows, and the sentences about what could not be used."""

    columns: list[str] = field(default_factory=list)
    rows: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Part:
    """One input's share of the table: ``places`` gives the table's column for each of the input's own.

    ``folds`` tells names that differ in case only for one column: so it is with counters, not with tags.
    """

    name: str
    columns: list[str]
    open: "Callable[[], Iterator[CounterRow]]"
    places: list[int] = field(default_factory=list)
    folds: bool = True

    def key(self, name: str) -> str:
        """By what a column of this input is known in the table."""
        return name.casefold() if self.folds else name


def write_csv(
    paths: Iterable[str], out: TextWriter, *, selection: Selection = EVERYTHING, progress: Progress | None = None
) -> Table:
    """Write all series of some inputs as CSV: a column ``time`` (ISO-8601 UTC with milliseconds), one per counter.

    A cell is empty where a value is missing. ``selection`` keeps only the counters and tags it names, when it names
    any, and the rows inside its time. Nothing is written when no input holds a series: then ``columns`` is empty.
    """
    table = Table()
    parts = list(_parts(list(dict.fromkeys(paths)), selection, table, progress))
    names: dict[str, int] = {}
    for part in parts:
        for name in part.columns:
            if part.key(name) not in names:
                names[part.key(name)] = len(table.columns)
                table.columns.append(name)
        part.places = [names[part.key(name)] for name in part.columns]
    if not table.columns:
        return table
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time", *table.columns])
    for time, cells in _rows(parts, selection):
        row = [""] * (len(table.columns) + 1)
        row[0] = time_text(time)
        for place, value in cells.items():
            row[place + 1] = number_text(value)
        writer.writerow(row)
        table.rows += 1
    return table


def time_text(seconds: float) -> str:
    """ISO-8601 in UTC with milliseconds and ``Z``."""
    at = _EPOCH + timedelta(milliseconds=round(seconds * 1000))
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def number_text(value: float) -> str:
    """The shortest text that reads back as the same number; empty for one that is missing."""
    if not isfinite(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(float(value))


def _rows(parts: Sequence[_Part], selection: Selection) -> Iterator[tuple[float, dict[int, float]]]:
    """The rows of all inputs in the order of time; those of one millisecond in different inputs as one."""

    def stream(index: int, part: _Part) -> Iterator[tuple[int, int, CounterRow]]:
        for row in part.open():
            if moment(row.time) is not None and selection.covers(row.time):
                yield round(row.time * 1000), index, row

    merged = heapq.merge(*(stream(i, part) for i, part in enumerate(parts)), key=lambda item: item[:2])
    for _, group in groupby(merged, key=lambda item: item[0]):
        pending: dict[int, float] = {}
        time: float | None = None
        for _, index, row in group:
            cells = {parts[index].places[column]: value for column, value in row.cells.items()}
            if time is not None and pending.keys() & cells.keys():
                yield time, pending
                pending = {}
            pending.update(cells)
            time = row.time
        if time is not None:
            yield time, pending


def _parts(paths: Sequence[str], selection: Selection, table: Table, progress: Progress | None) -> Iterator[_Part]:
    others: list[str] = []
    for path in paths:
        try:
            found = sources(path)
        except InputError as error:
            table.problems.append(str(error))
            continue
        for source in found:
            content = _content(source, table)
            if content in COUNTERS:
                part = _counter_part(source, content, selection, table, progress)
                if part is not None:
                    yield part
            elif content is not None and path not in others:
                others.append(path)
    if others:
        yield from _tag_parts(others, selection, table, progress)


def _content(source: Source, table: Table) -> Content | None:
    try:
        with open_source(source) as stream:
            return content_of(stream.peek(SAMPLE_BYTES))
    except InputError as error:
        says = str(error)
        table.problems.append(says if says.startswith(source.name) else f"{source.name}: {says}")
        return None


def _wanted(selection: Selection) -> Callable[[CounterPath], bool]:
    if not selection.counters:
        return lambda _: not selection.tags
    return selection.asks_for


def _counter_part(
    source: Source, content: Content, selection: Selection, table: Table, progress: Progress | None
) -> _Part | None:
    columns: list[CounterPath] = []
    try:
        with (
            open_source(source) as stream,
            open_counter_log(source, stream, content, 0, _wanted(selection), progress) as reader,
        ):
            try:
                for _ in reader.rows():
                    pass
            finally:
                table.problems += [f"{source.name}: {problem.says}" for problem in reader.problems]
            columns = reader.columns
            if stream.stopped is not None:
                table.problems.append(f"{source.name}: {stream.stopped}")
            if not reader.utc:
                table.problems.append(
                    f"{source.name}: it does not say its time zone: its times are written as if they were UTC"
                )
    except InputError as error:
        says = str(error)
        table.problems.append(says if says.startswith(source.name) else f"{source.name}: {says}")
        return None
    if not columns:
        if selection.counters:
            table.problems.append(f"{source.name}: it holds no counter that {', '.join(selection.counters)} names")
        return None

    def rows() -> Iterator[CounterRow]:
        with (
            open_source(source) as stream,
            open_counter_log(source, stream, content, 0, _wanted(selection), progress) as reader,
        ):
            yield from reader.rows()

    return _Part(source.name, [_one_line(path.text) for path in columns], rows)


def _one_line(name: str) -> str:
    """A column's name as one line: line breaks in it come from damage, and readers of CSV disagree about them."""
    return "".join(c if c.isprintable() or c > "\x9f" else " " for c in name)


def _tag_parts(paths: Sequence[str], selection: Selection, table: Table, progress: Progress | None) -> Iterator[_Part]:
    """Tag tables over time, as columns of an object of our own name, and the counters that a recording holds."""
    # A dump has no series: it is not worth a download
    read = read_all(paths, progress, selection, DumpOptions(offline=True))
    table.problems += [problem.says for problem in read.problems]
    asked = _wanted(selection)
    for entry, facts in zip(read.inputs, read.facts, strict=True):
        series = [fact for fact in facts if isinstance(fact, CounterSeries) and asked(fact.path)]
        # Counters of a recording are sampled together, but not every one each time
        for one in series:
            yield _Part(entry.name, [_one_line(one.path.text)], partial(_rows_of, one))
        if selection.counters and not selection.tags:
            if entry.kind is InputKind.RECORDING and not series:
                table.problems.append(f"{entry.name}: it holds no counter that {', '.join(selection.counters)} names")
            continue
        for history in (fact for fact in facts if isinstance(fact, TagHistory)):
            part = _history_part(entry.name, history, selection)
            if part is not None:
                yield part


def _rows_of(series: CounterSeries) -> Iterator[CounterRow]:
    for time, value in zip(series.times, series.values, strict=True):
        if isfinite(value):
            yield CounterRow(time, {0: value})


def _history_part(name: str, history: TagHistory, selection: Selection) -> _Part | None:
    names: list[str] = []
    columns = []
    for key, column in history.columns.items():
        if selection.tags and not selection.asks_for_tag(key.tag):
            continue
        session = "" if key.session is None else " all sessions" if key.session == -1 else f" session {key.session}"
        instance = f"{key.tag} {key.pool}{session}"
        for counter, values in (("Bytes", column.bytes), ("Outstanding", column.outstanding)):
            names.append(_one_line(CounterPath(None, TAG_OBJECT, instance, counter).text))
            columns.append(values)
    if not names:
        return None

    def rows() -> Iterator[CounterRow]:
        for place, time in enumerate(history.times):
            cells = {i: values[place] for i, values in enumerate(columns) if isfinite(values[place])}
            yield CounterRow(time, cells)

    return _Part(name, names, rows, folds=False)
