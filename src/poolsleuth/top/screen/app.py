"""The application: what the main screen needs, the screens that open over it, and the way in and out."""

import asyncio
import contextlib
import math
from pathlib import Path
from typing import ClassVar

import numpy as np
from textual.app import App

from poolsleuth.model.errors import InputError, PoolsleuthError
from poolsleuth.model.tags import PoolKind
from poolsleuth.report.wording import plural, short
from poolsleuth.top.export import export_rows
from poolsleuth.top.feed import Feed, LiveFeed
from poolsleuth.top.screen.colours import signs
from poolsleuth.top.screen.detail import DetailScreen
from poolsleuth.top.screen.help import HelpScreen
from poolsleuth.top.screen.leaving import leaving
from poolsleuth.top.screen.main import TICK, MainScreen
from poolsleuth.top.screen.prompts import (
    Prompt,
    command_prompt,
    exclude_prompt,
    export_prompt,
    jump_prompt,
    session_prompt,
)
from poolsleuth.top.tag_search import Whois
from poolsleuth.top.tracker import Tracker
from poolsleuth.top.verdict import BackgroundJudge, Judge, Verdict
from poolsleuth.top.verdict_background import REPLAY_SHARE, SHARE
from poolsleuth.top.view import View, ViewOptions

THEMES = ("ansi-dark", "textual-ansi")  # the first that this textual has: both leave colours to the terminal
_GROUPS = {PoolKind.NONPAGED: 0, PoolKind.PAGED: 1}  # of the system's pools, see view_sessions.Places


class TopApp(App[int]):
    """The screen over a feed.

    ``judge`` judges in the background; None: nothing is judged. ``whois`` searches drivers for a tag.
    ``title`` names the evidence where no sample names the machine. ``encoding`` is that of the terminal.
    """

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = [("ctrl+c", "leave", ""), ("ctrl+q", "leave", "")]

    def __init__(
        self,
        feed: Feed,
        tracker: Tracker,
        view: View,
        judge: Judge | None,
        options: ViewOptions,
        *,
        whois: Whois | None = None,
        title: str = "",
        encoding: str | None = None,
    ) -> None:
        super().__init__(ansi_color=True)
        self.animation_level = "none"  # what scrolls smoothly sends many screens where one is enough
        self.theme = next((name for name in THEMES if name in self.available_themes), self.theme)
        self.feed = feed
        self.tracker = tracker
        self.view = view
        share = SHARE if feed.series is None else REPLAY_SHARE
        self.judge = BackgroundJudge(judge, share) if judge is not None else None
        if judge is not None:
            feed.on_sample = judge.see
        self.options = options
        self.whois = whois
        self.evidence = title
        self.big = feed.big if isinstance(feed, LiveFeed) else None
        self.signs = signs(encoding)
        self.failure: BaseException | None = None
        self.main = MainScreen(self)
        self._events: asyncio.AbstractEventLoop | None = None
        self._left = False
        self._judged: Verdict | None = None
        self._jumped = False
        self._sums: tuple[object, dict[PoolKind, float]] = (None, {})

    @property
    def verdict(self) -> Verdict | None:
        """The latest verdict; None before the first."""
        return self.judge.verdict if self.judge is not None else None

    def on_mount(self) -> None:
        """Show the main screen and start the clock."""
        self.push_screen(self.main)
        self.set_interval(TICK, self.main.tick)
        self._events = asyncio.get_running_loop()
        if self._left:
            self.leave()

    def action_leave(self) -> None:
        """Quit."""
        self.leave()

    def leave(self) -> None:
        """Quit."""
        self.exit(0)

    def leave_soon(self) -> None:
        """Quit, as asked by another thread or by the handler of a signal."""
        self._left = True
        if self._events is not None:
            with contextlib.suppress(RuntimeError):  # it has ended just now
                self._events.call_soon_threadsafe(self.leave)

    def close(self) -> None:
        """Judge no more. To be called when the screen is gone: it may wait for a judgement that is under way."""
        if self.judge is not None:
            self.judge.close()

    def _fatal_error(self) -> None:
        """No traceback on anybody's terminal: ``run`` says in one sentence what it was."""
        self.failure = self._exception
        self._close_messages_no_wait()

    # ---- for the main screen ---------------------------------------------------------------------------------------

    def look_at_judge(self, *, fed: bool) -> bool:
        """Give the judge what is new; whether there is another verdict."""
        judge = self.judge
        if judge is None or not self.tracker.count:
            return False
        verdict = judge.verdict
        behind = verdict is None or verdict.count != self.tracker.count
        if behind and self.feed.arrived and (self._jumped or self._stands):
            # It waits between two judgements so as not to slow the screen down: not now
            judge.hurry()
            self._jumped = False
        if fed or behind:
            judge.offer(self.tracker)
        changed = verdict is not self._judged
        self._judged = verdict
        return changed

    @property
    def _stands(self) -> bool:
        """Whether no other sample comes by itself: paused, or at the end of a replay."""
        feed = self.feed
        if feed.paused or feed.player is None or feed.series is None:
            return feed.paused
        return feed.player.place >= len(feed.series.times) - 1

    def sum_of_tags(self, pool: PoolKind) -> float:
        """Bytes of all tags of a pool of the system; NaN when no tag of it is known."""
        now = self.tracker.now
        if now is None:
            return math.nan
        if self._sums[0] is not now:
            groups = self.tracker.places.groups[: len(now.bytes)]
            known = np.isfinite(now.bytes)
            found = {of: now.bytes[known & (groups == group)] for of, group in _GROUPS.items()}
            self._sums = (now, {of: float(values.sum()) if len(values) else math.nan for of, values in found.items()})
        return self._sums[1].get(pool, math.nan)

    # ---- what opens over it ----------------------------------------------------------------------------------------

    def show_help(self) -> None:
        """The keys and the columns."""
        self.push_screen(HelpScreen())

    def show_detail(self) -> None:
        """All about the tag under the cursor."""
        number = self.main.table.cursor.number
        if number is None:
            self.main.say("there is no tag under the cursor")
            return
        detail = DetailScreen(
            self.tracker,
            self.view,
            lambda: self.verdict,
            number,
            order=lambda: self.view.rows(self.options).tolist(),
            whois=self.whois,
            big=self.big,
        )
        self.push_screen(detail, self._back_from_detail)

    def _back_from_detail(self, number: int | None) -> None:
        if number is not None and number != self.main.table.cursor.number:
            self.main.table.go_to(number)

    def ask_command(self) -> None:
        """Search as you type, or poolmon's patterns."""
        self._ask_options(command_prompt(self.options, self.main.choose))

    def ask_exclude(self) -> None:
        """Which tags to leave out."""
        self._ask_options(exclude_prompt(self.options))

    def ask_session(self) -> None:
        """Which session to show."""
        self._ask_options(session_prompt(self.options))

    def _ask_options(self, prompt: Prompt[ViewOptions]) -> None:
        self.push_screen(prompt, lambda options: self.main.choose(options) if options is not None else None)

    def ask_place(self) -> None:
        """Where to go in a replay."""
        feed = self.feed
        player = feed.player
        if feed.series is None or player is None:
            self.main.say("a machine that runs has no other times: record it, and replay the recording")
            return
        times, host = feed.series.times, feed.series.host

        def go(place: int | None) -> None:
            if place is not None and player is not None:
                player.jump(place)
                self._jumped = True
                self.main.tick()

        self.push_screen(jump_prompt(times, player.place, utc=host.utc), go)

    def ask_export(self) -> None:
        """Which file to write what is shown to."""
        self.push_screen(export_prompt(), self._export)

    def _export(self, path: Path | None) -> None:
        if path is None:
            return
        try:
            rows = export_rows(path, self.tracker, self.view, self.options)
        except InputError as error:
            self.main.say(str(error))
        else:
            self.main.say(f"{plural(rows, 'tag')} written to {short(str(path), 80)}")


def run(
    feed: Feed,
    tracker: Tracker,
    view: View,
    judge: Judge | None,
    options: ViewOptions,
    *,
    whois: Whois | None = None,
    title: str = "",
) -> int:
    """Show the screen until its user leaves it. Returns the exit status.

    Raises PoolsleuthError, with the terminal put right, when the screen itself broke.
    """
    app = TopApp(feed, tracker, view, judge, options, whois=whois, title=title)
    with leaving(app.leave_soon):
        status = app.run()
        app.close()
    if app.failure is not None:
        place = _place(app.failure)
        raise PoolsleuthError(
            f"the screen broke and was closed, nothing of yours is lost: {type(app.failure).__name__}:"
            f" {short(str(app.failure), 200)} ({place}); please report this; --plain works without it"
        ) from app.failure
    return status if status is not None else 0


def _place(error: BaseException) -> str:
    """File and line where an error came up."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else "unknown place"
