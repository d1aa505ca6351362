"""PE images as they lie in memory: headers, sections, the name of their symbols, exported names.

The layout is that of the public PE/COFF specification. Everything is read through an address space whose pages may be
missing, and every number in a header may be damaged: what cannot be read or believed is None or left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.windows.kernel_table import PdbId

MAX_HEADER_OFFSET = 0x1000  # e_lfanew: 80 to 120 in real images
MAX_SECTIONS = 96  # the loader of Windows takes no more
MAX_IMAGE = 256 << 20  # bytes: ntoskrnl has up to 20 MB, the largest drivers (of graphics cards) 60 MB
MAX_DEBUG_ENTRIES = 32  # real images have one to six
MAX_CODEVIEW = 24 + 260  # bytes of an RSDS record: a longer path of a PDB is cut
MAX_EXPORT_BYTES = 4 << 20  # of an export directory: that of ntoskrnl has 100 KB
MAX_EXPORTS = 65_536  # names: ordinals have 16 bits
MAX_EXPORT_NAME = 128  # characters of a name that is looked up

EXPORTS, RESOURCES, DEBUG = 0, 2, 6
"""Numbers of data directories."""

MACHINES = {0x14C: "x86", 0x8664: "x64", 0xAA64: "arm64"}
"""Machine types to the names that the model uses."""

_CODEVIEW = 2


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its name, where it lies in memory (from the image's base on), and its characteristics."""

    name: str
    address: int
    size: int
    flags: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PeImage:
    """The headers of an image. ``timestamp`` is the raw field: newer builds of Windows keep a hash there.

    ``size`` is SizeOfImage in bytes; ``directories`` are pairs of an address (relative to ``base``) and a size.
    """

    base: int
    machine: int
    bits: int
    timestamp: int
    checksum: int
    size: int
    sections: tuple[Section, ...]
    directories: tuple[tuple[int, int], ...]

    @property
    def architecture(self) -> str | None:
        """``x86``, ``x64`` or ``arm64``; None for any other machine."""
        return MACHINES.get(self.machine)

    def directory(self, number: int) -> tuple[int, int] | None:
        """Virtual address and size of a data directory; None when it is absent or lies outside of the image."""
        if number >= len(self.directories):
            return None
        relative, size = self.directories[number]
        if not relative or not size or relative + size > self.size:
            return None
        return self.base + relative, size


def read_image(memory: Reader, base: int) -> PeImage | None:
    """The headers of the image at ``base``; None when there is none, or its first page cannot be read."""
    top = memory.read(base, 0x40)
    if top is None or top[:2] != b"MZ":
        return None
    at = int.from_bytes(top[0x3C:0x40], "little")
    if not 0x40 <= at <= MAX_HEADER_OFFSET:
        return None
    file_header = memory.read(base + at, 0x18)
    if file_header is None or file_header[:4] != b"PE\0\0":
        return None
    machine, sections, timestamp = (_number(file_header, place, width) for place, width in ((4, 2), (6, 2), (8, 4)))
    optional_size = _number(file_header, 0x14, 2)
    optional = memory.read(base + at + 0x18, min(optional_size, 0xF0))
    if optional is None or len(optional) < 0x60:
        return None
    wide = {0x10B: False, 0x20B: True}.get(_number(optional, 0, 2))
    size = _number(optional, 0x38, 4)
    if wide is None or not 0 < size <= MAX_IMAGE:
        return None
    count_at = 0x6C if wide else 0x5C
    count = min(_number(optional, count_at, 4), 16, max(0, len(optional) - count_at - 4) // 8)
    places = range(count_at + 4, count_at + 4 + 8 * count, 8)
    return PeImage(
        base=base,
        machine=machine,
        bits=64 if wide else 32,
        timestamp=timestamp,
        checksum=_number(optional, 0x40, 4),
        size=size,
        sections=_sections(memory, base + at + 0x18 + optional_size, min(sections, MAX_SECTIONS), size),
        directories=tuple((_number(optional, place, 4), _number(optional, place + 4, 4)) for place in places),
    )


def _number(raw: bytes, at: int, width: int) -> int:
    return int.from_bytes(raw[at : at + width], "little")


def _sections(memory: Reader, at: int, count: int, image_size: int) -> tuple[Section, ...]:
    found: list[Section] = []
    raw = memory.read(at, 40 * count)
    if raw is None:
        return ()
    for place in range(0, 40 * count, 40):
        name = raw[place : place + 8].split(b"\0", 1)[0].decode("latin-1")
        size, address = _number(raw, place + 8, 4), _number(raw, place + 12, 4)
        if address < image_size and name.isprintable():
            found.append(Section(name, address, min(size, image_size - address), _number(raw, place + 36, 4)))
    return tuple(found)


def read_pdb_id(memory: Reader, image: PeImage) -> PdbId | None:
    """What ties an image to its symbols, from its debug directory: an RSDS record, or an old NB10 one.

    The GUID of an NB10 record is its signature of eight digits, as in the folder names of symbol stores. None when
    there is no such record, or its page cannot be read.
    """
    place = image.directory(DEBUG)
    if place is None:
        return None
    address, size = place
    for entry in range(address, address + min(size // 28, MAX_DEBUG_ENTRIES) * 28, 28):
        raw = memory.read(entry, 28)
        if raw is None:
            continue
        kind, length, relative = (_number(raw, at, 4) for at in (12, 16, 20))
        if kind != _CODEVIEW or not 0 < relative < image.size or length <= 16:
            continue
        record = _as_much(memory, image.base + relative, min(length, MAX_CODEVIEW))
        found = None if record is None else _codeview(record)
        if found is not None:
            return found
    return None


def _as_much(memory: Reader, address: int, size: int) -> bytes | None:
    """``size`` bytes, or those to the end of the first page."""
    return memory.read(address, size) or memory.read(address, min(size, PAGE - address % PAGE))


def _codeview(record: bytes) -> PdbId | None:
    if record[:4] == b"RSDS" and len(record) > 24:
        parts = (record[4:8][::-1], record[8:10][::-1], record[10:12][::-1], record[12:20])
        guid, age, path = b"".join(parts).hex().upper(), _number(record, 20, 4), record[24:]
    elif record[:4] == b"NB10" and len(record) > 16:
        guid, age, path = f"{_number(record, 8, 4):08X}", _number(record, 12, 4), record[16:]
    else:
        return None
    name = path.split(b"\0", 1)[0].decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
    return PdbId(name, guid, age) if name and name.isprintable() else None


class Octets:
    """A part of an image that was read page by page: what lies in a missing page is None."""

    __slots__ = ("_begin", "_data", "_end", "_read", "_skip")

    def __init__(self, memory: Reader, begin: int, end: int) -> None:
        first, last = begin // PAGE, -(-end // PAGE)
        rows, places = memory.space.gather(np.arange(first, last, dtype=np.uint64))
        self._begin, self._end, self._skip = begin, end, begin % PAGE
        self._data = rows.tobytes()
        self._read: NDArray[np.bool_] = places >= 0

    def take(self, address: int, size: int) -> bytes | None:
        """The bytes at a virtual address; None when they are not all in this part, or not all there."""
        if address < self._begin or address + size > self._end:
            return None
        at = address - self._begin + self._skip
        if not self._read[at // PAGE : (at + size - 1) // PAGE + 1].all():
            return None
        return self._data[at : at + size]

    def number(self, address: int, width: int) -> int | None:
        """An unsigned number of ``width`` bytes; None where ``take`` gives none."""
        raw = self.take(address, width)
        return None if raw is None else int.from_bytes(raw, "little")

    def text(self, address: int) -> bytes | None:
        """The bytes before the next NUL, or as many as a name may have."""
        size = min(MAX_EXPORT_NAME, self._end - address)
        raw = self.take(address, size) if size > 0 else None
        if raw is None and size > 0:  # the next page may be missing
            raw = self.take(address, min(size, PAGE - address % PAGE))
        return None if raw is None else raw.split(b"\0", 1)[0]


def read_exports(memory: Reader, image: PeImage, names: Iterable[str]) -> dict[str, int]:
    """The virtual addresses of those of ``names`` that the image exports and whose entries can be read.

    Names are looked up by bisection, as the loader does. Forwarders (which lead to another image) are left out.
    """
    place = image.directory(EXPORTS)
    if place is None or not 40 <= place[1] <= MAX_EXPORT_BYTES:
        return {}
    begin, size = place
    octets = Octets(memory, begin, begin + size)
    header = octets.take(begin, 40)
    if header is None:
        return {}
    functions, count = _number(header, 20, 4), min(_number(header, 24, 4), MAX_EXPORTS)
    function_table, name_table, ordinals = (image.base + _number(header, at, 4) for at in (28, 32, 36))
    found: dict[str, int] = {}
    for name in names:
        index = _bisect(octets, image.base, name_table, count, name.encode("ascii", "replace"))
        ordinal = None if index is None else octets.number(ordinals + 2 * index, 2)
        if ordinal is None or ordinal >= functions:
            continue
        relative = octets.number(function_table + 4 * ordinal, 4)
        if relative and relative < image.size and not begin <= image.base + relative < begin + size:
            found[name] = image.base + relative
    return found


def _bisect(octets: Octets, base: int, table: int, count: int, wanted: bytes) -> int | None:
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        relative = octets.number(table + 4 * middle, 4)
        text = None if relative is None else octets.text(base + relative)
        if text is None:
            return None
        if text == wanted:
            return middle
        low, high = (middle + 1, high) if text < wanted else (low, middle)
    return None
