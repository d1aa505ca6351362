"""The screen under a pilot: every key, the mouse, sizes from tiny to large, hostile names, replay, live, verdict."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.keys import _character_to_key

from poolsleuth.model.errors import InputError, PoolsleuthError
from poolsleuth.model.machine import System
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.sample import Host
from poolsleuth.top.feed import LiveFeed
from poolsleuth.top.screen import app as app_module
from poolsleuth.top.screen.keys import KEYS, Action
from poolsleuth.top.verdict import Judge
from poolsleuth.top.view import Column, View, ViewOptions

Drive = Callable[..., Any]
N, P = PoolKind.NONPAGED, PoolKind.PAGED


# ---- poolmon's keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "column", "first"),
    [
        ("t", Column.TAG, "File"),
        ("a", Column.ALLOCS, "File"),
        ("f", Column.FREES, "File"),
        ("d", Column.DIFF, "Leak"),
        ("b", Column.BYTES, "Leak"),
        ("m", Column.EACH, "Wave"),
        ("B", Column.BYTES, "Leak"),
    ],
)
def test_a_letter_sorts_as_in_poolmon(drive: Drive, key: str, column: Column, first: str) -> None:
    async def script(screen: Any) -> None:
        await screen.press("t" if key != "t" else "b", key)
        assert screen.app.options.sort is column
        assert screen.tags[0] == first

    drive(script)


def test_parentheses_sort_by_change_and_back(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        await screen.press("(")
        assert screen.app.options.by_change
        assert screen.tags[:2] == ["Leak", "Wave"]
        assert "▼(change)" in screen.text
        assert "by change of bytes" in screen.lines[-1]
        await screen.press(")")
        assert not screen.app.options.by_change

    drive(script)


def test_p_shows_nonpaged_then_paged_then_both(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        both = set(screen.tags)
        seen = []
        for _ in range(3):
            await screen.press("p")
            seen.append((screen.app.options.pools, set(screen.tags)))
        assert seen == [(N, {"Leak", "File"}), (P, {"Wave", "Idle", "File"}), (None, both)]

    drive(script)


def test_sessions_are_chosen_as_in_poolmon(drive: Drive, listed: Any, replay: Any) -> None:
    tables = [
        {
            TagKey("Sys ", N): (5.0, 1.0, 1.0),
            TagKey("Gh1 ", P, 1): (7.0, 1.0, 1.0),
            TagKey("Gh2 ", P, 2): (9.0, 1.0, 1.0),
        }
    ]

    async def script(screen: Any) -> None:
        assert screen.tags == ["Sys "]
        await screen.press("s")
        assert screen.app.options.session == -1
        assert set(screen.tags) == {"Gh1 ", "Gh2 "}
        assert any(line.split()[:3] == ["Gh1", "Paged", "all"] for line in screen.lines)
        await screen.press("2")
        assert screen.tags == ["Gh2 "]
        await screen.press("i", "1", "enter")
        assert screen.tags == ["Gh1 "]
        await screen.press("i", "enter")
        assert screen.app.options.session == -1
        await screen.press("s")
        assert screen.tags == ["Sys "]

    drive(script, replay(listed(tables)))


def test_l_and_e_switch_highlighting_and_totals(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        strips = screen.app.main.table._strips
        assert any(segment.style.bold for segment in strips[2]._segments)
        await screen.press("l")
        strips = screen.app.main.table._strips
        assert not any(segment.style.bold for segment in strips[2]._segments)
        assert "Sum" not in screen.text
        await screen.press("e")
        sums = [line for line in screen.lines if line.startswith(" Sum")]
        assert [line.split()[1] for line in sums] == ["Nonp", "Paged"]
        # Leak 9 * 2^20 and File 9,000,000 - 9 * 4096 bytes
        assert str(9 * 2**20 + 9_000_000 - 9 * 4096) in sums[0]

    drive(script)


@pytest.mark.parametrize("keys", [("q",), ("Q",), ("escape",), ("ctrl+c",), ("h", "escape", "escape")])
def test_quitting(drive: Drive, keys: tuple[str, ...]) -> None:
    async def script(screen: Any) -> None:
        await screen.pilot.press(*keys)
        await screen.pilot.pause()

    assert drive(script).return_value == 0


@pytest.mark.parametrize("key", ["h", "question_mark", "H"])
def test_help_opens_and_escape_closes_it_only(drive: Drive, key: str) -> None:
    async def script(screen: Any) -> None:
        await screen.press(key)
        assert "sort by bytes per allocation" in screen.text
        await screen.press("escape")
        assert "Leak" in screen.text
        assert screen.app.is_running

    drive(script)


# ---- ours ------------------------------------------------------------------------------------------------------------


def test_searching_as_one_types(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        await screen.press("slash", "e", "a")
        assert screen.tags == ["Leak"]
        await screen.press("escape")
        assert len(screen.tags) == 5
        await screen.press("slash", "d", "l", "e", "enter")
        assert screen.tags == ["Idle"]
        assert '"dle"' in screen.lines[-1]
        await screen.press("c")
        assert len(screen.tags) == 5

    drive(script)


def test_patterns_as_poolmon_is_started_with(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        await screen.press("slash", *"iF*", "enter")
        assert screen.tags == ["File", "File"]
        assert "only F*" in screen.lines[-1]
        await screen.press("c", "x", *"File", "enter")
        assert "File" not in screen.tags
        assert "without File" in screen.lines[-1]

    drive(script)


def test_the_columns_to_both_sides_and_the_order_turned(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        sorts = []
        for key in ("less_than_sign", "greater_than_sign", "greater_than_sign"):
            await screen.press(key)
            sorts.append(screen.app.options.sort)
        assert sorts == [Column.DIFF, Column.BYTES, Column.EACH]
        await screen.press("b", "r")
        assert screen.tags[0] == "Idle"
        assert "▲Bytes" in screen.text
        for _ in range(20):
            await screen.press("less_than_sign")
        assert screen.app.options.sort is Column.TAG

    drive(script)


def test_the_mark_gets_a_column_of_its_own(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        assert "SinceMark" not in screen.text
        await screen.press("z", "full_stop", "full_stop", "full_stop")
        assert "SinceMark" in screen.text
        leak = next(line for line in screen.lines if "Leak" in line)
        assert "+3.00M" in leak
        assert "mark 3 min 0 s ago" in screen.lines[0]
        await screen.press("u")
        assert "SinceMark" not in screen.text

    drive(script, size=(160, 24))


def test_writing_what_is_shown(drive: Drive, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"

    async def script(screen: Any) -> None:
        await screen.press("p", "w")
        screen.app.screen.query_one("Input").value = str(file)
        await screen.press("enter")
        assert "2 tags written" in screen.lines[-1]

    drive(script)
    assert '"Leak"' in file.read_text()


def test_the_detail_of_the_tag_under_the_cursor(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        await screen.press("down", "enter")
        assert screen.lines[0].startswith("File")
        await screen.press("n")
        await screen.press("escape")
        assert screen.cursor == "Wave"  # where the detail was left

    drive(script)


def test_keys_that_mean_nothing_do_nothing(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        before, options = screen.text, screen.app.options
        await screen.press("y", "tab", "f7", "ctrl+p", "ö", "backspace")
        assert screen.app.options == options
        assert screen.text == before

    drive(script)


def test_no_key_of_the_table_breaks_anything(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        for key in (key for entry in KEYS if entry.action not in (Action.QUIT, Action.CLOSE) for key in entry.keys):
            await screen.press(_character_to_key(key) if len(key) == 1 else key)
            if len(screen.app.screen_stack) > 2:
                await screen.press("escape")
            assert len(screen.app.screen_stack) == 2, key

    drive(script)


# ---- lines -----------------------------------------------------------------------------------------------------------


def many(count: int) -> list[dict[TagKey, tuple[float, float, float]]]:
    """T000 holds most; in the second table the order is the other way round."""
    keys = [TagKey(f"T{place:03}", N) for place in range(count)]
    up = {key: (1000.0 + place, 1.0, 1.0) for place, key in enumerate(keys)}
    down = {key: (1000.0 + count - place, 1.0, 1.0) for place, key in enumerate(keys)}
    return [down, up, down]


def test_moving_through_many_lines(drive: Drive, listed: Any, replay: Any) -> None:
    async def script(screen: Any) -> None:
        height = screen.app.main.table.cursor.height
        await screen.press("j", "down", "k")
        assert screen.cursor == "T001"
        await screen.press("pagedown")
        assert screen.cursor == f"T{1 + height:03}"
        assert screen.cursor in screen.text
        await screen.press("end")
        assert screen.cursor == "T199"
        assert screen.lines[-1].endswith("200 of 200")
        await screen.press("down", "pagedown")
        assert screen.cursor == "T199"
        await screen.press("pageup")
        assert screen.cursor == f"T{199 - height:03}"
        await screen.press("home", "up")
        assert screen.cursor == "T000"

    drive(script, replay(listed(many(200))))


def test_the_cursor_follows_its_tag_and_stays_at_the_top_when_it_is_there(
    drive: Drive, listed: Any, replay: Any
) -> None:
    async def script(screen: Any) -> None:
        await screen.press("full_stop")
        assert screen.cursor == "T199"  # the first line, whatever tag is there
        await screen.press("down")
        assert screen.cursor == "T198"
        await screen.press("full_stop")
        assert screen.cursor == "T198"
        assert any(line.startswith(">T198") for line in screen.lines)

    drive(script, replay(listed(many(200))))


def test_the_mouse(drive: Drive, listed: Any, replay: Any) -> None:
    async def script(screen: Any) -> None:
        table = screen.app.main.table
        await screen.pilot.click(table, offset=(5, 4))
        assert screen.cursor == "T003"
        for cell in table.layout_shown.cells:
            if cell.column is Column.DIFF:
                await screen.pilot.click(table, offset=(cell.x + 3, 0))
        await screen.settle()
        assert screen.app.options.sort is Column.DIFF
        change = next(c for c in table.layout_shown.cells if c.column is Column.BYTES and c.kind == "change")
        await screen.pilot.click(table, offset=(change.x + 3, 0))
        await screen.settle()
        assert (screen.app.options.sort, screen.app.options.by_change) == (Column.BYTES, True)
        await screen.pilot.click(table, offset=(change.x + 3, 0))
        await screen.settle()
        assert screen.app.options.reverse
        await screen.press("c", "b", "(", "home")
        top = table.cursor.top
        table._on_mouse_scroll_down(Event())
        await screen.settle()
        assert table.cursor.top > top
        table._on_mouse_scroll_up(Event())
        await screen.settle()
        assert table.cursor.top == top
        await screen.pilot.click(table, offset=(5, 2), times=2)
        await screen.settle()
        assert len(screen.app.screen_stack) == 3

    drive(script, replay(listed(many(200))))


class Event:
    def stop(self) -> None:
        """Nothing."""


def test_a_click_below_the_last_line_moves_nothing(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        await screen.pilot.click(screen.app.main.table, offset=(5, 14))
        assert screen.cursor == "Leak"

    drive(script)


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
            await screen.press("enter", "escape", "down")
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


# ---- replay ----------------------------------------------------------------------------------------------------------


def test_stepping_and_pausing(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        assert "12:09:00 UTC" in screen.lines[0]
        assert "10 of 30, paused" in screen.lines[0]
        await screen.press("full_stop")
        assert "11 of 30, paused" in screen.lines[0]
        await screen.press("comma", "comma")
        assert "9 of 30, paused" in screen.lines[0]
        assert "12:08:00" in screen.lines[0]
        await screen.press("space")
        assert not screen.app.feed.paused
        await screen.press("space")
        assert screen.app.feed.paused

    drive(script)


def test_speed(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        await screen.press("plus")
        assert "replay 300x" in screen.lines[0]
        await screen.press("minus", "minus")
        assert "replay 15x" in screen.lines[0]

    drive(script)


def test_jumping_to_a_time(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        await screen.press("g", *"12:20", "enter")
        assert "12:20:00" in screen.lines[0]
        assert screen.app.tracker.count == 21
        await screen.press("g", *"start", "enter")
        assert "12:00:00" in screen.lines[0]
        await screen.press("g", *"nonsense", "enter")
        assert "nonsense is no place" in screen.text
        await screen.press("escape")
        assert "12:00:00" in screen.lines[0]

    drive(script)


def test_a_sample_that_cannot_be_read_is_said_and_passed_over(
    drive: Drive, listed: Any, replay: Any, usual_tables: Any
) -> None:
    series = listed(usual_tables(20))
    series.broken = {10}

    async def script(screen: Any) -> None:
        await screen.press("full_stop")
        assert "sample 11 is damaged" in screen.lines[-1]
        await screen.press("full_stop")
        assert "12 of 20" in screen.lines[0]
        assert "damaged" not in screen.lines[-1]

    drive(script, replay(series, 9))


def test_samples_without_times_have_no_rate(drive: Drive, listed: Any, replay: Any, usual_tables: Any) -> None:
    async def script(screen: Any) -> None:
        assert "time not known" in screen.lines[0]
        assert "Rate/h" not in screen.text

    drive(script, replay(listed(usual_tables(5), dated=False), 3))


# ---- live ------------------------------------------------------------------------------------------------------------


async def until(screen: Any, condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.02)
        await screen.settle()
    raise AssertionError(screen.text)


def test_a_live_machine(drive: Drive, listed: Any, listing: Any, usual_tables: Any) -> None:
    sampler = listing(listed(usual_tables(30), physical=8 * 2.0**30))
    feed = LiveFeed(sampler, 0.1)

    async def script(screen: Any) -> None:
        await until(screen, lambda: screen.app.tracker.count >= 3)
        assert "live, every 0.1 s" in screen.lines[0]
        assert screen.lines[0].startswith(" SRV01")
        assert screen.tags[0] == "File"
        await screen.press("comma")
        assert "no way back" in screen.lines[-1]
        await screen.press("g")
        assert "no other times" in screen.lines[-1]
        await screen.press("plus")
        assert "only a replay has a speed" in screen.lines[-1]
        await screen.press("space")
        assert "paused" in screen.lines[0]
        await until(screen, lambda: feed._taking is None)
        count = screen.app.tracker.count
        await asyncio.sleep(0.3)
        await screen.settle()
        assert screen.app.tracker.count == count
        await screen.press("full_stop")
        await until(screen, lambda: screen.app.tracker.count == count + 1)

    drive(script, feed)


def test_what_cannot_be_read_is_said_once(drive: Drive, listed: Any, listing: Any, usual_tables: Any) -> None:
    sampler = listing(listed(usual_tables(3)), notes=("no handle counts: run it elevated", "no sessions"))

    async def script(screen: Any) -> None:
        assert screen.lines[-1].startswith(" no handle counts: run it elevated (and 1 more)")
        screen.app.main._message_until = 0.0
        await screen.settle()
        assert screen.lines[-1].startswith(" h help")

    drive(script, LiveFeed(sampler, 60))


@pytest.mark.parametrize("error", [InputError("access is denied: run it elevated"), ZeroDivisionError("x")])
def test_a_machine_that_gives_no_sample_is_said(drive: Drive, listed: Any, listing: Any, error: Exception) -> None:
    sampler = listing(listed([]), error=error)

    async def script(screen: Any) -> None:
        await until(screen, lambda: screen.app.feed.error is not None)
        assert str(error) in screen.lines[-1]
        assert "no tag is shown" in screen.text
        await screen.press("enter")
        assert "no tag under the cursor" in screen.lines[-1]

    drive(script, LiveFeed(sampler, 0.1))


# ---- the verdict -----------------------------------------------------------------------------------------------------


def test_the_verdict_line_says_what_leaks_at_the_right_time(
    drive: Drive, listed: Any, replay: Any, usual_tables: Any
) -> None:
    series = listed(usual_tables(240), nonpaged_used=300e6, physical=8 * 2.0**30)

    async def script(screen: Any) -> None:
        await until(screen, lambda: screen.app.verdict is not None)
        await screen.settle()
        assert "the first verdict after" in screen.text
        await screen.press("g", *"end", "enter")
        await until(screen, lambda: screen.app.verdict is not None and screen.app.verdict.count == 240)
        await screen.settle()
        assert "Leak grows 60 MB/h" in screen.text
        await screen.press("g", *"start", "enter")
        await until(screen, lambda: screen.app.verdict is not None and screen.app.verdict.count == 1)
        await screen.settle()
        assert "Leak grows" not in screen.text

    drive(script, replay(series, 2), judge=Judge(System()))


# ---- when it breaks --------------------------------------------------------------------------------------------------


def test_an_error_of_our_own_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], replay: Any, listed: Any, usual_tables: Any
) -> None:
    feed = replay(listed(usual_tables(3)))
    view = View(feed.tracker)

    def broken(_options: ViewOptions) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(view, "rows", broken)
    real = app_module.TopApp.run
    monkeypatch.setattr(app_module.TopApp, "run", lambda self: real(self, headless=True, size=(80, 24)))
    with pytest.raises(PoolsleuthError, match=r"ZeroDivisionError: a bug \(test_app\.py:\d+\)"):
        app_module.run(feed, feed.tracker, view, None, ViewOptions())
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err


def test_run_gives_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, replay: Any, listed: Any, usual_tables: Any
) -> None:
    feed = replay(listed(usual_tables(3)))
    real = app_module.TopApp.run

    async def quit_it(pilot: Any) -> None:
        await pilot.press("q")

    monkeypatch.setattr(app_module.TopApp, "run", lambda self: real(self, headless=True, auto_pilot=quit_it))
    assert app_module.run(feed, feed.tracker, View(feed.tracker), None, ViewOptions()) == 0
