"""Bug checks (stop codes) and what each says about the kernel pools.

Names and the meaning of parameters follow Microsoft's public bug check reference; the words are our own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from poolsleuth.windows.bugcheck_data import ROWS, SAME_BUT_MINIDUMP_NAMES, About
from poolsleuth.windows.bugcheck_subcodes import ARG1, TAG_ARGUMENTS

__all__ = ["About", "BugCheckNote", "code_of", "decode_tag_argument", "name_of", "note", "tag_argument_of"]

_PROTECTED = 0x8000_0000
_FIRST_PRINTABLE, _LAST_PRINTABLE = 0x20, 0x7E


@dataclass(frozen=True, slots=True)
class BugCheckNote:
    """What one bug check means to somebody who looks for pool trouble.

    ``says`` is one or two sentences. ``arg1`` gives the meaning of the values of parameter 1, and is empty when
    that parameter is no sub-code. ``tag_argument`` (1 to 4) is the parameter that holds a pool tag whatever the
    sub-code, None when there is none or the sub-code decides (see ``tag_argument_of``).
    """

    code: int
    name: str
    about: About
    says: str
    arg1: Mapping[int, str] = field(hash=False)
    tag_argument: int | None


_NOTES = {
    code: BugCheckNote(code, name, about, says, MappingProxyType(ARG1.get(code, {})), None)
    for code, name, about, says in ROWS
}
_CODES = {entry.name: code for code, entry in _NOTES.items()} | {
    name: code for code, name in SAME_BUT_MINIDUMP_NAMES.items()
}


def note(code: int) -> BugCheckNote | None:
    """Give the note of a bug check code; 0x1000007E and its like share the note of 0x7E. None: not in the table."""
    return _NOTES.get(_base(code))


def name_of(code: int) -> str | None:
    """Give Microsoft's name of a code; the codes 0x1000xxxx have names of their own where documented."""
    if code in SAME_BUT_MINIDUMP_NAMES:
        return SAME_BUT_MINIDUMP_NAMES[code]
    entry = note(code)
    return None if entry is None else entry.name


def code_of(name: str) -> int | None:
    """Give the code for texts that only have the name; case and a code behind it do not matter. None: unknown."""
    return _CODES.get(name.partition("(")[0].strip().upper())


def tag_argument_of(code: int, arg1: int) -> int | None:
    """Say which parameter (1 to 4) holds a pool tag for this sub-code. None: none of them does.

    For a free with the wrong tag (0xC2, 0xA) it is the tag of the block, not the one that the caller gave.
    """
    return TAG_ARGUMENTS.get(_base(code), {}).get(arg1)


def decode_tag_argument(value: int) -> tuple[str, bool] | None:
    """Read a 32-bit parameter as a pool tag: 0x65657246 is ("Free", False).

    The bytes are the tag in the order in which they lie in memory; the highest bit marks a Protected allocation
    and is taken off (second value True). Trailing blanks are stripped as everywhere else. None when a byte is
    not printable, the value has more than 32 bits, or nothing but blanks is left.
    """
    if not 0 <= value <= 0xFFFF_FFFF:
        return None
    raw = (value & ~_PROTECTED).to_bytes(4, "little")
    if not all(_FIRST_PRINTABLE <= byte <= _LAST_PRINTABLE for byte in raw):
        return None
    tag = raw.decode("ascii").rstrip(" ")
    return (tag, bool(value & _PROTECTED)) if tag else None


def _base(code: int) -> int:
    # The system adds 0x10000000 to the code when it can only tell so much from a minidump.
    return code & 0x0FFF_FFFF if code >> 28 == 1 else code
