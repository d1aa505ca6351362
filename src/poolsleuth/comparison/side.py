"""One machine of one side, as the comparison asks for it: figures of the capture, or the last samples of its series."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from poolsleuth.comparison.numbers import at_least
from poolsleuth.comparison.thresholds import WHOLE_SHARE
from poolsleuth.model.report import PoolUse, ReportMachine, ReportSeries, ReportTag, SessionPoolUse

TagKey = tuple[str, str, int | None]
"""Tag, pool and session."""

_BYTES = "bytes"
_HOST = re.compile(r"^\\\\[^\\]*")


@dataclass(frozen=True)
class Side:
    """What one machine shows."""

    machine: ReportMachine

    @cached_property
    def tags(self) -> Mapping[TagKey, ReportTag]:
        """Every row of a tag; where there is no table at all, the ends of the series of tags."""
        if self.machine.tags:
            return {(tag.tag, tag.pool, tag.session): tag for tag in self.machine.tags}
        rows: dict[TagKey, ReportTag] = {}
        for series in self.machine.series:
            last = _last(series)
            if series.kind != "tag" or series.tag is None or series.pool is None or last is None:
                continue
            if series.unit == _BYTES:
                rows[series.tag, series.pool, series.session] = ReportTag(
                    tag=series.tag,
                    pool=series.pool,
                    session=series.session,
                    allocs=None,
                    frees=None,
                    outstanding=None,
                    bytes=round(last),
                )
        return rows

    def pool(self, kind: str) -> PoolUse:
        """The nonpaged or paged pool of the capture."""
        return self.machine.pools.paged if kind == "paged" else self.machine.pools.nonpaged

    def used(self, kind: str) -> int | None:
        """Bytes in use of a system pool, None when neither a capture nor a series says."""
        used = self.pool(kind).used_bytes
        if used is not None:
            return used
        for series in self.machine.series:
            if series.kind == "pool" and series.pool == kind and series.unit == _BYTES and series.session is None:
                last = _last(series)
                return None if last is None else round(last)
        return None

    @cached_property
    def sessions(self) -> Mapping[int, SessionPoolUse]:
        """The sessions by their number."""
        return {session.id: session for session in self.machine.pools.sessions}

    def complete(self, pool: str) -> bool:
        """True when a tag of this pool that is not shown does not exist. Tables of sessions never prove that."""
        return pool in {"nonpaged", "paged"} and self.pool(pool).tags_complete is True and bool(self.machine.tags)

    def not_shown(self, pool: str) -> int | None:
        """Bytes of a system pool that no shown tag holds, where that is next to nothing (``WHOLE_SHARE``), else None.

        It says how much may be missing from a table that is not known to be complete.
        """
        used = self.used(pool) if pool in {"nonpaged", "paged"} else None
        if not used:
            return None
        shown = sum(tag.bytes or 0 for tag in self.tags.values() if tag.pool == pool and tag.session is None)
        return max(0, used - shown) if at_least(shown, used, WHOLE_SHARE) and shown <= 2 * used else None

    def shows_tags(self, pool: str) -> bool:
        """True when there is any row of this pool."""
        return any(key[1] == pool for key in self.tags)

    @cached_property
    def captured_at(self) -> datetime | None:
        """When the figures are from: the capture, else the end of the longest series with known times."""
        if self.machine.system.captured_at is not None:
            return self.machine.system.captured_at
        ends = [end for series in self.machine.series if series.utc and (end := _end(series)) is not None]
        return max(ends, default=None)

    def counters(self) -> Iterator[tuple[tuple[str, str, str], float]]:
        """The last sample of each figure that is no pool's and no tag's: kind, unit, name without the host."""
        for series in self.machine.series:
            last = _last(series)
            if series.kind not in {"pool", "tag"} and last is not None:
                yield (series.kind, series.unit, _HOST.sub("", series.path or series.name)), last


def _last(series: ReportSeries) -> float | None:
    return next((value for value in reversed(series.values) if value is not None), None)


def _end(series: ReportSeries) -> datetime | None:
    if not series.seconds:
        return None
    try:
        return (series.start + timedelta(seconds=series.seconds[-1])).astimezone(UTC)
    except (OverflowError, ValueError):  # a time beyond the calendar
        return None
