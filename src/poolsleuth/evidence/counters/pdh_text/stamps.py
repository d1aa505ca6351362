"""The text of one date and time, taken apart without deciding yet which component is the month."""

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

_STAMP = re.compile(
    rb"(\d{1,4})([/.\-])(\d{1,2})\2(\d{1,4})\.?(?:[ ]{1,3}|T|,[ ]?)"
    rb"(\d{1,2})[:.](\d{2})(?:[:.](\d{2})(?:[.,](\d{1,9}))?)?"
    rb"(?:[ ]?([AaPp])\.?[ ]?[Mm]\.?)?[ ]?(?:(Z)|([+-])(\d{2}):?(\d{2}))?"
)
_PDH = re.compile(rb"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d\.\d{3}")
_WITHOUT_MILLISECONDS = re.compile(rb"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d")  # ESXTOP
_WITHOUT_DATE = re.compile(rb"\d{1,3}:\d{2}(?:[:.,]\d{1,3})*")
_SERIAL = re.compile(rb"[34]\d{4}(?:[.,]\d+)?")  # days since 1900, as a spreadsheet keeps them: 1982 to 2036
_SHORT_YEAR = re.compile(rb"\d{1,2}[/.\-]\d{1,2}[/.\-]\d{2}(?:\D.{0,40})?")

_YEARS = range(1980, 3000)
_EPOCH = date(1970, 1, 1).toordinal()
_DAY_MS = 86_400_000


class Order(StrEnum):
    """Which of two components that come before the year is the month."""

    MONTH_FIRST = "month/day"
    DAY_FIRST = "day/month"


@dataclass(frozen=True, slots=True)
class Stamp:
    """One date and time as it was written. ``first`` and ``second`` are the components beside the year.

    ``order`` is the one that the form itself says: known for a year that comes first, else None. ``plain`` is True for
    the form that PDH writes (``MM/DD/YYYY HH:MM:SS.mmm``), ``dotted`` for one with dots. ``clock`` is in milliseconds
    of the day, ``seconds`` False when there are none. ``offset`` is in minutes east of UTC, None when not written.
    """

    first: int
    second: int
    year: int
    clock: int
    order: Order | None = None
    plain: bool = False
    bare: bool = False
    dotted: bool = False
    seconds: bool = True
    offset: int | None = None

    @property
    def same(self) -> bool:
        """Whether both orders mean the same day."""
        return self.order is not None or self.first == self.second

    def moment(self, order: Order) -> int | None:
        """Milliseconds since 1970 in the zone that the stamp is in; None when there is no such day."""
        day, month = (
            (self.second, self.first) if (self.order or order) is Order.MONTH_FIRST else (self.first, self.second)
        )
        try:
            return (date(self.year, month, day).toordinal() - _EPOCH) * _DAY_MS + self.clock
        except ValueError:
            return None


def parse_stamp(cell: bytes) -> Stamp | None:
    """A date and time; None when the cell holds none that is whole."""
    found = _STAMP.fullmatch(cell.strip())
    if found is None:
        return None
    one, separator, two, three, hour, minute, second, fraction, half, zulu, sign, east_hours, east_minutes = (
        found.groups()
    )
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    if half is not None:
        if not 1 <= hours <= 12:
            return None
        hours = hours % 12 + (12 if half in b"pP" else 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    clock = ((hours * 60 + minutes) * 60 + seconds) * 1000 + int((fraction or b"0")[:3].ljust(3, b"0"))
    if len(one) == 4 and len(three) <= 2:
        year, first, last, order = int(one), int(two), int(three), Order.MONTH_FIRST
    elif len(three) == 4 and len(one) <= 2:
        year, first, last, order = int(three), int(one), int(two), None
    else:
        return None
    if year not in _YEARS or not (1 <= first <= 31 and 1 <= last <= 31):
        return None
    offset = 0 if zulu else None
    if sign is not None:
        offset = (int(east_hours) * 60 + int(east_minutes)) * (-1 if sign == b"-" else 1)
    return Stamp(
        first,
        last,
        year,
        clock,
        order,
        plain=_PDH.fullmatch(cell) is not None,
        bare=_WITHOUT_MILLISECONDS.fullmatch(cell) is not None,
        dotted=separator == b".",
        seconds=second is not None,
        offset=offset,
    )


def spoiled(cell: bytes) -> str | None:
    """What a spreadsheet made of a date, in words that go after "its times"; None when it is not that."""
    cell = cell.strip()
    if _WITHOUT_DATE.fullmatch(cell):
        return "have lost their dates"
    if _SERIAL.fullmatch(cell):
        return "are a spreadsheet's day numbers"
    if _SHORT_YEAR.fullmatch(cell):
        return "have lost the century of the year"
    return None
