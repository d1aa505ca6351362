"""Leaks that time shows: tags, pools and processes whose figures grow and do not come down."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Trend, Verdict
from poolsleuth.model.tags import Completeness, PoolKind, TagRow
from poolsleuth.patterns.attribution import Attribution
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.courses import Courses, ProcessCourse, TagCourse
from poolsleuth.patterns.leak_suspicion import FOLLOWS_LOAD, culprit, find_driver
from poolsleuth.patterns.lines import Line
from poolsleuth.patterns.lockstep_groups import Group, groups_of, row_of
from poolsleuth.patterns.makers import with_makers
from poolsleuth.patterns.over_time import WORDS, course_reasons, date, doubts, hours_until, rate, trend_of
from poolsleuth.patterns.tag_knowledge import family_hint, sure_note
from poolsleuth.patterns.thresholds import (
    FOLLOWS_CLOSELY,
    FOLLOWS_THE_LOAD,
    GROWTH_BYTES,
    GROWTH_EXPLAINED,
    LIMIT_SOON_HOURS,
    PROCESS_EXPLAINS,
)
from poolsleuth.patterns.views import PoolState, PoolStates, TagView
from poolsleuth.patterns.wording import amount, percent, size

PATTERN = "pool-leak"
MAX_TAGS = 20  # findings of one machine: more tags than that do not leak at once, a whole subsystem grows
# Against a leak, where the table shows every tag that holds bytes
_NO_BLOCKS = (
    Reason(
        "all tags together did not grow like the pool's pages: few blocks may hold many pages (pool-fragmentation), and"
        " only memory that no tag counts could leak so"
    ),
)
_STANDING = (PoolKind.NONPAGED, PoolKind.PAGED)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a machine's evidence holds about its leaks over time."""

    courses: Courses
    tags: TagView | None
    states: PoolStates | None
    owners: Attribution

    def state(self, kind: PoolKind) -> PoolState | None:
        """The pool's usage and limit at the end."""
        return self.states.of(kind) if self.states is not None and kind in _STANDING else None

    def pool(self, kind: PoolKind) -> Line | None:
        """The whole pool over time."""
        return self.courses.lines.pools.get(kind)


def leaks_over_time(seen: Seen) -> list[Finding]:
    """One finding per guilty tag; one for a pool that grows without a tag that explains it; processes that grow."""
    groups = groups_of(seen.courses, seen.tags)
    victims = {id(part.tag) for group in groups if group.why for part in group.parts}
    growing = [tag for tag in seen.courses.growing_tags() if id(tag) not in victims and _tells(tag)]
    # A pool that its tags do not explain stands before them: they are not what fills it
    findings: list[Finding] = []
    for kind, course in seen.courses.pools.items():
        if not course.grows:
            continue
        explained = seen.courses.explained(kind) or 0.0
        if explained < GROWTH_EXPLAINED.value:
            findings.append(_of_pool(kind, course, seen, explained))
    for tag in growing[:MAX_TAGS]:
        findings.append(with_makers(_of_tag(tag, seen, groups), seen.owners.makers(row_of(tag, seen.tags))))
    findings += _of_processes(seen, findings)
    return findings


def _tells(tag: TagCourse) -> bool:
    """Whether a growth is worth a finding: one that is not sure must be large, or every morning accuses twenty tags."""
    return tag.course.confidence is not Confidence.LOW or tag.course.growth >= GROWTH_BYTES.value


def _of_tag(tag: TagCourse, seen: Seen, groups: Sequence[Group]) -> Finding:
    key, course, line = tag.key, tag.course, tag.shown
    row = row_of(tag, seen.tags)
    owner = seen.owners.owner(row)
    state = seen.state(key.pool) if key.session is None else None
    pool = seen.pool(key.pool) if key.session is None else None
    trend = trend_of(course, line, seen.courses.blocks(tag), state, pool, _pace(seen, key.pool))
    follows = _follows_growing_load(seen, line)
    because = list(course_reasons(course, line))
    explains: list[str] = []
    whole = seen.courses.pools.get(key.pool) if key.session is None else None
    if whole is not None and whole.grows and whole.slope and course.slope:
        share = course.slope / whole.slope
        because.append(Reason(f"that is {percent(min(share, 1.0))} of the growth of the whole {key.pool} pool"))
        if share >= GROWTH_EXPLAINED.value:
            explains.append(f"the growth of the {key.pool} pool")
    elif whole is not None and whole.kind in (Kind.LOAD, Kind.STEADY):
        because.append(Reason(f"the whole {key.pool} pool does not show it: it {WORDS[whole.kind]}"))
    for group in groups:
        if group.whole is tag:
            explains += [
                f"tag {part.tag.key.tag}, which grows with it ({_ratio(part.step.ratio)})" for part in group.parts
            ]
    if owner is not None:
        because.append(
            Reason(f"the tag is {owner.binary or 'described'}: {owner.description or 'no text'} ({owner.how})")
        )
    because += _load_reasons(seen, line)
    return Finding(
        pattern=PATTERN,
        verdict=_verdict(course, follows),
        severity=_severity(trend, state, pool or line),
        confidence=_confidence(course, follows),
        headline=f"tag {key.tag} of {_pool_words(tag)} pool {_growth_words(course, line, follows)}{_full_at(trend)}",
        subject=Subject(pool=str(key.pool), tag=key.tag, driver=culprit(row, owner), session=key.session),
        because=tuple(because),
        against=(*follows, *_against(course, row), *_dating(seen)),
        explains=tuple(explains),
        next_steps=(*_limit_step(trend, seen, key.pool), *find_driver(row)),
        trend=trend,
    )


def _pool_words(tag: TagCourse) -> str:
    if tag.key.session is None:
        return f"the {tag.key.pool}"
    return f"all sessions' {tag.key.pool}" if tag.key.session == -1 else f"session {tag.key.session}'s {tag.key.pool}"


def _growth_words(course: Course, line: Line, follows: Sequence[Reason] = ()) -> str:
    grown = amount(course.growth, line.unit)
    what = "a leak" if _verdict(course, follows) is Verdict.FOUND else "a leak is suspected"
    pace = f", {rate(course, line.unit)}" if course.slope is not None else ""
    if course.kind is Kind.STEPS:
        return f"grew by {grown} in {course.steps} steps and gave nothing back{pace}: {what}"
    since = f" since {date(course.starts, utc=line.utc)}" if _late(course, line) else ""
    return f"grew by {grown}{since} and does not come down{pace}: {what}"


def _dating(seen: Seen) -> tuple[Reason, ...]:
    """A doubt about the times themselves, where they are those of the files."""
    files = seen.courses.lines.dated_by_files
    return (Reason("the times are the files' own, which copying may have changed"),) if files else ()


def _late(course: Course, line: Line) -> bool:
    """Whether the growth began clearly after the log did."""
    return course.starts is not None and course.starts > line.times[0] + 0.1 * (line.times[-1] - line.times[0])


def _verdict(course: Course, follows: Sequence[Reason] = ()) -> Verdict:
    return Verdict.SUSPECTED if course.confidence is Confidence.LOW or follows else Verdict.FOUND


def _confidence(course: Course, follows: Sequence[Reason]) -> Confidence:
    return Confidence.LOW if follows else course.confidence


def _full_at(trend: Trend | None) -> str:
    """The hour when the limit is reached, for a headline."""
    if trend is None or trend.limit_reached_at is None:
        return ""
    return f"; at this rate the pool is full at {trend.limit_reached_at:%Y-%m-%d %H:%M} UTC"


def _pace(seen: Seen, kind: PoolKind) -> float:
    """Bytes an hour by which a pool grows in all: as a whole, or as the sum of its growing tags."""
    whole = seen.courses.pools.get(kind)
    pace = (whole.slope or 0.0) if whole is not None and whole.grows else 0.0
    tags = [t for t in seen.courses.growing_tags(kind) if t.key.session is None and t.shown is t.line.bytes]
    return max(pace, sum(t.course.slope or 0.0 for t in tags if _tells(t)))


def _follows_growing_load(seen: Seen, line: Line) -> tuple[Reason, ...]:
    """What speaks against a leak: a load counter that grows as well, and that the level goes with closely."""
    best: tuple[float, Reason] | None = None
    for load, relation in seen.courses.relations(line):
        if relation.level is None or relation.level < FOLLOWS_CLOSELY.value or not seen.courses.load_grows(load):
            continue
        if best is None or relation.level > best[0]:
            says = (
                f"it follows {load.source}, which grew as well (rank correlation {relation.level:.2f}): it may be work"
            )
            best = (relation.level, Reason(says, load.where))
    return () if best is None else (best[1],)


def _severity(trend: Trend | None, state: PoolState | None, line: Line) -> Severity:
    if state is not None and (state.tight or state.failures is not None):
        return Severity.CRITICAL
    left = hours_until(trend.limit_reached_at, line) if trend is not None else None
    return Severity.CRITICAL if left is not None and left <= LIMIT_SOON_HOURS.value else Severity.WARNING


def _against(course: Course, row: TagRow | None) -> tuple[Reason, ...]:
    reasons = list(doubts(course))
    note = sure_note(row) if row is not None else None
    if note is not None and note.role in FOLLOWS_LOAD:
        reasons.append(
            Reason(f"{row.tag if row else ''} is {note.component}: it follows what is in use, and may be large")
        )
    hint = family_hint(row) if row is not None else None
    if hint is not None:
        reasons.append(Reason(f"tags like {hint.pattern} are also used by {hint.component}: no more than a hint"))
    return tuple(reasons)


def _load_reasons(seen: Seen, line: Line) -> list[Reason]:
    """The load counter that the growth goes with best, where one does: a leak per operation."""
    best: tuple[float, Reason] | None = None
    for load, relation in seen.courses.relations(line):
        if relation.per_operation is None or relation.per_operation < FOLLOWS_THE_LOAD.value:
            continue
        each = ""
        if relation.amount is not None and relation.amount > 0:
            each = f", about {relation.amount:.3g} {line.unit} for each unit of it"
        reason = Reason(
            f"it grows while {load.source} is at work and rests with it (correlation"
            f" {relation.per_operation:.2f}{each}): a leak per operation",
            load.where,
        )
        if best is None or relation.per_operation > best[0]:
            best = (relation.per_operation, reason)
    return [best[1]] if best is not None else []


def _ratio(ratio: float) -> str:
    return f"{ratio:.2f} of its blocks for each one" if ratio < 10 else f"{ratio:.0f} of its blocks for each one"


def _limit_step(trend: Trend | None, seen: Seen, kind: PoolKind) -> tuple[str, ...]:
    if trend is None or trend.limit_reached_at is None:
        return ()
    state = seen.state(kind)
    source = f" ({state.limit_source})" if state is not None and state.limit_source else ""
    return (
        f"restart what allocates it, or the server, before {trend.limit_reached_at:%Y-%m-%d %H:%M} UTC: at this rate"
        f" the {kind} pool then reaches its limit{source}",
    )


def _of_pool(kind: PoolKind, course: Course, seen: Seen, explained: float) -> Finding:
    line = seen.courses.lines.pools[kind]
    state = seen.state(kind)
    trend = trend_of(course, line, None, state, None, _pace(seen, kind))
    whole = seen.tags is not None and seen.tags.completeness.get(kind) is Completeness.COMPLETE
    follows = (*_follows_growing_load(seen, line), *(_NO_BLOCKS if whole and any(_in(kind, seen)) else ()))
    because = list(course_reasons(course, line))
    if explained > 0:
        because.append(Reason(f"the tags that grow make only {percent(explained)} of it"))
    holder = _holder(kind, course, seen)
    if holder is not None:
        because.append(
            Reason(
                f"{holder.process.name} grows with it: {holder.what} {rate(holder.course, holder.line.unit)}",
                holder.line.where,
            )
        )
    because += _load_reasons(seen, line)
    has_tags = any(key.pool is kind for key in seen.courses.tags)
    steps = ["find the tag: record `poolmon -n` snapshots for hours (`poolsleuth collect` prints how)"]
    if has_tags:
        steps = [
            "no tag of the tables explains it: look for untagged and for contiguous memory (`!poolused`, MmCm, None)"
        ]
    return Finding(
        pattern=PATTERN,
        verdict=_verdict(course, follows),
        severity=_severity(trend, state, line),
        confidence=_confidence(course, follows),
        headline=f"the {kind} pool {_growth_words(course, line, follows)}{_held_by(holder)}{_full_at(trend)}",
        subject=Subject(pool=str(kind), process=holder.process.name if holder is not None else None),
        because=tuple(because),
        against=(*follows, *_against(course, None)),
        next_steps=(*_limit_step(trend, seen, kind), *steps),
        trend=trend,
    )


def _in(kind: PoolKind, seen: Seen) -> Iterator[bool]:
    return (key.pool is kind and key.session is None for key in seen.courses.tags)


def _held_by(holder: ProcessCourse | None) -> str:
    return f", most of it charged to {holder.process.name}" if holder is not None else ""


def _holder(kind: PoolKind, course: Course, seen: Seen) -> ProcessCourse | None:
    """The process whose quota makes half of the pool's growth."""
    grown = [
        p
        for p in seen.courses.processes
        if p.what == str(kind)
        and p.course.grows
        and p.course.slope is not None
        and course.slope is not None
        and p.course.slope >= PROCESS_EXPLAINS.value * course.slope
    ]
    return max(grown, key=lambda p: p.course.slope or 0.0, default=None)


def _of_processes(seen: Seen, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Processes whose own pool charge leaks although their pool as a whole shows no growth."""
    named = {(f.subject.process, f.subject.pool) for f in findings}
    covered = {f.subject.pool for f in findings if f.subject.process is None}
    for process in seen.courses.processes:
        course = process.course
        if process.what == "handles" or not course.grows or course.growth < GROWTH_BYTES.value:
            continue
        if (process.process.name, process.what) in named or process.what in covered:
            continue
        yield Finding(
            pattern=PATTERN,
            verdict=_verdict(course),
            severity=Severity.WARNING,
            confidence=course.confidence,
            headline=f"the {process.what} pool charged to {process.process.name} {_growth_words(course, process.line)}",
            subject=Subject(pool=process.what, process=process.process.name),
            because=course_reasons(course, process.line),
            against=(
                *_against(course, None),
                Reason("a process's quota is an estimate of what its handles hold, not of what drivers allocate"),
            ),
            next_steps=("watch its handles, and which of its own actions make it grow (restart it and look again)",),
            trend=trend_of(course, process.line, None, None, None),
        )


def at_rest(seen: Seen, kind: PoolKind) -> Course | None:
    """The course of a pool that was watched long enough and does not leak; None when it leaks or nobody can tell."""
    course = seen.courses.pools.get(kind)
    if course is None or course.kind in (Kind.TOO_SHORT, Kind.UNCLEAR) or course.grows:
        return None
    return course if course.confidence is not Confidence.LOW else None


def still_sentence(kind: PoolKind, course: Course, line: Line) -> str:
    """Why a pool is no leak, in one sentence."""
    swing = ""
    if course.kind is Kind.LOAD and course.floor is not None and course.peak is not None:
        swing = f" (between {size(round(course.floor))} and {size(round(course.peak))})"
    return f"the {kind} pool {WORDS[course.kind]}{swing}: {amount(course.growth, line.unit)} of lasting growth"
