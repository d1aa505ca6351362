"""From rows back to samples: the rows of one part in the order of samples, and the state they lead to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from poolsleuth.model.errors import InputError
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.recording.changes import LARGEST
from poolsleuth.sampling.recording.layout import (
    COUNTS,
    MAX_FIGURES,
    MAX_PROCESSES,
    MAX_RUNS,
    MEMORY,
    PROCESS,
    SAMPLE,
    TAG,
)
from poolsleuth.sampling.recording.part import Part
from poolsleuth.sampling.recording.summary import Samples
from poolsleuth.sampling.recording.table import run_starts
from poolsleuth.sampling.sample import Ids, ProcessRow, Sample, TagFigures, TagIndex

_POOLS = {kind.value: kind for kind in PoolKind}


class Numbers:
    """The numbers of tags in an index, by what stands in a row."""

    def __init__(self, index: TagIndex) -> None:
        self._index = index
        self._known: dict[tuple[object, ...], int] = {}
        self._before: tuple[pl.DataFrame, Ids] | None = None  # the last runs, which the next part mostly has too

    def of(self, table: pl.DataFrame, where: str) -> Ids:
        """The number of each row's tag, -1 for what is none. Rows of one tag stand together. Raises InputError."""
        names = table.select("name", "pool", "session")
        if not len(names):
            return np.empty(0, np.int64)
        starts = run_starts(names)
        if len(starts) > MAX_RUNS:
            raise InputError(f"{where}: its rows are not in the order of a recording; give the file as it was recorded")
        keys = names[starts]
        if self._before is None or not keys.equals(self._before[0]):
            self._before = keys, np.array([self._number(row) for row in keys.iter_rows()], np.int64)
        return np.repeat(self._before[1], np.diff(starts, append=len(names)))

    def _number(self, row: tuple[str | None, str | None, int | None]) -> int:
        number = self._known.get(row)
        if number is None:
            tag, pool, session = row
            kind = _POOLS.get(pool or "")
            number = -1 if tag is None or kind is None else self._index.number(TagKey(tag, kind, session))
            if len(self._known) < 2 * MAX_RUNS:
                self._known[row] = number
        return number


KEY_COLUMNS = ("sample", "kind", "name", "pool", "session", "process", "bytes", "count", "allocs")
_TAG_COLUMNS = ("sample", "name", "pool", "session", "bytes", "count", "allocs")
_OTHER_COLUMNS = ("sample", "kind", "name", "pool", "session", "process", "bytes", "count")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Rows of a part: those of tags, and those of memory and processes in the order of samples."""

    tags: pl.DataFrame
    others: pl.DataFrame

    @classmethod
    def of(cls, part: Part, which: pl.Expr | None) -> "Loaded":
        """Some rows of a part, or all of them. Raises InputError."""
        if which is None:
            part.verify()
        return cls(
            part.select(_and(pl.col("kind") == TAG, which), *_TAG_COLUMNS),
            part.select(_and(pl.col("kind").is_in([MEMORY, PROCESS]), which), *_OTHER_COLUMNS, order="sample"),
        )

    @classmethod
    def of_keys(cls, table: pl.DataFrame) -> "Loaded":
        """The rows of ``key_rows`` with the columns ``KEY_COLUMNS``."""
        kinds = table["kind"].to_numpy()
        tags, others = np.flatnonzero(kinds == TAG), np.flatnonzero((kinds == MEMORY) | (kinds == PROCESS))
        order = np.argsort(table["sample"].to_numpy()[others], kind="stable")
        return cls(table[tags].select(_TAG_COLUMNS), table[others[order]].select(_OTHER_COLUMNS))


def key_rows(numbers: Sequence[int]) -> pl.Expr:
    """The rows of some key samples."""
    return (pl.col("level") == 0) & pl.col("sample").is_in(numbers) & (pl.col("kind") != SAMPLE)


class Cursor:
    """Goes through the samples of a part, or through some key samples of it."""

    def __init__(self, part: Part, numbers: Numbers, rows: Loaded) -> None:
        self._samples: Samples = part.samples
        tags, others = rows.tags, rows.others
        ids = numbers.of(tags, part.where)
        sample = tags["sample"].to_numpy()
        order = np.argsort(sample, kind="stable")
        gone = (tags["bytes"].is_null() & tags["count"].is_null() & tags["allocs"].is_null()).to_numpy()
        order = order[ids[order] >= 0]
        self._sample = sample[order]
        self._ids = ids[order]
        self._gone = gone[order]
        self._figures = [tags[name].to_numpy()[order] for name in ("bytes", "count", "allocs")]
        self._other_sample = others["sample"].to_numpy()
        self._others = others.select(_OTHER_COLUMNS[1:])
        self._width = int(self._ids.max(initial=-1)) + 1
        self._shown = np.zeros(self._width, bool)
        self._state = [np.full(self._width, np.nan) for _ in range(3)]
        self._memory: dict[str, float] = {}
        self._processes: dict[tuple[int, str, int | None], list[int | None]] = {}
        self.at = -1  # the place in the part whose sample the state is; -1 before the first

    def go(self, place: int) -> None:
        """To any place in the part: onward from here, or from the key sample before it when that is nearer."""
        if place == self.at:
            return
        keys = np.flatnonzero(self._samples.keys[: place + 1])
        key = int(keys[-1]) if len(keys) else 0
        if not key <= self.at < place:
            self._clear()
            self.at = key - 1
        for step in range(self.at + 1, place + 1):
            self._apply(step)
        self.at = place

    def jump(self, place: int) -> None:
        """To a key sample, or to one that is followed by no other that is loaded."""
        self._apply(place)
        self.at = place

    def _clear(self) -> None:
        self._shown[:] = False
        self._memory.clear()
        self._processes.clear()

    def _apply(self, place: int) -> None:
        number = self._samples.numbers[place]
        if self._samples.keys[place]:
            self._clear()
        begin, end = np.searchsorted(self._sample, number), np.searchsorted(self._sample, number, side="right")
        ids = self._ids[begin:end]
        for state, values in zip(self._state, self._figures, strict=True):
            state[ids] = values[begin:end]
        self._shown[ids] = ~self._gone[begin:end]
        begin = np.searchsorted(self._other_sample, number)
        end = np.searchsorted(self._other_sample, number, side="right")
        if end > begin:
            for row in self._others[int(begin) : int(end)].iter_rows():
                self._other(*row)

    def _other(
        self,
        kind: str,
        name: str | None,
        pool: str | None,
        session: int | None,
        process: int | None,
        size: float | None,
        count: float | None,
    ) -> None:
        if kind == MEMORY:
            value = count if name in COUNTS else size
            if name is not None and value is not None and len(self._memory) < MAX_FIGURES:
                self._memory[name] = value
            elif value is None:
                self._memory.pop(name or "", None)
            return
        if name is None or process is None:
            return
        key = process, name, session
        if pool is None and count is None:
            self._processes.pop(key, None)
        elif key in self._processes or len(self._processes) < MAX_PROCESSES:
            row = self._processes.setdefault(key, [None, None, None])
            if pool is None:
                row[0] = _whole(count)
            else:
                row[1 if pool == PoolKind.NONPAGED.value else 2] = _whole(size)

    def sample(self) -> Sample:
        """The sample of this place."""
        ids = np.flatnonzero(self._shown)
        samples, place = self._samples, self.at
        booted = float(samples.booted[place])
        return Sample(
            float(samples.times[place]),
            TagFigures(ids, *(state[ids] for state in self._state)),
            dict(self._memory),
            _rows(self._processes),
            bool(samples.complete[place]),
            booted if np.isfinite(booted) else None,
            samples.labels[place],
            bool(samples.sessions[place]),
        )


def _rows(processes: dict[tuple[int, str, int | None], list[int | None]]) -> Sequence[ProcessRow]:
    return tuple(
        ProcessRow(pid, name, handles, nonpaged, paged, session)
        for (pid, name, session), (handles, nonpaged, paged) in sorted(
            processes.items(), key=lambda item: (item[0][0], item[0][1], -2 if item[0][2] is None else item[0][2])
        )
    )


def _whole(value: float | None) -> int | None:
    return int(value) if value is not None and 0 <= value <= LARGEST else None


def _and(one: pl.Expr, other: pl.Expr | None) -> pl.Expr:
    return one if other is None else one & other


def gathered(numbers: NDArray[np.uint32], places: Ids) -> pl.Expr:
    """Rows of the samples from the first to the last of these places."""
    return pl.col("sample").is_between(int(numbers[places[0]]), int(numbers[places[-1]]))
