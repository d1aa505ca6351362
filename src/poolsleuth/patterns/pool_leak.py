"""A tag whose blocks grow and never come down. One capture cannot show growth: it can only raise a suspicion."""

from collections.abc import Iterator

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.machine import System
from poolsleuth.model.tags import PoolKind, TagRow
from poolsleuth.patterns.attribution import Attribution, Owner
from poolsleuth.patterns.pattern import not_assessed
from poolsleuth.patterns.shares import least_bytes, tag_share
from poolsleuth.patterns.thresholds import TAG_DOMINATES, UNKNOWN_TAG_BYTES, UNKNOWN_TAG_LEADS
from poolsleuth.patterns.views import PoolStates, TagView
from poolsleuth.patterns.wording import exact, percent, size
from poolsleuth.windows import tag_notes
from poolsleuth.windows.tag_notes import Role

ID = "pool-leak"

# Their size follows files, the registry or load: large is normal for them, and growth must be seen
_FOLLOWS_LOAD = frozenset({Role.CACHE, Role.REGISTRY, Role.POOL, Role.CONTIGUOUS, Role.VERIFIER})
SESSION_LEAK = 0xAB
SESSION_SPECIAL_LEAK = 0xEC  # the same, for blocks in special pool; its arguments are not documented
_TWICE = (
    "take the tag table twice, hours apart (`!poolused`, poolmon -n), or record \\Memory\\Pool Nonpaged Bytes and"
    " \\Memory\\Pool Paged Bytes for a day"
)
_WATCH = "watch it: poolmon -b (or `!poolused` again hours later); a leak never comes down, load does"


def judge(tags: TagView | None, states: PoolStates | None, system: System, owners: Attribution) -> Iterator[Finding]:
    """Found where the kernel itself caught a session's leak; else one suspicion per tag that fills a tight pool, or
    that leads a table by far and is known to nobody."""
    caught = _caught(system)
    if caught is not None:
        yield caught
    if tags is None:
        if caught is None:
            yield not_assessed(ID, "no tag table is in the evidence", _TWICE)
        return
    holding: list[Finding] = []
    for kind in (PoolKind.NONPAGED, PoolKind.PAGED):
        holding += _of_pool(kind, tags, states, system, owners)
    if holding:
        yield from holding
    elif caught is None:
        yield not_assessed(ID, "one capture cannot tell a leak from load", _TWICE)


def _caught(system: System) -> Finding | None:
    """Bug check 0xAB: a session ended with pool of its own still allocated (bytes paged, bytes nonpaged, counts)."""
    check = system.bugcheck
    if check is None or check.code not in (SESSION_LEAK, SESSION_SPECIAL_LEAK):
        return None
    known = len(check.parameters) >= 4 and check.code == SESSION_LEAK
    session, paged, nonpaged = check.parameters[:3] if known else (None, 0, 0)
    left = f"{size(paged)} of paged and {size(nonpaged)} of nonpaged pool" if known else "pool"
    return Finding(
        pattern=ID,
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
    kind: PoolKind, tags: TagView, states: PoolStates | None, system: System, owners: Attribution
) -> Iterator[Finding]:
    state = states.of(kind) if states is not None else None
    tight = state is not None and (state.tight or state.failures is not None)
    rows = tags.pool(kind)
    for row in rows:
        note = tag_notes.find(row.tag)
        if note is not None and note.role in _FOLLOWS_LOAD:
            continue
        share = tag_share(row, states, system)
        if tight and share is not None and share >= TAG_DOMINATES.value:
            yield _suspect(row, share, system, owners, tight=True)
    if state is None or state.share is None:
        leader = _leader(rows, tags, kind, owners)
        if leader is not None:
            yield _suspect(leader[0], None, system, owners, tight=False, lead=leader[1])


def _leader(rows: list[TagRow], tags: TagView, kind: PoolKind, owners: Attribution) -> tuple[TagRow, float] | None:
    """A tag nobody documents that leads a sorted table by far (in a sorted table no hidden row can be larger)."""
    if kind not in tags.sorted_pools or len(rows) < 2 or rows[0].bytes is None or not rows[1].bytes:
        return None
    first, lead = rows[0], rows[0].bytes / rows[1].bytes
    if owners.owner(first) is not None or lead < UNKNOWN_TAG_LEADS.value or rows[0].bytes < UNKNOWN_TAG_BYTES.value:
        return None
    return first, lead


def _suspect(
    row: TagRow, share: float | None, system: System, owners: Attribution, *, tight: bool, lead: float | None = None
) -> Finding:
    least = least_bytes(row, system) or 0
    at_least = "" if row.bytes is not None else "at least "
    because = [
        Reason(f"tag {row.tag}: {row.outstanding or 0:,} blocks outstanding, {at_least}{exact(least)}", row.where)
    ]
    if share is not None:
        because.append(Reason(f"that is {at_least}{percent(share)} of a pool that is nearly full"))
    if lead is not None:
        because.append(Reason(f"{lead:.1f} times the next tag of a sorted table, and no list or note knows the tag"))
    if row.allocs is not None and row.frees is not None and row.allocs:
        because.append(
            Reason(
                f"of {row.allocs:,} blocks allocated since boot only {percent(row.frees / row.allocs)} were freed",
                row.where,
            )
        )
    owner = owners.owner(row)
    driver = _culprit(row, owner)
    if owner is not None:
        because.append(
            Reason(f"the tag is {owner.binary or 'described'}: {owner.description or 'no text'} ({owner.how})")
        )
    never_freed = row.allocs is not None and row.frees is not None and row.frees < row.allocs * 0.6
    return Finding(
        pattern=ID,
        verdict=Verdict.SUSPECTED,
        severity=Severity.CRITICAL if tight else Severity.WARNING,
        confidence=Confidence.MEDIUM if tight and (never_freed or share is not None) else Confidence.LOW,
        headline=f"tag {row.tag} holds {at_least}{size(least)} of {row.pool} pool"
        + (f" ({at_least}{percent(share)} of it)" if share is not None else "")
        + ": a leak is suspected, growth was not seen",
        subject=Subject(pool=str(row.pool), tag=row.tag, driver=driver),
        because=tuple(because),
        against=(Reason("this is one capture: whether it still grows, or comes down with the load, is not known"),),
        explains=(f"what the {row.pool} pool is full of",) if tight else (),
        next_steps=(_WATCH, *_find_driver(row)),
    )


def _culprit(row: TagRow, owner: Owner | None) -> str | None:
    """The driver that a list gives the tag to. A tag of Windows' own drivers names the writer, not who leaks: None."""
    if owner is None or owner.binary is None or tag_notes.find(row.tag) is not None:
        return None
    return owner.binary if owner.binary.casefold().endswith(".sys") else None


def _find_driver(row: TagRow) -> tuple[str, ...]:
    note = tag_notes.find(row.tag)
    if note is not None and note.role in (Role.UNTAGGED, Role.GENERIC):
        return ()  # the finding about that tag says how to split it
    if note is not None:
        return (note.next_step,)
    return (
        f'find the driver: `!for_each_module s -a @#Base @#End "{row.tag}"` in the debugger, or on the server'
        f" `findstr /m /l {row.tag} %SystemRoot%\\System32\\drivers\\*.sys`",
    )
