"""Samples of the Windows that this runs on."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.live import query
from poolsleuth.sampling.live.figures import Clock, decode_basic, decode_clock, decode_performance
from poolsleuth.sampling.live.ntdll import open_system
from poolsleuth.sampling.live.processes import decode_processes
from poolsleuth.sampling.live.query import Asker, RefusedError
from poolsleuth.sampling.live.system import Identity, LiveSystem
from poolsleuth.sampling.live.tag_tables import (
    MASK_32,
    BigPool,
    SessionTags,
    TagCounts,
    decode_big_pool,
    decode_pool_tags,
    decode_pool_tags_2,
    decode_session_tags,
)
from poolsleuth.sampling.live.wraps import Wraps
from poolsleuth.sampling.sample import (
    SYSTEM_POOLS,
    Floats,
    Host,
    Ids,
    Packed,
    ProcessRow,
    Sample,
    TagFigures,
    TagIndex,
    packed_keys,
)
from poolsleuth.windows.builds import version_of_build

_PAGE = 4096  # bytes; every Windows for x86, x64 and ARM64
_FELL_BACK = 60.0  # seconds that the time since the start must fall before it is another start
_ALIKE = 0.9  # of the tags of classes 22 and 255 that must agree before the second is believed
_NEAR, _NEAR_BYTES = 0.1, 64 << 10  # share of their bytes, and bytes, by which the two may differ: one is taken later
_NEAR_SHARE, _NEAR_ALLOCS = 0.01, 10  # of their allocations likewise


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows of all tables before they have numbers. ``group`` 0 are the system pools, then one for each session."""

    keys: Packed
    bytes: Floats
    outstanding: Floats
    allocs: Floats
    groups: Ids
    short: np.ndarray[tuple[int], np.dtype[np.bool_]]


class LiveSource:
    """Takes samples of a running Windows. A ``Sampler``.

    ``clock`` gives seconds since 1970 where Windows does not tell the time.
    """

    def __init__(self, system: LiveSystem, clock: Callable[[], float] = time.time) -> None:
        self._system = system
        self._clock = clock
        self._asker = Asker(system)
        self._index = TagIndex()
        self._wraps = Wraps()
        self._notes: tuple[str, ...] = ()
        self._said: dict[str, None] = {}  # notes of the sample that is being taken: another thread may ask for the last
        self._wide_counts: bool | None = None  # whether class 255 is asked; None: not tried yet
        self._sessions = True  # whether class 67 is asked
        self._sessions_seen = False
        self._no_tags = ""  # why there are none
        self._uptime: float | None = None
        self._keys_before: Packed = np.empty(0, np.uint64)
        self._ids_before: Ids = np.empty(0, np.int64)
        self._page = _PAGE
        self._lasting: list[str] = []
        physical: int | None = None
        try:
            basic = decode_basic(self._asker.ask(query.basic_question(system.wide)), system.wide)
            self._page = basic.page_size
            physical = basic.physical_pages * basic.page_size
        except InputError as error:
            self._lasting.append(str(error))
        self._physical = physical
        self._host = _host(system.identity, physical)

    @property
    def index(self) -> TagIndex:
        """The numbers of its tags."""
        return self._index

    @property
    def host(self) -> Host:
        """The machine."""
        return self._host

    @property
    def notes(self) -> Sequence[str]:
        """What could not be read and why, as of the last sample."""
        return self._notes

    def take(self) -> Sample:
        """A sample of now. Raises InputError when Windows gives neither tags nor figures of memory."""
        self._said = dict.fromkeys(self._lasting)
        try:
            return self._sample()
        finally:
            self._notes = tuple(self._said)

    def _sample(self) -> Sample:
        clock = self._time()
        tags = self._system_tags()
        sessions, whole, every = self._session_tags()
        memory = self._memory()
        if tags is None and not memory.keys() - {"physical"}:  # that one was asked for at the start
            raise InputError(self._no_tags)
        complete = tags is not None and tags.note is None and whole
        return Sample(
            time=self._clock() if clock is None else clock.now,
            tags=self._figures(tags, sessions, complete=complete),
            memory=memory,
            processes=self._processes(),
            complete=complete,
            booted=None if clock is None else clock.booted,
            sessions_complete=every,
        )

    def big_pool(self) -> BigPool:
        """Allocations of a page and more, summed by tag and pool. Raises InputError when Windows does not give them.

        Slower than a sample: Windows copies one row for each allocation. The addresses, which tell the pool, may need
        SeDebugPrivilege; it is enabled when they are hidden.
        """
        wide = self._system.wide
        found = decode_big_pool(self._asker.ask(query.BIG_POOL, keep=False), wide)
        if found.hidden and self._asker.gain_privilege():
            found = decode_big_pool(self._asker.ask(query.BIG_POOL, keep=False), wide)
        return found

    # ---- the classes, one after the other --------------------------------------------------------------------------

    def _time(self) -> Clock | None:
        try:
            clock = decode_clock(self._asker.ask(query.CLOCK))
        except InputError as error:
            self._note(str(error))
            return None
        if clock.booted is not None:
            uptime = clock.now - clock.booted
            if self._uptime is not None and uptime < self._uptime - _FELL_BACK:
                self._wraps.clear()
            self._uptime = uptime
        return clock

    def _system_tags(self) -> TagCounts | None:
        if self._wide_counts is None:
            return self._first_tags()
        if self._wide_counts:
            try:
                counts = self._tags_of_255()
            except InputError as error:
                self._note(str(error))
                if isinstance(error, RefusedError) and error.missing:
                    self._wide_counts = False
                    self._lasting.append(str(error))
            else:
                if counts.note is None:
                    return counts
            # A machine that is short of pool refuses now and then: class 22 stands in for this sample
        return self._tags_of_22()

    def _first_tags(self) -> TagCounts | None:
        """Class 255 where Windows has it and it says the same as class 22, otherwise class 22."""
        self._wide_counts = False
        try:
            new = self._tags_of_255()
        except InputError as error:
            if not (isinstance(error, RefusedError) and error.missing):
                self._lasting.append(str(error))
                self._note(str(error))
            return self._tags_of_22()
        said = dict(self._said)
        old = self._tags_of_22()
        if new.note is None and (old is None or _agree(new, old)):
            self._said = said
            self._wide_counts = True
            return new
        note = "Class 255 does not hold what class 22 does: counts of 32 bits are used, which go round."
        self._lasting.append(note)
        self._note(note)
        return old

    def _tags_of_255(self) -> TagCounts:
        return decode_pool_tags_2(self._asker.ask(query.POOL_TAGS_2), self._system.wide)

    def _tags_of_22(self) -> TagCounts | None:
        try:
            counts = decode_pool_tags(self._asker.ask(query.POOL_TAGS), self._system.wide)
        except InputError as error:
            self._no_tags = str(error)
            self._note(self._no_tags)
            return None
        self._note(counts.note)
        return counts

    def _session_tags(self) -> tuple[Sequence[SessionTags], bool, bool]:
        """The sessions' tables, whether no session is missing that was seen before, and whether these are all."""
        if not self._sessions:
            return (), True, False
        try:
            sessions, note = decode_session_tags(self._asker.ask(query.SESSION_TAGS), self._system.wide)
        except InputError as error:
            self._note(str(error))
            if isinstance(error, RefusedError) and error.missing:
                self._sessions = False
                self._lasting.append(str(error))
            return (), not self._sessions_seen, False
        self._note(note)
        self._sessions_seen |= bool(sessions)
        return sessions, note is None, note is None

    def _memory(self) -> Mapping[str, float]:
        physical = {} if self._physical is None else {"physical": float(self._physical)}
        try:
            return {**physical, **decode_performance(self._asker.ask(query.PERFORMANCE), self._page)}
        except InputError as error:
            self._note(str(error))
            return physical

    def _processes(self) -> Sequence[ProcessRow]:
        try:
            answer = self._asker.ask(query.PROCESSES)
        except InputError as error:
            self._note(str(error))
            return ()
        rows, note = decode_processes(answer, self._system.wide, answer.ctypes.data)
        self._note(note)
        return rows

    # ---- tables into figures ---------------------------------------------------------------------------------------

    def _figures(self, tags: TagCounts | None, sessions: Sequence[SessionTags], *, complete: bool) -> TagFigures:
        tables = [] if tags is None else [(SYSTEM_POOLS, tags)]
        tables += [(part.session, part.counts) for part in sessions]
        rows = _rows(tables)
        if not np.array_equal(rows.keys, self._keys_before):  # mostly the same tags in the same order
            self._ids_before, self._keys_before = self._index.numbers(rows.keys), rows.keys
        ids = self._ids_before
        if self._index.lost:
            self._note(f"There are more than {len(self._index):,} different tags: the rest is not shown.")
        ids, rows = _each_once(ids, rows)
        allocs = self._wraps.follow(
            ids, rows.allocs, rows.outstanding, rows.groups, rows.short, len(self._index), complete=complete
        )
        return TagFigures(ids, rows.bytes, rows.outstanding, allocs)

    def _note(self, note: str | None) -> None:
        if note is not None:
            self._said[note] = None


def open_live() -> LiveSource:
    """The Windows that this runs on. Raises InputError with one sentence on any other system."""
    return LiveSource(open_system())


def _host(identity: Identity, physical: int | None) -> Host:
    bits = None if identity.architecture is None else 32 if identity.architecture == "x86" else 64
    version = None
    if identity.build is not None:
        version = version_of_build(identity.build, server=identity.server, bits=32 if bits == 32 else None)
    return Host(
        computer=identity.computer,
        os=None if version is None else version.name,
        build=identity.build,
        architecture=identity.architecture,
        physical_bytes=physical,
    )


def _rows(tables: Sequence[tuple[int, TagCounts]]) -> _Rows:
    """The rows of all tables that hold anything: a tag that was never used in a pool has no row there."""
    keys: list[Packed] = [np.empty(0, np.uint64)]
    columns: list[list[Floats]] = [[np.empty(0)], [np.empty(0)], [np.empty(0)]]
    groups: list[Ids] = [np.empty(0, np.int64)]
    short = [np.empty(0, np.bool_)]
    for group, (session, table) in enumerate(tables):
        used = (table.allocs != 0) | (table.frees != 0) | (table.used != 0)
        figures = table.bytes, table.outstanding, table.allocs.astype(np.float64)
        for pool in (0, 1):
            chosen = used[pool]
            keys.append(packed_keys(table.tags[chosen], pool, session))
            for column, values in zip(columns, figures, strict=True):
                column.append(values[pool][chosen])
            groups.append(np.full(len(keys[-1]), group))
            short.append(np.full(len(keys[-1]), table.bits == 32))
    size, outstanding, allocs = (np.concatenate(column) for column in columns)
    return _Rows(np.concatenate(keys), size, outstanding, allocs, np.concatenate(groups), np.concatenate(short))


def _each_once(ids: Ids, rows: _Rows) -> tuple[Ids, _Rows]:
    """Rows with a number, those of one number summed: tags that differ only in blanks or zeros at their end."""
    numbered = ids >= 0
    if not len(ids) or (numbered.all() and np.bincount(ids).max() == 1):
        return ids, rows
    unique, first, place = np.unique(ids[numbered], return_index=True, return_inverse=True)

    def summed(column: Floats) -> Floats:
        return np.bincount(place, column[numbered], len(unique)).astype(np.float64)

    return unique, _Rows(
        rows.keys[numbered][first],
        summed(rows.bytes),
        summed(rows.outstanding),
        summed(rows.allocs),
        rows.groups[numbered][first],
        rows.short[numbered][first],
    )


def _agree(new: TagCounts, old: TagCounts) -> bool:
    """Whether two tables of one moment hold the same: most tags are in both, with about the same counts and bytes."""
    tags, at_new, at_old = np.intersect1d(new.tags, old.tags, return_indices=True)
    if len(tags) < _ALIKE * max(len(np.unique(new.tags)), len(np.unique(old.tags))):
        return False
    later = (old.allocs[:, at_old] - new.allocs[:, at_new]) & np.uint64(MASK_32)  # the old one is taken later
    one, other = new.used[:, at_new].astype(np.float64), old.used[:, at_old].astype(np.float64)
    near = np.abs(one - other) <= np.maximum(_NEAR_BYTES, _NEAR * np.maximum(np.abs(one), np.abs(other)))
    in_use = (old.allocs[:, at_old] != 0) | (other != 0)
    few = later <= _NEAR_ALLOCS + _NEAR_SHARE * old.allocs[:, at_old]
    alike = (near & few)[in_use]
    return not alike.size or bool(alike.mean() >= _ALIKE)
