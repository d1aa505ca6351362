"""Heads of pages and of column chunks in the shape in which polars writes them, taken in at one match.

A year of recording has half a million of them. What matches here means the same to the general reader of
``footer.py``, field by field; whatever has another shape goes there.
"""

import re
from typing import NamedTuple

_LONGEST = 64  # bytes of a text in statistics; longer ones take the general way

_ANY = rb"[\x80-\xff]{0,8}[\x00-\x7f]"  # a number
_NUMBER = rb"(" + _ANY + rb")"
# A text: its length and as many bytes; eight and four are those of numbers
_TEXT = (
    rb"(?:"
    + rb"|".join(
        b"\\x%02x" % size + rb"[\x00-\xff]{%d}" % size
        for size in (8, 4, *(n for n in range(_LONGEST) if n not in (8, 4)))
    )
    + rb")"
)
_STATISTICS = rb"(?:\x36" + _ANY + rb")?(?:\x28" + _TEXT + rb"\x18" + _TEXT + rb")?\x00"
_ENCODINGS = rb"\x19(?:\x15[\x00-\x7f]|\x25[\x00-\x7f]{2}|\x35[\x00-\x7f]{3}|\x45[\x00-\x7f]{4})"

_CHUNK = re.compile(
    rb"\x26" + _ANY + rb"\x1c\x15" + _ANY + _ENCODINGS + rb"\x19\x18" + _TEXT + rb"\x15" + _ANY
    # values; bytes unpacked and packed; where the first page of data begins
    + rb"\x16" + _NUMBER + rb"\x16" + _ANY + rb"\x16" + _NUMBER + rb"\x26" + _NUMBER
    # where the dictionary begins
    + rb"(?:\x26" + _NUMBER + rb"\x1c" + _STATISTICS + rb"|\x3c" + _STATISTICS + rb")\x00"
    + rb"(?:\x16" + _ANY + rb"\x15" + _ANY + rb"\x16" + _ANY + rb"\x15" + _ANY + rb")?\x00"
)  # fmt: skip
_PAGE = re.compile(
    rb"\x15(?:"
    # data: bytes unpacked and packed, values
    + rb"\x00\x15" + _NUMBER + rb"\x15" + _NUMBER + rb"\x2c\x15" + _NUMBER + rb"\x15" + _ANY + rb"\x15" + _ANY
    + rb"\x15" + _ANY + rb"(?:\x1c" + _STATISTICS + rb")?\x00\x00"
    # a dictionary: bytes unpacked and packed
    + rb"|\x04\x15" + _NUMBER + rb"\x15" + _NUMBER + rb"\x4c\x15" + _ANY + rb"\x15" + _ANY + rb"\x00\x00"
    + rb")"
)  # fmt: skip


class Chunk(NamedTuple):
    """A column of a row group: its values, its bytes, where its pages begin (``dictionary`` None: none), its end."""

    values: int
    packed: int
    data: int
    dictionary: int | None
    end: int


class Page(NamedTuple):
    """A page: bytes unpacked and packed, values (0 in a dictionary), and how long its head is."""

    unpacked: int
    packed: int
    values: int
    head: int


def chunk(text: bytes, at: int) -> Chunk | None:
    """The column chunk that begins at a place of a footer; None when it has another shape."""
    found = _CHUNK.match(text, at)
    if found is None:
        return None
    values, packed, data, dictionary = found.groups()
    return Chunk(
        _value(values), _value(packed), _value(data), None if dictionary is None else _value(dictionary), found.end()
    )


def page(text: bytes) -> Page | None:
    """The head of a page at the beginning of some bytes; None when it has another shape."""
    found = _PAGE.match(text)
    if found is None:
        return None
    unpacked, packed, values, of_names, names = found.groups()
    if unpacked is None:
        return Page(_value(of_names), _value(names), 0, found.end())
    return Page(_value(unpacked), _value(packed), _value(values), found.end())


def _value(text: bytes) -> int:
    """A number as the compact protocol writes it: seven bits to a byte, its sign in the last one."""
    size = len(text)
    if size == 3:
        value = text[0] & 0x7F | (text[1] & 0x7F) << 7 | text[2] << 14
    elif size == 2:
        value = text[0] & 0x7F | text[1] << 7
    else:
        value = 0
        for byte in reversed(text):
            value = value << 7 | byte & 0x7F
    return value >> 1 ^ -(value & 1)
