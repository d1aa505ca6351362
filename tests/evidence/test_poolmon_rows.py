"""Rows of poolmon text as columns of numbers."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence import poolmon_rows
from poolsleuth.evidence.poolmon_rows import RowParser, Rows, believed, whole_lines

Writer = Callable[..., str]


def parsed(text: str | bytes) -> tuple[list[tuple[str, bool, int, int, int, int, int]], list[bytes]]:
    parser = RowParser()
    rows, others = parser.parse(text.encode() if isinstance(text, str) else text)
    table = zip(
        rows.tags.tolist(), rows.paged.tolist(), rows.allocs.tolist(), rows.frees.tolist(),
        rows.outstanding.tolist(), rows.bytes.tolist(), rows.each.tolist(), strict=True,
    )  # fmt: skip
    return [(parser.name(tag), *figures) for tag, *figures in table], [line for _, line in others]


ROW = st.tuples(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=4),
    st.sampled_from(["Nonp", "Paged"]),
    st.one_of(st.integers(0, 1 << 20), st.integers(0, 10**15)),
    st.integers(0, 1 << 20),
    st.one_of(st.integers(0, 1 << 20), st.integers(0, 10**15)),
)


@given(rows=st.lists(ROW, min_size=1, max_size=40), changes=st.booleans(), drivers=st.booleans())
@settings(deadline=None)
def test_layouts_change_nothing(
    poolmon_text: Writer, rows: list[tuple[str, str, int, int, int]], changes: bool, drivers: bool
) -> None:
    rows = [(tag, pool, allocs + frees, frees, size) for tag, pool, allocs, frees, size in rows]
    text = poolmon_text(rows, changes=changes, drivers=drivers)

    fast = parsed(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(poolmon_rows, "MAX_LAYOUTS", 0)
        slow = parsed(text)

    assert fast == slow
    assert [row[:4] for row in fast[0]] == [(t, p == "Paged", a, f) for t, p, a, f, _ in rows]
    assert [row[5] for row in fast[0]] == [size for *_, size in rows]


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (
            " Dh 1 Paged        37 (   0)        35 (   0)     2     224 (     0)    112 Unknown Driver",
            ("Dh 1", True, 37, 35, 2, 224, 112),
        ),
        (
            "CM       Paged     1283  ( 0)    1002  ( 0)     281    1377312   ( 0)    4901",
            ("CM", True, 1283, 1002, 281, 1_377_312, 4901),
        ),
        (
            "Strg     Paged    10,385 ( 10)    6,658  ( 4)    3727     317952 ( 512)    85",
            ("Strg", True, 10_385, 6658, 3727, 317_952, 85),
        ),
        (
            " File Nonp  300000 (   0)  0 (   0)  300000 -1294967296 (     0)   10000",
            ("File", False, 300_000, 0, 300_000, -1_294_967_296, 10_000),
        ),
        ("             (Abc Nonp 3 1 2 20 10", ("(Abc", False, 3, 1, 2, 20, 10)),
    ],
)
def test_rows_of_many_shapes(line: str, row: tuple[str, bool, int, int, int, int, int]) -> None:
    assert parsed(line + "\n") == ([row], [])
    # Beside rows of the common shape
    common = " File Nonp                 10                  5                 5            500              100\n"
    assert parsed(common * 3 + line + "\n" + common * 3)[0][3] == row


def test_a_tag_outside_ascii() -> None:
    line = " {}bc Nonp                 10                  5                 5            500              100\n"

    for text in (line.format("\u00e4").encode("cp1252"), line.format("\u00e4").encode()):
        assert parsed(text)[0][0][0] == "\u00e4bc"
    names = [row[0] for row in parsed("".join(line.format(chr(code)) for code in range(0x2550, 0x2560)))[0]]
    assert names == [f"{chr(code)}bc" for code in range(0x2550, 0x2560)]


def test_other_lines_keep_their_places(poolmon_text: Writer) -> None:
    text = poolmon_text([("File", "Nonp", 10, 5, 500)], "2008-03-27 10:15:00").encode()

    rows, others = RowParser().parse(text)

    for offset, line in others:
        assert text[offset : offset + len(line)] == line
    assert text[int(rows.offsets[0]) :].startswith(b" File Nonp")
    assert [line.strip()[:6] for _, line in others] == [b"2008-0", b"Memory", b"Commit", b"System", b"Tag  T"]


def rows_of(*rows: tuple[int, int, int, int, int]) -> Rows:
    columns = np.array(rows, np.int64).T
    count = len(rows)
    return Rows(np.arange(count), np.arange(count), np.zeros(count, np.bool_), *columns)


def test_no_digit_of_a_long_number_is_lost() -> None:
    # Columns of 19 and 20 places: the wide row stands where the layout of the small one has all of its digits
    numbers = [(7, 2, 5, 10**18, 2 * 10**17), (7, 2, 5, 3_000, 600), (7, 2, 5, 10**19, 2 * 10**18)]
    text = "".join(f" Abc1 Nonp  {a:20} {f:20} {d:20} {b:20} {e:20}\n" for a, f, d, b, e in numbers)

    rows, others = parsed(text)

    assert [row[2:] for row in rows] == numbers[:2]
    assert others == [text.splitlines()[2].encode()]  # more than 2^62: no pool holds that


def test_what_is_believed() -> None:
    top = 1 << 32
    good, figures = believed(
        rows_of(
            (10, 5, 5, 500, 100),
            (5, top - 5, 10, 100, 10),  # allocations wrapped
            (10, 5, 77, 500, 100),  # nothing fits
            (10, 5, 7, 700, 100),  # the last columns fit
            (3, 0, 3, -(1 << 31), 7),  # 2 GB as a signed number
            (3, 5, -2, 0, 0),
        )
    )

    assert good.tolist() == [True, True, False, True, True, True]
    assert figures.bytes.tolist() == [500, 100, 700, 1 << 31, 0]
    np.testing.assert_equal(figures.allocs, [10, 5, np.nan, 3, 3])
    np.testing.assert_equal(figures.outstanding, [5, 10, 7, 3, np.nan])


def test_a_last_line_that_may_be_cut() -> None:
    rows = rows_of((10, 5, 5, 500, 100), (10, 5, 5, 50, 100))

    assert len(whole_lines(rows, 0)) == 2
    assert whole_lines(rows, 1).offsets.tolist() == [0]
    assert len(whole_lines(rows, 7)) == 2
