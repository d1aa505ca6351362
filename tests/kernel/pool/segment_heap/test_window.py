"""A window gives the same bytes whether it looks at the file or at a copy, wherever in the file the pages lie."""

from pathlib import Path

import numpy as np
import pytest

from poolsleuth.evidence.dump.opening import open_kernel
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.paging.space import VirtualMemory
from poolsleuth.kernel.pool.big_pages import read_big_pages
from poolsleuth.kernel.pool.segment_heap.big import BigIndex
from poolsleuth.kernel.pool.segment_heap.parts import Addresses, Numbers, Teller, Window, read_window
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.machine import IN_USE, Hidden
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size

HIDDEN = Hidden(transition=0.2, paged_out=0.2, left_out=0.1)


class Copying:
    """A space that has no view to give."""

    def __init__(self, space: VirtualMemory) -> None:
        self.pointer_size = space.pointer_size
        self.gather = space.gather
        self.read = space.read
        self.translate_pages = space.translate_pages


def window_of(space: VirtualMemory, addresses: Addresses, lengths: Numbers, *, copied: bool) -> Window:
    pools = np.zeros(len(addresses), np.uint8)
    return read_window(Copying(space) if copied else space, addresses, lengths, pools)


def written(kind: str, path: Path, hidden: Hidden = HIDDEN) -> SimulatedMachine:
    machine = simulate(make_machine(windows_named("19041-x64"), "leak", size=small_size(), hidden=hidden))
    machine.write(path, kind)
    return machine


@pytest.mark.parametrize("kind", ["bitmap-full", "lime", "elf-core"])
def test_a_view_and_a_copy_are_the_same(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "MEMORY.DMP"
    machine = written(kind, path)
    (heap,) = [heap for heap in machine.truth.heaps if heap.index == 2 and heap.session is None]
    parts = [*heap.vs, *heap.lfh]
    addresses = np.array(
        [heap.base + part.at for part in heap.vs] + [heap.base + part.at for part in heap.lfh], np.uint64
    )
    lengths = np.array([part.length for part in heap.vs] + [part.length for part in heap.lfh], np.int64)
    assert len(parts) == len(addresses) > 10
    with path.open("rb") as file, open_content(file) as content:
        kernel = open_kernel(content, DumpOptions()).kernel
        assert kernel is not None
        space = kernel.memory.space
        assert isinstance(space, VirtualMemory)
        first, second = (window_of(space, addresses, lengths, copied=copied) for copied in (False, True))
        assert first.readable.tolist() == second.readable.tolist()
        assert (first.mapped, first.unreadable) == (second.mapped, second.unreadable)
        assert 0 < first.unreadable < first.mapped < len(first.readable)
        there = (np.flatnonzero(first.readable)[:, None] * PAGE + np.arange(0, PAGE, 8)).reshape(-1)
        for name, step in (("bytes_at", 3), ("halves_at", 2), ("words_at", 4), ("pointers_at", 0)):
            at = there + step
            assert getattr(first, name)(at).tolist() == getattr(second, name)(at).tolist()
        # What cannot be read must not lead out of the file
        everywhere = np.arange(0, int(lengths.sum()), PAGE)
        assert len(first.pointers_at(everywhere)) == len(everywhere)


def test_pages_that_all_are_missing_have_no_view(tmp_path: Path) -> None:
    path = tmp_path / "MEMORY.DMP"
    written("bitmap-full", path)
    with path.open("rb") as file, open_content(file) as content:
        kernel = open_kernel(content, DumpOptions()).kernel
        assert kernel is not None
        space = kernel.memory.space
        assert isinstance(space, VirtualMemory)
        assert space.page_view(np.array([0xFFFFF5000000000], np.uint64)) is None
        window = window_of(space, np.array([0xFFFFF50000000000], np.uint64), np.array([PAGE], np.int64), copied=False)
        assert (window.readable.tolist(), window.mapped) == ([False], 0)
        assert window.pointers_at(np.array([0, 8])).tolist() == [0, 0]


def test_what_lies_in_a_big_allocation(tmp_path: Path) -> None:
    path = tmp_path / "MEMORY.DMP"
    machine = written("bitmap-full", path, Hidden())
    rows = machine.truth.big_pages.rows
    rows = rows[rows["state"] == IN_USE]
    with path.open("rb") as file, open_content(file) as content:
        kernel = open_kernel(content, DumpOptions()).kernel
        assert kernel is not None
        big = BigIndex(read_big_pages(kernel), Teller())
    starts = rows["address"].astype(np.uint64)
    ends = starts + (rows["bytes"].astype(np.uint64) + np.uint64(PAGE - 1) & ~np.uint64(PAGE - 1))
    assert big.cover(starts).all()
    assert big.cover(ends - np.uint64(1)).all()
    outside = ends[~np.isin(ends, starts)]
    assert len(outside) > 5
    assert not big.cover(outside).any()
    assert not BigIndex(None, Teller()).cover(starts).any()
