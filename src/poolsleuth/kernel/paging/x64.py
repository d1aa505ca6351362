"""x64: four or five levels of 512 entries of eight bytes; large pages of 2 MB and 1 GB.

Intel 64 and IA-32 Software Developer's Manual, volume 3, "4-level paging and 5-level paging".
"""

from poolsleuth.kernel.paging.architecture import Entry, Level
from poolsleuth.kernel.paging.layout import PteLayout

_LARGE = 0x80
_FOUR = (Level(39, 9), Level(30, 9), Level(21, 9), Level(12, 9))
_ROOT_FRAMES = (1 << 40) - 1


class X64:
    """4-level paging, or 5-level paging (LA57)."""

    __slots__ = ("_first_large", "_frames", "levels")
    signed = True

    def __init__(self, layout: PteLayout, *, la57: bool = False) -> None:
        self.levels = (Level(48, 9), *_FOUR) if la57 else _FOUR
        self._first_large = len(self.levels) - 3
        self._frames = (1 << layout.frame.count) - 1

    def root(self, dtb: int) -> tuple[int, int]:
        """The root table: bits 12 to 51; the low bits hold the PCID, bit 63 a wish about the TLB."""
        return dtb >> 12 & _ROOT_FRAMES, 0

    def large(self, depth: int, entry: Entry) -> Entry:
        """PS: 1 GB pages at the third level from below, 2 MB pages at the second."""
        return entry & (_LARGE if depth >= self._first_large else 0)

    def wrong(self, depth: int, entry: Entry) -> Entry:
        """PS above the levels that can have large pages."""
        return entry & (0 if depth >= self._first_large else _LARGE)

    def frame(self, entry: Entry) -> Entry:
        """As many bits as the kernel uses, from bit 12 on."""
        return entry >> 12 & self._frames

    def large_frame(self, depth: int, entry: Entry) -> Entry:
        """The same from the first bit on that is not an offset in the large page."""
        return entry >> 12 & (self._frames & ~(self.levels[depth].pages - 1))
