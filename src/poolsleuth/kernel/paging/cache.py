"""The physical pages that page tables lie in, read once and kept as long as there is room."""

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.crash_dump.content import PAGE
from poolsleuth.kernel.crash_dump.memory import PhysicalMemory
from poolsleuth.kernel.distinct import distinct

MAX_TABLES = 4096  # pages kept (16 MB): the tables of 8 GB of small pages
FIRST_TABLES = 16  # pages there is room for at first: of most processes only a few numbers are read
ROWS_AT_ONCE = 1024  # pages handed out at once (4 MB): what is made on the way stays small

States = NDArray[np.int64]


class TableCache:
    """Pages by their physical number. The page that was read first makes room for the next one."""

    __slots__ = ("_data", "_entry_size", "_next", "_owner", "_physical", "_slots", "_states", "_words")

    def __init__(self, physical: PhysicalMemory, entry_size: int) -> None:
        self._physical = physical
        self._data = np.empty((FIRST_TABLES, PAGE), np.uint8)
        self._entry_size = entry_size
        self._words = self._data.view(f"<u{entry_size}")
        self._states: States = np.zeros(FIRST_TABLES, np.int64)
        self._owner: list[int | None] = [None] * FIRST_TABLES
        self._slots: dict[int, int] = {}
        self._next = 0

    def entry(self, frame: int, index: int) -> int:
        """Entry ``index`` of the table in physical page ``frame``; a negative ``Absence`` when it cannot be read."""
        slot = self._slots.get(frame)
        if slot is None:
            self._keep(*self._read(np.array([frame], np.int64)))
            slot = self._slots[frame]
        state = self._states.item(slot)
        return state if state < 0 else self._words.item((slot, index))

    def rows(self, frames: NDArray[np.int64]) -> tuple[NDArray[np.uint64], States]:
        """All entries of the tables in these physical pages, a row for each, and 0 or an ``Absence`` for each.

        At most ``ROWS_AT_ONCE`` pages; a page may be asked for twice.
        """
        slots = np.fromiter((self._slots.get(frame, -1) for frame in frames.tolist()), np.int64, len(frames))
        missing = distinct(frames[slots < 0])
        if not len(missing):
            return self._words[slots].astype(np.uint64, copy=False), self._states[slots]
        known = slots >= 0
        numbers, data, states = self._read(missing)
        out = np.empty((len(frames), PAGE), np.uint8)
        out[known] = self._data[slots[known]]
        at = np.searchsorted(numbers, frames[~known])
        out[~known] = data[at]
        found = np.empty(len(frames), np.int64)
        found[known] = self._states[slots[known]]
        found[~known] = states[at]
        self._keep(numbers, data, states)
        return out.view(f"<u{self._entry_size}").astype(np.uint64, copy=False), found

    def _read(self, frames: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.uint8], States]:
        data, places = self._physical.gather(frames)
        return frames, data, np.where(places < 0, np.maximum(places, int(Absence.UNKNOWN)), 0)

    def _grow(self, wanted: int) -> None:
        """Make room for so many pages, up to ``MAX_TABLES``: twice as much as before at least."""
        had = len(self._states)
        if wanted <= had or had == MAX_TABLES:
            return
        room = min(max(wanted, 2 * had), MAX_TABLES)
        data = np.empty((room, PAGE), np.uint8)
        data[:had] = self._data
        self._data, self._words = data, data.view(f"<u{self._entry_size}")
        self._states = np.concatenate((self._states, np.zeros(room - had, np.int64)))
        self._owner += [None] * (room - had)

    def _keep(self, frames: NDArray[np.int64], data: NDArray[np.uint8], states: States) -> None:
        self._grow(self._next + len(frames))
        slots = (self._next + np.arange(len(frames))) % MAX_TABLES
        self._data[slots] = data
        self._states[slots] = states
        self._next = (self._next + len(frames)) % MAX_TABLES
        for slot, frame in zip(slots.tolist(), frames.tolist(), strict=True):
            before = self._owner[slot]
            if before is not None:
                del self._slots[before]
            self._owner[slot] = frame
            self._slots[frame] = slot
