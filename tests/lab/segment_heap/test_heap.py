"""The allocator: what it hands out never overlaps, what is freed is used again, and the fact sheet's rules hold."""

from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.lab.machine import ALLOCATED, FREE, IN_LOOKASIDE, IN_USE, PAGE
from poolsleuth.lab.segment_heap.contents import DIRECT, LARGE, LFH, VS, HeapContents
from poolsleuth.lab.segment_heap.heap import HEAP_ROOM, LARGE_AT, SegmentHeap
from poolsleuth.lab.segment_heap.lfh import shape_of
from poolsleuth.lab.segment_heap.sizes import block_bytes, bucket_size
from poolsleuth.lab.segment_heap.vs import block_begin

SMALL, BIG = 0xFE0, 0xFE1


def made(*, lookaside_depth: int = 0, lfh_limit: int = 0x200) -> SegmentHeap:
    return SegmentHeap("nonpaged-nx", 1, Random(3), base=0, lookaside_depth=lookaside_depth, lfh_limit=lfh_limit)


def rows(contents: HeapContents) -> dict[int, tuple[int, int, int, int]]:
    """Size, tag, state and kind by address."""
    blocks = contents.blocks
    columns = (blocks[name].tolist() for name in ("address", "size", "tag", "state", "kind"))
    return {address: tuple(rest) for address, *rest in zip(*columns, strict=True)}


def check(contents: HeapContents) -> None:
    """The invariants of a heap, whatever happened to it."""
    ordered = contents.blocks[np.argsort(contents.blocks["address"])]
    ends = ordered["address"] + ordered["size"]
    assert (ends[:-1] <= ordered["address"][1:]).all()
    for segment in contents.segments:
        each = 256 << (12, 16)[segment.context]
        assert segment.at % each == 0
        first = (2, 1)[segment.context]
        assert segment.ranges[0].unit == first
        assert all(a.unit + a.units == b.unit for a, b in pairwise(segment.ranges))
        assert not any(a.kind == b.kind == 0 for a, b in pairwise(segment.ranges))
        assert segment.ranges[-1].unit + segment.ranges[-1].units == 256
    for part in contents.vs:
        assert part.chunks[0] == 0x30
        assert (part.chunks[1:] == part.chunks[:-1] + part.sizes[:-1]).all()
        assert part.chunks[-1] + part.sizes[-1] == part.length
        assert (part.sizes >= 0x20).all()
        assert not (~part.used[1:] & ~part.used[:-1]).any()  # free neighbours are joined
        for chunk, size, begin in zip(
            *(a[part.used].tolist() for a in (part.chunks, part.sizes, part.begins)), strict=True
        ):
            assert block_begin(part.at + chunk, size) == part.at + begin
        inside = part.begins[part.headed]
        told = part.sizes_told[part.headed]
        assert (inside % PAGE + told <= PAGE).all()
        assert (part.begins[part.used & ~part.headed] % PAGE == 0).all()
        for page in part.absent:
            at = np.searchsorted(part.chunks, page, side="right") - 1
            assert not part.used[at]
            assert page >= part.chunks[at] + 0x20
            assert page + PAGE <= part.chunks[at] + part.sizes[at]
    for lfh in contents.lfh:
        places = lfh.first + np.arange(len(lfh.busy)) * lfh.size
        assert places[-1] + lfh.size <= lfh.length
        assert lfh.first >= 0x30 + -(-2 * len(lfh.busy) // 64) * 8
        if lfh.size < PAGE:
            assert (lfh.closed == (places % PAGE + lfh.size > PAGE)).all()
        assert not (lfh.closed & lfh.busy).any()


@pytest.mark.parametrize(
    ("size", "bucket"),
    [
        (16, 16),
        (17, 32),
        (1008, 1008),
        (1009, 1072),
        (2032, 2032),
        (2033, 2160),
        (4080, 4080),
        (8176, 8176),
        (16368, 16368),
    ],
)
def test_buckets_have_the_published_steps(size: int, bucket: int) -> None:
    # Fact sheet 4.3: 1-1008 bytes by 16, to 2032 by 64, to 4080 by 128, to 8176 by 256, to 16368 by 512
    assert bucket_size(size) == bucket
    with pytest.raises(ValueError, match="no bucket"):
        bucket_size(16369)


def test_each_part_serves_its_sizes() -> None:
    heap = made()
    small = [heap.allocate(0x50, "Smal") for _ in range(30)]
    chosen = {
        "Chun": heap.allocate(0x300, "Chun"),
        "Wide": heap.allocate(BIG, "Wide"),
        "Last": heap.allocate(0x20000, "Last"),
        "Dire": heap.allocate(0x20001, "Dire"),
        "Most": heap.allocate(0x7F000, "Most"),
        "Next": heap.allocate(0x7F001, "Next"),
        "Larg": heap.allocate(0x7F0001, "Larg"),
    }
    contents = heap.contents()
    check(contents)
    found = rows(contents)
    # The seventeen first blocks of a size come from chunks: then its bucket is opened
    assert [found[at][3] for at in small] == [VS] * 17 + [LFH] * 13
    kinds = {tag: found[at][3] for tag, at in chosen.items()}
    assert kinds == {"Chun": VS, "Wide": VS, "Last": VS, "Dire": DIRECT, "Most": DIRECT, "Next": DIRECT, "Larg": LARGE}
    assert [segment.context for segment in contents.segments] == [0, 1]
    assert chosen["Wide"] % PAGE == 0
    assert chosen["Larg"] == LARGE_AT
    big = heap.big_rows()
    assert {row["tag"].decode(): int(row["bytes"]) for row in big} == {
        "Wide": BIG, "Last": 0x20000, "Dire": 0x20001, "Most": 0x7F000, "Next": 0x7F001, "Larg": 0x7F0001,
    }  # fmt: skip
    assert set(big["address"].tolist()) == {chosen[tag] for tag in ("Wide", "Last", "Dire", "Most", "Next", "Larg")}
    assert (set(big["state"].tolist()), set(big["pool_type"].tolist())) == ({IN_USE}, {0x200})


def test_frees_are_counted_and_used_again() -> None:
    heap = made()
    blocks = [heap.allocate(0x300, "Used") for _ in range(100)]
    pages = heap.pages()
    for at in blocks[::2]:
        heap.free(at)
    assert heap.uses()["Used"].outstanding == 50
    assert heap.uses()["Used"].bytes == 50 * block_bytes(0x300)
    again = [heap.allocate(0x2F0, "Next") for _ in range(50)]
    assert heap.pages() == pages
    assert set(again) & set(blocks[::2])
    for at in blocks[1::2] + again:
        heap.free(at)
    assert heap.contents().blocks["state"].tolist() == []  # the last subsegment is gone, too
    with pytest.raises(KeyError):
        heap.free(again[0])


def test_a_freed_block_keeps_its_header_in_the_one_and_loses_it_in_the_other() -> None:
    heap = made()
    kept = [heap.allocate(0x50, "Kept") for _ in range(40)]
    heap.free(kept[-1])
    gone = heap.allocate(0x300, "Gone")
    held = heap.allocate(0x300, "Held")
    heap.free(gone)
    found = rows(heap.contents())
    assert found[kept[-1]][1:3] == (int.from_bytes(b"Kept", "little"), FREE)
    assert found[held][2] == ALLOCATED
    assert all(tag == 0 for _size, tag, state, kind in found.values() if (state, kind) == (FREE, VS))


def test_freed_blocks_wait_in_lookaside_lists_up_to_their_depth() -> None:
    heap = made(lookaside_depth=2)
    blocks = [heap.allocate(0x400, "Wait") for _ in range(4)]
    for at in blocks[:3]:
        heap.free(at)
    contents = heap.contents()
    found = rows(contents)
    assert [found[at][2] for at in blocks[:2]] == [IN_LOOKASIDE, IN_LOOKASIDE]
    assert found[blocks[3]][2] == ALLOCATED
    assert contents.lookaside == ((8, (blocks[1], blocks[0])),)  # (0x410 - 0x200) / 0x40; the last one in front
    assert heap.uses()["Wait"].outstanding == 1


def test_room_that_a_block_does_not_need_never_moves_it() -> None:
    """A remainder too small for a chunk stays with the block, unless the block would then begin elsewhere."""
    assert block_begin(0x10030, 0x100) == 0x10040
    assert block_begin(0x10F80, 0x100) == 0x11000  # it would cross the page
    assert block_begin(0x10030, 0x1000) == 0x11000  # 0xFF0 bytes of room and more: at a page
    assert block_begin(0x10FF0, 0x1010) == 0x11000


def test_no_more_large_allocations_than_there_is_room_for() -> None:
    heap = made()
    heap.allocate(HEAP_ROOM - LARGE_AT - PAGE, "Huge")
    with pytest.raises(ValueError, match="no room"):
        heap.allocate(0x800000, "More")
    with pytest.raises(ValueError, match="at least one byte"):
        heap.allocate(0, "None")


def test_shapes_of_subsegments() -> None:
    # 0x1000 bytes in blocks of 0x40: 62 fit behind a bitmap of 16 bytes
    assert shape_of(0x1000, 0x40) == (0x40, 63)
    assert shape_of(0x1000, 0x10) == (0x70, 249)


ACTIONS = st.lists(st.tuples(st.booleans(), st.integers(1, 0x9000), st.integers(0, 1 << 20)), min_size=1, max_size=300)


@settings(max_examples=40, deadline=None)
@given(ACTIONS, st.sampled_from([0x200, 0xF70]), st.integers(0, 3))
def test_any_course_of_requests_keeps_the_heap_whole(
    actions: list[tuple[bool, int, int]], limit: int, depth: int
) -> None:
    heap = made(lfh_limit=limit, lookaside_depth=depth)
    living: dict[int, int] = {}
    for free, request, choice in actions:
        if free and living:
            at = sorted(living)[choice % len(living)]
            heap.free(at)
            del living[at]
        else:
            for _ in range(1 + choice % 4):
                at = heap.allocate(request % 0x400 + 1 if choice % 3 else request, "Prop")
                assert at not in living
                living[at] = request
    contents = heap.contents()
    check(contents)
    found = rows(contents)
    assert {at for at, (_, _, state, _) in found.items() if state == ALLOCATED} == set(living)
    assert heap.uses()["Prop"].outstanding == len(living)
