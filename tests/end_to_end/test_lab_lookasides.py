"""Lookaside lists of a simulated machine, found again in its dump: with symbols, and by their shape without."""

from pathlib import Path

import pytest

from poolsleuth.evidence.dump.opening import open_kernel
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.pool.lookasides import LookasideFamily, Lookasides, read_lookasides
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.machine import IN_LOOKASIDE, Hidden
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size

NAMES = (
    "2600-x86", "3790-x86-pae", "3790-x64", "6002-x86", "6002-x64", "7601-x86-pae", "7601-x64", "9600-x64", "14393-x64",
)  # fmt: skip
LISTS = {"2600-x86": 192, "3790-x86-pae": 192, "3790-x64": 192, "9600-x64": 192, "14393-x64": 192}


def read_back(machine: SimulatedMachine, path: Path) -> tuple[Lookasides, int]:
    machine.write(path, "bitmap-full")
    with path.open("rb") as file, open_content(file) as content:
        kernel = open_kernel(content, DumpOptions()).kernel
        assert kernel is not None
        return read_lookasides(kernel), 2 * kernel.pointer_size


@pytest.mark.parametrize("name", NAMES)
def test_blocks_that_wait(name: str, tmp_path: Path) -> None:
    machine = simulate(make_machine(windows_named(name), "leak", seed=2, size=small_size(), hidden=Hidden()))
    found, unit = read_back(machine, tmp_path / "MEMORY.DMP")
    wanted = sorted(
        int(block["address"])
        for pages in machine.truth.pool_pages
        if pages.pool != "session"
        for block in pages.blocks[pages.blocks["state"] == IN_LOOKASIDE]
    )
    assert len(wanted) > 50
    assert found.freed_blocks(unit).tolist() == wanted
    assert not any(len(each.entries) for each in found.lists if not each.freed)
    assert found.says == ()
    assert len(found.lists) == LISTS.get(name, 128)
    sizes = {each.size for each in found.lists}
    assert sizes == {(i + 1) * unit for i in range(32)}
    for each in found.lists:
        assert each.family is LookasideFamily.POOL
        assert each.waits == len(each.entries)
        # The lab counts seven requests served for each block that waits, and five that were not
        assert each.allocate_hits == each.total_allocates - 5 == 7 * each.waits + each.size // unit - 1
        assert each.allocate_misses == 5


def test_waiting_blocks_that_are_paged_out(tmp_path: Path) -> None:
    hidden = Hidden(paged_out=0.5)
    machine = simulate(make_machine(windows_named("7601-x64"), "leak", seed=2, size=small_size(), hidden=hidden))
    found, _unit = read_back(machine, tmp_path / "MEMORY.DMP")
    assert any(not each.whole for each in found.lists if each.pool_type == 1)
    assert all(each.whole for each in found.lists if each.pool_type == 0)
    assert any("could not be followed to their end" in says for says in found.says)
