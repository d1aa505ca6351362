"""The page says what the code does."""

import re
from pathlib import Path

from poolsleuth.comparison import thresholds
from poolsleuth.patterns.thresholds import Threshold

PAGE = Path(__file__).parents[2] / "docs" / "comparing.md"
_ROW = re.compile(r"^\| `([A-Z_]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def printed(name: str, value: float) -> str:
    if name.endswith("_BYTES"):
        return f"{int(value) >> 20} MB"
    if name.endswith("_SECONDS"):
        return f"{value:g} s"
    return f"{value * 100:g} %" if value < 1 else f"{int(value):,}"


def test_every_threshold_stands_on_the_page_with_its_value_and_reason() -> None:
    known = {name: value for name, value in vars(thresholds).items() if isinstance(value, Threshold)}
    documented = {name: (value, reason) for name, value, reason in _ROW.findall(PAGE.read_text(encoding="utf-8"))}

    assert set(known) == set(thresholds.__all__) - {"Threshold"}
    assert documented == {name: (printed(name, t.value), t.reason) for name, t in known.items()}
