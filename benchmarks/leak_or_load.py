"""Leak or load: recall and precision of the judgement on thousands of labelled scenarios, per label.

    python benchmarks/leak_or_load.py [--seeds 60] [--first 100000] [--part held-out] [--wrong]

The scenarios are those of ``tests/patterns/course/scenarios``: figures of pools, tags and handles over minutes to weeks
whose truth is known. ``--part tune --wrong`` lists every wrong answer with its seed, to look at; the held-out part is
only counted. "right" is what recall and precision are made of: a leak is called one, and load is not; for the
ambiguous and the short ones, that no leak is said with high confidence. "kind" is the share of answers among those
acceptable for the label, "sure" the share with high confidence, "rate" the median error of the rate.
"""

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np

from poolsleuth.patterns.course.shape import judge_course

FOLDER = Path(__file__).parents[1] / "tests" / "patterns" / "course" / "scenarios"


def load() -> ModuleType:
    """The package of scenarios, which lies among the tests."""
    spec = importlib.util.spec_from_file_location(
        "course_scenarios", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    if spec is None or spec.loader is None:
        raise SystemExit(f"{FOLDER} is not there")
    module = importlib.util.module_from_spec(spec)
    sys.modules["course_scenarios"] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=60, help="scenarios of each label")
    parser.add_argument("--first", type=int, default=100_000, help="the first seed")
    parser.add_argument("--part", choices=("tune", "held-out"), default="held-out")
    parser.add_argument("--wrong", action="store_true", help="list the wrong answers (tune only)")
    options = parser.parse_args()
    known = load()
    part = known.Part(options.part)
    judged, spent = [], 0.0
    for scenario in known.scenarios(part, range(options.first, options.first + options.seeds)):
        begun = time.process_time()
        course = judge_course(scenario.times, scenario.values, least=scenario.least, cuts=scenario.cuts)
        spent += time.process_time() - begun
        judged.append(known.Judged(scenario, course))
    print(known.table(known.tally(judged)))
    recall, precision = known.recall_and_precision(judged)
    samples = sum(len(each.scenario.times) for each in judged)
    print(f"\n{len(judged):,} scenarios: recall {recall:.2%}, precision {precision:.2%}")
    for truth in known.Truth:
        right = [each.right for each in judged if each.scenario.truth is truth]
        print(f"{truth.value}: {np.mean(right):.2%} of {len(right):,} right")
    errors = np.array([each.rate_error for each in judged if each.rate_error is not None])
    inside = [each.inside for each in judged if each.inside is not None]
    if len(errors):
        print(f"rate: median error {np.median(errors):.2%}, {np.mean(errors <= known.RATE_TOLERANCE):.2%} within 25 %")
        print(f"interval: {np.mean(inside):.2%} hold the true rate" if inside else "interval: none")
    starts = [each.start_error for each in judged if each.start_error is not None]
    if starts:
        print(f"start of late leaks and steps: median error {np.median(starts):.2%} of the log")
    print(f"{spent:.1f} s of processor time, {spent / max(samples, 1) * 1e6:.2f} microseconds a sample")
    if options.wrong and part is known.Part.TUNE:
        for each in judged:
            if not each.right:
                course = each.course
                print(f"\n{each.scenario.label!r} seed {each.scenario.seed}: {course.kind} ({course.confidence})")
                print(
                    *(f"  + {text}" for text in course.because), *(f"  - {text}" for text in course.against), sep="\n"
                )


if __name__ == "__main__":
    main()
