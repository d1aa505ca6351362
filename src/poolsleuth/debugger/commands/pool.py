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
from poolsleuth.kernel.pool.blocks import BLOCK, Blocks, Pool, State
from poolsleuth.kernel.pool.classic_pages import decode_pages, form_of
from poolsleuth.kernel.pool.classic_walk import has_classic_pool
from poolsleuth.kernel.pool.segment_heap.walk import walk_segment_pool
from poolsleuth.kernel.pool.tags import tag_text
from poolsleuth.windows.tag_notes import find

MAX_SAYS = 5  # sentences on why nothing was found
_BIG_REGIONS = {NONPAGED: "Nonpaged pool", PAGED: "Paged pool"}


_CONTENTS, _ONE_ONLY, _PLAIN = 1, 2, 0x8000_0000  # flags
_ROW = 16  # bytes
_SHOWN = 32  # bytes of each block that flag 1 prints


def _run(target: Target, _match: re.Match[str], rest: str) -> Lines:
    match = re.fullmatch(r"(?P<where>\S.*?)\s+(?P<flags>[0-3]|8000000[0-3])", rest)
    flags = int(match["flags"], 16) if match is not None else 0
    return _lines(target, address(target, match["where"] if match is not None else rest), flags)


def _lines(target: Target, place: int, flags: int) -> Lines:
    page = place & ~(PAGE - 1)
    big = big_allocation(target, place)
    if big is not None:
        start, size, key, region = big
        tag = tag_text(key)
        yield f"Pool page {target.plain(place)} region is {region}"
        yield f"*{target.plain(start)} : large page allocation, tag is {tag}, size is 0x{size:x} bytes"
        yield from _owner(tag, flags)
        return
    raw = target.kernel.memory.space.read(page, PAGE)
    if isinstance(raw, Absence):
        yield f"Pool page {target.plain(place)} region is Unknown"
        yield f"Address {target.plain(page)} could not be read. It may be a freed, invalid or paged out page"
        yield f"*** the page is {raw.says}"
        return
    if not has_classic_pool(target.kernel):
        yield from _segment(target, place, flags)
        return
    rows = np.frombuffer(raw, np.uint8).reshape(1, PAGE)
    found = decode_pages(rows, np.array([page], np.uint64), form_of(target.kernel.pointer_size), target.kernel.build)
    if len(found.blocks):
        region = REGIONS[Pool(int(found.blocks["pool"][0]))]
        yield f"Pool page {target.plain(place)} region is {region}"
        yield from _blocks(target, found.blocks, place, flags)
        return
    yield f"Pool page {target.plain(place)} region is Unknown"
    yield f"{target.plain(page)} is not valid pool. Checking for freed (or corrupt) pool"
    for chain in found.broken:
        rule = chain.rule.name.lower().replace("_", " ")
        yield f"*** {chain.blocks} headers agree, the one at {target.plain(chain.address)} does not ({rule})"


def segment_blocks(target: Target, place: int) -> tuple[Blocks, list[str]]:
    """The blocks of the segment heap in the page of an address, and what went wrong on the way to them.

    Only a walk of the heaps tells what lies in a page: it ends with the part that has it.
    """
    page = place & ~(PAGE - 1)
    says: list[str] = []
    for part in walk_segment_pool(target.kernel, target.progressed("pool pages")):
        says += part.says
        blocks = part.blocks
        inside = (blocks["address"] < np.uint64(page + PAGE)) if page + PAGE < 1 << 64 else np.True_
        chosen = blocks[inside & (blocks["address"] + blocks["size"] > np.uint64(page))]
        if len(chosen):
            return chosen[np.argsort(chosen["address"], kind="stable")], says[:MAX_SAYS]
    return np.empty(0, BLOCK), says[:MAX_SAYS]


def _segment(target: Target, place: int, flags: int) -> Lines:
    page = place & ~(PAGE - 1)
    blocks, says = segment_blocks(target, place)
    if len(blocks):
        yield f"Pool page {target.plain(place)} region is {REGIONS[Pool(int(blocks['pool'][0]))]}"
        yield from _blocks(target, blocks, place, flags, chained=False)
        return
    yield f"Pool page {target.plain(place)} region is Unknown"
    yield f"{target.plain(page)} is not valid pool. Checking for freed (or corrupt) pool"
    for sentence in says:
        yield f"*** {printable(sentence)}"


def big_allocation(target: Target, place: int) -> tuple[int, int, int, str] | None:
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


def _blocks(target: Target, blocks: Blocks, place: int, flags: int, *, chained: bool = True) -> Iterator[str]:
    """Rows of blocks. From the segment heap on no header says how large the block in front is: it is printed as 0."""
    previous = 0
    for block in blocks:
        start, size = int(block["address"]), int(block["size"])
        mark = "*" if start <= place < start + size else " "
        if mark == "*" or not flags & _ONE_ONLY:
            state = "(Free)     " if block["state"] == State.FREE else "(Allocated)"
            tag = tag_text(int(block["tag"]))
            protected = " (Protected)" if block["protected"] else ""
            sizes = f"size: {size:4x} previous size: {previous:4x}"
            yield f"{mark}{target.plain(start)} {sizes}  {state} {mark}{tag:<4}{protected}"
            if mark == "*":
                yield from _owner(tag, flags)
            if flags & _CONTENTS:
                yield from _contents(target, start, size)
        previous = size if chained else 0


def _contents(target: Target, start: int, size: int) -> Lines:
    """The first words of a block behind its header."""
    header = 2 * target.kernel.pointer_size
    for at in range(start + header, start + min(size, header + _SHOWN), _ROW):
        raw = target.kernel.memory.read(at, min(_ROW, start + size - at)) or b""
        words = " ".join(f"{int.from_bytes(raw[i : i + 4], 'little'):08x}" for i in range(0, len(raw) - 3, 4))
        yield f"    {target.plain(at)}  {words}"
    yield ""


def _owner(tag: str, flags: int) -> Lines:
    if flags & _PLAIN:
        return
    note = find(tag)
    if note is None:
        yield "\t\tOwning component : Unknown (update pooltag.txt)"
    else:
        yield f"\t\tPooltag {tag:<4} : {printable(note.component)}{f', Binary : {note.binary}' if note.binary else ''}"


COMMANDS = (
    Command(
        re.compile(r"!pool(?=\s|$)"),
        ("!pool",),
        "!pool ADDRESS [flags]",
        "the blocks of a pool page, or the large allocation there; flag 1 with contents, 2 that block only",
        _run,
    ),
)
