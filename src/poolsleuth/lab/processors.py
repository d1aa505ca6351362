"""The control blocks of the processors, and the lookaside lists in them: where freed blocks of a pool wait.

Kernels with symbols have them where their own layouts say. Of the others only the way in which the lists are kept is
known (pairs of pointers before Vista, the lists themselves from there on): the lab puts them where it likes.
"""

import struct
from dataclasses import dataclass

from poolsleuth.lab.allocator.headers import form_of
from poolsleuth.lab.machine import PoolPages
from poolsleuth.lab.scene import Scene
from poolsleuth.lab.structures import Record

LISTS = 32
"""Sizes of blocks that have lists of their own, from one unit on."""
TAG = b"Pool"
_VISTA, _NX = 6000, 9200
_INVENTED_BYTES, _INVENTED_AT = 0x4000, 0x5A0
_INSIDE = {4: 0x48, 8: 0x60}  # bytes of a list inside a control block
_OUTSIDE = 0x80  # and of one that stands alone
_DEPTH, _MAXIMUM = 4, 256
_LIST_ENTRY = {4: 48, 8: 64}
_LOW_43 = (1 << 43) - 1
_EMPTY_RINGS = (
    "ExSystemLookasideListHead", "ExNPagedLookasideListHead", "ExPagedLookasideListHead",
    "ExpNonPagedLookasideListHead", "ExpPagedLookasideListHead",
)  # fmt: skip
_EIGHT_BYTE_FORM = {2600, 3790, 6002}  # 64-bit heads of these hold everything in their first half, as on old processors


@dataclass(frozen=True, slots=True)
class Processors:
    """Addresses of the control blocks (one after the other in ``places``) and of lists outside of them."""

    places: tuple[int, ...]
    records: tuple[Record | bytearray, ...]
    outside: int | None


def reserve_processors(scene: Scene) -> Processors:
    """Give every processor an address. What depends on the pool's pages is filled in later."""
    layout, machine = scene.layout, scene.machine
    known = layout.has("_KPRCB", "Number")
    records: list[Record | bytearray] = []
    for number in range(machine.processors):
        if known:
            record = layout.record("_KPRCB")
            record.set("Number", number)
            record.set("ProcessorState.SpecialRegisters.Cr3", scene.system.dtb)
            record.set("ProcessorState.SpecialRegisters.Cr4", 0x370678)
            records.append(record)
        else:
            records.append(bytearray(_INVENTED_BYTES))
    places = tuple(scene.nonpaged.reserve(len(bytes(record)), 0x40) for record in records)
    outside = None
    if machine.windows.build < _VISTA:
        # A list of its own for each processor and size of both pools, and one that all share
        outside = scene.nonpaged.reserve((machine.processors + 1) * 2 * LISTS * _OUTSIDE, 0x40)
    return Processors(places, tuple(records), outside)


def write_processors(scene: Scene, processors: Processors, pool_pages: tuple[PoolPages, ...]) -> None:
    """Write the control blocks with the lists of the pools' waiting blocks, and lead the kernel's variables to them."""
    waiting: dict[str, dict[int, tuple[int, ...]]] = {
        str(pages.pool): dict(pages.lookaside) for pages in pool_pages if pages.pool != "session"
    }
    ring: list[tuple[int, bytearray, int]] = []
    for number, (place, record) in enumerate(zip(processors.places, processors.records, strict=True)):
        data = record.data if isinstance(record, Record) else record
        for array, (name, pool, kind) in enumerate(_arrays(scene)):
            mine = _of_processor(waiting.get(pool, {}), number, scene.machine.processors)
            if processors.outside is not None:
                _write_pairs(scene, processors, data, array, number, kind, mine, waiting.get(pool, {}))
                continue
            at, stride = _place(scene, name, array)
            for index in range(LISTS):
                begin = at + index * stride
                body = _list(scene, place + begin, index, kind, mine.get(index + 1, ()))
                data[begin : begin + len(body)] = body
                ring.append((place + begin, data, begin))
    _link(scene, ring)
    for place, record in zip(processors.places, processors.records, strict=True):
        scene.nonpaged.put(place, bytes(record))
    scene.image.put("KiProcessorBlock", b"".join(scene.word(place) for place in processors.places))


def _arrays(scene: Scene) -> tuple[tuple[str, str, int], ...]:
    """Name, pool (empty: none of the lab's) and pool type of the arrays of lists."""
    if scene.layout.windows.build < _NX:
        return (("PPNPagedLookasideList", "nonpaged", 0), ("PPPagedLookasideList", "paged", 1))
    return (
        ("PPNPagedLookasideList", "nonpaged", 0),
        ("PPNxPagedLookasideList", "", 0x200),
        ("PPPagedLookasideList", "paged", 1),
    )


def _place(scene: Scene, name: str, array: int) -> tuple[int, int]:
    place = scene.layout.place("_KPRCB", name)
    if place is not None and place.size:
        return place.offset, place.size // place.count
    return _INVENTED_AT + array * LISTS * _INSIDE[scene.pointer], _INSIDE[scene.pointer]


def _of_processor(lists: dict[int, tuple[int, ...]], number: int, processors: int) -> dict[int, tuple[int, ...]]:
    """Each size waits on one processor."""
    return {units: addresses for units, addresses in lists.items() if units % processors == number}


def _write_pairs(
    scene: Scene,
    processors: Processors,
    data: bytearray,
    array: int,
    number: int,
    kind: int,
    mine: dict[int, tuple[int, ...]],
    everything: dict[int, tuple[int, ...]],
) -> None:
    """Before Vista: pairs of pointers, to the processor's own list and to the one that all share.

    Sizes of an odd number of pairs of units wait in the shared lists.
    """
    assert processors.outside is not None
    pointer = scene.pointer
    shared = processors.outside + (scene.machine.processors * 2 + array) * LISTS * _OUTSIDE
    own = processors.outside + (number * 2 + array) * LISTS * _OUTSIDE
    for index in range(LISTS):
        units = index + 1
        in_shared = units // 2 % 2 == 1
        at = _INVENTED_AT + (array * LISTS + index) * 2 * pointer
        data[at : at + 2 * pointer] = scene.word(own + index * _OUTSIDE) + scene.word(shared + index * _OUTSIDE)
        waits = () if in_shared else mine.get(units, ())
        scene.nonpaged.put(own + index * _OUTSIDE, _list(scene, own + index * _OUTSIDE, index, kind, waits))
        if number == 0:
            waits = everything.get(units, ()) if in_shared else ()
            scene.nonpaged.put(shared + index * _OUTSIDE, _list(scene, shared + index * _OUTSIDE, index, kind, waits))


def lookaside_list(scene: Scene, address: int, index: int, kind: int, waits: tuple[int, ...]) -> bytes:
    """A list at ``address`` for blocks of ``index`` + 1 units in which these headers wait."""
    return _list(scene, address, index, kind, waits)


def _list(scene: Scene, address: int, index: int, kind: int, waits: tuple[int, ...]) -> bytes:
    unit = form_of(scene.pointer).unit
    served, freed = 7 * len(waits) + index, 8 * len(waits) + index
    counts = (served + 5, served, freed + 3, freed, kind)
    first = waits[0] + unit if waits else 0
    body = struct.pack("<HHIIIII4sI", _DEPTH, _MAXIMUM, *counts, TAG, (index + 1) * unit)
    return slist_head(scene, address, first, len(waits)) + body


def slist_head(scene: Scene, address: int, first: int, depth: int) -> bytes:
    """The head of a singly linked list at ``address`` in the form of this Windows."""
    if scene.pointer == 4:
        return struct.pack("<IHH", first, depth, 3)
    if scene.layout.windows.build in _EIGHT_BYTE_FORM:
        if first and first & ~_LOW_43 != address & ~_LOW_43:
            raise ValueError("an entry lies too far from its list's head")
        return struct.pack("<QQ", depth | 5 << 16 | (first & _LOW_43) >> 4 << 25, 0)
    bit = 1 if scene.layout.windows.build < _NX else 0  # says that it is of this form; 8 knows no other
    return struct.pack("<QQ", depth | 5 << 16, first | bit)


def _link(scene: Scene, ring: list[tuple[int, bytearray, int]]) -> None:
    """The ring of all lists of the pool; those of the system's and of drivers' lists are empty."""
    for name in ("ExPoolLookasideListHead", *_EMPTY_RINGS):
        members = ring if name == "ExPoolLookasideListHead" else []
        head = scene.image.address(name)
        if head is None:
            continue
        offset, width = _LIST_ENTRY[scene.pointer], 2 * scene.pointer
        links = scene.list_links(head, [address + offset for address, _data, _at in members])
        scene.image.put(name, links[0])
        for (_address, data, at), link in zip(members, links[1:], strict=True):
            data[at + offset : at + offset + width] = link
