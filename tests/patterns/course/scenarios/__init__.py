"""Labelled scenarios: what pool figures look like over hours and weeks, with the truth beside them.

``conftest.py`` loads this folder as the package ``course_scenarios`` (tests cannot import each other), and so does
``benchmarks/leak_or_load.py``. The folders' split: scenarios of ``Part.TUNE`` may be looked at by who writes the
judgement; those of ``Part.HELD_OUT`` have other seeds, wider ranges and kinds that the first part does not have.
"""

from . import guilty, innocent, rarer, unsure
from .judging import RATE_TOLERANCE, Judged, Tally, recall_and_precision, table, tally
from .scenario import RECIPES, Part, Recipe, Scenario, Truth, make, scenarios

__all__ = [
    "RATE_TOLERANCE",
    "RECIPES",
    "Judged",
    "Part",
    "Recipe",
    "Scenario",
    "Tally",
    "Truth",
    "guilty",
    "innocent",
    "make",
    "rarer",
    "recall_and_precision",
    "scenarios",
    "table",
    "tally",
    "unsure",
]
