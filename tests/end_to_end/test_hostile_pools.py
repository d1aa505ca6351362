"""Pools of dumps that nobody's Windows wrote: memory shown again and again, noise for tags, tables without end.

What each took, or by its bounds could take, stands beside it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np
import pytest

from poolsleuth.evidence.dump import block_facts
from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.evidence.dump.opening import open_kernel
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.pool import block_stats, lookaside_places, pointer_holders, session_walk, walk_budget
from poolsleuth.kernel.pool.big_pages import MAX_SESSION_ENTRIES, read_session_big_pages
from poolsleuth.kernel.pool.block_stats import BlockStats, Room
from poolsleuth.kernel.pool.blocks import BLOCK, Pool, State
from poolsleuth.kernel.pool.lookasides import read_lookasides
from poolsleuth.kernel.pool.page_census import CensusRoom, PageCensus
from poolsleuth.kernel.pool.pointer_places import Image
from poolsleuth.kernel.pool.reconciliation import MAX_TAGS, BlockTotals
from poolsleuth.kernel.pool.segment_heap import walk as segment_walk
from poolsleuth.kernel.pool.session_walk import walk_session_pools
from poolsleuth.kernel.pool.walk import walk_pool
from poolsleuth.kernel.sessions import Session
from poolsleuth.kernel.target import Kernel
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.machine import PAGE
from poolsleuth.lab.session_blocks import with_session_pools
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.facts import Problem, Where
from poolsleuth.model.system import BugCheck

CRASH = BugCheck(where=Where(0), code=0x19, parameters=(), name=None)
LOOP, LARGE = 0x63, 0xE3  # page table entries: present, writable, accessed, dirty; and large
MAX_SECONDS = 10.0  # of the processor


def machine(name: str, story: str = "fragmentation", *, sessions: bool = False) -> SimulatedMachine:
    made = make_machine(windows_named(name), story, size=small_size())
    return simulate(with_session_pools(made, Random(3)) if sessions else made)


@contextmanager
def opened(simulated: SimulatedMachine, folder: Path) -> Iterator[Kernel]:
    path = folder / "MEMORY.DMP"
    simulated.write(path, "bitmap-full")
    with path.open("rb") as file, open_content(file) as content:
        kernel = open_kernel(content, DumpOptions(offline=True)).kernel
        assert kernel is not None
        yield kernel


def show_again(simulated: SimulatedMachine, entry: int, levels: int) -> None:
    """Fill tables with one entry, each below the other, and hang them into a free place of the kernel's half."""
    physical, root = simulated.physical, simulated.header.directory_table_base & -PAGE
    for _ in range(levels):
        number = physical.take(1)
        assert isinstance(number, int)
        physical.write(number * PAGE, entry.to_bytes(8, "little") * 512)
        entry = number * PAGE | LOOP
    places = range(root + 8 * 511, root + 8 * 256, -8)
    free = next(place for place in places if not any(physical.read(place, 8)))
    physical.write(free, entry.to_bytes(8, "little"))


def fullest_page(simulated: SimulatedMachine) -> int:
    """The physical address of a page of pool."""
    pages = [page for part in simulated.truth.pool_pages if part.pool != "session" for page in part.addresses.tolist()]
    address = simulated.system.translate(max(pages, key=lambda page: len(set(simulated.system.read(page, PAGE)))))
    assert address is not None
    return address


def test_pool_page_at_every_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by reading: 128 million pages that are one: 6 minutes for each walk (by its rate), and there are three."""
    monkeypatch.setattr(walk_budget, "MIN_PAGES", 1 << 12)
    simulated = machine("7601-x64")
    show_again(simulated, fullest_page(simulated) | LOOP, 3)
    with opened(simulated, tmp_path) as kernel:
        began = time.process_time()
        parts = list(walk_pool(kernel))
        assert time.process_time() - began < MAX_SECONDS
        held = kernel.memory.space.pages_held  # type: ignore[attr-defined]
        assert held == 64 << 8
        assert sum(part.pool_pages for part in parts) <= 2 * held
        assert [part.stopped for part in parts if part.stopped] == [
            "the same memory is mapped again and again (16,384 pages are in the dump, and more than 32,768 look like"
            " pool): the walk of the pool ends there"
        ]
        # What lies at lower addresses is read, and the rest of the report is made
        problems: list[Problem] = []
        facts = list(block_facts.block_facts(kernel, [CRASH], DumpContext(0, 64, None, problems)))
    assert facts
    assert any("again and again" in problem.says for problem in problems)


def test_memory_that_is_mapped_and_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by reading: 1 TB of it took 8 s for each walk, most of it for nothing."""
    monkeypatch.setattr(walk_budget, "MIN_ABSENT", 1 << 16)
    simulated = machine("7601-x64")
    show_again(simulated, 50 << 30 | LARGE, 1)
    with opened(simulated, tmp_path) as kernel:
        parts = list(walk_pool(kernel))
    assert sum(part.mapped for part in parts) < 1 << 20
    assert parts[-1].stopped == "far more memory is mapped than is in the dump: the walk of the pool ends there"


def test_healthy_machine_is_within_the_budget(tmp_path: Path) -> None:
    with opened(machine("7601-x64"), tmp_path) as kernel:
        assert {part.stopped for part in walk_pool(kernel)} == {None}


@pytest.mark.parametrize(("held", "says"), [(1, "again and again"), (0, "more segments than the dump has pages")])
def test_segment_heaps_without_end(held: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by reading: 256 heaps with lists of a million segments each, and a terabyte of pages that are one."""
    with opened(machine("19041-x64", "leak"), tmp_path) as kernel:
        if held:
            monkeypatch.setattr(walk_budget, "MIN_PAGES", 1)
            monkeypatch.setattr(walk_budget, "TIMES_HELD", 0)
        else:
            monkeypatch.setattr(segment_walk, "MIN_SEGMENTS", 1)
            monkeypatch.setattr("poolsleuth.kernel.paging.space.VirtualMemory.pages_held", 0)
        parts = list(walk_pool(kernel))
    assert says in (parts[-1].stopped or "")


@pytest.mark.parametrize(
    ("bound", "says"),
    [("MAX_ALL_PAGES", "what was looked at is more"), ("MAX_TABLES", "what was looked at is more"),
     ("MAX_WAITING", "lookaside lists of further sessions are not read")],
)  # fmt: skip
def test_sessions_without_end(bound: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by reading: pages that are the system's, empty page tables and waiting blocks counted for no session."""
    monkeypatch.setattr(session_walk, bound, 0)
    with opened(machine("7601-x64", "session-full", sessions=True), tmp_path) as kernel:
        parts = list(walk_session_pools(kernel, lookasides=True))
    assert any(says in sentence for part in parts for sentence in part.says)


def test_table_of_big_pages_of_a_session(tmp_path: Path) -> None:
    """Found by reading: 16 million rows took half a second for each of up to 4,096 sessions."""
    with opened(machine("7601-x64", "leak"), tmp_path) as kernel:
        rows = MAX_SESSION_ENTRIES + 1
        base = 0xFFFFF900_00000000
        session = Session(
            id=1, address=base, processes=1, directory_table_base=1, memory=kernel.memory, big_pages=(base, rows)
        )
        found = read_session_big_pages(kernel, session)
    assert found.table is None
    assert found.says == (
        "the table of big allocations is said to have 1,048,577 rows, more than any Windows has: it is not read",
    )


def noise(count: int, first: int = 0) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    """Blocks of 16 bytes, each with a tag of its own."""
    blocks = np.zeros(count, BLOCK)
    blocks["address"] = np.uint64(0xFFFFFA80_00000000) + np.arange(count, dtype=np.uint64) * np.uint64(16)
    blocks["size"], blocks["state"] = 16, int(State.ALLOCATED)
    blocks["tag"] = np.arange(first, first + count, dtype=np.uint32)
    return blocks


def test_a_tag_for_each_block() -> None:
    """Found by reading: 2 microseconds for each of the 64 million tags that 1 GB of noise can have."""
    count = 4 * MAX_TAGS + 256
    totals, stats = BlockTotals(), BlockStats()
    began = time.process_time()
    for part in range(3):
        totals.add(noise(count, part * count))
        stats.add(noise(count, part * count))
    assert time.process_time() - began < MAX_SECONDS
    assert not totals.complete
    found = stats.pools[Pool.NONPAGED]
    assert len(found.kinds) == block_stats.MAX_KINDS
    assert not found.kinds_complete
    assert found.live_bytes == 3 * count * 16  # what is not told apart is counted


def test_what_sessions_hold_together() -> None:
    """Found by reading: 200,000 kinds, 65,536 areas and 4 million pages were kept for each of 256 sessions: 20 GB."""
    room, census_room = Room(kinds=300, tags=50), CensusRoom(areas=3, absent=100)
    none = np.empty(0, np.int64)
    kinds = pinned = areas = absent = 0
    for session in range(4):
        stats, census = BlockStats(room=room), PageCensus(room=census_room)
        blocks = noise(25_600, session * 25_600)
        blocks["state"][np.arange(len(blocks)) % 256 != 7] = int(State.FREE)  # one block of each page holds it
        stats.add(blocks)
        kinds += sum(len(pool.kinds) for pool in stats.pools.values())
        pinned += sum(len(pool.pinned_by) for pool in stats.pools.values())
        census.add(blocks, np.arange(60, dtype=np.uint64), np.full(60, -1, np.int64))
        census.add(blocks[:0], none.astype(np.uint64), none)
        areas += len(census.votes)
        absent += sum(map(len, census._pages))
        assert census.whole == (session == 0)
    assert kinds == 300
    assert pinned <= 100  # those that hold a page, and those that do alone, are counted by themselves
    assert (areas, absent) == (3, 100)


def test_sections_of_4_gb() -> None:
    """Found by reading: a million page numbers for each of up to 480,000 sections, of which none was used: an hour."""
    sections = tuple((0xFFFFF800_00000000, 0xFFFFF800_FFFFFFFF) for _ in range(96))
    images = [Image(f"{i}.sys", 0xFFFFF800_00000000, 0xFFFFF801_00000000, None, sections) for i in range(500)]
    began = time.process_time()
    pages = pointer_holders._module_pages(images)
    assert time.process_time() - began < 1
    assert len(pages) == pointer_holders.MAX_MODULE_PAGES


@pytest.mark.parametrize("fill", [lambda at: b"Pool" * 1024, lambda at: (at & -PAGE).to_bytes(8, "little") * 512])
def test_control_blocks_full_of_lists(
    fill: Callable[[int], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by reading: 16,000 places in each of 2,048 control blocks were tried one by one: minutes."""
    monkeypatch.setattr(lookaside_places, "_by_symbols", lambda *_: iter(()))
    monkeypatch.setattr(lookaside_places, "MAX_TRIED", 1 << 10)
    simulated = machine("7601-x64", "leak")
    space, start = simulated.system, simulated.truth.places["KiProcessorBlock"]
    block = 0xFFFFFA80_70000000
    for at in range(block, block + 0x9000, PAGE):
        space.write(at, fill(at))
    with opened(simulated, tmp_path) as kernel:
        known = kernel.memory.read(start, 8)
        monkeypatch.setattr(lookaside_places, "_processors", lambda _kernel: [block + 8 * i for i in range(200)])
        began = time.process_time()
        found = read_lookasides(kernel)
        assert time.process_time() - began < MAX_SECONDS
    assert known is not None
    assert "the lookaside lists of 200 processors cannot be found" in found.says
