"""Each kind of damage, before and after. What is no damage stays as it is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.clean import SOFT, clean, hard_lines

ROW = "NonPagedPool Usage: 31369 ( 125476 Kb)"


@pytest.mark.parametrize(
    ("damaged", "repaired"),
    [
        (f"\u00a0\u00a0{ROW}\u00a0", f"  {ROW} "),
        (f"\t{ROW}\tx", f" {ROW} x"),
        (f"{ROW}\r\n\r\r\nx", f"{ROW}\n\nx"),
        ("one\rtwo", f"one{SOFT}two"),
        ("one\u2028two", f"one{SOFT}two"),
        ("\x1b[1;31mred\x1b[0m \x1b[Kx \x1b]0;title\x07y", "red x y"),
        ("UNKNOWN pooltag \u2018SaSc\u2019", "UNKNOWN pooltag 'SaSc'"),
        ("\u201cLeak\u201d 0\u00d700401478\u2026 a \u2014 b", '"Leak" 0x00401478... a - b'),
        ("cp1252 \x93as\x94 Latin-1\x85", 'cp1252 "as" Latin-1...'),
        # UTF-8 as cp1252, once and twice
        ("a\u00c2\u00a0b \u00c2 c", "a b  c"),
        ("user\u00e2\u20ac\u2122s 0\u00c3\u20147", "user's 0x7"),
        ("0\u00c3\x977", "0x7"),
        ("a\u00c3\u201a\u00c2\u00a0b", "a b"),
        ("Stra\u00dfe, caf\u00e9", "Stra\u00dfe, caf\u00e9"),
        (f"> {ROW}\n> > {ROW}\n>> {ROW}\n", f"{ROW}\n{ROW}\n{ROW}\n"),
        (f"    > {ROW}\n", f"{ROW}\n"),
        (" >abc      12     96 \n", " >abc      12     96 \n"),  # a tag, no quote
        (" >    Nonp  12 (   0)   10 (   0)\n >>>> Paged   3 (   0)\n",) * 2,  # tags of poolmon
        (">  >    Nonp  12 (   0)\n>  Leak Nonp  12 (   0)\n", " >    Nonp  12 (   0)\n Leak Nonp  12 (   0)\n"),
        (" > Leak Nonp  12 (   0)\n", "Leak Nonp  12 (   0)\n"),
        (" \\#a  Nonp  12 (   0)\n ab\\. Paged  12 (   0)\n",) * 2,  # a backslash of the tag
        (" \\_ab  Nonp  12\n \\_abc Nonp  12\n", " _ab  Nonp  12\n _abc Nonp  12\n"),  # and one of markdown
        (f"# {ROW}\n#\n# x\n", f" {ROW}\n\n x\n"),
        (f"* {ROW}\n\n* x\n\n* y\n", f" {ROW}\n\n x\n\n y\n"),
        ("# a heading\ntext\n", "# a heading\ntext\n"),
        ("* one\n* two\ntext\n", "* one\n* two\ntext\n"),
        (" #        12     96\n #        13     97\n #        14     98\n",) * 2,
        (f"| {ROW}\n| a\n| b\n", f" {ROW}\n a\n b\n"),
        ("| Tag | Allocs |\n|---|---|\n| CM | 85 |\n", "  Tag   Allocs  \n --- --- \n  CM   85  \n"),
        ("**bold** and ***** Excessive *****", "bold and ***** Excessive *****"),
        ("**Usage: 12**", "Usage: 12"),
        ("*** Virtual Memory Usage ***", "*** Virtual Memory Usage ***"),
        ("********** Excessive Paged Pool Usage *****", "********** Excessive Paged Pool Usage *****"),
        (r"\*\*\* win7sp1\_ldr \[x\] C:\path", r"*** win7sp1_ldr [x] C:\path"),
        (f"`{ROW}`  \n`x`\n", f"{ROW}  \nx\n"),
        ("fffff805`6da4c4ce fffff805'6da4c4ce", "fffff8056da4c4ce fffff8056da4c4ce"),
        ("0xfffff805`6da4c4ce", "0xfffff8056da4c4ce"),
        ("1fffff805`6da4c4ce", "1fffff805`6da4c4ce"),
        (f"{ROW}<br />\nx<br>y", f"{ROW}\nx{SOFT}y"),
        ("<p>0: kd&gt; !vm</p>\n<pre class='x'>a&nbsp;&amp;&#39;b</pre>\n", "0: kd> !vm\na &'b\n"),
        ("<tr><td>CM</td><td align='right'>85</td></tr>\n", f"CM 85 {SOFT} \n"),
        ("<tr>\n<td>CM</td>\n<td>85</td>\n</tr>\nx\n", f" CM  85  {SOFT} \n\n\n\nx\n"),
        ("Threads: 8a4cb530-01<*>", "Threads: 8a4cb530-01<*>"),
        ("'<': start page of contiguous pages in use ('{': paged out)",) * 2,
        ("a\x00b\x1a\x1fc", "abc"),
    ],
)
def test_damage(damaged: str, repaired: str) -> None:
    assert clean(damaged) == repaired


def test_hard_lines_do_not_count_what_cleaning_adds() -> None:
    assert hard_lines(clean("a<br>b<br>\nc\rd\n")) == 2


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("a1 \n\t>|*#-`'\\<>&;brtdp/\u00a0\u00c2\u00e2\u20ac\x1b[m0"), max_size=80))
def test_no_hard_line_is_lost_or_made(text: str) -> None:
    assert hard_lines(clean(text)) == text.count("\n")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.text("ABCdef", min_size=4, max_size=4), st.integers(0, 10**9)), max_size=20))
def test_a_clean_table_is_not_touched(rows: list[tuple[str, int]]) -> None:
    text = "".join(f" {tag} {number:8} {number:8}      UNKNOWN pooltag\n" for tag, number in rows)
    assert clean(text) == text
