"""How a command that runs for days is asked to end: Ctrl-C, a signal, the window's close button."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SLICE = 0.25  # seconds slept at a time: neither a signal nor a closing console ends a longer sleep on Windows
CLOSING = 4.5  # seconds that a closing console waits for the end: Windows kills the process after five
_Handler = Callable[[int, FrameType | None], object] | int | None
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Stop:
    """Whether the end was asked for, and by what."""

    def __init__(self) -> None:
        self.by: str | None = None
        self.done = threading.Event()

    @property
    def asked(self) -> bool:
        """Whether somebody asked."""
        return self.by is not None

    def ask(self, by: str) -> None:
        """Ask for the end; ``by`` is the name of the signal."""
        self.by = self.by or by

    def wait(self, seconds: float) -> None:
        """Sleep so long, or until the end is asked for."""
        end = time.monotonic() + seconds
        while not self.asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, SLICE))


@contextmanager
def listening() -> Iterator[Stop]:
    """A ``Stop`` that signals ask for as long as this lasts. A second signal ends the process as it would have."""
    stop = Stop()
    before: dict[signal.Signals, _Handler] = {}

    def asked(number: int, _frame: FrameType | None) -> None:
        stop.ask(signal.Signals(number).name)
        for one, handler in before.items():
            signal.signal(one, handler)

    for name in _SIGNALS:
        one = getattr(signal, name, None)
        # Who starts a process with a signal ignored (nohup) means it
        if one is not None and signal.getsignal(one) not in (None, signal.SIG_IGN):
            before[one] = signal.signal(one, asked)
    try:
        with _console(stop):
            yield stop
    finally:
        stop.done.set()
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def _console(stop: Stop) -> Iterator[None]:
    """On Windows, the closing of the console, a logoff and a shutdown ask too, and wait for the end.

    The process is killed as soon as the handler of such an event returns; it runs in a thread of its own
    ("HandlerRoutine callback function", Windows console documentation).
    """
    if sys.platform != "win32":
        yield
        return
    import ctypes  # noqa: PLC0415 - nothing of it exists elsewhere

    events = {2: "the closing of the console", 5: "the logoff", 6: "the shutdown"}

    def handle(event: int) -> int:
        if event not in events:
            return 0
        stop.ask(events[event])
        stop.done.wait(CLOSING)
        return 1

    handler = ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_ulong)(handle)
    kernel = ctypes.WinDLL("kernel32")
    kernel.SetConsoleCtrlHandler(handler, 1)
    try:
        yield
    finally:
        stop.done.set()
        kernel.SetConsoleCtrlHandler(handler, 0)
