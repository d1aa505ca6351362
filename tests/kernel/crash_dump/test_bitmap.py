"""Bitmaps of any size: the rank of a bit is the place of its page."""

import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.crash_dump.bitmap import MAX_BITS
from poolsleuth.kernel.crash_dump.content import PAGE, DumpContent
from poolsleuth.kernel.crash_dump.dump import open_dump

Writer = Callable[..., bytes]


@given(st.integers(1, 700).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1))))
def test_rank_is_the_number_of_lower_pages(bitmap_dump: Writer, case: tuple[int, set[int]]) -> None:
    bits, present = case
    # The pages themselves are cut off: only where they should lie is asked
    data = bitmap_dump(True, present, bits)[: -len(present) * PAGE] + bytes(len(present) * PAGE)
    dump = open_dump(DumpContent(data))
    assert dump.flaws == ()
    assert dump.memory is not None
    first = len(data) - len(present) * PAGE
    expected = [
        first + sorted(present).index(page) * PAGE if page in present else Absence.NOT_IN_DUMP
        for page in range(bits + 70)
    ]
    assert dump.memory.offsets(np.arange(bits + 70)).tolist() == expected


def test_more_words_than_are_counted_at_a_time(bitmap_dump: Writer) -> None:
    bits = (1 << 17) * 64 + 100  # one word and a half more than a chunk
    present = {0, 77, bits - 65, bits - 1}
    memory = open_dump(DumpContent(bitmap_dump(True, present, bits))).memory
    assert memory is not None
    assert memory.pages == 4
    places = memory.offsets(np.array(sorted(present)))
    assert np.diff(places).tolist() == [PAGE] * 3


def test_a_count_that_is_wrong_is_told_and_the_bits_are_believed(bitmap_dump: Writer) -> None:
    data = bytearray(bitmap_dump(True, {3, 5}, 40))
    struct.pack_into("<Q", data, 0x2028, 7)
    dump = open_dump(DumpContent(bytes(data)))
    assert dump.flaws[0].says == "the dump counts 7 pages, but its bitmap holds 2"
    assert dump.memory is not None
    assert dump.memory.offsets(np.array([3, 4, 5])).tolist() == [0x3000, Absence.NOT_IN_DUMP, 0x4000]


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0x2030, MAX_BITS + 1),
        (0x2030, (1 << 64) - 1),
        (0x2030, 0),
        (0x2028, 41),
        (0x2028, 0),
        (0x2020, 0x3001),
        (0x2020, 0x2000),
        (0x2020, 1 << 63),
    ],
)
def test_a_header_that_cannot_be_true(bitmap_dump: Writer, at: int, value: int) -> None:
    data = bytearray(bitmap_dump(True, {3, 5}, 40))
    struct.pack_into("<Q", data, at, value)
    dump = open_dump(DumpContent(bytes(data)))
    assert dump.memory is None
    assert "cannot be true" in dump.flaws[0].says


def test_a_bitmap_that_is_cut_off(bitmap_dump: Writer) -> None:
    present = set(range(0, 40_000, 3))
    dump = open_dump(DumpContent(bitmap_dump(True, present, 40_000)[: 0x2038 + 13]))
    assert dump.memory is not None
    assert [flaw.says for flaw in dump.flaws] == [
        "the bitmap of pages is cut off after 13 of 5,000 bytes",
        "the dump is truncated: 35 of 35 pages of memory are missing",  # bits 0, 3, ... 102 of 13 bytes
    ]


def test_legacy_count_that_fits_no_place(legacy_dump: Writer) -> None:
    data = bytearray(legacy_dump(False, {3, 5}, 40))
    struct.pack_into("<I", data, 0x1014, 3)
    assert open_dump(DumpContent(bytes(data))).memory is None


def with_words(data: bytes, at: int, words: bytes) -> DumpContent:
    return DumpContent(data[:at] + words + data[at + len(words) :])


def test_legacy_64_bit_bitmap_behind_a_stale_pointer_that_counts_right(legacy_dump: Writer) -> None:
    # Before the bitmap, at +20, lies the pointer to where it was in memory: its low half has nine bits set, too
    present = set(range(1, 10))
    stale = struct.pack("<Q", 0xFFFFFA80_03C5A010)
    dump = open_dump(with_words(legacy_dump(True, present, 32), 0x2000 + 0x20, stale))
    assert dump.memory is not None
    assert np.flatnonzero(dump.memory.offsets(np.arange(32)) >= 0).tolist() == sorted(present)
    assert [flaw.says for flaw in dump.flaws] == [
        "2 places of the bitmap of pages fit the 9 pages that the dump counts: that at +28 is believed, and pages may"
        " be told wrong"
    ]


def test_legacy_32_bit_bitmap_before_another_that_counts_right(legacy_dump: Writer) -> None:
    data = with_words(legacy_dump(False, {3, 5}, 32), 0x1000 + 0x28, struct.pack("<I", 0b11))
    dump = open_dump(data)
    assert dump.memory is not None
    assert np.flatnonzero(dump.memory.offsets(np.arange(32)) >= 0).tolist() == [3, 5]
    assert [flaw.says for flaw in dump.flaws] == [
        "2 places of the bitmap of pages fit the 2 pages that the dump counts: that at +20 is believed, and pages may"
        " be told wrong"
    ]


def test_legacy_places_that_say_the_same_are_no_flaw(legacy_dump: Writer) -> None:
    # Bits behind the last one do not count
    data = with_words(legacy_dump(True, {0, 2}, 20), 0x2000 + 0x20, struct.pack("<I", 0b101 | 1 << 20))
    dump = open_dump(data)
    assert dump.flaws == ()
    assert dump.memory is not None
    assert dump.memory.pages == 2
