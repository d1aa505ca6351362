"""Gives the sessions of a machine a pool of their own with blocks in it, as its tags then count them."""

from dataclasses import replace
from random import Random

from poolsleuth.lab.allocator.classic import ClassicPool
from poolsleuth.lab.allocator.figures import pages_of
from poolsleuth.lab.machine import Machine, PoolUse, Session, TagUse
from poolsleuth.lab.sessions import has_sessions
from poolsleuth.lab.structures import layout_of

_TAGS = (("Gh05", 0x340), ("Gla1", 0x220), ("Usqu", 0x90), ("Uspi", 0x48), ("Ttfd", 0x7C0), ("Gtmp", 0x110))
_DEPTH = 5
_FREED = 0.3  # of the blocks


def with_session_pools(machine: Machine, random: Random, pages: int = 40) -> Machine:
    """The machine with so many pages of blocks in the pool of each session.

    It must have the classic pool; nothing is added where the lab does not know how this Windows keeps its sessions.
    """
    layout = layout_of(machine.windows)
    if not has_sessions(layout):
        return machine
    lists = layout.place("_MM_SESSION_SPACE", "Lookaside")
    depth, units = (_DEPTH, lists.count) if lists is not None and lists.count > 1 else (0, 0)
    found = list(machine.pool_pages)
    sessions: list[Session] = []
    for session in machine.sessions:
        windows = machine.windows
        pool = ClassicPool(
            "session",
            windows.pointer,
            windows.build,
            index=session.id,
            lookaside_depth=depth,
            lookaside_units=units,
        )
        living: list[int] = []
        while len(pool.rows) < pages:
            tag, size = random.choice(_TAGS)
            living.append(pool.allocate(random.randrange(1, 2 * size), tag))
            if random.random() < _FREED:
                pool.free(living.pop(random.randrange(len(living))))
        found.append(pages_of(pool))
        sessions.append(replace(session, tags=_counted(session.tags, pool)))
    return replace(machine, pool_pages=tuple(found), sessions=tuple(sessions))


def _counted(tags: tuple[TagUse, ...], pool: ClassicPool) -> tuple[TagUse, ...]:
    """The tags with what was allocated in the pages."""
    uses = pool.uses()
    known = {use.tag: use for use in tags}
    for tag, use in uses.items():
        old = known.get(tag, TagUse(tag))
        sums = old.paged
        more = PoolUse(sums.allocs + use.allocs, sums.frees + use.frees, sums.bytes + use.bytes)
        known[tag] = replace(old, paged=more)
    return tuple(known.values())
