"""Series in the JSON document: written, read back, and checked."""

import copy
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.model.document import from_json, to_document, to_json
from poolsleuth.model.errors import InputError
from poolsleuth.model.finding import Trend
from poolsleuth.model.report import Pools, Report, ReportMachine, ReportSeries, ReportSystem

START = datetime(2024, 1, 15, 10, 0, tzinfo=UTC)
FULL = ReportSeries(
    name="nonpaged pool",
    kind="pool",
    unit="bytes",
    start=START,
    seconds=(0.0, 60.5, 120.0),
    values=(1, None, 2.5),
    samples=99,
    path=r"\\SRV\Memory\Pool Nonpaged Bytes",
    pool="nonpaged",
    tag="MmSt",
    session=-1,
    process="lsass",
    course="leak",
    says="it grows",
    limit=1e9,
    trend=Trend(1.5, 1.0, 2.0, 3.0, START),
    line=((0.0, 1.0), (120.0, 2.5)),
    utc=False,
)


def report_of(*series: ReportSeries) -> Report:
    machine = ReportMachine(
        name=None,
        inputs=(),
        system=ReportSystem(),
        pools=Pools(),
        tags=(),
        conclusion=None,
        findings=(),
        series=series,
    )
    return Report(tool_version="0", inputs=(), machines=(machine,), problems=())


def document(**changes: Any) -> dict[str, Any]:
    """The document of one series, with fields changed; a field that is ``...`` is left out."""
    whole: dict[str, Any] = json.loads(to_json(report_of(FULL)))
    series = whole["machines"][0]["series"][0]
    series.update(changes)
    for name in [n for n, v in changes.items() if v is ...]:
        del series[name]
    return whole


def read(**changes: Any) -> ReportSeries:
    (machine,) = from_json(json.dumps(document(**changes))).machines
    (series,) = machine.series
    return series


def test_written_and_read_back_it_is_the_same() -> None:
    bare = ReportSeries(name="x", kind="load", unit="percent", start=START, seconds=(), values=(), samples=0)
    report = report_of(FULL, bare)
    assert from_json(to_json(report)) == report


def test_the_shape_of_the_document() -> None:
    (series,) = to_document(report_of(FULL))["machines"][0]["series"]
    assert list(series) == list(ReportSeries.__dataclass_fields__)
    assert series["start"] == "2024-01-15T10:00:00Z"
    assert series["values"] == [1, None, 2.5]
    assert series["line"] == [[0.0, 1.0], [120.0, 2.5]]
    assert series["trend"]["limit_reached_at"] == "2024-01-15T10:00:00Z"


def test_a_document_from_before_there_were_series() -> None:
    whole = document()
    del whole["machines"][0]["series"]
    (machine,) = from_json(json.dumps(whole)).machines
    assert machine.series == ()


def test_what_may_be_left_out() -> None:
    optional = ("path", "pool", "tag", "session", "process", "course", "says", "limit", "trend", "line")
    series = read(**dict.fromkeys(optional, ...))
    assert (series.path, series.limit, series.trend, series.line) == (None, None, None, ())


@pytest.mark.parametrize(
    "changes",
    [
        {"name": None},
        {"name": 5},
        {"kind": ...},
        {"unit": ...},
        {"start": "yesterday"},
        {"start": 5},
        {"start": "2024-01-15T10:00:00+99:00"},
        {"seconds": [0.0]},
        {"seconds": [0.0, 60.5, "x"]},
        {"seconds": [0.0, 60.5, None]},
        {"seconds": {}},
        {"seconds": [0.0, 60.5, True]},
        {"values": [1, None]},
        {"values": [1, None, "2"]},
        {"values": [1, None, [2]]},
        {"values": [1, None, 10**400]},
        {"values": [1, None, -(10**400)]},
        {"seconds": [0, 1, 10**400]},
        {"samples": 1.5},
        {"samples": True},
        {"samples": None},
        {"session": "1"},
        {"limit": "1"},
        {"limit": 10**400},
        {"trend": {}},
        {"trend": {"bytes_per_hour": 1, "low": 1, "high": None}},
        {"line": [[1, 2, 3]]},
        {"line": [[1]]},
        {"line": [1, 2]},
        {"line": [[1, None]]},
        {"utc": None},
        {"utc": 1},
        {"utc": ...},
    ],
)
def test_what_is_damaged_is_named_by_its_place(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"report\.machines\[0\]\.series\[0\]"):
        read(**changes)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("field", ["values", "seconds"])
def test_numbers_that_are_none(field: str, text: str) -> None:
    whole = json.dumps(document(**{field: [0, 1, "@"]})).replace('"@"', text)
    with pytest.raises(InputError):
        from_json(whole)


def test_a_number_of_thousands_of_digits_is_refused_in_short() -> None:
    for digits in (400, 4299, 5000, 100_000):
        with pytest.raises(InputError) as caught:
            from_json(json.dumps(document(limit="@")).replace('"@"', "9" * digits))
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize("zone", ["+14:00", "-14:00", "Z", ""])
@pytest.mark.parametrize("time", ["0001-01-01T00:00:00", "9999-12-31T23:59:59", "2024-01-15T10:00:00.5"])
def test_a_time_that_was_read_can_be_written(time: str, zone: str) -> None:
    try:
        series = read(
            start=time + zone, trend={"bytes_per_hour": 1, "low": 1, "high": 1, "limit_reached_at": time + zone}
        )
    except InputError as error:
        assert "ISO 8601" in str(error)  # noqa: PT017 - either is right, by the zone
        assert time[:4] in {"0001", "9999"}
        return
    assert series.start.utcoffset() == timedelta(0)
    assert from_json(to_json(report_of(series))).machines[0].series[0].name == series.name


def test_other_zones_are_read_as_utc() -> None:
    assert read(start="2024-01-15T11:00:00+01:00").start == START
    assert read(start="2024-01-15T10:00:00").start == START
    assert read(start=START.astimezone(timezone(timedelta(hours=-8))).isoformat()).start == START


def test_deep_and_long_documents_are_refused() -> None:
    with pytest.raises(InputError):
        from_json('{"schema": "poolsleuth.report/1", "machines": ' + "[" * 100_000)
    with pytest.raises(InputError):
        from_json('{"schema": ' * 50_000)


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(ReportSeries.__dataclass_fields__)), _JUNK)
def test_any_value_anywhere_is_read_or_refused(field: str, junk: object) -> None:
    whole = document()
    whole["machines"][0]["series"][0][field] = copy.deepcopy(junk)
    try:
        report = from_json(json.dumps(whole))
    except InputError:
        return
    assert from_json(to_json(report)) == report
