"""The lookaside lists of a kernel: freed blocks that wait for the next request of their size.

A block that waits looks allocated in its page. What waits in a list of the pool itself was freed as far as the tag's
totals are concerned; what waits in a list of a driver or a part of the system is still counted for its tag.

The list's structure (GENERAL_LOOKASIDE) is the same in all kernels with public symbols, XP to 11. The pool's lists and
a session's count the requests that they served (hits), the others those that they could not (misses), in one field:
public header and clean-room source agree on that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.pool.lookaside_places import (
    LookasideFamily,
    LookasidePlace,
    lookaside_places,
    session_places,
)
from poolsleuth.kernel.pool.slists import SlistHead, follow_slists, slist_head
from poolsleuth.kernel.scattered import read_scattered
from poolsleuth.kernel.sessions import Session
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Field

__all__ = ["LookasideFamily", "LookasideList", "Lookasides", "read_lookasides", "read_session_lookasides"]

MAX_LISTS = 1 << 18  # 2,048 processors with 96 lists of the pool and 32 of fixed structures each
MAX_SIZE = 1 << 20  # bytes of one block: a larger figure is none
_NAME = "_GENERAL_LOOKASIDE"
_FIELDS = (
    "Depth", "MaximumDepth", "TotalAllocates", "AllocateMisses", "TotalFrees", "FreeMisses", "Type", "Tag", "Size",
)  # fmt: skip
_SIZES = (2, 2, 4, 4, 4, 4, 4, 4, 4)
_OFFSETS = {4: (8, 10, 12, 16, 20, 24, 28, 32, 36), 8: (16, 18, 20, 24, 28, 32, 36, 40, 44)}
_ENTRY = {4: Field(48, 8), 8: Field(64, 16)}
_COUNTS_HITS = frozenset({LookasideFamily.POOL, LookasideFamily.SESSION})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LookasideList:
    """One list. Counts run since the machine started (modulo 2^32); sizes in bytes, of a block with its header where
    the list is the pool's or a session's, without it elsewhere.

    ``array`` is the name of the array or list of lists that it was found in, ``index`` its place there (None in a list
    of lists); ``processor`` the one that it belongs to, None for one that all share. ``pool_type`` is the kernel's
    number (0 nonpaged, 1 paged, 0x200 nonpaged without execution, 0x21 session paged), ``tag`` as in memory.
    ``depth`` is how many blocks may wait (it adapts, up to ``maximum_depth``), ``waits`` how many the list says do.
    ``entries`` are the addresses of those that were found, behind their headers. ``whole`` is False when some are
    missing, and ``says`` why.
    """

    address: int
    family: LookasideFamily
    array: str
    index: int | None
    processor: int | None
    session: int | None
    pool_type: int
    tag: int
    size: int
    depth: int
    maximum_depth: int
    total_allocates: int
    total_frees: int
    allocate_misses: int
    free_misses: int
    waits: int
    entries: NDArray[np.uint64]
    whole: bool
    says: str | None

    @property
    def allocate_hits(self) -> int:
        """Requests that a waiting block served."""
        return (self.total_allocates - self.allocate_misses) % (1 << 32)

    @property
    def free_hits(self) -> int:
        """Freed blocks that the list took in."""
        return (self.total_frees - self.free_misses) % (1 << 32)

    @property
    def freed(self) -> bool:
        """Whether what waits is no longer counted for its tag."""
        return self.family in _COUNTS_HITS


@dataclass(frozen=True, slots=True, eq=False)
class Lookasides:
    """All lists that were found, each once. ``says`` tells what could not be found or read."""

    lists: tuple[LookasideList, ...]
    says: tuple[str, ...]

    def freed_blocks(self, unit: int) -> NDArray[np.uint64]:
        """The headers' addresses (a header has ``unit`` bytes) of blocks that are freed but wait; ascending."""
        return _headers((each for each in self.lists if each.freed), unit)


def read_lookasides(kernel: Kernel, sessions: Sequence[Session] = ()) -> Lookasides:
    """The lists of the system, and of those ``sessions`` whose memory can be read. Nothing raises."""
    fields = _fields(kernel)
    says: list[str] = []
    entry = kernel.place(_NAME, "ListEntry") or _ENTRY[kernel.pointer_size]
    places: dict[int, LookasidePlace] = {}
    for place in lookaside_places(kernel, fields["Size"], fields["Tag"], entry, says):
        if len(places) >= MAX_LISTS:
            says.append(f"there are more than {MAX_LISTS:,} lookaside lists: the rest is not read")
            break
        places.setdefault(place.address, place)
    found = _read(kernel, kernel.memory, list(places.values()), None, fields, says)
    for session in sessions:
        found += read_session_lookasides(kernel, session, says)
    broken = [each for each in found if each.says is not None]
    if broken:
        says.append(
            f"{len(broken):,} lookaside lists could not be followed to their end; the first, at"
            f" 0x{broken[0].address:x}: {broken[0].says}"
        )
    return Lookasides(tuple(found), tuple(dict.fromkeys(says)))


def read_session_lookasides(kernel: Kernel, session: Session, says: list[str]) -> list[LookasideList]:
    """The lists of one session; none where its memory or the place of its lists is not known."""
    if session.memory is None:
        return []
    places = list(session_places(kernel, session.address))
    return _read(kernel, session.memory, places, session.id, _fields(kernel), says)


def _fields(kernel: Kernel) -> dict[str, Field]:
    usual = zip(_FIELDS, _OFFSETS[kernel.pointer_size], _SIZES, strict=True)
    return {name: kernel.place(_NAME, name) or Field(offset, size) for name, offset, size in usual}


def _read(
    kernel: Kernel,
    memory: Reader,
    places: list[LookasidePlace],
    session: int | None,
    fields: dict[str, Field],
    says: list[str],
) -> list[LookasideList]:
    """Lists that can be lists, in the order of their places; those that were never set up are left out."""
    head_bytes = 2 * kernel.pointer_size
    end = max(head_bytes, *(place.offset + (place.size or 4) for place in fields.values()))
    if end > PAGE or not places:
        return []
    addresses = np.array([place.address for place in places], np.uint64)
    row = np.dtype([("raw", f"V{end}")])
    raw: dict[int, bytes] = {}
    unreadable = 0
    for part in read_scattered(memory.space, np.unique(addresses), row):
        unreadable += int((~part.whole).sum())
        for address, data, whole in zip(part.addresses.tolist(), part.rows["raw"], part.whole.tolist(), strict=True):
            if whole:
                raw[address] = data.tobytes()
    if unreadable:
        says.append(f"{unreadable:,} lookaside lists lie in memory that is not in the dump")
    kept = [place for place in places if place.address in raw and _is_list(raw[place.address], fields)]
    heads = [
        slist_head(raw[place.address][:head_bytes], place.address, kernel.pointer_size, kernel.build) for place in kept
    ]
    chains = follow_slists(memory.space, heads)
    return [
        _made(place, session, raw[place.address], fields, head, chain.addresses, chain.whole, chain.says)
        for place, head, chain in zip(kept, heads, chains, strict=True)
    ]


def _number(raw: bytes, place: Field) -> int:
    return int.from_bytes(raw[place.offset : place.offset + (place.size or 4)], "little")


def _is_list(raw: bytes, fields: dict[str, Field]) -> bool:
    """Whether these bytes can be those of a list that is in use: a block size, a pool, a tag."""
    size, kind, tag = (_number(raw, fields[name]) for name in ("Size", "Type", "Tag"))
    return 0 < size <= MAX_SIZE and kind < 0x1000 and tag != 0


def _made(
    place: LookasidePlace,
    session: int | None,
    raw: bytes,
    fields: dict[str, Field],
    head: SlistHead,
    entries: NDArray[np.uint64],
    whole: bool,
    says: str | None,
) -> LookasideList:
    allocates, frees = _number(raw, fields["TotalAllocates"]), _number(raw, fields["TotalFrees"])
    first, second = _number(raw, fields["AllocateMisses"]), _number(raw, fields["FreeMisses"])
    if place.family in _COUNTS_HITS:
        first, second = (allocates - first) % (1 << 32), (frees - second) % (1 << 32)
    return LookasideList(
        address=place.address,
        family=place.family,
        array=place.array,
        index=place.index,
        processor=place.processor,
        session=session,
        pool_type=_number(raw, fields["Type"]),
        tag=_number(raw, fields["Tag"]),
        size=_number(raw, fields["Size"]),
        depth=_number(raw, fields["Depth"]),
        maximum_depth=_number(raw, fields["MaximumDepth"]),
        total_allocates=allocates,
        total_frees=frees,
        allocate_misses=first,
        free_misses=second,
        waits=head.depth,
        entries=entries,
        whole=whole,
        says=says,
    )


def _headers(lists: Iterable[LookasideList], unit: int) -> NDArray[np.uint64]:
    parts = [each.entries for each in lists if len(each.entries)]
    if not parts:
        return np.empty(0, np.uint64)
    return np.unique(np.concatenate(parts) - np.uint64(unit))
