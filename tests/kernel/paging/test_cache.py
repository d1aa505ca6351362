from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.crash_dump.memory import PhysicalMemory
from poolsleuth.kernel.paging import cache
from poolsleuth.kernel.paging.cache import TableCache

MachineMaker = Callable[..., Any]
Fill = Callable[[int], bytes]


@pytest.fixture(scope="module")
def memory(machine: MachineMaker) -> PhysicalMemory:
    made = machine("x64")
    for number in range(40):
        made.page(number)
    found: PhysicalMemory = made.memory(lost=[5, 6], cut=[7])
    return found


@settings(max_examples=60, deadline=None)
@given(
    asked=st.lists(
        st.one_of(st.integers(0, 45), st.lists(st.integers(0, 45), min_size=1, max_size=12)), min_size=1, max_size=30
    ),
    width=st.sampled_from([4, 8]),
)
def test_whatever_is_asked_for_is_what_the_page_holds(
    memory: PhysicalMemory, fill: Fill, asked: list[int | list[int]], width: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "MAX_TABLES", 16)
        patch.setattr(cache, "FIRST_TABLES", 3)  # it grows on the way
        tables = TableCache(memory, width)
        for question in asked:
            numbers = [question] if isinstance(question, int) else question
            states = [-1 if number in (5, 6) or number >= 40 else -2 if number == 7 else 0 for number in numbers]
            if isinstance(question, int):
                wanted = states[0] or int.from_bytes(fill(question)[9 * width : 10 * width], "little")
                assert tables.entry(question, 9) == wanted
                continue
            rows, found = tables.rows(np.array(numbers, np.int64))
            assert found.tolist() == states
            assert rows.dtype == np.uint64
            for number, row, state in zip(numbers, rows, states, strict=True):
                if not state:
                    assert row.tolist() == np.frombuffer(fill(number), f"<u{width}").tolist()
        assert len(tables._slots) <= 16


def test_little_memory_where_little_is_read(memory: PhysicalMemory) -> None:
    """Thousands of processes can be open at the same time."""
    tables = TableCache(memory, 8)
    for number in range(4):
        tables.entry(number, 0)
    assert tables._data.nbytes == cache.FIRST_TABLES * 4096
    tables.rows(np.arange(40, dtype=np.int64))
    assert tables._data.nbytes <= 2 * 44 * 4096
