"""What of the evidence is looked at: patterns of counters and tags, and bounds of time."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.model.series import CounterPath, CounterSeries, LogSpan
from poolsleuth.model.system import TargetInfo
from poolsleuth.model.tags import TagTable
from poolsleuth.reading import EVERYTHING, Selection, read_all

HEALTHY = Path(__file__).parents[1] / "examples" / "healthy.log"  # Debug session time: Tue Mar  3 09:14:22.118 2020
POOL = CounterPath("SRV", "Memory", None, "Pool Nonpaged Bytes")
CARD = CounterPath("SRV", "Network Interface", "Intel[R] Ethernet [2]", "Bytes Total/sec")
HEADER = r'"(PDH-CSV 4.0) (GMT Standard Time)(0)","\\SRV\Memory\Pool Nonpaged Bytes","\\SRV\Cache\Copy Reads/sec"'


def asks(pattern: str, path: CounterPath) -> bool:
    return Selection(counters=(pattern,)).asks_for(path)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        (r"\\SRV\Memory\Pool Nonpaged Bytes", POOL, True),
        (r"\memory\pool nonpaged bytes", POOL, True),  # without the host, in any case
        ("Pool Nonpaged Bytes", POOL, True),
        (r"*\Pool *", POOL, True),
        ("pool ???aged bytes", POOL, False),
        ("pool ???paged bytes", POOL, True),
        ("Pool Nonpaged", POOL, False),  # a whole name, never a part
        ("", POOL, False),
        ("*", POOL, True),
        (r"\Network Interface(Intel[R] Ethernet [2])\*", CARD, True),
        (r"\Network Interface(Intel[RS] Ethernet [2])\*", CARD, False),  # no classes of characters
        (r"\Network Interface(IntelR Ethernet 2)\*", CARD, False),
        (r"*\bytes.total/sec", CARD, False),  # a dot is a dot
        ("***bytes*****sec", CARD, True),
    ],
)
def test_patterns_of_counters(pattern: str, path: CounterPath, expected: bool) -> None:
    assert asks(pattern, path) is expected


def test_no_pattern_asks_for_nothing_but_the_diagnosis_still_gets_its_own() -> None:
    assert not EVERYTHING.asks_for(POOL)
    assert EVERYTHING.wants(POOL)
    assert not EVERYTHING.wants(CounterPath("SRV", "Cache", None, "Copy Reads/sec"))
    assert Selection(counters=("copy*",)).wants(CounterPath("SRV", "Cache", None, "Copy Reads/sec"))
    assert Selection(counters=("copy*",)).wants(POOL)


@given(st.text(max_size=30))
def test_any_name_is_matched_by_itself_unless_it_holds_wildcards(name: str) -> None:
    assert asks(name, CounterPath(None, "O", None, name))


@given(st.text(max_size=10), st.text(max_size=10))
def test_only_star_and_question_mark_are_special(pattern: str, name: str) -> None:
    if not set(pattern) & set("*?"):
        assert Selection(tags=(pattern,)).asks_for_tag(name) == (pattern.rstrip() == name)


@pytest.mark.parametrize(
    ("pattern", "tag", "expected"),
    [
        ("Mm*", "MmSt", True),
        ("mm*", "MmSt", False),
        ("Io?", "IoFs", False),
        ("Io  ", "Io", True),
        ("?mSt", "MmSt", True),
    ],
)
def test_patterns_of_tags_know_case(pattern: str, tag: str, expected: bool) -> None:
    assert Selection(tags=(pattern,)).asks_for_tag(tag) is expected


def test_bounds_of_time_hold_their_ends() -> None:
    both = Selection(since=10.0, until=20.0)
    assert [both.covers(t) for t in (9.999, 10.0, 15.0, 20.0, 20.001)] == [False, True, True, True, False]
    assert Selection(since=10.0).covers(1e18)
    assert Selection(until=10.0).covers(-1e18)
    assert EVERYTHING.covers(math.nan)
    assert not Selection(since=0.0).covers(math.nan)
    assert not Selection(until=0.0).covers(math.nan)


def test_whether_there_are_bounds() -> None:
    assert not Selection(counters=("*",), tags=("*",)).bounded
    assert Selection(since=0.0).bounded
    assert Selection(until=0.0).bounded


@pytest.fixture
def log(tmp_path: Path) -> str:
    rows = [HEADER, *(f'"01/15/2024 10:0{i}:00.000","{1000 + i}","{i}.5"' for i in range(6))]
    path = tmp_path / "perf.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return str(path)


TEN_OCLOCK = 1_705_312_800.0  # 2024-01-15T10:00:00Z


def series_of(log: str, selection: Selection) -> dict[str, CounterSeries]:
    result = read_all([log], None, selection)
    assert result.problems == []
    return {fact.path.counter: fact for fact in result.facts[0] if isinstance(fact, CounterSeries)}


def test_a_log_is_cut_to_the_window(log: str) -> None:
    selection = Selection(since=TEN_OCLOCK + 60, until=TEN_OCLOCK + 180)
    (series,) = series_of(log, selection).values()

    assert list(series.times) == [TEN_OCLOCK + 60, TEN_OCLOCK + 120, TEN_OCLOCK + 180]
    assert list(series.values) == [1001.0, 1002.0, 1003.0]
    (span,) = [f for f in read_all([log], None, selection).facts[0] if isinstance(f, LogSpan)]
    assert (span.samples, span.first, span.last) == (3, TEN_OCLOCK + 60, TEN_OCLOCK + 180)


def test_a_counter_that_was_asked_for_is_read_too(log: str) -> None:
    assert set(series_of(log, EVERYTHING)) == {"Pool Nonpaged Bytes"}
    assert set(series_of(log, Selection(counters=("copy*",)))) == {"Pool Nonpaged Bytes", "Copy Reads/sec"}


def test_a_log_outside_the_window_is_not_blamed_for_its_counters(log: str) -> None:
    (problem,) = read_all([log], None, Selection(since=TEN_OCLOCK + 86_400)).problems
    assert "no sample in the time that was asked for" in problem.says
    assert "poolsleuth collect" not in problem.says


def test_a_debugger_log_is_cut_by_the_times_of_its_banners() -> None:
    inside, outside = (Selection(since=s, until=s + 86_400) for s in (1_583_193_600.0, 1_500_000_000.0))
    with_all = read_all([str(HEALTHY)], None, inside).facts[0]
    cut = read_all([str(HEALTHY)], None, outside).facts[0]

    assert [f for f in with_all if isinstance(f, TagTable)]
    assert not [f for f in cut if isinstance(f, TagTable)]
    assert [f for f in cut if isinstance(f, TargetInfo)]  # whose machine it is stands outside of time


def test_the_facts_of_one_host_of_a_log_stand_together(tmp_path: Path) -> None:
    # A bound on machines then leaves out whole ones, and cuts none in two
    hosts = ("SRV1", "SRV2", "SRV3")
    columns = [rf"\\{host}\Memory\{name}" for name in ("Pool Nonpaged Bytes", "Pool Paged Bytes") for host in hosts]
    rows = [",".join(f'"{cell}"' for cell in ("(PDH-CSV 4.0) (UTC)(0)", *columns))]
    for minute in range(3):
        rows.append(",".join(f'"{cell}"' for cell in (f"03/14/2026 10:0{minute}:00.000", *[5000 + minute] * 6)))
    path = tmp_path / "log.csv"
    path.write_text("\n".join(rows) + "\n", "utf-8")

    (facts,) = read_all([path], None).facts

    order = [fact.path.host for fact in facts if isinstance(fact, CounterSeries)]
    assert order == ["SRV1", "SRV1", "SRV2", "SRV2", "SRV3", "SRV3"]


def test_recordings_are_asked_for_the_time_and_the_tags() -> None:
    window = Selection(since=5.0, until=9.0, tags=("Mm*",)).window
    assert (window.since, window.until) == (5.0, 9.0)
    assert window.asked is not None
    assert (window.asked("MmSt"), window.asked("Irp")) == (True, False)
    assert EVERYTHING.window.asked is None
