"""Tags in lock-step: one is the object, the others its parts. Time shows it; one capture shows equal counts only."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from poolsleuth.model.block_pointers import BlockPointers, PointsTo
from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.tags import TagRow
from poolsleuth.patterns.course.course import Kind
from poolsleuth.patterns.courses import Courses
from poolsleuth.patterns.leak_suspicion import find_by_tag
from poolsleuth.patterns.lockstep_groups import Group, groups_of, row_of
from poolsleuth.patterns.over_time import seen
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.patterns.tag_knowledge import sure_note
from poolsleuth.patterns.thresholds import (
    OBJECTS_SUSPECT,
    POINTERS_BLOCKS,
    POINTERS_HOME,
    TWINS_BY_CHANCE,
    TWINS_DIFFERENCE,
    TWINS_MIN,
)
from poolsleuth.patterns.views import PoolStates, TagView
from poolsleuth.patterns.wording import GROWTH_OF_TAG
from poolsleuth.windows.tag_notes import Role

ID = "tags-growing-together"
MAX_GROUPS = 10
_AROUND = 1.25  # the neighbourhood in which counts are taken to lie evenly


def judge(
    tags: TagView,
    states: PoolStates | None,
    courses: Courses | None,
    pointers: tuple[BlockPointers, ...] = (),
) -> Iterator[Finding]:
    """Found for tags that time shows in lock-step. Without time, suspected when two tags have equal, large counts in a
    machine that is short of pool; else not assessed."""
    if courses is not None and any(tag.course.kind is not Kind.TOO_SHORT for tag in courses.tags.values()):
        for finding in _over_time(courses, tags):
            yield _with_holding(finding, pointers)
        return
    tight = states is not None and any(state.tight for state in (states.nonpaged, states.paged))
    pairs = _pairs(tags) if tight else [p for p in _pairs(tags) if (p[0].outstanding or 0) >= OBJECTS_SUSPECT.value]
    for first, second in pairs[:5]:
        whole, part = _order(first, second, pointers)
        found = Finding(
            pattern=ID,
            verdict=Verdict.SUSPECTED,
            severity=Severity.INFO,
            confidence=Confidence.LOW,
            headline=f"tags {whole.tag} and {part.tag} have the same number of blocks ({whole.outstanding or 0:,}): one"
            " cause, counted twice",
            subject=Subject(pool=str(whole.pool), tag=whole.tag),
            because=(
                Reason(f"tag {whole.tag}: {whole.outstanding or 0:,} outstanding", whole.where),
                Reason(f"tag {part.tag}: {part.outstanding or 0:,} outstanding", part.where),
            ),
            against=(Reason("equal counts at one moment may be chance: growth was not seen"),),
            explains=(f"tag {part.tag} as a part of what {whole.tag} counts",),
            next_steps=("take the table again later: both must grow by the same number",),
        )
        yield _with_holding(found, pointers, (part.tag,))
    if not pairs:
        yield not_assessed(
            ID, "growth needs two captures", "take the tag table twice, hours apart (`!poolused`, poolmon -n)"
        )


def _over_time(courses: Courses, tags: TagView) -> Iterator[Finding]:
    groups = groups_of(courses, tags)
    for group in groups[:MAX_GROUPS]:
        yield _of_group(group, courses, tags)
    if groups:
        return
    growing = courses.growing_tags()
    if len(growing) > 1:
        names = ", ".join(tag.key.tag for tag in growing[:5])
        yield ruled_out(ID, f"the tags that grow ({names}) do not go in step", confidence=Confidence.MEDIUM)
    else:
        yield ruled_out(ID, "fewer than two tags grow", confidence=Confidence.MEDIUM)


def _of_group(group: Group, courses: Courses, tags: TagView) -> Finding:
    whole, first = group.whole, group.whole.key
    names = ", ".join(part.tag.key.tag for part in group.parts)
    because = [
        Reason(
            f"for each block of {first.tag}, {part.tag.key.tag} gets {part.step.ratio:.2f}: their growth from sample to"
            f" sample agrees by {part.step.agreement:.2f} (1 is exactly)",
            part.tag.line.outstanding.where,
        )
        for part in group.parts
    ]
    blocks = courses.blocks(whole)
    because.append(Reason(seen(blocks, whole.line.outstanding), whole.line.outstanding.where))
    if group.why:
        because.append(Reason(f"{first.tag} is the cause, {names} the victim: {group.why}"))
        headline = f"{names} grow{'s' if len(group.parts) == 1 else ''} in step with {first.tag}, which causes it"
        against: tuple[Reason, ...] = ()
    else:
        headline = f"tags {first.tag} and {names} grow in step: one cause, counted more than once"
        against = (Reason("nothing known of these tags tells which is the object and which its part"),)
    note = sure_note(row_of(whole, tags))
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND,
        severity=Severity.WARNING,
        confidence=Confidence.HIGH if group.why else Confidence.MEDIUM,
        headline=headline,
        subject=Subject(pool=str(first.pool), tag=first.tag, session=first.session),
        because=tuple(because),
        against=against,
        explains=tuple(GROWTH_OF_TAG + part.tag.key.tag for part in group.parts),
        next_steps=(note.next_step,) if note is not None and group.why else (find_by_tag(first.tag),),
    )


def _pairs(tags: TagView) -> list[tuple[TagRow, TagRow]]:
    rows = sorted((r for r in tags.rows if (r.outstanding or 0) >= TWINS_MIN.value), key=lambda r: r.outstanding or 0)
    pairs = []
    for first, second in pairwise(rows):
        close = (second.outstanding or 0) - (first.outstanding or 0) <= TWINS_DIFFERENCE.value * (
            first.outstanding or 0
        )
        if close and first.tag != second.tag:
            pairs.append((first, second))
    counts = [row.outstanding or 0 for row in rows]
    return [pair for pair in pairs if _by_chance(pair, counts) < TWINS_BY_CHANCE.value]


def _by_chance(pair: tuple[TagRow, TagRow], counts: list[int]) -> float:
    """How many pairs as close and as large as this one are to be expected among unrelated tags. ``counts`` ascend.

    Unrelated counts lie evenly within a factor of 1.25 around the pair: the lower of the two, and each tag that is as
    large or larger, meets a neighbour at such a distance with the same probability. In a table of five rows that is
    nothing, in one of 3,000 equal counts are common.
    """
    low, high = (row.outstanding or 0 for row in pair)
    begin, end = low / _AROUND, high * _AROUND
    around = bisect_right(counts, end) - bisect_left(counts, begin) - 2
    as_large = len(counts) - bisect_left(counts, low) - 1
    return as_large * max(around, 0) * (high - low + 1) / (end - begin)


def _order(first: TagRow, second: TagRow, pointers: tuple[BlockPointers, ...]) -> tuple[TagRow, TagRow]:
    """What is the whole, and what its part: who holds whom, else what our notes know."""
    if _holds(first.tag, second.tag, pointers) is not None:
        return first, second
    if _holds(second.tag, first.tag, pointers) is not None:
        return second, first
    note = sure_note(second)
    if note is not None and note.role is Role.OBJECT:
        return second, first
    return first, second


def _holds(tag: str, other: str, pointers: tuple[BlockPointers, ...]) -> Reason | None:
    """That the sampled blocks of a tag hold the addresses of blocks of another one; None where they do not."""
    for fact in pointers:
        if fact.tag != tag or fact.read < POINTERS_BLOCKS.value:
            continue
        for sign in fact.signs:
            if sign.to is PointsTo.TAG and sign.name == other and sign.blocks >= POINTERS_HOME.value * fact.read:
                return Reason(
                    f"{sign.blocks:,} of {fact.read:,} sampled blocks of {tag} hold the address of a block of {other}"
                    f" at offset 0x{sign.offset:x}: {tag} is what keeps {other}, and {other} the victim",
                    fact.where,
                )
    return None


def _with_holding(
    finding: Finding, pointers: tuple[BlockPointers, ...], others: tuple[str, ...] | None = None
) -> Finding:
    """A finding about tags in step with what their blocks tell of who holds whom."""
    tag = finding.subject.tag
    if tag is None:
        return finding
    if others is None:
        others = tuple(text.removeprefix(GROWTH_OF_TAG) for text in finding.explains if text.startswith(GROWTH_OF_TAG))
    reasons = [
        reason
        for other in others
        for reason in (_holds(tag, other, pointers), _holds(other, tag, pointers))
        if reason is not None
    ]
    return replace(finding, because=(*finding.because, *reasons)) if reasons else finding
