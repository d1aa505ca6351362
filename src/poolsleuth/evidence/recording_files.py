"""Joins the files of recordings: a recording of weeks is a part for each day, and a journal, that are one thing.

Each file is only asked whose it is while the inputs are gone through; then every recording is read once. Packed parts
are unpacked into a temporary folder first, under their own names, so that a whole folder in a zip is one recording too.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Self

from poolsleuth.evidence.recording import Window, facts_of
from poolsleuth.evidence.source import EvidenceStream, Source, random_access
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact
from poolsleuth.sampling.recording.journal import Journal
from poolsleuth.sampling.recording.layout import JOURNAL_MAGIC, JOURNAL_SUFFIX, MAX_PART_BYTES, older_parts

if TYPE_CHECKING:
    from poolsleuth.sampling.recording.reader import Recording  # polars takes its time

MAX_UNPACKED = 4 << 30  # bytes of all packed files together when unpacked: a year and a half of a usual server

_HARMLESS = re.compile(r"[\w][\w. -]{0,120}", re.ASCII)
_PACKED = re.compile(r"\.(?:gz|zst|zstd)$", re.IGNORECASE)


@dataclass(slots=True)
class _Group:
    """The files of one recording that were given, and the input that its facts are put to: the first of them."""

    index: int
    name: str
    paths: list[Path] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RecordingRead:
    """What came out of one recording: of which input, the facts, and sentences about what could not be read."""

    index: int
    facts: tuple[Fact, ...]
    problems: tuple[str, ...]


Progress = Callable[[str, int, int | None], None]
"""Called while an input is read: its name, bytes read so far, bytes in all."""


class RecordingFiles:
    """Takes file after file with ``take``; ``read`` reads each recording.

    A context manager, for its temporary files.
    """

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._folder: TemporaryDirectory[str] | None = None
        self._rooms: dict[tuple[Path, str], Path] = {}
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def take(self, index: int, source: Source, stream: EvidenceStream) -> None:
        """The next file. Raises InputError when it is no part of a recording."""
        packed = source.member is not None or stream.packed
        path = self._unpacked(source, stream) if packed else source.path
        try:
            recording = identity(path)
        except InputError as error:
            if packed:
                self._size -= path.stat().st_size
                path.unlink()
            raise InputError(str(error).removeprefix(f"{path}: ").removeprefix(f"{path.resolve()}: ")) from None
        group = self._groups.setdefault(recording, _Group(index, source.name))
        group.paths.append(path)

    def _unpacked(self, source: Source, stream: EvidenceStream) -> Path:
        """A packed file's content as a file of its own, beside the others of its folder."""
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="poolsleuth-")
        inside = PurePosixPath((source.member or "").replace("\\", "/"))
        # Of one archive those of one folder lie together, and so do packed files of one folder
        key = (source.path, str(inside.parent)) if source.member is not None else (source.path.parent, "")
        room = self._rooms.get(key)
        if room is None:
            room = self._rooms[key] = Path(self._folder.name) / str(len(self._rooms))
            room.mkdir()
        name = _PACKED.sub("", inside.name if source.member is not None else source.path.name)
        path = room / (name if _HARMLESS.fullmatch(name) else f"part{len(self._rooms)}.parquet")
        if path.exists():
            path = room / f"{path.stem}-{sum(1 for _ in room.iterdir())}{path.suffix}"
        with random_access(source, stream, MAX_PART_BYTES) as file:
            size = file.seek(0, 2)
            if self._size + size > MAX_UNPACKED:
                raise InputError(
                    f"its packed files are larger than {MAX_UNPACKED >> 30} GB together; unpack them first"
                )
            file.seek(0)
            with path.open("wb") as out:
                shutil.copyfileobj(file, out)
        self._size += size
        return path

    def read(self, window: Window, progress: Progress | None = None) -> Iterator[RecordingRead]:
        """The facts of every recording, in the order in which they were given.

        An exception of our own making loses that recording only, as everywhere.
        """
        if not self._groups:
            return
        from poolsleuth.sampling.recording.reader import Recording  # noqa: PLC0415 - polars takes its time

        for group in self._groups.values():
            facts: list[Fact] = []
            try:
                recording = Recording.open(needed(group.paths))
                try:
                    facts, problems = _facts(recording, group, window, progress)
                finally:
                    recording.close()
            except InputError as error:
                problems = [str(error)]
            except Exception as error:  # a defect of ours must not lose the other inputs
                problems = [f"it could not be read (internal error: {error!r})"]
            yield RecordingRead(group.index, tuple(facts), tuple(self._named(group, says) for says in problems))

    def _named(self, group: _Group, says: str) -> str:
        """A sentence with the name that the user gave, not that of a temporary file."""
        for path in group.paths:
            for named in (path, path.resolve()):
                says = says.removeprefix(f"{named}: ")
        return f"{group.name}: {says}"


def _facts(
    recording: "Recording", group: _Group, window: Window, progress: Progress | None
) -> tuple[list[Fact], list[str]]:
    """The facts of a recording; without its damaged parts when there are any."""
    try:
        return facts_of(recording, group.index, window, _told(group, progress))
    except InputError:
        sound = recording.sound()
        if sound is recording:
            raise
        return facts_of(sound, group.index, window, _told(group, progress))


def needed(paths: Sequence[Path]) -> list[Path]:
    """The files that have to be named: the reader finds older parts beside the one that is recorded into.

    What is named is held in memory. A journal alone brings the file that it belongs to.
    """
    named = [path for path in paths if not path.name.endswith(JOURNAL_SUFFIX)]
    for path in paths:
        if path.name.endswith(JOURNAL_SUFFIX):
            main = path.with_name(path.name.removesuffix(JOURNAL_SUFFIX))
            named.append(main if main.is_file() else path)
    found = {older.resolve() for path in named for older in older_parts(path)}
    return [path for path in dict.fromkeys(named) if path.resolve() not in found]


def _told(group: _Group, progress: Progress | None) -> Callable[[int, int], None]:
    """Tells the samples that were read as a share of the files' bytes."""
    size = sum(path.stat().st_size for path in group.paths) if progress is not None else 0

    def tell(done: int, samples: int) -> None:
        if progress is not None:
            progress(group.name, size * done // max(1, samples), size)

    return tell


def identity(path: Path) -> str:
    """Whose part or journal a file is. Raises InputError when it is neither."""
    from poolsleuth.sampling.recording.part import description_of  # noqa: PLC0415 - polars takes its time

    try:
        with path.open("rb") as file:
            if file.read(len(JOURNAL_MAGIC)) != JOURNAL_MAGIC:
                return description_of(path).id
            journal = Journal(file, str(path))
            if journal.open() and journal.description is not None:
                return journal.description.id
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror or error})") from error
    raise InputError("it is the journal of a recording, but damaged at its beginning; give the recording beside it")
