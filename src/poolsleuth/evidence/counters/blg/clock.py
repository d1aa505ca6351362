"""From the local times of a log to UTC: the time zone in the log's header, its daylight saving rules, and hints.

Layouts: TIME_ZONE_INFORMATION and SYSTEMTIME of the public Windows headers. A FILETIME counts 100 ns since 1601.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median

TICKS = 10_000_000  # FILETIME units per second
MINUTE = 60 * TICKS
EPOCH = 116_444_736_000_000_000  # 1970-01-01 as a FILETIME
EARLIEST = 119_600_064_000_000_000  # 1980-01-01: an earlier sample is damage
LATEST = 441_481_536_000_000_000  # the year 3000
ZONE_BYTES = 172
MAX_BIAS = 24 * 60  # minutes

_QUARTER = 15  # minutes: the offsets of all zones are multiples of it
_SKEW = 10 * MINUTE  # a hint may differ so much from an offset of the zone: clocks of machines are not equal
_QUARTER_SKEW = MINUTE // 2  # but far from every offset of the zone only the machine's own clock counts
_FIRST_YEAR, _LAST_YEAR = 1601, 3000


@dataclass(frozen=True, slots=True)
class Switch:
    """When the clocks change, in the local time before the change (the public rules of SYSTEMTIME in a zone).

    With ``year`` 0 the day is the ``day``-th ``weekday`` (0 is Sunday) of the month, 5 the last one.
    """

    year: int
    month: int
    weekday: int
    day: int
    time: int  # FILETIME units since midnight

    def at(self, year: int) -> int | None:
        """The local FILETIME of the change in ``year``; None when there is none or the rule is damaged."""
        if self.year not in (0, year) or not 1 <= self.month <= 12:
            return None
        try:
            if self.year:
                day = datetime(year, self.month, self.day, tzinfo=UTC)
            else:
                first = datetime(year, self.month, 1, tzinfo=UTC)
                ahead = (self.weekday - first.isoweekday()) % 7 + 7 * (max(self.day, 1) - 1)
                day = first + timedelta(days=ahead)
                while day.month != self.month:
                    day -= timedelta(days=7)
        except (ValueError, OverflowError):
            return None
        return _filetime(day) + self.time


@dataclass(frozen=True, slots=True)
class TimeZone:
    """Offsets in minutes, UTC = local + offset, and when each of them is in force."""

    standard: int
    daylight: int
    to_standard: Switch
    to_daylight: Switch

    def offsets(self, local: int) -> tuple[int, ...]:
        """The offsets in minutes that a local FILETIME may have, most likely first.

        Two of them in the hour that is repeated when daylight saving ends: daylight saving time comes first.
        """
        year = _year(local)
        start = self.to_daylight.at(year) if year else None
        end = self.to_standard.at(year) if year else None
        if start is None or end is None or self.daylight == self.standard:
            return (self.standard,)
        gained = (self.standard - self.daylight) * MINUTE
        if end - gained <= local < end:
            return (self.daylight, self.standard)
        summer = start <= local < end if start < end else not end <= local < start
        return (self.daylight,) if summer else (self.standard,)


def read_zone(data: bytes) -> TimeZone | None:
    """A TIME_ZONE_INFORMATION; None when it is damaged."""
    if len(data) < ZONE_BYTES:
        return None
    bias, standard, daylight = (struct.unpack_from("<i", data, at)[0] for at in (0, 84, 168))
    if not all(abs(minutes) <= MAX_BIAS for minutes in (bias, bias + standard, bias + daylight)):
        return None
    return TimeZone(bias + standard, bias + daylight, _switch(data, 68), _switch(data, 152))


def _switch(data: bytes, at: int) -> Switch:
    year, month, weekday, day, hour, minute, second, milli = struct.unpack_from("<8H", data, at)
    return Switch(year, month, weekday % 7, min(day, 31), ((hour * 60 + minute) * 60 + second) * TICKS + milli * 10_000)


class LocalClock:
    """Turns the times of records, in the order of the log, into seconds since 1970 UTC.

    ``utc`` is False when neither a zone nor a hint is there at the first time: then the times stay local.
    """

    def __init__(self, zone: TimeZone | None) -> None:
        self._zone = zone
        self._offset: int | None = None
        self._last = 0
        self.utc = True
        self._started = False

    def seconds(self, local: int, hints: Sequence[int], *, sure: bool = True) -> float | None:
        """The time in UTC of a local FILETIME; None for one that is damaged.

        ``hints`` are FILETIMEs in UTC that were taken together with the record, by one or several machines. When it
        is not ``sure`` that they are, they only choose among the offsets of the zone.
        """
        if not EARLIEST <= local <= LATEST:
            return None
        offset = self._measured(local, hints, sure) if self.utc else None
        if offset is None:
            offset = self._from_zone(local)
        if not self._started:
            self._started = True
            self.utc = offset is not None
        if offset is not None:
            self._offset = offset
        utc = local + (offset or 0) * MINUTE
        self._last = utc
        return (utc - EPOCH) / TICKS

    def _measured(self, local: int, hints: Sequence[int], sure: bool) -> int | None:
        usable = [hint - local for hint in hints if abs(hint - local) <= MAX_BIAS * MINUTE]
        if not usable:
            return None
        measured = median(usable)
        if self._zone is not None:
            nearest = min((self._zone.daylight, self._zone.standard), key=lambda o: abs(o * MINUTE - measured))
            if abs(nearest * MINUTE - measured) <= _SKEW:
                return nearest
        if not sure:
            return None
        # A log that was rewritten on a machine of another zone, or one whose header is lost
        quarter = round(measured / (_QUARTER * MINUTE)) * _QUARTER
        return quarter if abs(quarter * MINUTE - measured) <= _QUARTER_SKEW else None

    def _from_zone(self, local: int) -> int | None:
        if self._zone is None:
            return self._offset if self.utc else None
        offsets = self._zone.offsets(local)
        for offset in offsets:
            if local + offset * MINUTE > self._last:
                return offset
        return offsets[0]


def _year(local: int) -> int | None:
    try:
        year = (datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=local // 10)).year
    except OverflowError:
        return None
    return year if _FIRST_YEAR <= year <= _LAST_YEAR else None


def _filetime(day: datetime) -> int:
    return (day - datetime(1601, 1, 1, tzinfo=UTC)).days * 24 * 60 * MINUTE
