"""What is known of one tag: figures, changes, rates, what the watch says, who writes it, what was judged of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Confidence, Roles, Severity, Subject, Verdict
from poolsleuth.model.machine import System
from poolsleuth.model.report import ReportFinding
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import Completeness, PoolKind, TagDescription, TagRow, TagTable
from poolsleuth.sampling.sample import Host, Sample, TagFigures, TagIndex
from poolsleuth.top.detail_facts import DetailFacts, courses, gather, writer_of
from poolsleuth.top.owners import Owners
from poolsleuth.top.tracker import Since, Tracker

NOON = 1_795_003_200.0
LEAK = TagKey("Leak", PoolKind.NONPAGED)


@dataclass
class Judged:
    findings: Sequence[ReportFinding] = ()
    limits: dict[PoolKind, int | None] = field(default_factory=dict)
    guesses: frozenset[PoolKind] = frozenset()


def watch(
    sizes: Sequence[float],
    keys: Sequence[TagKey] = (LEAK,),
    *,
    every: float = 60.0,
    memory: dict[str, float] | None = None,
    boots: Sequence[float | None] = (),
    times: Sequence[float] | None = None,
) -> Tracker:
    """A tracker that saw the first key hold these bytes, in blocks of 100, each made of 10 allocations; others 7."""
    index = TagIndex()
    for key in keys:
        index.number(key)
    tracker = Tracker(index, Host())
    for n, size in enumerate(sizes):
        held = np.full(len(keys), 7.0)
        held[0] = size
        figures = TagFigures(np.arange(len(keys)), held, held / 100, held / 10)
        time = NOON + n * every if times is None else times[n]
        boot = boots[n] if boots else None
        tracker.feed(Sample(time, figures, memory or {}, complete=True, booted=boot))
    return tracker


def finding(**changes: object) -> ReportFinding:
    values: dict[str, object] = {
        "pattern": "pool-leak",
        "verdict": Verdict.SUSPECTED,
        "severity": Severity.WARNING,
        "confidence": Confidence.LOW,
        "headline": "it grows",
        "subject": Subject(pool="nonpaged", tag="Leak"),
    }
    return ReportFinding(**{**values, **changes})  # type: ignore[arg-type]


def test_figures_of_now() -> None:
    facts = gather(watch([1000, 2000, 4000], memory={"nonpaged_used": 16_000.0}), 0)
    assert (facts.bytes, facts.outstanding, facts.allocs, facts.frees) == (4000, 40, 400, 360)
    assert facts.each == 100
    assert facts.share == 0.25
    assert facts.shown
    # Between the last two samples: 200 allocations, 180 frees in a minute
    assert facts.allocs_per_second == pytest.approx(200 / 60)
    assert facts.frees_per_second == pytest.approx(180 / 60)


def test_changes_since_the_last_the_start_and_the_mark() -> None:
    tracker = watch([1000, 2000])
    tracker.set_mark()
    tracker.feed(_next(tracker, 5000))
    tracker.feed(_next(tracker, 9000))
    changes = {change.since: change for change in gather(tracker, 0).changes}
    assert (changes[Since.LAST].bytes, changes[Since.LAST].seconds) == (4000, 60)
    assert (changes[Since.START].bytes, changes[Since.START].seconds) == (8000, 180)
    assert (changes[Since.MARK].bytes, changes[Since.MARK].outstanding, changes[Since.MARK].seconds) == (7000, 70, 120)


def _next(tracker: Tracker, size: float) -> Sample:
    held = np.array([float(size)])
    return Sample(NOON + tracker.count * 60.0, TagFigures(np.arange(1), held, held / 100, held / 10), {}, complete=True)


def test_the_rates_of_the_last_hour_and_of_the_whole_watch() -> None:
    # Two hours of 6,000 bytes a minute, then an hour of nothing
    sizes = [min(n, 120) * 6000.0 for n in range(181)]
    facts = gather(watch(sizes), 0)
    assert facts.rate == pytest.approx(0)
    assert facts.watched.rate == pytest.approx(240_000)
    assert facts.watched.seconds == 10_800


def test_peak_and_when_it_last_came_down() -> None:
    watched = gather(watch([100, 900, 300, 400, 500]), 0).watched
    assert (watched.peak, watched.peak_time) == (900, NOON + 60)
    assert watched.fell == NOON + 120
    assert watched.moved
    only_up = gather(watch([100, 100, 300, 400]), 0).watched
    assert only_up.fell is None
    assert only_up.first == NOON
    assert only_up.moved
    assert not gather(watch([100, 100, 100]), 0).watched.moved


def test_after_a_restart_of_windows_the_watch_begins_again() -> None:
    boots = [NOON - 9e5] * 3 + [NOON + 150] * 3
    watched = gather(watch([500, 700, 900, 10, 20, 30], boots=boots), 0).watched
    assert watched.restarted == NOON + 180
    assert watched.peak == 30
    assert watched.fell is None
    # A clock that was set by some seconds is no restart
    near = [NOON - 9e5, NOON - 9e5 + 3, NOON - 9e5 + 2]
    assert gather(watch([5, 6, 7], boots=near), 0).watched.restarted is None


def test_one_sample_has_no_changes_and_no_rates() -> None:
    facts = gather(watch([1000]), 0)
    assert facts.rate is None
    assert facts.watched.rate is None
    assert facts.allocs_per_second is None
    assert facts.changes == ()


def test_no_sample_at_all() -> None:
    index = TagIndex()
    index.number(LEAK)
    facts = gather(Tracker(index), 0)
    assert facts.bytes is None
    assert not facts.shown
    assert facts.watched.peak is None
    assert courses(Tracker(index), 0)[0].values.size == 0


def test_times_that_are_not_known() -> None:
    facts = gather(watch([1, 2, 3], times=[np.nan] * 3), 0)
    assert facts.time is None
    assert facts.rate is None
    assert facts.watched.rate is None
    assert facts.allocs_per_second is None
    assert facts.watched.peak == 3


def test_a_counter_that_went_round_gives_no_pace() -> None:
    assert gather(watch([1000, 10]), 0).allocs_per_second is None
    pace = courses(watch([1000, 10, 70]), 0)[2]
    assert np.isnan(pace.values[:2]).all()
    assert pace.values[2] == pytest.approx(6 / 60)


def test_the_same_tag_elsewhere() -> None:
    keys = [LEAK, TagKey("Leak", PoolKind.PAGED), TagKey("Leak", PoolKind.PAGED, 2), TagKey("leak", PoolKind.PAGED)]
    found = {key for key, _ in gather(watch([1000, 2000], keys), 0).elsewhere}
    assert keys[1] in found
    assert keys[2] in found
    assert not any(key.tag == "leak" for key in found)


def test_a_tag_that_is_gone_is_said_to_be_gone() -> None:
    tracker = watch([1000], [LEAK, TagKey("File", PoolKind.NONPAGED)])
    one = np.ones(1)
    tracker.feed(Sample(NOON + 60, TagFigures(np.array([1]), one, one, one), {}, complete=True))
    facts = gather(tracker, 0)
    assert not facts.shown
    assert facts.bytes == 0


# ---- what was judged ----


def test_findings_about_the_tag_and_its_pool_only() -> None:
    mine = finding()
    other_pool = finding(subject=Subject(pool="paged", tag="Leak"))
    other_tag = finding(subject=Subject(pool="nonpaged", tag="MmSt"))
    facts = gather(watch([1, 2]), 0, judged=Judged([other_pool, other_tag, mine], {PoolKind.NONPAGED: 5_000}))
    assert facts.findings == (mine,)
    assert facts.beside == ()
    assert facts.accused
    assert facts.limit == 5_000


def test_findings_that_explain_the_tag_stand_beside() -> None:
    cause = finding(subject=Subject(tag="Tok?"), explains=("the growth of tag Leak",))
    holder = finding(subject=Subject(tag="Hold"), roles=Roles(victims=("Leak",)))
    ruled_out = finding(subject=Subject(tag="Hold"), verdict=Verdict.RULED_OUT, explains=("the growth of tag Leak",))
    facts = gather(watch([1, 2]), 0, judged=Judged([cause, holder, ruled_out]))
    assert facts.findings == ()
    assert facts.beside == (cause, holder)
    assert not facts.accused


def test_findings_of_a_session() -> None:
    keys = [TagKey("Gla5", PoolKind.PAGED, 2)]
    of_two = finding(subject=Subject(pool="session", tag="Gla5", session=2))
    of_three = finding(subject=Subject(pool="session", tag="Gla5", session=3))
    of_system = finding(subject=Subject(pool="paged", tag="Gla5"))
    judged = Judged([of_three, of_two, of_system], {PoolKind.PAGED: 7})
    facts = gather(watch([1, 2], keys), 0, judged=judged)
    assert facts.findings == (of_two,)
    assert gather(watch([1, 2], [TagKey("Gla5", PoolKind.PAGED)]), 0, judged=judged).findings == (of_system,)
    together = gather(watch([1, 2], [TagKey("Gla5", PoolKind.PAGED, -1)]), 0, judged=judged)
    assert set(together.findings) == {of_two, of_three}
    assert facts.limit is None  # the paged pool's limit is not the session's


def test_what_holds_comes_first() -> None:
    ruled_out = finding(verdict=Verdict.RULED_OUT)
    held = finding()
    assert gather(watch([1, 2]), 0, judged=Judged([ruled_out, held])).findings == (held, ruled_out)


# ---- who writes it ----


def owners(*descriptions: TagDescription, rows: Sequence[TagRow] = ()) -> Owners:
    table = TagTable(where=Where(0), rows=tuple(rows), pools=frozenset(PoolKind), completeness=Completeness.UNKNOWN)
    return Owners(System(), descriptions, [table])


def test_our_note_names_the_owner() -> None:
    writer = writer_of(TagKey("MmSt", PoolKind.PAGED), owners())
    assert (writer.driver, writer.sure, writer.how) == ("nt!mm", True, "our notes on common tags")
    assert writer.note is not None
    assert writer_of(TagKey("MmSt", PoolKind.PAGED), None).driver == "nt!mm"


def test_a_list_of_the_user_names_the_owner() -> None:
    writer = writer_of(TagKey("Abcd", PoolKind.PAGED), owners(TagDescription("Abcd", "abc.sys", "things of abc")))
    assert (writer.driver, writer.sure, writer.how, writer.says) == ("abc.sys", True, "pooltag.txt", "things of abc")


def test_the_evidence_names_the_owner() -> None:
    row = TagRow("Abcd", PoolKind.PAGED, 1, 1, 0, 0, Where(0), "their things", "abc.sys")
    writer = writer_of(TagKey("Abcd", PoolKind.PAGED), owners(rows=[row]))
    assert (writer.driver, writer.how) == ("abc.sys", "printed in the evidence")


def test_a_family_is_a_guess() -> None:
    writer = writer_of(TagKey("Gh05", PoolKind.PAGED, 2), owners())
    assert not writer.sure
    assert writer.how.startswith("a guess")
    assert writer.note is None


def test_a_shared_tag_names_nobody() -> None:
    writer = writer_of(TagKey("None", PoolKind.NONPAGED), owners())
    assert writer.shared
    assert not writer.sure


def test_nobody_is_known() -> None:
    writer = writer_of(TagKey("q9Zx", PoolKind.NONPAGED), owners())
    assert (writer.driver, writer.how, writer.sure) == (None, "", False)


# ---- courses ----


def test_the_courses_that_can_be_drawn() -> None:
    size, held, pace = courses(watch([1000, 2000, 4000]), 0)
    assert (size.unit, held.unit, pace.unit) == ("bytes", "count", "per second")
    assert size.values.tolist() == [1000, 2000, 4000]
    assert held.values.tolist() == [10, 20, 40]
    assert pace.values[1:].tolist() == pytest.approx([100 / 60, 200 / 60])


@given(
    st.lists(st.floats(0, 1e15), min_size=1, max_size=30),
    st.lists(st.integers(0, 10_000), min_size=30, max_size=30),
)
@settings(deadline=None, max_examples=60)
def test_any_course_gives_facts_that_hold(sizes: list[float], waits: list[int]) -> None:
    times = (NOON + np.cumsum(waits))[: len(sizes)].tolist()
    facts: DetailFacts = gather(watch(sizes, times=times), 0)
    assert facts.bytes == sizes[-1]
    assert facts.watched.peak == max(sizes)
    assert facts.watched.moved == (len(set(sizes)) > 1)
    falls = [n for n in range(1, len(sizes)) if sizes[n] < sizes[n - 1]]
    assert (facts.watched.fell is None) == (not falls)
    if falls:
        assert facts.watched.fell == times[falls[-1]]
