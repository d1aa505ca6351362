"""Columns of any width: none overlap, and the sorted one is there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.top.screen.colours import ASCII, UNICODE
from poolsleuth.top.screen.layout import CHANGE, VALUE, layout, titles
from poolsleuth.top.view import Column


@given(
    st.integers(1, 400),
    st.sampled_from(list(Column)),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(0, 40),
)
def test_columns_never_overlap_and_never_reach_beyond_the_width(
    width: int, sort: Column, by: bool, marked: bool, sessions: bool, dated: bool, owned: bool, tag: int
) -> None:
    shown = layout(
        width, sort=sort, by_change=by, tag_width=tag, marked=marked, sessions=sessions, dated=dated, owned=owned
    )
    x = 0
    for cell in shown.cells:
        assert cell.x > x or (x == 0 and cell.x == 1)
        x = cell.x + cell.width
    assert x <= width or not shown.cells
    line = "".join(piece for piece, _ in titles(shown, sort, by_change=by, ascending=False, signs=ASCII))
    assert len(line) <= width + 1


def shown_at(width: int, **options: bool) -> list[tuple[Column, str]]:
    return [(cell.column, cell.kind) for cell in layout(width, sort=Column.BYTES, **options).cells]


def test_at_80_columns_poolmons_columns_and_the_rate() -> None:
    columns = [column for column, kind in shown_at(80) if kind == VALUE]
    assert columns == [
        Column.TAG,
        Column.TYPE,
        Column.ALLOCS,
        Column.FREES,
        Column.DIFF,
        Column.BYTES,
        Column.EACH,
        Column.RATE,
    ]
    assert (Column.BYTES, CHANGE) in shown_at(80)


def test_at_120_columns_also_what_happened_since_the_start_and_who() -> None:
    more = set(shown_at(120)) - set(shown_at(80))
    assert {column for column, _ in more} == {Column.STARTED, Column.DRIVER, Column.TREND}
    assert (Column.MARKED, VALUE) in shown_at(120, marked=True)


def test_at_200_columns_everything() -> None:
    assert {column for column, _ in shown_at(200, marked=True)} == set(Column)
    assert (Column.ALLOCS, CHANGE) in shown_at(200)


def test_narrow_screens_keep_tag_type_and_bytes() -> None:
    assert shown_at(40)[:2] == [(Column.TAG, VALUE), (Column.TYPE, VALUE)]
    assert (Column.BYTES, VALUE) in shown_at(24)
    assert shown_at(3) == []


def test_the_sorted_column_is_there_on_a_narrow_screen_too() -> None:
    cells = layout(40, sort=Column.RATE).cells
    assert Column.RATE in [cell.column for cell in cells]
    cells = layout(80, sort=Column.DIFF, by_change=True).cells
    assert (Column.DIFF, CHANGE) in [(cell.column, cell.kind) for cell in cells]


@pytest.mark.parametrize("sort", [column for column in Column if column is not Column.MARKED])
def test_the_sorted_column_comes_before_all_but_the_tag(sort: Column) -> None:
    shown = layout(22, sort=sort, dated=True, owned=True)
    assert (sort, VALUE) in [(cell.column, cell.kind) for cell in shown.cells]
    assert layout(20, sort=Column.BYTES).columns == (Column.TAG, Column.BYTES)


def test_the_heading_marks_the_sorted_column() -> None:
    shown = layout(80, sort=Column.BYTES)
    line = titles(shown, Column.BYTES, by_change=False, ascending=False, signs=UNICODE)
    assert [piece.strip() for piece, here in line if here] == ["▼Bytes"]
    line = titles(shown, Column.BYTES, by_change=True, ascending=True, signs=ASCII)
    assert [piece.strip() for piece, here in line if here] == ["^(change)"]
    narrow = layout(24, sort=Column.BYTES, by_change=True)
    line = titles(narrow, Column.BYTES, by_change=True, ascending=False, signs=ASCII)
    assert [piece.strip() for piece, here in line if here] == ["v(Bytes)"]
    line = titles(shown, Column.TAG, by_change=False, ascending=True, signs=ASCII)
    assert [piece for piece, here in line if here] == ["Tag^"]


def test_a_position_belongs_to_a_cell() -> None:
    shown = layout(80, sort=Column.BYTES)
    for cell in shown.cells:
        assert shown.at(cell.x) is cell
        assert shown.at(cell.x + cell.width - 1) is cell
        assert shown.at(cell.x - 1) is cell
    assert shown.at(500) is None
