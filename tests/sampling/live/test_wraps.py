"""Counts that go round at 2^32."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.sampling.live.wraps import Wraps

ROUND = 1 << 32


def follow(
    wraps: Wraps,
    counts: list[float],
    *,
    ids: list[int] | None = None,
    outstanding: list[float] | None = None,
    groups: list[int] | None = None,
    short: bool = True,
    complete: bool = True,
) -> list[float]:
    size = len(counts)
    result = wraps.follow(
        np.array(ids if ids is not None else range(size), np.int64),
        np.array(counts, np.float64),
        np.array(outstanding or [0] * size, np.float64),
        np.array(groups or [0] * size, np.int64),
        np.full(size, short),
        20,
        complete=complete,
    )
    return [float(value) for value in result]


@given(steps=st.lists(st.integers(0, 3 * 2**30 - 1), min_size=1, max_size=10), first=st.integers(0, 2**32 - 1))
def test_a_count_goes_on_rising(steps: list[int], first: int) -> None:
    wraps = Wraps()
    true = first
    steady = [10.0] * 5
    assert follow(wraps, [first, *steady])[0] == first
    for step in steps:
        true += step
        assert follow(wraps, [true % ROUND, *steady])[0] == true


def test_a_count_below_what_is_outstanding_went_round_before() -> None:
    wraps = Wraps()
    assert follow(wraps, [5, 5], outstanding=[100, 3]) == [ROUND + 5, 5]
    assert follow(wraps, [9, 9], outstanding=[104, 7]) == [ROUND + 9, 9]
    assert follow(Wraps(), [5], outstanding=[100], short=False) == [5]


def test_most_counts_that_fall_at_once_began_anew() -> None:
    wraps = Wraps()
    follow(wraps, [3e9, 2e9, 1e9, 4e9, 5.0, 7.0])
    assert follow(wraps, [5, 10, 20, 30, 6, 8]) == [5, 10, 20, 30, 6, 8]
    assert follow(wraps, [6, 11, 21, 31, 7, 9]) == [6, 11, 21, 31, 7, 9]


def test_one_session_begins_anew_alone() -> None:
    wraps = Wraps()
    groups = [0] * 5 + [1] * 5
    follow(wraps, [4e9] * 10, groups=groups)
    after = follow(wraps, [100.0, *[4.1e9] * 4, *[7.0] * 5], groups=groups)
    assert after == [ROUND + 100, *[4.1e9] * 4, *[7.0] * 5]


def test_a_count_that_falls_by_little_did_not_go_round() -> None:
    wraps = Wraps()
    follow(wraps, [5000.0, 1, 1, 1, 1, 1])
    assert follow(wraps, [4000.0, 1, 1, 1, 1, 1])[0] == 4000


def test_a_tag_that_was_gone_is_forgotten() -> None:
    wraps = Wraps()
    others = [1.0] * 5
    follow(wraps, [4e9, *others])
    assert follow(wraps, [10.0, *others])[0] == ROUND + 10
    follow(wraps, others, ids=[1, 2, 3, 4, 5])
    assert follow(wraps, [3.0, *others])[0] == 3


def test_a_tag_that_a_cut_table_lacks_is_kept() -> None:
    wraps = Wraps()
    others = [1.0] * 5
    follow(wraps, [4e9, *others])
    follow(wraps, [10.0, *others])
    follow(wraps, others, ids=[1, 2, 3, 4, 5], complete=False)
    assert follow(wraps, [30.0, *others])[0] == ROUND + 30


def test_counts_of_64_bits_are_taken_as_they_are() -> None:
    wraps = Wraps()
    follow(wraps, [4e9, 1, 1, 1, 1, 1], short=False)
    assert follow(wraps, [10.0, 1, 1, 1, 1, 1], short=False)[0] == 10


def test_two_names_of_one_tag_go_round_together() -> None:
    # Summed before: 2^32 - 1 and 2^32 - 1; then one of them goes round
    wraps = Wraps()
    follow(wraps, [2.0 * ROUND - 2, 1, 1, 1, 1, 1])
    assert follow(wraps, [ROUND + 4.0, 1, 1, 1, 1, 1])[0] == 2 * ROUND + 4


def test_cleared_means_never_seen() -> None:
    wraps = Wraps()
    follow(wraps, [4e9])
    wraps.clear()
    assert follow(wraps, [7.0]) == [7]


def test_nothing_is_followed_without_rows() -> None:
    assert follow(Wraps(), []) == []


@pytest.mark.parametrize("complete", [True, False])
def test_unknown_differences_do_no_harm(complete: bool) -> None:
    wraps = Wraps()
    assert follow(wraps, [5.0], outstanding=[float("nan")], complete=complete) == [5]


def test_a_count_of_32_bits_goes_on_from_one_of_64() -> None:
    wraps = Wraps()
    whole = [3.0 * ROUND + 5, 7.0]
    assert follow(wraps, whole, short=False) == whole
    assert follow(wraps, [9, 8]) == [3 * ROUND + 9, 8]
    assert follow(wraps, [2, 9]) == [4 * ROUND + 2, 9]
    assert follow(wraps, [4.0 * ROUND + 3, 10], short=False) == [4 * ROUND + 3, 10]
