"""Finding the kernel in memory that a test wrote, with symbols and without, and in the real triage dump."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.crash_dump.dump import CrashDump, open_dump
from poolsleuth.kernel.crash_dump.header import DumpHeader
from poolsleuth.kernel.find import find_kernel, kernel_version
from poolsleuth.kernel.find.block_space import BlockSpace
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import KernelTable, PdbId, Structure

Made = Callable[..., Any]
REAL = Path(__file__).parents[4] / "shared" / "data" / "dumps" / "triage_x64.dmp"
PDB = PdbId("ntkrnlmp.pdb", "3844DBB920174967BE7AA4A2C20430FA", 2)
KEY = "3844DBB920174967BE7AA4A2C20430FA2"


def no_tables(_: PdbId) -> tuple[None, tuple[str, ...]]:
    return None, ()


def found(machine: Any, header: DumpHeader | None, **more: Any) -> Kernel:
    kernel = find_kernel(
        machine.reader, header=header, open_process=None, **({"tables": no_tables} | more)
    )  # fmt: skip
    assert kernel is not None
    return kernel


def table_of(machine: Any, *names: str, moved: int = 0) -> KernelTable:
    symbols = {name: machine.at(name) - machine.base + moved for name in names}
    return KernelTable(pdb=PDB, machine="x64", source="bundled table", symbols=symbols, structures={})


def test_without_symbols(machine: Made, header_of: Made) -> None:
    written = machine()
    table = written.write_tag_tables(0x28)
    written.write_big_pages(0x18)
    kernel = found(written, header_of(written))
    assert (kernel.base, kernel.size, kernel.build, kernel.architecture) == (written.base, 0x100000, 7601, "x64")
    assert (kernel.pdb, kernel.pdb and kernel.pdb.key, kernel.processors, kernel.pae) == (PDB, KEY, 4, None)
    assert not kernel.exact
    assert kernel.variable("PoolTrackTable") == table
    assert kernel.variable("PoolTrackTableSize") == 1025
    assert kernel.variable("PoolBigPageTableSize") == 4096
    assert kernel.address("ExPoolTagTables") == written.at("PoolTrackTable") + 24
    tracker = kernel.structure("_POOL_TRACKER_TABLE")
    assert tracker is not None
    assert tracker.size == 0x28
    assert (
        f"no symbols for ntkrnlmp.pdb {KEY}: structures as build 7601 usually has them, checked against the dump: "
        "give symbols with --symbols or `poolsleuth symbols add`"
    ) in kernel.notes
    assert (
        "the tag tables of 4 processors were found by test: they hold the same tags in the same slots" in kernel.notes
    )
    # The first process shows that the layout of this build is true up to the name
    assert kernel.place("_EPROCESS", "ActiveProcessLinks") is not None
    assert kernel.place("_EPROCESS", "Session") is not None
    version = kernel_version(kernel)
    assert (version.build, version.revision, version.service_pack, version.checked_build) == (7601, 17514, 1, False)
    assert version.lab == "7601.17514.amd64fre.win7sp1_rtm.101119-1850"


def test_32_bit(machine: Made, header_of: Made) -> None:
    written = machine(4, lab=b"7601.17514.x86fre.win7sp1_rtm.101119-1850")
    table = written.write_tag_tables(0x1C, size_distance=4, array_distance=-12)
    written.write_big_pages(0x10, distances=(20, 24))
    kernel = found(written, header_of(written))
    assert (kernel.base, kernel.architecture, kernel.pae) == (written.base, "x86", True)
    assert kernel.variable("PoolTrackTable") == table
    assert kernel.variable("PoolTrackTableSize") == 1025
    assert kernel.variable("PoolBigPageTableSize") == 4096
    assert kernel.address("ExPoolTagTables") == written.at("PoolTrackTable") + 12
    assert kernel.place("_EPROCESS", "ImageFileName") is not None


def test_windows_10_without_symbols(machine: Made, header_of: Made) -> None:
    written = machine(build=22000, lab=b"22000.1.amd64fre.co_release.210604-1628")
    written.write_tag_tables(0x50, size_distance=8, array_distance=-104)
    written.write_big_pages(0x20, distances=(-48, -40))
    kernel = found(written, header_of(written))
    tracker, big = kernel.structure("_POOL_TRACKER_TABLE"), kernel.structure("_POOL_TRACKER_BIG_PAGES")
    assert tracker is not None
    assert big is not None
    assert (tracker.size, big.size) == (0x50, 0x20)
    assert kernel.address("ExPoolTagTables") == written.at("PoolTrackTable") + 104
    assert any("memory counters of MiState were not read" in note for note in kernel.notes)
    assert any("Windows 10 2004 (build 19041), the nearest known" in note for note in kernel.notes)
    # The processes are those of 7601: of all known layouts that one passes
    links = kernel.place("_EPROCESS", "ActiveProcessLinks")
    assert links is not None
    assert links.offset == 0x188
    assert kernel.place("_EPROCESS", "Session") is None


def test_the_layout_follows_the_table_not_the_build(machine: Made, header_of: Made) -> None:
    written = machine(build=17763)
    written.write_tag_tables(0x28)
    tracker = found(written, header_of(written)).structure("_POOL_TRACKER_TABLE")
    assert tracker is not None
    assert tracker.size == 0x28


def test_symbols_that_fit(machine: Made, header_of: Made) -> None:
    written = machine()
    table = table_of(written, "PsLoadedModuleList", "PsActiveProcessHead", "PoolTrackTable", "NtBuildLab")
    asked: list[PdbId] = []

    def tables(pdb: PdbId) -> tuple[KernelTable, tuple[str, ...]]:
        asked.append(pdb)
        return table, ("a store was asked in vain",)

    kernel = found(written, header_of(written), tables=tables)
    assert asked == [PDB]
    assert kernel.exact
    assert kernel.table is table
    assert kernel.address("PoolTrackTable") == written.at("PoolTrackTable")
    assert kernel.notes[:2] == ("a store was asked in vain", f"symbols of ntkrnlmp.pdb {KEY} from the bundled table")
    # What symbols never have is still known; what moves is taken from symbols only
    assert kernel.structure("_UNLOADED_DRIVERS") is not None
    assert kernel.structure("_EPROCESS") is None


@pytest.mark.parametrize("change", [{"moved": 0x40}, {"moved": 0x200000}, {"machine": "x86"}])
def test_symbols_that_do_not_fit_are_refused(machine: Made, header_of: Made, change: dict[str, Any]) -> None:
    written = machine()
    table = table_of(written, "PsLoadedModuleList", "PsActiveProcessHead", moved=change.get("moved", 0))
    table = replace(table, machine=change.get("machine", "x64"))
    kernel = found(written, header_of(written), tables=lambda _: (table, ()))
    assert kernel.table is None
    assert any("do not fit the kernel in the dump" in note for note in kernel.notes)


@pytest.mark.parametrize(
    "lost", [(), ("KdDebuggerDataBlock",), ("PsLoadedModuleList",), ("KdDebuggerDataBlock", "PsLoadedModuleList")]
)
def test_wrong_pointers_in_the_header(machine: Made, header_of: Made, lost: tuple[str, ...]) -> None:
    written = machine()
    # The pointers lead to bytes in the image that are no list and no KDBG
    kernel = found(written, header_of(written, **dict.fromkeys(lost, written.base + 589832)))
    assert kernel.base == written.base
    assert kernel.address("PsLoadedModuleList") == written.at("PsLoadedModuleList")
    assert kernel.address("KdDebuggerDataBlock") == written.at("KdDebuggerDataBlock")


def test_kdbg_of_another_base_is_not_believed(machine: Made, header_of: Made) -> None:
    written = machine()
    written.write_kdbg(KernBase=written.base + 0x10000)
    kernel = found(written, header_of(written))
    assert kernel.base == written.base
    assert any("gives another base" in note for note in kernel.notes)


def test_first_page_not_in_the_dump(machine: Made, header_of: Made) -> None:
    written = machine()
    written.memory.lose(written.base)
    kernel = found(written, header_of(written))
    assert (kernel.base, kernel.size, kernel.pdb) == (written.base, 0x100000, None)
    assert any("which symbols belong to the kernel could not be read" in note for note in kernel.notes)


def test_a_base_without_a_header(machine: Made) -> None:
    written = machine()
    kernel = found(written, None, base=written.base)
    assert (kernel.build, kernel.architecture, kernel.processors) == (7601, "x64", 4)
    assert kernel.address("PsActiveProcessHead") == written.at("PsActiveProcessHead")


def test_a_long_lab_that_is_not_there_leaves_the_short_one(machine: Made) -> None:
    """Nothing else tells the build of an image without a header."""
    written = machine()
    table = table_of(written, "PsLoadedModuleList", "PsActiveProcessHead", "NtBuildLab")
    table = replace(table, symbols={**table.symbols, "NtBuildLabEx": 0xA5000})
    kernel = found(written, None, base=written.base, tables=lambda _: (table, ()))
    assert (kernel.build, kernel.table) == (7601, table)


def test_scrambled_kdbg(machine: Made, header_of: Made) -> None:
    written = machine()
    never, always = 0x1122334455667787, 0x99AABBCCDDEEFF00
    written.memory.put(written.at("KiWaitNever"), never, always)
    flag = written.at("KdpDataBlockEncoded")
    mask = (1 << 64) - 1
    plain, out = written.kdbg(), b""
    for at in range(0, len(plain), 8):
        # The way back of the fact sheet's formula: xor, byte order, xor, rotate right, xor
        word = int.from_bytes((int.from_bytes(plain[at : at + 8], "little") ^ always).to_bytes(8, "big"), "little")
        word ^= flag
        turn = never & 0x3F
        out += (((word >> turn | word << (64 - turn)) & mask) ^ never).to_bytes(8, "little")
    written.memory.write(written.at("KdDebuggerDataBlock"), out)
    names = ("PsLoadedModuleList", "KiWaitNever", "KiWaitAlways", "KdpDataBlockEncoded")
    with_keys = found(written, header_of(written), tables=lambda _: (table_of(written, *names), ()))
    assert with_keys.addresses["PoolTrackTable"] == written.at("PoolTrackTable")
    without = found(written, header_of(written))
    assert "PoolTrackTable" not in without.addresses
    assert any("scrambled" in note for note in without.notes)


def test_nothing_to_find(machine: Made, header_of: Made, fake_memory: Made) -> None:
    header = header_of(machine())
    empty = Reader(fake_memory(8))
    assert find_kernel(empty, header=header, open_process=None, tables=no_tables) is None
    assert find_kernel(empty, header=None, open_process=None, tables=no_tables) is None


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_damage_ends_in_a_result(machine: Made, header_of: Made, data: st.DataObject) -> None:
    written = machine(rows=64, tags=tuple(b"T%03d" % i for i in range(20)))
    written.write_tag_tables(0x28)
    written.write_big_pages(0x18, rows=256)
    header = header_of(written)
    inside = [0x0, 0x3C, 0x100, 0x150, 0x2000, 0x2100, 0x91070, 0xA0890, 0xA2590, 0xA4000, 0xB5F50, 0xB5F80]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.sampled_from(inside)) + data.draw(st.integers(0, 0x60))
        written.memory.write(written.base + at, data.draw(st.binary(min_size=1, max_size=24)))
    for number in data.draw(st.lists(st.sampled_from(sorted(written.memory.pages)), max_size=4)):
        written.memory.lose(number * 4096)
    kernel = find_kernel(written.reader, header=header, open_process=None, tables=no_tables)
    if kernel is not None:
        assert kernel.base % 4096 == 0
        kernel_version(kernel)


@pytest.fixture(scope="module")
def real() -> Iterator[tuple[CrashDump, bytes]]:
    if not REAL.is_file():
        pytest.skip(f"{REAL.name} is not there")
    with REAL.open("rb") as file, open_content(file) as content:
        # At 0x2070: where the copy of KDBG lies in the file, and its size
        at, size = (content.number(place, 4) or 0 for place in (0x2070, 0x2074))
        yield open_dump(content), content.take(at, size) or b""


def real_kernel(real: tuple[CrashDump, bytes], with_kdbg: bool = True) -> Kernel:
    dump, raw = real
    assert dump.triage is not None
    kernel = find_kernel(
        Reader(BlockSpace(dump.triage.blocks, 8)),
        header=dump.header,
        open_process=None,
        tables=no_tables,
        triage=dump.triage,
        debugger_data=raw if with_kdbg else None,
    )
    assert kernel is not None
    return kernel


@pytest.mark.parametrize("with_kdbg", [True, False])
def test_real_triage_dump(real: tuple[CrashDump, bytes], with_kdbg: bool) -> None:
    kernel = real_kernel(real, with_kdbg)
    # Its list of drivers begins with ntoskrnl.exe at FFFFF8047BA00000, 1046000 bytes
    assert (kernel.base, kernel.size) == (0xFFFFF8047BA00000, 0x1046000)
    assert (kernel.build, kernel.architecture, kernel.processors) == (19041, "x64", 16)
    # The page with its debug directory (RVA 107A0) was not written to the dump
    assert kernel.pdb is None
    assert kernel.address("PsLoadedModuleList") == 0xFFFFF8047C62A390


def test_real_triage_debugger_data(real: tuple[CrashDump, bytes]) -> None:
    kernel = real_kernel(real)
    # Symbols of 19041.804: PoolTrackTable C168A8, MmUnloadedDrivers C2A308
    assert kernel.address("PoolTrackTable") == kernel.base + 0xC168A8
    assert kernel.address("MmUnloadedDrivers") == kernel.base + 0xC2A308
    # An address in the block that belongs to no variable of that kernel
    assert kernel.address("MmPagedPoolCommit") is None
    assert isinstance(kernel.structure("_KLDR_DATA_TABLE_ENTRY"), Structure)
    assert not any("pool tags" in note for note in kernel.notes)
