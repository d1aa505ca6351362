"""Paragraphs, figures and tables as lines of a given width; text from outside is text, never markup."""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.style import Style
from rich.text import Text
from textual.containers import VerticalScroll

from poolsleuth.report.wording import StepPart, step_parts
from poolsleuth.top.detail_words import Pair, Says
from poolsleuth.top.screen.colours import GREW, LABEL, PLAIN, SHRANK, TITLE, Signs, signs

COMMAND = Style(bold=True, color="cyan")
TONES = {
    "": PLAIN,
    "strong": TITLE,
    "dim": LABEL,
    "good": SHRANK,
    "bad": GREW,
    "warn": Style(bold=True, color="yellow"),
}
NARROWEST = 10  # columns; below, lines are cut
PAIR_WIDTH = 38  # of a figure with its name, where several stand beside each other
_NAME_WIDTH = 18
_GAP = 2
_CLOSING = frozenset(",.;:)")


@runtime_checkable
class _Signed(Protocol):
    """An application that knows which characters its terminal has."""

    signs: Signs


def signs_of(app: object) -> Signs:
    """The characters that an application's terminal has."""
    return app.signs if isinstance(app, _Signed) else signs()


def scrolls(view: VerticalScroll) -> None:
    """Without a scrollbar where the terminal has no characters for one."""
    if signs_of(view.app).ascii:
        view.styles.scrollbar_size_vertical = 0


class Lines:
    """Lines that grow downwards, none wider than ``width``."""

    def __init__(self, width: int) -> None:
        self.width = max(NARROWEST, width)
        self.lines: list[Text] = []

    def blank(self) -> None:
        """An empty line, but not two of them."""
        if self.lines and self.lines[-1].plain:
            self.lines.append(Text())

    def heading(self, text: str, bar: str) -> None:
        """A title, with a rule behind it."""
        self.blank()
        rule = max(0, self.width - cell_len(text) - 1)
        line = Text(f"{text} ", TITLE).append(bar * rule, LABEL)
        line.truncate(self.width)
        self.lines.append(line)

    def paragraphs(self, said: Iterable[Says]) -> None:
        """One after the other."""
        for one in said:
            self.paragraph(one)

    def paragraph(self, said: Says) -> None:
        """Words broken at blanks, under each other; a command stays in one piece where it fits into a line."""
        style = TONES.get(said.tone, PLAIN)
        row = Text(said.lead, TITLE if said.lead.strip(" +-") else LABEL)
        hang = cell_len(said.lead)
        if hang > self.width // 3:
            hang = 2
        if cell_len(row.plain) > self.width // 2:  # the text goes below
            row.rstrip()
            row.truncate(self.width)
            self.lines.append(row)
            row = Text(" " * hang)
        begun = False
        for word, how, tail in _pieces(said, style):
            space = " " if begun else ""
            if cell_len(row.plain) + len(space) + cell_len(word + tail) <= self.width:
                row.append(space + word, how)
            else:
                row = self._fold(row, word, how, hang, len(tail), begun=begun)
            row.append(tail, style)
            begun = True
        self.lines.append(row)

    def _fold(self, row: Text, word: str, how: Style, hang: int, after: int, *, begun: bool) -> Text:
        """Go on with a word that has no room in the line: below, and in several lines if it is too long for one."""
        if begun:
            self.lines.append(row)
            row = Text(" " * hang)
        room = self.width - hang - after
        if not begun and cell_len(row.plain) >= self.width:
            self.lines.append(row)
            row = Text(" " * hang)
        elif not begun:
            room = self.width - cell_len(row.plain) - after
        if cell_len(word) <= room:
            return row.append(word, how)
        for number, piece in enumerate(chop_cells(word, max(2, min(room, self.width - hang - after)))):
            if number:
                self.lines.append(row)
                row = Text(" " * hang)
            row.append(piece, how)
        return row

    def pairs(self, pairs: Sequence[Pair]) -> None:
        """Figures with their names, in as many columns as there is room for, read downwards."""
        columns = max(1, self.width // PAIR_WIDTH)
        rows = -(-len(pairs) // columns)
        room = self.width // columns
        for row in range(rows):
            line = Text()
            for place in range(row, len(pairs), rows):
                pair = pairs[place]
                line.append(set_cell_size(pair.name, min(_NAME_WIDTH, room)), LABEL)
                last = place + rows >= len(pairs)
                value = max(0, room - _NAME_WIDTH - (0 if last else _GAP))
                text = pair.value if cell_len(pair.value) <= value else pair.value.partition(" (")[0]
                line.append(set_cell_size(text, value), TONES.get(pair.tone, PLAIN))
                line.append("" if last else " " * _GAP)
            line.rstrip()
            self.lines.append(line)

    def table(self, rows: Sequence[tuple[str, ...]]) -> None:
        """A table; the first row holds the titles, the first two columns are words. Columns that have no room go."""
        widths = [max(cell_len(row[place]) for row in rows) for place in range(len(rows[0]))] if rows else []
        used, shown = 0, []
        for place, width in enumerate(widths):
            if used + width + _GAP <= self.width + _GAP:
                shown.append(place)
                used += width + _GAP
        for number, row in enumerate(rows):
            cells = []
            for place in shown:
                space = " " * (widths[place] - cell_len(row[place]))
                cells.append(row[place] + space if place < 2 else space + row[place])
            line = Text((" " * _GAP).join(cells), LABEL if not number else PLAIN)
            line.truncate(self.width)
            line.rstrip()
            self.lines.append(line)


def _pieces(said: Says, style: Style) -> list[tuple[str, Style, str]]:
    """What is never broken: words and commands, with the sign behind a command that belongs to it."""
    pieces: list[tuple[str, Style, str]] = []
    quote = "`" if "`" in said.text else ""
    for part in step_parts(said.text) if said.step else (StepPart(said.text, command=False),):
        text = part.text
        if pieces and pieces[-1][1] is COMMAND and text[:1] in _CLOSING:
            pieces[-1] = (*pieces[-1][:2], text[:1])
            text = text[1:]
        # In quotes where the step has them: without colour, a stop behind a command must not look like its part
        words = [f"{quote}{text}{quote}"] if part.command else text.split(" ")
        pieces += [(word, COMMAND if part.command else style, "") for word in words if word]
    return pieces


def beside(left: Sequence[Text], right: Sequence[Text], width: int, gap: int) -> list[Text]:
    """Two columns of lines, the left one ``width`` cells wide."""
    lines = []
    for number in range(max(len(left), len(right))):
        line = left[number].copy() if number < len(left) else Text()
        if number < len(right):
            line.append(" " * max(0, width + gap - cell_len(line.plain)))
            line.append_text(right[number])
        lines.append(line)
    return lines
