from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.model.finding import Confidence, Severity, Subject, Trend, Verdict
from poolsleuth.model.report import Report, ReportFinding, ReportInput, ReportReason
from poolsleuth.report.arrange import largest_tags, pool_rows, verdict_of
from poolsleuth.report.wording import (
    bytes_short,
    bytes_text,
    clean,
    count_text,
    duration_text,
    ordered_findings,
    percent_text,
    place_text,
    share,
    short,
    step_parts,
    subject_text,
    time_text,
    trend_text,
    verdict_word,
)


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (None, "not known"),
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1.0 KB (1,024 bytes)"),
        (101_818_368, "97.1 MB (101,818,368 bytes)"),
        (1024**2 - 1, "1.0 MB (1,048,575 bytes)"),  # never 1024.0 KB
        (3_405_680 * 1024, "3.2 GB (3,487,416,320 bytes)"),
        (1024**7, "more than 1,024 EB"),
        (10**4000, "more than 1,024 EB"),
        (-2048, "-2.0 KB (-2,048 bytes)"),
        (-(10**4000), "less than -1,024 EB"),
    ],
)
def test_bytes_are_said_in_both_units(n: int | None, text: str) -> None:
    assert bytes_text(n) == text


@given(st.integers())
def test_the_short_form_never_shows_a_figure_of_the_next_unit(n: int) -> None:
    figure = bytes_short(n).split()[0].lstrip("-").replace(",", "")
    assert not figure.replace(".", "").isdigit() or float(figure) < 1024 or "EB" in bytes_short(n)


def test_counts() -> None:
    assert [count_text(n) for n in (None, 0, 246_479, -5)] == ["not known", "0", "246,479", "-5"]
    assert count_text(10**4000) == "more than 10^24"
    assert count_text(-(10**4000)) == "less than -10^24"


@pytest.mark.parametrize(
    ("used", "limit", "text"),
    [
        (None, 10, ""),
        (10, None, ""),
        (10, 0, ""),
        (-1, 10, ""),
        (0, 10, "0.0 %"),
        (1, 10**9, "<0.1 %"),
        (999_999, 1_000_000, "99.9 %"),  # not yet full
        (1_000_000, 1_000_000, "100.0 %"),
        (132, 100, "132.0 %"),
        (10**40, 1, ">1,000 %"),
    ],
)
def test_percent(used: int | None, limit: int | None, text: str) -> None:
    assert percent_text(used, limit) == text


def test_a_bar_is_never_longer_than_its_track() -> None:
    assert share(5, 10) == 0.5
    assert share(20, 10) == 1.0
    assert share(None, 10) is None
    assert share(5, 0) is None


def test_times() -> None:
    assert time_text(None) == "not known"
    there = datetime(2008, 3, 26, 12, 12, tzinfo=timezone(timedelta(hours=2)))
    assert time_text(there) == "2008-03-26 10:12:00 UTC"
    assert time_text(datetime.max.replace(tzinfo=timezone(timedelta(hours=-2)))).startswith("9999-12-31")
    assert [duration_text(s) for s in (None, 35.0, 65.0, 15_000.0, 273_600.0)] == [
        "not known",
        "35 s",
        "1 min 5 s",
        "4 h 10 min",
        "3 days 4 h",
    ]
    assert duration_text(1e308) == duration_text(-1.0) == "not believable"


def test_a_suspicion_is_called_a_guess() -> None:
    assert verdict_word(Verdict.SUSPECTED) == "suspected: a guess"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain text, even Grüße", "plain text, even Grüße"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m\x7f\x00", "\\x9b31m\\x7f\\x00"),
        ("\u202egnp.exe\u202c", "\\u202egnp.exe\\u202c"),
        ("a\u2066b\u2069c\u200bd\ufeff", "a\\u2066b\\u2069c\\u200bd\\ufeff"),
        ("one\r\ntwo\tthree\u00a0four", "one  two three four"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("\u2028line", "\\u2028line"),
    ],
)
def test_clean_makes_every_steering_character_visible(text: str, seen: str) -> None:
    assert clean(text) == seen


@given(st.text(st.characters()))
def test_clean_text_is_printable_and_stays_as_it_is(text: str) -> None:
    assert clean(text).isprintable()
    assert clean(clean(text)) == clean(text)
    clean(text).encode("utf-8")


@given(st.text(st.characters()), st.integers(3, 60))
def test_short_text_is_no_longer_than_asked(text: str, limit: int) -> None:
    assert len(short(text, limit)) <= limit
    if len(clean(text)) <= limit:
        assert short(text, limit) == clean(text)


def parts(step: str) -> list[tuple[str, bool]]:
    return [(part.text, part.command) for part in step_parts(step)]


def test_the_commands_of_a_step() -> None:
    assert parts("Run `!vm 4` and `!poolused 2`.") == [
        ("Run ", False),
        ("!vm 4", True),
        (" and ", False),
        ("!poolused 2", True),
        (".", False),
    ]
    assert parts("!poolused /t20 2") == [("!poolused /t20 2", True)]
    assert parts("See who it is: poolsleuth whois Thre C:\\x") == [
        ("See who it is: ", False),
        ("poolsleuth whois Thre C:\\x", True),
    ]
    assert parts("Ask the vendor: they know.") == [("Ask the vendor: they know.", False)]
    assert parts("") == []


@given(st.text(st.characters()))
def test_no_character_of_a_step_is_lost(step: str) -> None:
    joined = "".join(part.text for part in step_parts(step))
    assert joined.replace("`", "") == clean(step).strip().replace("`", "")


def make(verdict: Verdict, severity: Severity, confidence: Confidence = Confidence.HIGH) -> ReportFinding:
    return ReportFinding(
        pattern="p", verdict=verdict, severity=severity, confidence=confidence, headline=f"{verdict} {severity}"
    )


def test_what_holds_stands_first_and_the_worst_of_it_before_the_rest() -> None:
    wanted = [
        make(Verdict.FOUND, Severity.CRITICAL),
        make(Verdict.SUSPECTED, Severity.CRITICAL),
        make(Verdict.FOUND, Severity.WARNING),
        make(Verdict.FOUND, Severity.WARNING, Confidence.LOW),
        make(Verdict.RULED_OUT, Severity.INFO),
        make(Verdict.RULED_OUT, Severity.CRITICAL),
        make(Verdict.NOT_ASSESSED, Severity.CRITICAL),
    ]
    # The two that were ruled out keep the order of the report: severity says nothing there.
    shuffled = [wanted[i] for i in (6, 4, 3, 1, 5, 2, 0)]
    assert ordered_findings(shuffled) == wanted


def test_a_place_that_does_not_exist_is_named_and_not_guessed() -> None:
    inputs = (ReportInput("kd.log", None, None, None),)
    assert place_text(ReportReason("x", 0, "line 74"), inputs) == "kd.log, line 74"
    assert place_text(ReportReason("x", -1, None), inputs) == "input -1"
    assert place_text(ReportReason("x", 7, "line 1"), inputs) == "input 7, line 1"
    assert place_text(ReportReason("x"), inputs) == ""


def test_subject_and_trend() -> None:
    assert subject_text(Subject()) == ""
    assert subject_text(Subject(pool="nonpaged", tag="Thre", session=9)) == "nonpaged pool, tag Thre, session 9"
    trend = Trend(2048.0, 1024.0, 4096.0, 10.0, datetime(2020, 1, 1, tzinfo=UTC))
    assert trend_text(trend) == (
        "2.0 KB per hour (between 1.0 KB and 4.0 KB, as far as the samples can say), 10 allocations per hour; "
        "at this rate the limit is reached at 2020-01-01 00:00:00 UTC"
    )


def test_the_verdict_bears_the_worst_severity_and_its_own_confidence(full_report: Report) -> None:
    verdict = verdict_of(full_report.machines[0])
    assert (verdict.pattern, verdict.severity, verdict.confidence) == (
        "untagged-allocations",
        Severity.CRITICAL,
        Confidence.MEDIUM,
    )


def test_a_healthy_machine_says_what_was_looked_at(healthy_report: Report) -> None:
    verdict = verdict_of(healthy_report.machines[0])
    assert verdict.severity is None
    assert verdict.says == "Nothing found: 2 causes ruled out, 1 not assessed."


def test_pool_rows_keep_what_is_not_known(full_report: Report, healthy_report: Report) -> None:
    rows = {row.name: row for row in pool_rows(full_report.machines[0])}
    assert rows["nonpaged pool"].severity is Severity.CRITICAL
    assert rows["paged pool"].severity is None
    assert list(rows)[2:] == ["session 9", "session 0", "session 2"]
    assert rows["session 2"].figures == "1.2 MB, no known limit"
    assert [row.figures for row in pool_rows(healthy_report.machines[0])] == ["200.0 MB, no known limit", "not known"]


def test_the_largest_tags_come_first_and_the_unknown_last(full_report: Report) -> None:
    tags = full_report.machines[0].tags
    ordered = largest_tags(tags, len(tags))
    sizes = [tag.bytes for tag in ordered if tag.bytes is not None]
    assert sizes == sorted(sizes, reverse=True)
    assert [tag.tag for tag in ordered[:2]] == ["None", "MmCm"]
    assert ordered[-1].bytes is None
    assert len(ordered) == len(tags)
