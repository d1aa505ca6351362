"""The figures of memory, pools and sessions that fit what the tags hold. Drawn by chance, the same for a seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from poolsleuth.lab.allocator.classic import ClassicPool
from poolsleuth.lab.machine import PAGE, Memory, PoolDescriptor, PoolUse, Session, SimulatedWindows, TagUse
from poolsleuth.lab.usual_lists import usual_page_files

MB, GB, TB = 1 << 20, 1 << 30, 1 << 40
_SLACK = 1.06  # what is free inside of pages that are in use, against what the tags hold
_ALWAYS = 300  # pages that no tag accounts for
_PAGED_POOLS = 5
_FIRST_DYNAMIC, _FIRST_NX, _VISTA, _SERVER_2003 = 9200, 9200, 6000, 3790

Pool = Literal["nonpaged", "paged"]
_POOLS: tuple[Pool, Pool] = ("nonpaged", "paged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Allocations that failed: how many, by pool (nonpaged, paged, session) and priority, by reason."""

    count: int = 0
    by_pool: tuple[tuple[int, int, int], ...] = ((0, 0, 0),) * 3
    reasons: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CutPages:
    """Pages of one pool that are really there: ``held`` bytes of tags lie in them, ``cut`` bytes are not free.

    The difference waits in lookaside lists. ``index`` is the pool's among those of its kind.
    """

    index: int = 0
    pages: int = 0
    held: int = 0
    cut: int = 0

    @classmethod
    def of(cls, pool: ClassicPool) -> "CutPages":
        """Those of a pool."""
        held = sum(use.bytes for use in pool.uses().values())
        return cls(index=pool.index, pages=len(pool.rows), held=held, cut=pool.bytes_cut)


_NONE = CutPages()


def use_of(use: TagUse, pool: Pool) -> PoolUse:
    """What a tag has in one pool."""
    return use.paged if pool == "paged" else use.nonpaged


def bytes_of(tags: list[TagUse], pool: Pool) -> int:
    """What all tags hold in one pool."""
    return sum(use_of(use, pool).bytes for use in tags)


def pool_limits(windows: SimulatedWindows, ram_bytes: int) -> dict[Pool, int]:
    """Most bytes of each pool, as that Windows prints them; since 8 that is the address space, not a limit."""
    if windows.build >= _FIRST_DYNAMIC and windows.architecture == "x64":
        return {"nonpaged": 16 * TB, "paged": 16 * TB}
    if windows.architecture == "x64":
        return {"nonpaged": min(ram_bytes * 3 // 4, 128 * GB), "paged": 128 * GB}
    if windows.build >= _VISTA:
        return {"nonpaged": min(ram_bytes * 3 // 4, 2 * GB), "paged": 2 * GB - 4 * MB}
    return {
        "nonpaged": min(256 * MB, ram_bytes // 2),
        "paged": (360 if windows.build >= _SERVER_2003 else 352) * MB,
    }


def used_pages(tags: list[TagUse], pool: Pool, cut: CutPages = _NONE) -> int:
    """Pages that a pool takes up: those that are really there, and about what the rest of the tags' bytes needs."""
    return pages_for(bytes_of(tags, pool), cut)


def pages_for(held: int, cut: CutPages = _NONE) -> int:
    """The same where the bytes that the tags hold are known."""
    return -(-int((held - cut.held) * _SLACK) // PAGE) + _ALWAYS + cut.pages


def bytes_in(pages: int) -> int:
    """About what tags hold in so many pages more."""
    return int(pages * PAGE / _SLACK)


def room_for(used_bytes: int) -> int:
    """What tags can hold in a pool that takes up so many bytes."""
    return int((used_bytes - _ALWAYS * PAGE) / _SLACK)


def sums_of(tags: list[TagUse]) -> dict[Pool, PoolUse]:
    """What all tags together did in each pool."""
    found: dict[Pool, PoolUse] = {}
    for pool in _POOLS:
        uses = [use_of(use, pool) for use in tags]
        found[pool] = PoolUse(sum(u.allocs for u in uses), sum(u.frees for u in uses), sum(u.bytes for u in uses))
    return found


def usual_descriptors(
    windows: SimulatedWindows, sums: Mapping[Pool, PoolUse], cut: Mapping[Pool, CutPages]
) -> tuple[PoolDescriptor, ...]:
    """The pools' own counters: two of nonpaged pool since 8 (the second not executable), five of paged pool.

    ``sums`` is what all tags together did in each pool.
    """
    found: list[PoolDescriptor] = []
    pools: tuple[tuple[Pool, int], ...] = (
        ("nonpaged", 2 if windows.build >= _FIRST_NX else 1),
        ("paged", _PAGED_POOLS),
    )
    for pool, parts in pools:
        real = cut.get(pool, _NONE)
        allocs, frees, held = sums[pool].allocs, sums[pool].frees, sums[pool].bytes
        total = pages_for(held, real) - real.pages
        for index in range(parts):
            share = total // parts if index else total - total // parts * (parts - 1)
            big = share // 3
            mine = real if index == real.index else _NONE
            found.append(
                PoolDescriptor(
                    paged=pool == "paged",
                    index=index,
                    running_allocs=allocs // parts & 0xFFFF_FFFF,
                    running_frees=frees // parts & 0xFFFF_FFFF,
                    pages=share - big + mine.pages,
                    big_pages=big,
                    bytes=(held - real.held) // parts + mine.cut,
                )
            )
    return tuple(found)


def usual_memory(
    windows: SimulatedWindows,
    random: Random,
    ram_bytes: int,
    tags: list[TagUse],
    failures: Failures,
    cut: Mapping[Pool, CutPages],
    *,
    commit_full: bool = False,
) -> Memory:
    """The counters of ``!vm``."""
    pages = ram_bytes // PAGE
    nonpaged = used_pages(tags, "nonpaged", cut.get("nonpaged", _NONE))
    paged = used_pages(tags, "paged", cut.get("paged", _NONE))
    limits = pool_limits(windows, ram_bytes)
    files = usual_page_files(windows, pages)
    limit = pages + files[0].pages
    committed = limit - 3 if commit_full else min(limit - 100, nonpaged + paged + pages // 3)
    ptes = 33_554_432 if windows.architecture == "x64" else 60_000
    return Memory(
        physical=pages,
        available=max(pages // 50, pages - nonpaged - paged // 2 - pages // 3),
        resident_available=max(pages // 40, pages - nonpaged - pages // 6),
        nonpaged_used=nonpaged,
        nonpaged_max=limits["nonpaged"] // PAGE,
        paged_used=paged,
        paged_max=limits["paged"] // PAGE,
        paged_commit=paged,
        nonpaged_commit=nonpaged,
        free_system_ptes=ptes - random.randrange(2000, 9000),
        total_system_ptes=ptes,
        committed=committed,
        commit_limit=limit,
        peak_committed=min(limit, committed + random.randrange(1, 900)),
        shared_commit=random.randrange(1000, 9000),
        driver_commit=random.randrange(1000, 5000),
        process_commit=random.randrange(500, 3000),
        modified=random.randrange(100, 9000),
        modified_no_write=random.randrange(0, 90),
        mdl=random.randrange(0, 900),
        pool_failures=failures.count,
        failures_by_pool=failures.by_pool,
        failure_reasons=dict(failures.reasons),
        page_files=files,
    )


def usual_session(windows: SimulatedWindows, random: Random, number: int, full: float | None) -> Session:
    """A session and its tags; ``full`` is the part of its pool that is used, None for a usual one."""
    limit = 32 * MB if windows.architecture == "x86" else 512 * MB
    share = 0.02 + 0.05 * random.random() if full is None else full
    used = int(limit * share) // PAGE
    tags: list[TagUse] = []
    held = used * PAGE * 9 // 10
    for tag, part in (("Gla1", 0.4), ("Ttfd", 0.3), ("Uspi", 0.1), ("Gh05", 0.05 if full is None else 0.6)):
        each = random.choice((128, 512, 1024, 4096))
        blocks = int(held * part) // 2 // each
        freed = random.randrange(1000, 90_000)
        tags.append(TagUse(tag, paged=PoolUse(freed + blocks, freed, blocks * each)))
    tags.append(TagUse("Late", paged=PoolUse(7, 2, 5 * 64), expansion=True))
    return Session(
        id=number,
        used_pages=used,
        limit_bytes=limit,
        committed_pages=used + random.randrange(100, 900),
        failures=(0, 0, 0, 0) if full is None else (212, 0, 0, 0),
        tags=tuple(tags),
    )
