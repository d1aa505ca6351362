"""Entries that are not valid: each kind by hand, for each layout; and prototype entries end to end."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.paging.layout import Bits
from poolsleuth.kernel.paging.parameters import PagingParameters, parameters_for
from poolsleuth.kernel.paging.software import SoftwareEntries, State
from poolsleuth.kernel.paging.space import open_address_space
from poolsleuth.kernel.paging.translation import Translation

PAGE = 4096
SWIZZLE = 0x10
MASK = 1 << 45
MachineMaker = Callable[..., Any]
KERNELS = {
    "2000 x86": parameters_for(2195, "x86", False, paged_pool_start=0xE1000000),
    "XP x86": parameters_for(2600, "x86", False, paged_pool_start=0xE1000000),
    "XP PAE": parameters_for(2600, "x86", True),
    "2003 x64": parameters_for(3790, "x64", None),
    "Vista x86": parameters_for(6002, "x86", False),
    "7 PAE": parameters_for(7601, "x86", True),
    "7 x64": parameters_for(7601, "x64", None),
    "8 x86": parameters_for(9200, "x86", True),
    "1803 x64": parameters_for(17134, "x64", None),
    "1809 x86": parameters_for(17763, "x86", True, invalid_pte_mask=MASK),
    "1809 x64": parameters_for(17763, "x64", None, invalid_pte_mask=MASK),
    "2004 AMD": parameters_for(19041, "x64", None, invalid_pte_mask=0),
    "2022": parameters_for(20348, "x64", None, invalid_pte_mask=MASK),
    "11 24H2": parameters_for(26100, "x64", None, invalid_pte_mask=MASK),
    "11 LA57": parameters_for(26100, "x64", None, la57=True, invalid_pte_mask=MASK),
    "11 ARM64": parameters_for(26100, "arm64", None),
}
EVERY = pytest.mark.parametrize("name", KERNELS)
FORMS = {"x86 without PAE": "x86", "x86 with PAE": "pae", "x64, four levels": "x64", "x64, five levels": "la57"}
TOP = 0xFF11000000000000  # a kernel address that is canonical with 57 bits only
HIGH = 0xFFFFF80000000000


def form_of(parameters: PagingParameters) -> str:
    return FORMS.get(parameters.mode.value, "arm64")


def swizzled(parameters: PagingParameters, entry: int) -> int:
    """An entry that is not valid, as this kernel would write it: the mask set, or the bit that says it is not."""
    if parameters.layout.swizzle is None or not parameters.invalid_pte_mask:
        return entry
    return entry | SWIZZLE if entry & parameters.invalid_pte_mask else entry | parameters.invalid_pte_mask


def page_file(parameters: PagingParameters, number: int, offset: int, protection: int = 4) -> int:
    arm, modern = parameters.mode.value.startswith("ARM"), parameters.build >= 17763
    at = 6 if arm else 12 if modern else 1
    return number << at | protection << (1 if arm else 5) | offset << (12 if parameters.mode.entry_size == 4 else 32)


def ask(machine: MachineMaker, parameters: PagingParameters, entry: int) -> Translation:
    """Both ways to translate a page with this entry; they must agree."""
    made = machine(form_of(parameters))
    address = {"x86": 0x90000000, "pae": 0x90000000, "la57": TOP}.get(form_of(parameters), HIGH)
    made.put(address, entry)
    space = open_address_space(made.memory(), parameters, made.dtb)
    found = space.translate(address + 0x123)
    many = int(space.translate_pages(np.array([address >> 12], np.uint64))[0])
    assert many == (found.absence if found.physical is None else found.physical >> 12)
    return found


@EVERY
def test_an_empty_entry_is_not_mapped(name: str, machine: MachineMaker) -> None:
    found = ask(machine, KERNELS[name], 0)
    assert (found.state, found.absence, found.entry) == (State.NOT_MAPPED, Absence.NOT_MAPPED, 0)


@EVERY
def test_demand_zero(name: str, machine: MachineMaker) -> None:
    parameters = KERNELS[name]
    entry = page_file(parameters, 0, 0)
    assert ask(machine, parameters, entry).absence is Absence.DEMAND_ZERO
    assert ask(machine, parameters, swizzled(parameters, entry)).absence is Absence.DEMAND_ZERO
    # A page that may neither be read nor written (0x18: no access) does not read as zeros
    assert ask(machine, parameters, page_file(parameters, 0, 0, 0x18)).absence is Absence.NOT_MAPPED


@EVERY
@pytest.mark.parametrize(("number", "offset"), [(0, 1), (1, 0), (2, 0x12345), (15, 0x2345)])
def test_page_files(name: str, number: int, offset: int, machine: MachineMaker) -> None:
    parameters = KERNELS[name]
    found = ask(machine, parameters, swizzled(parameters, page_file(parameters, number, offset)))
    assert (found.state, found.absence) == (State.PAGE_FILE, Absence.PAGED_OUT)
    assert (found.page_file_number, found.page_file_offset) == (number, offset)


@EVERY
def test_transition(name: str, machine: MachineMaker) -> None:
    parameters = KERNELS[name]
    found = ask(machine, parameters, swizzled(parameters, 0x4321 << 12 | 0x880))
    assert (found.state, found.physical, found.absence) == (State.TRANSITION, 0x4321123, None)


def prototype_entry(parameters: PagingParameters, address: int) -> int:
    if form_of(parameters) == "x86" and parameters.build < 6000:
        offset = address - 0xE1000000
        return (offset >> 2 & 0x7F) << 1 | 0x400 | offset >> 9 << 11
    if form_of(parameters) == "x86":
        return (address >> 2 & 0xFF) << 1 | 0x400 | (address >> 10 & 0x1FFFFF) << 11
    if form_of(parameters) == "pae":
        return swizzled(parameters, address << 32 | 0x400)
    return swizzled(parameters, (address & (1 << 48) - 1) << 16 | 0x400)


@EVERY
def test_prototype_entries_lead_on_once(name: str, machine: MachineMaker) -> None:
    parameters = KERNELS[name]
    form = form_of(parameters)
    made = machine(form)
    # The field for the address has 48 bits: with five levels too, prototype entries lie in the old kernel half
    wide = form not in ("x86", "pae")
    pool, here = (0xFFFFA00123456000, HIGH) if wide else (0xE1234000, 0x90000000)
    made.map(pool, 0x444, data=bytes(PAGE))
    width = made.width
    valid = 0x5678703 if form == "arm64" else 0x5678063
    page = 0x888
    targets: list[tuple[int, State, int, tuple[int, int] | None]] = [
        (valid, State.VALID, 0x5678, None),
        (swizzled(parameters, page << 12 | 0x880), State.TRANSITION, page, None),
        (swizzled(parameters, page_file(parameters, 3, 0x77)), State.PAGE_FILE, -4, (3, 0x77)),
        (swizzled(parameters, page_file(parameters, 0, 0)), State.DEMAND_ZERO, -5, None),
        (0, State.NOT_MAPPED, -3, None),
        # A prototype bit here: the address of a subsection. The page lies in a file, whatever the address is
        (prototype_entry(parameters, pool), State.SUBSECTION, -4, None),
    ]
    for i, (target, *_) in enumerate(targets):
        where = 0x444000 + 0x210 + i * width
        made.set(where, target)
        made.put(here + i * PAGE, prototype_entry(parameters, pool + 0x210 + i * width))
    space = open_address_space(made.memory(), parameters, made.dtb)
    pages = np.arange(here >> 12, (here >> 12) + len(targets), dtype=np.uint64)
    many = space.translate_pages(pages).tolist()
    for i, (target, state, place, file) in enumerate(targets):
        found = space.translate(here + i * PAGE)
        assert found.prototype_address == pool + 0x210 + i * width
        assert found.prototype_entry == target
        assert found.state is state
        assert many[i] == place == (found.absence if found.physical is None else found.physical >> 12)
        assert (found.page_file_number, found.page_file_offset) == (file or (None, None))
    (part,) = space.mapped_ranges(here, here + len(targets) * PAGE - 1)
    assert part.frames.tolist() == [0x5678, 0x888, -4, -5, -4]
    # Where the page of the prototype entries is missing, that is the answer
    for lost, cut, place in (([0x444], [], -1), ([], [0x444], -2)):
        space = open_address_space(made.memory(lost=lost, cut=cut), parameters, made.dtb)
        assert space.translate_pages(pages).tolist() == [place] * len(targets)
        assert space.translate(here).absence == place
    for entry, place in ((page_file(parameters, 1, 1), -4), (0, -6), (page_file(parameters, 0, 0), -6)):
        made.put(pool, entry)
        space = open_address_space(made.memory(), parameters, made.dtb)
        assert space.translate_pages(pages).tolist() == [place] * len(targets)
        assert space.translate(here).absence == place


def test_a_prototype_entry_that_leads_to_itself_is_not_followed(machine: MachineMaker) -> None:
    parameters = KERNELS["7 x64"]
    made = machine("x64")
    # The page table of this page is mapped by its own second entry
    table = made.entry_at(HIGH, 3) >> 12
    made.put(HIGH, prototype_entry(parameters, HIGH))
    made.put(HIGH + PAGE, table << 12 | 0x63)
    made.put(HIGH + 2 * PAGE, prototype_entry(parameters, HIGH + PAGE + 16))
    space = open_address_space(made.memory(), parameters, made.dtb)
    pages = np.arange(HIGH >> 12, (HIGH >> 12) + 3, dtype=np.uint64)
    assert space.translate_pages(pages).tolist() == [-6, table, -4]
    assert [space.walk.place(int(page)) for page in pages] == [-6, table, -4]


def test_a_page_that_only_the_vads_know(machine: MachineMaker) -> None:
    for entry in (0xFFFFFFFF00000400, 0xFFFFFFFF00000480):
        assert ask(machine, KERNELS["7 x64"], entry).absence is Absence.UNKNOWN
        assert ask(machine, KERNELS["7 PAE"], entry).absence is Absence.UNKNOWN


def test_prototype_entries_of_xp_need_the_start_of_paged_pool(machine: MachineMaker) -> None:
    without = replace(KERNELS["XP x86"], paged_pool_start=None)
    assert ask(machine, without, 0x12345400).absence is Absence.UNKNOWN


def test_the_address_of_a_subsection_is_an_entry_of_its_own_from_22h2_on(machine: MachineMaker) -> None:
    entry = 0xFFFF8A0012345670 & ~0x400 | 0x800
    found = ask(machine, KERNELS["11 24H2"], entry)
    assert (found.state, found.absence) == (State.SUBSECTION, Absence.PAGED_OUT)
    assert ask(machine, KERNELS["2022"], entry).state is State.TRANSITION


def test_what_the_mask_changes() -> None:
    known = SoftwareEntries(parameters_for(19041, "x64", None, invalid_pte_mask=MASK))
    unknown = SoftwareEntries(parameters_for(19041, "x64", None))
    none = SoftwareEntries(parameters_for(19041, "x64", None, invalid_pte_mask=0))
    entry = 0x2345 << 32 | 1 << 12 | 0x80  # bit 45 is bit 13 of the offset
    assert [part.one(entry).page_file_offset for part in (known, unknown, none)] == [0x345, 0x345, 0x2345]
    assert [part.one(entry).guessed for part in (known, unknown, none)] == [False, True, False]
    assert unknown.one(entry | SWIZZLE).page_file_offset == 0x2345
    assert not unknown.one(entry | SWIZZLE).guessed
    # A serviced kernel of an older build swizzles too: bit 45 is no part of a page number
    older = SoftwareEntries(parameters_for(14393, "x64", None))
    assert older.one(MASK | 0x4321 << 12 | 0x880).place == 0x4321
    assert older.many(np.array([MASK | 0x4321 << 12 | 0x880], np.uint64))[0].tolist() == [0x4321]
    # ... and its page file numbers may lie elsewhere
    assert older.one(0x5 << 32 | 0x82).guessed


def test_arm64_keeps_the_page_file_number_elsewhere() -> None:
    # _MMPTE_SOFTWARE of the ARM64 kernel: Protection bits 1-5, PageFileLow bits 6-9
    found = SoftwareEntries(KERNELS["11 ARM64"]).one(0x77 << 32 | 0x3 << 6 | 0x4 << 1)
    assert (found.page_file_number, found.page_file_offset) == (3, 0x77)


@EVERY
@given(
    st.lists(
        st.one_of(st.integers(0, (1 << 64) - 1), st.sampled_from([0xFFFFFFFF00000400, 0xFFFF8A0012345C00])),
        min_size=1,
        max_size=20,
    ),
    st.booleans(),
    st.booleans(),
)
def test_one_entry_says_what_many_say(name: str, entries: list[int], target: bool, unknown: bool) -> None:
    parameters = KERNELS[name]
    if unknown:
        parameters = replace(parameters, invalid_pte_mask=None)
    software = SoftwareEntries(parameters)
    kept = [entry & (1 << 8 * parameters.mode.entry_size) - 1 & ~1 for entry in entries]
    places, at, addresses = software.many(np.array(kept, np.uint64), target=target)
    one = [software.one(entry, target=target) for entry in kept]
    assert places.tolist() == [found.place for found in one]
    assert dict(zip(at.tolist(), addresses.tolist(), strict=True)) == {
        i: found.prototype for i, found in enumerate(one) if found.prototype is not None
    }


@given(st.integers(0, (1 << 64) - 1), st.integers(0, 63), st.integers(1, 63))
def test_bits_of_one_are_bits_of_many(value: int, first: int, count: int) -> None:
    bits = Bits(first, min(count, 64 - first))
    assert bits.of_all(np.array([value], np.uint64)).tolist() == [bits.of(value)]
