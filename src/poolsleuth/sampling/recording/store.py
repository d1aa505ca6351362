"""The parts of a recording as its writer sees them: merging the journal, beginning new parts, dropping the oldest."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.recording import disk, part
from poolsleuth.sampling.recording.journal import Journal
from poolsleuth.sampling.recording.layout import (
    PART_ROWS,
    PART_SECONDS,
    Description,
    aside_of,
    journal_of,
    older_parts,
    part_name,
)
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

    @classmethod
    def open(cls, path: Path, host: Host, every: float | None, journal: Description | None) -> "Store":
        """The recording of that name, a new one if there is none. Raises InputError when it is another computer's."""
        there = path.exists()
        found = part.description_of(path) if there else journal
        if found is not None and _computer(found.host) != _computer(host):
            raise InputError(
                f"{path} is a recording of {found.host.computer or 'an unnamed computer'}, and this is "
                f"{host.computer or 'an unnamed computer'}; give another name to record into"
            )
        description = replace(found, host=host, every=every) if found else Description(uuid4().hex, host, every)
        store = cls(path, description, description.next - 1, {}, -1)
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
                store._put(Table(), store.last)
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
        self._base(table)
        kept = len(table)
        for entry, names in Journal(journal, str(journal_of(self.path))).opened():
            if entry.number > self.last:
                table.add(entry, names)
        if len(table) > kept:
            self._put(table, table.last, max_bytes)
        elif self.last <= self.older_last:
            self._put(Table(), self.last)
        self._drop(max_bytes)

    def _base(self, table: Table) -> None:
        """What the part holds already. Nothing when it was renamed to, or is contained in, an older part."""
        if not self.path.exists():
            return
        current = part.of_file(self.path, self.description.id)
        if current is None:
            raise InputError(f"{self.path} was replaced by another recording")
        if current.description.next - 1 > self.older_last:
            for rows in current.slices():
                table.add_rows(rows)

    def _put(self, table: Table, last: int, max_bytes: int | None = None) -> None:
        """Write the part anew: under the name of an older one, with an empty one behind it, when it is full."""
        aside = aside_of(self.path)
        description = replace(self.description, next=last + 1)
        part.write(aside, table.frames, description)
        size = aside.stat().st_size
        span = table.span
        full = len(table) >= PART_ROWS or (span is not None and span[1] - span[0] >= PART_SECONDS)
        if len(table) and (full or (max_bytes is not None and size > max_bytes // _SHARE)):
            older = part_name(self.path, math.nan if span is None else span[0], table.first)
            disk.replace(aside, older)
            self.older[older] = size
            self.older_last = self.last = last
            part.write(aside, Table().frames, description)
        disk.replace(aside, self.path)
        self.description, self.last = description, last

    def _drop(self, max_bytes: int | None) -> None:
        """Remove the oldest full parts until the others fit."""
        for older in sorted(self.older) if max_bytes is not None else ():
            if self.bytes <= (max_bytes or 0):
                return
            disk.remove(older)
            del self.older[older]


def _computer(host: Host) -> str:
    return (host.computer or "").casefold()
