"""Kernels of simulated machines are found without their symbols, and just as with them."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.crash_dump.content import DumpContent
from poolsleuth.kernel.crash_dump.dump import open_dump
from poolsleuth.kernel.find import find_kernel, kernel_version
from poolsleuth.kernel.paging.parameters import parameters_for
from poolsleuth.kernel.paging.space import open_address_space
from poolsleuth.kernel.target import Kernel
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.windows.bundled_tables import bundled_table
from poolsleuth.windows.kernel_table import KernelTable, PdbId

Tables = Callable[[PdbId], tuple[KernelTable | None, tuple[str, ...]]]
# One of each kind of kernel; the end-to-end tests have them all
NAMES = ("2600-x86-pae", "3790-x86", "6002-x64", "7601-x64", "9600-x64", "14393-x64", "20348-x64", "22000-x64")


@cache
def simulated(name: str) -> SimulatedMachine:
    return simulate(make_machine(windows_named(name), "healthy", size=small_size()))


def found(name: str, folder: Path, tables: Tables) -> Kernel:
    path = folder / "MEMORY.DMP"
    if not path.exists():
        simulated(name).write(path, "complete")
    dump = open_dump(DumpContent(path.read_bytes()))
    header = dump.header
    assert dump.memory is not None
    parameters = parameters_for(header.build or 0, header.architecture or "", header.pae)
    space = open_address_space(dump.memory, parameters, header.directory_table_base or 0)
    kernel = find_kernel(Reader(space), header=header, open_process=None, tables=tables)
    assert kernel is not None
    return kernel


@pytest.mark.parametrize("name", NAMES)
def test_without_symbols(name: str, tmp_path: Path) -> None:
    kernel = found(name, tmp_path, lambda _: (None, ()))
    truth = simulated(name).truth
    assert kernel.base == truth.modules[0].base
    assert (kernel.build, kernel.architecture) == (truth.windows.build, truth.windows.architecture)
    assert kernel_version(kernel).build == truth.windows.build
    for variable in ("PoolTrackTableSize", "PoolBigPageTable", "PoolBigPageTableSize"):
        assert kernel.variable(variable), variable
    assert (kernel.address("ExPoolTagTables") is not None) == (truth.windows.build >= 6000)
    assert kernel.place("_EPROCESS", "ActiveProcessLinks") is not None
    exact = found(name, tmp_path, lambda pdb: (bundled_table(pdb), ()))
    if exact.table is None:
        return
    for variable, address in kernel.addresses.items():
        assert exact.address(variable) == address, variable
    for structure, layout in kernel.layouts.items():
        true = exact.table.structures.get(structure)
        # The entry of modules has another name in the symbols of each Windows
        if true is None or structure in ("_LDR_DATA_TABLE_ENTRY", "_MM_SESSION_SPACE", "_MMPTE_TRANSITION"):
            continue
        for path, place in layout.fields.items():
            if path in true.fields:
                assert true.fields[path].offset == place.offset, (structure, path)


def test_missing_pages_are_survived(tmp_path: Path) -> None:
    name = "19041-x64"
    simulated(name).write(tmp_path / "whole", "complete")
    raw = np.frombuffer((tmp_path / "whole").read_bytes(), np.uint8)
    for seed in range(6):
        chance = np.random.default_rng(seed)
        cut = raw[: chance.integers(len(raw) // 4, len(raw))].copy()
        for page in chance.integers(2, len(cut) // 4096, 40):
            cut[page * 4096 : page * 4096 + 4096] = chance.integers(0, 256, 4096 if seed % 2 else 1)
        dump = open_dump(DumpContent(cut.tobytes()))
        assert dump.memory is not None
        space = open_address_space(
            dump.memory, parameters_for(19041, "x64", None), dump.header.directory_table_base or 0
        )
        kernel = find_kernel(Reader(space), header=dump.header, open_process=None, tables=lambda _: (None, ()))
        assert kernel is None or kernel.base % 4096 == 0
