"""Texts of dates and times."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.counters.pdh_text.stamps import Order, Stamp, parse_stamp, spoiled

_EPOCH = datetime(1970, 1, 1)


def read(text: str, order: Order = Order.MONTH_FIRST) -> datetime | None:
    stamp = parse_stamp(text.encode())
    moment = None if stamp is None else stamp.moment(order)
    return None if moment is None else _EPOCH + timedelta(milliseconds=moment)


@pytest.mark.parametrize(
    "text",
    [
        "05/06/2020 17:04:03.250",
        "5/6/2020 17:04:03.25",
        "05/06/2020 5:04:03.250 PM",
        "5/6/2020, 5:04:03.250 p.m.",
        "05-06-2020 17:04:03,250",
        "2020-05-06 17:04:03.250",
        "2020/5/6 17:04:03.2500000",
        "2020-05-06T17:04:03.250Z",
        " 05/06/2020  17.04.03,250 ",
    ],
)
def test_forms(text: str) -> None:
    assert read(text) == datetime(2020, 5, 6, 17, 4, 3, 250000)


def test_the_other_order() -> None:
    assert read("05.06.2020 00:00:01", Order.DAY_FIRST) == datetime(2020, 6, 5, 0, 0, 1)
    assert read("2020-05-06 00:00:01", Order.DAY_FIRST) == datetime(2020, 5, 6, 0, 0, 1)


def test_midnight_and_noon() -> None:
    assert read("05/06/2020 12:00:00 AM") == datetime(2020, 5, 6)
    assert read("05/06/2020 12:00:00 PM") == datetime(2020, 5, 6, 12)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "18:41.5",
        "05/06/20 10:00:00",
        "05/06-2020 10:00:00",
        "32/01/2020 10:00:00",
        "00/01/2020 10:00:00",
        "05/06/2020 24:00:00",
        "05/06/2020 10:60:00",
        "05/06/2020 13:00:00 PM",
        "05/06/0020 10:00:00",
        "05/06/2020",
        "05/06/2020 10:00:0",
        "05/06/2020 10:00:00.000x",
    ],
)
def test_no_date(text: str) -> None:
    assert parse_stamp(text.encode()) is None


def test_what_a_stamp_tells() -> None:
    plain = parse_stamp(b"05/06/2020 10:00:00.000")
    assert plain == Stamp(5, 6, 2020, 36_000_000, plain=True)
    bare = parse_stamp(b"05/06/2020 10:00:00")
    assert bare == Stamp(5, 6, 2020, 36_000_000, bare=True)
    east = parse_stamp(b"2020-05-06T10:00:00+05:30")
    assert east is not None
    assert east.offset == 330
    west = parse_stamp(b"2020-05-06T10:00-0330")
    assert west is not None
    assert (west.offset, west.seconds) == (-210, False)


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        (b"18:41.5", True),
        (b"1:02:03", True),
        (b"45616.57", True),
        (b"45616", True),
        (b"5/6/20 10:00", True),
        (b"11/26/2016 13:46:30.874", False),
        (b"5", False),
        (b"", False),
        (b"Exiting", False),
    ],
)
def test_spoiled(cell: bytes, found: bool) -> None:
    assert (spoiled(cell) is not None) is found


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1980, 1, 1), max_value=datetime(2999, 12, 31)))
def test_every_date_that_pdh_can_write(value: datetime) -> None:
    value = value.replace(microsecond=value.microsecond // 1000 * 1000)
    assert read(value.strftime("%m/%d/%Y %H:%M:%S.%f")[:-3]) == value


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes(cell: bytes) -> None:
    parse_stamp(cell)
    spoiled(cell)
