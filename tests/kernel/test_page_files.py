"""Page files: Size, MaximumSize, MinimumSize, FreeSpace in pages, first in the structure of all versions."""

from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.page_files import read_page_files
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.bundled_tables import bundled_table
from poolsleuth.windows.kernel_table import PdbId
from poolsleuth.windows.structure_layouts import layouts_for

SLOTS, COUNT, FILE = 0x80550100, 0x80550200, 0x89500000
MB = 1 << 20
KNOWN = {"MmPagingFile": SLOTS, "MmNumberOfPagingFiles": COUNT}
NAME = r"\??\C:\pagefile.sys"


def kernel_of(memory: Any, build: int, **known: Any) -> Kernel:
    return Kernel(
        memory=Reader(memory),
        build=build,
        architecture="x86" if memory.pointer_size == 4 else "x64",
        pae=None,
        size=None,
        pdb=None,
        processors=None,
        **({"base": 0, "table": None, "addresses": KNOWN} | known),
    )


def write_file(memory: Any, at: int, name_at: int | None, *pages: int) -> None:
    memory.put(at, *pages)
    if name_at is not None:
        memory.write(at + name_at, (len(NAME) * 2).to_bytes(2, "little") * 2)
        memory.put(at + name_at + memory.pointer_size, at + 0x800)
        memory.write(at + 0x800, NAME.encode("utf-16-le"))


@pytest.mark.parametrize(
    ("width", "build", "service_pack", "name_at"),
    [
        (4, 2600, 2, 0x30),
        (4, 3790, 2, 0x28),
        (8, 3790, 2, 0x50),
        (8, 6002, 2, 0x48),
        (8, 7601, 1, 0x48),
        (8, 9600, None, 0x70),
    ],
)
def test_the_variables_before_windows_10(
    width: int, build: int, service_pack: int | None, name_at: int, fake_memory: Callable[[int], Any]
) -> None:
    memory = fake_memory(width)
    memory.put(SLOTS, FILE, FILE + 0x1000)
    memory.put(COUNT, 2, width=4)
    # "Current: 4193280 Kb  Free Space: 3313120 Kb", "Minimum: 4193280 Kb  Maximum: 4193280 Kb" of a 2003 server
    write_file(memory, FILE, name_at, 1048320, 1048320, 1048320, 828280)
    write_file(memory, FILE + 0x1000, None, 100, 400, 50, 101)
    layouts = layouts_for(build, "x86" if width == 4 else "x64", service_pack=service_pack).structures
    found = read_page_files(kernel_of(memory, build, layouts=layouts))
    assert (found.whole, found.says, found.address) == (True, None, SLOTS)
    first, second = found.files
    assert (first.name, first.address) == (NAME, FILE)
    assert (first.current_bytes, first.free_bytes) == (4193280 * 1024, 3313120 * 1024)
    assert (first.minimum_bytes, first.maximum_bytes) == (4193280 * 1024, 4193280 * 1024)
    assert (second.name, second.current_bytes, second.free_bytes) == (None, 100 * 4096, None)  # more free than there is
    # Without any layout the sizes still stand first
    bare = read_page_files(kernel_of(memory, build)).files
    assert [(one.name, one.current_bytes, one.maximum_bytes) for one in bare] == [
        (None, 4193280 * 1024, 4193280 * 1024),
        (None, 100 * 4096, 400 * 4096),
    ]


# public symbol tables with the symbols: partition, number and slots of page files, name and flags in a page file
@pytest.mark.parametrize(
    ("guid", "build", "number_at", "slots_at"),
    [
        ("517E128F7B7C4EA79491DE6B9B9CE190", 14393, 0x1898, 0x18A0),
        ("8B11040A5928757B11390AC78F6B6925", 17763, 0x1BD8, 0x1BE0),
        ("11BC9A513F1140CA359ECDF50F0122C1", 18362, 0x1ED8, 0x1EE0),
        ("5278AFF86C341677D7D7835C85B7B844", 19041, 0x1B18, 0x1B20),
        ("C2EADB24A615E9472CE47C8ADD31F130", 20348, 0x4158, 0x4160),
    ],
)
def test_the_partition_of_windows_10(
    guid: str, build: int, number_at: int, slots_at: int, fake_memory: Callable[[int], Any]
) -> None:
    memory = fake_memory(8)
    table = bundled_table(PdbId("ntkrnlmp.pdb", guid, 1))
    assert table is not None
    partition = 0xFFFFF80003000000
    base = partition - table.symbols["MiSystemPartition"]
    memory.write(partition, bytes(0x5000))
    memory.put(partition + number_at, 3, width=4)
    memory.put(partition + slots_at, FILE, FILE + 0x1000, FILE + 0x2000)
    write_file(memory, FILE, 0x60, 1024 * 256, 4096 * 256, 1024 * 256, 1000 * 256)
    write_file(memory, FILE + 0x1000, 0x60, 16 * 256, 16 * 256, 16 * 256, 16 * 256)
    memory.put(FILE + 0x10CC, 1 << 4, width=2)  # the swap file of store applications
    write_file(memory, FILE + 0x2000, None, 2048 * 256, 2048 * 256, 0, 0)
    memory.put(FILE + 0x20CC, 1 << 6, width=2)  # compressed memory: "No Name for Paging File"
    found = read_page_files(kernel_of(memory, build, table=table, base=base))
    assert (found.whole, found.says, found.address) == (True, None, partition + slots_at)
    assert [(one.name, one.current_bytes, one.swap, one.virtual_store) for one in found.files] == [
        (NAME, 1024 * MB, False, False),
        (NAME, 16 * MB, True, False),
        (None, 2048 * MB, False, True),
    ]


def test_windows_10_without_symbols_has_no_list(fake_memory: Callable[[int], Any]) -> None:
    found = read_page_files(kernel_of(fake_memory(8), 19041))
    assert (found.files, found.whole, found.address) == ((), False, None)
    assert found.says == "where the list of page files lies in this version is not known"


@pytest.mark.parametrize("count", [17, 0xFFFFFFFF])
def test_too_many_page_files(count: int, fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(4)
    memory.put(COUNT, count, width=4)
    found = read_page_files(kernel_of(memory, 2600))
    assert (found.files, found.whole) == ((), False)
    assert found.says == "the number of page files cannot be read or cannot be true"


def test_files_that_cannot_be_read_are_counted(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(4)
    memory.put(COUNT, 3, width=4)
    memory.put(SLOTS, FILE, 0, 0x10)
    write_file(memory, FILE, None, 1 << 32 - 1, 0xFFFFFFFF, 5, 6)
    found = read_page_files(kernel_of(memory, 2600))
    assert len(found.files) == 1
    assert found.files[0].maximum_bytes == 0xFFFFFFFF * 4096
    assert found.says == "2 of 3 page files cannot be read"


def test_sizes_no_page_file_has(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    memory.put(COUNT, 1, width=4)
    memory.put(SLOTS, FILE)
    write_file(memory, FILE, None, 1 << 33, (1 << 64) - 1, 5, 6)
    (file,) = read_page_files(kernel_of(memory, 7601)).files
    assert (file.current_bytes, file.maximum_bytes, file.minimum_bytes) == (None, None, 5 * 4096)
