"""Figures, columns, bars, header and bottom line by themselves: exact widths, nothing cut that is a figure."""

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment

from poolsleuth.model.tags import PoolKind
from poolsleuth.report.wording import clean
from poolsleuth.top.screen.bars import PoolUse, bar
from poolsleuth.top.screen.choices import beside, chosen, clicked, filter_words, order_words
from poolsleuth.top.screen.colours import ASCII, BAR, BAR_FULL, BAR_HIGH, UNICODE, VERDICTS, bar_style, signs
from poolsleuth.top.screen.cursor import Cursor
from poolsleuth.top.screen.figures import change, fitted, known, number, scaled, share, spark
from poolsleuth.top.screen.header import Facts, header_lines, wrapped
from poolsleuth.top.screen.keys import KEYS, Action, action_of
from poolsleuth.top.screen.layout import CHANGE, VALUE, layout, titles
from poolsleuth.top.screen.status import Said, status_line
from poolsleuth.top.verdict import Level
from poolsleuth.top.verdict_words import Sentence
from poolsleuth.top.view import Column, ViewOptions

N, P = PoolKind.NONPAGED, PoolKind.PAGED
NOON = 1_795_003_200.0  # 2026-11-18 12:00 UTC
MB = 1 << 20


def text(segments: list[Segment]) -> str:
    return "".join(segment.text for segment in segments)


# ---- figures ---------------------------------------------------------------------------------------------------------


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


# ---- columns ---------------------------------------------------------------------------------------------------------


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


# ---- bars ------------------------------------------------------------------------------------------------------------


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


# ---- header ----------------------------------------------------------------------------------------------------------

FACTS = Facts(
    computer="SRV01",
    time=NOON,
    watched=7200.0,
    status="live, every 5 s",
    memory={
        "physical": 8388024 * 1024.0,
        "available": 5126028 * 1024.0,
        "kernel_resident": 6500 * 1024.0,
        "paged_resident": 233172 * 1024.0,
        "committed": 3762700 * 1024.0,
        "commit_limit": 12578125 * 1024.0,
        "commit_peak": 4043634 * 1024.0,
        "nonpaged_used": 35304 * 1024.0,
        "paged_used": 259080 * 1024.0,
    },
    page_faults=31425.0,
    uses=(PoolUse(N, 35304 * 1024, 100 * MB), PoolUse(P, 259080 * 1024, None)),
    verdict=(Sentence("MmSt grows 11 MB/h and has not come down for 3 h: leak", ("paged pool full in 9 days",)),),
    level="found",
)


def rows(facts: Facts, width: int, height: int) -> list[str]:
    return [text(line).rstrip() for line in header_lines(facts, width, height, ASCII)]


def test_the_header_has_poolmons_own_lines() -> None:
    assert rows(FACTS, 80, 24) == [
        " SRV01  2026-11-18 12:00:00 UTC  2 h 0 min watched              live, every 5 s",
        " Memory: 8388024K Avail:  5126028K PageFlts: 31425 InRam Krnl: 6500K P:233172K",
        " Commit:3762700K Limit:12578125K Peak:4043634K Pool N:  35304K P: 259080K",
        " Nonp  [###.......] 34.5 MB of 100.0 MB  Paged 253.0 MB, limit not known",
        " MmSt grows 11 MB/h and has not come down for 3 h: leak",
    ]


def test_what_is_not_known_is_left_out() -> None:
    assert rows(Facts(status="live"), 80, 24) == [
        " poolsleuth top  time not known" + " " * 44 + "live",
    ]
    assert rows(Facts(label="snapshot 4", status="x"), 80, 24)[0].startswith(" poolsleuth top  snapshot 4 ")


def test_wide_screens_have_the_bars_beside_and_tall_ones_more_of_the_verdict() -> None:
    wide = rows(FACTS, 200, 60)
    assert len(wide) == 4
    assert wide[1].index("Nonp") == wide[2].index("Paged")
    assert wide[3].endswith("leak; paged pool full in 9 days")


def test_low_screens_keep_the_verdict() -> None:
    assert len(rows(FACTS, 80, 10)) == 3
    assert len(rows(FACTS, 80, 5)) == 2
    assert len(rows(FACTS, 80, 3)) == 1


def test_on_a_narrow_screen_the_place_is_said_before_the_speed() -> None:
    narrow = Facts(computer="leak-poolmon.log", status="replay 60x, 97 of 97, at the end")
    assert rows(narrow, 40, 24)[0].endswith(" 97 of 97, at the end")
    assert rows(narrow, 30, 24)[0].endswith(" at the end")
    assert rows(narrow, 60, 24)[0].endswith(" replay 60x, 97 of 97, at the end")


def test_several_findings_are_counted_or_shown() -> None:
    several = Facts(verdict=(Sentence("a leaks"), Sentence("b leaks")), level="found")
    assert rows(several, 80, 24)[-1] == " a leaks (+1)"
    assert rows(several, 80, 40)[-2:] == [" a leaks", " b leaks"]


def test_a_verdict_that_is_behind_says_of_when_it_is() -> None:
    behind = Facts(time=NOON, verdict=(Sentence("a leaks"),), judged_at=NOON - 3600)
    assert rows(behind, 80, 24)[-1] == " at 11:00: a leaks"
    behind = Facts(time=NOON, verdict=(Sentence("a leaks"),), judged_at=NOON - 86400)
    assert rows(behind, 80, 24)[-1] == " at 2026-11-17 12:00: a leaks"
    behind = Facts(time=math.nan, verdict=(Sentence("a leaks"),), judged_at=math.nan)
    assert rows(behind, 80, 24)[-1] == " earlier: a leaks"


@given(st.integers(1, 220), st.integers(1, 70), st.text(max_size=200), st.text(max_size=50), st.floats())
def test_every_line_of_the_header_is_exactly_as_wide(
    width: int, height: int, said: str, name: str, value: float
) -> None:
    facts = Facts(
        computer=name,
        time=value,
        watched=value,
        marked=value,
        status=said,
        memory={"physical": value, "nonpaged_used": 1e9},
        uses=(PoolUse(N, 5, 10), PoolUse(P, 5, None)),
        verdict=(Sentence(said, (name,)), Sentence(name)),
        judged_at=value,
    )
    for line in header_lines(facts, width, height, UNICODE):
        assert cell_len(text(line)) == width
        assert text(line) == clean(text(line))


def test_every_level_has_a_style() -> None:
    assert set(VERDICTS) == set(get_args(Level))


def test_wrapping() -> None:
    assert wrapped("one two three", 7, 3, "~") == ["one two", "three"]
    assert wrapped("one two three four", 7, 2, "~") == ["one two", "three~"]
    assert wrapped("", 7, 2, "~") == [""]


# ---- the bottom line -------------------------------------------------------------------------------------------------


@given(st.text(max_size=90), st.text(max_size=30), st.integers(1, 200), st.booleans())
def test_the_bottom_line_is_exactly_as_wide(message: str, place: str, width: int, replay: bool) -> None:
    said = Said(message, "", clean(place), replay)
    assert cell_len(text(status_line(said, width))) in (width, max(width, 2))


def test_a_message_goes_before_filters_and_these_before_the_keys() -> None:
    assert text(status_line(Said("done", "only Mm*", "1-2 of 2"), 80)).startswith(" done ")
    assert text(status_line(Said("", "only Mm*", "1-2 of 2"), 80)).startswith(" only Mm*  c shows all")
    assert text(status_line(Said("", "", "1-2 of 2"), 80)).startswith(" h help  / search ")
    assert text(status_line(Said("", "", "1-2 of 2"), 80)).endswith(" 1-2 of 2 ")
    assert text(status_line(Said("", "", ""), 20)).startswith(" h help  q quit ")


# ---- choices ---------------------------------------------------------------------------------------------------------


def test_keys_that_change_what_is_shown() -> None:
    start = ViewOptions(reverse=True)
    sorted_ = chosen(start, Action.SORT_DIFF, "d")
    assert sorted_ == ViewOptions(sort=Column.DIFF)
    assert chosen(start, Action.SESSION, "7") == ViewOptions(reverse=True, session=7)
    assert chosen(start, Action.HELP, "h") is None
    filtered = ViewOptions(Column.TAG, pools=N, session=2, include=("a",), exclude=("b",), search="c", totals=True)
    assert chosen(filtered, Action.CLEAR, "c") == ViewOptions(Column.TAG, totals=True)


def test_clicks_on_headings() -> None:
    once = clicked(ViewOptions(), Column.BYTES, by_change=True)
    assert once == ViewOptions(by_change=True)
    assert clicked(once, Column.BYTES, by_change=True) == ViewOptions(by_change=True, reverse=True)
    assert clicked(once, Column.BYTES, by_change=False) == ViewOptions()
    assert clicked(once, Column.DRIVER, by_change=True) == ViewOptions(sort=Column.DRIVER)


def test_the_column_beside() -> None:
    columns = (Column.TAG, Column.DIFF, Column.BYTES)
    assert beside(ViewOptions(), columns, -1).sort is Column.DIFF
    assert beside(ViewOptions(), columns, 1).sort is Column.BYTES
    assert beside(ViewOptions(sort=Column.NOTE), columns, 1).sort is Column.DIFF
    assert beside(ViewOptions(), (), 1) == ViewOptions()


def test_words_for_order_and_filters() -> None:
    options = ViewOptions(
        sort=Column.DIFF,
        by_change=True,
        reverse=True,
        pools=P,
        session=-1,
        include=("Mm*",),
        exclude=("Fi\x1b",),
        search="x",
    )
    assert order_words(options) == "by change of difference, reversed"
    assert filter_words(options) == 'paged only, all sessions, only Mm*, without Fi\\x1b, "x"'
    assert filter_words(ViewOptions(session=3)) == "session 3"
    assert (order_words(ViewOptions()), filter_words(ViewOptions())) == ("by bytes", "")
    # By change means nothing for words
    assert order_words(ViewOptions(sort=Column.TAG, by_change=True)) == "by tag"


# ---- keys and signs --------------------------------------------------------------------------------------------------


def test_no_key_means_two_things() -> None:
    keys = [key for entry in KEYS for key in entry.keys]
    assert len(keys) == len(set(keys))
    assert {entry.action for entry in KEYS} == set(Action)
    assert all(key == key.lower() for key in keys)


def test_letters_mean_the_same_in_either_case() -> None:
    for letter in "pstafdbmilehqxcrwzug":
        assert action_of(letter, letter) is action_of(letter.upper(), letter.upper()) is not None
    assert action_of("left_parenthesis", "(") is Action.BY_CHANGE
    assert action_of("pageup", None) is Action.PAGE_UP
    assert action_of("f9", None) is None
    assert action_of("y", "y") is None


@pytest.mark.parametrize(
    ("encoding", "plain"), [("utf-8", False), ("UTF8", False), ("cp437", True), ("ascii", True), ("latin-1", True)]
)
def test_the_encoding_decides_on_the_characters(encoding: str, plain: bool) -> None:
    assert signs(encoding) is (ASCII if plain else UNICODE)
    assert "".join((ASCII.down, ASCII.up, ASCII.cursor, ASCII.bar, ASCII.rest, ASCII.spark, ASCII.cut)).isascii()


# ---- the cursor ------------------------------------------------------------------------------------------------------


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
