from collections.abc import Callable

import pytest

from poolsleuth.model.facts import Figure, Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.memory import FailureReason, MemoryCounters, SessionMemory
from poolsleuth.model.system import BugCheck, EventText
from poolsleuth.model.tags import PoolmonMemory, TagRow, TagTable
from poolsleuth.patterns.thresholds import POOL_CRITICAL, POOL_WARNING, RAM_SHARE_CRITICAL, RAM_SHARE_WARNING
from poolsleuth.windows.builds import Era

Judge = Callable[..., Finding]
Vm = Callable[..., MemoryCounters]

ID = "nonpaged-pool-depletion"
PAGE, KB, MB, GB, TB = 4096, 1 << 10, 1 << 20, 1 << 30, 1 << 40
SERVER_2003 = {"era": int(Era.XP_2003), "architecture": "x86", "physical_bytes": 2 * GB}
SERVER_2022 = {"era": int(Era.W81_AND_LATER), "architecture": "x64", "physical_bytes": 64 * GB}


def says(finding: Finding) -> str:
    return " | ".join(reason.says for reason in finding.because)


def against(finding: Finding) -> str:
    return " | ".join(reason.says for reason in finding.against)


def test_full_pool_of_the_3gb_server(finding: Judge, vm: Vm) -> None:
    counters = vm(
        physical=3405680 * KB,
        nonpaged_used=31369 * PAGE,
        nonpaged_max=31986 * PAGE,
        nonpaged_warning=1,
        paged_used=22019 * PAGE,
        paged_max=38912 * PAGE,
        pool_failures=3,
    )

    found = finding(ID, counters, **SERVER_2003, three_gb=True)

    assert (found.verdict, found.severity, found.confidence) == (Verdict.FOUND, Severity.CRITICAL, Confidence.HIGH)
    assert found.subject.pool == "nonpaged"
    assert "98.1 %" in found.headline
    assert "3 allocations failed" in found.headline
    assert f"{31369 * PAGE:,} bytes" in says(found)
    assert f"{31986 * PAGE:,} bytes" in says(found)
    assert "/3GB" in says(found)
    assert "'Excessive' banner" in says(found)
    assert any("the 3 failed allocations" in text for text in found.explains)
    assert any("remove it from boot.ini" in step for step in found.next_steps)


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
    counters = vm(nonpaged_used=int(share * 100_000) * KB, nonpaged_max=100_000 * KB)

    judged = finding(ID, counters, **SERVER_2003)

    assert (judged.verdict, judged.severity) == (verdict, severity)


def test_tight_without_failures_says_there_is_still_room(finding: Judge, vm: Vm) -> None:
    judged = finding(ID, vm(nonpaged_used=82 * MB, nonpaged_max=100 * MB), **SERVER_2003)

    assert judged.confidence is Confidence.MEDIUM
    assert "no failed allocation is recorded" in against(judged)


def test_failures_are_not_assigned_while_both_pools_are_tight(finding: Judge, vm: Vm) -> None:
    counters = vm(
        nonpaged_used=95 * MB, nonpaged_max=100 * MB, paged_used=190 * MB, paged_max=200 * MB, pool_failures=7
    )

    judged = finding(ID, counters, **SERVER_2003)

    assert judged.verdict is Verdict.FOUND
    assert "allocations failed" not in judged.headline
    assert not any("failed allocation" in text for text in judged.explains)
    assert "cannot be assigned to this pool" in against(judged)


def test_failures_are_not_assigned_while_the_other_pool_is_unknown(finding: Judge, vm: Vm) -> None:
    judged = finding(ID, vm(nonpaged_used=95 * MB, nonpaged_max=100 * MB, pool_failures=7), **SERVER_2003)

    assert "7 allocations failed" not in judged.headline
    assert "cannot be assigned" in against(judged)


def test_failures_with_room_in_both_pools_point_elsewhere(finding: Judge, vm: Vm) -> None:
    counters = vm(
        nonpaged_used=20 * MB, nonpaged_max=100 * MB, paged_used=20 * MB, paged_max=200 * MB, pool_failures=3441
    )

    judged = finding(ID, counters, **SERVER_2003)

    assert judged.verdict is Verdict.RULED_OUT
    assert "3,441 pool allocations failed although both system pools have room" in against(judged)
    assert any("`!vm 4`" in step for step in judged.next_steps)


def test_failures_of_a_session_are_told_as_the_sessions(
    finding: Judge, vm: Vm, sessions: Callable[..., SessionMemory]
) -> None:
    counters = vm(
        nonpaged_used=20 * MB, nonpaged_max=100 * MB, paged_used=20 * MB, paged_max=200 * MB, pool_failures=3441
    )

    judged = finding(ID, counters, sessions(32 * MB, (3, MB, None), (9, 32 * MB, 7837)), **SERVER_2003)

    assert judged.verdict is Verdict.RULED_OUT
    assert "belong to session 9" in against(judged)


@pytest.mark.parametrize(
    ("share", "verdict", "severity"),
    [
        (RAM_SHARE_WARNING.value - 0.01, Verdict.RULED_OUT, Severity.INFO),
        (RAM_SHARE_WARNING.value, Verdict.SUSPECTED, Severity.WARNING),
        (RAM_SHARE_CRITICAL.value - 0.01, Verdict.SUSPECTED, Severity.WARNING),
        (RAM_SHARE_CRITICAL.value, Verdict.FOUND, Severity.CRITICAL),
    ],
)
def test_since_windows_8_1_memory_is_the_limit(
    finding: Judge, vm: Vm, share: float, verdict: Verdict, severity: Severity
) -> None:
    # The printed 16 TB are address space: measured by them, no pool would ever be full
    counters = vm(physical=64 * GB, nonpaged_used=int(share * 64 * 1024) * MB, nonpaged_max=16 * TB)

    judged = finding(ID, counters, **SERVER_2022)

    assert (judged.verdict, judged.severity) == (verdict, severity)
    assert "physical memory" in says(judged)
    assert "16 TB is address space" in says(judged)


def test_the_no_execute_part_counts(finding: Judge, vm: Vm) -> None:
    counters = vm(physical=64 * GB, nonpaged_used=8 * GB, nonpaged_nx_used=10 * GB, nonpaged_max=16 * TB)

    judged = finding(ID, counters, **SERVER_2022)

    assert judged.verdict is Verdict.SUSPECTED
    assert f"{18 * GB:,} bytes" in says(judged)
    assert "10.0 GB of it no-execute" in says(judged)


def test_half_of_memory_is_too_much_below_any_maximum(finding: Judge, vm: Vm) -> None:
    # Article 003: 540 MB on a machine with 1 GB. 75 % of RAM would be the maximum, and 72 % of that no alarm
    counters = vm(physical=GB, nonpaged_used=540 * MB, nonpaged_max=768 * MB)

    judged = finding(ID, counters, era=int(Era.VISTA_7), architecture="x64", physical_bytes=GB)

    assert (judged.verdict, judged.severity) == (Verdict.FOUND, Severity.CRITICAL)


def test_without_figures_the_command_is_named(finding: Judge) -> None:
    judged = finding(ID, **SERVER_2003)

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "`!vm`" in judged.next_steps[0]


def test_impossible_usage_is_not_judged(finding: Judge, vm: Vm) -> None:
    counters = vm(
        physical=8 * GB,
        nonpaged_max=6 * GB,
        nonpaged_warning=1,
        impossible=(("NonPagedPool Usage", Figure(29559056 * PAGE, Where(0, 20))),),
    )

    judged = finding(ID, counters, era=int(Era.VISTA_7), architecture="x64", physical_bytes=8 * GB)

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "cannot be true" in judged.headline
    assert judged.because[0].where == Where(0, 20)


def test_usage_without_a_limit_is_not_judged(finding: Judge) -> None:
    used = Figure(100 * MB, Where(0, 2))
    header = PoolmonMemory(
        where=Where(0, 1),
        physical=None,
        available=None,
        nonpaged_used=used,
        paged_used=None,
        committed=None,
        commit_limit=None,
        commit_peak=None,
    )

    judged = finding(ID, header)

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "its limit is not known" in judged.headline


def test_event_2019_counts_without_any_figure(finding: Judge) -> None:
    judged = finding(ID, EventText(where=Where(0, 3), event_id=2019, says="nonpaged pool was empty"))

    assert (judged.verdict, judged.severity) == (Verdict.FOUND, Severity.CRITICAL)
    assert judged.because[0].where == Where(0, 3)


def test_event_2020_is_about_the_other_pool(finding: Judge) -> None:
    judged = finding(ID, EventText(where=Where(0, 3), event_id=2020, says="paged pool was empty"))

    assert judged.verdict is Verdict.NOT_ASSESSED


def test_event_2019_with_a_pool_that_has_room_now(finding: Judge, vm: Vm) -> None:
    event = EventText(where=Where(0, 3), event_id=2019, says="")

    judged = finding(ID, event, vm(nonpaged_used=30 * MB, nonpaged_max=100 * MB), **SERVER_2003)

    assert judged.verdict is Verdict.FOUND
    assert "at this moment it is at 30.0 %" in judged.headline


@pytest.mark.parametrize(("code", "verdict"), [(0x41, Verdict.FOUND), (0xAB, Verdict.NOT_ASSESSED)])
def test_bug_checks_about_an_empty_pool(finding: Judge, code: int, verdict: Verdict) -> None:
    # 0xAB is pool left in a session: it says nothing about nonpaged pool
    judged = finding(ID, bugcheck=BugCheck(where=Where(0, 5), code=code))

    assert judged.verdict is verdict


def test_banner_below_the_threshold_is_only_evidence(finding: Judge, vm: Vm) -> None:
    judged = finding(ID, vm(nonpaged_used=30 * MB, nonpaged_max=100 * MB, nonpaged_warning=1), **SERVER_2003)

    assert judged.verdict is Verdict.RULED_OUT
    assert "banner all the same" in against(judged)


def test_the_largest_tags_are_named_and_small_ones_are_not(
    finding: Judge, vm: Vm, row: Callable[..., TagRow], table: Callable[..., TagTable]
) -> None:
    rows = [
        row("None", bytes=50_827_424, outstanding=246_479),
        row("MmCm", bytes=18_462_512, outstanding=1198),
        row("Irp", bytes=MB, outstanding=100),
    ]

    judged = finding(ID, vm(nonpaged_used=120 * MB, nonpaged_max=125 * MB), table(*rows), **SERVER_2003)

    assert "the largest tag is None" in judged.headline
    assert "50,827,424 bytes" in says(judged)
    assert "tag MmCm" in says(judged)
    assert "tag Irp" not in says(judged)
    assert any("finding about tag None" in step for step in judged.next_steps)


def test_lost_bytes_are_not_printed_as_zero(
    finding: Judge, vm: Vm, row: Callable[..., TagRow], table: Callable[..., TagTable]
) -> None:
    ddk = row("Ddk", allocs=9_074_558, frees=3_859_522, outstanding=5_215_036)

    judged = finding(ID, vm(nonpaged_used=120 * MB, nonpaged_max=125 * MB), table(ddk), **SERVER_2003)

    assert "tag Ddk: 5,215,036 blocks outstanding, bytes not printed" in says(judged)
    assert ", 0 bytes" not in says(judged)


def test_without_tags_the_next_step_finds_them(finding: Judge, vm: Vm) -> None:
    judged = finding(ID, vm(nonpaged_used=120 * MB, nonpaged_max=125 * MB), **SERVER_2003)

    assert any("!poolused /t10 2" in step for step in judged.next_steps)


def test_memory_counts_whatever_maximum_is_printed(finding: Judge, vm: Vm) -> None:
    # 64-bit Windows 7 prints 75 % of RAM as the maximum: 58 % of that is 43 % of all memory, and no small thing
    system = {"era": int(Era.VISTA_7), "architecture": "x64", "physical_bytes": 8 * GB}

    def judged(used: int) -> Finding:
        return finding(ID, vm(physical=8 * GB, nonpaged_used=used, nonpaged_max=6 * GB), **system)

    assert judged(4 * GB * 9 // 10).verdict is Verdict.SUSPECTED
    assert "of the machine's memory" in judged(4 * GB * 9 // 10).headline
    assert judged(4 * GB + GB // 2).verdict is Verdict.FOUND
    assert judged(GB).verdict is Verdict.RULED_OUT


def test_a_poolmon_screen_is_judged_by_memory(finding: Judge) -> None:
    where = Where(0, 1)
    screen = PoolmonMemory(
        where=where,
        physical=Figure(2 * GB, where),
        available=None,
        nonpaged_used=Figure(2 * GB * 6 // 10, where),
        paged_used=None,
        committed=None,
        commit_limit=None,
        commit_peak=None,
    )

    assert finding(ID, screen).verdict is Verdict.FOUND


def refused(**counts: int) -> tuple[FailureReason, ...]:
    return tuple(FailureReason(name, Figure(count, Where(0, address=0x1000))) for name, count in counts.items())


def test_the_kernel_says_what_was_missing(finding: Judge, vm: Vm) -> None:
    reasons = refused(NonPagedNoPtes=5, NonPagedNoResidentAvailable=2, PagedNoCommit=9)
    counters = vm(nonpaged_used=97 * MB, nonpaged_max=100 * MB, pool_failures=16, failure_reasons=reasons)

    found = finding(ID, counters, **SERVER_2003)

    assert (found.verdict, found.severity) == (Verdict.FOUND, Severity.CRITICAL)
    assert "7 allocations failed" in found.headline
    told = says(found)
    assert "5 allocations of it refused since the start: no address space (system PTEs) was left" in told
    assert "2 allocations of it refused since the start: too much memory was locked already" in told
    assert "PagedNoCommit" not in told.replace("NonPagedNoCommit", "")
    assert "the only pool that is tight" not in told


def test_refusals_of_the_other_pool_are_not_this_ones(finding: Judge, vm: Vm) -> None:
    """Both pools are known to the kernel: the one that is tight is not taken for the one that failed."""
    counters = vm(
        nonpaged_used=88 * MB, nonpaged_max=100 * MB, paged_used=1 * MB, paged_max=100 * MB, pool_failures=9,
        failure_reasons=refused(PagedNoCommit=9),
    )  # fmt: skip

    found = finding(ID, counters, **SERVER_2003)

    assert "failed" not in found.headline
    assert "no failed allocation is recorded" in against(found)
    assert "cannot be assigned" not in against(found)


def test_refusals_of_low_priority_may_be_of_any_pool(finding: Judge, vm: Vm) -> None:
    counters = vm(
        nonpaged_used=88 * MB, nonpaged_max=100 * MB, paged_used=1 * MB, paged_max=100 * MB, pool_failures=9,
        failure_reasons=refused(PriorityTooLow=9),
    )  # fmt: skip

    found = finding(ID, counters, **SERVER_2003)

    assert "failed" not in found.headline
    assert "the 9 failed allocations that the kernel counts cannot be assigned to this pool" in against(found)
    assert "no failed allocation is recorded" not in against(found)


def test_refusals_of_a_pool_that_has_room_again_speak_against_the_all_clear(finding: Judge, vm: Vm) -> None:
    reasons = refused(NonPagedNoPagesAvailable=3)
    counters = vm(nonpaged_used=10 * MB, nonpaged_max=100 * MB, pool_failures=3, failure_reasons=reasons)

    found = finding(ID, counters, **SERVER_2003)

    assert found.verdict is Verdict.RULED_OUT
    assert "3 allocations of it refused since the start: no free page of memory was left" in against(found)
