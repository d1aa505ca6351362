"""One screen as text in poolmon's own layout, which poolmon's readers read: ours, and any other.

With changes it is the screen of poolmon, without them what ``poolmon -n FILE`` writes. Shapes: published examples of
both. Poolmon has no word for "not known", and 0 would be a lie: a row with a figure that is not known is left out and
counted, a change that is not known is left blank, as is a figure of memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from typing import NamedTuple

from poolsleuth.model.series import TagKey, moment
from poolsleuth.model.tags import PoolKind
from poolsleuth.report.wording import clean, short
from poolsleuth.top.tracker import Since, Tracker
from poolsleuth.top.view import Counts, Row, Total, View, ViewOptions

TAG_LENGTH = 4
WRAP = 1 << 32  # poolmon's counters of allocations and frees have 32 bits
MAX_DRIVER = 120  # characters of the column Mapped_Driver
_WIDEST = 20  # digits to which a column grows; a change, 14. Longer numbers stand out of their columns
_WIDEST_CHANGE = 14
# Least widths: allocations, its change, frees, its change, difference, bytes, its change, bytes per allocation
_SCREEN = (9, 4, 9, 4, 8, 7, 6, 6)
_SNAPSHOT = (18, 0, 18, 0, 17, 14, 0, 16)
_HEADINGS = ("Allocs", "", "Frees", "", "Diff", "Bytes", "", "Per Alloc")
_CHANGES = (1, 3, 6)  # places of changes among the columns
_REMEMBERED = 20_000  # tags whose printed form is remembered
_NAMES = ("allocations and frees", "differences", "bytes")  # of the figures that a row must have
_STEP = 1_000  # rows that are looked at together
_POOLS = {PoolKind.NONPAGED: "Nonp", PoolKind.PAGED: "Paged", PoolKind.SESSION: "Paged"}
_BLANK_SIGN = "␠"
_DELETE_SIGN = "␡"
_LOST = "�"
# Tags that begin a line as a debugger's prompt or command does: readers would take the text for a debugger's log
_MISTAKEN = {"kd>": "kdľ", "lkd>": "lkdľ", "!vm": "ġvm"}


@dataclass(frozen=True, slots=True)
class Printed:
    """A screen as text. ``rows`` are printed, ``unknown`` left out as a figure of theirs is not known: ``lacking``."""

    text: str
    rows: int
    unknown: int
    lacking: tuple[str, ...] = ()


def screen_of(
    tracker: Tracker,
    view: View,
    options: ViewOptions,
    lines: int | None = None,
    *,
    changes: bool = True,
    drivers: bool = False,
    dated: bool = True,
) -> Printed:
    """What a tracker holds now, at most ``lines`` rows of it (None: all).

    ``changes``: with what changed since the sample before, where there was one; blank where Windows was started again
    since. ``drivers``: with the column Mapped_Driver. ``dated``: with the time in a line before, so that screens one
    behind the other are a dated log.
    """
    changes = changes and tracker.previous is not None
    numbers = view.rows(options)
    table: list[_Line] = []
    shown: list[int] = []
    unknown = 0
    lacking: set[str] = set()
    names = _Names()
    for start in range(0, len(numbers), _STEP):
        some = numbers[start : start + _STEP]
        for number, counts in zip(some.tolist(), view.counts(some), strict=True):
            if counts.allocs is None or counts.outstanding is None or counts.bytes is None:
                unknown += 1
                lacking |= {name for name, value in zip(_NAMES, counts[1:4], strict=True) if value is None}
            elif lines is None or len(table) < lines:
                table.append(_Line(names.of(counts.key), _POOLS[counts.key.pool], _numbers(counts, changes)))
                shown.append(number)
        if lines is not None and len(table) >= lines:
            break
    sums = [
        _Line("TOTAL", _POOLS[counts.key.pool], _numbers(counts, changes))
        for counts in map(_sum, view.totals(options) if options.totals else ())
        if counts.allocs is not None and counts.outstanding is not None and counts.bytes is not None
    ]
    widths = _widths([*table, *sums], _SCREEN if changes else _SNAPSHOT)
    text = [*_time_line(tracker, dated), *_header(tracker, changes), f" {_title(options.session)} pool information"]
    text.append(_headings(widths) + ("  Mapped_Driver" if drivers else ""))
    if changes:
        text.append("")
    rows = _texts(table, widths)
    text += [f"{line} {_driver(row)}" for line, row in zip(rows, view.look(shown), strict=True)] if drivers else rows
    if sums:
        text += ["", *_texts(sums, widths)]
    return Printed("\n".join((*text, "", "")), len(table), unknown, tuple(sorted(lacking)))


class _Line(NamedTuple):
    name: str
    pool: str
    numbers: tuple[int | None, ...]


def _sum(total: Total) -> Counts:
    last = total.last
    return Counts(
        TagKey("", total.pool), total.allocs, total.outstanding, total.bytes, last.allocs, last.frees, last.bytes
    )


def _numbers(counts: Counts, changes: bool) -> tuple[int | None, ...]:
    _, allocs, outstanding, size, more_allocs, more_frees, more_bytes = counts
    allocs, outstanding, size = allocs or 0, outstanding or 0, size or 0
    frees = allocs - outstanding
    if -WRAP < frees < 0:
        frees += WRAP  # allocations have wrapped, frees have not yet
    each = size // outstanding if outstanding else 0
    if not changes or more_allocs is None or more_frees is None or more_bytes is None:
        return (allocs, None, frees, None, outstanding, size, None, each)
    return (allocs, more_allocs, frees, more_frees, outstanding, size, more_bytes, each)


def _texts(lines: Sequence[_Line], widths: Sequence[int]) -> list[str]:
    """The rows. A tag stands behind a blank; TOTAL, which no tag can be, at the edge."""
    known = _template(widths, changes=True)
    unknown = _template(widths, changes=False)
    return [
        (unknown if numbers[1] is None else known).format(
            f" {name:4}" if len(name) <= TAG_LENGTH else name, pool, *numbers
        )
        for name, pool, numbers in lines
    ]


def _template(widths: Sequence[int], *, changes: bool) -> str:
    parts = ["{0}", "{1:5}"]
    for place, width in enumerate(widths):
        if width:
            change = f"({{{place + 2}:{width}}})" if changes else " " * (width + 2)
            parts.append(change if place in _CHANGES else f"{{{place + 2}:{width}}}")
    return " ".join(parts)


def _widths(lines: Sequence[_Line], least: Sequence[int]) -> tuple[int, ...]:
    """The widths of the columns: poolmon's, or wider where a number needs it, so that a blank stays between them."""
    widths = list(least)
    for place, column in enumerate(zip(*(line.numbers for line in lines), strict=True)):
        known = [number for number in column if number is not None]
        if known and least[place]:
            most = _WIDEST_CHANGE if place in _CHANGES else _WIDEST
            longest = max(len(str(min(known))), len(str(max(known))))
            widths[place] = max(widths[place], min(longest, most))
    return tuple(widths)


def _headings(widths: Sequence[int]) -> str:
    """The names of the columns, each over the end of its numbers."""
    text = " Tag  Type"
    end = len(" Tag  Type ")
    for place, (heading, width) in enumerate(zip(_HEADINGS, widths, strict=True)):
        if width:
            end += 1 + width + (2 if place in _CHANGES else 0)
            text = text.ljust(end - len(heading)) + heading if heading else text
    return text


def _title(session: int | None) -> str:
    return "System" if session is None else "All sessions" if session < 0 else f"Session {session}"


def _time_line(tracker: Tracker, dated: bool) -> Iterator[str]:
    time = tracker.now.time if tracker.now is not None else None
    at = moment(time)
    if dated and at is not None:
        yield time_text(at, utc=tracker.host.utc)


def time_text(at: datetime, *, utc: bool) -> str:
    """A time to the millisecond as ISO 8601 writes it; without a zone where that is not known."""
    at = at.astimezone(UTC)
    return (at if utc else at.replace(tzinfo=None)).isoformat(timespec="milliseconds")


# ---- header lines --------------------------------------------------------------------------------------------------


def _header(tracker: Tracker, changes: bool) -> Iterator[str]:
    """The two lines with the figures of memory in KB; what is not known is left out, with its name."""
    if tracker.now is None:
        return
    memory = tracker.now.memory
    then = tracker.origin(Since.LAST)
    before = then.memory if then is not None else {}
    faults = _count(memory, "page_faults")
    if changes and faults is not None:
        # The screen prints what came since the last one, a snapshot all
        earlier = _count(before, "page_faults")
        faults = faults - earlier if earlier is not None and earlier <= faults else None
    first = (
        _kb(" Memory:", 8, memory, "physical"),
        _kb(" Avail:", 8, memory, "available"),
        "" if faults is None else f"  PageFlts:{faults % WRAP if changes else faults:6}",
        _kb("   InRam Krnl:", 5, memory, "kernel_resident"),
        _kb(" P:" if _count(memory, "kernel_resident") is not None else "   InRam P:", 5, memory, "paged_resident"),
    )
    second = (
        _kb(" Commit:", 7, memory, "committed"),
        _kb(" Limit:", 7, memory, "commit_limit"),
        _kb(" Peak:", 7, memory, "commit_peak"),
        _kb("            Pool N:", 5, memory, "nonpaged_used"),
        _kb(" P:" if _count(memory, "nonpaged_used") is not None else "            Pool P:", 5, memory, "paged_used"),
    )
    for line in ("".join(first), "".join(second)):
        if line:
            yield line


def _count(figures: Mapping[str, float], name: str) -> int | None:
    value = figures.get(name)
    return int(value) if value is not None and isfinite(value) and 0 <= value < 1e20 else None


def _kb(label: str, width: int, figures: Mapping[str, float], name: str) -> str:
    value = _count(figures, name)
    return "" if value is None else f"{label}{value >> 10:{width}}K"


# ---- words ---------------------------------------------------------------------------------------------------------


class _Names:
    """The tags of one screen as they are printed: no two of one pool alike, or readers would see two screens."""

    def __init__(self) -> None:
        self._used: set[tuple[str, str]] = set()

    def of(self, key: TagKey) -> str:
        name, pool = printed_tag(key.tag), _POOLS[key.pool]
        number = 0
        while (name, pool) in self._used:
            name = f"{_LOST}{number:03X}"
            number += 1
        self._used.add((name, pool))
        return name


@lru_cache(maxsize=_REMEMBERED)
def printed_tag(tag: str) -> str:
    """A tag of at most four characters, none of which can steer a terminal or be taken for a blank between columns.

    Control characters are shown by their pictures (``␛``), bytes above 0x7F that are none in Latin-1 as Windows'
    code page 1252 has them, a blank at the beginning as ``␠``, any other that cannot be printed by a letter of its own.
    """
    tag = tag[:TAG_LENGTH].rstrip(" ")
    bare = tag.lstrip(" ")
    tag = _BLANK_SIGN * (len(tag) - len(bare)) + bare
    shown = "".join(map(_printed_character, tag)) or _BLANK_SIGN * TAG_LENGTH
    return _MISTAKEN.get(shown, shown)


def _printed_character(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return _DELETE_SIGN
    if 0x80 <= code < 0xA0:
        try:
            return bytes((code,)).decode("cp1252")
        except UnicodeDecodeError:
            return chr(0x100 + code)
    return chr(0x100 + code) if code < 0x100 else _LOST


def _driver(row: Row) -> str:
    """``[ntfs.sys - log file]``; a guess is called one, and readers do not take it for the driver's name."""
    parts = [] if row.driver is None else [row.driver if row.sure else f"maybe {row.driver}"]
    if row.note:
        parts.append(row.note)
    if not parts:
        return "Unknown Driver"
    said = short(clean(" - ".join(parts)), MAX_DRIVER)
    return f"[{said.translate(_BRACKETS)}]"


_BRACKETS = str.maketrans("[]", "()")

__all__ = ["Printed", "printed_tag", "screen_of", "time_text"]
