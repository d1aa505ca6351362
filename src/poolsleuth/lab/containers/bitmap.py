"""Dumps with a bitmap of pages: complete (5, ``FDMP``), kernel (6, ``SDMP``) and automatic (7, ``SDMP``)."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

from poolsleuth.lab.containers.header import DumpHeaderFields, header_bytes
from poolsleuth.lab.containers.sparse_file import new_file, page_aligned, page_count, without, write_pages
from poolsleuth.lab.physical import PAGE, PhysicalImage, Run

_FULL = 5
_BITMAP_AT = 0x38
_WORD = 32  # bitmaps are whole words: readers disagree on what a part of a byte means


def bits_of(runs: Sequence[Run], bits: int) -> bytearray:
    """A bitmap of ``bits`` bits, lowest bit of a byte first, with the bits of these pages set."""
    out = bytearray(-(-bits // 8))
    for base, count in runs:
        end = base + count
        whole, last = -(-base // 8), end // 8
        if whole <= last:
            out[whole:last] = b"\xff" * (last - whole)
            edges = [*range(base, whole * 8), *range(last * 8, end)]
        else:
            edges = [*range(base, end)]
        for number in edges:
            out[number // 8] |= 1 << number % 8
    return out


def bitmap_bits(physical: PhysicalImage) -> int:
    """How many bits the bitmap of a machine has."""
    return -(-physical.end // _WORD) * _WORD


def write_bitmap(
    path: Path,
    physical: PhysicalImage,
    header: DumpHeaderFields,
    dump_type: Literal[5, 6, 7],
    *,
    left_out: Collection[int] = (),
) -> int:
    """A dump of type 5 with all pages of the machine, or of type 6 or 7 with those that exist; without ``left_out``.

    Returns how many pages the dump holds. Raises FileExistsError where the file exists.
    """
    runs = without(physical.runs() if dump_type == _FULL else physical.in_use(), left_out)
    pages, bits = page_count(runs), bitmap_bits(physical)
    first = page_aligned(header.size + _BITMAP_AT + bits // 8)
    top = header_bytes(header, dump_type, file_size=first + pages * PAGE)
    top += (b"FDMP" if dump_type == _FULL else b"SDMP") + b"DUMP" + bytes(24)
    for value in (first, pages, bits):
        top += value.to_bytes(8, "little")
    with new_file(path) as file:
        file.write(top)
        file.write(bits_of(runs, bits))
        write_pages(file, first, physical, runs)
    return pages
