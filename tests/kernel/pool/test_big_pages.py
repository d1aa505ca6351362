"""The table of big allocations: what is in use, what is free, and what cannot be right."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.pool import big_pages as module
from poolsleuth.kernel.pool.big_pages import (
    MAX_ENTRIES,
    NONPAGED,
    PAGED,
    UNKNOWN,
    BigPages,
    read_big_pages,
    read_session_big_pages,
)
from poolsleuth.kernel.sessions import Session
from poolsleuth.model.tags import PoolKind

NP, P = PoolKind.NONPAGED, PoolKind.PAGED
Make = Callable[..., Any]
Number = Callable[[str], int]
Entry = tuple[int, int, int, int]
WIDE, NARROW = 0xFFFFFA8010000000, 0x86000000
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def entries_of(here: Any, number: Number) -> list[Entry]:
    """Address, tag, size (bytes, or pages where the table has those), pool type: two free, one never used."""
    base, unit = (WIDE if here.format.wide else NARROW), 1 if "NumberOfBytes" in here.format.big else 4096
    return [
        (base, number("CM31"), 0x5000 // unit, 1),
        (base + 0x5000, number("CM31") | 0x80000000, 0x1000 // unit, 1),
        (0, 0, 0, 0),
        (base + 0x10001, number("Free"), 0x3000 // unit, 1),
        (base + 0x20000, number("Cont"), 0x200000 // unit, 0),
        (base + 0x300001, number("Free"), 0x1000 // unit, 0),
        (base + 0x400000, number("CM31"), 0x2000 // unit, 0),
        (base + 0x500000, number("Nx  "), 0x1000 // unit, 0 if unit > 1 else 0x200),
    ]


def tags(found: BigPages) -> list[tuple[str, PoolKind | None, int, int]]:
    return sorted((each.tag, each.pool, each.count, each.bytes) for each in found.tags)


EXPECTED = [("CM31", NP, 1, 0x2000), ("CM31", P, 2, 0x6000), ("Cont", NP, 1, 0x200000), ("Nx", NP, 1, 0x1000)]


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", ["7601 x64", "14393 x64", "17763 x86", "19041 x64", "20348 x64", "22000 x64"])
def test_tables_with_pool_types(machine: Make, tag_number: Number, name: str, exact: bool) -> None:
    here = machine(name, exact=exact)
    here.big_pages(entries_of(here, tag_number), 4096)
    found = read_big_pages(here.kernel())
    assert tags(found) == EXPECTED
    assert (found.used, found.free, found.strange, found.missing) == (5, 2, 0, 0)
    assert found.complete
    assert found.says == ()
    assert found.tags[0].tag == "Cont"  # most bytes first


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", ["2600 x86", "3790 x86", "3790 x64"])
def test_older_tables_tell_the_pool_by_the_address(machine: Make, tag_number: Number, name: str, exact: bool) -> None:
    here = machine(name, exact=exact)
    here.big_pages(entries_of(here, tag_number), 4096)
    found = read_big_pages(here.kernel())
    assert {(each.tag, each.pool, each.count, each.bytes) for each in found.tags} == {
        ("CM31", None, 3, 0x8000),
        ("Cont", None, 1, 0x200000),
        ("Nx", None, 1, 0x1000),
    }
    base = WIDE if here.format.wide else NARROW
    here.variable("MmPagedPoolStart", base)
    here.variable("MmPagedPoolEnd", base + 0x5FFF)
    assert tags(read_big_pages(here.kernel())) == EXPECTED


def test_parts_give_every_entry_in_use(machine: Make, tag_number: Number) -> None:
    here = machine("14393 x64")
    here.big_pages(entries_of(here, tag_number), 4096)
    found = read_big_pages(here.kernel())
    assert found.table is not None
    (part,) = found.table.parts()
    assert part.addresses.tolist() == [WIDE + each for each in (0, 0x5000, 0x20000, 0x400000, 0x500000)]
    assert part.keys.tolist() == [tag_number(tag) for tag in ("CM31", "CM31", "Cont", "CM31", "Nx  ")]
    assert part.sizes.tolist() == [0x5000, 0x1000, 0x200000, 0x2000, 0x1000]
    assert part.pools.tolist() == [PAGED, PAGED, NONPAGED, NONPAGED, NONPAGED]
    assert (part.free, part.strange, part.missing) == (2, 0, 0)


def test_entries_that_cannot_be_are_counted_and_left_out(machine: Make, tag_number: Number) -> None:
    here = machine("19041 x64")
    bad = [
        (0x00007FF800001000, tag_number("User"), 0x1000, 0),
        (WIDE + 0x600010, tag_number("Odd "), 0x1000, 0),
        (WIDE + 0x700000, tag_number("None"), 0, 0),
        (WIDE + 0x800000, tag_number("Huge"), 1 << 50, 0),
    ]
    here.big_pages(entries_of(here, tag_number) + bad, 4096)
    found = read_big_pages(here.kernel())
    assert tags(found) == EXPECTED
    assert found.strange == 4
    assert not found.complete
    assert "4 rows" in found.says[0]


def test_missing_pages(machine: Make, tag_number: Number) -> None:
    here = machine("19041 x64")
    at = here.big_pages(entries_of(here, tag_number), 4096)
    here.memory.put(at + 341 * 24, WIDE + 0x900000)  # the address of row 341 can be read, the rest of it cannot
    here.memory.lose(at + 0x2000)
    found = read_big_pages(here.kernel())
    assert tags(found) == EXPECTED
    assert found.strange == 0
    # Rows of 24 bytes: number 341 ends in the lost page, number 511 ends with it
    assert found.missing == 511 - 341 + 1
    assert not found.complete


@pytest.mark.parametrize("rows", [0, MAX_ENTRIES + 1, 0xFFFFFFFF, (1 << 64) - 1])
def test_sizes_no_table_has(machine: Make, tag_number: Number, rows: int) -> None:
    here = machine("19041 x64")
    here.big_pages(entries_of(here, tag_number), 4096)
    here.variable("PoolBigPageTableSize", rows)
    found = read_big_pages(here.kernel())
    assert (found.tags, found.table, found.complete) == ((), None, False)
    assert len(found.says) == 1


def test_a_table_that_would_end_behind_the_last_address(machine: Make, tag_number: Number) -> None:
    here = machine("17763 x86")
    here.big_pages(entries_of(here, tag_number), 4096)
    here.variable("PoolBigPageTable", 0xFFFFE000)
    here.variable("PoolBigPageTableSize", 1 << 22)
    found = read_big_pages(here.kernel())
    assert (found.used, found.missing, found.complete) == (0, 1 << 22, False)


def test_nothing_known(machine: Make) -> None:
    found = read_big_pages(machine("22000 x64").kernel())
    assert not found.complete
    assert "not known" in found.says[0]


def test_noise_is_no_table_without_symbols(machine: Make) -> None:
    here = machine("20348 x64", exact=False)
    at = here.room(0x8000)
    here.memory.write(at, bytes((i * 2654435761 >> 7) & 0xFF for i in range(0x8000)))
    here.variable("PoolBigPageTable", at)
    here.variable("PoolBigPageTableSize", 1024)
    found = read_big_pages(here.kernel())
    assert found.table is None
    assert "layout" in found.says[0]


def test_a_session_has_a_table_of_its_own(machine: Make, fake_memory: Callable[[int], Any], tag_number: Number) -> None:
    here = machine("7601 x64")
    system, here.memory = here.memory, fake_memory(8)
    at = here.big_table([(0xFFFFF900C0001000, tag_number("Gh05"), 0x4000, 0x21)], 512)
    own, here.memory = here.memory, system
    session = Session(id=1, address=at, processes=1, directory_table_base=1, memory=Reader(own), big_pages=(at, 512))
    found = read_session_big_pages(here.kernel(), session)
    assert [(each.tag, each.pool, each.bytes) for each in found.tags] == [("Gh05", P, 0x4000)]
    assert (found.complete, found.session) == (True, 1)
    none = Session(id=1, address=at, processes=1, directory_table_base=1, memory=None)
    assert read_session_big_pages(here.kernel(), none).table is None


def large(here: Any, rows: int, tags_in_it: int) -> None:
    """A table of that many rows of 0x10 bytes, all in use: its tags take turns, each of 4,096 bytes, paged."""
    number = np.arange(rows, dtype=np.uint32)
    table = np.zeros((rows, 4), "<u4")
    table[:, 0] = 0x80000000 + number % 0x70000 * 4096
    table[:, 1] = 0x41414141 + number % tags_in_it
    table[:, 2] = 1 << 8
    table[:, 3] = 4096
    raw = table.tobytes()
    at = here.room(len(raw))
    for begin in range(0, len(raw), 4096):
        here.memory.write(at + begin, raw[begin : begin + 4096])
    here.variable("PoolBigPageTable", at)
    here.variable("PoolBigPageTableSize", rows)


@pytest.mark.parametrize("bits", [16, 3])
def test_parts_add_up_even_where_tags_share_a_place(machine: Make, monkeypatch: pytest.MonkeyPatch, bits: int) -> None:
    monkeypatch.setattr(module, "_HASH_BITS", bits)
    here = machine("17763 x86")
    rows, count = (1 << 18) + 900, 90
    large(here, rows, count)
    found = read_big_pages(here.kernel())
    assert found.complete
    assert found.table is not None
    assert [len(part.keys) for part in found.table.parts()] == [1 << 18, 900]
    expected = {0x41414141 + i: len(range(i, rows, count)) for i in range(count)}
    assert {each.key: each.count for each in found.tags} == expected
    assert {each.key: each.bytes // 4096 for each in found.tags} == expected


def test_more_tags_than_any_windows_has(machine: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TAGS", 50)
    here = machine("17763 x86")
    large(here, 1000, 90)
    found = read_big_pages(here.kernel())
    assert len(found.tags) == 50
    assert {each.count for each in found.tags} == {11, 12}
    assert not found.complete
    assert "more than 50 tags" in found.says[0]


@SLOW
@given(data=st.data())
def test_totals_are_those_of_a_plain_loop(machine: Make, data: st.DataObject) -> None:
    here = machine(data.draw(st.sampled_from(["3790 x64", "7601 x64", "17763 x86", "22000 x64"])))
    base, unit = (WIDE, 8) if here.format.wide else (NARROW, 4)
    typed = "PoolType" in here.format.big
    pages = st.integers(0, 5000)
    keys = st.sampled_from([0x41424344, 0xC1424344, 0x20206F49, 1, 0x7FFFFFFF])
    rows = data.draw(
        st.lists(st.tuples(pages, keys, st.integers(1, 1 << 20), st.integers(0, 0xFFF), st.booleans()), max_size=60)
    )
    entries = [(base + (page << 12) + freed, key, size, kind) for page, key, size, kind, freed in rows]
    here.big_pages(entries, 64)
    found = read_big_pages(here.kernel())
    expected: dict[tuple[int, PoolKind | None], list[int]] = {}
    for _, key, size, kind, freed in rows:
        if not freed:
            pool = (P if kind & 1 else NP) if typed else None
            total = expected.setdefault((key & 0x7FFFFFFF, pool), [0, 0])
            total[0] += 1
            total[1] += size if typed else size * 4096
    assert {(each.key, each.pool): [each.count, each.bytes] for each in found.tags} == expected
    assert found.free == sum(freed for *_, freed in rows)
    assert unit


@SLOW
@given(data=st.data())
def test_any_bytes_end_in_a_result(machine: Make, data: st.DataObject) -> None:
    here = machine(data.draw(st.sampled_from(["2600 x86", "14393 x64", "22000 x64"])), exact=data.draw(st.booleans()))
    at = here.big_pages([], 256)
    here.memory.write(at, data.draw(st.binary(max_size=2048)))
    if data.draw(st.booleans()):
        here.memory.lose(at + 4096)
    found = read_big_pages(here.kernel())
    assert found.used + found.free + found.strange + found.missing <= 256
    assert found.complete or found.says
    assert sum(each.count for each in found.tags) == found.used
    if found.table is not None:
        for part in found.table.parts():
            assert set(np.unique(part.pools).tolist()) <= {NONPAGED, PAGED, UNKNOWN}
