"""Facts about the system itself: what was debugged, its bug check, locks, verifier, processes, events."""

from dataclasses import dataclass
from datetime import datetime

from poolsleuth.model.facts import Fact, Figure, Where

BANNER = "the debugger's banner"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetInfo(Fact):
    """A debugger banner or ``vertarget``. None is what it does not say; times are UTC."""

    os: str | None = None
    build: int | None = None
    build_lab: str | None = None
    service_pack: str | None = None
    architecture: str | None = None  # "x86", "x64", "arm64", "ia64"
    pae: bool | None = None
    server: bool | None = None
    processors: int | None = None
    computer: str | None = None
    kernel_base: int | None = None
    captured_at: datetime | None = None
    uptime_seconds: float | None = None
    dump_file: str | None = None
    live_target: bool | None = None  # True: "Connected to"/local kernel debugging
    told_by: str = BANNER
    notes: tuple[str, ...] = ()  # what was used to read it, and what could not be known


@dataclass(frozen=True, slots=True, kw_only=True)
class BugCheck(Fact):
    """A bug check: code, name as printed, parameters, and what the debugger's own analysis blames.

    ``tag`` is a pool tag the analysis names (FREED_POOL_TAG or an argument decoded), None when there is none.
    """

    code: int
    name: str | None = None
    parameters: tuple[int, ...] = ()
    module: str | None = None
    image: str | None = None
    symbol: str | None = None
    process: str | None = None
    bucket: str | None = None
    tag: str | None = None
    argument_texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LockThread:
    """A thread of a resource: ``owner`` False means it waits. ``exclusive_wait`` for the exclusive waiters' list."""

    thread: int
    owner: bool
    exclusive_wait: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceLock(Fact):
    """One ERESOURCE of ``!locks``. Counts are None when the output leaves the row out (the debugger does at 0)."""

    name: str | None
    address: int
    state: str  # "exclusive", "shared", "available", "unknown"
    owners: int | None
    contention: Figure | None
    shared_waiters: Figure | None
    exclusive_waiters: Figure | None
    threads: tuple[LockThread, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSummary(Fact):
    """The closing line of ``!locks``: counts of locks scanned and held."""

    total: int
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserModeLock(Fact):
    """A critical section of the user-mode ``!locks``: the same name, another command, no kernel fact."""

    name: str


@dataclass(frozen=True, slots=True)
class VerifiedAllocation:
    """A pool block that Driver Verifier tracks: size in bytes, tag, and the caller as printed."""

    address: int
    size: int
    tag: str
    caller: str


@dataclass(frozen=True, slots=True)
class VerifiedDriver:
    """One driver under Driver Verifier; allocation counts and bytes now, None where not printed."""

    name: str
    state: str | None
    nonpaged_allocations: int | None
    paged_allocations: int | None
    nonpaged_bytes: int | None
    paged_bytes: int | None
    allocations: tuple[VerifiedAllocation, ...]
    where: Where


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierState(Fact):
    """``!verifier``: level, enabled options as printed, deliberate and real failures, drivers."""

    level: int | None
    options: tuple[str, ...]
    special_pool: bool | None
    injected_failures: Figure | None
    failed: Figure | None
    untagged: Figure | None
    drivers: tuple[VerifiedDriver, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """One process of ``!process 0 0``: handle count None when the table was paged out or not printed."""

    name: str
    pid: int | None
    address: int | None
    handles: int | None
    session: int | None
    where: Where


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessList(Fact):
    """Processes with their handle counts. ``complete`` is False where processes are known to be missing."""

    processes: tuple[ProcessInfo, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext(Fact):
    """A header that says of which session the following outputs are (``!session``, ``!sprocess``)."""

    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventText(Fact):
    """An event of the system log pasted as text: 2019, 2020 (Srv), 333 (Application Popup), 2004."""

    event_id: int
    says: str
    computer: str | None = None
    logged_at: datetime | None = None
