"""Layouts of processes: believed as a whole by KDBG's sizes, in part by the first process, else not at all."""

import struct
from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.kernel.find.processes import process_layout, thread_layouts
from poolsleuth.kernel.kdbg import Kdbg, parse_kdbg
from poolsleuth.windows.structure_layouts import known_layouts, layouts_for

Made = Callable[..., Any]
SEVEN = layouts_for(7601, "x64").structures
LAYOUTS = known_layouts("_EPROCESS", "x64")


def kdbg(machine: Any, **values: int) -> Kdbg:
    raw = bytearray(machine.kdbg())
    for name, value in values.items():
        place = {"SizeEProcess": 0x2A8, "OffsetEprocessParentCID": 0x2AC, "SizeEThread": 0x2C0}[name]
        struct.pack_into("<H", raw, place, value)
    block = parse_kdbg(bytes(raw), 8)
    assert block is not None
    return block


def test_sizes_in_kdbg_settle_it(machine: Made) -> None:
    written = machine()
    # 7601 of the data: 4D0 bytes, the parent's number at 290
    block = kdbg(written, SizeEProcess=0x4D0, OffsetEprocessParentCID=0x290, SizeEThread=0x498)
    assert process_layout(written.reader, block, None, LAYOUTS) == (SEVEN["_EPROCESS"], None)
    assert set(thread_layouts(block, SEVEN)) == {"_ETHREAD", "_KTHREAD"}


def test_a_serviced_kernel(machine: Made) -> None:
    written = machine()
    # 7601.24540: 4F8 bytes (1272), all that comes before the name as it was
    block = kdbg(written, SizeEProcess=0x4F8, OffsetEprocessParentCID=0x290, SizeEThread=0x4A8)
    layout, says = process_layout(written.reader, block, written.at("PsActiveProcessHead"), LAYOUTS)
    assert layout is not None
    assert says is None
    assert layout.size == 0x4F8
    places = {name: layout.fields[name].offset for name in ("ActiveProcessLinks", "ObjectTable", "Session")}
    assert places == {"ActiveProcessLinks": 0x188, "ObjectTable": 0x200, "Session": 0x2D8}
    assert thread_layouts(block, SEVEN) == {}


def test_without_kdbg_only_what_was_tested(machine: Made) -> None:
    written = machine()
    layout, says = process_layout(written.reader, None, written.at("PsActiveProcessHead"), LAYOUTS)
    assert layout is not None
    assert layout.fields["Pcb.DirectoryTableBase"].offset == 0x28
    assert set(layout.fields) == {
        "UniqueProcessId", "ActiveProcessLinks", "ImageFileName", "Pcb.DirectoryTableBase",
    }  # fmt: skip
    assert says == (
        "of processes only numbers, names and page tables are read: the rest of their layout could not be checked"
    )
    assert thread_layouts(None, SEVEN) == {}
    # The layout of the very build is believed up to the last field that was tested
    head = written.at("PsActiveProcessHead")
    layout, says = process_layout(written.reader, None, head, LAYOUTS, SEVEN["_EPROCESS"])
    assert layout is not None
    assert says is None
    assert layout.fields == SEVEN["_EPROCESS"].fields


@pytest.mark.parametrize(("at", "value"), [(0x180, b"\x05"), (0x2E0, b"Sistem"), (0x28, bytes(8)), (0x28, b"\xff" * 8)])
def test_a_first_process_that_is_not_system(machine: Made, at: int, value: bytes) -> None:
    written = machine()
    head = written.at("PsActiveProcessHead")
    written.memory.write(written.reader.pointer(head) - 0x188 + at, value)
    layout, says = process_layout(written.reader, None, head, LAYOUTS)
    assert layout is None
    assert says == "no known layout of processes fits the dump: processes were not read"


def test_an_empty_or_unreadable_list(machine: Made) -> None:
    written = machine()
    head = written.at("PsActiveProcessHead")
    written.link(head, [])
    assert process_layout(written.reader, None, head, LAYOUTS)[0] is None
    written.memory.lose(head)
    for place in (head, None):
        _, says = process_layout(written.reader, None, place, LAYOUTS)
        assert says == "the layout of processes could not be checked: processes were not read"


def test_where_a_process_begins(machine: Made) -> None:
    written = machine()
    head = written.at("PsActiveProcessHead")
    first = written.reader.pointer(head)
    # By the layout of 10240 the process would begin 168 bytes earlier: number, links and name lie there alike
    written.memory.put(first - 0x2F0 + 0x28, 0x187000)
    layout, _ = process_layout(written.reader, None, head, LAYOUTS)
    assert layout is not None
    assert layout.fields["ActiveProcessLinks"].offset == 0x188  # the mark of a process object is at this start
    written.memory.write(first - 0x188, b"\0")
    assert process_layout(written.reader, None, head, LAYOUTS)[0] is None  # nothing tells
    written.memory.put(first - 0x2F0 + 0x28, 0)
    layout, _ = process_layout(written.reader, None, head, LAYOUTS)
    assert layout is not None
    assert layout.fields["ActiveProcessLinks"].offset == 0x188
