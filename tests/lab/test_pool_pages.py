"""Pool pages in the memory of a machine: links, processes and sums, read back by hand."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from poolsleuth.lab.allocator.figures import figures_of, totals_of
from poolsleuth.lab.allocator.headers import form_of, read_header, tag_number, tag_text
from poolsleuth.lab.catalogue import CATALOGUE, windows_named
from poolsleuth.lab.machine import ALLOCATED, FREE, IN_LOOKASIDE, PAGE, Hidden, Machine, PoolPages
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.lab.structures import layout_of
from poolsleuth.lab.truth import truth_text

Small = Callable[[str, str], SimulatedMachine]
CLASSIC = [windows.name for windows in CATALOGUE if windows.build <= 14393]
SOME = ["2600-x86", "3790-x86-pae", "3790-x64", "7601-x64", "9600-x64", "14393-x64"]


def number(machine: SimulatedMachine, address: int, size: int | None = None) -> int:
    return int.from_bytes(machine.system.read(address, size or machine.truth.windows.pointer), "little")


def pool_of(machine: Machine, name: str) -> PoolPages:
    (found,) = [pages for pages in machine.pool_pages if pages.pool == name]
    return found


@pytest.mark.parametrize("name", CLASSIC)
def test_pages_are_in_memory_and_add_up(name: str, small: Small) -> None:
    machine = small(name, "leak")
    truth, tags = machine.truth, {use.tag: use for use in machine.truth.tags}
    assert [pages.pool for pages in truth.pool_pages] == ["nonpaged", "paged"]
    for pages in truth.pool_pages:
        assert len(pages.addresses) >= 100
        for address, row in zip(pages.addresses.tolist(), pages.rows, strict=True):
            assert machine.system.read(address, PAGE) == bytes(row)
        assert {ALLOCATED, FREE, IN_LOOKASIDE} == set(pages.blocks["state"].tolist())
        assert pages.blocks["protected"].any()
        held = 0
        for tag, (count, size) in totals_of(pages).items():
            use = tags[tag_text(tag)].paged if pages.pool == "paged" else tags[tag_text(tag)].nonpaged
            assert (use.outstanding >= count, use.bytes >= size) == (True, True)
            held += size
        (descriptor,) = [d for d in truth.descriptors if (d.paged, d.index) == (pages.pool == "paged", pages.index)]
        assert descriptor.pages >= len(pages.addresses)
        assert descriptor.bytes >= held + figures_of(pages).lookaside_bytes


def test_segment_heap_has_no_such_pages(small: Small) -> None:
    assert small("17763-x64", "leak").truth.pool_pages == ()


@pytest.mark.parametrize("name", SOME)
def test_free_lists_are_linked_from_their_descriptors(name: str, small: Small) -> None:
    machine = small(name, "leak")
    windows, places = machine.truth.windows, machine.truth.places
    layout = layout_of(windows)
    unit, width = form_of(windows.pointer).unit, windows.pointer
    heads = layout.structures["_POOL_DESCRIPTOR"].fields["ListHeads"]
    array = places["ExpPagedPoolDescriptor"]
    # The descriptor of nonpaged pool is a variable; that of the second paged pool the array leads to
    starts = {"nonpaged": places["NonPagedPoolDescriptor"], "paged": number(machine, array + width)}
    for pool, start in starts.items():
        pages = pool_of(machine.truth, pool)
        free = pages.blocks[(pages.blocks["state"] == FREE) & (pages.blocks["size"] > unit)]
        wanted = dict(zip(free["address"].tolist(), free["size"].tolist(), strict=True))
        seen: dict[int, int] = {}
        for units in range(1, heads.count + 1):
            head = start + heads.offset + (units - 1) * 2 * width
            before, node = head, number(machine, head)
            while node != head:
                assert number(machine, node + width) == before
                seen[node - unit] = units * unit
                before, node = node, number(machine, node)
            assert number(machine, head + width) == before
        assert seen == wanted


@pytest.mark.parametrize("name", SOME)
def test_processes_pay_for_blocks(name: str, small: Small) -> None:
    machine = small(name, "leak")
    windows, found = machine.truth.windows, 0
    known = {process.address for process in machine.truth.processes}
    cookie_at = machine.truth.places.get("ExpPoolQuotaCookie")
    assert (cookie_at is not None) == (windows.build >= 9200)
    for pages in machine.truth.pool_pages:
        for block in pages.blocks[pages.blocks["process"] != 0]:
            address, process = int(block["address"]), int(block["process"])
            assert process in known
            if windows.pointer == 4:
                assert number(machine, address + int(block["size"]) - 4) == process
            else:
                # from 8 on the process, ExpPoolQuotaCookie and the header's address, combined
                cookie = number(machine, cookie_at) ^ address if cookie_at is not None else 0
                assert number(machine, address + 8) ^ cookie == process
            kind = read_header(machine.system.read(address, 16), 0, form_of(windows.pointer))[3]
            assert (kind - 1 if windows.build < 6000 else kind) & 8
            found += 1
    assert found > 10


def test_lookaside_lists_are_chained(small: Small) -> None:
    machine = small("7601-x64", "healthy")
    for pages in machine.truth.pool_pages:
        assert sum(len(waiting) for _, waiting in pages.lookaside) == (pages.blocks["state"] == IN_LOOKASIDE).sum()
        for _units, waiting in pages.lookaside:
            behind = [*(address + 16 for address in waiting[1:]), 0]
            assert [number(machine, address + 16) for address in waiting] == behind[: len(waiting)]


@pytest.mark.parametrize("name", ["3790-x86", "14393-x64"])
def test_fragmentation_is_that_of_the_article(name: str) -> None:
    machine = make_machine(windows_named(name), "fragmentation")
    pages = pool_of(machine, "nonpaged")
    figures = figures_of(pages)
    memory = machine.memory
    assert memory.nonpaged_used is not None
    # The article's machine: 101,852 Kb of pages in use against 65,912,104 bytes in tags, 1.58 times as much
    ratio = memory.nonpaged_used * PAGE / sum(use.nonpaged.bytes for use in machine.tags)
    assert 1.4 < ratio < 1.8
    assert figures.pages > 1500
    assert figures.pinned_pages > figures.pages // 4
    assert figures.free_bytes > 5 * figures.used_bytes
    blocks = pages.blocks
    churned = blocks[(blocks["tag"] == tag_number("MmCm")) & (blocks["state"] == ALLOCATED)]
    each = 0xF18 if machine.windows.pointer == 4 else 0xF20
    assert (churned["size"] == each).sum() > 50
    # Most of what stays pins its page so that the driver's next block does not fit there
    page = np.searchsorted(pages.addresses, blocks["address"], side="right") - 1
    largest = np.zeros(len(pages.addresses), np.uint64)
    free = blocks["state"] == FREE
    np.maximum.at(largest, page[free], blocks["size"][free])
    assert (largest < each).sum() > 0.9 * len(largest)
    smallest = int(blocks["size"][blocks["state"] == ALLOCATED].min())
    assert smallest == (0x18 if machine.windows.pointer == 4 else 0x20)
    churner = {use.tag: use.nonpaged for use in machine.tags}["MmCm"]
    assert churner.allocs > 10 * churner.outstanding


def test_hidden_pages() -> None:
    hidden = Hidden(transition=0.2, paged_out=0.3, left_out=0.2)
    machine = simulate(make_machine(windows_named("7601-x64"), size=small_size(), hidden=hidden))
    nonpaged, paged = (set(pages.addresses.tolist()) for pages in machine.truth.pool_pages)
    absent = set(machine.truth.absent_pages)
    assert not nonpaged & absent
    assert 0.3 < len(paged & absent) / len(paged) < 0.7
    states = {machine.system.state(page) for page in paged}
    assert states == {"valid", "transition", "paged-out"}


def test_truth_is_stated() -> None:
    machine = simulate(make_machine(windows_named("3790-x86"), "fragmentation", size=small_size())).truth
    document = json.loads(truth_text(machine))
    first = document["pool_pages"][0]
    assert first["pool"] == "nonpaged"
    assert len({len(first[name]) for name in ("address", "size", "tag", "state", "protected", "process")}) == 1
    assert first["figures"]["pages"] == len(first["pages"]) == len(machine.pool_pages[0].addresses)
    assert set(first["state"]) == {"allocated", "free", "lookaside"}
    (tag,) = [row for row in document["tags"] if row["tag"] == "ReEv"]
    assert tag["nonpaged"]["bytes"] == first["tags"]["ReEv"]["bytes"]
    assert tag["nonpaged"]["outstanding"] == first["tags"]["ReEv"]["blocks"]


def test_same_machine_same_pages() -> None:
    machine = make_machine(windows_named("7601-x64"), size=small_size())
    other = make_machine(windows_named("7601-x64"), size=small_size())
    for one, two in zip(machine.pool_pages, other.pool_pages, strict=True):
        assert (one.rows == two.rows).all()
        assert one.free_lists == two.free_lists
    before = machine.pool_pages[0].rows.copy()
    simulate(machine)
    assert (machine.pool_pages[0].rows == before).all()
    less = simulate(replace(machine, pool_pages=()))
    assert less.truth.pool_pages == ()
