"""Every block of constructed heaps is given back, and damage ends in sentences."""

import dataclasses
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.pool.segment_heap.walk import walk_segment_pool

Rows = Callable[[Any], list[tuple[int, int, str, int, int, int]]]


def gathered(parts: Iterable[Any]) -> tuple[Any, str, list[Any]]:
    kept = list(parts)
    says = "; ".join(sentence for part in kept for sentence in part.says)
    return np.concatenate([part.blocks for part in kept]), says, kept


@pytest.mark.parametrize("build", [17763, 18362, 19041, 20348, 22000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_block_is_given_back(build: int, seed: int, filled: Any, rows: Rows) -> None:
    machine = filled(build, seed)
    blocks, says, parts = gathered(walk_segment_pool(machine.finish()))
    assert says == ""
    assert sorted(rows(blocks)) == machine.expected()
    assert len(blocks) > 2000
    assert sum(part.unreadable for part in parts) == 0
    for part in parts:
        pages = part.blocks["address"] >> 12
        assert (np.diff(part.blocks["address"].astype(np.int64))[pages[1:] == pages[:-1]] > 0).all()
        assert np.count_nonzero(pages[1:] != pages[:-1]) + bool(len(pages)) == len(np.unique(pages))


def test_two_nodes_and_progress(filled: Any, rows: Rows) -> None:
    machine = filled(20348, 7, 2)
    told: list[int] = []
    blocks, says, parts = gathered(walk_segment_pool(machine.finish(), told.append))
    assert says == ""
    assert sorted(rows(blocks)) == machine.expected()
    assert told == sorted(told)
    assert told[-1] == sum(part.pool_pages for part in parts)


def test_signatures_and_shifts_of_26100(make_machine: Any, rows: Rows) -> None:
    """From 26100 on segments are signed without the constant, and the whole address encodes LFH sizes."""
    machine = make_machine(22000, 3)
    heap = machine.heap(0)
    segment = heap.segment()
    segment.vs(4, [(5, "Abcd"), (7, None)])
    at = segment.lfh(2, 0x40, ["Lfha"], [True, False])
    kernel = machine.finish()
    narrow = int.from_bytes(machine.memory.read(at + 0x28, 4), "little") ^ (at & 0xFFFFFFFF) >> 12
    machine.memory.put(at + 0x28, narrow ^ at >> 12, width=4)
    signature = segment.address ^ heap.context(0) ^ machine.heap_key
    machine.memory.put(segment.address + 0x10, signature)
    blocks, says, _ = gathered(walk_segment_pool(dataclasses.replace(kernel, build=26100)))
    assert (sorted(rows(blocks)), says) == (machine.expected(), "")
    blocks, says, _ = gathered(walk_segment_pool(kernel))
    assert len(blocks) == 0
    assert "wrong signature" in says


def test_protected_tags_lose_their_bit(make_machine: Any) -> None:
    machine = make_machine()
    at = machine.heap(2).segment().vs(4, [(8, "Abcd")])
    kernel = machine.finish()
    machine.memory.put(at + 0x30 + 0x10 + 4, 0x80000000 | int.from_bytes(b"Abcd", "little"), width=4)
    blocks, _, _ = gathered(walk_segment_pool(kernel))
    assert blocks["tag"][0] == int.from_bytes(b"Abcd", "little")
    assert blocks["protected"].tolist()[:2] == [1, 0]


def test_big_allocations_that_no_heap_has_are_counted_once(make_machine: Any, rows: Rows) -> None:
    machine = make_machine()
    segment = machine.heap(2).segment()
    segment.direct(3, "Seg0")
    segment.vs(16, [(300, "Vs00")])
    for i in range(5):
        machine.big_entry(0xFFFFD00000000000 + i * 0x10000, "Cont", 0x1000 * (i + 1), paged=bool(i % 2))
        machine.truth.append((0xFFFFD00000000000 + i * 0x10000, 0x1000 * (i + 1), "Cont", 2 if i % 2 else 0, 0, 5))
    blocks, says, _ = gathered(walk_segment_pool(machine.finish()))
    assert (sorted(rows(blocks)), says) == (machine.expected(), "")
    assert len(np.unique(blocks["address"])) == len(blocks)


def test_a_session_heap_is_walked_in_the_memory_of_its_session(make_machine: Any, rows: Rows) -> None:
    machine = make_machine(19041, 5)
    heap = machine.heap(2)
    segment = heap.segment()
    segment.lfh(4, 0x60, ["Gh05", "Usac"], [True, False])
    segment.vs(8, [(40, "Gla1"), (9, None)])
    kernel = machine.finish()
    memory = machine.memory
    # 19041: Session 558, ActiveProcessLinks 448 in _EPROCESS; SessionId 8 and HeapState 2A0 in _MM_SESSION_SPACE
    process, space, state, head = 0xFFFFE00000001000, 0xFFFFE10000000000, 0xFFFFE20000000000, 0
    head = machine.symbol("PsActiveProcessHead")
    memory.write(process, bytes(0x1000))
    memory.put(head, process + 0x448, process + 0x448)
    memory.put(process + 0x448, head, head)
    memory.put(process + 0x28, 0x1000)
    memory.put(process + 0x558, space)
    memory.write(space, bytes(0x1000))
    memory.put(space + 8, 3, width=4)
    memory.put(space + 0x2A0, state)
    memory.put(state, memory_pointer(machine))
    memory.write(state + 0x38E0, heap.address.to_bytes(8, "little") + bytes(8))
    memory.put(machine.symbol("ExPoolState") + 0x3900 + 2 * 8, 0)
    seen = dataclasses.replace(kernel, process_memory=lambda base: Reader(memory) if base == 0x1000 else None)
    blocks, says, _ = gathered(walk_segment_pool(seen))
    assert says == ""
    assert sorted(rows(blocks)) == [(*block[:3], 3, *block[4:]) for block in machine.expected()]


def memory_pointer(machine: Any) -> int:
    found = machine.memory.read(machine.symbol("ExPoolState"), 8)
    return int.from_bytes(found, "little")


def test_blocks_in_a_lookaside_list_are_told_and_keep_their_tag(make_machine: Any, rows: Rows) -> None:
    machine = make_machine(20348, 9)
    heap = machine.heap(1)
    heap.segment().vs(16, [(40, "Look"), (50, "Held")])
    heap.segment().lfh(4, 0x210, ["Look"], [True])
    kernel = machine.finish()
    waiting = [block[0] for block in machine.expected() if block[2] == "Look"][::3]
    lists = 0xFFFFA70000000000
    machine.memory.put(heap.address + 0x28, lists)
    machine.memory.write(lists, bytes(0x1040))
    for i, some in enumerate((waiting[:4], waiting[4:])):
        entries = [*(block + 0x10 for block in some), 0]
        machine.memory.put(lists + 0x40 + i * 0x40, len(some) | 0xABCD0000, entries[0] | 1)
        for entry, following in pairwise(entries):
            machine.memory.put(entry, following)
    blocks, says, _ = gathered(walk_segment_pool(kernel))
    assert says == ""
    expected = [(*block[:4], 2 if block[0] in waiting else block[4], block[5]) for block in machine.expected()]
    assert sorted(rows(blocks)) == expected
    # A list that comes back to its first entry ends in a sentence
    machine.memory.put(waiting[3] + 0x10, waiting[0] + 0x10)
    machine.memory.put(lists + 0x40, 0xFFFF, waiting[0] + 0x10)
    blocks, says, _ = gathered(walk_segment_pool(kernel))
    assert f"lookaside list 0: it leads to 0x{waiting[0] + 0x10:x}, which is no entry" in says
    assert sorted(rows(blocks)) == expected
