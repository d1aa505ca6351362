"""Small charts of a tag's bytes."""

from typing import Any

import pytest

from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.top.view import View
from poolsleuth.top.view_spark import heights

N, P = PoolKind.NONPAGED, PoolKind.PAGED


def test_a_spark_spreads_the_samples_evenly_in_time(leaking: Any) -> None:
    view = View(leaking.tracker)
    spark = view.spark(leaking.number("Leak"), 4)
    assert spark == [pytest.approx(mean * 2.0**20) for mean in (14.5, 44.5, 74.5, 105)]
    assert view.spark(leaking.number("Idle", P), 3) == [4096, 4096, 4096]


def test_few_samples_last_until_the_next(watched: Any) -> None:
    for value in (1, 2, 3):
        watched.then({TagKey("Aaaa", N): (value, 1, 1)})
    assert View(watched.tracker).spark(0, 6) == [1, 1, 1, 2, 2, 3]


def test_a_hole_in_many_samples_is_a_hole(watched: Any) -> None:
    key = TagKey("Aaaa", N)
    for _ in range(20):
        watched.then({key: (1, 1, 1)}, after=1)
    watched.then({key: (1, 1, 1)}, after=61)
    for _ in range(20):
        watched.then({key: (5, 1, 1)}, after=1)
    assert View(watched.tracker).spark(0, 5) == [1, None, None, None, pytest.approx(5 - 4 / 21)]


def test_what_a_cut_table_does_not_show_is_a_hole(watched: Any) -> None:
    for value in range(8):
        tag = "Aaaa" if value in (0, 1, 6, 7) else "Bbbb"
        watched.then({TagKey(tag, N): (value, 1, 1)}, complete=False)
    assert View(watched.tracker).spark(0, 4) == [0.5, None, None, 6.5]


def test_one_sample_or_no_times_make_a_chart_too(watched: Any) -> None:
    key = TagKey("Aaaa", N)
    watched.then({key: (7, 1, 1)})
    assert View(watched.tracker).spark(0, 3) == [7, None, None]
    watched.then({key: (9, 1, 1)}, after=float("nan"))
    assert View(watched.tracker).spark(0, 2) == [7, 9]
    assert View(watched.tracker).sparks([], 5) == []


def test_a_clock_that_was_put_back_makes_a_chart_too(watched: Any) -> None:
    for value, after in enumerate((60.0, 60.0, -90.0, 60.0, 90.0)):
        watched.then({TagKey("Aaaa", N): (value, 1, 1)}, after=after)
    assert View(watched.tracker).spark(0, 2) == [0, 2.5]


def test_heights() -> None:
    assert heights([0, 5, 10, None], 8) == [0, 4, 7, None]
    assert heights([100.0, 101.0, 100.5], 8) == [0, 1, 0]  # hardly moves
    assert heights([0, 0], 8) == [0, 0]
    assert heights([None], 8) == [None]
