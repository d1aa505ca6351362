"""The physical memory of the simulated machine: sparse, with holes as real machines have them.

Only what is written costs memory: a machine of 64 GB is as cheap as the pages that lie in it. Pages are handed out in
an order that is scattered over the machine, yet the same for the same seed.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Literal, overload

PAGE = 0x1000
"""Bytes of a physical page."""

_TRIES = 16  # random places looked at before the gaps are searched one by one
_LOW_END, _HIGH_START = 0x9F, 0x100  # page 0 belongs to the firmware, and so does 0x9F000 ... 0x100000
_DEVICE_HOLE, _FOUR_GB = 0xC0000, 0x100000  # devices lie below 4 GB: the memory goes on behind them
_BLOCK, _KEPT = (
    1024,
    3,
)  # the last of every four blocks (4 MB each) is kept for large pages while there is room elsewhere
_ANYWHERE = 1 << 40  # no physical address has more than 52 bits

Run = tuple[int, int]
"""Page number of the first page, and the number of pages."""


def usual_runs(total_pages: int) -> tuple[Run, ...]:
    """The memory map of a PC with that many pages: page 0, the area below 1 MB and the last GB below 4 GB are holes."""
    found: list[Run] = []
    left = total_pages
    for base, end in ((1, _LOW_END), (_HIGH_START, _DEVICE_HOLE), (_FOUR_GB, _ANYWHERE)):
        count = min(left, end - base)
        if count > 0:
            found.append((base, count))
        left -= count
    return tuple(found)


class PhysicalImage:
    """Physical memory that reads as zeros until it is written.

    ``runs`` replaces the usual memory map (base, count); its pages must add up to ``total_pages``. A page exists once
    it was taken or written. Raises ValueError for a memory map that is empty, overlaps or does not add up.
    """

    def __init__(self, total_pages: int, *, seed: int = 0, runs: Sequence[Run] | None = None) -> None:
        self.total_pages = total_pages
        self._runs = usual_runs(total_pages) if runs is None else tuple(sorted((base, count) for base, count in runs))
        ends = [base + count for base, count in self._runs]
        if not self._runs or sum(count for _, count in self._runs) != total_pages or self._runs[0][0] < 0:
            raise ValueError("the runs of a machine must add up to its pages, of which there must be some")
        if any(count <= 0 for _, count in self._runs) or any(
            base < end for end, (base, _) in zip(ends, self._runs[1:], strict=False)
        ):
            raise ValueError("the runs of a machine must not be empty and must not overlap")
        self._run_bases = [base for base, _ in self._runs]
        self._run_ends = ends
        self._before = [0, *accumulate(count for _, count in self._runs)]
        self._random = Random(seed)
        self._pages: dict[int, bytearray] = {}
        # Pages in use, as sorted intervals that do not touch
        self._begins: list[int] = []
        self._ends: list[int] = []

    def runs(self) -> tuple[Run, ...]:
        """The memory map, sorted: page number of the first page and number of pages of each run."""
        return self._runs

    @property
    def end(self) -> int:
        """The first page number behind all memory."""
        return self._run_ends[-1]

    def holds(self, number: int, count: int = 1) -> bool:
        """Whether the machine has ``count`` pages from ``number`` on."""
        at = bisect_right(self._run_bases, number) - 1
        return at >= 0 and number + count <= self._run_ends[at]

    @overload
    def take(
        self, count: int = 1, *, contiguous: Literal[True] = True, above: int = 0, below: int = ..., align: int = 1
    ) -> int: ...

    @overload
    def take(
        self, count: int = 1, *, contiguous: Literal[False], above: int = 0, below: int = ..., align: int = 1
    ) -> list[int]: ...

    def take(
        self, count: int = 1, *, contiguous: bool = True, above: int = 0, below: int = _ANYWHERE, align: int = 1
    ) -> int | list[int]:
        """``count`` pages that nobody uses: the page number of the first one, or with ``contiguous=False`` all of them.

        ``above`` and ``below`` are page numbers (at or above, entirely below); the first page number is a multiple of
        ``align``. Raises ValueError where the machine has no such pages left.
        """
        if count < 1 or align < 1:
            raise ValueError("at least one page is taken, at a multiple of at least one")
        if not contiguous:
            return [self.take(above=above, below=below, align=align) for _ in range(count)]
        number = self._random_place(count, above, below, align)
        if number is None:
            number = self._first_place(count, above, below, align)
        if number is None:
            raise ValueError(f"the machine has no {count} pages in one piece left from page {above:#x} on")
        self.claim(number, count)
        return number

    def claim(self, number: int, count: int = 1) -> None:
        """Say that these pages are in use (again, perhaps). Raises ValueError where the machine has none."""
        if not self.holds(number, count):
            raise ValueError(f"the machine has no memory at page {number:#x} (and the {count} pages from there on)")
        begin, end = number, number + count
        first = bisect_left(self._ends, begin)
        last = bisect_right(self._begins, end)
        if first < last:
            begin, end = min(begin, self._begins[first]), max(end, self._ends[last - 1])
        self._begins[first:last] = [begin]
        self._ends[first:last] = [end]

    def in_use(self) -> tuple[Run, ...]:
        """The pages that exist, as sorted runs."""
        return tuple((begin, end - begin) for begin, end in zip(self._begins, self._ends, strict=True))

    def pages(self) -> list[int]:
        """The numbers of all pages that exist (taken or written), sorted."""
        return [number for base, count in self.in_use() for number in range(base, base + count)]

    def written(self) -> list[int]:
        """The numbers of the pages that were written, sorted: all others are zero."""
        return sorted(self._pages)

    def page(self, number: int) -> bytearray:
        """The bytes of a page, to be read or changed: it exists from then on. ValueError where there is no memory."""
        found = self._pages.get(number)
        if found is None:
            self.claim(number)
            found = self._pages[number] = bytearray(PAGE)
        return found

    def peek(self, number: int) -> bytes | bytearray | None:
        """The bytes of a page, not to be changed; None for one that was never written (all zero)."""
        return self._pages.get(number)

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Write at a physical address. Raises ValueError where the machine has no memory."""
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            number, skip = divmod(address + done, PAGE)
            part = view[done : done + PAGE - skip]
            self.page(number)[skip : skip + len(part)] = part
            done += len(part)

    def read(self, address: int, size: int) -> bytes:
        """``size`` bytes from a physical address. Raises ValueError where the machine has no memory."""
        parts: list[bytes | bytearray] = []
        while size > 0:
            number, skip = divmod(address, PAGE)
            count = min(size, PAGE - skip)
            page = self._pages.get(number)
            if page is None and not self.holds(number):
                raise ValueError(f"the machine has no memory at page {number:#x}")
            parts.append(bytes(count) if page is None else page[skip : skip + count])
            address, size = address + count, size - count
        return b"".join(parts)

    def _free(self, number: int, count: int) -> bool:
        at = bisect_right(self._begins, number) - 1
        if at >= 0 and self._ends[at] > number:
            return False
        return at + 1 == len(self._begins) or self._begins[at + 1] >= number + count

    def _random_place(self, count: int, above: int, below: int, align: int) -> int | None:
        low, high = self._rank(above), self._rank(below)
        for _ in range(_TRIES if high > low else 0):
            rank = self._random.randrange(low, high)
            at = bisect_right(self._before, rank) - 1
            number = (self._run_bases[at] + rank - self._before[at]) // align * align
            if align < _BLOCK // 2 and number // _BLOCK % 4 == _KEPT:
                continue
            if number >= above and number + count <= below and self.holds(number, count) and self._free(number, count):
                return number
        return None

    def _first_place(self, count: int, above: int, below: int, align: int) -> int | None:
        for base, end in zip(self._run_bases, self._run_ends, strict=True):
            number = max(base, above)
            while True:
                number = -(-number // align) * align
                if number + count > min(end, below):
                    break
                if self._free(number, count):
                    return number
                # Behind the last interval that is in the way
                number = self._ends[bisect_left(self._begins, number + count) - 1]
        return None

    def _rank(self, number: int) -> int:
        """How many pages of memory lie below a page number."""
        at = bisect_right(self._run_bases, number) - 1
        if at < 0:
            return 0
        return self._before[at] + min(number, self._run_ends[at]) - self._run_bases[at]
