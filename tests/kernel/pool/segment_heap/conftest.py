"""A writer of small segment heaps: every header put down byte by byte, at offsets and with encodings as documented.

It shares nothing with the reader but the idea of a block: address, size, tag, pool, state and kind.
"""

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import pytest

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.bundled_tables import bundled_for_build, bundled_table
from poolsleuth.windows.kernel_table import KernelTable

BASE = 0xFFFFF80012000000
HEAPS_AT = 0xFFFFA80000000000
SEGMENTS_AT = 0xFFFFB40000000000
NODES_AT = 0xFFFFA90000000000
BIG_AT = 0xFFFFAA0000000000
GLOBALS_AT = 0xFFFFAB0000000000
CONSTANT = 0xA2E64EADA2E64EAD
PAGE = 4096

Block = tuple[int, int, str, int, int, int]
"""Address, size, tag (empty: none), pool, state (0 in use, 1 free), kind (1 LFH, 2 VS, 3 segment, 4 large, 5 big)."""


class Memory(Protocol):
    """What the writer writes to: the dictionary of pages that all tests of this folder use."""

    pointer_size: int

    def write(self, address: int, data: bytes) -> None: ...

    def put(self, address: int, *values: int, width: int | None = None) -> None: ...

    def lose(self, address: int, absence: Absence = Absence.NOT_IN_DUMP) -> None: ...

    def read(self, address: int, size: int) -> bytes | Absence: ...

    def gather(self, pages: Any) -> Any: ...


@dataclass(frozen=True)
class Build:
    """Offsets of one build: NumberOfPools and special heaps of ExPoolState, SegContexts of a heap, big-page rows."""

    number: int
    pools: int
    specials: int
    contexts: int
    big_row: int


BUILDS = {
    17763: Build(17763, 0x30C8, 3, 0x100, 0x18),
    18362: Build(18362, 0x38D0, 3, 0x100, 0x18),
    19041: Build(19041, 0x38D0, 4, 0x100, 0x18),
    20348: Build(20348, 0x38E0, 4, 0x140, 0x20),
    22000: Build(22000, 0x38E0, 4, 0x140, 0x20),
}


@cache
def table_of(build: int) -> KernelTable:
    table = bundled_table(bundled_for_build(build)[0].pdb)
    assert table is not None
    return table


def tag_number(tag: str) -> int:
    return int.from_bytes(tag.encode().ljust(4, b"\0"), "little")


@dataclass
class Machine:
    """A kernel with heaps in the making. ``finish`` writes what ties them together."""

    memory: Memory
    build: Build
    random: random.Random
    nodes: int = 1
    heap_key: int = 0
    lfh_key: int = 0
    heaps: list["Heap"] = field(default_factory=list)
    big: list[tuple[int, int, int, int]] = field(default_factory=list)
    truth: list[Block] = field(default_factory=list)
    next_segment: int = SEGMENTS_AT
    table: KernelTable | None = None
    base: int = BASE

    def __post_init__(self) -> None:
        self.heap_key, self.lfh_key = self.random.getrandbits(64), self.random.getrandbits(64)
        self.table = table_of(self.build.number)

    def symbol(self, name: str) -> int:
        assert self.table is not None
        return self.base + self.table.symbols[name]

    def heap(self, index: int, node: int = 0, *, special: bool = False) -> "Heap":
        found = Heap(self, HEAPS_AT + 0x10000 * len(self.heaps), (0, 1, 2, 2)[index], index, node, special)
        self.heaps.append(found)
        return found

    def big_entry(self, address: int, tag: str, size: int, *, paged: bool = False) -> None:
        self.big.append((address, tag_number(tag), size, int(paged)))

    def finish(self) -> Kernel:
        state, nodes = self.symbol("ExPoolState"), 0x3100 if self.build.number == 17763 else 0x3900
        self.memory.put(state, GLOBALS_AT)
        self.memory.put(GLOBALS_AT, self.heap_key, self.lfh_key)
        self.memory.put(state + self.build.pools, self.nodes, width=4)
        for node in range(self.nodes):
            self.memory.put(state + nodes + node * 0x20C0, 0, 0, 0, 0)
        self.memory.put(state + nodes + 64 * 0x20C0, *[0] * self.build.specials)
        for heap in self.heaps:
            at = state + nodes + (64 if heap.special else heap.node) * 0x20C0 + heap.index * 8
            self.memory.put(at, heap.address)
            heap.finish()
        rows = 16
        while rows < len(self.big) + 4:
            rows *= 2
        self.memory.put(self.symbol("PoolBigPageTable"), BIG_AT)
        self.memory.put(self.symbol("PoolBigPageTableSize"), rows)
        self.memory.write(BIG_AT, bytes(rows * self.build.big_row))
        for at, (address, key, size, kind) in zip(
            self.random.sample(range(rows), len(self.big)), self.big, strict=True
        ):
            self.memory.write(BIG_AT + at * self.build.big_row, struct.pack("<QIIQ", address, key, kind << 8, size))
        return Kernel(
            memory=Reader(self.memory),
            build=self.build.number,
            architecture="x64",
            pae=None,
            base=self.base,
            size=0x1100000,
            pdb=None,
            processors=2,
            table=self.table,
        )

    def expected(self) -> list[Block]:
        return sorted(self.truth)


@dataclass
class Heap:
    machine: Machine
    address: int
    pool: int
    index: int
    node: int
    special: bool
    segments: tuple[list["Segment"], list["Segment"]] = field(default_factory=lambda: ([], []))
    larges: list[tuple[int, int]] = field(default_factory=list)
    signature: int = 0xDDEEDDEE
    encoded: bool = False

    def context(self, which: int) -> int:
        return self.address + self.machine.build.contexts + 0xC0 * which

    def segment(self, which: int = 0) -> "Segment":
        shift = (12, 16)[which]
        size = 256 << shift
        at = -(-self.machine.next_segment // size) * size
        self.machine.next_segment = at + size
        found = Segment(self, at, which, shift, 2 if which == 0 else 1)
        self.segments[which].append(found)
        return found

    def large(self, pages: int, tag: str) -> None:
        address = 0xFFFFC00000000000 + (len(self.larges) + 1) * 0x40000000 + self.address % 0x1000000 * 0x1000000
        self.larges.append((address, pages))
        self.machine.big_entry(address, tag, pages * PAGE, paged=self.pool == 2)
        self.machine.truth.append((address, pages * PAGE, tag, self.pool, 0, 4))

    def finish(self) -> None:
        memory = self.machine.memory
        memory.write(self.address, bytes(0x840))
        memory.put(self.address + 0x10, self.signature, width=4)
        for which, segments in enumerate(self.segments):
            context = self.context(which)
            head = context + 0x48
            memory.put(context, -(256 << (12, 16)[which]))
            memory.put(context + 8, (12, 16)[which], (0, 4)[which], (2, 1)[which], width=1)
            memory.put(context + 0x58, len(segments))
            ring = [head, *(segment.address for segment in segments), head]
            for i, segment in enumerate(segments, 1):
                memory.write(segment.address, bytes(0x2000))
                memory.put(segment.address, ring[i + 1], ring[i - 1])
                memory.put(segment.address + 0x10, segment.address ^ context ^ self.machine.heap_key ^ CONSTANT)
                segment.finish()
            memory.put(head, ring[1], ring[-2])
        self._tree()

    def _tree(self) -> None:
        """A tree in the form of a heap (children of i are 2i+1 and 2i+2): any tree must do."""
        memory = self.machine.memory
        tree = self.address + 0x48
        nodes = [NODES_AT + self.address % 0x1000000 + i * 0x30 for i in range(len(self.larges))]

        def link(holder: int, i: int) -> int:
            if i >= len(nodes):
                return 0
            return nodes[i] ^ holder if self.encoded else nodes[i]

        for i, (node, (address, pages)) in enumerate(zip(nodes, self.larges, strict=True)):
            memory.put(node, link(node, 2 * i + 1), link(node, 2 * i + 2), 0, address | 0x123, pages << 12 | 0x0A4)
        memory.put(tree, link(tree, 0), (nodes[-1] if nodes else 0) | int(self.encoded))


@dataclass
class Segment:
    heap: Heap
    address: int
    which: int
    shift: int
    unit: int
    descriptors: dict[int, tuple[int, int]] = field(default_factory=dict)

    def room(self) -> int:
        return 256 - self.unit

    def take(self, flags: int, units: int) -> int:
        assert units <= self.room()
        self.descriptors[self.unit] = (flags, units)
        at = self.address + (self.unit << self.shift)
        self.unit += units
        return at

    def skip(self, units: int) -> None:
        self.take(2, units)

    def direct(self, units: int, tag: str) -> None:
        at = self.take(3, units)
        self.heap.machine.big_entry(at, tag, (units << self.shift) - 100, paged=self.heap.pool == 2)
        self.heap.machine.truth.append((at, units << self.shift, tag, self.heap.pool, 0, 3))

    def lfh(self, units: int, block: int, tags: list[str], busy: list[bool]) -> int:
        """A subsegment of equal blocks, as many as fit; tags and states repeat."""
        machine = self.heap.machine
        at = self.take(0xB, units)
        length = units << self.shift
        count = (length - 0x38) // block
        while (first := -(-(0x38 + -(-2 * count // 64) * 8) // 16) * 16) + count * block > length:
            count -= 1
        octets = bytearray(length)
        struct.pack_into("<HH", octets, 0x20, 0, count)
        offsets = block | first << 16
        struct.pack_into("<I", octets, 0x28, (offsets ^ machine.lfh_key ^ (at & 0xFFFFFFFF) >> 12) & 0xFFFFFFFF)
        for i in range(count):
            place = first + i * block
            crossing = block < PAGE and place % PAGE + block > PAGE
            used = busy[i % len(busy)] or crossing
            tag = tags[i % len(tags)]
            bits = used | machine.random.getrandbits(1) << 1
            octets[0x30 + i // 4] |= bits << 2 * (i % 4)
            if crossing:
                continue
            if block <= 0xFE0:
                struct.pack_into("<BBBB", octets, place, 0, machine.random.getrandbits(8), block // 16, 2)
                octets[place + 4 : place + 8] = tag_number(tag).to_bytes(4, "little")
            elif used:
                tag = ""
            machine.truth.append((at + place, block, tag if block <= 0xFE0 else "", self.heap.pool, int(not used), 1))
        machine.memory.write(at, bytes(octets))
        return at

    def vs(self, units: int, chunks: list[tuple[int, str | None]], *, slack: int = 0) -> int:
        """Chunks of so many units of 16 bytes with a tag (None: free); the last one is cut to fill the subsegment."""
        machine = self.heap.machine
        at = self.take(0xF, units)
        length = units << self.shift
        end = length - slack * 16
        octets = bytearray(machine.random.randbytes(length) if slack else bytes(length))
        declared = (end - (0x30 if machine.random.getrandbits(1) or slack else 0)) // 16
        struct.pack_into(
            "<HH", octets, 0x20, declared, (declared ^ 0x2BED) & 0x7FFF | machine.random.getrandbits(1) << 15
        )
        place, before, i = 0x30, 0, 0
        while place < end:
            size, tag = chunks[i % len(chunks)]
            i += 1
            if place + (size + 2) * 16 > end:
                size = (end - place) // 16
            self._chunk(octets, at, place, size, before, tag)
            place, before = place + size * 16, size
        machine.memory.write(at, bytes(octets))
        return at

    def _chunk(self, octets: bytearray, at: int, place: int, size: int, before: int, tag: str | None) -> None:
        machine, pool = self.heap.machine, self.heap.pool
        sizes = 0x77 | size << 16 | before << 32 | int(tag is not None) << 48
        struct.pack_into("<Q", octets, place, sizes ^ machine.heap_key ^ (at + place))
        end = place + size * 16
        if tag is None:
            machine.truth.append((at + place, size * 16, "", pool, 1, 2))
            return
        begin, length = place + 16, size * 16 - 16
        next_page = (begin + PAGE - 1) // PAGE * PAGE
        if length >= 0xFF0:
            begin = next_page
            machine.big_entry(at + begin, tag, end - begin, paged=pool == 2)
        else:
            if begin % PAGE + length > PAGE and next_page < end:
                begin = next_page
            struct.pack_into("<BBBBI", octets, begin, 0, 0, min((end - begin) // 16, 255), 2, tag_number(tag))
        machine.truth.append((at + begin, end - begin, tag, pool, 0, 2))

    def finish(self) -> None:
        memory = self.heap.machine.memory
        for unit, (flags, units) in self.descriptors.items():
            memory.put(self.address + unit * 0x20 + 0x18, flags, 1, width=1)
            memory.put(self.address + unit * 0x20 + 0x1F, units, width=1)
        if self.unit < 256 and self.unit not in self.descriptors:
            memory.put(self.address + self.unit * 0x20 + 0x1F, (256 - self.unit) % 256, width=1)


class MappedMemory:
    """A simulated machine's memory, of which pages are mapped as they are written to."""

    pointer_size = 8

    def __init__(self, system: Any) -> None:
        self.system = system
        self.mapped: set[int] = set()

    def write(self, address: int, data: bytes) -> None:
        for page in range(address // PAGE, (address + len(data) - 1) // PAGE + 1):
            if page not in self.mapped:
                self.system.map(page * PAGE, 1)
                self.mapped.add(page)
        self.system.write(address, data)

    def put(self, address: int, *values: int, width: int | None = None) -> None:
        width = width or 8
        self.write(address, b"".join((value & (1 << 8 * width) - 1).to_bytes(width, "little") for value in values))

    def lose(self, address: int, absence: Absence = Absence.NOT_IN_DUMP) -> None:
        raise NotImplementedError

    def read(self, address: int, size: int) -> bytes | Absence:
        raise NotImplementedError

    def gather(self, pages: Any) -> Any:
        raise NotImplementedError


MakeMachine = Callable[..., Machine]


@pytest.fixture
def make_machine(fake_memory: Callable[[int], Memory]) -> MakeMachine:
    def make(build: int = 19041, seed: int = 1, nodes: int = 1) -> Machine:
        return Machine(fake_memory(8), BUILDS[build], random.Random(seed), nodes)

    return make


def fill(machine: Machine) -> Machine:
    """Heaps of all pools with ranges of every kind, sizes and states at random."""
    dice = machine.random
    tags = [f"{letter}{dice.randrange(10)}ag" for letter in "TPQ"] + ["Leak"]
    for node in range(machine.nodes):
        for index in range(4):
            heap = machine.heap(index, node)
            heap.encoded = bool(dice.getrandbits(1))
            for _ in range(2):
                segment = heap.segment()
                segment.lfh(4, 16 * dice.randrange(2, 12), dice.sample(tags, 3), [True, False, True, True])
                segment.skip(dice.randrange(1, 9))
                segment.vs(8, [(dice.randrange(2, 90), dice.choice([*tags, None])) for _ in range(40)])
                segment.vs(16, [(256 + dice.randrange(300), dice.choice(tags)), (20, None), (9, "Smal")])
                segment.lfh(8, 0x1400, ["none"], [True, False])
                segment.vs(4, [(12, "Slck"), (3, None)], slack=40)
                segment.direct(dice.randrange(1, 60), dice.choice(tags))
            heap.segment(1).direct(dice.randrange(1, 200), "Huge")
            for i in range(dice.randrange(4)):
                heap.large(2000 + i, dice.choice(tags))
    machine.heap(2, special=True).segment().lfh(4, 64, ["Spec"], [True])
    machine.big_entry(0xFFFFD00000000000, "Cont", 0x5000)
    machine.truth.append((0xFFFFD00000000000, 0x5000, "Cont", 0, 0, 5))
    return machine


@pytest.fixture
def filled(make_machine: MakeMachine) -> MakeMachine:
    def make(build: int = 19041, seed: int = 1, nodes: int = 1) -> Machine:
        return fill(make_machine(build, seed, nodes))

    return make


def rows_of(blocks: Any) -> list[Block]:
    out = []
    for row in blocks.tolist():
        address, size, key, pool, state, kind, _protected = row
        out.append((address, size, key.to_bytes(4, "little").rstrip(b"\0").decode("latin-1"), pool, state, kind))
    return out


@pytest.fixture
def rows() -> Callable[[Any], list[Block]]:
    return rows_of


@pytest.fixture
def fill_system() -> Callable[..., Machine]:
    """Heaps in the memory of a simulated machine, beside the kernel variables that tie them together."""

    def make(system: Any, build: int = 19041, seed: int = 1) -> Machine:
        return fill(Machine(MappedMemory(system), BUILDS[build], random.Random(seed)))

    return make
