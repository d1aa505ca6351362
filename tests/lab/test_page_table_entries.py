"""Entries against numbers that were put together by hand from the bits in public symbol files."""

import pytest

from poolsleuth.lab.page_table_entries import EntryLayout, Mode

MASK = 1 << 45


def test_valid_entries() -> None:
    x64 = EntryLayout("x64", 19041)
    assert x64.valid(0x1234, user=False) == 0x8000000001234963
    assert x64.valid(0x1234, user=True) == 0x8000000001234867
    assert x64.valid(0x1200, user=False, large=True) == 0x00000000012009E3
    assert x64.table(0x1234, user=False) == 0x0000000001234863
    assert x64.table(0x1234, user=True) == 0x0A00000001234867
    assert EntryLayout("x64", 3790).table(0x1234, user=True) == 0x0000000001234867
    x86 = EntryLayout("x86", 2600)
    assert (x86.size, x64.size) == (4, 8)
    assert x86.valid(0x1234, user=False) == 0x01234963
    assert x86.valid(0x1000, user=False, large=True) == 0x010009E3
    assert EntryLayout("pae", 7601).pointer_table(0x1234) == 0x01234001
    arm64 = EntryLayout("arm64", 22000)
    # Bit 0 valid, bit 1 table or page: a block has bit 1 clear
    assert arm64.table(0x1234, user=False) & 3 == arm64.valid(0x1234, user=True) & 3 == 3
    assert arm64.valid(0x1200, user=False, large=True) & 3 == 1
    assert arm64.valid(0x1234, user=False) & 0x0003FFFFFFFFF000 == 0x1234000


@pytest.mark.parametrize(
    ("layout", "entry"),
    [
        (EntryLayout("x86", 2600), 0x01234880),
        (EntryLayout("pae", 7601), 0x01234880),
        (EntryLayout("x64", 19041), 0x01234880),
        (EntryLayout("x64", 19041, MASK), 0x0000200001234880),
        (EntryLayout("arm64", 19041, MASK), 0x01234808),
    ],
)
def test_transition(layout: EntryLayout, entry: int) -> None:
    assert layout.transition(0x1234) == entry
    assert entry & 0xC01 == 0x800


@pytest.mark.parametrize(
    ("layout", "entry"),
    [
        (EntryLayout("x86", 2600), 0x05678084),  # number 2 in bits 1 to 4, offset from bit 12
        (EntryLayout("pae", 7601), 0x0000567800000084),
        (EntryLayout("x64", 17134), 0x0000567800000084),
        (EntryLayout("x64", 17763), 0x0000567800002080),  # number in bits 12 to 15
        (EntryLayout("pae", 17763), 0x0000567800002080),
        (EntryLayout("x64", 7601, swizzle_bit=True), 0x0000567800002080),  # serviced: 7601.24540
        (EntryLayout("x64", 19041, MASK), 0x0000767800002080),  # bit 45 turned
        (EntryLayout("arm64", 19041), 0x0000567800000088),  # protection in bits 1 to 5, number in 6 to 9
    ],
)
def test_page_file(layout: EntryLayout, entry: int) -> None:
    assert layout.page_file(2, 0x5678) == entry
    assert entry & 0xC01 == 0


def test_an_entry_that_has_the_bit_already_is_left_as_it_is_and_says_so() -> None:
    layout = EntryLayout("x64", 19041, MASK)
    assert layout.page_file(2, 0x2000) == 0x0000200000002090
    assert layout.transition(1 << 33) == 0x0000200000000890
    assert EntryLayout("x64", 17134, MASK).page_file(2, 0x5678) == 0x0000567800000084  # no swizzle bit, no swizzle


def test_demand_zero() -> None:
    assert EntryLayout("x86", 2600).demand_zero() == 0x80
    assert EntryLayout("x64", 19041).demand_zero() == 0x80
    assert EntryLayout("x64", 19041, MASK).demand_zero() == 0x0000200000000080
    assert EntryLayout("arm64", 19041).demand_zero() == 0x08


@pytest.mark.parametrize(
    ("layout", "address", "entry"),
    [
        # Vista and 7: bits 2-9 of the address in bits 1-8, bits 10-30 in bits 11-31
        (EntryLayout("x86", 6002), 0x9A5E73FC, (0x1A5E7000 << 1) | (0x3FC >> 1) | 0x400),
        # Before: the same from the start of paged pool, 7 and 21 bits of (offset / 4)
        (EntryLayout("x86", 2600), 0xE10013FC, (9 << 11) | 0xFE | 0x400),
        (EntryLayout("x86", 3790, paged_pool_base=0xE0000000), 0xE1000008, (0x8000 << 11) | 0x4 | 0x400),
        (EntryLayout("pae", 3790), 0xE1001238, 0xE100123800000400),
        (EntryLayout("x64", 7601), 0xFFFFF8A000001238, 0xF8A0000012380400),
        (EntryLayout("x64", 19041, MASK), 0xFFFFF8A000001238, 0xF8A0200012380400),
        (EntryLayout("x64", 19041, MASK), 0xFFFFF8A020001238, 0xF8A0200012380410),
        (EntryLayout("arm64", 22000), 0xFFFFF8A000001238, 0xF8A0000012380400),
    ],
)
def test_prototype(layout: EntryLayout, address: int, entry: int) -> None:
    assert layout.prototype(address) == entry


@pytest.mark.parametrize(("mode", "build"), [("x86", 2600), ("x86", 7601), ("x64", 19041)])
def test_what_cannot_be_written_is_refused(mode: Mode, build: int) -> None:
    layout = EntryLayout(mode, build)
    with pytest.raises(ValueError, match="multiples of 4"):
        layout.prototype(0xE1000002)
    for number, offset in ((16, 1), (0, 0), (1, 1 << 32), (-1, 5)):
        with pytest.raises(ValueError, match="page file 0 to 15"):
            layout.page_file(number, offset)
    if mode == "x86":
        with pytest.raises(ValueError, match="prototype entries lie"):
            layout.prototype(0x1000)
