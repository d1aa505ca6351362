"""An ERESOURCE with a queue of waiters (the registry's, most of all), or a circle of waiting threads."""

from collections.abc import Iterator

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.system import LockSummary, ResourceLock
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.patterns.thresholds import LOCK_WAITERS, LOCK_WAITERS_CRITICAL, LOCK_WAITERS_FEW
from poolsleuth.patterns.wording import plural

ID = "lock-contention"

_KNOWN = {
    "cmpregistrylock": "the registry",
    "pspactiveprocesslock": "the list of processes",
    "iopdatabaseresource": "the I/O manager's tables",
    "exppagedpoolresource": "paged pool",
    "obpsecuritydescriptorcachelock": "the security descriptor cache",
}


def judge(locks: tuple[ResourceLock, ...], summary: LockSummary | None) -> Iterator[Finding]:
    """Found for a queue or a cycle; a high count of contention without waiters is history and no finding."""
    if not locks:
        if summary is not None:
            yield ruled_out(ID, f"{summary.held} of {summary.total:,} locks are held, none is shown with waiters")
        else:
            yield not_assessed(ID, "no list of locks in the evidence", "run `!locks`")
        return
    latest = {lock.address: lock for lock in locks}
    cycle = _cycle(list(latest.values()))
    if cycle:
        yield _deadlock(cycle)
    found = False
    for lock in sorted(latest.values(), key=_waiters, reverse=True):
        if _is_queue(lock) and lock not in cycle:
            found = True
            yield _queue(lock)
    if not found and not cycle:
        busiest = max(latest.values(), key=lambda lock: lock.contention.value if lock.contention else 0)
        count = busiest.contention.value if busiest.contention else 0
        waiting = max(map(_waiters, latest.values()))
        few = f"no more than {plural(waiting, 'thread')} {'waits' if waiting == 1 else 'wait'} for any lock"
        there = plural(_waiters(busiest), "waiter") if _waiters(busiest) else "no waiters"
        yield ruled_out(
            ID,
            (few if waiting else "nobody waits for a lock")
            + (f"; a contention count of {count:,} is history since boot" if count else ""),
            because=(Reason(f"{_name(busiest)}: contention count {count:,}, {there}", busiest.where),),
            # Without its closing line the list may be cut
            confidence=Confidence.HIGH if summary is not None else Confidence.LOW,
        )


def _waiters(lock: ResourceLock) -> int:
    counted = (lock.shared_waiters.value if lock.shared_waiters else 0) + (
        lock.exclusive_waiters.value if lock.exclusive_waiters else 0
    )
    return counted or sum(not thread.owner for thread in lock.threads)


def _is_queue(lock: ResourceLock) -> bool:
    """A few waiters are a queue only behind an exclusive owner: it may never let go."""
    return _waiters(lock) >= (1 if lock.state == "exclusive" else LOCK_WAITERS_FEW.value)


def _name(lock: ResourceLock) -> str:
    return lock.name or f"the resource at 0x{lock.address:x}"


def _guards(lock: ResourceLock) -> str | None:
    return _KNOWN.get((lock.name or "").rsplit("!", 1)[-1].casefold())


def _queue(lock: ResourceLock) -> Finding:
    waiting = _waiters(lock)
    certain = waiting >= LOCK_WAITERS.value
    because = []
    if lock.contention is not None:
        because.append(Reason(f"contention count {lock.contention.value:,} since boot", lock.contention.where))
    if lock.shared_waiters is not None:
        because.append(
            Reason(
                f"{plural(lock.shared_waiters.value, 'thread')} waiting for shared access", lock.shared_waiters.where
            )
        )
    if lock.exclusive_waiters is not None:
        because.append(
            Reason(
                f"{plural(lock.exclusive_waiters.value, 'thread')} waiting for exclusive access",
                lock.exclusive_waiters.where,
            )
        )
    if not because:
        because.append(Reason(f"{plural(waiting, 'thread')} listed as waiting", lock.where))
    guards = _guards(lock)
    registry = guards == "the registry"
    if lock.state == "exclusive":
        because.append(Reason("held by one thread exclusively", lock.where))
    elif lock.owners:
        because.append(Reason(f"held by {plural(lock.owners, 'thread')} shared", lock.where))
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND if certain else Verdict.SUSPECTED,
        severity=Severity.CRITICAL
        if waiting >= LOCK_WAITERS_CRITICAL.value
        else Severity.WARNING
        if certain
        else Severity.INFO,
        confidence=Confidence.HIGH if certain else Confidence.LOW,
        headline=f"{plural(waiting, 'thread')} {'waits' if waiting == 1 else 'wait'} for {_name(lock)}"
        + (f" ({guards})" if guards else ""),
        subject=Subject(resource=lock.name or f"0x{lock.address:x}"),
        because=tuple(because),
        against=()
        if certain
        else (Reason("a few waiters come and go on a healthy system: look again a second later"),),
        explains=("a server that answers slowly or not at all, whatever the pools do",) if certain else (),
        next_steps=(
            f"`!locks -v 0x{lock.address:x}` and `!thread` on the owners: what they wait for is what holds the queue",
            *(
                ("find who works on the registry so much: Process Monitor, registry operations by process",)
                if registry
                else ()
            ),
        ),
    )


def _cycle(locks: list[ResourceLock]) -> list[ResourceLock]:
    """Locks whose owners wait for one another; an empty list when there is no such circle."""
    for lock in locks:
        if {t.thread for t in lock.threads if t.owner} & {t.thread for t in lock.threads if not t.owner}:
            return [lock]  # a thread waits for what it owns itself
    owned: dict[int, list[ResourceLock]] = {}
    waited: dict[int, list[ResourceLock]] = {}
    for lock in locks:
        for thread in lock.threads:
            (owned if thread.owner else waited).setdefault(thread.thread, []).append(lock)
    holders = {lock.address: [t.thread for t in lock.threads if t.owner] for lock in locks}
    by_address = {lock.address: lock for lock in locks}
    # An edge from lock A to lock B: a thread that owns A waits for B
    edges = {
        lock.address: {b.address for t in holders[lock.address] for b in waited.get(t, ()) if b.address != lock.address}
        for lock in locks
    }
    for start in edges:
        path, seen = [start], {start}
        while path:
            following = next((n for n in edges[path[-1]] if n == start or n not in seen), None)
            if following == start:
                return [by_address[address] for address in path]
            if following is None:
                path.pop()
            else:
                seen.add(following)
                path.append(following)
    return []


def _deadlock(cycle: list[ResourceLock]) -> Finding:
    names = ", ".join(_name(lock) for lock in cycle)
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND,
        severity=Severity.CRITICAL,
        confidence=Confidence.HIGH,
        headline=f"deadlock: the owners of {names} wait for one another",
        subject=Subject(resource=_name(cycle[0])),
        because=tuple(
            Reason(
                f"{_name(lock)} is owned by "
                + ", ".join(f"0x{t.thread:x}" for t in lock.threads if t.owner)
                + " and waited for by "
                + ", ".join(f"0x{t.thread:x}" for t in lock.threads if not t.owner),
                lock.where,
            )
            for lock in cycle
        ),
        explains=("a server that no longer answers",),
        next_steps=(
            "`!thread <address>` on each owner: the stacks name the driver that takes the locks in a wrong order",
        ),
    )
