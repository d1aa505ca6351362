"""Pictures of small pools, made by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from poolsleuth.model.pool_picture import (
    UNKNOWN,
    AllocationTable,
    BlockTable,
    Maker,
    PageKind,
    PageMark,
    PictureArea,
    PicturedPool,
    PoolFigures,
    PoolPicture,
    TagUse,
)
from poolsleuth.model.tags import PoolKind

MakePool = Callable[..., PicturedPool]
MakePicture = Callable[..., PoolPicture]
_CELLS = {
    ".": (PageKind.FREE, 0, 0),
    "o": (PageKind.BLOCKS, PageMark.PINNED, 128),  # pinned
    "O": (PageKind.BLOCKS, 0, 4000),
    "h": (PageKind.BLOCKS, 0, 2000),
    "W": (PageKind.WHOLE, 0, 4096),
    "<": (PageKind.WHOLE, PageMark.FIRST, 4096),
    "=": (PageKind.WHOLE, PageMark.INSIDE, 4096),
    ">": (PageKind.WHOLE, PageMark.LAST, 100),
    "P": (PageKind.PAGED_OUT, PageMark.OUT, UNKNOWN),
    "?": (PageKind.MISSING, 0, UNKNOWN),
    "!": (PageKind.DAMAGED, 0, UNKNOWN),
    "@": (PageKind.BLOCKS, PageMark.CHOSEN, 3000),
}


def _shorts(values: list[int]) -> bytes:
    return np.array(values, "<u2").tobytes()


@pytest.fixture
def make_pool() -> MakePool:
    """A pool out of characters: areas are (address, cells)."""

    def make(
        *areas: tuple[int, str],
        pool: PoolKind | None = PoolKind.NONPAGED,
        session: int | None = None,
        maximum: int | None = None,
        tags: list[int] | None = None,
        complete: bool = True,
    ) -> PicturedPool:
        cells = "".join(text for _, text in areas)
        kinds = [_CELLS[cell][0] for cell in cells]
        live = [int(_CELLS[cell][2]) for cell in cells]
        used = [kind not in (PageKind.FREE, PageKind.MISSING) for kind in kinds]
        blocks = [place for place, kind in enumerate(kinds) if kind is PageKind.BLOCKS]
        placed, first = [], 0
        for address, text in areas:
            placed.append(PictureArea(address, len(text), first))
            first += len(text)
        whole = [place for place, cell in enumerate(cells) if cell in "<W"]
        held = (
            tags if tags is not None else [0 if one in (PageKind.BLOCKS, PageKind.WHOLE) else UNKNOWN for one in kinds]
        )
        return PicturedPool(
            pool=pool,
            session=session,
            areas=tuple(placed),
            kinds=bytes(kinds),
            marks=bytes(int(_CELLS[cell][1]) for cell in cells),
            makers=bytes(Maker.CLASSIC if one is PageKind.BLOCKS else Maker.UNKNOWN for one in kinds),
            live=_shorts(live),
            gaps=_shorts([4096 - each if each <= 4096 else UNKNOWN for each in live]),
            tags=_shorts(held),
            figures=PoolFigures(
                in_use=sum(used),
                maximum=maximum,
                live_bytes=sum(each for each in live if each != UNKNOWN),
                waiting_bytes=0,
                free_bytes=0,
                pinned=cells.count("o"),
                pinned_bytes=128 * cells.count("o"),
                pinned_by=(("Leak", cells.count("o")),) if "o" in cells else (),
                largest_free=3968 if "o" in cells else None,
                largest_gap=max(map(len, "".join(c if c == "." else " " for c in cells).split()), default=0),
                whole=sum(one is PageKind.WHOLE for one in kinds),
                missing=cells.count("?"),
                damaged=cells.count("!"),
                paged_out=cells.count("P"),
            ),
            uses=(TagUse("Leak", 1000, len(blocks)),),
            blocks=BlockTable(
                pages=np.array(blocks, "<u4").tobytes(),
                starts=(2 * np.arange(len(blocks) + 1)).astype("<u4").tobytes(),
                offsets=_shorts([0, 128] * len(blocks)),
                sizes=_shorts([128, 3968] * len(blocks)),
                tags=_shorts([0, 1] * len(blocks)),
                marks=bytes([0, 1] * len(blocks)),
                left_out=0,
            ),
            allocations=AllocationTable(
                pages=np.array(whole, "<u4").tobytes(),
                sizes=np.array([4096] * len(whole), "<u8").tobytes(),
                tags=_shorts([0] * len(whole)),
                left_out=0,
            ),
            complete=complete,
        )

    return make


@pytest.fixture
def make_picture() -> MakePicture:
    """A picture of pools."""

    def make(
        *pools: PicturedPool,
        tags: tuple[str, ...] = ("Leak", "Free"),
        name: str = "MEMORY.DMP",
        bits: int = 32,
        chosen: str | None = None,
        says: tuple[str, ...] = (),
        source: str = "dump",
    ) -> PoolPicture:
        return PoolPicture(
            name=name,
            machine="Windows Server 2003, build 3790, x86 PAE",
            source=source,
            bits=bits,
            tags=tags,
            pools=pools,
            says=says,
            chosen=chosen,
        )

    return make
