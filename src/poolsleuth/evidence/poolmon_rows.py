"""Rows of poolmon text as columns of numbers, many at a time.

A poolmon prints its numbers right-aligned in columns, so that nearly all rows of a file end each number at the same
place. Such a layout is learnt from one row and tried on all others at once, byte column by byte column; what fits no
layout (numbers too long for their column, collapsed blanks, thousands separators) is read by the expression of rows.
"""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from poolsleuth.evidence.debugger_log.output import integer
from poolsleuth.evidence.poolmon import KINDS, ROW, WRAP

Numbers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

MAX_LAYOUTS = 24  # tried on a block: numbers overflow their columns in a few ways only
MAX_ROW = 600  # characters of a line that can be a row, with its mapped drivers
MAX_TAGS = 200_000  # different tags that are no four ASCII characters: as much as any input has columns
_MAX_DIGITS = 18  # of a number that fits 64 bits
_NO_NUMBER = -(1 << 62)  # of a column that a row does not have
_FIELDS = 5  # allocations, frees, difference, bytes, bytes per allocation
_BLANK, _RETURN, _FEED, _ZERO = 32, 13, 10, 48
_TAG = 4  # characters
_TYPE = 5
_NONPAGED, _PAGED = (np.frombuffer(word, np.uint8) for word in (b"Nonp ", b"Paged"))

_CHANGE = rb"(?: *(\() *-?\d{1,18}(\)))?"
_LINE = re.compile(
    rb" {0,16}[^\x00-\x1f\x7f]{4} (?P<type>Nonp|Paged) "
    + rb" *(\d{1,18})" + _CHANGE + rb" +(\d{1,18})" + _CHANGE + rb" +(\d{1,18})" + _CHANGE
    + rb" +(\d{1,18})" + _CHANGE + rb" +(\d{1,18})(?=[ \r\n])"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in the order of the text; all arrays are of equal length.

    ``offsets`` are the beginnings of their lines, ``tags`` numbers that ``RowParser.name`` understands, ``paged``
    whether the row is of the paged pool. Figures are as printed; a column that a row does not have is below any number
    that poolmon prints.
    """

    offsets: Numbers
    tags: Numbers
    paged: Mask
    allocs: Numbers
    frees: Numbers
    outstanding: Numbers
    bytes: Numbers
    each: Numbers

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.offsets)

    def taken(self, what: "slice | Numbers | Mask") -> "Rows":
        """Some of the rows."""
        return Rows(*(getattr(self, name)[what] for name in self.__dataclass_fields__))


@dataclass(frozen=True, slots=True)
class Figures:
    """The columns of rows that can be believed: bytes and counts, NaN where unknown."""

    bytes: npt.NDArray[np.float64]
    outstanding: npt.NDArray[np.float64]
    allocs: npt.NDArray[np.float64]


def believed(rows: Rows) -> tuple[Mask, Figures]:
    """Which rows hold numbers that belong together, and the figures of these.

    The difference is that of allocations and frees, counters of 32 bits that may have wrapped; or bytes, difference
    and bytes per allocation agree. Bytes that a 32-bit poolmon printed as a negative number are made whole.
    """
    fits = (rows.allocs - rows.frees - rows.outstanding) % WRAP == 0
    positive = rows.outstanding > 0
    agree = positive & (rows.bytes // np.where(positive, rows.outstanding, 1) == rows.each)
    good = fits | agree
    size = rows.bytes[good].astype(np.float64)
    size[(size < 0) & (size >= -(WRAP >> 1))] += WRAP
    outstanding = rows.outstanding[good].astype(np.float64)
    allocs = rows.allocs[good].astype(np.float64)
    allocs[(allocs < 0) & (allocs >= -(WRAP >> 1))] += WRAP
    allocs[~fits[good]] = np.nan
    for column in (size, outstanding, allocs):
        column[column < 0] = np.nan
    return good, Figures(size, outstanding, allocs)


class _Layout:
    """Where the rows of one shape have their tag, type and numbers; ``key`` tells layouts apart."""

    def __init__(self, match: re.Match[bytes], start: int) -> None:
        self.type = match.start("type") - start
        begin = self.type + _TYPE
        fields: list[tuple[int, int]] = []
        self.signs: list[tuple[int, int]] = []
        groups = [group for group in range(2, match.re.groups + 1) if match.start(group) >= 0]
        for group in groups:
            end = match.end(group) - start
            sign = match[group]
            if sign in (b"(", b")"):
                self.signs.append((end - 1, sign[0]))
            else:
                fields.append((begin, end))
            begin = end
        self.fields = fields
        self.width = fields[-1][1]
        self.key = (self.type, tuple(fields), tuple(self.signs))
        self.places = np.concatenate([np.arange(*field) for field in fields])
        # A digit is followed by a digit up to the end of its column
        self.inner = np.concatenate([np.arange(a, b - 1) for a, b in fields])
        # Digits there make a number that is too long to be read here
        self.beyond = np.concatenate([np.arange(a, max(a, b - _MAX_DIGITS)) for a, b in fields])
        self.firsts = np.array([a for a, _ in fields])
        self.lasts = np.array([b - 1 for _, b in fields])

    def fits(self, text: Bytes, digits: Mask) -> Mask:
        """Which rows have this layout; ``text`` is (characters, rows)."""
        blank = text == _BLANK
        ok = (digits | blank)[self.places].all(axis=0)
        ok &= ~(digits[self.inner] & blank[self.inner + 1]).any(axis=0)
        ok &= digits[self.lasts].all(axis=0) & blank[self.firsts].all(axis=0) & ~digits[self.beyond].any(axis=0)
        tag = self.type - 1 - _TAG
        ok &= blank[:tag].all(axis=0) & blank[self.type - 1] & ~blank[tag : tag + _TAG].all(axis=0)
        ok &= (text[tag : tag + _TAG] > _BLANK - 1).all(axis=0)
        word = text[self.type : self.type + _TYPE]
        ok &= (word == _PAGED[:, None]).all(axis=0) | (word == _NONPAGED[:, None]).all(axis=0)
        for place, sign in self.signs:
            ok &= text[place] == sign
        behind = text[self.width]
        ok &= (behind == _BLANK) | (behind == _RETURN) | (behind == _FEED)
        answer: Mask = ok
        return answer


class RowParser:
    """Reads rows out of blocks of one text, and remembers the layouts that it has seen."""

    def __init__(self) -> None:
        self._layouts: list[_Layout] = []
        self._names: dict[str, int] = {}
        self._words: list[str] = []

    def name(self, tag: int) -> str:
        """The tag of a number out of ``Rows.tags``, without the blanks around it."""
        if tag >= WRAP:
            return self._words[tag - WRAP]
        raw = tag.to_bytes(_TAG, "little")
        try:
            return raw.decode("utf-8").strip()
        except UnicodeDecodeError:
            return raw.decode("cp1252", errors="replace").strip()

    def parse(self, block: bytes) -> tuple[Rows, list[tuple[int, bytes]]]:
        """The rows of a block of whole lines, each ended by a line feed, and every other line that is not empty."""
        text = np.frombuffer(block, np.uint8)
        ends = np.flatnonzero(text == _FEED)
        starts = np.empty_like(ends)
        starts[:1] = 0
        starts[1:] = ends[:-1] + 1
        lengths = ends - starts
        filled = lengths > 1  # one character is a carriage return
        starts, lengths = starts[filled], lengths[filled]
        found: list[Rows] = []
        for layout in list(self._layouts):
            if not len(starts):
                break
            starts, lengths = self._apply(layout, text, starts, lengths, found)
        others: list[tuple[int, bytes]] = []
        odd: list[tuple[int, ...]] = []
        tries = 0
        while len(starts):
            start, length = int(starts[0]), int(lengths[0])
            match = _LINE.match(block, start, start + length + 1)
            if match is not None and tries < MAX_LAYOUTS:
                layout = _Layout(match, start)
                if all(known.key != layout.key for known in self._layouts):
                    tries += 1
                    before = len(starts)
                    starts, lengths = self._apply(layout, text, starts, lengths, found)
                    if before - len(starts) > 1:
                        self._layouts = [layout, *self._layouts][:MAX_LAYOUTS]
                    if before > len(starts):
                        continue
            line = block[start : start + length]
            row = self._odd(line, start) if length <= MAX_ROW else None
            if row is None:
                others.append((start, line))
            else:
                odd.append(row)
            starts, lengths = starts[1:], lengths[1:]
        if odd:
            found.append(_rows(np.array(odd, np.int64)))
        return _merged(found), others

    def _apply(
        self, layout: _Layout, text: Bytes, starts: Numbers, lengths: Numbers, found: list[Rows]
    ) -> tuple[Numbers, Numbers]:
        long = np.flatnonzero(lengths >= layout.width)
        if not len(long):
            return starts, lengths
        window = np.lib.stride_tricks.sliding_window_view(text, layout.width + 1)
        lines = np.ascontiguousarray(window[starts[long]].T)
        values = lines - _ZERO  # characters below "0" become large
        digits = values < 10
        ok = layout.fits(lines, digits)
        if not ok.any():
            return starts, lengths
        if not ok.all():
            long, lines, values, digits = long[ok], lines[:, ok], values[:, ok], digits[:, ok]
        values *= digits
        columns = [starts[long], _tags(lines[layout.type - 1 - _TAG : layout.type - 1])]
        columns += [_number(values[a:b]) for a, b in layout.fields]
        found.append(Rows(columns[0], columns[1], lines[layout.type] == _PAGED[0], *columns[2:]))
        rest = np.ones(len(starts), np.bool_)
        rest[long] = False
        return starts[rest], lengths[rest]

    def _odd(self, line: bytes, start: int) -> tuple[int, ...] | None:
        """A row that fits no layout; None for any other line."""
        if b"Nonp" not in line and b"Paged" not in line:
            return None
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            text = line.decode("cp1252", errors="replace")
        match = ROW.match(text)
        if match is None:
            return None
        tag = match["tag"].strip()
        numbers = [
            integer(printed) if (printed := match[name]) else _NO_NUMBER
            for name in ("allocs", "frees", "diff", "bytes", "each")
        ]
        if len(tag) > _TAG or any(abs(number) > 1 << 62 for number in numbers):
            return None
        return start, self._number(tag), KINDS[match["type"]] is KINDS["Paged"], *numbers

    def _number(self, tag: str) -> int:
        if tag.isascii():
            return int.from_bytes(tag.ljust(_TAG).encode("ascii"), "little")
        if tag not in self._names and len(self._words) < MAX_TAGS:
            self._names[tag] = len(self._words)
            self._words.append(tag)
        return WRAP + self._names.get(tag, 0)


def _tags(characters: Bytes) -> Numbers:
    tags = np.zeros(characters.shape[1], np.int64)
    for character in characters[::-1]:
        tags <<= 8
        tags |= character
    return tags


def _number(values: Bytes) -> Numbers:
    """The numbers of one column; ``values`` is (digits, rows), 0 for a blank."""
    used = np.flatnonzero(values.any(axis=1))
    result = np.zeros(values.shape[1], np.int64)
    for digit in values[used[0] if len(used) else len(values) :]:
        result *= 10
        result += digit
    return result


def _rows(table: npt.NDArray[np.int64]) -> Rows:
    offsets, tags, paged, *numbers = table.T
    return Rows(offsets, tags, paged.astype(np.bool_), *numbers)


def _merged(found: list[Rows]) -> Rows:
    if not found:
        return _rows(np.empty((0, 3 + _FIELDS), np.int64))
    if len(found) == 1:
        return found[0]
    columns = [np.concatenate([getattr(rows, name) for rows in found]) for name in Rows.__dataclass_fields__]
    rows = Rows(*columns)
    return rows.taken(np.argsort(rows.offsets, kind="stable"))


def whole_lines(rows: Rows, offset: int) -> Rows:
    """The rows without one at ``offset`` that may have been cut: its last number does not follow from the others."""
    last = np.flatnonzero(rows.offsets == offset)
    if not len(last):
        return rows
    row = int(last[0])
    count, size, each = (int(getattr(rows, name)[row]) for name in ("outstanding", "bytes", "each"))
    if (count > 0 and size // count == each) or (count == 0 and size == each == 0):
        return rows
    return rows.taken(rows.offsets != offset)


__all__ = ["Figures", "RowParser", "Rows", "believed", "whole_lines"]
