"""The words, units and order that every output shares, so that two outputs never disagree about one number."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from poolsleuth.model.finding import Confidence, Severity, Subject, Trend, Verdict
from poolsleuth.model.report import ReportFinding, ReportInput, ReportProblem, ReportReason

UNKNOWN = "not known"

_UNITS = ("KB", "MB", "GB", "TB", "PB", "EB")
_BEYOND_BYTES = 1024**7
_BEYOND_COUNT = 10**24
_BEYOND_SECONDS = 100 * 366 * 86_400.0

_VERDICTS = {
    Verdict.FOUND: "found",
    Verdict.SUSPECTED: "suspected: a guess",
    Verdict.RULED_OUT: "ruled out",
    Verdict.NOT_ASSESSED: "not assessed",
}
_VERDICT_ORDER = {Verdict.FOUND: 0, Verdict.SUSPECTED: 0, Verdict.RULED_OUT: 1, Verdict.NOT_ASSESSED: 2}
_SEVERITY_ORDER = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}
_CONFIDENCE_ORDER = {Confidence.HIGH: 0, Confidence.MEDIUM: 1, Confidence.LOW: 2}
_POOLS = {"nonpaged": "nonpaged pool", "paged": "paged pool", "session": "session paged pool"}

# What a command of this field begins with. Only used where a step marks its command with no backticks.
_COMMAND_START = re.compile(
    r"[!.][A-Za-z_]\w*|(?:poolsleuth|poolmon|verifier|logman|strings|findstr|fltmc|sigcheck|wmic|sc|lmv?|dps|dt|x) \S"
)
_QUOTED = re.compile(r"`([^`]+)`")


# ---- text from a file ------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """The text with everything that could steer a terminal, a browser or a reader's eye made visible.

    Control characters (C0, DEL, C1, ESC), bidi overrides and isolates, zero-width characters, surrogates and
    unassigned characters become an escape such as ``\\x1b`` or ``\\u202e``; line breaks, tabs and odd blanks
    become a space, so that no file can write lines of its own into a report.
    """
    return text if text.isprintable() else text.translate(_VISIBLE)


class _Visible(dict[int, str]):
    """What each character is shown as, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if character.isprintable():
            shown = character
        elif character in "\t\n\r" or unicodedata.category(character) == "Zs":
            shown = " "
        elif code <= 0xFF:
            shown = f"\\x{code:02x}"
        else:
            shown = f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
        self[code] = shown
        return shown


_VISIBLE = _Visible()


def short(text: str, limit: int) -> str:
    """Cleaned text of at most ``limit`` characters; a cut text ends in ``...``."""
    # Cut before cleaning too: one character may become ten, and the text may be a hundred megabytes.
    visible = clean(text[: limit + 1])
    if len(visible) <= limit and len(text) <= limit:
        return visible
    return visible[: max(0, limit - 3)].rstrip() + "..."


# ---- numbers ---------------------------------------------------------------------------------------------------


def bytes_text(n: int | None) -> str:
    """Long form: ``97.1 MB (101,818,368 bytes)``."""
    if n is None:
        return UNKNOWN
    if abs(n) < 1024 or abs(n) >= _BEYOND_BYTES:
        return bytes_short(n)
    return f"{bytes_short(n)} ({n:,} bytes)"


def bytes_short(n: int | None) -> str:
    """Short form: ``97.1 MB``."""
    if n is None:
        return UNKNOWN
    if n <= -_BEYOND_BYTES:
        return "less than -1,024 EB"
    if n < 0:
        return f"-{bytes_short(-n)}"
    if n < 1024:
        return f"{n} byte" if n == 1 else f"{n} bytes"
    if n >= _BEYOND_BYTES:
        return "more than 1,024 EB"
    # Whole numbers only: a float cannot hold every size, and 1023.96 KB must become 1.0 MB, not 1024.0 KB.
    for power, unit in enumerate(_UNITS, start=1):
        tenths = (n * 10 + 1024**power // 2) // 1024**power
        if tenths < 10_240 or unit == _UNITS[-1]:
            break
    return f"{tenths // 10:,}.{tenths % 10} {unit}"


def count_text(n: int | None) -> str:
    """A count with thousands separated."""
    if n is None:
        return UNKNOWN
    if n >= _BEYOND_COUNT:
        return "more than 10^24"
    return f"{n:,}" if n > -_BEYOND_COUNT else "less than -10^24"


def plural(n: int, one: str, many: str | None = None) -> str:
    """``1 finding``, ``2 findings``."""
    return f"{count_text(n)} {one if n == 1 else many or one + 's'}"


def share(used: int | None, limit: int | None) -> float | None:
    """Used over limit, between 0 and 1 for a bar's length; None where either is not known or is no size."""
    if used is None or limit is None or limit <= 0 or used < 0:
        return None
    return min(used * 10_000 // limit, 10_000) / 10_000


def percent_text(used: int | None, limit: int | None) -> str:
    """``98.1 %``, or an empty string where there is no percentage. Never ``100.0 %`` for less than all."""
    if used is None or limit is None or limit <= 0 or used < 0:
        return ""
    tenths = (used * 1000 + limit // 2) // limit
    if tenths >= 1000 and used < limit:
        tenths = 999
    if tenths == 0 and used > 0:
        return "<0.1 %"
    return ">1,000 %" if tenths > 10_000 else f"{tenths // 10}.{tenths % 10} %"


def time_text(moment: datetime | None) -> str:
    """A time in UTC to the second."""
    if moment is None:
        return UNKNOWN
    try:
        moment = moment.astimezone(UTC)
    except (OverflowError, ValueError):  # the first or the last day that a datetime can hold
        return clean(moment.isoformat(" ", "seconds"))
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def duration_text(seconds: float | None) -> str:
    """``3 days 4 h``, ``4 h 10 min``, ``35 s``."""
    if seconds is None:
        return UNKNOWN
    if not 0 <= seconds < _BEYOND_SECONDS:
        return "not believable"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{plural(days, 'day')} {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


# ---- words -----------------------------------------------------------------------------------------------------


def verdict_word(verdict: Verdict) -> str:
    """The verdict as it is said; a suspicion is called a guess."""
    return _VERDICTS[verdict]


def pool_name(pool: str | None, session: int | None = None) -> str:
    """``nonpaged pool``; a word that is not ours is shown as it is."""
    if pool is None:
        return UNKNOWN
    name = _POOLS.get(pool, clean(pool))
    if session is None:
        return name
    return f"{name}, all sessions" if session == -1 else f"{name}, session {count_text(session)}"


def session_text(session: int | None) -> str:
    """A session's number; -1 stands for all of them, None for the system."""
    return "" if session is None else "all" if session == -1 else count_text(session)


def subject_text(subject: Subject, limit: int = 200) -> str:
    """What a finding is about, in one line; empty when it is about no one thing."""
    said = [pool_name(short(subject.pool, limit)) if subject.pool else "", f"tag {subject.tag}" if subject.tag else ""]
    said.append(f"driver {subject.driver}" if subject.driver else "")
    said.append("" if subject.session is None else f"session {session_text(subject.session)}")
    said.append(f"resource {subject.resource}" if subject.resource else "")
    said.append(f"process {subject.process}" if subject.process else "")
    return ", ".join(short(words, limit) for words in said if words)


def trend_text(trend: Trend) -> str:
    """Growth over time with its interval, in one sentence."""
    text = (
        f"{_rate(trend.bytes_per_hour)} per hour "
        f"(between {_rate(trend.low)} and {_rate(trend.high)}, as far as the samples can say)"
    )
    if trend.allocs_per_hour is not None:
        text += f", {count_text(_whole(trend.allocs_per_hour))} allocations per hour"
    if trend.limit_reached_at is not None:
        text += f"; at this rate the limit is reached at {time_text(trend.limit_reached_at)}"
    return text


def _rate(value: float) -> str:
    return bytes_short(_whole(value))


def _whole(value: float) -> int:
    return round(value) if abs(value) < _BEYOND_COUNT * 10 else _BEYOND_COUNT * (10 if value > 0 else -10)


def place_text(place: ReportReason | ReportProblem, inputs: Sequence[ReportInput], limit: int = 300) -> str:
    """``kd.log, line 74``; empty when the place is not known. An input that the sentence names is not named again."""
    words = []
    named = place.input is not None and 0 <= place.input < len(inputs) and inputs[place.input].name in place.says
    if place.input is not None and not named:
        known = 0 <= place.input < len(inputs)
        words.append(short(inputs[place.input].name, limit) if known else f"input {count_text(place.input)}")
    if place.at:
        words.append(short(place.at, limit))
    return ", ".join(words)


# ---- next steps ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StepPart:
    """A stretch of a next step: words, or a command to be typed exactly as it stands."""

    text: str
    command: bool


def step_parts(step: str) -> tuple[StepPart, ...]:
    """Words and commands of a next step, cleaned.

    A command stands in backticks. Where a step has none, a step that is a command, or whose words before the
    last ``": "`` introduce one, is read so; anything else is words.
    """
    step = clean(step).strip()
    parts: list[StepPart] = []
    at = 0
    for quoted in _QUOTED.finditer(step):
        if quoted.start() > at:
            parts.append(StepPart(step[at : quoted.start()], command=False))
        parts.append(StepPart(quoted.group(1), command=True))
        at = quoted.end()
    if at < len(step):
        parts.append(StepPart(step[at:], command=False))
    if any(part.command for part in parts):
        return tuple(parts)
    before, colon, after = step.rpartition(": ")
    if not _COMMAND_START.match(after):
        return tuple(parts)
    words = (StepPart(before + colon, command=False),) if colon else ()
    return (*words, StepPart(after, command=True))


# ---- order -----------------------------------------------------------------------------------------------------


def ordered_findings(findings: Iterable[ReportFinding], concluded: str | None = None) -> list[ReportFinding]:
    """The findings that bear the conclusion (its pattern is ``concluded``) first, then what else was found or suspected
    by severity and confidence; then what is ruled out; then what is not assessed."""
    return sorted(
        findings,
        key=lambda f: (
            not (f.holds and f.pattern == concluded),
            _VERDICT_ORDER[f.verdict],
            _SEVERITY_ORDER[f.severity] if f.holds else 0,
            f.verdict is not Verdict.FOUND if f.holds else False,
            _CONFIDENCE_ORDER[f.confidence] if f.holds else 0,
        ),
    )


def severity_rank(severity: Severity | None) -> int:
    """0 for the worst; None (nothing holds) ranks last."""
    return len(_SEVERITY_ORDER) if severity is None else _SEVERITY_ORDER[severity]
