"""Blocks counted by pool: bytes, free runs, and the pages that a few live bytes hold."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.pool.block_stats import BlockStats
from poolsleuth.kernel.pool.blocks import BLOCK, Blocks, Kind, Pool, State

PAGE = 4096
Row = tuple[int, int, bytes, int]
"""Size, whether it is free, tag, pool."""


def blocks(pages: list[list[Row]]) -> Blocks:
    rows = []
    for number, page in enumerate(pages):
        at = 0xFFFFFA8000000000 + number * PAGE
        for size, free, tag, pool in page:
            rows.append((at, size, int.from_bytes(tag, "little"), pool, free, Kind.CLASSIC, 0))
            at += size
    return np.array(rows, BLOCK)


ARTICLE = [(0xA20, 1, b"MFE0", 0), (0x18, 0, b"ReEv", 0), (0x5C8, 1, b"NtFs", 0)]
FULL = [(0x800, 0, b"Irp ", 0), (0x800, 0, b"File", 0)]


def test_the_article_s_page_is_pinned_and_a_full_one_is_not() -> None:
    stats = BlockStats()
    stats.add(blocks([ARTICLE, FULL, ARTICLE]))
    pool = stats.pools[Pool.NONPAGED]
    assert (pool.pages, pool.blocks) == (3, 8)
    assert (pool.live_bytes, pool.free_bytes) == (2 * 0x18 + PAGE, 2 * (0xA20 + 0x5C8))
    assert (pool.pinned_pages, pool.pinned_bytes) == (2, 0x30)
    assert pool.pinned_by == {int.from_bytes(b"ReEv", "little"): 2}
    assert pool.free_runs == {0xA20: 2, 0x5C8: 2}
    assert [example["address"][0] & 0xFFF for example in pool.examples] == [0, 0]


def test_a_tag_holds_a_page_once() -> None:
    stats = BlockStats()
    page = [(0x10, 0, b"Aaaa", 2), (0x10, 0, b"Aaaa", 2), (0x10, 0, b"Bbbb", 2), (PAGE - 0x30, 1, b"Cccc", 2)]
    stats.add(blocks([page]))
    pool = stats.pools[Pool.PAGED]
    assert {tag.to_bytes(4, "little"): count for tag, count in pool.pinned_by.items()} == {b"Aaaa": 1, b"Bbbb": 1}


def test_a_page_with_nothing_live_is_not_pinned() -> None:
    stats = BlockStats()
    stats.add(blocks([[(0x800, 1, b"Aaaa", 255), (0x800, 1, b"Bbbb", 255)]]))
    assert stats.pools[Pool.UNKNOWN].pinned_pages == 0


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(1, 30), st.integers(0, 1), st.sampled_from([b"Aaaa", b"Bbbb", b"Cccc"])),
            min_size=1,
            max_size=8,  # 3,840 bytes: within a page
        ),
        max_size=8,
    ),
    st.integers(1, 8),
)
def test_parts_add_up_to_the_whole(pages: list[list[tuple[int, int, bytes]]], step: int) -> None:
    rows = [[(size * 16, free, tag, int(Pool.NONPAGED)) for size, free, tag in page] for page in pages]
    whole, parts = BlockStats(), BlockStats()
    whole.add(blocks(rows))
    for begin in range(0, len(rows), step):
        part = blocks(rows[begin : begin + step])
        part["address"] += np.uint64(begin * PAGE)
        parts.add(part)
    if not rows:
        assert not parts.pools
        return
    one, other = whole.pools[Pool.NONPAGED], parts.pools[Pool.NONPAGED]
    assert (one.pages, one.blocks, one.live_bytes, one.free_bytes) == (
        other.pages,
        other.blocks,
        other.live_bytes,
        other.free_bytes,
    )
    assert (one.pinned_pages, one.pinned_by, one.kinds) == (other.pinned_pages, other.pinned_by, other.kinds)
    assert one.live_bytes == sum(size for page in rows for size, free, *_ in page if not free)


def segment(*rows: tuple[int, int, State, Kind]) -> Blocks:
    """Blocks of a segment heap: offset, size, state and kind."""
    base = 0xFFFFFA80_10000000
    return np.array([(base + at, size, 0x61616141, int(Pool.NONPAGED_NX), s, k, 0) for at, size, s, k in rows], BLOCK)


def test_blocks_over_several_pages_hold_each_of_them() -> None:
    stats = BlockStats()
    used, free = State.ALLOCATED, State.FREE
    stats.add(
        segment(
            (0x030, 0x2800, used, Kind.VS),  # pages 0, 1 and 0x830 bytes of the third
            (0x2840, 0x60, used, Kind.VS),
            (0x28B0, 0x3F00, free, Kind.VS),
            (0x67C0, 0x40, used, Kind.VS),
        ),
        mapped=5,  # of seven: the pages in the middle of the free chunk were given back
    )
    pool = stats.pools[Pool.NONPAGED]
    assert (pool.pages, pool.live_pages, pool.blocks) == (5, 4, 4)
    assert pool.live_bytes == 0x2800 + 0x60 + 0x40
    assert pool.free_bytes == 5 * PAGE - pool.live_bytes
    assert (pool.pinned_pages, pool.pinned_bytes, pool.single_pages) == (1, 0x40, 1)
    assert pool.examples == []  # its free block begins in another page
    assert (pool.classic, pool.heuristic) == (False, False)


def test_allocations_of_whole_pages_are_counted_apart() -> None:
    stats = BlockStats()
    stats.add(
        segment((0, 0x30000, State.ALLOCATED, Kind.SEGMENT), (0x40000, 0x2000, State.ALLOCATED, Kind.BIG_PAGE)),
        mapped=50,
    )
    pool = stats.pools[Pool.NONPAGED]
    assert (pool.pages, pool.blocks, pool.whole_blocks, pool.whole_bytes) == (0, 0, 2, 0x32000)


def test_a_block_that_waits_holds_its_page() -> None:
    stats = BlockStats()
    page = blocks([[(0x40, 0, b"Aaaa", 0), (PAGE - 0x40, 1, b"Bbbb", 0)]])
    page["state"][0] = State.IN_LOOKASIDE
    stats.add(page)
    pool = stats.pools[Pool.NONPAGED]
    assert (pool.live_bytes, pool.waiting_blocks, pool.waiting_bytes) == (0, 1, 0x40)
    assert (pool.pinned_pages, pool.live_pages) == (1, 1)


@given(
    st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 62), st.sampled_from([0, 1, 2, 255])), max_size=9)
)
def test_absurd_sizes_end(rows: list[tuple[int, int, int]]) -> None:
    stats = BlockStats()
    made = sorted(rows)
    stats.add(np.array([(at, size, 1, 0, state, int(Kind.VS), 0) for at, size, state in made], BLOCK), mapped=1)
