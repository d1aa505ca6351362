"""Images are written from the PE/COFF specification: nothing here is shared with the reader or the lab."""

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from poolsleuth.kernel import imports
from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.imports import ImportSearch, routine_addresses, search_imports
from poolsleuth.kernel.modules import LoadedModule
from poolsleuth.kernel.target import Kernel

NT = {4: 0x80800000, 8: 0xFFFFF80002A00000}
DRIVERS = {4: 0xF7000000, 8: 0xFFFFF88003000000}
ALLOCATE, FREE, CONTIGUOUS = "ExAllocatePool", "ExFreePool", "MmAllocateContiguousMemory"
NAMES = (ALLOCATE, CONTIGUOUS)
Memories = Callable[[int], Any]

widths = pytest.mark.parametrize("width", [4, 8])


def address_of(width: int, name: str) -> int:
    return NT[width] + {ALLOCATE: 0x94D1F, FREE: 0x9B708, CONTIGUOUS: 0x61230}[name]


def module(base: int, size: int = 0x8000, name: str | None = "old.sys") -> LoadedModule:
    return LoadedModule(0x1000, base, size, name, None, None, None, None, None)


def kernel(memory: Any, known: bool = True) -> Kernel:
    width = memory.pointer_size
    return Kernel(
        memory=Reader(memory),
        build=7601,
        architecture="x64" if width == 8 else "x86",
        pae=None,
        base=NT[width],
        size=0x200000,
        pdb=None,
        processors=None,
        table=None,
        addresses={name: address_of(width, name) for name in NAMES} if known else {},
    )


@dataclass
class Image:
    """Headers, an import directory at 0x3000 with its names, the table of addresses at 0x2000."""

    width: int
    base: int
    routines: tuple[str, ...] = (FREE, ALLOCATE)
    size: int = 0x8000
    iat: bool = True
    directory: bool = True
    values: dict[str, int] = field(default_factory=dict)

    def write(self, memory: Any) -> None:
        wide = self.width == 8
        directories = [(0, 0)] * 16
        if self.directory:
            directories[1] = (0x3000, 40)
        if self.iat:
            directories[12] = (0x2000, (len(self.routines) + 1) * self.width)
        top = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x80)
        coff = struct.pack("<HHIIIHH", 0x8664 if wide else 0x14C, 0, 0x4A000000, 0, 0, 0xF0 if wide else 0xE0, 2)
        optional = bytearray(0x70 if wide else 0x60)
        struct.pack_into("<H", optional, 0, 0x20B if wide else 0x10B)
        struct.pack_into("<II", optional, 0x38, self.size, 0x400)
        struct.pack_into("<I", optional, len(optional) - 4, 16)
        tables = b"".join(struct.pack("<II", *each) for each in directories)
        memory.write(self.base, top.ljust(0x80, b"\0") + b"PE\0\0" + coff + bytes(optional) + tables)
        memory.write(self.base + 0x3000, struct.pack("<IIIII", 0x3100, 0, 0, 0x3800, 0x2000) + bytes(20))
        memory.write(self.base + 0x3800, b"ntoskrnl.exe\0")
        for number, name in enumerate(self.routines):
            at = 0x3400 + 0x40 * number
            memory.write(self.base + at, b"\0\0" + name.encode() + b"\0")
            memory.put(self.base + 0x3100 + number * self.width, at)
            value = self.values.get(name, address_of(self.width, name))
            memory.put(self.base + 0x2000 + number * self.width, value)
        memory.put(self.base + 0x3100 + len(self.routines) * self.width, 0)
        for page in range(self.base, self.base + self.size, PAGE):
            if page // PAGE not in memory.absent:
                memory.write(page, memory.pages.get(page // PAGE, b"\0")[:1])  # all its pages are there


def found(search: ImportSearch) -> list[tuple[str | None, int, str, bool | None]]:
    return [(slot.module.name, slot.slot - slot.module.base, slot.routine, slot.in_table) for slot in search.slots]


def unseen(search: ImportSearch) -> list[str | None]:
    return [each.name for each in search.unseen]


@widths
def test_an_import_and_a_pointer_elsewhere(fake_memory: Memories, width: int) -> None:
    memory = fake_memory(width)
    base = DRIVERS[width]
    Image(width, base).write(memory)
    Image(width, base + 0x10000, routines=(FREE,)).write(memory)
    memory.put(base + 0x10000 + 0x6008, address_of(width, CONTIGUOUS))
    memory.put(base + 0x6006, address_of(width, ALLOCATE))  # not aligned: no pointer
    search = search_imports(kernel(memory), [module(base), module(base + 0x10000, name="own.sys")], NAMES)
    assert found(search) == [
        ("old.sys", 0x2000 + width, ALLOCATE, True),
        ("own.sys", 0x6008, CONTIGUOUS, False),
    ]
    assert search.slots[0].value == address_of(width, ALLOCATE)
    assert (search.modules, unseen(search), search.unread_bytes, search.unread_modules) == (2, [], 0, 0)


@widths
def test_the_kernel_itself_imports_nothing(fake_memory: Memories, width: int) -> None:
    memory = fake_memory(width)
    Image(width, NT[width]).write(memory)
    search = search_imports(kernel(memory), [module(NT[width], name="ntoskrnl.exe")], NAMES)
    assert (search.slots, search.modules, search.unseen) == ((), 0, ())


@widths
def test_what_lies_behind_the_end_is_another_modules(fake_memory: Memories, width: int) -> None:
    memory = fake_memory(width)
    base = DRIVERS[width]
    memory.put(base + 0x1000, *[address_of(width, ALLOCATE)] * 4)
    search = search_imports(kernel(memory), [module(base, size=0x1000 + 2 * width)], NAMES)
    assert [at for _, at, _, _ in found(search)] == [0x1000, 0x1000 + width]


@widths
def test_without_a_table_of_addresses_the_libraries_tell(fake_memory: Memories, width: int) -> None:
    memory = fake_memory(width)
    Image(width, DRIVERS[width], iat=False).write(memory)
    assert found(search_imports(kernel(memory), [module(DRIVERS[width])], NAMES)) == [
        ("old.sys", 0x2000 + width, ALLOCATE, True)
    ]


@widths
def test_a_directory_that_was_thrown_away(fake_memory: Memories, width: int) -> None:
    """As drivers do that keep it in INIT: the table of addresses stays, if the header says where it is."""
    memory = fake_memory(width)
    for number, iat in enumerate((True, False)):
        base = DRIVERS[width] + 0x10000 * number
        memory.lose(base + 0x3000, Absence.NOT_MAPPED)
        Image(width, base, iat=iat).write(memory)
        memory.lose(base + 0x3000, Absence.NOT_MAPPED)
    modules = [module(DRIVERS[width], name="kept.sys"), module(DRIVERS[width] + 0x10000, name="gone.sys")]
    search = search_imports(kernel(memory), modules, NAMES)
    assert found(search) == [
        ("kept.sys", 0x2000 + width, ALLOCATE, True),
        ("gone.sys", 0x2000 + width, ALLOCATE, None),
    ]
    assert unseen(search) == ["gone.sys"]
    assert (search.unread_bytes, search.unread_modules) == (2 * PAGE, 2)


@widths
def test_a_module_that_is_not_seen_may_import_anything(fake_memory: Memories, width: int) -> None:
    memory = fake_memory(width)
    names = ["header.sys", "table.sys", "code.sys", "nothing.sys"]
    modules = [module(DRIVERS[width] + 0x10000 * n, name=name) for n, name in enumerate(names)]
    for each in modules[:3]:
        Image(width, each.base).write(memory)
    memory.lose(modules[0].base)
    memory.lose(modules[1].base + 0x2000)
    memory.lose(modules[2].base + 0x5000)
    search = search_imports(kernel(memory), modules, NAMES)
    assert unseen(search) == ["header.sys", "table.sys", "nothing.sys"]
    # Where the header is missing nobody knows whether the place is in an import table; where the table itself is
    # missing its name is still there, but not what it leads to
    assert found(search) == [
        ("header.sys", 0x2000 + width, ALLOCATE, None),
        ("code.sys", 0x2000 + width, ALLOCATE, True),
    ]
    assert (search.unread_bytes, search.unread_modules) == (3 * PAGE + 0x8000, 4)


@widths
def test_a_libraries_table_that_runs_into_a_missing_page(fake_memory: Memories, width: int) -> None:
    memory = fake_memory(width)
    base = DRIVERS[width]
    Image(width, base, iat=False).write(memory)
    memory.write(base + 0x3010, struct.pack("<I", 0x5000 - 2 * width))
    memory.put(base + 0x5000 - 2 * width, NT[width] + 1, NT[width] + 2)
    memory.lose(base + 0x6000)
    assert unseen(search_imports(kernel(memory), [module(base)], NAMES)) == []
    memory.lose(base + 0x5000)
    assert unseen(search_imports(kernel(memory), [module(base)], NAMES)) == ["old.sys"]


@widths
def test_an_image_without_imports_is_seen(fake_memory: Memories, width: int) -> None:
    memory = fake_memory(width)
    Image(width, DRIVERS[width], iat=False, directory=False, routines=()).write(memory)
    memory.lose(DRIVERS[width] + 0x5000)
    search = search_imports(kernel(memory), [module(DRIVERS[width])], NAMES)
    assert (unseen(search), search.unread_bytes) == ([], PAGE)


@widths
def test_an_import_that_was_replaced_is_found_by_its_name(fake_memory: Memories, width: int) -> None:
    """Driver Verifier puts its own routines into the tables."""
    memory = fake_memory(width)
    Image(width, DRIVERS[width], values={ALLOCATE: NT[width] + 0x180000}).write(memory)
    search = search_imports(kernel(memory), [module(DRIVERS[width])], NAMES)
    assert found(search) == [("old.sys", 0x2000 + width, ALLOCATE, True)]
    assert search.slots[0].value == NT[width] + 0x180000


@widths
@pytest.mark.parametrize("bound", [True, False])
def test_imports_that_are_bound_when_first_called(fake_memory: Memories, width: int, bound: bool) -> None:
    memory = fake_memory(width)
    base = DRIVERS[width]
    Image(width, base, routines=(FREE,)).write(memory)
    directory = base + 0x80 + 0x18 + (0x70 if width == 8 else 0x60) + 13 * 8
    memory.write(directory, struct.pack("<II", 0x4000, 64))
    memory.write(base + 0x4000, struct.pack("<8I", 1, 0x3800, 0, 0x6000, 0x4100, 0, 0, 0))
    memory.put(base + 0x4100, 0x4200, 0)
    memory.write(base + 0x4202, CONTIGUOUS.encode() + b"\0")
    memory.put(base + 0x6000, address_of(width, CONTIGUOUS) if bound else base + 0x1234)
    search = search_imports(kernel(memory), [module(base)], NAMES)
    assert found(search) == [("old.sys", 0x6000, CONTIGUOUS, True)]
    memory.lose(base + 0x6000)
    assert unseen(search_imports(kernel(memory), [module(base)], NAMES)) == ["old.sys"]


@widths
def test_names_are_searched_where_no_address_is_known(fake_memory: Memories, width: int) -> None:
    memory = fake_memory(width)
    Image(width, DRIVERS[width]).write(memory)
    search = search_imports(kernel(memory, known=False), [module(DRIVERS[width])], NAMES)
    assert dict(search.addresses) == {}
    assert found(search) == [("old.sys", 0x2000 + width, ALLOCATE, True)]


@widths
def test_addresses_come_from_the_exports_too(fake_memory: Memories, width: int) -> None:
    memory = fake_memory(width)
    base = NT[width]
    Image(width, base).write(memory)
    assert routine_addresses(kernel(memory, known=False), NAMES) == {}
    text = b"nt\0" + ALLOCATE.encode() + b"\0"
    table = struct.pack("<IIHHIIIIIII", 0, 0, 0, 0, 0x6100, 1, 1, 1, 0x6040, 0x6044, 0x6048)
    memory.write(base + 0x6000, table.ljust(0x40, b"\0") + struct.pack("<IIH", 0x1230, 0x6103, 0))
    memory.write(base + 0x6100, text)
    memory.write(base + 0x80 + 0x18 + (0x70 if width == 8 else 0x60), struct.pack("<II", 0x6000, 0x200))
    assert routine_addresses(kernel(memory, known=False), NAMES) == {ALLOCATE: base + 0x1230}


@widths
def test_a_sessions_driver_is_looked_for_in_a_session(fake_memory: Memories, width: int) -> None:
    memory, session, empty = fake_memory(width), fake_memory(width), fake_memory(width)
    low, high = module(DRIVERS[width]), module(DRIVERS[width] + 0x100000, name="win32k.sys")
    Image(width, low.base).write(memory)
    Image(width, high.base).write(session)
    asked: list[int] = []

    def others() -> list[Reader]:
        asked.append(1)
        return [Reader(empty), Reader(session)]

    search = search_imports(kernel(memory), [low, high, module(high.base + 0x100000, name="gone.sys")], NAMES, others)
    assert [name for name, _, _, _ in found(search)] == ["old.sys", "win32k.sys"]
    assert unseen(search) == ["gone.sys"]
    assert len(asked) == 1
    search_imports(kernel(memory), [low], NAMES, others)
    assert len(asked) == 1


def test_bounds_are_told(fake_memory: Memories, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fake_memory(8)
    modules = [module(DRIVERS[8] + 0x10000 * n, name=f"{n}.sys") for n in range(3)]
    for each in modules:
        Image(8, each.base).write(memory)
    monkeypatch.setattr(imports, "MAX_TOTAL", 0xC000)
    search = search_imports(kernel(memory), modules, NAMES)
    assert search.says is not None
    assert "was not searched" in search.says
    assert [name for name, _, _, _ in found(search)] == ["0.sys", "1.sys"]
    assert (unseen(search), search.unread_bytes) == (["2.sys"], 0x4000 + 0x8000)
    monkeypatch.undo()
    monkeypatch.setattr(imports, "MAX_SLOTS", 2)
    search = search_imports(kernel(memory), modules, NAMES)
    assert len(search.slots) == 2
    assert search.says is not None
    assert "left out" in search.says


# The headers with their data directories, the import directory, and the names that it leads to
DAMAGED = [0x3C, *range(0x80, 0x190), *range(0x3000, 0x3028), *range(0x3100, 0x3120)]


@given(st.data())
def test_damaged_images(data: st.DataObject) -> None:
    """Any mutation of headers and directories gives a result, and never more than the bounds allow."""
    width = data.draw(st.sampled_from([4, 8]))
    memory = Flat(width, DRIVERS[width], 0x8000)
    Image(width, DRIVERS[width], iat=data.draw(st.booleans())).write(memory)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(
            st.sampled_from([0x3C, *range(0x80, 0x190), 0x100, 0x168, *range(0x3000, 0x3028), *range(0x3100, 0x3120)])
        )
        memory.write(DRIVERS[width] + at, data.draw(st.binary(min_size=1, max_size=8)))
    for page in data.draw(st.sets(st.integers(0, 7))):
        memory.lose(DRIVERS[width] + page * PAGE)
    size = data.draw(st.sampled_from([0, 1, 0x7FFF, 0x8000, 0x9000, 0xFFFFFFFF]))
    base = data.draw(st.sampled_from([DRIVERS[width], DRIVERS[width] + 1, (1 << 8 * width) - PAGE]))
    search = search_imports(kernel(memory), [module(base, size)], NAMES)
    assert all(base <= slot.slot < base + size for slot in search.slots)
    assert 0 <= search.unread_bytes <= size


class Flat:
    """Memory of one area: quick enough for large ones. A page that was lost is not mapped."""

    def __init__(self, width: int, base: int, size: int) -> None:
        self.pointer_size = width
        self.base = base
        self.data = np.zeros((size // PAGE, PAGE), np.uint8)
        self.there = np.ones(size // PAGE, np.bool_)
        self.pages: dict[int, bytes] = {}
        self.absent = range(base // PAGE, (base + size) // PAGE)

    def write(self, address: int, raw: bytes) -> None:
        at = address - self.base
        self.data.reshape(-1)[at : at + len(raw)] = np.frombuffer(raw, np.uint8)

    def put(self, address: int, value: int) -> None:
        self.write(address, value.to_bytes(self.pointer_size, "little"))

    def lose(self, address: int) -> None:
        self.there[(address - self.base) // PAGE] = False

    def read(self, address: int, size: int) -> bytes | Absence:
        first, last = (address - self.base) // PAGE, (address - self.base + max(size, 1) - 1) // PAGE
        if first < 0 or last >= len(self.there) or not self.there[first : last + 1].all():
            return Absence.NOT_MAPPED
        return self.data.reshape(-1)[address - self.base : address - self.base + size].tobytes()

    def gather(self, pages: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        rows = pages.astype(np.int64) - self.base // PAGE
        inside = (rows >= 0) & (rows < len(self.there))
        inside[inside] = self.there[rows[inside]]
        out = np.zeros((len(pages), PAGE), np.uint8)
        out[inside] = self.data[rows[inside]]
        return out, np.where(inside, 1, int(Absence.NOT_MAPPED))


@pytest.mark.parametrize("width", [4, 8])
def test_a_whole_machine_in_a_moment(width: int) -> None:
    """60 modules of 1 MB: a quarter of the machine that must take less than a second."""
    count, size = 60, 1 << 20
    memory = Flat(width, DRIVERS[width], count * size)
    modules = [module(DRIVERS[width] + n * size, size, f"{n}.sys") for n in range(count)]
    for each in modules:
        Image(width, each.base, size=size).write(memory)
    begin = time.process_time()
    search = search_imports(kernel(memory), modules, NAMES)
    assert time.process_time() - begin < 1.5  # 0.1 s on an idle machine
    assert len(search.slots) == count
    assert not search.unseen


def test_a_table_without_an_end_is_left(fake_memory: Memories, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "MAX_NAMES", 100)
    memory = fake_memory(8)
    Image(8, DRIVERS[8], iat=False).write(memory)
    memory.put(DRIVERS[8] + 0x3100, *[0x3400] * 96)
    memory.put(DRIVERS[8] + 0x2000, *[0x3400] * 512)
    search = search_imports(kernel(memory), [module(DRIVERS[8])], NAMES)
    assert search.slots == ()
    memory.lose(DRIVERS[8] + 0x6000)
    assert unseen(search_imports(kernel(memory), [module(DRIVERS[8])], NAMES)) == ["old.sys"]
