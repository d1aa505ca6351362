"""What the blocks of a tag point at, and what points at them: a sample of blocks of a dump."""

from dataclasses import dataclass
from enum import StrEnum

from poolsleuth.model.facts import Fact
from poolsleuth.model.tags import PoolKind


class PointsTo(StrEnum):
    """What a pointer leads to, or what holds one."""

    MODULE = "module"
    UNLOADED = "unloaded module"
    TAG = "tag"
    OBJECT = "object"


@dataclass(frozen=True, slots=True, kw_only=True)
class PointerSign:
    """A place in the blocks of a tag at which many of them hold a pointer to the same thing.

    ``offset`` is in bytes from where the driver's own data begins (behind the pool header). ``name`` is that of the
    module, the tag, or the type of object; ``blocks`` of the sampled blocks hold such a pointer there. ``same`` of
    them lead to the very same place of a module, ``relative`` bytes behind its start (None: not to a module).
    ``code`` tells whether that is code; None where it is not known. ``others`` are further drivers that lay at the same
    addresses at other times: then nobody knows which of them is meant. ``elsewhere`` counts the blocks of other tags,
    of those that were compared, that hold a pointer to the same thing at the same offset: what was left in memory does.
    """

    offset: int
    to: PointsTo
    name: str
    blocks: int
    same: int = 0
    relative: int | None = None
    code: bool | None = None
    others: tuple[str, ...] = ()
    elsewhere: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PointerHolder:
    """Something that holds pointers to the sampled blocks: the data of a module, or the blocks of another tag.

    ``blocks`` of the sampled blocks are held; the pointers stand in ``places`` places, in ``holders`` blocks of the
    other tag (0 for a module). ``relative`` is the first place in a module, in bytes behind its start.
    """

    by: PointsTo
    name: str
    blocks: int
    places: int
    holders: int = 0
    relative: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectCount:
    """How many of the sampled blocks are objects of a type; ``closed`` of them have no open handle any more."""

    type: str
    blocks: int
    closed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPointers(Fact):
    """A sample of the blocks of a tag, spread over the pool.

    ``seen`` blocks of the tag were met, ``sampled`` of them looked at, and the memory of ``read`` was in the dump: all
    counts below are of these. ``linked`` blocks point at each other or at themselves (lists among blocks of a tag).
    ``compared`` blocks of other tags, as large as most of these, were looked at as well, for what stands in any block.
    For ``holders`` the data of all modules was searched, and ``searched_pages`` of ``all_pages`` pages of the pool.
    """

    tag: str
    pool: PoolKind
    seen: int
    sampled: int
    read: int
    signs: tuple[PointerSign, ...]
    holders: tuple[PointerHolder, ...]
    objects: tuple[ObjectCount, ...]
    linked: int
    searched_pages: int
    all_pages: int
    compared: int = 0
