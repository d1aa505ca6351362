from collections.abc import Callable

import pytest

from poolsleuth.model.facts import Figure, Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.memory import FailureReason, MemoryCounters, SessionMemory
from poolsleuth.model.system import BugCheck
from poolsleuth.model.tags import TagDescription, TagRow, TagTable
from poolsleuth.patterns.thresholds import (
    POOL_WARNING,
    TAG_DOMINATES,
    TAG_IS_MOST,
    UNKNOWN_TAG_BYTES,
    UNKNOWN_TAG_LEADS,
)
from poolsleuth.windows.builds import Era
from poolsleuth.windows.pool_failures import REASONS, failure_note

Findings = Callable[..., tuple[Finding, ...]]
Judge = Callable[..., Finding]
Vm = Callable[..., MemoryCounters]
Row = Callable[..., TagRow]
Table = Callable[..., TagTable]

ID = "pool-leak"
MB = 1 << 20
SERVER_2003 = {"era": int(Era.XP_2003), "architecture": "x86"}


@pytest.fixture
def full(vm: Vm) -> MemoryCounters:
    return vm(nonpaged_used=100 * MB, nonpaged_max=105 * MB, paged_used=10 * MB, paged_max=200 * MB)


@pytest.mark.parametrize(("share", "suspected"), [(TAG_DOMINATES.value, True), (TAG_DOMINATES.value - 0.001, False)])
def test_edge_of_a_dominating_tag(
    findings: Findings, full: MemoryCounters, row: Row, table: Table, share: float, suspected: bool
) -> None:
    tags = table(row("Abcd", bytes=int(share * 100 * MB), outstanding=10_000))

    judged = findings(ID, full, tags, **SERVER_2003)

    assert [f.verdict for f in judged] == [Verdict.SUSPECTED if suspected else Verdict.NOT_ASSESSED]


def test_one_capture_never_finds_a_leak(finding: Judge, full: MemoryCounters, row: Row, table: Table) -> None:
    # Nothing of it was ever freed, it fills the pool, and still: growth was not seen
    tags = table(row("Abcd", allocs=500_000, frees=0, outstanding=500_000, bytes=90 * MB))

    judged = finding(ID, full, tags, **SERVER_2003)

    assert (judged.verdict, judged.severity, judged.confidence) == (
        Verdict.SUSPECTED,
        Severity.CRITICAL,
        Confidence.MEDIUM,
    )
    assert "growth was not seen" in judged.headline
    assert any("0.0 % were freed" in reason.says for reason in judged.because)
    assert "growth was not seen" in judged.against[0].says
    assert any("poolmon" in step for step in judged.next_steps)


def test_each_guilty_tag_has_its_own_finding(findings: Findings, full: MemoryCounters, row: Row, table: Table) -> None:
    tags = table(*[row(tag, bytes=30 * MB, outstanding=100) for tag in ("Aaaa", "Bbbb")], row("Cccc", bytes=MB))

    assert [f.subject.tag for f in findings(ID, full, tags, **SERVER_2003)] == ["Aaaa", "Bbbb"]


@pytest.mark.parametrize("tag", ["MmSt", "CM", "MmCm", "Pool"])
def test_memory_that_follows_load_is_not_suspected(
    finding: Judge, full: MemoryCounters, row: Row, table: Table, tag: str
) -> None:
    judged = finding(ID, full, table(row(tag, bytes=60 * MB, outstanding=1000)), **SERVER_2003)

    assert judged.verdict is Verdict.NOT_ASSESSED


def test_the_tag_of_a_roomy_pool_is_not_suspected(finding: Judge, full: MemoryCounters, row: Row, table: Table) -> None:
    judged = finding(ID, full, table(row("Abcd", pool="paged", bytes=9 * MB, outstanding=1000)), **SERVER_2003)

    assert judged.verdict is Verdict.NOT_ASSESSED


def test_just_below_a_tight_pool(finding: Judge, vm: Vm, row: Row, table: Table) -> None:
    used = int((POOL_WARNING.value - 0.001) * 100 * MB)
    counters = vm(nonpaged_used=used, nonpaged_max=100 * MB, paged_used=MB, paged_max=100 * MB)

    judged = finding(ID, counters, table(row("Abcd", bytes=60 * MB, outstanding=1000)), **SERVER_2003)

    assert judged.verdict is Verdict.NOT_ASSESSED


def test_lost_bytes_make_a_lower_bound(finding: Judge, vm: Vm, row: Row, table: Table) -> None:
    # The article's table has lost its column Used: 5,215,036 blocks take 16 bytes each at the very least
    counters = vm(nonpaged_used=257_780 << 10, nonpaged_max=258_560 << 10)
    ddk = row("Ddk", allocs=9_074_558, frees=3_859_522, outstanding=5_215_036)

    judged = finding(ID, counters, table(ddk), **SERVER_2003)

    assert "at least 79.6 MB" in judged.headline
    assert f"at least 79.6 MB ({5_215_036 * 16:,} bytes)" in judged.because[0].says
    assert judged.subject.driver is None


def test_a_described_driver_is_named_as_the_tags_writer(
    finding: Judge, full: MemoryCounters, row: Row, table: Table
) -> None:
    listed = [TagDescription("Abcd", "acme.sys", "Acme filter")]

    judged = finding(ID, full, table(row("Abcd", bytes=50 * MB, outstanding=1000)), descriptions=listed, **SERVER_2003)

    assert judged.subject.driver == "acme.sys"
    assert any("pooltag.txt" in reason.says for reason in judged.because)


def test_a_kernel_component_is_no_driver(finding: Judge, full: MemoryCounters, row: Row, table: Table) -> None:
    judged = finding(ID, full, table(row("Irp", bytes=50 * MB, outstanding=1000)), **SERVER_2003)

    assert judged.subject.driver is None


@pytest.mark.parametrize(
    ("largest", "second", "suspected"),
    [
        (int(UNKNOWN_TAG_BYTES.value), int(UNKNOWN_TAG_BYTES.value / UNKNOWN_TAG_LEADS.value), True),
        (int(UNKNOWN_TAG_BYTES.value), int(UNKNOWN_TAG_BYTES.value / UNKNOWN_TAG_LEADS.value) + 1, False),
        (int(UNKNOWN_TAG_BYTES.value) - 1, MB, False),
    ],
)
def test_an_unknown_tag_leads_a_sorted_table(
    finding: Judge, row: Row, table: Table, largest: int, second: int, suspected: bool
) -> None:
    rows = (row("Abcd", pool="paged", bytes=largest), row("CM", pool="paged", bytes=second))

    judged = finding(ID, table(*rows, sorted_by="paged"))

    assert judged.verdict is (Verdict.SUSPECTED if suspected else Verdict.NOT_ASSESSED)
    if suspected:
        assert (judged.severity, judged.confidence) == (Severity.WARNING, Confidence.LOW)


def test_in_an_unsorted_table_a_hidden_row_may_be_larger(finding: Judge, row: Row, table: Table) -> None:
    judged = finding(ID, table(row("Abcd", pool="paged", bytes=40 * MB), row("CM", pool="paged", bytes=MB)))

    assert judged.verdict is Verdict.NOT_ASSESSED


def test_a_documented_tag_that_leads_is_no_suspect(finding: Judge, row: Row, table: Table) -> None:
    rows = (row("Ntff", pool="paged", bytes=40 * MB), row("CM", pool="paged", bytes=MB))

    assert finding(ID, table(*rows, sorted_by="paged")).verdict is Verdict.NOT_ASSESSED


def test_without_tags_the_command_is_named(finding: Judge, full: MemoryCounters) -> None:
    judged = finding(ID, full, **SERVER_2003)

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "`!poolused`" in judged.next_steps[0]


SESSION_ENDED = BugCheck(where=Where(0, 1), code=0xAB, parameters=(3, 0x5600, 0x40, 17))


def test_a_session_that_left_pool_behind_is_proof(finding: Judge) -> None:
    found = finding(ID, bugcheck=SESSION_ENDED)

    assert (found.verdict, found.severity, found.confidence) == (Verdict.FOUND, Severity.CRITICAL, Confidence.HIGH)
    assert (found.subject.pool, found.subject.session, found.subject.driver) == ("session", 3, None)
    assert "22 KB of paged and 64 bytes of nonpaged pool" in found.headline


def test_the_same_bug_check_without_its_arguments(finding: Judge, row: Row, table: Table) -> None:
    found = finding(ID, table(row("Abcd", bytes=MB)), bugcheck=BugCheck(where=Where(0, 1), code=0xAB))

    assert (found.verdict, found.subject.session) == (Verdict.FOUND, None)
    assert "left pool behind" in found.headline


def test_a_cut_table_is_said_to_be_cut(finding: Judge, row: Row, table: Table) -> None:
    judged = finding(ID, table(row("MmCm", bytes=17 * MB), row("File", bytes=4 * MB)))

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "cut at 2 tags" in judged.because[0].says


@pytest.mark.parametrize(("frees", "verdict"), [(40, Verdict.SUSPECTED), (4_000_000, Verdict.NOT_ASSESSED)])
def test_a_large_unknown_tag_that_was_never_freed(
    finding: Judge, row: Row, table: Table, frees: int, verdict: Verdict
) -> None:
    # An unsorted table without any !vm: only the counts speak
    allocs = 5_215_076
    tags = table(row("Abcd", allocs=allocs, frees=frees, outstanding=allocs - frees, bytes=208 * MB))

    assert finding(ID, tags).verdict is verdict


# ---- a tag that is most of a pool, on a machine where pool allocations failed ----

USED = 200 * MB
ALLOCS = 100_000


@pytest.fixture
def roomy(vm: Vm) -> Callable[..., MemoryCounters]:
    """Both pools have room; more figures as given."""

    def build(**more: object) -> MemoryCounters:
        usual = {"nonpaged_used": 10 * MB, "nonpaged_max": 250 * MB, "paged_used": USED, "paged_max": 400 * MB}
        return vm(**usual | more)

    return build


@pytest.fixture
def hog(row: Row, table: Table) -> Callable[..., TagTable]:
    """A table of one tag of paged pool with a share of it, of whose blocks so many were freed."""

    def build(share: float = 0.8, frees: int = 0, tag: str = "HogP") -> TagTable:
        return table(
            row(tag, pool="paged", allocs=ALLOCS, frees=frees, outstanding=ALLOCS - frees, bytes=int(share * USED))
        )

    return build


Hog = Callable[..., TagTable]


def test_failures_weigh_for_a_tag_that_is_most_of_a_pool(finding: Judge, roomy: Vm, hog: Hog) -> None:
    judged = finding(ID, roomy(pool_failures=818), hog(), **SERVER_2003)

    assert (judged.verdict, judged.severity, judged.confidence) == (
        Verdict.SUSPECTED,
        Severity.WARNING,
        Confidence.MEDIUM,
    )
    said = [reason for reason in judged.because if "818" in reason.says]
    assert [reason.says for reason in said] == ["818 pool allocations failed since boot; which pool is not known"]
    assert said[0].where == Where(0, 2)
    assert any("has room now: what failed was of another pool" in reason.says for reason in judged.against)


def test_without_failures_the_same_tag_is_a_low_suspicion(finding: Judge, roomy: Vm, hog: Hog) -> None:
    judged = finding(ID, roomy(), hog(), **SERVER_2003)

    assert (judged.verdict, judged.severity, judged.confidence) == (
        Verdict.SUSPECTED,
        Severity.WARNING,
        Confidence.LOW,
    )
    assert not any("failed" in reason.says for reason in (*judged.because, *judged.against))


@pytest.mark.parametrize(("failures", "verdict"), [(818, Verdict.SUSPECTED), (None, Verdict.NOT_ASSESSED)])
def test_failures_make_a_documented_tag_a_suspect(
    finding: Judge, roomy: Vm, hog: Hog, failures: int | None, verdict: Verdict
) -> None:
    assert finding(ID, roomy(pool_failures=failures), hog(tag="Irp"), **SERVER_2003).verdict is verdict


@pytest.mark.parametrize(
    ("share", "frees", "suspected"),
    [
        (TAG_IS_MOST.value + 0.001, 0, True),
        (TAG_IS_MOST.value, 0, False),
        (0.8, ALLOCS // 10, True),
        (0.8, ALLOCS // 10 + 1, False),
    ],
)
def test_edges_of_a_tag_that_is_most_of_a_pool(
    finding: Judge, roomy: Vm, hog: Hog, share: float, frees: int, suspected: bool
) -> None:
    judged = finding(ID, roomy(pool_failures=1), hog(share, frees, "Irp"), **SERVER_2003)

    assert judged.verdict is (Verdict.SUSPECTED if suspected else Verdict.NOT_ASSESSED)


def test_memory_that_follows_load_is_not_suspected_for_failures(finding: Judge, roomy: Vm, hog: Hog) -> None:
    assert finding(ID, roomy(pool_failures=818), hog(tag="MmSt"), **SERVER_2003).verdict is Verdict.NOT_ASSESSED


def test_a_small_pool_is_no_matter(finding: Judge, vm: Vm, row: Row, table: Table) -> None:
    counters = vm(nonpaged_used=10 * MB, nonpaged_max=250 * MB, paged_used=20 * MB, paged_max=250 * MB, pool_failures=9)
    tags = table(row("Irp", pool="paged", allocs=ALLOCS, frees=0, outstanding=ALLOCS, bytes=19 * MB))

    assert finding(ID, counters, tags, **SERVER_2003).verdict is Verdict.NOT_ASSESSED


def test_in_a_tight_pool_it_is_critical_and_the_failures_are_said(finding: Judge, roomy: Vm, hog: Hog) -> None:
    judged = finding(ID, roomy(paged_max=USED + MB, pool_failures=818), hog(), **SERVER_2003)

    assert (judged.verdict, judged.severity, judged.confidence) == (
        Verdict.SUSPECTED,
        Severity.CRITICAL,
        Confidence.MEDIUM,
    )
    assert "818 allocations of this pool failed" in [reason.says for reason in judged.because]
    assert not any("has room now" in reason.says for reason in judged.against)


def test_with_both_pools_tight_nobody_knows_whose_failures_they_are(finding: Judge, roomy: Vm, hog: Hog) -> None:
    counters = roomy(paged_max=USED + MB, nonpaged_max=11 * MB, pool_failures=818)

    judged = finding(ID, counters, hog(), **SERVER_2003)

    assert judged.severity is Severity.CRITICAL
    assert any("which pool is not known" in reason.says for reason in judged.because)
    assert any("may have been another pool's" in reason.says for reason in judged.against)


def test_failures_of_the_other_pool_do_not_weigh(finding: Judge, roomy: Vm, hog: Hog) -> None:
    judged = finding(ID, roomy(nonpaged_max=11 * MB, pool_failures=818), hog(tag="Irp"), **SERVER_2003)

    assert judged.verdict is Verdict.NOT_ASSESSED


def test_failures_of_a_session_do_not_weigh(
    finding: Judge, roomy: Vm, hog: Hog, sessions: Callable[..., SessionMemory]
) -> None:
    table_of_sessions = sessions(32 * MB, (3, 32 * MB, 818))

    judged = finding(ID, roomy(pool_failures=818), hog(tag="Irp"), table_of_sessions, **SERVER_2003)

    assert judged.verdict is Verdict.NOT_ASSESSED


@pytest.mark.parametrize(("pool", "verdict"), [("paged", Verdict.SUSPECTED), ("nonpaged", Verdict.NOT_ASSESSED)])
def test_failures_that_the_kernel_counts_by_pool(
    finding: Judge, roomy: Vm, hog: Hog, pool: str, verdict: Verdict
) -> None:
    name = next(n for n in REASONS if (note := failure_note(n)) is not None and note.pool == pool)
    counters = roomy(pool_failures=818, failure_reasons=(FailureReason(name, Figure(7, Where(0, 9))),))

    judged = finding(ID, counters, hog(tag="Irp"), **SERVER_2003)

    assert judged.verdict is verdict
    if verdict is Verdict.SUSPECTED:
        assert "7 allocations of this pool failed" in [reason.says for reason in judged.because]
        assert any("what failed was of a fuller time" in reason.says for reason in judged.against)


def test_failures_that_a_counter_saw(finding: Judge, roomy: Vm, hog: Hog) -> None:
    judged = finding(ID, roomy(paged_failures_seen=5), hog(tag="Irp"), **SERVER_2003)

    assert judged.verdict is Verdict.SUSPECTED
    assert "5 allocations of this pool failed" in [reason.says for reason in judged.because]
