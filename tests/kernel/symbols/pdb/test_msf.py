"""The container: page sizes, order of pages, directories, and damage."""

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.symbols.pdb.msf import Msf, open_msf
from poolsleuth.model.errors import InputError

STREAMS = [b"", b"one" * 7, None, bytes(range(256)) * 40, b"x", b"", b"end" * 2000]


def whole(msf: Msf) -> list[bytes]:
    return [msf.read(number) for number in range(len(msf))]


@pytest.mark.parametrize("page", [256, 512, 1024, 2048, 4096, 8192, 65536])
@pytest.mark.parametrize("shuffled", [None, 5])
def test_every_page_size_and_order_of_pages(writer: Any, page: int, shuffled: int | None) -> None:
    msf = Msf(writer.container(STREAMS, page, shuffled), "given.pdb")
    assert whole(msf) == [s or b"" for s in STREAMS]
    assert [msf.length(n) for n in range(len(STREAMS) + 1)] == [None if s is None else len(s) for s in STREAMS] + [None]
    assert msf.length(-1) is None


@pytest.mark.parametrize("shuffled", [None, 2])
def test_a_directory_whose_list_needs_several_pages(writer: Any, shuffled: int | None) -> None:
    # 20,000 streams of 256-byte pages: a directory of 80,000 bytes, 313 pages, 5 pages of list
    streams = [b"a" if n % 7 == 0 else b"" for n in range(20_000)]
    msf = Msf(writer.container(streams, 256, shuffled), "given.pdb")
    assert len(msf) == 20_000
    assert msf.read(7) == b"a"
    assert msf.read(19_999 - 19_999 % 7) == b"a"
    assert msf.read(8) == b""


def test_a_list_of_several_pages_of_which_only_the_first_is_named(writer: Any) -> None:
    content = bytearray(writer.container([b"a" if n % 7 == 0 else b"" for n in range(20_000)], 256))
    content[0x38:0x48] = bytes(16)
    assert Msf(bytes(content), "given.pdb").read(7) == b"a"


@given(offset=st.integers(-10, 11_000), size=st.integers(-10, 11_000), shuffled=st.sampled_from([None, 3]))
def test_a_part_of_a_stream_is_that_part(writer: Any, offset: int, size: int, shuffled: int | None) -> None:
    msf = Msf(writer.container(STREAMS, 256, shuffled), "given.pdb")
    begin = max(offset, 0)
    content = STREAMS[3] or b""
    assert msf.read(3, offset, size) == content[begin : begin + max(size, 0)]


def test_inner_pages_out_of_order_between_a_first_and_a_last_in_place(writer: Any) -> None:
    stream = b"".join(bytes([n]) * 256 for n in range(6))
    content = bytearray(writer.container([stream], 256))
    at = content.index(struct.pack("<6I", *range(3, 9)))
    content[at : at + 24] = struct.pack("<6I", 3, 5, 4, 6, 7, 8)
    assert Msf(bytes(content), "given.pdb").read(0) == b"".join(bytes([n]) * 256 for n in (0, 2, 1, 3, 4, 5))


def test_a_last_page_that_is_not_whole(writer: Any) -> None:
    content = writer.container([b"abc"], 4096)
    # The pages of a stream, the directory and its list follow each other: the list is last, and 4 bytes long
    assert Msf(content[: -4096 + 4], "given.pdb").read(0) == b"abc"
    with pytest.raises(InputError, match="cut off"):
        Msf(content[: -4096 + 3], "given.pdb")


def test_a_truncated_file_still_gives_the_streams_before_its_end(writer: Any) -> None:
    streams = [b"first" * 100, b"second" * 5000]
    content = bytearray(writer.container(streams, 512))
    # Page numbers of the second stream follow the two sizes and the two pages of the first
    at = content.index(struct.pack("<III", 2, 500, 30_000)) + 12 + 4
    content[at + 4 * 3 : at + 4 * 4] = struct.pack("<I", 99_999)
    msf = Msf(bytes(content), "given.pdb")
    assert msf.read(0) == streams[0]
    assert msf.read(1, 0, 1536) == streams[1][:1536]
    with pytest.raises(InputError, match="stream 1 lies beyond its end"):
        msf.read(1)


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (0x20, 0, "pages of 0 bytes"),
        (0x20, 1000, "pages of 1000 bytes"),
        (0x20, 1 << 31, "pages of 2147483648 bytes"),
        (0x2C, 0, "directory cannot have 0 bytes"),
        (0x2C, 0xFFFFFFFF, "directory cannot have 4294967295 bytes"),
        (0x34, 0xFFFFFFFF, "list of its directory lies beyond"),
    ],
)
def test_a_header_that_makes_no_sense(writer: Any, at: int, value: int, says: str) -> None:
    content = bytearray(writer.container(STREAMS))
    content[at : at + 4] = struct.pack("<I", value)
    with pytest.raises(InputError, match=says):
        Msf(bytes(content), "given.pdb")


@pytest.mark.parametrize(("sizes", "says"), [([5, 1 << 30], "directory ends before"), ([5, 3000], "ends before")])
def test_sizes_that_the_directory_has_no_pages_for(writer: Any, sizes: list[int], says: str) -> None:
    content = bytearray(writer.container([b"first", b"x" * 1024]))
    at = content.index(struct.pack("<III", 2, 5, 1024))
    content[at : at + 12] = struct.pack("<III", 2, *sizes)
    msf = Msf(bytes(content), "given.pdb")
    assert msf.read(0) == b"first"
    with pytest.raises(InputError, match=says):
        msf.read(1)


def test_a_stream_larger_than_the_file_is_not_read(writer: Any) -> None:
    # All pages of the directory are there, and all are the same one
    pages = [3] * 400
    directory = struct.pack(f"<II{len(pages)}I", 1, 400 * 1024, *pages)
    content = bytearray(writer.container([b"x" * 1024, directory]))
    found = content.index(directory[:1024])
    content[0x2C:0x30] = struct.pack("<I", len(directory))
    lists = int.from_bytes(content[0x34:0x38], "little") * 1024
    content[lists : lists + 8] = struct.pack("<II", found // 1024, found // 1024 + 1)
    msf = Msf(bytes(content), "given.pdb")
    assert msf.length(0) == 400 * 1024
    assert len(msf.read(0, 0, 4096)) == 4096
    with pytest.raises(InputError, match="cannot have 409600 bytes"):
        msf.read(0)


def test_too_many_streams(writer: Any) -> None:
    content = bytearray(writer.container([b"first", b"second"]))
    at = content.index(struct.pack("<III", 2, 5, 6))
    content[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    with pytest.raises(InputError, match="names 4294967295 streams"):
        Msf(bytes(content), "given.pdb")


def test_a_mapped_file(writer: Any, tmp_path: Path) -> None:
    path = tmp_path / "given.pdb"
    path.write_bytes(writer.container(STREAMS, 512, 9))
    assert whole(open_msf(path)) == [s or b"" for s in STREAMS]
