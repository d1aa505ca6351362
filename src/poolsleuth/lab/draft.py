"""A usual machine that is being thought out: how large it is, what it holds, and the figures that fit."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np

from poolsleuth.lab.allocator.classic import ClassicPool
from poolsleuth.lab.allocator.figures import pages_of
from poolsleuth.lab.contents import BlockContents
from poolsleuth.lab.leaks import lay_big, lay_blocks
from poolsleuth.lab.machine import (
    BIG_PAGE_ROW,
    IN_USE,
    PAGE,
    BigPages,
    BugCheck,
    Hidden,
    Machine,
    PoolUse,
    SimulatedWindows,
    TagUse,
)
from poolsleuth.lab.pool_tables import table_slots
from poolsleuth.lab.segment_heap.usual import UsualHeaps, usual_heaps
from poolsleuth.lab.usual_blocks import usual_pools
from poolsleuth.lab.usual_figures import (
    GB,
    MB,
    CutPages,
    Failures,
    Pool,
    bytes_of,
    pool_limits,
    room_for,
    sums_of,
    use_of,
    usual_descriptors,
    usual_memory,
    usual_session,
)
from poolsleuth.lab.usual_lists import usual_modules, usual_processes, usual_resources, usual_unloaded
from poolsleuth.lab.usual_pool import BigGroup, add_use, big_pages, tag_names, usual_tags
from poolsleuth.model.errors import InputError

MOST_RAM = {"x86": 3 * GB, "pae": 64 * GB, "x64": 2048 * GB}
"""Bytes of memory by kind of page table: without PAE what lies below the hole for devices."""
LEAST_RAM = 64 * MB
MOST_PROCESSORS = {"x86": 32, "x64": 256}
MOST_TAGS = {"x86": 4000, "x64": 100_000}
LEAST_TAGS = 16
_TAG_ROW = 0x50  # the largest row of a tag table
_MOST_TABLE_BYTES = GB  # all tag tables are made in memory
USUALLY_HIDDEN = Hidden(transition=0.2)
_FIRST_WITH_EXPANSION, _FIRST_SCRAMBLED = 6000, 9200
_SESSIONS = (0, 1)
LEAKED_PAIRS = 64
"""Allocations of two pages that a leaking tag has in memory."""
# A machine whose pool fragments has less in nonpaged pool than the article's, so that it is made in a second
ARTICLE_BYTES, MOST_FRAGMENTED = 12 * MB, 8000
"""Bytes that usual tags have in its nonpaged pool, and pages of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large the machine is. ``big_allocations``: about so many rows of the big-page table are in use."""

    ram_bytes: int
    processors: int
    tags: int
    big_allocations: int
    processes: int = 18


@dataclass(slots=True)
class Draft:
    """A machine that is being thought out: a story changes it."""

    windows: SimulatedWindows
    size: Size
    tags: dict[str, TagUse]
    story: str = "healthy"
    seed: int = 0
    names: list[str] = field(default_factory=list)
    """The tags of the usual machine."""
    small: dict[str, TagUse] = field(default_factory=dict)
    """What its tags held before big allocations and cut pages were added: what may come and go."""
    big: BigPages = field(default_factory=lambda: BigPages(np.zeros(0, BIG_PAGE_ROW)))
    figures: Random = field(default_factory=Random)
    drivers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    contents: list[BlockContents] = field(default_factory=list)
    changes: list[Callable[[Machine], Machine]] = field(default_factory=list)
    full_sessions: dict[int, float] = field(default_factory=dict)
    failures: Failures = Failures()
    commit_full: bool = False
    pools: dict[Pool, ClassicPool] = field(default_factory=dict)
    heaps: UsualHeaps = field(default_factory=lambda: UsualHeaps([]))
    random: Random = field(default_factory=Random)
    bug_check: BugCheck = BugCheck(0xE2, (0, 0, 0, 0))  # MANUALLY_INITIATED_CRASH

    def add(self, tag: str, pool: Pool, *, blocks: int, size: int) -> None:
        """More blocks of a tag, ``size`` bytes in all, that nobody freed."""
        use = self.tags.get(tag, TagUse(tag))
        grown = add_use(use_of(use, pool), blocks, size)
        self.tags[tag] = replace(use, paged=grown) if pool == "paged" else replace(use, nonpaged=grown)

    def leak(self, tag: str, pool: Pool, *, size: int, each: int) -> None:
        """About ``size`` bytes in blocks of ``each`` that nobody freed; some of them are really in memory."""
        count = size // each
        heaps = self.heaps.of(pool)
        laid_in = self.pools.get(pool) or (heaps[-1] if heaps else None)
        count -= lay_blocks(laid_in, self.windows.pointer, tag, count, each)
        self.add(tag, pool, blocks=count, size=count * each)

    def leak_pages(self, tag: str, pool: Pool, *, count: int) -> None:
        """So many allocations of two pages that nobody freed, all of them in memory."""
        self.big = BigPages(lay_big(self.windows, self.big.rows, tag, pool, count))
        self.add(tag, pool, blocks=count, size=count * 2 * PAGE)

    def room(self, pool: Pool) -> int:
        """About the bytes that a leak can take before the pool is nearly full."""
        limit = pool_limits(self.windows, self.size.ram_bytes)[pool]
        most = int(min(limit * 0.95, self.size.ram_bytes * 0.55))
        return max(MB, room_for(most) - bytes_of(list(self.tags.values()), pool) - self.pool_pages(pool) * PAGE)

    def pool_pages(self, pool: Pool) -> int:
        """Pages that are cut into blocks so far."""
        return len(self.pools[pool].rows) if pool in self.pools else self.heaps.pages(pool)

    def count_blocks(self) -> None:
        """What was allocated and freed in pages that are really there belongs to the tags, too."""
        found = {name: pool.uses() for name, pool in self.pools.items()} | self.heaps.uses_by_pool()
        for name, uses in found.items():
            for tag, use in uses.items():
                old = self.tags.get(tag, TagUse(tag))
                sums = use_of(old, name)
                more = PoolUse(sums.allocs + use.allocs, sums.frees + use.frees, sums.bytes + use.bytes)
                self.tags[tag] = replace(old, paged=more) if name == "paged" else replace(old, nonpaged=more)


def small_size() -> Size:
    """A machine for tests: 64 MB."""
    return Size(ram_bytes=LEAST_RAM, processors=2, tags=80, big_allocations=40, processes=10)


def make_draft(
    windows: SimulatedWindows,
    story: str,
    change: Callable[[Draft], None],
    *,
    seed: int,
    size: Size,
    most_nonpaged: int | None = None,
) -> Draft:
    """A usual machine of that size to which something happened; the blocks of its pages are not counted yet.

    ``most_nonpaged`` bounds the bytes that usual tags have in nonpaged pool.

    Raises InputError for a size that no such machine can have.
    """
    _check(windows, size)
    chosen = size
    random = Random(f"{windows.name}/{story}/{seed}")
    arrays = np.random.default_rng(random.getrandbits(63))
    names = tag_names(chosen.tags, random, windows.build)
    most = chosen.ram_bytes if most_nonpaged is None else most_nonpaged
    nonpaged, paged = _usual_bytes(windows, chosen, most)
    draft = Draft(windows, chosen, usual_tags(names, nonpaged, paged, random, chosen.processes))
    draft.story, draft.seed, draft.names, draft.figures = story, seed, names, random
    draft.small = dict(draft.tags)
    draft.random = Random(f"blocks of {windows.name}/{story}/{seed}")  # its own: other figures stay what they were
    draft.pools = usual_pools(windows, names, draft.random)
    draft.heaps = usual_heaps(windows, names, draft.random, ram_bytes=chosen.ram_bytes, sessions=_SESSIONS)
    groups = _big_groups(windows, names, chosen, random, most)
    try:
        draft.big = big_pages(windows, groups, arrays)
    except ValueError as error:
        raise InputError(str(error)) from error
    _count_big(draft, groups, draft.big)
    change(draft)
    return draft


def check_hidden(windows: SimulatedWindows, hidden: Hidden, *, kdbg_encoded: bool) -> None:
    """Raises InputError for what a dump cannot lack, and for a Windows that does not scramble its data block."""
    if not 0 <= hidden.transition + hidden.paged_out <= 1 or not 0 <= hidden.left_out <= 1:
        raise InputError("the parts of paged pool in transition and paged out must not be more than 1 together")
    if kdbg_encoded and (windows.architecture == "x86" or windows.build < _FIRST_SCRAMBLED):
        raise InputError("the debugger data block is scrambled on 64-bit Windows 8 and later only")


def _check(windows: SimulatedWindows, size: Size) -> None:
    if not LEAST_RAM <= size.ram_bytes <= MOST_RAM[windows.mode] or size.ram_bytes % PAGE:
        most = MOST_RAM[windows.mode] // GB
        raise InputError(f"{windows.name} is simulated with 64 MB to {most:,} GB of memory, in whole pages")
    if not 1 <= size.processors <= MOST_PROCESSORS[windows.architecture]:
        most = MOST_PROCESSORS[windows.architecture]
        raise InputError(f"{windows.name} is simulated with 1 to {most} processors")
    if not LEAST_TAGS <= size.tags <= MOST_TAGS[windows.architecture]:
        most = MOST_TAGS[windows.architecture]
        raise InputError(f"{windows.name} is simulated with {LEAST_TAGS} to {most:,} tags")
    tables = size.processors * table_slots(size.tags) * _TAG_ROW
    if tables > min(size.ram_bytes // 2, _MOST_TABLE_BYTES):
        raise InputError(
            f"the tag tables of {size.processors} processors with {size.tags:,} tags take up {tables // MB:,} MB:"
            " that is more than half of the memory, or than 1 GB"
        )


def _usual_bytes(windows: SimulatedWindows, size: Size, most: int) -> tuple[int, int]:
    limits = pool_limits(windows, size.ram_bytes)
    nonpaged, paged = (min(limits[pool], size.ram_bytes) for pool in ("nonpaged", "paged"))
    return min(nonpaged // 12, 400 * MB, most), min(paged // 10, 600 * MB)


def _big_groups(windows: SimulatedWindows, names: list[str], size: Size, random: Random, held: int) -> list[BigGroup]:
    """Big allocations of every tenth tag, about a tenth of the memory or of the smaller pool in all."""
    most = min(size.ram_bytes, held * 10, *pool_limits(windows, size.ram_bytes).values()) // 10
    chosen = names[::10]
    each = max(1, size.big_allocations // len(chosen))
    spread = each // 4
    largest = max(PAGE, min(64 * PAGE, most // max(size.big_allocations, 1)))
    return [
        BigGroup(
            tag,
            paged=i % 2 == 1,
            count=each + random.randrange(-spread, spread + 1),
            smallest=PAGE,
            largest=largest,
        )
        for i, tag in enumerate(chosen)
    ]


def _count_big(draft: Draft, groups: list[BigGroup], big: BigPages) -> None:
    """What the table holds belongs to the tags, too."""
    live = big.rows[big.rows["state"] == IN_USE]
    keys, places, counts = np.unique(live["tag"], return_inverse=True, return_counts=True)
    sums = np.zeros(len(keys), dtype=np.int64)
    np.add.at(sums, places, live["bytes"].astype(np.int64))
    held = {key: (int(count), int(size)) for key, count, size in zip(keys.tolist(), counts, sums, strict=True)}
    for group in groups:
        blocks, size = held.get(group.tag.encode("latin-1"), (0, 0))
        draft.add(group.tag, "paged" if group.paged else "nonpaged", blocks=blocks, size=size)


def finish(draft: Draft, *, kdbg_encoded: bool = False, hidden: Hidden = USUALLY_HIDDEN) -> Machine:
    """The machine that a draft describes: lists and figures that fit its tags."""
    windows, size, names, random = draft.windows, draft.size, draft.names, draft.figures
    booted = datetime(2021, 1, 4, 6, 30, tzinfo=UTC) + timedelta(microseconds=random.randrange(10**12))
    crashed = booted + timedelta(microseconds=random.randrange(10**10, 3 * 10**12))
    tags = _late(list(draft.tags.values()), names, windows)
    cut = {name: CutPages.of(pool) for name, pool in draft.pools.items()} | draft.heaps.cuts()
    machine = Machine(
        windows=windows,
        story=draft.story,
        seed=draft.seed,
        processors=size.processors,
        physical_bytes=size.ram_bytes,
        booted_at=booted,
        crashed_at=crashed,
        bug_check=draft.bug_check,
        tags=tuple(tags),
        table_size=table_slots(len(tags)),
        big_pages=draft.heaps.with_big(draft.big),
        pool_pages=tuple(pages_of(pool) for pool in draft.pools.values()),
        heaps=draft.heaps.contents(),
        contents=tuple(draft.contents),
        descriptors=usual_descriptors(windows, sums_of(tags), cut),
        memory=usual_memory(windows, random, size.ram_bytes, tags, draft.failures, cut, commit_full=draft.commit_full),
        modules=usual_modules(windows, random, draft.drivers),
        unloaded=usual_unloaded(random, booted),
        resources=usual_resources(random),
        processes=usual_processes(random, _SESSIONS, size.processes),
        sessions=tuple(
            draft.heaps.counted(usual_session(windows, random, number, draft.full_sessions.get(number)))
            for number in _SESSIONS
        ),
        kdbg_encoded=kdbg_encoded,
        hidden=hidden,
    )
    for change in draft.changes:
        machine = change(machine)
    return machine


def _late(tags: list[TagUse], names: list[str], windows: SimulatedWindows) -> list[TagUse]:
    """The last few drawn tags came when the table was full: they stand in the expansion table (since Vista)."""
    late = set(names[len(names) - min(3, len(names) // 20) :]) if windows.build >= _FIRST_WITH_EXPANSION else set()
    return [replace(use, expansion=use.tag in late) for use in tags]
