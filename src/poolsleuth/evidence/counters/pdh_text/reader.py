"""Reads a counter log in text form as a stream; of each line only the cells that are wanted become numbers."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from poolsleuth.evidence.counters.log import MAX_COLUMNS, CounterRow, Wanted
from poolsleuth.evidence.counters.pdh_text.cells import LARGEST, Numbers, irregular_row, picked_cells
from poolsleuth.evidence.counters.pdh_text.columns import Columns, Layout
from poolsleuth.evidence.counters.pdh_text.course import TimeCourse
from poolsleuth.evidence.counters.pdh_text.dates import DateColumn, Dated
from poolsleuth.evidence.counters.pdh_text.header import MAX_PREAMBLE_LINES, Header, parse_header
from poolsleuth.evidence.counters.pdh_text.lines import MAX_LINE_BYTES, Lines
from poolsleuth.evidence.counters.pdh_text.stamps import parse_stamp, spoiled
from poolsleuth.evidence.source import Readable
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Problem, Where
from poolsleuth.model.series import CounterPath

MAX_SPOILED_ROWS = 20  # rows without a date, before any good one, after which the rest is not tried
_TRAILERS = (b"Exiting, please wait", b"The command completed successfully")  # typeperf's last words
_LONG_LINE = 4096  # bytes of a line for which cells are picked out by the places of the quotes
_CELLS_OF_A_LINE = 4  # delimiters of a long line, for each cell of the header: beyond, it is none of its samples
_FEW = 0.25  # share of the cells that are needed, up to which that is faster than splitting
_NO_NUMBER = float("inf")
_NO_HEADER = (
    "it looks like a performance counter log, but its header line (the time zone and the names of the counters) is"
    " damaged or missing; give the log as Windows wrote it (`relog IN -f csv -o OUT.csv` writes it anew)"
)
_SHOWN = 40  # characters of a cell that a problem shows


@dataclass(slots=True)
class _Block:
    """The lines from one header to the next."""

    header: Header
    layout: Layout
    dates: DateColumn
    course: TimeCourse
    numbers: Numbers
    mark: bytes  # the delimiter
    between: bytes  # what stands between two values in quotes
    reach: int  # cells that are looked at: the first of a line
    least: int  # cells that a whole line has: at least, and at most
    most: int
    chosen: tuple[int, ...]  # the cells that are needed, when they are few


class PdhTextReader:
    """Reads a counter log in text form (protocol: ``CounterReader``).

    Times are UTC where the header says the zone's bias, else as they stand. Rows come in the order of time within each
    header of the file; where a later header's rows lie before those of an earlier one, a problem says it.
    """

    def __init__(
        self, stream: Readable, input_index: int, wanted: Wanted, progress: Callable[[], None] | None = None
    ) -> None:
        self._lines = Lines(stream, progress)
        self._input = input_index
        self._columns = Columns(wanted)
        self._block: _Block | None = None
        self._counts: Counter[str] = Counter()
        self._first: dict[str, int] = {}  # the line of the first of each kind
        self._rows = 0
        self._spoiled: str | None = None
        self._unreadable = ""  # the first value that is no number
        self._dated = False  # a date was read
        self._last_time: float | None = None
        self.problems: list[Problem] = []
        self.facts: list[Fact] = []
        self.utc = True
        self.columns: list[CounterPath] = self._columns.paths
        self.series = 0

    def rows(self) -> Iterator[CounterRow]:
        """The samples in the order of time.

        Raises InputError when there is no sample, and as soon as it shows that dates cannot be told for certain.
        """
        try:
            for line in self._lines:
                yield from self._line(line)
            yield from self._close()
        finally:
            self._report()
        if self._block is None:
            raise InputError(_NO_HEADER)
        if not self._rows:
            raise InputError(self._spoiled or self._empty())

    def _empty(self) -> str:
        says = "it has the header of a performance counter log, but not one whole sample"
        if not self._counts["lines"]:
            return says
        return (
            f"{says}: line {self._first['lines']:,} does not have a date and one value per counter; give the log as"
            " Windows wrote it (`relog IN -f csv -o OUT.csv` writes it anew)"
        )

    def _line(self, line: bytes) -> Iterator[CounterRow]:
        block = self._block
        if block is None or not line[:2].strip(b'"').isdigit():
            if not line.strip():
                return
            header = parse_header(line)
            if header is not None:
                yield from self._close()
                self._open(header)
                return
            if block is None:
                if self._lines.number > MAX_PREAMBLE_LINES:
                    raise InputError(_NO_HEADER)
                return
        yield from self._sample(block, line)

    def _open(self, header: Header) -> None:
        layout = self._columns.layout(header.paths)
        self.series = self._columns.known
        self._count("cut", header.cut)
        mark = header.delimiter.encode()
        chosen = (0, *(cell for cell, _ in layout.take), *layout.twins)
        self._block = _Block(
            replace(header, paths=()),  # there may be many of them, and they are columns now
            layout,
            DateColumn(trusted=header.esxtop),
            TimeCourse(bias=60.0 * (header.bias or 0), local=not header.utc),
            Numbers(),
            mark,
            b'"' + mark + b'"',
            len(header.paths) + 1,
            header.width,
            len(header.paths) + header.cut + 1,
            chosen if len(chosen) < _FEW * len(header.paths) else (),
        )

    def _sample(self, block: _Block, line: bytes) -> Iterator[CounterRow]:
        if block.chosen and len(line) > _LONG_LINE:
            picked = picked_cells(line, block.mark[0], block.chosen)
            if picked is not None and block.least <= picked[1] <= block.most:
                yield from self._dated_row(block, *picked, line)
                return
        parts = self._split(block, line)
        if parts is not None:
            yield from self._dated_row(block, parts, len(parts), line)

    def _split(self, block: _Block, line: bytes) -> list[bytes] | None:
        """All cells of a line; None when nothing of it can be used."""
        if len(line) > _LONG_LINE and line.count(block.mark) > _CELLS_OF_A_LINE * block.most:
            self._not_a_sample(line)
            return None
        if line.startswith(b'"') and line.endswith(b'"'):
            parts = line[1:-1].split(block.between, block.reach)
            cells = len(parts) + (parts[-1].count(block.between) if len(parts) > block.reach else 0)
            plain = line.count(b'"') == 2 * cells
        else:
            parts = line.split(block.mark, block.reach)
            cells = len(parts) + (parts[-1].count(block.mark) if len(parts) > block.reach else 0)
            plain = b'"' not in line and self._lines.ended
        if not plain or not block.least <= cells <= block.most:
            row = irregular_row(line, block.header.delimiter, block.least, self._lines.ended)
            if row is None or not row.cells:
                self._not_a_sample(line)
                return None
            parts = row.cells
            if not row.whole:
                self._count("short")
            elif len(parts) > block.most:
                self._count("long")
        return parts

    def _dated_row(
        self, block: _Block, parts: Mapping[int, bytes] | Sequence[bytes], width: int, line: bytes
    ) -> Iterator[CounterRow]:
        moment = block.dates.quick(parts[0])
        if moment is not None:
            yield from self._row(block, Dated(moment, None, self._values(block, parts, width), self._lines.number))
            return
        stamp = parse_stamp(parts[0])
        if stamp is None:
            self._no_date(parts[0], line)
            return
        self._dated = True
        if stamp.offset is None and block.header.bias is None:
            self.utc = False
        if not stamp.seconds:
            self._count("seconds")
        for dated in block.dates.add(stamp, self._values(block, parts, width), self._lines.number):
            yield from self._row(block, dated)

    def _values(self, block: _Block, parts: Mapping[int, bytes] | Sequence[bytes], width: int) -> dict[int, float]:
        cells: dict[int, float] = {}
        never_negative = block.layout.never_negative
        for at, column in block.layout.take:
            if at >= width:
                break
            cell = parts[at]
            if not cell or cell == b" ":
                continue
            try:
                value = float(cell)
            except ValueError:
                value = _NO_NUMBER
            if not -LARGEST <= value <= LARGEST or b"_" in cell:
                number = self._number(block, cell)
                if number is None:
                    continue
                value = number
            if value == -1.0 and column in never_negative:
                self._count("minus")
                continue
            cells[column] = value
        for at, column in block.layout.twins.items():
            if at < width and self._number(block, parts[at]) not in (cells.get(column), -1.0):
                self._count("twins")
        return cells

    def _number(self, block: _Block, cell: bytes) -> float | None:
        before = block.numbers.unreadable
        number = block.numbers.number(cell)
        if block.numbers.unreadable > before:
            self._unreadable = self._unreadable or cell[:_SHOWN].decode("latin-1")
            self._count("numbers")
        return number

    def _row(self, block: _Block, dated: Dated) -> Iterator[CounterRow]:
        if dated.offset is not None:
            time = dated.moment / 1000 - 60.0 * dated.offset
            block.course.local = False
        else:
            time = (dated.moment + 60_000 * (block.header.bias or 0)) / 1000
        row = block.course.add(CounterRow(time, dated.cells), dated.line)
        if row is not None:
            yield self._given(row)

    def _given(self, row: CounterRow) -> CounterRow:
        self._rows += 1
        if self._last_time is not None and row.time < self._last_time:
            self._count("blocks")
        self._last_time = row.time
        return row

    def _close(self) -> Iterator[CounterRow]:
        block = self._block
        if block is None:
            return
        for dated in block.dates.finish():
            yield from self._row(block, dated)
        row = block.course.finish()
        if row is not None:
            yield self._given(row)
        self._count("dates", block.dates.rejected, block.dates.first_rejected)
        self._count("backward", block.course.backward, block.course.first_backward)
        self._count("repeated", block.course.repeated, block.course.first_repeated)
        for line in block.course.changes:
            self._count("clock", line=line)

    def _no_date(self, cell: bytes, line: bytes) -> None:
        lost = spoiled(cell)
        if lost is None:
            self._not_a_sample(line)
            return
        text = cell[:_SHOWN].decode("latin-1")
        self._spoiled = self._spoiled or (
            f"its times {lost} (line {self._lines.number:,}: {text!r}), as when a spreadsheet saves a counter log; give"
            " the file as Windows wrote it, or write the times as YYYY-MM-DD HH:MM:SS"
        )
        self._count("dates")
        if not self._dated and self._counts["dates"] >= MAX_SPOILED_ROWS:
            raise InputError(self._spoiled)

    def _not_a_sample(self, line: bytes) -> None:
        if not line.startswith(_TRAILERS):
            self._count("lines")

    def _count(self, kind: str, number: int = 1, line: int | None = None) -> None:
        if number:
            self._counts[kind] += number
            self._first.setdefault(kind, line or self._lines.number)

    def _report(self) -> None:
        self._count("overlong", self._lines.overlong)
        self._count("cut", self._columns.cut)
        for kind, says in _PROBLEMS.items():
            count = self._counts[kind]
            if count:
                self.problems.append(
                    Problem(
                        says.format(n=f"{count:,}", text=self._unreadable), Where(self._input, line=self._first[kind])
                    )
                )


_PROBLEMS = {
    "overlong": f"lines longer than {MAX_LINE_BYTES >> 20} MB, left out: {{n}}",
    "cut": f"counters beyond the first {MAX_COLUMNS:,}, left out: {{n}}",
    "lines": "lines that are no whole sample, left out: {n}",
    "short": "lines with fewer values than the header has counters, used as far as they go: {n}",
    "long": "lines with more values than the header has counters, used without what is left over: {n}",
    "dates": "lines with a date that cannot be read, left out: {n}",
    "seconds": "times without seconds (a spreadsheet drops them), so that rates are rough: {n}",
    "backward": "lines that go back in time, left out: {n}; if the clock was set, give what comes after it as a file of"
    " its own",
    "repeated": "lines with the same time as the line before them: {n}",
    "clock": "jumps of the clock by one hour on the hour, taken for daylight saving time and evened out: {n}",
    "blocks": "logs joined in it that begin before the one before them ends: {n}",
    "numbers": "values that are not numbers (the first is {text!r}), counted as missing: {n}",
    "minus": "values of -1 of counters in bytes or percent, which are no measurement and count as missing: {n}",
    "twins": "lines in which two columns of the same counter differ, read from the first one: {n}",
}
