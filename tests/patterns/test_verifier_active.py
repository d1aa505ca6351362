from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.model.facts import Figure, Where
from poolsleuth.model.finding import Finding, Severity, Verdict
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.system import BugCheck, VerifiedDriver, VerifierState

Judge = Callable[..., Finding]
Vm = Callable[..., MemoryCounters]

ID = "verifier-active"


def verifier(**known: Any) -> VerifierState:
    values = {
        "level": None,
        "options": (),
        "special_pool": None,
        "injected_failures": None,
        "failed": None,
        "untagged": None,
    } | known
    return VerifierState(where=Where(0, 3), **values)


DRIVER = VerifiedDriver("usbport.sys", "Loaded", 10, 0, 1000, 0, (), Where(0, 5))


@pytest.mark.parametrize("known", [{"level": 9}, {"options": ("Special pool",)}, {"drivers": (DRIVER,)}])
def test_an_active_verifier(finding: Judge, known: dict[str, Any]) -> None:
    found = finding(ID, verifier(**known))

    assert (found.verdict, found.severity) == (Verdict.FOUND, Severity.INFO)
    assert found.subject.driver is None  # being verified is no guilt
    assert any("verifier /reset" in step for step in found.next_steps)


def test_verified_drivers_are_listed(finding: Judge) -> None:
    assert "(usbport.sys)" in finding(ID, verifier(level=1, drivers=(DRIVER,))).headline


def test_deliberate_failures_are_told(finding: Judge) -> None:
    found = finding(ID, verifier(level=4, injected_failures=Figure(212, Where(0, 6))))

    assert any("212 allocations failed on purpose" in reason.says for reason in found.because)


def test_an_idle_verifier(finding: Judge) -> None:
    assert finding(ID, verifier(level=0)).verdict is Verdict.RULED_OUT


def test_special_pool_of_vm(finding: Judge, vm: Vm) -> None:
    found = finding(ID, vm(special_pool=1040 * 4096))

    assert found.verdict is Verdict.FOUND
    assert f"{1040 * 4096:,} bytes" in found.because[0].says


def test_no_special_pool_leaves_the_other_options_open(finding: Judge, vm: Vm) -> None:
    judged = finding(ID, vm(special_pool=0))

    assert judged.verdict is Verdict.RULED_OUT
    assert any("`!verifier`" in step for step in judged.next_steps)


@pytest.mark.parametrize(
    ("code", "verdict"), [(0xC4, Verdict.FOUND), (0xC1, Verdict.FOUND), (0xD1, Verdict.NOT_ASSESSED)]
)
def test_bug_checks_of_the_verifier(finding: Judge, code: int, verdict: Verdict) -> None:
    assert finding(ID, bugcheck=BugCheck(where=Where(0, 1), code=code)).verdict is verdict


def test_without_evidence_the_command_is_named(finding: Judge) -> None:
    judged = finding(ID)

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert judged.next_steps == ("run `!verifier`",)
