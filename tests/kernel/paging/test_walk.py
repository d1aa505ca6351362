"""One page and many pages, in every mode: what is mapped, large pages, missing tables, and tables of random bytes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.crash_dump.memory import PhysicalMemory
from poolsleuth.kernel.paging import walk
from poolsleuth.kernel.paging.parameters import PagingParameters, parameters_for
from poolsleuth.kernel.paging.software import State
from poolsleuth.kernel.paging.space import VirtualMemory, open_address_space

PAGE = 4096
FORMS = ("x86", "pae", "x64", "la57", "arm64")
TOP = {"x86": 0x80000000, "pae": 0x80000000, "la57": 0xFF11000000000000}
MachineMaker = Callable[..., Any]


def parameters(form: str, build: int = 22000, **more: Any) -> PagingParameters:
    wide = form not in ("x86", "pae")
    return parameters_for(
        build if wide else min(build, 7601),
        "arm64" if form == "arm64" else "x64" if wide else "x86",
        form == "pae",
        None,
        la57=form == "la57",
        **more,
    )


def space_of(machine: Any, form: str, memory: PhysicalMemory | None = None, **more: Any) -> VirtualMemory:
    return open_address_space(memory or machine.memory(), parameters(form, **more), machine.dtb)


def both(space: VirtualMemory, pages: list[int]) -> list[int]:
    """What translate_pages says; each page alone must say the same."""
    many = space.translate_pages(np.array(pages, np.uint64)).tolist()
    for page, found in zip(pages, many, strict=True):
        one = space.translate(page << 12)
        assert (one.absence if one.physical is None else one.physical >> 12) == found
        assert space.walk.place(page) == found
    return [int(number) for number in many]


def base(form: str) -> int:
    return TOP.get(form, 0xFFFFF80000000000)


@pytest.mark.parametrize("form", FORMS)
def test_pages_of_4_kb(form: str, machine: MachineMaker) -> None:
    made = machine(form)
    top = base(form)
    made.map(top, 0x777)
    made.map(top + PAGE, 0x12345)
    made.map(top + 0x3000, 0x5)
    made.map(0x10000, 0x666)
    space = space_of(made, form)
    first = top >> 12
    absent = int(Absence.NOT_MAPPED)
    assert both(space, [first, first + 1, first + 2, first + 3, 0x10, 0x11, first + 0x5000]) == [
        0x777, 0x12345, absent, 5, 0x666, absent, absent,
    ]  # fmt: skip
    found = space.translate(top + 0x1ABC)
    assert (found.state, found.physical, found.page_size, found.level) == (State.VALID, 0x12345ABC, PAGE, 1)
    assert found.entry == (0x12345703 if form == "arm64" else 0x12345963)


@pytest.mark.parametrize("form", FORMS)
def test_large_pages(form: str, machine: MachineMaker) -> None:
    made = machine(form)
    top = base(form)
    depth = len(made.levels) - 2
    size = 1 << made.levels[depth][0]
    made.map_large(top + size, depth, 0x40000)
    space = space_of(made, form)
    found = space.translate(top + size + 0x1234)
    assert (found.physical, found.page_size, found.level) == (0x40001234, size, 2)
    last = (top + 2 * size >> 12) - 1
    assert both(space, [(top + size >> 12), last, last + 1]) == [0x40000, 0x40000 + (size >> 12) - 1, -3]


@pytest.mark.parametrize("form", ["x64", "la57", "arm64"])
def test_pages_of_1_gb(form: str, machine: MachineMaker) -> None:
    made = machine(form)
    top = base(form)
    made.map_large(top + (1 << 30), len(made.levels) - 3, 0x80000)
    space = space_of(made, form)
    found = space.translate(top + (1 << 30) + 0x2345678)
    assert (found.physical, found.page_size, found.level) == (0x80000000 + 0x2345678, 1 << 30, 3)
    assert both(space, [(top >> 12) + 0x40000 + 0x23456]) == [0x80000 + 0x23456]


def test_pages_of_4_mb_above_4_gb(machine: MachineMaker) -> None:
    made = machine("x86")
    # Bits 13 to 20 of the entry are bits 32 to 39 of the address: here 0x5A
    made.put(0xC0000000, 0x12C00000 | 0x5A << 13 | 0x1E3, 0)
    space = space_of(made, "x86")
    found = space.translate(0xC0123456)
    assert found.physical == 0x5A12C00000 + 0x123456
    assert both(space, [0xC0123]) == [0x5A12D23]


def test_the_table_of_pae_lies_anywhere_in_its_page(machine: MachineMaker) -> None:
    made = machine("pae", 0x100FE0)
    made.map(0xFFFFF000, 0x55)
    made.map(0x1000, 0x66)
    assert both(space_of(made, "pae"), [0xFFFFF, 1, 0x7FFFF]) == [0x55, 0x66, -3]


def test_the_low_bits_of_cr3_are_not_an_address(machine: MachineMaker) -> None:
    made = machine("x64")
    made.map(base("x64"), 0x55)
    memory = made.memory()
    space = open_address_space(memory, parameters("x64"), made.dtb | 1 << 63 | 0x002)
    assert both(space, [base("x64") >> 12]) == [0x55]


@pytest.mark.parametrize("form", FORMS)
def test_addresses_that_do_not_exist(form: str, machine: MachineMaker) -> None:
    made = machine(form)
    made.map(0x10000, 0x666)
    space = space_of(made, form)
    bits = {"x86": 32, "pae": 32, "la57": 57}.get(form, 48)
    assert both(space, [0x10]) == [0x666]
    assert both(space, [0x10 | 1 << bits - 12]) == [-3]
    assert space.translate_pages(np.array([0x10 | 1 << 60, (1 << 64) - 1], np.uint64)).tolist() == [-3, -3]
    for address in (0x10000 | 1 << bits, -0x10000, 0x10000 - (1 << 64), 1 << 200):
        assert space.read(address, 8) is Absence.NOT_MAPPED
        assert space.translate(address).absence is Absence.NOT_MAPPED


@pytest.mark.parametrize("form", FORMS)
def test_a_table_that_is_not_in_the_dump_says_nothing_about_what_is_mapped(form: str, machine: MachineMaker) -> None:
    made = machine(form)
    top = base(form)
    made.map(top, 0x777)
    for depth in range(len(made.levels)):
        table = made.entry_at(top, depth) >> 12
        there, lost = top >> 12, (top >> 12) + 1
        space = space_of(made, form, made.memory(lost=[table]))
        assert both(space, [there, lost]) == [-1, -1]
        assert space.read(top, 8) is Absence.NOT_IN_DUMP
        assert space.translate(top).state is State.UNREADABLE
        assert both(space_of(made, form, made.memory(cut=[table])), [there, lost]) == [-2, -2]
    space = space_of(made, form, made.memory(lost=[0x777]))
    assert both(space, [top >> 12]) == [0x777]
    assert space.read(top, 8) is Absence.NOT_IN_DUMP
    assert space.gather(np.array([top >> 12], np.uint64))[1].tolist() == [-1]
    assert space_of(made, form, made.memory(cut=[0x777])).read(top, 8) is Absence.CUT_OFF


@pytest.mark.parametrize("form", FORMS)
def test_tables_in_transition_are_followed_and_others_are_not(form: str, machine: MachineMaker) -> None:
    made = machine(form)
    top = base(form)
    made.map(top, 0x777)
    depth = len(made.levels) - 2
    at = made.entry_at(top, depth)
    table = made.entry_at(top, depth + 1) >> 12
    page_file = 0x5 << (12 if form == "x86" else 32)
    zero = 0x4 << (1 if form == "arm64" else 5)
    for entry, place in ((table << 12 | 0x800, 0x777), (page_file, -4), (zero, -3), (0x400, -6), (0, -3)):
        made.set(at, entry)
        assert both(space_of(made, form), [top >> 12]) == [place]


def test_entries_that_the_processor_refuses(machine: MachineMaker) -> None:
    made = machine("x64")
    made.put(base("x64"), 0x5000 | 0xE3, 0)
    assert both(space_of(made, "x64"), [base("x64") >> 12]) == [-6]
    made = machine("arm64")
    made.map(base("arm64"), 0x55)
    made.put(base("arm64") + PAGE, 0x56701)
    made.put(base("arm64") + (1 << 40), 0x56701, 0)
    first = base("arm64") >> 12
    assert both(space_of(made, "arm64"), [first, first + 1, first + (1 << 28)]) == [0x55, -6, -6]


@pytest.mark.parametrize(("build", "bits"), [(3790, 28), (6000, 28), (6001, 36), (19041, 36), (20348, 40)])
def test_the_page_number_has_as_many_bits_as_the_kernel_uses(build: int, bits: int, machine: MachineMaker) -> None:
    made = machine("x64")
    made.put(base("x64"), ((1 << 40) - 1) << 12 | 0x63)
    assert both(space_of(made, "x64", build=build), [base("x64") >> 12]) == [(1 << bits) - 1]


def test_any_order_and_repeated_pages(machine: MachineMaker) -> None:
    made = machine("x64")
    for i in range(2000):
        made.map(base("x64") + i * 0x3000, 0x1000 + i * 7 % 1999, fill=False)
    space = space_of(made, "x64")
    pages = np.random.default_rng(1).integers(0, 6000, 5000).astype(np.uint64)
    wanted = np.where(pages % 3 == 0, 0x1000 + (pages.astype(np.int64) // 3) * 7 % 1999, -3)
    assert np.array_equal(space.translate_pages(pages + np.uint64(base("x64") >> 12)), wanted)
    assert space.translate_pages(np.empty(0, np.uint64)).tolist() == []


@pytest.mark.parametrize(("rows", "chunk"), [(1, 1000), (2, 7), (3, 1 << 17)])
def test_more_tables_and_entries_than_are_taken_at_once(
    rows: int, chunk: int, machine: MachineMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "ROWS_AT_ONCE", rows)
    monkeypatch.setattr(walk, "_CHUNK", chunk)
    made = machine("x64")
    wanted = {}
    for i in range(60):
        wanted[(base("x64") >> 12) + i * 200] = 0x1000 + i
        made.map(base("x64") + i * 200 * PAGE, 0x1000 + i, fill=False)
        wanted[(base("x64") >> 12) + i * (1 << 18) + 5] = 0x2000 + i
        made.map(base("x64") + (i << 30) + 5 * PAGE, 0x2000 + i, fill=False)
    lost = made.entry_at(base("x64") + (9 << 30), 2) >> 12
    wanted[(base("x64") >> 12) + 9 * (1 << 18) + 5] = -1
    space = space_of(made, "x64", made.memory(lost=[lost]))
    pages = np.random.default_rng(2).permutation(np.array(list(wanted), np.uint64))
    assert space.translate_pages(pages).tolist() == [wanted[page] for page in pages.tolist()]
    # The same with prototype entries, in pages that are there, that are lost, and that are not mapped
    kinds = {0x600: 0x63, 0x601: 0x63, 0x602: 0x63, 0x603: 0, 0x604: 0x63}
    for number, bits in kinds.items():
        made.put(0xFFFFA00000000000 + number * PAGE, number << 12 | bits if bits else 0)
        made.page(number, b"".join((0x5000 + number * 16 + i << 12 | 0x63).to_bytes(8, "little") for i in range(512)))
    leads = [(number, i) for i in range(6) for number in kinds]
    for at, (number, i) in enumerate(leads):
        made.put(base("x64") + at * PAGE, (0xA00000000000 + number * PAGE + i * 8) << 16 | 0x400)
    space = space_of(made, "x64", made.memory(lost=[0x601], cut=[0x600]), invalid_pte_mask=0)
    first = base("x64") >> 12
    found = space.translate_pages(np.arange(first, first + len(leads), dtype=np.uint64)).tolist()
    absent = {0x600: -2, 0x601: -1, 0x603: -6}
    assert found == [absent.get(number, 0x5000 + number * 16 + i) for number, i in leads]


def test_the_places_of_page_tables_are_kept_in_bounds(machine: MachineMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_LEAVES", 3)
    made = machine("x64")
    for i in range(20):
        made.map(base("x64") + (i << 21), 0x1000 + i, fill=False)
    space = space_of(made, "x64")
    for _ in range(2):
        assert [space.walk.place((base("x64") >> 12) + i * 512) for i in range(20)] == list(range(0x1000, 0x1014))
        assert len(space.walk._leaves) <= 3


def tables(form: str) -> st.SearchStrategy[tuple[str, bytes, int]]:
    """Sixteen pages of tables: random bytes, or random entries that mostly lead back into the sixteen."""
    width = 4 if form == "x86" else 8
    entry = st.one_of(
        st.integers(0, (1 << 8 * width) - 1),
        st.builds(lambda number, bits: number << 12 | bits, st.integers(0, 17), st.integers(0, 0xFFF)),
        st.sampled_from([0, 0x63, 0x1063, 0x2003, 0x10E3, 0x800, 0x400, 0x1000C00]),
    )
    some = st.lists(entry, min_size=1, max_size=64).map(
        lambda found: b"".join(value.to_bytes(width, "little") for value in found)
    )
    return st.tuples(st.just(form), some, st.integers(0, (1 << 64) - 1))


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(FORMS).flatmap(tables),
    st.lists(st.integers(0, (1 << 52) - 1), min_size=1, max_size=12),
    st.integers(0, 0xFFFF),
    st.sampled_from([None, 0, 1 << 45, (1 << 64) - 1]),
    st.integers(0, 16 * PAGE),
)
def test_no_page_tables_hang_or_raise_and_both_ways_agree(
    machine: MachineMaker,
    made: tuple[str, bytes, int],
    pages: list[int],
    build: int,
    mask: int | None,
    size: int,
) -> None:
    form, some, dtb = made
    hostile = machine(form)
    content = (some * (16 * PAGE // len(some) + 1))[: 16 * PAGE]
    for number in range(16):
        hostile.pages[number] = bytearray(content[number * PAGE : (number + 1) * PAGE])
    memory = hostile.memory(cut=[7])
    more = {"invalid_pte_mask": mask, "paged_pool_start": 0x3000}
    space = open_address_space(memory, parameters(form, build, **more), dtb & 0xFFFF)
    bits = {"x86": 20, "pae": 20, "la57": 45}.get(form, 36)
    near = [page & (1 << bits) - 1 for page in pages]
    signed = [page | ((1 << 52) - (1 << bits) if bits > 20 and page >> bits - 1 else 0) for page in near]
    both(space, [*pages, *signed])
    for page in signed:
        found = space.read(page << 12 | 0xFF0, size)
        assert isinstance(found, Absence) or len(found) == size
    count = 0
    for part in space.mapped_ranges(0, (1 << 64) - 1, max_tables=200):
        ends = part.pages[:-1] + part.counts[:-1].astype(np.uint64)
        assert (part.pages[1:] >= ends).all()
        assert (part.counts > 0).all()
        inside = part.pages[:5]
        assert np.array_equal(space.translate_pages(inside), part.frames[:5])
        count += 1
    assert count < 400
