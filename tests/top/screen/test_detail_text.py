"""Lines of a given width: words broken at blanks, commands in one piece, figures beside each other."""

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from poolsleuth.top.detail_words import Pair, Says
from poolsleuth.top.screen.detail_text import COMMAND, Lines, beside


def plain(lines: Lines) -> list[str]:
    return [line.plain for line in lines.lines]


def test_words_go_under_the_first_word() -> None:
    lines = Lines(20)
    lines.paragraph(Says("one two three four five", lead="1. "))
    assert plain(lines) == ["1. one two three", "   four five"]


def test_a_command_stays_in_one_piece() -> None:
    lines = Lines(29)
    lines.paragraph(Says("first do `poolsleuth whois Leak`, then look", step=True))
    assert plain(lines) == ["first do", "`poolsleuth whois Leak`, then", "look"]
    assert [line.plain[s.start : s.end] for line in lines.lines for s in line.spans if s.style == COMMAND] == [
        "`poolsleuth whois Leak`"
    ]


def test_a_command_that_is_wider_than_the_screen_is_folded_not_cut() -> None:
    command = "poolsleuth whois Leak C:\\Windows\\System32\\drivers"
    lines = Lines(20)
    lines.paragraph(Says(f"`{command}`", step=True))
    assert "".join(plain(lines)).replace(" ", "") == f"`{command}`".replace(" ", "")
    assert all(cell_len(line) <= 20 for line in plain(lines))


def test_figures_stand_beside_each_other_where_there_is_room() -> None:
    pairs = [Pair("Bytes", "5.0 MB (5,242,880 bytes)"), Pair("Frees", "12"), Pair("Peak", "7.0 MB")]
    wide, narrow = Lines(80), Lines(37)
    wide.pairs(pairs)
    narrow.pairs(pairs)
    assert plain(wide) == [
        "Bytes             5.0 MB                Peak              7.0 MB",
        "Frees             12",
    ]
    assert plain(narrow)[0] == "Bytes             5.0 MB"
    assert len(narrow.lines) == 3


def test_columns_without_room_are_left_out_of_a_table() -> None:
    rows = [("Since", "", "Bytes", "Allocs"), ("start", "2 h ago", "+5", "+1,000")]
    lines = Lines(24)
    lines.table(rows)
    assert plain(lines) == ["Since           Bytes", "start  2 h ago     +5"]


def test_two_columns() -> None:
    lines = beside([Text("a"), Text("bb")], [Text("x"), Text("y"), Text("z")], 4, 2)
    assert [line.plain for line in lines] == ["a     x", "bb    y", "      z"]


@given(
    st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"]) | st.just(" "), max_size=200),
    st.integers(10, 60),
    st.text("+- 1.", max_size=8),
    st.booleans(),
)
@settings(deadline=None)
def test_no_line_is_wider_than_the_screen_and_no_letter_is_lost(text: str, width: int, lead: str, step: bool) -> None:
    lines = Lines(width)
    lines.paragraph(Says(text.replace("`", ""), lead=lead, step=step))
    assert all(cell_len(line) <= width for line in plain(lines))
    said = "".join(plain(lines)).replace(" ", "")
    assert said == (lead + text.replace("`", "")).replace(" ", "")


@given(st.text("ab `,.;", max_size=80), st.integers(10, 30))
@settings(deadline=None)
def test_commands_and_the_signs_behind_them_fit_as_well(text: str, width: int) -> None:
    lines = Lines(width)
    lines.paragraph(Says(text, lead="1. ", step=True))
    assert all(cell_len(line) <= width for line in plain(lines))
