"""Gives the samples of a recording back: all, some, one, or a few tags over the whole time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from poolsleuth.model.errors import InputError
from poolsleuth.model.series import TagKey
from poolsleuth.sampling.recording import part as parts_of
from poolsleuth.sampling.recording.courses import (
    MEMORY_COLUMNS,
    TAG_COLUMNS,
    UPTIME,
    memory_of,
    memory_rows,
    tag_rows,
    tags_of,
)
from poolsleuth.sampling.recording.find import Found, find, of_bytes
from poolsleuth.sampling.recording.layout import MAX_SAMPLES, clean, is_older, is_recording
from poolsleuth.sampling.recording.part import MOST_AT_ONCE, Part, selections
from poolsleuth.sampling.recording.state import KEY_COLUMNS, Cursor, Loaded, Numbers, gathered, key_rows
from poolsleuth.sampling.sample import Floats, Host, Ids, Sample, TagIndex

__all__ = ["Course", "Recording", "TagCourses", "is_recording", "open_part"]

_Number = TypeVar("_Number", bound=np.generic)

_KEYS_AT_ONCE = 48  # key samples of several parts that are in memory together: 20,000 tags take 80 MB
_COURSES_AT_ONCE = 500  # days of courses that are in memory together: some 1,500 rows each

MAX_KEYS = 10_000  # tags whose whole course is had at once


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """One tag over time: bytes, outstanding allocations and allocations since boot, NaN where not shown or known."""

    bytes: Floats
    outstanding: Floats
    allocs: Floats


@dataclass(frozen=True, slots=True, eq=False)
class TagCourses:
    """Some tags at every sample of a time: ``places`` of the samples, their ``times``, and a course for each tag."""

    places: Ids
    times: Floats
    courses: Mapping[TagKey, Course]


class Recording:
    """A recording as a series. Places count its samples from 0, over all its parts.

    Rows are read when they are asked for: what is held is the list of samples, the part that was last jumped into, and
    the bytes of the parts that were given by name. ``times`` ascend unless the clock was set back, of which a note
    speaks.
    """

    def __init__(self, found: Found) -> None:
        parts = sorted(
            (part for part in found.parts if len(part.samples)),
            key=lambda part: (int(part.samples.numbers[0]), -int(part.samples.numbers[-1])),
        )
        newest = max(found.parts, key=lambda part: part.description.next)
        self.id = newest.description.id
        self.host: Host = newest.description.host
        self.every = newest.description.every
        self.index = TagIndex()
        self._numbers = Numbers(self.index)
        self._cursor: tuple[int, Cursor] | None = None
        self._parts: list[Part] = []
        self._within: list[Ids] = []
        last, notes = -1, list(found.notes)
        for part in parts:
            within = np.flatnonzero(part.samples.numbers > last)
            if not len(within) or part.description.id != self.id:
                continue  # contained in another part: the recorder was ended between two of its steps
            missing = int(part.samples.numbers[within[0]]) - last - 1
            alone = not self._parts and is_older(Path(part.where))  # the day that it holds
            if missing and not alone:
                notes.append(f"{part.where}: {missing:,} samples before it are missing")
            self._parts.append(part)
            self._within.append(within)
            last = int(part.samples.numbers[-1])
        if sum(map(len, self._within)) > MAX_SAMPLES:
            raise InputError(f"{newest.where}: the recording has more than {MAX_SAMPLES:,} samples; give some of it")
        pairs = list(zip(self._parts, self._within, strict=True))
        self.times: Floats = _joined([p.samples.times[w] for p, w in pairs], np.empty(0))
        self.keys: NDArray[np.bool_] = _joined([p.samples.keys[w] for p, w in pairs], np.empty(0, bool))
        self._starts = np.cumsum([0, *map(len, self._within)])
        back = int((np.diff(self.times[np.isfinite(self.times)]) < 0).sum())
        if back:
            notes.append(f"the computer's clock was set back {back:,} times while it was recorded")
        if not len(self.times):
            notes.append(f"{newest.where}: the recording has no sample yet")
        self.notes: tuple[str, ...] = tuple(notes)
        self._found = found

    def sound(self) -> "Recording":
        """The recording without the parts that are damaged, each of which a note names: for who met one.

        All files are read whole. The recording itself when there is none. Raises InputError when no part is left.
        """
        good, notes = list[Part](), list(self._found.notes)
        for part in self._found.parts:
            try:
                part.check()
            except InputError as error:
                notes.append(f"{error}: its {len(part.samples):,} samples are left out")
            else:
                good.append(part)
        if len(good) == len(self._found.parts):
            return self
        if not any(len(part.samples) for part in good):
            raise InputError("; ".join(notes))
        return Recording(Found(good, notes))

    @classmethod
    def open(cls, paths: Sequence[Path]) -> Self:
        """The recording that some files belong to: its parts by any name, or its journal.

        Its journal and its older parts are found beside the file that was recorded into; an older part stands for
        itself. Raises InputError when no file is one of a recording, or when they are of different ones.
        """
        return cls(find(paths))

    def __len__(self) -> int:
        return len(self.times)

    def close(self) -> None:
        """Let go of what is held in memory."""
        self._cursor = None

    def at(self, place: int) -> Sample:
        """The sample of a place from 0. One place after the other is quick; a jump reads one part."""
        number, inner = self._place(place)
        if self._cursor is None or self._cursor[0] != number:
            self._cursor = None  # before the next part is read
            part = self._parts[number]
            self._cursor = number, Cursor(part, self._numbers, Loaded.of(part, None))
        cursor = self._cursor[1]
        cursor.go(inner)
        return cursor.sample()

    def samples(self, places: Sequence[int] | Ids | None = None) -> Iterator[Sample]:
        """The samples of ascending places, all by default; one part at a time is in memory."""
        wanted = np.arange(len(self)) if places is None else np.asarray(places, np.int64)
        if len(wanted) and (wanted[0] < 0 or wanted[-1] >= len(self) or (np.diff(wanted) < 0).any()):
            raise ValueError("places must ascend and be within the recording")
        several: list[tuple[Part, Ids]] = []  # parts of which only key samples are wanted
        for number, part in enumerate(self._parts):
            here = wanted[(wanted >= self._starts[number]) & (wanted < self._starts[number + 1])]
            if not len(here):
                continue
            inner = self._within[number][here - self._starts[number]]
            keys = part.samples.keys
            only_keys = bool(keys[inner].all()) and len(inner) <= keys.sum()
            if several and (not only_keys or sum(len(places) for _, places in several) + len(inner) > _KEYS_AT_ONCE):
                yield from self._key_samples(several)
                several = []
            if only_keys:
                several.append((part, inner))
                continue
            before = np.flatnonzero(keys[: inner[0] + 1])
            which = gathered(part.samples.numbers, np.array([before[-1] if len(before) else 0, inner[-1]]))
            cursor = Cursor(part, self._numbers, Loaded.of(part, which))
            for place in inner.tolist():
                cursor.go(place)
                yield cursor.sample()
            del cursor  # before the next part is read
        yield from self._key_samples(several)

    def _key_samples(self, several: Sequence[tuple[Part, Ids]]) -> Iterator[Sample]:
        """Key samples of some parts, read at once."""
        if not several:
            return
        which = key_rows([number for part, inner in several for number in part.samples.numbers[inner].tolist()])
        tables = selections([part for part, _ in several], which, KEY_COLUMNS)
        for (part, inner), (_, table) in zip(several, tables, strict=True):
            cursor = Cursor(part, self._numbers, Loaded.of_keys(table))
            for place in inner.tolist():
                cursor.jump(place)
                yield cursor.sample()

    def evenly(self, most: int, since: float | None = None, until: float | None = None) -> Ids:
        """Places spread evenly over a time (seconds since 1970), ``most`` of them at most, with its first and last.

        When much is left out, the nearest key sample is taken instead of one that has to be put together.
        """
        places = self._between(since, until)
        if len(places) <= most or not len(places):
            return places
        if most < 3:
            return places[[0, -1]][:most]
        spread = np.linspace(0, len(places) - 1, most).round().astype(np.int64)
        keys = np.flatnonzero(self.keys[places])
        if len(keys) >= most:
            after = np.clip(np.searchsorted(keys, spread), 1, len(keys) - 1)
            nearer = keys[after - 1], keys[after]
            spread[1:-1] = np.where(spread - nearer[0] < nearer[1] - spread, *nearer)[1:-1]
        return places[np.unique(spread)]

    def tag(self, keys: Sequence[TagKey], since: float | None = None, until: float | None = None) -> TagCourses:
        """Some tags at every sample of a time; only their rows are read. Raises InputError for a damaged part."""
        places = self._between(since, until)
        asked = {(clean(key.tag), key.pool.value, key.session): at for at, key in enumerate(keys[:MAX_KEYS])}
        figures = np.full((3, len(asked), len(self)), np.nan)
        if asked:
            for number, table in self._rows(places, tag_rows(asked), TAG_COLUMNS, len(asked)):
                begin, end = self._starts[number], self._starts[number + 1]
                tags_of(self._parts[number].samples, table, asked, figures[:, :, begin:end], self._within[number])
        courses = {
            key: Course(
                *(figures[what, asked[clean(key.tag), key.pool.value, key.session]][places] for what in range(3))
            )
            for key in keys[:MAX_KEYS]
        }
        return TagCourses(places, self.times[places], courses)

    def memory(self, names: Sequence[str], places: Ids) -> dict[str, Floats]:
        """Figures of memory, and ``uptime`` in seconds, at ascending places, NaN where not known.

        Only their rows are read. Raises InputError for a damaged part.
        """
        found = {name: np.full(len(self), np.nan) for name in names}
        for number, table in self._rows(places, memory_rows(names), MEMORY_COLUMNS, len(found)):
            begin, end = int(self._starts[number]), int(self._starts[number + 1])
            samples, within = self._parts[number].samples, self._within[number]
            for name, values in memory_of(samples, table, within).items():
                found[name][begin:end] = values
            if UPTIME in found:
                found[UPTIME][begin:end] = (samples.times - samples.booted)[within]
        return {name: values[places] for name, values in found.items()}

    def _rows(
        self, places: Ids, which: pl.Expr, columns: Sequence[str | pl.Expr], wide: int
    ) -> Iterator[tuple[int, pl.DataFrame]]:
        """Rows of all parts between two places, with the number of each part; ``wide`` courses are asked for."""
        if not len(places):
            return
        numbers = [
            number
            for number in range(len(self._parts))
            if self._starts[number + 1] > places[0] and self._starts[number] <= places[-1]
        ]
        step = max(1, min(MOST_AT_ONCE, _COURSES_AT_ONCE // max(1, wide)))
        for begin in range(0, len(numbers), step):
            some = numbers[begin : begin + step]
            tables = selections([self._parts[number] for number in some], which, columns)
            yield from ((number, table) for number, (_, table) in zip(some, tables, strict=True))

    def _between(self, since: float | None, until: float | None) -> Ids:
        there = np.ones(len(self), bool)
        if since is not None:
            there &= self.times >= since
        if until is not None:
            there &= self.times <= until
        return np.flatnonzero(there)

    def _place(self, place: int) -> tuple[int, int]:
        """The number of the part and the place in it."""
        if not 0 <= place < len(self):
            raise IndexError(f"the recording has the places 0 to {len(self) - 1}, not {place}")
        number = int(np.searchsorted(self._starts, place, side="right")) - 1
        return number, int(self._within[number][place - self._starts[number]])


def _joined(columns: list[NDArray[_Number]], nothing: NDArray[_Number]) -> NDArray[_Number]:
    return np.concatenate(columns) if columns else nothing


def open_part(file: BinaryIO, name: str = "the recording") -> Recording:
    """One part out of an archive, or its journal's sealed neighbour: as a recording of its own. Raises InputError."""
    return Recording(Found([of_bytes(parts_of.bytes_of(file, name), name)]))
