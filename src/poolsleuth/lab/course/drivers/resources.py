"""What is short beside the system's pools: a session's pool, locks, system PTEs, and what can be committed."""

from dataclasses import replace
from random import Random

from poolsleuth.lab.course.state import State
from poolsleuth.lab.machine import PAGE, PoolUse, TagUse

_SESSION_FULL = 0.994
_MOST_SHARED, _MOST_EXCLUSIVE = 718, 21
_WAITING_THREAD = 2304
_RETRIES = 30
_STORMS = 5
_CALM_PER_HOUR, _STORM_PER_HOUR = 2_000, 900_000  # threads that had to wait


class SessionLeak:
    """A tag of one session that grows until the session's pool is full; then its windows cannot be drawn any more."""

    def __init__(self, random: Random, *, session: int, tag: str, block_bytes: int, full_at_hours: float) -> None:
        self._random, self._session, self._tag, self._block = random, session, tag, block_bytes
        self._full_at = full_at_hours
        self._left = 0.0

    def step(self, state: State, _hours: float, passed: float) -> None:
        """Take the part that belongs to this time, or fail."""
        for place, session in enumerate(state.sessions):
            if session.id != self._session:
                continue
            most = int(session.limit_bytes * _SESSION_FULL) // PAGE
            self._left += most / self._full_at * passed * self._random.uniform(0.8, 1.2)
            wanted = int(self._left)
            self._left -= wanted
            given = max(0, min(wanted, most - session.used_pages))
            failed = min(wanted - given, _RETRIES)
            if failed:
                state.fail("session", failed)
            size = state.charge(self._block)
            blocks = given * PAGE // size
            first, *others = session.failures or (0,)
            state.sessions[place] = replace(
                session,
                used_pages=session.used_pages + given,
                committed_pages=session.committed_pages + given,
                failures=(first + failed, *others),
                tags=tuple(_more(use, blocks, size) if use.tag == self._tag else use for use in session.tags),
            )


def _more(use: TagUse, blocks: int, size: int) -> TagUse:
    paged, passing = use.paged, blocks // 5
    return replace(
        use, paged=PoolUse(paged.allocs + blocks + passing, paged.frees + passing, paged.bytes + blocks * size)
    )


class LockStorm:
    """Somebody keeps the registry lock too long, again and again: threads queue up, and go on when it is given back.

    Each waiting thread is an object more. The storms begin at ``from_hours``; the last one is at its height at the end.
    """

    def __init__(self, random: Random, *, from_hours: float, hours: float) -> None:
        self._random, self._from, self._hours = random, from_hours, hours
        self._waiting = 0

    def step(self, state: State, hours: float, passed: float) -> None:
        """The queue of now."""
        part = self._part(hours)
        first, *others = state.resources
        shared, exclusive = int(_MOST_SHARED * part), int(_MOST_EXCLUSIVE * part)
        speed = _CALM_PER_HOUR + int(_STORM_PER_HOUR * part)
        state.resources[:] = [
            replace(
                first,
                owners=first.owners[:1] * (10 if part else 1),
                contention=first.contention + int(speed * passed * self._random.uniform(0.7, 1.3)),
                shared_waiters=shared,
                exclusive_waiters=exclusive,
                table_size=16 if part else first.table_size,
            ),
            *others,
        ]
        more = shared + exclusive - self._waiting
        if more > 0:
            self._waiting += state.allocate("Thre", "nonpaged", more, _WAITING_THREAD)
        elif more < 0:
            state.free("Thre", "nonpaged", -more, _WAITING_THREAD)
            self._waiting += more

    def _part(self, hours: float) -> float:
        """How long the queue is, from 0 to 1."""
        if hours < self._from:
            return 0.0
        place = (self._hours - hours) / (self._hours - self._from) * _STORMS
        if place > _STORMS - 1 / 6:
            return 0.0
        # Each storm rises for two thirds of its time and is over in the sixth after that
        within = 1 - place % 1 if place % 1 else 0.0
        if hours >= self._hours:
            return 1.0
        if within > 1 / 3:
            return (within - 1 / 3) * 1.5
        return max(0.0, 1 - within * 6)


class PteLeak:
    """A driver that maps memory and does not unmap it: free system PTEs go down to ``left``."""

    def __init__(self, random: Random, *, hours: float, left: int) -> None:
        self._random, self._hours, self._left = random, hours, left
        self._first: int | None = None

    def step(self, state: State, hours: float, _passed: float) -> None:
        """What is left by now, give or take what others map."""
        if state.memory.free_ptes is None:
            return
        if self._first is None:
            self._first = state.memory.free_ptes
        part = min(1.0, hours / self._hours)
        spread = self._random.randrange(-60, 61) if part < 1 else 0
        state.memory.free_ptes = int(self._first + (self._left - self._first) * part) + spread


class Hoarder:
    """A process that commits memory until nothing is left to commit; then it fails, and others with it."""

    def __init__(self, random: Random, *, full_at_hours: float) -> None:
        self._random, self._full_at = random, full_at_hours
        self._pages: float | None = None

    def step(self, state: State, _hours: float, passed: float) -> None:
        """Commit what it commits in this time."""
        memory = state.memory
        if self._pages is None:
            self._pages = memory.room_to_commit() / self._full_at
        wanted = int(self._pages * passed * self._random.uniform(0.7, 1.3))
        given = min(wanted, memory.room_to_commit())
        memory.private_pages += given
        if given < wanted:
            state.fail("paged", self._random.randrange(1, _RETRIES), priority=1)
            state.fail("nonpaged", self._random.randrange(1, 4))
