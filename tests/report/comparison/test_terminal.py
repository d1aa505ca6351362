"""The comparison on a terminal."""

import io
from collections.abc import Callable

import pytest
from rich.cells import cell_len
from rich.console import Console

from poolsleuth.model.comparison import Comparison
from poolsleuth.report.comparison.terminal import render
from poolsleuth.report.comparison.view import Selection


def printed(
    comparison: Comparison, selection: Selection | None = None, *, width: int = 80, encoding: str = "utf-8"
) -> str:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    console = Console(file=out, width=width, highlight=False, color_system=None)
    render(comparison, console, selection or Selection())
    out.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [80, 160])
def test_a_leak_over_time(leak: Comparison, golden: Callable[[str, str], None], width: int) -> None:
    text = printed(leak, width=width)

    assert max(cell_len(line) for line in text.splitlines()) <= width
    golden(f"leak-{width}.txt", text)


def test_two_machines(two_machines: Comparison, golden: Callable[[str, str], None]) -> None:
    text = printed(two_machines)

    golden("machines-80.txt", text)
    assert "grew" not in text
    assert "leak from load" not in text


def test_machines_without_a_partner(nothing: Comparison) -> None:
    text = printed(nothing)

    assert "Only in BEFORE: DB-01" in text
    assert "Only in AFTER: WEB-01, machine 3" in text


def test_the_caveat_and_what_explains_it(leak: Comparison) -> None:
    text = " ".join(printed(leak).split())

    assert "Two captures cannot tell a leak from load" in text
    assert "MmSt explains 93 % (+700.0 MB)" in text
    assert "no tag accounts for +11.0 MB" in text
    assert "Shown in BEFORE only, not known in AFTER: Ddk (nonpaged, 5,215,036 blocks)" in text


def test_rows_are_chosen(leak: Comparison) -> None:
    top = printed(leak, Selection(top=1))
    assert "and 4 tags more" in top
    assert "Ntff  " not in top

    nonpaged = printed(leak, Selection(pool="nonpaged"))
    assert "Even" in nonpaged
    assert "Newt" not in nonpaged
    assert "session 9" not in nonpaged

    large = printed(leak, Selection(least=40 << 20))
    assert "Ntff  " in large
    assert "Newt" not in large
    assert "Abc (" not in large


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp437"])
def test_hostile_text_steers_no_terminal(hostile: Comparison, encoding: str) -> None:
    text = printed(hostile, encoding=encoding)

    assert not [c for c in text if not c.isprintable() and c != "\n"]
    assert "\u202e" not in text
    assert "[red]markup[/red]" in text
    assert "\nforged line" not in text


def test_colours_are_for_terminals_only(leak: Comparison) -> None:
    out = io.StringIO()
    render(leak, Console(file=out, width=80, highlight=False))
    assert "\x1b" not in out.getvalue()

    out = io.StringIO()
    render(leak, Console(file=out, width=80, highlight=False, force_terminal=True, color_system="standard"))
    assert "\x1b[1;31m" in out.getvalue()


def test_very_many_rows_stay_a_screen(endless: Comparison) -> None:
    text = printed(endless)

    assert len(text.splitlines()) < 80
    assert "sessions that changed less" in text
