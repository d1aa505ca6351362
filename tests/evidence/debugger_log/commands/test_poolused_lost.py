"""Rows of a tag table that cannot be used do not vanish silently."""

import io

import pytest

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.tags import TagTable

HEAD = """0: kd> !poolused 2
   Sorting by  NonPaged Pool Consumed

  Pool Used:
            NonPaged            Paged
 Tag    Allocs     Used    Allocs     Used
"""
GOOD = " MmCm     3187 17452976         0        0      Calls made\n"


def read(text: str) -> tuple[list[str], list[str]]:
    reader = LogReader(0)
    tags = [
        row.tag for fact in reader.read(io.BytesIO(text.encode())) if isinstance(fact, TagTable) for row in fact.rows
    ]
    return tags, [problem.says for problem in reader.problems]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (" NDpp    -1125  4519648         0        0      packet pool\n", "negative"),
        (" NDpp     1125 -4519648         0        0\n", "negative"),
        (" NDpp     1125 123456789012345678901         0        0      x\n", "more than 20 digits"),
        (" NDpp     1125  4519648         0\n", "cut inside its numbers"),
        (" NDpp     1125  4519", "cut inside its numbers"),
        (" NDpp     11", "cut inside its numbers"),
        (" NDpp  2000000  4000000         0        0      packet pool\n", "8 bytes"),
        (" NDpp        1       64   2000000  4000000      packet pool\n", "8 bytes"),
    ],
)
@pytest.mark.parametrize("before", [GOOD, ""])
def test_an_unusable_row_is_said(row: str, why: str, before: str) -> None:
    tags, problems = read(HEAD + before + row)
    assert tags == (["MmCm"] if before else [])
    (problem,) = problems
    assert why in problem
    assert "NDpp" in problem


def test_the_rows_behind_it_are_read() -> None:
    tags, problems = read(HEAD + " NDpp     -125  4519648  0  0  packet pool\n" + GOOD)
    assert (tags, len(problems)) == (["MmCm"], 1)


def test_many_of_them_are_counted() -> None:
    tags, problems = read(HEAD + GOOD + "".join(f" A{n:03}  -5  640  0  0  x\n" for n in range(500)))
    assert tags == ["MmCm"]
    assert len(problems) == 4
    assert "497 more rows" in problems[-1]


def test_talk_in_a_table_is_no_row() -> None:
    tags, problems = read(HEAD + GOOD + "On 12 May 2011 it was 30 MB.\n\nThat is 40 MB in 12 blocks\n see 5\n\n")
    assert (tags, problems) == (["MmCm"], [])
