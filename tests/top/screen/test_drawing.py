"""The screen under a pilot: sizes from tiny to large, goldens, hostile names, no colour."""

from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.sample import Host
from poolsleuth.top.view import Column

Drive = Callable[..., Any]
N, P = PoolKind.NONPAGED, PoolKind.PAGED


# ---- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 10), (120, 40), (20, 5), (10, 3), (2, 2), (1, 1), (500, 8)])
def test_every_size_is_drawn_exactly(drive: Drive, size: tuple[int, int], named: Any) -> None:
    async def script(screen: Any) -> None:
        strips = screen.app.screen._compositor.render_strips()
        assert len(strips) == size[1]
        assert {strip.cell_length for strip in strips} == {size[0]}

    drive(script, size=size, owners=named(Leak="leak.sys"))


def test_resizing_to_and_fro(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        for width, height in [(200, 60), (40, 10), (3, 3), (80, 24), (120, 30), (80, 24)]:
            await screen.pilot.resize_terminal(width, height)
            await screen.settle()
            assert len(screen.lines) == height
        assert screen.tags == ["Leak", "File", "Wave", "File", "Idle"]

    drive(script)


def test_the_screen_at_80x24(drive: Drive, golden: Callable[[str, str], None], named: Any) -> None:
    async def script(screen: Any) -> None:
        golden("screen-80x24.txt", screen.text + "\n")

    drive(script, owners=named(Leak="leak.sys", File="maybe.sys"))


def test_the_screen_at_200x30_with_a_mark(drive: Drive, golden: Callable[[str, str], None], named: Any) -> None:
    async def script(screen: Any) -> None:
        await screen.press("z", "e", "full_stop", "full_stop")
        await screen.press("u", "z", "full_stop")
        golden("screen-200x30.txt", "\n".join(screen.lines[:-1]) + "\n")

    drive(script, size=(200, 30), owners=named(Leak="leak.sys", File="maybe.sys"))


def test_the_screen_without_unicode(drive: Drive, golden: Callable[[str, str], None], named: Any) -> None:
    async def script(screen: Any) -> None:
        assert screen.text.isascii()
        golden("screen-ascii.txt", screen.text + "\n")

    drive(script, size=(130, 24), owners=named(Leak="a-driver-with-a-name-that-is-too-long.sys"), encoding="cp437")


# ---- hostile names ---------------------------------------------------------------------------------------------------

HOSTILE = [
    "\x1b[2J",
    "[b]x",
    "[/x]",
    "\x00\x07\x08\x0a",
    "漢字漢字",
    "\u202eab",
    "\u200b\u200b",
    "é\u0301",
    "\ud800",
    "%s%d",
]


def test_hostile_names_are_shown_harmlessly_in_their_columns(
    drive: Drive, listed: Any, replay: Any, named: Any
) -> None:
    tables = [{TagKey(tag, N): (1000.0 - place, 1.0, 1.0) for place, tag in enumerate(HOSTILE)}] * 2
    owners = named(**dict.fromkeys(HOSTILE, "[red]\x1b]0;x\x07漢字漢字漢字漢字漢字漢字漢字.sys"))

    async def script(screen: Any) -> None:
        assert "\x1b" not in screen.text
        assert "[b]x" in screen.text
        assert "[/x]" in screen.text
        assert "\\x1b[2J" in screen.text
        strips = screen.app.screen._compositor.render_strips()
        assert {strip.cell_length for strip in strips} == {120}
        table = screen.app.main.table
        each = next(cell for cell in table.layout_shown.cells if cell.column is Column.TYPE)
        for strip in table._strips[1 : len(HOSTILE) + 1]:
            assert strip.crop(each.x, each.x + 4).text == "Nonp"
        await screen.press("slash", "[", "enter")
        assert "[b]x" in screen.tags
        for _ in HOSTILE:
            await screen.pilot.press("enter", "escape", "down")
        assert screen.app.is_running

    drive(script, replay(listed(tables), 1), size=(120, 30), owners=owners)


def test_a_hostile_machine_and_label_are_shown_harmlessly(drive: Drive, listed: Any, replay: Any) -> None:
    series = listed([{TagKey("Leak", N): (5.0, 1.0, 1.0)}], Host(computer="\x1b[31m[b]漢\u202e"))

    async def script(screen: Any) -> None:
        assert screen.lines[0].startswith(" \\x1b[31m[b]漢\\u202e")

    drive(script, replay(series))


# ---- without colour --------------------------------------------------------------------------------------------------


def test_without_colour_the_meaning_stays(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def script(screen: Any) -> None:
        strips = screen.app.screen._compositor.render_strips()
        colours = {
            (segment.style.color, segment.style.bgcolor)
            for strip in strips
            for segment in strip._segments
            if segment.style is not None
        }
        names = {colour.name for pair in colours for colour in pair if colour is not None}
        assert names <= {"default"}
        cursor = next(strip for strip in strips if strip.text.startswith(">"))
        assert cursor._segments[0].style.reverse

    drive(script)
