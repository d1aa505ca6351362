"""Column numbers of counters."""

import pytest

from poolsleuth.evidence.counters.pdh_text import columns as module
from poolsleuth.evidence.counters.pdh_text.columns import Columns
from poolsleuth.model.series import CounterPath


def path(instance: str | None, counter: str = "Handle Count", host: str = "H") -> CounterPath:
    return CounterPath(host, "Process", instance, counter)


def test_numbers_go_to_names_that_are_free() -> None:
    columns = Columns(lambda _: True)
    columns.layout((path("a"), path("a#1"), path("a"), path("a"), path("b")))
    assert [p.instance for p in columns.paths] == ["a", "a#1", "a#2", "a#3", "b"]


def test_names_are_numbered_per_counter_and_host() -> None:
    columns = Columns(lambda _: True)
    columns.layout((path("a"), path("a", "ID Process"), path("a", host="G"), path("a", "ID Process")))
    assert [p.instance for p in columns.paths] == ["a", "a", "a", "a#1"]


def test_a_later_header_has_the_same_columns() -> None:
    columns = Columns(lambda _: True)
    first = columns.layout((path("a"), None, path("a"), path(None)))
    again = columns.layout((path(None), path("A"), path("a")))
    assert first.take == [(1, 0), (3, 1), (4, 2)]
    assert again.take == [(1, 2), (2, 0), (3, 1)]
    assert columns.known == 3


def test_a_counter_listed_twice_is_one() -> None:
    columns = Columns(lambda _: True)
    layout = columns.layout((path("_Total"), path("_total"), path(None), path(None)))
    assert (layout.take, layout.twins) == ([(1, 0), (3, 1)], {2: 0, 4: 1})
    assert columns.repeated == 2


def test_unwanted_counters_are_counted_only() -> None:
    columns = Columns(lambda p: p.instance == "b")
    layout = columns.layout((path("a"), path("b"), path("a")))
    assert layout.take == [(2, 0)]
    assert columns.known == 3


def test_counters_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COLUMNS", 2)
    columns = Columns(lambda _: True)
    columns.layout((path("a"), path("b"), path("c")))
    layout = columns.layout((path("d"), path("b")))
    assert layout.take == [(2, 1)]
    assert (columns.known, columns.cut) == (2, 2)
