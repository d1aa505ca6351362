"""Single captures out of a counter log: at the peaks of the pools and at the end."""

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from math import inf, nan

from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.evidence.counters.capture import captures
from poolsleuth.model.facts import Fact, Where
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.series import CounterPath, CounterSeries
from poolsleuth.model.system import TargetInfo

HERE = Where(2)
START = 1_700_000_000.0  # 2023-11-14T22:13:20Z


def series(
    counter: str,
    values: Sequence[float],
    *,
    object_: str = "Memory",
    instance: str | None = None,
    host: str | None = "SRV",
    step: float = 60.0,
    late: float = 0.0,
    utc: bool = True,
) -> CounterSeries:
    return CounterSeries(
        where=HERE,
        path=CounterPath(host, object_, instance, counter),
        times=array("d", (START + late + i * step for i in range(len(values)))),
        values=array("d", values),
        samples=len(values),
        utc=utc,
    )


def at(minutes: float) -> datetime:
    return datetime.fromtimestamp(START + 60 * minutes, UTC)


def memory(facts: Sequence[Fact]) -> list[MemoryCounters]:
    return [f for f in facts if isinstance(f, MemoryCounters)]


def test_the_peaks_and_the_end() -> None:
    facts = captures(
        [
            series("Pool Nonpaged Bytes", [10, 50, 20, 30]),
            series("Pool Paged Bytes", [400, 300, 500, 100]),
            series("Committed Bytes", [1, 2, 3, 4]),
        ],
        HERE,
    )

    said = [
        (m.at, m.nonpaged_used and m.nonpaged_used.value, m.paged_used and m.paged_used.value, m.committed)
        for m in memory(facts)
    ]
    assert [row[:3] for row in said] == [(at(1), 50, 300), (at(2), 20, 500), (at(3), 30, 100)]
    assert [row[3] and row[3].value for row in said] == [2, 3, 4]
    assert {m.source for m in memory(facts)} == {"performance counters"}
    (target,) = [f for f in facts if isinstance(f, TargetInfo)]
    assert (target.computer, target.captured_at, target.uptime_seconds) == ("SRV", at(3), None)


def test_a_peak_at_the_end_is_one_capture() -> None:
    assert [m.at for m in memory(captures([series("Pool Nonpaged Bytes", [1, 2, 3])], HERE))] == [at(2)]


def test_each_host_has_its_own() -> None:
    facts = captures(
        [series("Pool Nonpaged Bytes", [1, 2], host="A"), series("Pool Nonpaged Bytes", [7, 8], host="B")], HERE
    )
    assert [f.computer for f in facts if isinstance(f, TargetInfo)] == ["A", "B"]
    assert [m.nonpaged_used.value for m in memory(facts) if m.nonpaged_used] == [2, 8]


def test_units_become_bytes() -> None:
    for counter, factor in (("Available Bytes", 1), ("Available KBytes", 1 << 10), ("Available MBytes", 1 << 20)):
        (capture,) = memory(captures([series(counter, [7, 6])], HERE))
        assert capture.available is not None
        assert capture.available.value == 6 * factor
        assert capture.nonpaged_used is None  # not recorded is not 0


def test_physical_memory_is_the_sum_of_the_nodes_without_their_total() -> None:
    nodes = [
        series("Total MBytes", [4096, 4096], object_="NUMA Node Memory", instance=name) for name in ("0", "1", "_Total")
    ]
    (capture,) = memory(captures([series("Pool Nonpaged Bytes", [5, 4]), *nodes], HERE))[-1:]
    assert capture.physical is not None
    assert capture.physical.value == 8 << 30

    total = series("Total MBytes", [4096, 8192], object_="NUMA Node Memory", instance="_Total")
    for alone in ([total], [series("Total MBytes", [nan], object_="NUMA Node Memory", instance="0"), total]):
        (capture,) = memory(captures([series("Pool Nonpaged Bytes", [5, 4]), *alone], HERE))[-1:]
        assert capture.physical is not None
        assert capture.physical.value == 8 << 30

    none = [series("Total MBytes", values, object_="NUMA Node Memory", instance="0") for values in ([], [nan], [0.0])]
    for one in none:
        assert memory(captures([series("Pool Nonpaged Bytes", [5]), one], HERE))[0].physical is None


def test_the_uptime_of_the_end() -> None:
    up = series("System Up Time", [100, 160, 220], object_="System")
    (target,) = [f for f in captures([series("Pool Nonpaged Bytes", [1, 2, 3]), up], HERE) if isinstance(f, TargetInfo)]
    assert target.uptime_seconds == 220


def test_local_times_of_an_unknown_zone_are_not_given_on() -> None:
    up = series("System Up Time", [100, 160], object_="System", utc=False)
    facts = captures([series("Pool Nonpaged Bytes", [9, 2], utc=False), up], HERE)
    (target,) = [f for f in facts if isinstance(f, TargetInfo)]
    assert target.captured_at is None
    assert target.uptime_seconds == 160
    assert [m.at for m in memory(facts)] == [None, None]
    assert [m.nonpaged_used and m.nonpaged_used.value for m in memory(facts)] == [9, 2]


def test_figures_that_cannot_be_are_left_out() -> None:
    facts = captures(
        [series("Pool Nonpaged Bytes", [5, inf, nan, 6]), series("Committed Bytes", [1, 1, 1, -5.0])], HERE
    )
    assert [(m.at, m.nonpaged_used and m.nonpaged_used.value, m.committed) for m in memory(facts)] == [(at(3), 6, None)]


def test_a_sample_of_another_time_is_not_of_this_capture() -> None:
    facts = captures([series("Pool Nonpaged Bytes", [5, 6]), series("Pool Paged Bytes", [7, 8], late=20.0)], HERE)
    assert all((m.nonpaged_used is None) != (m.paged_used is None) for m in memory(facts))


def test_nothing_known_gives_nothing() -> None:
    assert captures([], HERE) == []
    assert captures([series("Pool Nonpaged Bytes", [])], HERE) == []
    assert memory(captures([series("Cache Faults/sec", [1, 2])], HERE)) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Pool Nonpaged Bytes", "Pool Paged Bytes", "Available MBytes", "Commit Limit"]),
            st.lists(st.floats(allow_nan=True), max_size=6),
            st.booleans(),
        ),
        max_size=6,
    )
)
def test_any_figures(given_: list[tuple[str, list[float], bool]]) -> None:
    facts = captures([series(counter, values, utc=utc) for counter, values, utc in given_], HERE)
    for one in memory(facts):
        for figure in (one.nonpaged_used, one.paged_used, one.available, one.commit_limit):
            assert figure is None or 0 <= figure.value < 1 << 62
