"""The long table of a part: its columns, its order, and how entries of a journal become rows of it.

Rows of the journal are held as numbers (37 bytes each) and become texts while they are written; those of the part that
they are merged into pass through, a row group at a time: a recorder runs on a machine that is short of memory.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from poolsleuth.sampling.recording.changes import Entry, Name
from poolsleuth.sampling.recording.layout import COUNTS, LAST_TIME, MEMORY, PROCESS, ROW_GROUP, SAMPLE, TAG
from poolsleuth.sampling.recording.summary import Samples, nothing
from poolsleuth.sampling.sample import Floats

COLUMNS: dict[str, pl.DataType] = {
    "sample": pl.UInt32(),
    "level": pl.UInt8(),
    "kind": pl.String(),
    "name": pl.String(),
    "pool": pl.String(),
    "session": pl.Int32(),
    "process": pl.UInt32(),
    "time": pl.Datetime("ms", "UTC"),
    "bytes": pl.Float64(),
    "count": pl.Float64(),
    "allocs": pl.Float64(),
}
KEYS = ("kind", "name", "pool", "session", "process")
FIGURES = ("bytes", "count", "allocs")
Key = tuple[str | None, str | None, str | None, int | None, int | None]  # as in KEYS

_Run = tuple[int, str, str, str, int, int]  # level and what keys are sorted by

_NONPAGED, _PAGED = "nonpaged", "paged"
_NULL = np.uint64(0x7FF8_706F_6F6C_0001)  # bits of the NaN that stands for null here; NaN is a value of its own
_NOTHING = np.array([_NULL]).view(np.float64)[0]
_NO_TIME = np.iinfo(np.int64).min


def empty() -> pl.DataFrame:
    """A table without rows."""
    return pl.DataFrame(schema=COLUMNS)


def milliseconds(time: float) -> int | None:
    """A time as it is stored; None when it is not known or no date."""
    return round(time * 1000) if math.isfinite(time) and 0 <= time < LAST_TIME else None


class Table:
    """Rows of a journal, that become a sorted table: alone, or merged into the rows of a part."""

    def __init__(self) -> None:
        self._codes: dict[Key, int] = {}
        self._wide: list[int] = []
        self._rows: list[tuple[NDArray[np.generic], ...]] = []  # code, sample, level, and three figures
        self._entries: list[tuple[int, int | None, bool, bool, float | None, str, bool]] = []

    def __len__(self) -> int:
        return sum(len(chunk[0]) for chunk in self._rows)

    @property
    def samples(self) -> Samples:
        """Its samples."""
        if not self._entries:
            return nothing()
        numbers, times, keys, complete, booted, labels, sessions = zip(*self._entries, strict=True)
        return Samples(
            np.array(numbers, np.uint32),
            np.array([math.nan if time is None else time / 1000 for time in times]),
            np.array(keys, np.bool_),
            np.array(complete, np.bool_),
            np.array([math.nan if when is None else when for when in booted]),
            labels,
            np.array(sessions, np.bool_),
        )

    def add(self, entry: Entry, names: Sequence[Name]) -> None:
        """The next entry, with the names that its codes point into."""
        if entry.key:
            self._wide = []
        self._wide.extend(self._code((TAG, *name, None)) for name in names[len(self._wide) :])
        wide = np.array(self._wide, np.uint32)
        unknown = np.isnan(entry.bytes) & np.isnan(entry.count) & np.isnan(entry.allocs)
        sizes = np.where(unknown, np.nan, _nulls_for_nans(entry.bytes))  # shown without a figure is not gone
        self._append(entry, wide[entry.codes], sizes, _nulls_for_nans(entry.count), _nulls_for_nans(entry.allocs))
        gone = np.full(len(entry.gone), _NOTHING)
        self._append(entry, wide[entry.gone], gone, gone, gone)
        others = list(self._others(entry))
        sizes = np.array([_NOTHING if size is None else size for _, size, _ in others])
        counts = np.array([_NOTHING if count is None else count for _, _, count in others])
        codes = np.array([code for code, _, _ in others], np.uint32)
        self._append(entry, codes, sizes, counts, np.full(len(others), _NOTHING))
        self._entries.append(
            (
                entry.number,
                milliseconds(entry.time),
                entry.key,
                entry.complete,
                entry.booted,
                entry.label,
                entry.sessions,
            )
        )

    def _append(self, entry: Entry, codes: NDArray[np.uint32], sizes: Floats, counts: Floats, allocs: Floats) -> None:
        level = np.full(len(codes), 0 if entry.key else 1, np.uint8)
        self._rows.append((codes, np.full(len(codes), entry.number, np.uint32), level, sizes, counts, allocs))

    def _others(self, entry: Entry) -> Iterator[tuple[int, float | None, float | None]]:
        """What is no tag: code, ``bytes``, ``count``."""
        yield self._code((SAMPLE, entry.label, None, None, None)), entry.booted, float(entry.complete) + entry.sessions
        for name, value in entry.memory.items():
            code = self._code((MEMORY, name, None, None, None))
            yield (code, None, value) if name in COUNTS else (code, value, None)
        for name in entry.left:
            yield self._code((MEMORY, name, None, None, None)), None, None
        for row in entry.processes:
            handles = math.nan if row.handles is None else float(row.handles)  # there, but not known
            yield self._code((PROCESS, row.name, None, row.session, row.pid)), None, handles
            yield self._code((PROCESS, row.name, _NONPAGED, row.session, row.pid)), row.nonpaged, None
            yield self._code((PROCESS, row.name, _PAGED, row.session, row.pid)), row.paged, None
        for pid, name, session in entry.ended:
            yield self._code((PROCESS, name, None, session, pid)), None, None

    def _code(self, key: Key) -> int:
        return self._codes.setdefault(key, len(self._codes))

    def frames(self, base: Iterable[pl.DataFrame] = ()) -> Iterator[pl.DataFrame]:
        """The table in its order, a row group at a time, merged into the rows of a part (``base``), which are in order.

        Never more than a few row groups are in memory.
        """
        left = empty()
        for table in self._merged(base):
            left = pl.concat([left, table]) if len(left) else table
            while len(left) >= ROW_GROUP:
                yield left[:ROW_GROUP]
                left = left[ROW_GROUP:]
        if len(left):
            yield left

    def _merged(self, base: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        fresh, at = _Fresh(self._columns(), self._codes, dict(self._times())), 0
        for rows in base:
            if not len(rows):
                continue
            keys = rows.select("level", *KEYS)
            starts = run_starts(keys)
            runs = [(row[0] or 0, *_sort_key(row[1:])) for row in keys[pl.Series(starts)].iter_rows()]
            samples = rows["sample"].to_numpy()
            end = max(at, fresh.up_to(runs[-1], int(samples[-1])))
            if end == at:
                yield rows
                continue
            mine = fresh.runs_between(at, end)
            rank = {key: number for number, key in enumerate(sorted({*runs, *(key for key, _ in mine)}))}
            weight = np.concatenate(
                (
                    np.repeat([rank[run] for run in runs], np.diff(starts, append=len(rows))),
                    np.repeat([rank[key] for key, _ in mine], [count for _, count in mine]),
                )
            )
            order = np.lexsort((np.concatenate((samples, fresh.samples[at:end])), weight))
            yield pl.concat([rows, fresh.frame(at, end)])[order]
            at = end
        for begin in range(at, len(fresh), ROW_GROUP):
            yield fresh.frame(begin, min(begin + ROW_GROUP, len(fresh)))

    def _columns(self) -> list[NDArray[np.generic]]:
        """The rows in their order."""
        if not self._rows:
            return [np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.uint8), *([np.empty(0)] * 3)]
        self._rows = [tuple(np.concatenate(column) for column in zip(*self._rows, strict=True))]
        codes, samples, levels, *_ = self._rows[0]
        order = self._sorted(codes, samples, levels)
        return [column[order] for column in self._rows[0]]

    def _times(self) -> Iterator[tuple[int, int]]:
        for number, time, *_ in self._entries:
            yield number, _NO_TIME if time is None else time

    def frame(self) -> pl.DataFrame:
        """The table in its order, as one."""
        return pl.concat([empty(), *self.frames()])

    def _sorted(
        self, codes: NDArray[np.generic], samples: NDArray[np.generic], levels: NDArray[np.generic]
    ) -> NDArray[np.int64]:
        """By level, key and sample, as one number each. What is sorted already costs next to nothing."""
        keys = sorted(self._codes, key=_sort_key)
        rank = np.empty(len(keys), np.uint64)
        rank[[self._codes[key] for key in keys]] = np.arange(len(keys), dtype=np.uint64)
        weight = rank[codes]
        weight <<= np.uint64(32)
        weight |= samples.astype(np.uint32)
        weight |= levels.astype(np.uint64) << np.uint64(63)
        return np.argsort(weight, kind="stable")


class _Fresh:
    """Sorted rows of a journal, of which pieces become frames."""

    def __init__(
        self, columns: Sequence[NDArray[np.generic]], codes: Mapping[Key, int], times: Mapping[int, int]
    ) -> None:
        self._codes, self.samples, self._levels, *self._figures = columns
        self._numbers = np.array(sorted(times), np.uint32)
        self._milliseconds = np.array([times[number] for number in self._numbers.tolist()], np.int64)
        self._texts = {
            name: pl.Series(name, [key[place] for key in codes], dtype=COLUMNS[name]) for place, name in enumerate(KEYS)
        }
        changes = np.flatnonzero((np.diff(self._codes) != 0) | (np.diff(self._levels) != 0)) + 1
        self._starts = np.concatenate((np.zeros(min(1, len(self)), np.int64), changes))
        by_code = list(codes)
        self._runs = [
            (level, *_sort_key(by_code[code]))
            for code, level in zip(self._codes[self._starts].tolist(), self._levels[self._starts].tolist(), strict=True)
        ]

    def __len__(self) -> int:
        return len(self._codes)

    def up_to(self, run: _Run, sample: int) -> int:
        """Where the rows end that come before, or at, a row of that run."""
        place = bisect_left(self._runs, run)
        if place == len(self._runs):
            return len(self)
        begin = int(self._starts[place])
        if self._runs[place] != run:
            return begin
        end = int(self._starts[place + 1]) if place + 1 < len(self._starts) else len(self)
        return begin + int(np.searchsorted(self.samples[begin:end], np.uint32(sample), side="right"))

    def runs_between(self, begin: int, end: int) -> list[tuple[_Run, int]]:
        """The runs of some rows, and how many of the rows each has."""
        first = int(np.searchsorted(self._starts, begin, side="right")) - 1
        last = int(np.searchsorted(self._starts, end))
        edges = np.clip(np.append(self._starts, len(self))[first : last + 1], begin, end)
        return list(zip(self._runs[first:last], np.diff(edges).tolist(), strict=True))

    def frame(self, begin: int, end: int) -> pl.DataFrame:
        """Some rows as a table."""
        here = slice(begin, end)
        samples, code = self.samples[here], pl.Series(self._codes[here])
        place = np.minimum(np.searchsorted(self._numbers, samples), len(self._numbers) - 1)
        figures = dict(zip(FIGURES, (column[here] for column in self._figures), strict=True))
        return pl.DataFrame(
            {
                "sample": samples,
                "level": self._levels[here],
                **{name: values.gather(code) for name, values in self._texts.items()},
                "time": self._milliseconds[place],
                **figures,
                **{f"_{name}": column.view(np.uint64) for name, column in figures.items()},
            }
        ).select(
            *("sample", "level", *KEYS),
            pl.when(pl.col("time") != _NO_TIME).then(pl.col("time")).cast(pl.Datetime("ms", "UTC")),
            *(pl.when(pl.col(f"_{name}") != int(_NULL)).then(pl.col(name)).alias(name) for name in FIGURES),
        )


def run_starts(keys: pl.DataFrame) -> NDArray[np.int64]:
    """Where rows begin whose columns are not those of the row before. There is at least one row."""
    changes = keys.select(pl.any_horizontal(pl.all().ne_missing(pl.all().shift())).alias("change"))["change"]
    places = np.flatnonzero(changes.to_numpy())
    return places if len(places) and places[0] == 0 else np.concatenate(([0], places))


def _sort_key(key: Key) -> tuple[str, str, str, int, int]:
    kind, name, pool, session, process = key
    return kind or "", name or "", pool or "", -2 if session is None else session, -1 if process is None else process


def _nulls_for_nans(values: Floats) -> Floats:
    return np.where(np.isnan(values), _NOTHING, values)
