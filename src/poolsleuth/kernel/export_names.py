"""All names that an image exports, with their addresses: what a debugger without symbols calls "export symbols".

The layout is that of the public PE/COFF specification. The table of names, that of addresses and the names themselves
are read in a few pieces; a name whose page is missing is left out, and so is what leads to another image (forwarders).
"""

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.image import EXPORTS, MAX_EXPORT_BYTES, MAX_EXPORTS, Octets, PeImage


def read_export_names(memory: Reader, image: PeImage) -> dict[str, int]:
    """Each exported name with its virtual address; empty where there is no export directory, or none that can be read.

    Where two names have one address, both are there.
    """
    place = image.directory(EXPORTS)
    if place is None or not 40 <= place[1] <= MAX_EXPORT_BYTES:
        return {}
    begin, size = place
    octets = Octets(memory, begin, begin + size)
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
        name = _name(octets, image.base + relative)
        if target and name and target < image.size and not begin <= image.base + target < begin + size:
            found.setdefault(name, image.base + target)
    return found


def _number(raw: bytes, at: int) -> int:
    return int.from_bytes(raw[at : at + 4], "little")


def _name(octets: Octets, address: int) -> str | None:
    raw = octets.text(address)
    if not raw or octets.take(address + len(raw), 1) != b"\0":  # it is cut off
        return None
    text = raw.decode("latin-1")
    return text if text.isascii() and text.isprintable() else None
