"""The verdict in one line: what matters most, in the words of somebody who looks over your shoulder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from math import isfinite

import numpy as np

from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.series import TagKey, moment
from poolsleuth.model.tags import PoolKind
from poolsleuth.patterns.conclusion import conclude
from poolsleuth.patterns.course.caution import A_SHIFT
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.courses import Courses
from poolsleuth.patterns.lines import Line
from poolsleuth.patterns.over_time import hours_until
from poolsleuth.patterns.wording import amount
from poolsleuth.report.wording import clean
from poolsleuth.top.history import BYTES
from poolsleuth.top.verdict_facts import Taken, sums_over_sessions
from poolsleuth.windows.counters import Unit

SHORTEST = 8  # characters: a line is never cut to less
WORTH_A_WORD = 64 << 10  # bytes: growth below it is not worth a word
_NEVER_DOWN = ", never came down"
_LEAST_HEAD = 24  # characters of a line's beginning that must stay where its middle is cut
_TOGETHER = "tags-growing-together"
_FEW_STEPS = 4  # samples: of fewer, "never came down" says little
_KB, _MB, _GB = 1 << 10, 1 << 20, 1 << 30
_GROWTH = frozenset({"pool-leak", "handle-leak", "untagged-allocations", "generic-tag", "unloaded-driver-leak"})
_SHARED = {"untagged-allocations": "memory without a tag", "generic-tag": "a tag that many drivers share"}
_ENDS = {"handle-leak": "handle leak"}
_ACCUSES = ": a leak is suspected"
_TOO_EARLY = ": leak or load, too early to tell"
_SEVERITY = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True, slots=True)
class Sentence:
    """``main`` is said always, of ``more`` what there is room for. ``short`` stands in where ``main`` is too long."""

    main: str
    more: tuple[str, ...] = ()
    short: str = ""

    def fitted(self, width: int) -> str:
        """At most ``width`` characters (``SHORTEST`` at least), nothing that could steer a terminal."""
        width = max(SHORTEST, width)
        text = clean(self.main)
        if len(text) > width and self.short:
            text = clean(self.short)
        if len(text) > width:
            return _cut(text, width)
        for part in self.more:
            for shorter in (part, part.removesuffix(_NEVER_DOWN)):
                longer = f"{text}; {clean(shorter)}"
                if len(longer) <= width:
                    text = longer
                    break
        return text

    @property
    def whole(self) -> str:
        """All of it."""
        return "; ".join(clean(part) for part in (self.main, *self.more))


def _cut(text: str, width: int) -> str:
    """A line cut to its width: of ``who and how: what it is`` the middle goes, not the end."""
    head, colon, end = text.rpartition(": ")
    room = width - len(end) - len("...: ")
    if colon and room >= _LEAST_HEAD:
        return f"{head[:room].rstrip(' ,;:(')}...: {end}"
    return text[: width - 3].rstrip(" ,;:") + "..."


def time_span(seconds: float) -> str:
    """ "12 min", "3 h 10 min", "26 h", "9 days"."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{max(0, round(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 10 and rest:
        return f"{hours} h {rest} min"
    return f"{round(minutes / 60)} h" if minutes < 72 * 60 else f"{round(minutes / 1440)} days"


def short_size(count: float) -> str:
    """Bytes in few characters: "640 KB", "3.1 MB", "11 MB"."""
    size = abs(count)
    for unit, name in ((_GB, "GB"), (_MB, "MB"), (_KB, "KB")):
        if size >= unit:
            value = size / unit
            return f"{'-' if count < 0 else ''}{value:.1f} {name}" if value < 9.95 else f"{count / unit:,.0f} {name}"
    return f"{count:.0f} bytes"


def name_of(tag: str) -> str:
    """A tag as it is said: what is not to be seen is made visible."""
    return clean(tag) if tag.strip() else "(blank)"


# ---- what was found --------------------------------------------------------------------------------------------------


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """What was found or suspected, the most important first: what the conclusion begins with, then by weight."""
    holding = [finding for finding in findings if finding.holds]
    conclusion = conclude(holding)
    if conclusion is None:
        return []
    heads = [f for f in holding if f.pattern == conclusion.pattern and f.verdict is conclusion.verdict]
    head = next((f for f in heads if f.headline[1:] in conclusion.says), heads[0] if heads else holding[0])
    rest = sorted(
        (f for f in holding if f is not head),
        key=lambda f: (f.verdict is not Verdict.FOUND, _SEVERITY[f.severity]),
    )
    return [head, *rest]


def is_early(finding: Finding, seconds: float | None) -> bool:
    """Whether a suspicion of growth is so young that a working day's load looks like it: then nobody is accused.

    ``seconds`` is how long was watched; None where that is not known, or where there will never be more to see.
    """
    unsure = finding.verdict is Verdict.SUSPECTED and finding.confidence is Confidence.LOW
    return unsure and finding.pattern in _GROWTH and seconds is not None and seconds < A_SHIFT * 3600


def leaks_first(findings: Sequence[Finding]) -> list[Finding]:
    """The same, but that tags grow in step stands behind the findings that name what leaks."""
    if not any(finding.pattern in _GROWTH for finding in findings):
        return list(findings)
    return sorted(findings, key=lambda finding: finding.pattern == _TOGETHER)


def sentence_of(
    finding: Finding, courses: Courses | None, *, early: bool = False, cut: float | None = None
) -> Sentence:
    """A finding in one line; ``early`` as ``is_early`` says.

    ``cut`` is the time of the last sample before Windows was started again: what grew before has come down since.
    """
    found = _course_of(finding, courses) if courses is not None and finding.pattern in _GROWTH else None
    if found is None or not found[0].grows:
        return _headline(finding, early=early)
    course, line = found
    who = _who(finding)
    end = _ENDS.get(finding.pattern, "leak")
    if early:
        end = _TOO_EARLY.removeprefix(": ")
    elif finding.verdict is Verdict.SUSPECTED:
        end += " suspected"
    elif finding.pattern in _SHARED:
        end += f" ({_SHARED[finding.pattern]})"
    more = tuple(_full(finding, line))
    if finding.pattern == "handle-leak" and finding.subject.tag is not None:
        who += " objects"
    many = who.endswith(("objects", "handles"))
    if course.kind is Kind.STEPS:
        grown = _figure(course.growth, line.unit)
        return Sentence(f"{who} grew by {grown} in {course.steps} steps and gave nothing back: {end}", more)
    pace = "grow" if many else "grows"
    if course.slope is not None and course.slope > 0:
        pace = f"{pace} {_figure(course.slope, line.unit)}/h"
    since = course.starts if course.starts is not None else float(line.times[0])
    if cut is not None and since <= cut:
        grew = pace.replace("grows", "grew").replace("grow ", "grew ")
        return Sentence(f"{who} {grew} before Windows was started again: {end}", more, f"{who} {grew}: {end}")
    lasts = time_span(float(line.times[-1]) - since)
    have = "have" if many else "has"
    return Sentence(f"{who} {pace} and {have} not come down for {lasts}: {end}", more, f"{who} {pace}: {end}")


def _headline(finding: Finding, *, early: bool) -> Sentence:
    """A finding in the words of its pattern; what stands behind a semicolon may go."""
    says, *more = finding.headline.split("; ")
    if finding.severity is Severity.INFO and finding.pattern == "pool-leak" and finding.subject.pool is not None:
        return Sentence(f"the {finding.subject.pool} pool rises, and whether that is load cannot be told yet")
    if early:
        says = says.partition(_ACCUSES)[0]
        return Sentence(says + _TOO_EARLY, tuple(more), says.partition(" (")[0] + _TOO_EARLY)
    return Sentence(says, tuple(more), says.partition(", ")[0] if finding.pattern.endswith("depletion") else "")


def _who(finding: Finding) -> str:
    subject = finding.subject
    if subject.tag is not None:
        who = name_of(subject.tag)
        if subject.session is not None:
            who += " of all sessions" if subject.session == -1 else f" of session {subject.session}"
        return f"{who} ({subject.driver})" if subject.driver else who
    if subject.process is not None:
        what = "handles" if finding.pattern == "handle-leak" else f"{subject.pool} pool"
        return f"{subject.process}'s {what}"
    return f"the {subject.pool} pool" if subject.pool is not None else finding.headline


def _course_of(finding: Finding, courses: Courses) -> tuple[Course, Line] | None:
    subject = finding.subject
    kind = next((kind for kind in PoolKind if str(kind) == subject.pool), None)
    if subject.tag is not None and kind is not None:
        tag = courses.tags.get(TagKey(subject.tag, kind, subject.session))
        if tag is None:
            return None
        if finding.pattern == "handle-leak":
            return courses.blocks(tag), tag.line.outstanding
        return tag.course, tag.shown
    if subject.process is not None:
        what = "handles" if finding.pattern == "handle-leak" else subject.pool
        for process in courses.processes:
            if process.process.name == subject.process and process.what == what:
                return process.course, process.line
        return None
    if kind in courses.pools:
        return courses.pools[kind], courses.lines.pools[kind]
    return None


def _full(finding: Finding, line: Line) -> Iterator[str]:
    at = finding.trend.limit_reached_at if finding.trend is not None else None
    hours = hours_until(at, line)
    if hours is not None and finding.subject.pool is not None:
        yield f"{finding.subject.pool} pool full in {time_span(max(0.0, hours) * 3600)}"


def _figure(value: float, unit: Unit) -> str:
    return short_size(value) if unit is Unit.BYTES else amount(value, unit)


# ---- what was not found ----------------------------------------------------------------------------------------------


def last_before_restart(taken: Taken) -> float | None:
    """The time of the last kept sample before Windows was started again; None where it was not, or is not known."""
    if not taken.restarted or not taken.begin:
        return None
    time = float(taken.times[taken.begin - 1])
    return time if isfinite(time) else None


def restart(taken: Taken) -> str:
    """ "Windows was started again at 10:30": by the first sample after it."""
    at = moment(taken.start.time)
    if at is None:
        return "Windows was started again"
    now = moment(taken.now.time)
    at = at.astimezone(UTC)
    today = now is not None and now.astimezone(UTC).date() == at.date()
    return f"Windows was started again at {at:%H:%M}" if today else f"Windows was started again at {at:%Y-%m-%d %H:%M}"


def watching(taken: Taken, samples: int, seconds: float) -> Sentence:
    """Before anything may be judged: how long that still takes, and what grows fastest, as it was seen."""
    watched = taken.seconds or 0.0
    until = f"after {time_span(seconds)}" if watched < seconds else f"after {samples} samples"
    main = f"watching for {time_span(watched)} ({_counted(taken.watched)}): the first verdict {until}"
    if taken.restarted:
        short = f"{restart(taken)}; watched since then"
        main = f"{short} for {time_span(watched)} ({_counted(taken.watched)}): a verdict {until}"
        return Sentence(main, tuple(_fastest(taken)), short)
    return Sentence(main, tuple(_fastest(taken)))


def nothing(taken: Taken, findings: Sequence[Finding], *, patient: bool, samples: int, seconds: float) -> Sentence:
    """Nothing was found: over which time, and what grew most all the same.

    ``samples`` and ``seconds`` are what growth is judged from; there are never so many where nobody is ``patient``.
    """
    more = []
    load = next((f for f in findings if f.holds and f.pattern == "pool-load" and f.subject.tag is not None), None)
    if load is not None and load.subject.tag is not None:
        more.append(f"{name_of(load.subject.tag)} came down again: load")
    more += _most_grown(taken)
    if taken.count == 1:
        return Sentence("a single capture: growth cannot be judged", ("nothing else stands out",))
    again = [restart(taken)] if taken.restarted else []
    if not patient and taken.count < samples:
        return Sentence(f"too few samples to judge growth ({taken.count} of {samples})", (*again, *more))
    if not patient and taken.whole is not None and taken.whole < seconds:
        span = f"{time_span(taken.whole)} of {time_span(seconds)}"
        return Sentence(f"watched for too short a time to judge growth ({span})", (*again, *more))
    if taken.seconds is not None and taken.seconds > 0:
        over = f"{time_span(taken.seconds)}, {_counted(taken.watched)}"
        if taken.restarted:
            since = restart(taken)
            short = since.replace("Windows was started again", "the restart")
            return Sentence(f"no leak found since {since} ({over})", tuple(more), f"no leak found since {short}")
        return Sentence(f"no leak found so far ({over})", tuple(more))
    more = [*again, *more]
    open_ = next((f for f in findings if f.pattern == "pool-leak" and f.verdict is Verdict.NOT_ASSESSED), None)
    if not patient and open_ is not None:
        more.insert(0, open_.headline)
    return Sentence(f"nothing stands out so far ({_counted(taken.count)})", tuple(more))


def rising(sentence: Sentence, finding: Finding, taken: Taken) -> Sentence:
    """The sentence on a pool that rises, with the tag of it that grew most, as it was seen."""
    if finding.subject.tag is not None:
        return sentence
    pool = next((kind for kind in PoolKind if str(kind) == finding.subject.pool), None)
    return replace(sentence, more=(*sentence.more, *_most_grown(taken, pool)))


def _counted(samples: int) -> str:
    return "1 sample" if samples == 1 else f"{samples:,} samples"


@dataclass(frozen=True, slots=True)
class _Grown:
    """A tag, by how many bytes it grew, and whether it went up in most samples and down in none."""

    name: str
    bytes: float
    steadily: bool


def _growth(taken: Taken, pool: PoolKind | None = None) -> _Grown | None:
    """The tag whose bytes grew most since it was first seen; None when none grew by a word's worth."""
    if taken.watched < 2:
        return None
    sizes = taken.tables[BYTES][taken.begin :]
    # A tag that the first table does not show grew from where it was first seen
    first = np.isfinite(sizes).argmax(axis=0)
    change = taken.now.bytes[: sizes.shape[1]] - sizes[first, np.arange(sizes.shape[1])]
    change[list(sums_over_sessions(taken.keys))] = np.nan
    if pool is not None:
        other = [key.pool is not pool or key.session is not None for key in taken.keys[: len(change)]]
        change[other] = np.nan
    change[~np.isfinite(change)] = np.nan
    if np.isnan(change).all():
        return None
    number = int(np.nanargmax(change))
    if change[number] < WORTH_A_WORD:
        return None
    course = sizes[:, number]
    # Only where every sample was kept is it known
    seen = len(course) == taken.watched >= _FEW_STEPS and bool(np.isfinite(course).all())
    steps = np.diff(course)
    steadily = seen and bool((steps >= 0).all()) and int((steps > 0).sum()) * 2 >= len(steps)
    return _Grown(name_of(taken.keys[number].tag), float(change[number]), steadily)


def _fastest(taken: Taken) -> Iterator[str]:
    grown = _growth(taken)
    if grown is not None and taken.seconds is not None and isfinite(taken.seconds) and taken.seconds >= 60:
        yield f"fastest so far: {grown.name} {short_size(grown.bytes * 3600 / taken.seconds)}/h"


def _most_grown(taken: Taken, pool: PoolKind | None = None) -> Iterator[str]:
    grown = _growth(taken, pool)
    if grown is not None:
        yield f"largest growth: {grown.name} {short_size(grown.bytes)}" + (_NEVER_DOWN * grown.steadily)
