"""Puts PDH records together that were cut into parts of 8 KB."""

from dataclasses import dataclass
from enum import IntEnum

from poolsleuth.evidence.counters.blg.container import PdhEvent
from poolsleuth.evidence.counters.blg.losses import Loss, Losses

MAX_RECORD_BYTES = 64 << 20  # one sample of all counters of a terminal server is some 10 MB
MAX_PARTS = MAX_RECORD_BYTES // 1024  # parts are cut at 8 KB
MAX_OPEN = 8  # records whose parts are still awaited: they are written one after the other


class RecordKind(IntEnum):
    """What a PDH record holds."""

    COUNTERS = 0x20
    SAMPLE = 0x22
    CATALOG = 0x23
    TITLES = 0x24


@dataclass(frozen=True, slots=True)
class Record:
    """One whole record. ``time`` is a local FILETIME, ``offset`` where its last part's buffer begins."""

    kind: int
    time: int
    data: bytes
    offset: int


@dataclass(slots=True)
class _Open:
    parts: int
    found: dict[int, bytes]
    size: int
    offset: int


class Assembler:
    """Takes events in the order of the log and gives whole records.

    Memory is bounded by ``MAX_RECORD_BYTES`` for all records that are awaited together.
    """

    def __init__(self, losses: Losses, log_guid: bytes | None) -> None:
        self._losses = losses
        self._guids = {log_guid} if log_guid is not None else set()
        self._open: dict[tuple[int, int], _Open] = {}
        self._size = 0
        self._started = False

    def add(self, event: PdhEvent, offset: int) -> Record | None:
        """The record that this event completes; None when parts are missing still, or the event is none of ours."""
        if not self._started:
            # The first record's own: the text in the file's header may be damaged
            self._started = True
            self._guids.add(event.log_guid)
        if event.log_guid not in self._guids:
            self._losses.add(Loss.FOREIGN, offset=offset)
            return None
        if not 1 <= event.part <= event.parts <= MAX_PARTS:
            self._losses.add(Loss.EVENT, offset=offset)
            return None
        if event.parts == 1:
            return Record(event.kind, event.time, event.data, offset)
        return self._part(event, offset)

    def _part(self, event: PdhEvent, offset: int) -> Record | None:
        key = (event.kind, event.time)
        waiting = self._open.get(key)
        if waiting is not None and (waiting.parts != event.parts or event.part in waiting.found):
            self._drop(key)
            waiting = None
        if waiting is None:
            waiting = self._open[key] = _Open(event.parts, {}, 0, offset)
        waiting.found[event.part] = event.data
        waiting.size += len(event.data)
        self._size += len(event.data)
        if len(waiting.found) == waiting.parts:
            del self._open[key]
            self._size -= waiting.size
            data = b"".join(waiting.found[part] for part in range(1, waiting.parts + 1))
            return Record(event.kind, event.time, data, offset)
        while len(self._open) > MAX_OPEN or self._size > MAX_RECORD_BYTES:
            self._drop(next(iter(self._open)))
        return None

    def _drop(self, key: tuple[int, int]) -> None:
        dropped = self._open.pop(key)
        self._size -= dropped.size
        self._losses.add(Loss.RECORD, offset=dropped.offset)

    def finish(self) -> None:
        """Count the records whose parts never came."""
        for key in list(self._open):
            self._drop(key)
