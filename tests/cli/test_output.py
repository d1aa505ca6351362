import os
from pathlib import Path

import click
import pytest

from poolsleuth.cli.output import check_target, progress_on_terminal, say_problems, write_target
from poolsleuth.model.report import Report, ReportInput, ReportProblem


def check(target: str | None, *inputs: str, force: bool = False) -> None:
    check_target(target, inputs, force=force, option="--json")


def test_no_target_and_standard_output_need_no_check() -> None:
    check(None)
    check("-", "-")


def test_a_new_name_is_free(tmp_path: Path) -> None:
    check(str(tmp_path / "new.json"))


def test_what_exists_needs_force(tmp_path: Path) -> None:
    target = tmp_path / "old.json"
    target.touch()

    with pytest.raises(click.UsageError, match="--force"):
        check(str(target))
    check(str(target), force=True)


def test_an_input_under_another_name(tmp_path: Path) -> None:
    log, link = tmp_path / "kd.log", tmp_path / "link.json"
    log.touch()
    link.symlink_to(log)

    with pytest.raises(click.UsageError, match="one of the inputs"):
        check(str(link), str(log), force=True)


def test_a_missing_input_is_no_hindrance(tmp_path: Path) -> None:
    check(str(tmp_path / "new.json"), str(tmp_path / "missing.log"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="directory"):
        check(str(tmp_path), force=True)


def test_a_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="does not exist"):
        check(str(tmp_path / "no" / "new.json"))


def test_a_file_is_complete_or_not_there(tmp_path: Path) -> None:
    target = tmp_path / "r.txt"

    write_target(str(target), "für alle\n")

    assert target.read_bytes() == "für alle\n".encode()
    assert os.listdir(tmp_path) == ["r.txt"]  # noqa: PTH208 - hidden leftovers count too


def test_a_broken_character_is_replaced_not_raised(tmp_path: Path) -> None:
    write_target(str(tmp_path / "r.txt"), "tag \udcff")

    assert (tmp_path / "r.txt").read_bytes() == b"tag ?"


def test_a_file_may_be_read_by_others_as_usual(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        write_target(str(tmp_path / "r.txt"), "x")
    finally:
        os.umask(mask)

    assert (tmp_path / "r.txt").stat().st_mode & 0o777 == 0o644


def test_a_device_is_written_to() -> None:
    write_target(os.devnull, "x")

    assert not Path(os.devnull).is_file()


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="could not be written"):
        write_target(str(tmp_path / "gone" / "r.txt"), "x")


def test_problems_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(
        tool_version="0",
        inputs=(ReportInput("kd.log", None, None, None),),
        machines=(),
        problems=(
            ReportProblem("kd.log: it is empty", 0),
            ReportProblem("a table is cut", 0, "line 12"),
            ReportProblem("evil \x1b[2J", None),
        ),
    )

    say_problems(report)

    said = capsys.readouterr()
    assert said.out == ""
    first, second, third = said.err.splitlines()
    assert first == "poolsleuth: kd.log: it is empty"
    assert "line 12" in second
    assert "\x1b" not in third


def test_no_bar_where_standard_error_is_no_terminal() -> None:
    with progress_on_terminal() as progress:
        assert progress is None
