import pytest

from poolsleuth.report.chart_scale import moment_text, time_marks, value_marks, value_text

MB = 1024.0**2
MAY_1 = 1_588_291_200.0  # 2020-05-01 00:00:00 UTC
HOUR = 3600.0


@pytest.mark.parametrize(
    ("low", "high", "unit", "words"),
    [
        (0, 165 * MB, "bytes", ["0", "50 MB", "100 MB", "150 MB"]),
        (0, 1200 * MB, "bytes", ["0", "200 MB", "400 MB", "600 MB", "800 MB", "1,000 MB", "1,200 MB"]),
        (0, 2000 * MB, "bytes", ["0", "0.5 GB", "1 GB", "1.5 GB"]),
        (0, 3, "bytes", ["0", "1 bytes", "2 bytes", "3 bytes"]),
        (109_000, 138_000, "count", ["110,000", "115,000", "120,000", "125,000", "130,000", "135,000"]),
        (0, 1.5, "count", ["0", "1"]),
        (0, 100, "percent", ["0", "20 %", "40 %", "60 %", "80 %", "100 %"]),
        (0, 8.2e6, "per second", ["0", "2 M/s", "4 M/s", "6 M/s", "8 M/s"]),
        (-0.02, 0.03, "seconds", ["-0.02 s", "-0.01 s", "0", "0.01 s", "0.02 s", "0.03 s"]),
        (0, 1e24, "?", ["0", "2e+23", "4e+23", "6e+23", "8e+23", "1e+24"]),
    ],
)
def test_marks_of_values(low: float, high: float, unit: str, words: list[str]) -> None:
    assert [word for _, word in value_marks(low, high, unit)] == words


@pytest.mark.parametrize("unit", ["bytes", "count", "percent"])
@pytest.mark.parametrize("ends", [(0, 1e-300), (-1e24, 1e24), (5e23, 5.0000001e23), (1e15, 1e15 + 1), (0, 7e8)])
def test_marks_are_few_and_lie_between_the_ends(unit: str, ends: tuple[float, float]) -> None:
    marks = value_marks(*ends, unit)
    assert len(marks) <= 8
    assert all(ends[0] <= value <= ends[1] for value, _ in marks)


def test_marks_of_time_name_the_day_once() -> None:
    marks = time_marks(MAY_1 + 3 * HOUR, MAY_1 + 37 * HOUR)
    assert [word for _, word in marks] == ["06:00\n2020-05-01", "12:00", "18:00", "00:00\n2020-05-02", "06:00", "12:00"]
    assert [time for time, _ in marks] == [MAY_1 + h * HOUR for h in (6, 12, 18, 24, 30, 36)]


def test_marks_of_days_and_seconds() -> None:
    assert [word for _, word in time_marks(MAY_1, MAY_1 + 96 * HOUR)] == [f"2020-05-0{n}" for n in range(1, 6)]
    assert [word for _, word in time_marks(MAY_1, MAY_1 + 4, 3)] == ["00:00:00\n2020-05-01", "00:00:02", "00:00:04"]
    assert 1 <= len(time_marks(0, 32_503_680_000.0)) <= 6
    assert time_marks(-30, 30)[0][1] == "23:59:30\n1969-12-31"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (101_818_368.0, "bytes", "97.1 MB"),
        (137_029.0, "count", "137,029"),
        (56.64, "percent", "56.6 %"),
        (0.01234, "seconds", "0.0123 s"),
        (7200.0, "seconds", "2 h 0 min"),
        (12.0, "per second", "12/s"),
        (-3.5, "whatever", "-3.5"),
        (1e24, "count", "1e+24"),
        (1e24, "bytes", "more than 1,024 EB"),
    ],
)
def test_a_value_in_words(value: float, unit: str, text: str) -> None:
    assert value_text(value, unit) == text


def test_a_time_without_a_known_zone_claims_none() -> None:
    assert moment_text(MAY_1, utc=True) == "2020-05-01 00:00:00 UTC"
    assert moment_text(MAY_1, utc=False) == "2020-05-01 00:00:00"
