"""All about one tag: its course as a chart, its figures, who writes it, what is found, and what to do next."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from poolsleuth.report.wording import short, step_parts
from poolsleuth.top.big_pool import BigPools, big_says
from poolsleuth.top.detail_facts import DetailFacts, Judged, courses, gather
from poolsleuth.top.detail_words import (
    Says,
    change_rows,
    findings_say,
    headline,
    pairs,
    remarks,
    search_says,
    standing,
    steps_say,
    title,
    writer_says,
)
from poolsleuth.top.owners import Owners
from poolsleuth.top.screen.colours import GUESS, KEY, LABEL, PLAIN, TITLE
from poolsleuth.top.screen.detail_chart import Chart
from poolsleuth.top.screen.detail_text import TONES, Lines, beside, scrolls, signs_of
from poolsleuth.top.tag_search import Searching, Whois
from poolsleuth.top.tracker import Tracker
from poolsleuth.top.view import View

REFRESH = 0.25  # seconds between two looks at whether there is a new sample
TWO_COLUMNS = 130  # columns from which figures stand beside the findings
_LOW = 16  # rows below which there is no chart beside the text
_SHARE_OF_ROWS = 0.42  # that the chart takes
_LEAST_NAME = 24  # cells of the title that are the tag's own
_LEFT = 0.42  # of the columns, for the figures

DETAIL_KEYS: tuple[tuple[str, str], ...] = (
    ("Esc q Enter", "back to the table"),
    ("n p", "the next tag of the table, the one before"),
    ("b d a", "the chart: bytes, allocations not freed, allocations per second; Tab: the next of them"),
    ("c y", "copy the next command to the clipboard, where the terminal lets programs do that"),
    ("w", "search the drivers for the tag (where there are drivers to search)"),
    ("r", "ask a running Windows again how much lies in big allocations"),
    ("Up Down PgUp PgDn Home End", "read on"),
)


class DetailScreen(Screen[int]):
    """One tag. It is dismissed with the number of the tag that was shown last.

    ``order`` gives the numbers of the table's rows, for going to the next tag; ``whois`` searches drivers, None where
    there are none to search. ``big`` tells of a running Windows how much lies in big allocations. It looks
    for new samples by itself.
    """

    DEFAULT_CSS = """
    DetailScreen { layout: vertical; overflow: hidden; }
    DetailScreen #title { height: 1; }
    DetailScreen #foot { height: 1; dock: bottom; }
    DetailScreen VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    DetailScreen #body { width: 1fr; height: auto; }
    """
    BINDINGS: ClassVar = []
    AUTO_FOCUS = "VerticalScroll"

    def __init__(
        self,
        tracker: Tracker,
        view: View,
        judge_verdict: Callable[[], Judged | None],
        number: int,
        *,
        order: Callable[[], Sequence[int]] | None = None,
        whois: Whois | None = None,
        owners: Owners | None = None,
        big: BigPools | None = None,
    ) -> None:
        super().__init__()
        self._big = big
        self.tracker = tracker
        self.view = view
        self.number = number
        self.facts: DetailFacts | None = None
        self._verdict = judge_verdict
        self._order = order
        self._whois = whois
        self._owners = owners if owners is not None else view.owners if isinstance(view.owners, Owners) else None
        self._figure = 0
        self._copied = -1
        self._said = ""
        self._searches: dict[str, Searching] = {}
        self._search_line = 0  # of the text, where the search's answer begins
        self._seen: tuple[object, ...] = ()

    # ---- drawing ----

    def compose(self) -> ComposeResult:
        """Title, chart, text, keys."""
        yield Static(id="title", markup=False)
        yield Chart(signs_of(self.app).ascii)
        with VerticalScroll():
            yield Static(id="body", markup=False)
        yield Static(id="foot", markup=False)

    def on_mount(self) -> None:
        """Follow the samples."""
        scrolls(self.query_one(VerticalScroll))
        self._ask_big()
        self.renew()
        self.set_interval(REFRESH, self._look)

    def on_unmount(self) -> None:
        """No search goes on for nobody."""
        for search in self._searches.values():
            search.stop.set()

    def on_resize(self) -> None:
        """Text is broken anew."""
        self.renew()

    def _look(self) -> None:
        search = self._searches.get(self._tag)
        progress = None if search is None else (search.done, search.ended)
        big = None if self._big is None else self._big.asked
        now = self.tracker
        seen = (self.number, now.count, id(now.now), now.mark, progress, self._verdict(), big)
        if seen != self._seen:
            ended = search is not None and search.ended and self._seen[:1] == seen[:1] and progress != self._seen[4]
            self._seen = seen
            self.renew()
            if ended:
                self.call_after_refresh(self._to_search)

    @property
    def _tag(self) -> str:
        return self.tracker.index.keys[self.number].tag

    def renew(self) -> None:
        """Show everything as it is now."""
        if not self.is_mounted or self.number >= len(self.tracker.index.keys):
            return
        facts = gather(
            self.tracker,
            self.number,
            owners=self._owners,
            judged=self._verdict(),
            share=self.view.row(self.number).share,
        )
        self.facts = facts
        width, height = self.size
        chart = self.query_one(Chart)
        chart.display = height >= _LOW
        chart.styles.height = max(8, min(24, int(height * _SHARE_OF_ROWS)))
        drawn = courses(self.tracker, self.number)
        mark = None if self.tracker.mark is None else self.tracker.mark.time
        chart.show(drawn[self._figure % len(drawn)], utc=facts.utc, limit=facts.limit, mark=mark)
        self.query_one("#title", Static).update(self._title(facts, width))
        self.query_one("#body", Static).update(Text("\n", no_wrap=True).join(self._body(facts, max(1, width - 2))))
        self.query_one("#foot", Static).update(self._foot(width))

    def _title(self, facts: DetailFacts, width: int) -> Text:
        words, tone = standing(facts)
        place = self._place()
        name = title(facts)
        both = Text.assemble((words.upper(), TONES.get(tone, PLAIN)), (f"  {place}" if place else "", LABEL))
        # The tag's name goes before what is found of it, that before its place in the table
        for right in (both, both[: len(words)], Text()):
            room = width - cell_len(right.plain) - 2
            if room >= min(cell_len(name), _LEAST_NAME):
                break
        style = TITLE if facts.writer.sure or facts.writer.driver is None else TITLE + GUESS
        return Text(set_cell_size(name, max(0, room)), style, no_wrap=True).append("  ").append_text(right)

    def _place(self) -> str:
        numbers = self._numbers()
        return f"{numbers.index(self.number) + 1:,} of {len(numbers):,}" if self.number in numbers else ""

    def _numbers(self) -> list[int]:
        return [] if self._order is None else [int(number) for number in self._order()]

    def _body(self, facts: DetailFacts, width: int) -> list[Text]:
        if width < TWO_COLUMNS:
            both = Lines(width)
            said = headline(facts)
            if said is not None:
                both.paragraph(said)
                both.blank()
            self._figures(both, facts)
            # What accuses comes before what describes
            if facts.accused:
                self._findings(both, facts, told=said is not None)
            self._owner(both, facts)
            if not facts.accused:
                self._findings(both, facts, told=said is not None)
            return both.lines
        left, right = Lines(int(width * _LEFT)), Lines(width - int(width * _LEFT) - 3)
        self._figures(left, facts)
        self._owner(left, facts)
        self._findings(right, facts)
        return beside(left.lines, right.lines, left.width, 3)

    def _figures(self, lines: Lines, facts: DetailFacts) -> None:
        lines.pairs(pairs(facts))
        rows = change_rows(facts)
        if rows:
            lines.blank()
            lines.table(rows)
        big = None if self._big is None else big_says(self._big, facts.key)
        if big is not None:
            lines.paragraph(big)
        lines.paragraphs(remarks(facts))

    def _owner(self, lines: Lines, facts: DetailFacts) -> None:
        lines.heading("Who writes it", self._rule)
        lines.paragraphs(writer_says(facts.writer))
        search = self._searches.get(facts.key.tag)
        if search is not None:
            self._search_line = len(lines.lines) + 1
            lines.heading("What the drivers say", self._rule)
            lines.paragraphs(_search_words(search))
        elif self._whois is not None:
            lines.paragraph(Says("press w to search the drivers' code for it now", tone="dim"))

    def _findings(self, lines: Lines, facts: DetailFacts, *, told: bool = False) -> None:
        lines.heading("What is found", self._rule)
        lines.paragraphs(findings_say(facts, told=told))
        lines.heading("What to do", self._rule)
        lines.paragraphs(steps_say(facts.steps))

    @property
    def _rule(self) -> str:
        return "-" if signs_of(self.app).ascii else "─"

    def _foot(self, width: int) -> Text:
        if self._said:
            return Text(set_cell_size(self._said, width), KEY, no_wrap=True)
        keys = [("Esc", "back"), ("n p", "other tags"), ("b d a", "chart"), ("c", "copy command")]
        if self._whois is not None:
            keys.append(("w", "search drivers"))
        keys.append(("PgDn", "more"))
        line = Text(no_wrap=True)
        for key, says in keys:
            part = Text.assemble((key, KEY), (f" {says}  ", LABEL))
            if cell_len(line.plain) + cell_len(part.plain.rstrip()) <= width:
                line.append_text(part)
        return line

    # ---- keys ----

    def on_key(self, event: events.Key) -> None:
        """A key of ``DETAIL_KEYS``; those that scroll are the text's own."""
        key = event.key
        action: Callable[[], None] | None = {
            "escape": self._back,
            "q": self._back,
            "enter": self._back,
            "n": lambda: self._go(1),
            "p": lambda: self._go(-1),
            "b": lambda: self._draw(0),
            "d": lambda: self._draw(1),
            "a": lambda: self._draw(2),
            "tab": lambda: self._draw(self._figure + 1),
            "c": self._copy,
            "y": self._copy,
            "w": self._search,
            "r": self._ask_big_again,
        }.get(key.lower() if len(key) == 1 else key)
        if action is not None:
            event.stop()
            event.prevent_default()
            self._said = ""
            action()

    def _back(self) -> None:
        self.dismiss(self.number)

    def _go(self, step: int) -> None:
        numbers = self._numbers()
        if not numbers:
            return
        place = numbers.index(self.number) + step if self.number in numbers else 0
        if not 0 <= place < len(numbers):
            self._say("this is the last tag of the table" if step > 0 else "this is the first tag of the table")
            return
        self.number = numbers[place]
        self._copied = -1
        self.query_one(VerticalScroll).scroll_home(animate=False)
        self.renew()

    def _draw(self, figure: int) -> None:
        self._figure = figure % 3
        self.renew()

    def _ask_big(self) -> None:
        if self._big is not None:
            self._big.ask()

    def _ask_big_again(self) -> None:
        if self._big is None:
            self._say("only a running Windows can be asked for its big allocations")
            return
        self._ask_big()
        self._say("asking Windows for the big allocations ...")

    def _copy(self) -> None:
        facts = self.facts
        steps = () if facts is None else facts.steps
        commands = [part.text for step in steps for part in step_parts(step) if part.command]
        commands = list(dict.fromkeys(commands))
        if not commands:
            self._say("there is no command to copy")
            return
        self._copied = (self._copied + 1) % len(commands)
        command = commands[self._copied]
        self.app.copy_to_clipboard(command)
        self._say(f"copied {self._copied + 1} of {len(commands)}: {command}")

    def _search(self) -> None:
        if self._whois is None:
            self._say("there are no drivers to search here: start it with --driver-files FOLDER")
            return
        search = self._searches.get(self._tag)
        if search is None or search.error is not None:
            if any(not other.ended for other in self._searches.values()):
                self._say("a search is under way: it must end first")
                return
            self._searches[self._tag] = Searching(self._whois, self._tag)
        self.renew()
        self.call_after_refresh(self._to_search)

    def _to_search(self) -> None:
        self.query_one(VerticalScroll).scroll_to(y=self._search_line, animate=False)

    def _say(self, text: str) -> None:
        self._said = short(text, 300)
        self.query_one("#foot", Static).update(self._foot(self.size.width))


def _search_words(search: Searching) -> list[Says]:
    """How far it is, or what it found."""
    if search.error is not None:
        return [Says(short(search.error, 1_000), tone="warn")]
    if search.answer is not None:
        return list(search_says(search.answer))
    if search.ended:
        return [Says("the search was ended", tone="dim")]
    so_far = f": {search.done:,} of {search.total:,} files" if search.total else ""
    return [Says(f"searching the drivers{so_far} (leaving this page ends it)", tone="dim")]
