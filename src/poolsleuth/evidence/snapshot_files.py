"""Joins many files of one tag table each: a snapshot every half hour in a file of its own makes hundreds of them.

Each table would stay in memory as objects, a megabyte a file. Here they become one history per machine while they are
read, and only the first and the last table stay as they are.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

import numpy as np

from poolsleuth.evidence.tag_history import Cells, TagCollector
from poolsleuth.model.facts import Fact
from poolsleuth.model.series import MemoryHistory, TagHistory
from poolsleuth.model.tags import PoolmonMemory, TagTable


@dataclass(slots=True)
class _Group:
    """The snapshots of one amount of memory: ``first`` and ``last`` are (time, input, facts)."""

    first: tuple[float, int, tuple[Fact, ...]]
    last: tuple[float, int, tuple[Fact, ...]]
    tags: TagCollector = field(default_factory=TagCollector)
    times: list[float] = field(default_factory=list)
    utc: bool = True
    complete: bool = True
    dated_by: set[str] = field(default_factory=set)


class SnapshotFiles:
    """Takes the facts of input after input; ``finish`` gives back what belongs to which of them."""

    def __init__(self) -> None:
        self._groups: dict[tuple[int, bool], _Group] = {}

    def take(self, index: int, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        """What of an input's facts stays with it for now: all of them unless it is one dated snapshot."""
        found = _snapshot(facts)
        if found is None:
            return facts
        memory, histories = found
        key = (memory, histories[0].utc)
        time = histories[0].times[0]
        group = self._groups.get(key)
        here = (time, index, facts)
        if group is None:
            group = self._groups[key] = _Group(here, here, utc=histories[0].utc)
        elif time < group.first[0]:
            group.first = here
        elif time >= group.last[0]:
            group.last = here
        group.tags.begin()
        group.times.append(time)
        for history in histories:
            _add(group.tags, history)
            group.complete = group.complete and history.complete
            group.dated_by.add(history.dated_by)
        return tuple(fact for fact in facts if not isinstance(fact, TagTable | TagHistory))

    def finish(self, facts: list[tuple[Fact, ...]]) -> None:
        """Put the joined histories, and each machine's first and last table, among the facts of their inputs."""
        for group in self._groups.values():
            if len(group.times) == 1:
                facts[group.first[1]] = group.first[2]
                continue
            history = _history(group)
            for place, (_, index, whole) in enumerate((group.first, group.last)):
                kept = tuple(fact for fact in whole if not isinstance(fact, TagHistory))
                facts[index] = (*kept, history) if place == 0 else kept


def _snapshot(facts: Sequence[Fact]) -> tuple[int, list[TagHistory]] | None:
    """Bytes of memory and the histories (one per session) of an input that is one dated snapshot; None for another."""
    memories = [fact for fact in facts if isinstance(fact, PoolmonMemory)]
    histories = [fact for fact in facts if isinstance(fact, TagHistory)]
    others = [f for f in facts if not isinstance(f, PoolmonMemory | TagHistory | TagTable | MemoryHistory)]
    if len(memories) != 1 or memories[0].physical is None or not histories or others:
        return None
    times = {history.times[0] if len(history.times) == 1 else float("nan") for history in histories}
    if len(times) != 1 or not all(isfinite(time) for time in times):
        return None
    return memories[0].physical.value, histories


def _add(tags: TagCollector, history: TagHistory) -> None:
    ids = np.array([tags.column(key) for key in history.columns], dtype=np.int64)
    columns = history.columns.values()
    tags.add(
        Cells(
            ids,
            np.array([column.bytes[0] for column in columns], dtype=np.float64),
            np.array([column.outstanding[0] for column in columns], dtype=np.float64),
            np.array([column.allocs[0] for column in columns], dtype=np.float64),
        )
    )


def _history(group: _Group) -> TagHistory:
    numbers, columns = group.tags.columns(lambda kept: sorted(kept, key=lambda number: group.times[number]))
    first = next(fact for fact in group.first[2] if isinstance(fact, TagHistory))
    return replace(
        first,
        at=None,
        times=array("d", (group.times[number] for number in numbers)),
        columns=columns,
        snapshots=len(group.times),
        utc=group.utc,
        dated_by=", ".join(sorted(group.dated_by)),
        complete=group.complete,
    )
