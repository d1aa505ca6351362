from collections.abc import Callable

import pytest

from poolsleuth.model.facts import Figure, Where
from poolsleuth.model.machine import Machine
from poolsleuth.model.memory import MemoryCounters, SessionMemory
from poolsleuth.model.tags import Completeness, PoolKind, PoolmonMemory, TagRow, TagTable
from poolsleuth.patterns.views import PoolState, pool_states, session_states, tag_view, tag_view_of
from poolsleuth.windows.builds import Era

Vm = Callable[..., MemoryCounters]
Make = Callable[..., Machine]
Row = Callable[..., TagRow]
Table = Callable[..., TagTable]

KB, MB, GB, TB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
NONPAGED, PAGED = PoolKind.NONPAGED, PoolKind.PAGED
SERVER_2003 = {"era": int(Era.XP_2003), "architecture": "x86", "physical_bytes": 4 * GB}


def poolmon(nonpaged: int | None, paged: int | None) -> PoolmonMemory:
    where = Where(0, 1)
    return PoolmonMemory(
        where=where,
        physical=Figure(GB, where),
        available=None,
        nonpaged_used=Figure(nonpaged, where) if nonpaged is not None else None,
        paged_used=Figure(paged, where) if paged is not None else None,
        committed=None,
        commit_limit=Figure(2 * GB, where),
        commit_peak=None,
    )


def test_no_figures_no_states(machine: Make) -> None:
    assert pool_states(machine()) is None
    assert pool_states(machine(poolmon(None, None))) is None


def test_the_printed_maximum_is_the_limit_of_old_windows(machine: Make, vm: Vm) -> None:
    states = pool_states(machine(vm(nonpaged_used=99 * MB, nonpaged_max=124 * MB), **SERVER_2003))

    assert states is not None
    assert (states.nonpaged.limit, states.nonpaged.limit_is_memory) == (124 * MB, False)
    assert states.nonpaged.share == 99 / 124
    assert states.of(NONPAGED) is states.nonpaged
    assert states.of(PAGED) is states.paged
    assert states.paged.share is None
    assert not states.paged.tight
    assert not states.paged.has_room


def test_memory_is_the_limit_since_windows_8_1(machine: Make, vm: Vm) -> None:
    counters = vm(
        physical=16 * GB, nonpaged_used=GB, nonpaged_max=16 * TB, paged_used=GB, paged_max=16 * TB, commit_limit=20 * GB
    )

    states = pool_states(machine(counters, era=int(Era.W81_AND_LATER), architecture="x64", physical_bytes=16 * GB))

    assert states is not None
    assert (states.nonpaged.limit, states.paged.limit) == (16 * GB, 20 * GB)
    assert states.nonpaged.limit_is_memory
    assert states.paged.limit_is_memory
    assert states.nonpaged.printed_max is not None
    assert states.nonpaged.thresholds < (0.8, 0.9)


def test_the_no_execute_part_is_added(machine: Make, vm: Vm) -> None:
    states = pool_states(machine(vm(nonpaged_used=MB, nonpaged_nx_used=3 * MB)))

    assert states is not None
    assert states.nonpaged.used is not None
    assert states.nonpaged.used.value == 4 * MB
    assert states.paged.nx_used is None


def test_a_poolmon_header_stands_in_for_vm(machine: Make) -> None:
    states = pool_states(machine(poolmon(14 * MB, 18 * MB)))

    assert states is not None
    assert states.nonpaged.used == Figure(14 * MB, Where(0, 1))
    assert (states.nonpaged.limit, states.nonpaged.limit_source) == (None, None)


@pytest.mark.parametrize(
    ("nonpaged", "paged", "owner"), [(95, 10, NONPAGED), (10, 95, PAGED), (95, 95, None), (10, 10, None)]
)
def test_failures_belong_to_the_only_tight_pool(
    machine: Make, vm: Vm, nonpaged: int, paged: int, owner: PoolKind | None
) -> None:
    counters = vm(
        nonpaged_used=nonpaged * MB,
        nonpaged_max=100 * MB,
        paged_used=paged * MB,
        paged_max=100 * MB,
        pool_failures=5,
    )

    states = pool_states(machine(counters, **SERVER_2003))

    assert states is not None
    assert states.failures is not None
    assert [s.kind for s in (states.nonpaged, states.paged) if s.failures is not None] == ([owner] if owner else [])


def test_failures_belong_to_a_session_that_counts_its_own(
    machine: Make, vm: Vm, sessions: Callable[..., SessionMemory]
) -> None:
    counters = vm(nonpaged_used=95 * MB, nonpaged_max=100 * MB, paged_used=10 * MB, paged_max=100 * MB, pool_failures=5)

    states = pool_states(machine(counters, sessions(32 * MB, (9, 32 * MB, 7837)), **SERVER_2003))

    assert states is not None
    assert states.nonpaged.failures is None


def test_an_impossible_figure_is_kept_by_pool(machine: Make, vm: Vm) -> None:
    wrong = Figure(1 << 50, Where(0, 9))

    states = pool_states(machine(vm(impossible=(("NonPagedPool Usage", wrong),))))

    assert states is not None
    assert (states.nonpaged.impossible, states.paged.impossible) == (wrong, None)


def test_a_share_needs_a_limit_above_zero() -> None:
    used = Figure(MB, Where(0, 1))

    assert PoolState(kind=NONPAGED, used=used, limit=0).share is None
    assert PoolState(kind=NONPAGED, used=used).share is None


def test_sessions_of_two_tables(machine: Make, sessions: Callable[..., SessionMemory]) -> None:
    both = session_states(machine(sessions(32 * MB, (1, MB, None), (2, MB, None)), sessions(None, (2, 9 * MB, 4))))

    assert both is not None
    assert both.limit is not None
    assert both.limit.value == 32 * MB
    assert {s.id: s.used.value for s in both.sessions if s.used} == {1: MB, 2: 9 * MB}
    assert session_states(machine()) is None


def test_the_later_row_counts(row: Row, table: Table) -> None:
    view = tag_view_of([table(row("Abcd", bytes=1), row("Irp", bytes=7)), table(row("Abcd", bytes=2))])

    assert view is not None
    assert {r.tag: r.bytes for r in view.rows} == {"Abcd": 2, "Irp": 7}


def test_rows_are_kept_apart_by_pool(row: Row, table: Table) -> None:
    view = tag_view_of([table(row("Abcd", bytes=1), row("Abcd", pool="paged", bytes=2))])

    assert view is not None
    assert [r.bytes for r in view.pool(NONPAGED)] == [1]
    found = view.row("Abcd", PAGED)
    assert found is not None
    assert found.bytes == 2
    assert view.row("abcd", PAGED) is None


def test_rows_of_a_session_are_no_rows_of_the_system(row: Row, table: Table) -> None:
    view = tag_view_of([table(row("Gh05", pool="paged", bytes=9), session=3, complete=True)])

    assert view is not None
    assert view.rows == ()
    assert view.session_of["Gh05", PAGED, 3].bytes == 9
    assert view.completeness == {}


def test_unknown_bytes_go_by_their_blocks(row: Row, table: Table) -> None:
    view = tag_view_of([table(row("A", outstanding=5), row("B", outstanding=9), row("C", bytes=1))])

    assert view is not None
    assert [r.tag for r in view.pool(NONPAGED)] == ["C", "B", "A"]


def test_tagged_bytes_come_from_the_total_even_of_a_cut_table(row: Row, table: Table) -> None:
    view = tag_view_of([table(row("A", bytes=5), total={NONPAGED: row("TOTAL", bytes=100, line=99)})])

    assert view is not None
    assert view.tagged_bytes(NONPAGED) == (100, Where(0, 99))
    assert view.tagged_bytes(PAGED) is None


def test_tagged_bytes_are_summed_of_a_complete_table_only(row: Row, table: Table) -> None:
    rows = (row("A", bytes=5), row("B", bytes=6))
    complete, cut = tag_view_of([table(*rows, complete=True)]), tag_view_of([table(*rows)])

    assert complete is not None
    assert cut is not None
    assert complete.tagged_bytes(NONPAGED) == (11, Where(0, 80))
    assert cut.tagged_bytes(NONPAGED) is None


def test_a_row_without_bytes_leaves_the_sum_unknown(row: Row, table: Table) -> None:
    view = tag_view_of([table(row("A", bytes=5), row("B", outstanding=6), complete=True)])

    assert view is not None
    assert view.tagged_bytes(NONPAGED) is None


def test_one_complete_table_is_enough(row: Row, table: Table) -> None:
    view = tag_view_of([table(row("A", bytes=5), complete=True), table(row("A", bytes=6))])

    assert view is not None
    assert view.completeness[NONPAGED] is Completeness.COMPLETE


def test_what_a_table_is_sorted_by_is_kept(row: Row, table: Table) -> None:
    view = tag_view_of([table(row("A", bytes=5), sorted_by="paged")])

    assert view is not None
    assert view.sorted_pools == {PAGED}


def test_no_table_no_view(machine: Make) -> None:
    assert tag_view(machine()) is None


def test_an_earlier_peak_is_kept(machine: Make, vm: Vm) -> None:
    sick = vm(line=1, nonpaged_used=123 * MB, nonpaged_max=124 * MB, paged_used=MB, paged_max=100 * MB, pool_failures=9)
    well = vm(line=50, nonpaged_used=24 * MB, nonpaged_max=124 * MB, paged_used=MB, paged_max=100 * MB)
    cut = vm(line=90, physical=4 * GB)

    for facts in ((sick, well), (sick, well, cut)):
        states = pool_states(machine(*facts, **SERVER_2003))
        assert states is not None
        assert states.nonpaged.used is not None
        assert states.nonpaged.used.value == 24 * MB
        peak = states.nonpaged.peak
        assert peak is not None
        assert peak.failures is not None
        assert (peak.share, peak.failures.value) == (123 / 124, 9)
        assert states.paged.peak is None


def test_a_pool_that_is_tight_now_needs_no_peak(machine: Make, vm: Vm) -> None:
    states = pool_states(
        machine(
            vm(line=1, nonpaged_used=123 * MB, nonpaged_max=124 * MB),
            vm(line=9, nonpaged_used=120 * MB, nonpaged_max=124 * MB),
            **SERVER_2003,
        )
    )

    assert states is not None
    assert states.nonpaged.peak is None


def test_a_large_share_of_memory_has_not_failed_for_certain(machine: Make, vm: Vm) -> None:
    def failures(share: float) -> Figure | None:
        counters = vm(
            physical=64 * GB,
            nonpaged_used=int(share * 64 * GB),
            nonpaged_max=16 * TB,
            paged_used=GB,
            paged_max=16 * TB,
            commit_limit=80 * GB,
            pool_failures=1,
        )
        states = pool_states(machine(counters, era=int(Era.W81_AND_LATER), architecture="x64", physical_bytes=64 * GB))
        assert states is not None
        return states.nonpaged.failures

    assert failures(0.26) is None
    assert failures(0.60) is not None


def test_usage_is_compared_with_the_table_beside_it(machine: Make, vm: Vm, row: Row, table: Table) -> None:
    first = vm(line=1, nonpaged_used=60 * MB, nonpaged_max=124 * MB)
    total = row("TOTAL", bytes=58 * MB, outstanding=9)
    tags = table(row("Abcd", bytes=58 * MB, outstanding=9), total={NONPAGED: total})
    later = vm(line=50, nonpaged_used=100 * MB, nonpaged_max=124 * MB)

    view = tag_view(machine(first, tags, later))

    assert view is not None
    beside = view.used_beside[NONPAGED]
    assert beside is not None
    assert beside.value == 60 * MB
