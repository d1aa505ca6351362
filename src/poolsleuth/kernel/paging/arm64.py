"""ARM64 with pages of 4 KB: four levels of 512 descriptors of eight bytes; blocks of 2 MB and 1 GB.

Arm Architecture Reference Manual, "VMSAv8-64 translation table format descriptors". The directory table base in the
header of a dump is used as a root of four levels for all addresses; Windows leaves bit 47 to tell its two halves.
"""

from poolsleuth.kernel.paging.architecture import Entry, Level
from poolsleuth.kernel.paging.layout import PteLayout

_TABLE = 0b10
_ROOT_FRAMES = (1 << 36) - 1


class Arm64:
    """VMSAv8-64 with a granule of 4 KB."""

    __slots__ = ("_frames",)
    levels = (Level(39, 9), Level(30, 9), Level(21, 9), Level(12, 9))
    signed = True

    def __init__(self, layout: PteLayout) -> None:
        self._frames = (1 << layout.frame.count) - 1

    def root(self, dtb: int) -> tuple[int, int]:
        """The root table: bits 12 to 47; above them lies the ASID."""
        return dtb >> 12 & _ROOT_FRAMES, 0

    def large(self, depth: int, entry: Entry) -> Entry:
        """A block descriptor: the bit of tables is clear."""
        return ~entry & (_TABLE if depth in (1, 2) else 0)

    def wrong(self, depth: int, entry: Entry) -> Entry:
        """The first and the last level have no blocks."""
        return ~entry & (_TABLE if depth in (0, 3) else 0)

    def frame(self, entry: Entry) -> Entry:
        """As many bits as the kernel uses, from bit 12 on."""
        return entry >> 12 & self._frames

    def large_frame(self, depth: int, entry: Entry) -> Entry:
        """The same from the first bit on that is not an offset in the block."""
        return entry >> 12 & (self._frames & ~(self.levels[depth].pages - 1))
