"""The comparison as Markdown."""

import re
from collections.abc import Callable

from poolsleuth.model.comparison import Comparison
from poolsleuth.report.comparison.markdown import render_markdown
from poolsleuth.report.comparison.view import Selection


def test_a_leak_over_time(leak: Comparison, golden: Callable[[str, str], None]) -> None:
    golden("leak.md", render_markdown(leak))


def test_hostile_text_is_text(hostile: Comparison) -> None:
    text = render_markdown(hostile)

    assert "<script" not in text
    assert not re.search(r"^forged line|^# heading", text, re.MULTILINE)
    assert not [c for c in text if not c.isprintable() and c != "\n"]
    bare = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
    assert "http:" not in bare
    assert "@everyone" not in bare


def test_every_row_of_a_table_has_its_columns(leak: Comparison) -> None:
    widths = {line.count("|") for line in render_markdown(leak).splitlines() if line.startswith("|")}

    assert widths == {7, 11}


def test_rows_are_chosen(leak: Comparison, endless: Comparison) -> None:
    assert "Newt" not in render_markdown(leak, Selection(least=40 << 20))
    assert "*19,980 smaller changes left out.*" in render_markdown(endless)
