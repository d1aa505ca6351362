"""How much one walk over the pools may decode: page tables can show one page of memory at any number of addresses.

A page of the pool lies at one address (some kernels show a part of it at a second one). So a walk that decodes far more
pages than the dump holds goes round in circles, and ends with a sentence.
"""

from dataclasses import dataclass

from poolsleuth.kernel.address_space import AddressSpace
from poolsleuth.kernel.paging.space import VirtualMemory

TIMES_HELD = 2  # pages of pool that a walk decodes, for each page that the dump holds: pages seen at a second address
MIN_PAGES = 1 << 16  # that may be decoded in any case: a fifth of a second
TIMES_ABSENT = 16  # pages that are mapped and not in the dump, for each page that is
MIN_ABSENT = 1 << 26  # that may be passed over in any case: 256 GB, two seconds


@dataclass(slots=True)
class WalkBudget:
    """``left`` is how many pages may still be decoded, ``absent`` how many that are not in the dump passed over.

    ``held`` are the pages of the dump.
    """

    held: int
    left: int
    absent: int

    @classmethod
    def of(cls, space: AddressSpace) -> "WalkBudget":
        """That of one walk over this memory."""
        held = space.pages_held if isinstance(space, VirtualMemory) else 0
        return cls(held, max(TIMES_HELD * held, MIN_PAGES), max(TIMES_ABSENT * held, MIN_ABSENT))

    def take(self, wanted: int) -> int:
        """How many of so many pages may be decoded; they are then counted."""
        taken = min(wanted, max(self.left, 0))
        # What was wanted and not given says that the budget is spent
        self.left -= taken if taken == wanted else taken + 1
        return taken

    @property
    def spent(self) -> bool:
        """Whether more was wanted than there was."""
        return self.left < 0 or self.absent < 0

    @property
    def says(self) -> str:
        """Why the walk ends there."""
        if self.absent < 0:
            return "far more memory is mapped than is in the dump: the walk of the pool ends there"
        return (
            f"the same memory is mapped again and again ({self.held:,} pages are in the dump, and more than"
            f" {max(TIMES_HELD * self.held, MIN_PAGES):,} look like pool): the walk of the pool ends there"
        )
