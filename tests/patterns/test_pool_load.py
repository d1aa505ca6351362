from collections.abc import Callable

from poolsleuth.model.finding import Finding, Verdict
from poolsleuth.model.memory import MemoryCounters

Judge = Callable[..., Finding]

MB = 1 << 20


def test_one_capture_is_never_load(finding: Judge, vm: Callable[..., MemoryCounters]) -> None:
    judged = finding("pool-load", vm(nonpaged_used=99 * MB, nonpaged_max=100 * MB))

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "`poolsleuth collect`" in judged.next_steps[0]


def test_without_figures_the_command_is_named(finding: Judge) -> None:
    judged = finding("pool-load")

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "`poolsleuth collect`" in judged.next_steps[0]
