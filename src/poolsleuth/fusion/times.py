"""When each fact was captured: an output belongs to the capture whose time its log prints nearest before it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from poolsleuth.model.facts import Fact
from poolsleuth.model.memory import MemoryCounters, SessionMemory, SystemPtes
from poolsleuth.model.system import ProcessList, TargetInfo
from poolsleuth.model.tags import PoolmonMemory, TagTable

_CAPTURES = (MemoryCounters, SessionMemory, SystemPtes, TagTable, PoolmonMemory, ProcessList)


def dated(facts: Sequence[Fact]) -> list[Fact]:
    """The facts of one machine, in their order, with the time of their capture where the input tells it.

    A banner or ``.time`` speaks for what follows it in the same input; what stands before the first one belongs to it
    too. A fact with a time of its own keeps it.
    """
    first: dict[int, datetime] = {}
    for fact in facts:
        if isinstance(fact, TargetInfo) and fact.captured_at is not None:
            first.setdefault(fact.where.input, fact.captured_at)
    current = dict(first)
    result: list[Fact] = []
    for fact in facts:
        if isinstance(fact, TargetInfo) and fact.captured_at is not None:
            current[fact.where.input] = fact.captured_at
        at = current.get(fact.where.input)
        if at is not None and fact.at is None and isinstance(fact, _CAPTURES):
            result.append(replace(fact, at=at))
        else:
            result.append(fact)
    return result


def in_time_order(facts: Sequence[Fact]) -> list[Fact]:
    """The facts in the order of their captures where every input with captures says its times, else as given.

    What is no capture keeps its place behind the captures of its input before it.
    """
    captures = [fact for fact in facts if isinstance(fact, _CAPTURES)]
    if not captures or any(fact.at is None for fact in captures):
        return list(facts)
    keys: list[tuple[datetime, int]] = []
    latest: dict[int, datetime] = {}
    for capture in captures:
        latest.setdefault(capture.where.input, capture.at)  # type: ignore[arg-type]
    beginning = min(latest.values())
    for place, fact in enumerate(facts):
        if isinstance(fact, _CAPTURES) and fact.at is not None:
            latest[fact.where.input] = fact.at
        keys.append((latest.get(fact.where.input, beginning), place))
    return [fact for _, fact in sorted(zip(keys, facts, strict=True), key=lambda item: item[0])]
