import numpy as np
import pytest

from poolsleuth.lab.allocator.classic import ClassicPool
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.leaks import ALL_LAID, MOST_LAID, lay_big, lay_blocks
from poolsleuth.lab.machine import BIG_PAGE_ROW, IN_USE, PAGE


@pytest.mark.parametrize(
    ("count", "each", "laid"),
    [(50, 1024, 50), (ALL_LAID + 1, 64, MOST_LAID), (ALL_LAID, 1024, MOST_LAID), (10, PAGE, 0), (10, 1030, 0)],
    ids=["all", "too many", "too large", "whole pages", "no size of blocks"],
)
def test_how_much_of_a_leak_is_in_memory(count: int, each: int, laid: int) -> None:
    pool = ClassicPool("nonpaged", 8, 7601)
    assert lay_blocks(pool, 8, "Leak", count, each) == laid
    use = pool.uses().get("Leak")
    counted = (0, 0) if use is None else (use.outstanding, use.bytes)
    assert counted == (laid, each * laid)


def test_without_a_pool_nothing_is_laid() -> None:
    assert lay_blocks(None, 8, "Leak", 10, 64) == 0


def test_big_allocations_lie_behind_the_others_of_their_pool() -> None:
    rows = np.zeros(2, BIG_PAGE_ROW)
    rows["address"], rows["bytes"], rows["pool_type"], rows["state"] = (0x5000, 0x9000), 0x1001, (0, 1), IN_USE
    windows = windows_named("19041-x64")
    more = lay_big(windows, rows, "Leak", "nonpaged", 3)[2:]
    assert more["address"].tolist() == [0x8000, 0xB000, 0xE000]
    assert set(more["pool_type"].tolist()) == {0x200}
    assert set(lay_big(windows, rows, "Leak", "paged", 3)["address"][2:].tolist()) == {0xC000, 0xF000, 0x12000}
