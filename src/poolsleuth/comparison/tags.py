"""What became of every tag: a row that one side does not show is gone only where its table shows all tags."""

from collections.abc import Iterable

from poolsleuth.comparison.numbers import at_least, ratio
from poolsleuth.comparison.side import Side, TagKey
from poolsleuth.comparison.span import allocations_between
from poolsleuth.comparison.thresholds import (
    GROWTH_BYTES,
    GROWTH_SHARE,
    LIMIT_STEP,
    LIMIT_STEP_BYTES,
    OBJECTS_GROWTH,
    SHARE_BYTES,
)
from poolsleuth.model.comparison import Amount, Span, Status, TagChange
from poolsleuth.model.report import ReportTag
from poolsleuth.windows import tag_notes

PoolChanges = dict[tuple[str, int | None], int | None]
"""The change in bytes of each pool and session, None where it is not known; ("session", None) is all sessions."""

Limits = dict[tuple[str, int | None], int | None]
"""The limit of each pool and session on the side AFTER."""

_UNKNOWN = Amount()


def tag_changes(
    before: Side, after: Side, span: Span, changes: PoolChanges, limits: Limits, *, over_time: bool
) -> tuple[TagChange, ...]:
    """Every tag of both sides, ranked."""
    keys = dict.fromkeys((*before.tags, *after.tags))
    return ranked(_tag(key, before, after, span, changes, limits, over_time=over_time) for key in keys)


def ranked(tags: Iterable[TagChange]) -> tuple[TagChange, ...]:
    """The largest change of bytes first, then of blocks, then rows of one side by size, then what did not change."""
    return tuple(sorted(tags, key=_rank))


def _rank(tag: TagChange) -> tuple[int, int, int, str, str, int]:
    change, blocks = tag.bytes.change, tag.outstanding.change
    name = (tag.tag, tag.pool, -1 if tag.session is None else tag.session)
    if change or (blocks and (change is not None or tag.bytes == _UNKNOWN)):
        return (0, -abs(change or 0), -abs(blocks or 0), *name)
    if change is None and blocks is None:
        return (1, -max(tag.bytes.before or 0, tag.bytes.after or 0), 0, *name)
    return (2, -(tag.bytes.after or 0), 0, *name)


def _tag(
    key: TagKey, before: Side, after: Side, span: Span, changes: PoolChanges, limits: Limits, *, over_time: bool
) -> TagChange:
    tag, pool, session = key
    first, second = before.tags.get(key), after.tags.get(key)
    nothing_before, nothing_after = before.complete(pool), after.complete(pool)
    size = Amount(
        _figure(first, first.bytes if first else None, nothing_before),
        _figure(second, second.bytes if second else None, nothing_after),
    )
    blocks = Amount(
        _figure(first, first.outstanding if first else None, nothing_before),
        _figure(second, second.outstanding if second else None, nothing_after),
    )
    if first is None and not nothing_before:
        status = Status.NOT_SHOWN_BEFORE
    elif second is None and not nothing_after:
        status = Status.NOT_SHOWN_AFTER
    else:
        status = status_of(size, blocks)
    pool_change = changes.get((pool, session))
    told = second or first
    note = tag_notes.find(tag) if told is not None else None
    return TagChange(
        tag=tag,
        pool=pool,
        session=session,
        status=status,
        bytes=size,
        outstanding=blocks,
        allocations=allocations_between(
            first.allocs if first else None, second.allocs if second else None, span, over_time=over_time
        ),
        share=_share(size.change, pool_change),
        bytes_per_hour=_rate(size.change, span),
        outstanding_per_hour=_rate(blocks.change, span),
        driver=_either(second, first, "driver"),
        description=_either(second, first, "description"),
        # A family's pattern only hints: what a tag that merely looks like one means is not known
        means=note.growth if note is not None and note.pattern.rstrip() == tag else None,
        notable=_notable(size, blocks, limits.get((pool, session))),
    )


def _figure(row: ReportTag | None, value: int | None, nothing: bool) -> int | None:
    """The figure; 0 when there is no row where all rows are shown."""
    return value if row is not None or not nothing else 0


def _either(first: ReportTag | None, second: ReportTag | None, name: str) -> str | None:
    for row in (first, second):
        value = getattr(row, name) if row is not None else None
        if isinstance(value, str) and value:
            return value
    return None


def status_of(size: Amount, blocks: Amount = _UNKNOWN) -> Status:
    """What became of a figure that both sides know: by its bytes, by its blocks where the bytes do not tell."""
    told = blocks if size.change is None or (size.change == 0 and blocks.change) else size
    change = told.change
    if change is None:
        return Status.UNKNOWN
    if change == 0:
        return Status.SAME
    if told.before == 0:
        return Status.APPEARED if change > 0 else Status.SHRANK
    if told.after == 0:
        return Status.GONE if change < 0 else Status.GREW
    return Status.GREW if change > 0 else Status.SHRANK


def _share(change: int | None, pool_change: int | None) -> float | None:
    if change is None or pool_change is None or abs(pool_change) < SHARE_BYTES.value:
        return None
    return ratio(change, pool_change)


def _rate(change: int | None, span: Span) -> float | None:
    return None if change is None or span.hours is None else ratio(change, span.hours)


def _notable(size: Amount, blocks: Amount, limit: int | None) -> bool:
    grown, before = size.change or 0, size.before or 0
    if grown >= GROWTH_BYTES.value and at_least(grown, before, GROWTH_SHARE):
        return True
    if takes_a_step(grown, limit):
        return True
    more = blocks.change or 0 if grown >= 0 else 0  # more blocks in fewer bytes are no growth
    return more >= OBJECTS_GROWTH.value and at_least(more, blocks.before or 0, GROWTH_SHARE)


def takes_a_step(grown: int, limit: int | None) -> bool:
    """Whether this growth is a notable part of the limit."""
    return limit is not None and limit > 0 and grown >= LIMIT_STEP_BYTES.value and at_least(grown, limit, LIMIT_STEP)
