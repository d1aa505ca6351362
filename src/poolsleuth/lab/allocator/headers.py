"""Block headers of the classic pool: 8 bytes on x86, 16 on x64, by generation of Windows.

From public symbol files: 16 bits of previous size and pool index, 16 bits of block size and pool type (9 and 7 bits on
x86, 8 and 8 on x64), the tag in 32 bits; on x64 the process that pays for the block in the last 8 bytes. Sizes are in
units of one header.
"""

import struct
from dataclasses import dataclass
from typing import Literal

from poolsleuth.lab.machine import PAGE

PoolName = Literal["nonpaged", "paged", "session"]

PAGED, QUOTA, SESSION = 0x01, 0x08, 0x20
"""Bits of the pool type that a driver asks for."""
PROTECTED = 0x8000_0000
"""Bit of the tag in a header: the block is freed with the same tag only. The tag tables do not have it."""
VISTA = 6000
WITH_COOKIE = 9200  # since Windows 8 the process in a header is disguised

_IN_USE = 0x02
_STORED = 0x6D  # bits of a request that a header keeps from Vista on

Header = tuple[int, int, int, int, int]
"""Previous size, pool index, block size (both sizes in units), pool type, tag as the number in memory."""


@dataclass(frozen=True, slots=True)
class HeaderForm:
    """How headers look. ``unit`` is the bytes of a header, and of the smallest block; ``bits`` those of a size."""

    pointer: int
    unit: int
    bits: int

    @property
    def units(self) -> int:
        """Units of a page."""
        return PAGE // self.unit

    @property
    def largest(self) -> int:
        """The largest request, in bytes, that becomes a block: larger ones take whole pages without a header."""
        return PAGE - 2 * self.unit


X86, X64 = HeaderForm(4, 8, 9), HeaderForm(8, 16, 8)
_PACKED = struct.Struct("<HHI")
_SIZES = struct.Struct("<HH")


def form_of(pointer: int) -> HeaderForm:
    """The form for pointers of 4 or 8 bytes. Raises ValueError for others."""
    if pointer not in (4, 8):
        raise ValueError("a pointer has 4 or 8 bytes")
    return X86 if pointer == 4 else X64


def request_type(pool: PoolName) -> int:
    """What a driver asks for to get memory of that pool. Session pool is paged here."""
    return {"nonpaged": 0, "paged": PAGED, "session": PAGED | SESSION}[pool]


def stored_type(request: int, build: int) -> int:
    """The pool type in the header of a block in use; 0 is a free one in every Windows.

    XP and 2003 add one to the request; from Vista on a bit of its own says that the block is in use.
    """
    return request & _STORED | _IN_USE if build >= VISTA else (request & _STORED) + 1


def tag_number(tag: str) -> int:
    """The four bytes of a tag as the number in memory. Raises ValueError for a tag that is no four bytes."""
    raw = tag.encode("latin-1").ljust(4, b" ")
    if len(raw) != 4:
        raise ValueError(f"a tag has four characters at most: {tag!r}")
    return int.from_bytes(raw, "little")


def tag_text(number: int) -> str:
    """The tag as four characters (latin-1), without the protected bit."""
    return (number & ~PROTECTED).to_bytes(4, "little").decode("latin-1")


def read_header(page: bytes | bytearray, offset: int, form: HeaderForm) -> Header:
    """The header at an offset of a page."""
    first, second, tag = _PACKED.unpack_from(page, offset)
    mask = (1 << form.bits) - 1
    return first & mask, first >> form.bits, second & mask, second >> form.bits, tag


def read_previous(page: bytes | bytearray, offset: int, form: HeaderForm) -> int:
    """The previous size alone."""
    return (page[offset] | page[offset + 1] << 8) & (1 << form.bits) - 1


def write_sizes(page: bytearray, offset: int, form: HeaderForm, header: tuple[int, int, int, int]) -> None:
    """Write all of a header but its tag: previous size, pool index, block size, pool type."""
    previous, index, size, kind = header
    _SIZES.pack_into(page, offset, previous | index << form.bits, size | kind << form.bits)


def write_header(page: bytearray, offset: int, form: HeaderForm, header: Header) -> None:
    """Write a whole header."""
    previous, index, size, kind, tag = header
    _PACKED.pack_into(page, offset, previous | index << form.bits, size | kind << form.bits, tag)


def write_previous(page: bytearray, offset: int, form: HeaderForm, previous: int) -> None:
    """Tell a block how large the one in front of it is now."""
    high = page[offset + 1]
    page[offset] = previous & 0xFF
    if form.bits > 8:
        page[offset + 1] = high & 0xFE | previous >> 8
