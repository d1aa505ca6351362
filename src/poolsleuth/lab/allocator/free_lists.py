"""The free lists of a pool: one for each size, the most recently freed block first."""

from collections import OrderedDict


class FreeLists:
    """Free blocks by size in units. Blocks of one unit have no room for the links: they are in no list.

    Every operation takes the same time however many blocks are free.
    """

    def __init__(self) -> None:
        self._lists: dict[int, OrderedDict[int, None]] = {}
        self._filled = 0  # bit n is set while the list of n units holds a block

    def put(self, address: int, units: int, *, last: bool = False) -> None:
        """Add a block: at the head of its list, or as ``last`` at the tail."""
        if units < 2:
            return
        blocks = self._lists.setdefault(units, OrderedDict())
        blocks[address] = None  # the end of the dictionary is the head of the list
        if last:
            blocks.move_to_end(address, last=False)
        self._filled |= 1 << units

    def remove(self, address: int, units: int) -> None:
        """Take a certain block out. Raises KeyError when it is not in its list."""
        if units < 2:
            return
        blocks = self._lists[units]
        del blocks[address]
        if not blocks:
            self._filled &= ~(1 << units)

    def take(self, units: int) -> tuple[int, int] | None:
        """The first block of the smallest list whose blocks are large enough, and its size; None when there is none."""
        large_enough = self._filled >> units
        if not large_enough:
            return None
        size = units + (large_enough & -large_enough).bit_length() - 1
        blocks = self._lists[size]
        address, _ = blocks.popitem()
        if not blocks:
            self._filled &= ~(1 << size)
        return address, size

    def ordered(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """Size and addresses, head first, of every list that holds a block."""
        return tuple(
            (units, tuple(reversed(self._lists[units]))) for units in sorted(self._lists) if self._lists[units]
        )
