"""What Windows writes into page table entries, for each kind of page table and each build.

Hardware entries follow the manuals of the processors. Entries of pages that are not there ("software" entries) follow
the types that Microsoft's public symbols hold for each build, as volatility, MemProcFS and ntdiff restate them: bit 0
clear, prototype in bit 10, transition in bit 11, protection in bits 5 to 9 (ARM64: 1 to 5). The defence against L1TF
moved the number of the page file and brought the swizzle bit: new kernels since 1809 have it, and older ones with the
updates after August 2018.
"""

from dataclasses import dataclass
from typing import Literal

Mode = Literal["x86", "pae", "x64", "la57", "arm64"]
State = Literal["valid", "transition", "prototype", "paged-out", "demand-zero"]

READ_WRITE = 4
"""The protection that most pages of pool have: MM_READWRITE."""
PAGED_POOL_XP = 0xE1000000
"""Where paged pool begins on x86 before Vista (it can lie elsewhere): prototype entries count from there."""

_VISTA, _L1TF = 6000, 17763  # 17134 has the page file's number in bits 1 to 4 still, 17763 in 12 to 15
_PROTOTYPE, _TRANSITION, _SWIZZLE = 1 << 10, 1 << 11, 1 << 4
_NO_EXECUTE = 1 << 63
_WORKING_SET_AGE = 0x0A << 56  # bits that the processor ignores: Windows counts in them for user page tables

# x86 and x64: present, writable, user, accessed, dirty, large, global; bit 11 is Windows' own "writable"
_TABLE_KERNEL, _TABLE_USER = 0x863, 0x867
_PAGE_KERNEL, _PAGE_USER = 0x963, 0x867
_LARGE = 0x80

# ARM64: valid and table/page, or valid alone for a block; inner shareable, accessed; not global; no execute
_ARM_TABLE, _ARM_PAGE, _ARM_BLOCK = 0x3, 0x703, 0x701
_ARM_USER, _ARM_NO_EXECUTE = 0x840, 0x3 << 53


@dataclass(frozen=True, slots=True)
class EntryLayout:
    """Makes the entries of one machine. Page numbers go in, entries of ``size`` bytes come out.

    ``swizzle_bit`` says whether the entries have room for it; None: as the build had it when it was released. Older
    kernels that were serviced later have it too (7601.24540, 9600.19913, 14393.4583), x86 without PAE and ARM64 never.
    ``invalid_pte_mask`` is MiState.Hardware.InvalidPteMask: 0 where the processor needs no L1TF defence. Without a
    swizzle bit it changes nothing.
    """

    mode: Mode
    build: int
    invalid_pte_mask: int = 0
    paged_pool_base: int = PAGED_POOL_XP
    swizzle_bit: bool | None = None

    @property
    def size(self) -> int:
        """Bytes of an entry."""
        return 4 if self.mode == "x86" else 8

    def table(self, page: int, *, user: bool) -> int:
        """An entry that leads to a lower table."""
        if self.mode == "arm64":
            return page << 12 | _ARM_TABLE
        entry = page << 12 | (_TABLE_USER if user else _TABLE_KERNEL)
        return entry | _WORKING_SET_AGE if user and self.mode in ("x64", "la57") and self.build >= _VISTA else entry

    def pointer_table(self, page: int) -> int:
        """An entry of the four that a PAE machine's CR3 leads to: only "present" may be set in it."""
        return page << 12 | 1

    def valid(self, page: int, *, user: bool, large: bool = False) -> int:
        """An entry of a page that is there. ``large``: the page is as large as the level of the table makes it."""
        if self.mode == "arm64":
            return page << 12 | (_ARM_BLOCK if large else _ARM_PAGE) | _ARM_NO_EXECUTE | (_ARM_USER if user else 0)
        entry = page << 12 | (_PAGE_USER if user else _PAGE_KERNEL) | (_LARGE if large else 0)
        return entry if self.mode == "x86" or large else entry | _NO_EXECUTE

    def transition(self, page: int, *, protection: int = READ_WRITE) -> int:
        """An entry of a page that is still in memory, but on its way out of the working set."""
        return self._swizzled(page << 12 | _TRANSITION | self._protection(protection))

    def page_file(self, number: int, offset: int, *, protection: int = READ_WRITE) -> int:
        """An entry of a page in a page file (0 to 15), ``offset`` pages from its beginning.

        Raises ValueError for a number and an offset that do not fit, or that would read as "demand zero".
        """
        if not 0 <= number <= 15 or not 0 < offset < 1 << (20 if self.mode == "x86" else 32):
            raise ValueError("a page lies in page file 0 to 15, at an offset that is not 0 and fits")
        if self.mode == "x86":
            return offset << 12 | protection << 5 | number << 1
        place = 6 if self.mode == "arm64" else 12 if self._swizzles else 1
        return self._swizzled(offset << 32 | self._protection(protection) | number << place)

    def demand_zero(self, *, protection: int = READ_WRITE) -> int:
        """An entry of a page that was reserved and never touched."""
        return self._swizzled(self._protection(protection))

    def prototype(self, address: int, *, protection: int = 0) -> int:
        """An entry that sends the reader to the prototype entry at a virtual address.

        Also how a prototype entry itself names the subsection of the file that the page is to be read from.
        Raises ValueError for an address that cannot be written in so few bits.
        """
        if address % 4:
            raise ValueError("prototype entries lie at multiples of 4 bytes")
        if self.mode == "x86":
            return self._packed_prototype(address)
        if self.mode == "pae":
            return self._swizzled(address << 32 | self._prototype_protection(protection) | _PROTOTYPE)
        return self._swizzled((address & (1 << 48) - 1) << 16 | self._prototype_protection(protection) | _PROTOTYPE)

    @property
    def _swizzles(self) -> bool:
        if self.mode in ("x86", "arm64"):
            return False
        return self.build >= _L1TF if self.swizzle_bit is None else self.swizzle_bit

    def _protection(self, protection: int) -> int:
        return protection << (1 if self.mode == "arm64" else 5)

    def _prototype_protection(self, protection: int) -> int:
        # Before the swizzle bit came, the protection of a prototype entry lay in bits 11 to 15
        return self._protection(protection) if self._swizzles or self.mode == "arm64" else protection << 11

    def _packed_prototype(self, address: int) -> int:
        if self.build >= _VISTA:
            if not address >> 31:
                raise ValueError("prototype entries lie in the system's half of the addresses")
            return (address & 0x7FFFFC00) << 1 | (address & 0x3FC) >> 1 | _PROTOTYPE
        offset = address - self.paged_pool_base
        if not 0 <= offset < 1 << 30:
            raise ValueError("prototype entries lie within 1 GB from the beginning of paged pool")
        return (offset >> 9) << 11 | (offset & 0x1FC) >> 1 | _PROTOTYPE

    def _swizzled(self, entry: int) -> int:
        """Turn bits of an entry that is not valid around, so that the processor cannot guess an address from it.

        The bits are turned where none of them is set; else the swizzle bit says that the entry was left as it is.
        """
        if not self.invalid_pte_mask or not self._swizzles:
            return entry
        return entry | _SWIZZLE if entry & self.invalid_pte_mask else entry ^ self.invalid_pte_mask
