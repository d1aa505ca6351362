"""What stands above the table: the machine, the time, poolmon's own figures, the pools' bars, and the verdict."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from poolsleuth.report.chart_scale import moment_text
from poolsleuth.report.wording import clean, duration_text
from poolsleuth.top.screen.bars import PoolUse, bar
from poolsleuth.top.screen.colours import PLAIN, TITLE, UNICODE, VERDICTS, Signs
from poolsleuth.top.verdict_words import Sentence

TINY = 8  # rows: below, only the title and the verdict
SMALL = 16  # below, no lines of memory
TALL = 30  # from here the verdict may take more than one line
MOST_VERDICT = 3  # lines of the verdict at most
SIDE_BY_SIDE = 150  # columns from which the bars stand beside poolmon's lines
NARROWEST_NAME = 12  # columns that the machine's name has at least
_POOLMON_WIDTH = 80
_LATEST = 32_503_680_000.0  # the year 3000: later is damage, not a date
Line = list[Segment]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the header shows. ``memory`` has bytes by the names of ``sampling.sample.MEMORY_FIGURES``."""

    computer: str | None = None
    time: float = math.nan
    utc: bool = True
    label: str = ""
    watched: float | None = None
    marked: float | None = None
    status: str = ""
    memory: Mapping[str, float] = field(default_factory=dict)
    page_faults: float | None = None  # since the sample before, as poolmon shows them
    uses: tuple[PoolUse, ...] = ()
    verdict: tuple[Sentence, ...] = ()
    judged_at: float | None = None  # of the verdict, where that is well behind what is shown
    level: str = "none"


def header_lines(facts: Facts, width: int, height: int, signs: Signs = UNICODE) -> list[Line]:
    """The lines for a screen of so many rows and columns, each exactly ``width`` cells wide."""
    lines = [_title(facts, width, signs)]
    if height >= SMALL:
        memory = _memory(facts)
        if width >= SIDE_BY_SIDE:
            lines += _beside(memory, facts, width, signs)
        else:
            lines += [[Segment(set_cell_size(text, width), PLAIN)] for text in memory]
            lines += _bars(facts, width, signs)
    elif height >= TINY:
        lines += _bars(facts, width, signs)[:1]
    if facts.verdict and height > 3:
        lines += _verdict(facts, width, MOST_VERDICT if height >= TALL else 1, signs)
    return [Segment.adjust_line_length(line, width, PLAIN) for line in lines]


def _title(facts: Facts, width: int, signs: Signs) -> Line:
    """The machine, the time, how long is watched; the status at the right, which is never cut for the others."""
    words = clean(facts.status).split(", ")
    while len(words) > 1 and cell_len(", ".join(words)) > width - NARROWEST_NAME:
        del words[0]  # where it is says more than how fast it goes
    said = ", ".join(words)
    status = set_cell_size(said, min(cell_len(said), max(0, width - NARROWEST_NAME)))
    room = max(0, width - cell_len(status) - 2)
    name, moment = clean(facts.computer[:64]) if facts.computer else "poolsleuth top", _moment(facts)
    left_for_name = room - cell_len(moment) - 4  # the time goes before the name, and both before the rest
    if cell_len(name) > left_for_name >= NARROWEST_NAME:
        name = set_cell_size(name, left_for_name - 1).rstrip() + signs.cut
    parts = [name if cell_len(name) <= left_for_name or left_for_name >= NARROWEST_NAME else "", moment]
    if facts.watched is not None and facts.watched > 0:
        parts.append(f"{duration_text(facts.watched)} watched")
    if facts.marked is not None:
        parts.append(f"mark {duration_text(facts.marked)} ago")
    left = ""
    for part in parts:
        more = f" {part} " if part else ""
        if cell_len(left) + cell_len(more) <= room:
            left += more
    return [
        Segment(set_cell_size(left, room), TITLE),
        Segment(f" {status} " if room else set_cell_size(status, width), PLAIN),
    ]


def _moment(facts: Facts) -> str:
    if _believable(facts.time):
        return moment_text(facts.time, facts.utc)
    return clean(facts.label[:64]) or "time not known"


def _memory(facts: Facts) -> list[str]:
    """Poolmon's two lines, of what is known."""
    first = [
        _figure("Memory:", facts, "physical", 8),
        _figure("Avail:", facts, "available", 8, gap=" "),
        "" if facts.page_faults is None else f"PageFlts:{facts.page_faults:6.0f}",
        _figure("InRam Krnl:", facts, "kernel_resident", 5),
        # Poolmon's second figure stands behind the first: alone it would be taken for the pool's size
        _figure("P:" if _known(facts, "kernel_resident") else "InRam P:", facts, "paged_resident", 6),
    ]
    second = [
        _figure("Commit:", facts, "committed", 7),
        _figure("Limit:", facts, "commit_limit", 7),
        _figure("Peak:", facts, "commit_peak", 7),
        _figure("Pool N:", facts, "nonpaged_used", 7),
        _figure("P:", facts, "paged_used", 7),
    ]
    lines = [" " + " ".join(text for text in line if text) for line in (first, second)]
    return [line for line in lines if line.strip()]


def _known(facts: Facts, figure: str) -> bool:
    """Whether the evidence has a figure of memory."""
    return math.isfinite(facts.memory.get(figure, math.nan))


def _figure(name: str, facts: Facts, figure: str, width: int, gap: str = "") -> str:
    if not _known(facts, figure):
        return ""
    value = facts.memory[figure]
    return f"{name}{gap}{value / 1024:{width}.0f}K"


def _bars(facts: Facts, width: int, signs: Signs) -> list[Line]:
    """The bars in one line where two have room, else one below the other."""
    if not facts.uses:
        return []
    count = len(facts.uses)
    if width >= 38 * count:
        each = (width - 1 - 2 * (count - 1)) // count
        line: Line = [Segment(" ", PLAIN)]
        for place, use in enumerate(facts.uses):
            line += bar(use, each, signs)
            line.append(Segment("  " if place < count - 1 else " " * (width - 1 - each * count - 2 * place), PLAIN))
        return [[segment for segment in line if segment.text]]
    return [[Segment(" ", PLAIN), *bar(use, width - 1, signs)] for use in facts.uses]


def _beside(memory: list[str], facts: Facts, width: int, signs: Signs) -> list[Line]:
    """Poolmon's lines, and the bars to their right."""
    left = max([_POOLMON_WIDTH, *(len(text) + 2 for text in memory)])
    lines: list[Line] = []
    for place in range(max(len(memory), len(facts.uses))):
        text = memory[place] if place < len(memory) else ""
        line: Line = [Segment(set_cell_size(text, left), PLAIN)]
        if place < len(facts.uses):
            line += bar(facts.uses[place], width - left - 1, signs)
            line.append(Segment(" ", PLAIN))
        else:
            line.append(Segment(" " * (width - left), PLAIN))
        lines.append(line)
    return lines


def _verdict(facts: Facts, width: int, most: int, signs: Signs) -> list[Line]:
    """The most important first. One alone may take all lines there are, of several each has one."""
    room, sentences = max(1, width - 2), facts.verdict
    if facts.judged_at is not None:
        sentences = (_dated(sentences[0], facts), *sentences[1:])
    if most == 1 and len(sentences) > 1:
        more = f" (+{len(sentences) - 1})"
        rows = [sentences[0].fitted(room - len(more)) + more]
    elif len(sentences) == 1 and most > 1:
        rows = wrapped(sentences[0].whole, room, most, signs.cut)
    else:
        rows = [sentence.fitted(room) for sentence in sentences[:most]]
    style = VERDICTS.get(facts.level, PLAIN)
    lines = []
    for place, row in enumerate(rows):
        shown = set_cell_size(row, min(cell_len(row), room))
        of = style if place == 0 or len(sentences) == 1 else PLAIN
        lines.append([Segment(" ", PLAIN), Segment(shown, of), Segment(" " * (width - 1 - cell_len(shown)), PLAIN)])
    return lines


def _dated(sentence: Sentence, facts: Facts) -> Sentence:
    """With the time that it was made for: the samples have gone on since."""
    at = "earlier"
    if facts.judged_at is not None and _believable(facts.judged_at):
        text = moment_text(facts.judged_at, facts.utc)
        same_day = _believable(facts.time) and moment_text(facts.time, facts.utc)[:10] == text[:10]
        at = f"at {text[11:16]}" if same_day else f"at {text[:16]}"
    short = f"{at}: {sentence.short}" if sentence.short else ""
    return Sentence(f"{at}: {sentence.main}", sentence.more, short)


def _believable(time: float) -> bool:
    return math.isfinite(time) and 0 <= time < _LATEST


def wrapped(text: str, width: int, most: int, cut: str) -> list[str]:
    """Text in at most so many rows of cells, broken at blanks; the last one ends in ``cut`` when there was more."""
    rows: list[str] = []
    row = ""
    words = text.split()
    for place, word in enumerate(words):
        longer = f"{row} {word}" if row else word
        if cell_len(longer) <= width:
            row = longer
            continue
        if len(rows) == most - 1:
            rest = " ".join(([row] if row else []) + words[place:])
            return [*rows, set_cell_size(rest, max(0, width - 1)).rstrip() + cut]
        rows.append(row)
        row = word
    return [*rows, row]


class Header(Widget):
    """Draws the facts; as high as they need."""

    DEFAULT_CSS = "Header { height: 1; width: 100%; }"

    def __init__(self, signs: Signs) -> None:
        super().__init__()
        self.signs = signs
        self._facts = Facts()
        self._lines: list[Line] = []

    def show(self, facts: Facts) -> None:
        """Other facts."""
        if facts != self._facts:
            self._facts = facts
            self.draw()

    def draw(self) -> None:
        """Draw again, as after a resize of the screen."""
        size = self.app.size
        lines = header_lines(self._facts, size.width, size.height, self.signs)
        before, self._lines = self._lines, lines
        if len(lines) != len(before):
            self.styles.height = len(lines)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line."""
        if y >= len(self._lines):
            return Strip.blank(self.size.width, Style.null())
        return Strip(self._lines[y]).adjust_cell_length(self.size.width, Style.null())
