"""``poolsleuth lab run`` at the command line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from poolsleuth.cli.lab import lab
from poolsleuth.cli.main import cli
from poolsleuth.lab.course.evidence import FILES, TRUTH
from poolsleuth.lab.course.scenarios import SCENARIOS

SMALL = ("--ram", "256MB", "--tags", "60", "--processors", "1", "--hours", "2", "--every", "10m")


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(lab, ["run", *arguments])
    return result.exit_code, result.stdout, str(result.exception or "") + result.stderr


def test_everything_is_written_and_agrees_with_the_truth(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    status, text, _ = run("nonpaged-pool-depletion", "--windows", "3790-x86", "--out", str(folder), *SMALL)
    assert status == 0
    assert "2 hours in 13 samples" in text
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES.values(), TRUTH])
    document = json.loads((folder / TRUTH).read_text())
    assert document["schema"] == "poolsleuth.lab-run/1"
    assert document["files"] == list(FILES.values())
    (guilty,) = document["guilty"]
    assert (guilty["tag"], guilty["pool"], guilty["driver"]) == ("Leak", "nonpaged", "myfault.sys")
    assert guilty["rates"][0]["bytes_per_hour"] > 1 << 20
    course, machine = document["course"], document["machine"]
    assert course["at"][0] == document["began_at"]
    assert course["at"][-1] == document["ended_at"] == machine["crashed_at"]
    assert course["nonpaged_bytes"][-1] == machine["memory"]["nonpaged_used"] * 4096
    assert course["failures"][-1] > 0
    (leak,) = [row for row in machine["tags"] if row["tag"] == "Leak"]
    (told,) = course["tags"]
    assert told["bytes"][0] == 0
    assert told["bytes"][-1] == leak["nonpaged"]["bytes"]
    # The counters' last line is the dump's moment
    last = (folder / FILES["csv"]).read_text("cp1252").splitlines()[-1].split(",")
    assert f'"{machine["memory"]["nonpaged_used"] * 4096}"' in last


def test_only_what_is_asked_for(tmp_path: Path) -> None:
    status, _, _ = run("healthy", "--out", str(tmp_path), "--evidence", "csv, poolmon", *SMALL)
    assert status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILES["csv"], FILES["poolmon"], TRUTH]
    assert json.loads((tmp_path / TRUTH).read_text())["machine"]["modules"][0]["base"] is None  # no dump was made


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    mine = tmp_path / FILES["csv"]
    mine.write_text("mine")
    arguments = ("healthy", "--out", str(tmp_path), "--evidence", "csv", *SMALL)
    status, _, error = run(*arguments)
    assert status == 2
    assert "counters.csv exists already" in error
    assert [path.name for path in tmp_path.iterdir()] == [FILES["csv"]]
    assert mine.read_text() == "mine"
    assert run(*arguments, "--force")[0] == 0
    assert mine.read_text("cp1252").startswith('"(PDH-CSV')
    other = ("healthy", "--out", str(tmp_path), "--evidence", "poolmon", "--force", *SMALL)
    assert "counters.csv in" in run(*other)[2]  # of another run: it is said, and the file stays
    assert mine.exists()


def test_what_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("poolsleuth.lab.course.evidence.crash", fail)
    status, _, error = run("healthy", "--out", str(tmp_path / "run"), *SMALL)
    assert status == 1
    assert "No space left on device" in error
    assert list((tmp_path / "run").iterdir()) == []


def test_the_same_options_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert run("pool-load", "--windows", "3790-x86", "--out", str(tmp_path / name), *SMALL)[0] == 0
    for file in (*FILES.values(), TRUTH):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_one_sentence_for_what_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "taken" / FILES["csv"]).mkdir(parents=True)
    out = str(tmp_path / "run")
    for arguments, says in (
        (("war", "--out", out), "no scenario called 'war'"),
        (("healthy", "--out", out, "--windows", "95"), "no Windows called '95'"),
        (("healthy", "--out", out, "--hours", "0"), "a course takes up to"),
        (("healthy", "--out", out, "--hours", "nan"), "a course takes up to"),
        (("healthy", "--out", out, "--hours", "9000"), "a course takes up to"),
        (("healthy", "--out", out, "--hours", "2000", "--every", "1m"), "take fewer"),
        (("healthy", "--out", out, "--every", "soon"), "is not a time"),
        (("healthy", "--out", out, "--evidence", "etl"), "the kinds of evidence are"),
        (("healthy", "--out", out, "--evidence", ""), "the kinds of evidence are"),
        (("pool-corruption", "--out", out), "before 10 1809"),
        (("healthy", "--out", str(tmp_path / "file")), "is no folder"),
        (("healthy", "--out", str(tmp_path / "taken"), "--force"), "no regular file"),
        (("healthy", "--out", out, "--ram", "1MB"), "64 MB to"),
    ):
        status, _, error = run(*arguments)
        assert status != 0
        assert says in error
        assert not Path(out).exists()


@pytest.mark.parametrize(("scenario", "status"), [("healthy", 0), ("nonpaged-pool-depletion", 1)])
def test_the_files_of_a_run_are_diagnosed_together(scenario: str, status: int, tmp_path: Path) -> None:
    assert run(scenario, "--windows", "3790-x86", "--out", str(tmp_path), *SMALL)[0] == 0
    files = [str(tmp_path / name) for name in FILES.values()]
    result = CliRunner().invoke(cli, ["diagnose", "--offline", "--json", "-", *files])
    assert result.exit_code == status
    (machine,) = json.loads(result.stdout)["machines"]
    assert machine["inputs"] == list(range(len(files)))


def test_scenarios_are_listed() -> None:
    text = CliRunner().invoke(lab, ["list"]).stdout
    document = json.loads(CliRunner().invoke(lab, ["list", "--json"]).stdout)
    assert set(document["scenarios"]) == set(SCENARIOS)
    for name, scenario in SCENARIOS.items():
        assert name in text
        assert scenario.says in text
