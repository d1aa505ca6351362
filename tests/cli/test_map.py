"""`poolsleuth map` on dumps and logs: what it writes, what it refuses."""

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from poolsleuth.cli.main import cli, main
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size

LOG = """0: kd> !w2kfre\\kdex2x86.xpool -map
Status Map of Pool Area Pages

Non-Paged Pool Area Summary
----------------------------
Maximum Number of Pages  = 64640 pages
Number of Pages In Use   = 36721 pages (56.8%)

82780000: ..OO.OO.OO..O.OO .O..OO.OO.OO..O. OO.O..OO.O..OO.. ..OO.O..OO.OO.OO
"""


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("map") / "MEMORY.DMP"
    machine = make_machine(windows_named("3790-x86-pae"), "fragmentation", seed=5, size=small_size())
    simulate(machine).write(path, "bitmap-full")
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "kd.log"
    path.write_text(LOG)
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["map", *map(str, arguments)], catch_exceptions=False)


def status(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["map", *map(str, arguments)])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_dump(dump: Path) -> None:
    result = run(dump, "--offline")
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert "nonpaged pool" in text
    assert "pinned by" in text
    assert "held by ReEv" in text
    assert "\x1b" not in result.stdout


def test_a_log(log: Path) -> None:
    result = run(log)
    assert result.exit_code == 0
    assert "36,721 pages in use (143.4 MB) of at most 64,640 (56.8 %)" in " ".join(result.stdout.split())
    assert "  82780000: ··██·██·██··█·██" in result.stdout


def test_plain_is_what_the_debugger_printed(log: Path) -> None:
    # 36,721 pages are in use, and the one row shows fewer: more rows follow
    assert run(log, "--plain").stdout.splitlines()[-2:] == [LOG.splitlines()[-1], "..."]


def test_a_map_of_our_own_map_is_the_same(dump: Path, tmp_path: Path) -> None:
    first = run(dump, "--plain", "--offline").stdout
    again = tmp_path / "plain.log"
    again.write_text("0: kd> !xpool -map\n" + first)
    rows = [line for line in first.splitlines() if ": " in line and line[0] in "89abcdef"]
    assert len(rows) > 10
    assert [line for line in run(again, "--plain").stdout.splitlines() if line in set(rows)] == rows


def test_json_to_standard_output(dump: Path) -> None:
    told = json.loads(run(dump, "--json", "-", "--pool", "nonpaged", "--offline", "--tag", "ReEv").stdout)
    assert told["schema"] == "poolsleuth.map/1"
    assert [pool["pool"] for pool in told["pools"]] == ["nonpaged"]
    assert told["tag_asked"] == "ReEv"
    (pool,) = told["pools"]
    cells = "".join(area["cells"] for area in pool["areas"])
    assert sum(cells.count(cell) for cell in "O<=>!P{-}") == pool["pages_in_use"]


def test_all_outputs_at_once(dump: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    html, png, svg = (tmp_path / f"map.{end}" for end in ("html", "png", "svg"))
    assert run(dump, "--html", html, "--png", png, "--svg", svg, "--by", "tag", "--offline").exit_code == 0
    assert html.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert svg.read_bytes().startswith(b"<?xml")


def test_nothing_is_overwritten(dump: Path, tmp_path: Path) -> None:
    target = tmp_path / "map.html"
    target.write_text("mine")
    assert status(dump, "--html", target) == 2
    assert target.read_text() == "mine"
    assert status(dump, "--json", dump, "--force") == 2
    assert run(dump, "--html", target, "--force", "--offline").exit_code == 0


@pytest.mark.parametrize("option", ["--html", "--png", "--svg"])
def test_pictures_go_to_files(option: str, log: Path) -> None:
    assert status(log, option, "-") == 2


def test_two_outputs_cannot_have_one_name(log: Path, tmp_path: Path) -> None:
    assert status(log, "--json", tmp_path / "x", "--html", tmp_path / "x") == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"0: kd> !vm\n", "xpool -map"),
        (b"MDMP" + bytes(100), "user-mode"),
        (b"PAGEDU64" + bytes(10_000), ""),
        (os.urandom(1000), ""),
    ],
    ids=["empty", "log", "minidump", "broken", "noise"],
)
def test_what_holds_no_map_is_refused_in_one_sentence(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(content)
    assert status(path) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("poolsleuth: ")
    assert told.err.count("\n") == 1
    assert words in told.err


def test_what_is_not_there(tmp_path: Path) -> None:
    assert status(tmp_path / "absent") == 2
    assert status(tmp_path) == 2


def test_a_pool_that_is_not_in_it(log: Path) -> None:
    assert status(log, "--pool", "paged") == 2


def test_a_tag_has_four_characters(log: Path) -> None:
    assert status(log, "--tag", "TooLong") == 2


def test_without_matplotlib(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    target = tmp_path / "map.png"
    assert status(log, "--png", target) == 2
    assert not target.exists()
