"""``poolsleuth whois``: exit status, the words on the terminal, JSON, hostile texts."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from poolsleuth.cli.main import cli, main

SOURCE = r"""
__declspec(dllimport) void* __stdcall ExAllocatePoolWithTag(int, unsigned long long, unsigned);
void* volatile keep;
int __stdcall DriverEntry(void* driver, void* path) { keep = ExAllocatePoolWithTag(1, 64, 'kaeL'); return 0; }
"""
RESOURCE = """1 VERSIONINFO
BEGIN
  BLOCK "StringFileInfo"
  BEGIN
    BLOCK "040904b0"
    BEGIN
      VALUE "CompanyName", L"Evil \\x1b[31m \\x202e Ltd"
    END
  END
END
"""
TOOLS = ("clang", "lld-link", "llvm-dlltool", "llvm-rc")


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs a toolchain for Windows: {', '.join(missing)} not found")
    folder = tmp_path_factory.mktemp("whois")
    (folder / "x.c").write_text(SOURCE)
    (folder / "x.def").write_text("NAME ntoskrnl.exe\nEXPORTS\nExAllocatePoolWithTag\n")
    (folder / "x.rc").write_text(RESOURCE)
    for command in (
        "llvm-dlltool -m i386:x86-64 -d x.def -l x.lib",
        "clang --target=x86_64-pc-windows-msvc -O2 -ffreestanding -Wno-everything -c x.c -o x.obj",
        "llvm-rc /no-preprocess /fo x.res x.rc",
        "lld-link /driver /subsystem:native /entry:DriverEntry /nodefaultlib /out:leaky.sys x.obj x.lib x.res",
    ):
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    drivers = folder / "drivers"
    drivers.mkdir()
    (folder / "leaky.sys").rename(drivers / "leaky.sys")
    return drivers / "leaky.sys"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLSLEUTH_DRIVER_CACHE", str(tmp_path / "cache"))


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, ["whois", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_the_owner_is_named_and_the_status_is_0(driver: Path) -> None:
    result = run("Leak", driver.parent)

    assert result.exit_code == 0
    assert "Leak: 1 candidate among 1 driver" in result.stdout
    assert "1. leaky.sys  (confidence: high)" in result.stdout
    assert "+ Leak is the tag at 1 call of ExAllocatePoolWithTag (0x" in result.stdout


def test_texts_of_the_driver_cannot_steer_the_terminal(driver: Path) -> None:
    result = run("Leak", driver, "-v")

    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert "Evil \\x1b[31m \\u202e Ltd" in result.stdout
    assert "allocates ExAllocatePoolWithTag: 0x" in result.stdout
    assert "the tag is set at 0x" in result.stdout


def test_nobody_is_status_1(driver: Path) -> None:
    result = run("Zq9x", driver)

    assert result.exit_code == 1
    assert "Zq9x: nobody in what was given (1 driver)" in result.stdout


def test_json(driver: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    assert run("Leak", driver, "--json", target).exit_code == 0
    document: dict[str, Any] = json.loads(target.read_text())

    assert (document["schema"], document["tag"], document["drivers"]) == ("poolsleuth.whois/1", "Leak", 1)
    candidate = document["candidates"][0]
    assert candidate["file"] == str(driver)
    assert candidate["confidence"] == "high"
    assert candidate["company"] == "Evil \x1b[31m \u202e Ltd"
    assert candidate["signer"] is None
    place = candidate["places"][0]
    assert (place["use"], place["function"], place["tag"]) == ("allocation", "ExAllocatePoolWithTag", "Leak")
    assert driver.read_bytes()[place["file_offset"] :].startswith(bytes.fromhex(place["bytes"]))
    # A file that is there is not overwritten
    assert run("Leak", driver, "--json", target).exit_code == 2
    assert json.loads(run("Leak", driver, "--json", "-").stdout)["tag"] == "Leak"


def test_pooltag_txt_is_read(driver: Path, tmp_path: Path) -> None:
    (tmp_path / "pooltag.txt").write_text(
        "rem\r\nZq9x - leaky.sys - written in the list\r\nL??? - <unknown> - family\r\n"
    )
    result = run("Zq9x", driver, "--pooltags", tmp_path / "pooltag.txt")

    assert result.exit_code == 0
    assert "(confidence: low)" in result.stdout
    assert "pooltag.txt names leaky.sys for it: written in the list" in result.stdout
    assert "pooltag.txt: no binary, family" in run("Leak", driver, "--pooltags", tmp_path / "pooltag.txt").stdout


def test_the_cache_is_used_and_may_be_left_out(driver: Path, tmp_path: Path) -> None:
    run("Leak", driver, "--no-cache")
    assert not (tmp_path / "cache").exists()
    first = run("Leak", driver).stdout
    assert len(list((tmp_path / "cache").rglob("*.json"))) == 1
    assert run("Leak", driver).stdout == first


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["Leaky", "."], "is no pool tag"),
        (["Leak", "absent.sys"], "absent.sys does not exist"),
        (["Leak", "noise.sys"], "none of what was given is a driver"),
        (["Leak", "noise.sys", "--pooltags", "absent.txt"], "absent.txt could not be read"),
    ],
)
def test_unusable_input_is_status_2(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "noise.sys").write_bytes(b"no driver")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["whois", *arguments])
    assert stop.value.code == 2
    assert says in capsys.readouterr().err
