"""Poolmon text as a file of its own: snapshots over time."""

import io
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence import poolmon_blocks, poolmon_walk, snapshots
from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.evidence.poolmon_log import looks_like_poolmon_log, read_poolmon_log
from poolsleuth.evidence.recognise import Content, content_of
from poolsleuth.model.facts import Fact, Problem
from poolsleuth.model.series import MemoryHistory, TagHistory, TagKey
from poolsleuth.model.tags import Completeness, PoolKind, PoolmonMemory, TagTable

SHARED = Path(__file__).parents[3] / "shared"
LOGS = [
    *sorted((Path(__file__).parents[1] / "data" / "logs").glob("*.txt")),
    *sorted(path for path in (Path(__file__).parents[2] / "examples").glob("*.log") if "poolmon" not in path.name),
]
WRITTEN = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
MB = 1 << 20
FILE = TagKey("File", PoolKind.NONPAGED)

Writer = Callable[..., str]


def read(text: str | bytes, modified: datetime | None = None) -> tuple[list[Fact], list[Problem]]:
    data = text.encode() if isinstance(text, str) else text
    problems: list[Problem] = []
    return read_poolmon_log(io.BytesIO(data), 0, modified, problems, lambda: None), problems


def only(facts: list[Fact], kind: type[Any]) -> Any:
    (found,) = [fact for fact in facts if isinstance(fact, kind)]
    return found


def seconds(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]


def course(write: Writer, dates: list[str | None], **options: Any) -> str:
    """One tag that grows by 1,000 bytes from snapshot to snapshot."""
    return "".join(
        write([("File", "Nonp", 100 + n, 90, 10_000 + 1000 * n), ("CM", "Paged", 7, 0, 700)], date, **options)
        for n, date in enumerate(dates)
    )


def test_two_snapshots(poolmon_text: Writer) -> None:
    text = course(poolmon_text, ["2008-03-27 10:15:00", "2008-03-27 11:15:00"])

    facts, problems = read(text, WRITTEN)

    kinds = [PoolmonMemory, TagTable, PoolmonMemory, TagTable, MemoryHistory, TagHistory]
    assert [type(fact) for fact in facts] == kinds
    assert problems == []
    history = only(facts, TagHistory)
    assert list(history.times) == [seconds(2008, 3, 27, 10, 15), seconds(2008, 3, 27, 11, 15)]
    assert (history.utc, history.dated_by, history.snapshots) == (False, "dates in the file", 2)
    assert history.complete is False
    assert list(history.columns) == [FILE, TagKey("CM", PoolKind.PAGED)]
    column = history.columns[FILE]
    assert (list(column.bytes), list(column.outstanding)) == ([10_000, 11_000], [10, 11])
    assert list(column.allocs) == [100, 101]
    memory = only(facts, MemoryHistory)
    assert list(memory.figures["nonpaged_used"]) == [2_275_124 * 1024] * 2  # Pool N:2275124K
    assert set(memory.figures) == {
        "physical", "available", "kernel_resident", "paged_resident", "nonpaged_used", "paged_used",
        "committed", "commit_limit", "commit_peak",
    }  # fmt: skip
    # A local time of no known zone is no time of a fact, which is in UTC
    assert {fact.at for fact in facts} == {None}
    assert facts[1].where.line == 9
    assert facts[3].where.line == 19


def test_dates_with_their_zone_are_times_of_facts(poolmon_text: Writer) -> None:
    text = course(poolmon_text, ["2008-03-27T10:15:00.0000000+01:00", "2008-03-27T11:15:00.0000000+01:00"])

    facts, _ = read(text)

    assert only(facts, TagHistory).utc is True
    first, second = (fact.at for fact in facts if isinstance(fact, TagTable))
    assert (first, second) == (datetime(2008, 3, 27, 9, 15, tzinfo=UTC), datetime(2008, 3, 27, 10, 15, tzinfo=UTC))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Thursday, March 27, 2008 10:15:00 AM", "Thursday, March 27, 2008 10:30:00 AM"),
        ("27 March 2008 10:15:00", "27 March 2008 10:30:00"),
        ("03/27/2008 10:15:00", "03/27/2008 10:30:00"),
        ("27/03/2008 10:15:00", "27/03/2008 10:30:00"),
        ("27.03.2008 10:15:00", "27.03.2008 10:30:00"),
        ("Donnerstag, 27. März 2008 10:15:00", "Donnerstag, 27. März 2008 10:30:00"),
        ("jeudi 27 mars 2008 10:15:00", "jeudi 27 mars 2008 10:30:00"),
        ("Thu 03/27/2008 10:15:00.00", "Thu 03/27/2008 10:30:00.00"),
        ("Thu 03/27/2008 \n10:15 AM", "Thu 03/27/2008 \n10:30 AM"),
        ("The current date is: Thu 03/27/2008 \nThe current time is: 10:15:00.00", "2008-03-27 10:30:00"),
        ("collecting on SRV1\n2008-03-27 10:15:00 poolmon -n", "once more\n2008-03-27 10:30:00 poolmon -n"),
    ],
)
def test_dates_of_many_countries(poolmon_text: Writer, first: str, second: str) -> None:
    facts, problems = read(course(poolmon_text, [first, second]))

    assert list(only(facts, TagHistory).times) == [seconds(2008, 3, 27, 10, 15), seconds(2008, 3, 27, 10, 30)]
    assert problems == []


def test_dates_behind_their_snapshots(poolmon_text: Writer) -> None:
    text = course(poolmon_text, [None, "2008-03-27 10:15:00", "2008-03-27 11:15:00"]) + "\n2008-03-27 12:15:00\n"

    facts, _ = read(text)

    assert list(only(facts, TagHistory).times) == [seconds(2008, 3, 27, hour, 15) for hour in (10, 11, 12)]


def test_day_and_month_that_nothing_decides(poolmon_text: Writer) -> None:
    facts, problems = read(course(poolmon_text, ["03/04/2008 10:15:00", "03/04/2008 11:15:00"]))

    (problem,) = problems
    assert "day and month of its dates can be read in both orders" in problem.says
    assert "Get-Date -Format o" in problem.says
    assert all(math.isnan(time) for time in only(facts, TagHistory).times)


@pytest.mark.parametrize(
    ("dates", "modified", "expected", "why"),
    [
        # On some day only one order is a date
        (["12/04/2008 23:00:00", "13/04/2008 00:00:00"], None, (2008, 4, 12, 23), ""),
        (["Thu 03/04/2010 10:00:00", "Thu 03/04/2010 11:00:00"], None, (2010, 3, 4, 10), ""),
        (["05/12/2008 10:00:00", "06/11/2008 10:00:00"], None, (2008, 5, 12, 10), "times go on"),
        ([f"{day:02}/02/2008 10:00:00" for day in range(1, 8)], None, (2008, 2, 1, 10), "steps even"),
        (
            ["04/05/2024 10:00:00", "04/05/2024 11:00:00"],
            datetime(2024, 5, 4, 12, tzinfo=UTC),
            (2024, 5, 4, 10),
            "file",
        ),
    ],
)
def test_day_and_month_are_told_by_the_whole_file(
    poolmon_text: Writer, dates: list[str | None], modified: datetime | None, expected: tuple[int, ...], why: str
) -> None:
    facts, problems = read(course(poolmon_text, dates), modified)

    history = only(facts, TagHistory)
    assert history.times[0] == seconds(*expected)
    assert why in history.dated_by
    assert problems == []


def test_snapshots_without_dates(poolmon_text: Writer) -> None:
    facts, problems = read(course(poolmon_text, [None] * 3), WRITTEN)

    (problem,) = problems
    assert problem.says.startswith("the times of its 3 snapshots are not known: its snapshots carry no date; write")
    history = only(facts, TagHistory)
    assert all(math.isnan(time) for time in history.times)
    assert list(history.columns[FILE].bytes) == [10_000, 11_000, 12_000]
    assert (history.utc, history.dated_by) == (False, "")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp932", "cp936"])
def test_dates_of_the_far_east(poolmon_text: Writer, encoding: str) -> None:
    text = course(poolmon_text, ["2026年3月2日 9:15:00", "2026年3月2日 10:15:00", "2026年3月2日 13:15:00"])
    facts, problems = read(text.encode(encoding))

    assert problems == []
    begin = seconds(2026, 3, 2, 9, 15)
    assert list(only(facts, TagHistory).times) == [begin, begin + 3600, begin + 4 * 3600]


def test_a_date_that_cannot_be_read_is_shown(poolmon_text: Writer) -> None:
    _, problems = read(course(poolmon_text, [f"令和8年3月{day}日 10:15:00" for day in (2, 3, 4)]))
    (problem,) = problems
    assert "the dates of its snapshots could not be read ('令和8年3月2日 10:15:00'); write a date" in problem.says
    assert "carry no date" not in problem.says

    _, problems = read(course(poolmon_text, ["2026-03-02 10:15:00", "2/3/2569 11:15:00", "2026-03-02 12:15:00"]))
    (problem,) = problems
    assert "the dates of some of its snapshots could not be read ('2/3/2569 11:15:00')" in problem.says


def test_some_snapshots_without_dates(poolmon_text: Writer) -> None:
    facts, problems = read(course(poolmon_text, ["2008-03-27 10:15:00", None, "2008-03-27 11:15:00"]), WRITTEN)

    (problem,) = problems
    assert "some of its snapshots carry no date" in problem.says
    assert [math.isnan(time) for time in only(facts, TagHistory).times] == [False, True, False]


def test_one_snapshot_has_the_time_of_its_file(poolmon_text: Writer) -> None:
    facts, problems = read(course(poolmon_text, [None]), WRITTEN)

    history = only(facts, TagHistory)
    assert list(history.times) == [WRITTEN.timestamp()]
    assert (history.utc, history.dated_by) == (True, "the file's own time")
    assert {fact.at for fact in facts} == {WRITTEN}
    assert problems == []
    facts, problems = read(course(poolmon_text, [None]))
    assert math.isnan(only(facts, TagHistory).times[0])
    assert problems == []


def test_snapshots_out_of_order_are_put_in_order(poolmon_text: Writer) -> None:
    facts, _ = read(course(poolmon_text, ["2008-03-28 10:15:00", "2008-03-27 10:15:00"]))

    history = only(facts, TagHistory)
    assert list(history.times) == sorted(history.times)
    assert list(history.columns[FILE].bytes) == [11_000, 10_000]


def test_a_table_that_repeats_without_header_lines(poolmon_text: Writer) -> None:
    text = course(poolmon_text, ["2008-03-27 10:15:00", "2008-03-27 11:15:00", None], physical=None, section=None)

    facts, _ = read(text)

    history = only(facts, TagHistory)
    assert list(history.columns[FILE].bytes) == [10_000, 11_000, 12_000]
    assert list(history.times)[:2] == [seconds(2008, 3, 27, 10, 15), seconds(2008, 3, 27, 11, 15)]
    assert [fact.rows[0].bytes for fact in facts if isinstance(fact, TagTable)] == [10_000, 12_000]


def test_sessions(poolmon_text: Writer) -> None:
    text = "".join(
        poolmon_text([("Gh05", "Paged", 10, 5, 500 * n)], f"2008-03-27 10:1{n}:00", section=f"{name} pool information")
        for n, name in enumerate(["System", "Session 2", "All sessions", "System", "Session 2"], start=1)
    )

    facts, _ = read(text)

    history = only(facts, TagHistory)
    assert {key.session: [b for b in c.bytes if not math.isnan(b)] for key, c in history.columns.items()} == {
        None: [500, 2000],
        2: [1000, 2500],
        -1: [1500],
    }
    tables = [fact for fact in facts if isinstance(fact, TagTable)]
    assert [(table.session, table.rows[0].bytes) for table in tables] == [
        (None, 500), (2, 1000), (-1, 1500), (None, 2000), (2, 2500),
    ]  # fmt: skip


def sessions_under_one_date(write: Writer, hours: int, *names: str, **options: Any) -> str:
    """Each hour a date, and the screens of these pools under it, each of which has one tag."""
    return "".join(
        write(
            [("Gh05", "Paged", 10, 5, 500 * hour + place)],
            f"2008-03-27 {10 + hour}:15:00" if place == 0 else None,
            section=f"{name} pool information",
            **(options if place else {}),
        )
        for hour in range(hours)
        for place, name in enumerate(names)
    )


@pytest.mark.parametrize("options", [{}, {"physical": None}], ids=["header lines", "none"])
def test_the_sessions_screens_under_one_date(poolmon_text: Writer, options: dict[str, Any]) -> None:
    facts, problems = read(sessions_under_one_date(poolmon_text, 3, "System", "Session 0", "Session 1", **options))

    assert problems == []
    history = only(facts, TagHistory)
    hours = [seconds(2008, 3, 27, hour, 15) for hour in (10, 11, 12)]
    shown = {
        key.session: [(t, b) for t, b in zip(history.times, column.bytes, strict=True) if not math.isnan(b)]
        for key, column in history.columns.items()
    }
    assert shown == {
        session: [(time, 500.0 * hour + place) for hour, time in enumerate(hours)]
        for place, session in enumerate((None, 0, 1))
    }
    memory = only(facts, MemoryHistory)
    # The header lines of a session's screen are no sample of their own
    assert [t for t, f in zip(memory.times, memory.figures["nonpaged_used"], strict=True) if not math.isnan(f)] == hours


@pytest.mark.parametrize(
    "names",
    [("System", "Session 0", "Session 0"), ("System", "System", "Session 0"), ("System", "Session 0", "System")],
)
def test_a_screen_that_comes_twice_under_one_date_has_none(poolmon_text: Writer, names: tuple[str, ...]) -> None:
    facts, problems = read(sessions_under_one_date(poolmon_text, 2, *names))

    assert any(math.isnan(time) for time in only(facts, TagHistory).times)
    assert ["some of its snapshots carry no date" in problem.says for problem in problems] == [True]


def test_sessions_under_one_date_where_not_all_tables_are_kept(
    poolmon_text: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots.SnapshotList.__init__, "__defaults__", (4,))
    monkeypatch.setattr(poolmon_blocks, "BLOCK_BYTES", 500)
    monkeypatch.setattr(poolmon_blocks, "SAMPLE_BYTES", 64)

    facts, problems = read(sessions_under_one_date(poolmon_text, 9, "System", "Session 0", "Session 1"))

    assert problems == []
    history = only(facts, TagHistory)
    assert 4 <= len(history.times) < 27
    shown = {
        (time, b)
        for column in history.columns.values()
        for time, b in zip(history.times, column.bytes, strict=True)
        if not math.isnan(b)
    }
    assert {session for key in history.columns if (session := key.session) is not None} == {0, 1}
    assert shown <= {(seconds(2008, 3, 27, 10 + n, 15), 500.0 * n + place) for n in range(9) for place in range(3)}


def test_machines_are_told_apart_by_their_memory(poolmon_text: Writer) -> None:
    text = "".join(
        poolmon_text([("File", "Nonp", 10, 5, 500 * n)], f"2008-03-27 10:1{n}:00", physical=1_000_000 + n % 2)
        for n in range(6)
    )

    facts, _ = read(text)

    histories = [fact for fact in facts if isinstance(fact, TagHistory)]
    assert [list(history.columns[FILE].bytes) for history in histories] == [[0, 1000, 2000], [500, 1500, 2500]]
    # What belongs to one machine stands together
    assert [type(fact) for fact in facts[:6]] == [
        PoolmonMemory, TagTable, PoolmonMemory, TagTable, MemoryHistory, TagHistory,
    ]  # fmt: skip


def test_counters_of_32_bits(poolmon_text: Writer) -> None:
    top = 1 << 32
    rows = [
        [("File", "Nonp", top - 500, top - 600, 10_000), ("CM", "Paged", 500, 0, 100), ("Irp", "Nonp", 5, 0, 80)],
        # The allocations have wrapped, the frees not yet; then both
        [("File", "Nonp", 100, top - 20, 12_000), ("CM", "Paged", 600, 0, 100), ("Irp", "Nonp", 6, 0, 80)],
        [("File", "Nonp", 900, 700, 20_000), ("CM", "Paged", 700, 0, 100), ("Irp", "Nonp", 7, 0, 80)],
    ]
    text = "".join(poolmon_text(table, f"2008-03-27 1{n}:15:00") for n, table in enumerate(rows))

    facts, _ = read(text)

    column = only(facts, TagHistory).columns[FILE]
    assert list(column.outstanding) == [100, 120, 200]
    assert list(column.allocs) == [top - 500, top + 100, top + 900]


def test_bytes_beyond_2_gb_of_an_old_poolmon() -> None:
    line = " File Nonp  300000 (   0)  0 (   0)  300000 -1294967296 (     0)   10000\n"

    facts, _ = read("Memory:1000K Avail:10K\n" + line, WRITTEN)

    # 300,000 x 10,000 bytes: the sign bit of 32
    assert list(only(facts, TagHistory).columns[FILE].bytes) == [3_000_000_000]
    assert only(facts, TagTable).rows[0].bytes == 3_000_000_000


def test_numbers_that_do_not_belong_together_are_left_out(poolmon_text: Writer) -> None:
    text = poolmon_text([("CM", "Paged", 7, 0, 700)]) + " File Nonp 100 10 50 5000 77\n"

    facts, _ = read(text, WRITTEN)

    assert list(only(facts, TagHistory).columns) == [TagKey("CM", PoolKind.PAGED)]


def test_a_row_that_is_cut_off_is_not_believed(poolmon_text: Writer) -> None:
    text = course(poolmon_text, ["2008-03-27 10:15:00", "2008-03-27 11:15:00"])
    end = text.rindex("11000") + 3  # inside the bytes of the last row of File

    facts, _ = read(text[:end])

    column = only(facts, TagHistory).columns[FILE]
    assert column.bytes[0] == 10_000
    assert len(column.bytes) == 1 or math.isnan(column.bytes[1])


TAGS = st.text(st.sampled_from("ABCDabcd01 #-"), min_size=1, max_size=4).filter(lambda tag: tag == tag.strip())
ROWS = st.lists(
    st.tuples(TAGS, st.sampled_from(["Nonp", "Paged"]), st.integers(0, (1 << 31) - 1), st.integers(0, 1 << 40)),
    min_size=1,
    max_size=30,
    unique_by=lambda row: row[:2],
)


@given(
    tables=st.lists(ROWS, min_size=1, max_size=6),
    changes=st.booleans(),
    drivers=st.booleans(),
    newline=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-le"]),
    share=st.integers(0, 100),
)
@settings(max_examples=60, deadline=None)
def test_round_trip(
    poolmon_text: Writer,
    tables: list[list[tuple[str, str, int, int]]],
    changes: bool,
    drivers: bool,
    newline: str,
    encoding: str,
    share: int,
) -> None:
    rows = [[(t, p, a, a * share // 100, size) for t, p, a, size in table] for table in tables]
    text = "".join(
        poolmon_text(table, f"2008-03-27 10:1{n}:00", changes=changes, drivers=drivers) for n, table in enumerate(rows)
    )

    facts, problems = read(text.replace("\n", newline).encode(encoding))

    history = only(facts, TagHistory)
    kinds = {"Nonp": PoolKind.NONPAGED, "Paged": PoolKind.PAGED}
    for number, table in enumerate(rows):
        shown = {
            key: (c.bytes[number], c.outstanding[number], c.allocs[number])
            for key, c in history.columns.items()
            if not math.isnan(c.outstanding[number])
        }
        assert shown == {TagKey(t, kinds[p]): (size, a - f, a) for t, p, a, f, size in table}
    assert history.snapshots == len(tables)
    assert problems == []


@pytest.mark.parametrize("count", [2, 63, 64, 65, 300])
def test_hundreds_of_snapshots_are_thinned_evenly(
    poolmon_text: Writer, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(poolmon_walk, "MAX_CELLS", 2 * 32)
    monkeypatch.setattr(poolmon_blocks, "BLOCK_BYTES", 5000)
    at = datetime(2008, 3, 27)
    dates: list[str | None] = [str(at + timedelta(minutes=n)) for n in range(count)]

    facts, problems = read(course(poolmon_text, dates))

    history = only(facts, TagHistory)
    start = seconds(2008, 3, 27)
    steps = [b - a for a, b in pairwise(history.times)]
    assert len(history.times) <= 34
    assert len(history.times) >= min(count, 16)
    assert len(set(steps[:-1])) <= 1
    assert (history.times[0], history.times[-1]) == (start, start + 60 * (count - 1))
    assert list(history.columns[FILE].bytes) == [10_000 + 1000 * (time - start) / 60 for time in history.times]
    assert history.snapshots == count
    # The header lines are few: all of them are kept
    assert len(only(facts, MemoryHistory).times) == count
    tables = [fact for fact in facts if isinstance(fact, TagTable)]
    assert [table.rows[0].bytes for table in tables] == [10_000, 10_000 + 1000 * (count - 1)]
    assert tables[1].where.line == 9 + 10 * (count - 1)
    assert problems == []


def test_more_snapshots_than_are_kept(poolmon_text: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots.SnapshotList.__init__, "__defaults__", (20,))
    at = datetime(2008, 3, 27)
    dates: list[str | None] = [str(at + timedelta(minutes=n)) for n in range(101)]

    facts, _ = read(course(poolmon_text, dates))

    memory, history = only(facts, MemoryHistory), only(facts, TagHistory)
    assert len(memory.times) <= 22
    assert (memory.snapshots, memory.times[-1] - memory.times[0]) == (101, 6000)
    assert set(history.times) <= set(memory.times)


def test_one_snapshot_is_read_as_in_a_debugger_log(poolmon_text: Writer) -> None:
    rows = [("File", "Nonp", 1 << 20, 5, 1 << 30), ("Dh 1", "Paged", 37, 35, 224), ("CM", "Paged", 1, 1, 0)]
    for options in ({}, {"changes": True}, {"changes": True, "drivers": True}):
        text = poolmon_text(rows, **options)

        facts, _ = read(text)

        old = list(LogReader(0).read(io.BytesIO(text.encode())))
        assert [fact for fact in facts if isinstance(fact, TagTable | PoolmonMemory)] == old
        assert only(facts, TagTable).completeness is Completeness.UNKNOWN


@pytest.mark.parametrize(
    "name",
    ["025_nt4_poolmon_flattened", "027_xp_poolmon_a_sorted", "028_xp_poolmon_g_ntf", "030_srv2003_poolmon_sessions"],
)
def test_real_screens(name: str) -> None:
    path = SHARED / "data" / "transcripts" / f"{name}.txt"
    if not path.exists():
        pytest.skip(f"{name} is not here")
    data = path.read_bytes()

    assert content_of(data[:65536]) is Content.POOLMON
    facts, _ = read(data)

    old = list(LogReader(0).read(io.BytesIO(data)))
    tables = [fact for fact in facts if isinstance(fact, TagTable | PoolmonMemory)]
    assert tables == old
    rows = {(row.tag, row.pool, t.session): row.bytes for t in tables if isinstance(t, TagTable) for row in t.rows}
    histories = [fact for fact in facts if isinstance(fact, TagHistory)]
    columns = {key: column for history in histories for key, column in history.columns.items()}
    assert {(key.tag, key.pool, key.session) for key in columns} == set(rows)
    for key, column in columns.items():
        assert rows[key.tag, key.pool, key.session] in list(column.bytes)


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_debugger_logs_are_none(path: Path) -> None:
    assert not looks_like_poolmon_log(path.read_text(encoding="utf-8")[:65536])


def test_what_looks_like_poolmon(poolmon_text: Writer) -> None:
    text = poolmon_text([("File", "Nonp", 5, 0, 500), ("CM", "Paged", 7, 0, 700)], "2008-03-27 10:15:00")

    assert looks_like_poolmon_log(text)
    assert looks_like_poolmon_log("Collecting pool on SRV1\npoolmon -n x\n" + text)
    assert not looks_like_poolmon_log("0: kd> !vm\n" + text)
    assert not looks_like_poolmon_log("The server was slow.\n" * 20 + text)
    assert not looks_like_poolmon_log("Paged pool is full of Nonp tags\n")
    assert not looks_like_poolmon_log("")


def test_a_tag_of_four_blanks_is_told(poolmon_text: Writer) -> None:
    text = course(poolmon_text, ["2008-03-27 10:15:00", "2008-03-27 11:15:00"])
    assert read(text)[1] == []
    row = next(line for line in text.splitlines() if " File Nonp" in line)
    said = read(text.replace(f"{row}\n", f"{row}\n{row.replace('File', '    ')}\n"))[1]
    assert [problem.says.partition(" left out")[0] for problem in said] == ["1 row of a tag of four blanks"]
