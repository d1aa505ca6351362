"""Dumps that a debugger writes (64-bit): kernel memory (8), kernel and user memory (9), all memory (10)."""

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from poolsleuth.lab.containers.header import DumpHeaderFields, header_bytes
from poolsleuth.lab.containers.sparse_file import new_file, page_aligned, page_count, without, write_pages
from poolsleuth.lab.physical import PAGE, PhysicalImage

_FULL = 10
_RANGES_AT = 0x30
_UNKNOWN = (0x0000_0001_0000_0002, 0x0000_0003_0000_0004)  # two fields that nobody has named: not zero on purpose


def write_debugger_dump(
    path: Path,
    physical: PhysicalImage,
    header: DumpHeaderFields,
    dump_type: Literal[8, 9, 10],
    *,
    left_out: Collection[int] = (),
) -> int:
    """A dump of type 10 with all pages of the machine, or of type 8 or 9 with those that exist; without ``left_out``.

    Page 0 cannot be in it: its number ends the list of ranges. Returns how many pages the dump holds. Raises ValueError
    for a 32-bit header, FileExistsError where the file exists.
    """
    if header.bits != 64:
        raise ValueError("dumps of this kind are known of 64-bit machines only")
    runs = without(physical.runs() if dump_type == _FULL else physical.in_use(), {0, *left_out})
    pages = page_count(runs)
    # One entry more than there are ranges: a page number of 0 ends the list
    first = page_aligned(header.size + _RANGES_AT + 16 * (len(runs) + 1))
    top = header_bytes(header, dump_type, file_size=first + pages * PAGE)
    top += (0x40).to_bytes(4, "little") + b"RDMPDUMP" + bytes(4)
    counts = (len(runs), pages) if dump_type == _FULL else _UNKNOWN
    numbers = [first - header.size - 0x20, first, *counts, *(number for run in runs for number in run)]
    top += b"".join(number.to_bytes(8, "little") for number in numbers)
    with new_file(path) as file:
        file.write(top)
        write_pages(file, first, physical, runs)
    return pages
