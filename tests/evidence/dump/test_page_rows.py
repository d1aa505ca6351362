"""Rows of pages against the same sums made block by block, and the bounds."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from poolsleuth.evidence.dump import page_rows, picture_columns
from poolsleuth.evidence.dump.page_rows import OTHER, PageRows, TagIndex
from poolsleuth.evidence.dump.picture_columns import Limits, pools_of
from poolsleuth.kernel.pool.blocks import BLOCK, Blocks, Kind, Pool, State
from poolsleuth.model.pool_picture import PAGE, UNKNOWN, BlockMark, PageKind, PageMark, PicturedPool

BASE = 0xFFFF_8000_0000_0000
Row = tuple[int, int, int, Pool, State, Kind]


def blocks_of(rows: list[Row]) -> Blocks:
    found = np.zeros(len(rows), BLOCK)
    for at, (address, size, tag, pool, state, kind) in enumerate(rows):
        found[at] = (address, size, tag, int(pool), int(state), int(kind), 0)
    return found


def nothing(pages: NDArray[np.uint64]) -> NDArray[np.uint8]:
    return np.full(len(pages), int(PageKind.USED), np.uint8)


def pools(*parts: Blocks, chosen: int | None = None, keep: bool = True) -> tuple[PicturedPool, ...]:
    gathered = PageRows(chosen, keep)
    for part in parts:
        gathered.add(part)
    return pools_of(gathered, nothing, Limits())


def shorts(column: bytes) -> list[int]:
    return [int(one) for one in np.frombuffer(column, "<u2")]


def longs(column: bytes) -> list[int]:
    return [int(one) for one in np.frombuffer(column, "<u4")]


@st.composite
def chains(draw: st.DrawFn) -> list[Row]:
    """Blocks one behind the other, some with gaps between, some longer than a page."""
    found = []
    at = BASE
    for _ in range(draw(st.integers(1, 40))):
        at += draw(st.sampled_from((0, 0, 0, 16, 0x1000, 0x5000)))
        size = 16 * draw(st.one_of(st.integers(1, 20), st.integers(1, 800)))
        state = draw(st.sampled_from((State.ALLOCATED, State.FREE, State.IN_LOOKASIDE)))
        found.append((at, size, draw(st.sampled_from((1, 2, 3))), Pool.NONPAGED, state, Kind.VS))
        at += size
    return found


@settings(deadline=None, max_examples=40)
@given(chains())
def test_every_page_has_the_sums_of_its_blocks(rows: list[Row]) -> None:
    live: Counter[int] = Counter()
    free: Counter[int] = Counter()
    gap: dict[int, int] = defaultdict(int)
    by_tag: dict[int, Counter[int]] = defaultdict(Counter)
    for address, size, tag, _pool, state, _kind in rows:
        for page in range(address // PAGE, (address + size - 1) // PAGE + 1):
            inside = min(address + size, (page + 1) * PAGE) - max(address, page * PAGE)
            if state is State.FREE:
                free[page] += inside
                gap[page] = max(gap[page], inside)
                live[page] += 0
            else:
                live[page] += inside
                by_tag[tag][page] += inside
    (pool,) = pools(blocks_of(rows))
    first = min(live)
    places = [area.first + page - area.address // PAGE for page in sorted(live) for area in pool.areas
              if area.address // PAGE <= page < area.address // PAGE + area.pages]  # fmt: skip
    assert len(places) == len(live)
    assert pool.areas[0].address == first * PAGE
    lives, gaps, tags = shorts(pool.live), shorts(pool.gaps), shorts(pool.tags)
    assert [lives[place] for place in places] == [live[page] for page in sorted(live)]
    assert [gaps[place] for place in places] == [gap[page] for page in sorted(live)]
    # Tags 1 to 3 have no letters that can be printed, so that their names are alike
    assert sorted(use.bytes for use in pool.uses) == sorted(sum(pages.values()) for pages in by_tag.values())
    f = pool.figures
    assert (f.in_use, f.live_bytes, f.free_bytes) == (len(live), sum(live.values()), sum(free.values()))
    pinned = {page for page in live if 0 < live[page] <= PAGE / 10}
    assert f.pinned == len(pinned)
    assert f.pinned_bytes == sum(live[page] for page in pinned)
    marks = np.frombuffer(pool.marks, np.uint8)
    assert int(np.count_nonzero(marks & int(PageMark.PINNED))) == len(pinned)
    # The tag of a page is one of those with most bytes in it
    for place, page in zip(places, sorted(live), strict=True):
        found = tags[place]
        most = max((pages[page] for pages in by_tag.values()), default=0)
        assert (found == UNKNOWN) == (most == 0)


@settings(deadline=None, max_examples=30)
@given(chains())
def test_pieces_join_to_the_blocks(rows: list[Row]) -> None:
    (pool,) = pools(blocks_of(rows))
    table = pool.blocks
    assert table is not None
    assert table.left_out == 0
    addresses = {area.first + n: area.address + n * PAGE for area in pool.areas for n in range(area.pages)}
    starts, offsets, sizes = longs(table.starts), shorts(table.offsets), shorts(table.sizes)
    found: list[tuple[int, int, bool]] = []
    for at, place in enumerate(longs(table.pages)):
        for piece in range(starts[at], starts[at + 1]):
            begin, size = offsets[piece], sizes[piece]
            mark = table.marks[piece]
            if mark & BlockMark.FROM_BEFORE:
                address, before, _ = found[-1]
                found[-1] = (address, before + size, bool(mark & BlockMark.GOES_ON))
            else:
                found.append((addresses[place] + begin, size, bool(mark & BlockMark.GOES_ON)))
    assert found == [(address, size, False) for address, size, *_ in rows]


def test_allocations_of_whole_pages() -> None:
    rows = [
        (BASE, 3 * PAGE, 0x6B617453, Pool.PAGED, State.ALLOCATED, Kind.LARGE),
        (BASE + 5 * PAGE, 5000, 0x6B617453, Pool.PAGED, State.ALLOCATED, Kind.BIG_PAGE),
        (BASE + 8 * PAGE, PAGE, 0x6B617453, Pool.PAGED, State.FREE, Kind.SEGMENT),
        (BASE + 9 * PAGE, PAGE, 0x6B617453, Pool.PAGED, State.ALLOCATED, Kind.SEGMENT),
    ]
    (pool,) = pools(blocks_of(rows))
    free, whole = PageKind.FREE, PageKind.WHOLE
    assert list(pool.kinds) == [whole, whole, whole, free, free, whole, whole, free, free, whole]
    first, last, inside = PageMark.FIRST, PageMark.LAST, PageMark.INSIDE
    assert list(pool.marks) == [first, inside, last, 0, 0, first, last, 0, 0, 0]
    assert shorts(pool.live) == [PAGE, PAGE, PAGE, 0, 0, PAGE, 904, 0, 0, PAGE]
    assert pool.allocations is not None
    assert longs(pool.allocations.pages) == [0, 5, 9]
    assert [int(one) for one in np.frombuffer(pool.allocations.sizes, "<u8")] == [3 * PAGE, 5000, PAGE]
    assert pool.figures.live_bytes == 4 * PAGE + 5000
    assert [(use.tag, use.bytes, use.pages) for use in pool.uses] == [("Stak", 4 * PAGE + 5000, 6)]


def test_a_page_of_the_table_of_allocations_is_not_carved() -> None:
    carved = blocks_of([(BASE, PAGE, 7, Pool.NONPAGED, State.ALLOCATED, Kind.CLASSIC)])
    whole = blocks_of([(BASE, PAGE, 9, Pool.NONPAGED, State.ALLOCATED, Kind.BIG_PAGE)])
    (pool,) = pools(carved, whole)
    assert list(pool.kinds) == [PageKind.WHOLE]
    assert pool.figures.in_use == 1


def test_both_kinds_of_nonpaged_memory_are_one_pool() -> None:
    rows = [
        (BASE, 64, 1, Pool.NONPAGED, State.ALLOCATED, Kind.CLASSIC),
        (BASE + PAGE, 64, 2, Pool.NONPAGED_NX, State.ALLOCATED, Kind.CLASSIC),
    ]
    (pool,) = pools(blocks_of(rows))
    assert pool.figures.in_use == 2
    assert pool.figures.pinned_by == (("....", 1), ("....", 1))


def test_of_a_page_that_is_only_guessed_nothing_is_claimed() -> None:
    rows = [(BASE, 64, 1, Pool.NONPAGED, State.UNKNOWN, Kind.HEURISTIC)]
    (pool,) = pools(blocks_of(rows))
    assert list(pool.kinds) == [PageKind.USED]
    assert shorts(pool.live) == [UNKNOWN]
    assert (pool.figures.pinned, pool.figures.live_bytes, pool.figures.unknown) == (0, 0, 1)


def test_the_pool_of_a_page_is_guessed_from_its_neighbours_only() -> None:
    rows = [
        (BASE, 64, 1, Pool.PAGED, State.ALLOCATED, Kind.CLASSIC),
        (BASE + 3 * PAGE, PAGE, 0, Pool.UNKNOWN, State.FREE, Kind.CLASSIC),
        (BASE + 900_000 * PAGE, PAGE, 0, Pool.UNKNOWN, State.FREE, Kind.CLASSIC),
    ]
    paged, unknown = pools(blocks_of(rows))
    assert (paged.figures.in_use, unknown.figures.in_use, unknown.pool) == (2, 1, None)


def test_sessions_are_apart() -> None:
    block = blocks_of([(BASE, 64, 1, Pool.SESSION, State.ALLOCATED, Kind.CLASSIC)])
    gathered = PageRows(None, True)
    gathered.add(block, 1)
    gathered.add(block, 2)
    found = pools_of(gathered, nothing, Limits())
    assert [(pool.session, pool.figures.in_use, pool.figures.live_bytes) for pool in found] == [(1, 1, 64), (2, 1, 64)]


def test_pages_far_apart_are_areas_of_their_own() -> None:
    rows = [
        (BASE + n * PAGE, 64, 1, Pool.NONPAGED, State.ALLOCATED, Kind.CLASSIC) for n in (0, 1, 5, 2000, 2001, 900_000)
    ]
    (pool,) = pools(blocks_of(rows))
    assert [(area.address - BASE, area.pages, area.first) for area in pool.areas] == [
        (0, 6, 0), (2000 * PAGE, 2, 6), (900_000 * PAGE, 1, 8)
    ]  # fmt: skip


def test_what_the_gaps_are() -> None:
    rows = [(BASE + n * PAGE, 64, 1, Pool.PAGED, State.ALLOCATED, Kind.CLASSIC) for n in (0, 3)]
    gathered = PageRows()
    gathered.add(blocks_of(rows))

    def look_at(pages: NDArray[np.uint64]) -> NDArray[np.uint8]:
        assert pages.tolist() in ([BASE // PAGE + 1, BASE // PAGE + 2], [])
        return np.array([PageKind.MISSING, PageKind.PAGED_OUT][: len(pages)], np.uint8)

    (pool,) = pools_of(gathered, look_at, Limits(paged=100))
    assert list(pool.kinds) == [PageKind.BLOCKS, PageKind.MISSING, PageKind.PAGED_OUT, PageKind.BLOCKS]
    f = pool.figures
    assert (f.in_use, f.missing, f.paged_out, f.maximum, f.largest_gap) == (3, 1, 1, 100, 0)


def test_the_tag_that_was_asked_for() -> None:
    rows = [
        (BASE, 64, 1, Pool.PAGED, State.FREE, Kind.CLASSIC),
        (BASE + 64, 64, 2, Pool.PAGED, State.ALLOCATED, Kind.CLASSIC),
        (BASE + PAGE, 64, 1, Pool.PAGED, State.ALLOCATED, Kind.CLASSIC),
    ]
    (pool,) = pools(blocks_of(rows), chosen=1)
    assert [bool(mark & PageMark.CHOSEN) for mark in pool.marks] == [False, True]


def test_pages_of_a_free_chunk_that_were_given_back_are_not_of_the_pool() -> None:
    rows = [
        (BASE, 64, 1, Pool.NONPAGED, State.ALLOCATED, Kind.VS),
        (BASE + 64, 4 * PAGE, 1, Pool.NONPAGED, State.FREE, Kind.VS),
        (BASE + 64 + 4 * PAGE, 64, 1, Pool.NONPAGED, State.ALLOCATED, Kind.VS),
    ]
    gathered = PageRows()
    gathered.add(blocks_of(rows))

    def look_at(pages: NDArray[np.uint64]) -> NDArray[np.uint8]:
        kinds = np.full(len(pages), int(PageKind.FREE), np.uint8)
        kinds[pages == np.uint64(BASE // PAGE + 2)] = PageKind.USED
        return kinds

    (pool,) = pools_of(gathered, look_at, Limits())
    blocks, free = PageKind.BLOCKS, PageKind.FREE
    assert list(pool.kinds) == [blocks, free, blocks, free, blocks]
    assert (pool.figures.in_use, pool.figures.largest_free) == (3, 4 * PAGE)


# ---- bounds ----


def test_more_tags_than_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_rows, "MAX_TAGS", 2)
    index = TagIndex()
    assert index.places(np.array([5, 7, 9, 5], np.uint32)).tolist() == [0, 1, OTHER, 0]
    assert index.places(np.array([9, 7], np.uint32)).tolist() == [OTHER, 1]


@pytest.mark.parametrize("kind", [Kind.CLASSIC, Kind.BIG_PAGE])
def test_more_pages_than_the_map_has_room_for(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_rows, "MAX_PAGES", 3)
    gathered = PageRows()
    gathered.add(blocks_of([(BASE + n * PAGE, PAGE, 1, Pool.PAGED, State.ALLOCATED, kind) for n in range(5)]))
    (pool,) = pools_of(gathered, nothing, Limits())
    assert gathered.cut
    assert (pool.pages, pool.complete) == (3, False)


def test_an_absurd_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_rows, "MAX_RUN", 16)
    rows = [(BASE + n * PAGE * 100, 1 << 60, 1, Pool.PAGED, State.ALLOCATED, Kind.LARGE) for n in range(3)]
    (pool,) = pools(blocks_of(rows))
    assert pool.figures.in_use == 48


def test_more_places_than_the_map_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_columns, "MAX_AREAS", 2)
    rows = [(BASE + n * 5000 * PAGE, 64, 1, Pool.PAGED, State.ALLOCATED, Kind.CLASSIC) for n in range(4)]
    gathered = PageRows()
    gathered.add(blocks_of(rows))
    (pool,) = pools_of(gathered, nothing, Limits())
    assert (len(pool.areas), pool.pages, gathered.cut) == (2, 2, True)


def test_blocks_of_pinned_pages_are_kept_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_rows, "MAX_PIECES", 4)
    monkeypatch.setattr(page_rows, "MAX_PINNED_PIECES", 2)
    rows = []
    for page in range(6):
        pinned = page >= 3
        for n in range(2):
            size = 64 if pinned else 2048
            address = BASE + page * PAGE + n * 2048
            rows.append((address, size, 1, Pool.PAGED, State.FREE if pinned and n else State.ALLOCATED, Kind.CLASSIC))
    (pool,) = pools(blocks_of(rows))
    assert pool.blocks is not None
    # Two full pages fill the first bound, one pinned page the second
    assert longs(pool.blocks.pages) == [0, 1, 3]
    assert pool.blocks.left_out == 3


def test_allocations_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_rows, "MAX_ALLOCATIONS", 2)
    rows = [(BASE + n * PAGE, PAGE, 1, Pool.PAGED, State.ALLOCATED, Kind.LARGE) for n in range(5)]
    (pool,) = pools(blocks_of(rows))
    assert pool.allocations is not None
    assert (len(longs(pool.allocations.pages)), pool.allocations.left_out) == (2, 3)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, (1 << 64) - 1), st.integers(0, 1 << 40), st.integers(0, 5)), max_size=30))
def test_any_blocks_give_a_map(rows: list[tuple[int, int, int]]) -> None:
    kinds = (Kind.CLASSIC, Kind.VS, Kind.LARGE, Kind.BIG_PAGE, Kind.SEGMENT, Kind.HEURISTIC)
    made = blocks_of([(a, min(s, 1 << 22), a & 0xFF, Pool.PAGED, State.ALLOCATED, kinds[k]) for a, s, k in rows])
    for pool in pools(made):
        assert pool.pages == sum(area.pages for area in pool.areas) == len(pool.marks) == len(pool.live) // 2
