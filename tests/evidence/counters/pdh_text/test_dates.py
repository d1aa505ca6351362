"""Which component of a date is the month: decided on the whole column, never guessed."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

Read = Callable[..., Any]

PLAIN, OTHER = "{} 10:00:{:02}.000", "{} 10:00:{:02}"


def log(times: Sequence[str], zone: str = "(x)(0)") -> bytes:
    head = f'"(PDH-CSV 4.0) {zone}","\\\\H\\Memory\\Available Bytes"\n'
    return (head + "".join(f'"{time}","{n}"\n' for n, time in enumerate(times))).encode()


def days(outcome: Any) -> list[int]:
    """Days since 1970."""
    return [int(time // 86400) for time in outcome.times]


MAY_6, MAY_7, JUNE_5, JUNE_6, MAY_13, JUNE_13 = 18388, 18389, 18418, 18419, 18395, 18426


def test_the_form_of_pdh_is_month_first(read: Read) -> None:
    outcome = read(log([PLAIN.format("05/06/2020", n) for n in range(3)]))
    assert days(outcome) == [MAY_6] * 3


def test_esxtop_is_month_first_without_milliseconds(read: Read) -> None:
    data = log([OTHER.format("05/06/2020", n) for n in range(3)], "(UTC)(0)")
    outcome = read(data.replace(b"Memory\\Available Bytes", b"Group Cpu(1:idle)\\Members"))
    assert days(outcome) == [MAY_6] * 3


@pytest.mark.parametrize("zone", ["(UTC)(0)", "(GMT Standard Time)(0)"])
@pytest.mark.parametrize("date", ["04/05/2026", "4/5/2026"])
def test_a_windows_log_in_utc_is_trusted_no_more_than_others(zone: str, date: str, read: Read) -> None:
    outcome = read(log([OTHER.format(date, n) for n in range(30)], zone))
    assert outcome.rows == []
    assert "can be read as month/day or as day/month, the first is 04/05/2026 (line 2)" in outcome.error


@pytest.mark.parametrize("form", [PLAIN, OTHER])
def test_a_day_above_twelve_decides(form: str, read: Read) -> None:
    month_first = read(log([form.format("05/06/2020", 1), form.format("05/13/2020", 2), form.format("05/13/2020", 3)]))
    assert days(month_first) == [MAY_6, MAY_13, MAY_13]
    day_first = read(log([form.format("05/06/2020", 1), form.format("13/06/2020", 2), form.format("13/06/2020", 3)]))
    assert days(day_first) == [JUNE_5, JUNE_13, JUNE_13]


def test_other_forms_are_refused_when_both_readings_are_possible(read: Read) -> None:
    outcome = read(log([OTHER.format("05/06/2020", n) for n in range(30)]))
    assert outcome.rows == []
    assert "05/06/2020" in outcome.error
    assert "line 2" in outcome.error
    assert "YYYY-MM-DD" in outcome.error


def test_the_same_day_in_both_readings_needs_no_decision(read: Read) -> None:
    assert days(read(log([OTHER.format("05/05/2020", n) for n in range(3)]))) == [18387] * 3


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (["05/06/2020 23:59:50", "05/07/2020 00:00:05"], [MAY_6, MAY_7]),
        (["05/06/2020 23:59:50", "06/06/2020 00:00:05"], [JUNE_5, JUNE_6]),
    ],
)
def test_the_next_day_decides(dates: list[str], expected: list[int], read: Read) -> None:
    assert days(read(log(dates))) == expected


def test_daily_samples_decide(read: Read) -> None:
    outcome = read(log([f"{day:02}/06/2020 04:00:00" for day in (5, 6, 7, 8)]))
    assert days(outcome) == [JUNE_5, JUNE_5 + 1, JUNE_5 + 2, JUNE_5 + 3]


def test_dots_mean_day_first(read: Read) -> None:
    assert days(read(log([OTHER.format("05.06.2020", n) for n in range(3)]))) == [JUNE_5] * 3
    assert days(read(log([OTHER.format("05.13.2020", n) for n in range(3)]))) == [MAY_13] * 3


def test_year_first(read: Read) -> None:
    assert days(read(log([OTHER.format("2020-06-05", n) for n in range(3)]))) == [JUNE_5] * 3
    assert days(read(log([OTHER.format("2020/06/05", n) for n in range(3)]))) == [JUNE_5] * 3


def test_a_contradiction_late_in_the_log_is_an_error(read: Read) -> None:
    times = [f"05/06/2020 {n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}.000" for n in range(5000)]
    outcome = read(log([*times, "13/06/2020 10:00:00.000", "13/06/2020 10:00:01.000"]))
    assert "line 5,003" in outcome.error
    assert "contradict" in outcome.error
    # Those given so far were month/day, as PDH writes them
    assert set(days(outcome)) == {MAY_6}


def test_the_last_row_alone_can_contradict(read: Read) -> None:
    times = [f"05/06/2020 {n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}.000" for n in range(3000)]
    assert read(log([*times, "13/06/2020 10:00:00.000"])).error is not None


def test_one_damaged_digit_turns_nothing(read: Read) -> None:
    times = [PLAIN.format("11/06/2020", n) for n in range(6)]
    times[3] = PLAIN.format("19/06/2020", 3)
    outcome = read(log(times))
    assert outcome.error is None
    assert len(outcome.rows) == 5
    assert set(days(outcome)) == {18572}
    assert "date that cannot be read, left out: 1" in outcome.says


def test_month_turning_of_a_day_first_log_in_the_form_of_pdh_is_not_read_wrongly(read: Read) -> None:
    times = [f"{5 + n // 96:02}/06/2020 {n // 4 % 24:02}:{n % 4 * 15:02}:00.000" for n in range(400)]
    outcome = read(log(times))
    assert outcome.error is None
    assert days(outcome)[0] == JUNE_5
    assert days(outcome)[-1] == JUNE_5 + 4


def test_dates_that_do_not_exist(read: Read) -> None:
    times = [PLAIN.format("02/28/2021", 1), PLAIN.format("02/29/2021", 2), PLAIN.format("03/15/2021", 3)]
    outcome = read(log(times))
    assert len(outcome.rows) == 2
    assert "left out: 1" in outcome.says


def test_a_new_header_may_bring_another_form(read: Read) -> None:
    first = log([OTHER.format("2020-05-06", n) for n in range(3)])
    outcome = read(first + log([OTHER.format("13.06.2020", n) for n in range(3)]))
    assert days(outcome) == [MAY_6] * 3 + [JUNE_13] * 3
