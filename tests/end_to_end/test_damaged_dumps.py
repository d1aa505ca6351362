"""Damaged and hostile dumps end in a result or one sentence, soon and in little memory.

Every dump here is one of the lab with something written into it that no machine has. What the fuzzers found
(docs/fuzzing.md) stands here under its own name.
"""

import io
import struct
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from poolsleuth.evidence.dump import session_facts
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.evidence.dump.reader import read_dump
from poolsleuth.kernel import sessions
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.linked_lists import ListWalk, walk_list
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.lab.structures import layout_of
from poolsleuth.model.document import to_json
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Problem
from poolsleuth.model.modules import ModuleList
from poolsleuth.model.system import ProcessList, TargetInfo
from poolsleuth.pipeline import diagnose

PAGE = 4096
MAX_SECONDS = 12.0  # of processor time: the slowest of these takes 3 on a slow machine, most a tenth
MAX_GROWTH = 512 << 20  # bytes of memory
OFFLINE = DumpOptions(offline=True)
KERNELS = ("2600-x86", "7601-x86-pae", "7601-x64")
LOOP = 0x63  # present, writable, accessed, dirty
FREE = 0xFFFFFA80_10000000  # nothing of the small x64 machine lies there
LISTS = ("PsLoadedModuleList", "PsActiveProcessHead", "ExpSystemResourcesList")


def peak() -> int:
    """The most memory that this process ever had, in bytes; 0 where the system does not tell."""
    try:
        import resource  # noqa: PLC0415
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


class Read(NamedTuple):
    """What was read. ``refused`` is the sentence of an InputError; then there are no facts."""

    facts: list[Fact]
    says: list[str]
    refused: str | None = None

    def only(self, kind: type[Fact]) -> list[Fact]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


def read(data: bytes) -> Read:
    """Read a dump, and check what holds of every dump however it is damaged."""
    problems: list[Problem] = []
    began, before = time.process_time(), peak()
    facts: list[Fact] = []
    refused = None
    try:
        facts = read_dump(io.BytesIO(data), 0, problems, OFFLINE)
    except InputError as error:
        refused = str(error)
    assert time.process_time() - began < MAX_SECONDS
    assert peak() - before < MAX_GROWTH
    says = [problem.says for problem in problems]
    assert [one for one in says if "internal error" in one] == []
    assert all(one and "\n" not in one for one in (*says, refused or "-"))
    assert refused is not None or any(isinstance(fact, TargetInfo) for fact in facts)
    return Read(facts, says, refused)


def machine(name: str = "7601-x64", story: str = "session-full") -> SimulatedMachine:
    """A machine of its own for each test: they write into it."""
    return simulate(make_machine(windows_named(name), story, size=small_size()))


@pytest.fixture
def dump(tmp_path: Path) -> Callable[..., bytes]:
    def write(simulated: SimulatedMachine, kind: DumpKind = DumpKind.BITMAP_KERNEL) -> bytes:
        path = tmp_path / "MEMORY.DMP"
        simulated.write(path, kind)
        data = path.read_bytes()
        path.unlink()
        return data

    return write


Dump = Callable[..., bytes]


def put(simulated: SimulatedMachine, address: int, *values: int, width: int | None = None) -> None:
    """Write numbers into the system's memory."""
    width = width or simulated.truth.windows.pointer
    data = b"".join((value & (1 << 8 * width) - 1).to_bytes(width, "little") for value in values)
    simulated.system.write(address, data)


def number(simulated: SimulatedMachine, address: int) -> int:
    return int.from_bytes(simulated.system.read(address, simulated.truth.windows.pointer), "little")


def page_tables(simulated: SimulatedMachine) -> list[list[tuple[int, int, int]]]:
    """By level, the root first: physical address, number of entries and bytes of an entry of each table."""
    mode = simulated.truth.windows.mode
    each = 4 if mode == "x86" else 8
    levels, first = {"x86": (2, 1024), "pae": (3, 4), "x64": (4, 512)}[mode]
    found: list[list[tuple[int, int, int]]] = [[(simulated.header.directory_table_base & ~0x1F, first, each)]]
    seen = {found[0][0][0]}
    for _ in range(levels - 1):
        below = []
        for address, count, _ in found[-1]:
            for at in range(address, address + count * each, each):
                entry = int.from_bytes(simulated.physical.read(at, each), "little")
                table = entry & 0xFFFFF_FFFFF000
                if entry & 1 and not entry & 0x80 and table not in seen:
                    seen.add(table)
                    below.append((table, PAGE // each, each))
        found.append(below)
    return found


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
@pytest.mark.parametrize("name", KERNELS)
def test_page_tables_that_point_at_themselves(name: str, depth: int, dump: Dump) -> None:
    simulated = machine(name, "leak")
    levels = page_tables(simulated)
    if depth >= len(levels):
        pytest.skip("these page tables have fewer levels")
    for address, count, each in levels[depth]:
        entry = (address & -PAGE | LOOP).to_bytes(each, "little")
        simulated.physical.write(address, entry * count)
    found = read(dump(simulated))
    assert found.says


@pytest.mark.parametrize("name", KERNELS)
def test_page_tables_that_are_all_the_root(name: str, dump: Dump) -> None:
    """Every entry of every level: all of memory is then the root table."""
    simulated = machine(name, "leak")
    root = simulated.header.directory_table_base & -PAGE
    for level in page_tables(simulated):
        for address, count, each in level:
            simulated.physical.write(address, (root | LOOP).to_bytes(each, "little") * count)
    assert read(dump(simulated)).says


def self_mapped_64(words: NDArray[np.uint64], frames: NDArray[np.uint64]) -> None:
    words[:] = (frames << np.uint64(12) | np.uint64(LOOP))[:, None]


def self_mapped_32(words: NDArray[np.uint64], frames: NDArray[np.uint64]) -> None:
    words.view("<u4")[:] = (frames.astype(np.uint32) << np.uint32(12) | np.uint32(LOOP))[:, None]


def page_directories(words: NDArray[np.uint64], frames: NDArray[np.uint64]) -> None:
    """The fourth of four page directories: what points at them is searched for in low memory."""
    words[:, :3] = 0x1001
    words[:, 3] = frames << np.uint64(12) | np.uint64(1)


@pytest.mark.parametrize("fill", [self_mapped_64, self_mapped_32, page_directories])
def test_image_of_which_every_page_is_a_table_of_itself(
    fill: Callable[[NDArray[np.uint64], NDArray[np.uint64]], None],
) -> None:
    """Found by reading, each took minutes: every page is a candidate, and below each all of memory is mapped."""
    words = np.zeros((4096, 512), np.uint64)
    fill(words, np.arange(4096, dtype=np.uint64))
    found = read(words.tobytes())
    assert found.refused is not None
    assert found.refused.startswith("no Windows kernel was found in it")


def test_image_without_the_first_page_of_its_kernel(dump: Dump) -> None:
    """Found by the guided fuzzer (2.5 s): every page below every candidate was gathered by itself."""
    simulated = machine("6002-x86-pae", "leak")
    base = simulated.truth.modules[0].base
    assert base is not None
    simulated.system.write(base, bytes(PAGE))
    found = read(dump(simulated, DumpKind.LIME))
    assert found.refused is not None
    assert found.refused.startswith("no Windows kernel was found in it")


@pytest.mark.parametrize("damage", ["empty", "head", "itself", "back", "zero", "odd"])
@pytest.mark.parametrize("variable", LISTS)
@pytest.mark.parametrize("name", KERNELS)
def test_lists_that_loop(name: str, variable: str, damage: str, dump: Dump) -> None:
    simulated = machine(name, "leak")
    width = simulated.truth.windows.pointer
    head = simulated.truth.places[variable]
    first = number(simulated, head)
    third = number(simulated, number(simulated, first))
    if damage == "empty":
        put(simulated, head, head, head)
    elif damage == "head":  # the head is no head: the list does not lead to it
        put(simulated, head, third, first)
    elif damage == "itself":
        put(simulated, third, third, third)
    elif damage == "back":  # a loop in both directions
        put(simulated, third, first)
        put(simulated, first + width, third)
    elif damage == "zero":
        put(simulated, third, 0, 0)
    else:
        put(simulated, third, third + 1, first - 1)
    found = read(dump(simulated))
    if name == "7601-x64" and variable != "ExpSystemResourcesList" and damage not in ("empty", "head"):
        kind = ModuleList if variable == "PsLoadedModuleList" else ProcessList
        assert len(found.only(kind)) == 1  # what is left of the list is still told
        assert any("the list" in one for one in found.says)


def give_sessions(simulated: SimulatedMachine, count: int) -> None:
    """So many processes, each with a session of its own, and all of them in one list of a session's processes."""
    layout = layout_of(simulated.truth.windows)
    link, space, ring, base = (
        place.offset
        for path in ("ActiveProcessLinks", "Session", "SessionProcessLinks", "Pcb.DirectoryTableBase")
        if (place := layout.place("_EPROCESS", path)) is not None
    )
    step, spaces, head = 0x400, FREE + 0x1000000, simulated.truth.places["PsActiveProcessHead"]
    entries = [FREE + step * (i + 1) for i in range(count)]
    for i, entry in enumerate(entries):
        process, before, behind = entry - link, entries[i - 1], entries[(i + 1) % count]
        put(simulated, entry, behind if i + 1 < count else head, before if i else head)
        put(simulated, process + space, spaces + 16 * i)
        put(simulated, process + ring, behind - link + ring, before - link + ring)
        put(simulated, process + base, simulated.header.directory_table_base)
        put(simulated, spaces + 16 * i, 0, i)
    put(simulated, head, entries[0], entries[-1])


def test_session_list_that_every_process_is_in(dump: Dump, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by reading: the list of n processes of n sessions was walked n times, for 16,000 half an hour."""
    monkeypatch.setattr(sessions, "MAX_MEMBERS", 1000)
    simulated, count = machine(), 60
    give_sessions(simulated, count)
    walked = 0

    def counted(memory: Reader, start: int, limit: int) -> ListWalk:
        nonlocal walked
        found = walk_list(memory, start, limit)
        walked += len(found.entries)
        return found

    monkeypatch.setattr(sessions, "walk_list", counted)
    read(dump(simulated))
    # Sessions are read once, and the numbers of the processes' ones for each who reads processes
    assert 2000 < walked <= 3 * (1000 + count)


def test_tag_tables_of_sessions_that_cannot_be_read(dump: Dump, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by reading: 17 ms for each of up to 4,096 sessions, for only rows that were read counted."""
    monkeypatch.setattr(session_facts, "MAX_ROWS_READ", 1 << 20)
    simulated = machine()
    give_sessions(simulated, 9)
    put(simulated, simulated.truth.places["ExpSessionPoolTrackTableSize"], 1 << 18)
    assert "sessions: the tags of the first 4 of 9 sessions are listed" in read(dump(simulated)).says


COUNTS = [
    ("PoolTrackTableSize", 8, (1 << 32, (1 << 18) + 1, 1 << 18, 0)),
    ("PoolTrackTable", 8, (1, 0xFFFFFFFF_FFFFFFF8, 0xFFFFF780_00000000)),
    ("PoolTrackTableExpansionSize", 8, (1 << 32, 1 << 18)),
    ("PoolTrackTableMask", 8, (1 << 32,)),
    ("PoolBigPageTableSize", 8, (1 << 32, 1 << 63, 1 << 24)),
    ("PoolBigPageTable", 8, (0xFFFFFFFF_FFFFF000, 1)),
    ("ExpSessionPoolTrackTableSize", 8, (1 << 32, 1 << 18)),
    ("KeNumberProcessors", 4, ((1 << 32) - 1,)),
    ("MmNumberOfPagingFiles", 4, ((1 << 32) - 1, 16)),
    ("MmLastUnloadedDriver", 4, ((1 << 32) - 1,)),
    ("MmUnloadedDrivers", 8, (0xFFFFFFFF_FFFFFFF8,)),
    ("ExpNumberOfPagedPools", 4, ((1 << 32) - 1,)),
    ("PsActiveProcessHead", 8, ((1 << 64) - 8,)),
]


@pytest.mark.parametrize(
    ("variable", "width", "value"), [(name, width, value) for name, width, values in COUNTS for value in values]
)
def test_counts_and_addresses_that_no_kernel_has(variable: str, width: int, value: int, dump: Dump) -> None:
    simulated = machine()
    put(simulated, simulated.truth.places[variable], value, width=width)
    found = read(dump(simulated))
    if variable in ("PoolTrackTableSize", "PoolBigPageTableSize") and value >= 1 << 32:
        assert any(f"is said to have {value:,} rows, more than any Windows has" in one for one in found.says)


@pytest.mark.parametrize("size", [0, 0x20, 0xFFF, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("name", ["2600-x86", "7601-x64"])
def test_debugger_data_of_any_size(name: str, size: int, dump: Dump) -> None:
    simulated = machine(name, "leak")
    put(simulated, simulated.truth.places["KdDebuggerDataBlock"] + 0x14, size, width=4)
    assert read(dump(simulated)).refused is None


@pytest.mark.parametrize("name", ["2600-x86", "22000-x64"])
def test_names_of_65535_bytes(name: str, dump: Dump) -> None:
    simulated = machine(name, "leak")
    entry = simulated.truth.places["PsLoadedModuleList"]
    offset = {4: 0x24, 8: 0x48}[simulated.truth.windows.pointer]
    for length in (0xFFFF, 0xFFFE):
        entry = number(simulated, entry)
        put(simulated, entry + offset, length, length, width=2)
        put(simulated, entry + offset + 2 * simulated.truth.windows.pointer, length, length, width=2)
    (modules,) = read(dump(simulated)).only(ModuleList)
    assert isinstance(modules, ModuleList)
    assert len(modules.modules) > 5


def patched(data: bytes, *patches: tuple[int, str, int]) -> bytes:
    changed = bytearray(data)
    for at, form, value in patches:
        struct.pack_into("<" + form, changed, at, value)
    return bytes(changed)


@cache
def whole_dump(name: str, kind: DumpKind) -> bytes:
    """A dump of which each test changes a copy."""
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "MEMORY.DMP"
        machine(name, "leak").write(path, kind)
        return path.read_bytes()


BITS = 0x7FFF_FFFF
HEADERS: dict[str, tuple[str, DumpKind, tuple[tuple[int, str, int], ...]]] = {
    "bitmap of 2^31 bits": ("2600-x86", DumpKind.BITMAP_KERNEL, ((0x1030, "Q", BITS), (0x1020, "Q", 0x20000000))),
    "bitmap of 2^64 bits": ("2600-x86", DumpKind.BITMAP_KERNEL, ((0x1030, "Q", (1 << 64) - 1),)),
    "summary of 2^31 bits": ("7601-x64", DumpKind.SUMMARY, ((0x2010, "I", BITS), (0x200C, "I", 0x20000000))),
    "summary of 2^32 pages": ("7601-x64", DumpKind.SUMMARY, ((0x2014, "I", (1 << 32) - 1),)),
    "first page behind everything": ("7601-x64", DumpKind.BITMAP_KERNEL, ((0x2020, "Q", 1 << 47),)),
    "2^32 runs": ("2600-x86", DumpKind.COMPLETE, ((0x64, "I", (1 << 32) - 1),)),
    "runs that overlap": ("2600-x86", DumpKind.COMPLETE, ((0x74, "I", 2), (0x78, "I", 0x3000))),
    "a run of 2^32 pages": ("2600-x86", DumpKind.COMPLETE, ((0x70, "I", (1 << 32) - 1),)),
    "2^32 processors, 32 bits": ("2600-x86", DumpKind.BITMAP_KERNEL, ((0x24, "I", (1 << 32) - 1),)),
    "2^32 processors, 64 bits": ("7601-x64", DumpKind.BITMAP_KERNEL, ((0x34, "I", (1 << 32) - 1),)),
    "root table beyond memory": ("7601-x64", DumpKind.BITMAP_KERNEL, ((0x10, "Q", (1 << 64) - 1),)),
    "module list at the last address": ("7601-x64", DumpKind.BITMAP_KERNEL, ((0x20, "Q", (1 << 64) - 8),)),
    "ranges of a debugger, 2^64 pages": ("7601-x64", DumpKind.DEBUGGER_KERNEL, ((0x2038, "Q", (1 << 64) - 1),)),
    "ranges of a debugger, far away": ("7601-x64", DumpKind.DEBUGGER_KERNEL, ((0x2018, "Q", (1 << 63) + 1),)),
    "segments of a core, 2^16": ("7601-x64", DumpKind.ELF_CORE, ((0x38, "H", 0xFFFF),)),
    "segments of a core, far away": ("7601-x64", DumpKind.ELF_CORE, ((0x20, "Q", (1 << 64) - 1),)),
    "range of LiME up to 2^64": ("2600-x86", DumpKind.LIME, ((0x10, "Q", (1 << 64) - 1),)),
}


@pytest.mark.parametrize("what", HEADERS)
def test_headers_that_no_dump_has(what: str) -> None:
    name, kind, patches = HEADERS[what]
    data = whole_dump(name, kind)
    assert all(data[at : at + struct.calcsize(form)] != struct.pack("<" + form, value) for at, form, value in patches)
    read(patched(data, *patches))


@pytest.mark.parametrize("size", [0, 4, 8, 0x1000, 0x1FFF, 0x2000, 0x2038, 0x2100, 0x40000])
@pytest.mark.parametrize("kind", [DumpKind.BITMAP_KERNEL, DumpKind.SUMMARY, DumpKind.DEBUGGER_KERNEL])
def test_truncated(kind: DumpKind, size: int) -> None:
    found = read(whole_dump("7601-x64", kind)[:size])
    assert found.refused is not None or found.says


VALUES = st.sampled_from(
    (0, 1, 2, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, FREE, 0x1063)
) | st.integers(0, (1 << 64) - 1)  # fmt: skip
PLACES = st.integers(0, 0x4000) | st.integers(0, 1 << 23)
KINDS = st.sampled_from(
    [
        (name, kind)
        for name, kind in (
            ("2600-x86", DumpKind.BITMAP_KERNEL),
            ("7601-x86-pae", DumpKind.SUMMARY),
            ("3790-x64", DumpKind.DEBUGGER_KERNEL),
            ("7601-x64", DumpKind.BITMAP_KERNEL),
        )
    ]
)


@settings(max_examples=40, deadline=None)
@given(
    which=KINDS,
    patches=st.lists(st.tuples(PLACES, VALUES), max_size=12),
    end=st.none() | st.integers(0, 1 << 21),
)
def test_any_patches_and_any_end(which: tuple[str, DumpKind], patches: list[tuple[int, int]], end: int | None) -> None:
    data = bytearray(whole_dump(*which))
    for at, value in patches:
        place = at % (len(data) - 8)
        data[place : place + 8] = value.to_bytes(8, "little")
    read(bytes(data[:end]))


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(KERNELS), st.data())
def test_any_words_of_page_tables(name: str, data: st.DataObject) -> None:
    """Words of page tables of every level: pages of other tables, large pages, transition and prototype entries."""
    octets = bytearray(whole_dump(name, DumpKind.BITMAP_KERNEL))
    offsets = table_words(name)
    flags = st.sampled_from((LOOP, 0xE3, 0x800, 0x400, 0xC00, 0x10))
    for _ in range(data.draw(st.integers(1, 6))):
        at, each, _ = data.draw(st.sampled_from(offsets))
        frame = data.draw(st.sampled_from(offsets))[2] | data.draw(st.sampled_from((0, 0, 1 << 31)))
        entry = frame & -PAGE | data.draw(flags)
        octets[at : at + each] = (entry & (1 << 8 * each) - 1).to_bytes(each, "little")
    read(bytes(octets))


@cache
def table_words(name: str) -> list[tuple[int, int, int]]:
    """Of page table entries in use: place in the dump, bytes, physical address of the table."""
    simulated = machine(name, "leak")
    data = whole_dump(name, DumpKind.BITMAP_KERNEL)
    found = []
    for level in page_tables(simulated):
        for address, count, each in level[:40]:
            raw = simulated.physical.read(address, count * each)
            at = data.find(raw, 0x2000)  # the lab writes the same machine twice
            found += [(at + i, each, address) for i in range(0, len(raw), each) if any(raw[i : i + each])][:40]
    return found


def test_the_whole_road(tmp_path: Path) -> None:
    """A damaged dump becomes a report, and the report becomes text."""
    data = whole_dump("7601-x64", DumpKind.BITMAP_KERNEL)
    source = np.random.default_rng(4)
    for number_of_patches in (1, 300, 20_000):
        octets = bytearray(data)
        for at in source.integers(0x2000, len(octets) - 8, number_of_patches).tolist():
            octets[at : at + 8] = source.bytes(8)
        path = tmp_path / f"{number_of_patches}.dmp"
        path.write_bytes(octets)
        report = diagnose(path, dumps=OFFLINE)
        assert report.machines
        assert [one for one in report.problems if "internal error" in one.says] == []
        assert to_json(report)
