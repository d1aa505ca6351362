import struct
from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.records import RecordPlan
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Field, Structure

FIELDS = {
    "Small": Field(0x2, 2),
    "Pointer": Field(0x8, None),
    "Bits": Field(0x10, 4, 3, 5),
    "Array": Field(0x14, 12, count=3),
    "Text": Field(0x28, 16),
    "Far": Field(0x1800, 4),
}


@pytest.fixture
def kernel(fake_memory: Callable[[int], Any]) -> Kernel:
    memory = fake_memory(8)
    memory.write(0x10000, struct.pack("<HhIQIiII", 1, -2, 0, 0xFFFF8000_00000040, 0xFFFFFFAF, -7, 8, 9))
    memory.put(0x10028, 10 | 10 << 16, 0x10100)
    memory.write(0x10100, "named".encode("utf-16-le"))
    memory.put(0x11800, 77, width=4)
    return Kernel(
        memory=Reader(memory),
        build=7601,
        architecture="x64",
        pae=None,
        base=0,
        size=None,
        pdb=None,
        processors=None,
        table=None,
        layouts={"_THING": Structure(0x2000, FIELDS)},
    )


def test_fields_are_read_by_their_own_width(kernel: Kernel) -> None:
    record = RecordPlan(kernel, "_THING", FIELDS).read(kernel.memory, 0x10000)
    assert record.number("Small") == 0xFFFE
    assert record.signed("Small") == -2
    assert record.number("Pointer") == 0xFFFF8000_00000040
    assert record.number("Bits") == 0b10101  # bits 3 to 7 of 0xAF
    assert record.signed("Array") == -7
    assert [record.element("Array", i, 4) for i in range(4)] == [0xFFFFFFF9, 8, 9, None]
    assert record.unicode_string("Text") == "named"
    assert record.number("Far") == 77
    assert record.place("Far") == 0x11800


def test_what_is_not_known_is_none(kernel: Kernel) -> None:
    plan = RecordPlan(kernel, "_THING", ["Small", "Nowhere"], {"Nowhere": Field(4, 3)})
    record = plan.read(kernel.memory, 0x10000)
    assert "Nowhere" in plan  # the fallback gives it a place, but three bytes are no number
    assert record.number("Nowhere") is None
    assert record.number("Unheard") is None
    assert record.place("Unheard") is None
    assert record.octets("Unheard") is None


def test_fields_of_a_structure_that_is_partly_missing_are_read_one_by_one(kernel: Kernel) -> None:
    kernel.memory.space.lose(0x11800)  # type: ignore[attr-defined]
    record = RecordPlan(kernel, "_THING", FIELDS).read(kernel.memory, 0x10000)
    assert record.number("Small") == 0xFFFE
    assert record.number("Far") is None


def test_the_layout_outranks_the_fallback(kernel: Kernel) -> None:
    plan = RecordPlan(kernel, "_THING", ["Far"], {"Far": Field(0x2, 2)})
    assert plan.read(kernel.memory, 0x10000).number("Far") == 77
