"""The table as Parquet: equal to the CSV."""

import csv
import io
import os
from pathlib import Path

import polars as pl
import pytest

from poolsleuth.export.parquet import write_parquet
from poolsleuth.export.table import time_text, write_csv
from poolsleuth.reading import Selection

DATA = Path(__file__).parents[3] / "shared" / "data" / "counters"
HEADER = r'"(PDH-CSV 4.0) (GMT Standard Time)(0)","\\SRV\Memory\Pool Nonpaged Bytes","\\SRV\Odd(""a, b"")\%"'


@pytest.fixture
def log(tmp_path: Path) -> str:
    rows = [
        HEADER,
        '"01/15/2024 10:00:00.123","9007199254740991"," "',
        '"01/15/2024 10:01:00.000"," ","0.1"',
        '"01/15/2024 10:02:00.000","3","-1.5e-300"',
    ]
    path = tmp_path / "perf.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return str(path)


def as_rows(target: Path) -> list[list[object]]:
    frame = pl.read_parquet(target)
    return [[time_text(row[0].timestamp()), *row[1:]] for row in frame.iter_rows()]


def csv_rows(path: str) -> tuple[list[str], list[list[object]]]:
    out = io.StringIO()
    write_csv([path], out)
    head, *rows = csv.reader(io.StringIO(out.getvalue()))
    return head, [[row[0], *(float(cell) if cell else None for cell in row[1:])] for row in rows]


def test_it_equals_the_csv(log: str, tmp_path: Path) -> None:
    target = tmp_path / "out" / "t.parquet"
    target.parent.mkdir()

    table = write_parquet([log], target)

    head, rows = csv_rows(log)
    assert pl.read_parquet(target).columns == head == ["time", *table.columns]
    assert as_rows(target) == rows
    assert rows[0] == ["2024-01-15T10:00:00.123Z", 9007199254740991.0, None]
    assert os.listdir(target.parent) == ["t.parquet"]  # noqa: PTH208 - hidden leftovers count too


@pytest.mark.parametrize("name", ["PowerShell_CounterSamples.blg", "PAL_SampleLog.blg"])
def test_real_logs_equal_their_csv(name: str, tmp_path: Path) -> None:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not there")
    target = tmp_path / "t.parquet"

    write_parquet([str(path)], target)

    head, rows = csv_rows(str(path))
    assert pl.read_parquet(target).columns == head
    assert as_rows(target) == rows
    schema = pl.read_parquet_schema(target)
    assert schema["time"] == pl.Datetime("us", "UTC") or schema["time"] == pl.Datetime("ms", "UTC")
    assert {kind for name, kind in schema.items() if name != "time"} == {pl.Float64}


def test_nothing_is_written_when_there_is_nothing(tmp_path: Path) -> None:
    noise, target = tmp_path / "noise.txt", tmp_path / "t.parquet"
    noise.write_text("nothing\n", encoding="utf-8")

    table = write_parquet([str(noise)], target)

    assert (table.columns, target.exists()) == ([], False)
    assert table.problems
    assert sorted(os.listdir(tmp_path)) == ["noise.txt"]  # noqa: PTH208


def test_a_window_without_rows_is_a_table_without_rows(log: str, tmp_path: Path) -> None:
    target = tmp_path / "t.parquet"
    write_parquet([log], target, selection=Selection(since=2e9))
    assert pl.read_parquet(target).shape == (0, 3)


def test_an_older_file_stays_when_writing_breaks(log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "t.parquet"
    target.write_bytes(b"old")

    def broken(self: pl.LazyFrame, *_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.LazyFrame, "sink_parquet", broken)
    with pytest.raises(OSError, match="No space"):
        write_parquet([log], target)
    assert target.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["perf.csv", "t.parquet"]  # noqa: PTH208


def test_a_device_is_never_replaced(log: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="not a file"):
        write_parquet([log], pipe)
    assert pipe.is_fifo()


def test_names_of_any_kind_are_columns(tmp_path: Path) -> None:
    names = [r"\\SRV\O(a, b)\C", r'\\SRV\O("x")\C', r"\\SRV\Größe(日本)\%", "\\\\SRV\\O(a\x0b\x1cb\x85)\\C"]
    lines = [
        ",".join(['"(PDH-CSV 4.0) (GMT Standard Time)(0)"', *('"' + n.replace('"', '""') + '"' for n in names)]),
        '"01/15/2024 10:00:00.000","1","2","3","4"',
    ]
    path, target = tmp_path / "perf.csv", tmp_path / "t.parquet"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    table = write_parquet([str(path)], target)

    assert len(table.columns) == 4
    assert pl.read_parquet(target).row(0)[1:] == (1.0, 2.0, 3.0, 4.0)
    assert pl.read_parquet(target).columns[1:] == table.columns
