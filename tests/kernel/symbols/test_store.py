"""Symbol stores of every layout, and folders with loose files."""

from pathlib import Path

import pytest

from poolsleuth.kernel.symbols import store
from poolsleuth.kernel.symbols.store import keep_copy, look_in_folder, look_in_store, name_and_key, store_file
from poolsleuth.windows.kernel_table import PdbId

GUID = "5278AFF86C341677D7D7835C85B7B844"
PDB = PdbId("ntkrnlmp.pdb", GUID, 0x2A)
KEY = GUID + "2A"


def put(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "place",
    [
        f"ntkrnlmp.pdb/{KEY}/ntkrnlmp.pdb",
        f"NTKRNLMP.PDB/{KEY.lower()}/NtKrnlMp.pdb",
    ],
)
def test_a_store(tmp_path: Path, place: str) -> None:
    file = put(tmp_path / place)
    put(tmp_path / f"ntkrnlmp.pdb.other/{KEY}/ntkrnlmp.pdb")

    assert [path.samefile(file) for path in look_in_store(tmp_path, PDB).files] == [True]


def test_a_store_with_two_levels(tmp_path: Path) -> None:
    file = put(tmp_path / f"NT/ntkrnlmp.pdb/{KEY}/ntkrnlmp.pdb")
    assert look_in_store(tmp_path, PDB).files == []

    put(tmp_path / "index2.txt", "")
    assert look_in_store(tmp_path, PDB).files == [file]
    assert store_file(tmp_path, PDB) == tmp_path / "nt" / "ntkrnlmp.pdb" / KEY / "ntkrnlmp.pdb"


@pytest.mark.parametrize("place", [f"ntkrnlmp.pdb/{GUID}2B/ntkrnlmp.pdb", f"ntkrnlmp.pdb/{KEY}/other.pdb", "x"])
def test_what_is_of_another_kernel(tmp_path: Path, place: str) -> None:
    put(tmp_path / place)

    looked = look_in_store(tmp_path, PDB)
    assert (looked.files, looked.says) == ([], [])


def test_no_folder_at_all(tmp_path: Path) -> None:
    assert look_in_store(tmp_path / "none", PDB).files == []
    assert look_in_folder(tmp_path / "none", PDB).files == []


def test_a_compressed_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    file = put(tmp_path / f"ntkrnlmp.pdb/{KEY}/ntkrnlmp.pd_")

    looked = look_in_store(tmp_path, PDB)
    assert looked.files == []
    assert looked.says == [
        f"{file} is compressed, and cannot be read: expand it with `expand ntkrnlmp.pd_ ntkrnlmp.pdb` on Windows, or"
        " with cabextract elsewhere, and give the PDB"
    ]


def test_a_pointer_is_followed(tmp_path: Path) -> None:
    target = put(tmp_path / "elsewhere" / "file.pdb")
    pointer = put(tmp_path / f"ntkrnlmp.pdb/{KEY}/file.ptr", f"PATH:{target}")

    assert look_in_store(tmp_path, PDB).files == [target]

    pointer.write_text("PATH:..\\..\\elsewhere\\file.pdb", encoding="utf-8")
    assert [path.samefile(target) for path in look_in_store(tmp_path, PDB).files] == [True]


@pytest.mark.parametrize(
    "content",
    ["", "MSG: not indexed", "PATH:", "PATH:/no/such/file", r"PATH:\\server\share\a.pdb", "PATH:a\0b", "x" * 10_000],
)
def test_a_pointer_that_leads_nowhere(tmp_path: Path, content: str) -> None:
    put(tmp_path / f"ntkrnlmp.pdb/{KEY}/file.ptr", content)

    looked = look_in_store(tmp_path, PDB)
    assert looked.files == []
    assert len(looked.says) == 1
    assert "file.ptr" in looked.says[0]
    assert len(looked.says[0]) < 600


@pytest.mark.parametrize(
    "place",
    [
        "NTKRNLMP.pdb",
        "exe/ntkrnlmp.pdb",
        "Symbols/EXE/ntkrnlmp.pdb",
        "symbols/pdb/ntkrnlmp.pdb",
        f"ntkrnlmp.pdb/{KEY}/ntkrnlmp.pdb",
        f"ntkrnlmp.pdb/{GUID}-42.json.xz",
        f"symbols/windows/ntkrnlmp.pdb/{GUID}-42.json",
        f"any_{GUID.lower()}.json.xz",
        "ntkrnlmp_old.pdb",
        "my ntkrnlmp.json",
    ],
)
def test_a_folder(tmp_path: Path, place: str) -> None:
    file = put(tmp_path / place)
    put(tmp_path / "readme.txt")
    put(tmp_path / "tcpip.pdb")
    put(tmp_path / f"ntkrnlmp_{'0' * 32}.json.xz")

    assert [path.samefile(file) for path in look_in_folder(tmp_path, PDB).files] == [True]


def test_the_number_of_loose_files_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_LOOSE", 3)
    for number in range(5):
        put(tmp_path / f"ntkrnlmp{number}.pdb")
    sure = put(tmp_path / f"{GUID}.pdb")

    looked = look_in_folder(tmp_path, PDB)
    assert looked.files == [sure, tmp_path / "ntkrnlmp0.pdb", tmp_path / "ntkrnlmp1.pdb"]
    assert looked.says == [f"only 3 of the 6 symbol files in {tmp_path} were opened"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("ntkrnlmp.pdb", "ntkrnlmp.pdb"),
        (r"d:\build\ntkrnlmp.pdb", "ntkrnlmp.pdb"),
        ("../../etc/passwd", "passwd"),
        ("", None),
        ("..", None),
        (".", None),
        ("a/..", None),
        ("a/", None),
        ("a\0b", None),
        ("x*y", None),
        ("c:name", None),
        ("a\nb", None),
        (" a.pdb ", None),
        ("a" * 200, None),
    ],
)
def test_a_name_out_of_a_dump_never_leaves_its_folder(tmp_path: Path, name: str, kept: str | None) -> None:
    pdb = PdbId(name, GUID, 1)

    assert name_and_key(pdb) == (None if kept is None else (kept, GUID + "1"))
    if kept is None:
        assert store_file(tmp_path, pdb) is None
        assert look_in_folder(tmp_path, pdb).files == []
    else:
        assert store_file(tmp_path, pdb) == tmp_path / kept / f"{GUID}1" / kept


@pytest.mark.parametrize("pdb", [PdbId("a.pdb", "../x", 1), PdbId("a.pdb", GUID, -1), PdbId("a.pdb", GUID, 1 << 32)])
def test_an_identity_that_is_none(pdb: PdbId) -> None:
    assert name_and_key(pdb) is None


def test_a_copy_appears_whole(tmp_path: Path) -> None:
    source = put(tmp_path / "a.pdb", "content")
    target = tmp_path / "x" / "y" / "b.pdb"
    keep_copy(source, target)
    keep_copy(source, target)

    assert target.read_text(encoding="utf-8") == "content"
    assert [path.name for path in target.parent.iterdir()] == ["b.pdb"]
    assert target.stat().st_mode == source.stat().st_mode
