"""Where the samples of the screen come from: a machine that runs, or a series that is played again.

A feed is polled by the screen's own clock. It never raises and never blocks for long: what fails is said in its status.
"""

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import monotonic
from typing import Protocol, runtime_checkable

import numpy as np

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.sample import Ids, Sample, Sampler, Series, TagIndex
from poolsleuth.top.big_pool import BigPools, HasBigPool
from poolsleuth.top.player import Player
from poolsleuth.top.tracker import Tracker

FASTEST = 0.1  # seconds between live samples at least: poolmon's own screen cannot be read faster
BUDGET = 0.05  # seconds that one poll may spend on samples: the screen still answers its keys ten times a second
MAX_PASSED = 2_000  # samples fed on the way of one jump: as many as the history keeps at most
FEWEST_PASSED = 96  # however long the way is: a chart of one terminal's width
APART = 64  # samples between two of those that a recording holds whole, the others are put together from changes
STREAMED = 64  # samples on the way from which on they are streamed: a recording reads them part by part then
EARLY = 0.05  # seconds that a sample may come before its beat: half the time between two looks of the screen
STILL_TAKING = 15.0  # seconds after which a sample that does not come is said


class Feed(Protocol):
    """What moves a tracker on. ``on_sample`` is called after each sample that was fed."""

    on_sample: Callable[[Tracker], None] | None

    @property
    def tracker(self) -> Tracker:
        """What is fed."""

    @property
    def series(self) -> Series | None:
        """What is played; None on a machine that runs."""

    @property
    def player(self) -> Player | None:
        """Where the replay is; None on a machine that runs."""

    @property
    def paused(self) -> bool:
        """Whether it stands still until it is told to go on."""

    @property
    def error(self) -> str | None:
        """Why there is no newer sample, in one sentence; None when all is well."""

    @property
    def arrived(self) -> bool:
        """Whether the tracker is where it is to be: False on the way of a jump."""

    @property
    def notes(self) -> Sequence[str]:
        """What could not be read, in whole sentences."""

    def poll(self, now: float) -> bool:
        """Whether the tracker was fed. ``now`` is a steady clock's seconds."""

    def status(self) -> str:
        """``live, every 5 s``; ``replay 60x, 12 of 49, paused``."""

    def toggle(self) -> None:
        """Pause, or go on."""

    def step(self, samples: int) -> None:
        """Move by so many samples, and pause. A machine that runs only gives the next one."""


class LiveFeed:
    """Samples of a machine that runs, one every ``every`` seconds, taken in a thread of their own.

    The tracker has its own numbering of tags, a copy that grows between two polls only: what draws the screen never
    sees it change. A tracker that is given follows it from then on. ``big`` asks for big allocations; None: it cannot.
    """

    player: Player | None = None
    series: Series | None = None
    arrived = True

    def __init__(self, sampler: Sampler, every: float = 5.0, tracker: Tracker | None = None) -> None:
        self.every = max(FASTEST, every)
        self._index = TagIndex()
        self.tracker = tracker or Tracker(self._index, sampler.host)
        self.tracker.index = self._index
        self.on_sample: Callable[[Tracker], None] | None = None
        self.error: str | None = None
        self.paused = False
        self.big = BigPools(sampler.big_pool) if isinstance(sampler, HasBigPool) else None
        self._sampler = sampler
        self._due: float | None = None
        self._taking: _Taking | None = None
        self._began = 0.0
        self._waits = 0.0
        self._copy_index()

    @property
    def notes(self) -> Sequence[str]:
        """What could not be read, in whole sentences."""
        return self._sampler.notes

    def poll(self, now: float) -> bool:
        """Whether the tracker was fed."""
        fed = False
        taking = self._taking
        if taking is not None:
            self._waits = now - self._began
            if not taking.done:
                return False
            self._taking = None
            self.error = taking.error
            if taking.sample is not None:
                self._copy_index()
                self.tracker.feed(taking.sample)
                fed = True
                if self.on_sample is not None:
                    self.on_sample(self.tracker)
        if not self.paused and (self._due is None or now >= self._due - min(EARLY, self.every / 4)):
            self._take(now)
        return fed

    def _take(self, now: float) -> None:
        """Begin a sample. The next is due on the beat; beats that were missed are not made up for."""
        due = now if self._due is None else self._due
        self._due = due + self.every * max(1, math.floor((now - due) / self.every) + 1)
        self._began, self._waits = now, 0.0
        self._taking = _Taking(self._sampler)

    def _copy_index(self) -> None:
        for key in self._sampler.index.keys[len(self._index) :]:
            self._index.number(key)
        self._index.lost = self._sampler.index.lost

    def status(self) -> str:
        """``live, every 5 s``."""
        words = f"live, every {self.every:g} s"
        if self.paused:
            words += ", paused"
        if self._taking is not None and self._waits >= STILL_TAKING:
            words += f", waiting {self._waits:.0f} s for a sample"
        return words

    def toggle(self) -> None:
        """Pause: no samples are taken until it goes on."""
        self.paused = not self.paused
        if not self.paused:
            self._due = None

    def step(self, samples: int) -> None:
        """Pause, and take one sample now. There is no way back on a machine that runs."""
        self.paused = True
        if samples > 0 and self._taking is None:
            self._take(monotonic())


class _Taking:
    """One sample on its way, in a thread that does not keep the program from ending."""

    def __init__(self, sampler: Sampler) -> None:
        self.sample: Sample | None = None
        self.error: str | None = None
        self.done = False
        self._sampler = sampler
        threading.Thread(target=self._run, name="sampler", daemon=True).start()

    def _run(self) -> None:
        try:
            self.sample = self._sampler.take()
        except InputError as error:
            self.error = str(error)
        except Exception as error:  # whatever a sampler meets, the screen stays and says it
            self.error = f"no sample was taken: {type(error).__name__}: {error}"
        finally:
            self.done = True


@runtime_checkable
class _Streaming(Protocol):
    """A series that gives many samples faster than one by one."""

    def samples(self, places: Iterable[int]) -> Iterator[Sample]:
        """The samples of ascending places."""


@runtime_checkable
class _Choosing(Protocol):
    """A series that knows which of its samples are quick to give."""

    def evenly(self, most: int, since: float | None = None, until: float | None = None) -> Ids:
        """Places spread evenly over a time, ``most`` of them at most."""


class ReplayFeed:
    """A series that is played again: each poll moves the tracker towards the player's place.

    Every sample between is fed, as far as the time of a poll reaches; a jump over more than ``MAX_PASSED`` samples
    feeds an even choice of them, and always the last two, so that the change since the last sample is right. Going
    back begins again at the first sample; the mark stays.
    """

    def __init__(self, series: Series, player: Player, tracker: Tracker | None = None) -> None:
        self.series: Series = series
        self.player: Player = player
        self.tracker = tracker or Tracker(series.index, series.host)
        self.on_sample: Callable[[Tracker], None] | None = None
        self.error: str | None = None
        self._place = -1  # of the sample that the tracker was fed last
        self._target = -1
        self._way: list[int] = []  # the places to feed, the next one last
        self._stream: Iterator[Sample] | None = None
        self._streamed = False
        self._ticked: float | None = None

    @property
    def paused(self) -> bool:
        """Whether the player stands still."""
        return not self.player.playing

    @property
    def notes(self) -> Sequence[str]:
        """What could not be read, in whole sentences."""
        return self.series.notes

    @property
    def arrived(self) -> bool:
        """Whether the tracker is where the player is."""
        return self._place == self._target

    @property
    def place(self) -> int:
        """The sample that the tracker was fed last, from 0; -1 before the first."""
        return self._place

    def poll(self, now: float) -> bool:
        """Whether the tracker was fed."""
        # While the tracker is on its way, the player's clock stands: nothing is passed over because reading was slow.
        passed = 0.0 if self._ticked is None or self._place != self._target else max(0.0, now - self._ticked)
        self._ticked = now
        until = monotonic() + BUDGET
        fed = self._follow(passed, until)
        while passed > 0 and self._hurries() and monotonic() < until:
            fed |= self._follow(passed, until)
        return fed

    def _hurries(self) -> bool:
        return self.player.playing and math.isinf(self.player.speed) and self._place == self._target

    def _follow(self, passed: float, until: float) -> bool:
        """Let the player's clock go on, and the tracker after it, as far as the time reaches."""
        target = min(max(self.player.tick(passed), 0), len(self.series.times) - 1)
        if target != self._target:
            self._aim(target)
        return self._go(until)

    def _aim(self, target: int) -> None:
        """Choose the samples that lead to a place."""
        if target < self._place:
            self._restart()
        self._target = target
        self._way = self._chosen(target).tolist()[::-1]
        self._stream = None
        self._streamed = len(self._way) >= STREAMED

    def _chosen(self, target: int) -> Ids:
        """The places to feed on the way to one: all of them, or an even choice with the last two."""
        first, far = self._place + 1, target - self._place
        if far <= MAX_PASSED:
            return np.arange(first, target + 1, dtype=np.int64)
        most = max(FEWEST_PASSED, min(self.tracker.history.room, far // APART))
        times = self.series.times
        known = np.isfinite(times[first]) and np.isfinite(times[target])
        if isinstance(self.series, _Choosing) and known:
            chosen = self.series.evenly(most, float(times[first]), float(times[target]))
            chosen = chosen[(chosen >= first) & (chosen <= target)]
        else:
            chosen = np.linspace(first, target, most).astype(np.int64)
        return np.unique(np.append(chosen, (target - 1, target)))

    def _restart(self) -> None:
        try:
            self.tracker.rebuild(self.series, 0)
        except InputError:
            self._place = -1  # the first sample is met again on the way, and said
            return
        self._place = 0
        if self.on_sample is not None:
            self.on_sample(self.tracker)

    def _next(self) -> Sample:
        """The sample of the next place on the way, which is taken off it whether it can be read or not."""
        place = self._way.pop()
        if not self._streamed or not isinstance(self.series, _Streaming):
            return self.series.at(place)
        if self._stream is None:
            self._stream = iter(self.series.samples([place, *reversed(self._way)]))
        try:
            return next(self._stream)
        except (InputError, StopIteration):
            self._stream = None  # what lies behind is asked for anew
            raise

    def _go(self, until: float) -> bool:
        fed = False
        while self._way:
            place = self._way[-1]
            try:
                sample = self._next()
            except InputError as error:
                self.error = str(error)
            except StopIteration:
                self.error = f"sample {place + 1:,} cannot be read"
            else:
                self.tracker.feed(sample)
                fed, self.error = True, None
                if self.on_sample is not None:
                    self.on_sample(self.tracker)
            self._place = place
            if monotonic() >= until:
                break
        if not self._way:
            self._place = self._target
        return fed

    def status(self) -> str:
        """``replay 60x, 12 of 49, paused``."""
        player, count = self.player, len(self.series.times)
        words = "replay " + ("as fast as can be" if math.isinf(player.speed) else f"{player.speed:g}x")
        words += f", {self._place + 1:,} of {count:,}"
        if self._place != self._target:
            return f"{words}, on the way to {self._target + 1:,}"
        if self._place == count - 1:
            return f"{words}, at the end"
        return words if player.playing else f"{words}, paused"

    def toggle(self) -> None:
        """Pause, or go on."""
        self.player.toggle()

    def step(self, samples: int) -> None:
        """Move by so many samples, and pause."""
        if self.player.playing:
            self.player.toggle()
        self.player.step(samples)
