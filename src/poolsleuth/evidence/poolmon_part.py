"""What is kept of one machine of a poolmon log: its snapshots, the columns of its tags, and its first and last text."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from poolsleuth.evidence.debugger_log.clean import clean
from poolsleuth.evidence.debugger_log.decode import narrow
from poolsleuth.evidence.debugger_log.output import Block, Context
from poolsleuth.evidence.poolmon import MEMORY_FIELDS, POOLS, read_screens, session_of
from poolsleuth.evidence.snapshots import SnapshotList, Timeline
from poolsleuth.evidence.tag_history import TagCollector
from poolsleuth.model.facts import Fact, Where
from poolsleuth.model.series import MemoryHistory, TagHistory, moment
from poolsleuth.model.tags import PoolmonMemory, TagTable

MAX_SCREEN = 8 << 20  # bytes kept of the text of one snapshot: 100,000 rows
MAX_SCREENS = 24 << 20  # of all that are kept at once
MAX_KINDS = 40  # sets of sessions whose last screens are kept
_POOL_LINE = b"ool information"

Kind = tuple[int | None, ...]


@dataclass(slots=True)
class Screen:
    """The text of one snapshot, and the number of its first line."""

    number: int
    line: int
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, text: bytes) -> None:
        """More of its text, up to ``MAX_SCREEN``."""
        text = text[: MAX_SCREEN - self.size]
        if text:
            self.pieces.append(text)
            self.size += len(text)

    @property
    def text(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)

    def kind(self) -> Kind:
        """The sessions whose pools it shows, None for the system pools."""
        text = self.text
        found: dict[int | None, None] = {}
        place = text.find(_POOL_LINE)
        while place >= 0 and len(found) < MAX_KINDS:
            start = text.rfind(b"\n", 0, place) + 1
            match = POOLS.match(text[start : place + 40].decode("ascii", errors="replace"))
            if match is not None:
                found[session_of(match)] = None
            place = text.find(_POOL_LINE, place + 1)
        return tuple(found)


class Part:
    """One machine's snapshots. Screens of other sessions are other tables: of each kind the first and the last stay."""

    def __init__(self) -> None:
        self.snapshots = SnapshotList()
        self.tags = TagCollector()
        self._first: dict[Kind, Screen] = {}
        self._last: dict[Kind, Screen] = {}

    def keep(self, screen: Screen) -> None:
        """The text of a snapshot that has ended."""
        kind = screen.kind()
        if kind not in self._first:
            if len(self._first) >= MAX_KINDS or screen.size + self._size > MAX_SCREENS:
                kind = next(iter(self._last), kind)  # beyond the bounds only the very last one counts
            else:
                self._first[kind] = screen
                return
        self._last.pop(kind, None)
        self._last[kind] = screen

    @property
    def _size(self) -> int:
        return sum(screen.size for screens in (self._first, self._last) for screen in screens.values())

    def facts(self, input_index: int, timeline: Timeline) -> Iterator[Fact]:
        """The first and last tables in the order of the input, then memory and tags over time."""
        screens = sorted([*self._first.values(), *self._last.values()], key=lambda screen: screen.number)
        for screen in screens:
            at = _date(timeline, screen.number)
            for fact in _screen_facts(screen, input_index):
                yield replace(fact, at=at)
        first = self.snapshots.all[0]
        where = Where(input_index, first.line)
        at = _date(timeline, first.number)
        numbers = timeline.ordered([snapshot.number for snapshot in self.snapshots.all])
        figures = self.snapshots.figures(tuple(MEMORY_FIELDS), numbers)
        if figures:
            yield MemoryHistory(
                where=where,
                at=at,
                times=_times(timeline, numbers),
                figures=figures,
                snapshots=self.snapshots.count,
                utc=timeline.utc,
                dated_by=timeline.dated_by,
            )
        kept, columns = self.tags.columns(timeline.ordered)
        if columns:
            yield TagHistory(
                where=where,
                at=at,
                times=_times(timeline, kept),
                columns=columns,
                snapshots=self.tags.tables,
                utc=timeline.utc,
                dated_by=timeline.dated_by,
            )


def _times(timeline: Timeline, numbers: Sequence[int]) -> "array[float]":
    return array("d", [timeline.times[number] for number in numbers])


def _date(timeline: Timeline, number: int) -> datetime | None:
    """The time of a snapshot as a fact's time, which is in UTC: None when only the local time is known."""
    return moment(timeline.times.get(number)) if timeline.utc else None


def _screen_facts(screen: Screen, input_index: int) -> Iterator[Fact]:
    block = Block(clean(narrow(screen.text)), screen.line, Context(input_index))
    for fact in read_screens(block.text, block.where):
        if isinstance(fact, TagTable | PoolmonMemory):
            yield fact
