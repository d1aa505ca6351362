"""LiME images: every range of memory behind a header of 32 bytes (LiME's documentation, version 1)."""

from collections.abc import Collection
from pathlib import Path

from poolsleuth.lab.containers.sparse_file import new_file, page_count, without, write_run, written_in
from poolsleuth.lab.physical import PAGE, PhysicalImage

_MAGIC, _VERSION = 0x4C694D45, 1


def write_lime(path: Path, physical: PhysicalImage, *, left_out: Collection[int] = ()) -> int:
    """All of the machine's memory but ``left_out``. Returns how many pages the image holds.

    Raises FileExistsError where the file exists.
    """
    runs = without(physical.runs(), left_out)
    with new_file(path) as file:
        offset = 0
        for run, written in written_in(physical, runs):
            base, count = run
            file.seek(offset)
            file.write(_MAGIC.to_bytes(4, "little") + _VERSION.to_bytes(4, "little"))
            # The end is the address of the last byte
            file.write((base * PAGE).to_bytes(8, "little") + ((base + count) * PAGE - 1).to_bytes(8, "little"))
            file.write(bytes(8))
            write_run(file, offset + 32, physical, run, written)
            offset += 32 + count * PAGE
        file.truncate(offset)
    return page_count(runs)
