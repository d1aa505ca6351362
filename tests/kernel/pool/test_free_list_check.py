"""Links of free blocks: sound rings, single wrong links, and lists that this kernel keeps in another way."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.pool.free_list_check import LINK, check_free_lists

BASE, HEAD = 0xFFFFFA80_00001010, 0xFFFFF800_01000000


class Memory:
    """Pointers at addresses; all other bytes of their pages are zero."""

    pointer_size = 8

    def __init__(self, words: dict[int, int]) -> None:
        self.words = words

    def read(self, address: int, size: int) -> bytes | Absence:
        return Absence.NOT_MAPPED

    def gather(self, pages: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        data = np.zeros((len(pages), 4096), np.uint8)
        places = np.full(len(pages), int(Absence.NOT_IN_DUMP), np.int64)
        for at, value in self.words.items():
            for row in np.flatnonzero(pages == np.uint64(at // 4096)).tolist():
                data[row, at % 4096 : at % 4096 + 8] = np.frombuffer(value.to_bytes(8, "little"), np.uint8)
                places[row] = 1
        return data, places


def ring(count: int) -> tuple[NDArray[np.void], Memory]:
    """So many free blocks in one list, whose head lies elsewhere."""
    nodes = [BASE + number * 0x400 for number in range(count)]
    every = [HEAD, *nodes]
    rows = [(every[i], every[(i + 1) % len(every)], every[i - 1]) for i in range(1, len(every))]
    return np.array(rows, LINK), Memory({HEAD: nodes[0], HEAD + 8: nodes[-1]})


def test_a_sound_list() -> None:
    links, memory = ring(600)
    found = check_free_lists(memory, [links[:250], links[250:]])
    assert (found.checked, found.unknown, found.broken, found.says) == (600, 0, (), ())


def test_a_link_that_was_written_over_is_named_and_its_neighbour_is_not() -> None:
    links, memory = ring(600)
    links["back"][300] = 0x4141414141414141
    found = check_free_lists(memory, [links])
    assert [(each.node, each.ahead, each.leads) for each in found.broken] == [
        (int(links["node"][300]), False, 0x4141414141414141)
    ]


def test_a_link_to_another_free_block_is_a_contradiction() -> None:
    links, memory = ring(600)
    links["ahead"][300] = links["node"][10]
    found = check_free_lists(memory, [links])
    assert int(links["node"][300]) in {each.node for each in found.broken}
    assert any("leads back to" in each.why for each in found.broken)


def test_links_into_memory_that_is_not_there_prove_nothing() -> None:
    links, memory = ring(20)
    memory.words.clear()
    found = check_free_lists(memory, [links])
    assert (found.broken, found.unknown) == ((), 2)


def test_lists_of_another_kind_are_not_judged() -> None:
    links, memory = ring(600)
    links["ahead"] ^= np.uint64(0x5A5A5A5A5A5A5A5A)
    found = check_free_lists(memory, [links])
    assert found.broken == ()
    assert "a way that is not known" in found.says[0]


@given(st.binary(min_size=0, max_size=480))
def test_any_links_give_an_answer(raw: bytes) -> None:
    links = np.frombuffer(raw[: len(raw) // 24 * 24], LINK)
    found = check_free_lists(Memory({}), [links])
    assert found.checked == len(links)


def test_nothing_to_check() -> None:
    assert check_free_lists(Memory({}), []).checked == 0
