"""What a report says of a pool's blocks, beside its bar."""

from poolsleuth.model.report_blocks import FreeRuns, PoolBlocks
from poolsleuth.report.blocks import bars, block_notes, histogram

RUNS = (FreeRuns(512, 10, 6_000), FreeRuns(1024, 12, 18_000), FreeRuns(2048, 30, 72_000))
BLOCKS = PoolBlocks(
    allocator="classic",
    pages=120,
    blocks=300,
    live_bytes=4096,
    free_bytes=96_000,
    waiting_bytes=None,
    largest_free_bytes=0xA20,
    pinned_pages=100,
    packed_pages=7,
    paged_out_pages=None,
    not_in_dump_pages=None,
    counted_bytes=1000,
    found_bytes=987,
    free_runs=RUNS,
)


def test_notes() -> None:
    pages, runs, share = block_notes(BLOCKS)
    assert pages.startswith("blocks: 120 pages hold 4.0 KB in use")
    assert "held by less than a tenth of live bytes: 100; pages if packed: 7" in pages
    assert runs == "free bytes by size of the free block: 512 B+ 6.3 %, 1 KB+ 18.8 %, 2 KB+ 75.0 %"
    assert share == "blocks account for 98.7 % of what tags count"


def test_bars_fill_the_height_and_stand_on_the_ground() -> None:
    drawn = bars(RUNS)
    assert [bar.x for bar in drawn] == [0, 14, 28]
    assert (drawn[2].y, drawn[2].height) == ("0.0", "40.0")
    assert all(float(bar.y) + float(bar.height) == 40 for bar in drawn)
    assert drawn[1].label == "1 KB+: 18.8 %"


def test_nothing_free_draws_nothing() -> None:
    assert (histogram(()), bars(())) == ([], ())


def test_many_sizes_end_in_one_step() -> None:
    many = tuple(FreeRuns(1 << n, 1, 1 << n) for n in range(3, 24))
    assert len(histogram(many)) == 15
    assert histogram(many)[-1][0] == "larger"
