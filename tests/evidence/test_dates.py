"""Dates in free text, and the order of day and month over a column of them."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.evidence.dates import DateText, date_in, find_date, joined, understand, unread_date

WHEN = datetime(2008, 3, 27, 10, 15, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "line",
    [
        "Thursday, March 27, 2008 10:15:00 AM",
        "27 March 2008 10:15:00",
        "2008-03-27 10:15:00",
        "2008-03-27T10:15:00.0000000",
        "2008/03/27 10:15",
        "20080327T101500",
        "27.03.2008 10:15:00",
        "27. März 2008 10:15:00",
        "Donnerstag, 27. März 2008 10:15:00",
        "jeudi 27 mars 2008 10:15:00",
        "jueves, 27 de marzo de 2008 10:15:00",
        "quinta-feira, 27 de março de 2008 10:15:00",
        "giovedì 27 marzo 2008 10.15.00",
        "Thu Mar 27 10:15:00 2008",
        "Thu Mar 27 10:15:00 PDT 2008",
        "27-Mar-08 10:15",
        "10:15:00 on 27 March 2008",
        "snapshot of SRV1 at 2008-03-27 10:15:00, done",
    ],
)
def test_dates_that_can_be_read_in_one_way_only(line: str) -> None:
    found = find_date(line)

    assert found is not None
    assert found.known
    assert found.moment(True) == found.moment(False) == WHEN
    assert found.offset is None


EASTERN = [
    ("2026年3月2日 10:15:00", 10.25),
    ("2026年3月2日 星期一 10:15:00", 10.25),
    ("2026/03/02 10:15:00", 10.25),
    ("2026年3月2日 午後 1:15", 13.25),
    ("2026年3月2日 午前 0:15", 0.25),
    ("2026年3月2日 午後12:15:00", 12.25),
    ("2026年3月2日月曜日 13時15分00秒", 13.25),
    ("2026/3/2 下午 01:15:00", 13.25),
    ("2026/3/2 上午 12:15:00", 0.25),
    ("2026년 3월 2일 월요일 오후 1:15:00", 13.25),
    ("2026-03-02 오전 1:15:00", 1.25),
]


PAGES = {
    "年": ("utf-8", "cp932", "cp936", "cp949"),
    "下": ("utf-8", "cp932", "cp936", "cp950"),
    "오": ("utf-8", "cp949"),
}


@pytest.mark.parametrize(
    ("data", "hour"),
    [
        (line.encode(page), hour)
        for line, hour in EASTERN
        for page in next((pages for sign, pages in PAGES.items() if sign in line), ("utf-8",))
        if "오" not in line or page in PAGES["오"]
    ],
)
def test_dates_of_china_japan_and_korea(data: bytes, hour: float) -> None:
    found = date_in(data)
    assert found is not None
    assert found.known
    assert found.moment(True) == datetime(2026, 3, 2, tzinfo=UTC).timestamp() + hour * 3600
    assert unread_date(data) is None


@pytest.mark.parametrize(
    "line",
    [
        "令和8年3月2日 10:15:00",
        "2/3/2569 10:15:00",
        "poniedziałek, 2 marca 2026 10:15:00",
        "12 Mart 2026 Perşembe 10:15:00",
        "Thu 13/13/2026 10:00",
    ],
)
def test_what_looks_like_a_date_and_is_not_read(line: str) -> None:
    assert unread_date(line.encode()) == line


@pytest.mark.parametrize(
    "line",
    [
        "10:15:00",
        "10:15:00 AM",
        "Thu 03/27/2008",
        " Commit:3762700K Limit:33554432K Peak:4043634K            Pool N:41422K P:143512K",
        "... 3,000 rows more ...",
        "Pool Monitor 5.2.3790.0",
        "Microsoft Windows [Version 10.0.19041.1]",
        r"C:\tools>poolmon -n 2026.log",
    ],
)
def test_what_is_no_unread_date(line: str) -> None:
    assert unread_date(line.encode()) is None


@given(st.binary(max_size=400))
def test_any_line_is_a_date_or_none(line: bytes) -> None:
    date_in(line)
    shown = unread_date(line)
    assert shown is None or len(shown) <= 60


@pytest.mark.parametrize(
    ("line", "month_first"),
    [
        ("03/27/2008 10:15:00", True),
        ("3/27/2008 10:15:00 AM", True),
        ("Thu 03/27/2008 10:15:00.00", True),
        ("27/03/2008 10:15:00", False),
        ("Thu 27/03/2008 10:15:00", False),
        ("27-03-2008 10:15:00", False),
    ],
)
def test_dates_of_which_one_order_is_none(line: str, month_first: bool) -> None:
    found = find_date(line)

    assert found is not None
    assert found.moment(month_first) == WHEN
    assert found.moment(not month_first) is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2008-03-27T10:15:00Z", WHEN),
        ("2008-03-27T12:15:00+02:00", WHEN),
        ("2008-03-27T05:45:00.0000000-0430", WHEN),
        ("2008-03-27 10:15 UTC", WHEN),
        ("LocalDateTime=20080327121500.000000+120", WHEN),  # WMI: minutes
        ("20080327031500.000000-420", WHEN),
    ],
)
def test_offsets(line: str, expected: float) -> None:
    found = find_date(line)

    assert found is not None
    assert found.offset is not None
    assert found.moment(True) == expected


@pytest.mark.parametrize(
    ("line", "hours"),
    [("12:00 AM", 0), ("1:00 AM", 1), ("12:00 PM", 12), ("1:00 p.m.", 13), ("23:00:00.00", 23), ("11:00 PM", 23)],
)
def test_times_alone(line: str, hours: int) -> None:
    assert find_date(line) == DateText(seconds=hours * 3600.0)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "6.1.7601",
        "Windows 10.0.19041",
        "Version 5.2.3790 of 3",
        "poolmon -n snap.log",
        "45/45/2008",
        "99.99.2008",
        "fe80::1:2",
        "Snapshot 12 of 100",
        "25:61:00",
        "2008-03-27 10:15:00" + " " * 300,
    ],
)
def test_what_is_no_date(line: str) -> None:
    assert find_date(line) is None


def test_a_date_and_its_time_on_two_lines() -> None:
    texts = [find_date(line) for line in ("Thu 03/27/2008", "10:15 AM", "11:15:00", "28.03.2008")]

    both = joined([text for text in texts if text is not None])

    assert [text.moment(True) for text in both] == [WHEN, datetime(2008, 3, 28, 11, 15, tzinfo=UTC).timestamp()]


def understood(lines: list[str], written: float | None = None) -> list[float]:
    return understand([find_date(line) for line in lines], written).times


@given(
    start=st.datetimes(datetime(1999, 1, 1), datetime(2090, 1, 1)),
    minutes=st.integers(1, 3000),
    count=st.integers(40, 80),
    form=st.sampled_from(["%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d-%m-%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p"]),
)
def test_an_even_course_is_read_right_or_not_at_all(start: datetime, minutes: int, count: int, form: str) -> None:
    moments = [start.replace(microsecond=0) + timedelta(minutes=minutes * n) for n in range(count)]

    times = understood([moment.strftime(form) for moment in moments])

    expected = [moment.replace(tzinfo=UTC).timestamp() for moment in moments]
    assert times == expected or all(map(math.isnan, times))
    if (moments[-1] - moments[0]).days > 31:
        assert times == expected  # there is a day above 12


def test_nothing_is_guessed() -> None:
    dated = understand([find_date("03/04/2008 10:00:00"), find_date("03/04/2008 11:00:00")])

    assert all(map(math.isnan, dated.times))
    assert dated.problem == "day and month of its dates can be read in both orders"


def test_orders_that_are_mixed_are_not_read() -> None:
    dated = understand([find_date("03/27/2008 10:00:00"), find_date("28/03/2008 11:00:00")])

    assert all(map(math.isnan, dated.times))
    assert dated.problem == "no order of day and month fits all of its dates"


def test_one_damaged_date_among_many_is_unknown_alone() -> None:
    lines = [f"03/{day:02}/2008 10:00:00" for day in range(1, 30)] * 3
    lines[40] = "27/03/2008 10:00:00"

    times = understood(sorted(lines[:29]) + lines[29:60])

    assert sum(map(math.isnan, times)) == 1


def test_the_file_itself_tells_the_order() -> None:
    lines = ["04/05/2024 10:00:00", "04/05/2024 11:00:00"]
    written = datetime(2024, 5, 4, 18, tzinfo=UTC).timestamp()

    assert understood(lines, written)[0] == datetime(2024, 5, 4, 10, tzinfo=UTC).timestamp()
    assert math.isnan(understood(lines, written + 86_400 * 30)[0])


def test_a_missing_date_stays_missing() -> None:
    dated = understand([find_date("2008-03-27T10:15:00Z"), None])

    assert dated.times[0] == WHEN
    assert math.isnan(dated.times[1])
    assert dated.utc


@given(st.text(max_size=320))
def test_any_line(line: str) -> None:
    found = find_date(line)
    if found is not None:
        found.moment(True)
        found.moment(False)
