"""All that is known of one tag at this moment, as plain data: figures, changes, owner, findings, what to do next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from poolsleuth.model.facts import Where
from poolsleuth.model.report import ReportFinding
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind, TagRow
from poolsleuth.patterns.tag_knowledge import family_hint, sure_note
from poolsleuth.patterns.wording import GROWTH_OF_TAG
from poolsleuth.report.wording import ordered_findings
from poolsleuth.sampling.sample import Floats
from poolsleuth.top.detail_steps import accuses, steps_for
from poolsleuth.top.history import ALLOCS, BYTES, OUTSTANDING, History
from poolsleuth.top.owners import NOBODY, Owners
from poolsleuth.top.tracker import FIGURES, SHORTEST_RATE, Since, State, Tracker
from poolsleuth.windows.shared_tags import ROUTINES
from poolsleuth.windows.tag_notes import Role, TagNote

MAX_ELSEWHERE = 40  # other pools and sessions of the same tag that are told: a terminal server has hundreds of sessions
_POOL_FIGURE = {PoolKind.NONPAGED: "nonpaged_used", PoolKind.PAGED: "paged_used"}
_NOWHERE = Where(0)
_SHARED = (Role.GENERIC, Role.UNTAGGED)


class Judged(Protocol):
    """What a verdict must tell."""

    @property
    def findings(self) -> Sequence[ReportFinding]:
        """All findings of the machine."""

    @property
    def limits(self) -> Mapping[PoolKind, int | None]:
        """The limits of the pools in bytes."""

    @property
    def guesses(self) -> frozenset[PoolKind]:
        """Of which pools the limit is no more than an upper bound."""


@dataclass(frozen=True, slots=True)
class Change:
    """How the figures changed since a moment; ``seconds`` ago, all None where not known.

    ``late``: that moment did not show the tag, so it is counted from the first sample behind it that did, taken at
    ``seen`` (seconds since 1970); ``seconds`` are from there.
    """

    since: Since
    seconds: float | None
    bytes: float | None
    outstanding: float | None
    allocs: float | None
    frees: float | None
    late: bool = False
    seen: float | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """One figure of the tag over the watch. ``unit`` is "bytes", "count" or "per second"; NaN is not known."""

    what: str
    unit: str
    times: Floats
    values: Floats


@dataclass(frozen=True, slots=True)
class Watched:
    """What the course of the bytes says. Times are seconds since 1970, None where not known or where it never was.

    ``fell`` is when it was last seen lower than in the sample before; ``moved`` False: it has not changed at all.
    ``kept`` of ``samples`` are what is remembered of a long watch; ``restarted`` is when Windows started amid it: then
    all is counted from there.
    """

    first: float | None
    peak: float | None
    peak_time: float | None
    fell: float | None
    moved: bool
    rate: float | None
    seconds: float | None
    kept: int
    samples: int
    restarted: float | None


@dataclass(frozen=True, slots=True)
class TagWriter:
    """Who writes the tag. ``how`` says how that is known, "" when nobody is; ``sure`` False: a guess.

    ``note`` is ours on exactly this tag, ``family`` one on tags that look like it: a hint. ``shared``: many drivers use
    it, so that it names none.
    """

    driver: str | None
    says: str | None
    how: str
    sure: bool
    note: TagNote | None = None
    family: TagNote | None = None
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailFacts:
    """One tag now. Figures are None where not known; bytes unless said otherwise.

    ``rate`` is bytes per hour over the last hour at most. ``share`` is of the pool's use, 0 to 1. ``limit`` is the
    pool's, ``limit_guessed`` when it is an upper bound only. ``elsewhere`` are other pools and sessions that hold the
    same tag, with their bytes, most first, ``more`` of them left out. ``findings`` have the tag as their subject,
    ``beside`` explain it or name it as a victim.
    """

    key: TagKey
    time: float | None
    utc: bool
    label: str
    shown: bool
    bytes: float | None
    outstanding: float | None
    allocs: float | None
    frees: float | None
    each: float | None
    allocs_per_second: float | None
    frees_per_second: float | None
    changes: tuple[Change, ...]
    rate: float | None
    watched: Watched
    share: float | None
    limit: float | None
    limit_guessed: bool
    elsewhere: tuple[tuple[TagKey, float | None], ...]
    more: int
    writer: TagWriter
    findings: tuple[ReportFinding, ...]
    beside: tuple[ReportFinding, ...]
    steps: tuple[str, ...]

    @property
    def accused(self) -> bool:
        """Whether something was found or suspected of the tag that is more than a remark."""
        return any(accuses(finding) for finding in self.findings)


def gather(
    tracker: Tracker,
    number: int,
    *,
    owners: Owners | None = None,
    judged: Judged | None = None,
    share: float | None = None,
) -> DetailFacts:
    """All about the tag of a number. ``share`` is the share of its pool where the caller knows it better."""
    key = tracker.index.keys[number]
    now = tracker.now
    size, outstanding, allocs, frees = (_at(now, figure, number) for figure in FIGURES)
    last = _change(tracker, number, Since.LAST)
    writer = writer_of(key, owners)
    findings = tuple(ordered_findings(f for f in judged.findings if _is_about(f, key))) if judged is not None else ()
    beside = tuple(f for f in judged.findings if f.holds and _touches(f, key)) if judged is not None else ()
    elsewhere = _elsewhere(tracker, key)
    limits: Mapping[PoolKind, int | None] = judged.limits if judged is not None and key.session is None else {}
    limit = limits.get(key.pool)
    return DetailFacts(
        key=key,
        time=None if now is None else _known(now.time),
        utc=tracker.host.utc,
        label="" if now is None else now.label,
        shown=now is not None and number < len(now.shown) and bool(now.shown[number]),
        bytes=size,
        outstanding=outstanding,
        allocs=allocs,
        frees=frees,
        each=size / outstanding if size is not None and outstanding else None,
        allocs_per_second=_per_second(last.allocs, last.seconds),
        frees_per_second=_per_second(last.frees, last.seconds),
        changes=tuple(
            _change(tracker, number, since)
            for since in Since
            if tracker.origin(since) is not None and (tracker.count > 1 or since is Since.MARK)
        ),
        rate=_of(tracker.rate(), number),
        watched=_watched(tracker.history, number),
        share=share if share is not None else _share(now, key, size),
        limit=None if limit is None else float(limit),
        limit_guessed=judged is not None and key.pool in judged.guesses,
        elsewhere=tuple(elsewhere[:MAX_ELSEWHERE]),
        more=max(0, len(elsewhere) - MAX_ELSEWHERE),
        writer=writer,
        findings=findings,
        beside=beside,
        steps=steps_for(key, writer.note, writer.driver if writer.sure else None, (*findings, *beside)),
    )


def courses(tracker: Tracker, number: int) -> tuple[Course, ...]:
    """The figures that can be drawn: bytes, outstanding allocations, allocations per second."""
    history = tracker.history
    times = history.times
    if not len(times):
        empty = np.empty(0)
        return (Course("Bytes", "bytes", empty, empty),)
    allocs = history.column(number, ALLOCS)
    seconds = np.diff(times)
    pace = np.full(len(times), np.nan)
    with np.errstate(all="ignore"):
        pace[1:] = np.where(seconds > 0, np.diff(allocs) / seconds, np.nan)
    pace[pace < 0] = np.nan  # the counter went round, or Windows was started again
    if history.begin:
        pace[history.begin] = np.nan
    return (
        Course("Bytes", "bytes", times, history.column(number, BYTES)),
        Course("Allocations not freed", "count", times, history.column(number, OUTSTANDING)),
        Course("Allocations per second", "per second", times, pace),
    )


def writer_of(key: TagKey, owners: Owners | None) -> TagWriter:
    """Who writes a tag, and how that is known."""
    description, binary = owners.row(key) if owners is not None else (None, None)
    pool = key.pool if key.session is None else PoolKind.SESSION
    row = TagRow(key.tag, pool, None, None, None, None, _NOWHERE, description, binary)
    note, family = sure_note(row), family_hint(row)
    owner = owners.of(key) if owners is not None else NOBODY
    shared = key.tag in ROUTINES or (note is not None and note.role in _SHARED)
    if owners is None and note is not None and not shared:
        return TagWriter(note.binary, None, "our notes on common tags", True, note)
    if owner.driver is None and owner.note is None:
        return TagWriter(None, None, "", False, note, family, shared)
    if family is not None and not owner.sure and owner.driver == family.binary:
        return TagWriter(owner.driver, None, f"a guess: tags like {family.pattern} are its", False, None, family)
    if owner.driver is not None and owner.driver == binary:
        how = "printed in the evidence"
    elif note is not None and owner.driver == note.binary and not shared:
        how = "our notes on common tags"
    elif shared:
        how = "a tag that many drivers share"
    else:
        how = "pooltag.txt" if owner.driver is not None else "what the evidence prints, or pooltag.txt"
    # Our note says more in its own place
    says = owner.note if note is None or description == owner.note else None
    return TagWriter(owner.driver, says, how, owner.sure, note, None, shared)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _of(values: Floats, number: int) -> float | None:
    return _known(float(values[number])) if number < len(values) else None


def _at(state: State | None, figure: str, number: int) -> float | None:
    return None if state is None else _of(state.of(figure), number)


def _change(tracker: Tracker, number: int, since: Since) -> Change:
    then, now = tracker.origin(since), tracker.now
    seconds = None if then is None or now is None else _known(now.time - then.time)

    def moved(figure: str) -> float | None:
        before, after = _at(then, figure, number), _at(now, figure, number)
        return None if before is None or after is None else after - before

    late = then is not None and number < len(then.late) and bool(then.late[number])
    seen: float | None = None
    if late and then is not None and now is not None:
        seen = _of(then.seen, number)
        seconds = None if seen is None else _known(now.time - seen)
    size, outstanding, allocs, frees = map(moved, FIGURES)
    return Change(since, seconds, size, outstanding, allocs, frees, late, seen)


def _per_second(change: float | None, seconds: float | None) -> float | None:
    # A counter that fell went round, or Windows was started again
    return change / seconds if change is not None and change >= 0 and seconds is not None and seconds > 0 else None


def _share(now: State | None, key: TagKey, size: float | None) -> float | None:
    name = _POOL_FIGURE.get(key.pool)
    if now is None or size is None or name is None or key.session is not None:
        return None
    whole = now.memory.get(name, np.nan)
    return min(size / whole, 1.0) if whole > 0 and size >= 0 else None


def _watched(history: History, number: int) -> Watched:
    times = history.times
    kept = len(times)
    begin = history.begin
    times = times[begin:]
    values = history.column(number)[begin:] if kept else np.empty(0)
    there = np.flatnonzero(np.isfinite(values))
    restarted = _known(float(times[0])) if begin and len(times) else None
    if not len(there):
        return Watched(None, None, None, None, False, None, None, kept, history.count, restarted)
    values, times = values[there], times[there]
    falls = np.flatnonzero(np.diff(values) < 0)
    peak = int(np.argmax(values))
    seconds = _known(float(times[-1] - times[0]))
    grown = float(values[-1] - values[0])
    return Watched(
        first=_known(float(times[0])),
        peak=float(values[peak]),
        peak_time=_known(float(times[peak])),
        fell=_known(float(times[falls[-1] + 1])) if len(falls) else None,
        moved=bool((values != values[0]).any()),
        rate=grown / seconds * 3600 if seconds is not None and seconds >= SHORTEST_RATE else None,
        seconds=seconds,
        kept=kept,
        samples=history.count,
        restarted=restarted,
    )


def _elsewhere(tracker: Tracker, key: TagKey) -> list[tuple[TagKey, float | None]]:
    """Other pools and sessions that hold the same tag now."""
    found = []
    for number, other in enumerate(tracker.index.keys):
        if other.tag == key.tag and other != key:
            size = _at(tracker.now, "bytes", number)
            if size or (size is None and tracker.now is not None and not tracker.now.complete):
                found.append((other, size))
    return sorted(found, key=lambda one: (-(one[1] or 0.0), str(one[0].pool), one[0].session or 0))


def _is_about(finding: ReportFinding, key: TagKey) -> bool:
    subject = finding.subject
    if subject.tag is None or subject.tag.rstrip() != key.tag:
        return False
    if key.session is None:
        return subject.session is None and subject.pool in (None, str(key.pool))
    if subject.session is None:  # of no session: then it may only be of all session pools, or of no pool at all
        return subject.pool in (None, PoolKind.SESSION)
    return key.session in (subject.session, -1) and subject.pool in (None, str(key.pool), PoolKind.SESSION)


def _touches(finding: ReportFinding, key: TagKey) -> bool:
    if _is_about(finding, key):
        return False
    victims = finding.roles.victims if finding.roles is not None else ()
    return key.tag in victims or f"{GROWTH_OF_TAG}{key.tag}" in finding.explains
