"""Pages in use far above the bytes in blocks: which blocks pin the pages, and which request keeps missing."""

from collections import Counter
from dataclasses import dataclass

from poolsleuth.model.facts import Reason, Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.pool import PoolBlockList, PoolMap, PoolPage, PoolPages, PoolReconciliation
from poolsleuth.model.tags import PoolKind
from poolsleuth.patterns.attribution import Attribution
from poolsleuth.patterns.blocks_of_pool import accounted, blocks_say, doubts
from poolsleuth.patterns.courses import Courses
from poolsleuth.patterns.makers import with_makers
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.patterns.thresholds import (
    FRAGMENTATION_GAP,
    FRAGMENTATION_MIN_BYTES,
    FRAGMENTATION_POOL_SHARE,
    GROWTH_EXPLAINED,
    PINNED_PAGE_SHARE,
)
from poolsleuth.patterns.views import PoolState, PoolStates, TagView
from poolsleuth.patterns.wording import amount, exact, percent, size

ID = "pool-fragmentation"
PAGE = 4096
_OF_GAP = 0.5  # of what is in no tag must be free in pages with blocks, where all of them were read
_MOST_COUNTED = 0.9  # of what the tags count must be found in blocks, before these speak for the whole pool
_MOST_PAGES = 0.9  # of the pinned pages must be too small for a request that misses
_OF_REQUESTS = 0.5  # of all requests that find no room must be of one tag and size, before that one is named


@dataclass(frozen=True, slots=True)
class _Pinned:
    """A whole page that few live bytes keep in use."""

    page: PoolPage
    live_bytes: int
    largest_free: int


@dataclass(frozen=True, slots=True)
class _Request:
    """A block size that no pinned page can serve, and the tag that asks for it. ``count`` rows show it."""

    tag: str
    size: int
    count: int
    where: Where


def judge(
    states: PoolStates,
    tags: TagView | None,
    pages: tuple[PoolPage, ...],
    lists: tuple[PoolBlockList, ...],
    maps: tuple[PoolMap, ...],
    summaries: tuple[PoolPages, ...],
    balances: tuple[PoolReconciliation, ...] = (),
    owners: Attribution | None = None,
    courses: Courses | None = None,
) -> Finding:
    """Found when totals and pages agree; suspected when only the totals, their course, or only a map say so."""
    candidates = [
        _pool(
            kind,
            states,
            tags,
            pages,
            lists,
            maps,
            [s for s in summaries if s.pool is kind],
            [b for b in balances if b.pool is kind and b.session is None],
            _grows_alone(kind, courses),
        )
        for kind in (PoolKind.NONPAGED, PoolKind.PAGED)
    ]
    holding = [c for c in candidates if c is not None and c.holds]
    if holding:
        return _asked_by(holding[0], tags, owners)
    judged = [c for c in candidates if c is not None]
    if judged:
        return judged[0]
    return not_assessed(
        ID,
        "the bytes in all tags together are not known (no TOTAL row, no complete table)",
        "run `!poolused` without /t, or with its TOTAL row, and `!vm` at the same time",
    )


def _asked_by(finding: Finding, tags: TagView | None, owners: Attribution | None) -> Finding:
    """The finding with who may make the requests that find no room."""
    subject = finding.subject
    if owners is None or tags is None or subject.tag is None or subject.pool is None:
        return finding
    row = tags.row(subject.tag, PoolKind(subject.pool))
    return finding if row is None else with_makers(finding, owners.makers(row))


def _pool(
    kind: PoolKind,
    states: PoolStates,
    tags: TagView | None,
    pages: tuple[PoolPage, ...],
    lists: tuple[PoolBlockList, ...],
    maps: tuple[PoolMap, ...],
    summaries: list[PoolPages],
    balances: list[PoolReconciliation],
    alone: Reason | None,
) -> Finding | None:
    state = states.of(kind)
    tagged = tags.tagged_bytes(kind) if tags is not None else None
    if state.used is None or not state.used.value:
        return None
    drawn = next((m for m in maps if m.pool is kind and m.used_pages is not None), None)
    if tagged is None:
        return _from_map(kind, state, drawn)
    beside = tags.used_beside.get(kind, state.used) if tags is not None else None
    if beside is None:
        return None  # the usage at the time of the table is not known: growth in between is no fragmentation
    used = beside.value
    if not used:
        return None
    gap = 1 - tagged[0] / used
    if gap < 0:
        return None  # more in tags than in the pool: two different times, nothing to compare
    because = [
        Reason(f"pages of {kind} pool in use: {exact(used)}", beside.where),
        Reason(f"bytes in all tags together: {exact(tagged[0])}", tagged[1]),
        Reason(f"{percent(gap)} of the pages' bytes are in no tag; 10 to 15 % are normal"),
    ]
    if gap < FRAGMENTATION_GAP.value or used < FRAGMENTATION_MIN_BYTES.value:
        return ruled_out(
            ID,
            f"{kind} pool is not in pieces: {percent(gap)} of its pages is in no block",
            because=tuple(because),
            subject=Subject(pool=str(kind)),
        )
    pinned = [p for page in pages if page.pool in (kind, None) and (p := _pinned(page)) is not None]
    looked = bool(pinned) or any(summary.pages for summary in summaries)
    if alone is not None:
        because.append(alone)
    if not looked and not _short_enough(state) and alone is None:
        return ruled_out(
            ID,
            f"{percent(gap)} of {kind} pool's pages is in no block, but the pool has room and no page was looked into",
            because=tuple(because),
            confidence=Confidence.LOW,
            subject=Subject(pool=str(kind)),
            next_steps=("look into pages of the pool with `!pool <address>` if it grows",),
        )
    largest = _largest_run(pinned, summaries)
    request = None
    if _pinned_pages_explain(summaries, used - tagged[0]):
        request = _missing_request(largest, pages, lists, tags, kind)
    for summary in summaries[-1:]:
        because += blocks_say(summary, request.size if request is not None else None)
    because += [_pinned_reason(p) for p in pinned[:5]]
    if request is not None:
        because.append(
            Reason(
                f"{request.count} blocks of 0x{request.size:X} bytes with tag {request.tag}: more than the largest free"
                f" run left in {'nine of ten' if summaries else 'any'} of those pages (0x{largest or 0:X}), so such a"
                " request takes a new page, whose rest is then filled by small blocks that keep it",
                request.where,
            )
        )
    against = []
    if state.has_room and state.share is not None:
        against.append(Reason(f"the pool is not depleted yet: {percent(state.share)} of its limit"))
    if not looked:
        against.append(Reason("no page was looked into: `!pool` on some pages would show what pins them"))
    against += doubts(summaries[-1:])
    elsewhere = _lies_elsewhere(summaries, used - tagged[0])
    if elsewhere is not None:
        against.append(elsewhere)
    for balance in balances[-1:]:
        (because if (balance.share or 0) >= _MOST_COUNTED else against).append(accounted(balance))
    full = state.tight
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND if looked and elsewhere is None else Verdict.SUSPECTED,
        severity=Severity.CRITICAL if full else Severity.WARNING,
        confidence=_confidence(summaries, sure=looked and elsewhere is None and request is not None),
        headline=f"{kind} pool is in pieces: {size(used)} of pages are in use for {size(tagged[0])} of blocks"
        f" ({gap * 100:.0f} % in no tag)"
        + (
            f"; requests of 0x{request.size:X} bytes (tag {request.tag}) find no room in pages that small blocks hold"
            if request is not None
            else ""
        ),
        subject=Subject(pool=str(kind), tag=request.tag if request is not None else None),
        because=tuple(because),
        against=tuple(against),
        explains=(f"why {kind} pool takes {size(used - tagged[0])} more than its tags account for",),
        next_steps=_steps(request),
    )


def _lies_elsewhere(summaries: list[PoolPages], gap: int) -> Reason | None:
    """Where all blocks were read, what is free in their pages must be most of what is in no tag."""
    for summary in summaries[-1:]:
        if summary.free_bytes < _OF_GAP * gap:
            return Reason(
                f"what is free in the pages with blocks ({exact(summary.free_bytes)}) is only"
                f" {percent(summary.free_bytes / gap)} of what is in no tag ({exact(gap)}): the rest lies elsewhere, or"
                " in pages that were not read",
                summary.where,
            )
    return None


def _pinned_pages_explain(summaries: list[PoolPages], gap: int) -> bool:
    """Whether a request that misses pinned pages can be the cause: where all blocks were read, most of what is in no
    tag must lie in such pages. A segment heap cuts runs of many pages, in which the size of a page means nothing."""
    return all(s.allocator == "classic" and s.pinned_to_gain * PAGE >= _OF_GAP * gap for s in summaries[-1:])


def _confidence(summaries: list[PoolPages], *, sure: bool) -> Confidence:
    """How sure: segment heaps are read in a way that no real dump could confirm, and a scan for headers is a guess."""
    kinds = {summary.allocator for summary in summaries[-1:]}
    if "scan" in kinds:
        return Confidence.LOW
    return Confidence.HIGH if sure and kinds <= {"classic"} else Confidence.MEDIUM


def _grows_alone(kind: PoolKind, courses: Courses | None) -> Reason | None:
    """That the pages of a pool grow and the blocks of its tags do not, as far as tables over time show it."""
    explained = courses.explained(kind) if courses is not None else None
    if courses is None or explained is None or explained >= GROWTH_EXPLAINED.value:
        return None
    line = courses.lines.pools[kind]
    if not any(key.pool is kind and key.session is None for key in courses.tags):
        return None
    grown = amount(courses.pools[kind].growth, line.unit)
    tags = f"the tags that grow make only {percent(explained)} of it" if explained > 0 else "no tag grows with it"
    return Reason(f"the pages of {kind} pool grew by {grown} and do not come down, and {tags}", line.where)


def _short_enough(state: PoolState) -> bool:
    """Whether totals alone are worth a suspicion. Paged pool counts pages whose blocks are elsewhere, so that its gap
    means little until the pool is short."""
    if state.kind is PoolKind.PAGED or state.share is None:
        return state.tight
    return state.tight or state.share >= FRAGMENTATION_POOL_SHARE.value


def _from_map(kind: PoolKind, state: PoolState, drawn: PoolMap | None) -> Finding | None:
    if drawn is None or drawn.used_pages is None or state.used is None:
        return None
    in_map = drawn.used_pages.value * PAGE
    gap = 1 - in_map / state.used.value
    if gap < FRAGMENTATION_GAP.value:
        return None
    reasons = [
        Reason(f"the kernel counts {state.used.value // PAGE:,} pages in use", state.used.where),
        Reason(f"the map counts {drawn.used_pages.value:,} pages in use", drawn.used_pages.where),
    ]
    if drawn.maximum_pages is not None and drawn.maximum_pages.value:
        reasons.append(
            Reason(
                f"only {percent(drawn.used_pages.value / drawn.maximum_pages.value)} of the pool's area is in use"
                " according to the map",
                drawn.maximum_pages.where,
            )
        )
    if drawn.shown_used:
        reasons.append(
            Reason(
                f"{drawn.isolated:,} of the {drawn.shown_used:,} used pages shown stand alone between free ones: large"
                " requests find no run"
            )
        )
    return Finding(
        pattern=ID,
        verdict=Verdict.SUSPECTED,
        severity=Severity.WARNING,
        confidence=Confidence.LOW,
        headline=f"the map of {kind} pool shows far fewer pages in use than the kernel counts, in scattered pieces",
        subject=Subject(pool=str(kind)),
        because=tuple(reasons),
        against=(Reason("map and !vm count differently (expansion area, contiguous memory), and the map is cut"),),
        next_steps=("compare `!vm` with the TOTAL row of `!poolused` (without /t) taken at the same time",),
    )


def _pinned(page: PoolPage) -> _Pinned | None:
    live = [block for block in page.blocks if block.free is False]
    free = [block for block in page.blocks if block.free is True]
    if not page.whole or not live or not free:
        return None
    live_bytes = sum(block.size for block in live)
    if live_bytes > PINNED_PAGE_SHARE.value * PAGE:
        return None
    return _Pinned(page, live_bytes, max(block.size for block in free))


def _pinned_reason(pinned: _Pinned) -> Reason:
    tags = ", ".join(sorted({block.tag for block in pinned.page.blocks if block.free is False}))
    return Reason(
        f"page 0x{pinned.page.page:x} is held by {pinned.live_bytes} live bytes of {PAGE} (tag {tags}); the largest"
        f" free run in it is 0x{pinned.largest_free:X}",
        pinned.page.where,
    )


def _largest_run(pinned: list[_Pinned], summaries: list[PoolPages]) -> int | None:
    """The free run (bytes) that pinned pages have at most: of all of them where they are counted, but for a tenth."""
    counted = summaries[-1].run_of_most(_MOST_PAGES) if summaries else None
    return counted if counted is not None else max((p.largest_free for p in pinned), default=None)


def _missing_request(
    largest: int | None,
    pages: tuple[PoolPage, ...],
    lists: tuple[PoolBlockList, ...],
    tags: TagView | None,
    kind: PoolKind,
) -> _Request | None:
    """The live block that would not fit into any pinned page but is smaller than a page, and is asked for most often.

    None where no tag and size stands out: to name one of many would be to guess. Blocks that stay for good cut a page
    into pieces once; those that come and go do it again and again. How often a tag's blocks come is its allocations
    over those that are out now, where a table says both.
    """
    if largest is None:
        return None
    counts: Counter[tuple[str, int]] = Counter()
    places: dict[tuple[str, int], Where] = {}
    for found in lists:
        for tag, block_size, free, count in found.counts:
            if free is False and largest < block_size < PAGE:
                counts[tag, block_size] += count
                places.setdefault((tag, block_size), found.where)
    for page in pages:
        for block in page.blocks:
            if block.free is False and largest < block.size < PAGE:
                counts[block.tag, block.size] += 1
                places.setdefault((block.tag, block.size), block.where)
    if not counts:
        return None

    def asked(item: tuple[tuple[str, int], int]) -> tuple[float, int]:
        (tag, _), count = item
        row = tags.row(tag, kind) if tags is not None else None
        turned = row.allocs / row.outstanding if row is not None and row.allocs and row.outstanding else 1.0
        return count * turned, count

    (tag, block_size), count = most = max(counts.items(), key=asked)
    if asked(most)[0] < _OF_REQUESTS * sum(asked(item)[0] for item in counts.items()):
        return None
    return _Request(tag, block_size, count, places[tag, block_size])


def _steps(request: _Request | None) -> tuple[str, ...]:
    if request is None:
        return (
            "look into pages of the pool with `!pool <address>`: one small live block per page is the sign",
            "find the large requests with `!poolfind <tag>` on the largest tags",
        )
    whole = -(-request.size // PAGE) * PAGE
    return (
        f"whoever allocates {request.tag} blocks of 0x{request.size:X} bytes should ask for a whole page"
        f" (0x{whole:X}): a page of its own is given back whole",
        f"or allocate them once and keep them ({request.tag} is meant for long-term use), instead of again and again",
        f"find the driver: break on the allocation live, `ed nt!PoolHitTag '{request.tag[::-1]}'`, and read the stack",
    )
