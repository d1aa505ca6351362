"""The bound on what is kept of one log."""

from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.bounded import BoundedFacts, weight_of
from poolsleuth.model.facts import Fact, Where
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.tags import Completeness, PoolKind, TagRow, TagTable


def table(line: int, rows: int) -> TagTable:
    where = Where(0, line)
    row = TagRow("Abcd", PoolKind.PAGED, None, None, 1, 16, where)
    return TagTable(where=where, rows=(row,) * rows, pools=frozenset({PoolKind.PAGED}), completeness=Completeness.CUT)


def counters(line: int) -> MemoryCounters:
    return MemoryCounters(where=Where(0, line))


def test_weights() -> None:
    assert weight_of(counters(1)) == 1
    assert weight_of(table(1, 20)) == 21


def test_within_the_bound_everything_stays() -> None:
    kept = BoundedFacts(100)
    facts = [table(1, 20), counters(2), table(3, 20)]
    for fact in facts:
        kept.add(fact)
    assert list(kept.facts()) == facts
    assert kept.dropped == {}


def test_the_heaviest_kind_is_thinned_its_ends_stay() -> None:
    kept = BoundedFacts(1000)
    facts: list[Fact] = []
    for number in range(500):
        facts += [table(2 * number, 50), counters(2 * number + 1)]
        kept.add(facts[-2])
        kept.add(facts[-1])
    tables = [fact for fact in kept.facts() if isinstance(fact, TagTable)]
    assert tables[0] is facts[0]
    assert tables[-1] is facts[-2]
    assert 3 <= len(tables) <= 20
    assert sum(weight_of(fact) for fact in kept.facts()) <= 1000
    assert kept.dropped["TagTable"] == 500 - len(tables)


def test_one_giant_fact_is_kept() -> None:
    kept = BoundedFacts(10)
    kept.add(table(1, 1000))
    assert len(kept.facts()) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=200), st.integers(50, 300))
def test_order_ends_and_count(sizes: list[int], limit: int) -> None:
    kept = BoundedFacts(limit)
    for line, size in enumerate(sizes):
        kept.add(table(line, size) if size else counters(line))
    lines = [fact.where.line or 0 for fact in kept.facts()]
    assert lines == sorted(lines)
    assert len(lines) + sum(kept.dropped.values()) == len(sizes)
    for kind in (TagTable, MemoryCounters):
        given_lines = [line for line, size in enumerate(sizes) if bool(size) is (kind is TagTable)]
        if given_lines:
            mine = [fact.where.line for fact in kept.facts() if isinstance(fact, kind)]
            assert (mine[0], mine[-1]) == (given_lines[0], given_lines[-1])
