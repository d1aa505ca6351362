"""Adds samples to a recording. When ``add`` returns, the sample is on the disk."""

import math
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.recording import disk, journal
from poolsleuth.sampling.recording.changes import Changes
from poolsleuth.sampling.recording.journal import (
    MAX_JOURNAL_BYTES,
    MAX_JOURNAL_CONTENT,
    MAX_JOURNAL_ROWS,
    Journal,
)
from poolsleuth.sampling.recording.layout import (
    KEY_EVERY,
    LAST_NUMBER,
    LEAST_MAX_BYTES,
    PART_SECONDS,
    SEAL_ROWS,
    aside_of,
    damaged_name,
    journal_of,
)
from poolsleuth.sampling.sample import Host, Sample, TagIndex

SEAL_BYTES = 64 << 20  # of the journal: sealed earlier, so that merging it stays light
MAX_NOTES = 20  # different sentences that are kept


class RecordingWriter:
    """Begins the recording ``path``, or continues it when it is one of the same computer.

    Raises InputError when the path is something else, when somebody else is recording into it, or when the disk
    refuses. ``every`` is seconds between samples as far as they are even; ``max_bytes`` bounds all parts together: the
    oldest goes first. Not ``durable``: samples that are there already are written without waiting for the disk one by
    one, and merged a day at a time; a power loss may cost those since the last merging, a kill none.
    """

    def __init__(
        self,
        path: Path,
        host: Host,
        *,
        every: float | None = None,
        max_bytes: int | None = None,
        durable: bool = True,
    ) -> None:
        if max_bytes is not None and max_bytes < LEAST_MAX_BYTES:
            raise InputError(f"a recording needs at least {LEAST_MAX_BYTES >> 20} MB; give a larger size")
        self.path = path
        self.max_bytes = max_bytes
        self.notes: list[str] = []
        self.samples = 0
        self._durable = durable
        self._since = math.nan  # the time of the first sample that is not merged
        self._changes = Changes()
        self._rows = self._unsealed = self._number = self._begin = self._end = self._retry = 0
        self._held = self._content = 0  # rows and bytes, unpacked, that the journal holds, merged ones as well
        self._damage = 0, 0  # of the journal, as far as it is told
        self._file: BinaryIO | None = _locked(path)
        try:
            self._open(host, every)
        except BaseException:
            if not self._journal.seek(0, 2):
                disk.remove(journal_of(path))  # it was made for nothing
            self._release()
            raise

    def _open(self, host: Host, every: float | None) -> None:
        from poolsleuth.sampling.recording.store import Store  # noqa: PLC0415 - polars takes a tenth of a second

        disk.remove(aside_of(self.path))
        book = Journal(self._journal, str(journal_of(self.path)))
        known = book.open()
        self._store = Store.open(self.path, host, every, book.description)
        description = self._store.description
        for says in self._store.notes:
            self._note(says)
        if known and book.description is not None and book.description.id != description.id:
            raise InputError(
                f"{book.where} is the journal of another recording; move it away, or give another name to record into"
            )
        try:
            if known:
                self._continue(book)
            else:
                if self._journal.seek(0, 2) > len(journal.start(description)):
                    self._keep_damaged(book)
                self._begin_journal()
        except OSError as error:
            raise InputError(f"{journal_of(self.path)}: cannot be written: {error.strerror}") from error
        if self._unsealed >= KEY_EVERY:
            self.seal()  # of recorders that were ended one after the other before they came to it

    def _continue(self, book: Journal) -> None:
        """Go on behind the last good frame; what is behind it was being written when the other writer was ended."""
        for entry, _ in book.entries():
            self._held += entry.rows
            if entry.number > self._store.last:
                self._unsealed += 1
                self._rows += entry.rows
            self._number = max(self._number, entry.number + 1)
        self._begin, self._end, self._content = book.begin, book.end, book.content
        if book.cut:
            raise InputError(f"{book.where}: larger than any journal; move it away to go on recording")
        if book.broken or book.lost:
            self._keep_damaged(book)
            self._damage = book.broken, book.lost
        elif book.torn:
            self._note(f"{book.where}: a sample that was being written when recording ended is left out")
        if not self._unsealed:
            self._end = self._begin  # ended between merging the journal and emptying it
        disk.truncate(self._journal, self._end)

    def _keep_damaged(self, book: Journal) -> None:
        """A copy of a journal that is damaged, before it is gone on with: somebody may want to save what is in it."""
        kept = damaged_name(journal_of(self.path))
        self._journal.seek(0)
        disk.copied(self._journal, kept, aside_of(self.path))
        self._note(
            f"{book.where}: the journal was damaged; what could not be read of it is left out, and it is kept as"
            f" {kept.name}"
        )

    def _begin_journal(self) -> None:
        disk.truncate(self._journal, 0)
        head = journal.start(self._store.description)
        disk.append(self._journal, 0, head)
        disk.sync_directory(self.path.parent)
        self._begin = self._end = len(head)

    @property
    def _journal(self) -> BinaryIO:
        if self._file is None:
            raise InputError(f"{self.path}: the recording is closed")
        return self._file

    @property
    def id(self) -> str:
        """The recording's identifier, 32 hexadecimal digits."""
        return self._store.description.id

    @property
    def bytes_on_disk(self) -> int:
        """What all files of the recording take up."""
        return self._store.bytes + self._end

    def add(self, sample: Sample, index: TagIndex) -> None:
        """Add a sample; it is on the disk when this returns, unless ``notes`` says that it was lost.

        Never raises for a full disk: that sample is lost, and the next one is tried. Raises InputError when closed.
        """
        file = self._journal
        if not disk.same_file(file, journal_of(self.path)):
            file = self._anew()
        number = max(self._number, self._store.last + 1)
        if number >= LAST_NUMBER:
            raise InputError(f"{self.path}: the recording is full; give another name to record into")
        entry = self._changes.entry(sample, index, number)
        content = journal.content_of(entry)
        data = journal.frame(content)
        if (
            self._held + entry.rows > MAX_JOURNAL_ROWS
            or self._content + len(content) > MAX_JOURNAL_CONTENT
            or self._end + len(data) > MAX_JOURNAL_BYTES
        ):
            self.seal()  # tried each time: otherwise nothing can be recorded any more
            if self._unsealed:
                self._note(f"{journal_of(self.path)}: samples were lost: the journal is full and cannot be merged")
                return
            entry = self._changes.entry(sample, index, number)
            content = journal.content_of(entry)
            data = journal.frame(content)
        try:
            (disk.append if self._durable else disk.write)(file, self._end, data)
        except OSError as error:
            self._note(f"{journal_of(self.path)}: samples were lost: {error.strerror or error}")
            self._back(file)
            return
        self._changes.keep()
        self._end += len(data)
        self._number = number + 1
        self.samples += 1
        self._unsealed += 1
        self._rows += entry.rows
        self._held += entry.rows
        self._content += len(content)
        full = self.max_bytes is not None and self.bytes_on_disk > self.max_bytes
        if self._unsealed == 1 or math.isnan(self._since):
            self._since = sample.time
        day = self._durable or sample.time - self._since >= PART_SECONDS or math.isnan(self._since)
        due = day and self._unsealed >= KEY_EVERY and self._changes.key_is_next
        if self._unsealed >= self._retry and (due or full or self._rows >= SEAL_ROWS or self._end >= SEAL_BYTES):
            self.seal()

    def _anew(self) -> BinaryIO:
        """Somebody removed the journal: what is in it is still had from the open file, and is written anew.

        Raises InputError when that fails. The open file is kept then, and the next sample tries again.
        """
        name, old = journal_of(self.path), self._journal
        try:
            new = _locked(self.path)
            try:
                disk.truncate(new, 0)
                old.seek(0)
                disk.append(new, 0, old.read(self._end))
                disk.sync_directory(self.path.parent)
            except BaseException:
                disk.remove(name)
                new.close()
                raise
        except (OSError, InputError, MemoryError) as error:
            says = error.strerror if isinstance(error, OSError) else str(error)
            raise InputError(
                f"{name} was removed or renamed while recording, and cannot be written anew"
                f" ({says or 'not enough memory'}): {self._unsealed:,} samples in it are in memory of the system only"
            ) from error
        self._file = new
        old.close()
        self._note(f"{name} was removed or renamed while recording; a new one was begun")
        return new

    def _back(self, file: BinaryIO) -> None:
        """What was half written is overwritten by the next sample in any case; without it the file is tidy."""
        try:
            disk.truncate(file, self._end)
        except OSError:
            return

    def seal(self) -> None:
        """Merge the journal into the part. When that cannot be done, a note says so and the journal is kept."""
        if not self._unsealed:
            return
        try:
            try:
                book = self._store.merge(self._journal, self.max_bytes)
            finally:
                for says in self._store.notes:
                    self._note(says)
            if (book.broken, book.lost) != self._damage:
                self._keep_damaged(book)
            disk.truncate(self._journal, self._begin)
        except (OSError, InputError, MemoryError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error).removeprefix(f"{self.path}: ")
            if isinstance(error, MemoryError):
                reason = "there is not enough memory"
            self._note(f"{self.path}: the journal could not be merged and is kept: {reason or error}")
            self._retry = self._unsealed + KEY_EVERY
            if self._store.last >= self._number - 1:
                self._changes.restart()
            return
        self._changes.restart()
        self._end = self._begin
        self._unsealed = self._rows = self._retry = self._held = self._content = 0
        self._damage = 0, 0

    def close(self) -> None:
        """Merge what is in the journal, and remove it if nothing is left in it."""
        if self._file is None:
            return
        self.seal()
        empty = self._end == self._begin
        if empty:
            disk.remove(journal_of(self.path))  # on Windows not while it is open
        self._release()
        if empty:
            disk.remove(journal_of(self.path))
            if not journal_of(self.path).exists():
                self._begin = self._end = 0

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes and len(self.notes) < MAX_NOTES:
            self.notes.append(sentence)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _locked(path: Path) -> BinaryIO:
    """The journal, opened so that nobody else records into it. The lock of a writer that was killed is gone with it."""
    name = journal_of(path)
    if path.is_dir():
        raise InputError(f"{path} is a directory; give the name of a file to record into")
    for _ in range(5):
        try:
            name.touch()
            file = name.open("r+b", buffering=0)
        except OSError as error:
            raise InputError(f"{path}: cannot be recorded into: {error.strerror}") from error
        if not disk.lock(file):
            file.close()
            raise InputError(f"{path} is being recorded into by another program; end that one or give another name")
        if disk.same_file(file, name):
            return file
        file.close()  # another writer ended between the two steps and removed it
    raise InputError(f"{path}: its journal is removed again and again; give another name")
