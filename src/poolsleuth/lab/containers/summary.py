"""Kernel memory dumps of the older kind (type 2, "summary"): a bitmap behind a header of 32-bit fields.

Where the bitmap begins follows from the size of RTL_BITMAP; on 64-bit that was never confirmed on a real dump.
"""

from collections.abc import Collection
from pathlib import Path

from poolsleuth.lab.containers.bitmap import bitmap_bits, bits_of
from poolsleuth.lab.containers.header import MAX_RUNS, DumpHeaderFields, header_bytes
from poolsleuth.lab.containers.sparse_file import new_file, page_aligned, page_count, without, write_pages
from poolsleuth.lab.physical import PAGE, PhysicalImage

_BITMAP_AT = {32: 0x20, 64: 0x28}
_STALE_BUFFER = {32: 0x8A3C5008, 64: 0xFFFFFA80_03C5A010}  # where the bitmap lay in the memory of the machine


def write_summary(
    path: Path, physical: PhysicalImage, header: DumpHeaderFields, *, left_out: Collection[int] = ()
) -> int:
    """The pages that exist, without ``left_out``. Returns how many pages the dump holds.

    The header lists the runs of the machine where they fit. Raises FileExistsError where the file exists.
    """
    runs = without(physical.in_use(), left_out)
    pages, bits = page_count(runs), bitmap_bits(physical)
    at = _BITMAP_AT[header.bits]
    first = page_aligned(header.size + at + bits // 8)
    listed = physical.runs() if len(physical.runs()) <= MAX_RUNS[header.bits] else None
    top = header_bytes(header, 2, file_size=first + pages * PAGE, runs=listed)
    part = bytearray(b"SDMPDUMP" + bytes(4))
    for value in (first, bits, pages, bits):
        part += value.to_bytes(4, "little")
    pointer = header.bits // 8
    part = part.ljust(at - pointer, b"\0") + _STALE_BUFFER[header.bits].to_bytes(pointer, "little")
    with new_file(path) as file:
        file.write(top + part + bits_of(runs, bits))
        write_pages(file, first, physical, runs)
    return pages
