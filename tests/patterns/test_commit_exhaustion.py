from collections.abc import Callable

import pytest

from poolsleuth.model.facts import Figure, Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.memory import MemoryCounters, PageFile, ProcessCommit
from poolsleuth.model.tags import PoolmonMemory
from poolsleuth.patterns.thresholds import COMMIT_CRITICAL, COMMIT_MOSTLY_POOL

Judge = Callable[..., Finding]
Vm = Callable[..., MemoryCounters]

ID = "commit-exhaustion"
KB, MB, GB = 1 << 10, 1 << 20, 1 << 30
FIXED = (PageFile("C:", 512 * MB, 9 * MB, 512 * MB, 512 * MB),)


@pytest.mark.parametrize(
    ("share", "verdict", "severity"),
    [
        (COMMIT_CRITICAL.value - 0.001, Verdict.RULED_OUT, Severity.INFO),
        (COMMIT_CRITICAL.value, Verdict.FOUND, Severity.WARNING),
        (0.969, Verdict.FOUND, Severity.WARNING),
        (0.97, Verdict.FOUND, Severity.CRITICAL),
    ],
)
def test_edges(finding: Judge, vm: Vm, share: float, verdict: Verdict, severity: Severity) -> None:
    judged = finding(ID, vm(committed=int(share * 100_000) * KB, commit_limit=100_000 * KB, page_files=FIXED))

    assert (judged.verdict, judged.severity) == (verdict, severity)


def test_the_stack_that_could_not_grow(finding: Judge, vm: Vm) -> None:
    # "Committed pages 45882 (183528 Kb), Commit limit 50570 (202280 Kb)": the pools are explicitly not the trouble
    counters = vm(
        committed=183_528 * KB,
        commit_limit=202_280 * KB,
        nonpaged_used=3 * MB,
        paged_used=10 * MB,
        page_files=FIXED,
        processes=(ProcessCommit(1, "small.exe", MB), ProcessCommit(2, "big.exe", 90 * MB)),
    )

    found = finding(ID, counters)

    assert (found.verdict, found.confidence, found.subject.resource) == (Verdict.FOUND, Confidence.HIGH, "commit")
    says = [reason.says for reason in found.because]
    assert f"committed 179.2 MB ({183_528 * KB:,} bytes)" in says
    assert any("big.exe (pid 2)" in text for text in says)
    assert any("paged pool alone takes 10.0 MB" in text for text in says)
    assert found.subject.pool is None


def test_page_files_that_may_grow_speak_against_it(finding: Judge, vm: Vm) -> None:
    growing = (PageFile("C:", 512 * MB, 9 * MB, 512 * MB, 2 * GB),)

    judged = finding(ID, vm(committed=99 * MB, commit_limit=100 * MB, page_files=growing))

    assert (judged.verdict, judged.severity, judged.confidence) == (
        Verdict.FOUND,
        Severity.WARNING,
        Confidence.MEDIUM,
    )
    assert "may still grow by 1.5 GB" in judged.against[0].says


def poolmon(committed: int) -> PoolmonMemory:
    where = Where(0, 1)
    return PoolmonMemory(
        where=where,
        physical=None,
        available=None,
        nonpaged_used=None,
        paged_used=None,
        committed=Figure(committed, where),
        commit_limit=Figure(100 * MB, where),
        commit_peak=None,
    )


@pytest.mark.parametrize(("committed", "verdict"), [(30 * MB, Verdict.RULED_OUT), (95 * MB, Verdict.NOT_ASSESSED)])
def test_poolmon_does_not_show_whether_page_files_may_grow(finding: Judge, committed: int, verdict: Verdict) -> None:
    judged = finding(ID, poolmon(committed))

    assert judged.verdict is verdict


@pytest.mark.parametrize(("committed", "limit"), [(300 * MB, 100 * MB), (0, 0), (MB, 0)])
def test_figures_that_cannot_be_true(finding: Judge, vm: Vm, committed: int, limit: int) -> None:
    judged = finding(ID, vm(committed=committed, commit_limit=limit))

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "cannot be true" in judged.headline


@pytest.mark.parametrize("known", [{}, {"committed": MB}, {"commit_limit": MB}])
def test_missing_figures_name_the_command(finding: Judge, vm: Vm, known: dict[str, int]) -> None:
    judged = finding(ID, vm(**known))

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert judged.next_steps == ("run `!vm`",)


@pytest.mark.parametrize(
    ("share", "pool"), [(COMMIT_MOSTLY_POOL.value, "nonpaged"), (COMMIT_MOSTLY_POOL.value - 0.001, None)]
)
def test_commit_that_is_mostly_pool_is_the_pools(finding: Judge, vm: Vm, share: float, pool: str | None) -> None:
    counters = vm(committed=95_000 * KB, commit_limit=100_000 * KB, nonpaged_used=int(share * 95_000 + 1) * KB)

    found = finding(ID, counters)

    assert found.subject.pool == pool
    assert ("most of it nonpaged pool" in found.headline) == (pool is not None)
