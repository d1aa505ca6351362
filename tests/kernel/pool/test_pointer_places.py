import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.modules import LoadedModule
from poolsleuth.kernel.pool.blocks import BLOCK
from poolsleuth.kernel.pool.pointer_places import Ranged, blocks_around, find_blocks, gone_of, images_of
from poolsleuth.kernel.unloaded_modules import UnloadedDriver

BASE = 0xFFFFF88001000000
CODE, DATA, READ_ONLY = 0x68000020, 0xC8000040, 0x48000040


def module(name: str | None, base: int, size: int = 0x5000) -> LoadedModule:
    return LoadedModule(0, base, size, name, None, None, None, None, None)


def pe(*sections: tuple[str, int, int, int]) -> bytes:
    """The headers of a 64-bit image of 0x5000 bytes (the public PE/COFF specification)."""
    top = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40)
    top += b"PE\0\0" + struct.pack("<HHI8xHH", 0x8664, len(sections), 0, 0xF0, 0x22)
    optional = bytearray(0xF0)
    struct.pack_into("<H", optional, 0, 0x20B)
    struct.pack_into("<I", optional, 0x38, 0x5000)
    rows = b"".join(
        struct.pack("<8sIIII12xI", n.encode(), size, at, size, at, flags) for n, at, size, flags in sections
    )
    return top + bytes(optional) + rows


def test_code_and_written_data_are_told_by_the_sections(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    memory.write(
        BASE, pe((".text", 0x1000, 0x1000, CODE), (".data", 0x2000, 0x800, DATA), (".rdata", 0x3000, 9, READ_ONLY))
    )
    (image,) = images_of(Reader(memory), [module("leaky.sys", BASE)])
    assert image.is_code(BASE + 0x1800) is True
    assert image.is_code(BASE + 0x2000) is False
    assert image.data == ((BASE + 0x2000, BASE + 0x2800),)


def test_without_headers_nothing_is_said_of_sections(fake_memory: Callable[[int], Any]) -> None:
    (image,) = images_of(Reader(fake_memory(8)), [module("leaky.sys", BASE), module(None, BASE + 0x10000)])
    assert (image.code, image.data, image.is_code(BASE)) == (None, None, None)


def test_a_module_that_overlaps_another_is_left_out(fake_memory: Callable[[int], Any]) -> None:
    images = images_of(Reader(fake_memory(8)), [module("b.sys", BASE + 0x1000), module("a.sys", BASE)])
    assert [image.name for image in images] == ["a.sys"]


def test_ranges_end_before_their_end() -> None:
    ranged = Ranged([(0x1000, 0x2000), (0x3000, 0x3001)])
    found = ranged.find(np.array([0, 0xFFF, 0x1000, 0x1FFF, 0x2000, 0x3000, 0x3001], np.uint64))
    assert found.tolist() == [-1, -1, 0, 0, -1, 1, -1]
    assert Ranged([]).find(np.array([5], np.uint64)).tolist() == [-1]


def test_the_block_of_an_address() -> None:
    blocks = np.zeros(2, BLOCK)
    blocks["address"], blocks["size"] = (0x1000, 0x1100), (0x40, 0x10)
    wanted = np.array([0xFFF, 0x1000, 0x103F, 0x1040, 0x110F, 0x1110], np.uint64)
    assert find_blocks(blocks, wanted).tolist() == [-1, 0, 0, -1, 1, -1]
    assert find_blocks(blocks[:0], wanted).tolist() == [-1] * 6
    around = blocks_around([blocks[1:], blocks[:0], blocks[:1]], wanted[1:3])
    assert around["address"].tolist() == [0x1000]


def test_drivers_that_lay_at_the_same_addresses_are_all_named_newest_first() -> None:
    def driver(name: str | None, start: int, end: int) -> UnloadedDriver:
        return UnloadedDriver(0, name, start, end, None)

    gone = gone_of(
        [driver("new.sys", 0x2000, 0x4000), driver("old.sys", 0x1000, 0x3000), driver("new.sys", 0x8000, 0x9000)]
    )
    assert gone.ranges == ((0x1000, 0x2000), (0x2000, 0x3000), (0x3000, 0x4000), (0x8000, 0x9000))
    assert gone.names == (("old.sys",), ("new.sys", "old.sys"), ("new.sys",), ("new.sys",))
    assert gone.starts == (0x1000, 0x2000, 0x2000, 0x8000)
    assert gone_of([]).ranges == ()
