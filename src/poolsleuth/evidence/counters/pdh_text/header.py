r"""The header line of a counter log: what the times are measured in, and a counter's path per column.

    "(PDH-CSV 4.0) (Pacific Standard Time)(480)","\\HOST\Object(instance)\Counter",...

The prefix may be missing, the zone too (typeperf), and zone names hold commas and parentheses: the last number in
parentheses is the bias in minutes, UTC = local + bias, daylight saving time included. A cell that is no path (the
caption that perfmon can append) is no counter.
"""

import csv
import re
from dataclasses import dataclass

from poolsleuth.evidence.counters.log import MAX_COLUMNS
from poolsleuth.evidence.counters.pdh_text.paths import counter_path
from poolsleuth.model.series import CounterPath
from poolsleuth.windows.counters import known

MAX_PREAMBLE_LINES = 40  # lines before the header: a blank one, a prompt, the command's echo
MAX_BIAS = 24 * 60  # minutes
MAX_TIME_CELL = 300  # characters of the first cell: a zone's name has at most 31

_DELIMITERS = (",", "\t", ";")
_PREFIX = re.compile(r'"?\(PDH-[CT]SV[ ]\d{1,3}\.\d{1,3}\)')
# How the first cell of such a header ends and the second begins: with a path of at least object and counter
_PATH_AHEAD = r'"?[,;\t]"?(?:\\\\[^\\",;\t\r\n]{1,256})?\\[^\\\r\n]{1,1024}\\[^\\\r\n]'
_ZONE = re.compile(rf'"?(?:\(PDH-[CT]SV[^)\r\n]{{0,20}}\)[ ]?)?\([^"\\\r\n]{{0,200}}\)\(-?\d{{1,4}}\){_PATH_AHEAD}')
# What remains of a first line: part of its prefix, or a sample where the header should be
_REMAINS = re.compile(
    r"[^\r\n]{0,4}PDH.?[CT]SV.{0,2}\d|[^\r\n]{0,6}-[CT]SV.{0,2}\d\.\d|"
    r'"?\d\d/\d\d/\d{4} \d\d:\d\d:\d\d\.\d{3}"?[,;\t]"?(?:[-\d. ]|")'
)
_PATH_CELL = re.compile(r'[,;\t]"\\{1,2}[^"\\\r\n]{1,256}\\[^"\r\n]{1,1024}"')
_PATHS_OF_A_HEADER = 2  # paths in quotes that only such a line has
_MAX_DAMAGED = 8192  # characters of it that are looked at
# Other programs' names of the column of times
_TIME_WORD = re.compile(
    rf'"?[^"\\,;\t\r\n]{{0,60}}?(?:time|date|zeit|datum|heure|fecha|hora|data|tijd|время|дата|日付|時刻|时间|時間)'
    rf'[^"\\,;\t\r\n]{{0,60}}{_PATH_AHEAD}',
    re.IGNORECASE,
)
_BIAS = re.compile(r"\(([+-]?\d{1,5})\)")
_UTC = re.compile(r"\((?:UTC|GMT|Coordinated Universal Time)\)\s*\(0\)\s*$", re.IGNORECASE)
# What Windows writes where UTF-8 is not asked for, by language
_CODE_PAGES = ("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp932", "cp936", "cp949", "cp950")
_ESXTOP_OBJECTS = frozenset({"Physical Cpu", "Group Cpu", "Vcpu", "Group Memory", "Numa Node", "Power"})
_PIECES = 4  # pieces that a header is cut into at its delimiters, for each column: names may hold some
_SCORED_BYTES = 1 << 20  # of a header line, out of which its code page is told: some 15,000 columns
_MAX_SCORED = 2000  # columns looked at to tell the code page


def looks_like_pdh_text(text: str) -> bool:
    """Whether the beginning of a text (64 KB are enough) is that of a counter log in text form.

    One whose header is damaged or lost is one too, so that the reader can say so.
    """
    start = 0
    text = text.lstrip("\ufeff")
    if is_damaged_header(text.lstrip().partition("\n")[0]):
        return True
    for _ in range(MAX_PREAMBLE_LINES):
        line_end = re.compile(r"[\r\n]").search(text, start)
        if is_header(text, start):
            return True
        if line_end is None:
            return False
        start = line_end.end()
    return False


def is_damaged_header(line: str) -> bool:
    """Whether a line that is no header still shows that it was one, or is a sample in PDH's form without a header."""
    head = line[:_MAX_DAMAGED].lstrip()
    return _REMAINS.match(head) is not None or len(_PATH_CELL.findall(head)) >= _PATHS_OF_A_HEADER


def is_header(text: str, start: int = 0) -> bool:
    """Whether a header line begins at ``start`` of a text; the line may be cut."""
    return any(shape.match(text, start) is not None for shape in (_PREFIX, _ZONE, _TIME_WORD))


@dataclass(frozen=True, slots=True)
class Header:
    """One header line. ``paths`` has one entry per column after the first, None for one that is no counter.

    ``bias`` is in minutes, None when the line does not say it. ``utc`` is True when it says that times are UTC, so
    that no clock change can occur. ``esxtop`` is True when its counters are those of ESXTOP, which writes month/day
    without milliseconds. ``cut`` counts columns above ``MAX_COLUMNS``, which were left out.
    """

    delimiter: str
    paths: tuple[CounterPath | None, ...]
    bias: int | None
    utc: bool
    esxtop: bool
    cut: int = 0

    @property
    def width(self) -> int:
        """Cells that a row has at least: the column of times, and everything up to the last counter."""
        return 1 + max((at for at, path in enumerate(self.paths, 1) if path is not None), default=0)


def parse_header(line: bytes) -> Header | None:
    """The header in a line; None when it is none."""
    head = line[: MAX_TIME_CELL * 8].decode("utf-8", errors="replace")
    if not is_header(head):
        return None
    text = _decoded(line)
    delimiter = _delimiter(text)
    (first, *cells), cut = _cells(text, delimiter)
    first = first[:MAX_TIME_CELL]
    pdh = _PREFIX.match(first) is not None
    zone = first[first.index(")") + 1 :] if pdh else first
    biases = [int(found) for found in _BIAS.findall(zone)]
    bias = biases[-1] if biases and abs(biases[-1]) <= MAX_BIAS else None
    paths = tuple(map(counter_path, cells))
    if not pdh and not any(paths):
        return None
    utc = _UTC.search(zone) is not None
    esxtop = pdh and utc and any(path is not None and path.object in _ESXTOP_OBJECTS for path in paths)
    return Header(delimiter, paths, bias, utc, esxtop, cut)


def _delimiter(text: str) -> str:
    """What stands between the first and the second path, or before the first."""
    counts = {d: text.count(f'{d}"\\') or text.count(f"{d}\\") for d in _DELIMITERS}
    if any(counts.values()):
        return max(_DELIMITERS, key=lambda delimiter: counts[delimiter])
    return "\t" if "(PDH-TSV" in text[:MAX_TIME_CELL] else ","


def _cells(text: str, delimiter: str) -> tuple[list[str], int]:
    """The first cell and at most ``MAX_COLUMNS`` others; and how many were left out."""
    text = text.strip(" ")
    most = MAX_COLUMNS + 1
    if len(text) >= 2 and text[0] == '"' == text[-1] and '""' not in text:
        # An instance may hold a single quote, which PDH does not double
        between = f'"{delimiter}"'
        cells = text[1:-1].split(between, most)
        if all(cell.startswith("\\") for cell in cells[1:-1]):
            return cells[:most], sum(1 + cell.count(between) for cell in cells[most:])
    cut = 0
    pieces = text.split(delimiter, _PIECES * most)
    if len(pieces) > _PIECES * most:
        cut = 1 + pieces[-1].count(delimiter)
        text = text[: -1 - len(pieces[-1])]
    try:
        cells = next(csv.reader([text], delimiter=delimiter), [""])
    except csv.Error:  # a cell above the module's bound
        cells = [cell.strip('"') for cell in pieces]
    return cells[:most], cut + max(len(cells) - most, 0)


def _decoded(line: bytes) -> str:
    """UTF-8, or the code page that makes known counters out of most paths; cp1252 when none does."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        pass
    sample = line[:_SCORED_BYTES]
    page = max(_CODE_PAGES, key=lambda page: _known_paths(sample.decode(page, errors="replace")))
    return line.decode(page, errors="replace")


def _known_paths(text: str) -> int:
    cells = _cells(text, _delimiter(text))[0][1 : _MAX_SCORED + 1]
    paths = [path for path in map(counter_path, cells) if path is not None]
    return sum(known(path.object, path.counter) is not None for path in paths)
