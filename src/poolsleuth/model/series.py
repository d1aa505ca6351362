"""Facts over time: performance counters of a log, and the tables of tags that one input holds, as columns.

Times are seconds since 1970-01-01 UTC as floating point (a millisecond is kept). A value that is missing is NaN in
these columns, never 0: they are arrays of C doubles so that numpy sees them without a copy.
"""

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from poolsleuth.model.facts import Fact
from poolsleuth.model.tags import PoolKind

FILE_TIME = "the file's own time"  # ``dated_by`` of a table that prints no time
_LAST_TIME = 32_503_680_000.0  # the year 3000: later is damage, not a date


@dataclass(frozen=True, slots=True)
class CounterPath:
    r"""The name of one counter. ``host`` has no backslashes, None when the log does not name it.

    ``instance`` is None for an object without instances; it holds the parent (``parent/name``) and, for a name that
    occurs more than once in its object, the number that Windows gives it (``svchost#2``). ``english`` are object and
    counter in lower case in English, where the log tells them by number; names in other languages stay as they are.
    """

    host: str | None
    object: str
    instance: str | None
    counter: str
    english: tuple[str, str] | None = field(default=None, compare=False, repr=False)

    @property
    def text(self) -> str:
        r"""``\\HOST\Object(instance)\Counter``; without a known host, ``\Object(instance)\Counter``."""
        host = f"\\\\{self.host}" if self.host else ""
        instance = f"({self.instance})" if self.instance is not None else ""
        return f"{host}\\{self.object}{instance}\\{self.counter}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterSeries(Fact):
    """One counter of one log: its samples in the order of time.

    ``times`` and ``values`` are of equal length. ``samples`` is how many the log holds: more than are kept when the
    series was thinned out evenly. ``utc`` is False when the log's times are local and nothing says the zone.
    """

    path: CounterPath
    times: "array[float]"
    values: "array[float]"
    samples: int
    utc: bool = True


@dataclass(frozen=True, slots=True)
class TagColumn:
    """One tag in one pool over time; arrays of doubles, NaN where a table does not show the tag or the column."""

    bytes: "array[float]"
    outstanding: "array[float]"
    allocs: "array[float]"


@dataclass(frozen=True, slots=True)
class TagKey:
    """A tag in a pool; ``session`` as in ``TagTable`` (None for the system pools, -1 for all sessions)."""

    tag: str
    pool: PoolKind
    session: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagHistory(Fact):
    """The tag tables of one input over time: one time per table, and one column per tag and pool.

    ``utc`` is False when the times are local and nothing says the zone; ``dated_by`` says in words where the times
    come from. ``snapshots`` counts the tables of the input, of which ``times`` may be an even selection. In a table
    that is ``complete``, a tag that is not shown does not exist.
    """

    times: "array[float]"
    columns: Mapping[TagKey, TagColumn]
    snapshots: int
    utc: bool = True
    dated_by: str = ""
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryHistory(Fact):
    """Figures of memory over time that are no performance counters, such as the header lines of poolmon.

    ``figures`` maps names of ``PoolmonMemory``'s fields to columns in bytes, NaN where not shown.
    """

    times: "array[float]"
    figures: Mapping[str, "array[float]"]
    snapshots: int
    utc: bool = True
    dated_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSpan(Fact):
    """What a counter log says of itself. Times as in ``CounterSeries``; None is what it does not say."""

    hosts: tuple[str, ...]
    samples: int
    series: int
    first: float | None
    last: float | None


def moment(seconds: float | None) -> datetime | None:
    """A time of a series as a date in UTC; None for one that is missing or cannot be a date."""
    if seconds is None or not math.isfinite(seconds) or not 0 <= seconds < _LAST_TIME:
        return None
    return datetime.fromtimestamp(seconds, UTC)
