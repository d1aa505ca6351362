"""The truth of each story, before anything is written."""

from dataclasses import replace

import pytest

from poolsleuth.lab.catalogue import CATALOGUE, windows_named
from poolsleuth.lab.machine import IN_USE, PAGE, Hidden, SimulatedWindows
from poolsleuth.lab.stories import STORIES, Size, make_machine, small_size, usual_size
from poolsleuth.model.errors import InputError

X64 = windows_named("19041-x64")
TOLD = [name for name in STORIES if name != "huge"]


@pytest.mark.parametrize("windows", CATALOGUE, ids=lambda windows: windows.name)
@pytest.mark.parametrize("story", TOLD)
def test_figures_can_be_true(windows: SimulatedWindows, story: str) -> None:
    machine = make_machine(windows, story)
    memory = machine.memory
    assert memory.nonpaged_used is not None
    assert memory.nonpaged_max is not None
    assert memory.paged_used is not None
    assert memory.paged_max is not None
    assert memory.committed is not None
    assert memory.commit_limit is not None
    assert memory.nonpaged_used <= min(memory.nonpaged_max, memory.physical)
    assert memory.paged_used <= memory.paged_max
    assert memory.nonpaged_used + memory.paged_used <= memory.committed <= memory.commit_limit
    for paged in (False, True):
        uses = [use.paged if paged else use.nonpaged for use in machine.tags]
        used = memory.paged_used if paged else memory.nonpaged_used
        assert sum(use.bytes for use in uses) < used * PAGE
        assert all(use.outstanding >= 0 and (use.outstanding > 0) == (use.bytes > 0) for use in uses)
        mine = [descriptor for descriptor in machine.descriptors if descriptor.paged == paged]
        assert sum(descriptor.pages + descriptor.big_pages for descriptor in mine) == used
    assert len({use.tag for use in machine.tags}) == len(machine.tags)
    assert machine.booted_at < machine.crashed_at


def test_big_allocations_belong_to_their_tags() -> None:
    machine = make_machine(X64, "healthy", seed=4)
    rows = machine.big_pages.rows
    live = rows[rows["state"] == IN_USE]
    by_tag = {use.tag: use for use in machine.tags}
    for tag in {value.decode("latin-1").ljust(4) for value in live["tag"].tolist()}:
        mine = live[live["tag"] == tag.encode("latin-1")]
        use = by_tag[tag].paged if mine["pool_type"][0] & 1 else by_tag[tag].nonpaged
        assert use.outstanding >= len(mine)
        assert use.bytes >= int(mine["bytes"].sum())


def test_leak_fills_nonpaged_pool_and_names_its_driver() -> None:
    machine = make_machine(X64, "leak")
    (use,) = [use for use in machine.tags if use.tag == "Leak"]
    assert use.nonpaged.bytes == max(other.nonpaged.bytes for other in machine.tags)
    assert use.nonpaged.bytes > machine.physical_bytes // 3
    assert not use.expansion
    assert "leaky.sys" in {module.name for module in machine.modules}
    assert machine.memory.pool_failures


def test_session_that_is_full() -> None:
    first, second = make_machine(X64, "session-full").sessions
    assert second.used_pages * PAGE > 0.99 * second.limit_bytes
    assert first.used_pages * PAGE < 0.1 * first.limit_bytes
    assert sum(second.failures) == 212


def test_commit_limit_is_reached() -> None:
    memory = make_machine(X64, "pool-failures").memory
    assert memory.commit_limit is not None
    assert memory.committed == memory.commit_limit - 3
    assert memory.failure_reasons is not None
    assert memory.failure_reasons["PagedNoCommit"] == 4400


def test_counters_of_32_bits_went_round() -> None:
    assert any(use.nonpaged.allocs >> 32 for use in make_machine(X64).tags)


def test_huge_is_huge() -> None:
    machine = make_machine(windows_named("22000-x64"), "huge")
    assert (machine.physical_bytes, machine.processors, len(machine.tags)) == (64 << 30, 64, 20_000)
    assert 900_000 < machine.big_pages.in_use < 1_100_000
    with pytest.raises(InputError, match="64-bit"):
        usual_size(windows_named("2600-x86"), "huge")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ram_bytes": 4096}, "64 MB to 2,048 GB"),
        ({"ram_bytes": (64 << 20) + 1}, "whole pages"),
        ({"processors": 0}, "1 to 256 processors"),
        ({"tags": 3}, "16 to 100,000 tags"),
        ({"tags": 20_000, "processors": 64}, "more than half of the memory"),
        ({"tags": 100_000, "processors": 256, "ram_bytes": 2048 << 30}, "than 1 GB"),
    ],
)
def test_machines_that_cannot_be(change: dict[str, int], says: str) -> None:
    size: Size = replace(small_size(), **change)
    with pytest.raises(InputError, match=says):
        make_machine(X64, size=size)


def test_other_refusals() -> None:
    with pytest.raises(InputError, match="no story 'war'"):
        make_machine(X64, "war")
    with pytest.raises(InputError, match=r"no Windows called '3\.11'"):
        windows_named("3.11")
    with pytest.raises(InputError, match="more than 1"):
        make_machine(X64, size=small_size(), hidden=Hidden(transition=0.7, paged_out=0.7))
    with pytest.raises(InputError, match="64 MB to 3 GB"):
        make_machine(windows_named("2600-x86"), size=replace(small_size(), ram_bytes=4 << 30))
