import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from poolsleuth.cli.main import cli

LOGS = Path(__file__).parents[1] / "data" / "logs"
UNTAGGED, SEVERAL = str(LOGS / "untagged.txt"), str(LOGS / "several_machines.txt")
HEALTHY = """0: kd> !vm

*** Virtual Memory Usage ***
      Physical Memory:      917368 (   3669472 Kb)
      Page File: \\??\\C:\\pagefile.sys
        Current:   4190208 Kb  Free Space:   4090220 Kb
        Minimum:   4190208 Kb  Maximum:      4190208 Kb
      Available Pages:      649161 (   2596644 Kb)
      Free NP PTEs:           4230 (     16920 Kb)
      NonPagedPool Usage:     2546 (     10184 Kb)
      NonPagedPool Max:      65647 (    262588 Kb)
      PagedPool Usage:       33079 (    132316 Kb)
      PagedPool Maximum:     60416 (    241664 Kb)
      Committed pages:      227031 (    908124 Kb)
      Commit limit:        1929623 (   7718492 Kb)
"""


@pytest.fixture
def healthy(tmp_path: Path) -> str:
    path = tmp_path / "healthy.log"
    path.write_text(HEALTHY, "utf-8")
    return str(path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["diagnose", *arguments])


def status(result: Result) -> int:
    """The exit status: click's runner leaves a returned one aside, so only ``exit`` counts."""
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code


def test_something_found() -> None:
    result = run(UNTAGGED)

    assert status(result) == 1
    assert "ExAllocatePool" in result.stdout
    assert result.stderr == ""


def test_nothing_found(healthy: str) -> None:
    result = run(healthy)

    assert status(result) == 0
    assert "nonpaged" in result.stdout


def test_no_usable_input(tmp_path: Path) -> None:
    noise = tmp_path / "noise.txt"
    noise.write_text("nothing of interest\n", "utf-8")

    result = run(str(noise), str(tmp_path / "missing.log"))

    assert status(result) == 2
    assert result.stdout == ""
    assert "noise.txt" in result.stderr
    assert "missing.log" in result.stderr


def test_good_input_beside_bad(tmp_path: Path) -> None:
    result = run(UNTAGGED, str(tmp_path / "missing.log"))

    assert status(result) == 1
    assert "missing.log" in result.stderr


def test_a_list_of_tags_alone(tmp_path: Path) -> None:
    listed = tmp_path / "pooltag.txt"
    listed.write_text("Abcd - a.sys - A\nEfgh - e.sys - E\n", "utf-8")

    result = run(str(listed))

    assert status(result) == 2
    assert "nothing to diagnose" in result.stderr


def test_no_files_is_wrong_usage() -> None:
    assert status(run()) == 2


def test_json_on_standard_output_is_all_of_it() -> None:
    result = run(UNTAGGED, "--json", "-")

    assert status(result) == 1
    document = json.loads(result.stdout)
    assert document["schema"] == "poolsleuth.report/1"


def test_markdown_on_standard_output_is_all_of_it() -> None:
    result = run(UNTAGGED, "--markdown", "-")

    assert status(result) == 1
    assert result.stdout.startswith("#")
    assert "╭" not in result.stdout


def test_html_on_standard_output_is_all_of_it() -> None:
    result = run(UNTAGGED, "--html", "-")

    assert result.stdout.lstrip().lower().startswith("<!doctype html>")


def test_files_are_written_beside_the_terminal_report(tmp_path: Path) -> None:
    page, ticket, document = (str(tmp_path / name) for name in ("r.html", "r.md", "r.json"))

    result = run(UNTAGGED, "--html", page, "--markdown", ticket, "--json", document)

    assert status(result) == 1
    assert "ExAllocatePool" in result.stdout
    assert "<html" in Path(page).read_text("utf-8")
    assert "ExAllocatePool" in Path(ticket).read_text("utf-8")
    assert json.loads(Path(document).read_text("utf-8"))["machines"]


def test_the_json_is_read_back(tmp_path: Path) -> None:
    first, second = str(tmp_path / "one.json"), str(tmp_path / "two.json")

    assert status(run(SEVERAL, "--json", first)) == 1
    assert status(run(first, "--json", second)) == 1

    assert Path(first).read_bytes() == Path(second).read_bytes()


@pytest.mark.parametrize("option", ["--json", "--html", "--markdown"])
def test_nothing_is_overwritten_without_force(tmp_path: Path, option: str) -> None:
    target = tmp_path / "report"
    target.write_text("precious", "utf-8")

    refused = run(UNTAGGED, option, str(target))

    assert status(refused) == 2
    assert "--force" in refused.stderr
    assert target.read_text("utf-8") == "precious"
    assert status(run(UNTAGGED, option, str(target), "--force")) == 1
    assert "ExAllocatePool" in target.read_text("utf-8")


def test_an_input_is_not_overwritten_even_with_force(tmp_path: Path) -> None:
    log = tmp_path / "kd.log"
    log.write_bytes(Path(UNTAGGED).read_bytes())

    result = run(str(log), "--json", str(tmp_path / "." / "kd.log"), "--force")

    assert status(result) == 2
    assert "one of the inputs" in result.stderr
    assert log.read_bytes() == Path(UNTAGGED).read_bytes()


def test_the_list_of_tags_is_an_input_too(tmp_path: Path) -> None:
    listed = tmp_path / "pooltag.txt"
    listed.write_text("Abcd - a.sys - A\n", "utf-8")

    result = run(UNTAGGED, "--pooltags", str(listed), "--json", str(listed), "--force")

    assert status(result) == 2
    assert listed.read_text("utf-8") == "Abcd - a.sys - A\n"


def test_two_outputs_on_standard_output_are_refused() -> None:
    result = run(UNTAGGED, "--json", "-", "--markdown", "-")

    assert status(result) == 2
    assert "--json and --markdown" in result.stderr


def test_two_outputs_in_one_file_are_refused(tmp_path: Path) -> None:
    target = str(tmp_path / "out")

    assert status(run(UNTAGGED, "--json", target, "--html", target)) == 2
    assert not Path(target).exists()


def test_a_list_of_tags_names_drivers(tmp_path: Path) -> None:
    listed = tmp_path / "pooltag.txt"
    listed.write_text("rem ours\nMmCm - acme.sys - Acme buffers\nAbcd - a.sys - A\n", "utf-8")

    result = run(UNTAGGED, "--pooltags", str(listed), "--json", "-")

    tags = json.loads(result.stdout)["machines"][0]["tags"]
    assert {tag["tag"]: tag["driver"] for tag in tags}["MmCm"] == "acme.sys"


def test_more_is_shown_on_request() -> None:
    brief, evidence, everything = run(UNTAGGED), run(UNTAGGED, "-v"), run(UNTAGGED, "-vv")

    assert "Because" not in brief.stdout
    assert "Because" in evidence.stdout
    assert "f50b3000" in evidence.stdout.replace("\n", "") or "0x" in evidence.stdout
    assert len(brief.stdout) < len(evidence.stdout) < len(everything.stdout)


@pytest.mark.parametrize("detail", [(), ("-v",), ("-vv",)])
def test_a_pipe_gets_80_plain_columns(monkeypatch: pytest.MonkeyPatch, detail: tuple[str, ...]) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    lines = run(SEVERAL, *detail).stdout.splitlines()

    # A command between backticks is kept whole, to be copied
    assert max(len(line) for line in lines if "`" not in line) <= 80
    assert not any("\x1b" in line for line in lines)


def test_hostile_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "evil\x1b[31m.log"
    log.write_text(HEALTHY, "utf-8")

    result = run(str(log), str(tmp_path / "gone\x1b[2J.log"))

    assert "\x1b" not in result.stdout
    assert "\x1b" not in result.stderr


def test_help_names_the_exit_status() -> None:
    result = run("--help")

    assert status(result) == 0
    for word in ("--json", "--html", "--markdown", "--pooltags", "--force", "Exit status"):
        assert word in result.stdout
    assert re.search(r"-v, --verbose", result.stdout)
