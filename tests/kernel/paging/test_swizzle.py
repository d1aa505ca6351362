from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.kernel.paging import swizzle
from poolsleuth.kernel.paging.parameters import parameters_for
from poolsleuth.kernel.paging.space import VirtualMemory, open_address_space
from poolsleuth.kernel.paging.swizzle import inferred_invalid_pte_mask

HIGH = 0xFFFFF80000000000
KERNEL_HALF = (1 << 64) - (1 << 47), (1 << 64) - 1
MachineMaker = Callable[..., Any]


def machine_with(machine: MachineMaker, mask: int, count: int = 200, build: int = 19041) -> tuple[Any, VirtualMemory]:
    made = machine("x64")
    for i in range(count):
        made.put(HIGH + i * 0x1000, mask | 0x12345 + i << 12 | 0x880)
    # What says nothing about the mask: entries of other kinds, and one that says that it is as it was written
    made.put(HIGH + (1 << 21), 0x55 << 32 | 0x80)
    made.put(HIGH + (2 << 21), 0x777 << 12 | 0x890)
    made.map(HIGH + (3 << 21), 0x777, fill=False)
    return made, open_address_space(made.memory(), parameters_for(build, "x64", None), made.dtb)


@pytest.mark.parametrize("mask", [0, 1 << 45, 1 << 43, 0x3 << 44])
def test_the_mask_is_seen_in_entries_in_transition(machine: MachineMaker, mask: int) -> None:
    assert inferred_invalid_pte_mask(machine_with(machine, mask)[1], *KERNEL_HALF) == mask


def test_too_few_entries_prove_nothing(machine: MachineMaker) -> None:
    assert inferred_invalid_pte_mask(machine_with(machine, 1 << 45, 63)[1], *KERNEL_HALF) is None
    assert inferred_invalid_pte_mask(machine_with(machine, 1 << 45, 64)[1], *KERNEL_HALF) == 1 << 45


def test_entries_that_contradict_each_other_prove_nothing(machine: MachineMaker) -> None:
    made, _ = machine_with(machine, 1 << 45)
    made.put(HIGH + (4 << 21), 0x12345880)
    space = open_address_space(made.memory(), parameters_for(19041, "x64", None), made.dtb)
    assert inferred_invalid_pte_mask(space, *KERNEL_HALF) is None


def test_a_kernel_without_the_bit_has_no_mask(machine: MachineMaker) -> None:
    assert inferred_invalid_pte_mask(machine_with(machine, 0, build=7601)[1], *KERNEL_HALF) is None


def test_only_so_many_tables_are_looked_at(machine: MachineMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = machine_with(machine, 1 << 45)
    made.put(HIGH + (4 << 21), 0x12345880)
    space = open_address_space(made.memory(), parameters_for(19041, "x64", None), made.dtb)
    # Five page tables, and the contradiction lies in the last one. The three tables above are counted apart
    monkeypatch.setattr(swizzle, "SAMPLE_TABLES", 4)
    assert inferred_invalid_pte_mask(space, *KERNEL_HALF) == 1 << 45
