from collections.abc import Callable

import pytest

from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Finding, Severity, Verdict
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.system import EventText
from poolsleuth.model.tags import TagRow, TagTable
from poolsleuth.patterns.thresholds import (
    COMMIT_CRITICAL,
    COMMIT_SHARE_CRITICAL,
    COMMIT_SHARE_WARNING,
    POOL_CRITICAL,
    POOL_WARNING,
)
from poolsleuth.windows.builds import Era

Judge = Callable[..., Finding]
Vm = Callable[..., MemoryCounters]

ID = "paged-pool-depletion"
PAGE, KB, MB, GB, TB = 4096, 1 << 10, 1 << 20, 1 << 30, 1 << 40
SERVER_2003 = {"era": int(Era.XP_2003), "architecture": "x86", "physical_bytes": 16 * GB}


def says(finding: Finding) -> str:
    return " | ".join(reason.says for reason in finding.because)


def test_failures_without_any_warning(finding: Judge, vm: Vm) -> None:
    # 90.0 %, 818 failures and no banner: the banner is not the judge
    counters = vm(
        nonpaged_used=37846 * PAGE,
        nonpaged_max=65215 * PAGE,
        paged_used=120710 * PAGE,
        paged_max=134144 * PAGE,
        pool_failures=818,
    )

    found = finding(ID, counters, **SERVER_2003)

    assert (found.verdict, found.severity, found.subject.pool) == (Verdict.FOUND, Severity.CRITICAL, "paged")
    assert "818 allocations failed" in found.headline
    assert "the only pool that is tight" in says(found)


@pytest.mark.parametrize(
    ("share", "verdict", "severity"),
    [
        (POOL_WARNING.value - 0.001, Verdict.RULED_OUT, Severity.INFO),
        (POOL_WARNING.value, Verdict.FOUND, Severity.WARNING),
        (POOL_CRITICAL.value - 0.001, Verdict.FOUND, Severity.WARNING),
        (POOL_CRITICAL.value, Verdict.FOUND, Severity.CRITICAL),
    ],
)
def test_edges_of_a_printed_maximum(finding: Judge, vm: Vm, share: float, verdict: Verdict, severity: Severity) -> None:
    judged = finding(ID, vm(paged_used=int(share * 100_000) * KB, paged_max=100_000 * KB), **SERVER_2003)

    assert (judged.verdict, judged.severity) == (verdict, severity)


@pytest.mark.parametrize(
    ("share", "verdict", "severity"),
    [
        (COMMIT_SHARE_WARNING.value - 0.01, Verdict.RULED_OUT, Severity.INFO),
        (COMMIT_SHARE_WARNING.value, Verdict.SUSPECTED, Severity.WARNING),
        (COMMIT_SHARE_CRITICAL.value - 0.01, Verdict.SUSPECTED, Severity.WARNING),
        (COMMIT_SHARE_CRITICAL.value, Verdict.FOUND, Severity.CRITICAL),
    ],
)
def test_since_windows_8_1_the_commit_limit_is_the_limit(
    finding: Judge, vm: Vm, share: float, verdict: Verdict, severity: Severity
) -> None:
    counters = vm(physical=64 * GB, paged_used=int(share * 80 * 1024) * MB, paged_max=16 * TB, commit_limit=80 * GB)

    judged = finding(ID, counters, era=int(Era.W81_AND_LATER), architecture="x64", physical_bytes=64 * GB)

    assert (judged.verdict, judged.severity) == (verdict, severity)
    assert "commit limit" in says(judged)


def test_address_space_alone_is_no_limit(finding: Judge, vm: Vm) -> None:
    counters = vm(physical=64 * GB, paged_used=30 * GB, paged_max=16 * TB)

    judged = finding(ID, counters, era=int(Era.W81_AND_LATER), architecture="x64", physical_bytes=64 * GB)

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "its limit is not known" in judged.headline


def test_a_set_of_section_ptes_can_be_trimmed(
    finding: Judge, vm: Vm, row: Callable[..., TagRow], table: Callable[..., TagTable]
) -> None:
    tags = table(
        row("MmSt", pool="paged", bytes=140_642_616, outstanding=85_622),
        row("Ntff", pool="paged", bytes=51_991_440, outstanding=63_715),
    )

    judged = finding(ID, vm(paged_used=480 * MB, paged_max=524 * MB), tags, **SERVER_2003)

    assert any("PoolUsageMaximum = 60" in step for step in judged.next_steps)
    assert "tag MmSt" in says(judged)
    assert "tag Ntff" in says(judged)


def test_a_drivers_memory_cannot_be_trimmed(
    finding: Judge, vm: Vm, row: Callable[..., TagRow], table: Callable[..., TagTable]
) -> None:
    tags = table(row("Abcd", pool="paged", bytes=300 * MB, outstanding=10_000))

    judged = finding(ID, vm(paged_used=480 * MB, paged_max=524 * MB), tags, **SERVER_2003)

    assert not any("PoolUsageMaximum" in step for step in judged.next_steps)


def test_no_trimming_where_the_pool_is_dynamic(
    finding: Judge, vm: Vm, row: Callable[..., TagRow], table: Callable[..., TagTable]
) -> None:
    tags = table(row("MmSt", pool="paged", bytes=900 * MB, outstanding=85_622))
    counters = vm(physical=4 * GB, paged_used=1900 * MB, paged_max=2 * GB, commit_limit=8 * GB)

    judged = finding(ID, counters, tags, era=int(Era.VISTA_7), architecture="x86", physical_bytes=4 * GB)

    assert judged.verdict is Verdict.FOUND
    # The note on the tag speaks of 32-bit Windows 2000 to 2003 by name; the remedy itself must not appear
    assert not any(step.startswith("let the memory manager trim earlier") for step in judged.next_steps)


def test_event_2020_counts_without_any_figure(finding: Judge) -> None:
    judged = finding(ID, EventText(where=Where(0, 3), event_id=2020, says="the paged pool was empty"))

    assert judged.verdict is Verdict.FOUND
    assert any("!poolused 4" in step for step in judged.next_steps)


def test_3gb_is_no_reason_for_paged_pool(finding: Judge, vm: Vm) -> None:
    judged = finding(ID, vm(paged_used=140 * MB, paged_max=150 * MB), **SERVER_2003, three_gb=True)

    assert "/3GB" not in says(judged)
    assert not any("boot.ini" in step for step in judged.next_steps)


def test_without_figures_the_command_is_named(finding: Judge, vm: Vm) -> None:
    judged = finding(ID, vm(nonpaged_used=MB, nonpaged_max=2 * MB), **SERVER_2003)

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "`!vm`" in judged.next_steps[0]


@pytest.mark.parametrize(
    ("committed", "verdict", "severity"),
    [
        (COMMIT_CRITICAL.value, Verdict.SUSPECTED, Severity.WARNING),
        (COMMIT_CRITICAL.value - 0.01, Verdict.FOUND, Severity.CRITICAL),
    ],
)
def test_requests_that_failed_while_commit_was_out(
    finding: Judge, vm: Vm, committed: float, verdict: Verdict, severity: Severity
) -> None:
    # A counter log: failures are counted per pool, the pool's own limit is not known
    counters = vm(
        paged_used=28 * MB, paged_failures_seen=6950, committed=round(committed * 4 * GB) + 1, commit_limit=4 * GB
    )

    judged = finding(ID, counters)

    assert (judged.verdict, judged.severity) == (verdict, severity)
    assert "6,950 allocations of it failed while the counters were recorded" in says(judged)
    if verdict is Verdict.SUSPECTED:
        assert any("commit-exhaustion" in reason.says for reason in judged.against)
