"""The bytes of segments and subsegments: every head at its documented offset, encoded with this boot's keys.

Descriptors overlay the start of their segment; a segment is signed with its own address, its context's and the key (and
a constant, in builds before 26100). The sizes in the head of a subsegment of equal blocks are encoded with the second
key and its page number; the header of a chunk with the first key and its own address. None of this was taken from a
machine: it is what the public texts say.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.lab.machine import PAGE
from poolsleuth.lab.segment_heap.contents import (
    DIRECT,
    LFH,
    VS,
    LfhContents,
    RangeContents,
    SegmentContents,
    VsContents,
)
from poolsleuth.lab.segment_heap.lfh import BITMAP_AT
from poolsleuth.lab.segment_heap.segments import HEAD
from poolsleuth.lab.segment_heap.sizes import LARGEST_HEADED, UNIT, UNIT_SHIFTS
from poolsleuth.lab.structures import Layout

SIGNED_WITHOUT = 26100
"""The build from which on segments are signed without a constant, and whole addresses encode the sizes of blocks."""
_CONSTANT = 0xA2E64EAD_A2E64EAD
_RANGE = 0xCCDDCCDD  # at the start of the first descriptor of a range in use
_FLAGS = {0: 0x00, DIRECT: 0x03, LFH: 0x0B, VS: 0x0F}
_INSIDE = 0x02  # of the descriptors behind the first
_VS_SIGNATURE, _FULL = 0x2BED, 0x8000
_STORED = 0x6D
_POOL_TYPES = {"nonpaged": 0, "nonpaged-nx": 0, "paged": 1, "session": 0x21}
_QUOTA, _IN_USE = 0x08, 0x02
_HEADER = np.dtype(
    [("previous", "u1"), ("index", "u1"), ("units", "u1"), ("kind", "u1"), ("tag", "<u4"), ("process", "<u8")]
)
_ALL = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Keys:
    """What this boot encodes with: the keys of heaps and of equal blocks, and the cookie for processes in headers."""

    heap: int
    lfh: int
    cookie: int


@dataclass(frozen=True, slots=True)
class Encoder:
    """Writes the parts of one heap that lies at ``base``. ``payers`` are addresses of processes by their number."""

    layout: Layout
    keys: Keys
    pool: str
    base: int
    payers: NDArray[np.uint64]

    @property
    def _wide(self) -> bool:
        return self.layout.windows.build >= SIGNED_WITHOUT

    def segment(self, part: SegmentContents, links: bytes, context: int) -> bytearray:
        """The head of a segment: list entry, signature, and its descriptors."""
        address = self.base + part.at
        data = bytearray(HEAD)
        each = self.layout.size("_HEAP_PAGE_RANGE_DESCRIPTOR")
        for found in part.ranges:
            self._range(data, found, each, 1 << UNIT_SHIFTS[part.context] - 12)
        head = self.layout.record("_HEAP_PAGE_SEGMENT", size=HEAD)
        head.set("ListEntry", links)
        signature = address ^ context ^ self.keys.heap
        head.set("Signature", signature if self._wide else signature ^ _CONSTANT)
        data[:0x20] = bytes(head)[:0x20]
        return data

    def _range(self, data: bytearray, found: RangeContents, each: int, pages: int) -> None:
        for number in range(found.units if found.kind else 1):
            record = self.layout.record("_HEAP_PAGE_RANGE_DESCRIPTOR")
            record.set("RangeFlags", _INSIDE if number else _FLAGS[found.kind])
            record.set("CommittedPageCount", pages if found.kind else 0)
            record.set("UnitOffset", number)
            if not number:
                record.set("UnitSize", found.units)
                if found.kind:
                    record.set("TreeSignature", _RANGE)
                if found.unused:
                    record.set("ExtraPresent", 1)
                    record.set("UnusedBytes", found.unused)
            at = (found.unit + number) * each
            data[at : at + each] = bytes(record)

    def equal_blocks(self, part: LfhContents, links: bytes) -> bytearray:
        """A whole subsegment of equal blocks."""
        address = self.base + part.at
        record = self.layout.record("_HEAP_LFH_SUBSEGMENT")
        record.set("ListEntry", links)
        given = part.busy | part.closed
        record.set("FreeCount", int((~given).sum()))
        record.set("BlockCount", len(part.busy))
        record.set("WitheldBlockCount", int(part.closed.sum()))
        page = (address if self._wide else address & 0xFFFF_FFFF) >> 12
        record.set("BlockOffsets", (part.size | part.first << 16) ^ (self.keys.lfh ^ page) & 0xFFFF_FFFF)
        record.set("CommitUnitShift", 12)
        record.set("CommitUnitCount", part.length // PAGE)
        data = bytearray(part.length)
        data[: len(record.data)] = record.data
        # The low bit of two says that a block was given out, the high one that its last bytes count those not needed
        more = part.unused > 0
        bits = np.zeros(2 * len(part.busy), np.uint8)
        bits[0::2], bits[1::2] = given, more & part.busy
        octets = np.packbits(bits, bitorder="little")
        data[BITMAP_AT : BITMAP_AT + len(octets)] = octets.tobytes()
        whole = np.frombuffer(data, np.uint8)
        numbers = np.flatnonzero(~part.closed & (part.tags != 0))
        places = part.first + numbers * part.size
        if part.size <= LARGEST_HEADED:
            told = np.full(len(numbers), part.size // UNIT)
            self._headers(whole, places, address, told, part.tags[numbers], part.processes[numbers])
        counted = np.flatnonzero(more & part.busy)
        ends = part.first + (counted + 1) * part.size
        whole.view("<u2")[ends // 2 - 1] = part.unused[counted]
        return data

    def chunks(self, part: VsContents, links: bytes) -> bytearray:
        """A whole subsegment of chunks. Links of free chunks are put by whoever knows their tree."""
        address = self.base + part.at
        record = self.layout.record("_HEAP_VS_SUBSEGMENT")
        record.set("ListEntry", links)
        present = ~0 if not part.absent else ~sum(1 << at // PAGE for at in part.absent)
        record.set("CommitBitmap", present & (1 << part.length // PAGE) - 1)
        units = (part.length - int(part.chunks[0])) // UNIT
        record.set("Size", units)
        record.set("Signature", (units ^ _VS_SIGNATURE) & 0x7FFF)
        # Readers made for real memory take the word with the signature for 0x2BED: this bit is 0 there
        record.set("FullCommit", 0)
        data = bytearray(part.length)
        data[: len(record.data)] = record.data
        whole = np.frombuffer(data, np.uint8)
        before = np.concatenate(([0], part.sizes[:-1])) // UNIT
        places = address + part.chunks.astype(np.uint64)
        lost = np.array(part.absent, np.int64)
        cost = np.searchsorted(lost, part.chunks + part.sizes) - np.searchsorted(lost, part.chunks)
        sizes = cost | part.sizes // UNIT << 16 | before << 32 | part.used.astype(np.int64) << 48
        words = whole.view("<u8")
        words[part.chunks // 8] = sizes.astype(np.uint64) ^ np.uint64(self.keys.heap) ^ places
        room = part.chunks + part.sizes - part.begins
        spare = part.used & (room > part.sizes_told)
        inside = (part.chunks // PAGE & 0xFF) ^ (places ^ np.uint64(self.keys.heap)).astype(np.int64) & 0xFF
        used = np.flatnonzero(part.used)
        words[part.chunks[used] // 8 + 1] = (inside | spare.astype(np.int64) << 8)[used].astype(np.uint64)
        headed = np.flatnonzero(part.headed)
        told = part.sizes_told[headed] // UNIT
        self._headers(whole, part.begins[headed], address, told, part.tags[headed], part.processes[headed])
        return data

    def _headers(
        self,
        octets: NDArray[np.uint8],
        places: NDArray[np.int64],
        address: int,
        units: NDArray[np.int64],
        tags: NDArray[np.uint32],
        processes: NDArray[np.int64],
    ) -> None:
        """Pool headers at these offsets of what lies at ``address``."""
        kind = _POOL_TYPES[self.pool] & _STORED | _IN_USE
        rows = np.zeros(len(places), _HEADER)
        rows["units"], rows["tag"] = units, tags
        rows["kind"] = np.where(processes != 0, kind | _QUOTA, kind)
        where = np.uint64(address) + places.astype(np.uint64)
        paid = self.payers[processes] ^ np.uint64(self.keys.cookie) ^ where
        rows["process"] = np.where(processes != 0, paid, np.uint64(0))
        slots = octets.view(_HEADER)
        slots[places // UNIT] = rows


def tree(nodes: list[int], *, at: int, encoded: bool) -> tuple[dict[int, tuple[int, int, int]], int, int]:
    """A balanced tree of nodes in this order: links (left, right, parent) of each, and the tree's root and least node.

    Where it is ``encoded`` each link is XORed with the address of the node it stands in, the root with ``at``, the
    tree's own, and the lowest bit of the word for the least node says so.
    """
    links: dict[int, tuple[int, int, int]] = {}

    def made(begin: int, end: int, parent: int) -> int:
        if begin >= end:
            return 0
        middle = (begin + end) // 2
        node = nodes[middle]
        left, right = made(begin, middle, node), made(middle + 1, end, node)
        links[node] = tuple(link ^ node if encoded and link else link for link in (left, right, parent))  # type: ignore[assignment]
        return node

    root = made(0, len(nodes), 0)
    least = nodes[0] if nodes else 0
    return links, (root ^ at if encoded and root else root), least | int(encoded)
