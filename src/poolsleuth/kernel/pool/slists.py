"""Singly linked lists of the kernel (SLIST): their heads in all forms, and the entries of many lists at once.

From the public declarations of SLIST_HEADER. x86: the first entry, then the depth in 16 bits. x64 has two forms: that
of 8 bytes (until Windows 7, where the lowest bit of the second half is clear) holds depth (16 bits), sequence (9) and
bits 4 to 42 of the first entry, whose upper bits are those of the head's own address; that of 16 bytes holds the depth
in its first 16 bits and the first entry in its second half, without its lowest 4 bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import AddressSpace
from poolsleuth.kernel.addresses import is_kernel_address
from poolsleuth.kernel.scattered import read_scattered

MAX_ENTRIES = 4096  # of one list: lookaside lists of the pool hold 256 at most, drivers may ask for some thousand
MAX_ALL = 1 << 20  # entries of all lists that are followed together: 256 processors with 96 lists of 40 each
_EIGHT_BYTE_FORM_BEFORE = 9200  # from this build on there is one form
_LOW_43 = (1 << 43) - 1


@dataclass(frozen=True, slots=True)
class SlistHead:
    """A head: the first entry (0: none), and how many the list says that it has."""

    first: int
    depth: int


@dataclass(frozen=True, slots=True, eq=False)
class SlistEntries:
    """The entries of one list, from its head on. ``whole``: it ended where its depth says; ``says`` is why not."""

    addresses: NDArray[np.uint64]
    whole: bool
    says: str | None


def slist_head(raw: bytes, address: int, pointer_size: int, build: int) -> SlistHead:
    """Decode a head (8 bytes on x86, else 16) that lies at ``address``."""
    if pointer_size == 4:
        return SlistHead(int.from_bytes(raw[:4], "little"), int.from_bytes(raw[4:6], "little"))
    low, high = int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:16], "little")
    if build < _EIGHT_BYTE_FORM_BEFORE and not high & 1:
        near = low >> 25 << 4
        return SlistHead(near | address & ~_LOW_43 if near else 0, low & 0xFFFF)
    return SlistHead(high & ~0xF, low & 0xFFFF)


def follow_slists(space: AddressSpace, heads: Sequence[SlistHead]) -> list[SlistEntries]:
    """The entries of each list. All lists advance together, so that thousands of them cost some reads.

    No list is followed further than its depth says, so that one that runs in a circle ends, too.
    """
    width = space.pointer_size
    found: list[list[int]] = [[] for _ in heads]
    why: list[str | None] = [None for _ in heads]
    waiting: list[tuple[int, int]] = []
    for number, head in enumerate(heads):
        if head.depth and head.first:
            waiting.append((number, head.first))
        elif head.depth or head.first:
            why[number] = f"its depth is {head.depth}, but it leads to 0x{head.first:x}"
    total = 0
    for _ in range(MAX_ENTRIES):
        waiting = [(number, at) for number, at in waiting if _fits(at, width, number, found, why)]
        if not waiting:
            break
        if total + len(waiting) > MAX_ALL:
            for number, _at in waiting:
                why[number] = "there are too many entries in all lists: it was read no further"
            return _results(found, why)
        total += len(waiting)
        following = _pointers(space, np.array([at for _, at in waiting], np.uint64), width)
        advanced: list[tuple[int, int]] = []
        for (number, at), onward in zip(waiting, following, strict=True):
            found[number].append(at)
            left = heads[number].depth - len(found[number])
            if onward is None:
                why[number] = f"what is behind its entry at 0x{at:x} cannot be read" if left > 0 else None
            elif left > 0 and onward:
                advanced.append((number, onward))
            elif left > 0 or onward:
                why[number] = (
                    f"its depth is {heads[number].depth}, but it has {'fewer' if left > 0 else 'more'} entries"
                )
        waiting = advanced
    for number, _at in waiting:
        why[number] = f"it has more than {MAX_ENTRIES:,} entries: it was read no further"
    return _results(found, why)


def _fits(at: int, width: int, number: int, found: list[list[int]], why: list[str | None]) -> bool:
    if is_kernel_address(at, width) and at % width == 0:
        return True
    why[number] = f"after {len(found[number])} entries it leads to 0x{at:x}, which is no entry"
    return False


def _results(found: list[list[int]], why: list[str | None]) -> list[SlistEntries]:
    results: list[SlistEntries] = []
    for entries, says in zip(found, why, strict=True):
        once = list(dict.fromkeys(entries))
        told = "it runs in a circle" if len(once) < len(entries) else says
        results.append(SlistEntries(np.array(once, np.uint64), told is None, told))
    return results


def _pointers(space: AddressSpace, addresses: NDArray[np.uint64], width: int) -> list[int | None]:
    """What lies at each address; None where it cannot be read."""
    unique, places = np.unique(addresses, return_inverse=True)
    values = np.zeros(len(unique), np.uint64)
    whole = np.zeros(len(unique), np.bool_)
    for part in read_scattered(space, unique, np.dtype([("next", f"<u{width}")])):
        at = np.searchsorted(unique, part.addresses)
        values[at], whole[at] = part.rows["next"], part.whole
    return [
        value if read else None for value, read in zip(values[places].tolist(), whole[places].tolist(), strict=True)
    ]
