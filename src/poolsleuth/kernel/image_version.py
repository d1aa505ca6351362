"""The version resource of an image in memory: who made it, and which version it is.

Follows the public descriptions of the resource directory (PE/COFF specification) and of VS_VERSIONINFO. Resources of
drivers are often discarded or paged out: None is the usual answer in a kernel dump.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.image import RESOURCES, PeImage

MAX_RESOURCE = 64 << 10  # bytes of a version resource: real ones have 700 to 3,000
MAX_ENTRIES = 256  # of one level of the directory that are looked at
MAX_KEY = 64  # characters of a key: the longest of a real one is "LegalTrademarks"
MAX_STRINGS = 64  # strings of a version resource: real ones have ten to fifteen
MAX_VALUE = 512  # characters of one of them that are kept
_RT_VERSION = 16
_FIXED_MARK = 0xFEEF04BD
_DEEPER = 0x8000_0000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageVersion:
    """What a version resource says; None where it says nothing. ``fixed`` is the file's version in four numbers."""

    fixed: str | None
    company: str | None
    product: str | None
    file_version: str | None
    description: str | None
    original_name: str | None


def read_version(memory: Reader, image: PeImage) -> ImageVersion | None:
    """The version resource; None when the image has none, or not all of it can be read."""
    place = image.directory(RESOURCES)
    if place is None:
        return None
    root = place[0]
    level = _entry(memory, root, _RT_VERSION)
    for _ in range(2):  # the name, then the language: the first of each
        if level is None or not level & _DEEPER:
            return None
        level = _entry(memory, root + (level & ~_DEEPER), None)
    if level is None or level & _DEEPER:
        return None
    relative, size = memory.number(root + level, 4), memory.number(root + level + 4, 4)
    if relative is None or size is None or not 0 < size <= MAX_RESOURCE or relative + size > image.size:
        return None
    raw = memory.read(image.base + relative, size)
    return None if raw is None else parse_version(raw)


def _entry(memory: Reader, at: int, wanted: int | None) -> int | None:
    """The offset in the entry with a number, or in the first one; None when there is none."""
    named, numbered = memory.number(at + 12, 2), memory.number(at + 14, 2)
    if named is None or numbered is None:
        return None
    count = min(named + numbered, MAX_ENTRIES)
    raw = memory.read(at + 16, 8 * count)
    if raw is None:  # the next page may be missing
        raw = memory.read(at + 16, min(8 * count, -(at + 16) % PAGE)) or b""
    for entry in range(0, len(raw) - 7, 8):
        number, offset = (int.from_bytes(raw[entry + i : entry + i + 4], "little") for i in (0, 4))
        if wanted is None or number == wanted:
            return offset
    return None


def parse_version(raw: bytes) -> ImageVersion | None:
    """A VS_VERSIONINFO out of its bytes; None when it is none. ``raw`` may end early."""
    top = _block(raw, 0, len(raw))
    if top is None or top[0] != "VS_VERSION_INFO":
        return None
    _, value, value_size, inner, end = top
    fixed = None
    if value_size >= 0x34 and int.from_bytes(raw[value : value + 4], "little") == _FIXED_MARK:
        upper, lower = (int.from_bytes(raw[value + at : value + at + 4], "little") for at in (8, 12))
        fixed = f"{upper >> 16}.{upper & 0xFFFF}.{lower >> 16}.{lower & 0xFFFF}"
    strings: dict[str, str] = {}
    for info, _, _, tables, tables_end in _blocks(raw, inner, end):
        if info != "StringFileInfo":
            continue
        for _, _, _, first, last in _blocks(raw, tables, tables_end):
            for key, at, _, _, stop in _blocks(raw, first, last):
                text = raw[at : min(stop, at + 2 * MAX_VALUE)].decode("utf-16-le", "replace").split("\0", 1)[0].strip()
                if text and text.isprintable():
                    strings.setdefault(key, text)
    return ImageVersion(
        fixed=fixed,
        company=strings.get("CompanyName"),
        product=strings.get("ProductName"),
        file_version=strings.get("FileVersion"),
        description=strings.get("FileDescription"),
        original_name=strings.get("OriginalFilename"),
    )


_Block = tuple[str, int, int, int, int]  # key, where its value begins, its length, where its children begin, its end


def _blocks(raw: bytes, begin: int, end: int) -> Iterator[_Block]:
    for _ in range(MAX_STRINGS):
        found = _block(raw, begin, end)
        if found is None:
            return
        yield found
        begin = _aligned(found[4])


def _block(raw: bytes, at: int, end: int) -> _Block | None:
    if at + 6 > end:
        return None
    length, value_size = (int.from_bytes(raw[at + i : at + i + 2], "little") for i in (0, 2))
    if length < 8 or at + length > end:
        return None
    stop = at + length
    place = at + 6
    last = min(stop, place + 2 * MAX_KEY)
    while place + 2 <= last and raw[place : place + 2] != b"\0\0":
        place += 2
    key = raw[at + 6 : place].decode("utf-16-le", "replace")
    value = min(_aligned(place + 2), stop)
    # The length of a text counts characters, but what has a text has no children
    inner = min(_aligned(value + value_size), stop) if value_size else value
    return key, value, value_size, inner, stop


def _aligned(at: int) -> int:
    return at + -at % 4
