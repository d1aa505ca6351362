"""Axes of a chart: where their marks stand and what they say. The script of the page follows the same rules."""

import math
from datetime import UTC, datetime, timedelta

from poolsleuth.report.wording import bytes_short, count_text, duration_text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400
# Lengths of time between two marks; from a day on a mark names a date.
_TIME_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(60 * n for n in (1, 2, 5, 10, 15, 30)),
    *(3600 * n for n in (1, 2, 3, 6, 12)),
    *(_DAY * n for n in (1, 2, 4, 7, 14, 28, 91, 182, 364, 1820, 3640, 18_200, 91_000)),
)
_BYTE_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 512)
_BYTE_UNITS = ("bytes", "KB", "MB", "GB", "TB", "PB", "EB", "ZB")
_ENOUGH = 10**15  # whole numbers below this are exact as floating point


def value_marks(low: float, high: float, unit: str, most: int = 6) -> list[tuple[float, str]]:
    """At most about ``most`` marks between two values, at round figures of the unit, each with its words."""
    step = _byte_step((high - low) / most) if unit == "bytes" else _decimal_step((high - low) / most, unit)
    first = -(-low // step)
    marks = [(first + n) * step for n in range(most + 2)]
    return [(mark, _mark_text(mark, step, unit)) for mark in marks if mark <= high]


def _byte_step(least: float) -> float:
    power = 0
    while power < len(_BYTE_UNITS) - 1 and least > 512 * 1024.0**power:
        power += 1
    return next((n * 1024.0**power for n in _BYTE_STEPS if n * 1024.0**power >= least), least)


def _decimal_step(least: float, unit: str) -> float:
    step = float(f"1e{math.ceil(math.log10(max(least, 1e-12)))}")
    if step / 5 >= least:
        step /= 5
    elif step / 2 >= least:
        step /= 2
    return max(step, 1.0) if unit == "count" else step


def _mark_text(value: float, step: float, unit: str) -> str:
    if value == 0:
        return "0"
    if unit == "bytes":
        power = 0
        while power < len(_BYTE_UNITS) - 1 and step >= 512 * 1024.0**power:
            power += 1
        scaled = value / 1024.0**power
        return f"{_plain(scaled)} {_BYTE_UNITS[power]}"
    text = _plain(value)
    for size, word in () if abs(value) >= _ENOUGH else ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(value) >= size:
            text = f"{_plain(value / size)} {word}"
            break
    return {"percent": f"{text} %", "seconds": f"{text} s", "per second": f"{text}/s"}.get(unit, text)


def _plain(value: float) -> str:
    if abs(value) >= _ENOUGH:
        return f"{value:.3g}"
    text = f"{value:,.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def value_text(value: float, unit: str) -> str:
    """A value of a line in words: ``97.1 MB``, ``137,029``, ``56.6 %``, ``12.5/s``."""
    if unit == "bytes":
        return bytes_short(round(value))
    if unit == "seconds" and value >= 60:
        return duration_text(value)
    if abs(value) >= _ENOUGH:
        text = f"{value:.3g}"
    elif value == round(value):
        text = count_text(round(value))
    else:
        text = f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"
    return {"percent": f"{text} %", "seconds": f"{text} s", "per second": f"{text}/s"}.get(unit, text)


def time_marks(begin: float, end: float, most: int = 6) -> list[tuple[float, str]]:
    """At most ``most`` marks between two times (seconds since 1970), each with its words.

    A mark is a date, or a time of day; the first one, and each first one of a day, names the day in a second line.
    """
    step = next((n for n in _TIME_STEPS if (end - begin) / n <= most), _TIME_STEPS[-1])
    marks: list[tuple[float, str]] = []
    day = ""
    mark = -(-begin // step) * step
    while mark <= end and len(marks) <= most:
        moment = _EPOCH + timedelta(seconds=mark)
        date = f"{moment:%Y-%m-%d}"
        if step >= _DAY:
            marks.append((mark, date))
        else:
            clock = f"{moment:%H:%M}" if step >= 60 else f"{moment:%H:%M:%S}"
            marks.append((mark, clock if date == day else f"{clock}\n{date}"))
            day = date
        mark += step
    return marks


def moment_text(time: float, utc: bool) -> str:
    """A time in full: ``2008-03-26 10:12:00 UTC``, without a zone where that is not known."""
    text = f"{_EPOCH + timedelta(seconds=time):%Y-%m-%d %H:%M:%S}"
    return f"{text} UTC" if utc else text


def clock_text(utc: bool) -> str:
    """Whose clock the times are of."""
    return "Times in UTC" if utc else "Local time of the server; its zone is not known"
