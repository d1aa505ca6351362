"""Cut and mutated logs: rows or one sentence, never anything else, in bounded time."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.counters.blg.losses import Loss
from poolsleuth.model.errors import InputError

if TYPE_CHECKING:
    from evidence.counters.blg.conftest import Count, Instance, Reading, Writer

Read = Callable[..., "Reading"]
MakeCount = Callable[..., "Count"]
MakeInstance = Callable[..., "Instance"]
RealLog = Callable[[str], Path]

START = 1_700_000_000
SETTINGS = settings(
    max_examples=120, deadline=4000, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
ONE_PER_KIND = len(Loss) + 1


def tried(read: Read, data: bytes) -> "Reading | None":
    """What came out; None for an InputError. Any other exception is a failure."""
    try:
        log = read(data)
    except InputError:
        return None
    assert len(log.problems) <= ONE_PER_KIND
    assert log.times == sorted(set(log.times))
    columns = len(log.reader.columns)
    assert all(0 <= number < columns for row in log.rows for number in row.cells)
    return log


@pytest.fixture
def small(blg: "Writer", make_count: MakeCount, make_instance: MakeInstance) -> bytes:
    """A log with a block of every kind, in some 30 events."""
    items = [
        blg.titles({4: "Memory", 58: "Pool Nonpaged Bytes", 230: "Process", 952: "Handle Count"}),
        blg.counters(
            blg.entry("C", 0x10410400),
            blg.entry("I", 0x21510500, instance="x", object_="P"),
            blg.entry("R", 0x10410400, object_="P", instance="*"),
            blg.whole("Memory"),
            blg.whole("Process"),
        ),
    ]
    for n in range(12):
        processes = [make_instance(name, [n, n * 100]) for name in ("svc", "svc", "lsass", "x" * 40)[: 2 + n % 3]]
        items.append(
            blg.sample(
                START + n,
                blg.value(n * 3, n * 1_000_000),
                blg.value(n, n * 100),
                blg.instances([("a", n, n * 1_000_000), ("b", n, n)]),
                blg.objects(blg.object(4, [make_count(58), make_count(60, 0x10410400)], [n, n]), time=n * 1000),
                blg.objects(blg.object(230, [make_count(952), make_count(784, 0x20510500)], processes), time=n),
            )
        )
    return blg.log(*items)


def test_the_whole_small_log_is_good(read: Read, small: bytes) -> None:
    log = read(small)

    assert (len(log.rows), len(log.paths)) == (12, 14)
    assert log.values("\\\\SRV\\Process(svc#1)\\Handle Count") == list(range(12))


@SETTINGS
@given(share=st.floats(0, 1))
def test_cut_anywhere(read: Read, small: bytes, share: float) -> None:
    tried(read, small[: int(share * len(small))])


@SETTINGS
@given(changes=st.lists(st.tuples(st.floats(0, 0.9999), st.binary(min_size=1, max_size=8)), min_size=1, max_size=12))
def test_mutated_anywhere(read: Read, small: bytes, changes: list[tuple[float, bytes]]) -> None:
    data = bytearray(small)
    for place, octets in changes:
        at = int(place * len(data))
        data[at : at + len(octets)] = octets
    tried(read, bytes(data))


@SETTINGS
@given(data=st.binary(max_size=3000))
def test_samples_of_any_bytes(read: Read, blg: "Writer", data: bytes) -> None:
    entries = blg.counters(blg.entry("C"), blg.entry("R", instance="*"), blg.whole("Memory"))
    event = blg.event(entries, 1, 1, entries.data)
    sample = blg.sample(START, data)
    buffers = blg.buffers([event, blg.event(sample, 1, 1, sample.data), blg.event(sample, 1, 1, data)])
    tried(read, blg.head(len(buffers) + 1) + b"".join(buffers))


@pytest.mark.parametrize(("name", "trials"), [("PowerShell_CounterSamples.blg", 150), ("PAL_SampleLog.blg", 40)])
def test_real_logs_mutated(read: Read, real_log: RealLog, name: str, trials: int) -> None:
    whole = real_log(name).read_bytes()
    source = random.Random(7)
    good = 0
    for trial in range(trials):
        data = bytearray(whole)
        for _ in range(1 << source.randrange(8)):
            at = source.randrange(len(data))
            data[at] = source.choice((0, 1, 0x7F, 0x80, 0xFF, source.randrange(256)))
        if trial % 3 == 0:
            del data[source.randrange(len(data)) :]
        good += tried(read, bytes(data)) is not None
    assert good > trials / 3


@pytest.mark.parametrize("name", ["PowerShell_CounterSamples.blg", "PAL_SampleLog.blg"])
def test_real_logs_cut(read: Read, real_log: RealLog, name: str) -> None:
    whole = real_log(name).read_bytes()
    rows = []
    for part in range(1, 25):
        log = tried(read, whole[: len(whole) * part // 24])
        rows.append(len(log.rows) if log is not None else 0)
    assert rows == sorted(rows)  # the longer the piece, the more is read
    assert rows[-1] in {11, 25}


def test_pal_cut_at_two_thirds(read: Read, real_log: RealLog) -> None:
    whole = real_log("PAL_SampleLog.blg").read_bytes()
    log = read(whole[: len(whole) * 2 // 3])

    assert len(log.rows) == 5  # COUNTER_FORMATS 1.10
    assert log.values("\\\\ZACH-PC\\Memory\\Pool Nonpaged Bytes")[0] == 28_422_144
    assert any("the file is cut off" in says for says in log.problems)


def test_one_damaged_buffer_costs_its_samples_only(read: Read, real_log: RealLog) -> None:
    whole = bytearray(real_log("PAL_SampleLog.blg").read_bytes())
    whole[4 * 65536 : 5 * 65536] = bytes(range(256)) * 256
    log = read(bytes(whole))

    assert 6 <= len(log.rows) <= 8
    assert log.values("\\\\ZACH-PC\\Memory\\Pool Nonpaged Bytes")[-1] == 28_782_592
    assert 1 <= len(log.problems) <= 4
