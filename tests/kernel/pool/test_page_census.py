"""Pages that are not there: which pool they are of, and why they cannot be read."""

import numpy as np

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.pool.blocks import BLOCK, Kind, Pool
from poolsleuth.kernel.pool.page_census import AbsentPages, PageCensus

PAGED, NONPAGED = 0xFFFFF8A0_00000000, 0xFFFFFA80_00000000


def blocks(*rows: tuple[int, Pool]) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    return np.array([(address, 64, 1, int(pool), 0, int(Kind.CLASSIC), 0) for address, pool in rows], BLOCK)


def pages(*addresses: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(addresses, np.uint64) >> np.uint64(12)


def test_a_page_belongs_to_the_pool_round_it() -> None:
    census = PageCensus()
    absent = pages(PAGED + 0x3000, PAGED + 0x4000, PAGED + 0x5000, PAGED + 0x6000, PAGED + 0x4000_0000)
    why = [Absence.PAGED_OUT, Absence.NOT_IN_DUMP, Absence.DEMAND_ZERO, Absence.CUT_OFF, Absence.PAGED_OUT]
    census.add(
        blocks((PAGED + 0x1000, Pool.PAGED), (PAGED + 0x2000, Pool.PAGED), (NONPAGED, Pool.NONPAGED_NX)),
        absent,
        np.array([int(each) for each in why], np.int64),
    )
    census.add(blocks(), pages(NONPAGED + 0x7000), np.array([int(Absence.NOT_IN_DUMP)], np.int64))
    found = census.pools()
    # The page a gigabyte away lies among no blocks: nothing is said of it
    assert found == {
        Pool.PAGED: AbsentPages(paged_out=1, never_touched=1, not_in_dump=2),
        Pool.NONPAGED: AbsentPages(not_in_dump=1),
    }
    assert found[Pool.PAGED].may_hold_blocks == 3


def test_nothing_absent() -> None:
    census = PageCensus()
    census.add(blocks((PAGED, Pool.PAGED)), pages(), np.empty(0, np.int64))
    assert census.pools() == {}
    assert census.whole
