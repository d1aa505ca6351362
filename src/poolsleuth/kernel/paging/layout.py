"""Where the parts of a page table entry lie: by the symbols of the kernel, else as its build usually has them.

The positions without symbols are those of the public symbol tables of thirty kernels (XP to 19041, x86 and x64), of
eight further ones up to 22000, and of the public headers of the ARM64 kernel of 26100. Hardware entries are told
valid by bit 0 on every architecture; prototype is bit 10 and transition bit 11 on every kernel seen so far.

Kernels before 17763 that were serviced after August 2018 have the layout of 17763: only their symbols tell.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum

import numpy as np
from numpy.typing import NDArray

from poolsleuth.windows.kernel_table import Field, KernelTable, Structure

VALID, PROTOTYPE, TRANSITION = 0x001, 0x400, 0x800  # bits of an entry; transition counts where the others are clear
MAX_FRAME_BITS = 40  # physical addresses have 52 bits at most

_SERVER_2003, _VISTA, _VISTA_SP1, _WINDOWS_8 = 3790, 6000, 6001, 9200
_SWIZZLED, _WIDE_FRAMES = 17763, 20348
_FRAMES_AT = 12


class Mode(StrEnum):
    """How the processor translates addresses."""

    X86 = "x86 without PAE"
    X86_PAE = "x86 with PAE"
    X64 = "x64, four levels"
    X64_LA57 = "x64, five levels"
    ARM64 = "ARM64, 4 KB granule, four levels"

    @property
    def pointer_size(self) -> int:
        """Bytes of a pointer: 4 or 8."""
        return 4 if self in (Mode.X86, Mode.X86_PAE) else 8

    @property
    def entry_size(self) -> int:
        """Bytes of a page table entry: 4 or 8."""
        return 4 if self is Mode.X86 else 8


class PrototypeForm(Enum):
    """How a prototype entry says where the entry that stands for it lies."""

    FIELD = "one field, signed, that is the address"
    PACKED = "bits 2 to 30 of an address in the upper half (Vista and 7 without PAE)"
    POOL = "an offset from the start of paged pool (2000 to 2003 without PAE)"


@dataclass(frozen=True, slots=True)
class Bits:
    """``count`` bits from bit ``first`` on."""

    first: int
    count: int

    def of(self, entry: int) -> int:
        """The unsigned value of these bits."""
        return entry >> self.first & (1 << self.count) - 1

    def of_all(self, entries: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The same for each of many entries."""
        return entries >> np.uint64(self.first) & np.uint64((1 << self.count) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PteLayout:
    """Positions within an entry. ``swizzle`` is the bit that says that an invalid entry is as it was written; None
    where entries are never swizzled. ``prototype`` is only used with ``PrototypeForm.FIELD``. ``exact`` is True where
    the positions are those of the kernel's own symbols.
    """

    frame: Bits
    transition_frame: Bits
    page_file_number: Bits
    page_file_offset: Bits
    protection: Bits
    swizzle: int | None
    prototype_form: PrototypeForm
    prototype: Bits
    exact: bool = False


def usual_layout(mode: Mode, build: int) -> PteLayout:
    """The layout that kernels of this build usually have."""
    if mode is Mode.X86:
        return PteLayout(
            frame=Bits(_FRAMES_AT, 20),
            transition_frame=Bits(_FRAMES_AT, 20),
            page_file_number=Bits(1, 4),
            page_file_offset=Bits(12, 20),
            protection=Bits(5, 5),
            swizzle=None,
            prototype_form=PrototypeForm.PACKED if build >= _VISTA else PrototypeForm.POOL,
            prototype=Bits(0, 32),
        )
    if mode is Mode.ARM64:
        # No SwizzleBit: processors of this kind do not have the flaw that it is for
        return PteLayout(
            frame=Bits(_FRAMES_AT, 36),
            transition_frame=Bits(_FRAMES_AT, 40),
            page_file_number=Bits(6, 4),
            page_file_offset=Bits(32, 32),
            protection=Bits(1, 5),
            swizzle=None,
            prototype_form=PrototypeForm.FIELD,
            prototype=Bits(16, 48),
        )
    if mode is Mode.X86_PAE:
        frames = Bits(_FRAMES_AT, 26)
    elif build >= _WIDE_FRAMES:
        frames = Bits(_FRAMES_AT, 40)
    else:
        frames = Bits(_FRAMES_AT, 36 if build >= _VISTA_SP1 else 28)
    return PteLayout(
        frame=frames,
        transition_frame=frames,
        page_file_number=Bits(12 if build >= _SWIZZLED else 1, 4),
        page_file_offset=Bits(32, 32),
        protection=Bits(5, 5),
        swizzle=4 if build >= _SWIZZLED else None,
        prototype_form=PrototypeForm.FIELD,
        prototype=Bits(32, 32) if mode is Mode.X86_PAE else Bits(16, 48),
    )


def layout_of(mode: Mode, build: int, table: KernelTable | None) -> PteLayout:
    """The layout by the symbols of the kernel, else the usual one. Symbols that cannot be true are not believed."""
    usual = usual_layout(mode, build)
    if table is None:
        return usual
    names = ("_MMPTE_HARDWARE", "_MMPTE_TRANSITION", "_MMPTE_SOFTWARE", "_MMPTE_PROTOTYPE")
    found = [table.structures.get(name) for name in names]
    hardware, transition, software, prototype = found
    if hardware is None or transition is None or software is None or prototype is None:
        return usual
    if any(structure is None or structure.size != mode.entry_size for structure in found):
        return usual
    flags = {"Valid": 0, "Prototype": 10, "Transition": 11}
    if any(_bit(software, name) != bit for name, bit in flags.items()):
        return usual
    width = 8 * mode.entry_size
    frame, moving = _bits(hardware, "PageFrameNumber", width), _bits(transition, "PageFrameNumber", width)
    number, offset = _bits(software, "PageFileLow", width), _bits(software, "PageFileHigh", width)
    protection = _bits(software, "Protection", width)
    if frame is None or moving is None or number is None or offset is None or protection is None:
        return usual
    if any(bits.first != _FRAMES_AT or bits.count > MAX_FRAME_BITS for bits in (frame, moving)):
        return usual
    form, address = usual.prototype_form, usual.prototype
    one = _bits(prototype, "ProtoAddress", width)
    low = _bits(prototype, "ProtoAddressLow", width)
    if one is not None:
        form, address = PrototypeForm.FIELD, one
    elif low in (Bits(1, 8), Bits(1, 7)):
        form = PrototypeForm.PACKED if low == Bits(1, 8) else PrototypeForm.POOL
    else:
        return usual
    return PteLayout(
        frame=frame,
        transition_frame=moving,
        page_file_number=number,
        page_file_offset=offset,
        protection=protection,
        swizzle=_bit(software, "SwizzleBit"),
        prototype_form=form,
        prototype=address,
        exact=True,
    )


def _bits(structure: Structure, name: str, width: int) -> Bits | None:
    place: Field | None = structure.fields.get(name)
    if place is None or place.offset or place.bit is None or place.bits is None:
        return None
    if place.bit < 0 or place.bits < 1 or place.bit + place.bits > width:
        return None
    return Bits(place.bit, place.bits)


def _bit(structure: Structure, name: str) -> int | None:
    found = _bits(structure, name, 8 * structure.size)
    return found.first if found is not None and found.count == 1 else None
