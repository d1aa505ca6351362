"""The prompts: what they answer, what they say of what is wrong, filtering while typing, Escape restores."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input, Static

from poolsleuth.top.screen.prompts import (
    Prompt,
    command_prompt,
    exclude_prompt,
    export_prompt,
    jump_prompt,
    session_prompt,
)
from poolsleuth.top.view import ViewOptions

NOON = 1_795_003_200.0
TIMES = (NOON + np.arange(100) * 60.0).astype(np.float64)
NOTHING = "nothing"


class PromptApp(App[None]):
    # A screen two columns wide would show and hide its scrollbar for ever
    CSS = "Screen { overflow: hidden; }"

    def __init__(self, prompt: Prompt[Any]) -> None:
        super().__init__()
        self.prompt = prompt
        self.answer: object = NOTHING

    def compose(self) -> ComposeResult:
        yield Static("the table", id="table")

    def on_mount(self) -> None:
        self.push_screen(self.prompt, self._answered)

    def _answered(self, answer: object) -> None:
        self.answer = answer


def ask(
    prompt: Prompt[Any],
    *keys: str,
    look: Callable[[Pilot[None], PromptApp], Awaitable[None]] | None = None,
) -> PromptApp:
    app = PromptApp(prompt)

    async def go() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            await pilot.press(*keys)
            await pilot.pause()
            if look is not None:
                await look(pilot, app)

    asyncio.run(go())
    return app


def hint(app: PromptApp) -> str:
    return str(app.prompt.query_one("#hint", Static).content)


def test_a_search_filters_while_it_is_typed_and_stays_with_enter() -> None:
    seen: list[ViewOptions] = []
    app = ask(command_prompt(ViewOptions(), seen.append), *"ntfs", "enter")
    assert [options.search for options in seen] == ["n", "nt", "ntf", "ntfs"]
    assert app.answer == ViewOptions(search="ntfs")


def test_escape_restores_what_was_shown() -> None:
    before = ViewOptions(search="old", include=("Mm*",))
    seen: list[ViewOptions] = []
    app = ask(command_prompt(before, seen.append), "x", "y", "escape")
    assert seen[-1] == before
    assert app.answer is None


def test_a_pattern_shows_what_it_would_include_so_far() -> None:
    seen: list[ViewOptions] = []

    async def look(pilot: Pilot[None], app: PromptApp) -> None:
        assert hint(app).startswith("shows only tags Mm")

    app = ask(command_prompt(ViewOptions(), seen.append), *"iMm", look=look)
    assert seen[-1].include == ("Mm*",)
    app = ask(command_prompt(ViewOptions(), seen.append), *"iMm*", "enter")
    assert app.answer == ViewOptions(include=("Mm*",))


def test_leaving_out_is_not_done_before_enter() -> None:
    seen: list[ViewOptions] = []
    app = ask(command_prompt(ViewOptions(), seen.append), *"xFile", "enter")
    assert all(options.exclude == () for options in seen)
    assert app.answer == ViewOptions(exclude=("File",))


def test_patterns_to_leave_out() -> None:
    assert ask(exclude_prompt(ViewOptions()), *"Mm*", "enter").answer == ViewOptions(exclude=("Mm*",))
    more = ViewOptions(exclude=("Mm*",))
    assert ask(exclude_prompt(more), *"Fi?e", "enter").answer == ViewOptions(exclude=("Mm*", "Fi?e"))
    assert ask(exclude_prompt(more), "enter").answer == ViewOptions()


def test_enter_alone_is_all_sessions_as_in_poolmon() -> None:
    assert ask(session_prompt(ViewOptions()), "enter").answer == ViewOptions(session=-1)
    assert ask(session_prompt(ViewOptions()), "3", "enter").answer == ViewOptions(session=3)


def test_a_time_to_jump_to() -> None:
    assert ask(jump_prompt(TIMES, 10), *"+30m", "enter").answer == 40
    assert ask(jump_prompt(TIMES, 10), *"12:05", "enter").answer == 5


def test_what_is_wrong_is_said_and_can_be_put_right() -> None:
    async def look(pilot: Pilot[None], app: PromptApp) -> None:
        assert hint(app).startswith("o is no place: type 14:00")
        await pilot.press("backspace", *"end", "enter")
        await pilot.pause()
        assert app.answer == 99

    ask(jump_prompt(TIMES, 10), "o", "enter", look=look)


def test_a_file_is_never_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pool.csv").write_text("kept")

    async def look(pilot: Pilot[None], app: PromptApp) -> None:
        assert hint(app) == "pool.csv exists and is not overwritten: give another name"
        await pilot.press("home", "2", "enter")
        await pilot.pause()
        assert app.answer == Path("2pool.csv")

    ask(export_prompt("pool.csv"), "enter", look=look)


def test_text_that_is_there_can_be_edited() -> None:
    app = ask(command_prompt(ViewOptions(search="ntf"), lambda options: None), "s", "enter")
    assert app.answer == ViewOptions(search="ntfs")


def test_pasted_control_characters_are_not_taken() -> None:
    async def look(pilot: Pilot[None], app: PromptApp) -> None:
        line = app.prompt.query_one(Input)
        line.insert_text_at_cursor("a\x1b[31mb")
        await pilot.pause()
        assert line.value == ""
        line.insert_text_at_cursor("[b]ok")
        await pilot.pause()
        assert line.value == "[b]ok"
        assert "[b]ok" in hint(app)

    ask(command_prompt(ViewOptions(), lambda options: None), look=look)


def test_every_size() -> None:
    async def look(pilot: Pilot[None], app: PromptApp) -> None:
        for size in ((20, 4), (5, 2), (1, 1), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.press("x", "enter")
            await pilot.pause()
            assert app.answer == NOTHING

    ask(jump_prompt(TIMES, 10, utc=False), look=look)


def test_the_table_stays_in_sight() -> None:
    async def look(pilot: Pilot[None], app: PromptApp) -> None:
        lines = ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]
        assert lines[-1].startswith("/ ntfs")

    ask(command_prompt(ViewOptions(), lambda options: None), *"ntfs", look=look)
