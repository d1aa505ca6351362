"""The blocks of a triage dump as an address space."""

from collections.abc import Callable

import numpy as np

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.crash_dump.content import DumpContent
from poolsleuth.kernel.crash_dump.dump import open_dump
from poolsleuth.kernel.find.block_space import BlockSpace

BASE = 0xFFFFF80002A00000


def space(triage_dump: Callable[..., bytes]) -> BlockSpace:
    page = bytes(range(256)) * 16
    raw = triage_dump(True, [], blocks=[(BASE, page), (BASE + 0x1000, b"abcdefgh"), (BASE + 0x3000, page)])
    triage = open_dump(DumpContent(raw)).triage
    assert triage is not None
    return BlockSpace(triage.blocks, 8)


def test_reads(triage_dump: Callable[..., bytes]) -> None:
    blocks = space(triage_dump)
    assert blocks.read(BASE + 2, 4) == b"\2\3\4\5"
    assert blocks.read(BASE + 0xFFE, 4) == b"\xfe\xffab"
    assert blocks.read(BASE + 0x1004, 8) is Absence.NOT_IN_DUMP
    assert blocks.read(BASE - 1, 1) is Absence.NOT_IN_DUMP
    for address in (-1, (1 << 64) - 4, 1 << 65):
        assert blocks.read(address, 8) is Absence.NOT_MAPPED
    assert Reader(blocks).pointer(BASE + 0x1000) == int.from_bytes(b"abcdefgh", "little")


def test_gather_has_whole_pages_only(triage_dump: Callable[..., bytes]) -> None:
    pages = np.array([BASE // 4096, BASE // 4096 + 1, BASE // 4096 + 3, (1 << 52) - 1], np.uint64)
    rows, places = space(triage_dump).gather(pages)
    assert places.tolist() == [0, Absence.NOT_IN_DUMP, 0, Absence.NOT_IN_DUMP]
    assert rows[0].tobytes() == bytes(range(256)) * 16
    assert not rows[1].any()
