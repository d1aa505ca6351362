"""What became of the findings. What one side's evidence could not judge is neither new nor gone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from poolsleuth.model.comparison import FindingChange, FindingStatus
from poolsleuth.model.finding import Severity, Subject, Verdict
from poolsleuth.model.report import ReportFinding

_Key = tuple[str, Subject]

_SEVERITY = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}
_ORDER = tuple(FindingStatus)


def finding_changes(before: Sequence[ReportFinding], after: Sequence[ReportFinding]) -> tuple[FindingChange, ...]:
    """Every finding that holds on at least one side, new and worse ones first."""
    firsts, seconds = _holding(before), _holding(after)
    judged_before, judged_after = _judged(before), _judged(after)
    found = []
    for key in dict.fromkeys((*firsts, *seconds)):
        first, second = firsts.get(key), seconds.get(key)
        if first is not None and second is not None:
            status = _step(first, second)
        elif second is not None:
            status = FindingStatus.NEW if key[0] in judged_before else FindingStatus.ONLY_AFTER
        else:
            status = FindingStatus.GONE if key[0] in judged_after else FindingStatus.ONLY_BEFORE
        found.append(FindingChange(pattern=key[0], subject=key[1], status=status, before=first, after=second))
    return tuple(sorted(found, key=lambda c: (_ORDER.index(c.status), -_SEVERITY[c.severity])))


def _holding(findings: Iterable[ReportFinding]) -> Mapping[_Key, ReportFinding]:
    """The finding of each pattern and subject. The driver is left out: who is blamed may change as more is known."""
    rows: dict[_Key, ReportFinding] = {}
    for finding in findings:
        if finding.holds:
            rows.setdefault((finding.pattern, replace(finding.subject, driver=None)), finding)
    return rows


def _judged(findings: Iterable[ReportFinding]) -> frozenset[str]:
    """The patterns that this side's evidence could answer."""
    return frozenset(finding.pattern for finding in findings if finding.verdict is not Verdict.NOT_ASSESSED)


def _step(before: ReportFinding, after: ReportFinding) -> FindingStatus:
    first = (_SEVERITY[before.severity], before.verdict is Verdict.FOUND)
    second = (_SEVERITY[after.severity], after.verdict is Verdict.FOUND)
    if first == second:
        return FindingStatus.SAME
    return FindingStatus.WORSE if second > first else FindingStatus.MILDER
