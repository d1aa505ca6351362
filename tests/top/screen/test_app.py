"""The screen under a pilot: every key, and the mouse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.keys import _character_to_key

from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.top.screen.keys import KEYS, Action
from poolsleuth.top.view import Column

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


def test_an_empty_table_says_why(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        await screen.press("s")
        assert "no tags of sessions are known here; s shows the system's pools" in screen.text
        await screen.press("s", "slash", "?", "enter")
        assert "no tag is shown; c shows all there are" in screen.text
        await screen.press("enter")
        assert "no tag under the cursor" in screen.lines[-1]
        await screen.press("down", "end", "pageup", "e", "z", "r", "c")
        assert screen.tags[0] == "Idle"

    drive(script)


def test_one_sample_alone_has_no_columns_of_change(
    drive: Drive, listed: Any, replay: Any, usual_tables: Any, named: Any
) -> None:
    async def script(screen: Any) -> None:
        heading = next(line for line in screen.lines if line.startswith(" Tag"))
        assert heading.split() == [
            "Tag",
            "Type",
            "Allocs",
            "Frees",
            "Diff",
            "▼Bytes",
            "PerAlloc",
            "Share",
            "Driver",
            "Note",
        ]
        assert "1 of 1, at the end" in screen.lines[0]

    drive(script, replay(listed(usual_tables(1))), size=(120, 24), owners=named(Leak="leak.sys"))


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
    opens = {Action.HELP, Action.PROMPT, Action.EXCLUDE, Action.ASK_SESSION, Action.JUMP, Action.EXPORT, Action.DETAIL}

    async def script(screen: Any) -> None:
        for entry in KEYS:
            keys = [_character_to_key(key) if len(key) == 1 else key for key in entry.keys]
            if entry.action in opens:
                await screen.pilot.press(keys[0])
                assert len(screen.app.screen_stack) == 3, entry
                await screen.pilot.press("escape")
            elif entry.action not in (Action.QUIT, Action.CLOSE):
                await screen.pilot.press(*keys)
            assert len(screen.app.screen_stack) == 2, entry
        await screen.settle()
        assert "Tag" in screen.text

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
