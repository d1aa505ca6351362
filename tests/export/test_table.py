"""The table of all series: counter logs, several of them, and tag tables."""

import csv
import io
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.export.table import Table, number_text, time_text, write_csv
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.reading import EVERYTHING, Selection
from poolsleuth.sampling.recording.writer import RecordingWriter
from poolsleuth.sampling.sample import Host, Sample, TagFigures, TagIndex

DATA = Path(__file__).parents[3] / "shared" / "data" / "counters"
START = datetime(2024, 1, 15, 10, 0, tzinfo=UTC)
NONPAGED, PAGED = r"\\SRV\Memory\Pool Nonpaged Bytes", r"\\SRV\Memory\Pool Paged Bytes"
Cell = float | str | None


def real(name: str) -> str:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not there")
    return str(path)


def write_log(
    path: Path, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, minute: float = 0.0, zone: str = "(0)"
) -> str:
    """A counter log in text form: one row each minute."""
    lines = [",".join(f'"{name}"' for name in ("(PDH-CSV 4.0) (GMT Standard Time)" + zone, *columns))]
    for place, row in enumerate(rows):
        when = START + timedelta(minutes=minute + place)
        cells = [f"{when:%m/%d/%Y %H:%M:%S}.000", *(" " if v is None else str(v) for v in row)]
        lines.append(",".join(f'"{cell}"' for cell in cells))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def table_of(*paths: str, selection: Selection = EVERYTHING) -> tuple[list[list[str]], Table]:
    out = io.StringIO()
    table = write_csv(paths, out, selection=selection)
    rows = list(csv.reader(io.StringIO(out.getvalue(), newline="")))
    assert len(rows) == (table.rows + 1 if table.columns else 0)
    assert {len(row) for row in rows} <= {len(table.columns) + 1}
    if rows:
        assert rows[0] == ["time", *table.columns]
    return rows, table


# ---- real logs --------------------------------------------------------------------------------------------------


def test_the_three_forms_of_one_real_log_are_one_table() -> None:
    (blg, _), (text, _), (tabs, _) = (
        table_of(real(f"PowerShell_CounterSamples.{ending}")) for ending in ("blg", "csv", "tsv")
    )

    assert blg == text == tabs
    head, *rows = blg
    assert head[0] == "time"
    assert len(head) == 11
    assert len(rows) == 25
    cells = [cell for row in rows for cell in row[1:]]
    assert (len([c for c in cells if c]), len([c for c in cells if not c])) == (242, 8)
    # "11/26/2016 13:46:30.874"," "," "," "," "," "," ","86.93735103284412"," "," ","0", and a bias of 480 minutes
    assert rows[0] == ["2016-11-26T21:46:30.874Z", "", "", "", "", "", "", "86.93735103284412", "", "", "0"]
    # The third row begins with "11/26/2016 13:46:36.879","0","3505.2011748142254"
    assert rows[2][:3] == ["2016-11-26T21:46:36.879Z", "0", "3505.2011748142254"]
    assert [row[0] for row in rows] == sorted({row[0] for row in rows})


def test_a_real_log_of_whole_objects() -> None:
    """PAL_SampleLog.blg: 11 samples, 1,832 series, Pool Nonpaged Bytes 28,422,144 to 28,782,592."""
    (head, *rows), table = table_of(real("PAL_SampleLog.blg"))

    assert len(rows) == 11
    assert len(table.columns) == 1832
    place = head.index(r"\\ZACH-PC\Memory\Pool Nonpaged Bytes")
    values = [int(row[place]) for row in rows]
    assert (values[0], values[-1]) == (28_422_144, 28_782_592)
    assert len(set(head)) == len(head)


def test_a_trace_without_counters_is_named_and_harms_nothing() -> None:
    trace, good = real("ShutdownPerfDiagLogger.etl"), real("PowerShell_CounterSamples.csv")

    rows, table = table_of(trace)
    assert (rows, table.columns) == ([], [])
    (problem,) = table.problems
    assert "ShutdownPerfDiagLogger.etl" in problem
    assert "trace" in problem

    both, beside = table_of(trace, good)
    assert both == table_of(good)[0]
    assert beside.problems == [problem]


def test_only_the_pool_counters_of_a_real_log() -> None:
    (head, *rows), _ = table_of(real("PAL_SampleLog.blg"), selection=Selection(counters=(r"*\Pool *",)))

    assert len(rows) == 11
    assert r"\\ZACH-PC\Memory\Pool Nonpaged Bytes" in head
    assert all("\\pool " in name.casefold() for name in head[1:])


# ---- several logs -----------------------------------------------------------------------------------------------


def test_two_logs_of_one_machine_are_joined_in_time(tmp_path: Path) -> None:
    later = write_log(tmp_path / "b.csv", [PAGED, NONPAGED.lower()], [[7, 3], [8, 4]], minute=10)
    earlier = write_log(tmp_path / "a.csv", [NONPAGED], [[1], [2]])

    (head, *rows), table = table_of(later, earlier)

    assert head == ["time", PAGED, NONPAGED.lower()]  # one column whatever the case
    assert rows == [
        ["2024-01-15T10:00:00.000Z", "", "1"],
        ["2024-01-15T10:01:00.000Z", "", "2"],
        ["2024-01-15T10:10:00.000Z", "7", "3"],
        ["2024-01-15T10:11:00.000Z", "8", "4"],
    ]
    assert table.problems == []


def test_rows_of_one_time_are_one_row_unless_they_say_the_same_counter_twice(tmp_path: Path) -> None:
    first = write_log(tmp_path / "a.csv", [NONPAGED], [[1], [2], [3]])
    other = write_log(tmp_path / "b.csv", [PAGED], [[7], [8]], minute=1)
    overlapping = write_log(tmp_path / "c.csv", [NONPAGED], [[3], [4]], minute=2)

    (_, *rows), _ = table_of(first, other)
    assert [row[1:] for row in rows] == [["1", ""], ["2", "7"], ["3", "8"]]

    (_, *rows), _ = table_of(first, overlapping)
    assert [row[0][14:16] + " " + row[1] for row in rows] == ["00 1", "01 2", "02 3", "02 3", "03 4"]


def test_the_same_path_twice_is_one_input(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.csv", [NONPAGED], [[1], [2]])
    assert table_of(log, log)[0] == table_of(log)[0]


def test_two_machines_have_columns_of_their_own(tmp_path: Path) -> None:
    one = write_log(tmp_path / "a.csv", [NONPAGED], [[1]])
    two = write_log(tmp_path / "b.csv", [NONPAGED.replace("SRV", "OTHER")], [[2]])
    (head, row), _ = table_of(one, two)
    assert head[1:] == [NONPAGED, NONPAGED.replace("SRV", "OTHER")]
    assert row[1:] == ["1", "2"]


def test_a_counter_listed_twice_is_one_column(tmp_path: Path) -> None:
    (head, row), _ = table_of(write_log(tmp_path / "a.csv", [NONPAGED, NONPAGED], [[1, 1]]))
    assert head == ["time", NONPAGED]
    assert row[1:] == ["1"]


# ---- what is chosen ---------------------------------------------------------------------------------------------


def test_the_window_of_time(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.csv", [NONPAGED], [[i] for i in range(10)])
    begin = START.timestamp()
    (_, *rows), table = table_of(log, selection=Selection(since=begin + 120, until=begin + 240))
    assert [row[1] for row in rows] == ["2", "3", "4"]

    rows, table = table_of(log, selection=Selection(since=begin + 86_400))
    assert (len(rows), table.rows) == (1, 0)


def test_a_counter_that_no_log_holds_is_said(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.csv", [NONPAGED], [[1]])
    rows, table = table_of(log, selection=Selection(counters=("no such*",)))
    assert rows == []
    assert table.problems == [f"{log}: it holds no counter that no such* names"]


def test_asking_for_a_tag_leaves_the_counters_out(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.csv", [NONPAGED], [[1]])
    assert table_of(log, selection=Selection(tags=("MmSt",)))[0] == []


POOLMON = """\
 Memory:16776572K Avail: 9000000K  PageFlts:901597864   InRam Krnl:76500K P:90000K
 Commit:6000000K Limit:33552056K Peak:9043634K            Pool N:{n}K P:{p}K
 System pool information
 Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc

 MmSt Paged      {allocs}             1000            {diff}        {bytes}       3000
 Thre Nonp       {allocs}             5000            {thre}        2560000       640
"""


def poolmon(path: Path, snapshots: int = 3) -> str:
    parts = [
        f"2024-01-15T10:0{i}:00Z\n"
        + POOLMON.format(
            n=100 + i, p=200 + i, allocs=9000 + i, diff=8000 + i, bytes=24_000_000 + 3000 * i, thre=4000 + i
        )
        for i in range(snapshots)
    ]
    path.write_text("\n".join(parts), encoding="utf-8")
    return str(path)


def test_tag_tables_are_columns_of_an_object_of_our_own(tmp_path: Path) -> None:
    (head, *rows), table = table_of(poolmon(tmp_path / "poolmon.log"), selection=Selection(tags=("MmSt",)))

    assert head == ["time", r"\Pool Tag(MmSt paged)\Bytes", r"\Pool Tag(MmSt paged)\Outstanding"]
    assert rows == [
        ["2024-01-15T10:00:00.000Z", "24000000", "8000"],
        ["2024-01-15T10:01:00.000Z", "24003000", "8001"],
        ["2024-01-15T10:02:00.000Z", "24006000", "8002"],
    ]
    assert table.problems == []
    assert r"\Pool Tag(Thre nonpaged)\Bytes" in table_of(poolmon(tmp_path / "poolmon.log"))[0][0]


def test_tags_stand_beside_the_counters_of_the_same_time(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.csv", [NONPAGED], [[1], [2], [3]])
    (head, *rows), _ = table_of(log, poolmon(tmp_path / "poolmon.log"))
    assert len(rows) == 3
    row = dict(zip(head, rows[1], strict=True))
    assert (row[NONPAGED], row[r"\Pool Tag(MmSt paged)\Bytes"]) == ("2", "24003000")


# ---- bad input --------------------------------------------------------------------------------------------------


def test_bad_inputs_are_named_and_the_rest_is_written(tmp_path: Path) -> None:
    empty, noise, missing = tmp_path / "empty", tmp_path / "noise.txt", tmp_path / "missing.blg"
    empty.write_bytes(b"")
    noise.write_text("Dear all, nothing to see.\n", encoding="utf-8")
    good = write_log(tmp_path / "a.csv", [NONPAGED], [[1]])

    rows, table = table_of(str(empty), str(missing), good, str(noise))

    assert len(rows) == 2
    assert len(table.problems) == 3
    for path in (empty, noise, missing):
        assert len([p for p in table.problems if p.count(str(path)) == 1]) == 1, table.problems


def test_a_log_that_ends_in_the_middle_of_a_row(tmp_path: Path) -> None:
    path = Path(write_log(tmp_path / "a.csv", [NONPAGED, PAGED], [[1, 2], [3, 4], [5, 6]]))
    path.write_bytes(path.read_bytes()[:-20])
    rows, _ = table_of(str(path))
    assert [row[1:] for row in rows[1:3]] == [["1", "2"], ["3", "4"]]


def test_local_times_are_written_and_called_so(tmp_path: Path) -> None:
    path = tmp_path / "typeperf.csv"
    path.write_text(
        f'"(PDH-CSV 4.0)","{NONPAGED}"\n"01/15/2024 10:00:00.000","5"\n"01/15/2024 10:00:15.000","6"\n',
        encoding="utf-8",
    )
    rows, table = table_of(str(path))
    assert rows[1] == ["2024-01-15T10:00:00.000Z", "5"]
    assert any("time zone" in problem for problem in table.problems)


def test_names_from_a_hostile_log_cannot_break_the_table(tmp_path: Path) -> None:
    evil = [r"\\SRV\O(a" + "\x07\x1b[2J\x0b" + r")\C", r"\\SRV\O(=cmd|' /c calc'!A1)\C", r"\\SRV\O(x;y\tz, w)\C"]
    (head, row), _ = table_of(write_log(tmp_path / "a.csv", evil, [[1, 2, 3]]))
    assert row[1:] == ["1", "2", "3"]
    assert not [c for name in head for c in name if ord(c) < 32]


# ---- texts ------------------------------------------------------------------------------------------------------


@given(st.floats(allow_nan=True))
def test_a_number_reads_back_as_itself(value: float) -> None:
    text = number_text(value)
    if value in (inf, -inf) or value != value:  # noqa: PLR0124 - NaN
        assert text == ""
    else:
        assert float(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(28422144.0, "28422144"), (0.1, "0.1"), (-3.0, "-3"), (2.0**60, "1.152921504606847e+18"), (nan, "")],
)
def test_numbers(value: float, text: str) -> None:
    assert number_text(value) == text


@given(st.integers(0, 32_503_679_999_999))
def test_a_time_reads_back_to_the_millisecond(milliseconds: int) -> None:
    text = time_text(milliseconds / 1000)
    assert text.endswith("Z")
    assert len(text) == len("2016-11-26T21:46:30.874Z")
    back = datetime.fromisoformat(text)
    assert back == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


# ---- memory -----------------------------------------------------------------------------------------------------


class Nowhere:
    """Takes text and forgets it."""

    def write(self, text: str, /) -> None:
        """Nothing is kept."""


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        log = write_log(tmp_path / f"{rows}.csv", [NONPAGED, PAGED], [[i, 2 * i] for i in range(rows)])
        write_csv([log], Nowhere())  # whatever is loaded once
        tracemalloc.start()
        write_csv([log], Nowhere())
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    small, large = peak(1_000), peak(12_000)
    # 11,000 rows more of two numbers each would be over 2 MB as objects; a read buffer may be a megabyte
    assert large < small + 1_200_000


# ---- tags and recordings ------------------------------------------------------------------------------------------

SCREENS = """{time}
 Memory: 4194304K Avail: 2083680K  PageFlts:  1000   InRam Krnl: 5000K P:30000K
 Commit:2721252K Limit:8388608K Peak:2742228K            Pool N:919448K P:350416K
 Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc
 Ntff Paged        12 (   0)         5 (   0)        7 {a:10} (     0)   1024
 NtfF Paged        11 (   0)         8 (   0)        3 {b:10} (     0)    640

"""


def test_tags_that_differ_in_case_are_columns_of_their_own(tmp_path: Path) -> None:
    log = tmp_path / "poolmon.log"
    log.write_text(
        "".join(SCREENS.format(time=f"2024-01-15T10:0{k}:00+00:00", a=7168 + k, b=1920 + k) for k in range(2))
    )
    rows, _ = table_of(str(log))
    found = {name: [row[place] for row in rows[1:]] for place, name in enumerate(rows[0])}
    assert found[r"\Pool Tag(Ntff paged)\Bytes"] == ["7168", "7169"]
    assert found[r"\Pool Tag(NtfF paged)\Bytes"] == ["1920", "1921"]


def test_the_counters_of_a_recording_are_columns(tmp_path: Path) -> None:
    index = TagIndex()
    leak = index.number(TagKey("Leak", PoolKind.NONPAGED))
    tags = TagFigures(np.array([leak]), *(np.array([figure]) for figure in (64.0, 2.0, 3.0)))
    recording = tmp_path / "pool.parquet"
    with RecordingWriter(recording, Host("SRV")) as writer:
        for minute in range(3):
            time = START.timestamp() + 60 * minute
            writer.add(Sample(time, tags, {"nonpaged_used": 5000.0 + minute}), index)
    rows, table = table_of(str(recording), selection=Selection(counters=(r"*\Pool Nonpaged Bytes",)))
    assert [row[1] for row in rows[1:]] == ["5000", "5001", "5002"]
    assert len(table.columns) == 1
    _, nothing = table_of(str(recording), selection=Selection(counters=("*Elsewhere*",)))
    assert "it holds no counter that *Elsewhere* names" in nothing.problems[-1]
