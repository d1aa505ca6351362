"""What changed from one sample to the next: the rows that a recording keeps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolsleuth.sampling.recording.layout import KEY_EVERY, MAX_FIGURES, MOST_BY_HANDLES, MOST_BY_QUOTA, clean
from poolsleuth.sampling.sample import Floats, Ids, ProcessRow, Sample, TagIndex

LARGEST = 2**53  # handles and quotas of a process: the whole numbers that a double holds
Codes = NDArray[np.uint32]
Name = tuple[str, str, int | None]  # tag, pool, session
ProcessKey = tuple[int, str, int | None]  # pid, name, session
_Quotas = tuple[int | None, int | None, int | None]  # handles, nonpaged, paged


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One sample as it is kept: all of it (``key``), or what changed since the sample before.

    ``codes`` number the tags by their place in a list of names that a key entry begins anew and that ``names``
    continues. ``gone`` are tags, ``left`` figures of memory and ``ended`` processes that the sample before had.
    """

    number: int
    key: bool
    time: float
    booted: float | None
    complete: bool
    label: str
    names: Sequence[Name]
    codes: Codes
    bytes: Floats
    count: Floats
    allocs: Floats
    gone: Codes
    memory: dict[str, float]
    left: Sequence[str]
    processes: Sequence[ProcessRow]
    ended: Sequence[ProcessKey]
    sessions: bool = False  # it shows every session

    @property
    def rows(self) -> int:
        """How many rows it makes in a part, about."""
        return 1 + len(self.codes) + len(self.gone) + len(self.memory) + len(self.left) + 3 * len(self.processes)


@dataclass(slots=True, eq=False)
class _State:
    """A sample that is written: figures by number of tag, and the place of each tag in the list of names."""

    shown: NDArray[np.bool_]
    bytes: Floats
    count: Floats
    allocs: Floats
    codes: Ids
    names: int = 0
    memory: dict[str, float] = field(default_factory=dict)
    processes: dict[ProcessKey, _Quotas] = field(default_factory=dict)
    since_key: int = 0


class Changes:
    """Compares sample with sample. An entry counts as the last one only after ``keep``."""

    def __init__(self) -> None:
        self._index: TagIndex | None = None
        self._last: _State | None = None
        self._next: _State | None = None

    def entry(self, sample: Sample, index: TagIndex, number: int) -> Entry:
        """What is to be written for a sample."""
        if index is not self._index:
            self._index, self._last = index, None
        last = _widened(self._last, len(index))
        key = self._last is None or last.since_key >= KEY_EVERY
        now = _placed(sample, len(index))
        gone = np.flatnonzero(last.shown & ~now.shown)
        changed = np.flatnonzero(now.shown if key else now.shown & _differs(last, now))
        if key:
            last.codes[:] = -1
            last.names = 0
        fresh = np.concatenate((changed, gone))
        fresh = fresh[last.codes[fresh] < 0]
        now.codes = last.codes
        now.codes[fresh] = np.arange(last.names, last.names + len(fresh))
        now.names = last.names + len(fresh)
        now.since_key = 1 if key else last.since_key + 1
        entry = Entry(
            number,
            key,
            sample.time,
            _number(sample.booted),
            sample.complete,
            clean(sample.label),
            [(clean(tag.tag), tag.pool.value, tag.session) for tag in map(index.keys.__getitem__, fresh.tolist())],
            now.codes[changed].astype(np.uint32),
            now.bytes[changed],
            now.count[changed],
            now.allocs[changed],
            now.codes[gone].astype(np.uint32),
            {name: value for name, value in now.memory.items() if key or last.memory.get(name) != value},
            [name for name in last.memory if name not in now.memory],
            [
                ProcessRow(pid, name, *figures, session)
                for (pid, name, session), figures in now.processes.items()
                if key or last.processes.get((pid, name, session)) != figures
            ],
            [process for process in last.processes if process not in now.processes],
            sample.complete and sample.sessions_complete,
        )
        self._next = now
        return entry

    def keep(self) -> None:
        """The last entry was written."""
        self._last, self._next = self._next, None

    def restart(self) -> None:
        """The next entry holds everything."""
        if self._last is not None:
            self._last.since_key = KEY_EVERY

    @property
    def key_is_next(self) -> bool:
        """Whether the next entry holds everything in any case."""
        return self._last is None or self._last.since_key >= KEY_EVERY


def _widened(last: _State | None, width: int) -> _State:
    if last is None:
        last = _State(np.zeros(0, bool), np.empty(0), np.empty(0), np.empty(0), np.empty(0, np.int64))
    more = width - len(last.shown)
    nothing = np.full(more, np.nan)
    return _State(
        np.concatenate((last.shown, np.zeros(more, bool))),
        np.concatenate((last.bytes, nothing)),
        np.concatenate((last.count, nothing)),
        np.concatenate((last.allocs, nothing)),
        np.concatenate((last.codes, np.full(more, -1))),  # a copy: the one of the last entry may be needed again
        last.names,
        last.memory,
        last.processes,
        last.since_key,
    )


def _placed(sample: Sample, width: int) -> _State:
    ids = sample.tags.ids
    known = (ids >= 0) & (ids < width)
    ids = ids[known]

    def placed(values: Floats) -> Floats:
        column = np.full(width, np.nan)
        column[ids] = values[known]
        return column

    shown = np.zeros(width, bool)
    shown[ids] = True
    memory = {clean(name): float(value) for name, value in sample.memory.items() if math.isfinite(value)}
    return _State(
        shown,
        placed(sample.tags.bytes),
        placed(sample.tags.outstanding),
        placed(sample.tags.allocs),
        np.empty(0, np.int64),
        memory=dict(list(memory.items())[:MAX_FIGURES]),
        processes=_largest(sample.processes),
    )


def _differs(last: _State, now: _State) -> NDArray[np.bool_]:
    """Bit by bit, so that NaN is equal to NaN."""
    differs = ~last.shown
    for before, after in ((last.bytes, now.bytes), (last.count, now.count), (last.allocs, now.allocs)):
        differs |= before.view(np.int64) != after.view(np.int64)
    return differs


def _largest(processes: Sequence[ProcessRow]) -> dict[ProcessKey, _Quotas]:
    """Those with the most handles and those with the largest quotas, by process identifier."""
    kept = list(processes)
    if len(kept) > max(MOST_BY_HANDLES, MOST_BY_QUOTA):
        by_handles = sorted(kept, key=lambda row: row.handles or 0, reverse=True)[:MOST_BY_HANDLES]
        by_quota = sorted(kept, key=lambda row: (row.nonpaged or 0) + (row.paged or 0), reverse=True)[:MOST_BY_QUOTA]
        kept = [*by_handles, *by_quota]
    rows: dict[ProcessKey, _Quotas] = {}
    for row in sorted(kept, key=lambda row: row.pid):
        if 0 <= row.pid <= 0xFFFF_FFFF:
            session = row.session if row.session is not None and abs(row.session) < 2**31 else None
            rows[row.pid, clean(row.name), session] = _exact(row.handles), _exact(row.nonpaged), _exact(row.paged)
    return rows


def _exact(value: int | None) -> int | None:
    """A figure that a double holds exactly; None for what is none."""
    return value if value is not None and 0 <= value <= LARGEST else None


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
