import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from poolsleuth.lab.containers.header import DumpHeaderFields
from poolsleuth.lab.containers.summary import write_summary
from poolsleuth.lab.physical import PAGE, PhysicalImage


@pytest.mark.parametrize(("bits", "bitmap_at"), [(32, 0x20), (64, 0x28)])
def test_the_header_has_fields_of_32_bits(
    bits: int,
    bitmap_at: int,
    tmp_path: Path,
    small_machine: Callable[..., PhysicalImage],
    header_of: Callable[..., DumpHeaderFields],
    page_bytes: Callable[[int], bytes],
) -> None:
    assert write_summary(tmp_path / "a.dmp", small_machine(), header_of(bits)) == 8
    raw = (tmp_path / "a.dmp").read_bytes()
    at = 0x2000 if bits == 64 else 0x1000
    assert raw[at : at + 8] == b"SDMPDUMP"
    assert struct.unpack_from("<5I", raw, at + 8) == (0, at + PAGE, 1024, 8, 1024)
    held = raw[at + bitmap_at : at + bitmap_at + 128]
    assert [i for i in range(1024) if held[i // 8] >> i % 8 & 1] == [1, 5, 6, 30, 64, 83, 1000, 1013]
    assert raw[at + PAGE :] == b"".join(map(page_bytes, (1, 5, 6, 30, 64, 83, 1000, 1013)))
    # The runs of the whole machine
    assert struct.unpack_from("<I", raw, 0x88 if bits == 64 else 0x64) == (3,)
