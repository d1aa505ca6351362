"""Cells of one line, and the numbers in them."""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

_QUOTED = re.compile(rb'"([^"]*)"')
_COMMA = re.compile(rb"([+-]?\d+),(\d+(?:[eE][+-]?\d{1,4})?)")
_TEXT_FOR_NONE = frozenset({b"nan", b"-nan", b"null", b"n/a", b"#n/a", b"inf", b"-inf", b"infinity", b"-infinity"})
_NOT_FINITE = re.compile(rb"[+-]?\d+[.,]#(?:IND|QNAN|SNAN|INF)\d*", re.IGNORECASE)  # as the C runtime prints them
LARGEST = 1.7e308  # what is above is infinity, or so near to it that it is no measurement
_QUOTE = ord('"')


@dataclass(slots=True)
class Numbers:
    """Turns cells into numbers, and counts those that are none.

    ``comma`` is True once a cell shows that the log writes decimal commas: before that, ``1,500`` might be thousands,
    and is not read.
    """

    comma: bool = False
    unreadable: int = 0

    def number(self, cell: bytes) -> float | None:
        """The number in a cell; None for a blank one, and for text, which is counted."""
        cell = cell.strip()
        if not cell:
            return None
        if b"_" not in cell:  # Python takes 1_000 for a number
            try:
                value = float(cell)
            except ValueError:
                pass
            else:
                return value if -LARGEST <= value <= LARGEST else None
            found = _COMMA.fullmatch(cell)
            if found is not None and (self.comma or self._surely_decimal(*found.groups())):
                self.comma = True
                return float(cell.replace(b",", b"."))
        if cell.lower() not in _TEXT_FOR_NONE and _NOT_FINITE.fullmatch(cell) is None:
            self.unreadable += 1
        return None

    @staticmethod
    def _surely_decimal(whole: bytes, fraction: bytes) -> bool:
        return len(fraction) != 3 or len(whole.lstrip(b"+-")) > 3 or whole.lstrip(b"+-").startswith(b"0")


def picked_cells(line: bytes, mark: int, cells: Iterable[int]) -> tuple[Mapping[int, bytes], int] | None:
    """The chosen cells of a line that has all its cells in quotes, and the number of its cells.

    Looks at quotes only, so that a line of thousands of cells costs little when few are chosen. ``mark`` is the
    delimiter's byte. None when the line is not regular.
    """
    bytes_ = np.frombuffer(line, np.uint8)
    quotes = np.flatnonzero(bytes_ == _QUOTE)
    count = len(quotes)
    if count < 2 or count % 2 or quotes[0] != 0 or quotes[-1] != len(line) - 1:
        return None
    ends = quotes[1:-1:2]
    if not (np.all(quotes[2::2] - ends == 2) and np.all(bytes_[ends + 1] == mark)):
        return None
    half = count // 2
    return {at: line[quotes[2 * at] + 1 : quotes[2 * at + 1]] for at in cells if at < half}, half


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one line that is not regular. ``whole`` is False when cells are missing at its end."""

    cells: list[bytes]
    whole: bool


def irregular_row(line: bytes, delimiter: str, width: int, ended: bool) -> Row | None:
    """The cells that stand where they belong, of a line that does not have ``width`` plain cells.

    A line with quotes in every cell may be short (cut) or long, and is used as far as it is whole. One without quotes
    is used when its number of cells is right, or when it is the last one and was cut (``ended`` is False; then its
    last cell may be half a number and is left out). None when nothing of it can be trusted.
    """
    mark = delimiter.encode()
    if b'"' not in line:
        cells = line.split(mark)
        while len(cells) > width and not cells[-1].strip():
            cells.pop()
        if not ended:
            cells.pop()
            return Row(cells, whole=False) if 0 < len(cells) < width else None
        return Row(cells, whole=True) if len(cells) == width else None
    quoted = _quoted_cells(line, mark)
    if len(quoted) >= width or (len(quoted) > 1 and line.startswith(b'"') and not _bare(line, mark)):
        return Row(quoted, whole=len(quoted) >= width)
    try:
        cells = [cell.encode("latin-1") for cell in next(csv.reader([line.decode("latin-1")], delimiter=delimiter), [])]
    except csv.Error:
        return None
    return Row(cells, whole=True) if ended and len(cells) == width and line.count(b'"') % 2 == 0 else None


def _quoted_cells(line: bytes, mark: bytes) -> list[bytes]:
    """The quoted cells at a line's beginning, up to the first that is not whole."""
    cells: list[bytes] = []
    at = 0
    while (found := _QUOTED.match(line, at)) is not None:
        at = found.end()
        if at < len(line) and line[at : at + 1] != mark:
            break
        cells.append(found[1])
        if at >= len(line):
            break
        at += 1
    return cells


def _bare(line: bytes, mark: bytes) -> bool:
    """Whether a line has cells without quotes between others that are whole: it is not cut, but written otherwise."""
    return re.search(re.escape(mark) + rb"[^\"" + re.escape(mark) + rb"]*" + re.escape(mark), line) is not None
