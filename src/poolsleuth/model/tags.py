"""Facts about pool tags: ``!poolused``, poolmon screens, and the descriptions of ``pooltag.txt``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from poolsleuth.model.facts import Fact, Figure, Where


class PoolKind(StrEnum):
    """Which pool a row or a finding speaks of."""

    NONPAGED = "nonpaged"
    PAGED = "paged"
    SESSION = "session"


class Completeness(StrEnum):
    """Whether a table holds every tag. Only COMPLETE proves that a tag is absent."""

    COMPLETE = "complete"
    CUT = "cut"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TagRow:
    """One tag in one pool. Counts are counts, ``bytes`` is bytes, None is a column the output does not have.

    ``tag`` has its trailing blanks stripped; ``outstanding`` is allocations minus frees.
    ``description`` and ``binary`` are what the output prints behind the numbers.
    """

    tag: str
    pool: PoolKind
    allocs: int | None
    frees: int | None
    outstanding: int | None
    bytes: int | None
    where: Where
    description: str | None = None
    binary: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagTable(Fact):
    """One table of tags at one time.

    ``pools`` are the pools the table speaks of; ``total`` are its printed TOTAL rows (outstanding, bytes) by pool;
    ``sorted_by`` is the pool its rows are sorted by, largest first, None when unsorted or not known;
    ``session`` is the session id, -1 for "all sessions", None for the system pools.
    """

    rows: tuple[TagRow, ...]
    pools: frozenset[PoolKind]
    completeness: Completeness
    total: Mapping[PoolKind, TagRow] = field(default_factory=dict)
    sorted_by: PoolKind | None = None
    session: int | None = None
    source: str = "!poolused"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolmonMemory(Fact):
    """The two header lines of a poolmon screen, in bytes.

    ``kernel_resident`` and ``paged_resident`` are what stands in memory ("InRam") of the kernel and of the paged pool.
    Page faults are left out: whether a poolmon prints those of all the time or since its last screen is not known.
    """

    physical: Figure | None
    available: Figure | None
    nonpaged_used: Figure | None
    paged_used: Figure | None
    committed: Figure | None
    commit_limit: Figure | None
    commit_peak: Figure | None
    kernel_resident: Figure | None = None
    paged_resident: Figure | None = None


@dataclass(frozen=True, slots=True)
class TagDescription:
    """One line of ``pooltag.txt``; ``pattern`` may hold ``?`` and ``*``; ``binary`` is None when unknown."""

    pattern: str
    binary: str | None
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TagDescriptions(Fact):
    """A whole ``pooltag.txt`` or ``localtag.txt``."""

    entries: tuple[TagDescription, ...]
