"""Tables of tags as CSV or TSV: one table or many over time, columns in any order, of one machine or of several.

Also read are the output of ``poolsleuth tags --csv`` and files in which a line ``Summary1,<date>`` dates the table
below it. A line that names columns may come again: joined files are common.
"""

import csv
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np

from poolsleuth.evidence.dates import DateText, find_date
from poolsleuth.evidence.debugger_log.decode import SAMPLE_BYTES, decoded_chunks, encoding_of
from poolsleuth.evidence.source import Readable
from poolsleuth.evidence.tag_history import MAX_COLUMNS, pool_of
from poolsleuth.evidence.tag_store import Codes, RawRow, TagStore
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Problem, Where
from poolsleuth.model.series import TagKey
from poolsleuth.model.system import TargetInfo
from poolsleuth.model.tags import TagRow

MAX_MACHINES = 50  # of one file, told apart by a column
MAX_TIMES = 200_000  # different dates of one machine: beyond, tables are left out
_MAX_NUMBER = 20  # digits
_AT_ONCE = 20_000  # lines that are read at once
_FEW = 200  # lines below which that is not worth it
_SEARCHED = 40  # lines in which the first header is looked for
_DELIMITERS = (",", ";", "\t")
_NAMES = {
    "time": "time timestamp datetime timeutc utc timegenerated collected collectedat when snapshottime",
    "date": "date day",
    "tag": "tag pooltag tagname",
    "pool": "type pool pooltype",
    "allocs": "allocs allocations alloc alloccount allocated",
    "frees": "frees freed free freecount deallocations",
    "outstanding": "diff outstanding difference inuse live count",
    "bytes": "bytes bytesused usedbytes totalbytes used usage size sizebytes",
    "session": "session sessionid",
    "host": "computer host machine computername hostname machinename server node",
    "description": "description comment",
    "binary": "driver binary source mappeddriver",
}
_COLUMNS = {name: column for column, names in _NAMES.items() for name in names.split()}
# Where several columns of a file have names of the same meaning
_PREFERRED = {name: rank for names in _NAMES.values() for rank, name in enumerate(names.split())}
_FIGURES = ("allocs", "frees", "outstanding", "bytes")
_GROUPED = re.compile(r"-?\d{1,3}(?:[,.' \u00a0\u202f]\d{3}){1,6}")
_EPOCH = re.compile(r"\d{9,10}(?:\.\d{1,9})?")
_MILLISECONDS = re.compile(r"\d{12,13}")
_FILETIME = re.compile(r"1[23]\d{16}")  # 1981 to 2044
_FILETIME_EPOCH = 11_644_473_600


def looks_like_tag_csv(sample: str) -> bool:
    """Whether the beginning of an input names the columns of a table of tags."""
    lines = [line for line in sample.split("\n", _SEARCHED + 1)[:_SEARCHED] if line.strip()]
    return any(_header(line) is not None for line in lines)


def read_tag_csv(
    stream: Readable,
    input_index: int,
    modified: datetime | None,
    problems: list[Problem],
    progress: Callable[[], None],
) -> list[Fact]:
    """The first and last table of each machine, and a ``TagHistory`` of all. A column of computers gives a
    ``TargetInfo`` each.

    ``modified``, the file's own time, dates a table without a date. Raises InputError when no row can be read.
    """
    reader = _Reader(input_index)
    sample = b""
    while len(sample) < SAMPLE_BYTES and (more := stream.read(SAMPLE_BYTES - len(sample))):
        sample += more
    for chunk in decoded_chunks(stream, encoding_of(sample), sample):
        reader.take(chunk)
        progress()
    return reader.facts(modified, problems)


@dataclass(frozen=True, slots=True)
class _Header:
    """What the columns of a table are: places by column, and the sign between them."""

    delimiter: str
    places: dict[str, int]
    width: int  # cells
    last: int  # the place of the last cell that a row must have


def _header(line: str) -> _Header | None:
    for delimiter in _DELIMITERS:
        names = ["".join(c for c in cell.lower() if c.isalnum()) for cell in _cells(line.rstrip("\r\n"), delimiter)]
        places: dict[str, int] = {}
        for place, name in enumerate(names):
            column = _COLUMNS.get(name)
            if column is not None and (column not in places or _PREFERRED[name] < _PREFERRED[names[places[column]]]):
                places[column] = place
        if {"tag", "pool"} <= places.keys() and places.keys() & {"bytes", "outstanding", "allocs"}:
            return _Header(delimiter, places, len(names), max(places["tag"], places["pool"]))
    return None


def _cells(line: str, delimiter: str) -> list[str]:
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return line.split(delimiter)


class _Reader:
    """Reads the lines of one file."""

    def __init__(self, input_index: int) -> None:
        self._input = input_index
        self._header: _Header | None = None
        self._line = 0
        self._stores: dict[str, TagStore] = {}
        self._dates: dict[str, DateText | None] = {}
        self._keys: dict[tuple[str, str, str], TagKey | None] = {}
        self._above = ""  # the date above the table
        self._skipped = 0
        self._first_skipped: int | None = None

    def take(self, text: str) -> None:
        """The next lines."""
        lines = list(_lines(text))
        start = 0
        while start < len(lines):
            piece = lines[start : start + _AT_ONCE]
            start += len(piece)
            if self._header is None or len(piece) < _FEW or not self._take_frame(piece, self._header):
                for line in piece:
                    self._line += 1
                    if line.strip():
                        self._take_line(line)

    def _take_frame(self, lines: list[str], header: _Header) -> bool:
        """Many lines at once. False when there is anything but rows among them: then nothing is taken."""
        from poolsleuth.evidence.tag_frame import frame_of  # noqa: PLC0415 - polars takes a quarter of a second to load

        frame = frame_of(lines, header.delimiter, header.places, header.width)
        if frame is None:
            return False
        keys = [self._known_key((tag, pool, session)) for tag, pool, session, _ in frame.keys]
        if None in keys or len(self._dates) + len(frame.times) > MAX_TIMES:
            return False
        hosts = [host.strip().lstrip("\\") for *_, host in frame.keys]
        number_of = {host: number for number, host in enumerate(dict.fromkeys(hosts))}
        host_of = np.array([number_of[host] for host in hosts], np.int64)[frame.key_of]
        times = [self._known_time(date.strip(), time.strip()) for date, time in frame.times]
        known = [key for key in keys if key is not None]
        for host, number in number_of.items():
            mine = np.flatnonzero(host_of == number)
            raw = partial(self._raw, header, lines, frame.lines[mine])
            figures = (frame.bytes[mine], frame.outstanding[mine], frame.allocs[mine])
            self._store(host).add_many(frame.time_of[mine], times, known, frame.key_of[mine], figures, raw)
        self._line += len(lines)
        return True

    def _raw(self, header: _Header, lines: list[str], numbers: Codes, row: int) -> RawRow:
        number = int(numbers[row])
        return self._line + number + 1, _cells(lines[number], header.delimiter), header.places

    def _take_line(self, line: str) -> None:
        header = self._header
        if header is not None:
            cells = line.split(header.delimiter) if '"' not in line else _cells(line, header.delimiter)
            if len(cells) > header.last:
                key = self._key(header, cells)
                if key is not None:
                    places = header.places
                    raw = (self._line, cells, places)
                    if not self._store(_cell(cells, header.places.get("host")).lstrip("\\")).add(
                        self._time(header, cells), key, _figures(raw), raw
                    ):
                        self._skip()
                    return
        found = _header(line)
        if found is not None:
            self._header = found
        elif find_date(line) is not None:
            self._above = line
        elif header is not None:
            self._skip()

    def _key(self, header: _Header, cells: list[str]) -> TagKey | None:
        """The tag and pool of a row; None when the cells are no row."""
        places = header.places
        session = places.get("session", -1)
        return self._known_key(
            (cells[places["tag"]], cells[places["pool"]], cells[session] if 0 <= session < len(cells) else "")
        )

    def _known_key(self, printed: tuple[str, str, str]) -> TagKey | None:
        if printed not in self._keys:
            if len(self._keys) > 2 * MAX_COLUMNS:
                self._keys.clear()
            tag, pool = printed[0].rstrip(" \0"), pool_of(printed[1])
            fits = tag.strip() and len(tag) <= 4 and pool is not None
            self._keys[printed] = TagKey(tag, pool, _number(printed[2].strip())) if fits and pool else None
        return self._keys[printed]

    def _skip(self) -> None:
        self._skipped += 1
        if self._first_skipped is None:
            self._first_skipped = self._line

    def _store(self, host: str) -> TagStore:
        store = self._stores.get(host)
        if store is None:
            if len(self._stores) >= MAX_MACHINES:
                raise InputError(
                    f"it holds tables of more than {MAX_MACHINES} computers; give the tables of one or of some of them"
                )
            store = self._stores[host] = TagStore(MAX_TIMES)
            for each in self._stores.values():
                each.share(len(self._stores))
        return store

    def _time(self, header: _Header, cells: list[str]) -> str:
        return self._known_time(_cell(cells, header.places.get("date")), _cell(cells, header.places.get("time")))

    def _known_time(self, date: str, time: str) -> str:
        text = f"{date} {time}".strip() or self._above
        if text not in self._dates and len(self._dates) <= MAX_TIMES:
            self._dates[text] = _date(text)
        return text

    def facts(self, modified: datetime | None, problems: list[Problem]) -> list[Fact]:
        """Everything that was read. Raises InputError when there is no row."""
        if not self._stores:
            raise InputError("it names the columns of a table of tags, but no row of it can be read")
        if self._skipped:
            problems.append(
                Problem(
                    f"{self._skipped:,} lines are no rows of its table and were left out",
                    Where(self._input, self._first_skipped),
                )
            )
        facts: list[Fact] = []
        unknown: str | None = None
        numbered = all(host.isdecimal() for host in self._stores)
        for host, store in self._stores.items():
            if host and not (numbered and len(self._stores) == 1):
                computer = f"machine {host}" if numbered else host
                facts.append(TargetInfo(where=Where(self._input, store.first_line), computer=computer))
            found, problem = store.facts(self._input, self._dates, modified, self._row)
            facts += found
            unknown = unknown or problem
            if store.lost:
                problems.append(
                    Problem(
                        f"it names more than {MAX_COLUMNS:,} different tags: the others were left out", facts[0].where
                    )
                )
        if unknown is not None:
            problems.append(Problem(f"the times of its tables are not known: {unknown}", Where(self._input)))
        return facts

    def _row(self, key: TagKey, raw: RawRow) -> TagRow:
        line, cells, places = raw
        allocs, frees, outstanding, size = _counts(raw)
        return TagRow(
            tag=key.tag,
            pool=key.pool,
            allocs=allocs,
            frees=frees,
            outstanding=outstanding,
            bytes=size,
            where=Where(self._input, line),
            description=_cell(cells, places.get("description")) or None,
            binary=_cell(cells, places.get("binary")) or None,
        )


def _counts(raw: RawRow) -> list[int | None]:
    """Allocations, frees, outstanding and bytes of a row."""
    _, cells, places = raw
    numbers = [_number(_cell(cells, places.get(name))) for name in _FIGURES]
    allocs, frees, outstanding, size = numbers
    if outstanding is None and allocs is not None and frees is not None:
        outstanding = allocs - frees
    if size is not None and -(1 << 31) <= size < 0:
        size += 1 << 32  # printed as a signed number of 32 bits
    return [_count(number) for number in (allocs, frees, outstanding, size)]


def _figures(raw: RawRow) -> tuple[float, float, float]:
    """Bytes, outstanding and allocations of a row as columns hold them."""
    _, cells, places = raw
    try:
        size, outstanding, allocs = (int(cells[places[name]]) for name in ("bytes", "outstanding", "allocs"))
        if size >= 0 and outstanding >= 0 and allocs >= 0:
            return float(size), float(outstanding), float(allocs)
    except (ValueError, LookupError, OverflowError):
        pass
    counts = _counts(raw)
    size_, outstanding_, allocs_ = (math.nan if n is None else float(n) for n in (counts[3], counts[2], counts[0]))
    return size_, outstanding_, allocs_


def _lines(text: str) -> Iterator[str]:
    return (line.rstrip("\r") for line in text.split("\n")[: None if text[-1:] != "\n" else -1])


def _cell(cells: Sequence[str], place: int | None, *, strip: bool = True) -> str:
    if place is None or place >= len(cells):
        return ""
    return cells[place].strip() if strip else cells[place]


def _number(text: str) -> int | None:
    if len(text) <= _MAX_NUMBER and text.isascii() and text.removeprefix("-").isdecimal():
        return int(text)
    if len(text) > 2 * _MAX_NUMBER:
        return None
    if _GROUPED.fullmatch(text):
        return int(re.sub(r"[^\d-]", "", text))
    whole, dot, rest = text.partition(".")
    if dot and not rest.strip("0") and len(whole) <= _MAX_NUMBER and whole.removeprefix("-").isdecimal():
        return int(whole)
    return None


def _count(number: int | None) -> int | None:
    return number if number is not None and 0 <= number < 1 << 63 else None


def _date(text: str) -> DateText | None:
    seconds = math.nan
    if _EPOCH.fullmatch(text):
        seconds = float(text)
    elif _MILLISECONDS.fullmatch(text):
        seconds = int(text) / 1000
    elif _FILETIME.fullmatch(text):
        seconds = int(text) / 10_000_000 - _FILETIME_EPOCH
    if math.isnan(seconds):
        found = find_date(text)
        return found if found is not None and found.year is not None else None
    date = datetime.fromtimestamp(math.floor(seconds), UTC)
    of_day = date.hour * 3600 + date.minute * 60 + date.second + seconds - math.floor(seconds)
    return DateText(date.year, date.month, date.day, known=True, seconds=of_day, offset=0)
