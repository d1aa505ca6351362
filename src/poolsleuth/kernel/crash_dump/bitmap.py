"""Pages found by the rank of a bit: kernel, automatic, active and complete bitmap dumps (5, 6, 7), and older type 2.

Bit i of byte j stands for page 8*j + i; the page of the k-th bit that is set lies at ``first`` + k pages. The newer
header is read as volatility3, kdmp-parser, rekall and LeechCore do (the number of bits at +30). The older one ("summary
dump") has 32-bit fields; where its bitmap begins is not documented, so the place is believed at which the bits that are
set add up to the number of pages. No real dump of these was at hand.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.crash_dump.content import PAGE, DumpContent, Flaw
from poolsleuth.kernel.crash_dump.header import DumpHeader
from poolsleuth.kernel.crash_dump.memory import MAX_FIRST, Offsets

MAX_BITS = 0x7FFF_FFFF  # pages that a bitmap speaks of: 8 TB of addresses (the bound that LeechCore uses)
_CHUNK = 1 << 17  # words counted at a time, so that counting needs a few MB however large the bitmap is
_MARKS = (b"SDMPDUMP", b"FDMPDUMP")
_BITMAP_AT = 0x38
# The first follows from the size of RTL_BITMAP, the last is that of newer dumps: the likelier one stands before
_LEGACY_BITMAPS_AT = {32: (0x20, 0x28, 0x38), 64: (0x28, 0x20, 0x38)}

_ONE, _TWO, _FOUR, _TOP = (np.uint64(value) for value in (1, 2, 4, 56))
# The same byte eight times
_PAIRS, _FOURS, _BYTES, _SUM = (np.uint64(int(octet * 8, 16)) for octet in ("55", "33", "0f", "01"))


@dataclass(frozen=True, slots=True)
class BitmapMap:
    """``words`` holds the bits, 64 to a word, and ``before`` how many are set in the words before each."""

    first: int
    pages: int
    bits: int
    words: NDArray[np.uint64]
    before: NDArray[np.int32]

    def places(self, numbers: Offsets) -> Offsets:
        """The file offset of each page number; -1 for one that is not in the dump."""
        if not len(self.words):
            return np.full(numbers.shape, int(Absence.NOT_IN_DUMP), dtype=np.int64)
        inside = numbers < min(self.bits, 64 * len(self.words))
        known = np.where(inside, numbers, 0)
        at, shift = known >> 6, (known & 63).astype(np.uint64)
        word = self.words[at]
        held = inside & ((word >> shift) & _ONE != 0)
        lower = word & ((_ONE << shift) - _ONE)
        rank = self.before[at] + _set_bits(lower)
        return np.where(held, self.first + rank * PAGE, int(Absence.NOT_IN_DUMP))

    def place(self, number: int) -> int:
        """The same of one page number."""
        at, shift = number >> 6, number & 63
        word = self.words.item(at) if number < self.bits and at < len(self.words) else 0
        if not word >> shift & 1:
            return int(Absence.NOT_IN_DUMP)
        return self.first + (self.before.item(at) + (word & (1 << shift) - 1).bit_count()) * PAGE


def _set_bits(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many bits are set in each word: sums in pairs, fours and bytes, then all bytes by one multiplication."""
    pairs = words - ((words >> _ONE) & _PAIRS)
    fours = (pairs & _FOURS) + ((pairs >> _TWO) & _FOURS)
    octets = (fours + (fours >> _FOUR)) & _BYTES
    counted: NDArray[np.int64] = (octets * _SUM >> _TOP).astype(np.int64)
    return counted


def _words(content: DumpContent, at: int, bits: int) -> NDArray[np.uint64]:
    """The bitmap as words, only as much of it as the file holds. What lies behind its last bit may be anything."""
    octets = content.octets(at, (bits + 63) // 64 * 8)
    rest = len(octets) % 8
    if rest:  # only at the end of a file: else this is a view
        octets = np.concatenate((octets, np.zeros(8 - rest, np.uint8)))
    return octets.view("<u8").astype(np.uint64, copy=False)


def _bitmap(words: NDArray[np.uint64], first: int, bits: int) -> BitmapMap:
    before = np.empty(len(words), np.int32)  # MAX_BITS fits
    pages = 0
    for begin in range(0, len(words), _CHUNK):
        counts = _set_bits(words[begin : begin + _CHUNK])
        before[begin : begin + _CHUNK] = np.cumsum(counts) - counts + pages
        pages += int(counts.sum())
    if bits % 64 and len(words) == (bits + 63) // 64:
        pages -= (int(words[-1]) >> (bits % 64)).bit_count()
    return BitmapMap(first, pages, bits, words, before)


def has_bitmap(content: DumpContent, header: DumpHeader) -> bool:
    """Whether the mark of a bitmap follows the header, of the newer or the older kind."""
    return content.take(header.size, 8) in _MARKS


def bitmap_map(content: DumpContent, header: DumpHeader, flaws: list[Flaw]) -> BitmapMap | None:
    """The pages of a dump with a bitmap of either kind. None when neither can be true."""
    older = header.dump_type == 2
    readers = (_legacy, _current) if older else (_current, _legacy)
    for read in readers:
        seen: list[Flaw] = []
        found = read(content, header, seen)
        if found is not None:
            flaws += seen
            return found
    flaws.append(
        Flaw("the header of the bitmap of pages cannot be true: no page of the dump can be found", header.size)
    )
    return None


def _current(content: DumpContent, header: DumpHeader, flaws: list[Flaw]) -> BitmapMap | None:
    start = header.size
    first, present, bits = (content.number(start + at, 8) for at in (0x20, 0x28, 0x30))
    if first is None or present is None or bits is None:
        return None
    at = start + _BITMAP_AT
    if not 0 < present <= bits <= MAX_BITS or first % PAGE or not at + (bits + 7) // 8 <= first <= MAX_FIRST:
        return None
    found = _bitmap(_words(content, at, bits), first, bits)
    held = content.held(at, 1, (bits + 7) // 8)
    if held < (bits + 7) // 8:
        flaws.append(Flaw(f"the bitmap of pages is cut off after {held:,} of {(bits + 7) // 8:,} bytes", content.size))
    elif found.pages != present:
        flaws.append(Flaw(f"the dump counts {present:,} pages, but its bitmap holds {found.pages:,}", start + 0x28))
    return found


def _legacy(content: DumpContent, header: DumpHeader, flaws: list[Flaw]) -> BitmapMap | None:
    start = header.size
    first, bits, present = (content.number(start + at, 4) for at in (0x0C, 0x10, 0x14))
    if first is None or bits is None or present is None:
        return None
    if not 0 < present <= bits <= MAX_BITS or first % PAGE:
        return None
    fitting: list[tuple[int, BitmapMap]] = []
    for at in _LEGACY_BITMAPS_AT[header.bits]:
        size = (bits + 7) // 8
        if start + at + size > first or content.held(start + at, 1, size) < size:
            continue
        found = _bitmap(_words(content, start + at, bits), first, bits)
        if found.pages == present:
            fitting.append((at, found))
    if not fitting:
        return None
    # The page tables that the header names are in every dump: a place that lacks them is none
    root = (header.directory_table_base or 0) // PAGE
    numbers = np.array([root], np.int64)
    fitting = [one for one in fitting if root < bits and one[1].places(numbers)[0] >= 0] or fitting
    at, chosen = fitting[0]
    if not all(_same_bits(chosen, other) for _, other in fitting[1:]):
        flaws.append(
            Flaw(
                f"{len(fitting)} places of the bitmap of pages fit the {present:,} pages that the dump counts: that at"
                f" +{at:x} is believed, and pages may be told wrong",
                start + at,
            )
        )
    return chosen


def _same_bits(one: BitmapMap, other: BitmapMap) -> bool:
    """Whether two bitmaps of one length name the same pages: bits behind the last one do not count."""
    if not np.array_equal(one.words[:-1], other.words[:-1]):
        return False
    mask = (1 << (one.bits % 64 or 64)) - 1
    return int(one.words[-1]) & mask == int(other.words[-1]) & mask
