"""Damaged heaps: what is wrong is told in a sentence, the rest is given, and nothing raises or runs on."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.pool.segment_heap import parts, vs, walk
from poolsleuth.kernel.pool.segment_heap.walk import walk_segment_pool

Rows = Callable[[Any], list[tuple[int, int, str, int, int, int]]]


def gathered(found: Iterable[Any]) -> tuple[Any, str]:
    kept = list(found)
    return np.concatenate([part.blocks for part in kept]), "; ".join(says for part in kept for says in part.says)


@pytest.fixture
def simple(make_machine: Any) -> Any:
    """A heap of two segments, each with an LFH and a VS subsegment and a direct allocation."""
    machine = make_machine(19041, 11)
    heap = machine.heap(1)
    for _ in range(2):
        segment = heap.segment()
        segment.lfh(4, 0x50, ["Lfh1", "Lfh2"], [True, True, False])
        segment.vs(8, [(30, "Vs01"), (5, None), (12, "Vs02")])
        segment.direct(10, "Dir1")
    return machine


def inside(machine: Any, begin: int, pages: int) -> list[Any]:
    return [block for block in machine.expected() if not begin <= block[0] < begin + pages * 4096]


def test_a_heap_with_a_wrong_signature_is_told(simple: Any, rows: Rows) -> None:
    other = simple.heap(2)
    other.signature = 0xFFEEFFEE
    blocks, says = gathered(walk_segment_pool(simple.finish()))
    assert says == (
        f"heap 2 of node 0 at 0x{other.address:x} has the signature 0xffeeffee of no segment heap: "
        "its blocks are missing"
    )
    assert sorted(rows(blocks)) == simple.expected()


def test_a_segment_with_a_wrong_signature_is_left_out(simple: Any, rows: Rows) -> None:
    kernel = simple.finish()
    bad = simple.heaps[0].segments[0][0].address
    simple.memory.put(bad + 0x10, 0x1234)
    blocks, says = gathered(walk_segment_pool(kernel))
    assert f"the segment at 0x{bad:x} has a wrong signature" in says
    # The direct allocation of the lost segment still stands in the table of big allocations
    found = [row for row in rows(blocks) if row[5] != 5]
    assert sorted(found) == inside(simple, bad, 256)
    assert [row[2] for row in rows(blocks) if row[5] == 5] == ["Dir1"]


@pytest.mark.parametrize("to", [0, 1])
def test_a_list_of_segments_that_loops_ends(simple: Any, rows: Rows, to: int) -> None:
    kernel = simple.finish()
    segments = simple.heaps[0].segments[0]
    simple.memory.put(segments[1].address, segments[to].address)
    blocks, says = gathered(walk_segment_pool(kernel))
    assert "list of segments" in says
    assert sorted(rows(blocks)) == simple.expected()


def test_a_range_without_units_and_one_too_long_are_told(simple: Any) -> None:
    kernel = simple.finish()
    first, second = simple.heaps[0].segments[0]
    simple.memory.put(first.address + 2 * 0x20 + 0x1F, 0, width=1)
    simple.memory.put(second.address + 2 * 0x20 + 0x1F, 255, width=1)
    blocks, says = gathered(walk_segment_pool(kernel))
    assert f"the range at unit 2 of the segment at 0x{first.address:x} has no units" in says
    assert f"the range at unit 2 of the segment at 0x{second.address:x} ends behind its segment" in says
    assert set(blocks["kind"].tolist()) == {2, 3, 5}


@pytest.mark.parametrize(
    ("count", "size", "first"),
    [(0xFFFF, 0x50, 0x100), (10, 0, 0x100), (10, 0x51, 0x100), (10, 0x50, 0x20), (10, 0x50, 0xFFF0), (0, 0x50, 0x100)],
)
def test_lfh_sizes_beyond_the_subsegment_are_told(simple: Any, rows: Rows, count: int, size: int, first: int) -> None:
    kernel = simple.finish()
    at = simple.heaps[0].segments[0][0].address + 0x2000
    encoded = (size | first << 16) ^ simple.lfh_key ^ (at & 0xFFFFFFFF) >> 12
    simple.memory.put(at + 0x22, count, width=2)
    simple.memory.put(at + 0x28, encoded, width=4)
    blocks, says = gathered(walk_segment_pool(kernel))
    assert says == f"the LFH subsegment at 0x{at:x} has sizes that cannot be right; its blocks are missing"
    assert sorted(rows(blocks)) == inside(simple, at, 4)


@pytest.mark.parametrize(
    ("size", "state", "words"),
    [(0, 1, "has size 0"), (0xFFFF, 1, "would end behind its subsegment"), (5, 7, "makes no sense")],
)
def test_a_vs_chunk_that_cannot_be_right_ends_its_chain(
    simple: Any, rows: Rows, size: int, state: int, words: str
) -> None:
    kernel = simple.finish()
    at = simple.heaps[0].segments[0][0].address + 0x6000
    bad = at + 0x30 + 35 * 16  # the third chunk
    simple.memory.put(bad, (size << 16 | 5 << 32 | state << 48) ^ simple.heap_key ^ bad)
    blocks, says = gathered(walk_segment_pool(kernel))
    assert f"0x{bad:x}" in says
    assert words in says
    lost = [block for block in simple.expected() if bad <= block[0] < at + 8 * 4096]
    assert sorted(rows(blocks)) == sorted(set(simple.expected()) - set(lost))


def test_a_wrong_previous_size_is_told_and_the_chain_goes_on(simple: Any, rows: Rows) -> None:
    kernel = simple.finish()
    at = simple.heaps[0].segments[0][0].address + 0x6000 + 0x30 + 30 * 16
    simple.memory.put(at, (5 << 16 | 29 << 32) ^ simple.heap_key ^ at)
    blocks, says = gathered(walk_segment_pool(kernel))
    assert says == f"the VS chunk at 0x{at:x} has a previous size that is not the size of the chunk in front of it"
    assert sorted(rows(blocks)) == simple.expected()


def test_a_vs_subsegment_with_a_wrong_signature_is_told(simple: Any, rows: Rows) -> None:
    kernel = simple.finish()
    at = simple.heaps[0].segments[0][0].address + 0x6000
    simple.memory.put(at + 0x22, 0x1111, width=2)
    blocks, says = gathered(walk_segment_pool(kernel))
    assert says == f"the VS subsegment at 0x{at:x} has a wrong signature; its blocks are missing"
    assert sorted(rows(blocks)) == inside(simple, at, 8)


@pytest.mark.parametrize("absence", [Absence.NOT_MAPPED, Absence.NOT_IN_DUMP])
def test_a_last_page_behind_the_end_of_the_chunks_need_not_be_there(
    make_machine: Any, rows: Rows, absence: Absence
) -> None:
    machine = make_machine(19041, 11)
    at = machine.heap(1).segment().vs(4, [(30, "Vs01"), (5, None)], slack=4096 // 16)
    kernel = machine.finish()
    machine.memory.lose(at + 0x3000, absence)
    blocks, says = gathered(walk_segment_pool(kernel))
    assert sorted(rows(blocks)) == machine.expected()
    assert says == ""


def test_chains_go_on_behind_pages_that_are_not_in_the_dump(simple: Any, rows: Rows) -> None:
    kernel = simple.finish()
    at = simple.heaps[0].segments[0][0].address + 0x6000
    simple.memory.lose(at + 0x3000, Absence.PAGED_OUT)
    simple.memory.lose(at + 0x4000, Absence.PAGED_OUT)
    found = list(walk_segment_pool(kernel))
    blocks, says = gathered(found)
    assert sum(part.unreadable for part in found) == 2
    assert "1 times a chain of VS chunks leads into memory" in says
    missing = set(simple.expected()) - set(rows(blocks))
    assert {address >> 12 for address, *_ in missing} <= {at + 0x3000 >> 12, at + 0x4000 >> 12, at + 0x5000 >> 12}
    # What is missing ends with the chunk that reaches out of the gap
    assert len([block for block in missing if block[0] >= at + 0x5000]) <= 1
    unread = {row[0] for row in rows(blocks)} - {block[0] for block in simple.expected()}
    assert unread == set()


def test_blocks_behind_a_lost_head_are_found(simple: Any, rows: Rows) -> None:
    kernel = simple.finish()
    at = simple.heaps[0].segments[0][0].address + 0x6000
    simple.memory.lose(at)
    blocks, says = gathered(walk_segment_pool(kernel))
    assert "1 VS subsegments have a head in memory that cannot be read" in says
    missing = set(simple.expected()) - set(rows(blocks))
    assert 0 < len([block for block in missing if block[0] >= at + 0x1000]) <= 1
    assert set(rows(blocks)) <= set(simple.expected())


def test_lfh_blocks_of_lost_pages_have_no_tag(simple: Any, rows: Rows) -> None:
    kernel = simple.finish()
    at = simple.heaps[0].segments[0][0].address + 0x2000
    simple.memory.lose(at + 0x2000)
    simple.memory.lose(at + 0x4000 + 0x12000)  # behind it: nothing of the pool
    blocks, says = gathered(walk_segment_pool(kernel))
    assert says == ""
    lost = [block for block in simple.expected() if at + 0x2000 <= block[0] < at + 0x3000]
    expected = [(*block[:2], "", *block[3:]) for block in lost if block[4] == 0]
    assert sorted(row for row in rows(blocks) if at + 0x2000 <= row[0] < at + 0x3000) == expected
    assert len(expected) > 10


def test_a_lost_page_of_descriptors_is_told(simple: Any) -> None:
    kernel = simple.finish()
    simple.memory.lose(simple.heaps[0].segments[0][0].address)
    blocks, says = gathered(walk_segment_pool(kernel))
    assert "1 more could be read" in says or "cannot be read" in says
    assert len(blocks) > 100


def test_a_tree_that_loops_and_leads_astray_is_told(make_machine: Any, rows: Rows, monkeypatch: Any) -> None:
    machine = make_machine()
    heap = machine.heap(0)
    for i in range(6):
        heap.large(3000 + i, "Larg")
    kernel = machine.finish()
    root = int.from_bytes(machine.memory.read(heap.address + 0x48, 8), "little")
    blocks, says = gathered(walk_segment_pool(kernel))
    assert (sorted(rows(blocks)), says) == (machine.expected(), "")
    last = root + 5 * 0x30
    machine.memory.put(last, root, 0x1234)
    blocks, says = gathered(walk_segment_pool(kernel))
    assert f"leads to 0x{root:x} twice" in says
    assert "leads to 0x1234, which cannot be read" in says
    assert sorted(rows(blocks)) == machine.expected()
    machine.memory.put(last + 0x20, 0)
    _blocks, says = gathered(walk_segment_pool(kernel))
    assert f"described at 0x{last:x} cannot be right" in says
    monkeypatch.setattr(walk, "MAX_NODES", 3)
    blocks, says = gathered(walk_segment_pool(kernel))
    assert "large allocations; the rest is missing" in says
    assert np.count_nonzero(blocks["kind"] == 4) == 2  # three nodes, of which one is damaged


def test_more_damage_than_is_told_ends_in_one_sentence(make_machine: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(parts, "MAX_SAYS", 5)
    machine = make_machine()
    segment = machine.heap(0).segment()
    subsegments = [segment.vs(4, [(9, "Tagg")]) for _ in range(20)]
    kernel = machine.finish()
    for at in subsegments:
        machine.memory.put(at + 0x22, 0, width=2)
    _, says = gathered(walk_segment_pool(kernel))
    assert says.count("wrong signature") == 5
    assert "more than 5 things are broken" in says


def test_without_symbols_or_keys_one_sentence_says_so(simple: Any, rows: Rows) -> None:
    kernel = simple.finish()
    assert kernel.table is not None
    for name, missing in (
        ("_HEAP_VS_SUBSEGMENT", "the layout of _HEAP_VS_SUBSEGMENT is not known"),
        ("_EX_HEAP_POOL_NODE", "where the segment heaps lie is not known"),
    ):
        structures = {key: value for key, value in kernel.table.structures.items() if key != name}
        bare = dataclasses.replace(kernel, table=dataclasses.replace(kernel.table, structures=structures))
        found, says = gathered(walk_segment_pool(bare))
        assert missing in says
        assert [row[2] for row in rows(found)] == ["Dir1", "Dir1"]
    symbols = {key: value for key, value in kernel.table.symbols.items() if key != "RtlpHpHeapGlobals"}
    simple.memory.put(simple.symbol("ExPoolState"), 0)
    bare = dataclasses.replace(kernel, table=dataclasses.replace(kernel.table, symbols=symbols))
    blocks, says = gathered(walk_segment_pool(bare))
    assert says == "the keys of the segment heaps cannot be read: the blocks of the pool are not read"
    assert set(blocks["kind"].tolist()) == {5}


def test_a_32_bit_kernel_is_told_not_read(simple: Any, fake_memory: Any) -> None:
    bare = dataclasses.replace(simple.finish(), memory=Reader(fake_memory(4)))
    blocks, says = gathered(walk_segment_pool(bare))
    assert "segment heaps of 32-bit kernels are not read" in says
    assert len(blocks) == 0


def test_a_wild_number_of_nodes_is_told(simple: Any, rows: Rows) -> None:
    kernel = simple.finish()
    simple.memory.put(simple.symbol("ExPoolState") + 0x38D0, 0xFFFFFFFF, width=4)
    blocks, says = gathered(walk_segment_pool(kernel))
    assert says == "the number of the pool's nodes is said to be 4,294,967,295: all 64 places are looked at"
    assert sorted(rows(blocks)) == simple.expected()


@pytest.mark.parametrize(("name", "words"), [("MAX_PAGES", "pages of pool"), ("MAX_STEPS", "chains of VS chunks")])
def test_a_walk_ends_at_its_bounds(simple: Any, monkeypatch: Any, name: str, words: str) -> None:
    monkeypatch.setattr(walk, name, 1)
    monkeypatch.setattr(walk, "PAGES_AT_ONCE", 1)
    monkeypatch.setattr(walk, "CHAINS_AT_ONCE", 1)
    kernel = simple.finish()
    found = list(walk_segment_pool(kernel))
    assert found[-1].stopped is not None
    assert words in found[-1].stopped
    assert [part.stopped for part in found[:-1]] == [None] * (len(found) - 1)
    assert sum(len(part.blocks) for part in found) < len(simple.expected())


def test_a_chain_of_the_smallest_chunks_is_as_long_as_a_subsegment_can_be(make_machine: Any, monkeypatch: Any) -> None:
    """No more of a range is followed than the subsegment's own 16 bits of size could say."""
    assert vs.MAX_BYTES == 0x10000 * 16
    monkeypatch.setattr(walk, "MAX_BYTES", 1 << 16)
    machine = make_machine(19041, 2)
    segment = machine.heap(0).segment(1)
    at = segment.take(0xF, 3)
    kernel = machine.finish()
    where = np.uint64(at) + np.arange(0, 3 << 16, 16, dtype=np.uint64)
    chunks = np.zeros((len(where), 2), np.uint64)
    chunks[:, 0] = where ^ np.uint64(machine.heap_key ^ (1 << 16 | 1 << 32))
    machine.memory.write(at, chunks.tobytes())
    machine.memory.put(at + 0x20, 0xFFFF, 0xFFFF ^ 0x2BED, width=2)
    blocks, _ = gathered(walk_segment_pool(kernel))
    assert len(blocks) == (1 << 16) // 16 - 3


MUTATION = st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=8))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(MUTATION, min_size=1, max_size=30), st.sets(st.integers(0, 60), max_size=10), st.booleans())
def test_any_mutation_ends_in_blocks_and_sentences(
    make_machine: Any, mutations: list[tuple[int, bytes]], lost: set[int], heads: bool
) -> None:
    machine = make_machine(22000, 13)
    for index in (0, 2):
        heap = machine.heap(index)
        heap.large(5000, "Larg")
        segment = heap.segment()
        segment.lfh(2, 0x40, ["Lfh1"], [True, False])
        segment.vs(4, [(8, "Vs01"), (5, None), (270, "Wide")])
        segment.direct(3, "Dire")
    kernel = machine.finish()
    pages = sorted(page for page in machine.memory.pages if page << 12 >= 0xFFFFA80000000000)
    for where, octets in mutations:
        # Half of the examples strike where structures are, the others anywhere
        skip = where % (0x400 if heads else 0xFF8)
        machine.memory.write((pages[where % len(pages)] << 12) + skip, octets)
    for each in lost:
        machine.memory.lose(pages[each % len(pages)] << 12)
    blocks, says = gathered(walk_segment_pool(kernel))
    assert len(blocks) < 100_000
    assert len(says) < 100_000
    assert (blocks["size"] > 0).all()
