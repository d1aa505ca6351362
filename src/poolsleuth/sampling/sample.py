"""One sample: the tag tables, the figures of memory and the processes of one machine at one moment, as columns.

Figures are arrays of doubles, NaN where not known, as in ``model.series``: a count of allocations stays exact up to
2^53. Tags are numbers into a ``TagIndex``, so that one sample follows another without a Python object per tag.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
Packed = NDArray[np.uint64]

MAX_TAGS = 200_000  # different tags, pools and sessions of one machine: a terminal server has some ten thousand
MAX_REMEMBERED = 2 * MAX_TAGS  # packed keys: tags may end in blanks or in zeros, and those without a number count too
SYSTEM_POOLS = 0xFFFE  # where a packed key names no session
ALL_SESSIONS = 0xFFFF  # where a packed key names all sessions together
_POOLS = (PoolKind.NONPAGED, PoolKind.PAGED)


def packed_keys(tags: NDArray[np.uint32], pool: int, session: int = SYSTEM_POOLS) -> Packed:
    """Keys as one number each: the tag's four bytes as they lie in memory, its pool (0 nonpaged, 1 paged), its session.

    ``session`` is below ``SYSTEM_POOLS``, or that, or ``ALL_SESSIONS``.
    """
    return tags.astype(np.uint64) | np.uint64(pool << 32) | np.uint64(session << 40)


def unpacked(key: int) -> TagKey:
    """The key of a packed number. Bytes become characters as in Latin-1, blanks and zeros at the end are dropped."""
    tag = (key & 0xFFFF_FFFF).to_bytes(4, "little").decode("latin-1").rstrip(" \0")
    session = (key >> 40) & 0xFFFF
    return TagKey(
        tag,
        _POOLS[key >> 32 & 1],
        None if session == SYSTEM_POOLS else -1 if session == ALL_SESSIONS else session,
    )


class TagIndex:
    """Numbers for keys, in the order in which they are first seen; they never change.

    ``lost`` counts the keys that came after ``MAX_TAGS`` others: they have the number -1.
    """

    def __init__(self) -> None:
        self.keys: list[TagKey] = []
        self.lost = 0
        self._numbers: dict[TagKey, int] = {}
        self._known: Packed = np.empty(0, np.uint64)
        self._numbers_of_known: Ids = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self.keys)

    def number(self, key: TagKey) -> int:
        """The number of a key, a new one if need be; -1 when there are too many."""
        number = self._numbers.get(key)
        if number is None:
            if len(self.keys) >= MAX_TAGS:
                self.lost += 1
                return -1
            number = self._numbers[key] = len(self.keys)
            self.keys.append(key)
        return number

    def numbers(self, packed: Packed) -> Ids:
        """The numbers of many keys; only those never seen before cost a Python object each.

        Two tags that differ only in zeros or blanks at their end have one number.
        """
        at = np.searchsorted(self._known, packed)
        missing = at == len(self._known)
        missing[~missing] = self._known[at[~missing]] != packed[~missing]
        if missing.any():
            unique = np.unique(packed[missing])
            fresh = unique[: max(0, MAX_REMEMBERED - len(self._known))]
            self.lost += len(unique) - len(fresh)
            numbers = np.array([self.number(unpacked(int(key))) for key in fresh], np.int64)
            known = np.concatenate((self._known, fresh))
            order = np.argsort(known, kind="stable")
            self._known = known[order]
            self._numbers_of_known = np.concatenate((self._numbers_of_known, numbers))[order]
            at = np.searchsorted(self._known, packed)
            at[at == len(self._known)] = 0  # beyond the bound above
        found = self._numbers_of_known[at]
        return np.where(self._known[at] == packed, found, -1) if len(self._known) else np.full(len(packed), -1)


@dataclass(frozen=True, slots=True, eq=False)
class TagFigures:
    """Rows of a tag table: numbers of tags and their figures, all of equal length; a number stands once, none is -1.

    ``outstanding`` is allocations minus frees, ``allocs`` counts since boot (already freed of wraps where possible).
    """

    ids: Ids
    bytes: Floats
    outstanding: Floats
    allocs: Floats

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process: ``handles`` a count, quotas in bytes of pool charged to it; None is not known."""

    pid: int
    name: str
    handles: int | None
    nonpaged: int | None
    paged: int | None
    session: int | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """The machine of a source. None is not known; ``utc`` is False when its times are local to an unknown zone."""

    computer: str | None = None
    os: str | None = None
    build: int | None = None
    architecture: str | None = None
    physical_bytes: int | None = None
    utc: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One moment. ``time`` is seconds since 1970 (UTC unless the host says otherwise), NaN when not known.

    ``memory`` holds figures by the names of ``MEMORY_FIGURES``, in bytes unless said there; what is not known is left
    out. ``complete``: a tag that is not in it does not exist (of the pools and sessions that it shows).
    ``sessions_complete``: it shows every session there is, so that one that is not in it has ended or not begun.
    ``booted`` is when Windows started, None when not known. ``label`` names it where the time does not ("snapshot 4").
    """

    time: float
    tags: TagFigures
    memory: Mapping[str, float] = field(default_factory=dict)
    processes: Sequence[ProcessRow] = ()
    complete: bool = False
    booted: float | None = None
    label: str = ""
    sessions_complete: bool = False


MEMORY_FIGURES = (
    "physical",
    "available",
    "nonpaged_used",
    "paged_used",
    "paged_resident",  # of the paged pool in memory
    "kernel_resident",  # code of kernel and drivers in memory
    "committed",
    "commit_limit",
    "commit_peak",
    "free_system_ptes",  # a count
    "page_faults",  # a count since boot
)


class Sampler(Protocol):
    """What takes samples of a running machine."""

    @property
    def index(self) -> TagIndex:
        """The numbers of its tags."""

    @property
    def host(self) -> Host:
        """The machine."""

    @property
    def notes(self) -> Sequence[str]:
        """What could not be read and why, in whole sentences, as of the last sample."""

    def take(self) -> Sample:
        """A sample of now. Raises InputError when the machine gives none."""


class Series(Protocol):
    """Samples that were taken before, in the order of time; any of them can be had again."""

    @property
    def index(self) -> TagIndex:
        """The numbers of its tags."""

    @property
    def host(self) -> Host:
        """The machine."""

    @property
    def times(self) -> Floats:
        """When they were taken (ascending), NaN where not known."""

    @property
    def notes(self) -> Sequence[str]:
        """What could not be read, or was left out, in whole sentences."""

    def at(self, place: int) -> Sample:
        """The sample of a place from 0."""
