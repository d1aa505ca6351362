"""Columns of the counters that are wanted."""

import pytest

from poolsleuth.evidence.counters.blg import columns
from poolsleuth.evidence.counters.blg.columns import NO_COLUMN, Columns, numbered
from poolsleuth.evidence.counters.blg.counter_types import Formula
from poolsleuth.evidence.counters.blg.losses import Losses
from poolsleuth.model.series import CounterPath


def path(name: str) -> CounterPath:
    return CounterPath("SRV", "Process", name, "Handle Count")


def test_each_counter_is_asked_for_once() -> None:
    asked: list[CounterPath] = []

    def wanted(one: CounterPath) -> bool:
        asked.append(one)
        return one.instance == "a"

    kept = Columns(wanted, Losses(0), [])
    for _ in range(3):
        assert kept.single(path("a"), Formula.RAW, 1) == 0
        assert kept.single(path("b"), Formula.RAW, 1) == NO_COLUMN
        assert kept.single(path("c"), None, 1) == NO_COLUMN

    assert (kept.series, kept.paths, asked) == (3, [path("a")], [path("a"), path("b")])


def test_more_columns_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MAX_COLUMNS", 2)
    losses = Losses(0)
    kept = Columns(lambda _: True, losses, [])

    assert [kept.single(path(name), Formula.RAW, 1) for name in "abca"] == [0, 1, NO_COLUMN, 0]
    assert losses.problems()[0].says.startswith("1 counter could not be kept")


def test_names_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MAX_SEEN_CHARACTERS", 1000)
    kept = Columns(lambda _: False, Losses(0), [])
    for number in range(500):
        kept.single(path(f"p{number}"), Formula.RAW, 1)

    assert kept.series < 20


def test_numbers_of_names_that_come_again() -> None:
    assert numbered(["a", "b"]) == ["a", "b"]
    assert numbered(["a", "b", "a", "a", "b"]) == ["a", "b", "a#1", "a#2", "b#1"]
