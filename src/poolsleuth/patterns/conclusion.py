"""One conclusion per machine: what explains most, in a sentence that separates cause from consequence."""

from collections.abc import Sequence

from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.report import Conclusion
from poolsleuth.patterns.wording import GROWTH_OF_TAG, MAY_KEEP

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
_SAME_POOL = frozenset({"pool-leak", "tags-growing-together", "pool-fragmentation", "commit-exhaustion", *_DEPLETIONS})
_CONTRIBUTORS = frozenset({"unloaded-driver-leak", "pool-leak", "handle-leak"})
# Resources next to the pools: they head the conclusion only when no pool is in trouble for certain
_BESIDE = frozenset({"system-pte-depletion", "commit-exhaustion", "lock-contention"})
_SEVERITY = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


def conclude(findings: Sequence[Finding]) -> Conclusion | None:
    """The conclusion of one machine; None when nothing was found or suspected."""
    holding = sorted((finding for finding in findings if finding.holds), key=_rank)
    if not holding:
        return None
    head = _cause_of(holding[0], holding)
    links = _links(holding)
    parts = [_sentence(head)]
    told = [head]
    depletion = next((f for f in holding if f.pattern in _DEPLETIONS and f.subject.pool == head.subject.pool), None)
    if depletion is not None and depletion is not head:
        parts.append(f"Consequence{_called(depletion)}: {depletion.headline}")
        told.append(depletion)
    commit = next((f for f in holding if f.pattern == "commit-exhaustion" and _same_cause(f, head, links)), None)
    if commit is not None and commit is not head:
        parts.append(f"Consequence: {commit.headline}")
        told.append(commit)
    keeper = next((f for f in holding if MAY_KEEP in f.headline and _same_tag(f, head)), None)
    if keeper is not None and keeper is not head:
        parts.append(keeper.headline)
        told.append(keeper)
    gone = _suspected_owner(head, holding)
    if gone is not None:
        parts.append(f"Suspected owner, not proven: {gone.subject.driver} ({gone.headline})")
        told.append(gone)
    if head.pattern in _DEPLETIONS:
        for finding in [f for f in holding if f.pattern in _CONTRIBUTORS and not _same_cause(f, head, links)][:2]:
            parts.append(f"Possible contributor (suspected): {finding.headline}")
            told.append(finding)
    others = [f for f in holding if f not in told and _worth_telling(f) and not _same_cause(f, head, links)]
    for ordinal, other in zip(("second", "third"), others, strict=False):
        parts.append(f"A {ordinal}, separate problem{_called(other)}: {other.headline}")
    return Conclusion(head.pattern, head.verdict, ". ".join(parts) + ".")


def _suspected_owner(head: Finding, holding: Sequence[Finding]) -> Finding | None:
    """The unloaded driver that a leak of a tag without an owner may be of, where the headline does not name it.

    None where nothing but chance ties them.
    """
    if head.subject.tag is None or head.subject.driver is not None:
        return None
    for finding in holding:
        left = finding.pattern == "unloaded-driver-leak" and finding.confidence is not Confidence.LOW
        driver = finding.subject.driver
        if left and finding is not head and driver and driver not in head.headline and _same_tag(finding, head):
            return finding
    return None


def _called(finding: Finding) -> str:
    return " (suspected)" if finding.verdict is Verdict.SUSPECTED else ""


def _worth_telling(finding: Finding) -> bool:
    certain = finding.verdict is Verdict.FOUND or finding.confidence is not Confidence.LOW
    return certain and finding.severity is not Severity.INFO


def _cause_of(worst: Finding, holding: Sequence[Finding]) -> Finding:
    """The finding, as certain as the worst one, that explains it: about the same pool, and furthest left."""
    holder = next((f for f in holding if f.pattern == "handle-leak" and _same_process(f, worst)), None)
    if holder is not None and _group(holder) == _group(worst):
        return holder  # a process that keeps opening handles is why its pool grows
    if worst.subject.pool is None:
        return worst
    same = [f for f in holding if _group(f) == _group(worst) and f.subject.pool == worst.subject.pool]
    return min(same, key=_order)


def _rank(finding: Finding) -> tuple[int, int, bool, int]:
    """Certain before suspected, the pools before the resources beside them, what hurts most, cause first.

    A process that only opens handles, and of which nothing shows that it fills a pool, stands behind the pools.
    """
    aside = finding.pattern == "handle-leak" and finding.subject.pool is None and finding.subject.tag is None
    return _group(finding), _SEVERITY[finding.severity], aside, _order(finding)


def _order(finding: Finding) -> int:
    return _CAUSES.index(finding.pattern) if finding.pattern in _CAUSES else len(_CAUSES)


def _group(finding: Finding) -> int:
    if finding.severity is Severity.INFO:
        return 4
    return (0 if finding.verdict is Verdict.FOUND else 2) + int(finding.pattern in _BESIDE)


def _same_cause(finding: Finding, head: Finding, links: Sequence[frozenset[str]]) -> bool:
    same_tag = _same_tag(finding, head)
    same_pool = finding.subject.pool == head.subject.pool and finding.subject.pool is not None
    if _same_process(finding, head) or _linked(finding, head, links):
        return True
    same_kind = finding.pattern == head.pattern == "handle-leak"  # the objects and the process that holds them
    return same_kind or same_tag or (same_pool and finding.pattern in _SAME_POOL)


def _same_tag(finding: Finding, other: Finding) -> bool:
    return finding.subject.tag is not None and finding.subject.tag == other.subject.tag


def _same_process(finding: Finding, other: Finding) -> bool:
    return finding.subject.process is not None and finding.subject.process == other.subject.process


def _linked(finding: Finding, head: Finding, links: Sequence[frozenset[str]]) -> bool:
    """Whether the tags of both grow in lock-step: one cause, counted twice."""
    return any(finding.subject.tag in tags and head.subject.tag in tags for tags in links)


def _links(findings: Sequence[Finding]) -> list[frozenset[str]]:
    """The tags of each group that grows in lock-step, and those of all objects that are never closed."""
    links = []
    objects = set()
    for finding in findings:
        if finding.subject.tag is None or not finding.holds:
            continue
        if finding.pattern == "tags-growing-together":
            explained = (text.removeprefix(GROWTH_OF_TAG) for text in finding.explains)
            links.append(frozenset((finding.subject.tag, *explained)))
        elif finding.pattern == "handle-leak":
            objects.add(finding.subject.tag)
    return [*links, frozenset(objects)]


def _sentence(finding: Finding) -> str:
    prefix = "Suspected, not proven: " if finding.verdict is Verdict.SUSPECTED else ""
    headline = finding.headline
    first = headline.split(" ", 1)[0]
    # A file's name keeps its letters
    return prefix + (headline if prefix or not first.isalpha() else headline[:1].upper() + headline[1:])
