"""Structures as numpy row types, and single fields as numbers."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import Reader, Rows
from poolsleuth.windows.kernel_table import Field, Structure

MAX_ROW = 0x400  # bytes of a table row: the largest known has 0x50
_WIDTHS = (1, 2, 4, 8)


def width_of(place: Field, default: int) -> int | None:
    """Bytes of a field, or of one element of an array; None when it is no number that a processor knows."""
    width = default if place.size is None else place.size // max(place.count, 1)
    return width if width in _WIDTHS else None


def row_dtype(structure: Structure, names: Iterable[str]) -> "np.dtype[np.void] | None":
    """A row type with the fields of ``names`` that the structure has; None when a row cannot be read by it.

    Bit fields become the whole number that they lie in: ``column`` cuts them out.
    """
    if not 0 < structure.size <= MAX_ROW:
        return None
    kept, formats, offsets = [], [], []
    for name in names:
        place = structure.fields.get(name)
        if place is None:
            continue
        if place.size not in _WIDTHS or place.count != 1 or not 0 <= place.offset <= structure.size - place.size:
            return None
        kept.append(name)
        formats.append(f"<u{place.size}")
        offsets.append(place.offset)
    if not kept:
        return None
    return np.dtype({"names": kept, "formats": formats, "offsets": offsets, "itemsize": structure.size})


def column(rows: Rows, structure: Structure, name: str) -> NDArray[np.uint64]:
    """A field of all rows as numbers of 64 bits; bit fields are cut out of the number they lie in."""
    values = rows[name].astype(np.uint64)
    place = structure.fields[name]
    if place.bit is not None and place.bits is not None:
        values = (values >> np.uint64(place.bit)) & np.uint64((1 << place.bits) - 1)
    return values


def number_at(memory: Reader, base: int, place: Field | None, index: int = 0) -> int | None:
    """A field of the structure at ``base`` (of an array: the element ``index``); None when it cannot be read."""
    if place is None:
        return None
    width = width_of(place, memory.pointer_size)
    return None if width is None else memory.number(base + place.offset + index * width, width)
