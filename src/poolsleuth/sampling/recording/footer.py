"""What a Parquet file says of itself, checked before any of it is uncompressed.

Sizes in the footer and in the head of every page are held against bounds here, so that a few kilobytes cannot ask for
gigabytes. The layout is that of Apache Parquet (parquet.thrift) in Thrift's compact protocol; of it only what the
check needs is looked at.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.recording import shapes
from poolsleuth.sampling.recording.layout import (
    DESCRIPTION_KEY,
    MAX_PART_CONTENT,
    MAX_PART_ROWS,
    PARQUET_MAGIC,
    SAMPLES_KEY,
)

MAX_FOOTER = 8 << 20  # bytes of a footer: one of 4 million rows in groups of 8,192 takes 1 MB
MAX_PAGE = 64 << 20  # bytes of a page when uncompressed: a column of a row group takes 2 MB in ours
MAX_PAGES = 200_000  # pages of a file: ours has some 200
MAX_ITEMS = 2_000_000  # values in a footer
MAX_DEPTH = 16  # of structures in structures; the format itself needs 7
_ITEMS_OF_CHUNK = 20  # values of a column chunk, about
_PAGE_HEAD = 65_536  # bytes of the head of a page, statistics included

Value = int | float | bytes | list["Value"] | dict[int, "Value"]


class Buffer(Protocol):
    """Bytes or a mapped file."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: slice, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Footer:
    """``rows`` of the file, the ``columns`` by name, and the text that says whose recording it is (None: nobody's).

    ``samples`` is the text that lists the samples, None when there is none.
    """

    rows: int
    columns: tuple[str, ...]
    description: bytes | None
    samples: bytes | None = None


class _DamagedError(Exception):
    pass


class _Thrift:
    """A reader of the compact protocol. Field identifiers to values; strings stay bytes. IndexError: cut off."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.items = 0

    def _varint(self) -> int:
        value = self.data[self.at]
        self.at += 1
        if value < 0x80:
            return value
        value &= 0x7F
        shift = 7
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise _DamagedError

    def struct(self, depth: int = 0) -> dict[int, Value]:
        if depth > MAX_DEPTH:
            raise _DamagedError
        fields: dict[int, Value] = {}
        identifier = 0
        while True:
            head = self.data[self.at]
            self.at += 1
            kind = head & 15
            if kind == 0:
                return fields
            if head >> 4:
                identifier += head >> 4
            else:
                number = self._varint()
                identifier = (number >> 1) ^ -(number & 1)
            fields[identifier] = (2 - kind) if kind <= 2 else self._value(kind, depth)

    def _value(self, kind: int, depth: int) -> Value:
        self.items += 1
        if self.items > MAX_ITEMS:
            raise _DamagedError
        if kind in (4, 5, 6):
            number = self._varint()
            return (number >> 1) ^ -(number & 1)
        if kind == 8:
            return self.text()
        if kind == 12:
            return self.struct(depth + 1)
        if kind in (9, 10):
            return self._list(depth)
        if kind == 3:
            self.at += 1
            return self.data[self.at - 1]
        if kind == 7:
            self.at += 8
            return struct.unpack_from("<d", self.data, self.at - 8)[0]  # type: ignore[no-any-return]
        raise _DamagedError  # a map: Parquet has none

    def text(self) -> bytes:
        size = self._varint()
        value = self.data[self.at : self.at + size]
        if len(value) < size:
            raise _DamagedError
        self.at += size
        return value

    def _list(self, depth: int) -> Value:
        head = self.data[self.at]
        self.at += 1
        size = head >> 4 if head >> 4 < 15 else self._varint()
        if size > len(self.data) - self.at:
            raise _DamagedError
        inner = head & 15
        if inner in (1, 2):
            self.at += size
            return []
        if inner == 12:
            return [self._chunk() or self._value(inner, depth + 1) for _ in range(size)]
        return [self._value(inner, depth + 1) for _ in range(size)]

    def _chunk(self) -> dict[int, Value] | None:
        """The next structure, if it is a column chunk as polars writes it: of it, what is checked."""
        found = shapes.chunk(self.data, self.at)
        if found is None:
            return None
        self.items += _ITEMS_OF_CHUNK
        if self.items > MAX_ITEMS:
            raise _DamagedError
        self.at = found.end
        column: dict[int, Value] = {5: found.values, 7: found.packed, 9: found.data}
        if found.dictionary is not None:
            column[11] = found.dictionary
        return {3: column}


def checked(data: Buffer, where: str) -> Footer:
    """The footer of a Parquet file whose sizes are all within the bounds. Raises InputError otherwise."""
    try:
        return _checked(data, where)
    except (_DamagedError, IndexError, KeyError, TypeError, AttributeError, ValueError, struct.error):
        raise InputError(f"{where}: the Parquet file is damaged or cut off; give another copy") from None


def _checked(data: Buffer, where: str) -> Footer:
    size = len(data)
    if size < 12 or data[:4] != PARQUET_MAGIC or data[size - 4 : size] != PARQUET_MAGIC:
        raise _DamagedError
    length = int.from_bytes(data[size - 8 : size - 4], "little")
    if length > min(size - 12, MAX_FOOTER):
        raise _DamagedError
    begin = size - 8 - length
    fields = _Thrift(data[begin : size - 8]).struct()
    rows = _count(fields[3])
    columns = _flat(fields[2])
    groups = [_fields(group) for group in _list(fields.get(4, []))]
    if rows > MAX_PART_ROWS or sum(_count(group[3]) for group in groups) != rows:
        raise InputError(
            f"{where}: the file says it has {rows:,} rows; a part of a recording has {MAX_PART_ROWS:,} at most"
        )
    pages = _Pages(data, begin)
    for group in groups:
        chunks = _list(group[1])
        if len(chunks) != len(columns):
            raise _DamagedError
        for chunk in chunks:
            pages.check(_fields(_fields(chunk)[3]), _count(group[3]))
    if pages.content > MAX_PART_CONTENT:
        raise InputError(f"{where}: the file holds {pages.content >> 20:,} MB when unpacked; that is no part of ours")
    texts = {entry.get(1): entry.get(2) for entry in map(_fields, _list(fields.get(5, [])))}
    return Footer(rows, columns, _text(texts.get(DESCRIPTION_KEY.encode())), _text(texts.get(SAMPLES_KEY.encode())))


def glance(data: bytes) -> tuple[bytes | None, bytes | None]:
    """Description and samples by the end of a file alone, unchecked: whoever reads the rows compares with ``checked``.

    ``data`` ends as the file does. None: not found.
    """
    return _found(data, DESCRIPTION_KEY.encode()), _found(data, SAMPLES_KEY.encode())


def _found(data: bytes, key: bytes) -> bytes | None:
    entry = b"\x18" + bytes([len(key)]) + key + b"\x18"
    at = data.rfind(entry)
    if at < 0:
        return None
    try:
        value = _Thrift(data[at + len(entry) :]).text()
    except (_DamagedError, IndexError):
        return None
    return _text(value)


def _text(value: Value | None) -> bytes | None:
    return value if isinstance(value, bytes) else None


def _flat(schema: Value) -> tuple[str, ...]:
    """The names of the columns of a table without nested ones."""
    root, *leaves = [_fields(element) for element in _list(schema)]
    if root.get(5) != len(leaves) or any(5 in leaf or leaf.get(3) not in (0, 1) for leaf in leaves):
        raise _DamagedError
    names = [leaf[4] for leaf in leaves]
    return tuple(name.decode() for name in names if isinstance(name, bytes))


class _Pages:
    """Walks the heads of the pages of all columns, and adds up what they hold when unpacked."""

    def __init__(self, data: Buffer, end: int) -> None:
        self.data = data
        self.end = end
        self.pages = 0
        self.content = 0

    def check(self, chunk: dict[int, Value], rows: int) -> None:
        """One column of one row group."""
        starts = [_count(chunk[key]) for key in (9, 11) if key in chunk]
        at = min((start for start in starts if start), default=0)
        end = at + _count(chunk[7])
        if at < 4 or end > self.end or _count(chunk[5]) != rows:
            raise _DamagedError
        values = 0
        while at < end and values < rows:
            unpacked, packed, inside, head = shapes.page(self.data[at : min(end, at + 512)]) or self._page(at, end)
            if min(unpacked, packed, inside) < 0:
                raise _DamagedError
            self.pages += 1
            self.content += unpacked
            if unpacked > MAX_PAGE or self.pages > MAX_PAGES or self.content > MAX_PART_CONTENT:
                raise _DamagedError
            at += head + packed
            values += inside
        if values != rows or at > end:
            raise _DamagedError

    def _page(self, at: int, end: int) -> shapes.Page:
        """The head of a page of any shape."""
        head = _Thrift(self.data[at : min(end, at + 512)])
        try:
            page = head.struct()
        except IndexError:
            head = _Thrift(self.data[at : min(end, at + _PAGE_HEAD)])
            page = head.struct()
        values = sum(_count(_fields(page[key])[1]) for key in (5, 8) if key in page)
        return shapes.Page(_count(page[2]), _count(page[3]), values, head.at)


def _count(value: Value) -> int:
    if not isinstance(value, int) or value < 0:
        raise _DamagedError
    return value


def _list(value: Value) -> Sequence[Value]:
    if not isinstance(value, list):
        raise _DamagedError
    return value


def _fields(value: Value) -> dict[int, Value]:
    if not isinstance(value, dict):
        raise _DamagedError
    return value
