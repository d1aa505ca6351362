"""Blocks counted by pool: bytes, free runs, and the pages that a few live bytes hold."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.pool.block_stats import BlockStats
from poolsleuth.kernel.pool.blocks import BLOCK, Blocks, Kind, Pool

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
