"""One-line prompts at the bottom of the screen: search as you type, patterns, a session, a time, a file."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from poolsleuth.model.errors import InputError
from poolsleuth.report.wording import clean, session_text, short
from poolsleuth.sampling.sample import Floats
from poolsleuth.top.asked import (
    MAX_TYPED,
    Command,
    Exclude,
    Include,
    OfSession,
    Search,
    applied,
    read_command,
    read_export,
    read_pattern,
    read_place,
    read_session,
)
from poolsleuth.top.screen.colours import KEY, LABEL, MESSAGE
from poolsleuth.top.view import ViewOptions

T = TypeVar("T")
# What no prompt takes, also not pasted: characters that steer a terminal
_TYPEABLE = "[^\x00-\x1f\x7f-\x9f]*"


class Prompt(ModalScreen[T], Generic[T]):
    """Asks for one line. Dismissed with what ``read`` made of it, with None when it was left with Escape.

    ``read`` raises InputError for what cannot be meant: then the prompt stays and says why. ``live`` is called with
    what is typed so far whenever that can be read, ``left`` once when the prompt is left with Escape.
    """

    DEFAULT_CSS = """
    Prompt { background: transparent; overflow: hidden; }
    Prompt > Vertical { dock: bottom; height: auto; }
    Prompt Horizontal { height: 1; }
    Prompt #hint { height: auto; max-height: 4; width: 1fr; background: $background; }
    Prompt #label { height: 1; width: auto; max-width: 50%; background: $background; }
    Prompt Input { height: 1; width: 1fr; border: none; padding: 0; background: $background; }
    Prompt Input:focus { border: none; background: $background; }
    """
    BINDINGS: ClassVar = []
    AUTO_FOCUS = "Input"

    def __init__(
        self,
        label: str,
        hint: str,
        read: Callable[[str], T],
        *,
        initial: str = "",
        means: Callable[[str], str] | None = None,
        live: Callable[[str], None] | None = None,
        left: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self._label = label
        self._hint = hint
        self._read = read
        self._initial = initial
        self._means = means
        self._live = live
        self._left = left

    def compose(self) -> ComposeResult:
        """A line that explains, and the line to type in."""
        with Vertical():
            yield Static(Text(self._hint, LABEL), id="hint", markup=False)
            with Horizontal():
                yield Static(Text(f"{self._label} ", KEY, no_wrap=True), id="label", markup=False)
                yield Input(self._initial, max_length=MAX_TYPED, restrict=_TYPEABLE, select_on_focus=False)

    def on_key(self, event: events.Key) -> None:
        """Escape leaves it; the other keys are the line's own."""
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            if self._left is not None:
                self._left()
            self.dismiss(None)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Every letter is told to who wants it."""
        event.stop()
        try:
            means = self._means(event.value) if self._means is not None else ""
            if self._live is not None:
                self._live(event.value)
        except InputError:  # said when Enter is pressed: half a word is no mistake
            means = ""
        self._say(means or self._hint, wrong=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: leave with the answer, or say what is wrong."""
        event.stop()
        try:
            answer = self._read(event.value)
        except InputError as error:
            self._say(str(error), wrong=True)
            return
        self.dismiss(answer)

    def _say(self, text: str, *, wrong: bool) -> None:
        self.query_one("#hint", Static).update(Text(short(text, 400), MESSAGE if wrong else LABEL))


def command_prompt(options: ViewOptions, live: Callable[[ViewOptions], None]) -> Prompt[ViewOptions]:
    """The prompt of ``/``: a search that shows its rows while it is typed, or poolmon's ``i``, ``x`` and ``s``.

    ``live`` is given the options to show while typing, and those of before when it is left with Escape.
    """

    def preview(text: str) -> None:
        command = read_command(text)
        if isinstance(command, Include) and command.pattern and "*" not in command.pattern:
            command = Include(command.pattern + "*")  # so far
        live(options if isinstance(command, Exclude) else applied(options, command))

    return Prompt(
        "/",
        "type to search tag, driver and note; iMm* shows only such tags, xFile leaves one out, s1 session 1",
        lambda text: applied(options, read_command(text)),
        initial=options.search,
        means=lambda text: _command_words(read_command(text)) if text else "",
        live=preview,
        left=lambda: live(options),
    )


def _command_words(command: Command) -> str:
    match command:
        case Include(pattern):
            return "all tags again" if pattern is None else f"shows only tags {clean(pattern)} (a blank first: search)"
        case Exclude(pattern):
            return (
                "leaves no tag out" if pattern is None else f"leaves out tags {clean(pattern)} (a blank first: search)"
            )
        case OfSession(session):
            return "the system's pools" if session is None else f"the pools of session {session_text(session)}"
        case Search(words):
            return f"searches tag, driver and note for {clean(words)}"


def exclude_prompt(options: ViewOptions) -> Prompt[ViewOptions]:
    """Which tags to leave out; only ENTER leaves none out any more."""

    def read(text: str) -> ViewOptions:
        return applied(options, Exclude(read_pattern(text) if text.strip() else None))

    out = f" (now: {clean(' '.join(options.exclude))})" if options.exclude else ""
    return Prompt(f"leave out{out}:", "a tag, or a pattern: * the rest, ? any one; only Enter: leave none out", read)


def session_prompt(options: ViewOptions) -> Prompt[ViewOptions]:
    """Which session's pools to show; only ENTER is all sessions, as in poolmon."""
    return Prompt(
        "session:",
        "a session's number; only Enter: all sessions; system: the system's pools",
        lambda text: applied(options, OfSession(read_session(text))),
    )


def jump_prompt(times: Floats, place: int, *, utc: bool = True) -> Prompt[int]:
    """Where to jump to in a replay; the answer is the place from 0. See ``asked.read_place``."""
    zone = "UTC" if utc else "the server's own time"
    return Prompt(
        "go to:",
        f"14:00 or 2026-11-20T14:00 ({zone}), +30m, -2h, start, end, or a sample's number",
        lambda text: read_place(text, times, place, utc=utc),
    )


def export_prompt(suggested: str = "") -> Prompt[Path]:
    """Which file to write; it does not exist yet."""
    return Prompt(
        "write to:",
        "a new file: .csv for a spreadsheet, .md for Markdown; nothing is overwritten",
        read_export,
        initial=suggested,
    )
