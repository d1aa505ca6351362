"""Pages that small blocks hold, as somebody with a debugger sees them."""

import io
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.lab.course.writers.debugger_log import debugger_log
from poolsleuth.lab.course.writers.log_pool import MOST_FOUND, found_blocks, is_fragmented
from poolsleuth.lab.course.writers.log_target import Style
from poolsleuth.lab.course.writers.zone import ZONE
from poolsleuth.lab.machine import ALLOCATED, FREE, Machine
from poolsleuth.lab.simulate import SimulatedMachine
from poolsleuth.model.facts import Fact
from poolsleuth.model.pool import PoolBlockList, PoolPage

Simulated = Callable[[str, str], SimulatedMachine]
HEAPS = ["18362-x64", "22000-x64"]
CLASSIC = ["2600-x86", "3790-x86-pae", "3790-x64", "7601-x64", "14393-x64"]


def read(truth: Machine) -> list[Fact]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(debugger_log(truth).encode("cp1252"))))
    assert not reader.problems
    return facts


@pytest.mark.parametrize("windows", CLASSIC)
def test_pages_are_those_of_the_machine(simulated: Simulated, windows: str) -> None:
    truth = simulated(windows, "fragmentation").truth
    pages = [fact for fact in read(truth) if isinstance(fact, PoolPage)]
    assert len(pages) == 3
    pool = next(part for part in truth.pool_pages if part.pool == "nonpaged")
    for page in pages:
        assert page.whole
        mine = pool.blocks[pool.blocks["address"] // 4096 * 4096 == page.page]
        wanted = [(int(row["address"]), int(row["size"])) for row in mine]
        assert sorted((block.address, block.size) for block in page.blocks) == sorted(wanted)
        states = {int(row["address"]): int(row["state"]) for row in mine}
        for block in page.blocks:
            # One in a lookaside list looks like one in use, or like a free one, by the Windows
            if states[block.address] in (ALLOCATED, FREE):
                assert block.free == (states[block.address] == FREE)
        for before, block in pairwise(page.blocks):
            assert block.previous_size == before.size
        # A page that is nearly free, and not quite
        assert 0.75 * 4096 <= sum(block.size for block in page.blocks if block.free) < 4096


@pytest.mark.parametrize("windows", [*CLASSIC, *HEAPS])
def test_found_blocks_are_those_of_the_tag(simulated: Simulated, windows: str) -> None:
    truth = simulated(windows, "fragmentation").truth
    lists = [fact for fact in read(truth) if isinstance(fact, PoolBlockList)]
    assert lists
    held = Counter()  # type: Counter[tuple[str, int]]
    parts = [pages.blocks for pages in truth.pool_pages if pages.pool == "nonpaged"]
    parts += [heap.blocks for heap in truth.heaps if heap.pool in ("nonpaged", "nonpaged-nx") and not heap.special]
    for blocks in parts:
        for row in blocks[blocks["state"] == ALLOCATED]:
            held[int(row["tag"]).to_bytes(4, "little").decode("latin-1").strip(), int(row["size"])] += 1
    for found in lists:
        assert found.tag_asked
        rows: Counter[tuple[str, int]] = Counter()
        for tag, size, _, count in found.counts:
            rows[tag, size] += count
        assert rows
        assert sum(rows.values()) <= MOST_FOUND
        if not found.terminated and sum(rows.values()) < MOST_FOUND:
            inside = {key: count for key, count in held.items() if key[0] == found.tag_asked.strip()}
            assert all(rows[key] >= count for key, count in inside.items())


def test_a_healthy_machine_is_not_looked_at(simulated: Simulated) -> None:
    truth = simulated("22000-x64", "leak").truth
    assert not is_fragmented(truth)
    assert not [fact for fact in read(truth) if isinstance(fact, PoolPage | PoolBlockList)]


def test_a_real_page_has_the_same_columns(simulated: Simulated, shared: Callable[[str], Path]) -> None:
    """The second row of a page in a published log, and in ours: every word in the same place."""
    real = (
        shared("transcripts/001_srv2003_vm_poolused_t5_2_pool.txt")
        .read_text("utf-8")
        .replace("\u00a0", " ")
        .splitlines()
    )
    theirs = [line for line in real if "previous size:" in line and line[0] in " *"]
    mine = [
        line for line in debugger_log(simulated("3790-x86", "fragmentation").truth).splitlines() if "ous size:" in line
    ]
    #  fa808a20 size:   18 previous size:  a20  (Allocated)  ReEv
    for words in ("size:", "previous", "("):
        assert {line.index(words) for line in theirs} == {line.index(words) for line in mine if line[0] in " *"}
    assert {line[0] for line in theirs} == {line[0] for line in mine if not line[0].isalnum()} == {" ", "*"}


def test_large_allocations_come_first(simulated: Simulated) -> None:
    truth = simulated("7601-x64", "fragmentation").truth
    rows = truth.big_pages.rows
    tag = next(row["tag"] for row in rows if row["state"] == 1 and not row["pool_type"] & 1).decode("latin-1").ljust(4)
    lines = found_blocks(truth, Style.of(truth, ZONE), tag)
    large = [line for line in lines if "large page allocation" in line]
    assert large
    assert all(line.startswith("*fffff") for line in large)
