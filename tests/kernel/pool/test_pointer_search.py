from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from poolsleuth.kernel.pool.blocks import BLOCK, Blocks
from poolsleuth.kernel.pool.pointer_search import Search

START = {4: 0x85000000, 8: 0xFFFFFA8001000000}
PLACE = {4: 0x86000000, 8: 0xFFFFFA8002000000}


def blocks_of(*rows: tuple[int, int]) -> Blocks:
    blocks = np.zeros(len(rows), BLOCK)
    blocks["address"], blocks["size"] = zip(*rows, strict=True)
    return blocks


@pytest.mark.parametrize("width", [4, 8])
def test_words_that_lead_into_a_block_are_found_and_nothing_else(width: int, fake_memory: Callable[[int], Any]) -> None:
    memory, start, place = fake_memory(width), START[width], PLACE[width]
    blocks = blocks_of((start, 0x40), (start + 0x5000, 0x9000))
    memory.put(
        place,
        start,  # the block itself
        start + 0x3F,
        start + 0x40,  # behind it
        start - 1,
        start + 0x5000,
        start + 0x6FFF,  # the second page of a large one
        0,
        (1 << 8 * width) - 1,
    )
    memory.lose(place + 0x1000)
    pages = np.array([place >> 12, (place >> 12) + 1], np.uint64)
    hits = Search(blocks, width).through(memory, pages)
    assert [(int(at) - place) // width for at in hits.places] == [0, 1, 4, 5]
    assert hits.targets.tolist() == [0, 0, 1, 1]
    assert (hits.pages, hits.cut) == (1, False)


def test_without_blocks_nothing_is_searched(fake_memory: Callable[[int], Any]) -> None:
    hits = Search(np.empty(0, BLOCK), 8).through(fake_memory(8), np.array([5], np.uint64))
    assert (len(hits.places), hits.pages) == (0, 0)


def test_the_places_are_bounded(fake_memory: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poolsleuth.kernel.pool.pointer_search.MAX_HITS", 100)
    memory = fake_memory(8)
    memory.put(PLACE[8], *[START[8]] * 512)
    hits = Search(blocks_of((START[8], 0x40)), 8).through(memory, np.array([PLACE[8] >> 12], np.uint64))
    assert hits.cut


def test_noise_gives_hardly_any_place(fake_memory: Callable[[int], Any]) -> None:
    """On x86 every other word can be an address; 1,000 blocks of 64 bytes take up one address of 67,000."""
    memory = fake_memory(4)
    memory.write(PLACE[4], np.random.default_rng(3).bytes(4096 * 16))
    blocks = blocks_of(*((START[4] + 0x100 * i, 0x40) for i in range(1000)))
    pages = np.arange(PLACE[4] >> 12, (PLACE[4] >> 12) + 16, dtype=np.uint64)
    assert len(Search(blocks, 4).through(memory, pages).places) <= 3
