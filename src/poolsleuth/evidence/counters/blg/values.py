"""Blocks with one value, and blocks with the instances of one counter: the values of logs that list counters."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.evidence.counters.blg.columns import NO_COLUMN, Columns, numbered
from poolsleuth.evidence.counters.blg.cook import Integers, Raw
from poolsleuth.evidence.counters.blg.counter_list import Entry
from poolsleuth.evidence.counters.blg.counter_types import (
    SIZE_DWORD,
    SIZE_MASK,
    Formula,
    Timer,
    formula_of,
    is_hidden,
    is_text,
    timer_of,
)
from poolsleuth.evidence.counters.blg.losses import Loss, Losses
from poolsleuth.evidence.counters.blg.text import wide
from poolsleuth.model.series import CounterPath

VALUE_BYTES = 0x30
MAX_HINTS = 9  # counters that tell the time in UTC, of which the median is taken

_GOOD = (0, 1)  # PDH_CSTATUS_VALID_DATA, PDH_CSTATUS_NEW_DATA
_ERROR = 0x80000000  # all PDH errors have this bit
_VALUE = np.dtype(
    [
        ("tag", "<u4"),
        ("length", "<u4"),
        ("status", "<u4"),
        ("time", "<i8"),
        ("pad", "<u4"),
        ("first", "<i8"),
        ("second", "<i8"),
        ("items", "<u4"),
        ("end", "<u4"),
    ]
)
_ITEM = np.dtype([("name", "<u4"), ("items", "<u4"), ("first", "<i8"), ("second", "<i8")])
_INSTANCES = struct.Struct("<IIIIIIq")  # tag, length, length from here, count, status [?], status [?], time
_DWORD = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Instances:
    """The instances of one wildcard, as long as they stay the same: which items are wanted, and their columns."""

    skeleton: bytes
    items: Integers
    columns: Integers


class ListedValues:
    """Reads the blocks that stand for entries of the list of counters."""

    def __init__(self, columns: Columns, losses: Losses) -> None:
        self._columns = columns
        self._losses = losses
        self._entries: list[Entry | None] = []
        self._single = np.zeros(0, np.int64)
        self._narrow = np.zeros(0, np.bool_)
        self._instances: dict[int, _Instances] = {}
        self._asked: set[int] = set()
        self._last: tuple[Integers, Integers] | None = None  # entries and columns of the sample before
        self.timed: list[int] = []

    @property
    def entries(self) -> list[Entry | None]:
        """The list of counters that is in force."""
        return self._entries

    def start(self, entries: list[Entry | None]) -> None:
        """Take a list of counters: the blocks of the samples that follow are in its order."""
        self._entries = entries
        self._single = np.full(len(entries), NO_COLUMN, np.int64)
        self._narrow = np.array(
            [entry is not None and _is_narrow(entry.type) for entry in entries] or [False], dtype=np.bool_
        )
        self._instances.clear()
        self._asked.clear()
        self._last = None
        self.timed = [
            number
            for number, entry in enumerate(entries)
            if entry is not None
            and timer_of(entry.type) is Timer.HUNDRED_NANOSECONDS
            and formula_of(entry.type) in (Formula.TIMER, Formula.TIMER_INVERSE)
        ][:MAX_HINTS]

    def singles(self, data: bytes, numbers: Sequence[int], offsets: Sequence[int]) -> Raw | None:
        """The wanted ones among blocks of one value each: entry ``numbers`` and places in the record."""
        for number in numbers:
            if number not in self._asked:
                self._asked.add(number)
                self._single[number] = self._column_of(number)
        entries = np.array(numbers, np.int64)
        columns = self._single[entries]
        places = np.array(offsets, np.int64)
        if (columns == NO_COLUMN).any():
            wanted = columns != NO_COLUMN
            entries, columns, places = entries[wanted], columns[wanted], places[wanted]
        if not len(columns):
            return None
        octets = np.frombuffer(data, np.uint8)[places[:, None] + np.arange(VALUE_BYTES)]
        found = octets.reshape(-1).view(_VALUE)
        good = found["status"] <= max(_GOOD)
        if not good.all():
            self._missing(found["status"][~good])
            entries, columns, found = entries[good], columns[good], found[good]
        if self._last is not None and np.array_equal(self._last[0], entries):
            entries, columns = self._last
        else:
            self._last = (entries, columns)
        first = found["first"].astype(np.int64)
        narrow = self._narrow[entries]
        if narrow.any():
            first[narrow] &= _DWORD
        return Raw(columns, first, found["second"].astype(np.int64), found["items"].astype(np.int64))

    def _missing(self, statuses: NDArray[np.uint32]) -> None:
        for status, count in zip(*np.unique(statuses, return_counts=True), strict=True):
            self._losses.add(Loss.STATUS, int(count), detail=f"0x{int(status):08X}")

    def _column_of(self, number: int) -> int:
        entry = self._entries[number]
        if entry is None:
            return NO_COLUMN
        name = entry.instance
        if name is not None:
            name = f"{entry.parent}/{name}" if entry.parent else name
            name = f"{name}#{entry.index}" if 0 < entry.index < _DWORD else name
        return self._register(entry, name)

    def _register(self, entry: Entry, instance: str | None) -> int:
        if is_hidden(entry.type):
            return NO_COLUMN
        path = CounterPath(entry.host, entry.object, instance, entry.counter)
        formula = formula_of(entry.type)
        before = self._columns.series
        column = self._columns.single(path, formula, float(entry.time_base))
        if formula is None and not is_text(entry.type):
            self._losses.add(Loss.TYPE, self._columns.series - before, detail=f"0x{entry.type:08X}")
        self._columns.hosts.setdefault(entry.host)
        return column

    def instances(self, data: bytes, number: int) -> Raw | None:
        """The wanted ones of a block of instances (its bytes from its tag on)."""
        entry = self._entries[number]
        if entry is None:
            return None
        if len(data) < _INSTANCES.size:
            self._losses.add(Loss.BLOCK)
            return None
        _, _, _, count, *statuses, _ = _INSTANCES.unpack_from(data)
        status = max(statuses)
        if status & _ERROR:
            fits = 0 < count * _ITEM.itemsize < len(data)
            self._losses.add(Loss.STATUS, count if fits else 1, detail=f"0x{status:08X}")
            return None
        if _INSTANCES.size + count * _ITEM.itemsize > len(data):
            self._losses.add(Loss.BLOCK)
            return None
        if not count:
            return None
        items = np.frombuffer(data, _ITEM, count, _INSTANCES.size)
        skeleton = items["name"].tobytes() + data[_INSTANCES.size + count * _ITEM.itemsize :]
        known = self._instances.get(number)
        if known is None or known.skeleton != skeleton:
            known = self._instances[number] = self._named(entry, data, items["name"].tolist(), skeleton)
        if not len(known.columns):
            return None
        chosen = items[known.items]
        first = chosen["first"].astype(np.int64)
        if _is_narrow(entry.type):
            first &= _DWORD
        return Raw(known.columns, first, chosen["second"].astype(np.int64), chosen["items"].astype(np.int64))

    def _named(self, entry: Entry, data: bytes, offsets: list[int], skeleton: bytes) -> _Instances:
        names: list[str] = []
        for offset in offsets:
            name = wide(data, 8 + offset) if 8 + offset < len(data) else ""
            if entry.parent and entry.parent != "*" and "/" not in name:
                name = f"{entry.parent}/{name}"
            names.append(name)
        columns = np.array([self._register(entry, name) for name in numbered(names)], np.int64)
        items = np.flatnonzero(columns != NO_COLUMN)
        return _Instances(skeleton, items, columns[items])


def _is_narrow(type_: int) -> bool:
    """Whether a raw value is 32 bits wide, without a sign."""
    return formula_of(type_) is Formula.RAW and type_ & SIZE_MASK == SIZE_DWORD
