"""One part of a recording: a Parquet file that is written whole and read in pieces."""

import errno
import io
import mmap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.recording import disk
from poolsleuth.sampling.recording.checksum import crc_of, verified
from poolsleuth.sampling.recording.footer import MAX_FOOTER, Footer, checked, glance
from poolsleuth.sampling.recording.layout import (
    DESCRIPTION_KEY,
    MAX_PART_BYTES,
    MAX_TEXT,
    PAGE,
    PARQUET_MAGIC,
    ROW_GROUP,
    SAMPLE,
    SAMPLES_KEY,
    Description,
    described,
)
from poolsleuth.sampling.recording.summary import Samples, packed, unpacked
from poolsleuth.sampling.recording.table import COLUMNS

_T = TypeVar("_T")


class UnreadableError(InputError):
    """A file cannot be read just now, for want of memory or because the system refuses: no sign of damage."""


_LONG_NAME = "a name in it has thousands of characters; that is no part of ours"
MOST_AT_ONCE = 24  # parts in one query: more is no quicker, and their rows are in memory together
_PIECE = 32_768  # rows that are in memory at once while a part is merged
_GLANCE = 65_536  # bytes at the end of a file that are read first: the whole footer of one day
_LEVEL = 3  # of zstd: 9 saves 5 % and takes three times as long


def write(path: Path, frames: Iterator[pl.DataFrame], description: Description, samples: Samples) -> None:
    """Write a table, which comes sorted and in row groups, as a file, and wait until it is on the disk.

    Raises OSError, also for what polars reports, and InputError where the rows come from a part that is damaged.
    """
    failed: list[InputError] = []

    def source(
        _columns: list[str] | None, _which: pl.Expr | None, _rows: int | None, _batch: int | None
    ) -> Iterator[pl.DataFrame]:
        try:
            yield from frames
        except InputError as error:
            failed.append(error)
            raise

    said = {DESCRIPTION_KEY: description.text()}
    summary = packed(samples)
    if summary is not None:
        said[SAMPLES_KEY] = summary
    with path.open("wb") as out:
        try:
            register_io_source(source, schema=COLUMNS).sink_parquet(
                out,
                compression="zstd",
                compression_level=_LEVEL,
                statistics=True,
                row_group_size=ROW_GROUP,
                data_page_size=PAGE,
                maintain_order=True,
                metadata=said,
            )
        except pl.exceptions.PolarsError as error:
            if failed:
                raise failed[0] from None
            raise OSError(errno.EIO, "it could not be written; is the disk full?") from error
    with path.open("r+b") as file:
        place, crc = crc_of(file)
        disk.append(file, place, f"{crc:08x}".encode())


def safely(where: str, work: Callable[[], _T]) -> _T:
    """What polars makes of a file. Whatever goes wrong in it becomes an InputError, its panics as well."""
    try:
        return work()
    except (KeyboardInterrupt, SystemExit, GeneratorExit, InputError):
        raise
    except BaseException as error:
        if isinstance(error, MemoryError):
            raise UnreadableError(f"{where}: there is not enough memory to read it") from None
        if isinstance(error, OSError):
            raise UnreadableError(f"{where}: cannot be read: {error.strerror or error}") from error
        # A panic in Rust is a BaseException and has no public name
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise InputError(f"{where}: the Parquet file is damaged; give another copy") from None
        raise


@dataclass(frozen=True, slots=True)
class _Opened:
    """A part whose footer was checked."""

    rows: int
    source: pl.LazyFrame


class Part:
    """A part that can be read: a file, its bytes, or a table that was made of a journal.

    ``samples`` are had without its rows where the file lists them; its footer is checked before any of its rows are
    read.
    """

    def __init__(
        self,
        where: str,
        description: Description,
        opening: Callable[[], _Opened],
        samples: Samples | None = None,
        path: Path | None = None,
    ) -> None:
        self.where = where
        self.path = path
        self.description = description
        self._unverified = path
        self._opening = opening
        self._opened: _Opened | None = None
        self.samples = self._samples() if samples is None else samples

    @property
    def rows(self) -> int:
        """How many rows it has. Raises InputError when the file is damaged."""
        return self.opened().rows

    def opened(self) -> _Opened:
        """Its rows, with the footer checked. Raises InputError."""
        if self._opened is None:
            self._opened = self._opening()
        return self._opened

    def _samples(self) -> Samples:
        table = self.select(
            pl.col("kind") == SAMPLE,
            *("sample", "level"),
            pl.col("time").cast(pl.Int64).cast(pl.Float64).fill_null(np.nan) / 1000,
            pl.col("count").fill_null(0.0),
            pl.col("bytes").fill_null(np.nan),
            pl.col("name").fill_null(""),
        )
        numbers = table["sample"].to_numpy()
        kept, at = np.unique(numbers[::-1], return_index=True)  # the last one, where a number stands twice
        at = len(numbers) - 1 - at
        labels = table["name"].to_list()
        return Samples(
            kept,
            table["time"].to_numpy()[at],
            table["level"].to_numpy()[at] == 0,
            table["count"].to_numpy()[at] >= 1,
            table["bytes"].to_numpy()[at],
            [labels[place] for place in at.tolist()],
            table["count"].to_numpy()[at] == 2,
        )

    def verify(self) -> None:
        """Raises InputError unless every byte of the file is as it was written; before all of it is read."""
        if self._unverified is not None:
            verify(self._unverified, self.description)
            self._unverified = None

    def check(self) -> None:
        """Raises InputError when anything in it is damaged: all of it is read."""
        self.opened()
        self.verify()
        if not self.description.crc and self.path is not None:
            for _ in self.slices():
                pass

    def slices(self) -> Iterator[pl.DataFrame]:
        """All rows, some ten thousand at a time. Raises InputError."""
        self.verify()
        source = self.opened().source
        for begin in range(0, self.rows, _PIECE):
            table = safely(self.where, lambda at=begin: source.slice(at, _PIECE).collect())  # type: ignore[misc]
            if (table["name"].str.len_bytes() > 4 * MAX_TEXT).any():
                raise InputError(f"{self.where}: {_LONG_NAME}")
            yield table

    def select(self, which: pl.Expr | None, *columns: str | pl.Expr, order: str | None = None) -> pl.DataFrame:
        """Some rows and some columns, and one of our own; names that are too long are damage. Raises InputError."""

        source = self.opened().source
        return _selected(self.where, source, which, columns, order)


def _selected(
    where: str, source: pl.LazyFrame, which: pl.Expr | None, columns: Sequence[str | pl.Expr], order: str | None
) -> pl.DataFrame:
    def work() -> pl.DataFrame:
        lazy = source if which is None else source.filter(which)
        if order:
            lazy = lazy.sort(order, maintain_order=True)
        table = lazy.select(*columns, _long=pl.col("name").str.len_bytes().max()).collect()
        if len(table) and (table["_long"][0] or 0) > 4 * MAX_TEXT:
            raise InputError(f"{where}: {_LONG_NAME}")
        return table

    return safely(where, work)


def selections(
    parts: Sequence[Part], which: pl.Expr, columns: Sequence[str | pl.Expr]
) -> Iterator[tuple[Part, pl.DataFrame]]:
    """``select`` of several parts, as one query where they are files whose samples follow one another.

    ``sample`` is among the columns. Raises InputError, with the name of the part that is damaged.
    """
    at = 0
    while at < len(parts):
        group = [parts[at]]
        for part in parts[at + 1 : at + MOST_AT_ONCE]:
            if group[-1].path is None or part.path is None or not _follows(part, group[-1]):
                break
            group.append(part)
        at += len(group)
        yield from zip(group, _tables(group, which, columns), strict=True)


def _follows(part: Part, before: Part) -> bool:
    return bool(len(part.samples) and len(before.samples) and part.samples.numbers[0] > before.samples.numbers[-1])


def _tables(group: Sequence[Part], which: pl.Expr, columns: Sequence[str | pl.Expr]) -> Iterator[pl.DataFrame]:
    if len(group) > 1:
        for part in group:
            part.opened()
        paths = [part.path for part in group if part.path is not None]
        try:
            source = pl.scan_parquet(paths, glob=False, hive_partitioning=False)
            table = _selected(group[0].where, source, which, columns, None)
        except InputError:
            pass  # which of them it is shows one by one
        else:
            ends = np.array([part.samples.numbers[-1] for part in group[:-1]], np.int64)
            numbers = np.searchsorted(ends, table["sample"].to_numpy())
            if (np.diff(numbers) >= 0).all():
                bounds = np.searchsorted(numbers, np.arange(len(group) + 1))
                yield from (table[int(begin) : int(end)] for begin, end in pairwise(bounds))
                return
    for part in group:
        yield part.select(which, *columns)


def of_file(path: Path, recording: str | None = None) -> Part | None:
    """A part by its path; it is opened again whenever something of it is needed. Raises InputError.

    None when it is of another recording than the one with that identifier.
    """
    description, samples, texts = _glanced(path)
    if recording is not None and description.id != recording:
        return None

    def opening() -> _Opened:
        footer = _footer(path)
        if texts != (footer.description, footer.samples):
            raise InputError(f"{path}: the file is damaged, or was replaced while it was read; give another copy")
        return _Opened(footer.rows, safely(str(path), lambda: _scanned(path, str(path))))

    return Part(str(path), description, opening, samples, path)


def _glanced(path: Path) -> tuple[Description, Samples | None, tuple[bytes | None, bytes | None]]:
    """What a file says of itself at its end; its footer is checked only when that does not suffice."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size <= MAX_PART_BYTES:
                file.seek(max(0, size - _GLANCE))
                end = file.read(_GLANCE)
                length = int.from_bytes(end[-8:-4], "little") + 8
                if len(end) < length <= min(size, MAX_FOOTER):
                    file.seek(size - length)
                    end = file.read(length)
                texts = glance(end) if end.endswith(PARQUET_MAGIC) else (None, None)
                if None not in texts:
                    description = described(texts[0] or b"", str(path))
                    samples = unpacked(texts[1] or b"") if description.crc else None
                    if samples is not None:
                        return description, samples, texts
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read: {error.strerror}") from error
    footer = _footer(path)
    return _description(footer, str(path)), None, (footer.description, footer.samples)


def verify(path: Path, description: Description) -> None:
    """Read a whole file and raise InputError unless every byte is as it was written."""
    try:
        with path.open("rb") as file:
            verified(file, description, str(path))
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read: {error.strerror}") from error


def description_of(path: Path) -> Description:
    """What a file says of its recording. Raises InputError."""
    return _glanced(path)[0]


def _footer(path: Path) -> Footer:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size > MAX_PART_BYTES:
                raise InputError(f"{path}: larger than any part of a recording ({size >> 20:,} MB)")
            if size < 12:
                raise InputError(f"{path}: the Parquet file is damaged or cut off; give another copy")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                return checked(view, str(path))
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read: {error.strerror}") from error


def of_bytes(data: bytes, where: str) -> Part:
    """A part by its bytes. Raises InputError."""
    footer = checked(data, where)
    description = _description(footer, where)
    verified(io.BytesIO(data), description, where)
    opened = _Opened(footer.rows, safely(where, lambda: _scanned(data, where)))
    samples = unpacked(footer.samples) if footer.samples and description.crc else None
    return Part(where, description, lambda: opened, samples)


def bytes_of(file: BinaryIO, where: str) -> bytes:
    """The bytes of a part, if they can be one. Raises InputError."""
    try:
        data = file.read(MAX_PART_BYTES + 1)
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_PART_BYTES:
        raise InputError(f"{where}: larger than any part of a recording ({MAX_PART_BYTES >> 20:,} MB)")
    return data


def _description(footer: Footer, where: str) -> Description:
    if footer.description is None:
        raise InputError(f"{where}: a Parquet file, but not of a recording made by `poolsleuth record`")
    if footer.columns != tuple(COLUMNS):
        raise InputError(
            f"{where}: its columns are not those of a recording; it was changed or made by a later version"
        )
    return described(footer.description, where)


def _scanned(source: Path | bytes, where: str) -> pl.LazyFrame:
    lazy = pl.scan_parquet(source, glob=False, hive_partitioning=False)
    if dict(lazy.collect_schema()) != COLUMNS:
        raise InputError(
            f"{where}: its columns are not those of a recording; it was changed or made by a later version"
        )
    return lazy


def of_table(table: pl.DataFrame, description: Description, where: str) -> Part:
    """A part out of a table in memory."""
    opened = _Opened(len(table), table.lazy())
    return Part(where, description, lambda: opened)
