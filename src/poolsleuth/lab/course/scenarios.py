"""What can happen to a machine in the course of hours: each scenario is a set of drivers at work on a usual machine."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from poolsleuth.lab.contents import BlockContents, Place
from poolsleuth.lab.course.background import Rhythm
from poolsleuth.lab.course.crash import BAD_POOL_HEADER
from poolsleuth.lab.course.drivers.churn import Churn
from poolsleuth.lab.course.drivers.leak import ComesAndGoes, Leak, Rate
from poolsleuth.lab.course.drivers.load import WorkItems
from poolsleuth.lab.course.drivers.model import Model
from poolsleuth.lab.course.drivers.objects import ObjectLeak, Part
from poolsleuth.lab.course.drivers.resources import Hoarder, LockStorm, PteLeak, SessionLeak
from poolsleuth.lab.course.state import Laid, State
from poolsleuth.lab.draft import LEAKED_PAIRS, Draft
from poolsleuth.lab.machine import PAGE, BugCheck, Machine
from poolsleuth.lab.segment_heap.place import FIRST_BUILD
from poolsleuth.lab.usual_blocks import CLASSIC_BEFORE
from poolsleuth.lab.usual_figures import MB, Pool, bytes_of
from poolsleuth.model.errors import InputError

_FULL_AT = 0.92  # of the course: a pool that a scenario fills is full by then, and requests fail from then on
NO_MORE_SYSTEM_PTES = 0x3F
_PTES_LEFT = 900
_MOST_PAGES = 8000  # of the pool that is in pieces: its pages are all made
_CODE_OFFSET, _CODE_PLACE = 0x18, 0x1A40  # in a block, and in its driver: a pointer home
_TAGGED = ("ExAllocatePoolWithTag", "ExFreePoolWithTag")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guilty:
    """Who did it, as the truth tells it. ``rates``: the bytes an hour that it takes for good, by time.

    ``pattern`` is the id of the diagnosis. What does not apply is None.
    """

    pattern: str
    tag: str | None = None
    pool: str | None = None
    driver: str | None = None
    process: str | None = None
    session: int | None = None
    resource: str | None = None
    rates: tuple[Rate, ...] = ()
    objects_per_hour: float | None = None
    started_hours: float = 0.0


@dataclass(slots=True)
class Cast:
    """What a scenario puts on the stage: the drivers, and who is to blame."""

    state: State
    hours: float
    rhythm: Rhythm
    random: Random
    models: list[Model] = field(default_factory=list)
    guilty: list[Guilty] = field(default_factory=list)

    def lay(self, contents: BlockContents, pool: Pool, block_bytes: int) -> None:
        """Blocks of a tag shall be in memory in the end."""
        self.state.contents.append(Laid(contents, pool, block_bytes))

    @property
    def x86(self) -> bool:
        """Whether the machine has pointers of four bytes."""
        return self.state.windows.pointer == 4

    def fill(self, pool: Pool, part: float = 1.0) -> float:
        """Bytes an hour that fill such a part of what is left of a pool, early enough to fail before the end."""
        return max(0, self.state.room(pool)) * part / (self.hours * (_FULL_AT if part >= 1 else 1.0))

    def leak(self, pattern: str, tag: str, pool: Pool, driver: str, *rates: Rate, busy: float = 0.0) -> None:
        """A leak, and its driver to blame; some of the blocks are in memory in the end, and point to the driver."""
        big = any(rate.block_bytes >= PAGE for rate in rates)  # no memory for all of them
        self.models.append(Leak(tag, pool, rates, self.random, busy=busy, pairs=0 if big else LEAKED_PAIRS))
        if not big:
            self.lay(BlockContents(tag=tag, code=Place(_CODE_OFFSET, driver, _CODE_PLACE)), pool, rates[-1].block_bytes)
        self.guilty.append(Guilty(pattern=pattern, tag=tag, pool=pool, driver=driver, rates=rates))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """``says`` what happens; ``prepare`` loads drivers before the machine is made, ``cast`` sets them to work.

    ``swing``: how far the usual tags go with the load. ``day`` and ``jobs`` are the parts of the load (Rhythm).
    ``pieces``: nonpaged pool is as small as the article's, and its pages are made. ``sessions``: poolmon is
    asked for the pools of the sessions, too.
    """

    says: str
    prepare: Callable[[Draft], None]
    cast: Callable[[Cast], None]
    swing: float = 0.08
    day: float = 0.5
    jobs: float = 0.0
    pieces: bool = False
    sessions: bool = False


def _nothing(_draft: Draft) -> None:
    """Nothing is loaded."""


def _nobody(_cast: Cast) -> None:
    """Nobody does anything."""


def _loads(name: str, *imports: str, tag: str | None = None) -> Callable[[Draft], None]:
    """A driver is loaded, whose code allocates with that tag."""

    def change(machine: Machine) -> Machine:
        tags = () if tag is None else (tag,)
        modules = (replace(module, tags=tags) if module.name == name else module for module in machine.modules)
        return replace(machine, modules=tuple(modules))

    def prepare(draft: Draft) -> None:
        draft.drivers[name] = imports or _TAGGED
        draft.changes.append(change)

    return prepare


def _leak_small(cast: Cast) -> None:
    """Notmyfault with its block size and its rate changed on the way; the pool does not get full."""
    speed = cast.fill("nonpaged", 0.2)
    larger = 3000 if cast.x86 else 7000
    cast.leak(
        "pool-leak", "Leak", "nonpaged", "myfault.sys",
        Rate(0.0, speed, 1000), Rate(cast.hours * 0.4, speed * 1.8, larger), Rate(cast.hours * 0.7, speed * 1.3, 500),
    )  # fmt: skip


def _nonpaged_full(cast: Cast) -> None:
    cast.leak("pool-leak", "Leak", "nonpaged", "myfault.sys", Rate(0.0, cast.fill("nonpaged"), 1000))


def _paged_full(cast: Cast) -> None:
    cast.leak("pool-leak", "HogP", "paged", "pagehog.sys", Rate(0.0, cast.fill("paged"), 2048), busy=0.05)


def _load(cast: Cast) -> None:
    most = min(cast.state.room("nonpaged") // 4, 300 * MB)
    cast.models.append(WorkItems("LSwi", "nonpaged", cast.rhythm, cast.random, most_bytes=most, block_bytes=2048 - 64))


def _untagged(cast: Cast) -> None:
    cast.leak("untagged-allocations", "None", "nonpaged", "oldcard.sys", Rate(0.0, cast.fill("nonpaged"), 256))


def _generic(cast: Cast) -> None:
    speed = cast.fill("nonpaged", 0.6)
    cast.leak("generic-tag", "Ddk ", "nonpaged", "sampledrv.sys", Rate(0.0, speed, 320), busy=0.4)


def _unloaded(cast: Cast) -> None:
    times = max(4, min(40, int(cast.hours * 2)))
    left = int(max(0, cast.state.room("nonpaged")) * 0.45) // times
    cast.models.append(ComesAndGoes("Zips", "nonpaged", "zipscan.sys", times=times, hours=cast.hours, left_bytes=left))
    rate = Rate(0.0, left * times / cast.hours, 496)
    cast.lay(BlockContents(tag="Zips", code=Place(_CODE_OFFSET, "zipscan.sys", _CODE_PLACE)), "nonpaged", 496)
    cast.guilty.append(
        Guilty(pattern="unloaded-driver-leak", tag="Zips", pool="nonpaged", driver="zipscan.sys", rates=(rate,))
    )


def _add_process(name: str) -> Callable[[Draft], None]:
    def change(machine: Machine) -> Machine:
        *others, last = machine.processes
        return replace(machine, processes=(*others, replace(last, name=name, handles=400)))

    def prepare(draft: Draft) -> None:
        draft.changes.append(change)

    return prepare


def _handles(cast: Cast) -> None:
    parts = (
        Part("Even", "nonpaged", 1, 112),
        Part("Thre", "nonpaged", 1 / 40, 1200),
        Part("Sema", "nonpaged", 1 / 40, 96),
        Part("Toke", "paged", 1 / 60, 1520),
    )
    each = sum(part.each * cast.state.charge(part.block_bytes) for part in parts if part.pool == "nonpaged")
    for part, kind in zip(parts, ("Event", "Thread", "Semaphore", "Token"), strict=True):
        contents = BlockContents(tag=part.tag, object_type=kind, closed=0.003)
        cast.lay(contents, part.pool, part.block_bytes)
    most = 3_000_000 if not cast.x86 else 600_000
    count = min(most, cast.state.room("nonpaged") * 0.6 / each)
    cast.models.append(ObjectLeak(parts, cast.random, per_hour=count / cast.hours, process="handlehog.exe"))
    rate = Rate(0.0, count * each / cast.hours, 112)
    cast.guilty.append(
        Guilty(
            pattern="handle-leak",
            tag="Even",
            pool="nonpaged",
            process="handlehog.exe",
            rates=(rate,),
            objects_per_hour=count / cast.hours,
        )
    )


def _together(cast: Cast) -> None:
    parts = (Part("File", "nonpaged", 1, 160 if cast.x86 else 400), Part("AcmC", "nonpaged", 1, 208))
    each = sum(cast.state.charge(part.block_bytes) for part in parts)
    cast.lay(BlockContents(tag="AcmC", code=Place(_CODE_OFFSET, "acmeflt.sys", _CODE_PLACE)), "nonpaged", 208)
    count = cast.state.room("nonpaged") * 0.3 / each
    cast.models.append(ObjectLeak(parts, cast.random, per_hour=count / cast.hours, process=None))
    rate = Rate(0.0, count * each / cast.hours, 208)
    cast.guilty.append(
        Guilty(
            pattern="tags-growing-together",
            tag="File",
            pool="nonpaged",
            driver="acmeflt.sys",
            rates=(rate,),
            objects_per_hour=count / cast.hours,
        )
    )


def _session(cast: Cast) -> None:
    full = cast.hours * _FULL_AT
    cast.models.append(SessionLeak(cast.random, session=1, tag="Gh05", block_bytes=1000, full_at_hours=full))
    session = cast.state.sessions[-1]
    rate = Rate(0.0, session.limit_bytes / full, 1000)
    cast.guilty.append(Guilty(pattern="session-pool-depletion", tag="Gh05", pool="session", session=1, rates=(rate,)))


def _locks(cast: Cast) -> None:
    start = cast.hours * 0.6
    cast.models.append(LockStorm(cast.random, from_hours=start, hours=cast.hours))
    cast.guilty.append(Guilty(pattern="lock-contention", resource="CmpRegistryLock", started_hours=start))


def _ptes(cast: Cast) -> None:
    total = cast.state.memory.free_ptes or 0
    cast.state.bug_check = BugCheck(NO_MORE_SYSTEM_PTES, (0, 1024, _PTES_LEFT, total))
    cast.models.append(PteLeak(cast.random, hours=cast.hours, left=_PTES_LEFT))
    cast.guilty.append(Guilty(pattern="system-pte-depletion", resource="system PTEs", driver="mapleak.sys"))


def _commit(cast: Cast) -> None:
    cast.models.append(Hoarder(cast.random, full_at_hours=cast.hours * _FULL_AT))
    cast.guilty.append(Guilty(pattern="commit-exhaustion", resource="commit", process="reportsrv.exe"))


def _hoarding(draft: Draft) -> None:
    """The page file has its largest size already."""

    def fix(machine: Machine) -> Machine:
        files = tuple(replace(file, maximum_pages=file.pages) for file in machine.memory.page_files)
        return replace(machine, memory=replace(machine.memory, page_files=files))

    _add_process("reportsrv.exe")(draft)
    draft.changes.append(fix)


def _fragmentation(cast: Cast) -> None:
    state = cast.state
    held = bytes_of(list(state.uses), "nonpaged") // PAGE
    pages = min(held, _MOST_PAGES, max(0, state.room("nonpaged")) // PAGE)
    cast.models.append(Churn(cast.random, hours=cast.hours, pages=pages))
    cast.guilty.append(Guilty(pattern="pool-fragmentation", tag="MmCm", pool="nonpaged", driver="churner.sys"))


def _corruption(cast: Cast) -> None:
    cast.state.bug_check = BugCheck(BAD_POOL_HEADER, (0x20, 0, 0, 0))  # where, is known when the memory is made
    cast.guilty.append(Guilty(pattern="pool-corruption", pool="nonpaged", started_hours=cast.hours))


SCENARIOS: dict[str, Scenario] = {
    "healthy": Scenario(says="nothing is wrong", prepare=_nothing, cast=_nobody, swing=0.01),
    "pool-load": Scenario(
        says="a file server's work items (LSwi) fill nonpaged pool in each job and go back after it: no leak",
        prepare=_nothing, cast=_load, day=0.25, jobs=0.6,
    ),
    "pool-leak": Scenario(
        says="Notmyfault leaks nonpaged pool (Leak), its block size and rate changed twice; the pool does not get full",
        prepare=_loads("myfault.sys", tag="Leak"), cast=_leak_small,
    ),
    "nonpaged-pool-depletion": Scenario(
        says="Notmyfault leaks nonpaged pool (Leak) until allocations fail",
        prepare=_loads("myfault.sys", tag="Leak"), cast=_nonpaged_full,
    ),
    "paged-pool-depletion": Scenario(
        says="pagehog.sys leaks paged pool (HogP) until allocations fail",
        prepare=_loads("pagehog.sys", tag="HogP"), cast=_paged_full,
    ),
    "untagged-allocations": Scenario(
        says="oldcard.sys leaks nonpaged pool without a tag (ExAllocatePool: None) until allocations fail",
        prepare=_loads("oldcard.sys", "ExAllocatePool", "ExFreePool"), cast=_untagged,
    ),
    "generic-tag": Scenario(
        says="sampledrv.sys leaks nonpaged pool with the shared default tag Ddk",
        prepare=_loads("sampledrv.sys", tag="Ddk "), cast=_generic,
    ),
    "unloaded-driver-leak": Scenario(
        says="zipscan.sys is loaded and unloaded again and again, and leaves blocks of Zips behind each time",
        prepare=_nothing, cast=_unloaded,
    ),
    "handle-leak": Scenario(
        says="handlehog.exe opens handles, mostly to events, and closes none",
        prepare=_add_process("handlehog.exe"), cast=_handles,
    ),
    "tags-growing-together": Scenario(
        says="acmeflt.sys keeps a reference to each file that is opened, with a context of its own (File and AcmC)",
        prepare=_nothing, cast=_together,
    ),
    "session-pool-depletion": Scenario(
        says="the pool of session 1 fills with Gh05, the system's pools are fine",
        prepare=_nothing, cast=_session, swing=0.01, sessions=True,
    ),
    "lock-contention": Scenario(
        says="the registry lock is held too long, again and again: hundreds of threads wait for it in the end",
        prepare=_nothing, cast=_locks, swing=0.01,
    ),
    "system-pte-depletion": Scenario(
        says="mapleak.sys maps memory and does not unmap it: system PTEs run out (32-bit Windows before Vista)",
        prepare=_loads("mapleak.sys", "MmMapLockedPagesSpecifyCache", "IoAllocateMdl"), cast=_ptes, swing=0.01,
    ),
    "commit-exhaustion": Scenario(
        says="reportsrv.exe commits memory until the commit limit is reached and allocations fail",
        prepare=_hoarding, cast=_commit, swing=0.01,
    ),
    "pool-fragmentation": Scenario(
        says="churner.sys takes and gives back 0xF18 bytes at a time: small blocks pin the pages (not on 1809)",
        prepare=_loads("churner.sys", *_TAGGED, "MmAllocateContiguousMemory"), cast=_fragmentation, pieces=True,
    ),
    "pool-corruption": Scenario(
        says="a block is written beyond its end: bug check 0x19 (before Windows 10 1809)",
        prepare=_loads("overrun.sys"), cast=_corruption, swing=0.01,
    ),
}  # fmt: skip
"""Name to what happens. Names are those of the diagnosis that it must give, where there is one."""


def scenario_named(name: str, build: int, architecture: str) -> Scenario:
    """A scenario by its name. Raises InputError when there is none, or when that Windows cannot have it."""
    if name not in SCENARIOS:
        raise InputError(f"the lab has no scenario called {name!r}: it has {', '.join(SCENARIOS)}")
    if name == "pool-corruption" and build >= CLASSIC_BEFORE:
        raise InputError(f"{name} needs the classic pool: a Windows before 10 1809, such as 7601-x64 or 3790-x86")
    if name == "pool-fragmentation" and CLASSIC_BEFORE <= build < FIRST_BUILD:
        raise InputError(f"{name} needs pages that the lab does not have for Windows 10 1809; take another Windows")
    if name == "system-pte-depletion" and (architecture != "x86" or build >= 6000):
        raise InputError("system PTEs run out on 32-bit Windows before Vista only, such as 3790-x86")
    return SCENARIOS[name]
