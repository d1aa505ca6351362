"""The bytes of a dump: mapped into memory, never copied, and never read beyond their end."""

import contextlib
import io
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from poolsleuth.model.errors import InputError

PAGE = 0x1000
"""Bytes of a physical page, on every architecture that these dumps come from."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something in a dump that could not be used: one sentence, and the byte offset that it concerns."""

    says: str
    offset: int | None = None


MAX_MAPPED = 1024
"""Pages read after which those that the system mapped for them are given back: it maps up to 16 for each (64 MB)."""


class DumpContent:
    """Random access to a dump: all numbers are little-endian, None means beyond the end of the file."""

    __slots__ = ("_buffer", "_mapped", "size")

    def __init__(self, buffer: "mmap.mmap | memoryview | bytes") -> None:
        self._buffer = buffer
        self._mapped = 0
        self.size = len(buffer)

    def take(self, offset: int, count: int) -> bytes | None:
        """``count`` bytes at ``offset``; None when not all of them are in the file."""
        if offset < 0 or count < 0 or offset + count > self.size:
            return None
        return bytes(self._buffer[offset : offset + count])

    def number(self, offset: int, width: int) -> int | None:
        """An unsigned integer of ``width`` bytes; None beyond the end."""
        raw = self.take(offset, width)
        return None if raw is None else int.from_bytes(raw, "little")

    def rows(self, offset: int, dtype: np.dtype[np.void], count: int) -> NDArray[np.void]:
        """A view of up to ``count`` rows of a structured type: as many whole ones as the file holds."""
        held = self.held(offset, dtype.itemsize, count)
        if not held:
            return np.empty(0, dtype)
        return np.frombuffer(self._buffer, dtype, held, offset)

    def octets(self, offset: int, count: int) -> NDArray[np.uint8]:
        """A view of up to ``count`` bytes: as many as the file holds."""
        held = self.held(offset, 1, count)
        return np.frombuffer(self._buffer, np.uint8, held, offset) if held else np.empty(0, np.uint8)

    def held(self, offset: int, each: int, count: int) -> int:
        """How many of ``count`` items of ``each`` bytes from ``offset`` on the file holds whole."""
        if offset < 0 or offset >= self.size:
            return 0
        return max(0, min(count, (self.size - offset) // each))

    def have_read(self, pages: int) -> None:
        """Say that so many pages of a view were read: now and then, what was mapped for them is given back.

        Without that a program's memory would seem to grow with all it ever read. Views stay good: what is read again
        comes out of the system's cache of the file.
        """
        self._mapped += pages
        if self._mapped < MAX_MAPPED:
            return
        self._mapped = 0
        if isinstance(self._buffer, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            self._buffer.madvise(mmap.MADV_DONTNEED)


@contextmanager
def open_content(file: BinaryIO) -> Iterator[DumpContent]:
    """Map a file that can be sought in. Raises InputError when it is empty or cannot be read.

    Views that are still in use keep the mapping open after the context has ended.
    """
    try:
        number = file.fileno()
    except (OSError, io.UnsupportedOperation):
        file.seek(0)
        yield DumpContent(file.read())
        return
    try:
        mapped = mmap.mmap(number, 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(f"it cannot be mapped into memory ({error}); copy it to a local disk and try again") from error
    try:
        yield DumpContent(mapped)
    finally:
        with contextlib.suppress(BufferError):
            mapped.close()
