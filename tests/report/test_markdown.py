from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from poolsleuth.model.report import Report
from poolsleuth.report.markdown import TAG_ROWS, cell, code, render_markdown, text_of
from poolsleuth.report.wording import clean

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
HARMLESS = {"text", "code_inline", "text_special"}


def inline(tokens: list[Token]) -> list[Token]:
    return [child for token in tokens for child in token.children or ()]


def said(tokens: list[Token]) -> str:
    return "".join(token.content for token in inline(tokens))


def test_the_whole_report(full_report: Report, golden: Callable[[str, str], None]) -> None:
    golden("full.md", render_markdown(full_report))


def test_a_healthy_machine(healthy_report: Report, golden: Callable[[str, str], None]) -> None:
    golden("healthy.md", render_markdown(healthy_report))


def test_the_parts_stand_in_order(full_report: Report) -> None:
    text = render_markdown(full_report)
    order = ["> **Found, critical", "### Pools", "### Findings", "**Ruled out:**", "### Largest tags", "## Problems"]
    assert sorted(order, key=text.index) == order


def test_commands_can_be_copied(full_report: Report) -> None:
    codes = [
        token.content for token in inline(READER.parse(render_markdown(full_report))) if token.type == "code_inline"
    ]
    assert "!for_each_module s-d @#Base @#End nt!ExAllocatePool" in codes
    assert "poolsleuth whois None C:\\drivers\\guid.sys" in codes


def test_a_hostile_report_stays_text(hostile_report: Report) -> None:
    text = render_markdown(hostile_report)
    tokens = READER.parse(text)
    kinds = {token.type for token in [*tokens, *inline(tokens)]}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "fence", "code_block", "s_open", "hr"}
    headings = [i for i, token in enumerate(tokens) if token.type == "heading_open"]
    ours = ("Kernel pool", "<script>", "Pools", "Findings", "1.", "2.", "Largest tags", "Problems")
    assert all(said(tokens[i : i + 2]).startswith(ours) for i in headings)
    for line in text.splitlines():
        outside_code = "".join(part for i, part in enumerate(line.split("`")) if not i % 2)
        assert "@everyone" not in outside_code
        assert "://" not in outside_code


def test_every_row_of_a_hostile_table_has_the_cells_of_its_head(hostile_report: Report) -> None:
    tokens = READER.parse(render_markdown(hostile_report))
    rows: list[int] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append(0)
        elif token.type in ("td_open", "th_open"):
            rows[-1] += 1
    assert set(rows) == {5, 9}
    assert sum(token.type == "table_open" for token in tokens) == 4


def test_the_tag_table_is_cut_and_says_so(many_tags_report: Report) -> None:
    text = render_markdown(many_tags_report)
    table = text.partition("### Largest tags")[2]
    assert table.count("\n| ") == TAG_ROWS + 1
    assert "*199,980 smaller rows left out.*" in table


def test_many_machines_fit_into_a_ticket(huge_report: Report) -> None:
    text = render_markdown(huge_report)
    assert "*460 machines more: the JSON report holds them.*" in text


ODD = st.text(st.sampled_from("ab1 \\`*_{}[]()<>#+-.!|~&@:/$^=\"'\n\t\u202e\x1b\ud800") | st.characters(), max_size=60)


@given(ODD)
def test_any_text_is_one_paragraph_that_says_what_it_said(text: str) -> None:
    wanted = " ".join(clean(text).split())
    tokens = READER.parse(f"- {text_of(text)}")
    assert said(tokens) == wanted
    assert {token.type for token in inline(tokens)} <= HARMLESS
    blocks = [token.type for token in tokens if token.type.endswith("_open")]
    assert blocks == ["bullet_list_open", "list_item_open", *(["paragraph_open"] if wanted else [])]


@given(ODD, ODD)
def test_any_text_stays_in_its_cell(first: str, second: str) -> None:
    table = f"| a | b |\n|---|---|\n| {cell(first)} | {cell(second)} |"
    tokens = READER.parse(table)
    cells = [token.content for token in tokens if token.type == "inline"][2:]
    assert len(cells) == 2
    assert {token.type for token in inline(tokens)} <= HARMLESS
    assert said(tokens) == "ab" + "".join(" ".join(clean(text).split()) for text in (first, second))


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=30))
def test_a_code_span_holds_exactly_its_text(text: str) -> None:
    tokens = inline(READER.parse(f"x {code(text)} x"))
    assert [token.content for token in tokens if token.type == "code_inline"] == [text]
