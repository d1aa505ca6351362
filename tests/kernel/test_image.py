"""PE images in memory: a written one, the same read by pefile, the real kernel's first page, missing pages, damage."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pefile  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.crash_dump.dump import open_dump
from poolsleuth.kernel.find.block_space import BlockSpace
from poolsleuth.kernel.image import PeImage, read_exports, read_image, read_pdb_id
from poolsleuth.windows.kernel_table import PdbId

Memories = Callable[[int], Any]
REAL = Path(__file__).parents[3] / "shared" / "data" / "dumps" / "triage_x64.dmp"
BASE = 0xFFFFF80002A00000
SIZE = 0x8000
NAMES = ["ExAllocatePool2", "NtBuildNumber", "NtGlobalFlag", "PsLoadedModuleList", "RtlForwarded", "zzLast"]
GUID = "3844DBB920174967BE7AA4A2C20430FA"
RSDS = b"RSDS" + bytes.fromhex("B9DB443817206749BE7AA4A2C20430FA") + struct.pack("<I", 0x1A)


def image(*, wide: bool = True, debug: bytes = RSDS + b"d:\\obj\\ntkrnlmp.pdb\0", kind: int = 2) -> bytearray:
    """File and memory alike: every section lies where it is loaded."""
    out = bytearray(SIZE)
    optional = 0xF0 if wide else 0xE0
    out[:2] = b"MZ"
    struct.pack_into("<I", out, 0x3C, 0x80)
    machine = 0x8664 if wide else 0x14C
    struct.pack_into("<4sHHIIIHH", out, 0x80, b"PE\0\0", machine, 3, 0x4CE7951A, 0, 0, optional, 0x2022)
    struct.pack_into("<H", out, 0x98, 0x20B if wide else 0x10B)
    struct.pack_into("<II", out, 0x98 + 0x20, 0x1000, 0x1000)
    struct.pack_into("<III", out, 0x98 + 0x38, SIZE, 0x1000, 0x55CE28)
    count = 0x98 + (0x6C if wide else 0x5C)
    struct.pack_into("<I", out, count, 16)
    struct.pack_into("<II", out, count + 4, 0x2000, 0x1800)
    struct.pack_into("<II", out, count + 4 + 8 * 6, 0x5000, 56)
    sections = ((b".text", 0x1000, 0x1000), (b".edata", 0x2000, 0x3000), (b"PAGEdata", 0x5000, 0x3000))
    for number, (section, rva, size) in enumerate(sections):
        struct.pack_into("<8sIIII", out, 0x98 + optional + 40 * number, section, size, rva, size, rva)
    # The first debug entry is of another kind
    struct.pack_into("<IIHHIIII", out, 0x5000, 0, 0, 0, 0, 13, 0x100, 0x5200, 0x5200)
    struct.pack_into("<IIHHIIII", out, 0x501C, 0, 0, 0, 0, kind, len(debug), 0x5100, 0x5100)
    out[0x5100 : 0x5100 + len(debug)] = debug
    # Names across the end of a page, ordinals that differ from the order of the names
    struct.pack_into("<IIHHIIIIIII", out, 0x2000, 0, 0, 0, 0, 0x2FF0, 1, 6, 6, 0x2100, 0x2200, 0x2300)
    out[0x2FF0:0x2FFC] = b"ntoskrnl.exe"
    at = 0x2FF0 - 6 + 0x10
    for number, name in enumerate(NAMES):
        struct.pack_into("<I", out, 0x2200 + 4 * number, at)
        out[at : at + len(name) + 1] = name.encode() + b"\0"
        at += len(name) + 1
        ordinal = (number * 5 + 1) % 6
        struct.pack_into("<H", out, 0x2300 + 2 * number, ordinal)
        place = 0x2400 if name == "RtlForwarded" else 0x6000 + 16 * number
        struct.pack_into("<I", out, 0x2100 + 4 * ordinal, place)
    out[0x2400:0x2412] = b"HAL.HalForwarded\0\0"
    return out


def loaded(fake_memory: Memories, raw: bytes) -> tuple[Any, Reader]:
    memory = fake_memory(8)
    memory.write(BASE, raw)
    return memory, Reader(memory)


def opened(reader: Reader) -> PeImage:
    found = read_image(reader, BASE)
    assert found is not None
    return found


@pytest.mark.parametrize("wide", [True, False])
def test_headers_as_pefile_reads_them(fake_memory: Memories, wide: bool) -> None:
    raw = bytes(image(wide=wide))
    _, reader = loaded(fake_memory, raw)
    found = opened(reader)
    other = pefile.PE(data=raw)
    assert (found.machine, found.timestamp) == (other.FILE_HEADER.Machine, other.FILE_HEADER.TimeDateStamp)
    assert (found.size, found.checksum) == (other.OPTIONAL_HEADER.SizeOfImage, other.OPTIONAL_HEADER.CheckSum)
    assert found.architecture == ("x64" if wide else "x86")
    assert found.bits == (64 if wide else 32)
    assert [(one.name, one.address, one.size) for one in found.sections] == [
        (one.Name.rstrip(b"\0").decode(), one.VirtualAddress, one.Misc_VirtualSize) for one in other.sections
    ]
    assert list(found.directories) == [
        (one.VirtualAddress, one.Size) for one in other.OPTIONAL_HEADER.DATA_DIRECTORY
    ]  # fmt: skip
    exported = {one.name.decode(): BASE + one.address for one in other.DIRECTORY_ENTRY_EXPORT.symbols}
    assert sorted(exported) == NAMES
    assert exported.pop("RtlForwarded") == BASE + 0x2400  # leads to another image
    assert read_exports(reader, found, [*NAMES, "AaNone", "PsNone", "zzz", "n\u00e4"]) == exported


def test_pdb_ids(fake_memory: Memories) -> None:
    _, reader = loaded(fake_memory, bytes(image()))
    found = read_pdb_id(reader, opened(reader))
    assert found == PdbId("ntkrnlmp.pdb", GUID, 0x1A)
    assert found is not None
    assert found.key == GUID + "1A"
    old = b"NB10" + struct.pack("<III", 0, 0x41107B75, 1) + b"ntoskrnl.pdb\0"
    _, reader = loaded(fake_memory, bytes(image(debug=old)))
    found = read_pdb_id(reader, opened(reader))
    assert found is not None
    assert (found.name, found.key) == ("ntoskrnl.pdb", "41107B751")


@pytest.mark.parametrize(
    "change",
    [
        {"debug": b"XXXX" + RSDS[4:] + b"a.pdb\0"}, {"kind": 4}, {"debug": RSDS + b"\0"}, {"debug": RSDS[:16]},
        {"debug": RSDS + b"\x01\x02.pdb\0"},
    ],
)  # fmt: skip
def test_debug_records_that_are_none(fake_memory: Memories, change: dict[str, Any]) -> None:
    _, reader = loaded(fake_memory, bytes(image(**change)))
    assert read_pdb_id(reader, opened(reader)) is None


@pytest.mark.parametrize(
    ("at", "raw"),
    [
        (0, b"ZM"), (0x3C, struct.pack("<I", 0x7FFFFFFF)), (0x3C, bytes(4)), (0x80, b"NE"), (0x98, b"\x07\x01"),
        (0x98 + 0x38, bytes(4)), (0x98 + 0x38, b"\xff\xff\xff\xff"), (0x94, b"\x10\0"),
    ],
)  # fmt: skip
def test_images_that_are_none(fake_memory: Memories, at: int, raw: bytes) -> None:
    memory, reader = loaded(fake_memory, bytes(image()))
    memory.write(BASE + at, raw)
    assert read_image(reader, BASE) is None


def test_missing_pages(fake_memory: Memories) -> None:
    memory, reader = loaded(fake_memory, bytes(image()))
    memory.lose(BASE + 0x3000)  # most of the names
    found = opened(reader)
    assert read_exports(reader, found, ["PsLoadedModuleList"]) == {}
    memory.lose(BASE + 0x2000)
    assert read_exports(reader, found, NAMES) == {}
    memory.lose(BASE + 0x5000)
    assert read_pdb_id(reader, found) is None
    memory.lose(BASE)
    assert read_image(reader, BASE) is None


def test_the_real_kernel() -> None:
    if not REAL.is_file():
        pytest.skip(f"{REAL.name} is not there")
    with REAL.open("rb") as file, open_content(file) as content:
        triage = open_dump(content).triage
        assert triage is not None
        reader = Reader(BlockSpace(triage.blocks, 8))
        found = read_image(reader, 0xFFFFF8047BA00000)
        assert found is not None
        # The list of drivers in the dump says the same: 1046000 bytes, time 0D8333E6, checksum A5938C
        assert (found.size, found.timestamp, found.checksum) == (0x1046000, 0x0D8333E6, 0xA5938C)
        assert [one.name for one in found.sections][:4] == [".rdata", ".pdata", ".idata", ".edata"]
        # The pages behind the first were not written to the dump
        assert read_pdb_id(reader, found) is None
        assert read_exports(reader, found, ["PsLoadedModuleList"]) == {}


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, SIZE - 1), st.binary(min_size=1, max_size=8)), max_size=12))
def test_damage(fake_memory: Memories, changes: list[tuple[int, bytes]]) -> None:
    raw = image()
    telling = [0x3C, 0x80, 0x98, 0xD0, 0x104, 0x188, 0x2000, 0x2014, 0x5000, 0x5018]
    for place, change in changes:
        at = place if place % 3 == 0 else telling[place % 10]
        raw[at : at + len(change)] = change
    _, reader = loaded(fake_memory, bytes(raw[:SIZE]))
    found = read_image(reader, BASE)
    if found is not None:
        pdb = read_pdb_id(reader, found)
        assert pdb is None or (pdb.name.isprintable() and pdb.name)
        for address in read_exports(reader, found, NAMES).values():
            assert BASE < address < BASE + found.size
