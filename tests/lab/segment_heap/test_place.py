"""Heaps in the memory of a machine, read back by hand: offsets and rules as the fact sheet has them, not the writer."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from poolsleuth.lab.machine import ALLOCATED, FREE, IN_USE, PAGE
from poolsleuth.lab.segment_heap.contents import DIRECT, HeapContents
from poolsleuth.lab.segment_heap.encode import tree
from poolsleuth.lab.simulate import SimulatedMachine
from poolsleuth.lab.structures import layout_of
from poolsleuth.lab.truth import truth_text

Small = Callable[[str, str], SimulatedMachine]
BUILDS = {
    "18362-x64": (0x38D0, 0x100),
    "19041-x64": (0x38D0, 0x100),
    "20348-x64": (0x38E0, 0x140),
    "22000-x64": (0x38E0, 0x140),
}
"""NumberOfPools in ExPoolState and SegContexts in a heap."""
K = 0xA2E64EADA2E64EAD


def u(machine: SimulatedMachine, address: int, width: int = 8) -> int:
    return int.from_bytes(machine.system.read(address, width), "little")


def symbol(machine: SimulatedMachine, name: str) -> int:
    return (machine.truth.modules[0].base or 0) + layout_of(machine.truth.windows).symbols[name]


def system_heap(machine: SimulatedMachine, index: int) -> HeapContents:
    (found,) = [
        heap for heap in machine.truth.heaps if heap.session is None and not heap.special and heap.index == index
    ]
    return found


@pytest.mark.parametrize("name", BUILDS)
def test_the_state_of_the_pool_leads_to_signed_heaps_and_segments(name: str, small: Small) -> None:
    machine = small(name, "leak")
    state, (number_at, contexts) = symbol(machine, "ExPoolState"), BUILDS[name]
    assert u(machine, state + number_at, 4) == 1
    keys = u(machine, state)
    assert keys == symbol(machine, "RtlpHpHeapGlobals")
    heap_key = u(machine, keys)
    assert u(machine, keys + 8) not in (0, heap_key)
    for index in range(4):
        heap = u(machine, state + 0x3900 + 8 * index)
        assert heap == system_heap(machine, index).address
        assert u(machine, heap + 0x10, 4) == 0xDDEEDDEE
        for which, (shift, first) in enumerate(((12, 2), (16, 1))):
            context = heap + contexts + 0xC0 * which
            assert u(machine, context + 8, 1) == shift
            assert u(machine, context + 0xA, 1) == first
            head, found = context + 0x48, []
            at = u(machine, head)
            while at != head:
                found.append(at)
                assert u(machine, at + 0x10) ^ at ^ heap_key ^ K == context
                at = u(machine, at)
            truth = system_heap(machine, index)
            assert found == [truth.base + part.at for part in truth.segments if part.context == which]
            assert u(machine, context + 0x58) == len(found)


@pytest.mark.parametrize("name", ["18362-x64", "22000-x64"])
def test_headers_are_encoded_as_the_fact_sheet_says(name: str, small: Small) -> None:
    machine = small(name, "leak")
    keys = symbol(machine, "RtlpHpHeapGlobals")
    heap_key, lfh_key = u(machine, keys), u(machine, keys + 8)
    heap = system_heap(machine, 1)
    known = dict(zip(heap.blocks["address"].tolist(), heap.blocks.tolist(), strict=True))
    for part in heap.segments:
        for each in part.ranges:
            descriptor = heap.base + part.at + 0x20 * each.unit
            flags = u(machine, descriptor + 0x18, 1) & 0x1F
            assert flags == {0: 0, DIRECT: 3, 1: 0xB, 2: 0xF}[each.kind]
            assert u(machine, descriptor + 0x1F, 1) == each.units
    for lfh in heap.lfh:
        at = heap.base + lfh.at
        decoded = u(machine, at + 0x28, 4) ^ lfh_key & 0xFFFFFFFF ^ (at & 0xFFFFFFFF) >> 12
        assert (decoded & 0xFFFF, decoded >> 16, u(machine, at + 0x22, 2)) == (lfh.size, lfh.first, len(lfh.busy))
        for number in range(len(lfh.busy)):
            busy = u(machine, at + 0x30 + number // 4, 1) >> 2 * (number % 4) & 1
            place = at + lfh.first + number * lfh.size
            if place % PAGE + lfh.size > PAGE:
                assert busy
                assert place not in known
                continue
            assert (known[place][3] != FREE) == bool(busy)
            if busy:
                assert u(machine, place + 2, 1) * 16 == lfh.size
                assert u(machine, place + 4, 4) & 0x7FFFFFFF == known[place][2]
    for vs in heap.vs:
        at = heap.base + vs.at
        assert (u(machine, at + 0x20, 2) ^ u(machine, at + 0x22, 2) ^ 0x2BED) & 0x7FFF == 0
        place, before = at + 0x30, 0
        while place < at + vs.length:
            sizes = u(machine, place) ^ place ^ heap_key
            size, previous, used = (sizes >> 16 & 0xFFFF) * 16, sizes >> 32 & 0xFFFF, sizes >> 48 & 0xFF
            assert (previous, used in (0, 1)) == (before, True)
            if used:
                begin = place + 16
                if size - 16 >= 0xFF0 or begin % PAGE + size - 16 > PAGE:
                    begin = -(-begin // PAGE) * PAGE
                assert known[begin][1] == place + size - begin
                if known[begin][0] not in set(machine.truth.big_pages.rows["address"].tolist()):
                    assert u(machine, begin + 3, 1) & 2
                    assert u(machine, begin + 4, 4) & 0x7FFFFFFF == known[begin][2]
            place, before = place + size, size // 16
        assert place == at + vs.length


def test_blocks_that_wait_lie_in_the_lists_of_their_heap(small: Small) -> None:
    machine = small("19041-x64", "leak")
    for index in (1, 2):
        heap = system_heap(machine, index)
        lists = u(machine, (heap.address or 0) + 0x28)
        assert lists == symbol(machine, "ExPoolState") + 0x3900 + 0x40 + 0x1040 * (index - 1)
        assert len(heap.lookaside) > 5
        for number, waiting in heap.lookaside:
            depth, entry = u(machine, lists + 0x40 + number * 0x40, 2), u(machine, lists + 0x48 + number * 0x40)
            assert depth == len(waiting)
            entry &= ~0xF
            for block in waiting:
                assert entry == heap.base + block + 0x10
                entry = u(machine, entry)
            assert entry == 0


def test_pages_inside_free_chunks_went_back(small: Small) -> None:
    machine = small("19041-x64", "fragmentation")
    absent = [
        heap.base + p.at + at
        for heap in machine.truth.heaps
        if heap.session is None
        for p in heap.vs
        for at in p.absent
    ]
    assert absent
    assert {machine.system.state(at) for at in absent} == {None}


def test_a_session_sees_its_own_heap_only(small: Small) -> None:
    machine = small("20348-x64", "leak")
    place = layout_of(machine.truth.windows).place("_MM_SESSION_SPACE", "HeapState")
    assert place is not None
    for session in machine.truth.sessions:
        (process, *_) = [process for process in machine.truth.processes if process.session == session.id]
        space = machine.spaces[process.pid]
        state = int.from_bytes(machine.system.read((session.address or 0) + place.offset, 8), "little")
        assert machine.system.state(state) is None
        heap = int.from_bytes(space.read(state + 0x38F0, 8), "little")
        assert int.from_bytes(space.read(heap + 0x10, 4), "little") == 0xDDEEDDEE
        (truth,) = [heap for heap in machine.truth.heaps if heap.session == session.id]
        living = truth.blocks[truth.blocks["state"] == ALLOCATED]
        assert int.from_bytes(space.read(int(living["address"][0]) + 4, 4), "little") & 0x7FFFFFFF == living["tag"][0]
        held = {use.tag: use.paged.outstanding for use in session.tags}
        tags, counts = np.unique(living["tag"], return_counts=True)
        for tag, count in zip(tags.tolist(), counts.tolist(), strict=True):
            assert held[tag.to_bytes(4, "little").decode()] >= count


def test_what_lies_in_heaps_is_part_of_the_tables(small: Small) -> None:
    truth = small("22000-x64", "leak").truth
    tags = {use.tag: use for use in truth.tags}
    rows = truth.big_pages.rows
    in_use = set(rows["address"][rows["state"] == IN_USE].tolist())
    for heap in truth.heaps:
        if heap.session is not None:
            continue
        living = heap.blocks[heap.blocks["state"] == ALLOCATED]
        names, places = np.unique(living["tag"], return_inverse=True)
        for number, tag in enumerate(names.tolist()):
            use = tags[tag.to_bytes(4, "little").decode("latin-1")]
            mine = living[places == number]
            pool = use.paged if heap.pool == "paged" else use.nonpaged
            assert pool.outstanding >= len(mine)
        headless = living[(living["kind"] == DIRECT)]["address"].tolist()
        assert set(headless) <= in_use


def test_the_truth_states_every_block(small: Small) -> None:
    machine = small("19041-x64", "leak").truth
    document = json.loads(truth_text(machine))["segment_heaps"]
    assert [len(heap["address"]) for heap in document] == [len(heap.blocks) for heap in machine.heaps]
    assert {state for heap in document for state in heap["state"]} == {"allocated", "free", "lookaside"}
    assert {kind for heap in document for kind in heap["kind"]} == {"lfh", "vs", "segment"}
    assert [heap["session"] for heap in document if heap["pool"] == "session"] == [0, 1]
    assert json.loads(truth_text(small("17763-x64", "leak").truth))["segment_heaps"] == []


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 30])
def test_a_tree_holds_its_nodes_in_order(count: int, encoded: bool) -> None:
    nodes = [0xFFFFA00000000000 + 0x30 * number for number in range(count)]
    links, root, least = tree(nodes, at=0xFFFFB00000000048, encoded=encoded)
    assert least == (nodes[0] if nodes else 0) | int(encoded)

    def visit(node: int, parent: int) -> list[int]:
        if not node:
            return []
        left, right, up = (link ^ node if encoded and link else link for link in links[node])
        assert up == parent
        return [*visit(left, node), node, *visit(right, node)]

    assert visit(root ^ 0xFFFFB00000000048 if encoded and root else root, 0) == nodes
