"""What the lab maps is found by our own reader, which shares no code with it."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.crash_dump.content import DumpContent
from poolsleuth.kernel.crash_dump.memory import PhysicalMemory
from poolsleuth.kernel.crash_dump.runs import run_map
from poolsleuth.kernel.paging.parameters import parameters_for
from poolsleuth.kernel.paging.space import VirtualMemory, open_address_space
from poolsleuth.lab.page_table_entries import Mode, State
from poolsleuth.lab.page_tables import AddressSpaceWriter, PrototypeState
from poolsleuth.lab.physical import PAGE, PhysicalImage

MASK = 1 << 45
# Mode, build, mask of invalid entries, where the kernel's half is used
Kind = tuple[Mode, int, int, int]
KINDS: list[Kind] = [
    ("x86", 2600, 0, 0x81000000),
    ("x86", 7601, 0, 0x81000000),
    ("pae", 3790, 0, 0x81000000),
    ("pae", 19041, MASK, 0x81000000),
    ("x64", 3790, 0, 0xFFFFFA8000000000),
    ("x64", 17134, 0, 0xFFFFF80000000000),
    ("x64", 19041, MASK, 0xFFFFF80000000000),
    ("x64", 22000, 0, 0xFFFFF80000000000),
    ("la57", 22000, MASK, 0xFFFFF80000000000),
    ("arm64", 22000, 0, 0xFFFFF80000000000),
]
EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0]}-{kind[1]}")
PROTOTYPES = 0x600000  # where prototype entries lie, from the start of the kernel's half


def new_space(kind: Kind) -> AddressSpaceWriter:
    mode, build, mask, base = kind
    physical = PhysicalImage(1 << 16, seed=build)
    return AddressSpaceWriter(physical, mode, build, invalid_pte_mask=mask, paged_pool_base=base)


def reader_of(space: AddressSpaceWriter) -> VirtualMemory:
    runs = space.physical.in_use()
    raw = b"".join(space.physical.read(base * PAGE, count * PAGE) for base, count in runs)
    bases, counts = np.array(runs, np.int64).T
    memory = PhysicalMemory(DumpContent(raw), run_map(0, bases, counts))
    architecture = {"la57": "x64", "pae": "x86"}.get(space.mode, space.mode)
    parameters = parameters_for(
        space.build,
        architecture,
        space.mode == "pae",
        la57=space.mode == "la57",
        invalid_pte_mask=space.layout.invalid_pte_mask,
        paged_pool_start=space.layout.paged_pool_base,
    )
    return open_address_space(memory, parameters, space.dtb)


STATES: tuple[State, ...] = ("valid", "transition", "prototype", "paged-out", "demand-zero")
PROTOTYPE_STATES: tuple[PrototypeState, ...] = ("valid", "transition", "paged-out", "demand-zero", "file")
ABSENT = {"paged-out": Absence.PAGED_OUT, "demand-zero": Absence.DEMAND_ZERO, "file": Absence.PAGED_OUT}


@st.composite
def maps(draw: st.DrawFn) -> list[tuple[int, int, State, PrototypeState | None]]:
    """Page from the base, pages, state, and state of the prototype entries."""
    found: list[tuple[int, int, State, PrototypeState | None]] = []
    for _ in range(draw(st.integers(1, 6))):
        state = draw(st.sampled_from(STATES))
        shown = draw(st.sampled_from(PROTOTYPE_STATES))
        where = draw(st.sampled_from([0, 3, 500, 510, 1020]))
        found.append((where, draw(st.integers(1, 6)), state, shown if state == "prototype" else None))
    return found


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(KINDS), wanted=maps(), data=st.binary(min_size=1, max_size=40))
def test_any_map_is_read_back(
    kind: Kind, wanted: list[tuple[int, int, State, PrototypeState | None]], data: bytes
) -> None:
    space, base = new_space(kind), kind[3]
    truth: dict[int, Absence | None] = {}
    for i, (first, count, state, shown) in enumerate(wanted):
        at = base + PROTOTYPES + i * 64
        space.map(base + first * PAGE, count, state=state, prototype_at=at, prototype_state=shown, page_file=(3, 77))
        for page in range(first, first + count):
            truth[page] = ABSENT.get(shown or state)
    for page, absence in truth.items():
        address = base + page * PAGE
        if absence is None:
            space.write(address + page % 64, data)
        else:
            with pytest.raises(ValueError, match="no memory"):
                space.write(address, data)
    read = reader_of(space)
    for page in range(1100):
        found = read.read(base + page * PAGE, PAGE)
        absence = truth.get(page, Absence.NOT_MAPPED)
        if absence is None:
            assert found == (bytes(page % 64) + data).ljust(PAGE, b"\0") == space.read(base + page * PAGE, PAGE)
        else:
            assert found == absence
    numbers = np.arange(base // PAGE, base // PAGE + 1100, dtype=np.uint64)
    rows, places = read.gather(numbers)
    for page, absence in truth.items():
        assert absence is None or places[page] == absence
        assert absence is not None or rows[page].tobytes() == space.read(base + page * PAGE, PAGE)


@EACH_KIND
def test_processes_share_the_kernels_half_and_nothing_else(kind: Kind) -> None:
    system, base = new_space(kind), kind[3]
    system.write(base + 5, b"before")
    first = system.share_kernel_half()
    second = first.share_kernel_half()
    same_session = system.share_kernel_half(session_of=first)
    session = system.session[0]
    later = base + 0x10000000  # another table of the shared level
    second.write(later, b"later")
    system.map(base + 0x8000000, system.large_page, large=True)
    system.write(base + 0x8000123, b"large")
    first.write(0x10000, b"user of first")
    second.write(0x10000, b"user of second")
    first.write(session + 8, b"session of first")
    second.write(session + 8, b"session of second")
    for space in (system, first, second, same_session):
        read = reader_of(space)
        assert read.read(base + 5, 6) == b"before"
        assert read.read(later, 5) == b"later"
        assert read.read(base + 0x8000123, 5) == b"large"
    views = [reader_of(space) for space in (system, first, second, same_session)]
    missing = Absence.NOT_MAPPED
    assert [view.read(0x10000, 13) for view in views] == [missing, b"user of first", b"user of second"[:13], missing]
    sessions = [missing, b"session of first", b"session of second"[:16], b"session of first"]
    assert [view.read(session + 8, 16) for view in views] == sessions
    assert len({space.dtb for space in (system, first, second, same_session)}) == 4
    # Processes that start later find what is there, and the session only where it is theirs
    third, fourth = first.share_kernel_half(), system.share_kernel_half(session_of=second)
    assert reader_of(third).read(later, 5) == b"later"
    assert reader_of(third).read(session + 8, 16) == missing
    assert reader_of(fourth).read(session + 8, 16) == b"session of second"[:16]
    system.unmap(base + 0x8000000)
    assert first.state(base + 0x8000000) is None
    assert reader_of(first).read(base + 0x8000123, 5) == missing


@EACH_KIND
def test_large_pages(kind: Kind) -> None:
    space, base = new_space(kind), kind[3]
    count = space.large_page
    at = base + 0x4000000
    space.map(at, 2 * count, large=True)
    space.write(at + count * PAGE - 3, b"across")
    read = reader_of(space)
    assert read.read(at + count * PAGE - 3, 6) == b"across"
    assert read.read(at + 2 * count * PAGE - 1, 1) == b"\0"
    assert read.read(at + 2 * count * PAGE, 1) == Absence.NOT_MAPPED
    with pytest.raises(ValueError, match="unmap it first"):
        space.map(at)
    space.unmap(at)
    assert reader_of(space).read(at, 1) == Absence.NOT_MAPPED
    assert space.read(at + count * PAGE, 1) == b"o"


@pytest.mark.parametrize("mode", ["x64", "la57", "arm64"])
def test_pages_of_1_gb(mode: Mode) -> None:
    space = AddressSpaceWriter(PhysicalImage(1 << 20), mode, 22000)
    at = 0xFFFFF80040000000
    space.map(at, 1 << 18, large="huge", pages=0x40000)
    space.write(at + 0x12345678, b"far away")
    # Only what was written is given to the reader
    number = 0x40000 + 0x12345
    tables = space.table_pages()
    raw = b"".join(space.physical.read(page * PAGE, PAGE) for page in [*tables, number])
    bases = np.array([*tables, number], np.int64)
    memory = PhysicalMemory(DumpContent(raw), run_map(0, bases, np.ones_like(bases)))
    parameters = parameters_for(22000, "arm64" if mode == "arm64" else "x64", None, la57=mode == "la57")
    assert open_address_space(memory, parameters, space.dtb).read(at + 0x12345678, 8) == b"far away"
    with pytest.raises(ValueError, match="1 GB"):
        AddressSpaceWriter(PhysicalImage(1 << 20), "pae", 7601).map(0x80000000, 1 << 18, large="huge")


def entries_of(space: AddressSpaceWriter, virtual: int) -> Iterator[int]:
    """Where Windows finds the entries of an address in its own virtual memory, the last level first."""
    if space.mode in ("x86", "pae"):
        yield 0xC0000000 + (virtual >> 12) * space.layout.size
        return
    top = (1 << 57) - 1 if space.mode == "la57" else (1 << 48) - 1
    start = 0x1ED << (48 if space.mode == "la57" else 39)
    at = virtual
    for _ in range(5 if space.mode == "la57" else 4):
        at = start | (at & top) >> 9 & ~7
        yield at | (1 << 64) - 1 - top


@EACH_KIND
@pytest.mark.parametrize("process", [False, True])
def test_the_tables_show_themselves(kind: Kind, process: bool) -> None:
    space, base = new_space(kind), kind[3]
    if process:
        space = space.share_kernel_half()
    space.write(base + 0x123000, b"x")
    space.write(0x7FF00000, b"x")
    read = reader_of(space)
    for virtual in (base + 0x123000, 0x7FF00000):
        place = space.entry_address(virtual)
        assert place is not None
        first, *upper = entries_of(space, virtual)
        assert read.read(first, space.layout.size) == space.physical.read(place, space.layout.size)
        for at in upper:
            assert not isinstance(read.read(at, 8), Absence)
    with pytest.raises(ValueError, match="show themselves"):
        space.map(next(entries_of(space, base)) // PAGE * PAGE)


def test_two_processes_share_a_page_by_its_prototype_entry() -> None:
    system = new_space(("x64", 7601, 0, 0xFFFFF80000000000))
    first, second = system.share_kernel_half(), system.share_kernel_half()
    at = 0xFFFFF8A000001000
    first.map(0x10000, 3, state="prototype", prototype_at=at, prototype_state="valid")
    second.map(0x50000, 3, state="prototype", prototype_at=at)
    first.write(0x11010, b"both see it")
    assert reader_of(second).read(0x51010, 11) == b"both see it"
    assert second.state(0x51000) == "prototype"


def test_pages_that_are_given_are_used() -> None:
    space = new_space(("x64", 7601, 0, 0xFFFFF80000000000))
    at = 0xFFFFF80000200000
    space.map(at, 3, pages=[0x400, 0x777, 0x401])
    space.map(at + 3 * PAGE, 2, pages=0x600)
    found = [space.translate(at + i * PAGE + 5) for i in range(5)]
    assert found == [page * PAGE + 5 for page in (0x400, 0x777, 0x401, 0x600, 0x601)]
    assert {0x400, 0x777, 0x401, 0x600, 0x601} <= set(space.physical.pages())
    space.unmap(at, 5)
    assert [space.state(at + i * PAGE) for i in range(5)] == [None] * 5


def test_roots_of_pae_processes_lie_32_bytes_apart() -> None:
    system = AddressSpaceWriter(PhysicalImage(1 << 21), "pae", 7601)
    others = [system.share_kernel_half() for _ in range(3)]
    assert [space.dtb - system.dtb for space in others] == [0x20, 0x40, 0x60]
    assert system.dtb % PAGE == 0
    assert system.dtb < 1 << 32


@EACH_KIND
def test_what_no_machine_has_is_refused(kind: Kind) -> None:
    space, base = new_space(kind), kind[3]
    outside = 1 << 32 if space.pointer_size == 4 else 1 << 60
    refused = [
        ((base + 1, 1), {}, "whole pages"),
        ((base, 0), {}, "whole pages"),
        ((outside, 1), {}, "no .* machine has"),
        ((base + PAGE, space.large_page), {"large": True}, "multiples"),
        ((base, space.large_page), {"large": True, "state": "transition"}, "always there"),
        ((base, space.large_page), {"large": True, "pages": 0x401}, "multiples"),
        ((base, space.large_page), {"large": True, "pages": [1, 2]}, "first physical page"),
        ((base, 1), {"state": "prototype"}, "is to be given"),
        ((base, 2), {"pages": [0x400]}, "2 physical pages"),
        ((base, 1), {"pages": 0}, "no memory at page"),
        ((base, 1), {"state": "paged-out", "page_file": (16, 1)}, "page file 0 to 15"),
    ]
    for (virtual, count), options, says in refused:
        with pytest.raises(ValueError, match=says):
            space.map(virtual, count, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not mapped"):
        space.read(base + 0x5000, 1)
    with pytest.raises(ValueError, match="session space"):
        AddressSpaceWriter(space.physical, space.mode, space.build, session=(base + PAGE, base + 2 * PAGE))
