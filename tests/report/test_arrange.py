"""What the outputs share: the patterns of a verdict, each named once."""

from poolsleuth.model.finding import Confidence, Severity, Subject, Verdict
from poolsleuth.model.report import ReportFinding
from poolsleuth.report.arrange import pattern_counts


def finding(pattern: str, verdict: Verdict, pool: str | None = None) -> ReportFinding:
    return ReportFinding(
        pattern=pattern,
        verdict=verdict,
        severity=Severity.INFO,
        confidence=Confidence.LOW,
        headline="x",
        subject=Subject(pool=pool),
    )


def test_a_pattern_that_holds_for_another_pool_is_named_with_its_pool() -> None:
    findings = [
        finding("pool-leak", Verdict.FOUND, "nonpaged"),
        finding("pool-leak", Verdict.RULED_OUT, "paged"),
        finding("pool-load", Verdict.RULED_OUT, "paged"),
        finding("handle-leak", Verdict.RULED_OUT),
        finding("handle-leak", Verdict.RULED_OUT),
    ]

    assert pattern_counts(findings, Verdict.RULED_OUT) == [
        "pool-leak of the paged pool",
        "pool-load",
        "handle-leak (2)",
    ]
