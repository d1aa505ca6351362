"""Tables of pool tags out of buffers: of the system pools, of sessions, and the big allocations.

Layouts: the headers of System Informer (phnt, ``ntexapi.h``, MIT licence: SYSTEM_POOLTAG, SYSTEM_POOLTAG2,
SYSTEM_SESSION_POOLTAG_INFORMATION, SYSTEM_BIGPOOL_ENTRY), and for class 22 also Geoff Chappell's page on
SYSTEM_POOLTAG_INFORMATION, which gives the offsets of both widths. The offsets here follow from these declarations by
the rules of the C compiler. None of them is documented by Microsoft.

``wide`` is True for the layout of a 64-bit Windows. All arrays that are returned are copies: a buffer may be used
again. A count or a link beyond the end of the data gives what is whole, with a note.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.model.errors import InputError
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind

Buffer = NDArray[np.uint8]
Counts = NDArray[np.uint64]
Signed = NDArray[np.int64]

MAX_TABLE_TAGS = 200_000  # rows of one table: as many tags as an index holds
MAX_SESSIONS = 4_096  # tables of sessions: a terminal server has some hundred
MAX_SESSION_NUMBER = 0xFFFD  # the highest that a packed key can hold
MAX_SESSION_TAGS = 1_000_000  # rows of all sessions together: 250 sessions of 4,000 tags
MAX_BIG_BLOCKS = 8_000_000  # big allocations: 192 MB of buffer; servers with some hundred thousand are known
MASK_32 = (1 << 32) - 1
_PROTECTED = np.uint32(0x8000_0000)  # bit 31 of a tag: may only be freed with it; not a part of its name
_HALF_32 = 1 << 31
_SMALLEST_BLOCK = 8  # bytes, on x86; 16 on x64


def _row(counts: str, used: str, at: tuple[int, ...], size: int) -> np.dtype[np.void]:
    names = ["tag", "paged_allocs", "paged_frees", "paged_used", "nonpaged_allocs", "nonpaged_frees", "nonpaged_used"]
    formats = ["<u4", *(used if name.endswith("used") else counts for name in names[1:])]
    return np.dtype({"names": names, "formats": formats, "offsets": [0, *at], "itemsize": size})


def _block(pointer: str, at: tuple[int, ...], size: int) -> np.dtype[np.void]:
    formats = [pointer, pointer, "<u4"]
    return np.dtype({"names": ["at", "size", "tag"], "formats": formats, "offsets": [*at], "itemsize": size})


# SYSTEM_POOLTAG: 40 bytes, the array at 8; in 32 bits 28 bytes, the array at 4
TAG_64 = _row("<u4", "<i8", (4, 8, 16, 24, 28, 32), 40)
TAG_32 = _row("<u4", "<i4", (4, 8, 12, 16, 20, 24), 28)
# SYSTEM_POOLTAG2: the same with counts as wide as a pointer; in 32 bits nothing differs
TAG2_64 = _row("<u8", "<i8", (8, 16, 24, 32, 40, 48), 56)
# SYSTEM_BIGPOOL_ENTRY: 24 bytes, the array at 8; in 32 bits 12 bytes, the array at 4
BIG_64 = _block("<u8", (0, 8, 16), 24)
BIG_32 = _block("<u4", (0, 4, 8), 12)


@dataclass(frozen=True, slots=True, eq=False)
class TagCounts:
    """A table of tags: arrays of shape (2, tags), row 0 nonpaged, row 1 paged, as pools are numbered in packed keys.

    ``allocs`` and ``frees`` are counts since boot, modulo 2^``bits``; ``used`` is bytes, negative where more was freed
    than allocated. ``note`` is None when the table is whole, otherwise a sentence that says what is missing.
    """

    tags: NDArray[np.uint32]
    allocs: Counts
    frees: Counts
    used: Signed
    bits: int
    note: str | None = None

    def __len__(self) -> int:
        return len(self.tags)

    @property
    def outstanding(self) -> NDArray[np.float64]:
        """Allocations minus frees, NaN where more was freed than allocated; both may have wrapped.

        With 32 bits, a difference of 2^31 and more is believed where the bytes have room for so many blocks.
        """
        if self.bits == 64:
            exact = (self.allocs - self.frees).view(np.int64)
            return np.where(exact < 0, np.nan, exact.astype(np.float64))
        difference = ((self.allocs - self.frees) & np.uint64(MASK_32)).astype(np.int64)
        impossible = (difference >= _HALF_32) & (difference > self.used // _SMALLEST_BLOCK)
        return np.where(impossible, np.nan, difference.astype(np.float64))

    @property
    def bytes(self) -> NDArray[np.float64]:
        """Bytes in use, NaN where more was freed than allocated."""
        return np.where(self.used < 0, np.nan, self.used.astype(np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class SessionTags:
    """The tags of one session's pools."""

    session: int
    counts: TagCounts


@dataclass(frozen=True, slots=True, eq=False)
class BigPool:
    """Big allocations (of a page and more) summed by tag and pool: one row each, largest first.

    ``pools``: 0 nonpaged, 1 paged, -1 where Windows does not tell. ``sizes`` is bytes.
    """

    tags: NDArray[np.uint32]
    pools: NDArray[np.int8]
    blocks: Signed
    sizes: Signed
    note: str | None = None

    def __len__(self) -> int:
        return len(self.tags)

    @property
    def hidden(self) -> bool:
        """Whether Windows hid the addresses, so that no pool is known."""
        return bool(len(self.pools)) and bool((self.pools < 0).all())

    def of(self, key: TagKey) -> tuple[int, int] | None:
        """Blocks and bytes of a tag of the system pools, of both where the pool is not told; None where it has none."""
        if key.session is not None:
            return None
        pool = {PoolKind.NONPAGED: 0, PoolKind.PAGED: 1}.get(key.pool, -1)
        tag = int.from_bytes(key.tag.encode("latin-1", "replace").ljust(4)[:4], "little")
        zeros = int.from_bytes(key.tag.encode("latin-1", "replace").ljust(4, b"\0")[:4], "little")
        rows = np.isin(self.tags, np.array([tag, zeros], np.uint32)) & ((self.pools == pool) | (self.pools < 0))
        return (int(self.blocks[rows].sum()), int(self.sizes[rows].sum())) if rows.any() else None


def decode_pool_tags(data: Buffer, wide: bool) -> TagCounts:
    """Class 22, SystemPoolTagInformation. Raises InputError when not even the count is there."""
    count = _count(data, "pool tags")
    return _table(data, 8 if wide else 4, count, TAG_64 if wide else TAG_32, MAX_TABLE_TAGS, "The table of pool tags")


def decode_pool_tags_2(data: Buffer, wide: bool) -> TagCounts:
    """Class 255, SystemPoolTagInformation2, with 64-bit counts. Raises InputError as ``decode_pool_tags`` does."""
    count = _count(data, "pool tags")
    return _table(data, 8 if wide else 4, count, TAG2_64 if wide else TAG_32, MAX_TABLE_TAGS, "The table of pool tags")


def decode_session_tags(data: Buffer, wide: bool) -> tuple[tuple[SessionTags, ...], str | None]:
    """Class 67, SystemSessionPoolTagInformation: the sessions' tables, and what is missing.

    A chain of headers, each followed by its rows: offset of the next (as wide as a pointer, from this header, 0 at the
    last), session, count. Links lead forward only, so that a chain cannot loop.
    """
    head = 16 if wide else 12
    row = TAG_64 if wide else TAG_32
    found: dict[int, TagCounts] = {}
    note: str | None = None
    place, left = 0, MAX_SESSION_TAGS
    for number in range(MAX_SESSIONS + 1):
        if place + head > len(data):
            note = "The tables of the sessions' pool tags end before their time." if len(data) or number else None
            break
        if number == MAX_SESSIONS:
            note = f"Of the sessions' pool tags, only the first {MAX_SESSIONS:,} tables are read."
            break
        link, session, count = (
            int.from_bytes(data[place + at : place + at + size].tobytes(), "little")
            for at, size in ((0, head - 8), (head - 8, 4), (head - 4, 4))
        )
        end = min(len(data), place + link) if link else len(data)
        if link and link < head:
            note = "The tables of the sessions' pool tags lead nowhere after one of them."
            end = len(data)
        counts = _table(data[place:end], head, count, row, left, f"The table of the pool tags of session {session}")
        left -= len(counts)
        note = counts.note or note
        if session > MAX_SESSION_NUMBER or session in found:
            note = f"One table of the sessions' pool tags is of no session that could be ({session})."
        else:
            found[session] = counts
        if not link or link < head:
            break
        place += link
    return tuple(SessionTags(session, counts) for session, counts in found.items()), note


def decode_big_pool(data: Buffer, wide: bool) -> BigPool:
    """Class 66, SystemBigPoolInformation: bit 0 of an address tells nonpaged pool.

    Windows 11 24H2 and later hide addresses from callers without SeDebugPrivilege: where no address tells anything,
    the pool is not known. Raises InputError when not even the count is there.
    """
    count = _count(data, "big allocations")
    head = 8 if wide else 4
    rows, note = _rows(data, head, count, BIG_64 if wide else BIG_32, MAX_BIG_BLOCKS, "The list of big allocations")
    at = rows["at"]
    known = not len(at) or bool(at.any())
    pools = np.where(at & at.dtype.type(1), 0, 1) if known else np.full(len(rows), 2)
    if not known:
        note = note or (
            "Windows hides the addresses of big allocations, and with them which pool they are in: run it elevated "
            "(SeDebugPrivilege)."
        )
    keys = (rows["tag"] & ~_PROTECTED).astype(np.uint64) | pools.astype(np.uint64) << np.uint64(32)
    unique, place = np.unique(keys, return_inverse=True)
    blocks = np.bincount(place, minlength=len(unique)).astype(np.int64)
    sizes = np.bincount(place, rows["size"].astype(np.float64), minlength=len(unique))
    sizes = np.minimum(sizes, 2.0**62).astype(np.int64)  # beyond is damage
    order = np.argsort(-sizes, kind="stable")
    named = (unique >> np.uint64(32)).astype(np.int8)
    named[named == 2] = -1
    tags = (unique & np.uint64(MASK_32)).astype(np.uint32)
    return BigPool(tags[order], named[order], blocks[order], sizes[order], note)


def _count(data: Buffer, what: str) -> int:
    if len(data) < 4:
        raise InputError(f"Windows gave no table of {what}: {len(data)} bytes are too few to hold one.")
    return int.from_bytes(data[:4].tobytes(), "little")


def _rows(
    data: Buffer, head: int, count: int, row: np.dtype[np.void], most: int, what: str
) -> tuple[NDArray[np.void], str | None]:
    """The rows behind a head that are whole, and what is missing."""
    whole = max(0, len(data) - head) // row.itemsize
    taken = min(count, whole, most)
    note = None
    if taken < count:
        why = "it ends before" if whole < count and whole <= most else f"no more than {most:,} are read"
        note = f"{what} counts {count:,} rows; {taken:,} are used: {why}."
    part = np.ascontiguousarray(data[head : head + taken * row.itemsize])
    return part.view(row), note


def _table(data: Buffer, head: int, count: int, row: np.dtype[np.void], most: int, what: str) -> TagCounts:
    rows, note = _rows(data, head, count, row, most, what)
    size = len(rows)
    allocs, frees, used = np.empty((2, size), np.uint64), np.empty((2, size), np.uint64), np.empty((2, size), np.int64)
    for number, pool in enumerate(("nonpaged", "paged")):
        allocs[number] = rows[f"{pool}_allocs"]
        frees[number] = rows[f"{pool}_frees"]
        used[number] = rows[f"{pool}_used"]
    bits = 8 * row["paged_allocs"].itemsize
    return TagCounts(rows["tag"].copy(), allocs, frees, used, bits, note)
