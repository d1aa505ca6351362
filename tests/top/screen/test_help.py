"""The help: every key and every column is in it, at any width; Escape closes it, as in poolmon."""

import asyncio

import pytest
from rich.cells import cell_len
from textual.app import App
from textual.widgets import Static

from poolsleuth.cli.top_words import read_words
from poolsleuth.top.screen.help import COLUMNS, STARTUP, HelpScreen, help_lines
from poolsleuth.top.screen.keys import KEYS
from poolsleuth.top.screen.layout import VALUE, layout
from poolsleuth.top.view import Column, ViewOptions


@pytest.mark.parametrize("width", [10, 40, 78, 198])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    assert all(cell_len(line.plain) <= width for line in help_lines(width, "-"))


@pytest.mark.parametrize("width", [78, 198])
def test_every_key_and_every_column_is_explained(width: int) -> None:
    text = " ".join(" ".join(line.plain for line in help_lines(width, "-")).split())
    for key in KEYS:
        assert f"{key.shown} {key.says.split()[0]}" in text
    assert set(COLUMNS) == set(Column)
    for cell in layout(1_000, sort=Column.BYTES, marked=True).cells:
        assert cell.kind != VALUE or f"{cell.title} {COLUMNS[cell.column].split()[0]}" in text
    for words, says in STARTUP:
        assert f"{words} {says.split()[0]}" in text


def test_the_words_of_the_start_are_those_that_are_read() -> None:
    for words, _ in STARTUP:
        for word in words.split():
            assert read_words([word], ViewOptions()).files == ()


def test_it_closes_with_escape_and_with_what_opened_it_at_any_size() -> None:
    async def go() -> None:
        app: App[None] = App()
        app.animation_level = "none"
        async with app.run_test(size=(80, 24)) as pilot:
            for key, size in {
                "escape": (80, 24),
                "q": (200, 60),
                "h": (20, 5),
                "question_mark": (1, 1),
                "f1": (40, 10),
                "enter": (130, 3),
            }.items():
                await pilot.resize_terminal(*size)
                app.push_screen(HelpScreen())
                await pilot.pause()
                assert isinstance(app.screen, HelpScreen)
                assert str(app.screen.query_one("#body", Static).content).startswith("As in pool")
                await pilot.press("pagedown", key)
                await pilot.pause()
                assert not isinstance(app.screen, HelpScreen)

    asyncio.run(go())
