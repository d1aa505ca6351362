"""Owner, retainers and victims of a finding in the JSON document."""

import json
from typing import Any

import pytest

from poolsleuth.model.document import from_json, to_json
from poolsleuth.model.errors import InputError
from poolsleuth.model.finding import Confidence, Roles, Severity, Verdict
from poolsleuth.model.report import Pools, Report, ReportFinding, ReportMachine, ReportReason, ReportSystem


def report_of(roles: Roles | None) -> Report:
    finding = ReportFinding(
        pattern="pool-leak",
        verdict=Verdict.SUSPECTED,
        severity=Severity.WARNING,
        confidence=Confidence.LOW,
        headline="a leak",
        because=(ReportReason("it is large"),),
        roles=roles,
    )
    machine = ReportMachine(
        name=None, inputs=(), system=ReportSystem(), pools=Pools(), tags=(), conclusion=None, findings=(finding,)
    )
    return Report(tool_version="0", inputs=(), machines=(machine,), problems=())


@pytest.mark.parametrize(
    "roles", [None, Roles(), Roles("a.sys", ("b.sys", "c.sys"), ("Event",)), Roles(None, ("b.sys",))]
)
def test_written_and_read_back_they_are_the_same(roles: Roles | None) -> None:
    report = report_of(roles)
    assert from_json(to_json(report)) == report


def test_a_finding_without_them_looks_as_it_always_did() -> None:
    (machine,) = json.loads(to_json(report_of(None)))["machines"]
    assert "roles" not in machine["findings"][0]


@pytest.mark.parametrize("damaged", [5, [], {"owner": 1}, {"owner": None, "retainers": "b.sys", "victims": []}])
def test_what_is_damaged_is_named_by_its_place(damaged: Any) -> None:
    whole = json.loads(to_json(report_of(Roles("a.sys"))))
    whole["machines"][0]["findings"][0]["roles"] = damaged
    with pytest.raises(InputError, match=r"report\.machines\[0\]\.findings\[0\]"):
        from_json(json.dumps(whole))
