from array import array
from collections.abc import Callable
from dataclasses import replace

import pytest

from poolsleuth.model.facts import Figure, Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.pool import PoolBlock, PoolBlockList, PoolMap, PoolPage, PoolPages, PoolReconciliation
from poolsleuth.model.series import MemoryHistory, TagHistory
from poolsleuth.model.tags import PoolKind, PoolmonMemory, TagRow, TagTable
from poolsleuth.patterns.thresholds import FRAGMENTATION_GAP, FRAGMENTATION_MIN_BYTES, PINNED_PAGE_SHARE

Judge = Callable[..., Finding]
Vm = Callable[..., MemoryCounters]
Table = Callable[..., TagTable]
Row = Callable[..., TagRow]

ID = "pool-fragmentation"
PAGE, KB, MB = 4096, 1 << 10, 1 << 20


def page(address: int, *blocks: tuple[int, bool, str], whole: bool = True) -> PoolPage:
    """A page of (size, free, tag) blocks."""
    placed, at = [], address
    for size, free, tag in blocks:
        placed.append(PoolBlock(at, size, None, free, tag, False, Where(0, 30)))
        at += size
    return PoolPage(
        where=Where(0, 29),
        page=address,
        region="Nonpaged pool",
        pool=PoolKind.NONPAGED,
        blocks=tuple(placed),
        whole=whole,
    )


# The three pages of article 000
PINNED = (
    page(0xFA808000, (0xA20, True, "MFE0"), (0x18, False, "ReEv"), (0x5C8, True, "NtFs")),
    page(0xFA550000, (0x860, True, "Io"), (0x18, False, "MFE0"), (0x788, True, "Irp")),
    page(0xF8FEB000, (0x648, True, "Ntfr"), (0x18, False, "ReEv"), (0x9A0, True, "MFE0")),
)


def blocks(tag: str, size: int, count: int) -> PoolBlockList:
    return PoolBlockList(where=Where(0, 40), tag_asked=None, pool=None, counts=((tag, size, False, count),), first=())


@pytest.fixture
def capture(vm: Vm, row: Row, table: Table) -> Callable[..., tuple[MemoryCounters, TagTable]]:
    """``!vm`` and the TOTAL row of a cut ``!poolused``, for nonpaged pool."""

    def build(used: int, tagged: int, limit: int = 130_588 * KB) -> tuple[MemoryCounters, TagTable]:
        total = {PoolKind.NONPAGED: row("TOTAL", bytes=tagged, outstanding=239_570, line=75)}
        return vm(nonpaged_used=used, nonpaged_max=limit), table(row("MmCm", bytes=17_452_976), total=total)

    return build


Capture = Callable[..., tuple[MemoryCounters, TagTable]]


def test_the_article(finding: Judge, capture: Capture) -> None:
    found = finding(ID, *capture(101_852 * KB, 65_912_104), *PINNED, blocks("MmCm", 0xF18, 8))

    assert (found.verdict, found.confidence, found.severity) == (Verdict.FOUND, Confidence.HIGH, Severity.WARNING)
    assert (found.subject.pool, found.subject.tag) == ("nonpaged", "MmCm")
    says = " | ".join(reason.says for reason in found.because)
    assert "104,296,448 bytes" in says
    assert "65,912,104 bytes" in says
    assert "page 0xfa808000 is held by 24 live bytes of 4096 (tag ReEv)" in says
    assert "8 blocks of 0xF18 bytes with tag MmCm" in says
    assert "0xA20" in says
    assert any("0x1000" in step for step in found.next_steps)
    assert any("not depleted yet: 78.0 %" in reason.says for reason in found.against)


def test_totals_alone_raise_a_suspicion(finding: Judge, capture: Capture) -> None:
    judged = finding(ID, *capture(101_852 * KB, 65_912_104))

    assert (judged.verdict, judged.subject.tag) == (Verdict.SUSPECTED, None)
    assert any("no page was looked into" in reason.says for reason in judged.against)
    assert any("`!pool <address>`" in step for step in judged.next_steps)


@pytest.mark.parametrize(
    ("gap", "verdict"),
    [(FRAGMENTATION_GAP.value + 0.001, Verdict.SUSPECTED), (FRAGMENTATION_GAP.value - 0.001, Verdict.RULED_OUT)],
)
def test_edge_of_the_gap(finding: Judge, capture: Capture, gap: float, verdict: Verdict) -> None:
    assert finding(ID, *capture(100 * MB, int((1 - gap) * 100 * MB))).verdict is verdict


@pytest.mark.parametrize(
    ("used", "verdict"),
    [
        (int(FRAGMENTATION_MIN_BYTES.value), Verdict.SUSPECTED),
        (int(FRAGMENTATION_MIN_BYTES.value) - PAGE, Verdict.RULED_OUT),
    ],
)
def test_edge_of_a_small_pool(finding: Judge, capture: Capture, used: int, verdict: Verdict) -> None:
    assert finding(ID, *capture(used, used // 2, limit=used * 5 // 4)).verdict is verdict


def test_totals_alone_say_little_of_a_pool_with_room(finding: Judge, capture: Capture) -> None:
    # The same gap: a suspicion in a pool that is half full and more, none in one that is not
    assert finding(ID, *capture(66 * MB, 33 * MB)).verdict is Verdict.SUSPECTED
    judged = finding(ID, *capture(60 * MB, 30 * MB))
    assert (judged.verdict, judged.confidence) == (Verdict.RULED_OUT, Confidence.LOW)
    assert finding(ID, *capture(60 * MB, 30 * MB), *PINNED).verdict is Verdict.FOUND


def test_a_full_pool_in_pieces_is_critical(finding: Judge, capture: Capture) -> None:
    found = finding(ID, *capture(101_852 * KB, 65_912_104, limit=110_000 * KB), *PINNED)

    assert (found.verdict, found.severity) == (Verdict.FOUND, Severity.CRITICAL)


@pytest.mark.parametrize(("live", "pinned"), [(0x190, True), (0x1A0, False)])
def test_edge_of_a_pinned_page(finding: Judge, capture: Capture, live: int, pinned: bool) -> None:
    assert (live <= PINNED_PAGE_SHARE.value * PAGE) == pinned
    half_used = page(0xFA000000, (live, False, "ReEv"), (PAGE - live, True, "Io"))

    judged = finding(ID, *capture(100 * MB, 50 * MB), half_used)

    assert judged.verdict is (Verdict.FOUND if pinned else Verdict.SUSPECTED)


def test_a_page_that_is_not_wholly_shown_pins_nothing(finding: Judge, capture: Capture) -> None:
    part = page(0xFA000000, (0x18, False, "ReEv"), (0x100, True, "Io"), whole=False)

    assert finding(ID, *capture(100 * MB, 50 * MB), part).verdict is Verdict.SUSPECTED


def test_a_request_that_fits_is_not_blamed(finding: Judge, capture: Capture) -> None:
    # 0x9A0 bytes find room in the first page: such requests do not take new pages
    found = finding(ID, *capture(100 * MB, 50 * MB), *PINNED, blocks("MmCm", 0x9A0, 500))

    assert found.subject.tag is None
    assert found.confidence is Confidence.MEDIUM


def test_whole_pages_pin_nothing(finding: Judge, capture: Capture) -> None:
    found = finding(ID, *capture(100 * MB, 50 * MB), *PINNED, blocks("Big ", PAGE, 500))

    assert found.subject.tag is None


def test_without_a_total_a_cut_table_is_no_measure(finding: Judge, vm: Vm, row: Row, table: Table) -> None:
    judged = finding(ID, vm(nonpaged_used=100 * MB, nonpaged_max=130 * MB), table(row("MmCm", bytes=17 * MB)))

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "TOTAL" in judged.next_steps[0]


def test_the_sum_of_a_complete_table_is_a_measure(finding: Judge, vm: Vm, row: Row, table: Table) -> None:
    tags = table(row("MmCm", bytes=47 * MB), row("Irp", bytes=3 * MB), complete=True)

    judged = finding(ID, vm(nonpaged_used=100 * MB, nonpaged_max=130 * MB), tags)

    assert judged.verdict is Verdict.SUSPECTED


def test_more_in_tags_than_in_the_pool_compares_nothing(finding: Judge, capture: Capture) -> None:
    assert finding(ID, *capture(50 * MB, 60 * MB)).verdict is Verdict.NOT_ASSESSED


def test_an_empty_pool_compares_nothing(finding: Judge, capture: Capture) -> None:
    assert finding(ID, *capture(0, 60 * MB)).verdict is Verdict.NOT_ASSESSED


def test_a_map_alone_is_a_weak_suspicion(finding: Judge, vm: Vm) -> None:
    drawn = PoolMap(
        where=Where(0, 50),
        pool=PoolKind.NONPAGED,
        maximum_pages=Figure(64640, Where(0, 51)),
        used_pages=Figure(36721, Where(0, 52)),
        shown_pages=1000,
        shown_used=200,
        isolated=120,
        elided=True,
    )

    judged = finding(ID, vm(nonpaged_used=64445 * PAGE, nonpaged_max=64640 * PAGE), drawn)

    assert (judged.verdict, judged.confidence) == (Verdict.SUSPECTED, Confidence.LOW)
    says = " | ".join(reason.says for reason in judged.because)
    assert "64,445 pages" in says
    assert "36,721 pages" in says
    assert "56.8 %" in says


def test_without_usage_the_command_is_named(finding: Judge, row: Row, table: Table) -> None:
    judged = finding(ID, table(row("MmCm", bytes=MB)))

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "`!vm`" in judged.next_steps[0]


# What all pages of such a pool say together: 60 MB of pages, nearly all of them with a small block in the middle
EVERY = PoolPages(
    where=Where(0, address=0xFA808000),
    pool=PoolKind.NONPAGED,
    pages=15_000,
    blocks=45_000,
    live_bytes=20 * MB,
    free_bytes=38 * MB,
    largest_free=0xC00,
    pinned=9_000,
    pinned_bytes=216_000,
    pinned_by=(("ReEv", 6_000), ("MFE0", 3_000)),
    pinned_runs=((0xA20, 9_000),),
    unreadable=0,
    single=9_000,
    packed_pages=5_200,
)
CHURN = blocks("MmCm", 0xF18, 300)


def test_all_blocks_of_a_dump_tell_without_any_page(finding: Judge, capture: Capture) -> None:
    found = finding(ID, *capture(100 * MB, 60 * MB, 105 * MB), EVERY, CHURN)
    assert (found.verdict, found.confidence, found.subject.tag) == (Verdict.FOUND, Confidence.HIGH, "MmCm")
    says = " ".join(reason.says for reason in found.because)
    assert "packed, these blocks would take 5,200 pages instead of 15,000: 9,800 more blocks of 0xF18 bytes" in says
    assert found.against == ()


@pytest.mark.parametrize(("allocator", "confidence"), [("segment heap", Confidence.MEDIUM), ("scan", Confidence.LOW)])
def test_what_was_not_shown_on_real_machines_is_less_sure(
    finding: Judge, capture: Capture, allocator: str, confidence: Confidence
) -> None:
    found = finding(ID, *capture(100 * MB, 60 * MB, 105 * MB), replace(EVERY, allocator=allocator), CHURN)
    assert (found.verdict, found.confidence) == (Verdict.FOUND, confidence)
    assert len(found.against) == 1


def test_a_gap_that_is_not_in_the_blocks_is_only_suspected(finding: Judge, capture: Capture) -> None:
    found = finding(ID, *capture(100 * MB, 60 * MB, 105 * MB), replace(EVERY, free_bytes=4 * MB), CHURN)
    assert (found.verdict, found.confidence) == (Verdict.SUSPECTED, Confidence.MEDIUM)
    assert "the rest lies elsewhere" in found.against[0].says


@pytest.mark.parametrize(("share", "against"), [(0.98, 0), (0.4, 1)])
def test_what_was_found_of_the_tags_speaks_for_or_against(
    finding: Judge, capture: Capture, share: float, against: int
) -> None:
    balance = PoolReconciliation(
        where=Where(0),
        pool=PoolKind.NONPAGED,
        session=None,
        counted=60 * MB,
        found=int(60 * MB * share),
        certain=True,
        waiting=0,
        unknown=0,
        absent=0,
        agreeing=9,
        different=0,
        differences=(),
    )
    found = finding(ID, *capture(100 * MB, 60 * MB, 105 * MB), EVERY, CHURN, balance)
    assert len(found.against) == against
    told = [reason.says for reason in (*found.because, *found.against) if "account for" in reason.says]
    assert len(told) == 1


@pytest.mark.parametrize(
    ("summary", "tag"),
    [
        (EVERY, "MmCm"),
        (replace(EVERY, pinned=5_173), "MmCm"),  # half of the 40 MB in no tag lie in pinned pages
        (replace(EVERY, pinned=5_172), None),
        (replace(EVERY, pinned=4), None),
        (replace(EVERY, allocator="segment heap"), None),  # it cuts runs of many pages
    ],
)
def test_a_request_is_named_where_pinned_pages_are_the_cause(
    finding: Judge, capture: Capture, summary: PoolPages, tag: str | None
) -> None:
    found = finding(ID, *capture(100 * MB, 60 * MB, 105 * MB), summary, CHURN)
    assert (found.verdict, found.subject.tag) == (Verdict.FOUND, tag)
    assert ("requests of" in found.headline) is (tag is not None)


@pytest.mark.parametrize(("others", "tag"), [(299, "MmCm"), (301, None)])
def test_one_of_many_requests_is_not_named(finding: Judge, capture: Capture, others: int, tag: str | None) -> None:
    many = [blocks(f"T{number:03}", 0xE00, 1) for number in range(others)]
    found = finding(ID, *capture(100 * MB, 60 * MB, 105 * MB), EVERY, CHURN, *many)
    assert (found.verdict, found.subject.tag) == (Verdict.FOUND, tag)


# ---- poolmon alone: the pages grow, the blocks do not ----------------------------------------------------------


@pytest.mark.parametrize(
    ("pages", "blocks_grow", "complete", "verdict"),
    [
        (12, False, True, Verdict.SUSPECTED),
        (12, True, True, Verdict.RULED_OUT),
        (0, False, True, Verdict.RULED_OUT),
        (12, False, False, Verdict.NOT_ASSESSED),
    ],
    ids=["pages alone grow", "blocks grow with them", "nothing grows", "a table that may be cut"],
)
def test_pages_that_grow_while_no_tag_does(
    finding: Judge,
    row: Row,
    table: Table,
    tag_history: Callable[..., TagHistory],
    pages: int,
    blocks_grow: bool,
    complete: bool,
    verdict: Verdict,
) -> None:
    """A pool of 20 to 32 MB and 12 MB in its tags, with no limit known: as poolmon's header shows it."""
    hours = [hour / 2 for hour in range(49)]
    used = [20.0 * MB + pages * MB * hour / 24 for hour in hours]
    held = [12.0 * MB + (used[n] - used[0] if blocks_grow else 0) for n in range(len(hours))]
    memory = MemoryHistory(
        where=Where(0),
        times=array("d", (1_700_000_000.0 + 3600 * hour for hour in hours)),
        figures={"nonpaged_used": array("d", used)},
        snapshots=len(hours),
    )
    header = PoolmonMemory(
        where=Where(0),
        physical=None,
        available=None,
        nonpaged_used=Figure(int(used[-1]), Where(0)),
        paged_used=None,
        committed=None,
        commit_limit=None,
        commit_peak=None,
    )
    # The gap at the end is the same in all cases
    tags = table(row("Irp", bytes=int(used[-1] * 0.6), outstanding=500), complete=complete)
    history = tag_history(hours, {"Irp": held}, pool="nonpaged")

    judged = finding(ID, memory, header, tags, history)

    assert judged.verdict is verdict
    says = " | ".join(reason.says for reason in judged.because)
    if verdict is Verdict.SUSPECTED:
        assert "the pages of nonpaged pool grew by" in says
        assert "no tag grows with it" in says
        assert "no page was looked into" in judged.against[-1].says
