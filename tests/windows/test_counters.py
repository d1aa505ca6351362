"""The counters that the diagnosis uses."""

import pytest

from poolsleuth.windows.counters import (
    BYTES_PER,
    PROCESS_OBJECTS,
    Unit,
    Use,
    english,
    is_wanted,
    known,
    process_of,
    unit_of,
)


@pytest.mark.parametrize(
    ("object_", "counter", "use", "unit"),
    [
        ("Memory", "Pool Nonpaged Bytes", Use.POOL, Unit.BYTES),
        ("memory", "pool paged allocs", Use.POOL, Unit.COUNT),
        ("Memory", "Available Bytes", Use.MEMORY, Unit.BYTES),
        ("Memory", "Available KBytes", Use.MEMORY, Unit.KILOBYTES),
        ("Memory", "Available MBytes", Use.MEMORY, Unit.MEGABYTES),
        ("NUMA Node Memory", "Total MBytes", Use.MEMORY, Unit.MEGABYTES),
        ("Process", "Handle Count", Use.PROCESS, Unit.COUNT),
        ("Process V2", "Handle Count", Use.PROCESS, Unit.COUNT),
        ("Process V2", "Pool Paged Bytes", Use.PROCESS, Unit.BYTES),
        ("System", "System Up Time", Use.UPTIME, Unit.SECONDS),
        ("Processor Information", "% Processor Time", Use.LOAD, Unit.PERCENT),
        ("Arbeitsspeicher", "Nicht-Auslagerungsseiten (Bytes)", Use.POOL, Unit.BYTES),
    ],
)
def test_known(object_: str, counter: str, use: Use, unit: Unit) -> None:
    entry = known(object_, counter)
    assert entry is not None
    assert (entry.use, entry.unit) == (use, unit)
    assert unit_of(object_, counter) is unit


def test_the_same_memory_in_three_units() -> None:
    # \\Memory of the first sample of PAL_SampleLog.blg, which Windows wrote
    figures = {"available bytes": 83_587_072, "available kbytes": 81_628, "available mbytes": 79}
    sizes = {name: value * BYTES_PER[unit_of("memory", name)] for name, value in figures.items()}
    assert sizes["available bytes"] - sizes["available kbytes"] in range(BYTES_PER[Unit.KILOBYTES])
    assert sizes["available bytes"] - sizes["available mbytes"] in range(BYTES_PER[Unit.MEGABYTES])
    assert Unit.COUNT not in BYTES_PER


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (("Memory", None, "Pool Nonpaged Bytes"), True),
        (("Memory", None, "Pages/sec"), False),
        (("Process", "svchost#2", "Handle Count"), True),
        (("Process V2", "svchost:1234", "Handle Count"), True),
        (("Thread", "svchost/0", "ID Thread"), False),
        (("Processor", "0", "% Processor Time"), False),
        (("Processor", "_Total", "% Processor Time"), True),
        (("Processor Information", "0,_Total", "% Processor Time"), False),
        (("Processor Information", "_total", "% Processor Time"), True),
        (("Prozessor", "_Total", "Prozessorzeit (%)"), True),
        (("Server Work Queues", "Blocking Queue", "Work Items"), True),
    ],
)
def test_wanted(path: tuple[str, str | None, str], wanted: bool) -> None:
    assert is_wanted(*path) is wanted


def test_units_by_the_shape_of_a_name() -> None:
    assert unit_of("x", "Cache Bytes") is Unit.BYTES
    assert unit_of("x", "Free MBytes") is Unit.MEGABYTES
    assert unit_of("x", "Cache Bytes Peak") is Unit.BYTES
    assert unit_of("x", "Disk Bytes/sec") is Unit.PER_SECOND
    assert unit_of("x", "% Idle Time") is Unit.PERCENT
    assert unit_of("x", "Queue Length") is Unit.COUNT


def test_english_names_stay() -> None:
    assert english("Memory", "Pool Paged Bytes") == ("memory", "pool paged bytes")
    assert english("Unknown", "Name") == ("unknown", "name")


@pytest.mark.parametrize(
    ("instance", "process"),
    [
        ("svchost:1234", ("svchost", 1234)),
        ("a:b:7", ("a:b", 7)),
        ("svchost#2", ("svchost", None)),
        ("svchost", ("svchost", None)),
        ("C#", ("C#", None)),
        (":5", (":5", None)),
        ("x:", ("x:", None)),
        ("x:99999999999999", ("x:99999999999999", None)),
        ("", ("", None)),
    ],
)
def test_process_of(instance: str, process: tuple[str, int | None]) -> None:
    assert process_of(instance) == process
    assert "process v2" in PROCESS_OBJECTS
