from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.linked_lists import PageCache, walk_list

HEAD = {4: 0x80550000, 8: 0xFFFFF80002A50000}


def write_list(memory: Any, head: int, entries: Sequence[int]) -> None:
    ring = [head, *entries, head]
    for i in range(1, len(ring) - 1):
        memory.put(ring[i], ring[i + 1], ring[i - 1])
    memory.put(head, ring[1], ring[-2])


@pytest.fixture(params=[4, 8])
def ring(request: pytest.FixtureRequest, fake_memory: Callable[[int], Any]) -> tuple[Any, int, list[int]]:
    """A list of six entries, each on a page of its own."""
    memory = fake_memory(request.param)
    head = HEAD[request.param]
    entries = [head + 0x10000 + 0x1000 * i for i in (3, 0, 5, 1, 4, 2)]
    write_list(memory, head, entries)
    return memory, head, entries


def test_a_sound_list_is_given_in_its_order(ring: tuple[Any, int, list[int]]) -> None:
    memory, head, entries = ring
    walk = walk_list(Reader(memory), head)
    assert (walk.entries.tolist(), walk.whole, walk.says) == (entries, True, None)


def test_an_empty_list_points_to_itself(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    memory.put(HEAD[8], HEAD[8], HEAD[8])
    walk = walk_list(Reader(memory), HEAD[8])
    assert (walk.entries.tolist(), walk.whole, walk.says) == ([], True, None)


def test_a_head_that_was_never_filled_is_no_empty_list(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    memory.put(HEAD[8], 0, 0)
    walk = walk_list(Reader(memory), HEAD[8])
    assert not walk.whole
    assert walk.says == f"the head of the list at 0x{HEAD[8]:x} was never filled"


def test_a_head_that_is_missing_says_why(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    memory.lose(HEAD[8], Absence.CUT_OFF)
    walk = walk_list(Reader(memory), HEAD[8])
    assert not walk.whole
    assert walk.says is not None
    assert walk.says.endswith("cut off with the end of the file")


def test_a_link_that_leads_back_to_the_head_too_early_does_not_end_the_list(ring: tuple[Any, int, list[int]]) -> None:
    memory, head, entries = ring
    memory.put(entries[2], head)
    walk = walk_list(Reader(memory), head)
    assert (walk.entries.tolist(), walk.whole) == (entries, True)
    assert walk.says == (
        "after 3 entries the list leads back to its head too early; its links from the other end lead over the gap"
    )
    memory.lose(entries[4])
    walk = walk_list(Reader(memory), head)
    assert (walk.entries.tolist(), walk.whole) == (entries[:3] + entries[5:], False)


def test_a_list_that_is_empty_from_one_end_only_is_not_empty(ring: tuple[Any, int, list[int]]) -> None:
    memory, head, entries = ring
    memory.put(head, head)
    walk = walk_list(Reader(memory), head)
    assert (walk.entries.tolist(), walk.whole) == (entries, True)
    assert walk.says is not None


def test_an_entry_that_is_missing_is_jumped_over_from_the_other_end(ring: tuple[Any, int, list[int]]) -> None:
    memory, head, entries = ring
    memory.lose(entries[2])
    walk = walk_list(Reader(memory), head)
    assert walk.entries.tolist() == entries[:2] + entries[3:]
    assert not walk.whole
    assert walk.says == (
        f"after 2 entries the list breaks: the entry at 0x{entries[2]:x} is not in this dump; "
        "3 more could be read from the other end"
    )


def test_two_missing_entries_hide_what_lies_between_them(ring: tuple[Any, int, list[int]]) -> None:
    memory, head, entries = ring
    memory.lose(entries[1])
    memory.lose(entries[4])
    walk = walk_list(Reader(memory), head)
    assert walk.entries.tolist() == [entries[0], entries[5]]
    assert not walk.whole


def test_one_wrong_back_link_loses_nothing(ring: tuple[Any, int, list[int]]) -> None:
    memory, head, entries = ring
    memory.put(entries[3] + memory.pointer_size, 0x1234560)
    walk = walk_list(Reader(memory), head)
    assert walk.entries.tolist() == entries
    assert walk.whole
    assert walk.says is not None
    assert f"0x{entries[3]:x} does not point back to 0x{entries[2]:x}" in walk.says


def test_one_wrong_forward_link_loses_nothing(ring: tuple[Any, int, list[int]]) -> None:
    memory, head, entries = ring
    memory.put(entries[3], 0x1234563)
    walk = walk_list(Reader(memory), head)
    assert walk.entries.tolist() == entries
    assert walk.whole
    assert walk.says is not None
    assert "after 4 entries the list leads to 0x1234563, which is no entry" in walk.says


def test_a_wrong_first_link_is_made_good_from_the_other_end(ring: tuple[Any, int, list[int]]) -> None:
    memory, head, entries = ring
    memory.put(head, entries[2])
    walk = walk_list(Reader(memory), head)
    assert (walk.entries.tolist(), walk.whole) == (entries, True)


def test_a_wrong_last_link_of_the_head_does_not_matter(ring: tuple[Any, int, list[int]]) -> None:
    memory, head, entries = ring
    memory.put(head + memory.pointer_size, 0x10)
    walk = walk_list(Reader(memory), head)
    assert (walk.entries.tolist(), walk.whole, walk.says) == (entries, True, None)


def test_a_loop_ends_the_walk(ring: tuple[Any, int, list[int]]) -> None:
    memory, head, entries = ring
    memory.put(entries[4], entries[1])
    walk = walk_list(Reader(memory), head)
    assert walk.entries.tolist() == entries
    assert walk.says is not None
    assert f"0x{entries[1]:x} does not point back" in walk.says


def test_an_entry_that_leads_to_itself_ends_the_walk(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    entry = HEAD[8] + 0x100
    memory.put(HEAD[8], entry, entry)
    memory.put(entry, entry, entry)
    walk = walk_list(Reader(memory), HEAD[8])
    assert (walk.entries.tolist(), walk.whole) == ([], False)


def test_no_more_than_the_limit_is_read(ring: tuple[Any, int, list[int]]) -> None:
    memory, head, entries = ring
    walk = walk_list(Reader(memory), head, 4)
    assert walk.entries.tolist() == entries[:4]
    assert not walk.whole
    assert walk.says is not None
    assert "more than 4 entries" in walk.says


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 12)), max_size=24), st.sampled_from([4, 8]))
def test_links_of_any_kind_end_in_a_result(links: list[tuple[int, int]], width: int) -> None:
    """A few entries whose links are drawn from the same few addresses: every kind of loop and knot."""
    addresses = [0x1000 + 16 * i for i in range(12)] + [0xFFFF_0000]

    class Knot:
        pointer_size = width

        def read(self, address: int, size: int) -> bytes | Absence:
            image = bytearray(0x2000)
            for i, (onward, back) in enumerate(links[:12]):
                image[0x1000 + 16 * i : 0x1000 + 16 * i + 2 * width] = addresses[onward].to_bytes(
                    width, "little"
                ) + addresses[back].to_bytes(width, "little")
            return bytes(image[address : address + size]) if address + size <= len(image) else Absence.NOT_MAPPED

        def gather(self, pages: Any) -> Any:
            raise AssertionError("a walk reads no pages in bulk")

    walk = walk_list(Reader(Knot()), 0x1000)
    found = walk.entries.tolist()
    assert len(found) == len(set(found)) <= 12
    assert walk.whole or walk.says is not None


def test_the_cache_reads_each_page_once(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    memory.put(0x5000, 7, 8)
    cache = PageCache(memory)
    assert cache.read(0x5000, 8) == (7).to_bytes(8, "little")
    memory.put(0x5000, 9)
    assert cache.read(0x5000, 8) == (7).to_bytes(8, "little")
    memory.put(0x6000, 5)
    assert cache.read(0x5FFC, 8) == bytes(4) + (5).to_bytes(4, "little")


def test_a_piece_of_a_page_is_read_where_the_page_is_not_whole() -> None:
    class Pieces:
        pointer_size = 8

        def read(self, address: int, size: int) -> bytes | Absence:
            return b"piece" if (address, size) == (0x5010, 5) else Absence.NOT_IN_DUMP

        def gather(self, pages: Any) -> Any:
            raise AssertionError

    assert PageCache(Pieces()).read(0x5010, 5) == b"piece"
    assert PageCache(Pieces()).read(0x5020, 5) is Absence.NOT_IN_DUMP
