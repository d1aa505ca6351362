"""Samples of a Windows that is not there: both widths, both classes of pool tags, what is refused, what goes round."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from poolsleuth.model.errors import InputError
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.live.query import Status
from poolsleuth.sampling.live.source import LiveSource
from poolsleuth.sampling.sample import Sampler
from poolsleuth.top.tracker import Since, Tracker

if TYPE_CHECKING:
    from sampling.conftest import FakeWindows

NP, PAGED = PoolKind.NONPAGED, PoolKind.PAGED
ROUND = 1 << 32


@pytest.mark.parametrize("wide", [True, False], ids=["x64", "x86"])
@pytest.mark.parametrize("new", [True, False], ids=["class 255", "class 22"])
def test_a_sample_end_to_end(wide: bool, new: bool, fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows(wide=wide, new=new)
    windows.usual_tags()
    windows.tag(b"Gh05", nonpaged=(3, 1, 64), paged=(40, 10, 30 * 512), session=1)
    windows.tag(b"Gh05", paged=(4, 1, 3 * 512), session=2)
    windows.figures = {
        "AvailablePages": 500_000,
        "CommittedPages": 600_000,
        "CommitLimit": 800_000,
        "PeakCommitment": 700_000,
        "PageFaultCount": 123,
        "PagedPoolPages": 50_000,
        "NonPagedPoolPages": 60_000,
        "FreeSystemPtes": 99_000,
        "ResidentSystemCodePage": 100,
        "ResidentSystemDriverPage": 23,
        "ResidentPagedPoolPage": 40_000,
    }
    source = LiveSource(windows)
    sampler: Sampler = source
    sample = sampler.take()
    rows = windows.shown(source, sample)
    assert {key: figures for key, figures in rows.items() if not key.tag.startswith("T0")} == {
        TagKey("Leak", NP): (990 * 64, 990, 1000),
        TagKey("File", NP): (400 * 336, 400, 500),
        TagKey("File", PAGED): (4000, 40, 70),
        TagKey("MmSt", PAGED): (7 * 4096, 7, 9),
        TagKey("Gh05", NP, 1): (64, 2, 3),
        TagKey("Gh05", PAGED, 1): (30 * 512, 30, 40),
        TagKey("Gh05", PAGED, 2): (3 * 512, 3, 4),
    }
    assert len(rows) == 17
    assert dict(sample.memory) == {
        "physical": 2_097_152 * 4096,
        "available": 500_000 * 4096,
        "committed": 600_000 * 4096,
        "commit_limit": 800_000 * 4096,
        "commit_peak": 700_000 * 4096,
        "page_faults": 123,
        "paged_used": 50_000 * 4096,
        "nonpaged_used": 60_000 * 4096,
        "free_system_ptes": 99_000,
        "kernel_resident": 123 * 4096,
        "paged_resident": 40_000 * 4096,
    }
    agent = sample.processes[2]
    assert (agent.pid, agent.name, agent.handles, agent.nonpaged, agent.paged, agent.session) == (
        900,
        "agent.exe",
        150,
        20_000,
        90_000,
        1,
    )
    assert [process.name for process in sample.processes[:2]] == ["Idle", "System"]
    assert (sample.time, sample.booted) == (windows.now, windows.booted)
    assert sample.complete
    assert source.notes == ()
    host = source.host
    assert (host.computer, host.os, host.build, host.utc) == ("SERVER", "Windows Server 2025", 26100, True)
    assert (host.architecture, host.physical_bytes) == ("x64" if wide else "x86", 8 << 30)


def test_class_255_is_asked_alone_once_it_is_believed(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows(new=True)
    windows.usual_tags()
    source = LiveSource(windows)
    source.take()
    assert [number for number, _ in windows.asked] == [0, 3, 255, 22, 67, 2, 5]
    windows.asked.clear()
    source.take()
    assert [number for number, _ in windows.asked] == [3, 255, 67, 2, 5]


def test_class_255_is_asked_once_where_it_is_missing(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.usual_tags()
    source = LiveSource(windows)
    source.take()
    source.take()
    assert [number for number, _ in windows.asked] == [0, 3, 255, 22, 67, 2, 5, 3, 22, 67, 2, 5]
    assert source.notes == ()


def test_class_255_counts_beyond_32_bits(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows(new=True)
    windows.usual_tags()
    windows.tag(b"Busy", nonpaged=(5 * ROUND + 7, 5 * ROUND + 2, 5 * 64))
    source = LiveSource(windows)
    assert windows.shown(source, source.take())[TagKey("Busy", NP)] == (320, 5, 5 * ROUND + 7)


@pytest.mark.parametrize("damage", ["another order", "frees first", "other tags", "no rows", "cut"])
def test_a_class_255_of_another_layout_is_not_believed(damage: str, fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows(new=True)
    windows.usual_tags()
    right = windows.answer(255, 0)
    rows = np.frombuffer(right[8:], "<u8").reshape(-1, 7)
    windows.answers[255] = {
        "another order": right[:8] + rows[:, [0, 4, 5, 6, 1, 2, 3]].tobytes(),
        "frees first": right[:8] + rows[:, [0, 2, 1, 3, 5, 4, 6]].tobytes(),
        "other tags": right[:8] + rows[:, ::-1].tobytes(),
        "no rows": bytes(8),
        "cut": right[:-8],
    }[damage]
    source = LiveSource(windows)
    sample = source.take()
    assert windows.shown(source, sample)[TagKey("Leak", NP)] == (990 * 64, 990, 1000)
    assert sample.complete
    note = "Class 255 does not hold what class 22 does: counts of 32 bits are used, which go round."
    assert source.notes == (note,)
    source.take()
    assert source.notes == (note,)
    assert sum(number == 255 for number, _ in windows.asked) == 1


def test_class_255_alone_is_enough(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows(new=True)
    windows.refuse[22] = Status.INVALID_INFO_CLASS
    windows.usual_tags()
    source = LiveSource(windows)
    assert source.take().complete
    assert source.notes == ()


@pytest.mark.parametrize("status", [Status.INSUFFICIENT_RESOURCES, Status.ACCESS_DENIED])
def test_class_22_stands_in_where_class_255_is_refused(status: Status, fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows(new=True)
    windows.usual_tags()
    source = LiveSource(windows)
    windows.tag(b"Busy", nonpaged=(5 * ROUND + 7, 5 * ROUND + 2, 5 * 64))
    source.take()
    windows.refuse[255] = status
    windows.tag(b"Busy", nonpaged=(5 * ROUND + 9, 5 * ROUND + 3, 6 * 64))
    rows = windows.shown(source, source.take())
    assert rows[TagKey("Leak", NP)] == (990 * 64, 990, 1000)
    assert rows[TagKey("Busy", NP)] == (384, 6, 5 * ROUND + 9)
    assert len(source.notes) == 1
    del windows.refuse[255]
    windows.tag(b"Busy", nonpaged=(6 * ROUND + 1, 6 * ROUND - 6, 7 * 64))
    assert windows.shown(source, source.take())[TagKey("Busy", NP)] == (448, 7, 6 * ROUND + 1)
    assert source.notes == ()


def test_notes_of_the_last_sample_stand_while_another_is_taken(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.usual_tags()
    windows.refuse[5] = Status.NO_MEMORY
    source = LiveSource(windows)
    source.take()
    seen: list[int] = []
    ask = windows.query

    def query(info_class: int, buffer: NDArray[np.uint8]) -> tuple[int, int]:
        seen.append(len(source.notes))
        return ask(info_class, buffer)

    windows.query = query  # type: ignore[method-assign]
    source.take()
    assert set(seen) == {1}


# ---- what is refused -----------------------------------------------------------------------------------------------


def test_without_rights_the_rest_is_sampled(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.usual_tags()
    windows.refuse |= {22: Status.ACCESS_DENIED, 255: Status.ACCESS_DENIED}
    windows.privileged = False
    source = LiveSource(windows)
    sample = source.take()
    assert len(sample.tags) == 0
    assert not sample.complete
    assert sample.memory["available"] == 500_000 * 4096
    assert len(sample.processes) == 3
    for number in (22, 255):
        assert any(f"(class {number}): access is denied (status 0xC0000022), and" in note for note in source.notes)
    assert all("run it in a console started as administrator" in note for note in source.notes)


@pytest.mark.parametrize("refused", [0, 2, 3, 5, 67])
def test_each_class_may_be_missing(refused: int, fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.usual_tags()
    windows.refuse[refused] = Status.NOT_IMPLEMENTED
    source = LiveSource(windows, clock=lambda: 1_700_000_000.0)
    for _ in range(2):
        sample = source.take()
        assert windows.shown(source, sample)[TagKey("Leak", NP)] == (990 * 64, 990, 1000)
        assert sample.complete
        assert sample.time == (1_700_000_000.0 if refused == 3 else windows.now)
        assert (sample.booted is None) == (refused == 3)
        assert ("available" in sample.memory) == (refused != 2)
        assert ("physical" in sample.memory) == (refused != 0)
        assert bool(sample.processes) == (refused != 5)
        assert len(source.notes) == 1
        assert f"(class {refused})" in source.notes[0]


# The size of memory (class 0) alone is no sample
@pytest.mark.parametrize("refused", [(0, 2, 3, 5, 22, 66, 67, 255), (2, 22, 66, 255)])
def test_a_windows_that_gives_nothing_is_refused(refused: tuple[int, ...], fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.refuse = dict.fromkeys(refused, int(Status.ACCESS_DENIED))
    windows.privileged = False
    source = LiveSource(windows)
    with pytest.raises(
        InputError, match=r"class 22\): access is denied .*: run it in a console started as administrator"
    ):
        source.take()
    with pytest.raises(InputError, match=r"class 66\): access is denied"):
        source.big_pool()


def test_a_refusal_that_ends_is_forgotten(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.usual_tags()
    windows.tag(b"Gh05", paged=(4, 1, 3 * 512), session=2)
    source = LiveSource(windows)
    source.take()
    windows.refuse |= {67: Status.INSUFFICIENT_RESOURCES, 5: Status.NO_MEMORY}
    sample = source.take()
    assert not sample.complete  # the session's tags are still there, and not shown
    assert len(source.notes) == 2
    windows.refuse = {}
    sample = source.take()
    assert sample.complete
    assert source.notes == ()
    assert TagKey("Gh05", PAGED, 2) in windows.shown(source, sample)


def test_a_cut_table_is_not_complete(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.usual_tags()
    source = LiveSource(windows)
    windows.answers[22] = windows.answer(22, 0)[:-1]
    sample = source.take()
    assert not sample.complete
    assert source.notes == ("The table of pool tags counts 14 rows; 13 are used: it ends before.",)


# ---- big allocations -----------------------------------------------------------------------------------------------


def test_big_allocations_of_a_tag(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.blocks = [(0xFFFF_8000_0000_1001, 8192, b"Leak"), (0xFFFF_8000_0000_5001, 4096, b"Leak")]
    source = LiveSource(windows)
    big = source.big_pool()
    assert big.of(TagKey("Leak", NP)) == (2, 12_288)
    assert big.of(TagKey("Leak", PAGED)) is None
    assert not windows.debugging  # no privilege is enabled that is not needed
    assert big.note is None


def test_the_large_buffer_of_big_allocations_is_not_kept(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.answers[66] = windows.writer.size_t(100_000) + bytes(24 * 100_000)
    source = LiveSource(windows)
    for _ in range(2):
        windows.asked.clear()
        source.big_pool()
        assert windows.asked[0] == (66, 1 << 20)
        assert windows.asked[1][1] > 2_400_000


@pytest.mark.parametrize("privileged", [True, False])
def test_addresses_that_are_hidden(privileged: bool, fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.privileged, windows.hides_addresses = privileged, True
    windows.blocks = [(0xFFFF_8000_0000_1000, 8192, b"Leak")]
    big = LiveSource(windows).big_pool()
    assert big.of(TagKey("Leak", PAGED)) == (1, 8192)
    assert big.of(TagKey("Leak", NP)) == (None if privileged else (1, 8192))
    assert (big.note is None) == privileged


def test_a_leak_shows_through_the_tracker(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.usual_tags()
    windows.tag(b"Gh05", paged=(4, 1, 3 * 512), session=2)
    source = LiveSource(windows)
    tracker = Tracker(source.index, source.host)
    for _ in range(13):
        tracker.feed(source.take())
        windows.allocate(b"Leak", 100, 6400)
        windows.pass_time(300)
    windows.sessions = {}
    tracker.feed(source.take())
    number = source.index.number(TagKey("Leak", NP))
    assert tracker.change("bytes", Since.START)[number] == 13 * 6400
    assert tracker.change("frees", Since.START)[number] == 0
    assert tracker.rate()[number] == 12 * 6400  # an hour's
    assert tracker.now is not None
    assert not tracker.now.shown[source.index.number(TagKey("Gh05", PAGED, 2))]
