"""Page table entries that the processor does not use: what Windows keeps in them.

The order of the tests is prototype, transition, demand zero, page file. Swizzled entries have the bits of the mask
set on top of what they say, and SwizzleBit clear: the bits are taken out. On what Windows writes this is the same as
XOR with the mask, but an entry that never was swizzled stays as it is.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.paging.layout import PROTOTYPE, TRANSITION, Bits, Mode, PrototypeForm
from poolsleuth.kernel.paging.parameters import USUAL_INVALID_PTE_MASK, PagingParameters

SUBSECTION_MASK, SUBSECTION = 0xFFFF80000000000F, 0xFFFF800000000000
"""An entry of x64 that is nothing but the address of a subsection: the page lies in the file of that."""
_SUBSECTION_POINTERS = 22621  # Windows 11 22H2, the first build that has these
_VAD = 0xFFFFFFFFFFFF0000  # the address of no prototype entry: only the VADs of the process know the page
_NO_ACCESS = 0b111  # bits of a protection: without one of them nothing may be done with the page
_MAX_ADDRESS = (1 << 64) - 1


class State(StrEnum):
    """What a page table entry says of its page."""

    VALID = "valid"
    TRANSITION = "in transition"
    PAGE_FILE = "in a page file"
    SUBSECTION = "in the file that it was mapped from"
    DEMAND_ZERO = "demand zero"
    PROTOTYPE = "prototype"
    NOT_MAPPED = "not mapped"
    UNREADABLE = "its page table cannot be read"
    UNKNOWN = "cannot be decoded"


@dataclass(frozen=True, slots=True)
class Decoded:
    """An entry that is not valid. ``place`` is a physical page number, an ``Absence`` where there is none.

    ``prototype`` is the address of the entry that stands for this one (state PROTOTYPE). ``guessed`` is True where
    another mask for swizzled entries, or a layout that the build does not tell, would change the answer.
    """

    state: State
    place: int
    prototype: int | None = None
    page_file_number: int | None = None
    page_file_offset: int | None = None
    guessed: bool = False


class SoftwareEntries:
    """Decodes entries that are not valid, one at a time or many at once."""

    __slots__ = ("_form", "_frames", "_keep", "_layout", "_mask", "_parameters", "_pointers", "_signed")

    def __init__(self, parameters: PagingParameters) -> None:
        layout = parameters.layout
        self._parameters = parameters
        self._layout = layout
        self._mask = parameters.swizzle_mask & (1 << 8 * parameters.mode.entry_size) - 1
        frames = (1 << layout.transition_frame.count) - 1
        self._frames = frames & ~(parameters.transition_mask >> layout.transition_frame.first)
        self._form = layout.prototype_form
        self._signed = parameters.mode.pointer_size == 8
        self._pointers = self._signed and parameters.build >= _SUBSECTION_POINTERS
        self._keep = _MAX_ADDRESS & ~self._mask

    def one(self, entry: int, *, target: bool = False) -> Decoded:
        """Decode one entry. ``target`` is True for one that a prototype entry leads to."""
        layout = self._layout
        if self._pointers and entry & SUBSECTION_MASK == SUBSECTION:
            return Decoded(State.SUBSECTION, Absence.PAGED_OUT)
        swizzled = layout.swizzle is not None and not entry >> layout.swizzle & 1
        guessed = self._guessed(entry, swizzled)
        value = entry & self._keep if swizzled else entry
        if value & PROTOTYPE:
            if target:
                return Decoded(State.SUBSECTION, Absence.PAGED_OUT)
            address = self._prototype(value)
            if address is None:
                return Decoded(State.UNKNOWN, Absence.UNKNOWN)
            return Decoded(State.PROTOTYPE, Absence.UNKNOWN, prototype=address, guessed=guessed)
        if value & TRANSITION:
            return Decoded(State.TRANSITION, value >> layout.transition_frame.first & self._frames)
        number, offset = layout.page_file_number.of(value), layout.page_file_offset.of(value)
        if number or offset:
            guessed |= not layout.exact and self._ambiguous
            return Decoded(State.PAGE_FILE, Absence.PAGED_OUT, None, number, offset, guessed)
        if not layout.protection.of(value) & _NO_ACCESS:
            return Decoded(State.NOT_MAPPED, Absence.NOT_MAPPED)
        return Decoded(State.DEMAND_ZERO, Absence.DEMAND_ZERO)

    def many(
        self, entries: NDArray[np.uint64], *, target: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.intp], NDArray[np.uint64]]:
        """Decode many: the page number of each or an ``Absence``; then those of them that are prototype entries.

        The second and third array are parallel: their indexes, and the addresses of the entries that stand for them.
        """
        layout = self._layout
        values = entries
        if layout.swizzle is not None:
            swizzled = (entries >> np.uint64(layout.swizzle) & np.uint64(1)) == 0
            values = np.where(swizzled, entries & np.uint64(self._keep), entries)
        places = np.full(len(values), int(Absence.PAGED_OUT), np.int64)
        soft = _none_of(values, layout.page_file_number) & _none_of(values, layout.page_file_offset)
        allowed = (layout.protection.of_all(values) & np.uint64(_NO_ACCESS)) != 0
        places[soft & allowed] = int(Absence.DEMAND_ZERO)
        places[soft & ~allowed] = int(Absence.NOT_MAPPED)
        moving = (values & np.uint64(TRANSITION)) != 0
        frames = values >> np.uint64(layout.transition_frame.first) & np.uint64(self._frames)
        places[moving] = frames[moving].astype(np.int64)
        indirect = (values & np.uint64(PROTOTYPE)) != 0
        if self._pointers:
            pointers = (entries & np.uint64(SUBSECTION_MASK)) == np.uint64(SUBSECTION)
            places[pointers] = int(Absence.PAGED_OUT)
            indirect &= ~pointers
        at = np.flatnonzero(indirect)
        if target or not len(at):
            places[at] = int(Absence.PAGED_OUT)
            return places, at[:0], values[:0]
        places[at] = int(Absence.UNKNOWN)
        addresses, known = self._prototypes(values[at])
        return places, at[known], addresses[known]

    @property
    def _ambiguous(self) -> bool:
        # Layouts of x86 without PAE and of ARM64 never changed; others did with updates of the same build
        return self._layout.swizzle is None and self._parameters.mode not in (Mode.X86, Mode.ARM64)

    def _guessed(self, entry: int, swizzled: bool) -> bool:
        if self._parameters.invalid_pte_mask is not None:
            return False
        return swizzled and bool(entry & USUAL_INVALID_PTE_MASK)

    def _prototype(self, value: int) -> int | None:
        form = self._form
        if form is PrototypeForm.FIELD:
            bits = self._layout.prototype
            address = bits.of(value)
            if self._signed and address >> bits.count - 1:
                address |= _MAX_ADDRESS & ~((1 << bits.count) - 1)
        elif form is PrototypeForm.PACKED:
            address = 0x80000000 | value >> 1 & 0x7FFFFC00 | value << 1 & 0x3FC
        else:
            if self._parameters.paged_pool_start is None:
                return None
            address = self._parameters.paged_pool_start + (value >> 11 << 9 | (value >> 1 & 0x7F) << 2) & 0xFFFFFFFF
        return None if address == _VAD or address % self._parameters.mode.entry_size else address

    def _prototypes(self, values: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        form = self._form
        if form is PrototypeForm.FIELD:
            bits = self._layout.prototype
            address = bits.of_all(values)
            if self._signed:
                high = np.uint64(_MAX_ADDRESS & ~((1 << bits.count) - 1))
                address = np.where((address >> np.uint64(bits.count - 1)) != 0, address | high, address)
        elif form is PrototypeForm.PACKED:
            address = values >> np.uint64(1) & np.uint64(0x7FFFFC00) | values << np.uint64(1) & np.uint64(0x3FC)
            address |= np.uint64(0x80000000)
        else:
            if self._parameters.paged_pool_start is None:
                return values, np.zeros(len(values), np.bool_)
            low = (values >> np.uint64(1) & np.uint64(0x7F)) << np.uint64(2)
            address = (values >> np.uint64(11) << np.uint64(9)) | low
            address = address + np.uint64(self._parameters.paged_pool_start & 0xFFFFFFFF) & np.uint64(0xFFFFFFFF)
        odd = address & np.uint64(self._parameters.mode.entry_size - 1)
        return address, (address != np.uint64(_VAD)) & (odd == 0)


def _none_of(values: NDArray[np.uint64], bits: Bits) -> NDArray[np.bool_]:
    empty: NDArray[np.bool_] = bits.of_all(values) == 0
    return empty
