"""Poolmon's text: screens and snapshots, with or without changes in parentheses, from NT 4 to the newest builds.

Allocations and frees come from 32-bit counters that wrap: only their difference and the bytes are trusted.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from poolsleuth.evidence.debugger_log.output import ELISION, NUMBER, integer
from poolsleuth.model.facts import Fact, Figure, Where
from poolsleuth.model.tags import Completeness, PoolKind, PoolmonMemory, TagRow, TagTable

MAX_ROWS = 100_000  # of one screen: a system has some thousand tags
FEWEST_TAGS = 100  # rows of a table that is taken for a whole one: NT 4 had more tags in use
WRAP = 1 << 32
HEADER_CHARS = 1_000  # in which both header lines of a screen stand, also double spaced and wrapped

_EVERYWHERE = frozenset({"File", "Irp", "Proc", "Thre"})  # tags that every Windows uses
_MEMORY = re.compile(r"^[ ]*Memory:\s{0,20}(?=\d)", re.MULTILINE)
POOLS = re.compile(
    r"^[ ]*(?:(?P<all>All\s{1,8}sessions)|(?P<system>System)|Session\s{1,8}(?P<session>\d{1,6}))"
    r"\s{1,8}pool\s{1,8}information",
    re.MULTILINE | re.IGNORECASE,
)
_KB = rf"({NUMBER})\s{{0,4}}K"
MEMORY_FIELDS = {
    "physical": re.compile(rf"Memory:\s{{0,20}}{_KB}"),
    "available": re.compile(rf"Avail:\s{{0,20}}{_KB}"),
    "kernel_resident": re.compile(rf"InRam\s{{1,20}}Krnl:\s{{0,20}}{_KB}"),
    "paged_resident": re.compile(rf"InRam\s{{1,20}}Krnl:\s{{0,20}}{NUMBER}\s{{0,4}}K\s{{1,20}}P:\s{{0,20}}{_KB}"),
    "nonpaged_used": re.compile(rf"Pool\s{{1,20}}N:\s{{0,20}}{_KB}"),
    # The second P: of the screen; the first one is the part of the paged pool that is in memory
    "paged_used": re.compile(rf"Pool\s{{1,20}}N:\s{{0,20}}{NUMBER}\s{{0,4}}K\s{{1,20}}P:\s{{0,20}}{_KB}"),
    "committed": re.compile(rf"Commit:\s{{0,20}}{_KB}"),
    "commit_limit": re.compile(rf"Limit:\s{{0,20}}{_KB}"),
    "commit_peak": re.compile(rf"Peak:\s{{0,20}}{_KB}"),
}
_SIGNED = rf"-?{NUMBER}"
_CHANGE = rf"(?:\s{{0,20}}\(\s{{0,20}}{_SIGNED}\s{{0,20}}\))?"
ROW = re.compile(
    rf"^[ ]*(?P<tag>\S[^\n]{{0,4}}?)[ ]{{1,20}}(?P<type>Nonp|Paged)\s{{1,40}}(?P<allocs>{_SIGNED}){_CHANGE}"
    rf"\s{{1,40}}(?P<frees>{_SIGNED}){_CHANGE}\s{{1,40}}(?P<diff>{_SIGNED}){_CHANGE}"
    rf"\s{{1,40}}(?P<bytes>{_SIGNED})(?![\d,]){_CHANGE}(?:\s{{1,40}}(?P<each>{_SIGNED})(?![\d,])(?P<mapped>[^\n]{{0,300}}))?",
    re.MULTILINE,
)
_FILE = re.compile(r"[\w$~.+-]{1,64}\.(?:sys|exe|dll)", re.IGNORECASE)
_BRACKET = re.compile(r"\[([^\[\]\n]{1,200})(?:\]|$)")
KINDS = {"Nonp": PoolKind.NONPAGED, "Paged": PoolKind.PAGED}


@dataclass(slots=True)
class _Screen:
    start: int
    session: int | None = None
    memory: bool = False
    rows: list[TagRow] = field(default_factory=list)
    total: dict[PoolKind, TagRow] = field(default_factory=dict)
    seen: set[tuple[str, PoolKind]] = field(default_factory=set)
    unread: bool = False  # a row whose numbers do not belong together was left out


def read_screens(text: str, where: Callable[[int], Where]) -> Iterator[Fact]:
    """The header lines (``PoolmonMemory``) and the table (``TagTable``) of each screen in the text.

    ``text`` is clean text; ``where`` gives the place of an offset in it.
    """
    marks: list[tuple[int, str, re.Match[str]]] = [
        *((match.start(), "memory", match) for match in _MEMORY.finditer(text)),
        *((match.start(), "pools", match) for match in POOLS.finditer(text)),
        *((match.start(), "row", match) for match in ROW.finditer(text)),
    ]
    screen = _Screen(0)
    for start, kind, match in sorted(marks, key=lambda mark: mark[:2]):
        if kind == "memory" or (kind == "pools" and screen.rows):
            yield from _facts(text, screen, start, where)
            screen = _Screen(start)
            screen.memory = kind == "memory"
        if kind == "pools":
            screen.session = session_of(match)
        elif kind == "row":
            row = _row(match, where)
            if row is None or len(screen.rows) >= MAX_ROWS:
                screen.unread = True
                continue
            if row.tag.lower() == "total":
                screen.total[row.pool] = row
                continue
            if (row.tag, row.pool) in screen.seen:
                # A tag stands once in a screen: its header line is lost
                yield from _facts(text, screen, start, where)
                screen = _Screen(start, session=screen.session)
            screen.seen.add((row.tag, row.pool))
            screen.rows.append(row)
    yield from _facts(text, screen, len(text), where)


def session_of(match: re.Match[str]) -> int | None:
    """The session that a line of ``POOLS`` names: -1 for all sessions, None for the system pools."""
    return -1 if match["all"] else int(match["session"]) if match["session"] else None


def _facts(text: str, screen: _Screen, end: int, where: Callable[[int], Where]) -> Iterator[Fact]:
    if screen.memory:
        stop = min(end, screen.start + HEADER_CHARS)
        figures: dict[str, Any] = {}
        for name, expression in MEMORY_FIELDS.items():
            found = expression.search(text, screen.start, stop)
            figures[name] = Figure(integer(found[1]) * 1024, where(found.start(1))) if found else None
        yield PoolmonMemory(where=where(screen.start), **figures)
    if screen.rows:
        cut = ELISION.search(text, screen.start, end) is not None
        yield TagTable(
            where=screen.rows[0].where,
            rows=tuple(screen.rows),
            pools=frozenset(row.pool for row in screen.rows),
            completeness=Completeness.CUT if cut else _completeness(screen),
            total=screen.total,
            session=screen.session,
            source="poolmon",
        )


def _completeness(screen: _Screen) -> Completeness:
    """Whether all tags that hold bytes are shown.

    A screen ends where the window ends, and a snapshot does not say how many tags there are. But where the rows go by
    bytes down to rows that hold none, no row with bytes is missing; unless poolmon was told to show some tags only.
    """
    sizes = [row.bytes for row in screen.rows]
    by_bytes = all(a is not None and b is not None and a >= b for a, b in pairwise(sizes))
    if screen.session is not None or screen.unread or len(sizes) < FEWEST_TAGS or sizes[-1] != 0 or not by_bytes:
        return Completeness.UNKNOWN
    shown = {row.tag for row in screen.rows}
    return Completeness.COMPLETE if shown >= _EVERYWHERE else Completeness.UNKNOWN


def _row(match: re.Match[str], where: Callable[[int], Where]) -> TagRow | None:
    tag = match["tag"].strip(" \x1f")
    if len(tag) > 4 and tag.lower() != "total":
        return None
    allocs, frees = integer(match["allocs"]), integer(match["frees"])
    outstanding, size = integer(match["diff"]), integer(match["bytes"])
    if (allocs - frees - outstanding) % WRAP:
        # Numbers that do not belong together: believed only when bytes and difference agree with the last column
        each = integer(match["each"]) if match["each"] else None
        if each is None or outstanding <= 0 or size // outstanding != each:
            return None
        allocs = frees = -1
    if -(WRAP >> 1) <= size < 0:
        size += WRAP  # printed as a signed number by a 32-bit poolmon
    description, binary = _mapped(match["mapped"] or "")
    # Counters that wrapped give no totals any more
    wrapped = allocs < 0 or frees < 0 or allocs - frees != outstanding
    return TagRow(
        tag=tag,
        pool=KINDS[match["type"]],
        allocs=None if wrapped else allocs,
        frees=None if wrapped else frees,
        outstanding=outstanding if outstanding >= 0 else None,
        bytes=size if size >= 0 else None,
        where=where(match.start("tag")),
        description=description,
        binary=binary,
    )


def _mapped(text: str) -> tuple[str | None, str | None]:
    """Description and binary of a Mapped_Driver column: "[file - text]", "[text]", "[name][file - text]"."""
    brackets = [" ".join(part.split()) for part in _BRACKET.findall(text.rstrip(" \x1f"))]
    if not brackets:
        return None, None
    said = brackets[-1]
    file, dash, what = said.partition(" - ")
    if not dash and said.endswith(" -"):
        file, what = said[:-2], ""
    if _FILE.fullmatch(file.strip()):
        return what.strip() or None, file.strip()
    return said or None, None


__all__ = ["HEADER_CHARS", "KINDS", "MAX_ROWS", "MEMORY_FIELDS", "POOLS", "ROW", "WRAP", "read_screens", "session_of"]
