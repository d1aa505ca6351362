"""The facts in words: units as everywhere, unknown is said, a guess is called one, hostile text is harmless."""

from collections.abc import Sequence

import numpy as np
import pytest

from poolsleuth.model.finding import Confidence, Severity, Subject, Trend, Verdict
from poolsleuth.model.report import ReportFinding, ReportReason
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.sample import Host, Sample, TagFigures, TagIndex
from poolsleuth.top.detail_facts import DetailFacts, TagWriter, gather
from poolsleuth.top.detail_words import (
    change_rows,
    findings_say,
    headline,
    pairs,
    remarks,
    search_says,
    standing,
    steps_say,
    tag_name,
    title,
    writer_says,
)
from poolsleuth.top.tag_search import Found, Searched
from poolsleuth.top.tracker import Tracker

NOON = 1_795_003_200.0
HOSTILE = "\x1b[31mred\x07 [b]bold[/b] \u202egnp \u200b文"


class Judged:
    def __init__(self, *findings: ReportFinding) -> None:
        self.findings = findings
        self.limits: dict[PoolKind, int | None] = {PoolKind.NONPAGED: 1 << 30}
        self.guesses: frozenset[PoolKind] = frozenset(PoolKind)


def facts(sizes: Sequence[float], tag: str = "Leak", judged: Judged | None = None, every: float = 3600) -> DetailFacts:
    index = TagIndex()
    index.number(TagKey(tag, PoolKind.NONPAGED))
    tracker = Tracker(index, Host())
    for n, size in enumerate(sizes):
        one = np.array([float(size)])
        tracker.feed(Sample(NOON + n * every, TagFigures(np.arange(1), one, one / 64, one), {}, complete=True))
    return gather(tracker, 0, judged=judged)


def value(said: DetailFacts, name: str) -> str:
    return next(pair.value for pair in pairs(said) if pair.name == name)


def finding(**changes: object) -> ReportFinding:
    values: dict[str, object] = {
        "pattern": "pool-leak",
        "verdict": Verdict.SUSPECTED,
        "severity": Severity.CRITICAL,
        "confidence": Confidence.MEDIUM,
        "headline": "tag Leak grows",
        "subject": Subject(pool="nonpaged", tag="Leak"),
        "because": (ReportReason("it never fell"),),
        "against": (ReportReason("only for an hour"),),
    }
    return ReportFinding(**{**values, **changes})  # type: ignore[arg-type]


def test_figures_in_words() -> None:
    said = facts([1 << 20, 3 << 20, 5 << 20])
    assert value(said, "Bytes") == "5.0 MB (5,242,880 bytes)"
    assert value(said, "Not freed (diff)") == "81,920"
    assert value(said, "Bytes per alloc") == "64 bytes"
    assert value(said, "Per hour, now") == "+2.0 MB"
    assert value(said, "Per hour, overall") == "+2.0 MB"
    assert value(said, "Watched for") == "2 h 0 min"
    assert value(said, "Peak") == "5.0 MB, now"
    assert value(said, "Last came down") == "never in 2 h 0 min"
    assert value(said, "Share of its pool") == "not known"


def test_a_fall_and_a_peak_are_dated() -> None:
    said = facts([1000, 9000, 2000, 3000])
    assert value(said, "Peak") == "8.8 KB (13:00)"
    assert value(said, "Last came down") == "1 h 0 min ago (14:00)"
    days = facts([1000, 9000, 2000, 3000], every=86_400)
    assert value(days, "Peak") == "8.8 KB (11-19 12:00)"


def test_what_does_not_move_and_what_is_not_known() -> None:
    assert value(facts([500, 500]), "Last came down") == "it has not changed"
    unknown = facts([])
    assert {pair.value for pair in pairs(unknown)} == {"not known"}
    assert change_rows(unknown) == []


def test_changes_as_a_table() -> None:
    rows = change_rows(facts([1024, 2048, 1024]))
    assert rows[0][2:] == ("Bytes", "Diff", "Allocs", "Frees")
    assert rows[1] == ("last sample", "1 h 0 min ago", "-1.0 KB", "-16", "-1,024", "-1,008")
    assert rows[2][:3] == ("start", "2 h 0 min ago", "0 bytes")


def test_huge_figures_have_words() -> None:
    for size in (1e38, 2.0**64, -1e38):
        said = facts([0, size])
        assert all(pair.value.isprintable() for pair in pairs(said))


def test_the_standing_is_never_more_than_the_finding() -> None:
    assert standing(facts([1, 2])) == ("", "")
    assert standing(facts([1, 2], judged=Judged(finding()))) == (
        "pool leak suspected, medium confidence",
        "bad",
    )
    assert standing(facts([1, 2], judged=Judged(finding(verdict=Verdict.RULED_OUT)))) == ("not accused", "dim")


def test_load_is_found_but_nobody_is_accused() -> None:
    said = facts([1, 2], judged=Judged(finding(pattern="pool-load", severity=Severity.INFO, verdict=Verdict.FOUND)))
    assert standing(said) == ("pool load found, medium confidence", "dim")
    assert not said.accused
    first = headline(said)
    assert first is not None
    assert first.tone == "strong"


def test_findings_with_their_reasons() -> None:
    said = facts([1, 2], judged=Judged(finding(trend=Trend(1024.0, 512.0, 2048.0))))
    texts = [(one.lead, one.text) for one in findings_say(said)]
    assert texts[0] == ("", "tag Leak grows")
    assert texts[1] == ("", "suspected: a guess, medium confidence [pool-leak]")
    assert texts[2][0] == "Growth: "
    assert texts[3:] == [("+ ", "it never fell"), ("- ", "only for an hour")]
    assert value(said, "Pool's limit") == "at most 1.0 GB"
    first = headline(said)
    assert first is not None
    assert first.text == "tag Leak grows"
    assert "tag Leak grows" not in [one.text for one in findings_say(said, told=True)]
    assert headline(facts([1, 2])) is None


def test_what_cannot_be_assessed_has_no_confidence() -> None:
    said = facts([1, 2], judged=Judged(finding(verdict=Verdict.NOT_ASSESSED)))
    assert any(one.text == "not assessed [pool-leak]" for one in findings_say(said))


def test_a_guess_is_called_one() -> None:
    said = " ".join(one.text for one in writer_says(TagWriter("x.sys", None, "pooltag.txt", False)))
    assert said == "x.sys (pooltag.txt, not certain)"
    assert next(writer_says(TagWriter(None, None, "", False))).text == "not known: no description names it"


def test_what_drivers_say_keeps_its_confidence() -> None:
    found = Found("a.sys", "C:\\a.sys", Confidence.LOW, ("constant in code",), ("no call",))
    said = [(one.lead, one.text) for one in search_says(Searched("Leak", (found,), 3, 480, 2, ("a remark",)))]
    assert said[:3] == [
        ("1. ", "a.sys (confidence: low)"),
        ("   + ", "constant in code"),
        ("   - ", "no call"),
    ]
    assert said[-1] == ("", "480 drivers searched, 2 files could not be read")
    nobody = [one.text for one in search_says(Searched("Leak", (), 0, 1, 0, ()))]
    assert nobody[0] == "nobody among 1 driver uses it in a way that can be seen"


def test_remarks_say_what_limits_the_figures() -> None:
    assert list(remarks(facts([1, 2]))) == []
    assert any("does not show" in one.text for one in remarks(facts([])))


@pytest.mark.parametrize("tag", ["\x1b[31m"[:4], "[/b]", "\x00\x01ab", "é\x9bab", ""])
def test_hostile_tags(tag: str) -> None:
    shown = tag_name(tag)
    assert shown.isprintable()
    assert shown
    assert title(facts([1], tag)).isprintable()


def test_hostile_texts() -> None:
    judged = Judged(finding(headline=HOSTILE, pattern=HOSTILE, because=(ReportReason(HOSTILE),), next_steps=(HOSTILE,)))
    said = facts([1, 2], judged=judged)
    found = Searched(HOSTILE, (Found(HOSTILE, HOSTILE, Confidence.HIGH, (HOSTILE,), (HOSTILE,)),), 0, 1, 0, (HOSTILE,))
    every = [*findings_say(said), *steps_say(said.steps), *search_says(found)]
    every += writer_says(TagWriter(HOSTILE, HOSTILE, "pooltag.txt", True))
    assert len(every) > 10
    assert all(one.text.isprintable() for one in every)


def test_a_change_from_where_the_tag_was_first_seen_says_so() -> None:
    index = TagIndex()
    other, leak = (index.number(TagKey(tag, PoolKind.NONPAGED)) for tag in ("Othr", "Leak"))
    tracker = Tracker(index, Host())
    for hour in range(4):
        ids = np.array([other, leak] if hour >= 2 else [other])
        values = np.full(len(ids), 1024.0 * (hour + 1))
        tracker.feed(Sample(NOON + hour * 3600, TagFigures(ids, values, values, values)))
    rows = change_rows(gather(tracker, leak))
    assert [row[:3] for row in rows[1:]] == [
        ("last sample", "1 h 0 min ago", "+1.0 KB"),
        ("first seen 14:00", "1 h 0 min ago", "+1.0 KB"),
    ]
    assert [row[0] for row in change_rows(gather(tracker, other))[1:]] == ["last sample", "start"]
