"""The table that PoolMonX saves."""

import io
import math
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.poolmonx import looks_like_poolmonx, read_poolmonx
from poolsleuth.evidence.recognise import Content, content_of
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Problem
from poolsleuth.model.series import TagHistory, TagKey
from poolsleuth.model.tags import Completeness, PoolKind, TagTable

REAL = Path(__file__).parents[3] / "shared" / "data" / "poolmon" / "PoolMonX_test.csv"
DECODED = REAL.with_name("PoolMonX_test_decoded.tsv")
WRITTEN = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)

Row = tuple[str, str, int, int, int]


def saved(rows: list[Row]) -> bytes:
    """A file as PoolMonX writes it: tag, type, allocations, frees and bytes of each row."""
    data = bytes([1]) * 20
    for tag, pool, allocs, frees, size in rows:
        kb = f"{size // 1024} KB"
        for text in (tag, pool, allocs, frees, allocs - frees, size, kb, 0, "a.sys", "Some text"):
            raw = str(text).encode("utf-16-le")
            length = len(raw) // 2
            data += (
                b"\1\xff\xfe\xff" + (bytes([length]) if length < 255 else b"\xff" + length.to_bytes(2, "little")) + raw
            )
        data += b"\1"
    return data + b"\1"


def read(data: bytes, modified: datetime | None = WRITTEN) -> tuple[TagTable, TagHistory, list[Problem]]:
    problems: list[Problem] = []
    table, history = read_poolmonx(io.BytesIO(data), 0, modified, problems, lambda: None)
    assert isinstance(table, TagTable)
    assert isinstance(history, TagHistory)
    return table, history, problems


@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=4),
            st.sampled_from(["Non Paged", "Paged"]),
            st.integers(1 << 20, 1 << 40),
            st.integers(0, 1 << 20),
            st.integers(0, 1 << 50),
        ),
        min_size=1,
        max_size=20,
        unique_by=lambda row: row[:2],
    )
)
@settings(deadline=None)
def test_round_trip(rows: list[Row]) -> None:
    data = saved(rows)

    assert looks_like_poolmonx(data)
    assert content_of(data) is Content.POOLMONX
    table, history, problems = read(data)

    pools = {"Non Paged": PoolKind.NONPAGED, "Paged": PoolKind.PAGED}
    assert [(r.tag, r.pool, r.allocs, r.frees, r.outstanding, r.bytes) for r in table.rows] == [
        (t, pools[p], a, f, a - f, size) for t, p, a, f, size in rows
    ]
    assert (table.rows[0].binary, table.rows[0].description) == ("a.sys", "Some text")
    assert (table.completeness, table.at, table.source) == (Completeness.COMPLETE, WRITTEN, "PoolMonX")
    assert (history.complete, list(history.times), history.dated_by) == (
        True,
        [WRITTEN.timestamp()],
        "the file's own time",
    )
    assert {key: column.bytes[0] for key, column in history.columns.items()} == {
        TagKey(t, pools[p]): size for t, p, _, _, size in rows
    }
    assert problems == []


def test_without_a_file_time() -> None:
    table, history, _ = read(saved([("File", "Paged", 5, 0, 500)]), None)

    assert table.at is None
    assert math.isnan(history.times[0])


def test_a_tag_filled_up_with_blanks_beside_one_filled_up_with_nuls() -> None:
    table, _, _ = read(saved([("Io  ", "Paged", 5, 0, 500), ("Io", "Paged", 6, 0, 600), ("CM", "Paged", 7, 0, 700)]))

    assert [row.tag for row in table.rows] == ["Io", "Io\u2400\u2400", "CM"]


def test_a_table_that_is_cut_off_is_not_complete() -> None:
    rows: list[Row] = [(f"T{n:03}", "Paged", 5 + n, 0, 500) for n in range(5)]
    data = saved(rows)
    # A cut between two rows, behind the byte that begins the next one, cannot be seen
    unseen = {len(saved(rows[:count])) for count in range(1, 5)}
    ends = [len(saved(rows[:count])) - 2 for count in range(1, 6)]
    for cut in range(len(data)):
        count = sum(end <= cut for end in ends)
        if count == 0:
            with pytest.raises(InputError, match="no row of it can be read"):
                read(data[:cut])
            continue
        table, history, problems = read(data[:cut])
        assert [row.tag for row in table.rows] == [tag for tag, *_ in rows[:count]]
        assert history.complete is (table.completeness is Completeness.COMPLETE) is (cut in unseen)
        assert len(problems) == (cut not in unseen)


def test_a_cut_inside_a_row_is_said() -> None:
    data = saved([(f"T{n:03}", "Paged", 5 + n, 0, 500) for n in range(5)])

    table, history, (problem,) = read(data[:-40])

    assert problem.says == "the table of PoolMonX is damaged or cut off: 4 rows of it were read"
    assert (table.completeness, history.complete) == (Completeness.CUT, False)


@pytest.mark.parametrize("seed", range(60))
def test_mutations(seed: int) -> None:
    source = random.Random(seed)
    data = bytearray(saved([(f"T{n:03}", "Paged", 5 + n, 0, 500) for n in range(8)]))
    for _ in range(source.randrange(1, 12)):
        data[source.randrange(len(data))] = source.randrange(256)
    looks_like_poolmonx(bytes(data))
    try:
        table, _, _ = read(bytes(data))
    except InputError:
        return
    assert 0 < len(table.rows) <= 8


@pytest.mark.parametrize(
    "data",
    [b"", b"\1" * 100, b"\1\xff\xfe\xff", b"\1" * 21 + b"\xff\xfe\xff\xff\xff\xff" + b"x" * 100, b"\xff\xfeT\0a\0g\0"],
)
def test_what_is_no_table(data: bytes) -> None:
    assert not looks_like_poolmonx(data)
    with pytest.raises(InputError):
        read(data)


@pytest.fixture(scope="module")
def real() -> tuple[TagTable, TagHistory]:
    if not REAL.exists():
        pytest.skip("PoolMonX_test.csv is not here")
    table, history, problems = read(REAL.read_bytes())
    assert problems == []
    return table, history


def test_the_real_table(real: tuple[TagTable, TagHistory]) -> None:
    table, history = real

    # 3,050 rows, 2,743 tags, nonpaged 889,167,696 B, paged 641,416,592 B
    assert len(table.rows) == 3050
    assert len({row.tag for row in table.rows}) == 2743
    sizes: Counter[PoolKind] = Counter()
    for row in table.rows:
        sizes[row.pool] += row.bytes or 0
    assert sizes == {PoolKind.NONPAGED: 889_167_696, PoolKind.PAGED: 641_416_592}
    assert table.completeness is Completeness.COMPLETE
    assert len(history.columns) == 3050
    assert sum(column.bytes[0] for column in history.columns.values()) == 889_167_696 + 641_416_592


def test_the_real_table_row_by_row(real: tuple[TagTable, TagHistory]) -> None:
    lines = DECODED.read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]

    for (tag, pool, allocs, frees, diff, size, *_, source, description), row in zip(rows, real[0].rows, strict=True):
        assert tag.rstrip() == row.tag.rstrip("\u2400")
        assert pool == {PoolKind.NONPAGED: "Non Paged", PoolKind.PAGED: "Paged"}[row.pool]
        assert (int(allocs), int(frees), int(diff), int(size)) == (row.allocs, row.frees, row.outstanding, row.bytes)
        assert (source or None, description or None) == (row.binary, row.description)


def test_the_real_table_is_recognised() -> None:
    if not REAL.exists():
        pytest.skip("PoolMonX_test.csv is not here")

    assert content_of(REAL.read_bytes()[:65536]) is Content.POOLMONX
