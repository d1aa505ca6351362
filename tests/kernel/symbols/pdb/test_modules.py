"""References to functions in the streams of modules."""

import struct
from typing import Any

import pytest

from poolsleuth.kernel.symbols.pdb import read_pdb

FIRST_EXTRA = 7  # the stream behind those of a recipe without an address map


def module(stream: int, name: str, other: str = "") -> bytes:
    body = bytes(0x22) + struct.pack("<H", stream) + bytes(0x1C) + name.encode() + b"\0" + other.encode() + b"\0"
    return body + bytes(-len(body) % 4)


def reference(writer: Any, name: str, number: int, place: int, kind: int = 0x1127) -> bytes:
    made: bytes = writer.symbol(kind, name, number, place)
    return made


def function(writer: Any, section: int, offset: int, kind: int = 0x110F) -> bytes:
    made: bytes = writer.record(kind, bytes(28) + struct.pack("<IHB", offset, section, 0) + b"name\0")
    return made


def test_functions_of_several_modules(writer: Any) -> None:
    each = len(function(writer, 1, 0))
    first = b"\x04\0\0\0" + function(writer, 1, 0x10) + function(writer, 1, 0x20, 0x1110) + function(writer, 9, 0)
    second = b"\x04\0\0\0" + function(writer, 2, 0x30, 0x1147) + function(writer, 1, 0, 0x1012)
    references = [
        reference(writer, "Second", 3, 4),
        reference(writer, "First", 1, 4, 0x1125),
        reference(writer, "Other", 1, 4 + each),
        reference(writer, "NoSection", 1, 4 + 2 * each),
        reference(writer, "NoFunction", 3, 4 + each),
        reference(writer, "Beyond", 3, 1 << 31),
        reference(writer, "AtTheEnd", 3, len(second) - 10),
        reference(writer, "NoStream", 2, 4),
        reference(writer, "NoModule", 0, 4),
        reference(writer, "FarModule", 4, 4),
    ]
    modules = module(FIRST_EXTRA, "a", "a.lib") + module(0xFFFF, "* Linker *") + module(FIRST_EXTRA + 1, "bcd")
    pdb = read_pdb(writer.Recipe(symbols=references, modules=modules, extra=[first, second]).build())
    assert pdb.symbols is not None
    assert pdb.symbols.functions == {"First": 0x1010, "Other": 0x1020, "Second": 0x8030}
    assert [(s.name, s.code) for s in pdb.symbols] == [("First", True), ("Other", True), ("Second", True)]


def test_modules_that_share_a_stream_are_read_no_more_often_than_the_file_is_long(writer: Any) -> None:
    stream = b"\x04\0\0\0" + function(writer, 1, 0x10) + bytes(100_000)
    references = [reference(writer, f"F{n}", n, 4) for n in range(1, 1001)]
    modules = module(FIRST_EXTRA, "a") * 1000
    recipe = writer.Recipe(symbols=references, modules=modules, extra=[stream])
    symbols = read_pdb(recipe.build()).symbols
    assert symbols is not None
    assert set(symbols.functions.values()) == {0x1010}
    assert 1 <= len(symbols.functions) <= 3


@pytest.mark.parametrize("modules", [b"", b"\0" * 63, b"\xff" * 200, bytes(0x40) + b"no end"])
def test_lists_of_modules_that_make_no_sense(writer: Any, modules: bytes) -> None:
    references = [reference(writer, "F", 1, 4)]
    symbols = read_pdb(writer.Recipe(symbols=references, modules=modules).build()).symbols
    assert symbols is not None
    assert symbols.functions == {}
