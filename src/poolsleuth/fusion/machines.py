"""Groups facts into machines: within one input by conflict, across inputs by what is equal in both."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from poolsleuth.fusion.clues import Clues, clues_of
from poolsleuth.fusion.identify import identify
from poolsleuth.model.facts import Fact
from poolsleuth.model.machine import Machine
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.system import BugCheck
from poolsleuth.model.tags import TagDescriptions


@dataclass(slots=True)
class _Group:
    """Facts that belong together so far, and what they tell about their computer."""

    clues: Clues = field(default_factory=Clues)
    facts: list[Fact] = field(default_factory=list)

    def add(self, fact: Fact, clues: Clues) -> None:
        self.facts.append(fact)
        self.clues = self.clues.merged(clues)


def assemble(inputs: Iterable[Iterable[Fact]]) -> tuple[Machine, ...]:
    """The machines of all inputs, in the order in which they appear.

    Tag descriptions (``pooltag.txt``) belong to no computer and are left out: see ``descriptions``.
    """
    machines: list[_Group] = []
    for facts in inputs:
        groups = _within(fact for fact in facts if not isinstance(fact, TagDescriptions))
        earlier = list(machines)
        for group in groups:
            home = _home(group, earlier, alone=len(groups) == 1)
            if home is None:
                machines.append(group)
            else:
                home.facts.extend(group.facts)
                home.clues = home.clues.merged(group.clues)
    return tuple(_machine(group) for group in machines)


def _machine(group: _Group) -> Machine:
    facts = _joined(group.facts)
    return Machine(
        system=identify(facts, group.clues),
        inputs=tuple(dict.fromkeys(fact.where.input for fact in group.facts)),
        facts=tuple(facts),
    )


def _within(facts: Iterable[Fact]) -> list[_Group]:
    """The computers of one input. A fact stays with the output before it unless it cannot be of that computer."""
    groups: list[_Group] = []
    current: _Group | None = None
    for fact in facts:
        clues = clues_of(fact)
        if current is None or current.clues.conflicts(clues):
            current = next(
                (g for g in groups if not g.clues.conflicts(clues) and g.clues.confirms(clues)),
                None,
            )
            if current is None:
                current = _Group()
                groups.append(current)
        current.add(fact, clues)
    return groups


def _home(group: _Group, machines: list[_Group], *, alone: bool) -> _Group | None:
    """The earlier machine that a group of another input belongs to, None when it is a machine of its own.

    Something equal in both decides. Without that, evidence given together is taken as one machine's only when there
    is exactly one machine on both sides and nothing contradicts: otherwise it would be merged by mere position.
    """
    possible = [m for m in machines if not _apart(m.clues, group.clues)]
    for machine in possible:
        if machine.clues.confirms(group.clues):
            return machine
    if alone and len(machines) == 1 and possible:
        return possible[0]
    return None


def _apart(first: Clues, second: Clues) -> bool:
    # One capture may come from the live machine and another from its dump: that is no conflict between inputs
    return replace(first, live=None).conflicts(replace(second, live=None))


_NOT_FIGURES = frozenset({"where", "live", "command", "address_bits", "family"})


def _joined(facts: list[Fact]) -> list[Fact]:
    """The facts, with what one interrupted output said in pieces put together again."""
    joined: list[Fact] = []
    for fact in facts:
        place = next((i for i in reversed(range(len(joined))) if type(joined[i]) is type(fact)), None)
        last = joined[place] if place is not None else None
        if isinstance(fact, MemoryCounters) and isinstance(last, MemoryCounters) and _continues(last, fact):
            joined[place or 0] = replace(last, **_known(fact))
        elif isinstance(fact, BugCheck) and isinstance(last, BugCheck) and _same_crash(last, fact):
            # What the first telling left out is filled in; what both tell stays as it was first told
            joined[place or 0] = replace(last, **{n: v for n, v in _known(fact).items() if n not in _known(last)})
        else:
            joined.append(fact)
    return joined


def _known(fact: Fact) -> dict[str, Any]:
    return {
        f.name: v
        for f in fields(fact)
        if f.name not in _NOT_FIGURES and (v := getattr(fact, f.name)) not in (None, (), {})
    }


def _same_crash(first: BugCheck, second: BugCheck) -> bool:
    same = not first.parameters or not second.parameters or first.parameters == second.parameters
    return first.where.input == second.where.input and first.code == second.code and same


def _continues(first: MemoryCounters, second: MemoryCounters) -> bool:
    if first.where.input != second.where.input or second.physical is not None:
        return False
    return not _known(first).keys() & _known(second).keys()
