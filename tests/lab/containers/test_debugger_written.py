import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from poolsleuth.lab.containers.debugger_written import write_debugger_dump
from poolsleuth.lab.containers.header import DumpHeaderFields
from poolsleuth.lab.physical import PAGE, PhysicalImage

Header = Callable[..., DumpHeaderFields]
Machine = Callable[..., PhysicalImage]


@pytest.mark.parametrize("kind", [8, 9, 10])
def test_ranges_are_listed_and_ended(kind: int, tmp_path: Path, small_machine: Machine, header_of: Header) -> None:
    image = small_machine()
    count = write_debugger_dump(tmp_path / "a.dmp", image, header_of(64), kind)  # type: ignore[arg-type]
    raw = (tmp_path / "a.dmp").read_bytes()
    assert raw[0x2000:0x200C] == struct.pack("<I", 0x40) + b"RDMPDUMP"
    metadata, first = struct.unpack_from("<QQ", raw, 0x2010)
    assert metadata - 0x20 == first - 0x2040
    ranges = list(image.runs()) if kind == 10 else [(1, 1), (5, 2), (30, 1), (64, 1), (83, 1), (1000, 1), (1013, 1)]
    listed = struct.unpack_from(f"<{2 * len(ranges) + 2}Q", raw, 0x2030)
    assert list(zip(listed[::2], listed[1::2], strict=True)) == [*ranges, (0, 0)]
    assert len(raw) == first + count * PAGE
    if kind == 10:
        assert struct.unpack_from("<IHHQ", raw, 0x2020) == (3, 0, 0, 64)


def test_page_0_cannot_be_said(tmp_path: Path, header_of: Header) -> None:
    image = PhysicalImage(4, runs=((0, 4),))
    assert write_debugger_dump(tmp_path / "a.dmp", image, header_of(64), 10) == 3


def test_there_are_none_of_32_bits(tmp_path: Path, small_machine: Machine, header_of: Header) -> None:
    with pytest.raises(ValueError, match="64-bit"):
        write_debugger_dump(tmp_path / "a.dmp", small_machine(), header_of(32), 8)
