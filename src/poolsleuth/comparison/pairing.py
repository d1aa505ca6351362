"""Which machine of one side is which of the other, and whether the two are one machine at two times."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from poolsleuth.model.errors import InputError
from poolsleuth.model.report import ReportMachine

Wanted = Sequence[tuple[str, str]]
"""Pairs that the user names: each a machine's name or its number (from 1) on its side."""

_MOST_NAMED = 20  # machines that a message lists


@dataclass(frozen=True, slots=True)
class Paired:
    """Indexes of two machines, whether they are one machine at two times, and how that was decided."""

    before: int
    after: int
    over_time: bool
    by: str


def pair_machines(
    before: Sequence[ReportMachine], after: Sequence[ReportMachine], wanted: Wanted = ()
) -> tuple[Paired, ...]:
    """Each machine at most once: first what the user names, then by name, then by memory and Windows, then what is
    left when that is one machine on each side. Raises InputError when a wanted machine is not there."""
    pairs = _Pairs(before, after)
    for first, second in wanted:
        pairs.add(_find(first, before, "BEFORE"), _find(second, after, "AFTER"), "named on the command line")
    if wanted:
        return tuple(pairs.found)
    pairs.match(lambda m: m.name.casefold() if m.name else None, "both have this name")
    pairs.match(_hardware, "same memory, architecture and Windows")
    pairs.match_the_only_ones()
    return tuple(sorted(pairs.found, key=lambda pair: pair.before))


class _Pairs:
    def __init__(self, before: Sequence[ReportMachine], after: Sequence[ReportMachine]) -> None:
        self.before, self.after = before, after
        self.left_before, self.left_after = dict.fromkeys(range(len(before))), dict.fromkeys(range(len(after)))
        self.found: list[Paired] = []

    def add(self, first: int, second: int, by: str) -> None:
        if first not in self.left_before or second not in self.left_after:
            raise InputError("a machine is paired twice: name each machine once")
        over_time = not tells_apart(self.before[first], self.after[second])
        self.found.append(Paired(first, second, over_time, by))
        del self.left_before[first], self.left_after[second]

    def match(self, key: Callable[[ReportMachine], Hashable | None], by: str) -> None:
        """Pair machines whose key exists once on each side, unless something tells them apart."""
        firsts = _unique(self.before, self.left_before, key)
        seconds = _unique(self.after, self.left_after, key)
        for value, first in firsts.items():
            second = seconds.get(value)
            if second is not None and not tells_apart(self.before[first], self.after[second]):
                self.add(first, second, by)

    def match_the_only_ones(self) -> None:
        if len(self.left_before) != 1 or len(self.left_after) != 1:
            return
        first, second = next(iter(self.left_before)), next(iter(self.left_after))
        if len(self.before) == len(self.after) == 1:
            self.add(first, second, "each side has one machine")
        elif not tells_apart(self.before[first], self.after[second]):
            self.add(first, second, "the only machine left on each side, and nothing tells them apart: a guess")


def _unique(
    machines: Sequence[ReportMachine], left: dict[int, None], key: Callable[[ReportMachine], Hashable | None]
) -> dict[Hashable, int]:
    places: dict[Hashable, list[int]] = {}
    for index in left:
        value = key(machines[index])
        if value is not None:
            places.setdefault(value, []).append(index)
    return {value: found[0] for value, found in places.items() if len(found) == 1}


def _hardware(machine: ReportMachine) -> Hashable | None:
    return machine.system.physical_bytes


def tells_apart(before: ReportMachine, after: ReportMachine) -> tuple[str, ...]:
    """What shows that these are two machines: a field each. Equal names settle it: RAM and Windows can be changed."""
    if before.name and after.name:
        return () if before.name.casefold() == after.name.casefold() else ("name",)
    first, second = before.system, after.system
    told = []
    if _differ(first.physical_bytes, second.physical_bytes):
        told.append("physical_bytes")
    if _differ(first.architecture, second.architecture):
        told.append("architecture")
    if _differ(first.build, second.build):
        told.append("build")
    return tuple(told)


def _differ(first: object, second: object) -> bool:
    return first is not None and second is not None and first != second


def _find(wanted: str, machines: Sequence[ReportMachine], side: str) -> int:
    named = [i for i, machine in enumerate(machines) if machine.name and machine.name.casefold() == wanted.casefold()]
    if len(named) == 1:
        return named[0]
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 9 and 1 <= int(wanted) <= len(machines):
        return int(wanted) - 1
    there = ", ".join(f"{i} ({m.name or 'no name'})" for i, m in enumerate(machines[:_MOST_NAMED], start=1))
    raise InputError(f"{side} has no machine {wanted!r:.60}: it has {there or 'none'}")
