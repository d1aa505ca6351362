"""Tags: numbers of four letters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.pool.tags import hash_slots, printable, strip_protected, tag_text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"Thre", "Thre"),
        (b"Ddk ", "Ddk"),
        (b"Ddk\xa0", "Ddk"),  # bit 31 of "Ddk "
        (b"Pro\xe3", "Proc"),  # the protected tag of processes
        (b"Io\0\0", "Io.."),
        (b"A\x01\x7fB", "A..B"),
        (b" a b", " a b"),
        (b"    ", "    "),
        (b"\xe9\xfcab", "..ab"),
    ],
)
def test_text(raw: bytes, text: str) -> None:
    assert tag_text(int.from_bytes(raw, "little")) == text


@given(st.integers(0, 0xFFFFFFFF))
def test_every_number_has_a_text_of_one_to_four_printable_letters(key: int) -> None:
    text = tag_text(key)
    assert 1 <= len(text) <= 4
    assert text.isprintable()
    assert text.isascii()
    assert text == tag_text(key ^ 0x80000000)


@given(st.lists(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=20), st.integers(1, 16))
def test_hash_as_it_is_written_down(keys: list[int], bits: int) -> None:
    mask = (1 << bits) - 1
    expected = [((40543 * key) ^ ((40543 * key) >> 32)) & mask for key in keys]
    assert hash_slots(np.array(keys, np.uint32), mask).tolist() == expected


def test_printable() -> None:
    raws = [b"Thre", b"Io\0\0", b"\0Io\0", b"I\0o ", b"A\x01BC", b"\0\0\0\0", b"Pro\xe3"]
    keys = np.array([int.from_bytes(raw, "little") for raw in raws], np.uint32)
    assert printable(keys).tolist() == [True, True, False, False, False, False, True]


def test_protected_bit() -> None:
    assert strip_protected(np.array([0xE36F7250, 0x636F7250], np.uint32)).tolist() == [0x636F7250] * 2
