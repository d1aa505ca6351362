"""Definitions of performance objects (PERF_OBJECT_TYPE, PERF_COUNTER_DEFINITION of the public winperf.h)."""

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolsleuth.evidence.counters.blg.columns import NO_COLUMN, Columns
from poolsleuth.evidence.counters.blg.cook import Integers
from poolsleuth.evidence.counters.blg.counter_types import (
    USES_BASE,
    USES_ITEMS,
    Formula,
    Timer,
    formula_of,
    is_hidden,
    is_text,
    timer_of,
)
from poolsleuth.evidence.counters.blg.losses import Loss, Losses
from poolsleuth.evidence.counters.blg.titles import Titles, english_name
from poolsleuth.model.series import CounterPath

OBJECT_BYTES, COUNTER_BYTES = 64, 40
MAX_SHARING = 8  # counters that show the same raw value in different ways: disks have up to 3
MAX_DEFINITIONS = 4096  # different definitions that are remembered: a machine has some 200 objects

_COUNTER = struct.Struct("<IIIIIiIIII")
_HUNDRED_NANOSECONDS = 10_000_000
_SIZES = (4, 8)


@dataclass(frozen=True, slots=True)
class Frequencies:
    """Ticks per second of the clocks that counters are divided by."""

    performance: int
    object: int

    def of(self, timer: Timer) -> int:
        """The frequency of one clock."""
        return {Timer.PERFORMANCE: self.performance, Timer.HUNDRED_NANOSECONDS: _HUNDRED_NANOSECONDS}.get(
            timer, self.object
        )


@dataclass(frozen=True, slots=True)
class CounterDefinition:
    """One counter that is shown. ``base`` is the place in the counter block of the counter that belongs to it."""

    name: str
    type: int
    formula: Formula | None
    time_base: float
    timer: Timer
    offset: int
    size: int
    base: tuple[int, int] | None
    english: str | None = None  # in lower case, known by the counter's number

    @property
    def end(self) -> int:
        """Bytes that a counter block must have for this counter."""
        return max(self.offset + self.size, sum(self.base) if self.base is not None else 0)


@dataclass(frozen=True, slots=True)
class CounterTable:
    """Counters as columns: places are bytes from the start of a counter block."""

    offsets: Integers
    wide: NDArray[np.bool_]
    timers: Integers
    based: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    base_offsets: Integers
    base_wide: NDArray[np.bool_]
    ends: Integers


@dataclass(slots=True)
class Definition:
    """An object on one machine: its counters, and the columns of its instances as they are met.

    ``least`` is the number of bytes that a counter block must have at least: a hostile definition cannot make
    thousands of counters from each byte. ``table`` is ``counters`` as columns.
    """

    host: str | None
    name: str
    counters: tuple[CounterDefinition, ...]
    least: int
    english: str | None = None
    table: CounterTable = field(init=False)
    _known: dict[str | None, tuple[list[int], list[int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Lay the counters out as columns."""
        self.table = _table(self.counters)

    def columns_of(self, instance: str | None, columns: Columns, losses: Losses) -> tuple[list[int], list[int]]:
        """The wanted counters of an instance, as numbers in ``counters``, and their columns."""
        known = self._known.get(instance)
        if known is None:
            if not columns.remember(instance or ""):
                losses.add(Loss.COLUMNS, len(self.counters))
                return [], []
            known = self._known[instance] = ([], [])
            for number, counter in enumerate(self.counters):
                english = (self.english, counter.english) if self.english and counter.english else None
                path = CounterPath(self.host, self.name, instance, counter.name, english)
                column = columns.count(path, counter.formula, counter.time_base)
                if column != NO_COLUMN:
                    known[0].append(number)
                    known[1].append(column)
                elif counter.formula is None and not is_text(counter.type):
                    losses.add(Loss.TYPE, detail=f"0x{counter.type:08X}")
        return known


def _table(counters: tuple[CounterDefinition, ...]) -> CounterTable:
    return CounterTable(
        offsets=np.array([c.offset for c in counters], np.int64),
        wide=np.array([c.size == 8 for c in counters], np.bool_),
        timers=np.array([c.timer for c in counters], np.int64),
        based=np.array([c.formula in USES_BASE and c.base is not None for c in counters], np.bool_),
        counted=np.array([c.formula in USES_ITEMS and c.base is not None for c in counters], np.bool_),
        base_offsets=np.array([c.base[0] if c.base else 0 for c in counters], np.int64),
        base_wide=np.array([c.base is not None and c.base[1] == 8 for c in counters], np.bool_),
        ends=np.array([c.end for c in counters], np.int64),
    )


class Definitions:
    """Parses each definition once: a log repeats them in every sample."""

    def __init__(self, titles: Titles, losses: Losses) -> None:
        self._titles = titles
        self._losses = losses
        self._known: dict[tuple[object, ...], Definition] = {}
        self._shared: dict[tuple[object, ...], Definition] = {}

    def get(self, host: str | None, title: int, data: bytes, frequencies: Frequencies) -> Definition | None:
        """The definition whose counters stand in ``data``; None when it is damaged."""
        key = (host, title, data, frequencies, self._titles.generation)
        definition = self._known.get(key)
        if definition is None:
            definition = self._parse(host, title, data, frequencies)
            if definition is None:
                return None
            if len(self._known) >= MAX_DEFINITIONS:
                self._known.clear()
            self._known[key] = definition
        return definition

    def _name(self, host: str | None, number: int) -> str:
        name = self._titles.name(host, number)
        if name is None:
            self._losses.add(Loss.TITLES, detail=str(number))
            return str(number)
        return name

    def _parse(self, host: str | None, title: int, data: bytes, frequencies: Frequencies) -> Definition | None:
        rows: list[tuple[int, int, int, int]] = []  # title, type, size, offset
        at = 0
        while at + COUNTER_BYTES <= len(data):
            length, name, _, _, _, _, _, type_, size, offset = _COUNTER.unpack_from(data, at)
            if length < COUNTER_BYTES or length % 4 or at + length > len(data):
                return None
            rows.append((name, type_, size, offset))
            at += length
        counters: list[CounterDefinition] = []
        data_bytes = 0
        for number, (name, type_, size, offset) in enumerate(rows):
            data_bytes += size if size in _SIZES else _SIZES[0]
            if is_hidden(type_):
                continue
            formula = formula_of(type_) if size in _SIZES and offset % 4 == 0 else None
            base: tuple[int, int] | None = None
            if formula is not None and (formula in USES_BASE or formula in USES_ITEMS):
                if number + 1 < len(rows) and rows[number + 1][2] in _SIZES and rows[number + 1][3] % 4 == 0:
                    base = (rows[number + 1][3], rows[number + 1][2])
                else:
                    formula = None
            timer = timer_of(type_)
            counters.append(
                CounterDefinition(
                    name=self._name(host, name),
                    type=type_,
                    formula=formula,
                    time_base=float(frequencies.of(timer)),
                    timer=timer,
                    offset=offset,
                    size=size,
                    base=base,
                    english=english_name(name),
                )
            )
        object_name = self._name(host, title)
        # One that differs only in what does not change its columns keeps the instances it has met
        shared = (host, object_name, tuple(counters))
        if len(self._shared) >= MAX_DEFINITIONS:
            self._shared.clear()
        return self._shared.setdefault(
            shared,
            Definition(host, object_name, tuple(counters), data_bytes // MAX_SHARING, english_name(title)),
        )
