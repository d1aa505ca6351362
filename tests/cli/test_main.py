import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import poolsleuth
from poolsleuth import __version__
from poolsleuth.cli.main import COMMANDS, cli, main
from poolsleuth.model.errors import InputError

LOGS = Path(__file__).parents[1] / "data" / "logs"
UNTAGGED = str(LOGS / "untagged.txt")
ENVIRONMENT = {**os.environ, "COLUMNS": "80", "PYTHONDONTWRITEBYTECODE": "1"}


def shell(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "poolsleuth", *arguments],
        capture_output=True,
        encoding="utf-8",
        env=ENVIRONMENT,
        timeout=60,
        check=False,
    )


def test_a_real_run() -> None:
    done = shell("diagnose", UNTAGGED)

    assert (done.returncode, done.stderr) == (1, "")
    assert "ExAllocatePool" in done.stdout
    assert "\x1b" not in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_wrong_usage_says_what_to_do() -> None:
    done = shell("diagnose", "--jsn", "-", UNTAGGED)

    assert (done.returncode, done.stdout) == (2, "")
    assert "--json" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["diagnose", "-vv"], ["diagnose", "--json", "-"], ["tags", "--csv", "-"]])
def test_a_reader_that_leaves_early_is_no_error(command: list[str]) -> None:
    # As `poolsleuth ... | head -0` does: our output meets a closed pipe
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "poolsleuth", *command, UNTAGGED],
            stdout=writing,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=ENVIRONMENT,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)

    assert done.stderr == ""
    assert done.returncode == 1


def status_of(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    code = stopped.value.code
    assert isinstance(code, int)
    return code


def test_the_exit_status_of_a_command_is_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("diagnose", UNTAGGED) == 1
    assert status_of("tags", UNTAGGED) == 0
    assert status_of("diagnose", "missing.log") == 2
    assert status_of("diagnose") == 2
    assert status_of("no-such-command") == 2
    capsys.readouterr()


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (InputError("the reason"), 2, "poolsleuth: the reason"),
        (click.UsageError("wrong"), 2, "wrong"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
    ],
)
def test_errors_become_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    says: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli, "main", fail)

    assert status_of("diagnose", UNTAGGED) == status
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["-h"]])
def test_help_lists_every_command(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, arguments)

    assert result.exit_code == 0
    assert {"diagnose", "tags", "limits"} <= set(COMMANDS)
    for name in COMMANDS:
        assert name in result.output


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(cli, [command, "--help"])

    assert result.exit_code == 0
    assert "Usage:" in result.output
    assert max(len(line) for line in result.output.splitlines()) <= 100


def test_each_command_has_one_line_in_the_list() -> None:
    shown = CliRunner().invoke(cli, ["--help"], terminal_width=80).output
    assert shown.rstrip().endswith("\n".join(f"  {name:<8}  {says}" for name, says in COMMANDS.items()))


def test_the_list_of_commands_waits_for_none_of_them() -> None:
    code = (
        "import sys, poolsleuth.cli.main as m\ntry:\n    m.main(['--help'])\nexcept SystemExit:\n"
        "    print('numpy' in sys.modules, 'poolsleuth.pipeline' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, encoding="utf-8")
    assert done.stdout.splitlines()[-1] == "False False"


def test_the_package_gives_what_it_promises() -> None:
    assert all(getattr(poolsleuth, name) is not None for name in poolsleuth.__all__)
    assert set(poolsleuth.__all__) <= set(dir(poolsleuth))
    assert not hasattr(poolsleuth, "no_such_thing")


def test_the_version() -> None:
    assert __version__ in CliRunner().invoke(cli, ["--version"]).output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full here")
@pytest.mark.parametrize("command", ["diagnose", "trend", "tags"])
def test_a_full_disk_is_one_sentence(command: str) -> None:
    log = Path(__file__).parents[2] / "examples" / "leak-poolmon.log"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "poolsleuth", command, str(log)],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            text=True,
        )

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "the output could not be written" in done.stderr
