"""Comparisons for the renderers: a leak over time, two machines, one hostile, one that does not end."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from poolsleuth.model.comparison import (
    Amount,
    ComparedMachine,
    ComparedSide,
    Comparison,
    CounterChange,
    Explained,
    FindingChange,
    FindingStatus,
    MachinePair,
    PoolChange,
    Span,
    Status,
    SystemChange,
    TagChange,
)
from poolsleuth.model.finding import Confidence, Severity, Subject, Verdict
from poolsleuth.model.report import InputKind, ReportFinding, ReportInput, ReportProblem

MB = 1 << 20
HOURS = 10.0

EVIL = (
    "<script>alert(1)</script>\x1b[31mred\x1b]0;title\x07 \u202egnp.exe [red]markup[/red] a|b `tick` "
    "![i](http://evil.example/x.png) @everyone \ud800\nforged line\r# heading\x9b31m\x00"
)


def moved(tag: str, before: int, after: int) -> TagChange:
    status = Status.GREW if after > before else Status.SHRANK
    return TagChange(
        tag=tag,
        pool="paged",
        status=status,
        bytes=Amount(before, after),
        outstanding=Amount(before // 1600, after // 1600),
        allocations=after // 100,
        share=(after - before) / (751 * MB),
        bytes_per_hour=(after - before) / HOURS,
        outstanding_per_hour=1.0,
    )


def judged(verdict: Verdict, severity: Severity, headline: str) -> ReportFinding:
    return ReportFinding(
        pattern="paged-pool-depletion",
        verdict=verdict,
        severity=severity,
        confidence=Confidence.HIGH,
        headline=headline,
        subject=Subject(pool="paged"),
    )


FULL = judged(Verdict.FOUND, Severity.CRITICAL, "paged pool is at 95.0 % of its limit")
TIGHT = judged(Verdict.FOUND, Severity.WARNING, "paged pool is at 80.1 % of its limit")
UNJUDGED = replace(FULL, pattern="lock-contention", headline="65 threads wait for the registry")

PAIR = MachinePair(
    before=ComparedMachine(1, "FILESRV-02"),
    after=ComparedMachine(1, "FILESRV-02"),
    over_time=True,
    paired_by="both have this name",
    span=Span(
        before_at=datetime(2008, 3, 26, 10, 12, tzinfo=UTC),
        after_at=datetime(2008, 3, 26, 20, 12, tzinfo=UTC),
        before_uptime=273_600.0,
        after_uptime=309_600.0,
        seconds=36_000.0,
        hours=HOURS,
        rebooted=False,
        reboot_basis="the uptime covers it",
    ),
    system=(SystemChange("physical_bytes", 4 << 30, 8 << 30), SystemChange("bugcheck", None, "0x000000D1")),
    pools=(
        PoolChange(
            pool="nonpaged",
            status=Status.SHRANK,
            used=Amount(120 * MB, 118 * MB),
            limit=Amount(256 * MB, 256 * MB),
            basis="used",
            bytes_per_hour=-2 * MB / HOURS,
        ),
        PoolChange(
            pool="paged",
            status=Status.GREW,
            used=Amount(482 * MB, 1233 * MB),
            limit=Amount(1400 * MB, 1400 * MB),
            failures=Amount(0, 818),
            basis="used",
            bytes_per_hour=751 * MB / HOURS,
            explained_by=(Explained("MmSt", 700 * MB, 700 / 751), Explained("Ntff", 40 * MB, 40 / 751)),
            unexplained_bytes=11 * MB,
            unexplained_exact=True,
            notable=True,
        ),
        PoolChange(
            pool="session",
            session=9,
            status=Status.APPEARED,
            used=Amount(0, 3 * MB),
            limit=Amount(None, 32 * MB),
            basis="used",
            bytes_per_hour=3 * MB / HOURS,
        ),
    ),
    tags=(
        replace(
            moved("MmSt", 134 * MB, 834 * MB),
            notable=True,
            driver="nt!mm",
            description="Page tables of mapped files",
            means="Follows the files held open.",
        ),
        replace(moved("Ntff", 50 * MB, 90 * MB), driver="ntfs.sys"),
        replace(moved("Gone", 2 * MB, 0), status=Status.GONE),
        replace(moved("Newt", 0, 1 * MB), status=Status.APPEARED),
        TagChange(
            tag="Even",
            pool="nonpaged",
            status=Status.GREW,
            bytes=Amount(None, None),
            outstanding=Amount(1_000, 431_906),
            notable=True,
        ),
        TagChange(
            tag="Abc",
            pool="nonpaged",
            status=Status.NOT_SHOWN_BEFORE,
            bytes=Amount(None, 12 * MB),
            outstanding=Amount(None, 7),
        ),
        TagChange(
            tag="Ddk",
            pool="nonpaged",
            status=Status.NOT_SHOWN_AFTER,
            bytes=Amount(None, None),
            outstanding=Amount(5_215_036, None),
        ),
        TagChange(tag="Same", pool="paged", status=Status.SAME, bytes=Amount(5, 5), outstanding=Amount(1, 1)),
    ),
    findings=(
        FindingChange(pattern=FULL.pattern, subject=FULL.subject, status=FindingStatus.WORSE, before=TIGHT, after=FULL),
        FindingChange(
            pattern=UNJUDGED.pattern,
            subject=Subject(),
            status=FindingStatus.ONLY_BEFORE,
            before=UNJUDGED,
            after=None,
        ),
        FindingChange(pattern="pool-leak", subject=Subject(), status=FindingStatus.SAME, before=FULL, after=FULL),
    ),
    counters=(
        CounterChange(r"\Process(agent)\Handle Count", "count", 1_200.0, 431_906.0),
        CounterChange(r"\System\Processes", "count", 60.0, 60.0),
    ),
    notes=("Tables may be cut (nonpaged pool in BEFORE): a tag that is not shown there may still exist.",),
)

LEAK = Comparison(
    tool_version="0.1.0",
    before=ComparedSide(inputs=(ReportInput("monday.log", InputKind.DEBUGGER_LOG, 1, "9f"),)),
    after=ComparedSide(
        inputs=(ReportInput("tuesday.log", InputKind.DEBUGGER_LOG, 2, "0a"),),
        problems=(ReportProblem("The !poolused table ends in the middle of a row.", 0, "line 512"),),
        unpaired=(ComparedMachine(2, "WEB-01"), ComparedMachine(3, None)),
    ),
    pairs=(PAIR,),
)


@pytest.fixture
def leak() -> Comparison:
    """One machine at two times, with every part of the document."""
    return LEAK


@pytest.fixture
def two_machines() -> Comparison:
    """The same figures as a difference between two machines."""
    pair = replace(
        PAIR,
        after=ComparedMachine(1, "FILESRV-03"),
        over_time=False,
        paired_by="each side has one machine",
        span=Span(),
        pools=tuple(replace(pool, bytes_per_hour=None) for pool in PAIR.pools),
        tags=tuple(replace(tag, bytes_per_hour=None, allocations=None) for tag in PAIR.tags),
        notes=("These are two machines (another name): the difference is between them, it is not growth over time.",),
    )
    return replace(LEAK, pairs=(pair,))


@pytest.fixture
def nothing() -> Comparison:
    """Machines that have no partner."""
    return replace(LEAK, pairs=(), before=replace(LEAK.before, unpaired=(ComparedMachine(1, "DB-01"),)))


@pytest.fixture
def hostile() -> Comparison:
    """Every text of it is an attack and every number is absurd."""
    huge = Amount(-(10**40), 10**400)
    tag = TagChange(
        tag=EVIL,
        pool=EVIL,
        session=10**40,
        status=Status.GREW,
        bytes=huge,
        outstanding=huge,
        allocations=10**400,
        share=1e300,
        bytes_per_hour=1e308,
        outstanding_per_hour=-1e308,
        driver=EVIL,
        description=EVIL,
        means=EVIL,
        notable=True,
    )
    pool = PoolChange(
        pool=EVIL,
        session=-(10**40),
        status=Status.GREW,
        used=huge,
        limit=huge,
        failures=huge,
        basis="used",
        bytes_per_hour=-1e308,
        explained_by=(Explained(EVIL, 10**400, 1e300),),
        unexplained_bytes=-(10**400),
        notable=True,
    )
    finding = replace(FULL, pattern=EVIL, headline=EVIL)
    pair = replace(
        PAIR,
        before=ComparedMachine(1, EVIL),
        after=ComparedMachine(10**9, EVIL + "2"),
        span=Span(
            before_at=datetime.min.replace(tzinfo=UTC),
            after_at=datetime.max.replace(tzinfo=UTC),
            before_uptime=1e308,
            after_uptime=-1e308,
            seconds=1e308,
            hours=1e304,
        ),
        system=(SystemChange("os", EVIL, EVIL), SystemChange("physical_bytes", 10**400, -1)),
        pools=(pool, replace(pool, session=None)),
        tags=(tag, replace(tag, tag="", status=Status.NOT_SHOWN_AFTER)),
        findings=(
            FindingChange(
                pattern=EVIL, subject=Subject(tag=EVIL), status=FindingStatus.NEW, before=None, after=finding
            ),
        ),
        counters=(CounterChange(EVIL, "bytes", -1e308, 1e308), CounterChange(EVIL, EVIL, 1e308, -1e308)),
    )
    side = ComparedSide(
        inputs=(ReportInput(EVIL, None, None, None),) * 30,
        problems=(ReportProblem(EVIL, 99, EVIL),) * 30,
        unpaired=(ComparedMachine(1, EVIL),) * 99,
    )
    return Comparison(tool_version=EVIL, before=side, after=side, pairs=(pair,) * 3)


@pytest.fixture
def endless() -> Comparison:
    """20,000 tags and 5,000 sessions."""
    tags = tuple(moved(f"T{i:x}", i, i * 1000 + 1) for i in range(20_000))
    sessions = tuple(replace(PAIR.pools[2], session=i) for i in range(5_000))
    return replace(LEAK, pairs=(replace(PAIR, tags=tags, pools=(*PAIR.pools[:2], *sessions)),))
