"""The detail view in a terminal of any size: what it shows, its keys, live updates, the search among drivers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from threading import Event
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Static

from poolsleuth.model.errors import InputError
from poolsleuth.model.finding import Confidence, Severity, Subject, Verdict
from poolsleuth.model.machine import System
from poolsleuth.model.report import ReportFinding, ReportReason
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind, TagDescription
from poolsleuth.sampling.sample import Host, Sample, TagFigures, TagIndex
from poolsleuth.top.big_pool import BigPools
from poolsleuth.top.owners import Owners
from poolsleuth.top.screen.detail import DetailScreen
from poolsleuth.top.screen.detail_chart import Chart
from poolsleuth.top.tag_search import Found, Progress, Searched, Whois
from poolsleuth.top.tracker import Tracker
from poolsleuth.top.view import View

NOON = 1_795_003_200.0
N, P = PoolKind.NONPAGED, PoolKind.PAGED
KEYS = (TagKey("Leak", N), TagKey("MmSt", P), TagKey("[b]\x1b", N), TagKey("\x9b文"[:2], P), TagKey("Wide", N))
SIZES = [(80, 24), (200, 60), (40, 12), (10, 5), (1, 1), (130, 16)]


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poolsleuth.top.screen.detail.REFRESH", 0.02)


class Judged:
    def __init__(self, *findings: ReportFinding) -> None:
        self.findings = findings
        self.limits: dict[PoolKind, int | None] = {N: 8 << 20}
        self.guesses: frozenset[PoolKind] = frozenset()


LEAKS = ReportFinding(
    pattern="pool-leak",
    verdict=Verdict.SUSPECTED,
    severity=Severity.CRITICAL,
    confidence=Confidence.MEDIUM,
    headline="tag Leak leaks [/b] \x1b[31m",
    subject=Subject(pool="nonpaged", tag="Leak"),
    because=(ReportReason("it never fell"),),
    next_steps=("look at it: `!poolfind Leak 0`",),
)


def sample(n: int) -> Sample:
    held = np.array([1e6 + n * 50_000, 3e6 + n % 5 * 1e5, 7e4, 100.0, 0.0])
    return Sample(NOON + n * 60, TagFigures(np.arange(5), held, held / 50, held + n), {"nonpaged_used": 1e7})


@pytest.fixture
def tracker() -> Tracker:
    index = TagIndex()
    for key in KEYS:
        index.number(key)
    tracker = Tracker(index, Host())
    for n in range(60):
        tracker.feed(sample(n))
    return tracker


class DetailApp(App[int]):
    def __init__(self, screen: DetailScreen) -> None:
        super().__init__()
        self.animation_level = "none"
        self.detail = screen
        self.answers: list[int | None] = []

    def on_mount(self) -> None:
        self.push_screen(self.detail, self.answers.append)


def run(
    tracker: Tracker,
    body: Callable[[Pilot[int], DetailScreen], Awaitable[None]],
    *,
    number: int = 0,
    size: tuple[int, int] = (80, 24),
    judged: Judged | None = None,
    order: Sequence[int] = (1, 0, 2),
    whois: Whois | None = None,
    big: BigPools | None = None,
) -> DetailApp:
    owners = Owners(System(), [TagDescription("Wide", "文字化け.sys", "宽 [red]字[/red] \x1b]0;x\x07")])
    screen = DetailScreen(
        tracker, View(tracker, owners), lambda: judged, number, order=lambda: order, whois=whois, big=big
    )
    app = DetailApp(screen)

    async def go() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await body(pilot, screen)

    asyncio.run(go())
    return app


def shown(screen: DetailScreen) -> list[str]:
    """The lines of the terminal, as they stand there."""
    return ["".join(segment.text for segment in strip) for strip in screen._compositor.render_strips()]


def body_of(screen: DetailScreen) -> str:
    return str(screen.query_one("#body", Static).content)


def test_every_size_and_every_tag_is_shown_without_harm(tracker: Tracker) -> None:
    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        for place, size in enumerate(SIZES):
            await pilot.resize_terminal(*size)
            for number in range(5) if size == (80, 24) else (place % 5,):
                screen.number = number
                screen.renew()
                await pilot.pause()
                lines = shown(screen)
                assert len(lines) == size[1]
                assert all(cell_len(line) == size[0] for line in lines)
                assert "".join(lines).isprintable()
                assert body_of(screen).replace("\n", "").isprintable()

    run(tracker, look, judged=Judged(LEAKS))


def test_a_screen_of_24_lines_says_what_matters_first(tracker: Tracker) -> None:
    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        lines = shown(screen)
        assert lines[0].startswith("Leak   nonpaged pool")
        assert "POOL LEAK SUSPECTED, MEDIUM CONFIDENCE  2 of 3" in lines[0]
        assert any("now 12:59 UTC" in line for line in lines)
        assert any(line.startswith("tag Leak leaks [/b] \\x1b[31m") for line in lines)
        assert any("Per hour, overall +2.9 MB" in line for line in lines)
        assert lines[23].startswith("Esc back")

    run(tracker, look, judged=Judged(LEAKS))


def test_a_wide_screen_has_the_findings_beside_the_figures(tracker: Tracker) -> None:
    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        lines = shown(screen)
        line = next(line for line in lines if line.startswith("Bytes             3."))
        assert "What is found" in line
        assert any("it never fell" in line for line in lines)
        assert any("!poolfind Leak 0" in line for line in lines)

    run(tracker, look, size=(200, 60), judged=Judged(LEAKS))


def test_markup_of_a_tag_is_text(tracker: Tracker) -> None:
    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        assert shown(screen)[0].startswith("[b]\\x1b   nonpaged pool")

    run(tracker, look, number=2)


def test_wide_characters_of_a_driver_keep_the_line_in_place(tracker: Tracker) -> None:
    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        assert "文字化け.sys" in shown(screen)[0]
        assert "[red]字[/red] \\x1b]0;x\\x07" in body_of(screen)

    run(tracker, look, number=4)


def test_a_new_sample_is_shown_by_itself(tracker: Tracker) -> None:
    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        before = body_of(screen)
        tracker.feed(sample(60))
        await pilot.pause(0.1)
        assert body_of(screen) != before
        assert any("now 13:00 UTC" in line for line in shown(screen))

    run(tracker, look)


def test_next_and_previous_follow_the_table_and_stop_at_its_ends(tracker: Tracker) -> None:
    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        await pilot.press("n")
        assert screen.number == 2
        await pilot.press("n")
        assert screen.number == 2
        assert "this is the last tag" in shown(screen)[23]
        await pilot.press("p", "p")
        assert screen.number == 1
        await pilot.press("p")
        assert "this is the first tag" in shown(screen)[23]
        await pilot.press("escape")
        await pilot.pause()

    assert run(tracker, look).answers == [1]


def test_back_to_the_table(tracker: Tracker) -> None:
    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        app = pilot.app
        assert isinstance(app, DetailApp)
        for key in ("escape", "q", "enter"):
            again = DetailScreen(tracker, screen.view, lambda: None, 1)
            app.push_screen(again, app.answers.append)
            await pilot.pause()
            await pilot.press(key)
            await pilot.pause()
            assert app.screen is screen

    assert run(tracker, look).answers == [1, 1, 1]


def test_the_chart_goes_from_figure_to_figure(tracker: Tracker) -> None:
    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        for key, title in (
            ("d", "Allocations not freed"),
            ("a", "Allocations per second"),
            ("tab", "Bytes"),
            ("tab", "Allocations not freed"),
            ("b", "Bytes"),
        ):
            await pilot.press(key)
            await pilot.pause()
            assert shown(screen)[1].startswith(title)

    run(tracker, look)


def test_the_text_scrolls(tracker: Tracker) -> None:
    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        await pilot.press("end")
        await pilot.pause(0.1)
        assert any("!poolused 2 Leak" in line for line in shown(screen))

    run(tracker, look)


def test_a_low_screen_has_no_chart(tracker: Tracker) -> None:
    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        assert not screen.query_one(Chart).display
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert screen.query_one(Chart).display

    run(tracker, look, size=(80, 12))


def test_commands_are_copied_one_after_the_other(tracker: Tracker) -> None:
    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        await pilot.press("c")
        assert screen.app.clipboard == "!poolfind Leak 0"
        assert shown(screen)[23].startswith("copied 1 of 3: !poolfind Leak 0")
        await pilot.press("y")
        assert screen.app.clipboard.startswith("poolsleuth whois Leak ")

    run(tracker, look, judged=Judged(LEAKS))


def test_a_mark_is_drawn(tracker: Tracker) -> None:
    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        assert any("mark 12:59" in line or "M" in line for line in shown(screen)[9:11])
        assert "mark" in body_of(screen)

    tracker.set_mark()
    tracker.feed(sample(60))
    run(tracker, look)


# ---- the search among drivers ----


def answer(tag: str, progress: Progress, stop: Event) -> Searched | None:
    progress(3, 3)
    found = Found("leak.sys", "C:\\leak.sys", Confidence.MEDIUM, ("it allocates",), ("a guess",))
    return Searched(tag, (found,), 0, 3, 0, ())


def test_a_search_shows_what_drivers_say_with_its_confidence(tracker: Tracker) -> None:
    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        assert "press w to search" in body_of(screen)
        await pilot.press("w")
        await pilot.pause(0.1)
        assert "1. leak.sys (confidence: medium)" in body_of(screen)
        assert any("leak.sys" in line for line in shown(screen))  # it was scrolled to

    run(tracker, look, whois=answer)


def test_a_search_tells_how_far_it_is_and_ends_with_the_page(tracker: Tracker) -> None:
    ended = Event()

    def slow(tag: str, progress: Progress, stop: Event) -> Searched | None:
        progress(7, 480)
        if stop.wait(20):
            ended.set()
        return None

    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        await pilot.press("w")
        await pilot.pause(0.1)
        assert "searching the drivers: 7 of 480 files" in body_of(screen)
        await pilot.press("escape")
        await pilot.pause()

    run(tracker, look, whois=slow)
    assert ended.wait(5)


@pytest.mark.parametrize("error", [InputError("no drivers [b] \x1b here"), RuntimeError("odd")])
def test_a_search_that_fails_says_so(tracker: Tracker, error: Exception) -> None:
    def fail(tag: str, progress: Progress, stop: Event) -> Searched | None:
        raise error

    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        await pilot.press("w")
        await pilot.pause(0.1)
        said = body_of(screen)
        assert "no drivers [b] \\x1b here" in said or "the search failed: RuntimeError('odd')" in said

    run(tracker, look, whois=fail)


def test_without_drivers_w_says_so(tracker: Tracker) -> None:
    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        await pilot.press("w")
        assert "there are no drivers to search" in shown(screen)[23]

    run(tracker, look)


def test_without_colour_all_is_said_in_words(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        assert "SUSPECTED" in shown(screen)[0]
        assert any("never in 59 min 0 s" in line for line in shown(screen))

    run(tracker, look, judged=Judged(LEAKS))


# ---- in the whole screen ----


def test_in_the_whole_screen_without_unicode(drive: Callable[..., object]) -> None:
    async def script(driven: Any) -> None:
        await driven.press("enter")
        assert driven.lines[0].startswith("Leak   nonpaged pool")
        assert driven.text.isascii()
        await driven.press("n")
        second = driven.lines[0][:4]
        await driven.press("escape")
        assert driven.cursor == second

    drive(script, encoding="ascii")


def test_a_replay_that_goes_back_takes_the_page_along(drive: Callable[..., object]) -> None:
    async def script(driven: Any) -> None:
        await driven.press("enter")
        assert "now 12:09" in driven.text
        driven.app.feed.player.jump(3)
        await driven.settle()
        await driven.pilot.pause(0.1)
        assert "now 12:03" in driven.text

    drive(script)
