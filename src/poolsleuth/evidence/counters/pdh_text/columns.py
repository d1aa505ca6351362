"""Gives the counters of a header their column numbers, and duplicates a name of their own."""

from dataclasses import dataclass, field, replace

from poolsleuth.evidence.counters.log import MAX_COLUMNS, Wanted
from poolsleuth.model.series import CounterPath
from poolsleuth.windows.counters import Unit, unit_of

_NEVER_NEGATIVE = frozenset({Unit.BYTES, Unit.KILOBYTES, Unit.MEGABYTES, Unit.PERCENT})
_Key = str


@dataclass(slots=True)
class Layout:
    """Where one header's wanted counters stand in a line.

    ``take`` holds pairs of cell and column number. ``twins`` maps a cell to the column that the same counter already
    has in this header. ``never_negative`` are the columns in which -1 means that there is no value.
    """

    take: list[tuple[int, int]] = field(default_factory=list)
    twins: dict[int, int] = field(default_factory=dict)
    never_negative: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Columns:
    """All counters of a log: wanted ones have a number, others are only counted.

    The same counter under a later header has the same column. Within one header a name that comes again is either the
    next instance of that name, which gets ``#1``, ``#2`` and so on as Windows writes them, or, where there can be no
    second one (no instance, ``_Total``), the same counter listed twice: it is read once. ``cut`` counts counters above
    ``MAX_COLUMNS``.
    """

    wanted: Wanted
    paths: list[CounterPath] = field(default_factory=list)
    cut: int = 0
    repeated: int = 0
    _numbers: dict[_Key, int | None] = field(default_factory=dict)

    @property
    def known(self) -> int:
        """Different counters so far, wanted or not."""
        return len(self._numbers)

    def layout(self, paths: tuple[CounterPath | None, ...]) -> Layout:
        """The places of a header's counters; those not seen before become columns."""
        layout = Layout()
        seen: dict[_Key, int] = {}  # the number that the next instance of this name gets
        for cell, path in enumerate(paths, 1):
            if path is None:
                continue
            key = _key(path)
            if key in seen:
                if path.instance is None or path.instance.casefold() == "_total":
                    self.repeated += 1
                    number = self._numbers.get(key)
                    if number is not None:
                        layout.twins[cell] = number
                    continue
                numbered, number = _numbered(path, seen[key], seen)
                seen[key] = number + 1
                seen[_key(numbered)] = 1
                self._place(numbered, cell, layout)
                continue
            seen[key] = 1
            self._place(path, cell, layout)
        return layout

    def _place(self, path: CounterPath, cell: int, layout: Layout) -> None:
        key = _key(path)
        if key not in self._numbers:
            if len(self._numbers) >= MAX_COLUMNS:
                self.cut += 1
                return
            self._numbers[key] = None
            if self.wanted(path):
                self._numbers[key] = len(self.paths)
                self.paths.append(path)
        number = self._numbers[key]
        if number is None:
            return
        layout.take.append((cell, number))
        if unit_of(path.object, path.counter) in _NEVER_NEGATIVE:
            layout.never_negative.add(number)


def _key(path: CounterPath) -> _Key:
    instance = "" if path.instance is None else f"({path.instance.casefold()}"
    return "\0".join(((path.host or "").casefold(), path.object.casefold(), instance, path.counter.casefold()))


def _numbered(path: CounterPath, number: int, seen: dict[_Key, int]) -> tuple[CounterPath, int]:
    """The next instance of the same name whose number is not taken, from ``number`` on; and its number."""
    while True:
        candidate = replace(path, instance=f"{path.instance}#{number}")
        if _key(candidate) not in seen:
            return candidate, number
        number += 1
