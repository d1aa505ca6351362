"""Reads a binary counter log (.blg), and says what an event trace (.etl) without counters is."""

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

from poolsleuth.evidence.counters.blg.clock import LocalClock
from poolsleuth.evidence.counters.blg.columns import Columns
from poolsleuth.evidence.counters.blg.container import (
    BufferOrder,
    Events,
    LogFileHeader,
    buffer_order,
    read_log_file_header,
)
from poolsleuth.evidence.counters.blg.cook import Cooker
from poolsleuth.evidence.counters.blg.counter_list import read_counter_list
from poolsleuth.evidence.counters.blg.losses import Loss, Losses
from poolsleuth.evidence.counters.blg.records import Assembler, Record, RecordKind
from poolsleuth.evidence.counters.blg.samples import SampleReader
from poolsleuth.evidence.counters.blg.titles import Titles
from poolsleuth.evidence.counters.log import CounterRow, Wanted
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Problem, Where
from poolsleuth.model.series import CounterPath
from poolsleuth.model.system import TargetInfo

TRACE_BUFFERS = 8  # buffers with events and without a counter record that prove a trace: a .blg has nothing else
MAX_PROBED = 4096  # buffers looked at for that: a file may begin with space that was never written

_RELOG = "on a Windows machine, `relog in.blg -f csv -o out.csv` may still convert it; give that file"
_TELL_BYTES = 1 << 22
_ARCHITECTURES = {4: "x86", 8: "x64"}


class BlgReader:
    """Reads a .blg as a stream, in the order of its buffers' sequence numbers.

    Memory grows with the counters that are wanted and with the names of all instances, not with the file. A log's
    damage is told in ``problems``, one per kind, once the rows have run out.
    """

    def __init__(
        self, file: BinaryIO, input_index: int, wanted: Wanted, progress: Callable[[int], None] | None = None
    ) -> None:
        self._file = file
        self._input = input_index
        self._progress = progress
        self._losses = Losses(input_index)
        self.columns: list[CounterPath] = []
        self.problems: list[Problem] = []
        self.facts: list[Fact] = []
        self.utc = True
        self._columns = Columns(wanted, self._losses, self.columns)
        self._titles = Titles()
        self._samples = SampleReader(self._columns, self._titles, self._losses)
        self._cooker = Cooker(self._columns, self._losses)
        self._records = 0
        self._others = 0
        self._unlisted = 0
        self._rows = 0

    @property
    def series(self) -> int:
        """Counters of the log seen so far, wanted or not."""
        return self._columns.series

    def rows(self) -> Iterator[CounterRow]:
        """The samples in the order of time.

        Raises InputError for an event trace without counters, and for a log of which no sample can be read.
        """
        try:
            yield from self._read()
        finally:
            self.problems[:] = self._losses.problems()

    def _read(self) -> Iterator[CounterRow]:
        length = self._file.seek(0, os.SEEK_END)
        header = read_log_file_header(self._file, length)
        if not header.buffer_size:
            raise InputError("it looks like a counter log (.blg) or a trace (.etl), but its header is damaged")
        self._refuse_trace(length, header.buffer_size)
        order = buffer_order(self._file, length, header.buffer_size, self._losses, self._progress)
        clock = LocalClock(header.zone)
        for row in _in_order(self._dated(header, order, clock), self._losses):
            self._rows += 1
            self.utc = clock.utc
            yield row
        self._judge(header, length)

    def _refuse_trace(self, length: int, size: int) -> None:
        """Decide on the first buffers alone: a trace of 64 GB is not read to its end to say that it is one."""
        silent = Losses(self._input)
        others = with_events = 0
        for number in range(min(length // size + 1, MAX_PROBED)):
            self._file.seek(number * size)
            events = Events(self._file.read(size), number * size, silent)
            if any(True for _ in events):
                return
            # The first buffer holds events about the log itself, also in a .blg
            if number and events.others:
                others += events.others
                with_events += 1
                if with_events == TRACE_BUFFERS:
                    raise _is_trace(others, f"its first {TRACE_BUFFERS} buffers with events")

    def _dated(self, header: LogFileHeader, order: BufferOrder, clock: LocalClock) -> Iterator[CounterRow]:
        searched = False
        assembler = Assembler(self._losses, header.log_guid)
        done = told = 0
        for position in order.positions():
            self._file.seek(position)
            events = Events(self._file.read(order.size), position, self._losses)
            for event in events:
                self._records += 1
                record = assembler.add(event, position)
                if record is not None:
                    if record.kind == RecordKind.SAMPLE and not searched:
                        searched = True
                        self._search_names(header, order, record)
                    row = self._take(record, clock)
                    if row is not None:
                        yield row
            self._others += events.others if position else 0
            done += order.size
            if self._progress is not None and done - told >= _TELL_BYTES:
                told = done
                self._progress(done)
        assembler.finish()

    def _search_names(self, header: LogFileHeader, order: BufferOrder, first: Record) -> None:
        """When a log does not begin with what names its values, look for that in all of it.

        A circular log may have written over its beginning; whether Windows writes the list again is not known.
        """
        has_titles = self._titles.generation > 0
        if self._samples.explains(first.data, has_list=self._samples.started, has_titles=has_titles):
            return
        silent = Losses(self._input)
        assembler = Assembler(silent, header.log_guid)
        for position in order.positions():
            self._file.seek(position)
            for event in Events(self._file.read(order.size), position, silent):
                if event.kind not in (RecordKind.COUNTERS, RecordKind.TITLES):
                    continue
                record = assembler.add(event, position)
                if record is None:
                    continue
                if record.kind == RecordKind.TITLES and not has_titles:
                    self._titles.add(record.data)
                elif record.kind == RecordKind.COUNTERS and not self._samples.started:
                    self._samples.start(read_counter_list(record.data, silent))

    def _take(self, record: Record, clock: LocalClock) -> CounterRow | None:
        """Use one record: a sample gives a row, when its time is good."""
        if record.kind == RecordKind.TITLES:
            self._titles.add(record.data)
        elif record.kind == RecordKind.COUNTERS:
            self._samples.start(read_counter_list(record.data, self._losses, record.offset))
        elif record.kind == RecordKind.SAMPLE:
            sample = self._samples.read(record.data)
            if sample.listed and not self._samples.started:
                self._unlisted += 1
                self._losses.add(Loss.UNLISTED, offset=record.offset)
                if not sample.raws:
                    return None
            time = clock.seconds(record.time, sample.hints, sure=sample.sure)
            if time is None:
                self._losses.add(Loss.TIME, offset=record.offset)
                return None
            return CounterRow(time, self._cooker.cook(sample.raws))
        return None

    def _judge(self, header: LogFileHeader, length: int) -> None:
        """What the whole log tells, once it is read."""
        if not self._records:
            if self._others:
                raise _is_trace(self._others, "it")
            raise InputError(
                "it is an ETW log file (.blg or .etl) that holds no event: it was cut off, or copied while it was"
                " written; give a whole counter log (.blg)"
            )
        if not self._rows:
            if self._unlisted:
                raise InputError(
                    "it is a binary counter log (.blg) whose list of counters is lost, so that its values have no"
                    f" names; {_RELOG}"
                )
            raise InputError(f"it is a binary counter log (.blg) in which no sample can be read; {_RELOG}")
        buffers = -(-length // header.buffer_size)
        if header.end_time <= 0 or header.buffers_written <= 0:
            self._losses.say(
                "the counter log was not closed: it was copied while it was written, or the machine went down; its"
                " last samples may be missing"
            )
        elif length % header.buffer_size or (not header.circular and buffers < header.buffers_written):
            self._losses.add(Loss.CUT, max(header.buffers_written - length // header.buffer_size, 1), offset=length)
        self._losses.add(Loss.LOST, header.events_lost)
        self._tell_machine(header)

    def _tell_machine(self, header: LogFileHeader) -> None:
        """The header speaks of the machine that wrote the log: of a log with several, it is not known which."""
        architecture = _ARCHITECTURES.get(header.pointer_size or 0)
        if len(self._columns.hosts) != 1:
            return
        (host,) = self._columns.hosts
        if host is None and header.build is None and architecture is None:
            return
        self.facts.append(
            TargetInfo(where=Where(self._input), build=header.build, architecture=architecture, computer=host)
        )


def _is_trace(events: int, where: str) -> InputError:
    return InputError(
        f"it is an ETW trace (.etl) without performance counters ({where} held {events:,} events, none of them a"
        " counter record); give the performance counter log (.blg, or .csv) of the same time instead, or open the"
        " trace in Windows Performance Analyzer"
    )


def _in_order(rows: Iterator[CounterRow], losses: Losses) -> Iterator[CounterRow]:
    """Rows whose times ascend. Others are left out and counted.

    One row is held back: when the next two go on before it, it is the one whose time is wrong.
    """
    held: CounterRow | None = None
    last: float | None = None
    for row in rows:
        if held is None:
            if last is None or row.time > last:
                held = row
            else:
                losses.add(Loss.BACKWARDS)
        elif row.time > held.time:
            yield held
            last, held = held.time, row
        else:
            losses.add(Loss.BACKWARDS)
            if last is None or row.time > last:
                held = row
    if held is not None:
        yield held
