"""``!poolused``: what every pool tag holds, from the kernel's tag tables.

Flags: 1 more columns, 2 sorted by nonpaged bytes, 4 by paged bytes, else by tag; 8 the pool of the current session
instead of the system's; ``/tN`` the first N rows; a tag with ``*`` and ``?``. Up to Windows 7 the debugger prints one
half only for flags 3 and 5. ``Allocs`` without ``Frees`` beside it counts what is still allocated.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import missing, printable
from poolsleuth.kernel.pool.session_tags import read_session_tags
from poolsleuth.kernel.pool.tag_totals import Counters, TagTotals
from poolsleuth.kernel.pool.tags import tag_text
from poolsleuth.kernel.pool.tracker_tables import read_tag_totals
from poolsleuth.kernel.sessions import read_sessions
from poolsleuth.model.errors import InputError
from poolsleuth.windows.tag_notes import find

_VERBOSE, _NONPAGED, _PAGED, _SESSION = 1, 2, 4, 8
_WINDOWS_8 = 9200
MAX_TAG = 4
MAX_TOP = 1 << 20  # rows of /tN: no table has more

_TOP = re.compile(r"/t\s*(\d{1,9})(?!\S)", re.IGNORECASE)
_USAGE = "!poolused [/tN] [flags] [tag with * and ?]"


@dataclass(frozen=True, slots=True)
class _Asked:
    flags: int
    top: int | None
    tag: re.Pattern[str] | None


def _run(target: Target, _match: re.Match[str], rest: str) -> Lines:
    return _lines(target, _asked(rest))


def _asked(rest: str) -> _Asked:
    top = _TOP.search(rest)
    words = _TOP.sub(" ", rest).split(None, 1)
    flags = 0
    if words:
        try:
            flags = int(words.pop(0), 16)
        except ValueError:
            raise InputError(f"!poolused does not know '{printable(rest, 40)}': {_USAGE}") from None
    if flags & ~(_VERBOSE | _NONPAGED | _PAGED | _SESSION):
        raise InputError(
            "the flags of !poolused are 1 (more columns), 2 (by nonpaged bytes), 4 (by paged bytes), 8 (session pool)"
        )
    tag = words[0].strip('"') if words else None
    return _Asked(flags, min(int(top[1]), MAX_TOP) if top else None, tag_pattern(tag) if tag else None)


def tag_pattern(tag: str) -> re.Pattern[str]:
    """A tag with ``*`` and ``?`` as a regular expression for whole tags. Raises InputError for what can be none."""
    if len(tag.replace("*", "")) > MAX_TAG:
        raise InputError(f"a pool tag has at most {MAX_TAG} characters: '{printable(tag, 40)}' cannot be one")
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in re.sub(r"\*+", "*", tag))
    return re.compile("".join(parts) + " *")


def _lines(target: Target, asked: _Asked) -> Lines:
    totals = _session_totals(target) if asked.flags & _SESSION else read_tag_totals(target.kernel)
    if not len(totals.keys):
        yield f"*** {printable('; '.join(totals.says) or 'there is no tag table in this dump')}"
        return
    old = target.kernel.build < _WINDOWS_8
    flags = asked.flags
    key = "NonPaged Pool Consumed" if flags & _NONPAGED else "Paged Pool Consumed" if flags & _PAGED else "Tag"
    halves: tuple[str, ...] = ("NonPaged", "Paged")
    if flags & _SESSION:
        key = f"Session {key}"
    if old and flags & _VERBOSE and flags & (_NONPAGED | _PAGED):
        halves = ("NonPaged",) if flags & _NONPAGED else ("Paged",)
    yield f"{'   Sorting by  ' if old else ' Sorting by '}{key}"
    yield ""
    if old:
        yield "  Pool Used:"
    form = _Form(old, bool(flags & _VERBOSE))
    yield from form.header(halves)
    order, left_out = _chosen(totals, asked, halves)
    shown = order if asked.top is None else order[: asked.top]
    parts = [getattr(totals, half.lower()) for half in halves]
    for place in shown.tolist():
        tag = tag_text(int(totals.keys[place]))
        yield f" {tag:<4}{form.numbers([_figures(part, place) for part in parts])}{form.gap}{_description(tag)}"
    if left_out or not totals.complete:
        says = list(totals.says)
        if left_out:
            says.append(f"{left_out:,} tags are left out: a part of what belongs to their sums is not in this dump")
        yield from missing("; ".join(says) or "tags may be missing")
    elif asked.tag is None and len(order):
        numbers = form.numbers([_sums(part, order) for part in parts])
        # The word is one letter longer than a tag, and a number may fill its column
        yield f" TOTAL{numbers.removeprefix(' ') if numbers.startswith('  ') else numbers}"


def _session_totals(target: Target) -> TagTotals:
    """The tables of the session that was chosen; of the only one, where there is one only. Raises InputError."""
    found = read_sessions(target.kernel)
    sessions = [session for session in found.sessions if session.memory is not None]
    if target.session is not None:
        sessions = [session for session in sessions if session.id == target.session]
    if not sessions:
        raise InputError("; ".join(found.says) or "there are no sessions whose memory can be read")
    if len(sessions) > 1:
        numbers = " ".join(str(session.id) for session in sessions)
        raise InputError(f"no session is chosen: !session -s N, with N one of {numbers}, or .process with one of its")
    return read_session_tags(target.kernel, sessions[0])


_Figures = tuple[int, int, int, int]
"""Allocations, frees, what is outstanding, and its bytes."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How wide the columns are: newer debuggers made room for the figures of 64-bit systems."""

    old: bool
    verbose: bool

    @property
    def gap(self) -> str:
        """What stands in front of the description."""
        return "  " if not self.old or self.verbose else "      "

    def header(self, halves: Sequence[str]) -> Lines:
        """The two lines of the header."""
        if self.old:
            width = 20 if not self.verbose else 38
            names = f"{'Allocs':>9}{'Frees':>9}{'Diff':>9}{'Used':>9}" if self.verbose else f"{'Allocs':>9}{'Used':>9}"
            between = " "
        else:
            width = 50 if self.verbose else 23
            names = f"{'Allocs':>12}{'Frees':>12}{'Diff':>12}{'Used':>14}"
            names = names if self.verbose else f"{'Allocs':>9}{'Used':>14}"
            between = ""
        yield " " * 12 + "".join(f"{half:<{width}}" for half in halves).rstrip()
        yield " Tag " + (names if self.old else names[1:]) + "".join(between + names for _ in halves[1:])

    def numbers(self, halves: Sequence[_Figures]) -> str:
        """The figures of a row. A number that is too wide for its column keeps a blank in front of it."""
        texts = []
        for allocs, frees, diff, used in halves:
            if self.old:
                row = f" {allocs:>8} {frees:>8} {diff:>8} {used:>8}" if self.verbose else f" {diff:>8} {used:>8}"
            else:
                row = f" {allocs:>11} {frees:>11} {diff:>11} {used:>13}" if self.verbose else f" {diff:>8} {used:>13}"
            texts.append(row)
        return (" " if self.old else "").join(texts)


def _chosen(totals: TagTotals, asked: _Asked, halves: Sequence[str]) -> tuple[NDArray[np.intp], int]:
    """The rows in the order they are printed, and how many could not be printed."""
    parts: list[Counters] = [getattr(totals, half.lower()) for half in halves]
    seen = np.zeros(len(totals.keys), np.bool_)
    bad = ~totals.certain
    for part in parts:
        seen |= (part.outstanding != 0) | (part.bytes != 0)
        if asked.flags & _VERBOSE:
            seen |= (part.allocs != 0) | (part.frees != 0)
        # A complete table's counters may have moved while the dump was written: they are printed as 0
        if not totals.complete:
            bad |= (part.outstanding < 0) | (part.bytes < 0)
    if asked.tag is not None:
        matched = [asked.tag.fullmatch(tag_text(key)) is not None for key in totals.keys.tolist()]
        seen &= np.array(matched, np.bool_)
    left_out = int((seen & bad).sum())
    places = np.flatnonzero(seen & ~bad)
    if asked.flags & _NONPAGED:
        order = np.argsort(-totals.nonpaged.bytes[places], kind="stable")
    elif asked.flags & _PAGED:
        order = np.argsort(-totals.paged.bytes[places], kind="stable")
    else:
        order = np.argsort(totals.keys[places].byteswap(), kind="stable")  # by the letters, as they stand in memory
    return places[order], left_out


def _figures(part: Counters, place: int) -> _Figures:
    diff, used = max(int(part.outstanding[place]), 0), max(int(part.bytes[place]), 0)
    return int(part.allocs[place]), int(part.frees[place]), diff, used


def _sums(part: Counters, order: NDArray[np.intp]) -> _Figures:
    diff, used = np.maximum(part.outstanding[order], 0).sum(), np.maximum(part.bytes[order], 0).sum()
    return int(part.allocs[order].sum()), int(part.frees[order].sum()), int(diff), int(used)


def _description(tag: str) -> str:
    note = find(tag)
    if note is None:
        return f"UNKNOWN pooltag '{tag:<4}', please update pooltag.txt"
    return note.component + (f" , Binary: {note.binary}" if note.binary else "")


COMMANDS = (
    Command(
        re.compile(r"!poolused\b"),
        ("!poolused",),
        _USAGE,
        "what every pool tag holds; flags 1 more columns, 2 by nonpaged bytes, 4 by paged bytes, 8 of the session",
        _run,
    ),
)
