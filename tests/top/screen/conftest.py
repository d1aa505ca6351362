"""The screen over a machine that is sampled by hand, driven without a terminal."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from textual.pilot import Pilot

from poolsleuth.model.errors import InputError
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.sample import Floats, Host, Sample, TagFigures, TagIndex
from poolsleuth.top.feed import Feed, LiveFeed, ReplayFeed
from poolsleuth.top.owners import TagOwner
from poolsleuth.top.player import Player
from poolsleuth.top.screen.app import TopApp
from poolsleuth.top.verdict import Judge
from poolsleuth.top.view import View, ViewOptions

N, P = PoolKind.NONPAGED, PoolKind.PAGED
NOON = 1_795_003_200.0  # 2026-11-18 12:00 UTC
Rows = dict[TagKey, tuple[float, float, float]]
"""Bytes, outstanding and allocations by tag."""
Script = Callable[["Driven"], Awaitable[None]]


class Listed:
    """A series out of a list of tables, a minute apart; ``broken`` places cannot be read."""

    def __init__(
        self, tables: Sequence[Rows], host: Host | None = None, *, dated: bool = True, **memory: float
    ) -> None:
        self.index = TagIndex()
        self.host = host or Host(computer="SRV01")
        self.notes: tuple[str, ...] = ()
        self.times: Floats = np.array([NOON + 60 * place if dated else np.nan for place in range(len(tables))])
        self.broken: set[int] = set()
        self.memory = memory
        self._tables = tables

    def at(self, place: int) -> Sample:
        if place in self.broken:
            raise InputError(f"sample {place + 1} is damaged")
        rows = self._tables[place]
        ids = np.array([self.index.number(key) for key in rows], np.int64)
        figures = np.array(list(rows.values()), np.float64).reshape(-1, 3)
        tags = TagFigures(ids, figures[:, 0].copy(), figures[:, 1].copy(), figures[:, 2].copy())
        return Sample(float(self.times[place]), tags, self.memory, complete=True)


@dataclass
class Listing:
    """A sampler that gives the samples of a list one after the other, the last one again and again."""

    series: Listed
    taken: int = 0
    error: Exception | None = None
    notes: tuple[str, ...] = ()
    index: TagIndex = field(init=False)
    host: Host = field(init=False)

    def __post_init__(self) -> None:
        self.index, self.host = self.series.index, self.series.host

    def take(self) -> Sample:
        if self.error is not None:
            raise self.error
        sample = self.series.at(min(self.taken, len(self.series.times) - 1))
        self.taken += 1
        return sample


class Named:
    """Owners of a few tags."""

    def __init__(self, **drivers: str) -> None:
        self.drivers = drivers

    def of(self, key: TagKey) -> TagOwner:
        driver = self.drivers.get(key.tag)
        return TagOwner(driver, f"notes on {key.tag}", sure=not (driver or "").startswith("maybe"))


class Driven:
    """An app under a pilot: presses keys, and tells what stands on the screen."""

    def __init__(self, app: TopApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)  # waits until nothing works any more
        self.app.main.tick()
        await self.pilot.pause()

    async def settle(self) -> None:
        await self.pilot.pause()
        self.app.main.tick()
        await self.pilot.pause()

    @property
    def lines(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def tags(self) -> list[str]:
        """The tags in the table, from the top."""
        table = self.app.main.table
        keys = self.app.tracker.index.keys
        shown = table.cursor.ids[table.cursor.top : table.cursor.top + table.cursor.height]
        return [keys[number].tag for number in shown.tolist()]

    @property
    def cursor(self) -> str | None:
        number = self.app.main.table.cursor.number
        return None if number is None else self.app.tracker.index.keys[number].tag


Drive = Callable[..., TopApp]


def usual(minutes: int = 30) -> list[Rows]:
    """Leak grows by a megabyte a minute, Wave goes up and down, Idle stands still, File shrinks."""
    return [
        {
            TagKey("Leak", N): (minute * 2.0**20, minute * 1024.0, 5 + minute * 1024.0),
            TagKey("Wave", P): ((minute % 10) * 100_000.0, minute % 10 + 1.0, minute * 7.0 + 10),
            TagKey("Idle", P): (40_960.0, 40.0, 900.0),
            TagKey("File", N): (9_000_000.0 - minute * 4096, 1_000.0 - minute, 50_000.0),
            TagKey("File", P): (70_000.0, 7.0, 8.0),
        }
        for minute in range(minutes)
    ]


@pytest.fixture
def usual_tables() -> Callable[[int], list[Rows]]:
    """Four tags over so many minutes."""
    return usual


@pytest.fixture
def listed() -> type[Listed]:
    """Makes a series out of tables."""
    return Listed


@pytest.fixture
def listing() -> type[Listing]:
    """Makes a sampler out of a series."""
    return Listing


@pytest.fixture
def named() -> type[Named]:
    """Makes owners."""
    return Named


@pytest.fixture
def replay() -> Callable[..., ReplayFeed]:
    """A paused replay of a series at a place."""

    def make(series: Listed, place: int = 0, *, speed: float = 60.0) -> ReplayFeed:
        times = series.times.tolist() if np.isfinite(series.times).all() else None
        player = Player(len(series.times), times, speed)
        player.jump(place)
        player.playing = False
        return ReplayFeed(series, player)

    return make


@pytest.fixture
def drive(replay: Callable[..., ReplayFeed]) -> Drive:
    """Runs an app over a feed (or over usual samples at the tenth) and a script in it; gives the app back."""

    def run(
        script: Script,
        feed: Feed | None = None,
        *,
        size: tuple[int, int] = (80, 24),
        options: ViewOptions | None = None,
        owners: Named | None = None,
        judge: Judge | None = None,
        encoding: str = "utf-8",
    ) -> TopApp:
        feed = feed or replay(Listed(usual(), nonpaged_used=300e6, physical=8 * 2.0**30), 9)
        app = TopApp(
            feed,
            feed.tracker,
            View(feed.tracker, owners),
            judge,
            options or ViewOptions(),
            title="file.log",
            encoding=encoding,
        )

        async def session() -> None:
            async with app.run_test(size=size) as pilot:
                driven = Driven(app, pilot)
                await driven.settle()
                await script(driven)

        try:
            asyncio.run(session())
        finally:
            app.close()
        return app

    return run


__all__ = ["Drive", "Driven", "LiveFeed", "usual"]
