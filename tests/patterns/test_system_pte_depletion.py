from collections.abc import Callable

import pytest

from poolsleuth.model.facts import Figure, Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.memory import MemoryCounters, PteOwner, SystemPtes
from poolsleuth.model.series import CounterSeries
from poolsleuth.model.system import BugCheck
from poolsleuth.patterns.thresholds import PTES_CRITICAL, PTES_WARNING
from poolsleuth.windows.builds import Era

Judge = Callable[..., Finding]
Vm = Callable[..., MemoryCounters]

ID = "system-pte-depletion"
GB = 1 << 30
SERVER_2003 = {"era": int(Era.XP_2003), "architecture": "x86", "physical_bytes": 4 * GB}


@pytest.mark.parametrize(
    ("free", "verdict", "severity"),
    [
        (int(PTES_WARNING.value), Verdict.RULED_OUT, Severity.INFO),
        (int(PTES_WARNING.value) - 1, Verdict.SUSPECTED, Severity.WARNING),
        (int(PTES_CRITICAL.value), Verdict.SUSPECTED, Severity.WARNING),
        (int(PTES_CRITICAL.value) - 1, Verdict.FOUND, Severity.CRITICAL),
    ],
)
def test_edges_where_the_number_is_fixed(
    finding: Judge, vm: Vm, free: int, verdict: Verdict, severity: Severity
) -> None:
    judged = finding(ID, vm(free_system_ptes=free), **SERVER_2003)

    assert (judged.verdict, judged.severity) == (verdict, severity)


def test_3gb_is_named_as_relief(finding: Judge, vm: Vm) -> None:
    judged = finding(ID, vm(free_system_ptes=1200), **SERVER_2003, three_gb=True)

    assert judged.subject.resource == "system PTEs"
    assert any("/USERVA" in step for step in judged.next_steps)


def test_a_small_machine_needs_few(finding: Judge, vm: Vm) -> None:
    judged = finding(ID, vm(free_system_ptes=1200), era=int(Era.XP_2003), architecture="x86", physical_bytes=64 << 20)

    assert judged.verdict is Verdict.SUSPECTED
    assert "little memory" in judged.against[0].says


@pytest.mark.parametrize(
    ("era", "architecture"), [(Era.VISTA_7, "x86"), (Era.W81_AND_LATER, "x64"), (Era.XP_2003, "x64")]
)
def test_later_and_64_bit_windows_make_more(finding: Judge, vm: Vm, era: Era, architecture: str) -> None:
    assert finding(ID, vm(free_system_ptes=900), era=int(era), architecture=architecture).verdict is Verdict.RULED_OUT


@pytest.mark.parametrize(
    ("free", "verdict"),
    [
        (int(PTES_CRITICAL.value) - 1, Verdict.SUSPECTED),
        (int(PTES_CRITICAL.value), Verdict.NOT_ASSESSED),
        (int(PTES_WARNING.value), Verdict.RULED_OUT),
    ],
)
def test_on_an_unknown_windows_few_are_only_suspected(finding: Judge, vm: Vm, free: int, verdict: Verdict) -> None:
    judged = finding(ID, vm(free_system_ptes=free))

    assert judged.verdict is verdict
    if verdict is not Verdict.RULED_OUT:
        assert "`vertarget`" in judged.next_steps[0]
    if verdict is Verdict.SUSPECTED:
        assert judged.confidence is Confidence.LOW
        assert "which Windows this is does not show" in judged.against[0].says


@pytest.mark.parametrize("known", [{"os": "Windows Vista or later"}, {"architecture": "x64"}])
def test_where_it_is_no_32_bit_windows_before_vista_nothing_is_suspected(
    finding: Judge, vm: Vm, known: dict[str, str]
) -> None:
    assert finding(ID, vm(free_system_ptes=900), **known).verdict is Verdict.NOT_ASSESSED


def test_a_log_that_does_not_name_the_windows(finding: Judge, vm: Vm, counter: Callable[..., CounterSeries]) -> None:
    fell = counter(r"\Memory\Free System Page Table Entries", [0, 1, 2], [52_000, 20_000, 900])

    judged = finding(ID, vm(free_system_ptes=900), fell)

    assert judged.verdict is Verdict.SUSPECTED
    assert "52,000 were free when the log began" in [reason.says for reason in judged.because]


def test_a_log_with_a_counter_of_vista(finding: Judge, vm: Vm, counter: Callable[..., CounterSeries]) -> None:
    later = counter(r"\Memory\Modified Page List Bytes", [0, 1], [5, 6])

    assert finding(ID, vm(free_system_ptes=900), later).verdict is Verdict.NOT_ASSESSED


def test_many_are_many_on_any_windows(finding: Judge, vm: Vm) -> None:
    assert finding(ID, vm(free_system_ptes=180_000)).verdict is Verdict.RULED_OUT


@pytest.mark.parametrize("code", [0x3F, 0xD8])
def test_the_bug_check_is_proof(finding: Judge, code: int) -> None:
    owners = SystemPtes(where=Where(0, 9), owners=(PteOwner("tape.sys+0x1234", 0x2C47), PteOwner("nt!x", 12)))

    found = finding(ID, owners, bugcheck=BugCheck(where=Where(0, 2), code=code))

    assert (found.verdict, found.severity) == (Verdict.FOUND, Severity.CRITICAL)
    assert any("tape.sys+0x1234 (11,335 pages)" in reason.says for reason in found.because)
    assert found.subject.driver is None  # the caller that mapped most is evidence, no verdict


def test_another_bug_check_is_none(finding: Judge) -> None:
    assert finding(ID, bugcheck=BugCheck(where=Where(0, 2), code=0xD1)).verdict is Verdict.NOT_ASSESSED


def test_sysptes_comes_before_vm(finding: Judge, vm: Vm) -> None:
    exact = SystemPtes(where=Where(0, 9), free=Figure(50_000, Where(0, 9)), largest_free_block=Figure(100, Where(0, 9)))

    judged = finding(ID, vm(free_system_ptes=900), exact, **SERVER_2003)

    assert judged.verdict is Verdict.RULED_OUT
    assert "largest free run is only 100" in judged.against[0].says


def test_without_figures_the_commands_are_named(finding: Judge) -> None:
    judged = finding(ID, **SERVER_2003)

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "`!sysptes`" in judged.next_steps[0]
