"""The version resource: who made a driver, and which version it is.

Follows the public descriptions of the resource directory (PE/COFF specification) and of VS_VERSIONINFO.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from poolsleuth.drivers.image_bytes import RESOURCES, ImageBytes

MAX_RESOURCE = 64 << 10  # bytes of a version resource: real ones have 700 to 3,000
MAX_ENTRIES = 64  # of one level of the directory: Windows knows some twenty kinds of resources
MAX_STRINGS = 64  # real version resources have ten to fifteen
MAX_TEXT = 256  # characters of one that are kept
_RT_VERSION = 16
_DEEPER = 0x8000_0000
_WANTED = ("CompanyName", "ProductName", "FileVersion", "FileDescription", "OriginalFilename")


@dataclass(frozen=True, slots=True)
class Version:
    """What a version resource says; None where it says nothing. Anybody can write any text."""

    company: str | None = None
    product: str | None = None
    version: str | None = None
    description: str | None = None
    original_name: str | None = None


def read_version(image: ImageBytes) -> Version | None:
    """The version resource of the first language; None when there is none, or it is damaged."""
    place = image.directory(RESOURCES)
    if place is None:
        return None
    root = place[0]
    level = _entry(image, root, _RT_VERSION)
    for _ in range(2):  # the name, then the language: the first of each
        if level is None or not level & _DEEPER:
            return None
        level = _entry(image, root + (level & ~_DEEPER), None)
    if level is None or level & _DEEPER:
        return None
    rva, size = image.number(root + level, 4), image.number(root + level + 4, 4)
    if rva is None or size is None or not 0 < size <= MAX_RESOURCE:
        return None
    raw = image.read(rva, size)
    if raw is None:
        return None
    found = dict(_strings(raw))
    return Version(*(found.get(name) for name in _WANTED)) if found else None


def _entry(image: ImageBytes, at: int, wanted: int | None) -> int | None:
    named, numbered = image.number(at + 12, 2), image.number(at + 14, 2)
    if named is None or numbered is None:
        return None
    for place in range(at + 16, at + 16 + 8 * min(named + numbered, MAX_ENTRIES), 8):
        if wanted is None or image.number(place, 4) == wanted:
            return image.number(place + 4, 4)
    return None


def _blocks(raw: bytes, at: int, end: int) -> Iterator[tuple[str, int, int, int]]:
    """The blocks from one place to another: key, begin of the value, its length as written, end of the block."""
    for _ in range(MAX_STRINGS):
        length = int.from_bytes(raw[at : at + 2], "little")
        if at + 6 > end or length < 6:
            return
        stop = min(at + length, end)
        key, value = _text(raw, at + 6, stop)
        yield key, -(-value // 4) * 4, int.from_bytes(raw[at + 2 : at + 4], "little"), stop
        at = -(-(at + length) // 4) * 4


def _text(raw: bytes, at: int, end: int) -> tuple[str, int]:
    """A text of two-byte characters up to its NUL, and the place behind that."""
    for stop in range(at, min(end, at + 2 * MAX_TEXT) - 1, 2):
        if raw[stop : stop + 2] == b"\0\0":
            return raw[at:stop].decode("utf-16-le", "replace"), stop + 2
    stop = at + (min(end, at + 2 * MAX_TEXT) - at) // 2 * 2
    return raw[at:stop].decode("utf-16-le", "replace"), stop


def _strings(raw: bytes) -> Iterator[tuple[str, str]]:
    for _, begin, size, end in _blocks(raw, 0, len(raw)):
        inner = -(-(begin + size) // 4) * 4  # behind the fixed part with the version in numbers
        for key, first, _, stop in _blocks(raw, inner, end):
            if key != "StringFileInfo":
                continue
            for _, strings, _, last in _blocks(raw, first, stop):
                for name, value, _, after in _blocks(raw, strings, last):
                    text = _text(raw, value, after)[0].strip() if value < after else ""
                    if name in _WANTED and text:
                        yield name, text
        return
