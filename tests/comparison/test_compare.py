"""Two reports in, what changed out: the real case of Thre, and each rule by a pair made for it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.comparison.compare import compare
from poolsleuth.model.comparison import Comparison, FindingStatus, MachinePair, PoolChange, Status, TagChange
from poolsleuth.model.errors import InputError
from poolsleuth.model.report import (
    Pools,
    PoolUse,
    Report,
    ReportFinding,
    ReportMachine,
    ReportSeries,
    ReportSystem,
    ReportTag,
)
from poolsleuth.pipeline import diagnose

ROOT = Path(__file__).parents[2]
TRANSCRIPTS = ROOT.parent / "shared" / "data" / "transcripts"
MB = 1 << 20

Tag = Callable[..., ReportTag]
Machine = Callable[..., ReportMachine]
Finding = Callable[..., ReportFinding]
Make = Callable[..., Report]


def only(comparison: Comparison) -> MachinePair:
    (pair,) = comparison.pairs
    return pair


def tag_of(pair: MachinePair, name: str) -> TagChange:
    return next(tag for tag in pair.tags if tag.tag == name)


def pool_of(pair: MachinePair, name: str, session: int | None = None) -> PoolChange:
    return next(pool for pool in pair.pools if (pool.pool, pool.session) == (name, session))


# ---- the published case: comments of "nonpaged pool" (12.12.08 to 15.12.08) -----------------------------------
# "12.12.08 non-paged 166700, Diff110065 ,Bytes 68680560 and 15.12.08- non-paged 183820 ,Diff 137029,Bytes 85506096"


@pytest.fixture
def thre(tag: Tag, machine: Machine, report: Make) -> Comparison:
    first = machine(tag("Thre", 68_680_560, 110_065), nonpaged=(166_700 << 10, 256 * MB), hours=0, complete=None)
    second = machine(tag("Thre", 85_506_096, 137_029), nonpaged=(183_820 << 10, 256 * MB), hours=72, complete=None)
    return compare(report(first), report(second))


def test_the_published_leak_of_threads_is_notable_and_explains_its_pool(thre: Comparison) -> None:
    pair = only(thre)
    change = tag_of(pair, "Thre")

    assert (change.status, change.bytes.change, change.outstanding.change) == (Status.GREW, 16_825_536, 26_964)
    assert change.bytes_per_hour == pytest.approx(16_825_536 / 72)
    assert change.outstanding_per_hour == pytest.approx(26_964 / 72)
    assert change.share == pytest.approx(16_825_536 / (17_120 << 10))  # 96 % of the pool's 17,120 KB
    assert change.notable
    pool = pool_of(pair, "nonpaged")
    assert pool.notable
    assert [(e.tag, e.bytes) for e in pool.explained_by] == [("Thre", 16_825_536)]
    assert (pool.unexplained_bytes, pool.unexplained_exact) == ((17_120 << 10) - 16_825_536, False)
    assert thre.notable


# ---- real logs -------------------------------------------------------------------------------------------------


def real(number: str) -> Report:
    found = sorted(TRANSCRIPTS.glob(f"{number}_*"))
    if not found:
        pytest.skip(f"transcript {number} is not there")
    return diagnose(found[0])


def test_two_poolmon_screens_of_one_machine() -> None:
    pair = only(compare(real("027"), real("028")))

    # "Pool N: 8332K P:27220K" in the first, "Pool N: 8500K P:33024K" in the second
    assert pool_of(pair, "nonpaged").used.change == (8500 - 8332) << 10
    assert pool_of(pair, "paged").used.change == (33_024 - 27_220) << 10
    assert pair.over_time
    # The screens are sorted by other columns, and each shows what fits: no tag is gone
    assert {tag.status for tag in pair.tags} == {Status.NOT_SHOWN_BEFORE, Status.NOT_SHOWN_AFTER}
    assert tag_of(pair, "NtFB").bytes.after == 252_088
    assert not pair.notable


def test_two_real_servers_are_told_apart_by_their_memory() -> None:
    pair = only(compare(real("006"), real("007")))

    assert not pair.over_time
    assert pool_of(pair, "nonpaged").used.change == 263_966_720 - 155_017_216
    assert pool_of(pair, "nonpaged").bytes_per_hour is None
    assert "two machines (other memory)" in pair.notes[0]
    assert [f.pattern for f in pair.findings if f.notable] == ["nonpaged-pool-depletion"]


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.log")), ids=lambda path: path.stem)
def test_the_same_file_twice_has_not_changed(file: Path) -> None:
    read = diagnose(file)
    comparison = compare(read, read)

    assert len(comparison.pairs) == len(read.machines)
    assert not comparison.notable
    for pair in comparison.pairs:
        assert pair.over_time
        assert {tag.status for tag in pair.tags} <= {Status.SAME, Status.UNKNOWN}
        assert {pool.status for pool in pair.pools} <= {Status.SAME, Status.UNKNOWN}
        assert {finding.status for finding in pair.findings} <= {FindingStatus.SAME}


# ---- tags ------------------------------------------------------------------------------------------------------


def test_grown_shrunk_appeared_and_gone(tag: Tag, machine: Machine, report: Make) -> None:
    first = machine(tag("Grow", 10 * MB, 10), tag("Less", 9 * MB, 9), tag("Gone", 8 * MB, 8), tag("Same", 7, 7))
    second = machine(tag("Grow", 50 * MB, 50), tag("Less", 4 * MB, 4), tag("Newt", 20 * MB, 20), tag("Same", 7, 7))
    pair = only(compare(report(first), report(second)))

    assert [(t.tag, t.status.value, t.bytes.change) for t in pair.tags] == [
        ("Grow", "grew", 40 * MB),
        ("Newt", "appeared", 20 * MB),
        ("Gone", "gone", -8 * MB),
        ("Less", "shrank", -5 * MB),
        ("Same", "same", 0),
    ]
    assert [t.tag for t in pair.tags if t.notable] == ["Grow", "Newt"]


@pytest.mark.parametrize("complete", [False, None])
def test_a_tag_that_a_cut_table_does_not_show_is_neither_gone_nor_new(
    tag: Tag, machine: Machine, report: Make, complete: bool | None
) -> None:
    first = machine(tag("Both", 5, 5), tag("Old", 500 * MB, 9), complete=complete)
    second = machine(tag("Both", 6, 6), tag("New", 600 * MB, 9), complete=complete)
    pair = only(compare(report(first), report(second)))

    assert tag_of(pair, "Old").status is Status.NOT_SHOWN_AFTER
    assert tag_of(pair, "New").status is Status.NOT_SHOWN_BEFORE
    assert tag_of(pair, "Old").bytes.change is None
    assert tag_of(pair, "New").bytes.before is None
    assert not pair.notable
    assert any("Not known to be complete" in note for note in pair.notes)


def test_one_complete_table_proves_what_the_other_cannot(tag: Tag, machine: Machine, report: Make) -> None:
    first = machine(tag("Old", 30 * MB, 9), complete=True)
    second = machine(tag("New", 40 * MB, 9), complete=False)
    pair = only(compare(report(first), report(second)))

    assert tag_of(pair, "New").status is Status.APPEARED
    assert tag_of(pair, "New").notable
    assert tag_of(pair, "Old").status is Status.NOT_SHOWN_AFTER


def test_a_row_of_nothing_counts_as_nothing(tag: Tag, machine: Machine, report: Make) -> None:
    first = machine(tag("Abc", 0, 0), tag("Xyz", 100, 1), complete=False)
    second = machine(tag("Abc", 100, 1), tag("Xyz", 0, 0), complete=False)
    pair = only(compare(report(first), report(second)))

    assert tag_of(pair, "Abc").status is Status.APPEARED
    assert tag_of(pair, "Xyz").status is Status.GONE


def test_unknown_bytes_stay_unknown_and_blocks_tell(tag: Tag, machine: Machine, report: Make) -> None:
    first = machine(tag("Even", None, 100_000), tag("None", None, None))
    second = machine(tag("Even", None, 431_906), tag("None", None, None))
    pair = only(compare(report(first), report(second)))

    even = tag_of(pair, "Even")
    assert (even.status, even.bytes.change, even.outstanding.change) == (Status.GREW, None, 331_906)
    assert even.notable
    assert tag_of(pair, "None").status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("before", "after", "limit", "notable"),
    [
        (80 * MB, 96 * MB, None, True),  # 16 MB and a fifth: the thresholds themselves
        (80 * MB, 96 * MB - 1, None, False),
        (81 * MB, 97 * MB, None, False),  # 16 MB, but less than a fifth
        (0, 16 * MB, None, True),
        (100 * MB, 105 * MB, 100 * MB, True),  # a twentieth of the limit
        (100 * MB, 105 * MB - 1, 100 * MB, False),
        (1 * MB, 2 * MB - 1, 4 * MB, False),  # below 1 MB no part of a limit counts
        (105 * MB, 5 * MB, 100 * MB, False),  # it shrank
    ],
)
def test_where_growth_of_a_tag_becomes_notable(
    tag: Tag, machine: Machine, report: Make, before: int, after: int, limit: int | None, notable: bool
) -> None:
    first = machine(tag("Tag1", before, 1), nonpaged=(None, limit))
    second = machine(tag("Tag1", after, 1), nonpaged=(None, limit))

    assert only(compare(report(first), report(second))).notable is notable


@pytest.mark.parametrize(
    ("before", "after", "notable"),
    [(160 * MB, 176 * MB, True), (160 * MB, 176 * MB - 1, False), (170 * MB, 186 * MB, False), (90 * MB, 10, False)],
)
def test_where_growth_of_a_pool_becomes_notable(
    machine: Machine, report: Make, before: int, after: int, notable: bool
) -> None:
    first, second = machine(paged=(before, None)), machine(paged=(after, None))

    assert only(compare(report(first), report(second))).notable is notable


def test_more_blocks_in_fewer_bytes_are_no_growth(tag: Tag, machine: Machine, report: Make) -> None:
    first, second = machine(tag("MmSt", 200 * MB, 65_000)), machine(tag("MmSt", 140 * MB, 85_000))

    assert not only(compare(report(first), report(second))).notable


# ---- what explains it ------------------------------------------------------------------------------------------


def test_what_no_tag_explains_is_exact_where_all_tags_are_known(tag: Tag, machine: Machine, report: Make) -> None:
    first = machine(tag("MmSt", 100 * MB, pool="paged"), tag("Ntff", 50 * MB, pool="paged"), paged=(200 * MB, None))
    second = machine(tag("MmSt", 800 * MB, pool="paged"), tag("Ntff", 45 * MB, pool="paged"), paged=(951 * MB, None))
    pool = pool_of(only(compare(report(first), report(second))), "paged")

    # "MmSt +700 MB explains 93 % of the paged pool's growth of 751 MB"; what shrank explains nothing of it
    assert [(e.tag, e.bytes, round(e.share, 2)) for e in pool.explained_by] == [("MmSt", 700 * MB, 0.93)]
    assert (pool.unexplained_bytes, pool.unexplained_exact) == (56 * MB, True)


def test_a_printed_total_tells_what_tags_account_for(tag: Tag, machine: Machine, report: Make) -> None:
    first = machine(tag("Abc", 10 * MB), nonpaged=(100 * MB, None), tagged=90 * MB, complete=False)
    second = machine(tag("Abc", 30 * MB), nonpaged=(150 * MB, None), tagged=120 * MB, complete=False)
    pool = pool_of(only(compare(report(first), report(second))), "nonpaged")

    assert (pool.unexplained_bytes, pool.unexplained_exact) == (50 * MB - 30 * MB, True)


def test_the_tags_total_stands_in_for_an_unknown_usage(tag: Tag, machine: Machine, report: Make) -> None:
    first, second = machine(tag("Abc", 10 * MB), tagged=90 * MB), machine(tag("Abc", 50 * MB), tagged=140 * MB)
    pool = pool_of(only(compare(report(first), report(second))), "nonpaged")

    assert (pool.basis, pool.amount.change, pool.status) == ("tagged", 50 * MB, Status.GREW)
    assert pool.explained_by[0].share == pytest.approx(0.8)
    assert (pool.unexplained_bytes, pool.unexplained_exact) == (10 * MB, True)


def test_the_share_of_a_small_change_is_not_given(tag: Tag, machine: Machine, report: Make) -> None:
    first = machine(tag("Abc", 10 * MB), nonpaged=(100 * MB, None))
    second = machine(tag("Abc", 11 * MB), nonpaged=(101 * MB - 1, None))

    assert tag_of(only(compare(report(first), report(second))), "Abc").share is None


# ---- sessions --------------------------------------------------------------------------------------------------


def test_sessions_grow_end_and_begin(tag: Tag, machine: Machine, report: Make) -> None:
    rows = [tag("Gh05", size * MB, size, pool="session", session=9) for size in (2, 12)]
    first = machine(rows[0], sessions=[(0, 5 * MB), (9, 10 * MB)])
    second = machine(rows[1], sessions=[(9, 30 * MB), (11, 6 * MB)])
    pair = only(compare(report(first), report(second)))

    assert [(p.session, p.status.value, p.used.change) for p in pair.pools if p.pool == "session"] == [
        (9, "grew", 20 * MB),
        (11, "appeared", 6 * MB),
        (0, "gone", -5 * MB),
    ]
    assert pool_of(pair, "session", 9).notable
    assert tag_of(pair, "Gh05").share == pytest.approx(0.5)


def test_a_session_tag_is_never_gone(tag: Tag, machine: Machine, report: Make) -> None:
    first = machine(tag("Gh05", 9, 9, pool="session", session=9), tag("Abc", 1, 1))
    second = machine(tag("Abc", 1, 1))

    assert tag_of(only(compare(report(first), report(second))), "Gh05").status is Status.NOT_SHOWN_AFTER


# ---- findings --------------------------------------------------------------------------------------------------


def test_findings_are_new_worse_gone_or_not_judged(finding: Finding, machine: Machine, report: Make) -> None:
    first = machine(
        findings=[
            finding("generic-tag", "ruled-out"),
            finding("pool-leak", "suspected", tag="Abc"),
            finding("pool-leak", "suspected", tag="Gone", driver="x.sys"),
            finding("handle-leak", "not-assessed"),
            finding("lock-contention", "found"),
            finding("commit-exhaustion", "found", "critical"),
        ]
    )
    second = machine(
        findings=[
            finding("generic-tag", "found", "warning"),
            finding("pool-leak", "found", tag="Abc", driver="named-now.sys"),
            finding("handle-leak", "found"),
            finding("lock-contention", "not-assessed"),
            finding("commit-exhaustion", "found", "warning"),
        ]
    )
    pair = only(compare(report(first), report(second)))

    assert {(f.pattern, f.subject.tag, f.status.value) for f in pair.findings} == {
        ("generic-tag", None, "new"),
        ("pool-leak", "Abc", "worse"),
        ("pool-leak", "Gone", "gone"),
        ("handle-leak", None, "only-after"),
        ("lock-contention", None, "only-before"),
        ("commit-exhaustion", None, "milder"),
    }
    assert {f.pattern for f in pair.findings if f.notable} == {"generic-tag", "pool-leak"}
    assert pair.notable


def test_new_information_is_not_notable(finding: Finding, machine: Machine, report: Make) -> None:
    first = machine(findings=[finding("verifier-active", "ruled-out")])
    second = machine(findings=[finding("verifier-active", "found", "info")])

    assert not only(compare(report(first), report(second))).notable


# ---- time ------------------------------------------------------------------------------------------------------


def test_a_restart_is_seen_by_the_uptime(tag: Tag, machine: Machine, report: Make) -> None:
    first = machine(tag("Abc", 5 * MB, 5, allocs=900), hours=0, uptime=900_000)
    second = machine(tag("Abc", 6 * MB, 6, allocs=1_900), hours=48, uptime=3_600)
    pair = only(compare(report(first), report(second)))

    assert pair.span.rebooted is True
    assert tag_of(pair, "Abc").allocations is None
    assert any("restarted" in note for note in pair.notes)


def test_an_uptime_that_fell_is_a_restart_however_long_it_is(machine: Machine, report: Make) -> None:
    """It covers the time between the captures: two machines, or a clock that was set, but never one boot."""
    first = machine(paged=(5, None), hours=0, uptime=750_000)
    second = machine(paged=(5, None), hours=48, uptime=650_000)
    span = only(compare(report(first), report(second))).span
    assert (span.rebooted, span.reboot_basis) == (True, "the uptime is lower than before")


def test_without_a_restart_allocations_are_counted(tag: Tag, machine: Machine, report: Make) -> None:
    first = machine(tag("Abc", 5 * MB, 5, allocs=900), hours=0, uptime=900_000)
    second = machine(tag("Abc", 6 * MB, 6, allocs=1_900), hours=48, uptime=900_000 + 48 * 3600 - 200)
    pair = only(compare(report(first), report(second)))

    assert pair.span.rebooted is False
    assert tag_of(pair, "Abc").allocations == 1_000


def test_a_clock_that_was_set_is_no_restart(machine: Machine, report: Make) -> None:
    def rebooted(short: float) -> bool | None:
        first = machine(paged=(5, None), hours=0, uptime=10)
        second = machine(paged=(5, None), hours=48, uptime=48 * 3600 - short)
        return only(compare(report(first), report(second))).span.rebooted

    assert rebooted(300) is False
    assert rebooted(301) is True


def test_allocations_of_two_machines_are_not_subtracted(tag: Tag, machine: Machine, report: Make) -> None:
    first, second = machine(tag("Abc", 5, 5, allocs=100), ram=1), machine(tag("Abc", 5, 5, allocs=300), ram=2)

    assert tag_of(only(compare(report(first), report(second))), "Abc").allocations is None


def test_a_count_that_passed_32_bits_is_counted_on(tag: Tag, machine: Machine, report: Make) -> None:
    top = (1 << 32) - 100
    first = machine(tag("Abc", 5, 5, allocs=top), tag("Two", 5, 5, allocs=10), hours=0, uptime=900_000)
    second = machine(tag("Abc", 5, 5, allocs=50), tag("Two", 5, 5, allocs=20), hours=1, uptime=903_600)
    pair = only(compare(report(first), report(second)))

    assert tag_of(pair, "Abc").allocations == 150
    assert tag_of(pair, "Two").allocations == 10


def test_without_an_uptime_one_lower_count_is_unknown_and_many_are_a_restart(
    tag: Tag, machine: Machine, report: Make
) -> None:
    def side(*counts: int) -> Report:
        return report(machine(*(tag(f"T{i}", 5, 5, allocs=n) for i, n in enumerate(counts))))

    one = only(compare(side(100, 100, 100), side(50, 150, 150)))
    assert one.span.rebooted is None
    assert [tag_of(one, f"T{i}").allocations for i in range(3)] == [None, 50, 50]

    many = only(compare(side(100, 100, 100), side(50, 50, 50)))
    assert many.span.rebooted is True
    assert "3 of 3 tags" in (many.span.reboot_basis or "")


def test_captures_in_the_wrong_order_have_no_rates(tag: Tag, machine: Machine, report: Make) -> None:
    pair = only(compare(report(machine(tag("A", 1), hours=10)), report(machine(tag("A", 90 * MB), hours=0))))

    assert tag_of(pair, "A").bytes_per_hour is None
    assert any("AFTER was captured before BEFORE" in note for note in pair.notes)


def test_a_report_and_its_log_are_of_the_same_moment(machine: Machine, report: Make) -> None:
    first = machine(paged=(5, None), hours=0)
    cut = replace(first, system=replace(first.system, captured_at=datetime(2008, 12, 12, 8, 59, 59, 340_000, UTC)))
    pair = only(compare(report(first), report(cut)))

    assert pair.span.seconds == 0
    assert pair.notes == ("Both captures are of the same moment.",)


def test_two_captures_of_one_moment_have_no_restart_between_them(tag: Tag, machine: Machine, report: Make) -> None:
    first = machine(*(tag(f"T{i}", 5, 5, allocs=100) for i in range(3)), hours=7)
    second = machine(*(tag(f"T{i}", 5, 5, allocs=50) for i in range(3)), hours=7)
    pair = only(compare(report(first), report(second)))

    assert pair.span.rebooted is None
    (note,) = pair.notes
    assert "the same moment, which cannot be: 3 of 3 tags" in note
    assert "restarted" not in note


@pytest.mark.parametrize(
    ("used", "says"),
    [
        (100 * MB, "nonpaged pool in BEFORE (the tags shown add up to all of it)"),
        (100 * MB + 512 * 1024, "(the tags shown add up to all of it but 512.0 KB)"),
        (102 * MB, "nonpaged pool in BEFORE. A tag"),
        (40 * MB, "nonpaged pool in BEFORE. A tag"),  # of another time: they say nothing about the table
    ],
)
def test_tags_that_add_up_to_their_pool_leave_little_out(
    tag: Tag, machine: Machine, report: Make, used: int, says: str
) -> None:
    first = machine(tag("Old", 100 * MB, 9), nonpaged=(used, None), complete=False)
    second = machine(tag("Old", 100 * MB, 9), tag("New", 84 * MB, 9), nonpaged=(184 * MB, None), complete=False)
    pair = only(compare(report(first), report(second)))

    assert any(says in note for note in pair.notes)
    assert tag_of(pair, "New").status is Status.NOT_SHOWN_BEFORE


def test_series_stand_in_for_captures(machine: Machine, report: Make) -> None:
    def side(last: float | None, hour: int) -> Report:
        start = datetime(2024, 5, 1, hour, tzinfo=UTC)
        pool = ReportSeries(
            name="paged pool",
            kind="pool",
            unit="bytes",
            pool="paged",
            start=start,
            seconds=(0.0, 1800.0, 3600.0),
            values=(1.0, last, None),
            samples=3,
        )
        handles = replace(
            pool, kind="process", unit="count", pool=None, path=rf"\\HOST{hour}\Process(agent)\Handle Count"
        )
        return report(machine(series=[pool, handles]))

    pair = only(compare(side(100.0 * MB, 1), side(300.0 * MB, 11)))

    pool = pool_of(pair, "paged")
    assert (pool.used.change, pool.notable) == (200 * MB, True)
    assert pool.bytes_per_hour == pytest.approx(20 * MB)
    (counter,) = pair.counters
    assert (counter.name, counter.before, counter.after) == (
        r"\Process(agent)\Handle Count",
        100.0 * MB,
        300.0 * MB,
    )


# ---- pairing ---------------------------------------------------------------------------------------------------


def pairs(comparison: Comparison) -> list[tuple[int, int, bool]]:
    return [(p.before.number, p.after.number, p.over_time) for p in comparison.pairs]


def test_machines_are_paired_by_name_then_by_memory(machine: Machine, report: Make) -> None:
    before = report(machine(name="SRV-A"), machine(ram=4 << 30, architecture="x86"), machine(name="SRV-C"))
    after = report(machine(ram=4 << 30), machine(name="srv-a", ram=8 << 30), machine(name="OTHER"))
    comparison = compare(before, after)

    assert pairs(comparison) == [(1, 2, True), (2, 1, True)]
    assert [m.name for m in comparison.before.unpaired] == ["SRV-C"]
    assert [m.name for m in comparison.after.unpaired] == ["OTHER"]


def test_twins_are_not_guessed(machine: Machine, report: Make) -> None:
    twins = [machine(ram=4 << 30), machine(ram=4 << 30)]

    assert pairs(compare(report(*twins), report(*twins))) == []


def test_the_last_machine_left_is_paired_when_nothing_speaks_against_it(machine: Machine, report: Make) -> None:
    before = report(machine(name="A"), machine(ram=1))

    assert pairs(compare(before, report(machine(name="A"), machine(build=3790)))) == [(1, 1, True), (2, 2, True)]
    assert pairs(compare(before, report(machine(name="A"), machine(ram=2)))) == [(1, 1, True)]


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ({"name": "GOOD"}, {"name": "BAD"}, "another name"),
        ({"ram": 1}, {"ram": 2}, "other memory"),
        ({"architecture": "x86"}, {"architecture": "x64"}, "another architecture"),
        ({"build": 3790}, {"build": 17763}, "another Windows build"),
    ],
)
def test_one_machine_on_each_side_is_compared_whatever_it_is(
    machine: Machine, report: Make, first: dict[str, object], second: dict[str, object], told: str
) -> None:
    pair = only(compare(report(machine(hours=0, **first)), report(machine(hours=2, **second))))

    assert not pair.over_time
    assert f"two machines ({told})" in pair.notes[0]
    assert (pair.span.seconds, pair.span.hours) == (None, None)


def test_an_equal_name_is_one_machine_even_with_more_memory(machine: Machine, report: Make) -> None:
    pair = only(compare(report(machine(name="VM", ram=1)), report(machine(name="VM", ram=2))))

    assert pair.over_time
    assert [(s.what, s.before, s.after) for s in pair.system] == [("physical_bytes", 1, 2)]


def test_machines_can_be_paired_by_hand(machine: Machine, report: Make) -> None:
    before, after = report(machine(name="A"), machine(name="B")), report(machine(name="A"), machine(name="C"))

    assert pairs(compare(before, after, wanted=[("b", "2")])) == [(2, 2, False)]
    with pytest.raises(InputError, match=r"AFTER has no machine 'X': it has 1 \(A\), 2 \(C\)"):
        compare(before, after, wanted=[("A", "X")])
    with pytest.raises(InputError, match="twice"):
        compare(before, after, wanted=[("A", "A"), ("1", "C")])


def test_nothing_in_common_is_not_comparable(tag: Tag, machine: Machine, report: Make) -> None:
    comparison = compare(report(machine(tag("A", 1, 1), complete=None)), report(machine(paged=(5, 6))))

    assert not comparison.comparable
    assert not comparison.notable


# ---- the mirror ------------------------------------------------------------------------------------------------

sizes = st.one_of(st.none(), st.integers(0, 1 << 40), st.just(10**400))
rows = st.builds(
    ReportTag,
    tag=st.sampled_from(["Abc", "MmSt", "Thre", "", "\x1b[31m"]),
    pool=st.sampled_from(["nonpaged", "paged", "session", "?"]),
    session=st.sampled_from([None, 9]),
    allocs=sizes,
    frees=st.none(),
    outstanding=sizes,
    bytes=sizes,
)
uses = st.builds(
    PoolUse,
    used_bytes=sizes,
    limit_bytes=sizes,
    tagged_bytes=sizes,
    tags_complete=st.sampled_from([True, False, None]),
)
machines = st.builds(
    ReportMachine,
    name=st.sampled_from([None, "A", "B"]),
    inputs=st.just(()),
    system=st.builds(
        ReportSystem,
        physical_bytes=st.sampled_from([None, 1, 2]),
        captured_at=st.one_of(st.none(), st.datetimes(timezones=st.just(UTC))),
        uptime_seconds=st.one_of(st.none(), st.floats(0, 1e308)),
    ),
    pools=st.builds(Pools, nonpaged=uses, paged=uses),
    tags=st.lists(rows, max_size=8, unique_by=lambda t: (t.tag, t.pool, t.session)).map(tuple),
    conclusion=st.none(),
    findings=st.just(()),
)
reports = st.builds(
    Report,
    tool_version=st.just("1"),
    inputs=st.just(()),
    machines=st.lists(machines, max_size=3).map(tuple),
    problems=st.just(()),
)

_MIRROR = {
    Status.GREW: Status.SHRANK,
    Status.SHRANK: Status.GREW,
    Status.APPEARED: Status.GONE,
    Status.GONE: Status.APPEARED,
    Status.NOT_SHOWN_BEFORE: Status.NOT_SHOWN_AFTER,
    Status.NOT_SHOWN_AFTER: Status.NOT_SHOWN_BEFORE,
}


@given(reports, reports)
def test_the_mirror_has_the_same_changes_with_the_other_sign(before: Report, after: Report) -> None:
    there, back = compare(before, after), compare(after, before)

    assert {(p.before, p.after) for p in there.pairs} == {(p.after, p.before) for p in back.pairs}
    partners = {(p.after, p.before): p for p in back.pairs}
    for pair in there.pairs:
        mirrored = partners[pair.before, pair.after]
        assert pair.over_time == mirrored.over_time
        tags = {(t.tag, t.pool, t.session): t for t in mirrored.tags}
        assert len(tags) == len(pair.tags)
        for tag in pair.tags:
            other = tags[tag.tag, tag.pool, tag.session]
            assert (tag.bytes.before, tag.bytes.after) == (other.bytes.after, other.bytes.before)
            assert tag.bytes.change is None or tag.bytes.change == -(other.bytes.change or 0)
            assert tag.outstanding.change is None or tag.outstanding.change == -(other.outstanding.change or 0)
            assert _MIRROR.get(tag.status, tag.status) is other.status
            assert tag.share == other.share
        for pool, other_pool in zip(pair.pools, mirrored.pools, strict=True):
            assert pool.amount.change is None or pool.amount.change == -(other_pool.amount.change or 0)
            assert {e.tag for e in pool.explained_by} == {e.tag for e in other_pool.explained_by}


@given(reports)
def test_a_report_beside_itself_has_not_changed(read: Report) -> None:
    comparison = compare(read, read)

    assert not comparison.notable
    for pair in comparison.pairs:
        if pair.before.number == pair.after.number:
            assert {t.status for t in pair.tags} <= {
                Status.SAME,
                Status.UNKNOWN,
                Status.NOT_SHOWN_BEFORE,
                Status.NOT_SHOWN_AFTER,
            }
