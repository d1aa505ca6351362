"""The report as a JSON document, written and read back. Reading checks every value: the document is only a file."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from poolsleuth.model.document_node import Node
from poolsleuth.model.errors import InputError
from poolsleuth.model.finding import Confidence, Roles, Severity, Subject, Trend, Verdict
from poolsleuth.model.report import (
    SCHEMA,
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
from poolsleuth.model.report_blocks import blocks_document, read_blocks


def to_json(report: Report) -> str:
    """The document as strict JSON text (no NaN, no Infinity), ending in a line feed."""
    return json.dumps(to_document(report), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def to_document(report: Report) -> dict[str, Any]:
    """The document as plain lists and dictionaries, in the shape of ``poolsleuth.report/1``."""
    return {
        "schema": SCHEMA,
        "tool": {"name": "poolsleuth", "version": report.tool_version},
        "inputs": [
            {"name": i.name, "kind": i.kind.value if i.kind else None, "bytes": i.bytes, "sha256": i.sha256}
            for i in report.inputs
        ],
        "machines": [_machine(machine) for machine in report.machines],
        "problems": [{"input": p.input, "at": p.at, "says": p.says} for p in report.problems],
    }


def _machine(machine: ReportMachine) -> dict[str, Any]:
    system = machine.system
    return {
        "name": machine.name,
        "inputs": list(machine.inputs),
        "system": {
            "os": system.os,
            "build": system.build,
            "architecture": system.architecture,
            "pae": system.pae,
            "three_gb": system.three_gb,
            "physical_bytes": system.physical_bytes,
            "captured_at": _time_text(system.captured_at),
            "uptime_seconds": system.uptime_seconds,
            "bugcheck": None
            if system.bugcheck is None
            else {
                "code": system.bugcheck.code,
                "name": system.bugcheck.name,
                "parameters": list(system.bugcheck.parameters),
            },
            "basis": list(system.basis),
        },
        "pools": {
            "nonpaged": _pool(machine.pools.nonpaged),
            "paged": _pool(machine.pools.paged),
            "sessions": [_fields(session) for session in machine.pools.sessions],
            "failures": machine.pools.failures,
        },
        "tags": [_fields(tag) for tag in machine.tags],
        "drivers": {
            "loaded": [_fields(driver) for driver in machine.drivers.loaded],
            "complete": machine.drivers.complete,
            "unloaded": [_fields(driver) for driver in machine.drivers.unloaded],
        },
        "conclusion": _fields(machine.conclusion) if machine.conclusion else None,
        "findings": [_finding(finding) for finding in machine.findings],
        "series": [_series(series) for series in machine.series],
    }


def _finding(finding: ReportFinding) -> dict[str, Any]:
    document: dict[str, Any] = {
        "pattern": finding.pattern,
        "verdict": finding.verdict.value,
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "headline": finding.headline,
        "subject": _fields(finding.subject),
        "because": [_fields(reason) for reason in finding.because],
        "against": [_fields(reason) for reason in finding.against],
        "explains": list(finding.explains),
        "next_steps": list(finding.next_steps),
    }
    if finding.trend is not None:
        document["trend"] = _fields(finding.trend)
    if finding.roles is not None:
        roles = finding.roles
        document["roles"] = {"owner": roles.owner, "retainers": list(roles.retainers), "victims": list(roles.victims)}
    return document


def _series(series: ReportSeries) -> dict[str, Any]:
    document = _fields(series)
    document["trend"] = _fields(series.trend) if series.trend is not None else None
    document["line"] = [list(end) for end in series.line]
    return document


def _pool(use: PoolUse) -> dict[str, Any]:
    """``blocks`` is there only where the blocks were walked."""
    known = {"blocks": blocks_document(use.blocks)} if use.blocks is not None else {}
    return {name: value for name, value in _fields(use).items() if name != "blocks"} | known


def _fields(value: Any) -> dict[str, Any]:
    return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _time_text(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return value


def _time_text(value: datetime | None) -> str | None:
    if value is None:
        return None
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def from_json(text: str) -> Report:
    """Read a document back.

    Raises InputError, naming the place in the document, for anything that is not ``poolsleuth.report/1``.
    """
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"this is not a JSON report: {error}") from error
    if not isinstance(document, dict):
        raise InputError("this JSON is not a poolsleuth report: its top level is not an object")
    schema = document.get("schema")
    if schema != SCHEMA:
        raise InputError(f"this report has the schema {schema!r:.80}; this version reads {SCHEMA!r} only")
    return from_document(document)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def from_document(document: Mapping[str, Any]) -> Report:
    """Read a document that is already parsed. Raises InputError for a wrong type or an unknown word."""
    root = Node(document, "report")
    report = Report(
        tool_version=root["tool"]["version"].text(),
        inputs=root["inputs"].list(
            lambda n: ReportInput(
                name=n["name"].text(),
                kind=n["kind"].optional(lambda k: k.one_of(InputKind)),
                bytes=n["bytes"].optional(Node.integer),
                sha256=n["sha256"].optional(Node.text),
            )
        ),
        machines=root["machines"].list(_read_machine),
        problems=root["problems"].list(
            lambda n: ReportProblem(n["says"].text(), n["input"].optional(Node.integer), n["at"].optional(Node.text))
        ),
    )
    _check_inputs(report)
    return report


def _check_inputs(report: Report) -> None:
    findings = [finding for machine in report.machines for finding in machine.findings]
    reasons = [reason for finding in findings for reason in (*finding.because, *finding.against)]
    used = [index for machine in report.machines for index in machine.inputs]
    used += [reason.input for reason in reasons if reason.input is not None]
    used += [problem.input for problem in report.problems if problem.input is not None]
    wrong = next((index for index in used if not 0 <= index < len(report.inputs)), None)
    if wrong is not None:
        raise InputError(f"the report is damaged: it speaks of input {wrong} but lists {len(report.inputs)} inputs")


def _read_machine(node: Node) -> ReportMachine:
    system = node["system"]
    pools = node["pools"]
    return ReportMachine(
        name=node["name"].optional(Node.text),
        inputs=node["inputs"].list(Node.integer),
        system=ReportSystem(
            os=system["os"].optional(Node.text),
            build=system["build"].optional(Node.integer),
            architecture=system["architecture"].optional(Node.text),
            pae=system["pae"].optional(Node.boolean),
            three_gb=system["three_gb"].optional(Node.boolean),
            physical_bytes=system["physical_bytes"].optional(Node.integer),
            captured_at=system["captured_at"].optional(Node.time),
            uptime_seconds=system["uptime_seconds"].optional(Node.number),
            bugcheck=system["bugcheck"].optional(
                lambda n: ReportBugCheck(
                    n["code"].text(), n["name"].optional(Node.text), n["parameters"].list(Node.text)
                )
            ),
            basis=system["basis"].list(Node.text),
        ),
        pools=Pools(
            nonpaged=_read_pool(pools["nonpaged"]),
            paged=_read_pool(pools["paged"]),
            sessions=pools["sessions"].list(
                lambda n: SessionPoolUse(
                    id=n["id"].integer(),
                    used_bytes=n["used_bytes"].optional(Node.integer),
                    limit_bytes=n["limit_bytes"].optional(Node.integer),
                    failures=n["failures"].optional(Node.integer),
                )
            ),
            failures=pools["failures"].optional(Node.integer),
        ),
        tags=node["tags"].list(_read_tag),
        conclusion=node["conclusion"].optional(
            lambda n: Conclusion(n["pattern"].text(), n["verdict"].one_of(Verdict), n["says"].text())
        ),
        findings=node["findings"].list(_read_finding),
        series=node["series"].list(_read_series),
        drivers=node["drivers"].optional(_read_drivers) or ReportDrivers(),
    )


def _read_drivers(node: Node) -> ReportDrivers:
    return ReportDrivers(
        loaded=node["loaded"].list(
            lambda n: ReportDriver(
                name=n["name"].text(),
                path=n["path"].optional(Node.text),
                base=n["base"].optional(Node.address),
                size=n["size"].optional(Node.integer),
                company=n["company"].optional(Node.text),
                version=n["version"].optional(Node.text),
                timestamp=n["timestamp"].optional(Node.text),
            )
        ),
        complete=node["complete"].optional(Node.boolean),
        unloaded=node["unloaded"].list(
            lambda n: ReportUnloadedDriver(
                name=n["name"].text(), times=n["times"].integer(), last_at=n["last_at"].optional(Node.time)
            )
        ),
    )


def _read_series(node: Node) -> ReportSeries:
    series = ReportSeries(
        name=node["name"].text(),
        kind=node["kind"].text(),
        unit=node["unit"].text(),
        start=node["start"].time(),
        seconds=node["seconds"].list(Node.number),
        values=node["values"].list(lambda n: n.optional(Node.number)),
        samples=node["samples"].integer(),
        path=node["path"].optional(Node.text),
        pool=node["pool"].optional(Node.text),
        tag=node["tag"].optional(Node.text),
        session=node["session"].optional(Node.integer),
        process=node["process"].optional(Node.text),
        course=node["course"].optional(Node.text),
        says=node["says"].optional(Node.text),
        limit=node["limit"].optional(Node.number),
        trend=node["trend"].optional(_read_trend),
        line=node["line"].list(_read_end),
        utc=node["utc"].boolean(),
    )
    if len(series.seconds) != len(series.values):
        raise node.fail("as many times as values")
    return series


def _read_end(node: Node) -> tuple[float, float]:
    ends = node.list(Node.number)
    if len(ends) != 2:
        raise node.fail("a pair of numbers")
    return ends[0], ends[1]


def _read_trend(node: Node) -> Trend:
    return Trend(
        bytes_per_hour=node["bytes_per_hour"].number(),
        low=node["low"].number(),
        high=node["high"].number(),
        allocs_per_hour=node["allocs_per_hour"].optional(Node.number),
        limit_reached_at=node["limit_reached_at"].optional(Node.time),
    )


def _read_pool(node: Node) -> PoolUse:
    return PoolUse(
        used_bytes=node["used_bytes"].optional(Node.integer),
        limit_bytes=node["limit_bytes"].optional(Node.integer),
        limit_source=node["limit_source"].optional(Node.text),
        printed_max_bytes=node["printed_max_bytes"].optional(Node.integer),
        tagged_bytes=node["tagged_bytes"].optional(Node.integer),
        failures=node["failures"].optional(Node.integer),
        tags_complete=node["tags_complete"].optional(Node.boolean),
        blocks=node["blocks"].optional(read_blocks),
    )


def _read_tag(node: Node) -> ReportTag:
    return ReportTag(
        tag=node["tag"].text(),
        pool=node["pool"].text(),
        allocs=node["allocs"].optional(Node.integer),
        frees=node["frees"].optional(Node.integer),
        outstanding=node["outstanding"].optional(Node.integer),
        bytes=node["bytes"].optional(Node.integer),
        description=node["description"].optional(Node.text),
        driver=node["driver"].optional(Node.text),
        session=node["session"].optional(Node.integer),
    )


def _read_finding(node: Node) -> ReportFinding:
    subject = node["subject"]
    return ReportFinding(
        pattern=node["pattern"].text(),
        verdict=node["verdict"].one_of(Verdict),
        severity=node["severity"].one_of(Severity),
        confidence=node["confidence"].one_of(Confidence),
        headline=node["headline"].text(),
        subject=Subject(
            pool=subject["pool"].optional(Node.text),
            tag=subject["tag"].optional(Node.text),
            driver=subject["driver"].optional(Node.text),
            session=subject["session"].optional(Node.integer),
            resource=subject["resource"].optional(Node.text),
            process=subject["process"].optional(Node.text),
        ),
        because=node["because"].list(_read_reason),
        against=node["against"].list(_read_reason),
        explains=node["explains"].list(Node.text),
        next_steps=node["next_steps"].list(Node.text),
        trend=node["trend"].optional(_read_trend),
        roles=node["roles"].optional(_read_roles),
    )


def _read_roles(node: Node) -> Roles:
    return Roles(
        owner=node["owner"].optional(Node.text),
        retainers=node["retainers"].list(Node.text),
        victims=node["victims"].list(Node.text),
    )


def _read_reason(node: Node) -> ReportReason:
    return ReportReason(node["says"].text(), node["input"].optional(Node.integer), node["at"].optional(Node.text))
