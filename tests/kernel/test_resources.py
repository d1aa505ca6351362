"""Resources are written at the offsets of public symbol tables."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.kernel import resources, scattered
from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.resource_layout import resource_layout
from poolsleuth.kernel.resource_threads import MAX_OWNERS
from poolsleuth.kernel.resources import ResourceOwner, read_resources
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.bundled_tables import bundled_table
from poolsleuth.windows.kernel_table import Field, KernelTable, PdbId, Structure
from poolsleuth.windows.structure_layouts import layouts_for

HEAD, FIRST = 0x80557000, 0x89000FC0
EACH = 0x98  # apart: some of them cross the end of a page
THREAD = 0x8A0000A0
EXCLUSIVE = 0x80

# Offsets: table, active, flags, shared object, exclusive object, owners, contention, shared, exclusive; width of the
# last two, and the offset of the count of active entries
OLD = {
    4: (0x08, 0x0C, 0x0E, 0x10, 0x14, 0x18, 0x28, 0x2C, 0x2E, 2, None),
    8: (0x10, 0x18, 0x1A, 0x20, 0x28, 0x30, 0x50, 0x54, 0x56, 2, None),
}
NEW = {
    4: (0x08, 0x0C, 0x0E, 0x10, 0x14, 0x18, 0x24, 0x28, 0x2C, 4, 0x20),
    8: (0x10, 0x18, 0x1A, 0x20, 0x28, 0x30, 0x44, 0x48, 0x4C, 4, 0x40),
}
GENERATIONS = [
    (4, 2600, OLD, 0), (4, 3790, OLD, 0), (8, 3790, OLD, 0), (8, 6002, NEW, 0), (4, 7601, NEW, 2), (8, 7601, NEW, 2),
    (8, 9600, NEW, 2), (8, 14393, NEW, 3), (8, 19041, NEW, 3), (8, 22000, NEW, 3),
]  # fmt: skip


def kernel_of(memory: Any, build: int, **known: Any) -> Kernel:
    return Kernel(
        memory=Reader(memory),
        build=build,
        architecture="x86" if memory.pointer_size == 4 else "x64",
        pae=None,
        size=None,
        pdb=None,
        processors=None,
        **({"base": 0, "table": None, "addresses": {"ExpSystemResourcesList": HEAD}} | known),
    )


def write_list(memory: Any, count: int) -> list[int]:
    ring = [HEAD, *(FIRST + EACH * i for i in range(count)), HEAD]
    memory.put(HEAD, ring[1], ring[-2])
    for i in range(1, count + 1):
        memory.put(ring[i], ring[i + 1], ring[i - 1])
    return ring[1:-1]


def fill(memory: Any, at: int, layout: Any, **values: int) -> None:
    table, active, flags, shared_at, _, owners, contention, shared, exclusive, width, entries = layout[
        memory.pointer_size
    ]
    memory.put(at + active, values.get("active", 0), width=2)
    memory.put(at + flags, values.get("flags", 0), width=2)
    memory.put(at + table, values.get("table", 0))
    memory.put(at + shared_at, values.get("shared_object", 0), values.get("exclusive_object", 0))
    memory.put(at + contention, values.get("contention", 0), width=4)
    memory.put(at + shared, values.get("shared", 0), width=width)
    memory.put(at + exclusive, values.get("exclusive", 0), width=width)
    if entries is not None:
        memory.put(at + entries, values.get("entries", 0), width=4)
    memory.put(at + owners, values.get("thread", 0))
    memory.put(at + owners + memory.pointer_size, values.get("count", 0), width=4)


@pytest.mark.parametrize(("width", "build", "layout", "shift"), GENERATIONS)
def test_the_summary_of_every_generation(
    width: int, build: int, layout: Any, shift: int, fake_memory: Callable[[int], Any]
) -> None:
    memory = fake_memory(width)
    at = write_list(memory, 40)
    fill(memory, at[3], layout, active=1, flags=EXCLUSIVE, thread=THREAD, count=1 << shift, entries=1)
    # 30 of another sample: "Contention Count = 9149810", "NumberOfSharedWaiters = 718", "NumberOfExclusiveWaiters = 21"
    fill(memory, at[30], layout, active=10, contention=9149810, shared=718, exclusive=21, entries=10)
    fill(memory, at[31], layout, contention=5)
    for layouts in ({}, layouts_for(build, "x86" if width == 4 else "x64").structures):
        found = read_resources(kernel_of(memory, build, layouts=layouts))
        assert (found.total, found.held, found.whole, found.says) == (40, 2, True, None)
        busy, idle, held = found.resources
        assert (busy.address, busy.state, busy.owning_threads) == (at[30], "shared", 10)
        assert (busy.contention, busy.shared_waiters, busy.exclusive_waiters) == (9149810, 718, 21)
        assert (idle.address, idle.state, idle.owning_threads, idle.owners) == (at[31], "available", 0, ())
        assert (held.address, held.state, held.owning_threads) == (at[3], "exclusive", 1)
        assert held.owners == (ResourceOwner(THREAD, THREAD, 1),)
        assert held.name is None


def test_of_too_many_resources_those_with_most_contention_are_kept(
    fake_memory: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever in the list they stand: the part that is read first must not take their place."""
    monkeypatch.setattr(resources, "MAX_KEPT", 3)
    monkeypatch.setattr(scattered, "CHUNK", 4)
    memory = fake_memory(8)
    at = write_list(memory, 30)
    for i, each in enumerate(at):
        fill(memory, each, NEW, contention=1 + i % 5)
    fill(memory, at[20], NEW, contention=9149810)
    fill(memory, at[29], NEW, active=1, flags=EXCLUSIVE, thread=THREAD, count=4, entries=1, exclusive=1)
    found = read_resources(kernel_of(memory, 7601))
    assert (found.total, found.held, found.whole) == (30, 1, True)
    assert [one.address for one in found.resources] == [at[29], at[20], at[4]]
    assert found.says == "only 3 of the 30 resources in use are listed: those with most contention"


@pytest.mark.parametrize(("width", "build", "layout", "shift"), GENERATIONS)
def test_owners_beside_the_resource(
    width: int, build: int, layout: Any, shift: int, fake_memory: Callable[[int], Any]
) -> None:
    memory = fake_memory(width)
    (at,) = write_list(memory, 1)
    table = 0x8B000FF0
    fill(memory, at, layout, active=4, entries=4, table=table, thread=THREAD | 3, count=2 << shift)
    memory.put(table + width, 6, width=4)  # the size of the table stands in its first entry
    for i, count in enumerate((1, 0, 5, 1)):
        memory.put(table + (1 + i) * 2 * width, THREAD + 0x1000 * (1 + i))
        memory.put(table + (1 + i) * 2 * width + width, count << shift | (1 if shift else 0), width=4)
    (found,) = read_resources(kernel_of(memory, build)).resources
    assert found.owners == (
        ResourceOwner(THREAD, THREAD | 3, 2),
        ResourceOwner(THREAD + 0x1000, THREAD + 0x1000, 1),
        ResourceOwner(THREAD + 0x3000, THREAD + 0x3000, 5),
        ResourceOwner(THREAD + 0x4000, THREAD + 0x4000, 1),
    )


@pytest.mark.parametrize("size", [0, 1, MAX_OWNERS + 1, 0xFFFFFFFF])
def test_a_table_of_owners_of_no_true_size_is_not_read(size: int, fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    (at,) = write_list(memory, 1)
    fill(memory, at, NEW, active=1, table=0x8B000000, thread=THREAD, count=1 << 2, entries=1)
    memory.put(0x8B000008, size, width=4)
    (found,) = read_resources(kernel_of(memory, 7601)).resources
    assert found.owners == (ResourceOwner(THREAD, THREAD, 1),)


@pytest.mark.parametrize(
    ("width", "build", "layout", "thread_at"),
    # The thread of a wait block: two pointers in; from Windows 8 on the symbols must tell
    [(4, 2600, OLD, 8), (8, 3790, OLD, 16), (8, 7601, NEW, 16), (8, 9600, NEW, None), (8, 19041, NEW, None)],
)
def test_threads_that_wait(
    width: int, build: int, layout: Any, thread_at: int | None, fake_memory: Callable[[int], Any]
) -> None:
    memory = fake_memory(width)
    (at,) = write_list(memory, 1)
    semaphore, event, block = 0x8C000000, 0x8C000100, 0x8C001000
    fill(memory, at, layout, active=1, shared=1, exclusive=2, shared_object=semaphore, exclusive_object=event)
    ring = {semaphore + 8: [block], event + 8: [block + 0x100, block + 0x200]}
    for head, blocks in ring.items():
        links = [head, *blocks, head]
        memory.put(head, links[1], links[-2])
        for i in range(1, len(links) - 1):
            memory.put(links[i], links[i + 1], links[i - 1])
            memory.put(links[i] + (thread_at or 2 * width), THREAD + links[i] - block)
    (found,) = read_resources(kernel_of(memory, build)).resources
    known = thread_at is not None
    assert found.shared_waiting == ((THREAD,) if known else ())
    assert found.exclusive_waiting == ((THREAD + 0x100, THREAD + 0x200) if known else ())
    assert (found.shared_waiters, found.exclusive_waiters) == (1, 2)


def test_resources_that_are_variables_of_the_kernel_are_named(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    at = write_list(memory, 2)
    base = 0x80000000
    table = KernelTable(
        pdb=None,
        machine="x64",
        source="test",
        symbols={"ExpSystemResourcesList": HEAD - base, "CmpRegistryLock": at[1] - base},
        structures={"_OWNER_ENTRY": Structure(16, {"OwnerCount": Field(8, 4, 2, 30)})},
    )
    fill(memory, at[0], NEW, active=1)
    fill(memory, at[1], NEW, active=1, contention=3)
    found = read_resources(kernel_of(memory, 7601, table=table, base=base, addresses={}))
    assert [resource.name for resource in found.resources] == ["nt!CmpRegistryLock", None]


@pytest.mark.parametrize(
    ("guid", "build", "shift"),
    [
        ("339E74133576439CBCDF7E0229DA3773", 7601, 2),
        ("22597D0B40394E23936F6A24C6C52D5B", 9600, 2),
        ("517E128F7B7C4EA79491DE6B9B9CE190", 14393, 3),
        ("5278AFF86C341677D7D7835C85B7B844", 19041, 3),
        ("32C1A669D5FFEFD41091F636CFDB6E99", 22000, 3),
    ],
)
def test_the_layout_of_true_symbols(guid: str, build: int, shift: int, fake_memory: Callable[[int], Any]) -> None:
    table = bundled_table(PdbId("ntkrnlmp.pdb", guid, 1))
    with_symbols = resource_layout(kernel_of(fake_memory(8), build, table=table))
    without = resource_layout(kernel_of(fake_memory(8), build))
    assert with_symbols is not None
    assert without is not None
    assert with_symbols.dtype == without.dtype
    assert (with_symbols.count_shift, without.count_shift) == (shift, shift)
    assert (with_symbols.link, with_symbols.entries, with_symbols.entry_size) == (0, 1, 16)


def test_symbols_without_the_wanted_fields_give_no_layout(fake_memory: Callable[[int], Any]) -> None:
    layouts = {"_ERESOURCE": Structure(0x68, {"ActiveCount": Field(0x18, 2)})}
    found = read_resources(kernel_of(fake_memory(8), 7601, layouts=layouts))
    assert (found.total, found.held, found.whole) == (None, None, False)
    assert found.says == "the layout of resources in this version is not known"


def test_resources_that_cannot_be_read_are_counted(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    at = write_list(memory, 60)  # from 89000FC0 on: those that follow lie on three pages
    fill(memory, at[59], NEW, active=1)
    memory.lose(0x89001000, Absence.NOT_IN_DUMP)
    found = read_resources(kernel_of(memory, 7601))
    # The first crosses into the missing page: its links can be read, its counts cannot
    assert not found.whole
    assert found.says is not None
    assert found.says.endswith("1 of the resources cannot be read")
    assert found.total == len([one for one in at if one >= 0x89002000])
    assert found.held == 1


@pytest.mark.parametrize("known", [{}, {"ExpSystemResourcesList": HEAD}])
def test_no_list(known: dict[str, int], fake_memory: Callable[[int], Any]) -> None:
    found = read_resources(kernel_of(fake_memory(8), 7601, addresses=known))
    assert (found.resources, found.total, found.held, found.whole) == ((), None, None, False)
    assert found.says is not None


@settings(max_examples=50)
@given(st.binary(min_size=1, max_size=300), st.integers(0, 0x600))
def test_any_damage_ends_in_a_result(damage: bytes, at: int) -> None:
    image = bytearray(0x4000)

    class Memory:
        pointer_size = 4

        def put(self, address: int, *values: int, width: int = 4) -> None:
            raw = b"".join(value.to_bytes(width, "little") for value in values)
            image[(address & 0x3FFF) : (address & 0x3FFF) + len(raw)] = raw

        def read(self, address: int, size: int) -> bytes | Absence:
            return bytes(image[address & 0x3FFF :][:size].ljust(size, b"\0"))

        def gather(self, pages: Any) -> Any:
            rows = [np.frombuffer(bytes(image), np.uint8).reshape(4, 4096)[int(page) & 3] for page in pages]
            return np.array(rows), np.zeros(len(rows), np.int64)

    memory = Memory()
    for i, one in enumerate(write_list(memory, 8)):
        fill(memory, one, NEW, active=i % 2, entries=1, table=FIRST + 16 * i, thread=THREAD, count=9, contention=i)
    image[0xFC0 + at : 0xFC0 + at + len(damage)] = damage
    found = read_resources(kernel_of(memory, 7601))
    assert found.whole or found.says is not None
    assert found.total is None or found.held is None or found.held <= found.total


def test_threads_of_all_resources_together_are_bounded(
    fake_memory: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every resource points to the same table of owners: it is not read without end."""
    monkeypatch.setattr("poolsleuth.kernel.resource_threads.MAX_THREADS", 1000)
    memory = fake_memory(8)
    table = 0x8B000000
    for at in write_list(memory, 20):
        fill(memory, at, NEW, active=1, table=table)
    memory.put(table + 8, 300, width=4)
    for i in range(1, 300):
        memory.put(table + 16 * i, THREAD, 1 << 2)
    found = read_resources(kernel_of(memory, 7601))
    assert [len(resource.owners) for resource in found.resources] == [299] * 3 + [0] * 17
    assert found.says == "not all threads that hold or wait are listed: there are too many"
    assert (found.whole, found.held) == (True, 20)
