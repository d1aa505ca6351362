"""Local time: Windows' own tools write it, and say how far from UTC it is, or do not."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

HOST = "LAB-SERVER"
"""The computer's name in counter logs."""

FIRST = datetime(1601, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone without daylight saving time: its name in Windows, and UTC = local time + ``bias`` minutes.

    ``resource`` is the name that the registry of newer Windows holds in place of the words.
    """

    name: str
    bias: int
    resource: str

    def local(self, at: datetime) -> datetime:
        """The local time of a moment, still marked as UTC."""
        return at.astimezone(UTC) - timedelta(minutes=self.bias)

    @property
    def offset(self) -> str:
        """As ISO 8601 writes it: ``-07:00``."""
        hours, minutes = divmod(abs(self.bias), 60)
        return f"{'-' if self.bias > 0 else '+'}{hours:02}:{minutes:02}"


ZONE = Zone("US Mountain Standard Time", 420, "@tzres.dll,-192")
"""Arizona: the clocks are never changed there, so that one offset holds for any course."""


def filetime(at: datetime) -> int:
    """A FILETIME: units of 100 ns since 1601, in the time that ``at`` shows."""
    return (at - FIRST) // _MICROSECOND * 10


def stamp(at: datetime, zone: Zone) -> int:
    """The local FILETIME of a sample: whole milliseconds, as PDH keeps them."""
    return filetime(zone.local(at)) // 10_000 * 10_000
