from collections.abc import Callable

import pytest

from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.system import BugCheck
from poolsleuth.model.tags import TagDescription, TagRow, TagTable
from poolsleuth.patterns.thresholds import POOL_WARNING, TAG_DOMINATES, UNKNOWN_TAG_BYTES, UNKNOWN_TAG_LEADS
from poolsleuth.windows.builds import Era

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
