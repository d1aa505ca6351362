"""Which files belong to a recording, and reading them in an order in which nothing falls between two of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.recording import part
from poolsleuth.sampling.recording.journal import Journal
from poolsleuth.sampling.recording.layout import (
    JOURNAL_SUFFIX,
    MAX_PARTS,
    PARQUET_MAGIC,
    Description,
    damaged_parts,
    is_older,
    journal_of,
    older_parts,
    strangers_note,
)
from poolsleuth.sampling.recording.part import Part
from poolsleuth.sampling.recording.table import Table


@dataclass(slots=True)
class Found:
    """Parts of one recording, in no order yet, and what is to be said of the files."""

    parts: list[Part] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find(paths: Sequence[Path]) -> Found:
    """The parts of the recording that these files belong to, with its journal and older parts beside them.

    A recording is being written to while it is read: its journal is read first, then the part it is merged into, then
    the older parts that one is renamed to. A sample moves in the other direction. Raises InputError when nothing can
    be read, or when the files are of different recordings.
    """
    found = Found()
    given = list(dict.fromkeys(path.resolve() for path in paths))
    mains = [path for path in given if not path.name.endswith(JOURNAL_SUFFIX)]
    journals = [path for path in given if path not in mains]
    beside = [journal_of(path) for path in mains if journal_of(path).is_file() and journal_of(path) not in journals]
    tails = [read for path in (*journals, *beside) if (read := _tried(_journal, path, found.notes))]
    there = [path for path in mains if path.exists() or journal_of(path) not in beside]
    found.parts = [read for path in there if (read := _tried(_live, path, found.notes))]
    if not found.parts and not tails:
        raise InputError(found.notes[0] if found.notes else "no file of a recording was given")
    first = (found.parts or tails)[0]
    wanted = first.description.id
    for read in (*found.parts, *tails):
        if read.description.id == wanted:
            continue
        if Path(read.where) in given:
            raise InputError(f"{read.where} is of another recording than {first.where}; give them one by one")
        found.notes.append(f"{read.where} is the journal of another recording and is not read")
    found.parts += [read for read in tails if read.description.id == wanted]
    for damaged in dict.fromkeys(other for path in mains if not is_older(path) for other in damaged_parts(path)):
        if damaged not in given:
            found.notes.append(f"{damaged}: was damaged and set aside while recording; its samples are left out")
    _older(mains, given, wanted, found)
    return found


def _tried(read: Callable[[Path, list[str]], Part | None], path: Path, notes: list[str]) -> Part | None:
    try:
        return read(path, notes)
    except InputError as error:
        notes.append(str(error))
        return None


def _older(mains: Sequence[Path], given: Sequence[Path], wanted: str, found: Found) -> None:
    strangers = []
    for older in dict.fromkeys(other for path in mains for other in older_parts(path)):
        if older in given:
            continue
        try:
            read = part.of_file(older, wanted)
            if read is None:
                strangers.append(older)
            else:
                found.parts.append(read)
        except InputError as error:
            found.notes.append(str(error))
        if len(found.parts) > MAX_PARTS:
            found.notes.append(f"{older}: only {MAX_PARTS:,} parts are read")
            break
    if strangers:
        found.notes.append(strangers_note(next(path for path in mains if strangers[0] in older_parts(path)), strangers))


def _live(path: Path, _notes: list[str]) -> Part:
    """A part that is given by name: its bytes are kept where another file may take its place."""
    if is_older(path):
        older = part.of_file(path)
        if older is not None:
            return older
    try:
        with path.open("rb") as file:
            data = part.bytes_of(file, str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return of_bytes(data, str(path))


def of_bytes(data: bytes, where: str) -> Part:
    """A part by its bytes. Raises InputError."""
    if not data.startswith(PARQUET_MAGIC):
        raise InputError(f"{where}: no Parquet file, and so no recording")
    return part.of_bytes(data, where)


def _journal(path: Path, notes: list[str]) -> Part | None:
    """The samples of a journal as a part; None when there is none."""
    try:
        with path.open("rb") as file:
            book = Journal(file, str(path))
            table = Table()
            for entry, names in book.opened():
                table.add(entry, names)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    description: Description | None = book.description
    if description is None:
        if path.stat().st_size:
            notes.append(f"{path}: the journal has no beginning; what is in it cannot be read")
        return None
    if book.broken or book.lost:
        lost = f", and {book.lost:,} samples after it cannot be used" if book.lost else ""
        notes.append(f"{path}: the journal is damaged in {max(1, book.broken):,} places{lost}")
    elif book.torn:
        notes.append(f"{path}: the last sample was being written when recording ended; it is left out")
    if book.cut:
        notes.append(f"{path}: the journal is larger than any journal; only its beginning is read")
    return part.of_table(table.frame(), description, str(path)) if len(table) else None
