from dataclasses import replace

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.patterns.conclusion import conclude
from poolsleuth.patterns.wording import MAY_KEEP

FOUND, SUSPECTED = Verdict.FOUND, Verdict.SUSPECTED
CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO


def finding(
    pattern: str,
    verdict: Verdict = FOUND,
    severity: Severity = CRITICAL,
    confidence: Confidence = Confidence.HIGH,
    pool: str | None = "nonpaged",
    tag: str | None = None,
) -> Finding:
    return Finding(
        pattern=pattern,
        verdict=verdict,
        severity=severity,
        confidence=confidence,
        headline=f"the headline of {pattern}",
        subject=Subject(pool=pool, tag=tag),
        because=(Reason("why"),),
    )


def test_nothing_holds_nothing_to_conclude() -> None:
    assert conclude([]) is None
    assert conclude([finding("pool-leak", Verdict.RULED_OUT), finding("pool-load", Verdict.NOT_ASSESSED)]) is None


def test_the_cause_comes_before_its_consequence() -> None:
    result = conclude(
        [
            finding("nonpaged-pool-depletion"),
            finding("untagged-allocations", tag="None"),
            finding("pool-leak", SUSPECTED),
        ]
    )

    assert result is not None
    assert (result.pattern, result.verdict) == ("untagged-allocations", FOUND)
    assert result.says.startswith("The headline of untagged-allocations. Consequence: ")
    assert "nonpaged-pool-depletion" in result.says


def test_a_cause_in_the_other_pool_explains_nothing() -> None:
    # A shared tag in a healthy paged pool must not head the story of a nonpaged pool that is full
    result = conclude(
        [finding("generic-tag", severity=WARNING, pool="paged", tag="Ddk"), finding("nonpaged-pool-depletion")]
    )

    assert result is not None
    assert result.pattern == "nonpaged-pool-depletion"
    assert "Consequence" not in result.says
    assert "A second, separate problem: the headline of generic-tag" in result.says


def test_a_milder_cause_of_the_same_pool_still_comes_first() -> None:
    # An event says the pool was empty; at this moment it is only in pieces
    result = conclude([finding("pool-fragmentation", severity=WARNING), finding("nonpaged-pool-depletion")])

    assert result is not None
    assert result.pattern == "pool-fragmentation"
    assert "Consequence: the headline of nonpaged-pool-depletion" in result.says


def test_certain_comes_before_suspected() -> None:
    result = conclude(
        [
            finding("unloaded-driver-leak", SUSPECTED, WARNING, pool="paged"),
            finding("paged-pool-depletion", severity=WARNING, pool="paged"),
        ]
    )

    assert result is not None
    assert result.pattern == "paged-pool-depletion"
    assert "Possible contributor (suspected): the headline of unloaded-driver-leak" in result.says


def test_a_suspicion_is_called_one() -> None:
    result = conclude([finding("pool-leak", SUSPECTED, WARNING)])

    assert result is not None
    assert result.says == "Suspected, not proven: the headline of pool-leak."


def test_pools_come_before_the_resources_beside_them() -> None:
    result = conclude([finding("lock-contention", pool=None), finding("paged-pool-depletion", severity=WARNING)])

    assert result is not None
    assert result.pattern == "paged-pool-depletion"
    assert "A second, separate problem: the headline of lock-contention" in result.says


def test_what_is_only_information_heads_nothing_else() -> None:
    result = conclude([finding("verifier-active", severity=INFO, pool=None), finding("pool-leak", SUSPECTED, WARNING)])

    assert result is not None
    assert result.pattern == "pool-leak"
    assert "verifier-active" not in result.says


def test_information_alone_is_the_conclusion() -> None:
    result = conclude(
        [finding("false-pool-warning", severity=INFO), finding("verifier-active", severity=INFO, pool=None)]
    )

    assert result is not None
    assert result.pattern == "false-pool-warning"


def test_one_tag_is_told_once() -> None:
    result = conclude([finding("generic-tag", tag="Ddk"), finding("pool-leak", SUSPECTED, tag="Ddk")])

    assert result is not None
    assert "pool-leak" not in result.says


def test_a_weak_suspicion_is_no_second_problem() -> None:
    weak = finding("session-pool-depletion", SUSPECTED, WARNING, Confidence.LOW, pool=None)

    result = conclude([finding("nonpaged-pool-depletion"), weak])

    assert result is not None
    assert "session-pool-depletion" not in result.says


def test_at_most_two_further_problems() -> None:
    beside = [finding(p, pool=None) for p in ("system-pte-depletion", "commit-exhaustion", "lock-contention")]

    result = conclude([finding("nonpaged-pool-depletion"), *beside])

    assert result is not None
    assert result.says.count("separate problem") == 2
    assert "A third, separate problem" in result.says


def test_a_commit_limit_reached_by_a_pool_is_its_consequence() -> None:
    result = conclude([finding("pool-leak", tag="Abcd"), finding("commit-exhaustion")])

    assert result is not None
    assert result.pattern == "pool-leak"
    assert "Consequence: the headline of commit-exhaustion" in result.says


def test_the_objects_and_their_process_are_one_cause() -> None:
    objects, process = finding("handle-leak", tag="Thre"), finding("handle-leak", pool=None)

    result = conclude([objects, process])

    assert result is not None
    assert "separate problem" not in result.says


def test_the_name_of_a_file_keeps_its_letters() -> None:
    result = conclude([replace(finding("unloaded-driver-leak"), headline="myDriver.sys was unloaded")])

    assert result is not None
    assert result.says == "myDriver.sys was unloaded."


def of_process(pattern: str, process: str, pool: str | None = None) -> Finding:
    return replace(finding(pattern, severity=WARNING, pool=pool), subject=Subject(pool=pool, process=process))


def test_a_process_that_opens_handles_is_the_cause_of_its_pool() -> None:
    result = conclude([of_process("handle-leak", "badagent"), of_process("pool-leak", "badagent", "paged")])

    assert result is not None
    assert result.pattern == "handle-leak"
    assert "separate" not in result.says


def test_a_process_that_only_opens_handles_stands_behind_a_pool_that_leaks() -> None:
    result = conclude([of_process("handle-leak", "agent"), finding("pool-leak", severity=WARNING, tag="Leak")])

    assert result is not None
    assert result.pattern == "pool-leak"
    assert "separate problem: the headline of handle-leak" in result.says


def test_tags_in_step_are_one_problem() -> None:
    together = replace(
        finding("tags-growing-together", severity=WARNING, tag="Thre"), explains=("the growth of tag Toke",)
    )
    leaks = [
        finding("pool-leak", severity=WARNING, tag="Thre"),
        finding("pool-leak", severity=WARNING, pool="paged", tag="Toke"),
        finding("pool-leak", severity=WARNING, pool="paged", tag="Othr"),
    ]

    result = conclude([*leaks, together])

    assert result is not None
    assert result.says.count("separate") == 1, "Toke goes with Thre, Othr does not"


def test_who_may_keep_the_objects_is_told_beside_their_growth() -> None:
    objects = finding("handle-leak", severity=WARNING, tag="File")
    together = finding("tags-growing-together", severity=WARNING, tag="File")
    keeper = replace(together, headline=f"AcmC grows in step with File: the driver of AcmC {MAY_KEEP}")

    for known, told in ((keeper, True), (together, False)):
        result = conclude([objects, known])

        assert result is not None
        assert result.pattern == "handle-leak"
        assert ("the driver of AcmC" in result.says) is told
        assert "separate problem" not in result.says


def test_the_unloaded_driver_that_a_leaking_tag_is_named_like_is_its_suspected_owner() -> None:
    leak = finding("pool-leak", severity=WARNING, tag="Zips")
    left = finding("unloaded-driver-leak", SUSPECTED, INFO, Confidence.MEDIUM, tag="Zips")
    left = replace(left, subject=replace(left.subject, driver="zipscan.sys"))

    result = conclude([leak, left])

    assert result is not None
    assert (result.pattern, result.verdict) == ("pool-leak", FOUND)
    assert "Suspected owner, not proven: zipscan.sys (the headline of unloaded-driver-leak)" in result.says

    by_chance = replace(left, confidence=Confidence.LOW)
    of_another = replace(left, subject=replace(left.subject, tag="Zip2"))
    owned = replace(leak, subject=replace(leak.subject, driver="other.sys"))
    named = replace(leak, headline="the blocks point at the code of zipscan.sys")
    assert "Suspected owner" not in getattr(conclude([named, left]), "says", "")
    for findings in ([leak, by_chance], [leak, of_another], [owned, left]):
        result = conclude(findings)
        assert result is not None
        assert "zipscan.sys" not in result.says
