"""The user's own tables: what is kept comes back, and damaged files are named."""

from pathlib import Path

import pytest

from poolsleuth.kernel.symbols.own_tables import cache_folder, keep_table, own_folder, own_table, own_tables
from poolsleuth.model.errors import InputError
from poolsleuth.windows.kernel_table import Field, KernelTable, PdbId, Structure

PDB = PdbId("ntkrnlmp.pdb", "A" * 32, 0x2A)
TABLE = KernelTable(
    pdb=PDB,
    machine="x64",
    source="a test",
    symbols={"PoolTrackTable": 0x1000},
    structures={
        "_POOL_HEADER": Structure(16, {"PoolType": Field(2, 2, 8, 8), "Odd": Field(4), "Many": Field(8, 8, count=2)})
    },
)


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    path = keep_table(folder, TABLE)
    keep_table(folder, TABLE)

    assert [file.name for file in folder.iterdir()] == [f"{'A' * 32}2A.json"]
    found = own_table(folder, PdbId("other.pdb", "a" * 32, 0x2A))
    assert found is not None
    assert (found.path, found.current) == (path, True)
    assert (found.table.pdb, found.table.machine) == (PDB, "x64")
    assert (found.table.symbols, found.table.structures) == (TABLE.symbols, TABLE.structures)
    assert own_table(folder, PdbId("ntkrnlmp.pdb", "B" * 32, 1)) is None


@pytest.mark.parametrize("pdb", [None, PdbId("..", "A" * 32, 1)])
def test_a_table_without_an_identity_is_not_kept(tmp_path: Path, pdb: PdbId | None) -> None:
    with pytest.raises(InputError, match="does not say of which kernel"):
        keep_table(tmp_path, KernelTable(pdb=pdb, machine=None, source="a test"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(InputError, match="POOLSLEUTH_SYMBOLS names another folder"):
        keep_table(tmp_path / "file", TABLE)


def test_a_list_names_what_is_damaged(tmp_path: Path) -> None:
    path = keep_table(tmp_path, TABLE)
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    (tmp_path / "readme.txt").write_text("", encoding="utf-8")
    (tmp_path / "folder.json").mkdir()

    found, problems = own_tables(tmp_path)
    assert [entry.path for entry in found] == [path]
    assert [problem.split()[0] for problem in problems] == [str(tmp_path / n) for n in ("broken.json", "folder.json")]
    assert own_tables(tmp_path / "none") == ((), ())


def test_a_table_under_a_wrong_name_is_not_used(tmp_path: Path) -> None:
    keep_table(tmp_path, TABLE).rename(tmp_path / f"{'B' * 32}1.json")

    with pytest.raises(InputError, match="another kernel"):
        own_table(tmp_path, PdbId("ntkrnlmp.pdb", "B" * 32, 1))


def test_the_folders(tmp_path: Path) -> None:
    assert own_folder({"POOLSLEUTH_SYMBOLS": str(tmp_path)}) == tmp_path
    assert own_folder({"POOLSLEUTH_SYMBOLS": ""}) == own_folder({})
    assert "poolsleuth" in str(own_folder({}))
    assert own_folder({}) != cache_folder()
