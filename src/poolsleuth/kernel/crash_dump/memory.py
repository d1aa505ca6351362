"""Physical memory as a dump holds it: page numbers to file offsets, and reads that tell what is missing from zeros."""

from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.crash_dump.content import MAX_MAPPED, PAGE, DumpContent

MAX_READ = 256 << 20  # bytes of one read of physical memory
MAX_OFFSET = 1 << 62  # file offsets are kept below it, whatever the counts in a dump say
MAX_FIRST = 1 << 48  # file offset of the first page: room for every bitmap and list that can lie before it
_CHUNK = 1 << 15  # page numbers looked up at a time: what is made on the way stays small, and in the cache

Offsets = NDArray[np.int64]


class PageMap(Protocol):
    """Where a container says its pages lie: in a dump behind each other, from ``first`` on."""

    @property
    def first(self) -> int:
        """The file offset of the first page."""
        ...

    @property
    def pages(self) -> int:
        """How many pages the container claims to hold."""
        ...

    def places(self, numbers: Offsets) -> Offsets:
        """The file offset of each page number (all of them >= 0); -1 for one that is not in the dump."""
        ...

    def place(self, number: int) -> int:
        """The same of one page number: many times quicker than a row of one."""
        ...


class PhysicalMemory:
    """Reads physical memory out of a dump. Costs nothing per page that is not read."""

    __slots__ = ("_content", "_cut_off", "_map")

    def __init__(self, content: DumpContent, page_map: PageMap, cut_off: int | None = None) -> None:
        """``cut_off``: pages that the file ends before, where they do not lie behind each other; None: counted here."""
        self._content = content
        self._map = page_map
        self._cut_off = cut_off

    @property
    def pages(self) -> int:
        """Pages that the dump was written with."""
        return self._map.pages

    @property
    def pages_cut_off(self) -> int:
        """Pages that are missing because the file ends too early."""
        if self._cut_off is not None:
            return self._cut_off
        return self._map.pages - self._content.held(self._map.first, PAGE, self._map.pages)

    @property
    def pages_held(self) -> int:
        """Pages that can be read: never more than the file has room for, whatever it says of itself."""
        return max(min(self.pages - self.pages_cut_off, self._content.size // PAGE), 0)

    def offsets(self, numbers: NDArray[np.integer]) -> Offsets:
        """The file offset of each page number (a row of them); an ``Absence`` (negative) where it cannot be read."""
        wanted = numbers.astype(np.int64)  # what does not fit becomes negative, as no page number is
        places = np.empty_like(wanted)
        for begin in range(0, len(wanted), _CHUNK):
            part = wanted[begin : begin + _CHUNK]
            known = part >= 0
            found = np.where(known, self._map.places(np.where(known, part, 0)), int(Absence.NOT_IN_DUMP))
            found[(found >= 0) & (found > self._content.size - PAGE)] = int(Absence.CUT_OFF)
            places[begin : begin + _CHUNK] = found
        return places

    def offset(self, number: int) -> int:
        """What ``offsets`` says of one page number."""
        place = self._map.place(number) if number >= 0 else int(Absence.NOT_IN_DUMP)
        return place if place < 0 or place <= self._content.size - PAGE else int(Absence.CUT_OFF)

    def stored(self) -> NDArray[np.uint8]:
        """All pages that a dump holds whole, in its own order, as rows of ``PAGE`` bytes: a view, nothing is read.

        The row of a page is its offset less that of the first page, in pages. Images whose pages do not lie behind each
        other have gaps in it.
        """
        held = self._content.held(self._map.first, PAGE, self._map.pages)
        return self._content.octets(self._map.first, held * PAGE).reshape(held, PAGE)

    def gather(self, numbers: NDArray[np.integer]) -> tuple[NDArray[np.uint8], Offsets]:
        """Many pages at once: a row of ``PAGE`` bytes for each page number, and what ``offsets`` says of it.

        The row of a page that cannot be read is all zero, which only its offset tells from a page of zeros. Raises
        ValueError for more than ``MAX_READ`` bytes.
        """
        if len(numbers) > MAX_READ // PAGE:
            raise ValueError(f"{MAX_READ} bytes at most are gathered at once")
        places = self.offsets(numbers)
        there = np.flatnonzero(places >= 0)
        whole = len(there) == len(places)
        rows = np.empty((len(places), PAGE), np.uint8) if whole else np.zeros((len(places), PAGE), np.uint8)
        # Pages of an image may lie anywhere in the file: those of one phase are rows of one view
        phases = places[there] % PAGE
        one = phases[:1].tolist() if (phases == phases[:1]).all() else None
        for phase in one if one is not None else np.unique(phases).tolist():
            mine = there if one is not None else there[phases == phase]
            stored = self.stored_from(phase)
            for begin in range(0, len(mine), MAX_MAPPED):
                part = mine[begin : begin + MAX_MAPPED]
                at = places[part] // PAGE
                if len(mine) == len(places):  # nothing is missing: one copy ("clip" leaves out a check of ``at``)
                    np.take(stored, at, axis=0, out=rows[begin : begin + len(part)], mode="clip")
                else:
                    rows[part] = stored[at]
                self._content.have_read(len(part))
        return rows, places

    def have_read(self, pages: int) -> None:
        """Say that so many pages of a view are read: see ``DumpContent.have_read``."""
        self._content.have_read(pages)

    def first_words(self, numbers: NDArray[np.integer]) -> tuple[NDArray[np.uint64], Offsets]:
        """The first 8 bytes of many pages, and what ``offsets`` says of each; 0 for a page that cannot be read."""
        places = self.offsets(numbers)
        words = np.zeros(len(places), np.uint64)
        there = places >= 0
        phases = places % 8
        for phase in np.unique(phases[there]).tolist():  # pages of a dump all have one phase
            mine = there & (phases == phase)
            view = self._content.octets(phase, (self._content.size - phase) // 8 * 8).view("<u8")
            words[mine] = view[places[mine] // 8]
        return words, places

    def stored_from(self, offset: int) -> NDArray[np.uint8]:
        """All of the file from an offset on as rows of ``PAGE`` bytes: a view."""
        held = self._content.held(offset, PAGE, MAX_OFFSET // PAGE)
        return self._content.octets(offset, held * PAGE).reshape(held, PAGE)

    def read_physical(self, address: int, size: int) -> bytes | Absence:
        """``size`` bytes (``MAX_READ`` at most) of physical memory, or why the first missing page is missing.

        Raises ValueError for a negative address and for a size out of bounds.
        """
        if address < 0 or not 0 <= size <= MAX_READ:
            raise ValueError(f"physical memory is read from 0 on, and {MAX_READ} bytes at most at once")
        if not size:
            return b""
        first, last = address // PAGE, (address + size - 1) // PAGE
        if last >= MAX_OFFSET // PAGE:
            return Absence.NOT_IN_DUMP
        skip = address % PAGE
        if first == last:
            place = self.offset(first)
            return Absence(place) if place < 0 else self._content.take(place + skip, size) or b""
        places = self.offsets(np.arange(first, last + 1, dtype=np.int64))
        absent = np.flatnonzero(places < 0)
        if len(absent):
            return Absence(int(places[absent[0]]))
        # Pages that lie behind each other in the file are taken in one piece
        breaks = np.flatnonzero(np.diff(places) != PAGE) + 1
        begins = [0, *breaks.tolist(), len(places)]
        parts: list[bytes] = []
        for begin, end in pairwise(begins):
            parts.append(self._content.take(int(places[begin]), (end - begin) * PAGE) or b"")
        self._content.have_read(len(places))
        return b"".join(parts)[skip : skip + size]
