"""The map of the pools out of a debugger's log: what its `xpool -map` printed, and nothing more."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact
from poolsleuth.model.pool import PoolMap
from poolsleuth.model.pool_picture import (
    PAGE,
    UNKNOWN,
    PageKind,
    PageMark,
    PictureArea,
    PicturedPool,
    PoolFigures,
    PoolPicture,
)
from poolsleuth.model.system import TargetInfo
from poolsleuth.model.tags import PoolKind

_FIRST, _LAST, _INSIDE, _OUT = map(int, (PageMark.FIRST, PageMark.LAST, PageMark.INSIDE, PageMark.OUT))
_CELLS = {
    ".": (PageKind.FREE, 0),
    "O": (PageKind.USED, 0),
    "<": (PageKind.USED, _FIRST),
    "=": (PageKind.USED, _INSIDE),
    ">": (PageKind.USED, _LAST),
    "P": (PageKind.USED, _OUT),
    "{": (PageKind.USED, _OUT | _FIRST),
    "-": (PageKind.USED, _OUT | _INSIDE),
    "}": (PageKind.USED, _OUT | _LAST),
    "?": (PageKind.MISSING, 0),
    "!": (PageKind.DAMAGED, 0),
}
_KIND_OF = np.zeros(256, np.uint8)
_MARK_OF = np.zeros(256, np.uint8)
for _cell, (_kind, _mark) in _CELLS.items():
    _KIND_OF[ord(_cell)], _MARK_OF[ord(_cell)] = int(_kind), _mark
_WHOLE = np.zeros(256, np.bool_)
_WHOLE[[ord(cell) for cell in "<=>{-}"]] = True


def machine_words(told: TargetInfo | None) -> str:
    """A few words on a machine; empty when nothing is known."""
    if told is None:
        return ""
    architecture = "x86 PAE" if told.architecture == "x86" and told.pae else told.architecture
    words = (told.os, told.service_pack, f"build {told.build}" if told.build else None, architecture)
    return ", ".join(word for word in words if word)


def picture_of_log(facts: Iterable[Fact], name: str) -> PoolPicture:
    """The last map of each pool in a log. Raises InputError when there is none."""
    maps: dict[PoolKind, PoolMap] = {}
    told: TargetInfo | None = None
    printed = 0
    for fact in facts:
        if isinstance(fact, PoolMap) and fact.rows:
            maps[fact.pool] = fact
            printed += 1
        elif isinstance(fact, TargetInfo):
            told = fact
    if not maps:
        raise InputError(
            "there is no map in it: give a crash dump, or a log that holds the output of `!xpool -map` (the old"
            " debugger extension kdex2x86 prints it)"
        )
    says = ["of a log only what was printed is known: which pages are used, not what they hold"]
    if printed > len(maps):
        says.append(f"{printed} maps are in the log: the last one of each pool is drawn")
    if any(one.elided for one in maps.values()):
        says.append("rows of the map were left out in the log: they are not drawn, and no gap is read into them")
    pools = tuple(_pool(maps[kind]) for kind in PoolKind if kind in maps)
    bits = max(one.address_bits or 32 for one in maps.values())
    return PoolPicture(
        name=name, machine=machine_words(told), source="log", bits=bits, tags=(), pools=pools, says=tuple(says)
    )


def _pool(drawn: PoolMap) -> PicturedPool:
    rows = [row for row in sorted(drawn.rows) if row[1]]
    areas: list[PictureArea] = []
    texts: list[str] = []
    total = following = 0
    for address, printed in rows:
        begin = address // PAGE
        cells = printed[max(following - begin, 0) if areas else 0 :]  # a row may have been printed twice
        begin = max(begin, following) if areas else begin
        if not cells:
            continue
        if areas and begin == following:
            last = areas[-1]
            areas[-1] = PictureArea(last.address, last.pages + len(cells), last.first)
        else:
            areas.append(PictureArea(begin * PAGE, len(cells), total))
        texts.append(cells)
        total += len(cells)
        following = begin + len(cells)
    octets = np.frombuffer("".join(texts).encode("ascii", "replace"), np.uint8)
    kinds = _KIND_OF[octets]
    unknown = np.full(total, UNKNOWN, "<u2")
    unknown_live = np.where(kinds == PageKind.FREE, 0, UNKNOWN).astype("<u2")
    return PicturedPool(
        pool=drawn.pool,
        session=None,
        areas=tuple(areas),
        kinds=kinds.tobytes(),
        marks=_MARK_OF[octets].tobytes(),
        makers=np.full(total, 255, np.uint8).tobytes(),
        live=unknown_live.tobytes(),
        gaps=unknown.tobytes(),
        tags=unknown.tobytes(),
        figures=_figures(drawn, kinds, octets, areas),
        uses=(),
        blocks=None,
        allocations=None,
        complete=not drawn.elided,
    )


def _figures(
    drawn: PoolMap, kinds: NDArray[np.uint8], octets: NDArray[np.uint8], areas: list[PictureArea]
) -> PoolFigures:
    used = int(np.count_nonzero((kinds == PageKind.USED) | (kinds == PageKind.DAMAGED)))
    gap = 0
    for area in areas:
        free = kinds[area.first : area.first + area.pages] == PageKind.FREE
        edges = np.flatnonzero(np.diff(np.concatenate(([0], free.view(np.int8), [0]))))
        gap = max(gap, int((edges[1::2] - edges[::2]).max()) if len(edges) else 0)
    return PoolFigures(
        in_use=drawn.used_pages.value if drawn.used_pages is not None else used,
        maximum=drawn.maximum_pages.value if drawn.maximum_pages is not None else None,
        live_bytes=None,
        waiting_bytes=None,
        free_bytes=None,
        pinned=None,
        pinned_bytes=None,
        pinned_by=(),
        largest_free=None,
        largest_gap=gap,
        whole=int(np.count_nonzero(_WHOLE[octets])),
        missing=int(np.count_nonzero(kinds == PageKind.MISSING)),
        damaged=int(np.count_nonzero(kinds == PageKind.DAMAGED)),
        paged_out=int(np.count_nonzero((_MARK_OF[octets] & _OUT) != 0)),
    )
