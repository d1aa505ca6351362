"""A replay's place moves with the watcher's time, by steps and by jumps."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.top.player import LONGEST_GAP, SPEEDS, Player

MINUTES = [60.0 * minute for minute in range(10)]


def test_an_hour_takes_a_minute() -> None:
    player = Player(61, [60.0 * minute for minute in range(61)])
    assert [player.tick(1.0) for _ in range(3)] == [1, 2, 3]
    assert player.tick(0.5) == 3
    assert player.tick(0.5) == 4
    assert player.tick(30) == 34
    assert player.tick(1000) == 60
    assert player.last
    assert not player.playing


def test_it_stands_still_while_it_is_paused() -> None:
    player = Player(10, MINUTES)
    assert not player.toggle()
    assert player.tick(100) == 0
    assert player.toggle()
    assert player.tick(1) == 1


def test_as_fast_as_can_be_goes_on_with_every_turn() -> None:
    player = Player(4, MINUTES[:4], speed=inf)
    assert [player.tick(0.001) for _ in range(5)] == [1, 2, 3, 3, 3]
    long = Player(100_000, speed=inf)
    assert long.tick(0.1) == 50
    assert long.tick(1e300) == 99_999


def test_samples_without_times_come_one_a_second() -> None:
    player = Player(5)
    assert not player.dated
    assert [player.tick(1.0) for _ in range(3)] == [1, 2, 3]
    assert Player(5, [0.0, nan, 2.0, 3.0, 4.0]).dated is False


def test_a_night_without_samples_is_not_waited_for() -> None:
    player = Player(3, [0.0, 60.0, 60.0 + 12 * 3600])
    player.tick(1)
    assert player.tick(LONGEST_GAP - 0.1) == 1
    assert player.tick(0.2) == 2


def test_steps_and_jumps() -> None:
    player = Player(10, MINUTES)
    assert player.step(3) == 3
    assert not player.playing
    assert player.step(-5) == 0
    assert player.jump(7) == 7
    assert player.jump(700) == 9


def test_it_begins_again_when_it_is_started_at_the_end() -> None:
    player = Player(3, MINUTES[:3])
    player.tick(100)
    assert player.toggle()
    assert player.place == 0


def test_speeds() -> None:
    player = Player(3, MINUTES[:3])
    assert player.faster() == 300.0
    assert player.slower() == 60.0
    for _ in SPEEDS:
        player.faster()
    assert player.speed == inf
    for _ in SPEEDS:
        player.slower()
    assert player.speed == SPEEDS[0]
    for wrong in (0.0, -1.0, nan):
        with pytest.raises(ValueError, match="no speed"):
            player.speed = wrong
    with pytest.raises(ValueError, match="no sample"):
        Player(0, [])
    with pytest.raises(ValueError, match="one for each"):
        Player(2, [1.0])


def test_one_sample_has_nothing_to_play() -> None:
    player = Player(1, [5.0])
    assert not player.playing
    assert not player.toggle()
    assert player.tick(10) == 0


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=30),
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=20),
    st.sampled_from(SPEEDS),
)
def test_it_never_leaves_the_series_nor_goes_back(times: list[float], ticks: list[float], speed: float) -> None:
    player = Player(len(times), times, speed)
    places = [player.tick(seconds) for seconds in ticks]
    assert all(0 <= place < len(times) for place in places)
    assert places == sorted(places)
