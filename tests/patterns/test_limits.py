"""The limit of a pool of which no maximum was printed: the rule of its Windows, and what an upper bound proves."""

from collections.abc import Callable

import pytest

from poolsleuth.model.finding import Finding, Verdict
from poolsleuth.model.machine import System
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.tags import PoolKind
from poolsleuth.patterns.limits import judged_limit
from poolsleuth.windows.builds import Era

MB = 1 << 20
GB = 1 << 30
Vm = Callable[..., MemoryCounters]


def system(era: Era | None, architecture: str | None, ram: int | None = None, three_gb: bool | None = None) -> System:
    return System(
        era=None if era is None else int(era), architecture=architecture, physical_bytes=ram, three_gb=three_gb
    )


@pytest.mark.parametrize(
    ("era", "architecture", "ram", "three_gb", "limit", "at_most"),
    [
        # Server 2003 x86 with more than 1.2 GB: 256 MB, half of it with /3GB
        (Era.XP_2003, "x86", 4 * GB, False, 256 * MB, False),
        (Era.XP_2003, "x86", 4 * GB, True, 128 * MB, False),
        (Era.XP_2003, "x86", 4 * GB, None, 256 * MB, True),
        # 64-bit Vista to 7: 75 % of memory
        (Era.VISTA_7, "x64", 8 * GB, None, 6 * GB, False),
        # 8.1 and later: memory itself
        (Era.W81_AND_LATER, "x64", 16 * GB, None, 16 * GB, False),
        (Era.W81_AND_LATER, "x64", None, None, None, False),
        (None, "x64", 8 * GB, None, None, False),
        (Era.XP_2003, None, 8 * GB, None, None, False),
    ],
)
def test_nonpaged_without_a_printed_maximum(
    vm: Vm,
    era: Era | None,
    architecture: str | None,
    ram: int | None,
    three_gb: bool | None,
    limit: int | None,
    at_most: bool,
) -> None:
    found = judged_limit(PoolKind.NONPAGED, vm(nonpaged_used=MB), system(era, architecture, ram, three_gb))

    assert (found[0], found[2]) == (limit, at_most)


def test_a_printed_maximum_is_better_than_any_rule(vm: Vm) -> None:
    counters = vm(nonpaged_used=MB, nonpaged_max=100 * MB)

    assert judged_limit(PoolKind.NONPAGED, counters, system(Era.XP_2003, "x86", 4 * GB, False))[0] == 100 * MB


def test_an_upper_bound_shows_a_full_pool_but_no_room(finding: Callable[..., Finding], vm: Vm) -> None:
    known = {"era": int(Era.XP_2003), "architecture": "x86", "physical_bytes": 4 * GB}

    full = finding("nonpaged-pool-depletion", vm(nonpaged_used=250 * MB, paged_used=MB), **known)
    half = finding("nonpaged-pool-depletion", vm(nonpaged_used=120 * MB, paged_used=MB), **known)

    assert full.verdict is Verdict.FOUND
    assert half.verdict is Verdict.NOT_ASSESSED, "with /3GB 128 MB are all there is"


def test_a_pool_above_the_rule_shows_that_the_rule_is_not_its_own(vm: Vm) -> None:
    # 436 MB of nonpaged pool cannot be on 32-bit Server 2003, whose maximum is 256 MB
    limit, why, _ = judged_limit(
        PoolKind.NONPAGED, vm(nonpaged_used=436 * MB), system(Era.XP_2003, "x86", 4 * GB, False)
    )

    assert limit is None
    assert "another" in why


@pytest.mark.parametrize(
    ("source", "words"), [("!vm", "the maximum that !vm prints"), ("dump", "the maximum that the kernel keeps")]
)
def test_nobody_printed_the_maximum_of_a_dump(vm: Vm, source: str, words: str) -> None:
    counters = vm(nonpaged_used=MB, nonpaged_max=100 * MB, source=source)

    assert judged_limit(PoolKind.NONPAGED, counters, system(Era.XP_2003, "x86", 4 * GB))[1] == words


@pytest.mark.parametrize("maximum", [100 * MB, 32 * GB, 16 << 40])
@pytest.mark.parametrize("kind", [PoolKind.NONPAGED, PoolKind.PAGED])
@pytest.mark.parametrize("era", list(Era))
def test_no_sentence_of_a_dump_speaks_of_printing(vm: Vm, era: Era, kind: PoolKind, maximum: int) -> None:
    counters = vm(nonpaged_used=MB, nonpaged_max=maximum, paged_used=MB, paged_max=maximum, source="dump")
    for ram in (16 * GB, None):
        assert "print" not in judged_limit(kind, counters, system(era, "x64", ram))[1]
