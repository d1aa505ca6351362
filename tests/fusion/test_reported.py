"""Reports that are read back: joined with other captures of the machine, or shown as they were written."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from poolsleuth.fusion.reported import MAX_DRIVERS, MAX_UNLOADS, ReportedMachine, facts_of_report
from poolsleuth.model.document import from_json, to_json
from poolsleuth.model.facts import Fact
from poolsleuth.model.finding import Verdict
from poolsleuth.model.memory import MemoryCounters, SessionMemory
from poolsleuth.model.modules import ModuleList, UnloadedModules
from poolsleuth.model.report import Report, ReportFinding, ReportMachine
from poolsleuth.model.series import CounterPath, CounterSeries, TagHistory, TagKey
from poolsleuth.model.system import TargetInfo
from poolsleuth.model.tags import Completeness, PoolKind, TagTable
from poolsleuth.pipeline import diagnose

EXAMPLES = Path(__file__).parents[2] / "examples"
HEALTHY, MMST = EXAMPLES / "healthy.log", EXAMPLES / "mmst.log"
HOST = '"EXAMPLE-SRV01"'
START = datetime(2024, 1, 15, tzinfo=UTC)


def log_of(path: Path, day: int, *, tag_bytes: int, host: str = "SRV01", locks: bool = False) -> Path:
    """A debugger log of one day: ``!vm``, one table of tags, and perhaps a lock with waiters."""
    kilobytes = tag_bytes // 1024 + 100_000
    count = tag_bytes // 640
    text = f"""0: kd> vertarget
Windows 10 Kernel Version 17763 MP (8 procs) Free x64
Built by: 17763.1.amd64fre.rs5_release.180914-1434
Machine Name:"{host}"
Kernel base = 0xfffff803`51200000 PsLoadedModuleList = 0xfffff803`5161b490
Debug session time: {"Mon Jan"} {15 + day:2} 09:14:22.118 2024 (UTC + 0:00)
System Uptime: {12 + day} days 4:11:08.204

0: kd> !vm
Page File: \\??\\C:\\pagefile.sys
  Current:   4980736 Kb  Free Space:   4951204 Kb
  Minimum:   4980736 Kb  Maximum:     50205896 Kb

Physical Memory:           4193422 (     16773688 Kb)
Available Pages:           2810442 (     11241768 Kb)
Modified Pages:              20118 (        80472 Kb)
NonPagedPool Usage:     {kilobytes // 4:10} ( {kilobytes // 4 * 4:12} Kb)
NonPagedPoolNx Usage:            0 (            0 Kb)
NonPagedPool Max:       4294967296 (  17179869184 Kb)
PagedPool Usage:            101996 (       407984 Kb)
PagedPool Maximum:      4294967296 (  17179869184 Kb)
Committed pages:            756150 (      3024600 Kb)
Commit limit:              5438606 (     21754424 Kb)

0: kd> !poolused 2

 Sorting by NonPaged Pool Consumed

               NonPaged                  Paged
 Tag     Allocs         Used     Allocs         Used

 Thre {count:9} {count * 640:12}          0            0\tThread objects , Binary: nt!ps
 EtwB       500     40000000          0            0\tEtw Buffer , Binary: nt!etw
 MmCm       100     10000000          0            0\tCalls made to MmAllocateContiguousMemory , Binary: nt!mm
"""
    if locks:
        text += """
0: kd> !locks
**** DUMP OF ALL RESOURCE OBJECTS ****
KD: Scanning for held locks.

Resource @ nt!CmpRegistryLock (0xfffff80351612340)    Shared 1 owning threads
    Contention Count = 187234
    NumberOfSharedWaiters = 21
    NumberOfExclusiveWaiters = 3
     Threads: ffffe00012345080-01<*>
3442 total locks, 1 locks currently held
"""
    path.write_text(text, encoding="utf-8")
    return path


def report_of(log: Path, target: Path) -> Path:
    target.write_text(to_json(diagnose(log)), encoding="utf-8")
    return target


def one(report: Report) -> ReportMachine:
    (machine,) = report.machines
    return machine


def of(machine: ReportMachine, pattern: str) -> list[ReportFinding]:
    return [f for f in machine.findings if f.pattern == pattern]


@pytest.fixture
def days(tmp_path: Path) -> tuple[Path, Path]:
    """The same machine at two times, three days apart: Thre grows from 70 MB to 88 MB."""
    return (
        log_of(tmp_path / "monday.log", 0, tag_bytes=110_065 * 640),
        log_of(tmp_path / "thursday.log", 3, tag_bytes=137_029 * 640),
    )


# ---- two captures ------------------------------------------------------------------------------------------------


def check_series_of_two(report: Report) -> None:
    machine = one(report)
    thre = next(s for s in machine.series if s.tag == "Thre")
    assert thre.values == (110_065 * 640, 137_029 * 640)
    assert thre.seconds[1] - thre.seconds[0] == pytest.approx(3 * 86_400)
    assert thre.start.date() == START.date()
    pool = next(s for s in machine.series if (s.kind, s.pool) == ("pool", "nonpaged"))
    assert len(pool.values) == 2
    leaks = of(machine, "pool-leak")
    assert leaks
    assert {f.verdict for f in leaks} <= {Verdict.SUSPECTED, Verdict.NOT_ASSESSED}
    assert {f.verdict for f in of(machine, "pool-load")} <= {Verdict.SUSPECTED, Verdict.NOT_ASSESSED}
    assert any("Thre" in f.headline for f in leaks if f.holds)
    assert to_json(from_json(to_json(report))) == to_json(report)


@pytest.mark.parametrize("turned", [False, True])
def test_two_debugger_logs_are_a_series_of_two_points(days: tuple[Path, Path], turned: bool) -> None:
    check_series_of_two(diagnose(days[::-1] if turned else days))


@pytest.mark.parametrize("turned", [False, True])
def test_two_reports_are_a_series_of_two_points(days: tuple[Path, Path], tmp_path: Path, turned: bool) -> None:
    reports = [report_of(day, tmp_path / f"{day.stem}.json") for day in days]
    report = diagnose(reports[::-1] if turned else reports)
    check_series_of_two(report)
    assert report.problems == ()


def test_a_report_and_a_log_are_a_series_of_two_points(days: tuple[Path, Path], tmp_path: Path) -> None:
    check_series_of_two(diagnose([report_of(days[0], tmp_path / "monday.json"), days[1]]))
    check_series_of_two(diagnose([days[0], report_of(days[1], tmp_path / "thursday.json")]))


def test_two_logs_of_two_machines_are_no_series(tmp_path: Path) -> None:
    first = log_of(tmp_path / "a.log", 0, tag_bytes=70_000_000)
    second = log_of(tmp_path / "b.log", 3, tag_bytes=88_000_000, host="SRV02")
    report = diagnose([first, second])
    assert [m.name for m in report.machines] == ["SRV01", "SRV02"]
    assert [m.series for m in report.machines] == [(), ()]


def test_a_log_beside_its_own_report_is_no_growth(days: tuple[Path, Path], tmp_path: Path) -> None:
    log = days[0]
    alone = one(diagnose(log))
    both = one(diagnose([log, report_of(log, tmp_path / "r.json")]))

    assert both.pools.nonpaged.used_bytes == alone.pools.nonpaged.used_bytes
    assert both.series == ()
    assert [(f.pattern, f.verdict) for f in both.findings if f.holds] == [
        (f.pattern, f.verdict) for f in alone.findings if f.holds
    ]
    assert [t.tag for t in both.tags] == [t.tag for t in alone.tags]


# ---- a report beside others --------------------------------------------------------------------------------------


def test_a_report_alone_is_shown_as_written(days: tuple[Path, Path], tmp_path: Path) -> None:
    path = report_of(days[0], tmp_path / "r.json")
    assert to_json(diagnose(path)) == path.read_text(encoding="utf-8")


def test_a_report_of_another_machine_stays_apart_and_as_written(days: tuple[Path, Path], tmp_path: Path) -> None:
    other = log_of(tmp_path / "other.log", 0, tag_bytes=1_000_000, host="SRV02", locks=True)
    written = one(diagnose(other))
    report = diagnose([days[0], report_of(other, tmp_path / "r.json")])

    assert [m.name for m in report.machines] == ["SRV01", "SRV02"]
    assert [m.inputs for m in report.machines] == [(0,), (1, 2)]
    kept = report.machines[1]
    assert [(f.pattern, f.verdict, f.headline) for f in kept.findings] == [
        (f.pattern, f.verdict, f.headline) for f in written.findings
    ]
    assert (kept.pools, kept.tags, kept.conclusion) == (written.pools, written.tags, written.conclusion)


def test_what_only_the_report_knows_is_kept(days: tuple[Path, Path], tmp_path: Path) -> None:
    with_locks = log_of(tmp_path / "locks.log", 1, tag_bytes=71_000_000, locks=True)
    known = [f for f in of(one(diagnose(with_locks)), "lock-contention") if f.holds]
    assert known

    report = diagnose([days[0], report_of(with_locks, tmp_path / "r.json")])

    machine = one(report)
    kept = of(machine, "lock-contention")
    assert [f.headline for f in kept] == [f.headline for f in known]
    # Its evidence stands in the report's own inputs, which are listed behind ours
    assert {r.input for f in kept for r in f.because if r.input is not None} == {2}
    assert report.inputs[2].name == str(with_locks)
    assert machine.conclusion is not None
    assert to_json(from_json(to_json(report))) == to_json(report)


def test_the_conclusion_of_a_report_is_kept_where_nothing_else_was_found(tmp_path: Path) -> None:
    with_locks = log_of(tmp_path / "locks.log", 1, tag_bytes=1_000_000, locks=True)
    written = one(diagnose(with_locks)).conclusion
    assert written is not None
    assert written.pattern == "lock-contention"
    calm = log_of(tmp_path / "calm.log", 2, tag_bytes=1_000_000)
    assert one(diagnose(calm)).conclusion is None

    assert one(diagnose([calm, report_of(with_locks, tmp_path / "r.json")])).conclusion == written


def test_the_latest_report_that_knows_counts(days: tuple[Path, Path], tmp_path: Path) -> None:
    reports = [
        report_of(log_of(tmp_path / f"{n}.log", n, tag_bytes=71_000_000, locks=True), tmp_path / f"{n}.json")
        for n in (0, 1)
    ]
    machine = one(diagnose([*reports, days[1]]))
    assert len(of(machine, "lock-contention")) == 1
    said = {r.input for r in of(machine, "lock-contention")[0].because if r.input is not None}
    assert said == {4}  # inputs: two reports, one log, then what each report had read


# ---- a report as facts -------------------------------------------------------------------------------------------


def facts_of(report: Report) -> list[Fact]:
    (facts,) = facts_of_report(report, 7)
    assert {f.where.input for f in facts} == {7}
    return facts


def test_a_report_as_facts() -> None:
    report = diagnose(HEALTHY)
    facts = facts_of(report)
    machine = one(report)

    (target,) = [f for f in facts if isinstance(f, TargetInfo)]
    assert (target.computer, target.build, target.architecture) == ("EXAMPLE-SRV01", 17763, "x64")
    assert target.captured_at == machine.system.captured_at
    (memory,) = [f for f in facts if isinstance(f, MemoryCounters)]
    assert memory.nonpaged_used is not None
    assert memory.nonpaged_used.value == machine.pools.nonpaged.used_bytes
    assert (memory.at, memory.source) == (target.captured_at, "an earlier report")
    for table in (f for f in facts if isinstance(f, TagTable)):
        (kind,) = table.pools
        assert [(r.tag, r.bytes, r.outstanding) for r in table.rows] == [
            (t.tag, t.bytes, t.outstanding) for t in machine.tags if t.pool == kind.value and t.session is None
        ]
    assert [f.machine for f in facts if isinstance(f, ReportedMachine)] == [machine]


def changed(change: Callable[[dict[str, Any]], None]) -> Report:
    document = json.loads(to_json(diagnose(HEALTHY)))
    change(document["machines"][0])
    return from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("said", "expected"), [(True, Completeness.COMPLETE), (False, Completeness.CUT), (None, Completeness.UNKNOWN)]
)
def test_how_complete_the_tables_were(said: bool | None, expected: Completeness) -> None:
    def change(machine: dict[str, Any]) -> None:
        machine["pools"]["nonpaged"]["tags_complete"] = said

    tables = [f for f in facts_of(changed(change)) if isinstance(f, TagTable) and PoolKind.NONPAGED in f.pools]
    assert [t.completeness for t in tables] == [expected]


def test_what_is_not_known_stays_so() -> None:
    def change(machine: dict[str, Any]) -> None:
        machine["pools"] = {"nonpaged": {}, "paged": {}}
        machine["system"] = {}
        machine["tags"] = []
        machine["name"] = None

    facts = facts_of(changed(change))
    assert [type(f).__name__ for f in facts] == ["ReportedMachine", "TargetInfo"]
    (target,) = [f for f in facts if isinstance(f, TargetInfo)]
    assert (target.computer, target.captured_at, target.build) == (None, None, None)


def test_sessions_are_kept() -> None:
    def change(machine: dict[str, Any]) -> None:
        machine["pools"]["sessions"] = [{"id": 3, "used_bytes": 5, "limit_bytes": 9, "failures": None}]

    (sessions,) = [f for f in facts_of(changed(change)) if isinstance(f, SessionMemory)]
    (session,) = sessions.sessions
    assert (session.id, session.used and session.used.value, session.failures) == (3, 5, None)
    assert sessions.paged_limit is not None
    assert sessions.paged_limit.value == 9


PATHS = [
    CounterPath("SRV", "Memory", None, "Pool Nonpaged Bytes"),
    CounterPath(None, "Memory", None, "Pool Nonpaged Bytes"),
    CounterPath("SRV", "Process", "svchost#2", "Handle Count"),
    CounterPath("SRV", "Network Interface", "Intel(R) 82574L", "Bytes Total/sec"),
    CounterPath("SRV", "PhysicalDisk", "0 C:", "Avg. Disk sec/Read"),
    CounterPath("SRV", "Thread", "explorer/1", "% Processor Time"),
    CounterPath("SRV", "Paging File", "\\??\\C:\\pagefile.sys", "% Usage"),
    CounterPath("SRV", "Process", "", "Handle Count"),
]


def with_series(**fields: Any) -> list[Fact]:
    series = {
        "name": "x",
        "kind": "counter",
        "unit": "bytes",
        "start": "2024-01-15T00:00:00Z",
        "seconds": [0.5, 60],
        "values": [1, None],
        "samples": 99,
        "utc": True,
        **fields,
    }
    return [
        f
        for f in facts_of(changed(lambda machine: machine.update(series=[series])))
        if isinstance(f, CounterSeries | TagHistory)
    ]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.text)
def test_a_counter_keeps_its_path(path: CounterPath) -> None:
    (series,) = with_series(path=path.text)
    assert isinstance(series, CounterSeries)
    assert series.path == path
    assert list(series.times) == [START.timestamp() + 0.5, START.timestamp() + 60]
    assert (series.values[0], series.values[1] != series.values[1], series.samples) == (1.0, True, 99)


@pytest.mark.parametrize(
    "text", ["", "Memory", "\\", "\\\\", "\\\\SRV", "\\\\SRV\\", "\\\\SRV\\Memory", "\\\\\\\\", "(\\)"]
)
def test_what_is_no_path_is_no_counter(text: str) -> None:
    assert with_series(path=text) == []


def test_a_tag_is_a_history_of_its_own() -> None:
    (history,) = with_series(tag="MmSt", pool="paged")
    assert isinstance(history, TagHistory)
    assert list(history.columns) == [TagKey("MmSt", PoolKind.PAGED)]
    assert not history.complete
    (history,) = with_series(tag="MmSt", pool="session", session=-1)
    assert isinstance(history, TagHistory)
    assert list(history.columns) == [TagKey("MmSt", PoolKind.SESSION, -1)]
    assert with_series(tag="MmSt", pool="swimming") == []
    assert with_series(tag="MmSt", pool="paged", unit="count") == []  # blocks are no bytes
    assert with_series(tag="MmSt", pool="paged", seconds=[], values=[]) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"seconds": [1e308, -1e308]},
        {"values": [1e308, -1e308]},
        {"seconds": [5, 1]},
        {"seconds": [3, 3]},
        {"start": "0001-01-01T00:00:00Z"},
        {"start": "9999-12-31T23:59:59Z", "seconds": [0, 1e9]},
        {"samples": -5},
        {"samples": 10**300},
        {"utc": False},
        {"seconds": [], "values": []},
    ],
)
@pytest.mark.parametrize(
    "path", [r"\\EXAMPLE-SRV01\Memory\Pool Nonpaged Bytes", r"\\EXAMPLE-SRV01\Process(svchost#2)\Handle Count"]
)
@pytest.mark.parametrize("length", [1, 40])
def test_hostile_series_beside_a_log_break_nothing(
    fields: dict[str, Any], path: str, length: int, tmp_path: Path
) -> None:
    series = {
        "name": "x", "kind": "pool", "unit": "bytes", "start": "2020-03-01T00:00:00Z",
        "seconds": [0, 60], "values": [1, 2], "samples": 2, "utc": True, "path": path, **fields,
    }  # fmt: skip
    series["seconds"], series["values"] = list(series["seconds"]) * length, list(series["values"]) * length
    document = json.loads(to_json(diagnose(HEALTHY)))
    document["machines"][0]["series"] = [series]
    path_of = tmp_path / "r.json"
    path_of.write_text(json.dumps(document), encoding="utf-8")

    report = diagnose([HEALTHY, path_of])

    assert [p.says for p in report.problems] == []
    assert one(report).name == "EXAMPLE-SRV01"
    assert to_json(from_json(to_json(report))) == to_json(report)


@pytest.mark.parametrize(
    ("os", "server"),
    [
        ("Windows Server 2008 R2 SP1", True),
        ("Windows 7 SP1", False),
        ("Windows 7 SP1 or Server 2008 R2 SP1", None),
        (None, None),
    ],
)
def test_a_report_tells_server_from_client(days: tuple[Path, Path], os: str | None, server: bool | None) -> None:
    report = diagnose(days[0])
    (machine,) = report.machines
    again = replace(report, machines=(replace(machine, system=replace(machine.system, os=os)),))

    targets = [f for f in facts_of_report(again, 0)[0] if isinstance(f, TargetInfo)]

    assert [target.server for target in targets] == [server]


# ---- drivers and failed allocations ------------------------------------------------------------------------------

LM = """
0: kd> lm
start             end                 module name
fffff803`51200000 fffff803`51c00000   nt         (pdb symbols)
fffff803`61200000 fffff803`61300000   acme       (deferred)

Unloaded modules:
fffff803`70000000 fffff803`70010000   usbstor.sys
fffff803`71000000 fffff803`71010000   usbstor.sys
fffff803`72000000 fffff803`72010000   dam.sys
"""


@pytest.fixture
def with_modules(tmp_path: Path) -> Path:
    log = log_of(tmp_path / "lm.log", 0, tag_bytes=1_000_000)
    log.write_text(log.read_text(encoding="utf-8") + LM, encoding="utf-8")
    return log


def test_a_report_beside_others_keeps_its_drivers(with_modules: Path, tmp_path: Path) -> None:
    written = one(diagnose(with_modules)).drivers
    assert ([d.name for d in written.loaded], written.complete) == (["nt", "acme"], True)
    assert [(d.name, d.times) for d in written.unloaded] == [("usbstor.sys", 2), ("dam.sys", 1)]
    report = report_of(with_modules, tmp_path / "r.json")
    later = log_of(tmp_path / "later.log", 3, tag_bytes=1_000_000)

    assert one(diagnose([later, report])).drivers == written
    assert one(diagnose([with_modules, report])).drivers == written


def test_a_log_beside_its_own_report_counts_no_unloading_twice(with_modules: Path, tmp_path: Path) -> None:
    tags = "\n Usbs     500     40000000          0            0\tUsb storage , Binary: usbstor.sys\n"
    text = with_modules.read_text(encoding="utf-8").replace("\n MmCm", f"{tags.rstrip()}\n MmCm")
    with_modules.write_text(text, encoding="utf-8")
    alone = of(one(diagnose(with_modules)), "unloaded-driver-leak")
    assert "unloaded 2 times" in alone[0].headline

    both = of(one(diagnose([with_modules, report_of(with_modules, tmp_path / "r.json")])), "unloaded-driver-leak")

    assert [f.headline for f in both] == [f.headline for f in alone]


def test_drivers_as_facts() -> None:
    drivers = {
        "loaded": [
            {"name": "acme.sys", "base": "0xf000", "size": 4096, "company": "Acme", "timestamp": "5A066D55"},
            {"name": "nt", "base": "0xff00", "size": -1},
            {"name": "c.sys", "size": 5},
        ],
        "complete": True,
        "unloaded": [{"name": "dam.sys", "times": 2, "last_at": "2021-01-05T11:38:26Z"}, {"name": "x", "times": -1}],
    }
    facts = facts_of(changed(lambda machine: machine.update(drivers=drivers)))
    (listed,) = [f for f in facts if isinstance(f, ModuleList)]
    assert [(m.name, m.image, m.start, m.end, m.company) for m in listed.modules] == [
        ("acme", "acme.sys", 0xF000, 0x10000, "Acme"),
        ("nt", None, 0xFF00, None, None),
        ("c", "c.sys", None, None, None),
    ]
    assert listed.complete
    (gone,) = [f for f in facts if isinstance(f, UnloadedModules)]
    assert [(m.name, m.unloaded_at) for m in gone.modules] == [
        ("dam.sys", datetime(2021, 1, 5, 11, 38, 26, tzinfo=UTC))
    ] * 2


def test_drivers_of_a_hostile_report_are_bounded() -> None:
    drivers = {
        "loaded": [{"name": f"{i}.sys"} for i in range(MAX_DRIVERS + 1)],
        "complete": True,
        "unloaded": [{"name": f"{i}.sys", "times": 10**30} for i in range(MAX_DRIVERS + 1)],
    }
    facts = facts_of(changed(lambda machine: machine.update(drivers=drivers)))
    (listed,) = [f for f in facts if isinstance(f, ModuleList)]
    assert (len(listed.modules), listed.complete) == (MAX_DRIVERS, False)
    (gone,) = [f for f in facts if isinstance(f, UnloadedModules)]
    assert len(gone.modules) == MAX_DRIVERS
    assert [m.name for m in gone.modules].count("0.sys") == MAX_UNLOADS


@pytest.mark.parametrize(
    ("total", "nonpaged", "paged", "expected"),
    [
        (818, None, None, 818),
        (None, None, None, None),
        (0, 0, None, None),
        (None, 3, None, 3),  # as before there was a total
        (818, 818, None, 818),
        (818, None, 5, 5),
        (818, 3, 5, 818),
        (None, 3, 5, 3),
    ],
)
def test_failed_allocations(total: int | None, nonpaged: int | None, paged: int | None, expected: int | None) -> None:
    def change(machine: dict[str, Any]) -> None:
        machine["pools"]["failures"] = total
        machine["pools"]["nonpaged"]["failures"] = nonpaged
        machine["pools"]["paged"]["failures"] = paged

    (memory,) = [f for f in facts_of(changed(change)) if isinstance(f, MemoryCounters)]
    assert (memory.pool_failures.value if memory.pool_failures else None) == expected
