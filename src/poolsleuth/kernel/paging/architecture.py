"""What the walk through page tables asks of an architecture. All page numbers count pages of 4 KB."""

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray

Entry = TypeVar("Entry", int, NDArray[Any])
"""One entry, or many at once (uint64): the same expressions serve both. numpy's types do not know that an array of
uint64 and a Python number make an array of uint64."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level of tables: its index is ``bits`` bits of the address, from bit ``shift`` on."""

    shift: int
    bits: int

    @property
    def pages(self) -> int:
        """Pages of 4 KB that one entry stands for."""
        return 1 << self.shift - 12


class Architecture(Protocol):
    """The form of page tables. ``depth`` is 0 at the root."""

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels, the root first."""
        ...

    @property
    def signed(self) -> bool:
        """Whether addresses must be canonical: all bits above those that are translated equal the highest of them."""
        ...

    def root(self, dtb: int) -> tuple[int, int]:
        """The physical page of the root table, and the index of its first entry in that page."""
        ...

    def large(self, depth: int, entry: Entry, /) -> Entry:
        """Not 0 where a valid entry, not of the last level, maps memory instead of a table."""
        ...

    def wrong(self, depth: int, entry: Entry, /) -> Entry:
        """Not 0 where the processor would refuse a valid entry."""
        ...

    def frame(self, entry: Entry) -> Entry:
        """The physical page of the table or of the page of 4 KB that a valid entry maps."""
        ...

    def large_frame(self, depth: int, entry: Entry, /) -> Entry:
        """The first physical page that a valid entry maps as a large page."""
        ...
