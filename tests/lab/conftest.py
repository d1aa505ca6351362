"""A reader of simulated memory that shares nothing with the lab's page tables or with the project's reader."""

from collections.abc import Callable
from functools import cache

import pytest

from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size

Read = Callable[[SimulatedMachine, int, int], bytes]


def _walk_x64(machine: SimulatedMachine, virtual: int, size: int) -> bytes:
    """Four levels of page tables, as the processor's manual has them; transition entries as valid ones."""
    found = b""
    while size:
        table = machine.header.directory_table_base & 0x000F_FFFF_FFFF_F000
        for shift in (39, 30, 21, 12):
            entry = int.from_bytes(machine.physical.read(table + (virtual >> shift & 0x1FF) * 8, 8), "little")
            if shift == 12 and entry & 0xC01 == 0x800:
                entry &= ~(1 << 45)
            else:
                assert entry & 1, f"{virtual:#x} is not mapped at bit {shift}"
            table = entry & 0x000F_FFFF_FFFF_F000
        count = min(size, 0x1000 - virtual % 0x1000)
        found += machine.physical.read(table + virtual % 0x1000, count)
        virtual, size = virtual + count, size - count
    return found


@cache
def _small(name: str, story: str) -> SimulatedMachine:
    return simulate(make_machine(windows_named(name), story, seed=5, size=small_size()))


@pytest.fixture
def read() -> Read:
    """Read memory of a 64-bit machine through its page tables."""
    return _walk_x64


@pytest.fixture
def small() -> Callable[[str, str], SimulatedMachine]:
    """A small machine by the names of its Windows and its story; made once."""
    return _small
