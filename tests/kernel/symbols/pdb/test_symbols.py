"""Symbol records of every kind, and the way from sections to addresses."""

import time
from typing import Any

import pytest

from poolsleuth.kernel.symbols.pdb import read_pdb
from poolsleuth.kernel.symbols.pdb.symbols import Symbol, undecorated

PUBLIC, OLD_PUBLIC = 0x110E, 0x1009


@pytest.mark.parametrize(
    ("decorated", "name"),
    [
        ("_PoolTrackTable", "PoolTrackTable"),
        ("_ExAllocatePoolWithTag@12", "ExAllocatePoolWithTag"),
        ("@ExfInterlockedAddUlong@12", "ExfInterlockedAddUlong"),
        ("vectored@@16", "vectored"),
        ("__imp__HalDisplayString@4", "_imp__HalDisplayString"),
        ("?Name@@YAXXZ", "?Name@@YAXXZ"),
        ("?Name@Class@@QAE@XZ@4", "?Name@Class@@QAE@XZ@4"),
        ("KiBase", "KiBase"),
        ("_", "_"),
        ("@", "@"),
        ("", ""),
        ("_@4", "_"),
        ("__real@4059000000000000", "_real@4059000000000000"),
        ("@Name", "@Name"),
    ],
)
def test_x86_decoration(decorated: str, name: str) -> None:
    assert undecorated(decorated) == name


def test_names_of_x64_are_left_as_they_are(writer: Any) -> None:
    records = [writer.symbol(PUBLIC, "_Name@8", 1, 0), writer.symbol(PUBLIC, "@x", 2, 4)]
    pdb = read_pdb(writer.Recipe(symbols=records).build())
    assert pdb.publics == {"_Name@8": 0x1000, "@x": 0x8004}
    x86 = read_pdb(writer.Recipe(symbols=records, machine=0x14C).build())
    assert x86.publics == {"Name": 0x1000, "@x": 0x8004}


def test_all_kinds_and_what_has_no_address(writer: Any) -> None:
    records = [
        writer.symbol(PUBLIC, "Routine", 1, 0x10, 2),
        writer.record(0x1125, b"\0" * 10 + b"Reference\0"),  # S_PROCREF
        writer.record(0x1127, b"\0\0\0\0\x10\0\0\0\x01\0Reference\0"),  # S_LPROCREF: module 1, no section 1
        writer.symbol(OLD_PUBLIC, "Old", 2, 0x20),
        writer.symbol(0x110D, "Data", 2, 0x30, 0x1234),
        writer.symbol(0x110C, "Local", 2, 0x34, 0x74),
        writer.symbol(0x1007, "OldLocal", 2, 0x38, 0x75),
        writer.symbol(0x1008, "OldData", 2, 0x3C, 0x76),
        writer.symbol(PUBLIC, "Absolute", 3, 1),  # behind the last section
        writer.symbol(PUBLIC, "Nowhere", 0, 1),
        writer.symbol(PUBLIC, "Far", 0xFFFF, 1),
        writer.symbol(PUBLIC, "Beyond", 2, 0xFFFFFFFF),  # 4 GB behind the image
        writer.symbol(PUBLIC, "Old", 1, 0x50),  # a second one of this name
        writer.symbol(0x110D, "Routine", 1, 0x10, 0x77),  # the same as the public one
    ]
    pdb = read_pdb(writer.Recipe(symbols=records).build())
    symbols = pdb.symbols
    assert symbols is not None
    assert not symbols.cut
    assert pdb.publics == {"Routine": 0x1010, "Old": 0x8020}
    assert symbols.data == {"Data": 0x8030, "Local": 0x8034, "OldLocal": 0x8038, "OldData": 0x803C, "Routine": 0x1010}
    assert symbols.rva("Local") == 0x8034
    assert symbols.rva("Nowhere") is None
    assert list(symbols) == [
        Symbol("Routine", 0x1010, True, 0x77),
        Symbol("Old", 0x1050, False, None),
        Symbol("Old", 0x8020, False, None),
        Symbol("Data", 0x8030, None, 0x1234),
        Symbol("Local", 0x8034, None, 0x74),
        Symbol("OldLocal", 0x8038, None, 0x75),
        Symbol("OldData", 0x803C, None, 0x76),
    ]
    assert symbols.nearest(0x8033) == Symbol("Data", 0x8030, None, 0x1234)


def test_an_image_that_was_rearranged(writer: Any) -> None:
    # As in the kernels of XP, 2003 and Vista: symbols count from the sections as the linker had laid them out
    records = [writer.symbol(PUBLIC, f"S{n}", 1, n) for n in (0, 0xF, 0x10, 0x1F, 0x20, 0x2F, 0x30, 0x100)]
    pdb = read_pdb(
        writer.Recipe(
            symbols=records,
            sections=[("text", 0x5000, 0x1000)],
            original=[("text", 0x1000, 0x1000)],
            omap=[(0x1008, 0x5100), (0x1010, 0x5008), (0x1020, 0), (0x1030, 0x5200)],
        ).build()
    )
    assert pdb.notes == ()
    # 1000 lies before the first entry, 1020 to 102F were removed
    assert pdb.publics == {"S15": 0x5107, "S16": 0x5008, "S31": 0x5017, "S48": 0x5200, "S256": 0x52D0}


def test_an_address_map_without_the_original_sections_gives_no_addresses(writer: Any) -> None:
    records = [writer.symbol(PUBLIC, "Name", 1, 0)]
    pdb = read_pdb(writer.Recipe(symbols=records, omap=[(0, 0x1000)]).build())
    assert pdb.publics == {}
    assert "no symbol has an address" in pdb.notes[0]


def test_original_sections_without_an_address_map_are_not_used(writer: Any) -> None:
    records = [writer.symbol(PUBLIC, "Name", 1, 0)]
    pdb = read_pdb(writer.Recipe(symbols=records, original=[("text", 0x7000, 0x1000)]).build())
    assert pdb.publics == {"Name": 0x1000}


def test_an_address_map_out_of_order_is_put_in_order(writer: Any) -> None:
    records = [writer.symbol(PUBLIC, f"S{n}", 1, n) for n in (0, 16)]
    omap = [(0x1010, 0x9010), (0x1000, 0x8000)]
    pdb = read_pdb(writer.Recipe(symbols=records, original=[("text", 0x1000, 64)], omap=omap).build())
    assert pdb.publics == {"S0": 0x8000, "S16": 0x9010}


def test_a_damaged_record_ends_the_list_and_is_said(writer: Any) -> None:
    good = writer.symbol(PUBLIC, "Good", 1, 0)
    for bad in (b"\x01\0\x0e\x11", b"\xff\xff\x0e\x11abcd", b"\0\0", b"\x40"):
        symbols = read_pdb(writer.Recipe(symbols=[good, bad]).build()).symbols
        assert symbols is not None
        assert symbols.publics == {"Good": 0x1000}
        assert symbols.cut


def test_names_that_do_not_end(writer: Any) -> None:
    records = [
        writer.record(PUBLIC, b"\0\0\0\0\x05\0\0\0\x01\0Name", b"!"),  # no zero byte: the record ends it
        writer.record(OLD_PUBLIC, b"\0\0\0\0\x06\0\0\0\x01\0\xc8ab"),  # 200 bytes of name in a record that has none
        writer.record(PUBLIC, b"\0\0\0\0\x07\0\0\0\x01\0\xff\xfe\0"),  # no Unicode
        writer.record(PUBLIC, b"\0\0\0\0\x05\0\0\0"),  # too short for a section
    ]
    assert read_pdb(writer.Recipe(symbols=records).build()).publics == {
        "Name!!": 0x1005,
        "ab": 0x1006,
        "\ufffd\ufffd": 0x1007,
    }


def test_sixty_thousand_public_symbols_take_a_fraction_of_a_second(writer: Any) -> None:
    records = [writer.symbol(PUBLIC, f"_SomeKernelRoutine{n}@8", 1, n * 8) for n in range(60_000)]
    content = writer.Recipe(symbols=records, machine=0x14C, page=4096).build()
    begin = time.process_time()
    assert len(read_pdb(content).publics) == 60_000
    assert time.process_time() - begin < 2  # measured: 0.2 s; a loaded machine may take longer
