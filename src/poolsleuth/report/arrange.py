"""What every output shows of a machine, worked out once: its verdict, its pools, its largest tags."""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from poolsleuth.model.finding import Confidence, Severity, Verdict
from poolsleuth.model.report import PoolUse, ReportFinding, ReportMachine, ReportTag, SessionPoolUse
from poolsleuth.model.report_blocks import FreeRuns
from poolsleuth.report.blocks import block_notes
from poolsleuth.report.wording import (
    UNKNOWN,
    bytes_short,
    count_text,
    duration_text,
    ordered_findings,
    percent_text,
    plural,
    session_text,
    share,
    short,
    time_text,
    verdict_word,
)

_TEXT = 400  # longest name shown of anything


@dataclass(frozen=True, slots=True)
class MachineVerdict:
    """The sentence that stands first. ``verdict``, ``severity`` and ``confidence`` are None when nothing holds.

    ``judged`` is False when no pattern could be judged: then the machine is neither well nor ill as far as is known.
    """

    says: str
    pattern: str | None = None
    verdict: Verdict | None = None
    severity: Severity | None = None
    confidence: Confidence | None = None
    judged: bool = True

    @property
    def tone(self) -> str:
        """The severity's word, ``fine`` when nothing holds, ``open`` when nothing could be judged."""
        if self.severity is not None:
            return self.severity.value
        return "fine" if self.judged else "open"

    @property
    def word(self) -> str:
        """The verdict in two words, for an overview."""
        if self.verdict is not None:
            return verdict_word(self.verdict)
        return "nothing found" if self.judged else "not assessed"


def machine_name(machine: ReportMachine, number: int) -> str:
    """The computer's own name, or its place in the report."""
    return short(machine.name, _TEXT) if machine.name else f"Machine {number}"


def findings_in_order(machine: ReportMachine) -> list[ReportFinding]:
    """All findings as every output shows them: those that bear the conclusion stand first."""
    return ordered_findings(machine.findings, machine.conclusion.pattern if machine.conclusion is not None else None)


def verdict_of(machine: ReportMachine) -> MachineVerdict:
    """The conclusion with the severity and confidence of the finding that bears it."""
    holding = [finding for finding in ordered_findings(machine.findings) if finding.holds]
    concluded = machine.conclusion
    if concluded is None and not holding:
        judged = any(finding.verdict is Verdict.RULED_OUT for finding in machine.findings)
        return MachineVerdict(_nothing_found(machine.findings), judged=judged)
    if concluded is None:
        first = holding[0]
        return MachineVerdict(first.headline, first.pattern, first.verdict, first.severity, first.confidence)
    bearing = next((finding for finding in holding if finding.pattern == concluded.pattern), None)
    severest = holding[0].severity if holding else Severity.INFO
    return MachineVerdict(
        concluded.says,
        concluded.pattern,
        concluded.verdict,
        # The machine is as badly off as its worst finding, whichever pattern explains most of it.
        severest,
        bearing.confidence if bearing else None,
    )


def _nothing_found(findings: Sequence[ReportFinding]) -> str:
    ruled_out = sum(finding.verdict is Verdict.RULED_OUT for finding in findings)
    open_ones = sum(finding.verdict is Verdict.NOT_ASSESSED for finding in findings)
    if not ruled_out and not open_ones:
        return "Nothing found, because nothing was judged: the input holds no evidence that a pattern could use."
    if not ruled_out:
        return f"Nothing could be judged: the evidence answers none of {plural(open_ones, 'question')}."
    text = f"Nothing found: {plural(ruled_out, 'cause')} ruled out"
    return f"{text}, {count_text(open_ones)} not assessed." if open_ones else f"{text}."


def system_words(machine: ReportMachine) -> list[str]:
    """Windows, architecture, memory, /3GB, time: one short phrase for each thing that is known."""
    system = machine.system
    windows = short(system.os, _TEXT) if system.os else "Windows version not known"
    words = [f"{windows} (build {short(str(system.build), 20)})" if system.build is not None else windows]
    if system.architecture:
        words.append(short(system.architecture, _TEXT) + (" with PAE" if system.pae else ""))
    if system.physical_bytes is not None:
        words.append(f"{bytes_short(system.physical_bytes)} RAM")
    if system.three_gb:
        words.append("started with /3GB")
    if system.captured_at is not None:
        words.append(f"captured {time_text(system.captured_at)}")
    if system.uptime_seconds is not None:
        words.append(f"up {duration_text(system.uptime_seconds)}")
    return words


def bugcheck_text(machine: ReportMachine) -> str | None:
    """``0x000000D1 DRIVER_IRQL_NOT_LESS_OR_EQUAL (0x0, 0x2)``."""
    check = machine.system.bugcheck
    if check is None:
        return None
    name = f" {short(check.name, _TEXT)}" if check.name else ""
    parameters = f" ({', '.join(short(p, 40) for p in check.parameters[:8])})" if check.parameters else ""
    return f"{short(check.code, 40)}{name}{parameters}"


@dataclass(frozen=True, slots=True)
class PoolRow:
    """One pool, in bytes and ready in words. ``severity`` is that of the depletion finding about this pool."""

    name: str
    used: int | None
    limit: int | None
    share: float | None
    percent: str
    figures: str
    failures: int | None
    notes: tuple[str, ...]
    severity: Severity | None
    free_runs: tuple[FreeRuns, ...] = ()


def pool_rows(machine: ReportMachine) -> list[PoolRow]:
    """The two system pools, then every session that has a figure or failures, the fullest first."""
    pools = machine.pools
    # The colour of a bar is the patterns' judgement: a renderer has no thresholds of its own.
    depleted = {
        (finding.subject.pool, finding.subject.session): finding.severity
        for finding in reversed(ordered_findings(machine.findings))
        if finding.holds and finding.pattern.endswith("-pool-depletion")
    }
    rows = []
    for pool, use in (("nonpaged", pools.nonpaged), ("paged", pools.paged)):
        notes = []
        if use.limit_source:
            notes.append(f"limit: {short(use.limit_source, _TEXT)}")
        if use.printed_max_bytes is not None and use.printed_max_bytes != use.limit_bytes:
            notes.append(f"the kernel itself sets a maximum of {bytes_short(use.printed_max_bytes)}")
        if use.tagged_bytes is not None:
            notes.append(f"tags account for {bytes_short(use.tagged_bytes)}")
        if use.blocks is not None:
            notes += block_notes(use.blocks)
        row = _row(f"{pool} pool", use, depleted.get((pool, None)), notes)
        rows.append(row if use.blocks is None else replace(row, free_runs=use.blocks.free_runs))
    sessions = [
        _row(f"session {session_text(session.id)}", session, depleted.get(("session", session.id)))
        for session in pools.sessions
        if session.limit_bytes is not None or session.used_bytes is not None or session.failures
    ]
    sessions.sort(key=lambda row: (-(row.share or 0.0), -(row.used or 0)))
    return rows + sessions


def _row(name: str, use: PoolUse | SessionPoolUse, severity: Severity | None, notes: Sequence[str] = ()) -> PoolRow:
    used, limit = use.used_bytes, use.limit_bytes
    figures = f"{bytes_short(used)} of {bytes_short(limit)}" if limit is not None else f"{bytes_short(used)}"
    if limit is None:
        figures += ", no known limit" if used is not None else ""
    elif used is None:
        figures = f"{UNKNOWN}, limit {bytes_short(limit)}"
    percent = percent_text(used, limit)
    return PoolRow(name, used, limit, share(used, limit), percent, figures, use.failures, tuple(notes), severity)


def failures_text(failures: int | None) -> str:
    """``3 failed allocations``, empty when none are known."""
    return plural(failures, "failed allocation") if failures else ""


def unassigned_failures(machine: ReportMachine) -> str:
    """``818 pool allocations failed since boot; which pool is not known``: empty when none failed, and when a pool or
    a session is known to have failed."""
    pools = machine.pools
    known = pools.nonpaged.failures or pools.paged.failures or any(session.failures for session in pools.sessions)
    if known or pools.failures is None or pools.failures <= 0:
        return ""
    return f"{plural(pools.failures, 'pool allocation')} failed since boot; which pool is not known"


def largest_tags(tags: Sequence[ReportTag], limit: int) -> list[ReportTag]:
    """The largest rows by bytes, then by outstanding allocations; what is not known comes last."""
    return heapq.nsmallest(limit, tags, key=_tag_order)


def _tag_order(tag: ReportTag) -> tuple[bool, int, bool, int, str]:
    return (tag.bytes is None, -(tag.bytes or 0), tag.outstanding is None, -(tag.outstanding or 0), tag.tag)


def tag_notes(tag: ReportTag, limit: int = _TEXT) -> str:
    """Driver and description of a tag, in one line."""
    return " - ".join(short(words, limit) for words in (tag.driver, tag.description) if words)


_POOLS = ("nonpaged", "paged", "session")


def pattern_counts(findings: Iterable[ReportFinding], verdict: Verdict) -> list[str]:
    """``pool-leak (3)``: the patterns with this verdict, each named once; with its pool where another pool's holds."""
    findings = list(findings)
    holding = {finding.pattern for finding in findings if finding.holds}

    def name_of(finding: ReportFinding) -> str:
        of_another = finding.pattern in holding and finding.subject.pool in _POOLS
        return short(finding.pattern, _TEXT) + (f" of the {finding.subject.pool} pool" if of_another else "")

    counts = Counter(name_of(finding) for finding in findings if finding.verdict is verdict)
    return [name if n == 1 else f"{name} ({n})" for name, n in counts.items()]


def tag_text(tag: str, limit: int = 40) -> str:
    """A tag; an empty one is shown as such."""
    return short(tag, limit) if short(tag, limit).strip() else "(blank)"
