"""x86 without PAE: two levels of 1,024 entries of four bytes; large pages of 4 MB, above 4 GB too (PSE-36).

Intel 64 and IA-32 Software Developer's Manual, volume 3, "32-bit paging".
"""

from poolsleuth.kernel.paging.architecture import Entry, Level
from poolsleuth.kernel.paging.layout import PteLayout

_LARGE = 0x80


class X86:
    """32-bit paging."""

    __slots__ = ()
    levels = (Level(22, 10), Level(12, 10))
    signed = False

    def __init__(self, layout: PteLayout) -> None:
        """The layout has nothing to say here: entries have no bits to spare."""

    def root(self, dtb: int) -> tuple[int, int]:
        """The page directory."""
        return dtb >> 12 & 0xFFFFF, 0

    def large(self, depth: int, entry: Entry) -> Entry:
        """PS of a page directory entry. Windows sets CR4.PSE on every processor that has it."""
        return entry & (_LARGE if depth == 0 else 0)

    def wrong(self, _: int, entry: Entry) -> Entry:
        """Reserved bits are not judged."""
        return entry & 0

    def frame(self, entry: Entry) -> Entry:
        """Bits 12 to 31."""
        return entry >> 12 & 0xFFFFF

    def large_frame(self, _: int, entry: Entry) -> Entry:
        """Bits 22 to 31, and bits 13 to 20 as bits 32 to 39 of the address."""
        return (entry >> 12 & 0xFFC00) | (entry >> 13 & 0xFF) << 20
