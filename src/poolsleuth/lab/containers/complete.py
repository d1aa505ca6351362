"""Complete memory dumps (type 1) and headers without memory (type 3)."""

from collections.abc import Collection
from pathlib import Path

from poolsleuth.lab.containers.header import DumpHeaderFields, header_bytes
from poolsleuth.lab.containers.sparse_file import new_file, page_count, without, write_pages
from poolsleuth.lab.physical import PAGE, PhysicalImage


def write_complete(
    path: Path, physical: PhysicalImage, header: DumpHeaderFields, *, left_out: Collection[int] = ()
) -> int:
    """All pages of the machine behind a header that lists their runs. Returns how many pages the dump holds.

    Raises ValueError where the header has no room for the runs, FileExistsError where the file exists.
    """
    runs = without(physical.runs(), left_out)
    pages = page_count(runs)
    top = header_bytes(header, 1, file_size=header.size + pages * PAGE, runs=runs)
    with new_file(path) as file:
        file.write(top)
        write_pages(file, header.size, physical, runs)
    return pages


def write_header_only(path: Path, physical: PhysicalImage, header: DumpHeaderFields) -> int:
    """The header alone, with the runs of the machine. Returns 0: it holds no page."""
    with new_file(path) as file:
        file.write(header_bytes(header, 3, file_size=header.size, runs=physical.runs()))
    return 0
