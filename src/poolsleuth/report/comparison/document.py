"""The comparison as a JSON document (``poolsleuth.diff/1``): strict JSON, null for what is not known."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime

from poolsleuth.model.comparison import (
    SCHEMA,
    Amount,
    ComparedMachine,
    ComparedSide,
    Comparison,
    CounterChange,
    FindingChange,
    MachinePair,
    PoolChange,
    Span,
    TagChange,
)
from poolsleuth.model.report import ReportFinding
from poolsleuth.report.comparison.words import headline
from poolsleuth.report.wording import clean

Json = dict[str, object]
TagFilter = Callable[[TagChange], bool]

_MAX_BITS = 14_000  # Python writes no number of more than 4,300 digits: a file may bring one that a sum makes longer


def to_json(comparison: Comparison, keep: TagFilter = lambda _: True) -> str:
    """The document as text, ending in a line feed. ``keep`` chooses the tags."""
    document = {
        "schema": SCHEMA,
        "tool": {"name": "poolsleuth", "version": comparison.tool_version},
        "notable": comparison.notable,
        "before": _side(comparison.before),
        "after": _side(comparison.after),
        "pairs": [_pair(pair, keep) for pair in comparison.pairs],
    }
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _side(side: ComparedSide) -> Json:
    return {
        "inputs": [
            {"name": i.name, "kind": i.kind.value if i.kind else None, "bytes": i.bytes, "sha256": i.sha256}
            for i in side.inputs
        ],
        "problems": [{"input": p.input, "at": p.at, "says": p.says} for p in side.problems],
        "unpaired": [_machine(machine) for machine in side.unpaired],
    }


def _machine(machine: ComparedMachine) -> Json:
    return {"number": machine.number, "name": machine.name}


def _pair(pair: MachinePair, keep: TagFilter) -> Json:
    return {
        "before": _machine(pair.before),
        "after": _machine(pair.after),
        "over_time": pair.over_time,
        "paired_by": pair.paired_by,
        "comparable": pair.comparable,
        "notable": pair.notable,
        "says": clean(headline(pair)),
        "notes": list(pair.notes),
        "time": _span(pair.span),
        "system": [{"what": s.what, "before": s.before, "after": s.after} for s in pair.system],
        "pools": [_pool(pool) for pool in pair.pools],
        "tags": [_tag(tag) for tag in pair.tags if keep(tag)],
        "findings": [_finding(finding) for finding in pair.findings],
        "counters": [_counter(counter) for counter in pair.counters],
    }


def _span(span: Span) -> Json:
    return {
        "before": {"captured_at": _time(span.before_at), "uptime_seconds": span.before_uptime},
        "after": {"captured_at": _time(span.after_at), "uptime_seconds": span.after_uptime},
        "seconds": span.seconds,
        "rebooted": span.rebooted,
        "reboot_basis": span.reboot_basis,
    }


def _time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    try:
        return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, ValueError):  # the first or the last day that a datetime can hold
        return moment.isoformat(timespec="seconds")


def _writable(number: int | None) -> int | None:
    return None if number is None or number.bit_length() > _MAX_BITS else number


def _amount(amount: Amount) -> Json:
    return {"before": amount.before, "after": amount.after, "change": _writable(amount.change)}


def _pool(pool: PoolChange) -> Json:
    return {
        "pool": pool.pool,
        "session": pool.session,
        "status": pool.status.value,
        "notable": pool.notable,
        "basis": pool.basis,
        "used_bytes": _amount(pool.used),
        "limit_bytes": _amount(pool.limit),
        "tagged_bytes": _amount(pool.tagged),
        "failures": _amount(pool.failures),
        "bytes_per_hour": pool.bytes_per_hour,
        "explained_by": [{"tag": e.tag, "bytes": _writable(e.bytes), "share": e.share} for e in pool.explained_by],
        "unexplained_bytes": _writable(pool.unexplained_bytes),
        "unexplained_exact": pool.unexplained_exact,
    }


def _tag(tag: TagChange) -> Json:
    return {
        "tag": tag.tag,
        "pool": tag.pool,
        "session": tag.session,
        "status": tag.status.value,
        "notable": tag.notable,
        "bytes": _amount(tag.bytes),
        "outstanding": _amount(tag.outstanding),
        "allocations_between": _writable(tag.allocations),
        "share_of_pool_change": tag.share,
        "bytes_per_hour": tag.bytes_per_hour,
        "outstanding_per_hour": tag.outstanding_per_hour,
        "driver": tag.driver,
        "description": tag.description,
    }


def _finding(change: FindingChange) -> Json:
    subject = change.subject
    return {
        "pattern": change.pattern,
        "status": change.status.value,
        "notable": change.notable,
        "subject": {
            "pool": subject.pool,
            "tag": subject.tag,
            "session": subject.session,
            "resource": subject.resource,
            "process": subject.process,
        },
        "before": _judgement(change.before),
        "after": _judgement(change.after),
    }


def _judgement(finding: ReportFinding | None) -> Json | None:
    if finding is None:
        return None
    return {
        "verdict": finding.verdict.value,
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "headline": finding.headline,
        "driver": finding.subject.driver,
    }


def _counter(counter: CounterChange) -> Json:
    change = counter.after - counter.before
    return {
        "name": counter.name,
        "unit": counter.unit,
        "before": counter.before,
        "after": counter.after,
        "change": change if math.isfinite(change) else None,
    }
