"""The guess at blocks: headers are found, what lies inside another block is not, and it calls itself a guess."""

import random
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.dump.opening import open_kernel
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.pool.segment_heap.scan import SAYS, plausible_blocks, scan_for_headers
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size

PAGE = 4096
AT = 0xFFFFB40000000000


def header(units: int, kind: int, tag: bytes, previous: int = 0) -> bytes:
    return struct.pack("<BBBB4s", previous, 7, units, kind, tag)


def page_with(*placed: tuple[int, bytes]) -> bytearray:
    page = bytearray(PAGE)
    for at, data in placed:
        page[at : at + len(data)] = data
    return page


def found_in(*pages: bytearray) -> list[tuple[int, ...]]:
    rows = np.frombuffer(b"".join(pages), np.uint8).reshape(-1, PAGE)
    addresses = np.uint64(AT) + np.arange(len(pages), dtype=np.uint64) * np.uint64(PAGE)
    blocks = plausible_blocks(rows, addresses)
    return [(row[0] - AT, *row[1:]) for row in blocks.tolist()]


def test_headers_are_found_with_pool_and_tag() -> None:
    key = int.from_bytes(b"Leak", "little")
    first = page_with((0x40, header(4, 0x02, b"Leak")), (0xF00, header(16, 0x03, b"Leak")))
    second = page_with((0x100, header(8, 0x23, b"Leak")), (0x200, header(8, 0x0A, b"Lea\xeb")))
    assert found_in(first, second) == [
        (0x40, 0x40, key, 0, 255, 255, 0),
        (0xF00, 0x100, key, 2, 255, 255, 0),
        (0x1100, 0x80, key, 3, 255, 255, 0),
        (0x1200, 0x80, key, 0, 255, 255, 1),
    ]


@pytest.mark.parametrize(
    "octets",
    [
        header(1, 2, b"Leak"),
        header(0, 2, b"Leak"),
        header(4, 0, b"Leak"),
        header(4, 0x92, b"Leak"),
        header(4, 2, b"\x01eak"),
        header(4, 2, b"Le\0k"),
        header(4, 2, b"Leak", previous=3),
    ],
)
def test_what_cannot_be_a_header_is_not_found(octets: bytes) -> None:
    assert found_in(page_with((0x40, octets))) == []


def test_a_block_ends_with_its_page_and_holds_no_other() -> None:
    assert found_in(page_with((0xFC0, header(5, 2, b"Leak")))) == []
    nested = page_with((0x40, header(16, 2, b"Outr")), (0x80, header(4, 2, b"Innr")), (0x140, header(4, 2, b"Next")))
    assert [row[0] for row in found_in(nested)] == [0x40, 0x140]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 32))
def test_random_pages_give_disjoint_blocks(seed: int) -> None:
    rows = found_in(*(bytearray(random.Random(seed + i).randbytes(PAGE)) for i in range(4)))
    assert all(a[0] + a[1] <= b[0] for a, b in pairwise(rows))
    assert all(row[0] // PAGE == (row[0] + row[1] - 1) // PAGE for row in rows)


def test_a_dump_is_scanned_and_the_guess_is_called_one(tmp_path: Path) -> None:
    machine = simulate(make_machine(windows_named("19041-x64"), "leak", size=small_size()))
    # The lab's Windows of 1809 and later have no blocks: pages of our own lie where nothing else does
    octets = page_with((0x40, header(4, 0x02, b"Leak")), (0x400, header(9, 0x03, b"Held")))
    machine.system.map(AT, 1)
    machine.system.write(AT, bytes(octets))
    path = tmp_path / "MEMORY.DMP"
    machine.write(path, "bitmap-full")
    told: list[int] = []
    with path.open("rb") as file, open_content(file) as content:
        kernel = open_kernel(content, DumpOptions()).kernel
        assert kernel is not None
        parts = list(scan_for_headers(kernel, told.append))
    blocks = np.concatenate([part.blocks for part in parts])
    ours = blocks[(blocks["address"] >= AT) & (blocks["address"] < AT + PAGE)]
    assert [(row[0] - AT, row[1], row[5]) for row in ours.tolist()] == [(0x40, 0x40, 255), (0x400, 0x90, 255)]
    assert [says for part in parts for says in part.says] == [SAYS]
    assert told[-1] == sum(part.mapped for part in parts)
