import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.poolmon import read_screens
from poolsleuth.evidence.poolmon_log import looks_like_poolmon_log, read_poolmon_log
from poolsleuth.model.facts import Problem, Where
from poolsleuth.model.series import MemoryHistory, TagHistory, TagKey
from poolsleuth.model.tags import PoolKind, PoolmonMemory, TagTable
from poolsleuth.sampling.sample import Host, Sample, TagFigures, TagIndex
from poolsleuth.top.plain import printed_tag, screen_of
from poolsleuth.top.tracker import Tracker
from poolsleuth.top.view import Column, View, ViewOptions

N, P = PoolKind.NONPAGED, PoolKind.PAGED
USUAL = ViewOptions()
# The expression that readers of poolmon's text use in public (row and header lines)
ROW = re.compile(
    r"^\s?(?P<tag>.{4})\s(?P<type>Nonp|Paged)\s+(\d+)(?:\s*\(\s*(-?\d+)\))?\s+(\d+)(?:\s*\(\s*(-?\d+)\))?\s+(-?\d+)"
    r"\s+(-?\d+)(?:\s*\(\s*(-?\d+)\))?\s+(-?\d+)(?:\s+(\S.*?))?\s*$"
)
FIRST = re.compile(r"Memory:\s*(\d+)K\s+Avail:\s*(\d+)K\s+PageFlts:\s*(\d+)\s+InRam Krnl:\s*(\d+)K\s+P:\s*(\d+)K")
SECOND = re.compile(r"Commit:\s*(\d+)K\s+Limit:\s*(\d+)K\s+Peak:\s*(\d+)K\s+Pool N:\s*(\d+)K\s+P:\s*(\d+)K")
MEMORY = {
    "physical": 49_371_552 * 1024.0,
    "available": 26_121_028 * 1024.0,
    "page_faults": 901_597_864.0,
    "kernel_resident": 76_500 * 1024.0,
    "paged_resident": 4_130_272 * 1024.0,
    "committed": 35_762_700 * 1024.0,
    "commit_limit": 64_575_904 * 1024.0,
    "commit_peak": 43_634_092 * 1024.0,
    "nonpaged_used": 2_275_124 * 1024.0,
    "paged_used": 4_427_892 * 1024.0,
}


@dataclass
class Owner:
    driver: str | None
    note: str | None
    sure: bool


class Owners:
    def __init__(self, driver: str | None, note: str | None, sure: bool = True) -> None:
        self.owner = Owner(driver, note, sure)

    def of(self, key: TagKey) -> Owner:
        return self.owner


def printed(tracker: Tracker, options: ViewOptions = USUAL, lines: int | None = None, **kinds: bool) -> str:
    return screen_of(tracker, View(tracker), options, lines, **kinds).text


def public_rows(text: str) -> list[re.Match[str]]:
    return [match for line in text.split("\n") if (match := ROW.match(line)) is not None]


def test_the_layout_is_that_of_published_screens(watched_on: Any) -> None:
    """The rows are those of Microsoft's documentation: NtFL Nonp 68398 (0) 68390 (0) 8 27280 (0) 3410."""
    machine = watched_on(Host())
    rows = {TagKey("NtFL", N): (27_280, 8, 68_398), TagKey("FMfn", P): (1_495_080_176, 2_683_238, 8_665_967)}
    machine.then(rows, **{**MEMORY, "page_faults": 901_597_000.0})
    machine.then(rows, **MEMORY)
    assert printed(machine.tracker, ViewOptions(sort=Column.TAG, pools=N)) == (
        "2023-11-14T22:15:20.000+00:00\n"
        " Memory:49371552K Avail:26121028K  PageFlts:   864   InRam Krnl:76500K P:4130272K\n"
        " Commit:35762700K Limit:64575904K Peak:43634092K            Pool N:2275124K P:4427892K\n"
        " System pool information\n"
        " Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc\n"
        "\n"
        " NtFL Nonp      68398 (   0)     68390 (   0)        8   27280 (     0)   3410\n"
        "\n"
    )
    assert printed(machine.tracker, ViewOptions(pools=P), changes=False, dated=False) == (
        " Memory:49371552K Avail:26121028K  PageFlts:901597864   InRam Krnl:76500K P:4130272K\n"
        " Commit:35762700K Limit:64575904K Peak:43634092K            Pool N:2275124K P:4427892K\n"
        " System pool information\n"
        " Tag  Type              Allocs              Frees              Diff          Bytes        Per Alloc\n"
        " FMfn Paged            8665967            5982729           2683238     1495080176              557\n"
        "\n"
    )


def test_header_lines_are_read_back(watched: Any) -> None:
    watched.then({TagKey("Aaaa", N): (1, 1, 1)}, **MEMORY)
    text = printed(watched.tracker)
    assert FIRST.findall(text) == [("49371552", "26121028", "901597864", "76500", "4130272")]
    assert SECOND.findall(text) == [("35762700", "64575904", "43634092", "2275124", "4427892")]
    memory = next(f for f in read_screens(text, lambda _: Where(0)) if isinstance(f, PoolmonMemory))
    for name in ("physical", "available", "committed", "commit_limit", "commit_peak", "nonpaged_used", "paged_used"):
        assert getattr(memory, name).value == MEMORY[name]


@pytest.mark.parametrize("missing", [{name} for name in MEMORY] + [{"physical", "paged_used"}, set(MEMORY)])
def test_what_is_not_known_of_memory_is_not_printed_as_anything_else(watched: Any, missing: set[str]) -> None:
    watched.then({TagKey("Aaaa", N): (1, 1, 1)}, **{k: v for k, v in MEMORY.items() if k not in missing})
    text = printed(watched.tracker)
    assert " 0K" not in text
    memory = next((f for f in read_screens(text, lambda _: Where(0)) if isinstance(f, PoolmonMemory)), None)
    assert (memory is None) == ("physical" in missing)
    if memory is not None:
        for name in ("available", "committed", "commit_limit", "commit_peak", "nonpaged_used"):
            figure = getattr(memory, name)
            assert (None if figure is None else figure.value) == (None if name in missing else MEMORY[name])
        # Read only behind that of the nonpaged pool: never one for the other
        known = None if {"paged_used", "nonpaged_used"} & missing else MEMORY["paged_used"]
        assert (memory.paged_used and memory.paged_used.value) == known


def test_a_figure_that_is_not_known_leaves_the_row_out(watched: Any) -> None:
    nan = float("nan")
    watched.then(
        {
            TagKey("Good", N): (10, 1, 1),
            TagKey("NoAl", N): (20, 2, nan),
            TagKey("NoBy", N): (nan, 2, 2),
            TagKey("NoDi", P): (30, nan, 3),
        }
    )
    screen = screen_of(watched.tracker, View(watched.tracker), ViewOptions(totals=True))
    assert [match["tag"] for match in public_rows(screen.text)] == ["Good"]
    assert (screen.rows, screen.unknown) == (1, 3)
    assert "TOTAL" not in screen.text  # a sum with an unknown part is unknown


def test_a_change_that_is_not_known_is_blank(watched: Any) -> None:
    watched.then({TagKey("Aaaa", N): (10, 1, 1)}, complete=False)
    watched.then({TagKey("Aaaa", N): (10, 1, 1), TagKey("Bbbb", N): (5, 1, 1)}, complete=False)
    text = printed(watched.tracker)
    a, b = public_rows(text)
    assert (a[4], a[6], a[9]) == ("0", "0", "0")
    assert (b["tag"], b[3], b[4], b[6], b[8], b[9]) == ("Bbbb", "1", None, None, "5", None)
    lines = [line for line in text.split("\n") if "Nonp" in line]
    assert len(lines[0]) == len(lines[1])


def test_as_many_lines_as_were_asked_for(leaking: Any) -> None:
    assert len(public_rows(printed(leaking.tracker, lines=2))) == 2
    assert len(public_rows(printed(leaking.tracker))) == 3


def test_totals_are_read_as_totals(leaking: Any) -> None:
    text = printed(leaking.tracker, ViewOptions(totals=True))
    table = next(f for f in read_screens(text, lambda _: Where(0)) if isinstance(f, TagTable))
    assert {row.tag for row in table.rows} == {"Leak", "Idle", "Wave"}
    assert table.total[N].bytes == 120 << 20
    assert table.total[P].bytes == 4096
    assert len(public_rows(text)) == 3  # nobody takes a total for a tag


@pytest.mark.parametrize(
    ("session", "title", "tag"),
    [(None, "System", "Syst"), (3, "Session 3", "Gini"), (-1, "All sessions", "Gini")],
)
def test_sessions_have_their_own_title(watched: Any, session: int | None, title: str, tag: str) -> None:
    watched.then({TagKey("Syst", N): (1, 1, 1), TagKey("Gini", P, 3): (5, 1, 1)})
    text = printed(watched.tracker, ViewOptions(session=session))
    assert f" {title} pool information\n" in text
    table = next(f for f in read_screens(text, lambda _: Where(0)) if isinstance(f, TagTable))
    assert (table.session, [row.tag for row in table.rows]) == (session, [tag])


@pytest.mark.parametrize(
    ("owners", "column", "driver", "says"),
    [
        (Owners("ntfs.sys", "Log file"), "[ntfs.sys - Log file]", "ntfs.sys", "Log file"),
        (Owners("ntfs.sys", None), "[ntfs.sys]", "ntfs.sys", None),
        (Owners(None, "Log file"), "[Log file]", None, "Log file"),
        (Owners(None, None), "Unknown Driver", None, None),
        (Owners("evil.sys", "maybe", sure=False), "[maybe evil.sys - maybe]", None, "maybe evil.sys - maybe"),
        (Owners("a]\x1b[2J[b", "x\ny 12 (3)"), "[a)\\x1b(2J(b - x y 12 (3)]", None, "a)\\x1b(2J(b - x y 12 (3)"),
        (Owners("a.sys", "n" * 900), None, "a.sys", None),
    ],
)
def test_the_driver_stands_behind_the_row(
    leaking: Any, owners: Owners, column: str | None, driver: str | None, says: str | None
) -> None:
    view = View(leaking.tracker, owners)
    text = screen_of(leaking.tracker, view, ViewOptions(pools=N), drivers=True).text
    line = next(line for line in text.split("\n") if line.startswith(" Leak"))
    assert column is None or line.endswith(f" {column}")
    assert len(line) < 250
    row = next(f for f in read_screens(text, lambda _: Where(0)) if isinstance(f, TagTable)).rows[0]
    assert (row.bytes, row.binary) == (120 << 20, driver)
    assert column is None or row.description == says
    assert [match["tag"] for match in public_rows(text)] == ["Leak"]


@pytest.mark.parametrize(
    ("tag", "shown"),
    [
        ("MmSt", "MmSt"),
        ("Irp", "Irp"),
        ("a b", "a b"),
        (" ab", "␠ab"),
        ("", "␠␠␠␠"),
        ("\x1b[2J", "␛[2J"),
        ("\x00\x07\x7f\x9b", "␀␇␡›"),
        ("\xa0\xad\x81\n", "ƠƭƁ␊"),
        ("é\u202e", "é�"),
        ("\x80", "€"),
        ("kd>", "kdľ"),
        ("!vm", "ġvm"),
        ("[b]", "[b]"),
    ],
)
def test_tags_are_made_harmless(tag: str, shown: str) -> None:
    assert printed_tag(tag) == shown


def test_tags_that_look_alike_in_print_stay_two(watched: Any) -> None:
    watched.then({TagKey("\u200b\u200b", N): (30, 1, 1), TagKey("\u200c\u200c", N): (20, 1, 1)})
    table = [f for f in read_screens(printed(watched.tracker), lambda _: Where(0)) if isinstance(f, TagTable)]
    assert [[row.bytes for row in one.rows] for one in table] == [[30, 20]]


def test_screens_one_behind_the_other_are_a_dated_log(leaking: Any, series_of: Any) -> None:
    series = series_of(leaking)
    tracker = Tracker(series.index)
    text = ""
    for place in range(60):
        tracker.feed(series.at(place))
        text += printed(tracker)
    assert looks_like_poolmon_log(text)
    history = next(f for f in log_facts(text) if isinstance(f, TagHistory))
    assert list(history.times) == series.times[:60].tolist()
    assert history.utc
    column = history.columns[TagKey("Leak", N)]
    assert list(column.bytes)[1:] == [minute * 2.0**20 for minute in range(1, 60)]
    memory = [f for f in log_facts(text) if isinstance(f, MemoryHistory)]
    assert memory == []  # the figure of the pool alone is no header line: nothing says how much memory there is


def log_facts(text: str) -> Any:
    problems: list[Problem] = []
    facts = read_poolmon_log(io.BytesIO(text.encode()), 0, None, problems, lambda: None)
    assert problems == []
    return facts


def test_times_without_a_zone_are_local(watched_on: Any) -> None:
    machine = watched_on(Host(utc=False))
    machine.then({TagKey("Aaaa", N): (1, 1, 1)})
    assert printed(machine.tracker).startswith("2023-11-14T22:14:20.000\n")
    machine.then({TagKey("Aaaa", N): (1, 1, 1)}, after=float("nan"))
    assert printed(machine.tracker).startswith(" System pool")


# ---- everything comes back ----

TAGS = st.one_of(
    st.text("AaZz09_ ", min_size=1, max_size=4),
    st.binary(min_size=1, max_size=4).map(lambda raw: raw.decode("latin-1")),
    st.text(min_size=1, max_size=4),
).map(lambda tag: tag.rstrip(" \0"))
COUNTS = st.one_of(st.integers(0, 1000), st.integers(0, 2**40), st.integers(0, 2**61))
# Allocations are a counter of 32 bits on older Windows: it may have wrapped, so that it is less than what is there
ROWS = st.tuples(st.one_of(COUNTS, st.integers(2**62, 2**66)), COUNTS, COUNTS)


def exact(number: int) -> int:
    """What a sample can hold of a number: a double."""
    return int(float(number))


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.tuples(TAGS, st.sampled_from([N, P])), st.tuples(ROWS, ROWS), max_size=8),
    st.booleans(),
    st.booleans(),
    st.sampled_from(list(Column)),
)
def test_every_figure_comes_back(rows: Any, changes: bool, totals: bool, column: Column) -> None:
    tracker = Tracker(TagIndex())
    for moment in (0, 1):
        ids = np.array([tracker.index.number(TagKey(*key)) for key in rows], np.int64)
        figures = np.array([[size, diff, diff + freed] for size, diff, freed in (r[moment] for r in rows.values())])
        columns = figures.astype(np.float64).reshape(-1, 3).T
        tracker.feed(Sample(1.7e9 + moment, TagFigures(ids, *columns), {"physical": 2.0**30}, complete=True))
    view = View(tracker)
    options = ViewOptions(sort=column, totals=totals)
    screen = screen_of(tracker, view, options, changes=changes)
    wanted = {}
    for (tag, pool), (before, (size, diff, freed)) in rows.items():
        allocs, outstanding = exact(diff + freed), exact(diff)
        if any(before) or any((size, diff, freed)):
            wanted[tag, pool] = (allocs, allocs - outstanding, outstanding, exact(size))
    shown = [view.tracker.index.keys[number] for number in view.rows(options)]
    assert {(key.tag, key.pool) for key in shown} == set(wanted)
    assert all(character == "\n" or character.isprintable() for character in screen.text)
    # The public expression
    found = public_rows(screen.text)
    assert [tuple(int(match[place]) for place in (3, 5, 7, 8)) for match in found] == [
        wanted[key.tag, key.pool] for key in shown
    ]
    # Our reader of quotes
    table = [f for f in read_screens(screen.text, lambda _: Where(0)) if isinstance(f, TagTable)]
    assert len(table) == bool(wanted)
    for each in table:
        assert [(row.allocs, row.frees, row.outstanding, row.bytes) for row in each.rows] == [
            wanted[key.tag, key.pool] for key in shown
        ]
        printable = [(key, row.tag) for key, row in zip(shown, each.rows, strict=True) if key.tag.isprintable()]
        assert all(tag == printed_tag(key.tag) for key, tag in printable if key.tag.strip() == key.tag)
    # Our reader of logs, whose numbers have 18 digits
    small = {key: row for key, row in wanted.items() if max(row) < 10**18}
    if small and small == wanted:
        histories = [f for f in log_facts(screen.text) if isinstance(f, TagHistory)]
        assert len(histories) == 1
        read = sorted(
            (column.allocs[0], column.outstanding[0], column.bytes[0], str(key.pool))
            for key, column in histories[0].columns.items()
        )
        assert read == sorted((row[0], row[2], row[3], str(pool)) for (_, pool), row in small.items())
        assert histories[0].times[0] == datetime.fromisoformat(screen.text.split("\n")[0]).astimezone(UTC).timestamp()


def test_counters_that_wrapped_are_printed_as_poolmon_prints_them(watched: Any) -> None:
    watched.then({TagKey("Wrap", N): (640, 10, 4)})
    (match,) = public_rows(printed(watched.tracker))
    assert (match[3], match[5], match[7]) == ("4", str((1 << 32) - 6), "10")


def test_changes_across_a_restart_of_windows_are_left_blank(watched: Any) -> None:
    one, two = TagKey("Aaaa", N), TagKey("Bbbb", P)
    watched.then({one: (100, 1, 24_000), two: (8, 1, 64_000)}, page_faults=50.0)
    tracker = watched.then({one: (50, 1, 10_000), two: (8, 1, 50_000)}, page_faults=60.0)
    text = printed(tracker)
    assert "(" not in text
    assert "PageFlts" not in text
    rows = [line.split() for line in text.splitlines() if line.startswith((" Aaaa", " Bbbb"))]
    assert ["Aaaa", "Nonp", "10000", "9999", "1", "50", "50"] in rows
    tracker = watched.then({one: (60, 1, 10_007), two: (8, 1, 50_000)}, page_faults=75.0)
    assert "(   7)" in printed(tracker)
    assert "PageFlts:    15" in printed(tracker)
