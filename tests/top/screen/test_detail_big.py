"""Big allocations in the detail view of a tag of a running Windows."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Static

from poolsleuth.model.machine import System
from poolsleuth.model.report import ReportFinding
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind, TagDescription
from poolsleuth.sampling.sample import Host, Sample, TagFigures, TagIndex
from poolsleuth.top.big_pool import BigPools
from poolsleuth.top.owners import Owners
from poolsleuth.top.screen.detail import DetailScreen
from poolsleuth.top.tag_search import Whois
from poolsleuth.top.tracker import Tracker
from poolsleuth.top.view import View

NOON = 1_795_003_200.0
N, P = PoolKind.NONPAGED, PoolKind.PAGED
KEYS = (TagKey("Leak", N), TagKey("MmSt", P), TagKey("[b]\x1b", N), TagKey("\x9b文"[:2], P), TagKey("Wide", N))


class Judged:
    def __init__(self, *findings: ReportFinding) -> None:
        self.findings = findings
        self.limits: dict[PoolKind, int | None] = {N: 8 << 20}
        self.guesses: frozenset[PoolKind] = frozenset()


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


def body_of(screen: DetailScreen) -> str:
    return str(screen.query_one("#body", Static).content)


class Big:
    note: str | None = None
    hidden = False

    def __init__(self, size: int) -> None:
        self.size = size

    def of(self, key: TagKey) -> tuple[int, int] | None:
        return (2, self.size) if key.tag == "Leak" else None


def test_big_allocations_are_asked_for_when_the_page_opens_and_again_with_a_key(tracker: Tracker) -> None:
    asked: list[int] = []

    def ask() -> Big:
        asked.append(1)
        return Big(8192 * len(asked))

    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        for _ in range(100):
            await pilot.pause(0.02)
            if "of these" in body_of(screen):
                break
        said = " ".join(body_of(screen).split())
        assert "of these, 2 blocks and 8.0 KB (8,192 bytes) in big allocations" in said
        await pilot.press("r")
        for _ in range(100):
            await pilot.pause(0.02)
            if "16,384" in body_of(screen):
                break
        assert "16,384" in body_of(screen)
        assert len(asked) == 2

    run(tracker, look, big=BigPools(ask), size=(100, 50))


def test_a_replay_has_no_big_allocations_to_ask_for(tracker: Tracker) -> None:
    async def look(pilot: Pilot[int], screen: DetailScreen) -> None:
        await pilot.press("r")
        assert "only a running Windows" in str(screen.query_one("#foot", Static).content)

    run(tracker, look)
