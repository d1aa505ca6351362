"""A screen whose terminal goes away, or that is told to end, ends: on a terminal of its own, many times."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from queue import Queue

import pytest

from poolsleuth.top.screen import leaving as module
from poolsleuth.top.screen.leaving import BROKEN, Leaving, leaving

TIMES = int(os.environ.get("POOLSLEUTH_SCREENS", "1"))  # of each kind, all at once: the more, the busier the machine

# Imports once, then forks a screen on a terminal of its own for each line; tells how each of them ended
_SCREENS = """
    import os, pty, select, signal, sys, time
    import numpy as np
    from poolsleuth.model.series import TagKey
    from poolsleuth.model.tags import PoolKind
    from poolsleuth.sampling.sample import Host, Sample, TagFigures, TagIndex
    from poolsleuth.top.feed import ReplayFeed
    from poolsleuth.top.player import Player
    from poolsleuth.top.screen.app import run
    from poolsleuth.top.view import View, ViewOptions

    class Series:
        index, host, notes = TagIndex(), Host(), ()
        times = np.arange(5000.0) * 60

        def at(self, place):
            ids = np.array([self.index.number(TagKey(f"T{number:03}", PoolKind.NONPAGED)) for number in range(200)])
            figures = np.arange(200.0) * (place + 1) * 1000 % 77777
            return Sample(self.times[place], TagFigures(ids, figures, figures, figures), complete=True)

    def screen(kind):
        if kind == "ignored":  # as with nohup: no signal tells that the terminal is gone
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        feed = ReplayFeed(Series(), Player(5000, Series.times.tolist(), 600.0))
        sys.exit(run(feed, feed.tracker, View(feed.tracker), None, ViewOptions()))

    def read(master, seconds):
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([master], [], [], left)[0]:
                os.read(master, 65536)

    children = []
    for number, kind in enumerate(sys.argv[1:]):
        pid, master = pty.fork()
        if pid == 0:
            os.environ["TERM"] = "xterm"
            screen(kind)
        while not os.read(master, 4096):
            pass
        children.append((kind, pid, master, number))
    for kind, pid, master, number in children:
        read(master, 0.05 + number * 0.013)
    for kind, pid, master, number in children:
        if kind == "stalled":  # nobody reads any more, then somebody asks it to end
            time.sleep(0.2)
            os.kill(pid, signal.SIGTERM)
        elif kind == "killed":
            os.kill(pid, signal.SIGTERM)
        else:
            os.close(master)
    until = time.monotonic() + 20
    waiting = {pid: (kind, master) for kind, pid, master, _ in children}
    while waiting and time.monotonic() < until:
        for pid, (kind, master) in list(waiting.items()):
            if kind == "killed" and select.select([master], [], [], 0)[0]:
                try:
                    os.read(master, 65536)
                except OSError:
                    pass
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del waiting[pid]
                print(kind, os.waitstatus_to_exitcode(status))
        time.sleep(0.02)
    for pid, (kind, _) in waiting.items():
        print(kind, "hangs")
        os.kill(pid, signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends the processes of a console that is closed")
def test_a_screen_ends_whatever_becomes_of_its_terminal(tmp_path: Path) -> None:
    script = tmp_path / "screens.py"
    script.write_text(textwrap.dedent(_SCREENS), encoding="utf-8")
    kinds = ["closed", "ignored", "killed", "stalled", "closed"] * TIMES
    done = subprocess.run(
        [sys.executable, str(script), *kinds], capture_output=True, text=True, timeout=60, check=False
    )
    ended = [line.split() for line in done.stdout.splitlines()]
    assert len(ended) == len(kinds), done.stderr
    assert not [kind for kind, how in ended if how == "hangs"]
    # Asked while somebody reads, it leaves as with q; by force where nothing can be written, or all is too slow
    assert "0" in {how for kind, how in ended if kind == "killed"}
    assert {how for kind, how in ended if kind in ("killed", "stalled")} <= {"0", "143"}


def test_it_ends_by_force_when_it_does_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 0.05)
    monkeypatch.setattr(module, "LOOK", 0.01)
    asked: list[None] = []
    ended: list[int] = []
    state = Leaving(lambda: asked.append(None), ended.append)
    state.ask(143)
    state.ask(129)
    state.watch()
    assert len(asked) == 2
    assert ended == [143]


def test_nothing_happens_to_a_screen_that_was_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK", 0.01)
    ended: list[int] = []
    state = Leaving(lambda: None, ended.append)
    state.finish()
    state.watch()
    assert not ended


def test_a_terminal_that_hangs_up_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 0.05)
    monkeypatch.setattr(module, "LOOK", 0.01)
    monkeypatch.setattr(module, "on_terminal", lambda: True)
    ended: list[int] = []
    asked: list[None] = []
    state = Leaving(lambda: asked.append(None), ended.append)
    watch = threading.Thread(target=state.watch)
    watch.start()
    time.sleep(0.05)
    assert not asked
    monkeypatch.setattr(module, "on_terminal", lambda: False)
    watch.join(5)
    assert asked
    assert ended == [129]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_signals_ask_and_their_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    asked: list[None] = []
    with leaving(lambda: asked.append(None)) as state:
        state._end = lambda _status: None  # of this process nobody is to end
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked
        assert state.status == 143
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_writer_that_broke_asks_and_keeps_nobody_waiting() -> None:
    class Writer(threading.Thread):
        def __init__(self) -> None:
            super().__init__(name="textual-output", daemon=True)
            self._queue: Queue[str | None] = Queue(2)

        def run(self) -> None:
            raise OSError(5, "Input/output error")

    asked: list[None] = []
    with leaving(lambda: asked.append(None)) as state:
        state._end = lambda _status: None
        writer = Writer()
        writer.start()
        for text in "abcdef":  # more than there is room for
            writer._queue.put(text, timeout=5)
        writer._queue.put(None, timeout=5)
        writer.join(5)
        assert not writer.is_alive()
        assert asked
        assert state.status == BROKEN
