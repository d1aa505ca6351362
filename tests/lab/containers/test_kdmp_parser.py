"""What kdmp-parser, a reader by others (MIT), finds in the lab's 64-bit dumps of types 1, 5, 6, 8, 9 and 10."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from poolsleuth.lab.containers.context import context_record
from poolsleuth.lab.containers.header import DumpHeaderFields
from poolsleuth.lab.containers.kinds import DumpKind, write_dump
from poolsleuth.lab.page_tables import AddressSpaceWriter
from poolsleuth.lab.physical import PAGE, PhysicalImage

KERNEL = 0xFFFFF80002000000
KINDS = {
    DumpKind.COMPLETE: 1,
    DumpKind.BITMAP_FULL: 5,
    DumpKind.BITMAP_KERNEL: 6,
    DumpKind.DEBUGGER_KERNEL: 8,
    DumpKind.DEBUGGER_KERNEL_USER: 9,
    DumpKind.DEBUGGER_FULL: 10,
}


@pytest.fixture(scope="module")
def open_with_kdmp_parser() -> Callable[[Path], Any]:
    parser = pytest.importorskip(
        "kdmp_parser", reason="kdmp-parser is not installed: nobody else reads the lab's dumps"
    )
    opened: Callable[[Path], Any] = parser.KernelDumpParser
    return opened


@pytest.fixture(scope="module")
def space() -> AddressSpaceWriter:
    made = AddressSpaceWriter(PhysicalImage(0x2000), "x64", 19041)
    for i in range(5):
        made.write(KERNEL + i * PAGE, bytes([i + 1]) * PAGE)
    made.map(KERNEL + 0x10000000, 512, large=True)
    made.write(KERNEL + 0x10012345, b"in a large page")
    made.map(KERNEL + 0x20000, state="paged-out")
    return made


@pytest.mark.parametrize(("kind", "number"), KINDS.items())
def test_it_reads_what_was_written(
    kind: DumpKind,
    number: int,
    tmp_path: Path,
    space: AddressSpaceWriter,
    header_of: Callable[..., DumpHeaderFields],
    open_with_kdmp_parser: Callable[[Path], Any],
) -> None:
    image = space.physical
    header = replace(
        header_of(64), directory_table_base=space.dtb | 2, context=context_record(0x8664, {"rip": KERNEL + 5})
    )
    gone = image.take()
    write_dump(tmp_path / "a.dmp", image, header, kind, leave_out={gone})
    dump = open_with_kdmp_parser(tmp_path / "a.dmp")
    assert int(dump.type) == number
    assert dump.directory_table_base == space.dtb
    read = dump.header
    assert read.BugCheckCode == 0xC2
    assert list(read.BugCheckCodeParameter) == [7, 0x1200, 0xDEAD, 0xFFFFF80002A01000]
    assert (read.MachineImageType, read.NumberProcessors, read.MinorVersion) == (0x8664, 8, 7601)
    assert (read.SystemTime, read.SystemUpTime) == (0x1D707F23DBB3399, 36_000_000_000)
    assert read.KdDebuggerDataBlock == 0xFFFFF80002A00070
    assert read.Exception.ExceptionCode == 0x80000003
    assert dump.context.Rip == KERNEL + 5
    for page in image.pages():
        if page != gone:
            assert dump.read_physical_page(page * PAGE) == image.read(page * PAGE, PAGE)
    assert dump.read_physical_page(gone * PAGE) is None
    for address in (KERNEL, KERNEL + 0x4FFF, KERNEL + 0x10012345):
        assert dump.translate_virtual(address) == space.translate(address)
    assert dump.translate_virtual(KERNEL + 0x20000) is None
    assert dump.read_virtual_page(KERNEL + 2 * PAGE) == b"\3" * PAGE
