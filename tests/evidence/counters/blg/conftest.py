"""A writer of small binary counter logs, from the description of the format, and a reader that keeps all it gives.

Real logs show no circular file, several machines, instances that vanish, changes of daylight saving time, or most
counter types. Times are given in local seconds since 1970, as the logs hold local times.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pytest

from poolsleuth.evidence.counters.blg.reader import BlgReader
from poolsleuth.evidence.counters.log import CounterRow, Wanted
from poolsleuth.model.series import CounterPath

DATA = Path(__file__).parents[5] / "shared" / "data" / "counters"
LOG_GUID = UUID("d2238f83-d18f-4e9c-cf7a-3bf55fdecb83")
PDH_CLASS = UUID("933f3bb3-943e-490d-9ced-3cbb14c14479")
EPOCH = 116_444_736_000_000_000
BUFFER = 8192
CHUNK = 4000
START = 1_700_000_000  # 2023-11-14 22:13:20
FREQUENCY = 1_000_000
RAW, LARGE_RAW = 0x00010000, 0x00010100
RATE = 0x10410400
ABSENT = 0xFFFFFFFF


def filetime(seconds: float) -> int:
    return round(seconds * 10_000_000) + EPOCH


def text(value: str) -> bytes:
    return value.encode("utf-16-le") + b"\0\0"


@dataclass(frozen=True)
class Item:
    """A PDH record: its kind, local time in seconds since 1970, and data."""

    kind: int
    time: float
    data: bytes


@dataclass(frozen=True)
class Count:
    """A counter of an object: title, type, and where its data lies (next to the one before when None)."""

    title: int
    type: int = LARGE_RAW
    size: int = 8
    offset: int | None = None


@dataclass(frozen=True)
class Instance:
    """An instance: its values in the order of the counters, and the object and number it hangs under."""

    name: str
    values: Sequence[int]
    parent: tuple[int, int] = (0, 0)
    unique: int = -1


@dataclass(frozen=True)
class Zone:
    """TIME_ZONE_INFORMATION: biases in minutes; switches as (month, weekday, occurrence, hour)."""

    bias: int = 0
    daylight: int = -60
    to_standard: tuple[int, int, int, int] | None = None
    to_daylight: tuple[int, int, int, int] | None = None

    @property
    def data(self) -> bytes:
        def switch(rule: tuple[int, int, int, int] | None) -> bytes:
            month, weekday, day, hour = rule or (0, 0, 0, 0)
            return struct.pack("<8H", 0, month, weekday, day, hour, 0, 0, 0)

        return (
            struct.pack("<i64x", self.bias)
            + switch(self.to_standard)
            + struct.pack("<i64x", 0)
            + switch(self.to_daylight)
            + struct.pack("<i", self.daylight)
        )


US_PACIFIC = Zone(480, -60, to_standard=(11, 0, 1, 2), to_daylight=(3, 0, 2, 2))


class Writer:
    """Writes .blg files piece by piece: entries and blocks into records, records into a file."""

    # --- The list of counters and titles

    def entry(
        self,
        counter: str,
        type_: int = RAW,
        *,
        host: str = "SRV",
        object_: str = "Memory",
        instance: str | None = None,
        parent: str | None = None,
        index: int = 0,
        base: int = FREQUENCY,
        flags: int = 0,
    ) -> bytes:
        strings = b""
        places: list[int] = []
        for part in ("\\\\" + host if host else None, object_, instance, parent, counter):
            places.append(ABSENT if part is None else len(strings))
            strings += text(part) if part is not None else b""
        strings += b"\0" * (-(0x34 + len(strings)) % 8)
        *names, counter_at = places
        head = struct.pack("<IIIIqiIIIIII", 0x34 + len(strings), flags, 0, type_, base, 0, *names, index, counter_at)
        return head + strings

    def whole(self, object_: str, host: str = "SRV") -> bytes:
        """An entry of a log of whole objects."""
        return self.entry("*", 0x10, host=host, object_=object_, instance="*", base=0, flags=0x10)

    def counters(self, *entries: bytes, time: float = START) -> Item:
        return Item(0x20, time, struct.pack("<II", 0x6FF, 0x20008) + b"".join(entries) + b"\0" * 8)

    def titles(self, names: Mapping[int, str], host: str = "SRV", time: float = START) -> Item:
        return Item(0x24, time, text("\\\\" + host) + b"".join(text(str(n)) + text(t) for n, t in names.items()))

    # --- Samples

    def value(self, first: int, second: int = 0, *, status: int = 0, items: int = 1, time: float = START) -> bytes:
        return struct.pack("<IIIqIqqII", 0x01034C42, 0x30, status, filetime(time), 0, first, second, items, 0)

    def instances(self, values: Sequence[tuple[str, int, int]], *, status: int = 0, items: int = 0) -> bytes:
        names, rows = b"", b""
        names_at = 0x18 + 24 * len(values)
        for name, first, second in values:
            rows += struct.pack("<IIqq", names_at + len(names), items, first, second)
            names += text(name)
        names += b"\0" * (-len(names) % 8)
        length = 0x20 + len(rows) + len(names)
        return struct.pack("<IIIIIIq", 0x02034C42, length, length - 8, len(values), status, 0, 0) + rows + names

    def object(
        self,
        title: int,
        counters: Sequence[Count],
        values: Sequence[int] | Sequence[Instance],
        *,
        code_page: int = 0,
        time: int = 0,
        frequency: int = 0,
    ) -> bytes:
        """A PERF_OBJECT_TYPE; plain numbers are the values of an object without instances."""
        rows = b""
        places: list[tuple[int, int]] = []
        at = 8
        for counter in counters:
            place = at if counter.offset is None else counter.offset
            at = max(at, place + counter.size)
            places.append((place, counter.size))
            rows += struct.pack(
                "<IIIIIiIIII", 40, counter.title, 0, counter.title + 1, 0, 0, 100, counter.type, counter.size, place
            )
        block = at + 7 & ~7

        def data(numbers: Sequence[int]) -> bytes:
            octets = bytearray(struct.pack("<I", block).ljust(block, b"\0"))
            for (place, size), number in zip(places, numbers, strict=True):
                octets[place : place + size] = number.to_bytes(size, "little", signed=number < 0)
            return bytes(octets)

        body = b""
        plain = [value for value in values if isinstance(value, int)]
        several = [value for value in values if isinstance(value, Instance)]
        if plain:
            body = data(plain)
        for one in several:
            name = text(one.name) if code_page == 0 else one.name.encode(f"cp{code_page}") + b"\0"
            padded = name + b"\0" * (-len(name) % 8)
            body += struct.pack("<IIIiII", 24 + len(padded), *one.parent, one.unique, 24, len(name)) + padded
            body += data(one.values)
        definition = 64 + len(rows)
        head = struct.pack(
            "<IIIIIIIIIiiIqq",
            definition + len(body),
            definition,
            64,
            title,
            0,
            title + 1,
            0,
            100,
            len(counters),
            0,
            -1 if plain else len(several),
            code_page,
            time,
            frequency,
        )
        return head + rows + body

    def objects(
        self, *objects: bytes, host: str = "SRV", time: int = 0, frequency: int = FREQUENCY, utc: float = START
    ) -> bytes:
        """A block of whole objects. ``time`` in ticks, ``utc`` in seconds since 1970."""
        name = text(host)
        name += b"\0" * (-len(name) % 8)
        start = 88 + len(name)
        head = "PERF".encode("utf-16-le") + struct.pack(
            "<IIIIIIi20xqqqII",
            1,
            1,
            1,
            start + sum(map(len, objects)),
            start,
            len(objects),
            0,
            time,
            frequency,
            filetime(utc),
            len(text(host)),
            88,
        )
        data = head + name + b"".join(objects)
        return struct.pack("<II", 0x05034C42, 8 + len(data)) + data

    def sample(self, time: float, *blocks: bytes) -> Item:
        data = b"".join(blocks)
        return Item(0x22, time, struct.pack("<II", 0x00034C42, 8 + len(data)) + data)

    # --- The file

    def event(self, item: Item, part: int, parts: int, data: bytes, guid: UUID = LOG_GUID) -> bytes:
        size = 0x48 + len(data)
        head = struct.pack(
            "<HBBBBHIIq16sII16sII",
            size,
            0x14,
            0xC0,
            item.kind,
            0,
            60,
            1,
            2,
            filetime(item.time),
            PDH_CLASS.bytes_le,
            0,
            0,
            guid.bytes_le,
            part,
            parts,
        )
        return (head + data).ljust(size + 7 & ~7, b"\0")

    def events(self, items: Sequence[Item], guid: UUID = LOG_GUID) -> list[bytes]:
        found = []
        for item in items:
            parts = [item.data[at : at + CHUNK] for at in range(0, len(item.data), CHUNK)] or [b""]
            found += [self.event(item, n + 1, len(parts), data, guid) for n, data in enumerate(parts)]
        return found

    def buffer(self, number: int, events: bytes, kind: int = 0, size: int = BUFFER) -> bytes:
        head = struct.pack(
            "<IIIIqqQIIIHH16x", size, 0, 0, 0, filetime(START), number, 0, 0, 0, 0x48 + len(events), 0, kind
        )
        return (head + events).ljust(size, b"\xff")

    def buffers(self, events: Sequence[bytes], size: int = BUFFER) -> list[bytes]:
        """Data buffers with sequence numbers from 1."""
        groups: list[bytes] = [b""]
        for event in events:
            if len(groups[-1]) + len(event) + 0x48 > size:
                groups.append(b"")
            groups[-1] += event
        return [self.buffer(number, data, size=size) for number, data in enumerate(groups, 1)]

    def head(
        self,
        buffers: int,
        *,
        zone: Zone | None = Zone(),
        pointer: int = 8,
        build: int = 20348,
        mode: int = 1,
        ended: float = START,
        lost: int = 0,
        size: int = BUFFER,
    ) -> bytes:
        """The first buffer. ``zone`` None writes one that cannot be right."""
        body = struct.pack(
            "<I4BIIqIIIIIIII",
            size,
            10,
            0,
            0,
            0,
            build,
            1,
            filetime(ended) if ended else 0,
            156250,
            0,
            mode,
            buffers,
            1,
            pointer,
            lost,
            2000,
        )
        body += b"\0" * 2 * pointer + (zone.data if zone else struct.pack("<i168x", 1 << 30))
        body += b"\0" * (-(0x68 + len(body)) % 8) + struct.pack("<qqqII", 0, FREQUENCY, filetime(START), 2, 0)
        body += text("{" + str(LOG_GUID) + "}") + text("C:\\PerfLogs\\in.blg")
        length = 0x20 + len(body)
        event = struct.pack("<HBBHH24x", 2, 2 if pointer == 8 else 1, 0xC0, length, 0) + body
        return self.buffer(0, event, kind=4, size=size)

    def log(
        self,
        *items: Item,
        rotate: int = 0,
        zone: Zone | None = Zone(),
        pointer: int = 8,
        build: int = 20348,
        mode: int = 1,
        ended: float = START,
        lost: int = 0,
        guid: UUID = LOG_GUID,
    ) -> bytes:
        """A whole file. ``rotate`` moves so many data buffers from the front to the end, as a circular log does."""
        data = self.buffers(self.events(items, guid))
        rotated = data[rotate:] + data[:rotate]
        head = self.head(len(data) + 1, zone=zone, pointer=pointer, build=build, mode=mode, ended=ended, lost=lost)
        return head + b"".join(rotated)


@dataclass
class Reading:
    """All that a reader gave."""

    reader: BlgReader
    rows: list[CounterRow]
    progress: list[int] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        return [path.text for path in self.reader.columns]

    @property
    def times(self) -> list[float]:
        return [row.time for row in self.rows]

    @property
    def problems(self) -> list[str]:
        return [problem.says for problem in self.reader.problems]

    def values(self, path: str) -> list[float | None]:
        """The values of one counter; None where there is none."""
        number = self.paths.index(path)
        return [row.cells.get(number) for row in self.rows]

    @property
    def table(self) -> list[tuple[float, dict[str, float]]]:
        """All rows with paths in place of numbers."""
        paths = self.paths
        return [(row.time, {paths[number]: value for number, value in row.cells.items()}) for row in self.rows]


def everything(_: CounterPath) -> bool:
    return True


def read_log(data: bytes, wanted: Wanted = everything) -> Reading:
    progress: list[int] = []
    reader = BlgReader(BytesIO(data), 0, wanted, progress.append)
    return Reading(reader, list(reader.rows()), progress)


@pytest.fixture
def blg() -> Writer:
    """The writer of small logs."""
    return Writer()


@pytest.fixture
def read() -> Callable[..., Reading]:
    """``read(data, wanted=...)``: reads a whole log."""
    return read_log


@pytest.fixture
def make_count() -> type[Count]:
    """``make_count(title, type, size, offset)``: a counter of an object."""
    return Count


@pytest.fixture
def make_instance() -> type[Instance]:
    """``make_instance(name, values, parent)``: an instance of an object."""
    return Instance


@pytest.fixture
def make_zone() -> type[Zone]:
    """``make_zone(bias, daylight, to_standard, to_daylight)``: a time zone of a log's header."""
    return Zone


@pytest.fixture
def real_log() -> Callable[[str], Path]:
    """``real_log(name)``: a published sample file, skipped by name where it is absent."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.is_file():
            pytest.skip(f"{name} is not there")
        return path

    return find
