"""A shared default tag (Ddk and the like) fills the pool: it names no driver and must be split first."""

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.machine import System
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import TagRow
from poolsleuth.patterns.attribution import Attribution
from poolsleuth.patterns.course.course import Kind
from poolsleuth.patterns.courses import Courses
from poolsleuth.patterns.makers import with_makers
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.patterns.shares import least_bytes, tag_share
from poolsleuth.patterns.tag_knowledge import sure_note
from poolsleuth.patterns.thresholds import (
    GENERIC_OF_LIMIT,
    TAG_IS_MOST,
    TAG_UNTAGGED_BYTES,
    TAG_UNTAGGED_SHARE,
    UNKNOWN_TAG_LARGE_BYTES,
)
from poolsleuth.patterns.views import PoolState, PoolStates, TagView
from poolsleuth.patterns.wording import exact, percent, size
from poolsleuth.windows import tag_notes

ID = "generic-tag"


# What it does over time when it takes no more than before
_STAYS = frozenset({Kind.STEADY, Kind.LOAD, Kind.FILLED, Kind.FALLING})


def judge(
    tags: TagView, states: PoolStates | None, system: System, owners: Attribution, courses: Courses | None = None
) -> Finding:
    """Found when the largest shared default tag is a substantial part of its pool; who uses it in code is told."""
    rows = [row for row in tags.rows if (note := sure_note(row)) is not None and note.role is tag_notes.Role.GENERIC]
    if not rows:
        return (
            not_assessed(
                ID, "no shared default tag (such as Ddk) is among the rows shown", "run `!poolused` without /t"
            )
            if not _complete(tags)
            else ruled_out(ID, "the complete tag table has no shared default tag")
        )
    row = max(rows, key=lambda r: least_bytes(r, system) or 0)
    least = least_bytes(row, system) or 0
    share = tag_share(row, states, system)
    if (share is not None and share < TAG_UNTAGGED_SHARE.value) or (share is None and least < TAG_UNTAGGED_BYTES.value):
        return ruled_out(
            ID,
            f"shared default tags are small: {row.tag} has {size(least)} of {row.pool} pool",
            because=(Reason(f"tag {row.tag}: {row.outstanding or 0:,} blocks outstanding", row.where),),
        )
    note = sure_note(row)
    state = states.of(row.pool) if states is not None else None
    harmless = _harmless(row, least, share, state, courses)
    if harmless is not None:
        return ruled_out(
            ID,
            f"the shared default tag {row.tag} has {percent(share or 0)} of the {row.pool} pool in use, {harmless}",
            because=(_what(row, share, least),),
            confidence=Confidence.MEDIUM,
            subject=Subject(pool=str(row.pool), tag=row.tag),
        )
    full = state is not None and state.tight
    because = [_what(row, share, least)]
    if note is not None:
        because.append(Reason(f"{row.tag}: {note.holds}"))
    finding = Finding(
        pattern=ID,
        verdict=Verdict.FOUND,
        severity=Severity.CRITICAL if full else Severity.WARNING,
        confidence=Confidence.HIGH if row.bytes is not None or full else Confidence.MEDIUM,
        headline=f"{row.outstanding or 0:,} blocks of {row.pool} pool carry the shared default tag {row.tag}, which"
        " names no driver",
        subject=Subject(pool=str(row.pool), tag=row.tag),
        because=tuple(because),
        against=(Reason("several drivers may share the tag: no driver can be named from it"),),
        explains=(f"what the {row.pool} pool is full of",) if full else (),
        next_steps=(
            *((note.next_step,) if note is not None else ()),
            "Driver Verifier with pool tracking on all third-party drivers, then `!verifier 3 <driver.sys>`: its counts"
            " are per driver, whatever the tag",
        ),
    )
    return with_makers(finding, owners.makers(row))


def _harmless(
    row: TagRow, least: int, share: float | None, state: PoolState | None, courses: Courses | None
) -> str | None:
    """Why a tag that is a substantial part of its pool harms nobody; None where that cannot be said."""
    if share is None or share >= TAG_IS_MOST.value or (state is not None and state.tight):
        return None
    seen = courses.tags.get(TagKey(row.tag, row.pool, None)) if courses is not None else None
    if seen is not None and seen.course.kind is not Kind.TOO_SHORT:
        return "and does not grow" if seen.course.kind in _STAYS else None
    if row.bytes is None or state is None or not state.has_room or not state.limit:
        return None
    of_limit = least / state.limit
    if of_limit >= GENERIC_OF_LIMIT.value or least >= UNKNOWN_TAG_LARGE_BYTES.value:
        return None
    return f"but only {percent(of_limit)} of what the pool can take: it has room"


def _complete(tags: TagView) -> bool:
    return bool(tags.completeness) and all(str(c) == "complete" for c in tags.completeness.values())


def _what(row: TagRow, share: float | None, least: int) -> Reason:
    counts = f"tag {row.tag}: {row.outstanding or 0:,} blocks outstanding"
    if row.allocs is not None and row.frees is not None:
        counts += f" ({row.allocs:,} allocated, {row.frees:,} freed)"
    if row.bytes is not None:
        counts += f", {exact(row.bytes)}"
    else:
        counts += f", at least {size(least)} (the log has lost the bytes; the smallest possible block is assumed)"
    if share is not None:
        counts += f", {'' if row.bytes is not None else 'at least '}{percent(share)} of the pool in use"
    return Reason(counts, row.where)
