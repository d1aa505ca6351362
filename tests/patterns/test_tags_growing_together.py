from collections.abc import Callable

import pytest

from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.tags import TagRow, TagTable
from poolsleuth.patterns.thresholds import OBJECTS_SUSPECT, TWINS_BY_CHANCE, TWINS_DIFFERENCE, TWINS_MIN
from poolsleuth.windows.builds import Era

Judge = Callable[..., Finding]
Findings = Callable[..., tuple[Finding, ...]]
Table = Callable[..., TagTable]
Row = Callable[..., TagRow]

ID = "tags-growing-together"
MB = 1 << 20
SERVER_2003 = {"era": int(Era.XP_2003), "architecture": "x86"}


@pytest.fixture
def full(vm: Callable[..., MemoryCounters]) -> MemoryCounters:
    return vm(nonpaged_used=100 * MB, nonpaged_max=105 * MB, paged_used=10 * MB, paged_max=200 * MB)


def test_the_object_is_the_whole_and_the_other_its_part(
    finding: Judge, full: MemoryCounters, row: Row, table: Table
) -> None:
    tags = table(row("Abcd", outstanding=50_010), row("Thre", outstanding=50_000))

    judged = finding(ID, full, tags, **SERVER_2003)

    assert (judged.verdict, judged.severity, judged.confidence) == (Verdict.SUSPECTED, Severity.INFO, Confidence.LOW)
    assert judged.subject.tag == "Thre"
    assert judged.explains == ("tag Abcd as a part of what Thre counts",)
    assert "growth was not seen" in judged.against[0].says
    assert any("again later" in step for step in judged.next_steps)


@pytest.mark.parametrize(
    ("count", "more", "verdict"),
    [
        (int(TWINS_MIN.value), 0, Verdict.SUSPECTED),
        (int(TWINS_MIN.value) - 1, 0, Verdict.NOT_ASSESSED),
        (20_000, int(20_000 * TWINS_DIFFERENCE.value), Verdict.SUSPECTED),
        (20_000, int(20_000 * TWINS_DIFFERENCE.value) + 1, Verdict.NOT_ASSESSED),
    ],
)
def test_edges(
    finding: Judge, full: MemoryCounters, row: Row, table: Table, count: int, more: int, verdict: Verdict
) -> None:
    tags = table(row("Aaaa", outstanding=count), row("Bbbb", outstanding=count + more))

    assert finding(ID, full, tags, **SERVER_2003).verdict is verdict


@pytest.mark.parametrize(
    ("count", "verdict"),
    [(int(OBJECTS_SUSPECT.value), Verdict.SUSPECTED), (int(OBJECTS_SUSPECT.value) - 1, Verdict.NOT_ASSESSED)],
)
def test_a_machine_that_is_not_short_needs_more(
    finding: Judge, row: Row, table: Table, count: int, verdict: Verdict
) -> None:
    assert finding(ID, table(row("Aaaa", outstanding=count), row("Bbbb", outstanding=count))).verdict is verdict


def test_one_tag_in_both_pools_is_no_pair(finding: Judge, row: Row, table: Table) -> None:
    tags = table(row("Aaaa", outstanding=200_000), row("Aaaa", pool="paged", outstanding=200_000))

    assert finding(ID, tags).verdict is Verdict.NOT_ASSESSED


def test_never_ruled_out_by_one_capture(finding: Judge, row: Row, table: Table) -> None:
    judged = finding(ID, table(row("Aaaa", outstanding=5), complete=True))

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "twice" in judged.next_steps[0]


def test_many_pairs_are_bounded(findings: Findings, row: Row, table: Table) -> None:
    rows = [row(f"A{n:03}", outstanding=200_000 + n) for n in range(50)]

    assert len(findings(ID, table(*rows))) == 5


def test_equal_counts_among_many_tags_are_chance(finding: Judge, full: MemoryCounters, row: Row, table: Table) -> None:
    """The same pair alone, among six others, and among 300 whose counts lie around it."""
    pair = (row("Aaaa", outstanding=50_000), row("Bbbb", outstanding=50_010))
    crowd = [row(f"{n:04}", outstanding=10_000 + 335 * n) for n in range(300)]

    assert finding(ID, full, table(*pair), **SERVER_2003).verdict is Verdict.SUSPECTED
    assert finding(ID, full, table(*pair, *crowd[::50]), **SERVER_2003).verdict is Verdict.SUSPECTED
    assert finding(ID, full, table(*pair, *crowd), **SERVER_2003).verdict is Verdict.NOT_ASSESSED


@pytest.mark.parametrize(("others", "verdict"), [(33, Verdict.SUSPECTED), (34, Verdict.NOT_ASSESSED)])
def test_edge_of_what_chance_explains(
    finding: Judge, full: MemoryCounters, row: Row, table: Table, others: int, verdict: Verdict
) -> None:
    """Two tags of 50,000: within a factor of 1.25 lie counts of 40,000 to 62,500.

    With n larger tags, all of them there, (n + 1) * n / 22,500 pairs as close are to be expected: 0.0499 of 33, 0.0529
    of 34.
    """
    assert TWINS_BY_CHANCE.value == 0.05
    crowd = [row(f"{n:04}", outstanding=50_300 + 350 * n) for n in range(others)]
    tags = table(row("Aaaa", outstanding=50_000), row("Bbbb", outstanding=50_000), *crowd)

    assert finding(ID, full, tags, **SERVER_2003).verdict is verdict


def test_without_tags_the_command_is_named(finding: Judge, full: MemoryCounters) -> None:
    assert "`!poolused 2`" in finding(ID, full).next_steps[0]
