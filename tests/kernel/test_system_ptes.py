"""System PTEs: the runs of free ones in a bitmap, against a plain count; missing pages make lower bounds."""

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from poolsleuth.kernel import system_ptes
from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.system_ptes import PteBlocks, read_system_ptes
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Field, KernelTable, Structure

PAGE = 4096
BASE = 0xFFFFF80000000000
INFO, BUFFER = BASE + PAGE, 0xFFFFA00000000000
LAYOUT = Structure(
    0x60,
    {
        "Bitmap": Field(0, 16),
        "BasePte": Field(16, 8),
        "TotalSystemPtes": Field(24, 8),
        "TotalFreeSystemPtes": Field(32, 8),
    },
)


class Pages:
    """Memory of some pages."""

    pointer_size = 8

    def __init__(self, pages: dict[int, bytes]) -> None:
        self.pages = pages

    def read(self, address: int, size: int) -> bytes | Absence:
        page = self.pages.get(address // PAGE)
        return Absence.NOT_IN_DUMP if page is None else page[address % PAGE :][:size]

    def gather(self, numbers: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        rows = np.zeros((len(numbers), PAGE), np.uint8)
        places = np.full(len(numbers), int(Absence.NOT_IN_DUMP), np.int64)
        for row, number in enumerate(numbers.tolist()):
            if number in self.pages:
                rows[row], places[row] = np.frombuffer(self.pages[number], np.uint8), 0
        return rows, places


def kernel(bits: int, taken: bytes, *, skip: int = 0, lost: frozenset[int] = frozenset()) -> Kernel:
    """A kernel whose bitmap begins ``skip`` bytes into its first page; ``lost`` pages of it cannot be read."""
    record = bits.to_bytes(8, "little") + (BUFFER + skip).to_bytes(8, "little")
    record += (0x1000).to_bytes(8, "little") + bits.to_bytes(8, "little") + (5).to_bytes(8, "little")
    pages = {INFO // PAGE: record.ljust(PAGE, b"\0")}
    raw = (b"\xff" * skip + taken).ljust(-(-(skip + len(taken)) // PAGE) * PAGE, b"\xff")
    for number in range(len(raw) // PAGE):
        if number not in lost:
            pages[BUFFER // PAGE + number] = raw[number * PAGE : (number + 1) * PAGE]
    table = KernelTable(
        pdb=None,
        machine="x64",
        source="test",
        symbols={"MiSystemPteInfo": INFO - BASE},
        structures={"_MI_SYSTEM_PTE_TYPE": LAYOUT},
    )
    return Kernel(
        memory=Reader(Pages(pages)),
        build=7601,
        architecture="x64",
        pae=None,
        base=BASE,
        size=PAGE,
        pdb=None,
        processors=1,
        table=table,
    )


def blocks_of(one: Kernel) -> PteBlocks | None:
    found = read_system_ptes(one).system
    assert found is not None
    assert found.total_free == 5
    return found.blocks


def counted(bits: int, taken: bytes) -> tuple[int, int, int]:
    row = np.unpackbits(np.frombuffer(taken, np.uint8), bitorder="little")[:bits].tolist()
    runs = [len(list(run)) for value, run in groupby(row) if not value]
    return sum(runs), len(runs), max(runs, default=0)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 3 * PAGE * 8), st.lists(st.integers(0, 3 * PAGE * 8 - 1), max_size=20), st.sampled_from([0, 8, 4088])
)
def test_against_a_plain_count(bits: int, ones: list[int], skip: int) -> None:
    taken = np.zeros(3 * PAGE * 8, np.uint8)
    taken[ones] = 1
    raw = np.packbits(taken, bitorder="little").tobytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(system_ptes, "_PAGES_AT_ONCE", 1)
        found = blocks_of(kernel(bits, raw, skip=skip))
    assert found is not None
    assert (found.free, found.blocks, found.largest) == counted(bits, raw)
    assert (found.bits, found.missing) == (bits, 0)


@pytest.mark.parametrize("at_once", [1, 512])
def test_missing_pages_hold_nothing_free(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_ptes, "_PAGES_AT_ONCE", at_once)
    bits = 3 * PAGE * 8
    found = blocks_of(kernel(bits, bytes(3 * PAGE), lost=frozenset({1})))
    assert found == PteBlocks(bits=bits, free=2 * PAGE * 8, blocks=2, largest=PAGE * 8, missing=PAGE * 8)
    assert blocks_of(kernel(bits, bytes(3 * PAGE), lost=frozenset({0, 1, 2}))) is None


def test_what_cannot_be_a_bitmap() -> None:
    assert blocks_of(kernel(0, b"")) is None


def test_without_symbols_there_is_a_sentence() -> None:
    one = kernel(8, b"\0")
    bare = Kernel(
        memory=one.memory,
        build=3790,
        architecture="x64",
        pae=None,
        base=BASE,
        size=PAGE,
        pdb=None,
        processors=1,
        table=None,
    )
    assert read_system_ptes(bare).says == "where this kernel counts its system PTEs is not known"
