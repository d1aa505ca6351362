"""Pool pages of a usual machine, and of one whose pool is fragmented: drivers that allocate and free blocks."""

from random import Random

from poolsleuth.lab.allocator.classic import ClassicPool
from poolsleuth.lab.machine import PAGE, SimulatedWindows
from poolsleuth.lab.usual_figures import Pool
from poolsleuth.lab.usual_pool import OBJECT_TAGS

CLASSIC_BEFORE = 17763
"""The lab's kernels from this build on use the segment heap."""
PAGES_OF_EACH_POOL = 120
PAGED_INDEX = 1  # paged pool 0 is the one for whole pages

_LOOKASIDE_DEPTH = 6
_TAGS = 24
_KEPT_OF_TEN = 6  # of ten blocks that are allocated so many stay
_FREED_AT_LAST = 8  # one of so many: the peak of the load is over
_LARGEST = 1400  # bytes of a usual block

# The article's driver: a block that leaves 0xE8 bytes of its page to others
_CHURN, _CHURN_BYTES = "MmCm", 0xF10
_STAYING = ("ReEv",) * 6 + ("MFE0", "MFE0", "Io  ", "Irp ")
_STAYING_BYTES = 0x10
_PASSING = (("Irp ", 0x100, 0x780), ("MFE0", 0x80, 0x9A0), ("Io  ", 0x40, 0x860), ("NtFs", 0x60, 0x5C0))
_WAVES = 2
_STAY = 0.25  # of the small blocks of a wave


def usual_pools(windows: SimulatedWindows, names: list[str], random: Random) -> dict[Pool, ClassicPool]:
    """Both pools of a machine that has run for a while, with about PAGES_OF_EACH_POOL pages; empty without such pools.

    The process that pays for a block is given as a number: that of a process in the machine's list, from 1 on.
    """
    if windows.build >= CLASSIC_BEFORE:
        return {}
    pools: dict[Pool, ClassicPool] = {
        "nonpaged": ClassicPool("nonpaged", windows.pointer, windows.build, lookaside_depth=_LOOKASIDE_DEPTH),
        "paged": ClassicPool(
            "paged", windows.pointer, windows.build, index=PAGED_INDEX, lookaside_depth=_LOOKASIDE_DEPTH
        ),
    }
    tags = [name for name in names if name not in OBJECT_TAGS]
    for pool in pools.values():
        chosen = [(tag, _usual_size(random)) for tag in random.sample(tags, min(_TAGS, len(tags)))]
        _fill(pool, chosen, random)
    return pools


def _usual_size(random: Random) -> int:
    return int(16 * (_LARGEST / 16) ** random.random())


def _fill(pool: ClassicPool, tags: list[tuple[str, int]], random: Random) -> None:
    """Allocate and free until the pool has its pages; each tag has a size of its own, some blocks are of any size."""
    living: list[int] = []
    while len(pool.rows) < PAGES_OF_EACH_POOL:
        for _ in range(10):
            tag, size = random.choice(tags)
            other = random.random()
            if other < 0.1:
                size = random.randrange(1, PAGE - 64)
            process = random.randrange(1, 9) if 0.1 <= other < 0.14 else None
            living.append(pool.allocate(size, tag, protected=0.2 < other < 0.24, quota_process=process))
        for _ in range(10 - _KEPT_OF_TEN):
            at = random.randrange(len(living))
            living[at], living[-1] = living[-1], living[at]
            pool.free(living.pop())
    random.shuffle(living)
    for address in living[: len(living) // _FREED_AT_LAST]:
        pool.free(address)


def fragment(pool: ClassicPool, peak: int, random: Random) -> None:
    """Article 000: a driver takes and gives back blocks of 0xF18 bytes, until the pool has grown to ``peak`` pages.

    While it holds one, others take small blocks from the rest of its page, and more from the top once it is free again.
    The load comes in waves: when one ends nearly everything is freed, but a few blocks of 24 bytes stay, each in the
    middle of its page. There the driver's next block does not fit: it gets a new page. About half of the pages stay.
    """
    began = len(pool.rows)
    for wave in range(1, _WAVES + 1):
        _wave(pool, began + (peak - began) * wave // _WAVES, random)
    held = [pool.allocate(_CHURN_BYTES, _CHURN) for _ in range(max(1, peak // 20))]
    for address in held[::4]:
        pool.free(address)


def _wave(pool: ClassicPool, peak: int, random: Random) -> None:
    """Load until the pool has ``peak`` pages (what is free in old pages is used up first); then most of it is freed."""
    passing: list[int] = []
    staying: list[int] = []
    while len(pool.rows) < peak:
        churned = pool.allocate(_CHURN_BYTES, _CHURN)
        _load(pool, passing, staying, random)
        pool.free(churned)
        _load(pool, passing, staying, random)
    random.shuffle(passing)
    for address in passing:
        pool.free(address)
    random.shuffle(staying)
    for address in staying[int(len(staying) * _STAY) :]:
        pool.free(address)


def _load(pool: ClassicPool, passing: list[int], staying: list[int], random: Random) -> None:
    for _ in range(3):
        tag, least, most = random.choice(_PASSING)
        passing.append(pool.allocate(random.randrange(least, most), tag))
    for _ in range(2):
        staying.append(pool.allocate(_STAYING_BYTES, random.choice(_STAYING)))
