"""Row types and fields out of layouts that cannot be trusted."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.addresses import is_kernel_address
from poolsleuth.kernel.pool.layout import column, number_at, row_dtype
from poolsleuth.windows.kernel_table import Field, Structure


@pytest.mark.parametrize(
    ("address", "pointer_size", "expected"),
    [
        (None, 8, False),
        (0, 8, False),
        (0x00007FFFFFFF0000, 8, False),
        (0x0000800000000000, 8, False),
        (0xFFFF800000000000, 8, True),
        (0xFFFFFFFFFFFFF000, 8, True),
        (0xFFFFFFFFFFFFF001, 8, False),
        (1 << 64, 8, False),
        (0x7FFFFFFF, 4, False),
        (0x80000000, 4, True),
        (0xFFFFF001, 4, False),
    ],
)
def test_kernel_addresses(address: int | None, pointer_size: int, expected: bool) -> None:
    assert is_kernel_address(address, pointer_size) is expected


@pytest.mark.parametrize(
    ("size", "place"),
    [
        (0, Field(0, 4)),
        (1 << 30, Field(0, 4)),
        (16, Field(13, 4)),
        (16, Field(-4, 4)),
        (16, Field(0, 3)),
        (16, Field(0, None)),
        (16, Field(0, 8, count=2)),
    ],
)
def test_layouts_that_no_row_can_have(size: int, place: Field) -> None:
    assert row_dtype(Structure(size, {"Key": place}), ("Key",)) is None


def test_columns_and_bit_fields() -> None:
    structure = Structure(12, {"Va": Field(0, 4), "Kind": Field(8, 4, 8, 12)})
    dtype = row_dtype(structure, ("Va", "Absent", "Kind"))
    assert dtype is not None
    assert dtype.names == ("Va", "Kind")
    rows = np.frombuffer(bytes.fromhex("01020304 ffffffff aa20f1bb"), np.uint8).view(dtype)
    assert column(rows, structure, "Va").tolist() == [0x04030201]
    assert column(rows, structure, "Kind").tolist() == [0x120]
    assert row_dtype(structure, ("Absent",)) is None


def test_a_number_of_an_array(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    memory.put(0x5010, 7, 9, width=4)
    reader = Reader(memory)
    assert number_at(reader, 0x5000, Field(0x10, 8, count=2), index=1) == 9
    assert number_at(reader, 0x5000, Field(0x10)) == 9 << 32 | 7
    assert number_at(reader, 0x5000, Field(0x10, 3)) is None
    assert number_at(reader, 0x5000, None) is None
    assert number_at(reader, 0x9000, Field(0x10, 4)) is None
