"""Lays the pages of the simulated pools into virtual memory: addresses, links of free lists, processes in headers."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
from numpy.typing import NDArray

from poolsleuth.lab.allocator.headers import WITH_COOKIE, form_of
from poolsleuth.lab.machine import IN_USE, PAGE, BlockLists, PoolPages, Process
from poolsleuth.lab.page_tables import AddressSpaceWriter
from poolsleuth.lab.scene import Scene
from poolsleuth.model.errors import InputError

_GRAIN = 0x10000  # addresses of the first page are multiples of it
_LONGEST_PIECE = 64  # physical pages that lie behind each other at most
_COOKIE = "ExpPoolQuotaCookie"
_STRUCTURE = "_POOL_DESCRIPTOR"


def place_pool_pages(
    scene: Scene, processes: tuple[Process, ...], descriptors: dict[tuple[bool, int], int]
) -> tuple[PoolPages, ...]:
    """Give every pool page its address, and fill in what depends on addresses; ``descriptors`` are those of the pools.

    Gives the pages as they are to be in memory: ``write_pool_pages`` maps them. The list heads are written, too. Pages
    of sessions (``index`` is the session's id) all begin at the same address, and their free lists have no heads.
    Raises InputError when the pages do not fit between what else this Windows has there.
    """
    cookie = _cookie(scene)
    found: list[PoolPages] = []
    for pages in scene.machine.pool_pages:
        start = scene.plan.session_pool if pages.pool == "session" else _start(scene, pages)
        found.append(_moved(pages, start, processes, cookie, scene.pointer))
    by_place = {(pages.pool == "paged", pages.index): pages for pages in found if pages.pool != "session"}
    for key, address in descriptors.items():
        _write_heads(scene, address, by_place.get(key), paged=key[0])
    return tuple(found)


def _cookie(scene: Scene) -> int:
    """What the process in a header is disguised with since Windows 8; 0 before."""
    if scene.layout.windows.build < WITH_COOKIE:
        return 0
    cookie = (scene.machine.seed + 1) * 0x9E3779B97F4A7C15 & (1 << 64) - 1
    return cookie if scene.image.put(_COOKIE, cookie) else 0


def _start(scene: Scene, pages: PoolPages) -> int:
    """Behind the structures and the big allocations of the same pool."""
    paged = pages.pool != "nonpaged"
    area = scene.paged if paged else scene.nonpaged
    rows = scene.machine.big_pages.rows
    mine = rows[(rows["state"] == IN_USE) & ((rows["pool_type"] & 1 == 1) == paged)]
    ends = mine["address"].astype(np.uint64) + mine["bytes"].astype(np.uint64)
    behind = max(area.start + area.pages * PAGE + PAGE, int(ends.max()) if len(ends) else 0)
    start = -(-behind // _GRAIN) * _GRAIN + _GRAIN
    plan = scene.plan
    others = (plan.kernel, plan.drivers, plan.nonpaged, plan.paged, plan.pfn, plan.session, plan.sessions)
    limit = min(other for other in (*others, plan.session_pool, 1 << 64) if other > area.start)
    size = int(pages.addresses[-1]) + PAGE if len(pages.addresses) else 0
    if start + size > limit:
        raise InputError(
            f"{len(pages.addresses):,} pages of {pages.pool} pool do not fit into this machine's addresses"
        )
    return start


def _moved(pages: PoolPages, start: int, processes: tuple[Process, ...], cookie: int, pointer: int) -> PoolPages:
    rows, blocks = pages.rows.copy(), pages.blocks.copy()
    blocks["address"] += np.uint64(start)
    blocks["process"] = _payers(blocks["process"], processes)
    moved = replace(
        pages,
        addresses=pages.addresses + np.uint64(start),
        rows=rows,
        blocks=blocks,
        free_lists=_moved_lists(pages.free_lists, start),
        lookaside=_moved_lists(pages.lookaside, start),
    )
    for block in blocks[blocks["process"] != 0].tolist():
        address, size, process = block[0], block[1], block[-1]
        if pointer == 8:
            _put(moved, address + 8, (process ^ cookie ^ address if cookie else process), pointer)
        else:
            _put(moved, address + size - pointer, process, pointer)
    unit = form_of(pointer).unit
    for _units, waiting in moved.lookaside:
        for number, address in enumerate(waiting):
            behind = waiting[number + 1] + unit if number + 1 < len(waiting) else 0
            _put(moved, address + unit, behind, pointer)
    return moved


def _payers(numbers: NDArray[np.uint64], processes: tuple[Process, ...]) -> NDArray[np.uint64]:
    """Addresses of processes for their numbers in the list, counted from 1 on and round its end."""
    known = [process.address or 0 for process in processes] or [0]
    table = np.array(known, np.uint64)
    return np.where(numbers > 0, table[(numbers.astype(np.int64) - 1) % len(table)], np.uint64(0))


def _moved_lists(lists: BlockLists, start: int) -> BlockLists:
    return tuple((units, tuple(address + start for address in addresses)) for units, addresses in lists)


def _put(pages: PoolPages, address: int, value: int, width: int) -> None:
    row = int(np.searchsorted(pages.addresses, np.uint64(address // PAGE * PAGE)))
    at = address % PAGE
    pages.rows[row, at : at + width] = np.frombuffer(value.to_bytes(width, "little"), np.uint8)


def _write_heads(scene: Scene, descriptor: int, pages: PoolPages | None, *, paged: bool) -> None:
    """The list heads of a descriptor, and the links of its free blocks. An empty head points at itself."""
    place = scene.layout.place(_STRUCTURE, "ListHeads")
    if place is None:
        return
    unit, width = form_of(scene.pointer).unit, 2 * scene.pointer
    lists = dict(pages.free_lists) if pages is not None else {}
    heads = bytearray()
    for number in range(place.count):
        head = descriptor + place.offset + number * width
        nodes = [address + unit for address in lists.get(number + 1, ())]
        links = scene.list_links(head, nodes)
        heads += links[0]
        for node, link in zip(nodes, links[1:], strict=True):
            assert pages is not None
            row = int(np.searchsorted(pages.addresses, np.uint64(node // PAGE * PAGE)))
            pages.rows[row, node % PAGE : node % PAGE + width] = np.frombuffer(link, np.uint8)
    if paged:
        scene.nonpaged.put(descriptor + place.offset, bytes(heads))
    else:
        scene.image.pieces.append((descriptor + place.offset, bytes(heads)))


def write_pool_pages(
    pages: PoolPages, space: AddressSpaceWriter, random: Random, held: Callable[[int], str] = lambda _address: "valid"
) -> None:
    """Map the pages and write them. ``held`` says of each whether it is valid, transition or paged-out.

    Pages between them that went back to the machine are not mapped.
    """
    addresses = pages.addresses.tolist()
    below = 1 << 20 if space.mode == "x86" else 1 << 40
    at = 0
    while at < len(addresses):
        state, count = held(addresses[at]), 1
        most = random.randint(1, _LONGEST_PIECE)
        while (
            count < most
            and at + count < len(addresses)
            and addresses[at + count] == addresses[at] + count * PAGE
            and held(addresses[at + count]) == state
        ):
            count += 1
        if state == "paged-out":
            space.map(addresses[at], count, state="paged-out", page_file=(1, 0x1000 + at))
        else:
            taken = space.physical.take(count, below=below)
            space.map(addresses[at], count, pages=taken, state="transition" if state == "transition" else "valid")
            space.write(addresses[at], pages.rows[at : at + count].data.cast("B"))
        at += count
