"""The cursor among lines that come and go."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.top.screen.cursor import Cursor


def ids(*numbers: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.array(numbers, np.int64)


def test_the_cursor_goes_back_to_a_tag_that_was_away() -> None:
    cursor = Cursor()
    cursor.resize(3)
    cursor.show(ids(10, 11, 12, 13, 14))
    cursor.to(3)
    cursor.show(ids(10, 11))
    assert (cursor.line, cursor.number) == (1, 11)
    cursor.show(ids(14, 13, 12, 11, 10))
    assert (cursor.line, cursor.number) == (1, 13)
    cursor.show(ids())
    assert cursor.number is None
    cursor.move(5)
    cursor.show(ids(7))
    assert cursor.number == 7


def test_the_wheel_takes_the_cursor_along_at_the_edge() -> None:
    cursor = Cursor()
    cursor.resize(10)
    cursor.show(np.arange(100))
    cursor.scroll(3)
    assert (cursor.top, cursor.line) == (3, 3)
    cursor.scroll(1000)
    assert (cursor.top, cursor.line) == (90, 90)
    cursor.scroll(-5)
    assert (cursor.top, cursor.line) == (85, 90)
    cursor.scroll(-1000)
    assert (cursor.top, cursor.line) == (0, 9)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("move"), st.integers(-50, 50)),
            st.tuples(st.just("to"), st.integers(-5, 60)),
            st.tuples(st.just("scroll"), st.integers(-50, 50)),
            st.tuples(st.just("resize"), st.integers(-3, 40)),
            st.tuples(st.just("show"), st.integers(0, 50)),
            st.tuples(st.just("follow"), st.integers(0, 50)),
        )
    )
)
def test_the_cursor_is_always_on_the_screen(steps: list[tuple[str, int]]) -> None:
    cursor = Cursor()
    cursor.show(np.arange(20))
    for name, value in steps:
        getattr(cursor, name)(np.random.default_rng(value).permutation(value) if name == "show" else value)
        assert 0 <= cursor.top <= cursor.line < cursor.top + cursor.height
        assert cursor.line < max(1, len(cursor.ids))
        assert cursor.top == 0 or cursor.top + cursor.height <= len(cursor.ids)
