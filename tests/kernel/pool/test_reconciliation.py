"""What was found of each tag against what the tables count, and what explains a difference."""

import numpy as np
import pytest
from numpy.typing import NDArray

from poolsleuth.kernel.pool.big_pages import BigPages, BigTag
from poolsleuth.kernel.pool.blocks import BLOCK, Kind, Pool, State
from poolsleuth.kernel.pool.page_census import AbsentPages
from poolsleuth.kernel.pool.reconciliation import Agreement, BlockTotals, Reconciliation, reconcile
from poolsleuth.kernel.pool.tag_totals import Counters, TagTotals
from poolsleuth.model.tags import PoolKind

MB = 1 << 20
A, B, C = (int.from_bytes(tag, "little") for tag in (b"Aaaa", b"Bbbb", b"Cccc"))
Row = tuple[int, int, Pool, State]
"""Tag, bytes, pool, state."""


def totals(*rows: Row, session: int | None = None) -> BlockTotals:
    found = BlockTotals()
    for tag, size, pool, state in rows:
        found.add(np.array([(0xFFFFFA80_00000000, size, tag, int(pool), int(state), 0, 0)], BLOCK), session)
    return found


def tables(**paged: int) -> TagTotals:
    """Tags with so many bytes in use in paged pool."""
    names = sorted(paged)
    count = len(names)
    sizes = np.array([paged[name] for name in names], np.int64)
    ones, nothing = np.ones(count, np.uint64), np.zeros(count, np.uint64)
    return TagTotals(
        keys=np.array([int.from_bytes(name.encode(), "little") for name in names], np.uint32),
        nonpaged=Counters(nothing, nothing, np.zeros(count, np.int64), np.zeros(count, np.int64)),
        paged=Counters(ones, nothing, np.ones(count, np.int64), sizes),
        certain=np.ones(count, np.bool_),
        complete=True,
        tables_read=1,
        tables_expected=1,
        rows=count,
        rows_missing=0,
        expansion_read=True,
        layout="test",
        says=(),
    )


def big(*rows: tuple[int, int, int]) -> BigPages:
    tags = tuple(BigTag(key, "", PoolKind.PAGED, count, size) for key, count, size in rows)
    return BigPages(table=None, tags=tags, used=0, free=0, strange=0, missing=0, complete=True, says=())


def paged(found: BlockTotals, counted: TagTotals, large: BigPages | None = None, absent: int = 0) -> Reconciliation:
    pages = {Pool.PAGED: AbsentPages(paged_out=absent)} if absent else {}
    return reconcile(found, counted, large, pages)[1]


USED, WAITS = State.ALLOCATED, State.IN_LOOKASIDE


def test_what_agrees() -> None:
    found = totals((A, 3 * MB, Pool.PAGED, USED), (A, 1 * MB, Pool.PAGED, WAITS), (B, MB, Pool.PAGED, USED))
    one = paged(found, tables(Aaaa=3 * MB, Bbbb=MB + 4096))
    assert (one.pool, one.session, one.certain) == (PoolKind.PAGED, None, True)
    assert (one.counted_bytes, one.found_bytes, one.waiting_bytes) == (4 * MB + 4096, 4 * MB, MB)
    assert (one.agreeing, one.rows) == (2, ())
    assert one.share == pytest.approx(0.999, abs=0.001)


def test_allocations_of_whole_pages_count_once_and_may_be_rounded() -> None:
    one = paged(totals((A, MB, Pool.PAGED, USED)), tables(Aaaa=3 * MB), big((A, 500, 2 * MB + 500 * 4000)))
    assert one.rows == ()
    assert one.found_bytes == 3 * MB + 500 * 4000


def test_more_than_is_counted() -> None:
    one = paged(totals((A, 5 * MB, Pool.PAGED, USED), (C, MB, Pool.PAGED, USED)), tables(Aaaa=MB))
    assert [(row.tag, row.agreement, row.counted_bytes) for row in one.rows] == [
        ("Aaaa", Agreement.MORE, MB),
        ("Cccc", Agreement.MORE, 0),
    ]


@pytest.mark.parametrize(("absent", "wanted"), [(0, Agreement.LESS), (600, Agreement.EXPLAINED), (100, Agreement.LESS)])
def test_less_is_explained_by_pages_that_are_not_there(absent: int, wanted: Agreement) -> None:
    one = paged(totals((A, MB, Pool.PAGED, USED)), tables(Aaaa=3 * MB), absent=absent)
    assert [row.agreement for row in one.rows] == [wanted]


def test_blocks_of_an_unknown_pool_explain_as_well() -> None:
    found = totals((A, MB, Pool.PAGED, USED), (A, 2 * MB, Pool.UNKNOWN, USED))
    one = paged(found, tables(Aaaa=3 * MB))
    assert one.unknown_bytes == 2 * MB
    assert [row.agreement for row in one.rows] == [Agreement.EXPLAINED]


def test_both_kinds_of_nonpaged_pool_are_one_and_sessions_are_apart() -> None:
    found = totals((A, MB, Pool.NONPAGED_NX, USED), (A, MB, Pool.NONPAGED, USED))
    found.add(totals_row(B, MB), 3)
    assert found.bytes == {(None, A, PoolKind.NONPAGED): 2 * MB, (3, B, PoolKind.PAGED): MB}
    assert reconcile(found, tables(Aaaa=0), None, {})[0].found_bytes == 0  # the tables count nothing nonpaged


def totals_row(tag: int, size: int) -> NDArray[np.void]:
    return np.array([(0xFFFFF900_00000000, size, tag, int(Pool.SESSION), int(USED), int(Kind.CLASSIC), 1)], BLOCK)


def test_protected_blocks_are_counted_under_their_tag() -> None:
    found = BlockTotals()
    found.add(totals_row(B, MB))
    assert found.protected == 1
