"""What every line does, judged once."""

from collections.abc import Callable, Sequence
from math import nan

import pytest

from poolsleuth.model.facts import Fact
from poolsleuth.model.machine import Machine
from poolsleuth.model.series import CounterSeries, TagHistory, TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.patterns import courses as module
from poolsleuth.patterns.course.course import Kind
from poolsleuth.patterns.courses import Courses, courses_of

NONPAGED = r"\Memory\Pool Nonpaged Bytes"
HOURS = range(96)
MB = 1 << 20
Counter = Callable[..., CounterSeries]
History = Callable[..., TagHistory]
Build = Callable[..., Machine]


def rising(base: float, per_hour: float, hours: Sequence[int] = HOURS) -> list[float]:
    return [base + per_hour * h for h in hours]


@pytest.fixture
def judged(machine: Build) -> Callable[..., Courses]:
    def build(*facts: Fact) -> Courses:
        found = courses_of(machine(*facts))
        assert found is not None
        return found

    return build


def test_nothing_at_two_times_is_no_courses(machine: Build, tag_history: History) -> None:
    assert courses_of(machine()) is None
    assert courses_of(machine(tag_history([0], {"MmSt": [1]}))) is None


def test_pools_tags_processes_and_objects(
    judged: Callable[..., Courses], counter: Counter, tag_history: History
) -> None:
    courses = judged(
        counter(NONPAGED, HOURS, rising(2e8, 4 * MB)),
        counter(r"\Memory\Pool Paged Bytes", HOURS, [3e8] * 96),
        counter(r"\Process(lsass)\Handle Count", HOURS, rising(1000, 500)),
        counter(r"\Process(lsass)\Pool Nonpaged Bytes", HOURS, [4096] * 96),
        counter(r"\Objects\Threads", HOURS, rising(1000, 100)),
        tag_history(HOURS, {"MmSt": rising(1e7, 2 * MB), "Flat": [5e6] * 96, "Bigr": rising(1e7, 3 * MB)}),
    )

    assert {kind: course.kind for kind, course in courses.pools.items()} == {
        PoolKind.NONPAGED: Kind.LEAK,
        PoolKind.PAGED: Kind.STEADY,
    }
    assert {(p.process.name, p.what): p.course.grows for p in courses.processes} == {
        ("lsass", "handles"): True,
        ("lsass", "nonpaged"): False,
    }
    assert [course.grows for _, course in courses.objects] == [True]
    assert [t.key.tag for t in courses.growing_tags()] == ["Bigr", "MmSt"]  # the largest growth first
    assert courses.growing_tags(PoolKind.NONPAGED) == []
    assert courses.judged
    assert courses.tags is courses.tags  # judged once


def test_a_tag_without_bytes_is_judged_by_its_blocks(judged: Callable[..., Courses], tag_history: History) -> None:
    courses = judged(
        tag_history(HOURS, {"Thre": [nan] * 96, "Both": rising(1e7, MB)}, outstanding={"Thre": rising(5000, 900)})
    )
    thre, both = (courses.tags[TagKey(tag, PoolKind.PAGED)] for tag in ("Thre", "Both"))
    assert thre.shown is thre.line.outstanding
    assert thre.course.grows
    assert both.shown is both.line.bytes
    assert courses.blocks(thre).grows
    assert courses.blocks(both).kind is Kind.TOO_SHORT


def test_a_tag_in_one_table_only_is_not_judged(judged: Callable[..., Courses], tag_history: History) -> None:
    courses = judged(tag_history([0, 1], {"MmSt": [1, 2]}), tag_history([2], {"Once": [1]}, input=1))
    assert [key.tag for key in courses.tags] == ["MmSt"]
    assert not courses.judged


def test_small_movements_are_no_growth(judged: Callable[..., Courses], counter: Counter) -> None:
    courses = judged(
        counter(NONPAGED, HOURS, rising(2e8, 9000)),  # 0.4 % in four days
        counter(r"\Process(lsass)\Handle Count", HOURS, rising(1000, 4)),  # 380 handles
    )
    assert not courses.pools[PoolKind.NONPAGED].grows
    assert not any(p.course.grows for p in courses.processes)


def test_a_reboot_cuts_every_line(judged: Callable[..., Courses], counter: Counter) -> None:
    """Each boot is steady at its own level: across the reboot nothing is compared."""
    level = [1e8] * 48 + [9e8] * 48
    up = [3600.0 * h for h in (*range(500, 548), *range(48))]
    cut = judged(counter(NONPAGED, HOURS, level), counter(r"\System\System Up Time", HOURS, up))
    assert (cut.pools[PoolKind.NONPAGED].kind, cut.pools[PoolKind.NONPAGED].resets) == (Kind.STEADY, 1)

    whole = judged(counter(NONPAGED, HOURS, level))
    assert whole.pools[PoolKind.NONPAGED].kind is Kind.JUMP


def test_a_process_that_was_started_anew_is_another(judged: Callable[..., Courses], counter: Counter) -> None:
    handles = counter(r"\Process(app)\Handle Count", HOURS, [2000.0] * 48 + [9000.0] * 48)
    ids = [100.0] * 48 + [200.0] * 48
    (app,) = judged(handles, counter(r"\Process(app)\ID Process", HOURS, ids)).processes
    assert (app.course.kind, app.course.resets) == (Kind.STEADY, 1)
    (app,) = judged(handles, counter(r"\Process(app)\ID Process", HOURS, [nan, *ids[1:95], nan])).processes
    assert app.course.resets == 1
    (app,) = judged(handles).processes
    assert app.course.resets == 0


def test_restarts_are_bounded(
    judged: Callable[..., Courses], counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_RESTARTS", 3)
    (app,) = judged(
        counter(r"\Process(app)\Handle Count", HOURS, [2000.0] * 96),
        counter(r"\Process(app)\ID Process", HOURS, [float(h) for h in HOURS]),
    ).processes
    assert app.course.resets <= 3


def test_loads_that_move_with_a_line(judged: Callable[..., Courses], counter: Counter) -> None:
    wave = [10.0 + (h * 7 % 24) for h in HOURS]
    courses = judged(
        counter(NONPAGED, HOURS, [2e8 + 1e6 * w for w in wave]),
        counter(r"\Server\Bytes Total/sec", HOURS, wave),
        counter(r"\System\Processes", HOURS, wave, utc=False, input=1),
    )
    relations = courses.relations(courses.lines.pools[PoolKind.NONPAGED])
    assert [line.path and line.path.counter for line, _ in relations] == ["Bytes Total/sec"]  # local times not compared


def test_two_samples_are_too_short(judged: Callable[..., Courses], counter: Counter) -> None:
    courses = judged(counter(NONPAGED, [0, 72], [1e8, 9e8]))
    assert courses.pools[PoolKind.NONPAGED].kind is Kind.TOO_SHORT
    assert not courses.judged
