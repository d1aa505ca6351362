"""The machine while it runs: what drivers take, what they get, and what memory looks like then."""

import pytest

from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.course.state import State
from poolsleuth.lab.draft import Size, finish, make_draft
from poolsleuth.lab.machine import PAGE
from poolsleuth.lab.usual_figures import Pool

SIZE = Size(ram_bytes=256 << 20, processors=2, tags=100, big_allocations=20, processes=10)


def state(windows: str) -> State:
    draft = make_draft(windows_named(windows), "healthy", lambda _draft: None, seed=1, size=SIZE)
    draft.count_blocks()
    return State(finish(draft), draft.pools, draft.heaps)


@pytest.mark.parametrize(
    ("windows", "asked", "charged"),
    [
        ("3790-x86", 1, 16),
        ("3790-x86", 1000, 1008),
        ("3790-x86", 1001, 1016),
        ("3790-x86", 4096, 4096),
        ("19041-x64", 1, 32),
        ("19041-x64", 1000, 1024),
        ("19041-x64", 7000, 7000),
    ],
)
def test_tags_count_blocks_with_their_header_and_whole_pages_without(windows: str, asked: int, charged: int) -> None:
    assert state(windows).charge(asked) == charged


def test_what_is_allocated_is_in_every_figure() -> None:
    machine = state("3790-x86")
    before = machine.machine()
    assert machine.allocate("Test", "nonpaged", 1000, 1000) == 1000
    machine.free("Test", "nonpaged", 400, 1000)
    machine.turn_over("Test", "nonpaged", 7)
    machine.settle()
    after = machine.machine()
    use = after.tags[-1].nonpaged
    assert (after.tags[-1].tag, use.allocs, use.frees, use.bytes) == ("Test", 1007, 407, 600 * 1008)
    grown = (after.memory.nonpaged_used or 0) - (before.memory.nonpaged_used or 0)
    assert grown * PAGE == pytest.approx(600 * 1008, rel=0.1)
    assert (after.memory.committed or 0) - (before.memory.committed or 0) == grown
    assert sum(one.pages + one.big_pages for one in after.descriptors if not one.paged) == after.memory.nonpaged_used
    assert before.tags[0] is after.tags[0]


@pytest.mark.parametrize("pool", ["nonpaged", "paged"])
@pytest.mark.parametrize("windows", ["3790-x86", "19041-x64"])
def test_a_full_pool_gives_nothing_and_counts_it(windows: str, pool: str) -> None:
    machine = state(windows)
    kind: Pool = "paged" if pool == "paged" else "nonpaged"
    given = machine.allocate("Hog ", kind, 1 << 40, 1000)
    assert 0 < given < 1 << 22
    machine.settle()
    assert machine.allocate("Hog ", kind, 9, 1000, priority=2) <= 4  # what is left of the last page
    machine.settle()
    memory = machine.machine().memory
    assert memory.pool_failures is not None
    assert memory.pool_failures >= (1 << 40) - given
    assert memory.failures_by_pool is not None
    assert memory.failures_by_pool[kind == "paged"][2] >= 4
    assert (memory.committed or 0) <= (memory.commit_limit or 0)
    reason = machine.ceiling(kind)[1]
    assert set(memory.failure_reasons or {}) == {reason}
    machine.free("Hog ", kind, given, 1000)
    machine.settle()
    assert machine.allocate("Hog ", kind, 5, 1000) == 5


def test_whole_pages_are_told_apart_by_tag_and_size() -> None:
    machine = state("19041-x64")
    machine.allocate("Test", "nonpaged", 3, 8000)
    machine.allocate("Test", "paged", 2, 8000)
    machine.free("Test", "nonpaged", 1, 8000)
    rows = machine.last().big_pages.rows
    mine = rows[rows["tag"] == b"Test"]
    assert sorted(zip(mine["pool_type"].tolist(), mine["bytes"].tolist(), strict=True)) == [
        (1, 8000),
        (1, 8000),
        (0x200, 8000),
        (0x200, 8000),
    ]
