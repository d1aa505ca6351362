"""Driver Verifier: MmVerifierData begins with the options; the counters lie where the symbols say."""

from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.target import Kernel
from poolsleuth.kernel.verifier import read_verifier
from poolsleuth.windows.bundled_tables import bundled_table
from poolsleuth.windows.kernel_table import Field, PdbId, Structure

DATA, TAG, PAGES, LIST = 0x80550000, 0x80551000, 0x80552000, 0x80553000


def kernel_of(memory: Any, build: int = 7601, **known: Any) -> Kernel:
    return Kernel(
        memory=Reader(memory),
        build=build,
        architecture="x64",
        pae=None,
        size=None,
        pdb=None,
        processors=None,
        **({"base": 0, "table": None} | known),
    )


def test_nothing_is_known(fake_memory: Callable[[int], Any]) -> None:
    state = read_verifier(kernel_of(fake_memory(8)))
    assert (state.level, state.on, state.address, state.drivers) == (None, None, None, None)
    assert (state.special_pool_bytes, state.special_pool_tag, dict(state.counters)) == (None, None, {})


@pytest.mark.parametrize(("level", "on"), [(0, False), (0x9BB, True)])
def test_the_level_without_symbols(level: int, on: bool, fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    memory.put(DATA, level, width=4)
    memory.write(TAG, b"Lk01")
    memory.put(PAGES, 12)
    known = {"MmVerifierData": DATA, "MmSpecialPoolTag": TAG, "MmSpecialPagesInUse": PAGES}
    state = read_verifier(kernel_of(memory, addresses=known))
    assert (state.level, state.on, state.address) == (level, on, DATA)
    assert (state.special_pool_tag, state.special_pool_bytes) == ("Lk01", 12 * 4096)


def test_no_tag_is_sent_to_special_pool(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    memory.put(TAG, 0, width=4)
    memory.put(PAGES, -1)
    state = read_verifier(kernel_of(memory, addresses={"MmSpecialPoolTag": TAG, "MmSpecialPagesInUse": PAGES}))
    assert (state.special_pool_tag, state.special_pool_bytes) == ("", None)


@pytest.mark.parametrize(
    # The counter of failures moved when "AllocationFreed" came (20348): it lies before, the bytes behind it
    ("guid", "build", "paged_bytes_at"),
    [
        ("339E74133576439CBCDF7E0229DA3773", 7601, 0x50),
        ("5278AFF86C341677D7D7835C85B7B844", 19041, 0x50),
        ("C2EADB24A615E9472CE47C8ADD31F130", 20348, 0x58),
    ],
)
def test_counters_with_symbols(guid: str, build: int, paged_bytes_at: int, fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    table = bundled_table(PdbId("ntkrnlmp.pdb", guid, 1))
    assert table is not None
    base = DATA - table.symbols["MmVerifierData"]
    memory.write(DATA, bytes(0x100))
    memory.put(DATA, 0x209BB, width=4)
    memory.put(DATA + 0x2C, 62, width=4)
    memory.put(DATA + paged_bytes_at, 0x123456789, 0x987654321)
    state = read_verifier(kernel_of(memory, build, table=table, base=base))
    assert state.level == 0x209BB
    assert state.counters["AllocationsFailedDeliberately"] == 62
    assert state.counters["PagedBytes"] == 0x123456789
    assert state.counters["NonPagedBytes"] == 0x987654321


def test_special_pool_of_windows_10(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    table = bundled_table(PdbId("ntkrnlmp.pdb", "517E128F7B7C4EA79491DE6B9B9CE190", 1))
    assert table is not None
    state_at = 0x80600000
    memory.put(state_at + 0x14B8, 500)  # Vs.SpecialPagesInUse of 14393
    state = read_verifier(kernel_of(memory, 14393, table=table, base=state_at - table.symbols["MiState"]))
    assert state.special_pool_bytes == 500 * 4096


def test_the_drivers_of_2003(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(4)
    layouts = {"_MI_VERIFIER_DRIVER_ENTRY": Structure(0x40, {"Links": Field(0, 8), "BaseName": Field(0x10, 8)})}
    entries = [LIST + 0x100, LIST + 0x200]
    ring = [LIST, *entries, LIST]
    memory.put(LIST, ring[1], ring[-2])
    for i, name in enumerate(["leaky.sys", "other.sys"]):
        memory.put(ring[i + 1], ring[i + 2], ring[i])
        memory.write(ring[i + 1] + 0x10, (len(name) * 2).to_bytes(2, "little") * 2)
        memory.put(ring[i + 1] + 0x14, ring[i + 1] + 0x80)
        memory.write(ring[i + 1] + 0x80, name.encode("utf-16-le"))
    state = read_verifier(kernel_of(memory, 3790, addresses={"MiSuspectDriverList": LIST}, layouts=layouts))
    assert state.drivers == ("leaky.sys", "other.sys")
    assert read_verifier(kernel_of(memory, 3790, addresses={"MiSuspectDriverList": LIST})).drivers is None
