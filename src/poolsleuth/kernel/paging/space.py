"""Virtual memory of one process, or of the kernel: what readers of structures are given."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import MAX_READ, PAGE
from poolsleuth.kernel.crash_dump.memory import PhysicalMemory
from poolsleuth.kernel.paging.cache import TableCache
from poolsleuth.kernel.paging.parameters import PagingParameters
from poolsleuth.kernel.paging.ranges import MAX_PAGES, MAX_TABLES, MappedRuns, RangeWalk
from poolsleuth.kernel.paging.translation import Translation, translation_of
from poolsleuth.kernel.paging.walk import Numbers, Walk

MAX_PAGES_KEPT = 1024  # pages of small reads (4 MB): lists of modules and processes lie in far fewer
MAX_GATHER = MAX_READ * 256  # bytes of one ``gather``
MAX_EXTENTS = 1 << 32  # bytes of one ``extents`` or ``view``: page numbers of 4 GB are 8 MB
_PAGE_BITS = 12
_FEW = 16  # pages of a read up to which one at a time is quicker than all at once


class VirtualMemory:
    """An address space (see ``poolsleuth.kernel.address_space``) below one directory table base."""

    __slots__ = ("_phases", "_physical", "_recent", "dtb", "parameters", "walk")

    def __init__(
        self, physical: PhysicalMemory, parameters: PagingParameters, dtb: int, cache: TableCache | None = None
    ) -> None:
        self._physical = physical
        self.parameters = parameters
        self.dtb = dtb
        self.walk = Walk(physical, parameters, dtb, cache)
        self._recent: dict[int, bytes | Absence] = {}
        self._phases: dict[int, NDArray[np.uint8]] = {}  # PAGE views at most

    def of_process(self, dtb: int) -> "VirtualMemory":
        """The address space of another process: what was read of page tables, most of which they share, is shared.

        A machine has thousands of processes and hundreds of sessions: a cache of 16 MB for each would be too much.
        """
        return VirtualMemory(self._physical, self.parameters, dtb, self.walk.cache)

    @property
    def pointer_size(self) -> int:
        """Bytes of a pointer: 4 or 8."""
        return self.parameters.mode.pointer_size

    @property
    def pages_held(self) -> int:
        """Pages of physical memory that the dump holds."""
        return self._physical.pages_held

    def translate(self, address: int) -> Translation:
        """Where one address lies, and what its page table entry says. Meant for a few addresses: nothing is kept."""
        return translation_of(self.walk, address)

    def translate_pages(self, page_numbers: NDArray[np.uint64]) -> Numbers:
        """The physical page number of each virtual one (address / 4096), or an ``Absence`` where there is none.

        A page number is given for a page that is mapped, whether the dump holds that page or not.
        """
        return self.walk.many(np.asarray(page_numbers, np.uint64))

    def mapped_ranges(
        self, first: int, last: int, *, max_tables: int = MAX_TABLES, max_pages: int = MAX_PAGES
    ) -> Iterator[MappedRuns]:
        """What is mapped from address ``first`` to ``last`` (which is within it), in the order of the addresses.

        The parts hold at most 131,072 runs each, and are made as they are asked for. Page tables that point at
        themselves are walked as the processor would walk them: the bounds end that, and the last part says so.
        """
        return RangeWalk(self.walk, max_tables=max_tables, max_pages=max_pages).runs(first, last)

    def read(self, address: int, size: int) -> bytes | Absence:
        """``size`` bytes, or why the first missing one is missing. No address raises; ValueError for a wrong size."""
        if not 0 <= size <= MAX_READ:
            raise ValueError(f"{MAX_READ} bytes at most are read at once")
        skip = address & PAGE - 1
        if skip + size <= PAGE:
            if not size:
                return b""
            page = self._page(address >> _PAGE_BITS)
            return page if isinstance(page, Absence) else page[skip : skip + size]
        parts: list[bytes] = []
        first, last = address >> _PAGE_BITS, address + size - 1 >> _PAGE_BITS
        if last - first < _FEW:
            for number in range(first, last + 1):
                page = self._page(number)
                if isinstance(page, Absence):
                    return page
                parts.append(page)
            return b"".join(parts)[skip : skip + size]
        if first < 0:
            return Absence.NOT_MAPPED
        end = min(last, (1 << 8 * self.pointer_size - _PAGE_BITS) - 1)
        data, places = self.gather(np.arange(first, end + 1, dtype=np.uint64))
        absent = np.flatnonzero(places < 0)
        if len(absent):
            return Absence(int(places[absent[0]]))
        if end < last:
            return Absence.NOT_MAPPED
        return data.reshape(-1)[skip : skip + size].tobytes()

    def gather(self, pages: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Many pages at once: a row of bytes for each, and its file offset or an ``Absence`` (then the row is zero).

        Raises ValueError for more than ``MAX_GATHER`` bytes.
        """
        if len(pages) * PAGE > MAX_GATHER:
            raise ValueError(f"{MAX_GATHER} bytes at most are gathered at once")
        frames = self.translate_pages(pages)
        data, places = self._physical.gather(frames)
        return data, np.where(frames < 0, frames, places)

    def physical_pages(self, frames: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The bytes of physical pages (numbers as ``translate_pages`` and ``mapped_ranges`` give them), and where each
        lies in the file; an ``Absence`` (then the row is zero) for one that cannot be read."""
        data, places = self._physical.gather(frames)
        return data, np.where(frames < 0, frames, places)

    def first_words(self, frames: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """The first 8 bytes of physical pages, and where each page lies in the file, as ``physical_pages`` says it."""
        words, places = self._physical.first_words(frames)
        return words, np.where(frames < 0, frames, places)

    def page_view(self, pages: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | None:
        """Many pages without a copy: bytes of the file (whole words of 8), and where each page begins in them.

        A negative place is an ``Absence``. None when the pages do not lie at multiples of a page from one another, and
        when none of them can be read.
        """
        frames = self.translate_pages(pages)
        places = np.where(frames < 0, frames, self._physical.offsets(frames))
        there = places >= 0
        phases = places[there] % PAGE
        if not len(phases) or (phases != phases[0]).any():
            return None
        phase = int(phases[0])
        self._physical.have_read(len(pages))
        return self._from(phase), np.where(there, places - phase, places)

    def extents(self, address: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]] | Absence:
        """Where these bytes lie in the file: offsets and lengths of the pieces, in the order of their addresses.

        The ``Absence`` of the first missing page when one is missing. Raises ValueError for a size out of bounds
        (1 ... ``MAX_EXTENTS``).
        """
        if not 0 < size <= MAX_EXTENTS:
            raise ValueError(f"extents are made of 1 to {MAX_EXTENTS} bytes")
        if address < 0 or address + size > 1 << 8 * self.pointer_size:
            return Absence.NOT_MAPPED
        first, last = address >> _PAGE_BITS, address + size - 1 >> _PAGE_BITS
        frames = self.translate_pages(np.arange(first, last + 1, dtype=np.uint64))
        places = np.where(frames < 0, frames, self._physical.offsets(frames))
        absent = np.flatnonzero(places < 0)
        if len(absent):
            return Absence(int(places[absent[0]]))
        places[0] += address % PAGE
        lengths = np.full(len(places), PAGE, np.int64)
        lengths[0] -= address % PAGE
        lengths[-1] -= (last + 1) * PAGE - (address + size)
        new = np.concatenate(([True], places[1:] != places[:-1] + lengths[:-1]))
        begins = np.flatnonzero(new)
        return places[begins], np.add.reduceat(lengths, begins)

    def view(self, address: int, size: int) -> NDArray[np.uint8] | None:
        """These bytes without a copy; None when one is missing or they do not lie in one piece in the file."""
        found = self.extents(address, size)
        if isinstance(found, Absence) or len(found[0]) != 1:
            return None
        offset = int(found[0][0])
        phase = (offset - address) % PAGE
        return self._from(phase)[offset - phase : offset - phase + size]

    def _from(self, phase: int) -> NDArray[np.uint8]:
        """The file from the first offset on at which pages of this phase lie. Dumps have one phase, images many."""
        found = self._phases.get(phase)
        if found is None:
            found = self._phases[phase] = self._physical.stored_from(phase).reshape(-1)
        return found

    def _held(self, frame: int) -> bytes | Absence:
        """A physical page."""
        place = self._physical.offset(frame)
        if place < 0:
            return Absence(place)
        phase = place % PAGE
        return self._from(phase)[place - phase : place - phase + PAGE].tobytes()

    def _page(self, number: int) -> bytes | Absence:
        """A page, by its virtual number."""
        found = self._recent.get(number)
        if found is None:
            place = self.walk.place(number)
            found = Absence(place) if place < 0 else self._held(place)
            if len(self._recent) >= MAX_PAGES_KEPT:
                del self._recent[next(iter(self._recent))]
            self._recent[number] = found
        return found


def open_address_space(physical: PhysicalMemory, parameters: PagingParameters, dtb: int) -> VirtualMemory:
    """The address space below a directory table base (CR3 as it is, with its low bits; TTBR on ARM64)."""
    return VirtualMemory(physical, parameters, dtb)
