"""What a command's reader is, and the two kinds of output: read whole when it ends, or row by row as it comes."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from poolsleuth.evidence.debugger_log.clean import SOFT
from poolsleuth.model.facts import Fact, Problem, Where

MAX_OUTPUT_CHARS = 16 * 1024 * 1024  # of one output that is read whole: the longest real one is a few MB


@dataclass(slots=True)
class Context:
    """What the log says around an output.

    ``command`` is the command as typed behind the prompt (or quoted in the prose right before), None when lost;
    ``live`` is True behind ``lkd>``, False behind ``kd>``, None without a prompt; ``user_mode`` behind ``0:000>``.
    Readers append to ``problems``.
    """

    input: int
    command: str | None = None
    live: bool | None = None
    user_mode: bool = False
    problems: list[Problem] = field(default_factory=list)


class Output(ABC):
    """One output while it is being read."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @abstractmethod
    def feed(self, text: str, line: int) -> None:
        """Take the next lines of the output; ``line`` is the number of the first one (from 1)."""

    @abstractmethod
    def close(self) -> Iterable[Fact]:
        """The output ended: what it says."""


class OutputReader(Protocol):
    """Reads one command's output.

    ``banners`` and ``rows`` are regular expressions without capturing groups, matched at the beginning of a line
    (blanks and stars before it are skipped). A banner always begins a new output. A row begins one only when the
    log is not already inside an output of this reader: headers are often lost.
    """

    @property
    def name(self) -> str:
        """The command, as a problem names it; no two readers share one."""
        ...

    @property
    def banners(self) -> Sequence[str]:
        """What always begins a new output."""
        ...

    @property
    def rows(self) -> Sequence[str]:
        """What begins an output unless the log is in one already."""
        ...

    def open(self, context: Context) -> Output:
        """Begin an output."""
        ...


class Block:
    """The whole text of one output, with the line number of every offset."""

    def __init__(self, text: str, first_line: int, context: Context) -> None:
        self.text = text
        self.first_line = first_line
        self.context = context
        # The last place asked for: the next one is counted from there, for a list of all line ends of a hostile
        # output would take many times its own size
        self._known = (0, first_line)

    def line(self, offset: int) -> int:
        """The line number (from 1, in the input) of an offset in ``text``."""
        known, line = self._known
        if offset >= known:
            line += self._line_ends(known, offset)
        else:
            line -= self._line_ends(offset, known)
        self._known = (offset, line)
        return line

    def _line_ends(self, start: int, end: int) -> int:
        return self.text.count("\n", start, end) - self.text.count(SOFT, max(start - 1, 0), end)

    def where(self, offset: int) -> Where:
        """The place of an offset in ``text``."""
        return Where(self.context.input, self.line(offset))


class BufferedOutput(Output):
    """An output that is read whole when it ends. A subclass gives ``parse``."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._pieces: list[str] = []
        self._size = 0
        self._first_line = 1

    def feed(self, text: str, line: int) -> None:
        """Keep the text, up to ``MAX_OUTPUT_CHARS``; what is beyond is a problem, not a memory blow-up."""
        if not self._pieces:
            self._first_line = line
        if self._size > MAX_OUTPUT_CHARS:
            return
        self._pieces.append(text)
        self._size += len(text)
        if self._size > MAX_OUTPUT_CHARS:
            self.context.problems.append(
                Problem(
                    f"an output longer than {MAX_OUTPUT_CHARS >> 20} MB was read only up to there",
                    Where(self.context.input, line),
                )
            )

    def close(self) -> Iterable[Fact]:
        """Parse the whole text."""
        return self.parse(Block("".join(self._pieces), self._first_line, self.context))

    @abstractmethod
    def parse(self, block: Block) -> Iterable[Fact]:
        """The facts of the whole output."""


def integer(text: str) -> int:
    """A decimal number as outputs and pasted tables print it: digits, perhaps with commas between thousands."""
    return int(text.replace(",", ""))


# A decimal number in a regular expression, with or without commas between thousands; never more than 20 digits, so
# that a hostile file cannot make a number that takes seconds to convert
NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,6}|\d{1,20})"
# A kernel address: 8 or 16 hex digits, with or without 0x
ADDRESS = r"(?:0x)?[0-9a-fA-F]{16}|(?:0x)?[0-9a-fA-F]{8}"


def address_bits(text: str) -> int:
    """32 for an address printed with up to 8 digits, else 64."""
    return 32 if len(text.removeprefix("0x")) <= 8 else 64


# Marks that something was left out of a pasted output, alone on a line
ELISION = re.compile(
    r"^[ \t]*(?:\.{3,}|(?:\. ){2,}\.?|<!?-{0,2} ?snip ?-{0,2}>|\[(?:\.{3}|snip)\]|-+ ?snip ?-+|\(snip\))[^\n]{0,60}$",
    re.IGNORECASE | re.MULTILINE,
)
