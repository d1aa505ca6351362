"""What one capture, or a few, can say of a leak: no more than a suspicion, but for what the kernel caught itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from poolsleuth.model.facts import Figure, Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.machine import System
from poolsleuth.model.tags import Completeness, PoolKind, TagRow, TagTable
from poolsleuth.patterns.attribution import Attribution, Owner
from poolsleuth.patterns.growth import Growth
from poolsleuth.patterns.makers import with_makers
from poolsleuth.patterns.shares import least_bytes, tag_share
from poolsleuth.patterns.tag_knowledge import family_hint, sure_note
from poolsleuth.patterns.thresholds import (
    NEVER_FREED,
    NEVER_FREED_BYTES,
    TAG_DOMINATES,
    TAG_IS_MOST,
    UNKNOWN_TAG_BYTES,
    UNKNOWN_TAG_LARGE_BYTES,
    UNKNOWN_TAG_LEADS,
    UNKNOWN_TAG_SHARE,
)
from poolsleuth.patterns.views import PoolStates, SessionStates, TagView
from poolsleuth.patterns.wording import exact, percent, plural, size
from poolsleuth.windows.tag_notes import Role

PATTERN = "pool-leak"

# Their size follows files, the registry or load: large is normal for them, and growth must be seen
FOLLOWS_LOAD = frozenset({Role.CACHE, Role.REGISTRY, Role.POOL, Role.CONTIGUOUS, Role.VERIFIER})
SESSION_LEAK = 0xAB
SESSION_SPECIAL_LEAK = 0xEC  # the same, for blocks in special pool; its arguments are not documented
TWICE = (
    "take the tag table twice, hours apart (`!poolused`, poolmon -n), or record \\Memory\\Pool Nonpaged Bytes and"
    " \\Memory\\Pool Paged Bytes for a day"
)
_WATCH = "watch it: poolmon -b (or `!poolused` again hours later); a leak never comes down, load does"


def suspicions(
    kind: PoolKind,
    tags: TagView,
    states: PoolStates | None,
    system: System,
    owners: Attribution,
    growth: Growth,
    sessions: SessionStates | None = None,
) -> list[Finding]:
    """One suspicion per tag of a pool that fills it while it is tight, that grew from capture to capture, that is most
    of it and was never freed while allocations failed, or that is large, known to nobody, and leads by far or was
    never freed. ``sessions`` may explain the failures."""
    return list(_of_pool(kind, tags, states, system, owners, growth, _failed(kind, states, sessions)))


def cut_tables(tables: Sequence[TagTable]) -> tuple[Reason, ...]:
    """What the last tables do not show."""
    return tuple(
        Reason(
            f"the table is cut at {len({row.tag for row in t.rows})} tags: those it does not show are not judged",
            t.where,
        )
        for t in tables[-2:]
        if t.completeness is Completeness.CUT
    )


def caught_by_the_kernel(system: System) -> Finding | None:
    """Bug check 0xAB: a session ended with pool of its own still allocated (bytes paged, bytes nonpaged, counts)."""
    check = system.bugcheck
    if check is None or check.code not in (SESSION_LEAK, SESSION_SPECIAL_LEAK):
        return None
    known = len(check.parameters) >= 4 and check.code == SESSION_LEAK
    session, paged, nonpaged = check.parameters[:3] if known else (None, 0, 0)
    left = f"{size(paged)} of paged and {size(nonpaged)} of nonpaged pool" if known else "pool"
    return Finding(
        pattern=PATTERN,
        verdict=Verdict.FOUND,
        severity=Severity.CRITICAL,
        confidence=Confidence.HIGH,
        headline=f"a session ended and left {left} behind: a driver of the session leaks (bug check 0x{check.code:X})",
        subject=Subject(pool=str(PoolKind.SESSION), session=session),
        because=(
            Reason("the kernel counts a session's pool when it ends, and found blocks that nobody freed", check.where),
        ),
        explains=("the bug check",),
        next_steps=(
            "drivers that run in a session are those of displays, printers and video: `lm` in the session's context,"
            " and update or remove the third-party ones",
            "`!poolused 8` in the dump names the tags that were left",
        ),
    )


def _of_pool(
    kind: PoolKind,
    tags: TagView,
    states: PoolStates | None,
    system: System,
    owners: Attribution,
    growth: Growth,
    failed: "_Failed | None",
) -> Iterator[Finding]:
    state = states.of(kind) if states is not None else None
    tight = state is not None and (state.tight or state.failures is not None)
    rows = tags.pool(kind)
    leader = _leader(rows, tags, kind, owners) if state is None or state.share is None else None
    for row in rows:
        share = tag_share(row, states, system)
        grew = growth.get((row.tag, kind))
        note = sure_note(row)
        if note is not None and note.role in FOLLOWS_LOAD and grew is None:
            continue
        fills = tight and share is not None and share >= TAG_DOMINATES.value
        lead = leader[1] if leader is not None and leader[0] is row else None
        most = failed is not None and share is not None and share > TAG_IS_MOST.value and _never_freed(row)
        if fills or lead is not None or grew is not None or most or _large_and_unknown(row, share, owners):
            signs = _Signs(tight=fills, lead=lead, growth=grew, failed=failed if most else None)
            yield with_makers(_suspect(row, share, system, owners, signs), owners.makers(row))


@dataclass(frozen=True, slots=True)
class _Failed:
    """Pool allocations that failed. ``certain``: they were this pool's; ``room``: it is known to have room now."""

    count: Figure
    certain: bool
    room: bool


def _failed(kind: PoolKind, states: PoolStates | None, sessions: SessionStates | None) -> _Failed | None:
    """The failed allocations that are this pool's, or may be; None when there are none."""
    if states is None:
        return None
    state = states.of(kind)
    own = state.failures or state.failures_seen
    if own is None and state.failed_for:
        own = Figure(sum(reason.count.value for reason in state.failed_for), state.failed_for[0].count.where)
    if own is not None:
        return _Failed(own, certain=True, room=state.has_room)
    of_another = (
        states.counted
        or any(s.failures is not None for s in (states.nonpaged, states.paged))
        or any(session.failures is not None for session in (sessions.sessions if sessions is not None else ()))
    )
    if states.failures is None or of_another:
        return None
    return _Failed(states.failures, certain=False, room=state.has_room)


@dataclass(frozen=True, slots=True)
class _Signs:
    """Why a tag is suspected: it fills a tight pool, leads its table, grew (first and last row), or is most of a pool
    while allocations failed."""

    tight: bool
    lead: float | None
    growth: tuple[TagRow, TagRow] | None
    failed: _Failed | None


def _leader(rows: list[TagRow], tags: TagView, kind: PoolKind, owners: Attribution) -> tuple[TagRow, float] | None:
    """A tag nobody documents that leads a sorted table by far (in a sorted table no hidden row can be larger)."""
    if kind not in tags.sorted_pools or len(rows) < 2 or rows[0].bytes is None or not rows[1].bytes:
        return None
    first, lead = rows[0], rows[0].bytes / rows[1].bytes
    if owners.owner(first) is not None or lead < UNKNOWN_TAG_LEADS.value or rows[0].bytes < UNKNOWN_TAG_BYTES.value:
        return None
    return first, lead


def _large_and_unknown(row: TagRow, share: float | None, owners: Attribution) -> bool:
    """A tag nobody documents that is most of its pool, or whose many bytes were hardly ever freed."""
    if row.bytes is None or owners.owner(row) is not None:
        return False
    if share is not None and share >= UNKNOWN_TAG_SHARE.value and row.bytes >= UNKNOWN_TAG_LARGE_BYTES.value:
        return True
    return _never_freed(row)


def _never_freed(row: TagRow) -> bool:
    """Whether the tag's blocks are many bytes and were hardly ever freed."""
    never = bool(row.allocs) and row.frees is not None and row.frees <= NEVER_FREED.value * (row.allocs or 0)
    return never and row.bytes is not None and row.bytes >= NEVER_FREED_BYTES.value


def _suspect(row: TagRow, share: float | None, system: System, owners: Attribution, signs: _Signs) -> Finding:
    least = least_bytes(row, system) or 0
    at_least = "" if row.bytes is not None else "at least "
    because = [
        Reason(f"tag {row.tag}: {row.outstanding or 0:,} blocks outstanding, {at_least}{exact(least)}", row.where)
    ]
    if share is not None:
        of = "a pool that is short" if signs.tight else "the pool in use"
        because.append(Reason(f"that is {at_least}{percent(share)} of {of}"))
    if signs.growth is not None:
        because += _growth_reasons(*signs.growth)
    if signs.lead is not None:
        because.append(
            Reason(f"{signs.lead:.1f} times the next tag of a sorted table, and no list or note knows the tag")
        )
    if row.allocs is not None and row.frees is not None and row.allocs:
        because.append(
            Reason(
                f"of {row.allocs:,} blocks allocated since boot only {percent(row.frees / row.allocs)} were freed",
                row.where,
            )
        )
    if signs.failed is not None:
        count = signs.failed.count
        says = f"{plural(count.value, 'pool allocation')} failed since boot; which pool is not known"
        if signs.failed.certain:
            says = f"{plural(count.value, 'allocation')} of this pool failed"
        because.append(Reason(says, count.where))
    owner = owners.owner(row)
    if owner is not None:
        because.append(
            Reason(f"the tag is {owner.binary or 'described'}: {owner.description or 'no text'} ({owner.how})")
        )
    never_freed = row.allocs is not None and row.frees is not None and row.frees < row.allocs * 0.6
    certain = (
        signs.growth is not None or signs.failed is not None or (signs.tight and (never_freed or share is not None))
    )
    seen = "it grew from capture to capture" if signs.growth is not None else "growth was not seen"
    return Finding(
        pattern=PATTERN,
        verdict=Verdict.SUSPECTED,
        severity=Severity.CRITICAL if signs.tight else Severity.WARNING,
        confidence=Confidence.MEDIUM if certain else Confidence.LOW,
        headline=f"tag {row.tag} holds {at_least}{size(least)} of {row.pool} pool"
        + (f" ({at_least}{percent(share)} of it)" if share is not None else "")
        + f": a leak is suspected, {seen}",
        subject=Subject(pool=str(row.pool), tag=row.tag, driver=culprit(row, owner)),
        because=tuple(because),
        against=_against(signs, row),
        explains=(f"what the {row.pool} pool is full of",) if signs.tight else (),
        next_steps=(_WATCH, *find_driver(row)),
    )


def _growth_reasons(first: TagRow, last: TagRow) -> list[Reason]:
    grown = (last.bytes or 0) - (first.bytes or 0)
    return [
        Reason(f"{first.outstanding or 0:,} blocks, {size(first.bytes or 0)} in the first table", first.where),
        Reason(
            f"{last.outstanding or 0:,} blocks, {size(last.bytes or 0)} in the last: {size(grown)} more", last.where
        ),
    ]


def _against(signs: _Signs, row: TagRow) -> tuple[Reason, ...]:
    reasons = []
    if signs.growth is None:
        reasons.append("growth was not seen: whether it still grows, or comes down with the load, is not known")
    else:
        reasons.append("a few captures cannot show that it never comes down: load grows like this too")
    if signs.failed is not None and signs.failed.room:
        another = "" if signs.failed.certain else "of another pool, "
        reasons.append(
            f"this pool has room now: what failed was {another}of a fuller time, or larger than any free run"
        )
    elif signs.failed is not None and not signs.failed.certain:
        reasons.append("the allocations that failed may have been another pool's")
    hint = family_hint(row)
    if hint is not None:
        reasons.append(f"tags like {hint.pattern} are also used by {hint.component}: no more than a hint")
    return tuple(Reason(reason) for reason in reasons)


def culprit(row: TagRow, owner: Owner | None) -> str | None:
    """The driver that a list gives the tag to. A tag of Windows' own drivers names the writer, not who leaks: None."""
    if owner is None or owner.binary is None or sure_note(row) is not None:
        return None
    return owner.binary if owner.binary.casefold().endswith(".sys") else None


def find_driver(row: TagRow) -> tuple[str, ...]:
    """The step that leads from a tag to its driver; none where the finding about a shared tag says it."""
    note = sure_note(row)
    if note is not None and note.role in (Role.UNTAGGED, Role.GENERIC):
        return ()  # the finding about that tag says how to split it
    if note is not None:
        return (note.next_step,)
    return (find_by_tag(row.tag),)


def find_by_tag(tag: str) -> str:
    """The step that finds a tag's driver by its four bytes: as text where that is safe to paste, else as a number."""
    padded = tag.ljust(4)
    if padded.isascii() and all(character.isalnum() or character in " -_." for character in padded):
        return (
            f'find the driver: `!for_each_module s -a @#Base @#End "{padded}"` in the debugger, or on the server'
            f' `findstr /m /c:"{tag}" %SystemRoot%\\System32\\drivers\\*.sys`'
        )
    if not padded.isascii():
        return "find the driver: search the modules for the tag's four bytes with `s -b` (`!for_each_module`)"
    value = int.from_bytes(padded.encode("ascii"), "little")
    return f"find the driver: `!for_each_module s -d @#Base @#End 0x{value:08x}` (the tag's four bytes as a number)"
