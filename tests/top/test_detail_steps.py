"""Next steps: those of the findings first; commands that can be typed as they stand, never a hostile one."""

import shlex

from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.collect.request import check_tag
from poolsleuth.drivers.tags import tag_key
from poolsleuth.model.finding import Confidence, Severity, Subject, Verdict
from poolsleuth.model.report import ReportFinding
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.report.wording import step_parts
from poolsleuth.top.detail_steps import accuses, steps_for, typed_tag
from poolsleuth.windows import tag_notes

LEAK = TagKey("Leak", PoolKind.NONPAGED)


def finding(*steps: str, verdict: Verdict = Verdict.SUSPECTED, severity: Severity = Severity.WARNING) -> ReportFinding:
    return ReportFinding(
        pattern="pool-leak",
        verdict=verdict,
        severity=severity,
        confidence=Confidence.LOW,
        headline="it grows",
        subject=Subject(tag="Leak"),
        next_steps=steps,
    )


def commands(steps: tuple[str, ...]) -> list[str]:
    return [part.text for step in steps for part in step_parts(step) if part.command]


def test_a_tag_that_nobody_accuses() -> None:
    assert commands(steps_for(LEAK, None, None, ())) == [
        r"poolsleuth whois Leak C:\Windows\System32\drivers",
        "poolsleuth record pool.parquet --every 60s --for 8h",
        "poolsleuth diagnose pool.parquet",
        "!poolused 2 Leak",
    ]


def test_the_debugger_sorts_by_the_pool_of_the_tag() -> None:
    assert "!poolused 4 Leak" in commands(steps_for(TagKey("Leak", PoolKind.PAGED), None, None, ()))
    assert "!poolused 8 Leak" in commands(steps_for(TagKey("Leak", PoolKind.PAGED, 1), None, None, ()))


def test_a_known_driver_is_not_looked_for_and_our_note_comes_first() -> None:
    note = tag_notes.find("MmSt")
    assert note is not None
    steps = steps_for(TagKey("MmSt", PoolKind.PAGED), note, "nt!mm", ())
    assert steps[0] == note.next_step
    assert not any("whois" in command for command in commands(steps))


def test_the_steps_of_findings_come_first_and_each_once() -> None:
    steps = steps_for(LEAK, None, "leak.sys", [finding("restart it", "look"), finding("look")])
    assert steps[:2] == ("restart it", "look")
    assert steps.count("look") == 1
    assert "poolsleuth collect --tag Leak" in commands(steps)
    assert "verifier /flags 8 /driver leak.sys" in commands(steps)


def test_what_was_ruled_out_gives_no_steps() -> None:
    assert "never" not in steps_for(LEAK, None, None, [finding("never", verdict=Verdict.RULED_OUT)])


def test_load_that_comes_and_goes_accuses_nobody() -> None:
    load = finding("look at what works", severity=Severity.INFO)
    assert not accuses(load)
    steps = steps_for(LEAK, None, None, [load])
    assert steps[0] == "look at what works"
    assert commands(steps) == [r"poolsleuth whois Leak C:\Windows\System32\drivers", "!poolused 2 Leak"]


def test_the_verifier_is_offered_for_drivers_only() -> None:
    for driver in ("nt!mm", "x.sys & format c:", "x`y.sys", "\x1b.sys"):
        assert not any("verifier" in step for step in steps_for(LEAK, None, driver, [finding()]))


def test_tags_that_need_quotes() -> None:
    assert typed_tag("Leak") == "Leak"
    assert typed_tag("I o") == '"I o"'
    assert typed_tag("a&b") == '"a&b"'
    for tag in ("a\\b", '"ab', "`ab", "%ab%", "$ab", "a\x1bb", "é", "", " ", "-abc", "a!b", "a^b", "a'b"):
        assert typed_tag(tag) is None


@given(st.text(st.characters(max_codepoint=255), max_size=4))
def test_whatever_the_tag_is_a_command_holds_it_as_one_word(tag: str) -> None:
    typed = typed_tag(tag)
    if typed is None:
        steps = steps_for(TagKey(tag, PoolKind.PAGED), None, None, ())
        assert not any("whois" in command or "!poolused" in command for command in commands(steps))
        return
    assert shlex.split(typed) == [tag]
    assert check_tag(tag) == tag
    assert tag_key(tag)
    assert any(
        command.startswith(f"poolsleuth whois {typed} ")
        for command in commands(steps_for(TagKey(tag, PoolKind.PAGED), None, None, ()))
    )
