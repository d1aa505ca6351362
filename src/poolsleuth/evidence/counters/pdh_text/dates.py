"""Decides, on the whole column of a log's times, whether dates are month/day or day/month.

What PDH writes is month/day, whatever the country. Programs that write the file again may turn it. One row proves
nothing (a damaged digit makes any date), so that it takes two rows with a component above 12, or the change of a day:
the order in which the time runs on decides against the one in which it jumps by a month. Rows are held back until it
is decided. What contradicts later ends the reading: wrong times are never given without a word.
"""

import re
from dataclasses import dataclass, field, replace

from poolsleuth.evidence.counters.pdh_text.stamps import Order, Stamp
from poolsleuth.model.errors import InputError

MAX_ASSUMED_ROWS = 2_000  # rows held back while nothing speaks against the order that the form is known for
MAX_HELD_ROWS = 200_000  # rows held back while the order is open: two days of samples of one second
MAX_HELD_CELLS = 4_000_000
_NEAR = 3_600_000  # milliseconds from one sample to the next that are no gap, however short the interval is
_NEAR_DAILY = 36 * 3_600_000  # the same for a log without two samples on one day
_FAR = 20 * 86_400_000  # a month's jump, with room for a gap
_NEAR_INTERVALS = 10
_PDH_CLOCK = re.compile(rb"([01]\d|2[0-3]):([0-5]\d):([0-5]\d)\.(\d{3})")

Cells = dict[int, float]


@dataclass(frozen=True, slots=True)
class Dated:
    """One row: ``moment`` in milliseconds since 1970 of the zone that its times are in (``offset`` as in Stamp)."""

    moment: int
    offset: int | None
    cells: Cells
    line: int


def _other(order: Order) -> Order:
    return Order.DAY_FIRST if order is Order.MONTH_FIRST else Order.MONTH_FIRST


@dataclass(slots=True)
class _Evidence:
    proofs: int = 0  # rows that cannot be read in the other order
    votes: int = 0  # changes of the day that make sense in this order only


@dataclass(slots=True)
class DateColumn:
    """The times of one log, in the order of the file. ``rejected`` counts rows whose date does not exist,
    ``first_rejected`` is the line of the first.

    ``trusted`` is True when the log is known to write month/day without milliseconds too (ESXTOP).
    """

    trusted: bool = False
    rejected: int = 0
    first_rejected: int | None = None
    _order: Order | None = None
    _assumed: Order | None = None
    _held: list[tuple[Stamp, Cells, int]] = field(default_factory=list)
    _held_cells: int = 0
    _open: Stamp | None = None  # the first date that can be read in two ways
    _open_line: int = 0
    _evidence: dict[Order, _Evidence] = field(default_factory=lambda: {order: _Evidence() for order in Order})
    _last: Stamp | None = None
    _step: int = 0
    _last_proof: bool = False  # the last row proves something
    _against: int = 0  # rows in succession that contradict what was decided
    _clock: int = 0  # of the last row
    _day: bytes = b""  # the text of the last row's date, once it is decided how to read it
    _midnight: int = 0  # what it means

    def quick(self, cell: bytes) -> int | None:
        """The moment of a cell in PDH's form that has the date of the row before it; None when ``add`` must look."""
        if cell[:11] != self._day or (found := _PDH_CLOCK.fullmatch(cell, 11)) is None:
            return None
        hour, minute, second, milliseconds = found.groups()
        clock = ((int(hour) * 60 + int(minute)) * 60 + int(second)) * 1000 + int(milliseconds)
        self._step = clock - self._clock
        self._clock = clock
        return self._midnight + clock

    def add(self, stamp: Stamp, cells: Cells, line: int) -> list[Dated]:
        """The next row; what comes back can be used, in order. Raises InputError when the dates contradict."""
        self._weigh(stamp)
        if self._open is None and not stamp.same and self._proof(stamp) is None:
            self._open, self._open_line = stamp, line
        if self._order is not None:
            self._check(stamp, line)
            dated = self._dated(stamp, cells, line, self._order)
            plain = dated is not None and stamp.plain and not self._against
            self._day = b"%02d/%02d/%04d " % (stamp.first, stamp.second, stamp.year) if plain else b""
            self._midnight = dated.moment - stamp.clock if dated is not None else 0
            return [dated] if dated is not None else []
        if self._assumed is None:
            self._assumed = self._usual(stamp)
        self._held.append((stamp, cells, line))
        self._held_cells += len(cells) + 1
        self._order = self._decision()
        if self._order is None:
            full = len(self._held) >= MAX_HELD_ROWS or self._held_cells >= MAX_HELD_CELLS
            if self._assumed is not None and (len(self._held) >= MAX_ASSUMED_ROWS or full):
                self._order = self._last_resort()
            elif full:
                raise InputError(self._ambiguous())
        return self._release() if self._order is not None else []

    def finish(self) -> list[Dated]:
        """What was held back, at the end of the log. Raises InputError when its dates can be read in two ways."""
        if self._order is not None:
            if self._doubtful(self._order) or (self._against and not self._proven()):
                raise InputError(self._ambiguous())
            return []
        self._order = self._last_resort()
        return self._release()

    def _usual(self, stamp: Stamp) -> Order | None:
        if stamp.order is not None:
            return stamp.order
        if stamp.plain or (self.trusted and stamp.bare):
            return Order.MONTH_FIRST
        return Order.DAY_FIRST if stamp.dotted else None

    @staticmethod
    def _proof(stamp: Stamp) -> Order | None:
        if stamp.order is not None or (stamp.first > 12) == (stamp.second > 12):
            return None
        return Order.DAY_FIRST if stamp.first > 12 else Order.MONTH_FIRST

    def _weigh(self, stamp: Stamp) -> None:
        proof = self._proof(stamp)
        self._last_proof = proof is not None
        if proof is not None:
            self._evidence[proof].proofs += 1
        before, self._last = self._last, stamp
        before_clock, self._clock = self._clock, stamp.clock
        if before is None or stamp.order is not None:
            return
        if (stamp.first, stamp.second, stamp.year) == (before.first, before.second, before.year):
            self._step = stamp.clock - before_clock
            return
        before = replace(before, clock=before_clock)
        steps = {order: self._between(before, stamp, order) for order in Order}
        near = max(_NEAR, _NEAR_INTERVALS * self._step) if self._step else _NEAR_DAILY
        for order, step in steps.items():
            other = steps[_other(order)]
            if step is not None and 0 < step <= near and other is not None and not 0 < other < _FAR:
                self._evidence[order].votes += 1

    @staticmethod
    def _between(before: Stamp, after: Stamp, order: Order) -> int | None:
        start, end = before.moment(order), after.moment(order)
        return None if start is None or end is None else end - start

    def _decision(self) -> Order | None:
        for order in Order:
            own, other = self._evidence[order], self._evidence[_other(order)]
            if own.proofs >= 2 and own.proofs > other.proofs:
                return order
            needed = 2 if self._assumed is _other(order) else 1
            if own.votes >= needed and not other.votes and not other.proofs:
                return order
        return None

    def _last_resort(self) -> Order:
        """The order when there is no further row to wait for."""
        decided = self._assumed
        for order in Order:
            # A single row above 12 counts where it is the last one: a damaged digit would be followed by good rows
            if self._evidence[order].proofs == 1 and not self._evidence[_other(order)].proofs and self._last_proof:
                if decided is _other(order) and len(self._held) > 1:
                    raise InputError(self._ambiguous())
                decided = order
        if decided is None and self._open is None:
            decided = Order.MONTH_FIRST  # every date is the same in both
        if decided is None or self._doubtful(decided):
            raise InputError(self._ambiguous())
        return decided

    def _doubtful(self, order: Order) -> bool:
        own, other = self._evidence[order], self._evidence[_other(order)]
        return other.votes > 0 and not own.votes and not own.proofs

    def _proven(self) -> bool:
        return self._order is not None and self._evidence[self._order].proofs >= 2

    def _check(self, stamp: Stamp, line: int) -> None:
        order = self._order
        if order is None or stamp.order is not None:
            return
        if self._proof(stamp) is _other(order):
            self._against += 1
        elif stamp.first <= 12 or stamp.second <= 12:
            self._against = 0
        if self._against >= 2 or (self._evidence[_other(order)].votes >= 2 and self._doubtful(order)):
            raise InputError(
                f"its dates contradict one another: they were read as {order} until line {line:,}, which can only be"
                f" {_other(order)}; {_REMEDY}"
            )

    def _ambiguous(self) -> str:
        shown = self._open or self._last
        date = f"{shown.first:02}/{shown.second:02}/{shown.year}" if shown is not None else ""
        place = f" (line {self._open_line:,})" if self._open is not None else ""
        return f"its dates can be read as month/day or as day/month, the first is {date}{place}; {_REMEDY}"

    def _release(self) -> list[Dated]:
        order = self._order or Order.MONTH_FIRST
        dated = [self._dated(stamp, cells, line, order) for stamp, cells, line in self._held]
        self._held = []
        self._held_cells = 0
        return [row for row in dated if row is not None]

    def _dated(self, stamp: Stamp, cells: Cells, line: int, order: Order) -> Dated | None:
        moment = stamp.moment(order)
        if moment is None:
            self.rejected += 1
            if self.first_rejected is None:
                self.first_rejected = line
            return None
        return Dated(moment, stamp.offset, cells, line)


_REMEDY = (
    "give the log as Windows wrote it (`relog IN -f csv -o OUT.csv` writes it anew), or write its dates as"
    " YYYY-MM-DD HH:MM:SS"
)
