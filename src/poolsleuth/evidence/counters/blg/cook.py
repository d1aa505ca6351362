"""From raw values to the values that Windows shows, for all counters of a sample at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from poolsleuth.evidence.counters.blg.columns import Columns
from poolsleuth.evidence.counters.blg.counter_types import Formula
from poolsleuth.evidence.counters.blg.losses import Loss, Losses
from poolsleuth.windows.counters import english_of

Integers: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Booleans: TypeAlias = NDArray[np.bool_]

_NEVER = -2  # no sample: it is not even the one before the first
_FIRST_ROOM = 1024  # columns
# Objects whose counters the kernel itself counts from its start on: they cannot be reset while it runs
_OF_THE_KERNEL = frozenset({"memory", "system"})
_NEAR_TOP, _TOP, _NEAR_ZERO = 3 << 30, 1 << 32, 1 << 30  # of 32 bits: the last and the first quarter


@dataclass(frozen=True, slots=True)
class Raw:
    """Raw values of one sample: columns and two values each. ``items`` is for types that count several things.

    ``columns`` is the same object again while the same counters come, which saves work; all arrays are of one length.
    """

    columns: Integers
    first: Integers
    second: Integers
    items: Integers | None = None


@dataclass(frozen=True, slots=True)
class _Values:
    """What a formula works with; ``fresh`` tells counters that have a good sample just before this one."""

    first: Integers
    second: Integers
    d1: Integers
    d2: Integers
    base: Floats
    items: Integers
    fresh: Booleans
    kernels: Booleans

    def wrapped(self) -> Booleans:
        """Which counters of 32 bits began again at zero: the kernel's own, near their top before, while time went on.

        After a restart the clock of the sample would have begun again, too.
        """
        before = self.first - self.d1
        near = (before >= _NEAR_TOP) & (before < _TOP) & (self.first >= 0) & (self.first < _NEAR_ZERO)
        return near & self.kernels & (self.d2 > 0)

    def grown(self) -> Booleans:
        return self.fresh & (self.d1 >= 0) & (self.d2 >= 0)

    def moved(self) -> Booleans:
        return self.fresh & (self.d1 >= 0) & (self.d2 > 0)


def _where(good: Booleans, values: Floats) -> Floats:
    return np.where(good, values, np.nan)


def _ratio(v: _Values) -> Floats:
    return _where(v.moved(), v.d1 / v.d2)


def _average(v: _Values) -> Floats:
    # Nothing happened in the interval: the average is 0, as Windows shows it
    return _where(v.grown(), np.where(v.d2 > 0, v.d1 / v.d2, 0.0))


_COOK: dict[Formula, Callable[[_Values], Floats]] = {
    Formula.RAW: lambda v: v.first.astype(np.float64),
    Formula.RAW_FRACTION: lambda v: _where(v.second > 0, 100.0 * (v.first / v.second)),
    Formula.RATE: lambda v: _where(v.moved() & (v.base > 0), v.d1 / (v.d2 / v.base)),
    Formula.TIMER: lambda v: 100.0 * _ratio(v),
    Formula.TIMER_INVERSE: lambda v: 100.0 * (1.0 - _ratio(v)),
    Formula.PRECISION_TIMER: lambda v: 100.0 * _ratio(v),
    Formula.QUEUE_LENGTH: _ratio,
    Formula.AVERAGE_TIMER: lambda v: _where(v.base > 0, _average(v) / v.base),
    Formula.AVERAGE_BULK: _average,
    Formula.SAMPLE_FRACTION: lambda v: 100.0 * _ratio(v),
    Formula.DELTA: lambda v: _where(v.fresh & (v.d1 >= 0), v.d1.astype(np.float64)),
    Formula.ELAPSED_TIME: lambda v: _where((v.base > 0) & (v.second >= v.first), (v.second - v.first) / v.base),
    Formula.MULTI_TIMER: lambda v: _where(v.items > 0, 100.0 * _ratio(v) / v.items),
    Formula.MULTI_TIMER_INVERSE: lambda v: _where(v.items > 0, 100.0 * (1.0 - _ratio(v) / v.items)),
}
_NEEDS_BEFORE = frozenset(Formula) - {Formula.RAW, Formula.RAW_FRACTION, Formula.ELAPSED_TIME}
_WITHOUT_SECOND = frozenset({Formula.DELTA})
_INVERSE = frozenset({Formula.TIMER_INVERSE, Formula.MULTI_TIMER_INVERSE})


class Cooker:
    """Keeps the raw values of the sample before, by column: 28 bytes for each."""

    def __init__(self, columns: Columns, losses: Losses) -> None:
        self._columns = columns
        self._losses = losses
        self._first = np.zeros(_FIRST_ROOM, np.int64)
        self._second = np.zeros(_FIRST_ROOM, np.int64)
        self._seen = np.full(_FIRST_ROOM, _NEVER, np.int64)
        self._sample = 0
        self._parts: tuple[int, ...] = ()
        self._kept: Sequence[Raw] = ()
        self._all = np.zeros(0, np.int64)
        self._groups: list[tuple[Formula, Integers]] = []
        self._bases: Floats = np.zeros(0)
        self._of_kernel = bytearray()  # by column
        self._kernels: Booleans = np.zeros(0, np.bool_)

    def cook(self, raws: Sequence[Raw]) -> dict[int, float]:
        """The values of the next sample by column; a value that is missing has no entry."""
        self._sample += 1
        if not raws:
            return {}
        self._plan(raws)
        columns = self._all
        first = np.concatenate([raw.first for raw in raws])
        second = np.concatenate([raw.second for raw in raws])
        items = (
            np.concatenate([raw.items if raw.items is not None else np.ones_like(raw.first) for raw in raws])
            if any(raw.items is not None for raw in raws)
            else np.ones_like(first)
        )
        fresh = self._seen[columns] == self._sample - 1
        d1 = first - self._first[columns]
        d2 = second - self._second[columns]
        result = np.empty(len(columns))
        with np.errstate(all="ignore"):
            for formula, at in self._groups:
                values = _Values(
                    first[at], second[at], d1[at], d2[at], self._bases[at], items[at], fresh[at], self._kernels[at]
                )
                result[at] = self._checked(formula, values)
        self._first[columns] = first
        self._second[columns] = second
        self._seen[columns] = self._sample
        good = np.isfinite(result)
        return dict(zip(columns[good].tolist(), result[good].tolist(), strict=True))

    def _checked(self, formula: Formula, values: _Values) -> Floats:
        cooked = _COOK[formula](values)
        if formula in _NEEDS_BEFORE:
            fell = values.d1 < 0
            if formula not in _WITHOUT_SECOND:
                fell |= values.d2 < 0
            if formula is Formula.RATE:
                fell &= ~values.wrapped()  # blank as in Windows' own logs, and no loss worth a word
            self._losses.add(Loss.FELL, int(np.count_nonzero(fell & values.fresh)))
        if formula in _INVERSE:
            below = cooked < 0
            self._losses.add(Loss.INVERSE, int(np.count_nonzero(below)))
            cooked[below] = np.nan
        return cooked

    def _plan(self, raws: Sequence[Raw]) -> None:
        """Which formula for which of the values: the same while the same counters come."""
        parts = tuple(id(raw.columns) for raw in raws)
        if parts == self._parts:
            return
        self._parts, self._kept = parts, tuple(raws)  # the kept ones hold their ids
        self._all = np.concatenate([raw.columns for raw in raws])
        self._grow(len(self._columns.paths))
        formulas = np.frombuffer(self._columns.formulas.tobytes(), np.int8)[self._all]
        self._bases = np.frombuffer(self._columns.time_bases.tobytes(), np.float64)[self._all]
        new = self._columns.paths[len(self._of_kernel) :]
        self._of_kernel += bytes(english_of(path)[0] in _OF_THE_KERNEL for path in new)
        self._kernels = np.frombuffer(bytes(self._of_kernel), np.bool_)[self._all]
        self._groups = [(Formula(int(formula)), np.flatnonzero(formulas == formula)) for formula in np.unique(formulas)]

    def _grow(self, count: int) -> None:
        if count <= len(self._first):
            return
        room = max(count, 2 * len(self._first)) - len(self._first)
        self._first = np.concatenate([self._first, np.zeros(room, np.int64)])
        self._second = np.concatenate([self._second, np.zeros(room, np.int64)])
        self._seen = np.concatenate([self._seen, np.full(room, _NEVER, np.int64)])
