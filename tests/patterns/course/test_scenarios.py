"""Leak or load: the judgement on labelled scenarios that nobody looked at while it was written.

    pytest -s tests/patterns/course/test_scenarios.py                          # prints the table per label
    POOLSLEUTH_SCENARIOS=50 pytest -s tests/patterns/course/test_scenarios.py  # 50 of each label instead of 5

``benchmarks/leak_or_load.py`` runs thousands of them.
"""

import os
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest

from poolsleuth.model.finding import Confidence
from poolsleuth.patterns.course.shape import judge_course

if TYPE_CHECKING:
    from patterns.course.scenarios import Judged, Scenario

PER_LABEL = int(os.environ.get("POOLSLEUTH_SCENARIOS", "5"))
FIRST_SEED = 1000
AIM = 0.95  # for recall and for precision
RATE_SHARE = 0.90  # of the leaks called so have a rate within 25 % of the truth
MORNING = "a log that ends before noon"
MODEST_SHARE = 0.90  # of the unclear and the short ones are not called a leak with high confidence


def judged_of(course: ModuleType, scenario: "Scenario") -> "Judged":
    answer = judge_course(scenario.times, scenario.values, least=scenario.least, cuts=scenario.cuts)
    judged: Judged = course.Judged(scenario, answer)
    return judged


@pytest.fixture(scope="module")
def held_out(course_scenarios: ModuleType) -> "list[Judged]":
    """The answers about every held-out scenario."""
    seeds = range(FIRST_SEED, FIRST_SEED + PER_LABEL)
    found = [judged_of(course_scenarios, s) for s in course_scenarios.scenarios(course_scenarios.Part.HELD_OUT, seeds)]
    recall, precision = course_scenarios.recall_and_precision(found)
    print(f"\n{course_scenarios.table(course_scenarios.tally(found))}")  # noqa: T201 - for pytest -s
    print(f"{len(found)} scenarios: recall {recall:.1%}, precision {precision:.1%}")  # noqa: T201
    return found


def wrong(judged: "list[Judged]") -> str:
    """The wrong answers as label and number only: who reads a failing test does not tune on what it shows."""
    labels = [each.scenario.label for each in judged if not each.right]
    return ", ".join(f"{label} ({labels.count(label)})" for label in dict.fromkeys(labels))


def test_leaks_are_called_leaks(course_scenarios: ModuleType, held_out: "list[Judged]") -> None:
    recall, _ = course_scenarios.recall_and_precision(held_out)

    assert recall >= AIM, wrong([each for each in held_out if each.scenario.truth is course_scenarios.Truth.GUILTY])


def test_load_is_not_called_a_leak(course_scenarios: ModuleType, held_out: "list[Judged]") -> None:
    _, precision = course_scenarios.recall_and_precision(held_out)

    assert precision >= AIM, wrong(
        [each for each in held_out if each.scenario.truth is course_scenarios.Truth.INNOCENT]
    )


def test_no_label_fails_as_a_whole(course_scenarios: ModuleType, held_out: "list[Judged]") -> None:
    """Averages hide a kind that is hardly ever recognised. A third: there are but few of each label in a quick run."""
    tallies = course_scenarios.tally(held_out)

    assert [label for label, tally in tallies.items() if tally.right < tally.count / 3] == []


def test_the_rate_is_true(held_out: "list[Judged]") -> None:
    errors = np.array([each.rate_error for each in held_out if each.rate_error is not None])
    inside = [each.inside for each in held_out if each.inside is not None]
    assert len(errors) > 0
    assert len(inside) > 0
    print(  # noqa: T201
        f"\nrate of {len(errors)} leaks: median error {np.median(errors):.2%}, {np.mean(errors <= 0.25):.1%} within"
        f" 25 %, {np.mean(inside):.1%} of the intervals hold the truth"
    )

    assert np.mean(errors <= 0.25) >= RATE_SHARE
    assert np.median(errors) <= 0.05


def test_the_start_is_near(held_out: "list[Judged]") -> None:
    errors = [each.start_error for each in held_out if each.start_error is not None]
    assert len(errors) > 0
    print(f"\nstart of {len(errors)} leaks: median error {np.median(errors):.1%} of the log")  # noqa: T201

    assert np.median(errors) <= 0.10


def test_unclear_ones_are_not_called_a_leak_for_sure(course_scenarios: ModuleType, held_out: "list[Judged]") -> None:
    truths = (course_scenarios.Truth.AMBIGUOUS, course_scenarios.Truth.SHORT)
    unclear = [each for each in held_out if each.scenario.truth in truths]

    assert np.mean([not each.sure_leak for each in unclear]) >= MODEST_SHARE, wrong(unclear)


def test_a_handful_of_samples_is_never_judged(course_scenarios: ModuleType, held_out: "list[Judged]") -> None:
    """Two captures days apart show growth, but never that it does not come down."""
    short = [each for each in held_out if each.scenario.truth is course_scenarios.Truth.SHORT]

    assert [f"{each.scenario.label} {each.scenario.seed}" for each in short if each.course.grows] == []


def test_one_morning_is_no_proof(held_out: "list[Judged]") -> None:
    """Flat at night and rising until the log ends before noon: every busy server does that. A suspicion at most."""
    mornings = [each for each in held_out if each.scenario.label == MORNING]
    proven = [each for each in mornings if each.course.grows and each.course.confidence is not Confidence.LOW]

    assert len(mornings) > 0
    assert len(proven) <= len(mornings) * (1 - MODEST_SHARE), f"{len(proven)} of {len(mornings)}"


def test_a_leak_has_a_rate_above_nothing(held_out: "list[Judged]") -> None:
    """Where the interval of the growth holds 0, or there is none, nobody may be told more than a suspicion."""
    proven = [each for each in held_out if each.course.grows and each.course.confidence is not Confidence.LOW]

    assert [each.scenario.label for each in proven if each.course.low is None or each.course.low <= 0] == []


def test_scenarios_are_what_a_log_can_hold(course_scenarios: ModuleType) -> None:
    """Ascending times, no negative bytes, the same figures for the same seed, other figures for another part."""
    part = course_scenarios.Part
    for scenario in course_scenarios.scenarios(part.TUNE, range(2)):
        name = f"{scenario.label} {scenario.seed}"
        assert len(scenario.times) == len(scenario.values), name
        assert (np.diff(scenario.times) > 0).all(), name
        assert np.nanmin(scenario.values) >= 0, name
        assert np.isfinite(scenario.values[-1]) or np.isfinite(scenario.values).any(), name
        again = course_scenarios.make(scenario.label, scenario.seed, part.TUNE)
        assert np.array_equal(again.values, scenario.values, equal_nan=True), name
        other = course_scenarios.make(scenario.label, scenario.seed, part.HELD_OUT)
        assert not np.array_equal(other.times, scenario.times), name
    held_out = {label for label, recipe in course_scenarios.RECIPES.items() if part.TUNE not in recipe.parts}
    assert len(held_out) >= 15
