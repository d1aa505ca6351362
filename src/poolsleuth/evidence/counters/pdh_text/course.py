"""Puts the rows of one log into the order of time: clock changes are evened out, rows that go back are left out."""

from dataclasses import dataclass, field

from poolsleuth.evidence.counters.log import CounterRow
from poolsleuth.model.series import moment

_HOUR = 3600.0
# Seconds between samples for which a jump of an hour can be told: back, nothing else looks like it; ahead, an hour
# without samples does, so that the night of a weekend in the season of such changes is asked for too
_MAX_INTERVAL = {-1: 1800.0, 1: 300.0}
_MONTHS = frozenset({3, 4, 9, 10, 11})
_WEEKDAYS = frozenset({4, 5, 6})  # Friday to Sunday
_HOURS = frozenset({23, 0, 1, 2, 3})
_TOLERANCE = (2.0, 0.25)  # seconds, and share of the interval, that a sample may be early or late


@dataclass(slots=True)
class TimeCourse:
    """Rows in the order of the file go in, rows that never go back in time come out, one row late.

    PDH writes local time with one bias for the whole log, so that at a clock change times jump by an hour on the hour:
    these are evened out when ``local`` (the times are a zone's that has such changes). ``changes`` holds the numbers
    of lines of such jumps, ``backward`` counts rows left out because they go back, ``first_backward`` is the line of
    the first. ``repeated`` and ``first_repeated`` are the same for rows that have the time of the row before them.
    """

    bias: float = 0.0  # seconds that were added to local time
    local: bool = True
    changes: list[int] = field(default_factory=list)
    backward: int = 0
    first_backward: int | None = None
    repeated: int = 0
    first_repeated: int | None = None
    _shift: float = 0.0
    _held: CounterRow | None = None
    _last: float | None = None

    def add(self, row: CounterRow, line: int) -> CounterRow | None:
        """The next row of the file, from ``line``; a row that is certain now, None when none is."""
        row.time += self._shift
        held = self._held
        if held is None:
            self._held = row
            return None
        step = row.time - held.time
        jump = self._clock_change(held.time, step)
        if jump:
            self._shift -= jump
            row.time -= jump
            self.changes.append(line)
        elif step < 0:
            self.backward += 1
            if self.first_backward is None:
                self.first_backward = line
            if self._last is None or row.time >= self._last:
                self._held = row  # the one before was ahead of its time: a damaged digit
            return None
        elif step == 0:
            self.repeated += 1
            if self.first_repeated is None:
                self.first_repeated = line
        self._held = row
        self._last = held.time
        return held

    def finish(self) -> CounterRow | None:
        """The row held back, at the end of the log."""
        held, self._held = self._held, None
        return held

    def _clock_change(self, before: float, step: float) -> float:
        """The hour by which local time jumped after ``before``: 3600, -3600, or 0 when it did not."""
        if not self.local or self._last is None:
            return 0.0
        interval = before - self._last
        sign = 1 if step > 0 else -1
        if not 0 < interval <= _MAX_INTERVAL[sign]:
            return 0.0
        room = max(_TOLERANCE[0], _TOLERANCE[1] * interval)
        jump = sign * _HOUR
        if abs(step - jump - interval) > room or (sign > 0 and not self._in_season(before)):
            return 0.0
        # The clock is changed on the hour: the sample before lies less than one interval before it
        to_the_hour = -(before - self.bias) % _HOUR
        return jump if to_the_hour <= interval + room else 0.0

    def _in_season(self, time: float) -> bool:
        local = moment(time - self.bias)
        if local is None:
            return False
        return local.month in _MONTHS and local.weekday() in _WEEKDAYS and local.hour in _HOURS
