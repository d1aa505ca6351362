"""One part of a recording: a Parquet file that is written whole and read in pieces."""

import errno
import io
import mmap
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.io.plugins import register_io_source

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.recording import disk
from poolsleuth.sampling.recording.footer import MAX_FOOTER, Footer, checked
from poolsleuth.sampling.recording.layout import (
    CRC_FIELD,
    DESCRIPTION_KEY,
    MAX_PART_BYTES,
    MAX_TEXT,
    NO_CRC,
    ROW_GROUP,
    SAMPLE,
    Description,
    described,
)
from poolsleuth.sampling.recording.table import COLUMNS
from poolsleuth.sampling.sample import Floats

_T = TypeVar("_T")
_LONG_NAME = "a name in it has thousands of characters; that is no part of ours"
_BLOCK = 1 << 20  # bytes that are read at once for a CRC
_LEVEL = 3  # of zstd: 9 saves 5 % and takes three times as long


def write(path: Path, frames: Callable[[], Iterator[pl.DataFrame]], description: Description) -> None:
    """Write a table, which comes sorted and in row groups, as a file, and wait until it is on the disk.

    Raises OSError, also for what polars reports.
    """

    def source(
        _columns: list[str] | None, _which: pl.Expr | None, _rows: int | None, _batch: int | None
    ) -> Iterator[pl.DataFrame]:
        yield from frames()

    with path.open("wb") as out:
        try:
            register_io_source(source, schema=COLUMNS).sink_parquet(
                out,
                compression="zstd",
                compression_level=_LEVEL,
                statistics=True,
                row_group_size=ROW_GROUP,
                maintain_order=True,
                metadata={DESCRIPTION_KEY: description.text()},
            )
        except pl.exceptions.PolarsError as error:
            raise OSError(errno.EIO, str(error).split("\n", 1)[0]) from error
    with path.open("r+b") as file:
        place, crc = _crc(file)
        disk.append(file, place, f"{crc:08x}".encode())


def _crc(file: BinaryIO | mmap.mmap) -> tuple[int, int]:
    """Where a file's CRC-32 stands, and what it is: that of all bytes, with zeros in its place. ValueError: nowhere."""
    size = file.seek(0, 2) or file.tell()
    file.seek(max(0, size - 8))
    length = int.from_bytes(file.read(4), "little")
    begin = max(0, size - 8 - length)
    file.seek(begin)
    place = begin + file.read(min(length, MAX_FOOTER)).rindex(CRC_FIELD) + len(CRC_FIELD)
    crc, at = 0, 0
    while at < size:
        if at == place:
            data = NO_CRC.encode()
        else:
            file.seek(at)
            data = file.read(min(_BLOCK, (place if at < place else size) - at))
        crc = zlib.crc32(data, crc)
        at += len(data)
    return place, crc


def _verify(file: BinaryIO | mmap.mmap, description: Description, where: str) -> None:
    """Raises InputError unless every byte is as it was written. Files without a CRC are taken as they are."""
    if not description.crc:
        return
    try:
        intact = _crc(file)[1] == int(description.crc, 16)
    except (ValueError, OSError):
        intact = False
    if not intact:
        raise InputError(f"{where}: the file is damaged, or was changed by another program; give another copy")


def safely(where: str, work: Callable[[], _T]) -> _T:
    """What polars makes of a file. Whatever goes wrong in it becomes an InputError, its panics as well."""
    try:
        return work()
    except (KeyboardInterrupt, SystemExit, GeneratorExit, InputError):
        raise
    except BaseException as error:
        # A panic in Rust is a BaseException and has no public name
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise InputError(f"{where}: the Parquet file is damaged; give another copy") from None
        raise


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """The samples of a part in order: columns of equal length. ``booted`` is NaN where not known."""

    numbers: NDArray[np.uint32]
    times: Floats
    keys: NDArray[np.bool_]
    complete: NDArray[np.bool_]
    booted: Floats
    labels: list[str]

    def __len__(self) -> int:
        return len(self.numbers)


class Part:
    """A part that can be read: a file, its bytes, or a table that was made of a journal."""

    def __init__(
        self, where: str, description: Description, source: pl.LazyFrame, rows: int, path: Path | None = None
    ) -> None:
        self.where = where
        self._unverified = path
        self.description = description
        self.rows = rows
        self._source = source
        self.samples = self._samples()

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
            table["count"].to_numpy()[at] == 1,
            table["bytes"].to_numpy()[at],
            [labels[place] for place in at.tolist()],
        )

    def verify(self) -> None:
        """Raises InputError unless every byte of the file is as it was written; before all of it is read."""
        if self._unverified is not None:
            verify(self._unverified, self.description)
            self._unverified = None

    def slices(self) -> Iterator[pl.DataFrame]:
        """All rows, some hundred thousand at a time. Raises InputError."""
        self.verify()
        for begin in range(0, self.rows, ROW_GROUP):
            table = safely(self.where, lambda at=begin: self._source.slice(at, ROW_GROUP).collect())  # type: ignore[misc]
            if (table["name"].str.len_bytes() > 4 * MAX_TEXT).any():
                raise InputError(f"{self.where}: {_LONG_NAME}")
            yield table

    def select(self, which: pl.Expr | None, *columns: str | pl.Expr, order: str | None = None) -> pl.DataFrame:
        """Some rows and some columns, and one of our own; names that are too long are damage. Raises InputError."""

        def work() -> pl.DataFrame:
            lazy = self._source if which is None else self._source.filter(which)
            if order:
                lazy = lazy.sort(order, maintain_order=True)
            table = lazy.select(*columns, _long=pl.col("name").str.len_bytes().max()).collect()
            if len(table) and (table["_long"][0] or 0) > 4 * MAX_TEXT:
                raise InputError(f"{self.where}: {_LONG_NAME}")
            return table

        return safely(self.where, work)


def of_file(path: Path, recording: str | None = None) -> Part | None:
    """A part by its path; it is opened again whenever something of it is needed. Raises InputError.

    None when it is of another recording than the one with that identifier.
    """
    footer = _footer(path)
    description = _description(footer.description, footer.columns, str(path))
    if recording is not None and description.id != recording:
        return None
    lazy = safely(str(path), lambda: _scanned(path, str(path)))
    return Part(str(path), description, lazy, footer.rows, path)


def verify(path: Path, description: Description) -> None:
    """Read a whole file and raise InputError unless every byte is as it was written."""
    try:
        with path.open("rb") as file:
            _verify(file, description, str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def description_of(path: Path) -> Description:
    """What a file says of its recording. Raises InputError."""
    footer = _footer(path)
    return _description(footer.description, footer.columns, str(path))


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
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def of_bytes(data: bytes, where: str) -> Part:
    """A part by its bytes. Raises InputError."""
    footer = checked(data, where)
    description = _description(footer.description, footer.columns, where)
    _verify(io.BytesIO(data), description, where)
    return Part(where, description, safely(where, lambda: _scanned(data, where)), footer.rows)


def bytes_of(file: BinaryIO, where: str) -> bytes:
    """The bytes of a part, if they can be one. Raises InputError."""
    try:
        data = file.read(MAX_PART_BYTES + 1)
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_PART_BYTES:
        raise InputError(f"{where}: larger than any part of a recording ({MAX_PART_BYTES >> 20:,} MB)")
    return data


def _description(text: bytes | None, columns: tuple[str, ...], where: str) -> Description:
    if text is None:
        raise InputError(f"{where}: a Parquet file, but not of a recording made by `poolsleuth record`")
    if columns != tuple(COLUMNS):
        raise InputError(
            f"{where}: its columns are not those of a recording; it was changed or made by a later version"
        )
    return described(text, where)


def _scanned(source: Path | bytes, where: str) -> pl.LazyFrame:
    lazy = pl.scan_parquet(source, glob=False, hive_partitioning=False)
    if dict(lazy.collect_schema()) != COLUMNS:
        raise InputError(
            f"{where}: its columns are not those of a recording; it was changed or made by a later version"
        )
    return lazy


def of_table(table: pl.DataFrame, description: Description, where: str) -> Part:
    """A part out of a table in memory."""
    return Part(where, description, table.lazy(), len(table))
