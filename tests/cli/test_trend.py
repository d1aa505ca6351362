"""``poolsleuth trend`` as it is typed."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import polars as pl
import pytest
from click.testing import CliRunner, Result

from poolsleuth.cli import trend as module
from poolsleuth.cli.output import write_target, write_target_bytes
from poolsleuth.cli.trend import trend
from poolsleuth.model.document import from_json

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "counters"
HEALTHY = str(ROOT / "examples" / "healthy.log")
START = datetime(2024, 1, 15, tzinfo=UTC)
NONPAGED, OTHER = r"\\SRV\Memory\Pool Nonpaged Bytes", r"\\SRV\Cache\Copy Reads/sec"


def run(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(trend, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == status, result.output
    return result


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def real(name: str) -> str:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not there")
    return str(path)


def write_log(path: Path, rows: Iterable[Sequence[object]], columns: Sequence[str] = (NONPAGED, OTHER)) -> str:
    """A counter log in text form: one row each hour."""
    lines = [",".join(f'"{name}"' for name in ("(PDH-CSV 4.0) (GMT Standard Time)(0)", *columns))]
    for place, row in enumerate(rows):
        cells = [f"{START + timedelta(hours=place):%m/%d/%Y %H:%M:%S}.000", *row]
        lines.append(",".join(f'"{cell}"' for cell in cells))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def log(tmp_path: Path) -> str:
    """Two days, hourly: the nonpaged pool grows by 4 MB an hour."""
    return write_log(tmp_path / "perf.csv", ([200_000_000 + (i << 22), i % 7] for i in range(48)))


# ---- the table --------------------------------------------------------------------------------------------------


def test_three_forms_of_a_real_log_on_standard_output() -> None:
    said = [run(real(f"PowerShell_CounterSamples.{e}"), "--csv", "-") for e in ("blg", "csv", "tsv")]

    assert said[0].stdout_bytes == said[1].stdout_bytes == said[2].stdout_bytes
    assert [r.stderr for r in said] == ["", "", ""]
    head, *rows = rows_of(said[0].stdout)
    assert head[0] == "time"
    assert len(rows) == 25
    assert sum(cell != "" for row in rows for cell in row[1:]) == 242
    assert all(row[0].endswith("Z") and row[0][-5] == "." for row in rows)


def test_a_trace_alone_exits_2_and_is_named() -> None:
    result = run(real("ShutdownPerfDiagLogger.etl"), "--csv", "-", status=2)
    assert result.stdout == ""
    assert "ShutdownPerfDiagLogger.etl" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_trace_beside_a_log_is_named_and_the_log_is_written() -> None:
    good = real("PowerShell_CounterSamples.csv")
    result = run(real("ShutdownPerfDiagLogger.etl"), good, "--csv", "-")
    assert result.stdout == run(good, "--csv", "-").stdout
    assert "ShutdownPerfDiagLogger.etl" in result.stderr


@pytest.mark.parametrize("arguments", [(), ("--json", "-")])
def test_a_trace_alone_exits_2_whatever_is_asked(arguments: tuple[str, ...]) -> None:
    result = run(real("ShutdownPerfDiagLogger.etl"), *arguments, status=2)
    assert "ShutdownPerfDiagLogger.etl" in result.stderr


def test_only_the_columns_that_are_asked_for(log: str) -> None:
    assert rows_of(run(log, "--csv", "-", "--counter", r"*\Pool *").stdout)[0] == ["time", NONPAGED]
    assert rows_of(run(log, "--csv", "-", "--counter", "copy*").stdout)[0] == ["time", OTHER]
    result = run(log, "--csv", "-", "--counter", "nothing*", status=2)
    assert result.stdout == ""
    assert "holds no counter that nothing* names" in result.stderr


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        ("2024-01-15T10:00", "2024-01-15T12:00Z", ["10", "11", "12"]),
        ("2024-01-15T11:00:00+01:00", "2024-01-15T11:00:00", ["10", "11"]),
        ("2024-01-16T22:00:00.001", None, ["23"]),
        (None, "2024-01-15", [f"{h:02}" for h in range(24)]),  # a day is meant with all its hours
        ("2024-01-16", "2024-01-16", [f"{h:02}" for h in range(24)]),
        (None, "20240115", [f"{h:02}" for h in range(24)]),
        (None, "2024-W03-1", [f"{h:02}" for h in range(24)]),
    ],
)
def test_the_window_of_time(log: str, since: str | None, until: str | None, hours: list[str]) -> None:
    options = [*(("--since", since) if since else ()), *(("--until", until) if until else ())]
    rows = rows_of(run(log, "--csv", "-", *options).stdout)[1:]
    assert [row[0][11:13] for row in rows] == hours


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01", "2024-01-15T25:00", "0", "01/15/2024", "-1", "\x00"])
@pytest.mark.parametrize("option", ["--since", "--until"])
def test_a_time_that_is_none(log: str, option: str, text: str) -> None:
    result = run(log, "--csv", "-", option, text, status=2)
    assert f"{option} " in result.stderr
    assert "2026-03-27T10:15" in result.stderr
    assert result.stdout == ""


def test_the_ends_of_time_are_times(log: str) -> None:
    run(log, "--csv", "-", "--since", "0001-01-01T00:00+14:00", "--until", "9999-12-31")


def test_bounds_in_the_wrong_order(log: str) -> None:
    assert "--since is later" in run(log, "--since", "2024-01-16", "--until", "2024-01-15", status=2).stderr


def test_a_window_without_samples(log: str) -> None:
    result = run(log, "--since", "2025-01-01", status=2)
    assert "no sample in the time that was asked for" in result.stderr
    assert "poolsleuth collect` prints how to record them)" not in result.stderr.splitlines()[0]


def test_parquet_equals_csv(log: str, tmp_path: Path) -> None:
    target = tmp_path / "t.parquet"
    said = rows_of(run(log, "--csv", "-", "--parquet", str(target)).stdout)
    frame = pl.read_parquet(target)
    assert frame.columns == said[0]
    assert [[str(int(v)) for v in row] for row in frame.drop("time").iter_rows()] == [row[1:] for row in said[1:]]


def test_problems_are_told_once(log: str, tmp_path: Path) -> None:
    result = run(log, str(tmp_path / "missing.blg"), "--csv", "-", "--parquet", str(tmp_path / "t.parquet"))
    assert result.stderr.count("missing.blg") == 1


# ---- what is overwritten ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--csv", "--parquet", "--svg", "--png", "--json"])
def test_nothing_is_overwritten_without_force(log: str, tmp_path: Path, option: str) -> None:
    target = tmp_path / "old"
    target.write_text("old", encoding="utf-8")

    assert "--force" in run(log, option, str(target), status=2).stderr
    assert target.read_text(encoding="utf-8") == "old"

    run(log, option, str(target), "--force")
    assert target.read_bytes() != b"old"
    assert sorted(os.listdir(tmp_path)) == ["old", "perf.csv"]  # noqa: PTH208 - hidden leftovers count too


@pytest.mark.parametrize("option", ["--csv", "--parquet", "--svg", "--png", "--json"])
def test_an_input_is_never_overwritten(log: str, option: str) -> None:
    before = Path(log).read_bytes()
    assert "one of the inputs" in run(log, option, log, "--force", status=2).stderr
    assert Path(log).read_bytes() == before


@pytest.mark.parametrize("option", ["--csv", "--parquet", "--svg", "--png"])
def test_no_file_appears_when_there_is_nothing_to_write(tmp_path: Path, option: str) -> None:
    noise = tmp_path / "noise.txt"
    noise.write_text("nothing\n", encoding="utf-8")
    run(str(noise), option, str(tmp_path / "new"), status=2)
    assert sorted(os.listdir(tmp_path)) == ["noise.txt"]  # noqa: PTH208


@pytest.mark.parametrize("option", ["--csv", "--parquet"])
def test_no_file_is_left_half_written(log: str, tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("poolsleuth.export.table.csv.writer", breaks)
    result = run(log, option, str(tmp_path / "new"), status=1)
    assert "No space left on device" in result.stderr
    assert sorted(os.listdir(tmp_path)) == ["perf.csv"]  # noqa: PTH208


def test_two_outputs_of_one_name(log: str, tmp_path: Path) -> None:
    one, same = str(tmp_path / "x"), str(tmp_path / "y" / ".." / "x")
    (tmp_path / "y").mkdir()
    for other in (one, same):
        assert "same file name" in run(log, "--csv", one, "--json", other, status=2).stderr
    assert "only one output" in run(log, "--csv", "-", "--json", "-", status=2).stderr
    for option in ("--parquet", "--svg", "--png"):
        assert "to a file" in run(log, option, "-", status=2).stderr


def pieces(*parts: bytes) -> Iterator[bytes]:
    """Pieces of a file that cannot be finished."""
    yield from parts
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_file_whose_pieces_break_off_is_not_written(tmp_path: Path, old: bytes | None) -> None:
    target = tmp_path / "t.csv"
    if old is not None:
        target.write_bytes(old)
    with pytest.raises(click.ClickException, match="Input/output error"):
        write_target_bytes(str(target), pieces(b"time,", b"a\n"))
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([] if old is None else [old])


def test_pieces_are_written_one_after_the_other(tmp_path: Path) -> None:
    target = tmp_path / "t.csv"
    write_target(str(target), iter(["a", "ü", "\udcff"]))
    assert target.read_bytes() == "aü?".encode()
    write_target_bytes(str(target), b"\x89PNG")
    assert target.read_bytes() == b"\x89PNG"
    write_target_bytes(os.devnull, [b"x", b"y"])
    assert not Path(os.devnull).is_file()


# ---- the summary, the report, the picture -----------------------------------------------------------------------


def test_the_summary(log: str) -> None:
    said = run(log).stdout
    assert said.startswith("SRV\nfrom 2024-01-15 00:00:00 UTC over 47 hours\n")
    assert "nonpaged pool" in said
    assert "190.7 MB" in said
    assert "Copy Reads" not in said
    assert r"\Cache\Copy Reads/sec" in run(log, "--counter", "copy*").stdout


def test_the_report_and_the_pictures(log: str, tmp_path: Path) -> None:
    svg, png = tmp_path / "t.svg", tmp_path / "t.png"
    result = run(log, "--json", "-", "--svg", str(svg), "--png", str(png))
    (machine,) = from_json(result.stdout).machines
    assert [(s.kind, s.pool, s.samples) for s in machine.series] == [("pool", "nonpaged", 48)]
    assert b"<svg" in svg.read_bytes()[:2000]
    assert png.read_bytes().startswith(b"\x89PNG\r\n")


def test_one_capture_is_nothing_over_time() -> None:
    result = run(HEALTHY, status=2)
    assert "captured at two known times" in result.stderr
    assert result.stdout == ""


def test_a_report_that_is_read_back_is_shown(log: str, tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    run(log, "--json", str(report))
    assert run(str(report)).stdout == run(log).stdout
    assert json.loads(report.read_text(encoding="utf-8"))["machines"][0]["series"]


# ---- the ways of a process ----------------------------------------------------------------------------------------


def test_a_reader_that_goes_away_gets_no_traceback(tmp_path: Path) -> None:
    big = write_log(tmp_path / "big.csv", ([i, i] for i in range(20_000)))
    process = subprocess.Popen(
        [sys.executable, "-m", "poolsleuth", "trend", big, "--csv", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        assert process.stdout.readline().startswith(b"time,")
        process.stdout.close()  # as `| head -1` does
        assert process.stderr.read() == b""
    assert process.returncode in {0, 1}  # as the version of click has it; what counts is the silence


def test_the_table_of_a_pipe_is_written_in_pieces(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COPY", 7)
    small = run(log, "--csv", "-").stdout
    monkeypatch.undo()
    assert small == run(log, "--csv", "-").stdout


@pytest.mark.parametrize(
    ("option", "name", "told"),
    [
        ("--counter", "*nosuch*", "no counter here is named *nosuch*"),
        ("--counter", r"\Memory\Commit Limit", ""),
        ("--tag", "Nope", "no tag here is named Nope"),
        ("--tag", "Ex*", ""),
    ],
)
def test_a_name_that_nothing_has_is_said(option: str, name: str, told: str) -> None:
    examples = Path(__file__).parents[2] / "examples"
    log = examples / ("leak-counters.csv" if option == "--counter" else "leak-poolmon.log")

    result = CliRunner().invoke(trend, [str(log), option, name])

    assert result.exit_code == 0
    assert told in result.stderr
    assert bool(result.stderr) is bool(told)
