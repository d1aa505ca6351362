"""A driver's file: opened, and what it says about itself."""

import stat
from dataclasses import dataclass
from math import log2
from pathlib import Path

import numpy as np

from poolsleuth.drivers.image_bytes import DEBUG, MAX_IMAGE, ImageBytes, of_file
from poolsleuth.drivers.imports import Import, read_imports
from poolsleuth.drivers.signer import read_signer
from poolsleuth.drivers.version import Version, read_version
from poolsleuth.model.errors import InputError

MAX_FILE = MAX_IMAGE  # bytes
MAX_DEBUG_ENTRIES = 32  # real images have one to six
MAX_PDB = 260  # characters of a path
PACKED_BITS = 7.2  # per byte, of a code section: machine code has 5.5 to 6.6, compressed or encrypted bytes nearly 8
_SAMPLE = 64 << 10  # bytes of a section, that its order is measured on
_CODEVIEW = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverFile:
    """What a driver's file says about itself. ``name`` is the path as it was given.

    ``timestamp`` is the raw field of the header (newer linkers keep a hash there); ``pdb`` is the name of its symbols
    without folders; ``signer`` is the name in its signature, that nobody verified; ``packed``: its code looks
    compressed or encrypted, so no tag can be seen in it.
    """

    name: str
    size: int
    image: ImageBytes
    imports: tuple[Import, ...]
    version: Version | None
    signer: str | None
    timestamp: int
    pdb: str | None
    packed: bool


def read_file(path: Path) -> bytes:
    """The bytes of a file. Raises InputError for what is no regular file, is empty, too large or cannot be read."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path} is no file: give drivers (.sys, .dll, .exe) or folders of them")
        if status.st_size > MAX_FILE:
            raise InputError(f"{path} is larger ({status.st_size:,} bytes) than any driver: it was not read")
        if not status.st_size:
            raise InputError(f"{path} is empty")
        with path.open("rb") as file:
            return file.read(MAX_FILE)
    except OSError as error:
        raise InputError(f"{path} could not be read: {error.strerror or error}") from error


def open_driver(path: Path) -> DriverFile:
    """A driver's file. Raises InputError, in one sentence, when it is none."""
    return read_driver(read_file(path), str(path))


def read_driver(data: bytes, name: str) -> DriverFile:
    """A driver out of the bytes of its file. Raises InputError when it is none."""
    image = of_file(data, name)
    return DriverFile(
        name=name,
        size=len(data),
        image=image,
        imports=read_imports(image),
        version=read_version(image),
        signer=read_signer(image, data),
        timestamp=image.timestamp,
        pdb=_pdb(image),
        packed=_packed(image),
    )


def loaded_driver(image: ImageBytes, imports: tuple[Import, ...], name: str) -> DriverFile:
    """The same of an image that lies in memory, where it has no signature; ``imports`` are those that were found."""
    return DriverFile(
        name=name,
        size=image.size,
        image=image,
        imports=imports,
        version=read_version(image),
        signer=None,
        timestamp=image.timestamp,
        pdb=_pdb(image),
        packed=False,  # what was packed in the file is unpacked here
    )


def _pdb(image: ImageBytes) -> str | None:
    place = image.directory(DEBUG)
    if place is None:
        return None
    for entry in range(place[0], place[0] + min(place[1] // 28, MAX_DEBUG_ENTRIES) * 28, 28):
        kind, size, rva = (image.number(entry + at, 4) for at in (12, 16, 20))
        if kind != _CODEVIEW or not rva or not size:
            continue
        skip = {b"RSDS": 24, b"NB10": 16}.get(image.read(rva, 4) or b"")
        section = image.section_at(rva)
        if skip is None or section is None:
            continue
        begin = rva + skip - section.rva
        path = section.data[begin : begin + MAX_PDB].split(b"\0", 1)[0].decode("utf-8", "replace")
        return path.replace("\\", "/").rpartition("/")[2] or None
    return None


def _packed(image: ImageBytes) -> bool:
    """Whether the section with the entry looks compressed: its bytes are nearly as even as noise."""
    section = image.section_at(image.entry) if image.entry else None
    if section is None or len(section.data) < 4096:
        return False
    sample = np.frombuffer(section.data[:_SAMPLE], np.uint8)
    counts = np.bincount(sample)
    shares: list[float] = (counts[counts > 0] / len(sample)).tolist()
    return -sum(share * log2(share) for share in shares) > PACKED_BITS
