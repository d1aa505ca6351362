"""What happened to the machine: each story changes a usual machine into one whose trouble is known."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np

from poolsleuth.lab.machine import (
    PAGE,
    BugCheck,
    Hidden,
    Machine,
    Memory,
    PoolDescriptor,
    PoolUse,
    Session,
    SimulatedWindows,
    TagUse,
)
from poolsleuth.lab.pool_tables import table_slots
from poolsleuth.lab.usual_lists import (
    usual_modules,
    usual_page_files,
    usual_processes,
    usual_resources,
    usual_unloaded,
)
from poolsleuth.lab.usual_pool import BigGroup, add_use, big_pages, tag_names, usual_tags
from poolsleuth.model.errors import InputError

MB, GB = 1 << 20, 1 << 30
MAX_RAM_WITHOUT_PAE = 3 * GB  # what 32-bit page tables reach below the hole for devices
MAX_RAM_PAE, MAX_RAM_X64 = 64 * GB, 2048 * GB
LEAST_RAM = 64 * MB
MAX_PROCESSORS = {"x86": 32, "x64": 256}
_MAX_TAGS = {"x86": 4000, "x64": 100_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large the machine is. ``big_allocations`` is the number of rows of the big-page table that are in use."""

    ram_bytes: int
    processors: int
    tags: int
    big_allocations: int
    processes: int = 18


@dataclass(slots=True)
class _Draft:
    """A machine that is being thought out."""

    windows: SimulatedWindows
    random: Random
    size: Size
    tags: dict[str, TagUse]
    groups: list[BigGroup]
    memory: dict[str, object] = field(default_factory=dict)
    drivers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    change: list[Callable[[Machine], Machine]] = field(default_factory=list)
    session_used: dict[int, float] = field(default_factory=dict)
    bug_check: BugCheck = BugCheck(0xE2, (0, 0, 0, 0))  # MANUALLY_INITIATED_CRASH

    def leak(self, tag: str, *, paged: bool, size: int, each: int) -> None:
        """So many bytes of blocks of that size which nobody freed."""
        use = self.tags.get(tag, TagUse(tag))
        pool = "paged" if paged else "nonpaged"
        self.tags[tag] = replace(use, **{pool: add_use(getattr(use, pool), size // each, size // each * each)})

    def used(self, *, paged: bool) -> int:
        """Bytes of all tags in a pool."""
        return sum((use.paged if paged else use.nonpaged).bytes for use in self.tags.values())

    def room(self, *, paged: bool) -> int:
        """Bytes that a leak can take before the pool is full, about."""
        limit = _limits(self.windows, self.size.ram_bytes)[paged]
        return int(min(limit, self.size.ram_bytes * 0.6) * 0.9)


Tell = Callable[[_Draft], None]


def _healthy(_draft: _Draft) -> None:
    """Nothing is wrong."""


def _leak(draft: _Draft) -> None:
    draft.drivers["leaky.sys"] = ("ExAllocatePoolWithTag",)
    draft.leak("Leak", paged=False, size=draft.room(paged=False), each=1024)
    draft.memory["pool_failures"] = 37
    draft.memory["failure_reasons"] = {"NonPagedNoPagesAvailable": 30, "NonPagedNoPtes": 7}
    draft.memory["failures_by_pool"] = ((20, 10, 7), (0, 0, 0), (0, 0, 0))


def _paged_leak(draft: _Draft) -> None:
    draft.drivers["pagehog.sys"] = ("ExAllocatePoolWithTag",)
    draft.leak("HogP", paged=True, size=draft.room(paged=True), each=2064)
    draft.memory["pool_failures"] = 818
    draft.memory["failure_reasons"] = {"PagedNoPagesAvailable": 11, "PagedNoPtes": 800, "PagedNoCommit": 7}
    draft.memory["failures_by_pool"] = ((0, 0, 0), (800, 11, 7), (0, 0, 0))


def _untagged(draft: _Draft) -> None:
    draft.drivers["oldcard.sys"] = ("ExAllocatePool", "ExFreePool", "MmAllocateContiguousMemory")
    draft.leak("None", paged=False, size=draft.room(paged=False), each=272)
    draft.memory["pool_failures"] = 4


def _session_full(draft: _Draft) -> None:
    draft.session_used[1] = 0.994
    draft.memory["pool_failures"] = 212
    draft.memory["failures_by_pool"] = ((0, 0, 0), (0, 0, 0), (0, 12, 200))
    draft.memory["failure_reasons"] = {"SessionPagedNoPtes": 212}


def _handle_leak(draft: _Draft) -> None:
    count = 400_000 if draft.size.ram_bytes >= GB else 20_000
    for tag, each in (("Even", 128), ("Thre", 1216), ("Sema", 112)):
        draft.leak(tag, paged=False, size=count // (1 if tag == "Even" else 40) * each, each=each)
    for tag, each in (("Toke", 1536), ("Obtb", 4096)):
        draft.leak(tag, paged=True, size=count // (60 if tag == "Toke" else 256) * each, each=each)

    def give(machine: Machine) -> Machine:
        *others, last = machine.processes
        return replace(machine, processes=(*others, replace(last, name="handlehog.exe", handles=count)))

    draft.change.append(give)


def _lock(draft: _Draft) -> None:
    draft.leak("CM31", paged=True, size=min(64 * MB, draft.room(paged=True) // 4), each=4096)

    def give(machine: Machine) -> Machine:
        first, *others = machine.resources
        owner = first.owners[0]
        held = replace(
            first,
            owners=(owner,) * 10,
            contention=9_149_810,
            shared_waiters=718,
            exclusive_waiters=21,
            table_size=16,
        )
        return replace(machine, resources=(held, *others))

    draft.change.append(give)


def _failures(draft: _Draft) -> None:
    draft.memory["pool_failures"] = 4711
    draft.memory["failure_reasons"] = {"NonPagedNoCommit": 211, "PagedNoCommit": 4400, "SessionPagedNoCommit": 100}
    draft.memory["failures_by_pool"] = ((200, 10, 1), (4000, 390, 10), (100, 0, 0))
    draft.memory["commit_full"] = True


STORIES: dict[str, tuple[str, Tell]] = {
    "healthy": ("nothing is wrong", _healthy),
    "leak": ("leaky.sys leaks nonpaged pool with the tag Leak, until allocations fail", _leak),
    "paged-leak": ("pagehog.sys leaks paged pool with the tag HogP", _paged_leak),
    "untagged": ("oldcard.sys leaks nonpaged pool without a tag (None)", _untagged),
    "session-full": ("the pool of session 1 is full, the system's pools are fine", _session_full),
    "handle-leak": ("handlehog.exe leaks handles, mostly of events", _handle_leak),
    "lock-contention": ("the registry lock has hundreds of waiters", _lock),
    "pool-failures": ("allocations fail because the commit limit was reached", _failures),
    "huge": ("64 GB, 64 processors, 20,000 tags, a million big allocations; nothing is wrong", _healthy),
}
"""Name to what happened, in words, and the function that makes it happen."""


def usual_size(windows: SimulatedWindows, story: str) -> Size:
    """The size of a machine when the user asks for none."""
    if story == "huge":
        if windows.architecture == "x86":
            raise InputError("the story 'huge' needs a 64-bit Windows")
        return Size(ram_bytes=64 * GB, processors=64, tags=20_000, big_allocations=1_000_000, processes=60)
    if windows.architecture == "x86":
        return Size(ram_bytes=2 * GB, processors=2, tags=400, big_allocations=600)
    return Size(ram_bytes=4 * GB, processors=4, tags=800, big_allocations=1500)


def small_size() -> Size:
    """A machine for tests: 64 MB."""
    return Size(ram_bytes=64 * MB, processors=2, tags=80, big_allocations=40, processes=10)


def make_machine(
    windows: SimulatedWindows,
    story: str = "healthy",
    *,
    seed: int = 0,
    size: Size | None = None,
    kdbg_encoded: bool = False,
    hidden: Hidden = Hidden(transition=0.2),
) -> Machine:
    """The truth about a machine to which that happened. Raises InputError for what no such machine can be."""
    if story not in STORIES:
        raise InputError(f"the lab knows no story {story!r}: it has {', '.join(STORIES)}")
    chosen = size or usual_size(windows, story)
    _check(windows, chosen, kdbg_encoded)
    random = Random(f"{windows.name}/{story}/{seed}")
    arrays = np.random.default_rng(random.getrandbits(63))
    names = tag_names(chosen.tags, random)
    nonpaged, paged = _baseline(windows, chosen)
    draft = _Draft(
        windows=windows,
        random=random,
        size=chosen,
        tags=usual_tags(names, nonpaged, paged, random),
        groups=_big_groups(names, chosen, random),
    )
    STORIES[story][1](draft)
    big = big_pages(windows, draft.groups, arrays)
    _count_big(draft, big.rows)
    return _finish(draft, story, seed, big, kdbg_encoded, hidden)


def _check(windows: SimulatedWindows, size: Size, kdbg_encoded: bool) -> None:
    most = {"x86": MAX_RAM_WITHOUT_PAE, "pae": MAX_RAM_PAE, "x64": MAX_RAM_X64}[windows.mode]
    if not LEAST_RAM <= size.ram_bytes <= most:
        raise InputError(f"{windows.name} is simulated with 64 MB to {most // GB:,} GB of memory")
    if not 1 <= size.processors <= MAX_PROCESSORS[windows.architecture]:
        raise InputError(f"{windows.name} is simulated with 1 to {MAX_PROCESSORS[windows.architecture]} processors")
    if not 16 <= size.tags <= _MAX_TAGS[windows.architecture]:
        raise InputError(f"{windows.name} is simulated with 16 to {_MAX_TAGS[windows.architecture]:,} tags")
    if kdbg_encoded and (windows.architecture == "x86" or windows.build < 9200):
        raise InputError("the debugger data block is scrambled on 64-bit Windows 8 and later only")


def _limits(windows: SimulatedWindows, ram: int) -> tuple[int, int]:
    """Most bytes of nonpaged and of paged pool, as that Windows would print them."""
    if windows.architecture == "x86":
        if windows.build < 6000:
            return min(256 * MB, ram // 2), (360 if windows.build >= 3790 else 352) * MB
        return min(ram * 3 // 4, 2 * GB), 2 * GB - 4 * MB
    if windows.build < 9200:
        return min(ram * 3 // 4, 128 * GB), 128 * GB
    return 16 << 40, 16 << 40


def _baseline(windows: SimulatedWindows, size: Size) -> tuple[int, int]:
    room = [min(limit, size.ram_bytes) for limit in _limits(windows, size.ram_bytes)]
    return min(room[0] // 12, 400 * MB), min(room[1] // 10, 600 * MB)


def _big_groups(names: list[str], size: Size, random: Random) -> list[BigGroup]:
    """Big allocations of every tenth tag, at most a tenth of the memory in all."""
    chosen = names[::10] or names
    each = max(1, size.big_allocations // len(chosen))
    budget = size.ram_bytes // 10 // max(size.big_allocations, 1)
    largest = max(PAGE, min(64 * PAGE, budget))
    return [
        BigGroup(tag, paged=i % 2 == 1, count=each + random.randrange(-(each // 4), each // 4 + 1), smallest=PAGE, largest=largest)
        for i, tag in enumerate(chosen)
    ]  # fmt: skip


def _count_big(draft: _Draft, rows: "np.ndarray[tuple[int, ...], np.dtype[np.void]]") -> None:
    """What the table holds belongs to the tags, too."""
    live = rows[rows["state"] == 1]
    for group in draft.groups:
        mine = live["bytes"][live["tag"] == group.tag.encode("latin-1").rstrip(b"\0")]
        use = draft.tags[group.tag]
        pool = "paged" if group.paged else "nonpaged"
        grown = add_use(getattr(use, pool), len(mine), int(mine.sum()))
        draft.tags[group.tag] = replace(use, **{pool: grown})


def _finish(draft: _Draft, story: str, seed: int, big: "object", kdbg_encoded: bool, hidden: Hidden) -> Machine:
    windows, random, size = draft.windows, draft.random, draft.size
    from poolsleuth.lab.machine import BigPages  # noqa: PLC0415

    assert isinstance(big, BigPages)
    booted = datetime(2021, 1, 4, 6, 30, tzinfo=UTC) + timedelta(microseconds=random.randrange(10**12))
    crashed = booted + timedelta(microseconds=random.randrange(10**10, 3 * 10**12))
    sessions = (0, 1)
    ordered = list(draft.tags.values())
    expansion = _late(ordered, windows)
    machine = Machine(
        windows=windows,
        story=story,
        seed=seed,
        processors=size.processors,
        physical_bytes=size.ram_bytes,
        booted_at=booted,
        crashed_at=crashed,
        bug_check=draft.bug_check,
        tags=expansion,
        table_size=table_slots(len(ordered)),
        big_pages=big,
        descriptors=_descriptors(draft),
        memory=_memory(draft),
        modules=usual_modules(windows, random, draft.drivers),
        unloaded=usual_unloaded(random, booted),
        resources=usual_resources(random),
        processes=usual_processes(random, sessions, size.processes),
        sessions=tuple(_session(draft, number) for number in sessions),
        kdbg_encoded=kdbg_encoded,
        hidden=hidden,
    )
    for change in draft.change:
        machine = change(machine)
    return machine


def _late(tags: list[TagUse], windows: SimulatedWindows) -> tuple[TagUse, ...]:
    """The last few tags came when the table was full: they stand in the expansion table (since Vista)."""
    late = min(3, len(tags) // 20) if windows.build >= 6000 else 0
    first = len(tags) - late
    return tuple(replace(use, expansion=i >= first) for i, use in enumerate(tags))


def _pages(octets: int) -> int:
    return -(-octets // PAGE)


def _used_pages(draft: _Draft, *, paged: bool) -> int:
    """Pages that the pool takes up: what the tags hold, and what is free inside of the pages."""
    return _pages(int(draft.used(paged=paged) * 1.06)) + 300


def _descriptors(draft: _Draft) -> tuple[PoolDescriptor, ...]:
    """The pool's own counters: two of nonpaged pool since 8 (the second not executable), several of paged pool."""
    found: list[PoolDescriptor] = []
    for paged, parts in ((False, 2 if draft.windows.build >= 9200 else 1), (True, 5)):
        total = _used_pages(draft, paged=paged)
        uses = [use.paged if paged else use.nonpaged for use in draft.tags.values()]
        for index in range(parts):
            share = total // parts if index else total - total // parts * (parts - 1)
            big = share // 3
            found.append(
                PoolDescriptor(
                    paged=paged,
                    index=index,
                    running_allocs=sum(use.allocs for use in uses) // parts & 0xFFFF_FFFF,
                    running_frees=sum(use.frees for use in uses) // parts & 0xFFFF_FFFF,
                    pages=share - big,
                    big_pages=big,
                    bytes=draft.used(paged=paged) // parts,
                )
            )
    return tuple(found)


def _memory(draft: _Draft) -> Memory:
    windows, random, size = draft.windows, draft.random, draft.size
    pages = size.ram_bytes // PAGE
    nonpaged, paged = _used_pages(draft, paged=False), _used_pages(draft, paged=True)
    limits = _limits(windows, size.ram_bytes)
    files = usual_page_files(windows, pages)
    limit = pages + files[0].pages
    full = bool(draft.memory.pop("commit_full", False))
    committed = limit - 3 if full else min(limit - 100, nonpaged + paged + pages // 3)
    ptes = 33_554_432 if windows.architecture == "x64" else 60_000
    failures = {name: draft.memory.get(name) for name in ("pool_failures", "failures_by_pool", "failure_reasons")}
    return Memory(
        physical=pages,
        available=max(pages // 50, pages - nonpaged - paged // 2 - pages // 3),
        resident_available=max(pages // 40, pages - nonpaged - pages // 6),
        nonpaged_used=nonpaged,
        nonpaged_max=limits[0] // PAGE,
        paged_used=paged,
        paged_max=limits[1] // PAGE,
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
        pool_failures=int(str(failures["pool_failures"] or 0)),
        failures_by_pool=failures["failures_by_pool"],  # type: ignore[arg-type]
        failure_reasons=failures["failure_reasons"],  # type: ignore[arg-type]
        page_files=files,
    )


def _session(draft: _Draft, number: int) -> Session:
    random = draft.random
    limit = 32 * MB if draft.windows.architecture == "x86" else 512 * MB
    share = draft.session_used.get(number, 0.02 + 0.05 * random.random())
    used = int(limit * share) // PAGE
    full = number in draft.session_used
    tags = []
    left = used * PAGE * 9 // 10
    for tag, part in (("Gla1", 0.4), ("Ttfd", 0.3), ("Uspi", 0.1), ("Gh05", 0.6 if full else 0.05)):
        each = random.choice((128, 512, 1024, 4096))
        blocks = int(left * part) // 2 // each
        freed = random.randrange(1000, 90_000)
        tags.append(TagUse(tag, paged=PoolUse(freed + blocks, freed, blocks * each)))
    tags.append(TagUse("Late", paged=PoolUse(7, 2, 5 * 64), expansion=True))
    return Session(
        id=number,
        used_pages=used,
        limit_bytes=limit,
        committed_pages=used + random.randrange(100, 900),
        failures=(212, 0, 0, 0) if full else (0, 0, 0, 0),
        tags=tuple(tags),
    )
