import re
from pathlib import Path

import pytest

import poolsleuth
from poolsleuth.patterns import thresholds
from poolsleuth.patterns.thresholds import Threshold

SOURCE = Path(poolsleuth.__file__).parent
ALL = {name: value for name, value in vars(thresholds).items() if isinstance(value, Threshold)}


def test_there_are_thresholds() -> None:
    assert len(ALL) > 20


@pytest.mark.parametrize("name", ALL)
def test_each_has_a_reason(name: str) -> None:
    assert len(ALL[name].reason) > 30
    assert ALL[name].value > 0


@pytest.mark.parametrize("name", ALL)
def test_each_is_used(name: str) -> None:
    users = [
        path
        for path in SOURCE.rglob("*.py")
        if path.name != "thresholds.py" and re.search(rf"\b{name}\b(?!.*import)", path.read_text("utf-8"))
    ]

    assert users, f"{name} decides nothing"


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("POOL_WARNING", "POOL_CRITICAL"),
        ("RAM_SHARE_WARNING", "RAM_SHARE_CRITICAL"),
        ("COMMIT_SHARE_WARNING", "COMMIT_SHARE_CRITICAL"),
        ("SESSION_WARNING", "SESSION_CRITICAL"),
        ("HANDLES_SUSPECT", "HANDLES_CRITICAL"),
        ("LOCK_WAITERS", "LOCK_WAITERS_CRITICAL"),
        ("PTES_CRITICAL", "PTES_WARNING"),
        ("FALSE_BANNER", "POOL_WARNING"),
    ],
)
def test_the_steps_go_up(lower: str, higher: str) -> None:
    assert ALL[lower].value < ALL[higher].value


def test_the_samples_lie_on_their_side() -> None:
    # 78.0 % of nonpaged pool carries no banner, 80.2 % of paged pool does (both are real)
    assert 25463 / 32647 < ALL["POOL_WARNING"].value <= 32850 / 40960
    # "54 % of the available memory" was the cause of the trouble
    assert ALL["RAM_SHARE_CRITICAL"].value <= 0.54
    # 65,912,104 bytes in tags of 101,852 Kb in use
    assert 1 - 65_912_104 / (101_852 * 1024) > ALL["FRAGMENTATION_GAP"].value > 0.15
