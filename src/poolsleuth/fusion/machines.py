"""Groups facts into machines: within one input by conflict, across inputs by what is equal in both."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from itertools import combinations
from typing import Any

from poolsleuth.fusion.clues import Clues, clues_of
from poolsleuth.fusion.identify import identify
from poolsleuth.fusion.times import dated, in_time_order
from poolsleuth.model.facts import Fact
from poolsleuth.model.machine import Machine
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.system import BugCheck
from poolsleuth.model.tags import TagDescriptions

MAX_MACHINES = 500  # told apart in one run: a collection of tickets has dozens; more is a hostile file


@dataclass(slots=True)
class _Group:
    """Facts that belong together so far, and what they tell about their computer."""

    clues: Clues = field(default_factory=Clues)
    facts: list[Fact] = field(default_factory=list)

    def add(self, fact: Fact, clues: Clues) -> None:
        self.facts.append(fact)
        self.clues = self.clues.merged(clues)


def assemble(inputs: Iterable[Iterable[Fact]], *, one_each: bool = True) -> tuple[Machine, ...]:
    """The machines of all inputs, in the order in which they appear, ``MAX_MACHINES`` at most.

    Something equal in both joins the evidence of two inputs. Without that, evidence given together is one machine's
    only when every input speaks of one machine and nothing at all contradicts: it is never merged by position, and
    the order of the inputs decides nothing. ``one_each`` is False when the caller knows that several of the lists are
    machines of one input, told apart already. Tag descriptions (``pooltag.txt``) belong to no computer: left out.
    """
    groups: list[_Group] = []
    alone = one_each
    for facts in inputs:
        mine = _within(fact for fact in facts if not isinstance(fact, TagDescriptions))
        alone = alone and len(mine) <= 1
        groups += mine
    groups = _joined_by(groups, lambda a, b: a.confirms(b) and not _apart(a, b))
    contradicted = any(_apart(a.clues, b.clues) for a, b in combinations(groups, 2))
    if alone and not contradicted:
        groups = _joined_by(groups, lambda _a, _b: True)
    return tuple(_machine(group) for group in groups[:MAX_MACHINES])


def _joined_by(groups: list[_Group], together: Callable[[Clues, Clues], bool]) -> list[_Group]:
    """The groups with those joined that belong together, until none is left to join."""
    result: list[_Group] = []
    for group in groups:
        home = next((g for g in result if together(g.clues, group.clues)), None)
        if home is None:
            result.append(group)
        else:
            home.facts = sorted([*home.facts, *group.facts], key=lambda fact: fact.where.input)
            home.clues = home.clues.merged(group.clues)
    # A joined group knows more than its parts, and may now belong to another
    return result if len(result) == len(groups) else _joined_by(result, together)


def _machine(group: _Group) -> Machine:
    facts = _joined(in_time_order(dated(group.facts)))
    return Machine(
        system=identify(facts, group.clues),
        inputs=tuple(dict.fromkeys(fact.where.input for fact in group.facts)),
        facts=tuple(facts),
    )


def _returns_to(earlier: Clues, clues: Clues) -> bool:
    """Whether a fact is again of a computer seen earlier in the log. ``lkd`` has but one: the debugger's own."""
    return earlier.confirms(clues) or (earlier.live is True and clues.live is True)


def _within(facts: Iterable[Fact]) -> list[_Group]:
    """The computers of one input. A fact stays with the output before it unless it cannot be of that computer."""
    groups: list[_Group] = []
    current: _Group | None = None
    for fact in facts:
        clues = clues_of(fact)
        if current is None or current.clues.conflicts(clues):
            current = next(
                (g for g in groups if not g.clues.conflicts(clues) and _returns_to(g.clues, clues)),
                None,
            )
            if current is None:
                if len(groups) > MAX_MACHINES:
                    break
                current = _Group()
                groups.append(current)
        current.add(fact, clues)
    return groups


def _apart(first: Clues, second: Clues) -> bool:
    # One capture may come from the live machine and another from its dump: that is no conflict between inputs
    return replace(first, live=None).conflicts(replace(second, live=None))


_NOT_FIGURES = frozenset({"where", "live", "command", "address_bits", "family", "at", "source"})


def _joined(facts: list[Fact]) -> list[Fact]:
    """The facts, with what one interrupted output said in pieces put together again."""
    joined: list[Fact] = []
    places: dict[type[Fact], int] = {}
    for fact in facts:
        place = places.get(type(fact))
        last = joined[place] if place is not None else None
        if isinstance(fact, MemoryCounters) and isinstance(last, MemoryCounters) and _continues(last, fact):
            joined[place or 0] = replace(last, **_known(fact))
        elif isinstance(fact, BugCheck) and isinstance(last, BugCheck) and _same_crash(last, fact):
            # What the first telling left out is filled in; what both tell stays as it was first told
            joined[place or 0] = replace(last, **{n: v for n, v in _known(fact).items() if n not in _known(last)})
        else:
            places[type(fact)] = len(joined)
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
