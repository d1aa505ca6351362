"""All figures of a machine over time, joined from every input that has them: what the patterns about time look at."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolsleuth.model.facts import Where
from poolsleuth.model.series import CounterPath, TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.windows.counters import Unit

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One figure over time. ``times`` are seconds since 1970, ascending and finite; ``values`` may be NaN (missing).

    ``source`` says in words what the figures are; ``where`` is the input that gives the last of them. ``utc`` is False
    when the times are local to an unknown zone. ``samples`` counts what the input holds, also what was thinned out.
    """

    times: Numbers
    values: Numbers
    unit: Unit
    source: str
    where: Where
    utc: bool = True
    samples: int = 0
    path: CounterPath | None = None

    @property
    def last(self) -> float | None:
        """The last value that is known."""
        good = self.values[np.isfinite(self.values)]
        return float(good[-1]) if len(good) else None


@dataclass(frozen=True, slots=True, eq=False)
class TagLine:
    """One tag in one pool over time: lines of equal times. ``allocs`` counts allocations since boot."""

    key: TagKey
    bytes: Line
    outstanding: Line
    allocs: Line


@dataclass(slots=True)
class ProcessLine:
    """One process over time; a line is None when its counter was not recorded."""

    name: str
    nonpaged: Line | None = None
    paged: Line | None = None
    handles: Line | None = None
    id: Line | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lines:
    """Every line of one machine.

    ``reboots`` are times (seconds) between whose sides nothing is compared. ``boots_known`` is True when an uptime or
    counts of allocations go through all of it, so that there were no other reboots. ``counters`` are all counters of
    the logs, also those that stand elsewhere. ``undated`` is True when tag tables came in order but without times: then
    nothing can be said per hour. ``dated_by_files`` is True when a table's only time is that of its file.
    """

    pools: dict[PoolKind, Line] = field(default_factory=dict)
    tags: dict[TagKey, TagLine] = field(default_factory=dict)
    processes: tuple[ProcessLine, ...] = ()
    objects: tuple[Line, ...] = ()
    loads: tuple[Line, ...] = ()
    counters: tuple[Line, ...] = ()
    reboots: tuple[float, ...] = ()
    boots_known: bool = False
    undated: bool = False
    dated_by_files: bool = False
