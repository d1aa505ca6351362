"""Feeds: samples on the beat and in a thread, replay forwards and backwards, nothing that raises or blocks."""

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from poolsleuth.model.errors import InputError
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.sample import Floats, Host, Ids, Sample, TagFigures, TagIndex
from poolsleuth.top import feed as feed_module
from poolsleuth.top.feed import APART, FEWEST_PASSED, MAX_PASSED, STILL_TAKING, LiveFeed, ReplayFeed
from poolsleuth.top.player import Player
from poolsleuth.top.tracker import Tracker

N = PoolKind.NONPAGED


def sample(index: TagIndex, time: float, **sizes: float) -> Sample:
    ids = np.array([index.number(TagKey(tag, N)) for tag in sizes], np.int64)
    values = np.array(list(sizes.values()))
    return Sample(time, TagFigures(ids, values, values.copy(), values.copy()))


class Beat:
    """A sampler whose n-th sample holds n bytes; ``gate`` holds samples back until it is set."""

    def __init__(self) -> None:
        self.index = TagIndex()
        self.host = Host(computer="SRV")
        self.notes = ("the handle counts could not be read",)
        self.taken = 0
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.thread: threading.Thread | None = None

    def take(self) -> Sample:
        self.thread = threading.current_thread()
        self.gate.wait(10)
        if self.error is not None:
            raise self.error
        self.taken += 1
        return sample(self.index, float(self.taken), **{f"T{self.taken}": float(self.taken)})


def poll(feed: LiveFeed, now: float) -> bool:
    """Poll after the sample that is on its way has come."""
    for thread in threading.enumerate():
        if thread.name == "sampler":
            thread.join(10)
    return feed.poll(now)


# ---- live ------------------------------------------------------------------------------------------------------------


def test_live_samples_come_on_the_beat() -> None:
    sampler = Beat()
    feed = LiveFeed(sampler, 5.0)
    assert (feed.player, feed.series, feed.notes) == (None, None, sampler.notes)
    assert not feed.poll(100.0)
    assert poll(feed, 100.1)
    assert sampler.thread is not threading.current_thread()
    assert not poll(feed, 104.9)
    assert sampler.taken == 1
    assert not feed.poll(105.2)
    assert poll(feed, 105.3)
    assert (feed.tracker.count, sampler.taken) == (2, 2)
    # Beats that were missed are not made up for, and the next is on the old beat
    assert not feed.poll(133.0)
    assert poll(feed, 134.9)
    assert not poll(feed, 134.93)
    assert not feed.poll(135.0)
    assert poll(feed, 135.1)
    assert sampler.taken == 4


def test_a_look_that_comes_a_little_early_does_not_miss_its_beat() -> None:
    sampler = Beat()
    feed = LiveFeed(sampler, 0.1)
    for tenth in range(20):
        poll(feed, tenth / 10 - 0.01 * (tenth % 2))
    assert sampler.taken >= 19
    assert feed.tracker.count == 19


def test_the_trackers_numbers_change_between_two_polls_only() -> None:
    sampler = Beat()
    feed = LiveFeed(sampler, 5.0)
    feed.poll(0.0)
    poll(feed, 0.1)
    assert feed.tracker.index is not sampler.index
    sampler.index.number(TagKey("New", N))  # as the thread does, in the middle of a sample
    assert len(feed.tracker.index) == 1
    feed.poll(5.0)
    poll(feed, 5.1)
    assert feed.tracker.index.keys == sampler.index.keys


def test_a_tracker_that_is_given_is_fed() -> None:
    sampler = Beat()
    tracker = Tracker(sampler.index, sampler.host)
    feed = LiveFeed(sampler, 5.0, tracker)
    feed.poll(0.0)
    assert poll(feed, 0.1)
    assert feed.tracker is tracker
    assert tracker.now is not None
    assert tracker.now.bytes.tolist() == [1.0]


def test_whoever_wants_it_sees_every_sample() -> None:
    feed = LiveFeed(Beat(), 1.0)
    seen: list[int] = []
    feed.on_sample = lambda tracker: seen.append(tracker.count)
    for second in range(4):
        poll(feed, float(second))
    assert seen == [1, 2, 3]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (InputError("access is denied: run it elevated"), "access is denied: run it elevated"),
        (ZeroDivisionError("by 0"), "no sample was taken: ZeroDivisionError: by 0"),
    ],
)
def test_what_fails_is_said_until_it_works_again(error: Exception, says: str) -> None:
    sampler = Beat()
    sampler.error = error
    feed = LiveFeed(sampler, 1.0)
    feed.poll(0.0)
    assert not poll(feed, 0.1)
    assert feed.error == says
    sampler.error = None
    poll(feed, 1.0)
    assert poll(feed, 1.1)
    assert feed.error is None


def test_a_sample_that_does_not_come_is_said_and_waited_for() -> None:
    sampler = Beat()
    sampler.gate.clear()
    feed = LiveFeed(sampler, 1.0)
    for now in (0.0, 1.0, STILL_TAKING + 1):
        assert not feed.poll(now)
    assert feed.status() == f"live, every 1 s, waiting {STILL_TAKING + 1:.0f} s for a sample"
    sampler.gate.set()
    assert poll(feed, 20.0)
    assert feed.tracker.count == 1
    assert "waiting" not in feed.status()


def test_a_pause_takes_no_samples_and_a_step_takes_one() -> None:
    sampler = Beat()
    feed = LiveFeed(sampler, 1.0)
    feed.toggle()
    assert feed.status() == "live, every 1 s, paused"
    assert not poll(feed, 0.0)
    assert not poll(feed, 5.0)
    feed.step(1)
    assert poll(feed, 5.1)
    feed.step(-1)
    assert not poll(feed, 5.2)
    assert sampler.taken == 1
    feed.toggle()
    feed.poll(6.0)
    assert poll(feed, 6.1)


def test_no_beat_is_faster_than_a_tenth_of_a_second() -> None:
    assert LiveFeed(Beat(), 0.0).every == 0.1


# ---- replay ----------------------------------------------------------------------------------------------------------


class Count:
    """A series whose n-th sample, a minute behind the one before, holds n bytes."""

    def __init__(self, count: int) -> None:
        self.index = TagIndex()
        self.host = Host()
        self.notes = ("3 samples were left out",)
        self.times: Floats = np.arange(0, count * 60.0, 60.0, dtype=np.float64)
        self.asked: list[int] = []
        self.broken: set[int] = set()

    def at(self, place: int) -> Sample:
        self.asked.append(place)
        if place in self.broken:
            raise InputError(f"sample {place} is damaged")
        return sample(self.index, place * 60.0, Tag=float(place))


class Stream(Count):
    """One that gives many samples at once."""

    def samples(self, places: Iterable[int]) -> Iterator[Sample]:
        for place in places:
            yield self.at(place)


def feed_of(series: Count, speed: float = 60.0) -> ReplayFeed:
    player = Player(len(series.times), series.times.tolist(), speed)
    player.playing = False
    return ReplayFeed(series, player)


def go(feed: ReplayFeed) -> None:
    for _ in range(10_000):
        feed.poll(0.0)
        if feed.arrived:
            return
    raise AssertionError("it never arrives")


def bytes_of(feed: ReplayFeed) -> float:
    assert feed.tracker.now is not None
    return float(feed.tracker.now.bytes[0])


@pytest.mark.parametrize("kind", [Count, Stream])
def test_a_replay_feeds_every_sample_between(kind: Callable[[int], Count]) -> None:
    series = kind(100)
    feed = feed_of(series)
    assert feed.poll(0.0)
    assert (series.asked, feed.place) == ([0], 0)
    assert not feed.poll(1.0)
    feed.player.jump(10)
    go(feed)
    assert series.asked == list(range(11))
    assert (feed.tracker.count, bytes_of(feed)) == (11, 10.0)
    assert feed.notes == series.notes


def test_going_back_is_as_if_the_later_samples_had_never_been() -> None:
    series = Count(100)
    feed = feed_of(series)
    feed.player.jump(50)
    go(feed)
    feed.tracker.set_mark()
    feed.player.jump(20)
    go(feed)
    assert (feed.tracker.count, feed.place, bytes_of(feed)) == (21, 20, 20.0)
    assert feed.tracker.previous is not None
    assert feed.tracker.previous.bytes[0] == 19.0
    assert feed.tracker.mark is not None
    assert feed.tracker.mark.bytes[0] == 50.0
    feed.player.jump(0)
    go(feed)
    assert (feed.tracker.count, bytes_of(feed)) == (1, 0.0)


def test_the_players_clock_moves_it() -> None:
    feed = feed_of(Count(100))
    feed.poll(0.0)
    feed.toggle()
    feed.poll(10.0)
    assert feed.place == 10  # a minute is a second
    feed.poll(10.5)
    assert feed.place == 10
    feed.poll(11.0)
    assert feed.place == 11
    feed.step(1)
    feed.poll(20.0)
    assert (feed.place, feed.paused) == (12, True)
    feed.step(-2)
    feed.poll(20.0)
    assert (feed.place, feed.paused) == (10, True)


def test_a_step_pauses() -> None:
    feed = feed_of(Count(10))
    feed.toggle()
    assert not feed.paused
    feed.step(1)
    assert feed.paused
    go(feed)
    assert feed.place == 1


def test_as_fast_as_can_be_is_more_than_one_sample_a_poll() -> None:
    feed = feed_of(Count(500), math.inf)
    feed.poll(0.0)
    feed.toggle()
    for tenth in range(1, 200):
        feed.poll(tenth / 10)
    assert feed.place == 499
    assert feed.tracker.count == 500
    assert feed.status() == "replay as fast as can be, 500 of 500, at the end"


def test_a_poll_ends_in_time_and_the_way_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.arange(0, 10_000, 0.02).tolist())
    monkeypatch.setattr(feed_module, "monotonic", lambda: next(clock))
    feed = feed_of(Count(100))
    feed.player.jump(99)
    feed.poll(0.0)
    assert 0 <= feed.place < 10
    assert not feed.arrived
    assert feed.status() == f"replay 60x, {feed.place + 1} of 100, on the way to 100"
    go(feed)
    assert feed.tracker.count == 100


def test_a_far_jump_feeds_an_even_choice_with_the_last_two() -> None:
    count = MAX_PASSED * 5
    series = Stream(count)
    feed = feed_of(series)
    feed.player.jump(count - 1)
    go(feed)
    assert len(series.asked) <= MAX_PASSED
    assert series.asked[-2:] == [count - 2, count - 1]
    assert series.asked == sorted(set(series.asked))
    steps = np.diff(series.asked)[:-1]
    assert steps.max() - steps.min() <= 1
    assert bytes_of(feed) == count - 1


def test_a_damaged_sample_is_passed_over_and_said() -> None:
    series = Count(10)
    series.broken = {5}
    feed = feed_of(series)
    feed.player.jump(4)
    go(feed)
    feed.player.jump(5)
    go(feed)
    assert feed.error == "sample 5 is damaged"
    assert bytes_of(feed) == 4.0
    feed.player.jump(6)
    go(feed)
    assert feed.error is None
    assert bytes_of(feed) == 6.0
    # On the way of a jump, what lies behind the damage is still reached
    feed.player.jump(0)
    go(feed)
    feed.player.jump(9)
    go(feed)
    assert bytes_of(feed) == 9.0


def test_the_first_sample_is_damaged_when_going_back() -> None:
    series = Count(10)
    feed = feed_of(series)
    feed.player.jump(5)
    go(feed)
    series.broken = {0}
    feed.player.jump(2)
    go(feed)
    assert (feed.error, bytes_of(feed)) == (None, 2.0)
    feed.player.jump(7)
    go(feed)
    assert bytes_of(feed) == 7.0


@pytest.mark.parametrize(("speed", "says"), [(60.0, "60x"), (0.5, "0.5x"), (86400.0, "86400x")])
def test_the_status_says_speed_and_place(speed: float, says: str) -> None:
    feed = feed_of(Count(1200), speed)
    feed.poll(0.0)
    assert feed.status() == f"replay {says}, 1 of 1,200, paused"
    feed.toggle()
    assert feed.status() == f"replay {says}, 1 of 1,200"


def test_every_sample_on_the_way_is_told() -> None:
    feed = feed_of(Count(10))
    seen: list[Any] = []
    feed.on_sample = lambda tracker: seen.append(tracker.count)
    feed.player.jump(3)
    go(feed)
    feed.player.jump(1)
    go(feed)
    assert seen == [1, 2, 3, 4, 1, 2]


def test_a_far_jump_in_a_recording_takes_the_samples_that_it_holds_whole() -> None:
    class Whole(Stream):
        def evenly(self, most: int, since: float | None = None, until: float | None = None) -> Ids:
            asked.append(most)
            return np.arange(0, len(self.times), 64)

    asked: list[int] = []
    series = Whole(20_000)
    feed = feed_of(series)
    feed.player.jump(10_000)
    go(feed)
    assert asked == [max(FEWEST_PASSED, 10_001 // APART)]
    assert set(series.asked[:-2]) <= set(range(0, 10_000, 64))
    assert series.asked[-2:] == [9_999, 10_000]
    assert bytes_of(feed) == 10_000
