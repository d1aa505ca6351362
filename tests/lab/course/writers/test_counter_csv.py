"""The counter log as text: its form against one that Windows wrote, its values against the moments."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.evidence.counters.pdh_text.reader import PdhTextReader
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.course.moment import Moment
from poolsleuth.lab.course.writers.counter_csv import counter_lines, number_text, path_text, write_counter_csv
from poolsleuth.lab.course.writers.counter_sheet import instance_name
from poolsleuth.lab.course.writers.load import quota_of
from poolsleuth.lab.course.writers.zone import Zone
from poolsleuth.lab.machine import Machine
from poolsleuth.lab.stories import make_machine, small_size

Course = Callable[..., Iterator[Moment]]
Row = dict[str, float]

PAGE = 4096


def read(data: bytes) -> list[tuple[float, Row]]:
    """What the project's reader says: times, and values by path without the host."""
    reader = PdhTextReader(io.BytesIO(data), 0, lambda _: True, lambda: None)
    rows = list(reader.rows())
    assert reader.utc
    assert not reader.problems
    names = [path.text.removeprefix("\\\\LAB-SERVER") for path in reader.columns]
    return [(row.time, {names[number]: value for number, value in row.cells.items()}) for row in rows]


@pytest.mark.parametrize("windows", ["2600-x86", "3790-x86-pae", "7601-x64", "22000-x64"])
def test_the_truth_comes_back(course: Course, tmp_path: Path, windows: str) -> None:
    moments = list(course(windows))
    path = tmp_path / "pool.csv"
    assert write_counter_csv(path, iter(moments)) == len(moments)
    rows = read(path.read_bytes())
    assert len(rows) == len(moments)
    for moment, (time, row) in zip(moments, rows, strict=True):
        memory, machine = moment.machine.memory, moment.machine
        assert time == int(moment.at.timestamp() * 1000) / 1000
        assert row[r"\Memory\Pool Nonpaged Bytes"] == (memory.nonpaged_used or 0) * PAGE
        assert row[r"\Memory\Pool Paged Bytes"] == (memory.paged_used or 0) * PAGE
        assert row[r"\Memory\Available Bytes"] == (memory.available or 0) * PAGE
        assert row[r"\Memory\Committed Bytes"] == (memory.committed or 0) * PAGE
        assert row[r"\Memory\Commit Limit"] == (memory.commit_limit or 0) * PAGE
        assert row[r"\Memory\Free System Page Table Entries"] == memory.free_system_ptes
        assert row[r"\Memory\Pool Nonpaged Allocs"] == sum(use.nonpaged.outstanding for use in machine.tags)
        assert row[r"\Memory\Pool Paged Allocs"] == sum(use.paged.outstanding for use in machine.tags)
        uptime = (moment.at - machine.booted_at) / timedelta(seconds=1)
        assert row[r"\System\System Up Time"] == pytest.approx(uptime, abs=1e-6)
        assert row[r"\System\Processes"] == len(machine.processes) + 1  # the idle process is one, too
        system = machine.processes[0]
        assert row[r"\Process(System)\Handle Count"] == system.handles
        assert row[r"\Process(_Total)\Handle Count"] == sum(process.handles or 0 for process in machine.processes)
        lsass = next(process for process in machine.processes if process.name == "lsass.exe")
        assert row[r"\Process(lsass)\ID Process"] == lsass.pid
        assert row[r"\Process(lsass)\Pool Nonpaged Bytes"] == quota_of(lsass.handles or 0)[0]
        assert row[r"\Terminal Services\Total Sessions"] == len(machine.sessions)


def test_rates_begin_with_a_blank_and_follow_the_load(course: Course) -> None:
    header, *lines = counter_lines(course())
    place = next(csv.reader([header])).index(r"\\LAB-SERVER\System\System Calls/sec")
    cells = [next(csv.reader([line]))[place] for line in lines]
    assert cells[0] == " "
    values = [float(cell) for cell in cells[1:]]
    # 1,311 a second when idle, 61,000 at full load; the load is a tenth more at each step
    assert values == pytest.approx([1311 + 59_689 * step / 10 for step in range(1, 8)], rel=1e-4)


def test_a_restart_leaves_a_blank(machine: Callable[[str, str], Machine]) -> None:
    first = machine("3790-x86", "healthy")
    later = replace(first, booted_at=first.booted_at + timedelta(hours=2))
    moments = [Moment(first.booted_at + timedelta(hours=1, minutes=step), first) for step in range(2)]
    moments += [Moment(first.booted_at + timedelta(hours=2, minutes=1 + step), later) for step in range(2)]
    header, *lines = counter_lines(moments)
    place = next(csv.reader([header])).index(r"\\LAB-SERVER\Memory\Page Faults/sec")
    assert [next(csv.reader([line]))[place] == " " for line in lines] == [True, False, True, False]


def test_a_process_that_starts_later_is_not_in_it(course: Course) -> None:
    """The columns are those of the first sample; a process that goes leaves blanks."""
    moments = list(course())
    born = [moment for moment in moments if len(moment.machine.processes) != len(moments[0].machine.processes)]
    header = next(iter(counter_lines(iter(moments))))
    names = {instance_name(process.name) for process in born[0].machine.processes}
    assert len(re.findall(r"Process\([^)]*\)\\ID Process", header)) == len(moments[0].machine.processes) + 2
    assert {name.partition("#")[0] for name in re.findall(r"Process\(([^)]*)\)", header)} == names | {"Idle", "_Total"}
    lines = list(counter_lines(iter([born[2], moments[6]])))
    last = next(csv.reader([lines[2]]))
    gone = [number for number, cell in enumerate(last) if cell == " "]
    assert len(gone) == 5  # the five counters of the process that is gone


def test_the_form_is_that_of_windows(course: Course, tmp_path: Path, shared: Callable[[str], Path]) -> None:
    real = shared("counters/PowerShell_CounterSamples.csv").read_text("ascii").splitlines()
    path = tmp_path / "pool.csv"
    write_counter_csv(path, course())
    data = path.read_bytes()
    assert data.count(b"\r\n") == data.count(b"\n") == 9
    mine = data.decode("cp1252").split("\r\n")
    # "(PDH-CSV 4.0) (Pacific Standard Time)(480)","\\charlieparker\...
    form = re.compile(r'"\(PDH-CSV 4\.0\) \([^()]+\)\(-?\d+\)"(,"\\\\[^\\"]+\\[^\\"]+\\[^\\"]+")+')
    assert form.fullmatch(real[0])
    assert form.fullmatch(mine[0])
    row = re.compile(r'"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d\.\d{3}"(,"( |-?\d+(\.\d+)?(e-\d+)?)")+')
    assert all(row.fullmatch(line) for line in real[1:])
    assert all(row.fullmatch(line) for line in mine[1:-1])


def test_windows_prints_these_digits(shared: Callable[[str], Path]) -> None:
    """Each number of a real file, printed again, is the same text."""
    for line in csv.reader(shared("counters/PowerShell_CounterSamples.csv").read_text("ascii").splitlines()[1:]):
        assert all(number_text(float(cell)) == cell for cell in line[1:] if cell != " ")


def test_no_moment_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one moment"):
        write_counter_csv(tmp_path / "none.csv", iter(()))


def test_no_file_is_overwritten(course: Course, tmp_path: Path) -> None:
    path = tmp_path / "pool.csv"
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        write_counter_csv(path, course())
    assert path.read_text() == "mine"


def test_names_of_processes() -> None:
    names = ["System", "svchost.exe", "SearchIndexer.e", "a.b.EXE", "ends.e", ".exe"]
    assert [instance_name(name) for name in names] == ["System", "svchost", "SearchIndexer", "a.b", "ends.e", ".exe"]
    assert path_text("S", "Process", "Handle Count", "odd (1)") == r"\\S\Process(odd [1])\Handle Count"


@given(bias=st.integers(-14 * 60, 14 * 60), steps=st.integers(1, 4))
def test_any_zone(bias: int, steps: int) -> None:
    moments = list(_moments(steps))
    zone = Zone("A (strange, zone)", bias, "")
    data = "\r\n".join(counter_lines(iter(moments), zone=zone)).encode("cp1252") + b"\r\n"
    assert [time for time, _ in read(data)] == [int(m.at.timestamp() * 1000) / 1000 for m in moments]


@cache
def _first() -> Machine:
    return make_machine(windows_named("3790-x86"), "healthy", size=small_size())


def _moments(steps: int) -> Iterator[Moment]:
    first = _first()
    for step in range(steps):
        yield Moment(first.booted_at + timedelta(minutes=step + 1), first)
