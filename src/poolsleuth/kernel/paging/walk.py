"""The walk from virtual to physical page numbers: one page at a time, and many pages level by level."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.crash_dump.memory import PhysicalMemory
from poolsleuth.kernel.paging.architecture import Architecture
from poolsleuth.kernel.paging.arm64 import Arm64
from poolsleuth.kernel.paging.cache import ROWS_AT_ONCE, TableCache
from poolsleuth.kernel.paging.layout import VALID, Mode
from poolsleuth.kernel.paging.pae import Pae
from poolsleuth.kernel.paging.parameters import PagingParameters
from poolsleuth.kernel.paging.software import Decoded, SoftwareEntries
from poolsleuth.kernel.paging.x64 import X64
from poolsleuth.kernel.paging.x86 import X86

Numbers = NDArray[np.int64]

_PAGE_BITS = 12
_NOT_MAPPED, _UNKNOWN = int(Absence.NOT_MAPPED), int(Absence.UNKNOWN)
MAX_LEAVES = 1 << 14  # page tables whose place is kept for single pages: they map 32 GB
_CHUNK = 1 << 17  # entries decoded at a time: what is made on the way stays in the cache of the processor


@dataclass(frozen=True, slots=True)
class Step:
    """The last entry that was reached on the way to a page.

    ``place`` is the physical page number, an ``Absence`` where there is none. ``entry`` is None where the entry itself
    could not be read, ``entry_at`` its physical address. ``software`` says what an entry that is not valid means,
    ``target`` the same of the entry that a prototype entry led to.
    """

    place: int
    depth: int
    large: bool
    entry: int | None
    entry_at: int | None
    software: Decoded | None = None
    target: Decoded | None = None
    target_entry: int | None = None


def architecture_of(parameters: PagingParameters) -> Architecture:
    """The form of page tables that the parameters call for."""
    layout = parameters.layout
    if parameters.mode is Mode.X86:
        return X86(layout)
    if parameters.mode is Mode.X86_PAE:
        return Pae(layout)
    if parameters.mode is Mode.ARM64:
        return Arm64(layout)
    return X64(layout, la57=parameters.mode is Mode.X64_LA57)


class Walk:
    """Page tables below one root."""

    __slots__ = (
        "_first",
        "_leaves",
        "bits",
        "cache",
        "entry_size",
        "form",
        "levels",
        "prototype_pages",
        "root",
        "software",
    )

    def __init__(
        self, physical: PhysicalMemory, parameters: PagingParameters, dtb: int, cache: TableCache | None = None
    ) -> None:
        """``cache``: that of another walk through the same memory, with entries of the same size."""
        self.form = architecture_of(parameters)
        self.levels = self.form.levels
        self.bits = self.levels[0].shift + self.levels[0].bits  # of an address
        self.entry_size = parameters.mode.entry_size
        self.cache = TableCache(physical, self.entry_size) if cache is None else cache
        self.software = SoftwareEntries(parameters)
        self.root, self._first = self.form.root(dtb)
        self._leaves: dict[int, int] = {}
        self.prototype_pages = 0  # looked at by ``many`` and ``decode`` so far: what walks over ranges count as work

    def entries_of(self, depth: int) -> slice:
        """Which entries of the page that a table of this level lies in are its own."""
        first = 0 if depth else self._first
        return slice(first, first + (1 << self.levels[depth].bits))

    def inner(self, page: int) -> int | None:
        """The translated bits of a virtual page number; None when no address has such a number."""
        kept = page & (1 << self.bits - _PAGE_BITS) - 1
        return kept if page == self.outer(kept) else None

    def outer(self, kept: int) -> int:
        """The virtual page number with these translated bits."""
        if self.form.signed and kept >> self.bits - _PAGE_BITS - 1:
            return kept | (1 << 52) - (1 << self.bits - _PAGE_BITS)
        return kept

    def inner_all(self, pages: NDArray[np.uint64]) -> tuple[Numbers, NDArray[np.bool_]]:
        """The translated bits of many page numbers, and which of the numbers an address can have."""
        kept = pages & np.uint64((1 << self.bits - _PAGE_BITS) - 1)
        return kept.astype(np.int64), pages == self.outer_all(kept)

    def outer_all(self, kept: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The virtual page numbers with these translated bits."""
        if not self.form.signed:
            return kept
        high = (kept >> np.uint64(self.bits - _PAGE_BITS - 1)) != 0
        return np.where(high, kept | np.uint64((1 << 52) - (1 << self.bits - _PAGE_BITS)), kept)

    # One page

    def place(self, page: int) -> int:
        """The physical page number of a virtual one (>= 0), or an ``Absence``: what ``one`` says, in less time."""
        bits = self.levels[-1].bits
        table = self._leaves.get(page >> bits)
        if table is not None:
            entry = self.cache.entry(table, page & (1 << bits) - 1)
            if entry >= 0 and entry & VALID and not self.form.wrong(len(self.levels) - 1, entry):
                return self.form.frame(entry)
        step = self.one(page)
        if table is None and step.depth == len(self.levels) - 1 and step.entry_at is not None:
            if len(self._leaves) >= MAX_LEAVES:
                self._leaves.clear()
            self._leaves[page >> bits] = step.entry_at >> _PAGE_BITS
        return step.place

    def one(self, page: int, *, follow: bool = True) -> Step:
        """Where a virtual page lies. ``follow`` is False where a prototype entry must not lead on."""
        kept = self.inner(page)
        if kept is None:
            return Step(_NOT_MAPPED, 0, False, None, None)
        form, table, first = self.form, self.root, self._first
        last = len(self.levels) - 1
        for depth, level in enumerate(self.levels):
            index = first + (kept >> level.shift - _PAGE_BITS & (1 << level.bits) - 1)
            first = 0
            at = (table << _PAGE_BITS) + index * self.entry_size
            entry = self.cache.entry(table, index)
            if entry < 0:
                return Step(entry, depth, False, None, at)
            if not entry & VALID:
                if depth == last:
                    return self._software(entry, at, depth, follow)
                decoded = self.software.one(entry)
                table = decoded.place if depth or self.entry_size == 4 or self.form.signed else _NOT_MAPPED
                if table < 0:
                    absent = _NOT_MAPPED if table == Absence.DEMAND_ZERO else table
                    return Step(absent, depth, False, entry, at, decoded)
                continue
            if form.wrong(depth, entry):
                return Step(_UNKNOWN, depth, False, entry, at)
            if depth == last:
                return Step(form.frame(entry), depth, False, entry, at)
            if form.large(depth, entry):
                place = form.large_frame(depth, entry) + (kept & level.pages - 1)
                return Step(place, depth, True, entry, at)
            table = form.frame(entry)
        raise AssertionError("the last level always returns")

    def _software(self, entry: int, at: int, depth: int, follow: bool) -> Step:
        decoded = self.software.one(entry)
        if decoded.prototype is None:
            return Step(decoded.place, depth, False, entry, at, decoded)
        if not follow:
            return Step(_UNKNOWN, depth, False, entry, at, decoded)
        where = self.one(decoded.prototype >> _PAGE_BITS, follow=False).place
        if where < 0:
            return Step(_behind(where), depth, False, entry, at, decoded)
        index = (decoded.prototype & 0xFFF) // self.entry_size
        value = self.cache.entry(where, index)
        if value < 0:
            return Step(value, depth, False, entry, at, decoded)
        if value & VALID:
            place = _UNKNOWN if self.form.wrong(depth, value) else self.form.frame(value)
            return Step(place, depth, False, entry, at, decoded, None, value)
        target = self.software.one(value, target=True)
        return Step(target.place, depth, False, entry, at, decoded, target, value)

    # Many pages

    def many(self, pages: NDArray[np.uint64], *, follow: bool = True) -> Numbers:
        """The physical page number of each virtual page number, or an ``Absence``. Any order, any number of them."""
        kept, known = self.inner_all(pages)
        found = np.full(len(pages), _NOT_MAPPED, np.int64)
        if not known.all():
            if known.any():
                found[known] = self._sorted_or_not(kept[known], follow)
            return found
        return self._sorted_or_not(kept, follow) if len(kept) else found

    def _sorted_or_not(self, kept: Numbers, follow: bool) -> Numbers:
        if (kept[1:] >= kept[:-1]).all():
            return self._resolve(len(self.levels) - 1, kept, follow)[0]
        order = np.argsort(kept)
        found = np.empty(len(kept), np.int64)
        found[order] = self._resolve(len(self.levels) - 1, kept[order], follow)[0]
        return found

    def _resolve(self, depth: int, keys: Numbers, follow: bool) -> tuple[Numbers, NDArray[np.bool_]]:
        """The table or page behind each entry of a level. ``keys`` are the sorted bits of addresses down to it.

        The second array is True where the entry, or one above it, maps a large page: then the first array has that
        physical page which the bits so far lead to.
        """
        mask = (1 << self.levels[depth].bits) - 1
        if depth == 0:
            parents, of = np.zeros(1, np.int64), np.zeros(len(keys), np.int64)
            tables, large = np.array([self.root], np.int64), np.zeros(1, np.bool_)
            first = self._first
        else:
            parents, of = _distinct(keys >> self.levels[depth].bits)
            tables, large = self._resolve(depth - 1, parents, follow)
            first = 0
        places, wide = tables[of], large[of]
        if wide.any():
            places[wide] += (keys[wide] & mask) << self.levels[depth].shift - _PAGE_BITS
        # Entries that share a table lie side by side: as many tables at once as their rows are handed out
        usable = (tables >= 0) & ~large
        rank = np.cumsum(usable) - 1
        use = np.flatnonzero(usable)
        for begin in range(0, len(use), ROWS_AT_ONCE):
            part = use[begin : begin + ROWS_AT_ONCE]
            rows, states = self.cache.rows(tables[part])
            low, high = np.searchsorted(of, part[0], "left"), np.searchsorted(of, part[-1], "right")
            for piece in range(int(low), int(high), _CHUNK):
                at = np.arange(piece, min(piece + _CHUNK, int(high)))
                at = at[usable[of[at]]]
                row = rank[of[at]] - begin
                found, extended = self.decode(depth, rows[row, (keys[at] & mask) + first], follow)
                there = states[row] == 0
                places[at] = np.where(there, found, states[row])
                wide[at] = extended & there
        return places, wide

    def decode(self, depth: int, entries: NDArray[np.uint64], follow: bool) -> tuple[Numbers, NDArray[np.bool_]]:
        """What many entries of a level lead to: page numbers or absences, and which of them are large pages."""
        form, last = self.form, depth == len(self.levels) - 1
        valid = (entries & np.uint64(VALID)) != 0
        large = valid & (form.large(depth, entries) != 0) if not last else np.zeros(len(entries), np.bool_)
        places = form.frame(entries).astype(np.int64)
        if large.any():
            places[large] = form.large_frame(depth, entries[large]).astype(np.int64)
        wrong = valid & (form.wrong(depth, entries) != 0)
        places[wrong] = _UNKNOWN
        large &= ~wrong
        absent = np.flatnonzero(~valid)
        if len(absent):
            places[absent] = self._absent(depth, entries[absent], last, follow)
        return places, large

    def _absent(self, depth: int, entries: NDArray[np.uint64], last: bool, follow: bool) -> Numbers:
        if depth == 0 and self.entry_size == 8 and not self.form.signed:
            return np.full(len(entries), _NOT_MAPPED, np.int64)  # the four entries of PAE are valid or nothing
        places, at, addresses = self.software.many(entries)
        if not last:
            places[places == int(Absence.DEMAND_ZERO)] = _NOT_MAPPED
            places[at] = _UNKNOWN
        elif len(at) and follow:
            places[at] = self._prototypes(addresses)
        return places

    def _prototypes(self, addresses: NDArray[np.uint64]) -> Numbers:
        """Where the pages lie whose entries stand at these virtual addresses."""
        pages = addresses >> np.uint64(_PAGE_BITS)
        numbers, of = np.unique(pages, return_inverse=True)
        self.prototype_pages += len(numbers)
        tables = self.many(numbers, follow=False)
        homeless = (tables == _NOT_MAPPED) | (tables == int(Absence.DEMAND_ZERO))
        places = np.where(homeless, _UNKNOWN, tables)[of]
        index = ((addresses & np.uint64(0xFFF)) // np.uint64(self.entry_size)).astype(np.intp)
        order = np.argsort(of, kind="stable")
        ends = np.searchsorted(of[order], np.arange(len(numbers)), side="right")
        use = np.flatnonzero(tables >= 0)
        for begin in range(0, len(use), ROWS_AT_ONCE):
            part = use[begin : begin + ROWS_AT_ONCE]
            rows, states = self.cache.rows(tables[part])
            low = int(ends[part[0] - 1]) if part[0] else 0
            at = order[low : int(ends[part[-1]])]
            at = at[tables[of[at]] >= 0]
            row = np.searchsorted(part, of[at])
            entries = rows[row, index[at]]
            depth = len(self.levels) - 1
            found = self.form.frame(entries).astype(np.int64)
            valid = (entries & np.uint64(VALID)) != 0
            found[valid & (self.form.wrong(depth, entries) != 0)] = _UNKNOWN
            found[~valid] = self.software.many(entries[~valid], target=True)[0]
            places[at] = np.where(states[row] < 0, states[row], found)
        return places


def _behind(absence: int) -> int:
    """What is said of a page when the page of its prototype entry is absent."""
    if absence in (Absence.NOT_MAPPED, Absence.DEMAND_ZERO):
        return _UNKNOWN  # no prototype entry can lie there
    return absence


def _distinct(keys: Numbers) -> tuple[Numbers, NDArray[np.int64]]:
    """The distinct ones of sorted keys, and for each key which of them it is."""
    new = np.empty(len(keys), np.bool_)
    new[0] = True
    np.not_equal(keys[1:], keys[:-1], out=new[1:])
    return keys[new], np.cumsum(new) - 1
