"""The verdict so far: what the patterns of the diagnosis say of the samples that were seen, in one line and in full."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from poolsleuth.compose import report_finding
from poolsleuth.evidence.recording_processes import ProcessCounters
from poolsleuth.model.facts import Problem
from poolsleuth.model.finding import Finding, Severity
from poolsleuth.model.finding import Verdict as Found
from poolsleuth.model.machine import System
from poolsleuth.model.report import ReportFinding
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind, TagDescription
from poolsleuth.patterns.course.evidence import FEWEST_SAMPLES, SHORTEST_HOURS
from poolsleuth.patterns.courses import Courses
from poolsleuth.patterns.pattern import Evidence
from poolsleuth.patterns.views import PoolStates
from poolsleuth.pipeline import findings_of
from poolsleuth.top.owners import Owners
from poolsleuth.top.replay_known import Known
from poolsleuth.top.tracker import Tracker
from poolsleuth.top.verdict_background import BackgroundJudge
from poolsleuth.top.verdict_facts import Source, Taken, system_of, taken_from
from poolsleuth.top.verdict_words import (
    Sentence,
    in_order,
    is_early,
    last_before_restart,
    leaks_first,
    nothing,
    restart,
    rising,
    sentence_of,
    watching,
)

__all__ = ["BackgroundJudge", "Judge", "Level", "Verdict", "system_of"]

Level = Literal["none", "watching", "suspected", "found"]

ENOUGH_SAMPLES = FEWEST_SAMPLES
ENOUGH_SECONDS = SHORTEST_HOURS * 3600
MAX_LINES = 12  # beside the first: more is for a report
# What one sample shows for certain: that something is full. The rest needs time.
_AT_ONCE = frozenset(
    {
        "nonpaged-pool-depletion",
        "paged-pool-depletion",
        "session-pool-depletion",
        "system-pte-depletion",
        "commit-exhaustion",
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """The verdict after ``count`` samples, at the time ``at`` (seconds, NaN where not known).

    ``level`` is for colour: "found" and "suspected" when something is wrong, "watching" while nothing can be said yet,
    "none" when nothing is. ``sentences`` are one line for each thing found or suspected, the most important first.
    ``findings`` are all of them, also what was ruled out. ``limits`` are the limits by which the pools are judged, in
    bytes, None where not known; those in ``guesses`` are upper bounds by rule, and ``limit_sources`` says why.
    """

    level: Level
    at: float
    count: int
    sentences: tuple[Sentence, ...]
    findings: tuple[ReportFinding, ...] = ()
    limits: Mapping[PoolKind, int | None] = field(default_factory=dict)
    guesses: frozenset[PoolKind] = frozenset()
    limit_sources: Mapping[PoolKind, str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The verdict in one line, as long as it is; without control characters."""
        return self.sentences[0].whole

    def fitted(self, width: int) -> str:
        """The verdict in one line of at most ``width`` characters."""
        return self.sentences[0].fitted(width)

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each thing found or suspected, the most important first."""
        return tuple(sentence.whole for sentence in self.sentences)

    def of(self, key: TagKey) -> tuple[ReportFinding, ...]:
        """What was found, suspected or ruled out of one tag."""
        return tuple(
            finding
            for finding in self.findings
            if finding.subject.tag == key.tag
            and finding.subject.session == key.session
            and finding.subject.pool in (None, str(key.pool))
        )


class Judge:
    """Judges what a tracker has seen, by the project's own patterns.

    ``known`` is what the evidence says beside the samples. ``patient`` is False where there will never be enough
    samples to judge growth (a dump, two captures): then everything is judged at once as a single capture is. ``end`` is
    the time of the last sample of a replay. ``history`` is False where the evidence has single tables only;
    ``dated_by`` says where its times come from. Every method is for the thread that feeds the tracker, but
    ``judge_taken``.
    """

    def __init__(
        self,
        system: System,
        descriptions: Iterable[TagDescription] = (),
        known: Sequence[Known] = (),
        *,
        patient: bool = True,
        end: float | None = None,
        history: bool = True,
        dated_by: str = "",
    ) -> None:
        self.system = system
        self.patient = patient
        self._descriptions = tuple(descriptions)
        owners = Owners(system, (), (one.fact for one in known))
        self._source = Source(known, end, history, dated_by, owners.row)
        self._processes = ProcessCounters()
        self._last = float("-inf")

    def judge(self, tracker: Tracker) -> Verdict:
        """The verdict on what the tracker has seen so far. Never raises for what samples hold."""
        self.see(tracker)
        taken = self.take(tracker)
        if taken is None:
            return Verdict("watching", float("nan"), 0, (Sentence("waiting for the first sample"),))
        return self.judge_taken(taken)

    def see(self, tracker: Tracker) -> None:
        """Remember the processes of the last sample: a tracker does not."""
        sample = tracker.last
        if sample is None or not sample.processes or sample.time == self._last:
            return
        if sample.time < self._last:
            self._processes = ProcessCounters()  # a replay went back
        self._last = sample.time
        self._processes.add(sample.time, sample.processes)

    def take(self, tracker: Tracker) -> Taken | None:
        """A copy of what the tracker knows, for ``judge_taken``; None before the first sample."""
        return taken_from(tracker, self._processes)

    def judge_taken(self, taken: Taken) -> Verdict:
        """The verdict on a copy; for any thread."""
        try:
            with np.errstate(all="ignore"):  # a warning on standard error would stand in the middle of the screen
                return self._judged(taken)
        except Exception as error:  # the screen goes on, whatever a pattern or a file makes of it
            says = Sentence(f"the verdict could not be formed (internal error: {error!r})")
            return Verdict("none", taken.now.time, taken.count, (says,))

    def _judged(self, taken: Taken) -> Verdict:
        machine = self._source.machine(taken, self.system)
        evidence = Evidence(machine, self._descriptions)
        problems: list[Problem] = []
        findings = findings_of(evidence, problems)
        early = self.patient and (taken.count < ENOUGH_SAMPLES or (taken.whole or 0.0) < ENOUGH_SECONDS)
        fresh = self.patient and (taken.watched < ENOUGH_SAMPLES or (taken.seconds or 0.0) < ENOUGH_SECONDS)
        if early:
            findings = [f for f in findings if f.pattern in _AT_ONCE]
        courses: Courses | None = evidence.one(Courses)
        holding = in_order(findings)
        serious = [f for f in holding if f.severity is not Severity.INFO]
        watched = taken.seconds if self.patient else None
        # Who is only watched stands behind what is found or suspected
        young = {id(f) for f in serious if is_early(f, watched)}
        serious.sort(key=lambda f: id(f) in young)
        serious = leaks_first(serious)
        cut = last_before_restart(taken)
        sentences = [sentence_of(f, courses, early=id(f) in young, cut=cut) for f in serious[: MAX_LINES + 1]]
        if sentences and taken.restarted:
            sentences[0] = replace(sentences[0], more=(*sentences[0].more, restart(taken)))
        level = _level(serious)
        if serious and id(serious[0]) in young:
            level = "watching"
        if early:
            waits = watching(taken, ENOUGH_SAMPLES, ENOUGH_SECONDS)
            sentences.append(waits)
            level = level if level != "none" else "watching"
        elif fresh and not serious:
            sentences, level = [watching(taken, ENOUGH_SAMPLES, ENOUGH_SECONDS)], "watching"
        elif not serious:
            sentences, level = _calm(taken, findings, holding, patient=self.patient)
        sentences += [Sentence(problem.says) for problem in problems]
        limits = _limits(evidence.one(PoolStates))
        return Verdict(
            level=level,
            at=taken.now.time,
            count=taken.count,
            sentences=tuple(sentences),
            findings=tuple(report_finding(finding) for finding in findings),
            limits=limits.limits,
            guesses=limits.guesses,
            limit_sources=limits.sources,
        )


def _level(serious: Sequence[Finding]) -> Level:
    if not serious:
        return "none"
    return "found" if serious[0].verdict is Found.FOUND else "suspected"


def _calm(
    taken: Taken, findings: Sequence[Finding], holding: Sequence[Finding], *, patient: bool
) -> tuple[list[Sentence], Level]:
    """Nothing is wrong; what rises and cannot be told from load yet is still watched."""
    calm = nothing(taken, findings, patient=patient, samples=ENOUGH_SAMPLES, seconds=ENOUGH_SECONDS)
    open_ = next((f for f in holding if f.pattern == "pool-leak"), None)
    if open_ is not None:
        return [rising(sentence_of(open_, None), open_, taken), calm], "watching"
    return [calm], "none"


@dataclass(frozen=True, slots=True)
class _Limits:
    limits: Mapping[PoolKind, int | None]
    guesses: frozenset[PoolKind]
    sources: Mapping[PoolKind, str]


def _limits(states: PoolStates | None) -> _Limits:
    pools = [states.nonpaged, states.paged] if states is not None else []
    return _Limits(
        {pool.kind: pool.limit for pool in pools},
        frozenset(pool.kind for pool in pools if pool.limit_at_most),
        {pool.kind: pool.limit_source for pool in pools if pool.limit_source is not None},
    )
