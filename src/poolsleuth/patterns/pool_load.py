"""High use that comes down with the load. Only time can show it, so one capture never answers."""

from collections.abc import Iterator

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.tags import PoolKind
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.courses import Courses, TagCourse
from poolsleuth.patterns.lines import Line
from poolsleuth.patterns.over_time import WORDS, course_reasons, doubts, span
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.patterns.thresholds import FOLLOWS_THE_LOAD, LOAD_SWING_BYTES
from poolsleuth.patterns.views import PoolStates
from poolsleuth.patterns.wording import amount

ID = "pool-load"
MAX_TAGS = 5
_RECORD = (
    "record \\Memory\\Pool Nonpaged Bytes, \\Memory\\Pool Paged Bytes and the server's load for a day"
    " (`poolsleuth collect` prints the commands)"
)


def judge(states: PoolStates | None, courses: Courses | None) -> Iterator[Finding]:
    """Found for a pool, or a tag with a large swing, that rises and comes back down; also for one that rose with the
    load and stays as long as the load does."""
    if courses is None or not courses.judged:
        why = "one capture cannot tell load from a leak"
        if courses is not None and courses.lines.undated:
            why = "the tables follow each other, but nothing says when each was taken"
        elif courses is not None and courses.pools:
            why = "too few samples, or too short a time, to tell load from a leak"
        elif states is None:
            why = "the evidence does not hold what this needs"
        yield not_assessed(ID, why, _RECORD)
        return
    found = [f for kind, course in courses.pools.items() if (f := _of_pool(kind, course, courses)) is not None]
    found += [_of_tag(tag) for tag in _swinging(courses)[:MAX_TAGS]]
    if found:
        yield from found
        return
    growing = [kind for kind, course in courses.pools.items() if course.grows]
    if growing:
        names = " and ".join(f"the {kind} pool" for kind in growing)
        yield ruled_out(ID, f"{names} did not come down while it was watched", confidence=Confidence.MEDIUM)
        return
    moved = [course for course in courses.pools.values() if course.kind in (Kind.UNCLEAR, Kind.TOO_SHORT)]
    if moved:
        yield not_assessed(ID, "what rose was not seen coming down", _RECORD)
        return
    yield ruled_out(ID, "nothing rose and came down again to speak of", confidence=Confidence.MEDIUM)


def _of_pool(kind: PoolKind, course: Course, courses: Courses) -> Finding | None:
    line = courses.lines.pools[kind]
    follows = _follows(line, courses)
    if course.kind is Kind.FILLED and follows is None:
        return None  # nothing tells whether that is work or a cache: it grew and stopped
    if course.kind not in (Kind.LOAD, Kind.FILLED):
        return None
    because = list(course_reasons(course, line))
    if follows is not None:
        because.append(follows)
    if course.kind is Kind.FILLED:
        headline = f"the {kind} pool grew with the work and stays where the work is: not a leak"
    else:
        headline = f"the {kind} pool {WORDS[Kind.LOAD]}{_swing(course, line)}: load, not a leak"
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND if course.confidence is not Confidence.LOW else Verdict.SUSPECTED,
        severity=Severity.INFO,
        confidence=course.confidence,
        headline=headline,
        subject=Subject(pool=str(kind)),
        because=tuple(because),
        against=doubts(course),
        next_steps=("if it is high at its peaks, look at what works then: size the server for it, or spread it",),
    )


def _swing(course: Course, line: Line) -> str:
    if course.floor is None or course.peak is None:
        return ""
    return f" between {amount(course.floor, line.unit)} and {amount(course.peak, line.unit)} in {span(course.hours)}"


def _follows(line: Line, courses: Courses) -> Reason | None:
    """The load counter that the level goes with best."""
    best: tuple[float, Reason] | None = None
    for load, relation in courses.relations(line):
        if relation.level is None or relation.level < FOLLOWS_THE_LOAD.value:
            continue
        if best is None or relation.level > best[0]:
            reason = Reason(f"it follows {load.source} (rank correlation {relation.level:.2f})", load.where)
            best = (relation.level, reason)
    return best[1] if best is not None else None


def _swinging(courses: Courses) -> list[TagCourse]:
    """Tags whose use goes up and down by a lot, the largest swing first."""
    found = [
        tag
        for tag in courses.tags.values()
        if tag.course.kind is Kind.LOAD
        and tag.course.confidence is not Confidence.LOW
        and tag.shown is tag.line.bytes
        and (tag.course.peak or 0) - (tag.course.floor or 0) >= LOAD_SWING_BYTES.value
    ]
    return sorted(found, key=lambda t: (t.course.floor or 0) - (t.course.peak or 0))


def _of_tag(tag: TagCourse) -> Finding:
    course, line, key = tag.course, tag.shown, tag.key
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND,
        severity=Severity.INFO,
        confidence=course.confidence,
        headline=f"tag {key.tag} of the {key.pool} pool {WORDS[Kind.LOAD]}{_swing(course, line)}: load, not a leak",
        subject=Subject(pool=str(key.pool), tag=key.tag, session=key.session),
        because=course_reasons(course, line),
        against=doubts(course),
        next_steps=("nothing against a leak: look at what works while it is high",),
    )
