"""Handle leaks that time shows: a process whose handles only grow, and the objects that grow with them."""

from collections.abc import Sequence

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.courses import Courses, ProcessCourse, TagCourse
from poolsleuth.patterns.lines import Line
from poolsleuth.patterns.lockstep_groups import row_of
from poolsleuth.patterns.over_time import course_reasons, doubts, rate
from poolsleuth.patterns.pattern import ruled_out
from poolsleuth.patterns.tag_knowledge import sure_note
from poolsleuth.patterns.thresholds import HANDLES_CRITICAL, PROCESS_EXPLAINS
from poolsleuth.patterns.views import TagView
from poolsleuth.patterns.wording import amount
from poolsleuth.windows.counters import Unit, english_of
from poolsleuth.windows.tag_notes import Role

PATTERN = "handle-leak"
MAX_PROCESSES = 10
MAX_OBJECTS = 10
MANY_PROCESSES = 8  # no Windows runs with fewer: a log of so many, System among them, has all of them


def handle_leaks_over_time(courses: Courses, tags: TagView | None) -> list[Finding]:
    """One finding per process whose handles grow and do not come down, else one per kind of object that does."""
    processes = sorted(_growing(courses), key=lambda p: -(p.course.slope or 0.0))[:MAX_PROCESSES]
    objects = [t for t in courses.growing_tags() if _is_object(t, tags)]
    findings = [_of_process(process, objects, courses) for process in processes]
    if not processes:
        findings += [_of_objects(tag, courses) for tag in objects[:MAX_OBJECTS]]
        if not objects:
            findings += [_of_counter(line, course) for line, course in courses.objects if course.grows][:MAX_OBJECTS]
    return findings


def handles_at_rest(courses: Courses) -> Finding | None:
    """The ruling-out when the handles of many processes were watched and none grows; None when too little was seen."""
    judged = [p for p in courses.processes if p.what == "handles" and p.course.kind is not Kind.TOO_SHORT]
    whole = [p for p in judged if p.course.confidence is not Confidence.LOW]
    if not whole or any(p.course.kind is Kind.UNCLEAR for p in judged):
        return None
    most = max(whole, key=lambda p: p.course.peak or 0.0)
    return ruled_out(
        PATTERN,
        f"of {len(judged):,} processes watched none keeps opening handles; the most are"
        f" {amount(most.course.peak or 0.0, Unit.COUNT)} of {most.process.name}",
        confidence=Confidence.MEDIUM,
    )


def keeps_handles(blocks: Course, courses: Courses) -> bool | None:
    """Whether open handles keep the objects of a tag: True where a process opens them at the pace at which ``blocks``
    grow, False where all processes that were watched are at rest, None where neither shows."""
    if any(_same_pace(blocks, process.course) for process in _growing(courses)):
        return True
    return False if _all_at_rest(courses) is not None else None


def _all_at_rest(courses: Courses) -> Finding | None:
    """``handles_at_rest`` where it is true of the whole machine: a log may watch three processes only."""
    rest = handles_at_rest(courses)
    watched = {p.process.name.casefold() for p in courses.processes if p.what == "handles"}
    return rest if len(watched) >= MANY_PROCESSES and "system" in watched and not _growing(courses) else None


def _growing(courses: Courses) -> list[ProcessCourse]:
    return [p for p in courses.processes if p.what == "handles" and p.course.grows]


def _is_object(tag: TagCourse, tags: TagView | None) -> bool:
    note = sure_note(row_of(tag, tags))
    return note is not None and note.role is Role.OBJECT


def _of_process(process: ProcessCourse, objects: Sequence[TagCourse], courses: Courses) -> Finding:
    course, name = process.course, process.process.name
    because = list(course_reasons(course, process.line))
    explains = []
    for tag in objects:
        blocks = courses.blocks(tag)
        if _same_pace(blocks, course):
            because.append(
                Reason(
                    f"the objects of tag {tag.key.tag} grow at the same pace: {rate(blocks, Unit.COUNT)}",
                    tag.line.outstanding.where,
                )
            )
            explains.append(f"the growth of tag {tag.key.tag}")
    for line, counted in courses.objects:
        if counted.grows and _same_pace(counted, course):
            because.append(Reason(f"{line.source} grows at the same pace: {rate(counted, Unit.COUNT)}", line.where))
    certain = course.confidence is not Confidence.LOW
    return Finding(
        pattern=PATTERN,
        verdict=Verdict.FOUND if certain else Verdict.SUSPECTED,
        severity=Severity.CRITICAL if (course.peak or 0) >= HANDLES_CRITICAL.value else Severity.WARNING,
        confidence=course.confidence,
        headline=f"{name} opens handles and does not close them: {amount(course.growth, Unit.COUNT)} more,"
        f" {rate(course, Unit.COUNT)}",
        subject=Subject(process=name, tag=_only_tag(objects, course, courses)),
        because=tuple(because),
        against=doubts(course),
        explains=tuple(explains),
        next_steps=(
            "`!handle 0 0 <pid>` counts its handles by type (or Sysinternals handle -s -p <pid> on the server)",
            "restart the process to get the memory back, and give its vendor the type of handle that grows",
        ),
    )


def _only_tag(objects: Sequence[TagCourse], course: Course, courses: Courses) -> str | None:
    same = [tag for tag in objects if _same_pace(courses.blocks(tag), course)]
    return same[0].key.tag if len(same) == 1 else None


def _same_pace(objects: Course, handles: Course) -> bool:
    """Whether objects grow about as fast as handles: one handle leaked is one object that stays."""
    if not objects.slope or not handles.slope or objects.slope <= 0 or handles.slope <= 0:
        return False
    return PROCESS_EXPLAINS.value <= handles.slope / objects.slope <= 1 / PROCESS_EXPLAINS.value


def _of_objects(tag: TagCourse, courses: Courses) -> Finding:
    blocks = courses.blocks(tag)
    line = tag.line.outstanding
    course = blocks if blocks.grows else tag.course
    shown = line if blocks.grows else tag.shown
    rest = _all_at_rest(courses)
    against = "no process's handle count is in the evidence: who keeps them is not shown"
    if rest is not None:
        against = "who keeps them is not shown: references leave no trace in a process's handles"
    elif any(process.what == "handles" for process in courses.processes):
        against = "no process's handles grow with them, as far as they were watched: who keeps them is not shown"
    return Finding(
        pattern=PATTERN,
        verdict=Verdict.FOUND if course.confidence is not Confidence.LOW else Verdict.SUSPECTED,
        severity=Severity.WARNING,
        confidence=Confidence.MEDIUM if course.confidence is Confidence.HIGH else course.confidence,
        headline=f"{tag.key.tag} objects grow by {rate(course, shown.unit)} and are not given back:"
        + (" references to them are kept" if rest is not None else " handles or references are never closed"),
        subject=Subject(pool=str(tag.key.pool), tag=tag.key.tag),
        because=(
            *course_reasons(course, shown),
            *(
                (Reason(f"{rest.headline}: no handles keep them, but references, which the kernel and drivers take"),)
                if rest is not None
                else ()
            ),
        ),
        against=(Reason(against),),
        next_steps=(
            "`!object <address>` of some of them, and `!obtrace` with object reference tracing (gflags): who took the"
            " references"
            if rest is not None
            else "record \\Process(*)\\Handle Count beside it (`poolsleuth collect` prints how), or `!process 0 0`"
            " twice",
        ),
    )


def _of_counter(line: Line, course: Course) -> Finding:
    name = english_of(line.path)[1] if line.path is not None else "objects"
    return Finding(
        pattern=PATTERN,
        verdict=Verdict.FOUND if course.confidence is not Confidence.LOW else Verdict.SUSPECTED,
        severity=Severity.WARNING,
        confidence=Confidence.MEDIUM if course.confidence is Confidence.HIGH else course.confidence,
        headline=f"the number of {name} grows by {rate(course, Unit.COUNT)} and does not come down",
        because=course_reasons(course, line),
        against=(Reason("no process's handle count is in the evidence: who keeps them is not shown"),),
        next_steps=("record \\Process(*)\\Handle Count beside it (`poolsleuth collect` prints how)",),
    )
