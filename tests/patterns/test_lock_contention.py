from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.model.facts import Figure, Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.system import LockSummary, LockThread, ResourceLock
from poolsleuth.patterns.thresholds import LOCK_WAITERS, LOCK_WAITERS_CRITICAL, LOCK_WAITERS_FEW

Judge = Callable[..., Finding]
Findings = Callable[..., tuple[Finding, ...]]

ID = "lock-contention"


def lock(address: int, name: str | None = None, **known: Any) -> ResourceLock:
    counts: dict[str, Any] = {
        field: Figure(known.pop(field), Where(0, 12)) if field in known else None
        for field in ("contention", "shared_waiters", "exclusive_waiters")
    }
    threads = tuple(
        LockThread(thread, owner)
        for owner, field in ((True, "held_by"), (False, "waited_by"))
        for thread in known.pop(field, ())
    )
    state = known.pop("state", "shared")
    return ResourceLock(
        where=Where(0, 11),
        address=address,
        name=name,
        state=state,
        threads=threads,
        owners=known.pop("owners", None),
        **counts,
    )


def summary(total: int, held: int) -> LockSummary:
    return LockSummary(where=Where(0, 30), total=total, held=held)


def test_the_registry_of_the_article(finding: Judge) -> None:
    registry = lock(
        0x80478B00,
        "nt!CmpRegistryLock",
        owners=10,
        contention=9_149_810,
        shared_waiters=718,
        exclusive_waiters=21,
    )

    found = finding(ID, registry)

    assert (found.verdict, found.severity, found.confidence) == (Verdict.FOUND, Severity.CRITICAL, Confidence.HIGH)
    assert found.subject.resource == "nt!CmpRegistryLock"
    assert "739 threads wait for nt!CmpRegistryLock (the registry)" in found.headline
    says = " | ".join(reason.says for reason in found.because)
    assert "contention count 9,149,810" in says
    assert "718 threads waiting for shared access" in says
    assert "21 threads waiting for exclusive access" in says
    assert "held by 10 threads shared" in says
    assert any("Process Monitor" in step for step in found.next_steps)


def test_a_few_waiters_are_seen_everywhere(finding: Judge) -> None:
    few = int(LOCK_WAITERS_FEW.value) - 1
    judged = finding(ID, lock(0x1000, shared_waiters=few))
    assert judged.verdict is Verdict.RULED_OUT
    assert f"no more than {few} threads wait for any lock" in judged.headline
    assert finding(ID, lock(0x1000, state="exclusive", exclusive_waiters=1)).verdict is Verdict.SUSPECTED


@pytest.mark.parametrize(
    ("waiters", "verdict", "severity"),
    [
        (int(LOCK_WAITERS_FEW.value), Verdict.SUSPECTED, Severity.INFO),
        (int(LOCK_WAITERS.value) - 1, Verdict.SUSPECTED, Severity.INFO),
        (int(LOCK_WAITERS.value), Verdict.FOUND, Severity.WARNING),
        (int(LOCK_WAITERS_CRITICAL.value) - 1, Verdict.FOUND, Severity.WARNING),
        (int(LOCK_WAITERS_CRITICAL.value), Verdict.FOUND, Severity.CRITICAL),
    ],
)
def test_edges(finding: Judge, waiters: int, verdict: Verdict, severity: Severity) -> None:
    judged = finding(ID, lock(0x1000, shared_waiters=waiters))

    assert (judged.verdict, judged.severity) == (verdict, severity)


def test_unknown_owners_are_not_printed_as_zero(finding: Judge) -> None:
    judged = finding(ID, lock(0x1000, exclusive_waiters=20))

    assert not any("held by 0" in reason.says for reason in judged.because)


def test_contention_without_waiters_is_history(finding: Judge) -> None:
    judged = finding(ID, lock(0x1000, state="exclusive", contention=3_911_396), summary(2000, 1))

    assert (judged.verdict, judged.confidence) == (Verdict.RULED_OUT, Confidence.HIGH)
    assert "3,911,396 is history" in judged.headline


def test_a_list_without_its_end_is_a_weak_proof(finding: Judge) -> None:
    judged = finding(ID, lock(0x1000, contention=17))

    assert (judged.verdict, judged.confidence) == (Verdict.RULED_OUT, Confidence.LOW)


def test_the_last_look_at_a_lock_counts(finding: Judge) -> None:
    assert finding(ID, lock(0x1000, shared_waiters=50), lock(0x1000)).verdict is Verdict.RULED_OUT


def test_waiters_that_are_only_listed_count(finding: Judge) -> None:
    judged = finding(ID, lock(0x1000, state="exclusive", waited_by=range(0x100, 0x100 + 12)))

    assert judged.verdict is Verdict.FOUND
    assert "12 threads listed as waiting" in judged.because[0].says


def test_a_circle_of_two_is_a_deadlock(finding: Judge) -> None:
    first = lock(0x1000, "nt!A", state="exclusive", held_by=[0xA1], waited_by=[0xB2])
    second = lock(0x2000, "nt!B", state="exclusive", held_by=[0xB2], waited_by=[0xA1])

    found = finding(ID, first, second)

    assert (found.verdict, found.severity, found.confidence) == (Verdict.FOUND, Severity.CRITICAL, Confidence.HIGH)
    assert "deadlock" in found.headline
    assert len(found.because) == 2
    assert "0xa1" in found.because[0].says


def test_a_circle_of_three_behind_a_dead_end(findings: Findings) -> None:
    locks = [
        lock(0x1000, held_by=[1], waited_by=[2, 9]),
        lock(0x2000, held_by=[2], waited_by=[3]),
        lock(0x3000, held_by=[3], waited_by=[1]),
        lock(0x4000, held_by=[9], waited_by=[]),
    ]

    found = findings(ID, *locks)

    assert [f.headline.split(":")[0] for f in found] == ["deadlock"]
    assert len(found[0].because) == 3


def test_a_chain_is_no_circle(findings: Findings) -> None:
    chain = [lock(0x1000, held_by=[1], waited_by=[2]), lock(0x2000, held_by=[2], waited_by=[3])]

    assert not any("deadlock" in f.headline for f in findings(ID, *chain))


def test_a_queue_beside_a_circle_is_told_too(findings: Findings) -> None:
    circle = [lock(0x1000, held_by=[1], waited_by=[2]), lock(0x2000, held_by=[2], waited_by=[1])]

    found = findings(ID, *circle, lock(0x3000, shared_waiters=40))

    assert [f.verdict for f in found] == [Verdict.FOUND, Verdict.FOUND]


def test_a_finished_scan_without_locks(finding: Judge) -> None:
    judged = finding(ID, summary(2263, 0))

    assert judged.verdict is Verdict.RULED_OUT
    assert "2,263" in judged.headline


def test_without_locks_the_command_is_named(finding: Judge) -> None:
    judged = finding(ID)

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert judged.next_steps == ("run `!locks`",)
