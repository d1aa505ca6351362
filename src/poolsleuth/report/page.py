"""Lines on a console: hostile text is shown as text, in characters that the console has."""

from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from poolsleuth.report.wording import short

TEXT = 4_000  # characters of one sentence


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table of text."""

    title: str
    cells: list[str]
    right: bool = False

    @property
    def width(self) -> int:
        """The widest cell or the title."""
        return max(map(cell_len, [self.title, *self.cells]))

    def padded(self, text: str) -> str:
        """A cell's text as wide as the column."""
        space = " " * (self.width - cell_len(text))
        return space + text if self.right else text + space


class Page:
    """A console, and what it can show."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.width = console.width
        encoding = console.encoding.lower()
        self.fancy = encoding.startswith("utf") and not console.legacy_windows
        try:
            "".encode(encoding)
            self.encoding = encoding
        except LookupError:
            self.encoding = "ascii"

    def said(self, text: str, limit: int = TEXT) -> str:
        """Text of a file as this console can show it."""
        return short(text, limit).encode(self.encoding, "backslashreplace").decode(self.encoding)

    def blank(self) -> None:
        """An empty line."""
        self.console.print()

    def line(self, text: str, *, style: str = "", indent: int = 0, lead: str = "", lead_style: str = "bold") -> None:
        """A paragraph with ``lead`` in front, its other lines under its first word."""
        begin = Text(" " * indent).append(lead, lead_style)
        hang = cell_len(begin.plain) or 2  # a wrapped name must not begin a line as if it were ours
        words = Text(self.said(text), style)
        if hang > self.width // 3:  # a long lead takes no room from the lines below it
            words = Text(lead, lead_style).append_text(words)
            begin, hang = Text(" " * indent), indent + 2
        for row in words.wrap(self.console, max(10, self.width - hang), overflow="fold"):
            self.print(begin.append_text(row))
            begin = Text(" " * hang)

    def print(self, text: Text) -> None:
        """One line, never wrapped by us."""
        text.rstrip()
        self.console.print(text, soft_wrap=True, highlight=False)

    def table(self, columns: list[Column], styles: list[str], indent: int = 2) -> None:
        """Rows of text under their titles; ``styles`` holds one style for each row."""
        begin = " " * indent
        self.print(Text(begin + "  ".join(column.padded(column.title) for column in columns), style="dim"))
        for number, style in enumerate(styles):
            self.print(Text(begin + "  ".join(column.padded(column.cells[number]) for column in columns), style=style))
