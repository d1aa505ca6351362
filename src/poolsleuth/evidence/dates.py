"""Dates in free text: found in a line in many countries' forms, and understood over a whole column of them.

03/04/2008 is in March or in April: no single line tells. All dates of one input are read in the same order, and that
order must be proved (a number above 12, the day of the week, times that go on, even steps). Otherwise all stay unknown.
"""

import math
import re
from calendar import timegm
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from statistics import median

from poolsleuth.evidence.date_words import DAYS, EASTERN_PAGES, MONTHS, without_signs
from poolsleuth.evidence.debugger_log.decode import narrow

MAX_SHOWN = 60  # characters of a date that cannot be read, in the sentence that says so
MAX_LINE = 300  # characters of a line in which a date is looked for: the lines that collectors write are short
_YEARS = range(1980, 2100)  # a "year" outside is part of a version or an address
_EVEN = 3.0  # the longest step of an even course, in median steps (a collector may have missed two)
_STEPS = 3  # and more tell whether a course is even
_UNEVEN = 10.0  # times longer than that is the longest step of the order that is refused
_DAMAGED = 0.02  # of the dates may be no dates in the order that is read
_DAY = 86_400.0
_NEAR = 2 * _DAY  # of the file's own time: a day, and the distance of the time zones

_MIXED = "no order of day and month fits all of its dates"

_WORD = r"[^\W\d_]{3,10}"
_SEPARATED = r"(?:[ ]{0,3}[-/.,][ ]{0,3}|[ ]{1,3})"
_DATES = (
    ("iso", re.compile(r"(?<![\d.])(?P<y>\d{4})[-/.](?P<a>\d{1,2})[-/.](?P<b>\d{1,2})(?!\d)")),
    ("iso", re.compile(r"(?<!\d)(?P<y>(?:19|20)\d{2})(?P<a>\d{2})(?P<b>\d{2})(?=[T _-]?\d{6}(?!\d))")),
    (
        "numbers",
        re.compile(r"(?<![\d.:/-])(?P<a>\d{1,2})(?P<s>[-/.])[ ]?(?P<b>\d{1,2})(?P=s)[ ]?(?P<y>\d{4}|\d{2})(?!\d)"),
    ),
    (
        "words",
        re.compile(
            rf"(?<![\d:.])(?P<b>\d{{1,2}})(?:st|nd|rd|th|er|\.|º)?{_SEPARATED}?(?:de[ ])?(?P<m>{_WORD})\.?{_SEPARATED}"
            r"(?:de[ ])?(?P<y>\d{4}|\d{2}(?=[ ,]|$))(?!\d)"
        ),
    ),
    (
        "words",
        re.compile(rf"(?P<m>{_WORD})\.?[ ]{{1,3}}(?P<b>\d{{1,2}})(?:st|nd|rd|th)?,?[ ]{{1,3}}(?P<y>\d{{4}})(?!\d)"),
    ),
    (  # the form of asctime and of Unix's date: Thu Mar 27 10:15:00 2008
        "words",
        re.compile(
            rf"(?P<m>{_WORD})[ ]{{1,3}}(?P<b>\d{{1,2}})[ ]{{1,3}}(?P<time>\d{{1,2}}:\d{{2}}:\d{{2}}(?:\.\d{{1,9}})?)"
            r"(?:[ ]{1,3}[A-Z]{2,5})?[ ]{1,3}(?P<y>\d{4})(?!\d)"
        ),
    ),
)
_CLOCK = (
    r"(?P<h>\d{1,2})(?P<dot>[:.])(?P<min>\d{2})(?:(?P=dot)(?P<sec>\d{2})(?:[.,](?P<part>\d{1,9})\d{0,9})?)?"
    r"(?!\d)(?:[ \u202f\u00a0]{0,2}(?P<half>[AaPp])[.]?[ ]?[Mm]\b[.]?)?"
    r"(?:[ ]{0,2}(?:(?P<zero>Z\b|UTC\b(?![+-])|GMT\b(?![+-]))"
    r"|(?:UTC|GMT)?(?P<sign>[+-])(?P<oh>\d{2}):?(?P<om>\d{2})(?!\d)))?"
)
_BEHIND = re.compile(rf"(?:[ ]{{0,4}}(?:[T,_-]|at|um|à|kl\.?)?[ ]{{0,4}}){_CLOCK}", re.IGNORECASE)
# As in names of files, and WMI's own form: 20080327101500.000000+060, with the minutes east of UTC
_PACKED = re.compile(
    r"[T _-]?(?P<h>\d{2})(?P<min>\d{2})(?P<sec>\d{2})(?!\d)"
    r"(?:(?P<zero>Z)|\.(?P<part>\d{6})(?P<sign>[+-])(?P<minutes>\d{3})(?!\d))?"
)
_ANYWHERE = re.compile(rf"(?<![\d.:]){_CLOCK}")
_COLON = re.compile(r"(?<![\d.:])\d{1,2}:\d{2}")
_AMOUNT = re.compile(rb"\d[ ]?K\b")  # figures of memory, as in poolmon's header lines
_YEAR = re.compile(rb"(?<!\d)\d{4}(?!\d)")
# Three numbers with a little between them, or a year and two such numbers
_DATE_LIKE = re.compile(
    rb"(?<![\d.])(?:\d{1,2}[^\w\s]\s?\d{1,2}[^\w\s]\s?(?:\d{4}|\d{2})|\d{4}[^\w\s]\s?\d{1,2}[^\w\s]\s?\d{1,2})(?!\d|[.]\d)"
    rb"|(?<!\d)\d{1,4}[^\d\s]{1,8}[ ]?\d{1,2}[^\d\s:]{1,8}[ ]?\d{1,2}[^\d\s:]{1,8}[ ]"
    rb"|(?<!\d)\d{1,2}[ ].{1,40}[ ]\d{4}[ ].{0,20}\d{1,2}:\d{2}"
)
_NAME = re.compile(r"[^\W\d_]{2,12}(?:-feira)?")


@dataclass(frozen=True, slots=True)
class DateText:
    """What one text prints: a day, a time of the day, or both.

    ``first`` and ``second`` are month and day when ``known``, else two numbers of which one is the month. ``day`` is
    the day of the week (Monday 0), ``seconds`` the time of the day, ``offset`` seconds east of UTC. None is what the
    text does not print; a text with ``year`` None prints a time only.
    """

    year: int | None = None
    first: int = 0
    second: int = 0
    known: bool = False
    day: int | None = None
    seconds: float | None = None
    offset: int | None = None

    def moment(self, month_first: bool) -> float | None:
        """Seconds since 1970, of UTC where the text tells its offset, else local. None for what is no date."""
        if self.year is None:
            return None
        month, day = (self.first, self.second) if self.known or month_first else (self.second, self.first)
        try:
            date = datetime(self.year, month, day)
        except ValueError:
            return None
        if self.day is not None and not self.known and date.weekday() != self.day:
            return None
        return timegm(date.timetuple()) + (self.seconds or 0.0) - (self.offset or 0)


def find_date(line: str) -> DateText | None:
    """The date and time that stand in a line, or a date alone, or a time alone; None when there is neither."""
    if len(line) > MAX_LINE:
        return None
    if not line.isascii():
        line = without_signs(line)
    for kind, expression in _DATES:
        for match in expression.finditer(line):
            found = _day(kind, match)
            if found is not None:
                return _with_time(found, line, match)
    match_time = _ANYWHERE.search(line) if _COLON.search(line) else None
    if match_time is None or match_time["dot"] != ":":
        return None
    alone = _clock(DateText(), match_time)
    return alone if alone.seconds is not None else None


def date_in(line: bytes) -> DateText | None:
    """The same for a line whose encoding is not known: UTF-8, cp1252, or what the far East writes."""
    if not line.isascii() and len(line) <= MAX_LINE:
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            # A page that is not the text's own does not make the signs for year, month, day and half a day out of it
            for page in EASTERN_PAGES:
                text = line.decode(page, errors="replace").strip()
                eastern = find_date(text) if without_signs(text) != text else None
                if eastern is not None and eastern.year is not None:
                    return eastern
    return find_date(narrow(line).strip())


def unread_date(line: bytes) -> str | None:
    """What a line shows that looks like a date, and is none that ``date_in`` reads; None for any other line."""
    if len(line) > MAX_LINE or (_AMOUNT.search(line) and not _DATE_LIKE.search(line)):
        return None
    text = narrow(line).strip()
    found = date_in(line)
    if found is not None and (found.year is not None or not re.search(r"\d", _ANYWHERE.sub("", text))):
        return None  # a date, or nothing but a time: its date may stand on a line of its own
    return text[:MAX_SHOWN] if _DATE_LIKE.search(line) or (found is not None and _YEAR.search(line)) else None


def _day(kind: str, match: re.Match[str]) -> DateText | None:
    year = int(match["y"])
    if len(match["y"]) == 2:
        year += 2000 if year < 80 else 1900
    if year not in _YEARS:
        return None
    weekday = None
    names = _NAME.findall(match.string[max(0, match.start() - 16) : match.start()])
    if names:
        weekday = DAYS.get(names[-1].lower())
    second = int(match["b"])
    if kind == "words":
        month = MONTHS.get(match["m"].lower())
        return DateText(year, month, second, True, weekday) if month is not None and 1 <= second <= 31 else None
    first = int(match["a"])
    if kind == "iso":
        return DateText(year, first, second, True, weekday) if 1 <= first <= 12 and 1 <= second <= 31 else None
    if not (1 <= min(first, second) <= 12 and max(first, second) <= 31):
        return None
    if match["s"] == ".":
        # No country writes the month first between dots
        return DateText(year, second, first, True, weekday) if second <= 12 else None
    return DateText(year, first, second, False, weekday)


def _with_time(found: DateText, line: str, match: re.Match[str]) -> DateText:
    groups = match.groupdict()
    if groups.get("time"):
        inner = _ANYWHERE.match(line, match.start("time"))
        return _clock(found, inner) if inner is not None else found
    behind = _PACKED.match(line, match.end()) or _BEHIND.match(line, match.end())
    if behind is not None:
        return _clock(found, behind)
    other = _ANYWHERE.search(line, match.end()) or _ANYWHERE.search(line, 0, match.start())
    return _clock(found, other) if other is not None and other["dot"] == ":" else found


def _clock(found: DateText, match: re.Match[str]) -> DateText:
    groups = match.groupdict()
    hour, minute, second = int(match["h"]), int(match["min"]), int(match["sec"] or 0)
    half = (groups.get("half") or "").lower()
    if half:
        if not 1 <= hour <= 12:
            return found
        hour = hour % 12 + (12 if half == "p" else 0)
    if hour > 23 or minute > 59 or second > 60:
        return found
    part = groups.get("part")
    seconds = hour * 3600 + minute * 60 + second + (float(f"0.{part}") if part else 0.0)
    offset: int | None = 0 if groups.get("zero") else None
    if groups.get("sign"):
        minutes = groups.get("minutes")
        east = int(minutes) if minutes else int(match["oh"]) * 60 + int(match["om"])
        offset = east * 60 * (-1 if match["sign"] == "-" else 1)
    return replace(found, seconds=seconds, offset=offset)


def joined(texts: Sequence[DateText]) -> list[DateText]:
    """Dates that were printed on one line and their times on the next (``date /t`` and ``time /t``) as one each."""
    result: list[DateText] = []
    for text in texts:
        last = result[-1] if result else None
        if last is not None and last.year is not None and last.seconds is None and text.year is None:
            result[-1] = replace(last, seconds=text.seconds, offset=text.offset)
        elif last is not None and last.year is None and text.year is not None and text.seconds is None:
            result[-1] = replace(text, seconds=last.seconds, offset=last.offset)
        else:
            result.append(text)
    return [text for text in result if text.year is not None]


@dataclass(frozen=True, slots=True)
class Dated:
    """A column of dates understood. ``times`` are seconds since 1970, NaN where unknown; local unless ``utc``.

    ``how`` says in words which order of day and month was read and why, empty when nothing was open. ``problem`` says
    why all times are unknown although there are dates, None when they are not.
    """

    times: list[float]
    utc: bool
    how: str = ""
    problem: str | None = None


def understand(texts: Sequence[DateText | None], written: float | None = None) -> Dated:
    """The times of a column of dates in the order of the input, some of which may be missing (None).

    ``written`` is when the file was last changed, seconds since 1970 UTC; None when not known.
    """
    there = [text for text in texts if text is not None]
    utc = bool(there) and all(text.offset is not None for text in there)
    if not utc:
        texts = [replace(text, offset=None) if text is not None else None for text in texts]
    month_first, day_first = _times(texts, True), _times(texts, False)
    if month_first == day_first or all(text.known for text in there):
        return Dated(_unknown_as_nan(month_first), utc)
    lost = [sum(time is None for time in times) for times in (month_first, day_first)]
    how = ""
    if lost[0] != lost[1]:
        # A number above 12, or the day of the week, leaves one order; a few damaged dates prove nothing against it
        if min(lost) - sum(text is None for text in texts) > _DAMAGED * len(there):
            return _open(texts, utc, _MIXED)
        chosen = month_first if lost[0] < lost[1] else day_first
    elif lost[0] > sum(text is None for text in texts):
        return _open(texts, utc, _MIXED)
    else:
        better, how = _by_course(_known(month_first), _known(day_first), written)
        if better is None:
            return _open(texts, utc, "day and month of its dates can be read in both orders")
        chosen = month_first if better else day_first
    if how:
        how = f"read as {'month/day/year' if chosen is month_first else 'day/month/year'}: {how}"
    return Dated(_unknown_as_nan(chosen), utc, how)


def _open(texts: Sequence[DateText | None], utc: bool, why: str) -> Dated:
    return Dated([math.nan] * len(texts), utc, problem=why)


def _times(texts: Sequence[DateText | None], month_first: bool) -> list[float | None]:
    return [text.moment(month_first) if text is not None else None for text in texts]


def _known(times: Sequence[float | None]) -> list[float]:
    return [time for time in times if time is not None]


def _unknown_as_nan(times: Sequence[float | None]) -> list[float]:
    return [math.nan if time is None else time for time in times]


def _by_course(month_first: list[float], day_first: list[float], written: float | None) -> tuple[bool | None, str]:
    """Which order the course of the times proves (True: month first), and why; None when neither."""
    rising = [all(a <= b for a, b in pairwise(times)) for times in (month_first, day_first)]
    if rising[0] != rising[1]:
        return rising[0], "only so do its times go on"
    if not any(rising):
        return None, ""
    steps = [[b - a for a, b in pairwise(times) if b > a] for times in (month_first, day_first)]
    if all(len(step) >= _STEPS for step in steps):
        longest = [max(step) for step in steps]
        even = [max(step) <= _EVEN * median(step) for step in steps]
        for mine, other in ((0, 1), (1, 0)):
            if even[mine] and longest[other] > _UNEVEN * longest[mine]:
                return mine == 0, "only so are its steps even"
    if written is not None:
        near = [abs(times[-1] - written) <= _NEAR for times in (month_first, day_first)]
        if near[0] != near[1]:
            return near[0], "only so does it end when the file was written"
    return None, ""
