"""Addresses of variables: who is believed, and what is left out on Windows 10."""

from collections.abc import Callable
from typing import Any

from poolsleuth.kernel.find.addresses import count_processors, variable_addresses
from poolsleuth.kernel.kdbg import Kdbg, parse_kdbg

Made = Callable[..., Any]


def kdbg(machine: Any, **values: int) -> Kdbg:
    block = parse_kdbg(machine.kdbg(**values), machine.pointer, address=machine.at("KdDebuggerDataBlock"))
    assert block is not None
    return block


def test_all_sources(machine: Made, header_of: Made) -> None:
    written = machine()
    found, notes = variable_addresses(
        written.reader,
        build=7601,
        header=header_of(written),
        kdbg=kdbg(written),
        exports={"NtBuildNumber": written.at("NtBuildNumber"), "PsLoadedModuleList": 0x1000},
    )
    assert notes == ()
    for name in ("PsLoadedModuleList", "PsActiveProcessHead", "PoolTrackTable", "NtBuildNumber", "KdDebuggerDataBlock"):
        assert found[name] == written.at(name)
    assert found["MmPfnDatabase"] == 0xFFFFFA8000000000  # the header has it


def test_a_list_that_is_none_is_refused(machine: Made, header_of: Made) -> None:
    written = machine()
    wrong = written.base + 0x90000
    header = header_of(written, PsActiveProcessHead=wrong)
    block = kdbg(written, PsActiveProcessHead=wrong + 16)
    found, notes = variable_addresses(written.reader, build=7601, header=header, kdbg=block, exports={})
    assert "PsActiveProcessHead" not in found
    assert notes == ("the address of the list of processes does not lead to a list: it was not used",)
    found, notes = variable_addresses(written.reader, build=7601, header=header, kdbg=kdbg(written), exports={})
    assert found["PsActiveProcessHead"] == written.at("PsActiveProcessHead")
    assert notes == ()


def test_what_nobody_writes_any_more(machine: Made) -> None:
    written = machine()
    raw = bytearray(written.kdbg())
    raw[0x170:0x178] = (written.base + 0xB0000).to_bytes(8, "little")  # MmPagedPoolCommit
    block = parse_kdbg(bytes(raw), 8)
    for build, there in ((9600, True), (10240, False), (22000, False)):
        found, _ = variable_addresses(written.reader, build=build, header=None, kdbg=block, exports={})
        assert ("MmPagedPoolCommit" in found) is there
        assert "PoolTrackTable" in found


def test_processors(machine: Made) -> None:
    written = machine(processors=7)
    block = written.at("KiProcessorBlock")
    assert count_processors(written.reader, block) == 7
    assert count_processors(written.reader, None) is None
    assert count_processors(written.reader, written.base + 0x90000) is None  # zeros
    written.memory.lose(block)
    assert count_processors(written.reader, block) is None
    few = machine(4, processors=32)
    assert count_processors(few.reader, few.at("KiProcessorBlock")) == 32
