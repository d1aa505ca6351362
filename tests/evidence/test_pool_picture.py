"""The map of a debugger's log: its cells, what was left out, and what is not known."""

import io
from pathlib import Path

import pytest

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.evidence.pool_picture import picture_of_log
from poolsleuth.model.errors import InputError
from poolsleuth.model.pool_picture import PageKind, PageMark, PoolPicture
from poolsleuth.model.tags import PoolKind
from poolsleuth.report.pool_map.plain import cells_of

SEED = Path(__file__).parents[3] / "shared" / "seeds" / "002_3328612633af358e.txt"
HEAD = """0: kd> !w2kfre\\kdex2x86.xpool -map
Status Map of Pool Area Pages
==============================
  '.': one page not used

Non-Paged Pool Area Summary
----------------------------
Maximum Number of Pages  = 64640 pages
Number of Pages In Use   = 36721 pages (56.8%)

          +00000  +08000   +10000  +18000   +20000  +28000   +30000  +38000
"""
FIRST = "82780000: ..OO.OO.OO..O.OO .O..OO.OO.OO..O. OO.O..OO.O..OO.. ..OO.O..OO.OO.OO\n"
SECOND = "827c0000: <===>.<>{--}PP.. ................ ................ ..............=.\n"


def read(text: str) -> PoolPicture:
    return picture_of_log(LogReader(0).read(io.BytesIO(text.encode())), "kd.log")


def test_cells_survive() -> None:
    found = read(HEAD + FIRST + SECOND + "...\n")
    (pool,) = found.pools
    assert (pool.pool, found.bits, found.source) == (PoolKind.NONPAGED, 32, "log")
    assert [(area.address, area.pages) for area in pool.areas] == [(0x82780000, 128)]
    printed = "".join(FIRST.split()[1:] + SECOND.split()[1:])
    assert cells_of(pool).tobytes().decode() == printed
    f = pool.figures
    # "= 64640 pages" and "= 36721 pages" are the machine's; the rest is what the rows show
    assert (f.maximum, f.in_use) == (64640, 36721)
    assert (f.live_bytes, f.pinned, f.largest_free) == (None, None, None)
    assert f.paged_out == len("{--}PP")
    assert not pool.complete
    assert any("left out" in sentence for sentence in found.says)


def test_rows_that_were_left_out_are_no_unused_pages() -> None:
    far = SECOND.replace("827c0000", "893c0000")
    (pool,) = read(HEAD + FIRST + "...\n" + far).pools
    assert [(area.address, area.pages, area.first) for area in pool.areas] == [
        (0x82780000, 64, 0),
        (0x893C0000, 64, 64),
    ]
    assert pool.figures.largest_gap == 48  # in the second row, between the last P and the =


def test_a_row_that_was_printed_twice_counts_once() -> None:
    (pool,) = read(HEAD + FIRST + FIRST + SECOND).pools
    assert pool.pages == 128


def test_marks() -> None:
    (pool,) = read(HEAD + SECOND).pools
    first, last, inside, out = PageMark.FIRST, PageMark.LAST, PageMark.INSIDE, PageMark.OUT
    assert list(pool.marks[:13]) == [
        first, inside, inside, inside, last, 0, first, last, out | first, out | inside, out | inside, out | last, out
    ]  # fmt: skip
    assert pool.kinds[5] == PageKind.FREE


def test_the_last_map_of_a_pool_is_drawn() -> None:
    found = read(HEAD + FIRST + "\n" + HEAD + SECOND)
    assert [pool.areas[0].address for pool in found.pools] == [0x827C0000]
    assert any("2 maps" in sentence for sentence in found.says)


def test_a_log_without_a_map_is_refused() -> None:
    with pytest.raises(InputError, match="xpool -map"):
        read("0: kd> !vm\n")


def test_the_seed() -> None:
    if not SEED.exists():
        pytest.skip("the seed is absent")
    (pool,) = read(SEED.read_text("utf-8")).pools
    # 12 rows from 82780000 on and 11 from 893c0000 on, of 64 cells each
    assert [(area.address, area.pages) for area in pool.areas] == [(0x82780000, 12 * 64), (0x893C0000, 11 * 64)]
