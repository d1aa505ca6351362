"""KDBG: the block of a real dump, written blocks of both widths, scrambled ones, searches, and damage."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.kdbg import KdbgKeys, decode_kdbg, parse_kdbg, read_kdbg, scan_kdbg

Memories = Callable[[int], Any]
REAL = Path(__file__).parents[3] / "shared" / "data" / "dumps" / "triage_x64.dmp"
BASE = {8: 0xFFFFF80002A00000, 4: 0x804D7000}


def block(pointer: int = 8, *, size: int = 0x340, base: int | None = None, **fields: int) -> bytes:
    raw = bytearray(size)
    raw[0x10:0x14] = b"KDBG"
    extend = 0 if pointer == 8 else 0xFFFFFFFF_00000000
    struct.pack_into("<I", raw, 0x14, size)
    struct.pack_into("<Q", raw, 0x18, (BASE[pointer] if base is None else base) | extend)
    for name, value in fields.items():
        struct.pack_into("<Q", raw, int(name[1:], 16), value | extend)
    return bytes(raw)


def test_the_block_of_a_real_dump() -> None:
    if not REAL.is_file():
        pytest.skip(f"{REAL.name} is not there")
    # At 0x2070 of the file: the copy lies at 104A8 and has 380 bytes
    data = REAL.read_bytes()
    at, size = struct.unpack_from("<II", data, 0x2070)
    assert (at, size) == (0x104A8, 0x380)
    kdbg = parse_kdbg(data[at : at + size], 8)
    assert kdbg is not None
    assert (kdbg.size, kdbg.kernel_base, kdbg.complete, kdbg.decoded) == (0x380, 0xFFFFF8047BA00000, True, False)
    # Relative addresses as the symbols of 19041.804 have them
    true = {
        "PsLoadedModuleList": 0xC2A390, "PsActiveProcessHead": 0xC1E200, "ExpSystemResourcesList": 0xC16890,
        "PoolTrackTable": 0xC168A8, "MmSizeOfPagedPoolInBytes": 0xCFC7E8, "KiProcessorBlock": 0xCFDC80,
        "MmUnloadedDrivers": 0xC2A308, "CmNtCSDVersion": 0xC4C078, "EtwpDebuggerData": 0xC10D58,
    }  # fmt: skip
    assert {name: kdbg.variables[name] - kdbg.kernel_base for name in true} == true
    assert "MmTotalCommitLimit" not in kdbg.variables  # zero: the kernel no longer has it
    # _EPROCESS of 19041 has A40 bytes, _ETHREAD 898; InheritedFromUniqueProcessId lies at 540
    wanted = {"SizeEProcess": 0xA40, "SizeEThread": 0x898, "OffsetEprocessParentCID": 0x540, "MmPageSize": 0x1000}
    assert {name: kdbg.values[name] for name in wanted} == wanted
    assert kdbg.values["PteBase"] == 0xFFFFFD8000000000
    assert kdbg.pae  # set on x64 as well


@pytest.mark.parametrize("pointer", [8, 4])
def test_written_blocks(fake_memory: Memories, pointer: int) -> None:
    memory = fake_memory(pointer)
    place = BASE[pointer] + 0x91070
    memory.write(place, block(pointer, x48=BASE[pointer] + 0xA0890, x1B8=BASE[pointer] + 0xB5F80, x100=0))
    found = read_kdbg(Reader(memory), place)
    assert found is not None
    assert (found.address, found.size, found.kernel_base) == (place, 0x340, BASE[pointer])
    assert found.variables["PsLoadedModuleList"] == BASE[pointer] + 0xA0890
    assert found.variables["PoolTrackTable"] == BASE[pointer] + 0xB5F80
    if pointer == 8:
        assert set(found.variables) == {"PsLoadedModuleList", "PoolTrackTable"}
    assert read_kdbg(Reader(memory), place, base=BASE[pointer]) == found
    assert read_kdbg(Reader(memory), place, base=BASE[pointer] + 0x1000) is None


def test_nothing_beyond_the_size_is_read(fake_memory: Memories) -> None:
    memory = fake_memory(8)
    place = BASE[8] + 0x1000 - 0x208  # the block of Windows 2000 ends with the page; behind it is nothing
    memory.write(place, block(size=0x208, x200=BASE[8] + 8))
    found = read_kdbg(Reader(memory), place)
    assert found is not None
    assert found.complete
    assert found.variables["MmLoadedUserImageList"] == BASE[8] + 8
    # What follows a shorter block is not its own
    raw = bytearray(block(x208=BASE[8] + 0x100))
    struct.pack_into("<I", raw, 0x14, 0x208)
    shorter = parse_kdbg(bytes(raw), 8)
    assert shorter is not None
    assert "NtBuildLab" not in shorter.variables


def test_a_block_whose_second_page_is_missing(fake_memory: Memories) -> None:
    memory = fake_memory(8)
    place = BASE[8] + 0x1000 - 0x100
    memory.write(place, block(x48=BASE[8] + 0xA0890, x1B8=BASE[8] + 0xB5F80))
    memory.lose(BASE[8] + 0x1000)
    found = read_kdbg(Reader(memory), place)
    assert found is not None
    assert not found.complete
    assert found.variables == {"PsLoadedModuleList": BASE[8] + 0xA0890}


@pytest.mark.parametrize(
    ("at", "raw"),
    [
        (0x10, b"KDBX"), (0x14, b"\x20\0\0\0"), (0x14, b"\xff\xff\xff\xff"), (0x18, b"\x01"), (0x18, bytes(8)),
        (0x1E, b"\0\0"),
    ],
)  # fmt: skip
def test_blocks_that_are_none(fake_memory: Memories, at: int, raw: bytes) -> None:
    memory = fake_memory(8)
    memory.write(BASE[8], block())
    memory.write(BASE[8] + at, raw)
    assert read_kdbg(Reader(memory), BASE[8]) is None
    assert scan_kdbg(Reader(memory), BASE[8], 0x1000) is None


def test_addresses_that_are_none(fake_memory: Memories) -> None:
    reader = Reader(fake_memory(8))
    for place in (0, 0x1000, 0xFFFFF80000000000, (1 << 64) - 8, -1, 1 << 70):
        assert read_kdbg(reader, place) is None


def scramble(plain: bytes, keys: KdbgKeys) -> bytes:
    """The way back of the fact sheet's formula: xor, byte order, xor, rotate right, xor."""
    out = b""
    for (word,) in struct.iter_unpack("<Q", plain):
        turned = int.from_bytes((word ^ keys.wait_always).to_bytes(8, "little")[::-1], "little")
        turned ^= keys.encoded_flag | 0xFFFF000000000000
        turn = keys.wait_never % 64
        turned = (turned >> turn | turned << 64 - turn) & (1 << 64) - 1
        out += struct.pack("<Q", turned ^ keys.wait_never)
    return out


words = st.integers(0, (1 << 64) - 1)


@given(words, words, words, st.binary(min_size=64, max_size=64))
def test_decoding_undoes_scrambling(never: int, always: int, flag: int, plain: bytes) -> None:
    keys = KdbgKeys(never, always, flag)
    assert decode_kdbg(scramble(plain, keys), keys) == plain


def test_a_scrambled_block(fake_memory: Memories) -> None:
    memory = fake_memory(8)
    keys = KdbgKeys(0x1122334455667789, 0x99AABBCCDDEEFF00, BASE[8] + 0x400)
    plain = block(x48=BASE[8] + 0xA0890, size=0x33C + 4)
    memory.write(BASE[8], scramble(plain, keys))
    assert read_kdbg(Reader(memory), BASE[8]) is None
    found = read_kdbg(Reader(memory), BASE[8], keys=keys)
    assert found is not None
    assert found.decoded
    assert found.variables == {"PsLoadedModuleList": BASE[8] + 0xA0890}
    assert read_kdbg(Reader(memory), BASE[8], keys=KdbgKeys(1, 2, 3)) is None
    # Some tools leave the flag set although the block is in clear
    memory.write(BASE[8], plain)
    clear = read_kdbg(Reader(memory), BASE[8], keys=keys)
    assert clear is not None
    assert not clear.decoded


@pytest.mark.parametrize("pointer", [8, 4])
def test_search(fake_memory: Memories, pointer: int) -> None:
    memory, base = fake_memory(pointer), BASE[pointer]
    place = base + 0x7FFFF4  # the tag lies on the next page, and in the next 4 MB
    memory.write(base + 0x2000, b"..KDBG....KDBGKDBG")  # in an instruction, and not at a multiple of 4
    memory.write(base + 0x3000, block(pointer, base=base + 0x5000))  # of another kernel
    memory.write(place, block(pointer))
    reader = Reader(memory)
    found = scan_kdbg(reader, base, 0xC00000, base=base)
    assert found is not None
    assert found.address == place
    other = scan_kdbg(reader, base, 0xC00000)
    assert other is not None
    assert other.kernel_base == base + 0x5000
    assert scan_kdbg(reader, base, 0x7FF000, base=base) is None
    assert scan_kdbg(reader, base, 0) is None
    assert scan_kdbg(reader, base, -5) is None


def test_search_is_bounded(fake_memory: Memories) -> None:
    memory = fake_memory(8)
    memory.write(BASE[8], b"KDBG" * 1024)  # more places than are looked at
    memory.write(BASE[8] + 0x2000, block())
    assert scan_kdbg(Reader(memory), BASE[8], 0x4000) is None
    asked: list[int] = []
    gather = memory.gather

    def counted(pages: Any) -> Any:
        asked.append(len(pages))
        return gather(pages)

    memory.gather = counted
    scan_kdbg(Reader(memory), (1 << 64) - 0x10000, 1 << 40)
    assert sum(asked) == 16  # to the end of the addresses


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=0x400), st.integers(0, 0x3C0), st.binary(max_size=16), st.sampled_from([4, 8]))
def test_damage(fake_memory: Memories, noise: bytes, at: int, change: bytes, pointer: int) -> None:
    memory = fake_memory(pointer)
    memory.write(BASE[pointer], block(pointer)[:at] + change + noise)
    reader = Reader(memory)
    for found in (
        read_kdbg(reader, BASE[pointer]),
        scan_kdbg(reader, BASE[pointer], 0x2000),
        parse_kdbg(noise, pointer),
        parse_kdbg(block(pointer)[:at] + change, pointer),
    ):
        if found is not None:
            assert found.kernel_base % 0x1000 == 0
            assert all(value < 1 << 8 * pointer for value in found.variables.values())
