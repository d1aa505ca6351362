"""Runs that overlap, contradict their header, or are made up."""

import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.crash_dump.content import PAGE, DumpContent
from poolsleuth.kernel.crash_dump.dump import open_dump
from poolsleuth.kernel.crash_dump.runs import run_map

Writer = Callable[..., bytes]
RUN = st.tuples(st.integers(0, 40), st.integers(0, 12))


@given(st.lists(RUN, max_size=8))
def test_places_of_any_runs(runs: list[tuple[int, int]]) -> None:
    found = run_map(0x2000, np.array([r[0] for r in runs], np.int64), np.array([r[1] for r in runs], np.int64))
    candidates: dict[int, list[int]] = {}
    offset = 0x2000
    for base, count in runs:
        for page in range(base, base + count):
            candidates.setdefault(page, []).append(offset)
            offset += PAGE
    assert found.pages * PAGE == offset - 0x2000
    for page, place in enumerate(found.places(np.arange(60, dtype=np.int64)).tolist()):
        assert place in candidates.get(page, [Absence.NOT_IN_DUMP])


def test_of_two_runs_that_overlap_the_lower_one_is_believed() -> None:
    found = run_map(0, np.array([5, 1], np.int64), np.array([4, 6], np.int64))
    # Pages 1 to 6 are those of the second run, which lies behind four pages; 7 and 8 end the first one
    assert found.places(np.arange(1, 10, dtype=np.int64)).tolist() == [
        *(PAGE * at for at in (4, 5, 6, 7, 8, 9, 2, 3)),
        Absence.NOT_IN_DUMP,
    ]


def test_counts_that_do_not_add_up_are_told(complete_dump: Writer) -> None:
    data = bytearray(complete_dump(True, [(1, 2), (8, 1)]))
    struct.pack_into("<Q", data, 0x90, 9)
    (flaw,) = open_dump(DumpContent(bytes(data))).flaws
    assert flaw.says == "the header counts 9 pages, but its runs hold 3"


def test_a_complete_dump_without_runs(dump_header: Callable[..., bytearray]) -> None:
    dump = open_dump(DumpContent(bytes(dump_header(True, 1)) + bytes(PAGE)))
    assert dump.memory is None
    assert "no runs of memory" in dump.flaws[0].says


def test_a_huge_dump_costs_nothing_until_it_is_read(complete_dump: Writer) -> None:
    data = bytearray(complete_dump(True, [(1, 1), (3, 1)]))
    struct.pack_into("<QQQQQ", data, 0x90, 1 + (1 << 39), 1, 1, 3, 1 << 39)  # the second run: 2 PB of memory
    memory = open_dump(DumpContent(bytes(data))).memory
    assert memory is not None
    assert memory.pages_cut_off == (1 << 39) - 1
    assert memory.read_physical((1 << 40) + 8, 8) is Absence.CUT_OFF
    assert memory.read_physical(2 * PAGE, 8) is Absence.NOT_IN_DUMP


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (0x2010, 0, "contradict each other"),
        (0x2018, 1 << 63, "contradict each other"),
        (0x2040, 1 << 60, "beyond all physical addresses"),
    ],
)
def test_debugger_written_with_damaged_lists(debugger_dump: Writer, at: int, value: int, says: str) -> None:
    data = bytearray(debugger_dump([(3, 1), (5, 2)]))
    struct.pack_into("<Q", data, at, value)
    dump = open_dump(DumpContent(bytes(data)))
    assert says in dump.flaws[0].says
    if at == 0x2040:
        assert dump.memory is not None
        assert dump.memory.pages == 1


def test_more_ranges_than_are_listed(debugger_dump: Writer) -> None:
    data = bytearray(debugger_dump([(3, 1), (5, 2)], kind=10))
    struct.pack_into("<I", data, 0x2020, 0xFFFFFFFF)
    struct.pack_into("<Q", data, 0x2028, 1 << 63)
    dump = open_dump(DumpContent(bytes(data)))
    assert dump.memory is not None
    assert dump.memory.pages == 3
    assert dump.flaws[0].says == f"the dump counts {1 << 63:,} pages, but its ranges hold 3"
