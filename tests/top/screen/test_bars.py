"""The bars of the pools."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment

from poolsleuth.model.tags import PoolKind
from poolsleuth.top.screen.bars import PoolUse, bar
from poolsleuth.top.screen.colours import ASCII, BAR, BAR_FULL, BAR_HIGH, UNICODE, bar_style

N, P = PoolKind.NONPAGED, PoolKind.PAGED
MB = 1 << 20


def text(segments: list[Segment]) -> str:
    return "".join(segment.text for segment in segments)


def test_a_bar_shows_the_use_against_the_limit() -> None:
    line = text(bar(PoolUse(N, 50 * MB, 100 * MB), 60, ASCII))
    assert line.startswith("Nonp  [")
    assert line.split("]")[0] == "Nonp  [" + "#" * 12 + "." * 12
    assert "50.0 MB of 100.0 MB, 50.0 %" in line


def test_a_limit_that_is_a_guess_has_a_question_mark() -> None:
    assert "100.0 MB?" in text(bar(PoolUse(N, 50 * MB, 100 * MB, guessed=True), 60, ASCII))


def test_without_a_limit_there_is_no_bar() -> None:
    line = text(bar(PoolUse(P, 50 * MB, None), 60, ASCII))
    assert line.rstrip() == "Paged 50.0 MB, limit not known"
    assert text(bar(PoolUse(P, None, None), 60, ASCII)).rstrip() == "Paged not known"
    assert "50.0 MB in tags" in text(bar(PoolUse(P, 50 * MB, None, summed=True), 60, ASCII))


def test_a_bar_is_never_full_before_the_pool_is_and_never_empty_when_it_is_not() -> None:
    assert "." in text(bar(PoolUse(N, 9_999, 10_000), 40, ASCII)).split("]")[0]
    assert "#" in text(bar(PoolUse(N, 1, 10_000_000), 40, ASCII)).split("]")[0]
    assert "." not in text(bar(PoolUse(N, 200, 100), 40, ASCII)).split("]")[0]


@given(st.none() | st.integers(-5, 1 << 64), st.none() | st.integers(-5, 1 << 64), st.integers(0, 200), st.booleans())
def test_a_bar_is_exactly_as_wide_as_asked(used: int | None, limit: int | None, width: int, guessed: bool) -> None:
    assert cell_len(text(bar(PoolUse(N, used, limit, guessed=guessed), width, UNICODE))) == width


def test_a_bar_warns() -> None:
    assert [bar_style(value) for value in (None, 0.5, 0.8, 0.95)] == [BAR, BAR, BAR_HIGH, BAR_FULL]
