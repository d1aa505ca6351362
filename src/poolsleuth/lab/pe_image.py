"""The parts of an executable image that stay in memory: headers, debug directory, imports and version resource.

After the PE/COFF specification. Sections lie in memory as they do in the file, so that pointers to raw data and
relative addresses are the same.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from poolsleuth.windows.kernel_table import PdbId

PAGE = 0x1000
_RSDS_AT = 0x800  # the debug directory and its record share the page of the headers, behind the section table
_EXPORT, _IMPORT, _RESOURCE, _DEBUG, _IAT = 0, 1, 2, 6, 12
_VERSION_TYPE, _US_ENGLISH, _UNICODE = 16, 0x0409, 0x04B0


@dataclass(frozen=True, slots=True)
class Section:
    """A section: relative address, size in bytes, and its characteristics."""

    name: str
    rva: int
    size: int
    flags: int


CODE, DATA, READ_ONLY, PAGED, DISCARDED = 0x68000020, 0xC8000040, 0x48000040, 0x60000020, 0x62000020
"""Characteristics of .text, .data, .rdata (not pageable), PAGE and INIT."""

Piece = tuple[int, bytes]
"""A relative address and the bytes that lie there."""


def build_image(
    *,
    wide: bool,
    base: int,
    size: int,
    timestamp: int,
    checksum: int,
    sections: tuple[Section, ...],
    version: tuple[int, int, int],
    pdb: PdbId | None = None,
    imports: Mapping[str, int] | None = None,
    imports_at: int = 0,
    exports: Mapping[str, int] | None = None,
    exports_at: int = 0,
    strings: Mapping[str, str] | None = None,
    strings_at: int = 0,
) -> list[Piece]:
    """The pieces of an image. ``version`` is major, minor and build of the Windows it was made for.

    ``imports`` are routines of ntoskrnl.exe with the addresses that the loader put into the import address table; they
    lie at ``imports_at``. ``exports`` are routines of this image with their addresses. ``strings`` are those of the
    version resource at ``strings_at``.
    """
    pieces: list[Piece] = []
    directories = [(0, 0)] * 16
    if pdb is not None:
        record = b"RSDS" + _guid(pdb.guid) + struct.pack("<I", pdb.age) + pdb.name.encode() + b"\0"
        entry = struct.pack("<IIHHIIII", 0, timestamp, 0, 0, 2, len(record), _RSDS_AT + 0x20, _RSDS_AT + 0x20)
        pieces.append((_RSDS_AT, entry.ljust(0x20, b"\0") + record))
        directories[_DEBUG] = (_RSDS_AT, 28)
    if imports:
        data, table, addresses = _imports(imports, imports_at, wide)
        pieces.append((imports_at, data))
        directories[_IMPORT], directories[_IAT] = table, addresses
    if exports:
        data = _exports(exports, exports_at, base, timestamp)
        pieces.append((exports_at, data))
        directories[_EXPORT] = (exports_at, len(data))
    if strings:
        data = _resource(strings, strings_at, version)
        pieces.append((strings_at, data))
        directories[_RESOURCE] = (strings_at, len(data))
    header = _headers(wide, base, size, timestamp, checksum, sections, version, directories)
    return [(0, header), *pieces]


def _headers(
    wide: bool,
    base: int,
    size: int,
    timestamp: int,
    checksum: int,
    sections: tuple[Section, ...],
    version: tuple[int, int, int],
    directories: list[tuple[int, int]],
) -> bytes:
    at = 0xE8
    dos = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0\xb8".ljust(0x3C, b"\0") + struct.pack("<I", at)
    machine, optional = (0x8664, 0xF0) if wide else (0x14C, 0xE0)
    coff = b"PE\0\0" + struct.pack(
        "<HHIIIHH", machine, len(sections), timestamp, 0, 0, optional, 0x22 if wide else 0x102
    )
    code = sum(section.size for section in sections if section.flags & 0x20)
    data = sum(section.size for section in sections if section.flags & 0x40)
    major, minor, _ = version
    start = struct.pack("<HBBIIIII", 0x20B if wide else 0x10B, 9, 0, code, data, 0, PAGE, PAGE)
    start += struct.pack("<Q", base) if wide else struct.pack("<II", sections[-1].rva if sections else 0, base)
    numbers = (PAGE, 0x200, major, minor, major, minor, major, minor, 0, size, 0x1000, checksum, 1, 0)
    start += struct.pack("<IIHHHHHHIIIIHH", *numbers)
    start += struct.pack("<QQQQ" if wide else "<IIII", 0x80000, 0x2000, 0x100000, 0x1000) + struct.pack("<II", 0, 16)
    start += b"".join(struct.pack("<II", *directory) for directory in directories)
    table = b"".join(
        struct.pack("<8sIIIIIIHHI", s.name.encode(), s.size, s.rva, s.size, s.rva, 0, 0, 0, 0, s.flags)
        for s in sections
    )
    return dos.ljust(at, b"\0") + coff + start + table


def _guid(text: str) -> bytes:
    raw = bytes.fromhex(text)
    return raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:]


def import_slots(imports: Iterable[str], at: int, wide: bool) -> dict[str, int]:
    """Where the addresses of imports that lie ``at`` stand, from the image's base on."""
    width, names = 8 if wide else 4, list(imports)
    first = at + 40 + (len(names) + 1) * width
    return {name: first + number * width for number, name in enumerate(names)}


def _imports(imports: Mapping[str, int], at: int, wide: bool) -> tuple[bytes, tuple[int, int], tuple[int, int]]:
    width = 8 if wide else 4
    slots = (len(imports) + 1) * width
    # The directory (one library and the end), lookup table, address table, names
    lookup, addresses = 40, 40 + slots
    names = addresses + slots
    text, places = bytearray(), []
    for name in imports:
        places.append(at + names + len(text))
        text += (b"\0\0" + name.encode() + b"\0").ljust(-(-(len(name) + 3) // 2) * 2, b"\0")
    library = at + names + len(text)
    text += b"ntoskrnl.exe\0"
    entry = struct.pack("<IIIII", at + lookup, 0, 0, library, at + addresses)
    data = entry.ljust(40, b"\0")
    data += b"".join(place.to_bytes(width, "little") for place in places) + bytes(width)
    data += b"".join((value & (1 << 8 * width) - 1).to_bytes(width, "little") for value in imports.values())
    data += bytes(width) + bytes(text)
    return data, (at, 40), (at + addresses, slots)


def _exports(exports: Mapping[str, int], at: int, base: int, timestamp: int) -> bytes:
    """The directory, the tables of addresses, names and ordinals, and the names: those are sorted, as loaders want."""
    names = sorted(exports)
    count = len(names)
    addresses, places, ordinals = 40, 40 + 4 * count, 40 + 8 * count
    text = bytearray(b"ntoskrnl.exe\0")
    own = at + ordinals + 2 * count
    where = []
    for name in names:
        where.append(own + len(text))
        text += name.encode() + b"\0"
    tables = (at + addresses, at + places, at + ordinals)
    data = struct.pack("<IIHHIIIIIII", 0, timestamp, 0, 0, own, 1, count, count, *tables)
    data += b"".join(struct.pack("<I", exports[name] - base) for name in names)
    data += b"".join(struct.pack("<I", place) for place in where)
    return data + b"".join(struct.pack("<H", number) for number in range(count)) + bytes(text)


def _resource(strings: Mapping[str, str], at: int, version: tuple[int, int, int]) -> bytes:
    body = _version_info(strings, version)

    def table(name: int, offset: int, directory: bool) -> bytes:
        return struct.pack("<IIHHHHII", 0, 0, 4, 0, 0, 1, name, offset | (0x80000000 if directory else 0))

    tree = table(_VERSION_TYPE, 24, True) + table(1, 48, True) + table(_US_ENGLISH, 72, False)
    return (tree + struct.pack("<IIII", at + 88, len(body), 0, 0)) + body


def _block(key: str, value: bytes, children: bytes, *, text: bool) -> bytes:
    """A node of the version resource: length, value length, type, key; value and children aligned to four bytes."""
    head = (key + "\0").encode("utf-16-le")
    head += bytes(-(len(head) + 6) % 4)
    data = value + bytes(-len(value) % 4) if children else value
    count = len(value) // 2 if text else len(value)
    length = 6 + len(head) + len(data) + len(children)
    return struct.pack("<HHH", length, count, int(text)) + head + data + children


def _version_info(strings: Mapping[str, str], version: tuple[int, int, int]) -> bytes:
    rows = b""
    for key, value in strings.items():
        rows += bytes(-len(rows) % 4) + _block(key, (value + "\0").encode("utf-16-le"), b"", text=True)
    table = _block(f"{_US_ENGLISH:04x}{_UNICODE:04x}", b"", rows, text=True)
    info = _block("StringFileInfo", b"", table, text=True)
    translation = _block("Translation", struct.pack("<HH", _US_ENGLISH, _UNICODE), b"", text=False)
    file_info = _block("VarFileInfo", b"", translation, text=True)
    numbers = strings.get("FileVersion", "").split(" ")[0].split(".")
    if len(numbers) == 4 and all(part.isdigit() for part in numbers):
        high, low = int(numbers[0]) << 16 | int(numbers[1]), int(numbers[2]) << 16 | int(numbers[3])
    else:
        high, low = version[0] << 16 | version[1], version[2] << 16
    fixed = struct.pack("<13I", 0xFEEF04BD, 0x10000, high, low, high, low, 0x3F, 0, 0x40004, 3, 7, 0, 0)
    return _block("VS_VERSION_INFO", fixed, info + bytes(-len(info) % 4) + file_info, text=False)
