"""From rows of pages to the pools of a map: order, gaps between the pages, and what is known of those gaps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.evidence.dump.page_rows import (
    NO_PIECES,
    NO_SESSION,
    OTHER,
    PAGE_ROW,
    Indices,
    PageRows,
    Rows,
)
from poolsleuth.kernel.pool.blocks import Pool
from poolsleuth.kernel.pool.tags import tag_text
from poolsleuth.model.pool_picture import (
    PAGE,
    UNKNOWN,
    AllocationTable,
    BlockTable,
    PageKind,
    PageMark,
    PictureArea,
    PicturedPool,
    PoolFigures,
    TagUse,
)
from poolsleuth.model.tags import PoolKind

GAPS = (1024, 256, 64, 16, 4, 1)  # pages without pool up to which two pages belong to one area: the widest that fits
MAX_AREAS = 100_000  # stretches of memory of a pool: each is an object. A pool lies in some hundred at most
MAX_GAP_PAGES = 1 << 22  # pages of all gaps of a pool: as many as the pages of 16 GB
MAX_USES = 1000  # tags of a pool with their figures
MAX_PINNING = 20  # tags named that hold pinned pages
NEAR = 1024  # pages: how far a page whose pool is not known may lie from one whose pool is
_OTHER_NAME = "(others)"
_PRIORITY = np.zeros(8, np.uint8)
_PRIORITY[PageKind.BLOCKS], _PRIORITY[PageKind.DAMAGED] = 1, 2

KINDS: dict[int, PoolKind | None] = {
    int(Pool.NONPAGED): PoolKind.NONPAGED,
    int(Pool.PAGED): PoolKind.PAGED,
    int(Pool.SESSION): PoolKind.SESSION,
    int(Pool.UNKNOWN): None,
}
LookAt = Callable[[NDArray[np.uint64]], NDArray[np.uint8]]
"""What lies at pages (virtual numbers): FREE for nothing, USED for memory that can be read, else PAGED_OUT, MISSING."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most pages that a pool may have, as the kernel says it; None when it does not."""

    nonpaged: int | None = None
    paged: int | None = None


class Neighbours:
    """The pages whose pool is known: the nearest of them says which pool a page is of that does not say it itself."""

    def __init__(self, rows: Rows) -> None:
        known = rows[(rows["pool"] != Pool.UNKNOWN) & (rows["session"] == NO_SESSION)]
        order = np.argsort(known["page"], kind="stable")
        self._pages = known["page"][order]
        self._pools = known["pool"][order]

    def pools(self, pages: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """A guess for each page; none from further than ``NEAR``."""
        unknown = np.full(len(pages), int(Pool.UNKNOWN), np.uint8)
        if not len(self._pages):
            return unknown
        at = np.searchsorted(self._pages, pages)
        before, behind = np.maximum(at - 1, 0), np.minimum(at, len(self._pages) - 1)
        near = np.where(_far(self._pages[before], pages) <= _far(self._pages[behind], pages), before, behind)
        return np.where(_far(self._pages[near], pages) <= NEAR, self._pools[near], unknown)


def _far(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> Indices:
    return np.abs(one.astype(np.int64) - other.astype(np.int64))


def pools_of(gathered: PageRows, look_at: LookAt, limits: Limits) -> tuple[PicturedPool, ...]:
    """The pools, the system's first. ``gathered`` is used up."""
    rows = np.concatenate(gathered.rows) if gathered.rows else np.empty(0, PAGE_ROW)
    gathered.rows.clear()
    rows["pool"][rows["pool"] == Pool.NONPAGED_NX] = Pool.NONPAGED
    doubtful = np.flatnonzero(rows["pool"] == Pool.UNKNOWN)
    if len(doubtful):
        rows["pool"][doubtful] = Neighbours(rows).pools(rows["page"][doubtful])
    pools = []
    for session in np.unique(rows["session"]).tolist():
        of_session = rows["session"] == session
        for pool in np.unique(rows["pool"][of_session]).tolist():
            mine = rows[of_session & (rows["pool"] == pool)]
            pools.append(_pool(gathered, mine, pool, session, look_at, limits))
    return tuple(pools)


def _pool(gathered: PageRows, rows: Rows, pool: int, session: int, look_at: LookAt, limits: Limits) -> PicturedPool:
    rows = rows[np.lexsort((_PRIORITY[rows["kind"]], rows["page"]))]
    if len(rows) > 1:  # a page that two readers found: the table of big allocations knows best
        rows = rows[np.concatenate(([True], rows["page"][1:] != rows["page"][:-1]))]
    if session < 0:
        rows = _committed(rows, look_at)
    near = _near(rows["page"])
    begins = np.flatnonzero(np.concatenate(([True], ~near)))
    if len(begins) > MAX_AREAS:
        gathered.cut = True
        rows = rows[: begins[MAX_AREAS]]
        near = near[: len(rows) - 1]
    areas, places, total = _areas(rows["page"], near)
    kinds = np.zeros(total, np.uint8)
    kinds[places] = rows["kind"]
    marks = np.zeros(total, np.uint8)
    marks[places] = rows["marks"]
    kind = KINDS[pool]
    _fill_gaps(kinds, marks, areas, places, rows, look_at, paged=kind is not PoolKind.NONPAGED, system=session < 0)
    makers = np.full(total, 255, np.uint8)
    makers[places] = rows["maker"]
    columns = {}
    for name, empty in (("live", 0), ("gap", UNKNOWN), ("tag", UNKNOWN)):
        column = np.full(total, empty, "<u2")
        column[places] = rows[name]
        columns[name] = column
    columns["live"][(kinds == PageKind.MISSING) | (kinds == PageKind.PAGED_OUT)] = UNKNOWN
    figures = _figures(gathered, rows, kinds, pool, session, limits)
    return PicturedPool(
        pool=kind,
        session=None if session == NO_SESSION else session,
        areas=areas,
        kinds=kinds.tobytes(),
        marks=marks.tobytes(),
        makers=makers.tobytes(),
        live=columns["live"].tobytes(),
        gaps=columns["gap"].tobytes(),
        tags=columns["tag"].tobytes(),
        figures=figures,
        uses=_uses(gathered, rows, pool, session),
        blocks=_blocks(gathered, rows, places),
        allocations=_allocations(gathered, rows, places, session),
        complete=not gathered.cut,
    )


def _committed(rows: Rows, look_at: LookAt) -> Rows:
    """The rows without pages that were given back: they lie inside a long free chunk of a segment heap."""
    empty = np.flatnonzero((rows["kind"] == PageKind.BLOCKS) & (rows["live"] == 0))
    gone = empty[look_at(rows["page"][empty]) == PageKind.FREE]
    return rows if not len(gone) or len(gone) == len(rows) else np.delete(rows, gone)


def _near(pages: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Of each page but the first, whether it is of the area of the one before."""
    steps = np.diff(pages.astype(np.int64))
    near = steps == 1
    for gap in GAPS:
        wider = steps <= gap + 1
        if int((steps[wider] - 1).sum()) <= MAX_GAP_PAGES:
            return np.asarray(wider, np.bool_)
    return np.asarray(near, np.bool_)


def _areas(pages: NDArray[np.uint64], near: NDArray[np.bool_]) -> tuple[tuple[PictureArea, ...], Indices, int]:
    """Areas, the place of each page in the columns, and the length of the columns."""
    begins = np.flatnonzero(np.concatenate(([True], ~near)))
    ends = np.append(begins[1:], len(pages)) - 1
    lengths = (pages[ends] - pages[begins]).astype(np.int64) + 1
    firsts = np.cumsum(lengths) - lengths
    number = np.cumsum(np.concatenate(([0], (~near).astype(np.int64))))
    places = firsts[number] + (pages - pages[begins][number]).astype(np.int64)
    areas = tuple(
        PictureArea(page * PAGE, length, first)
        for page, length, first in zip(pages[begins].tolist(), lengths.tolist(), firsts.tolist(), strict=True)
    )
    return areas, places, int(lengths.sum())


def _fill_gaps(
    kinds: NDArray[np.uint8],
    marks: NDArray[np.uint8],
    areas: tuple[PictureArea, ...],
    places: Indices,
    rows: Rows,
    look_at: LookAt,
    *,
    paged: bool,
    system: bool,
) -> None:
    """What lies in the gaps, and which pages of the pool are in the page file. Of a session neither is known."""
    if not system:
        return
    used = np.zeros(len(kinds), np.bool_)
    used[places] = True
    firsts = np.array([area.first for area in areas], np.int64)
    starts = np.array([area.address // PAGE for area in areas], np.uint64)
    gaps = np.flatnonzero(~used)
    of = np.searchsorted(firsts, gaps, side="right") - 1
    found = look_at(starts[of] + (gaps - firsts[of]).astype(np.uint64))
    found[found == PageKind.USED] = PageKind.FREE  # memory, but none that is known to be of the pool
    if not paged:  # what is out there cannot be of this pool
        found[found == PageKind.PAGED_OUT] = PageKind.FREE
    kinds[gaps] = found
    if paged:
        whole = np.flatnonzero(rows["kind"] == PageKind.WHOLE)
        out = look_at(rows["page"][whole]) == PageKind.PAGED_OUT
        marks[places[whole[out]]] |= int(PageMark.OUT)
        marks[gaps[found == PageKind.PAGED_OUT]] |= int(PageMark.OUT)


def _figures(
    gathered: PageRows, rows: Rows, kinds: NDArray[np.uint8], pool: int, session: int, limits: Limits
) -> PoolFigures:
    kind = KINDS[pool]
    carved = rows[rows["kind"] == PageKind.BLOCKS]
    known = rows[rows["live"] != UNKNOWN]
    pinned = carved[(carved["marks"] & int(PageMark.PINNED)) != 0]
    counts = np.bincount(kinds, minlength=8)
    free = kinds == PageKind.FREE
    edges = np.flatnonzero(np.diff(np.concatenate(([0], free.view(np.int8), [0]))))
    held = _together(gathered.pinned_of, pool, session)
    order = np.argsort(-held, kind="stable")[:MAX_PINNING].tolist()
    largest = max(gathered.largest_of.get((one, session), 0) for one in _members(pool))
    maximum = {PoolKind.NONPAGED: limits.nonpaged, PoolKind.PAGED: limits.paged}.get(kind) if kind else None
    return PoolFigures(
        in_use=len(rows) + int(counts[PageKind.PAGED_OUT]),
        maximum=maximum,
        live_bytes=int(known["live"].sum(dtype=np.int64)),
        waiting_bytes=int(rows["waiting"].sum(dtype=np.int64)),
        free_bytes=int(carved["free"].sum(dtype=np.int64)),
        pinned=len(pinned),
        pinned_bytes=int(pinned["live"].sum(dtype=np.int64)),
        pinned_by=tuple((_name(gathered, at), int(held[at])) for at in order if held[at]),
        largest_free=max(largest, int(carved["gap"].max()) if len(carved) else 0) or None,
        largest_gap=int((edges[1::2] - edges[::2]).max()) if len(edges) else 0,
        whole=int(counts[PageKind.WHOLE]),
        missing=int(counts[PageKind.MISSING]),
        damaged=int(counts[PageKind.DAMAGED]),
        paged_out=int(counts[PageKind.PAGED_OUT]),
        unknown=int(counts[PageKind.USED]),
    )


def _name(gathered: PageRows, place: int) -> str:
    return _OTHER_NAME if place >= len(gathered.tags.keys) else tag_text(int(gathered.tags.keys[place]))


def _members(pool: int) -> tuple[int, ...]:
    return (int(Pool.NONPAGED), int(Pool.NONPAGED_NX)) if pool == Pool.NONPAGED else (pool,)


def _together(counted: dict[tuple[int, int], Indices], pool: int, session: int) -> Indices:
    """What was counted of a pool: memory that must not be executed, and other, are one nonpaged pool."""
    found = [counted[key] for one in _members(pool) if (key := (one, session)) in counted]
    total = np.zeros(max(map(len, found), default=0), np.int64)
    for one in found:
        total[: len(one)] += one
    return total


def _uses(gathered: PageRows, rows: Rows, pool: int, session: int) -> tuple[TagUse, ...]:
    held = _together(gathered.bytes_of, pool, session)
    pages = np.bincount(rows["tag"][rows["tag"] != UNKNOWN], minlength=len(held))
    order = np.argsort(-held, kind="stable")[:MAX_USES].tolist()
    return tuple(TagUse(_name(gathered, at), int(held[at]), int(pages[at])) for at in order if held[at])


def _blocks(gathered: PageRows, rows: Rows, places: Indices) -> BlockTable | None:
    if not gathered.keep:
        return None
    carved = (rows["kind"] == PageKind.BLOCKS) | (rows["kind"] == PageKind.USED)
    kept = np.flatnonzero(carved & (rows["first_piece"] != NO_PIECES))
    first, number = rows["first_piece"][kept].astype(np.int64), rows["pieces"][kept].astype(np.int64)
    starts = np.concatenate(([0], np.cumsum(number)))
    chosen = np.repeat(first - starts[:-1], number) + np.arange(int(number.sum()), dtype=np.int64)
    if len(gathered.pieces) > 1:
        gathered.pieces[:] = [np.concatenate(gathered.pieces)]
    pieces = gathered.pieces[0][chosen] if gathered.pieces else np.empty(0, [("offset", "<u2")])
    empty = not len(pieces)
    return BlockTable(
        pages=places[kept].astype("<u4").tobytes(),
        starts=starts.astype("<u4").tobytes(),
        offsets=b"" if empty else pieces["offset"].tobytes(),
        sizes=b"" if empty else pieces["size"].tobytes(),
        tags=b"" if empty else pieces["tag"].tobytes(),
        marks=b"" if empty else pieces["marks"].tobytes(),
        left_out=int(carved.sum()) - len(kept),
    )


def _allocations(gathered: PageRows, rows: Rows, places: Indices, session: int) -> AllocationTable | None:
    if not gathered.keep:
        return None
    if len(gathered.allocations) > 1:
        gathered.allocations[:] = [np.concatenate(gathered.allocations)]
    if not gathered.allocations:
        return AllocationTable(b"", b"", b"", 0)
    every = gathered.allocations[0]
    mine = np.sort(every[every["session"] == session], order="page")
    at = np.searchsorted(rows["page"], mine["page"])
    good = at < len(rows)
    at = np.minimum(at, len(rows) - 1)
    good &= rows["page"][at] == mine["page"]
    mine, at = mine[good], at[good]
    tags = np.minimum(mine["tag"], OTHER)
    return AllocationTable(
        pages=places[at].astype("<u4").tobytes(),
        sizes=mine["bytes"].astype("<u8").tobytes(),
        tags=tags.astype("<u2").tobytes(),
        left_out=gathered.allocations_left_out,
    )


def tag_names(gathered: PageRows) -> tuple[str, ...]:
    """The tags, in the order of their places."""
    return tuple(tag_text(key) for key in gathered.tags.keys.tolist())
