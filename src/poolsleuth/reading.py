"""From paths to facts: opens each input, finds out what it is, and hands it to its reader."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from os import PathLike, fspath
from pathlib import Path

from poolsleuth.evidence.counters.blg.reader import BlgReader
from poolsleuth.evidence.counters.capture import captures
from poolsleuth.evidence.counters.log import CounterReader, SeriesCollector, Wanted
from poolsleuth.evidence.counters.pdh_text import PdhTextReader
from poolsleuth.evidence.debugger_log.bounded import BoundedFacts
from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.evidence.dump.options import AS_FOUND, DumpOptions
from poolsleuth.evidence.dump.reader import read_dump
from poolsleuth.evidence.poolmon_log import read_poolmon_log
from poolsleuth.evidence.poolmonx import read_poolmonx
from poolsleuth.evidence.pooltags import parse_pool_tags
from poolsleuth.evidence.recognise import REFUSALS, Content, content_of
from poolsleuth.evidence.recording import Window
from poolsleuth.evidence.recording_files import RecordingFiles
from poolsleuth.evidence.report import read_report
from poolsleuth.evidence.snapshot_files import SnapshotFiles
from poolsleuth.evidence.source import (
    MAX_UNPACKED_DUMP,
    SAMPLE_BYTES,
    EvidenceStream,
    Source,
    open_source,
    random_access,
    sources,
)
from poolsleuth.evidence.tag_csv import read_tag_csv
from poolsleuth.evidence.time_window import within
from poolsleuth.fusion.times import dated
from poolsleuth.kernel.memory_image.image import image_kind
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Problem, Where
from poolsleuth.model.report import InputKind, Report, ReportInput
from poolsleuth.model.series import CounterPath, CounterSeries, LogSpan
from poolsleuth.windows.counters import english_of, is_wanted

MAX_POOL_TAGS_BYTES = 64 << 20
MAX_HOSTS = 500  # machines named by one counter log
MAX_HASHED_DUMP = 256 << 20  # bytes: reading a larger dump whole for its digest would take longer than diagnosing it

Progress = Callable[[str, int, int | None], None]
"""Called while an input is read: its name, bytes read so far, bytes in all (None when not known)."""


@dataclass(frozen=True, slots=True)
class Selection:
    r"""What of the evidence over time is looked at.

    ``counters`` and ``tags`` are patterns (``*`` any characters, ``?`` one; case does not matter in counters) of what
    is shown beside what the diagnosis needs. ``since`` and ``until`` are seconds since 1970 UTC, None for no bound.
    """

    counters: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None

    def asks_for(self, path: CounterPath) -> bool:
        """Whether a counter was asked for by name: with its host, without it, or by the counter's own name."""
        whole = path.text.casefold()
        without_host = CounterPath(None, path.object, path.instance, path.counter).text.casefold()
        names = (whole, without_host, path.counter.casefold())
        return any(_glob(pattern.casefold()).fullmatch(name) for pattern in self.counters for name in names)

    def asks_for_tag(self, tag: str) -> bool:
        """Whether a tag was asked for."""
        return any(_glob(pattern.rstrip()).fullmatch(tag) for pattern in self.tags)

    def wants(self, path: CounterPath) -> bool:
        """Whether a counter's values are needed, for the diagnosis or because they were asked for."""
        object_, counter = english_of(path)
        return is_wanted(object_, path.instance, counter) or self.asks_for(path)

    @property
    def window(self) -> Window:
        """The time and the tags, as recordings are asked for them."""
        return Window(self.since, self.until, self.asks_for_tag if self.tags else None)

    @property
    def bounded(self) -> bool:
        """Whether only a part of the time is looked at."""
        return self.since is not None or self.until is not None

    def covers(self, time: float) -> bool:
        """Whether a time lies within the bounds. A time that is not known (NaN) does not when there is a bound."""
        return not (self.since is not None and not time >= self.since) and not (
            self.until is not None and not time <= self.until
        )


EVERYTHING = Selection()


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    """Only ``*`` and ``?`` are special: brackets are common in the names of network cards."""
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in re.sub(r"\*+", "*", pattern))
    return re.compile("".join(parts), re.DOTALL)


@dataclass(slots=True)
class Read:
    """What came out of all inputs; ``inputs`` and ``facts`` are of equal length.

    ``drivers`` are inputs that are driver files, or folders of them: their code is searched for the tags that are
    accused, once these are known.
    """

    inputs: list[ReportInput] = field(default_factory=list)
    facts: list[tuple[Fact, ...]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    reports: list[tuple[int, Report]] = field(default_factory=list)
    drivers: list[tuple[int, Path]] = field(default_factory=list)


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):  # no name that a file can have: said where it is opened
        return False


def read_all(
    paths: Iterable[str | PathLike[str]],
    progress: Progress | None,
    selection: Selection = EVERYTHING,
    dumps: DumpOptions = AS_FOUND,
) -> Read:
    """Read every input once. Bad input never raises: it stands in the problems."""
    result = Read()
    snapshots = SnapshotFiles()
    with RecordingFiles() as recordings:
        for path in dict.fromkeys(fspath(path) for path in paths):
            if _is_folder(path):
                result.drivers.append((len(result.inputs), Path(path)))
                result.inputs.append(ReportInput(path, InputKind.DRIVER, None, None))
                result.facts.append(())
                continue
            try:
                found = sources(path)
            except InputError as error:
                result.inputs.append(ReportInput(path, None, None, None))
                result.facts.append(())
                result.problems.append(Problem(str(error), Where(len(result.inputs) - 1)))
                continue
            for source in found:
                index = len(result.inputs)
                _Input(source, index, selection, dumps, progress, recordings).read_into(result)
                result.facts[index] = snapshots.take(index, result.facts[index])
        for recording in recordings.read(selection.window, progress):
            result.facts[recording.index] = recording.facts
            result.problems += [Problem(says, Where(recording.index)) for says in recording.problems]
    snapshots.finish(result.facts)
    return result


@contextmanager
def open_counter_log(
    source: Source,
    stream: EvidenceStream,
    content: Content,
    input_index: int,
    wanted: Wanted,
    progress: Progress | None = None,
) -> Iterator[CounterReader]:
    """The reader of a counter log that is open. Raises InputError when it is none."""

    def report_progress(position: int) -> None:
        if progress is not None:
            progress(source.name, position, source.size)

    if content is Content.COUNTER_LOG:
        yield PdhTextReader(stream, input_index, wanted, lambda: report_progress(stream.position))
        return
    with random_access(source, stream) as file:
        yield BlgReader(file, input_index, wanted, report_progress)


class _Input:
    """One input while it is read."""

    def __init__(
        self,
        source: Source,
        index: int,
        selection: Selection,
        dumps: DumpOptions,
        progress: Progress | None,
        recordings: RecordingFiles,
    ) -> None:
        self._source = source
        self._recordings = recordings
        self._dumps = dumps
        self._index = index
        self._selection = selection
        self._progress = progress
        self._problems: list[Problem] = []
        self._kind: InputKind | None = None

    def read_into(self, result: Read) -> None:
        """Read it, and add what came out."""
        facts: tuple[Fact, ...] = ()
        digest: str | None = None
        try:
            with open_source(self._source) as stream:
                try:
                    facts = self._read(stream, result)
                except InputError as error:
                    self._problem(str(error))
                except Exception as error:  # the one place where a defect of ours must not lose the other inputs
                    self._problem(f"it could not be read (internal error: {error!r})")
                if stream.stopped is not None and not any(p.says.endswith(stream.stopped) for p in self._problems):
                    self._problem(stream.stopped, Where(self._index, offset=stream.position))
                if self._is_hashed(stream):
                    digest = stream.sha256()
        except InputError as error:
            self._problems.append(Problem(str(error), Where(self._index)))
        result.inputs.append(ReportInput(self._source.name, self._kind, self._source.size, digest))
        result.facts.append(facts)
        result.problems += self._problems

    def _is_hashed(self, stream: EvidenceStream) -> bool:
        """Whether the digest is taken: what was unpacked is hashed already, and a plain dump may be very large."""
        large = self._source.size is None or self._source.size > MAX_HASHED_DUMP
        return self._kind is not InputKind.CRASH_DUMP or stream.packed or not large

    def _problem(self, says: str, where: Where | None = None) -> None:
        self._problems.append(Problem(f"{self._source.name}: {says}", where or Where(self._index)))

    def _read(self, stream: EvidenceStream, result: Read) -> tuple[Fact, ...]:
        sample = stream.peek(SAMPLE_BYTES)
        if not sample and stream.stopped is None:
            raise InputError("it is empty")
        content = self._content_of(sample, packed=stream.packed)
        if content is Content.DRIVER and self._is_plain(stream):
            result.drivers.append((self._index, Path(self._source.name)))
            self._kind = InputKind.DRIVER
            return ()
        if content in REFUSALS:
            self._kind = _REFUSED_KINDS.get(content)
            self._problem(REFUSALS[content])
            return ()
        if content is Content.REPORT:
            result.reports.append((self._index, read_report(stream)))
            self._kind = InputKind.REPORT
            return ()
        if content is Content.POOL_TAGS:
            data = stream.read(MAX_POOL_TAGS_BYTES)
            self._kind = InputKind.POOL_TAGS
            return (parse_pool_tags(data.decode("utf-8", errors="replace"), self._index),)
        if content in (Content.CRASH_DUMP, Content.MEMORY_IMAGE):
            self._kind = InputKind.CRASH_DUMP
            with random_access(self._source, stream, MAX_UNPACKED_DUMP, lambda _: self._advance(stream)) as file:
                read = read_dump(file, self._index, self._problems, self._dumps, self._progress)
                return within(tuple(read), self._selection.covers)
        if content in (Content.COUNTER_LOG, Content.TRACE_OR_BLG):
            return self._counter_log(stream, content)
        if content is Content.RECORDING:
            self._recordings.take(self._index, self._source, stream)  # read when all its parts are known
            self._kind = InputKind.RECORDING
            return ()
        if content in _TAG_TABLES:
            tables = _TAG_TABLES[content](
                stream, self._index, self._source.modified, self._problems, lambda: self._advance(stream)
            )
            self._kind = InputKind.POOLMON_LOG
            return within(tables, self._selection.covers)
        facts = self._debugger_log(stream)
        # The banners of the log say when its outputs were printed
        return within(dated(facts), self._selection.covers) if self._selection.bounded else facts

    def _content_of(self, sample: bytes, *, packed: bool) -> Content:
        """What the input is. Raises InputError when it is nothing known.

        A raw image has no mark: it is binary data of a fitting size, which a packed file does not say.
        """
        try:
            return content_of(sample)
        except InputError:
            if not packed and image_kind(sample, self._source.size) is None:
                raise
            return Content.MEMORY_IMAGE

    def _is_plain(self, stream: EvidenceStream) -> bool:
        """Whether the input is a file as it lies on the disk: drivers are read by their paths."""
        return self._source.member is None and not stream.packed

    def _advance(self, stream: EvidenceStream) -> None:
        if self._progress is not None:
            # What is unpacked has no known end
            self._progress(self._source.name, stream.position, None if stream.packed else self._source.size)

    def _counter_log(self, stream: EvidenceStream, content: Content) -> tuple[Fact, ...]:
        collector = SeriesCollector()
        with open_counter_log(
            self._source, stream, content, self._index, self._selection.wants, self._progress
        ) as reader:
            try:
                for row in reader.rows():
                    if self._selection.covers(row.time):
                        collector.add(row)
            finally:
                self._problems += reader.problems
        self._kind = InputKind.COUNTER_LOG
        where = Where(self._index)
        series = collector.series(reader, where)
        hosts = dict.fromkeys(path.host for path in reader.columns if path.host is not None)
        span = LogSpan(
            where=where,
            hosts=tuple(hosts)[:MAX_HOSTS],
            samples=collector.rows,
            series=reader.series,
            first=collector.first,
            last=collector.last,
        )
        if not collector.rows and self._selection.bounded:
            self._problem("it holds no sample in the time that was asked for")
            return ()
        if not series:
            self._problem(
                "it is a counter log, but holds none of the counters that the diagnosis needs"
                " (\\Memory\\Pool Nonpaged Bytes, \\Memory\\Pool Paged Bytes); `poolsleuth collect` prints how to"
                " record them"
            )
            return ()
        # Host by host, so that the bound on machines never cuts one of them in two
        by_host: dict[str | None, list[CounterSeries]] = {}
        for one in series:
            by_host.setdefault(one.path.host, []).append(one)
        told = [fact for mine in by_host.values() for fact in (*captures(mine, where), *mine)]
        return (*reader.facts, span, *told)

    def _debugger_log(self, stream: EvidenceStream) -> tuple[Fact, ...]:
        reader = LogReader(self._index, lambda _: self._advance(stream))
        kept = BoundedFacts()
        for fact in reader.read(stream):
            kept.add(fact)
        self._problems += reader.problems
        for name, count in kept.dropped.items():
            self._problem(
                f"the log is so long that {count:,} facts of kind {name} were left out, evenly spread; the first and"
                " the last are kept"
            )
        facts = kept.facts()
        if not facts:
            if reader.outputs:
                raise InputError(
                    "it holds the beginning of a debugger output ("
                    + ", ".join(sorted(reader.outputs))
                    + ") but no figure that can be used; paste the whole output"
                )
            raise InputError(
                "no output of a debugger command was recognised in it; give the text of `!vm`, `!poolused` and so on,"
                " with their headers"
            )
        only_poolmon = set(reader.outputs) == {"poolmon"}
        self._kind = InputKind.POOLMON_LOG if only_poolmon else InputKind.DEBUGGER_LOG
        return facts


_REFUSED_KINDS = {Content.DRIVER: InputKind.DRIVER}
_TAG_TABLES = {
    Content.POOLMON: read_poolmon_log,
    Content.POOLMONX: read_poolmonx,
    Content.TAG_CSV: read_tag_csv,
}
