"""What lies in the blocks of leaking tags: read through the lab's own page tables, at the offsets of the truth."""

import json
from collections import Counter
from functools import cache

import pytest

from poolsleuth.lab.allocator.headers import form_of, tag_number
from poolsleuth.lab.block_contents import TABLE_AT
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.machine import ALLOCATED, IN_USE, PAGE
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import LEAKED_PAIRS, make_machine, small_size
from poolsleuth.lab.truth import truth_text

REFERENCES = (1, 32_768)  # of an object without a handle, and with one
KERNELS = ("3790-x86", "7601-x64", "19041-x64")  # classic pool without and with symbols, and the segment heap


@cache
def machine(name: str, story: str) -> SimulatedMachine:
    return simulate(make_machine(windows_named(name), story, size=small_size()))


def blocks(simulated: SimulatedMachine, tag: str) -> list[int]:
    """Addresses of what the driver sees, of all blocks of a tag in memory."""
    truth, unit = simulated.truth, form_of(simulated.truth.windows.pointer).unit
    found: list[int] = []
    parts = [*(pages.blocks for pages in truth.pool_pages), *(heap.blocks for heap in truth.heaps)]
    for part in parts:
        rows = part[(part["tag"] == tag_number(tag)) & (part["state"] == ALLOCATED)]
        found += [
            at + unit for at, size in zip(rows["address"].tolist(), rows["size"].tolist(), strict=True) if size < PAGE
        ]
    rows = truth.big_pages.rows
    big: list[int] = rows["address"][(rows["tag"] == tag.encode()) & (rows["state"] == IN_USE)].tolist()
    return found + big


def word(simulated: SimulatedMachine, address: int) -> int:
    return int.from_bytes(simulated.system.read(address, simulated.truth.windows.pointer), "little")


def base(simulated: SimulatedMachine, name: str) -> int:
    return next(module.base or 0 for module in simulated.truth.modules if module.name == name)


@pytest.mark.parametrize("name", KERNELS)
def test_leaked_blocks_point_at_their_driver_and_at_each_other(name: str) -> None:
    simulated = machine(name, "leak")
    found = blocks(simulated, "Leak")
    assert len(found) >= 2000
    targets = Counter(word(simulated, at + 0x18) - base(simulated, "leaky.sys") for at in found)
    assert targets[0x1A40] == len(found) - len(found) // 500
    ring: list[int] = []
    at = found[0]
    while at not in ring[:1]:
        ring.append(at)
        assert word(simulated, word(simulated, at) + simulated.truth.windows.pointer) == at
        at = word(simulated, at)
    assert sorted(ring) == sorted(found)


@pytest.mark.parametrize("name", KERNELS)
def test_a_driver_that_is_gone_left_its_addresses(name: str) -> None:
    simulated = machine(name, "unloaded")
    found = blocks(simulated, "Tq7x")
    assert len(found) > 10_000 + LEAKED_PAIRS
    last = [gone.start or 0 for gone in simulated.truth.unloaded if gone.name == "acmetmp.sys"][-1]
    assert {word(simulated, at + 0x18) for at in found[:400]} == {last + 0x1A40}
    assert all(module.name != "acmetmp.sys" for module in simulated.truth.modules)


@pytest.mark.parametrize("name", KERNELS)
def test_the_keeper_holds_the_address_of_every_block(name: str) -> None:
    simulated = machine(name, "retainer")
    kept, holders = set(blocks(simulated, "Rqst")), blocks(simulated, "Kpr2")
    keeper = base(simulated, "keeper.sys") + TABLE_AT
    assert word(simulated, keeper) in kept
    width = simulated.truth.windows.pointer
    held = {word(simulated, at + 0x10 + width * i) for at in holders for i in range(16)}
    assert len(kept & held) >= min(len(kept), 16 * len(holders))


@pytest.mark.parametrize("name", KERNELS)
def test_the_tags_count_what_is_in_memory(name: str) -> None:
    for story, tag in (("leak", "Leak"), ("unloaded", "Tq7x"), ("retainer", "Rqst")):
        simulated = machine(name, story)
        (use,) = [use for use in simulated.truth.tags if use.tag == tag]
        assert len(blocks(simulated, tag)) <= use.nonpaged.outstanding
        if story != "leak":  # all of it is in memory
            assert len(blocks(simulated, tag)) == use.nonpaged.outstanding


def test_the_truth_tells_what_was_written() -> None:
    document = json.loads(truth_text(machine("7601-x64", "retainer").truth))
    told = {each["tag"]: each for each in document["block_contents"]}
    assert told["Rqst"]["code"] == {"offset": 0x20, "driver": "reqsrv.sys", "relative": 0x1990}
    assert (told["Rqst"]["table_in"], told["Rqst"]["held_by"]) == ("keeper.sys", "Kpr2")
    assert json.loads(truth_text(machine("7601-x64", "leak").truth))["block_contents"][0]["links"] == 0


@pytest.mark.parametrize(
    ("name", "type_at", "body"),
    [("7601-x64", 0x18, 0x30), ("14393-x64", 0x18, 0x30), ("19041-x64", 0x18, 0x30)],
)
def test_objects_have_the_index_of_their_type(name: str, type_at: int, body: int) -> None:
    """_OBJECT_HEADER.TypeIndex at 0x18; Event is the ninth type from index 2 on, 12. Disguised since Windows 10."""
    simulated = machine(name, "handle-leak")
    base_of_kernel = simulated.truth.modules[0].base or 0
    places = simulated.truth.places
    table = places["ObTypeIndexTable"]
    assert table > base_of_kernel
    cookie = simulated.system.read(places["ObHeaderCookie"], 1)[0] if "ObHeaderCookie" in places else 0
    kinds: Counter[int] = Counter()
    for at in blocks(simulated, "Even"):
        # A third of the objects have a quota header of 0x20 bytes in front; the counts tell headers from noise
        front = 0x20 if word(simulated, at + 0x20) in REFERENCES and word(simulated, at + 0x28) < 2 else 0
        assert simulated.system.read(at + front + 0x1A, 1)[0] == (8 if front else 0)
        raw = simulated.system.read(at + front + type_at, 1)[0]
        disguise = cookie ^ (at + front >> 8 & 0xFF) if "ObHeaderCookie" in places else 0
        kinds[raw ^ disguise] += 1
    assert list(kinds) == [12]
    event = int.from_bytes(simulated.system.read(table + 12 * 8, 8), "little")
    length = int.from_bytes(simulated.system.read(event + 0x10, 2), "little")
    text = int.from_bytes(simulated.system.read(event + 0x18, 8), "little")
    assert simulated.system.read(text, length).decode("utf-16-le") == "Event"
    assert body == 0x30


def test_before_windows_7_objects_have_the_address_of_their_type() -> None:
    simulated = machine("3790-x86", "handle-leak")
    root = word(simulated, simulated.truth.places["ObpTypeObjectType"])
    types = set()
    for at in blocks(simulated, "Even"):
        front = 0x10 if word(simulated, at + 0x10) in REFERENCES and word(simulated, at + 0x14) < 2 else 0
        assert simulated.system.read(at + front + 0xE, 1)[0] == front
        types.add(word(simulated, at + front + 8))
    (event,) = types
    assert word(simulated, event - 0x18 + 8) == root
    text = word(simulated, event + 0x44)
    assert simulated.system.read(text, 10).decode("utf-16-le") == "Event"
