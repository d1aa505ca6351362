"""Facts cut to a window of time."""

from array import array
from datetime import UTC, datetime
from math import isnan, nan

from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.evidence.time_window import within
from poolsleuth.model.facts import Fact, Where
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.series import MemoryHistory, TagColumn, TagHistory, TagKey
from poolsleuth.model.system import TargetInfo
from poolsleuth.model.tags import PoolKind

HERE = Where(0)
KEY = TagKey("MmSt", PoolKind.PAGED)


def doubles(*values: float) -> "array[float]":
    return array("d", values)


def tags(*times: float) -> TagHistory:
    column = TagColumn(doubles(*(10 * t for t in times)), doubles(*(nan for _ in times)), doubles(*times))
    return TagHistory(where=HERE, times=doubles(*times), columns={KEY: column}, snapshots=len(times), complete=True)


def memory(*times: float) -> MemoryHistory:
    figures = {"paged_used": doubles(*(2 * t for t in times))}
    return MemoryHistory(where=HERE, times=doubles(*times), figures=figures, snapshots=len(times))


def capture(seconds: float | None) -> MemoryCounters:
    return MemoryCounters(where=HERE, at=None if seconds is None else datetime.fromtimestamp(seconds, UTC))


def test_histories_lose_what_lies_outside() -> None:
    cut_tags, cut_memory = within([tags(1, 2, 3, 4), memory(1, 2, 3, 4)], lambda t: 2 <= t <= 3)

    assert isinstance(cut_tags, TagHistory)
    assert list(cut_tags.times) == [2, 3]
    assert list(cut_tags.columns[KEY].bytes) == [20, 30]
    assert list(cut_tags.columns[KEY].allocs) == [2, 3]
    assert all(isnan(v) for v in cut_tags.columns[KEY].outstanding)
    assert (cut_tags.snapshots, cut_tags.complete) == (2, True)
    assert isinstance(cut_memory, MemoryHistory)
    assert (list(cut_memory.times), list(cut_memory.figures["paged_used"])) == ([2, 3], [4, 6])


def test_what_is_wholly_outside_goes_and_what_is_inside_is_untouched() -> None:
    history, inside = tags(1, 2), capture(5)
    assert within([history, inside, capture(99)], lambda t: t < 50) == (history, inside)
    assert within([history, memory(1)], lambda t: t > 50) == ()


def test_a_fact_without_a_time_stays() -> None:
    facts = [capture(None), TargetInfo(where=HERE, computer="SRV")]
    assert within(facts, lambda _: False) == tuple(facts)


def test_undated_snapshots_are_asked_as_nan() -> None:
    assert within([tags(nan, nan)], lambda t: t >= 0) == ()
    assert len(within([tags(nan, nan)], lambda _: True)) == 1


@given(st.lists(st.floats(0, 100), max_size=20), st.floats(0, 100), st.floats(0, 100))
def test_every_column_is_cut_alike(times: list[float], since: float, until: float) -> None:
    facts: tuple[Fact, ...] = within([tags(*times), memory(*times)], lambda t: since <= t <= until)
    inside = [t for t in times if since <= t <= until]
    for fact in facts:
        assert isinstance(fact, TagHistory | MemoryHistory)
        assert list(fact.times) == inside
        columns = (
            [fact.columns[KEY].bytes, fact.columns[KEY].outstanding, fact.columns[KEY].allocs]
            if isinstance(fact, TagHistory)
            else list(fact.figures.values())
        )
        assert {len(column) for column in columns} == {len(inside)}
    assert bool(facts) == bool(inside) or not times
