"""Pool blocks as arrays: what every walk of the pool gives, whichever allocator of Windows made them."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

BLOCK = np.dtype(
    [
        ("address", "<u8"),  # of the header, or of the memory where there is none (big pages)
        ("size", "<u8"),  # bytes, with the header
        ("tag", "<u4"),  # without the protected bit
        ("pool", "u1"),
        ("state", "u1"),
        ("kind", "u1"),
        ("protected", "u1"),
    ]
)
"""One block; ``pool``, ``state`` and ``kind`` are numbers of the enumerations below."""

Blocks = NDArray[np.void]
UNKNOWN = 255


class Pool(IntEnum):
    """Which pool a block is of. A header does not tell executable nonpaged memory from the other kind."""

    NONPAGED = 0
    NONPAGED_NX = 1
    PAGED = 2
    SESSION = 3
    UNKNOWN = UNKNOWN


class State(IntEnum):
    """Whether a block is in use. One that waits in a lookaside list looks like one in use.

    Only a walk that is given the lookaside lists tells them apart.
    """

    ALLOCATED = 0
    FREE = 1
    IN_LOOKASIDE = 2
    UNKNOWN = UNKNOWN


class Kind(IntEnum):
    """Which allocator made the block."""

    CLASSIC = 0
    LFH = 1
    VS = 2
    SEGMENT = 3
    LARGE = 4
    BIG_PAGE = 5
    HEURISTIC = UNKNOWN


class Rule(IntEnum):
    """The rule that a chain of block headers breaks; the numbers are the cases of bug check 0x19 that speak of it."""

    FREE_LIST = 0x3  # a link of a free block does not lead to one that leads back
    PREVIOUS_SIZE = 0x5  # a header's previous size is not the size of the block in front of it
    PREVIOUS_TOO_LARGE = 0x6  # the same, and it leads in front of the page
    SIZE_WRONG = 0x7  # the headers behind say that the block ends elsewhere
    SIZE_ZERO = 0x8
    SIZE_TOO_LARGE = 0x9  # the block would end behind its page
    OVERRUN = 0x20  # nothing of the header is one, and those behind it are sound: the block in front was overrun


@dataclass(frozen=True, slots=True)
class BrokenChain:
    """A page of the pool whose headers contradict each other: ``address`` is that of the first bad one.

    ``blocks`` good ones stand in front of it; ``front`` is the header's address of the last of them and ``front_tag``
    its tag (whoever owns it may have written beyond its end), None where there is none. ``tag`` is what stands where
    the damaged block has its tag.
    """

    address: int
    rule: Rule
    blocks: int
    front: int | None = None
    front_tag: int | None = None
    tag: int | None = None
