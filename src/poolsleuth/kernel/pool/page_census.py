"""Pages of the classic pool that cannot be read, by why: their blocks are in no total.

A page that is not there says nothing of itself. It is taken for one of the pool whose blocks lie round it: Windows
gives addresses to its pools in steps of a page table (2 MB, 4 MB on x86 without PAE). Pages of big allocations are no
pages of blocks: they are left out.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.pool.big_pages import BigTable
from poolsleuth.kernel.pool.blocks import Blocks, Pool

MAX_AREAS = 1 << 16  # areas of 2 MB whose blocks are counted: 128 GB, of the system and all sessions
MAX_ABSENT = 1 << 22  # pages kept by number (32 MB); further ones are counted as if none were big allocations
_AREA_BITS = np.uint64(9)
_PAGE_BITS = np.uint64(12)
_WHY = (Absence.PAGED_OUT, Absence.DEMAND_ZERO, Absence.NOT_IN_DUMP, Absence.CUT_OFF, Absence.UNKNOWN)


@dataclass(frozen=True, slots=True)
class AbsentPages:
    """Pages of one pool that may hold blocks. ``paged_out`` and ``never_touched`` say something of the machine.

    ``not_in_dump`` (with those behind a cut file's end) and ``undecoded`` say something of the dump only. Pages in
    transition (on the standby or modified list) are in memory, and are read.
    """

    paged_out: int = 0
    never_touched: int = 0
    not_in_dump: int = 0
    undecoded: int = 0

    @property
    def may_hold_blocks(self) -> int:
        """All but those that were never touched."""
        return self.paged_out + self.not_in_dump + self.undecoded


@dataclass(slots=True)
class CensusRoom:
    """What the censuses of the system and of all sessions may still keep."""

    areas: int = MAX_AREAS
    absent: int = MAX_ABSENT


@dataclass(slots=True)
class PageCensus:
    """Add each part of a walk, then ask for the pools. ``room`` is shared with the censuses of other sessions."""

    votes: dict[int, Counter[int]] = field(default_factory=dict)
    room: CensusRoom = field(default_factory=CensusRoom)
    whole: bool = True
    """Whether all pages that cannot be read were counted."""
    _pages: list[NDArray[np.uint64]] = field(default_factory=list)
    _whys: list[NDArray[np.int8]] = field(default_factory=list)

    def add(self, blocks: Blocks, absent: NDArray[np.uint64], absences: NDArray[np.int64]) -> None:
        """A part's blocks, and the pages (numbers) that could not be read there and why."""
        pool = np.where(blocks["pool"] == Pool.NONPAGED_NX, np.uint8(Pool.NONPAGED), blocks["pool"])
        areas = blocks["address"] >> _PAGE_BITS >> _AREA_BITS
        keys, counts = np.unique(areas << np.uint64(8) | pool.astype(np.uint64), return_counts=True)
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            area = key >> 8
            if area not in self.votes:
                if self.room.areas <= 0:
                    continue
                self.room.areas -= 1
            self.votes.setdefault(area, Counter())[key & 0xFF] += count
        room = self.room.absent
        self.whole &= len(absent) < room or not len(absent)
        if len(absent) and room > 0:
            # Copies: a part of an array keeps all of it
            self._pages.append(absent[:room].copy())
            self._whys.append(absences[:room].astype(np.int8))
            self.room.absent -= min(len(absent), room)

    def pools(self, big: BigTable | None = None) -> dict[Pool, AbsentPages]:
        """What is absent of each pool."""
        if not self._pages:
            return {}
        pages, whys = np.concatenate(self._pages), np.concatenate(self._whys)
        order = np.argsort(pages, kind="stable")
        pages, whys = pages[order], whys[order]
        if big is not None:
            kept = ~_covered(pages, big)
            pages, whys = pages[kept], whys[kept]
        areas = np.array(sorted(self.votes), np.uint64)
        if not len(areas) or not len(pages):
            return {}
        pool_of = np.array([self.votes[area].most_common(1)[0][0] for area in areas.tolist()], np.uint8)
        at = np.minimum(np.searchsorted(areas, pages >> _AREA_BITS), len(areas) - 1)
        known = areas[at] == pages >> _AREA_BITS
        pool = pool_of[at]
        found: dict[Pool, AbsentPages] = {}
        for each in np.unique(pool[known]).tolist():
            mine = whys[known & (pool == each)]
            out, zero, lost, cut, odd = (int((mine == int(why)).sum()) for why in _WHY)
            found[Pool(each)] = AbsentPages(out, zero, lost + cut, odd)
        return found


def _covered(pages: NDArray[np.uint64], big: BigTable) -> NDArray[np.bool_]:
    """Which of these page numbers (ascending) lie in a big allocation."""
    steps = np.zeros(len(pages) + 1, np.int64)
    for part in big.parts():
        first = part.addresses >> _PAGE_BITS
        end = (part.addresses + part.sizes + np.uint64(0xFFF)) >> _PAGE_BITS
        np.add.at(steps, np.searchsorted(pages, first), 1)
        np.add.at(steps, np.searchsorted(pages, np.maximum(first, end)), -1)
    covered: NDArray[np.bool_] = np.cumsum(steps)[:-1] > 0
    return covered
