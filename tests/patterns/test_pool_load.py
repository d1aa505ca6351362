from array import array
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Finding, Verdict
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.series import CounterPath, CounterSeries

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


START = 1_772_409_600.0  # 2026-03-02 00:00 UTC


def series(path: CounterPath, values: NDArray[np.float64]) -> CounterSeries:
    times = START + np.arange(len(values)) * 600.0
    drawn = array("d", values.tolist())
    return CounterSeries(where=Where(0), path=path, times=array("d", times.tolist()), values=drawn, samples=len(drawn))


@pytest.mark.parametrize("busy", [True, False])
def test_a_pool_that_grew_and_stays_is_load_only_where_the_work_did(
    findings: Callable[..., tuple[Finding, ...]], busy: bool
) -> None:
    hours = np.arange(0.0, 96.0, 1 / 6)
    noise = np.random.default_rng(1)
    work = np.minimum(1.0, hours / 36) + noise.normal(0, 0.01, len(hours))
    pool = series(CounterPath("SRV", "Memory", None, "Pool Paged Bytes"), 300 * MB + 200 * MB * work)
    other = work if busy else 0.5 + noise.normal(0, 0.01, len(hours))
    load = series(CounterPath("SRV", "Server", None, "Bytes Total/sec"), 1e6 * other)

    found = findings("pool-load", pool, load)

    assert [f.verdict is Verdict.FOUND for f in found] == [busy]
    if busy:
        assert "stays where the work is" in found[0].headline
        assert any("Bytes Total/sec" in reason.says for reason in found[0].because)
