"""Tags at calls: recall and false alarms on drivers of a real toolchain."""

import struct
from collections.abc import Callable
from pathlib import Path

import pefile  # type: ignore[import-untyped]
import pytest

from poolsleuth.drivers.image import open_driver
from poolsleuth.drivers.image_bytes import of_file, of_memory
from poolsleuth.drivers.tag_functions import Use
from poolsleuth.drivers.tag_scan import Scan, scan_file_image, scan_image, scan_loaded_image
from poolsleuth.drivers.tags import tag_text

Drivers = Callable[[str, str], Path]

MATRIX = [(machine, level) for machine in ("x64", "x86", "arm64") for level in ("O0", "O1", "O2", "Os")]

# What the source of the driver says (conftest.EVERY_CALL): tag, use, function
WRITTEN = {
    ("File", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Wrap", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Wra2", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Tail", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Con1", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Con2", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Pol2", Use.ALLOCATION, "ExAllocatePool2"),
    ("Pol3", Use.ALLOCATION, "ExAllocatePool3"),
    ("Quot", Use.ALLOCATION, "ExAllocatePoolWithQuotaTag"),
    ("Prio", Use.ALLOCATION, "ExAllocatePoolWithTagPriority"),
    ("LokN", Use.LOOKASIDE, "ExInitializeNPagedLookasideList"),
    ("LokP", Use.LOOKASIDE, "ExInitializePagedLookasideList"),
    ("LokE", Use.LOOKASIDE, "ExInitializeLookasideListEx"),
    ("Var4", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Fix5", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Prot", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Prot", Use.FREE, "ExFreePoolWithTag"),
    (" Ddk", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Abc", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("File", Use.FREE, "ExFreePoolWithTag"),
    ("Wrap", Use.FREE, "ExFreePoolWithTag"),
    ("OlFr", Use.FREE, "ExFreePoolWithTag"),
    ("Ndd1", Use.ALLOCATION, "NdisAllocateMemoryWithTag"),
    ("Ndd2", Use.ALLOCATION, "NdisAllocateMemoryWithTagPriority"),
    ("Ndd2", Use.FREE, "NdisFreeMemoryWithTagPriority"),
    ("xFlt", Use.ALLOCATION, "FltAllocatePoolAlignedWithTag"),
    ("xFlt", Use.FREE, "FltFreePoolAlignedWithTag"),
    ("Stor", Use.ALLOCATION, "StorPortExtendedFunction"),
    ("xObj", Use.REFERENCE, "ObOpenObjectByPointerWithTag"),
    ("Loop", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Pic1", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Qicb", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Ricz", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("HHoi", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("HHoi", Use.FREE, "ExFreePoolWithTag"),
}
# What is missed, and why: clang at -O0 passes what has 64 bits on the stack of x86 through another register
MISSED: dict[tuple[str, str], set[str]] = {("x86", "O0"): {"Pol2", "Pol3"}}


def found_in(scan: Scan) -> set[tuple[str, Use, str | None]]:
    return {(tag_text(use.tag), use.use, use.function) for use in scan.uses}


@pytest.mark.parametrize(("machine", "level"), MATRIX)
def test_every_written_tag_is_found_at_its_call(every_call: Drivers, machine: str, level: str) -> None:
    scan = scan_file_image(open_driver(every_call(machine, level)).image)
    missed = MISSED.get((machine, level), set())

    assert found_in(scan) == {row for row in WRITTEN if row[0] not in missed}
    assert {tag_text(use.tag) for use in scan.uses if not use.certain} == {"Var4"}
    assert scan.calls["ExAllocatePool"] == 1
    assert scan.calls["MmAllocateContiguousMemory"] == 1


@pytest.mark.parametrize(("machine", "level"), MATRIX)
def test_letters_that_are_no_tag_are_not_found_at_calls(no_tags: Drivers, machine: str, level: str) -> None:
    scan = scan_file_image(open_driver(no_tags(machine, level)).image)

    # `table[choice]` and `local + choice` are no constants; the rest are arguments of other kinds
    assert found_in(scan) == set()
    assert scan.unread >= 3


def test_each_use_says_where(every_call: Drivers) -> None:
    path = every_call("x64", "O2")
    data = path.read_bytes()
    for use in scan_file_image(of_file(data, "x")).uses:
        assert use.offset is not None
        assert data[use.offset : use.offset + len(use.raw)] == use.raw
        assert use.text.startswith(("call ", "jmp "))


# ---- in memory ----


@pytest.mark.parametrize("machine", ["x64", "x86", "arm64"])
@pytest.mark.parametrize("tables", [True, False], ids=["import tables", "import tables thrown away"])
def test_the_same_is_found_in_memory(every_call: Drivers, machine: str, tables: bool) -> None:
    path = every_call(machine, "O2")
    # 32-bit addresses as a dump has them, with their sign
    base = 0xFFFFF80012340000 if machine != "x86" else 0xFFFFFFFFF7340000
    pe = pefile.PE(str(path))
    pe.relocate_image(base if machine != "x86" else base & 0xFFFFFFFF)
    memory = bytearray(pe.get_memory_mapped_image())
    wide = machine != "x86"
    functions: dict[int, str] = {}
    for library in pe.DIRECTORY_ENTRY_IMPORT:
        for found in library.imports:
            address = (0xFFFFF80001000000 if wide else 0xFFFFFFFF80500000) + 0x140 * len(functions)
            functions[address] = found.name.decode()
            at = found.address - pe.OPTIONAL_HEADER.ImageBase
            memory[at : at + (8 if wide else 4)] = address.to_bytes(8, "little")[: 8 if wide else 4]
    if not tables:
        at = pe.DOS_HEADER.e_lfanew + 24 + (112 if wide else 96) + 8
        memory[at : at + 8] = bytes(8)
    memory += bytes(-len(memory) % 0x1000)

    def read(address: int, size: int) -> bytes | None:
        begin = address - base
        return bytes(memory[begin : begin + size]) if begin >= 0 and begin + size <= len(memory) else None

    scan = scan_loaded_image(of_memory(read, base, len(memory), "m"), functions)

    assert found_in(scan) == WRITTEN
    assert scan.calls == scan_file_image(open_driver(path).image).calls
    assert all(use.offset is None for use in scan.uses)


def test_a_direct_call_in_memory_is_known_by_its_address() -> None:
    # mov r8d, 'File'; call rel32 to the address of ExAllocatePoolWithTag; ret
    base, target = 0xFFFFF80000010000, 0xFFFFF80000500000
    code = b"\x41\xb8File" + b"\xe8" + struct.pack("<i", target - (base + 0x1000 + 11)) + b"\xc3"
    memory = _image_of(code.ljust(0x1000, b"\xcc"))

    def read(address: int, size: int) -> bytes | None:
        return memory[address - base : address - base + size] if address + size <= base + len(memory) else None

    scan = scan_loaded_image(of_memory(read, base, len(memory), "m"), {target: "ExAllocatePoolWithTag"})
    assert found_in(scan) == {("File", Use.ALLOCATION, "ExAllocatePoolWithTag")}
    assert scan_image(of_file(memory, "x"), {}).uses == ()


def _image_of(code: bytes) -> bytes:
    """An x64 image of one section, the same in a file and in memory."""
    optional = struct.pack("<HBBIII", 0x20B, 14, 0, len(code), 0, 0) + struct.pack("<II", 0x1000, 0x1000)
    optional += struct.pack(
        "<QIIHHHHHHIIII", 0x140000000, 0x1000, 0x1000, 10, 0, 0, 0, 10, 0, 0, 0x1000 + len(code), 0x1000, 0
    )
    optional += struct.pack("<HHQQQQII", 1, 0, 0x100000, 0x1000, 0x100000, 0x1000, 0, 16) + bytes(128)
    header = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40)
    header += b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, len(optional), 0x22) + optional
    header += struct.pack("<8sIIIIIIHHI", b".text", len(code), 0x1000, len(code), 0x1000, 0, 0, 0, 0, 0x60000020)
    return header.ljust(0x1000, b"\0") + code
