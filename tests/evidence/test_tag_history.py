"""Tag tables over time as columns, in bounded memory."""

import math
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence import tag_history
from poolsleuth.evidence.tag_history import Cells, TagCollector, pool_of, single
from poolsleuth.model.facts import Where
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import Completeness, PoolKind, TagRow, TagTable

FILE = TagKey("File", PoolKind.NONPAGED)
IRP = TagKey("Irp", PoolKind.NONPAGED)
CM = TagKey("CM", PoolKind.PAGED)


def cells(collector: TagCollector, figures: dict[TagKey, tuple[float, float, float]]) -> Cells:
    size, outstanding, allocs = np.array(list(figures.values()), np.float64).reshape(-1, 3).T
    ids = np.array([collector.column(key) for key in figures], np.int64)
    return Cells(ids, size, outstanding, allocs)


def collected(*allocs: dict[TagKey, float]) -> dict[TagKey, list[float]]:
    collector = TagCollector()
    for table in allocs:
        collector.begin()
        collector.add(cells(collector, {key: (1.0, 1.0, count) for key, count in table.items()}))
    _, columns = collector.columns(list)
    return {key: list(column.allocs) for key, column in columns.items()}


@given(tables=st.integers(1, 200), limit=st.integers(1, 60))
@settings(deadline=None)
def test_what_is_kept_is_even_with_the_first_and_the_last(tables: int, limit: int) -> None:
    collector = TagCollector(limit)
    for number in range(tables):
        assert collector.begin() == number
        collector.add(cells(collector, {FILE: (number, 1, 1), CM: (2 * number, 1, 1)}))

    numbers, columns = collector.columns(list)

    assert (numbers[0], numbers[-1]) == (0, tables - 1)
    steps = [b - a for a, b in pairwise(numbers)]
    assert len(set(steps[:-1])) <= 1
    assert len(numbers) <= max(3, limit // 2 + 1)
    assert len(numbers) >= min(tables, limit // 4)
    assert list(columns[FILE].bytes) == numbers
    assert list(columns[CM].bytes) == [2 * number for number in numbers]


def test_a_tag_that_a_table_does_not_show_is_not_known() -> None:
    collector = TagCollector()
    for table in ({FILE: (1.0, 2.0, 3.0)}, {CM: (4.0, 5.0, math.nan)}):
        collector.begin()
        collector.add(cells(collector, table))

    _, columns = collector.columns(list)

    assert math.isnan(columns[FILE].bytes[1])
    assert math.isnan(columns[CM].outstanding[0])
    assert math.isnan(columns[CM].allocs[1])
    assert (columns[FILE].outstanding[0], columns[CM].bytes[1]) == (2, 4)


def test_a_counter_of_32_bits_that_wraps_goes_on() -> None:
    top = float(1 << 32)
    tables = [{FILE: top - 10, IRP: 5.0, CM: 1.0}, {FILE: 20.0, IRP: 6.0, CM: 2.0}, {FILE: 50.0, IRP: 7.0, CM: 3.0}]

    assert collected(*tables)[FILE] == [top - 10, top + 20, top + 50]


def test_a_restart_is_no_wrap() -> None:
    tables = [{FILE: 3e9, IRP: 900.0, CM: 90.0}, {FILE: 20.0, IRP: 6.0, CM: 100.0}]

    assert collected(*tables)[FILE] == [3e9, 20]


def test_counters_of_64_bits_do_not_wrap() -> None:
    tables = [{FILE: 3e9, IRP: 9e9, CM: 90.0}, {FILE: 20.0, IRP: 9.1e9, CM: 100.0}]

    assert collected(*tables)[FILE] == [3e9, 20]


def test_a_fall_from_the_lower_half_is_no_wrap() -> None:
    tables = [{FILE: 1e9, IRP: 9.0, CM: 90.0}, {FILE: 20.0, IRP: 10.0, CM: 100.0}]

    assert collected(*tables)[FILE] == [1e9, 20]


def test_more_tags_than_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_history, "MAX_COLUMNS", 2)
    collector = TagCollector()
    collector.begin()
    collector.add(cells(collector, dict.fromkeys((FILE, IRP, CM), (1.0, 1.0, 1.0))))

    _, columns = collector.columns(list)

    assert list(columns) == [FILE, IRP]
    assert collector.lost == 1


@pytest.mark.parametrize(
    ("word", "pool"),
    [
        ("Nonp", PoolKind.NONPAGED),
        ("NonPaged", PoolKind.NONPAGED),
        ("Non Paged", PoolKind.NONPAGED),
        ("Nonpaged", PoolKind.NONPAGED),
        ("NPaged", PoolKind.NONPAGED),
        (" Paged ", PoolKind.PAGED),
        ("session", PoolKind.SESSION),
        ("Total", None),
        ("", None),
    ],
)
def test_words_for_pools(word: str, pool: PoolKind | None) -> None:
    assert pool_of(word) is pool


def test_a_single_table() -> None:
    at = datetime(2024, 5, 6, tzinfo=UTC)
    where = Where(0, 3)
    table = TagTable(
        where=where,
        at=at,
        rows=(TagRow("File", PoolKind.NONPAGED, None, None, 5, 500, where),),
        pools=frozenset({PoolKind.NONPAGED}),
        completeness=Completeness.COMPLETE,
    )

    history = single(table, at.timestamp(), dated_by="the file's own time", complete=True)

    assert (list(history.times), history.snapshots, history.complete) == ([at.timestamp()], 1, True)
    assert (history.at, history.where, history.dated_by) == (at, where, "the file's own time")
    column = history.columns[FILE]
    assert (list(column.bytes), list(column.outstanding)) == ([500], [5])
    assert math.isnan(column.allocs[0])
    assert single(table, math.nan, dated_by="the file's own time").dated_by == ""
