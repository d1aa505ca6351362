from collections.abc import Callable

import pytest

from poolsleuth.model.facts import Figure, Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.patterns.thresholds import FALSE_BANNER
from poolsleuth.windows.builds import Era

Judge = Callable[..., Finding]
Findings = Callable[..., tuple[Finding, ...]]
Vm = Callable[..., MemoryCounters]

ID = "false-pool-warning"
PAGE, KB, MB, GB = 4096, 1 << 10, 1 << 20, 1 << 30
SERVER_2003 = {"era": int(Era.XP_2003), "architecture": "x86", "physical_bytes": 4 * GB}
WINDOWS_7 = {"era": int(Era.VISTA_7), "architecture": "x64", "physical_bytes": 8 * GB}


def says(finding: Finding) -> str:
    return " | ".join(reason.says for reason in finding.because)


def test_a_misread_counter_of_windows_7(finding: Judge, vm: Vm) -> None:
    # 29,559,056 pages are 118 GB, on a machine with 8
    counters = vm(
        physical=2_097_038 * PAGE,
        nonpaged_max=1_561_080 * PAGE,
        nonpaged_warning=1,
        committed=2 * GB,
        impossible=(("NonPagedPool Usage", Figure(29_559_056 * PAGE, Where(0, 9))),),
    )

    found = finding(ID, counters, **WINDOWS_7)

    assert (found.verdict, found.severity, found.confidence) == (Verdict.FOUND, Severity.INFO, Confidence.HIGH)
    assert found.subject.pool == "nonpaged"
    assert f"{29_559_056 * PAGE:,} bytes" in says(found)
    assert "the machine has" in says(found)
    assert "the pool's maximum is" in says(found)
    assert "all memory committed together" in says(found)


def test_a_misread_counter_without_a_banner(finding: Judge, vm: Vm) -> None:
    counters = vm(physical=8 * GB, impossible=(("PagedPool Commit", Figure(1 << 60, Where(0, 9))),), nonpaged_used=MB)

    found = finding(ID, counters, **WINDOWS_7)

    assert found.verdict is Verdict.FOUND
    assert "PagedPool Commit" in found.headline


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(FALSE_BANNER.value - 0.001, Verdict.FOUND), (FALSE_BANNER.value, Verdict.RULED_OUT), (0.99, Verdict.RULED_OUT)],
)
def test_edge_of_a_banner(finding: Judge, vm: Vm, share: float, verdict: Verdict) -> None:
    counters = vm(nonpaged_used=int(share * 100_000) * KB, nonpaged_max=100_000 * KB, nonpaged_warning=1)

    judged = finding(ID, counters, **SERVER_2003)

    assert judged.verdict is verdict
    if verdict is Verdict.FOUND:
        assert judged.confidence is Confidence.MEDIUM


def test_failures_speak_against_a_false_alarm(finding: Judge, vm: Vm) -> None:
    counters = vm(paged_used=30 * MB, paged_max=100 * MB, paged_warning=1, pool_failures=4)

    found = finding(ID, counters, **SERVER_2003)

    assert found.subject.pool == "paged"
    assert "4 pool allocations failed, perhaps at an earlier peak" in found.against[0].says


def test_both_banners_have_their_own_finding(findings: Findings, vm: Vm) -> None:
    counters = vm(
        nonpaged_used=3 * MB,
        nonpaged_max=100 * MB,
        nonpaged_warning=1,
        paged_used=3 * MB,
        paged_max=100 * MB,
        paged_warning=1,
    )

    assert [f.subject.pool for f in findings(ID, counters, **SERVER_2003)] == ["nonpaged", "paged"]


def test_no_banner_is_no_false_one(finding: Judge, vm: Vm) -> None:
    judged = finding(ID, vm(nonpaged_used=99 * MB, nonpaged_max=100 * MB), **SERVER_2003)

    assert judged.verdict is Verdict.RULED_OUT
    assert "prints no pool warning" in judged.headline


def test_a_banner_without_a_share_is_not_called_false(finding: Judge, vm: Vm) -> None:
    judged = finding(ID, vm(nonpaged_used=99 * MB, nonpaged_max=0, nonpaged_warning=1), **SERVER_2003)

    assert judged.verdict is not Verdict.FOUND


@pytest.mark.parametrize(
    ("era", "verdict"),
    [(Era.W81_AND_LATER, Verdict.FOUND), (Era.VISTA_7, Verdict.RULED_OUT), (None, Verdict.RULED_OUT)],
)
def test_stack_messages_are_routine_on_later_windows(finding: Judge, vm: Vm, era: Era | None, verdict: Verdict) -> None:
    counters = vm(physical=16 * GB, nonpaged_used=500 * MB, kernel_stack_pte_failures=13_824)

    judged = finding(ID, counters, era=int(era) if era else None, architecture="x64", physical_bytes=16 * GB)

    assert judged.verdict is verdict
    if verdict is Verdict.FOUND:
        assert judged.severity is Severity.INFO
        assert "13,824 kernel stack PTE allocations" in says(judged)


def test_without_figures_the_command_is_named(finding: Judge) -> None:
    judged = finding(ID)

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "`!vm`" in judged.next_steps[0]
