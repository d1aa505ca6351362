"""The ETW log file around the records: its header, the order of its buffers, and the events in a buffer.

Layouts: TRACE_LOGFILE_HEADER of the public headers; buffer and event headers as described and checked in our notes on
counter logs. All numbers are little-endian.
"""

import re
import struct
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from poolsleuth.evidence.counters.blg.clock import ZONE_BYTES, TimeZone, read_zone
from poolsleuth.evidence.counters.blg.losses import Loss, Losses

BUFFER_HEADER = 0x48
MIN_BUFFER, MAX_BUFFER = 0x400, 0x1000000
CIRCULAR = 2  # of the log file mode
HEAD_BYTES = 8192  # read for the header: it is some 500 bytes and two names
MAX_TOLD = 1 << 31  # counts of the header beyond are damage

_FIXED = struct.Struct("<I4BIIqIIIIIIII")  # TRACE_LOGFILE_HEADER up to its pointers
_FIXED_AT = 0x68
_GUID_TEXT = re.compile(r"\{?([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})\}?")
_GUID_CHARS = 38
_PROBES = 16  # buffers looked at to choose between two sizes
_SEQUENCE_AT, _USED_AT = 0x18, 0x30
_TELL_EVERY = 4096  # buffers


@dataclass(frozen=True, slots=True)
class LogFileHeader:
    """What the header of the log file says. None is what it does not say or what is damaged; times are FILETIMEs."""

    buffer_size: int
    pointer_size: int | None
    build: int | None
    circular: bool
    end_time: int
    buffers_written: int
    events_lost: int
    zone: TimeZone | None
    log_guid: bytes | None


def read_log_file_header(file: BinaryIO, length: int) -> LogFileHeader:
    """The header of a log file of ``length`` bytes. What is damaged in it is None or 0."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if len(head) < _FIXED_AT + _FIXED.size:
        return LogFileHeader(0, None, None, False, 1, 0, 0, None, None)
    fields = _FIXED.unpack_from(head, _FIXED_AT)
    build, end_time, mode, written, pointer, lost = (fields[at] for at in (5, 7, 10, 11, 13, 14))
    event_type = head[BUFFER_HEADER + 2]
    width = {1: 4, 2: 8}.get(event_type) or (pointer if pointer in (4, 8) else None)
    zone: TimeZone | None = None
    guid: bytes | None = None
    if width is not None:
        zone_at = _FIXED_AT + _FIXED.size + 2 * width
        zone = read_zone(head[zone_at : zone_at + ZONE_BYTES])
        # Boot time, frequency and start time follow, 8-aligned, then clock type, lost buffers, and the log's name
        name_at = (zone_at + ZONE_BYTES + 7 & ~7) + 32
        name = _GUID_TEXT.match(head[name_at : name_at + 2 * _GUID_CHARS].decode("utf-16-le", errors="replace"))
        guid = UUID(name[1]).bytes_le if name else None
    (outer,) = struct.unpack_from("<I", head)
    return LogFileHeader(
        buffer_size=_buffer_size(file, length, outer, fields[0]),
        pointer_size=width,
        build=build if 0 < build < 1 << 17 else None,
        circular=bool(mode & CIRCULAR),
        end_time=end_time,
        buffers_written=written,
        events_lost=lost if lost < MAX_TOLD else 0,
        zone=zone,
        log_guid=guid,
    )


def _buffer_size(file: BinaryIO, length: int, outer: int, inner: int) -> int:
    """The size of the buffers: it stands twice in the header, and one of the two may be damaged. 0 when both are."""
    sizes = [size for size in dict.fromkeys((outer, inner)) if MIN_BUFFER <= size <= MAX_BUFFER and size % 8 == 0]

    def agreeing(size: int) -> int:
        found = 0
        for number in range(1, min(_PROBES, length // size + 1)):
            file.seek(number * size)
            found += file.read(4) == struct.pack("<I", size)
        return found

    return max(sizes, key=agreeing, default=0)


@dataclass(frozen=True, slots=True)
class BufferOrder:
    """Which buffers there are, in the order in which they were written. ``order`` is None when that is the file's.

    ``order`` holds 8 bytes per buffer, so that a log of 64 GB costs 8 MB.
    """

    size: int
    count: int
    order: NDArray[np.int64] | None

    def positions(self) -> Iterator[int]:
        """The offsets of the buffers in the file, in the order of their sequence numbers."""
        numbers = range(self.count) if self.order is None else self.order
        for number in numbers:
            yield int(number) * self.size


def buffer_order(
    file: BinaryIO, length: int, size: int, losses: Losses, tell: Callable[[int], None] | None = None
) -> BufferOrder:
    """Find the order of the buffers from their headers alone, without reading the rest."""
    sequences = array("q")
    damaged: list[int] = []
    signature = struct.pack("<I", size)
    count = (length - BUFFER_HEADER) // size + 1 if length >= BUFFER_HEADER else 0
    skipped = False
    previous = -1
    for number in range(count):
        file.seek(number * size)
        head = file.read(BUFFER_HEADER)
        if len(head) == BUFFER_HEADER and head[:4] == signature:
            (previous,) = struct.unpack_from("<q", head, _SEQUENCE_AT)
        else:
            skipped = True
            if any(head):  # space that was reserved and never written is no damage
                losses.add(Loss.BUFFER, offset=number * size)
            damaged.append(number)
        sequences.append(previous)
        if tell is not None and number % _TELL_EVERY == 0:
            tell(0)
    found = np.frombuffer(sequences, dtype=np.int64) if count else np.zeros(0, np.int64)
    if not skipped:
        found = _repaired(found)
        if bool(np.all(found[1:] >= found[:-1])):
            return BufferOrder(size, count, None)
    order = np.argsort(found, kind="stable")
    if damaged:
        order = order[~np.isin(order, np.array(damaged, dtype=np.int64))]
    return BufferOrder(size, count, order)


def _repaired(
    found: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Sequence numbers, where a single one that is damaged is replaced by the one between its neighbours."""
    if len(found) < 3:
        return found
    before, here, after = found[:-2], found[1:-1], found[2:]
    wrong = (after - before == 2) & (here != before + 1)
    if not wrong.any():
        return found
    repaired = found.copy()
    repaired[1:-1][wrong] = before[wrong] + 1
    return repaired


# --- The events of a buffer ------------------------------------------------------------------------------------------

PDH_CLASS = UUID("933f3bb3-943e-490d-9ced-3cbb14c14479").bytes_le
PDH_HEADER = 0x48  # full trace header, log GUID, chunk number and count

_FULL = (0x0A, 0x14)
_SIZE_AT = {1: 4, 2: 4, 3: 4, 4: 4, 0x10: 4, 0x11: 4, 0x0A: 0, 0x14: 0, 0x12: 0, 0x13: 0}
_LEAST = {1: 0x20, 2: 0x20, 3: 0x18, 4: 0x18, 0x10: 0x10, 0x11: 0x10, 0x0A: 0x30, 0x14: 0x30, 0x12: 0x50, 0x13: 0x50}
_CLASS_AT = 0x18
_UNUSED = (0, 0xFFFFFFFF)
_PDH = struct.Struct("<HBBBBH8xq16x8x16sII")


@dataclass(frozen=True, slots=True)
class PdhEvent:
    """One PDH record or a part of one: ``part`` of ``parts``, from 1. ``time`` is a local FILETIME."""

    kind: int
    time: int
    log_guid: bytes
    part: int
    parts: int
    data: bytes


@dataclass(slots=True)
class Events:
    """The events of one buffer: PDH records as they come, others counted."""

    buffer: bytes
    position: int
    losses: Losses
    others: int = 0

    def __iter__(self) -> Iterator[PdhEvent]:
        """The PDH events in their order. After damage it goes on with the next PDH event that can be found."""
        buffer = self.buffer
        end = self._end()
        at = BUFFER_HEADER
        while at + 8 <= end:
            (word,) = struct.unpack_from("<I", buffer, at)
            if word in _UNUSED:
                return
            kind = word >> 16 & 0xFF
            size = self._size(at, end, word, kind)
            if size is None:
                self.losses.add(Loss.EVENT, offset=self.position + at)
                found = buffer.find(PDH_CLASS, at + _CLASS_AT + 1, end)
                if found < 0:
                    return
                at = found - _CLASS_AT + 7 & ~7  # always further on
                continue
            if kind in _FULL and buffer[at + _CLASS_AT : at + 0x28] == PDH_CLASS:
                if size < PDH_HEADER:
                    self.losses.add(Loss.EVENT, offset=self.position + at)
                else:
                    _, _, _, record, _, _, time, guid, part, parts = _PDH.unpack_from(buffer, at)
                    yield PdhEvent(record, time, guid, part, parts, buffer[at + PDH_HEADER : at + size])
            else:
                self.others += 1
            at += size + 7 & ~7

    def _end(self) -> int:
        if len(self.buffer) < BUFFER_HEADER:
            return 0
        (used,) = struct.unpack_from("<I", self.buffer, _USED_AT)
        # A buffer that was not closed does not say how far it goes; unused space ends it
        return used if BUFFER_HEADER < used <= len(self.buffer) else len(self.buffer)

    def _size(self, at: int, end: int, word: int, kind: int) -> int | None:
        if word & 0xC0000000 != 0xC0000000 or kind not in _SIZE_AT:
            return None
        (size,) = struct.unpack_from("<H", self.buffer, at + _SIZE_AT[kind])
        return size if size >= _LEAST[kind] and at + size <= end else None
