"""Type records that today's toolchains do not write, loops, damage, and text."""

import struct
from typing import Any

import pytest

from poolsleuth.kernel.symbols.extract import MAX_FIELDS, wanted_structures
from poolsleuth.kernel.symbols.pdb.records import Cursor, DamagedError
from poolsleuth.kernel.symbols.pdb.types import TypeTable
from poolsleuth.windows.kernel_table import Field

FORWARD, UNIQUE = 0x80, 0x200


def pascal(name: str) -> bytes:
    return bytes([len(name)]) + name.encode()


def z(name: str) -> bytes:
    return name.encode() + b"\0"


def member(name: str, kind: int, offset: int, old: bool = False) -> bytes:
    body = struct.pack("<HHIH", 0x1405 if old else 0x150D, 3, kind, offset) + (pascal(name) if old else z(name))
    return body + {0: b"", 1: b"\xf3\xf2\xf1", 2: b"\xf2\xf1", 3: b"\xf1"}[len(body) % 4]


def structure(
    name: str, fields: int, size: int, *, leaf: int = 0x1505, properties: int = 0, unique: str = ""
) -> tuple[int, bytes]:
    old = leaf < 0x1100
    body = struct.pack("<HHI", 1, properties | (UNIQUE if unique else 0), fields)
    if leaf in (0x1504, 0x1505, 0x1004, 0x1005):
        body += bytes(8)
    body += struct.pack("<H", size) + (pascal(name) if old else z(name))
    return leaf, body + (z(unique) if unique else b"")


def table(writer: Any, *records: tuple[int, bytes]) -> TypeTable:
    return TypeTable(writer.types_stream([writer.record(leaf, body, b"\xf1") for leaf, body in records]))


def test_kinds_of_before_2002_with_the_length_before_a_name(writer: Any) -> None:
    types = table(
        writer,
        (0x1203, member("First", 0x22, 0, old=True) + member("Second", 0x1002, 4, old=True)),
        structure("_OLD", 0x1000, 12, leaf=0x1005),
        (0x1003, struct.pack("<IIH", 0x11, 0x22, 8) + pascal("")),
        (
            0x1203,
            struct.pack("<HHH", 0x0403, 3, 5)
            + pascal("Five")
            + b"\xf1"
            + struct.pack("<HHH", 0x0403, 3, 6)
            + pascal("Six"),
        ),
        (0x1007, struct.pack("<HHII", 2, 0, 0x74, 0x1003) + pascal("_ENUM")),
        structure("_UNION", 0x1000, 12, leaf=0x1006),
    )
    layout = types.layout("_OLD")
    assert layout is not None
    assert {name: m.place for name, m in layout.members.items()} == {
        "First": Field(0, 4),
        "Second": Field(4, 8, count=4),
    }
    index = types.definition("_ENUM")
    assert index is not None
    assert [(f.name, f.value) for f in types.fields(index)] == [("Five", 5), ("Six", 6)]
    assert types.size_of(index) == 4
    assert types.layout("_ENUM") is None
    assert types.layout("_UNION") is not None
    assert list(types.names()) == ["_OLD", "_ENUM", "_UNION"]


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"\xff\x7f", 0x7FFF),
        (b"\x00\x80\xff", -1),
        (b"\x01\x80\xfe\xff", -2),
        (b"\x02\x80\xff\xff", 0xFFFF),
        (b"\x03\x80\xff\xff\xff\xff", -1),
        (b"\x04\x80\xff\xff\xff\xff", 0xFFFFFFFF),
        (b"\x09\x80" + b"\xff" * 8, -1),
        (b"\x0a\x80" + b"\xff" * 8, (1 << 64) - 1),
        (b"\x17\x80" + b"\xff" * 16, -1),
        (b"\x18\x80" + b"\xff" * 16, (1 << 128) - 1),
        (b"\x05\x80\0\0\0\0", None),  # a real number
        (b"\x04\x80\xff\xff", None),
        (b"\x01", None),
    ],
)
def test_numeric_leaves(raw: bytes, value: int | None) -> None:
    cursor = Cursor(raw, 0, len(raw))
    if value is None:
        with pytest.raises(DamagedError):
            cursor.numeric()
    else:
        assert cursor.numeric() == value
        assert cursor.at == len(raw)


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        (0x0003, 0),
        (0x0603, 8),
        (0x0403, 4),
        (0x0022, 4),
        (0x0013, 8),
        (0x0023, 8),
        (0x0077, 8),
        (0x0020, 1),
        (0x0071, 2),
        (0x0041, 8),
        (0x0000, None),
        (0x00FF, None),
        (0x9999, None),
        (0xFFFFFFFF, None),
    ],
)
def test_built_in_types(writer: Any, kind: int, size: int | None) -> None:
    types = table(writer)
    assert types.size_of(kind) == size


def test_pointers_by_their_attributes(writer: Any) -> None:
    types = table(
        writer,
        (0x1002, struct.pack("<II", 0x22, 8 << 13 | 0x0C)),
        (0x1002, struct.pack("<II", 0x22, 4 << 13 | 0x0A)),
        (0x1002, struct.pack("<II", 0x22, 0x0A)),  # as older toolchains: no size
        (0x1002, struct.pack("<II", 0x1000, 0x0C)),
        (0x1002, struct.pack("<II", 0x1000, 0)),
    )
    assert [types.size_of(0x1000 + n) for n in range(6)] == [8, 4, 4, 8, None, None]


def test_forward_references_by_unique_name_and_by_name(writer: Any) -> None:
    types = table(
        writer,
        structure("_NAMED", 0, 0, properties=FORWARD),  # 1000
        structure("x::<unnamed-tag>", 0, 0, properties=FORWARD, unique="@two"),  # 1001
        structure("x::<unnamed-tag>", 0, 0, properties=FORWARD),  # 1002
        structure("_NEVER", 0, 0, properties=FORWARD),  # 1003
        structure("x::<unnamed-tag>", 0, 3, unique="@one"),
        structure("x::<unnamed-tag>", 0, 5, unique="@two"),  # 1005
        structure("_NAMED", 0, 7),
        structure("_NAMED", 0, 9),  # 1007: the last one counts
    )
    assert [types.resolve(0x1000 + n) for n in range(4)] == [0x1007, 0x1005, 0x1002, 0x1003]
    assert [types.size_of(0x1000 + n) for n in range(4)] == [9, 5, None, None]
    assert types.layout("_NEVER") is None
    assert types.layout("x::<unnamed-tag>") is None
    inner = types.layout(0x1001)
    assert inner is not None
    assert inner.size == 5


def test_modifiers_bit_fields_and_arrays(writer: Any) -> None:
    types = table(
        writer,
        (0x1001, struct.pack("<IH", 0x22, 1)),  # 1000 const
        (0x1205, struct.pack("<IBB", 0x1000, 5, 3)),  # 1001 five bits from the third on
        (0x1503, struct.pack("<IIH", 0x1000, 0x23, 24) + z("")),  # 1002 [6]
        (0x1503, struct.pack("<IIH", 0x1002, 0x23, 48) + z("")),  # 1003 [2][6]
        (0x1503, struct.pack("<IIH", 0x22, 0x23, 0) + z("")),  # 1004 [0]
        (0x1503, struct.pack("<IIH", 0x1099, 0x23, 16) + z("")),  # 1005 of something unknown
        (0x1203, b"".join(member(f"m{n}", 0x1000 + n, n) for n in range(6))),
        structure("_ALL", 0x1006, 100),
    )
    layout = types.layout("_ALL")
    assert layout is not None
    assert {name: m.place for name, m in layout.members.items()} == {
        "m0": Field(0, 4),
        "m1": Field(1, 4, 3, 5),
        "m2": Field(2, 24, count=6),
        "m3": Field(3, 48, count=2),
        "m4": Field(4, 0, count=0),
        "m5": Field(5, 16, count=1),
    }
    assert types.layout("_NONE") is None


def test_embedded_structures_also_in_arrays(writer: Any) -> None:
    types = table(
        writer,
        (0x1203, member("Deep", 0x22, 4)),
        structure("_IN", 0x1000, 8),
        (0x1503, struct.pack("<IIH", 0x1001, 0x23, 16) + z("")),
        (0x1503, struct.pack("<IIH", 0x1002, 0x23, 32) + z("")),
        (0x1002, struct.pack("<II", 0x1001, 8 << 13 | 0x0C)),
        (0x1203, member("One", 0x1001, 8) + member("Many", 0x1003, 16) + member("There", 0x1004, 48)),
        structure("_OUT", 0x1005, 56),
    )
    found = wanted_structures(types, {"_OUT": ("One.*", "Many.Deep", "There.*", "None.*", "One.None", "One")})
    assert found["_OUT"].size == 56
    assert found["_OUT"].fields == {"One.Deep": Field(12, 4), "Many.Deep": Field(20, 4), "One": Field(8, 8)}


def test_loops_through_type_indices_end(writer: Any) -> None:
    own = 0x1000
    types = table(
        writer,
        (0x1001, struct.pack("<IH", own, 0)),  # a modifier of itself
        (0x1002, struct.pack("<II", own + 1, 8 << 13)),  # a pointer to itself
        (0x1503, struct.pack("<IIH", own + 2, 0x23, 16) + z("")),  # an array of itself
        (0x1205, struct.pack("<IBB", own + 3, 1, 1)),  # bits of itself
        (0x1203, member("a", own + 5, 0) + struct.pack("<HHI", 0x1404, 0, own + 4)),  # a list that continues itself
        structure("_SELF", own + 4, 8),
        (0x1203, struct.pack("<HHIH", 0x1400, 0, own + 7, 0) * 2 + member("b", own + 7, 1)),  # twice its own base
        structure("_BASE", own + 6, 8),
        (0x1507, struct.pack("<HHII", 0, 0, own + 8, 0) + z("_ENUM")),  # an enum of itself
    )
    for n in range(9):
        types.size_of(own + n)
        types.resolve(own + n)
        types.layout(own + n)
    layout = types.layout("_SELF")
    assert layout is not None
    assert layout.members["a"].place == Field(0, 8)
    assert len(list(types.fields(own + 5))) <= MAX_FIELDS
    assert len(list(types.fields(own + 7))) <= MAX_FIELDS
    found = wanted_structures(types, {"_SELF": ("a.a.a.a", "a.*")})
    assert found["_SELF"].fields == {"a.a.a.a": Field(0, 8), "a.a": Field(0, 8)}


def test_a_field_list_that_breaks_off_keeps_what_it_had(writer: Any) -> None:
    good = member("Good", 0x22, 0)
    for bad in (b"\x34\x12rest", b"\x0d\x15\x03", struct.pack("<HHIH", 0x150D, 3, 0x22, 4) + b"endless"):
        types = table(writer, (0x1203, good + bad), structure("_S", 0x1000, 8))
        layout = types.layout("_S")
        assert layout is not None
        assert list(layout.members) == ["Good"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0" * 20,
        struct.pack("<5I", 20040203, 56, 0, 0, 0) + b"\x02\0\x05\x15" * 20,
        struct.pack("<5I", 20040203, 56, 0xFFFFFFF0, 0, 0) + b"\x02\0\x05\x15" * 20,
        struct.pack("<5I", 20040203, 0xFFFFFFFF, 0x1000, 0, 0) + b"\x02\0\x05\x15" * 20,
        struct.pack("<5I", 20040203, 20, 0x1000, 0, 0) + b"\0\0\x05\x15" * 20,
        struct.pack("<5I", 20040203, 20, 0x1000, 0, 0) + b"\xff\xff\x05\x15" * 20,
    ],
)
def test_headers_and_lengths_that_make_no_sense(raw: bytes) -> None:
    types = TypeTable(raw)
    assert len(types) == 0
    assert list(types.names()) == []
    assert types.layout("_S") is None
    assert types.layout(0x1000) is None
    assert types.size_of(0x1000) is None


def test_records_too_short_for_what_they_are(writer: Any) -> None:
    for leaf in (0x1001, 0x1002, 0x1003, 0x1503, 0x1205, 0x1505, 0x1506, 0x1507, 0x1005, 0x1203):
        types = table(writer, (leaf, b"\0\0"))
        assert types.size_of(0x1000) is None
        assert types.layout(0x1000) is None
