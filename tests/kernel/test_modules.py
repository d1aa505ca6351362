"""Entries are written at the offsets of public symbol tables, which are the same from Windows 2000 to 11."""

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.modules import MAX_MODULES, header_stamps, read_modules
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.bundled_tables import bundled_table
from poolsleuth.windows.kernel_table import PdbId
from poolsleuth.windows.structure_layouts import layouts_for

HEAD = {4: 0x80553FC0, 8: 0xFFFFF80002A90890}
SPACE = {4: 0x82000000, 8: 0xFFFFFA8000000000}
IMAGES = {4: 0xF7000000, 8: 0xFFFFF88000000000}
NAMES = ["ntoskrnl.exe", "hal.dll", "leaky.sys"]


def kernel_of(memory: Any, build: int, **known: Any) -> Kernel:
    return Kernel(
        memory=Reader(memory),
        build=build,
        architecture="x86" if memory.pointer_size == 4 else "x64",
        pae=None,
        base=0,
        size=None,
        pdb=None,
        processors=None,
        **({"table": None, "addresses": {"PsLoadedModuleList": HEAD[memory.pointer_size]}} | known),
    )


def text(memory: Any, at: int, where: int, value: str) -> None:
    raw = value.encode("utf-16-le")
    memory.write(where, raw)
    memory.write(at, struct.pack("<HH", len(raw), len(raw) + 2))
    memory.put(at + memory.pointer_size, where)


def pe(memory: Any, base: int, stamp: int, checksum: int, e_lfanew: int = 0xF8) -> None:
    memory.write(base, b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", e_lfanew))
    top = b"PE\0\0" + struct.pack("<HHI8xH2xH", 0x8664, 0, stamp, 0xF0, 0x20B)
    memory.write(base + e_lfanew, top.ljust(0x18 + 0xF0, b"\0"))
    memory.write(base + e_lfanew + 0x18 + 0x38, struct.pack("<III", 0x5000, 0x400, checksum))


def entry(memory: Any, i: int) -> int:
    return SPACE[memory.pointer_size] + 0x1000 + 0x400 * i


def write_modules(memory: Any, names: list[str], stamp_at: int | None = None) -> None:
    wide = memory.pointer_size == 8
    base, point, size, full, short, flags, checksum = (
        (0x30, 0x38, 0x40, 0x48, 0x58, 0x68, 0x78) if wide else (0x18, 0x1C, 0x20, 0x24, 0x2C, 0x34, 0x40)
    )
    head = HEAD[memory.pointer_size]
    ring = [head, *(entry(memory, i) for i in range(len(names))), head]
    memory.put(head, ring[1], ring[-2])
    for i, name in enumerate(names):
        at = ring[i + 1]
        image = IMAGES[memory.pointer_size] + 0x100000 * i
        memory.put(at, ring[i + 2], ring[i])
        memory.put(at + base, image)
        memory.put(at + point, image + 0x1010)
        memory.put(at + size, 0x9000 + i, width=4)
        text(memory, at + full, at + 0x100, rf"\SystemRoot\system32\drivers\{name}")
        text(memory, at + short, at + 0x200, name)
        memory.put(at + flags, 0x49104000, width=4)
        memory.put(at + checksum, 0xC0DE + i, width=4)
        if stamp_at is not None:
            memory.put(at + stamp_at, 0x5F000000 + i, width=4)


@pytest.mark.parametrize(
    ("width", "build", "stamp_at"),
    [
        (4, 2195, None),
        (4, 2600, None),
        (4, 3790, None),
        (8, 3790, None),
        (8, 7601, None),
        (8, 9600, None),
        (4, 10240, 0x58),
        (8, 14393, 0x9C),
        (8, 19041, 0x9C),
        (8, 22000, 0x9C),
    ],
)
def test_modules_of_every_generation(
    width: int, build: int, stamp_at: int | None, fake_memory: Callable[[int], Any]
) -> None:
    memory = fake_memory(width)
    write_modules(memory, NAMES, stamp_at)
    if stamp_at is None:
        for i in range(3):
            pe(memory, IMAGES[width] + 0x100000 * i, 0x5F000000 + i, 1)
    architecture = "x86" if width == 4 else "x64"
    for layouts in ({}, layouts_for(build, architecture).structures):
        found = read_modules(kernel_of(memory, build, layouts=layouts))
        assert (found.whole, found.says, found.address) == (True, None, HEAD[width])
        assert [module.name for module in found.modules] == NAMES
        third = found.modules[2]
        assert third.path == r"\SystemRoot\system32\drivers\leaky.sys"
        assert (third.base, third.size, third.end) == (IMAGES[width] + 0x200000, 0x9002, IMAGES[width] + 0x209002)
        assert third.time_stamp == 0x5F000002
        assert third.checksum == 0xC0E0  # of the list's entry: it stands above that of the header
        assert third.entry_point == IMAGES[width] + 0x201010
        assert third.flags == 0x49104000
        assert third.address == entry(memory, 2)


SYMBOLS = [("339E74133576439CBCDF7E0229DA3773", 7601), ("5278AFF86C341677D7D7835C85B7B844", 19041)]


@pytest.mark.parametrize(("guid", "build"), SYMBOLS)
def test_modules_with_symbols(guid: str, build: int, fake_memory: Callable[[int], Any]) -> None:
    """In 7601 the symbols know the user-mode entry only, whose time stamp lies where the kernel keeps a pointer."""
    memory = fake_memory(8)
    write_modules(memory, NAMES, 0x9C if build > 10240 else 0x80)
    table = bundled_table(PdbId("ntkrnlmp.pdb", guid, 1))
    assert table is not None
    base = HEAD[8] - table.symbols["PsLoadedModuleList"]
    kernel = Kernel(
        memory=Reader(memory), build=build, architecture="x64", pae=None, base=base, size=None, pdb=None,
        processors=None, table=table,
    )  # fmt: skip
    found = read_modules(kernel)
    assert [module.name for module in found.modules] == NAMES
    assert [module.time_stamp for module in found.modules] == (
        [0x5F000000, 0x5F000001, 0x5F000002] if build > 10240 else [None, None, None]
    )


def test_the_stamp_is_none_when_the_header_is_absent(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    write_modules(memory, NAMES)
    memory.lose(IMAGES[8])
    assert read_modules(kernel_of(memory, 7601)).modules[0].time_stamp is None


@pytest.mark.parametrize("e_lfanew", [0x40, 0xF00])
def test_headers_wherever_they_stand_in_their_page(e_lfanew: int, fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    pe(memory, 0x400000, 0x4CE7951A, 0x54321, e_lfanew)
    assert header_stamps(Reader(memory), 0x400000) == (0x4CE7951A, 0x54321)


@pytest.mark.parametrize(("at", "data"), [(0, b"ZM"), (0x3C, b"\xff\xff\xff\xff"), (0x3C, b"\0\x10"), (0xF8, b"NE")])
def test_what_is_no_header(at: int, data: bytes, fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    pe(memory, 0x400000, 0x4CE7951A, 0x54321)
    memory.write(0x400000 + at, data)
    assert header_stamps(Reader(memory), 0x400000) is None


def test_names_that_cannot_be_read(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    write_modules(memory, NAMES)
    memory.put(entry(memory, 0) + 0x58, 0xFFFF, width=2)  # an odd length of the short name
    memory.put(entry(memory, 1) + 0x50, 0)  # no buffer of the path
    memory.put(entry(memory, 2) + 0x50, 0x10, width=8)
    memory.put(entry(memory, 2) + 0x58, 0, width=2)
    found = read_modules(kernel_of(memory, 7601)).modules
    assert (found[0].name, found[0].path) == ("ntoskrnl.exe", r"\SystemRoot\system32\drivers\ntoskrnl.exe")
    assert (found[1].name, found[1].path) == ("hal.dll", None)
    assert (found[2].name, found[2].path) == (None, None)


def test_a_cut_list_says_so(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    write_modules(memory, [f"driver{i}.sys" for i in range(12)])
    memory.lose(entry(memory, 4), Absence.PAGED_OUT)  # entries 4 to 7 stand on this page
    found = read_modules(kernel_of(memory, 7601))
    assert [module.name for module in found.modules] == [f"driver{i}.sys" for i in (0, 1, 2, 3, 8, 9, 10, 11)]
    assert not found.whole
    assert found.says is not None
    assert "paged out" in found.says


def test_entries_that_describe_no_image_are_counted(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    write_modules(memory, NAMES)
    memory.put(entry(memory, 1) + 0x30, 0)
    memory.put(entry(memory, 2) + 0x40, 0xFFFFFFFF, width=4)
    found = read_modules(kernel_of(memory, 7601))
    assert [module.name for module in found.modules] == ["ntoskrnl.exe"]
    assert not found.whole
    assert found.says == "2 entries of the list of loaded modules describe no image or cannot be read"


def test_without_an_address_nothing_is_read(fake_memory: Callable[[int], Any]) -> None:
    found = read_modules(kernel_of(fake_memory(8), 7601, addresses={}))
    assert (found.modules, found.whole, found.address) == ((), False, None)
    assert found.says == "where the list of loaded modules begins is not known"


def test_a_list_without_end_is_bounded(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(4)
    count = MAX_MODULES + 10
    ring = [HEAD[4], *(SPACE[4] + 0x80 * i for i in range(count)), HEAD[4]]
    memory.put(HEAD[4], ring[1], ring[-2])
    for i in range(1, count + 1):
        memory.put(ring[i], ring[i + 1], ring[i - 1])
    found = read_modules(kernel_of(memory, 2600))
    assert found.modules == ()
    assert found.says is not None
    assert f"more than {MAX_MODULES} entries" in found.says


@given(st.binary(min_size=64, max_size=400), st.integers(0, 0x600))
def test_any_damage_ends_in_a_result(damage: bytes, at: int) -> None:
    class Memory:
        pointer_size = 8

        def __init__(self) -> None:
            self.image = bytearray(0x3000)

        def write(self, address: int, data: bytes) -> None:
            address &= 0x1FFF
            self.image[address : address + len(data)] = data

        def put(self, address: int, *values: int, width: int = 8) -> None:
            self.write(address, b"".join(value.to_bytes(width, "little") for value in values))

        def read(self, address: int, size: int) -> bytes | Absence:
            return bytes(self.image[address & 0x1FFF :][:size]) if size <= 0x1000 else Absence.NOT_MAPPED

        def gather(self, pages: Any) -> Any:
            raise AssertionError

    memory = Memory()
    write_modules(memory, NAMES)
    memory.write(0x890 + at, damage)
    found = read_modules(kernel_of(memory, 7601))
    assert len(found.modules) <= MAX_MODULES
    assert found.whole or found.says is not None
