"""Triage dumps: a real one, written ones of both widths, and damaged ones."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from poolsleuth.kernel.crash_dump.content import DumpContent, open_content
from poolsleuth.kernel.crash_dump.dump import Container, CrashDump, open_dump
from poolsleuth.kernel.crash_dump.triage import TriageDump

REAL = Path(__file__).parents[4] / "shared" / "data" / "dumps" / "triage_x64.dmp"
Writer = Callable[..., bytes]

BASE = {True: 0xFFFFF80002A00000, False: 0x804D7000}
LAB = b"7601.17514.amd64fre.win7sp1_rtm.101119-1850\0"


def drivers(wide: bool) -> list[tuple[str, int, int, int, int]]:
    return [
        (r"\SystemRoot\system32\ntoskrnl.exe", BASE[wide], 0x5EA000, 0x4CE7951A, 0x55CE28),
        ("hal.dll", BASE[wide] + 0x600000, 0x49000, 0x4CE7C669, 0x4A1B5),
        (r"\??\C:\odd dir\my.sys", BASE[wide] + 0x700000, 0x1000, 0, 0),
    ]


def opened(data: bytes) -> tuple[CrashDump, TriageDump]:
    dump = open_dump(DumpContent(data))
    assert dump.container is Container.TRIAGE
    assert dump.memory is None
    assert dump.triage is not None
    return dump, dump.triage


@pytest.fixture(scope="module")
def real() -> Iterator[tuple[CrashDump, TriageDump]]:
    if not REAL.is_file():
        pytest.skip(f"{REAL.name} is not there")
    with REAL.open("rb") as file, open_content(file) as content:
        dump = open_dump(content)
        assert dump.triage is not None
        yield dump, dump.triage


def test_real_drivers(real: tuple[CrashDump, TriageDump]) -> None:
    dump, triage = real
    assert dump.flaws == ()
    assert len(triage.drivers) == 151
    assert triage.drivers_complete
    first = triage.drivers[0]
    # At 0x10828: name "\SystemRoot\system32\ntoskrnl.exe", base, size, checksum and time stamp as they lie there
    assert (first.file_name, first.base, first.size) == ("ntoskrnl.exe", 0xFFFFF8047BA00000, 0x1046000)
    assert (first.timestamp, first.checksum) == (0x0D8333E6, 0xA5938C)
    # A driver of another maker has a real time: 2020-07-10
    (virtual,) = [driver for driver in triage.drivers if driver.file_name == "VBoxNetAdp6.sys"]
    assert (virtual.base, virtual.size, virtual.timestamp) == (0xFFFFF80487F90000, 0x52000, 0x5F08D788)


def test_real_unloaded_drivers(real: tuple[CrashDump, TriageDump]) -> None:
    _, triage = real
    assert [(each.name, each.start, each.end) for each in triage.unloaded] == [
        ("dam.sys", 0xFFFFF80487DE0000, 0xFFFFF80487DFC000),
        ("WdBoot.sys", 0xFFFFF80479D30000, 0xFFFFF80479D42000),
        ("hwpolicy.sys", 0xFFFFF804802C0000, 0xFFFFF804802D1000),
        ("mcupdate.dll", 0xFFFFF804793E0000, 0xFFFFF80479409000),
    ]


def test_real_blocks_and_debugger_data(real: tuple[CrashDump, TriageDump]) -> None:
    _, triage = real
    assert len(triage.blocks) == 1831
    assert triage.blocks.total == 1_153_874
    assert triage.kernel_base == 0xFFFFF8047BA00000
    assert triage.build_lab == "19041.1.amd64fre.vb_release.191206-1406"
    assert triage.blocks.read(0xFFFFF8047BA00000, 2) == b"MZ"
    assert triage.blocks.read(0xFFFFF8047C62A390, 8) is None  # PsLoadedModuleList is in no block
    assert triage.blocks.read(0, 1) is None
    assert triage.blocks.read((1 << 64) - 1, 2) is None


def test_real_memory_figures_are_empty(real: tuple[CrashDump, TriageDump]) -> None:
    _, triage = real
    assert triage.memory is not None
    assert (triage.memory.version, triage.memory.size, triage.memory.empty) == (1, 0x50, True)


@pytest.mark.parametrize(("wide", "lead"), [(True, 8), (False, 4), (False, 8)])
def test_written_dump_gives_back_its_truth(triage_dump: Writer, wide: bool, lead: int) -> None:
    unloaded = [("dam.sys", 0x9000000, 0x9010000), ("hwpolicy.sys", 0xA000000, 0xA001000)]
    address = BASE[wide] + 0x1000
    data = triage_dump(
        wide,
        drivers(wide),
        unloaded,
        lead=lead,
        kernel_base=BASE[wide] if wide else BASE[wide] | 0xFFFFFFFF00000000,
        lab_address=address if wide else address | 0xFFFFFFFF00000000,
        blocks=[(address, LAB.ljust(64, b"\0")), (0x5000, b"tail"), (address + 64, bytes(100))],
        memory=(0,) * 17 + (1,),
    )
    dump, triage = opened(data)
    assert dump.flaws == ()
    assert [(d.path, d.base, d.size, d.timestamp, d.checksum) for d in triage.drivers] == drivers(wide)
    assert triage.drivers[2].file_name == "my.sys"
    assert triage.drivers_complete
    assert [(u.name, u.start, u.end) for u in triage.unloaded] == unloaded
    assert (triage.kernel_base, triage.build_lab) == (BASE[wide], LAB[:-1].decode())
    assert triage.blocks.read(address + 60, 8) == bytes(8)  # over the seam of two blocks
    assert triage.blocks.read(0x5001, 3) == b"ail"
    assert triage.blocks.read(0x5001, 4) is None
    assert triage.memory is not None
    assert not triage.memory.empty


def test_counts_that_lie(triage_dump: Writer) -> None:
    dump, triage = opened(triage_dump(True, drivers(True), [("a.sys", 1, 2)], counts=(0xFFFFFFFF, 1 << 63)))
    assert len(triage.drivers) >= 1
    assert not triage.drivers_complete
    assert triage.unloaded == ()
    told = " ".join(flaw.says for flaw in dump.flaws)
    assert "4,294,967,295 entries" in told
    assert "unloaded drivers claims" in told


def test_a_driver_that_cannot_be_is_left_out(triage_dump: Writer) -> None:
    bad = ("x.sys", 0xFFFFF80002A00123, 0x1000, 0, 0)
    dump, triage = opened(triage_dump(True, [*drivers(True), bad]))
    assert len(triage.drivers) == 3
    assert not triage.drivers_complete
    assert dump.flaws[0].says == ("1 of 4 loaded drivers could not be read, 1 with an address that cannot be true")


@pytest.mark.parametrize("wide", [False, True])
def test_every_truncation_says_so(triage_dump: Writer, wide: bool) -> None:
    data = triage_dump(wide, drivers(wide), [("dam.sys", 0x9000000, 0x9010000)])
    start = 0x2000 if wide else 0x1000
    for size in range(start, len(data)):
        dump = open_dump(DumpContent(data[:size]))
        assert dump.flaws
        assert dump.triage is None or len(dump.triage.drivers) <= 3
