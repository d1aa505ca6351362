"""The words of the verdict's line: what is said first, what is left out where there is little room."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.model.finding import Confidence, Finding, Severity, Subject
from poolsleuth.model.finding import Verdict as Found
from poolsleuth.top.verdict_facts import taken_from
from poolsleuth.top.verdict_words import Sentence, in_order, leaks_first, rising, sentence_of, short_size, time_span

MB = float(1 << 20)


def finding(pattern: str, says: str, **more: object) -> Finding:
    told: dict[str, object] = {
        "verdict": Found.SUSPECTED,
        "severity": Severity.WARNING,
        "confidence": Confidence.LOW,
    }
    return Finding(pattern=pattern, headline=says, **(told | more))  # type: ignore[arg-type]


@given(st.text(max_size=300), st.lists(st.text(max_size=100), max_size=3), st.integers(-5, 200))
def test_a_line_fits_and_steers_nothing(main: str, more: list[str], width: int) -> None:
    text = Sentence(main, tuple(more)).fitted(width)
    assert len(text) <= max(8, width)
    assert text.isprintable()
    assert Sentence(main, tuple(more)).whole.isprintable()


def test_a_suspicion_without_growth_keeps_its_words() -> None:
    says = "tag Abcd holds 300.0 MB of paged pool (66.0 % of it): a leak is suspected, growth was not seen"
    told = finding("pool-leak", says, subject=Subject(pool="paged", tag="Abcd"))
    assert sentence_of(told, None).whole == says
    early = sentence_of(told, None, early=True)
    assert early.fitted(80) == "tag Abcd holds 300.0 MB of paged pool: leak or load, too early to tell"


def test_the_cause_stands_before_its_consequence() -> None:
    leak = finding("pool-leak", "tag Abcd grew", verdict=Found.FOUND, subject=Subject(pool="paged", tag="Abcd"))
    full = finding(
        "paged-pool-depletion",
        "paged pool is full",
        verdict=Found.FOUND,
        severity=Severity.CRITICAL,
        subject=Subject(pool="paged"),
    )
    out = finding("pool-leak", "ruled out", verdict=Found.RULED_OUT)
    assert in_order([full, out, leak]) == [leak, full]
    assert in_order([out]) == []


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0, "0 s"),
        (29, "29 s"),
        (720, "12 min"),
        (3600, "1 h"),
        (11_400, "3 h 10 min"),
        (93_600, "26 h"),
        (864_000, "10 days"),
    ],
)
def test_time_spans(seconds: float, says: str) -> None:
    assert time_span(seconds) == says


@pytest.mark.parametrize(
    ("size", "says"),
    [(12, "12 bytes"), (655_360, "640 KB"), (3.1 * MB, "3.1 MB"), (11 * MB, "11 MB"), (-2 * MB, "-2.0 MB")],
)
def test_short_sizes(size: float, says: str) -> None:
    assert short_size(size) == says


def test_tags_in_step_stand_behind_what_leaks() -> None:
    step = finding("tags-growing-together", "in step", verdict=Found.FOUND)
    leak = finding("handle-leak", "grows", subject=Subject(tag="Even"))
    full = finding("nonpaged-pool-depletion", "full", severity=Severity.CRITICAL)
    assert leaks_first([full, step, leak]) == [full, leak, step]
    assert leaks_first([step, full]) == [step, full]


def test_a_line_that_is_cut_keeps_who_it_is_about_and_what_is_wrong() -> None:
    long = Sentence("Abcd (driver.sys) holds 300.0 MB of paged pool, 55 % of all that is in use: a leak is suspected")
    assert long.fitted(70) == "Abcd (driver.sys) holds 300.0 MB of paged pool...: a leak is suspected"
    assert Sentence("a: " + "b" * 90).fitted(40) == "a: " + "b" * 34 + "..."


def test_a_pool_that_rises_is_told_with_the_tag_that_grew_most_in_it(leaking: Any) -> None:
    taken = taken_from(leaking.tracker)
    assert taken is not None
    says = "the nonpaged pool rises, and whether that is load cannot be told yet"
    of_pool = finding("pool-leak", says, severity=Severity.INFO, subject=Subject(pool="nonpaged"))
    line = rising(sentence_of(of_pool, None), of_pool, taken)
    assert line.whole == f"{says}; largest growth: Leak 120 MB, never came down"
    assert line.fitted(100) == f"{says}; largest growth: Leak 120 MB"
    other = finding("pool-leak", "the paged pool rises", severity=Severity.INFO, subject=Subject(pool="paged"))
    assert rising(Sentence("it rises"), other, taken).whole == "it rises"
