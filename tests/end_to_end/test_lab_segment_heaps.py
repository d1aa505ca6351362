"""Every block of the simulated segment heaps is read from the dump: address, size, tag, pool, state and kind."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from poolsleuth.evidence.dump.opening import open_kernel
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.pool.blocks import Kind, Pool, State
from poolsleuth.kernel.pool.segment_heap import scan
from poolsleuth.kernel.pool.segment_heap.parts import SegmentPart
from poolsleuth.kernel.pool.walk import walk_pool
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.machine import ALLOCATED, FREE, IN_LOOKASIDE, IN_USE, PAGE, Hidden, Machine
from poolsleuth.lab.segment_heap import contents, encode
from poolsleuth.lab.segment_heap.heap import SegmentHeap
from poolsleuth.lab.segment_heap.place import HEAPS_FROM
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size

BUILDS = ("18362-x64", "19041-x64", "20348-x64", "22000-x64")
POOLS = {
    "nonpaged": Pool.NONPAGED, "nonpaged-nx": Pool.NONPAGED_NX, "paged": Pool.PAGED, "session": Pool.SESSION,
}  # fmt: skip
STATES = {ALLOCATED: State.ALLOCATED, FREE: State.FREE, IN_LOOKASIDE: State.IN_LOOKASIDE}
KINDS = {contents.LFH: Kind.LFH, contents.VS: Kind.VS, contents.DIRECT: Kind.SEGMENT, contents.LARGE: Kind.LARGE}
FIELDS = ("address", "size", "tag", "pool", "state", "kind", "protected")

Row = tuple[int | None, ...]


def walked(machine: SimulatedMachine, path: Path, change: dict[str, object] | None = None) -> list[SegmentPart]:
    """The parts of a walk through a dump of the machine; ``change`` are values of the kernel that is found there."""
    machine.write(path, "bitmap-full")
    with path.open("rb") as file, open_content(file) as content:
        kernel = open_kernel(content, DumpOptions()).kernel
        assert kernel is not None
        parts = list(walk_pool(replace(kernel, **(change or {}))))  # type: ignore[arg-type]
    path.unlink()
    assert all(isinstance(part, SegmentPart) for part in parts)
    return [part for part in parts if isinstance(part, SegmentPart)]


def told(parts: list[SegmentPart]) -> Counter[Row]:
    """What was read, with the session."""
    found: Counter[Row] = Counter()
    for part in parts:
        columns = (part.blocks[name].tolist() for name in FIELDS)
        found.update((part.session, *row) for row in zip(*columns, strict=True))
    return found


def true_rows(truth: Machine) -> Counter[Row]:
    """All blocks of the truth, and the big allocations that lie in no heap: each once."""
    found: Counter[Row] = Counter()
    known = set()
    for heap in truth.heaps:
        for address, size, tag, state, kind, protected, _process in heap.blocks.tolist():
            row = (address, size, tag, POOLS[heap.pool], STATES[state], KINDS[kind], int(protected))
            found[(heap.session, *row)] += 1
            known.add(address)
    rows = truth.big_pages.rows
    for row in rows[rows["state"] == IN_USE]:
        if int(row["address"]) not in known:
            pool = Pool.PAGED if row["pool_type"] & 1 else Pool.NONPAGED
            tag = int.from_bytes(row["tag"].ljust(4), "little")
            found[(None, int(row["address"]), int(row["bytes"]), tag, pool, State.ALLOCATED, Kind.BIG_PAGE, 0)] += 1
    return found


def says(parts: list[SegmentPart]) -> str:
    return "; ".join(sentence for part in parts for sentence in part.says)


@pytest.mark.parametrize("story", ["leak", "fragmentation"])
@pytest.mark.parametrize("name", BUILDS)
def test_every_block(name: str, story: str, tmp_path: Path) -> None:
    machine = simulate(make_machine(windows_named(name), story, seed=2, size=small_size()))
    parts = walked(machine, tmp_path / "MEMORY.DMP")
    wanted = true_rows(machine.truth)
    assert told(parts) == wanted
    assert says(parts) == ""
    kinds = Counter(row[6] for row in wanted.elements())
    states = Counter(row[5] for row in wanted.elements())
    assert min(kinds[Kind.LFH], kinds[Kind.VS]) > 1000
    assert kinds[Kind.SEGMENT] == 6
    assert min(states[State.FREE], states[State.ALLOCATED]) > 500
    assert states[State.IN_LOOKASIDE] > 50
    assert {row[4] for row in wanted} == set(POOLS.values())
    assert {row[0] for row in wanted} == {None, *(session.id for session in machine.truth.sessions)}


def own_heap(machine: Machine, *, node: int = 0, lfh_limit: int = 0xF70) -> Machine:
    """A machine with one more heap, of blocks that a usual machine does not have."""
    dice = Random(8)
    heap = SegmentHeap("nonpaged-nx", 1, dice, base=HEAPS_FROM + (8 << 32), node=node, lfh_limit=lfh_limit)
    living = [heap.allocate(dice.choice((0x40, 0x3F0, 0x7E0, 0xC00, 0xF60, 0x1400)), "Wide") for _ in range(300)]
    heap.allocate(0x7F0001, "Larg", protected=True)
    heap.free(heap.allocate(0x900000, "Gone"))
    for size in (0x810000, 0x820001, 0x7F0123):
        heap.allocate(size, "Larg")
    dice.shuffle(living)
    for at in living[::2]:
        heap.free(at)
    rows = np.concatenate([machine.big_pages.rows, heap.big_rows()])
    return replace(machine, heaps=(*machine.heaps, heap.contents()), big_pages=replace(machine.big_pages, rows=rows))


@pytest.mark.parametrize("name", ["18362-x64", "22000-x64"])
def test_large_allocations_wide_buckets_and_a_second_node(name: str, tmp_path: Path) -> None:
    size = replace(small_size(), ram_bytes=128 << 20)
    machine = simulate(own_heap(make_machine(windows_named(name), size=size), node=1))
    parts = walked(machine, tmp_path / "MEMORY.DMP")
    wanted = true_rows(machine.truth)
    assert told(parts) == wanted
    assert says(parts) == ""
    assert Counter(row[6] for row in wanted.elements())[Kind.LARGE] == 4
    wide = {row[2] for row in wanted if row[6] == Kind.LFH and row[2] is not None and row[2] > 0x200}
    assert len(wide) >= 4


@pytest.mark.parametrize("name", ["19041-x64", "20348-x64"])
def test_pages_that_are_not_there(name: str, tmp_path: Path) -> None:
    """Nothing false is told, and of what can be read little is missing."""
    hidden = Hidden(transition=0.2, paged_out=0.1, left_out=0.05)
    machine = simulate(make_machine(windows_named(name), size=small_size(), hidden=hidden))
    parts = walked(machine, tmp_path / "MEMORY.DMP")
    truth, absent = machine.truth, {page // PAGE for page in machine.truth.absent_pages}
    wanted, found = true_rows(truth), told(parts)
    by_place = {row[:2]: row for row in wanted}
    only_in_table = 0
    for row in found:
        true = by_place[row[:2]]
        if row[6] == Kind.BIG_PAGE and true[6] in (Kind.VS, Kind.SEGMENT):
            # Its chunk or descriptor cannot be read: the big-page table alone has it, with the bytes asked for
            assert (row[3], row[4], row[5]) == (true[3], true[4], State.ALLOCATED)
            assert int(true[2] or 0) - 0x10000 < int(row[2] or 0) <= int(true[2] or 0)
            only_in_table += 1
            continue
        # A tag may be lost with its page, and a state with the page of its bitmap; all else is as it was
        assert (row[2], row[4], row[6]) == (true[2], true[4], true[6])
        assert row[3] in (true[3], 0)
        assert row[5] in (true[5], State.UNKNOWN, State.ALLOCATED)
    assert only_in_table > 0
    paged = [heap for heap in truth.heaps if heap.pool == "paged"]
    assert any(page in absent for heap in paged for page in (heap.blocks["address"] // np.uint64(PAGE)).tolist())
    lost = [row for row in wanted if row[:2] not in {row[:2] for row in found}]
    assert {row[4] for row in lost} == {Pool.PAGED}
    heads = [part for heap in paged for part in heap.segments]
    gone = [heap.base + part.at for heap in paged for part in heap.segments if (heap.base + part.at) // PAGE in absent]
    assert len(gone) < len(heads)
    reachable = [row for row in wanted if row[4] == Pool.PAGED and _readable(row, truth, absent)]
    missing = [row for row in reachable if row[:2] not in {row[:2] for row in found}]
    assert len(missing) <= len(reachable) // 20
    assert len(reachable) > 1000
    assert sum(part.unreadable for part in parts) > 0


def _readable(row: Row, truth: Machine, absent: set[int]) -> bool:
    """Whether the heads of a block's segment and subsegment, and its own page, can be read."""
    address = int(row[1] or 0)
    if row[6] == Kind.BIG_PAGE:
        return True
    pages = {address // PAGE, (address - 1) // PAGE}
    for heap in truth.heaps:
        for part in heap.segments:
            if part.context == 0 and heap.base + part.at <= address < heap.base + part.at + (1 << 20):
                pages |= {(heap.base + part.at) // PAGE, (heap.base + part.at) // PAGE + 1}
        parts: list[contents.LfhContents | contents.VsContents] = [*heap.lfh, *heap.vs]
        for each in parts:
            if heap.base + each.at <= address < heap.base + each.at + each.length:
                pages.add((heap.base + each.at) // PAGE)
                if isinstance(each, contents.VsContents):
                    # Behind a gap a chain goes on with the first chunk that can be confirmed
                    pages |= set(range((heap.base + each.at) // PAGE, address // PAGE))
    return not pages & absent


def test_without_symbols_blocks_are_guessed_and_said_to_be(tmp_path: Path) -> None:
    machine = simulate(make_machine(windows_named("19041-x64"), "leak", size=small_size()))
    parts = walked(machine, tmp_path / "MEMORY.DMP", {"table": None})
    assert scan.SAYS in says(parts)
    assert "the layout of _SEGMENT_HEAP is not known" in says(parts)
    blocks: NDArray[np.void] = np.concatenate([part.blocks for part in parts])
    guessed = blocks[blocks["kind"] == Kind.HEURISTIC]
    assert set(guessed["state"].tolist()) == {State.UNKNOWN}
    heaps = [heap.blocks for heap in machine.truth.heaps if heap.session is None]
    true = np.concatenate(heaps)
    headed = true[(true["tag"] != 0) & (true["size"] < 0xFF0)]
    known = dict(zip(headed["address"].tolist(), headed["tag"].tolist(), strict=True))
    right = [known.get(row["address"]) == row["tag"] for row in guessed]
    # Blocks with a tag that cannot be printed are not found; and no block is made up, as nothing else is in this memory
    assert np.mean(right) > 0.99
    living = headed[headed["state"] == ALLOCATED]["address"]
    assert np.isin(living, guessed["address"]).mean() > 0.99


def test_the_changes_of_24h2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments signed without a constant, and sizes encoded with the whole address: on a layout that is known."""
    monkeypatch.setattr(encode, "SIGNED_WITHOUT", 22000)
    machine = simulate(make_machine(windows_named("22000-x64"), "leak", size=small_size()))
    new = walked(machine, tmp_path / "MEMORY.DMP", {"build": 26100})
    assert told(new) == true_rows(machine.truth)
    old = walked(machine, tmp_path / "MEMORY.DMP")
    assert "wrong signature" in says(old)
    assert not set(np.concatenate([part.blocks for part in old])["kind"].tolist()) & {Kind.LFH, Kind.VS}
