"""The tags of a tracker by pool and session, as arrays; and the sums over sessions where tables name each alone."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.sample import Floats, Ids, Sample, TagFigures, TagIndex

SYSTEM, ALL = -2, -1  # what stands for a session where there is none, and for all of them together
MAX_SESSION = 0xFFFF  # a number beyond is damage: it counts as this one
EVERY_SESSION = -1  # among groups: all that are of a session

_SYSTEM_GROUPS = (0, 1)  # the system's nonpaged and paged pool, as Places numbers them

Groups = NDArray[np.int64]


class Places:
    """Pool (0 nonpaged, 1 paged) and session of each tag by its number; only new tags cost anything."""

    def __init__(self) -> None:
        self.pools: NDArray[np.int8] = np.empty(0, np.int8)
        self.sessions: NDArray[np.int32] = np.empty(0, np.int32)
        self.groups: Groups = np.empty(0, np.int64)  # pool and session as one small number

    def grow(self, index: TagIndex) -> None:
        """Look at the tags that came since."""
        done = len(self.pools)
        if done >= len(index):
            return
        new = index.keys[done:]
        pools = np.fromiter((key.pool is not PoolKind.NONPAGED for key in new), np.int8, len(new))
        sessions = np.fromiter((session_number(key) for key in new), np.int32, len(new))
        self.pools = np.concatenate((self.pools, pools))
        self.sessions = np.concatenate((self.sessions, sessions))
        self.groups = np.concatenate((self.groups, (sessions.astype(np.int64) - SYSTEM) * 2 + pools))

    def whole_in(self, sample: Sample) -> Groups | None:
        """The pools and sessions all of whose tags a sample shows, in order; None: none. May hold ``EVERY_SESSION``."""
        if not sample.complete and not sample.sessions_complete:
            return None
        groups = self.groups_of(sample.tags.ids if sample.complete else sample.tags.ids[:0])
        if sample.sessions_complete:
            groups = np.append(np.int64(EVERY_SESSION), groups[groups < len(_SYSTEM_GROUPS)])
        return groups

    def groups_of(self, ids: Ids) -> Groups:
        """The pools and sessions that some tags are of, each once, in order."""
        if not len(ids):
            return np.empty(0, np.int64)
        of = self.groups[ids]
        there = np.zeros(int(of.max()) + 1, bool)
        there[of] = True
        return np.flatnonzero(there)


def session_number(key: TagKey) -> int:
    """The session of a key as a number: ``SYSTEM``, ``ALL``, or its own."""
    if key.session is None:
        return ALL if key.pool is PoolKind.SESSION else SYSTEM
    return ALL if key.session < 0 else min(key.session, MAX_SESSION)


class SessionSums:
    """Adds the sums over all sessions to samples that only show single ones.

    The sums have keys and numbers of their own. As these are in nobody else's index, there is one of our own as soon
    as there are any: ``index`` is the one that all numbers behind ``add`` mean.
    """

    def __init__(self, source: TagIndex) -> None:
        self._source = source
        self._own: TagIndex | None = None
        self._numbers: Ids = np.empty(0, np.int64)  # own number by number of the source
        self._targets: Ids = np.empty(0, np.int64)  # number of the sum by own number, -1 where it is in none

    @property
    def index(self) -> TagIndex:
        """The numbers of all tags, sums included."""
        return self._source if self._own is None else self._own

    def follow(self, source: TagIndex) -> None:
        """From now on samples come with the numbers of this index. Numbers that were given stay."""
        if source is self._source:
            return
        if len(self.index):
            self._own = _copy(self.index) if self._own is None else self._own
            self._numbers = np.empty(0, np.int64)
        self._source = source

    def add(self, sample: Sample, places: Places) -> Sample:
        """The sample with the numbers of ``index`` and with sums; ``places`` knows all tags when it is back."""
        sample = self._translated(sample)
        places.grow(self.index)
        tags = sample.tags
        ids = tags.ids
        sessions = places.sessions[ids]
        single = np.flatnonzero(sessions >= 0)
        if not len(single) or (sessions == ALL).any():
            return sample
        if self._own is None:
            self._own = _copy(self._source)
            self._numbers = np.arange(len(self._source), dtype=np.int64)
        targets = self._sums_of(ids[single])
        places.grow(self.index)
        single, targets = single[targets >= 0], targets[targets >= 0]
        numbers, slots = np.unique(targets, return_inverse=True)

        def summed(column: Floats) -> Floats:
            sums = np.bincount(slots, weights=column[single], minlength=len(numbers))
            return np.concatenate((column, sums))

        return replace(
            sample,
            tags=TagFigures(
                np.concatenate((ids, numbers)),
                summed(tags.bytes),
                summed(tags.outstanding),
                summed(tags.allocs),
            ),
        )

    def _translated(self, sample: Sample) -> Sample:
        """The sample with our own numbers; tags for which there is no room any more are left out."""
        if self._own is None:
            return sample
        done = len(self._numbers)
        if done < len(self._source):
            own = self._own
            new = np.fromiter((own.number(key) for key in self._source.keys[done:]), np.int64)
            self._numbers = np.concatenate((self._numbers, new))
        tags = sample.tags
        ids = self._numbers[tags.ids]
        room = ids >= 0
        return replace(sample, tags=TagFigures(ids[room], tags.bytes[room], tags.outstanding[room], tags.allocs[room]))

    def _sums_of(self, ids: Ids) -> Ids:
        index = self.index
        if len(self._targets) < len(index):
            more = np.full(len(index) - len(self._targets), -2, np.int64)  # not looked at yet
            self._targets = np.concatenate((self._targets, more))
        for number in ids[self._targets[ids] == -2].tolist():
            key = index.keys[number]
            pool = PoolKind.NONPAGED if key.pool is PoolKind.NONPAGED else PoolKind.PAGED
            self._targets[number] = index.number(TagKey(key.tag, pool, -1))
        return self._targets[ids]


def _copy(index: TagIndex) -> TagIndex:
    copy = TagIndex()
    for key in index.keys:
        copy.number(key)
    copy.lost = index.lost
    return copy
