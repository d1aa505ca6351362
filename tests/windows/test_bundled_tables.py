"""The tables that come with the package say what the symbol tables say that they were made from."""

import importlib.util
import json
import lzma
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from poolsleuth.model.errors import InputError
from poolsleuth.windows import bundled_tables
from poolsleuth.windows.bundled_tables import (
    bundled_for_build,
    bundled_kernels,
    bundled_table,
    is_current,
    write_bundle,
)
from poolsleuth.windows.kernel_table import Field, KernelTable, PdbId, Structure
from poolsleuth.windows.wanted_symbols import STRUCTURES, SYMBOLS

ROOT = Path(__file__).parents[2]
SYMBOL_TABLES = ROOT.parent / "shared" / "data" / "symbols"
EIGHT = [
    "ntkrnlmp_10.0.14393.4583_517E128F7B7C4EA79491DE6B9B9CE190-1.json.xz",
    "ntkrnlmp_10.0.17763.379_8B11040A5928757B11390AC78F6B6925-1.json.xz",
    "ntkrnlmp_10.0.18362.295_11BC9A513F1140CA359ECDF50F0122C1-1.json.xz",
    "ntkrnlmp_10.0.19041.804_5278AFF86C341677D7D7835C85B7B844-1.json.xz",
    "ntkrnlmp_10.0.20348.288_C2EADB24A615E9472CE47C8ADD31F130-1.json.xz",
    "ntkrnlmp_10.0.22000.318_32C1A669D5FFEFD41091F636CFDB6E99-1.json.xz",
    "ntkrnlmp_6.1.7601.24540_339E74133576439CBCDF7E0229DA3773-1.json.xz",
    "ntkrnlmp_6.3.9600.19913_22597D0B40394E23936F6A24C6C52D5B-1.json.xz",
]
VIBRANIUM = PdbId("ntkrnlmp.pdb", "5278AFF86C341677D7D7835C85B7B844", 1)  # 10.0.19041.804


def small_table(guid: str = "A" * 32, *, age: int = 1, symbol: int = 0x1000) -> KernelTable:
    return KernelTable(
        pdb=PdbId("ntkrnlmp.pdb", guid, age),
        machine="x64",
        source="a test",
        symbols={"PoolTrackTable": symbol},
        structures={
            "_LIST_ENTRY": Structure(16, {"Flink": Field(0, 8), "Blink": Field(8, 8)}),
            "_POOL_HEADER": Structure(
                16, {"PoolType": Field(0, 4, 16, 8), "Odd": Field(4), "Many": Field(8, 8, count=2)}
            ),
        },
    )


@pytest.fixture
def another_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    def use(*kernels: tuple[KernelTable, str | None]) -> None:
        monkeypatch.setattr(bundled_tables, "DATA_FILE", tmp_path / "tables.zip")
        write_bundle(kernels, tmp_path / "tables.zip")
        forget()

    yield use
    forget()


def forget() -> None:
    bundled_tables._index.cache_clear()
    bundled_tables._by_identity.cache_clear()


def test_it_holds_the_whole_collection() -> None:
    kernels = bundled_kernels()

    assert len(kernels) == 213
    assert {kernel.pdb.name for kernel in kernels} == {"ntkrnlmp.pdb"}
    assert {kernel.machine for kernel in kernels} == {"x64"}
    builds = [kernel.build for kernel in kernels]
    assert set(builds) == {7601, 9600, 14393, 17763, 18362, 19041, 20348, 22000}
    assert all(re.fullmatch("[0-9A-F]{32}", kernel.pdb.guid) for kernel in kernels)
    assert kernels[0].version == "6.1.7601.24540"


def test_a_build_has_its_kernels_in_order() -> None:
    revisions = [kernel.version for kernel in bundled_for_build(18362)]

    assert revisions[:3] == ["10.0.18362.30", "10.0.18362.295", "10.0.18362.356"]
    assert "10.0.18362.778" in revisions  # listed by the collection as 10.0.18326.778
    assert bundled_for_build(1) == ()


def test_numbers_of_19041() -> None:
    table = bundled_table(VIBRANIUM)

    assert table is not None
    assert table.source == "bundled table of 10.0.19041.804"
    # The fact sheet: "19041.804 | 8 | 2630", the second is Vs.MaximumNonPagedPoolInPages
    assert table.place("_MI_SYSTEM_INFORMATION", "Vs.MaximumNonPagedPoolInPages") == Field(0x2630, 8)
    # ... its "address of PoolTrackTable minus address of PoolTrackTableSize": "19041 -10368"
    assert table.symbols["PoolTrackTable"] - table.symbols["PoolTrackTableSize"] == -10368
    # ... its tracker entry, "38 in 17763 / 18362 / 19041"
    assert table.structures["_POOL_TRACKER_TABLE"].size == 0x38
    assert table.place("_POOL_TRACKER_TABLE", "NoSuchField") is None


def test_only_what_is_wanted_is_there_and_for_today() -> None:
    assert is_current(), "windows/wanted_symbols.py has changed: run tools/build_kernel_tables.py again"
    for kernel in bundled_kernels()[::20]:
        table = bundled_table(kernel.pdb)
        assert table is not None
        assert set(table.symbols) <= set(SYMBOLS)
        assert set(table.structures) <= set(STRUCTURES)
        assert {"PoolTrackTable", "PsLoadedModuleList", "ExPoolTagTables"} <= set(table.symbols)
        assert {"_LIST_ENTRY", "_EPROCESS", "_POOL_TRACKER_TABLE", "_KPRCB"} <= set(table.structures)


@pytest.mark.parametrize(
    ("pdb", "there"),
    [
        (PdbId("NTKRNLMP.PDB", VIBRANIUM.guid.lower(), 1), True),
        (PdbId(r"d:\build\ntkrnlmp.pdb", VIBRANIUM.guid, 1), True),
        (PdbId("ntkrnlmp.pdb", VIBRANIUM.guid, 2), False),
        (PdbId("ntoskrnl.pdb", VIBRANIUM.guid, 1), False),
        (PdbId("ntkrnlmp.pdb", "0" * 32, 1), False),
        (PdbId("", "", 0), False),
    ],
)
def test_the_identity_decides(pdb: PdbId, there: bool) -> None:
    assert (bundled_table(pdb) is not None) == there


@pytest.mark.parametrize("name", EIGHT)
def test_every_number_is_that_of_the_raw_symbol_table(name: str) -> None:
    """Read here without our own reader of such tables."""
    path = SYMBOL_TABLES / name
    if not path.is_file():
        pytest.skip(f"{name} is not there")
    raw = json.loads(lzma.decompress(path.read_bytes()))
    identity, types = raw["metadata"]["windows"]["pdb"], raw["user_types"]
    table = bundled_table(PdbId(identity["database"], identity["GUID"], identity["age"]))

    assert table is not None
    assert table.symbols == {s: raw["symbols"][s]["address"] for s in SYMBOLS if s in raw["symbols"]}
    assert set(table.structures) == {s for s in STRUCTURES if s in types}
    compared = 0
    for structure, found in table.structures.items():
        assert found.size == types[structure]["size"]
        if STRUCTURES[structure][0] == "*":
            assert set(types[structure]["fields"]) <= set(found.fields)
        for field, place in found.fields.items():
            assert place == raw_field(raw, structure, field), f"{structure}.{field}"
            compared += 1
    assert compared > 700


def raw_field(raw: Any, structure: str, path: str) -> Field:
    offset: int = 0
    kind: Any = {"kind": "struct", "name": structure}
    for part in path.split("."):
        while kind["kind"] == "array":  # a dotted name leads to the first element
            kind = kind["subtype"]
        entry = raw["user_types"][kind["name"]]["fields"][part]
        offset, kind = offset + entry["offset"], entry["type"]
    if kind["kind"] == "bitfield":
        return Field(offset, raw_size(raw, kind["type"]), kind["bit_position"], kind["bit_length"])
    return Field(offset, raw_size(raw, kind), count=kind.get("count", 1))


def raw_size(raw: Any, kind: Any) -> int:
    if kind["kind"] == "array":
        return int(kind["count"]) * raw_size(raw, kind["subtype"])
    if kind["kind"] == "pointer":
        return int(raw["base_types"]["pointer"]["size"])
    where = {"base": "base_types", "enum": "enums"}.get(kind["kind"], "user_types")
    return int(raw[where][kind["name"]]["size"])


# ---- the file ----


def test_what_is_written_is_what_is_read(another_bundle: Callable[..., None]) -> None:
    first, second, unlabelled = small_table(), small_table("B" * 32, symbol=0x2000), small_table("C" * 32, age=0x2A)
    another_bundle((first, "10.0.19041.10"), (unlabelled, None), (second, "10.0.19041.9"))

    assert [(k.version, k.build, k.pdb.guid[0]) for k in bundled_kernels()] == [
        (None, None, "C"),
        ("10.0.19041.9", 19041, "B"),
        ("10.0.19041.10", 19041, "A"),
    ]
    for table in (first, second, unlabelled):
        assert table.pdb is not None
        found = bundled_table(table.pdb)
        assert found is not None
        assert (found.pdb, found.machine) == (table.pdb, "x64")
        assert (found.symbols, found.structures) == (table.symbols, table.structures)
    assert is_current()


def test_a_layout_that_is_shared_is_stored_once(tmp_path: Path) -> None:
    write_bundle([(small_table(c * 32), "10.0.19041.1") for c in "ABC"], tmp_path / "tables.zip")

    with zipfile.ZipFile(tmp_path / "tables.zip") as file:
        document = json.loads(file.read("19041.json"))
    assert [row[0] for row in document["structures"]] == ["_LIST_ENTRY", "_POOL_HEADER"]


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    kernels = [(small_table(c * 32), "10.0.19041.1" if c != "B" else None) for c in "ABC"]
    write_bundle(kernels, tmp_path / "one.zip")
    write_bundle(reversed([*kernels, kernels[0]]), tmp_path / "two.zip")

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_two_contents_for_one_kernel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="differ"):
        write_bundle([(small_table(), "10.0.1.1"), (small_table(symbol=2), "10.0.1.1")], tmp_path / "tables.zip")


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_damaged_package_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> None:
    whole = bundled_tables.DATA_FILE.read_bytes()
    file = tmp_path / "tables.zip"
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    monkeypatch.setattr(bundled_tables, "DATA_FILE", file)
    forget()
    for call in (bundled_kernels, is_current, lambda: bundled_table(VIBRANIUM)):
        with pytest.raises(InputError, match="install it again"):
            call()


# ---- the tool ----


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_kernel_tables", ROOT / "tools" / "build_kernel_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def collection(folder: Path) -> None:
    """Two kernels, one of which the README knows, and files that are none of ours."""
    readme = f"| version | GUID |\n| : | : |\n| 10.0.18326.535 | {'a' * 32}1 |\n"
    (folder / "README.md").write_text(readme, encoding="utf-8")
    for name, guid in (("ntkrnlmp.pdb", "A" * 32), ("ntkrpamp.pdb", "B" * 32), ("tcpip.pdb", "C" * 32)):
        path = folder / "symbols" / name / f"{guid}-1.json.xz"
        path.parent.mkdir(parents=True)
        table = {
            "metadata": {"windows": {"pdb": {"GUID": guid, "age": 1, "database": name, "machine_type": 332}}},
            "base_types": {"pointer": {"size": 4}},
            "user_types": {
                "_LIST_ENTRY": {
                    "kind": "struct",
                    "size": 8,
                    "fields": {"Flink": {"offset": 0, "type": {"kind": "pointer", "subtype": {"kind": "base"}}}},
                }
            },
            "symbols": {"PoolTrackTable": {"address": 4096}, "Unwanted": {"address": 1}},
        }
        path.write_bytes(lzma.compress(json.dumps(table).encode()))


@pytest.mark.parametrize("kind", ["folder", "git"])
def test_the_tool_reads_a_collection(tool: ModuleType, tmp_path: Path, kind: str) -> None:
    source = tmp_path / "collection"
    source.mkdir()
    collection(source)
    if kind == "git":
        if shutil.which("git") is None:
            pytest.skip("git is not there")
        git = ["git", "-C", str(source), "-c", "user.name=a", "-c", "user.email=a@example.org"]
        for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
            subprocess.run([*git, *command], check=True, capture_output=True)

    done = CliRunner().invoke(tool.main, [str(source), "--out", str(tmp_path / "data" / "tables.zip")])

    assert done.exit_code == 0, done.output
    assert done.output.startswith("2 kernels (1 of unknown version)")
    with zipfile.ZipFile(tmp_path / "data" / "tables.zip") as file:
        assert json.loads(file.read("index.json"))["kernels"] == [
            ["ntkrpamp.pdb", "B" * 32, 1, "x86", None, "unlabelled.json"],
            ["ntkrnlmp.pdb", "A" * 32, 1, "x86", "10.0.18362.535", "18362.json"],
        ]
        assert json.loads(file.read("18362.json")) == {
            "symbols": ["PoolTrackTable"],
            "structures": [["_LIST_ENTRY", 8, {"Flink": [0, 4]}]],
            "kernels": {"A" * 32 + "1": [[4096], [0]]},
        }


def test_the_tool_says_when_there_is_nothing(tool: ModuleType, tmp_path: Path) -> None:
    done = CliRunner().invoke(tool.main, [str(tmp_path)])

    assert (done.exit_code, done.output) == (2, "no kernel table was found in any source\n")
