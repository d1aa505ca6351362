"""Tags as numbers and as text."""

from poolsleuth.model.errors import InputError

PROTECTED = 0x8000_0000
"""The bit that marks memory whose freeing must name the tag; it is no part of the tag."""
MAX_TAG = 4
ALIKE_LETTERS = 3  # least letters of a tag with which a file's name must begin, to be called alike


def is_tag(value: int) -> bool:
    """Whether a number may be a pool tag: printable characters, the last may be missing, not blanks only."""
    raw = plain_key(value).to_bytes(4, "little")
    return all(0x20 <= octet <= 0x7E for octet in raw) and any(chr(octet).isalnum() for octet in raw)


def plain_key(value: int) -> int:
    """The tag's number without the protected bit; NULs at its end become blanks."""
    raw = (value & ~PROTECTED & 0xFFFF_FFFF).to_bytes(4, "little").rstrip(b"\0")
    return int.from_bytes(raw.ljust(4), "little")


def tag_text(tag: int) -> str:
    """The tag as poolmon and the debugger print it, without blanks at its end."""
    return tag.to_bytes(4, "little").decode("latin-1").rstrip(" ")


def tag_key(text: str) -> int:
    """The number of a tag as it is printed. Raises InputError when it is none."""
    if not 1 <= len(text) <= MAX_TAG or not text.strip() or not all(" " <= c <= "~" for c in text):
        raise InputError(f"{text!r} is no pool tag: it has one to four printable characters of ASCII")
    return int.from_bytes(text.encode("ascii").ljust(4), "little")


def turned(tag: int) -> int:
    """The tag with its characters the other way round, blanks at its end kept there: ``Tag1`` and ``1gaT``."""
    raw = tag.to_bytes(4, "little").rstrip(b" ")
    return int.from_bytes(raw[::-1].ljust(4), "little")


def alike(tag: int, stem: str) -> str | None:
    """The tag, or its letters the other way round, when a file's name (without ending) begins with them."""
    for form in (tag, turned(tag)):
        letters = tag_text(form).strip()
        if len(letters) >= ALIKE_LETTERS and letters.isalnum() and stem.lower().startswith(letters.lower()):
            return letters
    return None
