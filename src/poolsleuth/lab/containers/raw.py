"""Raw images: the file offset is the physical address."""

from collections.abc import Collection
from pathlib import Path

from poolsleuth.lab.containers.sparse_file import new_file, page_count, without, write_run, written_in
from poolsleuth.lab.physical import PAGE, PhysicalImage


def write_raw(path: Path, physical: PhysicalImage, *, left_out: Collection[int] = ()) -> int:
    """All of the machine's memory; holes and ``left_out`` read as zeros. Returns how many pages the image holds.

    Raises FileExistsError where the file exists.
    """
    runs = without(physical.runs(), left_out)
    with new_file(path) as file:
        for run, written in written_in(physical, runs):
            write_run(file, run[0] * PAGE, physical, run, written)
        file.truncate(physical.end * PAGE)
    return page_count(runs)
