"""``poolsleuth symbols``: own tables are added, listed, shown and fetched; bad input is one sentence and status 2."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from poolsleuth.cli.main import main
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.windows.kernel_table import PdbId

KEY = "5278AFF86C341677D7D7835C85B7B8441"  # 10.0.19041.804, whose table comes with the package
OWN_KEY = "0123456789ABCDEF0123456789ABCDEF2A"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "own"
    monkeypatch.setenv("POOLSLEUTH_SYMBOLS", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("_NT_SYMBOL_PATH", raising=False)
    return folder


@pytest.fixture
def isf(tmp_path: Path) -> Path:
    path = tmp_path / "store" / "ntkrnlmp.pdb" / OWN_KEY / "ntkrnlmp.pdb"
    path.parent.mkdir(parents=True)
    pdb = {"GUID": OWN_KEY[:32], "age": 42, "database": "ntkrnlmp.pdb", "machine_type": 0x8664}
    fields = {
        "Flags": {"offset": 0, "type": {"kind": "base", "name": "unsigned long"}},
        "Bit": {
            "offset": 4,
            "type": {"kind": "bitfield", "bit_position": 3, "bit_length": 2, "type": {"kind": "base", "name": "char"}},
        },
        "Hash": {"offset": 8, "type": {"kind": "array", "count": 2, "subtype": {"kind": "base", "name": "char"}}},
    }
    table = {
        "metadata": {"windows": {"pdb": pdb}},
        "base_types": {"unsigned long": {"size": 4}, "char": {"size": 1}},
        "user_types": {"_ERESOURCE": {"kind": "struct", "size": 16, "fields": fields}},
        "symbols": {"PsLoadedModuleList": {"address": 0x2000}, "Other": {"address": 1}},
    }
    path.write_text(json.dumps(table), encoding="utf-8")
    return path


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as left:
            main(["symbols", *arguments])
        out = capsys.readouterr()
        return Done(left.value.code if isinstance(left.value.code, int) else 0, out.out, out.err)

    return call


def test_what_is_added_is_listed_and_shown(run: Run, isf: Path, own_folder: Path) -> None:
    kept = own_folder / f"{OWN_KEY}.json"

    added = run("add", str(isf))
    assert (added.returncode, added.stderr) == (0, "")
    assert added.stdout == f"ntkrnlmp.pdb {OWN_KEY} (x64): 1 symbols and 1 structures are kept in {kept}\n"

    listed = run("list")
    assert listed.returncode == 0
    assert listed.stdout.startswith(f"Your own, in {own_folder}:\n  ntkrnlmp.pdb  {OWN_KEY}  x64  symbol table {isf}\n")

    document = json.loads(run("list", "--json").stdout)
    assert document["folder"] == str(own_folder)
    assert document["own"] == [
        {
            "pdb": "ntkrnlmp.pdb",
            "key": OWN_KEY,
            "machine": "x64",
            "source": f"symbol table {isf}",
            "file": str(kept),
            "current": True,
        }
    ]

    shown = run("show", f"ntkrnlmp.pdb/{OWN_KEY.lower()}")
    assert shown.stdout.splitlines()[2:] == [
        "Symbols, from the kernel's base:",
        "  0x00002000  PsLoadedModuleList",
        "",
        "_ERESOURCE, 0x10 bytes:",
        "  +0x0000  Flags, 4 bytes",
        "  +0x0004  Bit, bits 3 to 4",
        "  +0x0008  Hash, 2 bytes (2 elements)",
    ]
    assert json.loads(run("show", str(isf), "--json").stdout)["symbols"] == {"PsLoadedModuleList": 0x2000}


def test_a_table_from_another_machine_is_added(run: Run, isf: Path, own_folder: Path, tmp_path: Path) -> None:
    run("add", str(isf))
    carried = (own_folder / f"{OWN_KEY}.json").rename(tmp_path / "carried.json")

    assert run("add", str(carried)).returncode == 0
    assert (own_folder / f"{OWN_KEY}.json").is_file()


def test_the_tables_of_the_package_are_listed_and_shown(run: Run, own_folder: Path) -> None:
    summary = run("list").stdout.splitlines()
    assert summary[0] == f"Your own, in {own_folder}: none."
    assert summary[2] == "With poolsleuth: 213 kernels (--all lists each):"
    assert "  build 7601   1   x64  6.1.7601.24540" in summary

    every = run("list", "--all").stdout
    assert f"  ntkrnlmp.pdb  {KEY}  x64  10.0.19041.804\n" in every
    assert len(every.splitlines()) == 216

    shown = run("show", KEY)
    assert shown.stdout.startswith(f"ntkrnlmp.pdb {KEY}, x64: bundled table of 10.0.19041.804\n")
    assert "  +0x2630  Vs.MaximumNonPagedPoolInPages, 8 bytes\n" in shown.stdout
    bundled = json.loads(run("list", "--json").stdout)["bundled"]
    assert {"pdb": "ntkrnlmp.pdb", "key": KEY, "machine": "x64", "version": "10.0.19041.804"} in bundled


def test_fetch_by_way_of_a_path(run: Run, isf: Path, own_folder: Path) -> None:
    store = f"srv*{isf.parents[2]}"

    done = run("fetch", f"ntkrnlmp.pdb/{OWN_KEY}", "--symbols", store)
    assert (done.returncode, done.stderr) == (0, "")
    assert (own_folder / f"{OWN_KEY}.json").is_file()


def test_fetch_by_way_of_the_environment(
    run: Run, isf: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_NT_SYMBOL_PATH", str(isf.parents[2]))

    assert run("fetch", OWN_KEY).returncode == 0
    assert (own_folder / f"{OWN_KEY}.json").is_file()


def test_fetch_says_what_it_tried(run: Run, tmp_path: Path, own_folder: Path) -> None:
    # Even a kernel that the package knows: what is asked for is a copy from the path
    path = f"{tmp_path}/none;srv*{tmp_path}/store*http://127.0.0.1:1/symbols"
    done = run("fetch", KEY, "--offline", "--symbols", path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"poolsleuth: {tmp_path}/none does not exist",
        f"poolsleuth: {tmp_path}/store has no symbols of this kernel",
        "poolsleuth: http://127.0.0.1:1/symbols was not asked: offline",
        f"poolsleuth: the symbols of ntkrnlmp.pdb {KEY} were not found",
    ]
    assert not own_folder.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["add"], "Missing argument"),
        (["add", "no-such-file"], "no-such-file cannot be read: No such file or directory"),
        (["add", "."], ". cannot be read: it is no file"),
        (["add", __file__], "neither a PDB nor a symbol table"),
        (["show", "0" * 32 + "1"], "poolsleuth symbols add"),
        (["show", "what"], "is neither a file nor a key"),
        (["show", __file__], "neither a PDB nor a symbol table"),
        (["fetch", "what", "--symbols", "."], "no key of a PDB"),
        (["fetch", __file__, "--symbols", "."], "is no crash dump and no key"),
        (["fetch", KEY], "no symbol path is given"),
        (["fetch", KEY, "--symbols", "foo*x"], "foo* is not known"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, arguments: list[str], says: str) -> None:
    done = run(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert says in " ".join(done.stderr.split())


def test_a_good_file_beside_a_bad_one_is_kept(run: Run, isf: Path, own_folder: Path) -> None:
    done = run("add", "no-such-file", str(isf))

    assert done.returncode == 2
    assert (own_folder / f"{OWN_KEY}.json").is_file()
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_own_table_does_not_hide_the_others(run: Run, isf: Path, own_folder: Path) -> None:
    run("add", str(isf))
    (own_folder / "\x1b[31m.json").write_text("{", encoding="utf-8")

    done = run("list")
    assert done.returncode == 0
    assert OWN_KEY in done.stdout
    assert "\\x1b[31m.json is damaged" in done.stderr


@pytest.fixture
def dump(tmp_path: Path) -> tuple[Path, PdbId]:
    simulated = simulate(make_machine(windows_named("3790-x64"), size=small_size()))
    simulated.write(tmp_path / "MEMORY.DMP", DumpKind.BITMAP_FULL)
    pdb = simulated.truth.modules[0].pdb
    assert pdb is not None
    return tmp_path / "MEMORY.DMP", pdb


def test_fetch_for_a_dump(dump: tuple[Path, PdbId], isf: Path, own_folder: Path, run: Run) -> None:
    """The dump says which symbols its kernel needs: they are found in the store, and kept."""
    path, pdb = dump
    store = isf.parents[2]
    document = json.loads(isf.read_text())
    document["metadata"]["windows"]["pdb"] |= {"GUID": pdb.guid, "age": pdb.age, "database": pdb.name}
    place = store / pdb.name / pdb.key / pdb.name
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(document))
    done = run("fetch", str(path), "--symbols", str(store))
    assert (done.returncode, done.stderr) == (0, "")
    assert pdb.key in done.stdout
    assert pdb.key in run("list").stdout


def test_fetch_for_a_dump_whose_symbols_are_nowhere(dump: tuple[Path, PdbId], tmp_path: Path, run: Run) -> None:
    path, pdb = dump
    done = run("fetch", str(path), "--symbols", str(tmp_path))
    assert done.returncode == 2
    assert f"the symbols of {pdb.name} {pdb.key} were not found" in done.stderr


def test_fetch_for_a_dump_that_does_not_say(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "MEMORY.DMP"
    simulate(make_machine(windows_named("3790-x64"), size=small_size())).write(path, DumpKind.HEADER)
    done = run("fetch", str(path), "--symbols", str(tmp_path))
    assert done.returncode == 2
    assert "which symbols its kernel needs is not known" in done.stderr
