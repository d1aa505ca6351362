"""The machine while it runs: what the drivers change from sample to sample, and the limits that they meet."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from poolsleuth.lab.allocator.classic import ClassicPool
from poolsleuth.lab.allocator.figures import pages_of
from poolsleuth.lab.contents import BlockContents
from poolsleuth.lab.course.laid import with_big
from poolsleuth.lab.course.memory import MemoryCourse
from poolsleuth.lab.leaks import lay_blocks
from poolsleuth.lab.machine import PAGE, BugCheck, Machine, Memory, PoolUse, TagUse
from poolsleuth.lab.pool_tables import table_slots
from poolsleuth.lab.segment_heap.heap import SegmentHeap
from poolsleuth.lab.segment_heap.usual import UsualHeaps
from poolsleuth.lab.usual_figures import (
    CutPages,
    Pool,
    bytes_in,
    pages_for,
    pool_limits,
    sums_of,
    use_of,
    usual_descriptors,
)

POOLS: tuple[Pool, Pool] = ("nonpaged", "paged")
Priority = Literal[0, 1, 2]
_FULL = 0.985  # of a limit: the last pages are in pieces
_MEMORY_FOR_NONPAGED = 0.62  # of all memory: the rest is locked or in use
_COMMIT_LEFT = 0.015  # of the commit limit: from here on requests fail
_ROWS: Mapping[str, int] = {"nonpaged": 0, "paged": 1, "session": 2}


@dataclass(frozen=True, slots=True)
class Laid:
    """What lies in the blocks of a tag, and how many bytes are asked for each of those that shall be in memory."""

    contents: BlockContents
    pool: Pool
    block_bytes: int


class State:
    """A machine that changes. Sizes in bytes are those that the tags count: blocks with their headers.

    Drivers call ``allocate``, ``free`` and ``turn_over`` for the pools, and change the lists themselves.
    """

    def __init__(self, machine: Machine, pools: Mapping[Pool, ClassicPool], heaps: UsualHeaps) -> None:
        self._first = machine
        self.windows = machine.windows
        self.pools: dict[Pool, ClassicPool] = {name: deepcopy(pool) for name, pool in pools.items()}
        self.uses: list[TagUse] = list(machine.tags)
        self.places: dict[str, int] = {use.tag: place for place, use in enumerate(self.uses)}
        self.counts: dict[Pool, list[list[int]]] = {
            pool: [[u.allocs, u.frees, u.bytes] for u in (use_of(use, pool) for use in self.uses)] for pool in POOLS
        }
        sums = sums_of(self.uses)
        self._sums: dict[Pool, list[int]] = {p: [sums[p].allocs, sums[p].frees, sums[p].bytes] for p in POOLS}
        self.big: dict[tuple[str, Pool, int], int] = {}
        """Whole pages that drivers of the course hold: how many, by tag, pool and bytes of each."""
        self.memory = MemoryCourse(machine.memory)
        self.load = 0.0
        self.at: datetime = machine.booted_at
        self.processes = list(machine.processes)
        self.sessions = list(machine.sessions)
        self.resources = list(machine.resources)
        self.modules = list(machine.modules)
        self.unloaded = list(machine.unloaded)
        self.bug_check: BugCheck = machine.bug_check
        self.failures = [[0, 0, 0] for _ in _ROWS]
        self.reasons: dict[str, int] = {}
        self._changed: set[int] = set()
        self.heaps = deepcopy(heaps)
        self.contents: list[Laid] = []
        """Blocks of the course's drivers that shall be in memory in the end."""
        self._cut = {name: CutPages.of(pool) for name, pool in self.pools.items()} | self.heaps.cuts()
        self._counted = {pool: self._laid_uses(pool) for pool in POOLS}
        self._limits = pool_limits(machine.windows, machine.physical_bytes)
        self._tags: tuple[TagUse, ...] = tuple(self.uses)
        self.settle()

    # Pools ------------------------------------------------------------------------------------------------------------

    def charge(self, asked: int) -> int:
        """What the tags count for a request: the block with its header, or the bytes of whole pages."""
        unit = 2 * self.windows.pointer
        return asked if self._is_big(asked) else -(-(max(asked, 1) + unit) // unit) * unit

    def _is_big(self, asked: int) -> bool:
        return asked > PAGE - 4 * self.windows.pointer  # the header, and the smallest block behind it

    def allocate(self, tag: str, pool: Pool, blocks: int, asked: int, *, priority: Priority = 0) -> int:
        """So many blocks; gives how many there were. The others failed, and the machine counts that."""
        if blocks <= 0:
            return 0
        size = self.charge(asked)
        given = min(blocks, max(0, self.room(pool)) // size)
        if given < blocks:
            self.fail(pool, blocks - given, priority=priority)
        if given:
            self._count(tag, pool, given, 0, given * size)
            if self._is_big(asked):
                self.big[tag, pool, size] = self.big.get((tag, pool, size), 0) + given
        return given

    def free(self, tag: str, pool: Pool, blocks: int, asked: int) -> None:
        """Give so many blocks back."""
        size = self.charge(asked)
        self._count(tag, pool, 0, blocks, -blocks * size)
        if (tag, pool, size) in self.big:
            self.big[tag, pool, size] -= blocks

    def turn_over(self, tag: str, pool: Pool, blocks: int) -> None:
        """So many blocks are allocated and freed: only the counts say so."""
        self._count(tag, pool, blocks, blocks, 0)

    def change(self, place: int, pool: Pool, blocks: int, size: int, passing: int) -> None:
        """A tag of the usual machine has so many blocks and bytes more (or less); ``passing`` ones came and went."""
        self._move(place, pool, passing + max(blocks, 0), passing + max(-blocks, 0), size)

    def use(self, tag: str, pool: Pool) -> PoolUse:
        """What a tag has now."""
        place = self.places.get(tag)
        return PoolUse() if place is None else PoolUse(*self.counts[pool][place])

    def take_pages(self, pool: Pool) -> None:
        """What was done to the pages that are really there is counted: the tags, the pages, the descriptors."""
        now = self._laid_uses(pool)
        before = self._counted[pool]
        for tag, use in now.items():
            old = before.get(tag, PoolUse())
            if use != old:
                self._count(tag, pool, use.allocs - old.allocs, use.frees - old.frees, use.bytes - old.bytes)
        self._see_pages(pool)

    def arena(self, pool: Pool) -> ClassicPool | SegmentHeap | None:
        """Where blocks can be made that are really in memory; None where the lab has no such pages (1809)."""
        heaps = self.heaps.of(pool)
        return self.pools.get(pool) or (heaps[-1] if heaps else None)

    def _laid_uses(self, pool: Pool) -> dict[str, PoolUse]:
        return self.pools[pool].uses() if pool in self.pools else self.heaps.uses(pool)

    def _see_pages(self, pool: Pool) -> None:
        self._counted[pool] = self._laid_uses(pool)
        if pool in self.pools:
            self._cut[pool] = CutPages.of(self.pools[pool])
        elif pool in self._cut:
            self._cut[pool] = self.heaps.cuts()[pool]

    def pages(self, pool: Pool) -> int:
        """The pages that a pool takes up."""
        return pages_for(self._sums[pool][2], self._cut.get(pool, CutPages()))

    def ceiling(self, pool: Pool) -> tuple[int, str]:
        """The most pages that a pool can have now, and the reason for which a request for more fails."""
        limit = int(self._limits[pool] * _FULL) // PAGE
        memory = self.memory
        commit = self.pages(pool) + memory.commit_limit - int(memory.commit_limit * _COMMIT_LEFT) - memory.committed
        if pool == "paged":
            return min((limit, "PagedNoPtes"), (commit, "PagedNoCommit"))
        physical = int(memory.physical * _MEMORY_FOR_NONPAGED)
        return min((limit, "NonPagedNoPtes"), (physical, "NonPagedNoPagesAvailable"), (commit, "NonPagedNoCommit"))

    def room(self, pool: Pool) -> int:
        """Bytes that can still be allocated."""
        return bytes_in(self.ceiling(pool)[0] - self.pages(pool))

    def fail(self, pool: Literal["nonpaged", "paged", "session"], count: int, *, priority: Priority = 0) -> None:
        """So many requests failed."""
        self.failures[_ROWS[pool]][priority] += count
        reason = "SessionPagedNoPtes" if pool == "session" else self.ceiling(pool)[1]
        self.reasons[reason] = self.reasons.get(reason, 0) + count

    def _count(self, tag: str, pool: Pool, allocs: int, frees: int, size: int) -> None:
        place = self.places.get(tag)
        if place is None:
            place = self.places[tag] = len(self.uses)
            self.uses.append(TagUse(tag))
            for name in POOLS:
                self.counts[name].append([0, 0, 0])
        self._move(place, pool, allocs, frees, size)

    def _move(self, place: int, pool: Pool, allocs: int, frees: int, size: int) -> None:
        for row in (self.counts[pool][place], self._sums[pool]):
            row[0] += allocs
            row[1] += frees
            row[2] += size
        self._changed.add(place)

    # What a sample shows ----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """The counters of memory follow what the drivers did; before this they are those of the sample before."""
        self.memory.settle(self.pages("nonpaged"), self.pages("paged"), self.load)

    def machine(self) -> Machine:
        """The machine as it is now. What did not change is the same object as before."""
        sums = {pool: PoolUse(*self._sums[pool]) for pool in POOLS}
        if self._changed:
            nonpaged, paged = self.counts["nonpaged"], self.counts["paged"]
            for place in self._changed:
                self.uses[place] = TagUse(
                    self.uses[place].tag,
                    PoolUse(*nonpaged[place]),
                    PoolUse(*paged[place]),
                    self.uses[place].expansion,
                )
            self._changed.clear()
            self._tags = tuple(self.uses)
        return replace(
            self._first,
            tags=self._tags,
            table_size=table_slots(len(self._tags)),
            descriptors=usual_descriptors(self.windows, sums, self._cut),
            memory=self._memory(),
            modules=tuple(self.modules),
            unloaded=tuple(self.unloaded),
            resources=tuple(self.resources),
            processes=tuple(self.processes),
            sessions=tuple(self.sessions),
            bug_check=self.bug_check,
        )

    def last(self) -> Machine:
        """The same with what is really in memory, as a dump needs it: pages with their blocks, and whole pages."""
        for laid in self.contents:
            tag, pool, each = laid.contents.tag, laid.pool, self.charge(laid.block_bytes)
            count = min(self.use(tag, pool).outstanding, self.use(tag, pool).bytes // each)
            if count > 0:
                lay_blocks(self.arena(pool), self.windows.pointer, tag, count, each)
        for pool in POOLS:
            self._see_pages(pool)
        self.settle()
        return replace(
            self.machine(),
            pool_pages=tuple(pages_of(pool) for pool in self.pools.values()),
            big_pages=with_big(self.windows, self._first.big_pages, self.big),
            heaps=self.heaps.contents(),
            contents=(*self._first.contents, *(laid.contents for laid in self.contents)),
        )

    def _memory(self) -> Memory:
        return self.memory.figures(sum(map(sum, self.failures)), self.failures, self.reasons)
