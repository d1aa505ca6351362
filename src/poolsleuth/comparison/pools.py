"""What became of the pools and the sessions, and which tags explain it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from poolsleuth.comparison.numbers import at_least, ratio
from poolsleuth.comparison.side import Side
from poolsleuth.comparison.tags import Limits, PoolChanges, status_of, takes_a_step
from poolsleuth.comparison.thresholds import EXPLAINS_LEAST, GROWTH_BYTES, POOL_GROWTH_SHARE, SHARE_BYTES
from poolsleuth.model.comparison import Amount, Explained, PoolChange, Span, Status, TagChange
from poolsleuth.model.report import SessionPoolUse

SYSTEM_POOLS = ("nonpaged", "paged")
MOST_NAMED = 3  # tags that a pool's explanation names: a sentence, not a table


def pool_changes(before: Side, after: Side, span: Span) -> tuple[PoolChange, ...]:
    """Both system pools, then every session, the largest change first; not yet explained by tags."""
    system = [_system_pool(kind, before, after, span) for kind in SYSTEM_POOLS]
    sessions = sorted(_sessions(before, after, span), key=lambda p: (-abs(p.used.change or 0), p.session or 0))
    return (*system, *sessions)


def changes_of(pools: Sequence[PoolChange]) -> tuple[PoolChanges, Limits]:
    """The changes that tags are measured by, and the limits they grow towards."""
    changes: PoolChanges = {(pool.pool, pool.session): pool.amount.change for pool in pools}
    limits: Limits = {(pool.pool, pool.session): pool.limit.after or pool.limit.before for pool in pools}
    sessions = [pool.used.change for pool in pools if pool.pool == "session"]
    known = [change for change in sessions if change is not None]
    changes["session", None] = sum(known) if sessions and len(known) == len(sessions) else None
    return changes, limits


def _system_pool(kind: str, before: Side, after: Side, span: Span) -> PoolChange:
    first, second = before.pool(kind), after.pool(kind)
    used, tagged = Amount(before.used(kind), after.used(kind)), Amount(first.tagged_bytes, second.tagged_bytes)
    basis = "used" if used.change is not None else "tagged" if tagged.change is not None else None
    pool = PoolChange(
        pool=kind,
        status=status_of(tagged if basis == "tagged" else used),
        used=used,
        limit=Amount(first.limit_bytes, second.limit_bytes),
        tagged=tagged,
        failures=Amount(first.failures, second.failures),
        basis=basis,
    )
    return _judged(pool, span)


def _sessions(before: Side, after: Side, span: Span) -> Iterator[PoolChange]:
    for number in dict.fromkeys((*before.sessions, *after.sessions)):
        first, second = before.sessions.get(number), after.sessions.get(number)
        # !vm lists all sessions: one that is not in a list that is there does not exist
        used = Amount(_used(first, bool(before.sessions)), _used(second, bool(after.sessions)))
        status = status_of(used)
        if first is None:
            status = Status.APPEARED if before.sessions else Status.NOT_SHOWN_BEFORE
        elif second is None:
            status = Status.GONE if after.sessions else Status.NOT_SHOWN_AFTER
        pool = PoolChange(
            pool="session",
            session=number,
            status=status,
            used=used,
            limit=Amount(first.limit_bytes if first else None, second.limit_bytes if second else None),
            failures=Amount(first.failures if first else None, second.failures if second else None),
            basis="used" if used.change is not None else None,
        )
        yield _judged(pool, span)


def _used(session: SessionPoolUse | None, listed: bool) -> int | None:
    return session.used_bytes if session is not None else 0 if listed else None


def _judged(pool: PoolChange, span: Span) -> PoolChange:
    grown = pool.amount.change
    if grown is None:
        return pool
    large = grown >= GROWTH_BYTES.value and at_least(grown, pool.amount.before or 0, POOL_GROWTH_SHARE)
    return replace(
        pool,
        bytes_per_hour=ratio(grown, span.hours) if span.hours is not None else None,
        notable=large or takes_a_step(grown, pool.limit.after or pool.limit.before),
    )


def explained(pool: PoolChange, tags: Sequence[TagChange], *, complete: bool) -> PoolChange:
    """The pool with the tags that make up its change, and what none of them accounts for.

    ``tags`` are those of this pool, ranked; ``complete`` is True when both sides show all of them.
    """
    change = pool.amount.change
    if change is None or pool.pool not in SYSTEM_POOLS:
        return pool
    known = [(tag, tag.bytes.change) for tag in tags if tag.bytes.change is not None]
    named = []
    if abs(change) >= SHARE_BYTES.value:
        named = [
            Explained(tag.tag, moved, tag.share)
            for tag, moved in known
            if tag.share is not None and tag.share >= EXPLAINS_LEAST.value
        ]
    rest: int | None = None
    exact = False
    if pool.basis == "used" and pool.tagged.change is not None:
        rest, exact = change - pool.tagged.change, True
    elif known:
        rest, exact = change - sum(moved for _, moved in known), complete
    return replace(pool, explained_by=tuple(named[:MOST_NAMED]), unexplained_bytes=rest, unexplained_exact=exact)
