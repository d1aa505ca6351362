"""Writes a kernel into an address space, from the description of its structures: no code of the reader is used."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from poolsleuth.kernel.address_space import AddressSpace, Reader
from poolsleuth.kernel.crash_dump.content import DumpContent
from poolsleuth.kernel.crash_dump.header import DumpHeader, read_header

BASE = {8: 0xFFFFF80002A00000, 4: 0x804D7000}
HEAP = {8: 0xFFFFFA8001000000, 4: 0x85000000}
IMAGE_SIZE = 0x100000
GUID = "3844DBB920174967BE7AA4A2C20430FA"
GUID_BYTES = bytes.fromhex("B9DB443817206749BE7AA4A2C20430FA")
AGE = 2
# Where the variables lie in the image
PLACES = {
    "KdDebuggerDataBlock": 0x91070, "PsLoadedModuleList": 0xA0890, "PsActiveProcessHead": 0xA2590,
    "ExpSystemResourcesList": 0xA3000, "NtBuildLab": 0xA4000, "CmNtCSDVersion": 0xA4100, "NtBuildNumber": 0xA4110,
    "KiWaitNever": 0xA4120, "KiWaitAlways": 0xA4128, "KdpDataBlockEncoded": 0xA4130, "PoolTrackTable": 0xB5F80,
    "KiProcessorBlock": 0xA6000,
}  # fmt: skip
KDBG_SIZE = 0x368
KDBG_PLACES = {
    "PsLoadedModuleList": 0x48, "PsActiveProcessHead": 0x50, "ExpSystemResourcesList": 0x60, "PoolTrackTable": 0x1B8,
    "NtBuildLab": 0x208, "CmNtCSDVersion": 0x268, "KiProcessorBlock": 0x218,
}  # fmt: skip


class Memory(AddressSpace, Protocol):
    pages: dict[int, bytearray]

    def write(self, address: int, data: bytes) -> None: ...
    def put(self, address: int, *values: int, width: int | None = None) -> None: ...
    def lose(self, address: int) -> None: ...


def slot_of(tag: bytes, mask: int) -> int:
    """The hash as the fact sheet gives it: 40543 times the tag, the upper half folded onto the lower."""
    product = 40543 * int.from_bytes(tag, "little")
    return (product ^ product >> 32) & mask


@dataclass
class Machine:
    """A kernel in memory. Everything is written at once; tests then damage what they are about."""

    memory: Memory
    build: int = 7601
    lab: bytes = b"7601.17514.amd64fre.win7sp1_rtm.101119-1850"
    processors: int = 4
    rows: int = 1024
    tags: tuple[bytes, ...] = field(default=())
    next_free: int = 0

    def __post_init__(self) -> None:
        self.pointer = self.memory.pointer_size
        self.base = BASE[self.pointer]
        self.next_free = HEAP[self.pointer]
        self.tags = self.tags or (*tuple(b"T%03d" % number for number in range(300)), b"Ntfs", b"Thre", b"Even")
        self.write_image()
        self.write_lists()
        self.write_version()
        self.write_kdbg()

    def at(self, name: str) -> int:
        return self.base + PLACES[name]

    def allocate(self, size: int) -> int:
        address = self.next_free
        self.next_free += -(-size // 0x1000) * 0x1000 + 0x1000
        self.memory.write(address, bytes(size))
        return address

    def write_image(self) -> None:
        wide = self.pointer == 8
        top = bytearray(0x1000)
        top[:2] = b"MZ"
        struct.pack_into("<I", top, 0x3C, 0x100)
        optional = 0xF0 if wide else 0xE0
        struct.pack_into(
            "<4sHHIIIHH", top, 0x100, b"PE\0\0", 0x8664 if wide else 0x14C, 2, 0x4CE7951A, 0, 0, optional, 0
        )
        struct.pack_into("<H", top, 0x118, 0x20B if wide else 0x10B)
        struct.pack_into("<III", top, 0x118 + 0x38, IMAGE_SIZE, 0x400, 0x55CE28)
        directories = 0x118 + (0x6C if wide else 0x5C)
        struct.pack_into("<I", top, directories, 16)
        struct.pack_into("<II", top, directories + 4 + 8 * 6, 0x2000, 28)
        for number, (name, rva, size) in enumerate(((b".text", 0x1000, 0x80000), (b".data", 0x81000, 0x7F000))):
            struct.pack_into("<8sII", top, 0x118 + optional + 40 * number, name, size, rva)
        self.memory.write(self.base, bytes(IMAGE_SIZE))
        self.memory.write(self.base, bytes(top))
        record = b"RSDS" + GUID_BYTES + struct.pack("<I", AGE) + b"ntkrnlmp.pdb\0"
        self.memory.write(self.base + 0x2000, struct.pack("<IIHHIIII", 0, 0, 0, 0, 2, len(record), 0x2100, 0))
        self.memory.write(self.base + 0x2100, record)

    def link(self, head: int, entries: list[int]) -> None:
        ring = [head, *entries, head]
        for before, here, after in zip(ring[-2:-1] + ring, ring, ring[1:], strict=False):
            self.memory.put(here, after, before)

    def write_lists(self) -> None:
        modules = [self.allocate(0x100) for _ in range(3)]
        wide = self.pointer == 8
        for number, entry in enumerate(modules):
            self.memory.put(entry + (0x30 if wide else 0x18), self.base + number * IMAGE_SIZE)
            self.memory.put(entry + (0x40 if wide else 0x20), IMAGE_SIZE, width=4)
        self.link(self.at("PsLoadedModuleList"), modules)
        # Processes as 7601 has them: number, links, name
        number_at, links_at, name_at = (0x180, 0x188, 0x2E0) if wide else (0xB4, 0xB8, 0x16C)
        processes = [self.allocate(0x800) for _ in range(3)]
        for process, number, name in zip(processes, (4, 300, 412), (b"System", b"smss.exe", b"csrss.exe"), strict=True):
            self.memory.put(process + number_at, number)
            self.memory.write(process + name_at, name)
            self.memory.write(process, b"\x03")
            self.memory.put(process + (0x28 if wide else 0x18), 0x187002 if wide else 0x187020)
        self.link(self.at("PsActiveProcessHead"), [process + links_at for process in processes])
        self.link(self.at("ExpSystemResourcesList"), [])
        self.memory.put(self.at("KiProcessorBlock"), *(HEAP[self.pointer] + 0x100 * i for i in range(self.processors)))

    def write_version(self) -> None:
        self.memory.write(self.at("NtBuildLab"), self.lab + b"\0")
        self.memory.put(self.at("CmNtCSDVersion"), 0x100, width=4)
        self.memory.put(self.at("NtBuildNumber"), 0xF0000000 | self.build, width=4)

    def kdbg(self, **values: int) -> bytes:
        raw = bytearray(KDBG_SIZE)
        raw[0x10:0x14] = b"KDBG"
        struct.pack_into("<I", raw, 0x14, KDBG_SIZE)
        extend = 0 if self.pointer == 8 else 0xFFFFFFFF_00000000
        struct.pack_into("<Q", raw, 0x18, values.pop("KernBase", self.base) | extend)
        for name, place in KDBG_PLACES.items():
            struct.pack_into("<Q", raw, place, values.pop(name, self.at(name)) | extend)
        return bytes(raw)

    def write_kdbg(self, **values: int) -> None:
        self.memory.write(self.at("KdDebuggerDataBlock"), self.kdbg(**values))

    def table_of(self, row: int, *, tags: tuple[bytes, ...] | None = None) -> bytes:
        """A table of ``rows`` rows and one for what overflows: each tag at its slot or the next free one."""
        table = bytearray((self.rows + 1) * row)
        for tag in self.tags if tags is None else tags:
            slot = slot_of(tag, self.rows - 1)
            while any(table[slot * row : slot * row + 4]):
                slot = (slot + 1) % self.rows
            table[slot * row : slot * row + 4] = tag
            table[slot * row + 4 : slot * row + 8] = (9).to_bytes(4, "little")
        return bytes(table)

    def write_tag_tables(self, row: int, *, size_distance: int = 8, array_distance: int | None = -24) -> int:
        """Each processor has a table; the first is PoolTrackTable. Distances are those before that variable."""
        data = self.table_of(row)
        tables = []
        for _ in range(self.processors if array_distance is not None else 1):
            tables.append(self.allocate(len(data)))
            self.memory.write(tables[-1], data)
        variable = self.at("PoolTrackTable")
        self.memory.put(variable, tables[0])
        self.memory.put(variable - size_distance, self.rows + 1)
        if array_distance is not None:
            self.memory.put(variable - array_distance, *tables)
        return tables[0]

    def write_big_pages(self, row: int, *, distances: tuple[int, int] = (40, 48), rows: int = 4096) -> int:
        table = bytearray(rows * row)
        # Server 2003 counts pages, in another place than what counts bytes has later
        size_at = {0xC: 8, 0x10: 8 if self.build == 3790 else 0xC, 0x18: 0x10, 0x20: 0x10}[row]
        for number in range(0, rows, 7):
            at = number * row
            address = HEAP[self.pointer] + 0x10000000 + number * 0x3000 + (number % 35 == 0)
            table[at : at + self.pointer] = address.to_bytes(self.pointer, "little")
            table[at + self.pointer : at + self.pointer + 4] = b"Big%d" % (number % 10)
            table[at + size_at : at + size_at + 4] = (0x3000).to_bytes(4, "little")
        address = self.allocate(len(table))
        self.memory.write(address, bytes(table))
        self.memory.put(self.at("PoolTrackTable") - distances[0], address)
        self.memory.put(self.at("PoolTrackTable") - distances[1], rows)
        return address

    @property
    def reader(self) -> Reader:
        return Reader(self.memory)


Kernels = Callable[..., Machine]
Headers = Callable[..., DumpHeader]


@pytest.fixture
def machine(fake_memory: Callable[[int], Memory]) -> Kernels:
    def make(pointer: int = 8, **values: object) -> Machine:
        return Machine(fake_memory(pointer), **values)  # type: ignore[arg-type]

    return make


@pytest.fixture
def header_of(dump_header: Callable[..., bytearray]) -> Headers:
    """The header of a dump of a machine; ``values`` replace pointers by their names."""

    def make(kernel: Machine, **values: int) -> DumpHeader:
        wide = kernel.pointer == 8
        raw = dump_header(wide, 1, build=kernel.build, processors=kernel.processors, runs=[(1, 1)])
        places = (0x20, 0x28, 0x80) if wide else (0x18, 0x1C, 0x60)
        names = ("PsLoadedModuleList", "PsActiveProcessHead", "KdDebuggerDataBlock")
        for at, name in zip(places, names, strict=True):
            struct.pack_into("<Q" if wide else "<I", raw, at, values.get(name, kernel.at(name)))
        return read_header(DumpContent(bytes(raw)), [])

    return make
