"""Tags in lock-step: one is the object, the others its parts. One capture shows equal counts, not growth."""

from collections.abc import Iterator
from itertools import pairwise

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.tags import TagRow
from poolsleuth.patterns.pattern import not_assessed
from poolsleuth.patterns.tag_knowledge import sure_note
from poolsleuth.patterns.thresholds import OBJECTS_SUSPECT, TWINS_DIFFERENCE, TWINS_MIN
from poolsleuth.patterns.views import PoolStates, TagView
from poolsleuth.windows.tag_notes import Role

ID = "tags-growing-together"


def judge(tags: TagView, states: PoolStates | None) -> Iterator[Finding]:
    """Suspected when two tags have equal, large counts in a machine that is short of pool; else not assessed."""
    tight = states is not None and any(state.tight for state in (states.nonpaged, states.paged))
    pairs = _pairs(tags) if tight else [p for p in _pairs(tags) if (p[0].outstanding or 0) >= OBJECTS_SUSPECT.value]
    for first, second in pairs[:5]:
        whole, part = _order(first, second)
        yield Finding(
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
    if not pairs:
        yield not_assessed(
            ID, "growth needs two captures", "take the tag table twice, hours apart (`!poolused`, poolmon -n)"
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
    return pairs


def _order(first: TagRow, second: TagRow) -> tuple[TagRow, TagRow]:
    note = sure_note(second)
    if note is not None and note.role is Role.OBJECT:
        return second, first
    return first, second
