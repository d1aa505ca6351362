"""Tags in lock-step: one is the object, the others its parts. Time shows it; one capture shows equal counts only."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from poolsleuth.model.block_pointers import BlockPointers, PointsTo
from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.tags import TagRow
from poolsleuth.patterns.attribution import THIRD_PARTY, Attribution
from poolsleuth.patterns.course.course import Kind
from poolsleuth.patterns.courses import Courses
from poolsleuth.patterns.handles_over_time import keeps_handles
from poolsleuth.patterns.leak_suspicion import find_by_tag
from poolsleuth.patterns.lockstep_groups import Group, Part, groups_of, row_of
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
from poolsleuth.patterns.wording import GROWTH_OF_TAG, MAY_KEEP
from poolsleuth.windows.own_modules import is_windows_module
from poolsleuth.windows.tag_notes import Role

ID = "tags-growing-together"
MAX_GROUPS = 10
_ONE_FOR_EACH = 0.1  # of a block for each object, more or less, is still one for each
_MAKERS = 2  # drivers that a sentence names: more of them tell nothing
_IS_CAUSE = "{} is the cause"
_AROUND = 1.25  # the neighbourhood in which counts are taken to lie evenly


def judge(
    tags: TagView,
    states: PoolStates | None,
    courses: Courses | None,
    owners: Attribution,
    pointers: tuple[BlockPointers, ...] = (),
) -> Iterator[Finding]:
    """Found for tags that time shows in lock-step. Without time, suspected when two tags have equal, large counts in a
    machine that is short of pool; else not assessed."""
    if courses is not None and any(tag.course.kind is not Kind.TOO_SHORT for tag in courses.tags.values()):
        for finding in _over_time(courses, tags, owners, pointers):
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


def _over_time(
    courses: Courses, tags: TagView, owners: Attribution, pointers: tuple[BlockPointers, ...]
) -> Iterator[Finding]:
    groups = groups_of(courses, tags)
    for group in groups[:MAX_GROUPS]:
        yield _with_keeper(_of_group(group, courses, tags), group, courses, tags, owners, pointers)
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
    names = _names(group)
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
        because.append(Reason(f"{_IS_CAUSE.format(first.tag)}, {names} the victim: {group.why}"))
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


def _with_keeper(
    finding: Finding,
    group: Group,
    courses: Courses,
    tags: TagView,
    owners: Attribution,
    pointers: tuple[BlockPointers, ...],
) -> Finding:
    """An object whose growth a tag of nobody's follows, one block for each: that one may hang on the objects, or its
    driver may be what keeps them. Where open handles keep them, the first is shown."""
    note = sure_note(row_of(group.whole, tags))
    strangers = [part for part in group.parts if _may_keep(part, tags, owners)]
    if not group.why or note is None or note.role is not Role.OBJECT or not strangers:
        return finding
    whole, tag = group.whole.key.tag, " or ".join(part.tag.key.tag for part in strangers)
    makers = owners.makers(row_of(strangers[0].tag, tags)) if len(strangers) == 1 else None
    named = f" ({' or '.join(makers.drivers)})" if makers is not None and 0 < len(makers.drivers) <= _MAKERS else ""
    handles = keeps_handles(courses.blocks(group.whole), courses)
    if handles:
        says = f"a process opens handles at that pace: they keep the {whole} objects, and {tag} hangs on them"
        return replace(finding, because=(*finding.because, Reason(says)))
    holding = [part.tag.key.tag for part in strangers if _holds(part.tag.key.tag, whole, pointers) is not None]
    likely = bool(holding) or handles is False
    tag = " or ".join(holding) or tag
    if likely:
        keeper = f"the driver of {tag}{named} probably {MAY_KEEP}"
        doubt = f"not proven: a driver may also put a block of {tag} on each object that somebody else keeps"
    else:
        keeper = f"either they are kept and {tag} only hangs on them, or the driver of {tag}{named} {MAY_KEEP}"
        doubt = (
            f"which of both does not show here: if no process's handles grow with {whole}, the driver of {tag} is the"
            " likelier one"
        )
    reasons = [] if handles is None else [Reason("no process's handles grow with them: references keep the objects")]
    return replace(
        finding,
        confidence=Confidence.MEDIUM,
        headline=f"{_names(group)} grow{'s' if len(group.parts) == 1 else ''} in step with {whole}, with one block of"
        f" {tag} for each {whole} object: {keeper}",
        because=tuple(r for r in (*finding.because, *reasons) if not r.says.startswith(_IS_CAUSE.format(whole))),
        against=(Reason(doubt),),
        next_steps=(
            *finding.next_steps,
            f"find who allocates {tag} (`poolsleuth whois {strangers[0].tag.key.tag}` over the driver files), and"
            f" unload or update that driver as a test: does {whole} still grow?",
        ),
    )


def _may_keep(part: Part, tags: TagView, owners: Attribution) -> bool:
    """Whether a part has one block for each object, and is not known to be Windows' own."""
    if abs(part.step.ratio - 1) > _ONE_FOR_EACH:
        return False
    row = row_of(part.tag, tags)
    note = sure_note(row)
    if note is not None and note.component != THIRD_PARTY:
        return False
    owner = owners.owner(row)
    return owner is None or owner.binary is None or not is_windows_module(owner.binary, None)


def _names(group: Group) -> str:
    return ", ".join(part.tag.key.tag for part in group.parts)


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
    # One more than was met: where tags are few and large, that none lies around is chance as well
    return as_large * (max(around, 0) + 1) * (high - low + 1) / (end - begin)


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
