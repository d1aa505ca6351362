"""The CRC-32 that a part carries of itself in its metadata."""

import mmap
import zlib
from typing import BinaryIO

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.recording.footer import MAX_FOOTER
from poolsleuth.sampling.recording.layout import CRC_FIELD, NO_CRC, Description

_BLOCK = 1 << 20  # bytes that are read at once


def crc_of(file: BinaryIO | mmap.mmap) -> tuple[int, int]:
    """Where a file's CRC-32 stands, and what it is: that of all bytes, with zeros in its place. ValueError: nowhere."""
    size = file.seek(0, 2) or file.tell()
    file.seek(max(0, size - 8))
    length = int.from_bytes(file.read(4), "little")
    begin = max(0, size - 8 - length)
    file.seek(begin)
    place = begin + file.read(min(length, MAX_FOOTER)).rindex(CRC_FIELD) + len(CRC_FIELD)
    crc, at = 0, 0
    while at < size:
        if at == place:
            data = NO_CRC.encode()
        else:
            file.seek(at)
            data = file.read(min(_BLOCK, (place if at < place else size) - at))
        crc = zlib.crc32(data, crc)
        at += len(data)
    return place, crc


def verified(file: BinaryIO | mmap.mmap, description: Description, where: str) -> None:
    """Raises InputError unless every byte is as it was written. Files without a CRC are taken as they are."""
    if not description.crc:
        return
    try:
        intact = crc_of(file)[1] == int(description.crc, 16)
    except ValueError:
        intact = False
    if not intact:
        raise InputError(f"{where}: the file is damaged, or was changed by another program; give another copy")
