"""What happened to the machine: each story changes a usual machine into one whose trouble is known."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np

from poolsleuth.lab.allocator.classic import ClassicPool
from poolsleuth.lab.allocator.figures import pages_of
from poolsleuth.lab.machine import IN_USE, PAGE, BigPages, BugCheck, Hidden, Machine, PoolUse, SimulatedWindows, TagUse
from poolsleuth.lab.pool_tables import table_slots
from poolsleuth.lab.usual_blocks import fragment, usual_pools
from poolsleuth.lab.usual_figures import (
    GB,
    MB,
    CutPages,
    Failures,
    Pool,
    bytes_of,
    pool_limits,
    room_for,
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
# A machine whose pool fragments has less in nonpaged pool than the article's, so that it is made in a second
_ARTICLE_BYTES, _MOST_FRAGMENTED = 12 * MB, 8000


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
    drivers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    changes: list[Callable[[Machine], Machine]] = field(default_factory=list)
    full_sessions: dict[int, float] = field(default_factory=dict)
    failures: Failures = Failures()
    commit_full: bool = False
    pools: dict[Pool, ClassicPool] = field(default_factory=dict)
    random: Random = field(default_factory=Random)
    bug_check: BugCheck = BugCheck(0xE2, (0, 0, 0, 0))  # MANUALLY_INITIATED_CRASH

    def add(self, tag: str, pool: Pool, *, blocks: int, size: int) -> None:
        """More blocks of a tag, ``size`` bytes in all, that nobody freed."""
        use = self.tags.get(tag, TagUse(tag))
        grown = add_use(use_of(use, pool), blocks, size)
        self.tags[tag] = replace(use, paged=grown) if pool == "paged" else replace(use, nonpaged=grown)

    def leak(self, tag: str, pool: Pool, *, size: int, each: int) -> None:
        """About ``size`` bytes in blocks of ``each`` that nobody freed."""
        self.add(tag, pool, blocks=size // each, size=size // each * each)

    def room(self, pool: Pool) -> int:
        """About the bytes that a leak can take before the pool is nearly full."""
        limit = pool_limits(self.windows, self.size.ram_bytes)[pool]
        most = int(min(limit * 0.95, self.size.ram_bytes * 0.55))
        return max(MB, room_for(most) - bytes_of(list(self.tags.values()), pool) - self.pool_pages(pool) * PAGE)

    def pool_pages(self, pool: Pool) -> int:
        """Pages that are cut into blocks so far."""
        return len(self.pools[pool].rows) if pool in self.pools else 0

    def count_blocks(self) -> None:
        """What was allocated and freed in pages that are really there belongs to the tags, too."""
        for name, pool in self.pools.items():
            for tag, use in pool.uses().items():
                old = self.tags.get(tag, TagUse(tag))
                sums = use_of(old, name)
                more = PoolUse(sums.allocs + use.allocs, sums.frees + use.frees, sums.bytes + use.bytes)
                self.tags[tag] = replace(old, paged=more) if name == "paged" else replace(old, nonpaged=more)


def _healthy(_draft: Draft) -> None:
    """Nothing is wrong."""


def _leak(draft: Draft) -> None:
    draft.drivers["leaky.sys"] = ("ExAllocatePoolWithTag",)
    draft.leak("Leak", "nonpaged", size=draft.room("nonpaged"), each=1024)
    draft.failures = Failures(
        count=37,
        by_pool=((20, 10, 7), (0, 0, 0), (0, 0, 0)),
        reasons=(("NonPagedNoPagesAvailable", 30), ("NonPagedNoPtes", 7)),
    )


def _paged_leak(draft: Draft) -> None:
    draft.drivers["pagehog.sys"] = ("ExAllocatePoolWithTag",)
    draft.leak("HogP", "paged", size=draft.room("paged"), each=2064)
    draft.failures = Failures(
        count=818,
        by_pool=((0, 0, 0), (800, 11, 7), (0, 0, 0)),
        reasons=(("PagedNoPagesAvailable", 11), ("PagedNoPtes", 800), ("PagedNoCommit", 7)),
    )


def _untagged(draft: Draft) -> None:
    draft.drivers["oldcard.sys"] = ("ExAllocatePool", "ExFreePool", "MmAllocateContiguousMemory")
    draft.leak("None", "nonpaged", size=draft.room("nonpaged"), each=272)
    draft.failures = Failures(count=4, by_pool=((4, 0, 0), (0, 0, 0), (0, 0, 0)), reasons=(("NonPagedNoPtes", 4),))


def _session_full(draft: Draft) -> None:
    draft.full_sessions[1] = 0.994
    draft.failures = Failures(
        count=212, by_pool=((0, 0, 0), (0, 0, 0), (0, 12, 200)), reasons=(("SessionPagedNoPtes", 212),)
    )


def _handle_leak(draft: Draft) -> None:
    count = 400_000 if draft.size.ram_bytes >= GB else 20_000
    draft.leak("Even", "nonpaged", size=count * 128, each=128)
    draft.leak("Thre", "nonpaged", size=count // 40 * 1216, each=1216)
    draft.leak("Sema", "nonpaged", size=count // 40 * 112, each=112)
    draft.leak("Toke", "paged", size=count // 60 * 1536, each=1536)
    draft.leak("Obtb", "paged", size=count // 256 * PAGE, each=PAGE)

    def give(machine: Machine) -> Machine:
        *others, last = machine.processes
        return replace(machine, processes=(*others, replace(last, name="handlehog.exe", handles=count)))

    draft.changes.append(give)


def _lock(draft: Draft) -> None:
    draft.leak("CM31", "paged", size=min(64 * MB, draft.room("paged") // 4), each=4096)

    def give(machine: Machine) -> Machine:
        first, *others = machine.resources
        held = replace(
            first,
            owners=first.owners[:1] * 10,
            contention=9_149_810,
            shared_waiters=718,
            exclusive_waiters=21,
            table_size=16,
        )
        return replace(machine, resources=(held, *others))

    draft.changes.append(give)


def _failures(draft: Draft) -> None:
    draft.failures = Failures(
        count=4711,
        by_pool=((200, 10, 1), (4000, 390, 10), (100, 0, 0)),
        reasons=(("NonPagedNoCommit", 211), ("PagedNoCommit", 4400), ("SessionPagedNoCommit", 100)),
    )
    draft.commit_full = True


def _fragmentation(draft: Draft) -> None:
    """As on the article's machine, pages in use are about one and a half times what the tags hold."""
    draft.drivers["churner.sys"] = ("ExAllocatePoolWithTag", "ExFreePoolWithTag", "MmAllocateContiguousMemory")
    pool = draft.pools.get("nonpaged")
    if pool is None:
        return
    held = bytes_of(list(draft.tags.values()), "nonpaged") // PAGE
    fragment(pool, min(held, _MOST_FRAGMENTED, draft.room("nonpaged") // PAGE), draft.random)


STORIES: dict[str, tuple[str, Callable[[Draft], None]]] = {
    "healthy": ("nothing is wrong", _healthy),
    "leak": ("leaky.sys leaks nonpaged pool with the tag Leak, until allocations fail", _leak),
    "paged-leak": ("pagehog.sys leaks paged pool with the tag HogP", _paged_leak),
    "untagged": ("oldcard.sys leaks nonpaged pool without a tag (None)", _untagged),
    "session-full": ("the pool of session 1 is full, the system's pools are fine", _session_full),
    "handle-leak": ("handlehog.exe leaks handles, mostly of events", _handle_leak),
    "lock-contention": ("the registry lock has hundreds of waiters", _lock),
    "pool-failures": ("allocations fail because the commit limit was reached", _failures),
    "fragmentation": (
        "churner.sys takes and gives back blocks of 0xF18 bytes: small blocks pin the pages (before Windows 10 1809)",
        _fragmentation,
    ),
    "huge": ("64 GB, 64 processors, 20,000 tags, a million big allocations; nothing is wrong", _healthy),
}
"""Name to what happened, in words, and the function that makes it happen."""


def usual_size(windows: SimulatedWindows, story: str) -> Size:
    """The size of a machine when the user asks for none. Raises InputError for a huge 32-bit machine."""
    if story == "huge":
        if windows.architecture == "x86":
            raise InputError("the story 'huge' needs a 64-bit Windows")
        return Size(ram_bytes=64 * GB, processors=64, tags=20_000, big_allocations=1_000_000, processes=60)
    if windows.architecture == "x86":
        return Size(ram_bytes=2 * GB, processors=2, tags=400, big_allocations=600)
    return Size(ram_bytes=4 * GB, processors=4, tags=800, big_allocations=1500)


def small_size() -> Size:
    """A machine for tests: 64 MB."""
    return Size(ram_bytes=LEAST_RAM, processors=2, tags=80, big_allocations=40, processes=10)


def make_machine(
    windows: SimulatedWindows,
    story: str = "healthy",
    *,
    seed: int = 0,
    size: Size | None = None,
    kdbg_encoded: bool = False,
    hidden: Hidden = USUALLY_HIDDEN,
) -> Machine:
    """The truth about a machine to which that happened; the same for the same arguments.

    Raises InputError for what no such machine can be.
    """
    if story not in STORIES:
        raise InputError(f"the lab knows no story {story!r}: it has {', '.join(STORIES)}")
    chosen = size or usual_size(windows, story)
    _check(windows, chosen, hidden, kdbg_encoded=kdbg_encoded)
    random = Random(f"{windows.name}/{story}/{seed}")
    arrays = np.random.default_rng(random.getrandbits(63))
    names = tag_names(chosen.tags, random)
    most = _ARTICLE_BYTES if story == "fragmentation" else chosen.ram_bytes
    nonpaged, paged = _usual_bytes(windows, chosen, most)
    draft = Draft(windows, chosen, usual_tags(names, nonpaged, paged, random, chosen.processes))
    draft.random = Random(f"blocks of {windows.name}/{story}/{seed}")  # its own: other figures stay what they were
    draft.pools = usual_pools(windows, names, draft.random)
    groups = _big_groups(windows, names, chosen, random, most)
    try:
        big = big_pages(windows, groups, arrays)
    except ValueError as error:
        raise InputError(str(error)) from error
    _count_big(draft, groups, big)
    STORIES[story][1](draft)
    draft.count_blocks()
    return _finish(draft, names, random, story, seed, big, kdbg_encoded, hidden)


def _check(windows: SimulatedWindows, size: Size, hidden: Hidden, *, kdbg_encoded: bool) -> None:
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
    if not 0 <= hidden.transition + hidden.paged_out <= 1 or not 0 <= hidden.left_out <= 1:
        raise InputError("the parts of paged pool in transition and paged out must not be more than 1 together")
    if kdbg_encoded and (windows.architecture == "x86" or windows.build < _FIRST_SCRAMBLED):
        raise InputError("the debugger data block is scrambled on 64-bit Windows 8 and later only")


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


def _finish(
    draft: Draft,
    names: list[str],
    random: Random,
    story: str,
    seed: int,
    big: BigPages,
    kdbg_encoded: bool,
    hidden: Hidden,
) -> Machine:
    windows, size = draft.windows, draft.size
    booted = datetime(2021, 1, 4, 6, 30, tzinfo=UTC) + timedelta(microseconds=random.randrange(10**12))
    crashed = booted + timedelta(microseconds=random.randrange(10**10, 3 * 10**12))
    tags = _late(list(draft.tags.values()), names, windows)
    cut = {name: CutPages.of(pool) for name, pool in draft.pools.items()}
    machine = Machine(
        windows=windows,
        story=story,
        seed=seed,
        processors=size.processors,
        physical_bytes=size.ram_bytes,
        booted_at=booted,
        crashed_at=crashed,
        bug_check=draft.bug_check,
        tags=tuple(tags),
        table_size=table_slots(len(tags)),
        big_pages=big,
        pool_pages=tuple(pages_of(pool) for pool in draft.pools.values()),
        descriptors=usual_descriptors(windows, tags, cut),
        memory=usual_memory(windows, random, size.ram_bytes, tags, draft.failures, cut, commit_full=draft.commit_full),
        modules=usual_modules(windows, random, draft.drivers),
        unloaded=usual_unloaded(random, booted),
        resources=usual_resources(random),
        processes=usual_processes(random, _SESSIONS, size.processes),
        sessions=tuple(usual_session(windows, random, number, draft.full_sessions.get(number)) for number in _SESSIONS),
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
