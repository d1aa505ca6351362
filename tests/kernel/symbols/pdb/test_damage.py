"""Any mutation or truncation of a PDB ends in a result or in one sentence."""

import struct
from functools import cache
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.symbols.pdb import kernel_table, read_pdb
from poolsleuth.model.errors import InputError


@cache
def sample(writer: Any) -> bytes:
    """A PDB that has something of everything: an address map, structures, functions of modules."""

    def member(name: str, kind: int, offset: int) -> bytes:
        body = struct.pack("<HHIH", 0x150D, 3, kind, offset) + name.encode() + b"\0"
        return body + b"\xf3\xf2\xf1"[3 - (-len(body) % 4) :]

    types = [
        (0x1001, struct.pack("<IH", 0x22, 1)),
        (0x1002, struct.pack("<II", 0x1005, 8 << 13 | 0x0C)),
        (0x1503, struct.pack("<IIH", 0x1000, 0x23, 24) + b"\0"),
        (0x1203, member("Next", 0x1001, 0) + member("Table", 0x1002, 8) + struct.pack("<HHI", 0x1404, 0, 0x1004)),
        (0x1203, struct.pack("<HHIH", 0x1400, 0, 0x1007, 32) + member("Bits", 0x1006, 40)),
        (0x1505, struct.pack("<HHIIIH", 4, 0x200, 0x1003, 0, 0, 48) + b"_ERESOURCE\0?unique\0"),
        (0x1205, struct.pack("<IBB", 0x22, 3, 4)),
        (0x1505, struct.pack("<HHIIIH", 0, 0x280, 0, 0, 0, 0) + b"_BASE\0?base\0"),
        (0x1203, member("b", 0x22, 0) + member("r", 0x1005, 8)),
        (0x1505, struct.pack("<HHIIIH", 4, 0x200, 0x1008, 0, 0, 8) + b"_BASE\0?base\0"),
        (0x1507, struct.pack("<HHII", 1, 0, 0x74, 0x100B) + b"_KIND\0"),
        (0x1203, struct.pack("<HHH", 0x1502, 3, 5) + b"Five\0"),
    ]
    function = writer.record(0x1110, bytes(28) + struct.pack("<IHB", 8, 1, 0) + b"f\0")
    body = bytes(0x22) + struct.pack("<H", 9) + bytes(0x1C) + b"a\0b\0"
    made: bytes = writer.Recipe(
        symbols=[
            writer.symbol(0x110E, "_PoolTrackTable@4", 2, 16),
            writer.symbol(0x110D, "PoolVector", 2, 32, 0x1001),
            writer.symbol(0x1125, "ExFreePool", 1, 4),
            writer.symbol(0x1009, "_PoolHitTag", 1, 0),
        ],
        types=[writer.record(leaf, content, b"\xf1") for leaf, content in types],
        original=[("text", 0x1000, 0x1000), ("data", 0x2000, 0x1000)],
        omap=[(0x1000, 0x4000), (0x2000, 0x8000)],
        modules=body,
        extra=[b"\x04\0\0\0" + function],
        machine=0x14C,
        page=256,
        shuffled=4,
    ).build()
    return made


def use(content: bytes) -> None:
    """Everything that a PDB can be asked for."""
    try:
        pdb = read_pdb(content)
        kernel_table(pdb)
        for name in list(pdb.types.names()):
            pdb.structure(name)
        if pdb.symbols is not None:
            listed = list(pdb.symbols)
            assert all(0 <= symbol.rva < 1 << 32 for symbol in listed)
            pdb.symbols.nearest(0x5000)
    except InputError as error:
        assert str(error).startswith("this PDB")  # noqa: PT017 - either outcome is right


def test_the_sample_is_read_whole(writer: Any) -> None:
    pdb = read_pdb(sample(writer))
    table = kernel_table(pdb)
    assert table.symbols == {"PoolTrackTable": 0x8010, "PoolVector": 0x8020, "ExFreePool": 0x4008, "PoolHitTag": 0x4000}
    assert set(table.structures["_ERESOURCE"].fields) == {"Next", "Table", "b", "r", "Bits"}


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_mutation(writer: Any, data: st.DataObject) -> None:
    content = bytearray(sample(writer))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 4))
        if data.draw(st.booleans()):
            content[at] = data.draw(st.integers(0, 255))
        else:
            value = data.draw(st.sampled_from([0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x1005, 1 << 31, 0xFFFFFFFF]))
            content[at : at + 4] = struct.pack("<I", value)
    use(bytes(content))


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_mutation_inside_a_stream(writer: Any, data: st.DataObject) -> None:
    # Hits the records themselves: the whole file is mostly empty
    content = bytearray(sample(writer))
    marks = [b"_ERESOURCE", b"Next\0", b"_BASE", b"_PoolTrackTable", b"Five", b"text\0", writer.guid_bytes]
    at = content.index(data.draw(st.sampled_from(marks)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[max(0, at + data.draw(st.integers(-24, 40)))] = data.draw(st.integers(0, 255))
    use(bytes(content))


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_truncation(writer: Any, data: st.DataObject) -> None:
    content = sample(writer)
    use(content[: data.draw(st.integers(0, len(content)))])


def test_mutations_of_what_a_toolchain_made(built: Any) -> None:
    content = bytearray(built.pdb.read_bytes())
    step = 97
    for at in range(0, len(content) - 4, step * 7):
        if any(content[at : at + step]):
            changed = bytearray(content)
            changed[at : at + 4] = b"\xff\xff\xff\xff"
            use(bytes(changed))
