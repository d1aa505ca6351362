"""Fills the blocks of leaking tags as real drivers do: pointers home, links, object headers, addresses of others."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from poolsleuth.lab.allocator.headers import form_of, tag_number
from poolsleuth.lab.contents import BlockContents, Place
from poolsleuth.lab.machine import ALLOCATED, IN_USE, PAGE, Machine, PoolPages
from poolsleuth.lab.objects import ObjectHeaders, write_object_types
from poolsleuth.lab.scene import Scene
from poolsleuth.lab.segment_heap.contents import LFH, VS
from poolsleuth.lab.segment_heap.place import PlacedHeap

TABLE_AT = PAGE * 2 + 0x100
"""Where the data of a driver holds a table of blocks: in its data section, bytes behind the image's start."""
_HOLDS_FROM = 0x10  # offset in a block at which the addresses of others begin
_RESERVED = 0x200  # bytes at a driver's end that are no data
_NOISE_LIKE_POINTERS = 0.1


@dataclass(slots=True)
class _Block:
    """A block's data: behind the header of a small one, all of a big one. ``within``: None for a big one."""

    address: int
    data: bytearray
    within: PoolPages | PlacedHeap | None = None


@dataclass(slots=True)
class Filler:
    """Fills blocks. ``pages`` and ``heaps`` have their final addresses; big allocations are mapped here."""

    scene: Scene
    truth: Machine
    pages: tuple[PoolPages, ...]
    heaps: tuple[PlacedHeap, ...]
    headers: ObjectHeaders | None = None
    _blocks: dict[str, list[_Block]] = field(default_factory=dict)

    def fill(self) -> None:
        """Write the contents that the machine's truth asks for."""
        contents = self.scene.machine.contents
        for each in contents:
            self._blocks[each.tag] = [*self._small(each.tag), *self._big(each.tag)]
        for number, each in enumerate(contents):
            self._noise(each, number)
            self._own(each, number)
        for each in contents:
            self._held(each)
        for blocks in self._blocks.values():
            for block in blocks:
                self._write(block)

    def _small(self, tag: str) -> Iterable[_Block]:
        unit = form_of(self.scene.pointer).unit
        key = tag_number(tag)
        for pages in self.pages:
            mine = pages.blocks[(pages.blocks["tag"] == key) & (pages.blocks["state"] == ALLOCATED)]
            for address, size in zip(mine["address"].tolist(), mine["size"].tolist(), strict=True):
                yield _Block(address + unit, bytearray(size - unit), pages)
        for heap in self.heaps:
            blocks = heap.truth.blocks
            small = ((blocks["kind"] == LFH) | (blocks["kind"] == VS)) & (blocks["size"] < PAGE - unit)
            mine = blocks[small & (blocks["tag"] == key) & (blocks["state"] == ALLOCATED)]
            for address, size in zip(mine["address"].tolist(), mine["size"].tolist(), strict=True):
                yield _Block(address + unit, bytearray(size - unit), heap)

    def _big(self, tag: str) -> Iterable[_Block]:
        rows = self.scene.machine.big_pages.rows
        mine = rows[(rows["state"] == IN_USE) & (rows["tag"] == tag.encode("latin-1").rstrip())]
        if not len(mine):
            mine = rows[(rows["state"] == IN_USE) & (rows["tag"] == tag.encode("latin-1"))]
        for address, size in zip(mine["address"].tolist(), mine["bytes"].tolist(), strict=True):
            yield _Block(address, bytearray(size))

    def _noise(self, contents: BlockContents, number: int) -> None:
        """Small numbers, texts and some words that look like addresses, at no fixed place."""
        random = np.random.default_rng([self.scene.machine.seed, number])
        width = self.scene.pointer
        for block in self._blocks[contents.tag]:
            count = len(block.data) // width
            words = random.integers(0, 1 << 16, count, dtype=np.uint64)
            like = random.random(count) < _NOISE_LIKE_POINTERS
            wild = random.integers(0, 1 << 8 * width, count, dtype=np.uint64, endpoint=False) if width == 4 else None
            if wild is None:
                wild = random.integers(0, 1 << 48, count, dtype=np.uint64) | np.uint64(0xFFFF_8000_0000_0000)
            words[like] = wild[like]
            block.data[: count * width] = words.astype(f"<u{width}").tobytes()

    def _own(self, contents: BlockContents, number: int) -> None:
        blocks = self._blocks[contents.tag]
        if contents.object_type is not None and self.headers is not None:
            for index, block in enumerate(blocks):
                self._put_object(block, contents, index)
        for place in (contents.code, contents.data):
            target = self._address(place) if place is not None else None
            if place is None or target is None:
                continue
            for index, block in enumerate(blocks):
                if index % contents.but_one_of != contents.but_one_of - 1:
                    self._put(block, place.offset, target)
        if contents.links is not None and blocks:
            order = np.random.default_rng([self.scene.machine.seed, number, 1]).permutation(len(blocks)).tolist()
            at = contents.links
            for here, behind in zip(order, [*order[1:], order[0]], strict=True):
                self._put(blocks[here], at, blocks[behind].address + at)
                self._put(blocks[behind], at + self.scene.pointer, blocks[here].address + at)

    def _put_object(self, block: _Block, contents: BlockContents, index: int) -> None:
        assert self.headers is not None
        assert contents.object_type is not None
        open_handles = 0 if index % 1000 < contents.closed * 1000 else 1
        data = self.headers.write(
            contents.object_type,
            block.address,
            handles=open_handles,
            references=32_768 if open_handles else 1,
            quota=index % 3 == 0 and len(block.data) >= 0x60,
        )
        block.data[: len(data)] = data

    def _held(self, contents: BlockContents) -> None:
        addresses = [block.address for block in self._blocks[contents.tag]]
        if contents.table_in is not None:
            module = next((m for m in self.truth.modules if m.name == contents.table_in), None)
            if module is not None and module.base is not None:
                room = (module.size - TABLE_AT - PAGE - _RESERVED) // self.scene.pointer
                table = b"".join(self.scene.word(address) for address in addresses[: max(room, 0)])
                self.scene.system.write(module.base + TABLE_AT, table)
        holders = iter(self._blocks.get(contents.held_by or "", []))
        for first in range(0, len(addresses), contents.held_each):
            holder = next(holders, None)
            if holder is None:
                break
            for number, address in enumerate(addresses[first : first + contents.held_each]):
                self._put(holder, _HOLDS_FROM + number * self.scene.pointer, address)

    def _address(self, place: Place) -> int | None:
        for module in self.truth.modules:
            if module.name == place.driver and module.base is not None:
                return module.base + place.relative
        for gone in reversed(self.truth.unloaded):
            if gone.name == place.driver and gone.start is not None:
                return gone.start + place.relative
        return None

    def _put(self, block: _Block, offset: int, value: int) -> None:
        width = self.scene.pointer
        if offset + width <= len(block.data):
            block.data[offset : offset + width] = self.scene.word(value)

    def _write(self, block: _Block) -> None:
        if block.within is None:
            self.scene.system.write(block.address, block.data)
        elif isinstance(block.within, PlacedHeap):
            block.within.put(block.address, bytes(block.data))
        else:
            row = int(np.searchsorted(block.within.addresses, np.uint64(block.address // PAGE * PAGE)))
            at = block.address % PAGE
            block.within.rows[row, at : at + len(block.data)] = np.frombuffer(bytes(block.data), np.uint8)


def object_headers(scene: Scene) -> ObjectHeaders | None:
    """Write the types of objects, where the machine's blocks are objects; None where there are none."""
    return write_object_types(scene) if any(each.object_type for each in scene.machine.contents) else None


def fill_blocks(
    scene: Scene,
    truth: Machine,
    pages: tuple[PoolPages, ...],
    heaps: tuple[PlacedHeap, ...],
    headers: ObjectHeaders | None,
) -> None:
    """Fill the blocks that the machine's truth speaks of, before their pages are written."""
    Filler(scene, truth, pages, heaps, headers).fill()
