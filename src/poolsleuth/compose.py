"""A diagnosed machine as the report carries it."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from datetime import UTC

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Finding
from poolsleuth.model.machine import Machine, System
from poolsleuth.model.modules import Module, ModuleList, UnloadedModule, UnloadedModules
from poolsleuth.model.pool import PoolPages, PoolReconciliation
from poolsleuth.model.report import (
    Pools,
    PoolUse,
    ReportBugCheck,
    ReportDriver,
    ReportDrivers,
    ReportFinding,
    ReportMachine,
    ReportReason,
    ReportSystem,
    ReportTag,
    ReportUnloadedDriver,
    SessionPoolUse,
)
from poolsleuth.model.tags import Completeness, PoolKind, TagRow
from poolsleuth.patterns.attribution import Attribution
from poolsleuth.patterns.conclusion import conclude
from poolsleuth.patterns.courses import Courses
from poolsleuth.patterns.pattern import Evidence
from poolsleuth.patterns.report_blocks import report_blocks
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
        pools=_with_blocks(_pools(evidence.one(PoolStates), evidence.one(SessionStates), tags), machine),
        tags=_tags(tags, evidence.one(Attribution)),
        conclusion=conclude(findings),
        findings=tuple(report_finding(finding) for finding in findings),
        series=report_series(courses, evidence.one(PoolStates), asked, asked_tag) if courses is not None else (),
        drivers=_drivers(machine),
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
        failures=states.failures.value if states is not None and states.failures is not None else None,
    )


def _with_blocks(pools: Pools, machine: Machine) -> Pools:
    summaries, balances = tuple(machine.all(PoolPages)), tuple(machine.all(PoolReconciliation))
    if not summaries:
        return pools
    return replace(
        pools,
        nonpaged=replace(pools.nonpaged, blocks=report_blocks(PoolKind.NONPAGED, summaries, balances)),
        paged=replace(pools.paged, blocks=report_blocks(PoolKind.PAGED, summaries, balances)),
    )


def _pool(kind: PoolKind, state: PoolState | None, tags: TagView | None) -> PoolUse:
    tagged = tags.tagged_bytes(kind) if tags is not None else None
    return PoolUse(
        used_bytes=state.used.value if state is not None and state.used is not None else None,
        limit_bytes=state.limit if state is not None else None,
        limit_source=state.limit_source if state is not None else None,
        printed_max_bytes=state.printed_max.value if state is not None and state.printed_max is not None else None,
        tagged_bytes=tagged[0] if tagged is not None else None,
        failures=_failures(state),
        tags_complete=_COMPLETE.get(tags.completeness.get(kind)) if tags is not None else None,
    )


def _failures(state: PoolState | None) -> int | None:
    """The failed allocations that are this pool's for certain, also those from a time when it was short."""
    if state is None:
        return None
    if state.failures is not None:
        return state.failures.value
    return sum(reason.count.value for reason in state.failed_for) or None


def _drivers(machine: Machine) -> ReportDrivers:
    lists = list(machine.all(ModuleList))
    whole = next((found for found in reversed(lists) if found.complete), None)
    return ReportDrivers(
        loaded=tuple(map(_driver, _loaded(lists, whole))),
        complete=whole is not None if lists else None,
        unloaded=_unloaded(list(machine.all(UnloadedModules))),
    )


def _loaded(lists: Sequence[ModuleList], whole: ModuleList | None) -> Iterable[Module]:
    """The rows of the last complete list; without one, of all lists together, the last row of each file.

    Details that were looked up of single modules (``lmv m``, ``!lmi``) beside a complete list are filled in.
    """
    if whole is None:
        return {_file(module).casefold(): module for found in lists for module in found.modules}.values()
    rows = {(_file(module).casefold(), module.start): module for module in whole.modules}
    for found in lists:
        if found is whole or found.where.input != whole.where.input:
            continue
        for module in found.modules:
            # What the list itself prints as "nt" is known by its file's name only to the look-up
            keys = ((_file(module).casefold(), module.start), (module.name.casefold(), module.start))
            key = next((key for key in keys if key in rows), None)
            if key is not None:
                rows[key] = _filled(rows[key], module)
    return rows.values()


def _filled(module: Module, other: Module) -> Module:
    """The module with what only the other row of it knows."""
    unknown = [f.name for f in fields(module) if getattr(module, f.name) is None]
    return replace(module, **{name: getattr(other, name) for name in unknown})


def _file(module: Module) -> str:
    return module.image or module.name


def _driver(module: Module) -> ReportDriver:
    known = module.start is not None and module.end is not None and module.end >= module.start
    return ReportDriver(
        name=_file(module),
        path=module.path,
        base=f"0x{module.start:x}" if module.start is not None else None,
        size=(module.end or 0) - (module.start or 0) if known else None,
        company=module.company,
        version=module.version,
        timestamp=module.timestamp,
    )


def _unloaded(lists: Sequence[UnloadedModules]) -> tuple[ReportUnloadedDriver, ...]:
    """The drivers of the last input's list; of several there the longest, as a filtered ``lm`` shows a part of it."""
    if not lists:
        return ()
    last = lists[-1].where.input
    longest = max((found for found in reversed(lists) if found.where.input == last), key=lambda f: len(f.modules))
    drivers: dict[str, list[UnloadedModule]] = {}
    for module in longest.modules:
        drivers.setdefault(module.name, []).append(module)
    return tuple(
        ReportUnloadedDriver(
            name=name,
            times=len(rows),
            last_at=max(
                (at.replace(microsecond=0) for row in rows if (at := row.unloaded_at) is not None), default=None
            ),
        )
        for name, rows in drivers.items()
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


def report_finding(finding: Finding) -> ReportFinding:
    """A finding as the report carries it."""
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
        roles=finding.roles,
    )


def _reason(reason: Reason) -> ReportReason:
    where = reason.where
    return ReportReason(reason.says, where.input if where is not None else None, (where.at or None) if where else None)
