"""The links of free blocks of the classic pool, against one another: what bug check 0x19, case 3, is about.

Behind the header of a free block (of two units and more) lie two pointers of a list, to the free block behind it and to
the one in front, or to the list's head. Each must lead to where another pointer leads back. The heads need not be
known: whatever a link leads to is read and asked.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import AddressSpace
from poolsleuth.kernel.addresses import kernel_start
from poolsleuth.kernel.distinct import distinct
from poolsleuth.kernel.scattered import read_scattered

LINK = np.dtype([("node", "<u8"), ("ahead", "<u8"), ("back", "<u8")])
"""A free block: the address of its links (behind the header), and where they lead."""

MAX_LINKS = 1 << 22  # free blocks checked (100 MB): 4 GB of pool in pieces of 1 KB
MAX_BROKEN = 1000  # broken links told
MOST_BROKEN = 0.02  # of all free blocks: with more, this kernel keeps its lists in a way that is not known

Links = NDArray[np.void]


def no_links() -> Links:
    """No rows."""
    return np.empty(0, LINK)


@dataclass(frozen=True, slots=True)
class BrokenLink:
    """A free block one of whose links is wrong. ``node`` is the address of its links; ``leads`` where the link leads.

    ``ahead`` is True for its first link. ``why``: what is found there instead of a link that leads back.
    """

    node: int
    ahead: bool
    leads: int
    why: str


@dataclass(frozen=True, slots=True)
class FreeListCheck:
    """``checked`` free blocks have links; of ``unknown`` ones a link leads into memory that cannot be read."""

    checked: int
    unknown: int
    broken: tuple[BrokenLink, ...]
    says: tuple[str, ...]


def check_free_lists(space: AddressSpace, parts: Iterable[Links]) -> FreeListCheck:
    """Check the links of all free blocks of a walk. Nothing raises."""
    says: list[str] = []
    kept: list[Links] = []
    count = 0
    for part in parts:
        room = MAX_LINKS - count
        kept.append(part[:room])
        count += min(len(part), room)
        if len(part) > room:
            says.append(f"the links of more than {MAX_LINKS:,} free blocks are not checked")
            break
    links = np.concatenate(kept) if kept else no_links()
    links = links[np.argsort(links["node"], kind="stable")]
    if not len(links):
        return FreeListCheck(0, 0, (), tuple(says))
    found: list[BrokenLink] = []
    unknown = np.zeros(len(links), np.bool_)
    bad = np.zeros(len(links), np.bool_)
    suspect: list[tuple[int, bool, int, int | None]] = []
    for ahead in (True, False):
        returned, read, possible = _answers(space, links, ahead)
        unknown |= possible & ~read
        wrong = ~possible | (read & (returned != links["node"]))
        bad |= wrong
        targets = links["ahead" if ahead else "back"]
        suspect += [
            (at, ahead, int(targets[at]), int(returned[at]) if possible[at] else None)
            for at in np.flatnonzero(wrong)[: 2 * MAX_BROKEN].tolist()
        ]
    if int(bad.sum()) > max(MOST_BROKEN * len(links), 8):
        says.append(
            f"{int(bad.sum()):,} of {len(links):,} free blocks have links that do not fit: this kernel keeps its free"
            " lists in a way that is not known, so that nothing is said of them"
        )
        return FreeListCheck(len(links), int(unknown.sum()), (), tuple(says))
    nodes = links["node"]
    # A link that leads nowhere is wrong itself; one that leads to a free block may only be missed by that block's own
    own = {int(nodes[at]) for at, _, leads, back in suspect if back is None or not _is_node(nodes, leads)}
    for at, ahead, leads, back in suspect[:MAX_BROKEN]:
        node = int(nodes[at])
        if back is None:
            found.append(BrokenLink(node, ahead, leads, "no address that a link can lead to"))
        elif leads not in own:
            found.append(BrokenLink(node, ahead, leads, f"what lies there leads back to 0x{back:x}"))
    return FreeListCheck(len(links), int(unknown.sum()), tuple(found), tuple(says))


def _is_node(nodes: NDArray[np.uint64], address: int) -> bool:
    at = int(np.searchsorted(nodes, np.uint64(address)))
    return at < len(nodes) and int(nodes[at]) == address


def _answers(
    space: AddressSpace, links: Links, ahead: bool
) -> tuple[NDArray[np.uint64], NDArray[np.bool_], NDArray[np.bool_]]:
    """What each link's target leads back to, whether that could be read, and whether there can be a target at all."""
    width = space.pointer_size
    nodes, leads = links["node"], links["ahead" if ahead else "back"]
    back = links["back" if ahead else "ahead"]
    possible = (leads >= np.uint64(kernel_start(width))) & (leads % np.uint64(width) == 0)
    at = np.minimum(np.searchsorted(nodes, leads), len(nodes) - 1)
    known = possible & (nodes[at] == leads)
    returned = np.where(known, back[at], np.uint64(0))
    read = known.copy()
    others = distinct(leads[possible & ~known])
    if len(others):
        # Of a list's head, or whatever else lies there: the pointer that leads back
        values = np.zeros(len(others), np.uint64)
        whole = np.zeros(len(others), np.bool_)
        row = np.dtype([("ahead", f"<u{width}"), ("back", f"<u{width}")])
        for part in read_scattered(space, others, row):
            place = np.searchsorted(others, part.addresses)
            values[place], whole[place] = part.rows["back" if ahead else "ahead"], part.whole
        wanted = np.flatnonzero(possible & ~known)
        place = np.searchsorted(others, leads[wanted])
        returned[wanted], read[wanted] = values[place], whole[place]
    return returned, read, possible
