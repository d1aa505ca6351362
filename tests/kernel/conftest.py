"""A small writer of crash dumps, from the description of the format: it shares no code with the reader.

Each page of a dump has bytes that follow from its number, so that a page read from the wrong place is seen.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

import numpy as np
import pytest
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence

PAGE = 4096
PageBytes = Callable[[int], bytes]
Writer = Callable[..., bytes]


def page_of(number: int) -> bytes:
    return blake2b(number.to_bytes(8, "little"), digest_size=64).digest() * (PAGE // 64)


def pages_of(numbers: Iterable[int]) -> bytes:
    return b"".join(map(page_of, numbers))


def header(
    wide: bool,
    kind: int,
    *,
    machine: int | None = None,
    build: int = 7601,
    processors: int = 4,
    bugcheck: int = 0xD1,
    parameters: Sequence[int] = (0x1000, 2, 0, 0xF0F0),
    pae: int = 1,
    runs: Sequence[tuple[int, int]] | None = None,
    filetime: int = 0x1D707F23DBB3399,
    uptime: int = 36_000_000_000,
    product: int = 3,
) -> bytearray:
    out = bytearray(b"PAGE" * (2048 if wide else 1024))

    def put(at: int, layout: str, *values: int) -> None:
        struct.pack_into("<" + layout, out, at, *values)

    out[4:8] = b"DU64" if wide else b"DUMP"
    put(0x8, "II", 0xF, build)
    if wide:
        put(0x10, "QQQQ", 0x1AD000, 0xFFFFFA8000000000, 0xFFFFF80002A90890, 0xFFFFF80002A72590)
        put(0x30, "III", 0x8664 if machine is None else machine, processors, bugcheck)
        put(0x40, "4Q", *parameters)
        put(0x80, "Q", 0xFFFFF80002A51070)
        put(0xF98, "I", kind)
        put(0xFA8, "Q", filetime)
        put(0x1030, "Q", uptime)
        put(0x1040, "II", product, 0x110)
    else:
        put(0x10, "IIII", 0x185000, 0x81A00000, 0x8055D720, 0x8055D1F8)
        put(0x20, "III", 0x14C if machine is None else machine, processors, bugcheck)
        put(0x2C, "4I", *parameters)
        put(0x5C, "B", pae)
        put(0x60, "I", 0x8054C060)
        put(0xF88, "I", kind)
        put(0xF94, "II", product, 0x110)
        put(0xFB8, "QQ", uptime, filetime)
    if runs is not None:
        total = sum(count for _, count in runs)
        if wide:
            put(0x88, "I", len(runs))
            put(0x90, "Q", total)
        else:
            put(0x64, "II", len(runs), total)
        for i, run in enumerate(runs):
            put((0x98 + 16 * i) if wide else (0x6C + 8 * i), "QQ" if wide else "II", *run)
    return out


def complete(wide: bool, runs: Sequence[tuple[int, int]], machine: int | None = None) -> bytes:
    body = b"".join(pages_of(range(base, base + count)) for base, count in runs)
    return bytes(header(wide, 1, runs=runs, machine=machine)) + body


def bits_of(present: Iterable[int], bits: int) -> bytes:
    bitmap = bytearray((bits + 7) // 8)
    for page in present:
        bitmap[page // 8] |= 1 << page % 8
    return bytes(bitmap)


def bitmap(wide: bool, present: set[int], bits: int, *, kind: int = 5, mark: bytes = b"FDMP", gap: int = 0) -> bytes:
    out = header(wide, kind)
    lead = len(out) + 0x38 + (bits + 7) // 8
    first = (lead + PAGE - 1) // PAGE * PAGE + gap * PAGE
    out += mark + b"DUMP" + bytes(24) + struct.pack("<QQQ", first, len(present), bits) + bits_of(present, bits)
    # Bits behind the end of the bitmap mean nothing: here they are all set
    return bytes(out) + b"\xff" * (first - len(out)) + pages_of(sorted(present))


def legacy(wide: bool, present: set[int], bits: int, *, bitmap_at: int | None = None) -> bytes:
    out = header(wide, 2)
    at = bitmap_at if bitmap_at is not None else 0x28 if wide else 0x20
    lead = len(out) + at + (bits + 7) // 8
    first = (lead + PAGE - 1) // PAGE * PAGE
    top = b"SDMPDUMP" + struct.pack("<IIIII", 0, first, bits, len(present), bits)
    out += top.ljust(at, b"\0") + bits_of(present, bits)
    return bytes(out).ljust(first, b"\0") + pages_of(sorted(present))


def debugger(ranges: Sequence[tuple[int, int]], *, kind: int = 8, spare: int = 2) -> bytes:
    out = header(True, kind)
    listed = b"".join(struct.pack("<QQ", *run) for run in ranges)
    room = (len(ranges) + spare) * 16
    first = -(-(len(out) + 0x30 + room) // PAGE) * PAGE
    metadata = first - len(out) - 0x20
    out += struct.pack("<I", 0x40) + b"RDMPDUMP" + bytes(4) + struct.pack("<QQ", metadata, first)
    total = sum(count for _, count in ranges)
    out += struct.pack("<IHHQ", len(ranges), 0, 0, total) if kind == 10 else struct.pack("<QQ", 7, 9)
    out += listed
    return bytes(out).ljust(first, b"\0") + b"".join(pages_of(range(base, base + count)) for base, count in ranges)


def triage(
    wide: bool,
    drivers: Sequence[tuple[str, int, int, int, int]],
    unloaded: Sequence[tuple[str, int, int]] = (),
    *,
    lead: int | None = None,
    blocks: Sequence[tuple[int, bytes]] = (),
    lab_address: int = 0,
    kernel_base: int = 0,
    memory: Sequence[int] = (0,) * 18,
    counts: tuple[int | None, int | None] = (None, None),
) -> bytes:
    """``drivers``: path, base, size, time stamp, checksum; ``unloaded``: name, start, end; ``counts`` to lie about."""
    top = header(wide, 4)
    start, size = len(top), 0x80 if wide else 0x68
    body = bytearray()

    def add(data: bytes) -> int:
        body.extend(bytes(-len(body) % 8))
        at = start + size + len(body)
        body.extend(data)
        return at

    pointer = "Q" if wide else "I"
    memory_at = add(struct.pack("<II", 1, 0x50) + struct.pack("<18I", *memory))
    slots = struct.pack("<" + pointer, counts[1] if counts[1] is not None else len(unloaded))
    for name, begin, end in unloaded:
        text = name.encode("utf-16-le")
        slots += struct.pack("<HH", len(text), len(text)).ljust(16 if wide else 8, b"\0")
        slots += text.ljust(24, b"\0") + struct.pack("<2" + pointer, begin, end)
    unloaded_at = add(slots)
    names = []
    for path, *_ in drivers:
        names.append(add(struct.pack("<I", len(path)) + path.encode("utf-16-le") + b"\0\0"))
    skip = lead if lead is not None else 8 if wide else 4
    entries = b""
    for at, (_, base, length, stamp, checksum) in zip(names, drivers, strict=True):
        if wide:
            entry = bytearray(0x88)
            struct.pack_into("<Q", entry, 0x30, base)
            struct.pack_into("<I", entry, 0x40, length)
            struct.pack_into("<I4xI", entry, 0x78, checksum, stamp)
        else:
            entry = bytearray(0x48)
            struct.pack_into("<I4xI", entry, 0x18, base, length)
            struct.pack_into("<II", entry, 0x40, checksum, stamp)
        entries += struct.pack("<I", at).ljust(skip, b"\0") + entry
    drivers_at = add(entries)
    kdbg = bytearray(0x340)
    kdbg[0x10:0x14] = b"KDBG"
    struct.pack_into("<IQ", kdbg, 0x14, len(kdbg), kernel_base)
    struct.pack_into("<Q", kdbg, 0x208, lab_address)
    kdbg_at = add(bytes(kdbg))
    rows = b"".join(struct.pack("<QII", address, add(data), len(data)) for address, data in blocks)
    blocks_at = add(rows)
    valid_at = add(b"TRGD")
    directory = bytearray(size)
    struct.pack_into("<3I", directory, 0x0, 0, valid_at + 4, valid_at)
    struct.pack_into("<2I", directory, 0x14, memory_at, unloaded_at)
    struct.pack_into("<2I", directory, 0x30, drivers_at, counts[0] if counts[0] is not None else len(drivers))
    struct.pack_into("<4I", directory, 0x70 if wide else 0x58, kdbg_at, len(kdbg), blocks_at, len(blocks))
    return bytes(top) + bytes(directory) + bytes(body)


@pytest.fixture(scope="session")
def page_bytes() -> PageBytes:
    return page_of


@pytest.fixture(scope="session")
def dump_header() -> Callable[..., bytearray]:
    return header


@pytest.fixture(scope="session")
def complete_dump() -> Writer:
    return complete


@pytest.fixture(scope="session")
def bitmap_dump() -> Writer:
    return bitmap


@pytest.fixture(scope="session")
def legacy_dump() -> Writer:
    return legacy


@pytest.fixture(scope="session")
def debugger_dump() -> Writer:
    return debugger


@pytest.fixture(scope="session")
def triage_dump() -> Writer:
    return triage


class FakeMemory:
    """An address space out of a dictionary of pages: what readers of kernel structures are tested on.

    Pages that were never written are not mapped; ``lose`` gives a page another absence.
    """

    def __init__(self, pointer_size: int = 8) -> None:
        self.pointer_size = pointer_size
        self.pages: dict[int, bytearray] = {}
        self.absent: dict[int, Absence] = {}

    def write(self, address: int, data: bytes) -> None:
        while data:
            number, skip = divmod(address, PAGE)
            part = data[: PAGE - skip]
            self.pages.setdefault(number, bytearray(PAGE))[skip : skip + len(part)] = part
            address, data = address + len(part), data[len(part) :]

    def put(self, address: int, *values: int, width: int | None = None) -> None:
        width = width or self.pointer_size
        mask = (1 << 8 * width) - 1
        self.write(address, b"".join((value & mask).to_bytes(width, "little") for value in values))

    def lose(self, address: int, absence: Absence = Absence.NOT_IN_DUMP) -> None:
        self.pages.pop(address // PAGE, None)
        self.absent[address // PAGE] = absence

    def read(self, address: int, size: int) -> bytes | Absence:
        out = b""
        for number in range(address // PAGE, (address + max(size, 1) - 1) // PAGE + 1):
            page = self.pages.get(number)
            if page is None:
                return self.absent.get(number, Absence.NOT_MAPPED)
            out += page
        return out[address % PAGE : address % PAGE + size]

    def gather(self, pages: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        rows = np.zeros((len(pages), PAGE), np.uint8)
        places = np.zeros(len(pages), np.int64)
        for i, number in enumerate(pages.tolist()):
            page = self.pages.get(number)
            if page is None:
                places[i] = int(self.absent.get(number, Absence.NOT_MAPPED))
            else:
                rows[i], places[i] = np.frombuffer(bytes(page), np.uint8), number & 0xFFFFFFFF
        return rows, places


@pytest.fixture
def fake_memory() -> Callable[[int], FakeMemory]:
    return FakeMemory
