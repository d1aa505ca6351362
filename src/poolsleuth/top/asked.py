"""What is typed at the prompts of ``poolsleuth top``: read here, with one clear sentence for what cannot be meant."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from poolsleuth.model.errors import InputError
from poolsleuth.report.chart_scale import moment_text
from poolsleuth.report.wording import count_text, short
from poolsleuth.sampling.sample import SYSTEM_POOLS, Floats
from poolsleuth.top.view import ViewOptions

MAX_TYPED = 300  # characters of one prompt that are read: more is a paste by mistake
EXPORTS = (".csv", ".md")
ALL_SESSIONS = -1
_TAG_LENGTH = 4
_DAY = 86_400.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 1e11  # seconds of a relative time: 3,000 years
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": _DAY, "w": 7 * _DAY}
_RELATIVE = re.compile(r"([+-])\s*((?:\d{1,9}(?:\.\d{1,3})?\s*[smhdw]\s*)+)", re.ASCII | re.IGNORECASE)
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([smhdw])", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)
_NUMBER = re.compile(r"#?\s*(\d{1,12})", re.ASCII)
_STEPS = re.compile(r"([+-])\s*(\d{1,12})", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}.*", re.ASCII | re.DOTALL)
_SESSION = re.compile(r"\d{1,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Include:
    """Show tags of this pattern (``*`` the rest, ``?`` any one character); None: all again."""

    pattern: str | None


@dataclass(frozen=True, slots=True)
class Exclude:
    """Leave out tags of this pattern; None: none any more."""

    pattern: str | None


@dataclass(frozen=True, slots=True)
class OfSession:
    """Show session pools: -1 all sessions, a number one of them; None the system pools."""

    session: int | None


@dataclass(frozen=True, slots=True)
class Search:
    """Show rows that hold these words; empty: all."""

    words: str


Command = Include | Exclude | OfSession | Search


def applied(options: ViewOptions, command: Command) -> ViewOptions:
    """What is shown after a command. Patterns are added to those that are there; a search takes the place of one."""
    match command:
        case Include(pattern):
            return replace(options, include=_added(options.include, pattern))
        case Exclude(pattern):
            return replace(options, exclude=_added(options.exclude, pattern))
        case OfSession(session):
            return replace(options, session=session)
        case Search(words):
            return replace(options, search=words)


def _added(patterns: tuple[str, ...], pattern: str | None) -> tuple[str, ...]:
    return () if pattern is None else tuple(dict.fromkeys((*patterns, pattern)))


def read_command(text: str) -> Command:
    """What is typed behind ``/``, as poolmon is started: ``iMm*``, ``xFile``, ``s1``; anything else searches.

    A blank or a quote in front searches for what begins with such a letter. Alone, ``i`` and ``x`` take their patterns
    back and ``s`` shows the system pools. Words longer than a tag search: ``xfs driver`` is no pattern.
    """
    text = _typed(text)
    if text[:1] in (" ", '"', "'"):
        return Search(text.strip(" \"'"))
    text = text.removeprefix("/").rstrip()
    letter, rest = text[:1], text[1:]
    if letter in ("i", "x") and _may_be_pattern(rest):
        kind = Include if letter == "i" else Exclude
        return kind(rest or None)
    if letter == "s" and (not rest or _SESSION.fullmatch(rest)):
        return OfSession(read_session(rest) if rest else None)
    return Search(text)


def _may_be_pattern(text: str) -> bool:
    return len(text.partition("*")[0]) <= _TAG_LENGTH and len(text) <= 2 * _TAG_LENGTH


def read_pattern(text: str) -> str:
    """A tag or a pattern of tags. Raises InputError for what no tag can fit."""
    pattern = _typed(text).strip()
    if not pattern:
        raise InputError("type a tag, such as File, or a pattern of tags, such as Mm* or ?oo")
    if not _may_be_pattern(pattern):
        raise InputError(
            f"{short(pattern, 30)} fits no tag: a tag has at most four characters (* stands for the rest, ? for one)"
        )
    return pattern


def read_session(text: str) -> int | None:
    """A session's number; empty (only ENTER) or ``all`` is -1, ``system`` is None. Raises InputError otherwise."""
    said = _typed(text).strip().casefold()
    if said in ("", "all", "*"):
        return ALL_SESSIONS
    if said in ("system", "none", "-"):
        return None
    if not _SESSION.fullmatch(said) or int(said) >= SYSTEM_POOLS:
        raise InputError(f"{short(text.strip(), 30)} is no session: type a number such as 1, or only ENTER for all")
    return int(said)


def read_export(text: str) -> Path:
    """A file to be written: ``.csv`` or ``.md`` says the form. Raises InputError when it exists or cannot be made."""
    name = _typed(text).strip()
    if not name:
        raise InputError("type a file name that ends in .csv or .md")
    shown = short(name, 120)
    if not name.isprintable():
        raise InputError(f"{shown} cannot be a file name here: it has characters that cannot be seen")
    try:
        path = Path(name).expanduser()
        if path.suffix.lower() not in EXPORTS:
            raise InputError(f"{shown}: end the name in .csv (for a spreadsheet) or .md (Markdown)")
        if path.exists() or path.is_symlink():
            raise InputError(f"{shown} exists and is not overwritten: give another name")
        if not path.parent.is_dir():
            raise InputError(f"{shown}: the folder {short(str(path.parent), 120)} does not exist")
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{shown} cannot be a file name here: {short(str(error), 120)}") from error
    return path


# ---- places in time ----


def read_place(text: str, times: Floats, place: int, *, utc: bool = True) -> int:
    """The place (from 0) to jump to among samples of these times (ascending; NaN where they are not known).

    ``2026-11-20T14:00``, ``14:00`` (of the day that is shown, else the nearest), ``+30m``, ``-2h``, ``1h30m`` further,
    ``start``, ``end``, ``12`` the twelfth sample, ``+5`` five samples further. Between two samples it is the earlier.
    Raises InputError with what to type.
    """
    said = _typed(text).strip()
    last = len(times) - 1
    if last < 0:
        raise InputError("there are no samples to jump to")
    if said.casefold() in ("end", "last", "now"):
        return last
    if said.casefold() in ("start", "begin", "first"):
        return 0
    if number := _NUMBER.fullmatch(said):
        if not 1 <= int(number[1]) <= last + 1:
            raise InputError(f"there is no sample {count_text(int(number[1]))}: they are 1 to {count_text(last + 1)}")
        return int(number[1]) - 1
    if steps := _STEPS.fullmatch(said):
        return min(last, max(0, place + int(steps[1] + steps[2])))
    dated = bool(np.isfinite(times).all())
    wanted = _wanted(said, times, min(max(place, 0), last), utc=utc) if dated else None
    if wanted is None:
        raise InputError(_help(said, dated=dated, last=last))
    return min(last, max(0, int(np.searchsorted(times, wanted, side="right")) - 1))


def _wanted(said: str, times: Floats, place: int, *, utc: bool) -> float | None:
    """Seconds since 1970, within the times; None for words that name no time. A relative time ends at the ends."""
    now, first, last = float(times[place]), float(times[0]), float(times[-1])
    if relative := _RELATIVE.fullmatch(said):
        seconds = sum(float(number) * _UNITS[unit.lower()] for number, unit in _PART.findall(relative[2]))
        return min(last, max(first, now + min(seconds, _LONGEST) * (-1 if relative[1] == "-" else 1)))
    if clock := _CLOCK.fullmatch(said):
        hour, minute, second = (int(part or 0) for part in clock.groups())
        if hour > 23 or minute > 59 or second > 59:
            return None
        return _of_day(hour * 3600.0 + minute * 60 + second, said, times, now, utc=utc)
    if not _DATE.fullmatch(said):
        return None
    return _inside(_absolute(said, utc=utc), said, times, utc=utc)


def _of_day(clock: float, said: str, times: Floats, now: float, *, utc: bool) -> float:
    """A time of day: of the day of ``now``, or of the nearest day that was watched then."""
    today = now - now % _DAY
    if times[0] <= today + clock <= times[-1]:
        return today + clock
    behind = today + clock - now
    ahead = behind if behind >= 0 else behind + _DAY
    near = sorted((now + ahead, now + ahead - _DAY), key=lambda time: abs(time - now))
    found = next((time for time in near if times[0] <= time <= times[-1]), None)
    return _inside(near[0], said, times, utc=utc) if found is None else found


def _absolute(said: str, *, utc: bool) -> float:
    text = re.sub(r"\s*(?:UTC|GMT)$", "Z", said, flags=re.IGNORECASE)
    try:
        head = re.sub(r"-(\d)(?=-|\D|$)", r"-0\1", text[:10]) + text[10:]
        moment = datetime.fromisoformat(head)
    except ValueError as error:
        raise InputError(f"{short(said, 40)} is no time: write 2026-11-20T14:00 or 2026-11-20 14:00:30") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    elif not utc:
        raise InputError("these times are the server's own, of a zone that is not known: leave the zone out")
    return (moment - _EPOCH) / timedelta(seconds=1)


def _inside(time: float, said: str, times: Floats, *, utc: bool) -> float:
    """The time, if something was recorded around it: one interval beyond the ends still counts as the ends."""
    first, last = float(times[0]), float(times[-1])
    grace = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    if not first - grace <= time <= last + grace:
        raise InputError(
            f"nothing was recorded at {short(said, 40)}: the samples reach from {moment_text(first, utc)} to"
            f" {moment_text(last, utc)}"
        )
    return min(last, max(first, time))


def _help(said: str, *, dated: bool, last: int) -> str:
    named = f"{short(said, 40)} is no place: " if said else ""
    if not dated:
        return (
            f"{named}these samples have no times: type a number from 1 to {count_text(last + 1)}, +5, -5, start or end"
        )
    return f"{named}type 14:00, 2026-11-20T14:00, +30m, -2h, start, end or a number"


def _typed(text: str) -> str:
    if len(text) > MAX_TYPED:
        raise InputError(f"that is too long: at most {MAX_TYPED} characters are read")
    return text
