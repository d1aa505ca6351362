"""Symbol tables in the ISF format: eight real kernels, small made ones, and damage."""

import json
import lzma
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.symbols import isf
from poolsleuth.kernel.symbols.isf import read_isf
from poolsleuth.model.errors import InputError
from poolsleuth.windows.kernel_table import Field, KernelTable, PdbId
from poolsleuth.windows.wanted_symbols import STRUCTURES, SYMBOLS

TABLES = Path(__file__).parents[4] / "shared" / "data" / "symbols"
BUILDS = ("7601", "9600", "14393", "17763", "18362", "19041", "20348", "22000")


@cache
def real(build: str) -> KernelTable:
    found = list(TABLES.glob(f"ntkrnlmp_*.{build}.*.json.xz"))
    if not found:
        pytest.skip(f"the symbol table of build {build} is not there")
    return read_isf(found[0])


def offset(table: KernelTable, structure: str, path: str) -> int | None:
    place = table.place(structure, path)
    return None if place is None else place.offset


# The names of the files: kernel's GUID and age
@pytest.mark.parametrize(
    ("build", "guid"),
    [
        ("7601", "339E74133576439CBCDF7E0229DA3773"),
        ("9600", "22597D0B40394E23936F6A24C6C52D5B"),
        ("14393", "517E128F7B7C4EA79491DE6B9B9CE190"),
        ("17763", "8B11040A5928757B11390AC78F6B6925"),
        ("18362", "11BC9A513F1140CA359ECDF50F0122C1"),
        ("19041", "5278AFF86C341677D7D7835C85B7B844"),
        ("20348", "C2EADB24A615E9472CE47C8ADD31F130"),
        ("22000", "32C1A669D5FFEFD41091F636CFDB6E99"),
    ],
)
def test_identity_of_real_tables(build: str, guid: str) -> None:
    assert real(build).pdb == PdbId("ntkrnlmp.pdb", guid, 1)
    assert real(build).machine == "x64"


# PoolTrackTable minus PoolTrackTableSize, and minus PoolBigPageTable, in bytes
@pytest.mark.parametrize(
    ("build", "to_size", "to_big"),
    [
        ("7601", 8, 40),
        ("9600", -5368, -5192),
        ("14393", 5240, 24),
        ("17763", 8, -10336),
        ("18362", 8, 48),
        ("19041", -10368, -10328),
        ("20348", 16512, 16456),
        ("22000", 8, -48),
    ],
)
def test_symbols_of_real_tables(build: str, to_size: int, to_big: int) -> None:
    symbols = real(build).symbols
    assert symbols["PoolTrackTable"] - symbols["PoolTrackTableSize"] == to_size
    assert symbols["PoolTrackTable"] - symbols["PoolBigPageTable"] == to_big
    assert "ExPoolTagTables" in symbols
    assert ("ExpSessionPoolTrackTable" in symbols) == (build != "22000")
    assert ("ExpHeapBackedPoolEnabledState" in symbols) == (build == "17763")
    assert ("MiState" in symbols) == (build not in ("7601", "9600"))


# MiState: AllocatedNonPagedPool, Vs.MaximumNonPagedPoolInPages, Vs.PagedPoolInfo.AllocatedPagedPool / MaximumSize,
# Vs.SystemPteInfo.TotalFreeSystemPtes, Vs.ProcessCommit / DriverCommit, Vs.NonPagedPoolCommit
@pytest.mark.parametrize(
    ("build", "figures"),
    [
        ("14393", (0x1420, 0x1418, 0x1408, 0x1490, 0x14D0, 0x14E0, 0x1498)),
        ("17763", (0x2550, 0x2548, 0x2538, 0x25B8, 0x25F0, 0x25F8, 0x25C0)),
        ("18362", (0x24B0, 0x24A8, 0x24A0, 0x2518, 0x2548, 0x2550, 0x2520)),
        ("19041", (0x2630, 0x2628, 0x2620, 0x2698, 0x26C8, 0x26D0, 0x26A0)),
        ("20348", (0x4230, 0x4228, 0x4220, 0x4298, 0x42D0, 0x42D8, 0x42A0)),
        ("22000", (0x4430, 0x4428, 0x4420, 0x4490, 0x44C8, 0x44D0, 0x4498)),
    ],
)
def test_system_information_of_real_tables(build: str, figures: tuple[int, ...]) -> None:
    names = (
        "Vs.MaximumNonPagedPoolInPages", "Vs.PagedPoolInfo.AllocatedPagedPool", "Vs.PagedPoolInfo.MaximumSize",
        "Vs.SystemPteInfo.TotalFreeSystemPtes", "Vs.ProcessCommit", "Vs.DriverCommit", "Vs.NonPagedPoolCommit",
    )  # fmt: skip
    assert tuple(offset(real(build), "_MI_SYSTEM_INFORMATION", name) for name in names) == figures


# Partition: NumberOfPhysicalPages, AvailablePages, ResidentAvailablePages, TotalCommittedPages, TotalCommitLimit,
# PeakCommitment
@pytest.mark.parametrize(
    ("build", "figures"),
    [
        ("14393", (0x1890, 0x1940, 0x1980, 0x1C28, 0x1CA8, 0x1600)),
        ("17763", (0x1BD0, 0x1C80, 0x1CC0, 0x1DE8, 0x1E68, 0x1900)),
        ("18362", (0x1ED0, 0x1F80, 0x1FC0, 0x20E8, 0x2168, 0x1C00)),
        ("19041", (0x1B10, 0x1BC0, 0x1C00, 0x1D28, 0x1DA8, 0x1840)),
        ("20348", (0x4150, 0x4200, 0x4240, 0x4368, 0x4458, 0x3E80)),
        ("22000", (0x4150, 0x4200, 0x4240, 0x4368, 0x4458, 0x3E80)),
    ],
)
def test_partition_of_real_tables(build: str, figures: tuple[int, ...]) -> None:
    names = ("NumberOfPhysicalPages", "AvailablePages", "ResidentAvailablePages", "TotalCommittedPages")
    paths = (*(f"Vp.{name}" for name in names), "Vp.TotalCommitLimit", "Commit.PeakCommitment")
    found = [offset(real(build), "_MI_PARTITION", name) for name in paths]
    assert tuple(found) == figures


# Bytes of a tracker entry and of a big-page entry
@pytest.mark.parametrize(
    ("build", "tracker", "big"),
    [
        ("7601", 0x28, 0x18),
        ("9600", 0x28, 0x18),
        ("14393", 0x28, 0x18),
        ("17763", 0x38, 0x18),
        ("18362", 0x38, 0x18),
        ("19041", 0x38, 0x18),
        ("20348", 0x50, 0x20),
        ("22000", 0x50, 0x20),
    ],
)
def test_pool_structures_of_real_tables(build: str, tracker: int, big: int) -> None:
    structures = real(build).structures
    assert structures["_POOL_TRACKER_TABLE"].size == tracker
    assert structures["_POOL_TRACKER_BIG_PAGES"].size == big
    assert ("_EX_POOL_HEAP_MANAGER_STATE" in structures) == (int(build) >= 17763)
    if build == "17763":
        state = structures["_EX_POOL_HEAP_MANAGER_STATE"]
        assert state.size == 0x86140
        names = ("NumberOfPools", "PoolNode", "SpecialHeaps")
        assert tuple(state.fields[name].offset for name in names) == (0x30C8, 0x3100, 0x86100)


# _EPROCESS: 14393 links 2F0, 17763 2E8, 18362 2F0, 19041-22000 448; Session 400 / 558; ImageFileName 450 / 5A8
def test_processes_of_real_tables() -> None:
    links = [offset(real(build), "_EPROCESS", "ActiveProcessLinks") for build in BUILDS[2:]]
    assert links == [0x2F0, 0x2E8, 0x2F0, 0x448, 0x448, 0x448]
    names = [real(build).place("_EPROCESS", "ImageFileName") for build in ("14393", "22000")]
    assert names == [Field(0x450, 15, count=15), Field(0x5A8, 15, count=15)]
    place = real("22000").place("_EPROCESS", "Pcb.DirectoryTableBase")
    assert place == Field(0x28, 8)


def test_only_what_is_wanted_is_kept() -> None:
    for build in BUILDS:
        table = real(build)
        assert set(table.symbols) <= set(SYMBOLS)
        assert set(table.structures) <= set(STRUCTURES)
        assert not any("." in name for name in table.structures["_POOL_HEADER"].fields)
        assert set(table.structures["_KPROCESS"].fields) <= set(STRUCTURES["_KPROCESS"])


def base(name: str) -> dict[str, object]:
    return {"kind": "base", "name": name}


def made(**changes: object) -> bytes:
    """A small table; ``changes`` replace its parts."""
    record = {"kind": "struct", "name": "_IN"}
    three = {"kind": "array", "count": 3, "subtype": record}
    bits = {"kind": "bitfield", "bit_position": 3, "bit_length": 5, "type": base("unsigned long")}
    fields = {
        "Size": {"offset": 0, "type": base("unsigned long")},
        "Bits": {"offset": 4, "type": bits},
        "Next": {"offset": 8, "type": {"kind": "pointer", "subtype": record}},
        "Kind": {"offset": 16, "type": {"kind": "enum", "name": "_KIND"}},
        "In": {"offset": 20, "type": record},
        "Array": {"offset": 28, "type": {"kind": "array", "count": 2, "subtype": three}},
        "": {"offset": 76, "anonymous": True, "type": {"kind": "union", "name": "_HIDDEN"}},
        "Lost": {"offset": 80, "type": {"kind": "struct", "name": "_NONE"}},
        "Odd": {"offset": 84, "type": {"kind": "function"}},
    }  # fmt: skip
    document: dict[str, object] = {
        "metadata": {
            "format": "6.1.0",
            "windows": {
                "pdb": {"GUID": "0123456789abcdef0123456789abcdef", "age": 10, "database": "a.pdb", "machine_type": 332}
            },
        },
        "base_types": {"unsigned long": {"size": 4, "kind": "int"}, "pointer": {"size": 8, "kind": "int"}},
        "enums": {"_KIND": {"size": 4, "base": "long", "constants": {}}},
        "user_types": {
            "_ERESOURCE": {"kind": "struct", "size": 88, "fields": fields},
            "_IN": {"kind": "struct", "size": 8, "fields": {"Deep": {"offset": 4, "type": base("unsigned long")}}},
            "_HIDDEN": {"kind": "union", "size": 4, "fields": {"Seen": {"offset": 2, "type": base("unsigned long")}}},
            "_NOT_WANTED": {"kind": "struct", "size": 8, "fields": {}},
            "_EPROCESS": {
                "kind": "struct",
                "size": 100,
                "fields": {"Pcb": {"offset": 50, "type": {"kind": "struct", "name": "_KPROCESS"}}},
            },
            "_KPROCESS": {
                "kind": "struct",
                "size": 40,
                "fields": {
                    "DirectoryTableBase": {"offset": 5, "type": {"kind": "pointer", "subtype": base("void")}},
                    "Header": {"offset": 0, "type": base("unsigned long")},
                },
            },
        },
        "symbols": {
            "PoolTrackTable": {"address": 4096},
            "PoolVector": {"address": 0},
            "PoolHitTag": {"address": 1 << 32},
            "NtBuildLab": {"address": -5},
            "NtBuildNumber": {"address": True},
            "KdVersionBlock": {"address": 5.5},
            "MiState": {},
            "MmPteBase": 7,
            "NotWanted": {"address": 1},
        },
    }
    return json.dumps({**document, **changes}).encode()


def test_a_made_table() -> None:
    table = read_isf(made())
    assert table.pdb == PdbId("a.pdb", "0123456789ABCDEF0123456789ABCDEF", 10)
    assert table.pdb.key == "0123456789ABCDEF0123456789ABCDEFA"
    assert table.machine == "x86"
    assert table.symbols == {"PoolTrackTable": 4096}
    assert set(table.structures) == {"_ERESOURCE", "_EPROCESS", "_KPROCESS"}
    assert table.structures["_ERESOURCE"].size == 88
    assert table.structures["_ERESOURCE"].fields == {
        "Size": Field(0, 4),
        "Bits": Field(4, 4, 3, 5),
        "Next": Field(8, 8),
        "Kind": Field(16, 4),
        "In": Field(20, 8),
        "Array": Field(28, 48, count=2),
        "Seen": Field(78, 4),
        "Lost": Field(80),
        "Odd": Field(84),
    }
    assert table.structures["_EPROCESS"].fields == {"Pcb": Field(50, 40), "Pcb.DirectoryTableBase": Field(55, 8)}
    assert table.structures["_KPROCESS"].fields == {"DirectoryTableBase": Field(5, 8)}


@pytest.mark.parametrize("packed", [False, True])
def test_files_plain_and_packed(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("a.json.xz" if packed else "a.json")
    path.write_bytes(lzma.compress(made()) if packed else made())
    table = read_isf(path)
    assert table.symbols == {"PoolTrackTable": 4096}
    assert table.source == f"symbol table {path.name}"
    assert read_isf(str(path)) == table


@pytest.mark.parametrize("guid", [5, "", "0123", "g" * 32, "0" * 33])
def test_an_identity_that_makes_no_sense_is_none(guid: object) -> None:
    pdb = {"GUID": guid, "age": 1, "database": "a.pdb", "machine_type": 0x8664}
    table = read_isf(made(metadata={"windows": {"pdb": pdb}}))
    assert (table.pdb, table.machine) == (None, "x64")
    assert read_isf(made(metadata=[])).pdb is None


def test_anonymous_members_that_contain_each_other_end() -> None:
    inner = {"kind": "struct", "name": "_ERESOURCE"}
    fields = {f"u{n}": {"offset": 0, "anonymous": True, "type": inner} for n in range(50)}
    types = {"_ERESOURCE": {"kind": "struct", "size": 8, "fields": fields}}
    assert read_isf(made(user_types=types)).structures["_ERESOURCE"].fields == {}


def test_deep_arrays_end() -> None:
    kind: dict[str, object] = base("unsigned long")
    for _ in range(100):
        kind = {"kind": "array", "count": 2, "subtype": kind}
    types = {"_ERESOURCE": {"kind": "struct", "size": 8, "fields": {"a": {"offset": 0, "type": kind}}}}
    assert read_isf(made(user_types=types)).structures["_ERESOURCE"].fields == {"a": Field(0, count=2)}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe\xfd", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"symbols": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[]", "neither symbols nor user_types"),
        (b"{}", "neither symbols nor user_types"),
        (b'{"symbols": {}, "metadata": {"linux": {}}}', "Linux"),
        (b'{"symbols": {"NotWanted": {"address": 5}}}', "none of a Windows kernel"),
        (b'{"symbols": [], "user_types": 5}', "none of a Windows kernel"),
        (lzma.compress(made())[:-20], "cut off"),
        (lzma.compress(made())[:40] + b"\0" * 40, "damaged xz"),
    ],
)
def test_what_is_no_table_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_isf(content)


def test_bounds_of_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(isf, "MAX_DOCUMENT", 1 << 20)
    bomb = lzma.compress(b" " * (8 << 20))
    assert len(bomb) < 4096
    for content in (bomb, b" " * (2 << 20)):
        with pytest.raises(InputError, match="larger than 1 MB"):
            read_isf(content)
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(InputError, match="larger than 1 MB"):
            read_isf(tmp_path / "a.json")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json cannot be read"):
        read_isf(tmp_path / "none.json")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["_ERESOURCE", "fields", "type", "kind", "offset", "size", "a", "anonymous"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=150)
@given(part=st.sampled_from(["metadata", "base_types", "enums", "user_types", "symbols"]), value=_VALUES)
def test_any_value_in_place_of_a_part(part: str, value: object) -> None:
    try:
        read_isf(made(**{part: value}))
    except InputError:
        assert part in ("user_types", "symbols", "metadata")


@settings(deadline=None, max_examples=150)
@given(kind=st.dictionaries(st.sampled_from(["kind", "name", "count", "subtype", "type", "bit_position"]), _VALUES))
def test_any_type_of_a_field(kind: dict[str, object]) -> None:
    types = {"_ERESOURCE": {"kind": "struct", "size": 8, "fields": {"a": {"offset": 0, "type": kind}}}}
    assert read_isf(made(user_types=types)).structures["_ERESOURCE"].fields["a"].offset == 0


@settings(deadline=None, max_examples=150)
@given(data=st.data(), packed=st.booleans())
def test_any_damage_ends_in_a_result_or_one_sentence(data: st.DataObject, packed: bool) -> None:
    content = bytearray(lzma.compress(made(), preset=0) if packed else made())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) :]
    try:
        read_isf(bytes(content))
    except InputError as error:
        assert "symbol table" in str(error)  # noqa: PT017 - either outcome is right
