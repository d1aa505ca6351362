"""The long table of a part: its columns, its order, and how entries of a journal become rows of it.

Rows are held as numbers (37 bytes each) and become texts a row group at a time, while they are written: a recorder runs
on a machine that is short of memory.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from poolsleuth.sampling.recording.changes import Entry, Name
from poolsleuth.sampling.recording.layout import COUNTS, MEMORY, PROCESS, ROW_GROUP, SAMPLE, TAG
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

_NONPAGED, _PAGED = "nonpaged", "paged"
_LAST_TIME = 32_503_680_000.0  # the year 3000
_NULL = np.uint64(0x7FF8_706F_6F6C_0001)  # bits of the NaN that stands for null here; NaN is a value of its own
_NOTHING = np.array([_NULL]).view(np.float64)[0]
_NO_TIME = np.iinfo(np.int64).min


def empty() -> pl.DataFrame:
    """A table without rows."""
    return pl.DataFrame(schema=COLUMNS)


def milliseconds(time: float) -> int | None:
    """A time as it is stored; None when it is not known or no date."""
    return round(time * 1000) if math.isfinite(time) and 0 <= time < _LAST_TIME else None


class Table:
    """Rows of a part and of a journal, that become one sorted table."""

    def __init__(self) -> None:
        self._codes: dict[Key, int] = {}
        self._wide: list[int] = []
        self._rows: list[tuple[NDArray[np.generic], ...]] = []  # code, sample, level, and three figures
        self._times: dict[int, int] = {}
        self._order: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return sum(len(chunk[0]) for chunk in self._rows)

    @property
    def last(self) -> int:
        """The number of the last sample, -1 when there is none."""
        return max(self._times, default=-1)

    @property
    def first(self) -> int:
        """The number of the first sample, -1 when there is none."""
        return min(self._times, default=-1)

    @property
    def span(self) -> tuple[float, float] | None:
        """The first and the last time in seconds since 1970; None when no time is known."""
        known = [time for time in self._times.values() if time != _NO_TIME]
        return (min(known) / 1000, max(known) / 1000) if known else None

    def add_rows(self, rows: pl.DataFrame) -> None:
        """Rows that stood in a part, with all its columns; those of one key stand together."""
        if not len(rows):
            return
        keys = rows.select(KEYS)
        starts = run_starts(keys)
        codes = [self._code(row) for row in keys[pl.Series(starts)].iter_rows()]
        self._rows.append(
            (
                np.repeat(np.array(codes, np.uint32), np.diff(starts, append=len(rows))),
                rows["sample"].to_numpy(),
                rows["level"].to_numpy(),
                *(_with_nulls(rows[name]) for name in FIGURES),
            )
        )
        times = rows.filter(pl.col("kind") == SAMPLE).select(
            "sample", pl.col("time").cast(pl.Int64).fill_null(_NO_TIME)
        )
        self._times.update(times.iter_rows())

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
        time = milliseconds(entry.time)
        self._times[entry.number] = _NO_TIME if time is None else time

    def _append(self, entry: Entry, codes: NDArray[np.uint32], sizes: Floats, counts: Floats, allocs: Floats) -> None:
        level = np.full(len(codes), 0 if entry.key else 1, np.uint8)
        self._rows.append((codes, np.full(len(codes), entry.number, np.uint32), level, sizes, counts, allocs))

    def _others(self, entry: Entry) -> Iterator[tuple[int, float | None, float | None]]:
        """What is no tag: code, ``bytes``, ``count``."""
        yield self._code((SAMPLE, entry.label, None, None, None)), entry.booted, 1.0 if entry.complete else 0.0
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

    def frames(self) -> Iterator[pl.DataFrame]:
        """The table in its order, a row group at a time."""
        if not self._rows:
            return
        pieces = [list(column) for column in zip(*self._rows, strict=True)]
        self._rows = []
        whole = []
        for column in pieces:  # one after the other: never all of it twice
            whole.append(np.concatenate(column))
            column.clear()
        self._rows = [tuple(whole)]
        codes, samples, levels, *figures = self._rows[0]
        order = self._sorted(codes, samples, levels)
        texts = {name: pl.Series(name, values, dtype=COLUMNS[name]) for name, values in self._texts().items()}
        numbers = np.array(sorted(self._times), np.uint32)
        times = np.array([self._times[number] for number in numbers.tolist()], np.int64)
        for begin in range(0, len(order), ROW_GROUP):
            here = order[begin : begin + ROW_GROUP]
            code = pl.Series(codes[here])
            place = np.minimum(np.searchsorted(numbers, samples[here]), len(numbers) - 1)
            yield pl.DataFrame(
                {
                    "sample": samples[here],
                    "level": levels[here],
                    **{name: values.gather(code) for name, values in texts.items()},
                    "time": times[place],
                    **{name: column[here] for name, column in zip(FIGURES, figures, strict=True)},
                    **{f"_{name}": column[here].view(np.uint64) for name, column in zip(FIGURES, figures, strict=True)},
                }
            ).select(
                *("sample", "level", *KEYS),
                pl.when(pl.col("time") != _NO_TIME).then(pl.col("time")).cast(pl.Datetime("ms", "UTC")),
                *(pl.when(pl.col(f"_{name}") != int(_NULL)).then(pl.col(name)).alias(name) for name in FIGURES),
            )

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

    def _texts(self) -> dict[str, list[object]]:
        return dict(zip(KEYS, map(list, zip(*self._codes, strict=True)), strict=True))


def run_starts(keys: pl.DataFrame) -> NDArray[np.int64]:
    """Where rows begin whose columns are not those of the row before. There is at least one row."""
    changes = keys.select(pl.any_horizontal(pl.all().ne_missing(pl.all().shift())).alias("change"))["change"]
    places = np.flatnonzero(changes.to_numpy())
    return places if len(places) and places[0] == 0 else np.concatenate(([0], places))


def _sort_key(key: Key) -> tuple[str, str, str, int, int]:
    kind, name, pool, session, process = key
    return kind or "", name or "", pool or "", -2 if session is None else session, -1 if process is None else process


def _with_nulls(column: pl.Series) -> Floats:
    values = column.fill_null(0.0).to_numpy(writable=True)
    values[column.is_null().to_numpy()] = _NOTHING
    return values


def _nulls_for_nans(values: Floats) -> Floats:
    return np.where(np.isnan(values), _NOTHING, values)
