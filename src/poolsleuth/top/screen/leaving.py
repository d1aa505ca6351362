"""How the screen ends when its terminal goes away, or somebody asks the process to end: always, if need be by force.

Textual writes to the terminal in a thread behind a short queue. When that thread dies of an error, or hangs in a write
that never returns, the main thread waits for room in the queue for ever, and the handlers of its event loop never run.
So the signals are taken here, and a thread of ours sees to it that the process ends.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

GRACE = 2.0  # seconds that the screen has to end by itself
LOOK = 0.25  # seconds between two looks at the terminal
BROKEN = 1  # exit status when the terminal could not be written to
_HANGUP = 129  # as a shell has it after a hangup: 128 and the signal's number
_WRITER = "textual-output"  # the name of textual's thread
_SIGNALS = ("SIGTERM", "SIGHUP", "SIGBREAK")


class Leaving:
    """Whether the screen must end. ``leave`` asks it to, from any thread; ``end`` ends the process with a status."""

    def __init__(self, leave: Callable[[], None], end: Callable[[int], None] = os._exit) -> None:
        self.status: int | None = None  # that of a process ended by force; None: nobody asked
        self._leave = leave
        self._end = end
        self._over = False
        self._has_terminal = on_terminal()
        self._modes = _modes()

    def ask(self, status: int) -> None:
        """The screen is to end; called by a handler of a signal too, so it takes no lock."""
        if self.status is None:
            self.status = status
        self._leave()

    def finish(self) -> None:
        """The screen has ended. Who was asked to leave is still watched: the rest of the process must end as well."""
        self._over = True

    def watch(self) -> None:
        """Look at the terminal until the screen has ended; end the process when that takes too long."""
        until: float | None = None
        while not (self._over and self.status is None):
            time.sleep(LOOK)
            if self.status is None and not self._over and self._has_terminal and not on_terminal():
                self.ask(_HANGUP)
            if self.status is None:
                continue
            now = time.monotonic()
            until = now + GRACE if until is None else until
            if now >= until:
                _set_modes(self._modes)
                self._end(self.status)
                return


@contextmanager
def leaving(leave: Callable[[], None]) -> Iterator[Leaving]:
    """As long as this lasts, signals and a terminal that is gone end the screen. For the main thread."""
    state = Leaving(leave)
    before: dict[signal.Signals, object] = {}

    def asked(number: int, _frame: FrameType | None) -> None:
        state.ask(128 + number)

    for name in _SIGNALS:
        one = getattr(signal, name, None)
        # Who starts a process with a signal ignored (nohup) means it
        if one is not None and signal.getsignal(one) not in (None, signal.SIG_IGN):
            with suppress(ValueError):  # not the main thread
                before[one] = signal.signal(one, asked)
    hook = threading.excepthook

    def failed(args: threading.ExceptHookArgs) -> None:
        if args.thread is None or args.thread.name != _WRITER:
            hook(args)
            return
        state.ask(BROKEN)
        _drain(args.thread)

    threading.excepthook = failed
    threading.Thread(target=state.watch, name="terminal", daemon=True).start()
    try:
        yield state
    finally:
        state.finish()
        threading.excepthook = hook
        for one, handler in before.items():
            # Asked once, the process is ending: a second signal may end it at once
            signal.signal(one, handler)  # type: ignore[arg-type]


def _drain(thread: threading.Thread) -> None:
    """What is still written is thrown away, in the thread that would have written it: nobody waits for room."""
    queue = getattr(thread, "_queue", None)
    while queue is not None and queue.get() is not None:
        pass


def on_terminal() -> bool:
    """Whether standard error, to which textual draws, is a terminal: one that has hung up is none any more."""
    try:
        return sys.__stderr__ is not None and os.isatty(sys.__stderr__.fileno())
    except (OSError, ValueError):
        return False


def _modes() -> list[object] | None:
    """How the terminal was set before; None where that cannot be told."""
    if sys.platform == "win32":
        return None
    import termios  # noqa: PLC0415 - not on Windows

    try:
        return list(termios.tcgetattr(sys.__stdin__.fileno())) if sys.__stdin__ is not None else None
    except (OSError, ValueError, termios.error):
        return None


def _set_modes(modes: list[object] | None) -> None:
    """Give the terminal back as it was, as far as it still answers: the shell needs its echo."""
    if sys.platform == "win32" or modes is None or sys.__stdin__ is None:
        return
    import termios  # noqa: PLC0415 - not on Windows

    with suppress(OSError, ValueError, termios.error):
        termios.tcsetattr(sys.__stdin__.fileno(), termios.TCSANOW, modes)  # type: ignore[arg-type]


__all__ = ["BROKEN", "GRACE", "Leaving", "leaving", "on_terminal"]
