"""Tags and big allocations in the kernel's tables: their places by hash and probing, and the layouts of the rows."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.machine import BIG_PAGE_ROW, FREED, IN_USE, BigPages, PoolDescriptor, TagUse
from poolsleuth.lab.pool_tables import (
    descriptor_bytes,
    hash_slot,
    place_tags,
    row_dtype,
    settle_big_pages,
    table_slots,
    tag_key,
    writes_descriptors,
)
from poolsleuth.lab.structures import layout_of


def test_tag_is_a_number_in_memory_order() -> None:
    assert tag_key("File") == 0x656C6946  # 'File' = 0x656C6946
    assert tag_key("Io") == tag_key("Io  ")
    assert tag_key("Ab\x01c") == int.from_bytes(b"Ab\x01c", "little")


def test_slot_by_hand() -> None:
    # 40543 * 0x656C6946 = 0x3ebe8c3444fa; its last four digits 44fa, the upper half 3ebe; xor 7a44; & 3ff
    assert hash_slot(0x656C6946, 0x3FF) == 0x244


def test_size_is_a_power_of_two_and_one() -> None:
    assert [table_slots(n) for n in (1, 512, 513, 20_000)] == [1025, 1025, 2049, 65_537]


@settings(max_examples=40, deadline=None)
@given(st.sets(st.text("ABCdefgh0123", min_size=4, max_size=4), max_size=300))
def test_every_tag_is_found_by_probing(names: set[str]) -> None:
    tags = (*(TagUse(name) for name in sorted(names)), TagUse("Ovfl"))
    size = table_slots(len(tags))
    slots = place_tags(tags, size)
    assert len(set(slots)) == len(slots)
    assert slots[-1] == size - 1  # what did not fit is counted in the last one
    taken = dict(zip(slots, tags, strict=True))
    for use, slot in zip(tags[:-1], slots[:-1], strict=True):
        at = hash_slot(tag_key(use.tag), size - 2)
        while taken[at] is not use:  # KeyError: an empty slot ends the search
            at = at + 1 & size - 2
        assert at == slot


def test_rows_have_the_layout_of_their_windows() -> None:
    # entry sizes, place and width of NonPagedBytes
    wanted = {
        "2600-x86": (0x1C, 0xC, "<u4", 0xC),
        "3790-x64": (0x28, 0x10, "<u8", 0x18),
        "14393-x64": (0x28, 0x10, "<u8", 0x18),
        "19041-x64": (0x38, 0x8, "<u8", 0x18),
        "20348-x64": (0x50, 0x8, "<u8", 0x20),
        "22000-x64": (0x50, 0x8, "<u8", 0x20),
    }
    for name, (size, offset, kind, big) in wanted.items():
        layout = layout_of(windows_named(name))
        dtype = row_dtype(layout, "_POOL_TRACKER_TABLE")
        assert dtype.fields is not None
        field = dtype.fields["NonPagedBytes"]
        assert (dtype.itemsize, field[1], field[0].str) == (size, offset, kind), name
        assert row_dtype(layout, "_POOL_TRACKER_BIG_PAGES").itemsize == big


def test_descriptors_of_1809_count_pages_twice() -> None:
    layout = layout_of(windows_named("17763-x64"))
    assert writes_descriptors(layout)
    data = descriptor_bytes(
        layout,
        PoolDescriptor(paged=True, index=2, running_allocs=9, running_frees=4, pages=77, big_pages=5, bytes=1 << 40),
    )
    # column 1703-1809 x64: pages 48 - 88, big pages 50 - 90, bytes 58 - 98
    value = {at: int.from_bytes(data[at : at + 8], "little") for at in (0x48, 0x88, 0x50, 0x90, 0x58, 0x98)}
    assert value[0x48] - value[0x88] == 77
    assert value[0x50] - value[0x90] == 5
    assert value[0x58] - value[0x98] == 1 << 40
    assert value[0x88] > 0
    assert not writes_descriptors(layout_of(windows_named("19041-x64")))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 1 << 30), unique=True, max_size=2500))
def test_big_allocations_are_found_by_probing(pages: list[int]) -> None:
    rows = np.zeros(len(pages), BIG_PAGE_ROW)
    rows["address"] = np.array(pages, dtype=np.uint64) * np.uint64(4096)
    rows["state"] = np.where(np.arange(len(pages)) % 7 == 0, FREED, IN_USE)
    table = settle_big_pages(BigPages(rows), 0xFFFF_8000_0000_0000, 0).rows
    size = len(table)
    assert size & (size - 1) == 0
    assert size % 0x1000 == 0
    assert np.count_nonzero(table["state"]) == len(pages)
    held = table["address"].tolist()
    for page in pages:
        number = (0xFFFF_8000_0000_0000 + page * 4096) >> 12
        at = (number ^ number >> 8 ^ number >> 16 ^ number >> 24) & size - 1
        while held[at] >> 12 != number:
            assert held[at], "an empty slot ends the search"
            at = at + 1 & size - 1
