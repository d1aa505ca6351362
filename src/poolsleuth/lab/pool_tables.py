"""The tables of the pool manager: tags (one table per processor since Vista), expansion, big pages, descriptors.

Layouts and rules as in the fact sheets this project is built on: the hash of a tag is that of the public NT 5.2
compatible kernel; counters run freely, so that one processor's share may be "negative" while the sum is right.
"""

import numpy as np
from numpy.typing import NDArray

from poolsleuth.lab.machine import BIG_PAGE_ROW, FREED, PAGE, BigPages, PoolDescriptor, TagUse
from poolsleuth.lab.scene import Area, Scene
from poolsleuth.lab.structures import Layout

OVERFLOW_TAG = "Ovfl"
_COUNTERS = ("NonPagedAllocs", "NonPagedFrees", "NonPagedBytes", "PagedAllocs", "PagedFrees", "PagedBytes")
_HASH = 40543
_WIDTHS = {4: "<u4", 8: "<u8"}
_LEAST_BIG_SLOTS = 4096
_FIRST_WITH_TABLE_PER_PROCESSOR = 6000
_MAX_SHARE = 1 << 20  # blocks of one tag that another processor than the first frees or allocates at most


def tag_key(tag: str) -> int:
    """The four bytes of a tag as the number that the kernel keeps."""
    return int.from_bytes(tag.encode("latin-1").ljust(4, b" ")[:4], "little")


def hash_slot(key: int, mask: int) -> int:
    """Where the search for a tag begins in a table with that mask (NT 5.2 and later)."""
    product = _HASH * key
    return (product ^ product >> 32) & mask


def table_slots(tags: int) -> int:
    """Slots of a table for that many tags: a power of two that stays half empty, and one for the overflow."""
    slots = 1024
    while slots < 2 * tags:
        slots *= 2
    return slots + 1


def row_dtype(layout: Layout, structure: str) -> "np.dtype[np.void]":
    """A structure as a numpy row: its numbers of 4 or 8 bytes at their offsets, bit fields left out."""
    found = layout.structures[structure]
    fields = {
        name: place
        for name, place in found.fields.items()
        if place.bit is None and place.count == 1 and (place.size or layout.pointer) in _WIDTHS
    }
    return np.dtype(
        {
            "names": list(fields),
            "formats": [_WIDTHS[place.size or layout.pointer] for place in fields.values()],
            "offsets": [place.offset for place in fields.values()],
            "itemsize": found.size,
        }
    )


def place_tags(tags: tuple[TagUse, ...], size: int) -> list[int]:
    """The slot of each tag, by hash and linear probing; the overflow tag takes the last slot."""
    mask = size - 2
    taken: set[int] = set()
    found: list[int] = []
    for use in tags:
        if use.tag == OVERFLOW_TAG:
            found.append(size - 1)
            continue
        slot = hash_slot(tag_key(use.tag), mask)
        while slot in taken:
            slot = slot + 1 & mask
        taken.add(slot)
        found.append(slot)
    return found


def _totals(tags: tuple[TagUse, ...]) -> NDArray[np.uint64]:
    rows = [
        (t.nonpaged.allocs, t.nonpaged.frees, t.nonpaged.bytes, t.paged.allocs, t.paged.frees, t.paged.bytes)
        for t in tags
    ]
    return np.array(rows, dtype=np.uint64).reshape(-1, 6)


def _shares(totals: NDArray[np.uint64], processors: int, random: np.random.Generator) -> NDArray[np.uint64]:
    """Shares (tag, processor, counter) that add up to the totals, wrapping; the first processor has what is left.

    A block is often freed by another processor than the one that allocated it: then the latter's bytes stay too high
    and the former's sink below zero.
    """
    count = len(totals)
    parts = np.zeros((count, processors, 6), dtype=np.uint64)
    for pool in (0, 3):
        allocs, frees, held = (totals[:, pool + i].astype(np.float64) for i in range(3))
        mean = np.maximum(16, held / np.maximum(allocs - frees, 1)).astype(np.int64)
        weights = random.random((count, processors))
        weights /= weights.sum(axis=1, keepdims=True)
        alloc_parts = np.minimum(allocs[:, None] * weights, _MAX_SHARE).astype(np.int64)
        weights = random.random((count, processors))
        weights /= weights.sum(axis=1, keepdims=True)
        free_parts = np.minimum(frees[:, None] * weights, _MAX_SHARE).astype(np.int64)
        parts[:, :, pool] = alloc_parts.astype(np.uint64)
        parts[:, :, pool + 1] = free_parts.astype(np.uint64)
        parts[:, :, pool + 2] = ((alloc_parts - free_parts) * mean[:, None]).astype(np.uint64)
    parts[:, 0, :] = totals - parts[:, 1:, :].sum(axis=1, dtype=np.uint64)
    return parts


def tag_rows(layout: Layout, tags: tuple[TagUse, ...], slots: list[int], size: int) -> NDArray[np.void]:
    """One table with these tags in these slots."""
    return _fill(layout, _keys(tags), np.array(slots, dtype=np.int64), _totals(tags), size)


def _keys(tags: tuple[TagUse, ...]) -> NDArray[np.uint32]:
    return np.array([tag_key(use.tag) for use in tags], dtype=np.uint32)


def _fill(
    layout: Layout, keys: NDArray[np.uint32], slots: NDArray[np.int64], values: NDArray[np.uint64], size: int
) -> NDArray[np.void]:
    dtype = row_dtype(layout, "_POOL_TRACKER_TABLE")
    table = np.zeros(size, dtype)
    table["Key"][slots] = keys
    for number, name in enumerate(_COUNTERS):
        table[name][slots] = values[:, number].astype(dtype[name])  # wraps, as the kernel's counters do
    return table


def _octets(rows: NDArray[np.void]) -> memoryview:
    """The bytes of a table, not copied."""
    return rows.view(np.uint8).data.cast("B")


def write_tags(scene: Scene) -> None:
    """The tag tables of all processors and the expansion table, and the variables that lead to them."""
    machine, layout, image = scene.machine, scene.layout, scene.image
    inside = tuple(use for use in machine.tags if not use.expansion)
    size = machine.table_size
    slots = np.array(place_tags(inside, size), dtype=np.int64)
    split = machine.windows.build >= _FIRST_WITH_TABLE_PER_PROCESSOR
    random = np.random.default_rng(machine.seed)
    parts = _shares(_totals(inside), machine.processors if split else 1, random)
    keys = _keys(inside)
    tables = [
        scene.nonpaged.place(_octets(_fill(layout, keys, slots, parts[:, number], size)), PAGE)
        for number in range(parts.shape[1])
    ]
    image.put("PoolTrackTable", tables[0])
    image.put("PoolTrackTableSize", size)
    image.put("PoolTrackTableMask", size - 2)
    if split:
        image.put("ExPoolTagTables", b"".join(scene.word(table) for table in tables))
    late = tuple(use for use in machine.tags if use.expansion)
    if late:
        rows = tag_rows(layout, late, list(range(len(late))), -(-len(late) // 64) * 64)
        image.put("PoolTrackTableExpansion", scene.nonpaged.place(_octets(rows), PAGE))
        image.put("PoolTrackTableExpansionSize", len(rows))


def settle_big_pages(big_pages: BigPages, nonpaged: int, paged: int) -> BigPages:
    """Move big allocations from offsets to addresses, and put them where the kernel's hash has them in the table."""
    rows = big_pages.rows.copy()
    starts = np.where(rows["pool_type"] & 1 == 1, np.uint64(paged), np.uint64(nonpaged))
    rows["address"] += starts
    slots = _LEAST_BIG_SLOTS
    while slots < 2 * len(rows):
        slots *= 2
    table = np.zeros(slots, BIG_PAGE_ROW)
    table[_probe(rows["address"] // PAGE, slots)] = rows
    return BigPages(table)


def _probe(pages: NDArray[np.uint64], size: int) -> NDArray[np.int64]:
    """Where linear probing puts entries with these page numbers: at their hash, or in the next free slot."""
    folded = pages ^ pages >> np.uint64(8) ^ pages >> np.uint64(16) ^ pages >> np.uint64(24)
    wanted = (folded & np.uint64(size - 1)).astype(np.int64)
    order = np.argsort(wanted, kind="stable")
    steps = np.arange(len(order))
    placed = np.maximum.accumulate(wanted[order] - steps) + steps if len(order) else wanted
    inside = placed < size
    round_the_end = int(np.count_nonzero(~inside))
    if round_the_end:
        free = np.setdiff1d(np.arange(size), placed[inside], assume_unique=True)
        placed[~inside] = free[:round_the_end]
    found = np.empty(len(order), dtype=np.int64)
    found[order] = placed
    return found


def write_big_pages(scene: Scene) -> None:
    """The table of big allocations."""
    layout, rows = scene.layout, scene.machine.big_pages.rows
    dtype = row_dtype(layout, "_POOL_TRACKER_BIG_PAGES")
    table = np.zeros(len(rows), dtype)
    used = rows["state"] != 0
    table["Va"] = (rows["address"] | (rows["state"] == FREED)).astype(dtype["Va"])
    keys = np.ascontiguousarray(rows["tag"]).view("<u4")
    table["Key"] = np.where(used, keys, 0)
    names = dtype.names or ()
    if "NumberOfPages" in names:
        table["NumberOfPages"] = (rows["bytes"] + PAGE - 1) // PAGE
    else:
        table["NumberOfBytes"] = rows["bytes"].astype(dtype["NumberOfBytes"])
    place = layout.place("_POOL_TRACKER_BIG_PAGES", "PoolType")
    if place is not None:
        kinds = rows["pool_type"].astype(np.uint32)
        if place.bit is None:
            table["PoolType"] = kinds
        else:
            # Pattern, pool type and slush size share four bytes
            octets = table.view(np.uint8).reshape(len(table), dtype.itemsize)
            words = (kinds & (1 << (place.bits or 12)) - 1) << np.uint32(place.bit)
            octets[:, place.offset : place.offset + 4] = words.astype("<u4").view(np.uint8).reshape(-1, 4)
    image = scene.image
    image.put("PoolBigPageTable", scene.nonpaged.place(_octets(table), PAGE))
    image.put("PoolBigPageTableSize", len(table))
    image.put("ExpPoolBigEntriesInUse", scene.machine.big_pages.in_use, 4)


def descriptor_bytes(layout: Layout, descriptor: PoolDescriptor) -> bytes:
    """A _POOL_DESCRIPTOR. Since 1703 pages are counted twice: allocated, and given back."""
    record = layout.record("_POOL_DESCRIPTOR")
    record.set("PoolType", int(descriptor.paged))
    record.set("PoolIndex", descriptor.index)
    record.set("RunningAllocs", descriptor.running_allocs)
    record.set_first(("RunningDeAllocs", "RunningDeallocs"), descriptor.running_frees)
    back = 0x1234  # any number: only the difference counts
    for name, split, value in (
        ("TotalPages", "Pages", descriptor.pages),
        ("TotalBigPages", "BigPages", descriptor.big_pages),
        ("TotalBytes", "Bytes", descriptor.bytes),
    ):
        if not record.set(name, value):
            record.set(f"{split}Allocated", value + back)
            record.set(f"{split}Deallocated", back)
    return bytes(record)


def writes_descriptors(layout: Layout) -> bool:
    """Whether this Windows has pool descriptors (gone since Windows 10 2004)."""
    return "_POOL_DESCRIPTOR" in layout.structures and "PoolVector" in layout.symbols


def write_descriptors(scene: Scene) -> dict[tuple[bool, int], int]:
    """The pool descriptors and the vectors that lead to them; nothing where Windows has none any more.

    Gives the address of each by whether it is paged and by its index.
    """
    layout, image = scene.layout, scene.image
    if not writes_descriptors(layout):
        return {}
    nonpaged = [d for d in scene.machine.descriptors if not d.paged]
    paged = [d for d in scene.machine.descriptors if d.paged]
    # Since Windows 8 the second of two descriptors is that of NonPagedNx; there is one node of memory
    image.put("NonPagedPoolDescriptor", b"".join(descriptor_bytes(layout, d) for d in nonpaged))
    places = [_place(scene.nonpaged, layout, d) for d in paged]
    image.put("PoolVector", scene.word(image.address("NonPagedPoolDescriptor") or 0) + scene.word(places[0]))
    image.put("ExpPagedPoolDescriptor", b"".join(scene.word(place) for place in places))
    image.put("ExpNumberOfPagedPools", len(places) - 1, 4)
    image.put("ExpNumberOfNonPagedPools", 1, 4)
    first, size = image.address("NonPagedPoolDescriptor") or 0, layout.size("_POOL_DESCRIPTOR")
    found = {(False, d.index): first + number * size for number, d in enumerate(nonpaged)}
    return found | {(True, d.index): place for d, place in zip(paged, places, strict=True)}


def _place(area: Area, layout: Layout, descriptor: PoolDescriptor) -> int:
    return area.place(descriptor_bytes(layout, descriptor), 64)
