"""``poolsleuth lab`` at the command line."""

import json
from pathlib import Path

from click.testing import CliRunner

from poolsleuth.cli.lab import lab


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(lab, list(arguments))
    return result.exit_code, result.stdout, str(result.exception or "") + result.stderr


def test_list() -> None:
    status, text, _ = run("list")
    assert status == 0
    assert "19041-x64" in text
    assert "lock-contention" in text
    assert "bitmap-kernel" in text


def test_list_as_json() -> None:
    document = json.loads(run("list", "--json")[1])
    assert {row["name"] for row in document["windows"] if row["real_addresses"]} >= {"7601-x64", "22000-x64"}
    assert document["types"]["kernel"] == "bitmap-kernel"
    assert "leak" in document["stories"]


def test_dump_and_truth(tmp_path: Path) -> None:
    dump, truth = tmp_path / "m.dmp", tmp_path / "m.json"
    arguments = ("dump", str(dump), "--windows", "3790-x86", "--story", "leak", "--ram", "64MB", "--truth", str(truth))
    status, text, _ = run(*arguments, "--type", "summary")
    assert status == 0
    assert f"wrote {dump}" in text
    raw = dump.read_bytes()
    assert raw[:8] == b"PAGEDUMP"
    assert int.from_bytes(raw[0xF88:0xF8C], "little") == 2
    document = json.loads(truth.read_text())
    assert (document["windows"]["build"], document["physical_bytes"]) == (3790, 64 << 20)


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    dump = tmp_path / "m.dmp"
    dump.write_bytes(b"mine")
    arguments = ("dump", str(dump), "--windows", "2600-x86", "--ram", "64MB")
    status, _, error = run(*arguments)
    assert status == 2
    assert "--force" in error
    assert dump.read_bytes() == b"mine"
    assert run(*arguments, "--force")[0] == 0
    assert dump.read_bytes()[:8] == b"PAGEDUMP"


def test_truth_to_standard_output_is_json_alone(tmp_path: Path) -> None:
    status, text, _ = run("dump", str(tmp_path / "m.dmp"), "--windows", "2600-x86", "--ram", "64MB", "--truth", "-")
    assert status == 0
    assert json.loads(text)["windows"]["name"] == "2600-x86"


def test_one_sentence_for_what_cannot_be(tmp_path: Path) -> None:
    dump = str(tmp_path / "m.dmp")
    for arguments, says in (
        (("--windows", "95"), "no Windows called '95'"),
        (("--story", "war"), "no story 'war'"),
        (("--ram", "1MB"), "64 MB to"),
        (("--windows", "2600-x86", "--ram", "64MB", "--type", "debugger-full"), "can be written"),
        (("--truth", dump), "is the dump itself"),
    ):
        status, _, error = run("dump", dump, *arguments)
        assert status != 0
        assert says in error
        assert not (tmp_path / "m.dmp").exists()
