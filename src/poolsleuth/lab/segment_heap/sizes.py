"""Which part of a segment heap serves a request, and in what steps sizes go.

From the fact sheet: blocks to 508 KB lie in segments of 1 MB with units of a page, larger ones in segments of 16 MB
with units of 64 KB; what does not fit there is a large allocation. Public texts give the end of the second kind as
"7 GB": as the first kind ends with 0x7F000 bytes, 0x7F0000 (sixteen times that) is taken here.
"""

from poolsleuth.lab.machine import PAGE

UNIT = 16
"""Bytes that sizes are counted in; also those of a pool header, and of the header of a VS chunk."""
LARGEST_HEADED = PAGE - 2 * UNIT
"""The largest request that gets a pool header: a larger one begins with a page and stands in the big-page table."""
LFH_LIMIT = 0x200
"""The largest block, in bytes with its header, that the low fragmentation heap of the pool takes."""
LFH_LIVING = 17
"""Blocks of a size that must be in use before its bucket is served by the low fragmentation heap."""
VS_LIMIT = 0x20000
"""The largest request that is served by subsegments of variable size."""
DIRECT_LIMITS = (0x7F000, 0x7F0000)
"""The largest request that is served by a range of units, by context."""
UNIT_SHIFTS = (12, 16)
"""Powers of two: the bytes of a unit, by context."""
UNITS = 256
"""Units of a segment."""
LOOKASIDE_FIRST, LOOKASIDE_LAST, LOOKASIDE_STEP = 0x200, 0xF80, 0x40
"""Sizes of blocks that may wait in a dynamic lookaside list, and how far the lists are apart."""

_STEPS = ((1008, 16), (2032, 64), (4080, 128), (8176, 256), (16368, 512))


def bucket_size(size: int) -> int:
    """The bytes of a block of the low fragmentation heap for so many bytes (both with the header).

    Raises ValueError beyond the last bucket.
    """
    before = 0
    for last, step in _STEPS:
        if size <= last:
            return before - (before - size) // step * step
        before = last
    raise ValueError(f"there is no bucket for {size} bytes")


def block_bytes(request: int) -> int:
    """The bytes that a request takes: with a pool header up to ``LARGEST_HEADED``, without one beyond it."""
    return -(-(max(request, 1) + (UNIT if request <= LARGEST_HEADED else 0)) // UNIT) * UNIT
