"""The page of the screen has the keys and the widths of the code."""

import re
from pathlib import Path

import pytest

from poolsleuth.top.screen.keys import KEYS
from poolsleuth.top.screen.layout import _SIZES, VALUE, layout
from poolsleuth.top.view import Column

PAGE = Path(__file__).parents[3] / "docs" / "top.md"
TEXT = PAGE.read_text(encoding="utf-8")
WIDTHS = {
    (Column.FREES, VALUE): 64,
    (Column.FREES, "change"): 137,
    (Column.DIFF, VALUE): 32,
    (Column.DIFF, "change"): 170,
    (Column.BYTES, "change"): 42,
    (Column.EACH, VALUE): 73,
    (Column.RATE, VALUE): 80,
    (Column.STARTED, VALUE): 91,
    (Column.DRIVER, VALUE): 104,
    (Column.TREND, VALUE): 117,
    (Column.SHARE, VALUE): 144,
    (Column.NOTE, VALUE): 161,
}


def test_every_key_is_documented_as_it_is() -> None:
    rows = [f"| `{key.shown}` | {key.says} |" for key in KEYS]
    section = TEXT[TEXT.index("## Keys") : TEXT.index("## What is shown")]
    assert [line for line in section.splitlines() if line.startswith("| `")] == rows


def test_every_heading_is_documented() -> None:
    section = TEXT[TEXT.index("## Columns") : TEXT.index("## Keys")]
    named = set(re.findall(r"`(\w+(?:/h)?)`", section))
    assert {title for title, _ in _SIZES.values() if title} <= named


@pytest.mark.parametrize(("cell", "width"), WIDTHS.items())
def test_documented_widths_are_those_from_which_a_column_is_always_there(cell: tuple[Column, str], width: int) -> None:
    def there(columns: int) -> bool:
        return cell in [(shown.column, shown.kind) for shown in layout(columns, sort=Column.BYTES).cells]

    assert not there(width - 1)
    assert all(there(columns) for columns in range(width, 300))
    section = TEXT[TEXT.index("## Columns") : TEXT.index("## Keys")]
    assert re.search(rf"[|;] {width}(;| \|)", section)
