"""Object headers as public symbols have them, and the index of a type as Windows 10 disguises it."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.object_types import HEAD_BYTES, read_object_types
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.bundled_tables import bundled_for_build, bundled_table

TABLE, COOKIE, TYPES, TEXTS = 0xFFFFF80000100000, 0xFFFFF80000101000, 0xFFFFE00000000000, 0xFFFFE00000100000
NAMES = ("Type", "Directory", "Event", "File")
OLD_ROOT, OLD_TYPES = 0x80500000, 0x82000000


def new_kernel(memory: Any, build: int, *, cookie: int | None = 0x5C) -> Kernel:
    """A kernel with the types of ``NAMES``, from index 2 on."""
    table = bundled_table(bundled_for_build(build)[0].pdb)
    assert table is not None
    for number, name in enumerate(NAMES):
        address = TYPES + 0x200 * number
        memory.put(TABLE + 8 * (number + 2), address)
        raw = name.encode("utf-16-le")
        memory.write(TEXTS + 0x40 * number, raw)
        memory.write(address + 0x10, struct.pack("<HH4xQ", len(raw), len(raw) + 2, TEXTS + 0x40 * number))
        memory.write(address + 0x28, bytes([number + 2]))
    memory.put(TABLE, 0, 0xBAD0B0B0)
    addresses = {"ObTypeIndexTable": TABLE}
    if cookie is not None:
        memory.write(COOKIE, bytes([cookie]))
        addresses["ObHeaderCookie"] = COOKIE
    return Kernel(
        memory=Reader(memory),
        build=build,
        architecture="x64",
        pae=None,
        base=0,
        size=None,
        pdb=None,
        processors=None,
        table=None,
        addresses=addresses,
        layouts=table.structures,
    )


def header(index: int, mask: int = 0, *, handles: int = 1, references: int = 5) -> bytes:
    return struct.pack("<qq8xBBBB4xQQ", references, handles, index, 0, mask, 0, 0, 0)


def block(front: int, raw: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer((bytes(front) + raw).ljust(HEAD_BYTES, b"\0"), np.uint8)[None, :]


@pytest.mark.parametrize("build", [14393, 19041, 22000])
def test_an_index_is_undone_with_the_cookie_and_the_second_byte_of_the_address(
    build: int, fake_memory: Callable[[int], Any]
) -> None:
    types = read_object_types(new_kernel(fake_memory(8), build))
    assert types is not None
    assert types.body == 0x30
    start = 0xFFFFE000_00AB_C710
    # The quota header (0x20 bytes, bit 3 of InfoMask) lies in front: the object header is at ...C730, so that the
    # index of Event (4) is stored as 4 ^ 0x5C ^ 0xC7
    found = types.in_blocks(block(0x20, header(4 ^ 0x5C ^ 0xC7, 8, handles=0)), np.array([start], np.uint64))
    assert [found.names[kind] for kind in found.kinds.tolist()] == ["Event"]
    assert found.handles.tolist() == [0]
    assert found.bodies.tolist() == [0x50]


def test_windows_7_keeps_the_index_as_it_is(fake_memory: Callable[[int], Any]) -> None:
    types = read_object_types(new_kernel(fake_memory(8), 7601, cookie=None))
    assert types is not None
    found = types.in_blocks(block(0, header(5)), np.array([0xFFFFFA8001234560], np.uint64))
    assert found.names == ("File",)


@pytest.mark.parametrize(
    "raw",
    [
        header(4 ^ 0x5C, 8),  # it says that quota information lies in front, and nothing does
        header(77 ^ 0x5C),  # no such type
        header(4 ^ 0x5C, handles=-1),
        header(4 ^ 0x5C, references=0),
        header(4 ^ 0x5C, handles=1 << 30),
    ],
    ids=["front", "type", "handles", "references", "many handles"],
)
def test_what_does_not_fit_together_is_no_object(raw: bytes, fake_memory: Callable[[int], Any]) -> None:
    types = read_object_types(new_kernel(fake_memory(8), 19041))
    assert types is not None
    assert types.in_blocks(block(0, raw), np.array([0xFFFFE00000000000], np.uint64)).kinds.tolist() == [-1]


def test_without_a_cookie_or_with_another_table_nothing_is_guessed(fake_memory: Callable[[int], Any]) -> None:
    assert read_object_types(new_kernel(fake_memory(8), 19041, cookie=None)) is None
    memory = fake_memory(8)
    kernel = new_kernel(memory, 19041)
    memory.put(TABLE + 16, TYPES + 0x200)  # Directory where Type must stand
    assert read_object_types(kernel) is None


def old_kernel(memory: Any) -> Kernel:
    """Server 2003 x86: a type's name lies at 0x40, and its own header (0x18 bytes) names the type of types."""
    for number, name in enumerate(NAMES):
        address = OLD_TYPES + 0x200 * number
        raw = name.encode("utf-16-le")
        memory.write(OLD_TYPES + 0x1000 + 0x40 * number, raw)
        memory.write(address + 0x40, struct.pack("<HHI", len(raw), len(raw) + 2, OLD_TYPES + 0x1000 + 0x40 * number))
        memory.put(address - 0x18 + 8, OLD_TYPES)
    memory.put(OLD_ROOT, OLD_TYPES)
    return Kernel(
        memory=Reader(memory),
        build=3790,
        architecture="x86",
        pae=True,
        base=0,
        size=None,
        pdb=None,
        processors=None,
        table=None,
        addresses={"ObpTypeObjectType": OLD_ROOT},
    )


def test_before_windows_7_a_header_has_the_address_of_its_type(fake_memory: Callable[[int], Any]) -> None:
    types = read_object_types(old_kernel(fake_memory(4)))
    assert types is not None
    event = struct.pack("<iiIBBBBII", 3, 1, OLD_TYPES + 0x400, 0, 0, 0x10, 0, 0, 0)
    strange = struct.pack("<iiIBBBBII", 3, 1, OLD_TYPES + 0x404, 0, 0, 0, 0, 0, 0)
    rows = np.concatenate([block(0x10, event), block(0, strange), block(0x10, strange)])
    found = types.in_blocks(rows, np.array([0x82100000] * 3, np.uint64))
    assert [found.names[kind] if kind >= 0 else None for kind in found.kinds.tolist()] == ["Event", None, None]


@pytest.mark.parametrize("old", [False, True])
def test_any_bytes_are_an_object_or_none(old: bool, fake_memory: Callable[[int], Any]) -> None:
    types = read_object_types(old_kernel(fake_memory(4)) if old else new_kernel(fake_memory(8), 19041))
    assert types is not None
    rows = np.random.default_rng(1).integers(0, 256, (5000, HEAD_BYTES), dtype=np.uint8)
    rows[::2, :8] = 0  # counts that can be
    found = types.in_blocks(rows, np.arange(5000, dtype=np.uint64) * np.uint64(0x110) + np.uint64(0x82100000))
    # Of 2,500 rows with plausible counts a few fit by chance: what is told needs many of one type
    assert (found.kinds >= 0).sum() < 50
