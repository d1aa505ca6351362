"""Fewer cells than pages: each cell stands for some pages in a row, and says what most of them are."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.model.pool_picture import PAGE, UNKNOWN, PageKind, PageMark, PicturedPool
from poolsleuth.report.pool_map.classes import Classified, Columns

MAX_AREA_ROWS = 64  # areas that may begin a row of their own: with more of them the rows run on


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of ``pages`` pages each (the last of an area may have fewer).

    ``classes`` are the class that most of a cell's pages in use have, damaged ones first; ``used`` is the share of its
    pages that are in use, ``live`` the share of its bytes that are live (in use, where no more is known), ``chosen``
    whether the tag that was asked for is in it.
    """

    pages: int
    classes: NDArray[np.uint8]
    used: NDArray[np.float64]
    live: NDArray[np.float64]
    chosen: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the map: the address of its first page, and cells ``first`` to ``last`` (not with it).

    ``gap`` is True where memory without pool, or that is not known, lies in front of it.
    """

    address: int
    first: int
    last: int
    gap: bool


def fit(pool: PicturedPool, width: int, rows: int) -> tuple[int, list[Row], NDArray[np.int64]]:
    """Pages of a cell so that the map has some ``rows`` of ``width`` cells; its rows; and where each cell begins.

    Cells never hold pages of two areas.
    """
    lengths = np.array([area.pages for area in pool.areas], np.int64)
    apart = len(lengths) <= MAX_AREA_ROWS
    pages = 1
    while True:
        cells = -(-lengths // pages)
        needed = int((-(-cells // width)).sum()) if apart else -(-int(cells.sum()) // width)
        if needed <= max(rows, len(lengths) if apart else 1) or pages >= 1 << 24:
            break
        pages *= 2
    firsts = np.array([area.first for area in pool.areas], np.int64)
    inside = np.arange(int(cells.sum()), dtype=np.int64) - np.repeat(np.cumsum(cells) - cells, cells)
    starts = np.repeat(firsts, cells) + inside * pages
    found = list(_rows(pool, cells, width, apart=apart, pages=pages))
    return pages, found, starts


def _rows(pool: PicturedPool, cells: NDArray[np.int64], width: int, *, apart: bool, pages: int) -> Iterator[Row]:
    if apart:
        at = 0
        for number, (area, count) in enumerate(zip(pool.areas, cells.tolist(), strict=True)):
            for begin in range(0, count, width):
                yield Row(
                    area.address + begin * pages * PAGE,
                    at + begin,
                    at + min(begin + width, count),
                    number > 0 and begin == 0,
                )
            at += count
        return
    ends = np.cumsum(cells)
    total = int(ends[-1])
    for begin in range(0, total, width):
        at = int(np.searchsorted(ends, begin, side="right"))
        skipped = begin - int(ends[at] - cells[at])
        yield Row(pool.areas[at].address + skipped * pages * PAGE, begin, min(begin + width, total), False)


def gather(pool: PicturedPool, classified: Classified, starts: NDArray[np.int64], pages: int) -> Cells:
    """What the cells hold that begin at ``starts``."""
    columns = Columns.of(pool)
    total = len(columns.kinds)
    sizes = np.diff(np.append(starts, total))
    in_use = np.array([one.used for one in classified.classes])[classified.pages]
    worth = in_use.astype(np.int64)
    used = np.add.reduceat(worth, starts)
    live = np.where(columns.live == UNKNOWN, np.where(in_use, PAGE, 0), columns.live).astype(np.int64)
    live[columns.kinds == PageKind.DAMAGED] = PAGE
    bytes_live = np.add.reduceat(live, starts)
    best = np.zeros(len(starts), np.int64)
    found = np.zeros(len(starts), np.uint8)
    for number, one in enumerate(classified.classes):
        count = np.add.reduceat((classified.pages == number).astype(np.int64), starts)
        weight = count << 1
        if one.key == "damaged":
            weight = np.where(count > 0, np.int64(1) << 40, 0)  # one of them is worth seeing
        elif one.used:
            weight = np.where(count > 0, (count << 1) + (1 << 32), 0)  # what is in use says more than what is not
        elif one.key == "missing":
            weight = (count << 1) + (count > 0)
        better = weight > best
        found[better], best[better] = number, weight[better]
    chosen = np.maximum.reduceat((columns.marks & int(PageMark.CHOSEN)) != 0, starts)
    return Cells(pages, found, used / sizes, bytes_live / (sizes * PAGE), chosen)
