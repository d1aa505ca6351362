"""What the pages of a pool come to."""

from poolsleuth.lab.allocator.classic import ClassicPool
from poolsleuth.lab.allocator.figures import SMALL, figures_of, pages_of, totals_of
from poolsleuth.lab.allocator.headers import tag_number
from poolsleuth.lab.machine import PAGE


def test_an_empty_pool() -> None:
    pages = pages_of(ClassicPool("nonpaged", 8, 7601))
    assert (pages.rows.shape, len(pages.blocks), len(pages.addresses)) == ((0, PAGE), 0, 0)
    figures = figures_of(pages)
    assert (figures.pages, figures.blocks, figures.used_bytes, figures.largest_free) == (0, 0, 0, 0)
    assert totals_of(pages) == {}


def test_pages_that_one_small_block_pins() -> None:
    pool = ClassicPool("nonpaged", 4, 3790)
    first = [pool.allocate(0xE00, "Larg"), pool.allocate(0xE00, "Larg")]  # two pages: no second one fits into one
    pool.allocate(0x1E8, "Rest")  # 1F0 bytes with its header, more than a small block has
    pool.allocate(0x1E0, "Smal")
    pool.allocate(0x8, "Tiny")
    for address in first:
        pool.free(address)
    figures = figures_of(pages_of(pool))
    assert figures.pages == 2
    assert figures.used_bytes == 0x1F0 + 0x1E8 + 0x10
    assert figures.free_bytes == 2 * PAGE - figures.used_bytes
    assert figures.largest_free == PAGE - 0x1F0
    assert figures.pinned_pages == 0
    again = ClassicPool("nonpaged", 4, 3790)
    large = again.allocate(0xE00, "Larg")
    again.allocate(SMALL - 8, "Smal")
    again.free(large)
    figures = figures_of(pages_of(again))
    assert (figures.pages, figures.pinned_pages) == (1, 1)
    assert totals_of(pages_of(again)) == {tag_number("Smal"): (1, SMALL)}
