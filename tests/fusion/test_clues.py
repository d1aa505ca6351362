from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.fusion.clues import Clues, clues_of, is_old_x86
from poolsleuth.model.facts import Figure, Where
from poolsleuth.model.memory import MemoryCounters, SessionMemory, VmFamily
from poolsleuth.model.system import LockSummary, TargetInfo
from poolsleuth.model.tags import PoolmonMemory, TagTable
from poolsleuth.windows.builds import Era

Vm = Callable[..., MemoryCounters]

MB, GB, TB = 1 << 20, 1 << 30, 1 << 40


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"physical": 4 * GB}, {"physical": 8 * GB}),
        ({"nonpaged_max": 256 * MB}, {"nonpaged_max": 128 * MB}),
        ({"bits": 32}, {"bits": 64}),
        ({"build": 3790}, {"build": 7601}),
        ({"computer": "SRV1"}, {"computer": "SRV2"}),
        ({"live": True}, {"live": False}),
        ({"latest": Era.XP_2003}, {"earliest": Era.VISTA_7}),
        ({"session_max": 16 * MB}, {"session_max": 32 * MB}),
        ({"kernel_base": 0xFFFFF80000000000}, {"kernel_base": 0xFFFFF80100000000}),
    ],
)
def test_two_computers(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert Clues(**one).conflicts(Clues(**other))
    assert Clues(**other).conflicts(Clues(**one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"physical": 8 * GB}),
        ({"physical": 8 * GB}, {"bits": 64}),
        ({"computer": "srv1"}, {"computer": "SRV1"}),
        # Memory was added, a later build installed: the name says that it is the same computer
        (
            {"computer": "SRV1", "physical": 4 * GB, "build": 3790},
            {"computer": "SRV1", "physical": 8 * GB, "build": 7601},
        ),
        ({"earliest": Era.VISTA_7}, {"latest": Era.W81_AND_LATER}),
        ({"earliest": Era.W2K, "latest": Era.XP_2003}, {"earliest": Era.XP_2003}),
    ],
)
def test_perhaps_one_computer(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert not Clues(**one).conflicts(Clues(**other))
    assert not Clues(**other).conflicts(Clues(**one))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"physical": 8 * GB}, {"physical": 8 * GB}, True),
        ({"computer": "SRV1"}, {"computer": "srv1"}, True),
        ({"kernel_base": 1, "bits": 64}, {"kernel_base": 1, "bits": 64}, True),
        # 32-bit kernels all lie at the same few addresses
        ({"kernel_base": 0x804D7000, "bits": 32}, {"kernel_base": 0x804D7000, "bits": 32}, False),
        ({"build": 3790, "bits": 32}, {"build": 3790, "bits": 32}, False),
        ({}, {}, False),
    ],
)
def test_what_confirms(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert Clues(**one).confirms(Clues(**other)) == same


def test_merging_keeps_what_only_one_knows_and_narrows_the_generations() -> None:
    one = Clues(physical=4 * GB, bits=32, earliest=Era.W2K, latest=Era.VISTA_7)

    both = one.merged(Clues(physical=8 * GB, earliest=Era.XP_2003, latest=Era.W8))

    assert both == Clues(physical=8 * GB, bits=32, earliest=Era.XP_2003, latest=Era.VISTA_7)


@pytest.mark.parametrize(
    ("family", "earliest", "latest"),
    [
        (VmFamily.W2K, Era.W2K, Era.W2K),
        (VmFamily.XP_2003, Era.XP_2003, Era.XP_2003),
        (VmFamily.VISTA_7, Era.VISTA_7, Era.VISTA_7),
        (VmFamily.W8_LATER, Era.VISTA_7, Era.W81_AND_LATER),
        (VmFamily.UNKNOWN, None, None),
    ],
)
def test_generations_by_the_layout_of_vm(vm: Vm, family: VmFamily, earliest: Era | None, latest: Era | None) -> None:
    clues = clues_of(vm(family=family))

    assert (clues.earliest, clues.latest) == (earliest, latest)


def test_a_maximum_of_16_tb_is_windows_8_1_or_later(vm: Vm) -> None:
    clues = clues_of(vm(family=VmFamily.W8_LATER, physical=16 * GB, nonpaged_max=16 * TB))

    assert (clues.earliest, clues.latest, clues.bits) == (Era.W81_AND_LATER, Era.W81_AND_LATER, 64)


def test_a_paged_maximum_of_384_gb_is_windows_8(vm: Vm) -> None:
    clues = clues_of(vm(family=VmFamily.W8_LATER, nonpaged_max=4 * GB, paged_max=384 * GB))

    assert (clues.earliest, clues.latest, clues.bits) == (Era.W8, Era.W8, 64)


@pytest.mark.parametrize(
    ("nonpaged_max", "physical", "old"),
    [
        (256 * MB, 4 * GB, True),
        (128 * MB, 2 * GB, True),
        (256 * MB, GB, False),
        (300 * MB, 4 * GB, False),
        (None, 4 * GB, False),
        (256 * MB, None, False),
    ],
)
def test_only_old_32_bit_windows_has_so_little(nonpaged_max: int | None, physical: int | None, old: bool) -> None:
    assert is_old_x86(nonpaged_max, physical) == old


def test_a_dynamic_paged_maximum_tells_nothing_apart(vm: Vm) -> None:
    assert clues_of(vm(family=VmFamily.VISTA_7, paged_max=128 * GB)).paged_max is None
    assert clues_of(vm(family=VmFamily.XP_2003, paged_max=262_144 << 10)).paged_max == 262_144 << 10


def test_a_banner(target: Callable[..., TargetInfo]) -> None:
    clues = clues_of(target(computer="SRV1", build=3790, architecture="x86", kernel_base=0x80800000))

    assert clues == Clues(
        computer="SRV1",
        build=3790,
        kernel_base=0x80800000,
        bits=32,
        earliest=Era.XP_2003,
        latest=Era.XP_2003,
    )


def test_one_tag_of_a_later_windows_may_be_a_drivers_own(tags: Callable[..., TagTable]) -> None:
    assert clues_of(tags("EtwB", "Abcd")).earliest is None
    assert clues_of(tags("EtwB", "ViMm")).earliest is Era.VISTA_7


def test_the_same_tag_twice_is_one_tag(tags: Callable[..., TagTable]) -> None:
    assert clues_of(tags("EtwB", "EtwB")).earliest is None


def test_other_facts() -> None:
    where = Where(0, 1)
    figure = Figure(32 * MB, where)
    poolmon = PoolmonMemory(
        where=where,
        physical=figure,
        available=None,
        nonpaged_used=None,
        paged_used=None,
        committed=None,
        commit_limit=None,
        commit_peak=None,
    )

    assert clues_of(SessionMemory(where=where, paged_limit=figure, view_limit=None, sessions=())) == Clues(
        session_max=32 * MB
    )
    assert clues_of(poolmon) == Clues(physical=32 * MB)
    assert clues_of(LockSummary(where=where, total=1, held=0, live=True, address_bits=64)) == Clues(live=True, bits=64)
