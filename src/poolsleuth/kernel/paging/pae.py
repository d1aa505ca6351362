"""x86 with PAE: a table of four entries, then two levels of 512 entries of eight bytes; large pages of 2 MB.

Intel 64 and IA-32 Software Developer's Manual, volume 3, "PAE paging".
"""

from poolsleuth.kernel.paging.architecture import Entry, Level
from poolsleuth.kernel.paging.layout import PteLayout

_LARGE = 0x80


class Pae:
    """PAE paging."""

    __slots__ = ("_frames",)
    levels = (Level(30, 2), Level(21, 9), Level(12, 9))
    signed = False

    def __init__(self, layout: PteLayout) -> None:
        self._frames = (1 << layout.frame.count) - 1

    def root(self, dtb: int) -> tuple[int, int]:
        """The page directory pointer table: 32 bytes, below 4 GB, anywhere in its page."""
        return dtb >> 12 & 0xFFFFF, (dtb & 0xFE0) // 8

    def large(self, depth: int, entry: Entry) -> Entry:
        """PS of a page directory entry."""
        return entry & (_LARGE if depth == 1 else 0)

    def wrong(self, _: int, entry: Entry) -> Entry:
        """Reserved bits are not judged."""
        return entry & 0

    def frame(self, entry: Entry) -> Entry:
        """As many bits as the kernel uses, from bit 12 on."""
        return entry >> 12 & self._frames

    def large_frame(self, depth: int, entry: Entry) -> Entry:
        """The same from bit 21 on."""
        return entry >> 12 & (self._frames & ~(self.levels[depth].pages - 1))
