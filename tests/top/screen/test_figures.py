"""Figures in their cells: nothing cut that is a figure."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment

from poolsleuth.report.wording import clean
from poolsleuth.top.screen.colours import ASCII
from poolsleuth.top.screen.figures import change, fitted, known, number, scaled, share, spark

MB = 1 << 20


def text(segments: list[Segment]) -> str:
    return "".join(segment.text for segment in segments)


@pytest.mark.parametrize(
    ("value", "width", "shown"),
    [
        (0, 6, "     0"),
        (123456, 6, "123456"),
        (1234567, 6, " 1.23M"),
        (12_345_678_901, 6, " 12.3G"),
        (-1234567, 6, "-1.23M"),
        (1234567, 4, "####"),  # never a figure that is cut
        (None, 4, "    "),
        (math.nan, 4, "    "),
        (math.inf, 4, "    "),
        (1e300, 4, "    "),
    ],
)
def test_a_figure_has_all_its_digits_or_a_unit(value: float | None, width: int, shown: str) -> None:
    assert number(value, width) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.2, "0"),
        (512, "+512"),
        (-512, "-512"),
        (1023.4, "+1023"),
        (1023.6, "+1.00K"),
        (1024, "+1.00K"),
        (10_230, "+9.99K"),
        (10_235, "+10.0K"),
        (11.2 * MB, "+11.2M"),
        (-999.6 * MB, "-1000M"),
        (1023.4 * MB, "+1023M"),
        (1023.6 * MB, "+1.00G"),
        (None, ""),
        (math.nan, ""),
    ],
)
def test_scaled(value: float | None, shown: str) -> None:
    assert scaled(value) == shown


@given(st.floats() | st.integers(-(10**30), 10**30), st.sampled_from([1000, 1024]))
def test_a_scaled_figure_has_at_most_six_characters(value: float, base: int) -> None:
    shown = scaled(value, base=base)
    assert len(shown) <= 6
    assert bool(shown) == known(value)


def test_changes_stand_in_parentheses() -> None:
    assert change(48, 8) == "   (+48)"
    assert change(-591600, 9) == "(-591600)"
    assert change(0, 5) == "  (0)"
    assert change(1_835_008, 9, base=1024) == "(+1.75M)".rjust(9)
    assert change(None, 5) == "     "


def test_shares() -> None:
    assert share(0.1234, 6) == " 12.3%"
    assert share(1.0, 6) == "100.0%"
    assert share(None, 6) == "      "
    assert share(math.nan, 6) == "      "


@given(st.text(max_size=30), st.integers(1, 20))
def test_text_is_fitted_into_exactly_its_cells(words: str, width: int) -> None:
    shown = fitted(words, width, "~")
    assert cell_len(shown) == width
    assert shown == clean(shown)


def test_a_cut_text_says_so() -> None:
    assert fitted("leak.sys", 8, "~") == "leak.sys"
    assert fitted("leaks.sys", 8, "~") == "leaks.s~"
    assert fitted("漢字漢字", 5, "~") == "漢字~"
    assert fitted("\x1bab", 4, "~") == "\\x1~"


def test_a_spark_has_a_blank_where_nothing_is_known() -> None:
    assert spark([None, 0.0, 50.0, 100.0], ASCII.spark) == " _=#"
    assert spark([5.0, 5.0], ASCII.spark) == "__"
    assert spark([], ASCII.spark) == ""
