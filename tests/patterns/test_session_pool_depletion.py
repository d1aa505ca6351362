from collections.abc import Callable

import pytest

from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.memory import MemoryCounters, SessionMemory
from poolsleuth.patterns.thresholds import SESSION_CRITICAL, SESSION_WARNING
from poolsleuth.windows.builds import Era

Judge = Callable[..., Finding]
Vm = Callable[..., MemoryCounters]
Sessions = Callable[..., SessionMemory]

ID = "session-pool-depletion"
KB, MB = 1 << 10, 1 << 20
LIMIT = 32768 * KB
SERVER_2003 = {"era": int(Era.XP_2003), "architecture": "x86", "physical_bytes": 6 << 30}


@pytest.fixture
def roomy(vm: Vm) -> MemoryCounters:
    return vm(nonpaged_used=52 * MB, nonpaged_max=254 * MB, paged_used=67 * MB, paged_max=256 * MB, pool_failures=3441)


def test_the_full_session_of_the_article(finding: Judge, sessions: Sessions, roomy: MemoryCounters) -> None:
    table = sessions(LIMIT, (7, 12_000 * KB, None), (9, 32552 * KB, 7837), (11, 2_000 * KB, None))

    found = finding(ID, table, roomy, **SERVER_2003)

    assert (found.verdict, found.severity, found.confidence) == (Verdict.FOUND, Severity.CRITICAL, Confidence.HIGH)
    assert (found.subject.session, found.subject.pool) == (9, "session")
    says = " | ".join(reason.says for reason in found.because)
    assert f"{32552 * KB:,} bytes" in says
    assert f"{LIMIT:,} bytes" in says
    assert "7,837 failed allocations in this session" in says
    assert "the system pools have room" in says
    assert found.explains == ("the 3,441 failed allocations that the kernel counts for all pools",)
    assert any("KB840342" in step for step in found.next_steps)
    assert any("`!session -s 9`" in step for step in found.next_steps)


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        (SESSION_WARNING.value - 0.001, Verdict.RULED_OUT),
        (SESSION_WARNING.value, Verdict.FOUND),
        (SESSION_CRITICAL.value - 0.001, Verdict.FOUND),
        (SESSION_CRITICAL.value, Verdict.FOUND),
    ],
)
def test_edges_without_failures(
    sessions: Sessions, findings: Callable[..., tuple[Finding, ...]], share: float, verdict: Verdict
) -> None:
    table = sessions(100_000 * KB, (1, int(share * 100_000) * KB, None))

    assert [f.verdict for f in findings(ID, table)] == [verdict]


def test_each_session_in_trouble_has_its_finding(
    sessions: Sessions, findings: Callable[..., tuple[Finding, ...]]
) -> None:
    table = sessions(LIMIT, (2, LIMIT, None), (3, MB, None), (4, LIMIT - MB, 5))

    assert [f.subject.session for f in findings(ID, table)] == [2, 4]


def test_system_failures_are_not_explained_while_a_system_pool_is_tight(
    finding: Judge, vm: Vm, sessions: Sessions
) -> None:
    counters = vm(nonpaged_used=95 * MB, nonpaged_max=100 * MB, paged_used=20 * MB, paged_max=200 * MB, pool_failures=9)

    found = finding(ID, sessions(LIMIT, (9, LIMIT, 5)), counters, **SERVER_2003)

    assert found.explains == ()


def test_failures_that_fit_no_system_pool_raise_a_suspicion(finding: Judge, roomy: MemoryCounters) -> None:
    judged = finding(ID, roomy, **SERVER_2003)

    assert (judged.verdict, judged.confidence) == (Verdict.SUSPECTED, Confidence.LOW)
    assert judged.subject.session is None
    assert any("`!vm 4`" in step for step in judged.next_steps)


def test_no_table_and_no_failures(finding: Judge, vm: Vm) -> None:
    counters = vm(nonpaged_used=52 * MB, nonpaged_max=254 * MB, paged_used=67 * MB, paged_max=256 * MB)

    judged = finding(ID, counters, **SERVER_2003)

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert judged.next_steps == ("run `!vm 4`",)


def test_usage_without_a_limit_is_not_judged(finding: Judge, sessions: Sessions) -> None:
    judged = finding(ID, sessions(None, (1, 30 * MB, None)))

    assert judged.verdict is Verdict.NOT_ASSESSED


def test_failures_of_a_session_count_without_its_usage(finding: Judge, sessions: Sessions) -> None:
    judged = finding(ID, sessions(None, (4, None, 12)))

    assert judged.verdict is Verdict.FOUND
    assert judged.confidence is Confidence.MEDIUM
    assert "session 4 failed 12 allocations" in judged.headline


def test_the_fullest_of_healthy_sessions_is_told(finding: Judge, sessions: Sessions) -> None:
    judged = finding(ID, sessions(LIMIT, (1, 4096 * KB, None), (2, 8192 * KB, None)))

    assert judged.verdict is Verdict.RULED_OUT
    assert "25.0 %" in judged.headline


@pytest.mark.parametrize(("second", "complete"), [(None, True), (2 * MB, False)])
def test_sessions_that_could_not_be_read_may_be_short(
    finding: Judge, sessions: Sessions, second: int | None, complete: bool
) -> None:
    """A dump without the pages of a session: that the others have room says nothing of it."""
    judged = finding(ID, sessions(32 * MB, (0, 3 * MB, None), (1, second, None), complete=complete))

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "the fullest of those that could is at 9.4 % of the limit" in judged.headline


@pytest.mark.parametrize(
    ("session", "failures", "verdict"),
    [
        (67 * MB + 1, 3441, Verdict.SUSPECTED),
        (67 * MB, 3441, Verdict.NOT_ASSESSED),
        (67 * MB + 1, 0, Verdict.NOT_ASSESSED),
    ],
)
def test_failures_where_no_limit_of_a_session_is_printed(
    finding: Judge, sessions: Sessions, vm: Vm, session: int, failures: int, verdict: Verdict
) -> None:
    pools = {"nonpaged_used": 52 * MB, "nonpaged_max": 254 * MB, "paged_used": 67 * MB, "paged_max": 256 * MB}
    table = sessions(None, (0, 2 * MB, None), (1, session, None))

    judged = finding(ID, table, vm(**pools, pool_failures=failures), era=int(Era.W81_AND_LATER), architecture="x64")

    assert judged.verdict is verdict
    if failures:
        assert "3,441 pool allocations failed although both system pools have room" in judged.headline
        assert "session 1" in judged.headline
        assert "`!session -s 1`" in judged.next_steps[0]
    if verdict is Verdict.SUSPECTED:
        assert (judged.confidence, judged.subject.session) == (Confidence.LOW, 1)


def test_a_full_system_pool_is_why_not_a_session(finding: Judge, sessions: Sessions, vm: Vm) -> None:
    full = vm(nonpaged_used=250 * MB, nonpaged_max=254 * MB, paged_used=67 * MB, paged_max=256 * MB, pool_failures=9)

    judged = finding(ID, sessions(None, (1, 90 * MB, None)), full, era=int(Era.W81_AND_LATER), architecture="x64")

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "9" not in judged.headline
