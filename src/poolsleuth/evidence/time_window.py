"""Cuts facts to a window of time: histories lose their samples outside it, captures outside it go."""

from array import array
from collections.abc import Callable, Iterable
from dataclasses import replace

from poolsleuth.model.facts import Fact
from poolsleuth.model.series import MemoryHistory, TagColumn, TagHistory

Covers = Callable[[float], bool]


def within(facts: Iterable[Fact], covers: Covers) -> tuple[Fact, ...]:
    """The facts inside the window. ``covers`` is asked with seconds since 1970 UTC; a fact without a time stays."""
    kept: list[Fact] = []
    for fact in facts:
        if isinstance(fact, TagHistory | MemoryHistory):
            cut = _history(fact, covers)
            if cut is not None:
                kept.append(cut)
        elif fact.at is None or covers(fact.at.timestamp()):
            kept.append(fact)
    return tuple(kept)


def _history(fact: TagHistory | MemoryHistory, covers: Covers) -> TagHistory | MemoryHistory | None:
    places = [place for place, time in enumerate(fact.times) if covers(time)]
    if len(places) == len(fact.times):
        return fact
    if not places:
        return None

    def chosen(column: "array[float]") -> "array[float]":
        return array("d", (column[place] for place in places))

    if isinstance(fact, MemoryHistory):
        figures = {name: chosen(column) for name, column in fact.figures.items()}
        return replace(fact, times=chosen(fact.times), figures=figures, snapshots=len(places))
    columns = {
        key: TagColumn(chosen(c.bytes), chosen(c.outstanding), chosen(c.allocs)) for key, c in fact.columns.items()
    }
    return replace(fact, times=chosen(fact.times), columns=columns, snapshots=len(places))
