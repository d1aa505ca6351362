"""Samples of a Windows that is not there, one after the other: counts that go round, restarts, sessions, names."""

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.model.errors import InputError
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.live.source import LiveSource

if TYPE_CHECKING:
    from sampling.conftest import FakeWindows

NP, PAGED = PoolKind.NONPAGED, PoolKind.PAGED
ROUND = 1 << 32


@pytest.mark.parametrize("wide", [True, False])
def test_counts_of_32_bits_go_on_rising(wide: bool, fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows(wide=wide)
    windows.usual_tags()
    windows.tag(b"Busy", nonpaged=(ROUND - 100, ROUND - 300, 200 * 64))
    source = LiveSource(windows)
    key = TagKey("Busy", NP)
    assert windows.shown(source, source.take())[key] == (200 * 64, 200, ROUND - 100)
    windows.allocate(b"Busy", 350, 350 * 64)  # the allocations go round, the frees do not
    assert windows.shown(source, source.take())[key] == (550 * 64, 550, ROUND + 250)
    windows.allocate(b"Busy", 3 << 30, 0)
    windows.tags[b"Busy"].nonpaged = windows.tags[b"Busy"].nonpaged._replace(frees=(3 << 30) + ROUND - 300)
    assert windows.shown(source, source.take())[key] == (550 * 64, 550, ROUND + 250 + (3 << 30))


def test_a_restart_begins_anew(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    for number in range(3):  # too few for their counts to tell
        windows.tag(b"T%d" % number, nonpaged=(4_000_000_000, 3_999_999_000, 1000 * 64))
    source = LiveSource(windows)
    source.take()
    windows.pass_time(120)
    windows.booted = windows.now - 30
    for number in range(3):
        windows.tag(b"T%d" % number, nonpaged=(100, 50, 50 * 64))
    sample = source.take()
    assert list(sample.tags.allocs) == [100] * 3
    assert sample.booted == windows.now - 30


def test_a_clock_that_is_set_is_no_restart(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.usual_tags()
    windows.tag(b"Busy", nonpaged=(ROUND - 100, ROUND - 300, 200 * 64))
    source = LiveSource(windows)
    source.take()
    windows.now -= 3600
    windows.booted -= 3600  # moves with the clock
    windows.allocate(b"Busy", 350, 350 * 64)
    assert windows.shown(source, source.take())[TagKey("Busy", NP)][2] == ROUND + 250


def test_sessions_come_and_go(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.usual_tags()
    windows.tag(b"Gh05", paged=(4, 1, 3 * 512), session=2)
    source = LiveSource(windows)
    assert TagKey("Gh05", PAGED, 2) in windows.shown(source, source.take())
    windows.sessions = {3: {}, 5: {}}
    windows.tag(b"Gh05", paged=(9, 1, 8 * 512), session=5)
    sample = source.take()
    rows = windows.shown(source, sample)
    assert TagKey("Gh05", PAGED, 2) not in rows
    assert rows[TagKey("Gh05", PAGED, 5)] == (8 * 512, 8, 9)
    assert sample.complete
    windows.sessions = {}
    sample = source.take()
    assert all(key.session is None for key in windows.shown(source, sample))
    assert sample.complete  # nobody is logged on any more
    assert sample.sessions_complete
    assert source.notes == ()


def test_numbers_of_tags_do_not_change(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.usual_tags()
    source = LiveSource(windows)
    source.take()
    keys = list(source.index.keys)
    windows.tags = dict(reversed(windows.tags.items()))
    windows.tag(b"New", nonpaged=(1, 0, 32))
    rows = windows.shown(source, source.take())
    assert source.index.keys[: len(keys)] == keys
    assert rows[TagKey("New", NP)] == (32, 1, 1)
    assert rows[TagKey("Leak", NP)] == (990 * 64, 990, 1000)
    assert rows[TagKey("MmSt", PAGED)] == (7 * 4096, 7, 9)


def test_tags_that_differ_only_in_their_end_are_summed(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.usual_tags()
    windows.tag(b"Ab", nonpaged=(ROUND - 10, ROUND - 20, 640))
    windows.tag(b"Ab  ", nonpaged=(30, 10, 320))
    source = LiveSource(windows)
    assert windows.shown(source, source.take())[TagKey("Ab", NP)] == (960, 30, ROUND + 20)
    windows.allocate(b"Ab", 50, 3200)
    assert windows.shown(source, source.take())[TagKey("Ab", NP)] == (4160, 80, ROUND + 70)


def test_more_frees_than_allocations_are_not_known(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.tag(b"Odd", nonpaged=(10, 13, -96))
    source = LiveSource(windows)
    size, left, allocs = windows.shown(source, source.take())[TagKey("Odd", NP)]
    assert math.isnan(size)
    assert math.isnan(left)
    assert allocs == 10


def test_names_that_are_no_text_are_kept_apart(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    for name in (b"\x1b[2J", b"[b]x", b"\xff\xfe\xfd\xfc", b"\x00\x01\x02\x03", b"    "):
        windows.tag(name, nonpaged=(2, 1, 32))
    source = LiveSource(windows)
    assert {key.tag for key in windows.shown(source, source.take())} == {
        "\x1b[2J",
        "[b]x",
        "ÿþýü",
        "\x00\x01\x02\x03",
        "",
    }


def test_a_sample_does_not_change_with_the_next(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.usual_tags()
    source = LiveSource(windows)
    sample = source.take()
    before = windows.shown(source, sample)
    for name in list(windows.tags):
        windows.allocate(name, 77, 7777)
    source.take()
    assert windows.shown(source, sample) == before


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_answers_of_any_bytes_end_in_a_sample_or_a_sentence(
    data: st.DataObject, fake_windows: "type[FakeWindows]"
) -> None:
    windows = fake_windows(wide=data.draw(st.booleans()), new=data.draw(st.booleans()))
    windows.usual_tags()
    windows.tag(b"Gh05", paged=(4, 1, 3 * 512), session=2)
    for number in data.draw(st.sets(st.sampled_from([0, 2, 3, 5, 22, 67, 255]))):
        answer = bytearray(windows.answer(number, 0))
        for place, value in data.draw(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=10)):
            if place < len(answer):
                answer[place] = value
        windows.answers[number] = bytes(answer[: data.draw(st.integers(0, len(answer)))])
    source = LiveSource(windows)
    for _ in range(2):
        try:
            sample = source.take()
        except InputError:
            continue
        windows.shown(source, sample)
