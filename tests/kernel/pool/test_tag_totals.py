"""Counters that wrap, and sums that are no figures."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from poolsleuth.kernel.pool.tag_totals import no_totals, signed
from poolsleuth.kernel.pool.tracker_tables import read_tag_totals

Make = Callable[..., Any]
Number = Callable[[str], int]


def test_counters_of_32_bits_wrap_in_the_sum_only(machine: Make, tag_number: Number) -> None:
    """What wrapped gives no allocations and no frees, but what is outstanding stays right."""
    here = machine("7601 x64")
    key = tag_number("Wrap")
    near = (1 << 32) - 10
    here.trackers([{key: (near, near - 5, 320, 0, 0, 0)}, {key: (30, 12, -32, 0, 0, 0)}])
    (row,) = read_tag_totals(here.kernel()).figures()
    # allocations: 2^32 + 20, frees: 2^32 - 3
    assert (row.allocs, row.frees, row.outstanding, row.bytes) == (None, None, 23, 288)


def test_more_than_two_thousand_million_blocks(machine: Make, tag_number: Number) -> None:
    here = machine("7601 x64")
    blocks = 3_000_000_000
    here.trackers([{tag_number("Huge"): (blocks, 0, blocks * 32, 0, 0, 0)}])
    (row,) = read_tag_totals(here.kernel()).figures()
    assert (row.outstanding, row.bytes) == (blocks, 96_000_000_000)


def test_counters_of_64_bits(machine: Make, tag_number: Number) -> None:
    here = machine("22000 x64")
    key = tag_number("Long")
    here.trackers([{key: (1 << 40, 0, -5000, 0, 0, 0)}, {key: (0, (1 << 40) - 3, 5096, 0, 0, 0)}])
    (row,) = read_tag_totals(here.kernel()).figures()
    assert (row.allocs, row.frees, row.outstanding, row.bytes) == (1 << 40, (1 << 40) - 3, 3, 96)


def test_moving_counters_are_zero_not_negative(machine: Make, tag_number: Number) -> None:
    here = machine("19041 x64")
    here.trackers([{tag_number("Live"): (10, 11, -48, 0, 0, 0)}])
    totals = read_tag_totals(here.kernel())
    (row,) = totals.figures()
    assert (row.outstanding, row.bytes) == (0, 0)
    assert any("moved" in sentence for sentence in totals.says)


@pytest.mark.parametrize(
    ("value", "bits", "expected"),
    [(0xFFFFFFFF, 32, -1), (0x7FFFFFFF, 32, 0x7FFFFFFF), (1 << 32 | 5, 32, 5), (0xFFFFFFFFFFFFFFF0, 64, -16)],
)
def test_signed(value: int, bits: int, expected: int) -> None:
    assert signed(np.array([value], np.uint64), bits).tolist() == [expected]


def test_nothing_is_not_complete() -> None:
    nothing = no_totals("why", expected=3, session=1)
    assert list(nothing.figures()) == []
    assert (nothing.complete, nothing.tables_read, nothing.tables_expected) == (False, 0, 3)
    assert (nothing.says, nothing.session) == (("why",), 1)
