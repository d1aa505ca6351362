"""Kinds of type records (leaves) by number, and the built-in types.

Kinds in ``OLD`` (written before 2002) have their names with the length before them; all else is as in the newer ones.
"""

FIRST_INDEX = 0x1000  # indices below stand for built-in types
POINTER, MODIFIER, BITFIELD, FIELD_LIST, PROCEDURE, MEMBER_FUNCTION = 0x1002, 0x1001, 0x1205, 0x1203, 0x1008, 0x1009
ARRAYS = (0x1503, 0x1003)
ENUMS = (0x1507, 0x1007)
UNIONS = (0x1506, 0x1006)
STRUCTURES = (0x1504, 0x1505, 0x1519, 0x1004, 0x1005)  # class, structure, interface
OLD = frozenset((0x1003, 0x1004, 0x1005, 0x1006, 0x1007, 0x0403, 0x1405, 0x1406, 0x1407, 0x1408, 0x140B, 0x140D))

_SIZES = {  # low byte of a built-in type -> bytes
    0x03: 0, 0x08: 4, 0x10: 1, 0x11: 2, 0x12: 4, 0x13: 8, 0x14: 16, 0x20: 1, 0x21: 2, 0x22: 4, 0x23: 8, 0x24: 16,
    0x30: 1, 0x31: 2, 0x32: 4, 0x33: 8, 0x40: 4, 0x41: 8, 0x42: 10, 0x43: 16, 0x44: 6, 0x46: 2, 0x68: 1, 0x69: 1,
    0x70: 1, 0x71: 2, 0x72: 2, 0x73: 2, 0x74: 4, 0x75: 4, 0x76: 8, 0x77: 8, 0x78: 16, 0x79: 16, 0x7A: 2, 0x7B: 4,
    0x7C: 1,
}  # fmt: skip
_POINTER_MODES = {1: 2, 2: 4, 3: 4, 4: 4, 5: 6, 6: 8, 7: 16}  # bits 8 to 11 of a built-in type: a pointer to it


def builtin_size(index: int) -> int | None:
    """Bytes of a built-in type, or of a pointer to one; None when it is none of C."""
    mode = index >> 8 & 0xF
    return _POINTER_MODES.get(mode) if mode else _SIZES.get(index & 0xFF)
