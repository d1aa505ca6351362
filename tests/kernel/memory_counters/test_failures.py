"""Counts of refused pool: variables up to 8.1, MiState from Windows 10 to 1809, gone after."""

from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.memory_counters.failures import read_pool_failures
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.bundled_tables import bundled_table
from poolsleuth.windows.kernel_table import Field, KernelTable, PdbId, Structure

COUNTS, REASONS, STATE = 0x80550000, 0x80551000, 0x80600000
STATE_TYPE = "_MI_SYSTEM_INFORMATION"


def kernel_of(memory: Any, build: int, **known: Any) -> Kernel:
    return Kernel(
        memory=Reader(memory), build=build, architecture="x64", pae=None, base=0, size=None, pdb=None,
        processors=None, **({"table": None} | known),
    )  # fmt: skip


def test_the_variables_of_older_versions(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    memory.put(COUNTS, *range(1, 10), width=4)
    memory.put(REASONS, *range(20, 31), width=4)
    known = {"MmPoolFailures": COUNTS, "MmPoolFailureReasons": REASONS}
    found = read_pool_failures(kernel_of(memory, 7601, addresses=known))
    assert found is not None
    assert found.counts == ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    assert found.counts_address == COUNTS
    assert found.by_reason is not None
    assert not found.reasons_named
    assert {name: figure.value for name, figure in found.by_reason.items()}["PagedNoCommit"] == 27
    assert found.by_reason["NonPagedNoPtes"].address == REASONS


@pytest.mark.parametrize("guid", ["517E128F7B7C4EA79491DE6B9B9CE190", "8B11040A5928757B11390AC78F6B6925"])
def test_mi_state_of_1607_and_1809(guid: str, fake_memory: Callable[[int], Any]) -> None:
    """PoolFailures 30, PoolFailureReasons 54 in both (public symbol tables)."""
    memory = fake_memory(8)
    memory.put(STATE + 0x30, *range(9), width=4)
    memory.put(STATE + 0x54, *range(100, 111), width=4)
    table = bundled_table(PdbId("ntkrnlmp.pdb", guid, 1))
    assert table is not None
    moved = KernelTable(pdb=None, machine="x64", source="test", symbols={"MiState": STATE}, structures=table.structures)
    found = read_pool_failures(kernel_of(memory, 14393, table=moved))
    assert found is not None
    assert found.counts == ((0, 1, 2), (3, 4, 5), (6, 7, 8))
    assert found.by_reason is not None
    assert [figure.value for figure in found.by_reason.values()] == list(range(100, 111))
    assert found.by_reason["SessionPagedNoCommit"].value == 108
    assert found.by_reason["SessionPagedNoCommit"].name == "MiState.Pools.PoolFailureReasons.SessionPagedNoCommit"


def test_reasons_that_the_symbols_name_stand_where_they_say(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    memory.put(STATE + 0x60, 5, 6, width=4)
    fields = {
        "Pools.PoolFailureReasons": Field(0x60, 8),
        "Pools.PoolFailureReasons.PagedNoCommit": Field(0x60, 4),
        "Pools.PoolFailureReasons.NonPagedNoPtes": Field(0x64, 4),
    }
    table = KernelTable(
        pdb=None, machine="x64", source="test", symbols={"MiState": STATE},
        structures={STATE_TYPE: Structure(0x100, fields)},
    )  # fmt: skip
    found = read_pool_failures(kernel_of(memory, 14393, table=table))
    assert found is not None
    assert found.counts is None
    assert found.reasons_named
    assert found.by_reason is not None
    assert {name: figure.value for name, figure in found.by_reason.items()} == {"PagedNoCommit": 5, "NonPagedNoPtes": 6}


def test_they_are_gone_from_1903_on(fake_memory: Callable[[int], Any]) -> None:
    table = bundled_table(PdbId("ntkrnlmp.pdb", "5278AFF86C341677D7D7835C85B7B844", 1))
    memory = fake_memory(8)
    stale = {"MmPoolFailures": COUNTS, "MmPoolFailureReasons": REASONS}
    memory.put(COUNTS, 1)
    assert read_pool_failures(kernel_of(memory, 19041, table=table, addresses=stale)) is None


def test_counts_that_cannot_be_read(fake_memory: Callable[[int], Any]) -> None:
    known = {"MmPoolFailures": COUNTS, "MmPoolFailureReasons": REASONS}
    assert read_pool_failures(kernel_of(fake_memory(8), 7601, addresses=known)) is None
    assert read_pool_failures(kernel_of(fake_memory(8), 7601)) is None
