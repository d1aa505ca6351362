import pkgutil
from collections.abc import Callable, Iterator

import pytest

from poolsleuth import patterns
from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.machine import Machine, System
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.system import LockSummary
from poolsleuth.patterns.attribution import Attribution
from poolsleuth.patterns.pattern import (
    SUPPLIED_BY,
    Evidence,
    Judge,
    Pattern,
    all_patterns,
    not_assessed,
    ruled_out,
    run,
)
from poolsleuth.patterns.views import PoolStates, TagView

# Section 3 of the design
IDS = {
    "nonpaged-pool-depletion",
    "paged-pool-depletion",
    "session-pool-depletion",
    "pool-leak",
    "pool-load",
    "pool-fragmentation",
    "untagged-allocations",
    "generic-tag",
    "unloaded-driver-leak",
    "handle-leak",
    "tags-growing-together",
    "lock-contention",
    "system-pte-depletion",
    "commit-exhaustion",
    "false-pool-warning",
    "pool-corruption",
    "verifier-active",
}


def finding(headline: str = "x") -> Finding:
    return Finding(
        pattern="test",
        verdict=Verdict.RULED_OUT,
        severity=Severity.INFO,
        confidence=Confidence.LOW,
        headline=headline,
    )


def evidence(*facts: LockSummary | MemoryCounters) -> Evidence:
    return Evidence(Machine(system=System(), inputs=(0,), facts=facts))


def ask(judge: Judge, *facts: LockSummary | MemoryCounters) -> tuple[Finding, ...]:
    return run(Pattern("test", judge), evidence(*facts))


FIRST, SECOND = (LockSummary(where=Where(0, line), total=line, held=0) for line in (1, 2))


def test_the_ids_are_those_of_the_design() -> None:
    assert {pattern.id for pattern in all_patterns()} == IDS


def test_each_file_with_a_judgement_is_found_under_its_name() -> None:
    files = {
        module.name.replace("_", "-")
        for module in pkgutil.iter_modules(patterns.__path__)
        if hasattr(__import__(f"{patterns.__name__}.{module.name}", fromlist=["judge"]), "judge")
    }

    assert files == IDS


@pytest.mark.parametrize("pattern", all_patterns(), ids=lambda pattern: pattern.id)
def test_no_evidence_gives_one_not_assessed_with_a_command(pattern: Pattern) -> None:
    result = run(pattern, evidence())

    assert [f.verdict for f in result] == [Verdict.NOT_ASSESSED]
    assert any("`" in step for step in result[0].next_steps)


def test_a_missing_need_names_its_command() -> None:
    def judge(counters: MemoryCounters, summary: LockSummary) -> Finding:
        pytest.fail("it must not be asked")

    (result,) = ask(judge, FIRST)

    assert result.verdict is Verdict.NOT_ASSESSED
    assert result.next_steps == (SUPPLIED_BY[MemoryCounters],)


def test_one_step_for_two_needs_of_one_command() -> None:
    def judge(counters: MemoryCounters, states: PoolStates) -> Finding:
        pytest.fail("it must not be asked")

    assert ask(judge)[0].next_steps == (SUPPLIED_BY[MemoryCounters],)


def test_a_need_without_a_command_still_has_a_step() -> None:
    def judge(summary: LockSummary) -> Finding:
        pytest.fail("it must not be asked")

    assert ask(judge)[0].next_steps == ("supply LockSummary",)


def test_one_fact_is_the_latest() -> None:
    def judge(summary: LockSummary) -> Finding:
        return finding(str(summary.total))

    assert ask(judge, FIRST, SECOND)[0].headline == "2"


def test_several_facts_come_in_order_and_may_be_none() -> None:
    def judge(summaries: tuple[LockSummary, ...]) -> Finding:
        return finding(",".join(str(s.total) for s in summaries))

    assert ask(judge, FIRST, SECOND)[0].headline == "1,2"
    assert ask(judge)[0].headline == ""


def test_an_optional_need_is_none() -> None:
    def judge(summary: LockSummary | None, tags: TagView | None) -> Finding:
        return finding(f"{summary} {tags}")

    assert ask(judge)[0].headline == "None None"


def test_what_is_always_there() -> None:
    def judge(machine: Machine, system: System, owners: Attribution) -> Finding:
        return finding(f"{type(machine).__name__} {type(system).__name__} {type(owners).__name__}")

    assert ask(judge)[0].headline == "Machine System Attribution"


def test_a_generator_gives_several_findings() -> None:
    def judge(machine: Machine) -> Iterator[Finding]:
        yield finding("a")
        yield finding("b")

    assert [f.headline for f in ask(judge)] == ["a", "b"]


def test_not_assessed_says_why_and_what_to_run() -> None:
    result = not_assessed("test", "the reason", "run `a`", "run `b`")

    assert result.headline == "the reason"
    assert result.next_steps == ("run `a`", "run `b`")
    assert not result.holds


def test_ruled_out_is_certain_unless_it_says_otherwise() -> None:
    assert ruled_out("test", "x").confidence is Confidence.HIGH
    assert ruled_out("test", "x", confidence=Confidence.LOW).confidence is Confidence.LOW


def test_evidence_keeps_every_fact_of_a_kind() -> None:
    collected: Callable[[type[LockSummary]], tuple[object, ...]] = evidence(FIRST, SECOND).every

    assert collected(LockSummary) == (FIRST, SECOND)
