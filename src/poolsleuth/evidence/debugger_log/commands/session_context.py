"""``!session`` and ``!sprocess N``: of which session the following outputs speak."""

import re
from collections.abc import Iterable

from poolsleuth.evidence.debugger_log.output import Block, BufferedOutput, Context, Output
from poolsleuth.model.facts import Fact
from poolsleuth.model.system import SessionContext

MAX_CHARS = 16 * 1024  # the headers stand at the beginning; whatever follows belongs to nobody
MAX_SESSIONS = 1_000

_SESSION = re.compile(
    r"^[ ]*(?:Dumping|Using|Current)\s{1,20}Session:?\s{1,20}(\d{1,6})\b(?!\s{0,4}[.:]\d)", re.MULTILINE | re.IGNORECASE
)


class _Session(BufferedOutput):
    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._left = MAX_CHARS

    def feed(self, text: str, line: int) -> None:
        """Keep the beginning only."""
        if self._left > 0:
            super().feed(text[: self._left], line)
            self._left -= len(text)

    def parse(self, block: Block) -> Iterable[Fact]:
        """One fact for each session named; a mere count of sessions is none."""
        last: int | None = None
        for count, match in enumerate(_SESSION.finditer(block.text)):
            if count >= MAX_SESSIONS:
                return
            if int(match[1]) != last:
                last = int(match[1])
                yield SessionContext(
                    where=block.where(match.start()),
                    live=block.context.live,
                    command=block.context.command,
                    session=last,
                )


class _Reader:
    name = "!session"
    banners = (r"Dumping\s+Session\s+\d",)
    rows = (
        r"Sessions\s+on\s+machine\s*:\s*\d",
        r"Using\s+session\s+\d",
        r"Current\s+Session\s+\d",
    )

    def open(self, context: Context) -> Output:
        """Begin a session header."""
        return _Session(context)


READER = _Reader()
