"""From local time to UTC: rules of daylight saving time, the repeated hour, hints from the values."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from poolsleuth.evidence.counters.blg.clock import LocalClock, Switch, read_zone

if TYPE_CHECKING:
    from evidence.counters.blg.conftest import Count, Reading, Writer, Zone

Read = Callable[..., "Reading"]
MakeZone = Callable[..., "Zone"]

RAW = 0x00010000
IDLE_TIME = 0x21510500
# Where a zone's clocks change: (month, weekday with 0 for Sunday, occurrence with 5 for the last, hour)
PACIFIC = {"bias": 480, "daylight": -60, "to_standard": (11, 0, 1, 2), "to_daylight": (3, 0, 2, 2)}
BERLIN = {"bias": -60, "daylight": -60, "to_standard": (10, 0, 5, 3), "to_daylight": (3, 0, 5, 2)}
SYDNEY = {"bias": -600, "daylight": -60, "to_standard": (4, 0, 1, 3), "to_daylight": (10, 0, 1, 2)}
KOLKATA = {"bias": -330, "daylight": 0}


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()


def _times(blg: "Writer", read: Read, zone: object, *moments: str) -> list[str]:
    log = read(
        blg.log(
            blg.counters(blg.entry("C", RAW)),
            *(blg.sample(seconds(moment), blg.value(1)) for moment in moments),
            zone=zone,  # type: ignore[arg-type]
        )
    )
    assert log.reader.utc
    return [datetime.fromtimestamp(time, UTC).strftime("%m-%d %H:%M") for time in log.times]


@pytest.mark.parametrize(
    ("rules", "local", "utc"),
    [
        # 2016 in Los Angeles: 13 March and 6 November, 02:00
        (
            PACIFIC,
            ["2016-03-13 01:59", "2016-03-13 03:00", "2016-11-06 00:59"],
            ["03-13 09:59", "03-13 10:00", "11-06 07:59"],
        ),
        # 2024 in Berlin: 31 March 02:00 and 27 October 03:00
        (
            BERLIN,
            ["2024-03-31 01:59", "2024-03-31 03:00", "2024-10-27 03:00"],
            ["03-31 00:59", "03-31 01:00", "10-27 02:00"],
        ),
        # 2024 in Sydney, where summer holds the turn of the year: 7 April 03:00 and 6 October 02:00
        (
            SYDNEY,
            ["2024-01-01 00:00", "2024-07-01 00:00", "2024-12-01 00:00"],
            ["12-31 13:00", "06-30 14:00", "11-30 13:00"],
        ),
        (KOLKATA, ["2024-01-01 05:30", "2024-07-01 05:30"], ["01-01 00:00", "07-01 00:00"]),
    ],
)
def test_rules(
    blg: "Writer", read: Read, make_zone: MakeZone, rules: dict[str, object], local: list[str], utc: list[str]
) -> None:
    assert _times(blg, read, make_zone(**rules), *local) == utc


def test_the_hour_that_is_repeated(blg: "Writer", read: Read, make_zone: MakeZone) -> None:
    # 01:30 comes twice on 6 November 2016: first in daylight saving time, then in standard time
    local = ["2016-11-06 00:30", "2016-11-06 01:00", "2016-11-06 01:30", "2016-11-06 01:00", "2016-11-06 01:30"]

    assert _times(blg, read, make_zone(**PACIFIC), *local, "2016-11-06 02:00") == [
        "11-06 07:30",
        "11-06 08:00",
        "11-06 08:30",
        "11-06 09:00",
        "11-06 09:30",
        "11-06 10:00",
    ]


def test_whole_objects_tell_which_of_the_two_hours_it_is(
    blg: "Writer", read: Read, make_zone: MakeZone, make_count: Callable[..., "Count"]
) -> None:
    utc = seconds("2016-11-06 09:30")  # the second 01:30; without the hint the first would be taken
    block = blg.objects(blg.object(4, [make_count(58)], [1]), utc=utc + 2.5)
    log = read(blg.log(blg.sample(utc - 8 * 3600, block), zone=make_zone(**PACIFIC)))

    assert log.times == [utc]


def test_a_counter_of_100_ns_tells_the_time_too(blg: "Writer", read: Read, make_zone: MakeZone) -> None:
    utc = seconds("2016-11-06 09:30")
    epoch = 116_444_736_000_000_000
    log = read(
        blg.log(
            blg.counters(blg.entry("A", RAW), blg.entry("% Processor Time", IDLE_TIME, base=10_000_000)),
            blg.sample(utc - 8 * 3600, blg.value(1), blg.value(1, int(utc * 10_000_000) + epoch)),
            zone=make_zone(**PACIFIC),
        )
    )

    assert log.times == [utc]


def test_such_a_counter_is_not_believed_against_the_zone(blg: "Writer", read: Read, make_zone: MakeZone) -> None:
    utc = seconds("2016-07-01 12:00")
    local = utc - 7 * 3600
    log = read(
        blg.log(
            blg.counters(blg.entry("% Processor Time", IDLE_TIME, base=10_000_000)),
            blg.sample(local, blg.value(1, int(local * 10_000_000) + 116_444_736_000_000_000)),
            zone=make_zone(**PACIFIC),
        )
    )

    assert log.times == [utc]


def test_a_log_that_was_rewritten_in_another_zone(
    blg: "Writer", read: Read, make_zone: MakeZone, make_count: Callable[..., "Count"]
) -> None:
    # Recorded at UTC+5:30, header of a machine in Los Angeles
    utc = seconds("2024-06-01 12:00")
    block = blg.objects(blg.object(4, [make_count(58)], [1]), utc=utc + 1)
    log = read(blg.log(blg.sample(utc + 5.5 * 3600, block), zone=make_zone(**PACIFIC)))

    assert log.times == [utc]


def test_a_hint_that_is_no_time_is_not_followed(
    blg: "Writer", read: Read, make_zone: MakeZone, make_count: Callable[..., "Count"]
) -> None:
    utc = seconds("2024-06-01 12:00")
    for wrong in (0.0, utc + 40 * 60 + 400, utc + 100 * 3600):  # another clock, or damage
        block = blg.objects(blg.object(4, [make_count(58)], [1]), utc=wrong)
        log = read(blg.log(blg.sample(utc - 7 * 3600, block), zone=make_zone(**PACIFIC)))
        assert log.times == [utc]


def test_without_a_zone_times_stay_local(blg: "Writer", read: Read) -> None:
    local = seconds("2024-06-01 12:00")
    log = read(blg.log(blg.counters(blg.entry("C", RAW)), blg.sample(local, blg.value(1)), zone=None))

    assert log.times == [local]
    assert not log.reader.utc


def test_without_a_zone_whole_objects_give_it(blg: "Writer", read: Read, make_count: Callable[..., "Count"]) -> None:
    utc = seconds("2024-06-01 12:00")
    block = blg.objects(blg.object(4, [make_count(58)], [1]), utc=utc + 1)
    log = read(blg.log(blg.sample(utc + 2 * 3600, block), zone=None))

    assert log.times == [utc]
    assert log.reader.utc


@pytest.mark.parametrize("local", [0, -1, 1 << 62, 119_600_063_999_999_999, 441_481_536_000_000_001])
def test_times_that_are_none(local: int) -> None:
    assert LocalClock(None).seconds(local, ()) is None


def test_a_damaged_rule_is_no_rule() -> None:
    assert Switch(0, 13, 0, 1, 0).at(2024) is None
    assert Switch(2024, 2, 0, 31, 0).at(2024) is None  # 31 February
    assert Switch(2023, 3, 0, 1, 0).at(2024) is None  # of another year
    assert read_zone(b"\0" * 171) is None
