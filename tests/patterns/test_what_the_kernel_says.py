"""Bug checks in which the kernel itself names what is wrong, and whom it means."""

from collections.abc import Callable

import pytest

from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Finding, Verdict
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.system import BugCheck
from poolsleuth.windows.builds import Era

Judge = Callable[..., Finding]
MB = 1 << 20


def check(code: int, *parameters: int, image: str | None = None) -> BugCheck:
    return BugCheck(where=Where(0, 5), code=code, parameters=parameters, image=image)


def test_excessive_ptes_name_their_driver(finding: Judge) -> None:
    judged = finding("system-pte-depletion", bugcheck=check(0xD8, image="piggy.sys"))

    assert (judged.verdict, judged.subject.driver) == (Verdict.FOUND, "piggy.sys")
    assert "piggy.sys" in judged.next_steps[0]


def test_no_more_ptes_name_nobody(finding: Judge) -> None:
    judged = finding("system-pte-depletion", bugcheck=check(0x3F, image="piggy.sys"))

    assert (judged.verdict, judged.subject.driver) == (Verdict.FOUND, None)


@pytest.mark.parametrize("code", [0x4D, 0xEB])
def test_no_pages_left_is_exhaustion(finding: Judge, code: int) -> None:
    judged = finding("commit-exhaustion", bugcheck=check(code))

    assert judged.verdict is Verdict.FOUND
    assert judged.because


def test_misuse_is_told_from_damage(finding: Judge) -> None:
    freed_twice = finding("pool-corruption", bugcheck=check(0xC2, 7))
    damaged = finding("pool-corruption", bugcheck=check(0x19, 0x20))

    assert "a driver misused the pool" in freed_twice.headline
    assert "earlier free" in freed_twice.against[0].says
    assert "the pool is corrupt" in damaged.headline
    assert "neighbour" in damaged.against[0].says


def test_a_session_that_left_pool_behind(finding: Judge) -> None:
    judged = finding("pool-leak", bugcheck=check(0xAB, 3, 2 * MB, 0, 12))

    assert (judged.verdict, judged.subject.session) == (Verdict.FOUND, 3)
    assert "2.0 MB of paged" in judged.headline


@pytest.mark.parametrize(("era", "verdict"), [(Era.XP_2003, Verdict.SUSPECTED), (Era.VISTA_7, Verdict.NOT_ASSESSED)])
def test_only_old_windows_has_a_small_fixed_session_pool(
    finding: Judge, vm: Callable[..., MemoryCounters], era: Era, verdict: Verdict
) -> None:
    counters = vm(nonpaged_used=20 * MB, nonpaged_max=250 * MB, paged_used=20 * MB, paged_max=250 * MB, pool_failures=7)

    assert finding("session-pool-depletion", counters, era=int(era), architecture="x86").verdict is verdict
