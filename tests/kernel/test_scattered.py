from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.scattered import CHUNK, read_scattered

DTYPE = np.dtype({"names": ["a", "b"], "formats": ["<u4", "<u2"], "offsets": [0, 20], "itemsize": 22})


@given(st.lists(st.integers(0x1000, 0x8FFF), max_size=60), st.sets(st.integers(1, 9)))
def test_bulk_reads_equal_single_ones(addresses: list[int], missing: set[int]) -> None:
    class Bytes:
        pointer_size = 4

        def read(self, address: int, size: int) -> bytes | Absence:
            if {address // 4096, (address + size - 1) // 4096} & missing:
                return Absence.NOT_IN_DUMP
            return bytes(at * 7 % 251 for at in range(address, address + size))

        def gather(self, pages: Any) -> Any:
            rows, places = np.zeros((len(pages), 4096), np.uint8), np.zeros(len(pages), np.int64)
            for i, page in enumerate(pages.tolist()):
                raw = self.read(page * 4096, 4096)
                if isinstance(raw, Absence):
                    places[i] = raw
                else:
                    rows[i] = np.frombuffer(raw, np.uint8)
            return rows, places

    space = Bytes()
    seen = []
    for part in read_scattered(space, np.array(addresses, np.uint64), DTYPE):
        for address, row, whole in zip(part.addresses.tolist(), part.rows, part.whole.tolist(), strict=True):
            raw = space.read(address, 22)
            assert whole == (not isinstance(raw, Absence))
            assert row.tobytes() == (bytes(22) if isinstance(raw, Absence) else raw)
            seen.append(address)
    assert seen == sorted(addresses)


def test_more_than_one_chunk(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    count = CHUNK + 3
    for i in range(count):
        memory.put(0x100000 + 24 * i, i, width=4)
    addresses = np.arange(count, dtype=np.uint64) * np.uint64(24) + np.uint64(0x100000)
    parts = list(read_scattered(memory, addresses[::-1], DTYPE))
    assert [len(part.rows) for part in parts] == [CHUNK, 3]
    assert np.concatenate([part.rows["a"] for part in parts]).tolist() == list(range(count))


@pytest.mark.parametrize("width", [4, 8])
def test_addresses_at_the_end_of_the_address_space_are_left_out(width: int, fake_memory: Callable[[int], Any]) -> None:
    addresses = np.array([(1 << 8 * width) - 1, (1 << 8 * width) - 22], np.uint64)
    (part,) = read_scattered(fake_memory(width), addresses, DTYPE)
    assert part.addresses.tolist() == [(1 << 8 * width) - 22]
    assert part.whole.tolist() == [False]


def test_large_structures_are_refused(fake_memory: Callable[[int], Any]) -> None:
    with pytest.raises(ValueError, match="in bulk"):
        next(read_scattered(fake_memory(8), np.zeros(1, np.uint64), np.dtype([("x", "V5000")])))
