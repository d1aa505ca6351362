"""Where the lookaside lists of a kernel lie: in its processors' control blocks, in its own lists of them, in sessions.

Every processor has lists of small pool blocks, 32 sizes of each pool, and lists of fixed structures. From public symbol
files: up to Server 2003 the control block (KPRCB) holds pairs of pointers (P to the processor's own list, L to the one
that all share), from Vista on the pool's lists themselves. Without symbols the block is searched for what cannot be
there by accident: 32 lists (or pointers to them) with the tag ``Pool`` whose sizes are one unit, two, three and so on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.addresses import is_kernel_address, kernel_start
from poolsleuth.kernel.linked_lists import walk_list
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Field

MAX_PROCESSORS = 2048  # slots of KiProcessorBlock in the largest kernel
MAX_HEADED = 1 << 16  # lists that one head leads to: drivers make some hundreds
SMALL_LISTS = 32  # sizes of small blocks that have lists of their own, in every kernel
MAX_TRIED = 1 << 16  # places in all control blocks at which pointers to lists are looked at: 2,048 with 32 each
_SESSION_LISTS = 64  # of a session: 21 to 26 in known kernels
_BLOCK_BYTES = 0x8000  # of a processor's control block that are searched: its lists lie in the first 0x4000
_POOL_TAG = int.from_bytes(b"Pool", "little")
_STRIDES = {4: (0x48, 0x80), 8: (0x60, 0x80)}  # bytes of a list inside a control block


class LookasideFamily(StrEnum):
    """Whose list it is. What waits in POOL and SESSION lists was freed: the tag's totals no longer count it.

    What waits in the others is still counted: its owner keeps the block for the next time.
    """

    POOL = "pool"
    SESSION = "session"
    SYSTEM = "system"
    NONPAGED = "nonpaged"
    PAGED = "paged"


@dataclass(frozen=True, slots=True)
class LookasidePlace:
    """A list: its address, whose it is, its number in an array, and the processor it belongs to (None: to all)."""

    address: int
    family: LookasideFamily
    array: str
    index: int | None
    processor: int | None


_POOL_ARRAYS = ("PPNPagedLookasideList", "PPNxPagedLookasideList", "PPPagedLookasideList")
_PAIRS = "PPLookasideList"
_HEADS = (
    (("ExPoolLookasideListHead",), LookasideFamily.POOL),
    (("ExSystemLookasideListHead",), LookasideFamily.SYSTEM),
    (("ExNPagedLookasideListHead", "ExpNonPagedLookasideListHead"), LookasideFamily.NONPAGED),
    (("ExPagedLookasideListHead", "ExpPagedLookasideListHead"), LookasideFamily.PAGED),
)
_GLOBAL_ARRAYS = ("ExpSmallNPagedPoolLookasideLists", "ExpSmallPagedPoolLookasideLists")


def lookaside_places(
    kernel: Kernel, size_place: Field, tag_place: Field, entry_place: Field, says: list[str]
) -> Iterator[LookasidePlace]:
    """All lists of the system's own memory, those of processors first; an address can come more than once.

    The fields are those of a list that tell its block size, its tag and its own LIST_ENTRY.
    """
    processors = _processors(kernel)
    if not processors:
        says.append("the processors' control blocks cannot be found: their lookaside lists are not read")
    missing = 0
    tries = [MAX_TRIED]
    for number, block in enumerate(processors):
        known = list(_by_symbols(kernel, number, block))
        if not known:
            known = list(_by_shape(kernel, number, block, size_place, tag_place, tries))
        missing += not known
        yield from known
    if missing:
        says.append(f"the lookaside lists of {missing:,} processors cannot be found")
    stride = _STRIDES[kernel.pointer_size][-1]
    for name in _GLOBAL_ARRAYS:
        start = kernel.address(name)
        for i in range(SMALL_LISTS if start is not None else 0):
            yield LookasidePlace((start or 0) + i * stride, LookasideFamily.POOL, name, i, None)
    for names, family in _HEADS:
        head = next((address for name in names if (address := kernel.address(name)) is not None), None)
        if head is None:
            continue
        walk = walk_list(kernel.memory, head, MAX_HEADED)
        if walk.says is not None:
            says.append(f"lookaside lists ({names[0]}): {walk.says}")
        for entry in walk.entries.tolist():
            yield LookasidePlace(entry - entry_place.offset, family, names[0], None, None)


def session_places(kernel: Kernel, session: int) -> Iterator[LookasidePlace]:
    """The lists in the session space at ``session``; to be read through the session's memory."""
    place = kernel.place("_MM_SESSION_SPACE", "Lookaside")
    if place is None or not place.size or not 1 < place.count <= _SESSION_LISTS:
        return
    stride = place.size // place.count
    for i in range(place.count):
        address = session + place.offset + i * stride
        yield LookasidePlace(address, LookasideFamily.SESSION, "Lookaside", i, None)


def _processors(kernel: Kernel) -> list[int]:
    start, width = kernel.address("KiProcessorBlock"), kernel.pointer_size
    found: list[int] = []
    for i in range(min(kernel.processors or MAX_PROCESSORS, MAX_PROCESSORS) if start is not None else 0):
        pointer = kernel.memory.pointer((start or 0) + i * width)
        if pointer is None or not is_kernel_address(pointer, width):
            break
        found.append(pointer)
    return found


def _by_symbols(kernel: Kernel, processor: int, block: int) -> Iterator[LookasidePlace]:
    width = kernel.pointer_size
    for name in (*_POOL_ARRAYS, _PAIRS):
        place = kernel.place("_KPRCB", name)
        if place is None or not place.size or not 1 < place.count <= 256:
            continue
        stride = place.size // place.count
        start = block + place.offset
        if stride == 2 * width:
            family = LookasideFamily.SYSTEM if name == _PAIRS else LookasideFamily.POOL
            yield from _pairs(kernel.memory, start, place.count, family, name, processor)
        elif stride > 2 * width:
            for i in range(place.count):
                yield LookasidePlace(start + i * stride, LookasideFamily.POOL, name, i, processor)


def _pairs(
    memory: Reader, start: int, count: int, family: LookasideFamily, name: str, processor: int
) -> Iterator[LookasidePlace]:
    width = memory.pointer_size
    raw = memory.read(start, 2 * count * width)
    if raw is None:
        return
    pointers = np.frombuffer(raw, f"<u{width}").tolist()
    for i in range(count):
        own, shared = pointers[2 * i], pointers[2 * i + 1]
        if is_kernel_address(own, width) and own != shared:
            yield LookasidePlace(own, family, name, i, processor)
        if is_kernel_address(shared, width):
            yield LookasidePlace(shared, family, name, i, None)


def _by_shape(
    kernel: Kernel, processor: int, block: int, size: Field, tag: Field, tries: list[int]
) -> Iterator[LookasidePlace]:
    """The pool's lists of a control block whose layout is not known. ``tries`` is how many places may be looked at."""
    raw = b""
    for step in range(0, _BLOCK_BYTES, 0x1000):
        part = kernel.memory.read(block + step, 0x1000 - (block & 0xFFF if step == 0 else 0))
        if step == 0 and part is not None and block & 0xFFF:
            rest = kernel.memory.read(block + len(part), block & 0xFFF)
            part = part + rest if rest is not None else part
        if part is None:
            break
        raw += part
        if len(part) < 0x1000:
            break
    unit = 2 * kernel.pointer_size
    sizes = np.arange(1, SMALL_LISTS + 1, dtype=np.uint32) * np.uint32(unit)
    words = np.frombuffer(raw[: len(raw) // 4 * 4], "<u4")
    tagged = np.flatnonzero(words == _POOL_TAG) * 4 - tag.offset
    number = 0
    for stride in _STRIDES[kernel.pointer_size]:
        reach = (SMALL_LISTS - 1) * stride
        begins = tagged[(tagged >= 0) & (tagged + reach + size.offset + 4 <= len(raw))]
        columns = words[(begins[:, None] + size.offset + np.arange(SMALL_LISTS) * stride) // 4]
        for begin in begins[(columns == sizes).all(axis=1)].tolist():
            for i in range(SMALL_LISTS):
                address = block + begin + i * stride
                yield LookasidePlace(address, LookasideFamily.POOL, f"array {number}", i, processor)
            number += 1
    if not number:
        yield from _pointers_by_shape(kernel, processor, block, raw, size, tag, tries)


def _pointers_by_shape(
    kernel: Kernel, processor: int, block: int, raw: bytes, size: Field, tag: Field, tries: list[int]
) -> Iterator[LookasidePlace]:
    width, memory = kernel.pointer_size, kernel.memory
    unit = 2 * width
    pointers = np.frombuffer(raw[: len(raw) // width * width], f"<u{width}")
    good = (pointers >= kernel_start(width)) & (pointers <= (1 << 8 * width) - 0x1000)
    runs = np.concatenate(([0], np.cumsum(good)))
    most = 2 * SMALL_LISTS
    starts = np.flatnonzero(runs[most:] - runs[:-most] == most) if len(runs) > most else np.empty(0, np.int64)
    behind = number = 0
    for at in starts.tolist():
        if at < behind:
            continue
        tries[0] -= 1
        if tries[0] < 0:
            return
        listed = pointers[at : at + most : 2].tolist()
        if all(
            memory.number(address + size.offset, 4) == (i + 1) * unit
            and memory.number(address + tag.offset, 4) == _POOL_TAG
            for i, address in enumerate(listed)
        ):
            name = f"array {number}"
            yield from _pairs(memory, block + at * width, SMALL_LISTS, LookasideFamily.POOL, name, processor)
            behind, number = at + most, number + 1
