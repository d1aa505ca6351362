"""A tag or a pool that grows and never comes down. Time decides; a few captures are a suspicion at most."""

from collections.abc import Iterator

from poolsleuth.model.block_pointers import BlockPointers
from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.machine import System
from poolsleuth.model.pool import QuotaCharges
from poolsleuth.model.tags import PoolKind, TagTable
from poolsleuth.patterns.attribution import Attribution
from poolsleuth.patterns.course.course import Kind
from poolsleuth.patterns.courses import Courses
from poolsleuth.patterns.growth import growing_tags
from poolsleuth.patterns.leak_over_time import Seen, at_rest, leaks_over_time, still_sentence
from poolsleuth.patterns.leak_suspicion import TWICE, caught_by_the_kernel, cut_tables, suspicions
from poolsleuth.patterns.over_time import course_reasons, doubts
from poolsleuth.patterns.over_time import seen as seen_text
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.patterns.pointers_home import Homes, with_home
from poolsleuth.patterns.quota_payers import with_payers
from poolsleuth.patterns.views import PoolState, PoolStates, SessionStates, TagView
from poolsleuth.patterns.wording import amount

ID = "pool-leak"
_LONGER = "record for a day or longer, through the hours of load and of rest: `poolsleuth collect` prints the commands"


def judge(
    tags: TagView | None,
    states: PoolStates | None,
    system: System,
    owners: Attribution,
    tables: tuple[TagTable, ...],
    courses: Courses | None,
    sessions: SessionStates | None = None,
    pointers: tuple[BlockPointers, ...] = (),
    charges: tuple[QuotaCharges, ...] = (),
) -> Iterator[Finding]:
    """Found where time shows it or the kernel itself caught a session's leak; suspected from single captures, or from
    a time too short; ruled out for pools that were watched long enough and came down."""
    holding: list[Finding] = []
    caught = caught_by_the_kernel(system)
    if caught is not None:
        holding.append(caught)
    seen = Seen(courses, tags, states, owners) if courses is not None else None
    if seen is not None:
        holding += leaks_over_time(seen)
    # Time has judged these tags by all their tables: the first and the last say no more
    watched = (
        {(k.tag, k.pool) for k, t in courses.tags.items() if t.course.kind is not Kind.TOO_SHORT} if courses else set()
    )
    growth = {key: rows for key, rows in growing_tags(tables).items() if key not in watched}
    named = {(f.subject.tag, f.subject.pool) for f in holding}
    for kind in (PoolKind.NONPAGED, PoolKind.PAGED):
        if tags is None or (seen is not None and at_rest(seen, kind) is not None):
            continue
        holding += [
            f
            for f in suspicions(kind, tags, states, system, owners, growth, sessions)
            if (f.subject.tag, f.subject.pool) not in named and not _judged(f, courses)
        ]
    homes = Homes(pointers, owners)
    holding = [_with_home(finding, tags, owners, homes, charges) for finding in holding]
    yield from holding
    if seen is not None and seen.courses.judged:
        yield from _other_pools(seen, holding)
    elif not holding:
        yield _too_little(tags, tables, courses)


def _with_home(
    finding: Finding, tags: TagView | None, owners: Attribution, homes: Homes, charges: tuple[QuotaCharges, ...]
) -> Finding:
    """A finding about a tag of a system pool with what its blocks tell of owner, retainer, victim and who pays."""
    subject = finding.subject
    if tags is None or subject.tag is None or subject.session is not None or subject.pool is None:
        return finding
    row = tags.row(subject.tag, PoolKind(subject.pool))
    if row is None:
        return finding
    return with_payers(with_home(finding, homes.home(row), owners.makers(row)), row, charges)


def _judged(finding: Finding, courses: Courses | None) -> bool:
    """Whether time has already shown that the tag of a suspicion does not leak."""
    if courses is None:
        return False
    settled = (Kind.STEADY, Kind.LOAD, Kind.FILLED, Kind.JUMP, Kind.FALLING)
    return any(
        tag.course.kind in settled and tag.course.confidence is not Confidence.LOW
        for key, tag in courses.tags.items()
        if key.tag == finding.subject.tag and str(key.pool) == finding.subject.pool and key.session is None
    )


def _other_pools(seen: Seen, holding: list[Finding]) -> Iterator[Finding]:
    """What is said of the pools in which nothing holds."""
    told = {f.subject.pool for f in holding}
    for kind, course in seen.courses.pools.items():
        if str(kind) in told or course.grows:
            continue
        line = seen.courses.lines.pools[kind]
        rest = at_rest(seen, kind)
        if rest is not None and rest.kind is Kind.FILLED and _is_full(seen.state(kind)):
            yield Finding(
                pattern=ID,
                verdict=Verdict.SUSPECTED,
                severity=Severity.CRITICAL,
                confidence=Confidence.MEDIUM,
                headline=f"the {kind} pool grew by {amount(rest.growth, line.unit)} until it was full: a leak is"
                " suspected",
                subject=Subject(pool=str(kind)),
                because=course_reasons(rest, line),
                against=(
                    Reason("it has stopped growing: nothing more fits, or what filled it has ended"),
                    *doubts(rest),
                ),
                explains=("allocations that fail",),
                next_steps=("find the tag before the restart: `!poolused`, or `poolmon -n`", _LONGER),
            )
        elif rest is not None:
            yield ruled_out(
                ID,
                still_sentence(kind, rest, line),
                confidence=rest.confidence,
                because=course_reasons(rest, line),
                against=tuple(Reason(text) for text in rest.against),
                subject=Subject(pool=str(kind)),
            )
        elif course.kind is Kind.UNCLEAR:
            yield Finding(
                pattern=ID,
                verdict=Verdict.SUSPECTED,
                severity=Severity.INFO,
                confidence=Confidence.LOW,
                headline=f"the {kind} pool rises in a way that cannot be told from load yet: a leak is possible",
                subject=Subject(pool=str(kind)),
                because=course_reasons(course, line),
                against=doubts(course),
                next_steps=(_LONGER,),
            )
        else:
            yield not_assessed(
                ID,
                f"too little was seen of the {kind} pool to tell a leak from load: {seen_text(course, line)}",
                _LONGER,
                because=tuple(Reason(text, line.where) for text in course.because),
                subject=Subject(pool=str(kind)),
            )
    if not seen.courses.pools and not holding:
        yield _tags_at_rest(seen)


def _is_full(state: PoolState | None) -> bool:
    """Whether a pool has no room left: then it stops growing whatever leaks."""
    return state is not None and (state.tight or state.failures is not None or state.failures_seen is not None)


def _tags_at_rest(seen: Seen) -> Finding:
    judged = [t for t in seen.courses.tags.values() if t.course.kind is not Kind.TOO_SHORT]
    unclear = sum(t.course.kind is Kind.UNCLEAR or t.course.grows for t in judged)
    hours = max(t.course.hours for t in judged)
    says = f"of {len(judged):,} tags watched for {hours:.0f} hours none grows without coming down"
    if unclear:
        return not_assessed(ID, f"{says}, but {unclear:,} rise in a way that cannot be told from load yet", _LONGER)
    return ruled_out(ID, says, confidence=Confidence.MEDIUM)


def _too_little(tags: TagView | None, tables: tuple[TagTable, ...], courses: Courses | None) -> Finding:
    if courses is not None and courses.lines.undated:
        why = "the tables follow each other, but nothing says when each was taken"
        return not_assessed(ID, why, "write the date before each snapshot (`poolsleuth collect` prints how)")
    for kind, course in courses.pools.items() if courses is not None else ():
        line = courses.lines.pools[kind] if courses is not None else None
        if line is not None:
            says = f"too few samples, or too short a time, to tell a leak from load: {seen_text(course, line)}"
            return not_assessed(ID, says, _LONGER, because=tuple(Reason(t, line.where) for t in course.because))
    if tags is None:
        return not_assessed(ID, "no tag table is in the evidence", TWICE)
    captures = len({(table.where.input, table.where.line) for table in tables if table.session is None})
    if captures > 1:
        why = f"no tag grew through all of the {captures} tables, which are too few to rule a leak out"
    else:
        why = "one capture cannot tell a leak from load"
    return not_assessed(ID, why, TWICE, because=cut_tables(tables))
