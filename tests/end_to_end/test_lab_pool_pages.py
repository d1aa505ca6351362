"""The blocks that are read from a dump of the simulated machine are those that its allocator made, one by one."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from poolsleuth.evidence.dump.opening import open_kernel
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.pool.blocks import BrokenChain, Kind, Pool, Rule, State
from poolsleuth.kernel.pool.classic_walk import walk_classic_pool
from poolsleuth.lab.allocator.corruption import Damage, corrupt
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.machine import FREE, PAGE, Hidden, Machine
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size

NAMES = (
    "2600-x86", "2600-x86-pae", "3790-x86", "3790-x86-pae", "3790-x64", "6002-x86-pae", "6002-x64", "7601-x86-pae",
    "7601-x64", "9600-x64", "14393-x64",
)  # fmt: skip
POOLS = {"nonpaged": Pool.NONPAGED, "paged": Pool.PAGED}
FIELDS = ("address", "size", "tag", "pool", "state", "kind", "protected")


def walked(machine: SimulatedMachine, path: Path) -> tuple[NDArray[np.void], list[BrokenChain], int]:
    """The blocks of a dump, the broken chains, and how many pages have chains that close."""
    machine.write(path, "bitmap-full")
    with path.open("rb") as file, open_content(file) as content:
        kernel = open_kernel(content, DumpOptions()).kernel
        assert kernel is not None
        parts = list(walk_classic_pool(kernel))
        assert all(part.stopped is None for part in parts)
        blocks = np.concatenate([part.blocks for part in parts])
        return blocks, [each for part in parts for each in part.broken], sum(part.pool_pages for part in parts)


def rows(truth: Machine) -> set[tuple[int, ...]]:
    """All blocks of the truth whose pages are in the dump, as the reader has to tell them."""
    absent = set(truth.absent_pages)
    found: set[tuple[int, ...]] = set()
    for pages in truth.pool_pages:
        pool = POOLS[pages.pool]
        page = pages.blocks["address"] // np.uint64(PAGE)
        used = set(page[pages.blocks["state"] != FREE].tolist())
        for block in pages.blocks.tolist():
            address, size, tag, state, protected, _process = block
            if address // PAGE * PAGE in absent:
                continue
            # A block that waits in a lookaside list looks like one in use
            said = State.FREE if state == FREE else State.ALLOCATED
            known = pool if address // PAGE in used else Pool.UNKNOWN
            found.add((address, size, tag, known, said, Kind.CLASSIC, int(protected)))
    return found


def as_rows(blocks: NDArray[np.void]) -> set[tuple[int, ...]]:
    return set(zip(*(blocks[name].tolist() for name in FIELDS), strict=True))


@pytest.mark.parametrize("story", ["leak", "fragmentation"])
@pytest.mark.parametrize("name", NAMES)
def test_every_block(name: str, story: str, tmp_path: Path) -> None:
    machine = simulate(make_machine(windows_named(name), story, seed=2, size=small_size()))
    blocks, broken, pages = walked(machine, tmp_path / "MEMORY.DMP")
    wanted = rows(machine.truth)
    assert len(wanted) == len(blocks) > 1500
    assert as_rows(blocks) == wanted
    assert broken == []
    assert pages == sum(len(part.addresses) for part in machine.truth.pool_pages)


@pytest.mark.parametrize("name", ["3790-x86", "7601-x64"])
def test_pages_that_are_not_there(name: str, tmp_path: Path) -> None:
    hidden = Hidden(transition=0.2, paged_out=0.3, left_out=0.2)
    machine = simulate(make_machine(windows_named(name), size=small_size(), hidden=hidden))
    blocks, broken, _pages = walked(machine, tmp_path / "MEMORY.DMP")
    assert as_rows(blocks) == rows(machine.truth)
    assert broken == []


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (Damage.CONTRADICTION, Rule.PREVIOUS_SIZE),
        (Damage.PREVIOUS_TOO_LARGE, Rule.PREVIOUS_TOO_LARGE),
        (Damage.SIZE_WRONG, Rule.SIZE_WRONG),
        (Damage.SIZE_ZERO, Rule.SIZE_ZERO),
        (Damage.SIZE_TOO_LARGE, Rule.SIZE_TOO_LARGE),
        (Damage.OVERRUN, Rule.OVERRUN),
    ],
)
@pytest.mark.parametrize("name", ["2600-x86", "3790-x64", "14393-x64"])
def test_a_damaged_header_is_named(name: str, damage: Damage, rule: Rule, tmp_path: Path) -> None:
    """Each of the cases of 0x19 by its number, at the block that was damaged, with the block in front of it."""
    machine = simulate(make_machine(windows_named(name), size=small_size()))
    told = corrupt(machine, damage, Random(7))
    blocks, broken, _pages = walked(machine, tmp_path / "MEMORY.DMP")
    assert [(each.address, each.rule) for each in broken] == [(told.address, rule)]
    assert int(rule) == int(damage)
    page = told.address // PAGE
    assert as_rows(blocks) == {row for row in rows(machine.truth) if row[0] // PAGE != page}
    (pages,) = [pages for pages in machine.truth.pool_pages if pages.pool == told.pool]
    in_front = pages.blocks[told.victim - 1]
    assert (broken[0].front, broken[0].front_tag) == (int(in_front["address"]), int(in_front["tag"]))
