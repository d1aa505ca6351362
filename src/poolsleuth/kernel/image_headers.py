"""The whole headers of an image in memory, field by field, and the names that it imports.

The layout is that of the public PE/COFF specification. ``kernel.image`` reads what others need of it; this is what
``!dh`` prints. Every number may be damaged: counts are bounded, and what cannot be read is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.image import MAX_HEADER_OFFSET, MAX_SECTIONS

MAX_LIBRARIES = 512  # entries of an import directory: a driver has 1 to 30
MAX_IMPORTS = 20_000  # names that one image imports: a driver has up to 1,000
MAX_NAME = 128  # characters of a name
_IMPORT = 1
_DIRECTORIES = 16


@dataclass(frozen=True, slots=True)
class SectionHeader:
    """A section's header: name, then its numbers as they stand in it; ``flags`` are its characteristics."""

    name: str
    virtual_size: int
    virtual_address: int
    raw_size: int
    raw_pointer: int
    relocations_pointer: int
    lines_pointer: int
    relocations: int
    lines: int
    flags: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeaders:
    """The headers of the image at ``base``. ``optional`` maps the specification's names of fields to their numbers.

    ``wide`` is True for 64-bit images. ``directories`` are pairs of relative address and size; ``sections`` is empty
    where their table cannot be read.
    """

    base: int
    machine: int
    section_count: int
    timestamp: int
    symbols_pointer: int
    symbols: int
    optional_size: int
    characteristics: int
    wide: bool
    optional: dict[str, int]
    directories: tuple[tuple[int, int], ...]
    sections: tuple[SectionHeader, ...]


@dataclass(frozen=True, slots=True)
class Import:
    """A routine that an image imports: its name, or its number as ``#12``, and the address in the table."""

    library: str
    name: str
    slot: int
    value: int | None


# Name, offset and width of the fields in images of 32 bits, and in those of 64
_FIELDS = (
    ("Magic", 0, 2), ("MajorLinkerVersion", 2, 1), ("MinorLinkerVersion", 3, 1), ("SizeOfCode", 4, 4),
    ("SizeOfInitializedData", 8, 4), ("SizeOfUninitializedData", 12, 4), ("AddressOfEntryPoint", 16, 4),
    ("BaseOfCode", 20, 4), ("SectionAlignment", 32, 4), ("FileAlignment", 36, 4),
    ("MajorOperatingSystemVersion", 40, 2), ("MinorOperatingSystemVersion", 42, 2), ("MajorImageVersion", 44, 2),
    ("MinorImageVersion", 46, 2), ("MajorSubsystemVersion", 48, 2), ("MinorSubsystemVersion", 50, 2),
    ("SizeOfImage", 56, 4), ("SizeOfHeaders", 60, 4), ("CheckSum", 64, 4), ("Subsystem", 68, 2),
    ("DllCharacteristics", 70, 2),
)  # fmt: skip
_NARROW = (
    ("ImageBase", 28, 4), ("SizeOfStackReserve", 72, 4), ("SizeOfStackCommit", 76, 4), ("SizeOfHeapReserve", 80, 4),
    ("SizeOfHeapCommit", 84, 4), ("NumberOfRvaAndSizes", 92, 4),
)  # fmt: skip
_WIDE = (
    ("ImageBase", 24, 8), ("SizeOfStackReserve", 72, 8), ("SizeOfStackCommit", 80, 8), ("SizeOfHeapReserve", 88, 8),
    ("SizeOfHeapCommit", 96, 8), ("NumberOfRvaAndSizes", 108, 4),
)  # fmt: skip


def read_headers(memory: Reader, base: int) -> ImageHeaders | None:
    """The headers; None when there are none at this address, or they cannot be read."""
    top = memory.read(base, 0x40)
    if top is None or top[:2] != b"MZ":
        return None
    at = _number(top, 0x3C, 4)
    if not 0x40 <= at <= MAX_HEADER_OFFSET:
        return None
    start = memory.read(base + at, 24)
    if start is None or start[:4] != b"PE\0\0":
        return None
    machine, count, stamp, pointer, symbols, size, flags = (
        _number(start, place, width) for place, width in ((4, 2), (6, 2), (8, 4), (12, 4), (16, 4), (20, 2), (22, 2))
    )
    raw = memory.read(base + at + 24, min(size, 0xF0))
    wide = None if raw is None or len(raw) < 0x60 else {0x10B: False, 0x20B: True}.get(_number(raw, 0, 2))
    if raw is None or wide is None:
        return None
    optional = {name: _number(raw, place, width) for name, place, width in (*_FIELDS, *(_WIDE if wide else _NARROW))}
    first = 112 if wide else 96
    known = min(optional["NumberOfRvaAndSizes"], _DIRECTORIES, max(0, len(raw) - first) // 8)
    places = range(first, first + 8 * known, 8)
    return ImageHeaders(
        base=base,
        machine=machine,
        section_count=count,
        timestamp=stamp,
        symbols_pointer=pointer,
        symbols=symbols,
        optional_size=size,
        characteristics=flags,
        wide=wide,
        optional=optional,
        directories=tuple((_number(raw, place, 4), _number(raw, place + 4, 4)) for place in places),
        sections=_sections(memory, base + at + 24 + size, min(count, MAX_SECTIONS)),
    )


def _number(raw: bytes, at: int, width: int) -> int:
    return int.from_bytes(raw[at : at + width], "little")


def _sections(memory: Reader, at: int, count: int) -> tuple[SectionHeader, ...]:
    raw = memory.read(at, 40 * count)
    if raw is None:
        return ()
    widths = ((8, 4), (12, 4), (16, 4), (20, 4), (24, 4), (28, 4), (32, 2), (34, 2), (36, 4))
    return tuple(
        SectionHeader(
            raw[place : place + 8].split(b"\0", 1)[0].decode("latin-1"),
            *(_number(raw, place + offset, width) for offset, width in widths),
        )
        for place in range(0, 40 * count, 40)
    )


def read_import_names(memory: Reader, headers: ImageHeaders) -> Iterator[Import] | None:
    """What the image imports, in the order of its tables; None when it has no import directory that can be read.

    Many drivers throw the names away after loading. Bounded by ``MAX_LIBRARIES`` and ``MAX_IMPORTS``.
    """
    relative, size = headers.directories[_IMPORT] if len(headers.directories) > _IMPORT else (0, 0)
    if not relative or not size or memory.read(headers.base + relative, 20) is None:
        return None
    return _imports(memory, headers, headers.base + relative)


def _imports(memory: Reader, headers: ImageHeaders, at: int) -> Iterator[Import]:
    image = headers.optional["SizeOfImage"]
    width = 8 if headers.wide else 4
    left = MAX_IMPORTS
    for entry in range(at, at + 20 * MAX_LIBRARIES, 20):
        raw = memory.read(entry, 20)
        if raw is None or not any(raw):
            return
        names, library, table = _number(raw, 0, 4), _number(raw, 12, 4), _number(raw, 16, 4)
        text = _name(memory, headers.base + library) if 0 < library < image else None
        if text is None or not 0 < table < image or not 0 < names < image:
            return
        for number in range(left):
            thunk = memory.number(headers.base + names + number * width, width)
            if not thunk:
                break
            left -= 1
            slot = headers.base + table + number * width
            if thunk >> 8 * width - 1:
                name: str | None = f"#{thunk & 0xFFFF}"
            else:
                name = _name(memory, headers.base + thunk + 2) if thunk < image else None
            if name is not None:
                yield Import(text, name, slot, memory.number(slot, width))


def _name(memory: Reader, at: int) -> str | None:
    raw = memory.read(at, MAX_NAME) or memory.read(at, min(MAX_NAME, PAGE - at % PAGE))
    text = None if raw is None else raw.split(b"\0", 1)[0].decode("latin-1")
    return text if text and text.isascii() and text.isprintable() else None
