"""Compares answers with the truth: recall, precision, rates, per label."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from poolsleuth.model.finding import Confidence
from poolsleuth.patterns.course.course import Course

from .scenario import Scenario, Truth

RATE_TOLERANCE = 0.25


@dataclass(frozen=True, slots=True)
class Judged:
    """A scenario with the answer about it."""

    scenario: Scenario
    course: Course

    @property
    def sure_leak(self) -> bool:
        """A leak is said, with high confidence."""
        return self.course.grows and self.course.confidence is Confidence.HIGH

    @property
    def right(self) -> bool:
        """The answer is what the truth asks for."""
        match self.scenario.truth:
            case Truth.GUILTY:
                return self.course.grows
            case Truth.INNOCENT:
                return not self.course.grows
            case _:
                return not self.sure_leak

    @property
    def rate_error(self) -> float | None:
        """How far the rate lies off the true one (share of it; 0 within a range); None where either is missing."""
        if self.scenario.rate is None or not self.course.grows:
            return None
        if self.course.slope is None:
            return float("inf")
        low, high = self.scenario.rate
        if self.course.slope < low:
            return (low - self.course.slope) / low
        return max(self.course.slope - high, 0.0) / high

    @property
    def inside(self) -> bool | None:
        """Whether the interval of the answer meets the range of true rates; None where there is nothing to compare."""
        course, rate = self.course, self.scenario.rate
        if rate is None or not course.grows or course.low is None or course.high is None:
            return None
        return course.low <= rate[1] and course.high >= rate[0]

    @property
    def start_error(self) -> float | None:
        """How far the start lies off, as a share of the log; None where the truth has no start of its own."""
        scenario, said = self.scenario, self.course.starts
        if scenario.starts is None or not self.course.grows or said is None:
            return None
        return abs(said - scenario.starts) / float(scenario.times[-1] - scenario.times[0])


@dataclass(slots=True)
class Tally:
    """The figures of one label."""

    truth: Truth
    count: int = 0
    right: int = 0
    accepted: int = 0
    sure: int = 0
    rate_errors: list[float] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)


def tally(judged: Iterable[Judged]) -> dict[str, Tally]:
    """Figures per label."""
    tallies: dict[str, Tally] = {}
    for each in judged:
        one = tallies.setdefault(each.scenario.label, Tally(each.scenario.truth))
        one.count += 1
        one.right += each.right
        one.accepted += each.course.kind in each.scenario.accept
        one.sure += each.course.confidence is Confidence.HIGH
        one.kinds[each.course.kind.value] = one.kinds.get(each.course.kind.value, 0) + 1
        if each.rate_error is not None:
            one.rate_errors.append(each.rate_error)
    return tallies


def recall_and_precision(judged: Sequence[Judged]) -> tuple[float, float]:
    """Recall: the share of leaks that are called one. Precision: the share of those called one that are leaks."""
    caught = sum(each.course.grows for each in judged if each.scenario.truth is Truth.GUILTY)
    wronged = sum(each.course.grows for each in judged if each.scenario.truth is Truth.INNOCENT)
    guilty = sum(each.scenario.truth is Truth.GUILTY for each in judged)
    return caught / max(guilty, 1), caught / max(caught + wronged, 1)


def table(tallies: Mapping[str, Tally]) -> str:
    """One line per label: scenarios, right answers, acceptable kinds, high confidence, error of the rate, answers."""
    lines = [f"{'':11}{'label':44}{'n':>5}{'right':>7}{'kind':>7}{'sure':>7}{'rate':>7}  answers"]
    for truth in Truth:
        for label, one in tallies.items():
            if one.truth is not truth:
                continue
            rate = f"{np.median(one.rate_errors):7.1%}" if one.rate_errors else f"{'':7}"
            shares = (f"{part / one.count:7.0%}" for part in (one.right, one.accepted, one.sure))
            kinds = ", ".join(f"{kind} {n}" for kind, n in sorted(one.kinds.items(), key=lambda item: -item[1]))
            lines.append(f"{truth.value:11}{label[:43]:44}{one.count:5}{''.join(shares)}{rate}  {kinds}")
    return "\n".join(lines)
