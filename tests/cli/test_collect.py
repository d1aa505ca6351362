"""``poolsleuth collect``: what it prints and writes, and what it refuses in one sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from poolsleuth.cli.collect import collect

GoldenCheck = Callable[[str, str], None]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(collect, arguments, prog_name="poolsleuth collect")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("collect.txt", ()),
        ("collect-2003.txt", ("--os", "2003", "--for", "7d")),
        ("collect-2000.txt", ("--os", "2000")),
        ("collect-tag.txt", ("--os", "2008R2", "--tag", "MmSt", "--tag", "Irp", "--for", "4h")),
        ("collect-remote.txt", ("--remote", "SRV1", "--out", "D:\\my logs", "--max-size", "100MB")),
    ],
)
def test_text(name: str, arguments: tuple[str, ...], golden: GoldenCheck) -> None:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    golden(name, result.output)


@pytest.mark.parametrize("name", ["collect.cmd", "stop.cmd", "create-counters.ps1", "pool-tag.wprp", "README.txt"])
def test_script(name: str, tmp_path: Path, golden: GoldenCheck) -> None:
    result = run("--script", str(tmp_path / "out"), "--tag", "MmSt", "--for", "8h", "--os", "2019")
    assert result.exit_code == 0, result.output
    golden(f"collect-script-{name}.txt", (tmp_path / "out" / name).read_text(encoding="ascii"))


def test_script_of_an_older_windows(tmp_path: Path, golden: GoldenCheck) -> None:
    result = run("--script", str(tmp_path), "--os", "xp")
    assert result.exit_code == 0, result.output
    assert sorted(file.name for file in tmp_path.iterdir()) == ["README.txt", "collect.cmd", "stop.cmd"]
    golden("collect-script-xp.cmd.txt", (tmp_path / "collect.cmd").read_text(encoding="ascii"))


def test_script_says_what_it_wrote(tmp_path: Path) -> None:
    result = run("--script", str(tmp_path / "out"))
    assert f"wrote {tmp_path / 'out' / 'collect.cmd'}" in result.output.splitlines()
    assert b"\r\n" in (tmp_path / "out" / "collect.cmd").read_bytes()


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    (tmp_path / "stop.cmd").write_text("mine", encoding="ascii")
    result = run("--script", str(tmp_path))
    assert result.exit_code == 2
    assert "stop.cmd exists already" in result.output
    assert [file.name for file in tmp_path.iterdir()] == ["stop.cmd"]
    assert (tmp_path / "stop.cmd").read_text(encoding="ascii") == "mine"
    assert run("--script", str(tmp_path), "--force").exit_code == 0
    assert (tmp_path / "stop.cmd").read_text(encoding="ascii").startswith("@echo off")


def test_json_is_the_plan(tmp_path: Path) -> None:
    document = json.loads(run("--json", "--tag", "MmSt").output)
    assert document["interval_seconds"] == 300
    assert [step["id"] for step in document["steps"]] == ["prepare", "counters", "poolmon", "trace", "stop"]
    assert document["files"] == []
    document = json.loads(run("--json", "--script", str(tmp_path)).output)
    assert all(Path(name).is_file() for name in document["files"])


def test_parts_can_be_left_out() -> None:
    assert "poolmon" not in run("--no-poolmon").output
    assert "logman" not in run("--no-counters").output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--tag", "MmStx"), "'MmStx' is not a pool tag"),
        (("--tag", "Mmä"), "is not a pool tag"),
        (("--tag", ""), "is not a pool tag"),
        (("--os", "95"), "'95' names no Windows known here"),
        (("--for", "soon"), "'soon' is not a time"),
        (("--interval", "0s"), "'0s' must be longer than 0"),
        (("--for", "100d"), "--for must lie between"),
        (("--interval", "1h", "--for", "2h"), "too few to tell growth from a wave"),
        (("--max-size", "many"), "'many' is not a size"),
        (("--max-size", "1KB"), "--max-size must lie between"),
        (("--remote", "a b"), "'a b' is not a computer name"),
        (("--out", "C:\\a&b"), "cannot be the folder on the server"),
        (("--os", "2003", "--tag", "MmSt"), "Windows Server 2003 cannot trace its pool"),
        (("--no-poolmon", "--no-counters"), "nothing is left to collect"),
        (("--os", "2000", "--script", "x"), "Windows 2000 has no logman"),
        (("--script", "no/such/place"), "does not exist"),
        (("--script", __file__), "is a file; give a folder"),
    ],
)
def test_refusals_are_one_sentence(arguments: tuple[str, ...], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    errors = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert says in errors[0]
    assert "Traceback" not in result.output
