"""Tables of tags as CSV and TSV."""

import io
import math
import random
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence import tag_csv, tag_store
from poolsleuth.evidence.recognise import Content, content_of
from poolsleuth.evidence.tag_csv import looks_like_tag_csv, read_tag_csv
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Problem
from poolsleuth.model.series import TagHistory, TagKey
from poolsleuth.model.system import TargetInfo
from poolsleuth.model.tags import Completeness, PoolKind, TagTable

DECODED = Path(__file__).parents[3] / "shared" / "data" / "poolmon" / "PoolMonX_test_decoded.tsv"
WRITTEN = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
FILE = TagKey("File", PoolKind.NONPAGED)
START = datetime(2008, 3, 27, 10, 15, tzinfo=UTC).timestamp()


def read(text: str | bytes, modified: datetime | None = WRITTEN) -> tuple[list[Fact], list[Problem]]:
    data = text.encode() if isinstance(text, str) else text
    problems: list[Problem] = []
    return read_tag_csv(io.BytesIO(data), 0, modified, problems, lambda: None), problems


def all_of(facts: list[Fact], kind: type[Any]) -> list[Any]:
    return [fact for fact in facts if isinstance(fact, kind)]


@pytest.mark.parametrize(
    ("header", "first", "second"),
    [
        (
            "time,tag,type,allocs,frees,diff,bytes",
            "2008-03-27 10:15:00,File,Nonp,10,5,5,500",
            "2008-03-27 11:15:00,File,Nonp,12,6,6,600",
        ),
        ("TimeStamp;Tag;Pool;Size", "2008-03-27 10:15:00;File;NonPaged;500", "2008-03-27 11:15:00;File;NonPaged;600"),
        (
            "bytes\ttype\ttag\tdate",
            "500\tNon Paged\tFile\t27.03.2008 10:15:00",
            "600\tNon Paged\tFile\t27.03.2008 11:15:00",
        ),
        (
            '"Date","Time","Tag","Type","Bytes"',
            '"03/27/2008","10:15:00 AM","File","Nonp","500"',
            '"03/27/2008","11:15:00 AM","File","Nonp","600"',
        ),
        ("Time,Tag,Type,Used\r", "27/03/2008 10:15:00,File,NPaged,500\r", "27/03/2008 11:15:00,File,NPaged,600\r"),
        (
            "Summary1,27/03/2008 10:15:00.00,5\nTag,Type,Allocs,Frees,Diff,Bytes",
            "File,Nonp,10,5,5,500\nSummary1,27/03/2008 11:15:00.00,5\nTag,Type,Allocs,Frees,Diff,Bytes",
            "File,Nonp,12,6,6,600",
        ),
        ("time,tag,type,bytes", '2008-03-27 10:15:00,File,Nonp,"500"\n', "2008-03-27 11:15:00,File,Nonp, 600 "),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_two_tables(header: str, first: str, second: str, encoding: str) -> None:
    data = f"{header}\n{first}\n{second}\n".encode(encoding)

    assert content_of(data) is Content.TAG_CSV
    facts, problems = read(data)

    (history,) = all_of(facts, TagHistory)
    assert list(history.times) == [START, START + 3600]
    assert list(history.columns[FILE].bytes) == [500, 600]
    assert (history.utc, history.dated_by, history.complete) == (False, "dates in the file", False)
    tables = all_of(facts, TagTable)
    assert [[row.bytes for row in table.rows] for table in tables] == [[500], [600]]
    assert [table.at for table in tables] == [None, None]
    assert tables[0].completeness is Completeness.UNKNOWN
    assert problems == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2008-03-27T10:15:00Z", "2008-03-27T11:15:00Z"),
        ("2008-03-27T11:15:00+01:00", "2008-03-27T12:15:00+01:00"),
        ("1206612900", "1206616500"),
        ("1206612900.000", "1206616500.000"),
        ("1206612900000", "1206616500000"),
        ("128510865000000000", "128510901000000000"),  # FILETIME
    ],
)
def test_times_in_utc(first: str, second: str) -> None:
    facts, _ = read(f"time,tag,type,bytes\n{first},File,Nonp,500\n{second},File,Nonp,600\n")

    (history,) = all_of(facts, TagHistory)
    assert history.utc
    assert list(history.times) == [START, START + 3600]
    assert [table.at.timestamp() for table in all_of(facts, TagTable)] == [START, START + 3600]


def test_one_table_without_a_date_has_the_time_of_its_file() -> None:
    facts, problems = read("tag,pool,bytes,description,driver\nFile,nonpaged,500,File objects,a.sys\n")

    table, history = facts
    assert isinstance(table, TagTable)
    assert isinstance(history, TagHistory)
    assert (table.at, list(history.times), history.dated_by) == (
        WRITTEN,
        [WRITTEN.timestamp()],
        "the file's own time",
    )
    (row,) = table.rows
    assert (row.allocs, row.frees, row.outstanding, row.bytes) == (None, None, None, 500)
    assert (row.description, row.binary, row.where.line) == ("File objects", "a.sys", 2)
    assert math.isnan(history.columns[FILE].outstanding[0])
    assert problems == []


def test_dates_that_nothing_decides() -> None:
    facts, (problem,) = read("time,tag,type,bytes\n03/04/2008,File,Nonp,500\n04/04/2008,File,Nonp,600\n", None)

    assert "day and month" in problem.says
    assert all(map(math.isnan, all_of(facts, TagHistory)[0].times))


def test_our_own_output() -> None:
    text = (
        "machine,tag,pool,session,allocs,frees,outstanding,bytes,driver,description\n"
        '1,"a,b",nonpaged,,10,5,5,500,x.sys,"some, text"\n'
        "1,Gh05,session,2,10,5,5,700,,\n"
        "1,-x,paged,,,,3,600,,\n"
    )
    assert looks_like_tag_csv(text)

    facts, problems = read(text)

    tables = all_of(facts, TagTable)
    assert [(t.session, [(r.tag, r.pool, r.bytes) for r in t.rows]) for t in tables] == [
        (None, [("a,b", PoolKind.NONPAGED, 500), ("-x", PoolKind.PAGED, 600)]),
        (2, [("Gh05", PoolKind.SESSION, 700)]),
    ]
    assert tables[0].rows[0].description == "some, text"
    assert all_of(facts, TargetInfo) == []
    assert problems == []


def test_several_computers() -> None:
    text = "time,computer,tag,type,bytes\n" + "".join(
        f"2008-03-27T1{hour}:00:00Z,{host},File,Nonp,{size + hour}\n"
        for hour in range(3)
        for host, size in (("A", 500), ("B", 900))
    )

    facts, _ = read(text)

    kinds = [TargetInfo, TagTable, TagTable, TagHistory]
    assert [type(fact) for fact in facts] == kinds * 2
    assert [fact.computer for fact in all_of(facts, TargetInfo)] == ["A", "B"]
    assert [list(h.columns[FILE].bytes) for h in all_of(facts, TagHistory)] == [[500, 501, 502], [900, 901, 902]]


def test_numbered_machines_are_told_apart() -> None:
    facts, _ = read("machine,tag,pool,bytes\n1,File,nonpaged,500\n2,File,nonpaged,600\n")

    assert [fact.computer for fact in all_of(facts, TargetInfo)] == ["machine 1", "machine 2"]


def test_more_computers_than_are_read() -> None:
    text = "host,tag,type,bytes\n" + "".join(f"h{n},File,Nonp,5\n" for n in range(100))

    with pytest.raises(InputError, match="more than 50 computers"):
        read(text)


@pytest.mark.parametrize(
    ("printed", "number"),
    [("1234", 1234), ('"1,234"', 1234), ("1.234.567", 1_234_567), ("500.0", 500), ("-294967296", 4_000_000_000)],
)
def test_numbers(printed: str, number: int) -> None:
    delimiter = ";" if "." in printed else ","
    text = f"tag,type,bytes\nFile,Nonp,{printed}\n".replace(",", delimiter) if delimiter == ";" else None
    facts, _ = read(text or f"tag,type,bytes\nFile,Nonp,{printed}\n")

    assert all_of(facts, TagTable)[0].rows[0].bytes == number


@pytest.mark.parametrize("printed", ["", "-", "n/a", "1e9", "12 KB", "9" * 50, "0x10", "NaN", "1.5"])
def test_what_is_no_number_is_not_known(printed: str) -> None:
    facts, _ = read(f"tag,type,allocs,bytes\nFile,Nonp,7,{printed}\n")

    assert all_of(facts, TagTable)[0].rows[0].bytes is None
    assert math.isnan(all_of(facts, TagHistory)[0].columns[FILE].bytes[0])


CELLS = st.one_of(st.integers(0, 1 << 50).map(str), st.sampled_from(["", " 7 ", "1,234", "-5", "x", "'"]))


@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from(["File", "CM", "a b", "Total", 'q"t', "\u00e4b"]),
            st.sampled_from(["Nonp", "Paged", "Non Paged", "?"]),
            CELLS,
            CELLS,
        ),
        min_size=1,
        max_size=30,
    ),
    delimiter=st.sampled_from([",", ";", "\t"]),
    plain=st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_reading_at_once_changes_nothing(
    rows: list[tuple[int, str, str, str, str]], delimiter: str, plain: bool
) -> None:
    if plain:
        rows = [(t, tag[:2], "Paged", "5", "7") for t, tag, *_ in rows]
    lines = ["time,tag,type,bytes,diff".replace(",", delimiter)]
    lines += [delimiter.join([f"2008-03-27T1{t}:00:00Z", *cells]) for t, *cells in rows]
    text = "\n".join(lines) + "\n"

    def result(few: int) -> object:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tag_csv, "_FEW", few)
            # The first line names the columns: what is read at once comes behind it
            patch.setattr(tag_csv, "_AT_ONCE", 1 if few > 1 else 7)
            try:
                facts, problems = read(text)
            except InputError as error:
                return str(error)
        return repr(facts), problems

    assert result(1) == result(1 << 30)


@pytest.mark.parametrize("by_tag", [False, True])
def test_many_tables_are_thinned_evenly(monkeypatch: pytest.MonkeyPatch, by_tag: bool) -> None:
    monkeypatch.setattr(tag_store, "MAX_ROWS", 2000)
    places = [(hour, tag) for hour in range(301) for tag in range(40)]
    if by_tag:
        places.sort(key=lambda place: place[1])
    text = "time,tag,type,bytes\n" + "".join(
        f"{1_206_612_900 + 3600 * hour},T{tag:02},Paged,{1000 * tag + hour}\n" for hour, tag in places
    )

    facts, problems = read(text)

    (history,) = all_of(facts, TagHistory)
    hours = [round((time - START) / 3600) for time in history.times]
    assert (hours[0], hours[-1], history.snapshots) == (0, 300, 301)
    assert 20 <= len(hours) <= 52
    assert len({b - a for a, b in pairwise(hours[:-1])}) == 1
    for tag in range(40):
        assert list(history.columns[TagKey(f"T{tag:02}", PoolKind.PAGED)].bytes) == [1000 * tag + h for h in hours]
    assert [len(table.rows) for table in all_of(facts, TagTable)] == [40, 40]
    assert [table.rows[-1].bytes for table in all_of(facts, TagTable)] == [39_000, 39_300]
    assert problems == []


def test_lines_that_are_no_rows_are_told() -> None:
    facts, (problem,) = read("tag,type,bytes\nFile,Nonp,500\nTOTAL,Nonp,500\n,,\nnothing\n")

    assert len(all_of(facts, TagTable)[0].rows) == 1
    assert problem.says == "3 lines are no rows of its table and were left out"
    assert problem.where is not None
    assert problem.where.line == 3


@pytest.mark.parametrize("cut", range(0, 200, 3))
def test_any_truncation(cut: int) -> None:
    text = "time,tag,type,bytes\n" + "".join(f"2008-03-27T1{n}:00:00Z,File,Nonp,{500 + n}\n" for n in range(6))
    try:
        facts, _ = read(text[:cut])
    except InputError:
        assert cut < 60
        return
    sizes = list(all_of(facts, TagHistory)[0].columns[FILE].bytes)
    assert sizes[:-1] == [500 + n for n in range(len(sizes) - 1)]


@pytest.mark.parametrize("seed", range(40))
def test_mutations(seed: int) -> None:
    source = random.Random(seed)
    text = "time,tag,type,bytes\n" + "".join(f"2008-03-27T1{n % 10}:00:00Z,T{n},Nonp,{500 + n}\n" for n in range(300))
    data = bytearray(text.encode())
    for _ in range(source.randrange(1, 50)):
        place = source.randrange(25, len(data))
        data[place : place + source.randrange(3)] = bytes(source.randrange(256) for _ in range(source.randrange(3)))
    try:
        facts, _ = read(bytes(data))
    except InputError:
        return
    for history in all_of(facts, TagHistory):
        assert all(len(column.bytes) == len(history.times) for column in history.columns.values())


def test_a_million_different_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poolsleuth.evidence.tag_history.MAX_COLUMNS", 500)
    text = "tag,type,bytes\n" + "".join(f"{n:04x},Nonp,{n}\n" for n in range(20_000))

    facts, problems = read(text)

    assert len(all_of(facts, TagHistory)[0].columns) == 500
    assert any("different tags" in problem.says for problem in problems)


def test_a_line_of_many_megabytes() -> None:
    facts, _ = read("tag,type,bytes\nFile,Nonp,500\n" + "x" * 20_000_000 + "\nCM,Paged,7\n")

    assert {row.tag for row in all_of(facts, TagTable)[0].rows} == {"File", "CM"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tag,type\nFile,Nonp\n",
        "name,type,bytes\n",
        "Tag  Type     Allocs            Frees            Diff   Bytes\n",
        "the tag, the type, the bytes\n",
        '"(PDH-CSV 4.0) (GMT)(0)","\\\\A\\Memory\\Pool Paged Bytes"\n',
    ],
)
def test_what_is_no_table(text: str) -> None:
    assert not looks_like_tag_csv(text)


def test_a_table_without_rows() -> None:
    with pytest.raises(InputError, match="no row of it can be read"):
        read("tag,type,bytes\n")


def test_the_real_table_decoded() -> None:
    if not DECODED.exists():
        pytest.skip(f"{DECODED.name} is not here")
    data = DECODED.read_bytes()

    assert content_of(data[:65536]) is Content.TAG_CSV
    facts, problems = read(data)

    (table,) = all_of(facts, TagTable)
    sizes: Counter[PoolKind] = Counter()
    for row in table.rows:
        sizes[row.pool] += row.bytes or 0
    # 3,050 rows, nonpaged 889,167,696 B, paged 641,416,592 B
    assert len(table.rows) == 3050
    assert sizes == {PoolKind.NONPAGED: 889_167_696, PoolKind.PAGED: 641_416_592}
    assert problems == []
