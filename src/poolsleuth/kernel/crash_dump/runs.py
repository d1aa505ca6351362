"""Pages found by runs: complete dumps (type 1), and dumps that a debugger wrote (8, 9, 10).

Type 1: the pages of the header's runs lie behind each other right after the header (volatility, kdmp-parser and
LeechCore agree). Types 8 to 10, 64-bit: the ``RDMP`` header and its ranges as kdmp-parser reads them; no real dump of
these was at hand.
"""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.crash_dump.content import PAGE, DumpContent, Flaw
from poolsleuth.kernel.crash_dump.header import MAX_PAGE_NUMBER, DumpHeader
from poolsleuth.kernel.crash_dump.memory import MAX_FIRST, MAX_OFFSET, Offsets

MAX_RANGES = 1 << 20  # ranges of a debugger-written dump: their sum of pages stays within 64 bits

_RANGE = np.dtype([("base", "<u8"), ("pages", "<u8")])
_RDMP = bytes.fromhex("40000000") + b"RDMPDUMP"
_RANGES_AT = 0x30
_COMPLETE = 10  # the type whose ranges are counted; those of 8 and 9 end with a page number of 0


@dataclass(frozen=True, slots=True)
class RunMap:
    """Runs sorted by page number, without overlaps; parallel arrays of equal length."""

    first: int
    pages: int
    bases: NDArray[np.int64]
    counts: NDArray[np.int64]
    offsets: Offsets

    def places(self, numbers: Offsets) -> Offsets:
        """The file offset of each page number; -1 for one that is not in the dump."""
        if not len(self.bases):
            return np.full(numbers.shape, int(Absence.NOT_IN_DUMP), dtype=np.int64)
        at = np.maximum(np.searchsorted(self.bases, numbers, side="right") - 1, 0)
        inside = numbers - self.bases[at]
        held = (inside >= 0) & (inside < self.counts[at])
        places = self.offsets[at] + np.where(held, inside, 0) * PAGE
        return np.where(held, places, int(Absence.NOT_IN_DUMP))

    def place(self, number: int) -> int:
        """The same of one page number."""
        at = bisect_right(self.bases, number) - 1
        inside = number - self.bases.item(at) if at >= 0 else 0
        if at < 0 or inside >= self.counts.item(at):
            return int(Absence.NOT_IN_DUMP)
        return self.offsets.item(at) + inside * PAGE


def run_map(first: int, bases: NDArray[np.int64], counts: NDArray[np.int64]) -> RunMap:
    """A map of runs whose pages lie behind each other in the file in the order given, from ``first`` on.

    All numbers must be in 0 ... ``MAX_PAGE_NUMBER``. Where runs overlap, the one with the lower base is believed.
    """
    before = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
    offsets = first + np.minimum(before[:-1], (MAX_OFFSET - first) // PAGE - MAX_PAGE_NUMBER) * PAGE
    return RunMap(first, int(before[-1]), *without_overlaps(bases, counts, offsets))


def without_overlaps(
    bases: NDArray[np.int64], counts: NDArray[np.int64], offsets: Offsets
) -> tuple[NDArray[np.int64], NDArray[np.int64], Offsets]:
    """Runs (first page, pages, file offset) sorted by page number; of runs that overlap, the lower one is believed."""
    order = np.argsort(bases, kind="stable")
    base, count, offset = bases[order], counts[order], offsets[order]
    taken = np.concatenate((np.zeros(1, np.int64), np.maximum.accumulate(base + count)[:-1])) if len(base) else base
    begin = np.maximum(base, taken)
    left = base + count - begin
    kept = left > 0
    return begin[kept], left[kept], (offset + (begin - base) * PAGE)[kept]


def complete_map(header: DumpHeader, flaws: list[Flaw]) -> RunMap | None:
    """The pages of a complete dump. None when its header lists no runs."""
    if not header.runs:
        flaws.append(Flaw("the header lists no runs of memory: no page of the dump can be found", 0))
        return None
    found = run_map(
        header.size,
        np.array([run.base for run in header.runs], dtype=np.int64),
        np.array([run.pages for run in header.runs], dtype=np.int64),
    )
    if header.pages is not None and header.pages != found.pages:
        flaws.append(Flaw(f"the header counts {header.pages:,} pages, but its runs hold {found.pages:,}", 0))
    return found


def is_debugger_written(content: DumpContent, header: DumpHeader) -> bool:
    """Whether the mark of a dump that a debugger wrote follows the header."""
    return content.take(header.size, len(_RDMP)) == _RDMP


def debugger_map(content: DumpContent, header: DumpHeader, flaws: list[Flaw]) -> RunMap | None:
    """The pages of a dump that a debugger wrote. None when its list of ranges cannot be used."""
    start = header.size
    metadata, first = content.number(start + 0x10, 8), content.number(start + 0x18, 8)
    if metadata is None or first is None:
        flaws.append(Flaw("the dump ends before its list of memory ranges", content.size))
        return None
    if not start + _RANGES_AT <= first <= MAX_FIRST or metadata != first - start - 0x20:
        flaws.append(Flaw("the sizes before the list of memory ranges contradict each other", start + 0x10))
        return None
    room = (first - start - _RANGES_AT) // _RANGE.itemsize
    total: int | None = None
    if header.dump_type == _COMPLETE:
        room = min(room, content.number(start + 0x20, 4) or 0)
        total = content.number(start + 0x28, 8)
    if room > MAX_RANGES:
        flaws.append(Flaw(f"the dump claims {room:,} ranges of memory: {MAX_RANGES:,} are read", start))
        room = MAX_RANGES
    rows = content.rows(start + _RANGES_AT, _RANGE, room)
    base, pages = rows["base"], rows["pages"]
    ends = base == 0 if total is None else _before(pages) >= total
    # What cannot be true ends the list as well: where the pages behind it lie would be a guess
    wrong = (base > MAX_PAGE_NUMBER) | (pages > MAX_PAGE_NUMBER)
    if len(stop := np.flatnonzero(ends | wrong)):
        if wrong[stop[0]] and not ends[stop[0]]:
            flaws.append(
                Flaw("a range of memory lies beyond all physical addresses", start + _RANGES_AT + 16 * int(stop[0]))
            )
        base, pages = base[: stop[0]], pages[: stop[0]]
    elif len(rows) < room:
        flaws.append(Flaw("the list of memory ranges is cut off", content.size))
    found = run_map(first, base.astype(np.int64), pages.astype(np.int64))
    if total is not None and total != found.pages:
        flaws.append(Flaw(f"the dump counts {total:,} pages, but its ranges hold {found.pages:,}", start + 0x28))
    return found


def _before(pages: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """How many pages lie before each range."""
    held = np.minimum(pages, np.uint64(MAX_PAGE_NUMBER))
    summed: NDArray[np.uint64] = np.cumsum(held, dtype=np.uint64) - held
    return summed
