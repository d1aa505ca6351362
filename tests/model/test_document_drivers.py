"""Drivers and failed allocations in the JSON document: written, read back, and checked."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.model.document import from_json, to_document, to_json
from poolsleuth.model.errors import InputError
from poolsleuth.model.report import (
    Pools,
    Report,
    ReportDriver,
    ReportDrivers,
    ReportMachine,
    ReportSystem,
    ReportUnloadedDriver,
)

WHOLE = ReportDrivers(
    loaded=(
        ReportDriver(
            name="acme.sys",
            path="\\SystemRoot\\System32\\drivers\\acme.sys",
            base="0xfffff80479c50000",
            size=835_584,
            company="Acme Inc.",
            version="3.2.1",
            timestamp="5A066D55",
        ),
        ReportDriver(name="nt"),
    ),
    complete=True,
    unloaded=(
        ReportUnloadedDriver(name="dam.sys", times=3, last_at=datetime(2021, 1, 5, 11, 38, 26, tzinfo=UTC)),
        ReportUnloadedDriver(name="WdBoot.sys", times=1),
    ),
)
MACHINE: dict[str, Any] = {
    "name": None,
    "inputs": (),
    "system": ReportSystem(),
    "tags": (),
    "conclusion": None,
    "findings": (),
}


def report_of(drivers: ReportDrivers = WHOLE, failures: int | None = 818) -> Report:
    machine = ReportMachine(**MACHINE, pools=Pools(failures=failures), drivers=drivers)
    return Report(tool_version="0", inputs=(), machines=(machine,), problems=())


def read(change: Callable[[dict[str, Any]], object]) -> ReportMachine:
    document = json.loads(to_json(report_of()))
    change(document["machines"][0])
    (machine,) = from_json(json.dumps(document)).machines
    return machine


@pytest.mark.parametrize("drivers", [WHOLE, ReportDrivers(), ReportDrivers(complete=False)])
@pytest.mark.parametrize("failures", [818, None])
def test_written_and_read_back_it_is_the_same(drivers: ReportDrivers, failures: int | None) -> None:
    report = report_of(drivers, failures)
    assert from_json(to_json(report)) == report


def test_the_shape_of_the_document() -> None:
    (machine,) = to_document(report_of())["machines"]
    assert machine["pools"]["failures"] == 818
    assert list(machine["drivers"]) == ["loaded", "complete", "unloaded"]
    assert list(machine["drivers"]["loaded"][0]) == [
        "name", "path", "base", "size", "company", "version", "timestamp",
    ]  # fmt: skip
    assert machine["drivers"]["unloaded"][0] == {"name": "dam.sys", "times": 3, "last_at": "2021-01-05T11:38:26Z"}


def test_a_document_from_before_there_were_drivers() -> None:
    machine = read(lambda m: (m.pop("drivers"), m["pools"].pop("failures")))
    assert machine.drivers == ReportDrivers()
    assert machine.pools.failures is None


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("loaded", {"name": None}),
        ("loaded", {"base": "7ff"}),
        ("loaded", {"base": "0x" + "f" * 17}),
        ("loaded", {"base": "0xF"}),
        ("loaded", {"base": 5}),
        ("loaded", {"size": 1.5}),
        ("loaded", {"size": True}),
        ("loaded", {"company": 7}),
        ("loaded", {"timestamp": []}),
        ("unloaded", {"name": 1}),
        ("unloaded", {"times": None}),
        ("unloaded", {"times": "3"}),
        ("unloaded", {"last_at": "yesterday"}),
    ],
)
def test_what_is_damaged_is_named_by_its_place(part: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=rf"report\.machines\[0\]\.drivers\.{part}\[0\]\.{next(iter(changes))}"):
        read(lambda m: m["drivers"][part][0].update(changes))


@pytest.mark.parametrize("drivers", [[], 5, {"loaded": {}}, {"complete": "yes"}, {"unloaded": [7]}])
def test_what_is_no_list_of_drivers(drivers: object) -> None:
    with pytest.raises(InputError, match=r"report\.machines\[0\]\.drivers"):
        read(lambda m: m.update(drivers=drivers))


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["loaded", "unloaded"]), st.sampled_from(["name", "base", "size", "times", "last_at"]), _JUNK)
def test_any_value_anywhere_is_read_or_refused(part: str, field: str, junk: object) -> None:
    document = json.loads(to_json(report_of()))
    document["machines"][0]["drivers"][part][0][field] = junk
    try:
        report = from_json(json.dumps(document))
    except InputError:
        return
    assert from_json(to_json(report)) == report
