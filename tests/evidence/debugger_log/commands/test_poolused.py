"""``!poolused``: expected numbers beside the quoted rows; tags of every shape, in every spacing."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.errors import InputError
from poolsleuth.model.tags import Completeness, PoolKind, TagTable

SHARED = Path(__file__).parents[5] / "shared"

HEAD = """0: kd> !poolused 2
   Sorting by  NonPaged Pool Consumed

  Pool Used:
            NonPaged            Paged
 Tag    Allocs     Used    Allocs     Used
"""
FLAG_2 = (
    HEAD.replace("!poolused 2", "!poolused /t5 2")
    + """ MmCm     3187 17452976         0        0      Calls made to MmAllocateContiguousMemory , Binary: nt!mm
 NDpp     1125  4519648         0        0      packet pool , Binary: ndis.sys
 File    24911  3992376         5      640      File objects
 abcd        8  3305504         0        0      UNKNOWN pooltag 'abcd', please update pooltag.txt
 CM         85     5440     11045 47915424
 TOTAL  239570 65912104    200276 66610504
"""
)
FLAG_3 = """lkd> !poolused 3
   Sorting by  NonPaged Pool Consumed

  Pool Used:
            NonPaged
 Tag    Allocs    Frees     Diff     Used
 EtwB      304      134      170  6550080  Etw Buffer , Binary: nt!etw
 File 32630649 32618671    11978  3752928  File objects
 SaSc    20281    14820     5461  1048512  UNKNOWN pooltag \u2018SaSc\u2019, please update pooltag.txt
"""
LOST_COLUMN = """0: kd> !poolused 3
   Sorting by  NonPaged Pool Consumed

  Pool Used:
            NonPaged
 Tag    Allocs    Frees     Diff
 Ddk   9074558  3859522  5215036  Default for driver allocated memory (user\u2019s of ntddk.h)
"""
EIGHT = """                            NonPaged                                         Paged
 Tag       Allocs       Frees      Diff         Used       Allocs       Frees      Diff         Used

 -UMD           2           1         1           48            0           0         0            0	UNKNOWN pooltag '-UMD', please update pooltag.txt
 ALPC        4528        2111      2417      1440624            0           0         0            0	ALPC port objects , Binary: nt!alpc
 APpt         968           0       968       124112       109457      107115      2342       255952	UNKNOWN pooltag 'APpt', please update pooltag.txt
"""  # noqa: E501 - real lines are that long

Row = tuple[str, str, int | None, int | None, int | None, int | None]


def tables(text: str) -> list[TagTable]:
    return [fact for fact in LogReader(0).read(io.BytesIO(text.encode())) if isinstance(fact, TagTable)]


def rows(table: TagTable) -> list[Row]:
    return [(r.tag, str(r.pool), r.allocs, r.frees, r.outstanding, r.bytes) for r in table.rows]


def collapsed(text: str) -> str:
    return "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.split("\n"))


def doubled(text: str) -> str:
    return collapsed(text).replace("\n", "\n\n")


DAMAGES = [
    str,
    collapsed,
    doubled,
    lambda text: "".join(f"\t{line}\n" for line in text.split("\n")),
    lambda text: text.replace("  ", "\u00a0 "),
    lambda text: "".join(f"> {line}\n" for line in text.split("\n")),
    lambda text: re.sub(r" {2,}", "\t", text),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_flag_2(damage: type[str]) -> None:
    (table,) = tables(damage(FLAG_2))
    assert rows(table) == [
        ("MmCm", "nonpaged", None, None, 3187, 17452976),  # MmCm     3187 17452976         0        0
        ("NDpp", "nonpaged", None, None, 1125, 4519648),
        ("File", "nonpaged", None, None, 24911, 3992376),  # File    24911  3992376         5      640
        ("File", "paged", None, None, 5, 640),
        ("abcd", "nonpaged", None, None, 8, 3305504),
        ("CM", "nonpaged", None, None, 85, 5440),  # CM         85     5440     11045 47915424
        ("CM", "paged", None, None, 11045, 47915424),
    ]
    assert table.completeness is Completeness.CUT  # /t5: the top five only
    assert {pool: (row.outstanding, row.bytes) for pool, row in table.total.items()} == {
        PoolKind.NONPAGED: (239570, 65912104),  # TOTAL  239570 65912104    200276 66610504
        PoolKind.PAGED: (200276, 66610504),
    }
    assert (table.sorted_by, table.session) == (PoolKind.NONPAGED, None)
    described = {row.tag: (row.description, row.binary) for row in table.rows}
    assert described["MmCm"] == ("Calls made to MmAllocateContiguousMemory", "nt!mm")
    assert described["File"] == ("File objects", None)
    assert described["abcd"] == (None, None)  # UNKNOWN pooltag describes nothing


@pytest.mark.parametrize("damage", DAMAGES)
def test_flag_3(damage: type[str]) -> None:
    (table,) = tables(damage(FLAG_3))
    assert rows(table) == [
        ("EtwB", "nonpaged", 304, 134, 170, 6550080),  # EtwB      304      134      170  6550080
        ("File", "nonpaged", 32630649, 32618671, 11978, 3752928),
        ("SaSc", "nonpaged", 20281, 14820, 5461, 1048512),
    ]
    assert table.pools == frozenset({PoolKind.NONPAGED})
    assert table.completeness is Completeness.UNKNOWN
    assert table.live is True


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_used_column_is_lost(damage: type[str]) -> None:
    (table,) = tables(damage(LOST_COLUMN))
    assert rows(table) == [("Ddk", "nonpaged", 9074558, 3859522, 5215036, None)]


def test_eight_columns_without_a_prompt() -> None:
    (table,) = tables(EIGHT)
    assert rows(table) == [
        ("-UMD", "nonpaged", 2, 1, 1, 48),
        ("ALPC", "nonpaged", 4528, 2111, 2417, 1440624),
        ("APpt", "nonpaged", 968, 0, 968, 124112),
        ("APpt", "paged", 109457, 107115, 2342, 255952),
    ]


def test_without_its_header_a_table_is_refused() -> None:
    reader = LogReader(0)
    body = FLAG_2.split("Used\n", 1)[1]
    assert list(reader.read(io.BytesIO(body.encode()))) == []
    assert any("without its column header" in problem.says for problem in reader.problems)


def test_a_complete_table() -> None:
    text = HEAD + " Aaaa        2      160         1       80\n Bbbb        1       48         0        0\n"
    assert tables(text)[0].completeness is Completeness.UNKNOWN
    assert tables(text + " TOTAL       3      208         1       80\n")[0].completeness is Completeness.COMPLETE
    assert tables(text + " TOTAL       4      300         1       80\n")[0].completeness is Completeness.CUT
    assert tables(text + " ...\n TOTAL       3      208         1       80\n")[0].completeness is Completeness.CUT


@pytest.mark.parametrize(
    ("command", "session"),
    [
        ("!poolused 2", None),
        ("!poolused /t 8 2", None),
        ("!poolused /t8 2", None),
        ("!poolused 8", -1),
        ("!poolused a", -1),
    ],
)
def test_session_tables_by_their_flag(command: str, session: int | None) -> None:
    """Built from the documentation: no published output with flag 8 is known."""
    text = HEAD.replace("!poolused 2", command) + " Gh05        2      160         1       80\n"
    assert tables(text)[0].session == session


def test_session_tables_by_their_heading() -> None:
    text = HEAD.replace("Sorting by  NonPaged Pool Consumed", "Sorting by Session Tag")
    assert tables(text + " Gh05        2      160         1       80\n")[0].session == -1


@pytest.mark.parametrize(("flag", "pool"), [("2", "nonpaged"), ("3", "nonpaged"), ("4", "paged"), ("5", "paged")])
def test_one_half_without_its_heading_is_told_by_the_flag(flag: str, pool: str) -> None:
    text = f"0: kd> !poolused {flag}\n Tag    Allocs    Frees     Diff     Used\n"
    text += " EtwB      304      134      170  6550080\n"
    assert rows(tables(text)[0]) == [("EtwB", pool, 304, 134, 170, 6550080)]


def test_one_half_of_no_known_pool_is_refused() -> None:
    reader = LogReader(0)
    text = " Tag    Allocs    Frees     Diff     Used\n EtwB      304      134      170  6550080\n"
    assert list(reader.read(io.BytesIO(text.encode()))) == []
    assert any("does not say which pool" in problem.says for problem in reader.problems)


def test_a_description_wrapped_into_the_next_line() -> None:
    text = HEAD + " abcd        8  3305504         0        0      UNKNOWN\npooltag 'abcd', please update pooltag.txt\n"
    assert rows(tables(text)[0]) == [("abcd", "nonpaged", None, None, 8, 3305504)]


def test_numbers_wrapped_into_the_next_line() -> None:
    text = HEAD + " abcd        8  3305504\n0 0      Some driver\n efgh 1 64 0 0\n"
    assert [row[0] for row in rows(tables(text)[0])] == ["abcd", "efgh"]


# A tag as the kernel can hold it: four bytes, printed as they are, trailing blanks lost
TAG = st.text(
    st.sampled_from("ABCdefg019-._?!$%&+=~@ \u00e9\u00fc\u0416"),
    min_size=1,
    max_size=4,
).map(str.strip)


def readable(tag: str) -> bool:
    """Not a tag that a person could mistake for something else in a table whose columns are lost."""
    return (
        bool(tag)
        and tag != "TOTA"
        and not re.search(r"(?:^|\s)[\d,]+(?:\s|$)", tag)
        and not re.match(r"[->.]+\s|\.{3}|-{2}", tag)
    )


USE = st.integers(1, 10**7).flatmap(lambda count: st.tuples(st.just(count), st.integers(count * 8, count * 8 + 10**9)))
HALF = st.one_of(st.just((0, 0)), USE)


@settings(max_examples=120, deadline=None)
@given(
    table=st.lists(
        st.tuples(TAG.filter(readable), USE, HALF, st.sampled_from(["", "File objects", "x , Binary: a.sys"])),
        unique_by=lambda row: row[0],
    ),
    shape=st.sampled_from(["as printed", "collapsed", "double"]),
)
@example(table=[("a b", (5, 80), (0, 0), "")], shape="collapsed")
@example(table=[("Dh 1", (5, 80), (0, 0), "")], shape="as printed")
@example(table=[("8042", (5, 80), (0, 0), "PS/2 keyboard and mouse")], shape="collapsed")
def test_round_trip(table: list[tuple[str, tuple[int, int], tuple[int, int], str]], shape: str) -> None:
    """What !poolused 2 prints is read back, whatever the tags are."""
    text = HEAD
    for tag, nonpaged, paged, description in table:
        text += f" {tag:<4} {nonpaged[0]:8} {nonpaged[1]:8}  {paged[0]:8} {paged[1]:8}      {description}\n"
    text = {"as printed": text, "collapsed": collapsed(text), "double": doubled(text)}[shape]
    expected: list[Row] = []
    for tag, nonpaged, paged, _ in table:
        name = " ".join(tag.split(" ")) if shape == "as printed" else " ".join(tag.split())
        expected.append((name, "nonpaged", None, None, *nonpaged))
        if paged[0]:
            expected.append((name, "paged", None, None, *paged))
    found = tables(text)
    assert [row for t in found for row in rows(t)] == expected


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(TAG.filter(readable), st.integers(0, 2**32 - 1), st.integers(1, 10**6), st.integers(0, 10**6)),
        min_size=1,
        unique_by=lambda row: row[0],
    )
)
def test_round_trip_with_frees(table: list[tuple[str, int, int, int]]) -> None:
    """What !poolused 3 prints; 32-bit counters of allocations wrap, the difference does not."""
    text = FLAG_3.split(" EtwB", maxsplit=1)[0]
    for tag, frees, diff, extra in table:
        text += f" {tag:<4} {(frees + diff) % 2**32:8} {frees:8} {diff:8} {diff * 8 + extra:8}  File objects\n"
    assert [row for t in tables(text) for row in rows(t)] == [
        (tag, "nonpaged", (frees + diff) % 2**32, frees, diff, diff * 8 + extra) for tag, frees, diff, extra in table
    ]


@settings(max_examples=150, deadline=None)
@given(text=st.sampled_from([FLAG_2, FLAG_3, LOST_COLUMN, EIGHT]), data=st.data())
def test_no_row_comes_from_a_cut(text: str, data: st.DataObject) -> None:
    """Cut off behind any line: every row that is read stands in the whole table."""
    lines = text.splitlines(keepends=True)
    whole = {row for table in tables(text) for row in rows(table)}
    start = data.draw(st.integers(0, len(lines)))
    end = data.draw(st.integers(start, len(lines)))
    for table in tables("".join(lines[start:end])):
        assert set(rows(table)) <= whole


@settings(max_examples=200, deadline=None)
@given(text=st.sampled_from([FLAG_2, FLAG_3, LOST_COLUMN, EIGHT]), data=st.data())
def test_a_cut_inside_a_row(text: str, data: st.DataObject) -> None:
    """A number that may have lost digits is not believed."""
    end = data.draw(st.integers(0, len(text)))
    whole = {row for table in tables(text) for row in rows(table)}
    for table in tables(text[:end]):
        assert set(rows(table)) <= whole


@settings(max_examples=150, deadline=None)
@given(text=st.sampled_from([FLAG_2, FLAG_3, LOST_COLUMN, EIGHT]), data=st.data())
def test_any_mutation_reads(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 200)))
    insert = data.draw(st.text(st.sampled_from("0123456789 \n\t\r:*TagUsed\u00a0\x00>|"), max_size=20))
    reader = LogReader(0)
    try:
        list(reader.read(io.BytesIO((text[:start] + insert + text[end:]).encode())))
    except InputError:
        return
    assert not [problem for problem in reader.problems if "could not be read" in problem.says]


@pytest.mark.parametrize(
    ("name", "tag", "numbers"),
    [
        ("001", "MmCm", (None, None, 3187, 17452976)),
        ("003", "EtwB", (304, 134, 170, 6550080)),
        ("006", "MmSt", (None, None, 85622, 140642616)),
        ("007", "Ddk", (9074558, 3859522, 5215036, None)),
        ("012", "Abc", (None, None, 36405, 33930272)),
        ("045", ".UMD", (2, 1, 1, 144)),
    ],
)
def test_published(name: str, tag: str, numbers: tuple[int | None, ...]) -> None:
    found = sorted((SHARED / "data" / "transcripts").glob(f"{name}_*.txt"))
    if not found:
        pytest.skip(f"the published transcript {name} is not there")
    (table,) = tables(found[0].read_text(encoding="utf-8"))
    assert numbers in [row[2:] for row in rows(table) if row[0] == tag]
