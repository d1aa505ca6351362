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
    SEAL_ROWS,
    Description,
    aside_of,
    damaged_name,
    journal_of,
    older_parts,
    part_name,
    strangers_note,
)
from poolsleuth.sampling.recording.part import Part
from poolsleuth.sampling.recording.summary import joined
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
        except part.UnreadableError:
            raise
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
        strangers = []
        for older in older_parts(path):
            try:
                said = part.description_of(older)
            except InputError:
                continue
            if said.id == description.id:
                store.older[older] = older.stat().st_size
                store.older_last = max(store.older_last, said.next - 1)
            else:
                strangers.append(older)
        if strangers:
            notes.append(strangers_note(path, strangers))
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

    def merge(self, journal: BinaryIO, max_bytes: int | None) -> Journal:
        """Put the samples of the journal into the part, or into a new one when that is full already.

        At every moment each sample is in the journal or in a whole file, or in both: they carry numbers. A journal
        that could not be merged for days fills several parts. Gives the journal as it was read. Raises OSError or
        InputError, with the journal still needed.
        """
        table = Table()
        book = Journal(journal, str(journal_of(self.path)))
        for entry, names in book.opened():
            if entry.number <= self.last:
                continue
            if entry.key and len(table) >= SEAL_ROWS:  # a part begins with a sample that holds all rows
                self._add(table, max_bytes)
                table = Table()
            table.add(entry, names)
        if len(table):
            self._add(table, max_bytes)
        if book.cut:
            raise InputError(f"{book.where}: larger than any journal; move it away to go on recording")
        self._drop(max_bytes)
        return book

    def _add(self, table: Table, max_bytes: int | None) -> None:
        """Put samples into the part, or into a new one when that is damaged."""
        last = int(table.samples.numbers[-1])
        if self.path.exists():
            with self.path.open("rb"):  # what cannot be opened just now is not damaged
                pass
            try:
                base = self._base()
                if base is not None and self._full(base, max_bytes):
                    self._rotate(base)
                    base = None
                self._put(table, base, last)
            except _DamagedError:
                self.notes.append(_set_aside(self.path))
            else:
                return
        self._put(table, None, last)

    def _base(self) -> Part | None:
        """What the part holds already. None when it is contained in an older part."""
        try:
            current = part.of_file(self.path, self.description.id)
            if current is not None and current.description.next - 1 > self.older_last:
                current.opened()
                current.verify()
                return current
        except part.UnreadableError:
            raise
        except InputError as error:
            raise _DamagedError(str(error)) from error
        if current is None:
            raise InputError(f"{self.path} was replaced by another recording")
        return None

    def _full(self, base: Part, max_bytes: int | None) -> bool:
        span = base.samples.span
        return bool(base.rows) and (
            base.rows >= PART_ROWS
            or (span is not None and span[1] - span[0] >= PART_SECONDS)
            or (max_bytes is not None and self.path.stat().st_size > max_bytes // _SHARE)
        )

    def _rotate(self, base: Part) -> None:
        """Copy a full part to the name of an older one: what comes next takes its place. The newest stays in FILE."""
        span = base.samples.span
        older = part_name(self.path, math.nan if span is None else span[0], int(base.samples.numbers[0]))
        disk.copy(self.path, older, aside_of(self.path))
        self.older[older] = older.stat().st_size
        self.older_last = int(base.samples.numbers[-1])

    def _put(self, table: Table, base: Part | None, last: int) -> None:
        """Write the part anew: what it holds, if that is to stay, and the samples of a table."""
        aside = aside_of(self.path)
        description = replace(self.description, next=last + 1)
        samples = table.samples if base is None else joined(base.samples, table.samples)
        try:
            part.write(aside, table.frames(() if base is None else _slices(base)), description, samples)
            disk.replace(aside, self.path)
        except BaseException:
            disk.remove(aside)  # half a file on a disk that is full
            raise
        self.description, self.last = description, last

    def _drop(self, max_bytes: int | None) -> None:
        """Remove the oldest full parts until the others fit. The part with the newest samples never goes."""
        for older in sorted(self.older) if max_bytes is not None else ():
            if self.bytes <= (max_bytes or 0):
                return
            disk.remove(older)
            if older.exists():  # on Windows while somebody reads it; without it no newer one goes either
                self.notes.append(f"{older}: cannot be removed just now, so the recording is larger than it should be")
                return
            del self.older[older]


class _DamagedError(InputError):
    """The part cannot be read."""


def _slices(base: Part) -> Iterator[pl.DataFrame]:
    try:
        yield from base.slices()
    except part.UnreadableError:
        raise
    except InputError as error:
        if base.description.crc:
            raise  # every byte is as it was written: what failed is something else
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
