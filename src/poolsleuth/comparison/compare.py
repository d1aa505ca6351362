"""``compare``: two reports in, what changed between them out. Pure: it reads no file and prints nothing."""

from collections.abc import Sequence
from itertools import islice

from poolsleuth.comparison.findings import finding_changes
from poolsleuth.comparison.notes import notes_on
from poolsleuth.comparison.pairing import Paired, Wanted, pair_machines
from poolsleuth.comparison.pools import SYSTEM_POOLS, changes_of, explained, pool_changes
from poolsleuth.comparison.side import Side
from poolsleuth.comparison.span import span_of
from poolsleuth.comparison.tags import tag_changes
from poolsleuth.model.comparison import (
    ComparedMachine,
    ComparedSide,
    Comparison,
    CounterChange,
    FindingStatus,
    MachinePair,
    PoolChange,
    SystemChange,
    TagChange,
)
from poolsleuth.model.finding import Verdict
from poolsleuth.model.report import Report, ReportMachine

SYSTEM_FIELDS = ("os", "build", "architecture", "pae", "three_gb", "physical_bytes")
MAX_COUNTERS = 10_000  # figures of processes and counters that are compared: a log may hold any number


def compare(before: Report, after: Report, *, wanted: Wanted = ()) -> Comparison:
    """What became of each machine. Raises InputError when ``wanted`` names a machine that is not there."""
    pairs = pair_machines(before.machines, after.machines, wanted)
    return Comparison(
        tool_version=after.tool_version,
        before=_side(before, {pair.before for pair in pairs}),
        after=_side(after, {pair.after for pair in pairs}),
        pairs=tuple(_pair(before.machines[pair.before], after.machines[pair.after], pair) for pair in pairs),
    )


def _side(report: Report, paired: set[int]) -> ComparedSide:
    return ComparedSide(
        inputs=report.inputs,
        problems=report.problems,
        unpaired=tuple(_named(machine, i) for i, machine in enumerate(report.machines) if i not in paired),
    )


def _named(machine: ReportMachine, index: int) -> ComparedMachine:
    return ComparedMachine(index + 1, machine.name)


def _pair(first: ReportMachine, second: ReportMachine, paired: Paired) -> MachinePair:
    before, after = Side(first), Side(second)
    over_time = paired.over_time
    span = span_of(before, after, over_time=over_time)
    pools = pool_changes(before, after, span)
    changes, limits = changes_of(pools)
    tags = tag_changes(before, after, span, changes, limits, over_time=over_time)
    pools = tuple(
        explained(
            pool,
            [tag for tag in tags if (tag.pool, tag.session) == (pool.pool, pool.session)],
            complete=before.complete(pool.pool) and after.complete(pool.pool),
        )
        if pool.pool in SYSTEM_POOLS
        else pool
        for pool in pools
    )
    findings = finding_changes(first.findings, second.findings)
    counters = _counters(before, after)
    judged_on_both = any(f.status not in (FindingStatus.ONLY_BEFORE, FindingStatus.ONLY_AFTER) for f in findings)
    return MachinePair(
        before=_named(first, paired.before),
        after=_named(second, paired.after),
        over_time=over_time,
        paired_by=paired.by,
        span=span,
        system=_system(first, second),
        pools=pools,
        tags=tags,
        findings=findings,
        counters=counters,
        notes=notes_on(before, after, span, tags, over_time=over_time),
        comparable=_shares_a_figure(pools, tags)
        or bool(counters)
        or judged_on_both
        or bool(_ruled_out(first) & _ruled_out(second)),
    )


def _shares_a_figure(pools: Sequence[PoolChange], tags: Sequence[TagChange]) -> bool:
    return any(pool.amount.change is not None for pool in pools) or any(
        tag.bytes.change is not None or tag.outstanding.change is not None for tag in tags
    )


def _ruled_out(machine: ReportMachine) -> set[str]:
    return {finding.pattern for finding in machine.findings if finding.verdict is Verdict.RULED_OUT}


def _system(first: ReportMachine, second: ReportMachine) -> tuple[SystemChange, ...]:
    """What is known on both sides and differs; the bug check also where only one side has one."""
    rows = [SystemChange("name", first.name, second.name)] if first.name and second.name else []
    rows += [
        SystemChange(name, getattr(first.system, name), getattr(second.system, name))
        for name in SYSTEM_FIELDS
        if getattr(first.system, name) is not None and getattr(second.system, name) is not None
    ]
    checks = [f"{c.code} {c.name or ''}".strip() if (c := m.system.bugcheck) else None for m in (first, second)]
    rows.append(SystemChange("bugcheck", *checks))
    return tuple(row for row in rows if not _alike(row.before, row.after))


def _alike(first: object, second: object) -> bool:
    if isinstance(first, str) and isinstance(second, str):
        return first.casefold() == second.casefold()
    return first == second


def _counters(before: Side, after: Side) -> tuple[CounterChange, ...]:
    """The figures that both sides have, those that moved most (as a share of the larger end) first."""
    firsts = dict(islice(before.counters(), MAX_COUNTERS))
    rows = [
        CounterChange(key[2], key[1], firsts[key], value)
        for key, value in islice(after.counters(), MAX_COUNTERS)
        if key in firsts
    ]
    return tuple(sorted(rows, key=lambda row: (-_moved(row), row.name)))


def _moved(row: CounterChange) -> float:
    most = max(abs(row.before), abs(row.after))
    return abs(row.after / most - row.before / most) if most else 0.0
