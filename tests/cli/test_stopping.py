"""Commands that run for days are asked to end by signals, at once and without losing anything."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from poolsleuth.cli.stopping import Stop, listening

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent to a process on POSIX")
SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if sys.platform != "win32" else [])]


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {one: signal.getsignal(one) for one in SIGNALS}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@posix
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_asks_for_the_end_and_wakes(number: signal.Signals) -> None:
    with listening() as stop:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), number))
        timer.start()
        began = time.monotonic()
        stop.wait(30.0)
        assert stop.asked
        assert stop.by == number.name
        assert time.monotonic() - began < 5.0
        timer.join()


@posix
def test_a_second_signal_ends_it_the_hard_way() -> None:
    with listening() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@posix
def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    with listening() as stop:
        signal.raise_signal(signal.SIGHUP)
        assert not stop.asked


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(one) for one in SIGNALS]
    with listening():
        assert [signal.getsignal(one) for one in SIGNALS] != before
    assert [signal.getsignal(one) for one in SIGNALS] == before


def test_a_wait_that_nothing_ends_is_as_long_as_was_asked() -> None:
    began = time.monotonic()
    Stop().wait(0.3)
    assert 0.29 < time.monotonic() - began < 3.0


def test_who_asks_first_is_remembered() -> None:
    stop = Stop()
    stop.ask("SIGTERM")
    stop.ask("SIGINT")
    assert stop.by == "SIGTERM"
    stop.wait(30.0)  # returns at once
