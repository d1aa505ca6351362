"""What a page is drawn as: classes with a name and a colour, by state, by tag or by allocator."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.model.pool_picture import PAGE, UNKNOWN, Maker, PageKind, PageMark, PicturedPool, PoolPicture
from poolsleuth.report.wording import short

BY = ("state", "tag", "kind")
MAX_TAG_CLASSES = 12  # tags with a colour of their own: more cannot be told apart
WELL_USED = 0.75  # of a page: from here on it is called well used

Bytes = NDArray[np.uint8]
Shorts = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class PageClass:
    """A class of pages: ``key`` is its name for programs, ``colour`` is #rrggbb, ``used`` whether pool is in it."""

    key: str
    label: str
    colour: str
    used: bool = True
    mark: str = ""  # the character for it where there is no colour; empty: by the share that is in use


FREE = PageClass("free", "not used by this pool", "#2a313b", used=False, mark=".")
MISSING = PageClass("missing", "not in the dump", "#7a6a9e", used=False, mark="?")
DAMAGED = PageClass("damaged", "damaged headers", "#ff2fa8", mark="!")
OUT = PageClass("out", "paged out", "#8a7f6a", mark="P")
_PINNED = PageClass("pinned", "pinned: a tenth or less is live", "#e5484d")
_EMPTY = PageClass("empty", "carved, nothing of it live", "#b98a6a")
_PARTLY = PageClass("partly", "partly live", "#e8b93c")
_WELL = PageClass("well", "three quarters live, or more", "#3fae6a")
_WHOLE = PageClass("whole", "allocation of whole pages", "#3e86d8")
_USED = PageClass("used", "in use; no more is known", "#4c9fb0")
STATES = (FREE, _PINNED, _EMPTY, _PARTLY, _WELL, _WHOLE, _USED, OUT, MISSING, DAMAGED)
_MAKERS = {
    Maker.CLASSIC: PageClass("classic", "classic blocks", "#3fae6a"),
    Maker.LFH: PageClass("lfh", "low-fragmentation heap", "#e8b93c"),
    Maker.VS: PageClass("vs", "variable sizes", "#e57a44"),
    Maker.SEGMENT: PageClass("segment", "segment allocation", "#7b6be0"),
    Maker.LARGE: PageClass("large", "large allocation", "#c95bb0"),
    Maker.BIG_PAGE: PageClass("big-page", "big pages", "#3e86d8"),
    Maker.UNKNOWN: PageClass("unknown", "not known", "#6f7b88"),
}
_TAG_COLOURS = (
    *("#e5484d", "#3e86d8", "#3fae6a", "#e8b93c", "#a06be0", "#35b5b5", "#e57a44", "#d85fa6"),
    *("#8fb339", "#5f74e0", "#b98a5a", "#5fa8d3"),
)
_OTHERS = PageClass("others", "other tags", "#66717e")
_NO_TAG = PageClass("no-tag", "no live block, or no tag known", "#4c9fb0")


@dataclass(frozen=True, slots=True)
class Columns:
    """A pool's columns as arrays; nothing is copied."""

    kinds: Bytes
    marks: Bytes
    makers: Bytes
    live: Shorts
    gaps: Shorts
    tags: Shorts

    @classmethod
    def of(cls, pool: PicturedPool) -> "Columns":
        """The columns of a pool."""
        return cls(
            np.frombuffer(pool.kinds, np.uint8),
            np.frombuffer(pool.marks, np.uint8),
            np.frombuffer(pool.makers, np.uint8),
            np.frombuffer(pool.live, "<u2"),
            np.frombuffer(pool.gaps, "<u2"),
            np.frombuffer(pool.tags, "<u2"),
        )


@dataclass(frozen=True, slots=True)
class Classified:
    """The class of each page, as places in ``classes``."""

    classes: tuple[PageClass, ...]
    pages: Bytes


def classify(picture: PoolPicture, pool: PicturedPool, by: str) -> Classified:
    """The class of each page, by ``state``, ``tag`` or ``kind``."""
    columns = Columns.of(pool)
    if by == "tag":
        return _by_tag(picture, pool, columns)
    if by == "kind":
        return _by_kind(columns)
    return _by_state(columns)


def _by_state(columns: Columns) -> Classified:
    kinds, live = columns.kinds, columns.live
    found = np.zeros(len(kinds), np.uint8)
    carved = kinds == PageKind.BLOCKS
    found[carved] = STATES.index(_PARTLY)
    found[carved & (live == 0)] = STATES.index(_EMPTY)
    found[carved & (live >= WELL_USED * PAGE) & (live != UNKNOWN)] = STATES.index(_WELL)
    found[carved & ((columns.marks & int(PageMark.PINNED)) != 0)] = STATES.index(_PINNED)
    found[kinds == PageKind.WHOLE] = STATES.index(_WHOLE)
    found[kinds == PageKind.USED] = STATES.index(_USED)
    _special(found, columns, STATES.index(OUT), STATES.index(MISSING), STATES.index(DAMAGED))
    return Classified(STATES, found)


def _special(found: Bytes, columns: Columns, out: int, missing: int, damaged: int) -> None:
    found[(columns.kinds == PageKind.PAGED_OUT) | ((columns.marks & int(PageMark.OUT)) != 0)] = out
    found[columns.kinds == PageKind.MISSING] = missing
    found[columns.kinds == PageKind.DAMAGED] = damaged


def _by_kind(columns: Columns) -> Classified:
    classes = (FREE, *_MAKERS.values(), OUT, MISSING, DAMAGED)
    table = np.full(256, classes.index(_MAKERS[Maker.UNKNOWN]), np.uint8)
    for number, maker in enumerate(_MAKERS, start=1):
        table[int(maker)] = number
    found = table[columns.makers]
    found[columns.kinds == PageKind.FREE] = 0
    _special(found, columns, len(classes) - 3, len(classes) - 2, len(classes) - 1)
    return Classified(classes, found)


def top_tags(pool: PicturedPool) -> list[int]:
    """The tags that hold most pages of a pool (their places), most first."""
    tags = Columns.of(pool).tags
    counts = np.bincount(tags[tags != UNKNOWN], minlength=1)
    order = np.argsort(-counts, kind="stable")[:MAX_TAG_CLASSES].tolist()
    return [place for place in order if counts[place]]


def tag_name(picture: PoolPicture, place: int) -> str:
    """A tag's name by its place; what is beyond the list is ``(others)``."""
    return short(picture.tags[place], 16) if place < len(picture.tags) else "(others)"


def _by_tag(picture: PoolPicture, pool: PicturedPool, columns: Columns) -> Classified:
    tops = top_tags(pool)
    named = tuple(
        PageClass(f"tag-{number}", tag_name(picture, place), _TAG_COLOURS[number]) for number, place in enumerate(tops)
    )
    classes = (FREE, *named, _OTHERS, _NO_TAG, OUT, MISSING, DAMAGED)
    table = np.full(0x10000, classes.index(_OTHERS), np.uint8)
    for number, place in enumerate(tops, start=1):
        table[place] = number
    table[UNKNOWN] = classes.index(_NO_TAG)
    found = table[columns.tags]
    found[columns.kinds == PageKind.FREE] = 0
    _special(found, columns, len(classes) - 3, len(classes) - 2, len(classes) - 1)
    return Classified(classes, found)
