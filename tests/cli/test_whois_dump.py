"""``poolsleuth whois TAG DUMP``: the loaded modules are searched in the dump's memory, alone and beside files."""

import gzip
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from poolsleuth.cli.main import cli
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.machine import LoadedModule, Machine
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.errors import InputError

PAGE = 0x1000


@cache
def machine(name: str = "19041-x64", story: str = "leak") -> Machine:
    return make_machine(windows_named(name), story, size=small_size())


def changed(truth: Machine, name: str, **fields: Any) -> Machine:
    modules = tuple(replace(m, **fields) if m.name == name else m for m in truth.modules)
    return replace(truth, modules=modules)


def written(truth: Machine, path: Path) -> Path:
    simulate(truth).write(path, DumpKind.BITMAP_KERNEL)
    return path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLSLEUTH_DRIVER_CACHE", str(tmp_path / "cache"))


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, ["whois", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def document(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json", "-").stdout)


def file_of(truth: Machine, name: str, path: Path) -> LoadedModule:
    """The driver as a file: sections lie in the lab's images as they do in memory."""
    simulated = simulate(truth)
    (module,) = [each for each in simulated.truth.modules if each.name == name]
    pages = []
    for at in range(module.base or 0, (module.base or 0) + module.size, PAGE):
        place = simulated.system.translate(at)
        pages.append(bytes(PAGE) if place is None else bytes(simulated.physical.page(place // PAGE)))
    path.write_bytes(b"".join(pages))
    return module


@pytest.mark.parametrize("name", ["2600-x86", "3790-x86-pae", "7601-x64", "19041-x64"])
def test_the_owner_is_found_in_memory(name: str, tmp_path: Path) -> None:
    result = run("Leak", written(machine(name), tmp_path / "MEMORY.DMP"))
    assert result.exit_code == 0
    assert "1. leaky.sys  (confidence: high)" in result.stdout
    assert "+ it is loaded: MEMORY.DMP at 0x" in result.stdout
    assert "2. vendorav.sys  (confidence: low)" in result.stdout
    assert "+ the four bytes stand in its data" in result.stdout


def test_a_packed_dump_is_a_dump(tmp_path: Path) -> None:
    plain = written(machine(), tmp_path / "x.dmp")
    (tmp_path / "MEMORY.DMP.gz").write_bytes(gzip.compress(plain.read_bytes(), 1))
    assert "1. leaky.sys  (confidence: high)" in run("Leak", tmp_path / "MEMORY.DMP.gz").stdout


def test_a_driver_without_headers_and_file_is_found(tmp_path: Path) -> None:
    truth = changed(machine(), "leaky.sys", present=False)
    found = document("Leak", written(truth, tmp_path / "MEMORY.DMP"))
    assert (found["candidates"][0]["file"], found["candidates"][0]["confidence"]) == ("leaky.sys", "high")


def test_who_imports_what_has_no_tag(tmp_path: Path) -> None:
    found = document("None", written(machine(story="untagged"), tmp_path / "MEMORY.DMP"))
    (only,) = found["candidates"]
    assert (only["file"], only["confidence"]) == ("oldcard.sys", "medium")
    assert only["because"][0] == "it imports ExAllocatePool (1 call)"


def test_nobody_is_an_answer(tmp_path: Path) -> None:
    result = run("Zq9x", written(machine(), tmp_path / "MEMORY.DMP"))
    assert result.exit_code == 1
    assert "nobody in what was given" in result.stdout


def test_dump_and_file_of_one_driver_are_one(tmp_path: Path) -> None:
    dump, drivers = written(machine(), tmp_path / "MEMORY.DMP"), tmp_path / "drivers"
    drivers.mkdir()
    file_of(machine(), "leaky.sys", drivers / "LEAKY.SYS")
    found = document("Leak", dump, drivers)
    alone = document("Leak", dump)
    assert found["drivers"] == alone["drivers"]
    first = found["candidates"][0]
    assert (Path(first["file"]).name, first["confidence"]) == ("LEAKY.SYS", "high")
    assert first["loaded"].startswith("MEMORY.DMP at 0x")
    assert [Path(each["file"]).name for each in found["candidates"]] == ["LEAKY.SYS", "vendorav.sys"]


def test_another_build_of_a_loaded_driver_is_another(tmp_path: Path) -> None:
    dump = written(machine(), tmp_path / "MEMORY.DMP")
    module = file_of(machine(), "leaky.sys", tmp_path / "leaky.sys")
    data = bytearray((tmp_path / "leaky.sys").read_bytes())
    at = data.index(module.timestamp.to_bytes(4, "little"))
    data[at : at + 4] = (module.timestamp ^ 1).to_bytes(4, "little")
    (tmp_path / "leaky.sys").write_bytes(data)
    found = document("Leak", dump, tmp_path / "leaky.sys")
    assert sorted(Path(each["file"]).name for each in found["candidates"][:2]) == ["leaky.sys", "leaky.sys"]
    assert {each["loaded"] is None for each in found["candidates"][:2]} == {True, False}


def test_a_file_that_is_not_loaded_is_no_sure_answer(tmp_path: Path) -> None:
    truth = changed(machine(), "leaky.sys", tags=("Othr",))
    dump = written(truth, tmp_path / "MEMORY.DMP")
    file_of(machine(), "leaky.sys", tmp_path / "another.sys")
    found = document("Leak", dump, tmp_path / "another.sys")
    first = found["candidates"][0]
    assert (Path(first["file"]).name, first["confidence"], first["loaded"]) == ("another.sys", "medium", None)
    assert "it is not loaded in MEMORY.DMP" in first["against"]


def test_an_unloaded_driver_named_like_the_tag_is_told(tmp_path: Path) -> None:
    truth = changed(machine(), "leaky.sys", tags=("acme",))
    found = document("acme", written(truth, tmp_path / "MEMORY.DMP"))
    assert any("acmetmp.sys, which was unloaded 2 times" in remark for remark in found["remarks"])
    assert {each["confidence"] for each in found["candidates"]} <= {"medium", "low"}


def test_missing_code_costs_certainty_and_is_said(tmp_path: Path) -> None:
    simulated = simulate(machine())
    (other,) = [module for module in simulated.truth.modules if module.name == "afd.sys"]
    place = simulated.system.translate((other.base or 0) + PAGE)
    assert place is not None
    path = tmp_path / "MEMORY.DMP"
    replace(simulated, left_out=simulated.left_out | {place // PAGE}).write(path, DumpKind.BITMAP_KERNEL)
    found = document("Leak", path)
    assert found["candidates"][0]["confidence"] == "medium"
    assert (
        "MEMORY.DMP: 4 KB of resident code are not there (afd.sys): an absent page proves nothing" in found["remarks"]
    )


def test_a_dump_without_a_kernel_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = written(machine(), tmp_path / "MEMORY.DMP")
    path.write_bytes(path.read_bytes()[:0x2000])
    result = CliRunner().invoke(cli, ["whois", "Leak", str(path)])
    assert isinstance(result.exception, InputError)  # main() prints it
    assert "no kernel can be found in it" in str(result.exception)
    # Beside good input it is a problem, not the end
    file_of(machine(), "leaky.sys", tmp_path / "leaky.sys")
    found = document("Leak", path, tmp_path / "leaky.sys")
    assert Path(found["candidates"][0]["file"]).name == "leaky.sys"
    assert "no kernel can be found in it" in found["problems"][0]
