"""The file of a binary counter log: an event trace log (.etl) of PDH's events, buffer by buffer.

Buffer headers, the log file header and the events' headers are laid out as in published logs of Windows Vista and 10;
TRACE_LOGFILE_HEADER and TIME_ZONE_INFORMATION are public structures.
"""

import struct
from datetime import datetime
from enum import IntEnum
from typing import BinaryIO
from uuid import UUID

from poolsleuth.lab.course.writers.counter_sheet import frequency
from poolsleuth.lab.course.writers.zone import Zone, filetime, stamp
from poolsleuth.lab.machine import Machine

BUFFER = 65_536
_HEAD = 0x48  # of a buffer, and of an event up to its data
_CHUNK = 8000  # bytes of a record in one event
_FILL = b"\xff"
_PDH = UUID("933f3bb3-943e-490d-9ced-3cbb14c14479")
_VERSION = 60
_THREAD, _PROCESS = 2624, 1756
_LOGGER = 3  # state of a buffer that a logger has written
_FIRST, _DATA = 4, 0  # kinds of buffers
_FLUSHED = 1
_SEQUENTIAL, _PRIVATE_IN_PROCESS = 1, 0x20800
_RESOLUTION = 156_250
_SYSTEM_TIME = 2
_MHZ = 2_400
_FULL_HEADER = {4: 0x0A, 8: 0x14}
_LOG_HEADER = {4: 1, 8: 2}


class Kind(IntEnum):
    """Kinds of PDH's events."""

    COUNTERS = 0x20
    SAMPLE = 0x22
    CATALOG = 0x23
    TITLES = 0x24


class EventLogFile:
    """Writes a log as it grows: one buffer is in memory, the first one is written again at the end."""

    def __init__(self, file: BinaryIO, machine: Machine, began: datetime, zone: Zone, name: str) -> None:
        self._file = file
        self._machine = machine
        self._pointer = machine.windows.pointer
        self._began = self._last = began
        self._zone = zone
        self._name = name
        # One log of a machine and a time has always the same number
        self._guid = UUID(int=filetime(began) << 64 | machine.seed & 0xFFFF_FFFF_FFFF_FFFF, version=4)
        self._events = bytearray()
        self._buffers = 1
        file.write(self._first(ended=None))

    def write(self, kind: Kind, at: datetime, data: bytes) -> None:
        """Add a record of that time (UTC): an event, or several when it is long."""
        parts = [data[place : place + _CHUNK] for place in range(0, len(data), _CHUNK)] or [b""]
        for number, part in enumerate(parts, 1):
            event = self._event(kind, at, number, len(parts), part)
            if _HEAD + len(self._events) + len(event) > BUFFER:
                self._flush(last=False)
            self._events += event
        self._last = at

    def close(self) -> None:
        """Write what is left, and the header with the end time and the number of buffers."""
        self._flush(last=True)
        self._file.seek(0)
        self._file.write(self._first(ended=self._last))

    def _event(self, kind: Kind, at: datetime, number: int, count: int, data: bytes) -> bytes:
        head = struct.pack(
            "<HBBBBHIIq16sII16sII",
            _HEAD + len(data),
            _FULL_HEADER[self._pointer],
            0xC0,
            kind,
            0,
            _VERSION,
            _THREAD,
            _PROCESS,
            stamp(at, self._zone),
            _PDH.bytes_le,
            0,
            0,
            self._guid.bytes_le,
            number,
            count,
        )
        return (head + data).ljust(_HEAD + len(data) + 7 & ~7, b"\0")

    def _flush(self, *, last: bool) -> None:
        self._file.write(self._buffer(self._buffers, bytes(self._events), _DATA, _FLUSHED if last else 0))
        self._buffers += 1
        self._events.clear()

    def _buffer(self, number: int, events: bytes, kind: int, flags: int) -> bytes:
        used = _HEAD + len(events)
        head = struct.pack(
            "<IIIIqqQBBHIIHH16x",
            BUFFER,
            used,
            BUFFER + used if number else 0,
            0,
            filetime(self._last if number else self._began),
            number,
            0,
            0,
            8,
            1,
            _LOGGER,
            used,
            flags,
            kind,
        )
        return (head + events).ljust(BUFFER, _FILL)

    def _first(self, ended: datetime | None) -> bytes:
        windows = self._machine.windows
        body = struct.pack(
            "<I4BIIqIIIIIIII",
            BUFFER,
            windows.major,
            windows.minor,
            1,
            windows.service_pack,
            windows.build,
            1,
            filetime(ended) if ended is not None else 0,
            _RESOLUTION,
            0,
            _SEQUENTIAL | _PRIVATE_IN_PROCESS,
            self._buffers if ended is not None else 0,
            1,
            self._pointer,
            0,
            _MHZ,
        )
        body += b"\0" * 2 * self._pointer + _zone(self._zone, new=windows.build >= 6000)
        body += b"\0" * (-(_HEAD + 0x20 + len(body)) % 8)
        booted = filetime(self._machine.booted_at)
        body += struct.pack("<qqqII", booted, frequency(windows), filetime(self._began), _SYSTEM_TIME, 0)
        body += wide(str(self._guid)) + wide(f"C:\\PoolLogs\\{self._name}")
        head = struct.pack(
            "<HBBHHIIqQ",
            0,
            _LOG_HEADER[self._pointer],
            0xC0,
            0x20 + len(body),
            0,
            _THREAD,
            _PROCESS,
            filetime(self._began),
            0,
        )
        event = head + body
        return self._buffer(0, event.ljust(len(event) + 7 & ~7, b"\0"), _FIRST, _FLUSHED)


def _zone(zone: Zone, *, new: bool) -> bytes:
    """TIME_ZONE_INFORMATION of a zone that knows no daylight saving time; newer Windows has no words in it."""
    names = (zone.resource, zone.resource) if new else (zone.name, zone.name.replace("Standard", "Daylight"))
    standard, daylight = (name.encode("utf-16-le")[:62].ljust(64, b"\0") for name in names)
    return struct.pack("<i", zone.bias) + standard + bytes(16 + 4) + daylight + bytes(16) + struct.pack("<i", -60)


def wide(text: str) -> bytes:
    """Text as Windows keeps it, with a NUL."""
    return text.encode("utf-16-le") + b"\0\0"


def padded(data: bytes) -> bytes:
    """Filled up to eight bytes."""
    return data.ljust(len(data) + 7 & ~7, b"\0")


def strings(parts: list[str | None]) -> tuple[bytes, list[int]]:
    """Texts one behind another, and where each begins; 0xFFFFFFFF for one that is None."""
    data = b""
    places: list[int] = []
    for part in parts:
        places.append(0xFFFF_FFFF if part is None else len(data))
        data += wide(part) if part is not None else b""
    return data, places
