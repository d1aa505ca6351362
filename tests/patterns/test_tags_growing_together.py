from collections.abc import Callable

import numpy as np
import pytest

from poolsleuth.model.block_pointers import BlockPointers, PointerSign, PointsTo
from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.series import CounterSeries, TagHistory
from poolsleuth.model.tags import PoolKind, TagDescription, TagRow, TagTable
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


def test_two_of_the_largest_tags_may_agree_by_chance(
    finding: Judge, full: MemoryCounters, row: Row, table: Table
) -> None:
    """No count lies around them, for large counts are few and far between."""
    pair = (row("Aaaa", outstanding=163_264), row("Bbbb", outstanding=163_649))
    larger = [row(f"{n:04}", outstanding=300_000 * (n + 1)) for n in range(12)]
    assert finding(ID, full, table(*pair), **SERVER_2003).verdict is Verdict.SUSPECTED
    assert finding(ID, full, table(*pair, *larger), **SERVER_2003).verdict is Verdict.NOT_ASSESSED


@pytest.mark.parametrize(("others", "verdict"), [(32, Verdict.SUSPECTED), (33, Verdict.NOT_ASSESSED)])
def test_edge_of_what_chance_explains(
    finding: Judge, full: MemoryCounters, row: Row, table: Table, others: int, verdict: Verdict
) -> None:
    """Two tags of 50,000: within a factor of 1.25 lie counts of 40,000 to 62,500.

    With n larger tags, all of them there, (n + 1) * (n + 1) / 22,500 pairs as close are to be expected: 0.0484 of 32,
    0.0514 of 33.
    """
    assert TWINS_BY_CHANCE.value == 0.05
    crowd = [row(f"{n:04}", outstanding=50_300 + 350 * n) for n in range(others)]
    tags = table(row("Aaaa", outstanding=50_000), row("Bbbb", outstanding=50_000), *crowd)

    assert finding(ID, full, tags, **SERVER_2003).verdict is verdict


def test_without_tags_the_command_is_named(finding: Judge, full: MemoryCounters) -> None:
    assert "`!poolused 2`" in finding(ID, full).next_steps[0]


# ---- who keeps the objects -------------------------------------------------------------------------------------

HOURS = [hour / 2 for hour in range(97)]
OPENED = np.cumsum(np.random.default_rng(7).integers(500, 1500, len(HOURS)))  # uneven, as work is
WATCHED = ("System", "smss", "csrss", "winlogon", "services", "lsass", "svchost", "spoolsv", "explorer")


@pytest.fixture
def files(tag_history: Callable[..., TagHistory]) -> Callable[..., TagHistory]:
    """``files("AcmC", each=1.0)``: File objects that grow, and a tag with so many blocks for each of them."""

    def build(tag: str, each: float = 1.0) -> TagHistory:
        blocks = {"File": 2000.0 + OPENED, tag: np.round(2000.0 + each * OPENED)}
        return tag_history(
            HOURS, {name: 168 * count for name, count in blocks.items()}, pool="nonpaged", outstanding=blocks
        )

    return build


@pytest.fixture
def handles(counter: Callable[..., CounterSeries]) -> Callable[..., list[CounterSeries]]:
    """The handle counts of nine processes, of which the named one opens one for each file."""

    def build(opens: str | None) -> list[CounterSeries]:
        rest = 800 + np.random.default_rng(3).normal(0, 3, len(HOURS))
        return [
            counter(rf"\Process({name})\Handle Count", HOURS, (rest + (OPENED if name == opens else 0)).tolist())
            for name in WATCHED
        ]

    return build


@pytest.fixture
def last(table: Table, row: Row) -> Callable[[str], TagTable]:
    count = 2000 + int(OPENED[-1])
    return lambda tag: table(*(row(name, bytes=168 * count, outstanding=count) for name in ("File", tag)))


def test_a_stranger_with_one_block_for_each_object_may_be_what_keeps_them(
    finding: Judge, files: Callable[..., TagHistory], last: Callable[[str], TagTable]
) -> None:
    found = finding(ID, files("AcmC"), last("AcmC"))

    assert (found.verdict, found.confidence, found.subject.tag) == (Verdict.FOUND, Confidence.MEDIUM, "File")
    assert found.subject.driver is None
    assert "either they are kept and AcmC only hangs on them, or the driver of AcmC keeps" in found.headline
    assert "causes it" not in found.headline
    assert not any("is the cause" in reason.says for reason in found.because)
    assert "the driver of AcmC is the likelier one" in found.against[0].says
    assert "whois AcmC" in found.next_steps[-1]


def test_of_two_strangers_none_is_chosen(finding: Judge, tag_history: Callable[..., TagHistory], table: Table) -> None:
    blocks = dict.fromkeys(("File", "AcmC", "ZwCx"), 2000.0 + OPENED)
    history = tag_history(
        HOURS, {tag: 168 * count for tag, count in blocks.items()}, pool="nonpaged", outstanding=blocks
    )

    found = finding(ID, history, table())

    assert "the driver of AcmC or ZwCx keeps references" in found.headline
    assert found.next_steps[-1].startswith("find who allocates AcmC or ZwCx")


def test_where_no_handles_grow_the_stranger_is_the_likelier_keeper(
    finding: Judge,
    files: Callable[..., TagHistory],
    last: Callable[[str], TagTable],
    handles: Callable[..., list[CounterSeries]],
) -> None:
    found = finding(ID, files("AcmC"), last("AcmC"), *handles(None))

    assert found.confidence is Confidence.MEDIUM
    assert "the driver of AcmC probably keeps references" in found.headline
    assert any("no process's handles grow with them" in reason.says for reason in found.because)
    assert "not proven" in found.against[0].says


def test_three_processes_are_not_the_machine(
    finding: Judge,
    files: Callable[..., TagHistory],
    last: Callable[[str], TagTable],
    handles: Callable[..., list[CounterSeries]],
) -> None:
    assert "either they are kept" in finding(ID, files("AcmC"), last("AcmC"), *handles(None)[:3]).headline


def test_where_a_process_opens_handles_at_that_pace_the_objects_are_the_cause(
    finding: Judge,
    files: Callable[..., TagHistory],
    last: Callable[[str], TagTable],
    handles: Callable[..., list[CounterSeries]],
) -> None:
    found = finding(ID, files("AcmC"), last("AcmC"), *handles("spoolsv"))

    assert found.confidence is Confidence.HIGH
    assert "in step with File, which causes it" in found.headline
    assert any("a process opens handles at that pace" in reason.says for reason in found.because)


def test_a_part_of_windows_keeps_nobody(
    finding: Judge, files: Callable[..., TagHistory], last: Callable[[str], TagTable]
) -> None:
    listed = TagDescription("NtFf", "ntfs.sys", "file context")

    found = finding(ID, files("NtFf"), last("NtFf"), descriptions=[listed])

    assert "in step with File, which causes it" in found.headline


def test_two_blocks_for_each_object_are_no_reference_of_each(
    finding: Judge, files: Callable[..., TagHistory], last: Callable[[str], TagTable]
) -> None:
    assert "which causes it" in finding(ID, files("AcmC", 2.0), last("AcmC")).headline


def test_who_holds_the_objects_in_a_dump_is_the_likelier_keeper(
    finding: Judge, files: Callable[..., TagHistory], last: Callable[[str], TagTable]
) -> None:
    sign = PointerSign(offset=8, to=PointsTo.TAG, name="File", blocks=95)
    held = BlockPointers(
        where=Where(0),
        tag="AcmC",
        pool=PoolKind.NONPAGED,
        seen=100,
        sampled=100,
        read=100,
        signs=(sign,),
        holders=(),
        objects=(),
        linked=0,
        searched_pages=10,
        all_pages=10,
    )

    found = finding(ID, files("AcmC"), last("AcmC"), held)

    assert "the driver of AcmC probably keeps references" in found.headline
    assert any("AcmC is what keeps File" in reason.says for reason in found.because)
