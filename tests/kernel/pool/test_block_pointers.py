"""Blocks with known contents, in a pool whose walk is given: what they point at, and who holds them."""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.modules import LoadedModule
from poolsleuth.kernel.object_types import Objects
from poolsleuth.kernel.pool import block_pointers
from poolsleuth.kernel.pool.block_pointers import MAX_OFFSETS, PointerSurvey, survey_pointers
from poolsleuth.kernel.pool.block_sample import Sampler
from poolsleuth.kernel.pool.blocks import BLOCK, Blocks, Kind, Pool, State
from poolsleuth.kernel.target import Kernel
from poolsleuth.kernel.unloaded_modules import UnloadedDriver
from poolsleuth.model.block_pointers import PointsTo

LEAK, KEEP = (int.from_bytes(tag, "little") for tag in (b"Leak", b"Keep"))
NONPAGED = frozenset((int(Pool.NONPAGED),))
POOL = {4: 0x84000000, 8: 0xFFFFFA8001000000}
DRIVER = {4: 0xF7000000, 8: 0xFFFFF88001000000}
GONE = {4: 0xF7100000, 8: 0xFFFFF88001100000}
SIZE = 0x80
CODE, DATA = 0x68000020, 0xC8000040


@dataclass
class World:
    """A pool with blocks of two tags, a driver with code and data, and where an unloaded driver lay."""

    memory: Any
    kinds: Kind = Kind.VS
    rows: list[Blocks] = field(default_factory=list)
    unloaded: list[UnloadedDriver] = field(default_factory=list)

    @property
    def width(self) -> int:
        return int(self.memory.pointer_size)

    @property
    def driver(self) -> int:
        return DRIVER[self.width]

    def blocks(self, tag: int, count: int, at: int = 0, *, size: int = SIZE, **more: int) -> list[int]:
        """Blocks of a tag; gives the addresses of what the driver sees."""
        blocks = np.zeros(count, BLOCK)
        blocks["address"] = np.uint64(POOL[self.width] + at) + np.arange(count, dtype=np.uint64) * np.uint64(size)
        blocks["size"], blocks["tag"], blocks["kind"] = size, tag, self.kinds
        for name, value in more.items():
            blocks[name] = value
        self.rows.append(blocks)
        for address in blocks["address"].tolist():
            self.memory.write(address, bytes(size))
        head = 0 if size > 4096 or more.get("kind") == Kind.BIG_PAGE else 2 * self.width
        return [int(address) + head for address in blocks["address"]]

    def image(self, present: bool = True) -> LoadedModule:
        """leaky.sys: code at 0x1000, data at 0x2000."""
        if present:
            top = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40)
            top += b"PE\0\0" + struct.pack("<HHI8xHH", 0x8664, 2, 0, 0xF0, 0x22)
            optional = bytearray(0xF0)
            struct.pack_into("<H", optional, 0, 0x20B)
            struct.pack_into("<I", optional, 0x38, 0x4000)
            rows = struct.pack("<8sIIII12xI", b".text", 0x1000, 0x1000, 0, 0, CODE)
            rows += struct.pack("<8sIIII12xI", b".data", 0x1000, 0x2000, 0, 0, DATA)
            self.memory.write(self.driver, top + bytes(optional) + rows)
        return LoadedModule(0, self.driver, 0x4000, "leaky.sys", None, None, None, None, None)

    def survey(self, *tags: int, modules: Iterable[LoadedModule] | None = None) -> PointerSurvey:
        kernel = Kernel(
            memory=Reader(self.memory),
            build=19041,
            architecture="x64",
            pae=None,
            base=0,
            size=None,
            pdb=None,
            processors=None,
            table=None,
        )
        loaded = [self.image()] if modules is None else modules
        return survey_pointers(kernel, [(tag, NONPAGED) for tag in tags or (LEAK,)], loaded, self.unloaded)


@pytest.fixture(params=[4, 8])
def world(request: pytest.FixtureRequest, fake_memory: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(fake_memory(request.param))

    def walk(_kernel: Kernel, _progress: object = None) -> Iterable[Any]:
        return [SimpleNamespace(blocks=np.sort(rows, order="address"), stopped=None, mapped=50) for rows in made.rows]

    monkeypatch.setattr(block_pointers, "walk_pool", walk)
    return made


def test_a_pointer_at_one_offset_of_most_blocks_is_a_sign(world: World) -> None:
    blocks = world.blocks(LEAK, 1500)
    for number, at in enumerate(blocks):
        if number % 500:
            world.memory.put(at + 0x18, world.driver + 0x1234)
        world.memory.put(at + 0x20, world.driver + 0x2000 + 16 * (number % 100))
    (tag,) = world.survey().tags
    assert (tag.seen, tag.sampled, tag.read) == (1500, 1000, 1000)
    first, second = tag.signs
    assert (first.to, first.name, first.offset, first.blocks, first.code) == (
        PointsTo.MODULE,
        "leaky.sys",
        0x20,
        1000,
        False,
    )
    assert first.same < 20  # each block leads to another place of the data
    assert (second.offset, second.code, second.relative) == (0x18, True, 0x1234)
    assert 995 <= second.blocks == second.same < 1000
    assert tag.linked == 0
    assert tag.holders == ()


def test_blocks_of_whole_pages_are_read_from_their_start(world: World) -> None:
    for at in world.blocks(LEAK, 40, size=0x2000, kind=Kind.BIG_PAGE):
        world.memory.put(at + 8, world.driver + 0x1800)
    (tag,) = world.survey().tags
    assert [(sign.offset, sign.blocks) for sign in tag.signs] == [(8, 40)]


def test_noise_is_no_sign(world: World) -> None:
    """Random bytes, a byte repeated, and the address of a driver at another offset in each block."""
    source = np.random.default_rng(5)
    for number, at in enumerate(world.blocks(LEAK, 1000)):
        world.memory.write(at, source.bytes(SIZE - 4 * world.width))
        world.memory.put(at + world.width * (number % 12), world.driver + 0x1000 + number)
    (tag,) = world.survey().tags
    assert tag.signs == ()


def test_a_fill_pattern_is_no_address(world: World) -> None:
    for at in world.blocks(LEAK, 100):
        world.memory.write(at, b"\xf7" * (SIZE - 4 * world.width))
    everywhere = LoadedModule(0, 0xF7F70000, 0x10000, "x.sys", None, None, None, None, None)
    (tag,) = world.survey(modules=[everywhere]).tags
    assert tag.signs == ()


@pytest.mark.parametrize(("count", "some", "told"), [(15, 15, 0), (16, 16, 1), (1000, 240, 0), (1000, 260, 1)])
def test_few_blocks_or_a_small_share_are_no_sign(count: int, some: int, told: int, world: World) -> None:
    for at in world.blocks(LEAK, count)[:some]:
        world.memory.put(at, world.driver + 0x1000)
    (tag,) = world.survey().tags
    assert len(tag.signs) == told


def test_headers_that_are_not_there_leave_code_unknown(world: World) -> None:
    for at in world.blocks(LEAK, 50):
        world.memory.put(at, world.driver + 0x1000)
    (tag,) = world.survey(modules=[world.image(present=False)]).tags
    assert tag.signs[0].code is None


def test_where_an_unloaded_driver_lay(world: World) -> None:
    gone = GONE[world.width]
    world.unloaded = [
        UnloadedDriver(0, "second.sys", gone + 0x8000, gone + 0x9000, None),
        UnloadedDriver(0, "other.sys", gone + 0x8800, gone + 0xA000, None),
        UnloadedDriver(0, "first.sys", gone, gone + 0x4000, None),
        UnloadedDriver(0, "under.sys", world.driver, world.driver + 0x4000, None),
    ]
    for number, at in enumerate(world.blocks(LEAK, 100)):
        world.memory.put(at, gone + 0x1100)
        world.memory.put(at + world.width, gone + 0x8900)
        world.memory.put(at + 2 * world.width, world.driver + 0x1010)  # a module is loaded there now
        world.memory.put(at + 3 * world.width, gone + 0x5000 + number)  # nobody's
    (tag,) = world.survey().tags
    found = {sign.offset // world.width: sign for sign in tag.signs}
    assert (found[0].to, found[0].name, found[0].relative, found[0].others) == (
        PointsTo.UNLOADED,
        "first.sys",
        0x1100,
        (),
    )
    assert (found[1].name, found[1].others, found[1].relative) == ("second.sys", ("other.sys",), 0x900)
    assert (found[2].to, found[2].name) == (PointsTo.MODULE, "leaky.sys")
    assert 3 not in found


def test_lists_among_the_blocks_are_structure_not_holders(world: World) -> None:
    blocks = world.blocks(LEAK, 200)
    for here, behind in zip(blocks, [*blocks[1:], blocks[0]], strict=True):
        world.memory.put(here, behind)
        world.memory.put(behind + world.width, here)
    (tag,) = world.survey().tags
    assert tag.linked == 200
    assert (tag.signs, tag.holders) == ((), ())


def test_what_the_blocks_hold_and_who_holds_them(world: World) -> None:
    blocks = world.blocks(LEAK, 300)
    keepers = world.blocks(KEEP, 300, 0x40000)
    freed = world.blocks(KEEP, 300, 0x80000, state=State.FREE)
    for number, (block, keeper, stale) in enumerate(zip(blocks, keepers, freed, strict=True)):
        world.memory.put(keeper + 3 * world.width, block)
        world.memory.put(stale, block)  # a free block holds what it held
        if number < 40:
            world.memory.put(world.driver + 0x2100 + world.width * number, block)
    leak, keep = world.survey(LEAK, KEEP).tags
    tag, module = leak.holders
    assert (tag.by, tag.name, tag.blocks, tag.places, tag.holders) == (PointsTo.TAG, "Keep", 300, 300, 300)
    assert (module.by, module.name, module.blocks, module.relative) == (PointsTo.MODULE, "leaky.sys", 40, 0x2100)
    assert [(sign.to, sign.name, sign.offset, sign.blocks) for sign in keep.signs] == [
        (PointsTo.TAG, "Leak", 3 * world.width, 300)
    ]


class Types:
    """Every block is an event whose body begins 0x30 bytes behind its start; the first has no open handle."""

    def in_blocks(self, octets: np.ndarray[Any, Any], starts: np.ndarray[Any, Any]) -> Objects:
        count = len(octets)
        assert len(starts) == count
        handles = np.ones(count, np.int64)
        handles[:1] = 0
        return Objects(("Event",), np.zeros(count, np.int64), handles, np.full(count, 0x30, np.int64))


@pytest.mark.parametrize(("bound", "told"), [(1 << 16, True), (299, False)])
def test_objects_that_the_blocks_are_and_hold(
    bound: int, told: bool, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_pointers, "read_object_types", lambda _kernel: Types())
    monkeypatch.setattr(block_pointers, "MAX_TARGETS", bound)
    monkeypatch.setattr(block_pointers, "_AT_ONCE", 7)
    blocks, events = world.blocks(LEAK, 300), world.blocks(KEEP, 300, 0x40000)
    for block, event in zip(blocks, events, strict=True):
        world.memory.put(block, event + 0x30, event + 0x38)
    (tag,) = world.survey().tags
    assert [(each.type, each.blocks, each.closed) for each in tag.objects] == [("Event", 300, 1)]
    objects = [(sign.offset, sign.name, sign.blocks) for sign in tag.signs if sign.to is PointsTo.OBJECT]
    assert objects == ([(0, "Event", 300)] if told else [])
    assert [sign.name for sign in tag.signs if sign.to is PointsTo.TAG] == ["Keep", "Keep"]


def test_a_table_of_addresses_is_told_with_a_few_of_its_offsets(world: World) -> None:
    blocks = world.blocks(LEAK, 40)
    for keeper in world.blocks(KEEP, 40, 0x40000):
        world.memory.put(keeper, *blocks[:10])
    (keep,) = world.survey(KEEP).tags
    assert [sign.offset // world.width for sign in keep.signs] == list(range(MAX_OFFSETS))


def test_blocks_of_other_tags_are_compared(world: World) -> None:
    """Of the same size, in use or free: 30 of 100 hold what the tag's own blocks hold."""
    gone = GONE[world.width]
    world.unloaded = [UnloadedDriver(0, "first.sys", gone, gone + 0x4000, None)]
    for at in world.blocks(LEAK, 100):
        world.memory.put(at, world.driver + 0x1000, gone + 0x100)
    for number, at in enumerate(world.blocks(KEEP, 100, 0x40000, state=State.FREE)):
        if number < 30:
            world.memory.put(at, world.driver + 0x1000)
        world.memory.put(at + world.width, gone + 0x100 if number < 7 else 0)
    world.blocks(KEEP, 100, 0x80000, size=2 * SIZE)
    (tag,) = world.survey().tags
    assert tag.compared == 100
    assert [(sign.name, sign.elsewhere) for sign in tag.signs] == [("leaky.sys", 30), ("first.sys", 7)]


def test_memory_that_is_missing_is_not_counted(world: World) -> None:
    blocks = world.blocks(LEAK, 320)
    for at in blocks:
        world.memory.put(at, world.driver + 0x1000)
    world.memory.lose(POOL[world.width])  # 32 blocks lie in a page
    (tag,) = world.survey().tags
    assert (tag.sampled, tag.read, tag.signs[0].blocks) == (320, 288, 288)


def test_a_pool_that_is_not_kept_whole_is_walked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_pointers, "Sampler", lambda wanted: Sampler(wanted, 4))
    blocks, keepers = world.blocks(LEAK, 320), world.blocks(KEEP, 320, 0x40000)
    for block, keeper in zip(blocks, keepers, strict=True):
        world.memory.put(block, keeper)
    survey = world.survey()
    assert survey.searched_pages < survey.all_pages == 20
    assert [(sign.name, sign.blocks) for sign in survey.tags[0].signs] == [("Keep", 320)]


def test_a_walk_through_too_much_memory_ends_and_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_pointers, "MAX_WALKED", 99)
    for number in range(3):
        world.blocks(LEAK, 20, 0x40000 * number)
    survey = world.survey()
    assert survey.tags[0].seen == 40
    assert "more than 99 pages of kernel memory are mapped" in survey.says[0]


def test_a_tag_without_blocks(world: World) -> None:
    world.blocks(KEEP, 3)
    (tag,) = world.survey(LEAK).tags
    assert (tag.seen, tag.read, tag.signs, tag.address) == (0, 0, (), None)


def test_overlapping_and_absurd_blocks_do_no_harm(world: World) -> None:
    source = np.random.default_rng(9)
    for _ in range(5):
        blocks = np.zeros(200, BLOCK)
        blocks["address"] = source.integers(0, 1 << 63, 200, dtype=np.uint64) * np.uint64(2)
        blocks["size"] = source.integers(0, 1 << 40, 200, dtype=np.uint64)
        blocks["tag"], blocks["kind"] = LEAK, source.integers(0, 6, 200)
        world.rows.append(blocks)
    (tag,) = world.survey().tags
    assert tag.signs == ()
