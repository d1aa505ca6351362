"""Reports made of the figures that a test is about."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from poolsleuth.model.finding import Confidence, Severity, Subject, Verdict
from poolsleuth.model.report import (
    Pools,
    PoolUse,
    Report,
    ReportFinding,
    ReportMachine,
    ReportSeries,
    ReportSystem,
    ReportTag,
    SessionPoolUse,
)

START = datetime(2008, 12, 12, 9, 0, tzinfo=UTC)

Tag = Callable[..., ReportTag]
Machine = Callable[..., ReportMachine]
MakeReport = Callable[..., Report]
Finding = Callable[..., ReportFinding]


@pytest.fixture
def tag() -> Tag:
    """``tag("Thre", 68_680_560, 110_065)``: bytes, outstanding; ``allocs`` and the rest by name."""

    def make(
        name: str,
        size: int | None,
        outstanding: int | None = None,
        *,
        pool: str = "nonpaged",
        session: int | None = None,
        allocs: int | None = None,
    ) -> ReportTag:
        frees = allocs - outstanding if allocs is not None and outstanding is not None else None
        return ReportTag(
            tag=name, pool=pool, session=session, allocs=allocs, frees=frees, outstanding=outstanding, bytes=size
        )

    return make


@pytest.fixture
def machine() -> Machine:
    """One machine; pools in bytes as ``nonpaged=(used, limit)``, ``hours`` after the start of the test's time."""

    def make(
        *tags: ReportTag,
        name: str | None = None,
        nonpaged: tuple[int | None, int | None] = (None, None),
        paged: tuple[int | None, int | None] = (None, None),
        tagged: int | None = None,
        complete: bool | None = True,
        sessions: Sequence[tuple[int, int]] = (),
        hours: float | None = None,
        uptime: float | None = None,
        ram: int | None = None,
        architecture: str | None = None,
        build: int | None = None,
        findings: Sequence[ReportFinding] = (),
        series: Sequence[ReportSeries] = (),
    ) -> ReportMachine:
        return ReportMachine(
            name=name,
            inputs=(),
            system=ReportSystem(
                physical_bytes=ram,
                architecture=architecture,
                build=build,
                captured_at=None if hours is None else START + timedelta(hours=hours),
                uptime_seconds=uptime,
            ),
            pools=Pools(
                nonpaged=PoolUse(
                    used_bytes=nonpaged[0],
                    limit_bytes=nonpaged[1],
                    tagged_bytes=tagged,
                    tags_complete=complete if tags else None,
                ),
                paged=PoolUse(used_bytes=paged[0], limit_bytes=paged[1], tags_complete=complete if tags else None),
                sessions=tuple(
                    SessionPoolUse(id=number, used_bytes=used, limit_bytes=32 << 20) for number, used in sessions
                ),
            ),
            tags=tags,
            conclusion=None,
            findings=tuple(findings),
            series=tuple(series),
        )

    return make


@pytest.fixture
def report() -> MakeReport:
    """A report of some machines."""

    def make(*machines: ReportMachine) -> Report:
        return Report(tool_version="1", inputs=(), machines=machines, problems=())

    return make


@pytest.fixture
def finding() -> Finding:
    """``finding("pool-leak", "suspected")``."""

    def make(
        pattern: str, verdict: str, severity: str = "warning", *, tag: str | None = None, driver: str | None = None
    ) -> ReportFinding:
        return ReportFinding(
            pattern=pattern,
            verdict=Verdict(verdict),
            severity=Severity(severity),
            confidence=Confidence.LOW,
            headline=f"{pattern} of {tag}",
            subject=Subject(tag=tag, driver=driver),
        )

    return make
