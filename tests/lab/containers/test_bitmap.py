import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.lab.containers.bitmap import bits_of, write_bitmap
from poolsleuth.lab.containers.header import DumpHeaderFields
from poolsleuth.lab.physical import PAGE, PhysicalImage


@given(st.lists(st.tuples(st.integers(0, 150), st.integers(1, 50)), max_size=8))
def test_bits_are_those_of_the_pages(runs: list[tuple[int, int]]) -> None:
    raw = bits_of(runs, 200)
    wanted = {number for base, count in runs for number in range(base, base + count)}
    assert len(raw) == 25
    assert {i for i in range(200) if raw[i // 8] >> i % 8 & 1} == wanted


@pytest.mark.parametrize(
    ("bits", "kind", "mark"), [(64, 5, b"FDMP"), (64, 6, b"SDMP"), (32, 5, b"FDMP"), (32, 7, b"SDMP")]
)
def test_the_second_header_says_where_pages_begin(
    bits: int,
    kind: int,
    mark: bytes,
    tmp_path: Path,
    small_machine: Callable[..., PhysicalImage],
    header_of: Callable[..., DumpHeaderFields],
    page_bytes: Callable[[int], bytes],
) -> None:
    image = small_machine()
    count = write_bitmap(tmp_path / "a.dmp", image, header_of(bits), kind)  # type: ignore[arg-type]
    raw = (tmp_path / "a.dmp").read_bytes()
    at = 0x2000 if bits == 64 else 0x1000
    assert raw[at : at + 8] == mark + b"DUMP"
    # 1,014 is the first page number behind all memory: 1,024 bits are 32 words
    first, pages, length = struct.unpack_from("<QQQ", raw, at + 0x20)
    assert (first, pages, length) == (at + PAGE, count, 1024)
    assert sum(octet.bit_count() for octet in raw[at + 0x38 : at + 0x38 + 128]) == count
    assert raw[first : first + PAGE] == page_bytes(1)
    assert raw[-PAGE:] == page_bytes(1013)
    assert struct.unpack_from("<I", raw, 0x88 if bits == 64 else 0x64) == struct.unpack("<I", b"PAGE")


@pytest.mark.parametrize("octets", [0xFC8 - 4, 0xFC8, 0xFC8 + 4])
def test_a_bitmap_that_fills_its_page_does_not_reach_the_first_one(
    octets: int, tmp_path: Path, header_of: Callable[..., DumpHeaderFields]
) -> None:
    # The page of the bitmap has 0xFC8 bytes for it behind the second header
    image = PhysicalImage(8, runs=((octets * 8 - 8, 8),))
    image.write((octets * 8 - 1) * PAGE, b"the last bit")
    write_bitmap(tmp_path / "a.dmp", image, header_of(64), 5)
    raw = (tmp_path / "a.dmp").read_bytes()
    first = 0x3000 if octets <= 0xFC8 else 0x4000
    assert struct.unpack_from("<QQQ", raw, 0x2020) == (first, 8, octets * 8)
    assert raw[0x2038 + octets - 1] == 0xFF
    assert raw[first + 7 * PAGE :].rstrip(b"\0") == b"the last bit"
    assert not any(raw[0x2038 + octets : first + 7 * PAGE])
