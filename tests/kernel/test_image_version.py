"""Version resources: written ones, the same read by pefile, missing pages, damage."""

import struct
from collections.abc import Callable
from typing import Any

import pefile  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.image import PeImage
from poolsleuth.kernel.image_version import MAX_VALUE, parse_version, read_version

Memories = Callable[[int], Any]
BASE = 0xFFFFF80002A00000
TEXTS = {
    "CompanyName": "MyAV Inc.", "FileDescription": "My filter", "FileVersion": "5.2.3790.1830 (x)",
    "ProductName": "My\u2122 AV", "OriginalFilename": "myav.sys",
}  # fmt: skip


def node(key: str, value: bytes, kind: int, inner: bytes = b"", length: int | None = None) -> bytes:
    head = struct.pack("<HHH", 0, len(value) // 2 if kind else len(value), kind) + (key + "\0").encode("utf-16-le")
    out = head.ljust(-(-len(head) // 4) * 4, b"\0") + value
    if inner:
        out = out.ljust(-(-len(out) // 4) * 4, b"\0") + inner
    return struct.pack("<H", len(out) if length is None else length) + out[2:]


def padded(parts: list[bytes]) -> bytes:
    return b"".join(part.ljust(-(-len(part) // 4) * 4, b"\0") for part in parts)


def resource(texts: dict[str, str]) -> bytes:
    fixed = struct.pack("<13I", 0xFEEF04BD, 0x10000, 5 << 16 | 2, 3790 << 16 | 1830, 5 << 16, 0, 0x3F, 0, 4, 3, 7, 0, 0)
    strings = padded([node(key, (text + "\0").encode("utf-16-le"), 1) for key, text in texts.items()])
    tables = node("StringFileInfo", b"", 1, node("040904B0", b"", 1, strings))
    var = node("VarFileInfo", b"", 1, node("Translation", b"\x09\x04\xb0\x04", 0))
    return node("VS_VERSION_INFO", fixed, 0, padded([var, tables]))


def tree(data: bytes) -> bytes:
    """Three levels: an icon and a version, each with one name and one language."""
    out = bytearray(0x100) + data
    struct.pack_into("<12xHHIIII", out, 0, 0, 2, 3, 0x80000030, 16, 0x80000050)
    for at, lower in ((0x30, 0x70), (0x50, 0x88)):
        struct.pack_into("<12xHHII", out, at, 0, 1, 1, 0x80000000 | lower)
    struct.pack_into("<12xHHII", out, 0x70, 0, 1, 1033, 0xC0)
    struct.pack_into("<12xHHII", out, 0x88, 0, 1, 1033, 0xA8)
    struct.pack_into("<II", out, 0xA8, 0x1100, len(data))
    struct.pack_into("<II", out, 0xC0, 0x1000, 4)
    return bytes(out)


def image(fake_memory: Memories, raw: bytes) -> tuple[Any, Reader, PeImage]:
    memory = fake_memory(8)
    memory.write(BASE + 0x1000, raw)
    directories = ((0, 0), (0, 0), (0x1000, len(raw)))
    pe = PeImage(
        base=BASE, machine=0x8664, bits=64, timestamp=0, checksum=0, size=0x9000, sections=(), directories=directories
    )  # fmt: skip
    return memory, Reader(memory), pe


def test_written(fake_memory: Memories) -> None:
    data = resource(TEXTS)
    _, reader, pe = image(fake_memory, tree(data))
    found = read_version(reader, pe)
    assert found is not None
    assert (found.fixed, found.company, found.product) == ("5.2.3790.1830", "MyAV Inc.", "My\u2122 AV")
    assert (found.file_version, found.description) == ("5.2.3790.1830 (x)", "My filter")
    assert found.original_name == "myav.sys"
    assert parse_version(data) == found


def test_pefile_reads_the_same_out_of_the_written_one() -> None:
    raw = tree(resource(TEXTS))
    file = bytearray(0x3000)
    file[:2] = b"MZ"
    struct.pack_into("<I", file, 0x3C, 0x80)
    struct.pack_into("<4sHHIIIHH", file, 0x80, b"PE\0\0", 0x8664, 1, 0, 0, 0, 0xF0, 0x2022)
    struct.pack_into("<H", file, 0x98, 0x20B)
    struct.pack_into("<II", file, 0x98 + 0x20, 0x1000, 0x1000)
    struct.pack_into("<II", file, 0x98 + 0x38, 0x3000, 0x1000)
    struct.pack_into("<I", file, 0x104, 16)
    struct.pack_into("<II", file, 0x108 + 16, 0x1000, len(raw))
    struct.pack_into("<8sIIII", file, 0x188, b".rsrc", 0x2000, 0x1000, 0x2000, 0x1000)
    file[0x1000 : 0x1000 + len(raw)] = raw
    pe = pefile.PE(data=bytes(file))
    (info,) = pe.FileInfo
    strings = {
        key.decode(): value.decode()
        for part in info
        for table in getattr(part, "StringTable", [])
        for key, value in table.entries.items()
    }
    assert strings == TEXTS


def test_hostile_texts(fake_memory: Memories) -> None:
    texts = {"CompanyName": "a\x1b[31m", "ProductName": "x" * 5000, "FileVersion": "", "FileDescription": " \u00fc "}
    found = parse_version(resource(texts))
    assert found is not None
    assert (found.company, found.file_version, found.description) == (None, None, "\u00fc")
    assert found.product == "x" * MAX_VALUE


@pytest.mark.parametrize(
    ("at", "raw"),
    [
        (0x1C, bytes(4)),  # a leaf where a level should be
        (0x14, b"\x05"),  # no version among the types: icon and something else
        (0x5E, b"\0\0"),  # no name
        (0xA8, b"\xff\xff\xff\xff"),  # outside of the image
        (0xAC, bytes(4)), (0xAC, b"\xff\xff\xff\xff"), (0x106, b"X"), (0x100, b"\x07\0"),
    ],
)  # fmt: skip
def test_resources_that_are_none(fake_memory: Memories, at: int, raw: bytes) -> None:
    changed = bytearray(tree(resource(TEXTS)))
    at = 0x18 if raw == b"\x05" else at
    changed[at : at + len(raw)] = raw
    _, reader, pe = image(fake_memory, bytes(changed))
    assert read_version(reader, pe) is None


def test_missing_pages(fake_memory: Memories) -> None:
    memory, reader, pe = image(fake_memory, tree(resource(TEXTS)))
    memory.lose(BASE + 0x1000)
    assert read_version(reader, pe) is None


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, 0x300), st.binary(min_size=1, max_size=6)), max_size=8), st.integers(0, 0x500))
def test_damage(fake_memory: Memories, changes: list[tuple[int, bytes]], cut: int) -> None:
    data = resource(TEXTS)
    raw = bytearray(tree(data))
    for at, change in changes:
        raw[at : at + len(change)] = change
    _, reader, pe = image(fake_memory, bytes(raw))
    for found in (read_version(reader, pe), parse_version(bytes(raw[0x100:])), parse_version(data[:cut])):
        for text in (found.company, found.product) if found is not None else ():
            assert text is None or (text.isprintable() and len(text) <= MAX_VALUE)


class Counted(bytes):
    """Bytes that count how often a part of them is taken."""

    taken = 0

    def __getitem__(self, key: Any) -> Any:
        Counted.taken += 1
        return super().__getitem__(key)


def test_a_name_without_an_end_is_not_read_to_the_end() -> None:
    strings = node("K" * 30_000, b"", 1) + node("CompanyName", "Me\0".encode("utf-16-le"), 1)
    data = node("VS_VERSION_INFO", b"", 0, node("StringFileInfo", b"", 1, node("040904B0", b"", 1, strings)))
    found = parse_version(Counted(data))
    assert found is not None
    assert found.company == "Me"
    assert Counted.taken < 1000
