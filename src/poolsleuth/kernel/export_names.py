"""All names that an image exports, with their addresses: what a debugger without symbols calls "export symbols".

The layout is that of the public PE/COFF specification. The table of names, that of addresses and the names themselves
are read in a few pieces; a name whose page is missing is left out, and so is what leads to another image (forwarders).
"""

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.image import EXPORTS, MAX_EXPORT_BYTES, MAX_EXPORT_NAME, MAX_EXPORTS, PeImage


def read_export_names(memory: Reader, image: PeImage) -> dict[str, int]:
    """Each exported name with its virtual address; empty where there is no export directory, or none that can be read.

    Where two names have one address, both are there.
    """
    place = image.directory(EXPORTS)
    if place is None or not 40 <= place[1] <= MAX_EXPORT_BYTES:
        return {}
    begin, size = place
    octets = _Octets(memory, begin, size)
    header = octets.take(begin, 40)
    if header is None:
        return {}
    functions = min(_number(header, 20), MAX_EXPORTS)
    count = min(_number(header, 24), MAX_EXPORTS, size // 6)
    addresses, names, ordinals = (image.base + _number(header, at) for at in (28, 32, 36))
    found: dict[str, int] = {}
    for index in range(count):
        relative, ordinal = octets.number(names + 4 * index, 4), octets.number(ordinals + 2 * index, 2)
        if relative is None or ordinal is None or ordinal >= functions:
            continue
        target = octets.number(addresses + 4 * ordinal, 4)
        name = octets.name(image.base + relative)
        if target and name and target < image.size and not begin <= image.base + target < begin + size:
            found.setdefault(name, image.base + target)
    return found


def _number(raw: bytes, at: int) -> int:
    return int.from_bytes(raw[at : at + 4], "little")


class _Octets:
    """The bytes of the directory, page by page: None for what lies in a missing page, or outside of it."""

    def __init__(self, memory: Reader, begin: int, size: int) -> None:
        self._begin, self._size = begin, size
        self._data = bytearray(size)
        self._read = bytearray(b"\1") * size
        at = 0
        while at < size:
            step = min(PAGE - (begin + at) % PAGE, size - at)
            raw = memory.read(begin + at, step)
            if raw is None:
                self._read[at : at + step] = bytes(step)
            else:
                self._data[at : at + step] = raw
            at += step

    def take(self, address: int, size: int) -> bytes | None:
        at = address - self._begin
        if at < 0 or at + size > self._size or 0 in self._read[at : at + size]:
            return None
        return bytes(self._data[at : at + size])

    def number(self, address: int, width: int) -> int | None:
        raw = self.take(address, width)
        return None if raw is None else int.from_bytes(raw, "little")

    def name(self, address: int) -> str | None:
        at = address - self._begin
        if not 0 <= at < self._size:
            return None
        end = self._data.find(0, at, at + MAX_EXPORT_NAME)
        if end <= at or 0 in self._read[at : end + 1]:
            return None
        text = self._data[at:end].decode("latin-1")
        return text if text.isascii() and text.isprintable() else None
