"""Doubly linked lists of the kernel (LIST_ENTRY): walked with every link checked in both directions.

A step is believed when the entry it leads to points back to where the step came from. That also ends every walk in a
loop: the first entry that is met twice would have to point back to two entries. Where the chain breaks, the walk goes
on from the list's other end; also where it comes back to the head from another entry than the head's other link names:
a link that was overwritten with the head's address looks like the end.
"""

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import PAGE, AddressSpace, Reader

MAX_ENTRIES = 1 << 20  # the longest list read here, the resources, has about 100,000 on the largest servers
MAX_CACHED_PAGES = 1 << 12  # 16 MB: entries of one list lie close together


@dataclass(frozen=True, slots=True, eq=False)
class ListWalk:
    """The entries of a list. ``entries`` are the addresses of the LIST_ENTRYs in the list's order, without its head.

    ``whole`` is False when entries are missing. ``says`` tells in a sentence what is wrong with the list; None when
    nothing is. A list with one wrong link can still be whole: its other direction leads over the gap.
    """

    entries: NDArray[np.uint64]
    whole: bool
    says: str | None


class PageCache:
    """An address space that keeps the last pages it read, for walks that come back to the same pages."""

    __slots__ = ("_pages", "_space", "pointer_size")

    def __init__(self, space: AddressSpace) -> None:
        self._space = space
        self._pages: dict[int, bytes | Absence] = {}
        self.pointer_size = space.pointer_size

    def read(self, address: int, size: int) -> bytes | Absence:
        """As the address space below."""
        number, skip = divmod(address, PAGE)
        if size < 0 or skip + size > PAGE:
            return self._space.read(address, size)
        page = self._pages.get(number)
        if page is None:
            page = self._space.read(number * PAGE, PAGE)
            while len(self._pages) >= MAX_CACHED_PAGES:
                del self._pages[next(iter(self._pages))]
            self._pages[number] = page
        # Some dumps hold pieces of pages: what lies in one can be read although its page as a whole cannot
        return self._space.read(address, size) if isinstance(page, Absence) else page[skip : skip + size]

    def gather(self, pages: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """As the address space below."""
        return self._space.gather(pages)


@dataclass(slots=True)
class _Part:
    """What a walk in one direction found, and where and why it stopped (None: it came back to the head)."""

    entries: "array[int]"
    stopped_at: int | None = None
    why: str | None = None


def walk_list(memory: Reader, head: int, limit: int = MAX_ENTRIES) -> ListWalk:
    """Walk the list whose head is the LIST_ENTRY at ``head``; at most ``limit`` entries."""
    space = PageCache(memory.space)
    width = memory.pointer_size
    raw = space.read(head, 2 * width)
    if isinstance(raw, Absence):
        return _walk((), False, f"the head of the list at 0x{head:x} cannot be read: it is {raw.says}")
    first, last = int.from_bytes(raw[:width], "little"), int.from_bytes(raw[width:], "little")
    if first == 0 and last == 0:
        return _walk((), False, f"the head of the list at 0x{head:x} was never filled")
    forward = _follow(space, head, first, limit, ahead=True)
    end = forward.entries[-1] if forward.entries else head
    if forward.why is None and last == end:
        return _walk(forward.entries, True, None)
    backward = _follow(space, head, last, limit - len(forward.entries), ahead=False)
    if forward.why is None:
        if not backward.entries:  # the head's other link is damaged, and nothing else
            return _walk(forward.entries, True, None)
        _stop(forward, head, f"after {len(forward.entries)} entries the list leads back to its head too early")
    if backward.why is None:
        rest = array("Q", reversed(backward.entries))
        return _walk(rest, True, f"{forward.why}; the list is whole when it is read from its other end")
    entries = forward.entries + array("Q", reversed(backward.entries))
    # The two parts meet when one ends where the other stopped: then one link is wrong, and no entry is missing
    if (backward.entries and backward.entries[-1] == forward.stopped_at) or (
        forward.entries and forward.entries[-1] == backward.stopped_at
    ):
        return _walk(entries, True, f"{forward.why}; its links from the other end lead over the gap")
    found = len(backward.entries)
    return _walk(entries, False, f"{forward.why}; {found or 'no'} more could be read from the other end")


def _walk(entries: "array[int] | tuple[()]", whole: bool, says: str | None) -> ListWalk:
    return ListWalk(np.array(entries, np.uint64), whole, says)


def _follow(space: PageCache, head: int, start: int, limit: int, *, ahead: bool) -> _Part:
    width = space.pointer_size
    onward, back = (slice(width), slice(width, None)) if ahead else (slice(width, None), slice(width))
    part = _Part(array("Q"))
    entries, previous, at = part.entries, head, start
    while at != head:
        if len(entries) >= limit:
            return _stop(part, at, f"the list has more than {limit} entries: it was read no further")
        if at == 0 or at % width:
            return _stop(part, at, f"after {len(entries)} entries the list leads to 0x{at:x}, which is no entry")
        raw = space.read(at, 2 * width)
        if isinstance(raw, Absence):
            return _stop(part, at, f"after {len(entries)} entries the list breaks: the entry at 0x{at:x} is {raw.says}")
        if int.from_bytes(raw[back], "little") != previous:
            away = f"does not point back to 0x{previous:x}"
            return _stop(part, at, f"after {len(entries)} entries the list breaks: the entry at 0x{at:x} {away}")
        entries.append(at)
        previous, at = at, int.from_bytes(raw[onward], "little")
    return part


def _stop(part: _Part, at: int, why: str) -> _Part:
    part.stopped_at, part.why = at, why
    return part
