import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from poolsleuth.cli.main import cli

LOGS = Path(__file__).parents[1] / "data" / "logs"
UNTAGGED, SEVERAL, FRAGMENTED = (str(LOGS / f"{n}.txt") for n in ("untagged", "several_machines", "fragmented"))
COLUMNS = "machine,tag,pool,session,allocs,frees,outstanding,bytes,driver,description"


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, ["tags", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def rows(*arguments: str) -> list[dict[str, Any]]:
    result = run(*arguments, "--json", "-")
    assert result.exit_code == 0
    listed: list[dict[str, Any]] = json.loads(result.stdout)
    return listed


def test_a_table_for_the_eye() -> None:
    result = run(FRAGMENTED)

    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].split() == [
        "tag",
        "pool",
        "allocs",
        "frees",
        "diff",
        "bytes",
        "driver",
        "description",
    ]
    assert "17,584,072" in result.stdout
    assert "TOTAL" not in result.stdout


def test_several_machines_are_numbered() -> None:
    assert run(SEVERAL).stdout.split()[0] == "machine"
    assert {row["machine"] for row in rows(SEVERAL)} == {1, 4, 5, 6}


def test_largest_first_and_unknown_last() -> None:
    listed = [row["bytes"] for row in rows(FRAGMENTED)]

    assert listed == sorted(listed, reverse=True)
    # The fifth machine's table has lost its bytes
    assert {row["bytes"] for row in rows(SEVERAL) if row["machine"] == 5} == {None}


@pytest.mark.parametrize("key", ["outstanding", "allocs", "frees"])
def test_sorted_by_a_count(key: str) -> None:
    listed = [row[key] for row in rows(SEVERAL, "--sort", key) if row["machine"] == 1 and row[key] is not None]

    assert listed
    assert listed == sorted(listed, reverse=True)


def test_sorted_by_name() -> None:
    names = [row["tag"] for row in rows(FRAGMENTED, "--sort", "tag")]

    assert names == sorted(names)


def test_the_first_of_each_machine() -> None:
    assert [row["machine"] for row in rows(SEVERAL, "--top", "1")] == [1, 4, 5, 6]


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_no_rows_is_wrong_usage(count: str) -> None:
    assert run(SEVERAL, "--top", count).exit_code == 2


@pytest.mark.parametrize("pool", ["nonpaged", "paged"])
def test_one_pool(pool: str) -> None:
    assert {row["pool"] for row in rows(SEVERAL, "--pool", pool)} == {pool}


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("MmCm", {"MmCm"}), ("Mm??", {"MmCm"}), ("M*", {"MmCm"}), ("mmcm", set()), ("Fil?", {"File"}), ("*", None)],
)
def test_a_filter(pattern: str, found: set[str] | None) -> None:
    tags = {row["tag"] for row in rows(FRAGMENTED, "--filter", pattern)}

    assert tags == (found if found is not None else {"MmCm", "NDpp", "File", "Wxyz", "LSwi"})


def test_a_filter_without_a_match_is_no_error() -> None:
    assert run(FRAGMENTED, "--filter", "Zzzz").exit_code == 0


def test_csv_is_exact_and_leaves_unknown_cells_empty() -> None:
    result = run(SEVERAL, "--csv", "-")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == COLUMNS
    table = list(csv.DictReader(io.StringIO(result.stdout)))
    ddk = next(row for row in table if row["tag"] == "Ddk")
    assert ddk["bytes"] == ""
    assert ddk["outstanding"].isdecimal()
    assert len(table) == len(rows(SEVERAL))


def test_csv_and_json_in_files_beside_the_table(tmp_path: Path) -> None:
    table, document = tmp_path / "t.csv", tmp_path / "t.json"

    result = run(FRAGMENTED, "--csv", str(table), "--json", str(document))

    assert result.exit_code == 0
    assert "MmCm" in result.stdout
    assert table.read_text("utf-8").startswith(COLUMNS)
    assert json.loads(document.read_text("utf-8"))[0]["tag"] == "MmCm"


def hostile_report(tmp_path: Path) -> str:
    tag = {"allocs": None, "frees": None, "outstanding": 1, "bytes": 2, "session": None}
    unknown = dict.fromkeys(
        ("os", "build", "architecture", "pae", "physical_bytes", "captured_at", "uptime_seconds", "bugcheck")
    )
    machine: dict[str, Any] = {
        "name": None,
        "inputs": [],
        "system": unknown,
        "pools": {"nonpaged": {}, "paged": {}, "sessions": []},
        "tags": [
            {**tag, "tag": '=HYPERLINK("x")', "pool": "@pool", "description": "=cmd|'/c calc'!A1", "driver": "+x.sys"},
            {**tag, "tag": "@GMM", "pool": "paged", "description": "-2+3", "driver": "\tx.sys"},
        ],
        "conclusion": None,
        "findings": [],
    }
    path = tmp_path / "report.json"
    document = {
        "schema": "poolsleuth.report/1",
        "tool": {"name": "poolsleuth", "version": "0.1.0"},
        "inputs": [],
        "machines": [machine],
        "problems": [],
    }
    path.write_text(json.dumps(document), "utf-8")
    return str(path)


def test_no_text_becomes_a_formula(tmp_path: Path) -> None:
    table = list(csv.reader(io.StringIO(run(hostile_report(tmp_path), "--csv", "-").stdout)))

    cells = [cell for row in table[1:] for cell in row]
    # A real tag may begin with such a sign; four characters can do no harm, and a changed tag would be a wrong one
    assert [cell for cell in cells if cell[:1] in tuple("=+-@\t\r") and cell[:1]] == ["@GMM"]


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    target = tmp_path / "t.csv"
    target.write_text("precious", "utf-8")

    assert run(FRAGMENTED, "--csv", str(target)).exit_code == 2
    assert target.read_text("utf-8") == "precious"
    assert run(FRAGMENTED, "--csv", str(target), "--force").exit_code == 0
    assert target.read_text("utf-8").startswith(COLUMNS)


def test_an_input_is_not_overwritten(tmp_path: Path) -> None:
    log = tmp_path / "kd.log"
    log.write_bytes(Path(FRAGMENTED).read_bytes())

    assert run(str(log), "--json", str(log), "--force").exit_code == 2
    assert log.read_bytes() == Path(FRAGMENTED).read_bytes()


def test_two_outputs_in_one_place_are_refused(tmp_path: Path) -> None:
    assert run(FRAGMENTED, "--csv", "-", "--json", "-").exit_code == 2
    target = str(tmp_path / "out")
    assert run(FRAGMENTED, "--csv", target, "--json", target).exit_code == 2
    assert not Path(target).exists()


def test_evidence_without_tags(tmp_path: Path) -> None:
    log = tmp_path / "kd.log"
    log.write_text(
        "0: kd> !locks\n**** DUMP OF ALL RESOURCE OBJECTS ****\n100 total locks, 0 locks currently held\n", "utf-8"
    )

    result = run(str(log))

    assert result.exit_code == 2
    assert "`!poolused`" in result.stderr


def test_a_missing_file() -> None:
    result = run("missing.log")

    assert result.exit_code == 2
    assert "missing.log" in result.stderr


def test_a_list_of_tags_names_drivers(tmp_path: Path) -> None:
    listed = tmp_path / "pooltag.txt"
    listed.write_text("rem ours\nWxyz - wxyz.sys - Ours\nAbcd - a.sys - A\n", "utf-8")

    (row,) = rows(FRAGMENTED, "--pooltags", str(listed), "--filter", "Wxyz")

    assert (row["driver"], row["description"]) == ("wxyz.sys", "Ours")


def test_help() -> None:
    result = run("--help")

    assert result.exit_code == 0
    for word in ("--sort", "--top", "--pool", "--filter", "--csv", "--json", "Exit status"):
        assert word in result.stdout
