"""The main screen: header, table and bottom line, moved by a clock and by keys."""

import math
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen

from poolsleuth.model.tags import PoolKind
from poolsleuth.top.screen.bars import PoolUse
from poolsleuth.top.screen.choices import beside, chosen, clicked, filter_words, order_words
from poolsleuth.top.screen.header import Facts, Header
from poolsleuth.top.screen.keys import Action, action_of
from poolsleuth.top.screen.status import Said, Status
from poolsleuth.top.screen.table import TagTable
from poolsleuth.top.tracker import Since
from poolsleuth.top.verdict import Verdict
from poolsleuth.top.verdict_words import Sentence
from poolsleuth.top.view import ViewOptions

if TYPE_CHECKING:
    from poolsleuth.top.screen.app import TopApp

TICK = 0.1  # seconds between two looks at the feed: the screen is drawn ten times a second at most
MESSAGE_SECONDS = 5.0  # a message stays so long
JUDGING = "judging ..."
FRESH = 0.9  # of the samples: a verdict on fewer is shown with its time
_POOLS = ((PoolKind.NONPAGED, "nonpaged_used"), (PoolKind.PAGED, "paged_used"))


class MainScreen(Screen[None]):
    """What stands there most of the time."""

    BINDINGS: ClassVar = []
    AUTO_FOCUS = None
    DEFAULT_CSS = "MainScreen { layout: vertical; overflow: hidden; }"
    app: "TopApp"

    def __init__(self, top: "TopApp") -> None:
        super().__init__()
        self.top = top
        self.header = Header(top.signs)
        series = top.feed.series
        self.table = TagTable(top.view, top.options, top.signs, alone=series is not None and len(series.times) == 1)
        self.status = Status()
        self._message = ""
        self._message_until = 0.0
        self._notes: tuple[str, ...] = ()
        self._stale = True  # something is to be drawn again
        self._actions: dict[Action, Callable[[], None]] = {
            Action.HELP: top.show_help,
            Action.QUIT: top.leave,
            Action.CLOSE: top.leave,
            Action.PROMPT: top.ask_command,
            Action.EXCLUDE: top.ask_exclude,
            Action.ASK_SESSION: top.ask_session,
            Action.JUMP: top.ask_place,
            Action.EXPORT: top.ask_export,
            Action.DETAIL: top.show_detail,
            Action.LEFT: lambda: self._beside(-1),
            Action.RIGHT: lambda: self._beside(1),
            Action.MARK: self._mark,
            Action.UNMARK: self._unmark,
            Action.PAUSE: self._pause,
            Action.BACK: lambda: self._step(-1),
            Action.FORWARD: lambda: self._step(1),
            Action.FASTER: lambda: self._speed(faster=True),
            Action.SLOWER: lambda: self._speed(faster=False),
            Action.UP: lambda: self.table.move(-1),
            Action.DOWN: lambda: self.table.move(1),
            Action.PAGE_UP: lambda: self.table.move(-self.table.cursor.height),
            Action.PAGE_DOWN: lambda: self.table.move(self.table.cursor.height),
            Action.FIRST: lambda: self.table.move_to(0),
            Action.LAST: lambda: self.table.move_to(len(self.table.cursor.ids) - 1),
        }

    def compose(self) -> ComposeResult:
        """Header, table, bottom line."""
        yield self.header
        yield self.table
        yield self.status

    # ---- the clock -------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Look at the feed and at the judge; draw when something changed."""
        top = self.top
        fed = top.feed.poll(monotonic())
        judged = top.look_at_judge(fed=fed)
        if not (self.is_current or self.app.screen.is_modal):
            self._stale |= fed or judged
            return
        if fed or self._stale:
            self._stale = False
            self.table.update()
        self.header.show(self._facts())
        self._note()
        self._say()

    def draw(self) -> None:
        """Draw everything again now."""
        self._stale = False
        self.table.update()
        self.header.show(self._facts())
        self._say()

    def on_screen_resume(self) -> None:
        """Another screen was closed."""
        self._stale = True

    def on_resize(self) -> None:
        """The terminal has another size."""
        self.header.draw()
        self._stale = True

    def choose(self, options: ViewOptions) -> None:
        """Show something else."""
        if options != self.top.options:
            self.top.options = self.table.options = options
            self.draw()

    def say(self, message: str) -> None:
        """A message in the bottom line, for some seconds."""
        self._message, self._message_until = message, monotonic() + MESSAGE_SECONDS
        self._say()

    def _note(self) -> None:
        """What the feed could not read is said once, when it is new."""
        notes = tuple(self.top.feed.notes)
        if notes != self._notes:
            new = [note for note in notes if note not in self._notes]
            self._notes = notes
            if new:
                self.say(new[0] + (f" (and {len(new) - 1} more)" if len(new) > 1 else ""))

    def _say(self) -> None:
        if self._message and monotonic() >= self._message_until:
            self._message = ""
        cursor, feed = self.table.cursor, self.top.feed
        count = len(cursor.ids)
        last = min(cursor.top + cursor.height, count)
        place = f"{order_words(self.top.options)}  {cursor.top + 1 if count else 0}-{last} of {count:,}"
        self.status.show(
            Said(self._message or feed.error or "", filter_words(self.top.options), place, feed.player is not None)
        )

    def _facts(self) -> Facts:
        tracker, feed, verdict = self.top.tracker, self.top.feed, self.top.verdict
        now, before = tracker.now, tracker.origin(Since.LAST)
        memory = dict(now.memory) if now is not None else {}
        faults = memory.get("page_faults", math.nan)
        earlier = before.memory.get("page_faults", math.nan) if before is not None else math.nan
        mark = tracker.mark
        ago = now.time - mark.time if now is not None and mark is not None else math.nan
        return Facts(
            computer=tracker.host.computer or self.top.evidence,
            time=now.time if now is not None else math.nan,
            utc=tracker.host.utc,
            label=now.label if now is not None else "",
            watched=tracker.seconds,
            marked=ago if math.isfinite(ago) and ago >= 0 else None,
            status=feed.status(),
            memory=memory,
            page_faults=faults - earlier if math.isfinite(faults - earlier) and faults >= earlier else None,
            uses=self._uses(),
            verdict=verdict.sentences if verdict is not None else self._before_verdict(),
            judged_at=_stale_time(verdict, tracker.count),
            level=verdict.level if verdict is not None else "none",
        )

    def _before_verdict(self) -> tuple[Sentence, ...]:
        """The line of the verdict is there from the first: the table must not jump down when it comes."""
        return () if self.top.judge is None else (Sentence(JUDGING),)

    def _uses(self) -> tuple[PoolUse, ...]:
        """The pools against their limits; what all tags hold where the evidence has no figure of its own."""
        now, verdict = self.top.tracker.now, self.top.verdict
        if now is None:
            return ()
        limits = verdict.limits if verdict is not None else {}
        guesses = verdict.guesses if verdict is not None else frozenset()
        uses = []
        for pool, figure in _POOLS:
            used = now.memory.get(figure, math.nan)
            summed = not math.isfinite(used)
            if summed:
                used = self.top.sum_of_tags(pool)
            known = round(used) if math.isfinite(used) else None
            uses.append(PoolUse(pool, known, limits.get(pool), guessed=pool in guesses, summed=summed))
        return tuple(uses)

    # ---- keys ------------------------------------------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        """What a key means here; the others are left to textual."""
        action = action_of(event.key, event.character)
        if action is None:
            return
        event.stop()
        event.prevent_default()
        options = chosen(self.top.options, action, event.character)
        if options is not None:
            self.choose(options)
        elif action in self._actions:
            self._actions[action]()

    def _beside(self, step: int) -> None:
        self.choose(beside(self.top.options, self.table.layout_shown.columns, step))

    def _mark(self) -> None:
        self.top.tracker.set_mark()
        self.say("mark set: SinceMark counts from here (u clears it)")
        self.draw()

    def _unmark(self) -> None:
        self.top.tracker.clear_mark()
        self.say("the mark is cleared")
        self.draw()

    def _pause(self) -> None:
        self.top.feed.toggle()
        self.tick()

    def _step(self, samples: int) -> None:
        feed = self.top.feed
        if feed.player is None and samples < 0:
            self.say("there is no way back on a machine that runs: record it, and replay the recording")
            return
        feed.step(samples)
        self.tick()

    def _speed(self, *, faster: bool) -> None:
        player = self.top.feed.player
        if player is None:
            self.say("only a replay has a speed")
        elif faster:
            player.faster()
        else:
            player.slower()
        self.tick()

    # ---- the mouse -------------------------------------------------------------------------------------------------

    def on_tag_table_sorted(self, message: TagTable.Sorted) -> None:
        """A heading was clicked."""
        message.stop()
        self.choose(clicked(self.top.options, message.column, by_change=message.by_change))

    def on_tag_table_opened(self, message: TagTable.Opened) -> None:
        """A line was double-clicked."""
        message.stop()
        self.top.show_detail()

    def on_tag_table_moved(self, message: TagTable.Moved) -> None:
        """The cursor moved."""
        message.stop()
        self._say()


def _stale_time(verdict: Verdict | None, count: int) -> float | None:
    """When a verdict was made that the samples have left behind; None while it is as good as new."""
    if verdict is None or verdict.level == "watching" or verdict.count >= FRESH * count:
        return None
    return verdict.at
