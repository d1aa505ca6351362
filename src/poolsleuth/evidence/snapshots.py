"""What is kept of every snapshot of an input beside its rows: its number, its dates and its figures of memory."""

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from poolsleuth.evidence.dates import Dated, DateText, understand

MAX_SNAPSHOTS = 40_000  # kept of one input, about 1 KB each: four weeks, one a minute


@dataclass(slots=True)
class Snapshot:
    """One snapshot: its number from 0, the dates printed before and behind it, and figures of memory in bytes."""

    number: int
    line: int
    before: tuple[DateText, ...] = ()
    after: tuple[DateText, ...] = ()
    figures: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """When the snapshots were taken: ``times`` by number (NaN where unknown), local unless ``utc``."""

    times: Mapping[int, float]
    utc: bool
    dated_by: str
    problem: str | None = None

    def ordered(self, numbers: Sequence[int]) -> list[int]:
        """Numbers of snapshots in the order of time; as they are when some time is unknown."""
        if any(math.isnan(self.times[number]) for number in numbers):
            return list(numbers)
        return sorted(numbers, key=lambda number: self.times[number])


class SnapshotList:
    """All snapshots of one machine in one input, evenly thinned when there are more than ``MAX_SNAPSHOTS``.

    ``count`` is how many there were. Only numbers that ``stride`` divides are kept, and the last one.
    """

    def __init__(self, limit: int = MAX_SNAPSHOTS) -> None:
        self._limit = limit
        self._kept: list[Snapshot] = []
        self._last: Snapshot | None = None
        self.stride = 1
        self.count = 0

    def add(self, snapshot: Snapshot) -> None:
        """The next one; its number is ``count``."""
        if self._last is not None and self._last.number % self.stride == 0:
            self._kept.append(self._last)
            if len(self._kept) > self._limit:
                self.stride *= 2
                self._kept = self._kept[::2]
        self._last = snapshot
        self.count += 1

    @property
    def last(self) -> Snapshot | None:
        """The one that was added last."""
        return self._last

    @property
    def all(self) -> list[Snapshot]:
        """What is kept, in the order of the input."""
        return [*self._kept, *([self._last] if self._last is not None else [])]

    def timeline(self, written: float | None) -> Timeline:
        """When they were taken. ``written`` is the time of the file itself, seconds since 1970 UTC."""
        kept = self.all
        # A date stands before its snapshot, unless the file begins with a snapshot and ends with a date
        behind = bool(kept) and not kept[0].before and bool(kept[-1].after)
        texts = [_chosen(s.after, first=True) if behind else _chosen(s.before, first=False) for s in kept]
        texts = _without_bare_days(texts)
        dated = understand(texts, written)
        if not any(texts):
            dated = Dated([math.nan] * len(kept), False)
        times = {snapshot.number: time for snapshot, time in zip(kept, dated.times, strict=True)}
        known = any(not math.isnan(time) for time in dated.times)
        by = "dates in the file" + (f" ({dated.how})" if dated.how else "") if known else ""
        return Timeline(times, dated.utc and known, by, dated.problem)

    def figures(self, names: Sequence[str], numbers: Sequence[int]) -> "dict[str, array[float]]":
        """Columns of the figures of these snapshots; names that no snapshot shows are left out."""
        by_number = {snapshot.number: snapshot.figures or {} for snapshot in self.all}
        columns = {name: array("d", [by_number[number].get(name, math.nan) for number in numbers]) for name in names}
        return {name: column for name, column in columns.items() if not all(map(math.isnan, column))}


def _chosen(texts: Sequence[DateText], *, first: bool) -> DateText | None:
    """The date of a snapshot out of those that stand beside it: the nearest, one with a time before one without."""
    near = list(texts) if first else list(reversed(texts))
    return next((text for text in near if text.seconds is not None), near[0] if near else None)


def _without_bare_days(texts: Sequence[DateText | None]) -> list[DateText | None]:
    """Days without a time are a snapshot's time only where each day has but one."""
    days = [(t.year, t.first, t.second) for t in texts if t is not None and t.seconds is None]
    if len(set(days)) == len(days):
        return list(texts)
    return [text if text is not None and text.seconds is not None else None for text in texts]
