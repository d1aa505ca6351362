"""Ranges of physical memory that lie at any offset of a file: what all images that are no dumps come down to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from poolsleuth.kernel.crash_dump.content import PAGE, DumpContent, Flaw
from poolsleuth.kernel.crash_dump.header import MAX_PAGE_NUMBER
from poolsleuth.kernel.crash_dump.memory import MAX_OFFSET, PhysicalMemory
from poolsleuth.kernel.crash_dump.runs import RunMap, without_overlaps

MAX_RANGES = 1 << 16  # ranges of an image: real machines have tens


@dataclass(frozen=True, slots=True)
class MemoryRange:
    """``size`` bytes of physical memory from ``address`` on lie at ``offset`` of the file."""

    address: int
    size: int
    offset: int


def memory_of(
    content: DumpContent, ranges: Sequence[MemoryRange], flaws: list[Flaw]
) -> tuple[PhysicalMemory, RunMap] | None:
    """Physical memory out of ranges, and where its pages lie; None when no whole page is in them.

    What is not a whole page is left out. Ranges beyond all physical addresses, and what lies beyond the end of the
    file, are told in ``flaws``. Where ranges overlap, the one with the lower address is believed.
    """
    bases, counts, offsets = [], [], []
    for one in ranges:
        skip = -one.address % PAGE
        first, pages = (one.address + skip) // PAGE, (one.size - skip) // PAGE
        if pages <= 0:
            continue
        if first + pages > MAX_PAGE_NUMBER or one.offset < 0 or one.offset + one.size > MAX_OFFSET:
            flaws.append(Flaw("a range of the image lies beyond all physical addresses: it was left out", one.offset))
            continue
        bases.append(first)
        counts.append(pages)
        offsets.append(one.offset + skip)
    if not bases:
        return None
    begin, left, offset = without_overlaps(*(np.array(each, np.int64) for each in (bases, counts, offsets)))
    held = np.clip((content.size - offset) // PAGE, 0, left)
    cut_off = int((left - held).sum())
    total = int(left.sum())
    if cut_off:
        flaws.append(
            Flaw(f"the image is truncated: {cut_off:,} of {total:,} pages of memory are missing", content.size)
        )
    page_map = RunMap(int(offset[0]), total, begin, left, offset)
    return PhysicalMemory(content, page_map, cut_off), page_map
