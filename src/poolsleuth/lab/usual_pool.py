"""The tags and big allocations of a usual machine. Drawn by chance, the same for a seed."""

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from poolsleuth.lab.machine import (
    BIG_PAGE_ROW,
    FREED,
    IN_USE,
    PAGE,
    BigPages,
    PoolUse,
    SimulatedWindows,
    TagUse,
)

_KNOWN = (
    "Irp ", "File", "Thre", "Proc", "Even", "MmSt", "Ntff", "NtFs", "FMfn", "CM25", "CM31", "CM16", "AfdC", "AfdB",
    "TcpE", "NDpb", "NDam", "Vad ", "MmCa", "MmSe", "Toke", "SeTl", "Key ", "Obtb", "ObNm", "Sema", "Muta", "Wmip",
    "EtwB", "EtwR", "VoSm", "Pool", "Ddk ", "Devi", "Driv", "IoNm", "FSim", "LSwi", "LSbf", "MPsc", "RxIr", "Usb ",
    "HidC", "VidP", "DxgK", "Cont", "MmCm", "Io  ", "Dh 0", "8042", "AcpM", "Pcic", "ScPM", "ScC1", "Tedd", "Gh05",
    "Gla1", "Usqu", "Uspi", "Ttfd", "Bitm", "NtFB", "NtfF", "smNp", "Hal ", "KsoP", "CcSc", "CcVm", "Mdl ", "ThPr",
    "WfpC", "WPCT", "fpim", "UlHT", "DmVs",
)  # fmt: skip
# Tags of Windows Vista and later, and what stands in their places before
_BEFORE_VISTA = {"TcpE": "TCPC", "EtwB": "LStr", "EtwR": "RxSc", "DxgK": "Fat ", "WfpC": "CcBc", "smNp": "SeSd"}
# Objects of a machine at work: how many there are for each process, and the bytes of one. Their number follows from
# what the machine does, not from what is left of the pool
_OBJECTS: dict[str, tuple[bool, float, int]] = {
    "Proc": (False, 1, 2560),
    "Thre": (False, 14, 2304),
    "File": (False, 110, 416),
    "Even": (False, 95, 128),
    "Sema": (False, 18, 112),
    "Muta": (False, 9, 128),
    "Toke": (True, 8, 1536),
    "Key ": (True, 60, 160),
    "Obtb": (True, 2, 4096),
    "ObNm": (True, 30, 64),
}
_MOST_OF = {"Driv": 240, "Devi": 900}
"""Objects that drivers make: no machine has many, however large its pools are."""
OBJECT_TAGS = frozenset(_OBJECTS)
"""Their number follows from the machine's processes."""
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_ODD = "Ab\x01c"  # drivers have used bytes that no one can print
# Pages from the start of a pool: where big allocations begin, and what lies between the areas of 32-bit Windows
_FIRST_X86, _FIRST_X64 = 0x0080_0000 // PAGE, 0x4000_0000 // PAGE
_LAST_X86, _LAST_X64 = 0x0680_0000 // PAGE, 0x40_0000_0000 // PAGE
_FIRST_NX, _VISTA = 9200, 6000


@dataclass(frozen=True, slots=True)
class BigGroup:
    """Big allocations of one tag: how many, in which pool, and how many bytes each has at least and at most."""

    tag: str
    paged: bool
    count: int
    smallest: int
    largest: int


def tag_names(count: int, random: Random, build: int) -> list[str]:
    """So many different tags: known ones first, then drawn ones, and one that cannot be printed."""
    known = [_BEFORE_VISTA.get(tag, tag) for tag in _KNOWN] if build < _VISTA else _KNOWN
    names = [*known[: max(count - 1, 1)], _ODD][:count]
    seen = set(names)
    while len(names) < count:
        name = "".join(random.choice(_LETTERS) for _ in range(4))
        if name not in seen:
            seen.add(name)
            names.append(name)
    return names


def usual_tags(names: list[str], nonpaged: int, paged: int, random: Random, processes: int) -> dict[str, TagUse]:
    """Uses that add up to about these bytes: few tags hold most, as on every machine. Objects go by its processes."""
    found: dict[str, TagUse] = {}
    weight = sum(1 / (i + 3) for i in range(len(names)))
    for i, name in enumerate(names):
        share = 1 / (i + 3) / weight
        if name in _OBJECTS:
            found[name] = _objects(name, processes, random)
            continue
        found[name] = TagUse(
            tag=name,
            nonpaged=_use(int(nonpaged * share * random.uniform(0.2, 1.8)), random) if i % 3 != 1 else PoolUse(),
            paged=_use(int(paged * share * random.uniform(0.2, 1.8)), random) if i % 3 else PoolUse(),
        )
        if name in _MOST_OF:
            use = found[name]
            found[name] = TagUse(name, _at_most(use.nonpaged, _MOST_OF[name]), _at_most(use.paged, _MOST_OF[name]))
    # One tag was so busy that counters of 32 bits went round
    busy = found[names[0]]
    over = 5 << 32
    found[names[0]] = TagUse(
        busy.tag,
        PoolUse(busy.nonpaged.allocs + over, busy.nonpaged.frees + over, busy.nonpaged.bytes),
        busy.paged,
    )
    return found


def _use(held: int, random: Random) -> PoolUse:
    each = random.choice((32, 48, 64, 96, 160, 256, 336, 1024, 2064))
    blocks = held // each
    freed = random.randrange(0, 50 * blocks + 200)
    return PoolUse(allocs=freed + blocks, frees=freed, bytes=blocks * each)


def _at_most(use: PoolUse, blocks: int) -> PoolUse:
    """The same with no more blocks than that."""
    if use.outstanding <= blocks:
        return use
    return PoolUse(use.frees + blocks, use.frees, use.bytes // use.outstanding * blocks)


def _objects(tag: str, processes: int, random: Random) -> TagUse:
    in_paged, each, size = _OBJECTS[tag]
    blocks = max(1, int(processes * each * random.uniform(0.8, 1.2)))
    freed = random.randrange(0, 50 * blocks + 200)
    use = PoolUse(allocs=freed + blocks, frees=freed, bytes=blocks * size)
    return TagUse(tag=tag, paged=use) if in_paged else TagUse(tag=tag, nonpaged=use)


def add_use(use: PoolUse, blocks: int, size: int) -> PoolUse:
    """The same with more blocks that were never freed."""
    return PoolUse(use.allocs + blocks, use.frees, use.bytes + size)


def big_pages(
    windows: SimulatedWindows, groups: list[BigGroup], random: np.random.Generator, *, freed: float = 0.05
) -> BigPages:
    """The allocations, and as ``freed`` says some that were freed. Addresses are offsets into their pool, and the order
    is theirs: the simulation moves both to where the kernel would have them."""
    total = sum(group.count for group in groups)
    stale = int(total * freed)
    paged = np.repeat([group.paged for group in groups], [group.count for group in groups]).astype(np.bool_)
    sizes = np.concatenate(
        [random.integers(group.smallest, group.largest + 1, group.count, dtype=np.int64) for group in groups]
        or [np.zeros(0, np.int64)]
    )
    if windows.build < _VISTA:
        sizes = -(-sizes // PAGE) * PAGE  # the table counts pages
    names = np.repeat(
        np.array([group.tag.encode("latin-1") for group in groups], "S4"), [group.count for group in groups]
    )
    rows = np.zeros(total + stale, BIG_PAGE_ROW)
    rows["bytes"][:total] = sizes
    rows["tag"][:total] = names
    rows["pool_type"][:total] = np.where(paged, 1, 0x200 if windows.build >= _FIRST_NX else 0)
    rows["state"][:total] = IN_USE
    if stale:
        copied = random.integers(0, total, stale)
        rows[total:] = rows[:total][copied]
        rows["state"][total:] = FREED
    rows["address"] = _addresses(windows, rows, random)
    return BigPages(rows)


def _addresses(windows: SimulatedWindows, rows: "NDArray[np.void]", random: np.random.Generator) -> NDArray[np.uint64]:
    """Offsets that do not overlap within a pool: allocations in a random order, with gaps between them."""
    offsets = np.zeros(len(rows), dtype=np.int64)
    first, last = (_FIRST_X64, _LAST_X64) if windows.architecture == "x64" else (_FIRST_X86, _LAST_X86)
    for pool in (0, 1):
        chosen = np.flatnonzero((rows["pool_type"] & 1) == pool)
        random.shuffle(chosen)
        pages = (rows["bytes"][chosen].astype(np.int64) + PAGE - 1) // PAGE
        gaps = random.integers(0, 2 if windows.architecture == "x86" else 8, len(chosen))
        ends = first + np.cumsum(pages + gaps)
        if len(ends) and ends[-1] > last:
            raise ValueError("so many big allocations do not fit into the address space of this Windows")
        offsets[chosen] = ends - pages
    return (offsets * PAGE).astype(np.uint64)
