"""``poolsleuth diff`` as it is typed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from poolsleuth.cli.diff import diff
from poolsleuth.model.document import to_json
from poolsleuth.pipeline import diagnose

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
MMST, HEALTHY, SEVERAL, SESSION = (
    str(EXAMPLES / f"{name}.log") for name in ("mmst", "healthy", "two-machines", "session")
)
Renamed = Callable[[Callable[[str], str]], str]


def run(*arguments: str, status: int) -> Result:
    result = CliRunner().invoke(diff, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == status, result.output
    return result


def pair_of(*arguments: str, status: int) -> dict[str, Any]:
    (pair,) = json.loads(run(*arguments, "--json", "-", status=status).stdout)["pairs"]
    found: dict[str, Any] = pair
    return found


@pytest.fixture
def grown(tmp_path: Path) -> str:
    """The MmSt example later: 100 MB more of its tag and of its pool."""
    text = Path(MMST).read_text(encoding="utf-8")
    path = tmp_path / "later.json"
    document = json.loads(to_json(diagnose(MMST)))
    (machine,) = document["machines"]
    machine["pools"]["paged"]["used_bytes"] += 100 << 20
    machine["pools"]["paged"]["tagged_bytes"] += 97 << 20
    row = next(tag for tag in machine["tags"] if (tag["tag"], tag["pool"]) == ("MmSt", "paged"))
    row["bytes"] += 97 << 20
    path.write_text(json.dumps(document), encoding="utf-8")
    assert "MmSt" in text
    return str(path)


def test_a_log_beside_itself(tmp_path: Path) -> None:
    result = run(MMST, MMST, status=0)

    assert "Nothing changed." in result.stdout


def test_a_log_beside_its_own_report(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text(to_json(diagnose(MMST)), encoding="utf-8")

    pair = pair_of(MMST, str(report), status=0)
    assert pair["says"] == "Nothing changed."
    assert {tag["status"] for tag in pair["tags"]} == {"same"}


def test_growth_is_told_and_exits_1(grown: str) -> None:
    result = run(MMST, grown, status=1)

    said = " ".join(result.stdout.replace("│", " ").split())
    assert "Paged pool grew by 100.0 MB (30.9 %): MmSt explains 97 % (+97.0 MB)." in said
    assert "no tag accounts for +3.0 MB" in said
    assert "Two captures cannot tell a leak from load" in said


def test_the_way_back_is_no_growth(grown: str) -> None:
    assert "paged pool shrank by 100.0 MB" in run(grown, MMST, status=0).stdout


def test_two_servers_are_compared_as_such() -> None:
    result = run(HEALTHY, MMST, status=1)

    assert "These are two machines" in result.stdout
    assert "grew" not in result.stdout.replace("growth", "")


def test_rows_are_chosen(grown: str) -> None:
    assert len(pair_of(MMST, grown, "--min", "1MB", status=1)["tags"]) == 1
    assert {tag["pool"] for tag in pair_of(MMST, grown, "--pool", "nonpaged", status=1)["tags"]} == {"nonpaged"}
    assert "tags more (--top shows them)" in run(HEALTHY, MMST, "--top", "2", status=1).stdout


def test_more_files_of_a_side_are_read_with_it(tmp_path: Path) -> None:
    noise = tmp_path / "noise.txt"
    noise.write_text("nothing\n", encoding="utf-8")

    document = json.loads(
        run(MMST, MMST, "--before", str(noise), "--after", str(noise), "--json", "-", status=0).stdout
    )
    assert [len(document[side]["inputs"]) for side in ("before", "after")] == [2, 2]


def test_machines_without_a_partner_exit_2_and_can_be_paired() -> None:
    result = run(SEVERAL, SESSION, status=2)
    assert "Only in BEFORE: EXAMPLE-FS03, EXAMPLE-PC21" in result.stdout
    assert "--pair BEFORE=AFTER" in result.stderr

    assert pair_of(SEVERAL, SESSION, "--pair", "EXAMPLE-FS03=1", status=1)["paired_by"] == "named on the command line"


@pytest.mark.parametrize("text", ["1", "=1", "1="])
def test_a_pair_is_written_with_two_ends(text: str) -> None:
    assert "1=2 or SRV-A=SRV-B" in run(SEVERAL, SESSION, "--pair", text, status=2).stderr


def test_unusable_input_exits_2(tmp_path: Path) -> None:
    empty = tmp_path / "empty.log"
    empty.write_bytes(b"")

    assert "AFTER speaks of no machine" in run(MMST, str(empty), status=2).stderr
    assert "BEFORE speaks of no machine" in run(str(tmp_path / "missing"), MMST, status=2).stderr
    assert "BEFORE and AFTER speaks" in run(str(empty), str(empty), status=2).stderr


def test_no_figure_in_common_exits_2() -> None:
    result = run(str(EXAMPLES / "corruption.log"), str(EXAMPLES / "false-warning.log"), status=2)

    assert "no figure in common" in result.stderr


def test_nothing_is_overwritten(tmp_path: Path, grown: str) -> None:
    target = tmp_path / "diff.md"
    target.write_text("mine", encoding="utf-8")

    assert "exists already" in run(MMST, grown, "--markdown", str(target), status=2).stderr
    assert "is one of the inputs" in run(MMST, grown, "--json", grown, "--force", status=2).stderr
    assert target.read_text(encoding="utf-8") == "mine"
    run(MMST, grown, "--markdown", str(target), "--force", status=1)
    assert target.read_text(encoding="utf-8").startswith("# Kernel pools compared")


def test_one_output_on_standard_output(grown: str) -> None:
    assert "only one output" in run(MMST, grown, "--json", "-", "--markdown", "-", status=2).stderr
    assert run(MMST, grown, "--markdown", "-", status=1).stdout.startswith("# Kernel pools compared\n")


def test_hostile_names_stay_text(tmp_path: Path, grown: str) -> None:
    document = json.loads(Path(grown).read_text(encoding="utf-8"))
    (machine,) = document["machines"]
    machine["name"] = "SRV\x1b[31m\u202e[red]x[/red]"
    for tag in machine["tags"]:
        tag["description"] = "\x1b]0;title\x07<script>"
    path = tmp_path / "hostile.json"
    path.write_text(json.dumps(document), encoding="utf-8")

    for arguments in ([], ["--markdown", "-"]):
        text = run(MMST, str(path), *arguments, status=1).stdout
        assert not [c for c in text if not c.isprintable() and c != "\n"]
        assert "<script>" not in text or not arguments
