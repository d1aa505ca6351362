"""The name in a driver's signature: read, never verified. A name in a damaged or false signature is only a claim.

Follows the public descriptions of the attribute certificate table (PE/COFF specification) and of SignedData (RFC 5652).
"""

from collections.abc import Iterator

from poolsleuth.drivers.image_bytes import CERTIFICATES, ImageBytes

MAX_CERTIFICATES = 1 << 20  # bytes of the table: real ones have 5 to 40 KB
MAX_PARTS = 64  # of one structure: a signature carries up to ten certificates
MAX_NAME = 200  # characters of a name that are kept

_SEQUENCE, _SET, _INTEGER, _TAGGED = 0x30, 0x31, 0x02, 0xA0
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_COMMON_NAME = bytes.fromhex("0603550403")
_TEXTS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}

_Part = tuple[int, int, int, int]  # kind, begin of all, begin of the content, end


def read_signer(image: ImageBytes, data: bytes) -> str | None:
    """The common name of who signed, by the embedded signature; None when there is none or it cannot be read.

    A driver signed by catalogue has no signature of its own.
    """
    if len(image.directories) <= CERTIFICATES:
        return None
    offset, size = image.directories[CERTIFICATES]
    if not offset or not 8 < size <= MAX_CERTIFICATES or offset + size > len(data):
        return None
    length, kind = int.from_bytes(data[offset : offset + 4], "little"), data[offset + 6 : offset + 8]
    if kind != b"\x02\0" or not 8 < length <= size:
        return None
    return signer_of(data[offset + 8 : offset + length])


def signer_of(blob: bytes) -> str | None:
    """The common name of the first signer of a PKCS #7 blob; None when it cannot be read."""
    outer = _first(blob, 0, len(blob), _SEQUENCE)
    parts = _parts(blob, outer)
    if len(parts) < 2 or blob[parts[0][1] : parts[0][3]] != _SIGNED_DATA:
        return None
    signed = _parts(blob, _first(blob, parts[1][2], parts[1][3], _SEQUENCE))
    certificates = next((part for part in signed if part[0] == _TAGGED), None)
    signers = next((part for part in reversed(signed) if part[0] == _SET), None)
    if certificates is None or signers is None:
        return None
    signer = _parts(blob, _first(blob, signers[2], signers[3], _SEQUENCE))
    named = _parts(blob, signer[1]) if len(signer) > 1 else []
    if len(named) != 2:
        return None
    wanted = [blob[part[1] : part[3]] for part in named]  # issuer and serial number
    for certificate in _parts(blob, certificates):
        fields = _parts(blob, _first(blob, certificate[2], certificate[3], _SEQUENCE))
        if fields and fields[0][0] == _TAGGED:  # the version, that may be left out
            fields = fields[1:]
        if len(fields) >= 5 and [blob[fields[n][1] : fields[n][3]] for n in (2, 0)] == wanted:
            return _common_name(blob, fields[4])
    return None


def _common_name(blob: bytes, name: _Part) -> str | None:
    for group in _parts(blob, name):
        for pair in _parts(blob, group):
            both = _parts(blob, pair)
            if len(both) == 2 and blob[both[0][1] : both[0][3]] == _COMMON_NAME and both[1][0] in _TEXTS:
                raw = blob[both[1][2] : both[1][3]]
                return raw.decode(_TEXTS[both[1][0]], "replace")[:MAX_NAME].strip() or None
    return None


def _walk(blob: bytes, at: int, end: int) -> Iterator[_Part]:
    while at + 2 <= end:
        kind, length, begin = blob[at], blob[at + 1], at + 2
        if length & 0x80:
            width = length & 0x7F
            if not 1 <= width <= 4 or begin + width > end:
                return
            length = int.from_bytes(blob[begin : begin + width], "big")
            begin += width
        if begin + length > end:
            return
        yield kind, at, begin, begin + length
        at = begin + length


def _parts(blob: bytes, part: _Part | None) -> list[_Part]:
    if part is None:
        return []
    found: list[_Part] = []
    for one in _walk(blob, part[2], part[3]):
        found.append(one)
        if len(found) >= MAX_PARTS:
            break
    return found


def _first(blob: bytes, at: int, end: int, kind: int) -> _Part | None:
    first = next(_walk(blob, at, end), None)
    return first if first is not None and first[0] == kind else None
