"""The screen under a pilot: replay, a machine that runs, the verdict, and errors of our own."""

import asyncio
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from poolsleuth.model.errors import InputError, PoolsleuthError
from poolsleuth.model.machine import System
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.top.feed import LiveFeed
from poolsleuth.top.screen import app as app_module
from poolsleuth.top.verdict import Judge
from poolsleuth.top.view import View, ViewOptions

Drive = Callable[..., Any]
N, P = PoolKind.NONPAGED, PoolKind.PAGED


# ---- replay ----------------------------------------------------------------------------------------------------------


def test_stepping_and_pausing(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        assert "12:09:00 UTC" in screen.lines[0]
        assert "10 of 30, paused" in screen.lines[0]
        await screen.press("full_stop")
        assert "11 of 30, paused" in screen.lines[0]
        await screen.press("comma", "comma")
        assert "9 of 30, paused" in screen.lines[0]
        assert "12:08:00" in screen.lines[0]
        await screen.press("space")
        assert not screen.app.feed.paused
        await screen.press("space")
        assert screen.app.feed.paused

    drive(script)


def test_speed(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        await screen.press("plus")
        assert "replay 300x" in screen.lines[0]
        await screen.press("minus", "minus")
        assert "replay 15x" in screen.lines[0]

    drive(script)


def test_jumping_to_a_time(drive: Drive) -> None:
    async def script(screen: Any) -> None:
        await screen.press("g", *"12:20", "enter")
        assert "12:20:00" in screen.lines[0]
        assert screen.app.tracker.count == 21
        await screen.press("g", *"start", "enter")
        assert "12:00:00" in screen.lines[0]
        await screen.press("g", *"nonsense", "enter")
        assert "nonsense is no place" in screen.text
        await screen.press("escape")
        assert "12:00:00" in screen.lines[0]

    drive(script)


def test_a_sample_that_cannot_be_read_is_said_and_passed_over(
    drive: Drive, listed: Any, replay: Any, usual_tables: Any
) -> None:
    series = listed(usual_tables(20))
    series.broken = {10}

    async def script(screen: Any) -> None:
        await screen.press("full_stop")
        assert "sample 11 is damaged" in screen.lines[-1]
        await screen.press("full_stop")
        assert "12 of 20" in screen.lines[0]
        assert "damaged" not in screen.lines[-1]

    drive(script, replay(series, 9))


def test_samples_without_times_have_no_rate(drive: Drive, listed: Any, replay: Any, usual_tables: Any) -> None:
    async def script(screen: Any) -> None:
        assert "time not known" in screen.lines[0]
        assert "Rate/h" not in screen.text

    drive(script, replay(listed(usual_tables(5), dated=False), 3))


# ---- live ------------------------------------------------------------------------------------------------------------


async def until(screen: Any, condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.02)
        await screen.settle()
    raise AssertionError(screen.text)


def test_a_live_machine(drive: Drive, listed: Any, listing: Any, usual_tables: Any) -> None:
    sampler = listing(listed(usual_tables(30), physical=8 * 2.0**30))
    feed = LiveFeed(sampler, 0.1)

    async def script(screen: Any) -> None:
        await until(screen, lambda: screen.app.tracker.count >= 3)
        assert "live, every 0.1 s" in screen.lines[0]
        assert screen.lines[0].startswith(" SRV01")
        assert screen.tags[0] == "File"
        await screen.press("comma")
        assert "no way back" in screen.lines[-1]
        await screen.press("g")
        assert "no other times" in screen.lines[-1]
        await screen.press("plus")
        assert "only a replay has a speed" in screen.lines[-1]
        await screen.press("space")
        assert "paused" in screen.lines[0]
        await until(screen, lambda: feed._taking is None)
        count = screen.app.tracker.count
        await asyncio.sleep(0.3)
        await screen.settle()
        assert screen.app.tracker.count == count
        await screen.press("full_stop")
        await until(screen, lambda: screen.app.tracker.count == count + 1)

    drive(script, feed)


def test_what_cannot_be_read_is_said_once(drive: Drive, listed: Any, listing: Any, usual_tables: Any) -> None:
    sampler = listing(listed(usual_tables(3)), notes=("no handle counts: run it elevated", "no sessions"))

    async def script(screen: Any) -> None:
        assert screen.lines[-1].startswith(" no handle counts: run it elevated (and 1 more)")
        screen.app.main._message_until = 0.0
        await screen.settle()
        assert screen.lines[-1].startswith(" h help")

    drive(script, LiveFeed(sampler, 60))


@pytest.mark.parametrize("error", [InputError("access is denied: run it elevated"), ZeroDivisionError("x")])
def test_a_machine_that_gives_no_sample_is_said(drive: Drive, listed: Any, listing: Any, error: Exception) -> None:
    sampler = listing(listed([]), error=error)

    async def script(screen: Any) -> None:
        await until(screen, lambda: screen.app.feed.error is not None)
        assert str(error) in screen.lines[-1]
        assert "waiting for the first sample" in screen.text
        await screen.press("enter")
        assert "no tag under the cursor" in screen.lines[-1]

    drive(script, LiveFeed(sampler, 0.1))


# ---- the verdict -----------------------------------------------------------------------------------------------------


def test_the_verdict_line_says_what_leaks_at_the_right_time(
    drive: Drive, listed: Any, replay: Any, usual_tables: Any
) -> None:
    series = listed(usual_tables(240), nonpaged_used=300e6, physical=8 * 2.0**30)

    async def script(screen: Any) -> None:
        await until(screen, lambda: screen.app.verdict is not None)
        await screen.settle()
        assert "the first verdict after" in screen.text
        await screen.press("g", *"end", "enter")
        await until(screen, lambda: screen.app.verdict is not None and screen.app.verdict.count == 240)
        await screen.settle()
        assert "Leak grows 60 MB/h" in screen.text
        await screen.press("g", *"start", "enter")
        await until(screen, lambda: screen.app.verdict is not None and screen.app.verdict.count == 1)
        await screen.settle()
        assert "Leak grows" not in screen.text

    drive(script, replay(series, 2), judge=Judge(System()))


# ---- when it breaks --------------------------------------------------------------------------------------------------


def test_an_error_of_our_own_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], replay: Any, listed: Any, usual_tables: Any
) -> None:
    feed = replay(listed(usual_tables(3)))
    view = View(feed.tracker)

    def broken(_options: ViewOptions) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(view, "rows", broken)
    real = app_module.TopApp.run
    monkeypatch.setattr(app_module.TopApp, "run", lambda self: real(self, headless=True, size=(80, 24)))
    with pytest.raises(PoolsleuthError, match=r"ZeroDivisionError: a bug \(test_running\.py:\d+\)"):
        app_module.run(feed, feed.tracker, view, None, ViewOptions())
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err


def test_run_gives_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, replay: Any, listed: Any, usual_tables: Any
) -> None:
    feed = replay(listed(usual_tables(3)))
    real = app_module.TopApp.run

    async def quit_it(pilot: Any) -> None:
        await pilot.press("q")

    monkeypatch.setattr(app_module.TopApp, "run", lambda self: real(self, headless=True, auto_pilot=quit_it))
    assert app_module.run(feed, feed.tracker, View(feed.tracker), None, ViewOptions()) == 0


def test_the_line_of_the_verdict_is_there_before_the_verdict(drive: Drive, listed: Any, replay: Any) -> None:
    held = Event()

    class Slow(Judge):
        def judge_taken(self, taken: Any) -> Any:
            held.wait(20)
            return super().judge_taken(taken)

    async def script(screen: Any) -> None:
        def heading() -> int:
            return next(place for place, line in enumerate(screen.lines) if line.startswith(" Tag "))

        before = heading()
        assert screen.lines[before - 1] == " judging ..."
        held.set()
        await until(screen, lambda: screen.app.verdict is not None)
        await screen.settle()
        assert "judging" not in screen.text
        assert heading() == before

    drive(script, replay(listed([{TagKey("Leak", N): (5.0, 1.0, 1.0)}] * 3), 2), judge=Slow(System()))
