"""Poolmon's text: read back exactly, and in the columns of the published examples."""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.evidence.poolmon_log import looks_like_poolmon_log, read_poolmon_log
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.course.moment import Moment
from poolsleuth.lab.course.writers.poolmon import write_poolmon, write_poolmon_files
from poolsleuth.lab.course.writers.zone import Zone
from poolsleuth.lab.machine import Machine, PoolUse, TagUse
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.facts import Fact, Problem
from poolsleuth.model.series import MemoryHistory, TagHistory, TagKey
from poolsleuth.model.tags import PoolKind, TagTable

Course = Callable[..., Iterator[Moment]]

KINDS = {"nonpaged": PoolKind.NONPAGED, "paged": PoolKind.PAGED}


def read(data: bytes, modified: datetime | None = None) -> list[Fact]:
    problems: list[Problem] = []
    facts = read_poolmon_log(io.BytesIO(data), 0, modified, problems, lambda: None)
    assert not problems
    return facts


def expected(tags: tuple[TagUse, ...]) -> dict[tuple[str, PoolKind], tuple[int, int]]:
    """Blocks and bytes by tag and pool, of all that were ever in it."""
    return {
        (use.tag.strip(), KINDS[pool]): (part.outstanding, part.bytes)
        for use in tags
        for pool, part in (("nonpaged", use.nonpaged), ("paged", use.paged))
        if part.allocs
    }


def shown(table: TagTable) -> dict[tuple[str, PoolKind], tuple[int | None, int | None]]:
    return {(row.tag, row.pool): (row.outstanding, row.bytes) for row in table.rows}


@pytest.mark.parametrize("windows", ["2600-x86", "3790-x64", "7601-x86", "19041-x64"])
def test_the_truth_comes_back(course: Course, tmp_path: Path, windows: str) -> None:
    moments = list(course(windows))
    path = tmp_path / "poolmon.log"
    assert write_poolmon(path, iter(moments)) == len(moments)
    data = path.read_bytes()
    assert looks_like_poolmon_log(data[:65_536].decode("cp1252"))
    facts = read(data)
    (history,) = (fact for fact in facts if isinstance(fact, TagHistory))
    (memory,) = (fact for fact in facts if isinstance(fact, MemoryHistory))
    assert history.utc
    assert list(memory.times) == list(history.times)
    assert list(history.times) == pytest.approx([moment.at.timestamp() for moment in moments], abs=1e-5)
    for number, moment in enumerate(moments):
        wanted = expected(moment.machine.tags)
        assert len(history.columns) == len(wanted)
        for (tag, pool), (blocks, size) in wanted.items():
            column = history.columns[TagKey(tag, pool)]
            assert (column.outstanding[number], column.bytes[number]) == (blocks, size)
        use = next(use for use in moment.machine.tags if use.tag == "Zq1 ")
        assert history.columns[TagKey("Zq1", PoolKind.NONPAGED)].allocs[number] == use.nonpaged.allocs
        for name, pages in (
            ("physical", moment.machine.memory.physical),
            ("available", moment.machine.memory.available),
            ("nonpaged_used", moment.machine.memory.nonpaged_used),
            ("paged_used", moment.machine.memory.paged_used),
            ("committed", moment.machine.memory.committed),
            ("commit_limit", moment.machine.memory.commit_limit),
        ):
            assert memory.figures[name][number] == (pages or 0) * 4096


def test_each_snapshot_in_a_file_of_its_own(course: Course, tmp_path: Path) -> None:
    moments = list(course("7601-x64"))
    paths = write_poolmon_files(tmp_path, iter(moments))
    assert [path.name for path in paths] == [
        f"poolsnap_{moment.at - timedelta(hours=7):%Y%m%d_%H%M%S}.log" for moment in moments
    ]
    for path, moment in zip(paths, moments, strict=True):
        assert path.stat().st_mtime == pytest.approx(moment.at.timestamp(), abs=1e-5)
        table = next(
            fact
            for fact in read(path.read_bytes(), datetime.fromtimestamp(path.stat().st_mtime, UTC))
            if isinstance(fact, TagTable)
        )
        assert shown(table) == expected(moment.machine.tags)


def test_sessions_have_screens_of_their_own(course: Course, tmp_path: Path) -> None:
    moments = list(course("19041-x64"))
    write_poolmon(tmp_path / "poolmon.log", iter(moments), sessions=True)
    (history,) = (f for f in read((tmp_path / "poolmon.log").read_bytes()) if isinstance(f, TagHistory))
    for session in moments[0].machine.sessions:
        for (tag, pool), (blocks, size) in expected(session.tags).items():
            column = history.columns[TagKey(tag, pool, session.id)]
            assert set(filter(isfinite, column.bytes)) == {size}
            assert set(filter(isfinite, column.outstanding)) == {blocks}


def test_changes_stand_in_parentheses_on_old_windows(course: Course, tmp_path: Path) -> None:
    write_poolmon(tmp_path / "poolmon.log", course("3790-x86"))
    lines = [line for line in (tmp_path / "poolmon.log").read_text("cp1252").split("\n") if line.startswith(" Zq1 ")]
    assert lines[0] == " Zq1  Nonp       5000 (   0)        40 (   0)     4960  476160 (     0)     96"
    assert lines[1] == " Zq1  Nonp       5010 (  10)        43 (   3)     4967  476832 (   672)     96"
    assert len(lines) == 8


def columns(line: str) -> list[int]:
    """Where the numbers of a row end, and its brackets."""
    return [match.end() for match in re.finditer(r"(?<=.{6})\d+(?=\s|$|\))|\)", line)]


def test_the_old_form_is_the_published_one(course: Course, tmp_path: Path, shared: Callable[[str], Path]) -> None:
    real = shared("transcripts/027_xp_poolmon_a_sorted.txt").read_text("utf-8").splitlines()
    write_poolmon(tmp_path / "poolmon.log", course("2600-x86", "healthy", 2))
    mine = (tmp_path / "poolmon.log").read_text("cp1252").splitlines()
    theirs, own = real[real.index(next(line for line in real if "Memory:" in line)) :], mine[1:]
    for number in range(2):
        # Memory:  260620K Avail:   96364K  PageFlts:     0   InRam Krnl: 1916K P:17856K
        assert columns_of_labels(theirs[number]) == columns_of_labels(own[number])
    assert theirs[2].rstrip() == own[2]  # System pool information
    assert theirs[3].rstrip() == own[3]  # Tag  Type     Allocs            Frees ...
    assert theirs[4].strip() == own[4] == ""
    # Wait Nonp    3971107 (   0)   3971077 (   0)       30    8456 (     0)    281
    assert columns(theirs[5]) == columns(own[5])


def test_screens_of_sessions_are_the_published_ones(
    course: Course, tmp_path: Path, shared: Callable[[str], Path]
) -> None:
    real = shared("transcripts/030_srv2003_poolmon_sessions.txt").read_text("utf-8").splitlines()
    write_poolmon(tmp_path / "poolmon.log", course("3790-x86", "healthy", 1), sessions=True)
    mine = (tmp_path / "poolmon.log").read_text("cp1252").splitlines()
    at, own = real.index(" Session 0 pool information"), mine.index(" Session 0 pool information")
    #  Commit: 193760K Limit:1279764K Peak: 987356K            Pool N:14340K P:18644K
    assert columns_of_labels(real[at - 1]) == columns_of_labels(mine[own - 1])
    assert real[at + 1].rstrip() == mine[own + 1]
    #  Bmfd Paged       361 (   0)       336 (   0)       25   57832 (     0)   2313
    assert columns(real[at + 3])[:-1] == columns(mine[own + 3])[:-1]
    assert " Session 1 pool information" in mine


def columns_of_labels(line: str) -> list[tuple[str, int]]:
    return [(match.group(), match.start()) for match in re.finditer(r"[A-Z][A-Za-z ]*:", line)][:4]


def test_the_new_form_is_the_published_one(course: Course, tmp_path: Path) -> None:
    # A published snapshot of a newer poolmon
    real = " FMfn Paged            8665967            5982729           2683238     1495080176              557"
    write_poolmon(tmp_path / "poolmon.log", course("19041-x64", "healthy", 1))
    mine = (tmp_path / "poolmon.log").read_text("cp1252").splitlines()
    assert columns(real) == columns(mine[5])
    assert mine[0].endswith("-07:00")
    data = (tmp_path / "poolmon.log").read_bytes()
    assert data.count(b"\r\n") == data.count(b"\n")


def test_a_debugger_log_may_quote_it(course: Course, tmp_path: Path) -> None:
    write_poolmon(tmp_path / "poolmon.log", course("3790-x86", "healthy", 1))
    log = b"0: kd> .logopen c:\\debug.log\n" + (tmp_path / "poolmon.log").read_bytes()
    tables = [fact for fact in LogReader(0).read(io.BytesIO(log)) if isinstance(fact, TagTable)]
    (moment,) = course("3790-x86", "healthy", 1)
    odd = {key for key in expected(moment.machine.tags) if not key[0].isprintable()}
    found = shown(tables[0])
    assert {
        key: value for key, value in expected(moment.machine.tags).items() if key not in odd
    }.items() <= found.items()


_LETTERS = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
_TAGS = st.text(_LETTERS, min_size=1, max_size=4).map(lambda tag: tag.ljust(4))
_HUGE = st.integers(0, 2**31 - 1) | st.sampled_from([0, 1, 2**31 - 1])


@st.composite
def _uses(draw: st.DrawFn) -> TagUse:
    def use() -> PoolUse:
        frees, out = draw(st.integers(0, 2**40)), draw(_HUGE)
        size = out * draw(st.integers(8, 4096))
        return PoolUse(frees + out, frees, size)

    return TagUse(draw(_TAGS), nonpaged=use(), paged=use())


_BASE: dict[str, Machine] = {}


def _base(windows: str) -> Machine:
    if windows not in _BASE:
        _BASE[windows] = make_machine(windows_named(windows), size=small_size())
    return _BASE[windows]


@settings(max_examples=60, deadline=None)
@given(
    tags=st.lists(_uses(), min_size=1, max_size=12, unique_by=lambda use: use.tag),
    windows=st.sampled_from(["3790-x64", "22000-x64"]),
    minutes=st.integers(1, 100_000),
)
def test_any_tags_and_numbers(
    tmp_path_factory: pytest.TempPathFactory, tags: list[TagUse], windows: str, minutes: int
) -> None:
    """Blocks and bytes come back as they are; the counters of 32 bits go round, and then tell no total."""
    first = _base(windows)
    machine = replace(first, tags=tuple(tags))
    path = tmp_path_factory.mktemp("snap") / "poolmon.log"
    moments = [Moment(first.booted_at + timedelta(minutes=minutes + n), machine) for n in range(2)]
    write_poolmon(path, iter(moments), zone=Zone("X", -345, ""))
    wanted = expected(machine.tags)
    if not wanted:
        return
    (history,) = (fact for fact in read(path.read_bytes()) if isinstance(fact, TagHistory))
    assert {
        (key.tag, key.pool): (column.outstanding[0], column.bytes[0]) for key, column in history.columns.items()
    } == wanted
