"""Opens an input: a file, or what is packed in it, as one stream that is read once, counted and hashed on the way."""

import gzip
import hashlib
import io
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import BinaryIO, Protocol

import zstandard

from poolsleuth.model.errors import InputError

MAX_UNPACKED = 4 << 30  # bytes that one packed input may unpack to: the longest real logs are about 1 GB
MAX_UNPACKED_DUMP = 256 << 30  # bytes of a packed crash dump: complete dumps are as large as memory
MIN_FREE_DISK = 512 << 20  # bytes that unpacking leaves free on the disk of temporary files
MAX_MEMBERS = 256  # files read of one zip archive
SAMPLE_BYTES = 64 * 1024
_BLOCK = 1 << 20
_STEP = 8 << 10  # unpacked at a time: what damage at the end of an archive may cost

_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_ZSTD_HEADER = 18  # bytes of the longest frame header
_ZSTD = b"\x28\xb5\x2f\xfd"

_UNPACK_ERRORS = (
    OSError,
    EOFError,
    zlib.error,
    zstandard.ZstdError,
    zipfile.BadZipFile,
    RuntimeError,
    NotImplementedError,
)


class Readable(Protocol):
    """What is read here: bytes up to a count, and an empty answer at the end."""

    def read(self, count: int, /) -> bytes:
        """The next bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to read: a file, or a member of a zip archive. ``size`` is what is stored, None when not known.

    ``modified`` is the file's own time in UTC (its last change; a copy may have lost it), None for a zip's member,
    whose time is local to an unknown place.
    """

    name: str
    path: Path
    member: str | None
    size: int | None
    modified: datetime | None = None


class EvidenceStream(io.RawIOBase):
    """A readable stream that knows how far it is (``position``, in bytes of this stream) and can be peeked into.

    ``most`` bounds the bytes that a packed one may unpack to. ``stopped`` says why it ended before its end (damage, or
    that bound); None when it did not.
    """

    def __init__(self, raw: Readable, *, packed: bool, promised: int = 0) -> None:
        super().__init__()
        self._promised = promised  # bytes that the archive's header says it holds at least
        self._raw = raw
        self._ahead = b""
        self._packed = packed
        self._given = 0
        self._taken = 0  # bytes that came out so far, also those that no one has been given yet
        self._digest = hashlib.sha256()
        self.most = MAX_UNPACKED
        self.stopped: str | None = None

    @property
    def packed(self) -> bool:
        """Whether the stream is unpacked on the way: it cannot be read twice."""
        return self._packed

    @property
    def position(self) -> int:
        """Bytes given out so far."""
        return self._given

    def peek(self, count: int) -> bytes:
        """The next bytes, up to ``count``, without consuming them."""
        while len(self._ahead) < count:
            block = self._take(count - len(self._ahead))
            if not block:
                break
            self._ahead += block
        return self._ahead[:count]

    def readable(self) -> bool:
        """Always True."""
        return True

    def read(self, count: int = -1) -> bytes:
        """The next bytes: all that are ahead first. An empty answer is the end."""
        if count < 0:
            parts = [self._ahead]
            self._ahead = b""
            while block := self._take(_BLOCK):
                parts.append(block)
            data = b"".join(parts)
        elif self._ahead:
            data, self._ahead = self._ahead[:count], self._ahead[count:]
        else:
            data = self._take(count)
        self._given += len(data)
        return data

    def _take(self, count: int) -> bytes:
        if self.stopped is not None:
            return b""
        if self._packed and self._taken >= self.most:
            self.stopped = f"it unpacks to more than {self.most >> 30} GB: only that much was read"
            return b""
        block = self._unpacked(count) if self._packed else self._plain(count)
        self._taken += len(block)
        self._digest.update(block)
        return block

    def _plain(self, count: int) -> bytes:
        try:
            return self._raw.read(count)
        except _UNPACK_ERRORS as error:
            self._stop(0, error)
            return b""

    def _unpacked(self, count: int) -> bytes:
        # In small steps, so that what came out before the damage is not lost with it
        read = getattr(self._raw, "read1", self._raw.read)
        parts: list[bytes] = []
        size = 0
        while size < count:
            try:
                part = read(min(count - size, _STEP))
            except _UNPACK_ERRORS as error:
                self._stop(size, error)
                break
            if not part:
                if self._taken + size < self._promised:
                    self._stop(size, EOFError(f"{self._promised:,} bytes were packed"))
                break
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def _stop(self, size: int, error: Exception) -> None:
        self.stopped = f"it is damaged or cut off after {self._taken + size:,} bytes ({error})"

    def sha256(self) -> str:
        """The digest of the whole stream: reads what is left of it."""
        while self._take(_BLOCK):
            pass
        return self._digest.hexdigest()


def sources(path: str) -> list[Source]:
    """What there is to read behind a path: one source, or the members of a zip archive.

    Raises InputError, in one sentence, for what cannot be read at all.
    """
    place = Path(path)
    try:
        status = place.stat()
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: it cannot be read ({_reason(error)})") from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: it is a directory; give the files in it")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(
            f"{path}: it is not a regular file (a FIFO, socket or device); save its content to a file first"
        )
    if status.st_size == 0:
        raise InputError(f"{path}: it is empty")
    try:
        with place.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise InputError(f"{path}: it cannot be read ({_reason(error)})") from None
    if head in (_ZIP, _EMPTY_ZIP):
        return _members(path, place)
    return [Source(path, place, None, status.st_size, _time(status.st_mtime))]


def _time(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _members(path: str, place: Path) -> list[Source]:
    try:
        with zipfile.ZipFile(place) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
    except _UNPACK_ERRORS as error:
        raise InputError(f"{path}: the zip archive is damaged ({_reason(error)})") from None
    if not infos:
        raise InputError(f"{path}: the zip archive is empty")
    if len(infos) > MAX_MEMBERS:
        raise InputError(f"{path}: the zip archive holds {len(infos)} files; unpack it and give at most {MAX_MEMBERS}")
    if any(info.flag_bits & 1 for info in infos):
        raise InputError(f"{path}: the zip archive is encrypted; unpack it first")
    return [Source(f"{path}!{info.filename}", place, info.filename, info.file_size) for info in infos]


def _zstd_size(head: bytes) -> int:
    """The size of the first frame's content, 0 when its header does not say it.

    The unpacker takes a file that ends inside a frame for a whole one, so that nothing else shows the loss.
    """
    try:
        size = zstandard.get_frame_parameters(head).content_size
    except zstandard.ZstdError:
        return 0
    return 0 if size in (zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR) else size


@contextmanager
def open_source(source: Source) -> Iterator[EvidenceStream]:
    """The content of a source, unpacked when it is gzip or zstd. Raises InputError when it cannot be opened."""
    try:
        if source.member is not None:
            with zipfile.ZipFile(source.path) as archive, archive.open(source.member) as member:
                yield EvidenceStream(member, packed=True)
            return
        with source.path.open("rb") as file:
            head = file.read(4)
            file.seek(0)
            if head.startswith(_GZIP):
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield EvidenceStream(unpacked, packed=True)
            elif head == _ZSTD:
                promised = _zstd_size(file.read(_ZSTD_HEADER))
                file.seek(0)
                with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as unpacked_zstd:
                    yield EvidenceStream(unpacked_zstd, packed=True, promised=promised)
            else:
                yield EvidenceStream(file, packed=False)
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{source.name}: it cannot be read ({_reason(error)})") from error


@contextmanager
def random_access(
    source: Source,
    stream: EvidenceStream,
    most: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[BinaryIO]:
    """The whole content of a source as a file that can be sought in.

    A packed one is unpacked into a temporary file first: ``most`` bytes (``MAX_UNPACKED`` when None), and no more than
    the disk has room for; ``stream.stopped`` tells when it ended early. ``progress`` is told the bytes so far. The
    position of ``stream`` does not change for a plain file. Raises InputError when the temporary file cannot be
    written.
    """
    if source.member is None and not stream.packed:
        with source.path.open("rb") as file:
            yield file
        return
    with TemporaryFile(prefix="poolsleuth-") as spool:
        room = max(0, shutil.disk_usage(gettempdir()).free - MIN_FREE_DISK)
        wanted = MAX_UNPACKED if most is None else most
        stream.most = min(wanted, room)
        try:
            while block := stream.read(_BLOCK):
                # Dumps are full of empty pages: where the file system can, they take no room
                if block.count(0) == len(block):
                    spool.seek(len(block), io.SEEK_CUR)
                else:
                    spool.write(block)
                if progress is not None:
                    progress(stream.position)
            spool.truncate(spool.tell())
        except OSError as error:
            raise InputError(f"it could not be unpacked into a temporary file ({_reason(error)})") from error
        if stream.stopped is not None and stream.most < wanted and stream.position >= stream.most:
            stream.stopped = (
                f"it could not be unpacked: the disk of temporary files ({gettempdir()}) has room for {room >> 20:,} MB"
                " of it only: unpack it yourself and give the file, or set TMPDIR to a larger disk"
            )
            raise InputError(stream.stopped)
        spool.seek(0)
        yield spool
