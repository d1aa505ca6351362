"""``!pool`` of pages that small blocks hold, and ``!poolfind`` of their tags: how fragmentation is looked at by hand.

What a block is called comes from its header in the page, as it does for the debugger.
"""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from poolsleuth.lab.allocator.headers import PROTECTED, VISTA, HeaderForm, form_of, read_header, tag_text
from poolsleuth.lab.course.writers.log_tags import description, shown
from poolsleuth.lab.course.writers.log_target import Style
from poolsleuth.lab.machine import FREE, IN_USE, PAGE, Machine, PoolPages

MOST_PAGES = 3
"""Pages that are looked at."""
MOST_FOUND = 200
"""Rows of ``!poolfind`` before somebody stops it: it takes hours on a real machine."""
_PINNED = 0.75  # of a page is free at least, or it is not worth a look
_FRAGMENTED = 1.3  # bytes of pages for each byte of a tag
_BUSY_BIT = 2  # of a pool type, from Vista on
_NONPAGED_HEAPS = ("nonpaged", "nonpaged-nx")
_REGIONS = {"nonpaged": "Nonpaged pool", "paged": "Paged pool", "session": "Paged session pool"}


class Block(NamedTuple):
    """A block as its header shows it: address, bytes, bytes of the block before it, in use, tag, protected."""

    address: int
    size: int
    previous: int
    used: bool
    tag: str
    protected: bool


def blocks_of_page(machine: Machine, pages: PoolPages, number: int) -> list[Block]:
    """The blocks of a page, header by header; none behind one that leads nowhere."""
    form: HeaderForm = form_of(machine.windows.pointer)
    page, base = pages.rows[number].tobytes(), int(pages.addresses[number])
    found: list[Block] = []
    offset = 0
    while offset + form.unit <= PAGE:
        previous, _, size, kind, tag = read_header(page, offset, form)
        if not size:
            break
        used = bool(kind & _BUSY_BIT) if machine.windows.build >= VISTA else bool(kind)
        found.append(
            Block(base + offset, size * form.unit, previous * form.unit, used, tag_text(tag), bool(tag & PROTECTED))
        )
        offset += size * form.unit
    return found


def is_fragmented(machine: Machine) -> bool:
    """Whether the pages of nonpaged pool are much more than what its tags hold, so that somebody would look at one."""
    held = sum(use.nonpaged.bytes for use in machine.tags)
    return (machine.memory.nonpaged_used or 0) * PAGE > _FRAGMENTED * held


def pinned_pages(machine: Machine) -> list[tuple[PoolPages, int]]:
    """Pages of nonpaged pool that are nearly free but for one block or a few, those with most free bytes first."""
    found: list[tuple[int, PoolPages, int]] = []
    for pages in machine.pool_pages:
        if pages.pool != "nonpaged":
            continue
        for number in range(len(pages.rows)):
            blocks = blocks_of_page(machine, pages, number)
            free = sum(block.size for block in blocks if not block.used)
            if _PINNED * PAGE <= free < PAGE:
                found.append((free, pages, number))
    found.sort(key=lambda row: (-row[0], int(row[1].addresses[row[2]])))
    return [(pages, number) for _, pages, number in found[:MOST_PAGES]]


def page_rows(machine: Machine, style: Style, pages: PoolPages, number: int) -> list[str]:
    """``!pool ADDRESS`` of the start of a page."""
    lines = []
    if style.build > 2600:
        lines.append(f"Pool page {style.plain(int(pages.addresses[number]))} region is {_REGIONS[pages.pool]}")
    for place, block in enumerate(blocks_of_page(machine, pages, number)):
        star = "*" if place == 0 else " "
        lines.append(f"{star}{row(block, style, star)}")
        if place == 0 and style.build >= VISTA:
            says = description(block.tag)
            unknown = says.startswith("UNKNOWN")
            lines.append(
                "\t\tOwning component : Unknown (update pooltag.txt)"
                if unknown
                else f"\t\tPooltag {shown(block.tag)} : {says}"
            )
    return [*lines, ""]


def row(block: Block, style: Style, star: str = "") -> str:
    """A block's row, without what stands at its beginning."""
    state = "(Allocated)" if block.used else "(Free)     "
    tail = " (Protected)" if block.protected else ""
    return (
        f"{style.plain(block.address)} size: {block.size:4x} previous size: {block.previous:4x}  {state} "
        f"{star}{shown(block.tag)}{tail}"
    )


def holders(machine: Machine, pages: list[tuple[PoolPages, int]]) -> list[str]:
    """Tags of the blocks that hold these pages, the most frequent first."""
    counts = Counter(
        block.tag for part, number in pages for block in blocks_of_page(machine, part, number) if block.used
    )
    return [tag for tag, _ in counts.most_common()]


def requester(machine: Machine) -> str | None:
    """The tag of most blocks of more than half a page: the requests that find no room; None where there is none."""
    counts = Counter(block.tag for block in _nonpaged_blocks(machine) if block.used and PAGE // 2 < block.size <= PAGE)
    return counts.most_common(1)[0][0] if counts else None


def found_blocks(machine: Machine, style: Style, tag: str) -> list[str]:
    """``!poolfind TAG 0``: large allocations first, then the blocks of nonpaged pool."""
    return list(_find(machine, style, tag))


def _find(machine: Machine, style: Style, tag: str) -> Iterator[str]:
    table = machine.places.get("PoolBigPageTable", 0)
    number = int.from_bytes(tag.encode("latin-1").ljust(4)[:4], "little")
    name = f"Tag: {shown(tag)}" if style.old else f"tag 0x{number:08x} ({shown(tag)})"
    # The table's own address is in no list of the lab's; its variable stands for it
    span = f"({style.plain(table)} : {style.plain(table + 0x18 * len(machine.big_pages.rows))})"
    yield ""
    yield f"Scanning large pool allocation table for {name} {span}"
    yield ""
    rows = machine.big_pages.rows
    mine = rows[(rows["tag"] == tag.encode("latin-1").rstrip(b"\0")) & (rows["state"] == IN_USE)]
    if style.build >= VISTA:  # before Vista the table does not say to which pool one belongs
        mine = mine[mine["pool_type"] & 1 == 0]
    count = 0
    for one in mine[:MOST_FOUND].tolist():
        count += 1
        if style.old:
            yield f"*{style.plain(one[0])} : large page allocation, Tag is {shown(tag)}, size is 0x{one[2]:x} bytes"
        else:
            yield _new_row(style, one[0], one[2], tag)
    yield ""
    first, last = _range(machine)
    pool = "NonPaged" if style.old else "nonpaged"
    yield f"Searching {pool} pool ({style.plain(first)} : {style.plain(last)}) for {name}"
    yield ""
    for block in _nonpaged_blocks(machine):
        if block.tag != tag or not (block.used or style.old):
            continue
        if count >= MOST_FOUND:
            yield ""
            yield f"...terminating - searched pool to {style.plain(block.address & -PAGE)}"
            return
        count += 1
        yield row(block, style) if style.old else _new_row(style, block.address, block.size, tag)
    yield ""


def _new_row(style: Style, address: int, size: int, tag: str) -> str:
    return f"{style.plain(address)} : tag {shown(tag)}, size {f'0x{size:x}':>9}, Nonpaged pool"


def _nonpaged_blocks(machine: Machine) -> Iterator[Block]:
    """All blocks of nonpaged pool that are in memory, of pages with headers and of segment heaps."""
    for pages in machine.pool_pages:
        if pages.pool == "nonpaged":
            for number in range(len(pages.rows)):
                yield from blocks_of_page(machine, pages, number)
    for heap in machine.heaps:
        if heap.pool in _NONPAGED_HEAPS and heap.session is None and not heap.special:
            for address, size, tag, state, _, protected, _ in heap.blocks.tolist():
                yield Block(address, size, 0, state != FREE, tag_text(tag), protected)


def _range(machine: Machine) -> tuple[int, int]:
    """From the first page of nonpaged pool that is known to the end of the last one."""
    known = [pages.addresses for pages in machine.pool_pages if pages.pool == "nonpaged"]
    known += [heap.blocks["address"] for heap in machine.heaps if heap.pool in _NONPAGED_HEAPS]
    known = [addresses for addresses in known if len(addresses)]
    if not known:
        return 0, 0
    addresses = np.concatenate(known)
    return int(addresses.min()) & -PAGE, (int(addresses.max()) & -PAGE) + PAGE
