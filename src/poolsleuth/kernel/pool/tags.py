"""Pool tags as the kernel stores them: a number of 32 bits whose four bytes, in memory order, are the tag's letters."""

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint32]

PROTECTED = 0x80000000  # set in a tag that frees only with the same tag; no part of its letters
_LETTERS = 0x7FFFFFFF
_HASH_FACTOR = 40543


def strip_protected(keys: Keys) -> Keys:
    """The tags without the bit that marks them as protected."""
    return keys & np.uint32(_LETTERS)


def tag_text(key: int) -> str:
    """A tag as the debugger prints it: a dot for each byte that cannot be printed, blanks at the end left out.

    The protected bit is left out. A tag of four blanks stays four blanks, so that it has a name.
    """
    raw = (key & _LETTERS).to_bytes(4, "little")
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in raw)
    return text.rstrip(" ") or text


def printable(keys: Keys) -> NDArray[np.bool_]:
    """Which tags consist of printable letters (NUL at the end allowed): nearly all tags of drivers do."""
    octets = np.ascontiguousarray(strip_protected(keys), np.uint32).view(np.uint8).reshape(-1, 4)
    good = (octets >= 0x20) & (octets < 0x7F)
    padded = octets == 0
    # A NUL counts as padding where nothing but NULs follows, and never as the first letter
    padded = np.logical_and.accumulate(padded[:, ::-1], axis=1)[:, ::-1]
    return np.asarray((good | padded).all(axis=1) & good[:, 0], np.bool_)


def hash_slots(keys: Keys, mask: int) -> NDArray[np.int64]:
    """The row of a tracker table at which the search for each tag begins (Windows 5.2 and later).

    The product of tag and factor, its upper 32 bits folded onto the lower ones, then the table's mask.
    """
    product = keys.astype(np.uint64) * np.uint64(_HASH_FACTOR)
    folded = (product ^ (product >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
    return (folded & np.uint64(mask)).astype(np.int64)
