"""``!pool``: what lies in the pool page of an address.

Pages of the classic pool (before the segment heap of Windows 10 1809 and later) have headers that chain from the
page's start to its end; allocations of a page and more stand in a table of their own.
"""

import re
from collections.abc import Iterator

import numpy as np

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.expressions import address
from poolsleuth.debugger.pool_names import REGIONS
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import printable
from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.pool.big_pages import NONPAGED, PAGED, read_big_pages
from poolsleuth.kernel.pool.blocks import Blocks, Pool, State
from poolsleuth.kernel.pool.classic_pages import decode_pages, form_of
from poolsleuth.kernel.pool.classic_walk import has_classic_pool
from poolsleuth.kernel.pool.segment_heap.walk import walk_segment_pool
from poolsleuth.kernel.pool.tags import tag_text
from poolsleuth.windows.tag_notes import find

MAX_SAYS = 5  # sentences on why nothing was found
_BIG_REGIONS = {NONPAGED: "Nonpaged pool", PAGED: "Paged pool"}


def _run(target: Target, _match: re.Match[str], rest: str) -> Lines:
    return _lines(target, address(target, rest))


def _lines(target: Target, place: int) -> Lines:
    page = place & ~(PAGE - 1)
    big = _big(target, place)
    if big is not None:
        start, size, key, region = big
        tag = tag_text(key)
        yield f"Pool page {target.plain(place)} region is {region}"
        yield f"*{target.plain(start)} : large page allocation, tag is {tag}, size is 0x{size:x} bytes"
        yield from _owner(tag)
        return
    raw = target.kernel.memory.space.read(page, PAGE)
    if isinstance(raw, Absence):
        yield f"Pool page {target.plain(place)} region is Unknown"
        yield f"Address {target.plain(page)} could not be read. It may be a freed, invalid or paged out page"
        yield f"*** the page is {raw.says}"
        return
    if not has_classic_pool(target.kernel):
        yield from _segment(target, place)
        return
    rows = np.frombuffer(raw, np.uint8).reshape(1, PAGE)
    found = decode_pages(rows, np.array([page], np.uint64), form_of(target.kernel.pointer_size), target.kernel.build)
    if len(found.blocks):
        region = REGIONS[Pool(int(found.blocks["pool"][0]))]
        yield f"Pool page {target.plain(place)} region is {region}"
        yield from _blocks(target, found.blocks, place)
        return
    yield f"Pool page {target.plain(place)} region is Unknown"
    yield f"{target.plain(page)} is not valid pool. Checking for freed (or corrupt) pool"
    for chain in found.broken:
        rule = chain.rule.name.lower().replace("_", " ")
        yield f"*** {chain.blocks} headers agree, the one at {target.plain(chain.address)} does not ({rule})"


def _segment(target: Target, place: int) -> Lines:
    """The same for the segment heap: only a walk of all of it tells what lies in a page."""
    page = place & ~(PAGE - 1)
    says: list[str] = []
    for part in walk_segment_pool(target.kernel):
        says += part.says
        blocks = part.blocks
        inside = (blocks["address"] < np.uint64(page + PAGE)) if page + PAGE < 1 << 64 else np.True_
        chosen = blocks[inside & (blocks["address"] + blocks["size"] > np.uint64(page))]
        if len(chosen):
            yield f"Pool page {target.plain(place)} region is {REGIONS[Pool(int(chosen['pool'][0]))]}"
            yield from _blocks(target, chosen[np.argsort(chosen["address"], kind="stable")], place, chained=False)
            return
    yield f"Pool page {target.plain(place)} region is Unknown"
    yield f"{target.plain(page)} is not valid pool. Checking for freed (or corrupt) pool"
    for sentence in says[:MAX_SAYS]:
        yield f"*** {printable(sentence)}"


def _big(target: Target, place: int) -> tuple[int, int, int, str] | None:
    """Start, size, tag and region of the big allocation in which the address lies."""
    table = read_big_pages(target.kernel).table
    if table is None:
        return None
    for part in table.parts():
        inside = (part.addresses <= np.uint64(place)) & (np.uint64(place) - part.addresses < part.sizes)
        for at in np.flatnonzero(inside).tolist():
            region = _BIG_REGIONS.get(int(part.pools[at]), "Unknown")
            return int(part.addresses[at]), int(part.sizes[at]), int(part.keys[at]), region
    return None


def _blocks(target: Target, blocks: Blocks, place: int, *, chained: bool = True) -> Iterator[str]:
    """Rows of blocks. From the segment heap on no header says how large the block in front is: it is printed as 0."""
    previous = 0
    for block in blocks:
        start, size = int(block["address"]), int(block["size"])
        mark = "*" if start <= place < start + size else " "
        state = "(Free)     " if block["state"] == State.FREE else "(Allocated)"
        tag = tag_text(int(block["tag"]))
        protected = " (Protected)" if block["protected"] else ""
        sizes = f"size: {size:4x} previous size: {previous:4x}"
        yield f"{mark}{target.plain(start)} {sizes}  {state} {mark}{tag:<4}{protected}"
        if mark == "*":
            yield from _owner(tag)
        previous = size if chained else 0


def _owner(tag: str) -> Lines:
    note = find(tag)
    if note is None:
        yield "\t\tOwning component : Unknown (update pooltag.txt)"
    else:
        yield f"\t\tPooltag {tag:<4} : {printable(note.component)}{f', Binary : {note.binary}' if note.binary else ''}"


COMMANDS = (
    Command(
        re.compile(r"!pool(?=\s|$)"),
        ("!pool",),
        "!pool ADDRESS",
        "the blocks of a pool page, or the large allocation in which the address lies",
        _run,
    ),
)
