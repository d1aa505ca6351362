"""Published sample files: the one with twins that Windows wrote as text, a log of whole objects, and a trace."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from poolsleuth.model.errors import InputError
from poolsleuth.model.system import TargetInfo

if TYPE_CHECKING:
    from evidence.counters.blg.conftest import Reading

Read = Callable[..., "Reading"]
RealLog = Callable[[str], Path]

TWIN = "PowerShell_CounterSamples.blg"
PAL = "PAL_SampleLog.blg"
TRACE = "ShutdownPerfDiagLogger.etl"


@pytest.mark.parametrize(("name", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_the_twin_is_equal_cell_by_cell(read: Read, real_log: RealLog, name: str, delimiter: str) -> None:
    log = read(real_log(TWIN).read_bytes())
    twin = real_log(f"PowerShell_CounterSamples.{name}")
    with twin.open(encoding="utf-8", newline="") as file:
        (zone, *paths), *rows = list(csv.reader(file, delimiter=delimiter))
    assert zone.endswith("(Pacific Standard Time)(480)")

    assert [path.replace("[", "(").replace("]", ")") for path in log.paths] == [
        path.replace("[", "(").replace("]", ")") for path in paths
    ]
    values = blanks = 0
    for row, (moment, *cells) in zip(log.rows, rows, strict=True):
        local = datetime.strptime(moment, "%m/%d/%Y %H:%M:%S.%f").replace(tzinfo=UTC)
        assert row.time == pytest.approx((local + timedelta(minutes=480)).timestamp(), abs=0.0005)
        for number, cell in enumerate(cells):
            if cell.strip():
                assert row.cells[number] == pytest.approx(float(cell), rel=1e-12, abs=0)
                values += 1
            else:
                assert number not in row.cells
                blanks += 1
    assert (len(rows), values, blanks) == (25, 242, 8)
    assert log.problems == []
    assert log.reader.utc


def test_the_twins_machine(read: Read, real_log: RealLog) -> None:
    log = read(real_log(TWIN).read_bytes())

    (info,) = log.reader.facts
    assert isinstance(info, TargetInfo)
    # Windows 10 1607, 64 bits; the export says nothing of when it was captured
    assert (info.build, info.architecture, info.computer, info.captured_at) == (14393, "x64", "charlieparker", None)


@pytest.fixture
def pal(read: Read, real_log: RealLog) -> "Reading":
    return read(real_log(PAL).read_bytes())


def test_pal_is_read_whole(pal: "Reading") -> None:
    assert (len(pal.rows), len(pal.paths), pal.reader.series) == (11, 1832, 1832)
    (info,) = pal.reader.facts
    assert isinstance(info, TargetInfo)
    assert (info.build, info.architecture, info.computer) == (6000, "x86", "ZACH-PC")
    # The catalog: local 15:40:38.659 to 15:50:38.599; PerfTime100nSec is 4 hours later: daylight saving time
    assert datetime.fromtimestamp(pal.times[0], UTC) == datetime(2007, 8, 14, 19, 40, 38, 659000, UTC)
    assert pal.times[-1] == pytest.approx(pal.times[0] + 599.94, abs=0.0005)
    assert pal.problems == [
        "27 values could not be calculated: the raw value fell (a restart, or a counter that was reset or wrapped)"
    ]


def test_pal_pools(pal: "Reading") -> None:
    nonpaged = pal.values("\\\\ZACH-PC\\Memory\\Pool Nonpaged Bytes")

    assert (nonpaged[0], nonpaged[-1]) == (28_422_144, 28_782_592)
    for value in pal.values("\\\\ZACH-PC\\Memory\\Pool Paged Bytes"):
        assert value is not None
        assert 72 <= value / (1 << 20) <= 74.5


def test_pal_agrees_with_itself(pal: "Reading") -> None:
    def of(path: str) -> list[float | None]:
        return pal.values(f"\\\\ZACH-PC\\{path}")

    assert of("System\\Threads") == of("Process(_Total)\\Thread Count")
    assert of("Memory\\Available KBytes") == [
        None if value is None else value // 1024 for value in of("Memory\\Available Bytes")
    ]
    processes = [
        path.text
        for path in pal.reader.columns
        if path.object == "Process" and path.counter == "Pool Nonpaged Bytes" and path.instance != "_Total"
    ]
    sums = [sum(row[path] for path in processes if path in row) for _, row in pal.table]
    assert sums == of("Process(_Total)\\Pool Nonpaged Bytes")
    # Percentages of one processor's time add up
    idle, busy = of("Processor(_Total)\\% Idle Time"), of("Processor(_Total)\\% Processor Time")
    both = [a + b for a, b in zip(idle, busy, strict=True) if a is not None and b is not None]
    assert both == pytest.approx([100.0] * 10, abs=0.2)
    parts = [of(f"Processor(_Total)\\% {kind} Time") for kind in ("User", "Privileged")]
    split = [a + b for a, b in zip(*parts, strict=True) if a is not None and b is not None]
    # COUNTER_FORMATS: within 0.03 of a point
    assert split == pytest.approx([value for value in busy if value is not None], abs=0.05)


def test_pal_numbers_processes_of_one_name(pal: "Reading") -> None:
    found = {path.instance for path in pal.reader.columns if path.object == "Process"}

    assert {name for name in found if name is not None and name.startswith("svchost")} == {
        "svchost",
        *(f"svchost#{number}" for number in range(1, 13)),
    }


def test_only_what_is_wanted_is_kept(read: Read, real_log: RealLog) -> None:
    asked: list[str] = []

    def wanted(path: object) -> bool:
        asked.append(str(path))
        return "Pool Nonpaged Bytes" in str(path) and "Process" not in str(path)

    log = read(real_log(PAL).read_bytes(), wanted)

    assert log.paths == ["\\\\ZACH-PC\\Memory\\Pool Nonpaged Bytes"]
    assert log.reader.series == 1832
    assert len(asked) == len(set(asked)) == 1832
    assert [len(row.cells) for row in log.rows] == [1] * 11


@pytest.mark.parametrize("name", [TWIN, PAL])
def test_turned_buffers_change_nothing(read: Read, real_log: RealLog, name: str) -> None:
    data = real_log(name).read_bytes()
    size = 65536
    head, *rest = [data[at : at + size] for at in range(0, len(data), size)]
    straight = read(data)

    for turn in range(1, len(rest) + 1):
        turned = read(b"".join([head, *rest[turn:], *rest[:turn]]))
        assert turned.table == straight.table
        assert turned.problems == straight.problems


def test_a_trace_is_named_from_its_first_buffers(read: Read, real_log: RealLog) -> None:
    data = real_log(TRACE).read_bytes()
    for length in (len(data), 10 * 65536, 2 * 65536):
        with pytest.raises(InputError, match=r"ETW trace \(\.etl\) without performance counters .* give the"):
            read(data[:length])
