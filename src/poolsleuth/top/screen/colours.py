"""How things are told apart: bold, reverse and characters carry the meaning, colour only adds to it.

Only the terminal's own sixteen colours are used, so that the screen looks as its user's theme wants it.
"""

import sys
from dataclasses import dataclass

from rich.style import Style

PLAIN = Style.null()
TITLE = Style(bold=True)
LABEL = Style(dim=True)
HEADING = Style(reverse=True)
SORTED = Style(reverse=True, bold=True, underline=True)
CURSOR = Style(reverse=True)
CHANGED = Style(bold=True)
GREW = Style(bold=True, color="red")
SHRANK = Style(bold=True, color="green")
GUESS = Style(italic=True)
KEY = Style(bold=True)
MESSAGE = Style(bold=True, color="yellow")
BAR = Style(color="green")
BAR_HIGH = Style(color="yellow", bold=True)
BAR_FULL = Style(color="red", bold=True)
HIGH_SHARE = 0.75  # of a limit: from here a bar is drawn bold
FULL_SHARE = 0.9

VERDICTS = {
    "none": Style(color="green"),
    "watching": PLAIN,
    "suspected": Style(bold=True, color="yellow"),
    "found": Style(bold=True, reverse=True, color="red"),
}


@dataclass(frozen=True, slots=True)
class Signs:
    """The characters that mean something, with and without what only UTF-8 can say."""

    down: str  # sorted with the largest first
    up: str
    cursor: str
    bar: str
    rest: str
    spark: str
    cut: str
    ascii: bool


UNICODE = Signs("▼", "▲", ">", "█", "░", "▁▂▃▄▅▆▇█", "…", False)
ASCII = Signs("v", "^", ">", "#", ".", "_.-=*#", "~", True)


def signs(encoding: str | None = None) -> Signs:
    """The characters for an encoding; that of standard output when none is given."""
    name = (encoding if encoding is not None else getattr(sys.__stdout__, "encoding", None)) or "ascii"
    return UNICODE if name.lower().replace("-", "").replace("_", "") in ("utf8", "utf16", "utf32", "cp65001") else ASCII


def bar_style(share: float | None) -> Style:
    """The style of a bar that is full to ``share``."""
    if share is None or share < HIGH_SHARE:
        return BAR
    return BAR_HIGH if share < FULL_SHARE else BAR_FULL
