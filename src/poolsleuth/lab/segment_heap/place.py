"""Lays the segment heaps of a machine into its memory: state of the pool, nodes, heaps, segments, lookaside lists."""

from bisect import bisect_right, insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random

import numpy as np
from numpy.typing import NDArray

from poolsleuth.lab.address_plan import AddressPlan
from poolsleuth.lab.machine import PAGE, Process
from poolsleuth.lab.page_tables import AddressSpaceWriter
from poolsleuth.lab.scene import Scene
from poolsleuth.lab.segment_heap.contents import DIRECT, HeapContents
from poolsleuth.lab.segment_heap.encode import Encoder, Keys, tree
from poolsleuth.lab.segment_heap.sizes import UNIT, UNIT_SHIFTS
from poolsleuth.lab.structures import Layout, Record

FIRST_BUILD = 18362
"""The lab's kernels from this build on have segment heaps (1809 has them switched off)."""
HEAPS_FROM = 0x48_0000_0000
"""Where the heaps begin, from the start of their pool on: behind all big allocations of a machine."""
SESSION_STATE_FROM = 0x10_0000
"""Where a session keeps the state of its heaps, from the start of its space on."""
ALIGNMENT = 1 << 24
_SIGNATURE = 0xDDEEDDEE
_LONGEST_PIECE = 64
_STATE, _NODE, _SESSION = "_EX_POOL_HEAP_MANAGER_STATE", "_EX_HEAP_POOL_NODE", "_EX_HEAP_SESSION_STATE"
_GLOBALS, _HEAP, _CONTEXT = "_RTLP_HP_HEAP_GLOBALS", "_SEGMENT_HEAP", "_HEAP_SEG_CONTEXT"
_LISTS, _LIST = "_RTL_DYNAMIC_LOOKASIDE", "_RTL_LOOKASIDE"

Held = Callable[[int], str]


@dataclass(slots=True)
class PlacedHeap:
    """A heap at its address, and the pages of it that have memory: address and bytes, None for zeros."""

    truth: HeapContents
    pages: list[tuple[int, memoryview | None]] = field(default_factory=list)
    octets: dict[int, bytearray] = field(default_factory=dict)
    _starts: list[int] = field(default_factory=list)

    def add(self, address: int, data: bytearray) -> None:
        """The bytes of a part, in whole pages."""
        self.octets[address] = data
        insort(self._starts, address)

    def put(self, address: int, data: bytes) -> None:
        """Change bytes of a part: those that depend on other parts of the heap."""
        start = self._starts[bisect_right(self._starts, address) - 1]
        self.octets[start][address - start : address - start + len(data)] = data

    def addresses(self) -> list[int]:
        """The addresses of all pages, in rising order."""
        return sorted(address for address, _data in self.pages)


def end_of_state(layout: Layout) -> int:
    """The relative address behind nt!ExPoolState, which is longer than all other variables; 0 where there is none."""
    at, state = layout.symbols.get("ExPoolState"), layout.structures.get(_STATE)
    return 0 if at is None or state is None else at + state.size


def align_plan(plan: AddressPlan) -> AddressPlan:
    """The same areas, so that segments of 16 MB fit at the offsets from their pools that the allocator gave them."""
    return replace(plan, nonpaged=plan.nonpaged // ALIGNMENT * ALIGNMENT, paged=plan.paged // ALIGNMENT * ALIGNMENT)


def place_heaps(scene: Scene, processes: tuple[Process, ...]) -> tuple[PlacedHeap, ...]:
    """Give every heap its address and make the bytes of its parts; the kernel's own variables are written, too.

    ``write_heaps`` maps what is given. Gives nothing for a kernel without segment heaps.
    """
    heaps = scene.machine.heaps
    if not heaps or _STATE not in scene.layout.structures:
        return ()
    keys = _write_globals(scene)
    payers = np.array([0, *(process.address or 0 for process in processes)] * 64, np.uint64)[:256]
    found = []
    for heap in heaps:
        base = {"paged": scene.plan.paged, "session": scene.plan.session_pool}.get(heap.pool, scene.plan.nonpaged)
        base += heap.base
        if heap.session is None:
            address = scene.nonpaged.reserve(scene.layout.size(_HEAP), PAGE)
        else:
            address = scene.plan.session + SESSION_STATE_FROM + PAGE * 8
        placed = _place(scene, heap, keys, base, address, payers)
        found.append(placed)
    _write_state(scene, [placed.truth for placed in found])
    return tuple(found)


def session_states(scene: Scene) -> dict[int, int]:
    """The address of the state of each session's heaps, by the session's id; only of sessions that have any."""
    at = scene.plan.session + SESSION_STATE_FROM
    return {heap.session: at for heap in scene.machine.heaps if heap.session is not None}


def _write_globals(scene: Scene) -> Keys:
    random = Random(f"keys of {scene.machine.seed}")
    cookie = (scene.machine.seed + 1) * 0x9E3779B97F4A7C15 & (1 << 64) - 1
    keys = Keys(random.getrandbits(64), random.getrandbits(64), cookie)
    for name, value in (("HeapKey", keys.heap), ("LfhKey", keys.lfh)):
        place = scene.layout.place(_GLOBALS, name)
        assert place is not None
        scene.image.put("RtlpHpHeapGlobals", value, offset=place.offset)
    return keys if scene.image.put("ExpPoolQuotaCookie", cookie) else replace(keys, cookie=0)


def _write_state(scene: Scene, heaps: list[HeapContents]) -> None:
    """nt!ExPoolState: the manager's pointer to the globals, the nodes with their heaps, the heaps of special pool."""
    layout, image = scene.layout, scene.image
    system = [heap for heap in heaps if heap.session is None]
    nodes, special = layout.place(_STATE, "PoolNode"), layout.place(_STATE, "SpecialHeaps")
    number, inside = layout.place(_STATE, "NumberOfPools"), layout.place(_NODE, "Heaps")
    assert nodes is not None
    assert special is not None
    assert number is not None
    assert inside is not None
    image.put("ExPoolState", image.address("RtlpHpHeapGlobals") or 0)
    image.put("ExPoolState", 1 + max((heap.node for heap in system), default=0), 4, offset=number.offset)
    for heap in system:
        at = nodes.offset + heap.node * layout.size(_NODE) + inside.offset
        if heap.special:
            at = special.offset
        image.put("ExPoolState", heap.address or 0, offset=at + 8 * heap.index)


def lookaside_at(scene: Scene, heap: HeapContents) -> int:
    """The dynamic lookaside lists of a heap, which lie in its node; 0 for a heap without any."""
    lists = scene.layout.place(_NODE, "Lookasides")
    nodes = scene.layout.place(_STATE, "PoolNode")
    state = scene.image.address("ExPoolState")
    if heap.special or heap.session is not None or heap.index not in (1, 2) or lists is None or nodes is None:
        return 0
    each = (lists.size or 0) // lists.count
    return (state or 0) + nodes.offset + heap.node * scene.layout.size(_NODE) + lists.offset + each * (heap.index - 1)


def _place(
    scene: Scene, heap: HeapContents, keys: Keys, base: int, address: int, payers: NDArray[np.uint64]
) -> PlacedHeap:
    layout = scene.layout
    blocks = heap.blocks.copy()
    blocks["address"] += np.uint64(base - heap.base)
    blocks["process"] = payers[blocks["process"].astype(np.int64)]
    truth = replace(heap, base=base, address=address, blocks=blocks)
    placed = PlacedHeap(truth)
    encoder = Encoder(layout, keys, heap.pool, base, payers)
    random = Random(f"links of {heap.base}/{scene.machine.seed}")
    record = layout.record(_HEAP)
    record.set("Signature", _SIGNATURE)
    _segments(scene, placed, encoder, record, random)
    _subsegments(scene, placed, encoder, record, random)
    large = _large(scene, placed, record, random)
    _lookasides(scene, placed, record)
    pieces = [(address, bytes(record)), *large]
    if heap.session is None:
        for at, data in pieces:
            scene.nonpaged.put(at, data)
    else:
        state = layout.record(_SESSION)
        state.pointer(0, scene.image.address("RtlpHpHeapGlobals") or 0)
        state.set("PagedHeap", address)
        at = scene.plan.session + SESSION_STATE_FROM
        for start, size in ((at, len(state.data)), (address, len(record.data))):
            placed.add(start, bytearray(-(-size // PAGE) * PAGE))
        placed.put(at, bytes(state))
        placed.put(address, bytes(record))
    _pages(placed)
    return placed


def _segments(scene: Scene, placed: PlacedHeap, encoder: Encoder, heap: Record, random: Random) -> None:
    layout, base, address = scene.layout, placed.truth.base, placed.truth.address or 0
    contexts = heap.at("SegContexts") or 0
    descriptor = layout.size("_HEAP_PAGE_RANGE_DESCRIPTOR")
    for index, shift in enumerate(UNIT_SHIFTS):
        at = address + contexts + index * layout.size(_CONTEXT)
        mine = [part for part in placed.truth.segments if part.context == index]
        record = layout.record(_CONTEXT)
        record.set("SegmentMask", -(256 << shift))
        record.set("UnitShift", shift)
        record.set("PagesPerUnitShift", shift - 12)
        record.set("FirstDescriptorIndex", max(0x2000 >> shift, 1))
        record.set("MaxAllocationSize", (256 - max(0x2000 >> shift, 1)) << shift)
        record.set("Heap", address)
        record.set("SegmentCount", len(mine))
        head = record.at("SegmentListHead") or 0
        links = scene.list_links(at + head, [base + part.at for part in mine])
        record.set("SegmentListHead", links[0])
        free: list[tuple[int, int]] = []
        for part, link in zip(mine, links[1:], strict=True):
            placed.add(base + part.at, encoder.segment(part, link, at))
            free += [(each.units, base + part.at + each.unit * descriptor) for each in part.ranges if not each.kind]
        _tree(scene, placed, record, "FreePageRanges", at, [node for _, node in sorted(free)], random)
        offset = contexts + index * layout.size(_CONTEXT)
        heap.data[offset : offset + len(record.data)] = record.data


def _subsegments(scene: Scene, placed: PlacedHeap, encoder: Encoder, heap: Record, random: Random) -> None:
    truth, base = placed.truth, placed.truth.base
    context = heap.at("VsContext") or 0
    record = scene.layout.record("_HEAP_VS_CONTEXT")
    head = (truth.address or 0) + context + (record.at("SubsegmentList") or 0)
    links = scene.list_links(head, [base + part.at for part in truth.vs])
    record.set("SubsegmentList", links[0])
    free: list[tuple[int, int]] = []
    for part, link in zip(truth.vs, links[1:], strict=True):
        placed.add(base + part.at, encoder.chunks(part, link))
        idle = np.flatnonzero(~part.used)
        nodes = [base + part.at + offset + 8 for offset in part.chunks[idle].tolist()]
        free += zip(part.sizes[idle].tolist(), nodes, strict=True)
    record.set("TotalCommittedUnits", sum((part.length - len(part.absent) * PAGE) // UNIT for part in truth.vs))
    record.set("FreeCommittedUnits", sum(size for size, _ in free) // UNIT)
    _tree(
        scene, placed, record, "FreeChunkTree", (truth.address or 0) + context, [at for _, at in sorted(free)], random
    )
    heap.data[context : context + len(record.data)] = record.data
    for lfh in truth.lfh:
        # The bucket's owner has the list: of these subsegments each is a list of its own
        alone = scene.word(base + lfh.at) * 2
        placed.add(base + lfh.at, encoder.equal_blocks(lfh, alone))


def _tree(
    scene: Scene, placed: PlacedHeap, record: Record, field_name: str, owner: int, nodes: list[int], random: Random
) -> None:
    at = owner + (record.at(field_name) or 0)
    links, root, least = tree(nodes, at=at, encoded=bool(random.getrandbits(1)))
    record.set(field_name, scene.word(root) + scene.word(least))
    for node, words in links.items():
        placed.put(node, b"".join(scene.word(word) for word in words))


def _large(scene: Scene, placed: PlacedHeap, heap: Record, random: Random) -> list[tuple[int, bytes]]:
    """The descriptions of large allocations, in a tree by address; they lie in nonpaged memory of the heap manager."""
    truth, layout = placed.truth, scene.layout
    size = layout.size("_HEAP_LARGE_ALLOC_DATA")
    nodes = {part.at: scene.nonpaged.reserve(size) for part in truth.large}
    at = (truth.address or 0) + (heap.at("LargeAllocMetadata") or 0)
    links, root, least = tree(list(nodes.values()), at=at, encoded=bool(random.getrandbits(1)))
    heap.set("LargeAllocMetadata", scene.word(root) + scene.word(least))
    heap.set("LargeReservedPages", sum(part.pages for part in truth.large))
    heap.set("LargeCommittedPages", sum(part.pages for part in truth.large))
    found = []
    for part in truth.large:
        record = layout.record("_HEAP_LARGE_ALLOC_DATA")
        record.set("TreeNode", b"".join(scene.word(word) for word in links[nodes[part.at]]))
        record.set("VirtualAddress", truth.base + part.at | part.unused & 0xFFFF)
        record.set("AllocatedPages", part.pages)
        found.append((nodes[part.at], bytes(record)))
    return found


def _lookasides(scene: Scene, placed: PlacedHeap, heap: Record) -> None:
    at = lookaside_at(scene, placed.truth)
    if not at:
        return
    layout, truth = scene.layout, placed.truth
    heap.set("UserContext", at)
    record = layout.record(_LISTS)
    place, each = layout.place(_LISTS, "Buckets"), layout.size(_LIST)
    assert place is not None
    record.set("BucketCount", place.count)
    record.set("ActiveBucketCount", len(truth.lookaside))
    record.set("EnabledBucketBitmap", sum(1 << number for number, _ in truth.lookaside))
    for number, waiting in truth.lookaside:
        entries = [truth.base + block + UNIT for block in waiting]
        one = layout.record(_LIST)
        one.set("Depth", max(4, len(entries)))
        one.set("MaximumDepth", 256)
        # Depth and sequence, then the first entry: its lowest bits say of what kind the head is
        one.set("ListHead", (len(entries) | 0x5A17 << 16).to_bytes(8, "little") + scene.word(entries[0] | 1))
        record.data[place.offset + number * each : place.offset + (number + 1) * each] = one.data
        for entry, following in zip(entries, [*entries[1:], 0], strict=True):
            placed.put(entry, scene.word(following))
    start = scene.image.address("ExPoolState") or 0
    scene.image.put("ExPoolState", bytes(record), offset=at - start)


def _pages(placed: PlacedHeap) -> None:
    """All pages with memory: those of heads and subsegments but for what was given back, and those of large blocks."""
    truth = placed.truth
    absent = {truth.base + part.at + offset for part in truth.vs for offset in part.absent}
    for start, data in placed.octets.items():
        view = memoryview(data)
        for offset in range(0, len(data), PAGE):
            if start + offset not in absent:
                placed.pages.append((start + offset, view[offset : offset + PAGE]))
    whole = [(part.at, part.pages) for part in truth.large]
    for segment in truth.segments:
        shift = UNIT_SHIFTS[segment.context]
        direct = [each for each in segment.ranges if each.kind == DIRECT]
        whole += [(segment.at + (each.unit << shift), each.units << shift - 12) for each in direct]
    for at, count in whole:
        placed.pages += [(truth.base + at + number * PAGE, None) for number in range(count)]


def write_heap(placed: PlacedHeap, space: AddressSpaceWriter, random: Random, held: Held = lambda _at: "valid") -> None:
    """Map the pages of a heap and write them. ``held`` says of each whether it is valid, transition or paged-out."""
    pages = sorted(placed.pages, key=lambda page: page[0])
    below = 1 << 40
    at = 0
    while at < len(pages):
        state, count = held(pages[at][0]), 1
        most = random.randint(1, _LONGEST_PIECE)
        while (
            count < most
            and at + count < len(pages)
            and pages[at + count][0] == pages[at][0] + count * PAGE
            and held(pages[at + count][0]) == state
        ):
            count += 1
        if state == "paged-out":
            space.map(pages[at][0], count, state="paged-out", page_file=(1, 0x100000 + at))
        else:
            taken = space.physical.take(count, below=below)
            space.map(pages[at][0], count, pages=taken, state="transition" if state == "transition" else "valid")
            for number in range(count):
                data = pages[at + number][1]
                if data is not None:
                    space.physical.write((taken + number) * PAGE, data)
        at += count


def write_session_heaps(
    placed: tuple[PlacedHeap, ...], spaces: Mapping[int, AddressSpaceWriter], processes: tuple[Process, ...]
) -> None:
    """Write the heaps of sessions into the space of their first process."""
    for heap in placed:
        if heap.truth.session is None:
            continue
        members = [process.pid for process in processes if process.session == heap.truth.session]
        if members:
            write_heap(heap, spaces[members[0]], Random(f"session heap {heap.truth.session}"))
