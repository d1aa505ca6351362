"""Handle tables as the symbols of 7601 and 9600 (and later) lay them out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.handle_counts import MAX_HANDLES, HandleCounter
from poolsleuth.kernel.symbols.isf import read_isf
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Field, Structure

SYMBOLS = (
    Path(__file__).parents[3] / "shared/data/symbols"
    / "ntkrnlmp_10.0.19041.804_5278AFF86C341677D7D7835C85B7B844-1.json.xz"
)  # fmt: skip
LIST = "_HANDLE_TABLE_FREE_LIST"
TABLE, LISTS = 0xFFFF8A0000123000, 0xFFFFF80000010000
OLD = {"_HANDLE_TABLE": Structure(104, {"HandleCount": Field(0x58, 4)})}
NEW = {
    "_HANDLE_TABLE": Structure(
        128, {"NextHandleNeedingPool": Field(0, 4), "Flags": Field(0x2C, 4), "FreeLists": Field(0x40, 64)}
    ),
    "_HANDLE_TABLE_FREE_LIST": Structure(64, {"HandleCount": Field(0x18, 4)}),
}


@pytest.fixture
def memory(fake_memory: Callable[[int], Any]) -> Any:
    made = fake_memory(8)
    made.put(TABLE, 0x4000, width=4)
    for i, count in enumerate((900, -20, 15, 5)):
        made.put(TABLE + 0x40 + 0x40 * i + 0x18, count, width=4)
    return made


def counter(memory: Any, layouts: dict[str, Structure], processors: int | None = None, **known: int) -> HandleCounter:
    return HandleCounter(
        Kernel(
            memory=Reader(memory), build=9600, architecture="x64", pae=None, base=0, size=None, pdb=None,
            processors=processors, table=None, layouts=layouts, addresses=known,
        )
    )  # fmt: skip


def test_the_one_count_of_older_versions(memory: Any) -> None:
    memory.put(TABLE + 0x58, 12345, width=4)
    assert counter(memory, OLD).count(TABLE) == (12345, False)
    memory.put(TABLE + 0x58, MAX_HANDLES + 1, width=4)
    assert counter(memory, OLD).count(TABLE) == (None, False)


def test_the_sum_over_all_lists(memory: Any) -> None:
    memory.put(LISTS, 4, width=4)
    assert counter(memory, NEW, processors=1, ExpFreeListCount=LISTS).count(TABLE) == (900, False)


def test_one_list_for_each_processor_is_a_guess(memory: Any) -> None:
    assert counter(memory, NEW, processors=3).count(TABLE) == (895, True)
    assert counter(memory, NEW).count(TABLE) == (None, False)


def test_a_strict_table_has_one_list(memory: Any) -> None:
    memory.put(TABLE + 0x2C, 1, width=4)
    assert counter(memory, NEW, processors=4).count(TABLE) == (900, False)


@pytest.mark.parametrize("lists", [0, 257, 0xFFFFFFFF])
def test_a_number_of_lists_that_cannot_be_true(lists: int, memory: Any) -> None:
    memory.put(LISTS, lists, width=4)
    assert counter(memory, NEW, processors=2, ExpFreeListCount=LISTS).count(TABLE) == (880, True)


def test_more_handles_than_there_is_room_for(memory: Any) -> None:
    memory.put(TABLE, 899 * 4, width=4)
    assert counter(memory, NEW, processors=4).count(TABLE) == (None, False)


def test_a_process_without_a_table_has_no_handles(memory: Any) -> None:
    assert counter(memory, NEW, processors=4).count(0) == (0, False)


@pytest.mark.parametrize("table", [None, 0x1000])
def test_no_table(table: int | None, memory: Any) -> None:
    assert counter(memory, NEW, processors=4).count(table) == (None, False)
    assert counter(memory, {}, processors=4).count(TABLE) == (None, False)


@pytest.mark.skipif(not SYMBOLS.is_file(), reason="the symbol table of 19041.804 is not there")
def test_the_layout_of_true_symbols(memory: Any) -> None:
    table = read_isf(SYMBOLS)
    for name, fields in {"_HANDLE_TABLE": NEW["_HANDLE_TABLE"], "_HANDLE_TABLE_FREE_LIST": NEW[LIST]}.items():
        assert table.structures[name].size == fields.size
        for field, place in fields.fields.items():
            found = table.structures[name].fields[field]
            assert (field, found.offset, found.size) == (field, place.offset, place.size)
    assert "ExpFreeListCount" in table.symbols
