"""The journal: a frame for each sample since the last sealing.

A file begins with ``JOURNAL_MAGIC`` and a frame with the recording's description. A frame is a head of 16 bytes
(``_MAGIC``, length of its content, CRC-32 of its content, CRC-32 of these 12 bytes; little-endian) and its content,
compressed with zstd: two lengths, JSON of that length, then the columns of the tags. A frame that is torn or damaged
is left out, and the samples after it up to the next one that holds everything.
"""

import json
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import zstandard

from poolsleuth.model.errors import InputError
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.recording.changes import LARGEST, Codes, Entry, Name, ProcessKey
from poolsleuth.sampling.recording.layout import (
    JOURNAL_MAGIC,
    LAST_NUMBER,
    MAX_FIGURES,
    MAX_PROCESSES,
    MAX_TEXT,
    Description,
    clean,
    described,
)
from poolsleuth.sampling.sample import MAX_TAGS, Floats, ProcessRow

MAX_JOURNAL_BYTES = 1 << 30  # of a journal that are read: 3 years of samples that could not be sealed
MAX_JOURNAL_CONTENT = 1 << 30  # bytes of all its frames when uncompressed
MAX_JOURNAL_ROWS = 4_000_000  # tags in all its frames: what a part may hold
MAX_FRAME = 32 << 20  # bytes of a frame, also when uncompressed: 200,000 tags with their names take 14 MB
MAX_BROKEN = 100  # damaged frames that are stepped over: more is no journal, and each may cost a CRC of 32 MB

_MAGIC = b"\xf5PSj"  # not UTF-8, so that no text within holds it
_HEAD = struct.Struct("<4sII")
_CHECK = struct.Struct("<I")
_LENGTHS = struct.Struct("<IIII")  # of the JSON in bytes; tags; tags gone; 0
_HEAD_SIZE = _HEAD.size + _CHECK.size
_POOLS = frozenset(kind.value for kind in PoolKind)
_LEVEL = 3


def frame(content: bytes) -> bytes:
    """A frame as it stands in the file."""
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(content)
    head = _HEAD.pack(_MAGIC, len(packed), zlib.crc32(packed))
    return head + _CHECK.pack(zlib.crc32(head)) + packed


def start(description: Description) -> bytes:
    """What a journal begins with."""
    return JOURNAL_MAGIC + frame(description.text().encode())


def packed(entry: Entry) -> bytes:
    """An entry as the frame of a journal."""
    return frame(content_of(entry))


def content_of(entry: Entry) -> bytes:
    """An entry as the content of a frame, not compressed yet."""
    text = json.dumps(
        {
            "n": entry.number,
            "key": entry.key,
            "time": entry.time if math.isfinite(entry.time) else None,
            "booted": entry.booted,
            "complete": entry.complete,
            "sessions": entry.sessions,
            "label": entry.label,
            "names": entry.names,
            "memory": entry.memory,
            "left": entry.left,
            "processes": [(p.pid, p.name, p.session, p.handles, p.nonpaged, p.paged) for p in entry.processes],
            "ended": entry.ended,
        },
        separators=(",", ":"),
    ).encode()
    return b"".join(
        (
            _LENGTHS.pack(len(text), len(entry.codes), len(entry.gone), 0),
            text,
            entry.codes.astype("<u4").tobytes(),
            entry.bytes.astype("<f8").tobytes(),
            entry.count.astype("<f8").tobytes(),
            entry.allocs.astype("<f8").tobytes(),
            entry.gone.astype("<u4").tobytes(),
        )
    )


@dataclass(slots=True)
class Journal:
    """A journal that is read: what it says of the recording, and where it is whole.

    ``description`` is None when not even that can be read. ``begin`` is where its frames begin, ``end`` where the
    last good one ends, ``broken`` how many places were damaged, ``lost`` how many samples cannot be used, about,
    ``content`` how many bytes its frames have when unpacked.
    """

    file: BinaryIO
    where: str
    description: Description | None = None
    begin: int = 0
    end: int = 0
    broken: int = 0
    lost: int = 0
    content: int = 0
    cut: bool = False
    torn: bool = False

    def open(self) -> bool:
        """Read the description; False when there is none (a journal that was just created, or no journal)."""
        self.file.seek(0)
        if self.file.read(len(JOURNAL_MAGIC)) != JOURNAL_MAGIC:
            return False
        content = _content(self.file, len(JOURNAL_MAGIC))
        if content is None:
            return False
        try:
            self.description = described(content[0], self.where)
        except InputError:
            return False
        self.begin = self.end = content[1]
        return True

    def opened(self) -> "Iterator[tuple[Entry, list[Name]]]":
        """The samples of a journal that was not opened yet; none when it is no journal."""
        return self.entries() if self.open() else iter(())

    def entries(self) -> Iterator[tuple[Entry, list[Name]]]:
        """The samples in order, each with the list of names that its codes point into (it grows until a key entry).

        Sets ``end`` and what else is said of the journal.
        """
        at, total, rows, names, usable, number = self.begin, 0, 0, list[Name](), False, -1
        while True:
            if at >= MAX_JOURNAL_BYTES or total > MAX_JOURNAL_CONTENT or rows > MAX_JOURNAL_ROWS:
                self.cut = True
                return
            content = _content(self.file, at)
            entry = None if content is None else _entry(content[0])
            if content is None or entry is None:
                usable = False
                found = None if self.broken >= MAX_BROKEN else _next_frame(self.file, at + 1)
                if found is None:
                    self.torn = self.file.seek(0, 2) > at
                    return
                self.broken += 1
                at = found
                continue
            at = self.end = content[1]
            total += len(content[0])
            self.content = total
            rows += entry.rows
            if entry.key:
                names, usable = [], True
            if not usable or entry.number <= number or not _fits(entry, len(names)):
                self.lost += 1
                usable = False
                continue
            number = entry.number
            names.extend(entry.names)
            yield entry, names


def _content(file: BinaryIO, at: int) -> tuple[bytes, int] | None:
    """The content of the frame at a place and where it ends; None when there is no whole frame."""
    file.seek(at)
    head = file.read(_HEAD_SIZE)
    if len(head) < _HEAD_SIZE:
        return None
    magic, length, check = _HEAD.unpack_from(head)
    if magic != _MAGIC or length > MAX_FRAME or _CHECK.unpack_from(head, _HEAD.size)[0] != zlib.crc32(head[:12]):
        return None
    data = file.read(length)
    if len(data) < length or zlib.crc32(data) != check:
        return None
    try:
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= MAX_FRAME:
            return None
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=MAX_FRAME), at + _HEAD_SIZE + length
    except zstandard.ZstdError:
        return None


def _next_frame(file: BinaryIO, at: int) -> int | None:
    """Where the next thing that looks like the head of a frame begins."""
    block = 1 << 20
    while at < MAX_JOURNAL_BYTES:
        file.seek(at)
        data = file.read(block + _HEAD_SIZE)
        found = data.find(_MAGIC)
        while 0 <= found < block:
            head = data[found : found + _HEAD_SIZE]
            if len(head) == _HEAD_SIZE and _CHECK.unpack_from(head, _HEAD.size)[0] == zlib.crc32(head[:12]):
                return at + found
            found = data.find(_MAGIC, found + 1)
        if len(data) < block:
            return None
        at += block
    return None


def _entry(content: bytes) -> Entry | None:
    """The sample of a frame; None when it is none, whatever its CRC says."""
    try:
        length, tags, gone, _ = _LENGTHS.unpack_from(content)
        at = _LENGTHS.size + length
        if max(tags, gone) > MAX_TAGS or len(content) != at + tags * 28 + gone * 4:
            return None
        raw = json.loads(content[_LENGTHS.size : at])
        number, time = raw["n"], raw["time"]
        if type(number) is not int or not 0 <= number <= LAST_NUMBER:
            return None
        lists = (raw["names"], raw["memory"], raw["left"], raw["processes"], raw["ended"])
        if any(len(part) > most for part, most in zip(lists, _MOST, strict=True)):
            return None
        return Entry(
            number,
            raw["key"] is True,
            math.nan if time is None else float(time),
            None if raw["booted"] is None else float(raw["booted"]),
            raw["complete"] is True,
            _text(raw["label"]),
            [_name(item) for item in raw["names"]],
            _codes(content, at, tags),
            _floats(content, at + tags * 4, tags),
            _floats(content, at + tags * 12, tags),
            _floats(content, at + tags * 20, tags),
            _codes(content, at + tags * 28, gone),
            {_text(name): float(value) for name, value in raw["memory"].items()},
            [_text(name) for name in raw["left"]],
            [_process(item) for item in raw["processes"]],
            [_process_key(item) for item in raw["ended"]],
            raw["complete"] is True and raw.get("sessions") is True,
        )
    except (struct.error, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


_MOST = (2 * MAX_TAGS, MAX_FIGURES, MAX_FIGURES, MAX_PROCESSES, MAX_PROCESSES)


def _codes(content: bytes, at: int, count: int) -> Codes:
    return np.frombuffer(content, "<u4", count, at).astype(np.uint32, copy=False)


def _floats(content: bytes, at: int, count: int) -> Floats:
    return np.frombuffer(content, "<f8", count, at).astype(np.float64, copy=False)


def _fits(entry: Entry, known: int) -> bool:
    """Whether the codes of an entry name tags that are in the list."""
    names = known + len(entry.names)
    largest = max((int(codes.max()) for codes in (entry.codes, entry.gone) if len(codes)), default=-1)
    return largest < names <= 2 * MAX_TAGS


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise TypeError
    return clean(value)


def _session(value: object) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not -(2**31) <= value < 2**31:
        raise TypeError
    return value


def _name(item: list[object]) -> Name:
    tag, pool, session = item
    if not isinstance(pool, str) or pool not in _POOLS:
        raise ValueError
    return _text(tag), pool, _session(session)


def _process_key(item: list[object]) -> ProcessKey:
    pid, name, session = item
    if type(pid) is not int or not 0 <= pid <= 0xFFFF_FFFF:
        raise ValueError
    return pid, _text(name), _session(session)


def _process(item: list[object]) -> ProcessRow:
    pid, name, session = _process_key(item[:3])
    handles, nonpaged, paged = item[3:]
    return ProcessRow(pid, name, _figure(handles), _figure(nonpaged), _figure(paged), session)


def _figure(value: object) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise ValueError
    return value
