"""Raw images, LiME and ELF cores, read as their formats are described."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from poolsleuth.lab.containers.elf_core import ProcessorState, write_elf_core
from poolsleuth.lab.containers.header import DumpHeaderFields
from poolsleuth.lab.containers.lime import write_lime
from poolsleuth.lab.containers.raw import write_raw
from poolsleuth.lab.physical import PAGE, PhysicalImage

Header = Callable[..., DumpHeaderFields]
Machine = Callable[..., PhysicalImage]


def truth(image: PhysicalImage, base: int, count: int) -> bytes:
    return image.read(base * PAGE, count * PAGE)


def test_in_a_raw_image_the_offset_is_the_address(tmp_path: Path, small_machine: Machine) -> None:
    image = small_machine()
    assert write_raw(tmp_path / "a.raw", image, left_out={83}) == 63
    raw = (tmp_path / "a.raw").read_bytes()
    assert len(raw) == 1014 * PAGE
    for base, count in ((1, 30), (64, 19), (1000, 14)):
        assert raw[base * PAGE : (base + count) * PAGE] == truth(image, base, count)
    assert not any(raw[83 * PAGE : 1000 * PAGE])


def test_a_lime_image_has_a_header_for_every_range(tmp_path: Path, small_machine: Machine) -> None:
    image = small_machine()
    assert write_lime(tmp_path / "a.lime", image, left_out={5}) == 63
    raw, at = (tmp_path / "a.lime").read_bytes(), 0
    for base, count in ((1, 4), (6, 25), (64, 20), (1000, 14)):
        magic, version, begin, last, spare = struct.unpack_from("<IIQQQ", raw, at)
        assert (magic, version, spare) == (0x4C694D45, 1, 0)
        assert (begin, last) == (base * PAGE, (base + count) * PAGE - 1)
        assert raw[at + 32 : at + 32 + count * PAGE] == truth(image, base, count)
        at += 32 + count * PAGE
    assert at == len(raw)


def test_an_elf_core_has_segments_and_notes(tmp_path: Path, small_machine: Machine, header_of: Header) -> None:
    image = small_machine()
    states = (ProcessorState(rip=0x11, idt_base=0xFFFFF80000001000), ProcessorState(rsp=0x22, cr3=0xABC000))
    assert write_elf_core(tmp_path / "a.elf", image, header_of(64), left_out={1}, processors=states) == 63
    raw = (tmp_path / "a.elf").read_bytes()
    assert raw[:7] == b"\x7fELF\x02\x01\x01"
    kind, machine, _, _, table, _, _, _, each, count, *_ = struct.unpack_from("<HHIQQQIHHHHHH", raw, 16)
    assert (kind, machine, table, each, count) == (4, 62, 64, 56, 4)
    segments = [struct.unpack_from("<IIQQQQQQ", raw, table + i * each) for i in range(count)]
    assert [segment[0] for segment in segments] == [4, 1, 1, 1]
    for segment, (base, pages) in zip(segments[1:], ((2, 29), (64, 20), (1000, 14)), strict=True):
        _, _, offset, _, address, size, in_memory, _ = segment
        assert (address, size, in_memory) == (base * PAGE, pages * PAGE, pages * PAGE)
        assert raw[offset : offset + size] == truth(image, base, pages)
    notes: list[tuple[bytes, int, bytes]] = []
    at, end = segments[0][2], segments[0][2] + segments[0][5]
    while at < end:
        name, length, note = struct.unpack_from("<III", raw, at)
        body = at + 12 + -(-name // 4) * 4
        notes.append((raw[at + 12 : at + 12 + name], note, raw[body : body + length]))
        at = body + -(-length // 4) * 4
    assert [(name, note, len(body)) for name, note, body in notes] == [
        (b"CORE\0", 1, 336),
        (b"CORE\0", 1, 336),
        (b"QEMU\0", 0, 440),
        (b"QEMU\0", 0, 440),
    ]
    first, second = notes[2][2], notes[3][2]
    # version and size, 18 registers, 10 segments of 24 bytes, then CR0 ... CR4
    assert struct.unpack_from("<II", first) == (1, 440)
    assert struct.unpack_from("<5Q", first, 8 + 18 * 8 + 10 * 24)[3] == 0x1AD000
    assert struct.unpack_from("<5Q", second, 8 + 18 * 8 + 10 * 24)[3] == 0xABC000
    assert struct.unpack_from("<Q", first, 8 + 16 * 8) == (0x11,)
    assert struct.unpack_from("<Q", second, 8 + 6 * 8) == (0x22,)
    assert struct.unpack_from("<Q", first, 8 + 18 * 8 + 9 * 24 + 16) == (0xFFFFF80000001000,)
    assert struct.unpack_from("<Q", notes[0][2], 112 + 16 * 8) == (0x11,)


def test_an_elf_core_is_of_an_x64_machine(tmp_path: Path, small_machine: Machine, header_of: Header) -> None:
    with pytest.raises(ValueError, match="x64"):
        write_elf_core(tmp_path / "a.elf", small_machine(), header_of(32))
