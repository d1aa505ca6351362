"""The parts of a recording as its writer sees them: merging the journal, beginning new parts, dropping the oldest."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import polars as pl

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.recording import disk, part
from poolsleuth.sampling.recording.journal import Journal
from poolsleuth.sampling.recording.layout import (
    PARQUET_MAGIC,
    PART_ROWS,
    PART_SECONDS,
    Description,
    aside_of,
    damaged_name,
    journal_of,
    older_parts,
    part_name,
)
from poolsleuth.sampling.recording.part import Part
from poolsleuth.sampling.recording.summary import joined, nothing
from poolsleuth.sampling.recording.table import Table
from poolsleuth.sampling.sample import Host

_SHARE = 4  # with ``max_bytes``, a part is a quarter of it at most: what goes when the oldest goes


@dataclass(slots=True)
class Store:
    """``last`` is the number of the last sample in a part, -1 for none; ``older`` maps full parts to their bytes."""

    path: Path
    description: Description
    last: int
    older: dict[Path, int]
    older_last: int
    notes: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path, host: Host, every: float | None, journal: Description | None) -> "Store":
        """The recording of that name, a new one if there is none. Raises InputError when it is another computer's."""
        there, notes = path.exists(), list[str]()
        try:
            found = part.description_of(path) if there else journal
        except InputError:
            if journal is None or _computer(journal.host) != _computer(host) or not _parquet(path):
                raise
            notes.append(_set_aside(path))  # the journal says that it is ours
            there, found = False, journal
        if found is not None and _computer(found.host) != _computer(host):
            raise InputError(
                f"{path} is a recording of {found.host.computer or 'an unnamed computer'}, and this is "
                f"{host.computer or 'an unnamed computer'}; give another name to record into"
            )
        description = replace(found, host=host, every=every) if found else Description(uuid4().hex, host, every)
        store = cls(path, description, description.next - 1, {}, -1, notes)
        for older in older_parts(path):
            try:
                said = part.description_of(older)
            except InputError:
                continue
            if said.id == description.id:
                store.older[older] = older.stat().st_size
                store.older_last = max(store.older_last, said.next - 1)
        store.last = max(store.last, store.older_last)
        if not there:
            try:
                store._put(Table(), None, store.last)
            except OSError as error:
                raise InputError(f"{path}: cannot be written: {error.strerror}") from error
        return store

    @property
    def bytes(self) -> int:
        """What all parts take up."""
        return sum(self.older.values()) + (self.path.stat().st_size if self.path.exists() else 0)

    def merge(self, journal: BinaryIO, max_bytes: int | None) -> None:
        """Put the samples of the journal into the part, and begin a new one when that is full.

        At every moment each sample is in the journal or in a whole file, or in both: they carry numbers. Raises
        OSError or InputError, with the journal still needed.
        """
        table = Table()
        for entry, names in Journal(journal, str(journal_of(self.path))).opened():
            if entry.number > self.last:
                table.add(entry, names)
        if len(table):
            self._add(table, max_bytes)
        elif self.last <= self.older_last:
            self._put(Table(), None, self.last)
        self._drop(max_bytes)

    def _add(self, table: Table, max_bytes: int | None) -> None:
        """Put samples into the part, or into a new one when that is damaged."""
        last = int(table.samples.numbers[-1])
        if self.path.exists():
            with self.path.open("rb"):  # what cannot be opened just now is not damaged
                pass
            try:
                self._put(table, self._base(), last, max_bytes)
            except _DamagedError:
                self.notes.append(_set_aside(self.path))
            else:
                return
        self._put(table, None, last, max_bytes)

    def _base(self) -> Part | None:
        """What the part holds already. None when it was renamed to, or is contained in, an older part."""
        try:
            current = part.of_file(self.path, self.description.id)
            if current is not None and current.description.next - 1 > self.older_last:
                current.opened()
                current.verify()
                return current
        except InputError as error:
            raise _DamagedError(str(error)) from error
        if current is None:
            raise InputError(f"{self.path} was replaced by another recording")
        return None

    def _put(self, table: Table, base: Part | None, last: int, max_bytes: int | None = None) -> None:
        """Write the part anew: under the name of an older one, with an empty one behind it, when it is full."""
        aside = aside_of(self.path)
        description = replace(self.description, next=last + 1)
        samples = table.samples if base is None else joined(base.samples, table.samples)
        rows = len(table) + (0 if base is None else base.rows)
        part.write(aside, table.frames(() if base is None else _slices(base)), description, samples)
        size = aside.stat().st_size
        span = samples.span
        full = rows >= PART_ROWS or (span is not None and span[1] - span[0] >= PART_SECONDS)
        if rows and (full or (max_bytes is not None and size > max_bytes // _SHARE)):
            older = part_name(self.path, math.nan if span is None else span[0], int(samples.numbers[0]))
            disk.replace(aside, older)
            self.older[older] = size
            self.older_last = self.last = last
            part.write(aside, iter(()), description, nothing())
        disk.replace(aside, self.path)
        self.description, self.last = description, last

    def _drop(self, max_bytes: int | None) -> None:
        """Remove the oldest full parts until the others fit."""
        for older in sorted(self.older) if max_bytes is not None else ():
            if self.bytes <= (max_bytes or 0):
                return
            disk.remove(older)
            del self.older[older]


class _DamagedError(InputError):
    """The part cannot be read."""


def _slices(base: Part) -> Iterator[pl.DataFrame]:
    try:
        yield from base.slices()
    except InputError as error:
        raise _DamagedError(str(error)) from error


def _parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC


def _set_aside(path: Path) -> str:
    """Give a damaged part another name; never is it removed. Raises OSError."""
    name = damaged_name(path)
    disk.replace(path, name)
    return f"{path}: the file was damaged; it is kept as {name.name}, and a new one was begun"


def _computer(host: Host) -> str:
    return (host.computer or "").casefold()
