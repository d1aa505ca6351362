"""Sentences about all blocks of a pool."""

from dataclasses import replace

from poolsleuth.model.facts import Where
from poolsleuth.model.pool import PoolPages, PoolReconciliation, TagDifference
from poolsleuth.model.tags import PoolKind
from poolsleuth.patterns.blocks_of_pool import accounted, blocks_say, doubts

# The article's page a hundred times (0x18 live bytes of ReEv in the middle), and twenty full ones
SUMMARY = PoolPages(
    where=Where(0),
    pool=PoolKind.NONPAGED,
    pages=120,
    blocks=340,
    live_bytes=100 * 0x18 + 20 * 4096,
    free_bytes=100 * (0xA20 + 0x5C8),
    largest_free=0xA20,
    pinned=100,
    pinned_bytes=100 * 0x18,
    pinned_by=(("ReEv", 100),),
    pinned_runs=((0xA20, 100),),
    unreadable=0,
    single=100,
    single_by=(("ReEv", 100),),
    free_runs=((0x5C8, 100), (0xA20, 100)),
    packed_pages=21,
)
BALANCE = PoolReconciliation(
    where=Where(0),
    pool=PoolKind.NONPAGED,
    session=None,
    counted=1_000_000,
    found=987_000,
    certain=True,
    waiting=4096,
    unknown=0,
    absent=8192,
    agreeing=50,
    different=2,
    differences=(
        TagDifference(tag="Leak", counted=100_000, found=500_000, explained=False),
        TagDifference(tag="File", counted=90_000, found=10_000, explained=True),
    ),
)


def test_what_the_blocks_say() -> None:
    pinned, runs, packed = (reason.says for reason in blocks_say(SUMMARY, 0xF18))
    assert "100 of 120 pages" in pinned
    assert "by blocks of ReEv (100); each of them by one block alone" in pinned
    assert "0xA20 (100), 0x5C8 (100)" in runs
    assert "21 pages instead of 120: 99 more blocks of 0xF18 bytes would have fitted" in packed
    # 100 pages, whose 2,400 live bytes fit into one
    assert SUMMARY.pinned_to_gain == 99
    assert "at most 396 KB" in packed


def test_where_not_all_sizes_are_listed_no_share_of_all_is_given() -> None:
    _pinned, runs, _packed = (reason.says for reason in blocks_say(replace(SUMMARY, runs_complete=False), 0xF18))
    assert "200 free blocks of the largest sizes; most in runs" in runs


def test_without_a_request_nothing_is_said_of_the_remedy() -> None:
    says = " ".join(reason.says for reason in blocks_say(SUMMARY, None))
    assert "fitted" not in says
    assert "whole pages" not in says


def test_nothing_is_said_of_packing_where_it_is_not_known() -> None:
    bare = replace(SUMMARY, packed_pages=None, free_runs=())
    assert len(blocks_say(bare, 0xF18)) == 1
    assert bare.fitting_if_packed(0xF18) is None


def test_doubts() -> None:
    assert doubts([SUMMARY]) == []
    assert "constructed heaps only" in doubts([replace(SUMMARY, allocator="segment heap")])[0].says
    assert "heuristic" in doubts([replace(SUMMARY, allocator="scan")])[0].says
    (absent,) = doubts([replace(SUMMARY, paged_out=70, not_in_dump=0, never_touched=3)])
    assert "70 paged out, 3 never touched" in absent.says


def test_how_much_of_the_tags_was_found() -> None:
    says = accounted(BALANCE).says
    assert "account for 98.7 % of the bytes that tags count" in says
    assert "wait in lookaside lists" in says
    # What pages that are not there explain is no difference
    assert "no such reason explains the difference of 1 tag, most: Leak (more)" in says
    assert accounted(replace(BALANCE, counted=0)).says.startswith("the tag tables count nothing")
