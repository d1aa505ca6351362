"""PDBs of a real toolchain: what llvm-pdbutil, the compiler and the linked image say is what the reader must say."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pefile  # type: ignore[import-untyped]
import pytest

from poolsleuth.kernel.symbols.pdb import Pdb, kernel_table, read_pdb
from poolsleuth.model.errors import InputError

# The fields that the C source's table of figures tells, in its order (after three sizes)
FIGURES = [
    "Links", "Direct", "First", "Second", "u3", "u3.e1.s", "u4", "Inner", "Inner.b", "Table", "Table.b", "Square",
    "Mix.parts.high", "Counter", "Name", "Routine", "Kind", "Yes", "Text", "Real", "Later", "Never", "Deep",
    "Constants", "Pointers", "Tail",
]  # fmt: skip


@dataclass
class Told:
    """A structure, union or enum as llvm-pdbutil tells it."""

    index: int
    name: str
    kind: str
    size: int = 0
    fields: int = 0
    forward: bool = False
    target: int | None = None


@dataclass
class Listing:
    """The types of a PDB as llvm-pdbutil tells them."""

    udts: dict[int, Told] = field(default_factory=dict)
    members: dict[int, list[tuple[str, int, int]]] = field(default_factory=dict)
    continued: dict[int, int] = field(default_factory=dict)
    bases: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    arrays: dict[int, tuple[int, int]] = field(default_factory=dict)
    bits: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    pointers: dict[int, int] = field(default_factory=dict)
    modified: dict[int, int] = field(default_factory=dict)
    values: dict[int, list[tuple[str, int]]] = field(default_factory=dict)


def listing(text: str) -> Listing:
    told = Listing()
    index, leaf, waiting = 0, "", ""
    for line in text.splitlines():
        if start := re.match(r" +(0x[0-9A-F]+) \| (LF_\w+) \[size = \d+\](?: `(.*)`)?", line):
            index, leaf = int(start[1], 16), start[2]
            if leaf in ("LF_STRUCTURE", "LF_CLASS", "LF_UNION", "LF_ENUM"):
                told.udts[index] = Told(index, start[3], leaf)
        elif m := re.search(r"LF_MEMBER \[name = `(.*)`, Type = (0x[0-9A-F]+).*, offset = (\d+)", line):
            told.members.setdefault(index, []).append((m[1], int(m[3]), int(m[2], 16)))
        elif m := re.search(r"LF_ENUMERATE \[(.*) = (-?\d+)\]", line):
            told.values.setdefault(index, []).append((m[1], int(m[2])))
        elif re.search(r"- LF_BCLASS", line):
            waiting = "base"
        elif waiting and (m := re.search(r"type = (0x[0-9A-F]+), offset = (\d+)", line)):
            told.bases.setdefault(index, []).append((int(m[1], 16), int(m[2])))
            waiting = ""
        elif m := re.search(r"LF_INDEX.*(0x[0-9A-F]+)|continuation = (0x[0-9A-F]+)", line):
            told.continued[index] = int(m[1] or m[2], 16)
        elif m := re.search(r"size: (\d+), index type: .*, element type: (0x[0-9A-F]+)", line):
            told.arrays[index] = int(m[1]), int(m[2], 16)
        elif m := re.search(r"type = (0x[0-9A-F]+).*, bit offset = (\d+), # bits = (\d+)", line):
            told.bits[index] = int(m[1], 16), int(m[2]), int(m[3])
        elif leaf == "LF_POINTER" and (m := re.search(r"kind = ptr(\d+)", line)):
            told.pointers[index] = int(m[1]) // 8
        elif leaf == "LF_MODIFIER" and (m := re.search(r"referent = (0x[0-9A-F]+)", line)):
            told.modified[index] = int(m[1], 16)
        elif index in told.udts:
            udt = told.udts[index]
            if m := re.search(r"field list: (0x[0-9A-F]+)", line):
                udt.fields = int(m[1], 16)
            if m := re.search(r"sizeof (\d+)", line):
                udt.size = int(m[1])
            if m := re.search(r"forward ref \(-> (0x[0-9A-F]+)\)", line):
                udt.target = int(m[1], 16)
            udt.forward |= "forward ref" in line
    return told


def every_member(told: Listing, at: int) -> Iterator[tuple[str, int, int]]:
    for base, offset in told.bases.get(at, []):
        udt = told.udts[base]
        inner = told.udts[udt.target] if udt.target is not None else udt
        yield from ((name, offset + place, kind) for name, place, kind in every_member(told, inner.fields))
    yield from told.members.get(at, [])
    if at in told.continued:
        yield from every_member(told, told.continued[at])


def check_types(pdb: Pdb, told: Listing) -> int:
    seen = 0
    for index, udt in told.udts.items():
        mine = pdb.types.udt(index)
        assert mine is not None
        assert (mine.name, mine.size, mine.forward) == (udt.name, udt.size, udt.forward), index
        if udt.target is not None:
            assert pdb.types.resolve(index) == udt.target
        if udt.forward:
            continue
        if udt.kind == "LF_ENUM":
            assert [(f.name, f.value) for f in pdb.types.fields(index)] == told.values.get(udt.fields, [])
            continue
        fields = [(f.name, f.value, f.type_index) for f in pdb.types.fields(index)]
        assert fields == list(every_member(told, udt.fields)), udt.name
        layout = pdb.types.layout(index)
        assert layout is not None
        assert layout.size == udt.size
        for name, offset, index_of_type in fields:
            place = layout.members[name].place
            assert place.offset == offset
            kind = index_of_type
            while kind in told.modified:
                kind = told.modified[kind]
            if kind in told.pointers:
                assert (place.size, place.count) == (told.pointers[kind], 1)
            elif kind in told.arrays:
                assert place.size == told.arrays[kind][0]
                each = pdb.types.size_of(told.arrays[kind][1])
                assert each
                assert place.count * each == place.size
            elif kind in told.bits:
                assert (place.bit, place.bits) == told.bits[kind][1:]
                assert place.size == pdb.types.size_of(told.bits[kind][0])
            elif kind in told.udts and told.udts[kind].kind != "LF_ENUM":
                inner = told.udts[kind]
                assert place.size == told.udts[inner.target or kind].size
            seen += 1
    return seen


def test_types_are_those_that_pdbutil_tells(built: Any) -> None:
    assert check_types(read_pdb(built.pdb), listing(built.dump("-types"))) > 40


def test_types_of_cpp_and_a_structure_of_two_field_lists(built_cpp: Any) -> None:
    pdb = read_pdb(built_cpp.pdb)
    told = listing(built_cpp.dump("-types"))
    assert check_types(pdb, told) > 2500
    assert told.continued, "the toolchain did not continue the long list: the test shows nothing"
    many = pdb.structure("Many")
    assert many is not None
    assert many.size == 2501 * 4
    assert many.members["last"].place.offset == 2500 * 4
    derived = pdb.structure("Derived")
    assert derived is not None
    assert {"base", "nest", "side", "derived"} <= derived.members.keys()
    assert derived.members["wide"].place.size == 8  # enum class Wide : unsigned long long
    assert pdb.symbols is not None
    assert pdb.symbols.rva("ns::inside") == pdb.publics["?inside@ns@@3HA"]


def test_publics_are_those_that_pdbutil_tells(built: Any) -> None:
    pdb = read_pdb(built.pdb)
    text = built.dump("-publics", "-section-headers")
    bases = [int(m, 16) for m in re.findall(r"([0-9A-F]+) virtual address", text)]
    expected = {}
    for name, section, offset in re.findall(r"S_PUB32 \[size = \d+\] `(.*)`\n.*addr = (\d+):(\d+)", text):
        expected[name] = bases[int(section) - 1] + int(offset)
    assert len(expected) >= 10
    if built.machine == "x86":
        assert {"_standard@8", "@fast@12", "_plain", "__private", "__under_score", "__fltused"} <= expected.keys()
        plain = {"_standard@8": "standard", "@fast@12": "fast"}
        expected = {plain.get(name, name.removeprefix("_")): rva for name, rva in expected.items()}
    assert pdb.publics == expected
    assert {"standard", "fast", "plain", "_private", "_under_score", "figures"} <= pdb.publics.keys()


def test_global_data_is_that_which_pdbutil_tells(built: Any) -> None:
    pdb = read_pdb(built.pdb)
    text = built.dump("-globals", "-section-headers")
    bases = [int(m, 16) for m in re.findall(r"([0-9A-F]+) virtual address", text)]
    pattern = r"S_[GL]DATA32 \[size = \d+\] `(.*)`\n *type = (0x[0-9A-F]+).*addr = (\d+):(\d+)"
    told = {
        name: (int(kind, 16), bases[int(section) - 1] + int(offset))
        for name, kind, section, offset in re.findall(pattern, text)
    }
    assert {"hidden", "outer", "figures"} <= told.keys()
    assert pdb.symbols is not None
    assert {name: (pdb.symbols.data_types[name], rva) for name, rva in pdb.symbols.data.items()} == told
    # References into modules (kind 0x1127) hold no address: none of them may become a symbol with one
    assert "S_LPROCREF" in text


def test_functions_are_those_that_pdbutil_tells_also_static_ones(built: Any) -> None:
    pdb = read_pdb(built.pdb)
    text = built.dump("-symbols", "-section-headers")
    bases = [int(m, 16) for m in re.findall(r"([0-9A-F]+) virtual address", text)]
    pattern = r"S_[GL]PROC32(?:_ID)? \[size = \d+\] `(.*)`\n.*addr = (\d+):(\d+)"
    told = {name: bases[int(section) - 1] + int(offset) for name, section, offset in re.findall(pattern, text)}
    assert {"quiet", "plain", "standard", "fast", "start"} <= told.keys()
    assert "quiet" not in pdb.publics
    symbols = pdb.symbols
    assert symbols is not None
    assert symbols.functions == told
    found = symbols.nearest(told["quiet"])
    assert found is not None
    assert (found.name, found.code) == ("quiet", True)
    assert symbols.rva("quiet") == told["quiet"]


def test_identity_is_that_of_the_image(built: Any) -> None:
    pdb = read_pdb(built.pdb)
    image = pefile.PE(str(built.image), fast_load=True)
    image.parse_data_directories([pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_DEBUG"]])
    (entry,) = [e.entry for e in image.DIRECTORY_ENTRY_DEBUG if e.struct.Type == 2]
    assert pdb.identity is not None
    assert (pdb.identity.name, pdb.identity.age) == ("kernel.pdb", entry.Age)
    data4 = bytes([entry.Signature_Data4] if isinstance(entry.Signature_Data4, int) else entry.Signature_Data4)
    text = f"{entry.Signature_Data1:08X}{entry.Signature_Data2:04X}{entry.Signature_Data3:04X}"
    assert pdb.identity.guid.startswith(text + data4.hex().upper()[:2])
    assert f"{{{_dashed(pdb.identity.guid)}}}" in built.dump("-summary")
    assert pdb.machine == built.machine
    assert pdb.notes == ()


def _dashed(guid: str) -> str:
    return "-".join((guid[:8], guid[8:12], guid[12:16], guid[16:20], guid[20:]))


def test_offsets_and_sizes_are_those_that_the_compiler_wrote_into_the_image(built: Any) -> None:
    pdb = read_pdb(built.pdb)
    image = pefile.PE(str(built.image), fast_load=True)
    assert pdb.symbols is not None
    hidden = pdb.symbols.rva("hidden")
    assert hidden is not None
    assert image.get_data(hidden, 4) == struct.pack("<I", 0x1234ABCD)
    values = struct.unpack(f"<{3 + 2 * len(FIGURES)}I", image.get_data(pdb.publics["figures"], 12 + 8 * len(FIGURES)))
    outer, later = pdb.structure("_OUTER"), pdb.structure("_LATER")
    assert outer is not None
    assert later is not None
    assert values[:3] == (outer.size, later.size, later.members["Self"].place.offset)
    for at, path in enumerate(FIGURES):
        base, layout = 0, outer
        *steps, last = path.split(".")
        for step in steps:
            member = layout.members[step]
            base += member.place.offset
            inner = pdb.types.layout(member.inner) if member.inner is not None else None
            assert inner is not None, path
            layout = inner
        place = layout.members[last].place
        assert (base + place.offset, place.size) == values[3 + 2 * at : 5 + 2 * at], path


def test_symbols_by_address(built: Any) -> None:
    symbols = read_pdb(built.pdb).symbols
    assert symbols is not None
    listed = list(symbols)
    assert [s.rva for s in listed] == sorted(s.rva for s in listed)
    assert len(listed) == len(symbols)
    plain = symbols.publics["plain"]
    found, following = symbols.nearest(plain + 1), symbols.after(plain)
    assert found is not None
    assert following is not None
    assert (found.name, found.rva, found.code) == ("plain", plain, True)
    assert following.rva == min(s.rva for s in listed if s.rva > plain)
    assert symbols.nearest(0xFFF) is None
    assert symbols.after(1 << 31) is None


def test_a_kernel_table_has_what_is_wanted_and_nothing_else(built: Any) -> None:
    table = kernel_table(read_pdb(built.pdb, "ntkrnlmp.pdb"))
    assert table.pdb is not None
    assert table.pdb.name == "ntkrnlmp.pdb"
    assert table.machine == built.machine
    assert set(table.structures) == {"_LIST_ENTRY"}
    pointer = 4 if built.machine == "x86" else 8
    place = table.place("_LIST_ENTRY", "Blink")
    assert place is not None
    assert (place.offset, place.size) == (pointer, pointer)
    assert table.symbols == {}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"Microsoft C/C++ program database 2.00\r\n\x1aJG\0\0" + bytes(4096), "old kind"),
        (b"Microsoft MSFZ Container\r\n" + bytes(4096), "compressed PDB"),
        (b"BSJB" + bytes(100), "portable PDB"),
        (b"MSCF" + bytes(100), "expand"),
        (b"MZ" + bytes(100), "not its symbols"),
        (b"\0" * 100, "is no PDB"),
        (b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0", "cut off"),
    ],
)
def test_other_files_are_refused_by_name(content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_pdb(content, "given.pdb")


def test_a_closed_pdb_keeps_what_was_decoded(writer: Any, tmp_path: Any) -> None:
    path = tmp_path / "a.pdb"
    path.write_bytes(writer.Recipe(symbols=[writer.symbol(0x110E, "MiState", 2, 0)]).build())
    with read_pdb(path) as pdb:
        assert pdb.publics == {"MiState": 0x8000}
    path.unlink()
    assert pdb.publics == {"MiState": 0x8000}


def test_a_damaged_part_leaves_the_other(writer: Any) -> None:
    recipe = writer.Recipe(
        symbols=[writer.symbol(0x110E, "MiState", 2, n) for n in range(400)],
        types=[writer.record(0x1505, bytes(16) + b"\x10\0_ERESOURCE\0\0")] * 400,
    )
    whole = recipe.build()
    assert kernel_table(read_pdb(whole)).source == "PDB this PDB"
    both = []
    for stream in (2, 5):
        streams = recipe.streams()
        sizes = [len(s or b"") for s in streams]
        listed = struct.pack(f"<I{len(sizes)}I", len(sizes), *sizes)
        at = whole.index(listed) + len(listed) + 4 * sum(-(-size // 1024) for size in sizes[:stream])
        damaged = whole[:at] + b"\xff\xff\xff\x7f" + whole[at + 4 :]
        table = kernel_table(read_pdb(damaged))
        assert table.source == "PDB this PDB (damaged, only a part of it)"
        assert (bool(table.symbols), bool(table.structures)) == (stream == 2, stream == 5)
        both.append(at)
    for at in both:
        whole = whole[:at] + b"\xff\xff\xff\x7f" + whole[at + 4 :]
    with pytest.raises(InputError, match="stream 2 lies beyond its end"):
        kernel_table(read_pdb(whole))


def test_records_that_are_missing_are_told(writer: Any) -> None:
    symbols, types = [writer.symbol(0x110E, "MiState", 2, 0), b"\0\0\0\0"], [b"\xff\xff\x05\x15"]
    pdb = read_pdb(writer.Recipe(symbols=symbols, types=types).build())
    assert pdb.notes == ()
    assert kernel_table(pdb).source == "PDB this PDB (damaged, only a part of it)"
    notes: tuple[str, ...] = pdb.notes
    assert [note.split(": ")[1].split()[0] for note in notes] == ["symbols", "types"]


def test_a_file_that_is_not_there_or_empty(tmp_path: Any) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_pdb(tmp_path / "none.pdb")
    (tmp_path / "empty.pdb").write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        read_pdb(tmp_path / "empty.pdb")
