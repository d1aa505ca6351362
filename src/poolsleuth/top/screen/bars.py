"""A pool's use against its limit as a bar of characters."""

from dataclasses import dataclass

from rich.segment import Segment

from poolsleuth.model.tags import PoolKind
from poolsleuth.report.wording import bytes_short, percent_text
from poolsleuth.top.screen.colours import LABEL, PLAIN, TITLE, Signs, bar_style

NAMES = {PoolKind.NONPAGED: "Nonp", PoolKind.PAGED: "Paged", PoolKind.SESSION: "Session"}
NARROWEST_BAR = 4
WIDEST_BAR = 40


@dataclass(frozen=True, slots=True)
class PoolUse:
    """One pool: bytes in use and its limit, None not known; ``guessed`` when the limit is a guess.

    ``summed``: the use is the sum of the tags that are shown, as the evidence has no figure of its own.
    """

    pool: PoolKind
    used: int | None
    limit: int | None
    guessed: bool = False
    summed: bool = False


def bar(use: PoolUse, width: int, signs: Signs) -> list[Segment]:
    """``Nonp [####......]  34.5 MB of 15.6 GB, 0.2 %`` in exactly ``width`` cells, as much of it as there is room for.

    A limit that is a guess has a question mark; without one there is no bar.
    """
    name = f"{NAMES[use.pool]:<5} "
    used = bytes_short(use.used) + (" in tags" if use.summed and use.used is not None else "")
    if use.limit is None:
        words = f"{used}, limit not known" if use.used is not None else "not known"
        short = words if len(name) + len(words) <= width else f"{used} of ?"
        return _cut([Segment(name, TITLE), Segment(short, PLAIN)], width)
    limit = bytes_short(use.limit) + ("?" if use.guessed else "")
    percent = percent_text(use.used, use.limit)
    words = f" {used} of {limit}"
    full = f"{words}, {percent}" if percent else words
    for text in (full, words, f" {used}/{limit}".replace(" MB", "M").replace(" GB", "G"), f" {percent}"):
        room = width - len(name) - 2 - len(text)
        if room >= NARROWEST_BAR:
            break
    else:
        return _cut([Segment(name, TITLE), Segment(percent or used, PLAIN)], width)
    room = min(room, WIDEST_BAR)
    share = None if use.used is None else max(0.0, min(1.0, use.used / use.limit)) if use.limit > 0 else 1.0
    filled = 0 if share is None else max(int(share * room + 0.5), 1 if share > 0 else 0)
    if share is not None and share < 1:
        filled = min(filled, room - 1) if room > 1 else filled
    return _cut(
        [
            Segment(name, TITLE),
            Segment("[", LABEL),
            Segment(signs.bar * filled, bar_style(share)),
            Segment(signs.rest * (room - filled), LABEL),
            Segment("]", LABEL),
            Segment(text, PLAIN),
        ],
        width,
    )


def _cut(segments: list[Segment], width: int) -> list[Segment]:
    line: list[Segment] = []
    for segment in segments:
        text = segment.text[:width]
        width -= len(text)
        if text:
            line.append(Segment(text, segment.style))
    if width > 0:
        line.append(Segment(" " * width, PLAIN))
    return line
