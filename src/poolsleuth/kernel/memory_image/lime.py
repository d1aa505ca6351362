"""LiME images: each range of memory behind a header of 32 bytes (magic, version 1, first and last address, 8 bytes).

The layout is that of the LiME project's documentation.
"""

import struct

from poolsleuth.kernel.crash_dump.content import DumpContent, Flaw
from poolsleuth.kernel.memory_image.ranges import MAX_RANGES, MemoryRange
from poolsleuth.model.errors import InputError

MAGIC = b"EMiL"
_HEADER = struct.Struct("<4sIQQ8x")
_VERSION = 1


def lime_ranges(content: DumpContent, flaws: list[Flaw]) -> list[MemoryRange]:
    """The ranges of a LiME image. Raises InputError when its first header cannot be true."""
    found: list[MemoryRange] = []
    at = 0
    while at < content.size:
        raw = content.take(at, _HEADER.size)
        if raw is None:
            flaws.append(Flaw("the image ends inside the header of a range", at))
            break
        magic, version, first, last = _HEADER.unpack(raw)
        if magic != MAGIC or version != _VERSION or last < first:
            if not found:
                raise InputError("it begins as a LiME image, but the header of its first range cannot be true")
            flaws.append(Flaw("the header of a range is damaged: the ranges behind it were left out", at))
            break
        if len(found) >= MAX_RANGES:
            flaws.append(Flaw(f"the image holds more than {MAX_RANGES:,} ranges: the others were left out", at))
            break
        found.append(MemoryRange(first, last - first + 1, at + _HEADER.size))
        at += _HEADER.size + last - first + 1
    return found
