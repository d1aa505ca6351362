"""The sums of all processors' tag tables are the truth, and what is missing is said."""

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.pool.tag_totals import TagTotals
from poolsleuth.kernel.pool.tracker_tables import read_tag_totals
from poolsleuth.model.tags import PoolKind

NP, P = PoolKind.NONPAGED, PoolKind.PAGED
Make = Callable[..., Any]
Number = Callable[[str], int]
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# nonpaged allocations, frees, bytes; paged allocations, frees, bytes
TRUTH: dict[str, tuple[int, ...]] = {
    "Thre": (1000, 200, 800 * 0x300, 0, 0, 0),
    "Irp ": (50_000, 49_990, 4096, 3, 1, 64),
    "CM31": (0, 0, 0, 9000, 100, 36_000_000),
    "Ddk ": (7, 7, 0, 0, 0, 0),
    "MmSt": (0, 0, 0, 123_456, 23_456, 300_000_000),
}


def split(counters: tuple[int, ...], parts: int, seed: int) -> list[tuple[int, ...]]:
    """Counters of ``parts`` processors whose sums they are: blocks and bytes freed elsewhere make some negative."""
    out = []
    rest = list(counters)
    for i in range(parts - 1):
        mine = tuple((value // parts) if j % 3 != 2 else value * (seed + i + 2) for j, value in enumerate(counters))
        rest = [value - taken for value, taken in zip(rest, mine, strict=True)]
        out.append(mine)
    return [*out, tuple(rest)]


def tables_of(truth: dict[str, tuple[int, ...]], parts: int, tag_number: Number) -> list[dict[int, tuple[int, ...]]]:
    tables: list[dict[int, tuple[int, ...]]] = [{} for _ in range(parts)]
    for seed, (tag, counters) in enumerate(truth.items()):
        for table, share in zip(tables, split(counters, parts, seed), strict=True):
            table[tag_number(tag)] = share
    return tables


def as_truth(totals: TagTotals) -> dict[tuple[str, PoolKind], tuple[int | None, ...]]:
    return {(row.tag, row.pool): (row.allocs, row.frees, row.outstanding, row.bytes) for row in totals.figures()}


EXPECTED = {
    ("Thre", NP): (1000, 200, 800, 614_400),
    ("Irp", NP): (50_000, 49_990, 10, 4096),
    ("Irp", P): (3, 1, 2, 64),
    ("CM31", P): (9000, 100, 8900, 36_000_000),
    ("Ddk", NP): (7, 7, 0, 0),
    ("MmSt", P): (123_456, 23_456, 100_000, 300_000_000),
}


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    ("name", "processors"),
    [
        ("2600 x86", 1), ("3790 x86", 1), ("3790 x64", 1), ("7601 x64", 2), ("14393 x64", 4), ("17763 x86", 3),
        ("17763 x64", 1), ("19041 x64", 3), ("20348 x64", 2), ("22000 x64", 5),
    ],
)  # fmt: skip
def test_sums(machine: Make, tag_number: Number, name: str, processors: int, exact: bool) -> None:
    here = machine(name, exact=exact)
    here.trackers(tables_of(TRUTH, processors, tag_number))
    totals = read_tag_totals(here.kernel())
    assert as_truth(totals) == EXPECTED
    assert totals.complete
    assert totals.certain.all()
    assert totals.says == ()
    assert (totals.tables_read, totals.tables_expected, totals.rows) == (processors, processors, 257)
    # Most bytes first within a pool
    assert [row.tag for row in totals.figures() if row.pool is P] == ["MmSt", "CM31", "Irp"]
    assert [row.tag for row in totals.figures(minimum=614_400)] == ["Thre", "MmSt", "CM31"]


def test_the_expansion_belongs_to_the_sum_and_a_tag_is_there_once(machine: Make, tag_number: Number) -> None:
    here = machine("19041 x64")
    here.trackers(tables_of(TRUTH, 2, tag_number))
    rare, thread = tag_number("Rare"), tag_number("Thre")
    rows = {0: (rare, (5, 1, 400, 0, 0, 0)), 3: (thread | 0x80000000, (10, 1, 512, 0, 0, 0))}
    here.variable("PoolTrackTableExpansion", here.table(rows, 73))
    here.variable("PoolTrackTableExpansionSize", 73)
    totals = read_tag_totals(here.kernel())
    assert totals.complete
    assert totals.expansion_read
    assert as_truth(totals) == {
        **EXPECTED,
        ("Rare", NP): (5, 1, 4, 400),
        ("Thre", NP): (1010, 201, 809, 614_912),
    }
    assert len(set(totals.keys.tolist())) == len(totals.keys)


@pytest.mark.parametrize(("address", "size"), [(0x1000, 5), (None, 0), (None, 1 << 32)])
def test_an_expansion_that_cannot_be_right(machine: Make, tag_number: Number, address: int | None, size: int) -> None:
    here = machine("19041 x64")
    here.trackers(tables_of(TRUTH, 2, tag_number))
    here.variable("PoolTrackTableExpansion", address or here.room(4096))
    here.variable("PoolTrackTableExpansionSize", size)
    totals = read_tag_totals(here.kernel())
    assert as_truth(totals) == EXPECTED
    assert not totals.complete
    assert not totals.expansion_read
    assert any("expansion" in sentence for sentence in totals.says)


@pytest.mark.parametrize(
    ("name", "exact", "complete"), [("19041 x64", True, True), ("19041 x64", False, False), ("3790 x86", False, True)]
)
def test_an_expansion_nobody_knows_of(
    machine: Make, tag_number: Number, name: str, exact: bool, complete: bool
) -> None:
    """Symbols without it and old systems have none; without symbols, tags may lie where nobody can find them."""
    here = machine(name, exact=exact)
    here.trackers(tables_of(TRUTH, 1, tag_number))
    here.symbols.pop("PoolTrackTableExpansion", None)
    totals = read_tag_totals(here.kernel())
    assert as_truth(totals) == EXPECTED
    assert totals.certain.all()
    assert (totals.complete, totals.expansion_read) == (complete, complete)
    assert any("expansion" in sentence for sentence in totals.says) is not complete


def test_a_full_table_without_a_known_expansion(machine: Make, tag_number: Number) -> None:
    here = machine("3790 x86")
    keys = [tag_number(f"T{i:03}") for i in range(9)]
    here.variable("PoolTrackTable", here.table({i: (key, (1, 0, 8, 0, 0, 0)) for i, key in enumerate(keys[:8])}, 9))
    here.variable("PoolTrackTableSize", 9)
    totals = read_tag_totals(here.kernel())
    assert (len(totals.keys), totals.complete) == (8, False)


def test_a_missing_page_makes_its_rows_uncertain_and_no_others(machine: Make, tag_number: Number) -> None:
    here = machine("7601 x64")
    tables = tables_of(TRUTH, 2, tag_number)
    first, second = here.trackers(tables)
    places = here.places(list(tables[0]), 257)
    lost_row = places[tag_number("Thre")]
    here.memory.lose(second + lost_row * 0x28)
    totals = read_tag_totals(here.kernel())
    page = (second + lost_row * 0x28) // 4096
    for row in totals.figures():
        at = second + places[row.key] * 0x28
        on_page = page in (at // 4096, (at + 0x27) // 4096)
        assert row.certain is not on_page
        if not on_page:
            assert (row.allocs, row.frees, row.outstanding, row.bytes) == EXPECTED[row.tag, row.pool]
    assert not totals.complete
    assert totals.rows_missing > 50
    assert any("cannot be read" in sentence for sentence in totals.says)
    assert not totals.certain.all()
    assert totals.certain.any()
    assert first


def test_without_one_table_nothing_is_certain_and_negative_is_none(machine: Make, tag_number: Number) -> None:
    here = machine("14393 x64")
    key, other = tag_number("Dpc "), tag_number("Fine")
    here.trackers([{key: (0, 500, -16_000, 0, 0, 0), other: (4, 1, 96, 0, 0, 0)}, {key: (600, 0, 19_200, 0, 0, 0)}])
    for page in range(0, 257 * 0x28, 4096):
        here.memory.lose(here.kernel().variable("ExPoolTagTables") + 0x4000 + page)
    totals = read_tag_totals(here.kernel())
    assert not totals.complete
    assert (totals.tables_read, totals.tables_expected) == (1, 2)
    assert not totals.certain.any()
    rows = {row.tag: row for row in totals.figures()}
    assert (rows["Dpc"].outstanding, rows["Dpc"].bytes, rows["Dpc"].certain) == (None, None, False)
    assert (rows["Fine"].outstanding, rows["Fine"].bytes) == (3, 96)
    assert "1 of the 2 processors' tag tables can be read" in totals.says


def test_the_first_table_alone_is_not_the_machine(machine: Make, tag_number: Number) -> None:
    here = machine("19041 x64")
    here.trackers(tables_of(TRUTH, 3, tag_number))
    del here.symbols["ExPoolTagTables"]
    totals = read_tag_totals(here.kernel())
    assert not totals.complete
    assert not totals.certain.any()
    assert any("one processor" in sentence for sentence in totals.says)


def test_the_first_table_alone_is_the_machine_with_one_processor(machine: Make, tag_number: Number) -> None:
    here = machine("19041 x64")
    here.trackers(tables_of(TRUTH, 1, tag_number))
    del here.symbols["ExPoolTagTables"]
    totals = read_tag_totals(here.kernel())
    assert totals.complete
    assert as_truth(totals) == EXPECTED


def test_the_number_of_processors_limits_the_tables(machine: Make, tag_number: Number) -> None:
    """What stands behind the processors' slots is not read as a table."""
    here = machine("19041 x64")
    here.trackers(tables_of(TRUTH, 2, tag_number))
    array = here.kernel().address("ExPoolTagTables")
    here.memory.put(array + 16, here.room(4096))
    assert read_tag_totals(here.kernel()).complete
    here.processors = None
    here.memory.put(array + 16, 0)
    assert read_tag_totals(here.kernel()).complete
    assert as_truth(read_tag_totals(here.kernel())) == EXPECTED


def test_a_wrong_number_of_processors_loses_nothing(machine: Make, tag_number: Number) -> None:
    """As in dumps of imaging tools: the header says one processor, the kernel counted on four."""
    here = machine("19041 x64")
    here.trackers(tables_of(TRUTH, 4, tag_number))
    here.processors = 1
    totals = read_tag_totals(here.kernel())
    assert as_truth(totals) == EXPECTED
    assert totals.complete
    assert (totals.tables_read, totals.tables_expected) == (4, 4)
    assert totals.says == ("processors: 1, tag tables: 4; all of them are added",)


def test_the_next_symbol_ends_the_array(machine: Make, tag_number: Number) -> None:
    here = machine("19041 x64", processors=None)
    at = here.trackers(tables_of(TRUTH, 2, tag_number))
    here.processors = None
    array = here.kernel().address("ExPoolTagTables")
    here.symbols["PoolHitTag"] = array + 16 - here.base
    here.memory.put(array + 16, at[0] + 0x100000)
    totals = read_tag_totals(here.kernel())
    assert totals.complete
    assert totals.tables_read == 2


def test_the_same_table_twice_is_not_added_twice(machine: Make, tag_number: Number) -> None:
    here = machine("19041 x64")
    at = here.trackers(tables_of(TRUTH, 2, tag_number))
    here.memory.put(here.kernel().address("ExPoolTagTables") + 8, at[0])
    totals = read_tag_totals(here.kernel())
    assert totals.tables_read == 1
    assert not totals.complete


def test_another_tag_in_a_row_is_not_added(machine: Make, tag_number: Number) -> None:
    here = machine("7601 x64")
    key = tag_number("Good")
    at = here.trackers([{key: (10, 1, 900, 0, 0, 0)}, {key: (0, 0, 0, 0, 0, 0)}])
    row = here.places([key], 257)[key]
    here.memory.write(at[1] + row * 0x28, struct.pack("<III4xQ", tag_number("Evil"), 99, 0, 1 << 30))
    totals = read_tag_totals(here.kernel())
    (figures,) = totals.figures()
    assert (figures.tag, figures.bytes, figures.certain) == ("Good", 900, False)
    assert not totals.complete


def test_a_full_table_is_not_complete(machine: Make, tag_number: Number) -> None:
    here = machine("7601 x64")
    here.trackers(tables_of(TRUTH, 1, tag_number))
    at = here.kernel().variable("PoolTrackTable") + 256 * 0x28
    here.memory.write(at, struct.pack("<III4xQ", tag_number("Ovfl"), 2, 1, 64))
    totals = read_tag_totals(here.kernel())
    assert not totals.complete
    assert any("Ovfl" in sentence for sentence in totals.says)
    here.memory.write(at, struct.pack("<III4xQ", tag_number("Ovfl"), 0, 0, 0))
    assert read_tag_totals(here.kernel()).complete


@pytest.mark.parametrize("name", ["2600 x86", "7601 x64"])
@pytest.mark.parametrize("size", [0, 1 << 31, 0xFFFFFFFF])
def test_sizes_no_table_has(machine: Make, tag_number: Number, name: str, size: int) -> None:
    here = machine(name)
    here.trackers(tables_of(TRUTH, 1, tag_number))
    here.variable("PoolTrackTableSize", size)
    totals = read_tag_totals(here.kernel())
    assert list(totals.figures()) == []
    assert not totals.complete
    assert totals.says


def test_untracked_windows_xp_says_so(machine: Make) -> None:
    here = machine("2600 x86")
    here.variable("PoolTrackTable", 0)
    here.variable("PoolTrackTableSize", 0)
    (says,) = read_tag_totals(here.kernel()).says
    assert "gflags" in says


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", ["2600 x86", "19041 x64"])
def test_an_empty_table_proves_no_absence(machine: Make, name: str, exact: bool) -> None:
    here = machine(name, exact=exact)
    here.trackers([{}])
    totals = read_tag_totals(here.kernel())
    assert not totals.complete
    (says,) = totals.says
    assert "the tag table is empty" in says
    assert ("gflags" in says) is (name == "2600 x86")


def test_nothing_known_gives_one_sentence(machine: Make) -> None:
    totals = read_tag_totals(machine("22000 x64").kernel())
    assert totals.says == ("how many rows the tag table has is not known: tags are not read",)
    assert not totals.complete


def test_2_pow_32_processors(machine: Make, tag_number: Number) -> None:
    here = machine("22000 x64")
    here.trackers(tables_of(TRUTH, 2, tag_number))
    here.processors = 1 << 32
    totals = read_tag_totals(here.kernel())
    assert as_truth(totals) == EXPECTED
    assert totals.complete


@SLOW
@given(data=st.data())
def test_any_tables_give_the_sums_of_a_plain_loop(machine: Make, data: st.DataObject) -> None:
    here = machine(data.draw(st.sampled_from(["3790 x64", "7601 x64", "17763 x86", "20348 x64"])))
    processors = 1 if here.format.build < 6000 else data.draw(st.integers(1, 4))
    keys = data.draw(st.lists(st.integers(1, 0x7FFFFFFF), min_size=1, max_size=30, unique=True))
    counter = st.integers(-(1 << 63), (1 << 63) - 1)
    row = st.tuples(*[counter] * 6)
    tables = [{key: data.draw(row) for key in keys} for _ in range(processors)]
    here.trackers(tables, rows=65)
    totals = read_tag_totals(here.kernel())
    assert totals.keys.tolist() == sorted(keys)
    widths = [8 * width for _, width in here.format.counters]
    for place, key in enumerate(sorted(keys)):
        sums = [sum(table[key][i] for table in tables) % (1 << bits) for i, bits in enumerate(widths)]
        for pool, first in ((totals.nonpaged, 0), (totals.paged, 3)):
            assert int(pool.allocs[place]) == sums[first]
            assert int(pool.frees[place]) == sums[first + 1]
            assert int(pool.bytes[place]) % (1 << widths[first + 2]) == sums[first + 2]
            outstanding = int(pool.outstanding[place])
            assert outstanding % (1 << widths[first]) == (sums[first] - sums[first + 1]) % (1 << widths[first])


@SLOW
@given(data=st.data())
def test_damaged_memory_gives_totals_all_the_same(machine: Make, tag_number: Number, data: st.DataObject) -> None:
    here = machine(data.draw(st.sampled_from(["2600 x86", "14393 x64", "22000 x64"])), exact=data.draw(st.booleans()))
    here.trackers(tables_of(TRUTH, 1 if here.format.build < 6000 else 3, tag_number))
    here.variable("PoolTrackTableExpansion", 0)
    here.variable("PoolTrackTableExpansionSize", 0)
    for _ in range(data.draw(st.integers(1, 6))):
        page = data.draw(st.sampled_from(sorted(here.memory.pages)))
        if data.draw(st.booleans()):
            here.memory.lose(page * 4096)
            if not here.memory.pages:
                break
        else:
            at = data.draw(st.integers(0, 0x700))
            here.memory.write(page * 4096 + at, data.draw(st.binary(min_size=1, max_size=64)))
    totals = read_tag_totals(here.kernel())
    rows = list(totals.figures())
    assert totals.complete or totals.says
    assert all(row.bytes is None or row.bytes >= 0 for row in rows)
