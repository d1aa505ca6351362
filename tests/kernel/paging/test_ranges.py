"""What is mapped in a range: the same as translating every page of it, in order, and within bounds."""

import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.paging import ranges
from poolsleuth.kernel.paging.parameters import PagingParameters, parameters_for
from poolsleuth.kernel.paging.ranges import MappedRuns
from poolsleuth.kernel.paging.space import VirtualMemory, open_address_space

PAGE = 4096
HIGH = 0xFFFFF80000000000
EVERYTHING = (0, (1 << 64) - 1)
MachineMaker = Callable[..., Any]
KERNELS = {
    "x86": parameters_for(7601, "x86", False),
    "pae": parameters_for(7601, "x86", True),
    "x64": parameters_for(19041, "x64", None, invalid_pte_mask=0),
    "la57": parameters_for(22000, "x64", None, la57=True, invalid_pte_mask=0),
    "arm64": parameters_for(22000, "arm64", None),
}
TOPS = {"x86": 0x80000000, "pae": 0x80000000, "x64": HIGH, "la57": 0xFF11000000000000, "arm64": HIGH}


def opened(made: Any, **how: Any) -> VirtualMemory:
    parameters: PagingParameters = KERNELS[made.form]
    return open_address_space(made.memory(**how), parameters, made.dtb)


def flat(parts: list[MappedRuns]) -> dict[int, int]:
    """Each page that is not absent as "not mapped", and what is said of it."""
    said: dict[int, int] = {}
    for part in parts:
        for page, frame, count in zip(part.pages.tolist(), part.frames.tolist(), part.counts.tolist(), strict=True):
            for i in range(count):
                assert page + i not in said
                said[page + i] = frame + i if frame >= 0 else frame
    assert list(said) == sorted(said)
    return said


@pytest.mark.parametrize("form", KERNELS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_same_as_translating_every_page(form: str, machine: MachineMaker, data: st.DataObject) -> None:
    made = machine(form)
    top = TOPS[form]
    size = 1 << made.levels[-2][0]
    pages = size >> 12
    for _ in range(data.draw(st.integers(0, 30))):
        page = data.draw(st.integers(0, 4 * pages - 1))
        kind = data.draw(st.integers(0, 5))
        entry = data.draw(st.sampled_from([0, 0x80 if form != "arm64" else 0x8, 0x80 << 24 | 0x80, 0x9880]))
        if kind:
            for i in range(data.draw(st.integers(1, 5))):
                made.map(top + (page + i) * PAGE, 0x5000 + page + i, fill=False)
        else:
            made.put(top + page * PAGE, entry)
    large = data.draw(st.one_of(st.none(), st.integers(0, 3)))
    if large is not None:
        made.map_large(top + large * size, len(made.levels) - 2, 0x40000)
    tables = [number for number in made.pages if number != made.dtb >> 12]
    lost = data.draw(st.lists(st.sampled_from(tables), max_size=2)) if tables else []
    space = opened(made, lost=lost)
    first = data.draw(st.integers(0, 4 * pages - 1))
    last = data.draw(st.integers(first, 4 * pages))
    numbers = np.arange((top >> 12) + first, (top >> 12) + last + 1, dtype=np.uint64)
    found = space.translate_pages(numbers).tolist()
    wanted = {page: place for page, place in zip(numbers.tolist(), found, strict=True) if place != -3}
    said = flat(list(space.mapped_ranges(top + first * PAGE + 5, top + last * PAGE)))
    assert said == wanted


@pytest.mark.parametrize("form", KERNELS)
def test_runs_are_as_long_as_can_be_and_end_where_the_range_ends(form: str, machine: MachineMaker) -> None:
    made = machine(form)
    top = TOPS[form]
    size = 1 << made.levels[-2][0]
    for i in range(20):
        made.map(top + i * PAGE, 0x700 + i, fill=False)
    made.map_large(top + size, len(made.levels) - 2, 0x40000)
    made.map_large(top + 2 * size, len(made.levels) - 2, 0x40000 + (size >> 12))
    space = opened(made)
    (part,) = space.mapped_ranges(*EVERYTHING)
    first = top >> 12
    assert part.pages.tolist() == [first, first + (size >> 12)]
    assert part.frames.tolist() == [0x700, 0x40000]
    assert part.counts.tolist() == [20, size >> 11]
    assert part.stopped is None
    (part,) = space.mapped_ranges(top + 3 * PAGE, top + size + 0x5678)
    assert part.pages.tolist() == [first + 3, first + (size >> 12)]
    assert part.frames.tolist() == [0x703, 0x40000]
    assert part.counts.tolist() == [17, 6]
    (part,) = space.mapped_ranges(top + size + 0x3000, top + size + 0x3000)
    assert (part.pages.tolist(), part.frames.tolist(), part.counts.tolist()) == (
        [first + (size >> 12) + 3],
        [0x40003],
        [1],
    )
    for nothing in ((top + PAGE, top), (-5, -1), (1 << 70, 1 << 71), (top + 4 * size, top + 5 * size)):
        assert list(space.mapped_ranges(*nothing)) == []


def test_both_halves_and_what_lies_between(machine: MachineMaker) -> None:
    made = machine("x64")
    made.map(0x10000, 0x11)
    made.map((1 << 47) - PAGE, 0x12)
    made.map((1 << 64) - (1 << 47), 0x13)
    made.map((1 << 64) - PAGE, 0x14)
    made.map_large(0xFFFFA00000000000, 1, 0x80000)
    space = opened(made)
    parts = list(space.mapped_ranges(*EVERYTHING))
    assert [page for part in parts for page in part.pages.tolist()] == [
        0x10, 0x7FFFFFFFF, 0xFFFF800000000, 0xFFFFA00000000, 0xFFFFFFFFFFFFF,
    ]  # fmt: skip
    parts = list(space.mapped_ranges(1 << 47, (1 << 64) - (1 << 47) - 1))
    assert parts == []


def test_tables_that_are_missing_stand_for_all_that_lies_under_them(machine: MachineMaker) -> None:
    made = machine("x64")
    made.map(HIGH, 0x11)
    made.map(HIGH + (1 << 21), 0x12)
    made.map(HIGH + (1 << 30), 0x13)
    page_table, directory = made.entry_at(HIGH + (1 << 21), 3) >> 12, made.entry_at(HIGH + (1 << 30), 2) >> 12
    space = opened(made, lost=[page_table], cut=[directory])
    (part,) = space.mapped_ranges(HIGH, HIGH + (1 << 32))
    assert part.pages.tolist() == [HIGH >> 12, (HIGH >> 12) + 512, (HIGH >> 12) + (1 << 18)]
    assert part.frames.tolist() == [0x11, -1, -2]
    assert part.counts.tolist() == [1, 512, 1 << 18]


def test_the_self_map_shows_the_page_tables(machine: MachineMaker) -> None:
    made = machine("x64")
    made.map(HIGH, 0x11)
    slot = 0x1ED
    made.set(made.dtb + 8 * slot, made.dtb | 0x63)
    space = opened(made)
    begin = 0xFFFF000000000000 | slot << 39
    (part,) = space.mapped_ranges(begin, begin + (1 << 39) - 1)
    shown = dict(zip(part.pages.tolist(), part.frames.tolist(), strict=True))
    # The page table of HIGH stands at its place in the map; the root at the place that maps itself four times
    assert shown[(begin | (HIGH >> 9 & 0x7FFFFFFFF8)) >> 12] == made.entry_at(HIGH, 3) >> 12
    assert shown[(begin | slot << 30 | slot << 21 | slot << 12) >> 12] == made.dtb >> 12
    assert len(made.pages) == 4 + 1  # the tables, and the page that is mapped
    assert sum(part.counts.tolist()) == 4


def test_one_table_that_leads_to_itself_everywhere_ends_at_a_bound(machine: MachineMaker) -> None:
    made = machine("x64")
    for i in range(512):
        made.set(made.dtb + 8 * i, made.dtb | 0x63)
    space = opened(made)
    tracemalloc.start()
    pages, count, stopped = 0, 0, None
    for part in space.mapped_ranges(*EVERYTHING, max_tables=5000):
        assert stopped is None
        assert len(part.pages) <= ranges.TABLES_AT_ONCE * 512
        pages, count, stopped = pages + len(part.pages), count + 1, part.stopped
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert stopped == "5,000 page tables were read, and there are more: the rest was left out"
    assert 4000 * 512 < pages <= 5000 * 512
    assert peak < 64 << 20


def test_pages_of_prototype_entries_count_as_tables(machine: MachineMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "TABLES_AT_ONCE", 2)
    made = machine("x64")
    for i in range(2048):
        made.put(HIGH + i * PAGE, (0xA00000000000 + i * PAGE) << 16 | 0x400)
    space = opened(made)
    parts = list(space.mapped_ranges(*EVERYTHING, max_tables=1000))
    assert parts[-1].stopped == "1,000 page tables were read, and there are more: the rest was left out"
    assert sum(int(part.counts.sum()) for part in parts) == 1024
    parts = list(space.mapped_ranges(*EVERYTHING, max_tables=3000))
    assert parts[-1].stopped is None
    assert sum(int(part.counts.sum()) for part in parts) == 2048


def test_a_bound_on_pages(machine: MachineMaker) -> None:
    made = machine("x64")
    for i in range(512):
        made.map_large(HIGH + (i << 30), 1, i % 2 << 18)
    space = opened(made)
    parts = list(space.mapped_ranges(*EVERYTHING, max_pages=100 << 18))
    assert sum(int(part.counts.sum()) for part in parts) == 100 << 18
    assert [part.stopped for part in parts][-1] == (
        "26,214,400 pages were given, and more are mapped: the rest was left out"
    )
    assert not any(part.stopped for part in parts[:-1])
    exact = list(space.mapped_ranges(*EVERYTHING, max_pages=512 << 18))
    assert [part.stopped for part in exact] == [None]


def test_many_tables_come_in_parts_in_the_order_of_their_addresses(
    machine: MachineMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "TABLES_AT_ONCE", 2)
    made = machine("x64")
    places = [HIGH + (i << 21) for i in range(9)] + [HIGH + (i << 30) for i in range(1, 6)] + [HIGH + (1 << 39)]
    for i, place in enumerate(places):
        made.map(place, 0x5000 + 2 * i, fill=False)
    made.map_large(HIGH + (3 << 30) + (1 << 21), 2, 0x40000)
    made.map_large(HIGH + (6 << 30), 1, 0x80000)
    places += [HIGH + (3 << 30) + (1 << 21), HIGH + (6 << 30)]
    parts = list(opened(made).mapped_ranges(*EVERYTHING))
    assert len(parts) > 5
    assert [page << 12 for part in parts for page in part.pages.tolist()] == sorted(places)
    for before, after in pairwise(parts):
        assert before.pages[-1] < after.pages[0]
