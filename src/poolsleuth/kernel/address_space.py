"""Reading virtual memory: what every address space gives, and the reads that walkers of kernel structures need."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence

PAGE = 0x1000
MAX_READ = 1 << 20  # bytes of one read of virtual memory; tables are read in chunks
MAX_TEXT = 4096  # bytes of a UNICODE_STRING: paths have 520, the field could say 65,535
_CHUNK = 1 << 22  # bytes of a table read at once

Rows = NDArray[np.void]


class AddressSpace(Protocol):
    """Virtual memory as one process (or the system process) sees it. Addresses are unsigned, x86 ones of 32 bits."""

    @property
    def pointer_size(self) -> int:
        """Bytes of a pointer: 4 or 8."""
        ...

    def read(self, address: int, size: int) -> bytes | Absence:
        """``size`` bytes (``MAX_READ`` at most), or why the first missing one is missing. No address raises."""
        ...

    def gather(self, pages: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Many pages at once, by virtual page number (address / 4096): a row of bytes for each, and where it was found.

        The second array holds a number >= 0 for a page that was read, and an ``Absence`` for one that was not; the row
        of such a page is all zero. At most ``MAX_READ * 256`` bytes.
        """
        ...


@dataclass(frozen=True, slots=True)
class TablePart:
    """Consecutive rows of a table: ``first`` is the index of the first, ``whole`` is True where every byte was read."""

    first: int
    rows: Rows
    whole: NDArray[np.bool_]


class Reader:
    """Numbers, pointers, texts and tables of an address space. None is what cannot be read."""

    __slots__ = ("pointer_size", "space")

    def __init__(self, space: AddressSpace) -> None:
        self.space = space
        self.pointer_size = space.pointer_size

    def read(self, address: int, size: int) -> bytes | None:
        """``size`` bytes; None when not all of them can be read."""
        raw = self.space.read(address, size)
        return None if isinstance(raw, Absence) else raw

    def number(self, address: int, width: int) -> int | None:
        """An unsigned little-endian integer of ``width`` bytes."""
        raw = self.read(address, width)
        return None if raw is None else int.from_bytes(raw, "little")

    def signed(self, address: int, width: int) -> int | None:
        """A signed little-endian integer of ``width`` bytes."""
        raw = self.read(address, width)
        return None if raw is None else int.from_bytes(raw, "little", signed=True)

    def pointer(self, address: int) -> int | None:
        """A pointer of this address space."""
        return self.number(address, self.pointer_size)

    def unicode_string(self, address: int) -> str | None:
        """The text of a UNICODE_STRING at ``address``; None when it is empty, odd, too long or cannot be read."""
        length = self.number(address, 2)
        buffer = self.pointer(address + self.pointer_size)
        if not length or length % 2 or length > MAX_TEXT or not buffer:
            return None
        raw = self.read(buffer, length)
        return None if raw is None else raw.decode("utf-16-le", "replace")

    def table(self, address: int, dtype: "np.dtype[np.void]", count: int) -> Iterator[TablePart]:
        """The rows of a table, in parts that are read as they are asked for: no table is held whole.

        Rows that lie in pages that cannot be read are given as zeros, with ``whole`` False.
        """
        each = dtype.itemsize
        step = max(1, _CHUNK // each)
        for first in range(0, max(count, 0), step):
            rows = min(step, count - first)
            begin = address + first * each
            end = begin + rows * each
            if begin < 0 or end > 1 << (8 * self.pointer_size):
                return
            pages = np.arange(begin // PAGE, (end - 1) // PAGE + 1, dtype=np.uint64)
            data, places = self.space.gather(pages)
            skip = begin % PAGE
            octets = data.reshape(-1)[skip : skip + rows * each]
            read = places >= 0
            if read.all():
                whole = np.ones(rows, np.bool_)
            else:
                starts = skip + np.arange(rows, dtype=np.int64) * each
                # A row is whole when no unreadable page lies between its first and its last byte
                missing = np.concatenate(([0], np.cumsum(~read)))
                whole = missing[(starts + each - 1) // PAGE + 1] == missing[starts // PAGE]
            yield TablePart(first, octets.view(dtype), whole)
