"""A classic pool at work: blocks are allocated and freed in pages of bytes, as Windows XP to 10 1607 do it.

From the public flow chart of the Windows 7 allocator (T. Mandt, "Kernel Pool Cheat Sheet"): lookaside lists first, then
the smallest list whose blocks are large enough, then a fresh page; freed blocks join with free neighbours and go to the
head of their list; a page without a block in use goes back. From the article "Pool Fragmentation": a fresh page gives
its top to the caller, the rest becomes free. The lab's choice, where no public text was found: so does any free block
at the start of a page, every other one is cut at its right end (blocks end up in the middle of pages, as in the
article); the rest of a split goes to the tail of its list; and the tag of a rest is what lay there before.
"""

import heapq
from dataclasses import dataclass

from poolsleuth.lab.allocator.free_lists import FreeLists
from poolsleuth.lab.allocator.headers import (
    PROTECTED,
    QUOTA,
    PoolName,
    form_of,
    read_header,
    read_previous,
    request_type,
    stored_type,
    tag_number,
    tag_text,
    write_header,
    write_previous,
    write_sizes,
)
from poolsleuth.lab.machine import PAGE, PoolUse

MOST_LOOKASIDE_UNITS = 32  # larger blocks have no lookaside list


@dataclass(frozen=True, slots=True)
class BigAllocation:
    """Whole pages without a header: ``bytes`` were asked for, ``pages`` are taken."""

    address: int
    tag: str
    bytes: int
    pages: int
    pool_type: int


class ClassicPool:
    """One pool of a machine with pointers of 4 or 8 bytes. The same calls give the same bytes.

    ``index`` is the pool's number among those of its kind. ``lookaside_depth``: so many freed blocks of each small size
    (up to ``lookaside_units``) wait in a lookaside list, where they look allocated; with 0 there are no such lists.
    Pages begin at ``base``.
    """

    def __init__(
        self,
        pool: PoolName,
        pointer: int,
        build: int,
        *,
        index: int = 0,
        lookaside_depth: int = 0,
        lookaside_units: int = MOST_LOOKASIDE_UNITS,
        base: int = 0,
    ) -> None:
        self.pool: PoolName = pool
        self.build = build
        self.index = index
        self.base = base
        self.form = form_of(pointer)
        self.lookaside_depth = lookaside_depth
        self.lookaside_units = lookaside_units
        self.request_type = request_type(pool)
        self.rows: dict[int, bytearray] = {}
        """The pages in use that are cut into blocks, by address."""
        self.free_lists = FreeLists()
        self.lookaside: dict[int, list[int]] = {}
        """Header addresses by size in units, in the order in which they came: the last one goes out first."""
        self.processes: dict[int, int] = {}
        """The process that pays for a block, by the address of the header."""
        self.big: dict[int, BigAllocation] = {}
        self._in_use: set[int] = set()
        self._end = base
        self._holes: list[int] = []
        self._counts: dict[str, list[int]] = {}

    def allocate(self, size_bytes: int, tag: str, *, protected: bool = False, quota_process: int | None = None) -> int:
        """Memory for so many bytes: the address behind the block's header, or that of whole pages for a large request.

        ``quota_process`` is the process that pays for it; that of whole pages is not kept. Raises ValueError for a
        negative size and for a tag that is no four bytes.
        """
        if size_bytes < 0:
            raise ValueError("no allocation has less than 0 bytes")
        number, form = tag_number(tag), self.form
        size = max(size_bytes, 1)
        if quota_process is not None and form.pointer == 4:
            size += 4  # the last word of the block holds the process
        if size > form.largest:
            return self._allocate_big(max(size_bytes, 1), tag)
        units = -(-size // form.unit) + 1
        address = self._from_lookaside(units) if quota_process is None else None
        if address is None:
            address = self._cut(units)
        page = self.rows[address // PAGE * PAGE]
        offset = address % PAGE
        previous = read_previous(page, offset, form)
        kind = self.request_type | (0 if quota_process is None else QUOTA)
        number |= PROTECTED if protected else 0
        write_header(page, offset, form, (previous, self.index, units, stored_type(kind, self.build), number))
        if quota_process is not None:
            self.processes[address] = quota_process
        self._in_use.add(address)
        self._count(tag, 0, units * form.unit)
        return address + form.unit

    def free(self, address: int) -> None:
        """Give back what ``allocate`` gave. Raises ValueError for any other address, and the second time."""
        big = self.big.pop(address, None)
        if big is not None:
            for number in range(big.pages):
                heapq.heappush(self._holes, address + number * PAGE)
            self._count(big.tag, 1, -big.bytes)
            return
        at = address - self.form.unit
        if at not in self._in_use:
            raise ValueError(f"nothing is allocated at {address:#x}")
        self._in_use.remove(at)
        page = self.rows[at // PAGE * PAGE]
        previous, index, units, _kind, tag = read_header(page, at % PAGE, self.form)
        self._count(tag_text(tag), 1, -units * self.form.unit)
        if self.processes.pop(at, None) is None and units <= self.lookaside_units:
            waiting = self.lookaside.setdefault(units, [])
            if len(waiting) < self.lookaside_depth:
                waiting.append(at)
                return
        self._release(at, page, previous, index, units)

    def uses(self) -> dict[str, PoolUse]:
        """What the tag table counts of each tag: a block in a lookaside list is freed."""
        return {tag: PoolUse(*counts) for tag, counts in self._counts.items()}

    @property
    def bytes_cut(self) -> int:
        """Bytes of blocks that are not free to the pool: those of lookaside lists count."""
        waiting = sum(units * len(blocks) for units, blocks in self.lookaside.items()) * self.form.unit
        small = sum(counts[2] for counts in self._counts.values()) - sum(each.bytes for each in self.big.values())
        return small + waiting

    def _count(self, tag: str, which: int, size: int) -> None:
        counts = self._counts.setdefault(tag.ljust(4), [0, 0, 0])
        counts[which] += 1
        counts[2] += size

    def _allocate_big(self, size: int, tag: str) -> int:
        pages = -(-size // PAGE)
        address = self._end
        if pages == 1 and self._holes:
            address = heapq.heappop(self._holes)
        else:
            self._end += pages * PAGE
        self.big[address] = BigAllocation(address, tag.ljust(4), size, pages, self.request_type)
        self._count(tag, 0, size)
        return address

    def _from_lookaside(self, units: int) -> int | None:
        waiting = self.lookaside.get(units)
        return waiting.pop() if waiting else None

    def _cut(self, units: int) -> int:
        """A block of that size out of a free one or of a fresh page, whose rest becomes free. Gives its address."""
        found, form = self.free_lists.take(units), self.form
        if found is None:
            address, size = self._fresh_page(), form.units
            page = self.rows[address]
        else:
            address, size = found
            page = self.rows[address // PAGE * PAGE]
        offset = address % PAGE
        if size == units:
            return address
        rest = size - units
        if offset == 0:
            write_sizes(page, 0, form, (0, self.index, units, 0))
            self._put_free(page, address + units * form.unit, units, rest)
            return address
        previous = read_previous(page, offset, form)
        self._put_free(page, address, previous, rest)
        own = offset + rest * form.unit
        write_sizes(page, own, form, (rest, self.index, units, 0))
        self._tell_next(page, own, units)
        return address + rest * form.unit

    def _put_free(self, page: bytearray, address: int, previous: int, units: int) -> None:
        write_sizes(page, address % PAGE, self.form, (previous, self.index, units, 0))
        self._tell_next(page, address % PAGE, units)
        self.free_lists.put(address, units, last=True)

    def _tell_next(self, page: bytearray, offset: int, units: int) -> None:
        behind = offset + units * self.form.unit
        if behind < PAGE:
            write_previous(page, behind, self.form, units)

    def _fresh_page(self) -> int:
        if self._holes:
            address = heapq.heappop(self._holes)
        else:
            address = self._end
            self._end += PAGE
        self.rows[address] = bytearray(PAGE)
        return address

    def _release(self, at: int, page: bytearray, previous: int, index: int, units: int) -> None:
        """Make a block free and join it with free neighbours; a page that is free as a whole goes back."""
        form = self.form
        offset = at % PAGE
        behind = offset + units * form.unit
        if behind < PAGE:
            _own, _index, next_units, next_kind, _tag = read_header(page, behind, form)
            if next_kind == 0:
                self.free_lists.remove(at + units * form.unit, next_units)
                units += next_units
        if previous:
            before = offset - previous * form.unit
            before_previous, _index, _units, before_kind, _tag = read_header(page, before, form)
            if before_kind == 0:
                # The swallowed header stays in memory, but says that it is free
                write_sizes(page, offset, form, (previous, index, units, 0))
                self.free_lists.remove(at - previous * form.unit, previous)
                at, offset, units, previous = at - previous * form.unit, before, units + previous, before_previous
        if units == form.units:
            del self.rows[at]
            heapq.heappush(self._holes, at)
            return
        write_sizes(page, offset, form, (previous, index, units, 0))
        self._tell_next(page, offset, units)
        self.free_lists.put(at, units)
