"""Reading: any read equals the same read done byte by byte, from whatever pieces the memory lies in."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import MAX_READ, AddressSpace, Reader
from poolsleuth.kernel.crash_dump.content import DumpContent
from poolsleuth.kernel.crash_dump.memory import PhysicalMemory
from poolsleuth.kernel.crash_dump.runs import run_map
from poolsleuth.kernel.paging import space as space_module
from poolsleuth.kernel.paging.parameters import parameters_for
from poolsleuth.kernel.paging.space import MAX_EXTENTS, MAX_GATHER, VirtualMemory, open_address_space

PAGE = 4096
TOP = 0xFFFFF80000000000
MachineMaker = Callable[..., Any]
Fill = Callable[[int], bytes]
X64 = parameters_for(19041, "x64", None, invalid_pte_mask=0)


def opened(made: Any, **how: Any) -> VirtualMemory:
    return open_address_space(made.memory(**how), X64, made.dtb)


@pytest.fixture
def mixed(machine: MachineMaker) -> Any:
    """Pages 0 to 63: most are mapped, in pieces and twice; some are of every kind of absence."""
    made = machine("x64")
    for i in range(64):
        made.map(TOP + i * PAGE, 0x2000 + (i if i < 20 else i * 37 % 50))
    made.put(TOP + 24 * PAGE, 0)
    made.put(TOP + 30 * PAGE, 0x5 << 32 | 0x80)
    made.put(TOP + 36 * PAGE, 0x80)
    made.put(TOP + 42 * PAGE, 0xFFFFFFFF00000400)
    made.map(TOP + 48 * PAGE, 0x3000)
    made.map(TOP + 54 * PAGE, 0x3001)
    return made


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_read_is_the_same_read_done_byte_by_byte(machine: MachineMaker, data: st.DataObject) -> None:
    made = machine("x64")
    for i in range(64):
        kind = data.draw(st.integers(0, 9))
        if kind < 8:
            made.map(TOP + i * PAGE, 0x2000 + data.draw(st.integers(0, 40)))
        elif kind == 8:
            made.put(TOP + i * PAGE, data.draw(st.sampled_from([0, 0x80, 0x500000080])))
    space = opened(made, lost=[0x2003], cut=[0x2007])
    address = TOP - 100 + data.draw(st.integers(0, 64 * PAGE))
    size = data.draw(st.one_of(st.integers(0, 64), st.integers(0, 30 * PAGE)))
    whole = space.read(address, size)
    # One byte per page stands for its page: two of them are read, at its begin and at its end
    spots = sorted({address, address + size - 1, *range((address | 0xFFF) + 1, address + size, PAGE)})
    single = [space.read(spot, 1) for spot in spots] if size else []
    missing = [byte for byte in single if isinstance(byte, Absence)]
    if missing:
        assert whole is missing[0]
    else:
        assert isinstance(whole, bytes)
        assert len(whole) == size
        assert [whole[spot - address : spot - address + 1] for spot in (spots if size else [])] == single
        some = data.draw(st.integers(0, max(size - 1, 0)))
        assert (
            b"".join(bytes(space.read(address + i, 1)) for i in range(some, min(size, some + 300)))
            == (whole[some : some + 300])
        )


def test_reads_of_every_size(mixed: Any, fill: Fill) -> None:
    space = opened(mixed)
    wanted = b"".join(fill(0x2000 + i) for i in range(20))
    for skip, size in ((0, 1), (0xFFF, 2), (5, 0), (0, PAGE), (100, 3 * PAGE), (0xFFF, 17 * PAGE), (1, 19 * PAGE)):
        assert space.read(TOP + skip, size) == wanted[skip : skip + size]


@pytest.mark.parametrize(
    ("page", "absence"),
    [
        (24, Absence.NOT_MAPPED),
        (30, Absence.PAGED_OUT),
        (36, Absence.DEMAND_ZERO),
        (42, Absence.UNKNOWN),
        (48, Absence.NOT_IN_DUMP),
        (54, Absence.CUT_OFF),
    ],
)
def test_the_first_missing_page_gives_the_reason(mixed: Any, page: int, absence: Absence) -> None:
    space = opened(mixed, lost=[0x3000], cut=[0x3001])
    at = TOP + page * PAGE
    assert space.read(at, 1) is absence
    assert space.read(at - 2, 4) is absence
    assert space.read(at - 2 * PAGE, 8 * PAGE) is absence
    assert space.read(at, 40 * PAGE) is absence
    data, places = space.gather(np.array([(at >> 12) - 1, at >> 12], np.uint64))
    assert places[0] >= 0
    assert places[1] == absence
    assert data[0].any()
    assert not data[1].any()
    assert space.extents(at - 1, 2) is absence
    assert space.view(at, 8) is None


def test_it_is_an_address_space_for_readers(mixed: Any, fill: Fill) -> None:
    space: AddressSpace = opened(mixed)
    reader = Reader(space)
    assert reader.pointer_size == 8
    assert reader.pointer(TOP + 8) == int.from_bytes(fill(0x2000)[8:16], "little")
    (part,) = reader.table(TOP, np.dtype([("a", "<u8"), ("b", "<u4")]), 2000)
    assert part.rows.tobytes() == b"".join(fill(0x2000 + i) for i in range(6))[:24000]
    assert part.whole.all()


def test_reads_at_the_ends_of_the_address_space(machine: MachineMaker, fill: Fill) -> None:
    made = machine("x64")
    made.map((1 << 64) - PAGE, 0x555)
    made.map(0, 0x556)
    made.map((1 << 47) - PAGE, 0x557)
    space = opened(made)
    assert space.read((1 << 64) - 8, 8) == fill(0x555)[-8:]
    assert space.read((1 << 64) - 8, 9) is Absence.NOT_MAPPED
    assert space.read((1 << 64) - 8, 100 * PAGE) is Absence.NOT_MAPPED
    assert space.read((1 << 47) - 8, 100 * PAGE) is Absence.NOT_MAPPED
    assert space.read(-8, 100 * PAGE) is Absence.NOT_MAPPED
    assert space.read(0, 8) == fill(0x556)[:8]
    assert space.extents((1 << 64) - 8, 9) is Absence.NOT_MAPPED
    thin = machine("x86")
    thin.map(0xFFFFF000, 0x555)
    small = open_address_space(thin.memory(), parameters_for(2600, "x86", False), thin.dtb)
    assert small.pointer_size == 4
    assert small.read(0xFFFFFFFC, 4) == fill(0x555)[-4:]
    assert small.read(0xFFFFFFFC, 5) is Absence.NOT_MAPPED
    assert small.read(0xFFFFFFFC, 100 * PAGE) is Absence.NOT_MAPPED


def test_sizes_out_of_bounds_are_refused(mixed: Any) -> None:
    space = opened(mixed)
    for size in (-1, MAX_READ + 1):
        with pytest.raises(ValueError, match="at most"):
            space.read(TOP, size)
    with pytest.raises(ValueError, match="at most"):
        space.gather(np.zeros(MAX_GATHER // PAGE + 1, np.uint64))
    for size in (0, MAX_EXTENTS + 1):
        with pytest.raises(ValueError, match="extents"):
            space.extents(TOP, size)


def test_extents_and_views(machine: MachineMaker, fill: Fill) -> None:
    made = machine("x64")
    for i, number in enumerate([0x2000, 0x2001, 0x2002, 0x2010, 0x2003, 0x2004]):
        made.map(TOP + i * PAGE, number)
    numbers = sorted(made.pages)
    space = opened(made)
    at = PAGE + numbers.index(0x2000) * PAGE
    found = space.extents(TOP + 0x10, 5 * PAGE)
    assert not isinstance(found, Absence)
    far = PAGE + numbers.index(0x2010) * PAGE
    assert found[0].tolist() == [at + 0x10, far, at + 3 * PAGE]
    assert found[1].tolist() == [3 * PAGE - 0x10, PAGE, PAGE + 0x10]
    assert space.view(TOP + 0x10, 5 * PAGE) is None
    view = space.view(TOP + 0x10, 2 * PAGE)
    assert view is not None
    assert view.base is not None
    assert view.tobytes() == (fill(0x2000) + fill(0x2001) + fill(0x2002))[0x10 : 0x10 + 2 * PAGE]
    short = space.extents(TOP + 8, 4)
    assert not isinstance(short, Absence)
    assert [part.tolist() for part in short] == [[at + 8], [4]]


class Scattered:
    """A page map of an image: pages lie anywhere in the file, in any order."""

    first = 0

    def __init__(self, places: dict[int, int]) -> None:
        self.pages = len(places)
        self._places = places

    def places(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.array([self._places.get(number, -1) for number in numbers.tolist()], np.int64)

    def place(self, number: int) -> int:
        return self._places.get(number, -1)


def test_pages_that_lie_anywhere_in_the_file(machine: MachineMaker, fill: Fill) -> None:
    made = machine("x64")
    for i in range(30):
        made.map(TOP + i * PAGE, 0x2000 + i)
    content, places = bytearray(b"head"), {}
    for i, (number, page) in enumerate(reversed(made.pages.items())):
        content += bytes(i % 3 * 7)
        places[number] = len(content)
        content += page
    space = open_address_space(PhysicalMemory(DumpContent(bytes(content)), Scattered(places)), X64, made.dtb)
    wanted = b"".join(fill(0x2000 + i) for i in range(30))
    for skip, size in ((0, PAGE), (100, 5 * PAGE), (0xFF8, 29 * PAGE), (29 * PAGE + 5, 9)):
        assert space.read(TOP + skip, size) == wanted[skip : skip + size]
    for i in range(30):
        view = space.view(TOP + i * PAGE + 5, PAGE - 5)
        assert view is not None
        assert view.tobytes() == wanted[i * PAGE + 5 : (i + 1) * PAGE]
    found = space.extents(TOP, 30 * PAGE)
    assert not isinstance(found, Absence)
    pieces = [bytes(content[at : at + size]) for at, size in zip(found[0].tolist(), found[1].tolist(), strict=True)]
    assert b"".join(pieces) == wanted


def test_small_reads_keep_a_bounded_number_of_pages(mixed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space_module, "MAX_PAGES_KEPT", 4)
    space = opened(mixed)
    first = [space.read(TOP + i * PAGE, 8) for i in range(64)]
    assert len(space._recent) == 4
    assert [space.read(TOP + i * PAGE, 8) for i in range(64)] == first


def test_an_empty_memory_says_that_nothing_is_in_the_dump() -> None:
    empty = PhysicalMemory(DumpContent(b""), run_map(0, np.empty(0, np.int64), np.empty(0, np.int64)))
    space = open_address_space(empty, X64, 0x1AD000)
    assert space.read(TOP, 8) is Absence.NOT_IN_DUMP
    assert space.translate_pages(np.array([TOP >> 12], np.uint64)).tolist() == [-1]
    (part,) = space.mapped_ranges(TOP, TOP + (1 << 30) - 1)
    assert (part.pages.tolist(), part.frames.tolist(), part.counts.tolist()) == ([TOP >> 12], [-1], [1 << 18])


def test_processes_share_what_was_read_of_page_tables(machine: MachineMaker) -> None:
    made = machine("x64")
    made.map(TOP, 0x2000)
    space = opened(made)
    twin, stranger = space.of_process(made.dtb | 0x2), space.of_process(0x7FFF000)
    assert twin.walk.cache is stranger.walk.cache is space.walk.cache
    assert not isinstance(space.read(TOP, 8), Absence)
    assert twin.read(TOP, 8) == space.read(TOP, 8)
    # Its own root decides, whatever the others have read
    assert stranger.read(TOP, 8) is Absence.NOT_IN_DUMP
