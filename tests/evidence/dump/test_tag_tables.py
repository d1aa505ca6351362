"""A row to which a processor's table is missing says nothing: it is left out, and the table is cut."""

import numpy as np
import pytest

from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.evidence.dump.tag_tables import tag_table
from poolsleuth.kernel.pool.tag_totals import Counters, TagTotals
from poolsleuth.model.facts import Problem
from poolsleuth.model.tags import Completeness


def totals(certain: list[bool], *, complete: bool) -> TagTotals:
    ones = np.ones(len(certain), np.uint64)
    used = Counters(ones * np.uint64(9), ones * np.uint64(4), np.full(len(certain), 5), np.full(len(certain), 640))
    nothing = Counters(
        ones * np.uint64(0), ones * np.uint64(0), np.zeros(len(certain), int), np.zeros(len(certain), int)
    )
    return TagTotals(
        keys=np.array([int.from_bytes(b"Tag%d" % n, "little") for n in range(len(certain))], np.uint32),
        nonpaged=used,
        paged=nothing,
        certain=np.array(certain),
        complete=complete,
        tables_read=1,
        tables_expected=2,
        rows=1025,
        rows_missing=0,
        expansion_read=True,
        layout=None,
        says=(),
    )


@pytest.mark.parametrize(
    ("certain", "complete", "shown", "completeness"),
    [
        ([True, True], True, ["Tag0", "Tag1"], Completeness.COMPLETE),
        ([True, False], False, ["Tag0"], Completeness.CUT),
        ([True, False], True, ["Tag0"], Completeness.CUT),  # whatever the totals say of themselves
        ([True, True], False, ["Tag0", "Tag1"], Completeness.CUT),
    ],
)
def test_only_certain_rows(certain: list[bool], complete: bool, shown: list[str], completeness: Completeness) -> None:
    problems: list[Problem] = []
    table = tag_table(totals(certain, complete=complete), 0x1000, DumpContext(0, 64, None, problems))
    assert table is not None
    assert [row.tag for row in table.rows] == shown
    assert table.completeness is completeness
    assert [(row.allocs, row.frees, row.outstanding, row.bytes) for row in table.rows] == [(9, 4, 5, 640)] * len(shown)
    assert bool(problems) is (len(shown) < len(certain))


def test_no_certain_row_is_no_table() -> None:
    problems: list[Problem] = []
    assert tag_table(totals([False], complete=False), None, DumpContext(0, 64, None, problems)) is None
    assert "1 rows were left out" in problems[0].says
