"""A diagnosed machine as the report carries it."""

from collections.abc import Sequence
from datetime import UTC

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Finding
from poolsleuth.model.machine import Machine, System
from poolsleuth.model.report import (
    Pools,
    PoolUse,
    ReportBugCheck,
    ReportFinding,
    ReportMachine,
    ReportReason,
    ReportSystem,
    ReportTag,
    SessionPoolUse,
)
from poolsleuth.model.tags import Completeness, PoolKind, TagRow
from poolsleuth.patterns.attribution import Attribution
from poolsleuth.patterns.conclusion import conclude
from poolsleuth.patterns.courses import Courses
from poolsleuth.patterns.pattern import Evidence
from poolsleuth.patterns.report_series import Asked, AskedTag, report_series
from poolsleuth.patterns.views import PoolState, PoolStates, SessionStates, TagView
from poolsleuth.windows import bugchecks

_COMPLETE: dict[Completeness | None, bool] = {Completeness.COMPLETE: True, Completeness.CUT: False}


def compose_machine(
    machine: Machine,
    evidence: Evidence,
    findings: Sequence[Finding],
    asked: Asked | None = None,
    asked_tag: AskedTag | None = None,
) -> ReportMachine:
    """Everything the report says about one computer. ``asked`` and ``asked_tag`` choose counters and tags whose series
    are shown beside those that matter."""
    courses: Courses | None = evidence.one(Courses)
    tags: TagView | None = evidence.one(TagView)
    return ReportMachine(
        name=machine.system.name,
        inputs=machine.inputs,
        system=_system(machine.system),
        pools=_pools(evidence.one(PoolStates), evidence.one(SessionStates), tags),
        tags=_tags(tags, evidence.one(Attribution)),
        conclusion=conclude(findings),
        findings=tuple(_finding(finding) for finding in findings),
        series=report_series(courses, evidence.one(PoolStates), asked, asked_tag) if courses is not None else (),
    )


def _system(system: System) -> ReportSystem:
    check = system.bugcheck
    captured = system.captured_at
    return ReportSystem(
        os=system.os,
        build=system.build,
        architecture=system.architecture,
        pae=system.pae,
        three_gb=system.three_gb,
        physical_bytes=system.physical_bytes,
        captured_at=captured.astimezone(UTC) if captured is not None else None,
        uptime_seconds=system.uptime_seconds,
        bugcheck=None
        if check is None
        else ReportBugCheck(
            f"0x{check.code:08X}",
            check.name or bugchecks.name_of(check.code),
            tuple(f"0x{p:x}" for p in check.parameters),
        ),
        basis=tuple(reason.says for reason in system.basis),
    )


def _pools(states: PoolStates | None, sessions: SessionStates | None, tags: TagView | None) -> Pools:
    limit = sessions.limit.value if sessions is not None and sessions.limit is not None else None
    return Pools(
        nonpaged=_pool(PoolKind.NONPAGED, states.nonpaged if states else None, tags),
        paged=_pool(PoolKind.PAGED, states.paged if states else None, tags),
        sessions=tuple(
            SessionPoolUse(
                id=session.id,
                used_bytes=session.used.value if session.used else None,
                limit_bytes=limit,
                failures=session.failures.value if session.failures else None,
            )
            for session in (sessions.sessions if sessions is not None else ())
        ),
    )


def _pool(kind: PoolKind, state: PoolState | None, tags: TagView | None) -> PoolUse:
    tagged = tags.tagged_bytes(kind) if tags is not None else None
    return PoolUse(
        used_bytes=state.used.value if state is not None and state.used is not None else None,
        limit_bytes=state.limit if state is not None else None,
        limit_source=state.limit_source if state is not None else None,
        printed_max_bytes=state.printed_max.value if state is not None and state.printed_max is not None else None,
        tagged_bytes=tagged[0] if tagged is not None else None,
        failures=state.failures.value if state is not None and state.failures is not None else None,
        tags_complete=_COMPLETE.get(tags.completeness.get(kind)) if tags is not None else None,
    )


def _tags(tags: TagView | None, owners: Attribution) -> tuple[ReportTag, ...]:
    if tags is None:
        return ()
    rows = [_tag(row, None, owners) for kind in (PoolKind.NONPAGED, PoolKind.PAGED) for row in tags.pool(kind)]
    rows += [_tag(row, session, owners) for (_, _, session), row in tags.session_of.items()]
    return tuple(rows)


def _tag(row: TagRow, session: int | None, owners: Attribution) -> ReportTag:
    owner = owners.owner(row)
    return ReportTag(
        tag=row.tag,
        pool=str(row.pool) if session is None else str(PoolKind.SESSION),
        allocs=row.allocs,
        frees=row.frees,
        outstanding=row.outstanding,
        bytes=row.bytes,
        description=owner.description if owner is not None else row.description,
        driver=owner.binary if owner is not None else None,
        session=session if session != -1 else None,
    )


def _finding(finding: Finding) -> ReportFinding:
    return ReportFinding(
        pattern=finding.pattern,
        verdict=finding.verdict,
        severity=finding.severity,
        confidence=finding.confidence,
        headline=finding.headline,
        subject=finding.subject,
        because=tuple(_reason(reason) for reason in finding.because),
        against=tuple(_reason(reason) for reason in finding.against),
        explains=finding.explains,
        next_steps=finding.next_steps,
        trend=finding.trend,
    )


def _reason(reason: Reason) -> ReportReason:
    where = reason.where
    return ReportReason(reason.says, where.input if where is not None else None, (where.at or None) if where else None)
