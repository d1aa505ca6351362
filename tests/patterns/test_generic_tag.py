from collections.abc import Callable

import pytest

from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.series import TagHistory
from poolsleuth.model.tag_code import CodeUse, TagSearch, TagUseInCode, TagUser
from poolsleuth.model.tags import TagRow, TagTable
from poolsleuth.patterns.thresholds import GENERIC_OF_LIMIT, TAG_IS_MOST, TAG_UNTAGGED_BYTES, TAG_UNTAGGED_SHARE
from poolsleuth.windows.builds import Era

Judge = Callable[..., Finding]
Vm = Callable[..., MemoryCounters]
Table = Callable[..., TagTable]
Row = Callable[..., TagRow]

ID = "generic-tag"
KB, MB = 1 << 10, 1 << 20
SERVER_2003 = {"era": int(Era.XP_2003), "architecture": "x86"}


def test_the_article_whose_bytes_are_lost(finding: Judge, vm: Vm, row: Row, table: Table) -> None:
    counters = vm(nonpaged_used=257_780 * KB, nonpaged_max=258_560 * KB)
    ddk = row("Ddk", allocs=9_074_558, frees=3_859_522, outstanding=5_215_036)

    found = finding(ID, counters, table(ddk), **SERVER_2003)

    assert (found.verdict, found.severity, found.confidence) == (Verdict.FOUND, Severity.CRITICAL, Confidence.HIGH)
    assert (found.subject.pool, found.subject.tag, found.subject.driver) == ("nonpaged", "Ddk", None)
    says = found.because[0].says
    assert "5,215,036 blocks outstanding (9,074,558 allocated, 3,859,522 freed)" in says
    assert "at least 79.6 MB" in says
    assert "at least 31.6 % of the pool" in says
    assert any("no driver can be named" in reason.says for reason in found.against)
    assert any("PoolHitTag" in step for step in found.next_steps)
    assert any("`!verifier 3 <driver.sys>`" in step for step in found.next_steps)


def test_known_bytes_are_exact(finding: Judge, vm: Vm, row: Row, table: Table) -> None:
    counters = vm(nonpaged_used=100 * MB, nonpaged_max=200 * MB)

    found = finding(ID, counters, table(row("Ddk", bytes=50 * MB, outstanding=1000)), **SERVER_2003)

    assert found.severity is Severity.WARNING
    assert f"{50 * MB:,} bytes" in found.because[0].says
    assert "at least" not in found.because[0].says


def test_the_smallest_block_is_larger_on_64_bit_windows(finding: Judge, row: Row, table: Table) -> None:
    found = finding(ID, table(row("Ddk", outstanding=2_000_000)), architecture="x64")

    assert f"at least {2_000_000 * 32 / MB:.1f} MB" in found.because[0].says


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(TAG_UNTAGGED_SHARE.value, Verdict.FOUND), (TAG_UNTAGGED_SHARE.value - 0.001, Verdict.RULED_OUT)],
)
def test_edge_by_share(finding: Judge, vm: Vm, row: Row, table: Table, share: float, verdict: Verdict) -> None:
    tags = table(row("Ddk", bytes=int(share * 100 * MB), outstanding=1000))

    assert finding(ID, vm(nonpaged_used=100 * MB, nonpaged_max=200 * MB), tags, **SERVER_2003).verdict is verdict


@pytest.mark.parametrize(
    ("count", "verdict"),
    [(int(TAG_UNTAGGED_BYTES.value), Verdict.FOUND), (int(TAG_UNTAGGED_BYTES.value) - 1, Verdict.RULED_OUT)],
)
def test_edge_by_bytes(finding: Judge, row: Row, table: Table, count: int, verdict: Verdict) -> None:
    assert finding(ID, table(row("Ddk", bytes=count, outstanding=1000))).verdict is verdict


def test_the_largest_of_several_is_told(finding: Judge, row: Row, table: Table) -> None:
    tags = table(row("Wdm", bytes=40 * MB), row("Ddk", bytes=60 * MB), row("FxDr", bytes=50 * MB))

    assert finding(ID, tags).subject.tag == "Ddk"


def test_tag_none_has_its_own_pattern(finding: Judge, row: Row, table: Table) -> None:
    assert finding(ID, table(row("None", bytes=60 * MB), complete=True)).verdict is Verdict.RULED_OUT


def test_a_cut_table_proves_no_absence(finding: Judge, row: Row, table: Table) -> None:
    judged = finding(ID, table(row("MmCm", bytes=MB)))

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "without /t" in judged.next_steps[0]


def test_a_complete_table_proves_absence(finding: Judge, row: Row, table: Table) -> None:
    assert finding(ID, table(row("MmCm", bytes=MB), complete=True)).verdict is Verdict.RULED_OUT


def test_without_tags_the_command_is_named(finding: Judge) -> None:
    assert "`!poolused 2`" in finding(ID).next_steps[0]


def test_who_allocates_with_it_in_code_is_told_and_not_accused(finding: Judge, vm: Vm, row: Row, table: Table) -> None:
    """Of a dump: calls show that a driver can, not how much of the memory is its."""
    search = TagSearch(
        where=Where(0),
        tags=("Ddk",),
        modules=9,
        unseen=(),
        unfinished=(),
        partial=0,
        unread_code=0,
        paged=0,
        unread_pageable=0,
        functions=5,
        whole_list=True,
    )
    use = TagUseInCode("Ddk", CodeUse.ALLOCATES, (0x1810,), 1, ("ExAllocatePoolWithTag",))
    user = TagUser(where=Where(0), driver="old.sys", base=0xF7000000, timestamp=None, use=use)
    counters = vm(nonpaged_used=100 * MB, nonpaged_max=200 * MB)

    found = finding(ID, counters, table(row("Ddk", bytes=60 * MB, outstanding=1000)), search, user)

    assert found.subject.driver is None
    assert "only old.sys allocates with this tag" in found.headline
    assert any("old.sys allocates with tag Ddk: 1 call" in reason.says for reason in found.because)
    assert any("Ddk is a default tag that drivers share" in reason.says for reason in found.against)


@pytest.mark.parametrize(
    ("of_limit", "verdict"),
    [(GENERIC_OF_LIMIT.value - 0.001, Verdict.RULED_OUT), (GENERIC_OF_LIMIT.value, Verdict.FOUND)],
)
def test_little_of_a_pool_with_room_is_a_working_set(
    finding: Judge, vm: Vm, row: Row, table: Table, of_limit: float, verdict: Verdict
) -> None:
    """18.7 MB of NDam were a fifth of an idle machine's pool, which could take a gigabyte."""
    counters = vm(nonpaged_used=400 * MB, nonpaged_max=2000 * MB)
    tags = table(row("NDam", bytes=int(of_limit * 2000 * MB), outstanding=65))

    judged = finding(ID, counters, tags, **SERVER_2003)

    assert judged.verdict is verdict
    assert ("it has room" in judged.headline) is (verdict is Verdict.RULED_OUT)


@pytest.mark.parametrize(
    ("share", "last", "verdict"),
    [
        (TAG_IS_MOST.value - 0.01, 1.0, Verdict.RULED_OUT),
        (TAG_IS_MOST.value - 0.01, 3.0, Verdict.FOUND),
        (TAG_IS_MOST.value, 1.0, Verdict.FOUND),
    ],
    ids=["steady", "growing", "steady, but most of the pool"],
)
def test_what_does_not_grow_is_no_trouble_but_where_it_is_most_of_the_pool(
    finding: Judge,
    vm: Vm,
    row: Row,
    table: Table,
    tag_history: Callable[..., TagHistory],
    share: float,
    last: float,
    verdict: Verdict,
) -> None:
    size = share * 100 * MB
    hours = list(range(24))
    course = [size / last + size * (1 - 1 / last) * hour / 23 for hour in hours]
    history = tag_history(hours, {"Ddk": course}, pool="nonpaged")
    counters = vm(nonpaged_used=100 * MB, nonpaged_max=200 * MB)

    judged = finding(ID, counters, table(row("Ddk", bytes=int(size), outstanding=1000)), history, **SERVER_2003)

    assert judged.verdict is verdict
    if verdict is Verdict.RULED_OUT:
        assert "does not grow" in judged.headline


def test_in_a_tight_pool_a_steady_share_counts(
    finding: Judge, vm: Vm, row: Row, table: Table, tag_history: Callable[..., TagHistory]
) -> None:
    hours = list(range(24))
    history = tag_history(hours, {"Ddk": [20.0 * MB] * 24}, pool="nonpaged")
    counters = vm(nonpaged_used=100 * MB, nonpaged_max=110 * MB)

    judged = finding(ID, counters, table(row("Ddk", bytes=20 * MB, outstanding=1000)), history, **SERVER_2003)

    assert (judged.verdict, judged.severity) == (Verdict.FOUND, Severity.CRITICAL)
