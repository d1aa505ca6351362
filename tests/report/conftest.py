"""Reports for the renderers: one full of everything, one healthy, one hostile, one of several machines, one huge."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from poolsleuth.model.finding import Confidence, Severity, Subject, Trend, Verdict
from poolsleuth.model.report import (
    Conclusion,
    InputKind,
    Pools,
    PoolUse,
    Report,
    ReportBugCheck,
    ReportDriver,
    ReportDrivers,
    ReportFinding,
    ReportInput,
    ReportMachine,
    ReportProblem,
    ReportReason,
    ReportSeries,
    ReportSystem,
    ReportTag,
    ReportUnloadedDriver,
    SessionPoolUse,
)

KB = 1024

LEAK = ReportFinding(
    pattern="untagged-allocations",
    verdict=Verdict.FOUND,
    severity=Severity.WARNING,
    confidence=Confidence.MEDIUM,
    headline="Tag None holds 48.5 MB of nonpaged pool, and only one loaded module imports ExAllocatePool: guid.sys.",
    subject=Subject(pool="nonpaged", tag="None", driver="guid.sys"),
    because=(
        ReportReason("246,479 outstanding allocations with tag None use 50,827,424 bytes.", 0, "line 112"),
        ReportReason("The import table of guid.sys holds the address of nt!ExAllocatePool.", 0, "line 131"),
        ReportReason("Tag None is what ExAllocatePool writes; it is no tag of a driver's own."),
    ),
    against=(ReportReason("Two modules were unloaded before the capture and could not be searched.", 0, "line 240"),),
    explains=("39.6 % of the nonpaged pool in use.", "The 3 failed allocations."),
    next_steps=(
        "Run `!for_each_module s-d @#Base @#End nt!ExAllocatePool` and then `!lmi` on each address that it prints.",
        "Update or remove the product that loads guid.sys: poolsleuth whois None C:\\drivers\\guid.sys",
        "Ask the vendor of guid.sys for a build that uses ExAllocatePoolWithTag.",
    ),
)

DEPLETION = ReportFinding(
    pattern="nonpaged-pool-depletion",
    verdict=Verdict.FOUND,
    severity=Severity.CRITICAL,
    confidence=Confidence.HIGH,
    headline="The nonpaged pool is full: 98.1 % of its limit is in use, and allocations fail.",
    subject=Subject(pool="nonpaged"),
    because=(
        ReportReason("NonPagedPool Usage is 125,476 Kb of 127,944 Kb.", 0, "line 74"),
        ReportReason("/3GB limits the nonpaged pool of this Windows to 128 MB."),
        ReportReason("3 pool allocations have failed.", 0, "line 91"),
    ),
    explains=("Error 2019 of source Srv, and connections that are refused.",),
    next_steps=("See which tag fills it: !poolused /t20 2", "Remove /3GB from boot.ini if nothing needs it."),
)

GROWTH = ReportFinding(
    pattern="pool-leak",
    verdict=Verdict.SUSPECTED,
    severity=Severity.WARNING,
    confidence=Confidence.LOW,
    headline="Tag Thre grows and never came down in four days.",
    subject=Subject(pool="nonpaged", tag="Thre", driver="nt!ps", process="svchost.exe"),
    because=(ReportReason("Outstanding went from 110,065 to 137,029.", 1, "snapshot 1 to 2"),),
    against=(ReportReason("Two samples cannot tell a leak from load."),),
    next_steps=("Take a snapshot every hour for a day: poolmon -n C:\\perf\\pool_%date%.log -b",),
    trend=Trend(
        bytes_per_hour=230_000.0,
        low=190_000.5,
        high=270_000.0,
        allocs_per_hour=374.5,
        limit_reached_at=datetime(2008, 3, 28, 9, 30, tzinfo=UTC),
    ),
)

SESSION = ReportFinding(
    pattern="session-pool-depletion",
    verdict=Verdict.FOUND,
    severity=Severity.WARNING,
    confidence=Confidence.HIGH,
    headline="The paged pool of session 9 is full: 32,552 K of 32,768 K.",
    subject=Subject(pool="session", session=9),
    because=(ReportReason("7,837 Pool Allocation Failures stand under session 9.", 0, "line 310"),),
)

RULED_OUT = ReportFinding(
    pattern="paged-pool-depletion",
    verdict=Verdict.RULED_OUT,
    severity=Severity.INFO,
    confidence=Confidence.HIGH,
    headline="The paged pool has room: 56.6 % of its limit is in use.",
    because=(ReportReason("PagedPool Usage is 88,076 Kb of 155,648 Kb.", 0, "line 83"),),
)

LOCKS = ReportFinding(
    pattern="lock-contention",
    verdict=Verdict.RULED_OUT,
    severity=Severity.INFO,
    confidence=Confidence.HIGH,
    headline="No resource has waiters.",
    because=(ReportReason("!locks lists 12 resources, none with waiters.", 0, "line 401"),),
)

NOT_ASSESSED = ReportFinding(
    pattern="pool-fragmentation",
    verdict=Verdict.NOT_ASSESSED,
    severity=Severity.INFO,
    confidence=Confidence.LOW,
    headline="No output shows the blocks of pool pages.",
    next_steps=("Look at the pages: !pool @@(nt!MmNonPagedPoolStart) 2",),
)

TAG_NAMES = ("None", "MmCm", "File", "Thre", "NDpp", "LSwi", "Ntfr", "EtwB", "NtFs", "AmlH")


def make_tags(count: int) -> tuple[ReportTag, ...]:
    """Rows of falling size: known tags first, then made ones; some columns are not known."""
    first = (
        ReportTag(
            tag="None",
            pool="nonpaged",
            allocs=1_246_479,
            frees=1_000_000,
            outstanding=246_479,
            bytes=50_827_424,
            description="call to ExAllocatePool",
        ),
        ReportTag(
            tag="MmCm",
            pool="nonpaged",
            allocs=None,
            frees=None,
            outstanding=1198,
            bytes=18_462_512,
            description="Calls made to MmAllocateContiguousMemory",
            driver="nt!mm",
        ),
        ReportTag(tag="Gh05", pool="session", allocs=10, frees=3, outstanding=7, bytes=9_000_000, session=9),
        ReportTag(tag="Wild", pool="paged", allocs=None, frees=None, outstanding=None, bytes=None),
    )
    made = (
        ReportTag(
            tag=TAG_NAMES[i] if i < len(TAG_NAMES) else f"T{i:03x}",
            pool="paged" if i % 2 else "nonpaged",
            allocs=9000 + i,
            frees=i,
            outstanding=9000,
            bytes=4_000_000 // (i + 1),
            description=f"made-up component {i}" if i % 3 else None,
            driver="made.sys" if i % 5 == 0 else None,
        )
        for i in range(2, max(count, 4) - 2)
    )
    return (*first, *made)


DRIVERS = ReportDrivers(
    loaded=(
        ReportDriver(
            name="ntkrnlpa.exe",
            path="\\WINDOWS\\system32\\ntkrnlpa.exe",
            base="0x80800000",
            size=2_535_424,
            company="Microsoft Corporation",
            version="5.2.3790.3959",
            timestamp="45D69710",
        ),
        ReportDriver(name="srv.sys", base="0xf50a1000", size=372_736, timestamp="45D6A0B1 (a hash of the build)"),
        ReportDriver(
            name="guid.sys",
            base="0xf50b8000",
            size=53_248,
            company="Example Ltd.",
            version="1.0.4",
            path="C:\\x\\guid.sys",
        ),
        ReportDriver(name="dxg.sys"),
    ),
    complete=True,
    unloaded=(
        ReportUnloadedDriver(name="usbstor.sys", times=3, last_at=datetime(2008, 3, 25, 8, 1, 2, tzinfo=UTC)),
        ReportUnloadedDriver(name="kmixer.sys", times=1),
    ),
)

MACHINE = ReportMachine(
    name="FILESRV-02",
    inputs=(0, 1),
    system=ReportSystem(
        os="Windows Server 2003",
        build=3790,
        architecture="x86",
        pae=True,
        three_gb=True,
        physical_bytes=3_405_680 * KB,
        captured_at=datetime(2008, 3, 26, 10, 12, tzinfo=UTC),
        uptime_seconds=273_600.0,
        bugcheck=ReportBugCheck(
            "0x000000D1", "DRIVER_IRQL_NOT_LESS_OR_EQUAL", ("0x00000016", "0x00000002", "0x00000000", "0xf50b8058")
        ),
        basis=("The banner says Windows Server 2003 Kernel Version 3790 (kd.log, line 3).", "/3GB: the user range."),
    ),
    pools=Pools(
        nonpaged=PoolUse(
            used_bytes=125_476 * KB,
            limit_bytes=127_944 * KB,
            limit_source="NonPagedPool Max of !vm (kd.log, line 75)",
            printed_max_bytes=127_944 * KB,
            tagged_bytes=111_000_000,
            failures=3,
        ),
        paged=PoolUse(used_bytes=88_076 * KB, limit_bytes=155_648 * KB, printed_max_bytes=160_000 * KB),
        sessions=(
            SessionPoolUse(id=0, used_bytes=9824 * KB, limit_bytes=32_768 * KB, failures=0),
            SessionPoolUse(id=2, used_bytes=1212 * KB, limit_bytes=None),
            SessionPoolUse(id=9, used_bytes=32_552 * KB, limit_bytes=32_768 * KB, failures=7837),
        ),
    ),
    tags=make_tags(60),
    conclusion=Conclusion(
        "untagged-allocations",
        Verdict.FOUND,
        "The nonpaged pool is full because guid.sys allocates memory without a tag and never frees it.",
    ),
    findings=(NOT_ASSESSED, RULED_OUT, LOCKS, GROWTH, LEAK, SESSION, DEPLETION),
    drivers=DRIVERS,
)

INPUTS = (
    ReportInput("kd.log", InputKind.DEBUGGER_LOG, 48_213, "9f" * 32),
    ReportInput("C:\\perf\\poolmon.txt", InputKind.POOLMON_LOG, 7_000_000, "0a" * 32),
    ReportInput("noise.bin", None, None, None),
)

FULL = Report(
    tool_version="0.1.0",
    inputs=INPUTS,
    machines=(MACHINE,),
    problems=(
        ReportProblem("This is no input that poolsleuth knows: neither text nor a dump.", 2, None),
        ReportProblem("The !poolused table ends in the middle of a row.", 0, "line 512"),
    ),
)

HEALTHY = Report(
    tool_version="0.1.0",
    inputs=(INPUTS[0],),
    machines=(
        ReportMachine(
            name=None,
            inputs=(0,),
            system=ReportSystem(os="Windows 7 or Server 2008 R2", architecture="x64", physical_bytes=16 << 30),
            pools=Pools(nonpaged=PoolUse(used_bytes=200 << 20)),
            tags=(),
            conclusion=None,
            findings=(RULED_OUT, LOCKS, NOT_ASSESSED),
        ),
    ),
    problems=(),
)

EVIL = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31mred\x1b]0;title\x07 \u202egnp.exe\u2066 \u200bzero "
    "[red]markup[/red] a|b `tick` ![i](http://evil.example/x.png) @everyone www.evil.example {{ 7*7 }} \ud800 &amp; "
    "'\"><svg/onload=alert(3)>\nforged line\r# heading\x9b31m\x00 *bold* _it_ ~~x~~ $a$ \\"
)


def _evil_machine() -> ReportMachine:
    reason = ReportReason(EVIL, 0, EVIL)
    finding = ReportFinding(
        pattern=EVIL,
        verdict=Verdict.FOUND,
        severity=Severity.CRITICAL,
        confidence=Confidence.HIGH,
        headline=EVIL,
        subject=Subject(pool=EVIL, tag=EVIL, driver=EVIL, session=-1, resource=EVIL, process=EVIL),
        because=(reason, replace(reason, input=-1), replace(reason, input=10**30)),
        against=(reason,),
        explains=(EVIL,),
        next_steps=(EVIL, f"Run `{EVIL.replace('`', '')}` now", "# heading", "- item", "1. one", "    code", "|a|b|"),
        trend=Trend(bytes_per_hour=1e308, low=-1e308, high=1e308, allocs_per_hour=-1e300),
    )
    tag = ReportTag(
        tag=EVIL,
        pool=EVIL,
        allocs=-(10**40),
        frees=10**40,
        outstanding=-5,
        bytes=10**40,
        description=EVIL,
        driver=EVIL,
        session=-1,
    )
    return ReportMachine(
        name=EVIL,
        inputs=(0, -7),
        system=ReportSystem(
            os=EVIL,
            build=10**40,
            architecture=EVIL,
            pae=True,
            physical_bytes=-1,
            captured_at=datetime.max.replace(tzinfo=UTC),
            uptime_seconds=1e308,
            bugcheck=ReportBugCheck(EVIL, EVIL, (EVIL,) * 20),
            basis=(EVIL,),
        ),
        pools=Pools(
            nonpaged=PoolUse(used_bytes=10**40, limit_bytes=1, limit_source=EVIL, failures=10**40),
            paged=PoolUse(used_bytes=-5, limit_bytes=0),
            sessions=(SessionPoolUse(id=10**40, used_bytes=10**30, limit_bytes=10**30, failures=-3),),
            failures=10**40,
        ),
        tags=(tag, replace(tag, tag="", bytes=None)),
        conclusion=Conclusion(EVIL, Verdict.SUSPECTED, EVIL),
        findings=tuple(replace(finding, verdict=verdict) for verdict in Verdict),
        drivers=ReportDrivers(
            loaded=(
                ReportDriver(
                    name=EVIL, path=EVIL, base=EVIL, size=-(10**40), company=EVIL, version=EVIL, timestamp=EVIL
                ),
                ReportDriver(name="", timestamp=EVIL),
            ),
            unloaded=(
                ReportUnloadedDriver(name=EVIL, times=10**40, last_at=datetime.max.replace(tzinfo=UTC)),
                ReportUnloadedDriver(name=EVIL, times=-5),
            ),
        ),
    )


HOSTILE = Report(
    tool_version=EVIL,
    inputs=(ReportInput(EVIL, InputKind.REPORT, 10**40, EVIL),),
    machines=(_evil_machine(), _evil_machine()),
    problems=(ReportProblem(EVIL, 0, EVIL), ReportProblem(EVIL, 99, None)),
)


def make_many(machines: int, tags: int) -> Report:
    """Several machines: a sick one, a guess, a healthy one, and so on in turn."""
    kinds = (
        MACHINE,
        replace(
            MACHINE,
            name=None,
            findings=(GROWTH, RULED_OUT),
            conclusion=Conclusion("pool-leak", Verdict.SUSPECTED, "Thread objects may leak; two samples are too few."),
        ),
        replace(HEALTHY.machines[0], name="WEB-01"),
    )
    rows = make_tags(tags)
    made = tuple(
        replace(kinds[i % 3], name=f"{kinds[i % 3].name}-{i}" if i > 2 else kinds[i % 3].name, tags=rows)
        for i in range(machines)
    )
    return replace(FULL, machines=made)


@pytest.fixture
def full_report() -> Report:
    """One machine with every part of the document."""
    return FULL


@pytest.fixture
def healthy_report() -> Report:
    """Nothing found."""
    return HEALTHY


@pytest.fixture
def hostile_report() -> Report:
    """Every text of it is an attack and every number is absurd."""
    return HOSTILE


@pytest.fixture
def several_report() -> Report:
    """Three machines."""
    return make_many(3, 30)


@pytest.fixture(scope="session")
def huge_report() -> Report:
    """500 machines and 200,000 tag rows."""
    return make_many(500, 400)


@pytest.fixture(scope="session")
def many_tags_report() -> Report:
    """One machine with 200,000 tag rows."""
    return make_many(1, 200_000)


# ---- series over time ------------------------------------------------------------------------------------------

DAY = 86_400.0
CHART_START = datetime(2008, 3, 22, 6, 0, tzinfo=UTC)


def wave(samples: int, seconds: float, base: float, rise: float, swing: float, turn: int = 0) -> tuple[float, ...]:
    """A daily rhythm on a level that rises in all by ``rise``, with a little even noise."""
    return tuple(
        round(
            base
            + rise * i / max(1, samples - 1)
            + swing * math.sin(2 * math.pi * (i * seconds / max(1, samples - 1) / DAY + turn / 7))
            + swing * 0.1 * ((i * 7919 + turn * 31) % 101 - 50) / 50
        )
        for i in range(samples)
    )


def make_series(name: str, kind: str, unit: str, values: Sequence[float | None], **more: Any) -> ReportSeries:
    """A series of four days, evenly sampled."""
    return ReportSeries(
        name=name,
        kind=kind,
        unit=unit,
        start=CHART_START,
        seconds=tuple(i * 4 * DAY / max(1, len(values) - 1) for i in range(len(values))),
        values=tuple(values),
        samples=len(values),
        **more,
    )


def make_chart_series() -> tuple[ReportSeries, ...]:
    """What a machine with a leak shows: pools with a limit and a forecast, tags, processes, load."""
    mb = KB * KB
    nonpaged = wave(360, 4 * DAY, 78 * mb, 34 * mb, 2.2 * mb)
    gap = (*nonpaged[:200], *(None,) * 18, *nonpaged[218:])
    reach = datetime(2008, 3, 27, 12, 0, tzinfo=UTC)
    trend = Trend(bytes_per_hour=0.354 * mb, low=0.3 * mb, high=0.4 * mb, limit_reached_at=reach)
    pools = (
        make_series(
            "Nonpaged pool",
            "pool",
            "bytes",
            gap,
            pool="nonpaged",
            course="leak",
            says="Grows by 362.5 KB per hour and never came down in four days.",
            limit=float(127_944 * KB),
            trend=trend,
            line=((0.0, 76.0 * mb), (4 * DAY, 110.0 * mb)),
        ),
        make_series(
            "Paged pool",
            "pool",
            "bytes",
            wave(360, 4 * DAY, 62 * mb, 0, 9 * mb, 2),
            pool="paged",
            course="load",
            says="Rises by day and comes back down by night: the floor stays at 52.0 MB.",
            limit=float(155_648 * KB),
        ),
    )
    tags = tuple(
        make_series(
            name,
            "tag",
            "bytes",
            wave(360, 4 * DAY, base * mb, rise * mb, swing * mb, n),
            tag=name,
            pool="nonpaged",
            course=course,
            says=says,
        )
        for n, (name, base, rise, swing, course, says) in enumerate(
            (
                ("Thre", 22, 21, 0.3, "leak", "Grows by 224.0 KB per hour; the floor rises each night."),
                ("None", 30, 9, 0.5, "steps", "Grows in steps, one each night at 02:00."),
                ("File", 11, 0, 3, "load", "Comes back down each night."),
                ("MmCm", 17.6, 0, 0, "steady", None),
            )
        )
    )
    handles = tuple(
        make_series(name, "process", "count", wave(360, 4 * DAY, base, rise, swing, n), process=name, course=course)
        for n, (name, base, rise, swing, course) in enumerate(
            (("svchost.exe (1044)", 2100, 5200, 120, "leak"), ("lsass.exe (512)", 1700, 0, 160, "load"))
        )
    )
    load = (
        make_series("Server\\Bytes Total/sec", "load", "per second", wave(360, 4 * DAY, 4e6, 0, 3.4e6)),
        make_series("Processor(_Total)\\% Processor Time", "load", "percent", wave(360, 4 * DAY, 40, 0, 30)),
    )
    return (*pools, *tags, *handles, *load)


@pytest.fixture(scope="session")
def charted_report() -> Report:
    """One machine with a leak over four days: a limit, a trend, a forecast, a gap, and every kind of series."""
    return replace(FULL, machines=(replace(MACHINE, series=make_chart_series()),))


@pytest.fixture(scope="session")
def far_report() -> Report:
    """The pool that leaks, four days of it; its limit of 8 GB is met 25 days later."""
    leak = make_chart_series()[0]
    reach = datetime(2008, 4, 20, tzinfo=UTC)
    trend = Trend(bytes_per_hour=13.0 * KB * KB, low=12.0 * KB * KB, high=14.0 * KB * KB, limit_reached_at=reach)
    leak = replace(leak, limit=float(8 << 30), trend=trend)
    return replace(FULL, machines=(replace(MACHINE, series=(leak,)),))


@pytest.fixture(scope="session")
def evil_chart_report() -> Report:
    """Series whose every text is an attack and whose figures are absurd."""
    evil = make_series(EVIL, EVIL, EVIL, (1.0, 2.0, None, 5.0), says=EVIL, course=EVIL, path=EVIL)
    trend = Trend(bytes_per_hour=1e308, low=-1e308, high=1e308, limit_reached_at=datetime.max.replace(tzinfo=UTC))
    absurd = (
        evil,
        replace(evil, kind="pool", unit="bytes", limit=1e308, trend=trend, line=((-1e308, 1e308), (1e308, -1e308))),
        replace(evil, kind="tag", unit="count", values=(1e308, -1e308, 10**400, math.nan)),
        replace(evil, kind="tag", unit="count", values=(-5e23, 5e23, 0.0, 0.0), limit=-1.0, line=((0.0, 1.0),)),
        replace(evil, kind="load", unit="seconds", seconds=(-1e308, 1e308, 10**400, math.inf)),
        replace(evil, kind="load", unit="percent", seconds=(9.0, 3.0, 3.0, 1.0), values=(1e-300, 0.0, -1e-300, 5e-324)),
        replace(evil, kind="counter", unit="bytes", start=datetime.max.replace(tzinfo=UTC)),
        replace(evil, kind="counter", unit="bytes", start=datetime(1, 1, 1, tzinfo=UTC)),  # before 1970
        replace(evil, kind="process", unit="count", values=(None,) * 4),
        replace(evil, kind="process", unit="count", seconds=(), values=()),
        replace(evil, kind="process", unit="bytes", seconds=(0.0,), values=(7.0,), utc=False, course="leak"),
    )
    return replace(FULL, machines=(replace(MACHINE, series=absurd),))


@pytest.fixture(scope="session")
def long_series_report() -> Report:
    """60 series of 100,000 samples each, with gaps."""
    values = wave(100_000, 4 * DAY, 3e7, 4e6, 5e5)
    holed = tuple(None if i % 5000 < 600 else value for i, value in enumerate(values))
    first = make_series("Nonpaged pool", "pool", "bytes", values, says="Grows.", course="leak")
    more = tuple(
        replace(first, name=f"T{i:03}", kind="tag" if i % 2 else "counter", values=holed if i % 3 else values)
        for i in range(59)
    )
    return replace(FULL, machines=(replace(MACHINE, series=(first, *more)),))


@pytest.fixture(scope="session")
def huge_chart_report(huge_report: Report) -> Report:
    """500 machines of ten series each."""
    series = make_chart_series()
    return replace(huge_report, machines=tuple(replace(m, series=series) for m in huge_report.machines))
