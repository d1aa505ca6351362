"""The container of a PDB ("multi-stream file", MSF 7.00): a file system in a file, of numbered streams.

Superblock: 32 bytes of mark; page size at 0x20, pages at 0x28, bytes of the stream directory at 0x2C, numbers of the
pages that list the directory's pages from 0x34 on. Directory: number of streams, their sizes (0xFFFFFFFF: absent),
then the page numbers of one stream after the other. All are 32-bit numbers.
"""

import mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poolsleuth.model.errors import InputError

MARK = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0"
MIN_PAGE, MAX_PAGE = 1 << 8, 1 << 17  # bytes: linkers offer 512 to 128 K
MAX_STREAM = 1 << 27  # bytes read of one stream: the largest of a kernel's PDB has 10 MB
_PAGE_LISTS = 0x34
_ABSENT = 0xFFFFFFFF

Words = NDArray[np.uint32]

_OTHERS = (  # what a user may give in place of a PDB, by its first bytes
    (b"Microsoft C/C++ program database 2.00", "is a PDB of the old kind (2.00, before 2002), which is not supported"),
    (b"Microsoft MSFZ", "is a compressed PDB (MSFZ), which is not supported: give the plain PDB"),
    (b"BSJB", "is a portable PDB of .NET, not one of a kernel or driver"),
    (b"MSCF", "is a compressed file (.pd_): expand it first"),
    (b"MZ", "is a program or driver, not its symbols: give the PDB of it"),
)


class Msf:
    """An open container. Nothing but the directory is read before it is asked for.

    ``name`` is what error sentences call the file.
    """

    __slots__ = ("_buffer", "_first", "_page", "_pages", "_sizes", "name", "size")

    def __init__(self, buffer: "mmap.mmap | bytes", name: str) -> None:
        """Read the directory. Raises InputError when the file is no MSF 7.00, or its directory cannot be used."""
        self._buffer = buffer
        self.name = name
        self.size = len(buffer)
        head = bytes(buffer[:_PAGE_LISTS])
        if not head.startswith(MARK):
            for mark, says in _OTHERS:
                if head.startswith(mark):
                    raise InputError(f"{name} {says}")
            raise InputError(f"{name} is no PDB: it does not begin as one")
        if len(head) < _PAGE_LISTS:
            raise InputError(f"{name} is cut off in its header: get it again")
        self._page = int.from_bytes(head[0x20:0x24], "little")
        if not MIN_PAGE <= self._page <= MAX_PAGE or self._page & (self._page - 1):
            raise InputError(f"{name} is a damaged PDB: pages of {self._page} bytes do not exist")
        words = np.frombuffer(self._directory(int.from_bytes(head[0x2C:0x30], "little")), "<u4")
        count = int(words[0]) if len(words) else 0
        if count > len(words) - 1:
            raise InputError(f"{name} is a damaged PDB: its directory names {count} streams and has no room for them")
        self._sizes: NDArray[np.int64] = words[1 : count + 1].astype(np.int64)
        self._sizes[self._sizes == _ABSENT] = -1
        self._pages: Words = words[count + 1 :]
        ends = np.cumsum(np.maximum(self._sizes + self._page - 1, 0) // self._page)
        self._first: NDArray[np.int64] = np.concatenate((np.zeros(1, np.int64), ends))

    def close(self) -> None:
        """Let go of the file. Nothing can be read afterwards."""
        if isinstance(self._buffer, mmap.mmap):
            self._buffer.close()

    def __len__(self) -> int:
        """How many streams there are, absent ones included."""
        return len(self._sizes)

    def length(self, stream: int) -> int | None:
        """Bytes of a stream; None when there is none of this number."""
        if not 0 <= stream < len(self._sizes) or self._sizes[stream] < 0:
            return None
        return int(self._sizes[stream])

    def read(self, stream: int, offset: int = 0, size: int | None = None) -> bytes:
        """Up to ``size`` bytes (None: all) of a stream from ``offset`` on; empty when there is no such stream.

        Raises InputError when they lie beyond the end of the file, or are more than a real stream can have.
        """
        length = self.length(stream) or 0
        begin = min(max(offset, 0), length)
        end = length if size is None else min(length, begin + max(size, 0))
        if begin == end:
            return b""
        first, last = begin // self._page, (end - 1) // self._page
        start = int(self._first[stream])
        pages = self._pages[start + first : start + last + 1]
        if len(pages) != last - first + 1:
            raise InputError(f"{self.name} is a damaged PDB: its directory ends before the pages of stream {stream}")
        return self._gather(pages, begin - first * self._page, end - begin, f"stream {stream}")

    def _gather(self, pages: Words, skip: int, size: int, what: str) -> bytes:
        if size > min(self.size, MAX_STREAM):
            raise InputError(f"{self.name} is a damaged PDB: it cannot have {size} bytes in {what}")
        page = self._page
        places = pages.astype(np.int64) * page
        # The last page of a file may be a part of one
        ends = places + page
        ends[-1] += skip + size - len(pages) * page
        if int(ends.max()) > self.size:
            raise InputError(f"{self.name} is cut off (or damaged): {what} lies beyond its end; get it again")
        buffer = self._buffer
        if int(places[-1] - places[0]) == (len(pages) - 1) * page and bool((np.diff(places) == page).all()):
            begin = int(places[0]) + skip
            return bytes(buffer[begin : begin + size])
        return b"".join([buffer[at : at + page] for at in places.tolist()])[skip : skip + size]

    def _directory(self, size: int) -> bytes:
        if size < 4 or size > min(self.size, MAX_STREAM):
            raise InputError(f"{self.name} is a damaged PDB: its directory cannot have {size} bytes")
        lists_size = -(-size // self._page) * 4
        count = -(-lists_size // self._page)
        end = _PAGE_LISTS + 4 * count
        if end > min(self._page, self.size):
            raise InputError(f"{self.name} is a damaged PDB: the list of its directory's pages cannot be that long")
        lists = np.frombuffer(bytes(self._buffer[_PAGE_LISTS:end]), "<u4")
        if count > 1 and lists[1] == 0:  # some writers only name the first: the others follow it
            lists = lists[0] + np.arange(count, dtype=np.uint32)
        pages = np.frombuffer(self._gather(lists, 0, lists_size, "the list of its directory"), "<u4")
        return self._gather(pages, 0, size & ~3, "its directory")


def open_msf(path: Path) -> Msf:
    """Map a PDB into memory. Raises InputError when it cannot be read or is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            if not file.tell():
                raise InputError(f"{path.name} is empty: get it again")
            buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path.name} cannot be read: {error}") from error
    return Msf(buffer, path.name)
