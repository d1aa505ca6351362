"""The help: the keys, from the table that the screen itself uses; the columns; and what the start understands."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from poolsleuth.top.detail_words import Says
from poolsleuth.top.screen.colours import KEY, LABEL
from poolsleuth.top.screen.detail import DETAIL_KEYS
from poolsleuth.top.screen.detail_text import Lines, beside, scrolls, signs_of
from poolsleuth.top.screen.keys import KEYS, Group
from poolsleuth.top.screen.layout import VALUE, layout
from poolsleuth.top.view import Column

_WIDEST_KEY = 18  # cells
TWO_COLUMNS = 130  # columns from which the keys stand beside the rest

COLUMNS: Mapping[Column, str] = {
    Column.TAG: "the four characters that a driver gives with each allocation",
    Column.TYPE: "Nonp: nonpaged pool; Paged: paged pool (of a session, where sessions are shown)",
    Column.ALLOCS: "allocations since Windows was started; in parentheses since the sample before",
    Column.FREES: "frees since Windows was started; in parentheses since the sample before",
    Column.DIFF: "allocations that were not freed",
    Column.BYTES: "bytes that they hold; in parentheses the change since the sample before",
    Column.EACH: "bytes per allocation that was not freed",
    Column.STARTED: "change of the bytes since the first sample; *: since the first that shows the tag, a later one",
    Column.MARKED: "change of the bytes since the mark (z sets it); *: since the first sample behind it with the tag",
    Column.RATE: "bytes per hour over the last hour at most; from a minute on",
    Column.SHARE: "how much of its pool's use the tag holds",
    Column.TREND: "the bytes over the whole watch, from the lowest to the highest",
    Column.DRIVER: "who writes the tag, as far as a list or our notes say; ? is a guess",
    Column.NOTE: "what the memory is",
}

_TITLES = {
    cell.column: cell.title for cell in layout(1_000, sort=Column.BYTES, marked=True).cells if cell.kind == VALUE
}

STARTUP: tuple[tuple[str, str], ...] = (
    ("/iTag /xTag", "show only such tags, leave such tags out; several may be given; * and ?; capitals count"),
    ("/s /s1", "the pools of all sessions, of session 1"),
    ("/p", "nonpaged pool only; /p /p: paged pool only"),
    ("/t /a /f /d /b /m", "sort by tag, allocations, frees, difference, bytes, bytes per allocation"),
    ("/(", "sort by change"),
    ("/e /l", "totals; lines that changed are highlighted"),
    ("/g", "a printed screen names drivers, too"),
    ("/n", "print one screen, and end"),
)


class HelpScreen(Screen[None]):
    """All of it, to be scrolled; Escape closes it, as in poolmon."""

    DEFAULT_CSS = """
    HelpScreen { overflow: hidden; }
    HelpScreen VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    HelpScreen #body { width: 1fr; height: auto; }
    HelpScreen #foot { height: 1; dock: bottom; }
    """
    BINDINGS: ClassVar = []
    AUTO_FOCUS = "VerticalScroll"

    def compose(self) -> ComposeResult:
        """Text, and how to close it."""
        with VerticalScroll():
            yield Static(id="body", markup=False)
        foot = Text.assemble(("Esc", KEY), (" closes the help  ", LABEL), ("PgDn", KEY), (" reads on", LABEL))
        yield Static(foot, id="foot", markup=False)

    def on_mount(self) -> None:
        """Lay it out."""
        scrolls(self.query_one(VerticalScroll))
        self._show()

    def on_resize(self) -> None:
        """Lay it out anew."""
        self._show()

    def _show(self) -> None:
        rule = "-" if signs_of(self.app).ascii else "─"
        lines = help_lines(max(1, self.size.width - 2), rule)
        self.query_one("#body", Static).update(Text("\n", no_wrap=True).join(lines))

    def on_key(self, event: events.Key) -> None:
        """Escape and the keys that opened it close it."""
        if event.key in ("escape", "q", "Q", "h", "H", "question_mark", "f1", "enter"):
            event.stop()
            event.prevent_default()
            self.dismiss(None)


def help_lines(width: int, rule: str) -> list[Text]:
    """The help, broken to a width."""
    if width < TWO_COLUMNS:
        both = Lines(width)
        _keys(both, rule)
        _rest(both, rule)
        return both.lines
    half = width // 2 - 2
    left, right = Lines(half), Lines(width - half - 4)
    _keys(left, rule)
    _rest(right, rule)
    return beside(left.lines, right.lines, left.width, 4)


def _keys(lines: Lines, rule: str) -> None:
    for group in Group:
        _table(lines, str(group), rule, [(key.shown, key.says) for key in KEYS if key.group is group])


def _rest(lines: Lines, rule: str) -> None:
    _table(lines, "In the detail of a tag", rule, DETAIL_KEYS)
    _table(lines, "Columns", rule, [(_TITLES[column], says) for column, says in COLUMNS.items()])
    _table(lines, "At the start, as in poolmon (or as options: poolsleuth top --help)", rule, STARTUP)


def _table(lines: Lines, title: str, rule: str, rows: Sequence[tuple[str, str]]) -> None:
    lines.heading(title, rule)
    room = min(_WIDEST_KEY, max(cell_len(name) for name, _ in rows)) + 2
    for name, says in rows:
        lines.paragraph(Says(says, lead=set_cell_size(name, max(room, cell_len(name) + 2))))
