"""One row of a tag table: where a tag ends and the numbers begin."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.tag_rows import COLUMNS, RawRow, read_row, split_description

TWO = COLUMNS["allocs", "used"]
FOUR = COLUMNS["allocs", "frees", "diff", "used"]


def row(line: str, count: int = 4, columns: tuple[str, ...] = TWO) -> RawRow | None:
    return read_row(line, 0, len(line), count, columns)


@pytest.mark.parametrize(
    ("line", "tag", "numbers"),
    [
        (" MmCm     3187 17452976         0        0      Calls made", "MmCm", (3187, 17452976, 0, 0)),
        ("CM 85 5440 11045 47915424", "CM", (85, 5440, 11045, 47915424)),
        (" Io        3      192         0        0", "Io", (3, 192, 0, 0)),
        (" I D       3      192         0        0", "I D", (3, 192, 0, 0)),
        (" 8042      3      192         0        0      PS/2", "8042", (3, 192, 0, 0)),
        (" Dh 1      3      192         0        0", "Dh 1", (3, 192, 0, 0)),
        (" -UMD      3      192         0        0", "-UMD", (3, 192, 0, 0)),
        (" ..        3      192         0        0", "..", (3, 192, 0, 0)),
        (" \u0416\u00e9?!      3      192         0        0", "\u0416\u00e9?!", (3, 192, 0, 0)),
        (" Big  1,234,567 123,456,789  0  0  text", "Big", (1234567, 123456789, 0, 0)),
        (" TOTAL  239570 65912104    200276 66610504", "TOTAL", (239570, 65912104, 200276, 66610504)),
        ("# MmCm 3187 17452976 0 0", "MmCm", (3187, 17452976, 0, 0)),
        ("MmCm 3187 17452976\n0 0 wrapped", "MmCm", (3187, 17452976, 0, 0)),
        (" MmCm 3187 17452976 0 0 7 dwarfs", "MmCm", (3187, 17452976, 0, 0)),
    ],
)
def test_a_row(line: str, tag: str, numbers: tuple[int, ...]) -> None:
    found = row(line)
    assert found is not None
    assert (found.tag, found.numbers) == (tag, numbers)


@pytest.mark.parametrize(
    "line",
    [
        "",
        " MmCm",
        " MmCm 12 34 56",
        "Long words 1 2 3 4",
        "12 34 56",
        " MmCm twelve 1 2 3 4",
        "3187 17452976 0 0",
        "=====" * 9,
    ],
)
def test_no_row(line: str) -> None:
    assert row(line) is None


def test_frees_and_diff_decide_a_doubtful_tag() -> None:
    found = row(" X 9   10   4   6   640  text", 4, FOUR)
    assert found is not None
    assert (found.tag, found.numbers) == ("X 9", (10, 4, 6, 640))
    found = row(" X   10   4   6   640  9 more", 4, FOUR)
    assert found is not None
    assert (found.tag, found.numbers, found.description) == ("X", (10, 4, 6, 640), "9 more")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("packet pool , Binary: ndis.sys", ("packet pool", "ndis.sys")),
        ("TCP/IP network protocol , Binary: TCP", ("TCP/IP network protocol", "TCP")),
        ("Binary: x.sys", (None, "x.sys")),
        ("  File    objects ", ("File objects", None)),
        ("UNKNOWN pooltag 'abcd', please update pooltag.txt", (None, None)),
        ("", (None, None)),
    ],
)
def test_descriptions(text: str, expected: tuple[str | None, str | None]) -> None:
    assert split_description(text) == expected


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("Ab1 9,\n.x\u00e9-"), max_size=60), st.sampled_from([2, 3, 4, 8]))
def test_any_text(text: str, count: int) -> None:
    columns = {2: TWO, 3: COLUMNS["allocs", "frees", "diff"], 4: FOUR, 8: FOUR}[count]
    found = read_row(text, 0, len(text), count, columns)
    if found is not None:
        assert len(found.numbers) == count
        assert 1 <= len(found.tag) <= 5
        assert found.start <= found.end <= len(text)
