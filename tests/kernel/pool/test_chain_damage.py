"""Headers of one page, damaged by hand: which block it was, and how."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.pool.blocks import Rule
from poolsleuth.kernel.pool.chain_damage import Damage, examine

SIZES = [10, 20, 6, 30, 40, 50, 100]  # of 256 units
STARTS = [0, 10, 30, 36, 66, 106, 156]
DATA = (0x41, 0x41)


def page(**changed: tuple[int, int]) -> list[tuple[int, int]]:
    """Previous size and size of every unit; what is no header is the data of a block. ``b3``: the fourth header."""
    units = [DATA] * 256
    for number, (start, size) in enumerate(zip(STARTS, SIZES, strict=True)):
        units[start] = changed.get(f"b{number}", (SIZES[number - 1] if number else 0, size))
    return units


@pytest.mark.parametrize(
    ("damaged", "bad", "before", "wanted"),
    [
        ({"b3": (5, 30)}, 36, 6, Damage(36, Rule.PREVIOUS_SIZE)),
        ({"b3": (90, 30)}, 36, 6, Damage(36, Rule.PREVIOUS_TOO_LARGE)),
        ({"b3": (6, 0)}, 36, 6, Damage(36, Rule.SIZE_ZERO)),
        ({"b3": (6, 250)}, 36, 6, Damage(36, Rule.SIZE_TOO_LARGE)),
        # The block claims 50 units: the chain lands in the data of the next one
        ({"b3": (6, 50)}, 86, 50, Damage(36, Rule.SIZE_WRONG)),
        ({"b3": DATA}, 36, 6, Damage(36, Rule.OVERRUN)),
        ({"b6": (77, 100)}, 156, 50, Damage(156, Rule.PREVIOUS_SIZE)),
    ],
)
def test_each_kind(damaged: dict[str, tuple[int, int]], bad: int, before: int, wanted: Damage) -> None:
    assert examine(page(**damaged), bad, before) == wanted


def test_two_damaged_headers_are_still_a_contradiction() -> None:
    found = examine(page(b3=DATA, b5=DATA), 36, 6)
    assert found.unit == 36
    assert found.rule in (Rule.PREVIOUS_SIZE, Rule.PREVIOUS_TOO_LARGE)


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), min_size=256, max_size=256), st.integers(1, 255))
def test_any_page_gives_an_answer(headers: list[tuple[int, int]], bad: int) -> None:
    found = examine(headers, bad, min(bad, 7))
    assert 0 <= found.unit < 256
