"""A kernel's symbols out of every kind of source, in order, and never those of another kernel."""

import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from poolsleuth.kernel.symbols import find
from poolsleuth.kernel.symbols.find import Found, SymbolSources, find_table, symbol_sources
from poolsleuth.kernel.symbols.own_tables import keep_table
from poolsleuth.kernel.symbols.search_path import parse_search_path
from poolsleuth.kernel.symbols.symbol_file import read_symbol_file
from poolsleuth.windows.kernel_table import PdbId

PDB = PdbId("ntkrnlmp.pdb", "0123456789ABCDEF0123456789ABCDEF", 2)  # no kernel has it
OTHER = PdbId("ntkrnlmp.pdb", "F" * 32, 2)
BUNDLED = PdbId("ntkrnlmp.pdb", "5278AFF86C341677D7D7835C85B7B844", 1)  # 10.0.19041.804
IN_STORE = f"{PDB.name}/{PDB.key}/{PDB.name}"

MakeFile = Callable[[PdbId], bytes]


class Server(Protocol):
    url: str
    asked: list[tuple[str, str | None]]

    def serve(self, path: str, body: bytes = b"", **behaviour: Any) -> None: ...


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def search(path: str, pdb: PdbId = PDB, **arguments: Any) -> Found:
    return find_table(pdb, SymbolSources(parse_search_path(path), **arguments))


def names(found: Found) -> list[str]:
    return [] if found.table is None else sorted(found.table.symbols)


# ---- what lies on this machine ----


def test_a_pdb_that_is_named(tmp_path: Path, make_pdb: MakeFile) -> None:
    file = put(tmp_path / "any name.pdb", make_pdb(PDB))

    found = search(str(file))

    assert found.tried == ()
    assert found.table is not None
    assert found.table.pdb == PDB
    assert found.table.symbols == {"PsLoadedModuleList": 0x2000, "PoolTrackTable": 0x3000}
    assert (found.table.machine, found.table.source) == ("x64", f"PDB {file}")


@pytest.mark.parametrize("packed", [False, True])
def test_a_symbol_table_that_is_named(tmp_path: Path, make_isf: MakeFile, packed: bool) -> None:
    content = make_isf(PDB)
    file = put(tmp_path / "table", lzma.compress(content) if packed else content)

    found = search(str(file))
    assert names(found) == ["PsLoadedModuleList"]
    assert found.table is not None
    assert found.table.source == f"symbol table {file}"


@pytest.mark.parametrize("kind", ["make_pdb", "make_isf"])
def test_symbols_of_another_kernel_are_refused_even_when_named(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    file = put(tmp_path / "ntkrnlmp.pdb", request.getfixturevalue(kind)(OTHER))

    for path in (file, tmp_path):
        found = search(str(path))
        assert found.table is None
        assert f"{file} is not used: it is of another kernel ({OTHER.key}, not {PDB.key})" in found.tried


def test_the_age_counts_too(tmp_path: Path, make_pdb: MakeFile) -> None:
    put(tmp_path / IN_STORE, make_pdb(PdbId(PDB.name, PDB.guid, 3)))

    assert search(f"srv*{tmp_path}").table is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "neither a PDB nor"),
        (b"plain text", "neither a PDB nor"),
        (b"MSCF\0\0\0\0", "expand"),
        (b"MZ\x90", "is a program"),
        (b"Microsoft MSFZ Container", "MSFZ"),
        (b"Microsoft C/C++ program database 2.00\r\n\x1aJG", "before 2002"),
        (b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0", "cut off"),
        (b'{"metadata": {}}', "no symbol table"),
        (b'{"symbols": {"PsLoadedModuleList": {"address": 1}}}', "does not say of which kernel"),
        (b'{"format":"poolsleuth.kernel-table/1"}', "damaged"),
        (b'{"format":"poolsleuth.kernel-table/9"}', "damaged"),
        (b"\xfd7zXZ\0 broken", "damaged"),
    ],
)
def test_a_file_that_is_none_of_ours(tmp_path: Path, content: bytes, says: str) -> None:
    file = put(tmp_path / "ntkrnlmp.pdb", content)

    found = search(str(file), bundled=False)
    assert found.table is None
    assert str(file) in found.tried[0]
    assert says in found.tried[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFO")
def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ntkrnlmp.pdb")

    assert f"{tmp_path}/ntkrnlmp.pdb cannot be read: it is no file" in search(f"{tmp_path}/ntkrnlmp.pdb").tried


def test_symbols_of_a_driver_are_no_kernel(tmp_path: Path, make_isf: MakeFile) -> None:
    content = make_isf(PDB).replace(b"PsLoadedModuleList", b"ExAllocatePool")
    file = put(tmp_path / "a.json", content)

    assert search(str(file)).tried[0].startswith(f"{file} has nothing of a Windows kernel")


def test_places_that_do_not_exist(tmp_path: Path) -> None:
    found = search(f"{tmp_path}/none;srv*{tmp_path}/store;foo*x", bundled=False)

    assert found.tried == (
        "foo*x in the symbol path is not used: foo* is not known: srv*, symsrv* and cache* are",
        f"{tmp_path}/none does not exist",
        f"{tmp_path}/store has no symbols of this kernel",
        "no symbol server was asked: the symbol path names none",
    )


def test_what_a_store_has_is_copied_to_those_before_it(tmp_path: Path, make_pdb: MakeFile) -> None:
    near, middle, far = (tmp_path / name for name in ("near", "middle", "far"))
    put(far / IN_STORE, make_pdb(PDB))

    found = search(f"srv*{near}*{middle}*{far}")

    assert names(found) == ["PoolTrackTable", "PsLoadedModuleList"]
    assert (near / IN_STORE).read_bytes() == (middle / IN_STORE).read_bytes() == make_pdb(PDB)
    again = search(f"srv*{near}")
    assert again.table is not None
    assert again.table.source == f"PDB {near / IN_STORE}"


def test_a_copy_that_cannot_be_kept_is_no_error(tmp_path: Path, make_pdb: MakeFile) -> None:
    put(tmp_path / "store" / IN_STORE, make_pdb(PDB))
    put(tmp_path / "file", b"in the way")

    found = search(f"srv*{tmp_path}/file*{tmp_path}/store")
    assert found.table is not None
    assert "no copy could be kept" in found.tried[-1]


def test_cache_holds_for_what_is_right_of_it(tmp_path: Path, make_pdb: MakeFile) -> None:
    put(tmp_path / "store" / IN_STORE, make_pdb(PDB))

    assert search(f"cache*{tmp_path}/cache;srv*{tmp_path}/store").table is not None
    assert (tmp_path / "cache" / IN_STORE).is_file()


def test_a_collection_of_symbol_tables(tmp_path: Path, make_isf: MakeFile) -> None:
    put(tmp_path / "symbols/windows/ntkrnlmp.pdb" / f"{PDB.guid}-2.json.xz", lzma.compress(make_isf(PDB)))

    assert names(search(str(tmp_path))) == ["PsLoadedModuleList"]


def test_what_is_said_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "MAX_SAID", 3)

    found = search(";".join(f"{tmp_path}/{number}" for number in range(10)), bundled=False)
    assert len(found.tried) == 4
    assert found.tried[-1] == "and 8 more places"


@pytest.mark.parametrize("name", ["", "..", "a\0b"])
def test_a_kernel_without_a_name_that_can_be_looked_up(tmp_path: Path, name: str) -> None:
    found = search(str(tmp_path), PdbId(name, PDB.guid, 1))

    assert found.table is None
    assert found.tried == ("the kernel names no PDB that symbols could be looked up by",)


# ---- the user's own tables, and those of the package ----


def test_the_package_has_a_table() -> None:
    found = search("", BUNDLED)

    assert found.table is not None
    assert found.table.source == "bundled table of 10.0.19041.804"
    assert search("", BUNDLED, bundled=False).table is None


def test_own_tables_come_before_those_of_the_package(tmp_path: Path, make_pdb: MakeFile) -> None:
    file = put(tmp_path / "renamed.pdb", make_pdb(BUNDLED))
    kept = keep_table(tmp_path / "own", read_symbol_file(file))

    found = search("", BUNDLED, own=tmp_path / "own")
    assert found.table is not None
    assert found.table.source == f"own table {kept} (from PDB {file})"


def test_an_own_table_of_an_earlier_version_comes_last(tmp_path: Path, make_pdb: MakeFile) -> None:
    for pdb in (BUNDLED, PDB):
        kept = keep_table(tmp_path / "own", read_symbol_file(put(tmp_path / "a.pdb", make_pdb(pdb))))
        document = json.loads(kept.read_bytes())
        kept.write_text(json.dumps({**document, "wanted": "other"}, separators=(",", ":")), encoding="utf-8")

    first, second = search("", BUNDLED, own=tmp_path / "own"), search("", PDB, own=tmp_path / "own")
    assert first.table is not None
    assert first.table.source.startswith("bundled")
    assert second.table is not None
    assert second.table.source.startswith("own table")


def test_a_damaged_own_table_is_said(tmp_path: Path) -> None:
    put(tmp_path / f"{BUNDLED.key}.json", b"{")

    found = search("", BUNDLED, own=tmp_path)
    assert found.table is not None
    assert found.tried == (f"{tmp_path / BUNDLED.key}.json is damaged: remove it, and add the symbols again",)


# ---- servers ----


def test_a_server(tmp_path: Path, symbol_server: Server, make_pdb: MakeFile) -> None:
    symbol_server.serve(f"/{IN_STORE}", make_pdb(PDB))
    told: list[tuple[str, int, int | None]] = []
    path = f"srv*{tmp_path}/near*{tmp_path}/far*{symbol_server.url}/"

    found = search(path, progress=lambda name, done, total: told.append((name, done, total)))

    assert names(found) == ["PoolTrackTable", "PsLoadedModuleList"]
    size = len(make_pdb(PDB))
    assert told[-1] == ("ntkrnlmp.pdb", size, size)
    assert (tmp_path / "near" / IN_STORE).read_bytes() == (tmp_path / "far" / IN_STORE).read_bytes() == make_pdb(PDB)
    assert search(path).table is not None
    assert len(symbol_server.asked) == 1, "the second time it comes out of the cache"


@pytest.mark.parametrize("path", ["srv*{url}", "srv**{url}", "{url}", "symsrv*symsrv.dll*{url}"])
def test_the_default_store_keeps_what_has_no_other_place(
    tmp_path: Path, symbol_server: Server, make_pdb: MakeFile, path: str
) -> None:
    symbol_server.serve(f"/{IN_STORE}", make_pdb(PDB))

    found = search(path.format(url=symbol_server.url), cache=tmp_path / "cache")
    assert found.table is not None
    assert (tmp_path / "cache" / IN_STORE).is_file()


def test_no_server_is_asked_unless_it_must_be(tmp_path: Path, symbol_server: Server, make_pdb: MakeFile) -> None:
    symbol_server.serve(f"/{IN_STORE}", make_pdb(PDB))
    path = f"srv*{tmp_path}/cache*{symbol_server.url}"

    assert search(path, BUNDLED).table is not None
    offline = search(path, offline=True)
    nowhere = search(f"srv*{symbol_server.url}")

    assert symbol_server.asked == []
    assert offline.tried[-1] == f"{symbol_server.url} was not asked: offline"
    assert nowhere.tried[-1].startswith("nothing was downloaded: the symbol path names no folder")


def test_a_server_that_does_not_have_it(tmp_path: Path, symbol_server: Server) -> None:
    found = search(f"srv*{tmp_path}/cache*{symbol_server.url}")

    assert found.tried[-1] == f"{symbol_server.url} does not have ntkrnlmp.pdb {PDB.key}"
    assert [path for path, _ in symbol_server.asked] == [f"/{IN_STORE}", f"/{IN_STORE[:-1]}_"]
    assert list((tmp_path / "cache").iterdir()) == [], "no empty folders are left"


def test_a_server_with_compressed_files(tmp_path: Path, symbol_server: Server) -> None:
    symbol_server.serve(f"/{IN_STORE[:-1]}_", b"MSCF")

    found = search(f"srv*{tmp_path}*{symbol_server.url}")
    assert found.table is None
    assert "expand ntkrnlmp.pd_ ntkrnlmp.pdb" in found.tried[-1]


@pytest.mark.parametrize(
    ("kind", "says"),
    [("other", "is of another kernel"), ("page", "is no PDB"), ("cut", "is not used"), ("cab", "compressed")],
)
def test_what_a_server_sends_is_looked_at_before_it_is_kept(
    tmp_path: Path, symbol_server: Server, make_pdb: MakeFile, kind: str, says: str
) -> None:
    bodies = {"other": make_pdb(OTHER), "page": b"<html>Sign in", "cut": make_pdb(PDB)[:600], "cab": b"MSCF"}
    symbol_server.serve(f"/{IN_STORE}", bodies[kind])

    found = search(f"srv*{tmp_path}/cache*{symbol_server.url}")
    assert found.table is None
    assert says in found.tried[-1]
    assert symbol_server.url in found.tried[-1]
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_next_server_is_asked_when_one_fails(tmp_path: Path, symbol_server: Server, make_pdb: MakeFile) -> None:
    symbol_server.serve(f"/bad/{IN_STORE}", status=403)
    symbol_server.serve(f"/good/{IN_STORE}", make_pdb(PDB))

    found = search(f"srv*{tmp_path}*{symbol_server.url}/bad;srv*{tmp_path}*{symbol_server.url}/good")
    assert found.table is not None
    assert "does not let us in" in found.tried[-1]


def test_a_folder_that_cannot_keep_it(tmp_path: Path, symbol_server: Server, make_pdb: MakeFile) -> None:
    symbol_server.serve(f"/{IN_STORE}", make_pdb(PDB))
    put(tmp_path / "file", b"in the way")

    found = search(f"srv*{tmp_path}/near*{tmp_path}/file*{symbol_server.url}")
    assert found.table is not None
    assert f"nothing can be kept in {tmp_path / 'file'}: it cannot be written" in found.tried


# ---- what a run uses ----


def test_an_option_outranks_the_environment(tmp_path: Path) -> None:
    variables = {"_NT_SYMBOL_PATH": "/from/environment", "POOLSLEUTH_SYMBOLS": str(tmp_path)}

    given = symbol_sources(["/a", "/b;/c"], offline=True, environment=variables)
    plain = symbol_sources(environment=variables)

    assert given.path == parse_search_path("/a;/b;/c")
    assert (given.own, given.offline, given.bundled) == (tmp_path, True, True)
    assert plain.path == parse_search_path("/from/environment")
    assert not plain.offline
    assert plain.cache is not None
    assert symbol_sources(environment={}).path.entries == ()
    assert os.environ.get("POOLSLEUTH_SYMBOLS") != str(tmp_path)
