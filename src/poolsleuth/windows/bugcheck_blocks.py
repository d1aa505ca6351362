"""Where a bug check about pool names the block, or its tag: which parameter, by code and first parameter.

The meanings are those of Microsoft's reference of bug check codes (BAD_POOL_HEADER, BAD_POOL_CALLER).
"""

from dataclasses import dataclass
from enum import Enum

_NEW_SEVEN = 6000  # build from which on the last parameter of 0xC2 (7) is the block; before, it was the header


class Names(Enum):
    """What a parameter is."""

    TAG = "tag"  # four letters as a number
    HEADER = "header"  # the address of a block's header
    BLOCK = "block"  # the address behind the header, as the driver has it


@dataclass(frozen=True, slots=True)
class NamedBlock:
    """``parameter`` is the index (0 to 3) of the parameter that names the block."""

    names: Names
    parameter: int


_BLOCKS: dict[tuple[int, int], NamedBlock] = {
    **{(0x19, sub): NamedBlock(Names.HEADER, 1) for sub in (0x2, 0x3, 0x5, 0xA, 0x20)},
    **{(0x19, sub): NamedBlock(Names.HEADER, 3) for sub in (0x6, 0x7, 0x8, 0x9)},
    (0x19, 0x21): NamedBlock(Names.BLOCK, 1),
    **{(0xC2, sub): NamedBlock(Names.HEADER, 1) for sub in (0x1, 0x2, 0x4)},
    (0xC2, 0x6): NamedBlock(Names.HEADER, 2),
    (0xC2, 0x7): NamedBlock(Names.BLOCK, 3),
    (0xC2, 0x9): NamedBlock(Names.BLOCK, 3),
    **{(0xC2, sub): NamedBlock(Names.TAG, 2) for sub in (0xA, 0xB, 0xC, 0xD)},
    **{(0xC2, sub): NamedBlock(Names.TAG, 3) for sub in (0x0, 0x9A)},
    (0xC2, 0x9D): NamedBlock(Names.TAG, 1),
}


def named_block(code: int, first: int, build: int) -> NamedBlock | None:
    """What a bug check says of the block it is about; None when it names none."""
    if (code, first) == (0xC2, 0x7) and build < _NEW_SEVEN:
        return NamedBlock(Names.HEADER, 3)
    return _BLOCKS.get((code, first))
