"""One conclusion per machine: the finding that explains most, and one sentence that separates cause from consequence."""

from collections.abc import Sequence

from poolsleuth.model.finding import Finding, Severity, Subject, Verdict
from poolsleuth.model.report import Conclusion

# What causes what: a pattern further left explains those further right, when it is about the same pool
_CAUSES = (
    "session-pool-depletion",
    "unloaded-driver-leak",
    "untagged-allocations",
    "generic-tag",
    "handle-leak",
    "pool-fragmentation",
    "pool-leak",
    "pool-corruption",
    "nonpaged-pool-depletion",
    "paged-pool-depletion",
    "system-pte-depletion",
    "commit-exhaustion",
    "lock-contention",
    "pool-load",
    "tags-growing-together",
    "false-pool-warning",
    "verifier-active",
)
_DEPLETIONS = frozenset({"nonpaged-pool-depletion", "paged-pool-depletion"})
_SEVERITY = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


def conclude(findings: Sequence[Finding]) -> Conclusion | None:
    """The conclusion of one machine; None when nothing was found or suspected."""
    holding = [finding for finding in findings if finding.holds]
    if not holding:
        return None
    head = min(holding, key=_rank)
    depletion = next((f for f in holding if f.pattern in _DEPLETIONS and f.subject.pool == head.subject.pool), None)
    parts = [_sentence(head)]
    told = {id(head)}
    if depletion is not None and depletion is not head:
        parts.append(f"Consequence: {_lower(depletion.headline)}")
        told.add(id(depletion))
    if head.pattern in _DEPLETIONS:
        told |= {id(f) for f in holding if f.pattern == "pool-leak" and f.subject.pool == head.subject.pool}
        contributors = [f for f in holding if f.pattern in {"unloaded-driver-leak", "pool-leak", "handle-leak"}]
        for finding in contributors[:2]:
            parts.append(f"Possible contributor (suspected): {_lower(finding.headline)}")
            told.add(id(finding))
    others = [
        f
        for f in sorted(holding, key=_rank)
        if id(f) not in told and f.severity is not Severity.INFO and not _same_cause(f, head)
    ]
    parts += [f"Separate from that: {_lower(other.headline)}" for other in others[:2]]
    return Conclusion(head.pattern, head.verdict, ". ".join(parts) + ".")


def _rank(finding: Finding) -> tuple[int, int, int]:
    """Certain before suspected, grave before slight, cause before consequence."""
    order = _CAUSES.index(finding.pattern) if finding.pattern in _CAUSES else len(_CAUSES)
    suspected = finding.verdict is Verdict.SUSPECTED
    grave = _SEVERITY[finding.severity]
    # A suspicion never stands before something certain of the same weight, nor before anything graver
    return (grave + (1 if suspected else 0), int(suspected), order)


def _same_cause(finding: Finding, head: Finding) -> bool:
    same_tag = finding.subject.tag is not None and finding.subject.tag == head.subject.tag
    same_pool = finding.subject.pool == head.subject.pool and finding.subject.pool is not None
    return same_tag or (same_pool and finding.pattern in {"pool-leak", "tags-growing-together", *_DEPLETIONS})


def _sentence(finding: Finding) -> str:
    prefix = "Suspected, not proven: " if finding.verdict is Verdict.SUSPECTED else ""
    headline = finding.headline
    return prefix + (headline if prefix else headline[:1].upper() + headline[1:])


def _lower(headline: str) -> str:
    return headline


def subject_key(subject: Subject) -> tuple[str, ...]:
    """A sortable form of a subject, for a stable order of findings."""
    return tuple(str(getattr(subject, name) or "") for name in Subject.__dataclass_fields__)
