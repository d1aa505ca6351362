"""Singly linked lists: heads in all forms, and lists that end early, run in a circle or lead nowhere."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.pool.slists import MAX_ENTRIES, SlistHead, follow_slists, slist_head

X64 = 0xFFFFFA80_12345670


def test_heads_in_all_forms() -> None:
    assert slist_head(struct.pack("<IHH", 0x81801008, 3, 77), 0x80800000, 4, 3790) == SlistHead(0x81801008, 3)
    # 8 bytes on x64: depth, sequence, bits 4 to 42 of the entry; the rest is that of the head's own address
    low = 2 | 5 << 16 | (X64 & (1 << 43) - 1) >> 4 << 25
    assert slist_head(struct.pack("<QQ", low, 0), 0xFFFFF880_00001000, 8, 6002) == SlistHead(X64, 2)
    assert slist_head(struct.pack("<QQ", 2 | 9 << 16, X64 | 1), 0xFFFFF880_00001000, 8, 7601) == SlistHead(X64, 2)
    # From Windows 8 on the lowest bit says nothing
    assert slist_head(struct.pack("<QQ", 2 | 9 << 16, X64), 0xFFFFF880_00001000, 8, 9600) == SlistHead(X64, 2)
    assert slist_head(bytes(16), 0xFFFFF880_00001000, 8, 6002) == SlistHead(0, 0)


class Links:
    """An address space of pointers; whole pages are not needed."""

    pointer_size = 8

    def __init__(self, links: dict[int, int]) -> None:
        self.links = links

    def read(self, address: int, size: int) -> bytes | Absence:
        return Absence.NOT_MAPPED

    def gather(self, pages: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        data = np.zeros((len(pages), 4096), np.uint8)
        places = np.full(len(pages), int(Absence.NOT_IN_DUMP), np.int64)
        for row, page in enumerate(pages.tolist()):
            for at, value in self.links.items():
                if at // 4096 == page:
                    data[row, at % 4096 : at % 4096 + 8] = np.frombuffer(value.to_bytes(8, "little"), np.uint8)
                    places[row] = 1
        return data, places


A, B, C = X64, X64 + 0x1000, X64 + 0x20


def test_lists_are_followed_together() -> None:
    space = Links({A: B, B: 0, C: 0})
    first, second, empty = follow_slists(space, [SlistHead(A, 2), SlistHead(C, 1), SlistHead(0, 0)])
    assert (first.addresses.tolist(), first.whole) == ([A, B], True)
    assert (second.addresses.tolist(), second.whole) == ([C], True)
    assert (empty.addresses.tolist(), empty.whole) == ([], True)


@pytest.mark.parametrize(
    ("links", "depth", "wanted", "says"),
    [
        ({A: B, B: A}, 9, [A, B], "it runs in a circle"),
        ({A: B, B: 0}, 5, [A, B], "its depth is 5, but it has fewer entries"),
        ({A: B, B: C, C: 0}, 2, [A, B], "its depth is 2, but it has more entries"),
        ({A: 0x1234}, 4, [A], "after 1 entries it leads to 0x1234, which is no entry"),
        ({A: X64 + 0x9000}, 4, [A, X64 + 0x9000], f"what is behind its entry at 0x{X64 + 0x9000:x} cannot be read"),
        ({}, 0, [], f"its depth is 0, but it leads to 0x{A:x}"),
    ],
)
def test_broken_lists(links: dict[int, int], depth: int, wanted: list[int], says: str) -> None:
    (found,) = follow_slists(Links(links), [SlistHead(A, depth)])
    assert (found.addresses.tolist(), found.whole, found.says) == (wanted, False, says)


def test_a_long_circle_ends() -> None:
    (found,) = follow_slists(Links({A: A}), [SlistHead(A, 0xFFFF)])
    assert found.addresses.tolist() == [A]
    assert not found.whole
    assert MAX_ENTRIES < 0xFFFF


@given(st.binary(min_size=16, max_size=16), st.sampled_from([2600, 6002, 7601, 9600]), st.sampled_from([4, 8]))
def test_any_head_gives_an_answer(raw: bytes, build: int, width: int) -> None:
    head = slist_head(raw[: 2 * width], 0xFFFFF880_00001000 if width == 8 else 0x80801000, width, build)
    assert 0 <= head.depth <= 0xFFFF
    assert 0 <= head.first < 1 << 8 * width
