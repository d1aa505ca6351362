"""The debugger data block: in clear it has what wdbgexts.h says, scrambled it comes back by the published steps."""

import struct
from collections.abc import Callable

import pytest

from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.kdbg import encode_block
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.errors import InputError

Read = Callable[[SimulatedMachine, int, int], bytes]
MASK = (1 << 64) - 1


def decode(block: bytes, never: int, always: int, flag: int) -> bytes:
    """x = ROL64(q ^ never, never); x = BSWAP64(x ^ address); plain = x ^ always (public readers of it)."""
    found = b""
    for (word,) in struct.iter_unpack("<Q", block):
        turn = never & 0x3F
        value = word ^ never
        value = (value << turn | value >> (64 - turn)) & MASK
        value ^= flag | 0xFFFF_0000_0000_0000
        found += struct.pack("<Q", int.from_bytes(value.to_bytes(8, "big"), "little") ^ always)
    return found


@pytest.mark.parametrize("never", [0x1234_5678_9ABC_DEF0, 0xFFFF_FFFF_FFFF_FF00, 0x40])
def test_encoding_is_undone_by_the_published_steps(never: int) -> None:
    block = bytes(range(256)) + bytes(64)
    scrambled = encode_block(block, never, 0xDEAD_BEEF_0000_0001, 0xFFFF_F800_0040_0BA0)
    assert scrambled != block
    assert decode(scrambled, never, 0xDEAD_BEEF_0000_0001, 0xFFFF_F800_0040_0BA0) == block


def test_block_in_memory(read: Read) -> None:
    machine = simulate(make_machine(windows_named("19041-x64"), size=small_size()))
    base = machine.truth.modules[0].base or 0
    # KdDebuggerDataBlock C00B20, PsLoadedModuleList C2A390, PoolTrackTable C168A8, MmUnloadedDrivers C2A308
    block = read(machine, base + 0xC00B20, 0x380)
    assert block[0x10:0x14] == b"KDBG"
    values = {at: struct.unpack_from("<Q", block, at)[0] for at in (0x18, 0x48, 0x1B8, 0x220, 0x100)}
    assert values == {0x18: base, 0x48: base + 0xC2A390, 0x1B8: base + 0xC168A8, 0x220: base + 0xC2A308, 0x100: 0}
    assert struct.unpack_from("<I", block, 0x14)[0] == 0x380
    assert machine.header.debugger_data_block == base + 0xC00B20


def test_scrambled_block_in_memory(read: Read) -> None:
    windows = windows_named("19041-x64")
    machine = simulate(make_machine(windows, size=small_size(), kdbg_encoded=True))
    base, places = machine.truth.modules[0].base or 0, machine.truth.places
    block = read(machine, base + 0xC00B20, 0x380)
    assert block[0x10:0x14] != b"KDBG"
    flag = places["KdpDataBlockEncoded"]
    assert read(machine, flag, 1) == b"\x01"
    never, always = (int.from_bytes(read(machine, places[n], 8), "little") for n in ("KiWaitNever", "KiWaitAlways"))
    plain = decode(block, never, always, flag)
    assert plain[0x10:0x14] == b"KDBG"
    assert struct.unpack_from("<Q", plain, 0x18)[0] == base


def test_32_bit_addresses_are_sign_extended() -> None:
    machine = simulate(make_machine(windows_named("3790-x86"), size=small_size()))
    block = machine.system.read(machine.truth.places["KdDebuggerDataBlock"], 0x318)
    base = machine.truth.modules[0].base or 0
    assert struct.unpack_from("<Q", block, 0x18)[0] == 0xFFFF_FFFF_0000_0000 | base
    assert struct.unpack_from("<I", block, 0x14)[0] == 0x318
    # 5.2 x86: PoolBigPageTable lies 24 bytes before PoolTrackTable, its size 28 (public readers of it)
    track = struct.unpack_from("<Q", block, 0x1B8)[0] & 0xFFFF_FFFF
    table, size = (int.from_bytes(machine.system.read(track - n, 4), "little") for n in (24, 28))
    assert size == len(machine.truth.big_pages.rows)
    assert table % 0x1000 == 0


def test_scrambled_only_where_windows_does_so() -> None:
    with pytest.raises(InputError, match="scrambled"):
        make_machine(windows_named("7601-x64"), size=small_size(), kdbg_encoded=True)
