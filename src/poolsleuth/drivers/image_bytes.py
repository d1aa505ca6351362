"""A PE image as named stretches of bytes, whether it was read from a file or from memory.

The layout is that of the public PE/COFF specification. Nothing in a header is believed before it was checked.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from poolsleuth.model.errors import InputError

MAX_HEADER_OFFSET = 0x1000  # e_lfanew: 80 to 280 in real images
MAX_SECTIONS = 96  # the loader of Windows takes no more
MAX_IMAGE = 256 << 20  # bytes: the largest drivers (of graphics cards) have 60 MB
MAX_DIRECTORIES = 16  # the specification has no more
HEADER_BYTES = 0x1000  # of the headers, that are kept
PAGE = 0x1000

MACHINES = {0x14C: "x86", 0x8664: "x64", 0xAA64: "arm64"}
"""Machine types to the names that the model uses."""

EXPORTS, IMPORTS, RESOURCES, EXCEPTIONS, CERTIFICATES, DEBUG, DELAY_IMPORTS = 0, 1, 2, 3, 4, 6, 13
"""Numbers of data directories."""

_EXECUTE, _WRITE = 0x2000_0000, 0x8000_0000
_CODE, _DISCARDED = 0x20, 0x0200_0000
_PAGEABLE = "PAGE"  # how the names of sections begin that Windows may page out


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of the image: ``rva`` from the image's base on, and the bytes that are there.

    ``offset`` is its place in the file, None when it was read from memory. Bytes that a section has in memory only
    (zeros) are not in ``data``.
    """

    name: str
    rva: int
    data: bytes
    offset: int | None
    executable: bool
    writable: bool

    @property
    def end(self) -> int:
        """The address behind the last byte that is known."""
        return self.rva + len(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBytes:
    """Headers and sections. ``base`` is the address the image was linked for, or at which it lies in memory.

    ``machine`` is ``x86``, ``x64`` or ``arm64``; ``directories`` are pairs of an address from the base on (of the
    certificates: an offset in the file) and a size. ``sections`` are sorted by address and begin with the headers.

    Of an image in memory, ``unread_code`` are the bytes of resident code in pages that could not be read, and
    ``unread_pageable`` those of code that Windows may page out; what is discarded after the start counts as neither.
    ``headless``: its headers are gone, so that all of it is taken for code.
    """

    base: int
    machine: str
    bits: int
    timestamp: int
    size: int
    entry: int
    sections: tuple[Section, ...]
    directories: tuple[tuple[int, int], ...]
    unread_code: int = 0
    unread_pageable: int = 0
    headless: bool = False
    _starts: tuple[int, ...] = field(default=(), repr=False)

    def section_at(self, rva: int) -> Section | None:
        """The section that holds this byte; None when none does."""
        index = bisect_right(self._starts, rva) - 1
        if index < 0:
            return None
        section = self.sections[index]
        return section if rva < section.end else None

    def read(self, rva: int, size: int) -> bytes | None:
        """``size`` bytes of one section; None when they are not all there."""
        section = self.section_at(rva)
        if section is None or size < 0 or rva + size > section.end:
            return None
        return section.data[rva - section.rva : rva - section.rva + size]

    def number(self, rva: int, width: int) -> int | None:
        """A little-endian number of ``width`` bytes."""
        raw = self.read(rva, width)
        return None if raw is None else int.from_bytes(raw, "little")

    def text(self, rva: int, limit: int) -> str | None:
        """A text that ends with NUL within ``limit`` bytes, of printable ASCII; None when there is none."""
        section = self.section_at(rva)
        if section is None:
            return None
        begin = rva - section.rva
        end = section.data.find(b"\0", begin, begin + limit)
        if end <= begin:
            return None
        text = section.data[begin:end].decode("latin-1")
        return text if text.isascii() and text.isprintable() else None

    def offset_of(self, rva: int) -> int | None:
        """The place of a byte in the file; None when there is no file, or the byte is not in it."""
        section = self.section_at(rva)
        return None if section is None or section.offset is None else section.offset + rva - section.rva

    def directory(self, number: int) -> tuple[int, int] | None:
        """Address (from the base on) and size of a data directory; None when it is absent."""
        if number >= len(self.directories):
            return None
        rva, size = self.directories[number]
        return (rva, size) if rva and size and rva < self.size else None

    @property
    def code(self) -> tuple[Section, ...]:
        """The sections that may be executed."""
        return tuple(section for section in self.sections if section.executable)


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    rva: int
    virtual: int
    raw_offset: int
    raw_size: int
    flags: int


def of_file(data: bytes, name: str) -> ImageBytes:
    """The image in a file's bytes. Raises InputError when it is none, or one for another kind of processor."""

    def section(header: _Header) -> tuple[bytes, int]:
        # The loader rounds the offset down to 512 bytes
        begin = header.raw_offset & ~0x1FF
        size = min(header.raw_size, -(-header.virtual // PAGE) * PAGE) if header.virtual else header.raw_size
        return data[begin : begin + size], begin

    return _image(data[:HEADER_BYTES], None, section, name, in_file=True)


def of_memory(
    read: Callable[[int, int], bytes | None], base: int, size: int, name: str, machine: str | None = None
) -> ImageBytes:
    """The image that lies at ``base``. Pages that cannot be read are left out. Raises InputError.

    ``read(address, size)`` gives all of the bytes or None; ``size`` bounds what is read. ``machine`` is the kind of
    processor, where the caller knows it: an image whose headers are wiped or not in memory is then read all the same,
    as one stretch of code after another. Without it such an image raises.
    """
    headers = read(base, HEADER_BYTES) or b""
    if machine is not None and not _has_headers(headers):
        return _headless(read, base, size, name, machine)
    lost = [0, 0]

    def section(header: _Header) -> tuple[bytes, int]:
        length = min(header.virtual or header.raw_size, max(0, min(size, MAX_IMAGE) - header.rva))
        whole = read(base + header.rva, length) if length > 0 else b""
        if whole is not None:
            return whole, 0
        counts = bool(header.flags & (_EXECUTE | _CODE)) and not header.flags & _DISCARDED
        pages = []
        for at in range(header.rva, header.rva + length, PAGE):
            wanted = min(PAGE, header.rva + length - at)
            page = read(base + at, wanted)
            if page is None and counts:
                lost[header.name.startswith(_PAGEABLE)] += wanted
            # A missing page is filled up with int 3, that no instruction and no tag runs across it
            pages.append(page or b"\xcc" * wanted)
        return b"".join(pages), 0

    image = _image(headers, base, section, name, in_file=False)
    return replace(image, unread_code=lost[0], unread_pageable=lost[1])


def _has_headers(headers: bytes) -> bool:
    at = int.from_bytes(headers[0x3C:0x40], "little")
    return headers[:2] == b"MZ" and headers[at : at + 4] == b"PE\0\0"


def _headless(read: Callable[[int, int], bytes | None], base: int, size: int, name: str, machine: str) -> ImageBytes:
    """What is in memory of an image without headers: each run of pages is a section that may be code or data."""
    size = min(size, MAX_IMAGE)
    runs: list[tuple[int, list[bytes]]] = []
    there = False
    for at in range(0, size, PAGE):
        page = read(base + at, min(PAGE, size - at))
        if page is None:
            there = False
            continue
        if not there:
            runs.append((at, []))
        there = True
        runs[-1][1].append(page)
    if not runs:
        raise InputError(f"{name}: no page of it is in the dump")
    found = [(at, b"".join(pages)) for at, pages in runs]
    sections = (
        Section("", 0, b"", None, executable=False, writable=False),
        *(Section("", at, data, None, executable=True, writable=True) for at, data in found),
    )
    return ImageBytes(
        base=base,
        machine=machine,
        bits=32 if machine == "x86" else 64,
        timestamp=0,
        size=size,
        entry=0,
        sections=sections,
        directories=(),
        # The first page has headers only
        unread_code=size - sum(len(data) for _, data in found) - (0 if found[0][0] == 0 else min(size, PAGE)),
        headless=True,
        _starts=tuple(section.rva for section in sections),
    )


def _image(
    headers: bytes, base: int | None, content: Callable[[_Header], tuple[bytes, int]], name: str, *, in_file: bool
) -> ImageBytes:
    def number(at: int, width: int) -> int:
        return int.from_bytes(headers[at : at + width], "little")

    if headers[:2] != b"MZ":
        raise InputError(f"{name} is no driver: it does not begin as a Windows image does")
    at = number(0x3C, 4)
    if not 0x40 <= at <= MAX_HEADER_OFFSET - 0x18 or headers[at : at + 4] != b"PE\0\0":
        raise InputError(f"{name} is no Windows image: it has no PE header (a program for DOS, or damaged)")
    machine, optional = number(at + 4, 2), at + 0x18
    if machine not in MACHINES:
        raise InputError(f"{name} is for a processor that is not supported (machine 0x{machine:04x})")
    wide = {0x10B: False, 0x20B: True}.get(number(optional, 2))
    size = number(optional + 0x38, 4)
    if wide is None or wide != (MACHINES[machine] != "x86") or not 0 < size <= MAX_IMAGE:
        raise InputError(f"{name} has damaged headers: its size or its kind of header cannot be true")
    count_at = optional + (0x6C if wide else 0x5C)
    directories = tuple(
        (number(place, 4), number(place + 4, 4))
        for place in range(count_at + 4, count_at + 4 + 8 * min(number(count_at, 4), MAX_DIRECTORIES), 8)
    )
    table = optional + number(at + 0x14, 2)
    sections = [Section("", 0, headers, 0 if in_file else None, executable=False, writable=False)]
    total = 0
    for place in range(table, table + 40 * min(number(at + 6, 2), MAX_SECTIONS), 40):
        raw = headers[place : place + 40]
        if len(raw) < 40:
            break
        header = _Header(
            raw[:8].split(b"\0", 1)[0].decode("latin-1"),
            *(int.from_bytes(raw[n : n + 4], "little") for n in (12, 8, 20, 16, 36)),
        )
        if not 0 < header.rva < size:
            continue
        data, offset = content(header)
        total += len(data)
        if total > MAX_IMAGE:
            raise InputError(f"{name} has damaged headers: its sections are larger than any driver")
        executable = bool(header.flags & (_EXECUTE | _CODE))
        writable = bool(header.flags & _WRITE)
        sections.append(Section(header.name, header.rva, data, offset if in_file else None, executable, writable))
    sections.sort(key=lambda s: s.rva)
    apart: list[Section] = []
    for part in sections:
        if not apart or part.rva >= apart[-1].end or (len(apart) == 1 and part.rva >= 1):
            if apart and part.rva < apart[-1].end:  # the headers were read as a whole page: cut them
                first = apart.pop()
                apart.append(Section("", 0, first.data[: part.rva], first.offset, executable=False, writable=False))
            apart.append(part)
    return ImageBytes(
        base=base if base is not None else number(optional + (0x18 if wide else 0x1C), 8 if wide else 4),
        machine=MACHINES[machine],
        bits=64 if wide else 32,
        timestamp=number(at + 8, 4),
        size=size,
        entry=number(optional + 0x10, 4),
        sections=tuple(apart),
        directories=directories,
        _starts=tuple(part.rva for part in apart),
    )
