"""The header: 32-bit and 64-bit, filled or not, damaged or cut."""

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from poolsleuth.kernel.crash_dump.content import DumpContent, Flaw, open_content
from poolsleuth.kernel.crash_dump.header import DumpHeader, PhysicalRun, read_header
from poolsleuth.model.errors import InputError

DUMPS = Path(__file__).parents[4] / "shared" / "data" / "dumps"
Header = Callable[..., bytearray]


def read(data: bytes | bytearray) -> tuple[DumpHeader, list[Flaw]]:
    flaws: list[Flaw] = []
    return read_header(DumpContent(bytes(data)), flaws), flaws


def real(name: str) -> tuple[DumpHeader, list[Flaw]]:
    path = DUMPS / name
    if not path.is_file():
        pytest.skip(f"{name} is not there")
    flaws: list[Flaw] = []
    with path.open("rb") as file, open_content(file) as content:
        return read_header(content, flaws), flaws


def test_real_triage_header() -> None:
    header, flaws = real("triage_x64.dmp")
    assert flaws == []
    assert (header.bits, header.architecture, header.build, header.processors) == (64, "x64", 19041, 16)
    assert (header.bugcheck_code, header.dump_type) == (0x1000007E, 4)
    # The four parameters as the bytes at 0x40 hold them; the first is STATUS_ACCESS_VIOLATION
    assert header.bugcheck_parameters == (
        0xFFFFFFFFC0000005,
        0xFFFFF8048B58334C,
        0xFFFF850429891EE8,
        0xFFFF850429891720,
    )
    assert header.captured_at is not None
    assert header.captured_at.replace(microsecond=0) == datetime(2021, 2, 21, 1, 38, 22, tzinfo=UTC)
    assert header.uptime_seconds == pytest.approx(3.7470697)  # 0x23bc1e9 units of 100 ns at 0x1030
    assert (header.server, header.runs, header.comment) == (False, (), None)
    assert header.context == (0x348, 3000)  # the directory of this dump says 0x348 too
    assert (header.exception_code, header.exception_address) == (0x80000003, 0xFFFFF8047BDF5A80)


def test_real_complete_header() -> None:
    header, _ = real("full_x64_header_16k.bin")
    assert (header.build, header.processors, header.dump_type) == (19045, 4, 1)
    assert header.bugcheck_code == int.from_bytes(b"MATT", "little")
    # Five runs; the number of pages at +8 of the block is their sum
    assert [(run.base, run.pages) for run in header.runs] == [
        (0x2, 0x9E),
        (0x100, 0x251),
        (0x3D8, 0xD7DF),
        (0xDBB8, 0x1FB7),
        (0xFBFF, 0x70401),
    ]
    assert header.pages == sum(run.pages for run in header.runs) == 0x7FE86


@pytest.mark.parametrize("wide", [False, True])
def test_every_field_of_a_written_header(dump_header: Header, wide: bool) -> None:
    header, flaws = read(dump_header(wide, 1, runs=[(1, 2), (16, 3)]))
    assert flaws == []
    assert (header.bits, header.size, header.pointer) == ((64, 0x2000, 8) if wide else (32, 0x1000, 4))
    assert (header.build, header.processors, header.dump_type) == (7601, 4, 1)
    assert header.architecture == ("x64" if wide else "x86")
    assert (header.bugcheck_code, header.bugcheck_parameters) == (0xD1, (0x1000, 2, 0, 0xF0F0))
    assert header.pae is (None if wide else True)
    assert header.directory_table_base == (0x1AD000 if wide else 0x185000)
    assert header.pfn_database == (0xFFFFFA8000000000 if wide else 0x81A00000)
    assert header.loaded_module_list == (0xFFFFF80002A90890 if wide else 0x8055D720)
    assert header.active_process_head == (0xFFFFF80002A72590 if wide else 0x8055D1F8)
    assert header.debugger_data_block == (0xFFFFF80002A51070 if wide else 0x8054C060)
    assert (header.pages, header.runs) == (5, (PhysicalRun(1, 2), PhysicalRun(16, 3)))
    assert (header.server, header.suite_mask) == (True, 0x110)
    assert header.uptime_seconds == 3600.0
    # What the writer left as "PAGE" is not known
    assert header.version_user is None
    assert header.comment is None
    assert header.required_dump_space is None
    assert header.exception_code is None
    assert header.writer_status is None


@pytest.mark.parametrize(("value", "pae"), [(0, False), (1, True), (0x50, None), (7, None)])
def test_pae_is_believed_only_as_0_or_1(dump_header: Header, value: int, pae: bool | None) -> None:
    header, _ = read(dump_header(False, 1, pae=value))
    assert header.pae is pae


@pytest.mark.parametrize(("wide", "machine", "offset"), [(False, 0x8664, 0x20), (True, 0x14C, 0x30)])
def test_a_machine_of_another_width_than_the_header(dump_header: Header, wide: bool, machine: int, offset: int) -> None:
    _, flaws = read(dump_header(wide, 1, machine=machine))
    assert [flaw.offset for flaw in flaws if "but its machine type is" in flaw.says] == [offset]


@pytest.mark.parametrize("filetime", [0, 1 << 63, (1 << 64) - 1])
def test_a_time_that_cannot_be_is_not_known(dump_header: Header, filetime: int) -> None:
    header, _ = read(dump_header(True, 1, filetime=filetime, uptime=(1 << 64) - 1))
    assert header.captured_at is None
    assert header.uptime_seconds is None


@pytest.mark.parametrize("wide", [False, True])
def test_more_runs_than_there_is_room_for(dump_header: Header, wide: bool) -> None:
    data = dump_header(wide, 1, runs=[(1, 1)])
    struct.pack_into("<I", data, 0x88 if wide else 0x64, 87)
    header, flaws = read(data)
    assert header.runs == ()
    assert "claims 87 runs" in flaws[0].says


def test_a_run_beyond_physical_memory_ends_the_list(dump_header: Header) -> None:
    header, flaws = read(dump_header(True, 1, runs=[(1, 2), (1 << 63, 1), (16, 3)]))
    assert header.runs == (PhysicalRun(1, 2),)
    assert flaws[0].offset == 0x98 + 16


@pytest.mark.parametrize(
    "data", [b"", b"MDMP" + bytes(9000), b"PAGEDU64" + bytes(8192), b"PAGEDUMP" + bytes(8192), b"PAGEDU64" * 9000]
)
def test_what_is_no_dump_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        read(data)


def test_a_cut_header_gives_what_it_still_holds(dump_header: Header) -> None:
    header, flaws = read(dump_header(True, 1)[:0xF00])
    assert (header.build, header.bugcheck_code, header.dump_type) == (7601, 0xD1, None)
    assert "truncated" in flaws[0].says


def test_width_and_machine_that_contradict_each_other_are_told(dump_header: Header) -> None:
    header, flaws = read(dump_header(True, 1, machine=0x14C))
    assert header.architecture == "x86"
    assert "64 bits" in flaws[0].says
